/* Roll-ups: policies, their marks, what the manifest keeps of them, and what queries see. The idea is in rollup.h.
 *
 *     varint n; policies{ str tenant, selector; varint levels; { varint width / s, varint 0 nothing built | 1 + zigzag(built / width) }* }
 *     varint n; late    { str tenant; u8 1 of a series; id[16] | str selector; varint zigzag(from), varint to - from }      (ms)
 *     str: varint n, bytes */
#include "engine/rollup_int.h"

#include "engine/retention_int.h"

#include <stdlib.h>

enum { LATE_STORED_MAX = 1 << 20 };

/* ---- policies ---- */

static struct slx_rollup_policy *policy_new(struct slx_engine *e, struct slx_tenant *t, struct slx_str selector, silex_error *err)
{
	struct slx_rollup_policy *p = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *p + selector.n);
	if (!p) {
		slx_err_oom(err);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	p->engine = e;
	p->tenant = t;
	p->text = (char *)(p + 1);
	p->text_n = selector.n;
	if (selector.n)
		memcpy(p->text, selector.p, selector.n);
	if (slx_selector_parse(&e->mem, (struct slx_str){ p->text, p->text_n }, &p->sel, err) != SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_OTHER, p, sizeof *p + selector.n);
		return NULL;
	}
	return p;
}

void slx_rollup_policy_unref(struct slx_rollup_policy *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	slx_selector_free(&p->sel);
	slx_free(&p->engine->mem, SLX_MEM_OTHER, p, sizeof *p + p->text_n);
}

static struct slx_rollup_policy *policy_ref(struct slx_rollup_policy *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

silex_status slx_rollups_new(struct slx_engine *e, silex_error *err)
{
	struct slx_rollups *r = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *r);
	pthread_condattr_t monotonic;
	if (!r)
		return slx_err_oom(err);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->work_lock, NULL);
	pthread_mutex_init(&r->round_lock, NULL);
	r->late.mem = r->busy.mem = r->done.mem = &e->mem;
	e->rollups = r;
	return SILEX_OK;
}

void slx_rollups_free(struct slx_engine *e)
{
	struct slx_rollups *r = e->rollups;
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		slx_rollup_policy_unref(r->policies[i]);
	slx_late_free(&r->late);
	slx_late_free(&r->busy);
	slx_late_free(&r->done);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->work_lock);
	pthread_mutex_destroy(&r->round_lock);
	pthread_cond_destroy(&r->wake);
	slx_free(&e->mem, SLX_MEM_OTHER, r, sizeof *r);
	e->rollups = NULL;
}

size_t slx_rollup_policies(struct slx_engine *e, struct slx_rollup_policy *ret[SLX_ROLLUP_POLICIES_MAX])
{
	struct slx_rollups *r = e->rollups;
	pthread_mutex_lock(&r->lock);
	size_t n = r->n;
	for (size_t i = 0; i < n; i++)
		ret[i] = policy_ref(r->policies[i]);
	pthread_mutex_unlock(&r->lock);
	return n;
}

void slx_rollup_set_mark(struct slx_engine *e, struct slx_tenant *t, int64_t at)
{
	struct slx_rollups *r = e->rollups;
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->policies[i]->n && r->policies[i]->tenant == t; k++)
			at = r->policies[i]->levels[k].built > at ? r->policies[i]->levels[k].built : at;
	atomic_store(&t->rollup_mark, at == SLX_ROLLUP_NOTHING_BUILT ? INT64_MIN : slx_rollup_range(at, at).to);
}

int64_t slx_rollup_widest(struct slx_engine *e, struct slx_str tenant)
{
	struct slx_rollups *r = e->rollups;
	int64_t widest = 0;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++) {
		const struct slx_rollup_policy *p = r->policies[i];
		if (p->n && slx_str_eq(p->tenant->name, tenant) && p->levels[p->n - 1].width > widest)
			widest = p->levels[p->n - 1].width;
	}
	pthread_mutex_unlock(&r->lock);
	return widest;
}

/* ---- setting ---- */

static int by_width(const void *a, const void *b)
{
	int64_t x = ((const struct slx_rollup_mark *)a)->width, y = ((const struct slx_rollup_mark *)b)->width;
	return x < y ? -1 : x > y;
}

static silex_status set_levels(struct slx_rollup_policy *p, const int64_t *widths, size_t n, silex_error *err)
{
	if (n > SLX_ROLLUP_LEVELS_MAX)
		return slx_err(err, SILEX_INVALID, "%zu roll-up levels; expected at most %d", n, SLX_ROLLUP_LEVELS_MAX);
	for (size_t i = 0; i < n; i++) {
		SLX_TRY(slx_rollup_width_check(widths[i], err));
		p->levels[i] = (struct slx_rollup_mark){ widths[i], SLX_ROLLUP_NOTHING_BUILT, SLX_ROLLUP_NOTHING_BUILT, SLX_ROLLUP_NOTHING_BUILT, 0 };
	}
	p->n = n;
	qsort(p->levels, n, sizeof *p->levels, by_width);
	for (size_t i = 1; i < n; i++)
		if (p->levels[i].width == p->levels[i - 1].width)
			return slx_err(err, SILEX_INVALID, "a roll-up level of %lld ms is given twice", (long long)p->levels[i].width);
	return SILEX_OK;
}

static void take_over(struct slx_rollup_policy *p, const struct slx_rollup_policy *from)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < from->n; k++)
			if (from->levels[k].width == p->levels[i].width)
				p->levels[i] = from->levels[k];
}

/* The place of the tenant's policy of that selector; r->n when there is none. lock held. */
static size_t find_policy(const struct slx_rollups *r, const struct slx_tenant *t, const struct slx_rollup_policy *like)
{
	size_t i = 0;
	while (i < r->n && (r->policies[i]->tenant != t || r->policies[i]->text_n != like->text_n ||
				   memcmp(r->policies[i]->text, like->text, like->text_n) != 0))
		i++;
	return i;
}

/* Puts p in the place of what was there (*ret_was: a reference, NULL when there was nothing); without levels it goes. manifest_lock
 * held. */
static silex_status install(struct slx_engine *e, struct slx_rollup_policy *p, struct slx_rollup_policy **ret_was, silex_error *err)
{
	struct slx_rollups *r = e->rollups;
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&r->lock);
	size_t i = find_policy(r, p->tenant, p);
	*ret_was = i < r->n ? r->policies[i] : NULL;
	if (*ret_was)
		take_over(p, *ret_was);
	if (i == SLX_ROLLUP_POLICIES_MAX) {
		status = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "there are %d roll-up policies; expected no more", SLX_ROLLUP_POLICIES_MAX);
	} else if (p->n) {
		r->policies[i] = policy_ref(p);
		r->n += !*ret_was;
	} else if (*ret_was) {
		memmove(&r->policies[i], &r->policies[i + 1], (--r->n - i) * sizeof *r->policies);
	}
	slx_rollup_set_mark(e, p->tenant, SLX_ROLLUP_NOTHING_BUILT);
	pthread_mutex_unlock(&r->lock);
	return status;
}

static silex_status set_policy(struct slx_engine *e, struct slx_rollup_policy *p, silex_error *err)
{
	struct slx_rollup_policy *was = NULL;
	pthread_mutex_lock(&e->rollups->work_lock);
	pthread_mutex_lock(&e->manifest_lock);
	silex_status status = install(e, p, &was, err);
	if (status == SILEX_OK)
		status = slx_manifest_store(e, e->view, e->checkpoint_seq, e->max_version, err);
	pthread_mutex_unlock(&e->manifest_lock);
	pthread_mutex_unlock(&e->rollups->work_lock);
	slx_rollup_policy_unref(was);
	return status;
}

silex_status slx_engine_rollup_set(struct slx_engine *e, struct slx_tenant *t, const struct slx_selector *sel, const int64_t *widths_ms, size_t n,
	silex_error *err)
{
	struct slx_buf text;
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	slx_buf_init(&text, &e->mem, SLX_MEM_OTHER, 1 << 20);
	slx_selector_format(sel, &text);
	struct slx_rollup_policy *p = text.failed ? NULL : policy_new(e, t, (struct slx_str){ (char *)text.p, text.n }, err);
	slx_buf_free(&text);
	if (!p)
		return err && err->code != SILEX_OK ? err->code : slx_err_oom(err);
	silex_status status = set_levels(p, widths_ms, n, err);
	if (status == SILEX_OK)
		status = set_policy(e, p, err);
	slx_rollup_policy_unref(p);
	return status;
}

static uint64_t late_of(const struct slx_rollups *r, const struct slx_tenant *t)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->late.n; i++)
		n += r->late.e[i].tenant == t;
	for (size_t i = 0; i < r->busy.n; i++)
		n += r->busy.e[i].tenant == t;
	return n;
}

silex_status slx_engine_rollups(struct slx_engine *e, bool (*each)(void *arg, const struct slx_rollup_status *s), void *arg, silex_error *err)
{
	struct slx_rollup_policy **p = slx_calloc(&e->mem, SLX_MEM_OTHER, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	if (!p)
		return slx_err_oom(err);
	size_t n = slx_rollup_policies(e, p);
	bool more = true;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < p[i]->n && more; k++) {
			pthread_mutex_lock(&e->rollups->lock);
			struct slx_rollup_status s = { p[i]->tenant->name, { p[i]->text, p[i]->text_n }, p[i]->levels[k].width, p[i]->levels[k].built,
				late_of(e->rollups, p[i]->tenant), p[i]->levels[k].buckets };
			pthread_mutex_unlock(&e->rollups->lock);
			more = each(arg, &s);
		}
		slx_rollup_policy_unref(p[i]);
	}
	slx_free(&e->mem, SLX_MEM_OTHER, p, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	return SILEX_OK;
}

int64_t slx_rollup_settled(struct slx_engine *e, struct slx_str tenant)
{
	struct slx_rollups *r = e->rollups;
	int64_t least = INT64_MAX;
	pthread_mutex_lock(&e->view_lock);
	bool frozen = e->view->frozen != NULL;
	pthread_mutex_unlock(&e->view_lock);
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->policies[i]->n && slx_str_eq(r->policies[i]->tenant->name, tenant); k++) {
			const struct slx_rollup_mark *m = &r->policies[i]->levels[k];
			int64_t ms = frozen ? m->safe : m->frozen, ns;
			if (ms == SLX_ROLLUP_NOTHING_BUILT)
				least = INT64_MIN;
			else if (!__builtin_mul_overflow(ms, SLX_MS, &ns) && ns < least)
				least = ns;
		}
	pthread_mutex_unlock(&r->lock);
	return least;
}

/* ---- what the manifest keeps ---- */

/* Rebuilt windows whose buckets are in blocks need not be known any more. A freeze comes only when the one before it is in blocks. */
void slx_rollups_freeze(struct slx_engine *e, uint64_t gen)
{
	struct slx_rollups *r = e->rollups;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->policies[i]->n; k++) {
			struct slx_rollup_mark *m = &r->policies[i]->levels[k];
			m->safe = m->frozen;
			m->frozen = m->built;
		}
	struct slx_late_set kept = { .mem = r->done.mem };
	bool fits = true;
	for (size_t i = 0; i < r->done.n && fits; i++)
		fits = r->done.e[i].gen < gen || slx_late_add(&kept, &r->done.e[i]);
	if (fits) {
		slx_late_free(&r->done);
		r->done = kept;
	} else {
		slx_late_free(&kept); /* they are stored once more than needed */
	}
	pthread_mutex_unlock(&r->lock);
}

bool slx_rollups_any(struct slx_engine *e)
{
	pthread_mutex_lock(&e->rollups->lock);
	bool any = e->rollups->n;
	pthread_mutex_unlock(&e->rollups->lock);
	return any;
}

static void put_str(struct slx_buf *b, const char *p, size_t n)
{
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

static void put_policy(struct slx_buf *b, const struct slx_rollup_policy *p, bool frozen)
{
	put_str(b, p->tenant->name.p, p->tenant->name.n);
	put_str(b, p->text, p->text_n);
	slx_buf_varint(b, p->n);
	for (size_t k = 0; k < p->n; k++) {
		int64_t width = p->levels[k].width, built = frozen ? p->levels[k].safe : p->levels[k].frozen;
		slx_buf_varint(b, (uint64_t)(width / 1000));
		slx_buf_varint(b, built == SLX_ROLLUP_NOTHING_BUILT ? 0 : 1 + slx_zigzag(built / width));
	}
}

static void put_late(struct slx_buf *b, const struct slx_late_entry *x)
{
	put_str(b, x->tenant->name.p, x->tenant->name.n);
	slx_buf_u8(b, !x->selector);
	if (x->selector)
		put_str(b, x->selector->text, x->selector->text_n);
	else
		slx_buf_put(b, &x->id, sizeof x->id);
	slx_buf_varint(b, slx_zigzag(x->from));
	slx_buf_varint(b, (uint64_t)x->to - (uint64_t)x->from);
}

void slx_rollups_put(struct slx_engine *e, const struct slx_view *v, struct slx_buf *out)
{
	struct slx_rollups *r = e->rollups;
	uint64_t in_heads = v->frozen ? slx_head_generation(v->frozen) : e->generation, late = 0;
	if (!slx_rollups_any(e))
		return;
	pthread_mutex_lock(&r->lock);
	slx_buf_varint(out, r->n);
	for (size_t i = 0; i < r->n; i++)
		put_policy(out, r->policies[i], v->frozen);
	for (size_t i = 0; i < r->done.n; i++)
		late += r->done.e[i].gen >= in_heads;
	slx_buf_varint(out, r->late.n + r->busy.n + late);
	for (size_t i = 0; i < r->late.n; i++)
		put_late(out, &r->late.e[i]);
	for (size_t i = 0; i < r->busy.n; i++)
		put_late(out, &r->busy.e[i]);
	for (size_t i = 0; i < r->done.n; i++)
		if (r->done.e[i].gen >= in_heads)
			put_late(out, &r->done.e[i]);
	pthread_mutex_unlock(&r->lock);
}

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = (size_t)slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

static silex_status get_tenant(struct slx_engine *e, struct slx_rd *r, struct slx_tenant **ret, silex_error *err)
{
	struct slx_str name = get_str(r);
	if (r->bad)
		return slx_err(err, SILEX_CORRUPT, "manifest: roll-ups are cut short");
	SLX_TRY(slx_tenant_check(name, err));
	return slx_engine_tenant(e, name, ret, err);
}

static silex_status get_levels(struct slx_rd *r, struct slx_rollup_policy *p, silex_error *err)
{
	int64_t widths[SLX_ROLLUP_LEVELS_MAX], built[SLX_ROLLUP_LEVELS_MAX], last = 0;
	uint64_t n = slx_rd_varint(r);
	if (r->bad || n == 0 || n > SLX_ROLLUP_LEVELS_MAX)
		return slx_err(err, SILEX_CORRUPT, "manifest: a roll-up policy has %llu levels", (unsigned long long)n);
	for (size_t i = 0; i < n; i++) {
		uint64_t seconds = slx_rd_varint(r), mark = slx_rd_varint(r);
		widths[i] = seconds < SLX_ROLLUP_WIDTH_MAX ? (int64_t)seconds * 1000 : 0;
		built[i] = SLX_ROLLUP_NOTHING_BUILT;
		if (r->bad || widths[i] <= last || (mark && __builtin_mul_overflow(slx_unzigzag(mark - 1), widths[i], &built[i])))
			return slx_err(err, SILEX_CORRUPT, "manifest: level %zu of a roll-up policy is not well formed", i);
		last = widths[i];
	}
	SLX_TRY(set_levels(p, widths, (size_t)n, err));
	for (size_t i = 0; i < n; i++)
		p->levels[i].built = p->levels[i].frozen = p->levels[i].safe = built[i];
	return SILEX_OK;
}

static silex_status get_policy(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	struct slx_tenant *t;
	SLX_TRY(get_tenant(e, r, &t, err));
	struct slx_str selector = get_str(r);
	struct slx_rollup_policy *p = r->bad ? NULL : policy_new(e, t, selector, err);
	if (!p)
		return r->bad ? slx_err(err, SILEX_CORRUPT, "manifest: a roll-up policy is cut short") : SILEX_CORRUPT;
	silex_status status = get_levels(r, p, err);
	if (status != SILEX_OK) {
		slx_rollup_policy_unref(p);
		return status;
	}
	pthread_mutex_lock(&e->rollups->lock);
	e->rollups->policies[e->rollups->n++] = p;
	slx_rollup_set_mark(e, t, SLX_ROLLUP_NOTHING_BUILT);
	pthread_mutex_unlock(&e->rollups->lock);
	return SILEX_OK;
}

static silex_status get_late(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	struct slx_late_entry x = { 0 };
	SLX_TRY(get_tenant(e, r, &x.tenant, err));
	bool series = slx_rd_u8(r);
	const uint8_t *id = series ? slx_rd_bytes(r, sizeof x.id) : NULL;
	struct slx_str selector = series ? SLX_STR("") : get_str(r);
	x.from = slx_unzigzag(slx_rd_varint(r));
	uint64_t span = slx_rd_varint(r);
	if (r->bad || span > (uint64_t)INT64_MAX || __builtin_add_overflow(x.from, (int64_t)span, &x.to))
		return slx_err(err, SILEX_CORRUPT, "manifest: a late window of roll-ups is not well formed");
	if (series)
		memcpy(&x.id, id, sizeof x.id);
	else if (!(x.selector = slx_late_selector_new(&e->mem, selector, err)))
		return SILEX_CORRUPT;
	pthread_mutex_lock(&e->rollups->lock);
	bool added = slx_late_add(&e->rollups->late, &x);
	pthread_mutex_unlock(&e->rollups->lock);
	slx_late_selector_unref(x.selector);
	return added ? SILEX_OK : slx_err_oom(err);
}

silex_status slx_rollups_get(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	uint64_t n = slx_rd_varint(r);
	if (r->bad || n > SLX_ROLLUP_POLICIES_MAX)
		return slx_err(err, SILEX_CORRUPT, "manifest: %llu roll-up policies", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++)
		SLX_TRY(get_policy(e, r, err));
	n = slx_rd_varint(r);
	if (r->bad || n > LATE_STORED_MAX)
		return slx_err(err, SILEX_CORRUPT, "manifest: %llu late windows of roll-ups", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++)
		SLX_TRY(get_late(e, r, err));
	return SILEX_OK;
}

/* ---- what queries see ---- */

static void view_policy(struct slx_rollup_view *v, struct slx_rollup_policy *p)
{
	struct slx_rollup_view_policy *to = &v->policies[v->n++];
	*to = (struct slx_rollup_view_policy){ .policy = policy_ref(p), .sel = &p->sel, .n = p->n };
	for (size_t k = 0; k < p->n; k++)
		to->levels[k] = (struct slx_rollup_view_level){ p->levels[k].width, p->levels[k].built };
}

/* Selectors of entries live as long as the references that the view takes. */
static void view_late(struct slx_rollup_view *v, const struct slx_late_set *s, const struct slx_tenant *t)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct slx_late_entry *x = &s->e[i];
		if (x->tenant != t)
			continue;
		if (x->selector)
			atomic_fetch_add_explicit(&x->selector->refs, 1, memory_order_relaxed);
		v->late[v->n_late++] = (struct slx_rollup_late){ x->id, x->selector ? &x->selector->sel : NULL, x->from, x->to };
	}
}

static silex_status view_fill(struct slx_rollup_view *v, const struct slx_tenant *t, silex_error *err)
{
	struct slx_rollups *r = v->engine->rollups;
	v->policies = slx_arena_alloc(&v->arena, r->n * sizeof *v->policies, 8);
	v->late = slx_arena_alloc(&v->arena, (size_t)late_of(r, t) * sizeof *v->late + 1, 8);
	if (!v->policies || !v->late)
		return slx_err_oom(err);
	for (size_t i = 0; i < r->n; i++)
		if (r->policies[i]->tenant == t)
			view_policy(v, r->policies[i]);
	view_late(v, &r->late, t);
	view_late(v, &r->busy, t);
	return SILEX_OK;
}

silex_status slx_rollup_view_new(struct slx_engine *e, struct slx_str tenant, struct slx_rollup_view **ret, silex_error *err)
{
	struct slx_tenant *t;
	*ret = NULL;
	if (!slx_rollups_any(e))
		return SILEX_OK;
	SLX_TRY(slx_engine_tenant(e, tenant, &t, err));
	struct slx_rollup_view *v = slx_calloc(&e->mem, SLX_MEM_QUERY, sizeof *v);
	if (!v)
		return slx_err_oom(err);
	v->engine = e;
	v->tenant = t->name;
	v->retention = slx_retention_get(e);
	v->sized = v->retention && v->retention->size_max;
	v->now = slx_wall_ns(&e->clock);
	slx_arena_init(&v->arena, &e->mem, SLX_MEM_QUERY, 64 << 10);
	pthread_mutex_lock(&e->rollups->lock);
	silex_status status = view_fill(v, t, err);
	pthread_mutex_unlock(&e->rollups->lock);
	if (status == SILEX_OK && v->n) {
		*ret = v;
		return SILEX_OK;
	}
	slx_rollup_view_free(v);
	return status;
}

static struct slx_late_selector *selector_of(const struct slx_rollup_late *x)
{
	return (struct slx_late_selector *)((char *)(uintptr_t)x->sel - offsetof(struct slx_late_selector, sel));
}

void slx_rollup_view_free(struct slx_rollup_view *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++)
		slx_rollup_policy_unref(v->policies[i].policy);
	for (size_t i = 0; i < v->n_late; i++)
		if (v->late[i].sel)
			slx_late_selector_unref(selector_of(&v->late[i]));
	slx_retention_unref(v->retention);
	slx_arena_clear(&v->arena);
	slx_free(&v->engine->mem, SLX_MEM_QUERY, v, sizeof *v);
}

silex_status slx_rollup_view_built(const struct slx_rollup_view *v, struct slx_labels l, int64_t width_ms, int64_t *ret, silex_error *err)
{
	*ret = SLX_ROLLUP_NOTHING_BUILT;
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->policies[i].n; k++) {
			bool yes;
			if (v->policies[i].levels[k].width_ms != width_ms)
				continue;
			SLX_TRY(slx_matchers_test(v->policies[i].sel->matchers, v->policies[i].sel->n, l, &yes, err));
			if (!yes)
				continue;
			*ret = v->policies[i].levels[k].built_ms;
			return SILEX_OK;
		}
	return SILEX_OK;
}

static struct slx_str stored_tenant(const struct slx_rollup_view *v, int64_t width_ms, char room[SLX_ROLLUP_TENANT_SIZE])
{
	return width_ms ? slx_rollup_tenant(v->tenant, width_ms, SLX_ROLLUP_N, room) : v->tenant;
}

static int64_t cutoff_ms(int64_t ns) { return ns == INT64_MIN ? INT64_MIN : slx_rollup_ms(ns); }

silex_status slx_rollup_view_cutoff(const struct slx_rollup_view *v, struct slx_labels l, int64_t width_ms, int64_t *ret, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	int64_t ns = INT64_MIN;
	SLX_TRY(slx_retention_cutoff(v->retention, stored_tenant(v, width_ms, room), l, v->now, &ns, err));
	*ret = cutoff_ms(ns);
	return SILEX_OK;
}

int64_t slx_rollup_view_cutoff_any(const struct slx_rollup_view *v, int64_t width_ms)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	return cutoff_ms(slx_retention_bounds(v->retention, stored_tenant(v, width_ms, room), v->now).some);
}

silex_status slx_rollup_late_concerns(const struct slx_rollup_late *x, struct slx_labels l, struct slx_hash128 id, bool *ret, silex_error *err)
{
	*ret = !x->sel && slx_hash128_eq(x->id, id);
	return x->sel ? slx_matchers_test(x->sel->matchers, x->sel->n, l, ret, err) : SILEX_OK;
}
