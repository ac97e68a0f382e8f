/* What scripts cannot say about running PromQL: limits, cancelling, kinds of values, times finer than a millisecond, many
 * series on all cores, samples in blocks. */
#include "api/api.h"
#include "engine/engine.h"
#include "promql/promql.h"

#include <silex/silex.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static silex_db *open_db(const char *path)
{
	silex_options o;
	silex_error err;
	silex_db *db;
	silex_options_init(&o);
	o.no_background = true;
	if (silex_open(path, &o, &db, &err) != SILEX_OK)
		fail_msg("open: %s", err.message);
	return db;
}

static struct slx_promql_options options(int64_t start, int64_t end, int64_t step)
{
	return (struct slx_promql_options){
		.who = { .tenant = SLX_STR("default") }, .start_ms = start, .end_ms = end, .step_ms = step
	};
}

static silex_status run(silex_db *db, const char *query, const struct slx_promql_options *o,
	struct slx_promql_result **ret, silex_error *err)
{
	struct slx_mem *m = slx_engine_mem(slx_api_engine(db));
	struct slx_promql_expr *x;
	*ret = NULL;
	silex_status st = slx_promql_parse(m, slx_str(query), false, &x, err);
	if (st != SILEX_OK)
		fail_msg("%s: %s", query, err->message);
	st = slx_promql_run(slx_api_engine(db), x, o, ret, err);
	slx_promql_free(x);
	return st;
}

static void put(silex_db *db, const char *name, int i, int64_t t_ns, silex_value v)
{
	char number[16];
	snprintf(number, sizeof number, "%d", i);
	silex_label labels[] = { { "__name__", name }, { "i", number } };
	silex_error err;
	if (silex_insert(db, NULL, labels, 2, t_ns, v, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

/* series x n samples, each 10 s: value is the sample's number plus the series'. */
static void put_many(silex_db *db, const char *name, int series, int n)
{
	silex_row *rows = calloc((size_t)n, sizeof *rows);
	for (int i = 0; i < series; i++) {
		char number[16];
		snprintf(number, sizeof number, "%d", i);
		silex_label labels[] = { { "__name__", name }, { "i", number } };
		for (int k = 0; k < n; k++)
			rows[k] = (silex_row){ labels, 2, k * 10 * SLX_SECOND, silex_float(k + i) };
		assert_int_equal(silex_insert_batch(db, NULL, rows, (size_t)n, NULL, NULL), SILEX_OK);
	}
	free(rows);
}

static void refused(
	silex_db *db, const char *query, const struct slx_promql_options *o, silex_status code, const char *words)
{
	struct slx_promql_result *r;
	silex_error err = { 0 };
	assert_int_equal(run(db, query, o, &r, &err), code);
	assert_null(r);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void limits_end_a_query(void **state)
{
	silex_db *db = open_db(NULL);
	put_many(db, "m", 50, 1000);
	int64_t before = slx_mem_total(slx_engine_mem(slx_api_engine(db)));
	struct slx_promql_options o = options(0, 9990000, 10000);
	o.samples_max = 1000;
	refused(db, "m", &o, SILEX_RESOURCE_EXHAUSTED,
		"query processing would load too many samples into memory in query execution");
	refused(db, "sum_over_time(m[1h])", &o, SILEX_RESOURCE_EXHAUSTED, "too many samples");
	refused(db, "count_over_time(vector(1)[100000h:1s])", &o, SILEX_RESOURCE_EXHAUSTED, "too many samples");
	o = options(0, 9990000, 10000);
	o.memory_limit = 100000;
	refused(db, "m", &o, SILEX_RESOURCE_EXHAUSTED, "memory_limit");
	o = options(0, 9990000, 10000);
	o.timeout_ns = 1;
	refused(db, "m", &o, SILEX_DEADLINE_EXCEEDED, "query timed out in expression evaluation");
	_Atomic bool canceled = true;
	o = options(0, 9990000, 10000);
	o.canceled = &canceled;
	refused(db, "m", &o, SILEX_CANCELED, "query was canceled in expression evaluation");
	o = options(10, 0, 10);
	refused(db, "m", &o, SILEX_INVALID, "end timestamp must not be before start time");
	assert_int_equal(slx_mem_total(slx_engine_mem(slx_api_engine(db))), before);
	silex_close(db, NULL);
}

static double value_at(silex_db *db, const char *query, int64_t t_ms)
{
	struct slx_promql_options o = options(t_ms, t_ms, 0);
	struct slx_promql_result *r;
	silex_error err = { 0 };
	if (run(db, query, &o, &r, &err) != SILEX_OK)
		fail_msg("%s: %s", query, err.message);
	if (r->type == SLX_PROMQL_VECTOR && r->n != 1)
		fail_msg("%s: %zu series", query, r->n);
	double v = r->type == SLX_PROMQL_SCALAR ? r->scalar.v : r->series[0].points[0].v;
	slx_promql_result_free(r);
	return v;
}

static void kinds_are_numbers(void **state)
{
	silex_db *db = open_db(NULL);
	put(db, "whole", 0, SLX_SECOND, silex_int(-7));
	put(db, "yes", 0, SLX_SECOND, silex_bool(true));
	assert_true(value_at(db, "whole * 2", 1000) == -14);
	assert_true(value_at(db, "yes + 1", 1000) == 2);
	assert_true(value_at(db, "sum_over_time(whole[5m]) + on() sum_over_time(yes[5m])", 1000) == -6);
	silex_close(db, NULL);
}

/* Of the samples of a millisecond the last one counts; before 1970, too. */
static void times_are_floored(void **state)
{
	silex_db *db = open_db(NULL);
	for (int i = 0; i < 4; i++)
		put(db, "fine", 0, SLX_SECOND + i * 400000, silex_float(i)); /* 1000, 1000, 1000, 1001 ms */
	put(db, "fine", 1, -1, silex_float(5));
	assert_true(value_at(db, "fine{i=\"0\"}", 1000) == 2);
	assert_true(value_at(db, "count_over_time(fine{i=\"0\"}[1s])", 1001) == 2);
	assert_true(value_at(db, "sum_over_time(fine{i=\"0\"}[10m])", 1001) == 5);
	assert_true(value_at(db, "timestamp(fine{i=\"1\"})", 1000) == -0.001);
	silex_close(db, NULL);
}

static void series_run_in_parallel(void **state)
{
	enum { SERIES = 3000, SAMPLES = 100 };
	silex_db *db = open_db(NULL);
	put_many(db, "m", SERIES, SAMPLES);
	struct slx_promql_options o = options(0, 990000, 10000);
	static double first[SAMPLES];
	for (int again = 0; again < 3; again++) {
		struct slx_promql_result *r;
		silex_error err = { 0 };
		assert_int_equal(run(db, "sum(m * 0.1)", &o, &r, &err), SILEX_OK);
		assert_int_equal(r->series[0].n, SAMPLES);
		for (int k = 0; k < SAMPLES; k++) {
			double v = r->series[0].points[k].v, want = 0.1 * (SERIES * (double)k + SERIES * (SERIES - 1) / 2.0);
			assert_true(fabs(v - want) < 1e-9 * want);
			assert_true(again == 0 || v == first[k]);
			first[k] = v;
		}
		slx_promql_result_free(r);
		assert_int_equal(run(db, "avg(sum_over_time(m[30s]))", &o, &r, &err), SILEX_OK); /* folded as rows come */
		double three = 3 * (99 - 1) + 3 * (SERIES - 1) / 2.0;
		assert_true(fabs(r->series[0].points[99].v - three) < 1e-9 * three);
		slx_promql_result_free(r);
		assert_int_equal(run(db, "m", &o, &r, &err), SILEX_OK);
		assert_int_equal(r->n, SERIES);
		for (size_t i = 1; i < r->n; i++)
			assert_true(slx_labels_cmp(r->series[i - 1].labels, r->series[i].labels) < 0);
		slx_promql_result_free(r);
	}
	silex_close(db, NULL);
}

/* The same answers from the head and from blocks, whether chunks are folded or opened. */
static void blocks_answer_alike(void **state)
{
	char dir[] = "/tmp/silex-promql-XXXXXX", command[64];
	assert_non_null(mkdtemp(dir));
	silex_db *db = open_db(dir);
	put_many(db, "m", 10, 2000);
	static const char *const queries[] = { "sum(avg_over_time(m[20m]))", "sum(max_over_time(m[20m]))",
		"sum(quantile_over_time(0.5, m[20m]))", "sum(m)", "sum(rate(m[20m]))" };
	double before[5];
	for (size_t i = 0; i < 5; i++)
		before[i] = value_at(db, queries[i], 15000123);
	assert_true(fabs(before[0] - 10 * (1500 - 59.5 + 4.5)) < 1e-6);
	assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	for (size_t i = 0; i < 5; i++)
		assert_true(fabs(value_at(db, queries[i], 15000123) - before[i]) <= 1e-12 * fabs(before[i]));
	silex_close(db, NULL);
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void answers_say_what_they_cost(void **state)
{
	silex_db *db = open_db(NULL);
	struct slx_promql_result *r;
	silex_error err = { 0 };
	put_many(db, "m", 3, 100);
	struct slx_promql_options o = options(500000, 590000, 10000);
	assert_int_equal(run(db, "m", &o, &r, &err), SILEX_OK);
	assert_int_equal(r->stats.samples_total, 30);
	assert_int_equal(r->stats.series, 3);
	assert_true(r->stats.samples_peak >= 30);
	slx_promql_result_free(r);
	assert_int_equal(run(db, "rate(m[1m])", &o, &r, &err), SILEX_OK);
	assert_int_equal(r->stats.samples_total, 3 * 10 * 6);
	slx_promql_result_free(r);
	silex_close(db, NULL);
}

/* ---- memory that runs out ---- */

static _Atomic long left = -1; /* allocations that still succeed; below 0: all of them */

static bool fails(void)
{
	return atomic_load(&left) >= 0 && atomic_fetch_sub(&left, 1) <= 0 && (atomic_store(&left, 0), true);
}
static void *lent(void *ctx, size_t n) { return fails() ? NULL : malloc(n); }
static void *lent_again(void *ctx, void *p, size_t old, size_t n) { return fails() ? NULL : realloc(p, n); }
static void returned(void *ctx, void *p, size_t n) { free(p); }

/* Each allocation of a query fails once: the query says so, and nothing stays behind. */
static void every_allocation_may_fail(void **state)
{
	static const char *const queries[] = { "m", "sum by (i) (rate(m[1m]))", "m + on(i) group_left n", "m or n",
		"topk(2, m)", "quantile(0.5, m)", "count_values(\"v\", m)", "avg_over_time(max_over_time(m[1m])[5m:30s])",
		"sum_over_time(m[5m])", "m @ 100 > 3" };
	silex_options o;
	silex_error err;
	silex_db *db;
	silex_options_init(&o);
	o.no_background = true;
	o.env.allocator = (silex_allocator){ NULL, lent, lent_again, returned };
	assert_int_equal(silex_open(NULL, &o, &db, &err), SILEX_OK);
	put_many(db, "m", 3, 200);
	put_many(db, "n", 3, 200);
	struct slx_promql_options q = options(600000, 1200000, 300000);
	value_at(db, "sum(m) + sum(n)", 600000); /* what the engine makes on first use */
	int64_t before = slx_mem_total(slx_engine_mem(slx_api_engine(db)));
	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		silex_status st = SILEX_RESOURCE_EXHAUSTED;
		for (long n = 0; st != SILEX_OK; n++) {
			struct slx_promql_expr *x;
			struct slx_promql_result *r = NULL;
			assert_true(n < 10000);
			assert_int_equal(
				slx_promql_parse(slx_engine_mem(slx_api_engine(db)), slx_str(queries[i]), false, &x, &err), SILEX_OK);
			atomic_store(&left, n);
			st = slx_promql_run(slx_api_engine(db), x, &q, &r, &err);
			atomic_store(&left, -1);
			if (st != SILEX_OK && st != SILEX_RESOURCE_EXHAUSTED)
				fail_msg("%s, allocation %ld: %s", queries[i], n, err.message);
			slx_promql_result_free(r);
			slx_promql_free(x);
			if (slx_mem_total(slx_engine_mem(slx_api_engine(db))) != before)
				fail_msg("%s, allocation %ld: memory stays behind", queries[i], n);
		}
	}
	silex_close(db, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_end_a_query),
		cmocka_unit_test(kinds_are_numbers),
		cmocka_unit_test(times_are_floored),
		cmocka_unit_test(series_run_in_parallel),
		cmocka_unit_test(blocks_answer_alike),
		cmocka_unit_test(answers_say_what_they_cost),
		cmocka_unit_test(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
