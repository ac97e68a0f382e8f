#include "model/model.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct slx_mem mem;

static int setup(void **state)
{
	static struct slx_labels_builder b;
	slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	slx_labels_builder_free(*state);
	return slx_mem_total(&mem) != 0;
}

static struct slx_labels text(struct slx_labels_builder *b, const char *z)
{
	struct slx_labels l;
	silex_error err;
	if (slx_labels_parse_text(b, slx_str(z), &l, &err) != SILEX_OK)
		fail_msg("%s: %s", z, err.message);
	return l;
}

static void check_format(struct slx_labels l, const char *expected)
{
	struct slx_buf out;
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
	slx_labels_format(l, &out);
	slx_buf_u8(&out, 0);
	assert_string_equal((char *)out.p, expected);
	slx_buf_free(&out);
}

static void test_builder(void **state)
{
	struct slx_labels_builder *b = *state;
	slx_labels_builder_add(b, SLX_STR("host"), SLX_STR("h1"));
	slx_labels_builder_add(b, SLX_STR("gone"), SLX_STR(""));
	slx_labels_builder_add(b, SLX_METRIC_NAME, SLX_STR("cpu"));
	slx_labels_builder_add(b, SLX_STR("az"), SLX_STR("a"));
	struct slx_labels l, again;
	assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
	static const uint8_t bytes[] = "\x03\x08__name__\x03"
								   "cpu\x02"
								   "az\x01"
								   "a\x04host\x02h1";
	assert_int_equal(l.n, sizeof bytes - 1);
	assert_memory_equal(l.p, bytes, l.n);
	assert_int_equal(slx_labels_parse(l.p, l.n, NULL, &again, NULL), SILEX_OK);
	assert_true(slx_labels_eq(l, again));
	assert_int_equal(slx_labels_count(l), 3);
	assert_true(slx_str_eq(slx_labels_get(l, SLX_STR("host")), SLX_STR("h1")));
	assert_int_equal(slx_labels_get(l, SLX_STR("gone")).n, 0);
	check_format(l, "cpu{az=\"a\",host=\"h1\"}");

	slx_labels_builder_reset(b);
	assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
	assert_int_equal(l.n, 1);
	check_format(l, "{}");
}

static void refuse_pair(struct slx_labels_builder *b, struct slx_str name, struct slx_str value, const char *words)
{
	struct slx_labels l;
	silex_error err;
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_STR("a"), SLX_STR("1"));
	slx_labels_builder_add(b, name, value);
	assert_int_equal(slx_labels_builder_finish(b, &l, &err), SILEX_INVALID);
	if (!strstr(err.message, words))
		fail_msg("%s; expected %s", err.message, words);
}

static void test_builder_refuses(void **state)
{
	static char long_text[9000];
	memset(long_text, 'x', sizeof long_text);
	struct slx_str text_of_9000 = { long_text, sizeof long_text }, text_of_1025 = { long_text, 1025 };
	struct slx_labels_builder *b = *state;
	refuse_pair(b, SLX_STR("a"), SLX_STR("2"), "label \"a\" is given twice");
	refuse_pair(b, SLX_STR("a"), SLX_STR(""), "label \"a\" is given twice");
	refuse_pair(b, SLX_STR(""), SLX_STR("v"), "label name is empty");
	refuse_pair(b, SLX_STR("b"), SLX_STR("\xff"), "value of label \"b\" is not valid UTF-8");
	refuse_pair(b, SLX_STR("\xed\xa0\x80"), SLX_STR("v"), "is not valid UTF-8");
	refuse_pair(b, text_of_1025, SLX_STR("v"), "has 1025 bytes; expected at most 1024");
	refuse_pair(b, SLX_STR("b"), text_of_9000, "value of label \"b\" has 9000 bytes; expected at most 8192");

	struct slx_labels l;
	silex_error err;
	char names[129][8];
	slx_labels_builder_reset(b);
	for (int i = 0; i < 129; i++) {
		snprintf(names[i], sizeof names[i], "n%d", i);
		slx_labels_builder_add(b, slx_str(names[i]), SLX_STR("v"));
	}
	assert_int_equal(slx_labels_builder_finish(b, &l, &err), SILEX_INVALID);
	assert_string_equal(err.message, "129 labels; expected at most 128");
	slx_labels_builder_reset(b);
	for (int i = 0; i < 9; i++)
		slx_labels_builder_add(b, slx_str(names[i]), (struct slx_str){ long_text, 8192 });
	assert_int_equal(slx_labels_builder_finish(b, &l, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "expected at most 65536"));
}

/* Many labels in random order come out sorted. */
static void test_sorting(void **state)
{
	struct slx_labels_builder *b = *state;
	uint64_t rng = 1;
	for (int round = 0; round < 200; round++) {
		char names[100][16];
		int n = (int)(slx_rng_next(&rng) % 100);
		slx_labels_builder_reset(b);
		for (int i = 0; i < n; i++) {
			snprintf(names[i], sizeof names[i], "%d_%d", (int)(slx_rng_next(&rng) % 1000), i);
			slx_labels_builder_add(b, slx_str(names[i]), slx_str(names[i]));
		}
		struct slx_labels l, again;
		assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
		assert_int_equal(slx_labels_parse(l.p, l.n, NULL, &again, NULL), SILEX_OK);
		assert_int_equal(slx_labels_count(l), n);
	}
}

/* The order of one set is where the next begins: here with the same number of labels and other names. */
static void test_sorting_again(void **state)
{
	struct slx_labels_builder *b = *state;
	uint64_t rng = 2;
	for (int round = 0; round < 300; round++) {
		char names[11][16];
		slx_labels_builder_reset(b);
		for (int i = 0; i < 11; i++) {
			snprintf(names[i], sizeof names[i], "%d_%d", (int)(slx_rng_next(&rng) % 1000), i);
			slx_labels_builder_add(b, slx_str(names[i]), slx_str(names[i]));
		}
		struct slx_labels l, again;
		assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
		assert_int_equal(slx_labels_parse(l.p, l.n, NULL, &again, NULL), SILEX_OK);
		for (int i = 0; i < 11; i++)
			assert_true(slx_str_eq(slx_labels_get(l, slx_str(names[i])), slx_str(names[i])));
	}
}

/* Texts of each length are copied whole, and a byte that is no UTF-8 is seen wherever it is. */
static void test_each_length(void **state)
{
	struct slx_labels_builder *b = *state;
	for (size_t n = 1; n <= 40; n++)
		for (size_t at = 0; at <= n; at++) {
			char v[40];
			for (size_t i = 0; i < n; i++)
				v[i] = (char)('0' + i);
			if (at < n)
				v[at] = (char)0xff;
			struct slx_labels l;
			slx_labels_builder_reset(b);
			slx_labels_builder_add(b, SLX_STR("a"), (struct slx_str){ v, n });
			assert_int_equal(slx_labels_builder_finish(b, &l, NULL), at < n ? SILEX_INVALID : SILEX_OK);
			if (at == n)
				assert_true(slx_str_eq(slx_labels_get(l, SLX_STR("a")), (struct slx_str){ v, n }));
			slx_labels_builder_reset(b);
			slx_labels_builder_add(b, (struct slx_str){ v, n }, SLX_STR("a"));
			assert_int_equal(slx_labels_builder_finish(b, &l, NULL), at < n ? SILEX_INVALID : SILEX_OK);
		}
}

static void test_foreign_bytes(void **state)
{
	static const struct {
		struct slx_str bytes;
		const char *words;
	} cases[] = {
		{ SLX_STR(""), "offset 0" },
		{ SLX_STR("\x81\x00"), "offset 0" }, /* a varint longer than it has to be */
		{ SLX_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "offset 0" },
		{ SLX_STR("\x01"), "offset 1" },
		{ SLX_STR("\x01\x01"
				  "a"),
			"offset 1" },
		{ SLX_STR("\x01\x01"
				  "a\x00"),
			"offset 1" }, /* empty value */
		{ SLX_STR("\x01\x00\x01"
				  "a"),
			"offset 1" },
		{ SLX_STR("\x01\x01"
				  "a\x05"
				  "bcd"),
			"offset 1" },
		{ SLX_STR("\x01\x01"
				  "a\x01\xff"),
			"offset 1" },
		{ SLX_STR("\x02\x01"
				  "b\x01x\x01"
				  "a\x01y"),
			"\"a\" does not come after \"b\"" },
		{ SLX_STR("\x02\x01"
				  "a\x01x\x01"
				  "a\x01y"),
			"\"a\" does not come after \"a\"" },
		{ SLX_STR("\x01\x01"
				  "a\x01"
				  "bX"),
			"offset 5: expected the end" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slx_labels l;
		silex_error err;
		assert_int_equal(slx_labels_parse(cases[i].bytes.p, cases[i].bytes.n, NULL, &l, &err), SILEX_CORRUPT);
		if (!strstr(err.message, cases[i].words))
			fail_msg("case %zu: %s; expected %s", i, err.message, cases[i].words);
	}
}

static void test_text(void **state)
{
	static const char *const cases[][2] = {
		{ "up", "up" },
		{ "up{}", "up" },
		{ " up { b = \"2\" , a = '1' , } ", "up{a=\"1\",b=\"2\"}" },
		{ "{__name__=\"up\"}", "up" },
		{ "{\"my.metric\",a=\"b\"}", "{\"my.metric\",a=\"b\"}" },
		{ "{\"my.metric\"}", "{\"my.metric\"}" },
		{ "x{\"my.label\"=\"b\"}", "x{\"my.label\"=\"b\"}" },
		{ "x{a=\"q\\\"b\\\\n\\nt\"}", "x{a=\"q\\\"b\\\\n\\nt\"}" },
		{ "x{a=`raw\\`}", "x{a=\"raw\\\\\"}" },
		{ "x{a=\"\"}", "x" },
		{ "{\"caf\xc3\xa9\"=\"\\u00e9\"}", "{\"caf\xc3\xa9\"=\"\xc3\xa9\"}" },
		{ "", "{}" },
	};
	struct slx_labels_builder other;
	slx_labels_builder_init(&other, &mem, SLX_MEM_OTHER, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slx_labels l = text(*state, cases[i][0]);
		check_format(l, cases[i][1]);
		assert_true(slx_labels_eq(l, text(&other, cases[i][1])));
	}
	slx_labels_builder_free(&other);

	struct slx_labels l;
	silex_error err;
	assert_int_equal(slx_labels_parse_text(*state, SLX_STR("x{a!=\"b\"}"), &l, &err), SILEX_INVALID);
	assert_string_equal(err.message, "column 4: expected '=', found '!='");
	assert_int_equal(slx_labels_parse_text(*state, SLX_STR("x{a=\"b\",a=\"c\"}"), &l, &err), SILEX_INVALID);
	assert_string_equal(err.message, "label \"a\" is given twice");
}

static void test_order(void **state)
{
	static const char *const ascending[] = { "{}", "{A=\"1\"}", "a", "a{b=\"1\"}", "a{b=\"1\",c=\"1\"}", "a{b=\"10\"}",
		"a{b=\"2\"}", "a{c=\"0\"}", "ab", "b", "{b=\"0\"}" };
	struct slx_labels_builder other;
	slx_labels_builder_init(&other, &mem, SLX_MEM_OTHER, NULL);
	int n = sizeof ascending / sizeof *ascending;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			int c = slx_labels_cmp(text(*state, ascending[i]), text(&other, ascending[j]));
			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	slx_labels_builder_free(&other);
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "", "abcdefgh\xc3\xa9", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xe2\x82",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "abcdefgh\xe2\x28\xa1",
		"\xf0\x90\x80" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(slx_utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(slx_utf8_valid(bad[i], strlen(bad[i])));
}

/* The worked example of docs/format/identity.md. */
static void test_identity(void **state)
{
	struct slx_hash128 id = slx_series_id(SLX_STR("default"), text(*state, "cpu{az=\"a\",host=\"h1\"}"));
	assert_true(id.hi == UINT64_C(0x920be9b9c4c1a37e) && id.lo == UINT64_C(0x63d10abb843aefe9));
	struct slx_hash128 other = slx_series_id(SLX_STR("defaul"), text(*state, "cpu{az=\"a\",host=\"h1\"}"));
	assert_false(slx_hash128_eq(id, other));

	/* Joined on the stack or fed piece by piece: one result. */
	static char value[4000], joined[8192];
	memset(value, 'v', sizeof value);
	struct slx_labels_builder *b = *state;
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_STR("a"), (struct slx_str){ value, sizeof value });
	struct slx_labels l;
	assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
	memcpy(joined, "t", 2);
	memcpy(joined + 2, l.p, l.n);
	assert_true(slx_hash128_eq(slx_series_id(SLX_STR("t"), l), slx_hash128(joined, l.n + 2, 0)));
}

static void test_tenants(void **state)
{
	char name[152];
	memset(name, 'a', sizeof name);
	assert_int_equal(slx_tenant_check((struct slx_str){ name, 150 }, NULL), SILEX_OK);
	assert_int_equal(slx_tenant_check((struct slx_str){ name, 151 }, NULL), SILEX_INVALID);
	assert_int_equal(slx_tenant_check(SLX_STR("Az09_.-"), NULL), SILEX_OK);
	assert_int_equal(slx_tenant_check(SLX_STR("..."), NULL), SILEX_OK);
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "\xc3\xa9", "a\n" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(slx_tenant_check(slx_str(bad[i]), NULL), SILEX_INVALID);
	silex_error err;
	slx_tenant_check(SLX_STR("ab/c"), &err);
	assert_string_equal(err.message, "tenant name: byte 0x2f at 2; expected A-Z a-z 0-9 _ . -");
}

static void test_kinds(void **state)
{
	for (int k = 0; k < SLX_KINDS; k++) {
		enum slx_kind back;
		assert_int_equal(slx_kind_parse(slx_str(slx_kind_name((enum slx_kind)k)), &back, NULL), SILEX_OK);
		assert_int_equal(back, k);
	}
	enum slx_kind back;
	assert_int_equal(slx_kind_parse(SLX_STR("float"), &back, NULL), SILEX_INVALID);
	assert_string_equal(slx_kind_name((enum slx_kind)99), "unknown");
	assert_true(slx_bits_number(SLX_KIND_INT64, (uint64_t)-3) == -3.0);
	assert_true(slx_bits_number(SLX_KIND_BOOL, 1) == 1.0);
	assert_true(slx_bits_number(SLX_KIND_FLOAT64, slx_f64_bits(2.5)) == 2.5);
}

static void test_values_that_are_bytes(void **state)
{
	static uint8_t a[400], b[400];
	memset(slx_put_varint(a, 300), 'x', 300);
	memcpy(b, a, sizeof a);
	uint64_t x = (uint64_t)(uintptr_t)a, y = (uint64_t)(uintptr_t)b;
	double number = slx_bits_number(SLX_KIND_HISTOGRAM, x);
	assert_true(number != number);
	assert_int_equal(slx_value_bytes(x).n, 300);
	assert_int_equal(slx_value_bytes(x).p[0], 'x');
	assert_int_equal(slx_value_stored(x), 302);
	assert_true(slx_values_equal(SLX_KIND_BYTES, x, y));
	assert_false(slx_values_equal(SLX_KIND_INT64, x, y));
	b[301] = 'y';
	assert_false(slx_values_equal(SLX_KIND_BYTES, x, y));
}

static void test_internal_tenants(void **state)
{
	static const char *const good[] = { "a!exemplars", "default!metadata", "a!1h.sum", "a" }, *const bad[] = { "a!", "!exemplars", "a!b!c", "a!B", "a b!c", "..!a", "" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(slx_tenant_check_stored(slx_str(good[i]), NULL), SILEX_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(slx_tenant_check_stored(slx_str(bad[i]), NULL), SILEX_INVALID);
	assert_int_equal(slx_tenant_check(SLX_STR("a!exemplars"), NULL), SILEX_INVALID);
	assert_true(slx_tenant_is_internal(SLX_STR("a!exemplars")));
	assert_false(slx_tenant_is_internal(SLX_STR("a")));
}

int main(void)
{
	slx_mem_init(&mem, NULL);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_builder),
		T(test_builder_refuses),
		T(test_sorting),
		T(test_sorting_again),
		T(test_each_length),
		T(test_foreign_bytes),
		T(test_text),
		T(test_order),
		T(test_utf8),
		T(test_identity),
		T(test_tenants),
		T(test_kinds),
		T(test_values_that_are_bytes),
		T(test_internal_tenants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
