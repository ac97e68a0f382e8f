/* The tree: names of its operators, and what callers ask of a whole expression. */
#include "promql/ast.h"

const char *slx_pq_op_text(enum slx_pq_op op)
{
	static const char *const texts[] = { [SLX_PQ_ADD] = "+",
		[SLX_PQ_SUB] = "-",
		[SLX_PQ_MUL] = "*",
		[SLX_PQ_DIV] = "/",
		[SLX_PQ_MOD] = "%",
		[SLX_PQ_POW] = "^",
		[SLX_PQ_ATAN2] = "atan2",
		[SLX_PQ_EQ] = "==",
		[SLX_PQ_NE] = "!=",
		[SLX_PQ_GT] = ">",
		[SLX_PQ_LT] = "<",
		[SLX_PQ_GE] = ">=",
		[SLX_PQ_LE] = "<=",
		[SLX_PQ_AND] = "and",
		[SLX_PQ_OR] = "or",
		[SLX_PQ_UNLESS] = "unless",
		[SLX_PQ_TRIM_UPPER] = "</",
		[SLX_PQ_TRIM_LOWER] = ">/" };
	return texts[op];
}

const char *slx_pq_agg_text(enum slx_pq_agg op)
{
	static const char *const texts[] = { [SLX_PQ_SUM] = "sum",
		[SLX_PQ_AVG] = "avg",
		[SLX_PQ_COUNT] = "count",
		[SLX_PQ_MIN] = "min",
		[SLX_PQ_MAX] = "max",
		[SLX_PQ_GROUP] = "group",
		[SLX_PQ_STDDEV] = "stddev",
		[SLX_PQ_STDVAR] = "stdvar",
		[SLX_PQ_TOPK] = "topk",
		[SLX_PQ_BOTTOMK] = "bottomk",
		[SLX_PQ_COUNT_VALUES] = "count_values",
		[SLX_PQ_QUANTILE] = "quantile",
		[SLX_PQ_LIMITK] = "limitk",
		[SLX_PQ_LIMIT_RATIO] = "limit_ratio" };
	return texts[op];
}

void slx_promql_free(struct slx_promql_expr *x)
{
	if (!x)
		return;
	for (struct slx_pq_node *v = x->vectors; v; v = v->vector.next)
		slx_selector_free(&v->vector.sel);
	slx_arena_clear(&x->arena);
	slx_free(x->mem, SLX_MEM_QUERY, x, sizeof *x);
}

enum slx_promql_type slx_promql_result_type(const struct slx_promql_expr *x) { return x->root->value_type; }

void slx_promql_selectors(
	const struct slx_promql_expr *x, void (*each)(void *arg, const struct slx_selector *sel), void *arg)
{
	for (const struct slx_pq_node *v = x->vectors; v; v = v->vector.next)
		each(arg, &v->vector.sel);
}
