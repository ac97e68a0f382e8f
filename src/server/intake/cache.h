/* The cache of series: from the hash of raw label bytes to the place of the series in the active head.
 *
 * An entry has 24 bytes and no labels: a million series cost 30 MB. It is worth nothing once the head was flushed (then all are:
 * a part that meets a newer generation forgets what it has), and the one who asks parses the labels again, once per flush.
 * Bounded in bytes; when full, the entry not asked for longest goes (clock). Thread-safe: parts, each with its lock. */
#ifndef SLX_INTAKE_CACHE_H
#define SLX_INTAKE_CACHE_H

#include "engine/engine.h"

struct slx_intake_cache;

silex_status slx_intake_cache_new(struct slx_mem *m, size_t bytes_max, struct slx_intake_cache **ret, silex_error *err);
void slx_intake_cache_free(struct slx_intake_cache *c); /* NULL is fine */

/* False: unknown. What is found may lie in any head: see slx_pins_hold. */
bool slx_intake_cache_get(struct slx_intake_cache *c, struct slx_hash128 key, struct slx_series_at *ret);
/* Does nothing when memory is out. */
void slx_intake_cache_put(struct slx_intake_cache *c, struct slx_hash128 key, struct slx_series_at at);

#endif
