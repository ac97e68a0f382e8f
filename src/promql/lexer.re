/* The lexer of PromQL (re2c). It reads as Prometheus' does: the same tokens, the same words for what it cannot read.
 *
 * Words mean different things in three places, so there are three sets of rules: code, inside braces (labels: no keywords),
 * and inside brackets where a duration has to come (no names at all). Numbers are read by hand at the end of the file:
 * what Prometheus takes as the end of a bad number is no regular language one would want to write down. */
#include "promql/parser_int.h"
#include "promql/grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- results ---- */

static int done(const struct slx_pq_lexer *l, int type, const char *from, struct slx_pq_token *ret)
{
	*ret = (struct slx_pq_token){ type, (uint32_t)(from - l->text), (uint32_t)(l->cursor - l->text) };
	return type;
}

__attribute__((format(printf, 4, 5))) static int bad(
	struct slx_pq_lexer *l, const char *from, struct slx_pq_token *ret, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(l->error, sizeof l->error, fmt, ap);
	va_end(ap);
	l->error_from = (uint32_t)(from - l->text);
	return done(l, PQ_ERROR, from, ret);
}

/* bad() about the code point at `at`: words, then the character in single quotes. */
static int bad_rune(struct slx_pq_lexer *l, const char *from, const char *at, struct slx_pq_token *ret, const char *words)
{
	uint32_t c = 0xfffd; /* what Go shows for the end of the text */
	if (at < l->end)
		slx_pq_rune(at, l->end, &c);
	char quoted[16];
	slx_pq_quote_rune_z(c, quoted);
	return bad(l, from, ret, "%s%s", words, quoted);
}

static int bad_text(struct slx_pq_lexer *l, const char *from, struct slx_pq_token *ret, const char *words)
{
	size_t n = (size_t)(l->cursor - from);
	return bad(l, from, ret, "%s\"%.*s\"", words, (int)(n < 100 ? n : 100), from);
}

/*!re2c
	re2c:api:style = free-form;
	re2c:define:YYCTYPE = "unsigned char";
	re2c:define:YYCURSOR = "l->cursor";
	re2c:define:YYMARKER = marker;
	re2c:yyfill:enable = 0;
	re2c:flags:tags = 0;

	end    = "\x00";
	blank  = [ \t\n\r];
	letter = [a-zA-Z_];
	digit  = [0-9];
*/

/* ---- strings: from is at the opening quote, cursor behind it ---- */

static int bad_escape(struct slx_pq_lexer *l, const char *from, const char *at, struct slx_pq_token *ret)
{
	char show[32];
	uint32_t c = 0xfffd;
	if (at >= l->end)
		return bad(l, from, ret, "escape sequence not terminated");
	size_t first = slx_pq_rune(at, l->end, &c);
	if (c == 'x' || c == 'u' || c == 'U' || (c >= '0' && c <= '7')) {
		int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3, base = c <= '7' ? 8 : 16;
		const char *s = c <= '7' ? at : at + first;
		for (; digits > 0 && s < l->end; s++, digits--)
			if (base == 8 ? !(*s >= '0' && *s <= '7') : !strchr("0123456789abcdefABCDEF", *s) || !*s)
				break;
		if (digits == 0)
			return bad(l, from, ret, "escape sequence is an invalid Unicode code point");
		if (s == l->end)
			return bad(l, from, ret, "escape sequence not terminated");
		slx_pq_rune(s, l->end, &c);
		slx_pq_show_rune(c, show, sizeof show);
		return bad(l, from, ret, "illegal character %s in escape sequence", show);
	}
	slx_pq_show_rune(c, show, sizeof show);
	return bad(l, from, ret, "unknown escape sequence %s", show);
}

/*!re2c
	tail   = [\x80-\xbf];
	/* UTF-8 of two bytes and more, but for U+FFFD, which stands for broken text in Prometheus' eyes */
	utf8   = [\xc2-\xdf] tail | "\xe0" [\xa0-\xbf] tail | [\xe1-\xec\xee] tail tail | "\xed" [\x80-\x9f] tail
	       | "\xef" ([\x80-\xbe] tail | "\xbf" [\x80-\xbc\xbe\xbf])
	       | "\xf0" [\x90-\xbf] tail tail | [\xf1-\xf3] tail tail tail | "\xf4" [\x80-\x8f] tail tail;
	hex    = [0-9a-fA-F];
	escape = "\\" ([abfnrtv\\] | [0-3][0-7][0-7] | "x" hex{2} | "u" ([0-9a-cA-CefEF] hex{3} | [dD][0-7] hex{2})
	       | "U" "0000" ([0-9a-cA-CefEF] hex{3} | [dD][0-7] hex{2}) | "U" "00" ("0" [1-9a-fA-F] | "10") hex{4});
*/

static int lex_string(struct slx_pq_lexer *l, const char *from, char quote, struct slx_pq_token *ret)
{
	const char *marker, *at;
	for (;;) {
		at = l->cursor;
		/*!re2c
			["'] {
				if (*at == quote)
					return done(l, PQ_STRING, from, ret);
				continue;
			}
			escape { continue; }
			"\\" ["'] {
				if (at[1] != quote)
					return bad_escape(l, from, at + 1, ret);
				continue;
			}
			"\\" { return bad_escape(l, from, at + 1, ret); }
			"\n" { return bad(l, from, ret, "unterminated quoted string"); }
			end {
				if (at < l->end)
					continue;
				l->cursor = at;
				return bad(l, from, ret, "unterminated quoted string");
			}
			[\x01-\x7f] | utf8 { continue; }
			* { return bad(l, from, ret, "invalid UTF-8 rune"); }
		*/
	}
}

static int lex_raw_string(struct slx_pq_lexer *l, const char *from, struct slx_pq_token *ret)
{
	const char *marker, *at;
	for (;;) {
		at = l->cursor;
		/*!re2c
			"`" { return done(l, PQ_STRING, from, ret); }
			end {
				if (at < l->end)
					continue;
				l->cursor = at;
				return bad(l, from, ret, "unterminated raw string");
			}
			[\x01-\x7f] | utf8 { continue; }
			* { return bad(l, from, ret, "invalid UTF-8 rune"); }
		*/
	}
}

/* ---- numbers and durations ---- */

static bool accept(struct slx_pq_lexer *l, const char *set)
{
	if (l->cursor == l->end || !*l->cursor || !strchr(set, *l->cursor))
		return false;
	l->cursor++;
	return true;
}

static bool is_alphanumeric(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* One step over the part of a number behind its first digit; false: this is no number. */
static bool number_step(struct slx_pq_lexer *l, const char *digits, bool *dot, bool *exponent)
{
	if (accept(l, ".")) {
		bool again = *dot;
		*dot = true;
		return !again && !accept(l, "_.") && digits[10] == 0; /* hexadecimal: no fraction */
	}
	if (accept(l, "eE")) { /* of hexadecimal numbers too, as Prometheus has it */
		if (*exponent)
			return false;
		*exponent = true;
		accept(l, "+-");
		return !accept(l, "._eE") && l->cursor < l->end;
	}
	if (accept(l, "_"))
		return !accept(l, "._eE") && l->cursor < l->end;
	while (accept(l, digits))
		continue;
	return true;
}

static bool scan_number(struct slx_pq_lexer *l)
{
	const char *digits = "0123456789";
	if (accept(l, "0") && accept(l, "xX")) {
		accept(l, "_");
		digits = "0123456789abcdefABCDEF";
	}
	accept(l, ".");
	accept(l, digits);
	bool dot = false, exponent = false;
	while (l->cursor < l->end && *l->cursor && (strchr(digits, *l->cursor) || strchr("._eE", *l->cursor)))
		if (!number_step(l, digits, &dot, &exponent))
			return false;
	return !is_alphanumeric(*l->cursor);
}

static bool scan_duration(struct slx_pq_lexer *l)
{
	if (!accept(l, "smhdwy"))
		return false;
	accept(l, "s");
	while (accept(l, "0123456789")) {
		while (accept(l, "0123456789"))
			continue;
		if (!accept(l, "smhdw"))
			return false;
		accept(l, "s");
	}
	if (!is_alphanumeric(*l->cursor))
		return true;
	l->cursor++; /* the message shows it */
	return false;
}

static int lex_number(struct slx_pq_lexer *l, const char *from, struct slx_pq_token *ret)
{
	l->cursor = from;
	l->wants_number = false;
	l->got_number = true;
	if (scan_number(l))
		return done(l, PQ_NUMBER, from, ret);
	if (scan_duration(l))
		return done(l, PQ_DURATION, from, ret);
	return bad_text(l, from, ret, "bad number or duration syntax: ");
}

/* ---- labels ---- */

static int lex_in_braces(struct slx_pq_lexer *l, struct slx_pq_token *ret)
{
	const char *at;
	for (;;) {
		at = l->cursor;
		/*!re2c
			blank+ { continue; }
			"#" [^\r\n\x00]* { continue; }
			letter (letter | digit)* { return done(l, PQ_IDENTIFIER, at, ret); }
			"," { return done(l, PQ_COMMA, at, ret); }
			["'] { return lex_string(l, at, *at, ret); }
			"`" { return lex_raw_string(l, at, ret); }
			"=" { return done(l, PQ_EQL, at, ret); }
			"=~" { return done(l, PQ_EQL_REGEX, at, ret); }
			"!=" { return done(l, PQ_NEQ, at, ret); }
			"!~" { return done(l, PQ_NEQ_REGEX, at, ret); }
			"!" { return bad_rune(l, at, l->cursor, ret, "unexpected character after '!' inside braces: "); }
			"{" { return bad_rune(l, at, at, ret, "unexpected left brace "); }
			"}" {
				l->in_braces = false;
				return done(l, PQ_RIGHT_BRACE, at, ret);
			}
			* {
				if (at == l->end)
					return bad(l, at, ret, "unexpected end of input inside braces");
				return bad_rune(l, at, at, ret, "unexpected character inside braces: ");
			}
		*/
	}
}

/* ---- brackets ---- */

static int close_paren(struct slx_pq_lexer *l, const char *at, struct slx_pq_token *ret)
{
	if (l->paren_depth == 0) /* Prometheus points behind it */
		return bad(l, l->cursor, ret, "unexpected right parenthesis ')'");
	l->paren_depth--;
	return done(l, PQ_RIGHT_PAREN, at, ret);
}

static int close_bracket(struct slx_pq_lexer *l, const char *at, struct slx_pq_token *ret)
{
	l->in_brackets = l->wants_number = false;
	return done(l, PQ_RIGHT_BRACKET, at, ret);
}

static int open_bracket(struct slx_pq_lexer *l, const char *at, struct slx_pq_token *ret)
{
	if (l->in_brackets)
		return bad(l, at, ret, "unexpected left bracket '['");
	l->in_brackets = l->wants_number = true;
	l->got_number = l->got_colon = false;
	return done(l, PQ_LEFT_BRACKET, at, ret);
}

/* The words that durations know; 0: another one. cursor is behind the word. */
static int duration_word(const char *word, size_t n)
{
	static const struct {
		const char *word;
		int type;
	} words[] = { { "step", PQ_STEP }, { "range", PQ_RANGE }, { "min_of", PQ_MIN_OF }, { "max_of", PQ_MAX_OF } };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i].word) == n && strncasecmp(words[i].word, word, n) == 0)
			return words[i].type;
	return 0;
}

static int lex_duration(struct slx_pq_lexer *l, struct slx_pq_token *ret)
{
	const char *at;
	for (;;) {
		at = l->cursor;
		/*!re2c
			blank+ { continue; }
			"]" { return close_bracket(l, at, ret); }
			":" {
				if (!l->got_number)
					return bad(l, l->cursor, ret, "unexpected colon before duration in duration expression");
				if (l->got_colon)
					return bad(l, l->cursor, ret, "unexpected repeated colon in duration expression");
				l->got_colon = true;
				return done(l, PQ_COLON, at, ret);
			}
			"(" {
				l->paren_depth++;
				return done(l, PQ_LEFT_PAREN, at, ret);
			}
			")" { return close_paren(l, at, ret); }
			"+" { return done(l, PQ_ADD, at, ret); }
			"-" { return done(l, PQ_SUB, at, ret); }
			"*" { return done(l, PQ_MUL, at, ret); }
			"/" { return done(l, PQ_DIV, at, ret); }
			"%" { return done(l, PQ_MOD, at, ret); }
			"^" { return done(l, PQ_POW, at, ret); }
			"," { return done(l, PQ_COMMA, at, ret); }
			[sSmMrR] letter* {
				int type = duration_word(at, (size_t)(l->cursor - at));
				if (!type)
					return bad_rune(l, at, at, ret, "unexpected character in duration expression: ");
				l->got_number = true;
				return done(l, type, at, ret);
			}
			"."? digit { return lex_number(l, at, ret); }
			* {
				if (at == l->end)
					return bad(l, at, ret, "unexpected end of input in duration expression");
				return bad_rune(l, at, at, ret, "unexpected character in duration expression: ");
			}
		*/
	}
}

/* ---- code ---- */

/* A word or a colon where only a number, an operator or the colon of a subquery can stand. */
static int word_in_brackets(struct slx_pq_lexer *l, const char *at, struct slx_pq_token *ret)
{
	l->cursor = at + 1;
	if (*at == ':' && l->got_colon)
		return bad(l, at, ret, "unexpected colon ':'");
	if (*at == ':') {
		l->got_colon = true;
		return done(l, PQ_COLON, at, ret);
	}
	while (is_alphanumeric(*l->cursor) && !(*l->cursor >= '0' && *l->cursor <= '9'))
		l->cursor++;
	int type = duration_word(at, (size_t)(l->cursor - at));
	if (type)
		return done(l, type, at, ret);
	char words[64], quoted[16];
	slx_pq_quote_rune_z((unsigned char)*at, quoted);
	snprintf(words, sizeof words, "unexpected character: %s, expected ':'", quoted);
	return bad(l, at, ret, "%s", words);
}

/* fill is a name like others unless ( follows. */
static int fill_word(struct slx_pq_lexer *l, int type, const char *at, struct slx_pq_token *ret)
{
	const char *s = l->cursor + strspn(l->cursor, " \t\r\n");
	return done(l, *s == '(' ? type : PQ_IDENTIFIER, at, ret);
}

static int lex_end(struct slx_pq_lexer *l, const char *at, struct slx_pq_token *ret)
{
	if (at < l->end)
		return bad_rune(l, at, at, ret, "unexpected character: ");
	l->cursor = at;
	if (l->paren_depth)
		return bad(l, at, ret, "unclosed left parenthesis");
	if (l->in_brackets)
		return bad(l, at, ret, "unclosed left bracket");
	return done(l, PQ_EOF, at, ret);
}

static int lex_code(struct slx_pq_lexer *l, struct slx_pq_token *ret)
{
	const char *at;
	int type;
	for (;;) {
		at = l->cursor;
		/*!re2c
			blank+ { continue; }
			"#" [^\r\n\x00]* { continue; }
			"," { type = PQ_COMMA; break; }
			"*" { type = PQ_MUL; break; }
			"/" { type = PQ_DIV; break; }
			"%" { type = PQ_MOD; break; }
			"+" { type = PQ_ADD; break; }
			"-" { type = PQ_SUB; break; }
			"^" { type = PQ_POW; break; }
			"@" { type = PQ_AT; break; }
			"=" { type = PQ_EQL; break; }
			"==" { type = PQ_EQLC; break; }
			"=~" { return bad(l, at, ret, "unexpected character after '=': '~'"); }
			"!=" { type = PQ_NEQ; break; }
			"!" { return bad_rune(l, at, l->cursor, ret, "unexpected character after '!': "); }
			"<" { type = PQ_LSS; break; }
			"<=" { type = PQ_LTE; break; }
			"</" { type = PQ_TRIM_UPPER; break; }
			">" { type = PQ_GTR; break; }
			">=" { type = PQ_GTE; break; }
			">/" { type = PQ_TRIM_LOWER; break; }
			"."? digit { return lex_number(l, at, ret); }
			["'] { return lex_string(l, at, *at, ret); }
			"`" { return lex_raw_string(l, at, ret); }
			"(" { l->paren_depth++; type = PQ_LEFT_PAREN; break; }
			")" { return close_paren(l, at, ret); }
			"{" { l->in_braces = true; type = PQ_LEFT_BRACE; break; }
			"[" { return open_bracket(l, at, ret); }
			"]" {
				if (!l->in_brackets)
					return bad(l, at, ret, "unexpected right bracket ']'");
				return close_bracket(l, at, ret);
			}
			end { return lex_end(l, at, ret); }
			* { return bad_rune(l, at, at, ret, "unexpected character: "); }

			'and' { type = PQ_LAND; break; }
			'or' { type = PQ_LOR; break; }
			'unless' { type = PQ_LUNLESS; break; }
			'atan2' { type = PQ_ATAN2; break; }
			'sum' { type = PQ_SUM; break; }
			'avg' { type = PQ_AVG; break; }
			'count' { type = PQ_COUNT; break; }
			'min' { type = PQ_MIN; break; }
			'max' { type = PQ_MAX; break; }
			'group' { type = PQ_GROUP; break; }
			'stddev' { type = PQ_STDDEV; break; }
			'stdvar' { type = PQ_STDVAR; break; }
			'topk' { type = PQ_TOPK; break; }
			'bottomk' { type = PQ_BOTTOMK; break; }
			'count_values' { type = PQ_COUNT_VALUES; break; }
			'quantile' { type = PQ_QUANTILE; break; }
			'limitk' { type = PQ_LIMITK; break; }
			'limit_ratio' { type = PQ_LIMIT_RATIO; break; }
			'offset' { type = PQ_OFFSET; break; }
			'anchored' { type = PQ_ANCHORED; break; }
			'smoothed' { type = PQ_SMOOTHED; break; }
			'by' { type = PQ_BY; break; }
			'without' { type = PQ_WITHOUT; break; }
			'on' { type = PQ_ON; break; }
			'ignoring' { type = PQ_IGNORING; break; }
			'group_left' { type = PQ_GROUP_LEFT; break; }
			'group_right' { type = PQ_GROUP_RIGHT; break; }
			'bool' { type = PQ_BOOL; break; }
			'start' { type = PQ_START; break; }
			'end' { type = PQ_END; break; }
			'step' { type = PQ_STEP; break; }
			'range' { type = PQ_RANGE; break; }
			'min_of' { type = PQ_MIN_OF; break; }
			'max_of' { type = PQ_MAX_OF; break; }
			'inf' | 'nan' { type = PQ_NUMBER; break; }
			'fill' { type = PQ_FILL; break; }
			'fill_left' { type = PQ_FILL_LEFT; break; }
			'fill_right' { type = PQ_FILL_RIGHT; break; }
			letter (letter | digit)* { type = PQ_IDENTIFIER; break; }
			(letter | ":") (letter | digit | ":")* { type = PQ_METRIC_IDENTIFIER; break; }
		*/
	}
	bool word = is_alphanumeric(*at) || *at == ':';
	if (word && l->in_brackets)
		return word_in_brackets(l, at, ret);
	if (type == PQ_FILL || type == PQ_FILL_LEFT || type == PQ_FILL_RIGHT)
		return fill_word(l, type, at, ret);
	return done(l, type, at, ret);
}

void slx_pq_lex(struct slx_pq_lexer *l, struct slx_pq_token *ret)
{
	if (l->in_braces)
		lex_in_braces(l, ret);
	else if (l->wants_number)
		lex_duration(l, ret);
	else
		lex_code(l, ret);
}
