/* Every level gives the bits of the scalar one: every width, every length near a register's, every shape of value. */
#include "codec/bitpack.h"
#include "codec/codec_test_int.h"

enum { N = 300 };

static const struct slx_codec_kernels *level_of(int level)
{
	const struct slx_codec_kernels *k = slx_codec_kernels_for((enum slx_codec_level)level);
	if (!k)
		printf("level %d does not run on this processor: not compared\n", level);
	return k;
}

/* Packed bytes at the very end of an allocation, so that ASan sees a load past them. */
struct run {
	uint8_t *heap;
	const uint8_t *in;
};

static struct run packed(const int64_t *x, size_t n, unsigned width)
{
	uint8_t tmp[8 * N + 8];
	size_t size = (size_t)(slx_pack(x, n, 0, width, tmp) - tmp);
	assert_int_equal(size, slx_packed_size(n, width));
	struct run r = { .heap = malloc(size + 1) };
	r.in = r.heap + 1;
	memcpy(r.heap + 1, tmp, size);
	return r;
}

static void every_width(void **state)
{
	const struct slx_codec_kernels *s = &slx_codec_scalar;
	uint64_t rng = test_seed();
	for (int level = 1; level < SLX_CODEC_LEVELS; level++) {
		const struct slx_codec_kernels *k = level_of(level);
		for (unsigned width = 0; width <= 64 && k; width++) {
			for (int round = 0; round < 24; round++) {
				size_t n = round < 20 ? (size_t)round : 1 + test_below(&rng, N);
				int64_t x[N];
				uint64_t a[N + 1], b[N + 1];
				for (size_t i = 0; i < n; i++)
					x[i] = (int64_t)slx_rng_next(&rng);
				struct run r = packed(x, n, width);
				a[n] = b[n] = 77;
				s->unpack(r.in, n, width, a);
				k->unpack(r.in, n, width, b);
				assert_memory_equal(a, b, (n + 1) * 8);
				for (size_t i = 0; i < n; i++) {
					assert_true(a[i] == ((uint64_t)x[i] & slx_mask(width)));
					assert_true(slx_unpack_one(r.in, n, width, i) == a[i]);
				}
				free(r.heap);
			}
		}
	}
}

static void fused(void **state)
{
	const struct slx_codec_kernels *s = &slx_codec_scalar;
	uint64_t rng = test_seed();
	for (int level = 1; level < SLX_CODEC_LEVELS; level++) {
		const struct slx_codec_kernels *k = level_of(level);
		for (unsigned width = 0; width <= 41 && k; width++) { /* 300 differences of 41 bits stay below 2^51 */
			for (int round = 0; round < 30; round++) {
				size_t n = round < 20 ? (size_t)round : 1 + test_below(&rng, N);
				int64_t x[N], base = (int64_t)test_below(&rng, 1 << 20) - (1 << 19);
				double a[N + 1], b[N + 1];
				unsigned exp = (unsigned)test_below(&rng, SLX_SCALE_MAX + 1) * (round & 1);
				struct slx_int_agg ga, gb;
				for (size_t i = 0; i < n; i++)
					x[i] = (int64_t)slx_rng_next(&rng);
				struct run r = packed(x, n, width);
				a[n] = b[n] = 7;
				s->for_f64(r.in, n, width, base, exp, a);
				k->for_f64(r.in, n, width, base, exp, b);
				assert_memory_equal(a, b, (n + 1) * 8);
				s->delta_f64(r.in, n, width, base, -base / 3, exp, a);
				k->delta_f64(r.in, n, width, base, -base / 3, exp, b);
				assert_memory_equal(a, b, (n + 1) * 8);
				s->for_agg(r.in, n, width, base, &ga);
				k->for_agg(r.in, n, width, base, &gb);
				assert_memory_equal(&ga, &gb, sizeof ga);
				s->delta_agg(r.in, n, width, base, 5, &ga);
				k->delta_agg(r.in, n, width, base, 5, &gb);
				assert_memory_equal(&ga, &gb, sizeof ga);
				free(r.heap);
			}
		}
	}
}

/* Fields with patches of both signs, as a vector's narrow run has them. */
static void narrow(void **state)
{
	const struct slx_codec_kernels *s = &slx_codec_scalar;
	uint64_t rng = test_seed();
	for (int level = 1; level < SLX_CODEC_LEVELS; level++) {
		const struct slx_codec_kernels *k = level_of(level);
		for (unsigned width = 0; width <= SLX_NARROW && k; width++) {
			for (int round = 0; round < 60; round++) {
				size_t n = round < 40 ? (size_t)round + 1 : 1 + test_below(&rng, N);
				int64_t x[N], base = (int64_t)(slx_rng_next(&rng) >> 14) - (INT64_C(1) << 49);
				int64_t step = (int64_t)test_below(&rng, (2 << SLX_NARROW) + 1) - (1 << SLX_NARROW);
				int32_t da[N + SLX_NARROW_LANES], db[N + SLX_NARROW_LANES];
				double a[N + 1], b[N + 1];
				unsigned exp = (unsigned)test_below(&rng, SLX_SCALE_MAX + 1) * (round & 1);
				struct slx_int_agg ga, gb;
				for (size_t i = 0; i < n; i++)
					x[i] = (int64_t)(round % 5 ? slx_rng_next(&rng) : UINT64_MAX);
				struct run r = packed(x, n, width);
				s->narrow_unpack(r.in, n, width, da);
				k->narrow_unpack(r.in, n, width, db);
				free(r.heap);
				assert_memory_equal(da, db, n * sizeof *da);
				for (size_t i = test_below(&rng, 9); i < n && round & 2; i += 1 + test_below(&rng, 30))
					da[i] = db[i] = (int32_t)test_below(&rng, (2 << SLX_NARROW) + 1) - (1 << SLX_NARROW);
				a[n] = b[n] = 7;
				for (unsigned e = 0; e <= SLX_SCALE_MAX; e++)
					assert_true(s->decimal((double)base, e) == k->decimal((double)base, e));
				s->narrow_ints_f64(da, n, base, exp, a);
				k->narrow_ints_f64(db, n, base, exp, b);
				assert_memory_equal(a, b, (n + 1) * sizeof *a);
				s->narrow_steps_f64(da, n, base, step, exp, a);
				k->narrow_steps_f64(db, n, base, step, exp, b);
				assert_memory_equal(a, b, (n + 1) * sizeof *a);
				s->narrow_ints_agg(da, n, base, &ga);
				k->narrow_ints_agg(db, n, base, &gb);
				assert_memory_equal(&ga, &gb, sizeof ga);
				s->narrow_steps_agg(da, n, base, step, &ga);
				k->narrow_steps_agg(db, n, base, step, &gb);
				assert_memory_equal(&ga, &gb, sizeof ga);
			}
		}
	}
}

static void integers(void **state)
{
	const struct slx_codec_kernels *s = &slx_codec_scalar;
	uint64_t rng = test_seed();
	for (int level = 1; level < SLX_CODEC_LEVELS; level++) {
		const struct slx_codec_kernels *k = level_of(level);
		for (int round = 0; round < 3000 && k; round++) {
			size_t n = 2 + test_below(&rng, round % 2 ? 20 : N - 2);
			int64_t x[N], a[N], b[N], mins[2], maxs[2];
			double va[N], vb[N];
			struct slx_int_agg ga, gb;
			unsigned shift = (unsigned)test_below(&rng, 64), exp = (unsigned)test_below(&rng, SLX_SCALE_MAX + 1);
			for (size_t i = 0; i < n; i++)
				a[i] = b[i] = x[i] = (int64_t)slx_rng_next(&rng) >> shift;
			s->range(x, n, &mins[0], &maxs[0]);
			k->range(x, n, &mins[1], &maxs[1]);
			assert_true(mins[0] == mins[1] && maxs[0] == maxs[1]);
			s->delta_range(x, n, &mins[0], &maxs[0]);
			k->delta_range(x, n, &mins[1], &maxs[1]);
			assert_true(mins[0] == mins[1] && maxs[0] == maxs[1]);
			s->prefix(a, n, 12345, -9);
			k->prefix(b, n, 12345, -9);
			assert_memory_equal(a, b, n * 8);
			for (size_t i = 0; i < n; i++)
				x[i] %= SLX_INT_LIMIT;
			s->ints_f64(x, n, 3, exp, va);
			k->ints_f64(x, n, 3, exp, vb);
			assert_memory_equal(va, vb, n * 8);
			s->ints_agg(x, n, 3, &ga);
			k->ints_agg(x, n, 3, &gb);
			assert_memory_equal(&ga, &gb, sizeof ga);
			for (size_t i = 0; i < n; i++)
				x[i] /= 1000;
			s->steps_f64(x, n, 100, 5, exp, va);
			k->steps_f64(x, n, 100, 5, exp, vb);
			assert_memory_equal(va, vb, n * 8);
			s->steps_agg(x, n, 100, 5, &ga);
			k->steps_agg(x, n, 100, 5, &gb);
			assert_memory_equal(&ga, &gb, sizeof ga);
			for (unsigned width = 0; width <= 64; width += 1 + shift % 7)
				assert_int_equal(s->outside(x, n, mins[0] / 3, width), k->outside(x, n, mins[0] / 3, width));
		}
	}
}

static void conversion_and_statistics(void **state)
{
	const struct slx_codec_kernels *s = &slx_codec_scalar;
	uint64_t rng = test_seed();
	for (int level = 1; level < SLX_CODEC_LEVELS; level++) {
		const struct slx_codec_kernels *k = level_of(level);
		for (int round = 0; round < 6000 && k; round++) {
			size_t n = round % 3 ? 1 + test_below(&rng, 20) : 1 + test_below(&rng, N);
			double v[N];
			int64_t a[N], b[N];
			uint64_t fa[N / 64 + 1], fb[N / 64 + 1];
			unsigned exp = (unsigned)test_below(&rng, round % 2 ? 8 : SLX_SCALE_MAX + 1);
			test_values(&rng, (unsigned)round % TEST_VALUE_SHAPES, v, n);
			bool f32 = test_below(&rng, 3) == 0;
			size_t failed = s->to_ints(v, n, exp, f32, a, fa);
			assert_int_equal(k->to_ints(v, n, exp, f32, b, fb), failed);
			assert_memory_equal(fa, fb, (n + 63) / 64 * 8);
			for (size_t i = 0; i < n; i++)
				assert_true(a[i] == b[i] || (fa[i / 64] >> (i & 63) & 1));
			struct slx_stats sa = { 0 }, sb = { 0 };
			s->stats(v, n, &sa);
			k->stats(v, n, &sb);
			assert_int_equal(sa.count, sb.count);
			assert_int_equal(sa.resets, sb.resets);
			assert_true(memcmp(&sa.first, &sb.first, 40) == 0 || sa.sum != sa.sum);
			assert_true(memcmp(&sa.comp, &sb.comp, 8) == 0 && (memcmp(&sa.increase, &sb.increase, 8) == 0 || sa.increase != sa.increase));
		}
	}
}

/* The scalar statistics against the obvious. */
static void statistics_mean_what_they_say(void **state)
{
	const double v[] = { NAN, 3, 5, NAN, 2, 2, 8, 1, -0.0, 0.5 };
	struct slx_stats s;
	slx_stats(v, 10, &s);
	assert_int_equal(s.count, 8);
	assert_int_equal(s.resets, 3);
	assert_true(s.first == 3 && s.last == 0.5 && s.max == 8 && s.min == 0 && !signbit(s.min));
	assert_true(s.sum + s.comp == 21.5);
	assert_true(s.increase == 2 + 2 + 0 + 6 + 1 + 0 + 0.5);
	double big[3000];
	for (int i = 0; i < 3000; i++)
		big[i] = i % 3 == 0 ? 1e16 : i % 3 == 1 ? 1 : -1e16;
	slx_stats(big, 3000, &s);
	assert_true(s.sum + s.comp == 1000);
	const double inf[] = { 1, INFINITY, 2, 3, 4, 5 };
	slx_stats(inf, 6, &s);
	assert_true(s.sum + s.comp == INFINITY && s.max == INFINITY);
	slx_stats(v, 1, &s);
	assert_true(s.count == 0 && s.min == 0 && s.sum == 0);
	const int64_t x[] = { INT64_MAX, INT64_MIN, 5, 4 };
	struct slx_stats_i64 si;
	slx_stats_i64(x, 4, &si);
	assert_true(si.count == 4 && si.min == INT64_MIN && si.max == INT64_MAX && si.sum == 8 && si.resets == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_width), cmocka_unit_test(fused), cmocka_unit_test(narrow), cmocka_unit_test(integers),
		cmocka_unit_test(conversion_and_statistics), cmocka_unit_test(statistics_mean_what_they_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
