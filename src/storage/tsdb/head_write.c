/* Writing to the head: tails that grow and are sealed, the late side, and deletes. The stripe's lock is held throughout.
 *
 * A tail starts at SLX_TAIL_MIN slots and doubles, so that a million series with three samples each stay small. At
 * SLX_TAIL_MAX it is sealed: its slots are encoded into a chunk and it begins again in place. A sample that is not after
 * the newest one goes to the late side: the same kind of buffer, sorted and sealed when full. */
#include "storage/tsdb/head_int.h"

#include <stdlib.h>

/* --- slots ---------------------------------------------------------------------------------------------------------- */

static struct slx_slot *slots_take(struct slx_head_stripe *st, unsigned log2)
{
	struct slx_free_slots *f = st->free_slots[log2];
	if (f) {
		st->free_slots[log2] = f->next;
		return (struct slx_slot *)f;
	}
	return slx_arena_alloc(&st->arena, sizeof(struct slx_slot) << log2, 16);
}

/* A reader may still copy from these slots; it will find out by the sequence counter. The link is stored as an atomic
 * so that its racing reads are defined. */
static void slots_give(struct slx_head_stripe *st, struct slx_slot *slots, unsigned log2)
{
	if (!slots)
		return;
	struct slx_free_slots *f = (struct slx_free_slots *)slots;
	atomic_store_explicit(&slots->t, (int64_t)(uintptr_t)st->free_slots[log2], memory_order_relaxed);
	_Static_assert(sizeof f->next == sizeof slots->t, "a link fits a slot's timestamp");
	st->free_slots[log2] = f;
}

static void slot_set(struct slx_slot *s, int64_t t, uint64_t bits)
{
	atomic_store_explicit(&s->t, t, memory_order_relaxed);
	atomic_store_explicit(&s->bits, bits, memory_order_relaxed);
}

static int64_t slot_t(struct slx_slot *s) { return atomic_load_explicit(&s->t, memory_order_relaxed); }
static uint64_t slot_bits(struct slx_slot *s) { return atomic_load_explicit(&s->bits, memory_order_relaxed); }

/* Twice the slots (or the first ones), contents copied; *log2 grows. NULL when out of memory, the old ones stand. */
static struct slx_slot *slots_grow(struct slx_head_stripe *st, struct slx_slot *old, uint32_t n, uint8_t *log2)
{
	unsigned to = old ? *log2 + 1u : 2u; /* SLX_TAIL_MIN is 1 << 2 */
	_Static_assert(SLX_TAIL_MIN == 4, "the first class is 2");
	struct slx_slot *slots = slots_take(st, to);
	if (!slots)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		slot_set(&slots[i], slot_t(&old[i]), slot_bits(&old[i]));
	*log2 = (uint8_t)to;
	return slots;
}

/* --- chunk lists ----------------------------------------------------------------------------------------------------- */

static struct slx_chunk_list *list_new(struct slx_head_stripe *st, uint32_t cap)
{
	struct slx_chunk_list *l = slx_arena_alloc(&st->arena, sizeof *l + cap * sizeof l->p[0], 16);
	if (l) {
		atomic_init(&l->n, 0);
		l->cap = cap;
	}
	return l;
}

static uint32_t list_n(const struct slx_chunk_list *l)
{
	return l ? atomic_load_explicit(&l->n, memory_order_relaxed) : 0;
}

static struct slx_memchunk *list_at(const struct slx_chunk_list *l, uint32_t i)
{
	return atomic_load_explicit(&l->p[i], memory_order_relaxed);
}

static void list_push(struct slx_chunk_list *l, struct slx_memchunk *c)
{
	uint32_t n = list_n(l);
	atomic_store_explicit(&l->p[n], c, memory_order_release);
	atomic_store_explicit(&l->n, n + 1, memory_order_release);
}

/* A list with room for `more`: l itself or a larger copy. */
static struct slx_chunk_list *list_room(struct slx_head_stripe *st, struct slx_chunk_list *l, uint32_t more)
{
	uint32_t n = list_n(l);
	if (l && l->cap - n >= more)
		return l;
	struct slx_chunk_list *to = list_new(st, n ? n * 2 + more : more < 2 ? 2 : more);
	for (uint32_t i = 0; to && i < n; i++)
		list_push(to, list_at(l, i));
	return to;
}

/* --- sealing --------------------------------------------------------------------------------------------------------- */

static struct slx_memchunk *chunk_make(struct slx_head *h, struct slx_head_stripe *st, struct slx_sx_hint *hint, enum slx_kind kind,
	const int64_t *ts, const uint64_t *bits, size_t n, silex_error *err)
{
	struct slx_chunk_meta meta;
	slx_buf_reset(&st->scratch);
	if (slx_chunk_encode_hot(h->codecs, kind, ts, bits, n, hint, &st->scratch, &meta, err) != SILEX_OK)
		return NULL;
	struct slx_memchunk *c = slx_arena_alloc(&st->arena, sizeof *c + st->scratch.n, 8);
	if (!c) {
		slx_err_oom(err);
		return NULL;
	}
	c->meta = meta;
	memcpy(c->bytes, st->scratch.p, st->scratch.n);
	return c;
}

static silex_status seal_tail(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, silex_error *err)
{
	int64_t ts[SLX_TAIL_MAX];
	uint64_t bits[SLX_TAIL_MAX];
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	struct slx_slot *tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
	if (n == 0)
		return SILEX_OK;
	for (uint32_t i = 0; i < n; i++) {
		ts[i] = slot_t(&tail[i]);
		bits[i] = slot_bits(&tail[i]);
	}
	struct slx_chunk_list *old = atomic_load_explicit(&s->chunks, memory_order_relaxed);
	struct slx_chunk_list *list = list_room(st, old, 1);
	if (!list)
		return slx_err_oom(err);
	struct slx_memchunk *c = chunk_make(h, st, &s->hint, atomic_load_explicit(&s->kind, memory_order_relaxed), ts, bits, n, err);
	if (!c)
		return SILEX_RESOURCE_EXHAUSTED;
	slx_series_begin(s);
	list_push(list, c);
	atomic_store_explicit(&s->chunks, list, memory_order_release);
	atomic_store_explicit(&s->tail_n, 0, memory_order_relaxed);
	slx_series_end(s);
	slx_stripe_publish(st);
	return SILEX_OK;
}

/* --- late side -------------------------------------------------------------------------------------------------------- */

struct late_sample {
	int64_t t;
	uint64_t bits;
	uint32_t order;
};

static int late_order(const void *a, const void *b)
{
	const struct late_sample *x = a, *y = b;
	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

size_t slx_late_sort(struct slx_slot *slots, uint32_t n, int64_t *ts, uint64_t *bits)
{
	struct late_sample v[SLX_LATE_MAX];
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct late_sample){ slot_t(&slots[i]), slot_bits(&slots[i]), i };
	qsort(v, n, sizeof *v, late_order);
	size_t out = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i + 1 < n && v[i + 1].t == v[i].t)
			continue; /* a later write of the same instant follows */
		ts[out] = v[i].t;
		bits[out++] = v[i].bits;
	}
	return out;
}

static silex_status seal_late(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, struct slx_late *late, silex_error *err)
{
	int64_t ts[SLX_LATE_MAX];
	uint64_t bits[SLX_LATE_MAX];
	uint32_t n = atomic_load_explicit(&late->n, memory_order_relaxed);
	if (n == 0)
		return SILEX_OK;
	size_t k = slx_late_sort(atomic_load_explicit(&late->slots, memory_order_relaxed), n, ts, bits);
	struct slx_chunk_list *list = list_room(st, atomic_load_explicit(&late->chunks, memory_order_relaxed), 1);
	if (!list)
		return slx_err_oom(err);
	struct slx_memchunk *c = chunk_make(h, st, &s->hint, atomic_load_explicit(&late->kind, memory_order_relaxed), ts, bits, k, err);
	if (!c)
		return SILEX_RESOURCE_EXHAUSTED;
	slx_series_begin(s);
	list_push(list, c);
	atomic_store_explicit(&late->chunks, list, memory_order_release);
	atomic_store_explicit(&late->n, 0, memory_order_relaxed);
	slx_series_end(s);
	return SILEX_OK;
}

static struct slx_late *late_make(struct slx_head_stripe *st, struct slx_head_series *s)
{
	struct slx_late *late = atomic_load_explicit(&s->late, memory_order_relaxed);
	if (late)
		return late;
	late = slx_arena_alloc(&st->arena, sizeof *late, 16);
	if (late) {
		memset(late, 0, sizeof *late);
		atomic_store_explicit(&s->late, late, memory_order_release);
	}
	return late;
}

static silex_status append_late(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, enum slx_kind kind, int64_t t,
	uint64_t bits, silex_error *err)
{
	struct slx_late *late = late_make(st, s);
	if (!late)
		return slx_err_oom(err);
	uint32_t n = atomic_load_explicit(&late->n, memory_order_relaxed);
	if (n == SLX_LATE_MAX || (n > 0 && kind != atomic_load_explicit(&late->kind, memory_order_relaxed))) {
		SLX_TRY(seal_late(h, st, s, late, err));
		n = 0;
	}
	struct slx_slot *slots = atomic_load_explicit(&late->slots, memory_order_relaxed);
	if (!slots || n >> late->cap_log2) {
		struct slx_slot *grown = slots_grow(st, slots, n, &late->cap_log2);
		if (!grown)
			return slx_err_oom(err);
		slx_series_begin(s);
		atomic_store_explicit(&late->slots, grown, memory_order_relaxed);
		slx_series_end(s);
		if (slots)
			slots_give(st, slots, late->cap_log2 - 1u);
		slots = grown;
	}
	slot_set(&slots[n], t, bits);
	if (n == 0) { /* only an empty buffer changes its kind; readers must not see the new kind with an old length */
		slx_series_begin(s);
		atomic_store_explicit(&late->kind, (uint8_t)kind, memory_order_relaxed);
		atomic_store_explicit(&late->n, 1, memory_order_release);
		slx_series_end(s);
	} else {
		atomic_store_explicit(&late->n, n + 1, memory_order_release);
	}
	if (t < atomic_load_explicit(&s->tmin, memory_order_relaxed))
		atomic_store_explicit(&s->tmin, t, memory_order_relaxed);
	return SILEX_OK;
}

/* --- the slow way in --------------------------------------------------------------------------------------------------- */

/* The same sample again, as agents that retry send it, changes nothing. */
static bool repeats_newest(struct slx_head_series *s, enum slx_kind kind, int64_t t, uint64_t bits)
{
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	if (n == 0 || t != s->last_t || kind != atomic_load_explicit(&s->kind, memory_order_relaxed))
		return false;
	if (atomic_load_explicit(&s->late, memory_order_relaxed))
		return false; /* a late sample may have overwritten it */
	struct slx_slot *newest = atomic_load_explicit(&s->tail, memory_order_relaxed) + (n - 1);
	return slot_t(newest) == t && slot_bits(newest) == bits;
}

static silex_status grow_tail(struct slx_head_stripe *st, struct slx_head_series *s, silex_error *err)
{
	struct slx_slot *old = atomic_load_explicit(&s->tail, memory_order_relaxed);
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	struct slx_slot *grown = slots_grow(st, old, n, &s->tail_cap_log2);
	if (!grown)
		return slx_err_oom(err);
	slx_series_begin(s);
	atomic_store_explicit(&s->tail, grown, memory_order_relaxed);
	slx_series_end(s);
	slots_give(st, old, s->tail_cap_log2 - 1u);
	slx_stripe_publish(st);
	return SILEX_OK;
}

silex_status slx_head_append_slow(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err)
{
	struct slx_head_stripe *st = slx_stripe_of(h, s);
	if (t <= s->last_t)
		return repeats_newest(s, kind, t, bits) ? SILEX_OK : append_late(h, st, s, kind, t, bits, err);
	if (kind != atomic_load_explicit(&s->kind, memory_order_relaxed)) {
		SLX_TRY(seal_tail(h, st, s, err));
		slx_series_begin(s); /* the tail is empty: a reader pairs the new kind with no sample */
		atomic_store_explicit(&s->kind, (uint8_t)kind, memory_order_relaxed);
		slx_series_end(s);
	}
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	if (n == SLX_TAIL_MAX) {
		SLX_TRY(seal_tail(h, st, s, err));
		n = 0;
	}
	if (!atomic_load_explicit(&s->tail, memory_order_relaxed) || n >> s->tail_cap_log2)
		SLX_TRY(grow_tail(st, s, err));
	if (t < atomic_load_explicit(&s->tmin, memory_order_relaxed))
		atomic_store_explicit(&s->tmin, t, memory_order_relaxed);
	slot_set(atomic_load_explicit(&s->tail, memory_order_relaxed) + n, t, bits);
	atomic_store_explicit(&s->tmax, t, memory_order_relaxed);
	atomic_store_explicit(&s->tail_n, n + 1, memory_order_release);
	s->last_t = t;
	return SILEX_OK;
}

/* --- deleting ------------------------------------------------------------------------------------------------------------ */

/* What is left of chunk c outside range: up to two chunks in out. */
static silex_status chunk_without(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, const struct slx_memchunk *c,
	struct slx_time_range range, struct slx_memchunk *out[1], unsigned *ret_n, silex_error *err)
{
	int64_t ts[SLX_HOT_MAX];
	uint64_t bits[SLX_HOT_MAX];
	size_t n, kept = 0;
	if (!st->work)
		SLX_TRY(slx_chunk_work_new(h->mem, SLX_MEM_HEAD, &st->work, err));
	SLX_TRY(slx_chunk_decode(st->work, h->codecs, &c->meta, c->bytes, SLX_TIME_ALL, ts, bits, &n, err));
	for (size_t i = 0; i < n; i++)
		if (!slx_range_has(range, ts[i])) {
			ts[kept] = ts[i];
			bits[kept++] = bits[i];
		}
	*ret_n = 0;
	if (kept == 0)
		return SILEX_OK;
	out[0] = chunk_make(h, st, &s->hint, c->meta.kind, ts, bits, kept, err);
	*ret_n = 1;
	return out[0] ? SILEX_OK : SILEX_RESOURCE_EXHAUSTED;
}

static silex_status list_without(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, const struct slx_chunk_list *l,
	struct slx_time_range range, struct slx_chunk_list **ret, silex_error *err)
{
	uint32_t n = list_n(l);
	*ret = NULL;
	if (n == 0)
		return SILEX_OK;
	struct slx_chunk_list *to = list_new(st, n + 1);
	if (!to)
		return slx_err_oom(err);
	for (uint32_t i = 0; i < n; i++) {
		struct slx_memchunk *c = list_at(l, i), *left[1] = { c };
		struct slx_time_range own = { c->meta.tmin, c->meta.tmax };
		unsigned k = 1;
		if (slx_range_covers(range, own))
			k = 0;
		else if (slx_range_overlaps(range, own))
			SLX_TRY(chunk_without(h, st, s, c, range, left, &k, err));
		if (k)
			list_push(to, left[0]);
	}
	*ret = to;
	return SILEX_OK;
}

/* Closes the gaps in place; the sequence counter is odd meanwhile. */
static uint32_t slots_without(struct slx_slot *slots, uint32_t n, struct slx_time_range range)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!slx_range_has(range, slot_t(&slots[i])))
			slot_set(&slots[kept++], slot_t(&slots[i]), slot_bits(&slots[i]));
	return kept;
}

silex_status slx_head_delete(struct slx_head *h, struct slx_head_series *s, struct slx_time_range range, silex_error *err)
{
	struct slx_head_stripe *st = slx_stripe_of(h, s);
	struct slx_late *late = atomic_load_explicit(&s->late, memory_order_relaxed);
	struct slx_chunk_list *chunks, *late_chunks = NULL;
	if (!slx_head_touches(s, range))
		return SILEX_OK;
	SLX_TRY(list_without(h, st, s, atomic_load_explicit(&s->chunks, memory_order_relaxed), range, &chunks, err));
	if (late)
		SLX_TRY(list_without(h, st, s, atomic_load_explicit(&late->chunks, memory_order_relaxed), range, &late_chunks, err));

	slx_series_begin(s);
	atomic_store_explicit(&s->chunks, chunks, memory_order_release);
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	atomic_store_explicit(&s->tail_n, slots_without(atomic_load_explicit(&s->tail, memory_order_relaxed), n, range), memory_order_relaxed);
	if (late) {
		atomic_store_explicit(&late->chunks, late_chunks, memory_order_release);
		n = atomic_load_explicit(&late->n, memory_order_relaxed);
		atomic_store_explicit(&late->n, slots_without(atomic_load_explicit(&late->slots, memory_order_relaxed), n, range), memory_order_relaxed);
	}
	slx_series_end(s);
	slx_stripe_publish(st);
	return SILEX_OK;
}
