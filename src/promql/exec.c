/* The executor: a query from its beginning to its end, and the walk over its tree. */
#include "promql/rollup_int.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "promql/histogram.h"

enum {
	LOOKBACK_MS = 300000,
	SUBQUERY_STEP_MS = 60000,
	SAMPLES_MAX = 50000000,
	ROOM_MIN = 512 << 10, /* bytes a query may always take: a small one works however full the database is */
};

/* ---- limits ---- */

silex_status slx_pq_alive(struct slx_pq_exec *x, silex_error *err)
{
	if (x->o.canceled && atomic_load_explicit(x->o.canceled, memory_order_relaxed))
		return slx_err(err, SILEX_CANCELED, "query was canceled in expression evaluation");
	if (x->deadline_ns && slx_monotonic_ns(slx_engine_clock(x->engine)) > x->deadline_ns)
		return slx_err(err, SILEX_DEADLINE_EXCEEDED, "query timed out in expression evaluation");
	return slx_snapshot_check(x->snapshot, err);
}

silex_status slx_pq_hold(struct slx_pq_exec *x, int64_t n, silex_error *err)
{
	if (n == 0)
		return SILEX_OK;
	uint64_t now = atomic_fetch_add_explicit(&x->samples, (uint64_t)n, memory_order_relaxed) + (uint64_t)n;
	uint64_t peak = atomic_load_explicit(&x->samples_peak, memory_order_relaxed);
	if (n < 0)
		return SILEX_OK;
	while (now > peak &&
		!atomic_compare_exchange_weak_explicit(
			&x->samples_peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
		;
	if (now <= x->o.samples_max)
		return SILEX_OK;
	return slx_err(
		err, SILEX_RESOURCE_EXHAUSTED, "query processing would load too many samples into memory in query execution");
}

bool slx_pq_book(struct slx_pq_exec *x, const struct slx_arena *a, size_t before)
{
	int64_t more = (int64_t)(a->total - before);
	return more == 0 || atomic_fetch_add_explicit(&x->memory, more, memory_order_relaxed) + more <= x->memory_limit;
}

void *slx_pq_alloc(struct slx_pq_exec *x, struct slx_arena *a, size_t n)
{
	size_t before = a->total;
	void *p = slx_arena_alloc(a, n ? n : 1, 8);
	return slx_pq_book(x, a, before) ? p : NULL;
}

silex_status slx_pq_oom(struct slx_pq_exec *x, silex_error *err)
{
	int64_t used = atomic_load_explicit(&x->memory, memory_order_relaxed);
	if (used <= x->memory_limit)
		return slx_err_oom(err);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
		"the query holds %lld bytes; its limit is %lld (narrow it, or raise memory_limit)", (long long)used,
		(long long)x->memory_limit);
}

/* ---- steps ---- */

silex_status slx_pq_grid_init(
	struct slx_pq_exec *x, int64_t start, int64_t step, size_t n, struct slx_pq_grid *ret, silex_error *err)
{
	int64_t *times = slx_pq_alloc(x, &x->arena, n * sizeof *times);
	if (!times)
		return slx_pq_oom(x, err);
	for (size_t k = 0; k < n; k++)
		times[k] = start + (int64_t)k * step;
	*ret = (struct slx_pq_grid){ start, step, n, times };
	return SILEX_OK;
}

/* ---- the walk ---- */

const struct slx_pq_node *slx_pq_unwrap(const struct slx_pq_node *n)
{
	while (n->type == SLX_PQ_PAREN || n->type == SLX_PQ_STEP_INVARIANT)
		n = n->inner;
	return n;
}

static silex_status eval_number(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, double v, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_row *r;
	SLX_TRY(slx_pq_matrix_init(x, ret, 1, err));
	SLX_TRY(slx_pq_row_add(x, ret, slx_pq_no_labels, g->n, &r, err));
	for (size_t k = 0; k < g->n; k++) {
		r->f[k] = v;
		r->cell[k] = SLX_PQ_FLOAT;
	}
	return SILEX_OK;
}

/* The one step's row, repeated over g. */
static silex_status spread(struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_pq_row *r, silex_error *err)
{
	struct slx_pq_row one = *r;
	SLX_TRY(slx_pq_row_cells(x, &x->arena, r, g->n, one.h != NULL, err));
	memset(r->cell, one.cell[0], g->n);
	for (size_t k = 0; k < g->n; k++)
		r->f[k] = one.f[0];
	for (size_t k = 0; r->h && k < g->n; k++)
		r->h[k] = one.h[0];
	return slx_pq_hold(x, (int64_t)g->n, err);
}

static silex_status eval_invariant(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_grid one;
	if (g->n == 1)
		return slx_pq_eval(x, g, n->inner, ret, err);
	SLX_TRY(slx_pq_grid_init(x, g->start, 0, 1, &one, err));
	SLX_TRY(slx_pq_eval(x, &one, n->inner, ret, err));
	for (size_t i = 0; i < ret->n; i++)
		SLX_TRY(spread(x, g, &ret->rows[i], err));
	return SILEX_OK;
}

static silex_status eval_unary(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_eval(x, g, n->unary.expr, ret, err));
	if (!n->unary.minus)
		return SILEX_OK;
	for (size_t i = 0; i < ret->n; i++) {
		struct slx_pq_row *r = &ret->rows[i];
		for (size_t k = 0; k < g->n; k++)
			r->f[k] = -r->f[k];
		for (size_t k = 0; r->h && k < g->n; k++)
			if (r->cell[k] == SLX_PQ_HISTOGRAM && !(r->h[k] = slx_pq_histogram_scale(&x->arena, r->h[k], -1)))
				return slx_pq_oom(x, err);
		r->drop_name = n->value_type == SLX_PROMQL_VECTOR;
	}
	return slx_pq_names(x, ret, g->n, true, err);
}

silex_status slx_pq_eval_scalar(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n, double **ret, silex_error *err)
{
	struct slx_pq_matrix m;
	SLX_TRY(slx_pq_eval(x, g, n, &m, err));
	if (m.n != 1)
		return slx_err(err, SILEX_CONFLICT, "expected a scalar");
	*ret = m.rows[0].f;
	return SILEX_OK;
}

static silex_status eval_vector(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_leaf leaf;
	SLX_TRY(slx_pq_leaf_init(x, g, n, &leaf, err));
	return slx_pq_leaf_rows(&leaf, ret, err);
}

silex_status slx_pq_eval(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_alive(x, err));
	switch (n->type) {
	case SLX_PQ_NUMBER:
		return eval_number(x, g, n->number, ret, err);
	case SLX_PQ_STRING:
		return slx_pq_matrix_init(x, ret, 0, err);
	case SLX_PQ_VECTOR:
		return eval_vector(x, g, n, ret, err);
	case SLX_PQ_CALL:
		return slx_pq_call_eval(x, g, n, ret, err);
	case SLX_PQ_AGGREGATE:
		return slx_pq_aggregate(x, g, n, ret, err);
	case SLX_PQ_BINARY:
		return slx_pq_binary(x, g, n, ret, err);
	case SLX_PQ_UNARY:
		return eval_unary(x, g, n, ret, err);
	case SLX_PQ_PAREN:
		return slx_pq_eval(x, g, n->inner, ret, err);
	case SLX_PQ_STEP_INVARIANT:
		return eval_invariant(x, g, n, ret, err);
	case SLX_PQ_MATRIX:
	case SLX_PQ_SUBQUERY:
		break;
	}
	return slx_err(err, SILEX_CONFLICT, "a range vector stands where an instant vector is expected");
}

/* ---- life ---- */

static void set_options(struct slx_pq_exec *x, const struct slx_promql_options *o)
{
	int64_t room = slx_engine_query_room(x->engine);
	x->o = *o;
	x->o.lookback_ms = o->lookback_ms > 0 ? o->lookback_ms : LOOKBACK_MS;
	x->o.subquery_step_ms = o->subquery_step_ms > 0 ? o->subquery_step_ms : SUBQUERY_STEP_MS;
	x->o.samples_max = o->samples_max ? o->samples_max : SAMPLES_MAX;
	if (o->step_ms <= 0)
		x->o.end_ms = o->start_ms;
	x->memory_limit = room > ROOM_MIN ? room : ROOM_MIN;
	if (o->memory_limit && o->memory_limit < (uint64_t)x->memory_limit)
		x->memory_limit = (int64_t)o->memory_limit;
	if (o->timeout_ns > 0 &&
		__builtin_add_overflow(slx_monotonic_ns(slx_engine_clock(x->engine)), o->timeout_ns, &x->deadline_ns))
		x->deadline_ns = INT64_MAX;
}

static void work_free(struct slx_pq_exec *x, struct slx_pq_work *w)
{
	struct slx_pq_samples *s = &w->samples;
	slx_scan_free(w->scan);
	slx_parts_free(&w->parts);
	slx_arena_clear(&w->arena);
	slx_free(x->mem, SLX_MEM_QUERY, s->t, s->cap * sizeof *s->t);
	slx_free(x->mem, SLX_MEM_QUERY, s->v, s->cap * sizeof *s->v);
	slx_free(x->mem, SLX_MEM_QUERY, s->ht, s->hcap * sizeof *s->ht);
	slx_free(x->mem, SLX_MEM_QUERY, s->h, s->hcap * sizeof *s->h);
	slx_free(x->mem, SLX_MEM_QUERY, w, sizeof *w);
}

static silex_status work_new(struct slx_pq_exec *x, struct slx_pq_work **ret, silex_error *err)
{
	struct slx_pq_work *w = slx_calloc(x->mem, SLX_MEM_QUERY, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	slx_parts_init(&w->parts, x->mem);
	slx_arena_init(&w->arena, x->mem, SLX_MEM_QUERY, 1 << 20);
	silex_status st = slx_scan_new(x->mem, slx_engine_codecs(x->engine), &w->scan, err);
	if (st != SILEX_OK) {
		work_free(x, w);
		return st;
	}
	*ret = w;
	return SILEX_OK;
}

silex_status slx_pq_work_take(struct slx_pq_exec *x, struct slx_pq_work **ret, silex_error *err)
{
	pthread_mutex_lock(&x->lock);
	struct slx_pq_work *w = x->idle;
	if (w)
		x->idle = w->next;
	pthread_mutex_unlock(&x->lock);
	if (!w) {
		SLX_TRY(work_new(x, &w, err));
		pthread_mutex_lock(&x->lock);
		w->all = x->works;
		x->works = w;
		pthread_mutex_unlock(&x->lock);
	}
	*ret = w;
	return SILEX_OK;
}

void slx_pq_work_give_back(struct slx_pq_exec *x, struct slx_pq_work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&x->lock);
	w->next = x->idle;
	x->idle = w;
	pthread_mutex_unlock(&x->lock);
}

static void exec_free(struct slx_pq_exec *x)
{
	while (x->works) {
		struct slx_pq_work *w = x->works;
		x->works = w->all;
		work_free(x, w);
	}
	for (size_t i = 0; i < x->n_selections; i++)
		slx_selection_free(x->selections[i]);
	slx_pq_rolled_free(x->rolled);
	slx_rollup_view_free(x->rollups);
	slx_snapshot_free(x->snapshot);
	slx_labels_builder_free(&x->builder);
	slx_pq_notes_free(&x->notes);
	slx_arena_clear(&x->arena);
	pthread_mutex_destroy(&x->lock);
}

static silex_status check_options(const struct slx_promql_options *o, silex_error *err)
{
	if (o->step_ms < 0)
		return slx_err(err, SILEX_INVALID, "step is %lld ms; expected 0 (instant) or more", (long long)o->step_ms);
	if (o->step_ms > 0 && o->end_ms < o->start_ms)
		return slx_err(err, SILEX_INVALID, "invalid parameter \"end\": end timestamp must not be before start time");
	return SILEX_OK;
}

static size_t count_steps(const struct slx_promql_options *o)
{
	return o->step_ms > 0 ? (size_t)(((uint64_t)o->end_ms - (uint64_t)o->start_ms) / (uint64_t)o->step_ms) + 1 : 1;
}

static silex_status run(
	struct slx_pq_exec *x, const struct slx_promql_expr *e, struct slx_promql_result **ret, silex_error *err)
{
	struct slx_pq_node *root;
	struct slx_pq_grid g;
	struct slx_pq_matrix m;
	if (x->o.rollups != SLX_PROMQL_ROLLUPS_OFF)
		SLX_TRY(slx_rollup_view_new(x->engine, x->o.who.tenant, &x->rollups, err));
	SLX_TRY(slx_snapshot_new(x->engine, x->o.who, &x->snapshot, err));
	SLX_TRY(slx_pq_prepare(x, e->root, &root, err));
	x->root = root;
	x->prepared_ns = slx_monotonic_ns(slx_engine_clock(x->engine));
	SLX_TRY(slx_pq_grid_init(x, x->o.start_ms, x->o.step_ms, count_steps(&x->o), &g, err));
	enum slx_promql_type type = slx_pq_unwrap(root)->value_type;
	if (type == SLX_PROMQL_MATRIX && x->o.step_ms == 0)
		return slx_pq_result_range(x, &g, ret, err);
	if (x->o.step_ms > 0 && (type == SLX_PROMQL_MATRIX || type == SLX_PROMQL_STRING))
		return slx_err(err, SILEX_INVALID,
			"invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
			type == SLX_PROMQL_STRING ? "string" : "range vector");
	SLX_TRY(slx_pq_eval(x, &g, root, &m, err));
	return slx_pq_result_make(x, &g, &m, ret, err);
}

silex_status slx_promql_run(struct slx_engine *e, const struct slx_promql_expr *expr,
	const struct slx_promql_options *o, struct slx_promql_result **ret, silex_error *err)
{
	SLX_TRY(check_options(o, err));
	struct slx_pq_exec x = { .engine = e, .mem = slx_engine_mem(e) };
	const silex_clock *clock = slx_engine_clock(e);
	int64_t begun = slx_monotonic_ns(clock);
	set_options(&x, o);
	pthread_mutex_init(&x.lock, NULL);
	slx_arena_init(&x.arena, x.mem, SLX_MEM_QUERY, 1 << 20);
	slx_labels_builder_init(&x.builder, x.mem, SLX_MEM_QUERY, NULL);
	slx_pq_notes_init(&x.notes, x.mem, expr->text);
	silex_status st = run(&x, expr, ret, err);
	int64_t elapsed = slx_monotonic_ns(clock) - begun;
	if (st == SILEX_OK) {
		struct slx_promql_stats *stats = &(*ret)->stats;
		stats->eval_ns = elapsed;
		stats->prepare_ns = x.prepared_ns - begun;
		stats->exec_ns = elapsed - stats->prepare_ns;
	}
	exec_free(&x);
	slx_engine_count_query(e, elapsed);
	return st;
}
