/* Between aggregate.c and aggregate_pick.c. */
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

/* Aggregations with a parameter: topk, bottomk, limitk, limit_ratio, quantile, count_values. */
silex_status slx_pq_aggregate_pick(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n, struct slx_pq_matrix *ret, silex_error *err);

#endif
