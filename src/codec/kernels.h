/* The loops under the codecs, in one table of functions per instruction set, picked once at run time.
 *
 * All levels give the same bits for whatever an encoder made. Two rules make that so: the decimal conversion is the
 * fused sequence of slx_decimal() on every level, and sums of doubles use the lane order that stats.c describes.
 * Kernels trust their arguments: `in` holds slx_packed_size(n, width) bytes (they read no more), width is 0..64,
 * exp is 0..SLX_SCALE_MAX. Integers wrap. The decoders above check everything that comes from outside.
 *
 * "avx512" (VBMI unpack) compiles here but this machine cannot run it: its tests skip themselves. arm64 runs "scalar". */
#ifndef SLX_CODEC_KERNELS_H
#define SLX_CODEC_KERNELS_H

#include "codec/codec.h"

#include <math.h>

enum slx_codec_level { SLX_CODEC_SCALAR, SLX_CODEC_AVX2, SLX_CODEC_AVX512, SLX_CODEC_LEVELS };

/* Of integers; with n 0 the sum is 0 and min > max. */
struct slx_int_agg {
	int64_t sum, min, max;
};

struct slx_codec_kernels {
	const char *name;
	/* out[i] = the i-th field of `width` bits, least significant bit first. */
	void (*unpack)(const uint8_t *in, size_t n, unsigned width, uint64_t *out);
	/* d[i] = first + sum over j <= i of (d[j] + step), in place. */
	void (*prefix)(int64_t *d, size_t n, int64_t first, int64_t step);
	/* slx_decimal(), whose fma() is an instruction or a call. */
	double (*decimal)(double d, unsigned exp);
	/* out[i] = (d[i] + base) / 10^exp, magnitudes below 2^51; and the same after prefix(d, n, first, step). */
	void (*ints_f64)(const int64_t *d, size_t n, int64_t base, unsigned exp, double *out);
	void (*steps_f64)(const int64_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out);
	void (*ints_agg)(const int64_t *d, size_t n, int64_t base, struct slx_int_agg *ret);
	void (*steps_agg)(const int64_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret);
	/* unpack, add base, ints_f64 in one pass; and unpack, prefix, ints_f64: the n values that follow `first`. */
	void (*for_f64)(const uint8_t *in, size_t n, unsigned width, int64_t base, unsigned exp, double *out);
	void (*delta_f64)(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, unsigned exp,
		double *out);
	/* The same integers, only aggregated. */
	void (*for_agg)(const uint8_t *in, size_t n, unsigned width, int64_t base, struct slx_int_agg *ret);
	void (*delta_agg)(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step,
		struct slx_int_agg *ret);
	/* As unpack, ints_f64, steps_f64, ints_agg and steps_agg, for runs that slx_narrow() allows and n > 0. The arrays
	 * are read and written up to a multiple of SLX_NARROW_LANES. */
	void (*narrow_unpack)(const uint8_t *in, size_t n, unsigned width, int32_t *out);
	void (*narrow_ints_f64)(const int32_t *d, size_t n, int64_t base, unsigned exp, double *out);
	void (*narrow_steps_f64)(const int32_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out);
	void (*narrow_ints_agg)(const int32_t *d, size_t n, int64_t base, struct slx_int_agg *ret);
	void (*narrow_steps_agg)(const int32_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret);
	/* The encoder's conversion: d[i] = round(v[i] * 10^exp), and bit i of fails set (and counted) where decoding d[i]
	 * would not give v[i] back; d[i] is then anything. fails: (n + 63) / 64 words, overwritten. f32: the decoder
	 * rounds its result to float32. */
	size_t (*to_ints)(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, uint64_t *fails);
	/* Least and greatest of d, and of d[i] - d[i - 1] (n >= 2; wrapping). */
	void (*range)(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max);
	void (*delta_range)(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max);
	/* How many x[i] - base do not fit `width` bits. */
	size_t (*outside)(const int64_t *x, size_t n, int64_t base, unsigned width);
	void (*stats)(const double *v, size_t n, struct slx_stats *ret);
};

const struct slx_codec_kernels *slx_codec_kernels(void);                               /* the best that runs here */
const struct slx_codec_kernels *slx_codec_kernels_for(enum slx_codec_level level);     /* NULL when it cannot run here */

extern const struct slx_codec_kernels slx_codec_scalar;
#if defined(__x86_64__)
extern const struct slx_codec_kernels slx_codec_avx2, slx_codec_avx512;
#endif

extern const double slx_pow10[SLX_SCALE_MAX + 1];     /* exact */
extern const double slx_pow10_inv[SLX_SCALE_MAX + 1]; /* nearest */

/* 1.5 * 2^52: adding it to |x| < 2^51 leaves the rounded integer in the low bits of the sum. */
#define SLX_MAGIC 6755399441055744.0
#define SLX_MAGIC_BITS 0x4338000000000000
#define SLX_INT_LIMIT (INT64_C(1) << 51) /* decimals' integers stay below, in magnitude */

/* d / 10^exp by the inverse and one corrective step: q is near, r is its exact error. A single multiplication by the
 * inverse is off by one unit in 3 of 10 cases; this was right in 132 million random trials and does not have to be:
 * the encoder compares each value with what this gives. */
static inline double slx_decimal(double d, unsigned exp)
{
	double q = d * slx_pow10_inv[exp];
	double r = fma(-q, slx_pow10[exp], d);
	return fma(r, slx_pow10_inv[exp], q);
}

/* Integers of magnitudes up to 2^20, and steps of that size, 512 of which add up to less than 2^31: 32 bits do. */
enum { SLX_NARROW = 20, SLX_NARROW_LANES = 8 };

static inline bool slx_narrow(size_t n, unsigned width, int64_t step)
{
	return n - 1 < SLX_VECTOR_MAX && width <= SLX_NARROW && step >= -(1 << SLX_NARROW) && step <= 1 << SLX_NARROW;
}

static inline size_t slx_packed_size(size_t n, unsigned width) { return (n * width + 7) / 8; }
static inline unsigned slx_bits(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }
static inline uint64_t slx_mask(unsigned width) { return width >= 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1; }

#endif
