/* Inside of the head: shared by head.c (series, index), head_write.c and head_read.c. */
#ifndef SLX_TSDB_HEAD_INT_H
#define SLX_TSDB_HEAD_INT_H

#include "storage/tsdb/head.h"

/* A vector that never moves: page k holds first_n << k elements. Elements are published by their writer. */
enum { SLX_PAGES = 28 };

struct slx_paged {
	void *_Atomic page[SLX_PAGES];
};

static inline void slx_paged_place(uint32_t i, uint32_t first_log2, unsigned *ret_page, uint32_t *ret_at)
{
	uint64_t v = (uint64_t)i + ((uint64_t)1 << first_log2);
	unsigned top = 63u - (unsigned)__builtin_clzll(v);
	*ret_page = top - first_log2;
	*ret_at = (uint32_t)(v - ((uint64_t)1 << top));
}

/* Chunks of one side of a series, appended in place while there is room, else copied to a larger list; the old one
 * stays where it is in the arena, since a reader may be on it. */
struct slx_chunk_list {
	_Atomic uint32_t n;
	uint32_t cap;
	struct slx_memchunk *_Atomic p[];
};

struct slx_late {
	struct slx_chunk_list *_Atomic chunks; /* each sealed buffer, in the order of sealing; may overlap */
	struct slx_slot *_Atomic segment;      /* the buffer: a chain like a tail's */
	struct slx_slot *slots;                /* slot n is slots[n] in the current segment */
	_Atomic uint32_t n;
	_Atomic uint8_t kind;
	uint8_t cap_log2;
};

/* Segments: slot -1 of each holds the link to the next in its timestamp. Segment 0 has SLX_TAIL_MIN slots, each further
 * one as many as all before it. */
static inline struct slx_slot *slx_segment_next(struct slx_slot *segment)
{
	return (struct slx_slot *)(uintptr_t)atomic_load_explicit(&segment[-1].t, memory_order_acquire);
}

/* Copies slots 0..n-1 of a chain. */
void slx_segments_copy(struct slx_slot *first, uint32_t n, int64_t *ts, uint64_t *bits);

enum { SLX_SERIES_FIRST_LOG2 = 4, SLX_ORDINALS_FIRST_LOG2 = 3 };

/* One stripe; its fields are guarded by the engine's lock of that stripe, but for the atomics. */
struct slx_head_stripe {
	struct slx_arena arena;
	struct slx_arena values; /* bytes of samples that are bytes: what the slots point to, also after they were sealed */
	struct slx_paged series; /* struct slx_head_series, pages of the arena */
	uint32_t series_n;
	uint64_t *map;           /* (tag << 32 | index + 1), open addressing; 0: free */
	uint32_t map_cap;
	struct slx_buf scratch;
	struct slx_chunk_work *work; /* made when a delete needs it */
	struct slx_buf decoded;      /* its values that are bytes */
	_Atomic uint64_t bytes;      /* arena and map, published */
};

enum { SLX_INDEX_SHARDS = 16 };

/* Tenants of one shard; `lock` guards their indexes, tables and the arena. */
struct slx_index_shard {
	pthread_rwlock_t lock;
	struct slx_arena arena;
	struct slx_head_tenant **tenants; /* open addressing by name */
	uint32_t n, cap;
	_Atomic uint64_t bytes;
};

struct slx_head_tenant {
	struct slx_str name;
	uint64_t hash;
	struct slx_memindex *index;
	struct slx_paged by_ordinal; /* struct slx_head_series * */
	struct slx_index_shard *shard;
};

struct slx_head {
	struct slx_mem *mem;
	const struct slx_codec_choice *codecs;
	uint64_t generation;
	_Atomic uint32_t refs;
	_Atomic uint64_t series_n, internal_n;
	struct slx_head_stripe stripes[SLX_STRIPES];
	struct slx_index_shard shards[SLX_INDEX_SHARDS];
};

/* Brackets around a change of structure that readers must not see half of (a sequence lock, after Lameter). The
 * read-modify-writes order the plain atomics between them; fences would do the same but thread sanitizer ignores them. */
static inline void slx_series_begin(struct slx_head_series *s) { atomic_fetch_add_explicit(&s->seq, 1, memory_order_acq_rel); }
static inline void slx_series_end(struct slx_head_series *s) { atomic_fetch_add_explicit(&s->seq, 1, memory_order_release); }

static inline struct slx_head_stripe *slx_stripe_of(struct slx_head *h, const struct slx_head_series *s)
{
	return &h->stripes[slx_head_stripe(s->id)];
}

void slx_stripe_publish(struct slx_head_stripe *st);
struct slx_index_shard *slx_shard_of(struct slx_head *h, uint64_t tenant_hash);
struct slx_head_tenant *slx_shard_tenant(const struct slx_index_shard *sh, uint64_t hash, struct slx_str name); /* lock held */

/* The n <= SLX_LATE_MAX slots of a late buffer, sorted, the latest write of each instant: into ts and bits. Returns how
 * many. */
size_t slx_late_sort(struct slx_slot *segment, uint32_t n, int64_t *ts, uint64_t *bits);

#endif
