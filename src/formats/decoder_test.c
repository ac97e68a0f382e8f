/* What all decoders share: they survive the lack of memory at any point, and the frame keeps its promises. */
#include "formats/formats_test.h"

/* An allocator that fails from the n-th call on, or at that call only. */
struct failing {
	long left;
	bool once;
	long live; /* blocks */
};

static bool fails(struct failing *f)
{
	if (f->left < 0)
		return false;
	if (f->left > 0) {
		f->left--;
		return false;
	}
	if (f->once)
		f->left = -1;
	return true;
}

static void *failing_alloc(void *ctx, size_t size)
{
	struct failing *f = ctx;
	void *p = fails(f) ? NULL : malloc(size);
	f->live += p != NULL;
	return p;
}

static void *failing_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
	struct failing *f = ctx;
	void *q = fails(f) ? NULL : realloc(p, size);
	f->live += q && !p;
	return q;
}

static void failing_free(void *ctx, void *p, size_t size)
{
	((struct failing *)ctx)->live -= p != NULL;
	free(p);
}

enum format { CSV, LINE, JSONL, PROMETHEUS, OPENMETRICS, WFDB, FORMATS };

static const char wfdb_header[] = "r 2 2 2\nr.dat 16 10/bpm 16 0 10 -32758 0 HR\nr.dat 16 4(1)/% 16 0 -1 19 0 Sp O2\n";

static const char *const inputs[FORMATS] = {
	[CSV] = "time,host,\"a\"\"\",b\n1970-01-01,\"x\"\"y\",1,2\n1970-01-02,z,3,\n1970-01-03,z,bad,4\n",
	[LINE] = "m,a\\ b=c v=1,w=2i 5\nm,a=d v=3\nbad\nm,a=d s=\"x\",v=4\n",
	[JSONL] =
		"{\"metric\":{\"__name__\":\"u\\u0070\"},\"values\":[1,\"\\u0031\"],\"timestamps\":[1,2]}\n{\"name\":\"a\",\"value\":1}\n",
	[PROMETHEUS] = "a{b=\"c\\n\"} 1 2\nb 3\n",
	[OPENMETRICS] =
		"# TYPE h histogram\n# UNIT h \nh_bucket{le=\"+Inf\"} 1 1 # {a=\"\\\\\"} 1\n# TYPE a gauge\na{b=\"\\n\"} 1\n# EOF\n",
	[WFDB] = "\x0a\x01\x02\x03\x04\x05\x06\x07",
};

static silex_status make(enum format f, struct slx_mem *m, const struct slx_sink *sink, struct slx_decoder **ret)
{
	static const struct slx_exposition_options openmetrics = { .openmetrics = true };
	static const struct slx_label constant = { { "k", 1 }, { "v", 1 } };
	struct slx_csv_options csv = { .constant_labels = &constant,
		.constant_labels_n = 1,
		.name_template = "{metric}_{column}",
		.field_label = "f",
		.value_columns = "b,#3" };
	struct slx_wfdb_options wfdb = { .has_start = true, .constant_labels = &constant, .constant_labels_n = 1 };
	switch (f) {
	case CSV:
		return slx_decoder_csv(m, &csv, NULL, sink, ret, NULL);
	case LINE:
		return slx_decoder_line_protocol(m, NULL, NULL, sink, ret, NULL);
	case JSONL:
		return slx_decoder_jsonl(m, NULL, sink, ret, NULL);
	case PROMETHEUS:
		return slx_decoder_exposition(m, NULL, NULL, sink, ret, NULL);
	case OPENMETRICS:
		return slx_decoder_exposition(m, &openmetrics, NULL, sink, ret, NULL);
	default:
		return slx_decoder_wfdb(m, wfdb_header, sizeof wfdb_header - 1, &wfdb, NULL, sink, ret, NULL);
	}
}

/* Decodes in small blocks with memory that fails at call `at`; true when it was not missed. */
static bool run(enum format f, long at, bool once, struct collect *c)
{
	struct failing failing = { .left = at, .once = once };
	silex_allocator a = { &failing, failing_alloc, failing_realloc, failing_free };
	struct slx_mem m;
	struct slx_decoder *d = NULL;
	slx_mem_init(&m, &a);
	collect_init(c, test_mem());
	struct slx_sink sink = collect_sink(c);
	silex_status st = make(f, &m, &sink, &d);
	if (st == SILEX_OK)
		st = collect_feed(d, inputs[f], f == WFDB ? 8 : strlen(inputs[f]), 3);
	if (st != SILEX_OK && st != SILEX_RESOURCE_EXHAUSTED)
		fail_msg("format %d, call %ld: status %d", f, at, st);
	slx_decoder_free(d);
	assert_null(c->broken);
	assert_int_equal(failing.live, 0);
	assert_int_equal(slx_mem_total(&m), 0);
	return st == SILEX_OK && failing.left > 0;
}

static void out_of_memory(void **state)
{
	int positions = 0;
	for (enum format f = 0; f < FORMATS; f++)
		for (int once = 0; once < 2; once++)
			for (long at = 0;; at++) {
				struct collect c;
				bool done = run(f, at, once, &c);
				collect_free(&c);
				if (done)
					break;
				assert_in_range(at, 0, 1000);
				positions++;
			}
	print_message("%d positions\n", positions);
}

/* A record that is too long is told once, at its line, wherever the blocks were cut. */
static void long_records(void **state)
{
	const char *in =
		"m v=1\nm,a=01234567890123456789012345678901234567890 v=1\nm v=2\nm s=\"open\nm v=3\nm v=4\nm v=5\nm v=6\nm v=7\n";
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct slx_decode_limits limits = { .line_size_max = 40 };
		struct collect c;
		struct slx_decoder *d;
		collect_init(&c, test_mem());
		struct slx_sink sink = collect_sink(&c);
		assert_int_equal(slx_decoder_line_protocol(test_mem(), NULL, &limits, &sink, &d, NULL), SILEX_OK);
		assert_int_equal(collect_feed(d, in, strlen(in), seed), SILEX_OK);
		slx_buf_u8(&c.text, 0);
		assert_string_equal((char *)c.text.p,
			"m_v 1\n"
			"! 2:1 record is longer than 40 bytes (is a quote left open?); skipped\n"
			"#1 {} 2\n"
			"! 4:1 record is longer than 40 bytes (is a quote left open?); skipped\n"
			"#1 {} 3\n#1 {} 4\n#1 {} 5\n#1 {} 6\n#1 {} 7\n");
		slx_decoder_free(d);
		collect_free(&c);
	}
}

static void after_the_end(void **state)
{
	struct collect c;
	struct slx_decoder *d;
	silex_error err;
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(slx_decoder_line_protocol(test_mem(), NULL, NULL, &sink, &d, NULL), SILEX_OK);
	assert_int_equal(slx_decoder_feed(d, "m v=1", 5, &err), SILEX_OK);
	assert_int_equal(slx_decoder_stats(d)->rows, 0);
	assert_int_equal(slx_decoder_finish(d, &err), SILEX_OK);
	assert_int_equal(slx_decoder_stats(d)->rows, 1);
	assert_int_equal(slx_decoder_finish(d, &err), SILEX_OK);
	assert_int_equal(slx_decoder_feed(d, "\n", 1, &err), SILEX_INVALID);
	slx_decoder_free(d);
	slx_decoder_free(NULL);
	collect_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(long_records),
		cmocka_unit_test(after_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
