#include "backup/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUMP_SIZE = 1 << 20 };

void slx_place_init(struct slx_place *p, struct slx_mem *mem, const silex_options *o)
{
	slx_mem_init(mem, &o->env.allocator);
	p->vfs = o->env.vfs ? o->env.vfs : slx_vfs_posix();
	p->mem = mem;
	p->options = o;
	slx_clock_init(&p->clock, &o->env.clock);
	slx_random_init(&p->random, &o->env.random);
}

int64_t slx_place_now_ms(const struct slx_place *p) { return slx_wall_ns(&p->clock) / 1000000; }

silex_status slx_progress_add(struct slx_progress *p, uint64_t n, silex_error *err)
{
	p->done += n;
	if (p->fn && !p->fn(p->arg, p->stage, p->done, p->total))
		return slx_err(err, SILEX_CANCELED, "canceled");
	return SILEX_OK;
}

/* --- folders ---------------------------------------------------------------------------------------------------------------- */

silex_status slx_place_path(char to[SLX_PATH_SIZE], const char *dir, const char *name, silex_error *err)
{
	int n = snprintf(to, SLX_PATH_SIZE, name ? "%s/%s" : "%s", dir, name);
	return n < SLX_PATH_SIZE ? SILEX_OK : slx_err(err, SILEX_INVALID, "path of %d bytes; expected at most %d", n, SLX_PATH_SIZE - 1);
}

void slx_names_init(struct slx_names *n, struct slx_mem *m) { *n = (struct slx_names){ .mem = m }; }

bool slx_names_add(void *names, const char *name)
{
	struct slx_names *l = names;
	size_t size = strlen(name) + 1;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		char **v = slx_realloc(l->mem, SLX_MEM_OTHER, l->v, l->cap * sizeof *v, cap * sizeof *v);
		l->failed |= !v;
		if (!v)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n] = slx_alloc(l->mem, SLX_MEM_OTHER, size);
	l->failed |= !l->v[l->n];
	if (l->failed)
		return false;
	memcpy(l->v[l->n++], name, size);
	return true;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void slx_names_sort(struct slx_names *n)
{
	if (n->n)
		qsort(n->v, n->n, sizeof *n->v, by_name);
}

bool slx_names_have(const struct slx_names *n, const char *name) { return n->n && bsearch(&name, n->v, n->n, sizeof *n->v, by_name); }

void slx_names_free(struct slx_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		slx_free(n->mem, SLX_MEM_OTHER, n->v[i], strlen(n->v[i]) + 1);
	slx_free(n->mem, SLX_MEM_OTHER, n->v, n->cap * sizeof *n->v);
	*n = (struct slx_names){ .mem = n->mem };
}

silex_status slx_place_list(struct slx_place *p, const char *dir, struct slx_names *ret, bool *ret_there, silex_error *err)
{
	silex_error own;
	slx_names_init(ret, p->mem);
	silex_status st = p->vfs->list(p->vfs, dir, slx_names_add, ret, &own);
	*ret_there = st == SILEX_OK;
	if (st == SILEX_NOT_FOUND)
		return SILEX_OK;
	if (st == SILEX_OK && ret->failed)
		st = slx_err_oom(&own);
	slx_names_sort(ret);
	return st == SILEX_OK ? st : slx_err(err, st, "%s", own.message);
}

silex_status slx_place_remove(struct slx_place *p, const char *path, silex_error *err)
{
	struct slx_names names;
	char inner[SLX_PATH_SIZE];
	bool there;
	silex_status st = p->vfs->unlink(p->vfs, path, err);
	if (st == SILEX_OK || st == SILEX_NOT_FOUND)
		return SILEX_OK;
	st = slx_place_list(p, path, &names, &there, err); /* a folder, then; else the first error says it */
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++) {
		st = slx_place_path(inner, path, names.v[i], err);
		if (st == SILEX_OK)
			st = slx_place_remove(p, inner, err);
	}
	slx_names_free(&names);
	return st == SILEX_OK ? p->vfs->rmdir(p->vfs, path, err) : st;
}

static silex_status move_one(struct slx_place *p, const char *from, const char *to, const char *name, silex_error *err)
{
	char a[SLX_PATH_SIZE], b[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(a, from, name, err));
	SLX_TRY(slx_place_path(b, to, name, err));
	return p->vfs->rename(p->vfs, a, b, err);
}

silex_status slx_place_move(struct slx_place *p, const char *from, const char *to, const char *last, silex_error *err)
{
	struct slx_names names;
	bool there;
	silex_status st = slx_place_list(p, from, &names, &there, err);
	if (st == SILEX_OK && there)
		st = slx_vfs_make_dir(p->vfs, to, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++)
		if (!last || strcmp(names.v[i], last) != 0)
			st = move_one(p, from, to, names.v[i], err);
	if (st == SILEX_OK && last && slx_names_have(&names, last)) {
		st = p->vfs->sync_dir(p->vfs, to, err);
		if (st == SILEX_OK)
			st = move_one(p, from, to, last, err);
	}
	if (st == SILEX_OK && there)
		st = p->vfs->sync_dir(p->vfs, to, err);
	if (st == SILEX_OK && there)
		st = p->vfs->sync_dir(p->vfs, from, err);
	slx_names_free(&names);
	return st;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------- */

silex_status slx_object_read(void *source, uint64_t offset, size_t n, void *to, silex_error *err)
{
	struct slx_object *o = source;
	return slx_store_get_range(o->store, o->name, offset, n, to, err);
}

silex_status slx_object_write(void *sink, const void *p, size_t n, silex_error *err) { return slx_store_append(sink, p, n, err); }

silex_status slx_file_source(void *source, uint64_t offset, size_t n, void *to, silex_error *err) { return slx_file_read(source, to, n, offset, err); }

silex_status slx_file_sink(void *sink, const void *p, size_t n, silex_error *err)
{
	struct slx_growing *g = sink;
	SLX_TRY(slx_file_write(g->file, p, n, g->size, err));
	g->size += n;
	return SILEX_OK;
}

silex_status slx_pump(struct slx_place *p, slx_source_fn *from, void *source, uint64_t size, slx_sink_fn *to, void *sink,
	struct slx_progress *progress, struct slx_hash128 *ret, silex_error *err)
{
	struct slx_hasher h;
	uint8_t *buf = slx_alloc(p->mem, SLX_MEM_OTHER, PUMP_SIZE);
	silex_status st = buf ? SILEX_OK : slx_err_oom(err);
	slx_hasher_init(&h);
	for (uint64_t at = 0; at < size && st == SILEX_OK;) {
		size_t n = size - at < PUMP_SIZE ? (size_t)(size - at) : PUMP_SIZE;
		st = from(source, at, n, buf, err);
		if (st == SILEX_OK)
			slx_hasher_put(&h, buf, n);
		if (st == SILEX_OK && to)
			st = to(sink, buf, n, err);
		if (st == SILEX_OK)
			st = slx_progress_add(progress, n, err);
		at += n;
	}
	slx_free(p->mem, SLX_MEM_OTHER, buf, PUMP_SIZE);
	if (st == SILEX_OK && ret)
		*ret = slx_hasher_get(&h);
	return st;
}

silex_status slx_object_copy(struct slx_place *p, struct slx_store *from, const char *name, uint64_t size, struct slx_store *to, const char *to_name,
	const struct slx_hash128 *expected, struct slx_progress *progress, struct slx_hash128 *ret, silex_error *err)
{
	struct slx_object o = { from, name };
	struct slx_store_writer *w;
	struct slx_hash128 hash;
	SLX_TRY(slx_store_begin(to, to_name, &w, err));
	silex_status st = slx_pump(p, slx_object_read, &o, size, slx_object_write, w, progress, &hash, err);
	if (st == SILEX_OK && expected && !slx_hash128_eq(hash, *expected))
		st = slx_err(err, SILEX_CORRUPT, "%s is damaged: its checksum does not fit", name);
	if (st != SILEX_OK) {
		slx_store_abort(w);
		return st;
	}
	SLX_TRY(slx_store_commit(w, err));
	if (ret)
		*ret = hash;
	return SILEX_OK;
}

silex_status slx_object_put(struct slx_store *s, const char *name, const void *bytes, size_t n, silex_error *err)
{
	struct slx_store_writer *w;
	SLX_TRY(slx_store_begin(s, name, &w, err));
	silex_status st = slx_store_append(w, bytes, n, err);
	if (st == SILEX_OK)
		return slx_store_commit(w, err);
	slx_store_abort(w);
	return st;
}

silex_status slx_object_get(struct slx_place *p, struct slx_store *s, const char *name, size_t size_max, uint8_t **ret, size_t *ret_n, silex_error *err)
{
	uint64_t size;
	SLX_TRY(slx_store_size(s, name, &size, err));
	if (size > size_max)
		return slx_err(err, SILEX_CORRUPT, "%s: %llu bytes; expected at most %zu", name, (unsigned long long)size, size_max);
	uint8_t *bytes = slx_alloc(p->mem, SLX_MEM_OTHER, (size_t)size);
	if (!bytes)
		return slx_err_oom(err);
	silex_status st = slx_store_get_range(s, name, 0, (size_t)size, bytes, err);
	if (st != SILEX_OK) {
		slx_free(p->mem, SLX_MEM_OTHER, bytes, (size_t)size);
		return st;
	}
	*ret = bytes;
	*ret_n = (size_t)size;
	return SILEX_OK;
}

/* --- an object as a file ------------------------------------------------------------------------------------------------------ */

struct object_file {
	struct slx_file base;
	struct slx_mem *mem;
	struct slx_object object;
	uint64_t size;
};

static silex_status object_file_read(struct slx_file *f, void *buf, size_t n, uint64_t offset, silex_error *err)
{
	return slx_object_read(&((struct object_file *)f)->object, offset, n, buf, err);
}

static silex_status object_file_size(struct slx_file *f, uint64_t *ret, silex_error *err)
{
	*ret = ((struct object_file *)f)->size;
	return SILEX_OK;
}

static void object_file_close(struct slx_file *f) { slx_free(((struct object_file *)f)->mem, SLX_MEM_OTHER, f, sizeof(struct object_file)); }

static const struct slx_file_ops object_file_ops = { .read = object_file_read, .size = object_file_size, .close = object_file_close };

silex_status slx_object_file(struct slx_place *p, struct slx_store *s, const char *name, struct slx_file **ret, silex_error *err)
{
	uint64_t size;
	SLX_TRY(slx_store_size(s, name, &size, err));
	struct object_file *f = slx_calloc(p->mem, SLX_MEM_OTHER, sizeof *f);
	if (!f)
		return slx_err_oom(err);
	*f = (struct object_file){ { &object_file_ops }, p->mem, { s, name }, size };
	*ret = &f->base;
	return SILEX_OK;
}
