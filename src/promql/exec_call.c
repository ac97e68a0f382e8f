/* Calls: functions over range vectors, window by window, and functions over whole matrices. */
#include "promql/exec_int.h"

/* Of windows, after which a query is asked whether it should go on: some ms of the cheapest function. */
enum { SAMPLES_BETWEEN_CHECKS = 1 << 20 };

/* ---- windows ---- */

/* Where the windows of steps from..to-1 begin and end among ascending times: lo[k] .. hi[k] - 1. */
static void find_edges(
	const struct slx_pq_leaf *l, const int64_t *t, size_t n, size_t from, size_t to, uint32_t *lo, uint32_t *hi)
{
	size_t a = 0, b = 0;
	for (size_t k = from; k < to; k++) {
		a = slx_pq_until(t, a, n, l->starts[k] - l->before);
		b = slx_pq_until(t, b < a ? a : b, n, l->ends[k] + l->after);
		lo[k - from] = (uint32_t)a;
		hi[k - from] = (uint32_t)b;
	}
}

static silex_status edges_reserve(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t n, silex_error *err)
{
	if (n <= w->edges_cap)
		return SILEX_OK;
	uint32_t *edges = slx_pq_alloc(l->x, &w->arena, n * sizeof *edges);
	if (!edges)
		return slx_pq_oom(l->x, err);
	w->edges = edges;
	w->edges_cap = n;
	return SILEX_OK;
}

static void scalars_at(const struct slx_pq_leaf *l, size_t k, double *scalars)
{
	for (size_t i = 0; i < l->call->call.n_args && i < SLX_PQ_SCALARS_MAX; i++)
		scalars[i] = l->args && l->args[i].n == 1 && l->call->call.args[i]->value_type == SLX_PROMQL_SCALAR
			? l->args[i].rows[0].f[k]
			: 0;
}

static silex_status set_value(const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t k,
	struct slx_pq_value v, silex_error *err)
{
	r->f[k] = v.f;
	r->cell[k] = v.h ? SLX_PQ_HISTOGRAM : SLX_PQ_FLOAT;
	if (!v.h)
		return SILEX_OK;
	SLX_TRY(slx_pq_row_histograms(l->x, &w->arena, r, l->grid->n, err));
	r->h[k] = v.h;
	return SILEX_OK;
}

struct edges {
	const uint32_t *lo, *hi, *hlo, *hhi;
};

static silex_status by_window(const struct slx_pq_leaf *l, struct slx_pq_work *w, const struct slx_pq_samples *s,
	struct slx_pq_call *c, double *scalars, const struct edges *e, struct slx_pq_row *r, size_t from, size_t to,
	silex_error *err)
{
	const struct slx_pq_function *fn = l->call->call.fn;
	uint64_t read = 0;
	if (from < to)
		scalars_at(l, from, scalars);
	for (size_t k = from; k < to; k++) {
		size_t i = k - from;
		struct slx_pq_window window = { .t = s->t + e->lo[i],
			.v = s->v + e->lo[i],
			.n = e->hi[i] - e->lo[i],
			.start = l->starts[k],
			.end = l->ends[k],
			.eval = l->grid->times[k] };
		if (s->hn) {
			window.ht = s->ht + e->hlo[i];
			window.h = s->h + e->hlo[i];
			window.hn = e->hhi[i] - e->hlo[i];
		}
		struct slx_pq_value v = { 0 };
		if (window.n + window.hn == 0)
			continue;
		if (!l->constant)
			scalars_at(l, k, scalars);
		if (fn->window(c, &window, &v))
			SLX_TRY(set_value(l, w, r, k, v, err));
		if (c->status != SILEX_OK)
			return slx_err(err, c->status, "%s", c->error.message);
		read += 1 + window.n + window.hn;
		if (read >= SAMPLES_BETWEEN_CHECKS) {
			SLX_TRY(slx_pq_alive(l->x, err));
			read = 0;
		}
	}
	return SILEX_OK;
}

/* In pieces, so that a query can end in the middle of a series of many wide windows. */
static silex_status by_sweep(const struct slx_pq_leaf *l, const struct slx_pq_samples *s, struct slx_pq_call *c,
	double *scalars, const struct edges *e, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	scalars_at(l, from, scalars);
	for (size_t k = from, next; k < to; k = next) {
		uint64_t read = 0;
		for (next = k; next < to && read < SAMPLES_BETWEEN_CHECKS; next++)
			read += 1 + e->hi[next - from] - e->lo[next - from];
		l->call->call.fn->sweep(c, s->t, s->v, e->lo + (k - from), e->hi + (k - from), l->starts + k, l->ends + k,
			next - k, r->f + k, r->cell + k);
		if (c->status != SILEX_OK)
			return slx_err(err, c->status, "%s", c->error.message);
		if (next < to)
			SLX_TRY(slx_pq_alive(l->x, err));
	}
	return SILEX_OK;
}

silex_status slx_pq_windows(const struct slx_pq_leaf *l, struct slx_pq_work *w, const struct slx_pq_samples *s,
	struct slx_labels labels, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	size_t n = to - from;
	uint64_t seen = 0;
	double scalars[SLX_PQ_SCALARS_MAX];
	SLX_TRY(edges_reserve(l, w, n * 4, err));
	struct edges e = { w->edges, w->edges + n, w->edges + 2 * n, w->edges + 3 * n };
	find_edges(l, s->t, s->n, from, to, w->edges, w->edges + n);
	if (s->hn)
		find_edges(l, s->ht, s->hn, from, to, w->edges + 2 * n, w->edges + 3 * n);
	for (size_t i = 0; i < n; i++)
		seen += e.hi[i] - e.lo[i] + (s->hn ? e.hhi[i] - e.hlo[i] : 0);
	atomic_fetch_add_explicit(&l->x->samples_total, seen, memory_order_relaxed);
	struct slx_pq_call c = { .exec = l->x,
		.node = l->call,
		.times = l->grid->times,
		.steps = l->grid->n,
		.arena = &w->arena,
		.notes = &l->x->notes,
		.metric = slx_labels_get(labels, SLX_METRIC_NAME),
		.scalars = scalars,
		.options = &l->x->o };
	if (s->hn || !l->constant || !l->call->call.fn->sweep || l->before)
		return by_window(l, w, s, &c, scalars, &e, r, from, to, err);
	return by_sweep(l, s, &c, scalars, &e, r, from, to, err);
}

/* ---- calls ---- */

static bool is_constant(const struct slx_pq_matrix *args, const struct slx_pq_node *n, size_t steps)
{
	for (size_t i = 0; i < n->call.n_args; i++) {
		if (n->call.args[i]->value_type != SLX_PROMQL_SCALAR || args[i].n != 1)
			continue;
		const double *f = args[i].rows[0].f;
		for (size_t k = 1; k < steps; k++)
			if (slx_f64_bits(f[k]) != slx_f64_bits(f[0]))
				return false;
	}
	return true;
}

static silex_status eval_args(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *args, silex_error *err)
{
	for (size_t i = 0; i < n->call.n_args; i++) {
		args[i] = (struct slx_pq_matrix){ 0 };
		if (n->call.args[i]->value_type != SLX_PROMQL_MATRIX && !(i == 1 && n->call.fn->selector))
			SLX_TRY(slx_pq_eval(x, g, n->call.args[i], &args[i], err));
	}
	return SILEX_OK;
}

/* The number of the argument that is a range vector; n_args when there is none. */
static size_t range_argument(const struct slx_pq_node *n)
{
	size_t i = 0;
	while (i < n->call.n_args && n->call.args[i]->value_type != SLX_PROMQL_MATRIX)
		i++;
	return i;
}

static void reach(struct slx_pq_leaf *l, enum slx_pq_smoothing s)
{
	l->before = s == SLX_PQ_PLAIN ? 0 : l->x->o.lookback_ms;
	l->after = s == SLX_PQ_SMOOTHED ? l->x->o.lookback_ms : 0;
}

/* The leaf of a call over a range of a selector. */
static silex_status call_leaf(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	const struct slx_pq_node *range, struct slx_pq_matrix *args, struct slx_pq_leaf *l, silex_error *err)
{
	*l = (struct slx_pq_leaf){ .x = x,
		.grid = g,
		.call = n,
		.args = args,
		.constant = is_constant(args, n, g->n),
		.drop_name = !n->call.fn->keeps_name,
		.vector = slx_pq_unwrap(range->matrix.vector) };
	reach(l, l->vector->vector.smoothing);
	SLX_TRY(slx_pq_leaf_windows(l, &l->vector->vector.mods, range->matrix.range.ms, err));
	slx_pq_fold_init(l);
	return slx_pq_leaf_source(l, err);
}

silex_status slx_pq_leaf_values(const struct slx_pq_leaf *l, struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_leaf_rows(l, ret, err));
	return l->drop_name ? slx_pq_names(l->x, ret, l->grid->n, true, err) : SILEX_OK;
}

static silex_status eval_range_call(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	const struct slx_pq_node *range, struct slx_pq_matrix *args, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_leaf l;
	if (range->type != SLX_PQ_SUBQUERY) {
		SLX_TRY(call_leaf(x, g, n, range, args, &l, err));
		return slx_pq_leaf_values(&l, ret, err);
	}
	l = (struct slx_pq_leaf){ .x = x,
		.grid = g,
		.call = n,
		.args = args,
		.constant = is_constant(args, n, g->n),
		.drop_name = !n->call.fn->keeps_name };
	SLX_TRY(slx_pq_leaf_windows(&l, &range->subquery.mods, range->subquery.range.ms, err));
	SLX_TRY(slx_pq_subquery_rows(&l, range, ret, err));
	return l.drop_name ? slx_pq_names(x, ret, g->n, true, err) : SILEX_OK;
}

static silex_status eval_matrix_call(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *args, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_call c = {
		.exec = x, .node = n, .times = g->times, .steps = g->n, .arena = &x->arena, .notes = &x->notes, .options = &x->o
	};
	SLX_TRY(n->call.fn->matrix(x, &c, args, ret, err));
	if (c.status != SILEX_OK)
		return slx_err(err, c.status, "%s", c.error.message);
	return slx_pq_names(x, ret, g->n, false, err);
}

/* timestamp(selector) gives the times of samples, not of steps. */
static silex_status eval_timestamp(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *vector,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_leaf l;
	SLX_TRY(slx_pq_leaf_init(x, g, vector, &l, err));
	l.times = l.drop_name = true;
	SLX_TRY(slx_pq_leaf_rows(&l, ret, err));
	return slx_pq_names(x, ret, g->n, false, err);
}

static silex_status args_new(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix **ret, silex_error *err)
{
	*ret = slx_pq_alloc(x, &x->arena, n->call.n_args * sizeof **ret);
	return *ret ? eval_args(x, g, n, *ret, err) : slx_pq_oom(x, err);
}

silex_status slx_pq_leaf_of(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_leaf *ret, bool *ret_is, silex_error *err)
{
	struct slx_pq_matrix *args;
	while (n->type == SLX_PQ_PAREN)
		n = n->inner;
	*ret_is = n->type == SLX_PQ_VECTOR;
	if (*ret_is)
		return slx_pq_leaf_init(x, g, n, ret, err);
	size_t range = n->type == SLX_PQ_CALL ? range_argument(n) : 0;
	*ret_is = n->type == SLX_PQ_CALL && range < n->call.n_args && n->call.fn->window && !n->call.fn->matrix &&
		slx_pq_unwrap(n->call.args[range])->type == SLX_PQ_MATRIX;
	if (!*ret_is)
		return SILEX_OK;
	SLX_TRY(args_new(x, g, n, &args, err));
	return call_leaf(x, g, n, slx_pq_unwrap(n->call.args[range]), args, ret, err);
}

silex_status slx_pq_call_eval(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	const struct slx_pq_function *fn = n->call.fn;
	size_t range = range_argument(n), n_args = n->call.n_args;
	struct slx_pq_matrix *args;
	if (n_args == 1 && slx_str_eq(n->call.name, SLX_STR("timestamp")) &&
		slx_pq_unwrap(n->call.args[0])->type == SLX_PQ_VECTOR)
		return eval_timestamp(x, g, slx_pq_unwrap(n->call.args[0]), ret, err);
	if (!fn->window && !fn->matrix)
		return slx_err(err, SILEX_CONFLICT, "function %s is not supported", fn->name);
	SLX_TRY(args_new(x, g, n, &args, err));
	if (range == n_args)
		return eval_matrix_call(x, g, n, args, ret, err);
	SLX_TRY(eval_range_call(x, g, n, slx_pq_unwrap(n->call.args[range]), args, ret, err));
	if (!fn->matrix)
		return SILEX_OK;
	args[range] = *ret;
	return eval_matrix_call(x, g, n, args, ret, err);
}
