/* Times, durations, limits and escaped names as Prometheus reads them. */
#include "server/prom/params.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 }, { "4", 4000 }, { "1435781451.781", 1435781451781 }, { "-1.5", -1500 }, { "1.5e9", 1500000000000 }, { "+1", 1000 },
		{ "2015-07-01T20:10:51.781Z", 1435781451781 }, { "2015-07-01T20:10:51Z", 1435781451000 }, { "2015-07-01T22:10:51.781999+02:00", 1435781451781 },
		{ "1969-12-31T23:59:59.5Z", -500 }, { "2016-02-29T00:00:00Z", 1456704000000 }, { "0001-01-01T00:00:00Z", SLX_PROM_MS_MIN },
		{ "9999-12-31T23:59:59Z", SLX_PROM_MS_MAX }, { "1e300", SLX_PROM_MS_MAX }, { "-62135596800", SLX_PROM_MS_MIN },
		{ "-292273086-05-16T16:47:06Z", SLX_PROM_MS_MIN }, { "292277025-08-18T07:12:54.999999999Z", SLX_PROM_MS_MAX } };
	static const char *const bad[] = { "", "x", "1s", "0x10", "now", "Inf", "NaN", "2015-07-01", "2015-07-01 20:10:51Z", "2015-02-29T00:00:00Z",
		"2015-07-01T24:10:51Z", "2015-07-01T20:10:51.Z", "2015-07-01T20:10:51", "2015-07-01T20:10:51+0200", "2015-07-01T20:10:51Zx", "1 " };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t ms;
		assert_int_equal(slx_prom_parse_time(slx_str(good[i].text), &ms, NULL), SILEX_OK);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t ms;
		assert_int_equal(slx_prom_parse_time(slx_str(bad[i]), &ms, NULL), SILEX_INVALID);
	}
	silex_error err;
	int64_t ms;
	slx_prom_parse_time(SLX_STR("a\"b\n"), &ms, &err);
	assert_string_equal(err.message, "cannot parse \"a\\\"b\\n\" to a valid timestamp");
}

static void test_duration(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = { { "15", 15 * SLX_SECOND }, { "0.5", SLX_SECOND / 2 }, { "-1", -SLX_SECOND }, { "1h30m", 90 * SLX_MINUTE }, { "250ms", 250 * SLX_MS },
		{ "1d", SLX_DAY }, { "1w", SLX_WEEK }, { "1y", SLX_YEAR }, { "0", 0 }, { "1e3", 1000 * SLX_SECOND } };
	static const char *const bad[] = { "", "x", "1us", "5ns", "-5m", "1m1h", "m", "1.5m" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t ns;
		assert_int_equal(slx_prom_parse_duration(slx_str(good[i].text), &ns, NULL), SILEX_OK);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t ns;
		assert_int_equal(slx_prom_parse_duration(slx_str(bad[i]), &ns, NULL), SILEX_INVALID);
	}
	silex_error err;
	int64_t ns;
	slx_prom_parse_duration(SLX_STR("1e300"), &ns, &err);
	assert_string_equal(err.message, "cannot parse \"1e300\" to a valid duration. It overflows int64");
}

static void test_limit(void **state)
{
	(void)state;
	uint64_t n;
	silex_error err;
	assert_int_equal(slx_prom_parse_limit(SLX_STR(""), &n, NULL), SILEX_OK);
	assert_int_equal(n, 0);
	assert_int_equal(slx_prom_parse_limit(SLX_STR("10"), &n, NULL), SILEX_OK);
	assert_int_equal(n, 10);
	assert_int_equal(slx_prom_parse_limit(SLX_STR("-1"), &n, &err), SILEX_INVALID);
	assert_string_equal(err.message, "limit must be non-negative");
	static const char *const bad[] = { "x", "1.5", "-", "+", " 1", "99999999999999999999" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(slx_prom_parse_limit(slx_str(bad[i]), &n, NULL), SILEX_INVALID);
}

static void test_unescape(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
	} t[] = { { "job", "job" }, { "U__http_2e_status", "http.status" }, { "U__a__b", "a_b" }, { "U___20ac_x", "\xe2\x82\xacx" }, { "U__", "" },
		{ "U__bad_zz_", "U__bad_zz_" }, { "U__open_2e", "U__open_2e" }, { "U__s_d800_", "U__s_d800_" }, { "U__x_1f600_", "x\xf0\x9f\x98\x80" },
		{ "U", "U" }, { "_", "_" } };
	struct slx_mem mem;
	struct slx_buf b;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1000);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		slx_buf_reset(&b);
		slx_prom_unescape_name(slx_str(t[i].text), &b);
		slx_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, t[i].name);
	}
	slx_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_time), cmocka_unit_test(test_duration), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_unescape) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
