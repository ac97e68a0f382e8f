/* Functions over windows, by themselves: sweeps against window functions on random data, and what is written down. */
#include "promql/functions_int.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 2000, STEPS = 300 };

struct fixture {
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_pq_notes notes;
	struct slx_pq_node vector, matrix, args_node[2], call;
	struct slx_pq_node *args[3];
	double scalars[3];
	struct slx_pq_call c;
};

static void fixture_init(struct fixture *x, const char *function, const char *metric)
{
	memset(x, 0, sizeof *x);
	slx_mem_init(&x->mem, NULL);
	slx_arena_init(&x->arena, &x->mem, SLX_MEM_QUERY, 65536);
	slx_pq_notes_init(&x->notes, &x->mem, SLX_STR("rate(x[5m])"));
	x->vector.type = SLX_PQ_VECTOR;
	x->matrix.type = SLX_PQ_MATRIX;
	x->matrix.matrix.vector = &x->vector;
	x->matrix.pos.from = 5;
	x->args[0] = x->args[1] = x->args[2] = &x->matrix;
	x->call.type = SLX_PQ_CALL;
	x->call.call.fn = slx_pq_function_find(slx_str(function));
	x->call.call.args = x->args;
	x->call.call.n_args = 1;
	x->c = (struct slx_pq_call){
		.node = &x->call, .arena = &x->arena, .notes = &x->notes, .metric = slx_str(metric), .scalars = x->scalars
	};
}

static void fixture_free(struct fixture *x)
{
	slx_pq_notes_free(&x->notes);
	slx_arena_clear(&x->arena);
	assert_int_equal(slx_mem_total(&x->mem), 0);
}

static bool has_note(struct fixture *x, bool info, const char *text)
{
	const struct slx_str *list = NULL;
	size_t n;
	silex_error err;
	assert_int_equal(slx_pq_notes_list(&x->notes, info, &x->arena, &list, &n, &err), SILEX_OK);
	for (size_t i = 0; i < n; i++)
		if (slx_str_eq(list[i], slx_str(text)))
			return true;
	return false;
}

/* ---- the table ---- */

static void test_table(void **state)
{
	static const char *const names[] = { "abs", "absent_over_time", "histogram_quantiles", "info", "rate",
		"sort_by_label_desc", "ts_of_min_over_time", "year" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct slx_pq_function *f = slx_pq_function_find(slx_str(names[i]));
		assert_non_null(f);
		assert_string_equal(f->name, names[i]);
	}
	assert_null(slx_pq_function_find(SLX_STR("holt_winters")));
	assert_null(slx_pq_function_find(SLX_STR("rat")));
	assert_null(slx_pq_function_find(SLX_STR("")));
	assert_int_equal(slx_pq_function_find(SLX_STR("label_join"))->variadic, -1);
	assert_true(slx_pq_function_find(SLX_STR("info"))->experimental);
}

/* ---- sweeps ---- */

struct series {
	int64_t t[SAMPLES];
	double v[SAMPLES];
	uint32_t lo[STEPS], hi[STEPS];
	int64_t starts[STEPS], ends[STEPS];
};

enum shape { SMOOTH, COUNTER, WHOLE, WILD, EXTREME, SHAPES };

static double draw(uint64_t *seed, enum shape shape, double before)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, 0, -0.0, 1e308, -1e308, 1e-300 };
	uint64_t r = slx_rng_next(seed);
	double fraction = (double)(r >> 11) / 0x1p53;
	switch (shape) {
	case SMOOTH:
		return before + fraction - 0.5;
	case COUNTER:
		return r % 50 == 0 ? fraction : before + fraction * 10;
	case WHOLE:
		return (double)(r % 100);
	case WILD:
		return ldexp(fraction - 0.5, (int)(r % 120) - 60);
	default:
		return r % 5 == 0 ? odd[r / 5 % 8] : fraction;
	}
}

static void make(struct series *s, uint64_t *seed, enum shape shape, int64_t range, int64_t step)
{
	int64_t t = 1000000;
	double v = 0;
	for (size_t i = 0; i < SAMPLES; i++) {
		s->t[i] = t += 1 + (int64_t)(slx_rng_next(seed) % 20000) * (slx_rng_next(seed) % 100 == 0 ? 50 : 1);
		s->v[i] = v = draw(seed, shape, v);
	}
	uint32_t lo = 0, hi = 0;
	for (size_t k = 0; k < STEPS; k++) {
		s->ends[k] = 900000 + (int64_t)k * step;
		s->starts[k] = s->ends[k] - range;
		while (lo < SAMPLES && s->t[lo] <= s->starts[k])
			lo++;
		while (hi < SAMPLES && s->t[hi] <= s->ends[k])
			hi++;
		s->lo[k] = lo;
		s->hi[k] = hi;
	}
}

static void compare(const char *function, const struct series *s, double scalar, const char *what)
{
	static double f[STEPS];
	static uint8_t cell[STEPS];
	struct fixture x;
	fixture_init(&x, function, "x_total");
	x.scalars[0] = scalar;
	memset(cell, SLX_PQ_EMPTY, sizeof cell);
	x.call.call.fn->sweep(&x.c, s->t, s->v, s->lo, s->hi, s->starts, s->ends, STEPS, f, cell);
	for (size_t k = 0; k < STEPS; k++) {
		struct slx_pq_window w = { .t = s->t + s->lo[k],
			.v = s->v + s->lo[k],
			.n = s->hi[k] - s->lo[k],
			.start = s->starts[k],
			.end = s->ends[k] };
		struct slx_pq_value one = { 0 };
		bool is = w.n && x.call.call.fn->window(&x.c, &w, &one);
		if (is != (cell[k] == SLX_PQ_FLOAT))
			fail_msg("%s, %s, step %zu: present by itself %d, swept %d", function, what, k, is, cell[k]);
		if (is && slx_f64_bits(one.f) != slx_f64_bits(f[k]) && !(isnan(one.f) && isnan(f[k])) &&
			!(one.f == 0 && f[k] == 0))
			fail_msg("%s, %s, step %zu of %u samples: %.17g by itself, %.17g swept", function, what, k, (unsigned)w.n,
				one.f, f[k]);
	}
	assert_int_equal(x.c.status, SILEX_OK);
	fixture_free(&x);
}

static void test_sweeps(void **state)
{
	static const char *const functions[] = { "rate", "increase", "delta", "avg_over_time", "sum_over_time",
		"count_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time", "present_over_time",
		"quantile_over_time" };
	static const int64_t ranges[] = { 60000, 300000, 3600000 }, step_sizes[] = { 15000, 70000 };
	static const double qs[] = { 0, 0.25, 0.9, 1, 2, -1 };
	static struct series s;
	uint64_t seed = 20261121;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int shape = 0; shape < SHAPES; shape++)
		for (size_t r = 0; r < 6; r++) {
			char what[80];
			make(&s, &seed, (enum shape)shape, ranges[r % 3], step_sizes[r / 3]);
			snprintf(what, sizeof what, "shape %d, range %lld", shape, (long long)ranges[r % 3]);
			for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
				compare(functions[i], &s, qs[r], what);
		}
}

/* ---- values ---- */

static bool run(struct fixture *x, const int64_t *t, const double *v, size_t n, int64_t start, int64_t end,
	struct slx_pq_value *ret)
{
	struct slx_pq_window w = { .t = t, .v = v, .n = n, .start = start, .end = end, .eval = end };
	return x->call.call.fn->window(&x->c, &w, ret);
}

static void gives(
	const char *function, const int64_t *t, const double *v, size_t n, int64_t start, int64_t end, double expected)
{
	struct fixture x;
	struct slx_pq_value got = { 0 };
	fixture_init(&x, function, "x_total");
	assert_true(run(&x, t, v, n, start, end, &got));
	if (!(fabs(got.f - expected) <= 1e-12 * fabs(expected)) && !(isnan(got.f) && isnan(expected)) && got.f != expected)
		fail_msg("%s: %.17g, expected %.17g", function, got.f, expected);
	fixture_free(&x);
}

static void test_values(void **state)
{
	static const int64_t t[] = { 60000, 120000, 180000, 240000, 300000 };
	static const double up[] = { 10, 20, 30, 40, 50 }, fell[] = { 10, 20, 5, 10, 15 }, nan_in[] = { 3, NAN, 1, 2, 2 };
	gives("increase", t, up, 5, 0, 300000, 50); /* stretched by one mean distance to the start, where it would be 0 */
	gives("rate", t, up, 5, 0, 300000, 50.0 / 300);
	gives("delta", t, fell, 5, 0, 300000, 5 * 300.0 / 240);
	gives("increase", t, fell, 5, 0, 300000, 25 * 300.0 / 240);
	gives("increase", t, up, 5, -600000, 300000, 45 + 0.0); /* half a mean distance, limited by zero at 60 s */
	gives("irate", t, fell, 3, 0, 300000, 5.0 / 60);
	gives("idelta", t, fell, 3, 0, 300000, -15);
	gives("changes", t, nan_in, 5, 0, 300000, 3);
	gives("resets", t, fell, 5, 0, 300000, 1);
	gives("min_over_time", t, nan_in, 5, 0, 300000, 1);
	gives("max_over_time", t, nan_in, 5, 0, 300000, 3);
	gives("ts_of_max_over_time", t, fell, 5, 0, 300000, 120);
	gives("sum_over_time", t, nan_in, 5, 0, 300000, NAN);
	gives("deriv", t, up, 5, 0, 300000, 10.0 / 60);
	gives("stdvar_over_time", t, up, 5, 0, 300000, 200);
	gives("mad_over_time", t, up, 5, 0, 300000, 10);
	gives("last_over_time", t, fell, 5, 0, 300000, 15);
	gives("ts_of_first_over_time", t, fell, 5, 0, 300000, 60);
}

static void test_too_short(void **state)
{
	static const char *const functions[] = { "rate", "irate", "idelta", "delta", "deriv" };
	static const int64_t t[] = { 60000 };
	static const double v[] = { 1 };
	struct slx_pq_value got;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		struct fixture x;
		fixture_init(&x, functions[i], "x");
		assert_false(run(&x, t, v, 1, 0, 300000, &got));
		fixture_free(&x);
	}
}

/* ---- notes ---- */

static void test_notes(void **state)
{
	static const int64_t t[] = { 60000, 120000 }, ht[] = { 90000, 130000 };
	static const double v[] = { 1, 2 };
	static const struct slx_histogram one = { .count = 1, .sum = 2 };
	static const struct slx_histogram *const h[] = { &one, &one };
	struct slx_pq_value got;
	struct fixture x;
	fixture_init(&x, "rate", "x");
	assert_true(run(&x, t, v, 2, 0, 300000, &got));
	assert_true(has_note(&x, true,
		"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)"));
	struct slx_pq_window mixed = { .t = t, .v = v, .n = 2, .ht = ht, .h = h, .hn = 2, .end = 300000 };
	assert_false(x.call.call.fn->window(&x.c, &mixed, &got));
	assert_true(
		has_note(&x, false, "PromQL warning: encountered a mix of histograms and floats for metric name \"x\" (1:6)"));
	fixture_free(&x);
	fixture_init(&x, "max_over_time", "x");
	assert_true(x.call.call.fn->window(&x.c, &mixed, &got) && got.f == 2);
	assert_true(has_note(&x, true,
		"PromQL info: ignored histograms in a range containing both floats and histograms for metric name \"x\" (1:6)"));
	fixture_free(&x);
	fixture_init(&x, "quantile_over_time", "x");
	x.scalars[0] = 1.5e6;
	assert_true(run(&x, t, v, 2, 0, 300000, &got) && got.f == INFINITY);
	assert_true(has_note(&x, false, "PromQL warning: quantile value should be between 0 and 1, got 1.5e+06 (1:6)"));
	fixture_free(&x);
}

/* ---- quantiles of numbers ---- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return isnan(x) || isnan(y) ? isnan(y) - isnan(x) : (x > y) - (x < y);
}

static void test_quantile(void **state)
{
	uint64_t seed = 42;
	double v[200], sorted[200];
	for (int round = 0; round < 500; round++) {
		size_t n = 1 + slx_rng_next(&seed) % 200;
		for (size_t i = 0; i < n; i++)
			v[i] = slx_rng_next(&seed) % 50 == 0 ? NAN : (double)(slx_rng_next(&seed) % 100);
		memcpy(sorted, v, sizeof v);
		qsort(sorted, n, sizeof *sorted, ascending);
		double q = (double)(slx_rng_next(&seed) % 101) / 100, rank = q * (double)(n - 1), weight = rank - floor(rank);
		size_t low = (size_t)rank, high = low + 1 < n ? low + 1 : low;
		double expected = sorted[low] * (1 - weight) + sorted[high] * weight, got = slx_pq_quantile(q, v, n);
		assert_true(got == expected || (isnan(got) && isnan(expected)));
	}
	assert_true(isnan(slx_pq_quantile(0.5, v, 0)) && isnan(slx_pq_quantile(NAN, v, 3)));
	assert_true(slx_pq_quantile(-1, v, 3) == -INFINITY && slx_pq_quantile(2, v, 3) == INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_sweeps),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_quantile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
