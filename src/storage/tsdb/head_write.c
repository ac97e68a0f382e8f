/* Writing to the head: tails that grow and are sealed, the late side, and deletes. The stripe's lock is held throughout.
 *
 * A tail starts at SLX_TAIL_MIN slots and doubles, so that a million series with three samples each stay small. At
 * SLX_TAIL_MAX it is sealed: its slots are encoded into a chunk and it begins again in its segments. A sample that is not
 * after the newest one goes to the late side: the same kind of buffer, sorted and sealed when full. */
#include "storage/tsdb/head_int.h"

#include <stdlib.h>

/* --- slots ---------------------------------------------------------------------------------------------------------- */

static void slot_set(struct slx_slot *s, int64_t t, uint64_t bits)
{
	atomic_store_explicit(&s->t, t, memory_order_relaxed);
	atomic_store_explicit(&s->bits, bits, memory_order_relaxed);
}

static int64_t slot_t(struct slx_slot *s) { return atomic_load_explicit(&s->t, memory_order_relaxed); }
static uint64_t slot_bits(struct slx_slot *s) { return atomic_load_explicit(&s->bits, memory_order_relaxed); }

static struct slx_slot *segment_new(struct slx_head_stripe *st, uint32_t slots)
{
	struct slx_slot *s = slx_arena_alloc(&st->arena, (slots + 1) * sizeof *s, 16);
	if (!s)
		return NULL;
	slot_set(s, 0, 0);
	return s + 1;
}

/* First slot number of the segment that ends a chain of 1 << cap_log2 slots. */
static uint32_t segment_base(unsigned cap_log2)
{
	return 1u << cap_log2 == SLX_TAIL_MIN ? 0 : 1u << (cap_log2 - 1);
}

/* The segment after the one that `slots` (based as slots[n]) lies in, made when it is not there. NULL: out of memory. */
static struct slx_slot *segment_after(struct slx_head_stripe *st, struct slx_slot *slots, unsigned cap_log2)
{
	struct slx_slot *current = slots + segment_base(cap_log2), *next = slx_segment_next(current);
	if (next)
		return next;
	next = segment_new(st, 1u << cap_log2);
	if (next)
		atomic_store_explicit(&current[-1].t, (int64_t)(uintptr_t)next, memory_order_release);
	return next;
}

/* Slot i of a chain. */
static struct slx_slot *segments_at(struct slx_slot *first, uint32_t i)
{
	uint32_t base = 0, cap = SLX_TAIL_MIN;
	for (; i >= base + cap; cap = base) {
		base += cap;
		first = slx_segment_next(first);
	}
	return first + (i - base);
}

void slx_segments_copy(struct slx_slot *first, uint32_t n, int64_t *ts, uint64_t *bits)
{
	struct slx_slot *s = first;
	for (uint32_t i = 0, end = SLX_TAIL_MIN; i < n; i = end, end *= 2) {
		uint32_t here = (n < end ? n : end) - i;
		for (uint32_t k = 0; k < here; k++) {
			ts[i + k] = slot_t(&s[k]);
			bits[i + k] = slot_bits(&s[k]);
		}
		if (end < n)
			s = slx_segment_next(s);
	}
}

silex_status slx_head_keep(struct slx_head *h, unsigned stripe, uint64_t bits, uint64_t *ret, silex_error *err)
{
	struct slx_head_stripe *st = &h->stripes[stripe];
	struct slx_str v = slx_value_bytes(bits);
	if (v.n > SLX_VALUE_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "a value of %zu bytes; expected at most %d", v.n, SLX_VALUE_SIZE_MAX);
	size_t before = st->values.total;
	uint8_t *to = slx_arena_alloc(&st->values, v.n + SLX_VARINT_SIZE_MAX, 1);
	if (!to)
		return slx_err_oom(err);
	memcpy(slx_put_varint(to, v.n), v.p, v.n);
	if (st->values.total != before)
		slx_stripe_publish(st);
	*ret = (uint64_t)(uintptr_t)to;
	return SILEX_OK;
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
	struct slx_slot *segment = atomic_load_explicit(&s->segment, memory_order_relaxed);
	if (n == 0)
		return SILEX_OK;
	slx_segments_copy(segment, n, ts, bits);
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
	atomic_store_explicit(&s->tail, segment, memory_order_relaxed);
	s->tail_cap_log2 = 2;
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

size_t slx_late_sort(struct slx_slot *segment, uint32_t n, int64_t *ts, uint64_t *bits)
{
	struct late_sample v[SLX_LATE_MAX];
	slx_segments_copy(segment, n, ts, bits);
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct late_sample){ ts[i], bits[i], i };
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
	size_t k = slx_late_sort(atomic_load_explicit(&late->segment, memory_order_relaxed), n, ts, bits);
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
	late->slots = atomic_load_explicit(&late->segment, memory_order_relaxed);
	late->cap_log2 = 2;
	return SILEX_OK;
}

/* Room for slot n in the late buffer: its first segment or the next one. */
static bool late_room(struct slx_head_stripe *st, struct slx_head_series *s, struct slx_late *late, uint32_t n)
{
	if (!late->slots) {
		struct slx_slot *first = segment_new(st, SLX_TAIL_MIN);
		if (!first)
			return false;
		slx_series_begin(s);
		atomic_store_explicit(&late->segment, first, memory_order_release);
		slx_series_end(s);
		late->slots = first;
		late->cap_log2 = 2;
	}
	if (n >> late->cap_log2) {
		struct slx_slot *next = segment_after(st, late->slots, late->cap_log2);
		if (!next)
			return false;
		late->slots = next - n;
		late->cap_log2++;
	}
	return true;
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
	if (!late_room(st, s, late, n))
		return slx_err_oom(err);
	slot_set(&late->slots[n], t, bits);
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
	if (n == 0 || t != atomic_load_explicit(&s->last_t, memory_order_relaxed) || kind != atomic_load_explicit(&s->kind, memory_order_relaxed))
		return false;
	if (atomic_load_explicit(&s->late, memory_order_relaxed))
		return false; /* a late sample may have overwritten it */
	struct slx_slot *newest = segments_at(atomic_load_explicit(&s->segment, memory_order_relaxed), n - 1);
	return slot_t(newest) == t && slx_values_equal(kind, slot_bits(newest), bits);
}

/* Room for slot n in the tail. Published slots are not touched, so readers need not know. */
static silex_status grow_tail(struct slx_head_stripe *st, struct slx_head_series *s, uint32_t n, silex_error *err)
{
	struct slx_slot *tail = atomic_load_explicit(&s->tail, memory_order_relaxed), *next;
	if (!tail) {
		next = segment_new(st, SLX_TAIL_MIN);
		if (!next)
			return slx_err_oom(err);
		atomic_store_explicit(&s->segment, next, memory_order_release);
		s->tail_cap_log2 = 2;
	} else {
		next = segment_after(st, tail, s->tail_cap_log2);
		if (!next)
			return slx_err_oom(err);
		s->tail_cap_log2++;
	}
	atomic_store_explicit(&s->tail, next - n, memory_order_relaxed);
	slx_stripe_publish(st);
	return SILEX_OK;
}

silex_status slx_head_append_slow(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err)
{
	struct slx_head_stripe *st = slx_stripe_of(h, s);
	if (t <= atomic_load_explicit(&s->last_t, memory_order_relaxed))
		return repeats_newest(s, kind, t, bits) ? SILEX_OK : append_late(h, st, s, kind, t, bits, err);
	bool other_kind = kind != atomic_load_explicit(&s->kind, memory_order_relaxed);
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
	if (n == SLX_TAIL_MAX || other_kind) {
		SLX_TRY(seal_tail(h, st, s, err));
		n = 0;
	}
	if (!atomic_load_explicit(&s->tail, memory_order_relaxed) || n >> s->tail_cap_log2)
		SLX_TRY(grow_tail(st, s, n, err));
	if (other_kind) { /* only now: the fast way takes a kind that fits to mean that there is a tail */
		slx_series_begin(s); /* the tail is empty: a reader pairs the new kind with no sample */
		atomic_store_explicit(&s->kind, (uint8_t)kind, memory_order_relaxed);
		slx_series_end(s);
	}
	if (t < atomic_load_explicit(&s->tmin, memory_order_relaxed))
		atomic_store_explicit(&s->tmin, t, memory_order_relaxed);
	slot_set(atomic_load_explicit(&s->tail, memory_order_relaxed) + n, t, bits);
	atomic_store_explicit(&s->last_t, t, memory_order_relaxed);
	atomic_store_explicit(&s->tail_n, n + 1, memory_order_release);
	return SILEX_OK;
}

/* How many of the samples go into the tail as it is: they ascend and there is room. */
static size_t run_fits(const struct slx_head_series *s, enum slx_kind kind, const int64_t *ts, size_t n)
{
	size_t used = atomic_load_explicit(&s->tail_n, memory_order_relaxed), room = ((size_t)1 << s->tail_cap_log2) - used, k = 0;
	if (kind != atomic_load_explicit(&s->kind, memory_order_relaxed))
		return 0;
	n = n < room ? n : room;
	for (int64_t last = atomic_load_explicit(&s->last_t, memory_order_relaxed); k < n && ts[k] > last; k++)
		last = ts[k];
	return k;
}

silex_status slx_head_append_run(struct slx_head *h, struct slx_head_series *s, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n,
	silex_error *err)
{
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n;) {
		size_t k = run_fits(s, kind, ts + i, n - i);
		if (k) {
			uint32_t at = atomic_load_explicit(&s->tail_n, memory_order_relaxed);
			struct slx_slot *slot = atomic_load_explicit(&s->tail, memory_order_relaxed) + at;
			for (size_t j = 0; j < k; j++)
				slot_set(&slot[j], ts[i + j], bits[i + j]);
			atomic_store_explicit(&s->last_t, ts[i + k - 1], memory_order_relaxed);
			atomic_store_explicit(&s->tail_n, at + (uint32_t)k, memory_order_release);
		}
		i += k;
		if (i == n)
			break;
		silex_status one = slx_head_append_slow(h, s, kind, ts[i], bits[i], err);
		status = one != SILEX_OK ? one : status;
		i++;
	}
	return status;
}

/* --- deleting ------------------------------------------------------------------------------------------------------------ */

/* What is left of chunk c outside range: one chunk in out, or none. */
static silex_status chunk_without(struct slx_head *h, struct slx_head_stripe *st, struct slx_head_series *s, const struct slx_memchunk *c,
	struct slx_time_range range, struct slx_memchunk *out[1], unsigned *ret_n, silex_error *err)
{
	int64_t ts[SLX_HOT_MAX];
	uint64_t bits[SLX_HOT_MAX];
	size_t n, kept = 0;
	if (!st->work)
		SLX_TRY(slx_chunk_work_new(h->mem, SLX_MEM_HEAD, &st->work, err));
	SLX_TRY(slx_chunk_decode(st->work, h->codecs, &c->meta, c->bytes, SLX_TIME_ALL, ts, bits, &st->decoded, &n, err));
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
static uint32_t slots_without(struct slx_slot *first, uint32_t n, struct slx_time_range range)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct slx_slot *from = segments_at(first, i);
		if (slx_range_has(range, slot_t(from)))
			continue;
		slot_set(segments_at(first, kept++), slot_t(from), slot_bits(from));
	}
	return kept;
}

/* Where a chain of n published slots goes on. */
static void segments_rewind(struct slx_slot *first, uint32_t n, struct slx_slot **ret_slots, uint8_t *ret_cap_log2)
{
	unsigned log2 = 2;
	while (n > 1u << log2)
		log2++;
	uint32_t base = segment_base(log2);
	*ret_slots = first ? segments_at(first, base) - base : NULL;
	*ret_cap_log2 = (uint8_t)log2;
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
	struct slx_slot *segment = atomic_load_explicit(&s->segment, memory_order_relaxed), *slots;
	uint32_t n = slots_without(segment, atomic_load_explicit(&s->tail_n, memory_order_relaxed), range);
	atomic_store_explicit(&s->tail_n, n, memory_order_relaxed);
	segments_rewind(segment, n, &slots, &s->tail_cap_log2);
	atomic_store_explicit(&s->tail, slots, memory_order_relaxed);
	if (late) {
		segment = atomic_load_explicit(&late->segment, memory_order_relaxed);
		atomic_store_explicit(&late->chunks, late_chunks, memory_order_release);
		n = slots_without(segment, atomic_load_explicit(&late->n, memory_order_relaxed), range);
		atomic_store_explicit(&late->n, n, memory_order_relaxed);
		segments_rewind(segment, n, &late->slots, &late->cap_log2);
	}
	slx_series_end(s);
	slx_stripe_publish(st);
	return SILEX_OK;
}
