/* Sums of histograms against a slow model: buckets as a plain array over all indexes. */
#include "promql/histogram.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { HALF = 64, ALL = 2 * HALF + 1 }; /* indexes -HALF .. HALF */

struct fixture {
	struct slx_mem mem;
	struct slx_arena arena;
};

static void fixture_init(struct fixture *x)
{
	slx_mem_init(&x->mem, NULL);
	slx_arena_init(&x->arena, &x->mem, SLX_MEM_QUERY, 65536);
}

static void fixture_free(struct fixture *x)
{
	slx_arena_clear(&x->arena);
	assert_int_equal(slx_mem_total(&x->mem), 0);
}

static void check_near(double got, double expected, const char *what)
{
	if (fabs(got - expected) > 1e-9 * (fabs(got) + fabs(expected)) && !(isnan(got) && isnan(expected)))
		fail_msg("%s: %.17g, expected %.17g", what, got, expected);
}

/* ---- the model ---- */

struct model {
	int schema;
	double zero_threshold, zero_count, count, sum;
	double positive[ALL], negative[ALL];
};

static void spread(const struct slx_span *spans, uint32_t n, const double *counts, double *to)
{
	int32_t index = 0;
	for (uint32_t i = 0; i < n; i++) {
		index += spans[i].offset;
		for (uint32_t k = 0; k < spans[i].length; k++)
			to[index++ + HALF] += *counts++;
	}
}

static struct model model_of(const struct slx_histogram *h)
{
	struct model m = { .schema = h->schema,
		.zero_threshold = h->zero_threshold,
		.zero_count = h->zero_count,
		.count = h->count,
		.sum = h->sum };
	spread(h->positive_spans, h->positive_spans_n, h->positive, m.positive);
	spread(h->negative_spans, h->negative_spans_n, h->negative, m.negative);
	return m;
}

static void model_side_coarsen(double *side)
{
	double coarse[ALL] = { 0 };
	for (int i = -HALF; i <= HALF; i++)
		coarse[((i - 1) >> 1) + 1 + HALF] += side[i + HALF];
	memcpy(side, coarse, sizeof coarse);
}

static void model_coarsen(struct model *m, int schema)
{
	for (; m->schema > schema; m->schema--) {
		model_side_coarsen(m->positive);
		model_side_coarsen(m->negative);
	}
}

/* Widens until the threshold is `to` or the outer bound of a populated bucket beyond it. */
static void model_widen(struct model *m, double to)
{
	bool again = true;
	while (again) {
		again = false;
		for (int i = -HALF; i <= HALF; i++) {
			double inner = slx_pq_hist_bound((int8_t)m->schema, i - 1), outer = slx_pq_hist_bound((int8_t)m->schema, i);
			if (inner < to && outer > to && (m->positive[i + HALF] != 0 || m->negative[i + HALF] != 0)) {
				to = outer;
				again = true;
			}
		}
	}
	for (int i = -HALF; i <= HALF; i++)
		if (slx_pq_hist_bound((int8_t)m->schema, i - 1) < to) {
			m->zero_count += m->positive[i + HALF] + m->negative[i + HALF];
			m->positive[i + HALF] = m->negative[i + HALF] = 0;
		}
	m->zero_threshold = to;
}

static void model_add(struct model *m, struct model o, double sign)
{
	while (m->zero_threshold != o.zero_threshold) {
		if (m->zero_threshold < o.zero_threshold)
			model_widen(m, o.zero_threshold);
		else
			model_widen(&o, m->zero_threshold);
	}
	model_coarsen(m, o.schema);
	model_coarsen(&o, m->schema);
	m->zero_count += sign * o.zero_count;
	m->count += sign * o.count;
	m->sum += sign * o.sum;
	for (int i = 0; i < ALL; i++) {
		m->positive[i] += sign * o.positive[i];
		m->negative[i] += sign * o.negative[i];
	}
}

static void check_model(const struct slx_histogram *h, const struct model *m)
{
	struct model got = model_of(h);
	assert_int_equal(h->schema, m->schema);
	check_near(h->count, m->count, "count");
	check_near(h->sum, m->sum, "sum");
	check_near(h->zero_threshold, m->zero_threshold, "zero threshold");
	check_near(h->zero_count, m->zero_count, "zero count");
	for (int i = 0; i < ALL; i++) {
		char what[64];
		snprintf(what, sizeof what, "bucket %d", i - HALF);
		check_near(got.positive[i], m->positive[i], what);
		check_near(got.negative[i], m->negative[i], what);
	}
}

/* ---- random histograms ---- */

/* Nothing populated reaches into the zero bucket, as in any sound histogram. */
static void draw_side(struct fixture *x, uint64_t *seed, const struct slx_histogram *h,
	const struct slx_span **ret_spans, uint32_t *ret_spans_n, const double **ret, uint32_t *ret_n)
{
	struct slx_span *spans = slx_arena_alloc(&x->arena, 8 * sizeof *spans, 8);
	double *counts = slx_arena_alloc(&x->arena, 64 * sizeof *counts, 8);
	uint32_t spans_n = (uint32_t)(slx_rng_next(seed) % 5), n = 0;
	int32_t index = 0;
	for (uint32_t i = 0; i < spans_n; i++) {
		int32_t offset = i ? (int32_t)(slx_rng_next(seed) % 6) : (int32_t)(slx_rng_next(seed) % 30) - 20;
		spans[i] = (struct slx_span){ offset, (uint32_t)(slx_rng_next(seed) % 6) };
		index += offset;
		for (uint32_t k = 0; k < spans[i].length; k++, index++)
			counts[n++] =
				slx_pq_hist_bound(h->schema, index - 1) < h->zero_threshold ? 0 : (double)(slx_rng_next(seed) % 5);
	}
	*ret_spans = spans;
	*ret_spans_n = spans_n;
	*ret = counts;
	*ret_n = n;
}

static struct slx_histogram draw(struct fixture *x, uint64_t *seed, bool schemas, bool thresholds)
{
	struct slx_histogram h = { .schema = schemas ? (int8_t)(slx_rng_next(seed) % 4) : 1,
		.sum = (double)(slx_rng_next(seed) % 1000) / 7 };
	h.zero_threshold = thresholds && slx_rng_next(seed) % 3 == 0
		? ldexp(1 + (double)(slx_rng_next(seed) % 3) / 4, (int)(slx_rng_next(seed) % 6) - 4)
		: 0.001;
	h.count = h.zero_count = (double)(slx_rng_next(seed) % 9);
	draw_side(x, seed, &h, &h.positive_spans, &h.positive_spans_n, &h.positive, &h.positive_n);
	draw_side(x, seed, &h, &h.negative_spans, &h.negative_spans_n, &h.negative, &h.negative_n);
	for (uint32_t i = 0; i < h.positive_n; i++)
		h.count += h.positive[i];
	for (uint32_t i = 0; i < h.negative_n; i++)
		h.count += h.negative[i];
	return h;
}

/* Schemas and thresholds by turns: where both differ, Prometheus counts a finer bucket that the zero bucket swallowed once
 * more when its coarser one reaches beyond it, and so do we. */
static void test_sums(void **state)
{
	uint64_t seed = 99;
	for (int round = 0; round < 2000; round++) {
		bool schemas = round & 1, thresholds = !schemas;
		struct fixture x;
		struct slx_pq_hist w;
		fixture_init(&x);
		struct slx_histogram h = draw(&x, &seed, schemas, thresholds);
		struct model m = model_of(&h);
		slx_pq_hist_init(&w, &x.arena, &h);
		for (int i = 0; i < 4; i++) {
			bool minus = slx_rng_next(&seed) & 1;
			h = draw(&x, &seed, schemas, thresholds);
			model_add(&m, model_of(&h), minus ? -1 : 1);
			assert_int_equal((minus ? slx_pq_hist_subtract : slx_pq_hist_add)(&w, &h), 0);
		}
		const struct slx_histogram *sum = slx_pq_hist_finish(&w);
		assert_non_null(sum);
		check_model(sum, &m);
		fixture_free(&x);
	}
}

/* ---- custom buckets ---- */

static struct slx_histogram custom(const double *bounds, uint32_t n, const double *counts, const struct slx_span *span)
{
	struct slx_histogram h = { .schema = SLX_HISTOGRAM_CUSTOM,
		.custom = bounds,
		.custom_n = n,
		.positive = counts,
		.positive_n = span->length,
		.positive_spans = span,
		.positive_spans_n = 1 };
	for (uint32_t i = 0; i < h.positive_n; i++)
		h.count += counts[i];
	return h;
}

static void test_custom(void **state)
{
	static const double a[] = { 1, 2, 5, 10 }, b[] = { 2, 4, 10, 20 }, ones[] = { 1, 1, 1, 1, 1 },
						twos[] = { 2, 2, 2, 2, 2 };
	static const struct slx_span all = { 0, 5 };
	struct slx_histogram x = custom(a, 4, ones, &all), y = custom(b, 4, twos, &all), plain = { .schema = 0 };
	struct fixture f;
	struct slx_pq_hist w;
	fixture_init(&f);
	slx_pq_hist_init(&w, &f.arena, &x);
	assert_int_equal(slx_pq_hist_add(&w, &plain), SLX_PQ_HIST_INCOMPATIBLE);
	assert_int_equal(slx_pq_hist_add(&w, &y), SLX_PQ_HIST_RECONCILED);
	const struct slx_histogram *sum = slx_pq_hist_finish(&w);
	assert_int_equal(sum->custom_n, 2); /* 2 and 10 */
	assert_true(sum->custom[0] == 2 && sum->custom[1] == 10 && sum->positive_n == 3);
	assert_true(
		sum->positive[0] == 2 + 2 && sum->positive[1] == 2 + 4 && sum->positive[2] == 1 + 4 && sum->count == 15);
	assert_true(slx_pq_hist_is_reset(&x, &y) && !slx_pq_hist_is_reset(&y, &x));
	static const double more[] = { 2, 2, 2, 2, 0 },
						less[] = { 2, 2, 2, 0, 0 }; /* in the buckets of both: 2, 4, 2 and 2, 4, 0 after 2, 2, 1 */
	struct slx_histogram z = custom(b, 4, more, &all);
	assert_false(slx_pq_hist_is_reset(&z, &x));
	z = custom(b, 4, less, &all);
	assert_true(slx_pq_hist_is_reset(&z, &x));
	fixture_free(&f);
}

/* ---- hints ---- */

static void test_hints(void **state)
{
	struct slx_histogram h[] = { { .reset = SLX_RESET_YES }, { .reset = SLX_RESET_UNKNOWN }, { .reset = SLX_RESET_NO },
		{ .reset = SLX_RESET_GAUGE } };
	struct fixture f;
	struct slx_pq_hist w;
	fixture_init(&f);
	slx_pq_hist_init(&w, &f.arena, &h[0]);
	assert_int_equal(slx_pq_hist_add(&w, &h[0]), 0);
	assert_int_equal(w.reset, SLX_RESET_YES);
	assert_int_equal(slx_pq_hist_add(&w, &h[1]), 0);
	assert_int_equal(w.reset, SLX_RESET_UNKNOWN);
	assert_int_equal(slx_pq_hist_add(&w, &h[2]), SLX_PQ_HIST_COLLISION);
	slx_pq_hist_add(&w, &h[3]);
	assert_int_equal(w.reset, SLX_RESET_GAUGE);
	fixture_free(&f);
}

/* ---- resets ---- */

static struct slx_histogram simple(
	int8_t schema, const struct slx_span *span, const double *counts, double zero_threshold, double zero_count)
{
	struct slx_histogram h = { .schema = schema,
		.positive_spans = span,
		.positive_spans_n = 1,
		.positive = counts,
		.positive_n = span->length,
		.zero_threshold = zero_threshold,
		.zero_count = zero_count,
		.count = zero_count };
	for (uint32_t i = 0; i < span->length; i++)
		h.count += counts[i];
	return h;
}

static void test_resets(void **state)
{
	static const struct slx_span four = { 0, 4 }, two = { 0, 2 };
	static const double low[] = { 1, 2, 3, 4 }, high[] = { 2, 2, 3, 4 }, moved[] = { 0, 9, 9, 9 }, coarse[] = { 9, 9 };
	struct slx_histogram a = simple(0, &four, low, 0.01, 1), b = simple(0, &four, high, 0.01, 1),
						 c = simple(0, &four, moved, 0.01, 1);
	assert_false(slx_pq_hist_is_reset(&b, &a));
	assert_true(slx_pq_hist_is_reset(&a, &b));
	assert_true(slx_pq_hist_is_reset(&c, &a)); /* bucket 0 fell */
	c.reset = SLX_RESET_NO;
	assert_false(slx_pq_hist_is_reset(&c, &a));
	b.reset = SLX_RESET_YES;
	assert_true(slx_pq_hist_is_reset(&b, &a));
	b.reset = SLX_RESET_UNKNOWN;
	struct slx_histogram finer = b, wider = b, narrower = b;
	finer.schema = 1;
	assert_true(slx_pq_hist_is_reset(&finer, &a));
	narrower.zero_threshold = 0.001;
	assert_true(slx_pq_hist_is_reset(&narrower, &a));
	wider.zero_threshold = 0.6; /* cuts bucket 0, (0.5, 1] */
	assert_true(slx_pq_hist_is_reset(&wider, &a));
	struct slx_histogram lower = simple(-1, &two, coarse, 0.01, 1); /* indexes 0..1 of half the resolution */
	assert_true(slx_pq_hist_is_reset(&lower, &a)); /* index 2 of a is 1 there: 5; 3 is 2 there: missing */
}

/* ---- quantiles ---- */

static void test_quantiles(void **state)
{
	static const struct slx_span four = { 0, 4 };
	static const double even[] = { 0, 10, 0, 10 }; /* (1, 2] and (4, 8] */
	struct slx_histogram h = simple(0, &four, even, 0.001, 0);
	enum slx_pq_nan_note note;
	check_near(slx_pq_hist_quantile(0.25, &h, &note), sqrt(2), "a quarter");
	check_near(slx_pq_hist_quantile(0.75, &h, &note), 4 * sqrt(2), "three quarters");
	check_near(slx_pq_hist_quantile(0, &h, &note), 1, "the least");
	check_near(slx_pq_hist_quantile(1, &h, &note), 8, "the greatest");
	check_near(slx_pq_hist_fraction(-INFINITY, sqrt(2), &h, &note), 0.25, "below the root of 2");
	check_near(slx_pq_hist_fraction(2, 4, &h, &note), 0, "between");
	check_near(slx_pq_hist_fraction(1, INFINITY, &h, &note), 1, "all");
	assert_int_equal(note, SLX_PQ_NAN_NONE);
	assert_true(slx_pq_hist_quantile(-0.1, &h, &note) == -INFINITY && slx_pq_hist_quantile(1.1, &h, &note) == INFINITY);
	assert_true(isnan(slx_pq_hist_quantile(NAN, &h, &note)));
	h.sum = NAN;
	h.count = 25; /* five NaNs */
	assert_true(isnan(slx_pq_hist_quantile(0.9, &h, &note)));
	assert_int_equal(note, SLX_PQ_NAN_RESULT);
	check_near(slx_pq_hist_quantile(0.2, &h, &note), sqrt(2), "a fifth");
	assert_int_equal(note, SLX_PQ_NAN_SKEW);
	check_near(slx_pq_hist_fraction(0, INFINITY, &h, &note), 20.0 / 25, "all numbers");
	assert_int_equal(note, SLX_PQ_NAN_FRACTION);
}

static void test_bounds(void **state)
{
	assert_true(slx_pq_hist_bound(0, 0) == 1 && slx_pq_hist_bound(0, 3) == 8 && slx_pq_hist_bound(-2, 1) == 16);
	assert_true(
		slx_pq_hist_bound(1, 1) == sqrt(2) && slx_pq_hist_bound(8, 256) == 2 && slx_pq_hist_bound(3, -8) == 0.5);
	assert_true(slx_pq_hist_bound(0, 1024) == __DBL_MAX__ && slx_pq_hist_bound(0, 1025) == INFINITY);
	assert_true(slx_pq_hist_bound(-4, 64) == __DBL_MAX__ && slx_pq_hist_bound(-4, INT32_MAX) == INFINITY &&
		slx_pq_hist_bound(-4, INT32_MIN) == 0);
}

static void test_buckets(void **state)
{
	static const struct slx_span two = { 0, 2 };
	static const double counts[] = { 3, 4 };
	struct slx_histogram h = simple(0, &two, counts, 0.75, 5);
	h.negative_spans = &two, h.negative_spans_n = 1, h.negative = counts, h.negative_n = 2;
	static const struct slx_pq_bucket expected[] = { { -2, -1, 4, true, false }, { -1, -0.75, 3, true, false },
		{ -0.75, 0.75, 5, true, true }, { 0.75, 1, 3, false, true }, { 1, 2, 4, false, true } };
	struct slx_pq_buckets up = slx_pq_buckets(&h, false), down = slx_pq_buckets(&h, true);
	struct slx_pq_bucket b;
	for (size_t i = 0; i < 5; i++) {
		assert_true(slx_pq_buckets_next(&up, &b));
		assert_true(b.lower == expected[i].lower && b.upper == expected[i].upper && b.count == expected[i].count);
		assert_true(
			b.lower_inclusive == expected[i].lower_inclusive && b.upper_inclusive == expected[i].upper_inclusive);
		assert_true(slx_pq_buckets_next(&down, &b));
		assert_true(b.lower == expected[4 - i].lower && b.count == expected[4 - i].count);
	}
	assert_false(slx_pq_buckets_next(&up, &b) || slx_pq_buckets_next(&down, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_custom),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_buckets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
