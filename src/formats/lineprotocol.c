#include "formats/lineprotocol.h"

#include "formats/formats_int.h"

#include <math.h>
#include <stdio.h>

/* ---- characters ---- */

enum {
	C_CONTROL = 1, /* 0..31 and 127, line ends among them */
	C_BLANK = 2,
	C_COMMA = 4,
	C_EQUAL = 8,
	C_BACKSLASH = 16,
	C_QUOTE = 32,
	C_HIGH = 64, /* a part of a UTF-8 sequence */
	C_EOL = 128,

	STOP_MEASUREMENT = C_CONTROL | C_BLANK | C_COMMA,
	STOP_KEY = C_CONTROL | C_BLANK | C_COMMA | C_EQUAL,
	STOP_VALUE = C_EOL | C_BLANK | C_COMMA,
	STOP_TIME = C_EOL | C_BLANK,
};

#define CONTROL8 C_CONTROL, C_CONTROL, C_CONTROL, C_CONTROL, C_CONTROL, C_CONTROL, C_CONTROL, C_CONTROL
#define HIGH8    C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH
#define HIGH64   HIGH8, HIGH8, HIGH8, HIGH8, HIGH8, HIGH8, HIGH8, HIGH8

static const uint8_t class_of[256] = {
	CONTROL8,
	C_CONTROL,
	C_CONTROL,
	C_CONTROL | C_EOL,
	C_CONTROL,
	C_CONTROL,
	C_CONTROL | C_EOL,
	C_CONTROL,
	C_CONTROL,
	CONTROL8,
	CONTROL8,
	[' '] = C_BLANK,
	['"'] = C_QUOTE,
	[','] = C_COMMA,
	['='] = C_EQUAL,
	['\\'] = C_BACKSLASH,
	[127] = C_CONTROL,
	[128] = HIGH64,
	HIGH64,
};

static unsigned cls(char c) { return class_of[(uint8_t)c]; }

/* ---- reading ---- */

struct cursor {
	struct slx_line_reader *r;
	const char *p, *end;
	bool final;
	enum slx_line_result result; /* when a step is false */
};

void slx_line_reader_init(struct slx_line_reader *r, struct slx_mem *m, uint32_t tags_max, uint32_t fields_max)
{
	*r = (struct slx_line_reader){ .mem = m, .tags_max = tags_max, .fields_max = fields_max };
}

void slx_line_reader_free(struct slx_line_reader *r)
{
	if (!r->mem)
		return;
	slx_free(r->mem, SLX_MEM_OTHER, r->point.tags, r->tags_cap * sizeof *r->point.tags);
	slx_free(r->mem, SLX_MEM_OTHER, r->point.fields, r->fields_cap * sizeof *r->point.fields);
}

/* A step failed at c->p. At the end of unfinished input that only means that more is needed. */
static bool fail(struct cursor *c, const char *expected)
{
	if (c->p == c->end && !c->final) {
		c->result = SLX_LINE_MORE;
		return false;
	}
	char found[32];
	if (c->p == c->end || cls(*c->p) & C_EOL)
		snprintf(found, sizeof found, "the end of the line");
	else if (cls(*c->p) & (C_CONTROL | C_HIGH))
		snprintf(found, sizeof found, "byte 0x%02x", (uint8_t)*c->p);
	else
		snprintf(found, sizeof found, "'%c'", *c->p);
	snprintf(c->r->message, sizeof c->r->message, "expected %s, found %s", expected, found);
	c->r->bad = c->p;
	c->result = SLX_LINE_BAD;
	return false;
}

static bool fail_at(struct cursor *c, const char *at, const char *message)
{
	snprintf(c->r->message, sizeof c->r->message, "%s", message);
	c->r->bad = at;
	c->result = SLX_LINE_BAD;
	return false;
}

/* A token up to the first unescaped character of class `stop`. A backslash escapes the next character only if that one
 * would stop the token (line ends and control characters cannot be escaped). */
static bool read_token(struct cursor *c, unsigned stop, const char *what, struct slx_line_token *ret)
{
	const char *start = c->p, *p = c->p, *end = c->end;
	const unsigned escapable = stop & (C_BLANK | C_COMMA | C_EQUAL);
	unsigned seen = 0;
	for (; p < end; p++) {
		unsigned k = cls(*p);
		if (k & stop)
			break;
		seen |= k;
		if (k & C_BACKSLASH && p + 1 < end && cls(p[1]) & escapable)
			p++;
	}
	c->p = p;
	if (p == start || (p == end && !c->final))
		return fail(c, what);
	if (seen & C_HIGH && !slx_utf8_valid(start, (size_t)(p - start)))
		return fail_at(c, start, "expected UTF-8");
	*ret = (struct slx_line_token){ start, (uint32_t)(p - start), (seen & C_BACKSLASH) != 0 };
	return true;
}

/* Room for one more element. */
static bool more_room(
	struct cursor *c, void **array, uint32_t n, uint32_t *cap, uint32_t n_max, size_t size, const char *too_many)
{
	if (n < *cap)
		return true;
	if (n >= n_max)
		return fail_at(c, c->p, too_many);
	uint32_t next = *cap ? *cap * 2 : 16;
	next = next < n_max ? next : n_max;
	void *p = slx_realloc(c->r->mem, SLX_MEM_OTHER, *array, *cap * size, next * size);
	if (!p) {
		c->result = SLX_LINE_OOM;
		return false;
	}
	*array = p;
	*cap = next;
	return true;
}

static bool at_char(const struct cursor *c, char ch) { return c->p < c->end && *c->p == ch; }

static bool read_tags(struct cursor *c, struct slx_line_point *pt)
{
	while (at_char(c, ',')) {
		c->p++;
		if (!more_room(c, (void **)&pt->tags, pt->tags_n, &c->r->tags_cap, c->r->tags_max, sizeof *pt->tags,
				"expected fewer tags"))
			return false;
		struct slx_line_tag *t = &pt->tags[pt->tags_n];
		if (!read_token(c, STOP_KEY, "a tag key", &t->key))
			return false;
		if (!at_char(c, '='))
			return fail(c, "'=' after the tag key");
		c->p++;
		if (!read_token(c, STOP_KEY, "a tag value", &t->value))
			return false;
		pt->tags_n++;
	}
	return true;
}

/* From the opening quote to the closing one; line ends may lie inside. */
static bool read_string(struct cursor *c, struct slx_line_field *f)
{
	const char *start = c->p + 1, *p = start;
	unsigned seen = 0;
	for (; p < c->end && *p != '"'; p++) {
		seen |= cls(*p);
		if (*p == '\\' && p + 1 < c->end && (p[1] == '"' || p[1] == '\\'))
			p++;
	}
	if (p >= c->end) {
		const char *open = c->p;
		c->p = c->end;
		return c->final ? fail_at(c, open, "expected a closing quote") : fail(c, "");
	}
	if (seen & C_HIGH && !slx_utf8_valid(start, (size_t)(p - start)))
		return fail_at(c, start, "expected UTF-8");
	f->type = SLX_LINE_STRING;
	f->value.s = (struct slx_line_token){ start, (uint32_t)(p - start), (seen & C_BACKSLASH) != 0 };
	c->p = p + 1;
	return true;
}

static bool read_number(struct cursor *c, const char *p, size_t n, struct slx_line_field *f)
{
	bool range = false, ok;
	struct slx_number number;
	if (p[n - 1] == 'i') {
		f->type = SLX_LINE_INT;
		ok = slx_int64_parse(p, n - 1, &f->value.i64, &range);
		return ok || fail_at(c, p, range ? "expected an integer from -2^63 to 2^63-1" : "expected digits before 'i'");
	}
	if (p[n - 1] == 'u') {
		f->type = SLX_LINE_UINT;
		ok = slx_uint64_parse(p, n - 1, &f->value.u64, &range);
		return ok || fail_at(c, p, range ? "expected an integer from 0 to 2^64-1" : "expected digits before 'u'");
	}
	enum slx_number_form form = slx_number_parse(p, n, &number);
	if (form == SLX_NUMBER_NONE)
		return fail_at(c, p, "expected a number");
	if (form == SLX_NUMBER_RANGE)
		return fail_at(c, p, "expected a number that fits a double");
	f->type = SLX_LINE_FLOAT;
	f->value.f64 = number.f64;
	return true;
}

static bool is_word(const char *p, size_t n, const char *word) { return strlen(word) == n && memcmp(p, word, n) == 0; }

static bool read_bool(struct cursor *c, const char *p, size_t n, struct slx_line_field *f)
{
	f->type = SLX_LINE_BOOL;
	f->value.b = *p == 't' || *p == 'T';
	if (n == 1 ? f->value.b || *p == 'f' || *p == 'F'
			   : is_word(p, n, "true") || is_word(p, n, "True") || is_word(p, n, "TRUE") || is_word(p, n, "false") ||
				is_word(p, n, "False") || is_word(p, n, "FALSE"))
		return true;
	return fail_at(c, p, "expected a number, a quoted string, true or false");
}

static bool read_value(struct cursor *c, struct slx_line_field *f)
{
	if (at_char(c, '"'))
		return read_string(c, f);
	const char *p = c->p;
	while (c->p < c->end && !(cls(*c->p) & STOP_VALUE))
		c->p++;
	if (c->p == p || (c->p == c->end && !c->final))
		return fail(c, "a field value");
	size_t n = (size_t)(c->p - p);
	if (slx_is_digit(*p) || *p == '-' || *p == '.')
		return read_number(c, p, n, f);
	return read_bool(c, p, n, f);
}

static bool read_field_key(struct cursor *c, uint32_t place, struct slx_line_field *f)
{
	struct slx_line_seen *s = place < SLX_LINE_PLACES ? &c->r->seen[place] : NULL;
	if (s && s->n && (size_t)(c->end - c->p) > s->n && c->p[s->n] == '=' && memcmp(c->p, s->key, s->n) == 0) {
		f->key = (struct slx_line_token){ c->p, s->n, false };
		f->key_id = s->id;
		c->p += s->n;
		return true;
	}
	f->key_id = 0;
	if (!read_token(c, STOP_KEY, "a field key", &f->key))
		return false;
	if (s && f->key.n <= SLX_LINE_SEEN_SIZE && !f->key.escapes) {
		memcpy(s->key, f->key.p, f->key.n);
		s->n = f->key.n;
		f->key_id = s->id = ++c->r->ids;
	}
	return true;
}

static bool read_fields(struct cursor *c, struct slx_line_point *pt)
{
	for (;;) {
		if (!more_room(c, (void **)&pt->fields, pt->fields_n, &c->r->fields_cap, c->r->fields_max, sizeof *pt->fields,
				"expected fewer fields"))
			return false;
		struct slx_line_field *f = &pt->fields[pt->fields_n];
		if (!read_field_key(c, pt->fields_n, f))
			return false;
		if (!at_char(c, '='))
			return fail(c, "'=' after the field key");
		c->p++;
		if (!read_value(c, f))
			return false;
		pt->fields_n++;
		if (!at_char(c, ','))
			return true;
		c->p++;
	}
}

static void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && *c->p == ' ')
		c->p++;
}

/* "\n", "\r\n", or the end of the input (a last "\r" may stand before it). */
static bool read_line_end(struct cursor *c)
{
	const char *start = c->p;
	if (at_char(c, '\r'))
		c->p++;
	if (at_char(c, '\n')) {
		c->p++;
		return true;
	}
	if (c->p == c->end)
		return c->final || fail(c, "");
	c->p = start;
	return fail(c, "the end of the line");
}

static bool read_time(struct cursor *c, struct slx_line_point *pt)
{
	const char *p = c->p;
	while (c->p < c->end && !(cls(*c->p) & STOP_TIME))
		c->p++;
	if (c->p == c->end && !c->final)
		return fail(c, "");
	if (c->p == p)
		return true;
	bool range;
	pt->has_time = true;
	if (*p == '+' || !slx_int64_parse(p, (size_t)(c->p - p), &pt->time, &range))
		return fail_at(c, p, "expected a timestamp, a whole number");
	return true;
}

static bool read_point(struct cursor *c, struct slx_line_point *pt)
{
	pt->tags_n = pt->fields_n = 0;
	pt->has_time = false;
	if (!read_token(c, STOP_MEASUREMENT, "a measurement", &pt->name) || !read_tags(c, pt))
		return false;
	pt->series_end = c->p;
	if (!at_char(c, ' '))
		return fail(c, "',' or a blank and a field");
	skip_blanks(c);
	if (!read_fields(c, pt))
		return false;
	if (c->p < c->end && !(cls(*c->p) & STOP_TIME))
		return fail(c, "',' or a blank after the field");
	skip_blanks(c);
	if (!read_time(c, pt))
		return false;
	skip_blanks(c);
	return read_line_end(c);
}

/* A blank line or a comment; false with result POINT when it is neither. */
static bool read_nothing(struct cursor *c)
{
	c->result = SLX_LINE_POINT;
	skip_blanks(c);
	if (at_char(c, '#')) {
		const char *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));
		c->p = nl ? nl + 1 : c->end;
		return nl || c->final || fail(c, "");
	}
	if (c->p == c->end || cls(*c->p) & C_EOL)
		return read_line_end(c);
	return false;
}

enum slx_line_result slx_line_read(struct slx_line_reader *r, const char *p, size_t n, bool final, size_t *ret_used)
{
	struct cursor c = { .r = r, .p = p, .end = p + n, .final = final };
	enum slx_line_result result;
	if (read_nothing(&c))
		result = SLX_LINE_BLANK;
	else if (c.result == SLX_LINE_POINT && read_point(&c, &r->point))
		result = SLX_LINE_POINT;
	else
		result = c.result;
	if (result == SLX_LINE_BAD) {
		const char *nl = memchr(r->bad, '\n', (size_t)(c.end - r->bad));
		if (!nl && !final)
			return SLX_LINE_MORE;
		c.p = nl ? nl + 1 : c.end;
	}
	if (result != SLX_LINE_MORE && result != SLX_LINE_OOM)
		*ret_used = (size_t)(c.p - p);
	return result;
}

bool slx_line_check_tags(struct slx_line_reader *r)
{
	const struct slx_line_point *pt = &r->point;
	for (uint32_t i = 1; i < pt->tags_n; i++) {
		struct slx_line_token a = pt->tags[i].key;
		for (uint32_t j = 0; j < i; j++) {
			struct slx_line_token b = pt->tags[j].key;
			if (a.n != b.n || memcmp(a.p, b.p, a.n) != 0)
				continue;
			r->bad = a.p;
			snprintf(r->message, sizeof r->message, "expected each tag key once, found \"%.*s\" again",
				(int)(a.n < 64 ? a.n : 64), a.p);
			return false;
		}
	}
	return true;
}

void slx_line_unescape(struct slx_buf *b, struct slx_line_token t, enum slx_line_escape what)
{
	static const char *const escapable[] = { ", ", ",= ", "\"\\" };
	uint8_t *to = slx_buf_reserve(b, t.n);
	if (!to)
		return;
	if (!t.escapes) {
		memcpy(to, t.p, t.n);
		b->n += t.n;
		return;
	}
	for (uint32_t i = 0; i < t.n; i++) {
		if (t.p[i] == '\\' && i + 1 < t.n && t.p[i + 1] && strchr(escapable[what], t.p[i + 1]))
			i++;
		*to++ = (uint8_t)t.p[i];
	}
	b->n = (size_t)(to - b->p);
}

/* ---- writing ---- */

/* A name or tag value: each character of `escape` behind a backslash. */
static bool write_name(struct slx_buf *b, struct slx_str s, const char *escape)
{
	if (s.n == 0 || s.p[s.n - 1] == '\\' || !slx_utf8_valid(s.p, s.n))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (cls(s.p[i]) & C_CONTROL)
			return false;
		if (strchr(escape, s.p[i]))
			slx_buf_u8(b, '\\');
		slx_buf_u8(b, (uint8_t)s.p[i]);
	}
	return true;
}

static bool write_string(struct slx_buf *b, struct slx_str s)
{
	if (!slx_utf8_valid(s.p, s.n))
		return false;
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			slx_buf_u8(b, '\\');
		slx_buf_u8(b, (uint8_t)s.p[i]);
	}
	slx_buf_u8(b, '"');
	return true;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct slx_buf *b, const char *fmt, ...)
{
	char text[32];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(b, text, (size_t)n);
}

static bool write_value(struct slx_buf *b, const struct slx_line_value *v)
{
	switch (v->type) {
	case SLX_LINE_FLOAT:
		slx_encode_f64(b, v->value.f64);
		return isfinite(v->value.f64);
	case SLX_LINE_INT:
		put_format(b, "%lldi", (long long)v->value.i64);
		return true;
	case SLX_LINE_UINT:
		put_format(b, "%lluu", (unsigned long long)v->value.u64);
		return true;
	case SLX_LINE_BOOL:
		slx_buf_put(b, v->value.b ? "true" : "false", v->value.b ? 4 : 5);
		return true;
	case SLX_LINE_STRING:
		return write_string(b, v->value.s);
	}
	return false;
}

static bool write_point(struct slx_buf *b, struct slx_str measurement, const struct slx_label *tags, size_t tags_n,
	const struct slx_line_value *fields, size_t fields_n, int64_t time)
{
	/* a leading # would make a comment, a leading blank would be skipped: the blank is escaped anyway */
	if (fields_n == 0 || (measurement.n && measurement.p[0] == '#') || !write_name(b, measurement, ", "))
		return false;
	for (size_t i = 0; i < tags_n; i++) {
		if (slx_str_eq(tags[i].name, SLX_METRIC_NAME))
			continue;
		slx_buf_u8(b, ',');
		if (!write_name(b, tags[i].name, ",= "))
			return false;
		slx_buf_u8(b, '=');
		if (!write_name(b, tags[i].value, ",= "))
			return false;
	}
	for (size_t i = 0; i < fields_n; i++) {
		slx_buf_u8(b, i ? ',' : ' ');
		if (!write_name(b, fields[i].key, ",= "))
			return false;
		slx_buf_u8(b, '=');
		if (!write_value(b, &fields[i]))
			return false;
	}
	put_format(b, " %lld\n", (long long)time);
	return true;
}

bool slx_line_write(struct slx_buf *b, struct slx_str measurement, const struct slx_label *tags, size_t tags_n,
	const struct slx_line_value *fields, size_t fields_n, int64_t time)
{
	size_t n = b->n;
	bool ok = write_point(b, measurement, tags, tags_n, fields, fields_n, time);
	if (!ok)
		b->n = n;
	return ok;
}
