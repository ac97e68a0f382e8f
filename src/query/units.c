/* From selectors to units: the series of the result in label order, and which of them belong together.
 *
 * A selection of the snapshot is in label order already. Several selections are merged by sorting (the same series may
 * be in more than one). Groups are made by building each series' kept labels and sorting by them; within a group series
 * stay in label order, so that sums come out the same every time. */
#include "query/query_int.h"

#include <stdlib.h>

/* What sorting compares; the labels are the series', or those kept of it. */
struct ranked {
	struct slx_labels labels;
	struct slx_query_series series;
	size_t order;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = slx_labels_cmp(x->labels, y->labels);
	return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

static struct slx_labels series_labels(const struct slx_query_cursor *c, const struct slx_query_series *s)
{
	return slx_selection_labels(c->selections[s->selection], s->i);
}

static silex_status select_all(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err)
{
	size_t n = plan->n_selectors ? plan->n_selectors : 1;
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, n * sizeof *c->selections, &p, err));
	c->selections = p;
	c->n_selections = n;
	for (size_t i = 0; i < n; i++) {
		struct slx_matcher *const *ms = plan->n_selectors ? plan->selectors[i].matchers : NULL;
		size_t ms_n = plan->n_selectors ? plan->selectors[i].n : 0;
		SLX_TRY(slx_snapshot_select(c->snapshot, ms, ms_n, c->windows.range, &c->selections[i], err));
		c->n_series += slx_selection_count(c->selections[i]);
	}
	SLX_TRY(slx_query_alloc(&c->memory, c->n_series * sizeof *c->series, &p, err));
	c->series = p;
	c->series_cap = c->n_series;
	for (size_t i = 0, at = 0; i < n; i++)
		for (size_t k = 0; k < slx_selection_count(c->selections[i]); k++)
			c->series[at++] = (struct slx_query_series){ .selection = (uint32_t)i, .i = k };
	return SILEX_OK;
}

/* Sorts c->series by `ranked` labels, which the caller has filled. */
static void put_in_order(struct slx_query_cursor *c, struct ranked *r)
{
	qsort(r, c->n_series, sizeof *r, compare_ranked);
	for (size_t i = 0; i < c->n_series; i++)
		c->series[i] = r[i].series;
}

static silex_status ranked_new(struct slx_query_cursor *c, struct ranked **ret, silex_error *err)
{
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, c->n_series * sizeof **ret, &p, err));
	*ret = p;
	for (size_t i = 0; i < c->n_series; i++)
		(*ret)[i] = (struct ranked){ .series = c->series[i], .order = i };
	return SILEX_OK;
}

static void ranked_free(struct slx_query_cursor *c, struct ranked *r, size_t n)
{
	slx_query_release(&c->memory, r, n * sizeof *r);
}

/* Series of several selections into one order, each once. */
static silex_status merge_selections(struct slx_query_cursor *c, silex_error *err)
{
	struct ranked *r;
	if (c->n_selections < 2 || c->n_series == 0)
		return SILEX_OK;
	SLX_TRY(ranked_new(c, &r, err));
	for (size_t i = 0; i < c->n_series; i++)
		r[i].labels = series_labels(c, &c->series[i]);
	put_in_order(c, r);
	size_t all = c->n_series, n = 1;
	for (size_t i = 1; i < all; i++)
		if (!slx_labels_eq(r[i].labels, r[i - 1].labels))
			c->series[n++] = r[i].series;
	ranked_free(c, r, all);
	c->n_series = n;
	return SILEX_OK;
}

static silex_status units_new(struct slx_query_cursor *c, size_t n, silex_error *err)
{
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, n * sizeof *c->units, &p, err));
	c->units = p;
	c->n_units = n;
	return SILEX_OK;
}

/* The labels of a series that the query keeps, in the cursor's arena. */
static silex_status kept_labels(struct slx_query_cursor *c, const struct slx_query_plan *plan,
	struct slx_labels_builder *b, struct slx_labels of, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels l;
	slx_labels_builder_reset(b);
	for (size_t i = 0; i < plan->n_group_by; i++) {
		struct slx_str value = slx_labels_get(of, plan->group_by[i]);
		if (value.n)
			slx_labels_builder_add(b, plan->group_by[i], value);
	}
	SLX_TRY(slx_labels_builder_finish(b, &l, err));
	uint8_t *p = slx_arena_alloc(&c->labels, l.n, 1);
	if (!p)
		return slx_err_oom(err);
	memcpy(p, l.p, l.n);
	*ret = (struct slx_labels){ p, l.n };
	return SILEX_OK;
}

static silex_status label_groups(
	struct slx_query_cursor *c, const struct slx_query_plan *plan, struct ranked *r, silex_error *err)
{
	struct slx_labels_builder b;
	silex_status st = SILEX_OK;
	slx_labels_builder_init(&b, c->memory.mem, SLX_MEM_QUERY, NULL);
	for (size_t i = 0; i < c->n_series && st == SILEX_OK; i++)
		st = kept_labels(c, plan, &b, series_labels(c, &c->series[i]), &r[i].labels, err);
	slx_labels_builder_free(&b);
	return st;
}

static silex_status make_groups(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err)
{
	static const uint8_t no_labels[1] = { 0 };
	struct ranked *r = NULL;
	size_t n = c->n_series > 0;
	if (n == 0)
		return SILEX_OK;
	if (plan->n_group_by == 0) {
		SLX_TRY(units_new(c, 1, err));
		c->units[0] = (struct slx_query_unit){ { no_labels, 1 }, 0, c->n_series };
		return SILEX_OK;
	}
	SLX_TRY(ranked_new(c, &r, err));
	silex_status st = label_groups(c, plan, r, err);
	if (st != SILEX_OK)
		goto out;
	put_in_order(c, r);
	for (size_t i = 1; i < c->n_series; i++)
		n += !slx_labels_eq(r[i].labels, r[i - 1].labels);
	st = units_new(c, n, err);
	if (st != SILEX_OK)
		goto out;
	for (size_t i = 0, u = 0; i < c->n_series; i++) {
		if (i > 0 && !slx_labels_eq(r[i].labels, r[i - 1].labels))
			u++;
		if (c->units[u].n++ == 0) {
			c->units[u].labels = r[i].labels;
			c->units[u].first = i;
		}
	}
out:
	ranked_free(c, r, c->n_series);
	return st;
}

silex_status slx_query_units(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err)
{
	SLX_TRY(select_all(c, plan, err));
	SLX_TRY(merge_selections(c, err));
	c->stats.series = c->n_series;
	if (c->group)
		return make_groups(c, plan, err);
	SLX_TRY(units_new(c, c->n_series, err));
	for (size_t i = 0; i < c->n_series; i++)
		c->units[i] = (struct slx_query_unit){ series_labels(c, &c->series[i]), i, 1 };
	return SILEX_OK;
}

silex_status slx_query_collect(
	struct slx_query_cursor *c, size_t series, struct slx_time_range range, struct slx_query_work *w, silex_error *err)
{
	const struct slx_query_series *s = &c->series[series];
	return slx_snapshot_collect(c->snapshot, c->selections[s->selection], s->i, range, &w->parts, err);
}
