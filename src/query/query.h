/* Queries: a plan in, batches of rows out.
 *
 *     selectors -> snapshot, series in label order -> units (a series, or a group of them) x tiles of windows = jobs
 *     -> jobs in parallel, each: chunk headers where they answer, decoded samples elsewhere -> rows, streamed in order
 *
 * Without an aggregate the samples themselves are streamed, series after series, straight from the scan.
 *
 * A plan is plain data: the C API, PromQL and SQL fill the same structure. What each member means is said in
 * include/silex/silex.h at silex_query; here times are nanoseconds. What that header leaves open:
 * - a window is empty when it has no sample that its aggregate counts: none at all, only NaN, or only states where the
 *   aggregate wants numbers (states count for count, first, last, mode and time_in_state; the others pass over them);
 * - increase and delta of one sample are 0; rate of one sample is empty;
 * - in a group, of samples of equal time the first in label order is the one that first and last see;
 * - time_in_state: a sample's state holds until the next sample, at most until now (a future sample: until itself); the
 *   state in force at a window's start comes from the last sample before it, if that lies in the query's range, so
 *   windows without a sample may have a value. Numbers are states too: "1" and "true" match the value 1;
 * - fill `previous` leaves windows out that have no earlier one with a value; a series without any sample in range
 *   gives no rows, whatever the fill;
 * - after CORRUPT an aggregate goes on without the damaged chunk. */
#ifndef SLX_QUERY_QUERY_H
#define SLX_QUERY_QUERY_H

#include "engine/snapshot.h"

#include <silex/silex.h>

struct slx_query_plan {
	struct slx_identity who;
	const struct slx_selector *selectors; /* series that any of them selects; n 0: all */
	size_t n_selectors;
	struct slx_time_range range; /* both ends; saturates */
	silex_agg agg;
	double percentile;
	const char *state;
	int64_t step;
	silex_fill fill;
	bool group;
	const struct slx_str *group_by;
	size_t n_group_by;
	uint64_t limit;
	uint64_t limit_per_series; /* without aggregate: samples of each series; 0: all */
	bool descending;
	int64_t timeout_ns;
	const _Atomic bool *canceled; /* looked at often, until close; may be NULL */
	uint64_t memory_limit;
	uint64_t rows_max;
};

/* ---- the registry of aggregates ---- */

const char *slx_query_agg_name(silex_agg agg); /* "unknown" outside the list */
/* "mean", "avg", "p99.9", "percentile(99.9)", "time_in_state(open)". Results as silex_agg_parse. */
silex_status slx_query_agg_parse(const char *text, silex_agg *ret, double *ret_parameter, const char **ret_state,
	size_t *ret_state_len, silex_error *err);

/* ---- running: one querier per database, any thread ---- */

struct slx_querier; /* keeps the work spaces of ended queries for the next ones */
silex_status slx_querier_new(struct slx_engine *e, struct slx_querier **ret, silex_error *err);
void slx_querier_free(struct slx_querier *q); /* after its cursors; NULL is fine */

struct slx_query_cursor; /* one thread at a time */
/* The plan and all it points to are read during this call only. INVALID says which member and why. */
silex_status slx_query_open(
	struct slx_querier *q, const struct slx_query_plan *plan, struct slx_query_cursor **ret, silex_error *err);

/* Samples of kinds histogram and bytes are passed over, by aggregates and among raw rows. */
struct slx_query_rows {
	uint64_t series;          /* number in this result, from 0 */
	struct slx_labels labels; /* of the series or group */
	enum slx_kind kind;       /* of aggregates FLOAT64, or ENUM */
	size_t n;                 /* 0: the end */
	const int64_t *times;
	const uint64_t *bits; /* by kind; FLOAT64: may be read as an array of double */
	const uint8_t *null;  /* with SILEX_FILL_NULL: 1 where the window was empty; else NULL */
};

/* The next rows; they live until the next call on the cursor. Errors: see silex_cursor_next. After CORRUPT the cursor
 * may go on; any other error it repeats. */
silex_status slx_query_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err);
void slx_query_cancel(struct slx_query_cursor *c); /* any thread */
void slx_query_stats(const struct slx_query_cursor *c, silex_query_stats *ret);
/* Text of an ENUM value; "" when unknown. */
const char *slx_query_state(const struct slx_query_cursor *c, uint32_t state);
void slx_query_close(struct slx_query_cursor *c); /* NULL is fine */

#endif
