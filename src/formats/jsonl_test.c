#include "formats/formats_test.h"

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_jsonl(test_mem(), limits, sink, ret, NULL);
}

static void columns(void **state)
{
	test_expect(make, NULL,
		"{\"metric\":{\"__name__\":\"up\",\"job\":\"a\",\"no\":\"\"},\"values\":[1,0.5,null,\"NaN\",9007199254740993],"
		"\"timestamps\":[1000,1500,2000,2500.25,3000]}\n",
		"up{job=\"a\"} 1 1\nup{job=\"a\"} 0.5 1.5\nup{job=\"a\"} NaN 2.50025\nup{job=\"a\"} 9007199254740993 3\n");
	test_expect(make, NULL, "{\"timestamps\":[],\"values\":[],\"metric\":{\"__name__\":\"up\"}}\n", "");
}

static void single(void **state)
{
	test_expect(make, NULL,
		"{\"name\":\"a b\",\"labels\":{\"x\":\"\\u00e9\\ud83d\\ude00\\n\"},\"time\":\"1970-01-01T00:00:01Z\",\"value\":1.5}\n"
		" \n{ \"value\" : true , \"name\" : \"n\" }\r\n"
		"{\"name\":\"n\",\"time\":-5,\"value\":\"-Inf\"}\n"
		"{\"name\":\"n\",\"value\":null}\n"
		"{\"name\":\"n\",\"value\":-9223372036854775808,\"time\":1}",
		"{\"a b\",x=\"\xc3\xa9\xf0\x9f\x98\x80\\n\"} 1.5 1\nn 1\nn -Inf -0.000000005\nn -9223372036854775808 0.000000001\n");
}

static void bad_lines(void **state)
{
	static const char *const lines[][2] = {
		{ "x", "1 expected an object" },
		{ "{\"name\":\"n\"}", "1 expected metric, values and timestamps, or name, labels, time and value" },
		{ "{\"name\":\"n\",\"value\":1,\"x\":2}",
			"27 expected metric, values and timestamps, or name, labels, time and value" },
		{ "{\"name\":\"n\",\"value\":1,\"value\":2}", "31 expected each member once" },
		{ "{\"name\":\"n\",\"value\":1} x", "24 expected the end of the line" },
		{ "{\"name\":\"n\",\"value\":01}", "21 expected a number" },
		{ "{\"name\":\"n\",\"value\":1e999}", "21 expected a number that fits a double" },
		{ "{\"name\":\"n\",\"value\":\"x\"}", "24 expected a number, \"NaN\", \"+Inf\" or \"-Inf\"" },
		{ "{\"name\":\"\",\"value\":1}", "9 expected a name" },
		{ "{\"name\":\"n\",\"labels\":{\"a\":1},\"value\":1}", "27 expected a string" },
		{ "{\"name\":\"n\",\"labels\":{\"\":\"1\"},\"value\":1}", "26 expected a label name" },
		{ "{\"name\":\"n\",\"time\":\"2896-01-01\",\"value\":1}", "20 expected a time in the years 1677 to 2262" },
		{ "{\"metric\":{},\"values\":[1],\"timestamps\":[1]}", "11 expected at least one label" },
		{ "{\"metric\":{\"a\":\"b\"},\"values\":[1],\"timestamps\":[1,2]}",
			"47 expected as many timestamps as values" },
		{ "{\"name\":\"\\ud800\",\"value\":1}", "10 expected an escape of JSON" },
		{ "{\"name\":\"\\x\",\"value\":1}", "10 expected an escape of JSON" },
		{ "{\"name\":\"\xff\",\"value\":1}", "10 expected UTF-8" },
		{ "{\"name\":\"n", "11 expected a closing quote" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "1 expected an object" },
		{ "{\"labels\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "42 expected at most 32 levels of nesting" },
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char input[200], rows[300];
		snprintf(input, sizeof input, "%s\n{\"name\":\"ok\",\"value\":0.5}\n", lines[i][0]);
		snprintf(rows, sizeof rows, "! 1:%s\nok 0.5\n", lines[i][1]);
		test_expect(make, NULL, input, rows);
	}
}

static void keys(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	const char *in =
		"{\"name\":\"a\",\"value\":null}\n{\"name\":\"b\",\"value\":1}\n{\"name\":\"a\",\"value\":2}\n"
		"{\"metric\":{\"__name__\":\"a\"},\"values\":[null,1,2],\"timestamps\":[0,0,0]}\n{\"name\":\"a\",\"value\":3}\n";
	assert_int_equal(collect_feed(d, in, strlen(in), 0), SILEX_OK);
	slx_buf_u8(&c.text, 0);
	assert_null(c.broken);
	assert_string_equal((char *)c.text.p, "b 1\na 2\na 1 0\n#3 {} 2 0\n#2 {} 3\n");
	slx_decoder_free(d);
	collect_free(&c);
}

static void splits(void **state)
{
	const char *in =
		"{\"name\":\"a\",\"value\":null}\n{\"name\":\"b\",\"labels\":{\"x\":\"y\"},\"value\":1}\nbad\n\n"
		"{\"metric\":{\"__name__\":\"a\"},\"values\":[null,1,2],\"timestamps\":[0,0,0]}\n{\"name\":\"a\",\"value\":3}";
	test_splits(make, NULL, in, strlen(in), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns),
		cmocka_unit_test(single),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(keys),
		cmocka_unit_test(splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
