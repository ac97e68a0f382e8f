/* What the files of AVX2 kernels share. */
#ifndef SLX_CODEC_AVX2_INT_H
#define SLX_CODEC_AVX2_INT_H

#include "codec/kernels.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m256d slx_decimal4(__m256d d, __m256d scale, __m256d inv)
{
	__m256d q = _mm256_mul_pd(d, inv);
	return _mm256_fmadd_pd(_mm256_fnmadd_pd(q, scale, d), inv, q);
}

/* Kernels in eight lanes of 32 bits (avx2_narrow.c), for what slx_narrow() allows; see kernels.h for the others. */
void slx_narrow_for_f64(const uint8_t *in, size_t n, unsigned width, int64_t base, unsigned exp, double *out);
void slx_narrow_delta_f64(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, unsigned exp,
	double *out);
void slx_narrow_for_agg(const uint8_t *in, size_t n, unsigned width, int64_t base, struct slx_int_agg *ret);
void slx_narrow_delta_agg(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step,
	struct slx_int_agg *ret);
void slx_narrow_unpack(const uint8_t *in, size_t n, unsigned width, int32_t *out);
void slx_narrow_ints_f64(const int32_t *d, size_t n, int64_t base, unsigned exp, double *out);
void slx_narrow_steps_f64(const int32_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out);
void slx_narrow_ints_agg(const int32_t *d, size_t n, int64_t base, struct slx_int_agg *ret);
void slx_narrow_steps_agg(const int32_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret);

#endif
