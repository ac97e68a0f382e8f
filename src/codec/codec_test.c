/* Every hot codec gives back every bit of every shape of input, and refuses damage without harm. */
#include "codec/codec_test_int.h"
#include "codec/kernels.h"

static void ts_round_trip(void **state)
{
	uint64_t rng = test_seed();
	static int64_t ts[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[8 * SLX_CHUNK_MAX + 64];
	for (int round = 0; round < 900; round++) {
		size_t n = round % 10 ? 1 + test_below(&rng, 300) : 1 + test_below(&rng, SLX_CHUNK_MAX);
		test_timestamps(&rng, (unsigned)round % TEST_TS_SHAPES, ts, n);
		size_t size = slx_ts_encode(ts, n, out, slx_ts_bound(n));
		assert_true(size > 0 && size <= slx_ts_bound(n));
		silex_error err;
		struct slx_ts_info info;
		assert_int_equal(slx_ts_decode(out, size, back, n, &err), SILEX_OK);
		assert_memory_equal(ts, back, n * sizeof *ts);
		assert_int_equal(slx_ts_peek(out, size, n, &info, &err), SILEX_OK);
		assert_true(info.first == ts[0]);
		assert_true(info.mode != SLX_TS_CONST || n == 1 || info.step == (int64_t)((uint64_t)ts[1] - (uint64_t)ts[0]));
		assert_int_equal(slx_ts_decode(out, 0, back, n, &err), SILEX_CORRUPT);
	}
}

static void ts_sizes(void **state)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint8_t out[8 * SLX_CHUNK_MAX + 64];
	for (size_t i = 0; i < SLX_CHUNK_MAX; i++)
		ts[i] = INT64_C(1700000000000000000) + (int64_t)i * 10000000000;
	assert_true(slx_ts_encode(ts, 120, out, sizeof out) <= 8);
	for (size_t i = 0; i < SLX_CHUNK_MAX; i++) /* a clock of 360 Hz in whole microseconds is a line */
		ts[i] = INT64_C(1700000000000000000) + (int64_t)((i + 7) * 1000000 / 360) * 1000;
	assert_true(slx_ts_encode(ts, SLX_CHUNK_MAX, out, sizeof out) < 64);
	for (size_t i = 0; i < SLX_CHUNK_MAX; i++) /* and so it is in nanoseconds */
		ts[i] = INT64_C(1700000000000000000) + (int64_t)((i + 7) * 1000000000 / 360);
	assert_true(slx_ts_encode(ts, SLX_CHUNK_MAX, out, sizeof out) < 64);
}

static void check_sx(const double *v, size_t n, struct slx_sx_hint *hint)
{
	uint8_t out[8 * SLX_VECTOR_MAX + 16];
	double back[SLX_VECTOR_MAX];
	silex_error err;
	size_t size = slx_sx_encode(v, n, hint, SLX_SCALE_NONE, out, slx_sx_bound(n));
	assert_true(size > 0 && size <= slx_sx_bound(n));
	assert_int_equal(slx_sx_decode(out, size, back, n, &err), SILEX_OK);
	assert_memory_equal(v, back, n * sizeof *v);

	struct slx_agg agg;
	struct slx_stats s;
	assert_int_equal(slx_sx_aggregate(out, size, n, &agg, &err), SILEX_OK);
	slx_stats(v, n, &s);
	assert_int_equal(agg.count, s.count);
	assert_memory_equal(&agg.min, &s.min, sizeof s.min);
	assert_memory_equal(&agg.max, &s.max, sizeof s.max);
	double want = s.sum + s.comp, got = agg.sum + agg.comp, all = 0;
	for (size_t i = 0; i < n; i++)
		all += fabs(v[i]);
	if (isfinite(all))
		assert_true(fabs(want - got) <= 1e-13 * all);
}

static void sx_round_trip(void **state)
{
	uint64_t rng = test_seed();
	double v[SLX_VECTOR_MAX];
	struct slx_sx_hint hint = { 0 };
	for (int round = 0; round < 12000; round++) {
		size_t n = 1 + test_below(&rng, round % 3 ? 130 : SLX_VECTOR_MAX);
		test_values(&rng, (unsigned)(round / 3) % TEST_VALUE_SHAPES, v, n);
		check_sx(v, n, round & 1 ? &hint : NULL);
	}
}

static void sx_scale_is_kept(void **state)
{
	double v[100];
	uint8_t out[1000];
	struct slx_sx_info info;
	silex_error err;
	for (int i = 0; i < 100; i++)
		v[i] = 37 + i / 10 % 3;
	size_t size = slx_sx_encode(v, 100, NULL, 1, out, sizeof out);
	assert_int_equal(slx_sx_peek(out, size, 100, &info, &err), SILEX_OK);
	assert_int_equal(info.scale, 1); /* 37.0 is not 37 */
	size = slx_sx_encode(v, 100, NULL, SLX_SCALE_NONE, out, sizeof out);
	assert_int_equal(slx_sx_peek(out, size, 100, &info, &err), SILEX_OK);
	assert_int_equal(info.scale, 0);
	v[99] = 36.625;
	struct slx_sx_hint hint = { .exp = 9 }; /* a wrong hint changes nothing */
	size = slx_sx_encode(v, 100, &hint, 1, out, sizeof out);
	assert_int_equal(slx_sx_peek(out, size, 100, &info, &err), SILEX_OK);
	assert_int_equal(info.scale, 3);
	assert_int_equal(slx_sx_scale(v, 100), 3);
	assert_int_equal(hint.exp, 3);
	v[5] = NAN;
	assert_int_equal(slx_sx_scale(v, 100), 3);
	v[6] = 1 / 3.0;
	assert_int_equal(slx_sx_scale(v, 100), SLX_SCALE_NONE);
}

static void sx_sizes(void **state)
{
	double v[128];
	uint8_t out[2000];
	uint64_t rng = test_seed();
	for (int i = 0; i < 128; i++)
		v[i] = i % 40 == 20 ? slx_bits_f64(0x7ff0000000000002) : 98.6;
	assert_true(slx_sx_encode(v, 128, NULL, SLX_SCALE_NONE, out, sizeof out) < 24); /* stale markers cost a byte */
	for (int i = 0; i < 128; i++) /* a reset is patched, not widened to */
		v[i] = (i < 64 ? 1e9 : 0) + i * 10 + (double)test_below(&rng, 4);
	assert_true(slx_sx_encode(v, 128, NULL, SLX_SCALE_NONE, out, sizeof out) < 128 * 5 / 8 + 24);
	for (int i = 0; i < 128; i++)
		v[i] = 20 + (double)(slx_rng_next(&rng) >> 11) * 0x1p-53;
	assert_true(slx_sx_encode(v, 128, NULL, SLX_SCALE_NONE, out, sizeof out) < 128 * 7);
}

static void gorilla_round_trip(void **state)
{
	uint64_t rng = test_seed();
	static double v[SLX_CHUNK_MAX], vback[SLX_CHUNK_MAX];
	static int64_t ts[SLX_CHUNK_MAX], tback[SLX_CHUNK_MAX];
	static uint8_t out[SLX_CHUNK_MAX * 20];
	for (int round = 0; round < 600; round++) {
		size_t n = 1 + test_below(&rng, round % 20 ? 500 : SLX_CHUNK_MAX);
		test_values(&rng, (unsigned)round % TEST_VALUE_SHAPES, v, n);
		test_timestamps(&rng, (unsigned)round % TEST_TS_SHAPES, ts, n);
		silex_error err;
		size_t size = slx_gorilla_chunk_encode(ts, v, n, out, slx_gorilla_chunk_bound(n));
		assert_true(size > 0);
		assert_int_equal(slx_gorilla_chunk_decode(out, size, tback, vback, n, &err), SILEX_OK);
		assert_memory_equal(v, vback, n * sizeof *v);
		assert_memory_equal(ts, tback, n * sizeof *ts);
		if (size > 9)
			assert_int_equal(slx_gorilla_chunk_decode(out, size / 2, tback, vback, n, &err), SILEX_CORRUPT);
	}
}

static void int_round_trip(void **state)
{
	uint64_t rng = test_seed();
	static int64_t v[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[SLX_CHUNK_MAX * 16];
	for (int round = 0; round < 900; round++) {
		size_t n = 1 + test_below(&rng, round % 20 ? 700 : SLX_CHUNK_MAX);
		unsigned shift = (unsigned)test_below(&rng, 64);
		for (size_t i = 0; i < n; i++)
			v[i] = (int64_t)((round & 1 && i ? (uint64_t)v[i - 1] : 0) + (slx_rng_next(&rng) >> shift));
		if (round % 9 == 0)
			test_timestamps(&rng, 7, v, n);
		silex_error err;
		size_t size = slx_i64_encode(v, n, out, slx_i64_bound(n));
		assert_true(size > 0);
		assert_int_equal(slx_i64_decode(out, size, back, n, &err), SILEX_OK);
		assert_memory_equal(v, back, n * sizeof *v);
	}
}

static void states_round_trip(void **state)
{
	uint64_t rng = test_seed();
	static uint32_t s[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[SLX_CHUNK_MAX * 16];
	for (int round = 0; round < 400; round++) {
		size_t n = 1 + test_below(&rng, SLX_CHUNK_MAX);
		uint64_t kinds = 1 + test_below(&rng, round & 1 ? 2 : UINT32_MAX), stay = 1 + test_below(&rng, 50);
		for (size_t i = 0; i < n; i++)
			s[i] = i && test_below(&rng, stay) ? s[i - 1] : (uint32_t)test_below(&rng, kinds);
		silex_error err;
		size_t size = slx_rle_encode(s, n, out, slx_rle_bound(n));
		assert_true(size > 0 && size <= slx_rle_bound(n));
		assert_int_equal(slx_rle_decode(out, size, back, n, &err), SILEX_OK);
		assert_memory_equal(s, back, n * sizeof *s);
		assert_int_equal(slx_rle_decode(out, size - 1, back, n, &err), SILEX_CORRUPT);
	}
}

/* Damage gives an error or other values, never a crash (run under ASan and UBSan). */
static void damage_is_survived(void **state)
{
	uint64_t rng = test_seed();
	uint8_t out[8 * SLX_VECTOR_MAX + 64];
	double v[SLX_VECTOR_MAX];
	int64_t ts[SLX_VECTOR_MAX];
	for (int round = 0; round < 20000; round++) {
		size_t n = 1 + test_below(&rng, 200), size;
		bool times = round & 1;
		if (times) {
			test_timestamps(&rng, (unsigned)(round / 2) % TEST_TS_SHAPES, ts, n);
			size = slx_ts_encode(ts, n, out, sizeof out);
		} else {
			test_values(&rng, (unsigned)(round / 2) % TEST_VALUE_SHAPES, v, n);
			size = slx_sx_encode(v, n, NULL, SLX_SCALE_NONE, out, sizeof out);
		}
		size_t cut = test_below(&rng, 3) ? size : test_below(&rng, size);
		uint8_t *heap = malloc(cut + 1); /* exactly cut bytes after the first: ASan sees reads past them */
		memcpy(heap + 1, out, cut);
		for (uint64_t flips = test_below(&rng, 4); flips && cut; flips--)
			heap[1 + test_below(&rng, cut < 24 || flips > 1 ? cut : 24)] ^= (uint8_t)(1u << test_below(&rng, 8));
		struct slx_agg agg;
		if (times) {
			slx_ts_decode(heap + 1, cut, ts, n, NULL);
		} else {
			slx_sx_decode(heap + 1, cut, v, n, NULL);
			slx_sx_aggregate(heap + 1, cut, n, &agg, NULL);
		}
		free(heap);
	}
}

static void too_small_a_cap_is_refused(void **state)
{
	uint64_t rng = test_seed();
	double v[256];
	uint8_t out[4096];
	for (unsigned shape = 0; shape < TEST_VALUE_SHAPES; shape++) {
		test_values(&rng, shape, v, 256);
		size_t size = slx_sx_encode(v, 256, NULL, SLX_SCALE_NONE, out, sizeof out);
		assert_int_equal(slx_sx_encode(v, 256, NULL, SLX_SCALE_NONE, out, size - 1), 0);
		assert_int_equal(slx_sx_encode(v, 256, NULL, SLX_SCALE_NONE, out, size), size);
		assert_int_equal(slx_gorilla_encode(v, 256, out, 20), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ts_round_trip), cmocka_unit_test(ts_sizes), cmocka_unit_test(sx_round_trip),
		cmocka_unit_test(sx_scale_is_kept), cmocka_unit_test(sx_sizes), cmocka_unit_test(gorilla_round_trip),
		cmocka_unit_test(int_round_trip), cmocka_unit_test(states_round_trip),
		cmocka_unit_test(damage_is_survived), cmocka_unit_test(too_small_a_cap_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
