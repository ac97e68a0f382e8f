/* Text to tree, by recursive descent.
 *
 *     list     { text | {{ action }} }
 *     action   [$x [, $y] :=|=] pipeline  |  if|with|range pipeline list [else ... list] end  |  template "name" [pipeline]
 *              |  define "name" list end  |  block "name" pipeline list end  |  break | continue
 *     pipeline command { "|" command }
 *     command  operand { blank operand }
 *     operand  (. | .Field | $x | name | literal | "(" pipeline ")") { .Field }
 *
 * As in Go, variables and functions are known when the template is parsed, and blanks separate arguments. */
#include "rules/template/template_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { VARS_MAX = 100, NESTED_MAX = 60 };

enum token_type {
	T_END, /* of the action: }} */
	T_BLANK,
	T_NAME,
	T_FIELD,
	T_VARIABLE,
	T_DOT,
	T_NUMBER,
	T_STRING,
	T_OPEN,
	T_CLOSE,
	T_PIPE,
	T_DECLARE,
	T_ASSIGN,
	T_COMMA,
};

struct token {
	enum token_type type;
	size_t at, n; /* in the text */
};

struct parser {
	struct slx_template *t;
	struct slx_arena *a;
	struct slx_str text;
	size_t at;
	struct token token;   /* the one looked at */
	bool trim_next;       /* the last action ended with -}} */
	struct slx_str vars[VARS_MAX];
	size_t n_vars;
	unsigned nested, ranges;
	silex_error *err;
};

/* What ended a list. */
enum ending { ENDED_TEXT, ENDED_END, ENDED_ELSE };

__attribute__((format(printf, 3, 4))) static silex_status fail(struct parser *p, size_t at, const char *fmt, ...)
{
	char words[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return slx_err(p->err, SILEX_INVALID, "template: %.*s:%u: %s", (int)p->t->name.n, p->t->name.p, slx_template_line(p->text, at, NULL), words);
}

static void *make(struct parser *p, size_t n)
{
	void *x = slx_arena_alloc(p->a, n, 8);
	return x ? memset(x, 0, n) : NULL;
}

#define MAKE(p, type) ((type *)make(p, sizeof(type)))

/* ---- tokens of an action ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_letter(char c) { return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (c & 0x80); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char peek(const struct parser *p, size_t ahead) { return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : 0; }
static bool looking_at(const struct parser *p, const char *z)
{
	size_t n = strlen(z);
	return p->text.n - p->at >= n && memcmp(p->text.p + p->at, z, n) == 0;
}

static struct slx_str token_text(const struct parser *p) { return (struct slx_str){ p->text.p + p->token.at, p->token.n }; }
static bool is_word(const struct parser *p, const char *z) { return p->token.type == T_NAME && slx_str_eq(token_text(p), slx_str(z)); }

static size_t word_size(const struct parser *p, size_t from)
{
	size_t n = from;
	while (is_letter(peek(p, n)) || is_digit(peek(p, n)))
		n++;
	return n;
}

/* A string, a raw one, or a character. */
static silex_status quoted(struct parser *p)
{
	char quote = peek(p, 0);
	size_t n = 1;
	for (;; n++) {
		char c = peek(p, n);
		if (p->at + n >= p->text.n || (c == '\n' && quote != '`'))
			return fail(p, p->at, "unterminated %s", quote == '\'' ? "character constant" : quote == '`' ? "raw quoted string" : "quoted string");
		if (c == '\\' && quote != '`')
			n++;
		else if (c == quote)
			break;
	}
	p->token = (struct token){ T_STRING, p->at, n + 1 };
	return SILEX_OK;
}

static silex_status number(struct parser *p)
{
	size_t n = peek(p, 0) == '+' || peek(p, 0) == '-';
	for (;; n++) {
		char c = peek(p, n);
		bool sign = (c == '+' || c == '-') && (peek(p, n - 1) | 0x20) == 'e';
		if (!is_digit(c) && !is_letter(c) && c != '.' && !sign)
			break;
	}
	p->token = (struct token){ T_NUMBER, p->at, n };
	return SILEX_OK;
}

static silex_status mark(struct parser *p, enum token_type type, size_t n)
{
	p->token = (struct token){ type, p->at, n };
	return SILEX_OK;
}

static silex_status scan(struct parser *p)
{
	char c = peek(p, 0);
	size_t blanks = 0;
	while (is_blank(peek(p, blanks)))
		blanks++;
	if (blanks && peek(p, blanks) == '-' && peek(p, blanks + 1) == '}' && peek(p, blanks + 2) == '}') {
		p->trim_next = true;
		return mark(p, T_END, blanks + 3);
	}
	if (blanks)
		return mark(p, T_BLANK, blanks);
	if (looking_at(p, "}}"))
		return mark(p, T_END, 2);
	if (p->at >= p->text.n)
		return fail(p, p->at, "unclosed action");
	if (c == '"' || c == '`' || c == '\'')
		return quoted(p);
	if (c == '.' && !is_digit(peek(p, 1)))
		return mark(p, is_letter(peek(p, 1)) ? T_FIELD : T_DOT, word_size(p, 1));
	if (c == '$')
		return mark(p, T_VARIABLE, word_size(p, 1));
	if (is_letter(c))
		return mark(p, T_NAME, word_size(p, 0));
	if (is_digit(c) || c == '.' || ((c == '+' || c == '-') && (is_digit(peek(p, 1)) || peek(p, 1) == '.')))
		return number(p);
	if (looking_at(p, ":="))
		return mark(p, T_DECLARE, 2);
	static const char signs[] = "()|=,";
	static const enum token_type types[] = { T_OPEN, T_CLOSE, T_PIPE, T_ASSIGN, T_COMMA };
	const char *s = c ? strchr(signs, c) : NULL;
	if (!s)
		return fail(p, p->at, "unexpected character %c in an action", c);
	return mark(p, types[s - signs], 1);
}

/* Goes on to the next token. */
static silex_status next(struct parser *p)
{
	p->at = p->token.at + p->token.n;
	return scan(p);
}

static silex_status skip_blank(struct parser *p) { return p->token.type == T_BLANK ? next(p) : SILEX_OK; }

static silex_status unexpected(struct parser *p, const char *where)
{
	if (p->token.type == T_END)
		return fail(p, p->token.at, "missing value for %s", where);
	return fail(p, p->token.at, "unexpected \"%.*s\" in %s", (int)p->token.n, p->text.p + p->token.at, where);
}

/* ---- literals ---- */

size_t slx_template_put_utf8(uint32_t c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
	return n;
}

/* An escape after its backslash: bytes into to, and how many of the text it took; 0: none that is known. */
static size_t escape(const char *s, size_t n, char *to, size_t *ret_n)
{
	static const char names[] = "abfnrtv\\\"'", bytes[] = "\a\b\f\n\r\t\v\\\"'";
	const char *simple = n && s[0] ? strchr(names, s[0]) : NULL;
	*ret_n = 1;
	if (simple) {
		to[0] = bytes[simple - names];
		return 1;
	}
	size_t digits = n == 0 ? 0 : s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : s[0] == 'U' ? 8 : s[0] >= '0' && s[0] <= '7' ? 3 : 0;
	bool octal = digits == 3;
	char text[12];
	if (digits == 0 || n < digits + !octal)
		return 0;
	snprintf(text, sizeof text, "%.*s", (int)digits, s + !octal);
	char *end;
	unsigned long v = strtoul(text, &end, octal ? 8 : 16);
	if (*end || v > (octal || digits == 2 ? 255 : 0x10ffff))
		return 0;
	if (octal || digits == 2)
		to[0] = (char)v;
	else
		*ret_n = slx_template_put_utf8((uint32_t)v, to);
	return digits + !octal;
}

static silex_status unquote(struct parser *p, struct slx_str *ret)
{
	struct slx_str s = { p->text.p + p->token.at + 1, p->token.n - 2 };
	char *to = slx_arena_alloc(p->a, s.n + 1, 1);
	size_t n = 0;
	if (!to)
		return slx_err_oom(p->err);
	for (size_t i = 0; i < s.n; i++) {
		size_t put = 1, took;
		to[n] = s.p[i];
		if (s.p[i] == '\\' && s.p[-1] != '`') {
			took = escape(s.p + i + 1, s.n - i - 1, to + n, &put);
			if (took == 0)
				return fail(p, p->token.at + i, "invalid syntax: an escape in %.*s that is not known", (int)p->token.n, p->text.p + p->token.at);
			i += took;
		}
		n += put;
	}
	*ret = (struct slx_str){ to, n };
	return SILEX_OK;
}

/* A character constant is a number. */
static silex_status character(struct parser *p, struct slx_str s, struct slx_tv *ret)
{
	uint8_t c = s.n ? (uint8_t)s.p[0] : 0;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (s.n != n || !slx_utf8_valid(s.p, s.n))
		return fail(p, p->token.at, "malformed character constant: %.*s", (int)p->token.n, p->text.p + p->token.at);
	uint32_t v = n == 1 ? c : c & (0x7f >> n);
	for (size_t i = 1; i < n; i++)
		v = v << 6 | ((uint8_t)s.p[i] & 0x3f);
	*ret = slx_tv_int(v);
	return SILEX_OK;
}

static silex_status read_number(struct parser *p, struct slx_tv *ret)
{
	char text[64], *end, *to = text;
	struct slx_str s = token_text(p);
	if (s.n >= sizeof text)
		return fail(p, p->token.at, "bad number syntax: \"%.*s\"", (int)s.n, s.p);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '_')
			*to++ = s.p[i];
	*to = 0;
	const char *digits = text + (text[0] == '+' || text[0] == '-');
	bool octal = digits[0] == '0' && (digits[1] | 0x20) == 'o', binary = digits[0] == '0' && (digits[1] | 0x20) == 'b';
	errno = 0;
	long long i = octal || binary ? strtoll(digits + 2, &end, octal ? 8 : 2) * (text[0] == '-' ? -1 : 1) : strtoll(text, &end, 0);
	if (*end == 0 && !errno) {
		*ret = slx_tv_int(i);
		return SILEX_OK;
	}
	double v = strtod(text, &end);
	if (*end || end == text || is_letter(digits[0]))
		return fail(p, p->token.at, "bad number syntax: \"%.*s\"", (int)s.n, s.p);
	*ret = slx_tv_float(v);
	return SILEX_OK;
}

static silex_status literal(struct parser *p, struct slx_tv *ret)
{
	struct slx_str s;
	if (p->token.type == T_NUMBER)
		return read_number(p, ret);
	SLX_TRY(unquote(p, &s));
	if (p->text.p[p->token.at] == '\'')
		return character(p, s, ret);
	*ret = slx_tv_string(s);
	return SILEX_OK;
}

/* ---- operands and pipelines ---- */

static silex_status pipeline(struct parser *p, const char *where, enum token_type until, struct slx_tp **ret);

static silex_status add_field(struct parser *p, struct slx_ta *a)
{
	if (a->n_fields == a->fields_cap) {
		size_t cap = a->fields_cap ? a->fields_cap * 2 : 4;
		struct slx_str *fields = slx_arena_alloc(p->a, cap * sizeof *fields, 8);
		if (!fields)
			return slx_err_oom(p->err);
		if (a->n_fields)
			memcpy(fields, a->fields, a->n_fields * sizeof *fields);
		a->fields = fields;
		a->fields_cap = cap;
	}
	a->fields[a->n_fields++] = (struct slx_str){ p->text.p + p->token.at + 1, p->token.n - 1 };
	return SILEX_OK;
}

static silex_status variable(struct parser *p, struct slx_ta *a)
{
	a->type = SLX_TA_VARIABLE;
	a->name = token_text(p);
	for (size_t i = p->n_vars; i-- > 0;)
		if (slx_str_eq(p->vars[i], a->name))
			return SILEX_OK;
	return fail(p, p->token.at, "undefined variable \"%.*s\"", (int)a->name.n, a->name.p);
}

static silex_status name(struct parser *p, struct slx_ta *a)
{
	a->type = SLX_TA_LITERAL;
	if (is_word(p, "true") || is_word(p, "false")) {
		a->literal = slx_tv_bool(is_word(p, "true"));
		return SILEX_OK;
	}
	if (is_word(p, "nil"))
		return SILEX_OK;
	a->type = SLX_TA_FUNCTION;
	a->fn = slx_tf_find(token_text(p));
	if (!a->fn)
		return fail(p, p->token.at, "function \"%.*s\" not defined", (int)p->token.n, p->text.p + p->token.at);
	return SILEX_OK;
}

/* *ret NULL: no operand begins here. */
static silex_status operand(struct parser *p, struct slx_ta **ret)
{
	struct slx_ta *a = MAKE(p, struct slx_ta);
	silex_status status = SILEX_OK;
	if (!a)
		return slx_err_oom(p->err);
	a->at = p->token.at;
	switch (p->token.type) {
	case T_DOT:
		break;
	case T_FIELD:
		status = add_field(p, a);
		break;
	case T_VARIABLE:
		status = variable(p, a);
		break;
	case T_NAME:
		status = name(p, a);
		break;
	case T_NUMBER:
	case T_STRING:
		a->type = SLX_TA_LITERAL;
		status = literal(p, &a->literal);
		break;
	case T_OPEN:
		a->type = SLX_TA_PIPE;
		SLX_TRY(next(p));
		status = pipeline(p, "parenthesized pipeline", T_CLOSE, &a->pipe);
		break;
	default:
		*ret = NULL;
		return SILEX_OK;
	}
	SLX_TRY(status);
	SLX_TRY(next(p));
	while (p->token.type == T_FIELD) {
		if (a->type == SLX_TA_LITERAL)
			return fail(p, p->token.at, "unexpected . after term");
		SLX_TRY(add_field(p, a));
		SLX_TRY(next(p));
	}
	*ret = a;
	return SILEX_OK;
}

static silex_status command(struct parser *p, const char *where, struct slx_tc **ret)
{
	struct slx_tc *c = MAKE(p, struct slx_tc);
	if (!c)
		return slx_err_oom(p->err);
	struct slx_ta **at = &c->args;
	SLX_TRY(skip_blank(p));
	c->at = p->token.at;
	for (;;) {
		SLX_TRY(operand(p, at));
		if (!*at)
			break;
		at = &(*at)->next;
		c->n++;
		c->end = p->token.at;
		if (p->token.type != T_BLANK)
			break;
		SLX_TRY(next(p));
	}
	*ret = c;
	return c->n ? SILEX_OK : unexpected(p, where);
}

/* $x := | $x, $y := | $x = in front of a pipeline; none: nothing is taken. */
static silex_status declarations(struct parser *p, const char *where, struct slx_tp *pipe)
{
	struct token first = p->token;
	bool range = strcmp(where, "range") == 0;
	while (p->token.type == T_VARIABLE && pipe->n_vars < 2) {
		pipe->vars[pipe->n_vars++] = token_text(p);
		SLX_TRY(next(p));
		SLX_TRY(skip_blank(p));
		if (p->token.type == T_DECLARE || p->token.type == T_ASSIGN) {
			pipe->assign = p->token.type == T_ASSIGN;
			return next(p);
		}
		if (p->token.type != T_COMMA || !range)
			break;
		SLX_TRY(next(p));
		SLX_TRY(skip_blank(p));
	}
	pipe->n_vars = 0;
	p->at = first.at;
	return scan(p);
}

static silex_status declare(struct parser *p, struct slx_tp *pipe)
{
	for (unsigned i = 0; i < pipe->n_vars; i++) {
		const struct slx_ta known = { 0 };
		struct slx_ta a = known;
		if (p->n_vars == VARS_MAX)
			return fail(p, p->token.at, "more than %d variables", VARS_MAX);
		if (pipe->assign) {
			struct token now = p->token;
			p->token = (struct token){ T_VARIABLE, (size_t)(pipe->vars[i].p - p->text.p), pipe->vars[i].n };
			SLX_TRY(variable(p, &a));
			p->token = now;
		} else {
			p->vars[p->n_vars++] = pipe->vars[i];
		}
	}
	return SILEX_OK;
}

/* Only a function may take what the pipe brings. */
static silex_status check_stages(struct parser *p, const struct slx_tp *pipe)
{
	unsigned stage = 1;
	for (const struct slx_tc *c = pipe->cmds; c; c = c->next, stage++) {
		bool function = c->args->type == SLX_TA_FUNCTION;
		if (stage > 1 && (c->args->type == SLX_TA_LITERAL || c->args->type == SLX_TA_DOT) && c->args->n_fields == 0)
			return fail(p, c->at, "non executable command in pipeline stage %u", stage);
		size_t n = c->n - 1 + (stage > 1);
		if (function && c->args->n_fields == 0 && (n < c->args->fn->args_min || n > c->args->fn->args_max))
			return fail(p, c->at, "wrong number of args for %s: want %s%u got %zu", c->args->fn->name,
				n < c->args->fn->args_min && c->args->fn->args_max > c->args->fn->args_min ? "at least " : "",
				n < c->args->fn->args_min ? c->args->fn->args_min : c->args->fn->args_max, n);
	}
	return SILEX_OK;
}

/* Up to and with the token `until`. */
static silex_status pipeline(struct parser *p, const char *where, enum token_type until, struct slx_tp **ret)
{
	struct slx_tp *pipe = MAKE(p, struct slx_tp);
	if (!pipe)
		return slx_err_oom(p->err);
	if (++p->nested > NESTED_MAX)
		return fail(p, p->token.at, "nested deeper than %d", NESTED_MAX);
	SLX_TRY(skip_blank(p));
	SLX_TRY(declarations(p, where, pipe));
	struct slx_tc **at = &pipe->cmds;
	for (;;) {
		SLX_TRY(command(p, where, at));
		at = &(*at)->next;
		SLX_TRY(skip_blank(p));
		if (p->token.type != T_PIPE)
			break;
		SLX_TRY(next(p));
	}
	if (p->token.type != until)
		return unexpected(p, where);
	SLX_TRY(check_stages(p, pipe));
	p->nested--;
	*ret = pipe;
	return declare(p, pipe);
}

/* ---- actions ---- */

static silex_status list(struct parser *p, struct slx_tn **ret, enum ending *ret_ending);

/* The rest of an action that must end here. */
static silex_status finish(struct parser *p, const char *where)
{
	SLX_TRY(skip_blank(p));
	return p->token.type == T_END ? SILEX_OK : unexpected(p, where);
}

static void leave(struct parser *p) { p->at = p->token.at + p->token.n; }

/* if, with, range: at the token after the word. */
static silex_status branch(struct parser *p, struct slx_tn *node, const char *where)
{
	size_t vars = p->n_vars;
	enum ending ending;
	SLX_TRY(pipeline(p, where, T_END, &node->pipe));
	leave(p);
	p->ranges += node->type == SLX_TN_RANGE;
	SLX_TRY(list(p, &node->body, &ending));
	p->ranges -= node->type == SLX_TN_RANGE;
	if (ending == ENDED_ELSE) {
		SLX_TRY(skip_blank(p));
		bool again = is_word(p, "if") || is_word(p, "with");
		if (again) { /* {{else if x}} is {{else}}{{if x}} with one {{end}} */
			struct slx_tn *inner = MAKE(p, struct slx_tn);
			if (!inner)
				return slx_err_oom(p->err);
			inner->type = is_word(p, "if") ? SLX_TN_IF : SLX_TN_WITH;
			inner->at = p->token.at;
			if (++p->nested > NESTED_MAX)
				return fail(p, p->token.at, "nested deeper than %d", NESTED_MAX);
			SLX_TRY(next(p));
			SLX_TRY(branch(p, inner, inner->type == SLX_TN_IF ? "if" : "with"));
			p->nested--;
			node->other = inner;
			ending = ENDED_END;
		} else {
			SLX_TRY(finish(p, "else"));
			leave(p);
			SLX_TRY(list(p, &node->other, &ending));
			if (ending == ENDED_ELSE)
				return fail(p, p->token.at, "expected end; found {{else}}");
		}
	}
	if (ending == ENDED_TEXT)
		return fail(p, p->text.n, "unexpected EOF: {{%s}} without {{end}}", where);
	p->n_vars = vars;
	return SILEX_OK;
}

static silex_status quoted_name(struct parser *p, const char *where, struct slx_str *ret)
{
	SLX_TRY(skip_blank(p));
	if (p->token.type != T_STRING || p->text.p[p->token.at] == '\'')
		return unexpected(p, where);
	SLX_TRY(unquote(p, ret));
	SLX_TRY(next(p));
	return skip_blank(p);
}

/* The body of define and block, whose variables are their own. */
static silex_status definition(struct parser *p, struct slx_str called, const char *where)
{
	struct slx_tdef *d = MAKE(p, struct slx_tdef);
	enum ending ending;
	size_t vars = p->n_vars;
	struct slx_str kept[VARS_MAX];
	if (!d)
		return slx_err_oom(p->err);
	memcpy(kept, p->vars, sizeof kept);
	p->vars[0] = SLX_STR("$");
	p->n_vars = 1;
	d->name = called;
	SLX_TRY(list(p, &d->body, &ending));
	if (ending != ENDED_END)
		return fail(p, p->text.n, "unexpected EOF: {{%s}} without {{end}}", where);
	memcpy(p->vars, kept, sizeof kept);
	p->n_vars = vars;
	d->next = p->t->defs;
	p->t->defs = d;
	return SILEX_OK;
}

static silex_status define(struct parser *p)
{
	struct slx_str called;
	SLX_TRY(quoted_name(p, "define clause", &called));
	SLX_TRY(finish(p, "define clause"));
	leave(p);
	return definition(p, called, "define");
}

static silex_status call_template(struct parser *p, struct slx_tn *node, bool block)
{
	const char *where = block ? "block clause" : "template clause";
	node->type = SLX_TN_TEMPLATE;
	SLX_TRY(quoted_name(p, where, &node->text));
	if (p->token.type != T_END || block)
		SLX_TRY(pipeline(p, where, T_END, &node->pipe));
	leave(p);
	return block ? definition(p, node->text, "block") : SILEX_OK;
}

static silex_status jump(struct parser *p, struct slx_tn *node, enum slx_tn_type type, const char *word)
{
	node->type = type;
	if (!p->ranges)
		return fail(p, p->token.at, "{{%s}} outside {{range}}", word);
	SLX_TRY(next(p));
	SLX_TRY(finish(p, word));
	leave(p);
	return SILEX_OK;
}

/* An action that is neither end nor else. *keep false: it leaves nothing in the tree. */
static silex_status action(struct parser *p, struct slx_tn *node, bool *keep)
{
	static const struct {
		const char *word;
		enum slx_tn_type type;
	} branches[] = { { "if", SLX_TN_IF }, { "with", SLX_TN_WITH }, { "range", SLX_TN_RANGE } };
	*keep = true;
	for (size_t i = 0; i < sizeof branches / sizeof *branches; i++)
		if (is_word(p, branches[i].word)) {
			node->type = branches[i].type;
			SLX_TRY(next(p));
			return branch(p, node, branches[i].word);
		}
	if (is_word(p, "break") || is_word(p, "continue"))
		return is_word(p, "break") ? jump(p, node, SLX_TN_BREAK, "break") : jump(p, node, SLX_TN_CONTINUE, "continue");
	if (is_word(p, "define")) {
		*keep = false;
		if (p->nested > 1)
			return fail(p, p->token.at, "unexpected {{define}}: only at the top level");
		SLX_TRY(next(p));
		return define(p);
	}
	if (is_word(p, "template") || is_word(p, "block")) {
		bool block = is_word(p, "block");
		SLX_TRY(next(p));
		return call_template(p, node, block);
	}
	node->type = SLX_TN_ACTION;
	SLX_TRY(pipeline(p, "command", T_END, &node->pipe));
	leave(p);
	return SILEX_OK;
}

/* {{/ * ... * /}}: what is left of it. */
static silex_status comment(struct parser *p)
{
	size_t from = p->at;
	while (p->at < p->text.n && !looking_at(p, "*/"))
		p->at++;
	if (p->at >= p->text.n)
		return fail(p, from, "unclosed comment");
	p->at += 2;
	SLX_TRY(scan(p));
	if (p->token.type != T_END)
		return fail(p, from, "comment ends before closing delimiter");
	leave(p);
	return SILEX_OK;
}

/* The text up to the next action, with trim marks heeded. */
static silex_status text(struct parser *p, struct slx_tn ***at)
{
	size_t from = p->at, to;
	while (p->at < p->text.n && !looking_at(p, "{{"))
		p->at++;
	to = p->at;
	bool trim = looking_at(p, "{{-") && is_blank(peek(p, 3));
	while (p->trim_next && from < to && is_blank(p->text.p[from]))
		from++;
	while (trim && to > from && is_blank(p->text.p[to - 1]))
		to--;
	p->trim_next = false;
	if (p->at < p->text.n)
		p->at += trim ? 3 : 2;
	if (to == from)
		return SILEX_OK;
	struct slx_tn *node = MAKE(p, struct slx_tn);
	if (!node)
		return slx_err_oom(p->err);
	node->type = SLX_TN_TEXT;
	node->text = (struct slx_str){ p->text.p + from, to - from };
	**at = node;
	*at = &node->next;
	return SILEX_OK;
}

static silex_status begin_action(struct parser *p)
{
	SLX_TRY(scan(p));
	return skip_blank(p);
}

static silex_status list_inner(struct parser *p, struct slx_tn **at, enum ending *ret_ending)
{
	for (;;) {
		SLX_TRY(text(p, &at));
		*ret_ending = ENDED_TEXT;
		if (p->at >= p->text.n && (p->text.n < 2 || memcmp(p->text.p + p->text.n - 2, "{{", 2) != 0))
			return SILEX_OK;
		if (looking_at(p, "/*")) {
			SLX_TRY(comment(p));
			continue;
		}
		size_t blanks = 0;
		while (is_blank(peek(p, blanks)))
			blanks++;
		if (blanks && peek(p, blanks) == '/' && peek(p, blanks + 1) == '*') {
			p->at += blanks;
			SLX_TRY(comment(p));
			continue;
		}
		SLX_TRY(begin_action(p));
		if (is_word(p, "end")) {
			*ret_ending = ENDED_END;
			SLX_TRY(next(p));
			SLX_TRY(finish(p, "end"));
			leave(p);
			return SILEX_OK;
		}
		if (is_word(p, "else")) {
			*ret_ending = ENDED_ELSE;
			return next(p);
		}
		struct slx_tn *node = MAKE(p, struct slx_tn);
		bool keep;
		if (!node)
			return slx_err_oom(p->err);
		node->at = p->token.at;
		SLX_TRY(action(p, node, &keep));
		if (keep) {
			*at = node;
			at = &node->next;
		}
	}
}

static silex_status list(struct parser *p, struct slx_tn **ret, enum ending *ret_ending)
{
	if (++p->nested > NESTED_MAX)
		return fail(p, p->at, "nested deeper than %d", NESTED_MAX);
	SLX_TRY(list_inner(p, ret, ret_ending));
	p->nested--;
	return SILEX_OK;
}

/* ---- as a whole ---- */

static silex_status parse(struct slx_template *t, silex_error *err)
{
	struct parser p = { .t = t, .a = &t->arena, .text = t->text, .err = err,
		.vars = { SLX_STR("$"), SLX_STR("$labels"), SLX_STR("$externalLabels"), SLX_STR("$externalURL"), SLX_STR("$value") }, .n_vars = 5 };
	enum ending ending;
	SLX_TRY(list(&p, &t->body, &ending));
	if (ending != ENDED_TEXT)
		return fail(&p, p.token.at, "unexpected {{%s}}", ending == ENDED_END ? "end" : "else");
	return SILEX_OK;
}

static struct slx_str copy(struct slx_arena *a, struct slx_str s)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (p && s.n)
		memcpy(p, s.p, s.n);
	return (struct slx_str){ p, s.n };
}

silex_status slx_template_parse(struct slx_mem *m, struct slx_str called, struct slx_str words, struct slx_template **ret, silex_error *err)
{
	if (words.n > SLX_TEMPLATE_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "template: %.*s:1: longer than %d bytes", (int)called.n, called.p, SLX_TEMPLATE_SIZE_MAX);
	struct slx_template *t = slx_calloc(m, SLX_MEM_OTHER, sizeof *t);
	if (!t)
		return slx_err_oom(err);
	t->mem = m;
	slx_arena_init(&t->arena, m, SLX_MEM_OTHER, 16 << 10);
	t->name = copy(&t->arena, called);
	t->text = copy(&t->arena, words);
	silex_status status = t->name.p && t->text.p ? parse(t, err) : slx_err_oom(err);
	if (status != SILEX_OK) {
		slx_template_free(t);
		return status;
	}
	*ret = t;
	return SILEX_OK;
}

void slx_template_free(struct slx_template *t)
{
	if (!t)
		return;
	slx_arena_clear(&t->arena);
	slx_free(t->mem, SLX_MEM_OTHER, t, sizeof *t);
}
