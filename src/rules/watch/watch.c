#include "rules/watch/watch_int.h"

#include <stdlib.h>

/* ---- the engine's observer; under the lock of the stripe ---- */

struct marking {
	struct slx_watch *w;
	struct slx_watch_shard *shard;
	struct slx_watch_entry *entry; /* NULL: no rule yet */
	struct slx_str tenant;
	struct slx_labels labels;
	struct slx_hash128 id;
};

static void mark_for(void *arg, struct slx_watch_rule *r)
{
	struct marking *m = arg;
	if (!m->entry)
		m->entry = slx_watch_entry_get(m->w, m->shard, m->tenant, m->labels, m->id);
	if (m->entry)
		slx_watch_state_get(m->w, m->shard, m->entry, r);
}

static uint32_t mark(void *ctx, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id, uint64_t generation)
{
	struct slx_watch *w = ctx;
	struct marking m = { .w = w, .shard = &w->shards[slx_head_stripe(id)], .tenant = tenant, .labels = l, .id = id };
	if (slx_tenant_is_internal(tenant))
		return 0;
	pthread_mutex_lock(&m.shard->lock);
	m.entry = slx_watch_entry_find(m.shard, id);
	pthread_rwlock_rdlock(&w->index_lock);
	slx_watch_matches(w, tenant, l, mark_for, &m);
	pthread_rwlock_unlock(&w->index_lock);
	if (m.entry)
		m.entry->generation = generation;
	uint32_t mark = m.entry ? m.entry->slot + 1 : 0;
	pthread_mutex_unlock(&m.shard->lock);
	return mark;
}

/* The wall clock against the monotonic one tells of steps back. */
static void look_at_clock(struct slx_watch_shard *sh, const struct slx_observed *o)
{
	int64_t offset = slx_time_sub(o->wall_ns, o->arrived_ns);
	if (offset < slx_time_sub(sh->clock_offset, SLX_WATCH_STEP_BACK))
		sh->epoch++;
	sh->clock_offset = offset;
}

static void take(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s, const struct slx_observed *o, int64_t t, double v)
{
	const struct slx_track_rule *r = &s->rule->track;
	if (s->epoch != sh->epoch) {
		slx_track_set_back(&s->track, &w->room, t);
		s->epoch = sh->epoch;
	}
	switch (slx_track_sample(&s->track, r, &w->room, o->wall_ns, t, v, &sh->moves)) {
	case SLX_TAKEN_IN_ORDER:
		s->anchor_ns = o->arrived_ns;
		s->samples++;
		sh->samples++;
		break;
	case SLX_TAKEN_LATE:
		s->late++;
		sh->late++;
		break;
	case SLX_TAKEN_NOT:
		s->ignored++;
		sh->ignored++;
		return;
	default:
		return;
	}
	if (sh->moves.n || sh->moves.failed)
		slx_watch_queue(w, sh, s, o->arrived_ns);
	slx_watch_set_timer(w, sh, s);
}

static void samples(void *ctx, const struct slx_observed *o)
{
	struct slx_watch *w = ctx;
	struct slx_watch_shard *sh = &w->shards[o->stripe];
	pthread_mutex_lock(&sh->lock);
	if (!o->backfill)
		look_at_clock(sh, o);
	for (size_t i = 0; i < o->n; i++) {
		struct slx_watch_entry *e = sh->slots[o->mark[i] - 1];
		if (i + 4 < o->n)
			__builtin_prefetch(sh->slots[o->mark[i + 4] - 1]);
		for (struct slx_watch_state *s = e->states; s; s = s->next) {
			if (o->backfill) {
				s->ignored++;
				sh->ignored++;
				continue;
			}
			take(w, sh, s, o, o->ts[i], slx_bits_number(o->kind, o->bits[i]));
		}
	}
	pthread_mutex_unlock(&sh->lock);
}

/* ---- rules ---- */

static struct slx_str copy_str(struct slx_arena *a, struct slx_str s, bool *ok)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (!p)
		return *ok = false, (struct slx_str){ "", 0 };
	memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return (struct slx_str){ p, s.n };
}

static struct slx_labels copy_labels(struct slx_arena *a, struct slx_labels l, bool *ok)
{
	static const uint8_t none[] = { 0 };
	struct slx_str s = copy_str(a, l.n ? (struct slx_str){ (const char *)l.p, l.n } : (struct slx_str){ (const char *)none, 1 }, ok);
	return (struct slx_labels){ (const uint8_t *)s.p, s.n };
}

static bool copy_rule(struct slx_watch *w, struct slx_watch_rule *r, struct slx_str tenant, uint64_t id)
{
	struct slx_buf text;
	bool ok = true;
	r->def.name = copy_str(&r->arena, r->def.name, &ok);
	r->def.selector = copy_str(&r->arena, r->def.selector, &ok);
	r->def.labels = copy_labels(&r->arena, r->def.labels, &ok);
	r->def.annotations = copy_labels(&r->arena, r->def.annotations, &ok);
	slx_buf_init(&text, w->mem, SLX_MEM_OTHER, SLX_WATCH_SELECTOR_MAX + 1024);
	slx_watch_def_text(&r->def, &text);
	r->alert = (struct slx_alert_rule){ .id = id, .tenant = copy_str(&r->arena, tenant, &ok), .name = r->def.name, .origin = SLX_RULE_API };
	r->alert.expr = copy_str(&r->arena, (struct slx_str){ (const char *)text.p, text.n }, &ok);
	ok = ok && !text.failed;
	slx_buf_free(&text);
	return ok;
}

static bool fixes_name(const struct slx_selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->matchers[i]->op == SLX_MATCH_EQ && slx_str_eq(s->matchers[i]->name, SLX_METRIC_NAME))
			return true;
	return false;
}

silex_status slx_watch_rule_new(struct slx_watch *w, struct slx_str tenant, uint64_t id, const struct slx_watch_def *d, struct slx_watch_rule **ret,
	const char **ret_field, silex_error *err)
{
	struct slx_watch_rule *r = slx_calloc(w->mem, SLX_MEM_OTHER, sizeof *r);
	silex_error why;
	if (!r)
		return slx_err_oom(err);
	r->def = *d;
	slx_arena_init(&r->arena, w->mem, SLX_MEM_OTHER, 4096);
	pthread_mutex_init(&r->restored_lock, NULL);
	silex_status status = slx_watch_def_check(&r->def, ret_field, err);
	if (status == SILEX_OK && (status = slx_selector_parse(w->mem, r->def.selector, &r->selector, &why)) != SILEX_OK) {
		if (ret_field)
			*ret_field = "selector";
		slx_err(err, status, "selector: %s", why.message);
	}
	if (status == SILEX_OK && !copy_rule(w, r, tenant, id))
		status = slx_err_oom(err);
	if (status != SILEX_OK) {
		slx_watch_rule_free(w, r);
		return status;
	}
	slx_watch_def_rule(&r->def, &r->track);
	r->timed = r->def.on_ns || r->def.off_ns || r->def.missing_ns;
	r->named = fixes_name(&r->selector);
	*ret = r;
	return SILEX_OK;
}

void slx_watch_rule_free(struct slx_watch *w, struct slx_watch_rule *r)
{
	for (struct slx_watch_restored *x = r->restored, *next; x; x = next) {
		next = x->next;
		slx_free(w->mem, SLX_MEM_OTHER, x, sizeof *x + x->labels.n);
	}
	slx_selector_free(&r->selector);
	slx_arena_clear(&r->arena);
	pthread_mutex_destroy(&r->restored_lock);
	slx_free(w->mem, SLX_MEM_OTHER, r, sizeof *r);
}

/* Where a rule of this id is, or would be. admin_lock is held. */
static size_t place(const struct slx_watch *w, uint64_t id)
{
	size_t from = 0, to = w->rules_n;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (w->rules[mid]->alert.id < id)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

silex_status slx_watch_rule_put(struct slx_watch *w, struct slx_watch_rule *r, silex_error *err)
{
	if (w->rules_n == w->rules_cap) {
		size_t cap = w->rules_cap ? w->rules_cap * 2 : 16;
		void *p = slx_realloc(w->mem, SLX_MEM_OTHER, w->rules, w->rules_cap * sizeof *w->rules, cap * sizeof *w->rules);
		if (!p)
			return slx_err_oom(err);
		w->rules = p;
		w->rules_cap = cap;
	}
	size_t at = place(w, r->alert.id);
	memmove(w->rules + at + 1, w->rules + at, (w->rules_n - at) * sizeof *w->rules);
	w->rules[at] = r;
	w->rules_n++;
	pthread_rwlock_wrlock(&w->index_lock);
	slx_watch_index(w, r);
	pthread_rwlock_unlock(&w->index_lock);
	return SILEX_OK;
}

static void observe(struct slx_watch *w)
{
	struct slx_observer o = { w, mark, samples };
	slx_engine_observe(w->engine, w->rules_n ? &o : NULL);
}

/* ---- removing ---- */

static void drop_changes(struct slx_watch_changes *c, const struct slx_watch_rule *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].state->rule != r)
			c->v[kept++] = c->v[i];
	c->n = kept;
}

/* The ends of the rule's active alerts. A rule that is gone needs no more. tell_lock is held. */
static void end_alerts(struct slx_watch *w, const struct slx_watch_rule *r)
{
	struct slx_watch_changes ends = { 0 };
	size_t done;
	slx_watch_tell(w);
	drop_changes(&w->unsent, r);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		drop_changes(&sh->changes, r);
		for (uint32_t k = 0; k < sh->slots_n; k++)
			for (struct slx_watch_state *s = sh->slots[k] ? sh->slots[k]->states : NULL; s; s = s->next)
				if (s->rule == r && s->told != SLX_ALERT_INACTIVE)
					slx_watch_changes_add(w, &ends, &(struct slx_watch_change){ s, { SLX_ALERT_INACTIVE, s->track.m.asof, 0, s->track.m.value }, 0 });
		pthread_mutex_unlock(&sh->lock);
	}
	slx_watch_send(w, ends.v, ends.n, &done, NULL);
	slx_watch_changes_free(w, &ends);
}

/* Entries stay, for their marks do; those without states go when the head has changed. */
static void remove_states(struct slx_watch *w, const struct slx_watch_rule *r)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		drop_changes(&sh->changes, r);
		for (uint32_t k = 0; k < sh->slots_n; k++)
			for (struct slx_watch_state *s = sh->slots[k] ? sh->slots[k]->states : NULL, *next; s; s = next) {
				next = s->next;
				if (s->rule == r)
					slx_watch_state_free(w, sh, s);
			}
		pthread_mutex_unlock(&sh->lock);
	}
}

static void take_out(struct slx_watch *w, struct slx_watch_rule *r)
{
	size_t at = place(w, r->alert.id);
	pthread_rwlock_wrlock(&w->index_lock);
	slx_watch_unindex(w, r);
	pthread_rwlock_unlock(&w->index_lock);
	memmove(w->rules + at, w->rules + at + 1, (w->rules_n - at - 1) * sizeof *w->rules);
	w->rules_n--;
	pthread_mutex_lock(&w->tell_lock);
	end_alerts(w, r);
	remove_states(w, r);
	pthread_mutex_unlock(&w->tell_lock);
	slx_watch_rule_free(w, r);
	if (!w->rules_n)
		observe(w);
}

struct slx_watch_rule *slx_watch_rule_find(const struct slx_watch *w, struct slx_str tenant, uint64_t id)
{
	size_t at = place(w, id);
	struct slx_watch_rule *r = at < w->rules_n && w->rules[at]->alert.id == id ? w->rules[at] : NULL;
	return r && slx_str_eq(r->alert.tenant, tenant) ? r : NULL;
}

static silex_status not_found(struct slx_str tenant, uint64_t id, silex_error *err)
{
	return slx_err(err, SILEX_NOT_FOUND, "tenant %.*s has no rule %llu", (int)tenant.n, tenant.p, (unsigned long long)id);
}

silex_status slx_watch_remove(struct slx_watch *w, struct slx_str tenant, uint64_t id, silex_error *err)
{
	pthread_mutex_lock(&w->admin_lock);
	struct slx_watch_rule *r = slx_watch_rule_find(w, tenant, id);
	silex_status status = r ? slx_watch_store(w, r, true, err) : not_found(tenant, id, err);
	if (status == SILEX_OK)
		take_out(w, r);
	pthread_mutex_unlock(&w->admin_lock);
	return status;
}

/* ---- adding ---- */

static silex_status mark_series(struct slx_watch *w, const struct slx_watch_rule *r, silex_error *err)
{
	struct slx_tenant *t;
	SLX_TRY(slx_engine_tenant(w->engine, r->alert.tenant, &t, err));
	return slx_engine_mark(w->engine, t, r->selector.matchers, r->selector.n, err);
}

/* Into force: states for what is there, then marks. A failure takes it out again. admin_lock is held. */
static silex_status put_in_force(struct slx_watch *w, struct slx_watch_rule *r, silex_error *err)
{
	silex_status status = slx_watch_start(w, err);
	if (status == SILEX_OK)
		status = slx_watch_rule_put(w, r, err);
	if (status != SILEX_OK) {
		slx_watch_rule_free(w, r);
		return status;
	}
	if (w->rules_n == 1)
		observe(w);
	status = slx_watch_seed(w, r, false, err);
	if (status == SILEX_OK)
		status = mark_series(w, r, err);
	if (status == SILEX_OK)
		status = slx_watch_store(w, r, false, err);
	if (status != SILEX_OK)
		take_out(w, r);
	return status;
}

silex_status slx_watch_add(struct slx_watch *w, struct slx_str tenant, const struct slx_watch_def *d, uint64_t *ret_id, const char **ret_field,
	silex_error *err)
{
	struct slx_watch_rule *r;
	SLX_TRY(slx_tenant_check(tenant, err));
	pthread_mutex_lock(&w->admin_lock);
	uint64_t id = w->next_id;
	silex_status status = slx_watch_rule_new(w, tenant, id, d, &r, ret_field, err);
	if (status == SILEX_OK)
		status = put_in_force(w, r, err);
	if (status == SILEX_OK)
		w->next_id++;
	pthread_mutex_unlock(&w->admin_lock);
	if (status == SILEX_OK)
		*ret_id = id;
	return status;
}

silex_status slx_watch_take_id(struct slx_watch *w, uint64_t *ret, silex_error *err)
{
	pthread_mutex_lock(&w->admin_lock);
	uint64_t id = w->next_id;
	silex_status status = slx_watch_store_next(w, id + 1, err);
	if (status == SILEX_OK)
		*ret = id;
	w->next_id += status == SILEX_OK;
	pthread_mutex_unlock(&w->admin_lock);
	return status;
}

/* ---- looking ---- */

static void add_state(struct slx_watch_info *i, const struct slx_watch_state *s)
{
	i->series++;
	i->pending += s->told == SLX_ALERT_PENDING;
	i->firing += s->told == SLX_ALERT_FIRING;
	i->samples += s->samples;
	i->late += s->late;
	i->ignored += s->ignored;
}

static int by_rule(const void *key, const void *element)
{
	uint64_t a = *(const uint64_t *)key, b = ((const struct slx_watch_info *)element)->id;
	return a < b ? -1 : a > b;
}

/* The states of all shards, added up by rule: infos are by id. */
static void add_states(struct slx_watch *w, struct slx_watch_info *infos, size_t n)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		for (uint32_t k = 0; k < sh->slots_n; k++)
			for (const struct slx_watch_state *s = sh->slots[k] ? sh->slots[k]->states : NULL; s; s = s->next) {
				struct slx_watch_info *at = bsearch(&s->rule->alert.id, infos, n, sizeof *infos, by_rule);
				if (at)
					add_state(at, s);
			}
		pthread_mutex_unlock(&sh->lock);
	}
}

static size_t list_rules(const struct slx_watch *w, struct slx_str tenant, uint64_t id, struct slx_watch_info *infos)
{
	size_t n = 0;
	for (size_t i = 0; i < w->rules_n; i++) {
		const struct slx_watch_rule *r = w->rules[i];
		if ((id == 0 || r->alert.id == id) && slx_str_eq(r->alert.tenant, tenant))
			infos[n++] = (struct slx_watch_info){ .id = r->alert.id, .tenant = r->alert.tenant, .expr = r->alert.expr, .def = &r->def,
				.refused = atomic_load_explicit(&r->refused, memory_order_relaxed) };
	}
	return n;
}

silex_status slx_watch_list(struct slx_watch *w, struct slx_str tenant, uint64_t id, slx_watch_fn *each, void *arg, silex_error *err)
{
	pthread_mutex_lock(&w->admin_lock);
	size_t size = (w->rules_n + 1) * sizeof(struct slx_watch_info);
	struct slx_watch_info *infos = slx_alloc(w->mem, SLX_MEM_OTHER, size);
	silex_status status = infos ? SILEX_OK : slx_err_oom(err);
	if (infos) {
		size_t n = list_rules(w, tenant, id, infos);
		add_states(w, infos, n);
		if (id && !n)
			status = not_found(tenant, id, err);
		for (size_t i = 0; i < n && each(arg, &infos[i]); i++)
			;
	}
	slx_free(w->mem, SLX_MEM_OTHER, infos, size);
	pthread_mutex_unlock(&w->admin_lock);
	return status;
}

void slx_watch_count(struct slx_watch *w, struct slx_watch_counts *ret)
{
	*ret = (struct slx_watch_counts){ .told = atomic_load(&w->told), .failed = atomic_load(&w->failed), .kept_bytes = atomic_load(&w->room.used) };
	pthread_mutex_lock(&w->admin_lock);
	ret->rules = w->rules_n;
	for (size_t i = 0; i < w->rules_n; i++) {
		ret->series += atomic_load_explicit(&w->rules[i]->series, memory_order_relaxed);
		ret->refused += atomic_load_explicit(&w->rules[i]->refused, memory_order_relaxed);
	}
	pthread_mutex_unlock(&w->admin_lock);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		ret->samples += sh->samples;
		ret->late += sh->late;
		ret->ignored += sh->ignored;
		pthread_mutex_unlock(&sh->lock);
	}
}

/* ---- life ---- */

silex_status slx_watch_new(struct slx_alerts *a, int64_t room, struct slx_watch **ret, silex_error *err)
{
	struct slx_engine *e = slx_alerts_engine(a);
	struct slx_mem *m = slx_engine_mem(e);
	struct slx_watch *w = slx_calloc(m, SLX_MEM_OTHER, sizeof *w);
	pthread_condattr_t monotonic;
	if (!w)
		return slx_err_oom(err);
	w->alerts = a;
	w->engine = e;
	w->mem = m;
	w->clock = slx_engine_clock(e);
	w->room = (struct slx_track_room){ .mem = m, .used_max = room };
	w->next_id = 1;
	atomic_store(&w->sleeps_until, INT64_MAX);
	pthread_mutex_init(&w->admin_lock, NULL);
	pthread_rwlock_init(&w->index_lock, NULL);
	pthread_mutex_init(&w->tell_lock, NULL);
	pthread_mutex_init(&w->wake_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	slx_labels_builder_init(&w->builder, m, SLX_MEM_OTHER, NULL);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		pthread_mutex_init(&w->shards[i].lock, NULL);
		w->shards[i].clock_offset = SLX_TIME_MIN;
		w->shards[i].moves.mem = m;
	}
	silex_status status = slx_watch_load(w, err);
	if (status == SILEX_OK && w->rules_n)
		observe(w);
	for (size_t i = 0; i < w->rules_n && status == SILEX_OK; i++) /* the log has been replayed into a head without marks */
		status = mark_series(w, w->rules[i], err);
	if (status != SILEX_OK) {
		slx_watch_free(w);
		return status;
	}
	*ret = w;
	return SILEX_OK;
}

silex_status slx_watch_go(struct slx_watch *w, silex_error *err)
{
	pthread_mutex_lock(&w->admin_lock);
	silex_status status = w->rules_n ? slx_watch_start(w, err) : SILEX_OK;
	pthread_mutex_unlock(&w->admin_lock);
	return status;
}

static void shard_free(struct slx_watch *w, struct slx_watch_shard *sh)
{
	for (uint32_t k = 0; k < sh->slots_n; k++)
		if (sh->slots[k])
			slx_watch_entry_free(w, sh, sh->slots[k]);
	slx_free(w->mem, SLX_MEM_OTHER, sh->map, sh->map_n * sizeof *sh->map);
	slx_free(w->mem, SLX_MEM_OTHER, sh->slots, sh->slots_cap * sizeof *sh->slots);
	slx_free(w->mem, SLX_MEM_OTHER, sh->heap, sh->heap_cap * sizeof *sh->heap);
	slx_watch_changes_free(w, &sh->changes);
	slx_moves_free(&sh->moves);
	pthread_mutex_destroy(&sh->lock);
}

void slx_watch_free(struct slx_watch *w)
{
	if (!w)
		return;
	slx_engine_observe(w->engine, NULL);
	slx_watch_stop(w);
	for (unsigned i = 0; i < SLX_STRIPES; i++)
		shard_free(w, &w->shards[i]);
	for (size_t i = 0; i < w->rules_n; i++)
		slx_watch_rule_free(w, w->rules[i]);
	slx_free(w->mem, SLX_MEM_OTHER, w->rules, w->rules_cap * sizeof *w->rules);
	slx_watch_changes_free(w, &w->unsent);
	slx_labels_builder_free(&w->builder);
	pthread_mutex_destroy(&w->admin_lock);
	pthread_rwlock_destroy(&w->index_lock);
	pthread_mutex_destroy(&w->tell_lock);
	pthread_mutex_destroy(&w->wake_lock);
	pthread_cond_destroy(&w->wake);
	slx_free(w->mem, SLX_MEM_OTHER, w, sizeof *w);
}
