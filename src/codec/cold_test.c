/* The cold codec gives back every bit, part by part in any order, under every method and compressor. */
#include "codec/codec_test_int.h"

static struct slx_mem mem;
static struct slx_cold_writer *writer;
static struct slx_cold_reader *reader;

static int set_up(void **state)
{
	slx_mem_init(&mem, NULL);
	writer = slx_cold_writer_new(&mem, SLX_MEM_OTHER);
	reader = slx_cold_reader_new(&mem, SLX_MEM_OTHER);
	return !writer || !reader;
}

static int tear_down(void **state)
{
	slx_cold_writer_free(writer);
	slx_cold_reader_free(reader);
	return slx_mem_total(&mem) != 0;
}

static size_t cut(uint64_t *rng, size_t n, size_t most, uint16_t *lens)
{
	size_t parts = 0;
	for (size_t left = n; left; left -= lens[parts++]) {
		size_t len = most > 1 && test_below(rng, 3) ? most : 1 + test_below(rng, most);
		lens[parts] = (uint16_t)(len < left ? len : left);
	}
	return parts;
}

static double v[SLX_CHUNK_MAX], back[SLX_VECTOR_MAX];
static uint8_t out[24 * SLX_CHUNK_MAX + 12 * SLX_PARTS_MAX];
static uint16_t lens[SLX_CHUNK_MAX];

static void check(size_t n, size_t parts, enum slx_wrap wrap)
{
	silex_error err;
	size_t bound = slx_cold_bound(n, parts);
	assert_true(bound <= sizeof out);
	size_t size = slx_cold_encode(writer, v, lens, parts, SLX_SCALE_NONE, wrap, out, bound);
	assert_true(size > 0 && size <= bound);
	assert_int_equal(slx_cold_open(reader, out, size, lens, parts, &err), SILEX_OK);
	assert_false(slx_cold_is_i64(reader));
	for (size_t k = parts, at = n; k-- > 0;) { /* backwards: no part needs another */
		at -= lens[k];
		if (slx_cold_decode(reader, k, back, &err) != SILEX_OK)
			fail_msg("%s: %s", slx_cold_method_name(reader), err.message);
		assert_memory_equal(v + at, back, lens[k] * sizeof *v);
		struct slx_agg agg;
		struct slx_stats s;
		assert_int_equal(slx_cold_aggregate(reader, k, &agg, &err), SILEX_OK);
		slx_stats(v + at, lens[k], &s);
		assert_int_equal(agg.count, s.count);
		assert_true(agg.min == s.min && agg.max == s.max);
	}
}

static void round_trip(void **state)
{
	uint64_t rng = test_seed();
	for (int round = 0; round < 360; round++) {
		size_t n = 1 + test_below(&rng, round % 4 ? 1500 : SLX_CHUNK_MAX);
		test_values(&rng, (unsigned)round % TEST_VALUE_SHAPES, v, n);
		if (round % 5 == 0) /* sequences that repeat */
			for (size_t i = 100; i < n; i++)
				v[i] = v[i - 100];
		check(n, cut(&rng, n, round % 7 ? SLX_VECTOR_MAX : 5, lens), (enum slx_wrap)(round / 12 % 3));
	}
}

static void int64_round_trip(void **state)
{
	uint64_t rng = test_seed();
	static int64_t x[SLX_CHUNK_MAX], x_back[SLX_VECTOR_MAX];
	silex_error err;
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + test_below(&rng, round % 4 ? 1500 : SLX_CHUNK_MAX), shift = test_below(&rng, 64);
		for (size_t i = 0; i < n; i++)
			x[i] = (int64_t)((round & 1 && i ? (uint64_t)x[i - 1] : 0) + (slx_rng_next(&rng) >> shift));
		size_t parts = cut(&rng, n, SLX_VECTOR_MAX, lens);
		size_t size = slx_cold_encode_i64(writer, x, lens, parts, (enum slx_wrap)(round % 3), out, slx_cold_bound(n, parts));
		assert_true(size > 0);
		assert_int_equal(slx_cold_open(reader, out, size, lens, parts, &err), SILEX_OK);
		assert_true(slx_cold_is_i64(reader));
		for (size_t k = 0, at = 0; k < parts; at += lens[k++]) {
			assert_int_equal(slx_cold_decode_i64(reader, k, x_back, &err), SILEX_OK);
			assert_memory_equal(x + at, x_back, lens[k] * sizeof *x);
			assert_int_equal(slx_cold_decode(reader, k, back, &err), SILEX_OK);
			assert_true(back[0] == (double)x[at]);
		}
	}
}

static void scale_is_kept(void **state)
{
	silex_error err;
	for (size_t i = 0; i < 2000; i++)
		v[i] = 37 + (double)(i % 7);
	size_t parts = 4;
	for (size_t k = 0; k < parts; k++)
		lens[k] = 500;
	size_t size = slx_cold_encode(writer, v, lens, parts, 1, SLX_WRAP_NONE, out, sizeof out);
	assert_int_equal(slx_cold_open(reader, out, size, lens, parts, &err), SILEX_OK);
	assert_int_equal(slx_cold_scale(reader), 1);
	size = slx_cold_encode(writer, v, lens, parts, SLX_SCALE_NONE, SLX_WRAP_NONE, out, sizeof out);
	assert_int_equal(slx_cold_open(reader, out, size, lens, parts, &err), SILEX_OK);
	assert_int_equal(slx_cold_scale(reader), 0);
}

static void small_steps_are_small(void **state)
{
	uint64_t rng = test_seed();
	double at = 50;
	for (size_t i = 0; i < SLX_CHUNK_MAX; i++) { /* steps of three bits' entropy or less: 0 half of the time */
		at += (double)(int64_t)(test_below(&rng, 3) + test_below(&rng, 3)) - 2;
		v[i] = at;
	}
	size_t parts = cut(&rng, SLX_CHUNK_MAX, 512, lens);
	size_t size = slx_cold_encode(writer, v, lens, parts, SLX_SCALE_NONE, SLX_WRAP_NONE, out, sizeof out);
	assert_true(size < SLX_CHUNK_MAX * 31 / 100);
}

static void damage_is_survived(void **state)
{
	uint64_t rng = test_seed();
	for (int round = 0; round < 1500; round++) {
		size_t n = 1 + test_below(&rng, 700);
		test_values(&rng, (unsigned)round % TEST_VALUE_SHAPES, v, n);
		size_t parts = cut(&rng, n, 200, lens);
		size_t size = slx_cold_encode(writer, v, lens, parts, SLX_SCALE_NONE, (enum slx_wrap)(round % 3), out, sizeof out);
		for (int times = 0; times < 8; times++) {
			size_t keep = test_below(&rng, 3) ? size : test_below(&rng, size);
			uint8_t *heap = malloc(keep + 1);
			memcpy(heap + 1, out, keep);
			for (uint64_t flips = test_below(&rng, 4); flips && keep; flips--)
				heap[1 + test_below(&rng, keep < 60 || flips > 1 ? keep : 60)] ^= (uint8_t)(1u << test_below(&rng, 8));
			if (slx_cold_open(reader, heap + 1, keep, lens, parts, NULL) == SILEX_OK)
				for (size_t k = 0; k < parts; k++) {
					struct slx_agg agg;
					slx_cold_decode(reader, k, back, NULL);
					slx_cold_aggregate(reader, k, &agg, NULL);
				}
			free(heap);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(int64_round_trip), cmocka_unit_test(scale_is_kept),
		cmocka_unit_test(small_steps_are_small), cmocka_unit_test(damage_is_survived),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
