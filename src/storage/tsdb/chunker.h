/* Chunker: ascending runs of one series in, cold chunks into a block writer out. Shared by flush and compaction. */
#ifndef SLX_TSDB_CHUNKER_H
#define SLX_TSDB_CHUNKER_H

#include "storage/tsdb/block.h"
#include "storage/tsdb/scan.h"

struct slx_chunker;

silex_status slx_chunker_new(
	struct slx_mem *m, const struct slx_codec_choice *c, struct slx_chunker **ret, silex_error *err);
void slx_chunker_free(struct slx_chunker *k); /* NULL is fine */

/* All that `scan` (already started) still yields goes to w's current series. Runs are gathered into chunks of 4096 to
 * SLX_CHUNK_MAX samples (a series with fewer: one chunk); a kind change closes one. Unless `recode`, chunks that are whole
 * and coded as the choice wants are copied when they have at least 4096 samples or are the series' only one. */
silex_status slx_chunker_series(struct slx_chunker *k, struct slx_scan *scan, struct slx_block_writer *w, bool recode,
	uint64_t *ret_points, silex_error *err);

#endif
