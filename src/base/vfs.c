/* What can be said with the calls of any VFS. */
#include "base/vfs.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

silex_status slx_vfs_read_file(struct slx_vfs *v, struct slx_mem *m, const char *path, size_t size_max, uint8_t **ret,
	size_t *ret_n, silex_error *err)
{
	struct slx_file *f = NULL;
	uint8_t *bytes = NULL;
	uint64_t size = 0;
	SLX_TRY(v->open(v, path, SLX_OPEN_READ, &f, err));
	silex_status st = slx_file_size(f, &size, err);
	if (st == SILEX_OK && size > size_max)
		st = slx_err(
			err, SILEX_CORRUPT, "%s: %llu bytes; expected at most %zu", path, (unsigned long long)size, size_max);
	if (st == SILEX_OK && !(bytes = slx_alloc(m, SLX_MEM_OTHER, (size_t)size)))
		st = slx_err_oom(err);
	if (st == SILEX_OK)
		st = slx_file_read(f, bytes, (size_t)size, 0, err);
	slx_file_close(f);
	if (st != SILEX_OK) {
		slx_free(m, SLX_MEM_OTHER, bytes, (size_t)size);
		return st;
	}
	*ret = bytes;
	*ret_n = (size_t)size;
	return SILEX_OK;
}

/* The folder of path: everything before the last '/', "/" or "." where nothing is left. */
static void folder_of(const char *path, char to[PATH_SIZE])
{
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash - path) : 0;
	if (!slash)
		snprintf(to, PATH_SIZE, ".");
	else if (n == 0)
		snprintf(to, PATH_SIZE, "/");
	else
		snprintf(to, PATH_SIZE, "%.*s", n, path);
}

silex_status slx_vfs_make_dir(struct slx_vfs *v, const char *path, silex_error *err)
{
	char folder[PATH_SIZE];
	folder_of(path, folder);
	SLX_TRY(v->mkdir(v, path, err));
	return v->sync_dir(v, folder, err);
}

static silex_status write_synced(struct slx_vfs *v, const char *path, const void *bytes, size_t n, silex_error *err)
{
	struct slx_file *f = NULL;
	SLX_TRY(v->open(v, path, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &f, err));
	silex_status st = slx_file_truncate(f, 0, err); /* a leftover of a crash may be there, longer than ours */
	if (st == SILEX_OK)
		st = slx_file_write(f, bytes, n, 0, err);
	if (st == SILEX_OK)
		st = slx_file_sync(f, err);
	slx_file_close(f);
	return st;
}

silex_status slx_vfs_write_file(struct slx_vfs *v, const char *path, const void *bytes, size_t n, silex_error *err)
{
	char tmp[PATH_SIZE], folder[PATH_SIZE];
	if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp)
		return slx_err(err, SILEX_INVALID, "path of %zu bytes; expected at most %d", strlen(path), PATH_SIZE - 5);
	folder_of(path, folder);
	silex_status st = write_synced(v, tmp, bytes, n, err);
	if (st == SILEX_OK)
		st = v->rename(v, tmp, path, err);
	if (st != SILEX_OK) {
		v->unlink(v, tmp, NULL);
		return st;
	}
	return v->sync_dir(v, folder, err);
}
