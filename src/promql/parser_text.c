/* What the literals of an expression stand for: numbers, durations, strings, labels. */
#include "promql/parser_int.h"
#include "promql/grammar.h"

#include <errno.h>
#include <stdlib.h>

/* ---- numbers ---- */

static bool is_digit(char c, int base)
{
	if (c >= '0' && c <= '9')
		return c - '0' < base;
	return base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

/* Go's integers: decimal, 0x.. and 0.. (octal), _ between digits. False: it is none, or does not fit int64. */
static bool parse_integer(const char *s, double *ret)
{
	int base = s[0] != '0' || !s[1] ? 10 : (s[1] | 32) == 'x' && s[2] ? 16 : 8;
	s += base == 16 ? 2 : base == 8;
	bool digit = base != 10; /* the prefix counts as one */
	int64_t v = 0;
	for (; *s; s++) {
		if (*s == '_' && digit && s[1] != 0) {
			digit = false;
			continue;
		}
		if (!is_digit(*s, base))
			return false;
		int d = *s <= '9' ? *s - '0' : (*s | 32) - 'a' + 10;
		if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)d, &v))
			return false;
		digit = true;
	}
	*ret = (double)v;
	return digit;
}

/* Takes the _ out; false when one is not between digits. */
static bool drop_underscores(const char *s, size_t n, char *ret)
{
	size_t to = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] != '_')
			ret[to++] = s[i];
		else if (i == 0 || i + 1 == n || !is_digit(s[i - 1], 10) || !is_digit(s[i + 1], 10))
			return false;
	}
	ret[to] = 0;
	return true;
}

double slx_pq_number(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_str text = slx_pq_token_text(p, t);
	char *s = slx_arena_alloc(&p->x->arena, text.n * 2 + 2, 1), *plain = s + text.n + 1, *end;
	if (!s) {
		slx_pq_fail_oom(p);
		return 0;
	}
	memcpy(s, text.p, text.n);
	s[text.n] = 0;
	double v;
	if (parse_integer(s, &v))
		return v;
	bool good = drop_underscores(s, text.n, plain);
	bool hex = plain[0] == '0' && (plain[1] | 32) == 'x'; /* Go wants an exponent there */
	errno = 0;
	v = good && !hex ? strtod(plain, &end) : 0;
	if (!good || hex || *end)
		slx_pq_fail(p, t.from, "error parsing number: strconv.ParseFloat: parsing \"%s\": invalid syntax", s);
	else if (errno == ERANGE && isinf(v))
		slx_pq_fail(p, t.from, "error parsing number: strconv.ParseFloat: parsing \"%s\": value out of range", s);
	return v;
}

/* ---- durations ---- */

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = { { "y", 31536000000000000 }, { "w", 604800000000000 }, { "d", 86400000000000 }, { "h", 3600000000000 },
	{ "m", 60000000000 }, { "s", 1000000000 }, { "ms", 1000000 } };

enum { UNITS = sizeof units / sizeof units[0] };

static size_t find_unit(const char *s, size_t n)
{
	size_t i = 0;
	while (i < UNITS && (strlen(units[i].name) != n || memcmp(units[i].name, s, n) != 0))
		i++;
	return i;
}

/* One "12h" at *s of the duration; next: the largest unit still allowed. False: failed, or (quiet) not a duration. */
static bool read_part(
	struct slx_pq_parser *p, uint32_t from, struct slx_str all, const char **s, size_t *next, uint64_t *sum)
{
	const char *end = all.p + all.n, *q = *s;
	uint64_t v = 0;
	bool fits = true;
	for (; q < end && is_digit(*q, 10); q++)
		fits = fits && !__builtin_mul_overflow(v, (uint64_t)10, &v) &&
			!__builtin_add_overflow(v, (uint64_t)(*q - '0'), &v);
	const char *name = q;
	while (q < end && !is_digit(*q, 10))
		q++;
	size_t unit = find_unit(name, (size_t)(q - name));
	if (unit == UNITS)
		slx_pq_fail(p, from, "unknown unit \"%.*s\" in duration \"%.*s\"", (int)(q - name), name, (int)all.n, all.p);
	if (!fits || name == *s || unit == UNITS || unit < *next)
		return false;
	if (__builtin_mul_overflow(v, units[unit].ns, &v) || __builtin_add_overflow(*sum, v, sum) || *sum > INT64_MAX) {
		slx_pq_fail(p, from, "duration out of range");
		return false;
	}
	*next = unit + 1;
	*s = q;
	return true;
}

double slx_pq_seconds(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_str text = slx_pq_token_text(p, t);
	const char *s = text.p;
	size_t next = 0;
	uint64_t ns = 0;
	while (s < text.p + text.n)
		if (!read_part(p, t.from, text, &s, &next, &ns)) {
			slx_pq_fail(p, t.from, "not a valid duration string: \"%.*s\"", (int)text.n, text.p);
			return 0;
		}
	return (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
}

/* ---- strings ---- */

static uint32_t hex_value(const char *s, size_t n)
{
	uint32_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 4 | (uint32_t)(s[i] <= '9' ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
	return v;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	*to++ = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c >> 6 * (n - 1));
	for (int i = n - 2; i >= 0; i--)
		*to++ = (char)(0x80 | (c >> 6 * i & 0x3f));
	return to;
}

/* The escape behind a backslash at s (the lexer has checked it) goes to *to; returns what follows it. */
static const char *put_escape(const char *s, char **to)
{
	static const char names[] = "abfnrtv", bytes[] = "\a\b\f\n\r\t\v";
	const char *name = strchr(names, *s);
	if (name) {
		*(*to)++ = bytes[name - names];
		return s + 1;
	}
	if (*s >= '0' && *s <= '7') { /* a byte, as \x is */
		*(*to)++ = (char)((s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0'));
		return s + 3;
	}
	if (*s == 'x') {
		*(*to)++ = (char)hex_value(s + 1, 2);
		return s + 3;
	}
	if (*s == 'u' || *s == 'U') {
		size_t n = *s == 'u' ? 4 : 8;
		*to = put_utf8(*to, hex_value(s + 1, n));
		return s + 1 + n;
	}
	*(*to)++ = *s; /* a quote or a backslash */
	return s + 1;
}

struct slx_str slx_pq_unquote(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_str text = slx_pq_token_text(p, t);
	const char *s = text.p + 1, *end = text.p + text.n - 1;
	if (*text.p == '`' || !memchr(s, '\\', (size_t)(end - s)))
		return (struct slx_str){ s, (size_t)(end - s) };
	char *bytes = slx_arena_alloc(&p->x->arena, text.n, 1), *to = bytes;
	if (!bytes) {
		slx_pq_fail_oom(p);
		return SLX_STR("");
	}
	while (s < end)
		if (*s == '\\')
			s = put_escape(s + 1, &to);
		else
			*to++ = *s++;
	return (struct slx_str){ bytes, (size_t)(to - bytes) };
}

struct slx_str slx_pq_label_name(struct slx_pq_parser *p, struct slx_pq_token t)
{
	struct slx_str name = t.type == PQ_STRING ? slx_pq_unquote(p, t) : slx_pq_token_text(p, t);
	if (name.n && slx_utf8_valid(name.p, name.n))
		return name;
	struct slx_buf quoted;
	slx_buf_init(&quoted, p->x->mem, SLX_MEM_QUERY, 4096);
	slx_pq_quote(&quoted, name);
	slx_pq_fail(p, t.from, "invalid label name for grouping: %.*s", (int)quoted.n, (const char *)quoted.p);
	slx_buf_free(&quoted);
	return name;
}
