/* Views: what readers see at one moment. A view is never changed after it is installed; an edit copies it. */
#include "engine/rollup_int.h"

#include <stdlib.h>

/* --- blocks in use ---------------------------------------------------------------------------------------------------- */

/* Opens what b->store holds. On failure b is gone. */
static struct slx_used_block *open_used(struct slx_engine *e, struct slx_used_block *b, const char *name, uint64_t tail_at, silex_error *err)
{
	if (slx_block_open_tail(b->store, name, tail_at, e->cache, &e->mem, &b->block, err) != SILEX_OK) {
		slx_used_block_unref(e, b);
		return NULL;
	}
	b->info = *slx_block_info(b->block);
	for (size_t i = 0; i < b->info.sections; i++)
		if (slx_tenant_is_internal(slx_block_section_tenant(b->block, i)))
			b->internal_points += slx_block_section_points(b->block, i);
	return b;
}

struct slx_used_block *slx_used_block_new(struct slx_engine *e, const char *name, silex_error *err)
{
	struct slx_used_block *b = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *b);
	if (!b) {
		slx_err_oom(err);
		return NULL;
	}
	atomic_init(&b->refs, 1);
	b->store = e->store;
	return open_used(e, b, name, UINT64_MAX, err);
}

struct slx_used_block *slx_used_block_cold(struct slx_engine *e, struct slx_upload *u, silex_error *err)
{
	struct slx_used_block *b = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *b);
	struct slx_stub stub = { 0 };
	char name[SLX_BLOCK_NAME_SIZE];
	if (!b) {
		slx_err_oom(err);
		return NULL;
	}
	atomic_init(&b->refs, 1);
	slx_tier_stub_name(u->block, name);
	uint64_t tail_at = 0;
	silex_error own = { 0 };
	silex_status status = slx_stub_read(e->store, name, &e->mem, &stub, &own);
	if ((status == SILEX_NOT_FOUND || status == SILEX_CORRUPT) && slx_tier_mend(e, u, name, &own) == SILEX_OK)
		status = slx_stub_read(e->store, name, &e->mem, &stub, &own);
	if (status != SILEX_OK)
		slx_err(err, status, "%s", own.message);
	if (status == SILEX_OK) {
		tail_at = stub.tail_at;
		status = slx_far_open(&u->place->source, u->object, e->store, name, &stub, e->cache, &e->mem, &b->store, err);
	}
	if (status != SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_OTHER, b, sizeof *b);
		return NULL;
	}
	u->state = SLX_UPLOAD_COLD;
	atomic_fetch_add(&u->users, 1);
	b->upload = u;
	return open_used(e, b, u->block, tail_at, err);
}

void slx_used_block_unref(struct slx_engine *e, struct slx_used_block *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	slx_block_unref(b->block);
	if (b->upload)
		slx_store_close(b->store);
	if (atomic_load(&b->doomed)) {
		silex_error err;
		char stub[SLX_BLOCK_NAME_SIZE];
		slx_tier_stub_name(b->info.name, stub);
		if (slx_store_remove(e->store, b->upload ? stub : b->info.name, &err) != SILEX_OK)
			slx_engine_log(e, 2, "removing block %s: %s (it goes at the next open)", b->info.name, err.message);
	}
	if (b->upload)
		atomic_fetch_sub(&b->upload->users, 1); /* the object is garbage now, if it is */
	slx_free(&e->mem, SLX_MEM_OTHER, b, sizeof *b);
}

/* --- tombstones --------------------------------------------------------------------------------------------------------- */

struct slx_tombstone *slx_tombstone_new(struct slx_engine *e, struct slx_str tenant, struct slx_str selector, struct slx_time_range range,
	uint64_t version, silex_error *err)
{
	size_t size = sizeof(struct slx_tombstone) + tenant.n + selector.n;
	struct slx_tombstone *t = slx_calloc(&e->mem, SLX_MEM_OTHER, size);
	if (!t) {
		slx_err_oom(err);
		return NULL;
	}
	char *p = (char *)(t + 1);
	if (tenant.n)
		memcpy(p, tenant.p, tenant.n);
	if (selector.n)
		memcpy(p + tenant.n, selector.p, selector.n);
	atomic_init(&t->refs, 1);
	t->version = version;
	t->range = range;
	t->tenant = (struct slx_str){ p, tenant.n };
	t->text = p + tenant.n;
	t->text_n = selector.n;
	if (slx_selector_parse(&e->mem, (struct slx_str){ t->text, t->text_n }, &t->sel, err) != SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_OTHER, t, size);
		return NULL;
	}
	return t;
}

void slx_tombstone_unref(struct slx_engine *e, struct slx_tombstone *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	size_t size = sizeof *t + t->tenant.n + t->text_n;
	slx_selector_free(&t->sel);
	slx_free(&e->mem, SLX_MEM_OTHER, t, size);
}

/* The ends of the buckets of that width that hold samples of the range. */
static struct slx_time_range bucket_ends(struct slx_time_range r, int64_t width_ms)
{
	struct slx_time_range ms = { slx_rollup_ms(r.from), slx_rollup_ms(r.to) };
	return (struct slx_time_range){ r.from <= SLX_TIME_MIN ? SLX_TIME_MIN : ms.from * SLX_MS, slx_rollup_range(0, ms.to + width_ms - 1).to };
}

struct slx_time_range slx_tombstone_range(const struct slx_tombstone *t, struct slx_str tenant)
{
	int64_t width;
	return slx_rollup_tenant_of(tenant, t->tenant, &width) ? bucket_ends(t->range, width) : t->range;
}

struct slx_time_range slx_tombstone_reach(struct slx_engine *e, const struct slx_tombstone *t)
{
	int64_t widest = slx_rollup_widest(e, t->tenant);
	return widest ? bucket_ends(t->range, widest) : t->range;
}

silex_status slx_tombstone_matches(const struct slx_tombstone *t, struct slx_str tenant, struct slx_labels l, struct slx_time_range *ret_range, bool *ret,
	silex_error *err)
{
	char room[SLX_COMPANION_NAME_SIZE];
	int64_t width;
	*ret = false;
	*ret_range = t->range;
	if (!slx_str_eq(t->tenant, tenant) && !slx_str_eq(slx_companion_exemplars(t->tenant, room), tenant)) {
		if (!slx_rollup_tenant_of(tenant, t->tenant, &width))
			return SILEX_OK;
		*ret_range = bucket_ends(t->range, width);
	}
	return slx_matchers_test(t->sel.matchers, t->sel.n, l, ret, err);
}

/* --- views ---------------------------------------------------------------------------------------------------------------- */

struct slx_view *slx_view_get(struct slx_engine *e)
{
	pthread_mutex_lock(&e->view_lock);
	struct slx_view *v = e->view;
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&e->view_lock);
	return v;
}

struct slx_view *slx_view_of_blocks(struct slx_engine *e)
{
	struct slx_view *v = slx_view_copy(e, 0, 0);
	if (!v)
		return NULL;
	slx_head_unref(v->active);
	slx_head_unref(v->frozen);
	v->active = v->frozen = NULL;
	return v;
}

static size_t view_size(size_t blocks, size_t tombs)
{
	return sizeof(struct slx_view) + blocks * sizeof(void *) + tombs * sizeof(void *);
}

/* n_blocks and n_tombs may shrink after the copy (an edit drops some), so the sizes it was made with stand apart. */
struct sized_view {
	size_t size;
	struct slx_view view;
};

void slx_view_unref(struct slx_view *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct slx_engine *e = v->engine;
	struct sized_view *sv = (struct sized_view *)((char *)v - offsetof(struct sized_view, view));
	slx_head_unref(v->active);
	slx_head_unref(v->frozen);
	for (size_t i = 0; i < v->n_blocks; i++)
		slx_used_block_unref(e, v->blocks[i]);
	for (size_t i = 0; i < v->n_tombs; i++)
		slx_tombstone_unref(e, v->tombs[i]);
	slx_free(&e->mem, SLX_MEM_OTHER, sv, sv->size);
}

struct slx_view *slx_view_copy(struct slx_engine *e, size_t more_blocks, size_t more_tombs)
{
	struct slx_view *from = e->view ? slx_view_get(e) : NULL;
	size_t blocks = (from ? from->n_blocks : 0) + more_blocks, tombs = (from ? from->n_tombs : 0) + more_tombs;
	size_t size = offsetof(struct sized_view, view) + view_size(blocks, tombs);
	struct sized_view *sv = slx_calloc(&e->mem, SLX_MEM_OTHER, size);
	if (!sv) {
		slx_view_unref(from);
		return NULL;
	}
	struct slx_view *v = &sv->view;
	sv->size = size;
	atomic_init(&v->refs, 1);
	v->engine = e;
	v->blocks = (struct slx_used_block **)(v + 1);
	v->tombs = (struct slx_tombstone **)(v->blocks + blocks);
	if (!from)
		return v;
	v->active = from->active ? slx_head_ref(from->active) : NULL;
	v->frozen = from->frozen ? slx_head_ref(from->frozen) : NULL;
	v->frozen_floor = from->frozen_floor;
	for (; v->n_blocks < from->n_blocks; v->n_blocks++) {
		v->blocks[v->n_blocks] = from->blocks[v->n_blocks];
		atomic_fetch_add_explicit(&v->blocks[v->n_blocks]->refs, 1, memory_order_relaxed);
	}
	for (; v->n_tombs < from->n_tombs; v->n_tombs++) {
		v->tombs[v->n_tombs] = from->tombs[v->n_tombs];
		atomic_fetch_add_explicit(&v->tombs[v->n_tombs]->refs, 1, memory_order_relaxed);
	}
	slx_view_unref(from);
	return v;
}

void slx_view_install(struct slx_engine *e, struct slx_view *v)
{
	pthread_mutex_lock(&e->view_lock);
	struct slx_view *old = e->view;
	e->view = v;
	pthread_mutex_unlock(&e->view_lock);
	slx_view_unref(old);
}

static int by_version(const void *a, const void *b)
{
	const struct slx_used_block *x = *(struct slx_used_block *const *)a, *y = *(struct slx_used_block *const *)b;
	if (x->info.vmax != y->info.vmax)
		return x->info.vmax < y->info.vmax ? -1 : 1;
	return x->info.tmin < y->info.tmin ? -1 : x->info.tmin > y->info.tmin;
}

void slx_view_sort_blocks(struct slx_view *v)
{
	qsort(v->blocks, v->n_blocks, sizeof *v->blocks, by_version);
}

static bool still_hides(struct slx_engine *e, const struct slx_view *v, const struct slx_tombstone *t)
{
	if (v->frozen && v->frozen_floor < t->version)
		return true;
	struct slx_time_range reach = slx_tombstone_reach(e, t);
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct slx_block_info *b = &v->blocks[i]->info;
		if (b->floor < t->version && slx_range_overlaps(reach, (struct slx_time_range){ b->tmin, b->tmax }))
			return true;
	}
	return e->lost != NULL; /* a block that cannot be read now may come back from a backup */
}

void slx_view_prune_tombs(struct slx_engine *e, struct slx_view *v)
{
	size_t kept = 0;
	for (size_t i = 0; i < v->n_tombs; i++)
		if (still_hides(e, v, v->tombs[i]))
			v->tombs[kept++] = v->tombs[i];
		else
			slx_tombstone_unref(e, v->tombs[i]);
	v->n_tombs = kept;
}
