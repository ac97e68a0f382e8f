/* Scan: the samples of one series in a time range, from everywhere they lie, ascending, each timestamp once.
 *
 * A series is given as parts: a part is what one source (head in-order side, an out-of-order chunk, a raw tail, a
 * block) has of it, its chunks ascending and disjoint within the part. At equal timestamps the part of greatest rank
 * wins; a tombstone hides the samples of its range in the parts whose floor is below its version. Where a chunk
 * overlaps no other part and no tombstone it is passed through whole, with its header, so that callers can answer from
 * the header or aggregate without decoding; elsewhere samples are decoded and merged. The one merge of the engine:
 * queries, deletes (counting), flush and compaction all read through it. One thread at a time.
 *
 * Parts may ask for dedup: of the samples of an interval ((k-1)*d, k*d] only the latest is given (slx_dedup_last tells where the
 * interval of a time ends). Which one that is, is judged by all samples, not only those in range: parts must reach to the end of
 * the interval that the range ends in. Nothing is passed through whole then. */
#ifndef SLX_TSDB_SCAN_H
#define SLX_TSDB_SCAN_H

#include "storage/tsdb/block.h"

/* A sealed chunk in memory (the head's): header and bytes in one allocation. */
struct slx_memchunk {
	struct slx_chunk_meta meta;
	uint8_t bytes[];
};

struct slx_part {
	enum { SLX_PART_MEMORY, SLX_PART_RAW, SLX_PART_BLOCK } type;
	int64_t dedup;  /* ns, 0: every sample counts; the same in all parts of a series */
	uint64_t rank;  /* greater wins */
	uint64_t floor; /* tombstones of version > floor apply */
	union {
		struct {
			const struct slx_memchunk *const *chunks;
			uint32_t n;
		} memory;
		struct {
			const int64_t *ts;
			const uint64_t *bits;
			size_t n;
			enum slx_kind kind;
		} raw; /* ascending, unique */
		struct {
			const struct slx_section *section;
			uint32_t first, n;
		} block;
	};
};

/* A tombstone as seen by one series: already matched by tenant and labels. */
struct slx_hide {
	struct slx_time_range range;
	uint64_t version;
};

/* One run of the answer. Either whole (chunk passed through: meta is its header and every sample of it is in range and
 * visible) or decoded (ts, bits set). */
struct slx_run {
	enum slx_kind kind;
	bool whole;
	struct slx_chunk_meta meta; /* whole */
	size_t n;                   /* samples */
	const int64_t *ts;          /* decoded; until the next call on the scan */
	const uint64_t *bits;       /* so are the bytes that the bits of such a kind point to */
};

/* First and last time of the interval of dedup that holds t. */
static inline int64_t slx_dedup_first(int64_t t, int64_t dedup) { return slx_time_add(slx_window_start(slx_time_sub(t, 1), dedup, 0), 1); }
static inline int64_t slx_dedup_last(int64_t t, int64_t dedup) { return slx_time_add(slx_window_last(slx_time_sub(t, 1), dedup, 0), 1); }

struct slx_scan;

/* The scan keeps the arrays given to slx_scan_start by pointer until the next start. Reusable for many series. */
silex_status slx_scan_new(struct slx_mem *m, const struct slx_codec_choice *c, struct slx_scan **ret, silex_error *err);
void slx_scan_free(struct slx_scan *s); /* NULL is fine */

void slx_scan_start(struct slx_scan *s, const struct slx_part *parts, size_t n_parts, const struct slx_hide *hides,
	size_t n_hides, struct slx_time_range range);
/* The next run by time; *ret_more false at the end. Runs are of one kind and at most SLX_CHUNK_MAX samples.
 * CORRUPT names block and chunk; the next call goes on behind it. */
silex_status slx_scan_next(struct slx_scan *s, struct slx_run *ret, bool *ret_more, silex_error *err);
/* Decodes a whole run: fills ts and bits. */
silex_status slx_scan_decode(struct slx_scan *s, struct slx_run *run, silex_error *err);
/* count, sum, min, max of a whole run, window by window, as slx_chunk_aggregate gives them. Numeric kinds. */
silex_status slx_scan_fold(struct slx_scan *s, const struct slx_run *run, int64_t origin, uint64_t step,
	slx_chunk_window_fn each, void *arg, silex_error *err);
/* The encoded bytes of a whole run, for copying into a block without recoding; until the next call. */
silex_status slx_scan_bytes(struct slx_scan *s, const struct slx_run *run, const uint8_t **ret, silex_error *err);

struct slx_scan_stats {
	uint64_t chunks, chunks_decoded, chunks_by_header, bytes_read;
};
void slx_scan_stats(const struct slx_scan *s, struct slx_scan_stats *ret); /* since new */

#endif
