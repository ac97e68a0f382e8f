/* One cache for everything read from blocks: checked pages and parsed section indexes, inside the memory limit.
 * Entries are ref-counted; eviction (clock) takes unpinned ones only. Any thread; sharded locks (docs/locks.md). */
#ifndef SLX_TSDB_CACHE_H
#define SLX_TSDB_CACHE_H

#include "base/mem.h"
#include "base/status.h"

struct slx_cache;
struct slx_cache_entry;

struct slx_cache_key {
	uint64_t object; /* a number the cache gave out: slx_cache_object */
	uint64_t item;
};

silex_status slx_cache_new(struct slx_mem *m, size_t limit_bytes, struct slx_cache **ret, silex_error *err);
void slx_cache_free(struct slx_cache *c); /* nothing may be pinned */
void slx_cache_set_limit(struct slx_cache *c, size_t limit_bytes);
size_t slx_cache_bytes(struct slx_cache *c);
size_t slx_cache_limit(const struct slx_cache *c);
uint64_t slx_cache_object(struct slx_cache *c); /* a fresh object number, never 0 */

/* The pinned entry, or NULL on a miss. */
struct slx_cache_entry *slx_cache_get(struct slx_cache *c, struct slx_cache_key key);
/* Puts `value` (bytes of memory it holds, `destroy` frees it) and returns it pinned. When another thread was faster,
 * destroys this one and returns the other's. Evicts; pinned entries may take it beyond the limit for a while.
 * NULL when out of memory: value is destroyed then. */
struct slx_cache_entry *slx_cache_put(struct slx_cache *c, struct slx_cache_key key, void *value, size_t bytes,
	void (*destroy)(void *value, struct slx_mem *m));
void *slx_cache_value(struct slx_cache_entry *e);
void slx_cache_unpin(struct slx_cache *c, struct slx_cache_entry *e);
void slx_cache_drop_object(struct slx_cache *c, uint64_t object); /* evicts what is unpinned, the rest when unpinned */

#endif
