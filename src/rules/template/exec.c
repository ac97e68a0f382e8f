/* A walk over the tree. Variables are a stack, as blocks nest; what is made on the way lies in the arena of the run. */
#include "rules/template/template_int.h"

#include <stdio.h>

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static silex_status walk(struct slx_trun *r, struct slx_tv dot, const struct slx_tn *node, enum flow *ret);
static silex_status eval_pipe(struct slx_trun *r, struct slx_tv dot, const struct slx_tp *pipe, struct slx_tv *ret);

silex_status slx_trun_fail(struct slx_trun *r, const char *fmt, ...)
{
	char words[300];
	unsigned column;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	struct slx_str name = r->t->name, text = r->t->text;
	size_t at = r->at ? r->at->at : 0, n = r->at ? r->at->end - at : 0;
	unsigned line = slx_template_line(text, at, &column);
	return slx_err(r->err, SILEX_INVALID, "error executing template %.*s: template: %.*s:%u:%u: executing \"%.*s\" at <%.*s>: %s", (int)name.n, name.p,
		(int)name.n, name.p, line, column, (int)name.n, name.p, (int)(n > 60 ? 60 : n), text.p + at, words);
}

silex_status slx_trun_keep(struct slx_trun *r, struct slx_buf *b, struct slx_tv *ret)
{
	char *p = b->failed ? NULL : slx_arena_alloc(&r->arena, b->n + 1, 1);
	if (p && b->n)
		memcpy(p, b->p, b->n);
	*ret = slx_tv_string((struct slx_str){ p, b->n });
	slx_buf_free(b);
	return p ? SILEX_OK : slx_err_oom(r->err);
}

/* ---- variables ---- */

static silex_status push(struct slx_trun *r, struct slx_str name, struct slx_tv value)
{
	if (r->n_vars == r->cap_vars) {
		size_t cap = r->cap_vars ? r->cap_vars * 2 : 16;
		struct slx_tvar *vars = slx_arena_alloc(&r->arena, cap * sizeof *vars, 8);
		if (!vars)
			return slx_err_oom(r->err);
		if (r->n_vars)
			memcpy(vars, r->vars, r->n_vars * sizeof *vars);
		r->vars = vars;
		r->cap_vars = cap;
	}
	r->vars[r->n_vars++] = (struct slx_tvar){ name, value };
	return SILEX_OK;
}

static struct slx_tv *find(struct slx_trun *r, struct slx_str name)
{
	for (size_t i = r->n_vars; i-- > 0;)
		if (slx_str_eq(r->vars[i].name, name))
			return &r->vars[i].value;
	return NULL; /* the parser has seen to it that there is one */
}

/* ---- operands ---- */

static silex_status data_field(struct slx_trun *r, struct slx_str name, struct slx_tv *ret)
{
	const struct slx_template_data *d = r->data;
	if (slx_str_eq(name, SLX_STR("Labels")))
		*ret = slx_tv_labels(d->labels);
	else if (slx_str_eq(name, SLX_STR("Value")))
		*ret = slx_tv_float(d->value);
	else if (slx_str_eq(name, SLX_STR("ExternalLabels")))
		*ret = slx_tv_labels(d->external_labels);
	else if (slx_str_eq(name, SLX_STR("ExternalURL")))
		*ret = slx_tv_string(d->external_url);
	else
		return slx_trun_fail(r, "can't evaluate field %.*s: there are Labels, Value, ExternalLabels and ExternalURL", (int)name.n, name.p);
	return SILEX_OK;
}

static silex_status field(struct slx_trun *r, const struct slx_tv *of, struct slx_str name, struct slx_tv *ret)
{
	switch (of->type) {
	case SLX_TV_DATA:
		return data_field(r, name, ret);
	case SLX_TV_STRINGS:
		*ret = slx_tv_string(slx_tv_label(of->labels, name));
		return SILEX_OK;
	case SLX_TV_ARGS: {
		struct slx_tv none = { 0 };
		for (size_t i = 0; i < of->args.n; i++)
			if (slx_str_eq(of->args.v[i].key, name))
				none = of->args.v[i].value;
		*ret = none;
		return SILEX_OK;
	}
	case SLX_TV_SAMPLE:
		if (slx_str_eq(name, SLX_STR("Labels")))
			*ret = slx_tv_labels(of->sample->labels);
		else if (slx_str_eq(name, SLX_STR("Value")))
			*ret = slx_tv_float(of->sample->value);
		else
			return slx_trun_fail(r, "can't evaluate field %.*s in type *template.sample", (int)name.n, name.p);
		return SILEX_OK;
	case SLX_TV_NIL:
		return slx_trun_fail(r, "nil data; no entry for key \"%.*s\"", (int)name.n, name.p);
	default:
		return slx_trun_fail(r, "can't evaluate field %.*s in type %s", (int)name.n, name.p, slx_tv_type_name(of));
	}
}

static silex_status eval_operand(struct slx_trun *r, struct slx_tv dot, const struct slx_ta *a, struct slx_tv *ret);

/* and, or: the rest is not evaluated once it is decided. */
static silex_status call_lazy(struct slx_trun *r, struct slx_tv dot, const struct slx_tf *fn, const struct slx_ta *args, const struct slx_tv *last,
	struct slx_tv *ret)
{
	bool stop = fn->name[0] == 'o';
	for (; args; args = args->next) {
		SLX_TRY(eval_operand(r, dot, args, ret));
		if (slx_tv_truth(ret) == stop)
			return SILEX_OK;
	}
	if (last)
		*ret = *last;
	return SILEX_OK;
}

static silex_status call(struct slx_trun *r, struct slx_tv dot, const struct slx_tf *fn, const struct slx_ta *args, size_t n, const struct slx_tv *last,
	struct slx_tv *ret)
{
	if (n + (last != NULL) < fn->args_min)
		return slx_trun_fail(r, "wrong number of args for %s: want at least %u got %zu", fn->name, fn->args_min, n + (last != NULL));
	if (!fn->call)
		return call_lazy(r, dot, fn, args, last, ret);
	struct slx_tv *v = slx_arena_alloc(&r->arena, (n + 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(r->err);
	const struct slx_tc *at = r->at;
	for (size_t i = 0; i < n; i++, args = args->next)
		SLX_TRY(eval_operand(r, dot, args, &v[i]));
	r->at = at;
	if (last)
		v[n++] = *last;
	return fn->call(r, v, n, ret);
}

static silex_status eval_base(struct slx_trun *r, struct slx_tv dot, const struct slx_ta *a, struct slx_tv *ret)
{
	switch (a->type) {
	case SLX_TA_DOT:
		*ret = dot;
		return SILEX_OK;
	case SLX_TA_LITERAL:
		*ret = a->literal;
		return SILEX_OK;
	case SLX_TA_VARIABLE:
		*ret = *find(r, a->name);
		return SILEX_OK;
	case SLX_TA_FUNCTION:
		return call(r, dot, a->fn, NULL, 0, NULL, ret);
	default:
		return eval_pipe(r, dot, a->pipe, ret);
	}
}

static silex_status eval_fields(struct slx_trun *r, const struct slx_ta *a, struct slx_tv *v)
{
	for (size_t i = 0; i < a->n_fields; i++) {
		struct slx_tv of = *v;
		SLX_TRY(field(r, &of, a->fields[i], v));
	}
	return SILEX_OK;
}

static silex_status eval_operand(struct slx_trun *r, struct slx_tv dot, const struct slx_ta *a, struct slx_tv *ret)
{
	SLX_TRY(eval_base(r, dot, a, ret));
	return eval_fields(r, a, ret);
}

static silex_status eval_command(struct slx_trun *r, struct slx_tv dot, const struct slx_tc *c, const struct slx_tv *last, struct slx_tv *ret)
{
	r->at = c;
	if (c->args->type == SLX_TA_FUNCTION && c->args->n_fields == 0)
		return call(r, dot, c->args->fn, c->args->next, c->n - 1, last, ret);
	if (c->n > 1 || last)
		return slx_trun_fail(r, "can't give argument to non-function");
	return eval_operand(r, dot, c->args, ret);
}

static silex_status eval_pipe(struct slx_trun *r, struct slx_tv dot, const struct slx_tp *pipe, struct slx_tv *ret)
{
	struct slx_tv value = { 0 }, before;
	for (const struct slx_tc *c = pipe->cmds; c; c = c->next) {
		before = value;
		SLX_TRY(eval_command(r, dot, c, c == pipe->cmds ? NULL : &before, &value));
	}
	for (unsigned i = 0; i < pipe->n_vars; i++) {
		if (pipe->assign)
			*find(r, pipe->vars[i]) = value;
		else
			SLX_TRY(push(r, pipe->vars[i], value));
	}
	*ret = value;
	return SILEX_OK;
}

/* ---- nodes ---- */

/* Element i of what range goes over. */
static void element(const struct slx_tv *v, size_t i, struct slx_labels_iter *it, struct slx_tv *ret_key, struct slx_tv *ret)
{
	struct slx_label l = { 0 };
	if (v->type == SLX_TV_LIST) {
		*ret_key = slx_tv_int((int64_t)i);
		*ret = v->list.v[i];
	} else if (v->type == SLX_TV_ARGS) {
		*ret_key = slx_tv_string(v->args.v[i].key);
		*ret = v->args.v[i].value;
	} else {
		slx_labels_next(it, &l);
		*ret_key = slx_tv_string(l.name);
		*ret = slx_tv_string(l.value);
	}
}

static silex_status walk_range(struct slx_trun *r, struct slx_tv dot, const struct slx_tn *node)
{
	struct slx_tv v, key, value;
	struct slx_labels_iter it = { 0 };
	enum flow flow = FLOW_ON;
	SLX_TRY(eval_pipe(r, dot, node->pipe, &v));
	if (v.type != SLX_TV_LIST && v.type != SLX_TV_ARGS && v.type != SLX_TV_STRINGS && v.type != SLX_TV_NIL)
		return slx_trun_fail(r, "range can't iterate over a value of type %s", slx_tv_type_name(&v));
	size_t n = v.type == SLX_TV_NIL ? 0 : slx_tv_len(&v), vars = r->n_vars;
	if (n == 0)
		return walk(r, dot, node->other, &flow);
	if (v.type == SLX_TV_STRINGS)
		it = slx_labels_iter(v.labels);
	for (size_t i = 0; i < n && flow != FLOW_BREAK; i++) {
		const struct slx_tp *p = node->pipe;
		element(&v, i, &it, &key, &value);
		if (p->n_vars)
			*find(r, p->vars[p->n_vars - 1]) = value;
		if (p->n_vars == 2)
			*find(r, p->vars[0]) = key;
		SLX_TRY(walk(r, value, node->body, &flow));
		r->n_vars = vars;
	}
	return SILEX_OK;
}

static silex_status walk_template(struct slx_trun *r, struct slx_tv dot, const struct slx_tn *node)
{
	struct slx_tv value = { 0 };
	enum flow flow;
	const struct slx_tdef *d = r->t->defs;
	while (d && !slx_str_eq(d->name, node->text))
		d = d->next;
	if (!d)
		return slx_trun_fail(r, "template \"%.*s\" not defined", (int)node->text.n, node->text.p);
	if (node->pipe)
		SLX_TRY(eval_pipe(r, dot, node->pipe, &value));
	if (++r->depth > SLX_TEMPLATE_DEPTH_MAX)
		return slx_trun_fail(r, "exceeded maximum template depth (%d)", SLX_TEMPLATE_DEPTH_MAX);
	SLX_TRY(push(r, SLX_STR("$"), value));
	SLX_TRY(walk(r, value, d->body, &flow));
	r->depth--;
	return SILEX_OK;
}

static silex_status walk_one(struct slx_trun *r, struct slx_tv dot, const struct slx_tn *node, enum flow *ret)
{
	struct slx_tv v;
	switch (node->type) {
	case SLX_TN_TEXT:
		slx_buf_put(r->out, node->text.p, node->text.n);
		return SILEX_OK;
	case SLX_TN_ACTION:
		SLX_TRY(eval_pipe(r, dot, node->pipe, &v));
		if (!node->pipe->n_vars)
			slx_tv_print(&v, r->out);
		return SILEX_OK;
	case SLX_TN_IF:
	case SLX_TN_WITH:
		SLX_TRY(eval_pipe(r, dot, node->pipe, &v));
		if (slx_tv_truth(&v))
			return walk(r, node->type == SLX_TN_WITH ? v : dot, node->body, ret);
		return walk(r, dot, node->other, ret);
	case SLX_TN_RANGE:
		return walk_range(r, dot, node);
	case SLX_TN_TEMPLATE:
		return walk_template(r, dot, node);
	default:
		*ret = node->type == SLX_TN_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
		return SILEX_OK;
	}
}

/* A list; variables that a node brings with it go with it, those of actions stay to the end of the list. */
static silex_status walk(struct slx_trun *r, struct slx_tv dot, const struct slx_tn *node, enum flow *ret)
{
	size_t at_begin = r->n_vars;
	*ret = FLOW_ON;
	for (; node && *ret == FLOW_ON; node = node->next) {
		size_t vars = r->n_vars;
		if (++r->steps > SLX_TEMPLATE_STEPS_MAX || r->out->failed)
			return slx_err(r->err, SILEX_RESOURCE_EXHAUSTED, "error executing template %.*s: the text becomes too long", (int)r->t->name.n, r->t->name.p);
		SLX_TRY(walk_one(r, dot, node, ret));
		if (node->type != SLX_TN_ACTION)
			r->n_vars = vars;
	}
	r->n_vars = at_begin;
	return SILEX_OK;
}

silex_status slx_template_run(const struct slx_template *t, const struct slx_template_data *d, struct slx_buf *out, silex_error *err)
{
	struct slx_trun r = { .t = t, .data = d, .out = out, .err = err };
	const struct slx_tv dot = { .type = SLX_TV_DATA };
	enum flow flow;
	slx_arena_init(&r.arena, t->mem, SLX_MEM_QUERY, 64 << 10);
	silex_status status = push(&r, SLX_STR("$"), dot);
	if (status == SILEX_OK)
		status = push(&r, SLX_STR("$labels"), slx_tv_labels(d->labels));
	if (status == SILEX_OK)
		status = push(&r, SLX_STR("$externalLabels"), slx_tv_labels(d->external_labels));
	if (status == SILEX_OK)
		status = push(&r, SLX_STR("$externalURL"), slx_tv_string(d->external_url));
	if (status == SILEX_OK)
		status = push(&r, SLX_STR("$value"), slx_tv_float(d->value));
	if (status == SILEX_OK)
		status = walk(&r, dot, t->body, &flow);
	slx_arena_clear(&r.arena);
	return status;
}
