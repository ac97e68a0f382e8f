/* The kernels for x86-64 with AVX2 and FMA. Four 64-bit lanes; see kernels.h for what each must compute.
 *
 * Unpacking: eight fields of w bits take w bytes, so the same shuffles and shifts serve every eighth field. Two 16-byte
 * loads bring the bytes of four fields; a shuffle puts each field's 8 bytes into its lane, a shift and a mask cut it
 * out. That works up to 57 bits, where a field spans at most 8 bytes; wider ones go to the scalar kernel. Loads must not
 * pass the end, so the last fields are read from a padded copy.
 *
 * Narrow fields, the most usual, have kernels of their own: avx2_narrow.c.
 *
 * Integers become doubles by adding the bits of 1.5 * 2^52 and subtracting that number; as doubles they keep their
 * order, so minima and maxima need no 64-bit integer comparison, which AVX2 is slow at. */
#if defined(__x86_64__)

#include "codec/avx2_int.h"
#include "codec/bitpack.h"
#include "codec/stats_int.h"

#define U(x) ((uint64_t)(x))

enum { WIDTH_MAX = 57 };

/* How to take fields 0..7 from their w bytes: from[i] is where the 16 bytes of fields 2i and 2i + 1 begin. */
struct unpack_row {
	uint8_t shuffle[2][32];
	uint64_t shift[2][4];
	uint8_t from[4];
};

#define BYTE(j, w) ((j) * (w) >> 3)
#define AT(j, w) (BYTE(j, w) - BYTE((j) & ~1, w))
#define LANE(j, w) AT(j, w), AT(j, w) + 1, AT(j, w) + 2, AT(j, w) + 3, AT(j, w) + 4, AT(j, w) + 5, AT(j, w) + 6, AT(j, w) + 7
#define SHIFT(j, w) ((j) * (w) & 7)
#define ROW(w)                                                                                                    \
	{ { { LANE(0, w), LANE(1, w), LANE(2, w), LANE(3, w) }, { LANE(4, w), LANE(5, w), LANE(6, w), LANE(7, w) } }, \
		{ { SHIFT(0, w), SHIFT(1, w), SHIFT(2, w), SHIFT(3, w) }, { SHIFT(4, w), SHIFT(5, w), SHIFT(6, w), SHIFT(7, w) } }, \
		{ BYTE(0, w), BYTE(2, w), BYTE(4, w), BYTE(6, w) } }
#define ROWS(w) ROW(w), ROW(w + 1), ROW(w + 2), ROW(w + 3), ROW(w + 4), ROW(w + 5), ROW(w + 6), ROW(w + 7)

static const struct unpack_row rows[64] __attribute__((aligned(64))) = { ROWS(0), ROWS(8), ROWS(16), ROWS(24), ROWS(32),
	ROWS(40), ROWS(48), ROW(56), ROW(57) };

/* What a kernel does with four fields: full has all four, else only the first `count`. */
struct sink;
typedef void sink_fn(struct sink *s, size_t i, __m256i fields, unsigned count);

struct sink {
	void *out;
	__m256i base;        /* added to each field */
	__m256i carry;       /* of prefix sums */
	__m256d scale, inv;
	bool scaled;
	__m256i sum;
	__m256d min, max;
};

INLINE __m256i first_lanes(unsigned count)
{
	return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}

INLINE __m256i take(const uint8_t *p, const struct unpack_row *row, int half, __m256i shuffle, __m256i shift, __m256i mask)
{
	__m128i lo = _mm_loadu_si128((const __m128i *)(p + row->from[2 * half]));
	__m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(lo),
		_mm_loadu_si128((const __m128i *)(p + row->from[2 * half + 1])), 1);
	return _mm256_and_si256(_mm256_srlv_epi64(_mm256_shuffle_epi8(bytes, shuffle), shift), mask);
}

enum { TAIL = 64, TAIL_PAD = 64 };

/* The last bytes of a run, ending at last + TAIL, all in loads of a fixed size where there are enough. */
INLINE void copy_tail(const uint8_t *in, size_t size, uint8_t *last)
{
	const uint8_t *end = in + size;
	uint8_t *to = last + TAIL - size;
	memset(last + TAIL, 0, TAIL_PAD);
	if (size >= 64) {
		memcpy(last, end - 64, 64);
	} else if (size >= 32) {
		memcpy(to, in, 32);
		memcpy(last + 32, end - 32, 32);
	} else if (size >= 16) {
		memcpy(to, in, 16);
		memcpy(last + 48, end - 16, 16);
	} else {
		memcpy(to, in, size);
	}
}

/* Feeds all n fields to the sink, four at a time. */
INLINE void feed(const uint8_t *in, size_t n, unsigned width, struct sink *s, sink_fn *emit)
{
	const struct unpack_row *row = &rows[width];
	const __m256i shuffle0 = _mm256_loadu_si256((const __m256i *)row->shuffle[0]);
	const __m256i shuffle1 = _mm256_loadu_si256((const __m256i *)row->shuffle[1]);
	const __m256i shift0 = _mm256_loadu_si256((const __m256i *)row->shift[0]);
	const __m256i shift1 = _mm256_loadu_si256((const __m256i *)row->shift[1]);
	const __m256i mask = _mm256_set1_epi64x((int64_t)slx_mask(width));
	size_t size = slx_packed_size(n, width), reach = row->from[3] + 16u, i = 0;
	const uint8_t *p = in, *end = in + size;
	for (; i + 8 <= n && (size_t)(end - p) >= reach; i += 8, p += width) {
		emit(s, i, take(p, row, 0, shuffle0, shift0, mask), 4);
		emit(s, i + 4, take(p, row, 1, shuffle1, shift1, mask), 4);
	}
	if (i == n)
		return;
	uint8_t last[TAIL + TAIL_PAD];
	copy_tail(in, size, last);
	for (p = last + TAIL - (end - p); i + 8 <= n; i += 8, p += width) {
		emit(s, i, take(p, row, 0, shuffle0, shift0, mask), 4);
		emit(s, i + 4, take(p, row, 1, shuffle1, shift1, mask), 4);
	}
	if (i + 4 <= n) {
		emit(s, i, take(p, row, 0, shuffle0, shift0, mask), 4);
		i += 4;
		if (i < n)
			emit(s, i, take(p, row, 1, shuffle1, shift1, mask), (unsigned)(n - i));
	} else if (i < n) {
		emit(s, i, take(p, row, 0, shuffle0, shift0, mask), (unsigned)(n - i));
	}
}

/* The same from integers that are unpacked already. */
INLINE void feed_ints(const int64_t *d, size_t n, struct sink *s, sink_fn *emit)
{
	size_t i = 0;
	for (; i + 4 <= n; i += 4)
		emit(s, i, _mm256_loadu_si256((const __m256i *)(d + i)), 4);
	if (i < n)
		emit(s, i, _mm256_maskload_epi64((const long long *)d + i, first_lanes((unsigned)(n - i))), (unsigned)(n - i));
}

INLINE void emit_ints(struct sink *s, size_t i, __m256i u, unsigned count)
{
	long long *to = (long long *)s->out + i;
	if (count == 4)
		_mm256_storeu_si256((__m256i *)to, u);
	else
		_mm256_maskstore_epi64(to, first_lanes(count), u);
}

static void unpack(const uint8_t *in, size_t n, unsigned width, uint64_t *out)
{
	if (width == 0 || width > WIDTH_MAX) {
		slx_unpack_scalar(in, n, width, out);
		return;
	}
	struct sink s = { .out = out };
	feed(in, n, width, &s, emit_ints);
}

/* Inclusive prefix sums of the lanes after the carry, which moves on. */
INLINE __m256i prefix4(__m256i d, __m256i *carry)
{
	__m256i x = _mm256_add_epi64(d, _mm256_slli_si256(d, 8)); /* d0, d0+d1, d2, d2+d3 */
	__m256i low = _mm256_permute2x128_si256(x, x, 0x08);      /* 0, 0, d0, d0+d1 */
	x = _mm256_add_epi64(x, _mm256_unpackhi_epi64(low, low));
	__m256i sum = _mm256_add_epi64(x, *carry);
	__m256i all = _mm256_permute2x128_si256(x, x, 0x11);
	*carry = _mm256_add_epi64(*carry, _mm256_unpackhi_epi64(all, all)); /* one addition on the long chain */
	return sum;
}

static void prefix(int64_t *d, size_t n, int64_t first, int64_t step)
{
	__m256i carry = _mm256_set1_epi64x(first), steps = _mm256_set1_epi64x(step);
	size_t i = 0;
	for (; i + 4 <= n; i += 4) {
		__m256i *p = (__m256i *)(d + i);
		_mm256_storeu_si256(p, prefix4(_mm256_add_epi64(_mm256_loadu_si256(p), steps), &carry));
	}
	uint64_t at = U(_mm256_extract_epi64(carry, 0));
	for (; i < n; i++)
		d[i] = (int64_t)(at += U(d[i]) + U(step));
}

static double decimal(double d, unsigned exp) { return slx_decimal(d, exp); }

/* biased: integers plus SLX_MAGIC_BITS. */
INLINE __m256d to_double(__m256i biased) { return _mm256_sub_pd(_mm256_castsi256_pd(biased), _mm256_set1_pd(SLX_MAGIC)); }

INLINE void store_double(struct sink *s, size_t i, __m256i biased, unsigned count)
{
	double *to = (double *)s->out + i;
	__m256d v = to_double(biased);
	if (s->scaled)
		v = slx_decimal4(v, s->scale, s->inv);
	if (count == 4)
		_mm256_storeu_pd(to, v);
	else
		_mm256_maskstore_pd(to, first_lanes(count), v);
}

INLINE struct sink double_sink(double *out, int64_t base, unsigned exp)
{
	return (struct sink){ .out = out, .base = _mm256_set1_epi64x(base), .scale = _mm256_set1_pd(slx_pow10[exp]),
		.inv = _mm256_set1_pd(slx_pow10_inv[exp]) };
}

INLINE void emit_for(struct sink *s, size_t i, __m256i u, unsigned count)
{
	store_double(s, i, _mm256_add_epi64(u, s->base), count);
}

INLINE void emit_delta(struct sink *s, size_t i, __m256i u, unsigned count)
{
	store_double(s, i, prefix4(_mm256_add_epi64(u, s->base), &s->carry), count);
}

/* The two loops, with and without scaling, are separate so that the test is not inside. */
INLINE void feed_doubles(const uint8_t *in, size_t n, unsigned width, unsigned exp, struct sink *s, sink_fn *emit)
{
	if (exp == 0) {
		s->scaled = false;
		feed(in, n, width, s, emit);
	} else {
		s->scaled = true;
		feed(in, n, width, s, emit);
	}
}

INLINE void feed_int_doubles(const int64_t *d, size_t n, unsigned exp, struct sink *s, sink_fn *emit)
{
	if (exp == 0) {
		s->scaled = false;
		feed_ints(d, n, s, emit);
	} else {
		s->scaled = true;
		feed_ints(d, n, s, emit);
	}
}

static void ints_f64(const int64_t *d, size_t n, int64_t base, unsigned exp, double *out)
{
	struct sink s = double_sink(out, (int64_t)(U(base) + SLX_MAGIC_BITS), exp);
	feed_int_doubles(d, n, exp, &s, emit_for);
}

static void steps_f64(const int64_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out)
{
	struct sink s = double_sink(out, step, exp);
	s.carry = _mm256_set1_epi64x((int64_t)(U(first) + SLX_MAGIC_BITS));
	feed_int_doubles(d, n, exp, &s, emit_delta);
}

static void for_f64(const uint8_t *in, size_t n, unsigned width, int64_t base, unsigned exp, double *out)
{
	if (slx_narrow(n, width, 0)) {
		slx_narrow_for_f64(in, n, width, base, exp, out);
		return;
	}
	if (width == 0 || width > WIDTH_MAX) {
		slx_codec_scalar.for_f64(in, n, width, base, exp, out);
		return;
	}
	struct sink s = double_sink(out, (int64_t)(U(base) + SLX_MAGIC_BITS), exp);
	feed_doubles(in, n, width, exp, &s, emit_for);
}

static void delta_f64(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, unsigned exp, double *out)
{
	if (slx_narrow(n, width, step)) {
		slx_narrow_delta_f64(in, n, width, first, step, exp, out);
		return;
	}
	if (width == 0 || width > WIDTH_MAX) {
		slx_codec_scalar.delta_f64(in, n, width, first, step, exp, out);
		return;
	}
	struct sink s = double_sink(out, step, exp);
	s.carry = _mm256_set1_epi64x((int64_t)(U(first) + SLX_MAGIC_BITS));
	feed_doubles(in, n, width, exp, &s, emit_delta);
}

INLINE struct sink agg_sink(int64_t base)
{
	return (struct sink){ .base = _mm256_set1_epi64x(base), .min = _mm256_set1_pd(INFINITY), .max = _mm256_set1_pd(-INFINITY) };
}

INLINE void agg_add(struct sink *s, __m256i biased, unsigned count)
{
	__m256d v = _mm256_castsi256_pd(biased), low = v, high = v;
	if (count < 4) {
		__m256i valid = first_lanes(count);
		biased = _mm256_and_si256(biased, valid);
		low = _mm256_blendv_pd(_mm256_set1_pd(INFINITY), v, _mm256_castsi256_pd(valid));
		high = _mm256_blendv_pd(_mm256_set1_pd(-INFINITY), v, _mm256_castsi256_pd(valid));
	}
	s->sum = _mm256_add_epi64(s->sum, biased);
	s->min = _mm256_min_pd(low, s->min);
	s->max = _mm256_max_pd(high, s->max);
}

static void agg_finish(const struct sink *s, size_t n, struct slx_int_agg *ret)
{
	double min[4], max[4];
	uint64_t sum[4];
	_mm256_storeu_pd(min, s->min);
	_mm256_storeu_pd(max, s->max);
	_mm256_storeu_si256((__m256i *)sum, s->sum);
	double least = INFINITY, most = -INFINITY;
	for (int i = 0; i < 4; i++) {
		least = min[i] < least ? min[i] : least;
		most = max[i] > most ? max[i] : most;
	}
	*ret = (struct slx_int_agg){ (int64_t)(sum[0] + sum[1] + sum[2] + sum[3] - n * U(SLX_MAGIC_BITS)), INT64_MAX, INT64_MIN };
	if (n) {
		ret->min = (int64_t)(slx_f64_bits(least) - SLX_MAGIC_BITS);
		ret->max = (int64_t)(slx_f64_bits(most) - SLX_MAGIC_BITS);
	}
}

INLINE void emit_for_agg(struct sink *s, size_t i, __m256i u, unsigned count)
{
	agg_add(s, _mm256_add_epi64(u, s->base), count);
}

INLINE void emit_delta_agg(struct sink *s, size_t i, __m256i u, unsigned count)
{
	agg_add(s, prefix4(_mm256_add_epi64(u, s->base), &s->carry), count);
}

static void ints_agg(const int64_t *d, size_t n, int64_t base, struct slx_int_agg *ret)
{
	struct sink s = agg_sink((int64_t)(U(base) + SLX_MAGIC_BITS));
	feed_ints(d, n, &s, emit_for_agg);
	agg_finish(&s, n, ret);
}

static void steps_agg(const int64_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret)
{
	struct sink s = agg_sink(step);
	s.carry = _mm256_set1_epi64x((int64_t)(U(first) + SLX_MAGIC_BITS));
	feed_ints(d, n, &s, emit_delta_agg);
	agg_finish(&s, n, ret);
}

static void for_agg(const uint8_t *in, size_t n, unsigned width, int64_t base, struct slx_int_agg *ret)
{
	if (slx_narrow(n, width, 0)) {
		slx_narrow_for_agg(in, n, width, base, ret);
		return;
	}
	if (width == 0 || width > WIDTH_MAX) {
		slx_codec_scalar.for_agg(in, n, width, base, ret);
		return;
	}
	struct sink s = agg_sink((int64_t)(U(base) + SLX_MAGIC_BITS));
	feed(in, n, width, &s, emit_for_agg);
	agg_finish(&s, n, ret);
}

static void delta_agg(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, struct slx_int_agg *ret)
{
	if (slx_narrow(n, width, step)) {
		slx_narrow_delta_agg(in, n, width, first, step, ret);
		return;
	}
	if (width == 0 || width > WIDTH_MAX) {
		slx_codec_scalar.delta_agg(in, n, width, first, step, ret);
		return;
	}
	struct sink s = agg_sink(step);
	s.carry = _mm256_set1_epi64x((int64_t)(U(first) + SLX_MAGIC_BITS));
	feed(in, n, width, &s, emit_delta_agg);
	agg_finish(&s, n, ret);
}

/* Four values; returns the lanes (bits 0..3) that do not come back. */
INLINE unsigned ints4(__m256d v, __m256d scale, __m256d inv, bool f32, __m256i *ret)
{
	const __m256d magic = _mm256_set1_pd(SLX_MAGIC), sign = _mm256_set1_pd(-0.0);
	__m256d x = _mm256_add_pd(_mm256_mul_pd(v, scale), magic);
	__m256d t = _mm256_sub_pd(x, magic);
	__m256d back = slx_decimal4(t, scale, inv);
	if (f32)
		back = _mm256_cvtps_pd(_mm256_cvtpd_ps(back));
	*ret = _mm256_sub_epi64(_mm256_castpd_si256(x), _mm256_set1_epi64x(SLX_MAGIC_BITS));
	__m256d small = _mm256_cmp_pd(_mm256_andnot_pd(sign, t), _mm256_set1_pd((double)SLX_INT_LIMIT), _CMP_LT_OQ);
	__m256i same = _mm256_cmpeq_epi64(_mm256_castpd_si256(back), _mm256_castpd_si256(v));
	return ~(unsigned)_mm256_movemask_pd(_mm256_and_pd(small, _mm256_castsi256_pd(same))) & 15;
}

INLINE size_t to_ints_loop(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, uint64_t *fails)
{
	const __m256d scale = _mm256_set1_pd(slx_pow10[exp]), inv = _mm256_set1_pd(slx_pow10_inv[exp]);
	size_t failed = 0, i = 0;
	uint64_t word = 0;
	for (; i + 4 <= n; i += 4) {
		__m256i x;
		word |= U(ints4(_mm256_loadu_pd(v + i), scale, inv, f32, &x)) << (i & 63);
		_mm256_storeu_si256((__m256i *)(d + i), x);
		if ((i & 63) == 60) {
			failed += (size_t)__builtin_popcountll(word);
			fails[i / 64] = word;
			word = 0;
		}
	}
	if (i < n) {
		__m256i x, valid = first_lanes((unsigned)(n - i));
		unsigned bad = ints4(_mm256_maskload_pd(v + i, valid), scale, inv, f32, &x);
		word |= U(bad & ((1u << (n - i)) - 1)) << (i & 63);
		_mm256_maskstore_epi64((long long *)d + i, valid, x);
	}
	if (n & 63) {
		failed += (size_t)__builtin_popcountll(word);
		fails[n / 64] = word;
	}
	return failed;
}

static size_t to_ints(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, uint64_t *fails)
{
	return f32 ? to_ints_loop(v, n, exp, true, d, fails) : to_ints_loop(v, n, exp, false, d, fails);
}

INLINE __m256i min4(__m256i a, __m256i b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b)); }
INLINE __m256i max4(__m256i a, __m256i b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(b, a)); }

INLINE void fold_range(__m256i low, __m256i high, int64_t *ret_min, int64_t *ret_max)
{
	int64_t min[4], max[4];
	_mm256_storeu_si256((__m256i *)min, low);
	_mm256_storeu_si256((__m256i *)max, high);
	for (int i = 0; i < 4; i++) {
		*ret_min = min[i] < *ret_min ? min[i] : *ret_min;
		*ret_max = max[i] > *ret_max ? max[i] : *ret_max;
	}
}

static void range(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max)
{
	__m256i low = _mm256_set1_epi64x(d[0]), high = low;
	size_t i = 0;
	for (; i + 4 <= n; i += 4) {
		__m256i x = _mm256_loadu_si256((const __m256i *)(d + i));
		low = min4(low, x);
		high = max4(high, x);
	}
	*ret_min = *ret_max = d[0];
	fold_range(low, high, ret_min, ret_max);
	for (; i < n; i++) {
		*ret_min = d[i] < *ret_min ? d[i] : *ret_min;
		*ret_max = d[i] > *ret_max ? d[i] : *ret_max;
	}
}

static void delta_range(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max)
{
	__m256i low = _mm256_set1_epi64x(INT64_MAX), high = _mm256_set1_epi64x(INT64_MIN);
	size_t i = 1;
	for (; i + 4 <= n; i += 4) {
		__m256i x = _mm256_sub_epi64(_mm256_loadu_si256((const __m256i *)(d + i)), _mm256_loadu_si256((const __m256i *)(d + i - 1)));
		low = min4(low, x);
		high = max4(high, x);
	}
	*ret_min = INT64_MAX;
	*ret_max = INT64_MIN;
	fold_range(low, high, ret_min, ret_max);
	for (; i < n; i++) {
		int64_t x = (int64_t)(U(d[i]) - U(d[i - 1]));
		*ret_min = x < *ret_min ? x : *ret_min;
		*ret_max = x > *ret_max ? x : *ret_max;
	}
}

static size_t outside(const int64_t *x, size_t n, int64_t base, unsigned width)
{
	__m256i bases = _mm256_set1_epi64x(base), inside = _mm256_setzero_si256();
	__m128i shift = _mm_cvtsi32_si128((int)width); /* 64 shifts everything out: all fit */
	size_t i = 0;
	for (; i + 4 <= n; i += 4) {
		__m256i u = _mm256_sub_epi64(_mm256_loadu_si256((const __m256i *)(x + i)), bases);
		inside = _mm256_sub_epi64(inside, _mm256_cmpeq_epi64(_mm256_srl_epi64(u, shift), _mm256_setzero_si256()));
	}
	int64_t in[4];
	_mm256_storeu_si256((__m256i *)in, inside);
	size_t count = i - (size_t)(in[0] + in[1] + in[2] + in[3]);
	for (; i < n && width < 64; i++)
		count += (U(x[i]) - U(base)) >> width != 0;
	return count;
}

static void stats(const double *v, size_t n, struct slx_stats *ret)
{
	__m256d sum = _mm256_setzero_pd(), comp = sum, rise = sum, nan = sum;
	__m256d min = _mm256_set1_pd(INFINITY), max = _mm256_set1_pd(-INFINITY);
	__m256i fell = _mm256_setzero_si256();
	struct slx_stats_lanes l;
	size_t i = 0;
	for (; i + 5 <= n; i += 4) {
		__m256d x = _mm256_loadu_pd(v + i), next = _mm256_loadu_pd(v + i + 1);
		nan = _mm256_or_pd(nan, _mm256_cmp_pd(x, x, _CMP_UNORD_Q));
		__m256d t = _mm256_add_pd(sum, x), b = _mm256_sub_pd(t, sum);
		comp = _mm256_add_pd(comp, _mm256_add_pd(_mm256_sub_pd(sum, _mm256_sub_pd(t, b)), _mm256_sub_pd(x, b)));
		sum = t;
		min = _mm256_min_pd(x, min);
		max = _mm256_max_pd(x, max);
		__m256d down = _mm256_cmp_pd(next, x, _CMP_LT_OQ);
		rise = _mm256_add_pd(rise, _mm256_blendv_pd(_mm256_sub_pd(next, x), next, down));
		fell = _mm256_sub_epi64(fell, _mm256_castpd_si256(down));
	}
	bool any_nan = _mm256_movemask_pd(nan);
	for (size_t j = i; j < n; j++)
		any_nan |= v[j] != v[j];
	if (n < 5 || any_nan) {
		slx_stats_scalar(v, n, ret);
		return;
	}
	int64_t falls[4];
	double lows[4], highs[4];
	_mm256_storeu_pd(l.sum, sum);
	_mm256_storeu_pd(l.comp, comp);
	_mm256_storeu_pd(l.rise, rise);
	_mm256_storeu_pd(lows, min);
	_mm256_storeu_pd(highs, max);
	_mm256_storeu_si256((__m256i *)falls, fell);
	struct slx_stats s = { .count = (uint32_t)n, .resets = (uint32_t)(falls[0] + falls[1] + falls[2] + falls[3]),
		.first = v[0], .last = v[n - 1] };
	double least = INFINITY, most = -INFINITY;
	for (int k = 0; k < 4; k++) {
		least = lows[k] < least ? lows[k] : least;
		most = highs[k] > most ? highs[k] : most;
	}
	for (; i < n; i++) { /* the rise from i - 1 to i was counted when i is the loop's end */
		slx_neumaier(v[i], &l.sum[i & 3], &l.comp[i & 3]);
		least = v[i] < least ? v[i] : least;
		most = v[i] > most ? v[i] : most;
		if (i + 1 == n)
			break;
		bool down = v[i + 1] < v[i];
		l.rise[i & 3] += down ? v[i + 1] : v[i + 1] - v[i];
		s.resets += down;
	}
	slx_stats_fold(&l, &s);
	s.min = least + 0.0;
	s.max = most + 0.0;
	*ret = s;
}

#define KERNELS(level, unpack_fn)                                                                                  \
	{                                                                                                              \
		.name = level, .unpack = unpack_fn, .prefix = prefix, .decimal = decimal, \
		.ints_f64 = ints_f64, .steps_f64 = steps_f64, .ints_agg = ints_agg, .steps_agg = steps_agg,                \
		.for_f64 = for_f64, .delta_f64 = delta_f64, .for_agg = for_agg, .delta_agg = delta_agg,                    \
		.narrow_unpack = slx_narrow_unpack, .narrow_ints_f64 = slx_narrow_ints_f64,                                \
		.narrow_steps_f64 = slx_narrow_steps_f64, .narrow_ints_agg = slx_narrow_ints_agg,                          \
		.narrow_steps_agg = slx_narrow_steps_agg,                                                                  \
		.to_ints = to_ints, .range = range, .delta_range = delta_range, .outside = outside, .stats = stats,                            \
	}

const struct slx_codec_kernels slx_codec_avx2 = KERNELS("avx2", unpack);
const struct slx_codec_kernels slx_codec_avx512 = KERNELS("avx512", slx_unpack_avx512);
#endif
