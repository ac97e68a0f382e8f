/* Grammar:
 *
 *     selector = [ name ] [ "{" [ item { "," item } [ "," ] ] "}" ]      blanks anywhere between
 *     item     = string                                                the metric name, quoted
 *              | ( label | string ) ( "=" | "!=" | "=~" | "!~" ) string
 *     string   = "..." | '...'  with the escapes of Go, | `...` raw
 *
 * Unescaping never makes a string longer, so one reservation of the text's size holds all strings and pointers into the
 * scratch buffer stay good. */
#include "model/text.h"

struct scan {
	struct slx_str text;
	size_t at;
	struct slx_buf *scratch;
	bool equal_only;
	silex_status (*item)(void *ctx, const struct slx_text_item *it, silex_error *err);
	void *ctx;
	silex_error *err;
};

static int peek(const struct scan *s) { return s->at < s->text.n ? (unsigned char)s->text.p[s->at] : -1; }

static silex_status expected(const struct scan *s, const char *what)
{
	int c = peek(s);
	if (c < 0)
		return slx_err(s->err, SILEX_INVALID, "column %zu: expected %s, found the end", s->at + 1, what);
	if (c < 32 || c > 126)
		return slx_err(s->err, SILEX_INVALID, "column %zu: expected %s, found byte 0x%02x", s->at + 1, what, c);
	return slx_err(s->err, SILEX_INVALID, "column %zu: expected %s, found '%c'", s->at + 1, what, c);
}

static void skip_blanks(struct scan *s)
{
	for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
		s->at++;
}

static bool name_byte(int c, bool first, bool colon)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
		(!first && c >= '0' && c <= '9');
}

bool slx_text_is_name(struct slx_str s, bool colon)
{
	for (size_t i = 0; i < s.n; i++)
		if (!name_byte((unsigned char)s.p[i], i == 0, colon))
			return false;
	return s.n > 0;
}

static struct slx_str scan_name(struct scan *s, bool colon)
{
	size_t start = s->at;
	while (name_byte(peek(s), s->at == start, colon))
		s->at++;
	return (struct slx_str){ s->text.p + start, s->at - start };
}

/* ---- strings ---- */

char *slx_text_put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 63));
		*p++ = (char)(0x80 | (c & 63));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 63));
		*p++ = (char)(0x80 | (c >> 6 & 63));
		*p++ = (char)(0x80 | (c & 63));
	}
	return p;
}

static int digit_value(int c)
{
	return c >= '0' && c <= '9' ? c - '0'
		: c >= 'a' && c <= 'f'  ? c - 'a' + 10
		: c >= 'A' && c <= 'F'  ? c - 'A' + 10
								: 99;
}

/* `digits` digits of a base after the cursor. */
static silex_status scan_digits(struct scan *s, int digits, int base, uint32_t *ret)
{
	uint32_t v = 0;
	for (int i = 0; i < digits; i++) {
		int d = digit_value(peek(s));
		if (d >= base)
			return expected(s, base == 8 ? "an octal digit" : "a hexadecimal digit");
		v = v * (uint32_t)base + (uint32_t)d;
		s->at++;
	}
	*ret = v;
	return SILEX_OK;
}

/* The escape after a backslash, unescaped to `to`. */
static silex_status scan_escape(struct scan *s, char **to)
{
	static const char letters[] = "abfnrtv\\'\"", bytes[] = "\a\b\f\n\r\t\v\\'\"";
	int c = peek(s);
	const char *known = c > 0 ? strchr(letters, c) : NULL;
	if (known) {
		*(*to)++ = bytes[known - letters];
		s->at++;
		return SILEX_OK;
	}
	if (c >= '0' && c <= '7') {
		uint32_t v = 0;
		SLX_TRY(scan_digits(s, 3, 8, &v));
		if (v > 255)
			return slx_err(s->err, SILEX_INVALID, "column %zu: expected an octal escape up to \\377", s->at - 2);
		*(*to)++ = (char)v;
		return SILEX_OK;
	}
	if (c != 'x' && c != 'u' && c != 'U')
		return expected(s, "an escape (\\n \\t \\\\ \\\" \\' \\x41 \\u00e9 ...)");
	size_t start = s->at++;
	uint32_t v = 0;
	SLX_TRY(scan_digits(s, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, &v));
	if (c == 'x') {
		*(*to)++ = (char)v;
		return SILEX_OK;
	}
	if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return slx_err(
			s->err, SILEX_INVALID, "column %zu: expected a Unicode character, found U+%04X", start + 1, (unsigned)v);
	*to = slx_text_put_utf8(*to, v);
	return SILEX_OK;
}

static silex_status scan_string(struct scan *s, struct slx_str *ret)
{
	int quote = peek(s);
	if (quote != '"' && quote != '\'' && quote != '`')
		return expected(s, "a quoted string");
	size_t open = s->at++;
	const char *start = s->text.p + s->at;
	while (peek(s) >= 0 && peek(s) != quote && (peek(s) != '\\' || quote == '`'))
		s->at++;
	if (peek(s) == quote) { /* no escapes: as it stands */
		*ret = (struct slx_str){ start, (size_t)(s->text.p + s->at - start) };
		s->at++;
		return SILEX_OK;
	}
	char *out = (char *)s->scratch->p + s->scratch->n, *to = out;
	size_t plain = (size_t)(s->text.p + s->at - start);
	memcpy(to, start, plain);
	to += plain;
	for (int c = peek(s); c != quote; c = peek(s)) {
		if (c < 0)
			return slx_err(s->err, SILEX_INVALID, "column %zu: string has no closing %c", open + 1, quote);
		s->at++;
		if (c == '\\')
			SLX_TRY(scan_escape(s, &to));
		else
			*to++ = (char)c;
	}
	s->at++;
	s->scratch->n += (size_t)(to - out);
	*ret = (struct slx_str){ out, (size_t)(to - out) };
	return SILEX_OK;
}

/* ---- selector ---- */

static silex_status scan_operator(struct scan *s, enum slx_match_op *ret)
{
	static const char wanted[] = "'=', '!=', '=~' or '!~'";
	int c = peek(s);
	int next = s->at + 1 < s->text.n ? s->text.p[s->at + 1] : -1;
	if (c == '=')
		*ret = next == '~' ? SLX_MATCH_RE : SLX_MATCH_EQ;
	else if (c == '!' && (next == '=' || next == '~'))
		*ret = next == '=' ? SLX_MATCH_NE : SLX_MATCH_NRE;
	else
		return expected(s, s->equal_only ? "'='" : wanted);
	if (s->equal_only && *ret != SLX_MATCH_EQ)
		return slx_err(s->err, SILEX_INVALID, "column %zu: expected '=', found '%c%c'", s->at + 1, c, next);
	s->at += *ret == SLX_MATCH_EQ ? 1 : 2;
	return SILEX_OK;
}

static silex_status scan_item(struct scan *s)
{
	struct slx_text_item it = { .column = s->at + 1 };
	bool quoted = peek(s) == '"' || peek(s) == '\'' || peek(s) == '`';
	if (quoted) {
		SLX_TRY(scan_string(s, &it.name));
	} else {
		it.name = scan_name(s, false);
		if (it.name.n == 0)
			return expected(s, "a label name or '}'");
	}
	skip_blanks(s);
	if (quoted && (peek(s) == ',' || peek(s) == '}')) {
		it.value = it.name;
		it.name = SLX_METRIC_NAME;
		return s->item(s->ctx, &it, s->err);
	}
	SLX_TRY(scan_operator(s, &it.op));
	skip_blanks(s);
	SLX_TRY(scan_string(s, &it.value));
	return s->item(s->ctx, &it, s->err);
}

static silex_status scan_braces(struct scan *s)
{
	s->at++; /* { */
	for (;;) {
		skip_blanks(s);
		if (peek(s) == '}')
			break;
		SLX_TRY(scan_item(s));
		skip_blanks(s);
		if (peek(s) == '}')
			break;
		if (peek(s) != ',')
			return expected(s, "',' or '}'");
		s->at++;
	}
	s->at++;
	return SILEX_OK;
}

silex_status slx_text_walk(struct slx_str text, struct slx_buf *scratch, bool equal_only,
	silex_status (*item)(void *ctx, const struct slx_text_item *it, silex_error *err), void *ctx, silex_error *err)
{
	struct scan s = { text, 0, scratch, equal_only, item, ctx, err };
	if (text.n && !slx_buf_reserve(scratch, text.n))
		return slx_err_oom(err);
	skip_blanks(&s);
	struct slx_text_item it = { .name = SLX_METRIC_NAME, .column = s.at + 1 };
	it.value = scan_name(&s, true);
	if (it.value.n)
		SLX_TRY(item(ctx, &it, err));
	skip_blanks(&s);
	if (peek(&s) == '{')
		SLX_TRY(scan_braces(&s));
	else if (it.value.n == 0 && peek(&s) >= 0)
		return expected(&s, "a metric name or '{'");
	skip_blanks(&s);
	return peek(&s) < 0 ? SILEX_OK : expected(&s, "the end");
}

/* ---- writing ---- */

void slx_text_quote(struct slx_str s, struct slx_buf *out)
{
	slx_buf_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' || c == '"' || c == '\n')
			slx_buf_u8(out, '\\');
		slx_buf_u8(out, c == '\n' ? 'n' : (uint8_t)c);
	}
	slx_buf_u8(out, '"');
}

void slx_text_name(struct slx_str s, struct slx_buf *out)
{
	if (slx_text_is_name(s, false))
		slx_buf_put(out, s.p, s.n);
	else
		slx_text_quote(s, out);
}

void slx_labels_format(struct slx_labels l, struct slx_buf *out)
{
	struct slx_str metric = slx_labels_get(l, SLX_METRIC_NAME);
	bool bare = slx_text_is_name(metric, true);
	if (bare)
		slx_buf_put(out, metric.p, metric.n);
	size_t left = slx_labels_count(l) - (metric.n > 0);
	if (bare && left == 0)
		return;
	slx_buf_u8(out, '{');
	if (metric.n && !bare) {
		slx_text_quote(metric, out);
		if (left)
			slx_buf_u8(out, ',');
	}
	struct slx_label x;
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &x);) {
		if (slx_str_eq(x.name, SLX_METRIC_NAME))
			continue;
		slx_text_name(x.name, out);
		slx_buf_u8(out, '=');
		slx_text_quote(x.value, out);
		if (--left)
			slx_buf_u8(out, ',');
	}
	slx_buf_u8(out, '}');
}

void slx_labels_format_set(struct slx_labels l, struct slx_buf *out)
{
	struct slx_label x;
	const char *before = "{";
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &x); before = ", ") {
		slx_buf_put(out, before, strlen(before));
		slx_text_name(x.name, out);
		slx_buf_u8(out, '=');
		slx_text_quote(x.value, out);
	}
	if (slx_labels_count(l) == 0)
		slx_buf_u8(out, '{');
	slx_buf_u8(out, '}');
}

static silex_status add_label(void *ctx, const struct slx_text_item *it, silex_error *err)
{
	(void)err;
	slx_labels_builder_add(ctx, it->name, it->value);
	return SILEX_OK;
}

silex_status slx_labels_parse_text(
	struct slx_labels_builder *b, struct slx_str text, struct slx_labels *ret, silex_error *err)
{
	slx_labels_builder_reset(b);
	SLX_TRY(slx_text_walk(text, &b->text, true, add_label, b, err));
	return slx_labels_builder_finish(b, ret, err);
}
