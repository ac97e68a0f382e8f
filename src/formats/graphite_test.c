#include "formats/formats_test.h"

static const char *const templates[] = { "servers.* .host.metric*", "region.metric.metric" };

static silex_status make(const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	struct slx_graphite_options o = { templates, arg ? 2 : 0 };
	return slx_decoder_graphite(test_mem(), &o, limits, sink, ret, NULL);
}

static void check(const void *arg, const char *in, const char *expected)
{
	char *text = test_decode(make, arg, in, strlen(in));
	assert_string_equal(text, expected);
	free(text);
	test_splits(make, arg, in, strlen(in), 60);
}

static void plain(void **state)
{
	check(NULL, "a.b-c.d 1.5 1700000000\n\ta  2 -1 \r\n\nb;host=x;rack=7 3 1.25\n7up 4", "a_b_c_d 1.5 1700000000\na 2\nb{host=\"x\",rack=\"7\"} 3 1.25\n_up 4\n");
}

static void by_template(void **state)
{
	check("", "servers.web1.cpu.idle 97 1\neu.disk.used 5 2\n", "cpu_idle{host=\"web1\"} 97 1\ndisk_used{region=\"eu\"} 5 2\n");
}

static void wrong(void **state)
{
	check(NULL, "a b 1\na 1 x\na 1 2 3\na;b 1 2\na\xff 1 2\nok 1 2\n",
		"! 1:3 expected a number after the path\n! 2:5 expected a time in seconds, in the years 1677 to 2262\n! 3:7 expected the end of the line\n"
		"! 4:1 expected a tag as key=value\n! 5:1 expected UTF-8\nok 1 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(plain), cmocka_unit_test(by_template), cmocka_unit_test(wrong) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
