/* Blocks: immutable files, one a time window (and merge), that hold chunks of all tenants.
 *
 *     block   = header page, sections, tail (directory of sections, info, checksum): one read of the tail opens it
 *     section = one tenant, up to SLX_SECTION_SERIES_MAX series in label order; self-contained:
 *               payload pages (chunks of its series, series after series, in time order), then index pages:
 *               label index (storage/index), series table (identity, first chunk), chunk headers in packed columns
 *
 * Every page is an envelope (base/envelope.h) of at most 64 KiB with checksum, key id and nonce; docs/format/block.md.
 * Sections bound memory: writing, opening and merging need one section's index at a time. */
#ifndef SLX_TSDB_BLOCK_H
#define SLX_TSDB_BLOCK_H

#include "model/matcher.h"
#include "storage/chunk/chunk.h"
#include "storage/index/postings.h"
#include "storage/store/store.h"
#include "storage/tsdb/cache.h"

enum {
	SLX_BLOCK_NAME_SIZE = 48, /* with the terminating 0: "b-<32 hex digits>.slx" */
	SLX_SECTION_SERIES_MAX = 16384,
};

struct slx_block_info {
	char name[SLX_BLOCK_NAME_SIZE]; /* unique: random 128 bits */
	uint32_t level;                 /* window level, storage/tsdb/window.h */
	int64_t window_start;           /* first ns of its window; level "all time": SLX_TIME_MIN */
	int64_t tmin, tmax;             /* of the samples in it */
	uint64_t vmin, vmax;            /* versions of the writes in it */
	uint64_t floor;                 /* every tombstone of a version <= floor is applied already */
	uint64_t size;                  /* bytes of the file */
	uint64_t points, chunks, series, sections;
};

/* ---- writing ---- */

struct slx_block_writer;

/* `spec` gives level, window_start, vmin, vmax, floor; the rest is filled by finish. */
silex_status slx_block_writer_new(struct slx_store *store, struct slx_mem *m, const silex_random *rnd,
	const struct slx_block_info *spec, struct slx_block_writer **ret, silex_error *err);
/* Begins a series. Order: tenants ascending bytewise, then slx_labels_cmp. A series without chunks is left out. */
silex_status slx_block_writer_series(struct slx_block_writer *w, struct slx_str tenant, struct slx_labels labels,
	struct slx_hash128 id, silex_error *err);
/* Adds a chunk to the series begun, in ascending, disjoint order of time. */
silex_status slx_block_writer_chunk(
	struct slx_block_writer *w, const struct slx_chunk_meta *meta, const uint8_t *bytes, silex_error *err);
/* Writes the tail and makes the file durable. NOT_FOUND "empty" when no chunk was added (nothing is written then). */
silex_status slx_block_writer_finish(struct slx_block_writer *w, struct slx_block_info *ret, silex_error *err);
void slx_block_writer_free(struct slx_block_writer *w); /* aborts when not finished; NULL is fine */

/* ---- reading ---- */

struct slx_block;   /* ref-counted; any thread */
struct slx_section; /* a pinned, parsed section index; any thread may read it */

silex_status slx_block_open(struct slx_store *store, const char *name, struct slx_cache *cache, struct slx_mem *m,
	struct slx_block **ret, silex_error *err);
/* The same, reading only the bytes from tail_at on, where the directory begins. */
silex_status slx_block_open_tail(struct slx_store *store, const char *name, uint64_t tail_at, struct slx_cache *cache, struct slx_mem *m,
	struct slx_block **ret, silex_error *err);
struct slx_block *slx_block_ref(struct slx_block *b);
void slx_block_unref(struct slx_block *b); /* the last one closes; NULL is fine */
const struct slx_block_info *slx_block_info(const struct slx_block *b);

/* Sections of a tenant are neighbours: numbers *ret_first .. *ret_first + *ret_n - 1 (n 0: none). */
void slx_block_tenant(const struct slx_block *b, struct slx_str tenant, size_t *ret_first, size_t *ret_n);
struct slx_str slx_block_section_tenant(const struct slx_block *b, size_t section);
uint64_t slx_block_section_points(const struct slx_block *b, size_t section);
struct slx_time_range slx_block_section_range(const struct slx_block *b, size_t section);

silex_status slx_section_open(struct slx_block *b, size_t section, struct slx_section **ret, silex_error *err);
void slx_section_close(struct slx_section *s); /* unpins; NULL is fine */
struct slx_block *slx_section_block(const struct slx_section *s);
const struct slx_labelindex *slx_section_labels(const struct slx_section *s); /* select, labels of ordinal, values... */
uint32_t slx_section_series(const struct slx_section *s);
struct slx_hash128 slx_section_id(const struct slx_section *s, uint32_t ordinal);
/* Chunks of a series: numbers *ret_first .. *ret_first + *ret_n - 1 within the section. */
void slx_section_chunks(const struct slx_section *s, uint32_t ordinal, uint32_t *ret_first, uint32_t *ret_n);
void slx_section_meta(const struct slx_section *s, uint32_t chunk, struct slx_chunk_meta *ret);

/* The packed columns behind slx_section_meta, for header-only aggregation in vectors. Pointers live as long as s. */
struct slx_section_columns {
	uint32_t n;
	const int64_t *tmin, *tmax;
	const uint32_t *samples; /* meta.n */
	const uint32_t *count;   /* stats.count */
	const uint8_t *kind, *flags;
	const double *sum, *comp, *min, *max, *first, *last, *increase;
};
void slx_section_columns(const struct slx_section *s, struct slx_section_columns *ret);

/* A chunk's bytes, pinned or copied: valid until slx_payload_release. One page read at most in most cases. */
struct slx_payload {
	const uint8_t *bytes;
	struct slx_cache *cache;
	struct slx_cache_entry *pinned;
	struct slx_mem *mem;
	uint8_t *copy; /* a chunk that spans pages */
	size_t copy_size;
};
silex_status slx_section_load(const struct slx_section *s, uint32_t chunk, struct slx_payload *ret, silex_error *err);
void slx_payload_release(struct slx_payload *p); /* a zeroed one is fine */

/* Re-reads every byte: page checksums, indexes, each chunk against its header. Each fault goes to `fault` as a line. */
typedef bool (*slx_fault_fn)(void *arg, const char *line);
silex_status slx_block_verify(struct slx_block *b, const struct slx_codec_choice *c, slx_fault_fn fault, void *arg,
	uint64_t *ret_pages, uint64_t *ret_points, silex_error *err);
/* Describes it line by line (silex inspect). depth 0: info; 1: sections; 2: series and chunks; 3: samples. */
silex_status slx_block_inspect(
	struct slx_block *b, const struct slx_codec_choice *c, int depth, slx_fault_fn line, void *arg, silex_error *err);

#endif
