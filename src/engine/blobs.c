#include "engine/blobs.h"

#include "engine/engine_int.h"

/* --- writing ------------------------------------------------------------------------------------------------------------- */

silex_status slx_blob_batch_begin(struct slx_blob_batch *b, struct slx_engine *e, struct slx_str tenant, size_t n, silex_error *err)
{
	*b = (struct slx_blob_batch){ .tenant = tenant };
	slx_arena_init(&b->arena, &e->mem, SLX_MEM_OTHER, 64 << 10);
	b->labels = slx_arena_alloc(&b->arena, n * sizeof *b->labels, 8);
	b->ids = slx_arena_alloc(&b->arena, n * sizeof *b->ids, 8);
	b->ts = slx_arena_alloc(&b->arena, n * sizeof *b->ts, 8);
	b->bits = slx_arena_alloc(&b->arena, n * sizeof *b->bits, 8);
	return b->labels && b->ids && b->ts && b->bits ? SILEX_OK : slx_err_oom(err);
}

silex_status slx_blob_batch_add(struct slx_blob_batch *b, struct slx_labels labels, int64_t t, const struct slx_buf *value, silex_error *err)
{
	uint8_t *to = value->failed ? NULL : slx_arena_alloc(&b->arena, value->n + SLX_VARINT_SIZE_MAX, 1);
	if (!to)
		return slx_err_oom(err);
	uint8_t *bytes = slx_put_varint(to, value->n);
	if (value->n) /* an empty buffer has no bytes to copy from */
		memcpy(bytes, value->p, value->n);
	b->labels[b->n] = labels;
	b->ids[b->n] = slx_series_id(b->tenant, labels);
	b->ts[b->n] = t;
	b->bits[b->n++] = (uint64_t)(uintptr_t)to;
	return SILEX_OK;
}

silex_status slx_blob_batch_write(struct slx_engine *e, const struct slx_blob_batch *b, struct slx_write_result *ret, uint64_t *ret_lsn, silex_error *err)
{
	struct slx_write w = { .kind = SLX_KIND_BYTES, .n = b->n, .ts = b->ts, .ts_stride = sizeof *b->ts, .bits = b->bits, .bits_stride = sizeof *b->bits,
		.labels = b->labels, .ids = b->ids };
	SLX_TRY(slx_engine_tenant(e, b->tenant, &w.tenant, err));
	return slx_engine_write(e, &w, ret, ret_lsn, err);
}

void slx_blob_batch_end(struct slx_blob_batch *b) { slx_arena_clear(&b->arena); }

/* --- reading ------------------------------------------------------------------------------------------------------------- */

silex_status slx_blob_reader_begin(struct slx_blob_reader *r, struct slx_engine *e, struct slx_str tenant, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, silex_error *err)
{
	*r = (struct slx_blob_reader){ 0 };
	slx_parts_init(&r->parts, &e->mem);
	SLX_TRY(slx_snapshot_new(e, (struct slx_identity){ .tenant = tenant }, &r->snap, err));
	SLX_TRY(slx_scan_new(&e->mem, &e->codecs, &r->scan, err));
	return slx_snapshot_select(r->snap, ms, n, range, &r->sel, err);
}

void slx_blob_reader_end(struct slx_blob_reader *r)
{
	slx_selection_free(r->sel);
	slx_scan_free(r->scan);
	slx_parts_free(&r->parts);
	slx_snapshot_free(r->snap);
}

silex_status slx_blob_reader_series(struct slx_blob_reader *r, size_t i, struct slx_time_range range, silex_error *err)
{
	SLX_TRY(slx_snapshot_check(r->snap, err));
	SLX_TRY(slx_snapshot_collect(r->snap, r->sel, i, range, &r->parts, err));
	slx_scan_start(r->scan, r->parts.parts, r->parts.n, r->parts.hides, r->parts.n_hides, range);
	return SILEX_OK;
}

/* Other kinds are not ours. */
silex_status slx_blob_reader_next(struct slx_blob_reader *r, struct slx_run *run, silex_error *err)
{
	bool more = true;
	do {
		SLX_TRY(slx_scan_next(r->scan, run, &more, err));
	} while (more && run->kind != SLX_KIND_BYTES);
	if (!more)
		run->n = 0;
	return more ? slx_scan_decode(r->scan, run, err) : SILEX_OK;
}

silex_status slx_blob_reader_damage(const struct slx_blob_reader *r, silex_error *err)
{
	const silex_error *damage = slx_selection_damage(r->sel);
	return damage ? slx_err(err, damage->code, "%s", damage->message) : SILEX_OK;
}

silex_status slx_blob_reader_newest(struct slx_blob_reader *r, size_t i, int64_t *ret_t, struct slx_buf *ret, silex_error *err)
{
	struct slx_run run = { 0 };
	slx_buf_reset(ret);
	SLX_TRY(slx_blob_reader_series(r, i, SLX_TIME_ALL, err));
	for (;;) {
		SLX_TRY(slx_blob_reader_next(r, &run, err));
		if (run.n == 0)
			return ret->failed ? slx_err_oom(err) : SILEX_OK;
		struct slx_str v = slx_value_bytes(run.bits[run.n - 1]);
		slx_buf_reset(ret);
		slx_buf_put(ret, v.p, v.n);
		*ret_t = run.ts[run.n - 1];
	}
}
