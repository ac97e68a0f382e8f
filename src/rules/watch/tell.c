/* The thread that tells: it ends the delays of silent series, makes changes durable and gives them to the sinks, and once a minute
 * lets go of series that have gone. A change that cannot be made durable (the disk is full) is tried again each second; what comes
 * meanwhile waits behind it. */
#include "rules/watch/watch_int.h"

#include <time.h>

enum { AT_ONCE = 512, WAITING_MAX = 1 << 16 };

#define RETRY SLX_SECOND
#define SWEEP SLX_MINUTE
#define IDLE  (5 * SLX_SECOND) /* the longest sleep */
#define REFRESH (5 * SLX_SECOND)

/* ---- one batch ---- */

silex_status slx_watch_alert_labels(struct slx_labels_builder *b, const struct slx_watch_rule *r, struct slx_labels l, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_iter it = slx_labels_iter(l), own = slx_labels_iter(r->def.labels);
	struct slx_label x;
	slx_labels_builder_reset(b);
	while (slx_labels_next(&it, &x)) {
		bool name = slx_str_eq(x.name, SLX_METRIC_NAME);
		if (slx_str_eq(x.name, SLX_STR("alertname")) || slx_labels_get(r->def.labels, x.name).n || (name && r->named))
			continue;
		slx_labels_builder_add(b, name ? SLX_STR("metric") : x.name, x.value);
	}
	while (slx_labels_next(&own, &x))
		if (!slx_str_eq(x.name, SLX_STR("alertname")))
			slx_labels_builder_add(b, x.name, x.value);
	slx_labels_builder_add(b, SLX_STR("alertname"), r->def.name);
	return slx_labels_builder_finish(b, ret, err);
}

static silex_status fill_change(struct slx_watch *w, struct slx_arena *a, const struct slx_watch_change *x, struct slx_alert_change *ret, silex_error *err)
{
	const struct slx_watch_rule *r = x->state->rule;
	struct slx_labels l;
	SLX_TRY(slx_watch_alert_labels(&w->builder, r, x->state->entry->labels, &l, err));
	uint8_t *copy = slx_arena_alloc(a, l.n, 1);
	if (!copy)
		return slx_err_oom(err);
	memcpy(copy, l.p, l.n);
	*ret = (struct slx_alert_change){
		.rule = &r->alert,
		.labels = { copy, l.n },
		.annotations = r->def.annotations,
		.to = x->move.to,
		.at_ns = slx_time_clamp(x->move.at),
		.active_ns = slx_time_clamp(x->move.active),
		.arrived_ns = x->arrived_ns,
		.value = x->move.value,
	};
	return SILEX_OK;
}

/* Changes of one tenant, at most AT_ONCE. */
static silex_status send_some(struct slx_watch *w, const struct slx_watch_change *v, size_t n, silex_error *err)
{
	struct slx_alert_change changes[AT_ONCE];
	struct slx_arena a;
	silex_status status = SILEX_OK;
	slx_arena_init(&a, w->mem, SLX_MEM_OTHER, 64 << 10);
	for (size_t i = 0; i < n && status == SILEX_OK; i++)
		status = fill_change(w, &a, &v[i], &changes[i], err);
	if (status == SILEX_OK)
		status = slx_alerts_change(w->alerts, changes, n, err);
	slx_arena_clear(&a);
	return status;
}

/* How many of the first changes are one call: of one tenant, and one for each alert, for each begins where the last one ended. */
static size_t together(struct slx_watch *w, const struct slx_watch_change *v, size_t n)
{
	size_t k = 0;
	w->round++;
	while (k < n && k < AT_ONCE && v[k].state->round != w->round && slx_str_eq(v[k].state->entry->tenant, v[0].state->entry->tenant))
		v[k++].state->round = w->round;
	return k;
}

silex_status slx_watch_send(struct slx_watch *w, const struct slx_watch_change *v, size_t n, size_t *ret_done, silex_error *err)
{
	silex_status status = SILEX_OK;
	*ret_done = 0;
	for (size_t from = 0, to; from < n && status == SILEX_OK; from = to) {
		to = from + together(w, v + from, n - from);
		status = send_some(w, v + from, to - from, err);
		if (status == SILEX_OK)
			*ret_done = to;
	}
	atomic_fetch_add_explicit(&w->told, *ret_done, memory_order_relaxed);
	if (status != SILEX_OK)
		atomic_fetch_add_explicit(&w->failed, 1, memory_order_relaxed);
	return status;
}

/* ---- all that there is ---- */

static void run_timers(struct slx_watch *w, struct slx_watch_shard *sh, int64_t now)
{
	for (struct slx_watch_state *s; (s = slx_watch_timer_take(sh, now));) {
		int64_t asof = slx_time_add(s->track.m.last_t, now - s->anchor_ns);
		slx_track_pass(&s->track, &s->rule->track, asof, &sh->moves);
		if (sh->moves.n || sh->moves.failed)
			slx_watch_queue(w, sh, s, 0);
		slx_watch_set_timer(w, sh, s);
	}
}

/* Changes were lost for lack of memory: where states are is told anew. */
static void find_lost(struct slx_watch *w, struct slx_watch_shard *sh)
{
	sh->lost = false;
	for (uint32_t k = 0; k < sh->slots_n && !sh->lost; k++)
		for (struct slx_watch_state *s = sh->slots[k] ? sh->slots[k]->states : NULL; s && !sh->lost; s = s->next) {
			struct slx_watch_change x = { s, { slx_track_state(&s->track), s->track.m.asof, s->track.m.active, s->track.m.value }, 0 };
			if (x.move.to == s->told)
				continue;
			sh->lost = !slx_watch_changes_add(w, &sh->changes, &x);
			s->queued += !sh->lost;
			s->told = sh->lost ? s->told : (uint8_t)x.move.to;
		}
}

static void drop_first(struct slx_watch_changes *c, size_t n)
{
	c->n -= n;
	if (c->n)
		memmove(c->v, c->v + n, c->n * sizeof *c->v);
}

static void collect(struct slx_watch *w, struct slx_watch_shard *sh, int64_t now)
{
	pthread_mutex_lock(&sh->lock);
	run_timers(w, sh, now);
	if (sh->lost && !sh->changes.n)
		find_lost(w, sh);
	size_t moved = 0;
	while (moved < sh->changes.n && slx_watch_changes_add(w, &w->unsent, &sh->changes.v[moved]))
		moved++;
	drop_first(&sh->changes, moved);
	pthread_mutex_unlock(&sh->lock);
}

static void let_go(struct slx_watch *w, const struct slx_watch_change *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slx_watch_shard *sh = &w->shards[slx_head_stripe(v[i].state->entry->id)];
		pthread_mutex_lock(&sh->lock);
		v[i].state->queued--;
		pthread_mutex_unlock(&sh->lock);
	}
}

void slx_watch_tell(struct slx_watch *w)
{
	size_t done;
	silex_error err;
	int64_t now = slx_monotonic_ns(w->clock);
	bool waited = w->unsent.n > 0;
	for (unsigned i = 0; i < SLX_STRIPES && w->unsent.n < WAITING_MAX; i++)
		collect(w, &w->shards[i], now);
	if (waited && now < w->retry_ns)
		return;
	if (slx_watch_send(w, w->unsent.v, w->unsent.n, &done, &err) != SILEX_OK) {
		w->retry_ns = now + RETRY;
		if (!waited)
			slx_engine_log(w->engine, 3, "alerts: a change could not be made durable and waits: %s", err.message);
	}
	let_go(w, w->unsent.v, done);
	drop_first(&w->unsent, done);
}

/* ---- series that have gone ---- */

/* An entry that is in no head that is written, all states idle, told and beyond anything that could still count. */
static bool gone(const struct slx_watch_entry *e, uint64_t generation, int64_t now)
{
	if (e->generation >= generation)
		return false;
	for (const struct slx_watch_state *s = e->states; s; s = s->next) {
		const struct slx_track_rule *r = &s->rule->track;
		int64_t keep = slx_time_add(slx_time_add(r->lateness_ns, r->window_ns), r->missing_ns);
		bool idle = s->told == SLX_ALERT_INACTIVE && s->track.m.phase == SLX_PHASE_IDLE;
		if (!idle || s->queued || s->heap_at || now - s->anchor_ns <= keep)
			return false;
	}
	return true;
}

static void sweep(struct slx_watch *w, int64_t now)
{
	uint64_t generation = slx_engine_generation(w->engine);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		for (uint32_t k = 0; k < sh->slots_n; k++)
			if (sh->slots[k] && gone(sh->slots[k], generation, now))
				slx_watch_entry_free(w, sh, sh->slots[k]);
		pthread_mutex_unlock(&sh->lock);
	}
}

/* Active alerts are shown with what was compared last. */
static void refresh(struct slx_watch *w, const struct slx_watch_state *s)
{
	const struct slx_watch_rule *r = s->rule;
	struct slx_alert_change c = { .rule = &r->alert, .annotations = r->def.annotations, .to = slx_track_state(&s->track), .value = s->track.m.value };
	if (slx_watch_alert_labels(&w->builder, r, s->entry->labels, &c.labels, NULL) == SILEX_OK)
		slx_alerts_refresh(w->alerts, &c);
}

static void refresh_all(struct slx_watch *w)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		for (uint32_t k = 0; k < sh->slots_n; k++)
			for (const struct slx_watch_state *s = sh->slots[k] ? sh->slots[k]->states : NULL; s; s = s->next)
				if (s->told != SLX_ALERT_INACTIVE && !s->queued)
					refresh(w, s);
		pthread_mutex_unlock(&sh->lock);
	}
}

/* ---- the thread ---- */

void slx_watch_wake(struct slx_watch *w)
{
	if (atomic_exchange_explicit(&w->wanted, true, memory_order_acq_rel))
		return;
	pthread_mutex_lock(&w->wake_lock);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->wake_lock);
}

static int64_t next_due(struct slx_watch *w, int64_t now)
{
	int64_t due = w->unsent.n ? now + RETRY : now + IDLE;
	atomic_store_explicit(&w->sleeps_until, due, memory_order_relaxed); /* a timer that is set from here on and is earlier wakes */
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_watch_shard *sh = &w->shards[i];
		pthread_mutex_lock(&sh->lock);
		if (sh->heap_n && sh->heap[0]->due_ns < due)
			due = sh->heap[0]->due_ns;
		pthread_mutex_unlock(&sh->lock);
	}
	return due;
}

/* By the database's monotonic clock, which may be the application's: the sleep is a span. */
static void sleep_for(struct slx_watch *w, int64_t ns)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t until = slx_time_add((int64_t)t.tv_sec * SLX_SECOND + t.tv_nsec, ns > 0 ? ns : 0);
	t = (struct timespec){ until / SLX_SECOND, until % SLX_SECOND };
	pthread_mutex_lock(&w->wake_lock);
	while (!atomic_load(&w->wanted) && !w->stop && pthread_cond_timedwait(&w->wake, &w->wake_lock, &t) == 0)
		;
	pthread_mutex_unlock(&w->wake_lock);
}

static bool stopped(struct slx_watch *w)
{
	pthread_mutex_lock(&w->wake_lock);
	bool stop = w->stop;
	pthread_mutex_unlock(&w->wake_lock);
	return stop;
}

static void *run(void *arg)
{
	struct slx_watch *w = arg;
	int64_t swept = slx_monotonic_ns(w->clock), refreshed = swept;
	do {
		atomic_store_explicit(&w->wanted, false, memory_order_release);
		pthread_mutex_lock(&w->tell_lock);
		slx_watch_tell(w);
		int64_t now = slx_monotonic_ns(w->clock);
		if (now - swept > SWEEP) {
			sweep(w, now);
			swept = now;
		}
		if (now - refreshed > REFRESH) {
			refresh_all(w);
			refreshed = now;
		}
		int64_t due = next_due(w, now);
		pthread_mutex_unlock(&w->tell_lock);
		sleep_for(w, due - now);
	} while (!stopped(w));
	return NULL;
}

silex_status slx_watch_start(struct slx_watch *w, silex_error *err)
{
	if (w->running)
		return SILEX_OK;
	int failed = pthread_create(&w->thread, NULL, run, w);
	if (failed)
		return slx_err_errno(err, failed, "thread of the rules");
	pthread_setname_np(w->thread, "silex-rules");
	w->running = true;
	return SILEX_OK;
}

void slx_watch_stop(struct slx_watch *w)
{
	if (!w->running)
		return;
	pthread_mutex_lock(&w->wake_lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->wake_lock);
	pthread_join(w->thread, NULL);
	w->running = false;
	silex_error err;
	pthread_mutex_lock(&w->tell_lock);
	w->retry_ns = 0;
	slx_watch_tell(w);
	if (!w->unsent.n && slx_watch_store_stop(w, true, &err) != SILEX_OK)
		slx_engine_log(w->engine, 2, "alerts: the next start looks at the last samples again: %s", err.message);
	pthread_mutex_unlock(&w->tell_lock);
}
