#include "promql/histogram.h"

#include <stdlib.h>
#include <string.h>

/* ---- bounds ---- */

/* base^index = 2^(index / 2^schema); the last finite bound is the greatest double, where 2^1024 would be. */
double slx_pq_hist_bound(int8_t schema, int32_t index)
{
	if (schema < 0) {
		int64_t e = (int64_t)index * (INT64_C(1) << -schema);
		return e == 1024 ? __DBL_MAX__ : ldexp(1, e > 2000 ? 2000 : e < -2000 ? -2000 : (int)e);
	}
	int32_t fraction = index & ((1 << schema) - 1);
	int e = index >> schema;
	if (fraction == 0 && e == 1024)
		return __DBL_MAX__;
	return ldexp(exp2((double)fraction / (1 << schema)), e);
}

static double custom_bound(const struct slx_histogram *h, int32_t index)
{
	return index < 0 ? -INFINITY : (uint32_t)index >= h->custom_n ? INFINITY : h->custom[index];
}

/* The place of the first of n ascending bounds that is at least v. */
static uint32_t lower_bound(const double *bounds, uint32_t n, double v)
{
	uint32_t low = 0, high = n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (bounds[mid] >= v)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static bool same_bounds(const double *a, uint32_t a_n, const double *b, uint32_t b_n)
{
	if (a_n != b_n)
		return false;
	for (uint32_t i = 0; i < a_n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* ---- walking over one side ---- */

static struct slx_pq_side_iter side_forward(
	const struct slx_span *spans, uint32_t spans_n, const double *counts, uint32_t n)
{
	return (struct slx_pq_side_iter){
		.spans = spans, .counts = counts, .spans_n = spans_n, .n = n, .index = spans_n ? spans[0].offset : 0
	};
}

static bool side_next(struct slx_pq_side_iter *it, int32_t *ret_index, double *ret_count)
{
	if (it->n == 0)
		return false;
	while (it->in_span == it->spans[it->span].length) {
		it->in_span = 0;
		it->index += it->spans[++it->span].offset;
	}
	it->in_span++;
	it->n--;
	*ret_index = it->index++;
	*ret_count = it->counts[it->at++];
	return true;
}

/* Backwards: `index` is one beyond the next bucket, in_span counts what is left of the span. */
static struct slx_pq_side_iter side_backward(
	const struct slx_span *spans, uint32_t spans_n, const double *counts, uint32_t n)
{
	struct slx_pq_side_iter it = side_forward(spans, spans_n, counts, n);
	it.index = 0;
	for (uint32_t i = 0; i < spans_n; i++)
		it.index += spans[i].offset + (int32_t)spans[i].length;
	it.span = spans_n ? spans_n - 1 : 0;
	it.in_span = spans_n ? spans[spans_n - 1].length : 0;
	return it;
}

static bool side_previous(struct slx_pq_side_iter *it, int32_t *ret_index, double *ret_count)
{
	if (it->n == 0)
		return false;
	while (it->in_span == 0) {
		it->index -= it->spans[it->span].offset;
		it->in_span = it->spans[--it->span].length;
	}
	it->in_span--;
	*ret_index = --it->index;
	*ret_count = it->counts[--it->n];
	return true;
}

/* ---- buckets with bounds ---- */

struct slx_pq_buckets slx_pq_buckets(const struct slx_histogram *h, bool backwards)
{
	struct slx_pq_buckets it = { .h = h, .backwards = backwards };
	if (backwards) {
		it.left = side_backward(h->positive_spans, h->positive_spans_n, h->positive, h->positive_n);
		it.right = side_forward(h->negative_spans, h->negative_spans_n, h->negative, h->negative_n);
	} else {
		it.left = side_backward(h->negative_spans, h->negative_spans_n, h->negative, h->negative_n);
		it.right = side_forward(h->positive_spans, h->positive_spans_n, h->positive, h->positive_n);
	}
	return it;
}

struct slx_pq_bucket slx_pq_hist_bucket(const struct slx_histogram *h, bool positive, int32_t index, double count)
{
	if (slx_pq_hist_custom(h))
		return (struct slx_pq_bucket){ custom_bound(h, index - 1), custom_bound(h, index), count, index == 0, true };
	double inner = slx_pq_hist_bound(h->schema, index - 1), outer = slx_pq_hist_bound(h->schema, index),
		   zero = h->zero_threshold;
	if (inner < zero) /* the zero bucket cuts into it */
		inner = zero;
	if (positive)
		return (struct slx_pq_bucket){ inner, outer, count, false, true };
	return (struct slx_pq_bucket){ -outer, -inner, count, true, false };
}

bool slx_pq_buckets_next(struct slx_pq_buckets *it, struct slx_pq_bucket *ret)
{
	int32_t index;
	double count;
	if (it->stage == 0) {
		if (side_previous(&it->left, &index, &count)) {
			*ret = slx_pq_hist_bucket(it->h, it->backwards, index, count);
			return true;
		}
		it->stage = 1;
		if (it->h->zero_count > 0) {
			*ret =
				(struct slx_pq_bucket){ -it->h->zero_threshold, it->h->zero_threshold, it->h->zero_count, true, true };
			return true;
		}
	}
	if (!side_next(&it->right, &index, &count))
		return false;
	*ret = slx_pq_hist_bucket(it->h, !it->backwards, index, count);
	return true;
}

/* ---- one side seen in another layout ---- */

/* Buckets in order of their target index, those of one target together. The source is a side of a histogram or of a sum; the
 * target is a coarser schema (shift), or custom bounds `to` (of which only those count that are in `also`, if given). */
struct view {
	struct slx_pq_side_iter it;
	const struct slx_pq_hside *side; /* NULL: it */
	uint32_t at;
	unsigned shift;
	const double *from, *to, *also;
	uint32_t from_n, to_n, also_n;
	bool mapped; /* from custom bounds to custom bounds */
	bool pending;
	int32_t index;
	double count;
};

static int32_t view_target(const struct view *v, int32_t index)
{
	if (!v->mapped)
		return v->shift ? ((index - 1) >> v->shift) + 1 : index;
	if ((uint32_t)index >= v->from_n)
		return (int32_t)v->to_n;
	uint32_t i = lower_bound(v->to, v->to_n, v->from[index]);
	while (v->also && i < v->to_n) {
		uint32_t k = lower_bound(v->also, v->also_n, v->to[i]);
		if (k < v->also_n && v->also[k] == v->to[i])
			break;
		i++;
	}
	return (int32_t)i;
}

static bool view_raw(struct view *v, int32_t *index, double *count)
{
	if (v->side) {
		if (v->at == v->side->n)
			return false;
		*index = v->side->index[v->at];
		*count = slx_pq_kahan_value(v->side->count[v->at++]);
	} else if (!side_next(&v->it, index, count)) {
		return false;
	}
	*index = view_target(v, *index);
	return true;
}

static bool view_next(struct view *v, int32_t *ret_index, double *ret_count)
{
	int32_t index;
	double count;
	if (!v->pending && !view_raw(v, &v->index, &v->count))
		return false;
	*ret_index = v->index;
	*ret_count = v->count;
	while ((v->pending = view_raw(v, &index, &count)) && index == *ret_index)
		*ret_count += count;
	v->index = index;
	v->count = count;
	return true;
}

static struct view view_positive(const struct slx_histogram *h)
{
	return (struct view){ .it = side_forward(h->positive_spans, h->positive_spans_n, h->positive, h->positive_n) };
}

static struct view view_negative(const struct slx_histogram *h)
{
	return (struct view){ .it = side_forward(h->negative_spans, h->negative_spans_n, h->negative, h->negative_n) };
}

/* ---- the zero bucket ---- */

/* The buckets of one side that a wider zero bucket takes in: adds them to *count. A populated bucket that the threshold
 * cuts widens it to the bucket's outer bound; true then. */
static bool swallow(struct view side, int8_t schema, double *threshold, double *count)
{
	int32_t index;
	double c;
	while (view_next(&side, &index, &c)) {
		if (slx_pq_hist_bound(schema, index - 1) >= *threshold)
			return false;
		*count += c;
		double outer = slx_pq_hist_bound(schema, index);
		if (outer > *threshold) {
			if (c != 0)
				*threshold = outer;
			return c != 0;
		}
	}
	return false;
}

/* What the zero count would be with a threshold of at least *threshold, which is widened where it cuts a bucket. */
static double zero_count_for(
	struct view positive, struct view negative, int8_t schema, double zero_count, double *threshold)
{
	double count;
	do {
		count = zero_count;
		swallow(positive, schema, threshold, &count);
	} while (swallow(negative, schema, threshold, &count));
	return count;
}

static double zero_count_of(const struct slx_histogram *h, double *threshold)
{
	if (*threshold == h->zero_threshold)
		return h->zero_count;
	return zero_count_for(view_positive(h), view_negative(h), h->schema, h->zero_count, threshold);
}

static void drop_inside(struct slx_pq_hside *s, int8_t schema, double threshold)
{
	uint32_t n = 0;
	while (n < s->n && slx_pq_hist_bound(schema, s->index[n] - 1) < threshold)
		n++;
	if (n == 0)
		return;
	s->n -= n;
	memmove(s->index, s->index + n, s->n * sizeof *s->index);
	memmove(s->count, s->count + n, s->n * sizeof *s->count);
}

static void widen_zero(struct slx_pq_hist *w, double threshold)
{
	double count = zero_count_for((struct view){ .side = &w->positive }, (struct view){ .side = &w->negative },
		w->schema, slx_pq_kahan_value(w->zero_count), &threshold);
	w->zero_count = (struct slx_pq_kahan){ count, 0 };
	w->zero_threshold = threshold;
	drop_inside(&w->positive, w->schema, threshold);
	drop_inside(&w->negative, w->schema, threshold);
}

/* Widens the zero bucket of w until it fits both; returns what the zero count of h is under it. */
static double reconcile_zero(struct slx_pq_hist *w, const struct slx_histogram *h)
{
	double count = h->zero_count, threshold = h->zero_threshold;
	while (threshold != w->zero_threshold) {
		if (w->zero_threshold > threshold) {
			threshold = w->zero_threshold;
			count = zero_count_of(h, &threshold);
		}
		if (threshold > w->zero_threshold)
			widen_zero(w, threshold);
	}
	return count;
}

/* ---- sums ---- */

/* Room for cap buckets, with the present ones at its end: merging fills it from the front. */
static bool side_spread(
	struct slx_pq_hist *w, struct slx_pq_hside *s, uint32_t need, int32_t **ret_index, struct slx_pq_kahan **ret_count)
{
	int32_t *index = s->index;
	struct slx_pq_kahan *count = s->count;
	uint32_t cap = s->cap;
	if (need > cap) {
		cap = need + need / 2;
		index = slx_arena_alloc(w->arena, cap * sizeof *index, 8);
		count = slx_arena_alloc(w->arena, cap * sizeof *count, 8);
		if (!index || !count) {
			w->failed = true;
			return false;
		}
	}
	*ret_index = index + cap - s->n;
	*ret_count = count + cap - s->n;
	if (s->n) {
		memmove(*ret_index, s->index, s->n * sizeof *index);
		memmove(*ret_count, s->count, s->n * sizeof *count);
	}
	s->index = index;
	s->count = count;
	s->cap = cap;
	return true;
}

/* The next of v beyond what the zero bucket covers (threshold < 0: none). */
static bool next_outside(struct view *v, int8_t schema, double *threshold, int32_t *index, double *count)
{
	while (view_next(v, index, count)) {
		if (*threshold < 0 || slx_pq_hist_bound(schema, *index) > *threshold) {
			*threshold = -1;
			return true;
		}
	}
	return false;
}

static uint32_t count_new(const struct slx_pq_hside *s, struct view v, int8_t schema, double threshold)
{
	uint32_t i = 0, new = 0;
	int32_t index;
	double count;
	while (next_outside(&v, schema, &threshold, &index, &count)) {
		while (i < s->n && s->index[i] < index)
			i++;
		new += i == s->n || s->index[i] != index;
	}
	return new;
}

static void side_merge(struct slx_pq_hist *w, struct slx_pq_hside *s, struct view v, double threshold, double sign)
{
	uint32_t need = s->n + count_new(s, v, w->schema, threshold), old_n = s->n, from = 0, to = 0;
	int32_t *old_index, index;
	struct slx_pq_kahan *old;
	double count;
	if (!side_spread(w, s, need, &old_index, &old))
		return;
	while (next_outside(&v, w->schema, &threshold, &index, &count)) {
		for (; from < old_n && old_index[from] < index; from++, to++) {
			s->index[to] = old_index[from];
			s->count[to] = old[from];
		}
		struct slx_pq_kahan k = { 0, 0 };
		if (from < old_n && old_index[from] == index)
			k = old[from++];
		slx_pq_kahan_add(&k, sign * count);
		s->index[to] = index;
		s->count[to++] = k;
	}
	if (from < old_n) { /* they may be NULL else */
		memmove(s->index + to, old_index + from, (old_n - from) * sizeof *s->index);
		memmove(s->count + to, old + from, (old_n - from) * sizeof *s->count);
	}
	s->n = need;
}

void slx_pq_hist_init(struct slx_pq_hist *w, struct slx_arena *a, const struct slx_histogram *h)
{
	*w = (struct slx_pq_hist){
		.arena = a,
		.schema = h->schema,
		.reset = h->reset,
		.seen = (uint8_t)(1u << h->reset),
		.zero_threshold = h->zero_threshold,
		.zero_count = { h->zero_count, 0 },
		.count = { h->count, 0 },
		.sum = { h->sum, 0 },
		.custom = h->custom,
		.custom_n = h->custom_n,
	};
	side_merge(w, &w->positive, view_positive(h), -1, 1);
	side_merge(w, &w->negative, view_negative(h), -1, 1);
}

/* Maps the indexes of a side through v (a view of it), those that fall together added up. */
static void side_remap(struct slx_pq_hside *s, const struct view *v)
{
	uint32_t to = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		int32_t index = view_target(v, s->index[i]);
		struct slx_pq_kahan k = s->count[i];
		if (to && s->index[to - 1] == index) {
			slx_pq_kahan_add(&s->count[to - 1], k.s);
			s->count[to - 1].c += k.c;
			continue;
		}
		s->index[to] = index;
		s->count[to++] = k;
	}
	s->n = to;
}

void slx_pq_hist_coarsen(struct slx_pq_hist *w, int8_t schema)
{
	if (schema >= w->schema || schema == SLX_HISTOGRAM_CUSTOM)
		return;
	struct view v = { .shift = (unsigned)(w->schema - schema) };
	side_remap(&w->positive, &v);
	side_remap(&w->negative, &v);
	w->schema = schema;
}

static double *intersect(struct slx_pq_hist *w, const struct slx_histogram *h, uint32_t *ret_n)
{
	uint32_t n = 0;
	double *both = slx_arena_alloc(w->arena, (w->custom_n + 1) * sizeof *both, 8);
	if (!both) {
		w->failed = true;
		return NULL;
	}
	for (uint32_t i = 0, k = 0; i < w->custom_n && k < h->custom_n;) {
		if (w->custom[i] == h->custom[k])
			both[n++] = w->custom[i++], k++;
		else if (w->custom[i] < h->custom[k])
			i++;
		else
			k++;
	}
	*ret_n = n;
	return both;
}

static unsigned add_custom(struct slx_pq_hist *w, const struct slx_histogram *h, double sign)
{
	struct view v = view_positive(h);
	if (same_bounds(w->custom, w->custom_n, h->custom, h->custom_n)) {
		side_merge(w, &w->positive, v, -1, sign);
		return 0;
	}
	uint32_t n;
	double *both = intersect(w, h, &n);
	if (!both)
		return 0;
	side_remap(&w->positive,
		&(struct view){ .mapped = true, .from = w->custom, .from_n = w->custom_n, .to = both, .to_n = n });
	w->custom = both;
	w->custom_n = n;
	v.mapped = true, v.from = h->custom, v.from_n = h->custom_n, v.to = both, v.to_n = n;
	side_merge(w, &w->positive, v, -1, sign);
	return SLX_PQ_HIST_RECONCILED;
}

static unsigned add_exponential(struct slx_pq_hist *w, const struct slx_histogram *h, double sign)
{
	slx_pq_kahan_add(&w->zero_count, sign * reconcile_zero(w, h));
	slx_pq_hist_coarsen(w, h->schema);
	struct view p = view_positive(h), n = view_negative(h);
	p.shift = n.shift = (unsigned)(h->schema - w->schema);
	side_merge(w, &w->positive, p, w->zero_threshold, sign);
	side_merge(w, &w->negative, n, w->zero_threshold, sign);
	return 0;
}

/* A gauge wins, then "unknown"; a reset and a "no reset" make it unknown. */
static unsigned join_hints(struct slx_pq_hist *w, uint8_t hint)
{
	const unsigned both = 1u << SLX_RESET_YES | 1u << SLX_RESET_NO;
	w->seen |= (uint8_t)(1u << hint);
	if (w->reset == SLX_RESET_GAUGE || hint == SLX_RESET_GAUGE)
		w->reset = SLX_RESET_GAUGE;
	else if (hint != w->reset)
		w->reset = SLX_RESET_UNKNOWN;
	return (w->seen & both) == both ? SLX_PQ_HIST_COLLISION : 0;
}

static unsigned add_signed(struct slx_pq_hist *w, const struct slx_histogram *h, double sign)
{
	bool custom = w->schema == SLX_HISTOGRAM_CUSTOM;
	if (custom != slx_pq_hist_custom(h))
		return SLX_PQ_HIST_INCOMPATIBLE;
	unsigned found = join_hints(w, h->reset);
	slx_pq_kahan_add(&w->count, sign * h->count);
	slx_pq_kahan_add(&w->sum, sign * h->sum);
	return found | (custom ? add_custom(w, h, sign) : add_exponential(w, h, sign));
}

unsigned slx_pq_hist_add(struct slx_pq_hist *w, const struct slx_histogram *h) { return add_signed(w, h, 1); }
unsigned slx_pq_hist_subtract(struct slx_pq_hist *w, const struct slx_histogram *h) { return add_signed(w, h, -1); }

static struct slx_pq_kahan product(struct slx_pq_kahan k, double by)
{
	/* Infinite and NaN sums have no use for a compensation, which would turn Inf into NaN. */
	double s = k.s * by, c = k.c * by;
	return (struct slx_pq_kahan){ s, isfinite(s) && isfinite(c) ? c : 0 };
}

static struct slx_pq_kahan quotient(struct slx_pq_kahan k, double by)
{
	double s = k.s / by, c = k.c / by;
	return (struct slx_pq_kahan){ s, isfinite(s) && isfinite(c) ? c : 0 };
}

static void each_count(struct slx_pq_hist *w, struct slx_pq_kahan (*f)(struct slx_pq_kahan, double), double by)
{
	w->zero_count = f(w->zero_count, by);
	w->count = f(w->count, by);
	w->sum = f(w->sum, by);
	for (uint32_t i = 0; i < w->positive.n; i++)
		w->positive.count[i] = f(w->positive.count[i], by);
	for (uint32_t i = 0; i < w->negative.n; i++)
		w->negative.count[i] = f(w->negative.count[i], by);
	if (by < 0)
		w->reset = SLX_RESET_GAUGE;
}

void slx_pq_hist_multiply(struct slx_pq_hist *w, double by) { each_count(w, product, by); }

void slx_pq_hist_divide(struct slx_pq_hist *w, double by)
{
	if (by == 0)
		w->positive.n = w->negative.n = 0;
	each_count(w, quotient, by);
}

static bool side_overflows(const struct slx_pq_hside *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (isinf(s->count[i].s))
			return true;
	return false;
}

bool slx_pq_hist_overflows(const struct slx_pq_hist *w)
{
	return isinf(w->zero_count.s) || isinf(w->count.s) || isinf(w->sum.s) || side_overflows(&w->positive) ||
		side_overflows(&w->negative);
}

/* ---- the finished histogram ---- */

static void side_finish(struct slx_pq_hist *w, struct slx_arena *a, const struct slx_pq_hside *s,
	const struct slx_span **ret_spans, uint32_t *ret_spans_n, const double **ret, uint32_t *ret_n)
{
	uint32_t n = 0, spans_n = 0;
	int64_t next = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		if (slx_pq_kahan_value(s->count[i]) == 0)
			continue;
		spans_n += n == 0 || s->index[i] != next;
		next = (int64_t)s->index[i] + 1;
		n++;
	}
	if (n == 0)
		return;
	struct slx_span *spans = slx_arena_alloc(a, spans_n * sizeof *spans, 8);
	double *counts = slx_arena_alloc(a, n * sizeof *counts, 8);
	if (!spans || !counts) {
		w->failed = true;
		return;
	}
	*ret_spans = spans;
	*ret_spans_n = spans_n;
	*ret = counts;
	*ret_n = n;
	next = 0;
	n = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		double v = slx_pq_kahan_value(s->count[i]);
		if (v == 0)
			continue;
		if (n == 0 || s->index[i] != next)
			*spans++ = (struct slx_span){ (int32_t)(s->index[i] - next), 0 };
		spans[-1].length++;
		next = (int64_t)s->index[i] + 1;
		counts[n++] = v;
	}
}

/* The bounds are the arena's of w only when they were cut; they go along. */
static const double *custom_finish(struct slx_pq_hist *w, struct slx_arena *a)
{
	if (a == w->arena || w->custom_n == 0)
		return w->custom;
	double *copy = slx_arena_alloc(a, w->custom_n * sizeof *copy, 8);
	if (!copy) {
		w->failed = true;
		return NULL;
	}
	return memcpy(copy, w->custom, w->custom_n * sizeof *copy);
}

const struct slx_histogram *slx_pq_hist_finish_to(struct slx_pq_hist *w, struct slx_arena *a)
{
	struct slx_histogram *h = slx_arena_alloc(a, sizeof *h, 8);
	if (!h)
		return NULL;
	*h = (struct slx_histogram){
		.schema = w->schema,
		.reset = w->reset,
		.zero_threshold = w->zero_threshold,
		.zero_count = slx_pq_kahan_value(w->zero_count),
		.count = slx_pq_kahan_value(w->count),
		.sum = slx_pq_kahan_value(w->sum),
		.custom = custom_finish(w, a),
		.custom_n = w->custom_n,
	};
	side_finish(w, a, &w->positive, &h->positive_spans, &h->positive_spans_n, &h->positive, &h->positive_n);
	side_finish(w, a, &w->negative, &h->negative_spans, &h->negative_spans_n, &h->negative, &h->negative_n);
	return w->failed ? NULL : h;
}

const struct slx_histogram *slx_pq_hist_finish(struct slx_pq_hist *w) { return slx_pq_hist_finish_to(w, w->arena); }

const struct slx_histogram *slx_pq_histogram_scale(struct slx_arena *a, const struct slx_histogram *h, double by)
{
	struct slx_pq_hist w;
	slx_pq_hist_init(&w, a, h);
	slx_pq_hist_multiply(&w, by);
	return slx_pq_hist_finish(&w);
}

/* ---- comparing ---- */

/* Has any bucket of `before` fewer in `now`? */
static bool side_reset(struct view now, struct view before, int8_t schema, double threshold)
{
	int32_t i = INT32_MIN, index;
	double have = 0, had, now_from = threshold, before_from = threshold;
	bool more = true;
	while (next_outside(&before, schema, &before_from, &index, &had)) {
		while (more && i < index)
			more = next_outside(&now, schema, &now_from, &i, &have);
		if (more && i == index ? have < had : had != 0)
			return true;
	}
	return false;
}

static bool custom_reset(const struct slx_histogram *now, const struct slx_histogram *before)
{
	struct view n = view_positive(now), b = view_positive(before);
	if (!same_bounds(now->custom, now->custom_n, before->custom, before->custom_n)) {
		n.mapped = b.mapped = true;
		n.from = n.to = b.to = now->custom;
		n.from_n = n.to_n = b.to_n = now->custom_n;
		b.from = n.also = b.also = before->custom;
		b.from_n = n.also_n = b.also_n = before->custom_n;
	}
	return side_reset(n, b, SLX_HISTOGRAM_CUSTOM, -1);
}

bool slx_pq_hist_is_reset(const struct slx_histogram *now, const struct slx_histogram *before)
{
	if (now->reset == SLX_RESET_YES || now->reset == SLX_RESET_NO)
		return now->reset == SLX_RESET_YES;
	if (now->count < before->count)
		return true;
	if (slx_pq_hist_custom(now) || slx_pq_hist_custom(before))
		return now->schema != before->schema || custom_reset(now, before);
	if (now->schema > before->schema || now->zero_threshold < before->zero_threshold)
		return true;
	double threshold = now->zero_threshold, zero = zero_count_of(before, &threshold);
	if (threshold != now->zero_threshold || now->zero_count < zero)
		return true;
	struct view p = view_positive(before), n = view_negative(before);
	p.shift = n.shift = (unsigned)(before->schema - now->schema);
	return side_reset(view_positive(now), p, now->schema, threshold) ||
		side_reset(view_negative(now), n, now->schema, threshold);
}

static bool side_equal(struct slx_pq_side_iter a, struct slx_pq_side_iter b)
{
	if (a.n != b.n)
		return false;
	int32_t i, k;
	double x, y;
	while (side_next(&a, &i, &x) && side_next(&b, &k, &y))
		if (i != k || slx_f64_bits(x) != slx_f64_bits(y))
			return false;
	return true;
}

bool slx_pq_hist_equal(const struct slx_histogram *a, const struct slx_histogram *b)
{
	return a->schema == b->schema && slx_f64_bits(a->count) == slx_f64_bits(b->count) &&
		slx_f64_bits(a->sum) == slx_f64_bits(b->sum) && a->zero_threshold == b->zero_threshold &&
		slx_f64_bits(a->zero_count) == slx_f64_bits(b->zero_count) &&
		same_bounds(a->custom, a->custom_n, b->custom, b->custom_n) &&
		side_equal(view_positive(a).it, view_positive(b).it) && side_equal(view_negative(a).it, view_negative(b).it);
}
