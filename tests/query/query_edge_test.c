/* Queries at their edges: refused plans, limits, budgets, cancelling, many series, many windows, time units. */
#include <silex/silex.h>

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const int64_t second = 1000000000;

static silex_db *open_db(const silex_options *from)
{
	silex_options o;
	silex_error err;
	silex_db *db;
	silex_options_init(&o);
	if (from)
		o = *from;
	o.no_background = true;
	if (silex_open(NULL, &o, &db, &err) != SILEX_OK)
		fail_msg("open: %s", err.message);
	return db;
}

static void put(silex_db *db, const char *name, const char *host, int64_t t, double v)
{
	silex_label labels[] = { { "__name__", name }, { "host", host } };
	assert_int_equal(silex_insert(db, NULL, labels, 2, t, silex_float(v), NULL), SILEX_OK);
}

/* n samples of value i at i seconds. */
static void put_ramp(silex_db *db, const char *name, const char *host, size_t n)
{
	silex_label labels[] = { { "__name__", name }, { "host", host } };
	silex_row *rows = calloc(n, sizeof *rows);
	for (size_t i = 0; i < n; i++)
		rows[i] = (silex_row){ labels, 2, (int64_t)i * second, silex_float((double)i) };
	assert_int_equal(silex_insert_batch(db, NULL, rows, n, NULL, NULL), SILEX_OK);
	free(rows);
}

static void refused(silex_db *db, const silex_query *q, const char *words)
{
	silex_cursor *c;
	silex_error err = { 0 };
	assert_int_equal(silex_query_run(db, q, &c, &err), SILEX_INVALID);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void bad_plans(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	const char *bad = "hr{", *tenant = "a/b", *good = "hr", *label = "host";
	put(db, "hr", "a", 0, 1);
#define REFUSED(words, ...)     \
	do {                        \
		silex_query_init(&q);   \
		__VA_ARGS__;            \
		refused(db, &q, words); \
	} while (0)
	REFUSED("start (5) is after end (4)", q.start = 5, q.end = 4);
	REFUSED("step is -1", q.agg = SILEX_AGG_SUM, q.step = -1);
	REFUSED("agg is 99", q.agg = (silex_agg)99);
	REFUSED("fill is 7", q.agg = SILEX_AGG_SUM, q.fill = (silex_fill)7);
	REFUSED("percentile is 100.5", q.agg = SILEX_AGG_PERCENTILE, q.percentile = 100.5);
	REFUSED("percentile is", q.agg = SILEX_AGG_PERCENTILE, q.percentile = NAN);
	REFUSED("time_in_state without a state", q.agg = SILEX_AGG_TIME_IN_STATE);
	REFUSED("step without an aggregate", q.step = 5);
	REFUSED("group without an aggregate", q.group = true);
	REFUSED("group_by without group", q.agg = SILEX_AGG_SUM, q.group_by = &label, q.n_group_by = 1);
	REFUSED("timeout_ms is -1", q.timeout_ms = -1);
	REFUSED("selector", q.selectors = &bad, q.n_selectors = 1);
	REFUSED("selectors is NULL", q.n_selectors = 1);
	REFUSED("group_by is NULL", q.agg = SILEX_AGG_SUM, q.group = true, q.n_group_by = 1);
	REFUSED("tenant name", q.tenant = tenant);
	REFUSED("silex_query_init", q.size = 3);
	REFUSED("rows_max", q.agg = SILEX_AGG_SUM, q.step = 1, q.selectors = &good, q.n_selectors = 1);
	REFUSED("more than 10 rows", q.agg = SILEX_AGG_SUM, q.start = 0, q.end = 10, q.step = 1, q.rows_max = 10);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* Runs and adds up: rows, sum of values, last batch's facts. */
struct seen {
	size_t rows, series, nulls;
	double sum;
	int64_t first_time, last_time;
	double first, last;
};

static silex_status run(
	silex_db *db, const silex_query *q, struct seen *ret, silex_query_stats *stats, silex_error *err)
{
	silex_cursor *c;
	silex_batch b;
	*ret = (struct seen){ 0 };
	silex_status st = silex_query_run(db, q, &c, err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &b, err)) == SILEX_OK && b.n > 0) {
		for (size_t i = 0; i < b.n; i++) {
			bool null = b.null && b.null[i];
			if (ret->rows++ == 0) {
				ret->first_time = b.times[i];
				ret->first = b.values[i];
			}
			ret->last_time = b.times[i];
			ret->last = b.values[i];
			ret->nulls += null;
			ret->sum += null ? 0 : b.values[i];
		}
		ret->series = b.series + 1;
	}
	if (stats)
		silex_cursor_stats(c, stats);
	silex_cursor_close(c);
	return st;
}

static void nothing_is_found(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	const char *selector = "nobody";
	silex_query_init(&q);
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	put(db, "hr", "a", 0, 1);
	q.selectors = &selector;
	q.n_selectors = 1;
	for (int agg = 0; agg < SILEX_AGG_COUNT_OF; agg++) {
		q.agg = (silex_agg)agg;
		q.state = "x";
		q.group = agg > 0;
		q.fill = agg > 0 ? SILEX_FILL_NULL : SILEX_FILL_SKIP;
		assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
		assert_int_equal(s.rows, 0);
	}
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* Enough series in one group that it is done in slices. */
static void many_series_in_a_group(void **state)
{
	enum { N = 300, SAMPLES = 20 };
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	for (int i = 0; i < N; i++) {
		char host[16];
		snprintf(host, sizeof host, "%03d", i);
		for (int k = 0; k < SAMPLES; k++)
			put(db, "m", host, k * second, i + k);
		if (i == N / 2)
			assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	}
	silex_query_init(&q);
	q.group = true;
	q.start = 0;
	q.end = SAMPLES * second - 1;
	q.step = 10 * second;
	q.agg = SILEX_AGG_COUNT;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_int_equal(s.rows, 2);
	assert_true(s.first == N * 10 && s.last == N * 10);
	q.agg = SILEX_AGG_SUM;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.first == N * (N - 1) / 2 * 10 + N * 45);
	q.agg = SILEX_AGG_MEDIAN;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.first == (N - 1) / 2.0 + 4.5);
	q.agg = SILEX_AGG_VARIANCE;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(fabs(s.first - ((N * (double)N - 1) / 12 + (100 - 1) / 12.0)) < 1e-8);
	q.agg = SILEX_AGG_INCREASE;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.first == N * 9);
	q.agg = SILEX_AGG_FIRST;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.first == 0 && s.last == 10);
	q.agg = SILEX_AGG_LAST;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.first == 9 && s.last == 19);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* More windows than one job takes. */
static void many_windows(void **state)
{
	enum { N = 300 };
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	put_ramp(db, "m", "a", N);
	silex_query_init(&q);
	q.start = 0;
	q.end = N * second - 1;
	q.step = second / 1000;
	q.agg = SILEX_AGG_SUM;
	for (int turn = 0; turn < 4; turn++) {
		q.descending = turn & 1;
		q.group = turn & 2;
		q.fill = SILEX_FILL_SKIP;
		assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
		assert_int_equal(s.rows, N);
		assert_true(s.sum == N * (N - 1) / 2);
		assert_int_equal(s.first_time, q.descending ? (N - 1) * second : 0);
		q.fill = SILEX_FILL_NULL;
		assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
		assert_int_equal(s.rows, N * 1000);
		assert_int_equal(s.nulls, N * 999);
		assert_int_equal(s.series, 1);
		assert_int_equal(s.last_time, q.descending ? 0 : q.end + 1 - q.step);
		q.fill = SILEX_FILL_PREVIOUS;
		assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
		assert_int_equal(s.rows, N * 1000);
		assert_true(s.sum == N * (N - 1) / 2 * 1000.0);
	}
	q.agg = SILEX_AGG_TIME_IN_STATE; /* what holds is carried from job to job */
	q.state = "150";
	q.fill = SILEX_FILL_SKIP;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_int_equal(s.rows, N * 1000);
	assert_true(fabs(s.sum - 1) < 1e-9);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static void ranges_saturate(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	put(db, "m", "a", SILEX_TIME_MIN, 1);
	put(db, "m", "a", SILEX_TIME_MAX, 2);
	silex_query_init(&q);
	q.start = INT64_MIN;
	q.end = INT64_MAX;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_int_equal(s.rows, 2);
	q.descending = true;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_int_equal(s.rows, 2);
	assert_true(s.first == 2);
	q.agg = SILEX_AGG_SUM;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.rows == 1 && s.first == 3 && s.first_time == SILEX_TIME_MIN);
	q.step = INT64_MAX;
	q.descending = false;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.rows == 2 && s.first == 1 && s.last == 2);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static void latest(void **state)
{
	silex_db *db = open_db(NULL);
	silex_cursor *c;
	silex_batch b;
	put_ramp(db, "hr", "a", 1000);
	put_ramp(db, "hr", "b", 10);
	assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	put(db, "hr", "b", 20 * second, 99);
	put(db, "temp", "a", 0, 37);
	uint64_t deleted;
	assert_int_equal(silex_delete(db, NULL, "hr{host=\"a\"}", 500 * second, 2000 * second, &deleted, NULL), SILEX_OK);
	assert_int_equal(deleted, 500);
	assert_int_equal(silex_latest(db, NULL, "hr", &c, NULL), SILEX_OK);
	assert_int_equal(silex_cursor_next(c, &b, NULL), SILEX_OK);
	assert_true(b.n == 1 && b.times[0] == 499 * second && b.values[0] == 499);
	assert_int_equal(b.n_labels, 2);
	assert_string_equal(b.labels[0].name, "__name__");
	assert_string_equal(b.labels[0].value, "hr");
	assert_string_equal(b.labels[1].value, "a");
	assert_int_equal(silex_cursor_next(c, &b, NULL), SILEX_OK);
	assert_true(b.n == 1 && b.series == 1 && b.times[0] == 20 * second && b.values[0] == 99);
	assert_int_equal(silex_cursor_next(c, &b, NULL), SILEX_OK);
	assert_int_equal(b.n, 0);
	silex_cursor_close(c);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* ---- budgets ---- */

static void memory_is_limited(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	silex_error err;
	put_ramp(db, "m", "a", 5000);
	silex_query_init(&q);
	q.agg = SILEX_AGG_MEDIAN;
	q.memory_limit = 20000;
	assert_int_equal(run(db, &q, &s, NULL, &err), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, "its limit is 20000"));
	q.memory_limit = 200000;
	assert_int_equal(run(db, &q, &s, NULL, &err), SILEX_OK);
	assert_true(s.first == 2499.5);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static void cancelled(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_error err;
	put_ramp(db, "m", "a", 1000);
	silex_query_init(&q);
	for (int agg = SILEX_AGG_NONE; agg <= SILEX_AGG_SUM; agg++) {
		q.agg = (silex_agg)agg;
		assert_int_equal(silex_query_run(db, &q, &c, &err), SILEX_OK);
		silex_cursor_cancel(c);
		assert_int_equal(silex_cursor_next(c, &b, &err), SILEX_CANCELED);
		assert_int_equal(silex_cursor_next(c, &b, &err), SILEX_CANCELED);
		silex_cursor_close(c);
	}
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static int64_t ticks(void *ctx)
{
	int64_t *t = ctx;
	return __atomic_add_fetch(t, second, __ATOMIC_RELAXED);
}

static void too_slow(void **state)
{
	int64_t t = 0;
	silex_options o;
	silex_options_init(&o);
	o.env.clock = (silex_clock){ &t, ticks, ticks };
	silex_db *db = open_db(&o);
	silex_query q;
	struct seen s;
	silex_error err;
	put_ramp(db, "m", "a", 5000);
	silex_query_init(&q);
	q.timeout_ms = 5000;
	assert_int_equal(run(db, &q, &s, NULL, &err), SILEX_DEADLINE_EXCEEDED);
	assert_non_null(strstr(err.message, "5000 ms"));
	q.timeout_ms = INT64_MAX;
	assert_int_equal(run(db, &q, &s, NULL, &err), SILEX_OK);
	assert_int_equal(s.rows, 5000);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* ---- lack of memory at every allocation in turn ---- */

struct countdown {
	_Atomic long left; /* allocations until one fails; negative: none does */
};

static bool fails(void *ctx)
{
	struct countdown *c = ctx;
	return c->left >= 0 && c->left-- == 0;
}

static void *alloc_counted(void *ctx, size_t n) { return fails(ctx) ? NULL : malloc(n); }
static void *realloc_counted(void *ctx, void *p, size_t old_size, size_t n)
{
	return fails(ctx) ? NULL : realloc(p, n);
}
static void free_counted(void *ctx, void *p, size_t n) { free(p); }

/* A query under the countdown: OK with the right rows, or RESOURCE_EXHAUSTED. */
static void starve(silex_db *db, struct countdown *countdown, const silex_query *q)
{
	struct seen want, got;
	assert_int_equal(run(db, q, &want, NULL, NULL), SILEX_OK);
	silex_status st = SILEX_RESOURCE_EXHAUSTED;
	for (long at = 0; st != SILEX_OK; at++) {
		silex_error err = { 0 };
		countdown->left = at;
		st = run(db, q, &got, NULL, &err);
		countdown->left = -1;
		if (st != SILEX_OK && st != SILEX_RESOURCE_EXHAUSTED)
			fail_msg("allocation %ld: %d %s", at, st, err.message);
		assert_true(at < 2000);
	}
	assert_int_equal(got.rows, want.rows);
	assert_true(got.sum == want.sum);
}

static void out_of_memory(void **state)
{
	struct countdown countdown = { -1 };
	silex_options o;
	silex_options_init(&o);
	o.env.allocator = (silex_allocator){ &countdown, alloc_counted, realloc_counted, free_counted };
	o.threads = 1;
	silex_db *db = open_db(&o);
	const char *by = "host", *selectors[] = { "m", "m{host=\"a\"}" };
	silex_query q;
	put_ramp(db, "m", "a", 1000);
	put_ramp(db, "m", "b", 300);
	assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	put_ramp(db, "m", "b", 600);
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 2;
	starve(db, &countdown, &q);
	q.descending = true;
	starve(db, &countdown, &q);
	q.start = 0;
	q.end = 2000 * second;
	q.step = 100 * second;
	q.state = "7";
	for (int agg = SILEX_AGG_COUNT; agg < SILEX_AGG_COUNT_OF; agg++) {
		q.agg = (silex_agg)agg;
		q.group = agg % 2;
		q.group_by = &by;
		q.n_group_by = q.group;
		q.fill = (silex_fill)(agg % 3);
		starve(db, &countdown, &q);
	}
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

/* ---- a damaged block ---- */

static void flip_bytes(const char *dir)
{
	char path[512];
	snprintf(path, sizeof path, "%s/blocks", dir);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (!strstr(e->d_name, ".slx"))
			continue;
		snprintf(path, sizeof path, "%s/blocks/%s", dir, e->d_name);
		FILE *f = fopen(path, "r+b");
		assert_non_null(f);
		assert_int_equal(fseek(f, 4096 + 200, SEEK_SET), 0); /* in the first page of payload */
		int c = fgetc(f);
		assert_int_equal(fseek(f, 4096 + 200, SEEK_SET), 0);
		fputc(c ^ 1, f);
		fclose(f);
	}
	closedir(d);
}

static void damage_is_told(void **state)
{
	char dir[] = "/tmp/silex-query-XXXXXX", command[64];
	silex_options o;
	silex_db *db;
	silex_error err;
	silex_cursor *c;
	silex_batch b;
	silex_query q;
	size_t rows = 0, told = 0;
	assert_non_null(mkdtemp(dir));
	silex_options_init(&o);
	o.no_background = true;
	o.codec = "raw"; /* several pages */
	assert_int_equal(silex_open(dir, &o, &db, &err), SILEX_OK);
	put_ramp(db, "m", "a", 30000);
	put_ramp(db, "m", "b", 30000);
	assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
	flip_bytes(dir);
	assert_int_equal(silex_open(dir, &o, &db, &err), SILEX_OK);
	silex_query_init(&q);
	for (int turn = 0; turn < 3; turn++) {
		q.agg = turn == 2 ? SILEX_AGG_MEDIAN : SILEX_AGG_NONE;
		q.descending = turn == 1;
		rows = told = 0;
		assert_int_equal(silex_query_run(db, &q, &c, &err), SILEX_OK);
		for (bool more = true; more;) {
			silex_status st = silex_cursor_next(c, &b, &err);
			if (st != SILEX_OK) {
				assert_int_equal(st, SILEX_CORRUPT);
				assert_non_null(strstr(err.message, "block b-"));
				told++;
			} else {
				rows += b.n;
				more = b.n > 0;
			}
			assert_true(told < 20);
		}
		silex_cursor_close(c);
		assert_true(told > 0);
		if (turn == 2)
			assert_int_equal(rows, 2);
		else
			assert_in_range(rows, 30000, 60000 - 1);
	}
	q.agg = SILEX_AGG_COUNT; /* headers are enough */
	struct seen s;
	assert_int_equal(run(db, &q, &s, NULL, &err), SILEX_OK);
	assert_true(s.sum == 60000);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

/* ---- units, statistics ---- */

static void milliseconds(void **state)
{
	silex_options o;
	silex_options_init(&o);
	o.time_unit = SILEX_MS;
	silex_db *db = open_db(&o);
	silex_query q;
	struct seen s;
	for (int i = 0; i < 100; i++)
		put(db, "m", "a", i * 1000 - 7, i);
	silex_query_init(&q);
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.rows == 100 && s.first_time == -7 && s.last_time == 98993);
	q.agg = SILEX_AGG_COUNT;
	q.start = -7;
	q.end = 98993;
	q.step = 10000;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.rows == 10 && s.first == 10 && s.first_time == -7 && s.last_time == 89993);
	q.end = 98992;
	assert_int_equal(run(db, &q, &s, NULL, NULL), SILEX_OK);
	assert_true(s.sum == 99);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static void headers_answer(void **state)
{
	silex_db *db = open_db(NULL);
	silex_query q;
	struct seen s;
	silex_query_stats stats;
	for (int i = 0; i < 10; i++) {
		char host[2] = { (char)('a' + i), 0 };
		put_ramp(db, "m", host, 7200);
	}
	assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	silex_query_init(&q);
	q.agg = SILEX_AGG_SUM;
	q.group = true;
	assert_int_equal(run(db, &q, &s, &stats, NULL), SILEX_OK);
	assert_true(s.first == 10 * (7200.0 * 7199 / 2));
	assert_int_equal(stats.series, 10);
	assert_int_equal(stats.points, 72000);
	assert_in_range(stats.chunks, 10, 100);
	assert_int_equal(stats.chunks_by_header, stats.chunks);
	assert_int_equal(stats.bytes_read, 0);
	q.agg = SILEX_AGG_STDDEV;
	assert_int_equal(run(db, &q, &s, &stats, NULL), SILEX_OK);
	assert_int_equal(stats.chunks_by_header, 0);
	assert_true(stats.bytes_read > 0);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_plans),
		cmocka_unit_test(nothing_is_found),
		cmocka_unit_test(many_series_in_a_group),
		cmocka_unit_test(many_windows),
		cmocka_unit_test(ranges_saturate),
		cmocka_unit_test(latest),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(too_slow),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(milliseconds),
		cmocka_unit_test(headers_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
