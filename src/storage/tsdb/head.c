#include "storage/tsdb/head_int.h"

#include <stdlib.h>

enum { STRIPE_SLAB_MAX = 256 << 10, SHARD_SLAB_MAX = 128 << 10, MAP_FIRST = 64, TENANTS_FIRST = 8 };

/* --- life -------------------------------------------------------------------------------------------------------- */

silex_status slx_head_new(struct slx_mem *m, const struct slx_codec_choice *c, uint64_t generation, struct slx_head **ret, silex_error *err)
{
	struct slx_head *h = slx_calloc(m, SLX_MEM_HEAD, sizeof *h);
	if (!h)
		return slx_err_oom(err);
	h->mem = m;
	h->codecs = c;
	h->generation = generation;
	atomic_init(&h->refs, 1);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		slx_arena_init(&h->stripes[i].arena, m, SLX_MEM_HEAD, STRIPE_SLAB_MAX);
		slx_arena_init(&h->stripes[i].values, m, SLX_MEM_HEAD, STRIPE_SLAB_MAX);
		slx_buf_init(&h->stripes[i].decoded, m, SLX_MEM_HEAD, SIZE_MAX);
		slx_buf_init(&h->stripes[i].scratch, m, SLX_MEM_HEAD, SIZE_MAX);
	}
	for (unsigned i = 0; i < SLX_INDEX_SHARDS; i++) {
		slx_arena_init(&h->shards[i].arena, m, SLX_MEM_HEAD, SHARD_SLAB_MAX);
		pthread_rwlock_init(&h->shards[i].lock, NULL);
	}
	*ret = h;
	return SILEX_OK;
}

struct slx_head *slx_head_ref(struct slx_head *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void slx_head_unref(struct slx_head *h)
{
	if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct slx_mem *m = h->mem;
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_head_stripe *st = &h->stripes[i];
		slx_chunk_work_free(st->work);
		slx_buf_free(&st->scratch);
		slx_buf_free(&st->decoded);
		slx_arena_clear(&st->values);
		slx_free(m, SLX_MEM_HEAD, st->map, st->map_cap * sizeof *st->map);
		slx_arena_clear(&st->arena);
	}
	for (unsigned i = 0; i < SLX_INDEX_SHARDS; i++) {
		struct slx_index_shard *sh = &h->shards[i];
		slx_free(m, SLX_MEM_HEAD, sh->tenants, sh->cap * sizeof *sh->tenants);
		slx_arena_clear(&sh->arena);
		pthread_rwlock_destroy(&sh->lock);
	}
	slx_free(m, SLX_MEM_HEAD, h, sizeof *h);
}

uint64_t slx_head_generation(const struct slx_head *h)
{
	return h->generation;
}

/* --- vectors that do not move ------------------------------------------------------------------------------------- */

/* Address of element i; its page is made when it is not there yet. NULL when out of memory. */
static void *paged_make(struct slx_paged *v, struct slx_arena *a, uint32_t i, uint32_t first_log2, size_t size)
{
	unsigned k;
	uint32_t at;
	slx_paged_place(i, first_log2, &k, &at);
	uint8_t *page = atomic_load_explicit(&v->page[k], memory_order_relaxed);
	if (!page) {
		size_t bytes = size << (first_log2 + k);
		page = slx_arena_alloc(a, bytes, 64);
		if (!page)
			return NULL;
		memset(page, 0, bytes);
		atomic_store_explicit(&v->page[k], page, memory_order_release);
	}
	return page + (size_t)at * size;
}

static void *paged_at(const struct slx_paged *v, uint32_t i, uint32_t first_log2, size_t size)
{
	unsigned k;
	uint32_t at;
	slx_paged_place(i, first_log2, &k, &at);
	uint8_t *page = atomic_load_explicit(&v->page[k], memory_order_acquire);
	return page + (size_t)at * size;
}

/* --- map from identity to series ----------------------------------------------------------------------------------- */

void slx_stripe_publish(struct slx_head_stripe *st)
{
	atomic_store_explicit(&st->bytes, st->arena.total + st->values.total + (uint64_t)st->map_cap * sizeof *st->map, memory_order_relaxed);
}

static struct slx_head_series *stripe_series(const struct slx_head_stripe *st, uint32_t i)
{
	return paged_at(&st->series, i, SLX_SERIES_FIRST_LOG2, sizeof(struct slx_head_series));
}

static void map_put(uint64_t *map, uint32_t cap, uint64_t hash, uint32_t index)
{
	uint32_t i = (uint32_t)hash & (cap - 1);
	while (map[i])
		i = (i + 1) & (cap - 1);
	map[i] = (hash & ~UINT64_C(0xffffffff)) | ((uint64_t)index + 1);
}

/* Room for one more at a load of at most 3/4. */
static bool map_grow(struct slx_head *h, struct slx_head_stripe *st)
{
	if (st->map && (uint64_t)st->series_n * 4 < (uint64_t)st->map_cap * 3)
		return true;
	uint32_t cap = st->map_cap ? st->map_cap * 2 : MAP_FIRST;
	uint64_t *map = slx_calloc(h->mem, SLX_MEM_HEAD, cap * sizeof *map);
	if (!map)
		return false;
	for (uint32_t i = 0; i < st->series_n; i++)
		map_put(map, cap, stripe_series(st, i)->id.hi, i);
	slx_free(h->mem, SLX_MEM_HEAD, st->map, st->map_cap * sizeof *map);
	st->map = map;
	st->map_cap = cap;
	return true;
}

struct slx_head_series *slx_head_find(struct slx_head *h, struct slx_hash128 id)
{
	const struct slx_head_stripe *st = &h->stripes[slx_head_stripe(id)];
	if (!st->map)
		return NULL;
	for (uint32_t i = (uint32_t)id.hi & (st->map_cap - 1); st->map[i]; i = (i + 1) & (st->map_cap - 1)) {
		if ((st->map[i] ^ id.hi) >> 32)
			continue;
		struct slx_head_series *s = stripe_series(st, (uint32_t)st->map[i] - 1);
		if (slx_hash128_eq(s->id, id))
			return s;
	}
	return NULL;
}

/* --- tenants and their indexes -------------------------------------------------------------------------------------- */

struct slx_index_shard *slx_shard_of(struct slx_head *h, uint64_t tenant_hash)
{
	return &h->shards[tenant_hash >> 60];
}

struct slx_head_tenant *slx_shard_tenant(const struct slx_index_shard *sh, uint64_t hash, struct slx_str name)
{
	if (!sh->cap)
		return NULL;
	for (uint32_t i = (uint32_t)hash & (sh->cap - 1); sh->tenants[i]; i = (i + 1) & (sh->cap - 1))
		if (sh->tenants[i]->hash == hash && slx_str_eq(sh->tenants[i]->name, name))
			return sh->tenants[i];
	return NULL;
}

static bool tenants_grow(struct slx_head *h, struct slx_index_shard *sh)
{
	if (sh->cap && sh->n * 4 < sh->cap * 3)
		return true;
	uint32_t cap = sh->cap ? sh->cap * 2 : TENANTS_FIRST;
	struct slx_head_tenant **t = slx_calloc(h->mem, SLX_MEM_HEAD, cap * sizeof *t);
	if (!t)
		return false;
	for (uint32_t i = 0; i < sh->cap; i++)
		if (sh->tenants[i]) {
			uint32_t k = (uint32_t)sh->tenants[i]->hash & (cap - 1);
			while (t[k])
				k = (k + 1) & (cap - 1);
			t[k] = sh->tenants[i];
		}
	slx_free(h->mem, SLX_MEM_HEAD, sh->tenants, sh->cap * sizeof *t);
	sh->tenants = t;
	sh->cap = cap;
	return true;
}

static struct slx_head_tenant *tenant_make(struct slx_head *h, struct slx_index_shard *sh, uint64_t hash, struct slx_str name)
{
	struct slx_head_tenant *t = slx_shard_tenant(sh, hash, name);
	if (t)
		return t;
	if (!tenants_grow(h, sh))
		return NULL;
	t = slx_arena_alloc(&sh->arena, sizeof *t, 16);
	char *copy = slx_arena_alloc(&sh->arena, name.n, 1);
	if (!t || !copy)
		return NULL;
	memset(t, 0, sizeof *t);
	memcpy(copy, name.p, name.n);
	t->name = (struct slx_str){ copy, name.n };
	t->hash = hash;
	t->shard = sh;
	t->index = slx_memindex_new(&sh->arena);
	if (!t->index)
		return NULL;
	uint32_t i = (uint32_t)hash & (sh->cap - 1);
	while (sh->tenants[i])
		i = (i + 1) & (sh->cap - 1);
	sh->tenants[i] = t;
	sh->n++;
	return t;
}

static silex_status limit_error(uint64_t series_max, struct slx_str tenant, struct slx_labels l, silex_error *err)
{
	struct slx_str metric = slx_labels_get(l, SLX_METRIC_NAME);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
		"series limit of tenant %.*s reached (%llu); new series of metric \"%.*s\" refused, existing series still accept",
		(int)tenant.n, tenant.p, (unsigned long long)series_max, (int)metric.n, metric.p);
}

/* Puts s into the tenant's index; the shard's lock is held for writing. */
static silex_status index_series(struct slx_head *h, struct slx_index_shard *sh, uint64_t hash, struct slx_str tenant, struct slx_labels l,
	uint64_t series_max, struct slx_head_series *s, silex_error *err)
{
	struct slx_head_tenant *t = tenant_make(h, sh, hash, tenant);
	if (!t)
		return slx_err_oom(err);
	uint32_t ordinal = slx_memindex_count(t->index);
	if (series_max && ordinal >= series_max)
		return limit_error(series_max, tenant, l, err);
	struct slx_head_series **at = paged_make(&t->by_ordinal, &sh->arena, ordinal, SLX_ORDINALS_FIRST_LOG2, sizeof *at);
	if (!at)
		return slx_err_oom(err);
	s->tenant = t;
	s->ordinal = ordinal;
	*at = s;
	return slx_memindex_add(t->index, l, &s->ordinal, err);
}

silex_status slx_head_create(struct slx_head *h, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id, uint64_t series_max,
	struct slx_head_series **ret, silex_error *err)
{
	struct slx_head_stripe *st = &h->stripes[slx_head_stripe(id)];
	if (!map_grow(h, st))
		return slx_err_oom(err);
	struct slx_head_series *s = paged_make(&st->series, &st->arena, st->series_n, SLX_SERIES_FIRST_LOG2, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	memset(s, 0, sizeof *s);
	s->id = id;
	atomic_init(&s->last_t, SLX_TIME_MIN - 1);
	atomic_init(&s->kind, UINT8_MAX); /* no kind: the first append takes the slow way and makes the tail */
	atomic_init(&s->tmin, SLX_TIME_MAX);

	uint64_t hash = slx_hash64(tenant.p, tenant.n);
	struct slx_index_shard *sh = slx_shard_of(h, hash);
	pthread_rwlock_wrlock(&sh->lock);
	silex_status status = index_series(h, sh, hash, tenant, l, series_max, s, err);
	atomic_store_explicit(&sh->bytes, sh->arena.total + (uint64_t)sh->cap * sizeof *sh->tenants, memory_order_relaxed);
	pthread_rwlock_unlock(&sh->lock);
	if (status != SILEX_OK)
		return status;
	map_put(st->map, st->map_cap, id.hi, st->series_n++);
	atomic_fetch_add_explicit(&h->series_n, 1, memory_order_relaxed);
	if (slx_tenant_is_internal(tenant))
		atomic_fetch_add_explicit(&h->internal_n, 1, memory_order_relaxed);
	slx_stripe_publish(st);
	*ret = s;
	return SILEX_OK;
}

/* --- as a whole ----------------------------------------------------------------------------------------------------- */

uint64_t slx_head_series_count(struct slx_head *h)
{
	return atomic_load_explicit(&h->series_n, memory_order_relaxed);
}

uint64_t slx_head_internal_count(struct slx_head *h)
{
	return atomic_load_explicit(&h->internal_n, memory_order_relaxed);
}

uint64_t slx_head_bytes(struct slx_head *h)
{
	uint64_t sum = sizeof *h;
	for (unsigned i = 0; i < SLX_STRIPES; i++)
		sum += atomic_load_explicit(&h->stripes[i].bytes, memory_order_relaxed);
	for (unsigned i = 0; i < SLX_INDEX_SHARDS; i++)
		sum += atomic_load_explicit(&h->shards[i].bytes, memory_order_relaxed);
	return sum;
}

uint64_t slx_head_tenant_series(struct slx_head *h, struct slx_str tenant)
{
	uint64_t hash = slx_hash64(tenant.p, tenant.n);
	struct slx_index_shard *sh = slx_shard_of(h, hash);
	pthread_rwlock_rdlock(&sh->lock);
	struct slx_head_tenant *t = slx_shard_tenant(sh, hash, tenant);
	uint64_t n = t ? slx_memindex_count(t->index) : 0;
	pthread_rwlock_unlock(&sh->lock);
	return n;
}

static int str_order(const void *a, const void *b)
{
	return slx_str_cmp(*(const struct slx_str *)a, *(const struct slx_str *)b);
}

silex_status slx_head_tenants(struct slx_head *h, struct slx_mem *m, struct slx_str **ret, size_t *ret_n, silex_error *err)
{
	struct slx_str *names = NULL;
	size_t n = 0, cap = 0;
	for (unsigned k = 0; k < SLX_INDEX_SHARDS; k++) {
		struct slx_index_shard *sh = &h->shards[k];
		pthread_rwlock_rdlock(&sh->lock);
		struct slx_str *grown = slx_realloc(m, SLX_MEM_OTHER, names, cap * sizeof *names, (n + sh->n) * sizeof *names);
		if (grown) {
			names = grown;
			cap = n + sh->n;
			for (uint32_t i = 0; i < sh->cap; i++)
				if (sh->tenants[i])
					names[n++] = sh->tenants[i]->name;
		}
		pthread_rwlock_unlock(&sh->lock);
		if (!grown) {
			slx_free(m, SLX_MEM_OTHER, names, cap * sizeof *names);
			return slx_err_oom(err);
		}
	}
	qsort(names, n, sizeof *names, str_order);
	*ret = names;
	*ret_n = n;
	return SILEX_OK;
}
