/* Objects in memory: databases without a directory, and tests. */
#include "storage/store/store_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct object {
	struct object *next;
	uint8_t *bytes;
	size_t n;
	bool committed; /* else its writer is at work, and only begin sees it */
	char name[SLX_STORE_NAME_SIZE_MAX + 1];
};

struct memory_store {
	struct slx_store base;
	struct slx_mem *mem;
	pthread_mutex_t lock;
	/* lock */
	struct object *objects;
};

struct memory_writer {
	struct slx_store_writer base;
	struct memory_store *store;
	struct object *object;
	struct slx_buf buf;
};

static struct memory_store *self(struct slx_store *s) { return (struct memory_store *)s; }

static struct memory_writer *writer(struct slx_store_writer *w) { return (struct memory_writer *)w; }

/* lock held. Where the object's link is, or the end of the list. */
static struct object **find(struct memory_store *s, const char *name)
{
	struct object **at = &s->objects;
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void free_object(struct memory_store *s, struct object *o)
{
	slx_free(s->mem, SLX_MEM_OTHER, o->bytes, o->n);
	slx_free(s->mem, SLX_MEM_OTHER, o, sizeof *o);
}

static silex_status absent(const char *name, silex_error *err)
{
	return slx_err(err, SILEX_NOT_FOUND, "%s: no such object", name);
}

static silex_status memory_get_range(
	struct slx_store *base, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	struct memory_store *s = self(base);
	silex_status st = SILEX_OK;
	pthread_mutex_lock(&s->lock);
	struct object *o = *find(s, name);
	if (!o || !o->committed)
		st = absent(name, err);
	else if (offset > o->n || n > o->n - offset)
		st = slx_err(err, SILEX_CORRUPT, "%s: short read: %zu bytes at offset %llu of %zu", name, n,
			(unsigned long long)offset, o->n);
	else if (n)
		memcpy(buf, o->bytes + offset, n);
	pthread_mutex_unlock(&s->lock);
	return st;
}

static silex_status memory_size(struct slx_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	struct memory_store *s = self(base);
	pthread_mutex_lock(&s->lock);
	struct object *o = *find(s, name);
	bool found = o && o->committed;
	if (found)
		*ret = o->n;
	pthread_mutex_unlock(&s->lock);
	return found ? SILEX_OK : absent(name, err);
}

static silex_status memory_list(
	struct slx_store *base, const char *prefix, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	struct memory_store *s = self(base);
	struct slx_store_names names = { .prefix = prefix };
	slx_buf_init(&names.text, s->mem, SLX_MEM_OTHER, (size_t)1 << 28);
	pthread_mutex_lock(&s->lock);
	for (struct object *o = s->objects; o; o = o->next)
		if (o->committed)
			slx_store_names_add(&names, o->name);
	pthread_mutex_unlock(&s->lock);
	return slx_store_names_show(&names, each, arg, err);
}

static silex_status memory_remove(struct slx_store *base, const char *name, silex_error *err)
{
	struct memory_store *s = self(base);
	SLX_TRY(slx_store_check_name(name, err));
	pthread_mutex_lock(&s->lock);
	struct object **at = find(s, name), *o = *at;
	bool found = o && o->committed;
	if (found)
		*at = o->next;
	pthread_mutex_unlock(&s->lock);
	if (!found)
		return absent(name, err);
	free_object(s, o);
	return SILEX_OK;
}

static silex_status memory_quarantine(struct slx_store *base, const char *name, silex_error *err)
{
	struct memory_store *s = self(base);
	char damaged[SLX_STORE_NAME_SIZE_MAX + 1];
	SLX_TRY(slx_store_damaged_name(name, damaged, err));
	pthread_mutex_lock(&s->lock);
	struct object *o = *find(s, name), **replaced = find(s, damaged), *old = *replaced;
	bool found = o && o->committed;
	if (found && old)
		*replaced = old->next;
	if (found)
		memcpy(o->name, damaged, sizeof o->name);
	pthread_mutex_unlock(&s->lock);
	if (!found)
		return absent(name, err);
	if (old)
		free_object(s, old);
	return SILEX_OK;
}

static silex_status memory_free_space(struct slx_store *base, uint64_t *ret, silex_error *err)
{
	*ret = UINT64_MAX; /* the database's memory limit is what bounds it */
	return SILEX_OK;
}

static silex_status writer_append(struct slx_store_writer *base, const void *bytes, size_t n, silex_error *err)
{
	struct memory_writer *w = writer(base);
	slx_buf_put(&w->buf, bytes, n);
	w->base.size += n;
	return w->buf.failed ? slx_err_oom(err) : SILEX_OK;
}

static void writer_abort(struct slx_store_writer *base)
{
	struct memory_writer *w = writer(base);
	struct memory_store *s = w->store;
	pthread_mutex_lock(&s->lock);
	*find(s, w->object->name) = w->object->next;
	pthread_mutex_unlock(&s->lock);
	free_object(s, w->object);
	slx_buf_free(&w->buf);
	slx_free(s->mem, SLX_MEM_OTHER, w, sizeof *w);
}

static silex_status writer_commit(struct slx_store_writer *base, silex_error *err)
{
	struct memory_writer *w = writer(base);
	struct memory_store *s = w->store;
	/* The object keeps what it needs, not the buffer's spare half. */
	uint8_t *bytes = w->buf.failed ? NULL : slx_realloc(s->mem, SLX_MEM_OTHER, w->buf.p, w->buf.cap, w->buf.n);
	if (!bytes) {
		writer_abort(base);
		return slx_err_oom(err);
	}
	pthread_mutex_lock(&s->lock);
	w->object->bytes = bytes;
	w->object->n = w->buf.n;
	w->object->committed = true;
	pthread_mutex_unlock(&s->lock);
	slx_free(s->mem, SLX_MEM_OTHER, w, sizeof *w);
	return SILEX_OK;
}

static const struct slx_store_writer_ops writer_ops = { writer_append, writer_commit, writer_abort };

static silex_status memory_begin(
	struct slx_store *base, const char *name, struct slx_store_writer **ret, silex_error *err)
{
	struct memory_store *s = self(base);
	SLX_TRY(slx_store_check_name(name, err));
	struct memory_writer *w = slx_calloc(s->mem, SLX_MEM_OTHER, sizeof *w);
	struct object *o = slx_calloc(s->mem, SLX_MEM_OTHER, sizeof *o);
	silex_status st = w && o ? SILEX_OK : slx_err_oom(err);
	if (st == SILEX_OK) {
		*w = (struct memory_writer){ .base = { .ops = &writer_ops }, .store = s, .object = o };
		slx_buf_init(&w->buf, s->mem, SLX_MEM_OTHER, SIZE_MAX / 4);
		memcpy(o->name, name, strlen(name) + 1);
		pthread_mutex_lock(&s->lock);
		struct object **at = find(s, name);
		if (*at)
			st = slx_err(err, SILEX_CONFLICT, "%s exists", name);
		else
			*at = o;
		pthread_mutex_unlock(&s->lock);
	}
	if (st != SILEX_OK) {
		slx_free(s->mem, SLX_MEM_OTHER, w, sizeof *w);
		slx_free(s->mem, SLX_MEM_OTHER, o, sizeof *o);
		return st;
	}
	*ret = &w->base;
	return SILEX_OK;
}

static void memory_close(struct slx_store *base)
{
	struct memory_store *s = self(base);
	for (struct object *o = s->objects, *next; o; o = next) {
		next = o->next;
		free_object(s, o);
	}
	pthread_mutex_destroy(&s->lock);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s);
}

static const struct slx_store_ops memory_ops = {
	.begin = memory_begin,
	.get_range = memory_get_range,
	.size = memory_size,
	.list = memory_list,
	.remove = memory_remove,
	.quarantine = memory_quarantine,
	.free_space = memory_free_space,
	.close = memory_close,
};

silex_status slx_store_open_memory(struct slx_mem *mem, struct slx_store **ret, silex_error *err)
{
	struct memory_store *s = slx_calloc(mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	s->base.ops = &memory_ops;
	s->mem = mem;
	pthread_mutex_init(&s->lock, NULL);
	*ret = &s->base;
	return SILEX_OK;
}
