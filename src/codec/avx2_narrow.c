/* The kernels for narrow fields with AVX2: eight lanes of 32 bits instead of four of 64, all the way to the conversion to
 * doubles. Most vectors are narrow: kernels.h says which.
 *
 * Eight fields of w <= 20 bits take w bytes: one 16-byte load holds the first four, another, from byte w / 2 on, the
 * others; a shuffle, a shift and a mask put each into its lane. Running sums are offsets from the first value and, with
 * at most 512 steps of 21 bits, stay within 32 bits; doubles hold them and the first value exactly. */
#if defined(__x86_64__)

#include "codec/avx2_int.h"

#include <string.h>

#define U(x) ((uint64_t)(x))

struct row {
	uint8_t shuffle[32];
	uint32_t shift[8];
};

#define AT(j, w) (((j) * (w) >> 3) - ((j) / 4 * (w) >> 1))
#define LANE(j, w) AT(j, w), AT(j, w) + 1, AT(j, w) + 2, AT(j, w) + 3
#define SHIFT(j, w) ((j) * (w) & 7)
#define ROW(w)                                                                                                         \
	{ { LANE(0, w), LANE(1, w), LANE(2, w), LANE(3, w), LANE(4, w), LANE(5, w), LANE(6, w), LANE(7, w) },              \
		{ SHIFT(0, w), SHIFT(1, w), SHIFT(2, w), SHIFT(3, w), SHIFT(4, w), SHIFT(5, w), SHIFT(6, w), SHIFT(7, w) } }

static const struct row rows[SLX_NARROW + 1] __attribute__((aligned(64))) = { ROW(0), ROW(1), ROW(2), ROW(3), ROW(4),
	ROW(5), ROW(6), ROW(7), ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16), ROW(17),
	ROW(18), ROW(19), ROW(20) };

struct sink {
	void *out;
	__m256i step, carry; /* of prefix sums; carry in all lanes */
	__m256d base, scale, inv;
	bool scaled;
	__m256i low_sum, high_sum, min, max; /* sums of the low 16 bits and of the rest: 512 of either fit a lane */
};

/* Takes eight fields, of which the first `count` are meant. */
typedef void sink_fn(struct sink *s, size_t i, __m256i u, unsigned count);

INLINE __m256i take(const uint8_t *p, unsigned half, __m256i shuffle, __m256i shift, __m256i mask)
{
	__m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
		_mm_loadu_si128((const __m128i *)(p + half)), 1);
	return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, shuffle), shift), mask);
}

enum { TAIL = 32, TAIL_PAD = 32 };

/* The last bytes of a run, ending at last + TAIL, zeros behind. */
INLINE void copy_tail(const uint8_t *in, size_t size, uint8_t *last)
{
	memset(last + TAIL, 0, TAIL_PAD);
	if (size >= 32) {
		memcpy(last, in + size - 32, 32);
	} else if (size >= 16) {
		memcpy(last + TAIL - size, in, 16);
		memcpy(last + TAIL - 16, in + size - 16, 16);
	} else if (size) {
		memcpy(last + TAIL - size, in, size);
	}
}

/* Loads must not pass the end: the last fields come from a padded copy, which is made first so that its bytes have
 * reached the cache when they are loaded in other pieces than they were stored. */
INLINE void feed(const uint8_t *in, size_t n, unsigned width, struct sink *s, sink_fn *emit)
{
	const __m256i shuffle = _mm256_loadu_si256((const __m256i *)rows[width].shuffle);
	const __m256i shift = _mm256_loadu_si256((const __m256i *)rows[width].shift);
	const __m256i mask = _mm256_set1_epi32((1 << width) - 1);
	const unsigned half = width / 2;
	size_t left = slx_packed_size(n, width), i = 0;
	uint8_t last[TAIL + TAIL_PAD];
	copy_tail(in, left, last);
	for (; i + 8 <= n && left >= half + 16; i += 8, in += width, left -= width)
		emit(s, i, take(in, half, shuffle, shift, mask), 8);
	const uint8_t *p = last + TAIL - left;
	for (; i + 8 <= n; i += 8, p += width)
		emit(s, i, take(p, half, shuffle, shift, mask), 8);
	if (i < n)
		emit(s, i, take(p, half, shuffle, shift, mask), (unsigned)(n - i));
}

INLINE void feed_ints(const int32_t *d, size_t n, struct sink *s, sink_fn *emit)
{
	size_t i = 0;
	for (; i + 8 <= n; i += 8)
		emit(s, i, _mm256_loadu_si256((const __m256i *)(d + i)), 8);
	if (i < n)
		emit(s, i, _mm256_loadu_si256((const __m256i *)(d + i)), (unsigned)(n - i));
}

/* Masked stores are slow on some processors. */
INLINE void store_some(double *to, __m256d v, unsigned count)
{
	__m128d low = _mm256_castpd256_pd128(v);
	if (count & 4) {
		_mm256_storeu_pd(to, v);
		return;
	}
	if (count & 2) {
		_mm_storeu_pd(to, low);
		low = _mm256_extractf128_pd(v, 1);
		to += 2;
	}
	if (count & 1)
		_mm_store_sd(to, low);
}

INLINE __m256d value4(const struct sink *s, __m128i offsets)
{
	__m256d d = _mm256_add_pd(_mm256_cvtepi32_pd(offsets), s->base);
	return s->scaled ? slx_decimal4(d, s->scale, s->inv) : d;
}

INLINE void emit_f64(struct sink *s, size_t i, __m256i u, unsigned count)
{
	double *to = (double *)s->out + i;
	__m256d low = value4(s, _mm256_castsi256_si128(u)), high = value4(s, _mm256_extracti128_si256(u, 1));
	store_some(to, low, count < 4 ? count : 4);
	if (count > 4)
		store_some(to + 4, high, count - 4);
}

/* Inclusive running sums of the lanes after the carry, which moves on. */
INLINE __m256i prefix8(struct sink *s, __m256i u)
{
	__m256i x = _mm256_add_epi32(u, s->step);
	x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
	x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
	__m256i low = _mm256_permute2x128_si256(x, x, 0x08); /* nothing, the first four */
	x = _mm256_add_epi32(x, _mm256_shuffle_epi32(low, 0xff));
	__m256i sums = _mm256_add_epi32(x, s->carry);
	s->carry = _mm256_add_epi32(s->carry, _mm256_permutevar8x32_epi32(x, _mm256_set1_epi32(7)));
	return sums;
}

INLINE void emit_steps_f64(struct sink *s, size_t i, __m256i u, unsigned count)
{
	emit_f64(s, i, prefix8(s, u), count);
}

INLINE void emit_agg(struct sink *s, size_t i, __m256i u, unsigned count)
{
	__m256i low = u, high = u;
	(void)i;
	if (count < 8) {
		__m256i valid = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
		u = _mm256_and_si256(u, valid);
		low = _mm256_blendv_epi8(_mm256_set1_epi32(INT32_MAX), low, valid);
		high = _mm256_blendv_epi8(_mm256_set1_epi32(INT32_MIN), high, valid);
	}
	s->min = _mm256_min_epi32(s->min, low);
	s->max = _mm256_max_epi32(s->max, high);
	s->low_sum = _mm256_add_epi32(s->low_sum, _mm256_and_si256(u, _mm256_set1_epi32(0xffff)));
	s->high_sum = _mm256_add_epi32(s->high_sum, _mm256_srai_epi32(u, 16));
}

INLINE void emit_steps_agg(struct sink *s, size_t i, __m256i u, unsigned count)
{
	emit_agg(s, i, prefix8(s, u), count);
}

INLINE void emit_ints(struct sink *s, size_t i, __m256i u, unsigned count)
{
	(void)count;
	_mm256_storeu_si256((__m256i *)((int32_t *)s->out + i), u);
}

void slx_narrow_unpack(const uint8_t *in, size_t n, unsigned width, int32_t *out)
{
	struct sink s = { .out = out };
	feed(in, n, width, &s, emit_ints);
}

INLINE struct sink f64_sink(double *out, int64_t base, int64_t step, unsigned exp)
{
	return (struct sink){ .out = out, .step = _mm256_set1_epi32((int32_t)step), .base = _mm256_set1_pd((double)base),
		.scale = _mm256_set1_pd(slx_pow10[exp]), .inv = _mm256_set1_pd(slx_pow10_inv[exp]), .scaled = exp != 0 };
}

INLINE void feed_f64(const uint8_t *in, size_t n, unsigned width, struct sink s, sink_fn *emit)
{
	if (s.scaled) { /* the two loops are separate so that the test is not inside */
		s.scaled = true;
		feed(in, n, width, &s, emit);
	} else {
		s.scaled = false;
		feed(in, n, width, &s, emit);
	}
}

void slx_narrow_for_f64(const uint8_t *in, size_t n, unsigned width, int64_t base, unsigned exp, double *out)
{
	feed_f64(in, n, width, f64_sink(out, base, 0, exp), emit_f64);
}

void slx_narrow_delta_f64(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, unsigned exp,
	double *out)
{
	feed_f64(in, n, width, f64_sink(out, first, step, exp), emit_steps_f64);
}

void slx_narrow_ints_f64(const int32_t *d, size_t n, int64_t base, unsigned exp, double *out)
{
	struct sink s = f64_sink(out, base, 0, exp);
	s.scaled = true; /* by 1 where exp is 0 */
	feed_ints(d, n, &s, emit_f64);
}

void slx_narrow_steps_f64(const int32_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out)
{
	struct sink s = f64_sink(out, first, step, exp);
	s.scaled = true;
	feed_ints(d, n, &s, emit_steps_f64);
}

INLINE struct sink agg_sink(int64_t step)
{
	return (struct sink){ .step = _mm256_set1_epi32((int32_t)step), .min = _mm256_set1_epi32(INT32_MAX),
		.max = _mm256_set1_epi32(INT32_MIN) };
}

/* n > 0; offsets are from base. */
INLINE void agg_finish(const struct sink *s, size_t n, int64_t base, struct slx_int_agg *ret)
{
	__m256i four = _mm256_hadd_epi32(s->low_sum, s->high_sum);
	__m128i two = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
	two = _mm_hadd_epi32(two, two); /* low, high, twice */
	__m128i low = _mm_min_epi32(_mm256_castsi256_si128(s->min), _mm256_extracti128_si256(s->min, 1));
	__m128i high = _mm_max_epi32(_mm256_castsi256_si128(s->max), _mm256_extracti128_si256(s->max, 1));
	low = _mm_min_epi32(low, _mm_shuffle_epi32(low, 0x4e));
	high = _mm_max_epi32(high, _mm_shuffle_epi32(high, 0x4e));
	int64_t min = _mm_cvtsi128_si32(_mm_min_epi32(low, _mm_shuffle_epi32(low, 0xb1)));
	int64_t max = _mm_cvtsi128_si32(_mm_max_epi32(high, _mm_shuffle_epi32(high, 0xb1)));
	int64_t sum = _mm_extract_epi32(two, 1) * INT64_C(65536) + _mm_cvtsi128_si32(two);
	ret->sum = (int64_t)(U(sum) + n * U(base));
	ret->min = (int64_t)(U(min) + U(base));
	ret->max = (int64_t)(U(max) + U(base));
}

void slx_narrow_for_agg(const uint8_t *in, size_t n, unsigned width, int64_t base, struct slx_int_agg *ret)
{
	struct sink s = agg_sink(0);
	feed(in, n, width, &s, emit_agg);
	agg_finish(&s, n, base, ret);
}

void slx_narrow_delta_agg(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step,
	struct slx_int_agg *ret)
{
	struct sink s = agg_sink(step);
	feed(in, n, width, &s, emit_steps_agg);
	agg_finish(&s, n, first, ret);
}

void slx_narrow_ints_agg(const int32_t *d, size_t n, int64_t base, struct slx_int_agg *ret)
{
	struct sink s = agg_sink(0);
	feed_ints(d, n, &s, emit_agg);
	agg_finish(&s, n, base, ret);
}

void slx_narrow_steps_agg(const int32_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret)
{
	struct sink s = agg_sink(step);
	feed_ints(d, n, &s, emit_steps_agg);
	agg_finish(&s, n, first, ret);
}
#endif
