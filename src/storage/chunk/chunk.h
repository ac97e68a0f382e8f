/* A chunk: a compressed run of samples of one series and one kind, ascending in time, each timestamp once.
 *
 * Hot chunks (up to SLX_HOT_MAX samples, one vector) are sealed in the head on the writing thread; cold chunks (up to
 * SLX_CHUNK_MAX, sub-vectors of at most SLX_VECTOR_MAX that end on whole hours where they can) are made by flush and
 * compaction. Both decode through the calls below. docs/format/chunk.md has the bytes.
 * Pure: no I/O, no locks; work spaces are per thread. */
#ifndef SLX_CHUNK_CHUNK_H
#define SLX_CHUNK_CHUNK_H

#include "base/buf.h"
#include "codec/codec.h"
#include "model/model.h"

enum {
	SLX_HOT_MAX = 256,
	/* Chunks of values that are bytes: */
	SLX_BYTES_CHUNK_MAX = 512, /* samples that a writer of cold ones puts into one; readers take SLX_CHUNK_MAX */
	SLX_CHUNK_BYTES_MAX = SLX_HOT_MAX * SLX_VALUE_STORED_MAX, /* what the values of one may add up to, lengths included */
};

enum slx_chunk_flags {
	SLX_CHUNK_HAS_NAN = 1, /* stats.count < n: first, last, increase say nothing about NaN samples between */
	SLX_CHUNK_INEXACT = 2, /* int64 values beyond 2^53: min, max, first, last, sum are rounded */
};

/* All that a reader may use without the bytes. Enum chunks have stats of the state ids: only count and first/last hold. Chunks of
 * histograms or bytes have none: count is 0 with no flag set, for there are no numbers. */
struct slx_chunk_meta {
	int64_t tmin, tmax;
	uint32_t n;    /* samples */
	uint32_t size; /* bytes */
	uint8_t kind;  /* enum slx_kind */
	uint8_t codec; /* enum slx_codec_id of the values */
	uint8_t flags;
	struct slx_stats stats;
};

/* Which codecs a database uses and knows. Immutable after open; shared by all threads. */
struct slx_codec_choice {
	int codec;                        /* -1 auto, SLX_CODEC_SX, _GORILLA, _RAW, or an application's id */
	enum slx_wrap wrap;               /* general compressor of cold chunks */
	const silex_codec *const *custom; /* registered by the application */
	size_t n_custom;
};

/* Work space of one thread: cold encoder and reader, scratch columns. */
struct slx_chunk_work;
silex_status slx_chunk_work_new(struct slx_mem *m, enum slx_mem_use use, struct slx_chunk_work **ret, silex_error *err);
void slx_chunk_work_free(struct slx_chunk_work *w);

/* Appends the chunk's bytes to out and fills *ret. n: 1..SLX_HOT_MAX. hint is the series' (may be NULL). Fails only for
 * lack of memory. */
silex_status slx_chunk_encode_hot(const struct slx_codec_choice *c, enum slx_kind kind, const int64_t *ts,
	const uint64_t *bits, size_t n, struct slx_sx_hint *hint, struct slx_buf *out, struct slx_chunk_meta *ret,
	silex_error *err);

/* The same for n up to SLX_CHUNK_MAX, with the cold codecs. */
silex_status slx_chunk_encode_cold(struct slx_chunk_work *w, const struct slx_codec_choice *c, enum slx_kind kind,
	const int64_t *ts, const uint64_t *bits, size_t n, struct slx_buf *out, struct slx_chunk_meta *ret,
	silex_error *err);

/* The samples of `range`, in order, into ts and bits (room for meta->n each). Sub-vectors outside the range are not
 * decoded. Values that are bytes come into `values`, in place of what was there; the bits point into it. CORRUPT, or
 * UNSUPPORTED naming an application codec id that is not registered. */
silex_status slx_chunk_decode(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, struct slx_time_range range, int64_t *ts, uint64_t *bits,
	struct slx_buf *values, size_t *ret_n, silex_error *err);

/* count, sum, min, max over the non-NaN numbers of `range`, without materialising them where the codec can, window by
 * window: `each` is called in order for every window [origin + k * step, origin + (k + 1) * step) that has samples (n of
 * them, NaN too). origin <= range.from; step 0: all in window 0. Ends with what `each` returns when that is not OK.
 * Numeric kinds. */
typedef silex_status (*slx_chunk_window_fn)(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n,
	silex_error *err);
silex_status slx_chunk_aggregate(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, struct slx_time_range range, int64_t origin,
	uint64_t step, slx_chunk_window_fn each, void *arg, silex_error *err);

/* The same of samples at hand, n >= 1. */
struct slx_agg slx_chunk_aggregate_run(enum slx_kind kind, const uint64_t *bits, size_t n);

/* Do the times of the chunk step evenly (tmin + i * step)? *ret_step is 0 when they do not. Looks at their first bytes only. */
silex_status slx_chunk_line(const struct slx_chunk_meta *meta, const uint8_t *bytes, uint64_t *ret_step, silex_error *err);

/* Full check of foreign chunk bytes against their header: decodes all and recomputes the statistics (verify). */
silex_status slx_chunk_check(struct slx_chunk_work *w, const struct slx_codec_choice *c,
	const struct slx_chunk_meta *meta, const uint8_t *bytes, silex_error *err);

/* Is the chunk coded as encode_cold would code it under this choice? Then it may be copied as it is. The general
 * compressor is not looked at: what it is worth differs from chunk to chunk. */
bool slx_chunk_is_wanted(const struct slx_codec_choice *c, const struct slx_chunk_meta *meta);

/* Statistics of a run in memory, as a chunk of it would have: all of *ret but size and codec, which are 0. */
void slx_chunk_stats(enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n, struct slx_chunk_meta *ret);

/* For `inspect`: "sx", "cold huff+lz4", "gorilla", name of an application's codec or "codec 131". */
void slx_chunk_describe(struct slx_chunk_work *w, const struct slx_codec_choice *c, const struct slx_chunk_meta *meta,
	const uint8_t *bytes, char *ret, size_t cap);

#endif
