/* What the functions of PromQL share, and their names for the table (private to promql/functions*.c). */
#ifndef SLX_PROMQL_FUNCTIONS_INT_H
#define SLX_PROMQL_FUNCTIONS_INT_H

#include "promql/exec_int.h"
#include "promql/histogram.h"

/* ---- arguments and notes (functions_note.c) ---- */

/* Argument i as written, parentheses taken off. */
static inline const struct slx_pq_node *slx_pq_arg(const struct slx_pq_call *c, size_t i)
{
	return slx_pq_unwrap(c->node->call.args[i]);
}
static inline struct slx_str slx_pq_string_arg(const struct slx_pq_call *c, size_t i)
{
	return slx_pq_arg(c, i)->string;
}
/* anchored or smoothed, of a range selector as argument 0. */
enum slx_pq_smoothing slx_pq_smoothing(const struct slx_pq_call *c);
/* The argument that is a range vector. */
const struct slx_pq_node *slx_pq_range_arg(const struct slx_pq_call *c);

#define SLX_PQ_MIXED_SCHEMAS \
	"vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
#define SLX_PQ_RECONCILED "PromQL info: mismatched custom buckets were reconciled during "
#define SLX_PQ_COLLISION  "PromQL warning: conflicting counter resets during histogram "

/* `PromQL warning: what "metric"`, at argument 0. */
void slx_pq_note_metric(struct slx_pq_call *c, bool info, const char *what);
void slx_pq_note_mix(struct slx_pq_call *c);     /* floats and histograms in one window: no result */
void slx_pq_note_ignored(struct slx_pq_call *c); /* the histograms among them were left out */
void slx_pq_note_quantile(struct slx_pq_call *c, double q, size_t arg); /* outside [0, 1] */
/* A number as Go's %g writes it: the fewest digits that say it, an exponent from 10^6 on. size: 40 is enough. */
void slx_pq_go_number(double v, char *to, size_t size);
/* What slx_pq_hist_* found (flags), once per aggregation. */
void slx_pq_note_found(struct slx_pq_call *c, unsigned found);

/* Memory for what one window comes to, until slx_pq_finish or slx_arena_clear. */
void slx_pq_scratch(const struct slx_pq_call *c, struct slx_arena *ret);
/* The finished histogram as result; false when memory is out (c->status). Clears the arena that w is in. */
bool slx_pq_finish(struct slx_pq_call *c, struct slx_pq_hist *w, struct slx_pq_value *ret);

/* One row without labels that is v at every step. */
silex_status slx_pq_scalar_row(
	struct slx_pq_exec *x, struct slx_pq_call *c, double v, struct slx_pq_matrix *ret, silex_error *err);

/* Labels (functions_labels.c): what x->builder has, in the arena; l with one label set (value empty: without it). */
silex_status slx_pq_built_labels(struct slx_pq_exec *x, struct slx_labels *ret, silex_error *err);
silex_status slx_pq_set_label(struct slx_pq_exec *x, struct slx_labels l, struct slx_str name, struct slx_str value,
	struct slx_labels *ret, silex_error *err);

/* ---- the functions ---- */

#define SLX_PQ_WINDOW(name) \
	bool slx_pq_fn_##name(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
#define SLX_PQ_SWEEP(name)                                                                                 \
	void slx_pq_sweep_##name(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo, \
		const uint32_t *hi, const int64_t *starts, const int64_t *ends, size_t steps, double *f, uint8_t *cell)
#define SLX_PQ_MATRIX(name)                                                                                 \
	silex_status slx_pq_fn_##name(struct slx_pq_exec *x, struct slx_pq_call *c, struct slx_pq_matrix *args, \
		struct slx_pq_matrix *ret, silex_error *err)

/* functions_rate.c */
SLX_PQ_WINDOW(rate);
SLX_PQ_WINDOW(increase);
SLX_PQ_WINDOW(delta);
SLX_PQ_WINDOW(irate);
SLX_PQ_WINDOW(idelta);
SLX_PQ_WINDOW(changes);
SLX_PQ_WINDOW(resets);
SLX_PQ_WINDOW(deriv);
SLX_PQ_WINDOW(predict_linear);
SLX_PQ_WINDOW(double_exponential_smoothing);
SLX_PQ_SWEEP(rate);
SLX_PQ_SWEEP(increase);
SLX_PQ_SWEEP(delta);

/* rate and kin from what is known of a window: n > 1 samples, the first and the last, ms; difference: resets counted in. */
struct slx_pq_slope {
	bool counter, per_second;
	int64_t start, end, first_at, last_at;
	size_t n;
	double first, difference;
};
double slx_pq_slope(struct slx_pq_call *c, const struct slx_pq_slope *s);

/* functions_extended.c: rate and kin over an anchored or smoothed range, divided by `per`; the samples an anchored range is about. */
bool slx_pq_extended_slope(
	struct slx_pq_call *c, const struct slx_pq_window *w, bool counter, double per, struct slx_pq_value *ret);
struct slx_pq_window slx_pq_anchored(const struct slx_pq_window *w);
/* The histogram that far (0 to 1) on the line between two; NULL without memory. *found: flags of slx_pq_hist_*. */
const struct slx_histogram *slx_pq_histogram_between(struct slx_arena *a, const struct slx_histogram *from,
	const struct slx_histogram *to, double at, bool counter, unsigned *found);

/* functions_over_time.c */
SLX_PQ_WINDOW(avg_over_time);
SLX_PQ_WINDOW(sum_over_time);
SLX_PQ_WINDOW(count_over_time);
SLX_PQ_WINDOW(min_over_time);
SLX_PQ_WINDOW(max_over_time);
SLX_PQ_WINDOW(first_over_time);
SLX_PQ_WINDOW(last_over_time);
SLX_PQ_WINDOW(present_over_time);
SLX_PQ_WINDOW(quantile_over_time);
SLX_PQ_WINDOW(mad_over_time);
SLX_PQ_WINDOW(stddev_over_time);
SLX_PQ_WINDOW(stdvar_over_time);
SLX_PQ_WINDOW(ts_of_first_over_time);
SLX_PQ_WINDOW(ts_of_last_over_time);
SLX_PQ_WINDOW(ts_of_max_over_time);
SLX_PQ_WINDOW(ts_of_min_over_time);
SLX_PQ_SWEEP(avg_over_time);
SLX_PQ_SWEEP(sum_over_time);
SLX_PQ_SWEEP(count_over_time);
SLX_PQ_SWEEP(min_over_time);
SLX_PQ_SWEEP(max_over_time);
SLX_PQ_SWEEP(first_over_time);
SLX_PQ_SWEEP(last_over_time);
SLX_PQ_SWEEP(present_over_time);
SLX_PQ_SWEEP(quantile_over_time);

/* functions_math.c */
SLX_PQ_MATRIX(math);
SLX_PQ_MATRIX(round);
SLX_PQ_MATRIX(clamp);
SLX_PQ_MATRIX(clamp_min);
SLX_PQ_MATRIX(clamp_max);
SLX_PQ_MATRIX(min_of);
SLX_PQ_MATRIX(max_of);
SLX_PQ_MATRIX(pi);
SLX_PQ_MATRIX(scalar);
SLX_PQ_MATRIX(vector);
SLX_PQ_MATRIX(absent);
double slx_pq_math_sgn(double v);
double slx_pq_math_deg(double v);
double slx_pq_math_rad(double v);

/* functions_time.c */
SLX_PQ_MATRIX(time);
SLX_PQ_MATRIX(timestamp);
SLX_PQ_MATRIX(start);
SLX_PQ_MATRIX(end);
SLX_PQ_MATRIX(step);
SLX_PQ_MATRIX(range);
SLX_PQ_MATRIX(date);
double slx_pq_math_minute(double t);
double slx_pq_math_hour(double t);
double slx_pq_math_day_of_week(double t);
double slx_pq_math_day_of_month(double t);
double slx_pq_math_day_of_year(double t);
double slx_pq_math_days_in_month(double t);
double slx_pq_math_month(double t);
double slx_pq_math_year(double t);

/* functions_labels.c */
SLX_PQ_MATRIX(label_replace);
SLX_PQ_MATRIX(label_join);

/* functions_info.c */
SLX_PQ_MATRIX(info);

/* functions_sort.c */
SLX_PQ_MATRIX(sort);
SLX_PQ_MATRIX(sort_desc);
SLX_PQ_MATRIX(sort_by_label);
SLX_PQ_MATRIX(sort_by_label_desc);

/* functions_histogram.c */
SLX_PQ_MATRIX(histogram_avg);
SLX_PQ_MATRIX(histogram_count);
SLX_PQ_MATRIX(histogram_sum);
SLX_PQ_MATRIX(histogram_stddev);
SLX_PQ_MATRIX(histogram_stdvar);
SLX_PQ_MATRIX(histogram_quantile);
SLX_PQ_MATRIX(histogram_quantiles);
SLX_PQ_MATRIX(histogram_fraction);

#endif
