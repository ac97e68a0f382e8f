/* Blobs: samples of kind BYTES, as what is kept beside a user's series in internal tenants has them (companion.h, rules/alert).
 * A batch gathers values and writes them at once; a reader gives the values of series after series. One thread each. */
#ifndef SLX_ENGINE_BLOBS_H
#define SLX_ENGINE_BLOBS_H

#include "engine/engine.h"

/* ---- writing: columns of up to n rows in one arena ---- */

struct slx_blob_batch {
	struct slx_arena arena;  /* for the caller's use too: what it needs as long as the batch */
	struct slx_str tenant;
	struct slx_labels *labels;
	struct slx_hash128 *ids;
	int64_t *ts;
	uint64_t *bits;
	size_t n;
};

silex_status slx_blob_batch_begin(struct slx_blob_batch *b, struct slx_engine *e, struct slx_str tenant, size_t n, silex_error *err);
/* labels: canonical, until the write; value is copied. */
silex_status slx_blob_batch_add(struct slx_blob_batch *b, struct slx_labels labels, int64_t t, const struct slx_buf *value, silex_error *err);
/* As slx_engine_write. */
silex_status slx_blob_batch_write(struct slx_engine *e, const struct slx_blob_batch *b, struct slx_write_result *ret, uint64_t *ret_lsn, silex_error *err);
void slx_blob_batch_end(struct slx_blob_batch *b); /* in any case */

/* ---- reading: begin; for each i of slx_selection_count(sel) either series and next, or newest; end ---- */

struct slx_blob_reader {
	struct slx_snapshot *snap;
	struct slx_selection *sel;
	struct slx_scan *scan;
	struct slx_parts parts;
};

silex_status slx_blob_reader_begin(struct slx_blob_reader *r, struct slx_engine *e, struct slx_str tenant, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, silex_error *err);
void slx_blob_reader_end(struct slx_blob_reader *r); /* in any case */
silex_status slx_blob_reader_series(struct slx_blob_reader *r, size_t i, struct slx_time_range range, silex_error *err);
/* The next run of bytes, decoded, until the next call; n 0 at the end. */
silex_status slx_blob_reader_next(struct slx_blob_reader *r, struct slx_run *run, silex_error *err);
/* The newest sample of series i; an empty value when there is none. */
silex_status slx_blob_reader_newest(struct slx_blob_reader *r, size_t i, int64_t *ret_t, struct slx_buf *ret, silex_error *err);
/* A section that could not be read was left out: its error; the rest was given. */
silex_status slx_blob_reader_damage(const struct slx_blob_reader *r, silex_error *err);

#endif
