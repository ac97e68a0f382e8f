/* The life of a query: its plan is checked, its series are found, its rows are handed out; and the work spaces that
 * queries leave to one another, so that a small one allocates little. */
#include "query/query_int.h"

#include "base/clock.h"
#include "base/thread.h"
#include "engine/engine.h"

#include <stdlib.h>

enum {
	ROWS_MAX = 50000000,
	ROOM_MIN = 512 << 10, /* bytes a query may always take: a small one works however full the database is */
};

struct slx_querier {
	struct slx_engine *engine;
	unsigned keep; /* idle work spaces at most */
	pthread_mutex_t lock;
	struct slx_query_work *idle; /* lock */
	unsigned idle_n;             /* lock */
};

/* ---- the querier ---- */

silex_status slx_querier_new(struct slx_engine *e, struct slx_querier **ret, silex_error *err)
{
	struct slx_querier *q = slx_calloc(slx_engine_mem(e), SLX_MEM_QUERY, sizeof *q);
	if (!q)
		return slx_err_oom(err);
	q->engine = e;
	q->keep = slx_pool_threads(slx_engine_pool(e)) + 1;
	pthread_mutex_init(&q->lock, NULL);
	*ret = q;
	return SILEX_OK;
}

static void work_free(struct slx_mem *mem, struct slx_query_work *w)
{
	slx_scan_free(w->scan);
	slx_parts_free(&w->parts);
	slx_free(mem, SLX_MEM_QUERY, w, sizeof *w);
}

void slx_querier_free(struct slx_querier *q)
{
	if (!q)
		return;
	struct slx_mem *mem = slx_engine_mem(q->engine);
	while (q->idle) {
		struct slx_query_work *w = q->idle;
		q->idle = w->next;
		work_free(mem, w);
	}
	pthread_mutex_destroy(&q->lock);
	slx_free(mem, SLX_MEM_QUERY, q, sizeof *q);
}

static silex_status work_new(struct slx_engine *e, struct slx_query_work **ret, silex_error *err)
{
	struct slx_mem *mem = slx_engine_mem(e);
	struct slx_query_work *w = slx_calloc(mem, SLX_MEM_QUERY, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	slx_parts_init(&w->parts, mem);
	silex_status st = slx_scan_new(mem, slx_engine_codecs(e), &w->scan, err);
	if (st != SILEX_OK) {
		work_free(mem, w);
		return st;
	}
	*ret = w;
	return SILEX_OK;
}

silex_status slx_query_work_take(struct slx_query_cursor *c, struct slx_query_work **ret, silex_error *err)
{
	struct slx_querier *q = c->querier;
	pthread_mutex_lock(&q->lock);
	struct slx_query_work *w = q->idle;
	if (w) {
		q->idle = w->next;
		q->idle_n--;
	}
	pthread_mutex_unlock(&q->lock);
	if (!w)
		SLX_TRY(work_new(q->engine, &w, err));
	slx_scan_stats(w->scan, &w->before);
	*ret = w;
	return SILEX_OK;
}

/* Adds what the work space scanned since it was taken. */
static void add_scanned(silex_query_stats *to, const struct slx_query_work *w)
{
	struct slx_scan_stats now;
	slx_scan_stats(w->scan, &now);
	to->chunks += now.chunks - w->before.chunks;
	to->chunks_by_header += now.chunks_by_header - w->before.chunks_by_header;
	to->bytes_read += now.bytes_read - w->before.bytes_read;
}

void slx_query_work_give_back(struct slx_query_cursor *c, struct slx_query_work *w)
{
	struct slx_querier *q = c->querier;
	if (!w)
		return;
	slx_scan_start(w->scan, NULL, 0, NULL, 0, SLX_TIME_ALL); /* lets go of pages and chunks */
	slx_arena_clear(&w->parts.arena);
	pthread_mutex_lock(&c->lock);
	add_scanned(&c->stats, w);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_lock(&q->lock);
	bool keep = q->idle_n < q->keep;
	if (keep) {
		w->next = q->idle;
		q->idle = w;
		q->idle_n++;
	}
	pthread_mutex_unlock(&q->lock);
	if (!keep)
		work_free(slx_engine_mem(q->engine), w);
}

/* ---- checking a plan ---- */

static silex_status check_plan(const struct slx_query_plan *p, silex_error *err)
{
	if (!slx_query_agg(p->agg))
		return slx_err(err, SILEX_INVALID, "agg is %d; expected a number of SILEX_AGG_LIST, 0 to %d", (int)p->agg,
			SILEX_AGG_COUNT_OF - 1);
	if ((unsigned)p->fill > SILEX_FILL_PREVIOUS)
		return slx_err(err, SILEX_INVALID, "fill is %d; expected skip (0), null (1) or previous (2)", (int)p->fill);
	if (p->range.from > p->range.to)
		return slx_err(err, SILEX_INVALID, "start (%lld ns) is after end (%lld ns)", (long long)p->range.from,
			(long long)p->range.to);
	if (p->step < 0)
		return slx_err(err, SILEX_INVALID, "step is %lld ns; expected 0 (one window) or more", (long long)p->step);
	if (p->agg == SILEX_AGG_NONE && p->step > 0)
		return slx_err(err, SILEX_INVALID, "step without an aggregate; set agg, or step 0 for the samples themselves");
	if (p->agg == SILEX_AGG_NONE && (p->group || p->n_group_by))
		return slx_err(err, SILEX_INVALID, "group without an aggregate; set agg");
	if (p->n_group_by && !p->group)
		return slx_err(err, SILEX_INVALID, "group_by without group");
	if (p->agg == SILEX_AGG_PERCENTILE && !(p->percentile >= 0 && p->percentile <= 100))
		return slx_err(err, SILEX_INVALID, "percentile is %g; expected 0 to 100", p->percentile);
	if (p->agg == SILEX_AGG_TIME_IN_STATE && (!p->state || !p->state[0]))
		return slx_err(err, SILEX_INVALID, "time_in_state without a state; set state");
	return SILEX_OK;
}

static void set_windows(struct slx_query_cursor *c, const struct slx_query_plan *p)
{
	struct slx_query_windows *w = &c->windows;
	w->range = (struct slx_time_range){ slx_time_clamp(p->range.from), slx_time_clamp(p->range.to) };
	w->step = (uint64_t)p->step;
	w->n = 1;
	if (p->step > 0)
		w->n = ((uint64_t)w->range.to - (uint64_t)w->range.from) / w->step + 1;
}

static silex_status check_rows(struct slx_query_cursor *c, const struct slx_query_plan *p, silex_error *err)
{
	uint64_t rows, rows_max = p->rows_max ? p->rows_max : ROWS_MAX;
	bool over = __builtin_mul_overflow(c->windows.n, (uint64_t)c->n_units, &rows);
	if (!over && rows <= rows_max)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID,
		"%llu windows x %zu %s would make more than %llu rows (rows_max); take a larger step or a smaller range",
		(unsigned long long)c->windows.n, c->n_units, c->group ? "groups" : "series", (unsigned long long)rows_max);
}

/* A state is asked for by text; numbers are states too. */
static silex_status set_state(struct slx_query_cursor *c, const char *state, silex_error *err)
{
	void *p;
	char *end;
	SLX_TRY(slx_query_alloc(&c->memory, strlen(state) + 1, &p, err));
	c->state = strcpy(p, state);
	c->state_number = strtod(state, &end);
	c->state_is_number = end != state && *end == 0;
	if (strcmp(state, "true") == 0 || strcmp(state, "false") == 0) {
		c->state_number = state[0] == 't';
		c->state_is_number = true;
	}
	return SILEX_OK;
}

static silex_status prepare(struct slx_query_cursor *c, const struct slx_query_plan *p, silex_error *err)
{
	const struct slx_query_agg *agg = slx_query_agg(p->agg);
	c->agg = p->agg == SILEX_AGG_NONE ? NULL : agg;
	c->group = p->group;
	c->needs = agg->needs;
	if (p->group && !agg->per_series && agg->needs & SLX_NEED_EDGES)
		c->needs |= SLX_NEED_TIMES;
	c->fill = p->fill;
	c->descending = p->descending;
	c->limit = p->limit;
	c->limit_per_series = p->limit_per_series;
	if (p->agg == SILEX_AGG_TIME_IN_STATE)
		SLX_TRY(set_state(c, p->state, err));
	set_windows(c, p);
	SLX_TRY(slx_snapshot_new(c->engine, p->who, &c->snapshot, err));
	c->finish = (struct slx_query_finish){ p->percentile, c->snapshot };
	SLX_TRY(slx_query_units(c, p, err));
	SLX_TRY(check_rows(c, p, err));
	return c->agg ? slx_query_jobs_begin(c, p, err) : SILEX_OK;
}

static void set_limits(struct slx_query_cursor *c, const struct slx_query_plan *p)
{
	const silex_clock *clock = slx_engine_clock(c->engine);
	int64_t room = slx_engine_query_room(c->engine);
	c->memory.limit = room > ROOM_MIN ? room : ROOM_MIN;
	if (p->memory_limit && p->memory_limit < (uint64_t)c->memory.limit)
		c->memory.limit = (int64_t)p->memory_limit;
	c->begun_ns = slx_monotonic_ns(clock);
	c->now_ns = slx_wall_ns(clock);
	if (p->timeout_ns > 0 && __builtin_add_overflow(c->begun_ns, p->timeout_ns, &c->deadline_ns))
		c->deadline_ns = INT64_MAX;
}

silex_status slx_query_open(
	struct slx_querier *q, const struct slx_query_plan *plan, struct slx_query_cursor **ret, silex_error *err)
{
	SLX_TRY(check_plan(plan, err));
	struct slx_mem *mem = slx_engine_mem(q->engine);
	struct slx_query_cursor *c = slx_calloc(mem, SLX_MEM_QUERY, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	c->querier = q;
	c->engine = q->engine;
	c->memory.engine = q->engine;
	c->elapsed_ns = -1;
	c->memory.mem = mem;
	pthread_mutex_init(&c->lock, NULL);
	slx_arena_init(&c->labels, mem, SLX_MEM_QUERY, 65536);
	set_limits(c, plan);
	c->canceled_too = plan->canceled;
	silex_status st = prepare(c, plan, err);
	if (st == SILEX_OK)
		st = slx_query_check(c, err);
	if (st != SILEX_OK) {
		slx_query_close(c);
		return st;
	}
	c->opened = true;
	*ret = c;
	return SILEX_OK;
}

/* ---- running ---- */

silex_status slx_query_check(struct slx_query_cursor *c, silex_error *err)
{
	if (atomic_load_explicit(&c->canceled, memory_order_relaxed) ||
		(c->canceled_too && atomic_load_explicit(c->canceled_too, memory_order_relaxed)))
		return slx_err(err, SILEX_CANCELED, "the query was canceled");
	if (c->deadline_ns && slx_monotonic_ns(slx_engine_clock(c->engine)) > c->deadline_ns)
		return slx_err(err, SILEX_DEADLINE_EXCEEDED, "the query took longer than its timeout of %lld ms",
			(long long)((c->deadline_ns - c->begun_ns) / SLX_MS));
	return slx_snapshot_check(c->snapshot, err);
}

/* The rows are all given, or will not be: how long that took is what metrics count. */
static void ended(struct slx_query_cursor *c)
{
	if (c->elapsed_ns >= 0)
		return;
	c->elapsed_ns = slx_monotonic_ns(slx_engine_clock(c->engine)) - c->begun_ns;
	slx_engine_count_query(c->engine, c->elapsed_ns);
}

/* Once, before the first rows: a damaged section that the selections had to leave out. */
static silex_status tell_damage(struct slx_query_cursor *c, silex_error *err)
{
	if (c->damage_told)
		return SILEX_OK;
	c->damage_told = true;
	for (size_t i = 0; i < c->n_selections; i++) {
		const silex_error *damage = slx_selection_damage(c->selections[i]);
		if (damage)
			return slx_err(err, damage->code, "%s", damage->message);
	}
	return SILEX_OK;
}

silex_status slx_query_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err)
{
	if (c->failed != SILEX_OK)
		return slx_err(err, c->failed, "%s", c->failure.message);
	*ret = (struct slx_query_rows){ 0 };
	silex_status st = slx_query_check(c, &c->failure);
	if (st == SILEX_OK)
		st = tell_damage(c, &c->failure);
	if (st == SILEX_OK && !(c->limit && c->rows_given >= c->limit))
		st = c->agg ? slx_query_jobs_next(c, ret, &c->failure) : slx_query_samples_next(c, ret, &c->failure);
	if (st != SILEX_OK) {
		if (st != SILEX_CORRUPT) {
			c->failed = st;
			ended(c);
		}
		return slx_err(err, st, "%s", c->failure.message);
	}
	if (ret->n == 0)
		ended(c);
	if (c->limit && ret->n > c->limit - c->rows_given)
		ret->n = (size_t)(c->limit - c->rows_given);
	c->rows_given += ret->n;
	return SILEX_OK;
}

void slx_query_cancel(struct slx_query_cursor *c) { atomic_store_explicit(&c->canceled, true, memory_order_relaxed); }

void slx_query_stats(const struct slx_query_cursor *c, silex_query_stats *ret)
{
	*ret = c->stats;
	if (c->work)
		add_scanned(ret, c->work);
	ret->elapsed_ns = c->elapsed_ns >= 0 ? c->elapsed_ns : slx_monotonic_ns(slx_engine_clock(c->engine)) - c->begun_ns;
}

const char *slx_query_state(const struct slx_query_cursor *c, uint32_t state)
{
	const char *text = slx_snapshot_state(c->snapshot, state);
	return text ? text : "";
}

void slx_query_close(struct slx_query_cursor *c)
{
	if (!c)
		return;
	struct slx_query_memory *m = &c->memory;
	if (c->opened)
		ended(c);
	slx_query_work_give_back(c, c->work);
	slx_query_jobs_free(c);
	slx_query_stretch_free(&c->stretch, m);
	for (size_t i = 0; i < c->n_selections; i++)
		slx_selection_free(c->selections[i]);
	slx_query_release(m, c->selections, c->n_selections * sizeof *c->selections);
	slx_query_release(m, c->series, c->series_cap * sizeof *c->series);
	slx_query_release(m, c->units, c->n_units * sizeof *c->units);
	slx_query_release(m, c->state, c->state ? strlen(c->state) + 1 : 0);
	slx_arena_clear(&c->labels);
	slx_snapshot_free(c->snapshot);
	pthread_mutex_destroy(&c->lock);
	slx_free(m->mem, SLX_MEM_QUERY, c, sizeof *c);
}
