/* Requests are written field by field here, as the specifications number them, and read back as lines of text. */
#include "formats/remote_write.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct slx_mem mem;

static struct slx_buf fresh(void)
{
	struct slx_buf b;
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, SIZE_MAX);
	return b;
}

static void put_msg(struct slx_buf *to, uint32_t number, struct slx_buf *part)
{
	slx_pb_put_bytes(to, number, part->p, part->n);
	slx_buf_free(part);
}

static void put_text(struct slx_buf *to, uint32_t number, const char *z) { slx_pb_put_bytes(to, number, z, strlen(z)); }
static void put_f64(struct slx_buf *to, uint32_t number, double v) { slx_pb_put_fixed64(to, number, slx_f64_bits(v)); }

static struct slx_buf label(const char *name, const char *value)
{
	struct slx_buf b = fresh();
	put_text(&b, 1, name);
	put_text(&b, 2, value);
	return b;
}

static struct slx_buf sample(double v, int64_t t)
{
	struct slx_buf b = fresh();
	put_f64(&b, 1, v);
	slx_pb_put_varint(&b, 2, (uint64_t)t);
	return b;
}

static struct slx_buf span(int32_t offset, uint32_t length)
{
	struct slx_buf b = fresh();
	slx_pb_put_varint(&b, 1, slx_zigzag(offset));
	slx_pb_put_varint(&b, 2, length);
	return b;
}

static void put_labels(struct slx_buf *series, const char *a, const char *b)
{
	struct slx_buf l = label("__name__", a);
	put_msg(series, 1, &l);
	l = label("job", b);
	put_msg(series, 1, &l);
}

static void put_sample(struct slx_buf *series, double v, int64_t t)
{
	struct slx_buf s = sample(v, t);
	put_msg(series, 2, &s);
}

/* An integer histogram; the fields are numbered alike in both versions. */
static struct slx_buf int_histogram(void)
{
	struct slx_buf h = fresh(), part, deltas = fresh();
	slx_pb_put_varint(&h, 1, 7);
	put_f64(&h, 3, 12.5);
	slx_pb_put_varint(&h, 4, slx_zigzag(-2));
	put_f64(&h, 5, 0.001);
	slx_pb_put_varint(&h, 6, 1);
	part = span(-1, 2);
	put_msg(&h, 11, &part);
	part = span(3, 1);
	put_msg(&h, 11, &part);
	slx_buf_varint(&deltas, slx_zigzag(1));
	slx_buf_varint(&deltas, slx_zigzag(2));
	slx_buf_varint(&deltas, slx_zigzag(-1));
	put_msg(&h, 12, &deltas);
	slx_pb_put_varint(&h, 14, 2);
	slx_pb_put_varint(&h, 15, 1500);
	return h;
}

/* Custom bounds, floats, one number a field instead of packed. */
static struct slx_buf float_histogram(void)
{
	struct slx_buf h = fresh(), part = span(0, 2);
	put_f64(&h, 2, 3.5);
	put_f64(&h, 3, -1);
	slx_pb_put_varint(&h, 4, slx_zigzag(-53));
	put_msg(&h, 11, &part);
	put_f64(&h, 13, 1.25);
	put_f64(&h, 13, 2.25);
	put_f64(&h, 16, 0.5);
	slx_pb_put_varint(&h, 15, 2500);
	slx_pb_put_varint(&h, 17, 2000);
	return h;
}

/* --- as text --------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct slx_buf *out, const char *fmt, ...)
{
	char text[1000];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(out, text, (size_t)n);
}

#define STR(s) (int)(s).n, (s).p

static void say_labels(struct slx_buf *out, const struct slx_label *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		say(out, "%.*s=%.*s ", STR(l[i].name), STR(l[i].value));
}

static void say_side(struct slx_buf *out, const struct slx_span *s, size_t spans, const double *c, size_t counts)
{
	for (size_t i = 0; i < spans; i++)
		say(out, " (%d %u)", s[i].offset, s[i].length);
	for (size_t i = 0; i < counts; i++)
		say(out, " %g", c[i]);
}

static void say_histograms(struct slx_buf *out, struct slx_rw *r, const struct slx_rw_series *s)
{
	struct slx_arena a;
	struct slx_rw_histogram h;
	struct slx_pb at = slx_pb_of(s->parts);
	slx_arena_init(&a, &mem, SLX_MEM_OTHER, 65536);
	while (slx_rw_next_histogram(r, &at, &a, &h)) {
		say(out, "h %lld %s%s n%g s%g schema%d z%g/%g reset%d start%lld:", (long long)h.t, h.fault ? h.fault : "", h.h.integer ? "int" : "float", h.h.count,
			h.h.sum, h.h.schema, h.h.zero_count, h.h.zero_threshold, h.h.reset, (long long)h.h.start);
		say_side(out, h.h.negative_spans, h.h.negative_spans_n, h.h.negative, h.h.negative_n);
		say(out, " |");
		say_side(out, h.h.positive_spans, h.h.positive_spans_n, h.h.positive, h.h.positive_n);
		say(out, " |");
		say_side(out, NULL, 0, h.h.custom, h.h.custom_n);
		say(out, "\n");
	}
	slx_arena_clear(&a);
}

static void say_series(struct slx_buf *out, struct slx_rw *r, const struct slx_rw_series *s)
{
	const struct slx_label *l = NULL;
	size_t n = 0;
	silex_error err;
	struct slx_rw_sample v;
	struct slx_rw_exemplar e;
	struct slx_rw_metadata md;
	silex_status st = slx_rw_labels(r, s, &l, &n, &err);
	say_labels(out, l, n);
	say(out, "%s\n", st == SILEX_OK ? "" : err.message);
	struct slx_pb at = slx_pb_of(s->parts);
	while (slx_rw_next_sample(r, &at, &v))
		say(out, "s %lld %g %lld\n", (long long)v.t, v.v, (long long)v.start);
	say_histograms(out, r, s);
	at = slx_pb_of(s->parts);
	while (slx_rw_next_exemplar(r, &at, &e)) {
		say(out, "e %lld %g %s ", (long long)e.t, e.v, e.fault ? e.fault : "");
		say_labels(out, e.labels, e.labels_n);
		say(out, "\n");
	}
	if (s->metadata.p && slx_rw_series_metadata(r, s, &md))
		say(out, "m %.*s %.*s %.*s\n", STR(md.type), STR(md.unit), STR(md.help));
}

/* All of a request; the caller frees it. */
static struct slx_buf read_all(enum slx_rw_version v, const void *p, size_t n)
{
	struct slx_buf out = fresh();
	struct slx_rw r;
	struct slx_rw_series s;
	struct slx_rw_metadata md;
	silex_error err;
	if (slx_rw_open(&r, &mem, v, p, n, &err) != SILEX_OK) {
		say(&out, "%s\n", err.message);
		slx_buf_u8(&out, 0);
		return out;
	}
	enum slx_rw_item item;
	while ((item = slx_rw_next(&r, &s, &md)) == SLX_RW_SERIES || item == SLX_RW_METADATA)
		if (item == SLX_RW_SERIES && s.guess && !slx_rw_look(&r, &s))
			continue;
		else if (item == SLX_RW_SERIES)
			say_series(&out, &r, &s);
		else
			say(&out, "M %.*s %.*s %.*s %.*s\n", STR(md.metric), STR(md.type), STR(md.unit), STR(md.help));
	if (slx_rw_error(&r, &err) != SILEX_OK)
		say(&out, "%s\n", err.message);
	slx_rw_close(&r);
	slx_buf_u8(&out, 0);
	return out;
}

static void reads(enum slx_rw_version v, struct slx_buf *request, const char *expected)
{
	struct slx_buf out = read_all(v, request->p, request->n);
	assert_string_equal((const char *)out.p, expected);
	slx_buf_free(&out);
	slx_buf_free(request);
}

/* --- tests ----------------------------------------------------------------------------------------------------------- */

static struct slx_buf request_1(void)
{
	struct slx_buf r = fresh(), s = fresh(), part, l;
	put_labels(&s, "up", "a");
	put_sample(&s, 1, 1000);
	put_sample(&s, slx_bits_f64(SLX_STALE_NAN), 1600000000000);
	put_msg(&r, 1, &s);

	s = fresh(); /* labels apart, a sample without a value and one without a time, unknown fields */
	l = label("__name__", "odd");
	put_msg(&s, 1, &l);
	part = fresh();
	slx_pb_put_varint(&part, 2, (uint64_t)-5);
	put_msg(&s, 2, &part);
	l = label("job", "b");
	put_msg(&s, 1, &l);
	part = fresh();
	put_f64(&part, 1, 2.5);
	slx_pb_put_varint(&part, 9, 77);
	put_msg(&s, 2, &part);
	slx_pb_put_varint(&s, 200, 1);
	put_msg(&r, 1, &s);
	slx_pb_put_fixed64(&r, 99, 3);

	s = fresh();
	put_labels(&s, "lat", "c");
	part = int_histogram();
	put_msg(&s, 4, &part);
	part = float_histogram();
	put_msg(&s, 4, &part);
	part = fresh();
	l = label("trace_id", "x1");
	put_msg(&part, 1, &l);
	put_f64(&part, 2, 0.25);
	slx_pb_put_varint(&part, 3, 1234);
	put_msg(&s, 3, &part);
	put_msg(&r, 1, &s);

	part = fresh();
	slx_pb_put_varint(&part, 1, 3);
	put_text(&part, 2, "lat");
	put_text(&part, 4, "how long");
	put_text(&part, 5, "seconds");
	put_msg(&r, 3, &part);
	return r;
}

static const char HISTOGRAMS[] = "h 1500000000 int n7 s12.5 schema-2 z1/0.001 reset2 start0: | (-1 2) (3 1) 1 3 2 |\n"
								 "h 2500000000 float n3.5 s-1 schema-53 z0/0 reset0 start2000000000: | (0 2) 1.25 2.25 | 0.5\n";

static void version_1(void **state)
{
	char expected[2000];
	struct slx_buf r = request_1();
	snprintf(expected, sizeof expected,
		"__name__=up job=a \ns 1000000000 1 0\ns 1600000000000000000 nan 0\n"
		"__name__=odd job=b \ns -5000000 0 0\ns 0 2.5 0\n"
		"__name__=lat job=c \n%se 1234000000 0.25  trace_id=x1 \n"
		"M lat histogram seconds how long\n",
		HISTOGRAMS);
	reads(SLX_RW_1, &r, expected);
}

static void put_refs(struct slx_buf *to, size_t n, const uint8_t *refs) { slx_pb_put_bytes(to, 1, refs, n); }

static struct slx_buf request_2(void)
{
	static const char *const symbols[] = { "", "__name__", "lat", "job", "c", "trace_id", "x1", "seconds", "how long" };
	struct slx_buf r = fresh(), s = fresh(), part = fresh();
	put_refs(&s, 4, (const uint8_t *)"\1\2\3\4");
	put_f64(&part, 1, 4.5);
	slx_pb_put_varint(&part, 2, 1000);
	slx_pb_put_varint(&part, 3, 900);
	put_msg(&s, 2, &part);
	part = int_histogram();
	put_msg(&s, 3, &part);
	part = float_histogram();
	put_msg(&s, 3, &part);
	part = fresh();
	put_refs(&part, 2, (const uint8_t *)"\5\6");
	put_f64(&part, 2, 0.25);
	slx_pb_put_varint(&part, 3, 1234);
	put_msg(&s, 4, &part);
	part = fresh();
	slx_pb_put_varint(&part, 1, 1);
	slx_pb_put_varint(&part, 3, 8);
	slx_pb_put_varint(&part, 4, 7);
	put_msg(&s, 5, &part);
	put_msg(&r, 5, &s); /* before the symbols: the order of fields is free */
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
		put_text(&r, 4, symbols[i]);
	return r;
}

static void version_2(void **state)
{
	char expected[2000];
	struct slx_buf r = request_2();
	snprintf(expected, sizeof expected,
		"__name__=lat job=c \ns 1000000000 4.5 900000000\n%se 1234000000 0.25  trace_id=x1 \nm counter seconds how long\n", HISTOGRAMS);
	reads(SLX_RW_2, &r, expected);
}

static void faults_of_series(void **state)
{
	struct slx_buf r = fresh(), s = fresh();
	put_text(&r, 4, "");
	put_text(&r, 4, "__name__");
	put_refs(&s, 3, (const uint8_t *)"\1\1\1");
	put_sample(&s, 1, 1);
	put_msg(&r, 5, &s);
	s = fresh();
	put_refs(&s, 2, (const uint8_t *)"\1\2");
	put_msg(&r, 5, &s);
	reads(SLX_RW_2, &r,
		"__name__=__name__ a label has a name and no value (an odd number of references)\ns 1000000 1 0\n"
		"__name__= a label refers to a symbol that the request does not have\n");
	r = fresh();
	s = fresh();
	for (int i = 0; i < 1100; i++) {
		struct slx_buf l = label("a", "b");
		put_msg(&s, 1, &l);
	}
	put_msg(&r, 1, &s);
	struct slx_buf out = read_all(SLX_RW_1, r.p, r.n);
	assert_non_null(strstr((const char *)out.p, "more labels than a series can have"));
	slx_buf_free(&out);
	slx_buf_free(&r);
}

/* A key stands for one list of labels: equal lists have equal keys, within a version. */
static void keys(void **state)
{
	struct slx_buf r = request_1();
	struct slx_rw rw;
	struct slx_rw_series s;
	struct slx_rw_metadata md;
	char first[200];
	assert_int_equal(slx_rw_open(&rw, &mem, SLX_RW_1, r.p, r.n, NULL), SILEX_OK);
	assert_int_equal(slx_rw_next(&rw, &s, &md), SLX_RW_SERIES);
	assert_true(s.guess); /* a wrong one: there are two samples */
	assert_int_equal(s.samples, 1);
	assert_true(slx_rw_look(&rw, &s));
	assert_int_equal(s.samples, 2);
	size_t n = s.key.n;
	memcpy(first, s.key.p, n);
	assert_int_equal(slx_rw_next(&rw, &s, &md), SLX_RW_SERIES);
	struct slx_buf same = fresh();
	put_labels(&same, "odd", "b");
	assert_int_equal(s.key.n, same.n);
	assert_memory_equal(s.key.p, same.p, same.n);
	assert_false(n == s.key.n && memcmp(first, s.key.p, n) == 0);
	slx_buf_free(&same);
	slx_rw_close(&rw);
	slx_buf_free(&r);
}

static void broken_bytes(void **state)
{
	struct slx_buf r = fresh(), s = fresh();
	put_labels(&s, "up", "a");
	put_sample(&s, 1, 1000);
	put_msg(&r, 1, &s);
	slx_buf_put(&r, "\x0a\x05\x12\x7f", 4); /* a series of 5 bytes of which 2 are there */
	reads(SLX_RW_1, &r, "__name__=up job=a \ns 1000000000 1 0\nremote write 1.0: offset 44: expected a length inside its message\n");
	r = fresh();
	slx_buf_put(&r, "\x0a\x02\x12\x7f", 4);
	reads(SLX_RW_1, &r, "remote write 1.0: offset 4: expected a length inside its message\n");
	r = fresh();
	slx_buf_put(&r, "\x0a\x04\x12\x02\x08\x01", 6); /* the value as varint */
	reads(SLX_RW_1, &r, "\nremote write 1.0: offset 6: expected a double and timestamps in a sample\n");
	r = fresh();
	slx_pb_put_varint(&r, 1, 7);
	reads(SLX_RW_1, &r, "remote write 1.0: offset 2: expected a message in a field of the request\n");
}

/* Cut anywhere, or with any byte changed: read to the end or to a fault, never beyond (the sanitizers look). */
static void damage(void **state)
{
	for (int v = SLX_RW_1; v <= SLX_RW_2; v++) {
		struct slx_buf r = v == SLX_RW_1 ? request_1() : request_2();
		for (size_t n = 0; n < r.n; n++) {
			uint8_t *copy = test_malloc(n ? n : 1);
			memcpy(copy, r.p, n);
			struct slx_buf out = read_all(v, copy, n);
			slx_buf_free(&out);
			test_free(copy);
		}
		for (size_t i = 0; i < r.n; i++)
			for (int bit = 0; bit < 8; bit++) {
				r.p[i] ^= (uint8_t)(1 << bit);
				struct slx_buf out = read_all(v, r.p, r.n);
				slx_buf_free(&out);
				r.p[i] ^= (uint8_t)(1 << bit);
			}
		slx_buf_free(&r);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void too_many_buckets(void **state)
{
	struct slx_buf r = fresh(), s = fresh(), h = fresh(), deltas = fresh();
	for (int i = 0; i < 20000; i++)
		slx_buf_u8(&deltas, 2);
	put_msg(&h, 12, &deltas);
	put_labels(&s, "h", "a");
	put_msg(&s, 4, &h);
	put_msg(&r, 1, &s);
	struct slx_buf out = read_all(SLX_RW_1, r.p, r.n);
	assert_non_null(strstr((const char *)out.p, "more buckets, spans or bounds"));
	slx_buf_free(&out);
	slx_buf_free(&r);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_2),
		cmocka_unit_test(faults_of_series),
		cmocka_unit_test(keys),
		cmocka_unit_test(broken_bytes),
		cmocka_unit_test(too_many_buckets),
		cmocka_unit_test(damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
