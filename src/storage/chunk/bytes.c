/* Values that are bytes: their lengths, then they themselves, through a general compressor when that gains. */
#include "storage/chunk/bytes_int.h"

#include <lz4.h>
#include <zstd.h>

enum { ZSTD_LEVEL = 3 };

/* ---- the compressor around a body ---- */

static size_t compress(enum slx_wrap wrap, const struct slx_buf *body, uint8_t *to, size_t cap)
{
	if (wrap == SLX_WRAP_LZ4) {
		int size = LZ4_compress_default((const char *)body->p, (char *)to, (int)body->n, (int)cap);
		return size > 0 ? (size_t)size : 0;
	}
	size_t size = ZSTD_compress(to, cap, body->p, body->n, ZSTD_LEVEL);
	return ZSTD_isError(size) ? 0 : size;
}

silex_status slx_body_put(const struct slx_buf *body, enum slx_wrap wrap, struct slx_buf *out, silex_error *err)
{
	if (body->failed)
		return slx_err_oom(err);
	size_t gains = body->n * 9 / 10;
	uint8_t *p = slx_buf_reserve(out, 1 + SLX_VARINT_SIZE_MAX + body->n);
	if (!p)
		return slx_err_oom(err);
	*p = (uint8_t)wrap;
	uint8_t *at = slx_put_varint(p + 1, body->n);
	size_t size = wrap != SLX_WRAP_NONE ? compress(wrap, body, at, gains) : 0;
	if (size) {
		out->n += (size_t)(at - p) + size;
		return SILEX_OK;
	}
	slx_buf_u8(out, SLX_WRAP_NONE);
	slx_buf_put(out, body->p, body->n);
	return SILEX_OK;
}

silex_status slx_body_open(const uint8_t *p, size_t size, size_t size_max, struct slx_buf *to, struct slx_rd *ret, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(p, size);
	uint8_t wrap = slx_rd_u8(&rd);
	if (wrap == SLX_WRAP_NONE && !rd.bad && slx_rd_left(&rd) <= size_max) {
		*ret = rd;
		return SILEX_OK;
	}
	uint64_t n = slx_rd_varint(&rd);
	if (rd.bad || wrap > SLX_WRAP_LZ4 || n > size_max)
		return slx_err(err, SILEX_CORRUPT, "values, offset 0: unknown compressor %u or a size that is out of range", wrap);
	slx_buf_reset(to);
	uint8_t *out = slx_buf_reserve(to, n ? n : 1);
	if (!out)
		return slx_err_oom(err);
	size_t got;
	if (wrap == SLX_WRAP_LZ4) {
		int size_lz4 = slx_rd_left(&rd) <= INT32_MAX ? LZ4_decompress_safe((const char *)rd.p, (char *)out, (int)slx_rd_left(&rd), (int)n) : -1;
		got = size_lz4 < 0 ? SIZE_MAX : (size_t)size_lz4;
	} else {
		got = ZSTD_decompress(out, n, rd.p, slx_rd_left(&rd));
	}
	if (got != n)
		return slx_err(err, SILEX_CORRUPT, "values, offset %zu: bytes that do not decompress to %llu", (size_t)(rd.p - p), (unsigned long long)n);
	to->n = n;
	*ret = slx_rd_init(to->p, n);
	return SILEX_OK;
}

/* ---- any values ---- */

silex_status slx_bytes_encode(const uint64_t *bits, size_t n, enum slx_wrap wrap, struct slx_buf *out, silex_error *err)
{
	struct slx_buf body;
	slx_buf_init(&body, out->mem, out->use, SIZE_MAX);
	for (size_t i = 0; i < n; i++)
		slx_buf_varint(&body, slx_value_bytes(bits[i]).n);
	for (size_t i = 0; i < n; i++) {
		struct slx_str v = slx_value_bytes(bits[i]);
		slx_buf_put(&body, v.p, v.n);
	}
	silex_status st = slx_body_put(&body, wrap, out, err);
	slx_buf_free(&body);
	return st;
}

/* Lengths of all; what comes before value lo and what lo..hi-1 take in memory. `rd` stands on the first value then. */
static silex_status read_lengths(struct slx_rd *rd, size_t n, size_t lo, size_t hi, size_t *ret_before, size_t *ret_stored, silex_error *err)
{
	size_t all = 0;
	*ret_before = *ret_stored = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t size = slx_rd_varint(rd);
		if (rd->bad || size > SLX_VALUE_SIZE_MAX)
			return slx_err(err, SILEX_CORRUPT, "values: the length of value %zu of %zu is missing or over %d", i, n, SLX_VALUE_SIZE_MAX);
		all += size;
		if (i < lo)
			*ret_before += size;
		else if (i < hi)
			*ret_stored += size + SLX_VARINT_SIZE_MAX;
	}
	if (all != slx_rd_left(rd))
		return slx_err(err, SILEX_CORRUPT, "values: lengths of %zu bytes before %zu bytes", all, slx_rd_left(rd));
	return SILEX_OK;
}

static silex_status decode_body(struct slx_rd rd, size_t n, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits, silex_error *err)
{
	struct slx_rd lengths = rd;
	size_t before, stored;
	SLX_TRY(read_lengths(&rd, n, lo, hi, &before, &stored, err));
	uint8_t *to = slx_buf_reserve(values, stored ? stored : 1);
	if (!to)
		return slx_err_oom(err);
	for (size_t i = 0; i < lo; i++)
		slx_rd_varint(&lengths);
	const uint8_t *from = rd.p + before;
	for (size_t i = lo; i < hi; i++) {
		size_t size = (size_t)slx_rd_varint(&lengths);
		bits[i - lo] = (uint64_t)(uintptr_t)to;
		to = slx_put_varint(to, size);
		memcpy(to, from, size);
		to += size;
		from += size;
	}
	values->n = (size_t)(to - values->p);
	return SILEX_OK;
}

silex_status slx_bytes_decode(const uint8_t *p, size_t size, size_t n, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits, silex_error *err)
{
	struct slx_buf body;
	struct slx_rd rd;
	slx_buf_init(&body, values->mem, values->use, SIZE_MAX);
	silex_status st = slx_body_open(p, size, SLX_CHUNK_BYTES_MAX, &body, &rd, err);
	if (st == SILEX_OK)
		st = decode_body(rd, n, lo, hi, values, bits, err);
	slx_buf_free(&body);
	return st;
}
