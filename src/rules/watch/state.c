#include "rules/watch/watch_int.h"

enum { MAP_MIN = 64, QUEUE_MAX = 1 << 16 };

/* ---- entries ---- */

static struct slx_watch_entry **bucket(const struct slx_watch_shard *sh, struct slx_hash128 id) { return &sh->map[id.hi & (sh->map_n - 1)]; }

struct slx_watch_entry *slx_watch_entry_find(struct slx_watch_shard *sh, struct slx_hash128 id)
{
	struct slx_watch_entry *e = sh->map_n ? *bucket(sh, id) : NULL;
	while (e && !slx_hash128_eq(e->id, id))
		e = e->chain;
	return e;
}

static bool map_room(struct slx_watch *w, struct slx_watch_shard *sh)
{
	if (sh->entries < sh->map_n)
		return true;
	struct slx_watch_shard to = { .map_n = sh->map_n ? sh->map_n * 2 : MAP_MIN };
	to.map = slx_calloc(w->mem, SLX_MEM_OTHER, to.map_n * sizeof *to.map);
	if (!to.map)
		return false;
	for (size_t i = 0; i < sh->map_n; i++)
		for (struct slx_watch_entry *e = sh->map[i], *next; e; e = next) {
			next = e->chain;
			e->chain = *bucket(&to, e->id);
			*bucket(&to, e->id) = e;
		}
	slx_free(w->mem, SLX_MEM_OTHER, sh->map, sh->map_n * sizeof *sh->map);
	sh->map = to.map;
	sh->map_n = to.map_n;
	return true;
}

static bool slot_room(struct slx_watch *w, struct slx_watch_shard *sh)
{
	if (sh->free_slots || sh->slots_n < sh->slots_cap)
		return true;
	uint32_t cap = sh->slots_cap ? sh->slots_cap * 2 : MAP_MIN;
	void *p = slx_realloc(w->mem, SLX_MEM_OTHER, sh->slots, sh->slots_cap * sizeof *sh->slots, cap * sizeof *sh->slots);
	if (!p)
		return false;
	sh->slots = p;
	sh->slots_cap = cap;
	return true;
}

static uint32_t take_slot(struct slx_watch_shard *sh)
{
	if (!sh->free_slots)
		return sh->slots_n++;
	while (sh->slots[sh->free_from])
		sh->free_from++;
	sh->free_slots--;
	return sh->free_from++;
}

static size_t entry_size(const struct slx_watch_entry *e) { return sizeof *e + e->tenant.n + e->labels.n; }

struct slx_watch_entry *slx_watch_entry_get(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id)
{
	struct slx_watch_entry *e = slx_watch_entry_find(sh, id);
	if (e || !map_room(w, sh) || !slot_room(w, sh))
		return e;
	e = slx_alloc(w->mem, SLX_MEM_OTHER, sizeof *e + tenant.n + l.n);
	if (!e)
		return NULL;
	char *text = (char *)(e + 1);
	memcpy(text, tenant.p, tenant.n);
	memcpy(text + tenant.n, l.p, l.n);
	*e = (struct slx_watch_entry){ .id = id, .tenant = { text, tenant.n }, .labels = { (const uint8_t *)text + tenant.n, l.n } };
	e->slot = take_slot(sh);
	sh->slots[e->slot] = e;
	e->chain = *bucket(sh, id);
	*bucket(sh, id) = e;
	sh->entries++;
	return e;
}

void slx_watch_entry_free(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_entry *e)
{
	struct slx_watch_entry **at = bucket(sh, e->id);
	while (e->states)
		slx_watch_state_free(w, sh, e->states);
	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	sh->slots[e->slot] = NULL;
	sh->free_from = e->slot < sh->free_from || !sh->free_slots ? e->slot : sh->free_from;
	sh->free_slots++;
	sh->entries--;
	slx_free(w->mem, SLX_MEM_OTHER, e, entry_size(e));
}

/* ---- states ---- */

/* What was told of this alert before a restart. */
static void adopt(struct slx_watch *w, struct slx_watch_state *s)
{
	struct slx_watch_rule *r = s->rule;
	struct slx_labels_builder b;
	struct slx_labels l;
	slx_labels_builder_init(&b, w->mem, SLX_MEM_OTHER, NULL);
	pthread_mutex_lock(&r->restored_lock);
	if (r->restored && slx_watch_alert_labels(&b, r, s->entry->labels, &l, NULL) == SILEX_OK) {
		struct slx_watch_restored **at = &r->restored, *x;
		while ((x = *at) && !slx_labels_eq(x->labels, l))
			at = &x->next;
		if (x) {
			slx_track_restore(&s->track, x->state, x->changed, x->active);
			s->told = (uint8_t)x->state;
			*at = x->next;
			slx_free(w->mem, SLX_MEM_OTHER, x, sizeof *x + x->labels.n);
		}
	}
	pthread_mutex_unlock(&r->restored_lock);
	slx_labels_builder_free(&b);
}

struct slx_watch_state *slx_watch_state_get(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_entry *e, struct slx_watch_rule *r)
{
	for (struct slx_watch_state *s = e->states; s; s = s->next)
		if (s->rule == r)
			return s;
	if (atomic_fetch_add_explicit(&r->series, 1, memory_order_relaxed) >= r->def.series_max) {
		atomic_fetch_sub_explicit(&r->series, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
		return NULL;
	}
	struct slx_watch_state *s = slx_calloc(w->mem, SLX_MEM_OTHER, sizeof *s);
	if (!s) {
		atomic_fetch_sub_explicit(&r->series, 1, memory_order_relaxed);
		return NULL;
	}
	s->entry = e;
	s->rule = r;
	s->epoch = sh->epoch;
	s->anchor_ns = slx_monotonic_ns(w->clock);
	slx_track_init(&s->track);
	adopt(w, s);
	s->next = e->states;
	e->states = s;
	return s;
}

static void heap_remove(struct slx_watch_shard *sh, struct slx_watch_state *s);

void slx_watch_state_free(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s)
{
	struct slx_watch_state **at = &s->entry->states;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (s->heap_at)
		heap_remove(sh, s);
	atomic_fetch_sub_explicit(&s->rule->series, 1, memory_order_relaxed);
	slx_track_free(&s->track, &w->room);
	slx_free(w->mem, SLX_MEM_OTHER, s, sizeof *s);
}

/* ---- timers: a heap by due_ns ---- */

static void heap_set(struct slx_watch_shard *sh, uint32_t i, struct slx_watch_state *s)
{
	sh->heap[i] = s;
	s->heap_at = i + 1;
}

static void heap_up(struct slx_watch_shard *sh, uint32_t i)
{
	struct slx_watch_state *s = sh->heap[i];
	for (uint32_t up; i > 0 && sh->heap[up = (i - 1) / 2]->due_ns > s->due_ns; i = up)
		heap_set(sh, i, sh->heap[up]);
	heap_set(sh, i, s);
}

static void heap_down(struct slx_watch_shard *sh, uint32_t i)
{
	struct slx_watch_state *s = sh->heap[i];
	for (uint32_t k; (k = 2 * i + 1) < sh->heap_n; i = k) {
		k += k + 1 < sh->heap_n && sh->heap[k + 1]->due_ns < sh->heap[k]->due_ns;
		if (sh->heap[k]->due_ns >= s->due_ns)
			break;
		heap_set(sh, i, sh->heap[k]);
	}
	heap_set(sh, i, s);
}

static void heap_remove(struct slx_watch_shard *sh, struct slx_watch_state *s)
{
	uint32_t i = s->heap_at - 1;
	struct slx_watch_state *last = sh->heap[--sh->heap_n];
	s->heap_at = 0;
	if (last == s)
		return;
	heap_set(sh, i, last);
	heap_up(sh, i);
	heap_down(sh, last->heap_at - 1);
}

static bool heap_add(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s)
{
	if (sh->heap_n == sh->heap_cap) {
		uint32_t cap = sh->heap_cap ? sh->heap_cap * 2 : MAP_MIN;
		void *p = slx_realloc(w->mem, SLX_MEM_OTHER, sh->heap, sh->heap_cap * sizeof *sh->heap, cap * sizeof *sh->heap);
		if (!p)
			return false;
		sh->heap = p;
		sh->heap_cap = cap;
	}
	heap_set(sh, sh->heap_n, s);
	heap_up(sh, sh->heap_n++);
	return true;
}

/* A timer that is too early stays: when it ends it is set again. Without memory for one the next sample tries again. */
void slx_watch_set_timer(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s)
{
	int64_t deadline = s->rule->timed ? slx_track_deadline(&s->track, &s->rule->track) : INT64_MAX;
	if (deadline == INT64_MAX)
		return;
	int64_t due = slx_time_add(s->anchor_ns, slx_time_sub(deadline, s->track.m.last_t));
	if (s->heap_at && s->due_ns <= due)
		return;
	s->due_ns = due;
	if (s->heap_at)
		heap_up(sh, s->heap_at - 1);
	else if (!heap_add(w, sh, s))
		return;
	if (due < atomic_load_explicit(&w->sleeps_until, memory_order_relaxed))
		slx_watch_wake(w);
}

struct slx_watch_state *slx_watch_timer_take(struct slx_watch_shard *sh, int64_t now)
{
	struct slx_watch_state *s = sh->heap_n && sh->heap[0]->due_ns <= now ? sh->heap[0] : NULL;
	if (s)
		heap_remove(sh, s);
	return s;
}

/* ---- changes ---- */

bool slx_watch_changes_add(struct slx_watch *w, struct slx_watch_changes *c, const struct slx_watch_change *x)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		void *p = slx_realloc(w->mem, SLX_MEM_OTHER, c->v, c->cap * sizeof *c->v, cap * sizeof *c->v);
		if (!p)
			return false;
		c->v = p;
		c->cap = cap;
	}
	c->v[c->n++] = *x;
	return true;
}

void slx_watch_changes_free(struct slx_watch *w, struct slx_watch_changes *c)
{
	slx_free(w->mem, SLX_MEM_OTHER, c->v, c->cap * sizeof *c->v);
	*c = (struct slx_watch_changes){ 0 };
}

void slx_watch_queue(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s, int64_t arrived_ns)
{
	sh->lost |= sh->moves.failed;
	for (size_t i = 0; i < sh->moves.n; i++) {
		struct slx_watch_change x = { s, sh->moves.v[i], arrived_ns };
		if (sh->changes.n >= QUEUE_MAX || !slx_watch_changes_add(w, &sh->changes, &x)) {
			sh->lost = true;
			break;
		}
		s->told = (uint8_t)x.move.to;
		s->queued++;
	}
	sh->moves.n = 0;
	sh->moves.failed = false;
	slx_watch_wake(w);
}
