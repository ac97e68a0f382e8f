/* A block read from end to end: verify, which tells every fault, and inspect, which tells what is there.
 *
 * Both go the way of ordinary readers (open a section, load a chunk), so that what they call readable is what queries
 * read. verify first drops the block from the cache: pages it passes are read again, whoever read them before. A page
 * that nothing refers to cannot exist, since pages lie without gaps (checked when block and section are opened). */
#include "storage/tsdb/block_int.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- lines ---- */

/* Where lines go; `stopped` once the receiver had enough. */
struct lines {
	slx_fault_fn fn;
	void *arg;
	uint64_t n;
	bool stopped;
};

__attribute__((format(printf, 2, 3))) static void say(struct lines *l, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	l->n++;
	if (!l->stopped)
		l->stopped = !l->fn(l->arg, line);
}

struct span_text {
	char from[SLX_TIME_TEXT_SIZE], to[SLX_TIME_TEXT_SIZE];
};

static struct span_text span_text(int64_t from, int64_t to)
{
	struct span_text t;
	slx_time_format(from, t.from);
	slx_time_format(to, t.to);
	return t;
}

/* What a walk over all chunks needs. */
struct walk {
	struct slx_block *b;
	const struct slx_codec_choice *codecs;
	struct slx_chunk_work *work;
	struct slx_buf labels; /* canonical bytes, then text, of the series at hand */
	struct slx_buf text;
	struct slx_buf values; /* inspect: of the chunk at hand */
	struct lines lines;
	uint64_t points;
	int64_t *ts; /* inspect only: SLX_CHUNK_MAX each */
	uint64_t *bits;
};

static silex_status walk_begin(
	struct walk *w, struct slx_block *b, const struct slx_codec_choice *c, slx_fault_fn fn, void *arg, silex_error *err)
{
	*w = (struct walk){ .b = b, .codecs = c, .lines = { .fn = fn, .arg = arg } };
	slx_buf_init(&w->labels, b->mem, SLX_MEM_QUERY, SIZE_MAX);
	slx_buf_init(&w->text, b->mem, SLX_MEM_QUERY, SIZE_MAX);
	slx_buf_init(&w->values, b->mem, SLX_MEM_QUERY, SIZE_MAX);
	return slx_chunk_work_new(b->mem, SLX_MEM_QUERY, &w->work, err);
}

static void walk_end(struct walk *w)
{
	slx_chunk_work_free(w->work);
	slx_buf_free(&w->labels);
	slx_buf_free(&w->text);
	slx_buf_free(&w->values);
	slx_free(w->b->mem, SLX_MEM_QUERY, w->ts, SLX_CHUNK_MAX * sizeof *w->ts);
	slx_free(w->b->mem, SLX_MEM_QUERY, w->bits, SLX_CHUNK_MAX * sizeof *w->bits);
}

/* The labels of a series into w->labels and, as terminated text, w->text. */
static silex_status name_series(struct walk *w, const struct slx_section *s, uint32_t ordinal, silex_error *err)
{
	slx_buf_reset(&w->labels);
	slx_buf_reset(&w->text);
	slx_labelindex_labels(slx_section_labels(s), ordinal, &w->labels);
	if (!w->labels.failed)
		slx_labels_format((struct slx_labels){ w->labels.p, w->labels.n }, &w->text);
	slx_buf_u8(&w->text, 0);
	return w->labels.failed || w->text.failed ? slx_err_oom(err) : SILEX_OK;
}

/* ---- verify ---- */

/* Faults of the bytes are told and passed over; what says nothing about them (no memory, no such file) ends the walk. */
static bool is_fault(silex_status st) { return st == SILEX_CORRUPT || st == SILEX_UNSUPPORTED; }

static silex_status verify_chunk(struct walk *w, const struct slx_section *s, uint32_t chunk, silex_error *err)
{
	struct slx_chunk_meta meta;
	struct slx_payload payload;
	slx_section_meta(s, chunk, &meta);
	SLX_TRY(slx_section_load(s, chunk, &payload, err));
	silex_status st = slx_chunk_check(w->work, w->codecs, &meta, payload.bytes, err);
	slx_payload_release(&payload);
	if (st == SILEX_OK)
		w->points += meta.n;
	return st;
}

static silex_status verify_series(struct walk *w, const struct slx_section *s, uint32_t ordinal, silex_error *err)
{
	const char *block = w->b->info.name;
	SLX_TRY(name_series(w, s, ordinal, err));
	struct slx_str tenant = slx_block_section_tenant(w->b, s->number);
	if (!slx_hash128_eq(
			slx_series_id(tenant, (struct slx_labels){ w->labels.p, w->labels.n }), slx_section_id(s, ordinal)))
		say(&w->lines, "block %s: section %u: series %u %s: its identity is not that of its labels", block, s->number,
			ordinal, (const char *)w->text.p);
	uint32_t first, n;
	slx_section_chunks(s, ordinal, &first, &n);
	for (uint32_t k = first; k < first + n && !w->lines.stopped; k++) {
		silex_error why;
		silex_status st = verify_chunk(w, s, k, &why);
		if (is_fault(st))
			say(&w->lines, "block %s: section %u: chunk %u of %s: %s", block, s->number, k, (const char *)w->text.p,
				why.message);
		else if (st != SILEX_OK)
			return slx_err(err, st, "%s", why.message);
	}
	return SILEX_OK;
}

static silex_status verify_section(struct walk *w, size_t number, uint64_t *pages, silex_error *err)
{
	struct slx_section *s;
	silex_error why;
	silex_status st = slx_section_open(w->b, number, &s, &why);
	if (is_fault(st)) {
		struct slx_str tenant = slx_block_section_tenant(w->b, number);
		say(&w->lines, "%s (section %zu of tenant %.*s, %u series, cannot be read)", why.message, number, (int)tenant.n,
			tenant.p, w->b->entries[number].series);
		return SILEX_OK;
	}
	if (st != SILEX_OK)
		return slx_err(err, st, "%s", why.message);
	*pages += s->pages;
	for (uint32_t i = 0; i < s->series && st == SILEX_OK && !w->lines.stopped; i++)
		st = verify_series(w, s, i, err);
	slx_section_close(s);
	return st;
}

/* Pages of a stream that takes so many bytes of the file. */
static uint64_t stream_pages(uint64_t file_size)
{
	return (file_size + SLX_ENVELOPE_SIZE + SLX_PAGE_DATA - 1) / (SLX_ENVELOPE_SIZE + SLX_PAGE_DATA);
}

/* The header page, and footer and directory once more: opening has read them, perhaps long ago. */
static silex_status verify_frame(struct walk *w, silex_error *err)
{
	struct slx_block *b = w->b, *again;
	uint8_t header[SLX_BLOCK_HEADER_SIZE];
	silex_error why;
	silex_status st =
		slx_block_read_page(b, 0, SLX_PAGE_HEADER, SLX_BLOCK_HEADER_SIZE - SLX_ENVELOPE_SIZE, header, &why);
	if (st == SILEX_OK) {
		const uint8_t *data = header + SLX_ENVELOPE_SIZE;
		if (memcmp(data, SLX_BLOCK_MAGIC, 8) != 0 || slx_load32(data + 8) != SLX_BLOCK_FORMAT ||
			slx_load64(data + 12) != b->id)
			say(&w->lines, "block %s: its header page is that of another file", b->info.name);
		st = slx_block_open(b->store, b->info.name, b->cache, b->mem, &again, &why);
	}
	if (st == SILEX_OK)
		slx_block_unref(again);
	else if (is_fault(st))
		say(&w->lines, "%s", why.message);
	else
		return slx_err(err, st, "%s", why.message);
	return SILEX_OK;
}

silex_status slx_block_verify(struct slx_block *b, const struct slx_codec_choice *c, slx_fault_fn fault, void *arg,
	uint64_t *ret_pages, uint64_t *ret_points, silex_error *err)
{
	struct walk w;
	uint64_t pages = 2 + stream_pages(b->info.size - SLX_BLOCK_FOOTER_SIZE - b->directory);
	silex_status st = walk_begin(&w, b, c, fault, arg, err);
	slx_cache_drop_object(b->cache, b->object);
	if (st == SILEX_OK)
		st = verify_frame(&w, err);
	for (size_t i = 0; i < b->info.sections && st == SILEX_OK && !w.lines.stopped; i++) {
		pages += stream_pages(slx_stream_file_size(b->entries[i].index_size));
		st = verify_section(&w, i, &pages, err);
	}
	if (st == SILEX_OK && !w.lines.n && w.points != b->info.points)
		say(&w.lines, "block %s: its directory says %" PRIu64 " points, its chunks hold %" PRIu64, b->info.name,
			b->info.points, w.points);
	walk_end(&w);
	if (st != SILEX_OK)
		return st;
	*ret_pages = pages;
	*ret_points = w.points;
	return SILEX_OK;
}

/* ---- inspect ---- */

static void inspect_info(struct walk *w)
{
	const struct slx_block_info *f = &w->b->info;
	struct span_text t = span_text(f->tmin, f->tmax);
	char start[SLX_TIME_TEXT_SIZE];
	slx_time_format(f->window_start, start);
	say(&w->lines, "block %s: format %d, %" PRIu64 " bytes, %.3f bytes/point", f->name, SLX_BLOCK_FORMAT, f->size,
		(double)f->size / (double)f->points);
	say(&w->lines, "  level %u, window from %s, samples from %s to %s", f->level,
		f->window_start == SLX_TIME_MIN ? "the beginning" : start, t.from, t.to);
	say(&w->lines, "  %" PRIu64 " points, %" PRIu64 " chunks, %" PRIu64 " series, %" PRIu64 " sections", f->points,
		f->chunks, f->series, f->sections);
	say(&w->lines, "  versions %" PRIu64 " to %" PRIu64 ", tombstones applied up to %" PRIu64, f->vmin, f->vmax,
		f->floor);
}

static void inspect_entry(struct walk *w, size_t number)
{
	const struct slx_block_entry *e = &w->b->entries[number];
	struct slx_str tenant = slx_block_section_tenant(w->b, number);
	struct span_text t = span_text(e->tmin, e->tmax);
	say(&w->lines,
		"section %zu: tenant %.*s, %u series, %u chunks, %s to %s, at offset %" PRIu64 ": %" PRIu64
		" bytes of pages, index %u bytes",
		number, (int)tenant.n, tenant.p, e->series, e->chunks, t.from, t.to, e->offset, e->payload_size, e->index_size);
}

/* The shortest decimal text that reads back as the same double. */
static void format_double(double v, char to[32])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(to, 32, "%.*g", digits, v);
		double back;
		if (sscanf(to, "%lf", &back) == 1 && back == v)
			return;
	}
}

static void format_value(enum slx_kind kind, uint64_t bits, char to[32])
{
	if (kind == SLX_KIND_FLOAT64)
		format_double(slx_bits_f64(bits), to);
	else if (slx_kind_is_bytes(kind))
		snprintf(to, 32, "%zu bytes", slx_value_bytes(bits).n);
	else
		snprintf(to, 32, "%" PRId64, (int64_t)bits);
}

static void inspect_stats(struct walk *w, const struct slx_chunk_meta *m)
{
	char first[32], last[32], min[32], max[32], sum[32], increase[32];
	const struct slx_stats *s = &m->stats;
	format_double(s->first, first);
	format_double(s->last, last);
	format_double(s->min, min);
	format_double(s->max, max);
	format_double(s->sum + s->comp, sum);
	format_double(s->increase, increase);
	say(&w->lines, "    count %u, first %s, last %s, min %s, max %s, sum %s, increase %s, resets %u%s%s", s->count,
		first, last, min, max, sum, increase, s->resets, m->flags & SLX_CHUNK_HAS_NAN ? ", has NaN" : "",
		m->flags & SLX_CHUNK_INEXACT ? ", inexact" : "");
}

static void inspect_samples(struct walk *w, const struct slx_chunk_meta *m, size_t n)
{
	for (size_t i = 0; i < n && !w->lines.stopped; i++) {
		char time[SLX_TIME_TEXT_SIZE], value[32];
		slx_time_format(w->ts[i], time);
		format_value(m->kind, w->bits[i], value);
		say(&w->lines, "      %s %s", time, value);
	}
}

static silex_status inspect_chunk(
	struct walk *w, const struct slx_section *s, uint32_t chunk, int depth, silex_error *err)
{
	struct slx_chunk_meta m;
	struct slx_payload payload;
	char codec[64];
	size_t n = 0;
	slx_section_meta(s, chunk, &m);
	SLX_TRY(slx_section_load(s, chunk, &payload, err));
	slx_chunk_describe(w->work, w->codecs, &m, payload.bytes, codec, sizeof codec);
	silex_status st = SILEX_OK;
	if (depth >= 3)
		st = slx_chunk_decode(w->work, w->codecs, &m, payload.bytes, SLX_TIME_ALL, w->ts, w->bits, &w->values, &n, err);
	slx_payload_release(&payload);
	struct span_text t = span_text(m.tmin, m.tmax);
	say(&w->lines, "  chunk %u: %s, %s, %u samples, %s to %s, %u bytes", chunk, slx_kind_name(m.kind), codec, m.n,
		t.from, t.to, m.size);
	if (!slx_kind_is_bytes(m.kind))
		inspect_stats(w, &m);
	if (st == SILEX_OK)
		inspect_samples(w, &m, n);
	return st;
}

static silex_status inspect_section(struct walk *w, size_t number, int depth, silex_error *err)
{
	struct slx_section *s;
	SLX_TRY(slx_section_open(w->b, number, &s, err));
	silex_status st = SILEX_OK;
	for (uint32_t i = 0; i < s->series && st == SILEX_OK && !w->lines.stopped; i++) {
		st = name_series(w, s, i, err);
		if (st != SILEX_OK)
			break;
		struct slx_hash128 id = slx_section_id(s, i);
		say(&w->lines, " series %u: %s (%016" PRIx64 "%016" PRIx64 ")", i, (const char *)w->text.p, id.hi, id.lo);
		uint32_t first, n;
		slx_section_chunks(s, i, &first, &n);
		for (uint32_t k = first; k < first + n && !w->lines.stopped; k++) {
			silex_error why;
			st = inspect_chunk(w, s, k, depth, &why);
			if (is_fault(st)) {
				say(&w->lines, "  chunk %u: %s", k, why.message);
				st = SILEX_OK;
			} else if (st != SILEX_OK) {
				slx_err(err, st, "%s", why.message);
				break;
			}
		}
	}
	slx_section_close(s);
	return st;
}

silex_status slx_block_inspect(
	struct slx_block *b, const struct slx_codec_choice *c, int depth, slx_fault_fn line, void *arg, silex_error *err)
{
	struct walk w;
	silex_status st = walk_begin(&w, b, c, line, arg, err);
	if (st == SILEX_OK && depth >= 3) {
		w.ts = slx_alloc(b->mem, SLX_MEM_QUERY, SLX_CHUNK_MAX * sizeof *w.ts);
		w.bits = slx_alloc(b->mem, SLX_MEM_QUERY, SLX_CHUNK_MAX * sizeof *w.bits);
		st = w.ts && w.bits ? SILEX_OK : slx_err_oom(err);
	}
	if (st == SILEX_OK)
		inspect_info(&w);
	for (size_t i = 0; depth >= 1 && i < b->info.sections && st == SILEX_OK && !w.lines.stopped; i++) {
		inspect_entry(&w, i);
		silex_error why;
		st = depth >= 2 ? inspect_section(&w, i, depth, &why) : SILEX_OK;
		if (is_fault(st)) {
			say(&w.lines, " %s", why.message);
			st = SILEX_OK;
		} else if (st != SILEX_OK) {
			slx_err(err, st, "%s", why.message);
		}
	}
	walk_end(&w);
	return st;
}
