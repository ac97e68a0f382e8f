#include "formats/json.h"

struct slx_json slx_json_init(const char *p, size_t n, struct slx_buf *text)
{
	return (struct slx_json){ .p = p, .end = p + n, .text = text };
}

bool slx_json_fail(struct slx_json *j, const char *at, const char *expected)
{
	if (!j->bad) {
		j->bad = at;
		j->expected = expected;
	}
	return false;
}

char slx_json_peek(struct slx_json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || *j->p == '\n'))
		j->p++;
	return j->p < j->end && !j->bad ? *j->p : 0;
}

static bool take(struct slx_json *j, char c, const char *expected)
{
	if (slx_json_peek(j) != c)
		return slx_json_fail(j, j->p, expected);
	j->p++;
	return true;
}

static bool enter(struct slx_json *j, char c, const char *expected)
{
	if (!take(j, c, expected))
		return false;
	if (j->depth == SLX_JSON_DEPTH_MAX)
		return slx_json_fail(j, j->p - 1, "at most 32 levels of nesting");
	j->depth++;
	j->begun &= ~(UINT64_C(1) << j->depth);
	return true;
}

/* The next member of a container: true when there is one. */
static bool next_member(struct slx_json *j, char close, const char *expected)
{
	uint64_t bit = UINT64_C(1) << j->depth;
	char c = slx_json_peek(j);
	if (j->bad)
		return false;
	if (c == close) {
		j->p++;
		j->depth--;
		return false;
	}
	if (j->begun & bit && !take(j, ',', expected))
		return false;
	j->begun |= bit;
	return true;
}

bool slx_json_object(struct slx_json *j) { return enter(j, '{', "an object"); }

bool slx_json_key(struct slx_json *j, struct slx_str *ret)
{
	return next_member(j, '}', "',' or '}'") && slx_json_string(j, ret) && take(j, ':', "':'");
}

bool slx_json_array(struct slx_json *j) { return enter(j, '[', "an array"); }

bool slx_json_element(struct slx_json *j) { return next_member(j, ']', "',' or ']'"); }

static int hex4(const char *p, const char *end)
{
	int v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i], l = (char)(c | 0x20);
		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if (l >= 'a' && l <= 'f')
			v = v * 16 + (l - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static void put_utf8(struct slx_buf *b, uint32_t c)
{
	uint8_t u[4];
	int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (int i = n - 1; i > 0; i--, c >>= 6)
		u[i] = (uint8_t)(0x80 | (c & 0x3f));
	u[0] = (uint8_t)(lead[n] | c);
	slx_buf_put(b, u, (size_t)n);
}

/* \uXXXX at p (after the u), with the second half of a surrogate pair. Returns the end, NULL when it is wrong. */
static const char *unescape_unicode(struct slx_json *j, const char *p)
{
	int c = hex4(p, j->end);
	if (c < 0 || (c >= 0xdc00 && c < 0xe000))
		return NULL;
	p += 4;
	if (c >= 0xd800 && c < 0xdc00) {
		int low = j->end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, j->end) : -1;
		if (low < 0xdc00 || low >= 0xe000)
			return NULL;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	}
	put_utf8(j->text, (uint32_t)c);
	return p;
}

/* The rest of a string whose first backslash is at p; start: after the opening quote. */
static bool string_with_escapes(struct slx_json *j, const char *start, const char *p, struct slx_str *ret)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t at = j->text->n;
	slx_buf_put(j->text, start, (size_t)(p - start));
	while (p < j->end && *p != '"' && (uint8_t)*p >= 32) {
		if (*p != '\\') {
			slx_buf_u8(j->text, (uint8_t)*p++);
			continue;
		}
		const char *e = p + 1 < j->end && p[1] ? strchr(from, p[1]) : NULL;
		if (e) {
			slx_buf_u8(j->text, (uint8_t)to[e - from]);
			p += 2;
			continue;
		}
		const char *next = p + 1 < j->end && p[1] == 'u' ? unescape_unicode(j, p + 2) : NULL;
		if (!next)
			return slx_json_fail(j, p, "an escape of JSON");
		p = next;
	}
	if (p == j->end || *p != '"')
		return slx_json_fail(j, p, "a closing quote");
	j->p = p + 1;
	*ret = (struct slx_str){ (const char *)j->text->p + at, j->text->n - at };
	return !j->text->failed || slx_json_fail(j, start, "more memory");
}

bool slx_json_string(struct slx_json *j, struct slx_str *ret)
{
	if (!take(j, '"', "a string"))
		return false;
	const char *start = j->p, *p = start;
	uint8_t high = 0;
	while (p < j->end && *p != '"' && *p != '\\' && (uint8_t)*p >= 32)
		high |= (uint8_t)*p++;
	if (p < j->end && *p == '\\') {
		if (!string_with_escapes(j, start, p, ret))
			return false;
		high = 0x80;
	} else {
		if (p == j->end || *p != '"')
			return slx_json_fail(j, p, "a closing quote");
		*ret = (struct slx_str){ start, (size_t)(p - start) };
		j->p = p + 1;
	}
	return high < 0x80 || slx_utf8_valid(ret->p, ret->n) || slx_json_fail(j, start, "UTF-8");
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && (uint8_t)(*p - '0') < 10)
		p++;
	return p;
}

bool slx_json_number(struct slx_json *j, struct slx_str *ret)
{
	slx_json_peek(j);
	const char *start = j->p, *p = start, *end = j->end, *digits;
	if (j->bad)
		return false;
	p += p < end && *p == '-';
	digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return slx_json_fail(j, start, "a number");
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return slx_json_fail(j, p, "a digit after the point");
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '-' || *p == '+');
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			return slx_json_fail(j, p, "a digit of the exponent");
	}
	*ret = (struct slx_str){ start, (size_t)(p - start) };
	j->p = p;
	return true;
}

static bool word(struct slx_json *j, const char *w)
{
	size_t n = strlen(w);
	if ((size_t)(j->end - j->p) < n || memcmp(j->p, w, n) != 0)
		return slx_json_fail(j, j->p, "true, false or null");
	j->p += n;
	return true;
}

bool slx_json_bool(struct slx_json *j, bool *ret)
{
	*ret = slx_json_peek(j) == 't';
	return !j->bad && word(j, *ret ? "true" : "false");
}

bool slx_json_null(struct slx_json *j)
{
	slx_json_peek(j);
	return !j->bad && word(j, "null");
}

static bool skip_scalar(struct slx_json *j, char c)
{
	struct slx_str s;
	bool b;
	if (c == '"')
		return slx_json_string(j, &s);
	if (c == 't' || c == 'f')
		return slx_json_bool(j, &b);
	if (c == 'n')
		return slx_json_null(j);
	return slx_json_number(j, &s);
}

static bool skip_value(struct slx_json *j)
{
	struct slx_str key;
	switch (slx_json_peek(j)) {
	case '{':
		if (!slx_json_object(j))
			return false;
		while (slx_json_key(j, &key))
			if (!skip_value(j))
				return false;
		return !j->bad;
	case '[':
		if (!slx_json_array(j))
			return false;
		while (slx_json_element(j))
			if (!skip_value(j))
				return false;
		return !j->bad;
	case 0:
		return slx_json_fail(j, j->p, "a value");
	default:
		return skip_scalar(j, *j->p);
	}
}

bool slx_json_skip(struct slx_json *j, struct slx_str *ret_raw)
{
	slx_json_peek(j);
	const char *start = j->p;
	if (!skip_value(j))
		return false;
	if (ret_raw)
		*ret_raw = (struct slx_str){ start, (size_t)(j->p - start) };
	return true;
}

bool slx_json_end(struct slx_json *j)
{
	slx_json_peek(j);
	return !j->bad && (j->p == j->end || slx_json_fail(j, j->p, "the end of the line"));
}
