/* The functions of PromQL: their types as Prometheus 3 has them, and what computes them.
 *
 * The implementations lie by family: functions_rate.c (rate, increase, delta and kin), functions_over_time.c,
 * functions_math.c (number by number, time and calendar), functions_labels.c, functions_sort.c,
 * functions_histogram.c (quantiles and fractions). */
#include "promql/functions_int.h"

#include <stdlib.h>
#include <string.h>

#define S SLX_PROMQL_SCALAR
#define V SLX_PROMQL_VECTOR
#define M SLX_PROMQL_MATRIX
#define T SLX_PROMQL_STRING

/* Sorted by name (slx_pq_function_find searches by halves). */
static const struct slx_pq_function functions[] = {
	/* name, returns, arguments, how many, variadic, ... */
	{ "abs", V, { V }, .n_args = 1 },
	{ "absent", V, { V }, .n_args = 1 },
	{ "absent_over_time", V, { M }, .n_args = 1 },
	{ "acos", V, { V }, .n_args = 1 },
	{ "acosh", V, { V }, .n_args = 1 },
	{ "asin", V, { V }, .n_args = 1 },
	{ "asinh", V, { V }, .n_args = 1 },
	{ "atan", V, { V }, .n_args = 1 },
	{ "atanh", V, { V }, .n_args = 1 },
	{ "avg_over_time", V, { M }, .n_args = 1 },
	{ "ceil", V, { V }, .n_args = 1 },
	{ "changes", V, { M }, .n_args = 1 },
	{ "clamp", V, { V, S, S }, .n_args = 3 },
	{ "clamp_max", V, { V, S }, .n_args = 2 },
	{ "clamp_min", V, { V, S }, .n_args = 2 },
	{ "cos", V, { V }, .n_args = 1 },
	{ "cosh", V, { V }, .n_args = 1 },
	{ "count_over_time", V, { M }, .n_args = 1 },
	{ "day_of_month", V, { V }, .n_args = 1, .variadic = 1 },
	{ "day_of_week", V, { V }, .n_args = 1, .variadic = 1 },
	{ "day_of_year", V, { V }, .n_args = 1, .variadic = 1 },
	{ "days_in_month", V, { V }, .n_args = 1, .variadic = 1 },
	{ "deg", V, { V }, .n_args = 1 },
	{ "delta", V, { M }, .n_args = 1 },
	{ "deriv", V, { M }, .n_args = 1 },
	{ "double_exponential_smoothing", V, { M, S, S }, .n_args = 3, .experimental = true },
	{ "end", S, { 0 }, .n_args = 0, .experimental = true },
	{ "exp", V, { V }, .n_args = 1 },
	{ "first_over_time", V, { M }, .n_args = 1, .experimental = true, .keeps_name = true },
	{ "floor", V, { V }, .n_args = 1 },
	{ "histogram_avg", V, { V }, .n_args = 1 },
	{ "histogram_count", V, { V }, .n_args = 1 },
	{ "histogram_fraction", V, { S, S, V }, .n_args = 3 },
	{ "histogram_quantile", V, { S, V }, .n_args = 2 },
	{ "histogram_quantiles", V, { V, T, S, S }, .n_args = 4, .variadic = 9, .experimental = true },
	{ "histogram_stddev", V, { V }, .n_args = 1 },
	{ "histogram_stdvar", V, { V }, .n_args = 1 },
	{ "histogram_sum", V, { V }, .n_args = 1 },
	{ "hour", V, { V }, .n_args = 1, .variadic = 1 },
	{ "idelta", V, { M }, .n_args = 1 },
	{ "increase", V, { M }, .n_args = 1 },
	{ "info", V, { V, V }, .n_args = 2, .variadic = 1, .experimental = true },
	{ "irate", V, { M }, .n_args = 1 },
	{ "label_join", V, { V, T, T, T }, .n_args = 4, .variadic = -1 },
	{ "label_replace", V, { V, T, T, T, T }, .n_args = 5 },
	{ "last_over_time", V, { M }, .n_args = 1, .keeps_name = true },
	{ "ln", V, { V }, .n_args = 1 },
	{ "log10", V, { V }, .n_args = 1 },
	{ "log2", V, { V }, .n_args = 1 },
	{ "mad_over_time", V, { M }, .n_args = 1, .experimental = true },
	{ "max_of", S, { S, S }, .n_args = 2, .experimental = true },
	{ "max_over_time", V, { M }, .n_args = 1 },
	{ "min_of", S, { S, S }, .n_args = 2, .experimental = true },
	{ "min_over_time", V, { M }, .n_args = 1 },
	{ "minute", V, { V }, .n_args = 1, .variadic = 1 },
	{ "month", V, { V }, .n_args = 1, .variadic = 1 },
	{ "pi", S, { 0 }, .n_args = 0 },
	{ "predict_linear", V, { M, S }, .n_args = 2 },
	{ "present_over_time", V, { M }, .n_args = 1 },
	{ "quantile_over_time", V, { S, M }, .n_args = 2 },
	{ "rad", V, { V }, .n_args = 1 },
	{ "range", S, { 0 }, .n_args = 0, .experimental = true },
	{ "rate", V, { M }, .n_args = 1 },
	{ "resets", V, { M }, .n_args = 1 },
	{ "round", V, { V, S }, .n_args = 2, .variadic = 1 },
	{ "scalar", S, { V }, .n_args = 1 },
	{ "sgn", V, { V }, .n_args = 1 },
	{ "sin", V, { V }, .n_args = 1 },
	{ "sinh", V, { V }, .n_args = 1 },
	{ "sort", V, { V }, .n_args = 1 },
	{ "sort_by_label", V, { V, T }, .n_args = 2, .variadic = -1, .experimental = true },
	{ "sort_by_label_desc", V, { V, T }, .n_args = 2, .variadic = -1, .experimental = true },
	{ "sort_desc", V, { V }, .n_args = 1 },
	{ "sqrt", V, { V }, .n_args = 1 },
	{ "start", S, { 0 }, .n_args = 0, .experimental = true },
	{ "stddev_over_time", V, { M }, .n_args = 1 },
	{ "stdvar_over_time", V, { M }, .n_args = 1 },
	{ "step", S, { 0 }, .n_args = 0, .experimental = true },
	{ "sum_over_time", V, { M }, .n_args = 1 },
	{ "tan", V, { V }, .n_args = 1 },
	{ "tanh", V, { V }, .n_args = 1 },
	{ "time", S, { 0 }, .n_args = 0 },
	{ "timestamp", V, { V }, .n_args = 1 },
	{ "ts_of_first_over_time", V, { M }, .n_args = 1, .experimental = true },
	{ "ts_of_last_over_time", V, { M }, .n_args = 1, .experimental = true },
	{ "ts_of_max_over_time", V, { M }, .n_args = 1, .experimental = true },
	{ "ts_of_min_over_time", V, { M }, .n_args = 1, .experimental = true },
	{ "vector", V, { S }, .n_args = 1 },
	{ "year", V, { V }, .n_args = 1, .variadic = 1 },
};

#undef S
#undef V
#undef M
#undef T

static int compare(const void *key, const void *entry)
{
	const struct slx_str *name = key;
	const struct slx_pq_function *f = entry;
	return slx_str_cmp(*name, slx_str(f->name));
}

const struct slx_pq_function *slx_pq_function_find(struct slx_str name)
{
	return bsearch(&name, functions, sizeof functions / sizeof *functions, sizeof *functions, compare);
}
