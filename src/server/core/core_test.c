/* Log lines, the exposition, slow queries, YAML trees. The configuration as people meet it is in tests/server/config_test.py. */
#include "server/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* --- log -------------------------------------------------------------------------------------------------------- */

/* What one line says after its time, without the newline. */
static void logged(int format, struct slx_str value, char ret[9000])
{
	struct slx_log l;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	slx_log_init(&l, fd[1]);
	atomic_store(&l.format, format);
	slx_log(&l, SLX_LOG_DEBUG, "dropped");
	slx_log(&l, SLX_LOG_WARN, "a \"message\"", SLX_BYTES("v", value), SLX_INT("i", -5), SLX_REAL("f", 0.25));
	ssize_t n = read(fd[0], ret, 8999);
	assert_true(n > 30 && ret[n - 1] == '\n');
	ret[n - 1] = 0;
	memmove(ret, ret + (format == SLX_LOG_JSON ? 33 : 25), strlen(ret) - 24);
	assert_int_equal(atomic_load(&l.lines[SLX_LOG_DEBUG]), 0);
	close(fd[0]);
	close(fd[1]);
}

static void test_log(void **state)
{
	char line[9000];
	logged(SLX_LOG_LOGFMT, SLX_STR("plain"), line);
	assert_string_equal(line, "warn a \\\"message\\\" v=plain i=-5 f=0.25");
	logged(SLX_LOG_LOGFMT, SLX_STR("two words\n"), line);
	assert_string_equal(line, "warn a \\\"message\\\" v=\"two words\\n\" i=-5 f=0.25");
	logged(SLX_LOG_LOGFMT, SLX_STR(""), line);
	assert_string_equal(line, "warn a \\\"message\\\" v=\"\" i=-5 f=0.25");
	logged(SLX_LOG_JSON, SLX_STR("q\"\\\t\x01"), line);
	assert_non_null(strstr(line, "\"level\":\"warn\",\"message\":\"a \\\"message\\\"\",\"v\":\"q\\\"\\\\\\u0009\\u0001\",\"i\":-5,\"f\":0.25}"));
	logged(SLX_LOG_JSON, SLX_STR("bad \xff\xfe"), line);
	assert_non_null(strstr(line, "\"v\":\"bad \xef\xbf\xbd\xef\xbf\xbd\""));
}

static void test_log_long(void **state)
{
	char line[9000], *text = calloc(1, 20001);
	memset(text, 'x', 20000);
	logged(SLX_LOG_LOGFMT, (struct slx_str){ text, 20000 }, line);
	assert_non_null(strstr(line, "xxx... i=-5 f=0.25"));
	assert_true(strlen(line) < 3000);
	logged(SLX_LOG_JSON, (struct slx_str){ text, 20000 }, line);
	assert_non_null(strstr(line, "xxx...\",\"i\":-5,\"f\":0.25}"));
	free(text);
}

/* --- metrics ---------------------------------------------------------------------------------------------------- */

static double seven(void *ctx) { return 7; }
static void collect(void *ctx, struct slx_metrics_writer *w)
{
	slx_metrics_emit(w, SLX_GAUGE, "m_many", "Many.", "k=\"1\"", 1);
	slx_metrics_emit(w, SLX_GAUGE, "m_many", "", "k=\"2\"", 2.5);
}

static void test_metrics(void **state)
{
	static const char expected[] =
		"# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 3\na_total{x=\"2\"} 0\n"
		"# HELP b B.\n# TYPE b gauge\nb -1.5\n"
		"# HELP c Seven.\n# TYPE c gauge\nc 7\n"
		"# HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 1\nh_seconds_bucket{le=\"1\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n"
		"h_seconds_sum 5.6\nh_seconds_count 3\n"
		"# HELP m_many Many.\n# TYPE m_many gauge\nm_many{k=\"1\"} 1\nm_many{k=\"2\"} 2.5\n";
	struct slx_mem mem;
	struct slx_metrics *m;
	struct slx_buf out;
	static const double bounds[] = { 0.1, 1 };
	slx_mem_init(&mem, NULL);
	assert_int_equal(slx_metrics_new(&mem, &m, NULL), SILEX_OK);
	struct slx_metric *h = slx_metrics_histogram(m, "h_seconds", "H.", "", bounds, 2), *b = slx_metrics_gauge(m, "b", "B.", "");
	slx_metrics_counter(m, "a_total", "A.", "x=\"2\"");
	struct slx_metric *a = slx_metrics_counter(m, "a_total", "A.", "x=\"1\"");
	assert_ptr_equal(a, slx_metrics_counter(m, "a_total", "A.", "x=\"1\""));
	slx_metrics_callback(m, SLX_GAUGE, "c", "Seven.", "", seven, NULL);
	slx_metrics_collector(m, collect, NULL);
	slx_metric_add(a, 3);
	slx_metric_set(b, 1);
	slx_metric_move(b, -2.5);
	slx_metric_observe(h, 0.1);
	slx_metric_observe(h, 0.5);
	slx_metric_observe(h, 5);
	slx_metric_add(NULL, 1);
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
	slx_metrics_write(m, &out);
	slx_buf_u8(&out, 0);
	assert_string_equal((char *)out.p, expected);
	slx_buf_free(&out);
	slx_metrics_free(m);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* --- queries ---------------------------------------------------------------------------------------------------- */

static void count_active(void *arg, const struct slx_active_query *a) { ++*(int *)arg; }

struct seen {
	int n;
	char first[SLX_QUERY_TEXT_MAX];
};
static void see_slow(void *arg, const struct slx_slow_query *s)
{
	struct seen *seen = arg;
	if (seen->n++ == 0)
		strcpy(seen->first, s->text);
}

static void test_queries(void **state)
{
	struct slx_log log;
	struct slx_queries q;
	struct slx_active_query a[3] = { { .text = SLX_STR("a"), .kind = "query" }, { .text = SLX_STR("b"), .kind = "query" }, { .text = SLX_STR("c"), .kind = "query" } };
	int n = 0;
	struct seen seen = { 0 };
	slx_log_init(&log, 2);
	log.level = SLX_LOG_ERROR;
	slx_queries_init(&q, &log);
	for (int i = 0; i < 3; i++)
		slx_query_begin(&q, &a[i]);
	slx_query_end(&q, &a[1], 0, 0, SILEX_OK);
	slx_queries_active(&q, count_active, &n);
	assert_int_equal(n, 2);
	slx_queries_slow(&q, see_slow, &seen);
	assert_int_equal(seen.n, 0);
	atomic_store(&q.slow_ns, 1);
	slx_query_end(&q, &a[0], 0, 0, SILEX_OK);
	for (int i = 0; i < 40; i++) {
		a[0].started_ns = 0;
		slx_query_begin(&q, &a[0]);
		a[0].started_ns -= 10; /* the clock may stand still */
		slx_query_end(&q, &a[0], 1, 2, SILEX_CANCELED);
	}
	a[2].started_ns -= 10;
	slx_query_end(&q, &a[2], 1, 2, SILEX_OK);
	slx_queries_slow(&q, see_slow, &seen);
	assert_int_equal(seen.n, SLX_SLOW_QUERIES);
	assert_string_equal(seen.first, "c");
	slx_queries_clear(&q);
}

/* --- YAML ------------------------------------------------------------------------------------------------------- */

static void test_yaml(void **state)
{
	static const char text[] = "a: 1\nb:\n  - x\n  - {y: 'two', z: 5m, on: yes}\nc: ~\nddx: 64kB\n";
	static const char *const known[] = { "a", "b", "c", "dd", NULL };
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_yaml *y = NULL;
	silex_error e;
	uint64_t n = 0;
	int64_t ns = 0;
	bool on = false;
	slx_mem_init(&mem, NULL);
	slx_arena_init(&arena, &mem, SLX_MEM_OTHER, 65536);
	assert_int_equal(slx_yaml_parse(&arena, "f.yml", text, sizeof text - 1, &y, &e), SILEX_OK);
	assert_int_equal(y->n, 4);
	const struct slx_yaml *second = slx_yaml_get(y, "b")->child->next;
	assert_int_equal(second->line, 4);
	assert_int_equal(slx_yaml_duration(slx_yaml_get(second, "z"), 0, INT64_MAX, &ns, &e), SILEX_OK);
	assert_int_equal(ns, INT64_C(300000000000));
	assert_int_equal(slx_yaml_bool(slx_yaml_get(second, "on"), &on, &e), SILEX_OK);
	assert_true(on);
	assert_int_equal(slx_yaml_count(slx_yaml_get(y, "ddx"), 0, UINT64_MAX, &n, &e), SILEX_OK);
	assert_int_equal(n, 65536);
	assert_true(slx_yaml_null(slx_yaml_get(y, "c")) && slx_yaml_null(slx_yaml_get(y, "none")));
	assert_int_equal(slx_yaml_count(slx_yaml_get(y, "a"), 2, 5, &n, &e), SILEX_INVALID);
	assert_string_equal(e.message, "f.yml:1: a: \"1\" given, expected a number of 2 to 5");
	assert_int_equal(slx_yaml_keys(y, "this", known, &e), SILEX_INVALID);
	assert_string_equal(e.message, "f.yml:6: unknown key \"ddx\" in this; did you mean \"dd\"?");
	assert_int_equal(slx_yaml_text(slx_yaml_get(y, "b"), &(const char *){ NULL }, &e), SILEX_INVALID);
	slx_arena_clear(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_log), cmocka_unit_test(test_log_long), cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_queries), cmocka_unit_test(test_yaml) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
