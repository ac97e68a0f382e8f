/* h </ x and h >/ x: the part of a histogram below or above x.
 *
 * A bucket that x cuts keeps the share of its samples that lies on the side asked for, spread as for quantiles: evenly on a
 * logarithmic scale in exponential buckets, on a linear one in custom buckets and in the zero bucket. The sum is estimated
 * anew, from the middle of what each bucket keeps. An open bucket has no middle: its samples are taken to lie at its
 * finite bound, or at x if that is inside. When nothing is cut off, the histogram stays as it is. */
#include "promql/histogram.h"

struct cut {
	const struct slx_histogram *h;
	double at;
	bool below; /* keep what is below */
	bool changed;
	struct slx_pq_kahan count, sum; /* of what is kept */
};

/* The share of a finite bucket below v. */
static double share_below(const struct slx_pq_bucket *b, bool linear, double v)
{
	if (v <= b->lower)
		return 0;
	if (v >= b->upper)
		return 1;
	if (linear)
		return (v - b->lower) / (b->upper - b->lower);
	double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), at = log2(fabs(v));
	return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

static double middle(double lower, double upper, bool linear)
{
	if (linear)
		return (lower + upper) / 2;
	return lower < 0 ? -sqrt(lower * upper) : sqrt(lower * upper);
}

/* Of a bucket without a finite bound on one side, what is kept (all or nothing) and where it lies. */
static double keep_open(const struct cut *c, const struct slx_pq_bucket *b, double *ret_where)
{
	if (b->lower == -INFINITY && b->upper == INFINITY)
		return 0;
	if (b->upper == INFINITY) {
		*ret_where = fmax(b->lower, c->at);
		return c->below ? 0 : b->count;
	}
	*ret_where = fmin(b->upper, c->at);
	return c->below ? b->count : 0;
}

static double keep_finite(const struct cut *c, const struct slx_pq_bucket *b, bool linear, double *ret_where)
{
	double share = share_below(b, linear, c->at);
	double lower = c->below ? b->lower : fmax(b->lower, c->at), upper = c->below ? fmin(b->upper, c->at) : b->upper;
	*ret_where = middle(lower, upper, linear);
	return b->count * (c->below ? share : 1 - share);
}

/* What the bucket keeps of its count. */
static double keep(struct cut *c, struct slx_pq_bucket b, bool linear)
{
	double where = 0, kept;
	if (b.lower == -INFINITY && b.upper > 0 && b.upper != INFINITY && c->at >= 0)
		b.lower = 0; /* samples are not negative, as far as one knows */
	if (b.lower == -INFINITY && b.upper > 0 && b.upper != INFINITY)
		kept = 0; /* x is below 0, where it has none, or some that cannot be told apart */
	else if (isinf(b.lower) || isinf(b.upper))
		kept = keep_open(c, &b, &where);
	else
		kept = keep_finite(c, &b, linear, &where);
	c->changed = c->changed || kept != b.count;
	if (kept != 0) {
		slx_pq_kahan_add(&c->count, kept);
		slx_pq_kahan_add(&c->sum, kept * where);
	}
	return kept;
}

static void keep_side(struct cut *c, struct slx_pq_hside *s, bool positive)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct slx_pq_bucket b = slx_pq_hist_bucket(c->h, positive, s->index[i], slx_pq_kahan_value(s->count[i]));
		s->count[i] = (struct slx_pq_kahan){ keep(c, b, slx_pq_hist_custom(c->h)), 0 };
	}
}

static void keep_zero(struct cut *c, struct slx_pq_hist *w)
{
	struct slx_pq_bucket b = { -c->h->zero_threshold, c->h->zero_threshold, c->h->zero_count, true, true };
	if (b.count == 0)
		return;
	if (c->h->negative_n == 0 && c->h->positive_n > 0)
		b.lower = 0;
	else if (c->h->positive_n == 0 && c->h->negative_n > 0)
		b.upper = 0;
	w->zero_count = (struct slx_pq_kahan){ keep(c, b, true), 0 };
}

static void keep_nothing(struct slx_pq_hist *w)
{
	w->positive.n = w->negative.n = 0;
	w->zero_count = w->count = w->sum = (struct slx_pq_kahan){ 0, 0 };
}

const struct slx_histogram *slx_pq_hist_trim(struct slx_arena *a, const struct slx_histogram *h, double at, bool below)
{
	struct cut c = { .h = h, .at = at, .below = below };
	struct slx_pq_hist w;
	if (isinf(at) && (at > 0) == below)
		return h;
	slx_pq_hist_init(&w, a, h);
	if (isinf(at)) {
		keep_nothing(&w);
		return slx_pq_hist_finish(&w);
	}
	keep_side(&c, &w.positive, true);
	keep_side(&c, &w.negative, false);
	keep_zero(&c, &w);
	w.count = c.count;
	w.sum = c.sum;
	return c.changed ? slx_pq_hist_finish(&w) : h;
}
