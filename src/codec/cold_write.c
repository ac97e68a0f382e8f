/* The writer of cold blocks (layout: cold_int.h).
 *
 * Values become integers once: at one decimal exponent for the whole block, or as indexes into the ordered list of
 * distinct values. Integers or their differences are then cut into a symbol of at most 8 bits, Huffman-coded with one
 * table for the block, and raw low bits. What each way would take is estimated from histograms; the least is written,
 * beside the hot form of every part, which is the fallback for anything. */
#include "codec/cold_int.h"

#include <lz4.h>
#include <stdlib.h>
#include <zstd.h>

#define U(x) ((uint64_t)(x))

enum { HASH_SIZE = 16384, FAIL_WORDS = SLX_PARTS_MAX + SLX_CHUNK_MAX / 64, ESCAPE_BITS = 30, PART_BITS = 40, ZSTD_QUICK = 1, ZSTD_LEVEL = 5 };

/* How one set of integers is to be coded. */
struct plan {
	bool dict, delta;
	int64_t base;
	unsigned low;     /* raw bits */
	unsigned symbols; /* the last one is the escape if there are escapes */
	bool escapes;
	double bits;
};

struct slx_cold_writer {
	struct slx_mem *mem;
	enum slx_mem_use use;

	/* the input */
	const double *v;
	const int64_t *vi;
	const uint16_t *lens;
	size_t n, parts;

	/* as decimals */
	bool decimal, f32;
	unsigned exp;
	int64_t ints[SLX_CHUNK_MAX];
	uint64_t fails[FAIL_WORDS]; /* part after part, whole words */
	uint64_t near[FAIL_WORDS];
	uint16_t failed[SLX_PARTS_MAX], nears[SLX_PARTS_MAX];
	size_t failed_all, nears_all;

	/* as dictionary */
	size_t entries;
	uint64_t dict[SLX_COLD_DICT_MAX]; /* bits, ordered */
	int64_t indexes[SLX_CHUNK_MAX];
	uint16_t hash[HASH_SIZE]; /* entry + 1 */
	size_t dict_size;
	uint8_t dict_bytes[SLX_COLD_DICT_MAX * 8 + 16 * 16];

	int64_t x[SLX_CHUNK_MAX]; /* what is being coded */
	uint32_t part_size[SLX_PARTS_MAX];
	uint8_t body[SLX_COLD_RAW_MAX], block[2][SLX_COLD_RAW_MAX];
};

struct slx_cold_writer *slx_cold_writer_new(struct slx_mem *m, enum slx_mem_use use)
{
	struct slx_cold_writer *w = slx_alloc(m, use, sizeof *w);
	if (w) {
		w->mem = m;
		w->use = use;
	}
	return w;
}

void slx_cold_writer_free(struct slx_cold_writer *w)
{
	if (w)
		slx_free(w->mem, w->use, w, sizeof *w);
}

size_t slx_cold_bound(size_t n, size_t parts) { return 64 + 8 * n + 11 * parts + 12 * n / 2; }

static size_t words(size_t n) { return (n + 63) / 64; }

/* ---- values to integers ---- */

/* The decimal exponent that most parts need; false when too many values have none. */
static bool find_exponent(struct slx_cold_writer *w)
{
	struct slx_sx_hint hint = { 0 };
	int64_t d[SLX_VECTOR_MAX];
	size_t plain = 0, f32 = 0;
	unsigned exp[2] = { 0 };
	for (size_t k = 0, at = 0; k < w->parts; at += w->lens[k++]) {
		struct slx_decimals x;
		if (!slx_to_decimals(w->v + at, w->lens[k], &hint, d, &x) || x.failed == w->lens[k])
			continue;
		exp[x.f32] = x.exp > exp[x.f32] ? x.exp : exp[x.f32];
		f32 += x.f32 ? w->lens[k] : 0;
		plain += x.f32 ? 0 : w->lens[k];
	}
	w->f32 = f32 > plain;
	w->exp = exp[w->f32];
	return f32 + plain > 0;
}

static bool to_decimals(struct slx_cold_writer *w)
{
	if (!find_exponent(w))
		return false;
	size_t bad = 0;
	uint64_t usual = 0; /* the first exception's bits: NaN, mostly */
	for (size_t k = 0, at = 0, word = 0; k < w->parts; at += w->lens[k], word += words(w->lens[k]), k++) {
		struct slx_decimals x;
		size_t n = w->lens[k];
		slx_convert(w->v + at, n, w->exp, w->f32, w->ints + at, &x);
		memcpy(w->fails + word, x.fails, words(n) * sizeof *x.fails);
		memcpy(w->near + word, x.near, words(n) * sizeof *x.near);
		w->failed_all += w->failed[k] = (uint16_t)x.failed;
		w->nears_all += w->nears[k] = (uint16_t)x.nears;
		if (x.failed == 0)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (!(x.fails[i / 64] >> (i & 63) & 1))
				continue;
			usual = usual ? usual : slx_f64_bits(w->v[at + i]);
			bad += slx_f64_bits(w->v[at + i]) != usual;
		}
		slx_fill_failed(w->ints + at, n, x.fails);
	}
	return bad <= w->n / 16;
}

/* Order of dictionary entries: as numbers, NaN by their bits at the ends. */
static uint64_t sort_key(uint64_t bits) { return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63; }

static int by_number(const void *a, const void *b)
{
	uint64_t x = sort_key(*(const uint64_t *)a), y = sort_key(*(const uint64_t *)b);
	return x < y ? -1 : x > y;
}

static int by_int(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static uint64_t bits_at(const struct slx_cold_writer *w, size_t i) { return w->vi ? U(w->vi[i]) : slx_f64_bits(w->v[i]); }

/* Where bits are in the hash of entries, or belong. */
static size_t slot_of(const struct slx_cold_writer *w, const uint64_t *entries, uint64_t bits)
{
	size_t h = (bits * 0x9e3779b97f4a7c15u) >> 50;
	while (w->hash[h] && entries[w->hash[h] - 1] != bits)
		h = (h + 1) % HASH_SIZE;
	return h;
}

/* The distinct values, while they stay few against what they stand for; w->indexes says which each value is. */
static bool collect(struct slx_cold_writer *w)
{
	memset(w->hash, 0, sizeof w->hash);
	w->entries = 0;
	for (size_t i = 0; i < w->n; i++) {
		uint64_t bits = bits_at(w, i);
		size_t h = slot_of(w, w->dict, bits);
		if (w->hash[h] == 0) {
			if (w->entries == SLX_COLD_DICT_MAX || (i > 1024 && w->entries > i * 7 / 8))
				return false;
			w->dict[w->entries++] = bits;
			w->hash[h] = (uint16_t)w->entries;
		}
		w->indexes[i] = w->hash[h] - 1;
	}
	return w->entries < w->n * 7 / 8;
}

static void write_dict(struct slx_cold_writer *w)
{
	uint8_t tmp[16 * SLX_VECTOR_MAX], *p = slx_put_varint(w->dict_bytes, w->entries);
	struct slx_sx_hint hint = { 0 };
	for (size_t at = 0; at < w->entries; at += SLX_VECTOR_MAX) {
		size_t n = w->entries - at < SLX_VECTOR_MAX ? w->entries - at : SLX_VECTOR_MAX;
		size_t size = w->vi ? slx_i64_encode((const int64_t *)w->dict + at, n, tmp, sizeof tmp)
			: slx_sx_encode((const double *)w->dict + at, n, &hint, SLX_SCALE_NONE, tmp, sizeof tmp);
		p = slx_put_varint(p, size);
		memcpy(p, tmp, size);
		p += size;
	}
	w->dict_size = (size_t)(p - w->dict_bytes);
}

static bool to_indexes(struct slx_cold_writer *w)
{
	if (w->n < 16 || !collect(w))
		return false;
	uint64_t before[SLX_COLD_DICT_MAX];
	uint16_t rank[SLX_COLD_DICT_MAX];
	memcpy(before, w->dict, w->entries * sizeof *before);
	qsort(w->dict, w->entries, sizeof *w->dict, w->vi ? by_int : by_number);
	for (size_t i = 0; i < w->entries; i++) /* the hash still knows where each was */
		rank[w->hash[slot_of(w, before, w->dict[i])] - 1] = (uint16_t)i;
	for (size_t i = 0; i < w->n; i++)
		w->indexes[i] = rank[w->indexes[i]];
	write_dict(w);
	return true;
}

/* ---- choosing ---- */

/* What is coded: the integers, or differences inside each part; returns how many. */
static size_t residuals(struct slx_cold_writer *w, const int64_t *d, bool delta)
{
	size_t m = 0;
	for (size_t k = 0, at = 0; k < w->parts; at += w->lens[k++])
		for (size_t i = delta; i < w->lens[k]; i++)
			w->x[m++] = delta ? (int64_t)(U(d[at + i]) - U(d[at + i - 1])) : d[at + i];
	return m;
}

/* Integers of 0 .. 2^width - 1 above a base, counted in 256 bins; those outside are escapes. */
struct histogram {
	int64_t base;
	unsigned low;
	uint32_t count[SLX_HUFF_SYMBOLS];
	size_t outside;
};

static void count_bins(const int64_t *x, size_t m, int64_t base, unsigned width, struct histogram *h)
{
	unsigned low = width > 8 ? width - 8 : 0;
	*h = (struct histogram){ .base = base, .low = low };
	for (size_t i = 0; i < m; i++) {
		uint64_t bin = (U(x[i]) - U(base)) >> low;
		if (bin < SLX_HUFF_SYMBOLS)
			h->count[bin]++;
		else
			h->outside++;
	}
}

static void merge_pairs(struct histogram *h)
{
	for (unsigned s = 0; s < SLX_HUFF_SYMBOLS / 2; s++)
		h->count[s] = h->count[2 * s] + h->count[2 * s + 1];
	memset(h->count + SLX_HUFF_SYMBOLS / 2, 0, sizeof h->count / 2);
	h->low++;
}

/* The bins as the alphabet; the last symbol is kept for escapes. */
static void try_bins(const struct histogram *h, size_t m, struct plan *best)
{
	uint32_t count[SLX_HUFF_SYMBOLS];
	unsigned top = SLX_HUFF_SYMBOLS - 2;
	size_t escapes = h->outside + h->count[SLX_HUFF_SYMBOLS - 1];
	memcpy(count, h->count, sizeof count);
	while (top && count[top] == 0)
		top--;
	if (escapes)
		count[++top] = (uint32_t)escapes;
	if (escapes > m / 4)
		return;
	double bits = slx_huff_cost(count, top + 1) + (double)m * h->low + (double)escapes * (ESCAPE_BITS - (int)h->low);
	if (bits < best->bits)
		*best = (struct plan){ .dict = best->dict, .delta = best->delta, .base = h->base, .low = h->low, .symbols = top + 1,
			.escapes = escapes, .bits = bits };
}

enum { MERGES = 4 }; /* 256, 128 .. 16 symbols */

static void try_window(const int64_t *x, size_t m, int64_t base, unsigned width, struct plan *best)
{
	struct histogram h;
	count_bins(x, m, base, width, &h);
	try_bins(&h, m, best);
	for (unsigned i = 0; i < MERGES && h.low + 4 < width && h.low < 57; i++) {
		merge_pairs(&h);
		try_bins(&h, m, best);
	}
}

static void try_plan(struct slx_cold_writer *w, const int64_t *d, bool dict, bool delta, struct plan *best)
{
	size_t m = residuals(w, d, delta);
	if (m == 0)
		return;
	struct plan mine = { .dict = dict, .delta = delta, .bits = INFINITY };
	int64_t min, max;
	slx_codec_kernels()->range(w->x, m, &min, &max);
	unsigned full = slx_bits(U(max) - U(min));
	struct slx_pfor_plan tight = slx_pfor_plan(w->x, m, min, max);
	try_window(w->x, m, min, full, &mine);
	if (tight.width < full)
		try_window(w->x, m, tight.base, tight.width, &mine);
	mine.bits += (double)w->parts * (PART_BITS + (delta ? slx_bits(U(max) - U(min)) : 0));
	mine.bits += dict ? 8.0 * (double)w->dict_size : 18.0 * (double)w->failed_all + 10.0 * (double)w->nears_all;
	if (mine.bits < best->bits)
		*best = mine;
}

/* ---- writing ---- */

static uint8_t *write_exceptions(const struct slx_cold_writer *w, size_t k, size_t at, size_t word, uint8_t *out)
{
	struct slx_decimals x = { .exp = w->exp, .failed = w->failed[k], .nears = w->nears[k] };
	memcpy(x.fails, w->fails + word, words(w->lens[k]) * sizeof *x.fails);
	memcpy(x.near, w->near + word, words(w->lens[k]) * sizeof *x.near);
	return slx_exceptions_write(w->v + at, w->ints + at, w->lens[k], &x, out);
}

/* Symbols of m residuals; escaped ones get the last symbol, and 0 as low bits in x. Returns how many. */
static size_t to_symbols(const struct plan *p, const int64_t *x, size_t m, uint8_t *sym, int64_t *low)
{
	size_t escapes = 0;
	unsigned last = p->symbols - 1;
	for (size_t i = 0; i < m; i++) {
		uint64_t u = U(x[i]) - U(p->base);
		bool out = u >> p->low > last || (p->escapes && u >> p->low == last);
		sym[i] = (uint8_t)(out ? last : u >> p->low);
		low[i] = out ? 0 : (int64_t)u;
		escapes += out;
	}
	return escapes;
}

static uint8_t *write_streams(const struct slx_huff_code *code, unsigned streams, const uint8_t *sym, size_t m, uint8_t *out)
{
	if (streams == 1)
		return slx_huff_encode(code, sym, m, out);
	uint8_t tmp[SLX_VECTOR_MAX * 2];
	size_t half = (m + 1) / 2, size = (size_t)(slx_huff_encode(code, sym, half, tmp) - tmp);
	out = slx_put_varint(out, size);
	memcpy(out, tmp, size);
	return slx_huff_encode(code, sym + half, m - half, out + size);
}

static uint8_t *write_escapes(const struct plan *p, const uint8_t *sym, const int64_t *x, size_t m, uint8_t *out)
{
	for (size_t i = 0, last = 0; i < m; i++) {
		if (sym[i] != p->symbols - 1)
			continue;
		out = slx_put_varint(out, i - last);
		out = slx_put_varint(out, slx_zigzag(x[i]));
		last = i;
	}
	return out;
}

/* All parts by the plan into w->body; returns its size. */
static size_t write_coded(struct slx_cold_writer *w, const struct plan *p, const struct slx_huff_code *code, unsigned streams)
{
	const int64_t *d = p->dict ? w->indexes : w->vi ? w->vi : w->ints;
	uint8_t sym[SLX_VECTOR_MAX], *out = w->body;
	int64_t low[SLX_VECTOR_MAX], *x = w->x;
	residuals(w, d, p->delta);
	for (size_t k = 0, at = 0, word = 0; k < w->parts; at += w->lens[k], word += words(w->lens[k]), k++) {
		uint8_t *begin = out;
		size_t m = w->lens[k] - p->delta, escapes = to_symbols(p, x, m, sym, low);
		bool exceptions = !p->dict && !w->vi && (w->failed[k] || w->nears[k]);
		out = slx_put_varint(out, escapes << 1 | exceptions);
		if (p->delta)
			out = slx_put_varint(out, slx_zigzag(d[at]));
		if (escapes)
			out = write_escapes(p, sym, x, m, out);
		if (exceptions)
			out = write_exceptions(w, k, at, word, out);
		out = slx_pack(low, m, 0, p->low, out);
		out = write_streams(code, streams, sym, m, out);
		w->part_size[k] = (uint32_t)(out - begin);
		x += m;
	}
	return (size_t)(out - w->body);
}

static size_t write_bytes(struct slx_cold_writer *w, const int64_t *d, bool dict, bool delta)
{
	uint8_t *out = w->body;
	for (size_t k = 0, at = 0, word = 0; k < w->parts; at += w->lens[k], word += words(w->lens[k]), k++) {
		uint8_t *begin = out;
		bool exceptions = !dict && !w->vi && (w->failed[k] || w->nears[k]);
		out = slx_put_varint(out, exceptions);
		if (delta)
			out = slx_put_varint(out, slx_zigzag(d[at]));
		if (exceptions)
			out = write_exceptions(w, k, at, word, out);
		for (size_t i = delta; i < w->lens[k]; i++)
			out = slx_put_varint(out, slx_zigzag((int64_t)(U(d[at + i]) - (delta ? U(d[at + i - 1]) : 0))));
		w->part_size[k] = (uint32_t)(out - begin);
	}
	return (size_t)(out - w->body);
}

static size_t write_vectors(struct slx_cold_writer *w)
{
	uint8_t *out = w->body, *end = w->body + sizeof w->body;
	struct slx_sx_hint hint = { 0 };
	for (size_t k = 0, at = 0; k < w->parts; at += w->lens[k++]) {
		size_t cap = (size_t)(end - out);
		w->part_size[k] = (uint32_t)(w->vi ? slx_i64_encode(w->vi + at, w->lens[k], out, cap)
			: slx_sx_encode(w->v + at, w->lens[k], &hint, SLX_SCALE_NONE, out, cap));
		out += w->part_size[k];
	}
	return (size_t)(out - w->body);
}

static uint8_t *write_index(const struct slx_cold_writer *w, uint8_t *out)
{
	uint32_t max = 0, min = UINT32_MAX;
	int64_t less[SLX_PARTS_MAX];
	for (size_t k = 0; k < w->parts; k++) {
		max = w->part_size[k] > max ? w->part_size[k] : max;
		min = w->part_size[k] < min ? w->part_size[k] : min;
	}
	for (size_t k = 0; k < w->parts; k++)
		less[k] = max - w->part_size[k];
	unsigned width = slx_bits(max - min);
	out = slx_put_varint(out, max);
	*out++ = (uint8_t)width;
	return slx_pack(less, w->parts, 0, width, out);
}

/* Head, index, tables and body into block; returns the size. */
static size_t assemble(const struct slx_cold_writer *w, unsigned flags, int scale, const struct plan *p,
	const struct slx_huff_code *code, unsigned streams, size_t body, uint8_t *block)
{
	bool ints = flags & (SLX_COLD_CODED | SLX_COLD_BYTES) && !(flags & SLX_COLD_DICTIONARY) && !w->vi;
	uint8_t *out = block;
	*out++ = (uint8_t)(flags | (w->vi ? SLX_COLD_INT64 : 0) | (ints && w->f32 ? SLX_COLD_F32 : 0));
	*out++ = (uint8_t)(ints ? w->exp + 1 : 0);
	*out++ = (uint8_t)(scale + 1);
	out = write_index(w, out);
	if (flags & SLX_COLD_DICTIONARY) {
		memcpy(out, w->dict_bytes, w->dict_size);
		out += w->dict_size;
	}
	if (flags & SLX_COLD_CODED) {
		out = slx_put_varint(out, slx_zigzag(p->base));
		*out++ = (uint8_t)p->low;
		*out++ = (uint8_t)streams;
		out = slx_huff_write(code, out);
	}
	memcpy(out, w->body, body);
	return (size_t)(out + body - block);
}

static unsigned flags_of(bool dict, bool delta) { return (dict ? SLX_COLD_DICTIONARY : 0) | (delta ? SLX_COLD_DELTAS : 0); }

static size_t coded_block(struct slx_cold_writer *w, const struct plan *p, int scale, uint8_t *block)
{
	uint32_t count[SLX_HUFF_SYMBOLS] = { 0 };
	uint8_t sym[SLX_VECTOR_MAX];
	int64_t low[SLX_VECTOR_MAX];
	size_t m = residuals(w, p->dict ? w->indexes : w->vi ? w->vi : w->ints, p->delta);
	for (size_t at = 0; at < m; at += SLX_VECTOR_MAX) {
		size_t n = m - at < SLX_VECTOR_MAX ? m - at : SLX_VECTOR_MAX;
		to_symbols(p, w->x + at, n, sym, low);
		for (size_t i = 0; i < n; i++)
			count[sym[i]]++;
	}
	struct slx_huff_code code;
	slx_huff_make(count, p->symbols, &code);
	unsigned streams = (p->bits - (double)m * p->low) / (double)m < 3.5 ? 1 : 2; /* short symbols: 4 in a look-up */
	size_t body = write_coded(w, p, &code, streams);
	return assemble(w, SLX_COLD_CODED | flags_of(p->dict, p->delta), scale, p, &code, streams, body, block);
}

/* ---- the general compressor ---- */

static size_t compress(enum slx_wrap wrap, int level, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	if (wrap == SLX_WRAP_LZ4) {
		int size = LZ4_compress_default((const char *)in, (char *)out, (int)n, (int)cap);
		return size > 0 ? (size_t)size : 0;
	}
	size_t size = ZSTD_compress(out, cap, in, n, level);
	return ZSTD_isError(size) ? 0 : size;
}

/* Puts the compressor around the block in `from`; into `to`. Returns the size, SIZE_MAX when it did not fit. */
static size_t wrapped(enum slx_wrap wrap, int level, const uint8_t *from, size_t n, uint8_t *to)
{
	to[0] = (uint8_t)(from[0] | wrap);
	uint8_t *p = slx_put_varint(to + 1, n - 1);
	size_t size = compress(wrap, level, from + 1, n - 1, p, SLX_COLD_RAW_MAX - 16);
	return size ? (size_t)(p - to) + size : SIZE_MAX;
}

/* Repeated sequences, which only a general compressor sees: bytes of indexes, or of differences. A quick look first;
 * the slower search only where that comes near. The best block is and stays in w->block[0]; returns its size. */
static size_t try_wraps(struct slx_cold_writer *w, enum slx_wrap wrap, int scale, bool decimal, bool dict, size_t best)
{
	size_t limit = best * 9 / 10;
	for (int by_dict = 0; by_dict < 2; by_dict++) {
		if (by_dict ? !dict : !decimal)
			continue;
		size_t body = write_bytes(w, by_dict ? w->indexes : w->vi ? w->vi : w->ints, by_dict, !by_dict);
		size_t all = assemble(w, SLX_COLD_BYTES | flags_of(by_dict, !by_dict), scale, NULL, NULL, 0, body, w->block[1]);
		size_t size = wrapped(wrap, ZSTD_QUICK, w->block[1], all, w->body);
		if (wrap == SLX_WRAP_ZSTD && size != SIZE_MAX && size < limit + limit / 5)
			size = wrapped(wrap, ZSTD_LEVEL, w->block[1], all, w->body);
		if (size < limit) {
			memcpy(w->block[0], w->body, size);
			limit = best = size;
		}
	}
	return best;
}

static size_t encode(struct slx_cold_writer *w, int scale, enum slx_wrap wrap, uint8_t *out, size_t cap)
{
	bool decimal = w->vi || to_decimals(w), dict = to_indexes(w);
	struct plan plan = { .bits = INFINITY };
	for (int delta = 0; delta < 2; delta++) {
		if (decimal)
			try_plan(w, w->vi ? w->vi : w->ints, false, delta, &plan);
		if (dict)
			try_plan(w, w->indexes, true, delta, &plan);
	}
	if (decimal && !w->vi && !w->f32 && !w->nears_all && scale < (int)w->exp)
		scale = (int)w->exp;
	size_t body = write_vectors(w);
	size_t best = assemble(w, 0, scale, NULL, NULL, 0, body, w->block[0]);
	if (plan.bits / 8 < (double)best) {
		size_t size = coded_block(w, &plan, scale, w->block[1]);
		if (size < best) {
			memcpy(w->block[0], w->block[1], size);
			best = size;
		}
	}
	if (wrap != SLX_WRAP_NONE)
		best = try_wraps(w, wrap, scale, decimal, dict, best);
	if (best > cap)
		return 0;
	memcpy(out, w->block[0], best);
	return best;
}

/* Sets the input; false when the lengths are not as promised. */
static bool begin(struct slx_cold_writer *w, const double *v, const int64_t *vi, const uint16_t *lens, size_t parts)
{
	size_t n = 0;
	if (parts == 0 || parts > SLX_PARTS_MAX)
		return false;
	for (size_t k = 0; k < parts; k++) {
		if (lens[k] == 0 || lens[k] > SLX_VECTOR_MAX)
			return false;
		n += lens[k];
	}
	w->v = v;
	w->vi = vi;
	w->lens = lens;
	w->parts = parts;
	w->n = n;
	w->f32 = false;
	w->failed_all = w->nears_all = 0;
	return n <= SLX_CHUNK_MAX;
}

size_t slx_cold_encode(struct slx_cold_writer *w, const double *v, const uint16_t *lens, size_t parts, int scale,
	enum slx_wrap wrap, uint8_t *out, size_t cap)
{
	if (!begin(w, v, NULL, lens, parts) || scale > SLX_SCALE_MAX)
		return 0;
	return encode(w, scale < 0 ? SLX_SCALE_NONE : scale, wrap, out, cap);
}

size_t slx_cold_encode_i64(struct slx_cold_writer *w, const int64_t *v, const uint16_t *lens, size_t parts,
	enum slx_wrap wrap, uint8_t *out, size_t cap)
{
	return begin(w, NULL, v, lens, parts) ? encode(w, SLX_SCALE_NONE, wrap, out, cap) : 0;
}
