/* Aggregations that look at all rows of a group at once, step by step: topk, bottomk, limitk and limit_ratio keep some of
 * them, quantile draws one value from them, count_values makes a series of each value. */
#include "promql/aggregate_int.h"

#include "promql/functions_int.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

struct pick {
	struct slx_pq_exec *x;
	const struct slx_pq_node *node;
	enum slx_pq_agg op;
	size_t steps;
	const double *param;
	struct slx_pq_groups groups;
	uint32_t *rows, *first; /* rows of group i: rows[first[i]] .. rows[first[i + 1] - 1] */
};

/* ---- parameters ---- */

static void bounds(const double *v, size_t n, double *ret_min, double *ret_max, bool *ret_nan)
{
	*ret_min = INFINITY;
	*ret_max = -INFINITY;
	*ret_nan = false;
	for (size_t k = 0; k < n; k++) {
		*ret_nan |= isnan(v[k]);
		*ret_min = v[k] < *ret_min ? v[k] : *ret_min;
		*ret_max = v[k] > *ret_max ? v[k] : *ret_max;
	}
}

static void note_outside(const struct pick *p, const char *fmt_what, double v, const char *more)
{
	char text[40];
	slx_pq_go_number(v, text, sizeof text);
	slx_pq_note(&p->x->notes, false, p->node->agg.param->pos, "PromQL warning: %s, got %s%s", fmt_what, text, more);
}

static silex_status check_param(const struct pick *p, silex_error *err)
{
	double min, max;
	bool nan;
	char text[40];
	bounds(p->param, p->steps, &min, &max, &nan);
	if (p->op == SLX_PQ_QUANTILE) {
		const char *what = "quantile value should be between 0 and 1";
		if (nan)
			note_outside(p, what, NAN, "");
		if (max > 1)
			note_outside(p, what, max, "");
		if (min < 0)
			note_outside(p, what, min, "");
		return SILEX_OK;
	}
	if (nan)
		return slx_err(
			err, SILEX_CONFLICT, p->op == SLX_PQ_LIMIT_RATIO ? "Ratio value is NaN" : "Parameter value is NaN");
	if (p->op == SLX_PQ_LIMIT_RATIO) {
		const char *what = "ratio value should be between -1 and 1";
		if (max > 1)
			note_outside(p, what, max, ", capping to 1");
		if (min < -1)
			note_outside(p, what, min, ", capping to -1");
		return SILEX_OK;
	}
	slx_pq_go_number(max > 9.2e18 ? max : min, text, sizeof text);
	if (max > 9.2e18 || min < -9.2e18)
		return slx_err(err, SILEX_CONFLICT, "Scalar value %s %sflows int64", text, max > 9.2e18 ? "over" : "under");
	return SILEX_OK;
}

/* ---- groups ---- */

static silex_status group_rows(struct pick *p, const struct slx_pq_matrix *m, silex_error *err)
{
	SLX_TRY(slx_pq_groups_of(&p->groups, m, err));
	size_t n = p->groups.table.n;
	p->first = slx_pq_alloc(p->x, &p->x->arena, (n + 2) * sizeof *p->first);
	p->rows = slx_pq_alloc(p->x, &p->x->arena, m->n * sizeof *p->rows);
	if (!p->first || !p->rows)
		return slx_pq_oom(p->x, err);
	memset(p->first, 0, (n + 2) * sizeof *p->first);
	for (size_t i = 0; i < m->n; i++)
		p->first[p->groups.of[i] + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		p->first[i] += p->first[i - 1];
	for (size_t i = 0; i < m->n; i++) /* first[g + 1] runs from the group's begin to its end */
		p->rows[p->first[p->groups.of[i] + 1]++] = (uint32_t)i;
	return SILEX_OK;
}

static void note_ignored(const struct pick *p)
{
	slx_pq_note(&p->x->notes, true, p->node->agg.expr->pos, "PromQL info: ignored histogram in %s aggregation",
		slx_pq_agg_text(p->op));
}

/* ---- topk, bottomk ---- */

struct item {
	double v;
	uint32_t row;
};

/* Does a belong before b? NaN is last either way; of equals the earlier row is first. */
static bool before(enum slx_pq_agg op, struct item a, struct item b)
{
	if (isnan(a.v) || isnan(b.v))
		return isnan(a.v) && isnan(b.v) ? a.row < b.row : isnan(b.v);
	if (a.v == b.v)
		return a.row < b.row;
	return op == SLX_PQ_TOPK ? a.v > b.v : a.v < b.v;
}

/* Heap whose root is the item that goes next. */
static void sift(enum slx_pq_agg op, struct item *h, size_t n, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(op, h[child], h[child + 1]))
			child++;
		if (!before(op, h[i], h[child]))
			return;
		struct item x = h[i];
		h[i] = h[child];
		h[child] = x;
	}
}

/* The best `most` items so far: one more comes. */
static void offer(enum slx_pq_agg op, struct item *h, size_t *n, size_t most, struct item x)
{
	if (*n < most) {
		h[(*n)++] = x;
		for (size_t i = *n / 2; *n == most && i-- > 0;)
			sift(op, h, *n, i);
	} else if (before(op, x, h[0])) {
		h[0] = x;
		sift(op, h, *n, 0);
	}
}

static size_t best(
	const struct pick *p, const struct slx_pq_matrix *m, size_t group, size_t k, size_t most, struct item *items)
{
	size_t n = 0;
	for (uint32_t i = p->first[group]; i < p->first[group + 1]; i++) {
		const struct slx_pq_row *r = &m->rows[p->rows[i]];
		if (r->cell[k] == SLX_PQ_HISTOGRAM)
			note_ignored(p);
		else if (r->cell[k])
			offer(p->op, items, &n, most, (struct item){ r->f[k], p->rows[i] });
	}
	return n;
}

static size_t whole(double v) { return v < 1 ? 0 : (size_t)(int64_t)v; }

static silex_status items_new(struct pick *p, size_t n, struct item **ret, silex_error *err)
{
	*ret = slx_pq_alloc(p->x, &p->x->arena, n * sizeof **ret);
	return *ret ? SILEX_OK : slx_pq_oom(p->x, err);
}

/* Of each group only the best rows keep their sample of a step. */
static silex_status keep_best(struct pick *p, struct slx_pq_matrix *m, silex_error *err)
{
	struct item *items;
	SLX_TRY(items_new(p, m->n, &items, err));
	for (size_t g = 0; g < p->groups.table.n; g++)
		for (size_t k = 0; k < p->steps; k++) {
			size_t most = whole(p->param[k]), n = most ? best(p, m, g, k, most, items) : 0;
			for (uint32_t i = p->first[g]; i < p->first[g + 1]; i++)
				m->rows[p->rows[i]].cell[k] = SLX_PQ_EMPTY;
			for (size_t i = 0; i < n; i++)
				m->rows[items[i].row].cell[k] = SLX_PQ_FLOAT;
			if (k % 64 == 63)
				SLX_TRY(slx_pq_alive(p->x, err));
		}
	slx_pq_matrix_compact(m, p->steps);
	return SILEX_OK;
}

/* A single step: the best rows, group by group, in their order. */
static silex_status list_best(struct pick *p, struct slx_pq_matrix *m, struct slx_pq_matrix *ret, silex_error *err)
{
	struct item *items;
	size_t most = whole(p->param[0]);
	SLX_TRY(items_new(p, m->n, &items, err));
	SLX_TRY(slx_pq_matrix_init(p->x, ret, m->n, err));
	for (size_t g = 0; g < p->groups.table.n && most; g++) {
		size_t n = best(p, m, g, 0, most, items), at = ret->n + n;
		for (size_t i = n < most ? n / 2 : 0; i-- > 0;)
			sift(p->op, items, n, i);
		ret->n = at;
		for (; n > 0; n--) { /* the root is the worst */
			ret->rows[--at] = m->rows[items[0].row];
			items[0] = items[n - 1];
			sift(p->op, items, n - 1, 0);
		}
	}
	return SILEX_OK;
}

/* ---- limitk, limit_ratio ---- */

static void keep_first(const struct pick *p, struct slx_pq_matrix *m)
{
	for (size_t g = 0; g < p->groups.table.n; g++)
		for (size_t k = 0; k < p->steps; k++) {
			size_t left = whole(p->param[k]);
			for (uint32_t i = p->first[g]; i < p->first[g + 1]; i++) {
				uint8_t *cell = &m->rows[p->rows[i]].cell[k];
				if (*cell && left)
					left--;
				else
					*cell = SLX_PQ_EMPTY;
			}
		}
}

/* A row is in or out by where the hash of its labels falls, so that r and r - 1 are complements. */
static void keep_ratio(const struct pick *p, struct slx_pq_matrix *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct slx_pq_row *r = &m->rows[i];
		double at = (double)slx_hash64(r->labels.p, r->labels.n) / 18446744073709551616.0;
		for (size_t k = 0; k < p->steps; k++) {
			double ratio = p->param[k];
			if (!(ratio >= 0 ? at < ratio : at >= 1 + ratio))
				r->cell[k] = SLX_PQ_EMPTY;
		}
	}
}

/* ---- quantile ---- */

static silex_status quantiles(
	struct pick *p, const struct slx_pq_matrix *m, struct slx_pq_matrix *ret, silex_error *err)
{
	double *values = slx_pq_alloc(p->x, &p->x->arena, m->n * sizeof *values);
	if (!values)
		return slx_pq_oom(p->x, err);
	SLX_TRY(slx_pq_matrix_init(p->x, ret, p->groups.table.n, err));
	for (size_t g = 0; g < p->groups.table.n; g++) {
		struct slx_pq_row *to;
		SLX_TRY(slx_pq_row_add(p->x, ret, p->groups.table.keys[g], p->steps, &to, err));
		for (size_t k = 0; k < p->steps; k++) {
			size_t n = 0;
			for (uint32_t i = p->first[g]; i < p->first[g + 1]; i++) {
				const struct slx_pq_row *r = &m->rows[p->rows[i]];
				if (r->cell[k] == SLX_PQ_FLOAT)
					values[n++] = r->f[k];
				else if (r->cell[k])
					note_ignored(p);
			}
			if (n == 0)
				continue;
			to->f[k] = slx_pq_quantile(p->param[k], values, n);
			to->cell[k] = SLX_PQ_FLOAT;
		}
		SLX_TRY(slx_pq_alive(p->x, err));
	}
	slx_pq_matrix_compact(ret, p->steps);
	return SILEX_OK;
}

/* ---- count_values ---- */

enum { FIXED_SIZE = 400 };

/* Go's FormatFloat(v, 'f', -1, 64): the shortest digits, never an exponent. */
static void put_fixed(double v, char to[FIXED_SIZE])
{
	char e[40];
	int digits = 1;
	if (!isfinite(v)) {
		strcpy(to, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
		return;
	}
	while (digits < 17 && (snprintf(e, sizeof e, "%.*e", digits - 1, v), strtod(e, NULL) != v))
		digits++;
	snprintf(e, sizeof e, "%.*e", digits - 1, v);
	int exponent = atoi(strchr(e, 'e') + 1);
	if (exponent < digits) {
		snprintf(to, FIXED_SIZE, "%.*f", digits - 1 - exponent > 0 ? digits - 1 - exponent : 0, v);
		return;
	}
	char *p = to;
	for (const char *from = e; *from != 'e'; from++)
		if (*from != '.')
			*p++ = *from;
	for (int i = digits - 1; i < exponent; i++)
		*p++ = '0';
	*p = 0;
}

/* A histogram as Prometheus writes it: {count:3, sum:2.5, (1,2]:3}. */
static void put_histogram(const struct slx_histogram *h, struct slx_buf *to)
{
	struct slx_pq_buckets it = slx_pq_buckets(h, false);
	struct slx_pq_bucket b;
	char v[3][40], text[160];
	slx_pq_go_number(h->count, v[0], sizeof v[0]);
	slx_pq_go_number(h->sum, v[1], sizeof v[1]);
	slx_buf_put(to, text, (size_t)snprintf(text, sizeof text, "{count:%s, sum:%s", v[0], v[1]));
	while (slx_pq_buckets_next(&it, &b)) {
		if (b.count == 0)
			continue;
		slx_pq_go_number(b.lower, v[0], sizeof v[0]);
		slx_pq_go_number(b.upper, v[1], sizeof v[1]);
		slx_pq_go_number(b.count, v[2], sizeof v[2]);
		slx_buf_put(to, text,
			(size_t)snprintf(text, sizeof text, ", %c%s,%s%c:%s", b.lower_inclusive ? '[' : '(', v[0], v[1],
				b.upper_inclusive ? ']' : ')', v[2]));
	}
	slx_buf_put(to, "}", 1);
}

struct counting {
	struct pick *p;
	struct slx_str label;
	struct slx_pq_cut cut;
	struct slx_pq_table table;
	struct slx_pq_matrix *ret;
};

/* The row for a value of a series: its labels with the value as one more, less what by or without take. */
static silex_status value_row(
	struct counting *c, struct slx_labels labels, struct slx_str text, size_t *ret, silex_error *err)
{
	struct slx_pq_exec *x = c->p->x;
	struct slx_labels_builder *b = &x->builder;
	struct slx_labels_iter it = slx_labels_iter(labels);
	struct slx_label l;
	struct slx_labels made;
	struct slx_pq_row *r;
	bool fresh;
	slx_labels_builder_reset(b);
	while (slx_labels_next(&it, &l))
		if (!slx_str_eq(l.name, c->label))
			slx_labels_builder_add(b, l.name, l.value);
	slx_labels_builder_add(b, c->label, text);
	SLX_TRY(slx_labels_builder_finish(b, &made, err));
	uint8_t *copy = slx_pq_alloc(x, &x->arena, made.n);
	if (!copy)
		return slx_pq_oom(x, err);
	memcpy(copy, made.p, made.n);
	SLX_TRY(slx_pq_labels_cut(x, (struct slx_labels){ copy, made.n }, &c->cut, &made, err));
	SLX_TRY(slx_pq_table_add(x, &c->table, made, ret, &fresh, err));
	return fresh ? slx_pq_row_add(x, c->ret, made, c->p->steps, &r, err) : SILEX_OK;
}

static void count_at(struct counting *c, size_t row, size_t k)
{
	struct slx_pq_row *to = &c->ret->rows[row];
	to->f[k] = to->cell[k] ? to->f[k] + 1 : 1;
	to->cell[k] = SLX_PQ_FLOAT;
}

static silex_status count_histogram(struct counting *c, const struct slx_pq_row *r, size_t k, silex_error *err)
{
	struct slx_buf text;
	size_t at;
	slx_buf_init(&text, c->p->x->mem, SLX_MEM_QUERY, 4 << 20);
	put_histogram(r->h[k], &text);
	silex_status st = text.failed ? slx_err_oom(err)
								  : value_row(c, r->labels, (struct slx_str){ (const char *)text.p, text.n }, &at, err);
	slx_buf_free(&text);
	if (st == SILEX_OK)
		count_at(c, at, k);
	return st;
}

static silex_status count_row(struct counting *c, const struct slx_pq_row *r, silex_error *err)
{
	char text[FIXED_SIZE];
	uint64_t last = 0;
	size_t at = 0;
	bool known = false; /* at is the row of `last`: values often stay */
	for (size_t k = 0; k < c->p->steps; k++) {
		if (r->cell[k] == SLX_PQ_HISTOGRAM)
			SLX_TRY(count_histogram(c, r, k, err));
		if (r->cell[k] != SLX_PQ_FLOAT)
			continue;
		if (!known || slx_f64_bits(r->f[k]) != last) {
			put_fixed(r->f[k], text);
			SLX_TRY(value_row(c, r->labels, slx_str(text), &at, err));
			last = slx_f64_bits(r->f[k]);
			known = true;
		}
		count_at(c, at, k);
	}
	return SILEX_OK;
}

/* The name as Go quotes it: bytes that are no UTF-8 as \x... */
static silex_status bad_label(struct slx_str s, silex_error *err)
{
	char text[512], *p = text;
	bool utf8 = slx_utf8_valid(s.p, s.n);
	for (size_t i = 0; i < s.n && p < text + sizeof text - 8; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 32 || c == 127 || (c > 127 && !utf8))
			p += sprintf(p, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			p += sprintf(p, "\\%c", c);
		else
			*p++ = (char)c;
	}
	*p = 0;
	return slx_err(err, SILEX_CONFLICT, "invalid label name \"%s\"", text);
}

static silex_status count_values(
	struct pick *p, const struct slx_pq_matrix *m, struct slx_pq_matrix *ret, silex_error *err)
{
	const struct slx_pq_node *n = p->node;
	struct counting c = { .p = p, .label = slx_pq_unwrap(n->agg.param)->string, .ret = ret };
	struct slx_str *names = slx_pq_alloc(p->x, &p->x->arena, (n->agg.n_by + 1) * sizeof *names);
	if (c.label.n == 0 || !slx_utf8_valid(c.label.p, c.label.n))
		return bad_label(c.label, err);
	if (!names)
		return slx_pq_oom(p->x, err);
	if (n->agg.n_by)
		memcpy(names, n->agg.by, n->agg.n_by * sizeof *names);
	names[n->agg.n_by] = c.label;
	c.cut = (struct slx_pq_cut){ names, n->agg.n_by + !n->agg.without, !n->agg.without, n->agg.without, false };
	SLX_TRY(slx_pq_matrix_init(p->x, ret, 0, err));
	for (size_t i = 0; i < m->n; i++) {
		SLX_TRY(slx_pq_alive(p->x, err));
		SLX_TRY(count_row(&c, &m->rows[i], err));
	}
	return SILEX_OK;
}

/* ---- which ---- */

silex_status slx_pq_aggregate_pick(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct pick p = { .x = x, .node = n, .op = n->agg.op, .steps = g->n, .groups = { .x = x, .node = n } };
	struct slx_pq_matrix m;
	double *param = NULL;
	if (p.op != SLX_PQ_COUNT_VALUES) {
		SLX_TRY(slx_pq_eval_scalar(x, g, n->agg.param, &param, err));
		p.param = param;
		SLX_TRY(check_param(&p, err));
	}
	SLX_TRY(slx_pq_eval(x, g, n->agg.expr, &m, err));
	if (p.op == SLX_PQ_COUNT_VALUES)
		return count_values(&p, &m, ret, err);
	SLX_TRY(group_rows(&p, &m, err));
	switch (p.op) {
	case SLX_PQ_QUANTILE:
		return quantiles(&p, &m, ret, err);
	case SLX_PQ_LIMITK:
		keep_first(&p, &m);
		break;
	case SLX_PQ_LIMIT_RATIO:
		keep_ratio(&p, &m);
		break;
	default:
		if (g->n == 1)
			return list_best(&p, &m, ret, err);
		SLX_TRY(keep_best(&p, &m, err));
	}
	slx_pq_matrix_compact(&m, g->n);
	*ret = m;
	return SILEX_OK;
}
