/* Preparation: the tree of a text becomes the tree of one run.
 *
 * The parsed expression may be run by several threads at once, so that its nodes are copied. On the way durations that
 * are expressions get their value, start() and end() of `@` their time, and every largest subtree that gives the same at
 * each step is wrapped in STEP_INVARIANT: it is evaluated once. That is so where all its selectors have an `@` and no
 * function in it looks at the step's time. Range vectors are not wrapped themselves: their windows simply do not move. */
#include "promql/exec_int.h"

struct prepare {
	struct slx_pq_exec *x;
	silex_error *err;
};

/* ---- durations ---- */

static silex_status duration_value(const struct prepare *p, const struct slx_pq_node *n, double *ret);

static silex_status duration_call(const struct prepare *p, const struct slx_pq_node *n, double *ret)
{
	const struct slx_promql_options *o = &p->x->o;
	double a, b;
	if (slx_str_eq(n->call.name, SLX_STR("step"))) {
		*ret = (double)o->step_ms / 1000;
		return SILEX_OK;
	}
	if (slx_str_eq(n->call.name, SLX_STR("range"))) {
		*ret = (double)(o->end_ms - o->start_ms) / 1000;
		return SILEX_OK;
	}
	if (n->call.n_args != 2)
		return slx_err(p->err, SILEX_INVALID, "%u:%u: unexpected function in a duration", n->pos.from, n->pos.to);
	SLX_TRY(duration_value(p, n->call.args[0], &a));
	SLX_TRY(duration_value(p, n->call.args[1], &b));
	bool least = slx_str_eq(n->call.name, SLX_STR("min_of"));
	*ret = least ? fmin(a, b) : fmax(a, b);
	return SILEX_OK;
}

static silex_status duration_binary(const struct prepare *p, const struct slx_pq_node *n, double *ret)
{
	double l, r;
	SLX_TRY(duration_value(p, n->binary.lhs, &l));
	SLX_TRY(duration_value(p, n->binary.rhs, &r));
	if (r == 0 && n->binary.op == SLX_PQ_DIV)
		return slx_err(p->err, SILEX_INVALID, "%u:%u: division by zero", n->pos.from, n->pos.to);
	if (r == 0 && n->binary.op == SLX_PQ_MOD)
		return slx_err(p->err, SILEX_INVALID, "%u:%u: modulo by zero", n->pos.from, n->pos.to);
	slx_pq_op_floats(n->binary.op, l, r, ret);
	return SILEX_OK;
}

static silex_status duration_value(const struct prepare *p, const struct slx_pq_node *n, double *ret)
{
	switch (n->type) {
	case SLX_PQ_NUMBER:
		*ret = n->number;
		return SILEX_OK;
	case SLX_PQ_PAREN:
		return duration_value(p, n->inner, ret);
	case SLX_PQ_UNARY:
		SLX_TRY(duration_value(p, n->unary.expr, ret));
		*ret = n->unary.minus ? -*ret : *ret;
		return SILEX_OK;
	case SLX_PQ_BINARY:
		return duration_binary(p, n, ret);
	case SLX_PQ_CALL:
		return duration_call(p, n, ret);
	default:
		return slx_err(p->err, SILEX_INVALID, "%u:%u: unexpected expression in a duration", n->pos.from, n->pos.to);
	}
}

static silex_status resolve(const struct prepare *p, struct slx_pq_duration *d, bool negative)
{
	const double most = 9.2e15; /* ms that still fit ns a thousand times over: what time.Duration holds */
	double seconds;
	if (!d->expr)
		return SILEX_OK;
	struct slx_pq_pos at = d->expr->pos;
	SLX_TRY(duration_value(p, d->expr, &seconds));
	if (!(seconds > 0) && !negative)
		return slx_err(p->err, SILEX_INVALID, "%u:%u: duration must be greater than 0", at.from, at.to);
	if (!(fabs(seconds * 1000) < most))
		return slx_err(p->err, SILEX_INVALID, "%u:%u: duration is out of range", at.from, at.to);
	d->ms = (int64_t)(seconds * 1000);
	d->expr = NULL;
	return SILEX_OK;
}

static silex_status modifiers(const struct prepare *p, struct slx_pq_modifiers *m)
{
	if (m->at == SLX_PQ_AT_START)
		m->at_ms = p->x->o.start_ms;
	else if (m->at == SLX_PQ_AT_END)
		m->at_ms = p->x->o.end_ms;
	if (m->at != SLX_PQ_AT_NONE)
		m->at = SLX_PQ_AT_TIME;
	return resolve(p, &m->offset, true);
}

/* ---- nodes ---- */

static silex_status prepare(
	const struct prepare *p, const struct slx_pq_node *from, struct slx_pq_node **ret, bool *ret_same);

static struct slx_pq_node *copy(const struct prepare *p, const struct slx_pq_node *from)
{
	struct slx_pq_node *n = slx_pq_alloc(p->x, &p->x->arena, sizeof *n);
	if (n)
		*n = *from;
	return n;
}

/* Wraps *n, unless that would save nothing. */
static silex_status wrap(const struct prepare *p, struct slx_pq_node **n)
{
	struct slx_pq_node *in = *n;
	if (in->type == SLX_PQ_NUMBER || in->type == SLX_PQ_STRING || in->value_type == SLX_PROMQL_MATRIX ||
		in->type == SLX_PQ_STEP_INVARIANT)
		return SILEX_OK;
	struct slx_pq_node *w = copy(p, in);
	if (!w)
		return slx_pq_oom(p->x, p->err);
	w->type = SLX_PQ_STEP_INVARIANT;
	w->inner = in;
	*n = w;
	return SILEX_OK;
}

/* Does the function look at the time of the step, beside its arguments? */
static bool sees_time(const struct slx_pq_node *call)
{
	static const char *const names[] = { "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour",
		"minute", "month", "predict_linear", "time", "timestamp", "year" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slx_str_eq(call->call.name, slx_str(names[i])))
			return true;
	return false;
}

static silex_status prepare_call(const struct prepare *p, struct slx_pq_node *n, bool *ret_same)
{
	size_t k = n->call.n_args;
	struct slx_pq_node **args = slx_pq_alloc(p->x, &p->x->arena, k * sizeof *args);
	bool *same = slx_pq_alloc(p->x, &p->x->arena, k), all = !sees_time(n);
	if (!args || !same)
		return slx_pq_oom(p->x, p->err);
	for (size_t i = 0; i < k; i++) {
		SLX_TRY(prepare(p, n->call.args[i], &args[i], &same[i]));
		all = all && same[i];
	}
	for (size_t i = 0; i < k && !all; i++)
		if (same[i])
			SLX_TRY(wrap(p, &args[i]));
	n->call.args = args;
	*ret_same = all;
	return SILEX_OK;
}

static silex_status prepare_pair(
	const struct prepare *p, struct slx_pq_node **a, struct slx_pq_node **b, bool *ret_same)
{
	bool same_a, same_b = true;
	SLX_TRY(prepare(p, *a, a, &same_a));
	if (*b)
		SLX_TRY(prepare(p, *b, b, &same_b));
	*ret_same = same_a && same_b;
	if (same_a && !same_b)
		return wrap(p, a);
	return same_b && !same_a && *b ? wrap(p, b) : SILEX_OK;
}

static silex_status prepare_subquery(const struct prepare *p, struct slx_pq_node *n, bool *ret_same)
{
	bool same;
	SLX_TRY(modifiers(p, &n->subquery.mods));
	SLX_TRY(resolve(p, &n->subquery.range, false));
	SLX_TRY(resolve(p, &n->subquery.step, false));
	SLX_TRY(prepare(p, n->subquery.expr, &n->subquery.expr, &same));
	*ret_same = n->subquery.mods.at == SLX_PQ_AT_TIME;
	return same ? wrap(p, &n->subquery.expr) : SILEX_OK;
}

static silex_status prepare(
	const struct prepare *p, const struct slx_pq_node *from, struct slx_pq_node **ret, bool *ret_same)
{
	struct slx_pq_node *n = copy(p, from);
	if (!n)
		return slx_pq_oom(p->x, p->err);
	*ret = n;
	switch (n->type) {
	case SLX_PQ_NUMBER:
	case SLX_PQ_STRING:
		*ret_same = true;
		return SILEX_OK;
	case SLX_PQ_VECTOR:
		SLX_TRY(modifiers(p, &n->vector.mods));
		*ret_same = n->vector.mods.at == SLX_PQ_AT_TIME;
		return SILEX_OK;
	case SLX_PQ_MATRIX:
		SLX_TRY(resolve(p, &n->matrix.range, false));
		return prepare(p, n->matrix.vector, &n->matrix.vector, ret_same);
	case SLX_PQ_SUBQUERY:
		return prepare_subquery(p, n, ret_same);
	case SLX_PQ_CALL:
		return prepare_call(p, n, ret_same);
	case SLX_PQ_AGGREGATE:
		return prepare_pair(p, &n->agg.expr, &n->agg.param, ret_same);
	case SLX_PQ_BINARY:
		return prepare_pair(p, &n->binary.lhs, &n->binary.rhs, ret_same);
	case SLX_PQ_UNARY:
		return prepare(p, n->unary.expr, &n->unary.expr, ret_same);
	case SLX_PQ_PAREN:
	case SLX_PQ_STEP_INVARIANT:
		return prepare(p, n->inner, &n->inner, ret_same);
	}
	return slx_err(p->err, SILEX_INVALID, "an expression of unknown type");
}

silex_status slx_pq_prepare(
	struct slx_pq_exec *x, const struct slx_pq_node *n, struct slx_pq_node **ret, silex_error *err)
{
	struct prepare p = { x, err };
	bool same;
	SLX_TRY(prepare(&p, n, ret, &same));
	return same ? wrap(&p, ret) : SILEX_OK;
}
