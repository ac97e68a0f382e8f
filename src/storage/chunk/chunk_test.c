#include "base/clock.h"
#include "storage/chunk/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above before it */
#include <cmocka.h>
#include <math.h>

/* ---- samples ---- */

enum times { STEP_10S, STEP_1S, STEP_15S, MINUTE, JITTER, DAILY, ECG, RANDOM_TIMES, TIMES };
enum values { INTS, DECIMALS, WITH_NAN, DOUBLES, CONSTANT, RANDOM_BITS, VALUES };

static uint64_t rng;
static uint64_t below(uint64_t n) { return slx_rng_next(&rng) % n; }

struct run {
	enum slx_kind kind;
	size_t n;
	int64_t ts[SLX_CHUNK_MAX];
	uint64_t bits[SLX_CHUNK_MAX];
};

static int64_t next_step(enum times t)
{
	switch (t) {
	case STEP_10S:
		return 10 * SLX_SECOND;
	case STEP_1S:
		return SLX_SECOND;
	case STEP_15S:
		return 15 * SLX_SECOND;
	case MINUTE:
		return below(50) ? SLX_MINUTE : 7 * SLX_MINUTE;
	case JITTER:
		return 15 * SLX_SECOND + (int64_t)below(10) * SLX_MS;
	case DAILY:
		return SLX_DAY;
	case ECG:
		return 2777778;
	default:
		return 1 + (int64_t)(slx_rng_next(&rng) >> (24 + below(40)));
	}
}

static double next_double(enum values v, double before)
{
	switch (v) {
	case INTS:
		return fmin(100, fmax(0, before + (double)below(3) - 1));
	case DECIMALS:
		return (double)(int64_t)(before * 100 + (double)below(41) - 20) / 100;
	case WITH_NAN:
		return below(10) ? (double)below(80) : below(2) ? NAN : slx_bits_f64(SLX_STALE_NAN);
	case DOUBLES:
		return sqrt((double)below(1000000));
	case CONSTANT:
		return 37.5;
	default:
		return slx_bits_f64(slx_rng_next(&rng));
	}
}

static void fill(struct run *r, enum slx_kind kind, enum times times, enum values values, size_t n)
{
	r->kind = kind;
	r->n = n;
	int64_t t = times == RANDOM_TIMES ? -SLX_YEAR : (int64_t)below(1u << 30) * SLX_SECOND;
	double v = 50;
	for (size_t i = 0; i < n; i++) {
		r->ts[i] = t;
		t += next_step(times);
		v = values == INTS || values == DECIMALS ? next_double(values, v) : next_double(values, 0);
		if (kind == SLX_KIND_FLOAT64)
			r->bits[i] = slx_f64_bits(v);
		else if (kind == SLX_KIND_INT64)
			r->bits[i] = values == RANDOM_BITS ? slx_rng_next(&rng) : (uint64_t)(int64_t)(isnan(v) ? -5 : v);
		else
			r->bits[i] = kind == SLX_KIND_BOOL ? below(20) == 0 : below(20) ? 3 : below(1000);
	}
}

/* ---- an application's codec: plain bytes, refuses runs that begin with a negative value ---- */

static size_t plain_bound(void *ctx, size_t n) { return 8 * n + 1; }

static size_t plain_encode(void *ctx, const double *values, size_t n, void *out, size_t cap)
{
	if (values[0] < 0 || cap < 8 * n + 1)
		return 0;
	memset(out, 'P', 1);
	memcpy((uint8_t *)out + 1, values, 8 * n);
	return 8 * n + 1;
}

static silex_status plain_decode(void *ctx, const void *bytes, size_t size, double *values, size_t n, silex_error *err)
{
	if (size != 8 * n + 1)
		return slx_err(err, SILEX_CORRUPT, "plain: %zu bytes", size);
	memcpy(values, (const uint8_t *)bytes + 1, 8 * n);
	return SILEX_OK;
}

static const silex_codec plain = { sizeof plain, 130, "plain", NULL, plain_bound, plain_encode, plain_decode };
static const silex_codec *const customs[] = { &plain };

static const struct slx_codec_choice choices[] = {
	{ .codec = -1 },
	{ .codec = SLX_CODEC_SX },
	{ .codec = SLX_CODEC_GORILLA },
	{ .codec = SLX_CODEC_RAW },
	{ .codec = 130, .custom = customs, .n_custom = 1 },
	{ .codec = -1, .wrap = SLX_WRAP_ZSTD },
	{ .codec = -1, .wrap = SLX_WRAP_LZ4 },
};
enum { CHOICES = sizeof choices / sizeof *choices };

/* ---- checks ---- */

struct bench {
	struct slx_mem mem;
	struct slx_chunk_work *work;
	struct slx_buf out, values;
};

static void begin(struct bench *b)
{
	slx_mem_init(&b->mem, NULL);
	assert_int_equal(slx_chunk_work_new(&b->mem, SLX_MEM_OTHER, &b->work, NULL), SILEX_OK);
	slx_buf_init(&b->out, &b->mem, SLX_MEM_OTHER, 1 << 24);
	slx_buf_init(&b->values, &b->mem, SLX_MEM_OTHER, 1 << 25);
}

static void end(struct bench *b)
{
	slx_chunk_work_free(b->work);
	slx_buf_free(&b->out);
	slx_buf_free(&b->values);
	assert_int_equal(slx_mem_total(&b->mem), 0);
}

static silex_status ignore_window(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n, silex_error *err)
{
	return SILEX_OK;
}

/* What slx_chunk_aggregate should give: the samples at..n-1 of the run, window after window. */
struct windows {
	const struct run *r;
	size_t at, n;
	int64_t origin;
	uint64_t step;
};

static silex_status check_window(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n, silex_error *err)
{
	struct windows *w = arg;
	const struct run *r = w->r;
	struct slx_chunk_meta want;
	size_t count = 0, at = w->at;
	while (at + count < w->n && (!w->step || ((uint64_t)r->ts[at + count] - (uint64_t)w->origin) / w->step == k))
		count++;
	assert_true(count > 0);
	assert_int_equal(n, count);
	slx_chunk_stats(r->kind, r->ts + at, r->bits + at, count, &want);
	w->at += count;
	if (r->kind == SLX_KIND_ENUM)
		return SILEX_OK;
	assert_int_equal(agg->count, want.stats.count);
	assert_true(agg->min == want.stats.min || isnan(want.stats.min));
	assert_true(agg->max == want.stats.max || isnan(want.stats.max));
	double sum = agg->sum + agg->comp, exact = want.stats.sum + want.stats.comp;
	double scale = fmax(fabs(want.stats.min), fabs(want.stats.max)) * (double)n;
	assert_true(sum == exact || isnan(exact) || !isfinite(scale) || fabs(sum - exact) <= scale * 1e-12);
	return SILEX_OK;
}

/* Samples lo..lo+n-1 are those of the range. */
static void check_windows(struct bench *b, const struct slx_codec_choice *c, const struct run *r,
	const struct slx_chunk_meta *m, size_t lo, size_t n, struct slx_time_range range)
{
	uint64_t span = (uint64_t)m->tmax - (uint64_t)m->tmin;
	const uint64_t steps[] = { 0, SLX_HOUR, span / 5 + 1, span / (m->n * 2 / 3 + 1) + 1 };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		int64_t origin = range.from < m->tmin ? m->tmin : range.from;
		origin = slx_time_sub(origin, (int64_t)below(3) * SLX_MINUTE);
		if (origin > range.from)
			range.from = origin;
		struct windows w = { r, lo, lo + n, origin, steps[i] };
		silex_error err;
		silex_status st = slx_chunk_aggregate(b->work, c, m, b->out.p, range, origin, steps[i], check_window, &w, &err);
		if (st != SILEX_OK)
			fail_msg("%s", err.message);
		assert_int_equal(w.at, lo + n);
	}
}

static void check_ranges(
	struct bench *b, const struct slx_codec_choice *c, const struct run *r, const struct slx_chunk_meta *m)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	silex_error err;
	for (int round = 0; round < 6; round++) {
		struct slx_time_range range = round == 0
			? SLX_TIME_ALL
			: (struct slx_time_range){ r->ts[below(r->n)] - (int64_t)below(2), r->ts[below(r->n)] };
		if (round == 1)
			range = (struct slx_time_range){ r->ts[r->n - 1] + 1, SLX_TIME_MAX };
		size_t lo = 0, hi = r->n, n = 77;
		while (lo < r->n && r->ts[lo] < range.from)
			lo++;
		while (hi > lo && r->ts[hi - 1] > range.to)
			hi--;
		if (slx_range_empty(range))
			hi = lo;
		memset(bits, 0x5a, sizeof bits);
		silex_status st = slx_chunk_decode(b->work, c, m, b->out.p, range, ts, bits, &b->values, &n, &err);
		if (st != SILEX_OK)
			fail_msg("%s", err.message);
		assert_int_equal(n, hi - lo);
		if (n)
			assert_memory_equal(ts, r->ts + lo, n * sizeof *ts);
		if (n)
			assert_memory_equal(bits, r->bits + lo, n * sizeof *bits);
		if (n < r->n)
			assert_true(bits[n] == UINT64_C(0x5a5a5a5a5a5a5a5a)); /* nothing beyond what was told */

		check_windows(b, c, r, m, lo, n, range);
	}
}

static void check_run(struct bench *b, const struct slx_codec_choice *c, const struct run *r, bool cold)
{
	struct slx_chunk_meta m;
	silex_error err;
	struct slx_sx_hint hint = { 0 };
	slx_buf_reset(&b->out);
	silex_status st = cold ? slx_chunk_encode_cold(b->work, c, r->kind, r->ts, r->bits, r->n, &b->out, &m, &err)
						   : slx_chunk_encode_hot(c, r->kind, r->ts, r->bits, r->n, &hint, &b->out, &m, &err);
	assert_int_equal(st, SILEX_OK);
	assert_int_equal(m.size, b->out.n);
	assert_int_equal(m.n, r->n);
	assert_int_equal(m.tmin, r->ts[0]);
	assert_int_equal(m.tmax, r->ts[r->n - 1]);
	assert_int_equal(m.kind, r->kind);
	if (cold && c->codec < SLX_CODEC_CUSTOM)
		assert_true(slx_chunk_is_wanted(c, &m));
	st = slx_chunk_check(b->work, c, &m, b->out.p, &err);
	if (st != SILEX_OK)
		fail_msg("%s", err.message);
	check_ranges(b, c, r, &m);
}

static void test_round_trips(void **state)
{
	static struct run r;
	struct bench b;
	begin(&b);
	rng = 20261121;
	static const size_t sizes[] = { 1, 2, 3, 63, 64, 120, 256, 257, 512, 513, 700, 1025, 8191, 8192 };
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (enum times t = 0; t < TIMES; t++)
			for (enum slx_kind k = SLX_KIND_FLOAT64; k <= SLX_KIND_ENUM; k++) {
				fill(&r, k, t, below(VALUES), sizes[s]);
				size_t c = below(CHOICES);
				check_run(&b, &choices[c], &r, true);
				if (r.n <= SLX_HOT_MAX)
					check_run(&b, &choices[c], &r, false);
			}
	end(&b);
}

static void test_every_codec_on_every_shape(void **state)
{
	static struct run r;
	struct bench b;
	begin(&b);
	rng = 7;
	for (size_t c = 0; c < CHOICES; c++)
		for (enum values v = 0; v < VALUES; v++)
			for (int hot = 0; hot < 2; hot++) {
				fill(&r, SLX_KIND_FLOAT64, below(ECG), v, hot ? 1 + below(SLX_HOT_MAX) : 1 + below(SLX_CHUNK_MAX));
				check_run(&b, &choices[c], &r, !hot);
			}
	end(&b);
}

static void test_ends_of_time(void **state)
{
	static struct run r;
	struct bench b;
	begin(&b);
	r = (struct run){
		.kind = SLX_KIND_INT64, .n = 2, .ts = { SLX_TIME_MIN, SLX_TIME_MAX }, .bits = { (uint64_t)INT64_MIN, INT64_MAX }
	};
	check_run(&b, &choices[0], &r, true);
	check_run(&b, &choices[0], &r, false);
	r.n = 2000;
	for (size_t i = 0; i < r.n; i++) {
		r.ts[i] = SLX_TIME_MAX - (int64_t)(r.n - 1 - i);
		r.bits[i] = (uint64_t)INT64_MAX;
	}
	check_run(&b, &choices[0], &r, true);
	struct slx_chunk_meta m;
	slx_chunk_stats(SLX_KIND_INT64, r.ts, r.bits, r.n, &m);
	assert_true(m.flags & SLX_CHUNK_INEXACT);
	end(&b);
}

static void test_sizes(void **state)
{
	static struct run r;
	struct bench b;
	begin(&b);
	rng = 5;
	struct slx_chunk_meta m;
	struct slx_sx_hint hint = { 0 };
	double hot = 0, cold = 0;
	for (int round = 0; round < 20; round++) { /* steps of N(0, 1), as the TSBS generator makes */
		int64_t t = INT64_C(1700000000) * SLX_SECOND;
		double v = (double)below(100);
		for (r.n = 0; r.n < SLX_CHUNK_MAX; r.n++) {
			double z = sqrt(-2 * log(((double)below(1 << 30) + 1) / (1 << 30))) *
				cos(2 * M_PI * (double)below(1 << 30) / (1 << 30));
			v = fmin(100, fmax(0, v + z));
			r.ts[r.n] = t += 10 * SLX_SECOND;
			r.bits[r.n] = slx_f64_bits(floor(v));
		}
		slx_buf_reset(&b.out);
		slx_chunk_encode_hot(&choices[0], SLX_KIND_FLOAT64, r.ts, r.bits, 120, &hint, &b.out, &m, NULL);
		hot += m.size / 120.0 / 20;
		slx_chunk_encode_cold(b.work, &choices[0], SLX_KIND_FLOAT64, r.ts, r.bits, SLX_CHUNK_MAX, &b.out, &m, NULL);
		cold += m.size / 8192.0 / 20;
	}
	print_message("TSBS-like integers: hot 120 %.3f, cold 8192 %.4f bytes/point\n", hot, cold);
	assert_true(hot < 0.57);
	assert_true(cold < 0.32);
	end(&b);
}

static void test_foreign_bytes(void **state)
{
	static struct run r;
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	struct bench b;
	begin(&b);
	rng = 11;
	int told = 0;
	for (int round = 0; round < 300; round++) {
		const struct slx_codec_choice *c = &choices[below(CHOICES)];
		struct slx_chunk_meta m;
		size_t n;
		fill(&r, below(4), below(TIMES), below(VALUES), 1 + below(200));
		slx_buf_reset(&b.out);
		slx_chunk_encode_cold(b.work, c, r.kind, r.ts, r.bits, r.n, &b.out, &m, NULL);
		uint32_t whole = m.size;
		for (int i = 0; i < 20; i++) {
			uint8_t *copy = malloc(whole); /* exact, for the sanitizer */
			memcpy(copy, b.out.p, whole);
			m.size = below(4) ? whole : (uint32_t)below(whole);
			if (m.size)
				copy[below(m.size)] ^= (uint8_t)(1u << below(8));
			silex_error err = { 0 };
			silex_status st = slx_chunk_decode(b.work, c, &m, copy, SLX_TIME_ALL, ts, bits, &b.values, &n, &err);
			assert_true(st == SILEX_OK || st == SILEX_CORRUPT || st == SILEX_UNSUPPORTED);
			assert_true(st == SILEX_OK || strncmp(err.message, "chunk", 5) == 0);
			if (slx_time_legal(m.tmin))
				slx_chunk_aggregate(b.work, c, &m, copy, SLX_TIME_ALL, SLX_TIME_MIN, SLX_HOUR, ignore_window, NULL, NULL);
			told += st != SILEX_OK;
			free(copy);
		}
	}
	assert_true(told > 1000);
	end(&b);
}

static void test_header_lies(void **state)
{
	static struct run r;
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	struct bench b;
	struct slx_chunk_meta m, lie;
	silex_error err;
	size_t n;
	begin(&b);
	fill(&r, SLX_KIND_FLOAT64, STEP_10S, INTS, 200);
	slx_chunk_encode_cold(b.work, &choices[0], r.kind, r.ts, r.bits, r.n, &b.out, &m, NULL);
#define LIE(change, status, words)                                                                           \
	do {                                                                                                     \
		lie = m;                                                                                             \
		change;                                                                                              \
		assert_int_equal(                                                                                    \
			slx_chunk_decode(b.work, &choices[0], &lie, b.out.p, SLX_TIME_ALL, ts, bits, &b.values, &n, &err), status); \
		assert_non_null(strstr(err.message, words));                                                         \
	} while (0)
	LIE(lie.n = 0, SILEX_CORRUPT, "0 samples");
	LIE(lie.n = SLX_CHUNK_MAX + 1, SILEX_CORRUPT, "8193 samples");
	LIE(lie.n--, SILEX_CORRUPT, "chunk");
	LIE(lie.tmin++, SILEX_CORRUPT, "ascend");
	LIE(lie.tmax++, SILEX_CORRUPT, "ascend");
	LIE(lie.tmin = INT64_MIN, SILEX_CORRUPT, "legal");
	LIE(lie.kind = SLX_KINDS, SILEX_UNSUPPORTED, "kind 6");
	LIE(lie.codec = SLX_CODEC_BOOL, SILEX_CORRUPT, "codec 5");
	LIE(lie.codec = 131, SILEX_UNSUPPORTED, "codec 131");
	LIE(lie.size = 0, SILEX_CORRUPT, "ends within");
	b.out.p[0] ^= 1;
	LIE((void)0, SILEX_UNSUPPORTED, "format 1");
	b.out.p[0] ^= 1;
	lie = m;
	lie.stats.sum++;
	assert_int_equal(slx_chunk_check(b.work, &choices[0], &lie, b.out.p, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "sum"));
	end(&b);
}

static void test_custom_codec(void **state)
{
	static struct run r;
	struct bench b;
	struct slx_chunk_meta m;
	char text[64];
	begin(&b);
	fill(&r, SLX_KIND_FLOAT64, STEP_10S, INTS, 500);
	slx_chunk_encode_cold(b.work, &choices[4], r.kind, r.ts, r.bits, r.n, &b.out, &m, NULL);
	assert_int_equal(m.codec, 130);
	slx_chunk_describe(b.work, &choices[4], &m, b.out.p, text, sizeof text);
	assert_string_equal(text, "plain");
	slx_chunk_describe(b.work, &choices[0], &m, b.out.p, text, sizeof text);
	assert_string_equal(text, "codec 130");
	r.bits[0] = slx_f64_bits(-1); /* it declines: a built-in codec takes over */
	slx_buf_reset(&b.out);
	slx_chunk_encode_cold(b.work, &choices[4], r.kind, r.ts, r.bits, r.n, &b.out, &m, NULL);
	assert_int_equal(m.codec, SLX_CODEC_COLD);
	slx_chunk_describe(b.work, &choices[0], &m, b.out.p, text, sizeof text);
	assert_int_equal(strncmp(text, "cold ", 5), 0);
	end(&b);
}

/* Fails the at-th allocation and all after it. */
struct countdown {
	long left;
};
static void *count_alloc(void *ctx, size_t n) { return ((struct countdown *)ctx)->left-- > 0 ? malloc(n) : NULL; }
static void *count_realloc(void *ctx, void *p, size_t old, size_t n)
{
	return ((struct countdown *)ctx)->left-- > 0 ? realloc(p, n) : NULL;
}
static void count_free(void *ctx, void *p, size_t n) { free(p); }

static void test_out_of_memory(void **state)
{
	static struct run r;
	fill(&r, SLX_KIND_FLOAT64, JITTER, DECIMALS, 3000);
	silex_status st = SILEX_RESOURCE_EXHAUSTED;
	for (long at = 0; st != SILEX_OK; at++) {
		struct countdown count = { at };
		silex_allocator allocator = { &count, count_alloc, count_realloc, count_free };
		struct slx_mem mem;
		slx_mem_init(&mem, &allocator);
		struct slx_chunk_work *work = NULL;
		struct slx_buf out;
		slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 24);
		struct slx_chunk_meta m;
		st = slx_chunk_work_new(&mem, SLX_MEM_OTHER, &work, NULL);
		if (st == SILEX_OK)
			st = slx_chunk_encode_cold(work, &choices[0], r.kind, r.ts, r.bits, r.n, &out, &m, NULL);
		assert_true(st == SILEX_OK || st == SILEX_RESOURCE_EXHAUSTED);
		if (st != SILEX_OK)
			assert_int_equal(out.n, 0);
		slx_chunk_work_free(work);
		slx_buf_free(&out);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_every_codec_on_every_shape),
		cmocka_unit_test(test_ends_of_time),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_foreign_bytes),
		cmocka_unit_test(test_header_lies),
		cmocka_unit_test(test_custom_codec),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
