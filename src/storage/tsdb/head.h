/* The head: the recent samples of all tenants, in memory, covered by the log.
 *
 * A head is one generation. The engine writes to one active head; a flush freezes it whole (a fresh one takes over) and
 * turns it into blocks. Everything of a generation - series, index, tails, chunks - lives in its arenas and goes with
 * the last reference, so series that stopped sending leave memory at the next flush without anyone looking for them.
 *
 *     tenant -> label index (ordinal) -> series -> tail: raw slots, appended in place, 4 .. SLX_TAIL_MAX
 *     stripe (by identity) -> map -----^           chunks: sealed tails, ascending and disjoint
 *                                                  late: samples not after the newest one; a buffer, sealed sorted
 *
 * Writers hold the lock of the series' stripe (it belongs to the engine, since it outlives a generation). Readers take
 * no lock: each series has a sequence counter, odd while its structure changes; a reader copies and looks again. What it
 * touches meanwhile stays what it was: segments of tails belong to their series until the head goes.
 *
 * A tail is a chain of segments of 4, 4, 8, 16, 32, 64 slots: it grows without copying and without leaving anything
 * behind, and begins again in its first segment when it was sealed. Its pointer is kept so that slot n of the tail is
 * tail[n], whichever segment it lies in.
 *
 * Values that are bytes (model.h) are copied into memory of the stripe before they are appended; a slot holds their address.
 * They stay there until the head goes, though a sealed chunk holds them again, compressed: readers may be on them.
 *
 * Late samples win over the in-order side at equal timestamps, and among themselves the later one wins: stripes apply
 * writes in the order of their versions, so arrival within a head is version order. */
#ifndef SLX_TSDB_HEAD_H
#define SLX_TSDB_HEAD_H

#include "base/arena.h"
#include "model/model.h"
#include "storage/index/postings.h"
#include "storage/tsdb/scan.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	SLX_STRIPES = 8,
	SLX_TAIL_MIN = 4,   /* slots */
	SLX_TAIL_MAX = 128, /* a full one is sealed into a chunk */
	SLX_LATE_MAX = 256, /* samples in a late buffer before it is sealed */
};

struct slx_slot {
	_Atomic int64_t t;
	_Atomic uint64_t bits;
};

struct slx_chunk_list;
struct slx_late;
struct slx_head_tenant;

/* Fields are written under the stripe's lock; the atomic ones are read without it. An append touches the first cache line
 * and the tail's slot, nothing else. Late samples are never newer than last_t, so it is the newest of all sides. */
struct slx_head_series {
	_Atomic uint32_t seq;
	_Atomic uint32_t tail_n;          /* published length */
	struct slx_slot *_Atomic tail;    /* slot n is tail[n] for the n of the current segment */
	_Atomic int64_t last_t;           /* newest in-order timestamp; SLX_TIME_MIN - 1: none yet */
	_Atomic int64_t tmin;             /* of all sides; a delete does not raise it */
	struct slx_sx_hint hint;
	_Atomic uint8_t kind;             /* of the tail */
	uint8_t tail_cap_log2;
	uint32_t ordinal;                 /* in the tenant's index */
	uint32_t log_ref;                 /* 0: none yet */
	uint64_t log_segment;             /* log segment that defines log_ref; 0: none */
	uint32_t watch;                   /* the engine's observer's mark; 0: nobody watches */

	struct slx_hash128 id __attribute__((aligned(64)));
	struct slx_chunk_list *_Atomic chunks;
	struct slx_late *_Atomic late;
	struct slx_head_tenant *tenant;
	struct slx_slot *_Atomic segment; /* the tail's first; NULL: none yet */
	uint32_t keep_gen, keep_rule;     /* the engine's: rule of retention, of which set of rules; 0: not looked up */
};

struct slx_head;

silex_status slx_head_new(struct slx_mem *m, const struct slx_codec_choice *c, uint64_t generation, struct slx_head **ret, silex_error *err);
struct slx_head *slx_head_ref(struct slx_head *h);
void slx_head_unref(struct slx_head *h); /* NULL is fine */
uint64_t slx_head_generation(const struct slx_head *h);

static inline unsigned slx_head_stripe(struct slx_hash128 id) { return (unsigned)(id.lo & (SLX_STRIPES - 1)); }

/* ---- writing: the caller holds the lock of the series' stripe ---- */

/* NULL when the head has no such series. */
struct slx_head_series *slx_head_find(struct slx_head *h, struct slx_hash128 id);
/* Adds a series that find did not find. series_max 0: no limit; RESOURCE_EXHAUSTED names limit and metric. */
silex_status slx_head_create(struct slx_head *h, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id, uint64_t series_max,
	struct slx_head_series **ret, silex_error *err);
/* Copies the bytes that `bits` of such a kind point to into memory that goes with the head: *ret is their address there, as the
 * calls below take it for a series of that stripe. INVALID: over SLX_VALUE_SIZE_MAX. */
silex_status slx_head_keep(struct slx_head *h, unsigned stripe, uint64_t bits, uint64_t *ret, silex_error *err);
/* Everything that is not "one more slot in the tail". */
silex_status slx_head_append_slow(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err);

static inline silex_status slx_head_append(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err)
{
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	if (t <= atomic_load_explicit(&s->last_t, memory_order_relaxed) || kind != atomic_load_explicit(&s->kind, memory_order_relaxed) || n >> s->tail_cap_log2)
		return slx_head_append_slow(h, s, kind, t, bits, err);
	struct slx_slot *slot = atomic_load_explicit(&s->tail, memory_order_relaxed) + n;
	atomic_store_explicit(&slot->t, t, memory_order_relaxed);
	atomic_store_explicit(&slot->bits, bits, memory_order_relaxed);
	atomic_store_explicit(&s->last_t, t, memory_order_relaxed);
	atomic_store_explicit(&s->tail_n, n + 1, memory_order_release);
	return SILEX_OK;
}

/* n > 0 samples of one series, as many slx_head_append would be. */
silex_status slx_head_append_run(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n,
	silex_error *err);

/* Removes the samples of range. The series keeps its place. */
silex_status slx_head_delete(struct slx_head *h, struct slx_head_series *s, struct slx_time_range range, silex_error *err);

/* ---- reading: no lock ---- */

/* The tenant's series for which all matchers hold, as pointers, in no order; *ret from SLX_MEM_QUERY, *ret_n elements
 * of which the caller frees with slx_free(m, SLX_MEM_QUERY, p, n * sizeof *p). */
silex_status slx_head_select(struct slx_head *h, struct slx_str tenant, struct slx_matcher *const *ms, size_t n, struct slx_mem *m,
	struct slx_head_series ***ret, size_t *ret_n, silex_error *err);
/* Does any series of the tenant touch the range (slx_head_touches)? Quick when one does. */
bool slx_head_tenant_touches(struct slx_head *h, struct slx_str tenant, struct slx_time_range range);
/* Oldest and newest time of the tenant's series, as slx_head_touches judges; empty when there is none. */
struct slx_time_range slx_head_tenant_extent(struct slx_head *h, struct slx_str tenant);
/* Names of labels (name NULL) or values of one label among the tenant's series that the matchers select. */
silex_status slx_head_strings(struct slx_head *h, struct slx_str tenant, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *m, struct slx_strings *ret, silex_error *err);
/* Appends the canonical labels of s to out. */
void slx_head_labels(struct slx_head *h, const struct slx_head_series *s, struct slx_buf *out);
/* Adds what s has in range to *parts, an array in the arena that grows; ranks go from rank_base up. Tails and chunk lists
 * are copied into the arena; chunks stay where they are, so the head must stay referenced. */
silex_status slx_head_collect(struct slx_head *h, struct slx_head_series *s, struct slx_time_range range, uint64_t rank_base, uint64_t floor,
	struct slx_arena *a, struct slx_part **parts, size_t *n, size_t *cap, silex_error *err);
/* Whether s may have samples in range, judged by its oldest and newest. */
static inline bool slx_head_touches(const struct slx_head_series *s, struct slx_time_range range)
{
	return atomic_load_explicit(&s->tmin, memory_order_relaxed) <= range.to && atomic_load_explicit(&s->last_t, memory_order_relaxed) >= range.from;
}

/* ---- as a whole ---- */

/* Names of tenants, ascending; they live as long as the head. *ret from m (SLX_MEM_OTHER), *ret_n elements, freed by the caller. */
silex_status slx_head_tenants(struct slx_head *h, struct slx_mem *m, struct slx_str **ret, size_t *ret_n, silex_error *err);
uint64_t slx_head_series_count(struct slx_head *h);
uint64_t slx_head_internal_count(struct slx_head *h); /* those among them that are of internal tenants */
uint64_t slx_head_bytes(struct slx_head *h); /* arenas and maps */
uint64_t slx_head_tenant_series(struct slx_head *h, struct slx_str tenant);

#endif
