/* silex_compress and its inverse: arrays to one self-describing buffer.
 *
 *   "SLXA"  u8 version 0   u8 codec asked for (255: auto)   u8 scale + 1 (0: none)   varint n
 *   blocks of 8192 samples, the last one fewer, each:
 *     u8      value codec: RAW, GORILLA, SX, COLD or an application's id; with GORILLA the timestamps are so too
 *     varint  size of timestamps     varint  size of values
 *     timestamps, values
 *   u32     CRC-32C of all before
 *
 * SX values are vectors of 512, each after its varint size; COLD values have parts of 512. A block that its codec makes
 * larger than 8 bytes a value is stored RAW. */
#include "base/bytes.h"
#include "base/hash.h"
#include "codec/codec.h"

enum { MAGIC = 0x41584c53, VERSION = 0, AUTO = 255, HEAD_MAX = 7 + SLX_VARINT_SIZE_MAX, BLOCK_HEAD_MAX = 21, PART = 512 };

size_t silex_compress_bound(size_t n)
{
	size_t blocks = n / SLX_CHUNK_MAX + 1;
	return HEAD_MAX + 4 + blocks * (BLOCK_HEAD_MAX + 16) + 16 * n;
}

void silex_compress_options_init(silex_compress_options *options)
{
	*options = (silex_compress_options){ .struct_size = sizeof *options, .scale = SLX_SCALE_NONE };
}

const char *silex_codec_name(int id)
{
	switch (id) {
#define SLX_CODEC_NAME(name, number, text) \
	case number:                           \
		return text;
		SLX_CODEC_LIST(SLX_CODEC_NAME)
#undef SLX_CODEC_NAME
	default:
		return NULL;
	}
}

int silex_codec_by_name(const char *name)
{
	for (int id = 0; name && silex_codec_name(id); id++)
		if (strcmp(silex_codec_name(id), name) == 0)
			return id;
	return -1;
}

static const silex_codec *custom_by_id(const silex_compress_options *o, int id)
{
	for (size_t i = 0; i < o->codecs_n; i++)
		if (o->codecs[i]->id == id)
			return o->codecs[i];
	return NULL;
}

/* The codec that the options name: an id, AUTO, or -1. */
static int codec_of(const silex_compress_options *o)
{
	if (!o->codec || strcmp(o->codec, "auto") == 0)
		return AUTO;
	for (size_t i = 0; i < o->codecs_n; i++)
		if (strcmp(o->codecs[i]->name, o->codec) == 0 && o->codecs[i]->id >= SILEX_CODEC_ID_MIN)
			return o->codecs[i]->id;
	int id = silex_codec_by_name(o->codec);
	return id <= SLX_CODEC_COLD ? id : -1; /* the rest are not for float64 */
}

static size_t part_lens(size_t n, uint16_t *lens)
{
	size_t parts = 0;
	for (size_t at = 0; at < n; at += PART)
		lens[parts++] = (uint16_t)(n - at < PART ? n - at : PART);
	return parts;
}

struct work {
	struct slx_cold_writer *writer;
	struct slx_cold_reader *reader;
	struct slx_sx_hint hint;
	uint8_t ts[9 * SLX_CHUNK_MAX + 64], values[20 * SLX_CHUNK_MAX];
};

static size_t encode_sx(struct work *w, const double *v, size_t n, int scale)
{
	uint8_t *p = w->values, vector[8 * PART + 16];
	for (size_t at = 0; at < n; at += PART) {
		size_t m = n - at < PART ? n - at : PART;
		size_t size = slx_sx_encode(v + at, m, &w->hint, scale, vector, sizeof vector);
		p = slx_put_varint(p, size);
		memcpy(p, vector, size);
		p += size;
	}
	return (size_t)(p - w->values);
}

/* One block's values into w->values; the codec may fall back to RAW. */
static size_t encode_values(struct work *w, const silex_compress_options *o, int *codec, const double *v, size_t n)
{
	uint16_t lens[SLX_CHUNK_MAX / PART];
	size_t size = 0;
	const silex_codec *custom = *codec >= SILEX_CODEC_ID_MIN && *codec != AUTO ? custom_by_id(o, *codec) : NULL;
	if (*codec == AUTO)
		*codec = SLX_CODEC_COLD;
	if (custom)
		size = custom->encode(custom->ctx, v, n, w->values, sizeof w->values);
	else if (*codec == SLX_CODEC_COLD)
		size = slx_cold_encode(w->writer, v, lens, part_lens(n, lens), o->scale, SLX_WRAP_ZSTD, w->values, sizeof w->values);
	else if (*codec == SLX_CODEC_SX)
		size = encode_sx(w, v, n, o->scale);
	else if (*codec == SLX_CODEC_GORILLA)
		size = slx_gorilla_encode(v, n, w->values, sizeof w->values);
	if (size == 0 || size > 8 * n) {
		*codec = SLX_CODEC_RAW;
		size = 8 * n;
		memcpy(w->values, v, size);
	}
	return size;
}

static size_t encode_block(struct work *w, const silex_compress_options *o, int codec, const int64_t *ts, const double *v,
	size_t n, uint8_t *out, size_t cap)
{
	size_t v_size = encode_values(w, o, &codec, v, n);
	size_t ts_size = codec == SLX_CODEC_GORILLA ? slx_gorilla_ts_encode(ts, n, w->ts, sizeof w->ts)
		: slx_ts_encode(ts, n, w->ts, sizeof w->ts);
	uint8_t head[BLOCK_HEAD_MAX], *p = head;
	*p++ = (uint8_t)codec;
	p = slx_put_varint(p, ts_size);
	p = slx_put_varint(p, v_size);
	size_t head_size = (size_t)(p - head);
	if (cap < head_size || cap - head_size < ts_size + v_size)
		return 0;
	memcpy(out, head, head_size);
	memcpy(out + head_size, w->ts, ts_size);
	memcpy(out + head_size + ts_size, w->values, v_size);
	return head_size + ts_size + v_size;
}

static struct work *work_new(struct slx_mem *m, bool writer)
{
	struct work *w = slx_alloc(m, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return NULL;
	w->hint = (struct slx_sx_hint){ 0 };
	w->writer = writer ? slx_cold_writer_new(m, SLX_MEM_OTHER) : NULL;
	w->reader = writer ? NULL : slx_cold_reader_new(m, SLX_MEM_OTHER);
	return w;
}

static void work_free(struct slx_mem *m, struct work *w)
{
	if (!w)
		return;
	slx_cold_writer_free(w->writer);
	slx_cold_reader_free(w->reader);
	slx_free(m, SLX_MEM_OTHER, w, sizeof *w);
}

static silex_status too_small(size_t cap, silex_error *err)
{
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "compress: %zu bytes are too few; silex_compress_bound says enough", cap);
}

silex_status silex_compress(const int64_t *timestamps, const double *values, size_t n, const silex_compress_options *options,
	void *out, size_t cap, size_t *ret_size, silex_error *err)
{
	silex_compress_options o;
	silex_compress_options_init(&o);
	if (options)
		o = *options;
	int codec = codec_of(&o);
	if (codec < 0)
		return slx_err(err, SILEX_INVALID, "compress: codec \"%s\" is unknown or not for float64", o.codec);
	if (o.scale > SLX_SCALE_MAX)
		return slx_err(err, SILEX_INVALID, "compress: scale %d; at most %d", o.scale, SLX_SCALE_MAX);
	o.scale = o.scale < 0 ? SLX_SCALE_NONE : o.scale;
	if (cap < HEAD_MAX + 4)
		return too_small(cap, err);

	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	struct work *w = work_new(&mem, true);
	silex_status st = SILEX_OK;
	if (!w || !w->writer) {
		st = slx_err_oom(err);
		goto out;
	}
	uint8_t *begin = out, *p = begin + 7, *end = begin + cap - 4;
	slx_store32(begin, MAGIC);
	begin[4] = VERSION;
	begin[5] = (uint8_t)codec;
	int scale = slx_sx_scale(values, n);
	begin[6] = (uint8_t)((scale >= 0 && scale < o.scale ? o.scale : scale) + 1);
	p = slx_put_varint(p, n);
	for (size_t at = 0; at < n; at += SLX_CHUNK_MAX) {
		size_t m = n - at < SLX_CHUNK_MAX ? n - at : SLX_CHUNK_MAX;
		size_t size = encode_block(w, &o, codec, timestamps + at, values + at, m, p, (size_t)(end - p));
		if (size == 0) {
			st = too_small(cap, err);
			goto out;
		}
		p += size;
	}
	slx_store32(p, slx_crc32c(0, begin, (size_t)(p - begin)));
	*ret_size = (size_t)(p - begin) + 4;
out:
	work_free(&mem, w);
	return st;
}

/* ---- and back ---- */

static silex_status corrupt(const uint8_t *begin, const struct slx_rd *r, const char *what, silex_error *err)
{
	return slx_err(err, SILEX_CORRUPT, "compressed buffer at offset %zu: %s", (size_t)(r->p - begin), what);
}

/* Checks magic, version and checksum; leaves r at the blocks, without the checksum. */
static silex_status read_head(const uint8_t *bytes, size_t size, struct slx_rd *r, silex_compressed_info *ret, silex_error *err)
{
	*r = slx_rd_init(bytes, size);
	if (size < 8 + 4 || slx_rd_u32(r) != MAGIC)
		return corrupt(bytes, r, "not a buffer of silex_compress", err);
	unsigned version = slx_rd_u8(r);
	if (version != VERSION)
		return slx_err(err, SILEX_UNSUPPORTED, "compressed buffer: version %u; this library reads %d", version, VERSION);
	if (slx_load32(bytes + size - 4) != slx_crc32c(0, bytes, size - 4))
		return corrupt(bytes, r, "checksum differs", err);
	r->end -= 4;
	*ret = (silex_compressed_info){ .codec = slx_rd_u8(r) };
	ret->scale = slx_rd_u8(r) - 1;
	ret->n = slx_rd_varint(r);
	if (r->bad || ret->scale > SLX_SCALE_MAX || ret->n > SIZE_MAX / 16)
		return corrupt(bytes, r, "head is out of range", err);
	return SILEX_OK;
}

struct block {
	int codec;
	size_t ts_size, v_size;
	const uint8_t *ts, *v;
};

static bool read_block(struct slx_rd *r, struct block *ret)
{
	ret->codec = slx_rd_u8(r);
	ret->ts_size = slx_rd_varint(r);
	ret->v_size = slx_rd_varint(r);
	ret->ts = slx_rd_bytes(r, ret->ts_size);
	ret->v = slx_rd_bytes(r, ret->v_size);
	return !r->bad;
}

silex_status silex_compressed_info_read(const void *bytes, size_t size, silex_compressed_info *ret, silex_error *err)
{
	struct slx_rd r;
	silex_compressed_info info;
	SLX_TRY(read_head(bytes, size, &r, &info, err));
	for (uint64_t at = 0; at < info.n; at += SLX_CHUNK_MAX) {
		struct block b;
		if (!read_block(&r, &b))
			return corrupt(bytes, &r, "block ends early", err);
		info.timestamps_size += b.ts_size;
		info.values_size += b.v_size;
	}
	info.values_size += size - info.values_size - info.timestamps_size; /* heads and checksum */
	*ret = info;
	return SILEX_OK;
}

static silex_status decode_sx(const struct block *b, double *v, size_t n, silex_error *err)
{
	struct slx_rd r = slx_rd_init(b->v, b->v_size);
	for (size_t at = 0; at < n; at += PART) {
		size_t size = slx_rd_varint(&r);
		const uint8_t *p = slx_rd_bytes(&r, size);
		if (!p)
			return slx_err(err, SILEX_CORRUPT, "sx vectors end early");
		SLX_TRY(slx_sx_decode(p, size, v + at, n - at < PART ? n - at : PART, err));
	}
	return SILEX_OK;
}

static silex_status decode_cold(struct work *w, const struct block *b, double *v, size_t n, silex_error *err)
{
	uint16_t lens[SLX_CHUNK_MAX / PART];
	size_t parts = part_lens(n, lens);
	SLX_TRY(slx_cold_open(w->reader, b->v, b->v_size, lens, parts, err));
	for (size_t k = 0; k < parts; k++)
		SLX_TRY(slx_cold_decode(w->reader, k, v + k * PART, err));
	return SILEX_OK;
}

static silex_status decode_values(struct work *w, const silex_compress_options *o, const struct block *b, double *v, size_t n,
	silex_error *err)
{
	if (b->codec >= SILEX_CODEC_ID_MIN) {
		const silex_codec *c = custom_by_id(o, b->codec);
		if (!c)
			return slx_err(err, SILEX_UNSUPPORTED, "codec %d belongs to an application and is not among the options'",
				b->codec);
		return c->decode(c->ctx, b->v, b->v_size, v, n, err);
	}
	switch (b->codec) {
	case SLX_CODEC_SX:
		return decode_sx(b, v, n, err);
	case SLX_CODEC_COLD:
		return decode_cold(w, b, v, n, err);
	default:
		return slx_f64_decode((enum slx_codec_id)b->codec, b->v, b->v_size, v, n, err);
	}
}

static silex_status decode_blocks(struct work *w, const silex_compress_options *o, const uint8_t *begin, struct slx_rd *r,
	size_t n, int64_t *ts, double *v, silex_error *err)
{
	for (size_t at = 0; at < n; at += SLX_CHUNK_MAX) {
		size_t m = n - at < SLX_CHUNK_MAX ? n - at : SLX_CHUNK_MAX;
		struct block b;
		silex_status st = SILEX_OK;
		if (!read_block(r, &b))
			return corrupt(begin, r, "block ends early", err);
		if (ts)
			st = b.codec == SLX_CODEC_GORILLA ? slx_gorilla_ts_decode(b.ts, b.ts_size, ts + at, m, err)
				: slx_ts_decode(b.ts, b.ts_size, ts + at, m, err);
		if (st == SILEX_OK && v)
			st = decode_values(w, o, &b, v + at, m, err);
		if (st != SILEX_OK) {
			slx_err_wrap(err, "compressed buffer before offset %zu", (size_t)(r->p - begin));
			return st;
		}
	}
	return SILEX_OK;
}

silex_status silex_decompress(const void *bytes, size_t size, const silex_compress_options *options, int64_t *timestamps,
	double *values, size_t cap, size_t *ret_n, silex_error *err)
{
	silex_compress_options o;
	silex_compress_options_init(&o);
	if (options)
		o = *options;
	struct slx_rd r;
	silex_compressed_info info;
	SLX_TRY(read_head(bytes, size, &r, &info, err));
	if (info.n > cap)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "decompress: room for %zu samples; the buffer holds %llu", cap,
			(unsigned long long)info.n);
	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	struct work *w = work_new(&mem, false);
	silex_status st = w && w->reader ? decode_blocks(w, &o, bytes, &r, (size_t)info.n, timestamps, values, err)
		: slx_err_oom(err);
	work_free(&mem, w);
	if (st == SILEX_OK)
		*ret_n = (size_t)info.n;
	return st;
}
