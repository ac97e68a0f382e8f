/* Reading the head without its locks: see head.h. Each attempt copies a series' structure and is thrown away when the
 * sequence counter moved meanwhile. */
#include "storage/tsdb/head_int.h"

#include <sched.h>

silex_status slx_head_select(struct slx_head *h, struct slx_str tenant, struct slx_matcher *const *ms, size_t n, struct slx_mem *m,
	struct slx_head_series ***ret, size_t *ret_n, silex_error *err)
{
	uint64_t hash = slx_hash64(tenant.p, tenant.n);
	struct slx_index_shard *sh = slx_shard_of(h, hash);
	struct slx_ordinals o = { 0 };
	pthread_rwlock_rdlock(&sh->lock);
	struct slx_head_tenant *t = slx_shard_tenant(sh, hash, tenant);
	silex_status status = t ? slx_memindex_select(t->index, ms, n, m, &o, err) : SILEX_OK;
	pthread_rwlock_unlock(&sh->lock);
	*ret = NULL;
	*ret_n = 0;
	if (status != SILEX_OK || o.n == 0)
		goto out;
	struct slx_head_series **v = slx_alloc(m, SLX_MEM_QUERY, o.n * sizeof *v);
	if (!v) {
		status = slx_err_oom(err);
		goto out;
	}
	for (size_t i = 0; i < o.n; i++) {
		unsigned k;
		uint32_t at;
		slx_paged_place(o.p[i], SLX_ORDINALS_FIRST_LOG2, &k, &at);
		struct slx_head_series **page = atomic_load_explicit(&t->by_ordinal.page[k], memory_order_acquire);
		v[i] = page[at]; /* written before the ordinal could be selected, under the shard's lock */
	}
	*ret = v;
	*ret_n = o.n;
out:
	slx_ordinals_free(&o);
	return status;
}

/* The tenant's series, one after the other, until visit returns false. */
static void each_series(struct slx_head *h, struct slx_str tenant, bool (*visit)(void *arg, const struct slx_head_series *s), void *arg)
{
	uint64_t hash = slx_hash64(tenant.p, tenant.n);
	struct slx_index_shard *sh = slx_shard_of(h, hash);
	bool more = true;
	pthread_rwlock_rdlock(&sh->lock);
	struct slx_head_tenant *t = slx_shard_tenant(sh, hash, tenant);
	for (uint32_t i = 0, n = t ? slx_memindex_count(t->index) : 0; i < n && more; i++) {
		unsigned k;
		uint32_t at;
		slx_paged_place(i, SLX_ORDINALS_FIRST_LOG2, &k, &at);
		struct slx_head_series **page = atomic_load_explicit(&t->by_ordinal.page[k], memory_order_acquire);
		more = visit(arg, page[at]);
	}
	pthread_rwlock_unlock(&sh->lock);
}

struct touch {
	struct slx_time_range range;
	bool any;
};

static bool visit_touch(void *arg, const struct slx_head_series *s)
{
	struct touch *t = arg;
	t->any = slx_head_touches(s, t->range);
	return !t->any;
}

bool slx_head_tenant_touches(struct slx_head *h, struct slx_str tenant, struct slx_time_range range)
{
	struct touch t = { .range = range };
	each_series(h, tenant, visit_touch, &t);
	return t.any;
}

static bool visit_extent(void *arg, const struct slx_head_series *s)
{
	struct slx_time_range *r = arg;
	int64_t from = atomic_load_explicit(&s->tmin, memory_order_relaxed), to = atomic_load_explicit(&s->last_t, memory_order_relaxed);
	if (from > to)
		return true; /* without samples */
	if (from < r->from)
		r->from = from;
	if (to > r->to)
		r->to = to;
	return true;
}

struct slx_time_range slx_head_tenant_extent(struct slx_head *h, struct slx_str tenant)
{
	struct slx_time_range r = { INT64_MAX, INT64_MIN };
	each_series(h, tenant, visit_extent, &r);
	return r;
}

silex_status slx_head_strings(struct slx_head *h, struct slx_str tenant, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *m, struct slx_strings *ret, silex_error *err)
{
	uint64_t hash = slx_hash64(tenant.p, tenant.n);
	struct slx_index_shard *sh = slx_shard_of(h, hash);
	silex_status status = SILEX_OK;
	*ret = (struct slx_strings){ 0 };
	pthread_rwlock_rdlock(&sh->lock);
	struct slx_head_tenant *t = slx_shard_tenant(sh, hash, tenant);
	if (t && name)
		status = slx_memindex_values(t->index, *name, ms, n, m, ret, err);
	else if (t)
		status = slx_memindex_names(t->index, ms, n, m, ret, err);
	pthread_rwlock_unlock(&sh->lock);
	return status;
}

void slx_head_labels(struct slx_head *h, const struct slx_head_series *s, struct slx_buf *out)
{
	struct slx_index_shard *sh = s->tenant->shard;
	pthread_rwlock_rdlock(&sh->lock);
	slx_memindex_labels(s->tenant->index, s->ordinal, out);
	pthread_rwlock_unlock(&sh->lock);
}

/* --- collecting ------------------------------------------------------------------------------------------------------- */

struct collect {
	struct slx_time_range range;
	uint64_t rank_base, floor;
	struct slx_arena *arena;
	struct slx_part **parts;
	size_t *n, *cap;
};

static struct slx_part *part_add(struct collect *c, uint64_t rank)
{
	if (*c->n == *c->cap) {
		size_t cap = *c->cap ? *c->cap * 2 : 8;
		struct slx_part *p = slx_arena_alloc(c->arena, cap * sizeof *p, 16);
		if (!p)
			return NULL;
		if (*c->n)
			memcpy(p, *c->parts, *c->n * sizeof *p);
		*c->parts = p;
		*c->cap = cap;
	}
	struct slx_part *p = &(*c->parts)[(*c->n)++];
	*p = (struct slx_part){ .rank = rank, .floor = c->floor };
	return p;
}

static bool touches(const struct slx_memchunk *m, struct slx_time_range range)
{
	return m->meta.tmin <= range.to && m->meta.tmax >= range.from;
}

/* The first chunk that does not end before t: they ascend, and looking at each would miss the cache each time. */
static uint32_t first_until(const struct slx_chunk_list *l, uint32_t n, int64_t t)
{
	uint32_t from = 0;
	while (n > 0) {
		uint32_t half = n / 2;
		const struct slx_memchunk *m = atomic_load_explicit(&l->p[from + half], memory_order_acquire);
		if (m->meta.tmax < t) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

static bool collect_chunks(struct collect *c, const struct slx_chunk_list *l)
{
	uint32_t n = l ? atomic_load_explicit(&l->n, memory_order_acquire) : 0;
	const struct slx_memchunk **copy = NULL;
	uint32_t kept = 0;
	for (uint32_t i = first_until(l, n, c->range.from); i < n; i++) {
		const struct slx_memchunk *m = atomic_load_explicit(&l->p[i], memory_order_acquire);
		if (m->meta.tmin > c->range.to)
			break;
		if (!copy && !(copy = slx_arena_alloc(c->arena, (n - i) * sizeof *copy, 8)))
			return false;
		copy[kept++] = m;
	}
	if (kept == 0)
		return true;
	struct slx_part *p = part_add(c, c->rank_base);
	if (!p)
		return false;
	p->type = SLX_PART_MEMORY;
	p->memory.chunks = copy;
	p->memory.n = kept;
	return true;
}

static bool raw_add(struct collect *c, const int64_t *ts, const uint64_t *bits, size_t n, enum slx_kind kind, uint64_t rank)
{
	if (n == 0)
		return true;
	struct slx_part *p = part_add(c, rank);
	if (!p)
		return false;
	p->type = SLX_PART_RAW;
	p->raw.ts = ts;
	p->raw.bits = bits;
	p->raw.n = n;
	p->raw.kind = kind;
	return true;
}

static bool collect_tail(struct collect *c, struct slx_head_series *s, uint32_t seq)
{
	struct slx_slot *segment = atomic_load_explicit(&s->segment, memory_order_acquire);
	uint32_t n = atomic_load_explicit(&s->tail_n, memory_order_acquire);
	enum slx_kind kind = atomic_load_explicit(&s->kind, memory_order_relaxed);
	if (n == 0 || n > SLX_TAIL_MAX || atomic_fetch_add_explicit(&s->seq, 0, memory_order_acq_rel) != seq)
		return true; /* length and kind may not belong together; the caller will see it too */
	int64_t *ts = slx_arena_alloc(c->arena, n * 16, 8);
	if (!ts)
		return false;
	uint64_t *bits = (uint64_t *)ts + n;
	slx_segments_copy(segment, n, ts, bits);
	uint32_t from = 0;
	while (n > from && ts[n - 1] > c->range.to)
		n--;
	while (from < n && ts[from] < c->range.from)
		from++;
	return raw_add(c, ts + from, bits + from, n - from, kind, c->rank_base);
}

static bool collect_late(struct collect *c, struct slx_head_series *s, uint32_t seq)
{
	struct slx_late *late = atomic_load_explicit(&s->late, memory_order_acquire);
	if (!late)
		return true;
	const struct slx_chunk_list *l = atomic_load_explicit(&late->chunks, memory_order_acquire);
	uint32_t chunks = l ? atomic_load_explicit(&l->n, memory_order_acquire) : 0;
	for (uint32_t i = 0; i < chunks; i++) {
		const struct slx_memchunk *m = atomic_load_explicit(&l->p[i], memory_order_acquire);
		if (!touches(m, c->range))
			continue;
		const struct slx_memchunk **one = slx_arena_alloc(c->arena, sizeof *one, 8);
		struct slx_part *p = one ? part_add(c, c->rank_base + 1 + i) : NULL;
		if (!p)
			return false;
		*one = m;
		p->type = SLX_PART_MEMORY;
		p->memory.chunks = one;
		p->memory.n = 1;
	}
	struct slx_slot *segment = atomic_load_explicit(&late->segment, memory_order_acquire);
	uint32_t n = atomic_load_explicit(&late->n, memory_order_acquire);
	enum slx_kind kind = atomic_load_explicit(&late->kind, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&s->seq, 0, memory_order_acq_rel) != seq || n > SLX_LATE_MAX || n == 0)
		return true;
	int64_t *ts = slx_arena_alloc(c->arena, n * 16, 8);
	if (!ts)
		return false;
	uint64_t *bits = (uint64_t *)ts + n;
	size_t k = slx_late_sort(segment, n, ts, bits);
	return raw_add(c, ts, bits, k, kind, c->rank_base + 1 + chunks);
}

silex_status slx_head_collect(struct slx_head *h, struct slx_head_series *s, struct slx_time_range range, uint64_t rank_base, uint64_t floor,
	struct slx_arena *a, struct slx_part **parts, size_t *n, size_t *cap, silex_error *err)
{
	struct collect c = { range, rank_base, floor, a, parts, n, cap };
	size_t n_before = *n;
	for (;;) {
		uint32_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);
		if (seq & 1) {
			sched_yield();
			continue;
		}
		bool room = collect_chunks(&c, atomic_load_explicit(&s->chunks, memory_order_acquire)) && collect_tail(&c, s, seq) &&
			    collect_late(&c, s, seq);
		if (!room)
			return slx_err_oom(err);
		if (atomic_fetch_add_explicit(&s->seq, 0, memory_order_acq_rel) == seq)
			return SILEX_OK;
		*n = n_before;
	}
}
