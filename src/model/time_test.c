#include "model/time.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 2024-05-01T10:00:00Z */
#define MAY_FIRST (INT64_C(1714557600) * SLX_SECOND)

static void check_time(const char *s, enum slx_time_unit unit, int64_t expected)
{
	int64_t t;
	silex_error err;
	if (slx_time_parse(s, strlen(s), unit, MAY_FIRST, &t, &err) != SILEX_OK)
		fail_msg("%s: %s", s, err.message);
	if (t != expected)
		fail_msg("%s: %lld, expected %lld", s, (long long)t, (long long)expected);
}

static void test_parse(void **state)
{
	static const char *const first[] = {
		"2024-05-01T10:00:00Z",
		"2024-05-01t10:00:00z",
		"2024-05-01 10:00:00",
		"2024-05-01T10:00",
		"2024-05-01T12:00:00+02:00",
		"2024-05-01T05:30-0430",
		"2024-05-01T11:00:00.0+01",
		"1714557600",
		"1714557600000",
		"1714557600000000",
		"1714557600000000000",
		"1714557600.0",
		"now",
		"now-0",
	};
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		check_time(first[i], SLX_UNIT_AUTO, MAY_FIRST);
	check_time("2024-05-01", SLX_UNIT_AUTO, MAY_FIRST - 10 * SLX_HOUR);
	check_time("2024-05-01T10:00:00.25Z", SLX_UNIT_AUTO, MAY_FIRST + 250 * SLX_MS);
	check_time("2024-05-01T10:00:00.1234567899Z", SLX_UNIT_AUTO, MAY_FIRST + 123456789);
	check_time("now-1h30m", SLX_UNIT_AUTO, MAY_FIRST - 90 * SLX_MINUTE);
	check_time("now+250ms", SLX_UNIT_AUTO, MAY_FIRST + 250 * SLX_MS);
	check_time("5", SLX_UNIT_NS, 5);
	check_time("5", SLX_UNIT_US, 5000);
	check_time("-1.5", SLX_UNIT_MS, -1500000);
	check_time("1.000000001", SLX_UNIT_S, SLX_SECOND + 1);
	check_time("0", SLX_UNIT_AUTO, 0);
	check_time("2000-02-29T23:59:59Z", SLX_UNIT_AUTO, INT64_C(951868799) * SLX_SECOND);
	check_time("1969-12-31T23:59:59.999999999Z", SLX_UNIT_AUTO, -1);
	check_time("1677-09-21T00:12:43.145224193Z", SLX_UNIT_AUTO, SLX_TIME_MIN);
	check_time("2262-04-11T23:47:16.854775806Z", SLX_UNIT_AUTO, SLX_TIME_MAX);
	check_time("-9223372036854775807", SLX_UNIT_NS, SLX_TIME_MIN);
}

static void test_parse_refuses(void **state)
{
	static const char *const cases[][2] = {
		{ "", "column 1: expected a date" },
		{ "yesterday", "column 1: expected a date" },
		{ "2024-13-01", "column 6: expected a month" },
		{ "2023-02-29", "column 9: expected a day of that month" },
		{ "1900-02-29", "column 9: expected a day of that month" },
		{ "2024-05-01T24:00:00Z", "column 12: expected an hour" },
		{ "2024-05-01T10:60:00Z", "column 15: expected a minute" },
		{ "2024-05-01T10:00:60Z", "column 18: expected a second" },
		{ "2024-05-01T10:00:00.Z", "column 21: expected a digit" },
		{ "2024-05-01T10:00:00Zx", "column 21: expected the end" },
		{ "2024-05-01T10:00:00+25:00", "column 21: expected zone hours" },
		{ "2024-05-01X", "column 11: expected the end" },
		{ "2024-5-1", "column 7: expected a month" },
		{ "2896-01-01", "outside the legal range" },
		{ "0001-01-01", "outside the legal range" },
		{ "1677-09-21T00:12:43.145224192Z", "outside the legal range" },
		{ "2262-04-11T23:47:16.854775807Z", "outside the legal range" },
		{ "9223372036854775807", "outside the legal range" },
		{ "99999999999999999999999", "outside the legal range" },
		{ "12x", "column 3: expected the end of the number" },
		{ "now-", "column 5: expected a whole number" },
		{ "now-5", "column 6: expected a unit" },
		{ "now*5m", "column 4: expected '+', '-' or the end" },
		{ "now+290y", "outside the legal range" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t t;
		silex_error err;
		assert_int_equal(
			slx_time_parse(cases[i][0], strlen(cases[i][0]), SLX_UNIT_AUTO, MAY_FIRST, &t, &err), SILEX_INVALID);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("%s: %s; expected %s", cases[i][0], err.message, cases[i][1]);
	}
}

static void test_units(void **state)
{
	int64_t t;
	assert_int_equal(slx_time_from_unit(-3, SLX_UNIT_MS, &t, NULL), SILEX_OK);
	assert_true(t == -3 * SLX_MS);
	assert_int_equal(slx_time_from_unit(9223372037, SLX_UNIT_S, &t, NULL), SILEX_INVALID);
	assert_int_equal(slx_time_from_unit(INT64_MIN, SLX_UNIT_NS, &t, NULL), SILEX_INVALID);
	assert_int_equal(slx_time_from_unit(INT64_MAX, SLX_UNIT_NS, &t, NULL), SILEX_INVALID);
	assert_int_equal(slx_time_from_unit(INT64_MIN, SLX_UNIT_S, &t, NULL), SILEX_INVALID);
}

/* Text and back, and the calendar against the C library's. */
static void test_round_trip(void **state)
{
	uint64_t rng = 7;
	for (int i = 0; i < 100000; i++) {
		int64_t t = slx_time_clamp((int64_t)slx_rng_next(&rng));
		if (i % 3 == 0)
			t -= t % SLX_SECOND;
		else if (i % 3 == 1)
			t -= t % SLX_MS;
		char text[SLX_TIME_TEXT_SIZE];
		size_t n = slx_time_format(t, text);
		assert_int_equal(n, strlen(text));
		check_time(text, SLX_UNIT_AUTO, t);

		time_t seconds = (time_t)(t / SLX_SECOND - (t % SLX_SECOND < 0));
		struct tm tm;
		char oracle[SLX_TIME_TEXT_SIZE];
		gmtime_r(&seconds, &tm);
		strftime(oracle, sizeof oracle, "%Y-%m-%dT%H:%M:%S", &tm);
		assert_memory_equal(text, oracle, strlen(oracle));
	}
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(MAY_FIRST + 120 * SLX_MS, text);
	assert_string_equal(text, "2024-05-01T10:00:00.120Z");
	slx_time_format(INT64_MIN, text); /* not legal, yet printable */
	assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
}

static void test_civil(void **state)
{
	int64_t year;
	unsigned month, day;
	for (int64_t days = -800000; days < 800000; days += 17) {
		slx_civil_from_days(days, &year, &month, &day);
		assert_true(slx_days_from_civil(year, month, day) == days);
	}
	assert_true(slx_days_from_civil(1970, 1, 1) == 0);
	assert_true(slx_days_from_civil(2000, 3, 1) == 11017);
}

/* ---- durations ---- */

static void check_duration(const char *s, int64_t expected, const char *canonical)
{
	int64_t d;
	char text[SLX_DURATION_TEXT_SIZE];
	assert_int_equal(slx_duration_parse(s, strlen(s), &d, NULL), SILEX_OK);
	assert_true(d == expected);
	size_t n = slx_duration_format(d, text);
	assert_int_equal(n, strlen(text));
	assert_string_equal(text, canonical);
}

static void test_durations(void **state)
{
	check_duration("0", 0, "0s");
	check_duration("5m", 5 * SLX_MINUTE, "5m");
	check_duration("90m", 90 * SLX_MINUTE, "1h30m");
	check_duration("1h30m", 90 * SLX_MINUTE, "1h30m");
	check_duration("250ms", 250 * SLX_MS, "250ms");
	check_duration("7d", SLX_WEEK, "1w");
	check_duration("8d", 8 * SLX_DAY, "8d");
	check_duration("1y", SLX_YEAR, "1y");
	check_duration("1y1h", SLX_YEAR + SLX_HOUR, "365d1h");
	check_duration("1s1ms1us1ns", 1001001001, "1s1ms1us1ns");
	check_duration("-5m", -5 * SLX_MINUTE, "-5m");
	check_duration("9223372036854775807ns", INT64_MAX, "106751d23h47m16s854ms775us807ns");
	char text[SLX_DURATION_TEXT_SIZE];
	slx_duration_format(INT64_MIN, text);
	assert_string_equal(text, "-106751d23h47m16s854ms775us808ns");

	static const char *const bad[] = { "", "-", "5", "m", "5x", "1m1h", "5m5m", "1.5h", "5 m", "300y", "292y52w",
		"9223372036854775808ns", "99999999999999999999s", "5mm", "00" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t d;
		silex_error err;
		if (slx_duration_parse(bad[i], strlen(bad[i]), &d, &err) != SILEX_INVALID)
			fail_msg("%s was accepted", bad[i]);
		assert_non_null(strstr(err.message, "expected"));
	}
}

/* ---- windows ---- */

static void test_windows(void **state)
{
	assert_true(slx_window_start(7, 5, 0) == 5 && slx_window_start(5, 5, 0) == 5 && slx_window_last(5, 5, 0) == 9);
	assert_true(
		slx_window_start(-1, 5, 0) == -5 && slx_window_start(-5, 5, 0) == -5 && slx_window_last(-1, 5, 0) == -1);
	assert_true(slx_window_start(7, 5, 3) == 3 && slx_window_start(2, 5, 3) == -2);
	assert_true(slx_window_index(-1, 5, 0) == -1 && slx_window_index(INT64_MAX, 1, INT64_MIN) == INT64_MAX);
	uint64_t rng = 3;
	for (int i = 0; i < 100000; i++) {
		int64_t t = slx_time_clamp((int64_t)slx_rng_next(&rng)), origin = i % 2 ? 0 : (int64_t)slx_rng_next(&rng);
		int64_t step = (int64_t)(slx_rng_next(&rng) >> (1 + i % 62));
		step += step == 0;
		int64_t from = slx_window_start(t, step, origin), last = slx_window_last(t, step, origin);
		assert_true(from <= t && t <= last && slx_time_legal(from) && slx_time_legal(last));
		assert_true((__int128)last - from < step);
		if (from > SLX_TIME_MIN)
			assert_true(((__int128)from - origin) % step == 0);
	}
}

static void test_window_count(void **state)
{
	uint64_t n;
	silex_error err;
	assert_int_equal(slx_window_count((struct slx_time_range){ 0, 9 }, 5, 0, 10, &n, NULL), SILEX_OK);
	assert_int_equal(n, 2);
	assert_int_equal(slx_window_count((struct slx_time_range){ -1, 10 }, 5, 0, 10, &n, NULL), SILEX_OK);
	assert_int_equal(n, 4);
	assert_int_equal(slx_window_count((struct slx_time_range){ 1, 0 }, 5, 0, 10, &n, NULL), SILEX_OK);
	assert_int_equal(n, 0);
	assert_int_equal(slx_window_count(SLX_TIME_ALL, 1, 0, UINT64_MAX, &n, NULL), SILEX_OK);
	assert_true(n == UINT64_MAX - 1);
	assert_int_equal(slx_window_count(SLX_TIME_ALL, 0, 0, 10, &n, &err), SILEX_INVALID);
	assert_string_equal(err.message, "step is 0 ns; expected at least 1");
	assert_int_equal(slx_window_count(SLX_TIME_ALL, SLX_MINUTE, 0, 11000, &n, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "step 1m makes 307445736 windows; expected at most 11000"));
}

static void test_ranges(void **state)
{
	assert_true(slx_time_add(SLX_TIME_MAX, 1) == SLX_TIME_MAX && slx_time_add(SLX_TIME_MIN, -1) == SLX_TIME_MIN);
	assert_true(slx_time_sub(SLX_TIME_MIN, INT64_MAX) == SLX_TIME_MIN && slx_time_sub(0, INT64_MIN) == SLX_TIME_MAX);
	assert_true(slx_time_add(5, -7) == -2 && slx_time_sub(5, 7) == -2);
	struct slx_time_range a = { 0, 10 }, b = { 10, 20 }, none = { 1, 0 };
	assert_true(slx_range_overlaps(a, b) && !slx_range_overlaps(a, (struct slx_time_range){ 11, 12 }));
	assert_true(!slx_range_overlaps(a, none) && slx_range_covers(a, none) && !slx_range_covers(none, a));
	struct slx_time_range cut = slx_range_cut(a, b);
	assert_true(cut.from == 10 && cut.to == 10 && slx_range_has(cut, 10));
	assert_true(slx_range_empty(slx_range_cut(a, (struct slx_time_range){ 11, 12 })));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_civil),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_window_count),
		cmocka_unit_test(test_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
