/* Leaves out of roll-ups (private to promql/: select_rollup.c, select_expired.c). */
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
	bool gone;                    /* some samples are: nothing else tells better */
	struct slx_snapshot *snapshots[SLX_ROLLUP_COLUMNS];
	const struct slx_selection *columns[SLX_ROLLUP_COLUMNS]; /* NULL: not needed */
	const struct slx_selection *samples;                     /* NULL: none needed */
	struct slx_pq_rolled_series *series;
	size_t n;
	pthread_mutex_t lock;
	const struct slx_selection *all; /* lock: samples of the whole range, when a series needs them */
};

struct slx_pq_rolled_level {
	int64_t width, built; /* ms; built: by all policies that have it */
	bool covered;         /* all series of the leaf have it */
};

struct slx_pq_span {
	int64_t start, end; /* ms: (start, end] */
};

/* What a leaf's function needs of buckets; NULL: they are of no use to it. */
const struct slx_pq_rolled_function *slx_pq_rolled_function_of(const struct slx_pq_leaf *l);
/* Sets l->rolled or l->expired, and l->n, where roll-ups will do. */
silex_status slx_pq_rolled_init(struct slx_pq_leaf *l, silex_error *err);
/* The sources of one level for windows within (from, to]. samples: also series that are not rolled up. */
silex_status slx_pq_rolled_new(struct slx_pq_leaf *l, const struct slx_pq_rolled_level *level, int64_t from, int64_t to, bool samples,
	struct slx_pq_rolled **ret, silex_error *err);
const struct slx_pq_rolled_series *slx_pq_rolled_find(const struct slx_pq_rolled *r, struct slx_labels l); /* NULL: not there */
/* The window of step k; widen: to whole buckets, a lookback to one and a range to two at least. */
struct slx_pq_span slx_pq_rolled_window(const struct slx_pq_rolled *r, size_t k, bool widen);
/* Steps from..to-1 of a series, ascending windows. *ret_good false: only samples can tell. */
silex_status slx_pq_rolled_steps(struct slx_pq_rolled *r, struct slx_pq_work *w, const struct slx_pq_rolled_series *s, struct slx_pq_row *row, size_t from,
	size_t to, bool widen, bool *ret_good, silex_error *err);
/* Steps from `from` on, out of samples; the series need not be among them. */
silex_status slx_pq_samples_row(const struct slx_pq_leaf *l, const struct slx_selection *samples, struct slx_pq_work *w, struct slx_labels labels,
	struct slx_pq_row *row, size_t from, silex_error *err);
silex_status slx_pq_rolled_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err);
void slx_pq_rolled_free(struct slx_pq_rolled *first);

/* ---- windows whose samples are too old to be kept (select_expired.c) ---- */

/* Samples before *ret (ms) may be gone by retention; INT64_MIN: none is. width: of a level of the tenant. */
silex_status slx_pq_gone_before(struct slx_pq_exec *x, int64_t width, int64_t *ret, silex_error *err);
silex_status slx_pq_expired_init(struct slx_pq_leaf *l, silex_error *err);
struct slx_labels slx_pq_expired_labels(const struct slx_pq_expired *x, size_t i);
silex_status slx_pq_expired_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err);

void slx_pq_rolled_used(struct slx_pq_exec *x, int64_t width); /* any thread */

#endif
