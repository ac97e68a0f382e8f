/* Roll-ups: policies, what is built, and what a query must know to use them.
 *
 * A policy says which series of a tenant are rolled up to which levels. A level is the width of its buckets; storage/tsdb/rollup.h says
 * what a bucket keeps and as which series. How long each level is kept is retention's business.
 *
 * For each policy and level there is one mark, `built`: every bucket that ends at or before it is what the samples say, or stands in the
 * list of late windows. Buckets after it are not there, whatever may lie in the columns.
 *
 *     forward   now and then: raise the tenant's mark for writers, look once into every stripe, take a snapshot, read the samples of
 *               (built, target], write buckets, move built
 *     late      a write at or before the mark notes series and time under its stripe's lock; so does a delete for the two buckets that
 *               it cuts (those inside it go by the same tombstone). They are rebuilt once it is quiet: samples read again, buckets
 *               overwritten
 *
 * Exactly once. A bucket is a function of the samples of its window, and written again it replaces itself, so doing it twice is doing it
 * once; what matters is that no mark gets ahead of the buckets, and that no late window is forgotten. Both are kept in the manifest,
 * by the edit that a flush makes: `built` as it was at the freeze, so that all buckets before it are in the blocks of this very edit,
 * and every late window whose rebuilt buckets are not. What came in after the freeze is in the log, and its replay notes what is late
 * again. A crash between two flushes costs building some buckets again.
 *
 * A delete and a build exclude each other (work_lock): else buckets made of what a delete took could be written after it. */
#ifndef SLX_ENGINE_ROLLUP_H
#define SLX_ENGINE_ROLLUP_H

#include "engine/engine.h"
#include "model/matcher.h"
#include "storage/tsdb/rollup.h"

enum { SLX_ROLLUP_LEVELS_MAX = 8, SLX_ROLLUP_POLICIES_MAX = 256 };
#define SLX_ROLLUP_NOTHING_BUILT INT64_MIN

/* ---- policies ---- */

/* Rolls the series that selector selects (blank: all of them) up to buckets of these widths; in place of what was said for the same
 * selector before. Levels that were there keep what is built. Durable. n 0: no levels any more; the buckets stay until
 * retention takes them, and are of use again when the policy comes back. */
silex_status slx_engine_rollup_set(struct slx_engine *e, struct slx_tenant *t, const struct slx_selector *sel, const int64_t *widths_ms, size_t n,
	silex_error *err);

struct slx_rollup_status {
	struct slx_str tenant, selector;
	int64_t width_ms;
	int64_t built_ms;   /* or SLX_ROLLUP_NOTHING_BUILT */
	uint64_t late;      /* entries of the tenant that wait for a rebuild */
	uint64_t buckets;   /* written since the open, forward and late */
};
/* Level by level until each returns false. A status lives during its call. */
silex_status slx_engine_rollups(struct slx_engine *e, bool (*each)(void *arg, const struct slx_rollup_status *s), void *arg, silex_error *err);

/* ---- building ---- */

/* Everything that may be built now, late windows too. */
silex_status slx_engine_rollup_build(struct slx_engine *e, silex_error *err);
/* Builds the tenant's buckets of samples in range (ns) again, level by level; what is not built yet is left to slx_engine_rollup_build. */
silex_status slx_engine_rollup_rebuild(struct slx_engine *e, struct slx_tenant *t, struct slx_time_range range, silex_progress_fn progress, void *arg,
	silex_error *err);

/* ---- reading ---- */

struct slx_rollup_policy;
struct slx_retention;

/* A stretch of time in which buckets of some series are not to be trusted. ms, both included. */
struct slx_rollup_late {
	struct slx_hash128 id;            /* of a series, when sel is NULL */
	const struct slx_selector *sel;   /* n 0: all series */
	int64_t from, to;
};

struct slx_rollup_view_level {
	int64_t width_ms, built_ms;
};

/* What is known of one tenant's roll-ups at a moment. Taken before the snapshot it is used with. */
struct slx_rollup_view {
	struct slx_engine *engine;
	struct slx_rollup_view_policy {
		struct slx_rollup_policy *policy; /* a reference */
		const struct slx_selector *sel;
		struct slx_rollup_view_level levels[SLX_ROLLUP_LEVELS_MAX]; /* widths ascending */
		size_t n;
	} * policies;
	size_t n;
	struct slx_rollup_late *late;
	size_t n_late;
	struct slx_str tenant;
	struct slx_retention *retention; /* a reference; NULL: all is kept */
	bool sized;                      /* the oldest samples go when room is short, whatever their age */
	int64_t now;                     /* ns: when samples are too old is seen from here */
	struct slx_arena arena;
};

/* *ret NULL: the tenant has none. Memory: SLX_MEM_QUERY. */
silex_status slx_rollup_view_new(struct slx_engine *e, struct slx_str tenant, struct slx_rollup_view **ret, silex_error *err);
void slx_rollup_view_free(struct slx_rollup_view *v); /* NULL is fine */
/* How far the level of that width is built for a series: of the first policy that has both; NOTHING_BUILT: none has. */
silex_status slx_rollup_view_built(const struct slx_rollup_view *v, struct slx_labels l, int64_t width_ms, int64_t *ret, silex_error *err);
/* The samples (width 0), or the buckets of that level, of a series before *ret (ms) are too old to be kept; INT64_MIN: none is. */
silex_status slx_rollup_view_cutoff(const struct slx_rollup_view *v, struct slx_labels l, int64_t width_ms, int64_t *ret, silex_error *err);
/* The latest such time that any series has. */
int64_t slx_rollup_view_cutoff_any(const struct slx_rollup_view *v, int64_t width_ms);
/* Is this stretch about that series? */
silex_status slx_rollup_late_concerns(const struct slx_rollup_late *x, struct slx_labels l, struct slx_hash128 id, bool *ret, silex_error *err);

#endif
