#include "codec/bitpack.h"

/* One field of a run of `size` bytes that begins at bit `at`, however near the end. */
static uint64_t field(const uint8_t *in, size_t size, size_t at, unsigned width)
{
	size_t byte = at >> 3;
	unsigned shift = at & 7, have = 0;
	uint64_t lo = 0;
	if (size - byte >= 8) {
		lo = slx_load64(in + byte);
	} else {
		for (; byte + have < size; have++)
			lo |= (uint64_t)in[byte + have] << 8 * have;
	}
	uint64_t v = lo >> shift;
	if (shift + width > 64)
		v |= (uint64_t)in[byte + 8] << (64 - shift);
	return v & slx_mask(width);
}

uint64_t slx_unpack_one(const uint8_t *in, size_t n, unsigned width, size_t i)
{
	return width ? field(in, slx_packed_size(n, width), i * width, width) : 0;
}

void slx_unpack_scalar(const uint8_t *in, size_t n, unsigned width, uint64_t *out)
{
	if (width == 0) {
		memset(out, 0, n * sizeof *out);
		return;
	}
	if (width == 64) {
		memcpy(out, in, n * sizeof *out);
		return;
	}
	size_t size = slx_packed_size(n, width), i = 0, at = 0;
	uint64_t mask = slx_mask(width);
	if (width <= 57) /* a field then spans at most 8 bytes */
		for (; i < n && (at >> 3) + 8 <= size; i++, at += width)
			out[i] = slx_load64(in + (at >> 3)) >> (at & 7) & mask;
	for (; i < n; i++, at += width)
		out[i] = field(in, size, at, width);
}

/* Puts the low `bits` of v behind the `fill` bits in acc; whole words go out. */
static inline uint8_t *put_bits(uint8_t *out, uint64_t *acc, unsigned *fill, uint64_t v, unsigned bits)
{
	*acc |= v << *fill;
	*fill += bits;
	if (*fill < 64)
		return out;
	slx_store64(out, *acc);
	*fill -= 64;
	*acc = *fill ? v >> (bits - *fill) : 0;
	return out + 8;
}

uint8_t *slx_pack(const int64_t *x, size_t n, int64_t base, unsigned width, uint8_t *out)
{
	if (width == 0)
		return out;
	uint64_t acc = 0, mask = slx_mask(width), b = (uint64_t)base;
	unsigned fill = 0;
	size_t i = 0;
	if (width <= 16) /* four make one word: a fourth of the steps that wait for each other */
		for (; i + 4 <= n; i += 4) {
			uint64_t lo = (((uint64_t)x[i] - b) & mask) | (((uint64_t)x[i + 1] - b) & mask) << width;
			uint64_t hi = (((uint64_t)x[i + 2] - b) & mask) | (((uint64_t)x[i + 3] - b) & mask) << width;
			out = put_bits(out, &acc, &fill, lo | hi << 2 * width, 4 * width);
		}
	else if (width <= 32)
		for (; i + 2 <= n; i += 2)
			out = put_bits(out, &acc, &fill, (((uint64_t)x[i] - b) & mask) | (((uint64_t)x[i + 1] - b) & mask) << width, 2 * width);
	for (; i < n; i++)
		out = put_bits(out, &acc, &fill, ((uint64_t)x[i] - b) & mask, width);
	for (; fill; fill = fill > 8 ? fill - 8 : 0, acc >>= 8)
		*out++ = (uint8_t)acc;
	return out;
}
