/* Payloads of the engine's log frames (docs/format/records.md).
 *
 * SAMPLES   u8 kind; varint number of definitions
 *           if any: u8 codec (0 plain, 1 lz4); varint size; if lz4: varint stored size; bytes of definitions:
 *               { varint ref; varint n, tenant; varint n, canonical labels }*
 *           varint samples n (1..SLX_GROUP_MAX); { zigzag varint difference of refs }*n
 *           varint size, timestamps (codec: slx_ts)
 *           values: float64 { varint size, SX vector of up to 512 }*; int64 varint size, slx_i64; bool, enum varint size, slx_rle;
 *               histogram, bytes: as the definitions, u8 codec on, { varint n, value }*
 * DELETE    i64 from; i64 to; varint n, tenant; varint n, selector text
 * STATES    varint n, tenant; varint number; varint n, text
 * LIMITS    varint n, tenant; varint series_max; varint head_bytes_max
 *
 * A reference is defined in the same segment before it is used; a later definition of the same number replaces it. */
#include "engine/engine_int.h"

#include <lz4.h>

enum { PLAIN_MAX = 256, BLOCK_SIZE_MAX = 15 << 20 };

static void put_str(struct slx_buf *b, const void *p, size_t n)
{
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

/* --- samples, out --------------------------------------------------------------------------------------------------------- */

void slx_record_def(struct slx_buf *defs, uint32_t ref, struct slx_str tenant, struct slx_labels l)
{
	slx_buf_varint(defs, ref);
	put_str(defs, tenant.p, tenant.n);
	put_str(defs, l.p, l.n);
}

/* u8 codec (0 plain, 1 lz4); varint size; if lz4: varint stored size; the bytes. */
static void put_block(struct slx_buf *out, const struct slx_buf *from)
{
	if (from->n > PLAIN_MAX) {
		int bound = LZ4_compressBound((int)from->n);
		uint8_t *to = slx_buf_reserve(out, (size_t)bound + 1 + 2 * SLX_VARINT_SIZE_MAX);
		if (!to)
			return;
		int stored = LZ4_compress_default((const char *)from->p, (char *)to + 1 + 2 * SLX_VARINT_SIZE_MAX, (int)from->n, bound);
		if (stored > 0) {
			uint8_t *p = to;
			*p++ = 1;
			p = slx_put_varint(p, from->n);
			p = slx_put_varint(p, (uint64_t)stored);
			memmove(p, to + 1 + 2 * SLX_VARINT_SIZE_MAX, (size_t)stored);
			out->n += (size_t)(p - to) + (size_t)stored;
			return;
		}
	}
	slx_buf_u8(out, 0);
	put_str(out, from->p, from->n);
}

/* A block whose size is not known before: at most 3 bytes of varint are left free in front of it. */
static void put_sized(struct slx_buf *out, uint8_t *at, size_t size)
{
	uint8_t *p = slx_put_varint(at, size);
	memmove(p, at + SLX_VARINT_SIZE_MAX, size);
	out->n += (size_t)(p - at) + size;
}

static void put_ts(struct slx_buf *out, const int64_t *ts, size_t n)
{
	size_t bound = slx_ts_bound(n);
	uint8_t *at = slx_buf_reserve(out, bound + SLX_VARINT_SIZE_MAX);
	if (at)
		put_sized(out, at, slx_ts_encode(ts, n, at + SLX_VARINT_SIZE_MAX, bound));
}

static void put_f64(struct slx_buf *out, const uint64_t *bits, size_t n, struct slx_sx_hint *hint)
{
	for (size_t i = 0; i < n; i += SLX_VECTOR_MAX) {
		size_t k = n - i < SLX_VECTOR_MAX ? n - i : SLX_VECTOR_MAX;
		size_t bound = slx_sx_bound(k);
		uint8_t *at = slx_buf_reserve(out, bound + SLX_VARINT_SIZE_MAX);
		if (!at)
			return;
		put_sized(out, at, slx_sx_encode((const double *)(bits + i), k, hint, SLX_SCALE_NONE, at + SLX_VARINT_SIZE_MAX, bound));
	}
}

static void put_i64(struct slx_buf *out, const uint64_t *bits, size_t n)
{
	size_t bound = slx_i64_bound(n);
	uint8_t *at = slx_buf_reserve(out, bound + SLX_VARINT_SIZE_MAX);
	if (at)
		put_sized(out, at, slx_i64_encode((const int64_t *)bits, n, at + SLX_VARINT_SIZE_MAX, bound));
}

static void put_states(struct slx_buf *out, const uint64_t *bits, size_t n)
{
	uint32_t states[SLX_GROUP_MAX];
	for (size_t i = 0; i < n; i++)
		states[i] = (uint32_t)bits[i];
	size_t bound = slx_rle_bound(n);
	uint8_t *at = slx_buf_reserve(out, bound + SLX_VARINT_SIZE_MAX);
	if (at)
		put_sized(out, at, slx_rle_encode(states, n, at + SLX_VARINT_SIZE_MAX, bound));
}

static void put_bytes(struct slx_buf *out, const uint64_t *bits, size_t n)
{
	struct slx_buf values;
	slx_buf_init(&values, out->mem, out->use, BLOCK_SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		struct slx_str v = slx_value_bytes(bits[i]);
		put_str(&values, v.p, v.n);
	}
	put_block(out, &values);
	out->failed |= values.failed;
	slx_buf_free(&values);
}

void slx_record_samples_encode(struct slx_buf *out, const struct slx_buf *defs, size_t n_defs, const struct slx_record_samples *s, struct slx_sx_hint *hint)
{
	slx_buf_u8(out, (uint8_t)s->kind);
	slx_buf_varint(out, n_defs);
	if (n_defs)
		put_block(out, defs);
	slx_buf_varint(out, s->n);
	uint8_t *p = slx_buf_reserve(out, s->n * 5);
	if (!p)
		return;
	int64_t last = 0;
	for (size_t i = 0; i < s->n; i++) {
		p = slx_put_varint(p, slx_zigzag((int64_t)s->refs[i] - last));
		last = s->refs[i];
	}
	out->n = (size_t)(p - out->p);
	put_ts(out, s->ts, s->n);
	if (s->kind == SLX_KIND_FLOAT64)
		put_f64(out, s->bits, s->n, hint);
	else if (s->kind == SLX_KIND_INT64)
		put_i64(out, s->bits, s->n);
	else if (slx_kind_is_bytes(s->kind))
		put_bytes(out, s->bits, s->n);
	else
		put_states(out, s->bits, s->n);
}

/* --- samples, in ----------------------------------------------------------------------------------------------------------- */

silex_status slx_record_reader_init(struct slx_record_reader *r, struct slx_mem *m, silex_error *err)
{
	*r = (struct slx_record_reader){ .mem = m };
	slx_buf_init(&r->defs, m, SLX_MEM_WAL, BLOCK_SIZE_MAX);
	slx_buf_init(&r->values, m, SLX_MEM_WAL, BLOCK_SIZE_MAX);
	r->refs = slx_alloc(m, SLX_MEM_WAL, SLX_GROUP_MAX * sizeof *r->refs);
	r->ts = slx_alloc(m, SLX_MEM_WAL, SLX_GROUP_MAX * sizeof *r->ts);
	r->bits = slx_alloc(m, SLX_MEM_WAL, SLX_GROUP_MAX * sizeof *r->bits);
	if (r->refs && r->ts && r->bits)
		return SILEX_OK;
	slx_record_reader_free(r);
	return slx_err_oom(err);
}

void slx_record_reader_free(struct slx_record_reader *r)
{
	if (!r->mem)
		return;
	slx_buf_free(&r->defs);
	slx_buf_free(&r->values);
	slx_free(r->mem, SLX_MEM_WAL, r->refs, r->refs ? SLX_GROUP_MAX * sizeof *r->refs : 0);
	slx_free(r->mem, SLX_MEM_WAL, r->ts, r->ts ? SLX_GROUP_MAX * sizeof *r->ts : 0);
	slx_free(r->mem, SLX_MEM_WAL, r->bits, r->bits ? SLX_GROUP_MAX * sizeof *r->bits : 0);
	*r = (struct slx_record_reader){ 0 };
}

static silex_status bad(silex_error *err, const char *what)
{
	return slx_err(err, SILEX_CORRUPT, "log record: %s", what);
}

/* What put_block wrote: where it lies or, decompressed, in `to`. */
static silex_status get_block(struct slx_rd *in, struct slx_buf *to, const char *what, struct slx_rd *ret, silex_error *err)
{
	uint8_t codec = slx_rd_u8(in);
	size_t size = slx_rd_varint(in), stored = codec == 1 ? slx_rd_varint(in) : size;
	const uint8_t *from = slx_rd_bytes(in, stored);
	if (!from || size > BLOCK_SIZE_MAX || stored > INT32_MAX || codec > 1)
		return slx_err(err, SILEX_CORRUPT, "log record: %s end early, are too large or of an unknown codec", what);
	if (codec == 1) {
		slx_buf_reset(to);
		uint8_t *room = slx_buf_reserve(to, size ? size : 1);
		if (!room)
			return slx_err_oom(err);
		if (LZ4_decompress_safe((const char *)from, (char *)room, (int)stored, (int)size) != (int)size)
			return slx_err(err, SILEX_CORRUPT, "log record: %s do not decompress", what);
		from = room;
	}
	*ret = slx_rd_init(from, size);
	return SILEX_OK;
}

static silex_status get_defs(struct slx_record_reader *r, struct slx_rd *in, size_t n_defs, slx_record_def_fn *def, void *arg, silex_error *err)
{
	struct slx_rd d;
	SLX_TRY(get_block(in, &r->defs, "definitions", &d, err));
	for (size_t i = 0; i < n_defs; i++) {
		uint64_t ref = slx_rd_varint(&d);
		struct slx_str tenant = get_str(&d), bytes = get_str(&d);
		struct slx_labels l;
		if (d.bad || ref > UINT32_MAX)
			return bad(err, "a definition ends early");
		SLX_TRY(slx_tenant_check_stored(tenant, err));
		SLX_TRY(slx_labels_parse(bytes.p, bytes.n, NULL, &l, err));
		SLX_TRY(def(arg, (uint32_t)ref, tenant, l, err));
	}
	return slx_rd_left(&d) ? bad(err, "bytes after the last definition") : SILEX_OK;
}

static silex_status get_bytes(struct slx_record_reader *r, struct slx_rd *in, size_t n, silex_error *err)
{
	struct slx_rd v;
	SLX_TRY(get_block(in, &r->values, "values", &v, err));
	for (size_t i = 0; i < n; i++) {
		r->bits[i] = (uint64_t)(uintptr_t)v.p;
		size_t size = slx_rd_varint(&v);
		if (!slx_rd_bytes(&v, size) || size > SLX_VALUE_SIZE_MAX)
			return bad(err, "a value ends early or is too large");
	}
	return slx_rd_left(&v) ? bad(err, "bytes after the last value") : SILEX_OK;
}

static silex_status get_values(struct slx_record_reader *r, struct slx_rd *in, enum slx_kind kind, size_t n, silex_error *err)
{
	for (size_t i = 0; kind == SLX_KIND_FLOAT64 && i < n; i += SLX_VECTOR_MAX) {
		struct slx_str b = get_str(in);
		size_t k = n - i < SLX_VECTOR_MAX ? n - i : SLX_VECTOR_MAX;
		SLX_TRY(slx_sx_decode((const uint8_t *)b.p, b.n, (double *)(r->bits + i), k, err));
	}
	if (kind == SLX_KIND_FLOAT64)
		return SILEX_OK;
	if (slx_kind_is_bytes(kind))
		return get_bytes(r, in, n, err);
	struct slx_str b = get_str(in);
	if (kind == SLX_KIND_INT64)
		return slx_i64_decode((const uint8_t *)b.p, b.n, (int64_t *)r->bits, n, err);
	uint32_t states[SLX_GROUP_MAX];
	SLX_TRY(slx_rle_decode((const uint8_t *)b.p, b.n, states, n, err));
	for (size_t i = 0; i < n; i++)
		r->bits[i] = states[i];
	return SILEX_OK;
}

silex_status slx_record_samples_decode(struct slx_record_reader *r, const uint8_t *p, size_t n, slx_record_def_fn *def, void *arg,
	struct slx_record_samples *ret, silex_error *err)
{
	struct slx_rd in = slx_rd_init(p, n);
	enum slx_kind kind = slx_rd_u8(&in);
	size_t n_defs = slx_rd_varint(&in);
	if (in.bad || kind >= SLX_KINDS)
		return bad(err, "unknown kind of value");
	if (n_defs)
		SLX_TRY(get_defs(r, &in, n_defs, def, arg, err));
	size_t count = slx_rd_varint(&in);
	if (in.bad || count == 0 || count > SLX_GROUP_MAX)
		return bad(err, "number of samples out of range");
	int64_t ref = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t d = slx_unzigzag(slx_rd_varint(&in));
		if (d < -(int64_t)UINT32_MAX || d > (int64_t)UINT32_MAX)
			return bad(err, "series reference out of range");
		ref += d;
		if (ref < 0 || ref > (int64_t)UINT32_MAX)
			return bad(err, "series reference out of range");
		r->refs[i] = (uint32_t)ref;
	}
	struct slx_str ts = get_str(&in);
	SLX_TRY(slx_ts_decode((const uint8_t *)ts.p, ts.n, r->ts, count, err));
	for (size_t i = 0; i < count; i++)
		if (!slx_time_legal(r->ts[i]))
			return bad(err, "timestamp outside the legal range");
	SLX_TRY(get_values(r, &in, kind, count, err));
	if (in.bad || slx_rd_left(&in))
		return bad(err, "sizes do not add up");
	*ret = (struct slx_record_samples){ kind, count, r->refs, r->ts, r->bits };
	return SILEX_OK;
}

/* --- the small ones --------------------------------------------------------------------------------------------------------- */

void slx_record_delete_encode(struct slx_buf *out, struct slx_str tenant, struct slx_str selector, struct slx_time_range range)
{
	slx_buf_u64(out, (uint64_t)range.from);
	slx_buf_u64(out, (uint64_t)range.to);
	put_str(out, tenant.p, tenant.n);
	put_str(out, selector.p, selector.n);
}

silex_status slx_record_delete_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, struct slx_str *ret_selector, struct slx_time_range *ret_range,
	silex_error *err)
{
	struct slx_rd in = slx_rd_init(p, n);
	ret_range->from = (int64_t)slx_rd_u64(&in);
	ret_range->to = (int64_t)slx_rd_u64(&in);
	*ret_tenant = get_str(&in);
	*ret_selector = get_str(&in);
	return in.bad || slx_rd_left(&in) ? bad(err, "a delete's sizes do not add up") : SILEX_OK;
}

void slx_record_state_encode(struct slx_buf *out, struct slx_str tenant, uint32_t number, struct slx_str text)
{
	put_str(out, tenant.p, tenant.n);
	slx_buf_varint(out, number);
	put_str(out, text.p, text.n);
}

silex_status slx_record_state_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, uint32_t *ret_number, struct slx_str *ret_text, silex_error *err)
{
	struct slx_rd in = slx_rd_init(p, n);
	*ret_tenant = get_str(&in);
	uint64_t number = slx_rd_varint(&in);
	*ret_text = get_str(&in);
	*ret_number = (uint32_t)number;
	return in.bad || slx_rd_left(&in) || number > UINT32_MAX ? bad(err, "a state's sizes do not add up") : SILEX_OK;
}

void slx_record_limits_encode(struct slx_buf *out, struct slx_str tenant, uint64_t series_max, uint64_t head_bytes_max)
{
	put_str(out, tenant.p, tenant.n);
	slx_buf_varint(out, series_max);
	slx_buf_varint(out, head_bytes_max);
}

silex_status slx_record_limits_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, uint64_t *ret_series_max, uint64_t *ret_head_bytes_max,
	silex_error *err)
{
	struct slx_rd in = slx_rd_init(p, n);
	*ret_tenant = get_str(&in);
	*ret_series_max = slx_rd_varint(&in);
	*ret_head_bytes_max = slx_rd_varint(&in);
	return in.bad || slx_rd_left(&in) ? bad(err, "limits' sizes do not add up") : SILEX_OK;
}
