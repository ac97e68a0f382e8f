/* An expression as text: on one line as Prometheus' String() has it, and pretty as its format_query.
 *
 * Pretty printing measures before it breaks: a node whose line would be over 100 columns is split, its parts one level
 * deeper (prettier_rules.md of Prometheus describes the result). Measuring stops after 100 columns: it costs little. */
#include "promql/parser_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 100 };

static void put_node(struct slx_buf *out, const struct slx_pq_node *n);

/* ---- names and labels ---- */

static bool is_plain_name(struct slx_str s, bool colon)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return s.n > 0;
}

static void put_names(struct slx_buf *out, const struct slx_str *names, size_t n)
{
	slx_buf_u8(out, '(');
	for (size_t i = 0; i < n; i++) {
		if (i)
			slx_pq_put(out, ", ");
		if (is_plain_name(names[i], true))
			slx_buf_put(out, names[i].p, names[i].n);
		else
			slx_pq_quote(out, names[i]);
	}
	slx_buf_u8(out, ')');
}

static void put_matcher(struct slx_buf *out, const struct slx_matcher *m)
{
	static const char *const ops[] = { "=", "!=", "=~", "!~" };
	if (is_plain_name(m->name, false))
		slx_buf_put(out, m->name.p, m->name.n);
	else
		slx_pq_quote(out, m->name);
	slx_pq_put(out, ops[m->op]);
	slx_pq_quote(out, m->value);
}

/* ---- durations and modifiers ---- */

static void put_duration(struct slx_buf *out, struct slx_pq_duration d)
{
	if (d.expr)
		put_node(out, d.expr);
	else
		slx_pq_put_duration(out, d.ms);
}

static void put_at(struct slx_buf *out, const struct slx_pq_modifiers *m)
{
	char text[40];
	if (m->at == SLX_PQ_AT_START)
		slx_pq_put(out, " @ start()");
	else if (m->at == SLX_PQ_AT_END)
		slx_pq_put(out, " @ end()");
	else if (m->at == SLX_PQ_AT_TIME) {
		snprintf(text, sizeof text, " @ %.3f", (double)m->at_ms / 1000);
		slx_pq_put(out, text);
	}
}

static void put_offset(struct slx_buf *out, const struct slx_pq_modifiers *m)
{
	if (!m->offset.expr && m->offset.ms == 0)
		return;
	slx_pq_put(out, " offset ");
	if (!m->offset.expr && m->offset.ms < 0) {
		slx_buf_u8(out, '-');
		slx_pq_put_duration(out, -m->offset.ms);
	} else
		put_duration(out, m->offset);
}

static void put_smoothing(struct slx_buf *out, enum slx_pq_smoothing s)
{
	if (s != SLX_PQ_PLAIN)
		slx_pq_put(out, s == SLX_PQ_ANCHORED ? " anchored" : " smoothed");
}

/* ---- selectors ---- */

static int compare_texts(const void *a, const void *b)
{
	const struct slx_str *x = a, *y = b;
	return slx_str_cmp(*x, *y);
}

/* name{a="b",c="d"}, the matchers sorted as text. They are written one after the other, then put in order. */
static void put_selector(struct slx_buf *out, const struct slx_pq_node *n)
{
	const struct slx_selector *s = &n->vector.sel;
	struct slx_buf text;
	struct slx_str parts[SLX_SELECTOR_MATCHERS_MAX];
	size_t ends[SLX_SELECTOR_MATCHERS_MAX], count = 0;
	slx_buf_init(&text, out->mem, out->use, SIZE_MAX);
	for (size_t i = 0; i + (n->vector.name.n != 0) < s->n; i++) { /* the last one is the name */
		put_matcher(&text, s->matchers[i]);
		ends[count++] = text.n;
	}
	for (size_t i = 0; i < count; i++) {
		size_t from = i ? ends[i - 1] : 0;
		parts[i] = (struct slx_str){ (const char *)text.p + from, ends[i] - from };
	}
	if (count)
		qsort(parts, count, sizeof parts[0], compare_texts);
	slx_buf_put(out, n->vector.name.p, n->vector.name.n);
	if (count || !n->vector.name.n)
		slx_buf_u8(out, '{');
	for (size_t i = 0; i < count; i++) {
		if (i)
			slx_buf_u8(out, ',');
		slx_buf_put(out, parts[i].p, parts[i].n);
	}
	if (count || !n->vector.name.n)
		slx_buf_u8(out, '}');
	out->failed |= text.failed;
	slx_buf_free(&text);
}

static void put_vector(struct slx_buf *out, const struct slx_pq_node *n)
{
	put_selector(out, n);
	put_at(out, &n->vector.mods);
	put_smoothing(out, n->vector.smoothing);
	put_offset(out, &n->vector.mods);
}

static void put_matrix(struct slx_buf *out, const struct slx_pq_node *n)
{
	const struct slx_pq_node *v = n->matrix.vector;
	put_selector(out, v);
	slx_buf_u8(out, '[');
	put_duration(out, n->matrix.range);
	slx_buf_u8(out, ']');
	put_smoothing(out, v->vector.smoothing);
	put_at(out, &v->vector.mods);
	put_offset(out, &v->vector.mods);
}

/* What follows the expression of a subquery. */
static void put_subquery_tail(struct slx_buf *out, const struct slx_pq_node *n)
{
	slx_buf_u8(out, '[');
	put_duration(out, n->subquery.range);
	slx_buf_u8(out, ':');
	if (n->subquery.step.expr || n->subquery.step.ms)
		put_duration(out, n->subquery.step);
	slx_buf_u8(out, ']');
	put_at(out, &n->subquery.mods);
	put_offset(out, &n->subquery.mods);
}

/* ---- other nodes ---- */

static void put_number(struct slx_buf *out, const struct slx_pq_node *n)
{
	if (!n->duration) {
		slx_pq_put_number(out, n->number);
		return;
	}
	if (n->number < 0)
		slx_buf_u8(out, '-');
	slx_pq_put_duration(out, (int64_t)round(fabs(n->number) * 1000));
}

static void put_fill(struct slx_buf *out, const struct slx_pq_matching *m)
{
	const struct {
		bool given;
		const char *word;
		double value;
	} fills[] = { { m->fill_left_given, " fill_left (", m->fill_left },
		{ m->fill_right_given, " fill_right (", m->fill_right } };
	bool both = m->fill_left_given && m->fill_right_given && m->fill_left == m->fill_right;
	for (int i = both; i < 2; i++)
		if (fills[i].given) {
			slx_pq_put(out, both ? " fill (" : fills[i].word);
			slx_pq_put_number(out, fills[i].value);
			slx_buf_u8(out, ')');
		}
}

/* The operator with its modifiers: `+`, `== bool on (a) group_left (b)`. */
static void put_operator(struct slx_buf *out, const struct slx_pq_node *n)
{
	const struct slx_pq_matching *m = n->binary.matching;
	slx_pq_put(out, slx_pq_op_text(n->binary.op));
	if (n->binary.bool_modifier)
		slx_pq_put(out, " bool");
	if (!m)
		return;
	bool group = m->card == SLX_PQ_MANY_TO_ONE || m->card == SLX_PQ_ONE_TO_MANY;
	if (m->n_labels || m->on || group) {
		slx_pq_put(out, m->on ? " on " : " ignoring ");
		put_names(out, m->labels, m->n_labels);
	}
	if (group) {
		slx_pq_put(out, m->card == SLX_PQ_MANY_TO_ONE ? " group_left " : " group_right ");
		put_names(out, m->include, m->n_include);
	}
	put_fill(out, m);
}

/* `sum`, `sum by (a) `. */
static void put_aggregation(struct slx_buf *out, const struct slx_pq_node *n)
{
	slx_pq_put(out, slx_pq_agg_text(n->agg.op));
	if (!n->agg.without && !n->agg.n_by)
		return;
	slx_pq_put(out, n->agg.without ? " without " : " by ");
	put_names(out, n->agg.by, n->agg.n_by);
	slx_buf_u8(out, ' ');
}

static void put_list(struct slx_buf *out, struct slx_pq_node *const *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			slx_pq_put(out, ", ");
		put_node(out, nodes[i]);
	}
}

static void put_aggregate(struct slx_buf *out, const struct slx_pq_node *n)
{
	put_aggregation(out, n);
	slx_buf_u8(out, '(');
	if (n->agg.param) {
		put_node(out, n->agg.param);
		slx_pq_put(out, ", ");
	}
	put_node(out, n->agg.expr);
	slx_buf_u8(out, ')');
}

static void put_node(struct slx_buf *out, const struct slx_pq_node *n)
{
	if (out->failed)
		return;
	switch (n->type) {
	case SLX_PQ_NUMBER:
		put_number(out, n);
		break;
	case SLX_PQ_STRING:
		slx_pq_quote(out, n->string);
		break;
	case SLX_PQ_VECTOR:
		put_vector(out, n);
		break;
	case SLX_PQ_MATRIX:
		put_matrix(out, n);
		break;
	case SLX_PQ_SUBQUERY:
		put_node(out, n->subquery.expr);
		put_subquery_tail(out, n);
		break;
	case SLX_PQ_CALL:
		slx_buf_put(out, n->call.name.p, n->call.name.n);
		slx_buf_u8(out, '(');
		put_list(out, n->call.args, n->call.n_args);
		slx_buf_u8(out, ')');
		break;
	case SLX_PQ_AGGREGATE:
		put_aggregate(out, n);
		break;
	case SLX_PQ_BINARY:
		put_node(out, n->binary.lhs);
		slx_buf_u8(out, ' ');
		put_operator(out, n);
		slx_buf_u8(out, ' ');
		put_node(out, n->binary.rhs);
		break;
	case SLX_PQ_UNARY:
		slx_buf_u8(out, n->unary.minus ? '-' : '+');
		put_node(out, n->unary.expr);
		break;
	case SLX_PQ_PAREN:
		slx_buf_u8(out, '(');
		put_node(out, n->inner);
		slx_buf_u8(out, ')');
		break;
	case SLX_PQ_STEP_INVARIANT:
		put_node(out, n->inner);
		break;
	}
}

/* ---- pretty ---- */

static void put_pretty(struct slx_buf *out, const struct slx_pq_node *n, int level);

static void put_indent(struct slx_buf *out, int level)
{
	for (int i = 0; i < level; i++)
		slx_pq_put(out, "  ");
}

/* Writes the line into a buffer that takes no more than a line: put_node stops when it is full. */
static bool too_wide(struct slx_buf *out, const struct slx_pq_node *n)
{
	struct slx_buf line;
	slx_buf_init(&line, out->mem, out->use, COLUMNS_MAX);
	put_node(&line, n);
	bool wide = line.failed || line.n > COLUMNS_MAX; /* its memory may be a little over the ceiling */
	slx_buf_free(&line);
	return wide;
}

static void put_pretty_args(struct slx_buf *out, struct slx_pq_node *const *args, size_t n, int level)
{
	slx_pq_put(out, "(\n");
	for (size_t i = 0; i < n; i++) {
		put_pretty(out, args[i], level + 1);
		slx_pq_put(out, i + 1 < n ? ",\n" : "\n");
	}
	put_indent(out, level);
	slx_buf_u8(out, ')');
}

static void put_pretty_aggregate(struct slx_buf *out, const struct slx_pq_node *n, int level)
{
	struct slx_pq_node *args[] = { n->agg.param, n->agg.expr };
	put_aggregation(out, n);
	put_pretty_args(out, n->agg.param ? args : args + 1, n->agg.param ? 2 : 1, level);
}

static void put_pretty_binary(struct slx_buf *out, const struct slx_pq_node *n, int level)
{
	put_pretty(out, n->binary.lhs, level + 1);
	slx_buf_u8(out, '\n');
	put_indent(out, level);
	put_operator(out, n);
	slx_buf_u8(out, '\n');
	put_pretty(out, n->binary.rhs, level + 1);
}

/* Behind a sign the operand loses the indent of its first line. */
static void put_pretty_unary(struct slx_buf *out, const struct slx_pq_node *n, int level)
{
	slx_buf_u8(out, n->unary.minus ? '-' : '+');
	size_t from = out->n, skip = 0;
	put_pretty(out, n->unary.expr, level);
	while (from + skip < out->n && out->p[from + skip] == ' ')
		skip++;
	if (skip)
		memmove(out->p + from, out->p + from + skip, out->n - from - skip);
	out->n -= skip;
}

/* The node at its level: lines begin with the indent unless the level is 0. */
static void put_pretty(struct slx_buf *out, const struct slx_pq_node *n, int level)
{
	bool split = too_wide(out, n);
	if (n->type == SLX_PQ_SUBQUERY && split) {
		put_pretty(out, n->subquery.expr, level);
		put_subquery_tail(out, n);
		return;
	}
	if (n->type != SLX_PQ_SUBQUERY && (n->type != SLX_PQ_BINARY || !split))
		put_indent(out, level); /* a short subquery has none: that is how Prometheus prints it */
	if (n->type == SLX_PQ_UNARY)
		put_pretty_unary(out, n, level);
	else if (split && n->type == SLX_PQ_AGGREGATE)
		put_pretty_aggregate(out, n, level);
	else if (split && n->type == SLX_PQ_BINARY)
		put_pretty_binary(out, n, level);
	else if (split && n->type == SLX_PQ_CALL) {
		slx_buf_put(out, n->call.name.p, n->call.name.n);
		put_pretty_args(out, n->call.args, n->call.n_args, level);
	} else if (split && n->type == SLX_PQ_PAREN)
		put_pretty_args(out, &n->inner, 1, level);
	else
		put_node(out, n);
}

void slx_promql_format(const struct slx_promql_expr *x, bool pretty, struct slx_buf *out)
{
	if (pretty)
		put_pretty(out, x->root, 0);
	else
		put_node(out, x->root);
}
