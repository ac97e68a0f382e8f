/* Memory of one query: taken from the database's allocator, within the query's own limit. */
#include "query/query_int.h"

enum { LARGE = 65536 }; /* from here on the database is asked whether it has so much left */

static bool database_is_full(struct slx_query_memory *m, size_t n)
{
	return n >= LARGE && slx_engine_query_room(m->engine) < (int64_t)n;
}

static silex_status too_much(struct slx_query_memory *m, size_t n, silex_error *err)
{
	int64_t used = atomic_load_explicit(&m->used, memory_order_relaxed);
	if (database_is_full(m, n))
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
			"the query holds %lld bytes and needs %zu more; the database has %lld left for queries", (long long)used, n,
			(long long)slx_engine_query_room(m->engine));
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
		"the query holds %lld bytes and needs %zu more; its limit is %lld (narrow it, or raise memory_limit)",
		(long long)used, n, (long long)m->limit);
}

/* Books n bytes; false when they go over the limit. */
static bool book(struct slx_query_memory *m, size_t n)
{
	if (n > INT64_MAX / 2 || database_is_full(m, n))
		return false;
	int64_t used = atomic_fetch_add_explicit(&m->used, (int64_t)n, memory_order_relaxed) + (int64_t)n;
	if (used <= m->limit)
		return true;
	atomic_fetch_sub_explicit(&m->used, (int64_t)n, memory_order_relaxed);
	return false;
}

silex_status slx_query_alloc(struct slx_query_memory *m, size_t n, void **ret, silex_error *err)
{
	*ret = NULL;
	if (n == 0)
		return SILEX_OK;
	if (!book(m, n))
		return too_much(m, n, err);
	*ret = slx_calloc(m->mem, SLX_MEM_QUERY, n);
	if (*ret)
		return SILEX_OK;
	atomic_fetch_sub_explicit(&m->used, (int64_t)n, memory_order_relaxed);
	return slx_err_oom(err);
}

silex_status slx_query_grow(
	struct slx_query_memory *m, void *p, size_t *cap, size_t each, size_t need, silex_error *err)
{
	if (need <= *cap)
		return SILEX_OK;
	size_t n = *cap ? *cap * 2 : 64;
	if (n < need)
		n = need;
	if (!book(m, (n - *cap) * each)) {
		n = need; /* perhaps what is needed fits, if doubling does not */
		if (!book(m, (n - *cap) * each))
			return too_much(m, (n - *cap) * each, err);
	}
	void *grown = slx_realloc(m->mem, SLX_MEM_QUERY, *(void **)p, *cap * each, n * each);
	if (!grown) {
		atomic_fetch_sub_explicit(&m->used, (int64_t)((n - *cap) * each), memory_order_relaxed);
		return slx_err_oom(err);
	}
	*(void **)p = grown;
	*cap = n;
	return SILEX_OK;
}

void slx_query_release(struct slx_query_memory *m, void *p, size_t n)
{
	if (!p)
		return;
	slx_free(m->mem, SLX_MEM_QUERY, p, n);
	atomic_fetch_sub_explicit(&m->used, (int64_t)n, memory_order_relaxed);
}
