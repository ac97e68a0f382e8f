/* Subqueries: expr[range:step]. The expression is evaluated over steps of its own, multiples of the step counted from the
 * epoch, that cover all windows; each row of it is then a series whose samples the windows see. */
#include "promql/exec_int.h"

static silex_status subquery_grid(struct slx_pq_exec *x, const struct slx_pq_node *n, int64_t start, int64_t end,
	struct slx_pq_grid *ret, silex_error *err)
{
	int64_t step = n->subquery.has_step && n->subquery.step.ms > 0 ? n->subquery.step.ms : x->o.subquery_step_ms;
	int64_t first = start / step * step; /* the first multiple after start */
	if (first <= start)
		first += step;
	uint64_t steps = end < first ? 0 : ((uint64_t)end - (uint64_t)first) / (uint64_t)step + 1;
	if (steps > x->o.samples_max)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
			"query processing would load too many samples into memory in query execution");
	return slx_pq_grid_init(x, first, step, (size_t)steps, ret, err);
}

static silex_status room(struct slx_pq_exec *x, struct slx_pq_samples *s, size_t n, silex_error *err)
{
	s->t = slx_pq_alloc(x, &x->arena, n * sizeof *s->t);
	s->v = slx_pq_alloc(x, &x->arena, n * sizeof *s->v);
	s->ht = slx_pq_alloc(x, &x->arena, n * sizeof *s->ht);
	s->h = slx_pq_alloc(x, &x->arena, n * sizeof *s->h);
	return s->t && s->v && s->ht && s->h ? SILEX_OK : slx_pq_oom(x, err);
}

/* A row as samples. */
static void row_samples(const struct slx_pq_row *r, const struct slx_pq_grid *g, struct slx_pq_samples *s)
{
	s->n = s->hn = 0;
	for (size_t k = 0; k < g->n; k++) {
		if (r->cell[k] == SLX_PQ_FLOAT) {
			s->t[s->n] = g->times[k];
			s->v[s->n++] = r->f[k];
		} else if (r->cell[k] == SLX_PQ_HISTOGRAM) {
			s->ht[s->hn] = g->times[k];
			s->h[s->hn++] = r->h[k];
		}
	}
}

/* Steps may repeat a sample or pass one over: what it says about a reset before it means nothing any more. */
static silex_status forget_resets(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, silex_error *err)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; m->rows[i].h && k < steps; k++) {
			const struct slx_histogram *h = m->rows[i].cell[k] == SLX_PQ_HISTOGRAM ? m->rows[i].h[k] : NULL;
			if (!h || h->reset == SLX_RESET_GAUGE || h->reset == SLX_RESET_UNKNOWN)
				continue;
			struct slx_histogram *copy = slx_pq_alloc(x, &x->arena, sizeof *copy);
			if (!copy)
				return slx_pq_oom(x, err);
			*copy = *h;
			copy->reset = SLX_RESET_UNKNOWN;
			m->rows[i].h[k] = copy;
		}
	return SILEX_OK;
}

silex_status slx_pq_subquery_eval(struct slx_pq_exec *x, const struct slx_pq_node *n, int64_t start, int64_t end,
	struct slx_pq_grid *ret_grid, struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(subquery_grid(x, n, start, end, ret_grid, err));
	if (ret_grid->n == 0)
		return slx_pq_matrix_init(x, ret, 0, err);
	return slx_pq_eval(x, ret_grid, n->subquery.expr, ret, err);
}

/* The call of l over the windows of the subquery, one row after the other. */
silex_status slx_pq_subquery_rows(
	struct slx_pq_leaf *l, const struct slx_pq_node *n, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_exec *x = l->x;
	size_t steps = l->grid->n;
	struct slx_pq_grid inner;
	struct slx_pq_matrix m;
	struct slx_pq_samples s = { 0 };
	struct slx_pq_work *w;
	SLX_TRY(slx_pq_subquery_eval(x, n, l->starts[0], l->ends[steps - 1], &inner, &m, err));
	SLX_TRY(forget_resets(x, &m, inner.n, err));
	SLX_TRY(slx_pq_matrix_init(x, ret, m.n, err));
	SLX_TRY(room(x, &s, inner.n, err));
	SLX_TRY(slx_pq_work_take(x, &w, err));
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < m.n && st == SILEX_OK; i++) {
		struct slx_pq_row *r;
		st = slx_pq_alive(x, err);
		if (st == SILEX_OK)
			st = slx_pq_row_add(x, ret, m.rows[i].labels, steps, &r, err);
		if (st != SILEX_OK)
			break;
		r->drop_name = m.rows[i].drop_name || l->drop_name;
		row_samples(&m.rows[i], &inner, &s);
		st = slx_pq_windows(l, w, &s, r->labels, r, 0, steps, err);
	}
	slx_pq_work_give_back(x, w);
	slx_pq_matrix_compact(ret, steps);
	return st;
}
