/* info(v, {selector}): gives series of v the labels of info series (target_info, or what the selector names) that agree
 * with them in the identifying labels instance and job.
 *
 * Info series are read at the time that v's first selector looks at: with its @ and its offsets, and those of subqueries
 * around it. Of several info series of one name and identity the one with the newest sample counts, step by step; labels
 * of different names must not contradict each other. A series that is itself an info series stays as it is. */
#include "promql/functions_int.h"

#include <stdio.h>

static const struct slx_str identifying[] = { { "instance", 8 }, { "job", 3 } };

struct info {
	struct slx_pq_exec *x;
	struct slx_pq_call *c;
	const struct slx_selector *given; /* NULL without the second argument */
	struct slx_selector names,
		all; /* matchers of the name; all that select info series. Those added are owned (made) */
	struct slx_matcher *made;
	struct slx_pq_matrix times;  /* of info series: when the sample was taken, s */
	struct slx_pq_table keys;    /* name and identity -> group */
	struct slx_pq_table metrics; /* info metric names, as label sets of one */
	size_t *order, *first;       /* info series group by group; where each group begins there, and one more */
};

/* ---- which series ---- */

static bool is_name(const struct slx_matcher *m) { return slx_str_eq(m->name, SLX_METRIC_NAME); }

static silex_status add_matcher(struct info *in, struct slx_selector *s, struct slx_matcher *m, silex_error *err)
{
	if (!s->matchers) {
		s->cap = (in->given ? in->given->n : 0) + 1;
		s->matchers = slx_pq_alloc(in->x, &in->x->arena, s->cap * sizeof *s->matchers);
		if (!s->matchers)
			return slx_pq_oom(in->x, err);
	}
	s->matchers[s->n++] = m;
	return SILEX_OK;
}

/* The selector's matchers, and one for the name when it has none that says which names: target_info, or, when it only
 * says which not, everything that ends in _info. */
static silex_status choose_names(struct info *in, silex_error *err)
{
	bool any = false, positive = false;
	for (size_t i = 0; in->given && i < in->given->n; i++) {
		struct slx_matcher *m = in->given->matchers[i];
		SLX_TRY(add_matcher(in, &in->all, m, err));
		if (!is_name(m))
			continue;
		SLX_TRY(add_matcher(in, &in->names, m, err));
		any = true;
		positive = positive || m->op == SLX_MATCH_EQ || m->op == SLX_MATCH_RE;
	}
	if (positive)
		return SILEX_OK;
	SLX_TRY(slx_matcher_new(in->x->mem, any ? SLX_MATCH_RE : SLX_MATCH_EQ, SLX_METRIC_NAME,
		any ? SLX_STR(".+_info") : SLX_STR("target_info"), &in->made, err));
	SLX_TRY(add_matcher(in, &in->all, in->made, err));
	return add_matcher(in, &in->names, in->made, err);
}

/* The modifiers of all that is around the first selector of n, as one. */
static bool find_time(const struct slx_pq_node *n, struct slx_pq_modifiers *to)
{
	const struct slx_pq_modifiers *m = NULL;
	n = slx_pq_unwrap(n);
	if (n->type == SLX_PQ_VECTOR)
		m = &n->vector.mods;
	else if (n->type == SLX_PQ_SUBQUERY)
		m = &n->subquery.mods;
	if (m && m->at == SLX_PQ_AT_TIME)
		*to = *m;
	else if (m)
		to->offset.ms += m->offset.ms;
	switch (n->type) {
	case SLX_PQ_VECTOR:
		return true;
	case SLX_PQ_MATRIX:
		return find_time(n->matrix.vector, to);
	case SLX_PQ_SUBQUERY:
		return find_time(n->subquery.expr, to);
	case SLX_PQ_UNARY:
		return find_time(n->unary.expr, to);
	case SLX_PQ_AGGREGATE:
		return find_time(n->agg.expr, to);
	case SLX_PQ_BINARY:
		return find_time(n->binary.lhs, to) || find_time(n->binary.rhs, to);
	case SLX_PQ_CALL:
		for (size_t i = 0; i < n->call.n_args; i++)
			if (find_time(n->call.args[i], to))
				return true;
		return false;
	default:
		return false;
	}
}

static silex_status no_histograms(const struct slx_pq_matrix *m, silex_error *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rows[i].h)
			return slx_err(err, SILEX_CONFLICT, "info sample should be float");
	return SILEX_OK;
}

static silex_status read_info(struct info *in, silex_error *err)
{
	struct slx_pq_node *n = slx_pq_alloc(in->x, &in->x->arena, sizeof *n);
	struct slx_pq_grid grid = { in->c->times[0], in->c->steps > 1 ? in->c->times[1] - in->c->times[0] : 0, in->c->steps,
		in->c->times };
	struct slx_pq_matrix values;
	struct slx_pq_leaf leaf;
	if (!n)
		return slx_pq_oom(in->x, err);
	*n = (struct slx_pq_node){ .type = SLX_PQ_VECTOR, .value_type = SLX_PROMQL_VECTOR, .pos = in->c->node->pos };
	n->vector.sel = in->all;
	find_time(in->c->node->call.args[0], &n->vector.mods);
	SLX_TRY(slx_pq_leaf_init(in->x, &grid, n, &leaf, err));
	SLX_TRY(slx_pq_leaf_rows(&leaf, &values, err));
	SLX_TRY(no_histograms(&values, err));
	SLX_TRY(slx_pq_leaf_init(in->x, &grid, n, &leaf, err));
	leaf.times = true;
	return slx_pq_leaf_rows(&leaf, &in->times, err);
}

/* ---- identity ---- */

/* The name and the identifying labels of l. */
static silex_status key_of(struct info *in, struct slx_str name, struct slx_labels l, struct slx_labels *ret,
	bool *ret_identified, silex_error *err)
{
	*ret_identified = false;
	slx_labels_builder_reset(&in->x->builder);
	slx_labels_builder_add(&in->x->builder, SLX_METRIC_NAME, name);
	for (size_t i = 0; i < 2; i++) {
		struct slx_str value = slx_labels_get(l, identifying[i]);
		if (value.n == 0)
			continue;
		*ret_identified = true;
		slx_labels_builder_add(&in->x->builder, identifying[i], value);
	}
	return slx_pq_built_labels(in->x, ret, err);
}

/* Sorts the info series by group, counting. */
static silex_status order_groups(struct info *in, const size_t *group, silex_error *err)
{
	size_t n = in->times.n, groups = in->keys.n;
	in->order = slx_pq_alloc(in->x, &in->x->arena, n * sizeof *in->order);
	in->first = slx_pq_alloc(in->x, &in->x->arena, (groups + 2) * sizeof *in->first);
	if (!in->order || !in->first)
		return slx_pq_oom(in->x, err);
	memset(in->first, 0, (groups + 2) * sizeof *in->first);
	for (size_t i = 0; i < n; i++)
		in->first[group[i] + 2]++;
	for (size_t g = 2; g < groups + 2; g++)
		in->first[g] += in->first[g - 1];
	for (size_t i = 0; i < n; i++)
		in->order[in->first[group[i] + 1]++] = i;
	return SILEX_OK;
}

static silex_status group_info(struct info *in, silex_error *err)
{
	size_t *group = slx_pq_alloc(in->x, &in->x->arena, in->times.n * sizeof *group), number;
	if (!group)
		return slx_pq_oom(in->x, err);
	for (size_t i = 0; i < in->times.n; i++) {
		struct slx_labels key, l = in->times.rows[i].labels;
		bool fresh, identified;
		SLX_TRY(key_of(in, slx_labels_get(l, SLX_METRIC_NAME), l, &key, &identified, err));
		SLX_TRY(slx_pq_table_add(in->x, &in->keys, key, &group[i], &fresh, err));
		SLX_TRY(key_of(in, slx_labels_get(l, SLX_METRIC_NAME), slx_pq_no_labels, &key, &identified, err));
		SLX_TRY(slx_pq_table_add(in->x, &in->metrics, key, &number, &fresh, err));
	}
	return order_groups(in, group, err);
}

static silex_status duplicate(
	const struct slx_pq_row *a, const struct slx_pq_row *b, struct slx_mem *m, double t, silex_error *err)
{
	struct slx_buf text;
	slx_buf_init(&text, m, SLX_MEM_QUERY, 65536);
	slx_labels_format_set(a->labels, &text);
	size_t n = text.n;
	slx_labels_format_set(b->labels, &text);
	silex_status st = text.failed
		? slx_err_oom(err)
		: slx_err(err, SILEX_CONFLICT, "found duplicate series for info metric: existing %.*s @ %.0f, new %.*s @ %.0f",
			  (int)n, (char *)text.p, t * 1000, (int)(text.n - n), (char *)text.p + n, t * 1000);
	slx_buf_free(&text);
	return st;
}

/* The info series of a group with the newest sample at step k; SIZE_MAX: none. */
static silex_status newest(struct info *in, size_t group, size_t k, size_t *ret, silex_error *err)
{
	*ret = SIZE_MAX;
	for (size_t at = in->first[group]; at < in->first[group + 1]; at++) {
		size_t i = in->order[at];
		const struct slx_pq_row *r = &in->times.rows[i], *best = *ret == SIZE_MAX ? NULL : &in->times.rows[*ret];
		if (!r->cell[k])
			continue;
		if (best && best->f[k] == r->f[k])
			return duplicate(best, r, in->x->mem, r->f[k], err);
		if (!best || best->f[k] < r->f[k])
			*ret = i;
	}
	return SILEX_OK;
}

/* ---- joining ---- */

static bool wanted(const struct info *in, struct slx_str label)
{
	bool any = false;
	for (size_t i = 0; in->given && i < in->given->n; i++) {
		if (is_name(in->given->matchers[i]))
			continue;
		if (slx_str_eq(in->given->matchers[i]->name, label))
			return true;
		any = true;
	}
	return !any;
}

/* Whether a series without info stays: no matcher asks for a value. */
static bool may_lack(const struct info *in)
{
	for (size_t i = 0; in->given && i < in->given->n; i++)
		if (!is_name(in->given->matchers[i]) && !in->given->matchers[i]->matches_empty)
			return false;
	return true;
}

/* l with the wanted labels of one info series; `base` are the labels that stay whatever it says. */
static silex_status take_labels(
	struct info *in, struct slx_labels base, struct slx_labels from, struct slx_labels *l, silex_error *err)
{
	struct slx_label label;
	for (struct slx_labels_iter it = slx_labels_iter(from); slx_labels_next(&it, &label);) {
		struct slx_str had = slx_labels_get(*l, label.name);
		if (slx_str_eq(label.name, SLX_METRIC_NAME) || !wanted(in, label.name) || slx_labels_get(base, label.name).n)
			continue;
		if (had.n && !slx_str_eq(had, label.value))
			return slx_err(err, SILEX_CONFLICT, "conflicting label: %.*s", (int)label.name.n, label.name.p);
		if (!had.n)
			SLX_TRY(slx_pq_set_label(in->x, *l, label.name, label.value, l, err));
	}
	return SILEX_OK;
}

/* What a series is called at one step: found says whether any info series applies. */
static silex_status labels_at(struct info *in, const struct slx_pq_row *r, const size_t *groups, size_t n, size_t k,
	struct slx_labels *ret, bool *ret_found, silex_error *err)
{
	*ret = r->labels;
	*ret_found = false;
	for (size_t i = 0; i < n; i++) {
		size_t best;
		SLX_TRY(newest(in, groups[i], k, &best, err));
		if (best == SIZE_MAX)
			continue;
		*ret_found = true;
		SLX_TRY(take_labels(in, r->labels, in->times.rows[best].labels, ret, err));
	}
	return SILEX_OK;
}

/* The groups of info series that have r's identity. */
static silex_status groups_of(
	struct info *in, const struct slx_pq_row *r, size_t *groups, size_t *ret_n, silex_error *err)
{
	*ret_n = 0;
	for (size_t i = 0; i < in->metrics.n; i++) {
		struct slx_labels key;
		bool identified;
		SLX_TRY(key_of(in, slx_labels_get(in->metrics.keys[i], SLX_METRIC_NAME), r->labels, &key, &identified, err));
		*ret_n += identified && slx_pq_table_find(&in->keys, key, &groups[*ret_n]);
	}
	return SILEX_OK;
}

/* r goes to one row for each name it has over the steps. */
static silex_status join_row(
	struct info *in, const struct slx_pq_row *r, size_t *groups, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_row *to = NULL;
	size_t n;
	SLX_TRY(slx_pq_alive(in->x, err));
	SLX_TRY(groups_of(in, r, groups, &n, err));
	for (size_t k = 0; k < in->c->steps; k++) {
		struct slx_labels l;
		bool found;
		if (!r->cell[k])
			continue;
		SLX_TRY(labels_at(in, r, groups, n, k, &l, &found, err));
		if (!found && !may_lack(in))
			continue;
		if (!to || !slx_labels_eq(to->labels, l)) {
			SLX_TRY(slx_pq_row_add(in->x, ret, l, in->c->steps, &to, err));
			to->drop_name = r->drop_name;
			if (r->h)
				SLX_TRY(slx_pq_row_histograms(in->x, &in->x->arena, to, in->c->steps, err));
		}
		to->cell[k] = r->cell[k];
		to->f[k] = r->f[k];
		if (r->h)
			to->h[k] = r->h[k];
	}
	return SILEX_OK;
}

static silex_status stays(const struct info *in, const struct slx_pq_row *r, bool *ret, silex_error *err)
{
	*ret = true;
	for (size_t i = 0; i < in->names.n && *ret; i++)
		SLX_TRY(slx_matcher_test(in->names.matchers[i], slx_labels_get(r->labels, SLX_METRIC_NAME), ret, err));
	return SILEX_OK;
}

static silex_status join(
	struct info *in, const struct slx_pq_matrix *vector, struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(choose_names(in, err));
	SLX_TRY(read_info(in, err));
	SLX_TRY(group_info(in, err));
	size_t *groups = slx_pq_alloc(in->x, &in->x->arena, in->metrics.n * sizeof *groups);
	if (!groups)
		return slx_pq_oom(in->x, err);
	SLX_TRY(slx_pq_matrix_init(in->x, ret, vector->n, err));
	for (size_t i = 0; i < vector->n; i++) {
		struct slx_pq_row *r = &vector->rows[i], *to;
		bool same;
		SLX_TRY(stays(in, r, &same, err));
		if (!same) {
			SLX_TRY(join_row(in, r, groups, ret, err));
			continue;
		}
		SLX_TRY(slx_pq_row_add(in->x, ret, r->labels, in->c->steps, &to, err));
		*to = *r;
	}
	return slx_pq_unique(in->x, ret, in->c->steps, false, err);
}

SLX_PQ_MATRIX(info)
{
	struct info in = { .x = x, .c = c, .given = c->node->call.n_args > 1 ? &slx_pq_arg(c, 1)->vector.sel : NULL };
	silex_status st = join(&in, &args[0], ret, err);
	slx_matcher_free(in.made);
	return st;
}
