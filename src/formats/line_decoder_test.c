/* Line protocol as rows: names, kinds, times, errors, limits. The grammar is lineprotocol_test.c's. */
#include "formats/formats_test.h"

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_line_protocol(test_mem(), arg, limits, sink, ret, NULL);
}

static void mapping(void **state)
{
	test_expect(make, NULL,
		"cpu,host=a\\ b,r=eu usage=0.5,value=2i,on=t,note=\"x\" 1000000000\n"
		"m\\,x v\\ y=3u\n"
		"m big=18446744073709551615u 5\n",
		"cpu_usage{host=\"a b\",r=\"eu\"} 0.5 1\n"
		"cpu{host=\"a b\",r=\"eu\"} 2 1\n"
		"cpu_on{host=\"a b\",r=\"eu\"} 1 1\n"
		"{\"m,x_v y\"} 3\n"
		"m_big 18446744073709552000 0.000000005\n");
}

static void precision(void **state)
{
	struct slx_line_options ms = { .precision = SLX_UNIT_MS }, s = { .precision = SLX_UNIT_S };
	test_expect(make, &ms, "m v=1 -1500", "m_v 1 -1.5\n");
	test_expect(make, &s, "m v=1 1500", "m_v 1 1500\n");
	test_expect(make, &s, "m v=1 9223372037\nm v=1 9223372036\n",
		"! 1:3 timestamp 9223372037 lies outside the years 1677 to 2262\nm_v 1 9223372036\n");
}

static void errors_have_places(void **state)
{
	test_expect(make, NULL, "ok v=1\nm\nm v=x\n\n# c\nm s=\"a\nb\",v=1.. 3\nok v=2\n",
		"ok_v 1\n"
		"! 2:2 expected ',' or a blank and a field, found the end of the line\n"
		"! 3:5 expected a number, a quoted string, true or false\n"
		"! 7:6 expected a number\n"
		"ok_v 2\n");
	test_expect(make, NULL, "m,a=1,a=2 v=1\nm,__name__=x v=1\nm,a=1 v=1",
		"! 1:7 expected each tag key once, found \"a\" again\n"
		"! 2:3 tag key __name__ is reserved for the metric name\n"
		"m_v{a=\"1\"} 1\n");
	test_expect(make, NULL, "m s=\"open\nm v=1\n", "! 1:5 expected a closing quote\nm_v 1\n");
	test_expect(make, NULL, "m v=1 12 13\n\xff v=1\n",
		"! 1:10 expected the end of the line, found '1'\n! 2:1 expected UTF-8\n");
}

static void keys(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	const char *in = "m,h=1 a=1,b=2\nm,h=2 a=3\nm,h=1 b=4,a=5 1\n";
	assert_int_equal(collect_feed(d, in, strlen(in), 0), SILEX_OK);
	slx_buf_u8(&c.text, 0);
	assert_string_equal((char *)c.text.p,
		"m_a{h=\"1\"} 1\nm_b{h=\"1\"} 2\nm_a{h=\"2\"} 3\n"
		"#2 {} 4 0.000000001\n#1 {} 5 0.000000001\n");
	assert_int_equal(slx_decoder_stats(d)->rows, 5);
	assert_int_equal(slx_decoder_stats(d)->lines, 3);
	slx_decoder_free(d);
	collect_free(&c);
}

static void limits_hold(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	struct slx_decode_limits limits = { .line_size_max = 20, .labels_max = 3, .fields_max = 2, .series_max = 2 };
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(&limits, &sink, NULL, &d), SILEX_OK);
	const char *in =
		"m,a=1,b=2 v=1\nm,a=1,b=2,c=3 v=1\nm a=1,b=2,c=3\nm v=1 00000000000000000001\nm v=1\nn v=1\nn v=2\n";
	assert_int_equal(collect_feed(d, in, strlen(in), 0), SILEX_OK);
	slx_buf_u8(&c.text, 0);
	assert_string_equal((char *)c.text.p,
		"m_v{a=\"1\",b=\"2\"} 1\n"
		"! 2:11 expected fewer tags\n"
		"! 3:11 expected fewer fields\n"
		"! 4:1 record is longer than 20 bytes (is a quote left open?); skipped\n"
		"m_v 1\n"
		"n_v 1\nn_v 2\n"); /* the table is full: labels come each time */
	slx_decoder_free(d);
	collect_free(&c);
}

static void strict_stops(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	silex_error err;
	collect_init(&c, test_mem());
	c.strict = true;
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	const char *in = "m v=1\nm v=x\nm v=2\n";
	assert_int_equal(slx_decoder_feed(d, in, strlen(in), &err), SILEX_CANCELED);
	assert_int_equal(slx_decoder_finish(d, &err), SILEX_CANCELED);
	assert_int_equal(slx_decoder_stats(d)->rows, 1);
	assert_int_equal(slx_decoder_stats(d)->errors, 1);
	slx_decoder_free(d);
	collect_free(&c);
}

static void splits(void **state)
{
	static char text[60000];
	size_t n = 0;
	uint64_t seed = 42;
	print_message("seed %llu\n", (unsigned long long)seed);
	while (n < sizeof text - 200) {
		uint64_t r = slx_rng_next(&seed);
		n += (size_t)snprintf(text + n, 200, "cpu,host=h%u,dc=%c usage=%u.%u,idle=%ui,s=\"q\\\"%s\" %llu\n%s",
			(unsigned)(r % 50), (char)('a' + r % 7), (unsigned)(r >> 8 & 255), (unsigned)(r >> 16 & 255),
			(unsigned)(r >> 24 & 255), r % 5 ? "" : "\n", (unsigned long long)(r >> 20),
			r % 11 ? "" : "broken line\n\n");
	}
	test_splits(make, NULL, text, n, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapping),
		cmocka_unit_test(precision),
		cmocka_unit_test(errors_have_places),
		cmocka_unit_test(keys),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(strict_stops),
		cmocka_unit_test(splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
