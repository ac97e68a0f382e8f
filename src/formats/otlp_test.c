/* OTLP: protobuf and JSON of the same request make the same tree; wrong ones say where. */
#include "formats/formats_test.h"
#include "formats/otlp.h"
#include "formats/protobuf.h"

static struct slx_arena arena;

/* ---- the tree as text ---- */

static void put(struct slx_buf *b, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(b, text, (size_t)n);
}

static void put_attributes(struct slx_buf *b, struct slx_otlp_attributes a)
{
	for (size_t i = 0; i < a.n; i++)
		put(b, " %.*s=%.*s", (int)a.p[i].key.n, a.p[i].key.p, (int)a.p[i].value.n, a.p[i].value.p);
}

static void put_point(struct slx_buf *b, const struct slx_otlp_point *p)
{
	put(b, "  point");
	put_attributes(b, p->attributes);
	put(b, " [%llu %llu]%s v=%g n=%llu sum=%d:%g", (unsigned long long)p->start, (unsigned long long)p->time, p->no_value ? " none" : "", p->value,
		(unsigned long long)p->count, p->has_sum, p->sum);
	for (size_t i = 0; i < p->n_counts; i++)
		put(b, " c%llu", (unsigned long long)p->counts[i]);
	for (size_t i = 0; i < p->n_bounds; i++)
		put(b, " le%g", p->bounds[i]);
	put(b, " scale=%d zero=%llu/%g", p->scale, (unsigned long long)p->zero_count, p->zero_threshold);
	for (int side = 0; side < 2; side++) {
		const struct slx_otlp_buckets *s = side ? &p->negative : &p->positive;
		put(b, " %c@%d", side ? '-' : '+', s->offset);
		for (size_t i = 0; i < s->n; i++)
			put(b, ",%llu", (unsigned long long)s->counts[i]);
	}
	for (size_t i = 0; i < p->n_quantiles; i++)
		put(b, " q%g=%g", p->quantiles[i].quantile, p->quantiles[i].value);
	for (size_t i = 0; i < p->n_exemplars; i++) {
		const struct slx_otlp_exemplar *e = &p->exemplars[i];
		put(b, " ex %g@%llu %.*s/%.*s", e->value, (unsigned long long)e->time, (int)e->trace_id.n, e->trace_id.p, (int)e->span_id.n, e->span_id.p);
		put_attributes(b, e->attributes);
	}
	put(b, "\n");
}

static void put_request(struct slx_buf *b, const struct slx_otlp_request *q)
{
	for (size_t i = 0; i < q->n_resources; i++) {
		put(b, "resource");
		put_attributes(b, q->resources[i].attributes);
		put(b, "\n");
		for (size_t k = 0; k < q->resources[i].n_scopes; k++) {
			const struct slx_otlp_scope *s = &q->resources[i].scopes[k];
			put(b, " scope %.*s %.*s\n", (int)s->name.n, s->name.p, (int)s->version.n, s->version.p);
			for (size_t m = 0; m < s->n_metrics; m++) {
				const struct slx_otlp_metric *x = &s->metrics[m];
				put(b, " %.*s (%.*s) [%.*s] type %d temporality %d monotonic %d\n", (int)x->name.n, x->name.p, (int)x->description.n, x->description.p,
					(int)x->unit.n, x->unit.p, x->type, x->temporality, x->monotonic);
				for (size_t p = 0; p < x->n_points; p++)
					put_point(b, &x->points[p]);
			}
		}
	}
	slx_buf_u8(b, 0);
}

/* ---- building protobuf ---- */

static struct slx_buf message(void)
{
	struct slx_buf b;
	slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
	return b;
}

/* Puts `inner` as field number into out and frees it. */
static void put_message(struct slx_buf *out, uint32_t number, struct slx_buf inner)
{
	slx_pb_put_bytes(out, number, inner.p, inner.n);
	slx_buf_free(&inner);
}

static void put_text(struct slx_buf *b, uint32_t number, const char *s) { slx_pb_put_bytes(b, number, s, strlen(s)); }
static void put_double(struct slx_buf *b, uint32_t number, double v) { slx_pb_put_fixed64(b, number, slx_f64_bits(v)); }

static void put_attribute(struct slx_buf *out, uint32_t number, const char *name, const char *value)
{
	struct slx_buf kv = message(), any = message();
	put_text(&kv, 1, name);
	put_text(&any, 1, value);
	put_message(&kv, 2, any);
	put_message(out, number, kv);
}

static struct slx_buf number_point(void)
{
	struct slx_buf p = message(), e = message();
	put_attribute(&p, 7, "k", "v");
	slx_pb_put_fixed64(&p, 2, 1);
	slx_pb_put_fixed64(&p, 3, 2);
	slx_pb_put_fixed64(&p, 6, (uint64_t)-5);
	put_attribute(&e, 7, "a", "b");
	slx_pb_put_fixed64(&e, 2, 9);
	put_double(&e, 3, 0.5);
	slx_pb_put_bytes(&e, 4, "\x01\xff", 2);
	slx_pb_put_bytes(&e, 5, "\xab", 1);
	put_message(&p, 5, e);
	slx_pb_put_varint(&p, 8, 1);
	return p;
}

static struct slx_buf histogram_point(void)
{
	struct slx_buf p = message(), packed = message();
	slx_pb_put_fixed64(&p, 3, 7);
	slx_pb_put_fixed64(&p, 4, 3);
	put_double(&p, 5, 4.5);
	slx_buf_u64(&packed, 1);
	slx_buf_u64(&packed, 2);
	put_message(&p, 6, packed);
	put_double(&p, 7, 0.25);
	return p;
}

static struct slx_buf exponential_point(void)
{
	struct slx_buf p = message(), side = message(), packed = message();
	slx_pb_put_fixed64(&p, 4, 300);
	slx_pb_put_varint(&p, 6, 3); /* zigzag: -2 */
	slx_pb_put_fixed64(&p, 7, 1);
	slx_pb_put_varint(&side, 1, 5); /* -3 */
	slx_buf_varint(&packed, 299);
	slx_buf_varint(&packed, 1);
	put_message(&side, 2, packed);
	put_message(&p, 8, side);
	put_double(&p, 14, 0.001);
	return p;
}

static struct slx_buf summary_point(void)
{
	struct slx_buf p = message(), q = message();
	slx_pb_put_fixed64(&p, 4, 2);
	put_double(&q, 1, 0.99);
	put_double(&q, 2, 12);
	put_message(&p, 6, q);
	return p;
}

static void put_metric(struct slx_buf *scope, const char *name, const char *unit, uint32_t type, struct slx_buf point, int temporality)
{
	struct slx_buf m = message(), data = message();
	put_text(&m, 1, name);
	put_text(&m, 2, "what it is");
	put_text(&m, 3, unit);
	put_message(&data, 1, point);
	if (temporality) {
		slx_pb_put_varint(&data, 2, (uint64_t)temporality);
		if (type == 7)
			slx_pb_put_varint(&data, 3, 1);
	}
	put_message(&m, type, data);
	put_message(scope, 2, m);
}

static struct slx_buf request(void)
{
	struct slx_buf q = message(), rm = message(), res = message(), sm = message(), scope = message();
	put_attribute(&res, 1, "service.name", "shop");
	put_message(&rm, 1, res);
	put_text(&scope, 1, "lib");
	put_text(&scope, 2, "1.0");
	put_message(&sm, 1, scope);
	put_metric(&sm, "g", "1", 5, number_point(), 0);
	put_metric(&sm, "s", "By", 7, number_point(), 2);
	put_metric(&sm, "h", "s", 9, histogram_point(), 1);
	put_metric(&sm, "e", "", 10, exponential_point(), 2);
	put_metric(&sm, "q", "", 11, summary_point(), 0);
	put_message(&rm, 2, sm);
	put_message(&q, 1, rm);
	return q;
}

#define POINT                                                                                                                                           \
	"{\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}}],\"startTimeUnixNano\":\"1\",\"timeUnixNano\":2,\"asInt\":\"-5\",\"flags\":1,"       \
	"\"exemplars\":[{\"filteredAttributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"\\u0062\"}}],\"timeUnixNano\":\"9\",\"asDouble\":0.5,"              \
	"\"spanId\":\"01ff\",\"traceId\":\"ab\"}]}"

static const char json[] =
	"{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},\n"
	"\"scopeMetrics\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1.0\",\"new\":[{}]},\"metrics\":[\n"
	"{\"name\":\"g\",\"description\":\"what it is\",\"unit\":\"1\",\"gauge\":{\"dataPoints\":[" POINT "]}},\n"
	"{\"name\":\"s\",\"description\":\"what it is\",\"unit\":\"By\",\"sum\":{\"data_points\":[" POINT
	"],\"aggregation_temporality\":\"AGGREGATION_TEMPORALITY_CUMULATIVE\",\"isMonotonic\":true}},\n"
	"{\"name\":\"h\",\"description\":\"what it is\",\"unit\":\"s\",\"histogram\":{\"dataPoints\":[{\"timeUnixNano\":\"7\",\"count\":\"3\",\"sum\":4.5,"
	"\"bucketCounts\":[\"1\",2],\"explicitBounds\":[0.25]}],\"aggregationTemporality\":1}},\n"
	"{\"name\":\"e\",\"description\":\"what it is\",\"exponentialHistogram\":{\"dataPoints\":[{\"count\":300,\"scale\":-2,\"zeroCount\":1,"
	"\"zeroThreshold\":0.001,\"positive\":{\"offset\":-3,\"bucketCounts\":[299,\"1\"]}}],\"aggregationTemporality\":2}},\n"
	"{\"name\":\"q\",\"description\":\"what it is\",\"summary\":{\"dataPoints\":[{\"count\":2,\"quantileValues\":[{\"quantile\":0.99,\"value\":12}]}]}}]}]}]}";

static char *decoded(bool is_json, struct slx_str body)
{
	struct slx_otlp_request q;
	silex_error err;
	struct slx_buf b = message();
	silex_status st = (is_json ? slx_otlp_decode_json : slx_otlp_decode_protobuf)(&arena, 64 << 20, body, &q, &err);
	if (st != SILEX_OK)
		put(&b, "%s", err.message), slx_buf_u8(&b, 0);
	else
		put_request(&b, &q);
	char *text = strdup((char *)b.p);
	slx_buf_free(&b);
	return text;
}

static void both_encodings(void **state)
{
	struct slx_buf q = request();
	char *a = decoded(false, (struct slx_str){ (char *)q.p, q.n }), *b = decoded(true, slx_str(json));
	assert_string_equal(a, b);
	assert_non_null(strstr(a, "point k=v [1 2] none v=-5"));
	assert_non_null(strstr(a, "ex 0.5@9 ab/01ff a=b"));
	assert_non_null(strstr(a, "c1 c2 le0.25"));
	assert_non_null(strstr(a, "scale=-2 zero=1/0.001 +@-3,299,1"));
	assert_non_null(strstr(a, "q0.99=12"));
	free(a);
	free(b);
	slx_buf_free(&q);
}

/* Every prefix of a good request is refused or is a request; nothing is read outside. */
static void truncated(void **state)
{
	struct slx_buf q = request();
	for (size_t n = 0; n < q.n; n++) {
		char *copy = malloc(n ? n : 1);
		assert_non_null(copy);
		memcpy(copy, q.p, n);
		char *text = decoded(false, (struct slx_str){ copy, n });
		if (n)
			assert_non_null(strstr(text, "protobuf: at byte"));
		free(text);
		free(copy);
	}
	slx_buf_free(&q);
	slx_arena_clear(&arena);
}

static void attribute_values(void **state)
{
	char *text = decoded(true, slx_str("{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},"
								   "{\"boolValue\":true},{\"stringValue\":\"x\"},{}]}}},{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":"
								   "{\"doubleValue\":1.5}}]}}},{\"key\":\"b\",\"value\":{\"boolValue\":false}}]}}]}"));
	assert_string_equal(text, "resource a=[1,true,\"x\",null] m={\"k\":1.5} b=false\n");
	free(text);
	struct slx_buf q = message(), rm = message(), res = message(), kv = message(), any = message(), list = message(), item = message();
	slx_pb_put_varint(&item, 3, (uint64_t)-7);
	put_message(&list, 1, item);
	item = message();
	slx_pb_put_bytes(&item, 7, "\x01\x02\x03\x04", 4);
	put_message(&list, 1, item);
	item = message();
	put_double(&item, 4, 0.1);
	put_message(&list, 1, item);
	put_message(&any, 5, list);
	put_text(&kv, 1, "l");
	put_message(&kv, 2, any);
	put_message(&res, 1, kv);
	put_message(&rm, 1, res);
	put_message(&q, 1, rm);
	text = decoded(false, (struct slx_str){ (char *)q.p, q.n });
	assert_string_equal(text, "resource l=[-7,\"AQIDBA==\",0.1]\n");
	free(text);
	slx_buf_free(&q);
}

static void wrong_json(void **state)
{
	static const struct {
		const char *in, *message;
	} cases[] = {
		{ "", "JSON: line 1, column 1: expected an object" },
		{ "{\"resourceMetrics\":\n [1]}", "JSON: line 2, column 3: expected an object" },
		{ "{\"resourceMetrics\":[]} x", "JSON: line 1, column 24: expected the end" },
		{ "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"dataPoints\":[{\"asInt\":\"1x\"}]}}]}]}]}", "expected a number" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *text = decoded(true, slx_str(cases[i].in));
		if (!strstr(text, cases[i].message))
			fail_msg("%s\n-> %s", cases[i].in, text);
		free(text);
	}
}

static void too_large(void **state)
{
	enum { N = 1 << 16 };
	struct slx_buf q = message(), rm = message(), sm = message(), m = message(), data = message();
	for (int i = 0; i < N; i++)
		slx_pb_put_bytes(&data, 1, "", 0);
	put_message(&m, 5, data);
	put_message(&sm, 2, m);
	put_message(&rm, 2, sm);
	put_message(&q, 1, rm);
	struct slx_otlp_request r;
	silex_error err;
	assert_int_equal(slx_otlp_decode_protobuf(&arena, 1 << 20, (struct slx_str){ (char *)q.p, q.n }, &r, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "send it in parts"));
	slx_buf_free(&q);
}

static void answers(void **state)
{
	struct slx_buf b = message();
	slx_otlp_encode_response(&b, true, 0, NULL);
	slx_otlp_encode_response(&b, true, 2, "a \"b\"");
	slx_otlp_encode_status(&b, true, 3, "x");
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, "{}{\"partialSuccess\":{\"rejectedDataPoints\":\"2\",\"errorMessage\":\"a \\\"b\\\"\"}}{\"code\":3,\"message\":\"x\"}");
	slx_buf_reset(&b);
	slx_otlp_encode_response(&b, false, 0, NULL);
	assert_int_equal(b.n, 0);
	slx_otlp_encode_response(&b, false, 2, "no");
	assert_memory_equal(b.p, "\x0a\x06\x08\x02\x12\x02no", 8);
	slx_buf_free(&b);
}

static int clear(void **state)
{
	slx_arena_clear(&arena);
	return 0;
}

int main(void)
{
	slx_arena_init(&arena, test_mem(), SLX_MEM_OTHER, 1 << 20);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(both_encodings, clear),
		cmocka_unit_test_teardown(truncated, clear),
		cmocka_unit_test_teardown(attribute_values, clear),
		cmocka_unit_test_teardown(wrong_json, clear),
		cmocka_unit_test_teardown(too_large, clear),
		cmocka_unit_test_teardown(answers, clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
