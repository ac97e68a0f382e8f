/* Text as Go prints it: quoted strings and characters, numbers, durations. */
#include "promql/parser_int.h"

#include <stdio.h>
#include <stdlib.h>

void slx_pq_put(struct slx_buf *out, const char *z) { slx_buf_put(out, z, strlen(z)); }

size_t slx_pq_rune(const char *s, const char *end, uint32_t *ret)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if ((size_t)(end - s) < n || !slx_utf8_valid(s, n)) {
		*ret = 0xfffd;
		return 1;
	}
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	*ret = c & masks[n];
	for (size_t i = 1; i < n; i++)
		*ret = *ret << 6 | ((unsigned char)s[i] & 0x3f);
	return n;
}

/* Blanks, format characters, private use: what Go escapes. Unassigned code points would be too, but need a table. */
static bool printable(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} hidden[] = { { 0, 0x1f }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x1680, 0x1680 }, { 0x2000, 0x200f },
		{ 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, UINT32_MAX } };
	for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
		if (c >= hidden[i].from && c <= hidden[i].to)
			return false;
	return true;
}

static size_t put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
	return n;
}

/* The code point as it stands between quotes; at most 12 bytes. */
static size_t escape(uint32_t c, char quote, char ret[16])
{
	static const char from[] = "\a\b\f\n\r\t\v", to[] = "abfnrtv";
	const char *special = c && c < 0x20 ? strchr(from, (int)c) : NULL;
	if (special)
		return (size_t)snprintf(ret, 16, "\\%c", to[special - from]);
	if (c == (uint32_t)quote || c == '\\')
		return (size_t)snprintf(ret, 16, "\\%c", (char)c);
	if (printable(c))
		return put_utf8(ret, c);
	if (c < ' ' || c == 0x7f)
		return (size_t)snprintf(ret, 16, "\\x%02x", c);
	return (size_t)snprintf(ret, 16, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

size_t slx_pq_quote_rune_z(uint32_t c, char ret[16])
{
	ret[0] = '\'';
	char inner[16];
	size_t n = escape(c, '\'', inner);
	memcpy(ret + 1, inner, n);
	memcpy(ret + 1 + n, "'", 2);
	return n + 2;
}

void slx_pq_show_rune(uint32_t c, char *ret, size_t size)
{
	char utf8[8] = { 0 };
	if (printable(c))
		put_utf8(utf8, c);
	snprintf(ret, size, printable(c) ? "U+%04X '%s'" : "U+%04X", c, utf8);
}

void slx_pq_quote(struct slx_buf *out, struct slx_str s)
{
	slx_buf_u8(out, '"');
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		char text[16];
		size_t n = slx_pq_rune(s.p + i, s.p + s.n, &c), shown;
		if (n == 1 && c == 0xfffd)
			shown = (size_t)snprintf(text, sizeof text, "\\x%02x", (unsigned char)s.p[i]);
		else
			shown = escape(c, '"', text);
		slx_buf_put(out, text, shown);
		i += n;
	}
	slx_buf_u8(out, '"');
}

/* Digits and exponent of the shortest text that reads back the same, as "d.ddde+xx". */
static void shortest(double v, char ret[40])
{
	for (int digits = 0; digits < 17; digits++) {
		snprintf(ret, 40, "%.*e", digits, v);
		if (strtod(ret, NULL) == v)
			return;
	}
}

void slx_pq_put_number(struct slx_buf *out, double v)
{
	if (isnan(v) || isinf(v)) {
		slx_pq_put(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
		return;
	}
	char text[40], plain[400];
	shortest(v, text);
	char *e = strchr(text, 'e');
	int exponent = atoi(e + 1), digits = (int)(e - text) - (text[0] == '-');
	digits -= digits > 1; /* the point */
	int decimals = digits - 1 - exponent;
	if (decimals >= 0) {
		snprintf(plain, sizeof plain, "%.*f", decimals, v);
		slx_pq_put(out, plain);
		return;
	}
	for (const char *s = text; s < e; s++) /* an integer that ends in zeros which %f would fill with other digits */
		if (*s != '.')
			slx_buf_u8(out, (uint8_t)*s);
	for (int i = decimals; i < 0; i++)
		slx_buf_u8(out, '0');
}

void slx_pq_put_duration(struct slx_buf *out, int64_t ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
		bool whole; /* only when nothing is left over */
	} units[] = { { "y", INT64_C(31536000000), true }, { "w", 604800000, true }, { "d", 86400000, false },
		{ "h", 3600000, false }, { "m", 60000, false }, { "s", 1000, false }, { "ms", 1, false } };
	if (ms == 0) {
		slx_pq_put(out, "0s");
		return;
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].whole && ms % units[i].ms != 0)
			continue;
		char text[32];
		if (ms / units[i].ms > 0) {
			snprintf(text, sizeof text, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
			slx_pq_put(out, text);
		}
		ms %= units[i].ms;
	}
}
