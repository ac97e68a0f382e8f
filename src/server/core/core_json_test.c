/* The JSON of answers, piece by piece. */
#include "server/core/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

static struct slx_mem mem;
static struct slx_buf out;

static void check(const char *want)
{
	slx_buf_u8(&out, 0);
	assert_false(out.failed);
	assert_string_equal((char *)out.p, want);
	slx_buf_reset(&out);
}

static void check_text(const char *p, size_t n, const char *want)
{
	slx_json_text(&out, (struct slx_str){ p, n });
	check(want);
}

static void test_text(void **state)
{
	(void)state;
	check_text("", 0, "\"\"");
	check_text("up", 2, "\"up\"");
	check_text("a longer text, without escapes", 30, "\"a longer text, without escapes\"");
	check_text("a longer text with one \" in it", 30, "\"a longer text with one \\\" in it\"");
	check_text("\\\n\r\t\x01\x1f\x7f", 7, "\"\\\\\\n\\r\\t\\u0001\\u001f\x7f\"");
	check_text("\0", 1, "\"\\u0000\"");
	check_text("gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80", 16, "\"gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80\"");
	check_text("a\xff" "b\xc3", 4, "\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"");
	check_text("\xe2\x82\"", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"");
	for (unsigned c = 0; c < 128; c++) /* each byte at each place of a word */
		for (size_t i = 0; i < 9; i++) {
			char s[9];
			memset(s, 'x', sizeof s);
			s[i] = (char)c;
			slx_json_text(&out, (struct slx_str){ s, sizeof s });
			size_t more = c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t' ? 1 : c < 0x20 ? 5 : 0;
			assert_int_equal(out.n, 11 + more);
			slx_buf_reset(&out);
		}
}

static void test_labels(void **state)
{
	(void)state;
	struct slx_labels_builder b;
	struct slx_labels l;
	slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
	assert_int_equal(slx_labels_builder_finish(&b, &l, NULL), SILEX_OK);
	slx_json_labels(&out, l);
	check("{}");
	assert_int_equal(slx_labels_parse_text(&b, SLX_STR("up{job=\"a\\\"b\",instance=\"h:1\",z=\"\\n\\n\\n\"}"), &l, NULL), SILEX_OK);
	slx_json_labels(&out, l);
	check("{\"__name__\":\"up\",\"instance\":\"h:1\",\"job\":\"a\\\"b\",\"z\":\"\\n\\n\\n\"}");
	slx_labels_builder_free(&b);
}

static void test_time(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} t[] = { { 0, "0" }, { 1435781451781, "1435781451.781" }, { 1435781451000, "1435781451" }, { 1435781451100, "1435781451.100" }, { 1, "0.001" },
		{ -1, "-0.001" }, { -1500, "-1.500" }, { -2000, "-2" }, { 10, "0.010" }, { INT64_MIN, "-9223372036854775.808" } };
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		slx_json_time(&out, t[i].ms);
		check(t[i].text);
	}
}

static void test_points(void **state)
{
	(void)state;
	const struct {
		int64_t t;
		double v;
	} p[] = { { 1000, 1 }, { 2500, NAN }, { 3000, INFINITY }, { 4000, -INFINITY }, { 5000, 0.1 }, { 6000, 1e-7 }, { 7000, 1e21 }, { 8000, -0.0 } };
	slx_json_points(&out, &p[0].t, &p[0].v, sizeof p[0], 8);
	check("[1,\"1\"],[2.500,\"NaN\"],[3,\"+Inf\"],[4,\"-Inf\"],[5,\"0.1\"],[6,\"1e-07\"],[7,\"1e+21\"],[8,\"-0\"]");
	slx_json_u64(&out, UINT64_MAX);
	check("18446744073709551615");
}

static void test_histogram(void **state)
{
	(void)state;
	static const struct slx_span positive[] = { { 0, 2 }, { 1, 1 } }, negative[] = { { 1, 1 }, { 1, 1 } };
	static const double up[] = { 1, 0, 3 }, down[] = { 2, 5 };
	struct slx_histogram h = { .schema = 0, .zero_threshold = 0.001, .zero_count = 4, .count = 15, .sum = 18.4, .positive_spans = positive,
		.positive_spans_n = 2, .positive = up, .positive_n = 3, .negative_spans = negative, .negative_spans_n = 2, .negative = down, .negative_n = 2 };
	slx_json_histogram(&out, &h);
	check("{\"count\":\"15\",\"sum\":\"18.4\",\"buckets\":[[1,\"-8\",\"-4\",\"5\"],[1,\"-2\",\"-1\",\"2\"],[3,\"-0.001\",\"0.001\",\"4\"],"
		  "[0,\"0.5\",\"1\",\"1\"],[0,\"4\",\"8\",\"3\"]]}");
	static const double bounds[] = { 1, 2.5 };
	static const struct slx_span all[] = { { 0, 3 } };
	struct slx_histogram c = { .schema = SLX_HISTOGRAM_CUSTOM, .count = 4, .sum = 7, .positive_spans = all, .positive_spans_n = 1, .positive = up,
		.positive_n = 3, .custom = bounds, .custom_n = 2 };
	slx_json_histogram(&out, &c);
	check("{\"count\":\"4\",\"sum\":\"7\",\"buckets\":[[3,\"-Inf\",\"1\",\"1\"],[0,\"2.5\",\"+Inf\",\"3\"]]}");
	struct slx_histogram none = { .schema = 3 };
	slx_json_histogram(&out, &none);
	check("{\"count\":\"0\",\"sum\":\"0\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_labels), cmocka_unit_test(test_time),
		cmocka_unit_test(test_points), cmocka_unit_test(test_histogram) };
	slx_mem_init(&mem, NULL);
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	slx_buf_free(&out);
	return failed || slx_mem_total(&mem) != 0;
}
