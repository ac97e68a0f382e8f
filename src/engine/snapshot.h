/* Read snapshots: what a query sees. A snapshot holds the heads and blocks that were there when it was made (ref-counted),
 * so it includes every write acknowledged before; it never blocks writers. It may show later writes to the active head too,
 * and of a later delete what it took from the active head.
 * The memory it pins is its heads'; when the engine needs that memory it revokes the snapshot, and the reader's next
 * call must end with RESOURCE_EXHAUSTED. A snapshot may be read by several threads at once. */
#ifndef SLX_ENGINE_SNAPSHOT_H
#define SLX_ENGINE_SNAPSHOT_H

#include "base/arena.h"
#include "model/model.h"
#include "storage/tsdb/scan.h"

struct slx_engine;
struct slx_snapshot;

silex_status slx_snapshot_new(struct slx_engine *e, struct slx_identity who, struct slx_snapshot **ret, silex_error *err);
/* The same moment of another tenant of the same database. */
silex_status slx_snapshot_beside(const struct slx_snapshot *s, struct slx_str tenant, struct slx_snapshot **ret, silex_error *err);
void slx_snapshot_free(struct slx_snapshot *s); /* NULL is fine */
/* OK, or RESOURCE_EXHAUSTED "snapshot pinned too much memory" once revoked. Cheap; ask often. */
silex_status slx_snapshot_check(const struct slx_snapshot *s, silex_error *err);

/* The series for which all matchers hold and that may have samples in range, each once, in label order (slx_labels_cmp).
 * Memory: SLX_MEM_QUERY, until free. */
struct slx_selection;
silex_status slx_snapshot_select(struct slx_snapshot *s, struct slx_matcher *const *ms, size_t n, struct slx_time_range range,
	struct slx_selection **ret, silex_error *err);
void slx_selection_free(struct slx_selection *x); /* NULL is fine */
size_t slx_selection_count(const struct slx_selection *x);
struct slx_labels slx_selection_labels(const struct slx_selection *x, size_t i); /* canonical bytes, until free */
struct slx_hash128 slx_selection_id(const struct slx_selection *x, size_t i);
/* The first section whose index is damaged and was left out, or NULL. The rest is there; the reader must tell. */
const silex_error *slx_selection_damage(const struct slx_selection *x);

/* The names of labels (name NULL), or the values of one label, of the series that select would find: sorted, each once, from the
 * indexes alone. Head and blocks that reach into range count with all their series, and what was deleted is seen until a
 * flush or a compaction is done with it. ret->counts is not filled. */
silex_status slx_snapshot_strings(struct slx_snapshot *s, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, struct slx_strings *ret, silex_error *err);

/* From the oldest to the newest sample, as heads and blocks know it without looking; empty when there is none. */
struct slx_time_range slx_snapshot_extent(const struct slx_snapshot *s);

/* Everything a scan of one series needs; reusable from series to series by one thread. */
struct slx_parts {
	struct slx_arena arena; /* copies of tails and chunk lists; cleared by each collect */
	struct slx_part *parts;
	size_t n;
	struct slx_hide *hides;
	size_t n_hides;
};
void slx_parts_init(struct slx_parts *p, struct slx_mem *m);
void slx_parts_free(struct slx_parts *p);
/* Fills *p with what series i has in range: pass parts and hides to slx_scan_start. Any number of threads, each with a
 * slx_parts of its own. */
silex_status slx_snapshot_collect(struct slx_snapshot *s, const struct slx_selection *x, size_t i, struct slx_time_range range, struct slx_parts *p,
	silex_error *err);

/* Text of a state (SLX_KIND_ENUM) of this tenant; lives as long as the engine. NULL when there is no such state. */
const char *slx_snapshot_state(const struct slx_snapshot *s, uint32_t state);

/* What the query room needs from the engine. */
struct slx_mem *slx_engine_mem(struct slx_engine *e);
const struct slx_codec_choice *slx_engine_codecs(struct slx_engine *e);
struct slx_pool *slx_engine_pool(struct slx_engine *e);       /* query workers; slx_pool_run */
const silex_clock *slx_engine_clock(struct slx_engine *e);
int64_t slx_engine_query_room(struct slx_engine *e);          /* bytes queries may still take; <= 0: none */

#endif
