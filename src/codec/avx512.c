/* Unpacking with AVX-512 VBMI: one vpermb brings the bytes of eight fields into their lanes, from one 64-byte load. All
 * other kernels of this level are those of AVX2. Compiled here but never run: the machine that built this release has
 * no such processor; kernels_test compares it with the scalar one wherever it can run. */
#if defined(__x86_64__)

#include "codec/bitpack.h"

#include <immintrin.h>

enum { WIDTH_MAX = 57 };

void slx_unpack_avx512(const uint8_t *in, size_t n, unsigned width, uint64_t *out)
{
	if (width == 0 || width > WIDTH_MAX) {
		slx_unpack_scalar(in, n, width, out);
		return;
	}
	uint64_t bytes[8], shifts[8]; /* of the eight fields in their `width` bytes */
	for (unsigned j = 0; j < 8; j++) {
		bytes[j] = (j * width >> 3) * UINT64_C(0x0101010101010101) + UINT64_C(0x0706050403020100);
		shifts[j] = j * width & 7;
	}
	const __m512i permute = _mm512_loadu_si512(bytes), shift = _mm512_loadu_si512(shifts);
	const __m512i mask = _mm512_set1_epi64((long long)slx_mask(width));
	size_t left = slx_packed_size(n, width);
	for (size_t i = 0; i < n; i += 8) {
		/* Masked loads do not touch bytes past the end; at most 64 bytes hold eight fields of 57 bits. */
		__m512i raw = _mm512_maskz_loadu_epi8(left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1, in);
		__m512i u = _mm512_and_si512(_mm512_srlv_epi64(_mm512_permutexvar_epi8(permute, raw), shift), mask);
		_mm512_mask_storeu_epi64(out + i, (__mmask8)(n - i >= 8 ? 255 : (1u << (n - i)) - 1), u);
		in += width;
		left = left > width ? left - width : 0;
	}
}
#endif
