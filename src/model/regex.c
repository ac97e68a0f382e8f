/* Reading a regular expression.
 *
 * Problem. Selectors carry expressions in RE2's syntax (what Prometheus accepts). PCRE2 runs them, but its language is
 * larger (back-references, look-around, verbs: exponential time) and differs in small things (\s, \v, `$`). And nearly
 * all expressions in use are lists, prefixes or substrings, which an index answers without running anything.
 *
 * Approach. One recursive walk over the pattern does three things at once:
 *   - it accepts only RE2's syntax (Go's regexp/syntax is the reference: double repetition, \1, (?=, \C, \Z refused);
 *   - it writes the PCRE2 pattern: literals escaped, groups made non-capturing unless captures are wanted, the differing escapes spelled out;
 *   - it computes for each part its `attr`: what the part matches, as far as this small algebra can say:
 *
 *         head · tail · after       head, after: sets of strings; tail: nothing, .*, .+, .*x.* or "something"
 *
 *     A literal is {it}·nothing; a|b unites sets; ab multiplies them while they are small (SLX_MATCH_SET_MAX);
 *     what does not fit becomes {prefixes}·something, which still narrows a lookup.
 *
 * Time and memory are bounded: nesting by DEPTH_MAX, the bytes copied by products by COPIED_MAX (beyond it parts become
 * "something"). What may fail: syntax (INVALID with the column) and memory. */
#include "model/regex.h"

#include "model/text.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	DEPTH_MAX = 100,   /* nested groups */
	REPEAT_MAX = 1000, /* as in RE2 */
	COPIED_MAX = 1 << 20,
	CODE_POINT_MAX = 0x10ffff,
};

struct set {
	struct slx_str *s;
	size_t n;
};

enum tail { NOTHING, STAR, PLUS, CONTAINS, SOMETHING };

/* Strings that begin with one of head, go on as tail says, and end with one of after (STAR, PLUS; for CONTAINS the one
 * string is in the middle and head is empty). With SOMETHING only head means anything. */
struct attr {
	struct set head, after;
	enum tail tail;
};

struct flags {
	bool fold;       /* i */
	bool multi_line; /* m */
	bool dot_all;    /* s: on unless switched off, as in Prometheus */
};

struct reader {
	struct slx_str pattern;
	size_t at;
	int depth;
	struct flags flags;
	size_t copied;
	bool captures;
	struct slx_arena *arena;
	struct slx_buf *out;
	silex_error *err;
};

static struct slx_str empty_string = { "", 0 };
static const struct set unit_set = { &empty_string, 1 };
static const struct attr nothing = { { &empty_string, 1 }, { &empty_string, 1 }, NOTHING };
static const struct attr something = { { &empty_string, 1 }, { &empty_string, 1 }, SOMETHING };

static int peek_at(const struct reader *r, size_t ahead)
{
	return r->at + ahead < r->pattern.n ? (unsigned char)r->pattern.p[r->at + ahead] : -1;
}

static int peek(const struct reader *r) { return peek_at(r, 0); }

static silex_status refuse(const struct reader *r, size_t at, const char *why)
{
	return slx_err(r->err, SILEX_INVALID, "regular expression \"%.*s%s\": column %zu: %s",
		(int)(r->pattern.n < 100 ? r->pattern.n : 100), r->pattern.p, r->pattern.n > 100 ? "..." : "", at + 1, why);
}

static void emit(struct reader *r, const char *z) { slx_buf_put(r->out, z, strlen(z)); }

/* ---- the algebra ---- */

static bool is_unit(struct set s) { return s.n == 1 && s.s[0].n == 0; }

/* All ab; false when that is too many or too long. Out of memory counts as too long: the shape is only a shortcut. */
static bool multiply(struct reader *r, struct set a, struct set b, struct set *ret)
{
	if (is_unit(a) || is_unit(b)) {
		*ret = is_unit(a) ? b : a;
		return true;
	}
	if (a.n * b.n > SLX_MATCH_SET_MAX)
		return false;
	struct slx_str *s = slx_arena_alloc(r->arena, a.n * b.n * sizeof *s, sizeof(void *));
	if (!s)
		return false;
	for (size_t i = 0; i < a.n; i++)
		for (size_t j = 0; j < b.n; j++) {
			size_t n = a.s[i].n + b.s[j].n;
			r->copied += n;
			char *p = r->copied <= COPIED_MAX ? slx_arena_alloc(r->arena, n, 1) : NULL;
			if (!p)
				return false;
			memcpy(p, a.s[i].p, a.s[i].n);
			memcpy(p + a.s[i].n, b.s[j].p, b.s[j].n);
			s[i * b.n + j] = (struct slx_str){ p, n };
		}
	*ret = (struct set){ s, a.n * b.n };
	return true;
}

static struct attr something_after(struct set head)
{
	struct attr a = something;
	a.head = head;
	return a;
}

/* .* or .+ met by .* or .+ with nothing between; .+.+ wants two characters and is none of our forms. */
static struct attr join_tails(struct attr a, struct attr b)
{
	if (a.tail == PLUS && b.tail == PLUS)
		return something_after(a.head);
	a.tail = a.tail == PLUS || b.tail == PLUS ? PLUS : STAR;
	a.after = b.after;
	return a;
}

static struct attr concat(struct reader *r, struct attr a, struct attr b)
{
	if (a.tail == SOMETHING)
		return a;
	if (a.tail == NOTHING) {
		struct attr c = { .after = b.after, .tail = b.tail };
		return multiply(r, a.head, b.head, &c.head) ? c : something_after(a.head);
	}
	if (a.tail == CONTAINS)
		return is_unit(b.head) && is_unit(b.after) && (b.tail == STAR || b.tail == NOTHING) ? a
																							: something_after(a.head);
	struct set middle;
	if (b.tail == SOMETHING || b.tail == CONTAINS || !multiply(r, a.after, b.head, &middle))
		return something_after(a.head);
	if (b.tail == NOTHING) {
		a.after = middle;
		return a;
	}
	if (is_unit(middle))
		return join_tails(a, b);
	if (a.tail == STAR && b.tail == STAR && middle.n == 1 && is_unit(a.head) && is_unit(b.after))
		return (struct attr){ a.head, middle, CONTAINS };
	return something_after(a.head);
}

/* A set that grows by doubling while alternatives are read. */
struct union_set {
	struct set set;
	size_t cap;
	bool exact; /* all alternatives so far are plain strings */
	bool lost;  /* too many: nothing is known */
};

static void unite(struct reader *r, struct union_set *u, struct attr a)
{
	u->exact &= a.tail == NOTHING;
	u->lost |= u->set.n + a.head.n > SLX_PATTERN_LITERALS_MAX;
	if (u->lost)
		return;
	if (u->set.n + a.head.n > u->cap) {
		size_t cap = u->cap ? u->cap * 2 : 8;
		while (cap < u->set.n + a.head.n)
			cap *= 2;
		struct slx_str *s = slx_arena_alloc(r->arena, cap * sizeof *s, sizeof(void *));
		if (!s) {
			u->lost = true;
			return;
		}
		if (u->set.n)
			memcpy(s, u->set.s, u->set.n * sizeof *s);
		u->set.s = s;
		u->cap = cap;
	}
	memcpy(u->set.s + u->set.n, a.head.s, a.head.n * sizeof *a.head.s);
	u->set.n += a.head.n;
}

static struct attr united(const struct union_set *u)
{
	if (u->lost)
		return something;
	return (struct attr){ u->set, unit_set, u->exact ? NOTHING : SOMETHING };
}

static struct attr one_string(struct reader *r, const char *p, size_t n)
{
	struct slx_str *s = slx_arena_alloc(r->arena, sizeof *s, sizeof(void *));
	char *copy = slx_arena_alloc(r->arena, n ? n : 1, 1);
	if (!s || !copy)
		return something;
	memcpy(copy, p, n);
	*s = (struct slx_str){ copy, n };
	return (struct attr){ { s, 1 }, unit_set, NOTHING };
}

/* ---- characters and escapes ---- */

static bool is_letter(uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }

static void emit_char(struct reader *r, uint32_t c)
{
	char text[16];
	if (c < 32 || c == 127) {
		snprintf(text, sizeof text, "\\x{%x}", (unsigned)c);
		emit(r, text);
		return;
	}
	char *end = text;
	if (c < 128 && !is_letter(c) && !is_digit(c))
		*end++ = '\\';
	end = slx_text_put_utf8(end, c);
	slx_buf_put(r->out, text, (size_t)(end - text));
}

/* The next character of the pattern, which is valid UTF-8. */
static uint32_t next_char(struct reader *r)
{
	uint32_t c = (uint32_t)peek(r);
	r->at++;
	if (c < 0x80)
		return c;
	int more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	c &= 0x3fu >> more;
	while (more--)
		c = c << 6 | ((uint32_t)r->pattern.p[r->at++] & 63);
	return c;
}

static int hex_value(int c)
{
	return c >= '0' && c <= '9' ? c - '0'
		: c >= 'a' && c <= 'f'  ? c - 'a' + 10
		: c >= 'A' && c <= 'F'  ? c - 'A' + 10
								: -1;
}

/* After \x: two digits or {digits}. */
static silex_status read_hex(struct reader *r, uint32_t *ret)
{
	size_t start = r->at;
	bool braces = peek(r) == '{';
	r->at += braces;
	uint32_t v = 0;
	int digits = 0;
	for (; (braces || digits < 2) && v <= CODE_POINT_MAX && hex_value(peek(r)) >= 0; r->at++, digits++)
		v = v * 16 + (uint32_t)hex_value(peek(r));
	bool complete = braces ? digits > 0 && peek(r) == '}' : digits == 2;
	if (!complete || v > CODE_POINT_MAX || (v >= 0xd800 && v < 0xe000))
		return refuse(r, start, "expected \\x with two hexadecimal digits or {a code point}");
	r->at += braces;
	*ret = v;
	return SILEX_OK;
}

/* \0, \07, \123: at the first digit. A single digit 1 to 7 alone would be a back-reference. */
static silex_status read_octal(struct reader *r, uint32_t *ret)
{
	if (peek(r) != '0' && !(peek_at(r, 1) >= '0' && peek_at(r, 1) <= '7'))
		return refuse(r, r->at - 1, "back-references are not supported");
	uint32_t v = 0;
	for (int i = 0; i < 3 && peek(r) >= '0' && peek(r) <= '7'; i++, r->at++)
		v = v * 8 + (uint32_t)(peek(r) - '0');
	*ret = v;
	return SILEX_OK;
}

/* \pL, \p{Greek}, \P{^Lu}: copied; PCRE2 knows the names. At the letter p or P. */
static silex_status read_property(struct reader *r)
{
	size_t start = r->at - 1;
	r->at++;
	if (peek(r) == '{') {
		do
			r->at++;
		while (is_letter((uint32_t)peek(r)) || peek(r) == '_' || (peek(r) == '^' && peek_at(r, (size_t)-1) == '{'));
		if (peek(r) != '}')
			return refuse(r, start, "expected a Unicode property such as \\pL or \\p{Greek}");
	} else if (!is_letter((uint32_t)peek(r))) {
		return refuse(r, start, "expected a Unicode property such as \\pL or \\p{Greek}");
	}
	r->at++;
	slx_buf_put(r->out, r->pattern.p + start, r->at - start);
	return SILEX_OK;
}

/* What an escape turned out to be. */
enum escape { ESCAPE_CHAR, ESCAPE_CLASS };

/* Escapes that mean one character in and out of brackets, after the backslash. Sets *ret_char for ESCAPE_CHAR, has
 * written the class for ESCAPE_CLASS. */
static silex_status read_escape(struct reader *r, bool in_brackets, enum escape *ret, uint32_t *ret_char)
{
	static const char letters[] = "afnrtv", bytes[] = "\a\f\n\r\t\v";
	int c = peek(r);
	*ret = ESCAPE_CHAR;
	if (c < 0)
		return refuse(r, r->at - 1, "expected a character after the backslash");
	if (c >= '0' && c <= '7')
		return read_octal(r, ret_char);
	if (c == 'x') {
		r->at++;
		return read_hex(r, ret_char);
	}
	if (c >= 128 || (!is_letter((uint32_t)c) && !is_digit((uint32_t)c))) {
		if (c >= 128)
			return refuse(r, r->at - 1, "unknown escape");
		*ret_char = (uint32_t)c;
		r->at++;
		return SILEX_OK;
	}
	const char *known = strchr(letters, c);
	if (known) {
		*ret_char = (uint32_t)bytes[known - letters];
		r->at++;
		return SILEX_OK;
	}
	*ret = ESCAPE_CLASS;
	if (c == 'p' || c == 'P')
		return read_property(r);
	/* PCRE2's \s has the vertical tab, RE2's has not. */
	const char *text = c == 'd' ? "\\d"
		: c == 'D'              ? "\\D"
		: c == 'w'              ? "\\w"
		: c == 'W'              ? "\\W"
		: c == 's'              ? (in_brackets ? "\\t\\n\\f\\r\\ " : "[\\t\\n\\f\\r\\ ]")
		: c == 'S'              ? (in_brackets ? "\\S\\x{b}" : "[^\\t\\n\\f\\r\\ ]")
								: NULL;
	if (!text)
		return refuse(r, r->at - 1, "unknown escape");
	emit(r, text);
	r->at++;
	return SILEX_OK;
}

/* ---- [classes] ---- */

/* Adds the characters low to high to the members of a class; `lost` when they are more than a few. */
static void add_members(struct reader *r, struct union_set *m, uint32_t low, uint32_t high)
{
	if (high - low >= SLX_MATCH_SET_MAX || m->set.n >= SLX_MATCH_SET_MAX || r->flags.fold)
		m->lost = true;
	for (uint32_t c = low; c <= high && !m->lost; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		char text[4];
		char *end = slx_text_put_utf8(text, c);
		unite(r, m, one_string(r, text, (size_t)(end - text)));
		m->lost |= !m->exact;
	}
}

/* [:alpha:] and its like, at the bracket. Returns false when this is something else. */
static bool read_posix(struct reader *r)
{
	static const char *const names[] = { "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower",
		"print", "punct", "space", "upper", "word", "xdigit" };
	const char *start = r->pattern.p + r->at;
	size_t skip = peek_at(r, 2) == '^' ? 3 : 2;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]);
		if (r->pattern.n - r->at >= skip + n + 2 && memcmp(start + skip, names[i], n) == 0 &&
			memcmp(start + skip + n, ":]", 2) == 0) {
			slx_buf_put(r->out, start, skip + n + 2);
			r->at += skip + n + 2;
			return true;
		}
	}
	return false;
}

/* One end of a range, or a class escape. */
static silex_status read_class_char(struct reader *r, enum escape *ret, uint32_t *ret_char)
{
	*ret = ESCAPE_CHAR;
	if (peek(r) == '\\') {
		r->at++;
		return read_escape(r, true, ret, ret_char);
	}
	*ret_char = next_char(r);
	return SILEX_OK;
}

static silex_status read_class_item(struct reader *r, struct union_set *m)
{
	size_t start = r->at;
	if (peek(r) == '[' && peek_at(r, 1) == ':') {
		if (!read_posix(r))
			return refuse(r, start, "expected a class such as [:alpha:]");
		m->lost = true;
		return SILEX_OK;
	}
	enum escape what;
	uint32_t low, high;
	SLX_TRY(read_class_char(r, &what, &low));
	if (what == ESCAPE_CLASS) {
		m->lost = true; /* a dash after it is itself: [\w-.] */
		return SILEX_OK;
	}
	high = low;
	emit_char(r, low);
	if (peek(r) == '-' && peek_at(r, 1) >= 0 && peek_at(r, 1) != ']') {
		r->at++;
		size_t mark = r->out->n;
		SLX_TRY(read_class_char(r, &what, &high));
		if (what == ESCAPE_CLASS || high < low)
			return refuse(r, start, "expected a range from low to high");
		r->out->n = mark;
		slx_buf_u8(r->out, '-');
		emit_char(r, high);
	}
	add_members(r, m, low, high);
	return SILEX_OK;
}

static silex_status read_class(struct reader *r, struct attr *ret)
{
	size_t open = r->at++;
	struct union_set m = { .exact = true };
	slx_buf_u8(r->out, '[');
	if (peek(r) == '^') {
		r->at++;
		slx_buf_u8(r->out, '^');
		m.lost = true;
	}
	size_t first = r->at;
	while (peek(r) != ']' || r->at == first) {
		if (peek(r) < 0)
			return refuse(r, open, "expected a closing ]");
		SLX_TRY(read_class_item(r, &m));
	}
	r->at++;
	slx_buf_u8(r->out, ']');
	*ret = united(&m);
	return SILEX_OK;
}

/* ---- groups ---- */

static silex_status read_alternatives(struct reader *r, struct attr *ret);

/* (?P<name> or (?<name>: names mean nothing without captures. At the <. */
static silex_status read_group_name(struct reader *r)
{
	size_t start = ++r->at;
	while (is_letter((uint32_t)peek(r)) || is_digit((uint32_t)peek(r)) || peek(r) == '_')
		r->at++;
	if (r->at == start || peek(r) != '>')
		return refuse(r, start, "expected a group name and >");
	emit(r, r->captures ? "(?<" : "(?:");
	r->at++;
	if (r->captures)
		slx_buf_put(r->out, r->pattern.p + start, r->at - start);
	return SILEX_OK;
}

/* (?im-s) or (?im-s: after the question mark; flags take effect and are written. */
static silex_status read_flags(struct reader *r)
{
	size_t start = r->at;
	bool on = true, any = false;
	for (;; r->at++) {
		int c = peek(r);
		if (c == 'i')
			r->flags.fold = on;
		else if (c == 'm')
			r->flags.multi_line = on;
		else if (c == 's')
			r->flags.dot_all = on;
		else if (c == '-' && on) {
			on = any = false;
			continue;
		} else if (c != 'U')
			break;
		any = true;
	}
	bool closed = (peek(r) == ')' && any) || (peek(r) == ':' && (any || on));
	if (!closed)
		return refuse(
			r, start, "expected a group (?:...), (?P<name>...) or flags of i m s U; look-around is not supported");
	emit(r, "(?");
	slx_buf_put(r->out, r->pattern.p + start, r->at - start);
	return SILEX_OK;
}

static silex_status read_group(struct reader *r, struct attr *ret, bool *ret_is_flags)
{
	size_t open = r->at++;
	struct flags outer = r->flags;
	*ret_is_flags = false;
	if (peek(r) != '?') {
		emit(r, r->captures ? "(" : "(?:");
	} else if (peek_at(r, 1) == 'P' || (peek_at(r, 1) == '<' && peek_at(r, 2) != '=' && peek_at(r, 2) != '!')) {
		r->at += peek_at(r, 1) == 'P' ? 2 : 1;
		if (peek(r) != '<')
			return refuse(r, open, "expected (?P<name>...)");
		SLX_TRY(read_group_name(r));
	} else {
		r->at++;
		SLX_TRY(read_flags(r));
		slx_buf_u8(r->out, (uint8_t)peek(r));
		*ret_is_flags = peek(r) == ')'; /* they hold until the enclosing group ends */
		r->at++;
		*ret = nothing;
		if (*ret_is_flags)
			return SILEX_OK;
	}
	if (++r->depth > DEPTH_MAX)
		return refuse(r, open, "groups are nested too deeply; expected at most 100 levels");
	SLX_TRY(read_alternatives(r, ret));
	if (peek(r) != ')')
		return refuse(r, open, "expected a closing )");
	r->at++;
	r->depth--;
	r->flags = outer;
	slx_buf_u8(r->out, ')');
	return SILEX_OK;
}

/* ---- repetition ---- */

struct repeat {
	int min, max; /* max -1: no end */
};

static bool read_count(struct reader *r, int *ret)
{
	size_t start = r->at;
	*ret = 0;
	for (; is_digit((uint32_t)peek(r)); r->at++)
		if (*ret <= REPEAT_MAX)
			*ret = *ret * 10 + (peek(r) - '0');
	return r->at > start;
}

/* {2}, {2,} or {2,5} at the brace. Anything else leaves the cursor alone: then the brace is a literal. */
static bool read_braces(struct reader *r, struct repeat *ret)
{
	size_t start = r->at++;
	bool good = read_count(r, &ret->min);
	ret->max = ret->min;
	if (good && peek(r) == ',') {
		r->at++;
		if (!read_count(r, &ret->max))
			ret->max = -1;
	}
	if (good && peek(r) == '}') {
		r->at++;
		return true;
	}
	r->at = start;
	return false;
}

/* A repetition operator at the cursor, if there is one. Writes nothing. */
static bool read_operator(struct reader *r, struct repeat *ret)
{
	int c = peek(r);
	if (c == '{')
		return read_braces(r, ret);
	if (c != '*' && c != '+' && c != '?')
		return false;
	*ret = (struct repeat){ c == '+', c == '?' ? 1 : -1 };
	r->at++;
	return true;
}

static struct attr repeated(struct reader *r, struct attr a, struct repeat n, bool is_dot)
{
	if (is_dot && n.max < 0 && n.min <= 1) {
		struct attr any = nothing;
		any.tail = n.min ? PLUS : STAR;
		return any;
	}
	if (n.min == 1 && n.max == 1)
		return a;
	if (n.min == 0 && n.max == 1 && a.tail == NOTHING) {
		struct union_set u = { .exact = true };
		unite(r, &u, a);
		unite(r, &u, nothing);
		return united(&u);
	}
	return n.min > 0 ? something_after(a.head) : something;
}

/* Operators after an atom: at most one, with an optional lazy mark (which cannot change what a whole match accepts). */
static silex_status read_repetition(struct reader *r, struct attr *a, bool is_dot)
{
	struct repeat n;
	size_t start = r->at;
	if (!read_operator(r, &n))
		return SILEX_OK;
	if (n.min > REPEAT_MAX || n.max > REPEAT_MAX || (n.max >= 0 && n.max < n.min))
		return refuse(r, start, "expected a repetition of at most 1000, from low to high");
	if (peek(r) == '?')
		r->at++;
	slx_buf_put(r->out, r->pattern.p + start, r->at - start);
	size_t second = r->at;
	struct repeat ignored;
	if (read_operator(r, &ignored))
		return refuse(r, second, "a repetition cannot be repeated; expected a group around it");
	*a = repeated(r, *a, n, is_dot);
	return SILEX_OK;
}

/* ---- sequences ---- */

/* Literal characters that are not repeated pile up here, so that a long literal is copied once. */
struct run {
	struct slx_buf bytes;
};

static void flush_run(struct reader *r, struct run *run, struct attr *all)
{
	if (run->bytes.n)
		*all = concat(r, *all, one_string(r, (const char *)run->bytes.p, run->bytes.n));
	slx_buf_reset(&run->bytes);
}

static bool repeats_next(struct reader *r)
{
	size_t at = r->at;
	struct repeat ignored;
	bool yes = read_operator(r, &ignored);
	r->at = at;
	return yes;
}

static silex_status literal(struct reader *r, struct run *run, struct attr *all, uint32_t c)
{
	char text[4];
	size_t n = (size_t)(slx_text_put_utf8(text, c) - text);
	emit_char(r, c);
	if (!repeats_next(r) && !r->flags.fold) {
		slx_buf_put(&run->bytes, text, n);
		return run->bytes.failed ? slx_err_oom(r->err) : SILEX_OK;
	}
	flush_run(r, run, all);
	struct attr a = r->flags.fold ? something : one_string(r, text, n);
	SLX_TRY(read_repetition(r, &a, false));
	*all = concat(r, *all, a);
	return SILEX_OK;
}

/* \Q...\E: everything between is literal. After the Q. */
static silex_status read_quoted(struct reader *r, struct run *run, struct attr *all)
{
	while (peek(r) >= 0) {
		if (peek(r) == '\\' && peek_at(r, 1) == 'E') {
			r->at += 2;
			break;
		}
		uint32_t c = next_char(r);
		bool last = peek(r) < 0 || (peek(r) == '\\' && peek_at(r, 1) == 'E');
		if (last) {
			r->at += peek(r) < 0 ? 0 : 2;
			return literal(r, run, all, c);
		}
		emit_char(r, c);
		char text[4];
		if (r->flags.fold)
			*all = concat(r, *all, something);
		else
			slx_buf_put(&run->bytes, text, (size_t)(slx_text_put_utf8(text, c) - text));
	}
	return SILEX_OK;
}

/* ^ and $ (and \A \z \b \B). ^ as the first and $ as the last character say what anchoring says anyway. */
static silex_status read_assertion(struct reader *r, const char *text, size_t size, struct attr *ret)
{
	bool first = r->at == 0 && peek(r) == '^', last = r->at + 1 == r->pattern.n && peek(r) == '$';
	emit(r, text);
	r->at += size;
	*ret = (first || last) && !r->flags.multi_line ? nothing : something;
	return SILEX_OK;
}

static silex_status read_backslash(
	struct reader *r, struct run *run, struct attr *all, struct attr *ret, bool *ret_done)
{
	int c = peek_at(r, 1);
	if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
		char text[3] = { '\\', (char)c, 0 };
		return read_assertion(r, text, 2, ret);
	}
	r->at++;
	if (c == 'Q') {
		r->at++;
		*ret_done = true;
		return read_quoted(r, run, all);
	}
	enum escape what;
	uint32_t ch;
	SLX_TRY(read_escape(r, false, &what, &ch));
	*ret = something;
	if (what == ESCAPE_CLASS)
		return SILEX_OK;
	*ret_done = true;
	return literal(r, run, all, ch);
}

/* One atom with its repetition. */
static silex_status read_atom(struct reader *r, struct run *run, struct attr *all)
{
	struct attr a = something;
	bool is_dot = false, done = false, is_flags = false;
	struct repeat ignored;
	size_t start = r->at;
	int c = peek(r);
	if (read_operator(r, &ignored))
		return refuse(r, start, "nothing to repeat before this operator");
	if (c == '.') {
		r->at++;
		slx_buf_u8(r->out, '.');
		is_dot = r->flags.dot_all;
	} else if (c == '[') {
		SLX_TRY(read_class(r, &a));
	} else if (c == '(') {
		SLX_TRY(read_group(r, &a, &is_flags));
		done = is_flags;
	} else if (c == '^' || c == '$') {
		SLX_TRY(read_assertion(r, c == '^' ? "^" : "$", 1, &a));
	} else if (c == '\\') {
		SLX_TRY(read_backslash(r, run, all, &a, &done));
	} else {
		return literal(r, run, all, next_char(r));
	}
	if (done)
		return is_flags && repeats_next(r) ? refuse(r, r->at, "nothing to repeat before this operator") : SILEX_OK;
	flush_run(r, run, all);
	SLX_TRY(read_repetition(r, &a, is_dot));
	*all = concat(r, *all, a);
	return SILEX_OK;
}

static silex_status read_sequence(struct reader *r, struct attr *ret)
{
	struct run run;
	slx_buf_init(&run.bytes, r->arena->mem, r->arena->use, SLX_PATTERN_SIZE_MAX);
	*ret = nothing;
	silex_status st = SILEX_OK;
	while (st == SILEX_OK && peek(r) >= 0 && peek(r) != '|' && peek(r) != ')')
		st = read_atom(r, &run, ret);
	flush_run(r, &run, ret);
	slx_buf_free(&run.bytes);
	return st;
}

static silex_status read_alternatives(struct reader *r, struct attr *ret)
{
	SLX_TRY(read_sequence(r, ret));
	if (peek(r) != '|')
		return SILEX_OK;
	struct union_set u = { .exact = true };
	unite(r, &u, *ret);
	while (peek(r) == '|') {
		struct attr a;
		r->at++;
		slx_buf_u8(r->out, '|');
		SLX_TRY(read_sequence(r, &a));
		unite(r, &u, a);
	}
	*ret = united(&u);
	return SILEX_OK;
}

/* ---- shape ---- */

static int by_bytes(const void *a, const void *b)
{
	return slx_str_cmp(*(const struct slx_str *)a, *(const struct slx_str *)b);
}

static void sort_unique(struct set *s)
{
	qsort(s->s, s->n, sizeof *s->s, by_bytes);
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || !slx_str_eq(s->s[n - 1], s->s[i]))
			s->s[n++] = s->s[i];
	s->n = n;
}

/* The longest common prefix, cut back to whole characters. */
static struct slx_str common_prefix(struct set s)
{
	struct slx_str p = s.s[0];
	for (size_t i = 1; i < s.n; i++) {
		size_t n = 0;
		while (n < p.n && n < s.s[i].n && p.p[n] == s.s[i].p[n])
			n++;
		p.n = n;
	}
	while (p.n && !slx_utf8_valid(p.p, p.n))
		p.n--;
	return p;
}

static silex_status shape_of(struct reader *r, struct attr a, struct slx_regex_shape *ret)
{
	struct slx_str *one = slx_arena_alloc(r->arena, sizeof *one, sizeof(void *));
	if (!one)
		return slx_err_oom(r->err);
	*one = SLX_STR("");
	*ret = (struct slx_regex_shape){ SLX_FORM_REGEX, a.tail == PLUS, one, 1 };
	if (a.tail == NOTHING) {
		if (a.head.n > 1)
			sort_unique(&a.head);
		*ret = (struct slx_regex_shape){ SLX_FORM_SET, false, a.head.s, a.head.n };
	} else if (a.tail == CONTAINS) {
		ret->form = SLX_FORM_CONTAINS;
		*one = a.after.s[0];
	} else if (a.tail != SOMETHING && is_unit(a.head) && is_unit(a.after)) {
		ret->form = a.tail == STAR ? SLX_FORM_ANY : SLX_FORM_NONEMPTY;
		ret->more = false;
		ret->literals_n = 0;
	} else if (a.tail != SOMETHING && a.head.n == 1 && is_unit(a.after)) {
		ret->form = SLX_FORM_PREFIX;
		*one = a.head.s[0];
	} else if (a.tail != SOMETHING && is_unit(a.head) && a.after.n == 1) {
		ret->form = SLX_FORM_SUFFIX;
		*one = a.after.s[0];
	} else {
		ret->more = false;
		*one = common_prefix(a.head);
	}
	return SILEX_OK;
}

silex_status slx_regex_read(struct slx_str pattern, bool captures, struct slx_arena *arena, struct slx_buf *ret_pcre,
	struct slx_regex_shape *ret, silex_error *err)
{
	if (pattern.n > SLX_PATTERN_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "regular expression of %zu bytes; expected at most %d", pattern.n,
			SLX_PATTERN_SIZE_MAX);
	struct reader r = { .pattern = pattern, .captures = captures, .flags = { .dot_all = true }, .arena = arena, .out = ret_pcre, .err = err };
	struct attr a;
	SLX_TRY(read_alternatives(&r, &a));
	if (peek(&r) == ')')
		return refuse(&r, r.at, "no group is open here");
	if (ret_pcre->failed)
		return slx_err_oom(err);
	return shape_of(&r, a, ret);
}
