/* The reader of cold blocks (layout: cold_int.h). Opening checks head, index and tables; a part is checked when it is
 * decoded. */
#include "codec/cold_int.h"

#include <lz4.h>
#include <zstd.h>

#define U(x) ((uint64_t)(x))

struct slx_cold_reader {
	struct slx_mem *mem;
	enum slx_mem_use use;
	ZSTD_DCtx *zstd; /* made for the first block that needs it */

	const uint16_t *lens;
	size_t parts;
	unsigned flags, exp;
	int scale;
	int64_t base;
	unsigned low, streams;
	const uint8_t *part[SLX_PARTS_MAX + 1]; /* part k's bytes end where part k + 1's begin */

	size_t entries;
	uint64_t dict[SLX_COLD_DICT_MAX];
	struct slx_huff_table table;
	uint8_t unwrapped[SLX_COLD_RAW_MAX];
};

struct slx_cold_reader *slx_cold_reader_new(struct slx_mem *m, enum slx_mem_use use)
{
	struct slx_cold_reader *r = slx_alloc(m, use, sizeof *r);
	if (r) {
		r->mem = m;
		r->use = use;
		r->zstd = NULL;
		r->parts = 0;
	}
	return r;
}

void slx_cold_reader_free(struct slx_cold_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->zstd);
	slx_free(r->mem, r->use, r, sizeof *r);
}

static silex_status corrupt(silex_error *err, const char *what)
{
	return slx_err(err, SILEX_CORRUPT, "cold block: %s", what);
}

/* ---- opening ---- */

static silex_status unwrap(struct slx_cold_reader *r, struct slx_rd *in, silex_error *err)
{
	unsigned wrap = r->flags & SLX_COLD_WRAP;
	if (wrap == SLX_WRAP_NONE)
		return SILEX_OK;
	uint64_t size = slx_rd_varint(in);
	if (in->bad || size > sizeof r->unwrapped)
		return corrupt(err, "size before compression is out of range");
	if (wrap == SLX_WRAP_LZ4) {
		int got = LZ4_decompress_safe((const char *)in->p, (char *)r->unwrapped, (int)slx_rd_left(in), (int)size);
		if (got < 0 || U(got) != size)
			return corrupt(err, "damaged lz4 bytes");
	} else if (wrap == SLX_WRAP_ZSTD) {
		if (!r->zstd && !(r->zstd = ZSTD_createDCtx()))
			return slx_err_oom(err);
		size_t got = ZSTD_decompressDCtx(r->zstd, r->unwrapped, size, in->p, slx_rd_left(in));
		if (ZSTD_isError(got) || got != size)
			return corrupt(err, "damaged zstd bytes");
	} else {
		return corrupt(err, "unknown compressor");
	}
	*in = slx_rd_init(r->unwrapped, size);
	return SILEX_OK;
}

static silex_status read_index(struct slx_cold_reader *r, struct slx_rd *in, uint32_t *size, silex_error *err)
{
	uint64_t max = slx_rd_varint(in), less[SLX_PARTS_MAX];
	unsigned width = slx_rd_u8(in);
	if (in->bad || max > SLX_COLD_RAW_MAX || width > 32)
		return corrupt(err, "part index is out of range");
	const uint8_t *fields = slx_rd_bytes(in, slx_packed_size(r->parts, width));
	if (!fields)
		return corrupt(err, "part index is too short");
	slx_codec_kernels()->unpack(fields, r->parts, width, less);
	for (size_t k = 0; k < r->parts; k++) {
		if (less[k] > max)
			return corrupt(err, "part index is out of range");
		size[k] = (uint32_t)(max - less[k]);
	}
	return SILEX_OK;
}

static silex_status read_dict(struct slx_cold_reader *r, struct slx_rd *in, silex_error *err)
{
	r->entries = slx_rd_varint(in);
	if (in->bad || r->entries == 0 || r->entries > SLX_COLD_DICT_MAX)
		return corrupt(err, "dictionary is out of range");
	for (size_t at = 0; at < r->entries; at += SLX_VECTOR_MAX) {
		size_t n = r->entries - at < SLX_VECTOR_MAX ? r->entries - at : SLX_VECTOR_MAX;
		uint64_t size = slx_rd_varint(in);
		const uint8_t *bytes = slx_rd_bytes(in, size);
		if (!bytes)
			return corrupt(err, "dictionary is too short");
		if (r->flags & SLX_COLD_INT64)
			SLX_TRY(slx_i64_decode(bytes, size, (int64_t *)r->dict + at, n, err));
		else
			SLX_TRY(slx_sx_decode(bytes, size, (double *)r->dict + at, n, err));
	}
	return SILEX_OK;
}

static silex_status read_tables(struct slx_cold_reader *r, struct slx_rd *in, silex_error *err)
{
	if (r->flags & SLX_COLD_DICTIONARY)
		SLX_TRY(read_dict(r, in, err));
	if (!(r->flags & SLX_COLD_CODED))
		return SILEX_OK;
	r->base = slx_unzigzag(slx_rd_varint(in));
	r->low = slx_rd_u8(in);
	r->streams = slx_rd_u8(in);
	if (in->bad || r->low > 63 || r->streams < 1 || r->streams > 2)
		return corrupt(err, "coder's head is out of range");
	if (!slx_huff_read(in, &r->table))
		return corrupt(err, "code lengths are damaged");
	return SILEX_OK;
}

static silex_status read_head(struct slx_cold_reader *r, struct slx_rd *in, silex_error *err)
{
	unsigned how = r->flags & (SLX_COLD_CODED | SLX_COLD_BYTES);
	r->exp = slx_rd_u8(in);
	r->scale = slx_rd_u8(in) - 1;
	if (in->bad || r->exp > SLX_SCALE_MAX + 1 || r->scale > SLX_SCALE_MAX)
		return corrupt(err, "exponent is out of range");
	if (how == (SLX_COLD_CODED | SLX_COLD_BYTES) || (!how && r->flags & (SLX_COLD_DICTIONARY | SLX_COLD_DELTAS)))
		return corrupt(err, "unknown method");
	bool decimals = how && !(r->flags & (SLX_COLD_DICTIONARY | SLX_COLD_INT64));
	if (decimals ? r->exp == 0 : r->flags & SLX_COLD_F32 || r->exp)
		return corrupt(err, "exponent does not fit the method");
	r->exp -= decimals;
	return SILEX_OK;
}

silex_status slx_cold_open(struct slx_cold_reader *r, const uint8_t *bytes, size_t len, const uint16_t *lens,
	size_t parts, silex_error *err)
{
	struct slx_rd in = slx_rd_init(bytes, len);
	uint32_t size[SLX_PARTS_MAX];
	if (parts == 0 || parts > SLX_PARTS_MAX || len > INT32_MAX)
		return slx_err(err, SILEX_INVALID, "cold block: %zu parts; expected 1..%d", parts, SLX_PARTS_MAX);
	for (size_t k = 0; k < parts; k++)
		if (lens[k] == 0 || lens[k] > SLX_VECTOR_MAX)
			return slx_err(err, SILEX_INVALID, "cold block: part %zu of %u values; expected 1..%d", k, lens[k],
				SLX_VECTOR_MAX);
	r->parts = 0; /* until all is well */
	r->flags = slx_rd_u8(&in);
	SLX_TRY(unwrap(r, &in, err));
	SLX_TRY(read_head(r, &in, err));
	r->parts = parts;
	silex_status st = read_index(r, &in, size, err);
	st = st ? st : read_tables(r, &in, err);
	r->parts = 0;
	SLX_TRY(st);
	r->part[0] = in.p;
	for (size_t k = 0; k < parts; k++) {
		if (!slx_rd_bytes(&in, size[k]))
			return corrupt(err, "parts are longer than the block");
		r->part[k + 1] = in.p;
	}
	r->lens = lens;
	r->parts = parts;
	return SILEX_OK;
}

bool slx_cold_is_i64(const struct slx_cold_reader *r) { return r->flags & SLX_COLD_INT64; }
int slx_cold_scale(const struct slx_cold_reader *r) { return r->scale; }

const char *slx_cold_method_name(const struct slx_cold_reader *r)
{
	static const char *const names[3][4] = {
		{ "sx", "huff", "dict", "delta" },
		{ "sx+zstd", "huff+zstd", "dict+zstd", "delta+zstd" },
		{ "sx+lz4", "huff+lz4", "dict+lz4", "delta+lz4" },
	};
	int method = r->flags & SLX_COLD_DICTIONARY ? 2 : r->flags & SLX_COLD_CODED ? 1 : r->flags & SLX_COLD_BYTES ? 3 : 0;
	return names[r->flags & SLX_COLD_WRAP][method];
}

/* ---- a part ---- */

static silex_status part_corrupt(size_t k, const char *what, silex_error *err)
{
	return slx_err(err, SILEX_CORRUPT, "cold block: part %zu: %s", k, what);
}

/* A part of integers, taken apart. */
struct part {
	size_t n, m; /* values; coded integers */
	bool delta;
	int64_t first;
	size_t escapes;
	uint16_t escape_at[SLX_VECTOR_MAX];
	int64_t escape[SLX_VECTOR_MAX];
	struct slx_exceptions exceptions;
};

static bool read_part_head(const struct slx_cold_reader *r, struct slx_rd *in, size_t n, struct part *ret)
{
	uint64_t head = slx_rd_varint(in);
	ret->n = n;
	ret->delta = r->flags & SLX_COLD_DELTAS;
	ret->m = n - ret->delta;
	ret->first = ret->delta ? slx_unzigzag(slx_rd_varint(in)) : 0;
	ret->escapes = head >> 1;
	ret->exceptions = (struct slx_exceptions){ 0 };
	if (in->bad || ret->escapes > ret->m || (ret->escapes && r->flags & SLX_COLD_BYTES))
		return false;
	for (size_t i = 0, at = 0; i < ret->escapes; i++) {
		uint64_t gap = slx_rd_varint(in);
		ret->escape[i] = slx_unzigzag(slx_rd_varint(in));
		if (in->bad || gap >= ret->m - at)
			return false;
		at += gap;
		ret->escape_at[i] = (uint16_t)at;
	}
	bool decimals = !(r->flags & (SLX_COLD_DICTIONARY | SLX_COLD_INT64));
	return !(head & 1) || (decimals && slx_exceptions_read(in, n, &ret->exceptions));
}

/* x[i] = base + (symbol << low | low bits), escapes put in. */
static bool read_coded(const struct slx_cold_reader *r, struct slx_rd *in, const struct part *p, int64_t *x)
{
	uint8_t sym[SLX_VECTOR_MAX];
	size_t m = p->m, half = (m + 1) / 2;
	const uint8_t *fields = slx_rd_bytes(in, slx_packed_size(m, r->low));
	if (r->streams == 2) {
		size_t size = slx_rd_varint(in);
		const uint8_t *a = slx_rd_bytes(in, size);
		if (!a || !slx_huff_decode2(&r->table, a, size, sym, half, in->p, slx_rd_left(in), sym + half, m - half))
			return false;
	} else if (in->bad || !slx_huff_decode(&r->table, in->p, slx_rd_left(in), sym, m)) {
		return false;
	}
	if (r->low) {
		slx_codec_kernels()->unpack(fields, m, r->low, (uint64_t *)x);
		for (size_t i = 0; i < m; i++)
			x[i] = (int64_t)(U(x[i]) + (U(sym[i]) << r->low) + U(r->base));
	} else {
		for (size_t i = 0; i < m; i++)
			x[i] = (int64_t)(U(sym[i]) + U(r->base));
	}
	for (size_t i = 0; i < p->escapes; i++)
		x[p->escape_at[i]] = p->escape[i];
	return true;
}

static bool read_bytes(struct slx_rd *in, size_t m, int64_t *x)
{
	for (size_t i = 0; i < m; i++)
		x[i] = slx_unzigzag(slx_rd_varint(in));
	return !in->bad;
}

/* The integers of part k: decimals, int64, or checked indexes. */
static silex_status read_ints(const struct slx_cold_reader *r, size_t k, int64_t *d, struct part *p, silex_error *err)
{
	struct slx_rd in = { .p = r->part[k], .end = r->part[k + 1] };
	if (!read_part_head(r, &in, r->lens[k], p))
		return part_corrupt(k, "head, escapes or exceptions are damaged", err);
	int64_t *x = d + p->delta;
	if (!(r->flags & SLX_COLD_CODED ? read_coded(r, &in, p, x) : read_bytes(&in, p->m, x)))
		return part_corrupt(k, "ends early", err);
	if (p->delta) {
		d[0] = p->first;
		slx_codec_kernels()->prefix(x, p->m, p->first, 0);
	}
	if (r->flags & SLX_COLD_DICTIONARY) {
		int64_t min, max;
		slx_codec_kernels()->range(d, p->n, &min, &max);
		if (min < 0 || U(max) >= r->entries)
			return part_corrupt(k, "index outside the dictionary", err);
	}
	return SILEX_OK;
}

static bool is_vectors(const struct slx_cold_reader *r) { return !(r->flags & (SLX_COLD_CODED | SLX_COLD_BYTES)); }

static size_t part_size(const struct slx_cold_reader *r, size_t k) { return (size_t)(r->part[k + 1] - r->part[k]); }

static silex_status check_part(const struct slx_cold_reader *r, size_t k, silex_error *err)
{
	if (k < r->parts)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "cold block: part %zu of %zu", k, r->parts);
}

silex_status slx_cold_decode_i64(struct slx_cold_reader *r, size_t k, int64_t *v, silex_error *err)
{
	SLX_TRY(check_part(r, k, err));
	if (!slx_cold_is_i64(r))
		return slx_err(err, SILEX_INVALID, "cold block: of float64 values, read as int64");
	if (is_vectors(r))
		return slx_i64_decode(r->part[k], part_size(r, k), v, r->lens[k], err);
	struct part p;
	SLX_TRY(read_ints(r, k, v, &p, err));
	if (r->flags & SLX_COLD_DICTIONARY)
		for (size_t i = 0; i < p.n; i++)
			v[i] = (int64_t)r->dict[v[i]];
	return SILEX_OK;
}

static silex_status decode_from_i64(struct slx_cold_reader *r, size_t k, double *v, silex_error *err)
{
	int64_t d[SLX_VECTOR_MAX];
	SLX_TRY(slx_cold_decode_i64(r, k, d, err));
	for (size_t i = 0; i < r->lens[k]; i++)
		v[i] = (double)d[i];
	return SILEX_OK;
}

/* A part of decimals that read_ints has read. */
static void decimals_to_f64(const struct slx_cold_reader *r, const struct part *p, const int64_t *d, double *v)
{
	slx_codec_kernels()->ints_f64(d, p->n, 0, r->exp, v);
	if (r->flags & SLX_COLD_F32)
		for (size_t i = 0; i < p->n; i++)
			v[i] = (double)(float)v[i];
	if (p->exceptions.count || p->exceptions.nears)
		slx_exceptions_apply(&p->exceptions, v);
}

silex_status slx_cold_decode(struct slx_cold_reader *r, size_t k, double *v, silex_error *err)
{
	SLX_TRY(check_part(r, k, err));
	if (slx_cold_is_i64(r))
		return decode_from_i64(r, k, v, err);
	if (is_vectors(r))
		return slx_sx_decode(r->part[k], part_size(r, k), v, r->lens[k], err);
	int64_t d[SLX_VECTOR_MAX];
	struct part p;
	SLX_TRY(read_ints(r, k, d, &p, err));
	if (r->flags & SLX_COLD_DICTIONARY) {
		for (size_t i = 0; i < p.n; i++)
			v[i] = slx_bits_f64(r->dict[d[i]]);
		return SILEX_OK;
	}
	decimals_to_f64(r, &p, d, v);
	return SILEX_OK;
}

silex_status slx_cold_aggregate(struct slx_cold_reader *r, size_t k, struct slx_agg *ret, silex_error *err)
{
	SLX_TRY(check_part(r, k, err));
	if (is_vectors(r) && !slx_cold_is_i64(r))
		return slx_sx_aggregate(r->part[k], part_size(r, k), r->lens[k], ret, err);
	if (r->flags & (SLX_COLD_DICTIONARY | SLX_COLD_F32 | SLX_COLD_INT64)) {
		double v[SLX_VECTOR_MAX];
		SLX_TRY(slx_cold_decode(r, k, v, err));
		slx_agg_values(v, r->lens[k], ret);
		return SILEX_OK;
	}
	int64_t d[SLX_VECTOR_MAX];
	struct part p;
	struct slx_int_agg ints;
	SLX_TRY(read_ints(r, k, d, &p, err));
	if (p.exceptions.nears) { /* the least may be a unit less than its decimal */
		double v[SLX_VECTOR_MAX];
		decimals_to_f64(r, &p, d, v);
		slx_agg_values(v, p.n, ret);
		return SILEX_OK;
	}
	slx_codec_kernels()->ints_agg(d, p.n, 0, &ints);
	slx_agg_decimals(&ints, d, p.n, r->exp, &p.exceptions, ret);
	return SILEX_OK;
}
