/* Binary operators: one pair of values, and rows against a scalar. Vector against vector is binary_match.c. */
#include "promql/binary_int.h"

#include "promql/histogram.h"

/* ---- pairs of values ---- */

bool slx_pq_op_floats(enum slx_pq_op op, double l, double r, double *ret)
{
	switch (op) {
	case SLX_PQ_ADD:
		*ret = l + r;
		return true;
	case SLX_PQ_SUB:
		*ret = l - r;
		return true;
	case SLX_PQ_MUL:
		*ret = l * r;
		return true;
	case SLX_PQ_DIV:
		*ret = l / r;
		return true;
	case SLX_PQ_MOD:
		*ret = fmod(l, r);
		return true;
	case SLX_PQ_POW:
		*ret = pow(l, r);
		return true;
	case SLX_PQ_ATAN2:
		*ret = atan2(l, r);
		return true;
	case SLX_PQ_EQ:
		return l == r;
	case SLX_PQ_NE:
		return l != r;
	case SLX_PQ_GT:
		return l > r;
	case SLX_PQ_LT:
		return l < r;
	case SLX_PQ_GE:
		return l >= r;
	case SLX_PQ_LE:
		return l <= r;
	default:
		return false;
	}
}

static bool incompatible(const struct slx_pq_binop *b, const struct slx_histogram *l, const struct slx_histogram *r)
{
	const char *op = slx_pq_op_text(b->op);
	slx_pq_note(&b->x->notes, true, b->pos,
		"PromQL info: incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
		l ? "histogram" : "float", op, r ? "histogram" : "float");
	return false;
}

static void note_found(const struct slx_pq_binop *b, unsigned found)
{
	const char *what = b->op == SLX_PQ_ADD ? "addition" : "subtraction";
	if (found & SLX_PQ_HIST_INCOMPATIBLE)
		slx_pq_note(&b->x->notes, false, b->pos,
			"PromQL warning: incompatible bucket layout encountered for binary operator %s", slx_pq_op_text(b->op));
	if (found & SLX_PQ_HIST_COLLISION)
		slx_pq_note(
			&b->x->notes, false, b->pos, "PromQL warning: conflicting counter resets during histogram %s", what);
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(
			&b->x->notes, true, b->pos, "PromQL info: mismatched custom buckets were reconciled during %s", what);
}

static bool finish(struct slx_pq_binop *b, struct slx_pq_hist *w, struct slx_pq_value *ret)
{
	ret->h = slx_pq_hist_finish(w);
	b->failed |= !ret->h;
	return ret->h != NULL;
}

static bool scale(
	struct slx_pq_binop *b, const struct slx_histogram *h, double by, bool divide, struct slx_pq_value *ret)
{
	struct slx_pq_hist w;
	slx_pq_hist_init(&w, &b->x->arena, h);
	if (divide)
		slx_pq_hist_divide(&w, by);
	else
		slx_pq_hist_multiply(&w, by);
	return finish(b, &w, ret);
}

static bool combine(
	struct slx_pq_binop *b, const struct slx_histogram *l, const struct slx_histogram *r, struct slx_pq_value *ret)
{
	struct slx_pq_hist w;
	slx_pq_hist_init(&w, &b->x->arena, l);
	unsigned found = b->op == SLX_PQ_ADD ? slx_pq_hist_add(&w, r) : slx_pq_hist_subtract(&w, r);
	note_found(b, found);
	if (found & SLX_PQ_HIST_INCOMPATIBLE)
		return false;
	if (b->op == SLX_PQ_SUB)
		w.reset = SLX_RESET_GAUGE;
	return finish(b, &w, ret);
}

static bool trim(struct slx_pq_binop *b, const struct slx_histogram *h, double at, struct slx_pq_value *ret)
{
	ret->h = slx_pq_hist_trim(&b->x->arena, h, at, b->op == SLX_PQ_TRIM_UPPER);
	b->failed |= !ret->h;
	return ret->h != NULL;
}

static bool op_histograms(
	struct slx_pq_binop *b, struct slx_pq_value l, struct slx_pq_value r, struct slx_pq_value *ret)
{
	if (!l.h)
		return b->op == SLX_PQ_MUL ? scale(b, r.h, l.f, false, ret) : incompatible(b, l.h, r.h);
	if (!r.h && slx_pq_op_trims(b->op))
		return trim(b, l.h, r.f, ret);
	if (!r.h)
		return b->op == SLX_PQ_MUL || b->op == SLX_PQ_DIV ? scale(b, l.h, r.f, b->op == SLX_PQ_DIV, ret)
														  : incompatible(b, l.h, r.h);
	if (b->op == SLX_PQ_ADD || b->op == SLX_PQ_SUB)
		return combine(b, l.h, r.h, ret);
	if (b->op == SLX_PQ_EQ || b->op == SLX_PQ_NE) {
		*ret = l;
		return slx_pq_hist_equal(l.h, r.h) == (b->op == SLX_PQ_EQ);
	}
	return incompatible(b, l.h, r.h);
}

bool slx_pq_op_values(struct slx_pq_binop *b, struct slx_pq_value l, struct slx_pq_value r, struct slx_pq_value *ret)
{
	bool keep;
	*ret = (struct slx_pq_value){ l.f, NULL };
	if (!l.h && !r.h)
		keep = slx_pq_op_floats(b->op, l.f, r.f, &ret->f);
	else
		keep = op_histograms(b, l, r, ret);
	if (!b->to_bool)
		return keep;
	*ret = (struct slx_pq_value){ keep, NULL };
	return true;
}

/* ---- rows against a scalar ---- */

struct scalar_op {
	struct slx_pq_binop b;
	const double *scalar;
	bool left; /* the scalar is on the left */
};

/* Floats only: what most queries are. A loop for each operator, so that none decides anything at each step. */
#define FILTER(test)                                       \
	for (size_t k = 0; k < steps; k++)                     \
		cell[k] = v[k] test c[k] ? cell[k] : SLX_PQ_EMPTY; \
	return

/* The operator that says of (b, a) what op says of (a, b). */
static enum slx_pq_op mirrored(enum slx_pq_op op)
{
	switch (op) {
	case SLX_PQ_GT:
		return SLX_PQ_LT;
	case SLX_PQ_LT:
		return SLX_PQ_GT;
	case SLX_PQ_GE:
		return SLX_PQ_LE;
	case SLX_PQ_LE:
		return SLX_PQ_GE;
	default:
		return op;
	}
}

static void filter_floats(const struct scalar_op *s, struct slx_pq_row *r, size_t steps)
{
	uint8_t *restrict cell = r->cell;
	const double *restrict v = r->f, *restrict c = s->scalar;
	switch (s->left ? mirrored(s->b.op) : s->b.op) {
	case SLX_PQ_EQ:
		FILTER(==);
	case SLX_PQ_NE:
		FILTER(!=);
	case SLX_PQ_GT:
		FILTER(>);
	case SLX_PQ_LT:
		FILTER(<);
	case SLX_PQ_GE:
		FILTER(>=);
	default:
		FILTER(<=);
	}
}
#undef FILTER

static void scalar_floats(const struct scalar_op *s, struct slx_pq_row *r, size_t steps)
{
	if (slx_pq_op_compares(s->b.op) && !s->b.to_bool) {
		filter_floats(s, r, steps);
		return;
	}
	for (size_t k = 0; k < steps; k++) {
		double v = r->f[k], to = v;
		bool keep = slx_pq_op_floats(s->b.op, s->left ? s->scalar[k] : v, s->left ? v : s->scalar[k], &to);
		r->f[k] = s->b.to_bool ? keep : to;
	}
}

static silex_status scalar_values(struct scalar_op *s, struct slx_pq_row *r, size_t steps, silex_error *err)
{
	bool filters = slx_pq_op_compares(s->b.op) && !s->b.to_bool;
	for (size_t k = 0; k < steps; k++) {
		if (!r->cell[k])
			continue;
		struct slx_pq_value v = { r->f[k], r->cell[k] == SLX_PQ_HISTOGRAM ? r->h[k] : NULL },
							c = { s->scalar[k], NULL }, to;
		bool keep = s->left ? slx_pq_op_values(&s->b, c, v, &to) : slx_pq_op_values(&s->b, v, c, &to);
		if (s->b.failed)
			return slx_pq_oom(s->b.x, err);
		if (!keep)
			r->cell[k] = SLX_PQ_EMPTY;
		if (!keep || filters)
			continue;
		r->cell[k] = to.h ? SLX_PQ_HISTOGRAM : SLX_PQ_FLOAT;
		r->f[k] = to.f;
		r->h[k] = to.h;
	}
	return SILEX_OK;
}

static silex_status vector_scalar(struct scalar_op *s, struct slx_pq_matrix *m, size_t steps, silex_error *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct slx_pq_row *r = &m->rows[i];
		SLX_TRY(slx_pq_alive(s->b.x, err));
		if (r->h)
			SLX_TRY(scalar_values(s, r, steps, err));
		else
			scalar_floats(s, r, steps);
		r->drop_name |= !(slx_pq_op_compares(s->b.op) || slx_pq_op_trims(s->b.op)) || s->b.to_bool;
	}
	if (slx_pq_op_compares(s->b.op))
		slx_pq_matrix_compact(m, steps);
	return slx_pq_names(s->b.x, m, steps, false, err);
}

static void scalar_scalar(const struct slx_pq_binop *b, struct slx_pq_row *l, const struct slx_pq_row *r, size_t steps)
{
	for (size_t k = 0; k < steps; k++) {
		double v = 0;
		bool keep = slx_pq_op_floats(b->op, l->f[k], r->f[k], &v);
		l->f[k] = slx_pq_op_compares(b->op) ? keep : v;
	}
}

silex_status slx_pq_binary(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_binop b = { .x = x, .op = n->binary.op, .to_bool = n->binary.bool_modifier, .pos = n->pos };
	bool scalar_l = n->binary.lhs->value_type == SLX_PROMQL_SCALAR,
		 scalar_r = n->binary.rhs->value_type == SLX_PROMQL_SCALAR;
	struct slx_pq_matrix l, r;
	SLX_TRY(slx_pq_eval(x, g, n->binary.lhs, &l, err));
	SLX_TRY(slx_pq_eval(x, g, n->binary.rhs, &r, err));
	if (scalar_l && scalar_r) {
		scalar_scalar(&b, &l.rows[0], &r.rows[0], g->n);
		*ret = l;
		return SILEX_OK;
	}
	if (scalar_l || scalar_r) {
		struct scalar_op s = { b, scalar_l ? l.rows[0].f : r.rows[0].f, scalar_l };
		*ret = scalar_l ? r : l;
		return vector_scalar(&s, ret, g->n, err);
	}
	if (slx_pq_op_is_set(b.op))
		return slx_pq_set_op(&b, n->binary.matching, &l, &r, g->n, ret, err);
	return slx_pq_match(&b, n->binary.matching, &l, &r, g->n, ret, err);
}
