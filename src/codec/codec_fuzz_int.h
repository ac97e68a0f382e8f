/* What the codec fuzzers share. Input: u16 n, then bytes that serve twice: as a block of n samples to decode, and as
 * samples to encode, decode and compare. */
#ifndef SLX_CODEC_FUZZ_INT_H
#define SLX_CODEC_FUZZ_INT_H

#include "base/bytes.h"
#include "codec/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_check(bool ok)
{
	if (!ok)
		abort();
}

/* n of the block, in 1..max; advances past it. 0: too short an input. */
static inline size_t fuzz_count(const uint8_t **data, size_t *size, size_t max)
{
	if (*size < 3)
		return 0;
	size_t n = 1 + slx_load16(*data) % max;
	*data += 2;
	*size -= 2;
	return n;
}

/* Samples from bytes: the first says how. Whole 8-byte words make anything; the other forms make what codecs are for:
 * decimals, small steps, float32, specials. Returns how many. */
static inline size_t fuzz_values(const uint8_t *p, size_t size, size_t max, double *v)
{
	static const double scale[] = { 1, 10, 100, 1e3, 1e6, 1e12 };
	unsigned form = p[0];
	size_t n = 0;
	int64_t at = 0;
	double s = scale[form / 8 % 6];
	for (p++, size--; size && n < max; n++) {
		size_t take = form % 4 == 0 ? 8 : form % 4 == 1 ? 2 : 1;
		uint64_t x = 0;
		take = take < size ? take : size;
		memcpy(&x, p, take);
		p += take;
		size -= take;
		at += (int8_t)x;
		switch (form % 4) {
		case 0: v[n] = slx_bits_f64(x); break;
		case 1: v[n] = slx_bits_f64(slx_f64_bits((double)(int16_t)x / s) + (form & 64 ? x % 3 : 0)); break;
		case 2: v[n] = x == 0x80 ? slx_bits_f64(0x7ff0000000000002) : (double)at / s; break;
		default: v[n] = x == 0x80 ? -0.0 : (double)(float)((double)at / s); break;
		}
	}
	return n;
}

static inline size_t fuzz_ints(const uint8_t *p, size_t size, size_t max, int64_t *v)
{
	static const int64_t unit[] = { 1, 1000, 1000000, 1000000000, 15000000000 };
	unsigned form = p[0];
	size_t n = 0;
	uint64_t at = form & 64 ? 1700000000000000000u : 0;
	for (p++, size--; size && n < max; n++) {
		size_t take = form % 3 == 0 ? 8 : 1;
		uint64_t x = 0;
		take = take < size ? take : size;
		memcpy(&x, p, take);
		p += take;
		size -= take;
		at += form % 3 == 0 ? x : (uint64_t)(form % 3 == 1 ? (int64_t)x : (int8_t)x) * (uint64_t)unit[form / 8 % 5];
		v[n] = (int64_t)at;
	}
	return n;
}

#endif
