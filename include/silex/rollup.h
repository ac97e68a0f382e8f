/* Roll-ups: coarse buckets of samples, kept longer and read faster. SPDX-License-Identifier: MIT
 *
 *	int64_t levels[] = { 60 * 1000, 3600 * 1000 };
 *	silex_rollup_set(db, "ward", "", levels, 2, &err); // every series of the ward: 1 m and 1 h
 *
 * A bucket that ends at e keeps of the samples in (e - width, e]: their number, sum, least and greatest, first and last with their
 * times, how far a counter rose over resets, the spread around the mean, stale markers, and a sketch that answers percentiles to a
 * relative error of 1 %. Native histograms are not rolled up.
 * - Buckets are built in the background a minute after they end (short ones every five minutes), the past of a new policy first.
 * - Samples that come late, and deletes, are seen by every query at once and make their buckets be built again when it is quiet.
 * - Samples that retention took leave their buckets as they are; a late sample into such a window does not make a bucket poorer.
 * - PromQL queries take the coarsest level that gives the same answer. include/silex/retention.h says how long a level is kept.
 * Policies are part of the database: set once, they hold after every open. */
#ifndef SILEX_ROLLUP_H
#define SILEX_ROLLUP_H

#include <silex/silex.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SILEX_ROLLUP_NOTHING_BUILT INT64_MIN

/* Rolls the series that the selector selects (NULL or "": all of the tenant) up to buckets of these widths: whole seconds, 1 s to 7 d,
 * at most 8. It takes the place of what was said for the same selector before; levels that stay keep what is built. n 0 removes the
 * policy; what is built stays until retention takes it. Durable when it returns OK. */
SILEX_API silex_status silex_rollup_set(silex_db *db, const char *tenant, const char *selector, const int64_t *widths_ms, size_t n, silex_error *err);

typedef struct silex_rollup {
	const char *tenant;
	const char *selector; /* canonical; "{}": all series */
	const char *level;    /* "1m", "1h" */
	int64_t width_ms;
	int64_t built;        /* every bucket that ends until then is built; time unit of the database; or SILEX_ROLLUP_NOTHING_BUILT */
	uint64_t late;        /* windows of the tenant that wait to be built again */
	uint64_t buckets;     /* written since the open */
} silex_rollup;
/* Level by level; return false to stop. Strings live during the call. */
typedef bool (*silex_rollup_fn)(void *arg, const silex_rollup *r);
SILEX_API silex_status silex_rollup_list(silex_db *db, silex_rollup_fn each, void *arg, silex_error *err);

/* Builds all that can be built now, late windows too, and returns when it is done. */
SILEX_API silex_status silex_rollup_build(silex_db *db, silex_error *err);
/* Builds the buckets that hold samples of start..end again, where they were built before. CANCELED: what is done stays. */
SILEX_API silex_status silex_rollup_rebuild(silex_db *db, const char *tenant, int64_t start, int64_t end, silex_progress_fn progress, void *arg, silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
