/* Immutable objects (blocks) by name: written once as a stream, read by ranges, deleted.
 *
 * Names are [A-Za-z0-9._-]{1,128}, not beginning with '.' and not ending in ".tmp". An object appears whole, at commit,
 * and is durable then. Implementations: a local folder, memory, and what include/silex/store.h's table stands for (S3,
 * stores of the application). Any thread; one writer belongs to one thread at a time. */
#ifndef SLX_STORAGE_STORE_H
#define SLX_STORAGE_STORE_H

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/vfs.h"

#include <silex/store.h>

enum { SLX_STORE_NAME_SIZE_MAX = 128 };

struct slx_store;
struct slx_store_writer;

struct slx_store_ops {
	silex_status (*begin)(struct slx_store *s, const char *name, struct slx_store_writer **ret, silex_error *err);
	silex_status (*get_range)(
		struct slx_store *s, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err);
	silex_status (*size)(struct slx_store *s, const char *name, uint64_t *ret, silex_error *err);
	silex_status (*list)(struct slx_store *s, const char *prefix, bool (*each)(void *arg, const char *name), void *arg,
		silex_error *err);
	silex_status (*remove)(struct slx_store *s, const char *name, silex_error *err);
	silex_status (*quarantine)(struct slx_store *s, const char *name, silex_error *err);
	silex_status (*free_space)(struct slx_store *s, uint64_t *ret, silex_error *err);
	void (*stop)(struct slx_store *s); /* may be NULL */
	void (*close)(struct slx_store *s);
};

struct slx_store_writer_ops {
	silex_status (*append)(struct slx_store_writer *w, const void *bytes, size_t n, silex_error *err);
	silex_status (*commit)(struct slx_store_writer *w, silex_error *err);
	void (*abort)(struct slx_store_writer *w);
};

struct slx_store {
	const struct slx_store_ops *ops;
};

struct slx_store_writer {
	const struct slx_store_writer_ops *ops;
	uint64_t size; /* bytes appended so far: where the next append will lie */
};

/* files_max: how many open files get_range keeps (at least 1; 0: 64). Leftover NAME.tmp, which nobody writes any more, are removed
 * unless read_only.
 * dir is made when absent (read_only: an absent one is empty). */
silex_status slx_store_open_folder(struct slx_vfs *vfs, struct slx_mem *mem, const char *dir, unsigned files_max,
	bool read_only, struct slx_store **ret, silex_error *err);
silex_status slx_store_open_memory(struct slx_mem *mem, struct slx_store **ret, silex_error *err);

/* --- stores with a name and a url --- */

struct slx_store_env {
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	const silex_clock *clock;   /* NULL: the system's */
	const silex_random *random; /* NULL: the system's */
	const silex_store_type *const *types; /* beside folder and memory */
	size_t n_types;
	bool read_only;
};

struct slx_store_stats {
	uint64_t gets, get_bytes, puts, put_bytes, removes;
	uint64_t errors; /* calls that failed by the store's fault */
};

/* The store of c->url; its messages begin with "store NAME: ". What e and c point at must outlive it. One that is away is
 * opened at a later use. INVALID: name or url; UNSUPPORTED: a type that this build has not. */
silex_status slx_store_open(
	const struct slx_store_env *e, const silex_store_config *c, struct slx_store **ret, silex_error *err);
silex_status slx_store_check_config(const silex_store_config *c, silex_error *err);
silex_status slx_store_check_types(const silex_store_type *const *types, size_t n, silex_error *err);
/* Of a store from slx_store_open. */
void slx_store_stats(struct slx_store *s, struct slx_store_stats *ret);

/* --- using one --- */

/* Starts an object. CONFLICT when one of that name is there. */
static inline silex_status slx_store_begin(
	struct slx_store *s, const char *name, struct slx_store_writer **ret, silex_error *err)
{
	return s->ops->begin(s, name, ret, err);
}

/* Appends are gathered into writes of 256 KiB. After an error only abort is left. */
static inline silex_status slx_store_append(struct slx_store_writer *w, const void *bytes, size_t n, silex_error *err)
{
	return w->ops->append(w, bytes, n, err);
}

/* Makes the object durable and visible; frees the writer also when it fails. Nothing is there then, but over a network it
 * may be, whole, when the answer was lost. */
static inline silex_status slx_store_commit(struct slx_store_writer *w, silex_error *err)
{
	return w->ops->commit(w, err);
}

static inline void slx_store_abort(struct slx_store_writer *w)
{
	if (w)
		w->ops->abort(w);
}

/* Exactly n bytes. NOT_FOUND; CORRUPT, naming the object, when it ends before. */
static inline silex_status slx_store_get_range(
	struct slx_store *s, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	return s->ops->get_range(s, name, offset, n, buf, err);
}
static inline silex_status slx_store_size(struct slx_store *s, const char *name, uint64_t *ret, silex_error *err)
{
	return s->ops->size(s, name, ret, err);
}

/* Names that begin with prefix, in byte order, until each returns false. `each` must not call the store. */
static inline silex_status slx_store_list(
	struct slx_store *s, const char *prefix, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	return s->ops->list(s, prefix, each, arg, err);
}

/* NOT_FOUND when absent. Reads under way finish; the space comes back then. */
static inline silex_status slx_store_remove(struct slx_store *s, const char *name, silex_error *err)
{
	return s->ops->remove(s, name, err);
}

/* Sets a damaged object aside as NAME.damaged, which list shows and nothing reads. */
static inline silex_status slx_store_quarantine(struct slx_store *s, const char *name, silex_error *err)
{
	return s->ops->quarantine(s, name, err);
}

static inline silex_status slx_store_free_space(struct slx_store *s, uint64_t *ret, silex_error *err)
{
	return s->ops->free_space(s, ret, err);
}

/* Calls under way and later ones end soon, CANCELED; what never waits for long goes on. */
static inline void slx_store_stop(struct slx_store *s)
{
	if (s && s->ops->stop)
		s->ops->stop(s);
}

static inline void slx_store_close(struct slx_store *s)
{
	if (s)
		s->ops->close(s);
}

#endif
