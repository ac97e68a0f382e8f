/* Between aggregate.c, aggregate_leaf.c and aggregate_pick.c. */
#ifndef SLX_PROMQL_AGGREGATE_INT_H
#define SLX_PROMQL_AGGREGATE_INT_H

#include "promql/exec_int.h"

/* Which group each row belongs to, by the labels that by or without leave. */
struct slx_pq_groups {
	struct slx_pq_exec *x;
	const struct slx_pq_node *node;
	struct slx_pq_table table; /* labels of groups, in order of appearance */
	uint32_t *of;              /* row -> group */
};

silex_status slx_pq_groups_add(struct slx_pq_groups *s, struct slx_labels l, uint32_t *ret, silex_error *err);
silex_status slx_pq_groups_of(struct slx_pq_groups *s, const struct slx_pq_matrix *m, silex_error *err);

/* ---- rows folded into columns ---- */

struct slx_pq_folding {
	struct slx_pq_exec *x;
	const struct slx_pq_node *node;
	enum slx_pq_agg op;
	size_t steps;
};

enum { /* what a column has at a step */
	SLX_PQ_HAS_FLOAT = 1,
	SLX_PQ_HAS_HISTOGRAM = 2,
	SLX_PQ_INCREMENTAL = 4, /* avg: a is the mean, for the sum would overflow */
	SLX_PQ_MIXED_SCHEMAS = 8,
};

struct slx_pq_hist;

/* What a group has gathered, by step. sum: a + b, b the compensation; avg: the same, c values; min, max: a; stddev, stdvar: a
 * the sum of squares about the mean b, c values; count, group: c. */
struct slx_pq_column {
	uint8_t *has; /* NULL: nothing at any step */
	double *a, *b, *c;
	struct slx_pq_hist **h; /* sum and avg */
	unsigned found;         /* flags of slx_pq_hist_* */
};

/* s + v with what rounding took added to comp (Knuth's two-sum: no branches). Comp means nothing once s is infinite. */
static inline double slx_pq_two_sum(double s, double v, double *comp)
{
	double t = s + v, z = t - s;
	*comp += (s - (t - z)) + (v - z);
	return t;
}

silex_status slx_pq_column_init(
	const struct slx_pq_folding *f, struct slx_arena *a, struct slx_pq_column *c, silex_error *err);
void slx_pq_fold_floats(const struct slx_pq_folding *f, struct slx_pq_column *c, const struct slx_pq_row *r);
/* Not for stddev and stdvar, and not with histograms. */
void slx_pq_merge_columns(const struct slx_pq_folding *f, struct slx_pq_column *to, const struct slx_pq_column *from);
silex_status slx_pq_finish_groups(const struct slx_pq_folding *f, const struct slx_pq_groups *s,
	struct slx_pq_column *columns, struct slx_pq_matrix *ret, silex_error *err);

/* Right over a leaf, when that pays; *ret_done false: the usual way, please. */
silex_status slx_pq_aggregate_leaf(const struct slx_pq_folding *f, const struct slx_pq_leaf *l,
	struct slx_pq_matrix *ret, bool *ret_done, silex_error *err);

/* Aggregations with a parameter: topk, bottomk, limitk, limit_ratio, quantile, count_values. */
silex_status slx_pq_aggregate_pick(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err);

#endif
