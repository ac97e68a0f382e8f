/* Aggregation right over a leaf: sum by (job) (rate(x[5m])) over a million series keeps no row of them.
 *
 * The series are cut into parts. Each part makes its rows one after the other in one place and folds them into columns of
 * its own; the columns of the parts are merged in order, so that the same query gives the same bits on every run. That way
 * knows floats only: a histogram on the way sends the query the usual way round. */
#include "promql/aggregate_int.h"

enum {
	CELLS_MIN = 1 << 18,     /* rows of fewer cells may as well all be in memory */
	COLUMN_BYTES = 25,       /* of a step */
	COLUMNS_MAX = 256 << 20, /* bytes of all parts' columns */
	PARTS_PER_THREAD = 4,
};

struct part {
	struct slx_pq_column *columns;
	struct slx_pq_row row;
};

struct fused {
	const struct slx_pq_folding *f;
	const struct slx_pq_leaf *leaf;
	struct slx_pq_groups groups;
	struct part *parts;
	size_t n;
	_Atomic bool histograms;
};

static bool is_mergeable(enum slx_pq_agg op) { return op != SLX_PQ_STDDEV && op != SLX_PQ_STDVAR; }

/* Unless names go last, those of a call's rows go at once and may make two of them the same, which must not be missed. Rows
 * of one name cannot become the same. */
static bool may_collide(const struct slx_pq_leaf *l)
{
	return l->drop_name && !l->x->o.delayed_name_removal && l->vector->vector.name.n == 0;
}

static silex_status part_init(struct fused *u, struct slx_pq_work *w, struct part *p, silex_error *err)
{
	struct slx_pq_exec *x = u->f->x;
	p->columns = slx_pq_alloc(x, &w->arena, u->groups.table.n * sizeof *p->columns);
	if (!p->columns)
		return slx_pq_oom(x, err);
	memset(p->columns, 0, u->groups.table.n * sizeof *p->columns);
	return slx_pq_row_cells(x, &w->arena, &p->row, u->f->steps, false, err);
}

static silex_status fold_one(void *arg, struct slx_pq_work *w, size_t part, size_t i, silex_error *err)
{
	struct fused *u = arg;
	struct part *p = &u->parts[part];
	if (atomic_load_explicit(&u->histograms, memory_order_relaxed))
		return SILEX_OK;
	if (!p->columns)
		SLX_TRY(part_init(u, w, p, err));
	memset(p->row.cell, SLX_PQ_EMPTY, u->f->steps);
	SLX_TRY(slx_pq_leaf_row(u->leaf, w, i, &p->row, err));
	if (p->row.h) {
		atomic_store_explicit(&u->histograms, true, memory_order_relaxed);
		return SILEX_OK;
	}
	struct slx_pq_column *c = &p->columns[u->groups.of[i]];
	if (!c->has)
		SLX_TRY(slx_pq_column_init(u->f, &w->arena, c, err));
	slx_pq_fold_floats(u->f, c, &p->row);
	int64_t cells = 0;
	for (size_t k = 0; k < u->f->steps; k++)
		cells += p->row.cell[k] != SLX_PQ_EMPTY;
	return slx_pq_hold(u->f->x, -cells, err); /* the row is not kept */
}

static silex_status group_series(struct fused *u, silex_error *err)
{
	struct slx_pq_exec *x = u->f->x;
	u->groups.of = slx_pq_alloc(x, &x->arena, u->leaf->n * sizeof *u->groups.of);
	if (!u->groups.of)
		return slx_pq_oom(x, err);
	for (size_t i = 0; i < u->leaf->n; i++)
		SLX_TRY(slx_pq_groups_add(&u->groups, slx_pq_leaf_labels(u->leaf, i), &u->groups.of[i], err));
	return SILEX_OK;
}

/* Do columns of all parts take much less than the rows would? */
static bool pays(const struct fused *u)
{
	uint64_t columns = (uint64_t)u->groups.table.n * u->n * u->f->steps * COLUMN_BYTES;
	uint64_t rows = (uint64_t)u->leaf->n * u->f->steps * (sizeof(double) + 1);
	return columns <= COLUMNS_MAX && columns < rows / 2;
}

static silex_status merge_parts(struct fused *u, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_column *all = NULL;
	for (size_t p = 0; p < u->n; p++) {
		struct slx_pq_column *from = u->parts[p].columns;
		if (!all)
			all = from;
		else
			for (size_t i = 0; from && i < u->groups.table.n; i++) {
				if (!all[i].has)
					all[i] = from[i];
				else if (from[i].has)
					slx_pq_merge_columns(u->f, &all[i], &from[i]);
			}
	}
	return slx_pq_finish_groups(u->f, &u->groups, all, ret, err);
}

silex_status slx_pq_aggregate_leaf(const struct slx_pq_folding *f, const struct slx_pq_leaf *l,
	struct slx_pq_matrix *ret, bool *ret_done, silex_error *err)
{
	struct fused u = { .f = f, .leaf = l, .groups = { .x = f->x, .node = f->node } };
	*ret_done = false;
	if (!is_mergeable(f->op) || may_collide(l) || (uint64_t)l->n * f->steps < CELLS_MIN)
		return SILEX_OK;
	SLX_TRY(group_series(&u, err));
	u.n = PARTS_PER_THREAD * (slx_pool_threads(slx_engine_pool(f->x->engine)) + 1);
	u.n = u.n < l->n ? u.n : l->n;
	if (!pays(&u))
		return SILEX_OK;
	u.parts = slx_pq_alloc(f->x, &f->x->arena, u.n * sizeof *u.parts);
	if (!u.parts)
		return slx_pq_oom(f->x, err);
	memset(u.parts, 0, u.n * sizeof *u.parts);
	SLX_TRY(slx_pq_parallel(f->x, l->n, u.n, fold_one, &u, err));
	*ret_done = !u.histograms;
	return *ret_done ? merge_parts(&u, ret, err) : SILEX_OK;
}
