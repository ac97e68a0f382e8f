/* *_over_time: what a window of samples comes to.
 *
 * Sums are compensated (kahan.h). The sweeps give the same bits as the window functions:
 * - sums: four windows at once, each sample added by TwoSum, which has the rounding error of Neumaier's branches without
 *   the branch, so that the four chains of additions overlap; a window that is not finite at the end is done again, the slow way
 *   whole numbers add up exactly: their sum is carried from window to window
 * - minimum and maximum: a queue of the samples that may still win, best first
 * - quantiles: the window is kept sorted while samples come and go. */
#include "promql/functions_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- which windows a function is for ---- */

static bool only_one_kind(struct slx_pq_call *c, const struct slx_pq_window *w)
{
	if (w->n && w->hn)
		slx_pq_note_mix(c);
	return !(w->n && w->hn);
}

static bool has_floats(struct slx_pq_call *c, const struct slx_pq_window *w)
{
	if (w->n && w->hn)
		slx_pq_note_ignored(c);
	return w->n;
}

static bool float_result(struct slx_pq_value *ret, double f)
{
	*ret = (struct slx_pq_value){ .f = f };
	return true;
}

/* ---- sum ---- */

static double sum(const double *v, size_t n)
{
	struct slx_pq_kahan k = { 0, 0 };
	for (size_t i = 0; i < n; i++)
		slx_pq_kahan_add(&k, v[i]);
	return slx_pq_kahan_value(k);
}

static bool histogram_sum(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	struct slx_arena scratch;
	struct slx_pq_hist total;
	unsigned found = 0;
	slx_pq_scratch(c, &scratch);
	slx_pq_hist_init(&total, &scratch, w->h[0]);
	for (size_t i = 1; i < w->hn; i++)
		found |= slx_pq_hist_add(&total, w->h[i]);
	if (found & SLX_PQ_HIST_INCOMPATIBLE) {
		slx_arena_clear(&scratch);
		slx_pq_note_metric(c, false, SLX_PQ_MIXED_SCHEMAS);
		return false;
	}
	slx_pq_note_found(c, found);
	return slx_pq_finish(c, &total, ret);
}

SLX_PQ_WINDOW(sum_over_time)
{
	if (!only_one_kind(c, w))
		return false;
	return w->hn ? histogram_sum(c, w, ret) : float_result(ret, sum(w->v, w->n));
}

/* ---- average ---- */

/* The sum divided, or, when that overflows, a running mean. */
static double average(const double *v, size_t n)
{
	struct slx_pq_kahan k = { v[0], 0 };
	size_t i = 1;
	for (; i < n; i++) {
		struct slx_pq_kahan next = k;
		slx_pq_kahan_add(&next, v[i]);
		if (isinf(next.s))
			break;
		k = next;
	}
	if (i == n)
		return k.s / (double)n + k.c / (double)n;
	k.s /= (double)i;
	k.c /= (double)i;
	for (; i < n; i++) {
		double count = (double)(i + 1), q = (count - 1) / count;
		k.s *= q;
		k.c *= q;
		slx_pq_kahan_add(&k, v[i] / count);
	}
	return k.s + k.c;
}

/* The sum of the first histograms of the window, as many as do not overflow; how many. */
static size_t histogram_sum_of(
	const struct slx_pq_window *w, size_t n, struct slx_arena *scratch, struct slx_pq_hist *total, unsigned *found)
{
	slx_pq_hist_init(total, scratch, w->h[0]);
	for (size_t i = 1; i < n; i++) {
		*found |= slx_pq_hist_add(total, w->h[i]);
		if (slx_pq_hist_overflows(total))
			return i;
	}
	return n;
}

/* Goes on from the mean of the first `from` histograms. */
static void histogram_mean(const struct slx_pq_window *w, size_t from, struct slx_pq_hist *mean, unsigned *found)
{
	for (size_t i = from; i < w->hn; i++) {
		double count = (double)(i + 1);
		struct slx_pq_hist scaled; /* divided, not multiplied by 1 / count: what cancels must do so exactly */
		slx_pq_hist_init(&scaled, mean->arena, w->h[i]);
		slx_pq_hist_divide(&scaled, count);
		const struct slx_histogram *part = slx_pq_hist_finish(&scaled);
		if (!part) {
			mean->failed = true;
			return;
		}
		slx_pq_hist_multiply(mean, (count - 1) / count);
		*found |= slx_pq_hist_add(mean, part);
	}
}

static bool histogram_average(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	struct slx_arena scratch;
	struct slx_pq_hist total;
	unsigned found = 0;
	slx_pq_scratch(c, &scratch);
	size_t n = histogram_sum_of(w, w->hn, &scratch, &total, &found);
	if (n < w->hn)
		histogram_sum_of(w, n, &scratch, &total, &found); /* once more, up to before it overflowed */
	slx_pq_hist_divide(&total, (double)n);
	histogram_mean(w, n, &total, &found);
	if (found & SLX_PQ_HIST_INCOMPATIBLE) {
		slx_arena_clear(&scratch);
		slx_pq_note_metric(c, false, SLX_PQ_MIXED_SCHEMAS);
		return false;
	}
	slx_pq_note_found(c, found);
	return slx_pq_finish(c, &total, ret);
}

SLX_PQ_WINDOW(avg_over_time)
{
	if (!only_one_kind(c, w))
		return false;
	return w->hn ? histogram_average(c, w, ret) : float_result(ret, average(w->v, w->n));
}

/* ---- sums of four windows at once ---- */

enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

/* Sanitizers do not go with the resolver that picks the clone. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* One more sample: the sum, and the exact error of its rounding. */
#define TWO_SUM(s, c, v)                         \
	do {                                         \
		typeof(s) t_ = (s) + (v), z_ = t_ - (s); \
		(c) += ((s) - (t_ - z_)) + ((v)-z_);     \
		(s) = t_;                                \
	} while (0)

/* Windows from[l] .. to[l] - 1: what they add to s and c. */
WIDE static void sum_lanes(const double *v, const uint32_t *from, const uint32_t *to, double *ret_s, double *ret_c)
{
	const double *a = v + from[0], *b = v + from[1], *c = v + from[2], *d = v + from[3];
	lanes s = { ret_s[0], ret_s[1], ret_s[2], ret_s[3] }, e = { 0 };
	uint32_t common = UINT32_MAX;
	for (int l = 0; l < LANES; l++)
		common = to[l] - from[l] < common ? to[l] - from[l] : common;
	for (uint32_t i = 0; i < common; i++) {
		lanes x = { a[i], b[i], c[i], d[i] };
		TWO_SUM(s, e, x);
	}
	for (int l = 0; l < LANES; l++) {
		ret_s[l] = s[l];
		ret_c[l] = e[l];
		for (uint32_t i = from[l] + common; i < to[l]; i++)
			TWO_SUM(ret_s[l], ret_c[l], v[i]);
	}
}

static bool four_filled(const uint32_t *lo, const uint32_t *hi)
{
	bool filled = true;
	for (int l = 0; l < LANES; l++)
		filled = filled && hi[l] > lo[l];
	return filled;
}

static void sweep_sums(
	const double *v, const uint32_t *lo, const uint32_t *hi, size_t steps, bool mean, double *f, uint8_t *cell)
{
	for (size_t k = 0; k < steps;) {
		if (k + LANES > steps || !four_filled(lo + k, hi + k)) {
			uint32_t n = hi[k] - lo[k];
			cell[k] = n ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
			if (n)
				f[k] = mean ? average(v + lo[k], n) : sum(v + lo[k], n);
			k++;
			continue;
		}
		double s[LANES] = { 0 }, c[LANES] = { 0 };
		uint32_t from[LANES];
		for (int l = 0; l < LANES; l++) { /* a mean begins with the first sample, a sum with 0 */
			from[l] = lo[k + (size_t)l] + mean;
			s[l] = mean ? v[lo[k + (size_t)l]] : 0;
		}
		sum_lanes(v, from, hi + k, s, c);
		for (int l = 0; l < LANES; l++, k++) {
			double n = (double)(hi[k] - lo[k]);
			cell[k] = SLX_PQ_FLOAT;
			if (isfinite(s[l]) && isfinite(c[l]))
				f[k] = mean ? s[l] / n + c[l] / n : s[l] + c[l];
			else
				f[k] = mean ? average(v + lo[k], hi[k] - lo[k]) : sum(v + lo[k], hi[k] - lo[k]);
		}
	}
}

/* Whether all values are whole and no sum of some of them is rounded. */
static bool adds_exactly(const double *v, uint32_t n)
{
	double sum = 0;
	bool is = true;
	for (uint32_t i = 0; i < n; i++) {
		sum += fabs(v[i]);
		is = is && v[i] == trunc(v[i]);
	}
	return is && sum < 0x1p53;
}

static void sweep_whole(
	const double *v, const uint32_t *lo, const uint32_t *hi, size_t steps, bool mean, double *f, uint8_t *cell)
{
	uint32_t from = 0, to = 0;
	double s = 0;
	for (size_t k = 0; k < steps; k++) {
		for (; to < hi[k]; to++)
			s += v[to];
		for (; from < lo[k]; from++)
			s -= v[from];
		cell[k] = hi[k] > lo[k] ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
		if (cell[k])
			f[k] = mean ? s / (double)(hi[k] - lo[k]) : s;
	}
}

static void sweep_both(
	const double *v, const uint32_t *lo, const uint32_t *hi, size_t steps, bool mean, double *f, uint8_t *cell)
{
	bool whole = steps && adds_exactly(v, hi[steps - 1]);
	(whole ? sweep_whole : sweep_sums)(v, lo, hi, steps, mean, f, cell);
}

SLX_PQ_SWEEP(sum_over_time) { sweep_both(v, lo, hi, steps, false, f, cell); }
SLX_PQ_SWEEP(avg_over_time) { sweep_both(v, lo, hi, steps, true, f, cell); }

/* ---- count, present, first, last ---- */

SLX_PQ_WINDOW(count_over_time) { return w->n + w->hn > 0 && float_result(ret, (double)(w->n + w->hn)); }
SLX_PQ_WINDOW(present_over_time) { return w->n + w->hn > 0 && float_result(ret, 1); }

static bool histogram_is_first(const struct slx_pq_window *w) { return w->hn && !(w->n && w->t[0] < w->ht[0]); }
static bool histogram_is_last(const struct slx_pq_window *w)
{
	return w->hn && !(w->n && w->t[w->n - 1] > w->ht[w->hn - 1]);
}

SLX_PQ_WINDOW(first_over_time)
{
	if (w->n + w->hn == 0)
		return false;
	*ret = histogram_is_first(w) ? (struct slx_pq_value){ .h = w->h[0] } : (struct slx_pq_value){ .f = w->v[0] };
	return true;
}

SLX_PQ_WINDOW(last_over_time)
{
	if (w->n + w->hn == 0)
		return false;
	*ret = histogram_is_last(w) ? (struct slx_pq_value){ .h = w->h[w->hn - 1] }
								: (struct slx_pq_value){ .f = w->v[w->n - 1] };
	return true;
}

SLX_PQ_WINDOW(ts_of_first_over_time)
{
	return w->n + w->hn > 0 && float_result(ret, (double)(histogram_is_first(w) ? w->ht[0] : w->t[0]) / 1000);
}

SLX_PQ_WINDOW(ts_of_last_over_time)
{
	return w->n + w->hn > 0 &&
		float_result(ret, (double)(histogram_is_last(w) ? w->ht[w->hn - 1] : w->t[w->n - 1]) / 1000);
}

SLX_PQ_SWEEP(count_over_time)
{
	for (size_t k = 0; k < steps; k++) {
		cell[k] = hi[k] > lo[k];
		f[k] = (double)(hi[k] - lo[k]);
	}
}

SLX_PQ_SWEEP(present_over_time)
{
	for (size_t k = 0; k < steps; k++) {
		cell[k] = hi[k] > lo[k];
		f[k] = 1;
	}
}

SLX_PQ_SWEEP(first_over_time)
{
	for (size_t k = 0; k < steps; k++)
		if ((cell[k] = hi[k] > lo[k]))
			f[k] = v[lo[k]];
}

SLX_PQ_SWEEP(last_over_time)
{
	for (size_t k = 0; k < steps; k++)
		if ((cell[k] = hi[k] > lo[k]))
			f[k] = v[hi[k] - 1];
}

/* ---- minimum, maximum ---- */

/* Whether a takes the place of b, the best so far: NaN is worse than any number. */
static inline bool beats(double a, double b, bool max) { return (max ? a > b : a < b) || isnan(b); }

/* The place of the best of from .. to - 1, from being the best of those before. */
static inline uint32_t best(const double *v, uint32_t winner, uint32_t from, uint32_t to, bool max)
{
	for (uint32_t i = from; i < to; i++)
		if (beats(v[i], v[winner], max))
			winner = i;
	return winner;
}

static bool extreme(struct slx_pq_call *c, const struct slx_pq_window *w, bool max, struct slx_pq_value *ret)
{
	return has_floats(c, w) && float_result(ret, w->v[best(w->v, 0, 0, (uint32_t)w->n, max)]);
}

SLX_PQ_WINDOW(min_over_time) { return extreme(c, w, false, ret); }
SLX_PQ_WINDOW(max_over_time) { return extreme(c, w, true, ret); }

/* queue[head..tail-1] are places in order, each beaten by none after it: the first is the best of the window. */
static inline void sweep_extreme(struct slx_pq_call *c, const double *v, const uint32_t *lo, const uint32_t *hi,
	size_t steps, bool max, double *f, uint8_t *cell)
{
	size_t size = (steps ? hi[steps - 1] + 1 : 1) * sizeof(uint32_t);
	uint32_t *queue = slx_alloc(c->arena->mem, SLX_MEM_QUERY, size), head = 0, tail = 0, seen = 0;
	if (!queue) {
		c->status = slx_err_oom(&c->error);
		return;
	}
	for (size_t k = 0; k < steps; k++) {
		if (seen < lo[k])
			seen = lo[k];
		for (; seen < hi[k]; seen++) {
			while (tail > head && beats(v[seen], v[queue[tail - 1]], max))
				tail--;
			queue[tail++] = seen;
		}
		while (head < tail && queue[head] < lo[k])
			head++;
		cell[k] = head < tail ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
		if (cell[k])
			f[k] = v[queue[head]];
	}
	slx_free(c->arena->mem, SLX_MEM_QUERY, queue, size);
}

SLX_PQ_SWEEP(min_over_time) { sweep_extreme(c, v, lo, hi, steps, false, f, cell); }
SLX_PQ_SWEEP(max_over_time) { sweep_extreme(c, v, lo, hi, steps, true, f, cell); }

/* The time of the last one of the best. */
static bool extreme_time(struct slx_pq_call *c, const struct slx_pq_window *w, bool max, struct slx_pq_value *ret)
{
	if (!has_floats(c, w))
		return false;
	size_t winner = 0;
	for (size_t i = 1; i < w->n; i++)
		if (w->v[i] == w->v[winner] || beats(w->v[i], w->v[winner], max))
			winner = i;
	return float_result(ret, (double)w->t[winner] / 1000);
}

SLX_PQ_WINDOW(ts_of_min_over_time) { return extreme_time(c, w, false, ret); }
SLX_PQ_WINDOW(ts_of_max_over_time) { return extreme_time(c, w, true, ret); }

/* ---- spread ---- */

static double variance(const double *v, size_t n)
{
	struct slx_pq_kahan mean = { 0, 0 }, squares = { 0, 0 };
	for (size_t i = 0; i < n; i++) {
		double delta = v[i] - (mean.s + mean.c);
		slx_pq_kahan_add(&mean, delta / (double)(i + 1));
		slx_pq_kahan_add(&squares, delta * (v[i] - (mean.s + mean.c)));
	}
	return (squares.s + squares.c) / (double)n;
}

SLX_PQ_WINDOW(stdvar_over_time) { return has_floats(c, w) && float_result(ret, variance(w->v, w->n)); }
SLX_PQ_WINDOW(stddev_over_time) { return has_floats(c, w) && float_result(ret, sqrt(variance(w->v, w->n))); }

/* ---- quantiles ---- */

static double *scratch(struct slx_pq_call *c, size_t n)
{
	double *p = slx_alloc(c->arena->mem, SLX_MEM_QUERY, n * sizeof *p);
	if (!p)
		c->status = slx_err_oom(&c->error);
	return p;
}

static void scratch_free(struct slx_pq_call *c, double *p, size_t n)
{
	slx_free(c->arena->mem, SLX_MEM_QUERY, p, n * sizeof *p);
}

static bool quantile(struct slx_pq_call *c, double q, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	double *copy = scratch(c, w->n);
	if (!copy)
		return false;
	memcpy(copy, w->v, w->n * sizeof *copy);
	float_result(ret, slx_pq_quantile(q, copy, w->n));
	scratch_free(c, copy, w->n);
	return true;
}

SLX_PQ_WINDOW(quantile_over_time)
{
	if (!w->n)
		return false;
	slx_pq_note_quantile(c, c->scalars[0], 0);
	return has_floats(c, w) && quantile(c, c->scalars[0], w, ret);
}

SLX_PQ_WINDOW(mad_over_time)
{
	struct slx_pq_value median;
	if (!has_floats(c, w) || !quantile(c, 0.5, w, &median))
		return false;
	double *off = scratch(c, w->n);
	if (!off)
		return false;
	bool nan = false;
	for (size_t i = 0; i < w->n; i++) {
		off[i] = fabs(w->v[i] - median.f);
		nan = nan || isnan(w->v[i]);
	}
	float_result(ret, nan ? NAN : slx_pq_quantile(0.5, off, w->n));
	scratch_free(c, off, w->n);
	return true;
}

/* A window's values in order, those that are no NaN; NaNs are only counted. */
struct sorted {
	double *v;
	size_t n, nans;
};

static size_t place_of(const struct sorted *s, double v)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (s->v[mid] < v)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void put_in(struct sorted *s, double v)
{
	if (isnan(v)) {
		s->nans++;
		return;
	}
	size_t at = place_of(s, v);
	memmove(s->v + at + 1, s->v + at, (s->n++ - at) * sizeof *s->v);
	s->v[at] = v;
}

static void take_out(struct sorted *s, double v)
{
	if (isnan(v)) {
		s->nans--;
		return;
	}
	size_t at = place_of(s, v);
	memmove(s->v + at, s->v + at + 1, (--s->n - at) * sizeof *s->v);
}

static double sorted_quantile(const struct sorted *s, double q)
{
	size_t n = s->n + s->nans, lower, upper;
	double rank = q * (double)(n - 1), weight = rank - floor(rank);
	lower = (size_t)rank;
	upper = lower + 1 < n ? lower + 1 : lower;
	double a = lower < s->nans ? NAN : s->v[lower - s->nans], b = upper < s->nans ? NAN : s->v[upper - s->nans];
	return a * (1 - weight) + b * weight;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The values of from .. to - 1 afresh. */
static void sort_all(struct sorted *s, const double *v, uint32_t from, uint32_t to)
{
	s->n = s->nans = 0;
	for (uint32_t i = from; i < to; i++) {
		if (isnan(v[i]))
			s->nans++;
		else
			s->v[s->n++] = v[i];
	}
	qsort(s->v, s->n, sizeof *s->v, compare);
}

/* Few samples come and go between neighbours: moving them is cheaper than to begin anew. */
static void move_to(struct sorted *s, const double *v, uint32_t *lo, uint32_t *hi, uint32_t new_lo, uint32_t new_hi)
{
	uint32_t moves = new_lo - *lo + new_hi - *hi;
	if (new_lo >= *hi || moves / 2 > (new_hi - new_lo) / 4) {
		sort_all(s, v, new_lo, new_hi);
		*lo = new_lo, *hi = new_hi;
		return;
	}
	for (; *lo < new_lo; (*lo)++)
		take_out(s, v[*lo]);
	for (; *hi < new_hi; (*hi)++)
		put_in(s, v[*hi]);
}

SLX_PQ_SWEEP(quantile_over_time)
{
	double q = c->scalars[0];
	uint32_t longest = 1, from = 0, to = 0;
	for (size_t k = 0; k < steps; k++)
		longest = hi[k] - lo[k] > longest ? hi[k] - lo[k] : longest;
	struct sorted s = { .v = scratch(c, longest) };
	if (!s.v)
		return;
	bool inside = q >= 0 && q <= 1;
	for (size_t k = 0; k < steps; k++) {
		cell[k] = hi[k] > lo[k];
		if (!cell[k])
			continue;
		if (!inside) {
			slx_pq_note_quantile(c, q, 0);
			f[k] = isnan(q) ? NAN : q < 0 ? -INFINITY : INFINITY;
			continue;
		}
		move_to(&s, v, &from, &to, lo[k], hi[k]);
		f[k] = sorted_quantile(&s, q);
	}
	scratch_free(c, s.v, longest);
}
