/* The operating system's files. Interrupted calls are repeated, partial transfers continued, and every descriptor is
 * close-on-exec. An fsync that a file system refuses (EINVAL on some pipes and FUSE mounts) is an error like any other:
 * whoever asked for durability does not get it there. */
#include "base/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct posix_file {
	struct slx_file base;
	int fd;
	char path[]; /* for messages */
};

static struct posix_file *self(struct slx_file *f) { return (struct posix_file *)f; }

static silex_status fail(silex_error *err, const char *what, const char *path)
{
	int errnum = errno;
	silex_status st = slx_err_errno(err, errnum, path);
	return err ? slx_err_wrap(err, "%s", what) : st;
}

static silex_status file_read(struct slx_file *f, void *buf, size_t n, uint64_t offset, silex_error *err)
{
	size_t done = 0;
	while (done < n) {
		ssize_t k = pread(self(f)->fd, (char *)buf + done, n - done, (off_t)(offset + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return fail(err, "read", self(f)->path);
		if (k == 0)
			return slx_err(err, SILEX_CORRUPT, "%s: short read: %zu of %zu bytes at offset %llu", self(f)->path, done,
				n, (unsigned long long)offset);
		done += (size_t)k;
	}
	return SILEX_OK;
}

static silex_status file_write(struct slx_file *f, const void *buf, size_t n, uint64_t offset, silex_error *err)
{
	size_t done = 0;
	while (done < n) {
		ssize_t k = pwrite(self(f)->fd, (const char *)buf + done, n - done, (off_t)(offset + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return fail(err, "write", self(f)->path);
		done += (size_t)k;
	}
	return SILEX_OK;
}

static silex_status file_sync(struct slx_file *f, silex_error *err)
{
	/* An interrupted sync may be repeated: EINTR says that it did not run to its end, not that pages were lost. */
	int r;
	while ((r = fdatasync(self(f)->fd)) < 0 && errno == EINTR)
		;
	return r < 0 ? fail(err, "sync", self(f)->path) : SILEX_OK;
}

static silex_status file_size(struct slx_file *f, uint64_t *ret, silex_error *err)
{
	struct stat st;
	if (fstat(self(f)->fd, &st) < 0)
		return fail(err, "stat", self(f)->path);
	*ret = (uint64_t)st.st_size;
	return SILEX_OK;
}

static silex_status file_truncate(struct slx_file *f, uint64_t size, silex_error *err)
{
	int r;
	while ((r = ftruncate(self(f)->fd, (off_t)size)) < 0 && errno == EINTR)
		;
	return r < 0 ? fail(err, "truncate", self(f)->path) : SILEX_OK;
}

/* The process that holds the lock, when it wrote its pid as decimal text at the start of the file; else 0. */
static long holder_pid(int fd)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	return n > 0 ? strtol(text, NULL, 10) : 0;
}

static silex_status file_lock(struct slx_file *f, enum slx_lock_kind kind, silex_error *err)
{
	struct flock lock = { .l_type = kind == SLX_LOCK_SHARED ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	int r;
	while ((r = fcntl(self(f)->fd, F_OFD_SETLK, &lock)) < 0 && errno == EINTR)
		;
	if (r == 0)
		return SILEX_OK;
	if (errno != EAGAIN && errno != EACCES)
		return fail(err, "lock", self(f)->path);
	long pid = holder_pid(self(f)->fd);
	if (pid > 0)
		return slx_err(err, SILEX_CONFLICT, "%s: in use by pid %ld", self(f)->path, pid);
	return slx_err(err, SILEX_CONFLICT, "%s: in use by another process", self(f)->path);
}

static void file_close(struct slx_file *f)
{
	close(self(f)->fd);
	free(f);
}

static const struct slx_file_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
	.size = file_size,
	.truncate = file_truncate,
	.lock = file_lock,
	.close = file_close,
};

static int open_retry(const char *path, int flags)
{
	int fd;
	while ((fd = open(path, flags | O_CLOEXEC, 0644)) < 0 && errno == EINTR)
		;
	return fd;
}

static silex_status vfs_open(
	struct slx_vfs *v, const char *path, unsigned flags, struct slx_file **ret, silex_error *err)
{
	int o = flags & SLX_OPEN_WRITE ? O_RDWR : O_RDONLY;
	o |= flags & SLX_OPEN_CREATE ? O_CREAT : 0;
	o |= flags & SLX_OPEN_EXCL ? O_EXCL : 0;
	size_t path_size = strlen(path) + 1;
	struct posix_file *f = malloc(sizeof *f + path_size); /* this table has no slx_mem: a handle is a few dozen bytes */
	if (!f)
		return slx_err_oom(err);
	f->base.ops = &file_ops;
	memcpy(f->path, path, path_size);
	f->fd = open_retry(path, o);
	if (f->fd < 0) {
		silex_status st = fail(err, "open", path);
		free(f);
		return st;
	}
	*ret = &f->base;
	return SILEX_OK;
}

static silex_status vfs_unlink(struct slx_vfs *v, const char *path, silex_error *err)
{
	return unlink(path) < 0 ? fail(err, "unlink", path) : SILEX_OK;
}

static silex_status vfs_rename(struct slx_vfs *v, const char *from, const char *to, silex_error *err)
{
	return rename(from, to) < 0 ? fail(err, "rename", from) : SILEX_OK;
}

static silex_status vfs_link(struct slx_vfs *v, const char *from, const char *to, silex_error *err)
{
	return link(from, to) < 0 ? fail(err, "link", to) : SILEX_OK;
}

static silex_status vfs_mkdir(struct slx_vfs *v, const char *path, silex_error *err)
{
	struct stat st;
	if (mkdir(path, 0755) == 0)
		return SILEX_OK;
	/* A read-only medium may say EROFS for a folder that is there. */
	int errnum = errno;
	if ((errnum == EEXIST || errnum == EROFS) && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return SILEX_OK;
	errno = errnum;
	return fail(err, "mkdir", path);
}

static silex_status vfs_rmdir(struct slx_vfs *v, const char *path, silex_error *err)
{
	return rmdir(path) < 0 ? fail(err, "rmdir", path) : SILEX_OK;
}

static silex_status vfs_sync_dir(struct slx_vfs *v, const char *path, silex_error *err)
{
	int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fail(err, "open folder", path);
	int r;
	while ((r = fsync(fd)) < 0 && errno == EINTR)
		;
	silex_status st = r < 0 ? fail(err, "sync folder", path) : SILEX_OK;
	close(fd);
	return st;
}

static silex_status vfs_list(
	struct slx_vfs *v, const char *path, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	DIR *d = opendir(path);
	if (!d)
		return fail(err, "list", path);
	silex_status st = SILEX_OK;
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e && errno)
			st = fail(err, "list", path);
		if (!e)
			break;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (!each(arg, e->d_name))
			break;
	}
	closedir(d);
	return st;
}

static silex_status vfs_free_space(struct slx_vfs *v, const char *path, uint64_t *ret_free, uint64_t *ret_total, silex_error *err)
{
	struct statvfs s;
	if (statvfs(path, &s) < 0)
		return fail(err, "statvfs", path);
	*ret_free = (uint64_t)s.f_bavail * s.f_frsize;
	if (ret_total) /* what root keeps for itself is neither free nor ours */
		*ret_total = (uint64_t)(s.f_blocks - s.f_bfree + s.f_bavail) * s.f_frsize;
	return SILEX_OK;
}

struct slx_vfs *slx_vfs_posix(void)
{
	static struct slx_vfs vfs = {
		.open = vfs_open,
		.unlink = vfs_unlink,
		.rename = vfs_rename,
		.link = vfs_link,
		.mkdir = vfs_mkdir,
		.rmdir = vfs_rmdir,
		.sync_dir = vfs_sync_dir,
		.list = vfs_list,
		.free_space = vfs_free_space,
	};
	return &vfs;
}
