/* Quantiles, fractions and variance of native histograms.
 *
 * Inside a bucket the samples are taken to lie evenly: on a linear scale in custom buckets and in the zero bucket, on a
 * logarithmic one in exponential buckets. A zero bucket of a histogram with only one side reaches from 0. NaN samples are
 * in the count but in no bucket; the sum is NaN then. */
#include "promql/histogram.h"

/* A zero bucket beside one side only is that side's. */
static void trim_zero(const struct slx_histogram *h, struct slx_pq_bucket *b)
{
	if (h->negative_n == 0 && h->positive_n > 0)
		b->lower = 0;
	else if (h->positive_n == 0 && h->negative_n > 0)
		b->upper = 0;
}

/* Where a fraction of the way through an exponential bucket is. */
static double interpolate(const struct slx_pq_bucket *b, double fraction)
{
	double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper));
	if (b->lower > 0)
		return exp2(lower + (upper - lower) * fraction);
	return -exp2(upper + (lower - upper) * (1 - fraction));
}

/* The bucket of the rank among those of it: false when they hold fewer. *count: of all buckets up to and with it. */
static bool find_rank(struct slx_pq_buckets *it, double rank, struct slx_pq_bucket *b, double *count)
{
	while (slx_pq_buckets_next(it, b)) {
		*count += b->count;
		if (b->count != 0 && *count >= rank)
			return true;
	}
	return false;
}

static double rest_of(struct slx_pq_buckets *it)
{
	struct slx_pq_bucket b;
	double count = 0;
	while (slx_pq_buckets_next(it, &b))
		count += b.count;
	return count;
}

double slx_pq_hist_quantile(double q, const struct slx_histogram *h, enum slx_pq_nan_note *ret_note)
{
	*ret_note = SLX_PQ_NAN_NONE;
	if (q < 0)
		return -INFINITY;
	if (q > 1)
		return INFINITY;
	if (h->count == 0 || isnan(q))
		return NAN;
	bool custom = slx_pq_hist_custom(h), forward = isnan(h->sum) || q < 0.5;
	double rank = (forward ? q : 1 - q) * h->count, count = 0;
	struct slx_pq_bucket b = { 0 };
	struct slx_pq_buckets it = slx_pq_buckets(h, !forward);
	find_rank(&it, rank, &b, &count);
	if (!custom && b.lower < 0 && b.upper > 0) {
		trim_zero(h, &b);
	} else if (custom && b.lower == -INFINITY) {
		if (b.upper <= 0)
			return b.upper;
		b.lower = 0;
	} else if (custom && b.upper == INFINITY) {
		return b.lower;
	}
	if (count > h->count) /* rounding */
		count = h->count;
	if (count < rank) {
		*ret_note = isnan(h->sum) ? SLX_PQ_NAN_RESULT : SLX_PQ_NAN_NONE;
		return isnan(h->sum) ? NAN : b.upper;
	}
	rank = forward ? rank - (count - b.count) : count - rank;
	if (isnan(h->sum) && count + rest_of(&it) < h->count)
		*ret_note = SLX_PQ_NAN_SKEW;
	double fraction = rank / b.count;
	if (custom || (b.lower <= 0 && b.upper >= 0))
		return b.lower + (b.upper - b.lower) * fraction;
	return interpolate(&b, fraction);
}

/* How many samples of the bucket, and of all before it (rank), are below v, which lies inside. */
static double rank_below(double rank, const struct slx_pq_bucket *b, bool linear, double v)
{
	if (linear)
		return b->lower == -INFINITY ? b->count : rank + b->count * (v - b->lower) / (b->upper - b->lower);
	double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), at = log2(fabs(v));
	return rank + b->count * (v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper));
}

/* Finds the rank of v once its bucket comes by. */
struct limit {
	double v, rank;
	bool found;
};

static void look_for(struct limit *l, double rank, const struct slx_pq_bucket *b, bool linear)
{
	if (l->found)
		return;
	l->found = b->lower >= l->v || b->upper > l->v;
	l->rank = b->lower >= l->v ? rank : l->found ? rank_below(rank, b, linear, l->v) : 0;
}

double slx_pq_hist_fraction(double lower, double upper, const struct slx_histogram *h, enum slx_pq_nan_note *ret_note)
{
	*ret_note = SLX_PQ_NAN_NONE;
	if (h->count == 0 || isnan(lower) || isnan(upper))
		return NAN;
	if (lower >= upper)
		return 0;
	struct limit low = { .v = lower }, high = { .v = upper };
	struct slx_pq_buckets it = slx_pq_buckets(h, false);
	struct slx_pq_bucket b;
	double rank = 0, count = 0;
	while (!(low.found && high.found) && slx_pq_buckets_next(&it, &b)) {
		bool zero = b.lower <= 0 && b.upper >= 0;
		count += b.count;
		if (zero)
			trim_zero(h, &b);
		look_for(&low, rank, &b, zero || slx_pq_hist_custom(h));
		look_for(&high, rank, &b, zero || slx_pq_hist_custom(h));
		rank += b.count;
	}
	count += rest_of(&it);
	if (!isnan(h->sum))
		count = h->count;
	else if (count < h->count)
		*ret_note = SLX_PQ_NAN_FRACTION;
	if (!low.found || low.rank > count)
		low.rank = count;
	if (!high.found || high.rank > count)
		high.rank = count;
	return (high.rank - low.rank) / h->count;
}

double slx_pq_hist_variance(const struct slx_histogram *h)
{
	double mean = h->sum / h->count;
	struct slx_pq_kahan sum = { 0, 0 };
	struct slx_pq_buckets it = slx_pq_buckets(h, false);
	struct slx_pq_bucket b;
	while (slx_pq_buckets_next(&it, &b)) {
		if (b.count == 0)
			continue;
		double middle = sqrt(b.upper * b.lower);
		if (slx_pq_hist_custom(h))
			middle = (b.upper + b.lower) / 2;
		else if (b.lower <= 0 && b.upper >= 0)
			middle = 0;
		else if (b.upper < 0)
			middle = -middle;
		slx_pq_kahan_add(&sum, b.count * (middle - mean) * (middle - mean));
	}
	return (sum.s + sum.c) / h->count;
}
