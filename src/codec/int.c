/* Exact int64 values: runs of up to 512, each one PFOR of the values or of their differences, whichever is less.
 *
 *   runs    u8 0: the values, PFOR of m | 1: differences, zigzag first, PFOR of m - 1
 */
#include "codec/bitpack.h"

#define U(x) ((uint64_t)(x))

static size_t run_size(size_t n, size_t at) { return n - at < SLX_VECTOR_MAX ? n - at : SLX_VECTOR_MAX; }

size_t slx_i64_bound(size_t n) { return (n / SLX_VECTOR_MAX + 1) * 160 + 12 * n; }

static uint8_t *encode_run(const int64_t *v, size_t n, uint8_t *out)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	int64_t min, max;
	k->range(v, n, &min, &max);
	struct slx_pfor_plan plain = slx_pfor_plan(v, n, min, max);
	if (n > 2 && plain.bits) {
		int64_t step[SLX_VECTOR_MAX];
		k->delta_range(v, n, &min, &max);
		for (size_t i = 1; i < n; i++)
			step[i - 1] = (int64_t)(U(v[i]) - U(v[i - 1]));
		struct slx_pfor_plan delta = slx_pfor_plan(step, n - 1, min, max);
		if (delta.bits + n / 2 + 8 < plain.bits) {
			*out++ = 1;
			out = slx_put_varint(out, slx_zigzag(v[0]));
			return slx_pfor_write(&delta, step, n - 1, out);
		}
	}
	*out++ = 0;
	return slx_pfor_write(&plain, v, n, out);
}

size_t slx_i64_encode(const int64_t *v, size_t n, uint8_t *out, size_t cap)
{
	if (n == 0 || n > SLX_CHUNK_MAX || cap < slx_i64_bound(n))
		return 0;
	uint8_t *p = out;
	for (size_t at = 0; at < n; at += SLX_VECTOR_MAX)
		p = encode_run(v + at, run_size(n, at), p);
	return (size_t)(p - out);
}

static bool decode_run(struct slx_rd *r, int64_t *v, size_t n)
{
	uint8_t delta = slx_rd_u8(r);
	struct slx_pfor run;
	if (delta > 1)
		return false;
	if (delta)
		v[0] = slx_unzigzag(slx_rd_varint(r));
	if (!slx_pfor_read(r, n - delta, &run))
		return false;
	slx_pfor_unpack(&run, v + delta);
	if (delta)
		slx_codec_kernels()->prefix(v + 1, n - 1, v[0], run.base);
	else
		for (size_t i = 0; i < n; i++)
			v[i] = (int64_t)(U(v[i]) + U(run.base));
	return true;
}

silex_status slx_i64_decode(const uint8_t *in, size_t len, int64_t *v, size_t n, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	for (size_t at = 0; at < n; at += SLX_VECTOR_MAX)
		if (!decode_run(&r, v + at, run_size(n, at)))
			return slx_err(err, SILEX_CORRUPT, "int64 (%zu bytes for %zu values): damaged or too short at value %zu",
				len, n, at);
	return SILEX_OK;
}
