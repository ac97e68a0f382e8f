/* Double to text: the fewest digits that read back as the same double, and of those the ones nearest to it.
 *
 * v = c * 2^q has an interval of reals that round to it. With 10^k the largest power of ten not wider than that interval,
 * at least one multiple of 10^k lies in it and at most one of 10^(k+1): the latter, if there, is the shortest text, else
 * the multiple of 10^k next to v. Both are found from v and the two ends of its interval, divided by 10^k: a product of a
 * 55-bit integer with a 128-bit power of ten from a table, rounded to odd so that what was cut off still counts.
 * Source: R. Giulietti, "The Schubfach way to render doubles" (2020).
 *
 * Whole numbers and numbers of few decimals, most of what is measured, are found before by trying. */
#include "formats/formats.h"

#include <math.h>

enum { POW10_MIN = -292, EXPONENT_MIN = -1074, HIDDEN_BIT = 52 };

static const struct {
	uint64_t hi, lo;
} pow10_table[] = {
#include "formats/shortest_table.inc"
};

/* digits * 10^exponent */
struct decimal {
	uint64_t digits;
	int exponent;
};

/* ---- the digits ---- */

/* floor(log10(2^q)), floor(log10(3/4 * 2^q)) and floor(log2(10^k)) by multiplication, exact in the range of doubles. */
static int floor_log10_pow2(int q) { return (int)((q * INT64_C(661971961083)) >> 41); }
static int floor_log10_three_quarters_pow2(int q) { return (int)((q * INT64_C(661971961083) - INT64_C(274743187321)) >> 41); }
static int floor_log2_pow10(int k) { return (int)((k * INT64_C(913124641741)) >> 38); }

/* floor(g * x / 2^128), its last bit set when that was not exact. */
static uint64_t scale_to_odd(uint64_t g_hi, uint64_t g_lo, uint64_t x)
{
	unsigned __int128 low = (unsigned __int128)g_lo * x;
	unsigned __int128 y = (unsigned __int128)g_hi * x + (uint64_t)(low >> 64);
	return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static struct decimal shortest(uint64_t bits)
{
	uint64_t fraction = bits & ((UINT64_C(1) << HIDDEN_BIT) - 1);
	int exponent = (int)(bits >> HIDDEN_BIT & 0x7ff);
	uint64_t c = exponent ? fraction | UINT64_C(1) << HIDDEN_BIT : fraction;
	int q = exponent ? exponent + EXPONENT_MIN - 1 : EXPONENT_MIN;
	bool closer_below = fraction == 0 && exponent > 1; /* the next smaller double is half as far as the next greater */

	int k = closer_below ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
	int shift = q + floor_log2_pow10(-k) + 1;
	uint64_t hi = pow10_table[-k - POW10_MIN].hi, lo = pow10_table[-k - POW10_MIN].lo;

	/* Four times v / 10^k and the ends of its interval; an end belongs to it when c is even. */
	uint64_t v = scale_to_odd(hi, lo, (4 * c) << shift);
	uint64_t from = scale_to_odd(hi, lo, (4 * c - (closer_below ? 1 : 2)) << shift) + (c & 1);
	uint64_t to = scale_to_odd(hi, lo, (4 * c + 2) << shift) - (c & 1);

	uint64_t s = v / 4;
	if (s >= 10) {
		uint64_t tens = s / 10;
		bool below = from <= 40 * tens, above = 40 * tens + 40 <= to;
		if (below != above)
			return (struct decimal){ tens + above, k + 1 };
	}
	bool below = from <= 4 * s, above = 4 * s + 4 <= to;
	if (below != above)
		return (struct decimal){ s + above, k };
	uint64_t middle = 4 * s + 2;
	return (struct decimal){ s + (v > middle || (v == middle && (s & 1))), k };
}

/* ---- the text ---- */

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
								  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
								  "8081828384858687888990919293949596979899";

static unsigned count_digits(uint64_t v)
{
	static const uint64_t pow10[] = { 0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
		100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
		100000000000000000, 1000000000000000000, UINT64_C(10000000000000000000) };
	unsigned n = (unsigned)(64 - __builtin_clzll(v | 1)) * 1233 >> 12; /* bits * log10(2), rounded down */
	return n + (v >= pow10[n]);
}

static void put_pair(char *to, uint32_t v) { memcpy(to, digit_pairs + v * 2, 2); }

static void put_eight(char *to, uint32_t v)
{
	uint32_t upper = v / 10000, lower = v % 10000;
	put_pair(to, upper / 100);
	put_pair(to + 2, upper % 100);
	put_pair(to + 4, lower / 100);
	put_pair(to + 6, lower % 100);
}

/* The last n digits of v, zeros in front kept. */
static void put_digits(char *to, uint64_t v, unsigned n)
{
	for (; n >= 8; n -= 8, v /= 100000000)
		put_eight(to + n - 8, (uint32_t)(v % 100000000));
	uint32_t w = (uint32_t)(v % 100000000);
	for (; n >= 2; n -= 2, w /= 100)
		put_pair(to + n - 2, w % 100);
	if (n)
		*to = (char)('0' + w % 10);
}

size_t slx_format_u64(uint64_t v, char *ret)
{
	unsigned n = count_digits(v);
	put_digits(ret, v, n);
	return n;
}

/* v > 0 when it is m / 10^k with few decimals and at most 15 digits: no other decimal of that length reads as v. The
 * division decides; the comparison before it only spares it. */
static char *put_short_decimal(char *p, double v)
{
	static const double scale[] = { 1, 1e1, 1e2, 1e3 };
	static const uint64_t whole[] = { 1, 10, 100, 1000 };
	if (v >= 1e15)
		return NULL;
	int64_t i = (int64_t)v;
	if ((double)i == v)
		return p + slx_format_u64((uint64_t)i, p);
	for (unsigned k = 1; k < 4 && v < 1e11; k++) {
		double scaled = v * scale[k], m = (double)(int64_t)(scaled + 0.5);
		if (fabs(scaled - m) > scaled * 0x1p-51 || m / scale[k] != v)
			continue;
		p += slx_format_u64((uint64_t)i, p);
		*p++ = '.';
		put_digits(p, (uint64_t)m - (uint64_t)i * whole[k], k);
		return p + k;
	}
	return NULL;
}

static char *put_scientific(char *p, const char *digits, unsigned n, int exponent)
{
	*p++ = digits[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	*p++ = exponent < 0 ? '-' : '+';
	unsigned e = (unsigned)(exponent < 0 ? -exponent : exponent), width = e >= 100 ? 3 : 2;
	put_digits(p, e, width);
	return p + width;
}

static char *put_decimal(char *p, struct decimal d)
{
	char digits[20];
	while (d.digits % 10 == 0) {
		d.digits /= 10;
		d.exponent++;
	}
	int n = (int)slx_format_u64(d.digits, digits), point = n + d.exponent; /* 0.d1d2... * 10^point */
	if (point < -5 || point > 21)
		return put_scientific(p, digits, (unsigned)n, point - 1);
	if (point <= 0) {
		memcpy(p, "0.000000", 8);
		memcpy(p + 2 - point, digits, (size_t)n);
		return p + 2 - point + n;
	}
	if (point >= n) {
		memcpy(p, digits, (size_t)n);
		memset(p + n, '0', (size_t)(point - n));
		return p + point;
	}
	memcpy(p, digits, (size_t)point);
	p[point] = '.';
	memcpy(p + point + 1, digits + point, (size_t)(n - point));
	return p + n + 1;
}

size_t slx_format_f64(double v, char ret[SLX_F64_TEXT_SIZE])
{
	char *p = ret;
	if (!isfinite(v)) {
		const char *text = isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf";
		size_t n = strlen(text);
		memcpy(p, text, n);
		return n;
	}
	if (signbit(v)) {
		*p++ = '-';
		v = -v;
	}
	if (v == 0) {
		*p++ = '0';
		return (size_t)(p - ret);
	}
	char *end = put_short_decimal(p, v);
	if (!end)
		end = put_decimal(p, shortest(slx_f64_bits(v)));
	return (size_t)(end - ret);
}

void slx_encode_f64(struct slx_buf *b, double v)
{
	uint8_t *to = slx_buf_reserve(b, SLX_F64_TEXT_SIZE);
	if (to)
		b->n += slx_format_f64(v, (char *)to);
}
