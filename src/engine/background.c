/* Background work and memory: one thread flushes, one compacts; writers ask for room before each batch.
 *
 * A flush is due when the head is large (its share of the memory limit), old (checkpoint_interval since its first write,
 * by the monotonic clock) or the log is long (max_wal_size); or when nobody has written for a while and the log is not short:
 * a point takes several times more room there than in a block. Never by sample time.
 *
 * Back-pressure. Of the memory limit L, heads may hold HEAD_SOFT before the largest tenants wait, HEAD_HARD before all
 * do; the rest is for flush, caches and queries. A flush begins at HEAD_FLUSH, so that a frozen and a fresh head fit.
 * Waiting ends when a flush gave memory back, or after write_wait_ms with RESOURCE_EXHAUSTED. While heads are over the
 * hard mark and only readers hold them, the readers' snapshots are revoked. A flush that fails is tried again after a
 * second; its reason is in health. */
#include "engine/retention_int.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { TICK_MS = 200, RETRY_MS = 1000, QUIET_S = 20, QUIET_LOG_MIN = 8 << 20, EXPIRE_MS = 60000 };

static uint64_t share(const struct slx_engine *e, unsigned per_mille) { return e->opt.memory_limit / 1000 * per_mille; }
static uint64_t head_flush(const struct slx_engine *e) { return share(e, 220); }
static uint64_t head_soft(const struct slx_engine *e) { return share(e, 400); }
static uint64_t head_hard(const struct slx_engine *e) { return share(e, 480); }

/* What heads hold, and what everything else (caches, flush, queries, the application's handles) takes beyond the rest of the
 * limit: then heads have to make do with less. */
static uint64_t heads_bytes(struct slx_engine *e)
{
	int64_t heads = atomic_load_explicit(&e->mem.used[SLX_MEM_HEAD], memory_order_relaxed);
	int64_t others = slx_mem_total(&e->mem) - heads, rest = (int64_t)(e->opt.memory_limit - head_hard(e));
	return (uint64_t)(heads + (others > rest ? others - rest : 0));
}

/* The active head's size, known to be current: the pointer is only followed under view_lock. */
static uint64_t active_bytes(struct slx_engine *e)
{
	pthread_mutex_lock(&e->view_lock);
	uint64_t n = e->view->active ? slx_head_bytes(e->view->active) : 0;
	pthread_mutex_unlock(&e->view_lock);
	return n;
}

static void timed_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t ms)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t ns = ts.tv_nsec + ms * SLX_MS;
	ts.tv_sec += ns / SLX_SECOND;
	ts.tv_nsec = ns % SLX_SECOND;
	pthread_cond_timedwait(c, m, &ts);
}

/* --- the threads ------------------------------------------------------------------------------------------------------------------- */

/* Nothing was written in the last QUIET_S seconds. */
static bool is_quiet(const struct slx_engine *e, int64_t now)
{
	uint64_t since = (uint64_t)(now / SLX_SECOND) - QUIET_S;
	for (unsigned i = 0; i < SLX_RATE_SECONDS; i++)
		if (atomic_load_explicit(&e->rate_second[i], memory_order_relaxed) > since)
			return false;
	return true;
}

static bool flush_due(struct slx_engine *e)
{
	int64_t now = slx_monotonic_ns(&e->clock);
	if (now < e->flush_retry_ns)
		return false;
	pthread_mutex_lock(&e->view_lock);
	bool frozen = e->view->frozen != NULL;
	pthread_mutex_unlock(&e->view_lock);
	if (frozen)
		return true; /* an earlier try failed */
	int64_t first = atomic_load_explicit(&e->head_first_write_ns, memory_order_relaxed);
	if (first == 0)
		return e->bg_flush_wanted = false; /* nothing to flush, whoever waits for room */
	if (e->bg_flush_wanted)
		return true;
	if (now - first >= e->opt.checkpoint_interval_ms * SLX_MS || active_bytes(e) >= head_flush(e))
		return true;
	struct slx_wal_stats st;
	slx_wal_stats(e->wal, &st);
	return e->opt.wal == SILEX_WAL_FILE && (st.bytes >= e->opt.max_wal_size || (st.bytes >= QUIET_LOG_MIN && is_quiet(e, now)));
}

static void *flush_main(void *arg)
{
	struct slx_engine *e = arg;
	pthread_mutex_lock(&e->bg_lock);
	for (int64_t look = 0; !e->bg_stop;) {
		if (slx_monotonic_ns(&e->clock) >= look) {
			look = slx_monotonic_ns(&e->clock) + SLX_SECOND;
			pthread_mutex_unlock(&e->bg_lock);
			slx_room_look(e);
			pthread_mutex_lock(&e->bg_lock);
		}
		if (!flush_due(e)) {
			timed_wait(&e->bg_wake, &e->bg_lock, TICK_MS);
			continue;
		}
		e->bg_flush_wanted = false;
		pthread_mutex_unlock(&e->bg_lock);
		silex_error err = { 0 };
		silex_status status = slx_engine_flush(e, &err);
		if (status != SILEX_OK && status != SILEX_CANCELED)
			slx_engine_log(e, 3, "flush: %s; trying again", err.message);
		pthread_mutex_lock(&e->bg_lock);
		e->flush_retry_ns = status == SILEX_OK ? 0 : slx_monotonic_ns(&e->clock) + RETRY_MS * SLX_MS;
		e->bg_compact_wanted = true;
		pthread_cond_broadcast(&e->bg_wake);
	}
	pthread_mutex_unlock(&e->bg_lock);
	return NULL;
}

/* What is too old goes: beside compaction, on the same thread. */
static void expire(struct slx_engine *e)
{
	silex_error err = { 0 };
	pthread_mutex_lock(&e->compact_lock);
	silex_status status = slx_engine_expire(e, false, &err);
	pthread_mutex_unlock(&e->compact_lock);
	if (status != SILEX_OK && status != SILEX_CANCELED)
		slx_engine_log(e, 2, "retention: %s; trying again in a minute", err.message);
}

static void *compact_main(void *arg)
{
	struct slx_engine *e = arg;
	pthread_mutex_lock(&e->bg_lock);
	while (!e->bg_stop) {
		if (slx_monotonic_ns(&e->clock) >= e->expire_due_ns) {
			e->expire_due_ns = slx_monotonic_ns(&e->clock) + EXPIRE_MS * SLX_MS;
			pthread_mutex_unlock(&e->bg_lock);
			expire(e);
			pthread_mutex_lock(&e->bg_lock);
		} else if (!e->bg_compact_wanted) {
			timed_wait(&e->bg_wake, &e->bg_lock, 5 * TICK_MS);
		}
		if (!e->bg_compact_wanted)
			continue;
		e->bg_compact_wanted = false;
		pthread_mutex_unlock(&e->bg_lock);
		silex_error err = { 0 };
		bool did = true;
		silex_status status = SILEX_OK;
		while ((did || status == SILEX_CORRUPT) && !atomic_load(&e->stopping)) { /* damage: others may still be merged */
			status = slx_engine_compact_step(e, &did, &err);
			if (status != SILEX_OK && status != SILEX_CANCELED)
				slx_engine_log(e, 2, "compaction: %s", err.message);
		}
		pthread_mutex_lock(&e->bg_lock);
	}
	pthread_mutex_unlock(&e->bg_lock);
	return NULL;
}

static void *tier_main(void *arg)
{
	struct slx_engine *e = arg;
	pthread_mutex_lock(&e->bg_lock);
	while (!e->bg_stop) {
		bool did = true;
		pthread_mutex_unlock(&e->bg_lock);
		while (did && !atomic_load(&e->stopping))
			slx_tier_round(e, &did);
		pthread_mutex_lock(&e->bg_lock);
		if (!e->bg_stop)
			timed_wait(&e->bg_wake, &e->bg_lock, 5 * TICK_MS);
	}
	pthread_mutex_unlock(&e->bg_lock);
	return NULL;
}

/* Blocks that move to a store, and objects there to be removed, have a thread that may wait for it. */
static silex_status start_tier(struct slx_engine *e, silex_error *err)
{
	if (!e->tier.target && !e->tier.uploads)
		return SILEX_OK;
	if (pthread_create(&e->tier_thread, NULL, tier_main, e)) {
		slx_background_stop(e);
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the thread that moves cold blocks");
	}
	e->tier_running = true;
	return SILEX_OK;
}

silex_status slx_background_start(struct slx_engine *e, silex_error *err)
{
	if (e->opt.no_background || e->opt.read_only)
		return SILEX_OK;
	if (pthread_create(&e->bg_thread, NULL, flush_main, e))
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the flush thread");
	if (pthread_create(&e->compact_thread, NULL, compact_main, e)) {
		pthread_mutex_lock(&e->bg_lock);
		e->bg_stop = true;
		pthread_cond_broadcast(&e->bg_wake);
		pthread_mutex_unlock(&e->bg_lock);
		pthread_join(e->bg_thread, NULL);
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the compaction thread");
	}
	e->bg_running = true;
	return start_tier(e, err);
}

void slx_background_stop(struct slx_engine *e)
{
	atomic_store(&e->stopping, true);
	if (!e->bg_running)
		return;
	pthread_mutex_lock(&e->bg_lock);
	e->bg_stop = true;
	pthread_cond_broadcast(&e->bg_wake);
	pthread_cond_broadcast(&e->bg_room);
	pthread_mutex_unlock(&e->bg_lock);
	pthread_join(e->bg_thread, NULL);
	pthread_join(e->compact_thread, NULL);
	if (e->tier_running)
		pthread_join(e->tier_thread, NULL);
	e->tier_running = false;
	e->bg_running = false;
}

void slx_background_want_flush(struct slx_engine *e)
{
	pthread_mutex_lock(&e->bg_lock);
	e->bg_flush_wanted = true;
	pthread_cond_broadcast(&e->bg_wake);
	pthread_mutex_unlock(&e->bg_lock);
}

void slx_background_want_compact(struct slx_engine *e)
{
	pthread_mutex_lock(&e->bg_lock);
	e->bg_compact_wanted = true;
	pthread_cond_broadcast(&e->bg_wake);
	pthread_mutex_unlock(&e->bg_lock);
}

void slx_background_want_expire(struct slx_engine *e)
{
	pthread_mutex_lock(&e->bg_lock);
	e->expire_due_ns = 0;
	pthread_cond_broadcast(&e->bg_wake);
	pthread_mutex_unlock(&e->bg_lock);
}

void slx_background_room(struct slx_engine *e)
{
	pthread_mutex_lock(&e->bg_lock);
	e->flush_rounds++;
	pthread_cond_broadcast(&e->bg_room);
	pthread_mutex_unlock(&e->bg_lock);
}

/* --- admission ------------------------------------------------------------------------------------------------------------------------ */

/* Whether a batch of t may go on while heads hold `bytes`. Between the soft and the hard mark, tenants with more than an
 * eighth of the active head's estimate wait; the others keep their floor. */
static bool may_write(struct slx_engine *e, struct slx_tenant *t, uint64_t bytes)
{
	if (bytes < head_soft(e))
		return true;
	if (bytes >= head_hard(e))
		return false;
	return (uint64_t)atomic_load_explicit(&t->head_bytes, memory_order_relaxed) < head_flush(e) / 8;
}

static silex_status tenant_limit(struct slx_engine *e, struct slx_tenant *t, silex_error *err)
{
	uint64_t max = atomic_load_explicit(&t->head_bytes_max, memory_order_relaxed);
	if (!max || (uint64_t)atomic_load_explicit(&t->head_bytes, memory_order_relaxed) < max)
		return SILEX_OK;
	slx_background_want_flush(e);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "tenant %.*s has used its head budget of %llu bytes; a flush is under way, try again",
		(int)t->name.n, t->name.p, (unsigned long long)max);
}

static silex_status wait_for_room(struct slx_engine *e, struct slx_tenant *t, silex_error *err)
{
	int64_t deadline = slx_monotonic_ns(&e->clock) + e->opt.write_wait_ms * SLX_MS;
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&e->bg_lock);
	while (!may_write(e, t, heads_bytes(e))) {
		int64_t now = slx_monotonic_ns(&e->clock);
		if (e->bg_stop || !e->bg_running || now >= deadline) {
			pthread_mutex_lock(&e->health_lock);
			status = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "heads hold %llu of %llu bytes and no memory came free%s%s",
				(unsigned long long)heads_bytes(e), (unsigned long long)e->opt.memory_limit, e->flush_error[0] ? "; last " : "", e->flush_error);
			pthread_mutex_unlock(&e->health_lock);
			break;
		}
		e->bg_flush_wanted = true;
		pthread_cond_broadcast(&e->bg_wake);
		slx_snapshots_revoke(e);
		timed_wait(&e->bg_room, &e->bg_lock, 50);
	}
	pthread_mutex_unlock(&e->bg_lock);
	return status;
}

/* The flush thread ticks too; this saves it the wait. A frozen head counts in bytes, so ask once only. */
static void ask_for_flush(struct slx_engine *e, uint64_t bytes)
{
	if (bytes >= head_flush(e) && !e->opt.no_background && active_bytes(e) >= head_flush(e))
		slx_background_want_flush(e);
}

silex_status slx_background_admit(struct slx_engine *e, struct slx_tenant *t, silex_error *err)
{
	SLX_TRY(slx_room_admit(e, t, err));
	t = t->payer;
	SLX_TRY(tenant_limit(e, t, err));
	uint64_t bytes = heads_bytes(e);
	ask_for_flush(e, bytes);
	return may_write(e, t, bytes) ? SILEX_OK : wait_for_room(e, t, err);
}

silex_status slx_background_room_left(struct slx_engine *e, struct slx_tenant *t, silex_error *err)
{
	uint64_t bytes = heads_bytes(e), max = head_hard(e) + share(e, 100);
	SLX_TRY(tenant_limit(e, t->payer, err));
	if (bytes < max)
		return SILEX_OK;
	slx_background_want_flush(e);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "heads hold %llu of %llu bytes; a flush is under way, try again", (unsigned long long)bytes,
		(unsigned long long)e->opt.memory_limit);
}
