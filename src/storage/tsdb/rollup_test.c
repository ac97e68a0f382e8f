/* Sketches keep their error, buckets and sketches of parts are those of the whole, names of columns, times at their borders. */
#include "storage/tsdb/rollup.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { N = 5000 };

static struct slx_mem mem;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Values of many sizes, a tenth of them negative, some zero. */
static void fill(double *v, size_t n, uint64_t *rng)
{
	for (size_t i = 0; i < n; i++) {
		double size = pow(10, (double)(slx_rng_next(rng) % 2000) / 100 - 10);
		v[i] = slx_rng_next(rng) % 10 == 0 ? -size : slx_rng_next(rng) % 50 == 0 ? 0 : size;
	}
}

static void test_sketch_error(void **state)
{
	double v[N];
	uint64_t rng = 1;
	struct slx_sketch s;
	(void)state;
	fill(v, N, &rng);
	slx_sketch_init(&s, &mem);
	for (size_t i = 0; i < N; i++)
		slx_sketch_add(&s, v[i]);
	qsort(v, N, sizeof *v, by_value);
	for (size_t i = 0; i < N; i += 7) {
		double q = (double)i / (N - 1), got = slx_sketch_quantile(&s, q);
		if (!(fabs(got - v[i]) <= fabs(v[i]) * (SLX_SKETCH_ERROR + 1e-9)))
			fail_msg("quantile %g is %g, the sketch says %g", q, v[i], got);
	}
	assert_true(isnan(slx_sketch_quantile(&s, (double)NAN)));
	assert_true(slx_sketch_quantile(&s, 2) == (double)INFINITY && slx_sketch_quantile(&s, -1) == -(double)INFINITY);
	slx_sketch_free(&s);
}

static void test_sketch_of_odd_values(void **state)
{
	static const double odd[] = { 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308 };
	struct slx_sketch s;
	(void)state;
	slx_sketch_init(&s, &mem);
	assert_true(isnan(slx_sketch_quantile(&s, 0.5)));
	slx_sketch_add(&s, (double)NAN);
	slx_sketch_add(&s, (double)INFINITY);
	slx_sketch_add(&s, -(double)INFINITY);
	assert_true(isnan(slx_sketch_quantile(&s, 0)) && slx_sketch_quantile(&s, 0.5) == -(double)INFINITY && slx_sketch_quantile(&s, 1) == (double)INFINITY);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		slx_sketch_clear(&s);
		slx_sketch_add(&s, odd[i]);
		assert_true(signbit(slx_sketch_quantile(&s, 0.5)) == signbit(odd[i]));
	}
	slx_sketch_free(&s);
}

/* Parts merged by their bytes, in any order, give the bytes of the whole. */
static void test_sketches_merge(void **state)
{
	double v[N];
	uint64_t rng = 2;
	struct slx_sketch whole, sum, part;
	struct slx_buf a, b;
	(void)state;
	fill(v, N, &rng);
	slx_sketch_init(&whole, &mem);
	slx_sketch_init(&sum, &mem);
	slx_sketch_init(&part, &mem);
	slx_buf_init(&a, &mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 20);
	for (size_t i = 0; i < N; i++)
		slx_sketch_add(&whole, v[i]);
	for (size_t to = N; to > 0;) {
		size_t n = 1 + slx_rng_next(&rng) % (to < 900 ? to : 900);
		slx_sketch_clear(&part);
		for (size_t i = to - n; i < to; i++)
			slx_sketch_add(&part, v[i]);
		slx_buf_reset(&b);
		slx_sketch_put(&part, &b);
		assert_int_equal(slx_sketch_merge(&sum, b.p, b.n, NULL), SILEX_OK);
		to -= n;
	}
	slx_sketch_put(&whole, &a);
	slx_buf_reset(&b);
	slx_sketch_put(&sum, &b);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	for (size_t n = 0; n < a.n; n++) /* cut short it is refused, and nothing changes */
		assert_int_equal(slx_sketch_merge(&sum, a.p, n, NULL), SILEX_CORRUPT);
	slx_buf_reset(&b);
	slx_sketch_put(&sum, &b);
	assert_memory_equal(a.p, b.p, a.n);
	slx_buf_free(&a);
	slx_buf_free(&b);
	slx_sketch_free(&whole);
	slx_sketch_free(&sum);
	slx_sketch_free(&part);
}

/* ---- buckets ---- */

struct found {
	struct slx_rollup_bucket b[64];
	size_t n;
};

static silex_status keep(void *arg, const struct slx_rollup_bucket *b, struct slx_sketch *sketch, silex_error *err)
{
	struct found *f = arg;
	(void)sketch;
	(void)err;
	f->b[f->n++] = *b;
	return SILEX_OK;
}

static void fold(const int64_t *ts, const double *v, size_t n, int64_t width, struct found *ret)
{
	struct slx_codec_choice codecs = { -1, SLX_WRAP_NONE, NULL, 0 };
	struct slx_part part = { .type = SLX_PART_RAW, .raw = { ts, (const uint64_t *)(const void *)v, n, SLX_KIND_FLOAT64 } };
	struct slx_scan *scan;
	silex_error err;
	ret->n = 0;
	assert_int_equal(slx_scan_new(&mem, &codecs, &scan, &err), SILEX_OK);
	slx_scan_start(scan, &part, 1, NULL, 0, SLX_TIME_ALL);
	assert_int_equal(slx_rollup_fold(scan, width, NULL, keep, ret, &err), SILEX_OK);
	slx_scan_free(scan);
}

static void test_borders(void **state)
{
	/* (0, 1 s] and (1 s, 2 s], in ms: the last of a ms counts; one before the epoch */
	const int64_t ts[] = { -1, 1, 1000 * SLX_MS + 5, 1000 * SLX_MS + 999999, 1001 * SLX_MS, 2000 * SLX_MS };
	const double v[] = { 9, 1, 2, 3, 4, 5 };
	struct found f;
	(void)state;
	fold(ts, v, 6, 1000, &f);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.b[0].end, 0); /* -1 ns and 1 ns are of the milliseconds -1 and 0 */
	assert_true(f.b[0].n == 2 && f.b[0].first == 9 && f.b[0].last == 1);
	assert_true(f.b[1].end == 1000 && f.b[1].n == 1 && f.b[1].last == 3 && f.b[1].last_at == 1000);
	assert_true(f.b[2].end == 2000 && f.b[2].n == 2 && f.b[2].sum == 9 && f.b[2].first_at == 1001);
}

static bool near(double a, double b) { return a == b || fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b)); }

static void test_buckets_merge(void **state)
{
	int64_t ts[600];
	double v[600];
	uint64_t rng = 3;
	struct found parts, whole;
	(void)state;
	for (size_t i = 0; i < 600; i++) {
		ts[i] = (int64_t)i * 100 * SLX_MS + SLX_MS;
		v[i] = slx_rng_next(&rng) % 40 ? (double)(slx_rng_next(&rng) % 1000) : slx_bits_f64(SLX_STALE_NAN);
	}
	fold(ts, v, 600, 1000, &parts);
	fold(ts, v, 600, 60000, &whole);
	assert_int_equal(whole.n, 1);
	struct slx_rollup_bucket all = { 0 }, *w = &whole.b[0];
	for (size_t i = 0; i < parts.n; i++) {
		struct slx_rollup_bucket b = parts.b[i];
		assert_true(slx_rollup_set_at(&b, slx_rollup_at(&parts.b[i]), 1000));
		assert_true(b.first_at == parts.b[i].first_at && b.last_at == parts.b[i].last_at && b.stale_last == parts.b[i].stale_last);
		slx_rollup_merge(&all, &b);
	}
	assert_true(all.n == w->n && all.stale == w->stale && all.stale_last == w->stale_last && all.end == w->end);
	assert_true(slx_rollup_sum(&all) == slx_rollup_sum(w) && all.min == w->min && all.max == w->max);
	assert_true(all.first == w->first && all.last == w->last && all.drop == w->drop);
	assert_true(all.first_at == w->first_at && all.last_at == w->last_at);
	assert_true(near(all.mean, w->mean) && near(all.m2, w->m2));
}

static void test_names(void **state)
{
	static const struct {
		int64_t width;
		const char *name;
	} levels[] = { { 1000, "a!1s.sum" }, { 90000, "a!90s.sum" }, { 60000, "a!1m.sum" }, { 3600000, "a!1h.sum" }, { 604800000, "a!7d.sum" } };
	static const char *const others[] = { "a!exemplars", "a!1h", "a!h.sum", "a!1x.sum", "a!0h.sum", "a!8d.sum", "ab!1h.sum", "a", "a!99999999999999999999s.sum" };
	char room[SLX_ROLLUP_TENANT_SIZE];
	int64_t width;
	(void)state;
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		struct slx_str name = slx_rollup_tenant(SLX_STR("a"), levels[i].width, SLX_ROLLUP_SUM, room);
		assert_true(slx_str_eq(name, slx_str(levels[i].name)));
		assert_int_equal(slx_tenant_check_stored(name, NULL), SILEX_OK);
		assert_true(slx_rollup_tenant_of(name, SLX_STR("a"), &width) && width == levels[i].width);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(slx_rollup_tenant_of(slx_str(others[i]), SLX_STR("a"), &width));
	assert_int_equal(slx_rollup_width_check(1500, NULL), SILEX_INVALID);
	assert_int_equal(slx_rollup_width_check(INT64_C(8) * 86400000, NULL), SILEX_INVALID);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sketch_error),
		cmocka_unit_test(test_sketch_of_odd_values),
		cmocka_unit_test(test_sketches_merge),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_buckets_merge),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
