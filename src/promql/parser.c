/* Text in, tree out: the driver of lexer and grammar, and the messages. */
#include "promql/parser_int.h"
#include "promql/grammar.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- messages ---- */

static void put_position(const struct slx_str text, uint32_t at, char *ret, size_t size)
{
	if (text.n == 0) {
		snprintf(ret, size, "unknown position");
		return;
	}
	unsigned line = 1;
	size_t start = 0;
	for (size_t i = 0; i < at && i < text.n; i++)
		if (text.p[i] == '\n') {
			line++;
			start = i + 1;
		}
	snprintf(ret, size, "%u:%zu", line, at - start + 1);
}

void slx_pq_fail(struct slx_pq_parser *p, uint32_t from, const char *fmt, ...)
{
	if (p->status != SILEX_OK)
		return;
	char position[40], words[400];
	put_position(p->x->text, from, position, sizeof position);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	p->status = slx_err(p->err, SILEX_INVALID, "%s: parse error: %s", position, words);
}

void slx_pq_fail_oom(struct slx_pq_parser *p)
{
	if (p->status == SILEX_OK)
		p->status = slx_err_oom(p->err);
}

/* How a token is called in messages; the others are quoted: `"("`. */
enum wording { QUOTED, NAME, METRIC, STRING, NUMBER, DURATION, OPERATOR, AGGREGATOR, KEYWORD };

static enum wording wording(int type)
{
	static const uint8_t wordings[] = { [PQ_IDENTIFIER] = NAME,
		[PQ_METRIC_IDENTIFIER] = METRIC,
		[PQ_STRING] = STRING,
		[PQ_NUMBER] = NUMBER,
		[PQ_DURATION] = DURATION,
		[PQ_ADD] = OPERATOR,
		[PQ_SUB] = OPERATOR,
		[PQ_MUL] = OPERATOR,
		[PQ_DIV] = OPERATOR,
		[PQ_MOD] = OPERATOR,
		[PQ_POW] = OPERATOR,
		[PQ_ATAN2] = OPERATOR,
		[PQ_EQLC] = OPERATOR,
		[PQ_NEQ] = OPERATOR,
		[PQ_LSS] = OPERATOR,
		[PQ_LTE] = OPERATOR,
		[PQ_GTR] = OPERATOR,
		[PQ_GTE] = OPERATOR,
		[PQ_TRIM_UPPER] = OPERATOR,
		[PQ_TRIM_LOWER] = OPERATOR,
		[PQ_EQL_REGEX] = OPERATOR,
		[PQ_NEQ_REGEX] = OPERATOR,
		[PQ_AT] = OPERATOR,
		[PQ_LAND] = OPERATOR,
		[PQ_LOR] = OPERATOR,
		[PQ_LUNLESS] = OPERATOR,
		[PQ_SUM] = AGGREGATOR,
		[PQ_AVG] = AGGREGATOR,
		[PQ_COUNT] = AGGREGATOR,
		[PQ_MIN] = AGGREGATOR,
		[PQ_MAX] = AGGREGATOR,
		[PQ_GROUP] = AGGREGATOR,
		[PQ_STDDEV] = AGGREGATOR,
		[PQ_STDVAR] = AGGREGATOR,
		[PQ_TOPK] = AGGREGATOR,
		[PQ_BOTTOMK] = AGGREGATOR,
		[PQ_COUNT_VALUES] = AGGREGATOR,
		[PQ_QUANTILE] = AGGREGATOR,
		[PQ_LIMITK] = AGGREGATOR,
		[PQ_LIMIT_RATIO] = AGGREGATOR,
		[PQ_BOOL] = KEYWORD,
		[PQ_BY] = KEYWORD,
		[PQ_WITHOUT] = KEYWORD,
		[PQ_ON] = KEYWORD,
		[PQ_IGNORING] = KEYWORD,
		[PQ_GROUP_LEFT] = KEYWORD,
		[PQ_GROUP_RIGHT] = KEYWORD,
		[PQ_OFFSET] = KEYWORD,
		[PQ_ANCHORED] = KEYWORD,
		[PQ_SMOOTHED] = KEYWORD,
		[PQ_FILL] = KEYWORD,
		[PQ_FILL_LEFT] = KEYWORD,
		[PQ_FILL_RIGHT] = KEYWORD };
	return (size_t)type < sizeof wordings ? (enum wording)wordings[type] : QUOTED;
}

/* At most 10 characters of the text. */
static void put_quoted(struct slx_buf *out, struct slx_str text)
{
	struct slx_str head = text;
	size_t characters = 0;
	head.n = 0;
	while (head.n < text.n && characters++ < (text.n > 10 ? 10 : SIZE_MAX)) {
		uint32_t c;
		head.n += slx_pq_rune(text.p + head.n, text.p + text.n, &c);
	}
	slx_pq_quote(out, head);
	if (text.n > 10)
		slx_pq_put(out, "...");
}

static void put_token(struct slx_buf *out, struct slx_pq_token t, struct slx_str text)
{
	static const struct {
		const char *before, *after; /* NULL: quoted */
	} words[] = { [QUOTED] = { "", NULL },
		[NAME] = { "identifier \"", "\"" },
		[METRIC] = { "metric identifier \"", "\"" },
		[STRING] = { "string ", NULL },
		[NUMBER] = { "number ", NULL },
		[DURATION] = { "duration ", NULL },
		[OPERATOR] = { "<op:", ">" },
		[AGGREGATOR] = { "<aggr:", ">" },
		[KEYWORD] = { "<", ">" } };
	if (t.type == PQ_EOF) {
		slx_pq_put(out, "end of input");
		return;
	}
	enum wording w = wording(t.type);
	slx_pq_put(out, words[w].before);
	if (!words[w].after) {
		put_quoted(out, text);
		return;
	}
	slx_buf_put(out, text.p, text.n < 200 ? text.n : 200);
	slx_pq_put(out, words[w].after);
}

void slx_pq_unexpected(struct slx_pq_parser *p, const char *context, const char *expected)
{
	if (p->status != SILEX_OK)
		return;
	struct slx_buf token;
	slx_buf_init(&token, p->x->mem, SLX_MEM_QUERY, 4096);
	put_token(&token, p->look, slx_pq_token_text(p, p->look));
	slx_pq_fail(p, p->look.from, "unexpected %.*s%s%s%s%s", (int)token.n, (const char *)token.p, *context ? " in " : "",
		context, *expected ? ", expected " : "", expected);
	slx_buf_free(&token);
}

/* ---- driver ---- */

static void run(struct slx_pq_parser *p, void *grammar, int start)
{
	p->look = (struct slx_pq_token){ .type = start };
	while (p->status == SILEX_OK && p->look.type != PQ_EOF) {
		slx_pq_grammar(grammar, p->look.type, p->look, p);
		slx_pq_grammar_settle(grammar);
		if (p->status != SILEX_OK)
			return;
		slx_pq_lex(&p->lexer, &p->look);
		if (p->look.type == PQ_ERROR)
			slx_pq_fail(p, p->lexer.error_from, "%s", p->lexer.error);
	}
	if (p->status == SILEX_OK)
		slx_pq_grammar(grammar, PQ_EOF, p->look, p);
	if (p->status == SILEX_OK)
		slx_pq_grammar(grammar, 0, p->look, p);
}

/* start: which of the grammar's beginnings. */
static struct slx_pq_node *run_grammar(struct slx_pq_parser *p, int start)
{
	struct slx_str text = p->x->text;
	p->lexer = (struct slx_pq_lexer){ .text = text.p, .cursor = text.p, .end = text.p + text.n };
	void *grammar = slx_alloc(p->x->mem, SLX_MEM_QUERY, slx_pq_grammar_size());
	if (!grammar) {
		slx_pq_fail_oom(p);
		return NULL;
	}
	slx_pq_grammarInit(grammar);
	run(p, grammar, start);
	slx_pq_grammarFinalize(grammar);
	slx_free(p->x->mem, SLX_MEM_QUERY, grammar, slx_pq_grammar_size());
	return p->result;
}

static silex_status open_expr(
	struct slx_mem *m, struct slx_str text, bool experimental, struct slx_promql_expr **ret, silex_error *err)
{
	if (text.n > SLX_PQ_TEXT_MAX)
		return slx_err(err, SILEX_INVALID, "expression of %zu bytes, expected at most %d", text.n, SLX_PQ_TEXT_MAX);
	struct slx_promql_expr *x = slx_calloc(m, SLX_MEM_QUERY, sizeof *x);
	if (!x)
		return slx_err_oom(err);
	x->mem = m;
	x->experimental = experimental;
	slx_arena_init(&x->arena, m, SLX_MEM_QUERY, 1 << 16);
	char *copy = slx_arena_alloc(&x->arena, text.n + 1, 1);
	if (!copy) {
		slx_promql_free(x);
		return slx_err_oom(err);
	}
	if (text.n)
		memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	x->text = (struct slx_str){ copy, text.n };
	*ret = x;
	return SILEX_OK;
}

silex_status slx_promql_parse(
	struct slx_mem *m, struct slx_str text, bool experimental, struct slx_promql_expr **ret, silex_error *err)
{
	struct slx_pq_parser p = { .err = err };
	SLX_TRY(open_expr(m, text, experimental, &p.x, err));
	p.x->root = run_grammar(&p, PQ_START_EXPRESSION);
	if (p.status == SILEX_OK)
		slx_pq_check(&p, p.x->root);
	if (p.status != SILEX_OK)
		slx_promql_free(p.x);
	else
		*ret = p.x;
	return p.status;
}

silex_status slx_promql_parse_selector(
	struct slx_mem *m, struct slx_str text, struct slx_selector *ret, silex_error *err)
{
	struct slx_pq_parser p = { .err = err };
	SLX_TRY(open_expr(m, text, false, &p.x, err));
	struct slx_pq_node *vector = run_grammar(&p, PQ_START_SELECTOR);
	bool selective = false;
	for (size_t i = 0; p.status == SILEX_OK && i < vector->vector.sel.n; i++)
		selective |= !vector->vector.sel.matchers[i]->matches_empty;
	if (p.status == SILEX_OK && !selective)
		p.status = slx_err(err, SILEX_INVALID, "match[] must contain at least one non-empty matcher");
	if (p.status == SILEX_OK) {
		*ret = vector->vector.sel; /* matchers copy their strings: the selector outlives the text */
		vector->vector.sel = (struct slx_selector){ 0 };
	}
	slx_promql_free(p.x);
	return p.status;
}
