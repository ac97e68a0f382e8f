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

uint8_t *slx_pack(const int64_t *x, size_t n, int64_t base, unsigned width, uint8_t *out)
{
	if (width == 0)
		return out;
	uint64_t acc = 0, mask = slx_mask(width);
	unsigned fill = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t u = ((uint64_t)x[i] - (uint64_t)base) & mask;
		acc |= u << fill;
		fill += width;
		if (fill >= 64) {
			slx_store64(out, acc);
			out += 8;
			fill -= 64;
			acc = fill ? u >> (width - fill) : 0;
		}
	}
	for (; fill; fill = fill > 8 ? fill - 8 : 0, acc >>= 8)
		*out++ = (uint8_t)acc;
	return out;
}
