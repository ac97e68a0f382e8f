/* The nodes of the tree, made by the grammar's actions. Each of these does nothing once the parse has failed. */
#include "promql/parser_int.h"
#include "promql/grammar.h"

#include <stdio.h>

/* ---- lists ---- */

/* Room for one more in a list of the arena; NULL: failed. Lists are short, so what is outgrown just stays there. */
static void *grow(struct slx_pq_parser *p, void *list, uint32_t n, uint32_t *cap, size_t size)
{
	if (p->status != SILEX_OK)
		return NULL;
	if (n < *cap)
		return list;
	uint32_t more = *cap ? *cap * 2 : 4;
	void *to = slx_arena_alloc(&p->x->arena, more * size, 8);
	if (!to) {
		slx_pq_fail_oom(p);
		return NULL;
	}
	if (n)
		memcpy(to, list, n * size);
	*cap = more;
	return to;
}

void slx_pq_exprs_add(struct slx_pq_parser *p, struct slx_pq_exprs *l, struct slx_pq_node *e)
{
	void *to = grow(p, l->p, l->n, &l->cap, sizeof *l->p);
	if (to) {
		l->p = to;
		l->p[l->n++] = e;
	}
}

void slx_pq_names_add(struct slx_pq_parser *p, struct slx_pq_names *l, struct slx_str name)
{
	void *to = grow(p, l->p, l->n, &l->cap, sizeof *l->p);
	if (to) {
		l->p = to;
		l->p[l->n++] = name;
	}
}

void slx_pq_matches_add(struct slx_pq_parser *p, struct slx_pq_matches *l, struct slx_pq_match m)
{
	if (l->n + 1 >= SLX_SELECTOR_MATCHERS_MAX) /* one is left for the name */
		slx_pq_fail(p, m.from, "selector with more than %d matchers", SLX_SELECTOR_MATCHERS_MAX - 1);
	void *to = grow(p, l->p, l->n, &l->cap, sizeof *l->p);
	if (to) {
		l->p = to;
		l->p[l->n++] = m;
	}
}

struct slx_pq_match slx_pq_new_match(
	struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_token op, struct slx_pq_token value)
{
	struct slx_str name_text = name.type == PQ_STRING ? slx_pq_unquote(p, name) : slx_pq_token_text(p, name);
	return (struct slx_pq_match){
		.name = name_text,
		.value = slx_pq_unquote(p, value),
		.op = op.type == PQ_EQL       ? SLX_MATCH_EQ
			: op.type == PQ_NEQ       ? SLX_MATCH_NE
			: op.type == PQ_EQL_REGEX ? SLX_MATCH_RE
									  : SLX_MATCH_NRE,
		.from = name.from,
	};
}

/* ---- making nodes ---- */

static struct slx_pq_node *new_node(
	struct slx_pq_parser *p, enum slx_pq_node_type type, enum slx_promql_type value_type, uint32_t from, uint32_t to)
{
	if (p->status != SILEX_OK)
		return NULL;
	struct slx_pq_node *n = slx_arena_alloc(&p->x->arena, sizeof *n, _Alignof(struct slx_pq_node));
	if (!n) {
		slx_pq_fail_oom(p);
		return NULL;
	}
	memset(n, 0, sizeof *n);
	n->type = type;
	n->value_type = value_type;
	n->depth = 1;
	n->pos = (struct slx_pq_pos){ from, to };
	return n;
}

/* n now stands above child. */
static void put_over(struct slx_pq_parser *p, struct slx_pq_node *n, const struct slx_pq_node *child)
{
	if (child->depth < n->depth)
		return;
	if (child->depth >= SLX_PQ_DEPTH_MAX)
		slx_pq_fail(p, n->pos.from, "expression is nested too deeply, expected at most %d levels", SLX_PQ_DEPTH_MAX);
	n->depth = (uint16_t)(child->depth + 1);
}

struct slx_pq_node *slx_pq_new_number(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_NUMBER, SLX_PROMQL_SCALAR, t.from, t.to);
	if (!n)
		return NULL;
	n->duration = t.type == PQ_DURATION;
	n->number = n->duration ? slx_pq_seconds(p, t) : slx_pq_number(p, t);
	return n;
}

struct slx_pq_node *slx_pq_new_string(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_STRING, SLX_PROMQL_STRING, t.from, t.to);
	if (n)
		n->string = slx_pq_unquote(p, t);
	return n;
}

struct slx_pq_node *slx_pq_new_paren(
	struct slx_pq_parser *p, struct slx_pq_token open, struct slx_pq_node *e, struct slx_pq_token close)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_PAREN, SLX_PROMQL_NONE, open.from, close.to);
	if (!n)
		return NULL;
	n->value_type = e->value_type;
	n->inner = e;
	put_over(p, n, e);
	return n;
}

/* A sign before a number becomes part of it. */
static struct slx_pq_node *fold_sign(struct slx_pq_token op, struct slx_pq_node *number)
{
	if (op.type == PQ_SUB)
		number->number = -number->number;
	number->pos.from = op.from;
	return number;
}

struct slx_pq_node *slx_pq_new_unary(struct slx_pq_parser *p, struct slx_pq_token op, struct slx_pq_node *e)
{
	if (p->status != SILEX_OK)
		return NULL;
	if (e->type == SLX_PQ_NUMBER)
		return fold_sign(op, e);
	struct slx_pq_node *n = new_node(p, SLX_PQ_UNARY, e->value_type, op.from, e->pos.to);
	if (!n)
		return NULL;
	n->unary.minus = op.type == PQ_SUB;
	n->unary.expr = e;
	put_over(p, n, e);
	return n;
}

/* ---- binary operators ---- */

struct slx_pq_node *slx_pq_new_modifiers(struct slx_pq_parser *p, bool bool_modifier)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_BINARY, SLX_PROMQL_NONE, 0, 0);
	if (!n)
		return NULL;
	n->binary.bool_modifier = bool_modifier;
	n->binary.matching = slx_arena_alloc(&p->x->arena, sizeof *n->binary.matching, _Alignof(struct slx_pq_matching));
	if (!n->binary.matching) {
		slx_pq_fail_oom(p);
		return NULL;
	}
	*n->binary.matching = (struct slx_pq_matching){ 0 };
	return n;
}

void slx_pq_set_matching(struct slx_pq_parser *p, struct slx_pq_node *modifiers, bool on, struct slx_pq_names labels)
{
	if (p->status != SILEX_OK)
		return;
	struct slx_pq_matching *m = modifiers->binary.matching;
	m->given = true;
	m->on = on;
	m->labels = labels.p;
	m->n_labels = labels.n;
}

void slx_pq_set_group(
	struct slx_pq_parser *p, struct slx_pq_node *modifiers, enum slx_pq_card card, struct slx_pq_names include)
{
	if (p->status != SILEX_OK)
		return;
	struct slx_pq_matching *m = modifiers->binary.matching;
	m->card = card;
	m->include = include.p;
	m->n_include = include.n;
}

void slx_pq_set_fill(struct slx_pq_parser *p, struct slx_pq_node *modifiers, const double *left, const double *right)
{
	if (p->status != SILEX_OK)
		return;
	struct slx_pq_matching *m = modifiers->binary.matching;
	m->fill_left_given = left != NULL;
	m->fill_right_given = right != NULL;
	m->fill_left = left ? *left : 0;
	m->fill_right = right ? *right : 0;
}

static enum slx_pq_op binary_op(int type)
{
	static const uint8_t ops[] = { [PQ_ADD] = SLX_PQ_ADD,
		[PQ_SUB] = SLX_PQ_SUB,
		[PQ_MUL] = SLX_PQ_MUL,
		[PQ_DIV] = SLX_PQ_DIV,
		[PQ_MOD] = SLX_PQ_MOD,
		[PQ_POW] = SLX_PQ_POW,
		[PQ_ATAN2] = SLX_PQ_ATAN2,
		[PQ_EQLC] = SLX_PQ_EQ,
		[PQ_NEQ] = SLX_PQ_NE,
		[PQ_GTR] = SLX_PQ_GT,
		[PQ_LSS] = SLX_PQ_LT,
		[PQ_GTE] = SLX_PQ_GE,
		[PQ_LTE] = SLX_PQ_LE,
		[PQ_LAND] = SLX_PQ_AND,
		[PQ_LOR] = SLX_PQ_OR,
		[PQ_LUNLESS] = SLX_PQ_UNLESS,
		[PQ_TRIM_UPPER] = SLX_PQ_TRIM_UPPER,
		[PQ_TRIM_LOWER] = SLX_PQ_TRIM_LOWER };
	return ops[type];
}

struct slx_pq_node *slx_pq_new_binary(struct slx_pq_parser *p, struct slx_pq_node *lhs, struct slx_pq_token op,
	struct slx_pq_node *modifiers, struct slx_pq_node *rhs)
{
	if (p->status != SILEX_OK)
		return NULL;
	struct slx_pq_node *n = modifiers;
	bool scalars = lhs->value_type == SLX_PROMQL_SCALAR && rhs->value_type == SLX_PROMQL_SCALAR;
	n->value_type = scalars ? SLX_PROMQL_SCALAR : SLX_PROMQL_VECTOR;
	n->pos = (struct slx_pq_pos){ lhs->pos.from, rhs->pos.to };
	n->binary.op = binary_op(op.type);
	n->binary.lhs = lhs;
	n->binary.rhs = rhs;
	put_over(p, n, lhs);
	put_over(p, n, rhs);
	const struct slx_pq_matching *m = n->binary.matching;
	if ((m->fill_left_given || m->fill_right_given) && !p->x->experimental)
		slx_pq_fail(p, n->pos.from, "binop fill modifiers are experimental and not enabled");
	return n;
}

/* ---- calls and aggregations ---- */

struct slx_pq_node *slx_pq_new_call(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_exprs args)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_CALL, SLX_PROMQL_NONE, name.from, args.to);
	if (!n)
		return NULL;
	n->call.name = slx_pq_token_text(p, name);
	n->call.fn = slx_pq_function_find(n->call.name);
	int shown = n->call.name.n < 200 ? (int)n->call.name.n : 200;
	if (!n->call.fn) {
		slx_pq_fail(p, name.from, "unknown function with name \"%.*s\"", shown, n->call.name.p);
		return NULL;
	}
	if (n->call.fn->experimental && !p->x->experimental)
		slx_pq_fail(p, name.from, "function \"%.*s\" is not enabled", shown, n->call.name.p);
	n->value_type = n->call.fn->returns;
	n->call.args = args.p;
	n->call.n_args = args.n;
	for (uint32_t i = 0; i < args.n; i++)
		put_over(p, n, args.p[i]);
	return n;
}

static enum slx_pq_agg agg_op(int type)
{
	static const uint8_t ops[] = { [PQ_SUM] = SLX_PQ_SUM,
		[PQ_AVG] = SLX_PQ_AVG,
		[PQ_COUNT] = SLX_PQ_COUNT,
		[PQ_MIN] = SLX_PQ_MIN,
		[PQ_MAX] = SLX_PQ_MAX,
		[PQ_GROUP] = SLX_PQ_GROUP,
		[PQ_STDDEV] = SLX_PQ_STDDEV,
		[PQ_STDVAR] = SLX_PQ_STDVAR,
		[PQ_TOPK] = SLX_PQ_TOPK,
		[PQ_BOTTOMK] = SLX_PQ_BOTTOMK,
		[PQ_COUNT_VALUES] = SLX_PQ_COUNT_VALUES,
		[PQ_QUANTILE] = SLX_PQ_QUANTILE,
		[PQ_LIMITK] = SLX_PQ_LIMITK,
		[PQ_LIMIT_RATIO] = SLX_PQ_LIMIT_RATIO };
	return ops[type];
}

struct slx_pq_node *slx_pq_new_aggregate(
	struct slx_pq_parser *p, struct slx_pq_token op, const struct slx_pq_names *by, struct slx_pq_exprs args)
{
	struct slx_pq_node *n = new_node(p, SLX_PQ_AGGREGATE, SLX_PROMQL_VECTOR, op.from, args.to);
	if (!n)
		return NULL;
	n->agg.op = agg_op(op.type);
	if (by) {
		n->agg.by = by->p;
		n->agg.n_by = by->n;
		n->agg.without = by->without;
	}
	uint32_t expected = n->agg.op >= SLX_PQ_TOPK ? 2 : 1; /* those from topk on have a parameter */
	if (args.n == 0)
		slx_pq_fail(p, op.from, "no arguments for aggregate expression provided");
	if (n->agg.op >= SLX_PQ_LIMITK && !p->x->experimental)
		slx_pq_fail(p, op.from,
			"%s() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
			slx_pq_agg_text(n->agg.op));
	if (args.n != expected)
		slx_pq_fail(p, op.from, "wrong number of arguments for aggregate expression provided, expected %u, got %u",
			expected, args.n);
	if (p->status != SILEX_OK)
		return NULL;
	n->agg.param = expected == 2 ? args.p[0] : NULL;
	n->agg.expr = args.p[expected - 1];
	for (uint32_t i = 0; i < args.n; i++)
		put_over(p, n, args.p[i]);
	return n;
}

/* ---- selectors ---- */

static bool add_matcher(struct slx_pq_parser *p, struct slx_selector *s, struct slx_pq_match m)
{
	silex_error err;
	silex_status st = slx_matcher_new(p->x->mem, m.op, m.name, m.value, &s->matchers[s->n], &err);
	if (st == SILEX_OK)
		s->n++;
	else if (st == SILEX_INVALID)
		slx_pq_fail(p, m.from, "%s", err.message);
	else if (p->status == SILEX_OK)
		p->status = slx_err(p->err, st, "%s", err.message);
	return st == SILEX_OK;
}

static void fill_selector(struct slx_pq_parser *p, struct slx_pq_node *n, struct slx_pq_matches matches)
{
	struct slx_selector *s = &n->vector.sel;
	*s = (struct slx_selector){ .mem = p->x->mem, .cap = matches.n + 1 };
	s->matchers = slx_alloc(p->x->mem, SLX_MEM_QUERY, s->cap * sizeof *s->matchers);
	if (!s->matchers) {
		s->cap = 0;
		slx_pq_fail_oom(p);
		return;
	}
	for (uint32_t i = 0; i < matches.n; i++)
		if (!add_matcher(p, s, matches.p[i]))
			return;
	if (n->vector.name.n)
		add_matcher(p, s, (struct slx_pq_match){ SLX_METRIC_NAME, n->vector.name, SLX_MATCH_EQ, n->pos.from });
}

struct slx_pq_node *slx_pq_new_vector(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_matches matches)
{
	bool named = name.type != 0;
	struct slx_pq_node *n = new_node(p, SLX_PQ_VECTOR, SLX_PROMQL_VECTOR, named ? name.from : matches.from, matches.to);
	if (!n)
		return NULL;
	n->vector.name = named ? slx_pq_token_text(p, name) : SLX_STR("");
	if (p->x->vectors_last)
		p->x->vectors_last->vector.next = n;
	else
		p->x->vectors = n;
	p->x->vectors_last = n;
	fill_selector(p, n, matches);
	return n;
}

/* Seconds, or an expression; NULL nothing. Prometheus rounds to nanoseconds, then drops what is below a ms. */
static struct slx_pq_duration duration_of(const struct slx_pq_node *e)
{
	if (!e || e->type != SLX_PQ_NUMBER)
		return (struct slx_pq_duration){ .expr = e };
	double ns = round(e->number * 1e9);
	return (struct slx_pq_duration){ .ms = ns >= 0x1p63 ? INT64_MAX / 1000000
			: ns <= -0x1p63                             ? INT64_MIN / 1000000
														: (int64_t)ns / 1000000 };
}

struct slx_pq_node *slx_pq_new_matrix(struct slx_pq_parser *p, struct slx_pq_node *vector, struct slx_pq_token open,
	struct slx_pq_node *range, struct slx_pq_token close)
{
	if (p->status != SILEX_OK)
		return NULL;
	struct slx_pq_node *n = new_node(p, SLX_PQ_MATRIX, SLX_PROMQL_MATRIX, vector->pos.from, close.to);
	if (!n)
		return NULL;
	if (vector->type != SLX_PQ_VECTOR)
		slx_pq_fail(p, open.from, "ranges only allowed for vector selectors");
	else if (vector->vector.mods.offset.ms)
		slx_pq_fail(p, open.from, "no offset modifiers allowed before range");
	else if (vector->vector.mods.at == SLX_PQ_AT_TIME)
		slx_pq_fail(p, open.from, "no @ modifiers allowed before range");
	n->matrix.vector = vector;
	n->matrix.range = duration_of(range);
	put_over(p, n, vector);
	return n;
}

struct slx_pq_node *slx_pq_new_subquery(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_node *range,
	struct slx_pq_node *step, struct slx_pq_token close)
{
	if (p->status != SILEX_OK)
		return NULL;
	struct slx_pq_node *n = new_node(p, SLX_PQ_SUBQUERY, SLX_PROMQL_MATRIX, e->pos.from, close.to);
	if (!n)
		return NULL;
	n->subquery.expr = e;
	n->subquery.range = duration_of(range);
	n->subquery.step = duration_of(step);
	n->subquery.has_step = step != NULL;
	put_over(p, n, e);
	return n;
}

/* ---- modifiers of selectors ---- */

/* The modifiers of a selector or subquery; NULL for other nodes. */
static struct slx_pq_modifiers *modifiers_of(struct slx_pq_node *e)
{
	switch (e->type) {
	case SLX_PQ_VECTOR:
		return &e->vector.mods;
	case SLX_PQ_MATRIX:
		return &e->matrix.vector->vector.mods;
	case SLX_PQ_SUBQUERY:
		return &e->subquery.mods;
	default:
		return NULL;
	}
}

void slx_pq_set_offset(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_node *offset)
{
	if (p->status != SILEX_OK)
		return;
	struct slx_pq_modifiers *m = modifiers_of(e);
	if (!m) {
		slx_pq_fail(p, e->pos.from,
			"offset modifier must be preceded by an instant vector selector or range vector selector or a subquery");
		return;
	}
	if (m->offset.ms || m->offset.expr)
		slx_pq_fail(p, e->pos.from, "offset may not be set multiple times");
	m->offset = duration_of(offset);
	e->pos.to = offset->pos.to;
}

static bool may_set_at(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_modifiers **ret)
{
	if (p->status != SILEX_OK)
		return false;
	*ret = modifiers_of(e);
	if (!*ret)
		slx_pq_fail(p, e->pos.from,
			"@ modifier must be preceded by an instant vector selector or range vector selector or a subquery");
	else if ((*ret)->at != SLX_PQ_AT_NONE)
		slx_pq_fail(p, e->pos.from, "@ <timestamp> may not be set multiple times");
	return p->status == SILEX_OK;
}

void slx_pq_set_at_time(struct slx_pq_parser *p, struct slx_pq_node *e, double seconds, uint32_t to)
{
	struct slx_pq_modifiers *m;
	if (p->status == SILEX_OK && (!(seconds < 0x1p63) || !(seconds > -0x1p63))) {
		char text[400];
		snprintf(text, sizeof text, "%f", seconds);
		slx_pq_fail(p, e->pos.from, "timestamp out of bounds for @ modifier: %s",
			isnan(seconds)       ? "NaN"
				: isinf(seconds) ? (seconds > 0 ? "+Inf" : "-Inf")
								 : text);
	}
	if (!may_set_at(p, e, &m))
		return;
	double ms = round(seconds * 1000);
	m->at = SLX_PQ_AT_TIME;
	m->at_ms = ms >= 0x1p63 ? INT64_MAX : ms < -0x1p63 ? INT64_MIN : (int64_t)ms;
	e->pos.to = to;
}

void slx_pq_set_at(struct slx_pq_parser *p, struct slx_pq_node *e, enum slx_pq_at at, uint32_t to)
{
	struct slx_pq_modifiers *m;
	if (!may_set_at(p, e, &m))
		return;
	m->at = at;
	e->pos.to = to;
}

void slx_pq_set_smoothing(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_token word)
{
	if (p->status != SILEX_OK)
		return;
	bool anchored = word.type == PQ_ANCHORED;
	const char *name = anchored ? "anchored" : "smoothed";
	struct slx_pq_node *vector = e->type == SLX_PQ_MATRIX ? e->matrix.vector : e;
	enum slx_pq_smoothing wanted = anchored ? SLX_PQ_ANCHORED : SLX_PQ_SMOOTHED;
	if (!p->x->experimental)
		slx_pq_fail(p, e->pos.from, "%s modifier is experimental and not enabled", name);
	else if (e->type == SLX_PQ_SUBQUERY)
		slx_pq_fail(p, e->pos.from, "%s modifier is not supported for subqueries", name);
	else if (vector->type != SLX_PQ_VECTOR)
		slx_pq_fail(p, e->pos.from, "%s modifier not implemented", name);
	else if (vector->vector.smoothing != SLX_PQ_PLAIN && vector->vector.smoothing != wanted)
		slx_pq_fail(p, e->pos.from, "anchored and smoothed modifiers cannot be used together");
	else
		vector->vector.smoothing = wanted;
	e->pos.to = word.to;
}

/* ---- durations ---- */

static void want_experimental(struct slx_pq_parser *p, uint32_t from)
{
	if (!p->x->experimental)
		slx_pq_fail(p, from, "experimental duration expression is not enabled");
}

struct slx_pq_node *slx_pq_new_dur_unary(struct slx_pq_parser *p, struct slx_pq_token op, struct slx_pq_node *e)
{
	if (p->status != SILEX_OK)
		return NULL;
	return op.type == PQ_SUB || e->type == SLX_PQ_NUMBER ? slx_pq_new_unary(p, op, e) : e;
}

struct slx_pq_node *slx_pq_new_dur_binary(
	struct slx_pq_parser *p, struct slx_pq_node *lhs, struct slx_pq_token op, struct slx_pq_node *rhs)
{
	if (p->status != SILEX_OK)
		return NULL;
	want_experimental(p, lhs->pos.from);
	if ((op.type == PQ_DIV || op.type == PQ_MOD) && rhs->type == SLX_PQ_NUMBER && rhs->number == 0)
		slx_pq_fail(p, op.from, op.type == PQ_DIV ? "division by zero" : "modulo by zero");
	struct slx_pq_node *n = new_node(p, SLX_PQ_BINARY, SLX_PROMQL_SCALAR, lhs->pos.from, rhs->pos.to);
	if (!n)
		return NULL;
	n->binary.op = binary_op(op.type);
	n->binary.lhs = lhs;
	n->binary.rhs = rhs;
	put_over(p, n, lhs);
	put_over(p, n, rhs);
	return n;
}

struct slx_pq_node *slx_pq_new_dur_paren(
	struct slx_pq_parser *p, struct slx_pq_token open, struct slx_pq_node *e, struct slx_pq_token close)
{
	if (p->status != SILEX_OK)
		return NULL;
	want_experimental(p, e->pos.from);
	return e->type == SLX_PQ_NUMBER ? e : slx_pq_new_paren(p, open, e, close);
}

struct slx_pq_node *slx_pq_new_dur_call(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_node *a,
	struct slx_pq_node *b, struct slx_pq_token close)
{
	if (p->status != SILEX_OK)
		return NULL;
	want_experimental(p, name.from);
	struct slx_pq_node *n = new_node(p, SLX_PQ_CALL, SLX_PROMQL_SCALAR, name.from, close.to);
	if (!n)
		return NULL;
	n->call.name = name.type == PQ_STEP ? SLX_STR("step")
		: name.type == PQ_RANGE         ? SLX_STR("range")
		: name.type == PQ_MIN_OF        ? SLX_STR("min_of")
										: SLX_STR("max_of");
	if (!a)
		return n;
	struct slx_pq_exprs args = { 0 };
	slx_pq_exprs_add(p, &args, a);
	slx_pq_exprs_add(p, &args, b);
	n->call.args = args.p;
	n->call.n_args = args.n;
	put_over(p, n, a);
	put_over(p, n, b);
	return n;
}

struct slx_pq_node *slx_pq_dur_checked(struct slx_pq_parser *p, struct slx_pq_node *e)
{
	if (p->status == SILEX_OK && e->type == SLX_PQ_NUMBER && !(fabs(e->number) <= 0x1p63 / 1e9))
		slx_pq_fail(p, e->pos.from, "duration out of range");
	return e;
}

struct slx_pq_node *slx_pq_dur_positive(struct slx_pq_parser *p, struct slx_pq_node *e)
{
	if (p->status == SILEX_OK && e->type == SLX_PQ_NUMBER && e->number <= 0)
		slx_pq_fail(p, e->pos.from, "duration must be greater than 0");
	return e;
}
