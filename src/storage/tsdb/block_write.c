/* Writing a block (docs/format/block.md; layout in block_int.h).
 *
 * Chunks go through one page buffer to the store as they come. Of the section under way its labels (in the label
 * index's builder), identities and chunk headers are kept until it ends: at another tenant, at SLX_SECTION_SERIES_MAX
 * series, or when its parsed index would take more than INDEX_BYTES of memory. Then its index pages follow its payload
 * and a line goes to the directory, which is kept until the end. A series begins with its first chunk: one without any
 * leaves no trace, and a block without any is never begun in the store.
 *
 * What may fail: the store (no space, I/O) and memory. After an error only slx_block_writer_free is left, which aborts
 * the object: the store shows nothing of it. */
#include "storage/tsdb/block_column.h"
#include "storage/tsdb/block_int.h"

#include <stdio.h>

enum {
	INDEX_BYTES = 4 << 20,
	SERIES_BYTES = 40, /* an estimate of what a parsed series takes beside its labels, and a chunk */
	CHUNK_BYTES = 100,
	BUF_MAX = SLX_BLOCK_STREAM_MAX,
};

struct series_name {
	struct slx_buf labels;
	char tenant[SLX_TENANT_STORED_MAX];
	uint8_t tenant_size;
	struct slx_hash128 id;
};

struct slx_block_writer {
	struct slx_store *store;
	struct slx_mem *mem;
	struct slx_store_writer *out; /* NULL until the first chunk */
	struct slx_block_info info;
	uint8_t id[16];

	struct series_name *series; /* begun by the caller; NULL before the first */
	struct series_name *before; /* the last one that has chunks; NULL before the first */
	struct series_name names[2];
	bool series_open; /* `series` has chunks */

	/* The section under way; empty between sections. */
	struct slx_labelindex_builder *labels;
	struct slx_buf ids;    /* struct slx_hash128 */
	struct slx_buf counts; /* int64_t: chunks of each series */
	struct slx_buf metas;  /* struct slx_chunk_meta */
	uint64_t section_offset;
	uint64_t section_points;
	int64_t section_tmin, section_tmax;
	size_t index_estimate;
	struct slx_packing packing;
	uint8_t page[SLX_PAGE_DATA];

	struct slx_buf index;        /* stream of a section, then of the directory */
	struct slx_buf part;         /* scratch: one part of it */
	struct slx_buf column;       /* scratch: one column of it */
	struct slx_buf directory;    /* the SECTIONS part so far */
	struct slx_block_entry last; /* directory line before; its name is in last_tenant */
	char last_tenant[SLX_TENANT_STORED_MAX];
};

silex_status slx_block_writer_new(struct slx_store *store, struct slx_mem *m, const silex_random *rnd,
	const struct slx_block_info *spec, struct slx_block_writer **ret, silex_error *err)
{
	struct slx_block_writer *w = slx_calloc(m, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	w->store = store;
	w->mem = m;
	w->info = (struct slx_block_info){ .level = spec->level,
		.window_start = spec->window_start,
		.vmin = spec->vmin,
		.vmax = spec->vmax,
		.floor = spec->floor,
		.tmin = INT64_MAX,
		.tmax = INT64_MIN };
	struct slx_buf *bufs[] = { &w->names[0].labels, &w->names[1].labels, &w->ids, &w->counts, &w->metas, &w->index,
		&w->part, &w->column, &w->directory };
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		slx_buf_init(bufs[i], m, SLX_MEM_OTHER, BUF_MAX);
	silex_status st = slx_labelindex_builder_new(m, &w->labels, err);
	if (st != SILEX_OK) {
		slx_block_writer_free(w);
		return st;
	}
	rnd->fill(rnd->ctx, w->id, sizeof w->id);
	int at = snprintf(w->info.name, sizeof w->info.name, "b-");
	for (size_t i = 0; i < sizeof w->id; i++)
		at += snprintf(w->info.name + at, sizeof w->info.name - (size_t)at, "%02x", w->id[i]);
	snprintf(w->info.name + at, sizeof w->info.name - (size_t)at, ".slx");
	*ret = w;
	return SILEX_OK;
}

void slx_block_writer_free(struct slx_block_writer *w)
{
	if (!w)
		return;
	slx_store_abort(w->out);
	slx_labelindex_builder_free(w->labels);
	struct slx_buf *bufs[] = { &w->names[0].labels, &w->names[1].labels, &w->ids, &w->counts, &w->metas, &w->index,
		&w->part, &w->column, &w->directory };
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		slx_buf_free(bufs[i]);
	slx_free(w->mem, SLX_MEM_OTHER, w, sizeof *w);
}

/* ---- pages ---- */

static silex_status put_page(
	struct slx_block_writer *w, enum slx_page_kind kind, const uint8_t *data, size_t n, silex_error *err)
{
	struct slx_envelope e = { .length = (uint32_t)n,
		.kind = (uint8_t)kind,
		.format = SLX_BLOCK_FORMAT,
		.seq = w->out->size,
		.version = slx_load64(w->id) };
	uint8_t header[SLX_ENVELOPE_SIZE];
	slx_envelope_encode(&e, slx_crc32c(0, data, n), header);
	SLX_TRY(slx_store_append(w->out, header, sizeof header, err));
	return slx_store_append(w->out, data, n, err);
}

static silex_status put_stream(
	struct slx_block_writer *w, enum slx_page_kind kind, const struct slx_buf *stream, silex_error *err)
{
	for (size_t at = 0; at < stream->n; at += SLX_PAGE_DATA) {
		size_t n = stream->n - at < SLX_PAGE_DATA ? stream->n - at : SLX_PAGE_DATA;
		SLX_TRY(put_page(w, kind, stream->p + at, n, err));
	}
	return SILEX_OK;
}

/* Moves w->part to the end of the stream w->index. */
static silex_status put_part(struct slx_block_writer *w, uint64_t tag, silex_error *err)
{
	slx_buf_varint(&w->index, tag);
	slx_buf_varint(&w->index, w->part.n);
	slx_buf_put(&w->index, w->part.p, w->part.n);
	bool failed = w->part.failed || w->index.failed;
	slx_buf_reset(&w->part);
	return failed ? slx_err_oom(err) : SILEX_OK;
}

static silex_status close_payload_page(struct slx_block_writer *w, uint32_t used, silex_error *err)
{
	return used ? put_page(w, SLX_PAGE_PAYLOAD, w->page, used, err) : SILEX_OK;
}

static silex_status put_chunk(struct slx_block_writer *w, const uint8_t *bytes, size_t size, silex_error *err)
{
	uint32_t used = w->packing.used;
	if (slx_packing_begin(&w->packing, size))
		SLX_TRY(close_payload_page(w, used, err));
	while (size) {
		if (w->packing.used == SLX_PAGE_DATA) {
			SLX_TRY(close_payload_page(w, SLX_PAGE_DATA, err));
			w->packing = (struct slx_packing){ .page = w->packing.page + 1 };
		}
		size_t n = SLX_PAGE_DATA - w->packing.used;
		n = size < n ? size : n;
		memcpy(w->page + w->packing.used, bytes, n);
		w->packing.used += (uint32_t)n;
		bytes += n;
		size -= n;
	}
	return SILEX_OK;
}

/* ---- a section's index ---- */

static int64_t int_column(enum slx_chunk_column column, const struct slx_chunk_meta *m,
	const struct slx_chunk_meta *before, int64_t section_tmin)
{
	switch (column) {
	case SLX_COLUMN_SAMPLES:
		return m->n;
	case SLX_COLUMN_SIZE:
		return m->size;
	case SLX_COLUMN_GAP:
		return (int64_t)((uint64_t)m->tmin - (uint64_t)(before ? before->tmax : section_tmin));
	case SLX_COLUMN_SPAN:
		return (int64_t)((uint64_t)m->tmax - (uint64_t)m->tmin);
	case SLX_COLUMN_KIND:
		return m->kind;
	case SLX_COLUMN_CODEC:
		return m->codec;
	case SLX_COLUMN_FLAGS:
		return m->flags;
	case SLX_COLUMN_NANS:
		return m->n - m->stats.count;
	default:
		return m->stats.resets;
	}
}

static double double_column(enum slx_chunk_column column, const struct slx_chunk_meta *m)
{
	switch (column) {
	case SLX_COLUMN_FIRST:
		return m->stats.first;
	case SLX_COLUMN_LAST:
		return m->stats.last;
	case SLX_COLUMN_MIN:
		return m->stats.min;
	case SLX_COLUMN_MAX:
		return m->stats.max;
	case SLX_COLUMN_SUM:
		return m->stats.sum;
	case SLX_COLUMN_COMP:
		return m->stats.comp;
	default:
		return m->stats.increase;
	}
}

/* The part with the chunk headers, column by column. `scratch` holds one column's values. */
static void put_chunk_columns(struct slx_block_writer *w, uint64_t *scratch)
{
	const struct slx_chunk_meta *metas = (const void *)w->metas.p;
	const int64_t *counts = (const void *)w->counts.p;
	size_t series = w->counts.n / sizeof *counts;
	for (enum slx_chunk_column column = 0; column < SLX_COLUMNS; column++) {
		size_t n = 0;
		for (size_t s = 0; s < series; s++) {
			for (int64_t k = 0; k < counts[s]; k++, n++) {
				const struct slx_chunk_meta *before = k ? &metas[n - 1] : NULL;
				scratch[n] = column < SLX_COLUMN_FIRST
					? (uint64_t)int_column(column, &metas[n], before, w->section_tmin)
					: slx_f64_bits(double_column(column, &metas[n]));
			}
		}
		slx_buf_reset(&w->column);
		if (column < SLX_COLUMN_FIRST)
			slx_column_put_i64(&w->column, (const int64_t *)scratch, n);
		else
			slx_column_put_f64(&w->column, (const double *)scratch, n);
		slx_buf_varint(&w->part, w->column.n);
		slx_buf_put(&w->part, w->column.p, w->column.n);
		w->part.failed |= w->column.failed;
	}
}

static silex_status build_index(struct slx_block_writer *w, silex_error *err)
{
	slx_buf_reset(&w->index);
	slx_buf_reset(&w->part);
	SLX_TRY(slx_labelindex_builder_finish(w->labels, &w->part, err));
	SLX_TRY(put_part(w, SLX_INDEX_LABELS, err));

	slx_buf_put(&w->part, w->ids.p, w->ids.n);
	slx_column_put_i64(&w->part, (const int64_t *)w->counts.p, w->counts.n / sizeof(int64_t));
	SLX_TRY(put_part(w, SLX_INDEX_SERIES, err));

	size_t chunks = w->metas.n / sizeof(struct slx_chunk_meta);
	uint64_t *scratch = slx_alloc(w->mem, SLX_MEM_OTHER, chunks * sizeof *scratch);
	if (!scratch)
		return slx_err_oom(err);
	put_chunk_columns(w, scratch);
	slx_free(w->mem, SLX_MEM_OTHER, scratch, chunks * sizeof *scratch);
	return put_part(w, SLX_INDEX_CHUNKS, err);
}

/* A line of the directory: the tenant by what differs from the line before, the rest as varints. */
static void put_directory_line(struct slx_block_writer *w, const struct slx_block_entry *e)
{
	const struct series_name *s = w->before;
	size_t shared = 0;
	while (shared < s->tenant_size && shared < w->last.name_size && s->tenant[shared] == w->last_tenant[shared])
		shared++;
	struct slx_buf *d = &w->directory;
	slx_buf_varint(d, shared);
	slx_buf_varint(d, s->tenant_size - shared);
	slx_buf_put(d, s->tenant + shared, s->tenant_size - shared);
	slx_buf_varint(d, e->key_id);
	slx_buf_varint(d, e->payload_size);
	slx_buf_varint(d, e->index_size);
	slx_buf_varint(d, slx_zigzag((int64_t)((uint64_t)e->tmin - (uint64_t)w->last.tmin)));
	slx_buf_varint(d, slx_zigzag((int64_t)((uint64_t)e->tmax - (uint64_t)w->last.tmax)));
	slx_buf_varint(d, e->series);
	slx_buf_varint(d, e->chunks);
	slx_buf_varint(d, w->section_points);
	w->last = *e;
	w->last.name_size = s->tenant_size;
	memcpy(w->last_tenant, s->tenant, s->tenant_size);
}

static silex_status end_section(struct slx_block_writer *w, silex_error *err)
{
	if (!w->metas.n)
		return SILEX_OK;
	SLX_TRY(close_payload_page(w, w->packing.used, err));
	struct slx_block_entry e = {
		.payload_size = w->out->size - w->section_offset,
		.tmin = w->section_tmin,
		.tmax = w->section_tmax,
		.series = (uint32_t)(w->counts.n / sizeof(int64_t)),
		.chunks = (uint32_t)(w->metas.n / sizeof(struct slx_chunk_meta)),
	};
	SLX_TRY(build_index(w, err));
	e.index_size = (uint32_t)w->index.n;
	SLX_TRY(put_stream(w, SLX_PAGE_INDEX, &w->index, err));
	put_directory_line(w, &e);
	if (w->directory.failed)
		return slx_err_oom(err);

	w->info.sections++;
	w->info.series += e.series;
	w->info.chunks += e.chunks;
	w->info.points += w->section_points;
	w->info.tmin = e.tmin < w->info.tmin ? e.tmin : w->info.tmin;
	w->info.tmax = e.tmax > w->info.tmax ? e.tmax : w->info.tmax;
	slx_buf_reset(&w->ids);
	slx_buf_reset(&w->counts);
	slx_buf_reset(&w->metas);
	w->packing = (struct slx_packing){ 0 };
	return SILEX_OK;
}

/* ---- series and chunks ---- */

static int compare_names(const struct series_name *a, struct slx_str tenant, struct slx_labels labels)
{
	int c = slx_str_cmp((struct slx_str){ a->tenant, a->tenant_size }, tenant);
	return c ? c : slx_labels_cmp((struct slx_labels){ a->labels.p, a->labels.n }, labels);
}

silex_status slx_block_writer_series(struct slx_block_writer *w, struct slx_str tenant, struct slx_labels labels,
	struct slx_hash128 id, silex_error *err)
{
	SLX_TRY(slx_tenant_check_stored(tenant, err));
	if (w->series_open) {
		w->before = w->series;
		w->series_open = false;
	}
	if (w->before && compare_names(w->before, tenant, labels) >= 0)
		return slx_err(err, SILEX_INVALID, "series of a block must ascend by tenant and labels");
	w->series = w->before == &w->names[0] ? &w->names[1] : &w->names[0];
	w->series->id = id;
	w->series->tenant_size = (uint8_t)tenant.n;
	memcpy(w->series->tenant, tenant.p, tenant.n);
	slx_buf_reset(&w->series->labels);
	slx_buf_put(&w->series->labels, labels.p, labels.n);
	return w->series->labels.failed ? slx_err_oom(err) : SILEX_OK;
}

static silex_status begin_block(struct slx_block_writer *w, silex_error *err)
{
	SLX_TRY(slx_store_begin(w->store, w->info.name, &w->out, err));
	uint8_t data[SLX_BLOCK_HEADER_SIZE - SLX_ENVELOPE_SIZE];
	memcpy(data, SLX_BLOCK_MAGIC, 8);
	slx_store32(data + 8, SLX_BLOCK_FORMAT);
	memcpy(data + 12, w->id, sizeof w->id);
	return put_page(w, SLX_PAGE_HEADER, data, sizeof data, err);
}

/* The series gets its first chunk: it enters the section, or a new one. */
static silex_status begin_series(struct slx_block_writer *w, silex_error *err)
{
	struct series_name *s = w->series;
	if (!w->out)
		SLX_TRY(begin_block(w, err));
	bool other = w->before &&
		!slx_str_eq((struct slx_str){ s->tenant, s->tenant_size },
			(struct slx_str){ w->before->tenant, w->before->tenant_size });
	if (other || w->counts.n / sizeof(int64_t) >= SLX_SECTION_SERIES_MAX || w->index_estimate >= INDEX_BYTES)
		SLX_TRY(end_section(w, err));
	if (!w->metas.n) {
		w->section_offset = w->out->size;
		w->section_tmin = INT64_MAX;
		w->section_tmax = INT64_MIN;
		w->section_points = 0;
		w->index_estimate = 0;
	}
	SLX_TRY(slx_labelindex_builder_add(w->labels, (struct slx_labels){ s->labels.p, s->labels.n }, err));
	slx_buf_put(&w->ids, &s->id, sizeof s->id);
	int64_t none = 0;
	slx_buf_put(&w->counts, &none, sizeof none);
	w->index_estimate += s->labels.n / 4 + SERIES_BYTES;
	w->series_open = true;
	return w->ids.failed || w->counts.failed ? slx_err_oom(err) : SILEX_OK;
}

silex_status slx_block_writer_chunk(
	struct slx_block_writer *w, const struct slx_chunk_meta *meta, const uint8_t *bytes, silex_error *err)
{
	if (!w->series)
		return slx_err(err, SILEX_INVALID, "a chunk before the first series");
	if (meta->n < 1 || meta->n > SLX_CHUNK_MAX || !meta->size || meta->size > SLX_CHUNK_SIZE_MAX ||
		meta->tmin > meta->tmax)
		return slx_err(
			err, SILEX_INVALID, "a chunk of %u samples in %u bytes cannot go into a block", meta->n, meta->size);
	if (!w->series_open)
		SLX_TRY(begin_series(w, err));
	int64_t *count = (int64_t *)(void *)(w->counts.p + w->counts.n) - 1; /* of this series' chunks */
	const struct slx_chunk_meta *metas = (const void *)w->metas.p;
	if (*count && meta->tmin <= metas[w->metas.n / sizeof *meta - 1].tmax)
		return slx_err(err, SILEX_INVALID, "chunks of a series must ascend without overlap");
	if (w->metas.n / sizeof *meta >= SLX_SECTION_CHUNKS_MAX)
		return slx_err(
			err, SILEX_RESOURCE_EXHAUSTED, "a series of more than %d chunks in one block", SLX_SECTION_CHUNKS_MAX);
	SLX_TRY(put_chunk(w, bytes, meta->size, err));
	slx_buf_put(&w->metas, meta, sizeof *meta);
	if (w->metas.failed)
		return slx_err_oom(err);
	++*count;
	w->section_points += meta->n;
	w->section_tmin = meta->tmin < w->section_tmin ? meta->tmin : w->section_tmin;
	w->section_tmax = meta->tmax > w->section_tmax ? meta->tmax : w->section_tmax;
	w->index_estimate += CHUNK_BYTES;
	return SILEX_OK;
}

/* ---- the tail ---- */

static silex_status build_directory(struct slx_block_writer *w, silex_error *err)
{
	const struct slx_block_info *f = &w->info;
	slx_buf_reset(&w->index);
	slx_buf_reset(&w->part);
	const uint64_t fields[] = { f->level, slx_zigzag(f->window_start), slx_zigzag(f->tmin), slx_zigzag(f->tmax),
		f->vmin, f->vmax, f->floor, f->points, f->chunks, f->series, f->sections };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		slx_buf_varint(&w->part, fields[i]);
	SLX_TRY(put_part(w, SLX_DIRECTORY_INFO, err));
	slx_buf_put(&w->part, w->directory.p, w->directory.n);
	return put_part(w, SLX_DIRECTORY_SECTIONS, err);
}

silex_status slx_block_writer_finish(struct slx_block_writer *w, struct slx_block_info *ret, silex_error *err)
{
	if (!w->out)
		return slx_err(err, SILEX_NOT_FOUND, "empty: no chunk was written to the block");
	if (w->series_open)
		w->before = w->series;
	SLX_TRY(end_section(w, err));
	SLX_TRY(build_directory(w, err));
	uint64_t offset = w->out->size;
	SLX_TRY(put_stream(w, SLX_PAGE_DIRECTORY, &w->index, err));
	uint8_t data[SLX_BLOCK_FOOTER_SIZE - SLX_ENVELOPE_SIZE];
	memcpy(data, SLX_BLOCK_MAGIC, 8);
	slx_store32(data + 8, SLX_BLOCK_FORMAT);
	slx_store64(data + 12, offset);
	slx_store64(data + 20, w->index.n);
	SLX_TRY(put_page(w, SLX_PAGE_FOOTER, data, sizeof data, err));
	w->info.size = w->out->size;
	struct slx_store_writer *out = w->out;
	w->out = NULL; /* commit frees it, whatever comes */
	SLX_TRY(slx_store_commit(out, err));
	*ret = w->info;
	return SILEX_OK;
}
