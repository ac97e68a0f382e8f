/* Aggregations that fold one row after the other into the columns of its group: sum, avg, min, max, count, group, stddev,
 * stdvar. Those that must see all rows of a group at once are in aggregate_pick.c; rows that are folded as they come out of
 * the store, without ever being all in memory, in aggregate_leaf.c. */
#include "promql/aggregate_int.h"

#include "promql/histogram.h"
#include "promql/kahan.h"

/* ---- groups ---- */

silex_status slx_pq_groups_add(struct slx_pq_groups *s, struct slx_labels l, uint32_t *ret, silex_error *err)
{
	const struct slx_pq_node *n = s->node;
	struct slx_pq_cut cut = { n->agg.by, n->agg.n_by, !n->agg.without, n->agg.without, false };
	struct slx_labels key = slx_pq_no_labels;
	size_t at;
	bool fresh;
	if (n->agg.without || n->agg.n_by)
		SLX_TRY(slx_pq_labels_cut(s->x, l, &cut, &key, err));
	SLX_TRY(slx_pq_table_add(s->x, &s->table, key, &at, &fresh, err));
	*ret = (uint32_t)at;
	return SILEX_OK;
}

silex_status slx_pq_groups_of(struct slx_pq_groups *s, const struct slx_pq_matrix *m, silex_error *err)
{
	s->of = slx_pq_alloc(s->x, &s->x->arena, m->n * sizeof *s->of);
	if (!s->of)
		return slx_pq_oom(s->x, err);
	for (size_t i = 0; i < m->n; i++)
		SLX_TRY(slx_pq_groups_add(s, m->rows[i].labels, &s->of[i], err));
	return SILEX_OK;
}

/* ---- columns of one group ---- */

silex_status slx_pq_column_init(
	const struct slx_pq_folding *f, struct slx_arena *a, struct slx_pq_column *c, silex_error *err)
{
	*c = (struct slx_pq_column){ 0 };
	c->a = slx_pq_alloc(f->x, a, f->steps * (3 * sizeof *c->a + 1));
	if (!c->a)
		return slx_pq_oom(f->x, err);
	memset(c->a, 0, f->steps * (3 * sizeof *c->a + 1));
	c->b = c->a + f->steps;
	c->c = c->b + f->steps;
	c->has = (uint8_t *)(c->c + f->steps);
	return SILEX_OK;
}

static double compensated(double s, double comp) { return isfinite(s) && isfinite(comp) ? s + comp : s; }

/* The mean so far is c->a + c->b; n values with this one. */
static void add_to_mean(struct slx_pq_column *c, size_t k, double v, double n)
{
	double mean = c->a[k], q = (n - 1) / n;
	if (isinf(mean) && ((isinf(v) && (mean > 0) == (v > 0)) || isfinite(v)))
		return; /* it stays what it is */
	struct slx_pq_kahan sum = { q * mean, q * c->b[k] };
	slx_pq_kahan_add(&sum, v / n);
	c->a[k] = sum.s;
	c->b[k] = sum.c;
}

static void add_to_avg(struct slx_pq_column *c, size_t k, double v)
{
	double n = ++c->c[k];
	if (!(c->has[k] & SLX_PQ_INCREMENTAL)) {
		double comp = c->b[k], sum = slx_pq_two_sum(c->a[k], v, &comp);
		if (!isinf(sum) || n == 1) {
			c->a[k] = sum;
			c->b[k] = isinf(sum) ? 0 : comp;
			return;
		}
		c->has[k] |= SLX_PQ_INCREMENTAL;
		c->a[k] /= n - 1;
		c->b[k] /= n - 1;
	}
	add_to_mean(c, k, v, n);
}

static void add_to_spread(struct slx_pq_column *c, size_t k, double v)
{
	double n = ++c->c[k];
	if (n == 1) {
		c->a[k] = isfinite(v) ? 0 : NAN;
		c->b[k] = v;
		return;
	}
	double delta = v - c->b[k];
	c->b[k] += delta / n;
	c->a[k] += delta * (v - c->b[k]);
}

static void add_to_extreme(struct slx_pq_column *c, size_t k, double v, bool max)
{
	if (!c->has[k] || isnan(c->a[k]) || (max ? c->a[k] < v : c->a[k] > v))
		c->a[k] = v;
}

static void merge_avg(struct slx_pq_column *to, const struct slx_pq_column *from, size_t k)
{
	double n = to->c[k] + from->c[k];
	if (!(to->has[k] & SLX_PQ_INCREMENTAL) && !(from->has[k] & SLX_PQ_INCREMENTAL)) {
		double comp = to->b[k] + from->b[k], sum = slx_pq_two_sum(to->a[k], from->a[k], &comp);
		if (!isinf(sum)) {
			to->a[k] = sum;
			to->b[k] = comp;
			to->c[k] = n;
			return;
		}
	}
	double mean = to->has[k] & SLX_PQ_INCREMENTAL ? to->a[k] : to->a[k] / to->c[k];
	double other = from->has[k] & SLX_PQ_INCREMENTAL ? from->a[k] : from->a[k] / from->c[k];
	to->a[k] = mean * (to->c[k] / n) + other * (from->c[k] / n);
	to->b[k] = 0;
	to->c[k] = n;
	to->has[k] |= SLX_PQ_INCREMENTAL;
}

void slx_pq_merge_columns(const struct slx_pq_folding *f, struct slx_pq_column *to, const struct slx_pq_column *from)
{
	for (size_t k = 0; k < f->steps; k++) {
		if (!from->has[k])
			continue;
		if (!to->has[k]) {
			to->a[k] = from->a[k];
			to->b[k] = from->b[k];
			to->c[k] = from->c[k];
		} else if (f->op == SLX_PQ_SUM) {
			to->a[k] = slx_pq_two_sum(to->a[k], from->a[k], &to->b[k]);
			to->b[k] += from->b[k];
		} else if (f->op == SLX_PQ_AVG) {
			merge_avg(to, from, k);
		} else if (f->op == SLX_PQ_MIN || f->op == SLX_PQ_MAX) {
			add_to_extreme(to, k, from->a[k], f->op == SLX_PQ_MAX);
		} else {
			to->c[k] += from->c[k];
		}
		to->has[k] |= from->has[k];
	}
}

void slx_pq_fold_floats(const struct slx_pq_folding *f, struct slx_pq_column *c, const struct slx_pq_row *r)
{
	for (size_t k = 0; k < f->steps; k++) {
		if (r->cell[k] != SLX_PQ_FLOAT)
			continue;
		switch (f->op) {
		case SLX_PQ_SUM:
			c->a[k] = slx_pq_two_sum(c->a[k], r->f[k], &c->b[k]);
			break;
		case SLX_PQ_AVG:
			add_to_avg(c, k, r->f[k]);
			break;
		case SLX_PQ_MIN:
		case SLX_PQ_MAX:
			add_to_extreme(c, k, r->f[k], f->op == SLX_PQ_MAX);
			break;
		case SLX_PQ_STDDEV:
		case SLX_PQ_STDVAR:
			add_to_spread(c, k, r->f[k]);
			break;
		default:
			c->c[k]++;
		}
		c->has[k] |= SLX_PQ_HAS_FLOAT;
	}
}

/* ---- histograms ---- */

static void note_ignored(const struct slx_pq_folding *f)
{
	slx_pq_note(&f->x->notes, true, f->node->agg.expr->pos, "PromQL info: ignored histogram in %s aggregation",
		slx_pq_agg_text(f->op));
}

static silex_status add_histogram(
	const struct slx_pq_folding *f, struct slx_pq_column *c, size_t k, const struct slx_histogram *h, silex_error *err)
{
	c->c[k]++;
	c->has[k] |= SLX_PQ_HAS_HISTOGRAM;
	if (c->h[k]) {
		unsigned found = slx_pq_hist_add(c->h[k], h);
		if (found & SLX_PQ_HIST_INCOMPATIBLE)
			c->has[k] |= SLX_PQ_MIXED_SCHEMAS;
		c->found |= found;
		return SILEX_OK;
	}
	c->h[k] = slx_pq_alloc(f->x, &f->x->arena, sizeof *c->h[k]);
	if (!c->h[k])
		return slx_pq_oom(f->x, err);
	slx_pq_hist_init(c->h[k], &f->x->arena, h);
	return SILEX_OK;
}

static silex_status fold_histograms(
	const struct slx_pq_folding *f, struct slx_pq_column *c, const struct slx_pq_row *r, silex_error *err)
{
	bool sums = f->op == SLX_PQ_SUM || f->op == SLX_PQ_AVG;
	if (sums && !c->h) {
		c->h = slx_pq_alloc(f->x, &f->x->arena, f->steps * sizeof *c->h);
		if (!c->h)
			return slx_pq_oom(f->x, err);
		memset(c->h, 0, f->steps * sizeof *c->h);
	}
	for (size_t k = 0; k < f->steps; k++) {
		if (r->cell[k] != SLX_PQ_HISTOGRAM)
			continue;
		if (sums) {
			SLX_TRY(add_histogram(f, c, k, r->h[k], err));
		} else if (f->op == SLX_PQ_COUNT || f->op == SLX_PQ_GROUP) {
			c->c[k]++;
			c->has[k] |= SLX_PQ_HAS_FLOAT;
		} else {
			note_ignored(f);
		}
	}
	return SILEX_OK;
}

/* ---- results ---- */

static void finish_floats(const struct slx_pq_folding *f, const struct slx_pq_column *c, struct slx_pq_row *r)
{
	for (size_t k = 0; k < f->steps; k++) {
		if (!(c->has[k] & SLX_PQ_HAS_FLOAT))
			continue;
		double v = c->a[k], n = c->c[k];
		switch (f->op) {
		case SLX_PQ_SUM:
			v = compensated(v, c->b[k]);
			break;
		case SLX_PQ_AVG:
			v = c->has[k] & SLX_PQ_INCREMENTAL ? compensated(v, c->b[k]) : compensated(v / n, c->b[k] / n);
			break;
		case SLX_PQ_STDVAR:
			v = v / n;
			break;
		case SLX_PQ_STDDEV:
			v = sqrt(v / n);
			break;
		case SLX_PQ_COUNT:
			v = n;
			break;
		case SLX_PQ_GROUP:
			v = 1;
			break;
		default:
			break;
		}
		r->f[k] = v;
		r->cell[k] = SLX_PQ_FLOAT;
	}
}

static void note_found(const struct slx_pq_folding *f, unsigned found)
{
	struct slx_pq_pos at = f->node->agg.expr->pos;
	if (found & SLX_PQ_HIST_INCOMPATIBLE)
		slx_pq_note(&f->x->notes, false, at,
			"PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"\"");
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(
			&f->x->notes, true, at, "PromQL info: mismatched custom buckets were reconciled during aggregation");
	if (found & SLX_PQ_HIST_COLLISION)
		slx_pq_note(&f->x->notes, false, at, "PromQL warning: conflicting counter resets during histogram aggregation");
}

static silex_status finish_histograms(
	const struct slx_pq_folding *f, struct slx_pq_column *c, struct slx_pq_row *r, silex_error *err)
{
	struct slx_arena *a = &f->x->arena;
	SLX_TRY(slx_pq_row_histograms(f->x, a, r, f->steps, err));
	for (size_t k = 0; k < f->steps; k++) {
		if (!(c->has[k] & SLX_PQ_HAS_HISTOGRAM))
			continue;
		if (c->has[k] & SLX_PQ_HAS_FLOAT)
			slx_pq_note(&f->x->notes, false, f->node->agg.expr->pos,
				"PromQL warning: encountered a mix of histograms and floats for aggregation");
		r->cell[k] = SLX_PQ_EMPTY;
		if (c->has[k] & (SLX_PQ_HAS_FLOAT | SLX_PQ_MIXED_SCHEMAS))
			continue;
		if (f->op == SLX_PQ_AVG)
			slx_pq_hist_divide(c->h[k], c->c[k]);
		r->h[k] = slx_pq_hist_finish(c->h[k]);
		if (!r->h[k])
			return slx_pq_oom(f->x, err);
		r->cell[k] = SLX_PQ_HISTOGRAM;
	}
	note_found(f, c->found);
	return SILEX_OK;
}

silex_status slx_pq_finish_groups(const struct slx_pq_folding *f, const struct slx_pq_groups *s,
	struct slx_pq_column *columns, struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_matrix_init(f->x, ret, s->table.n, err));
	for (size_t i = 0; i < s->table.n; i++) {
		struct slx_pq_row *r;
		if (!columns[i].has)
			continue;
		SLX_TRY(slx_pq_row_add(f->x, ret, s->table.keys[i], f->steps, &r, err));
		finish_floats(f, &columns[i], r);
		if (columns[i].h)
			SLX_TRY(finish_histograms(f, &columns[i], r, err));
	}
	slx_pq_matrix_compact(ret, f->steps);
	return SILEX_OK;
}

/* ---- rows at hand ---- */

static silex_status fold_matrix(
	const struct slx_pq_folding *f, const struct slx_pq_matrix *m, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_groups s = { .x = f->x, .node = f->node };
	SLX_TRY(slx_pq_groups_of(&s, m, err));
	struct slx_pq_column *columns = slx_pq_alloc(f->x, &f->x->arena, s.table.n * sizeof *columns);
	if (!columns)
		return slx_pq_oom(f->x, err);
	for (size_t i = 0; i < s.table.n; i++)
		SLX_TRY(slx_pq_column_init(f, &f->x->arena, &columns[i], err));
	for (size_t i = 0; i < m->n; i++) {
		struct slx_pq_column *c = &columns[s.of[i]];
		SLX_TRY(slx_pq_alive(f->x, err));
		slx_pq_fold_floats(f, c, &m->rows[i]);
		if (m->rows[i].h)
			SLX_TRY(fold_histograms(f, c, &m->rows[i], err));
	}
	return slx_pq_finish_groups(f, &s, columns, ret, err);
}

silex_status slx_pq_aggregate(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_folding f = { x, n, n->agg.op, g->n };
	struct slx_pq_matrix m;
	if (n->agg.param)
		return slx_pq_aggregate_pick(x, g, n, ret, err);
	struct slx_pq_leaf leaf;
	bool is_leaf, done = false;
	SLX_TRY(slx_pq_leaf_of(x, g, n->agg.expr, &leaf, &is_leaf, err));
	if (is_leaf)
		SLX_TRY(slx_pq_aggregate_leaf(&f, &leaf, ret, &done, err));
	if (done)
		return SILEX_OK;
	SLX_TRY(is_leaf ? slx_pq_leaf_values(&leaf, &m, err) : slx_pq_eval(x, g, n->agg.expr, &m, err));
	return fold_matrix(&f, &m, ret, err);
}
