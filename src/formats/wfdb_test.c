#include "formats/formats_test.h"

#include <math.h>

struct record {
	const char *header;
	size_t header_n;
	struct slx_wfdb_options options;
};

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	const struct record *r = arg;
	return slx_decoder_wfdb(test_mem(), r->header, r->header_n, &r->options, limits, sink, ret, NULL);
}

static void expect(const char *header, const void *data, size_t n, const char *rows)
{
	struct record r = { .header = header, .header_n = strlen(header), .options = { .has_start = true } };
	char *got = test_decode(make, &r, data, n);
	if (strcmp(got, rows) != 0)
		fail_msg("expected:\n%s\nfound:\n%s", rows, got);
	free(got);
}

static void expect_refused(const char *header, silex_status status, const char *words)
{
	struct collect c;
	struct slx_decoder *d;
	silex_error err = { 0 };
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(slx_decoder_wfdb(test_mem(), header, strlen(header), NULL, NULL, &sink, &d, &err), status);
	if (!strstr(err.message, words))
		fail_msg("expected \"%s\" in \"%s\"", words, err.message);
	assert_int_equal(slx_mem_total(test_mem()), 0);
}

static void format_16(void **state)
{
	static const uint8_t data[] = { 10, 0, 0xff, 0xff, 0x00, 0x80, 20, 0 }; /* 10 -1 / missing 20 */
	expect("r 2 2 2\nr.dat 16 10/bpm 16 0 10 -32758 0 HR\nr.dat 16 4(1)/% 16 0 -1 19 0 Sp O2\n", data, sizeof data,
		"HR{record=\"r\",signal=\"HR\",unit=\"bpm\"} 1 0\n"
		"Sp_O2{record=\"r\",signal=\"Sp O2\",unit=\"%\"} -0.5 0\n"
		"Sp_O2{record=\"r\",signal=\"Sp O2\",unit=\"%\"} 4.75 0.5\n");
}

static void format_212(void **state)
{
	/* 1 -2 / 2047 -2048 (missing) / and one sample more than whole triples: 5 alone in two bytes */
	static const uint8_t data[] = { 0x01, 0xf0, 0xfe, 0xff, 0x87, 0x00, 0x05, 0x00 };
	expect("r 1 3 5\nr.dat 212\n", data, sizeof data,
		"signal_1{record=\"r\",signal=\"1\",unit=\"mV\"} 0.005 0\n"
		"signal_1{record=\"r\",signal=\"1\",unit=\"mV\"} -0.01 0.333333333\n"
		"signal_1{record=\"r\",signal=\"1\",unit=\"mV\"} 10.235 0.666666667\n"
		"signal_1{record=\"r\",signal=\"1\",unit=\"mV\"} 0.025 1.333333333\n");
}

static void names(void **state)
{
	static const uint8_t data[6] = { 200, 0, 200, 0, 200, 0 };
	expect("r 3 1 1\nr.dat 16 200/mV 16 0 200 200 0 MLII\nr.dat 16 200/V 16 0 200 200 0 2 x\n"
		   "r.dat 16 200/mV 16 0 200 200 0 MLII\n",
		data, sizeof data,
		"ecg_mv{record=\"r\",signal=\"MLII 1\",unit=\"mV\"} 1 0\n"
		"_2_x{record=\"r\",signal=\"2 x\",unit=\"V\"} 1 0\n"
		"ecg_mv{record=\"r\",signal=\"MLII 3\",unit=\"mV\"} 1 0\n");
}

static void differences_are_told(void **state)
{
	static const uint8_t data[] = { 1, 0, 2, 0, 3 };
	expect("r 1 1 3\nr.dat 16 1 16 0 7 9 0 x\n", data, sizeof data,
		"! 0:0 signal x: the first sample is 1; the header says 7\n"
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 1 0\n"
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 2 1\n"
		"! 0:0 the file ends inside a sample\n"
		"! 0:0 the file holds 2 frames; the header says 3\n");
	expect("r 1 1 2\nr.dat 16 1 16 0 1 9 0 x\n", data, 4,
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 1 0\n"
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 2 1\n"
		"! 0:0 signal x: the checksum is 3; the header says 9\n");
}

static void times(void **state)
{
	/* the date counts without a start; a rounded frequency means the fraction behind it */
	static const uint8_t data[] = { 1, 0, 2, 0, 3, 0 };
	struct record r = { .header = "r 1 0.0166666666667/125(3) 3 1:02:03.5 29/02/2024\nr.dat 16 1 16 0 1 6 0 x\n" };
	r.header_n = strlen(r.header);
	char *got = test_decode(make, &r, (const char *)data, sizeof data);
	assert_string_equal(got,
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 1 1709168523.5\n"
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 2 1709168583.5\n"
		"x{record=\"r\",signal=\"x\",unit=\"mV\"} 3 1709168643.5\n");
	free(got);
}

static void bad_headers(void **state)
{
	expect_refused("", SILEX_INVALID, "no record line");
	expect_refused("# only a comment\n", SILEX_INVALID, "no record line");
	expect_refused("r 1 360 10\nr.dat 16\n", SILEX_INVALID, "--start");
	expect_refused("r 1 360 10 0:0:0 10/10/2896\nr.dat 16\n", SILEX_INVALID, "date 10/10/2896");
	expect_refused("r 1 360 10 0:0:0 30/02/2024\nr.dat 16\n", SILEX_INVALID, "DD/MM/YYYY");
	expect_refused("r 1 360 10 0:77 01/02/2024\nr.dat 16\n", SILEX_INVALID, "HH:MM:SS");
	expect_refused("r/3 1 360\n", SILEX_UNSUPPORTED, "segments");
	expect_refused("r 0 360\n", SILEX_INVALID, "number of signals");
	expect_refused("r 2 360 1 0:0 1/1/2024\nr.dat 16\n", SILEX_INVALID, "before signal 2 of 2");
	expect_refused("r 1 360 1 0:0 1/1/2024\nr.dat 8\n", SILEX_UNSUPPORTED, "format 8");
	expect_refused("r 1 360 1 0:0 1/1/2024\nr.dat 16x4\n", SILEX_UNSUPPORTED, "per frame");
	expect_refused("r 2 360 1 0:0 1/1/2024\na.dat 16\nb.dat 16\n", SILEX_UNSUPPORTED, "several files");
	expect_refused("r 1 360 1 0:0 1/1/2024\nr.dat 16 x/mV\n", SILEX_INVALID, "gain");
	expect_refused("r 1 0 1 0:0 1/1/2024\nr.dat 16\n", SILEX_INVALID, "frequency");
	expect_refused("r 1 1e9 1 0:0 1/1/2024\nr.dat 16\n", SILEX_INVALID, "frequency");
}

/* ---- real records ---- */

static char *load(const char *name, size_t *ret_n)
{
	char path[512];
	snprintf(path, sizeof path, SLX_SOURCE_DIR "/testdata/%s", name);
	return test_read_file(path, ret_n);
}

static void icu_record(void **state)
{
	struct record r = { .options = { .has_start = true, .start = 1000 * SLX_SECOND } };
	size_t n;
	char *header = load("icu/s00001-2896-10-10-00-31n.hea", &r.header_n), *data = load("icu/3975656n.dat", &n);
	r.header = header;
	char *got = test_decode(make, &r, data, n);
	assert_null(strchr(got, '!')); /* initial values and checksums agree */
	assert_non_null(strstr(got, "HR{record=\"s00001-2896-10-10-00-31n\",signal=\"HR\",unit=\"bpm\"} "));
	size_t rows = 0;
	for (const char *p = got; *p; p++)
		rows += *p == '\n';
	print_message("%zu vital signs of %d\n", rows, 10 * 1936);
	assert_int_equal(rows, 14008); /* the others are -32768 in the file */
	/* the last row of a minute series lies a whole number of minutes after the start */
	char *last = strrchr(got, ' ');
	assert_int_equal((atoll(last) - 1000) % 60, 0);
	assert_null(strchr(last, '.'));
	free(got);

	test_splits(make, &r, data, n, 3);
	silex_error err;
	struct slx_sink sink = { 0 };
	struct slx_decoder *d;
	assert_int_equal(slx_decoder_wfdb(test_mem(), header, r.header_n, NULL, NULL, &sink, &d, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "10/10/2896"));
	assert_non_null(strstr(err.message, "--start"));
	free(header);
	free(data);
}

struct ecg {
	uint64_t n;
	int64_t last;
	bool exact;
};

static bool ecg_row(void *arg, const struct slx_row *row)
{
	struct ecg *e = arg;
	uint64_t frame = e->n++ / 2;
	e->last = row->t;
	/* 1e9 / 360 = 25e8 / 900: rounded to nearest */
	e->exact &= row->t == (int64_t)((frame * UINT64_C(2500000000) + 450) / 900);
	double adc = rint(slx_bits_f64(row->bits) * 200);
	e->exact &= slx_bits_f64(row->bits) == adc / 200;
	return true;
}

static bool no_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	fail_msg("%s", message);
	return false;
}

static void ecg_file(const char *header_path, const char *data_path, uint64_t frames)
{
	size_t header_n, n;
	char *header = test_read_file(header_path, &header_n), *data = test_read_file(data_path, &n);
	struct ecg e = { .exact = true };
	struct slx_sink sink = { .arg = &e, .row = ecg_row, .error = no_error };
	struct slx_wfdb_options o = { .has_start = true };
	struct slx_decoder *d;
	uint32_t signals_n;
	assert_int_equal(slx_decoder_wfdb(test_mem(), header, header_n, &o, NULL, &sink, &d, NULL), SILEX_OK);
	assert_string_equal(slx_wfdb_signals(d, &signals_n)[0].description, "MLII");
	assert_int_equal(signals_n, 2);
	assert_int_equal(collect_feed(d, data, n, 0), SILEX_OK);
	assert_int_equal(e.n, frames * 2);
	assert_true(e.exact);
	slx_decoder_free(d);
	free(header);
	free(data);
}

static void ecg_shipped(void **state)
{
	ecg_file(SLX_SOURCE_DIR "/testdata/ecg/100s.hea", SLX_SOURCE_DIR "/testdata/ecg/100s.dat", 64800);
}

static void ecg_whole(void **state)
{
	char header[512], data[512];
	if (!test_shared(header, sizeof header, "data/timeseries/ecg/100.hea") ||
		!test_shared(data, sizeof data, "data/timeseries/ecg/100.dat"))
		skip();
	ecg_file(header, data, 650000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_16),
		cmocka_unit_test(format_212),
		cmocka_unit_test(names),
		cmocka_unit_test(times),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(icu_record),
		cmocka_unit_test(ecg_shipped),
		cmocka_unit_test(ecg_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
