/* A store of the application, or one that an optional room brings (S3), as one of ours: include/silex/store.h's table behind
 * struct slx_store's. Names are checked here and listings put in order, so that an implementation need not. */
#include "storage/store/store_int.h"

#include <string.h>

enum { COPY_SIZE = 1 << 20 };

struct custom_store {
	struct slx_store base;
	struct slx_mem *mem;
	bool read_only;
	silex_store *inner;
	silex_env env; /* what inner takes memory from: ours, accounted */
};

struct custom_writer {
	struct slx_store_writer base;
	struct custom_store *store;
	void *inner;
};

static struct custom_store *self(struct slx_store *s) { return (struct custom_store *)s; }

static silex_status check_writable(const struct custom_store *s, silex_error *err)
{
	return s->read_only ? slx_err(err, SILEX_PERMISSION_DENIED, "open read-only") : SILEX_OK;
}

static silex_status custom_get_range(
	struct slx_store *base, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	SLX_TRY(slx_store_check_name(name, err));
	return self(base)->inner->ops->get_range(self(base)->inner, name, offset, buf, n, err);
}

static silex_status custom_size(struct slx_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	SLX_TRY(slx_store_check_name(name, err));
	return self(base)->inner->ops->size(self(base)->inner, name, ret, err);
}

static bool collect_name(void *arg, const char *name)
{
	struct slx_store_names *names = arg;
	slx_store_names_add(names, name);
	return !names->text.failed;
}

static silex_status custom_list(
	struct slx_store *base, const char *prefix, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	struct custom_store *s = self(base);
	struct slx_store_names names = { .prefix = prefix };
	slx_buf_init(&names.text, s->mem, SLX_MEM_OTHER, (size_t)1 << 28);
	silex_status st = s->inner->ops->list(s->inner, prefix, collect_name, &names, err);
	if (st == SILEX_OK)
		return slx_store_names_show(&names, each, arg, err);
	slx_buf_free(&names.text);
	return st;
}

static silex_status custom_remove(struct slx_store *base, const char *name, silex_error *err)
{
	SLX_TRY(check_writable(self(base), err));
	SLX_TRY(slx_store_check_name(name, err));
	return self(base)->inner->ops->remove(self(base)->inner, name, err);
}

static silex_status custom_free_space(struct slx_store *base, uint64_t *ret, silex_error *err)
{
	*ret = UINT64_MAX; /* it says when it is full */
	return SILEX_OK;
}

/* --- writing --- */

static struct custom_writer *writer(struct slx_store_writer *w) { return (struct custom_writer *)w; }

static void free_writer(struct custom_writer *w) { slx_free(w->store->mem, SLX_MEM_OTHER, w, sizeof *w); }

static silex_status writer_append(struct slx_store_writer *base, const void *bytes, size_t n, silex_error *err)
{
	silex_store *inner = writer(base)->store->inner;
	SLX_TRY(inner->ops->append(inner, writer(base)->inner, bytes, n, err));
	base->size += n;
	return SILEX_OK;
}

static silex_status writer_commit(struct slx_store_writer *base, silex_error *err)
{
	silex_store *inner = writer(base)->store->inner;
	silex_status st = inner->ops->commit(inner, writer(base)->inner, err);
	free_writer(writer(base));
	return st;
}

static void writer_abort(struct slx_store_writer *base)
{
	silex_store *inner = writer(base)->store->inner;
	inner->ops->abort(inner, writer(base)->inner);
	free_writer(writer(base));
}

static const struct slx_store_writer_ops writer_ops = { writer_append, writer_commit, writer_abort };

static silex_status custom_begin(
	struct slx_store *base, const char *name, struct slx_store_writer **ret, silex_error *err)
{
	struct custom_store *s = self(base);
	SLX_TRY(check_writable(s, err));
	SLX_TRY(slx_store_check_name(name, err));
	struct custom_writer *w = slx_calloc(s->mem, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	*w = (struct custom_writer){ .base = { .ops = &writer_ops }, .store = s };
	silex_status st = s->inner->ops->begin(s->inner, name, &w->inner, err);
	if (st != SILEX_OK) {
		free_writer(w);
		return st;
	}
	*ret = &w->base;
	return SILEX_OK;
}

/* --- setting aside: there is no rename, so a copy --- */

static silex_status copy(struct slx_store *s, const char *from, struct slx_store_writer *to, uint8_t *buf, silex_error *err)
{
	uint64_t size;
	SLX_TRY(custom_size(s, from, &size, err));
	for (uint64_t at = 0; at < size; at += COPY_SIZE) {
		size_t n = size - at < COPY_SIZE ? (size_t)(size - at) : COPY_SIZE;
		SLX_TRY(custom_get_range(s, from, at, n, buf, err));
		SLX_TRY(writer_append(to, buf, n, err));
	}
	return SILEX_OK;
}

static silex_status custom_quarantine(struct slx_store *base, const char *name, silex_error *err)
{
	struct custom_store *s = self(base);
	struct slx_store_writer *w = NULL;
	char damaged[SLX_STORE_NAME_SIZE_MAX + 1];
	uint64_t size;
	SLX_TRY(slx_store_damaged_name(name, damaged, err));
	SLX_TRY(custom_size(base, name, &size, err));
	silex_status st = custom_remove(base, damaged, err);
	if (st != SILEX_OK && st != SILEX_NOT_FOUND)
		return st;
	uint8_t *buf = slx_alloc(s->mem, SLX_MEM_OTHER, COPY_SIZE);
	if (!buf)
		return slx_err_oom(err);
	st = custom_begin(base, damaged, &w, err);
	if (st == SILEX_OK) {
		st = copy(base, name, w, buf, err);
		if (st == SILEX_OK)
			st = writer_commit(w, err);
		else
			writer_abort(w);
	}
	slx_free(s->mem, SLX_MEM_OTHER, buf, COPY_SIZE);
	return st == SILEX_OK ? custom_remove(base, name, err) : st;
}

/* --- open, stop, close --- */

static void custom_stop(struct slx_store *base)
{
	if (self(base)->inner->ops->stop)
		self(base)->inner->ops->stop(self(base)->inner);
}

static void custom_close(struct slx_store *base)
{
	struct custom_store *s = self(base);
	if (s->inner)
		s->inner->ops->close(s->inner);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s);
}

static const struct slx_store_ops custom_ops = {
	.begin = custom_begin,
	.get_range = custom_get_range,
	.size = custom_size,
	.list = custom_list,
	.remove = custom_remove,
	.quarantine = custom_quarantine,
	.free_space = custom_free_space,
	.stop = custom_stop,
	.close = custom_close,
};

static void *env_alloc(void *mem, size_t n) { return slx_alloc(mem, SLX_MEM_OTHER, n); }

static void *env_realloc(void *mem, void *p, size_t old_size, size_t n)
{
	return slx_realloc(mem, SLX_MEM_OTHER, p, old_size, n);
}

static void env_free(void *mem, void *p, size_t n) { slx_free(mem, SLX_MEM_OTHER, p, n); }

static silex_status check_ops(const silex_store *s, const silex_store_type *type, silex_error *err)
{
	const silex_store_ops *o = s ? s->ops : NULL;
	if (!o || o->struct_size < sizeof *o || !o->begin || !o->append || !o->commit || !o->abort || !o->get_range ||
		!o->size || !o->list || !o->remove || !o->close)
		return slx_err(err, SILEX_INVALID, "store type \"%s\": its table of functions is not whole (silex/store.h)", type->scheme);
	return SILEX_OK;
}

silex_status slx_store_open_custom(const struct slx_store_env *e, const silex_store_type *type,
	const silex_store_config *config, struct slx_store **ret, silex_error *err)
{
	struct custom_store *s = slx_calloc(e->mem, SLX_MEM_OTHER, sizeof *s);
	silex_store *inner = NULL;
	if (!s)
		return slx_err_oom(err);
	s->base.ops = &custom_ops;
	s->mem = e->mem;
	s->read_only = e->read_only;
	s->env.allocator = (silex_allocator){ e->mem, env_alloc, env_realloc, env_free };
	slx_clock_init(&s->env.clock, e->clock);
	slx_random_init(&s->env.random, e->random);
	silex_status st = type->open(type->ctx, config, &s->env, &inner, err);
	if (st == SILEX_OK)
		st = check_ops(inner, type, err);
	if (st == SILEX_OK)
		s->inner = inner;
	if (st != SILEX_OK)
		custom_close(&s->base);
	else
		*ret = &s->base;
	return st;
}
