#include "model/time.h"

#include <stdio.h>
#include <string.h>

/* ---- windows: done in 128 bits, so that no combination of time, step and origin overflows ---- */

static __int128 floor_div(__int128 a, __int128 b)
{
	__int128 q = a / b;
	return q - (a % b < 0);
}

static int64_t clamp128(__int128 t)
{
	return t < SLX_TIME_MIN ? SLX_TIME_MIN : t > SLX_TIME_MAX ? SLX_TIME_MAX : (int64_t)t;
}

int64_t slx_window_index(int64_t t, int64_t step, int64_t origin)
{
	__int128 k = floor_div((__int128)t - origin, step);
	return k < INT64_MIN ? INT64_MIN : k > INT64_MAX ? INT64_MAX : (int64_t)k;
}

int64_t slx_window_start(int64_t t, int64_t step, int64_t origin)
{
	return clamp128(floor_div((__int128)t - origin, step) * step + origin);
}

int64_t slx_window_last(int64_t t, int64_t step, int64_t origin)
{
	return clamp128(floor_div((__int128)t - origin, step) * step + origin + step - 1);
}

silex_status slx_window_count(
	struct slx_time_range r, int64_t step, int64_t origin, uint64_t windows_max, uint64_t *ret, silex_error *err)
{
	if (step < 1)
		return slx_err(err, SILEX_INVALID, "step is %lld ns; expected at least 1", (long long)step);
	if (slx_range_empty(r)) {
		*ret = 0;
		return SILEX_OK;
	}
	__int128 first = floor_div((__int128)r.from - origin, step), last = floor_div((__int128)r.to - origin, step);
	__int128 n = last - first + 1; /* at most 2^64 */
	if (n > windows_max) {
		char text[SLX_DURATION_TEXT_SIZE];
		slx_duration_format(step, text);
		return slx_err(err, SILEX_INVALID, "step %s makes %.0f windows; expected at most %llu", text, (double)n,
			(unsigned long long)windows_max);
	}
	*ret = (uint64_t)n;
	return SILEX_OK;
}

/* ---- civil dates ----
 * Hinnant's algorithms: years begin in March, so that the leap day is the last of a year, and 400-year eras repeat. */

int64_t slx_days_from_civil(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;                                                  /* 0..399 */
	int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1; /* 0..365 */
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

void slx_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	*ret_day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	*ret_month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

size_t slx_time_format(int64_t t, char ret[SLX_TIME_TEXT_SIZE])
{
	int64_t seconds = (int64_t)floor_div(t, SLX_SECOND);
	unsigned ns = (unsigned)((__int128)t - (__int128)seconds * SLX_SECOND);
	int64_t days = (int64_t)floor_div(seconds, 86400);
	unsigned s = (unsigned)(seconds - days * 86400);
	int64_t year;
	unsigned month, day;
	slx_civil_from_days(days, &year, &month, &day);
	int n = snprintf(
		ret, SLX_TIME_TEXT_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u", (int)year, month, day, s / 3600, s / 60 % 60, s % 60);
	char *to = ret + n;
	size_t room = SLX_TIME_TEXT_SIZE - (size_t)n;
	if (ns == 0)
		n += snprintf(to, room, "Z");
	else if (ns % 1000000 == 0)
		n += snprintf(to, room, ".%03uZ", ns / 1000000);
	else if (ns % 1000 == 0)
		n += snprintf(to, room, ".%06uZ", ns / 1000);
	else
		n += snprintf(to, room, ".%09uZ", ns);
	return (size_t)n;
}
