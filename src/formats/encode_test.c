/* What is written reads back as the same row, in every format. */
#include "formats/formats_test.h"

#include <math.h>

enum format { CSV, JSONL, LINE, PROMETHEUS, OPENMETRICS, FORMATS };

static void write_row(enum format f, struct slx_buf *b, const struct slx_row *row)
{
	static const char *const columns[] = { "__name__", "host", "odd, \"name\"" };
	struct slx_csv_encode_options o = { .columns = columns, .columns_n = 3 };
	switch (f) {
	case CSV:
		if (b->n == 0)
			slx_encode_csv_header(b, &o);
		slx_encode_csv(b, &o, row);
		break;
	case JSONL:
		slx_encode_jsonl(b, row);
		break;
	case LINE:
		assert_true(slx_encode_line(b, row, SLX_UNIT_NS));
		break;
	default:
		slx_encode_exposition(b, row, f == OPENMETRICS);
	}
}

static silex_status make(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret)
{
	static const struct slx_exposition_options openmetrics = { .openmetrics = true };
	struct slx_csv_options csv = {
		.header = SLX_CSV_HEADER_YES, .delimiter = ',', .time_column = "time", .value_columns = "value"
	};
	switch (*(const enum format *)arg) {
	case CSV:
		return slx_decoder_csv(test_mem(), &csv, limits, sink, ret, NULL);
	case JSONL:
		return slx_decoder_jsonl(test_mem(), limits, sink, ret, NULL);
	case LINE:
		return slx_decoder_line_protocol(test_mem(), NULL, limits, sink, ret, NULL);
	case PROMETHEUS:
		return slx_decoder_exposition(test_mem(), NULL, limits, sink, ret, NULL);
	default:
		return slx_decoder_exposition(test_mem(), &openmetrics, limits, sink, ret, NULL);
	}
}

struct expected {
	enum format format;
	const struct slx_row *rows;
	size_t n, seen;
};

static bool same_labels(const struct slx_row *a, const struct slx_row *b)
{
	for (uint32_t i = 0; i < a->labels_n; i++) {
		bool found = false;
		for (uint32_t k = 0; k < b->labels_n; k++)
			found |=
				slx_str_eq(a->labels[i].name, b->labels[k].name) && slx_str_eq(a->labels[i].value, b->labels[k].value);
		if (!found)
			return false;
	}
	return a->labels_n == b->labels_n;
}

static bool check_row(void *arg, const struct slx_row *row)
{
	struct expected *e = arg;
	assert_in_range(e->seen, 0, e->n - 1);
	const struct slx_row *want = &e->rows[e->seen++];
	assert_true(same_labels(want, row));
	int64_t t = e->format == PROMETHEUS ? want->t - (want->t % SLX_MS + SLX_MS) % SLX_MS : want->t;
	assert_int_equal(row->t, t);
	double v = slx_bits_number(want->kind, want->bits), got = slx_bits_number(row->kind, row->bits);
	if (e->format == LINE || e->format == JSONL)
		assert_int_equal(row->kind, want->kind);
	assert_true((isnan(v) && isnan(got)) || slx_f64_bits(v) == slx_f64_bits(got));
	return true;
}

static bool no_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	fail_msg("%llu:%llu %s", (unsigned long long)line, (unsigned long long)column, message);
	return false;
}

static void round_trips(void **state)
{
	const struct slx_label plain[] = { { SLX_METRIC_NAME, SLX_STR("cpu") }, { SLX_STR("host"), SLX_STR("a") } };
	const struct slx_label odd[] = { { SLX_STR("host"), SLX_STR("a \\b\"c\",=\xc3\xa9") },
		{ SLX_STR("odd, \"name\""), SLX_STR(" x ") }, { SLX_METRIC_NAME, SLX_STR("a b,c=\"d\"") } };
	static const double values[] = { 0, -0.0, 1.5, 1e300, 5e-324, 0.1, 123456789.123, 1e15, 97.4, 3,
		0.06453452400000001 };
	struct slx_row rows[64];
	size_t n = 0;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct slx_row r = { .labels = i % 2 ? odd : plain, .labels_n = i % 2 ? 3 : 2, .has_time = true };
		r.t = (int64_t)i * 1234567891234567 - 3000000000000001;
		r.bits = slx_f64_bits(values[i]);
		rows[n++] = r;
	}
	struct slx_row whole = {
		.labels = plain, .labels_n = 2, .has_time = true, .t = SLX_TIME_MAX, .kind = SLX_KIND_INT64
	};
	whole.bits = (uint64_t)INT64_C(-4611686018427387904);
	rows[n++] = whole;
	whole.kind = SLX_KIND_BOOL;
	whole.bits = 1;
	whole.t = SLX_TIME_MIN;
	rows[n++] = whole;

	for (enum format f = 0; f < FORMATS; f++) {
		struct slx_buf b;
		struct slx_decoder *d;
		struct expected e = { .format = f, .rows = rows, .n = n };
		struct slx_sink sink = { .arg = &e, .row = check_row, .error = no_error };
		struct slx_decode_limits limits = { .labels_every_row = true };
		slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
		/* the outermost instants do not survive milliseconds; OpenMetrics wants each series' times to ascend */
		e.n = f == PROMETHEUS || f == OPENMETRICS ? n - 2 : n;
		for (size_t i = 0; i < e.n; i++) {
			if (f == OPENMETRICS && i && rows[i].labels != rows[0].labels)
				continue;
			write_row(f, &b, &rows[i]);
		}
		if (f == OPENMETRICS)
			slx_buf_put(&b, "# EOF\n", 6);
		struct slx_row kept[64];
		if (f == OPENMETRICS) {
			size_t k = 0;
			for (size_t i = 0; i < e.n; i++)
				if (rows[i].labels == rows[0].labels)
					kept[k++] = rows[i];
			e.rows = kept;
			e.n = k;
		}
		assert_false(b.failed);
		assert_int_equal(make(&limits, &sink, &f, &d), SILEX_OK);
		assert_int_equal(collect_feed(d, (char *)b.p, b.n, 0), SILEX_OK);
		assert_int_equal(e.seen, e.n);
		slx_decoder_free(d);
		slx_buf_free(&b);
	}
}

static void what_line_protocol_cannot_say(void **state)
{
	struct slx_label name = { SLX_METRIC_NAME, SLX_STR("m") }, bad = { SLX_METRIC_NAME, SLX_STR("m\n") };
	struct slx_label slash[] = { name, { SLX_STR("a"), SLX_STR("b\\") } };
	struct slx_row r = { .labels = &name, .labels_n = 1, .bits = slx_f64_bits(1) };
	struct slx_buf b;
	slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
	assert_true(slx_encode_line(&b, &r, SLX_UNIT_NS));
	size_t n = b.n;
	r.bits = slx_f64_bits(NAN);
	assert_false(slx_encode_line(&b, &r, SLX_UNIT_NS));
	r.bits = slx_f64_bits(1);
	r.labels = &bad;
	assert_false(slx_encode_line(&b, &r, SLX_UNIT_NS));
	r.labels = slash;
	r.labels_n = 2;
	assert_false(slx_encode_line(&b, &r, SLX_UNIT_NS));
	r.labels_n = 0;
	assert_false(slx_encode_line(&b, &r, SLX_UNIT_NS));
	assert_int_equal(b.n, n);
	slx_buf_free(&b);
}

static void csv_series_column(void **state)
{
	struct slx_label l[] = { { SLX_METRIC_NAME, SLX_STR("m") }, { SLX_STR("a"), SLX_STR("b") } };
	struct slx_row r = { .labels = l, .labels_n = 2, .has_time = true, .t = 1500 * SLX_MS, .bits = slx_f64_bits(2.5) };
	struct slx_csv_encode_options o = { .delimiter = ';', .time_number = true };
	struct slx_buf b;
	slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_encode_csv_header(&b, &o);
	slx_encode_csv(&b, &o, &r);
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, "time;series;value\n1500000000;\"m{a=\"\"b\"\"}\";2.5\n");
	slx_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(what_line_protocol_cannot_say),
		cmocka_unit_test(csv_series_column),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
