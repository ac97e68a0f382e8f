/* A section's index in memory, and the chunks behind it.
 *
 * The index stream is parsed into plain arrays, one value a chunk, checked wholly: after that every number in them may be
 * trusted (chunks ascend within their series, places lie within pages of the section, counts fit). Columns that are zero
 * throughout, which is usual for comp and resets, share one array of zeros. What remains of the stream is the label
 * index, which is asked in place.
 *
 * Cache items of a block's object: 2 * section + 1 for the parsed index, 2 * offset for a page. A page in the cache has
 * been checked when it was read. */
#include "storage/tsdb/block_column.h"
#include "storage/tsdb/block_int.h"

#include <inttypes.h>

struct page {
	size_t size;     /* bytes of data */
	uint8_t bytes[]; /* envelope, data */
};

/* ---- parsing ---- */

struct parts {
	struct slx_rd labels, series, chunks;
};

struct parser {
	struct slx_block *b;
	const struct slx_block_entry *e;
	struct slx_section *s;
	struct slx_rd columns[SLX_COLUMNS];
	int64_t *scratch; /* one column */
};

static silex_status split_stream(
	const struct slx_block *b, size_t number, const uint8_t *stream, struct parts *ret, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(stream, b->entries[number].index_size), part;
	uint64_t tag;
	*ret = (struct parts){ 0 };
	while (slx_part_next(&rd, &tag, &part)) {
		if (tag == SLX_INDEX_LABELS)
			ret->labels = part;
		else if (tag == SLX_INDEX_SERIES)
			ret->series = part;
		else if (tag == SLX_INDEX_CHUNKS)
			ret->chunks = part;
		else if (tag % 2)
			return slx_err(err, SILEX_UNSUPPORTED,
				"block %s: index part %" PRIu64 " of section %zu is of a newer version than format %d", b->info.name,
				tag, number, SLX_BLOCK_FORMAT);
	}
	if (rd.bad || !ret->labels.p || !ret->series.p || !ret->chunks.p)
		return slx_err(err, SILEX_CORRUPT, "a part is cut short or missing");
	return SILEX_OK;
}

/* Arrays in one allocation, each on 8 bytes. With base NULL only their size is counted. */
struct layout {
	uint8_t *base;
	size_t at;
};

static void *take(struct layout *l, size_t n)
{
	size_t at = l->at;
	l->at += (n + 7) & ~(size_t)7;
	return l->base ? l->base + at : NULL;
}

static size_t lay_out(struct parser *q, uint8_t *base)
{
	struct slx_section *s = q->s;
	struct slx_section_columns *c = &s->columns;
	struct layout l = { .base = base };
	size_t n = c->n;
	const struct slx_rd *nans = &q->columns[SLX_COLUMN_NANS], *resets = &q->columns[SLX_COLUMN_RESETS];
	void *zeros = take(&l, n * 8);
	s->ids = take(&l, s->series * sizeof *s->ids);
	s->first = take(&l, (s->series + 1) * sizeof *s->first);
	c->tmin = take(&l, n * 8);
	c->tmax = take(&l, n * 8);
	s->place = take(&l, n * 8);
	c->samples = take(&l, n * 4);
	s->size = take(&l, n * 4);
	c->kind = take(&l, n);
	s->codec = take(&l, n);
	c->flags = take(&l, n);
	c->count = slx_column_zero_i64(nans->p, slx_rd_left(nans)) ? c->samples : take(&l, n * 4);
	s->resets = slx_column_zero_i64(resets->p, slx_rd_left(resets)) ? zeros : take(&l, n * 4);
	const double **doubles[] = { &c->first, &c->last, &c->min, &c->max, &c->sum, &c->comp, &c->increase };
	for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
		const struct slx_rd *column = &q->columns[SLX_COLUMN_FIRST + i];
		*doubles[i] = slx_column_zero_f64(column->p, slx_rd_left(column)) ? zeros : take(&l, n * 8);
	}
	return l.at;
}

static silex_status parse_series(struct parser *q, struct slx_rd rd, silex_error *err)
{
	struct slx_section *s = q->s;
	size_t ids_size = s->series * sizeof *s->ids;
	const uint8_t *ids = slx_rd_bytes(&rd, ids_size);
	if (!ids)
		return slx_err(err, SILEX_CORRUPT, "the series are cut short");
	memcpy((void *)s->ids, ids, ids_size);
	SLX_TRY(slx_column_get_i64(rd.p, slx_rd_left(&rd), q->scratch, s->series, err));
	uint32_t *first = (uint32_t *)s->first, at = 0;
	for (uint32_t i = 0; i < s->series; i++) {
		first[i] = at;
		if (q->scratch[i] < 1 || q->scratch[i] > s->columns.n - at)
			return slx_err(err, SILEX_CORRUPT, "the series have other chunks than the section");
		at += (uint32_t)q->scratch[i];
	}
	first[s->series] = at;
	if (at != s->columns.n)
		return slx_err(err, SILEX_CORRUPT, "the series have other chunks than the section");
	return SILEX_OK;
}

/* Decodes an integer column into `to`, whose elements have `width` bytes, with each value in [min, max]. */
static silex_status get_ints(struct parser *q, enum slx_chunk_column column, int64_t min, int64_t max, const void *to,
	size_t width, silex_error *err)
{
	const struct slx_rd *rd = &q->columns[column];
	size_t n = q->s->columns.n;
	SLX_TRY(slx_column_get_i64(rd->p, slx_rd_left(rd), q->scratch, n, err));
	for (size_t i = 0; i < n; i++) {
		if (q->scratch[i] < min || q->scratch[i] > max)
			return slx_err(err, SILEX_CORRUPT, "a chunk header has a number out of its range");
		if (width == 1)
			((uint8_t *)to)[i] = (uint8_t)q->scratch[i];
		else
			((uint32_t *)to)[i] = (uint32_t)q->scratch[i];
	}
	return SILEX_OK;
}

static silex_status parse_ints(struct parser *q, silex_error *err)
{
	struct slx_section *s = q->s;
	struct slx_section_columns *c = &s->columns;
	SLX_TRY(get_ints(q, SLX_COLUMN_SAMPLES, 1, SLX_CHUNK_MAX, c->samples, 4, err));
	SLX_TRY(get_ints(q, SLX_COLUMN_SIZE, 1, SLX_CHUNK_SIZE_MAX, s->size, 4, err));
	SLX_TRY(get_ints(q, SLX_COLUMN_KIND, 0, UINT8_MAX, c->kind, 1, err));
	SLX_TRY(get_ints(q, SLX_COLUMN_CODEC, 0, UINT8_MAX, s->codec, 1, err));
	SLX_TRY(get_ints(q, SLX_COLUMN_FLAGS, 0, UINT8_MAX, c->flags, 1, err));
	SLX_TRY(get_ints(q, SLX_COLUMN_RESETS, 0, SLX_CHUNK_MAX, s->resets, 4, err));
	if (c->count == c->samples)
		return SILEX_OK;
	SLX_TRY(get_ints(q, SLX_COLUMN_NANS, 0, SLX_CHUNK_MAX, c->count, 4, err));
	uint32_t *count = (uint32_t *)c->count;
	for (size_t i = 0; i < c->n; i++) {
		if (count[i] > c->samples[i])
			return slx_err(err, SILEX_CORRUPT, "a chunk header has more NaN samples than samples");
		count[i] = c->samples[i] - count[i];
	}
	return SILEX_OK;
}

static silex_status parse_doubles(struct parser *q, silex_error *err)
{
	const struct slx_section_columns *c = &q->s->columns;
	const double *const doubles[] = { c->first, c->last, c->min, c->max, c->sum, c->comp, c->increase };
	for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
		const struct slx_rd *rd = &q->columns[SLX_COLUMN_FIRST + i];
		SLX_TRY(slx_column_get_f64(rd->p, slx_rd_left(rd), (double *)doubles[i], c->n, err));
	}
	return SILEX_OK;
}

/* tmin and tmax from gaps and spans. */
static silex_status parse_times(struct parser *q, silex_error *err)
{
	struct slx_section *s = q->s;
	struct slx_section_columns *c = &s->columns;
	int64_t *tmin = (int64_t *)c->tmin, *tmax = (int64_t *)c->tmax;
	const struct slx_rd *gap = &q->columns[SLX_COLUMN_GAP], *span = &q->columns[SLX_COLUMN_SPAN];
	SLX_TRY(slx_column_get_i64(gap->p, slx_rd_left(gap), tmin, c->n, err));
	SLX_TRY(slx_column_get_i64(span->p, slx_rd_left(span), tmax, c->n, err));
	bool ok = true;
	for (uint32_t i = 0; i < s->series; i++) {
		for (uint32_t k = s->first[i]; k < s->first[i + 1]; k++) {
			bool begins = k == s->first[i];
			int64_t from = begins ? q->e->tmin : tmax[k - 1];
			tmin[k] = (int64_t)((uint64_t)from + (uint64_t)tmin[k]);
			tmax[k] = (int64_t)((uint64_t)tmin[k] + (uint64_t)tmax[k]);
			ok = ok && (begins ? tmin[k] >= from : tmin[k] > from) && tmax[k] >= tmin[k] && tmax[k] <= q->e->tmax;
			ok = ok && (uint64_t)tmax[k] - (uint64_t)tmin[k] >= c->samples[k] - 1;
		}
	}
	return ok ? SILEX_OK : slx_err(err, SILEX_CORRUPT, "the times of its chunks do not ascend within the section's");
}

/* Where chunks and pages lie follows from the sizes of the chunks. */
static silex_status place_chunks(struct parser *q, silex_error *err)
{
	struct slx_section *s = q->s;
	uint64_t *place = (uint64_t *)s->place;
	struct slx_packing k = { 0 };
	uint64_t total = 0;
	for (uint32_t i = 0; i < s->columns.n; i++) {
		slx_packing_begin(&k, s->size[i]);
		total += s->size[i];
		place[i] = (uint64_t)k.page << 16 | k.used;
		uint64_t end = (uint64_t)k.used + s->size[i] - 1;
		k.page += (uint32_t)(end / SLX_PAGE_DATA);
		k.used = (uint32_t)(end % SLX_PAGE_DATA) + 1;
	}
	if (total > q->e->payload_size)
		return slx_err(err, SILEX_CORRUPT, "its chunks are larger than its payload");
	s->pages = k.page + 1;
	s->page_at = slx_alloc(q->b->mem, SLX_MEM_CACHE, (s->pages + (size_t)1) * sizeof *s->page_at);
	if (!s->page_at)
		return slx_err_oom(err);
	uint64_t at = q->e->offset;
	k = (struct slx_packing){ 0 };
	s->page_at[0] = at;
	for (uint32_t i = 0; i < s->columns.n; i++) {
		uint32_t used = k.used;
		if (slx_packing_begin(&k, s->size[i]))
			s->page_at[k.page] = at += SLX_ENVELOPE_SIZE + used;
		for (uint64_t end = (uint64_t)k.used + s->size[i];; end -= SLX_PAGE_DATA) {
			k.used = (uint32_t)end;
			if (end <= SLX_PAGE_DATA)
				break;
			s->page_at[++k.page] = at += SLX_ENVELOPE_SIZE + SLX_PAGE_DATA;
		}
	}
	s->page_at[s->pages] = at += SLX_ENVELOPE_SIZE + k.used;
	if (at - q->e->offset != q->e->payload_size)
		return slx_err(err, SILEX_CORRUPT, "the sizes of its chunks differ from its payload's");
	return SILEX_OK;
}

static silex_status parse_columns(struct parser *q, const struct parts *parts, silex_error *err)
{
	struct slx_section *s = q->s;
	struct slx_rd rd = parts->chunks;
	for (size_t i = 0; i < SLX_COLUMNS; i++) {
		uint64_t size = slx_rd_varint(&rd);
		const uint8_t *p = slx_rd_bytes(&rd, size);
		if (!p)
			return slx_err(err, SILEX_CORRUPT, "the chunk headers are cut short");
		q->columns[i] = slx_rd_init(p, size);
	}
	if (rd.p != rd.end)
		return slx_err(err, SILEX_CORRUPT, "bytes follow the chunk headers");
	s->columns_size = lay_out(q, NULL);
	s->columns_memory = slx_alloc(q->b->mem, SLX_MEM_CACHE, s->columns_size);
	if (!s->columns_memory)
		return slx_err_oom(err);
	lay_out(q, s->columns_memory);
	SLX_TRY(parse_series(q, parts->series, err));
	SLX_TRY(parse_ints(q, err));
	SLX_TRY(parse_doubles(q, err));
	SLX_TRY(parse_times(q, err));
	return place_chunks(q, err);
}

/* Keeps of the stream what ends with the label index, and opens that. */
static silex_status parse_labels(struct parser *q, const struct parts *parts, silex_error *err)
{
	struct slx_section *s = q->s;
	size_t begin = (size_t)(parts->labels.p - s->label_bytes), size = slx_rd_left(&parts->labels);
	uint8_t *shrunk = slx_realloc(q->b->mem, SLX_MEM_CACHE, s->label_bytes, s->label_bytes_size, begin + size);
	if (!shrunk)
		return slx_err_oom(err);
	s->label_bytes = shrunk;
	s->label_bytes_size = begin + size;
	SLX_TRY(slx_labelindex_open(shrunk + begin, size, q->b->mem, SLX_MEM_CACHE, &s->labels, err));
	if (slx_labelindex_count(s->labels) != s->series)
		return slx_err(err, SILEX_CORRUPT, "its labels are of another number of series");
	return SILEX_OK;
}

silex_status slx_section_parse(
	struct slx_block *b, size_t number, uint8_t *stream, size_t cap, struct slx_section **ret, silex_error *err)
{
	const struct slx_block_entry *e = &b->entries[number];
	struct slx_section *s = slx_calloc(b->mem, SLX_MEM_CACHE, sizeof *s);
	if (!s) {
		slx_free(b->mem, SLX_MEM_CACHE, stream, cap);
		return slx_err_oom(err);
	}
	s->block = b;
	s->number = (uint32_t)number;
	s->series = e->series;
	s->columns.n = e->chunks;
	s->label_bytes = stream;
	s->label_bytes_size = cap;
	struct parts parts;
	struct parser q = { .b = b, .e = e, .s = s };
	silex_status st = split_stream(b, number, stream, &parts, err);
	if (st == SILEX_OK && e->payload_size / 2 < e->chunks)
		st = slx_err(err, SILEX_CORRUPT, "more chunks than its payload can hold");
	if (st == SILEX_OK) {
		q.scratch = slx_alloc(b->mem, SLX_MEM_CACHE, e->chunks * sizeof *q.scratch);
		st = q.scratch ? parse_columns(&q, &parts, err) : slx_err_oom(err);
		slx_free(b->mem, SLX_MEM_CACHE, q.scratch, e->chunks * sizeof *q.scratch);
	}
	if (st == SILEX_OK)
		st = parse_labels(&q, &parts, err);
	if (st != SILEX_OK) {
		slx_section_free(s);
		if (st == SILEX_CORRUPT)
			slx_err_wrap(err, "block %s: index of section %zu at offset %" PRIu64, b->info.name, number,
				e->offset + e->payload_size);
		return st;
	}
	*ret = s;
	return SILEX_OK;
}

void slx_section_free(struct slx_section *s)
{
	struct slx_mem *m = s->block->mem;
	slx_labelindex_close(s->labels);
	slx_free(m, SLX_MEM_CACHE, s->label_bytes, s->label_bytes_size);
	slx_free(m, SLX_MEM_CACHE, s->columns_memory, s->columns_size);
	slx_free(m, SLX_MEM_CACHE, s->page_at, (s->pages + (size_t)1) * sizeof *s->page_at);
	slx_free(m, SLX_MEM_CACHE, s, sizeof *s);
}

/* ---- open and close ---- */

static void destroy_section(void *value, struct slx_mem *m) { slx_section_free(value); }

static silex_status read_section(struct slx_block *b, size_t number, struct slx_section **ret, silex_error *err)
{
	const struct slx_block_entry *e = &b->entries[number];
	if (e->key_id)
		return slx_err(err, SILEX_UNSUPPORTED,
			"block %s: section %zu is encrypted with key %u, which this version cannot read", b->info.name, number,
			e->key_id);
	uint8_t *stream;
	SLX_TRY(slx_block_read_stream(b, e->offset + e->payload_size, SLX_PAGE_INDEX, e->index_size, &stream, err));
	return slx_section_parse(b, number, stream, slx_stream_file_size(e->index_size), ret, err);
}

silex_status slx_section_open(struct slx_block *b, size_t section, struct slx_section **ret, silex_error *err)
{
	struct slx_cache_key key = { b->object, 2 * (uint64_t)section + 1 };
	struct slx_cache_entry *pin = slx_cache_get(b->cache, key);
	if (!pin) {
		struct slx_section *s;
		SLX_TRY(read_section(b, section, &s, err));
		size_t bytes = sizeof *s + s->label_bytes_size + s->columns_size + s->pages * sizeof *s->page_at;
		pin = slx_cache_put(b->cache, key, s, bytes, destroy_section);
		if (!pin)
			return slx_err_oom(err);
	}
	struct slx_section *s = slx_cache_value(pin);
	atomic_store_explicit(&s->pin, pin, memory_order_relaxed);
	slx_block_ref(b);
	*ret = s;
	return SILEX_OK;
}

void slx_section_close(struct slx_section *s)
{
	if (!s)
		return;
	struct slx_block *b = s->block;
	slx_cache_unpin(b->cache, atomic_load_explicit(&s->pin, memory_order_relaxed));
	slx_block_unref(b);
}

/* ---- questions ---- */

struct slx_block *slx_section_block(const struct slx_section *s) { return s->block; }
const struct slx_labelindex *slx_section_labels(const struct slx_section *s) { return s->labels; }
uint32_t slx_section_series(const struct slx_section *s) { return s->series; }
struct slx_hash128 slx_section_id(const struct slx_section *s, uint32_t ordinal) { return s->ids[ordinal]; }
void slx_section_columns(const struct slx_section *s, struct slx_section_columns *ret) { *ret = s->columns; }

void slx_section_chunks(const struct slx_section *s, uint32_t ordinal, uint32_t *ret_first, uint32_t *ret_n)
{
	*ret_first = s->first[ordinal];
	*ret_n = s->first[ordinal + 1] - s->first[ordinal];
}

void slx_section_meta(const struct slx_section *s, uint32_t chunk, struct slx_chunk_meta *ret)
{
	const struct slx_section_columns *c = &s->columns;
	*ret = (struct slx_chunk_meta){
		.tmin = c->tmin[chunk], .tmax = c->tmax[chunk], .n = c->samples[chunk], .size = s->size[chunk],
		.kind = c->kind[chunk], .codec = s->codec[chunk], .flags = c->flags[chunk],
		.stats = {
			.count = c->count[chunk], .resets = s->resets[chunk], .first = c->first[chunk], .last = c->last[chunk],
			.min = c->min[chunk], .max = c->max[chunk], .sum = c->sum[chunk], .comp = c->comp[chunk],
			.increase = c->increase[chunk],
		},
	};
}

/* ---- payload ---- */

static void destroy_page(void *value, struct slx_mem *m)
{
	struct page *p = value;
	slx_free(m, SLX_MEM_CACHE, p, sizeof *p + SLX_ENVELOPE_SIZE + p->size);
}

/* A payload page of the section, pinned. */
static silex_status get_page(
	const struct slx_section *s, uint32_t number, struct slx_cache_entry **ret, silex_error *err)
{
	struct slx_block *b = s->block;
	uint64_t offset = s->page_at[number];
	struct slx_cache_key key = { b->object, 2 * offset };
	struct slx_cache_entry *pin = slx_cache_get(b->cache, key);
	if (!pin) {
		size_t size = (size_t)(s->page_at[number + 1] - offset - SLX_ENVELOPE_SIZE),
			   total = sizeof(struct page) + SLX_ENVELOPE_SIZE + size;
		struct page *p = slx_alloc(b->mem, SLX_MEM_CACHE, total);
		if (!p)
			return slx_err_oom(err);
		p->size = size;
		silex_status st = slx_block_read_page(b, offset, SLX_PAGE_PAYLOAD, size, p->bytes, err);
		if (st != SILEX_OK) {
			destroy_page(p, b->mem);
			return st;
		}
		pin = slx_cache_put(b->cache, key, p, total, destroy_page);
		if (!pin)
			return slx_err_oom(err);
	}
	*ret = pin;
	return SILEX_OK;
}

/* A chunk that spans pages, put together. */
static silex_status copy_chunk(
	const struct slx_section *s, uint32_t page, size_t offset, struct slx_payload *to, silex_error *err)
{
	for (size_t done = 0; done < to->copy_size; page++, offset = 0) {
		struct slx_cache_entry *pin;
		SLX_TRY(get_page(s, page, &pin, err));
		const struct page *p = slx_cache_value(pin);
		size_t n = p->size - offset;
		n = n < to->copy_size - done ? n : to->copy_size - done;
		memcpy(to->copy + done, p->bytes + SLX_ENVELOPE_SIZE + offset, n);
		done += n;
		slx_cache_unpin(s->block->cache, pin);
	}
	return SILEX_OK;
}

silex_status slx_section_load(const struct slx_section *s, uint32_t chunk, struct slx_payload *ret, silex_error *err)
{
	struct slx_block *b = s->block;
	uint32_t page = (uint32_t)(s->place[chunk] >> 16);
	size_t offset = s->place[chunk] & 0xffff, size = s->size[chunk];
	struct slx_payload p = { .cache = b->cache, .mem = b->mem };
	if (offset + size <= SLX_PAGE_DATA) {
		SLX_TRY(get_page(s, page, &p.pinned, err));
		p.bytes = ((const struct page *)slx_cache_value(p.pinned))->bytes + SLX_ENVELOPE_SIZE + offset;
	} else {
		p.copy_size = size;
		p.copy = slx_alloc(b->mem, SLX_MEM_QUERY, size);
		if (!p.copy)
			return slx_err_oom(err);
		silex_status st = copy_chunk(s, page, offset, &p, err);
		if (st != SILEX_OK) {
			slx_payload_release(&p);
			return st;
		}
		p.bytes = p.copy;
	}
	*ret = p;
	return SILEX_OK;
}

void slx_payload_release(struct slx_payload *p)
{
	if (p->pinned)
		slx_cache_unpin(p->cache, p->pinned);
	if (p->copy)
		slx_free(p->mem, SLX_MEM_QUERY, p->copy, p->copy_size);
	*p = (struct slx_payload){ 0 };
}
