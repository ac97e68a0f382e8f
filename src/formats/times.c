#include "formats/formats_int.h"

#include <stdlib.h>

static const int unit_exp10[] = { [SLX_UNIT_NS] = 0, [SLX_UNIT_US] = 3, [SLX_UNIT_MS] = 6, [SLX_UNIT_S] = 9 };

/* A decimal number as w * 10^e; digits that cannot matter at the nanosecond are dropped. */
struct decimal {
	unsigned __int128 w;
	int e;
	bool negative;
};

static bool read_decimal(const char *p, size_t n, struct decimal *ret)
{
	const char *s = p, *end = p + n;
	enum { DIGITS_MAX = 37 }; /* 10^37 < 2^127 */
	struct decimal d = { .negative = n > 0 && *p == '-' };
	int digits = 0;
	bool any = false, point = false;
	if (s < end && (*s == '-' || *s == '+'))
		s++;
	for (; s < end && (slx_is_digit(*s) || (*s == '.' && !point)); s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		any = true;
		if (digits == DIGITS_MAX) {
			if (!point)
				return false;
			continue;
		}
		d.w = d.w * 10 + (unsigned)(*s - '0');
		digits += d.w != 0;
		d.e -= point;
	}
	if (any && s < end && (*s == 'e' || *s == 'E')) {
		bool down = s + 1 < end && s[1] == '-';
		s += 1 + (s + 1 < end && (s[1] == '-' || s[1] == '+'));
		int x = 0;
		any = s < end;
		for (; s < end && slx_is_digit(*s); s++)
			x = x < 1000 ? x * 10 + (*s - '0') : x;
		d.e += down ? -x : x;
	}
	*ret = d;
	return any && s == end;
}

static bool decimal_ns(const struct decimal *d, enum slx_time_unit unit, int64_t *ret)
{
	unsigned __int128 w = d->w;
	int e = d->e + unit_exp10[unit];
	for (; e > 0 && w; e--) {
		if (w > (unsigned __int128)UINT64_MAX * 10)
			return false;
		w *= 10;
	}
	for (; e < -1 && w; e++)
		w /= 10;
	if (e < 0) /* the last digit decides: half and above goes up */
		w = w / 10 + (w % 10 >= 5);
	if (w > (uint64_t)SLX_TIME_MAX)
		return false;
	*ret = d->negative ? -(int64_t)w : (int64_t)w;
	return true;
}

bool slx_decimal_time(const char *p, size_t n, enum slx_time_unit unit, int64_t *ret)
{
	struct decimal d;
	return read_decimal(p, n, &d) && decimal_ns(&d, unit, ret);
}

/* What model/time.h says of numbers without a unit: below 1e11 seconds, 1e14 ms, 1e17 us, else ns. */
static enum slx_time_unit unit_by_size(const struct decimal *d)
{
	unsigned __int128 w = d->w;
	for (int e = d->e; e < 0 && w; e++)
		w /= 10;
	for (int e = d->e; e > 0 && w && w < UINT64_C(1000000000000000000); e--)
		w *= 10;
	return w < UINT64_C(100000000000)      ? SLX_UNIT_S
		: w < UINT64_C(100000000000000)    ? SLX_UNIT_MS
		: w < UINT64_C(100000000000000000) ? SLX_UNIT_US
										   : SLX_UNIT_NS;
}

/* Two digits, or -1. */
static int two(const char *p)
{
	return slx_is_digit(p[0]) && slx_is_digit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0') : -1;
}

/* "YYYY-MM-DD HH:MM:SS", T or blank between, Z or nothing after. False: let slx_time_parse have a look. */
static bool common_time(const char *p, size_t n, int64_t *ret)
{
	if ((n != 19 && !(n == 20 && p[19] == 'Z')) || p[4] != '-' || p[7] != '-' || (p[10] != ' ' && p[10] != 'T') ||
		p[13] != ':' || p[16] != ':')
		return false;
	int century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
	int hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
	if (century < 17 || century > 21 || year < 0 || month < 1 || month > 12 || day < 1 || day > 28 || hour < 0 ||
		hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return false;
	int64_t days = slx_days_from_civil(century * 100 + year, (unsigned)month, (unsigned)day);
	*ret = (days * 86400 + hour * 3600 + minute * 60 + second) * SLX_SECOND;
	return true;
}

bool slx_field_time(const char *p, size_t n, enum slx_time_unit unit, int64_t *ret)
{
	struct decimal d;
	if (n == 0 || (*p | 0x20) == 'n') /* "now" is for queries */
		return false;
	if (common_time(p, n, ret))
		return true;
	if (read_decimal(p, n, &d))
		return decimal_ns(&d, unit == SLX_UNIT_AUTO ? unit_by_size(&d) : unit, ret);
	return slx_time_parse(p, n, SLX_UNIT_NS, 0, ret, NULL) == SILEX_OK && slx_time_legal(*ret);
}
