/* Reading times and durations. A cursor walks over the text; each complaint gives the column and what was expected. */
#include "model/time.h"

#include <stdio.h>
#include <string.h>

struct cursor {
	const char *s, *p, *end;
	const char *what; /* "time" or "duration", for messages */
	silex_error *err;
};

static int peek(const struct cursor *c) { return c->p < c->end ? (unsigned char)*c->p : -1; }

static bool digit(int c) { return c >= '0' && c <= '9'; }

static int shown(const struct cursor *c) { return (int)(c->end - c->s < 48 ? c->end - c->s : 48); }

static silex_status expected(const struct cursor *c, const char *what)
{
	return slx_err(c->err, SILEX_INVALID, "%s \"%.*s\": column %d: expected %s", c->what, shown(c), c->s,
		(int)(c->p - c->s) + 1, what);
}

static silex_status outside(const struct cursor *c)
{
	return slx_err(c->err, SILEX_INVALID,
		"%s \"%.*s\": outside the legal range 1677-09-21T00:12:43.145224193Z .. 2262-04-11T23:47:16.854775806Z",
		c->what, shown(c), c->s);
}

static silex_status to_time(const struct cursor *c, __int128 ns, int64_t *ret)
{
	if (ns < SLX_TIME_MIN || ns > SLX_TIME_MAX)
		return outside(c);
	*ret = (int64_t)ns;
	return SILEX_OK;
}

/* Exactly `digits` digits with a value of at least min and at most max. */
static silex_status read_field(struct cursor *c, int digits, int min, int max, const char *what, int *ret)
{
	int v = 0;
	const char *start = c->p;
	for (int i = 0; i < digits; i++, c->p++) {
		if (!digit(peek(c)))
			return expected(c, what);
		v = v * 10 + (peek(c) - '0');
	}
	if (v < min || v > max) {
		c->p = start;
		return expected(c, what);
	}
	*ret = v;
	return SILEX_OK;
}

static silex_status read_byte(struct cursor *c, char byte, const char *what)
{
	if (peek(c) != byte)
		return expected(c, what);
	c->p++;
	return SILEX_OK;
}

/* Digits after a point as billionths; those after the ninth are dropped. */
static silex_status read_fraction(struct cursor *c, int64_t *ret)
{
	*ret = 0;
	if (peek(c) != '.' && peek(c) != ',')
		return SILEX_OK;
	c->p++;
	if (!digit(peek(c)))
		return expected(c, "a digit");
	int64_t unit = SLX_SECOND / 10;
	for (; digit(peek(c)); c->p++, unit /= 10)
		*ret += (peek(c) - '0') * unit;
	return SILEX_OK;
}

/* ---- dates ---- */

static int days_of_month(int year, int month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

static silex_status read_date(struct cursor *c, int64_t *ret_days)
{
	int year = 0, month = 1, day = 1;
	SLX_TRY(read_field(c, 4, 0, 9999, "a year of 4 digits", &year));
	SLX_TRY(read_byte(c, '-', "'-'"));
	SLX_TRY(read_field(c, 2, 1, 12, "a month 01..12", &month));
	SLX_TRY(read_byte(c, '-', "'-'"));
	SLX_TRY(read_field(c, 2, 1, days_of_month(year, month), "a day of that month", &day));
	*ret_days = slx_days_from_civil(year, (unsigned)month, (unsigned)day);
	return SILEX_OK;
}

/* `hh:mm[:ss[.frac]]` in nanoseconds of the day. */
static silex_status read_clock(struct cursor *c, int64_t *ret_ns)
{
	int hour, minute, second = 0;
	int64_t fraction = 0;
	SLX_TRY(read_field(c, 2, 0, 23, "an hour 00..23", &hour));
	SLX_TRY(read_byte(c, ':', "':'"));
	SLX_TRY(read_field(c, 2, 0, 59, "a minute 00..59", &minute));
	if (peek(c) == ':') {
		c->p++;
		SLX_TRY(read_field(c, 2, 0, 59, "a second 00..59", &second));
		SLX_TRY(read_fraction(c, &fraction));
	}
	*ret_ns = hour * SLX_HOUR + minute * SLX_MINUTE + second * SLX_SECOND + fraction;
	return SILEX_OK;
}

/* `Z`, `+02:00`, `-0530`, `+02` or nothing (UTC). */
static silex_status read_zone(struct cursor *c, int64_t *ret_ns)
{
	*ret_ns = 0;
	int sign = peek(c);
	if (sign == 'Z' || sign == 'z')
		c->p++;
	if (sign != '+' && sign != '-')
		return SILEX_OK;
	c->p++;
	int hours, minutes = 0;
	SLX_TRY(read_field(c, 2, 0, 23, "zone hours 00..23", &hours));
	if (peek(c) == ':')
		c->p++;
	if (peek(c) >= 0)
		SLX_TRY(read_field(c, 2, 0, 59, "zone minutes 00..59", &minutes));
	*ret_ns = (hours * SLX_HOUR + minutes * SLX_MINUTE) * (sign == '-' ? -1 : 1);
	return SILEX_OK;
}

static silex_status read_calendar(struct cursor *c, int64_t *ret)
{
	int64_t days, clock = 0, zone = 0;
	SLX_TRY(read_date(c, &days));
	if (peek(c) == 'T' || peek(c) == 't' || peek(c) == ' ') {
		c->p++;
		SLX_TRY(read_clock(c, &clock));
		SLX_TRY(read_zone(c, &zone));
	}
	if (peek(c) >= 0)
		return expected(c, "the end");
	return to_time(c, (__int128)days * SLX_DAY + clock - zone, ret);
}

/* ---- numbers ---- */

static const struct {
	const char *name;
	int64_t ns;
} bare_units[] = {
	[SLX_UNIT_AUTO] = { "", 1 },
	[SLX_UNIT_NS] = { "ns", 1 },
	[SLX_UNIT_US] = { "us", SLX_US },
	[SLX_UNIT_MS] = { "ms", SLX_MS },
	[SLX_UNIT_S] = { "s", SLX_SECOND },
	[SLX_UNIT_MIN] = { "min", SLX_MINUTE },
	[SLX_UNIT_H] = { "h", SLX_HOUR },
};

int64_t slx_unit_ns(enum slx_time_unit unit) { return bare_units[unit].ns; }

/* AUTO goes by size. */
static int64_t unit_ns(enum slx_time_unit unit, uint64_t magnitude)
{
	if (unit == SLX_UNIT_AUTO)
		unit = magnitude < UINT64_C(100000000000)      ? SLX_UNIT_S
			: magnitude < UINT64_C(100000000000000)    ? SLX_UNIT_MS
			: magnitude < UINT64_C(100000000000000000) ? SLX_UNIT_US
													   : SLX_UNIT_NS;
	return bare_units[unit].ns;
}

silex_status slx_time_from_unit(int64_t n, enum slx_time_unit unit, int64_t *ret, silex_error *err)
{
	__int128 t = (__int128)n * unit_ns(unit, 0);
	if (t < SLX_TIME_MIN || t > SLX_TIME_MAX)
		return slx_err(err, SILEX_INVALID, "time %lld %s: outside the legal range of years 1677 to 2262", (long long)n,
			bare_units[unit].name);
	*ret = (int64_t)t;
	return SILEX_OK;
}

static silex_status read_number(struct cursor *c, enum slx_time_unit unit, int64_t *ret)
{
	bool negative = peek(c) == '-';
	c->p += negative;
	if (!digit(peek(c)))
		return expected(c, "a date such as 2024-05-01T10:00:00Z, a number, or now-1h");
	uint64_t v = 0;
	for (; digit(peek(c)); c->p++)
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(peek(c) - '0'), &v))
			return outside(c);
	int64_t fraction, scale = unit_ns(unit, v);
	SLX_TRY(read_fraction(c, &fraction));
	if (peek(c) >= 0)
		return expected(c, "the end of the number");
	__int128 ns = (__int128)v * scale + fraction * scale / SLX_SECOND;
	return to_time(c, negative ? -ns : ns, ret);
}

/* ---- durations ---- */

struct unit {
	const char *text;
	int64_t ns;
	bool whole_only; /* when writing */
};

static const struct unit units[] = {
	{ "y", SLX_YEAR, true },
	{ "w", SLX_WEEK, true },
	{ "d", SLX_DAY, false },
	{ "h", SLX_HOUR, false },
	{ "m", SLX_MINUTE, false },
	{ "s", SLX_SECOND, false },
	{ "ms", SLX_MS, false },
	{ "us", SLX_US, false },
	{ "ns", 1, false },
};

enum { UNITS = sizeof units / sizeof *units };

/* Index of the unit at the cursor, from `from` on (each unit at most once, large to small). */
static int read_unit(struct cursor *c, int from)
{
	const char *p = c->p;
	while (p < c->end && *p >= 'a' && *p <= 'z')
		p++;
	size_t n = (size_t)(p - c->p);
	for (int i = from; i < UNITS; i++)
		if (strlen(units[i].text) == n && memcmp(units[i].text, c->p, n) == 0) {
			c->p = p;
			return i;
		}
	return -1;
}

/* The magnitude from the cursor to the end. */
static silex_status read_duration(struct cursor *c, int64_t *ret)
{
	if (c->end - c->p == 1 && *c->p == '0') {
		*ret = 0;
		return SILEX_OK;
	}
	int64_t total = 0;
	int next = 0;
	do {
		int64_t v = 0;
		bool over = false;
		if (!digit(peek(c)))
			return expected(c, "a whole number with a unit, such as 5m");
		for (; digit(peek(c)); c->p++)
			over |= __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, peek(c) - '0', &v);
		int unit = read_unit(c, next);
		if (unit < 0)
			return expected(
				c, next ? "a smaller unit of y w d h m s ms us ns, or the end" : "a unit of y w d h m s ms us ns");
		if (over || __builtin_mul_overflow(v, units[unit].ns, &v) || __builtin_add_overflow(total, v, &total))
			return slx_err(c->err, SILEX_INVALID, "duration \"%.*s\": expected less than 292 years", shown(c), c->s);
		next = unit + 1;
	} while (peek(c) >= 0);
	*ret = total;
	return SILEX_OK;
}

silex_status slx_duration_parse(const char *s, size_t n, int64_t *ret_ns, silex_error *err)
{
	struct cursor c = { s, s, s + n, "duration", err };
	bool negative = peek(&c) == '-';
	c.p += negative;
	int64_t ns;
	SLX_TRY(read_duration(&c, &ns));
	*ret_ns = negative ? -ns : ns;
	return SILEX_OK;
}

size_t slx_duration_format(int64_t ns, char ret[SLX_DURATION_TEXT_SIZE])
{
	uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	int n = snprintf(ret, SLX_DURATION_TEXT_SIZE, left == 0 ? "0s" : ns < 0 ? "-" : "");
	for (int i = 0; i < UNITS && left; i++) {
		uint64_t unit = (uint64_t)units[i].ns;
		if (left < unit || (units[i].whole_only && left % unit))
			continue;
		n += snprintf(
			ret + n, SLX_DURATION_TEXT_SIZE - (size_t)n, "%llu%s", (unsigned long long)(left / unit), units[i].text);
		left %= unit;
	}
	return (size_t)n;
}

/* ---- times ---- */

static silex_status read_now(struct cursor *c, int64_t now, int64_t *ret)
{
	c->p += 3;
	int sign = peek(c);
	if (sign < 0) {
		*ret = now;
		return SILEX_OK;
	}
	if (sign != '+' && sign != '-')
		return expected(c, "'+', '-' or the end");
	c->p++;
	int64_t d;
	SLX_TRY(read_duration(c, &d));
	return to_time(c, (__int128)now + (sign == '-' ? -(__int128)d : d), ret);
}

silex_status slx_time_parse(
	const char *s, size_t n, enum slx_time_unit unit, int64_t now, int64_t *ret, silex_error *err)
{
	struct cursor c = { s, s, s + n, "time", err };
	if (n >= 3 && memcmp(s, "now", 3) == 0)
		return read_now(&c, now, ret);
	bool calendar = n > 4 && s[4] == '-' && digit((unsigned char)s[0]);
	return calendar ? read_calendar(&c, ret) : read_number(&c, unit, ret);
}
