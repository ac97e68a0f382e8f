/* Read snapshots: a reference to a view, and series joined over its sources by identity. See snapshot.h. */
#include "engine/retention_int.h"

#include <stdlib.h>

/* Ranks: blocks by version, then the frozen head, then the active one; each source has room for its late chunks. */
#define SOURCE_RANK(i) ((uint64_t)(i) << 32)

struct slx_snapshot {
	struct slx_engine *engine;
	struct slx_view *view;
	struct slx_tenant *tenant;
	struct slx_retention *retention; /* NULL: nothing is too old */
	int64_t now, floor;  /* before floor all series of the tenant are too old */
	int64_t dedup;       /* ns; 0: none */
	_Atomic bool revoked;
	struct slx_snapshot *prev, *next; /* engine->view_lock */
};

/* One occurrence of a series: in a head, or in a section of a block. */
struct source {
	uint32_t source;  /* 0 .. blocks-1: block; blocks: frozen; blocks + 1: active */
	uint32_t ordinal; /* block: in its section */
	union {
		struct slx_head_series *series;
		struct slx_section *section;
	};
};

struct selected {
	struct slx_hash128 id;
	struct slx_labels labels;
	uint32_t first, n; /* of `found`, after grouping */
};

struct found {
	struct source at;
	uint32_t series; /* index into all */
};

struct slx_selection {
	struct slx_mem *mem;
	struct slx_arena arena; /* labels, found, all */
	struct selected *all;
	size_t n, cap;
	struct found *found;
	size_t n_found, cap_found;
	struct slx_section **sections; /* pinned */
	size_t n_sections, cap_sections;
	uint32_t *map; /* identity -> index + 1 */
	size_t map_cap;
	silex_error damage; /* code OK: none */
};

/* --- life ----------------------------------------------------------------------------------------------------------------------- */

/* of: a snapshot whose moment is taken; NULL: now. */
static silex_status snapshot_new(struct slx_engine *e, struct slx_str tenant, const struct slx_snapshot *of, struct slx_snapshot **ret, silex_error *err)
{
	struct slx_snapshot *s = slx_calloc(&e->mem, SLX_MEM_QUERY, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	silex_status status = slx_engine_tenant(e, tenant, &s->tenant, err);
	if (status != SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_QUERY, s, sizeof *s);
		return status;
	}
	s->engine = e;
	s->retention = slx_retention_get(e);
	s->now = s->retention ? slx_wall_ns(&e->clock) : 0;
	s->floor = slx_retention_bounds(s->retention, s->tenant->name, s->now).all;
	s->dedup = slx_retention_dedup(s->retention, s->tenant->name);
	pthread_mutex_lock(&e->view_lock);
	s->view = of ? of->view : e->view;
	atomic_fetch_add_explicit(&s->view->refs, 1, memory_order_relaxed);
	s->next = e->snapshots;
	if (s->next)
		s->next->prev = s;
	e->snapshots = s;
	pthread_mutex_unlock(&e->view_lock);
	*ret = s;
	return SILEX_OK;
}

silex_status slx_snapshot_new(struct slx_engine *e, struct slx_identity who, struct slx_snapshot **ret, silex_error *err)
{
	return snapshot_new(e, who.tenant, NULL, ret, err);
}

silex_status slx_snapshot_beside(const struct slx_snapshot *s, struct slx_str tenant, struct slx_snapshot **ret, silex_error *err)
{
	return snapshot_new(s->engine, tenant, s, ret, err);
}

void slx_snapshot_free(struct slx_snapshot *s)
{
	if (!s)
		return;
	struct slx_engine *e = s->engine;
	pthread_mutex_lock(&e->view_lock);
	if (s->prev)
		s->prev->next = s->next;
	else
		e->snapshots = s->next;
	if (s->next)
		s->next->prev = s->prev;
	pthread_mutex_unlock(&e->view_lock);
	slx_view_unref(s->view);
	slx_retention_unref(s->retention);
	slx_free(&e->mem, SLX_MEM_QUERY, s, sizeof *s);
	slx_background_room(e);
}

void slx_snapshot_show_expired(struct slx_snapshot *s)
{
	slx_retention_unref(s->retention);
	s->retention = NULL;
	s->floor = INT64_MIN;
}

/* The range in which samples decide which of range's are given. */
static struct slx_time_range deciding(const struct slx_snapshot *s, struct slx_time_range range)
{
	if (s->dedup && !slx_range_empty(range))
		range.to = slx_dedup_last(slx_time_clamp(range.to), s->dedup);
	return range;
}

/* The part of range in which something may be kept. */
static struct slx_time_range kept_part(const struct slx_snapshot *s, struct slx_time_range range)
{
	return slx_range_cut(range, (struct slx_time_range){ s->floor, INT64_MAX });
}

silex_status slx_snapshot_check(const struct slx_snapshot *s, silex_error *err)
{
	if (!atomic_load_explicit(&((struct slx_snapshot *)s)->revoked, memory_order_relaxed))
		return SILEX_OK;
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
		"the snapshot pinned too much memory while newer data came in; read faster, ask for less, or raise memory_limit");
}

void slx_snapshots_revoke(struct slx_engine *e)
{
	pthread_mutex_lock(&e->view_lock);
	for (struct slx_snapshot *s = e->snapshots; s; s = s->next)
		if (s->view->active != e->view->active)
			atomic_store_explicit(&s->revoked, true, memory_order_relaxed);
	pthread_mutex_unlock(&e->view_lock);
}

/* --- selecting -------------------------------------------------------------------------------------------------------------------- */

static bool grow(struct slx_selection *x, void **p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t to = *cap ? *cap * 2 : 16;
	void *q = slx_realloc(x->mem, SLX_MEM_QUERY, *p, *cap * size, to * size);
	if (!q)
		return false;
	*p = q;
	*cap = to;
	return true;
}

static bool map_grow(struct slx_selection *x)
{
	if (x->n * 2 < x->map_cap)
		return true;
	size_t cap = x->map_cap ? x->map_cap * 2 : 64;
	uint32_t *map = slx_calloc(x->mem, SLX_MEM_QUERY, cap * sizeof *map);
	if (!map)
		return false;
	for (size_t i = 0; i < x->n; i++) {
		size_t k = x->all[i].id.hi & (cap - 1);
		while (map[k])
			k = (k + 1) & (cap - 1);
		map[k] = (uint32_t)i + 1;
	}
	slx_free(x->mem, SLX_MEM_QUERY, x->map, x->map_cap * sizeof *map);
	x->map = map;
	x->map_cap = cap;
	return true;
}

/* The place of a series in `all`; *ret_new when its labels are still to be filled in. */
static struct selected *selected_of(struct slx_selection *x, struct slx_hash128 id, bool *ret_new)
{
	if (!map_grow(x) || !grow(x, (void **)&x->all, x->n, &x->cap, sizeof *x->all))
		return NULL;
	size_t k = id.hi & (x->map_cap - 1);
	for (; x->map[k]; k = (k + 1) & (x->map_cap - 1))
		if (slx_hash128_eq(x->all[x->map[k] - 1].id, id)) {
			*ret_new = false;
			return &x->all[x->map[k] - 1];
		}
	x->map[k] = (uint32_t)x->n + 1;
	x->all[x->n] = (struct selected){ .id = id };
	*ret_new = true;
	return &x->all[x->n++];
}

static silex_status add_found(struct slx_selection *x, struct slx_hash128 id, struct source at, struct slx_buf *label,
	void (*labels)(const struct source *at, struct slx_buf *out, void *arg), void *arg, silex_error *err)
{
	bool fresh;
	struct selected *s = selected_of(x, id, &fresh);
	if (!s || !grow(x, (void **)&x->found, x->n_found, &x->cap_found, sizeof *x->found))
		return slx_err_oom(err);
	x->found[x->n_found++] = (struct found){ at, (uint32_t)(s - x->all) };
	s->n++;
	if (!fresh)
		return SILEX_OK;
	slx_buf_reset(label);
	labels(&at, label, arg);
	uint8_t *copy = label->failed ? NULL : slx_arena_alloc(&x->arena, label->n, 1);
	if (!copy)
		return slx_err_oom(err);
	memcpy(copy, label->p, label->n);
	s->labels = (struct slx_labels){ copy, label->n };
	return SILEX_OK;
}

static void head_labels(const struct source *at, struct slx_buf *out, void *arg)
{
	slx_head_labels(arg, at->series, out);
}

static void section_labels(const struct source *at, struct slx_buf *out, void *arg)
{
	slx_labelindex_labels(slx_section_labels(at->section), at->ordinal, out);
}

static silex_status select_head(struct slx_snapshot *s, struct slx_head *h, uint32_t source, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, struct slx_selection *x, struct slx_buf *label, silex_error *err)
{
	struct slx_head_series **v;
	size_t k;
	SLX_TRY(slx_head_select(h, s->tenant->name, ms, n, &s->engine->mem, &v, &k, err));
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < k && status == SILEX_OK; i++)
		if (slx_head_touches(v[i], range))
			status = add_found(x, v[i]->id, (struct source){ .source = source, .series = v[i] }, label, head_labels, h, err);
	slx_free(&s->engine->mem, SLX_MEM_QUERY, v, k * sizeof *v);
	return status;
}

/* The section's index stays pinned until the selection goes: its chunk headers are what scans read. */
static silex_status select_section(struct slx_snapshot *s, struct slx_block *b, size_t number, uint32_t source, struct slx_matcher *const *ms, size_t n,
	struct slx_selection *x, struct slx_buf *label, silex_error *err)
{
	struct slx_section *section;
	struct slx_ordinals o = { 0 };
	if (!grow(x, (void **)&x->sections, x->n_sections, &x->cap_sections, sizeof *x->sections))
		return slx_err_oom(err);
	silex_error own;
	silex_status status = slx_section_open(b, number, &section, &own);
	if (status == SILEX_CORRUPT) { /* the rest stays readable */
		atomic_fetch_add(&s->engine->damaged_pages, 1);
		slx_engine_log(s->engine, 3, "%s", own.message);
		if (x->damage.code == SILEX_OK)
			x->damage = own;
		return SILEX_OK;
	}
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", own.message);
	x->sections[x->n_sections++] = section;
	status = slx_labelindex_select(slx_section_labels(section), ms, n, &s->engine->mem, &o, err);
	for (size_t i = 0; i < o.n && status == SILEX_OK; i++) {
		struct source at = { .source = source, .ordinal = o.p[i], .section = section };
		status = add_found(x, slx_section_id(section, o.p[i]), at, label, section_labels, NULL, err);
	}
	if (o.n == 0) {
		slx_section_close(section);
		x->n_sections--;
	}
	slx_ordinals_free(&o);
	return status;
}

static silex_status select_blocks(struct slx_snapshot *s, struct slx_matcher *const *ms, size_t n, struct slx_time_range range, struct slx_selection *x,
	struct slx_buf *label, silex_error *err)
{
	for (size_t i = 0; i < s->view->n_blocks; i++) {
		const struct slx_used_block *b = s->view->blocks[i];
		size_t first, k;
		if (!slx_range_overlaps(range, (struct slx_time_range){ b->info.tmin, b->info.tmax }))
			continue;
		slx_block_tenant(b->block, s->tenant->name, &first, &k);
		for (size_t j = first; j < first + k; j++) {
			if (!slx_range_overlaps(range, slx_block_section_range(b->block, j)))
				continue;
			SLX_TRY(slx_snapshot_check(s, err));
			SLX_TRY(select_section(s, b->block, j, (uint32_t)i, ms, n, x, label, err));
		}
	}
	return SILEX_OK;
}

static int selected_order(const void *a, const void *b)
{
	return slx_labels_cmp(((const struct selected *)a)->labels, ((const struct selected *)b)->labels);
}

/* Sorts the series by labels and lays the occurrences of each side by side. */
static silex_status arrange(struct slx_selection *x, silex_error *err)
{
	struct found *grouped = slx_alloc(x->mem, SLX_MEM_QUERY, x->n_found * sizeof *grouped);
	if (!grouped)
		return slx_err_oom(err);
	uint32_t at = 0;
	for (size_t i = 0; i < x->n; i++) {
		x->all[i].first = at;
		at += x->all[i].n;
		x->all[i].n = 0;
	}
	for (size_t i = 0; i < x->n_found; i++) {
		struct selected *s = &x->all[x->found[i].series];
		grouped[s->first + s->n++] = x->found[i];
	}
	slx_free(x->mem, SLX_MEM_QUERY, x->found, x->cap_found * sizeof *x->found);
	x->found = grouped;
	x->cap_found = x->n_found;
	slx_free(x->mem, SLX_MEM_QUERY, x->map, x->map_cap * sizeof *x->map);
	x->map = NULL;
	x->map_cap = 0;
	if (x->n > 1)
		qsort(x->all, x->n, sizeof *x->all, selected_order);
	return SILEX_OK;
}

silex_status slx_snapshot_select(struct slx_snapshot *s, struct slx_matcher *const *ms, size_t n, struct slx_time_range range, struct slx_selection **ret,
	silex_error *err)
{
	struct slx_mem *m = &s->engine->mem;
	struct slx_selection *x = slx_calloc(m, SLX_MEM_QUERY, sizeof *x);
	struct slx_buf label;
	if (!x)
		return slx_err_oom(err);
	x->mem = m;
	slx_arena_init(&x->arena, m, SLX_MEM_QUERY, 256 << 10);
	slx_buf_init(&label, m, SLX_MEM_QUERY, 1 << 20);
	silex_status status = SILEX_OK;
	uint32_t heads = (uint32_t)s->view->n_blocks;
	range = deciding(s, kept_part(s, range));
	if (slx_range_empty(range))
		goto out;
	status = select_blocks(s, ms, n, range, x, &label, err);
	if (status == SILEX_OK && s->view->frozen)
		status = select_head(s, s->view->frozen, heads, ms, n, range, x, &label, err);
	if (status == SILEX_OK)
		status = select_head(s, s->view->active, heads + 1, ms, n, range, x, &label, err);
	if (status == SILEX_OK)
		status = arrange(x, err);
out:
	slx_buf_free(&label);
	if (status == SILEX_OK)
		*ret = x;
	else
		slx_selection_free(x);
	return status;
}

void slx_selection_free(struct slx_selection *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_sections; i++)
		slx_section_close(x->sections[i]);
	slx_free(x->mem, SLX_MEM_QUERY, x->sections, x->cap_sections * sizeof *x->sections);
	slx_free(x->mem, SLX_MEM_QUERY, x->all, x->cap * sizeof *x->all);
	slx_free(x->mem, SLX_MEM_QUERY, x->found, x->cap_found * sizeof *x->found);
	slx_free(x->mem, SLX_MEM_QUERY, x->map, x->map_cap * sizeof *x->map);
	slx_arena_clear(&x->arena);
	slx_free(x->mem, SLX_MEM_QUERY, x, sizeof *x);
}

size_t slx_selection_count(const struct slx_selection *x) { return x->n; }
struct slx_labels slx_selection_labels(const struct slx_selection *x, size_t i) { return x->all[i].labels; }
struct slx_hash128 slx_selection_id(const struct slx_selection *x, size_t i) { return x->all[i].id; }
const silex_error *slx_selection_damage(const struct slx_selection *x) { return x->damage.code == SILEX_OK ? NULL : &x->damage; }

/* --- names and values of labels ------------------------------------------------------------------------------------------------------ */

struct string_lists {
	struct slx_mem *mem;
	struct slx_strings *p; /* sorted each */
	size_t n, cap;
};

static struct slx_strings *lists_add(struct string_lists *l)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct slx_strings *p = slx_realloc(l->mem, SLX_MEM_QUERY, l->p, l->cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return NULL;
		l->p = p;
		l->cap = cap;
	}
	l->p[l->n] = (struct slx_strings){ 0 };
	return &l->p[l->n];
}

static silex_status strings_of_head(struct slx_snapshot *s, struct slx_head *h, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, struct string_lists *l, silex_error *err)
{
	struct slx_strings *to = lists_add(l);
	if (!to)
		return slx_err_oom(err);
	if (!slx_head_tenant_touches(h, s->tenant->name, range))
		return SILEX_OK;
	SLX_TRY(slx_head_strings(h, s->tenant->name, name, ms, n, l->mem, to, err));
	l->n++;
	return SILEX_OK;
}

static silex_status strings_of_section(struct slx_block *b, size_t number, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct string_lists *l, silex_error *err)
{
	struct slx_section *section;
	struct slx_strings *to = lists_add(l);
	if (!to)
		return slx_err_oom(err);
	silex_status status = slx_section_open(b, number, &section, err);
	if (status != SILEX_OK)
		return status == SILEX_CORRUPT ? SILEX_OK : status; /* the rest stays readable; queries tell of it */
	if (name)
		status = slx_labelindex_values(slx_section_labels(section), *name, ms, n, l->mem, to, err);
	else
		status = slx_labelindex_names(slx_section_labels(section), ms, n, l->mem, to, err);
	slx_section_close(section);
	l->n += status == SILEX_OK;
	return status;
}

static silex_status strings_of_blocks(struct slx_snapshot *s, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, struct string_lists *l, silex_error *err)
{
	for (size_t i = 0; i < s->view->n_blocks; i++) {
		const struct slx_used_block *b = s->view->blocks[i];
		size_t first, k;
		if (!slx_range_overlaps(range, (struct slx_time_range){ b->info.tmin, b->info.tmax }))
			continue;
		slx_block_tenant(b->block, s->tenant->name, &first, &k);
		for (size_t j = first; j < first + k; j++) {
			if (!slx_range_overlaps(range, slx_block_section_range(b->block, j)))
				continue;
			SLX_TRY(slx_snapshot_check(s, err));
			SLX_TRY(strings_of_section(b->block, j, name, ms, n, l, err));
		}
	}
	return SILEX_OK;
}

/* Lists from..to-1 as one run in out (room for all of them), with the help of as much room in spare. Returns its length. */
static size_t merge_lists(const struct string_lists *l, size_t from, size_t to, struct slx_str *out, struct slx_str *spare)
{
	if (to - from == 1) {
		if (l->p[from].n)
			memcpy(out, l->p[from].p, l->p[from].n * sizeof *out);
		return l->p[from].n;
	}
	size_t half = from + (to - from) / 2, total = 0;
	for (size_t i = from; i < half; i++)
		total += l->p[i].n;
	size_t a_n = merge_lists(l, from, half, spare, out), b_n = merge_lists(l, half, to, spare + total, out + total), n = 0;
	const struct slx_str *a = spare, *b = spare + total;
	while (a_n || b_n) {
		int order = !a_n ? 1 : !b_n ? -1 : slx_str_cmp(*a, *b);
		out[n++] = order <= 0 ? *a : *b;
		if (order <= 0) {
			a++;
			a_n--;
		}
		if (order >= 0) {
			b++;
			b_n--;
		}
	}
	return n;
}

/* All lists as one, in one allocation. */
static silex_status lists_join(struct string_lists *l, struct slx_strings *ret, silex_error *err)
{
	size_t total = 0, bytes = 0;
	for (size_t i = 0; i < l->n; i++)
		total += l->p[i].n;
	if (total == 0)
		return SILEX_OK;
	struct slx_str *work = slx_alloc(l->mem, SLX_MEM_QUERY, 2 * total * sizeof *work);
	if (!work)
		return slx_err_oom(err);
	size_t n = merge_lists(l, 0, l->n, work, work + total);
	for (size_t i = 0; i < n; i++)
		bytes += work[i].n;
	struct slx_strings r = { .mem = l->mem, .n = n, .block_size = n * sizeof *work + bytes };
	r.p = r.block = slx_alloc(l->mem, SLX_MEM_QUERY, r.block_size);
	char *text = r.p ? (char *)(r.p + n) : NULL;
	for (size_t i = 0; text && i < n; i++) {
		memcpy(text, work[i].p, work[i].n);
		r.p[i] = (struct slx_str){ text, work[i].n };
		text += work[i].n;
	}
	slx_free(l->mem, SLX_MEM_QUERY, work, 2 * total * sizeof *work);
	if (!r.p)
		return slx_err_oom(err);
	*ret = r;
	return SILEX_OK;
}

silex_status slx_snapshot_strings(struct slx_snapshot *s, const struct slx_str *name, struct slx_matcher *const *ms, size_t n,
	struct slx_time_range range, struct slx_strings *ret, silex_error *err)
{
	struct string_lists l = { .mem = &s->engine->mem };
	silex_status status = SILEX_OK;
	*ret = (struct slx_strings){ 0 };
	range = kept_part(s, range);
	if (!slx_range_empty(range))
		status = strings_of_blocks(s, name, ms, n, range, &l, err);
	if (status == SILEX_OK && s->view->frozen && !slx_range_empty(range))
		status = strings_of_head(s, s->view->frozen, name, ms, n, range, &l, err);
	if (status == SILEX_OK && !slx_range_empty(range))
		status = strings_of_head(s, s->view->active, name, ms, n, range, &l, err);
	if (status == SILEX_OK)
		status = lists_join(&l, ret, err);
	for (size_t i = 0; i < l.n; i++)
		slx_strings_free(&l.p[i]);
	slx_free(l.mem, SLX_MEM_QUERY, l.p, l.cap * sizeof *l.p);
	return status;
}

static void widen(struct slx_time_range *r, struct slx_time_range by)
{
	if (by.from < r->from)
		r->from = by.from;
	if (by.to > r->to)
		r->to = by.to;
}

struct slx_time_range slx_snapshot_extent(const struct slx_snapshot *s)
{
	struct slx_time_range r = { INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < s->view->n_blocks; i++) {
		size_t first, n;
		slx_block_tenant(s->view->blocks[i]->block, s->tenant->name, &first, &n);
		for (size_t k = first; k < first + n; k++)
			widen(&r, slx_block_section_range(s->view->blocks[i]->block, k));
	}
	if (s->view->frozen)
		widen(&r, slx_head_tenant_extent(s->view->frozen, s->tenant->name));
	widen(&r, slx_head_tenant_extent(s->view->active, s->tenant->name));
	return kept_part(s, r);
}

/* --- collecting --------------------------------------------------------------------------------------------------------------------- */

void slx_parts_init(struct slx_parts *p, struct slx_mem *m)
{
	*p = (struct slx_parts){ 0 };
	slx_arena_init(&p->arena, m, SLX_MEM_QUERY, 64 << 10);
}

void slx_parts_free(struct slx_parts *p)
{
	slx_arena_clear(&p->arena);
}

static silex_status collect_block(const struct slx_view *v, const struct source *at, struct slx_part *p)
{
	uint32_t first, n;
	slx_section_chunks(at->section, at->ordinal, &first, &n);
	*p = (struct slx_part){ .type = SLX_PART_BLOCK, .rank = SOURCE_RANK(at->source), .floor = v->blocks[at->source]->info.floor };
	p->block.section = at->section;
	p->block.first = first;
	p->block.n = n;
	return SILEX_OK;
}

static silex_status add_hide(const struct slx_snapshot *s, struct slx_parts *p, struct slx_time_range range, uint64_t version, silex_error *err)
{
	if (!p->hides && !(p->hides = slx_arena_alloc(&p->arena, (s->view->n_tombs + 1) * sizeof *p->hides, 8)))
		return slx_err_oom(err);
	p->hides[p->n_hides++] = (struct slx_hide){ range, version };
	return SILEX_OK;
}

static silex_status collect_hides(const struct slx_snapshot *s, struct slx_labels l, struct slx_time_range range, struct slx_parts *p, silex_error *err)
{
	int64_t cutoff;
	SLX_TRY(slx_retention_cutoff(s->retention, s->tenant->name, l, s->now, &cutoff, err));
	if (cutoff > range.from)
		SLX_TRY(add_hide(s, p, (struct slx_time_range){ SLX_TIME_MIN, slx_time_sub(cutoff, 1) }, UINT64_MAX, err));
	for (size_t i = 0; i < s->view->n_tombs; i++) {
		const struct slx_tombstone *t = s->view->tombs[i];
		struct slx_time_range hidden;
		bool yes;
		if (!slx_range_overlaps(slx_tombstone_range(t, s->tenant->name), range))
			continue;
		SLX_TRY(slx_tombstone_matches(t, s->tenant->name, l, &hidden, &yes, err));
		if (!yes)
			continue;
		SLX_TRY(add_hide(s, p, hidden, t->version, err));
	}
	return SILEX_OK;
}

silex_status slx_snapshot_collect(struct slx_snapshot *s, const struct slx_selection *x, size_t i, struct slx_time_range range, struct slx_parts *p,
	silex_error *err)
{
	const struct selected *sel = &x->all[i];
	const struct slx_view *v = s->view;
	range = deciding(s, range);
	slx_arena_clear(&p->arena);
	p->n = p->n_hides = 0;
	p->hides = NULL;
	size_t cap = sel->n;
	p->parts = slx_arena_alloc(&p->arena, cap * sizeof *p->parts, 16);
	if (!p->parts)
		return slx_err_oom(err);
	for (uint32_t k = 0; k < sel->n; k++) {
		const struct source *at = &x->found[sel->first + k].at;
		if (at->source < v->n_blocks) {
			collect_block(v, at, &p->parts[p->n++]);
			continue;
		}
		bool frozen = at->source == v->n_blocks;
		struct slx_head *h = frozen ? v->frozen : v->active;
		/* The active head is edited by deletes itself: no tombstone of this view applies to it; retention's hide does. */
		SLX_TRY(slx_head_collect(h, at->series, range, SOURCE_RANK(at->source), frozen ? v->frozen_floor : UINT64_MAX - 1, &p->arena, &p->parts,
			&p->n, &cap, err));
	}
	for (size_t k = 0; k < p->n; k++)
		p->parts[k].dedup = s->dedup;
	return collect_hides(s, sel->labels, range, p, err);
}

const char *slx_snapshot_state(const struct slx_snapshot *s, uint32_t state)
{
	struct slx_engine *e = s->engine;
	pthread_mutex_lock(&e->tenants_lock);
	const char *text = s->tenant->states && state < s->tenant->states->n ? s->tenant->states->text[state] : NULL;
	pthread_mutex_unlock(&e->tenants_lock);
	return text;
}

/* --- what the query room needs -------------------------------------------------------------------------------------------------------- */

struct slx_mem *slx_engine_mem(struct slx_engine *e) { return &e->mem; }
const struct slx_codec_choice *slx_engine_codecs(struct slx_engine *e) { return &e->codecs; }
struct slx_pool *slx_engine_pool(struct slx_engine *e) { return e->pool; }
const silex_clock *slx_engine_clock(struct slx_engine *e) { return &e->clock; }

int64_t slx_engine_query_room(struct slx_engine *e)
{
	return (int64_t)e->opt.memory_limit - slx_mem_total(&e->mem);
}
