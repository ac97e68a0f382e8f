/* The kernels in plain C: the reference of every other level, and what arm64 runs. */
#include "codec/bitpack.h"
#include "codec/stats_int.h"

#define U(x) ((uint64_t)(x))

static void prefix(int64_t *d, size_t n, int64_t first, int64_t step)
{
	uint64_t at = U(first);
	for (size_t i = 0; i < n; i++)
		d[i] = (int64_t)(at += U(d[i]) + U(step));
}

static double decimal(double d, unsigned exp) { return slx_decimal(d, exp); }

static void ints_f64(const int64_t *d, size_t n, int64_t base, unsigned exp, double *out)
{
	if (exp == 0)
		for (size_t i = 0; i < n; i++)
			out[i] = (double)(int64_t)(U(d[i]) + U(base));
	else
		for (size_t i = 0; i < n; i++)
			out[i] = slx_decimal((double)(int64_t)(U(d[i]) + U(base)), exp);
}

static void ints_agg(const int64_t *d, size_t n, int64_t base, struct slx_int_agg *ret)
{
	uint64_t sum = 0;
	int64_t min = INT64_MAX, max = INT64_MIN;
	for (size_t i = 0; i < n; i++) {
		int64_t x = (int64_t)(U(d[i]) + U(base));
		sum += U(x);
		min = x < min ? x : min;
		max = x > max ? x : max;
	}
	*ret = (struct slx_int_agg){ (int64_t)sum, min, max };
}

static void agg_add(struct slx_int_agg *to, const struct slx_int_agg *from)
{
	to->sum = (int64_t)(U(to->sum) + U(from->sum));
	to->min = from->min < to->min ? from->min : to->min;
	to->max = from->max > to->max ? from->max : to->max;
}

/* The other forms go through blocks of this many integers on the stack. */
enum { BLOCK = 64 };

static size_t block_size(size_t n, size_t i) { return n - i < BLOCK ? n - i : BLOCK; }

static void unpack_block(const uint8_t *in, size_t n, unsigned width, size_t i, int64_t *d)
{
	slx_unpack_scalar(in + i * width / 8, block_size(n, i), width, (uint64_t *)d); /* i is a multiple of 8 */
}

static void steps_f64(const int64_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out)
{
	int64_t x[BLOCK];
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t m = block_size(n, i);
		memcpy(x, d + i, m * sizeof *x);
		prefix(x, m, first, step);
		first = x[m - 1];
		ints_f64(x, m, 0, exp, out + i);
	}
}

static void steps_agg(const int64_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret)
{
	int64_t x[BLOCK];
	*ret = (struct slx_int_agg){ 0, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t m = block_size(n, i);
		struct slx_int_agg part;
		memcpy(x, d + i, m * sizeof *x);
		prefix(x, m, first, step);
		first = x[m - 1];
		ints_agg(x, m, 0, &part);
		agg_add(ret, &part);
	}
}

static void for_f64(const uint8_t *in, size_t n, unsigned width, int64_t base, unsigned exp, double *out)
{
	int64_t d[BLOCK];
	for (size_t i = 0; i < n; i += BLOCK) {
		unpack_block(in, n, width, i, d);
		ints_f64(d, block_size(n, i), base, exp, out + i);
	}
}

static void delta_f64(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step, unsigned exp,
	double *out)
{
	int64_t d[BLOCK];
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t m = block_size(n, i);
		unpack_block(in, n, width, i, d);
		prefix(d, m, first, step);
		first = d[m - 1];
		ints_f64(d, m, 0, exp, out + i);
	}
}

static void for_agg(const uint8_t *in, size_t n, unsigned width, int64_t base, struct slx_int_agg *ret)
{
	int64_t d[BLOCK];
	*ret = (struct slx_int_agg){ 0, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < n; i += BLOCK) {
		struct slx_int_agg part;
		unpack_block(in, n, width, i, d);
		ints_agg(d, block_size(n, i), base, &part);
		agg_add(ret, &part);
	}
}

static void delta_agg(const uint8_t *in, size_t n, unsigned width, int64_t first, int64_t step,
	struct slx_int_agg *ret)
{
	int64_t d[BLOCK];
	*ret = (struct slx_int_agg){ 0, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t m = block_size(n, i);
		struct slx_int_agg part;
		unpack_block(in, n, width, i, d);
		prefix(d, m, first, step);
		first = d[m - 1];
		ints_agg(d, m, 0, &part);
		agg_add(ret, &part);
	}
}

/* The narrow ones are the others, on integers made wide. */

static void widen(const int32_t *d, size_t n, int64_t *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = d[i];
}

static void narrow_unpack(const uint8_t *in, size_t n, unsigned width, int32_t *out)
{
	uint64_t u[SLX_VECTOR_MAX];
	slx_unpack_scalar(in, n, width, u);
	for (size_t i = 0; i < n; i++)
		out[i] = (int32_t)u[i];
}

static void narrow_ints_f64(const int32_t *d, size_t n, int64_t base, unsigned exp, double *out)
{
	int64_t x[SLX_VECTOR_MAX];
	widen(d, n, x);
	ints_f64(x, n, base, exp, out);
}

static void narrow_steps_f64(const int32_t *d, size_t n, int64_t first, int64_t step, unsigned exp, double *out)
{
	int64_t x[SLX_VECTOR_MAX];
	widen(d, n, x);
	steps_f64(x, n, first, step, exp, out);
}

static void narrow_ints_agg(const int32_t *d, size_t n, int64_t base, struct slx_int_agg *ret)
{
	int64_t x[SLX_VECTOR_MAX];
	widen(d, n, x);
	ints_agg(x, n, base, ret);
}

static void narrow_steps_agg(const int32_t *d, size_t n, int64_t first, int64_t step, struct slx_int_agg *ret)
{
	int64_t x[SLX_VECTOR_MAX];
	widen(d, n, x);
	steps_agg(x, n, first, step, ret);
}

static size_t outside(const int64_t *x, size_t n, int64_t base, unsigned width)
{
	size_t count = 0;
	if (width < 64)
		for (size_t i = 0; i < n; i++)
			count += (U(x[i]) - U(base)) >> width != 0;
	return count;
}

static size_t to_ints(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, uint64_t *fails)
{
	const double scale = slx_pow10[exp], limit = (double)SLX_INT_LIMIT;
	size_t failed = 0;
	memset(fails, 0, (n + 63) / 64 * sizeof *fails);
	for (size_t i = 0; i < n; i++) {
		double x = v[i] * scale + SLX_MAGIC; /* where |v * scale| is too large, t fails the limit below */
		double t = x - SLX_MAGIC;
		double back = slx_decimal(t, exp);
		if (f32)
			back = (double)(float)back;
		d[i] = (int64_t)(slx_f64_bits(x) - SLX_MAGIC_BITS);
		bool ok = fabs(t) < limit && slx_f64_bits(back) == slx_f64_bits(v[i]);
		fails[i / 64] |= (uint64_t)!ok << (i & 63);
		failed += !ok;
	}
	return failed;
}

static void range(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max)
{
	int64_t min = d[0], max = d[0];
	for (size_t i = 1; i < n; i++) {
		min = d[i] < min ? d[i] : min;
		max = d[i] > max ? d[i] : max;
	}
	*ret_min = min;
	*ret_max = max;
}

static void delta_range(const int64_t *d, size_t n, int64_t *ret_min, int64_t *ret_max)
{
	int64_t min = INT64_MAX, max = INT64_MIN;
	for (size_t i = 1; i < n; i++) {
		int64_t x = (int64_t)(U(d[i]) - U(d[i - 1]));
		min = x < min ? x : min;
		max = x > max ? x : max;
	}
	*ret_min = min;
	*ret_max = max;
}

const struct slx_codec_kernels slx_codec_scalar = {
	.name = "scalar",
	.unpack = slx_unpack_scalar,
	.prefix = prefix,
	.decimal = decimal,
	.ints_f64 = ints_f64,
	.steps_f64 = steps_f64,
	.ints_agg = ints_agg,
	.steps_agg = steps_agg,
	.for_f64 = for_f64,
	.delta_f64 = delta_f64,
	.for_agg = for_agg,
	.delta_agg = delta_agg,
	.narrow_unpack = narrow_unpack,
	.narrow_ints_f64 = narrow_ints_f64,
	.narrow_steps_f64 = narrow_steps_f64,
	.narrow_ints_agg = narrow_ints_agg,
	.narrow_steps_agg = narrow_steps_agg,
	.to_ints = to_ints,
	.range = range,
	.delta_range = delta_range,
	.outside = outside,
	.stats = slx_stats_scalar,
};
