/* Decimal text to int64 and double.
 *
 * Up to 19 significant digits are gathered in a 64-bit integer w, so that the number is w * 10^e.
 * 1. w <= 2^53 and |e| <= 22: w and 10^|e| are doubles, one multiplication or division rounds correctly (W. D. Clinger,
 *    "How to Read Floating Point Numbers Accurately", 1990).
 * 2. |e| <= 27: 5^|e| fits 64 bits, so w * 5^e is an exact 128-bit product, and w / 5^|e| a 128-bit quotient of at
 *    least 64 bits whose remainder says what lies below; rounding that once to 53 bits is exact. (10^e = 5^e * 2^e.)
 * 3. Everything else, and more than 19 digits: strtod. */
#include "formats/formats_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 19, CLINGER_EXP_MAX = 22, WIDE_EXP_MAX = 27 };

static const double pow10_f64[CLINGER_EXP_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

static uint64_t pow5(int e)
{
	uint64_t r = 1;
	for (uint64_t base = 5; e; e >>= 1, base *= base)
		if (e & 1)
			r *= base;
	return r;
}

/* m * 2^e2, with `sticky` for bits below m, rounded to nearest even. m has at least 55 bits, and
 * the result is a normal number (|e2| is small). */
static double round_128(unsigned __int128 m, bool sticky, int e2)
{
	int bits = (uint64_t)(m >> 64) ? 128 - __builtin_clzll((uint64_t)(m >> 64)) : 64 - __builtin_clzll((uint64_t)m);
	int drop = bits - 54; /* keep 54: 53 and the rounding bit */
	if (drop > 0) {
		sticky |= (m & (((unsigned __int128)1 << drop) - 1)) != 0;
		m >>= drop;
		e2 += drop;
	}
	uint64_t w = (uint64_t)m;
	if (bits < 54)
		return ldexp((double)w, e2);
	bool up = (w & 1) && (sticky || (w & 2));
	return ldexp((double)((w >> 1) + up), e2 + 1);
}

static double scale_wide(uint64_t w, int e)
{
	if (e >= 0)
		return round_128((unsigned __int128)w * pow5(e), false, e);
	uint64_t d = pow5(-e);
	int lz = __builtin_clzll(w);
	unsigned __int128 n = (unsigned __int128)(w << lz) << 64;
	unsigned __int128 q = n / d;
	return round_128(q, q * d != n, e - lz - 64);
}

/* The magnitude through strtod. The text is written anew without a point, so that the locale has no say, and with at
 * most 800 digits: a double's borders have at most 768, so one more digit that stands for the rest decides ties. */
static double slow_f64(const char *p, size_t n)
{
	enum { KEEP = 800 };
	char z[KEEP + 32];
	const char *end = p + n;
	size_t k = 0;
	long e = 0; /* the number is (the digits in z) * 10^e */
	bool point = false, rest = false;
	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		point |= *p == '.';
		if (!slx_is_digit(*p))
			continue;
		bool leading = k == 0 && *p == '0';
		if (leading || k < KEEP) {
			e -= point;
			if (!leading)
				z[k++] = *p;
		} else {
			e += !point;
			rest |= *p != '0';
		}
	}
	if (rest) {
		z[k++] = '1';
		e--;
	}
	if (k == 0)
		return 0;
	if (p < end) {
		long x = 0;
		bool down = p[1] == '-';
		for (p++; p < end; p++)
			if (slx_is_digit(*p) && x < 100000000)
				x = x * 10 + (*p - '0');
		e += down ? -x : x;
	}
	snprintf(z + k, sizeof z - k, "e%ld", e);
	return strtod(z, NULL);
}

enum slx_number_form slx_number_parse(const char *p, size_t n, struct slx_number *ret)
{
	const char *s = p, *end = p + n;
	bool negative = s < end && *s == '-';
	if (s < end && (*s == '-' || *s == '+'))
		s++;

	uint64_t w = 0;
	int digits = 0; /* significant ones, those in w and those after */
	int e = 0;
	bool any = false, plain = true;
	for (; s < end && slx_is_digit(*s); s++) {
		any = true;
		if (digits < DIGITS_MAX)
			w = w * 10 + (uint64_t)(*s - '0');
		digits += digits > 0 || *s != '0';
	}
	if (s < end && *s == '.') {
		plain = false;
		for (s++; s < end && slx_is_digit(*s); s++) {
			any = true;
			if (digits < DIGITS_MAX)
				w = w * 10 + (uint64_t)(*s - '0');
			e--;
			digits += digits > 0 || *s != '0';
		}
	}
	if (!any)
		return SLX_NUMBER_NONE;
	if (s < end && (*s == 'e' || *s == 'E')) {
		plain = false;
		if (++s < end && (*s == '-' || *s == '+'))
			s++;
		if (s == end || !slx_is_digit(*s))
			return SLX_NUMBER_NONE;
		bool down = s[-1] == '-';
		int x = 0;
		for (; s < end && slx_is_digit(*s); s++)
			x = x < 100000000 ? x * 10 + (*s - '0') : x;
		e += down ? -x : x;
	}
	if (s != end)
		return SLX_NUMBER_NONE;

	if (plain && digits <= DIGITS_MAX && w <= (uint64_t)INT64_MAX + negative) {
		ret->i64 = (int64_t)(negative ? 0 - w : w);
		ret->f64 = negative ? -(double)w : (double)w;
		return SLX_NUMBER_INT;
	}
	double v;
	if (w == 0)
		v = 0;
	else if (digits > DIGITS_MAX)
		v = slow_f64(p, n);
	else if (w <= UINT64_C(1) << 53 && e >= -CLINGER_EXP_MAX && e <= CLINGER_EXP_MAX)
		v = e < 0 ? (double)w / pow10_f64[-e] : (double)w * pow10_f64[e];
	else if (e >= -WIDE_EXP_MAX && e <= WIDE_EXP_MAX)
		v = scale_wide(w, e);
	else
		v = slow_f64(p, n);
	if (!isfinite(v))
		return SLX_NUMBER_RANGE;
	ret->f64 = negative ? -v : v;
	return SLX_NUMBER_FLOAT;
}

static bool equals_nocase(const char *p, size_t n, const char *word)
{
	size_t i = 0;
	for (; i < n && word[i]; i++)
		if ((p[i] | 0x20) != word[i])
			return false;
	return i == n && !word[i];
}

enum slx_number_form slx_number_parse_special(const char *p, size_t n, struct slx_number *ret)
{
	enum slx_number_form form = slx_number_parse(p, n, ret);
	if (form != SLX_NUMBER_NONE || n == 0)
		return form;
	bool sign = *p == '-' || *p == '+';
	double minus = *p == '-' ? -1 : 1;
	if (equals_nocase(p + sign, n - sign, "nan"))
		ret->f64 = NAN;
	else if (equals_nocase(p + sign, n - sign, "inf") || equals_nocase(p + sign, n - sign, "infinity"))
		ret->f64 = minus * INFINITY;
	else
		return SLX_NUMBER_NONE;
	return SLX_NUMBER_FLOAT;
}

bool slx_uint64_parse(const char *p, size_t n, uint64_t *ret, bool *ret_range)
{
	*ret_range = false;
	uint64_t v = 0;
	bool range = false;
	for (size_t i = 0; i < n; i++) {
		if (!slx_is_digit(p[i]))
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v))
			range = true;
	}
	*ret = v;
	*ret_range = n > 0 && range;
	return n > 0 && !range;
}

bool slx_int64_parse(const char *p, size_t n, int64_t *ret, bool *ret_range)
{
	bool negative = n > 0 && *p == '-', sign = n > 0 && (*p == '-' || *p == '+');
	uint64_t v;
	if (!slx_uint64_parse(p + sign, n - sign, &v, ret_range))
		return false;
	*ret_range = v > (uint64_t)INT64_MAX + negative;
	*ret = (int64_t)(negative ? 0 - v : v);
	return !*ret_range;
}
