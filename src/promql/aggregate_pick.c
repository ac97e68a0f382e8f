/* Aggregations that look at all rows of a group at once, step by step. */
#include "promql/aggregate_int.h"

silex_status slx_pq_aggregate_pick(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n, struct slx_pq_matrix *ret, silex_error *err)
{
	(void)x, (void)g, (void)n, (void)ret;
	return slx_err(err, SILEX_CONFLICT, "not yet");
}
