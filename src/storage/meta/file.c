/* Documents as files of a folder. One lock makes cas one step; the folder is locked against other processes by whoever
 * opened the database. */
#include "base/buf.h"
#include "base/bytes.h"
#include "storage/meta/meta_int.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

struct file_meta {
	struct slx_meta base;
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	bool read_only;
	pthread_mutex_t lock; /* held over a whole cas */
	char dir[];
};

static struct file_meta *self(struct slx_meta *m) { return (struct file_meta *)m; }

static silex_status path_of(const struct file_meta *m, const char *key, char to[PATH_SIZE], silex_error *err)
{
	SLX_TRY(slx_meta_check_key(key, err));
	if ((size_t)snprintf(to, PATH_SIZE, "%s/%s", m->dir, key) >= PATH_SIZE)
		return slx_err(err, SILEX_INVALID, "%s: path too long", m->dir);
	return SILEX_OK;
}

static silex_status file_get(
	struct slx_meta *base, const char *key, uint8_t **ret, size_t *ret_n, uint64_t *ret_version, silex_error *err)
{
	struct file_meta *m = self(base);
	char path[PATH_SIZE];
	uint8_t *file = NULL, *value = NULL;
	size_t n = 0;
	uint64_t version = 0;
	SLX_TRY(path_of(m, key, path, err));
	SLX_TRY(slx_vfs_read_file(m->vfs, m->mem, path, SLX_META_HEADER_SIZE + SLX_META_SIZE_MAX, &file, &n, err));
	silex_status st = slx_meta_decode(path, file, n, &version, err);
	if (st == SILEX_OK && !(value = slx_alloc(m->mem, SLX_MEM_OTHER, n - SLX_META_HEADER_SIZE)))
		st = slx_err_oom(err);
	if (st == SILEX_OK) {
		memcpy(value, file + SLX_META_HEADER_SIZE, n - SLX_META_HEADER_SIZE);
		*ret = value;
		*ret_n = n - SLX_META_HEADER_SIZE;
		*ret_version = version;
	}
	slx_free(m->mem, SLX_MEM_OTHER, file, n);
	return st;
}

/* lock held. 0 when there is no such document. */
static silex_status current_version(struct file_meta *m, const char *key, uint64_t *ret, silex_error *err)
{
	uint8_t *value = NULL;
	size_t n = 0;
	silex_status st = file_get(&m->base, key, &value, &n, ret, err);
	if (st == SILEX_NOT_FOUND) {
		*ret = 0;
		return SILEX_OK;
	}
	slx_free(m->mem, SLX_MEM_OTHER, value, n);
	return st;
}

/* lock held. */
static silex_status replace(
	struct file_meta *m, const char *path, const void *bytes, size_t n, uint64_t version, silex_error *err)
{
	uint8_t *file = slx_alloc(m->mem, SLX_MEM_OTHER, SLX_META_HEADER_SIZE + n);
	if (!file)
		return slx_err_oom(err);
	slx_meta_encode(bytes, n, version, file);
	if (n)
		memcpy(file + SLX_META_HEADER_SIZE, bytes, n);
	silex_status st = slx_vfs_write_file(m->vfs, path, file, SLX_META_HEADER_SIZE + n, err);
	slx_free(m->mem, SLX_MEM_OTHER, file, SLX_META_HEADER_SIZE + n);
	return st;
}

static silex_status file_cas(struct slx_meta *base, const char *key, const void *bytes, size_t n,
	uint64_t expected_version, uint64_t *ret_version, silex_error *err)
{
	struct file_meta *m = self(base);
	char path[PATH_SIZE];
	uint64_t version = 0;
	SLX_TRY(path_of(m, key, path, err));
	if (m->read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s is open read-only", m->dir);
	if (n > SLX_META_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "%s: %zu bytes; expected at most %d", key, n, SLX_META_SIZE_MAX);
	pthread_mutex_lock(&m->lock);
	silex_status st = current_version(m, key, &version, err);
	if (st == SILEX_OK && version != expected_version)
		st = slx_meta_conflict(key, version, expected_version, err);
	if (st == SILEX_OK)
		st = replace(m, path, bytes, n, version + 1, err);
	pthread_mutex_unlock(&m->lock);
	if (st == SILEX_OK && ret_version)
		*ret_version = version + 1;
	return st;
}

struct keys {
	struct slx_buf text; /* keys, each in SLX_META_KEY_SIZE_MAX + 1 bytes */
	const char *prefix;
};

static bool collect_key(void *arg, const char *name)
{
	struct keys *k = arg;
	char text[SLX_META_KEY_SIZE_MAX + 1] = "";
	if (strncmp(name, k->prefix, strlen(k->prefix)) == 0 && slx_meta_check_key(name, NULL) == SILEX_OK) {
		snprintf(text, sizeof text, "%s", name);
		slx_buf_put(&k->text, text, sizeof text);
	}
	return true;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static silex_status file_list(
	struct slx_meta *base, const char *prefix, bool (*each)(void *arg, const char *key), void *arg, silex_error *err)
{
	struct file_meta *m = self(base);
	struct keys k = { .prefix = prefix };
	enum { SIZE = SLX_META_KEY_SIZE_MAX + 1 };
	slx_buf_init(&k.text, m->mem, SLX_MEM_OTHER, (size_t)1 << 26);
	silex_status st = m->vfs->list(m->vfs, m->dir, collect_key, &k, err);
	if (st == SILEX_NOT_FOUND && m->read_only)
		st = SILEX_OK;
	if (st == SILEX_OK && k.text.failed)
		st = slx_err_oom(err);
	if (st == SILEX_OK && k.text.n) {
		qsort(k.text.p, k.text.n / SIZE, SIZE, by_text);
		for (size_t i = 0; i < k.text.n && each(arg, (const char *)k.text.p + i); i += SIZE)
			;
	}
	slx_buf_free(&k.text);
	return st;
}

static void file_close(struct slx_meta *base)
{
	struct file_meta *m = self(base);
	pthread_mutex_destroy(&m->lock);
	slx_free(m->mem, SLX_MEM_OTHER, m, sizeof *m + strlen(m->dir) + 1);
}

static const struct slx_meta_ops file_ops = { file_get, file_cas, file_list, file_close };

silex_status slx_meta_open_file(
	struct slx_vfs *vfs, struct slx_mem *mem, const char *dir, bool read_only, struct slx_meta **ret, silex_error *err)
{
	size_t dir_size = strlen(dir) + 1;
	if (!read_only)
		SLX_TRY(slx_vfs_make_dir(vfs, dir, err));
	struct file_meta *m = slx_alloc(mem, SLX_MEM_OTHER, sizeof *m + dir_size);
	if (!m)
		return slx_err_oom(err);
	*m = (struct file_meta){ .base = { &file_ops }, .vfs = vfs, .mem = mem, .read_only = read_only };
	pthread_mutex_init(&m->lock, NULL);
	memcpy(m->dir, dir, dir_size);
	*ret = &m->base;
	return SILEX_OK;
}
