/* Objects as files of a folder: NAME.tmp while it is written, NAME when it is whole and durable. Who writes holds a lock on NAME.tmp:
 * what others open the folder for writing find without one is left over from a crash.
 *
 * Reads keep a bounded table of open files. An entry in use is never closed: when all are in use a file is opened for
 * one read alone, and a removed object's entry is closed by its last reader. */
#include "base/hash.h"
#include "storage/store/store_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096, WRITE_SIZE = 256 << 10, FILES_DEFAULT = 64 };

struct open_file {
	struct slx_file *file; /* NULL: the entry is free */
	uint64_t hash;         /* of name */
	uint64_t used;         /* turn of its last use */
	unsigned readers;
	bool removed; /* not to be found any more */
	char name[SLX_STORE_NAME_SIZE_MAX + 1];
};

struct folder_store {
	struct slx_store base;
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	char *dir;
	bool read_only;
	unsigned files_max;
	pthread_mutex_t lock;
	/* lock */
	uint64_t turn;
	struct open_file *files; /* files_max */
};

struct folder_writer {
	struct slx_store_writer base;
	struct folder_store *store;
	struct slx_file *file;
	bool failed;
	size_t n; /* bytes gathered */
	char name[SLX_STORE_NAME_SIZE_MAX + 1];
	uint8_t bytes[WRITE_SIZE];
};

static struct folder_store *self(struct slx_store *s) { return (struct folder_store *)s; }

static silex_status path_of(
	const struct folder_store *s, const char *name, const char *suffix, char to[PATH_SIZE], silex_error *err)
{
	SLX_TRY(slx_store_check_name(name, err));
	if ((size_t)snprintf(to, PATH_SIZE, "%s/%s%s", s->dir, name, suffix) >= PATH_SIZE)
		return slx_err(err, SILEX_INVALID, "%s: path too long", s->dir);
	return SILEX_OK;
}

static silex_status check_writable(const struct folder_store *s, silex_error *err)
{
	return s->read_only ? slx_err(err, SILEX_PERMISSION_DENIED, "%s is open read-only", s->dir) : SILEX_OK;
}

/* --- reading --- */

/* lock held. */
static struct open_file *find_open(struct folder_store *s, const char *name, uint64_t hash)
{
	for (unsigned i = 0; i < s->files_max; i++) {
		struct open_file *f = &s->files[i];
		if (f->file && !f->removed && f->hash == hash && strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

/* lock held. A free entry, freed if need be; NULL when all are in use. */
static struct open_file *free_entry(struct folder_store *s)
{
	struct open_file *oldest = NULL;
	for (unsigned i = 0; i < s->files_max; i++) {
		struct open_file *f = &s->files[i];
		if (!f->file)
			return f;
		if (f->readers == 0 && (!oldest || f->used < oldest->used))
			oldest = f;
	}
	if (oldest) {
		slx_file_close(oldest->file);
		oldest->file = NULL;
	}
	return oldest;
}

static bool stop_there(void *arg, const char *name) { return false; }

/* A folder that is gone (a disk that was unmounted) must not make its objects seem to be. */
static silex_status absent(struct folder_store *s, silex_status st, silex_error *err)
{
	if (st != SILEX_NOT_FOUND || s->read_only || s->vfs->list(s->vfs, s->dir, stop_there, NULL, NULL) != SILEX_NOT_FOUND)
		return st;
	return slx_err(err, SILEX_UNAVAILABLE, "the folder %s is not there: is its disk mounted?", s->dir);
}

/* Finds or opens the object's file. *ret_entry is NULL when *ret_file is the caller's to close. */
static silex_status acquire(struct folder_store *s, const char *name, struct open_file **ret_entry,
	struct slx_file **ret_file, silex_error *err)
{
	char path[PATH_SIZE];
	uint64_t hash = slx_hash64(name, strlen(name));
	silex_status st = SILEX_OK;
	SLX_TRY(path_of(s, name, "", path, err));
	pthread_mutex_lock(&s->lock);
	struct open_file *f = find_open(s, name, hash);
	if (!f) {
		/* Opened under the lock, so that a remove cannot slip between open and entry. */
		struct slx_file *file = NULL;
		st = absent(s, s->vfs->open(s->vfs, path, SLX_OPEN_READ, &file, err), err);
		f = st == SILEX_OK ? free_entry(s) : NULL;
		if (f) {
			*f = (struct open_file){ .file = file, .hash = hash };
			snprintf(f->name, sizeof f->name, "%s", name);
		}
		*ret_file = file;
	}
	if (f) {
		f->readers++;
		f->used = ++s->turn;
		*ret_file = f->file;
	}
	*ret_entry = f;
	pthread_mutex_unlock(&s->lock);
	return st;
}

/* lock held. */
static void close_unused(struct open_file *f)
{
	if (f->readers == 0 && f->removed) {
		slx_file_close(f->file);
		f->file = NULL;
	}
}

static void release(struct folder_store *s, struct open_file *f, struct slx_file *file)
{
	if (!f) {
		slx_file_close(file);
		return;
	}
	pthread_mutex_lock(&s->lock);
	f->readers--;
	close_unused(f);
	pthread_mutex_unlock(&s->lock);
}

static silex_status folder_get_range(
	struct slx_store *base, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	struct open_file *f = NULL;
	struct slx_file *file = NULL;
	SLX_TRY(acquire(self(base), name, &f, &file, err));
	silex_status st = slx_file_read(file, buf, n, offset, err);
	release(self(base), f, file);
	return st;
}

static silex_status folder_size(struct slx_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	struct open_file *f = NULL;
	struct slx_file *file = NULL;
	SLX_TRY(acquire(self(base), name, &f, &file, err));
	silex_status st = slx_file_size(file, ret, err);
	release(self(base), f, file);
	return st;
}

static bool collect_name(void *arg, const char *name)
{
	slx_store_names_add(arg, name);
	return true;
}

static silex_status folder_list(
	struct slx_store *base, const char *prefix, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	struct folder_store *s = self(base);
	struct slx_store_names names = { .prefix = prefix };
	slx_buf_init(&names.text, s->mem, SLX_MEM_OTHER, (size_t)1 << 28);
	silex_status st = s->vfs->list(s->vfs, s->dir, collect_name, &names, err);
	if (st == SILEX_OK || (st == SILEX_NOT_FOUND && s->read_only))
		return slx_store_names_show(&names, each, arg, err);
	slx_buf_free(&names.text);
	return st;
}

/* --- removing --- */

static void forget(struct folder_store *s, const char *name)
{
	pthread_mutex_lock(&s->lock);
	struct open_file *f = find_open(s, name, slx_hash64(name, strlen(name)));
	if (f) {
		f->removed = true;
		close_unused(f);
	}
	pthread_mutex_unlock(&s->lock);
}

static silex_status folder_remove(struct slx_store *base, const char *name, silex_error *err)
{
	struct folder_store *s = self(base);
	char path[PATH_SIZE];
	SLX_TRY(check_writable(s, err));
	SLX_TRY(path_of(s, name, "", path, err));
	SLX_TRY(absent(s, s->vfs->unlink(s->vfs, path, err), err));
	forget(s, name);
	return SILEX_OK; /* not synced: an object that comes back after a crash is one that no manifest names */
}

static silex_status folder_quarantine(struct slx_store *base, const char *name, silex_error *err)
{
	struct folder_store *s = self(base);
	char path[PATH_SIZE], aside[PATH_SIZE], damaged[SLX_STORE_NAME_SIZE_MAX + 1];
	SLX_TRY(check_writable(s, err));
	SLX_TRY(slx_store_damaged_name(name, damaged, err));
	SLX_TRY(path_of(s, name, "", path, err));
	SLX_TRY(path_of(s, damaged, "", aside, err));
	SLX_TRY(s->vfs->rename(s->vfs, path, aside, err));
	forget(s, name);
	return s->vfs->sync_dir(s->vfs, s->dir, err);
}

static silex_status folder_free_space(struct slx_store *base, uint64_t *ret, silex_error *err)
{
	return self(base)->vfs->free_space(self(base)->vfs, self(base)->dir, ret, NULL, err);
}

/* --- writing --- */

static struct folder_writer *writer(struct slx_store_writer *w) { return (struct folder_writer *)w; }

static void free_writer(struct folder_writer *w)
{
	slx_file_close(w->file);
	slx_free(w->store->mem, SLX_MEM_OTHER, w, sizeof *w);
}

/* Writes what was gathered; it belongs at the end of what was appended before. */
static silex_status flush(struct folder_writer *w, silex_error *err)
{
	if (w->failed)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: an earlier write of this object failed", w->name);
	silex_status st = slx_file_write(w->file, w->bytes, w->n, w->base.size - w->n, err);
	w->failed = st != SILEX_OK;
	if (st == SILEX_OK)
		w->n = 0;
	return st;
}

static silex_status writer_append(struct slx_store_writer *base, const void *bytes, size_t n, silex_error *err)
{
	struct folder_writer *w = writer(base);
	const uint8_t *p = bytes;
	while (n > 0) {
		size_t part = sizeof w->bytes - w->n < n ? sizeof w->bytes - w->n : n;
		memcpy(w->bytes + w->n, p, part);
		w->n += part;
		w->base.size += part;
		p += part;
		n -= part;
		if (w->n == sizeof w->bytes)
			SLX_TRY(flush(w, err));
	}
	return SILEX_OK;
}

static silex_status publish(struct folder_writer *w, silex_error *err)
{
	struct folder_store *s = w->store;
	char tmp[PATH_SIZE], path[PATH_SIZE];
	SLX_TRY(path_of(s, w->name, SLX_STORE_TMP, tmp, err));
	SLX_TRY(path_of(s, w->name, "", path, err));
	silex_status st = flush(w, err);
	if (st == SILEX_OK)
		st = slx_file_sync(w->file, err);
	if (st == SILEX_OK)
		st = s->vfs->rename(s->vfs, tmp, path, err);
	if (st != SILEX_OK) {
		s->vfs->unlink(s->vfs, tmp, NULL);
		return st;
	}
	st = s->vfs->sync_dir(s->vfs, s->dir, err);
	if (st != SILEX_OK)
		s->vfs->unlink(s->vfs, path, NULL);
	return st;
}

static silex_status writer_commit(struct slx_store_writer *base, silex_error *err)
{
	silex_status st = publish(writer(base), err);
	free_writer(writer(base));
	return st;
}

static void writer_abort(struct slx_store_writer *base)
{
	struct folder_writer *w = writer(base);
	char tmp[PATH_SIZE];
	if (path_of(w->store, w->name, SLX_STORE_TMP, tmp, NULL) == SILEX_OK)
		w->store->vfs->unlink(w->store->vfs, tmp, NULL); /* else the next open removes it */
	free_writer(w);
}

static const struct slx_store_writer_ops writer_ops = { writer_append, writer_commit, writer_abort };

static silex_status check_absent(struct folder_store *s, const char *path, silex_error *err)
{
	struct slx_file *f = NULL;
	silex_status st = s->vfs->open(s->vfs, path, SLX_OPEN_READ, &f, err);
	slx_file_close(f);
	if (st == SILEX_OK)
		return slx_err(err, SILEX_CONFLICT, "%s exists", path);
	return st == SILEX_NOT_FOUND ? SILEX_OK : st;
}

static silex_status folder_begin(
	struct slx_store *base, const char *name, struct slx_store_writer **ret, silex_error *err)
{
	struct folder_store *s = self(base);
	char tmp[PATH_SIZE], path[PATH_SIZE];
	SLX_TRY(check_writable(s, err));
	SLX_TRY(path_of(s, name, SLX_STORE_TMP, tmp, err));
	SLX_TRY(path_of(s, name, "", path, err));
	SLX_TRY(check_absent(s, path, err));
	struct folder_writer *w = slx_alloc(s->mem, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	w->base = (struct slx_store_writer){ .ops = &writer_ops };
	w->store = s;
	w->file = NULL;
	w->failed = false;
	w->n = 0;
	snprintf(w->name, sizeof w->name, "%s", name);
	silex_status st = s->vfs->open(s->vfs, tmp, SLX_OPEN_WRITE | SLX_OPEN_CREATE | SLX_OPEN_EXCL, &w->file, err);
	if (st == SILEX_OK)
		st = slx_file_lock(w->file, SLX_LOCK_EXCLUSIVE, err);
	if (st != SILEX_OK) {
		free_writer(w);
		return st;
	}
	*ret = &w->base;
	return SILEX_OK;
}

/* --- open and close --- */

static void folder_close(struct slx_store *base)
{
	struct folder_store *s = self(base);
	for (unsigned i = 0; s->files && i < s->files_max; i++)
		slx_file_close(s->files[i].file);
	slx_free(s->mem, SLX_MEM_OTHER, s->files, s->files_max * sizeof *s->files);
	if (s->dir)
		slx_free(s->mem, SLX_MEM_OTHER, s->dir, strlen(s->dir) + 1);
	pthread_mutex_destroy(&s->lock);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s);
}

static const struct slx_store_ops folder_ops = {
	.begin = folder_begin,
	.get_range = folder_get_range,
	.size = folder_size,
	.list = folder_list,
	.remove = folder_remove,
	.quarantine = folder_quarantine,
	.free_space = folder_free_space,
	.close = folder_close,
};

struct leftovers {
	struct folder_store *store;
	silex_status st;
	silex_error *err;
};

/* Does somebody else, perhaps another program, write it? */
static bool in_work(struct folder_store *s, const char *path)
{
	struct slx_file *f = NULL;
	if (s->vfs->open(s->vfs, path, SLX_OPEN_WRITE, &f, NULL) != SILEX_OK)
		return false;
	bool locked = slx_file_lock(f, SLX_LOCK_EXCLUSIVE, NULL) == SILEX_CONFLICT;
	slx_file_close(f);
	return locked;
}

static bool remove_leftover(void *arg, const char *name)
{
	struct leftovers *l = arg;
	char path[PATH_SIZE];
	size_t n = strlen(name), tmp = strlen(SLX_STORE_TMP);
	if (n > tmp && strcmp(name + n - tmp, SLX_STORE_TMP) == 0 &&
		(size_t)snprintf(path, sizeof path, "%s/%s", l->store->dir, name) < sizeof path && !in_work(l->store, path))
		l->st = l->store->vfs->unlink(l->store->vfs, path, l->err);
	return l->st == SILEX_OK;
}

static silex_status prepare_folder(struct folder_store *s, silex_error *err)
{
	struct leftovers l = { .store = s, .err = err };
	SLX_TRY(slx_vfs_make_dir(s->vfs, s->dir, err));
	SLX_TRY(s->vfs->list(s->vfs, s->dir, remove_leftover, &l, err));
	return l.st;
}

silex_status slx_store_open_folder(struct slx_vfs *vfs, struct slx_mem *mem, const char *dir, unsigned files_max,
	bool read_only, struct slx_store **ret, silex_error *err)
{
	size_t dir_size = strlen(dir) + 1;
	struct folder_store *s = slx_calloc(mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	*s = (struct folder_store){ .base = { &folder_ops }, .vfs = vfs, .mem = mem, .read_only = read_only };
	pthread_mutex_init(&s->lock, NULL);
	s->files_max = files_max ? files_max : FILES_DEFAULT;
	s->dir = slx_alloc(mem, SLX_MEM_OTHER, dir_size);
	s->files = slx_calloc(mem, SLX_MEM_OTHER, s->files_max * sizeof *s->files);
	if (s->dir)
		memcpy(s->dir, dir, dir_size);
	silex_status st = s->dir && s->files ? SILEX_OK : slx_err_oom(err);
	if (st == SILEX_OK && !read_only)
		st = prepare_folder(s, err);
	if (st != SILEX_OK) {
		folder_close(&s->base);
		return st;
	}
	*ret = &s->base;
	return SILEX_OK;
}
