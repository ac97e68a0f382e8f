/* Companions: what is known beside the samples of a tenant, stored as samples of kind BYTES in internal tenants, so that log,
 * blocks, compaction, snapshots and backups hold for it too. No user names these tenants; they are in no list and no count, and
 * take of the memory of the tenant that they belong to.
 *
 *     <tenant>!exemplars   a series with the labels of each series that has exemplars; at their times
 *     <tenant>!metadata    a series {__name__="<metric>"} for each metric; at the time of the write, the newest counts
 *
 * docs/format/companion.md has the bytes. A delete of series takes their exemplars along; metadata stays. Thread-safe. */
#ifndef SLX_ENGINE_COMPANION_H
#define SLX_ENGINE_COMPANION_H

#include "engine/engine.h"

/* ---- exemplars ---- */

struct slx_exemplar_row {
	struct slx_labels series; /* canonical */
	int64_t t;                /* ns */
	double value;
	const struct slx_label *labels; /* in any order, kept as they are; may be none */
	size_t n_labels;
};

/* Stores the n rows, which are one batch: several exemplars of a series at one time are kept when they follow one another, else
 * the later call's. Waits for room as a write does: not while pins are held. *ret_lsn as slx_engine_write (NULL: waits for the
 * log). *ret_written (may be NULL): less than n when the series limit, time or size refused some. */
silex_status slx_engine_exemplar_put(struct slx_engine *e, struct slx_tenant *t, const struct slx_exemplar_row *rows, size_t n, size_t *ret_written,
	uint64_t *ret_lsn, silex_error *err);

/* The exemplars in range of the series for which all matchers hold: series in label order, times ascending, until each returns
 * false. A row lives during its call. */
typedef bool slx_exemplar_fn(void *arg, const struct slx_exemplar_row *row);
silex_status slx_engine_exemplars(struct slx_engine *e, struct slx_str tenant, struct slx_matcher *const *ms, size_t n, struct slx_time_range range,
	slx_exemplar_fn *each, void *arg, silex_error *err);

/* ---- metadata ---- */

struct slx_metadata_row {
	struct slx_str metric;
	struct slx_str type, unit, help; /* empty: not known */
};

/* Stores what is not stored already. As slx_engine_exemplar_put otherwise; *ret_lsn is 0 when there was nothing to write. */
silex_status slx_engine_metadata_put(struct slx_engine *e, struct slx_tenant *t, const struct slx_metadata_row *rows, size_t n, uint64_t *ret_lsn,
	silex_error *err);

/* The metadata of one metric (metric.n 0: of all, in their order) until each returns false. A row lives during its call. */
typedef bool slx_metadata_fn(void *arg, const struct slx_metadata_row *row);
silex_status slx_engine_metadata(struct slx_engine *e, struct slx_str tenant, struct slx_str metric, slx_metadata_fn *each, void *arg, silex_error *err);

#endif
