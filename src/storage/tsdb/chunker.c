/* Cutting a series into cold chunks.
 *
 * Samples gather until there are enough for a full chunk and half of another; then a full one is cut off. So at the end
 * of a series, or where a chunk is going to be copied, what is left can always be shared out into chunks of at least
 * CHUNK_MIN samples, which the next compaction copies: nothing is coded twice at the same level, and no crumbs stay.
 * A cut is moved back to a whole hour where that costs little.
 *
 * Values that are bytes are copied as they gather, since a run's go with the next one, and cut off as soon as there are
 * SLX_BYTES_CHUNK_MAX of them or a megabyte. */
#include "storage/tsdb/chunker.h"

enum {
	CHUNK_MIN = SLX_CHUNK_MAX / 2,
	GATHER_MAX = SLX_CHUNK_MAX + CHUNK_MIN, /* from here on a full chunk is cut off */
	CRUMB = 1024,                           /* fewer gathered samples than this are not closed for a chunk to copy */
	BYTES_CRUMB = 64,                       /* the same of values that are bytes */
	ROOM = GATHER_MAX + SLX_CHUNK_MAX,
	BYTES_CUT = 1 << 20, /* bytes of gathered values from which on they make a chunk */
};

struct slx_chunker {
	struct slx_mem *mem;
	struct slx_codec_choice codecs;
	struct slx_chunk_work *work;
	struct slx_buf bytes; /* the chunk encoded last */

	/* The only run of the series so far, encoded, if it may be copied. */
	struct slx_buf only;
	struct slx_chunk_meta only_meta;
	bool only_valid;

	struct slx_arena values; /* of what is gathered when it is bytes */
	size_t values_size;
	enum slx_kind kind; /* of what is gathered */
	size_t n;
	int64_t ts[ROOM];
	uint64_t bits[ROOM];
};

silex_status slx_chunker_new(
	struct slx_mem *m, const struct slx_codec_choice *c, struct slx_chunker **ret, silex_error *err)
{
	struct slx_chunker *k = slx_alloc(m, SLX_MEM_OTHER, sizeof *k);
	if (!k)
		return slx_err_oom(err);
	k->mem = m;
	k->codecs = *c;
	k->n = 0;
	k->work = NULL;
	k->values_size = 0;
	slx_arena_init(&k->values, m, SLX_MEM_OTHER, 256 << 10);
	slx_buf_init(&k->bytes, m, SLX_MEM_OTHER, SIZE_MAX);
	slx_buf_init(&k->only, m, SLX_MEM_OTHER, SIZE_MAX);
	silex_status st = slx_chunk_work_new(m, SLX_MEM_OTHER, &k->work, err);
	if (st != SILEX_OK) {
		slx_chunker_free(k);
		return st;
	}
	*ret = k;
	return SILEX_OK;
}

void slx_chunker_free(struct slx_chunker *k)
{
	if (!k)
		return;
	slx_chunk_work_free(k->work);
	slx_buf_free(&k->bytes);
	slx_buf_free(&k->only);
	slx_arena_clear(&k->values);
	slx_free(k->mem, SLX_MEM_OTHER, k, sizeof *k);
}

/* How many of the gathered samples the next chunk gets. */
static size_t next_cut(const struct slx_chunker *k)
{
	if (k->n <= SLX_CHUNK_MAX)
		return k->n;
	size_t cut = k->n >= GATHER_MAX ? SLX_CHUNK_MAX : (k->n + 1) / 2;
	size_t least = cut - cut / 8 > CHUNK_MIN ? cut - cut / 8 : CHUNK_MIN;
	int64_t hour = slx_window_start(k->ts[cut], SLX_HOUR, 0);
	for (size_t i = cut; i > least; i--)
		if (k->ts[i - 1] < hour)
			return i;
	return cut;
}

static silex_status put_chunk(struct slx_chunker *k, size_t n, struct slx_block_writer *w, silex_error *err)
{
	struct slx_chunk_meta meta;
	slx_buf_reset(&k->bytes);
	SLX_TRY(slx_chunk_encode_cold(k->work, &k->codecs, k->kind, k->ts, k->bits, n, &k->bytes, &meta, err));
	SLX_TRY(slx_block_writer_chunk(w, &meta, k->bytes.p, err));
	k->n -= n;
	memmove(k->ts, k->ts + n, k->n * sizeof *k->ts);
	memmove(k->bits, k->bits + n, k->n * sizeof *k->bits);
	return SILEX_OK;
}

static silex_status put_all(struct slx_chunker *k, struct slx_block_writer *w, silex_error *err)
{
	while (k->n)
		SLX_TRY(put_chunk(k, next_cut(k), w, err));
	slx_arena_clear(&k->values);
	k->values_size = 0;
	return SILEX_OK;
}

static silex_status gather_bytes(struct slx_chunker *k, const struct slx_run *run, struct slx_block_writer *w, silex_error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		size_t size = slx_value_stored(run->bits[i]);
		if (k->n == SLX_BYTES_CHUNK_MAX || (k->n && k->values_size + size > BYTES_CUT))
			SLX_TRY(put_all(k, w, err));
		void *copy = slx_arena_alloc(&k->values, size, 1);
		if (!copy)
			return slx_err_oom(err);
		memcpy(copy, (const void *)(uintptr_t)run->bits[i], size);
		k->ts[k->n] = run->ts[i];
		k->bits[k->n++] = (uint64_t)(uintptr_t)copy;
		k->values_size += size;
	}
	return SILEX_OK;
}

/* Adds a decoded run to what is gathered. */
static silex_status gather(
	struct slx_chunker *k, const struct slx_run *run, struct slx_block_writer *w, silex_error *err)
{
	if (k->n && k->kind != run->kind)
		SLX_TRY(put_all(k, w, err));
	k->kind = run->kind;
	if (slx_kind_is_bytes(run->kind))
		return gather_bytes(k, run, w, err);
	memcpy(k->ts + k->n, run->ts, run->n * sizeof *k->ts);
	memcpy(k->bits + k->n, run->bits, run->n * sizeof *k->bits);
	k->n += run->n;
	while (k->n >= GATHER_MAX)
		SLX_TRY(put_chunk(k, next_cut(k), w, err));
	return SILEX_OK;
}

static silex_status copy_run(struct slx_chunker *k, struct slx_scan *scan, const struct slx_run *run,
	struct slx_block_writer *w, silex_error *err)
{
	const uint8_t *bytes;
	k->only_valid = false;
	SLX_TRY(put_all(k, w, err));
	SLX_TRY(slx_scan_bytes(scan, run, &bytes, err));
	return slx_block_writer_chunk(w, &run->meta, bytes, err);
}

/* Keeps the bytes of the first run: if no other comes, they are the chunk. */
static silex_status keep_only(struct slx_chunker *k, struct slx_scan *scan, const struct slx_run *run, silex_error *err)
{
	const uint8_t *bytes;
	SLX_TRY(slx_scan_bytes(scan, run, &bytes, err));
	slx_buf_reset(&k->only);
	slx_buf_put(&k->only, bytes, run->meta.size);
	k->only_meta = run->meta;
	k->only_valid = !k->only.failed;
	return SILEX_OK;
}

static silex_status put_run(struct slx_chunker *k, struct slx_scan *scan, struct slx_run *run,
	struct slx_block_writer *w, bool first, bool recode, silex_error *err)
{
	bool may_copy = run->whole && !recode && slx_chunk_is_wanted(&k->codecs, &run->meta);
	bool bytes = slx_kind_is_bytes(run->kind);
	size_t least = bytes ? SLX_BYTES_CHUNK_MAX / 2 : CHUNK_MIN, crumb = bytes ? BYTES_CRUMB : CRUMB;
	if (may_copy && run->n >= least && (k->n == 0 || k->n >= crumb || k->kind != run->kind))
		return copy_run(k, scan, run, w, err);
	if (may_copy && first)
		SLX_TRY(keep_only(k, scan, run, err));
	else
		k->only_valid = false;
	if (run->whole)
		SLX_TRY(slx_scan_decode(scan, run, err));
	return gather(k, run, w, err);
}

silex_status slx_chunker_series(struct slx_chunker *k, struct slx_scan *scan, struct slx_block_writer *w, bool recode,
	uint64_t *ret_points, silex_error *err)
{
	uint64_t points = 0;
	k->n = 0;
	slx_arena_clear(&k->values);
	k->values_size = 0;
	k->only_valid = false;
	for (;;) {
		struct slx_run run;
		bool more;
		SLX_TRY(slx_scan_next(scan, &run, &more, err));
		if (!more)
			break;
		SLX_TRY(put_run(k, scan, &run, w, points == 0, recode, err));
		points += run.n;
	}
	if (k->only_valid)
		SLX_TRY(slx_block_writer_chunk(w, &k->only_meta, k->only.p, err));
	else
		SLX_TRY(put_all(k, w, err));
	*ret_points = points;
	return SILEX_OK;
}
