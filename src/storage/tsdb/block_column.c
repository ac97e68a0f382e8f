#include "storage/tsdb/block_column.h"
#include "codec/codec.h"

enum { GROUP = SLX_VECTOR_MAX, SIZE_BYTES = 3 /* varint of a group's size */ };
enum form { FORM_ZERO, FORM_CONST, FORM_PACKED };

/* Ends a group that was encoded at p + SIZE_BYTES: its size goes before it. */
static void close_group(struct slx_buf *out, uint8_t *p, size_t size)
{
	uint8_t *at = slx_put_varint(p, size);
	memmove(at, p + SIZE_BYTES, size);
	out->n += (size_t)(at - p) + size;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

void slx_column_put_i64(struct slx_buf *out, const int64_t *v, size_t n)
{
	int64_t base = v[0];
	for (size_t i = 1; i < n; i++)
		base = v[i] < base ? v[i] : base;
	uint64_t divisor = 0;
	for (size_t i = 0; i < n && divisor != 1; i++)
		divisor = gcd((uint64_t)v[i] - (uint64_t)base, divisor);
	slx_buf_varint(out, slx_zigzag(base));
	slx_buf_varint(out, divisor);
	for (size_t i = 0; divisor && i < n; i += GROUP) {
		size_t part = n - i < GROUP ? n - i : GROUP;
		int64_t q[GROUP];
		for (size_t k = 0; k < part; k++)
			q[k] = (int64_t)(((uint64_t)v[i + k] - (uint64_t)base) / divisor);
		size_t bound = slx_i64_bound(part);
		uint8_t *p = slx_buf_reserve(out, SIZE_BYTES + bound);
		if (!p)
			return;
		close_group(out, p, slx_i64_encode(q, part, p + SIZE_BYTES, bound));
	}
}

void slx_column_put_f64(struct slx_buf *out, const double *v, size_t n)
{
	size_t same = 1;
	while (same < n && slx_f64_bits(v[same]) == slx_f64_bits(v[0]))
		same++;
	if (same == n) {
		bool zero = slx_f64_bits(v[0]) == 0;
		slx_buf_u8(out, zero ? FORM_ZERO : FORM_CONST);
		if (!zero)
			slx_buf_u64(out, slx_f64_bits(v[0]));
		return;
	}
	slx_buf_u8(out, FORM_PACKED);
	struct slx_sx_hint hint = { 0 };
	for (size_t i = 0; i < n; i += GROUP) {
		size_t part = n - i < GROUP ? n - i : GROUP;
		size_t bound = slx_sx_bound(part);
		uint8_t *p = slx_buf_reserve(out, SIZE_BYTES + bound);
		if (!p)
			return;
		close_group(out, p, slx_sx_encode(v + i, part, &hint, SLX_SCALE_NONE, p + SIZE_BYTES, bound));
	}
}

static const uint8_t *next_group(struct slx_rd *rd, size_t *ret_size)
{
	uint64_t size = slx_rd_varint(rd);
	*ret_size = (size_t)size;
	return slx_rd_bytes(rd, size);
}

static silex_status check_end(const struct slx_rd *rd, silex_error *err)
{
	if (rd->bad || rd->p != rd->end)
		return slx_err(err, SILEX_CORRUPT, "a packed column does not end where it should");
	return SILEX_OK;
}

silex_status slx_column_get_i64(const uint8_t *p, size_t size, int64_t *to, size_t n, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(p, size);
	uint64_t base = (uint64_t)slx_unzigzag(slx_rd_varint(&rd));
	uint64_t divisor = slx_rd_varint(&rd);
	if (!divisor)
		for (size_t i = 0; i < n; i++)
			to[i] = (int64_t)base;
	for (size_t i = 0; divisor && i < n; i += GROUP) {
		size_t part = n - i < GROUP ? n - i : GROUP, bytes;
		const uint8_t *group = next_group(&rd, &bytes);
		if (!group)
			break;
		SLX_TRY(slx_i64_decode(group, bytes, to + i, part, err));
		for (size_t k = i; k < i + part; k++)
			to[k] = (int64_t)(base + divisor * (uint64_t)to[k]);
	}
	return check_end(&rd, err);
}

silex_status slx_column_get_f64(const uint8_t *p, size_t size, double *to, size_t n, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(p, size);
	uint8_t form = slx_rd_u8(&rd);
	if (form > FORM_PACKED)
		return slx_err(err, SILEX_CORRUPT, "a packed column of form %u", form);
	if (form != FORM_PACKED) {
		double v = form == FORM_CONST ? slx_bits_f64(slx_rd_u64(&rd)) : 0.0;
		for (size_t i = 0; i < n; i++)
			to[i] = v;
	}
	for (size_t i = 0; form == FORM_PACKED && i < n; i += GROUP) {
		size_t part = n - i < GROUP ? n - i : GROUP, bytes;
		const uint8_t *group = next_group(&rd, &bytes);
		if (!group)
			break;
		SLX_TRY(slx_sx_decode(group, bytes, to + i, part, err));
	}
	return check_end(&rd, err);
}
