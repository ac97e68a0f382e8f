/* The answer: copied out of the query's rows into an arena of its own, so that all else can go at once. */
#include "promql/exec_int.h"

#include <stdlib.h>

struct owned {
	struct slx_promql_result result; /* first */
	struct slx_mem *mem;
	struct slx_arena arena;
};

void slx_promql_result_free(struct slx_promql_result *r)
{
	struct owned *o = (struct owned *)r;
	if (!o)
		return;
	slx_arena_clear(&o->arena);
	slx_free(o->mem, SLX_MEM_QUERY, o, sizeof *o);
}

static silex_status owned_new(struct slx_pq_exec *x, enum slx_promql_type type, struct owned **ret, silex_error *err)
{
	struct owned *o = slx_calloc(x->mem, SLX_MEM_QUERY, sizeof *o);
	if (!o)
		return slx_err_oom(err);
	o->mem = x->mem;
	o->result.type = type;
	slx_arena_init(&o->arena, x->mem, SLX_MEM_QUERY, 1 << 20);
	*ret = o;
	return SILEX_OK;
}

/* ---- copies ---- */

static bool copy_bytes(struct slx_pq_exec *x, struct slx_arena *a, const void *from, size_t n, void *ret)
{
	void *p = slx_pq_alloc(x, a, n);
	if (p && n)
		memcpy(p, from, n);
	*(void **)ret = p;
	return p != NULL;
}

static bool copy_histogram(
	struct slx_pq_exec *x, struct slx_arena *a, const struct slx_histogram *from, const struct slx_histogram **ret)
{
	struct slx_histogram *h;
	if (!copy_bytes(x, a, from, sizeof *h, &h))
		return false;
	*ret = h;
	return copy_bytes(
			   x, a, from->positive_spans, from->positive_spans_n * sizeof *from->positive_spans, &h->positive_spans) &&
		copy_bytes(
			x, a, from->negative_spans, from->negative_spans_n * sizeof *from->negative_spans, &h->negative_spans) &&
		copy_bytes(x, a, from->positive, from->positive_n * sizeof *from->positive, &h->positive) &&
		copy_bytes(x, a, from->negative, from->negative_n * sizeof *from->negative, &h->negative) &&
		copy_bytes(x, a, from->custom, from->custom_n * sizeof *from->custom, &h->custom);
}

/* Samples at hand, as points. */
static silex_status copy_samples(struct slx_pq_exec *x, struct slx_arena *a, const struct slx_pq_samples *s,
	struct slx_labels labels, struct slx_promql_series *to, silex_error *err)
{
	struct slx_promql_point *p = slx_pq_alloc(x, a, s->n * sizeof *p);
	struct slx_promql_histogram_point *h = s->hn ? slx_pq_alloc(x, a, s->hn * sizeof *h) : NULL;
	if (!p || (s->hn && !h) || !copy_bytes(x, a, labels.p, labels.n, &to->labels.p))
		return slx_pq_oom(x, err);
	for (size_t i = 0; i < s->n; i++)
		p[i] = (struct slx_promql_point){ s->t[i], s->v[i] };
	for (size_t i = 0; i < s->hn; i++) {
		h[i].t_ms = s->ht[i];
		if (!copy_histogram(x, a, s->h[i], &h[i].h))
			return slx_pq_oom(x, err);
	}
	to->labels.n = labels.n;
	to->points = p;
	to->n = s->n;
	to->histograms = h;
	to->n_histograms = s->hn;
	return SILEX_OK;
}

/* The first step from k on that is not empty. */
static inline size_t next_cell(const struct slx_pq_row *r, size_t k, size_t steps)
{
	while (k < steps && !r->cell[k])
		k += k + 8 <= steps && !slx_load64(r->cell + k) ? 8 : 1;
	return k;
}

static void count_cells(const struct slx_pq_row *r, size_t steps, size_t *ret_floats, size_t *ret_histograms)
{
	size_t cells[3] = { 0 };
	for (size_t k = next_cell(r, 0, steps); k < steps; k = next_cell(r, k + 1, steps))
		cells[r->cell[k]]++;
	*ret_floats = cells[SLX_PQ_FLOAT];
	*ret_histograms = cells[SLX_PQ_HISTOGRAM];
}

static silex_status copy_row(struct slx_pq_exec *x, struct slx_arena *a, const struct slx_pq_grid *g,
	const struct slx_pq_row *r, struct slx_promql_series *to, silex_error *err)
{
	size_t n, hn, i = 0, j = 0;
	count_cells(r, g->n, &n, &hn);
	struct slx_promql_point *p = slx_pq_alloc(x, a, n * sizeof *p);
	struct slx_promql_histogram_point *h = hn ? slx_pq_alloc(x, a, hn * sizeof *h) : NULL;
	if (!p || (hn && !h) || !copy_bytes(x, a, r->labels.p, r->labels.n, &to->labels.p))
		return slx_pq_oom(x, err);
	for (size_t k = next_cell(r, 0, g->n); k < g->n; k = next_cell(r, k + 1, g->n)) {
		if (r->cell[k] == SLX_PQ_FLOAT)
			p[i++] = (struct slx_promql_point){ g->times[k], r->f[k] };
		else {
			h[j].t_ms = g->times[k];
			if (!copy_histogram(x, a, r->h[k], &h[j++].h))
				return slx_pq_oom(x, err);
		}
	}
	to->labels.n = r->labels.n;
	to->points = p;
	to->n = n;
	to->histograms = h;
	to->n_histograms = hn;
	return SILEX_OK;
}

static int compare_series(const void *a, const void *b)
{
	return slx_labels_cmp(((const struct slx_promql_series *)a)->labels, ((const struct slx_promql_series *)b)->labels);
}

static void sort_series(struct slx_promql_series *s, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (slx_labels_cmp(s[i - 1].labels, s[i].labels) > 0) {
			qsort(s, n, sizeof *s, compare_series);
			return;
		}
}

/* ---- kinds of answers ---- */

static silex_status set_string(struct slx_pq_exec *x, const struct slx_pq_grid *g, struct owned *o, silex_error *err)
{
	struct slx_str s = slx_pq_unwrap(x->root)->string;
	if (!copy_bytes(x, &o->arena, s.p, s.n, &o->result.string.p))
		return slx_pq_oom(x, err);
	o->result.string.n = s.n;
	o->result.scalar.t_ms = g->start;
	return SILEX_OK;
}

static silex_status set_series(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_pq_matrix *m, struct owned *o, silex_error *err)
{
	struct slx_promql_series *s = slx_pq_alloc(x, &o->arena, m->n * sizeof *s);
	if (!s)
		return slx_pq_oom(x, err);
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++) {
		SLX_TRY(copy_row(x, &o->arena, g, &m->rows[i], &s[n], err));
		n += s[n].n || s[n].n_histograms;
	}
	if (o->result.type == SLX_PROMQL_MATRIX)
		sort_series(s, n);
	o->result.series = s;
	o->result.n = n;
	return SILEX_OK;
}

static silex_status set_notes(struct slx_pq_exec *x, struct owned *o, silex_error *err)
{
	struct slx_promql_result *r = &o->result;
	SLX_TRY(slx_pq_notes_list(&x->notes, false, &o->arena, &r->warnings, &r->n_warnings, err));
	return slx_pq_notes_list(&x->notes, true, &o->arena, &r->infos, &r->n_infos, err);
}

static void set_stats(struct slx_pq_exec *x, struct slx_promql_stats *to)
{
	to->samples_total = atomic_load_explicit(&x->samples_total, memory_order_relaxed);
	to->samples_peak = atomic_load_explicit(&x->samples_peak, memory_order_relaxed);
	to->series = x->series;
	to->n_rollups = x->n_widths;
	memcpy(to->rollups, x->widths, sizeof to->rollups);
	to->rollup_buckets = atomic_load_explicit(&x->rollup_buckets, memory_order_relaxed);
	for (struct slx_pq_work *w = x->works; w; w = w->all) {
		struct slx_scan_stats s;
		slx_scan_stats(w->scan, &s);
		to->chunks += s.chunks;
		to->chunks_by_header += s.chunks_by_header;
		to->bytes_read += s.bytes_read;
	}
}

static silex_status finish(
	struct slx_pq_exec *x, struct owned *o, silex_status st, struct slx_promql_result **ret, silex_error *err)
{
	if (st == SILEX_OK)
		st = set_notes(x, o, err);
	if (st != SILEX_OK) {
		slx_promql_result_free(&o->result);
		return st;
	}
	set_stats(x, &o->result.stats);
	*ret = &o->result;
	return SILEX_OK;
}

silex_status slx_pq_result_make(struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_pq_matrix *m,
	struct slx_promql_result **ret, silex_error *err)
{
	struct owned *o = NULL;
	enum slx_promql_type type = x->o.step_ms > 0 ? SLX_PROMQL_MATRIX : x->root->value_type;
	SLX_TRY(slx_pq_names_finally(x, m, g->n, err));
	SLX_TRY(owned_new(x, type, &o, err));
	silex_status st = SILEX_OK;
	if (type == SLX_PROMQL_STRING)
		st = set_string(x, g, o, err);
	else if (type == SLX_PROMQL_SCALAR)
		o->result.scalar = (struct slx_promql_point){ g->start, m->rows[0].f[0] };
	else
		st = set_series(x, g, m, o, err);
	return finish(x, o, st, ret, err);
}

/* ---- samples of a range vector ---- */

static silex_status range_of_series(struct slx_pq_exec *x, struct slx_pq_leaf *l, struct owned *o, silex_error *err)
{
	struct slx_pq_work *w;
	struct slx_promql_series *s = slx_pq_alloc(x, &o->arena, l->n * sizeof *s);
	size_t n = 0;
	if (!s)
		return slx_pq_oom(x, err);
	SLX_TRY(slx_pq_work_take(x, &w, err));
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < l->n && st == SILEX_OK; i++) {
		st = slx_pq_leaf_samples(l, w, i, err);
		size_t found = w->samples.n + w->samples.hn;
		if (st != SILEX_OK || !found)
			continue;
		atomic_fetch_add_explicit(&x->samples_total, found, memory_order_relaxed);
		st = slx_pq_hold(x, (int64_t)found, err);
		if (st == SILEX_OK)
			st = copy_samples(x, &o->arena, &w->samples, slx_selection_labels(l->selection, i), &s[n++], err);
	}
	slx_pq_work_give_back(x, w);
	sort_series(s, n);
	o->result.series = s;
	o->result.n = n;
	return st;
}

static silex_status range_of_subquery(
	struct slx_pq_exec *x, struct slx_pq_leaf *l, const struct slx_pq_node *n, struct owned *o, silex_error *err)
{
	struct slx_pq_grid inner;
	struct slx_pq_matrix m;
	SLX_TRY(slx_pq_leaf_windows(l, &n->subquery.mods, n->subquery.range.ms, err));
	SLX_TRY(slx_pq_subquery_eval(x, n, l->starts[0], l->ends[0], &inner, &m, err));
	SLX_TRY(slx_pq_names_finally(x, &m, inner.n, err));
	return set_series(x, &inner, &m, o, err);
}

silex_status slx_pq_result_range(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_promql_result **ret, silex_error *err)
{
	const struct slx_pq_node *n = slx_pq_unwrap(x->root);
	struct slx_pq_leaf l = { .x = x, .grid = g };
	struct owned *o = NULL;
	SLX_TRY(owned_new(x, SLX_PROMQL_MATRIX, &o, err));
	if (n->type == SLX_PQ_SUBQUERY)
		return finish(x, o, range_of_subquery(x, &l, n, o, err), ret, err);
	l.vector = slx_pq_unwrap(n->matrix.vector);
	silex_status st = slx_pq_leaf_windows(&l, &l.vector->vector.mods, n->matrix.range.ms, err);
	if (st == SILEX_OK)
		st = slx_pq_leaf_select(&l, err);
	if (st == SILEX_OK)
		st = range_of_series(x, &l, o, err);
	return finish(x, o, st, ret, err);
}
