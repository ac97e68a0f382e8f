/* Small documents changed by compare-and-set: the manifest, catalogues, later leases.
 *
 * A key is [A-Za-z0-9._-]{1,128}, not beginning with '.' and not ending in ".tmp"; its value has up to
 * SLX_META_SIZE_MAX bytes; its version is 0 when absent and then grows by one with each change. Implementations: file
 * (a file per key in a folder, docs/format/manifest-file.md) and memory. Any thread. A change is durable, whole or not at all, when cas returns OK. */
#ifndef SLX_STORAGE_META_H
#define SLX_STORAGE_META_H

#include "base/mem.h"
#include "base/status.h"
#include "base/vfs.h"

enum { SLX_META_KEY_SIZE_MAX = 128, SLX_META_SIZE_MAX = 64 << 20 };

struct slx_meta;

struct slx_meta_ops {
	silex_status (*get)(
		struct slx_meta *m, const char *key, uint8_t **ret, size_t *ret_n, uint64_t *ret_version, silex_error *err);
	silex_status (*cas)(struct slx_meta *m, const char *key, const void *bytes, size_t n, uint64_t expected_version,
		uint64_t *ret_version, silex_error *err);
	silex_status (*list)(
		struct slx_meta *m, const char *prefix, bool (*each)(void *arg, const char *key), void *arg, silex_error *err);
	void (*close)(struct slx_meta *m);
};

struct slx_meta {
	const struct slx_meta_ops *ops;
};

/* dir is made when absent (not when read_only: an absent one is then empty). vfs and mem are borrowed until close. */
silex_status slx_meta_open_file(
	struct slx_vfs *vfs, struct slx_mem *mem, const char *dir, bool read_only, struct slx_meta **ret, silex_error *err);
silex_status slx_meta_open_memory(struct slx_mem *mem, struct slx_meta **ret, silex_error *err);

/* *ret: n bytes from the mem given at open, use OTHER; the caller frees them (slx_free(mem, SLX_MEM_OTHER, p, n)).
 * NOT_FOUND; CORRUPT with file and offset; UNSUPPORTED naming both versions when the file's format is newer. */
static inline silex_status slx_meta_get(
	struct slx_meta *m, const char *key, uint8_t **ret, size_t *ret_n, uint64_t *ret_version, silex_error *err)
{
	return m->ops->get(m, key, ret, ret_n, ret_version, err);
}

/* Replaces the value when its version is expected_version (0: when absent), else CONFLICT. ret_version may be NULL.
 * PERMISSION_DENIED when read-only. Any other error: the old or the new value is there; get tells. */
static inline silex_status slx_meta_cas(struct slx_meta *m, const char *key, const void *bytes, size_t n,
	uint64_t expected_version, uint64_t *ret_version, silex_error *err)
{
	return m->ops->cas(m, key, bytes, n, expected_version, ret_version, err);
}

/* Keys that begin with prefix, in byte order, until each returns false. `each` must not call the store. */
static inline silex_status slx_meta_list(
	struct slx_meta *m, const char *prefix, bool (*each)(void *arg, const char *key), void *arg, silex_error *err)
{
	return m->ops->list(m, prefix, each, arg, err);
}

static inline void slx_meta_close(struct slx_meta *m)
{
	if (m)
		m->ops->close(m);
}

#endif
