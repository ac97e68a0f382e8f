/* Chunks of values that are bytes: round trips of odd and of usual values, damage, and what histograms take. */
#include "model/histogram.h"
#include "storage/chunk/chunk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
	struct slx_mem mem;
	struct slx_chunk_work *work;
	struct slx_arena arena; /* the values */
	struct slx_buf out, values;
	uint64_t rng;
	enum slx_kind kind;
	size_t n;
	int64_t ts[SLX_CHUNK_MAX];
	uint64_t bits[SLX_CHUNK_MAX];
};

static const struct slx_codec_choice choices[] = {
	{ .codec = -1, .wrap = SLX_WRAP_NONE },
	{ .codec = -1, .wrap = SLX_WRAP_ZSTD },
	{ .codec = -1, .wrap = SLX_WRAP_LZ4 },
};

static uint64_t below(struct bench *b, uint64_t n)
{
	b->rng = b->rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (b->rng >> 33) % n;
}

static void begin(struct bench *b, uint64_t seed)
{
	printf("seed %llu\n", (unsigned long long)seed);
	slx_mem_init(&b->mem, NULL);
	assert_int_equal(slx_chunk_work_new(&b->mem, SLX_MEM_OTHER, &b->work, NULL), SILEX_OK);
	slx_arena_init(&b->arena, &b->mem, SLX_MEM_OTHER, 64 << 10);
	slx_buf_init(&b->out, &b->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_buf_init(&b->values, &b->mem, SLX_MEM_OTHER, SIZE_MAX);
	b->rng = seed;
}

static void end(struct bench *b)
{
	slx_chunk_work_free(b->work);
	slx_arena_clear(&b->arena);
	slx_buf_free(&b->out);
	slx_buf_free(&b->values);
	assert_int_equal(slx_mem_total(&b->mem), 0);
}

static uint64_t boxed(struct bench *b, const void *p, size_t n)
{
	uint8_t *to = slx_arena_alloc(&b->arena, n + SLX_VARINT_SIZE_MAX, 1);
	memcpy(slx_put_varint(to, n), p, n);
	return (uint64_t)(uintptr_t)to;
}

static uint64_t boxed_histogram(struct bench *b, const struct slx_histogram *h)
{
	struct slx_buf v;
	slx_buf_init(&v, &b->mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_error err;
	if (slx_histogram_check(h, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	slx_histogram_encode(h, &v);
	uint64_t bits = boxed(b, v.p, v.n);
	slx_buf_free(&v);
	return bits;
}

static void times(struct bench *b, size_t n)
{
	b->n = n;
	for (size_t i = 0; i < n; i++)
		b->ts[i] = (int64_t)i * 15 * SLX_SECOND + (int64_t)below(b, 5) * 1000000;
}

/* ---- what goes in ---- */

static void any_bytes(struct bench *b, size_t n)
{
	static uint8_t v[SLX_VALUE_SIZE_MAX];
	times(b, n);
	b->kind = below(b, 3) ? SLX_KIND_BYTES : SLX_KIND_HISTOGRAM; /* these are no histograms: stored as they are all the same */
	for (size_t i = 0; i < n; i++) {
		size_t size = below(b, 200) == 0 ? below(b, sizeof v + 1) : below(b, 30);
		for (size_t k = 0; k < size; k++)
			v[k] = (uint8_t)(below(b, 3) ? 'x' : below(b, 256));
		b->bits[i] = boxed(b, v, size);
	}
}

enum { SIDE_MAX = 40 };

static uint32_t random_spans(struct bench *b, struct slx_span *spans, bool custom, uint32_t *ret_buckets)
{
	uint32_t n = (uint32_t)below(b, 5), buckets = 0;
	for (uint32_t i = 0; i < n; i++) {
		spans[i] = (struct slx_span){ custom ? (int32_t)below(b, 2) : (int32_t)below(b, 9) - (i ? 0 : 4), (uint32_t)below(b, 4) };
		if (i > 0 && spans[i].offset < 0)
			spans[i].offset = 0;
		buckets += spans[i].length;
	}
	*ret_buckets = buckets;
	return n;
}

static double random_count(struct bench *b, bool integer)
{
	static const double odd[] = { 0, -0.0, 1e300, 0.5, 9007199254740993.0, 0x1p62, 0x1p63, 1e-300 };
	if (below(b, 12) == 0)
		return odd[below(b, sizeof odd / sizeof *odd)];
	return integer ? (double)below(b, 1000) : (double)below(b, 100000) / 64;
}

static void random_histogram(struct bench *b, size_t i, bool one_kind)
{
	struct slx_span spans[2][8];
	double counts[2][SIDE_MAX], bounds[SIDE_MAX];
	bool custom = !one_kind && below(b, 3) == 0;
	struct slx_histogram h = { .schema = custom ? SLX_HISTOGRAM_CUSTOM : one_kind ? 3 : (int8_t)((int)below(b, 13) - 4) };
	h.integer = one_kind || below(b, 2);
	h.reset = (uint8_t)below(b, 4);
	h.positive_spans = spans[0];
	h.positive_spans_n = random_spans(b, spans[0], custom, &h.positive_n);
	h.positive = counts[0];
	if (!custom) {
		h.negative_spans = spans[1];
		h.negative_spans_n = random_spans(b, spans[1], false, &h.negative_n);
		h.negative = counts[1];
		h.zero_threshold = below(b, 2) ? 1e-128 : 0;
		h.zero_count = random_count(b, h.integer);
	} else {
		h.custom_n = (uint32_t)below(b, 8) + 16;
		for (uint32_t k = 0; k < h.custom_n; k++)
			bounds[k] = (double)k * 0.25 - 1;
		h.custom = bounds;
	}
	for (uint32_t k = 0; k < h.positive_n; k++)
		counts[0][k] = random_count(b, h.integer);
	for (uint32_t k = 0; k < h.negative_n; k++)
		counts[1][k] = random_count(b, h.integer);
	h.count = random_count(b, h.integer);
	h.sum = below(b, 9) == 0 ? slx_bits_f64(SLX_STALE_NAN) : below(b, 9) == 0 ? -INFINITY : random_count(b, false);
	h.start = below(b, 2) ? INT64_C(1700000000123456789) : 0;
	b->bits[i] = boxed_histogram(b, &h);
}

static void random_histograms(struct bench *b, size_t n)
{
	times(b, n);
	b->kind = SLX_KIND_HISTOGRAM;
	bool one_kind = below(b, 2);
	for (size_t i = 0; i < n; i++)
		if (i > 0 && below(b, 3))
			b->bits[i] = b->bits[i - 1];
		else
			random_histogram(b, i, one_kind);
}

/* Latencies of a service: 20 buckets around 50 ms, some hundred requests between two samples; now and then a bucket more. */
static void usual_histograms(struct bench *b, size_t n)
{
	double counts[24] = { 0 }, sum = 0;
	times(b, n);
	b->kind = SLX_KIND_HISTOGRAM;
	for (size_t i = 0; i < n; i++) {
		uint32_t buckets = 20 + (uint32_t)(4 * i / n);
		struct slx_span span = { -28, buckets };
		double all = 0;
		for (size_t k = 0; k < 10; k++) {
			double x = 0;
			for (int j = 0; j < 6; j++)
				x += (double)below(b, buckets) / 6;
			counts[(size_t)x]++;
			sum += 0.001 * x * x + (double)below(b, 1000) * 1e-7;
		}
		for (uint32_t k = 0; k < buckets; k++)
			all += counts[k];
		struct slx_histogram h = { .schema = 3, .integer = true, .reset = i ? SLX_RESET_NO : SLX_RESET_UNKNOWN, .zero_threshold = 0x1p-128, .count = all,
			.sum = sum, .positive_spans = &span, .positive_spans_n = 1, .positive = counts, .positive_n = buckets };
		b->bits[i] = boxed_histogram(b, &h);
	}
}

/* ---- and comes out ---- */

static void encode(struct bench *b, const struct slx_codec_choice *c, bool cold, struct slx_chunk_meta *m)
{
	silex_error err;
	slx_buf_reset(&b->out);
	silex_status st = cold ? slx_chunk_encode_cold(b->work, c, b->kind, b->ts, b->bits, b->n, &b->out, m, &err) :
				 slx_chunk_encode_hot(c, b->kind, b->ts, b->bits, b->n, NULL, &b->out, m, &err);
	if (st != SILEX_OK)
		fail_msg("%s", err.message);
	assert_int_equal(m->size, b->out.n);
	assert_int_equal(m->stats.count, 0);
	assert_int_equal(m->flags, 0);
}

static void check_range(struct bench *b, const struct slx_codec_choice *c, const struct slx_chunk_meta *m, size_t lo, size_t hi)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	size_t n;
	silex_error err;
	struct slx_time_range range = { b->ts[lo], b->ts[hi - 1] };
	if (slx_chunk_decode(b->work, c, m, b->out.p, range, ts, bits, &b->values, &n, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	assert_int_equal(n, hi - lo);
	assert_memory_equal(ts, b->ts + lo, n * sizeof *ts);
	for (size_t i = 0; i < n; i++) {
		struct slx_str got = slx_value_bytes(bits[i]), want = slx_value_bytes(b->bits[lo + i]);
		assert_int_equal(got.n, want.n);
		assert_memory_equal(got.p, want.p, got.n);
	}
}

static void check(struct bench *b)
{
	struct slx_chunk_meta m;
	silex_error err;
	for (size_t c = 0; c < sizeof choices / sizeof *choices; c++)
		for (int cold = b->n > SLX_HOT_MAX; cold < 2; cold++) {
			encode(b, &choices[c], cold, &m);
			if (slx_chunk_check(b->work, &choices[c], &m, b->out.p, &err) != SILEX_OK)
				fail_msg("%s", err.message);
			size_t lo = below(b, b->n);
			check_range(b, &choices[c], &m, 0, b->n);
			check_range(b, &choices[c], &m, lo, lo + 1 + below(b, b->n - lo));
		}
}

static void test_round_trips(void **state)
{
	static struct bench b;
	static const size_t sizes[] = { 1, 2, 63, 64, 128, 256, 300, 512, 1500 };
	begin(&b, 20261121);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		any_bytes(&b, sizes[i]);
		check(&b);
		for (int k = 0; k < 4; k++) {
			random_histograms(&b, sizes[i]);
			check(&b);
		}
		usual_histograms(&b, sizes[i]);
		check(&b);
	}
	end(&b);
}

static void test_wide_histograms(void **state)
{
	static struct bench b;
	static double counts[SLX_HISTOGRAM_BUCKETS_MAX];
	begin(&b, 4);
	times(&b, 256); /* more values than columns may have: stored as bytes */
	b.kind = SLX_KIND_HISTOGRAM;
	struct slx_span span = { 0, SLX_HISTOGRAM_BUCKETS_MAX };
	for (size_t i = 0; i < b.n; i++) {
		counts[i] = (double)i;
		b.bits[i] = boxed_histogram(&b, &(struct slx_histogram){ .integer = true, .positive_spans = &span, .positive_spans_n = 1, .positive = counts,
							   .positive_n = SLX_HISTOGRAM_BUCKETS_MAX });
	}
	struct slx_chunk_meta m;
	encode(&b, &choices[1], true, &m);
	assert_int_equal(m.codec, SLX_CODEC_BYTES);
	check(&b);
	b.n = 64;
	encode(&b, &choices[1], true, &m);
	assert_int_equal(m.codec, SLX_CODEC_HISTOGRAM);
	check(&b);
	end(&b);
}

static void test_damage(void **state)
{
	static struct bench b;
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	begin(&b, 77);
	for (int round = 0; round < 12; round++) {
		if (round % 3 == 0)
			any_bytes(&b, 40);
		else if (round % 3 == 1)
			random_histograms(&b, 100);
		else
			usual_histograms(&b, 200);
		struct slx_chunk_meta m;
		const struct slx_codec_choice *c = &choices[round % 3];
		encode(&b, c, round % 2, &m);
		uint8_t *copy = malloc(m.size);
		for (int k = 0; k < 300; k++) {
			size_t n, size = m.size;
			memcpy(copy, b.out.p, m.size);
			for (size_t hits = 1 + below(&b, 3); hits > 0; hits--)
				copy[below(&b, m.size)] ^= (uint8_t)(1 + below(&b, 255));
			if (below(&b, 4) == 0)
				m.size = (uint32_t)below(&b, size);
			silex_error err = { 0 };
			silex_status st = slx_chunk_decode(b.work, c, &m, copy, SLX_TIME_ALL, ts, bits, &b.values, &n, &err);
			assert_true(st == SILEX_OK || ((st == SILEX_CORRUPT || st == SILEX_UNSUPPORTED) && *err.message));
			for (size_t i = 0; st == SILEX_OK && i < n; i++)
				assert_true(slx_value_bytes(bits[i]).n <= SLX_VALUE_SIZE_MAX);
			m.size = (uint32_t)size;
		}
		free(copy);
	}
	end(&b);
}

static void test_size(void **state)
{
	static struct bench b;
	struct slx_chunk_meta m;
	begin(&b, 5);
	usual_histograms(&b, 512);
	size_t plain = 0;
	for (size_t i = 0; i < b.n; i++)
		plain += slx_value_stored(b.bits[i]);
	encode(&b, &choices[1], true, &m);
	printf("512 histograms of 20 to 24 buckets: %zu bytes each, cold chunk %.1f\n", plain / b.n, (double)m.size / 512);
	assert_true(m.size < 512 * 26);
	b.n = 128;
	encode(&b, &choices[1], false, &m);
	printf("hot chunk of 128: %.1f\n", (double)m.size / 128);
	assert_true(m.size < 128 * 32);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_wide_histograms),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
