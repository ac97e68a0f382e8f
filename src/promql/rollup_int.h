/* Leaves out of roll-ups (private to promql/: select_rollup.c). */
#ifndef SLX_PROMQL_ROLLUP_INT_H
#define SLX_PROMQL_ROLLUP_INT_H

#include "promql/exec_int.h"

#include "engine/rollup.h"

struct slx_pq_rolled_series {
	struct slx_labels labels;
	int32_t at[SLX_ROLLUP_COLUMNS + 1]; /* its numbers in the columns' selections and in `samples`; -1: not there */
};

/* Where the rows of a leaf come from, when not from samples alone. Times are ms. */
struct slx_pq_rolled {
	struct slx_pq_rolled *next; /* of the query */
	const struct slx_pq_leaf *leaf;
	const struct slx_pq_rolled_function *function;
	int64_t width;
	int64_t origin, end;          /* buckets of (origin, end] */
	int64_t built;                /* out of columns until here */
	int64_t fresh_from, fresh_to; /* what `samples` was selected for */
	bool covered;                 /* all series are rolled up */
	struct slx_snapshot *snapshots[SLX_ROLLUP_COLUMNS];
	const struct slx_selection *columns[SLX_ROLLUP_COLUMNS]; /* NULL: not needed */
	const struct slx_selection *samples;                     /* NULL: none needed */
	struct slx_pq_rolled_series *series;
	size_t n;
	pthread_mutex_t lock;
	const struct slx_selection *all; /* lock: samples of the whole range, when a series needs them */
};

/* Sets l->rolled and l->n where roll-ups will do. */
silex_status slx_pq_rolled_init(struct slx_pq_leaf *l, silex_error *err);
silex_status slx_pq_rolled_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err);
void slx_pq_rolled_free(struct slx_pq_rolled *first);
void slx_pq_rolled_used(struct slx_pq_exec *x, int64_t width); /* the calling thread of the query */

#endif
