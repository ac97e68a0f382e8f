#include "formats/formats_test.h"

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_csv(test_mem(), arg, limits, sink, ret, NULL);
}

static void auto_mode(void **state)
{
	test_expect(
		make, NULL, "timestamp,value\n1970-01-01 00:00:10,1.5\n1970-01-01 00:01:00,2\n", "csv 1.5 10\ncsv 2 60\n");
	test_expect(make, NULL, "Date,CO2,adjusted CO2\n1970-01-02,315.70,314.44\n1970-01-03,,NaN\n",
		"CO2 315.7 86400\n{\"adjusted CO2\"} 314.44 86400\n{\"adjusted CO2\"} NaN 172800\n");
	/* text columns are labels, empty ones too few to tell are values */
	test_expect(make, NULL,
		"host;time;cpu;on\r\n\"a;\"\"b\"\"\";1970-01-01T00:00:01.5Z;1;true\r\n;1970-01-01T00:00:02;2;false\r\n",
		"cpu{host=\"a;\\\"b\\\"\"} 1 1.5\non{host=\"a;\\\"b\\\"\"} 1 1.5\ncpu 2 2\non 0 2\n");
	/* no header; numbers as times */
	test_expect(make, NULL, "1700000000\t1\t2\n1700000001\t3\t4\n",
		"column_2 1 1700000000\ncolumn_3 2 1700000000\ncolumn_2 3 1700000001\ncolumn_3 4 1700000001\n");
	test_expect(make, NULL, "1700000000000,1\n", "csv 1 1700000000\n");
	test_expect(make, NULL, "v,ts\n1,5\n", "v 1 5\n");
	test_expect(make, NULL, "\xef\xbb\xbftime,value\n1970-01-01,1\n", "csv 1 0\n");
	test_expect(make, NULL, "", "");
	test_expect(make, NULL, "\n\n", "");
	test_expect(make, NULL, "time,value\n", "");
	/* a whole number that a double cannot hold stays whole */
	test_expect(make, NULL, "time,value\n5,9007199254740993\n", "csv 9007199254740993 5\n");
}

static void names(void **state)
{
	struct slx_label room = { SLX_STR("room"), SLX_STR("1") };
	struct slx_csv_options o = { .metric = "m", .constant_labels = &room, .constant_labels_n = 1 };
	const char *in = "time,a,b\n1970-01-01,1,2\n";
	test_expect(make, &o, in, "a{room=\"1\"} 1 0\nb{room=\"1\"} 2 0\n");
	o.name_template = "{metric}_{column}_x";
	test_expect(make, &o, in, "m_a_x{room=\"1\"} 1 0\nm_b_x{room=\"1\"} 2 0\n");
	o.name_template = NULL;
	o.field_label = "field";
	test_expect(make, &o, in, "m{field=\"a\",room=\"1\"} 1 0\nm{field=\"b\",room=\"1\"} 2 0\n");
	test_expect(make, NULL, "time,__name__,value\n1970-01-01,x,1\n1970-01-01,,2\n", "x 1 0\ncsv 2 0\n");
	test_expect(make, NULL, "time,a,a,\n1970-01-01,1,2,3\n", "a 1 0\na_3 2 0\ncolumn_4 3 0\n");
}

static void options(void **state)
{
	struct slx_csv_options o = {
		.time_column = "when", .time_unit = SLX_UNIT_MS, .value_columns = "v", .label_columns = "id, #4"
	};
	test_expect(make, &o, "id,v,when,x,y\n7,1,1500,q,9\n", "v{id=\"7\",x=\"q\"} 1 1.5\n");
	struct slx_csv_options told = {
		.delimiter = ',', .header = SLX_CSV_HEADER_YES, .time_column = "#1", .value_columns = "v", .label_columns = ""
	};
	test_expect(make, &told, "t,v,w\n5,1,2\n", "v 1 5\n");
	struct slx_csv_options no_header = { .header = SLX_CSV_HEADER_NO, .time_unit = SLX_UNIT_NS };
	test_expect(make, &no_header, "1500000000,a,2\n", "csv{column_2=\"a\"} 2 1.5\n");
}

static void refused(const struct slx_csv_options *o, const char *in, const char *words)
{
	struct collect c;
	struct slx_decoder *d;
	silex_error err = { 0 };
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, o, &d), SILEX_OK);
	assert_int_equal(slx_decoder_feed(d, in, strlen(in), &err), SILEX_OK);
	assert_int_equal(slx_decoder_finish(d, &err), SILEX_INVALID);
	if (!strstr(err.message, words))
		fail_msg("expected \"%s\" in \"%s\"", words, err.message);
	slx_decoder_free(d);
	collect_free(&c);
}

static void hopeless_inputs(void **state)
{
	struct slx_csv_options wrong = { .time_column = "nope" }, twice = { .value_columns = "v", .label_columns = "v" };
	refused(NULL, "a,b\n1,2\n", "no column of times");
	refused(NULL, "time,b\n1970-01-01,x\n", "no column of numbers");
	refused(&wrong, "time,v\n1970-01-01,2\n", "no column \"nope\"");
	refused(&twice, "time,v\n1970-01-01,2\n", "two purposes");
}

static void bad_cells(void **state)
{
	struct slx_csv_options o = { .value_columns = "a,b" };
	test_expect(make, &o,
		"time,a,b\n1970-01-01,1,2\n1970-01-01,1\nyesterday,1,2\n2896-10-10,1,2\n1970-01-02,x,3\n"
		"\"1970-01-01\"x,1,2\n1970-01-03,4,null\n1970-01-04,\"5\n",
		"a 1 0\nb 2 0\n"
		"! 3:1 expected 3 cells, found 2\n"
		"! 4:1 expected a time in the years 1677 to 2262, found \"yesterday\"\n"
		"! 5:1 expected a time in the years 1677 to 2262, found \"2896-10-10\"\n"
		"! 6:12 expected a number in column \"a\", found \"x\"\n"
		"b 3 86400\n"
		"! 7:13 expected a delimiter or the end of the line after a closing quote\n"
		"a 4 172800\n"
		"! 9:12 expected a closing quote\n");
}

static void quotes(void **state)
{
	struct slx_csv_options o = { .value_columns = "v", .time_column = "t" };
	test_expect(make, &o, "t,l,v\n0,\"a\nb\",1\r\n1,\"\",2\n2,x y ,3\n3, \"q\" ,4\n4,\"open,5\n",
		"v{l=\"a\\nb\"} 1 0\nv 2 1\nv{l=\"x y\"} 3 2\nv{l=\"\\\"q\\\"\"} 4 3\n! 7:3 expected a closing quote\n");
	test_expect(make, &o, "t,l,v\n0,\"a\"b,1\n1,c,2\n0,d,3\r",
		"! 2:6 expected a delimiter or the end of the line after a closing quote\nv{l=\"c\"} 2 1\nv{l=\"d\"} 3 0\n");
}

static void keys(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	const char *in = "time,l,a,b\n1970-01-01,x,1,2\n1970-01-01,y,3,\n1970-01-02,x,4,5\n1970-01-02,y,6,7\n";
	assert_int_equal(collect_feed(d, in, strlen(in), 0), SILEX_OK);
	slx_buf_u8(&c.text, 0);
	assert_string_equal((char *)c.text.p,
		"a{l=\"x\"} 1 0\nb{l=\"x\"} 2 0\na{l=\"y\"} 3 0\n"
		"#1 {} 4 86400\n#2 {} 5 86400\n#3 {} 6 86400\nb{l=\"y\"} 7 86400\n");
	slx_decoder_free(d);
	collect_free(&c);
}

struct count {
	size_t rows;
	double sum;
};

static bool count_row(void *arg, const struct slx_row *row)
{
	struct count *c = arg;
	c->rows++;
	c->sum += slx_bits_f64(row->bits);
	return row->kind == SLX_KIND_FLOAT64;
}

static bool no_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	fail_msg("%llu:%llu %s", (unsigned long long)line, (unsigned long long)column, message);
	return false;
}

static struct count count_file(const char *path)
{
	size_t n;
	char *text = test_read_file(path, &n);
	struct count c = { 0 };
	struct slx_sink sink = { .arg = &c, .row = count_row, .error = no_error };
	struct slx_decoder *d;
	assert_int_equal(make(NULL, &sink, NULL, &d), SILEX_OK);
	assert_int_equal(collect_feed(d, text, n, 0), SILEX_OK);
	slx_decoder_free(d);
	free(text);
	return c;
}

static void real_files(void **state)
{
	struct count c = count_file(SLX_SOURCE_DIR "/testdata/nab/nyc_taxi.csv");
	assert_int_equal(c.rows, 10320);
	assert_true(c.sum == 156219716.0);
	assert_int_equal(count_file(SLX_SOURCE_DIR "/testdata/nab/rogue_agent_key_hold.csv").rows, 1882);
	assert_int_equal(count_file(SLX_SOURCE_DIR "/testdata/nab/ec2_request_latency_system_failure.csv").rows, 4032);
}

static void shared_files(void **state)
{
	char path[512];
	if (!test_shared(path, sizeof path, "data/timeseries/weather/seattle-weather.csv"))
		skip();
	assert_int_equal(count_file(path).rows, 1461 * 4);
	assert_true(test_shared(path, sizeof path, "data/timeseries/weather/co2-concentration.csv"));
	assert_in_range(count_file(path).rows, 700, 2000);
}

static void splits(void **state)
{
	size_t n;
	char *text = test_read_file(SLX_SOURCE_DIR "/testdata/nab/rogue_agent_key_hold.csv", &n);
	test_splits(make, NULL, text, n, 5);
	free(text);
	struct slx_csv_options o = { .value_columns = "v", .time_column = "t" };
	const char *in = "t,l,v\r\n0,\"a\r\nb\",1\r\n1,\"c\"\"\",2\r\n\r\n2,\"x\"y,3\r\n3,\"q\",\"4\"\r\n4,z,\"5\"\r";
	test_splits(make, &o, in, strlen(in), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_mode),
		cmocka_unit_test(names),
		cmocka_unit_test(options),
		cmocka_unit_test(bad_cells),
		cmocka_unit_test(hopeless_inputs),
		cmocka_unit_test(quotes),
		cmocka_unit_test(keys),
		cmocka_unit_test(real_files),
		cmocka_unit_test(shared_files),
		cmocka_unit_test(splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
