/* What only a server asks of the decoders: series that the caller keeps, exemplars, metadata. */
#include "formats/formats_test.h"

enum { SERIES_MAX = 64 };

struct keeper {
	struct slx_hash128 keys[SERIES_MAX];
	char names[SERIES_MAX][64];
	uint32_t n;
	struct slx_buf text;
	uint32_t last;
};

static uint32_t known(void *arg, struct slx_hash128 key)
{
	struct keeper *k = arg;
	for (uint32_t i = 0; i < k->n; i++)
		if (slx_hash128_eq(k->keys[i], key))
			return i + 1;
	return 0;
}

static bool row(void *arg, const struct slx_row *r)
{
	struct keeper *k = arg;
	char text[200];
	k->last = r->series_key;
	if (r->labels_n) {
		assert_int_equal(r->series_key, 0);
		assert_true(k->n < SERIES_MAX);
		k->keys[k->n++] = r->key;
		k->last = k->n;
		for (uint32_t i = 0; i < r->labels_n; i++)
			slx_buf_put(&k->text, text, (size_t)snprintf(text, sizeof text, "%.*s=%.*s,", (int)r->labels[i].name.n, r->labels[i].name.p,
				(int)r->labels[i].value.n, r->labels[i].value.p));
	}
	slx_buf_put(&k->text, text, (size_t)snprintf(text, sizeof text, "#%u %g\n", k->last, slx_bits_number(r->kind, r->bits)));
	return true;
}

static bool error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	struct keeper *k = arg;
	char text[400];
	slx_buf_put(&k->text, text, (size_t)snprintf(text, sizeof text, "!%llu %s\n", (unsigned long long)line, message));
	return true;
}

static void exemplar(void *arg, const struct slx_exemplar *e)
{
	struct keeper *k = arg;
	char text[200];
	int n = snprintf(text, sizeof text, "exemplar of %u: ", k->last);
	for (uint32_t i = 0; i < e->labels_n; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%.*s=%.*s,", (int)e->labels[i].name.n, e->labels[i].name.p, (int)e->labels[i].value.n,
			e->labels[i].value.p);
	n += snprintf(text + n, sizeof text - (size_t)n, "%g %lld\n", e->value, e->has_time ? (long long)e->t : -1);
	slx_buf_put(&k->text, text, (size_t)n);
}

static void metadata(void *arg, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help)
{
	struct keeper *k = arg;
	char text[200];
	slx_buf_put(&k->text, text, (size_t)snprintf(text, sizeof text, "%.*s type[%.*s] unit[%.*s] help[%.*s]\n", (int)metric.n, metric.p, (int)type.n,
		type.p ? type.p : "", (int)unit.n, unit.p ? unit.p : "", (int)help.n, help.p ? help.p : ""));
}

enum format { LINE, JSONL, CSV, PROMETHEUS, SCRAPED };

static void decode(struct keeper *k, enum format f, const char *in)
{
	struct slx_sink sink = { .arg = k, .row = row, .error = error, .known = known, .exemplar = exemplar, .metadata = metadata };
	struct slx_decoder *d = NULL;
	switch (f) {
	case LINE:
		assert_int_equal(slx_decoder_line_protocol(test_mem(), NULL, NULL, &sink, &d, NULL), SILEX_OK);
		break;
	case JSONL:
		assert_int_equal(slx_decoder_jsonl(test_mem(), NULL, &sink, &d, NULL), SILEX_OK);
		break;
	case CSV:
		assert_int_equal(slx_decoder_csv(test_mem(), NULL, NULL, &sink, &d, NULL), SILEX_OK);
		break;
	case PROMETHEUS:
	case SCRAPED: {
		struct slx_exposition_options o = { .openmetrics = f == SCRAPED, .lenient = true };
		assert_int_equal(slx_decoder_exposition(test_mem(), &o, NULL, &sink, &d, NULL), SILEX_OK);
	}
	}
	assert_int_equal(slx_decoder_feed(d, in, strlen(in), NULL), SILEX_OK);
	assert_int_equal(slx_decoder_finish(d, NULL), SILEX_OK);
	slx_decoder_free(d);
}

static void check(enum format f, const char *first, const char *second, const char *expected)
{
	struct keeper *k = calloc(1, sizeof *k);
	assert_non_null(k);
	slx_buf_init(&k->text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	decode(k, f, first);
	if (second)
		decode(k, f, second); /* another decoder: the series are still known */
	slx_buf_u8(&k->text, 0);
	assert_string_equal((char *)k->text.p, expected);
	slx_buf_free(&k->text);
	free(k);
}

static void series(void **state)
{
	check(LINE, "m,a=b v=1,w=2\nm,a=b v=3,w=4\n", "m,a=b w=5\nm,a=c,a=d v=1\nm,a=c value=6\n",
		"__name__=m_v,a=b,#1 1\n__name__=m_w,a=b,#2 2\n#1 3\n#2 4\n#2 5\n!2 expected each tag key once, found \"a\" again\n__name__=m,a=c,#3 6\n");
	check(JSONL, "{\"metric\":{\"__name__\":\"u\"},\"values\":[1,2],\"timestamps\":[1,2]}\n", "{\"metric\":{\"__name__\":\"u\"},\"values\":[3],\"timestamps\":[3]}\n",
		"__name__=u,#1 1\n#1 2\n#1 3\n");
	check(CSV, "time,host,v\n1970-01-01,x,1\n1970-01-02,y,2\n1970-01-03,x,3\n", "time,host,v\n1970-01-04,y,4\n",
		"host=x,__name__=v,#1 1\nhost=y,__name__=v,#2 2\n#1 3\n#2 4\n");
	check(PROMETHEUS, "a{x=\"1\"} 1\na{x=\"1\"} 2\n", "a{x=\"1\"} 3\n", "x=1,__name__=a,#1 1\n#1 2\n#1 3\n");
}

static void told(void **state)
{
	check(PROMETHEUS, "# HELP a what\\nit is \\\\\n# TYPE a counter\n# a comment\na 1\n", NULL,
		"a type[] unit[] help[what\nit is \\]\na type[counter] unit[] help[]\n__name__=a,#1 1\n");
	check(SCRAPED, "# TYPE h histogram\n# UNIT h seconds\nh_bucket{le=\"1\",x=\"\"} 1 # {id=\"7\",k=\"v\"} 0.5 2\n# EOF\n", NULL,
		"h type[histogram] unit[] help[]\nh type[] unit[seconds] help[]\nle=1,__name__=h_bucket,#1 1\nexemplar of 1: id=7,k=v,0.5 2000000000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(series),
		cmocka_unit_test(told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
