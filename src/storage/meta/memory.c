/* Documents in memory: a sorted list. There are a handful of them. */
#include "storage/meta/meta_int.h"

#include <pthread.h>
#include <string.h>

struct document {
	struct document *next;
	uint64_t version;
	uint8_t *bytes;
	size_t n;
	char key[SLX_META_KEY_SIZE_MAX + 1];
};

struct memory_meta {
	struct slx_meta base;
	struct slx_mem *mem;
	pthread_mutex_t lock;
	/* lock */
	struct document *documents; /* by key */
};

static struct memory_meta *self(struct slx_meta *m) { return (struct memory_meta *)m; }

/* The place of key in the list: *place is its document, or the one that it would come before. */
static struct document **find(struct memory_meta *m, const char *key, bool *ret_found)
{
	struct document **at = &m->documents;
	while (*at && strcmp((*at)->key, key) < 0)
		at = &(*at)->next;
	*ret_found = *at && strcmp((*at)->key, key) == 0;
	return at;
}

static uint8_t *copy(struct memory_meta *m, const void *bytes, size_t n)
{
	uint8_t *p = slx_alloc(m->mem, SLX_MEM_OTHER, n);
	if (p && n)
		memcpy(p, bytes, n);
	return p;
}

static silex_status memory_get(
	struct slx_meta *base, const char *key, uint8_t **ret, size_t *ret_n, uint64_t *ret_version, silex_error *err)
{
	struct memory_meta *m = self(base);
	bool found = false;
	SLX_TRY(slx_meta_check_key(key, err));
	pthread_mutex_lock(&m->lock);
	struct document *d = *find(m, key, &found);
	silex_status st = SILEX_OK;
	uint8_t *bytes = NULL;
	if (!found)
		st = slx_err(err, SILEX_NOT_FOUND, "%s: no such document", key);
	else if (!(bytes = copy(m, d->bytes, d->n)))
		st = slx_err_oom(err);
	if (st == SILEX_OK) {
		*ret = bytes;
		*ret_n = d->n;
		*ret_version = d->version;
	}
	pthread_mutex_unlock(&m->lock);
	return st;
}

/* lock held. */
static silex_status set(struct memory_meta *m, const char *key, const void *bytes, size_t n, uint64_t expected_version,
	uint64_t *ret_version, silex_error *err)
{
	bool found = false;
	struct document **at = find(m, key, &found), *d = *at;
	uint64_t version = found ? d->version : 0;
	if (version != expected_version)
		return slx_meta_conflict(key, version, expected_version, err);
	uint8_t *own = copy(m, bytes, n);
	if (!own)
		return slx_err_oom(err);
	if (found) {
		slx_free(m->mem, SLX_MEM_OTHER, d->bytes, d->n);
	} else {
		d = slx_calloc(m->mem, SLX_MEM_OTHER, sizeof *d);
		if (!d) {
			slx_free(m->mem, SLX_MEM_OTHER, own, n);
			return slx_err_oom(err);
		}
		memcpy(d->key, key, strlen(key) + 1);
		d->next = *at;
		*at = d;
	}
	d->bytes = own;
	d->n = n;
	d->version = version + 1;
	if (ret_version)
		*ret_version = d->version;
	return SILEX_OK;
}

static silex_status memory_cas(struct slx_meta *base, const char *key, const void *bytes, size_t n,
	uint64_t expected_version, uint64_t *ret_version, silex_error *err)
{
	struct memory_meta *m = self(base);
	SLX_TRY(slx_meta_check_key(key, err));
	if (n > SLX_META_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "%s: %zu bytes; expected at most %d", key, n, SLX_META_SIZE_MAX);
	pthread_mutex_lock(&m->lock);
	silex_status st = set(m, key, bytes, n, expected_version, ret_version, err);
	pthread_mutex_unlock(&m->lock);
	return st;
}

static silex_status memory_list(
	struct slx_meta *base, const char *prefix, bool (*each)(void *arg, const char *key), void *arg, silex_error *err)
{
	struct memory_meta *m = self(base);
	pthread_mutex_lock(&m->lock);
	for (struct document *d = m->documents; d; d = d->next)
		if (strncmp(d->key, prefix, strlen(prefix)) == 0 && !each(arg, d->key))
			break;
	pthread_mutex_unlock(&m->lock);
	return SILEX_OK;
}

static void memory_close(struct slx_meta *base)
{
	struct memory_meta *m = self(base);
	for (struct document *d = m->documents, *next; d; d = next) {
		next = d->next;
		slx_free(m->mem, SLX_MEM_OTHER, d->bytes, d->n);
		slx_free(m->mem, SLX_MEM_OTHER, d, sizeof *d);
	}
	pthread_mutex_destroy(&m->lock);
	slx_free(m->mem, SLX_MEM_OTHER, m, sizeof *m);
}

static const struct slx_meta_ops memory_ops = { memory_get, memory_cas, memory_list, memory_close };

silex_status slx_meta_open_memory(struct slx_mem *mem, struct slx_meta **ret, silex_error *err)
{
	struct memory_meta *m = slx_calloc(mem, SLX_MEM_OTHER, sizeof *m);
	if (!m)
		return slx_err_oom(err);
	m->base.ops = &memory_ops;
	m->mem = mem;
	pthread_mutex_init(&m->lock, NULL);
	*ret = &m->base;
	return SILEX_OK;
}
