#include "model/histogram.h"

#include "base/clock.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static const struct slx_span spans_a[] = { { -2, 2 }, { 3, 1 } };
static const double counts_a[] = { 1, 5, 2 };
static const double bounds_a[] = { 0.1, 1, 10 };

static struct slx_histogram exponential(void)
{
	return (struct slx_histogram){ .schema = 3,
		.integer = true,
		.count = 12,
		.sum = 18.4,
		.zero_threshold = 1e-128,
		.zero_count = 4,
		.positive_spans = spans_a,
		.positive_spans_n = 2,
		.positive = counts_a,
		.positive_n = 3 };
}

static struct slx_histogram custom(void)
{
	static const struct slx_span spans[] = { { 1, 3 } };
	return (struct slx_histogram){ .schema = SLX_HISTOGRAM_CUSTOM,
		.count = 8,
		.sum = 3.5,
		.positive_spans = spans,
		.positive_spans_n = 1,
		.positive = counts_a,
		.positive_n = 3,
		.custom = bounds_a,
		.custom_n = 3,
		.reset = SLX_RESET_GAUGE,
		.start = -5 };
}

static void assert_same(const struct slx_histogram *a, const struct slx_histogram *b)
{
	assert_true(a->schema == b->schema && a->integer == b->integer && a->reset == b->reset && a->start == b->start);
	assert_true(slx_f64_bits(a->count) == slx_f64_bits(b->count) && slx_f64_bits(a->sum) == slx_f64_bits(b->sum));
	assert_true(slx_f64_bits(a->zero_count) == slx_f64_bits(b->zero_count) &&
		slx_f64_bits(a->zero_threshold) == slx_f64_bits(b->zero_threshold));
	assert_int_equal(a->positive_spans_n, b->positive_spans_n);
	assert_int_equal(a->positive_n, b->positive_n);
	assert_int_equal(a->negative_spans_n, b->negative_spans_n);
	assert_int_equal(a->negative_n, b->negative_n);
	assert_int_equal(a->custom_n, b->custom_n);
	assert_true(a->positive_n == 0 || memcmp(a->positive, b->positive, a->positive_n * 8) == 0);
	assert_true(a->negative_n == 0 || memcmp(a->negative, b->negative, a->negative_n * 8) == 0);
	assert_true(a->positive_spans_n == 0 ||
		memcmp(a->positive_spans, b->positive_spans, a->positive_spans_n * sizeof *spans_a) == 0);
	assert_true(a->negative_spans_n == 0 ||
		memcmp(a->negative_spans, b->negative_spans, a->negative_spans_n * sizeof *spans_a) == 0);
	assert_true(a->custom_n == 0 || memcmp(a->custom, b->custom, a->custom_n * 8) == 0);
}

/* Encodes, decodes, compares; every shorter run of the bytes is refused. Returns the size. */
static size_t round_trip(const struct slx_histogram *h)
{
	struct slx_mem m;
	struct slx_buf b;
	struct slx_arena a;
	struct slx_histogram got;
	silex_error err;
	slx_mem_init(&m, NULL);
	slx_buf_init(&b, &m, SLX_MEM_OTHER, 1 << 20);
	slx_arena_init(&a, &m, SLX_MEM_OTHER, 65536);
	assert_int_equal(slx_histogram_check(h, &err), SILEX_OK);
	slx_histogram_encode(h, &b);
	assert_false(b.failed);
	assert_int_equal(slx_histogram_decode(b.p, b.n, &a, &got, &err), SILEX_OK);
	assert_same(h, &got);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(slx_histogram_decode(b.p, n, &a, &got, &err), SILEX_CORRUPT);
	slx_buf_u8(&b, 0);
	assert_int_equal(slx_histogram_decode(b.p, b.n, &a, &got, &err), SILEX_CORRUPT);
	size_t n = b.n - 1;
	slx_buf_free(&b);
	slx_arena_clear(&a);
	assert_int_equal(slx_mem_total(&m), 0);
	return n;
}

static void test_round_trips(void **state)
{
	struct slx_histogram h = exponential();
	assert_true(round_trip(&h) < 32);
	h.positive_n = h.positive_spans_n = 0;
	h.negative_spans = spans_a, h.negative_spans_n = 2, h.negative = counts_a, h.negative_n = 3;
	round_trip(&h);
	h = custom();
	round_trip(&h);
	h = (struct slx_histogram){ .sum = slx_bits_f64(SLX_STALE_NAN), .integer = true };
	round_trip(&h);
	static const double fractions[] = { 0.5, 1e300, 3 };
	h = exponential();
	h.integer = false, h.positive = fractions, h.zero_count = -0.0, h.zero_threshold = 0;
	round_trip(&h);
	static const double huge[] = { 0x1p62, 0x1p63, 1 }; /* does not fit packed counts */
	h.integer = true, h.positive = huge;
	round_trip(&h);
}

static void test_random_round_trips(void **state)
{
	uint64_t seed = 4711;
	static struct slx_span spans[64];
	static double counts[512];
	for (int round = 0; round < 200; round++) {
		struct slx_histogram h = { .schema = (int8_t)(slx_rng_next(&seed) % 13) - 4,
			.integer = slx_rng_next(&seed) & 1,
			.positive = counts,
			.positive_spans = spans };
		h.positive_spans_n = slx_rng_next(&seed) % 64;
		for (uint32_t i = 0; i < h.positive_spans_n; i++) {
			spans[i] =
				(struct slx_span){ (int32_t)(slx_rng_next(&seed) % 100) - (i ? 0 : 50), slx_rng_next(&seed) % 8 };
			h.positive_n += spans[i].length;
		}
		for (uint32_t i = 0; i < h.positive_n; i++)
			counts[i] = h.integer ? (double)(slx_rng_next(&seed) >> (slx_rng_next(&seed) % 50 + 13))
								  : (double)slx_rng_next(&seed) / 3;
		h.reset = slx_rng_next(&seed) % 4;
		h.start = (int64_t)slx_rng_next(&seed);
		round_trip(&h);
	}
}

static void refused(struct slx_histogram h, const char *word)
{
	silex_error err;
	assert_int_equal(slx_histogram_check(&h, &err), SILEX_INVALID);
	if (!strstr(err.message, word))
		fail_msg("'%s' does not say '%s'", err.message, word);
}

static void test_check(void **state)
{
	struct slx_histogram h = exponential();
	h.schema = 9;
	refused(h, "schema 9");
	h = exponential(), h.positive_n = 2;
	refused(h, "spans of 3 buckets, but 2 counts");
	h = exponential(), h.count = -1;
	refused(h, "count -1");
	static const double negative[] = { 1, -2, 3 };
	h = exponential(), h.positive = negative;
	refused(h, "bucket 1");
	static const struct slx_span back[] = { { 0, 2 }, { -1, 1 } };
	h = exponential(), h.positive_spans = back;
	refused(h, "offset -1");
	static const struct slx_span far[] = { { INT32_MAX, 3 } };
	h = exponential(), h.positive_spans = far, h.positive_spans_n = 1;
	refused(h, "32 bits");
	h = exponential(), h.zero_threshold = NAN;
	refused(h, "zero bucket");
	h = exponential(), h.custom = bounds_a, h.custom_n = 1;
	refused(h, "custom bounds with schema 3");
	static const double same[] = { 1, 1, 2 };
	h = custom(), h.custom = same;
	refused(h, "ascending");
	h = custom(), h.custom_n = 1;
	refused(h, "outside the 2 buckets");
	h = custom(), h.zero_count = 1;
	refused(h, "beside custom");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_random_round_trips),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
