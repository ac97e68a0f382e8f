/* The functions of PromQL: their types as Prometheus 3 has them, and what computes them.
 *
 * The implementations lie by family: functions_rate.c (rate, increase, delta and kin; functions_extended.c for anchored and
 * smoothed ranges), functions_over_time.c, functions_math.c (number by number), functions_time.c, functions_labels.c,
 * functions_info.c, functions_sort.c, functions_histogram.c (quantiles and fractions). */
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
	{ "abs", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = fabs },
	{ "absent", V, { V }, .n_args = 1, .matrix = slx_pq_fn_absent },
	{ "absent_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_present_over_time, .matrix = slx_pq_fn_absent },
	{ "acos", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = acos },
	{ "acosh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = acosh },
	{ "asin", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = asin },
	{ "asinh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = asinh },
	{ "atan", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = atan },
	{ "atanh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = atanh },
	{ "avg_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_avg_over_time, .sweep = slx_pq_sweep_avg_over_time },
	{ "ceil", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = ceil },
	{ "changes", V, { M }, .n_args = 1, .window = slx_pq_fn_changes },
	{ "clamp", V, { V, S, S }, .n_args = 3, .matrix = slx_pq_fn_clamp },
	{ "clamp_max", V, { V, S }, .n_args = 2, .matrix = slx_pq_fn_clamp_max },
	{ "clamp_min", V, { V, S }, .n_args = 2, .matrix = slx_pq_fn_clamp_min },
	{ "cos", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = cos },
	{ "cosh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = cosh },
	{ "count_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_count_over_time,
		.sweep = slx_pq_sweep_count_over_time },
	{ "day_of_month", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date,
		.math = slx_pq_math_day_of_month },
	{ "day_of_week", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_day_of_week },
	{ "day_of_year", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_day_of_year },
	{ "days_in_month", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date,
		.math = slx_pq_math_days_in_month },
	{ "deg", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = slx_pq_math_deg },
	{ "delta", V, { M }, .n_args = 1, .window = slx_pq_fn_delta, .sweep = slx_pq_sweep_delta },
	{ "deriv", V, { M }, .n_args = 1, .window = slx_pq_fn_deriv },
	{ "double_exponential_smoothing", V, { M, S, S }, .n_args = 3, .experimental = true,
		.window = slx_pq_fn_double_exponential_smoothing },
	{ "end", S, { 0 }, .n_args = 0, .experimental = true, .matrix = slx_pq_fn_end },
	{ "exp", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = exp },
	{ "first_over_time", V, { M }, .n_args = 1, .experimental = true, .keeps_name = true,
		.window = slx_pq_fn_first_over_time, .sweep = slx_pq_sweep_first_over_time },
	{ "floor", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = floor },
	{ "histogram_avg", V, { V }, .n_args = 1, .matrix = slx_pq_fn_histogram_avg },
	{ "histogram_count", V, { V }, .n_args = 1, .matrix = slx_pq_fn_histogram_count },
	{ "histogram_fraction", V, { S, S, V }, .n_args = 3, .matrix = slx_pq_fn_histogram_fraction },
	{ "histogram_quantile", V, { S, V }, .n_args = 2, .matrix = slx_pq_fn_histogram_quantile },
	{ "histogram_quantiles", V, { V, T, S, S }, .n_args = 4, .variadic = 9, .experimental = true,
		.matrix = slx_pq_fn_histogram_quantiles },
	{ "histogram_stddev", V, { V }, .n_args = 1, .matrix = slx_pq_fn_histogram_stddev },
	{ "histogram_stdvar", V, { V }, .n_args = 1, .matrix = slx_pq_fn_histogram_stdvar },
	{ "histogram_sum", V, { V }, .n_args = 1, .matrix = slx_pq_fn_histogram_sum },
	{ "hour", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_hour },
	{ "idelta", V, { M }, .n_args = 1, .window = slx_pq_fn_idelta },
	{ "increase", V, { M }, .n_args = 1, .window = slx_pq_fn_increase, .sweep = slx_pq_sweep_increase },
	{ "info", V, { V, V }, .n_args = 2, .variadic = 1, .experimental = true, .selector = true,
		.matrix = slx_pq_fn_info },
	{ "irate", V, { M }, .n_args = 1, .window = slx_pq_fn_irate },
	{ "label_join", V, { V, T, T, T }, .n_args = 4, .variadic = -1, .matrix = slx_pq_fn_label_join },
	{ "label_replace", V, { V, T, T, T, T }, .n_args = 5, .matrix = slx_pq_fn_label_replace },
	{ "last_over_time", V, { M }, .n_args = 1, .keeps_name = true, .window = slx_pq_fn_last_over_time,
		.sweep = slx_pq_sweep_last_over_time },
	{ "ln", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = log },
	{ "log10", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = log10 },
	{ "log2", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = log2 },
	{ "mad_over_time", V, { M }, .n_args = 1, .experimental = true, .window = slx_pq_fn_mad_over_time },
	{ "max_of", S, { S, S }, .n_args = 2, .experimental = true, .matrix = slx_pq_fn_max_of },
	{ "max_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_max_over_time, .sweep = slx_pq_sweep_max_over_time },
	{ "min_of", S, { S, S }, .n_args = 2, .experimental = true, .matrix = slx_pq_fn_min_of },
	{ "min_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_min_over_time, .sweep = slx_pq_sweep_min_over_time },
	{ "minute", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_minute },
	{ "month", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_month },
	{ "pi", S, { 0 }, .n_args = 0, .matrix = slx_pq_fn_pi },
	{ "predict_linear", V, { M, S }, .n_args = 2, .window = slx_pq_fn_predict_linear },
	{ "present_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_present_over_time,
		.sweep = slx_pq_sweep_present_over_time },
	{ "quantile_over_time", V, { S, M }, .n_args = 2, .window = slx_pq_fn_quantile_over_time,
		.sweep = slx_pq_sweep_quantile_over_time },
	{ "rad", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = slx_pq_math_rad },
	{ "range", S, { 0 }, .n_args = 0, .experimental = true, .matrix = slx_pq_fn_range },
	{ "rate", V, { M }, .n_args = 1, .window = slx_pq_fn_rate, .sweep = slx_pq_sweep_rate },
	{ "resets", V, { M }, .n_args = 1, .window = slx_pq_fn_resets },
	{ "round", V, { V, S }, .n_args = 2, .variadic = 1, .matrix = slx_pq_fn_round },
	{ "scalar", S, { V }, .n_args = 1, .matrix = slx_pq_fn_scalar },
	{ "sgn", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = slx_pq_math_sgn },
	{ "sin", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = sin },
	{ "sinh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = sinh },
	{ "sort", V, { V }, .n_args = 1, .matrix = slx_pq_fn_sort },
	{ "sort_by_label", V, { V, T }, .n_args = 2, .variadic = -1, .experimental = true,
		.matrix = slx_pq_fn_sort_by_label },
	{ "sort_by_label_desc", V, { V, T }, .n_args = 2, .variadic = -1, .experimental = true,
		.matrix = slx_pq_fn_sort_by_label_desc },
	{ "sort_desc", V, { V }, .n_args = 1, .matrix = slx_pq_fn_sort_desc },
	{ "sqrt", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = sqrt },
	{ "start", S, { 0 }, .n_args = 0, .experimental = true, .matrix = slx_pq_fn_start },
	{ "start_timestamp", V, { V }, .n_args = 1,
		.experimental = true }, /* not supported: floats are kept without theirs */
	{ "stddev_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_stddev_over_time },
	{ "stdvar_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_stdvar_over_time },
	{ "step", S, { 0 }, .n_args = 0, .experimental = true, .matrix = slx_pq_fn_step },
	{ "sum_over_time", V, { M }, .n_args = 1, .window = slx_pq_fn_sum_over_time, .sweep = slx_pq_sweep_sum_over_time },
	{ "tan", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = tan },
	{ "tanh", V, { V }, .n_args = 1, .matrix = slx_pq_fn_math, .math = tanh },
	{ "time", S, { 0 }, .n_args = 0, .matrix = slx_pq_fn_time },
	{ "timestamp", V, { V }, .n_args = 1, .matrix = slx_pq_fn_timestamp },
	{ "ts_of_first_over_time", V, { M }, .n_args = 1, .experimental = true, .window = slx_pq_fn_ts_of_first_over_time },
	{ "ts_of_last_over_time", V, { M }, .n_args = 1, .experimental = true, .window = slx_pq_fn_ts_of_last_over_time },
	{ "ts_of_max_over_time", V, { M }, .n_args = 1, .experimental = true, .window = slx_pq_fn_ts_of_max_over_time },
	{ "ts_of_min_over_time", V, { M }, .n_args = 1, .experimental = true, .window = slx_pq_fn_ts_of_min_over_time },
	{ "vector", V, { S }, .n_args = 1, .matrix = slx_pq_fn_vector },
	{ "year", V, { V }, .n_args = 1, .variadic = 1, .matrix = slx_pq_fn_date, .math = slx_pq_math_year },
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
