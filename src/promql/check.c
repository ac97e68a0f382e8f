/* What a well-formed expression must also be: types, numbers of arguments, where modifiers may stand. The order of the
 * questions is Prometheus', since the first complaint is the one that is told. */
#include "promql/parser_int.h"

/* The word of the documentation. */
static const char *type_words(enum slx_promql_type t)
{
	static const char *const words[] = { "none", "scalar", "instant vector", "range vector", "string" };
	return words[t];
}

/* Node or argument wanted as `want`; context: "in ..." of the message. */
static void expect_type(struct slx_pq_parser *p, struct slx_pq_node *n, enum slx_promql_type want, const char *context)
{
	slx_pq_check(p, n);
	if (n->value_type != want)
		slx_pq_fail(
			p, n->pos.from, "expected type %s in %s, got %s", type_words(want), context, type_words(n->value_type));
}

static void check_aggregate(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	expect_type(p, n->agg.expr, SLX_PROMQL_VECTOR, "aggregation expression");
	if (n->agg.param)
		expect_type(p, n->agg.param, n->agg.op == SLX_PQ_COUNT_VALUES ? SLX_PROMQL_STRING : SLX_PROMQL_SCALAR,
			"aggregation parameter");
}

/* ---- binary operators ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* Where the operator stands. */
static uint32_t op_from(const struct slx_pq_parser *p, const struct slx_pq_node *n)
{
	uint32_t at = n->binary.lhs->pos.to;
	while (at < n->pos.to && is_blank(p->x->text.p[at]))
		at++;
	return at;
}

static void check_groups(struct slx_pq_parser *p, const struct slx_pq_node *n, const struct slx_pq_matching *m)
{
	for (size_t i = 0; m->on && i < m->n_labels; i++)
		for (size_t j = 0; j < m->n_include; j++)
			if (slx_str_eq(m->labels[i], m->include[j]))
				slx_pq_fail(p, op_from(p, n), "label \"%.*s\" must not occur in ON and GROUP clause at once",
					(int)(m->labels[i].n < 200 ? m->labels[i].n : 200), m->labels[i].p);
}

/* On and fill need vectors on both sides, set operators no group. */
static void check_matching(struct slx_pq_parser *p, struct slx_pq_node *n, struct slx_pq_matching *m, bool vectors)
{
	bool set = slx_pq_op_is_set(n->binary.op), fill = m->fill_left_given || m->fill_right_given;
	if (!vectors) {
		if (m->n_labels)
			slx_pq_fail(p, n->pos.from, "vector matching only allowed between instant vectors");
		if (fill)
			slx_pq_fail(p, n->pos.from, "filling in missing series only allowed between instant vectors");
		n->binary.matching = NULL;
	} else if (set) {
		if (m->card != SLX_PQ_MANY_TO_MANY)
			slx_pq_fail(p, n->pos.from, "no grouping allowed for \"%s\" operation", slx_pq_op_text(n->binary.op));
		if (fill)
			slx_pq_fail(p, n->pos.from, "filling in missing series not allowed for set operators");
	}
}

static void check_binary(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	struct slx_pq_node *lhs = n->binary.lhs, *rhs = n->binary.rhs;
	struct slx_pq_matching *m = n->binary.matching;
	slx_pq_check(p, lhs);
	slx_pq_check(p, rhs);
	enum slx_promql_type lt = lhs->value_type, rt = rhs->value_type;
	bool set = slx_pq_op_is_set(n->binary.op), compares = slx_pq_op_compares(n->binary.op);
	bool scalar = lt == SLX_PROMQL_SCALAR || rt == SLX_PROMQL_SCALAR;
	if (n->binary.bool_modifier && !compares)
		slx_pq_fail(p, op_from(p, n), "bool modifier can only be used on comparison operators");
	if (compares && !n->binary.bool_modifier && lt == SLX_PROMQL_SCALAR && rt == SLX_PROMQL_SCALAR)
		slx_pq_fail(p, op_from(p, n), "comparisons between scalars must use BOOL modifier");
	if (set && m->card == SLX_PQ_ONE_TO_ONE)
		m->card = SLX_PQ_MANY_TO_MANY;
	check_groups(p, n, m);
	if (lt != SLX_PROMQL_SCALAR && lt != SLX_PROMQL_VECTOR)
		slx_pq_fail(p, lhs->pos.from, "binary expression must contain only scalar and instant vector types");
	if (rt != SLX_PROMQL_SCALAR && rt != SLX_PROMQL_VECTOR)
		slx_pq_fail(p, rhs->pos.from, "binary expression must contain only scalar and instant vector types");
	check_matching(p, n, m, lt == SLX_PROMQL_VECTOR && rt == SLX_PROMQL_VECTOR);
	if (set && scalar)
		slx_pq_fail(p, n->pos.from, "set operator \"%s\" not allowed in binary scalar expression",
			slx_pq_op_text(n->binary.op));
}

/* ---- selectors ---- */

static void check_vector(struct slx_pq_parser *p, struct slx_pq_node *n, bool may_match_all)
{
	const struct slx_selector *s = &n->vector.sel;
	struct slx_str name = n->vector.name;
	bool selective = name.n || may_match_all;
	for (size_t i = 0; i + (name.n != 0) < s->n; i++) { /* the last one is the name itself */
		const struct slx_matcher *m = s->matchers[i];
		if (name.n && slx_str_eq(m->name, SLX_METRIC_NAME))
			slx_pq_fail(p, n->pos.from, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
				(int)(name.n < 100 ? name.n : 100), name.p, (int)(m->value.n < 100 ? m->value.n : 100), m->value.p);
		selective |= !m->matches_empty;
	}
	if (!selective)
		slx_pq_fail(p, n->pos.from, "vector selector must contain at least one non-empty matcher");
}

static void check_subquery(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	static const char *const words[] = { "none", "scalar", "vector", "matrix", "string" };
	slx_pq_check(p, n->subquery.expr);
	if (n->subquery.expr->value_type != SLX_PROMQL_VECTOR)
		slx_pq_fail(p, n->pos.from, "subquery is only allowed on instant vector, got %s instead",
			words[n->subquery.expr->value_type]);
}

/* ---- calls ---- */

static void check_arg_count(struct slx_pq_parser *p, const struct slx_pq_node *n)
{
	const struct slx_pq_function *fn = n->call.fn;
	int got = (int)n->call.n_args, least = fn->n_args - (fn->variadic != 0);
	if (fn->variadic == 0 && got != least)
		slx_pq_fail(p, n->pos.from, "expected %d argument(s) in call to \"%s\", got %d", least, fn->name, got);
	else if (got < least)
		slx_pq_fail(p, n->pos.from, "expected at least %d argument(s) in call to \"%s\", got %d", least, fn->name, got);
	else if (fn->variadic > 0 && got > least + fn->variadic)
		slx_pq_fail(p, n->pos.from, "expected at most %d argument(s) in call to \"%s\", got %d", least + fn->variadic,
			fn->name, got);
}

/* The second argument of info() is no vector but matchers of labels, which may match all. */
static void check_info_arg(struct slx_pq_parser *p, const struct slx_pq_node *n, struct slx_pq_node *arg)
{
	if (arg->value_type != SLX_PROMQL_VECTOR)
		slx_pq_fail(p, n->pos.from, "expected type instant vector in call to function \"info\", got %s",
			type_words(arg->value_type));
	if (arg->type != SLX_PQ_VECTOR)
		slx_pq_fail(p, arg->pos.from, "expected label selectors only");
	else if (arg->vector.name.n)
		slx_pq_fail(p, arg->pos.from, "expected label selectors only, got vector selector instead");
	else
		check_vector(p, arg, true);
}

/* Prometheus finds this out when it runs the query; the words are the same. */
static void check_smoothing(struct slx_pq_parser *p, const struct slx_pq_function *fn, const struct slx_pq_node *arg)
{
	static const char *const safe[] = { "delta", "increase", "rate", "changes", "resets" };
	while (arg->type == SLX_PQ_PAREN)
		arg = arg->inner;
	if (arg->type != SLX_PQ_MATRIX || arg->matrix.vector->vector.smoothing == SLX_PQ_PLAIN)
		return;
	bool anchored = arg->matrix.vector->vector.smoothing == SLX_PQ_ANCHORED;
	for (int i = 0; i < (anchored ? 5 : 3); i++)
		if (strcmp(safe[i], fn->name) == 0)
			return;
	slx_pq_fail(p, arg->pos.from, "%s modifier can only be used with: %s - not with %s",
		anchored ? "anchored" : "smoothed",
		anchored ? "changes, delta, increase, rate, resets" : "delta, increase, rate", fn->name);
}

static void check_call(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	const struct slx_pq_function *fn = n->call.fn;
	bool info = strcmp(fn->name, "info") == 0;
	check_arg_count(p, n);
	if (info && n->call.n_args > 1)
		check_info_arg(p, n, n->call.args[1]);
	for (size_t i = 0; i < n->call.n_args && p->status == SILEX_OK; i++) {
		struct slx_pq_node *arg = n->call.args[i];
		enum slx_promql_type want = fn->args[i < (size_t)fn->n_args ? i : (size_t)fn->n_args - 1];
		if (!(info && i == 1))
			slx_pq_check(p, arg);
		if (arg->value_type != want)
			slx_pq_fail(p, arg->pos.from, "expected type %s in call to function \"%s\", got %s", type_words(want),
				fn->name, type_words(arg->value_type));
		check_smoothing(p, fn, arg);
	}
}

static void check_unary(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	slx_pq_check(p, n->unary.expr);
	enum slx_promql_type t = n->unary.expr->value_type;
	if (t != SLX_PROMQL_SCALAR && t != SLX_PROMQL_VECTOR)
		slx_pq_fail(p, n->pos.from,
			"unary expression only allowed on expressions of type scalar or instant vector, got \"%s\"", type_words(t));
}

void slx_pq_check(struct slx_pq_parser *p, struct slx_pq_node *n)
{
	if (p->status != SILEX_OK)
		return;
	switch (n->type) {
	case SLX_PQ_AGGREGATE:
		check_aggregate(p, n);
		break;
	case SLX_PQ_BINARY:
		check_binary(p, n);
		break;
	case SLX_PQ_CALL:
		check_call(p, n);
		break;
	case SLX_PQ_PAREN:
		slx_pq_check(p, n->inner);
		break;
	case SLX_PQ_UNARY:
		check_unary(p, n);
		break;
	case SLX_PQ_SUBQUERY:
		check_subquery(p, n);
		break;
	case SLX_PQ_MATRIX:
		slx_pq_check(p, n->matrix.vector);
		break;
	case SLX_PQ_VECTOR:
		check_vector(p, n, false);
		break;
	case SLX_PQ_NUMBER:
	case SLX_PQ_STRING:
	case SLX_PQ_STEP_INVARIANT:
		break;
	}
}
