/* Both exposition formats as rows, and OpenMetrics' own parser cases (testdata/openmetrics): the valid ones are
 * accepted without a word, each invalid one is told. */
#include "formats/formats_test.h"
#include "formats/json.h"

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_exposition(test_mem(), arg, limits, sink, ret, NULL);
}

static const struct slx_exposition_options openmetrics = { .openmetrics = true };

static void prometheus(void **state)
{
	test_expect(make, NULL,
		"# HELP http_requests_total The total.\n# TYPE http_requests_total counter\n"
		"http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
		"\t  http_requests_total { method = \"a\\\\b\\n\\\"c\\\"\" , }\t3   -5 \r\n"
		"# a comment\n\n#\nx +Inf\ny 1.458255915e9\nz{} Nan\nempty{a=\"\"} 1\n"
		"{\"my.metric\",\"odd name\"=\"x\"} 2\nlast 1",
		"http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363\n"
		"http_requests_total{method=\"a\\\\b\\n\\\"c\\\"\"} 3 -0.005\n"
		"x +Inf\ny 1458255915\nz NaN\nempty 1\n{\"my.metric\",\"odd name\"=\"x\"} 2\nlast 1\n");
}

static void prometheus_errors(void **state)
{
	static const char *const lines[][2] = {
		{ "a", "2 expected a blank and a value" },
		{ "a ", "3 expected a number, NaN, +Inf or -Inf" },
		{ "a x", "3 expected a number, NaN, +Inf or -Inf" },
		{ "a 1 1.5", "5 expected a whole number of milliseconds, in the years 1677 to 2262" },
		{ "a 1 99999999999999999", "5 expected a whole number of milliseconds, in the years 1677 to 2262" },
		{ "a 1 1 1", "7 expected the end of the line" },
		{ "0a 1", "1 expected a metric name" },
		{ "a{b} 1", "4 expected '=' after the label name" },
		{ "a{b=c} 1", "5 expected a quoted label value" },
		{ "a{b=\"c} 1", "5 expected a closing quote" },
		{ "a{b=\"c\",b=\"d\"} 1", "14 expected each label once" },
		{ "a{b=\"c\"d=\"e\"} 1", "8 expected ',' or '}'" },
		{ "a{b=\"\xff\"} 1", "6 expected UTF-8" },
		{ "{b=\"c\"} 1", "8 expected a metric name" },
		{ "a{__name__=\"b\"} 1", "1 expected no label __name__" },
		{ "a 1e999", "3 expected a number that fits a double" },
		{ "a 1 # {} 1", "5 expected the end of the line" },
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char input[200], rows[300];
		snprintf(input, sizeof input, "%s\nok 0.5\n", lines[i][0]);
		snprintf(rows, sizeof rows, "! 1:%s\nok 0.5\n", lines[i][1]);
		test_expect(make, NULL, input, rows);
	}
}

static void openmetrics_rows(void **state)
{
	test_expect(make, &openmetrics,
		"# TYPE a counter\n# UNIT a \n# HELP a some \\\"help\na_total{x=\"\\y\"} 1 1395066363.5 # {id=\"b\"} 0.5 1.25e3\n"
		"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3 -1.000000001\nh_count 3 -1.000000001\nh_sum 2 -1.000000001\n# EOF\n",
		"a_total{x=\"\\\\y\"} 1 1395066363.5\nh_bucket{le=\"+Inf\"} 3 -1.000000001\nh_count 3 -1.000000001\n"
		"h_sum 2 -1.000000001\n");
	/* what is wrong with a family is told when it ends, and costs no row */
	test_expect(make, &openmetrics, "# TYPE h histogram\nh_bucket{le=\"1\"} 3\na 1\n# EOF\nb 1\n\n",
		"h_bucket{le=\"1\"} 3\n! 3:1 expected a bucket le=\"+Inf\" in the histogram above\na 1\n"
		"! 5:1 expected nothing after # EOF\n");
	test_expect(make, &openmetrics, "# TYPE a counter\na_total -1\na_total 2\n",
		"! 2:1 expected no negative number here\na_total 2\n! 4:0 expected # EOF at the end\n");
}

static void suite_case(struct slx_str line, void *arg)
{
	int *counts = arg;
	struct slx_buf text;
	struct slx_str key, name = { 0 }, input = { 0 }, ignored;
	bool valid = false;
	slx_buf_init(&text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	assert_non_null(slx_buf_reserve(&text, line.n));
	struct slx_json j = slx_json_init(line.p, line.n, &text);
	assert_true(slx_json_object(&j));
	while (slx_json_key(&j, &key)) {
		if (slx_str_eq(key, SLX_STR("name")))
			assert_true(slx_json_string(&j, &name));
		else if (slx_str_eq(key, SLX_STR("text")))
			assert_true(slx_json_string(&j, &input));
		else if (slx_str_eq(key, SLX_STR("valid")))
			assert_true(slx_json_bool(&j, &valid));
		else
			assert_true(slx_json_skip(&j, &ignored));
	}
	assert_true(slx_json_end(&j));
	char *got = test_decode(make, &openmetrics, input.p, input.n);
	bool told = got[0] == '!' || strstr(got, "\n!");
	if (told == valid)
		fail_msg("%.*s: expected %s:\n%.*s\n%s", (int)name.n, name.p, valid ? "valid" : "invalid", (int)input.n,
			input.p, got);
	free(got);
	test_splits(make, &openmetrics, input.p, input.n, 3);
	counts[valid]++;
	slx_buf_free(&text);
}

static void suite(void **state)
{
	int counts[2] = { 0 };
	test_each_line(SLX_SOURCE_DIR "/testdata/openmetrics/cases.jsonl", suite_case, counts);
	assert_int_equal(counts[0], 112);
	assert_int_equal(counts[1], 29);
}

static void keys_and_splits(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	const char *in = "a{x=\"1\"} 1 1\nb 2\na{x=\"1\"} 3 2\na {x=\"1\"} 4\nb 5\n";
	assert_int_equal(collect_feed(d, in, strlen(in), 0), SILEX_OK);
	slx_buf_u8(&c.text, 0);
	assert_string_equal((char *)c.text.p, "a{x=\"1\"} 1 0.001\nb 2\n#1 {} 3 0.002\na{x=\"1\"} 4\n#2 {} 5\n");
	slx_decoder_free(d);
	collect_free(&c);
	test_splits(make, NULL, in, strlen(in), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prometheus),
		cmocka_unit_test(prometheus_errors),
		cmocka_unit_test(openmetrics_rows),
		cmocka_unit_test(suite),
		cmocka_unit_test(keys_and_splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
