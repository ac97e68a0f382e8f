/* Between lexer.re, grammar.y, parser*.c and check.c: how an expression becomes a tree (private to promql/).
 *
 * parser.c pulls tokens from the lexer and pushes them into lemon's grammar, whose actions call the constructors of
 * parser_nodes.c. The first complaint, whoever has it, ends the parse: every constructor does nothing (and answers
 * NULL) once p->status is set, so the actions need no tests. When the text is well-formed check.c looks at types. */
#ifndef SLX_PROMQL_PARSER_INT_H
#define SLX_PROMQL_PARSER_INT_H

#include "promql/promql_int.h"

struct slx_pq_token {
	int type; /* PQ_... of grammar.h */
	uint32_t from, to;
};

struct slx_pq_lexer {
	const char *text; /* terminated by a 0 */
	const char *cursor, *end;
	uint32_t paren_depth;
	bool in_braces;    /* { is open */
	bool in_brackets;  /* [ is open */
	bool wants_number; /* in brackets, before the first number and after an operator: only durations are read */
	bool got_number, got_colon; /* since the [ */
	uint32_t error_from;
	char error[256]; /* of the PQ_ERROR token */
};

void slx_pq_lex(struct slx_pq_lexer *l, struct slx_pq_token *ret); /* after PQ_ERROR and PQ_EOF not again */

struct slx_pq_parser {
	struct slx_promql_expr *x;
	struct slx_pq_lexer lexer;
	struct slx_pq_token look; /* the token that the grammar looks at */
	struct slx_pq_node *result;
	silex_status status;
	silex_error *err;
};

/* The first call sets status and message ("1:5: parse error: ..."); the others do nothing. */
__attribute__((format(printf, 3, 4))) void slx_pq_fail(struct slx_pq_parser *p, uint32_t from, const char *fmt, ...);
void slx_pq_fail_oom(struct slx_pq_parser *p);
/* "unexpected identifier "x" in context, expected ..." about the token looked at; context, expected may be "". */
void slx_pq_unexpected(struct slx_pq_parser *p, const char *context, const char *expected);

static inline struct slx_str slx_pq_token_text(const struct slx_pq_parser *p, struct slx_pq_token t)
{
	return (struct slx_str){ p->x->text.p + t.from, t.to - t.from };
}

/* ---- lists under construction, in the arena ---- */

struct slx_pq_exprs {
	struct slx_pq_node **p;
	uint32_t n, cap;
	uint32_t to; /* after the closing parenthesis */
};

struct slx_pq_names {
	struct slx_str *p;
	uint32_t n, cap;
	uint32_t to;
	bool without; /* aggregations */
};

struct slx_pq_match {
	struct slx_str name, value;
	enum slx_match_op op;
	uint32_t from;
};

struct slx_pq_matches {
	struct slx_pq_match *p;
	uint32_t n, cap;
	uint32_t from, to; /* of the braces */
};

/* name is an IDENTIFIER or a STRING, value a STRING. */
struct slx_pq_match slx_pq_new_match(
	struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_token op, struct slx_pq_token value);
void slx_pq_exprs_add(struct slx_pq_parser *p, struct slx_pq_exprs *l, struct slx_pq_node *e);
void slx_pq_names_add(struct slx_pq_parser *p, struct slx_pq_names *l, struct slx_str name);
void slx_pq_matches_add(struct slx_pq_parser *p, struct slx_pq_matches *l, struct slx_pq_match m);

/* ---- literals (parser_text.c) ---- */

double slx_pq_number(struct slx_pq_parser *p, struct slx_pq_token t);             /* NUMBER */
double slx_pq_seconds(struct slx_pq_parser *p, struct slx_pq_token t);            /* DURATION */
struct slx_str slx_pq_unquote(struct slx_pq_parser *p, struct slx_pq_token t);    /* STRING */
struct slx_str slx_pq_label_name(struct slx_pq_parser *p, struct slx_pq_token t); /* of grouping: word or STRING */
/* Bytes of the code point at s (1 when the bytes are not UTF-8, and *ret is U+FFFD). */
size_t slx_pq_rune(const char *s, const char *end, uint32_t *ret);

/* ---- nodes (parser_nodes.c) ---- */

struct slx_pq_node *slx_pq_new_number(struct slx_pq_parser *p, struct slx_pq_token t);
struct slx_pq_node *slx_pq_new_string(struct slx_pq_parser *p, struct slx_pq_token t);
struct slx_pq_node *slx_pq_new_paren(
	struct slx_pq_parser *p, struct slx_pq_token open, struct slx_pq_node *e, struct slx_pq_token close);
struct slx_pq_node *slx_pq_new_unary(struct slx_pq_parser *p, struct slx_pq_token op, struct slx_pq_node *e);
struct slx_pq_node *slx_pq_new_binary(struct slx_pq_parser *p, struct slx_pq_node *lhs, struct slx_pq_token op,
	struct slx_pq_node *modifiers, struct slx_pq_node *rhs);
struct slx_pq_node *slx_pq_new_call(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_exprs args);
struct slx_pq_node *slx_pq_new_aggregate(
	struct slx_pq_parser *p, struct slx_pq_token op, const struct slx_pq_names *by, struct slx_pq_exprs args);
/* name: type 0 without. */
struct slx_pq_node *slx_pq_new_vector(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_matches matches);
struct slx_pq_node *slx_pq_new_matrix(struct slx_pq_parser *p, struct slx_pq_node *vector, struct slx_pq_token open,
	struct slx_pq_node *range, struct slx_pq_token close);
struct slx_pq_node *slx_pq_new_subquery(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_node *range,
	struct slx_pq_node *step, struct slx_pq_token close); /* step NULL: the default */

/* A BINARY without sides, for its modifiers; a matching is always there. */
struct slx_pq_node *slx_pq_new_modifiers(struct slx_pq_parser *p, bool bool_modifier);
void slx_pq_set_matching(struct slx_pq_parser *p, struct slx_pq_node *modifiers, bool on, struct slx_pq_names labels);
void slx_pq_set_group(
	struct slx_pq_parser *p, struct slx_pq_node *modifiers, enum slx_pq_card card, struct slx_pq_names include);
void slx_pq_set_fill(struct slx_pq_parser *p, struct slx_pq_node *modifiers, const double *left, const double *right);

void slx_pq_set_offset(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_node *offset);
void slx_pq_set_at_time(struct slx_pq_parser *p, struct slx_pq_node *e, double seconds, uint32_t to);
void slx_pq_set_at(struct slx_pq_parser *p, struct slx_pq_node *e, enum slx_pq_at at, uint32_t to);
void slx_pq_set_smoothing(struct slx_pq_parser *p, struct slx_pq_node *e, struct slx_pq_token word);

/* ---- duration expressions (parser_nodes.c) ---- */

struct slx_pq_node *slx_pq_new_dur_unary(struct slx_pq_parser *p, struct slx_pq_token op, struct slx_pq_node *e);
struct slx_pq_node *slx_pq_new_dur_binary(
	struct slx_pq_parser *p, struct slx_pq_node *lhs, struct slx_pq_token op, struct slx_pq_node *rhs);
struct slx_pq_node *slx_pq_new_dur_paren(
	struct slx_pq_parser *p, struct slx_pq_token open, struct slx_pq_node *e, struct slx_pq_token close);
struct slx_pq_node *slx_pq_new_dur_call(struct slx_pq_parser *p, struct slx_pq_token name, struct slx_pq_node *a,
	struct slx_pq_node *b, struct slx_pq_token close);                                  /* a, b NULL: step(), range() */
struct slx_pq_node *slx_pq_dur_checked(struct slx_pq_parser *p, struct slx_pq_node *e); /* "duration out of range" */
struct slx_pq_node *slx_pq_dur_positive(
	struct slx_pq_parser *p, struct slx_pq_node *e); /* "duration must be greater than 0" */

/* ---- types (check.c) ---- */

void slx_pq_check(struct slx_pq_parser *p, struct slx_pq_node *root);

/* ---- how Go prints, for messages and print.c (print_text.c) ---- */

void slx_pq_put(struct slx_buf *out, const char *z);
void slx_pq_quote(struct slx_buf *out, struct slx_str s);  /* %q */
void slx_pq_put_number(struct slx_buf *out, double v);     /* shortest, without exponent */
void slx_pq_put_duration(struct slx_buf *out, int64_t ms); /* 1h30m; ms >= 0 */
size_t slx_pq_quote_rune_z(uint32_t c, char ret[16]);      /* %q of a rune: 'x', '\u00a0' */
void slx_pq_show_rune(uint32_t c, char *ret, size_t size); /* %#U: U+0071 'q' */

/* ---- grammar.y ---- */

size_t slx_pq_grammar_size(void);
void slx_pq_grammarInit(void *g);
void slx_pq_grammarFinalize(void *g);
void slx_pq_grammar_settle(void *g); /* does the reductions that need no further token */
void slx_pq_grammar(void *g, int type, struct slx_pq_token t, struct slx_pq_parser *p);

#endif
