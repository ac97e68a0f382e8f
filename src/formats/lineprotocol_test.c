/* InfluxData's line-protocol corpus: every input is accepted or refused as it says, and gives the same points; every
 * point is written so that it reads back. A part of it ships in testdata/lineprotocol; the whole runs when it is there
 * ($SLX_SHARED, or ../shared beside the checkout). */
#include "formats/json.h"
#include "formats/formats_test.h"
#include "formats/lineprotocol.h"

#include <math.h>

struct expected {
	char key[64], error[512];
	struct slx_buf text; /* the input, or the result of writing */
	bool valid, refused;
	struct slx_str points; /* JSON */
	struct slx_str point;
};

static int base64_value(char c)
{
	const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(set, c) : NULL;
	return p ? (int)(p - set) : -1;
}

static void put_base64(struct slx_buf *b, struct slx_str s)
{
	uint32_t acc = 0;
	int bits = 0;
	for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
		acc = acc << 6 | (uint32_t)base64_value(s.p[i]);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			slx_buf_u8(b, (uint8_t)(acc >> bits));
		}
	}
}

static void read_output(struct slx_json *j, struct expected *e)
{
	struct slx_str key, s;
	assert_true(slx_json_object(j));
	while (slx_json_key(j, &key)) {
		assert_true(slx_json_string(j, &s));
		if (slx_str_eq(key, SLX_STR("result")))
			slx_buf_put(&e->text, s.p, s.n);
		else
			e->refused = true;
	}
}

static void read_case(struct slx_str line, struct slx_buf *text, struct expected *e)
{
	struct slx_json j = slx_json_init(line.p, line.n, text);
	struct slx_str key, s;
	assert_non_null(slx_buf_reserve(text, line.n));
	assert_true(slx_json_object(&j));
	while (slx_json_key(&j, &key)) {
		if (slx_str_eq(key, SLX_STR("text"))) {
			assert_true(slx_json_string(&j, &s));
			slx_buf_put(&e->text, s.p, s.n);
		} else if (slx_str_eq(key, SLX_STR("text_b64"))) {
			assert_true(slx_json_string(&j, &s));
			put_base64(&e->text, s);
		} else if (slx_str_eq(key, SLX_STR("key"))) {
			assert_true(slx_json_string(&j, &s));
			snprintf(e->key, sizeof e->key, "%.*s", (int)s.n, s.p);
		} else if (slx_str_eq(key, SLX_STR("error"))) {
			assert_true(slx_json_string(&j, &s));
			snprintf(e->error, sizeof e->error, "%.*s", (int)s.n, s.p);
		} else if (slx_str_eq(key, SLX_STR("valid"))) {
			assert_true(slx_json_bool(&j, &e->valid));
		} else if (slx_str_eq(key, SLX_STR("points"))) {
			assert_true(slx_json_skip(&j, &e->points));
		} else if (slx_str_eq(key, SLX_STR("point"))) {
			assert_true(slx_json_skip(&j, &e->point));
		} else if (slx_str_eq(key, SLX_STR("output"))) {
			read_output(&j, e);
		} else {
			assert_true(slx_json_skip(&j, NULL));
		}
	}
	assert_true(slx_json_end(&j));
}

/* ---- points of the corpus ---- */

struct want_point {
	struct slx_str name;
	struct slx_label tags[64];
	struct slx_line_value fields[64];
	size_t tags_n, fields_n;
	int64_t time;
};

static void read_tag(struct slx_json *j, struct slx_label *t)
{
	struct slx_str key;
	assert_true(slx_json_object(j));
	while (slx_json_key(j, &key))
		assert_true(slx_json_string(j, slx_str_eq(key, SLX_STR("key")) ? &t->name : &t->value));
}

static void read_field_value(struct slx_json *j, struct slx_line_value *v)
{
	struct slx_str type, s;
	bool range;
	struct slx_number number;
	assert_true(slx_json_object(j));
	assert_true(slx_json_key(j, &type));
	if (slx_str_eq(type, SLX_STR("string"))) {
		v->type = SLX_LINE_STRING;
		assert_true(slx_json_string(j, &v->value.s));
	} else if (slx_str_eq(type, SLX_STR("bool"))) {
		v->type = SLX_LINE_BOOL;
		assert_true(slx_json_bool(j, &v->value.b));
	} else if (slx_str_eq(type, SLX_STR("int"))) {
		v->type = SLX_LINE_INT;
		assert_true(slx_json_number(j, &s) && slx_int64_parse(s.p, s.n, &v->value.i64, &range));
	} else if (slx_str_eq(type, SLX_STR("uint"))) {
		v->type = SLX_LINE_UINT;
		assert_true(slx_json_number(j, &s) && slx_uint64_parse(s.p, s.n, &v->value.u64, &range));
	} else {
		v->type = SLX_LINE_FLOAT;
		assert_true(slx_json_number(j, &s) && slx_number_parse(s.p, s.n, &number) != SLX_NUMBER_NONE);
		v->value.f64 = number.f64;
	}
	assert_false(slx_json_key(j, &type));
}

static void read_field(struct slx_json *j, struct slx_line_value *v)
{
	struct slx_str key;
	assert_true(slx_json_object(j));
	while (slx_json_key(j, &key)) {
		if (slx_str_eq(key, SLX_STR("key")))
			assert_true(slx_json_string(j, &v->key));
		else
			read_field_value(j, v);
	}
}

static void read_point(struct slx_json *j, struct want_point *w)
{
	struct slx_str key, s;
	bool range;
	memset(w, 0, sizeof *w);
	assert_true(slx_json_object(j));
	while (slx_json_key(j, &key)) {
		if (slx_str_eq(key, SLX_STR("name"))) {
			assert_true(slx_json_string(j, &w->name));
		} else if (slx_str_eq(key, SLX_STR("time"))) {
			assert_true(slx_json_number(j, &s) && slx_int64_parse(s.p, s.n, &w->time, &range));
		} else if (slx_str_eq(key, SLX_STR("tags"))) {
			assert_true(slx_json_array(j));
			while (slx_json_element(j))
				read_tag(j, &w->tags[w->tags_n++]);
		} else {
			assert_true(slx_json_array(j));
			while (slx_json_element(j))
				read_field(j, &w->fields[w->fields_n++]);
		}
	}
}

static bool token_is(struct slx_line_token t, enum slx_line_escape what, struct slx_str want)
{
	struct slx_buf b;
	slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_line_unescape(&b, t, what);
	bool ok = b.n == want.n && (want.n == 0 || memcmp(b.p, want.p, want.n) == 0);
	slx_buf_free(&b);
	return ok;
}

static bool same_value(const struct slx_line_field *f, const struct slx_line_value *w)
{
	if (f->type != w->type || !token_is(f->key, SLX_LINE_ESC_KEY, w->key))
		return false;
	switch (f->type) {
	case SLX_LINE_FLOAT:
		return f->value.f64 == w->value.f64;
	case SLX_LINE_BOOL:
		return f->value.b == w->value.b;
	case SLX_LINE_STRING:
		return token_is(f->value.s, SLX_LINE_ESC_STRING, w->value.s);
	default:
		return f->value.u64 == w->value.u64;
	}
}

/* The corpus sorts tags by key; the text may not. */
static bool same_point(const struct slx_line_point *p, const struct want_point *w, enum slx_time_unit unit)
{
	if (p->tags_n != w->tags_n || p->fields_n != w->fields_n || !token_is(p->name, SLX_LINE_ESC_MEASUREMENT, w->name))
		return false;
	for (size_t i = 0; i < w->tags_n; i++) {
		bool found = false;
		for (size_t k = 0; k < w->tags_n; k++)
			found |= token_is(p->tags[k].key, SLX_LINE_ESC_KEY, w->tags[i].name) &&
				token_is(p->tags[k].value, SLX_LINE_ESC_KEY, w->tags[i].value);
		if (!found)
			return false;
	}
	for (size_t i = 0; i < w->fields_n; i++)
		if (!same_value(&p->fields[i], &w->fields[i]))
			return false;
	int64_t t;
	return !p->has_time || (slx_time_from_unit(p->time, unit, &t, NULL) == SILEX_OK && t == w->time);
}

static enum slx_time_unit unit_of(struct slx_str line)
{
	return memmem(line.p, line.n, "\"precision\": \"1us\"", 18) ? SLX_UNIT_US
		: memmem(line.p, line.n, "\"precision\": \"1ms\"", 18)  ? SLX_UNIT_MS
		: memmem(line.p, line.n, "\"precision\": \"1s\"", 17)   ? SLX_UNIT_S
																: SLX_UNIT_NS;
}

/* Reads all points of `text`; false at the first that is refused. want: compared, when given. */
static bool read_all(struct slx_str text, struct slx_json *want, enum slx_time_unit unit, const char *key)
{
	struct slx_line_reader r;
	slx_line_reader_init(&r, test_mem(), 256, 65536);
	bool ok = true;
	struct want_point w;
	for (size_t at = 0, used = 0; at < text.n && ok; at += used) {
		enum slx_line_result result = slx_line_read(&r, text.p + at, text.n - at, true, &used);
		assert_true(used > 0 && used <= text.n - at);
		if (result == SLX_LINE_BLANK)
			continue;
		ok = result == SLX_LINE_POINT && slx_line_check_tags(&r);
		if (ok && want) {
			if (!slx_json_element(want))
				fail_msg("%s: more points than expected", key);
			read_point(want, &w);
			if (!same_point(&r.point, &w, unit))
				fail_msg("%s: another point: %.*s", key, (int)text.n, text.p);
		}
	}
	slx_line_reader_free(&r);
	return ok;
}

static void decode_case(struct slx_str line, void *arg)
{
	int *counts = arg;
	struct slx_buf text, points_text;
	struct expected e = { 0 };
	slx_buf_init(&text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&points_text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&e.text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	read_case(line, &text, &e);
	assert_non_null(slx_buf_reserve(&points_text, line.n));

	struct slx_json points = slx_json_init(e.points.p, e.points.n, &points_text);
	if (e.valid)
		assert_true(slx_json_array(&points));
	struct slx_str input = { (const char *)e.text.p, e.text.n };
	if (read_all(input, e.valid ? &points : NULL, unit_of(line), e.key) != e.valid)
		fail_msg("%s: expected %s: %.*s (%s)", e.key, e.valid ? "valid" : "invalid", (int)e.text.n, (char *)e.text.p,
			e.error);
	if (e.valid)
		assert_false(slx_json_element(&points));
	counts[e.valid]++;
	slx_buf_free(&e.text);
	slx_buf_free(&points_text);
	slx_buf_free(&text);
}

/* Written lines equal the corpus's, or (where a float is spelled otherwise: 6632243 for 6.632243e+06) read back equal.
 * */
static void encode_case(struct slx_str line, void *arg)
{
	int *counts = arg;
	struct slx_buf text, point_text, out;
	struct expected e = { 0 };
	struct want_point w;
	slx_buf_init(&text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&point_text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&out, test_mem(), SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&e.text, test_mem(), SLX_MEM_OTHER, 1 << 20);
	read_case(line, &text, &e);
	assert_non_null(slx_buf_reserve(&point_text, line.n));
	struct slx_json j = slx_json_init(e.point.p, e.point.n, &point_text);
	read_point(&j, &w);

	bool ok = slx_line_write(&out, w.name, w.tags, w.tags_n, w.fields, w.fields_n, w.time);
	if (ok == e.refused)
		fail_msg("%s: %s", e.key, ok ? "should be refused" : "should be written");
	if (ok) {
		struct slx_line_reader r;
		size_t used;
		slx_line_reader_init(&r, test_mem(), 256, 65536);
		assert_int_equal(slx_line_read(&r, (char *)out.p, out.n, true, &used), SLX_LINE_POINT);
		if (!same_point(&r.point, &w, SLX_UNIT_NS))
			fail_msg("%s: reads back otherwise: %.*s", e.key, (int)out.n, (char *)out.p);
		slx_line_reader_free(&r);
		counts[out.n == e.text.n + 1 && memcmp(out.p, e.text.p, e.text.n) == 0]++;
	}
	slx_buf_free(&e.text);
	slx_buf_free(&out);
	slx_buf_free(&point_text);
	slx_buf_free(&text);
}

static void decode_shipped(void **state)
{
	int counts[2] = { 0 };
	test_each_line(SLX_SOURCE_DIR "/testdata/lineprotocol/decode.jsonl", decode_case, counts);
	print_message("%d valid, %d invalid\n", counts[1], counts[0]);
	assert_true(counts[0] >= 50 && counts[1] >= 50);
}

static void decode_whole(void **state)
{
	char path[512];
	int counts[2] = { 0 };
	if (!test_shared(path, sizeof path, "data/lineprotocol/decode.jsonl"))
		skip();
	test_each_line(path, decode_case, counts);
	print_message("%d valid, %d invalid\n", counts[1], counts[0]);
	assert_int_equal(counts[1], 251);
	assert_int_equal(counts[0], 543);
}

static void encode_shipped(void **state)
{
	int counts[2] = { 0 };
	test_each_line(SLX_SOURCE_DIR "/testdata/lineprotocol/encode.jsonl", encode_case, counts);
	print_message("%d byte for byte, %d with a float spelled otherwise\n", counts[1], counts[0]);
	assert_true(counts[1] >= 40);
}

static void encode_whole(void **state)
{
	char path[512];
	int counts[2] = { 0 };
	if (!test_shared(path, sizeof path, "data/lineprotocol/encode.jsonl"))
		skip();
	test_each_line(path, encode_case, counts);
	print_message("%d byte for byte, %d with a float spelled otherwise\n", counts[1], counts[0]);
	assert_int_equal(counts[0] + counts[1], 114);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_shipped),
		cmocka_unit_test(decode_whole),
		cmocka_unit_test(encode_shipped),
		cmocka_unit_test(encode_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
