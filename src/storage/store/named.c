/* Stores that people name and address by a url: the name goes before every message, and what was moved is counted.
 *
 * A folder may be on a disk that is not mounted yet, so a store that cannot be opened is opened again at its next use; only
 * a url that is wrong as it stands fails at once. */
#include "storage/store/store_int.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE_MAX = 64 };

struct named_store {
	struct slx_store base;
	struct slx_store_env env;
	silex_store_config config;
	pthread_mutex_t lock; /* opening */
	_Atomic(struct slx_store *) inner; /* NULL until it could be opened; then it stays */
	_Atomic uint64_t gets, get_bytes, puts, put_bytes, removes, errors;
	char name[NAME_SIZE_MAX + 1];
};

struct named_writer {
	struct slx_store_writer base;
	struct named_store *store;
	struct slx_store_writer *inner;
};

static struct named_store *self(struct slx_store *s) { return (struct named_store *)s; }

/* What an object is not is no fault of the store. */
static silex_status say(struct named_store *s, silex_status st, silex_error *err)
{
	if (st == SILEX_OK)
		return st;
	if (st != SILEX_NOT_FOUND && st != SILEX_CONFLICT && st != SILEX_CANCELED)
		s->errors++;
	if (err)
		slx_err_wrap(err, "store %s", s->name);
	return st;
}

static silex_status open_inner(
	const struct slx_store_env *e, const silex_store_config *c, struct slx_store **ret, silex_error *err);

static silex_status reach(struct named_store *s, struct slx_store **ret, silex_error *err)
{
	silex_status st = SILEX_OK;
	*ret = s->inner;
	if (*ret)
		return SILEX_OK;
	pthread_mutex_lock(&s->lock);
	*ret = s->inner;
	if (!*ret)
		st = open_inner(&s->env, &s->config, ret, err);
	if (st == SILEX_OK)
		s->inner = *ret;
	pthread_mutex_unlock(&s->lock);
	if (st == SILEX_NOT_FOUND) { /* the folder, not the object */
		if (err)
			err->code = SILEX_UNAVAILABLE;
		st = SILEX_UNAVAILABLE;
	}
	return st;
}

static silex_status named_get_range(
	struct slx_store *base, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	struct named_store *s = self(base);
	struct slx_store *inner;
	silex_status st = reach(s, &inner, err);
	if (st == SILEX_OK)
		st = slx_store_get_range(inner, name, offset, n, buf, err);
	if (st != SILEX_OK)
		return say(s, st, err);
	s->gets++;
	s->get_bytes += n;
	return SILEX_OK;
}

static silex_status named_size(struct slx_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	struct slx_store *inner;
	silex_status st = reach(self(base), &inner, err);
	return say(self(base), st == SILEX_OK ? slx_store_size(inner, name, ret, err) : st, err);
}

static silex_status named_list(
	struct slx_store *base, const char *prefix, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	struct slx_store *inner;
	silex_status st = reach(self(base), &inner, err);
	return say(self(base), st == SILEX_OK ? slx_store_list(inner, prefix, each, arg, err) : st, err);
}

static silex_status named_remove(struct slx_store *base, const char *name, silex_error *err)
{
	struct slx_store *inner;
	silex_status st = reach(self(base), &inner, err);
	if (st == SILEX_OK)
		st = slx_store_remove(inner, name, err);
	self(base)->removes += st == SILEX_OK;
	return say(self(base), st, err);
}

static silex_status named_quarantine(struct slx_store *base, const char *name, silex_error *err)
{
	struct slx_store *inner;
	silex_status st = reach(self(base), &inner, err);
	return say(self(base), st == SILEX_OK ? slx_store_quarantine(inner, name, err) : st, err);
}

static silex_status named_free_space(struct slx_store *base, uint64_t *ret, silex_error *err)
{
	struct slx_store *inner;
	silex_status st = reach(self(base), &inner, err);
	return say(self(base), st == SILEX_OK ? slx_store_free_space(inner, ret, err) : st, err);
}

static void named_stop(struct slx_store *base) { slx_store_stop(self(base)->inner); }

static void named_close(struct slx_store *base)
{
	struct named_store *s = self(base);
	slx_store_close(s->inner);
	pthread_mutex_destroy(&s->lock);
	slx_free(s->env.mem, SLX_MEM_OTHER, s, sizeof *s);
}

/* --- writing --- */

static struct named_writer *writer(struct slx_store_writer *w) { return (struct named_writer *)w; }

static silex_status writer_append(struct slx_store_writer *base, const void *bytes, size_t n, silex_error *err)
{
	silex_status st = slx_store_append(writer(base)->inner, bytes, n, err);
	base->size = writer(base)->inner->size;
	return say(writer(base)->store, st, err);
}

static silex_status writer_commit(struct slx_store_writer *base, silex_error *err)
{
	struct named_store *s = writer(base)->store;
	silex_status st = slx_store_commit(writer(base)->inner, err);
	if (st == SILEX_OK) {
		s->puts++;
		s->put_bytes += base->size;
	}
	slx_free(s->env.mem, SLX_MEM_OTHER, base, sizeof(struct named_writer));
	return say(s, st, err);
}

static void writer_abort(struct slx_store_writer *base)
{
	slx_store_abort(writer(base)->inner);
	slx_free(writer(base)->store->env.mem, SLX_MEM_OTHER, base, sizeof(struct named_writer));
}

static const struct slx_store_writer_ops writer_ops = { writer_append, writer_commit, writer_abort };

static silex_status named_begin(
	struct slx_store *base, const char *name, struct slx_store_writer **ret, silex_error *err)
{
	struct named_store *s = self(base);
	struct named_writer *w = slx_calloc(s->env.mem, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	*w = (struct named_writer){ .base = { .ops = &writer_ops }, .store = s };
	struct slx_store *inner;
	silex_status st = reach(s, &inner, err);
	if (st == SILEX_OK)
		st = slx_store_begin(inner, name, &w->inner, err);
	if (st != SILEX_OK) {
		slx_free(s->env.mem, SLX_MEM_OTHER, w, sizeof *w);
		return say(s, st, err);
	}
	*ret = &w->base;
	return SILEX_OK;
}

static const struct slx_store_ops named_ops = {
	.begin = named_begin,
	.get_range = named_get_range,
	.size = named_size,
	.list = named_list,
	.remove = named_remove,
	.quarantine = named_quarantine,
	.free_space = named_free_space,
	.stop = named_stop,
	.close = named_close,
};

void slx_store_stats(struct slx_store *base, struct slx_store_stats *ret)
{
	struct named_store *s = self(base);
	*ret = (struct slx_store_stats){ s->gets, s->get_bytes, s->puts, s->put_bytes, s->removes, s->errors };
}

/* --- urls --- */

/* Length of "s3" in "s3://bucket"; 0 when it is a path. */
static size_t scheme_of(const char *url)
{
	size_t n = 0;
	while (islower((unsigned char)url[n]) || (n && (isdigit((unsigned char)url[n]) || url[n] == '+' || url[n] == '-')))
		n++;
	return url[n] == ':' ? n : 0;
}

static bool scheme_is(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);
	return strncmp(url, scheme, n) == 0 && url[n] == ':';
}

static const silex_store_type *type_of(const struct slx_store_env *e, const char *url)
{
	for (size_t i = 0; i < e->n_types; i++)
		if (scheme_is(url, e->types[i]->scheme))
			return e->types[i];
	return NULL;
}

static silex_status unknown_scheme(const char *url, silex_error *err)
{
	if (scheme_is(url, "s3"))
		return slx_err(err, SILEX_UNSUPPORTED, "this program has no S3: use the command silex, or build libsilex with "
			"-DSILEX_LIBRARY_S3=ON and put &silex_s3_store into silex_options.store_types");
	return slx_err(err, SILEX_INVALID, "\"%.*s:\" is no kind of store; expected a path, folder:/path, memory:, s3://bucket "
		"or the scheme of a registered type", (int)scheme_of(url), url);
}

silex_status slx_store_check_types(const silex_store_type *const *types, size_t n, silex_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const silex_store_type *t = types[i];
		char url[80];
		if (!t || t->struct_size < sizeof *t || !t->scheme || !t->open ||
			(size_t)snprintf(url, sizeof url, "%s:", t->scheme) >= sizeof url || scheme_of(url) != strlen(t->scheme) ||
			scheme_is(url, "memory") || scheme_is(url, "folder"))
			return slx_err(err, SILEX_INVALID, "store type %zu of the application: expected struct_size, a scheme of its own "
				"([a-z][a-z0-9+-]*) and open", i);
		for (size_t k = 0; k < i; k++)
			if (strcmp(types[k]->scheme, t->scheme) == 0)
				return slx_err(err, SILEX_INVALID, "two store types have the scheme \"%s\"", t->scheme);
	}
	return SILEX_OK;
}

silex_status slx_store_check_config(const silex_store_config *c, silex_error *err)
{
	size_t n = c->name ? strlen(c->name) : 0;
	bool ok = n >= 1 && n <= NAME_SIZE_MAX;
	for (size_t i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)c->name[i]) || c->name[i] == '_' || c->name[i] == '-';
	if (c->struct_size < sizeof *c)
		return slx_err(err, SILEX_INVALID, "a store's struct_size is %u; expected sizeof(silex_store_config)", c->struct_size);
	if (!ok)
		return slx_err(err, SILEX_INVALID, "store name \"%.80s\"; expected [A-Za-z0-9_-]{1,%d}", c->name ? c->name : "", NAME_SIZE_MAX);
	if (!c->url || !c->url[0])
		return slx_err(err, SILEX_INVALID, "store %s has no url; expected a path, folder:/path, memory: or s3://bucket", c->name);
	return SILEX_OK;
}

static silex_status open_inner(
	const struct slx_store_env *e, const silex_store_config *c, struct slx_store **ret, silex_error *err)
{
	const silex_store_type *type = type_of(e, c->url);
	const char *path = scheme_is(c->url, "folder") ? c->url + strlen("folder:") : c->url;
	if (type)
		return slx_store_open_custom(e, type, c, ret, err);
	if (strcmp(c->url, "memory:") == 0)
		return slx_store_open_memory(e->mem, ret, err);
	if (path == c->url && scheme_of(c->url))
		return unknown_scheme(c->url, err);
	if (!*path)
		return slx_err(err, SILEX_INVALID, "\"%s\" names no folder; expected folder:/path", c->url);
	return slx_store_open_folder(e->vfs, e->mem, path, 0, e->read_only, ret, err);
}

silex_status slx_store_open(
	const struct slx_store_env *e, const silex_store_config *c, struct slx_store **ret, silex_error *err)
{
	SLX_TRY(slx_store_check_config(c, err));
	struct named_store *s = slx_calloc(e->mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	s->base.ops = &named_ops;
	s->env = *e;
	s->config = *c;
	pthread_mutex_init(&s->lock, NULL);
	snprintf(s->name, sizeof s->name, "%s", c->name);
	silex_error own;
	struct slx_store *inner;
	silex_status st = reach(s, &inner, &own);
	if (st == SILEX_INVALID || st == SILEX_UNSUPPORTED || st == SILEX_CONFLICT) {
		slx_err(err, st, "store %s: %s", s->name, own.message);
		named_close(&s->base);
		return st;
	}
	*ret = &s->base;
	return SILEX_OK;
}
