/* The file system a database works on, as a table of functions, so that tests can put faults and power cuts in its way.
 *
 * Paths are absolute or relative to the process, '/'-separated. Every call returns a status and words in err (may be
 * NULL); short reads and writes never reach the caller. Any thread; one file's reads may run beside its writes.
 * Durability: bytes are durable after slx_file_sync, names after slx_vfs_sync_dir of their folder. A failed sync is
 * never retried on that file (see storage/wal). */
#ifndef SLX_BASE_VFS_H
#define SLX_BASE_VFS_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>

enum slx_open_flags {
	SLX_OPEN_READ = 1,
	SLX_OPEN_WRITE = 2,   /* read and write */
	SLX_OPEN_CREATE = 4,  /* with WRITE: create when absent */
	SLX_OPEN_EXCL = 8,    /* with CREATE: CONFLICT when present */
};

enum slx_lock_kind { SLX_LOCK_SHARED, SLX_LOCK_EXCLUSIVE };

struct slx_file;

struct slx_vfs {
	void *ctx;
	silex_status (*open)(struct slx_vfs *v, const char *path, unsigned flags, struct slx_file **ret, silex_error *err);
	silex_status (*unlink)(struct slx_vfs *v, const char *path, silex_error *err);
	silex_status (*rename)(struct slx_vfs *v, const char *from, const char *to, silex_error *err); /* replaces */
	silex_status (*link)(struct slx_vfs *v, const char *from, const char *to, silex_error *err);   /* hard link */
	silex_status (*mkdir)(struct slx_vfs *v, const char *path, silex_error *err); /* OK when it is there already */
	silex_status (*rmdir)(struct slx_vfs *v, const char *path, silex_error *err);
	silex_status (*sync_dir)(struct slx_vfs *v, const char *path, silex_error *err);
	/* Calls each for every name except . and .., in any order, until it returns false. */
	silex_status (*list)(struct slx_vfs *v, const char *path, bool (*each)(void *arg, const char *name), void *arg, silex_error *err);
	silex_status (*free_space)(struct slx_vfs *v, const char *path, uint64_t *ret_free, uint64_t *ret_total, silex_error *err); /* total may be NULL */
};

struct slx_file_ops {
	/* Exactly n bytes at offset; CORRUPT "short read" when the file ends before. */
	silex_status (*read)(struct slx_file *f, void *buf, size_t n, uint64_t offset, silex_error *err);
	silex_status (*write)(struct slx_file *f, const void *buf, size_t n, uint64_t offset, silex_error *err);
	silex_status (*sync)(struct slx_file *f, silex_error *err); /* fdatasync */
	silex_status (*size)(struct slx_file *f, uint64_t *ret, silex_error *err);
	silex_status (*truncate)(struct slx_file *f, uint64_t size, silex_error *err);
	/* Open-file-description lock on the whole file. CONFLICT when another holds it; *ret_pid is the holder if it
	 * wrote its pid, else 0. Released by close. */
	silex_status (*lock)(struct slx_file *f, enum slx_lock_kind kind, silex_error *err);
	void (*close)(struct slx_file *f); /* NULL is fine through slx_file_close */
};

struct slx_file {
	const struct slx_file_ops *ops;
};

struct slx_vfs *slx_vfs_posix(void); /* the operating system's; static, never freed */

static inline silex_status slx_file_read(struct slx_file *f, void *buf, size_t n, uint64_t off, silex_error *err) { return f->ops->read(f, buf, n, off, err); }
static inline silex_status slx_file_write(struct slx_file *f, const void *buf, size_t n, uint64_t off, silex_error *err) { return f->ops->write(f, buf, n, off, err); }
static inline silex_status slx_file_sync(struct slx_file *f, silex_error *err) { return f->ops->sync(f, err); }
static inline silex_status slx_file_size(struct slx_file *f, uint64_t *ret, silex_error *err) { return f->ops->size(f, ret, err); }
static inline silex_status slx_file_truncate(struct slx_file *f, uint64_t size, silex_error *err) { return f->ops->truncate(f, size, err); }
static inline silex_status slx_file_lock(struct slx_file *f, enum slx_lock_kind kind, silex_error *err) { return f->ops->lock(f, kind, err); }
static inline void slx_file_close(struct slx_file *f)
{
	if (f)
		f->ops->close(f);
}

/* A folder that is there after a crash too: mkdir and sync of its parent. */
silex_status slx_vfs_make_dir(struct slx_vfs *v, const char *path, silex_error *err);

/* Whole small files. read: *ret from m with use OTHER and n bytes, CORRUPT above size_max. write: to path.tmp, sync,
 * rename over path, sync of the folder: after a crash the old or the new content is there, never a mix. */
silex_status slx_vfs_read_file(struct slx_vfs *v, struct slx_mem *m, const char *path, size_t size_max, uint8_t **ret, size_t *ret_n, silex_error *err);
silex_status slx_vfs_write_file(struct slx_vfs *v, const char *path, const void *bytes, size_t n, silex_error *err);

#endif
