/* Late windows: what writers and deletes touched after it was rolled up (rollup.h). Sets of entries, one entry a series; a delete's
 * entries stand by themselves. */
#include "engine/rollup_int.h"

enum { ENTRIES_MAX = 8192, ENTRIES_MIN = 64 };

/* ---- selectors of entries ---- */

struct slx_late_selector *slx_late_selector_new(struct slx_mem *m, struct slx_str text, silex_error *err)
{
	struct slx_late_selector *s = slx_calloc(m, SLX_MEM_OTHER, sizeof *s + text.n);
	if (!s) {
		slx_err_oom(err);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->mem = m;
	s->text_n = text.n;
	if (text.n)
		memcpy(s->text, text.p, text.n);
	if (slx_selector_parse(m, (struct slx_str){ s->text, text.n }, &s->sel, err) != SILEX_OK) {
		slx_free(m, SLX_MEM_OTHER, s, sizeof *s + text.n);
		return NULL;
	}
	return s;
}

void slx_late_selector_unref(struct slx_late_selector *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	slx_selector_free(&s->sel);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s + s->text_n);
}

/* ---- sets ---- */

void slx_late_free(struct slx_late_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		slx_late_selector_unref(s->e[i].selector);
	slx_free(s->mem, SLX_MEM_OTHER, s->e, s->cap * sizeof *s->e);
	slx_free(s->mem, SLX_MEM_OTHER, s->map, s->map_cap * sizeof *s->map);
	*s = (struct slx_late_set){ .mem = s->mem };
}

static size_t slot_of(const struct slx_late_set *s, const struct slx_tenant *t, struct slx_hash128 id)
{
	size_t i = (id.lo ^ t->hash) & (s->map_cap - 1);
	for (; s->map[i]; i = (i + 1) & (s->map_cap - 1)) {
		const struct slx_late_entry *e = &s->e[s->map[i] - 1];
		if (e->tenant == t && slx_hash128_eq(e->id, id))
			break;
	}
	return i;
}

const struct slx_late_entry *slx_late_find(const struct slx_late_set *s, const struct slx_tenant *t, struct slx_hash128 id)
{
	uint32_t at = s->map ? s->map[slot_of(s, t, id)] : 0;
	return at ? &s->e[at - 1] : NULL;
}

static void map_all(struct slx_late_set *s)
{
	memset(s->map, 0, s->map_cap * sizeof *s->map);
	for (size_t i = 0; i < s->n; i++)
		if (!s->e[i].selector)
			s->map[slot_of(s, s->e[i].tenant, s->e[i].id)] = (uint32_t)i + 1;
}

static bool reserve(struct slx_late_set *s)
{
	if (s->n < s->cap)
		return true;
	size_t cap = s->cap ? s->cap * 2 : ENTRIES_MIN;
	uint32_t *map = slx_alloc(s->mem, SLX_MEM_OTHER, cap * 2 * sizeof *map);
	struct slx_late_entry *e = map ? slx_realloc(s->mem, SLX_MEM_OTHER, s->e, s->cap * sizeof *e, cap * sizeof *e) : NULL;
	if (!e) {
		slx_free(s->mem, SLX_MEM_OTHER, map, cap * 2 * sizeof *map);
		return false;
	}
	slx_free(s->mem, SLX_MEM_OTHER, s->map, s->map_cap * sizeof *map);
	s->map = map;
	s->map_cap = cap * 2;
	s->e = e;
	s->cap = cap;
	map_all(s);
	return true;
}

static void widen(struct slx_late_entry *e, const struct slx_late_entry *by)
{
	e->from = by->from < e->from ? by->from : e->from;
	e->to = by->to > e->to ? by->to : e->to;
	e->since = by->since < e->since ? by->since : e->since;
	e->touched = by->touched > e->touched ? by->touched : e->touched;
	e->gen = by->gen > e->gen ? by->gen : e->gen;
}

/* All entries of the tenant become one of all its series. */
static bool collapse(struct slx_late_set *s, struct slx_tenant *t)
{
	struct slx_late_selector *all = slx_late_selector_new(s->mem, SLX_STR("{}"), NULL);
	struct slx_late_entry one = { 0 };
	size_t kept = 0;
	if (!all)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct slx_late_entry *e = &s->e[i];
		if (e->tenant != t) {
			s->e[kept++] = *e;
			continue;
		}
		slx_late_selector_unref(e->selector);
		if (one.tenant)
			widen(&one, e);
		else
			one = *e;
	}
	if (one.tenant) { /* it has at least the place of one that went */
		one.selector = all;
		s->e[kept++] = one;
	} else {
		slx_late_selector_unref(all);
	}
	s->n = kept;
	map_all(s);
	return true;
}

bool slx_late_add(struct slx_late_set *s, const struct slx_late_entry *x)
{
	if (s->n >= ENTRIES_MAX && !collapse(s, x->tenant))
		return false;
	if (!reserve(s))
		return false;
	size_t slot = 0;
	if (!x->selector) {
		slot = slot_of(s, x->tenant, x->id);
		if (s->map[slot]) {
			widen(&s->e[s->map[slot] - 1], x);
			return true;
		}
	}
	s->e[s->n++] = *x;
	if (x->selector)
		atomic_fetch_add_explicit(&x->selector->refs, 1, memory_order_relaxed);
	else
		s->map[slot] = (uint32_t)s->n;
	return true;
}

bool slx_late_move(struct slx_late_set *from, struct slx_late_set *to, bool (*which)(void *arg, const struct slx_late_entry *e), void *arg)
{
	size_t kept = 0;
	bool all = true;
	for (size_t i = 0; i < from->n; i++) {
		struct slx_late_entry e = from->e[i];
		bool goes = which(arg, &e), went = goes && slx_late_add(to, &e);
		if (went)
			slx_late_selector_unref(e.selector);
		else
			from->e[kept++] = e;
		all = all && went == goes;
	}
	from->n = kept;
	if (from->map)
		map_all(from);
	return all;
}

/* ---- noting ---- */

/* What cannot be written down for lack of memory is built again from there on. */
static void go_back(struct slx_rollups *r, const struct slx_late_entry *x)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->policies[i]->n && r->policies[i]->tenant == x->tenant; k++) {
			struct slx_rollup_mark *m = &r->policies[i]->levels[k];
			int64_t back = slx_rollup_end(x->from, m->width) - m->width;
			m->built = m->built > back ? back : m->built;
			m->frozen = m->frozen > back ? back : m->frozen;
			m->safe = m->safe > back ? back : m->safe;
		}
}

static void add_late(struct slx_rollups *r, const struct slx_late_entry *x)
{
	pthread_mutex_lock(&r->lock);
	if ((x->selector == NULL && slx_hash128_eq(x->id, (struct slx_hash128){ 0 })) || !slx_late_add(&r->late, x))
		go_back(r, x);
	pthread_mutex_unlock(&r->lock);
}

void slx_rollup_note(struct slx_engine *e, struct slx_tenant *t, struct slx_hash128 id, int64_t first_ns, int64_t last_ns)
{
	int64_t now = slx_monotonic_ns(&e->clock);
	struct slx_late_entry x = {
		.tenant = t, .id = id, .from = slx_rollup_ms(first_ns), .to = slx_rollup_ms(last_ns), .since = now, .touched = now };
	add_late(e->rollups, &x);
}

/* The buckets that a delete cuts hold samples on both sides of its begin or its end. */
void slx_rollup_note_delete(struct slx_engine *e, const struct slx_tombstone *t)
{
	struct slx_tenant *tenant;
	if (slx_tenant_is_internal(t->tenant) || slx_engine_tenant(e, t->tenant, &tenant, NULL) != SILEX_OK)
		return;
	int64_t mark = atomic_load_explicit(&tenant->rollup_mark, memory_order_relaxed), now = slx_monotonic_ns(&e->clock);
	struct slx_late_selector *sel = mark == INT64_MIN ? NULL : slx_late_selector_new(&e->mem, (struct slx_str){ t->text, t->text_n }, NULL);
	const int64_t cuts[] = { t->range.from, t->range.to };
	for (size_t i = 0; i < 2 && mark != INT64_MIN; i++) {
		if (cuts[i] > mark || cuts[i] <= SLX_TIME_MIN || cuts[i] >= SLX_TIME_MAX)
			continue;
		struct slx_late_entry x = { .tenant = tenant, .selector = sel, .from = slx_rollup_ms(cuts[i]), .to = slx_rollup_ms(cuts[i]),
			.since = now, .touched = now };
		add_late(e->rollups, &x); /* without a selector: no memory for one */
	}
	slx_late_selector_unref(sel);
}
