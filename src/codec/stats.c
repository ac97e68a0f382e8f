/* Statistics of a chunk.
 *
 * Sums run in four lanes: value i goes to lane i % 4, rises and falls into their own four, each lane compensated, lanes
 * added 0..3 at the end. A vector level that follows the order gives the same bits. With NaN among the values the lanes
 * are counted over the others only, which is left to this scalar form. */
#include "codec/stats_int.h"
#include "codec/kernels.h"

void slx_stats_fold(const struct slx_stats_lanes *l, struct slx_stats *ret)
{
	double sum = 0, comp = 0;
	ret->increase = 0;
	for (int i = 0; i < 4; i++) {
		slx_neumaier(l->sum[i], &sum, &comp);
		comp += l->comp[i];
		ret->increase += l->rise[i];
	}
	/* Infinities make the compensation NaN; the plain sum is then what IEEE says (Inf, or NaN for Inf - Inf). */
	ret->sum = sum;
	ret->comp = isfinite(sum) && isfinite(comp) ? comp : 0;
}

void slx_stats_scalar(const double *v, size_t n, struct slx_stats *ret)
{
	struct slx_stats_lanes l = { 0 };
	struct slx_stats s = { 0 };
	double min = INFINITY, max = -INFINITY;
	for (size_t i = 0; i < n; i++) {
		double x = v[i];
		if (x != x)
			continue;
		unsigned lane = s.count & 3;
		slx_neumaier(x, &l.sum[lane], &l.comp[lane]);
		min = x < min ? x : min;
		max = x > max ? x : max;
		if (s.count == 0) {
			s.first = x;
		} else {
			bool fell = x < s.last;
			l.rise[(s.count - 1) & 3] += fell ? x : x - s.last;
			s.resets += fell;
		}
		s.last = x;
		s.count++;
	}
	if (s.count) {
		slx_stats_fold(&l, &s);
		s.min = min + 0.0; /* -0.0 becomes +0.0 */
		s.max = max + 0.0;
	}
	*ret = s;
}

void slx_stats(const double *v, size_t n, struct slx_stats *ret) { slx_codec_kernels()->stats(v, n, ret); }

void slx_stats_i64(const int64_t *v, size_t n, struct slx_stats_i64 *ret)
{
	struct slx_stats_i64 s = { .count = (uint32_t)n };
	if (n) {
		s.first = v[0];
		s.last = v[n - 1];
		slx_codec_kernels()->range(v, n, &s.min, &s.max);
	}
	for (size_t i = 0; i < n; i++) {
		s.sum += v[i];
		if (i == 0)
			continue;
		bool fell = v[i] < v[i - 1];
		s.increase += fell ? (double)v[i] : (double)((__int128)v[i] - v[i - 1]);
		s.resets += fell;
	}
	*ret = s;
}

void slx_agg_merge(struct slx_agg *to, const struct slx_agg *from)
{
	if (from->count == 0)
		return;
	if (to->count == 0) {
		*to = *from;
		return;
	}
	double comp = to->comp + from->comp;
	slx_neumaier(from->sum, &to->sum, &comp);
	to->comp = isfinite(to->sum) && isfinite(comp) ? comp : 0;
	to->count += from->count;
	to->min = from->min < to->min ? from->min : to->min;
	to->max = from->max > to->max ? from->max : to->max;
}
