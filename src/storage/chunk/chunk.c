/* Chunks: bytes of a run of samples.  docs/format/chunk.md
 *
 *     varint  timestamps size * 4 + format (0)
 *     timestamps block                            codec/ts.c
 *     value block, to the end of the chunk        by meta.codec
 *
 * Number of samples, kind, codec and statistics are in the chunk's header (struct slx_chunk_meta), which lies elsewhere:
 * in memory beside the bytes, in blocks in packed columns.
 *
 * Two codecs, SX and COLD, cut the values into parts of at most SLX_VECTOR_MAX, so that a reader of an hour decodes an
 * hour. How long the parts are is not stored: it follows from the timestamps (cut_parts). A part ends with the last
 * sample of an hour where that does not make it tiny; hours with more samples than fit are cut into equal parts.
 *
 *     SX:    every part but the last is preceded by its size as a varint, so that a hot chunk, one part, pays nothing
 *     COLD:  one cold block, which knows its parts
 *     others: one part, however long
 *
 * Timestamps of constant step, the usual case, are never materialised but for the samples a caller asks for: struct
 * timeline answers "which index is at time t" by arithmetic, else by binary search in the decoded column. */
#include "storage/chunk/bytes_int.h"
#include "model/histogram.h"

#include <math.h>
#include <stdio.h>

enum {
	FORMAT = 0,
	FORMAT_BITS = 2,
	HEAD_MAX = 3,   /* bytes of the first varint: timestamps of SLX_CHUNK_MAX samples are far below 2^19 bytes */
	PART_MIN = 128, /* shorter parts are not made to end on an hour */
	PARTS_MAX = SLX_CHUNK_MAX / PART_MIN + 1,
	COLD_MIN = 64, /* below this many samples the tables of the cold codecs cannot pay */
};

struct slx_chunk_work {
	struct slx_mem *mem;
	enum slx_mem_use use;
	struct slx_cold_writer *writer; /* these two are large: NULL until the first cold chunk */
	struct slx_cold_reader *reader;
	int64_t ts[SLX_CHUNK_MAX];
	uint64_t bits[SLX_CHUNK_MAX];
	uint32_t states[SLX_CHUNK_MAX];
	uint16_t lens[PARTS_MAX];
	struct {
		uint32_t at, size;
	} sx[PARTS_MAX]; /* where in the value block each SX part lies */
};

silex_status slx_chunk_work_new(struct slx_mem *m, enum slx_mem_use use, struct slx_chunk_work **ret, silex_error *err)
{
	struct slx_chunk_work *w = slx_alloc(m, use, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	w->mem = m;
	w->use = use;
	w->writer = NULL;
	w->reader = NULL;
	*ret = w;
	return SILEX_OK;
}

void slx_chunk_work_free(struct slx_chunk_work *w)
{
	if (!w)
		return;
	slx_cold_writer_free(w->writer);
	slx_cold_reader_free(w->reader);
	slx_free(w->mem, w->use, w, sizeof *w);
}

/* ---- the times of a chunk, as a column or as a line ---- */

struct timeline {
	const int64_t *ts; /* NULL: first + i * step */
	int64_t first;
	uint64_t step;
	size_t n;
};

static int64_t time_at(const struct timeline *t, size_t i)
{
	return t->ts ? t->ts[i] : (int64_t)((uint64_t)t->first + i * t->step);
}

/* The first index whose time is >= when; n if there is none. */
static size_t time_find(const struct timeline *t, int64_t when)
{
	if (!t->ts) {
		if (when <= t->first)
			return 0;
		uint64_t i = ((uint64_t)when - (uint64_t)t->first - 1) / t->step + 1;
		return i < t->n ? (size_t)i : t->n;
	}
	size_t lo = 0, hi = t->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->ts[mid] < when)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Cuts into parts; returns how many. A part goes up to the last hour that begins within SLX_VECTOR_MAX samples; where
 * that leaves fewer than PART_MIN, the samples up to the next hour are shared out evenly instead. */
static size_t cut_parts(const struct timeline *t, uint16_t lens[PARTS_MAX])
{
	size_t parts = 0;
	for (size_t i = 0; i < t->n;) {
		size_t len = t->n - i;
		if (len > SLX_VECTOR_MAX) {
			int64_t next = time_at(t, i + SLX_VECTOR_MAX);
			size_t hour = time_find(t, slx_window_start(next, SLX_HOUR, 0));
			if (hour >= i + PART_MIN) {
				len = hour - i;
			} else {
				size_t all = time_find(t, slx_time_add(slx_window_last(next, SLX_HOUR, 0), 1)) - i;
				size_t shares = (all + SLX_VECTOR_MAX - 1) / SLX_VECTOR_MAX;
				len = (all + shares - 1) / shares;
			}
		}
		lens[parts++] = (uint16_t)len;
		i += len;
	}
	return parts;
}

/* ---- statistics ---- */

static void stats_from_i64(const struct slx_stats_i64 *s, struct slx_chunk_meta *ret)
{
	const int64_t exact = INT64_C(1) << 53;
	double sum = (double)s->sum;
	ret->stats = (struct slx_stats){
		.count = s->count,
		.resets = s->resets,
		.first = (double)s->first,
		.last = (double)s->last,
		.min = (double)s->min,
		.max = (double)s->max,
		.sum = sum,
		.comp = (double)(s->sum - (__int128)sum),
		.increase = s->increase,
	};
	if (s->min < -exact || s->max > exact)
		ret->flags |= SLX_CHUNK_INEXACT;
}

/* The part of a header that the values decide. */
static struct slx_chunk_meta value_stats(enum slx_kind kind, const uint64_t *bits, size_t n)
{
	struct slx_chunk_meta m = { .n = (uint32_t)n, .kind = (uint8_t)kind };
	if (kind == SLX_KIND_FLOAT64) {
		slx_stats((const double *)bits, n, &m.stats);
		if (m.stats.count < n)
			m.flags |= SLX_CHUNK_HAS_NAN;
	} else if (slx_kind_is_bytes(kind)) {
		/* no numbers */
	} else if (kind == SLX_KIND_ENUM) {
		m.stats = (struct slx_stats){ .count = (uint32_t)n, .first = (double)bits[0], .last = (double)bits[n - 1] };
	} else {
		struct slx_stats_i64 s;
		slx_stats_i64((const int64_t *)bits, n, &s);
		stats_from_i64(&s, &m);
	}
	return m;
}

void slx_chunk_stats(enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n, struct slx_chunk_meta *ret)
{
	*ret = value_stats(kind, bits, n);
	ret->tmin = ts[0];
	ret->tmax = ts[n - 1];
}

/* Four lanes, compensated by Knuth's two-sum, which has no branches. A NaN spoils sum, least and greatest: false. */
static bool aggregate_floats(const double *v, size_t n, struct slx_agg *ret)
{
	double sum[4] = { 0 }, comp[4] = { 0 }, min[4] = { v[0], v[0], v[0], v[0] }, max[4] = { v[0], v[0], v[0], v[0] };
	size_t whole = n / 4 * 4;
	for (size_t i = 0; i < whole; i += 4)
		for (size_t l = 0; l < 4; l++) {
			double x = v[i + l], t = sum[l] + x, z = t - sum[l];
			comp[l] += (sum[l] - (t - z)) + (x - z);
			sum[l] = t;
			min[l] = x < min[l] ? x : min[l];
			max[l] = x > max[l] ? x : max[l];
		}
	struct slx_agg a = { .count = n, .min = min[0], .max = max[0] };
	for (size_t i = 0; i < 4 + n - whole; i++) {
		bool lane = i < 4;
		double x = lane ? sum[i] : v[whole + i - 4], t = a.sum + x, z = t - a.sum;
		double least = lane ? min[i] : x, most = lane ? max[i] : x;
		a.comp += (a.sum - (t - z)) + (x - z) + (lane ? comp[i] : 0);
		a.sum = t;
		a.min = least < a.min ? least : a.min;
		a.max = most > a.max ? most : a.max;
	}
	a.min += 0.0; /* -0.0 becomes +0.0 */
	a.max += 0.0;
	*ret = a;
	return isfinite(a.sum) && isfinite(a.comp);
}

struct slx_agg slx_chunk_aggregate_run(enum slx_kind kind, const uint64_t *bits, size_t n)
{
	struct slx_agg a;
	if (kind == SLX_KIND_FLOAT64 && aggregate_floats((const double *)bits, n, &a))
		return a;
	struct slx_stats s = value_stats(kind, bits, n).stats;
	return (struct slx_agg){ s.count, s.sum, s.comp, s.min, s.max };
}

/* ---- writing ---- */

static const silex_codec *custom_codec(const struct slx_codec_choice *c, int id)
{
	for (size_t i = 0; i < c->n_custom; i++)
		if (c->custom[i]->id == id)
			return c->custom[i];
	return NULL;
}

/* Head and timestamps. The block is written behind the longest head and moved up: it is mostly a dozen bytes. */
static silex_status put_timestamps(const int64_t *ts, size_t n, struct slx_buf *out, silex_error *err)
{
	size_t bound = slx_ts_bound(n);
	uint8_t *p = slx_buf_reserve(out, HEAD_MAX + bound);
	if (!p)
		return slx_err_oom(err);
	size_t size = slx_ts_encode(ts, n, p + HEAD_MAX, bound);
	uint8_t *end = slx_put_varint(p, (uint64_t)size << FORMAT_BITS | FORMAT);
	memmove(end, p + HEAD_MAX, size);
	out->n += (size_t)(end - p) + size;
	return SILEX_OK;
}

/* Parts of SX, each but the last with its size before it. */
static silex_status put_sx(const double *v, const uint16_t *lens, size_t parts, struct slx_sx_hint *hint,
	struct slx_buf *out, silex_error *err)
{
	for (size_t k = 0; k < parts; v += lens[k++]) {
		size_t bound = slx_sx_bound(lens[k]);
		uint8_t *p = slx_buf_reserve(out, HEAD_MAX + bound);
		if (!p)
			return slx_err_oom(err);
		uint8_t *to = k + 1 < parts ? p + HEAD_MAX : p;
		size_t size = slx_sx_encode(v, lens[k], hint, SLX_SCALE_NONE, to, bound);
		uint8_t *at = k + 1 < parts ? slx_put_varint(p, size) : p;
		memmove(at, to, size);
		out->n += (size_t)(at - p) + size;
	}
	return SILEX_OK;
}

/* Values of an application's codec; *ret_done false when it declines. */
static silex_status put_custom(
	const silex_codec *codec, const uint64_t *bits, size_t n, struct slx_buf *out, bool *ret_done, silex_error *err)
{
	size_t bound = codec->bound(codec->ctx, n);
	uint8_t *p = slx_buf_reserve(out, bound);
	if (!p)
		return slx_err_oom(err);
	size_t size = codec->encode(codec->ctx, (const double *)bits, n, p, bound);
	*ret_done = size > 0 && size <= bound;
	out->n += *ret_done ? size : 0;
	return SILEX_OK;
}

static silex_status put_f64(int id, const uint64_t *bits, size_t n, struct slx_buf *out, silex_error *err)
{
	size_t bound = slx_f64_bound(id, n);
	uint8_t *p = slx_buf_reserve(out, bound);
	if (!p)
		return slx_err_oom(err);
	out->n += slx_f64_encode(id, (const double *)bits, n, NULL, SLX_SCALE_NONE, p, bound);
	return SILEX_OK;
}

static silex_status put_i64(const uint64_t *bits, size_t n, struct slx_buf *out, silex_error *err)
{
	size_t bound = slx_i64_bound(n);
	uint8_t *p = slx_buf_reserve(out, bound);
	if (!p)
		return slx_err_oom(err);
	out->n += slx_i64_encode((const int64_t *)bits, n, p, bound);
	return SILEX_OK;
}

static silex_status put_states(const uint64_t *bits, size_t n, uint32_t *scratch, struct slx_buf *out, silex_error *err)
{
	size_t bound = slx_rle_bound(n);
	uint8_t *p = slx_buf_reserve(out, bound);
	if (!p)
		return slx_err_oom(err);
	for (size_t i = 0; i < n; i++)
		scratch[i] = (uint32_t)bits[i];
	out->n += slx_rle_encode(scratch, n, p, bound);
	return SILEX_OK;
}

static silex_status put_cold(struct slx_chunk_work *w, const struct slx_codec_choice *c, enum slx_kind kind,
	const uint64_t *bits, size_t n, size_t parts, struct slx_buf *out, silex_error *err)
{
	if (!w->writer && !(w->writer = slx_cold_writer_new(w->mem, w->use)))
		return slx_err_oom(err);
	size_t bound = slx_cold_bound(n, parts);
	uint8_t *p = slx_buf_reserve(out, bound);
	if (!p)
		return slx_err_oom(err);
	if (kind == SLX_KIND_INT64)
		out->n += slx_cold_encode_i64(w->writer, (const int64_t *)bits, w->lens, parts, c->wrap, p, bound);
	else
		out->n += slx_cold_encode(w->writer, (const double *)bits, w->lens, parts, SLX_SCALE_NONE, c->wrap, p, bound);
	return SILEX_OK;
}

/* Which built-in codec a chunk gets (an application's codec may be tried before). */
static enum slx_codec_id pick_codec(const struct slx_codec_choice *c, enum slx_kind kind, bool cold)
{
	switch (kind) {
	case SLX_KIND_INT64:
		return cold ? SLX_CODEC_COLD_INT64 : SLX_CODEC_INT64;
	case SLX_KIND_BOOL:
		return SLX_CODEC_BOOL;
	case SLX_KIND_ENUM:
		return SLX_CODEC_ENUM;
	case SLX_KIND_HISTOGRAM:
		return SLX_CODEC_HISTOGRAM;
	case SLX_KIND_BYTES:
		return SLX_CODEC_BYTES;
	default:
		break;
	}
	if (c->codec == SLX_CODEC_RAW || c->codec == SLX_CODEC_GORILLA || c->codec == SLX_CODEC_SX)
		return (enum slx_codec_id)c->codec;
	return cold ? SLX_CODEC_COLD : SLX_CODEC_SX;
}

/* The quick compressor in the head, the chosen one in blocks. */
static enum slx_wrap bytes_wrap(const struct slx_codec_choice *c, bool cold)
{
	return cold || c->wrap == SLX_WRAP_NONE ? c->wrap : SLX_WRAP_LZ4;
}

/* *codec: the wanted one, and the one that it was. */
static silex_status put_bytes(const struct slx_codec_choice *c, bool cold, const uint64_t *bits, size_t n, struct slx_buf *out, uint8_t *codec,
	silex_error *err)
{
	bool done = false;
	if (*codec == SLX_CODEC_HISTOGRAM)
		SLX_TRY(slx_histograms_encode(bits, n, bytes_wrap(c, cold), out, &done, err));
	if (done)
		return SILEX_OK;
	*codec = SLX_CODEC_BYTES;
	return slx_bytes_encode(bits, n, bytes_wrap(c, cold), out, err);
}

/* Both encoders. w is NULL in the hot one, which needs no more than one vector's scratch. */
static silex_status encode(struct slx_chunk_work *w, const struct slx_codec_choice *c, enum slx_kind kind,
	const int64_t *ts, const uint64_t *bits, size_t n, struct slx_sx_hint *hint, struct slx_buf *out,
	uint8_t *ret_codec, silex_error *err)
{
	SLX_TRY(put_timestamps(ts, n, out, err));
	const silex_codec *own = kind == SLX_KIND_FLOAT64 ? custom_codec(c, c->codec) : NULL;
	if (own) {
		bool done = false;
		SLX_TRY(put_custom(own, bits, n, out, &done, err));
		if (done) {
			*ret_codec = own->id;
			return SILEX_OK;
		}
	}
	enum slx_codec_id id = pick_codec(c, kind, w && n >= COLD_MIN);
	*ret_codec = (uint8_t)id;
	uint16_t one = (uint16_t)n;
	uint16_t *lens = &one;
	size_t parts = 1;
	if (w && (id == SLX_CODEC_SX || id == SLX_CODEC_COLD || id == SLX_CODEC_COLD_INT64)) {
		parts = cut_parts(&(struct timeline){ .ts = ts, .n = n }, w->lens);
		lens = w->lens;
	}
	uint32_t scratch[SLX_HOT_MAX];
	switch (id) {
	case SLX_CODEC_SX:
		return put_sx((const double *)bits, lens, parts, hint, out, err);
	case SLX_CODEC_COLD:
	case SLX_CODEC_COLD_INT64:
		return put_cold(w, c, kind, bits, n, parts, out, err);
	case SLX_CODEC_INT64:
		return put_i64(bits, n, out, err);
	case SLX_CODEC_BOOL:
	case SLX_CODEC_ENUM:
		return put_states(bits, n, w ? w->states : scratch, out, err);
	case SLX_CODEC_HISTOGRAM:
	case SLX_CODEC_BYTES:
		return put_bytes(c, w, bits, n, out, ret_codec, err);
	default:
		return put_f64(id, bits, n, out, err);
	}
}

static silex_status encode_whole(struct slx_chunk_work *w, const struct slx_codec_choice *c, enum slx_kind kind,
	const int64_t *ts, const uint64_t *bits, size_t n, struct slx_sx_hint *hint, struct slx_buf *out,
	struct slx_chunk_meta *ret, silex_error *err)
{
	size_t before = out->n;
	uint8_t codec;
	silex_status st = encode(w, c, kind, ts, bits, n, hint, out, &codec, err);
	if (st != SILEX_OK) {
		out->n = before;
		return st;
	}
	slx_chunk_stats(kind, ts, bits, n, ret);
	ret->codec = codec;
	ret->size = (uint32_t)(out->n - before);
	return SILEX_OK;
}

silex_status slx_chunk_encode_hot(const struct slx_codec_choice *c, enum slx_kind kind, const int64_t *ts,
	const uint64_t *bits, size_t n, struct slx_sx_hint *hint, struct slx_buf *out, struct slx_chunk_meta *ret,
	silex_error *err)
{
	return encode_whole(NULL, c, kind, ts, bits, n, hint, out, ret, err);
}

silex_status slx_chunk_encode_cold(struct slx_chunk_work *w, const struct slx_codec_choice *c, enum slx_kind kind,
	const int64_t *ts, const uint64_t *bits, size_t n, struct slx_buf *out, struct slx_chunk_meta *ret,
	silex_error *err)
{
	struct slx_sx_hint hint = { 0 };
	return encode_whole(w, c, kind, ts, bits, n, &hint, out, ret, err);
}

bool slx_chunk_is_wanted(const struct slx_codec_choice *c, const struct slx_chunk_meta *meta)
{
	if (meta->kind == SLX_KIND_FLOAT64 && custom_codec(c, c->codec))
		return meta->codec == c->codec;
	if (slx_kind_is_bytes(meta->kind))
		return meta->n > SLX_HOT_MAX; /* smaller ones may come from a head, where they are coded in haste */
	return meta->codec == pick_codec(c, meta->kind, meta->n >= COLD_MIN);
}

/* ---- reading ---- */

/* A chunk whose head has been checked. Parts and their places are in the work space. */
struct opened {
	enum slx_kind kind;
	enum slx_codec_id codec;
	struct timeline times;
	const uint8_t *values;
	size_t values_size;
	size_t parts;
};

static silex_status check_codec(const struct slx_chunk_meta *m, silex_error *err)
{
	bool ok = false;
	switch (m->kind) {
	case SLX_KIND_FLOAT64:
		ok = m->codec >= SLX_CODEC_CUSTOM || m->codec <= SLX_CODEC_COLD;
		break;
	case SLX_KIND_INT64:
		ok = m->codec == SLX_CODEC_INT64 || m->codec == SLX_CODEC_COLD_INT64;
		break;
	case SLX_KIND_BOOL:
		ok = m->codec == SLX_CODEC_BOOL;
		break;
	case SLX_KIND_ENUM:
		ok = m->codec == SLX_CODEC_ENUM;
		break;
	case SLX_KIND_HISTOGRAM:
		ok = m->codec == SLX_CODEC_HISTOGRAM || m->codec == SLX_CODEC_BYTES;
		break;
	case SLX_KIND_BYTES:
		ok = m->codec == SLX_CODEC_BYTES;
		break;
	default:
		return slx_err(err, SILEX_UNSUPPORTED, "chunk of kind %u, which this version does not know", m->kind);
	}
	if (!ok)
		return slx_err(err, SILEX_CORRUPT, "chunk of kind %s with codec %u", slx_kind_name(m->kind), m->codec);
	if (m->n < 1 || m->n > SLX_CHUNK_MAX)
		return slx_err(err, SILEX_CORRUPT, "chunk of %u samples; expected 1 to %d", m->n, SLX_CHUNK_MAX);
	if (!slx_time_legal(m->tmin) || !slx_time_legal(m->tmax))
		return slx_err(err, SILEX_CORRUPT, "chunk with a time outside the legal range");
	return SILEX_OK;
}

static bool ascends(const int64_t *ts, size_t n)
{
	unsigned falls = 0;
	for (size_t i = 1; i < n; i++)
		falls |= ts[i] <= ts[i - 1];
	return !falls;
}

/* Decodes the timestamps into w->ts unless they are a line, and checks them against the header. */
static silex_status open_times(struct slx_chunk_work *w, const struct slx_chunk_meta *m, const uint8_t *p, size_t size,
	struct timeline *ret, silex_error *err)
{
	struct slx_ts_info info;
	silex_status st = slx_ts_peek(p, size, m->n, &info, err);
	if (st == SILEX_OK && info.mode != SLX_TS_CONST)
		st = slx_ts_decode(p, size, w->ts, m->n, err);
	if (st != SILEX_OK) {
		slx_err_wrap(err, "chunk: timestamps");
		return st;
	}
	bool ok;
	if (info.mode == SLX_TS_CONST) {
		uint64_t step = m->n == 1 ? 1 : (uint64_t)info.step, span; /* unsigned: two samples may be 2^64 - 4 apart */
		ok = info.first == m->tmin && m->tmin <= m->tmax && step &&
			!__builtin_mul_overflow(step, (uint64_t)(m->n - 1), &span) && span == (uint64_t)m->tmax - (uint64_t)m->tmin;
		*ret = (struct timeline){ .first = info.first, .step = step, .n = m->n };
	} else {
		*ret = (struct timeline){ .ts = w->ts, .n = m->n };
		ok = w->ts[0] == m->tmin && w->ts[m->n - 1] == m->tmax && ascends(w->ts, m->n);
	}
	if (!ok)
		return slx_err(err, SILEX_CORRUPT, "chunk: timestamps do not ascend from the header's first to its last");
	return SILEX_OK;
}

static silex_status open_sx(struct slx_chunk_work *w, const struct opened *o, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(o->values, o->values_size);
	for (size_t k = 0; k < o->parts; k++) {
		uint64_t size = k + 1 < o->parts ? slx_rd_varint(&rd) : slx_rd_left(&rd);
		w->sx[k].at = (uint32_t)(rd.p - o->values);
		w->sx[k].size = (uint32_t)size;
		if (!slx_rd_bytes(&rd, size))
			return slx_err(err, SILEX_CORRUPT, "chunk: part %zu of %zu is longer than the chunk", k, o->parts);
	}
	return SILEX_OK;
}

static silex_status open_cold(struct slx_chunk_work *w, const struct opened *o, silex_error *err)
{
	if (!w->reader && !(w->reader = slx_cold_reader_new(w->mem, w->use)))
		return slx_err_oom(err);
	silex_status st = slx_cold_open(w->reader, o->values, o->values_size, w->lens, o->parts, err);
	if (st != SILEX_OK) {
		slx_err_wrap(err, "chunk: values");
		return st;
	}
	if (slx_cold_is_i64(w->reader) != (o->codec == SLX_CODEC_COLD_INT64))
		return slx_err(err, SILEX_CORRUPT, "chunk: cold block of another kind than the header says");
	return SILEX_OK;
}

static silex_status open_values(struct slx_chunk_work *w, struct opened *o, silex_error *err)
{
	switch (o->codec) {
	case SLX_CODEC_SX:
		o->parts = cut_parts(&o->times, w->lens);
		return open_sx(w, o, err);
	case SLX_CODEC_COLD:
	case SLX_CODEC_COLD_INT64:
		o->parts = cut_parts(&o->times, w->lens);
		return open_cold(w, o, err);
	default:
		o->parts = 1;
		w->lens[0] = (uint16_t)o->times.n;
		return SILEX_OK;
	}
}

/* The chunk's first bytes: where its timestamps lie; *rd is left behind them. */
static silex_status find_times(struct slx_rd *rd, const struct slx_chunk_meta *m, const uint8_t **ret, size_t *ret_size, silex_error *err)
{
	uint64_t head = slx_rd_varint(rd);
	if (!rd->bad && head % (1 << FORMAT_BITS) != FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "chunk of format %u; this version reads %d",
			(unsigned)(head % (1 << FORMAT_BITS)), FORMAT);
	*ret_size = (size_t)(head >> FORMAT_BITS);
	*ret = slx_rd_bytes(rd, *ret_size);
	if (!*ret)
		return slx_err(err, SILEX_CORRUPT, "chunk of %u bytes ends within its timestamps", m->size);
	return SILEX_OK;
}

static silex_status open_chunk(
	struct slx_chunk_work *w, const struct slx_chunk_meta *m, const uint8_t *bytes, struct opened *o, silex_error *err)
{
	const uint8_t *times;
	size_t times_size;
	SLX_TRY(check_codec(m, err));
	struct slx_rd rd = slx_rd_init(bytes, m->size);
	SLX_TRY(find_times(&rd, m, &times, &times_size, err));
	*o = (struct opened){ .kind = m->kind, .codec = m->codec, .values = rd.p, .values_size = slx_rd_left(&rd) };
	SLX_TRY(open_times(w, m, times, times_size, &o->times, err));
	return open_values(w, o, err);
}

silex_status slx_chunk_line(const struct slx_chunk_meta *meta, const uint8_t *bytes, uint64_t *ret_step, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(bytes, meta->size);
	const uint8_t *times;
	size_t size;
	struct slx_ts_info info;
	SLX_TRY(find_times(&rd, meta, &times, &size, err));
	SLX_TRY(slx_ts_peek(times, size, meta->n, &info, err));
	*ret_step = info.mode == SLX_TS_CONST ? (uint64_t)info.step : 0;
	return SILEX_OK;
}

static silex_status decode_states(struct slx_chunk_work *w, const struct opened *o, uint64_t *bits, silex_error *err)
{
	size_t n = o->times.n;
	SLX_TRY(slx_rle_decode(o->values, o->values_size, w->states, n, err));
	uint32_t all = 0;
	for (size_t i = 0; i < n; i++) {
		bits[i] = w->states[i];
		all |= w->states[i];
	}
	if (o->kind == SLX_KIND_BOOL && all > 1)
		return slx_err(err, SILEX_CORRUPT, "a bool that is neither 0 nor 1");
	return SILEX_OK;
}

static silex_status decode_custom(
	const struct slx_codec_choice *c, const struct opened *o, uint64_t *bits, silex_error *err)
{
	const silex_codec *codec = custom_codec(c, o->codec);
	if (!codec)
		return slx_err(err, SILEX_UNSUPPORTED, "codec %d of an application is not registered", (int)o->codec);
	return codec->decode(codec->ctx, o->values, o->values_size, (double *)bits, o->times.n, err);
}

static silex_status decode_part(struct slx_chunk_work *w, const struct slx_codec_choice *c, const struct opened *o,
	size_t k, uint64_t *bits, silex_error *err)
{
	silex_status st;
	switch (o->codec) {
	case SLX_CODEC_SX:
		st = slx_sx_decode(o->values + w->sx[k].at, w->sx[k].size, (double *)bits, w->lens[k], err);
		break;
	case SLX_CODEC_COLD:
		st = slx_cold_decode(w->reader, k, (double *)bits, err);
		break;
	case SLX_CODEC_COLD_INT64:
		st = slx_cold_decode_i64(w->reader, k, (int64_t *)bits, err);
		break;
	case SLX_CODEC_INT64:
		st = slx_i64_decode(o->values, o->values_size, (int64_t *)bits, o->times.n, err);
		break;
	case SLX_CODEC_BOOL:
	case SLX_CODEC_ENUM:
		st = decode_states(w, o, bits, err);
		break;
	case SLX_CODEC_RAW:
	case SLX_CODEC_GORILLA:
		st = slx_f64_decode(o->codec, o->values, o->values_size, (double *)bits, o->times.n, err);
		break;
	default:
		st = decode_custom(c, o, bits, err);
		break;
	}
	if (st != SILEX_OK)
		slx_err_wrap(err, "chunk: part %zu of %zu", k, o->parts);
	return st;
}

static silex_status aggregate_part(struct slx_chunk_work *w, const struct slx_codec_choice *c, const struct opened *o,
	size_t k, struct slx_agg *ret, silex_error *err)
{
	silex_status st;
	switch (o->codec) {
	case SLX_CODEC_SX:
		st = slx_sx_aggregate(o->values + w->sx[k].at, w->sx[k].size, w->lens[k], ret, err);
		break;
	case SLX_CODEC_COLD:
	case SLX_CODEC_COLD_INT64:
		st = slx_cold_aggregate(w->reader, k, ret, err);
		break;
	default:
		SLX_TRY(decode_part(w, c, o, k, w->bits, err));
		*ret = slx_chunk_aggregate_run(o->kind, w->bits, w->lens[k]);
		return SILEX_OK;
	}
	if (st != SILEX_OK)
		slx_err_wrap(err, "chunk: part %zu of %zu", k, o->parts);
	return st;
}

/* The indexes lo..hi-1 of the samples within range. */
static void find_range(const struct timeline *t, struct slx_time_range range, size_t *lo, size_t *hi)
{
	if (slx_range_empty(range)) {
		*lo = *hi = 0;
		return;
	}
	*lo = time_find(t, range.from);
	*hi = range.to == INT64_MAX ? t->n : time_find(t, range.to + 1);
}

/* Values lo..hi-1 of a chunk of histograms or bytes. */
static silex_status decode_bytes(const struct opened *o, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits, silex_error *err)
{
	size_t n = o->times.n;
	slx_buf_reset(values);
	silex_status st = o->codec == SLX_CODEC_HISTOGRAM ? slx_histograms_decode(o->values, o->values_size, n, lo, hi, values, bits, err) :
							    slx_bytes_decode(o->values, o->values_size, n, lo, hi, values, bits, err);
	if (st != SILEX_OK)
		slx_err_wrap(err, "chunk");
	return st;
}

silex_status slx_chunk_decode(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, struct slx_time_range range, int64_t *ts, uint64_t *bits,
	struct slx_buf *values, size_t *ret_n, silex_error *err)
{
	struct opened o;
	SLX_TRY(open_chunk(w, meta, bytes, &o, err));
	size_t lo, hi, at = 0;
	find_range(&o.times, range, &lo, &hi);
	if (slx_kind_is_bytes(o.kind)) {
		SLX_TRY(decode_bytes(&o, lo, hi, values, bits, err));
		at = hi; /* no parts */
	}
	for (size_t k = 0; k < o.parts && at < hi; at += w->lens[k++]) {
		size_t end = at + w->lens[k];
		if (end <= lo)
			continue;
		if (lo <= at && end <= hi) {
			SLX_TRY(decode_part(w, c, &o, k, bits + (at - lo), err));
			continue;
		}
		size_t from = lo > at ? lo : at, to = hi < end ? hi : end;
		SLX_TRY(decode_part(w, c, &o, k, w->bits, err));
		memcpy(bits + (from - lo), w->bits + (from - at), (to - from) * sizeof *bits);
	}
	if (o.times.ts)
		memcpy(ts, o.times.ts + lo, (hi - lo) * sizeof *ts);
	else
		for (size_t i = lo; i < hi; i++)
			ts[i - lo] = time_at(&o.times, i);
	*ret_n = hi - lo;
	return SILEX_OK;
}

/* Where an aggregation stands: in part k, whose first sample is `at`. */
struct folding {
	struct slx_chunk_work *w;
	const struct slx_codec_choice *c;
	const struct opened *o;
	size_t k, at;
	bool decoded; /* part k lies in w->bits */
};

/* Samples lo..hi-1, not before those of the last call. Parts that are cut are decoded once. */
static silex_status fold_span(struct folding *f, size_t lo, size_t hi, struct slx_agg *to, silex_error *err)
{
	struct slx_chunk_work *w = f->w;
	while (lo < hi) {
		for (; f->at + w->lens[f->k] <= lo; f->decoded = false)
			f->at += w->lens[f->k++];
		size_t end = f->at + w->lens[f->k], until = hi < end ? hi : end;
		struct slx_agg part;
		if (lo == f->at && until == end) {
			SLX_TRY(aggregate_part(w, f->c, f->o, f->k, &part, err));
		} else {
			if (!f->decoded)
				SLX_TRY(decode_part(w, f->c, f->o, f->k, w->bits, err));
			f->decoded = true;
			part = slx_chunk_aggregate_run(f->o->kind, w->bits + (lo - f->at), until - lo);
		}
		slx_agg_merge(to, &part);
		lo = until;
	}
	return SILEX_OK;
}

/* The last nanosecond of window k. */
static int64_t window_last(int64_t origin, uint64_t step, uint64_t k)
{
	uint64_t end, room = (uint64_t)SLX_TIME_MAX - (uint64_t)origin;
	if (step == 0 || __builtin_mul_overflow(k + 1, step, &end) || end > room)
		return SLX_TIME_MAX;
	return (int64_t)((uint64_t)origin + end - 1);
}

silex_status slx_chunk_aggregate(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, struct slx_time_range range, int64_t origin,
	uint64_t step, slx_chunk_window_fn each, void *arg, silex_error *err)
{
	struct opened o;
	SLX_TRY(open_chunk(w, meta, bytes, &o, err));
	if (slx_kind_is_bytes(o.kind))
		return slx_err(err, SILEX_INVALID, "a chunk of %s has no numbers to aggregate", slx_kind_name(o.kind));
	struct folding f = { .w = w, .c = c, .o = &o };
	size_t lo, hi;
	find_range(&o.times, range, &lo, &hi);
	for (size_t end; lo < hi; lo = end) {
		struct slx_agg sum = slx_agg_none();
		uint64_t k = step ? ((uint64_t)time_at(&o.times, lo) - (uint64_t)origin) / step : 0;
		end = time_find(&o.times, window_last(origin, step, k) + 1);
		end = end < hi ? end : hi;
		SLX_TRY(fold_span(&f, lo, end, &sum, err));
		SLX_TRY(each(arg, k, &sum, end - lo, err));
	}
	return SILEX_OK;
}

/* ---- verify and inspect ---- */

static bool same_number(double a, double b) { return slx_f64_bits(a) == slx_f64_bits(b) || (a != a && b != b); }

/* Histograms out of columns have to be such by themselves; what lies there as bytes is as it was given. */
static silex_status check_bytes(struct slx_chunk_work *w, const struct opened *o, silex_error *err)
{
	struct slx_arena arena;
	struct slx_buf values;
	slx_arena_init(&arena, w->mem, w->use, 64 << 10);
	slx_buf_init(&values, w->mem, w->use, SIZE_MAX);
	silex_status st = decode_bytes(o, 0, o->times.n, &values, w->bits, err);
	for (size_t i = 0; i < o->times.n && st == SILEX_OK && o->codec == SLX_CODEC_HISTOGRAM; i++) {
		struct slx_str v = slx_value_bytes(w->bits[i]);
		struct slx_histogram h;
		st = slx_histogram_decode((const uint8_t *)v.p, v.n, &arena, &h, err);
		slx_arena_clear(&arena);
	}
	slx_buf_free(&values);
	return st;
}

silex_status slx_chunk_check(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, silex_error *err)
{
	struct opened o;
	SLX_TRY(open_chunk(w, meta, bytes, &o, err));
	if (slx_kind_is_bytes(o.kind))
		SLX_TRY(check_bytes(w, &o, err));
	else
		for (size_t k = 0, at = 0; k < o.parts; at += w->lens[k++])
			SLX_TRY(decode_part(w, c, &o, k, w->bits + at, err));
	struct slx_chunk_meta have = value_stats(o.kind, w->bits, meta->n);
	const struct slx_stats *a = &have.stats, *b = &meta->stats;
	const struct {
		const char *name;
		double have, said;
	} fields[] = {
		{ "count", a->count, b->count },
		{ "resets", a->resets, b->resets },
		{ "first", a->first, b->first },
		{ "last", a->last, b->last },
		{ "min", a->min, b->min },
		{ "max", a->max, b->max },
		{ "sum", a->sum, b->sum },
		{ "comp", a->comp, b->comp },
		{ "increase", a->increase, b->increase },
		{ "flags", have.flags, meta->flags },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!same_number(fields[i].have, fields[i].said))
			return slx_err(err, SILEX_CORRUPT, "chunk: its header says %s %.17g, its samples %.17g", fields[i].name,
				fields[i].said, fields[i].have);
	return SILEX_OK;
}

void slx_chunk_describe(struct slx_chunk_work *w, const struct slx_codec_choice *c, const struct slx_chunk_meta *meta,
	const uint8_t *bytes, char *ret, size_t cap)
{
	const silex_codec *own = custom_codec(c, meta->codec);
	const char *name = own ? own->name : silex_codec_name(meta->codec);
	struct opened o;
	if (!name)
		snprintf(ret, cap, "codec %u", meta->codec);
	else if ((meta->codec == SLX_CODEC_COLD || meta->codec == SLX_CODEC_COLD_INT64) &&
		open_chunk(w, meta, bytes, &o, NULL) == SILEX_OK)
		snprintf(ret, cap, "%s %s", name, slx_cold_method_name(w->reader));
	else
		snprintf(ret, cap, "%s", name);
}
