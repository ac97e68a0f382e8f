/* Prometheus text 0.0.4 and OpenMetrics 1.0 text -> rows.
 *
 *     name{label="value",...} value [time] [# {label="value",...} value [time]]
 *
 * They differ in times (milliseconds against seconds), in blanks (anywhere against exactly one), in exemplars (only
 * OpenMetrics), in comments (any against HELP, TYPE, UNIT and EOF), and in the rules of openmetrics.c. Both take quoted
 * UTF-8 names, as Prometheus 3 writes them: {"my.metric","odd name"="x"}. */
#include "formats/exposition.h"

#include <math.h>

enum { EXEMPLAR_CHARS_MAX = 128 };

struct exposition_decoder {
	struct slx_decoder base;
	bool openmetrics, lenient;
	bool told_text_after_eof;
	struct slx_keymap series; /* series as written */
	struct slx_om om;
};

struct cursor {
	struct slx_decoder *d;
	const char *p, *end; /* of one line, without its line end */
	bool strict;         /* OpenMetrics */
	const char *bad, *expected;
};

static void destroy(struct slx_decoder *d)
{
	struct exposition_decoder *e = (struct exposition_decoder *)d;
	slx_keymap_free(&e->series);
	slx_om_free(&e->om);
}

static bool fail(struct cursor *c, const char *at, const char *expected)
{
	c->bad = at;
	c->expected = expected;
	return false;
}

static bool at_char(const struct cursor *c, char ch) { return c->p < c->end && *c->p == ch; }

static bool is_blank(char ch) { return ch == ' ' || ch == '\t'; }

static void skip_blanks(struct cursor *c)
{
	while (!c->strict && c->p < c->end && is_blank(*c->p))
		c->p++;
}

/* The blank between two parts: one in OpenMetrics, at least one in Prometheus. */
static bool read_blank(struct cursor *c, const char *next)
{
	if (c->p == c->end || !(c->strict ? *c->p == ' ' : is_blank(*c->p)))
		return fail(c, c->p, next);
	c->p++;
	skip_blanks(c);
	return true;
}

/* ---- names and labels ---- */

static bool is_name_char(char ch, bool first, bool colon)
{
	char l = (char)(ch | 0x20);
	return (l >= 'a' && l <= 'z') || ch == '_' || (colon && ch == ':') || (!first && slx_is_digit(ch));
}

static struct slx_str read_plain_name(struct cursor *c, bool colon)
{
	const char *start = c->p;
	while (c->p < c->end && is_name_char(*c->p, c->p == start, colon))
		c->p++;
	return (struct slx_str){ start, (size_t)(c->p - start) };
}

/* A quoted string; \\ \" \n are escapes, other backslashes stand for themselves. */
static bool read_string(struct cursor *c, struct slx_str *ret)
{
	const char *start = ++c->p, *p = start;
	bool escapes = false;
	while (p < c->end && *p != '"') {
		escapes |= *p == '\\';
		p += *p == '\\' && p + 1 < c->end ? 2 : 1;
	}
	if (p >= c->end)
		return fail(c, start - 1, "a closing quote");
	c->p = p + 1;
	*ret = (struct slx_str){ start, (size_t)(p - start) };
	if (!escapes)
		return slx_utf8_valid(ret->p, ret->n) || fail(c, start, "UTF-8");
	struct slx_buf *b = &c->d->text; /* has room for the line */
	size_t from = b->n;
	for (const char *q = start; q < p; q++) {
		if (*q == '\\' && (q[1] == '\\' || q[1] == '"' || q[1] == 'n')) {
			q++;
			slx_buf_u8(b, *q == 'n' ? '\n' : (uint8_t)*q);
		} else {
			slx_buf_u8(b, (uint8_t)*q);
		}
	}
	*ret = slx_decoder_text_since(c->d, from);
	return slx_utf8_valid(ret->p, ret->n) || fail(c, start, "UTF-8");
}

static bool add_label(struct cursor *c, uint32_t from, struct slx_str name, struct slx_str value)
{
	struct slx_decoder *d = c->d;
	for (uint32_t i = from; i < d->labels_n; i++)
		if (slx_str_eq(d->labels[i].name, name))
			return fail(c, c->p, "each label once");
	return slx_decoder_label(d, name, value) || fail(c, c->p, "fewer labels");
}

/* One member between the braces: label="value", "label"="value", or the quoted metric name. */
static bool read_member(struct cursor *c, uint32_t from, struct slx_str *metric)
{
	struct slx_str name, value;
	bool quoted = at_char(c, '"');
	if (quoted && !read_string(c, &name))
		return false;
	if (!quoted)
		name = read_plain_name(c, false);
	if (name.n == 0)
		return fail(c, c->p, "a label name");
	skip_blanks(c);
	if (quoted && metric && !metric->p && !at_char(c, '=')) {
		*metric = name;
		return true;
	}
	if (!at_char(c, '='))
		return fail(c, c->p, "'=' after the label name");
	c->p++;
	skip_blanks(c);
	if (!at_char(c, '"'))
		return fail(c, c->p, "a quoted label value");
	return read_string(c, &value) && add_label(c, from, name, value);
}

/* From '{' to '}'. metric: takes a quoted metric name, when its p is NULL. */
static bool read_labels(struct cursor *c, struct slx_str *metric)
{
	uint32_t from = c->d->labels_n;
	c->p++;
	for (bool first = true;; first = false) {
		skip_blanks(c);
		if (at_char(c, '}') && (first || !c->strict))
			break; /* Prometheus allows a comma before the brace */
		if (!read_member(c, from, metric))
			return false;
		skip_blanks(c);
		if (at_char(c, '}'))
			break;
		if (!at_char(c, ','))
			return fail(c, c->p, "',' or '}'");
		c->p++;
	}
	c->p++;
	return true;
}

/* ---- sample lines ---- */

static struct slx_str read_word(struct cursor *c)
{
	const char *start = c->p;
	while (c->p < c->end && !is_blank(*c->p))
		c->p++;
	return (struct slx_str){ start, (size_t)(c->p - start) };
}

static bool read_value(struct cursor *c, double *ret)
{
	struct slx_str w = read_word(c);
	struct slx_number number;
	enum slx_number_form form = slx_number_parse_special(w.p, w.n, &number);
	if (form != SLX_NUMBER_INT && form != SLX_NUMBER_FLOAT)
		return fail(c, w.p, form == SLX_NUMBER_RANGE ? "a number that fits a double" : "a number, NaN, +Inf or -Inf");
	*ret = number.f64;
	return true;
}

static bool read_time(struct cursor *c, int64_t *ret)
{
	struct slx_str w = read_word(c);
	int64_t ms;
	bool range;
	if (c->strict)
		return slx_decimal_time(w.p, w.n, SLX_UNIT_S, ret) ||
			fail(c, w.p, "a time in seconds, in the years 1677 to 2262");
	return (slx_int64_parse(w.p, w.n, &ms, &range) && slx_time_from_unit(ms, SLX_UNIT_MS, ret, NULL) == SILEX_OK) ||
		fail(c, w.p, "a whole number of milliseconds, in the years 1677 to 2262");
}

static size_t count_chars(struct slx_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* "# {labels} value [time]". Its labels stay behind those of the sample, with room for __name__ between. */
static bool read_exemplar(struct cursor *c, struct slx_exposition_sample *s)
{
	uint32_t own = c->d->labels_n, from = own + 1;
	size_t chars = 0;
	const char *start = c->p++;
	if (!slx_decoder_label(c->d, SLX_METRIC_NAME, SLX_STR("")))
		return fail(c, start, "fewer labels");
	if (!read_blank(c, "a blank") || !at_char(c, '{'))
		return fail(c, c->p, "{labels} of the exemplar");
	if (!read_labels(c, NULL) || !read_blank(c, "a blank and the exemplar's value") ||
		!read_value(c, &s->exemplar.value))
		return false;
	s->exemplar.has_time = c->p < c->end;
	if (c->p < c->end && !(read_blank(c, "a blank") && read_time(c, &s->exemplar.t)))
		return false;
	for (uint32_t i = from; i < c->d->labels_n; i++)
		chars += count_chars(c->d->labels[i].name) + count_chars(c->d->labels[i].value);
	s->exemplar_from = from;
	s->exemplar.labels_n = c->d->labels_n - from;
	c->d->labels_n = own;
	return chars <= EXEMPLAR_CHARS_MAX || fail(c, start, "at most 128 characters of exemplar labels");
}

/* More of the line after a part of it? A blank leads to it; OpenMetrics allows none at the end. */
static bool has_more(struct cursor *c, bool *ret)
{
	*ret = false;
	if (c->p == c->end)
		return true;
	if (!read_blank(c, "a blank"))
		return false;
	*ret = c->p < c->end;
	return *ret || !c->strict || fail(c, c->end - 1, "the end of the line");
}

static bool read_after_value(struct cursor *c, struct slx_exposition_sample *s)
{
	bool more;
	if (!has_more(c, &more))
		return false;
	if (more && *c->p != '#') {
		s->has_time = true;
		if (!read_time(c, &s->t) || !has_more(c, &more))
			return false;
	}
	if (more && c->strict && *c->p == '#') {
		s->has_exemplar = true;
		if (!read_exemplar(c, s))
			return false;
	}
	return c->p == c->end || fail(c, c->p, "the end of the line");
}

static bool read_sample(struct cursor *c, struct slx_exposition_sample *s)
{
	const char *start = c->p;
	*s = (struct slx_exposition_sample){ 0 };
	slx_decoder_labels_reset(c->d);
	if (!at_char(c, '{')) {
		s->name = read_plain_name(c, true);
		if (s->name.n == 0)
			return fail(c, c->p, "a metric name");
	}
	const char *after_name = c->p;
	skip_blanks(c);
	bool braces = at_char(c, '{');
	if (!braces)
		c->p = after_name;
	if (braces && !read_labels(c, s->name.n ? NULL : &s->name))
		return false;
	if (s->name.n == 0)
		return fail(c, c->p, "a metric name");
	s->series = (struct slx_str){ start, (size_t)(c->p - start) };
	if (braces && !c->strict)
		skip_blanks(c);
	else if (!read_blank(c, "a blank and a value"))
		return false;
	return read_value(c, &s->value) && read_after_value(c, s);
}

static void drop_empty_labels(struct slx_decoder *d)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < d->labels_n; i++)
		if (d->labels[i].value.n)
			d->labels[n++] = d->labels[i];
	d->labels_n = n;
}

static bool give_sample(struct cursor *c, struct exposition_decoder *e, const struct slx_exposition_sample *s)
{
	struct slx_decoder *d = &e->base;
	struct slx_row row = {
		.has_time = s->has_time, .t = s->t, .kind = SLX_KIND_FLOAT64, .bits = slx_f64_bits(s->value)
	};
	bool fresh;
	d->stats.exemplars += s->has_exemplar;
	for (uint32_t i = 0; i < d->labels_n; i++)
		if (slx_str_eq(d->labels[i].name, SLX_METRIC_NAME))
			return fail(c, s->series.p, "no label __name__");
	drop_empty_labels(d);
	if (!slx_decoder_label(d, SLX_METRIC_NAME, s->name))
		return fail(c, s->series.p, "fewer labels");
	row.series_key = slx_decoder_series(d, &e->series, s->series.p, s->series.n, &row, &fresh);
	if (fresh || !row.series_key || d->limits.labels_every_row) {
		row.labels = d->labels;
		row.labels_n = d->labels_n;
	}
	if (slx_decoder_emit(d, &row) && s->has_exemplar && d->sink.exemplar) {
		struct slx_exemplar x = s->exemplar;
		x.labels = d->labels + s->exemplar_from;
		d->sink.exemplar(d->sink.arg, &x);
	}
	return true;
}

/* Tells what turned out to be wrong with the lines above the one that begins at `line`. */
static void tell_past(struct exposition_decoder *e, const char *line)
{
	if (e->om.past)
		slx_decoder_error(&e->base, line, line, "expected %s", e->om.past);
	e->om.past = NULL;
}

/* ---- comment lines ---- */

static struct slx_str next_part(struct slx_str *rest)
{
	const char *blank = memchr(rest->p, ' ', rest->n);
	struct slx_str part = { rest->p, blank ? (size_t)(blank - rest->p) : rest->n };
	rest->p += part.n;
	rest->n -= part.n;
	if (rest->n) {
		rest->p++;
		rest->n--;
	} else {
		rest->p = NULL; /* no blank followed */
	}
	return part;
}

static bool is_metric_name(struct slx_str s)
{
	if (s.n > 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return true;
	for (size_t i = 0; i < s.n; i++)
		if (!is_name_char(s.p[i], i == 0, true))
			return false;
	return s.n > 0;
}

/* Tells the sink; the quotes of a name and the escapes of a help text are undone. */
static void give_metadata(struct cursor *c, struct slx_str keyword, struct slx_str name, struct slx_str text)
{
	const struct slx_sink *sink = &c->d->sink;
	struct slx_buf *b = &c->d->text;
	struct slx_str none = { 0 };
	if (name.p[0] == '"')
		name = (struct slx_str){ name.p + 1, name.n - 2 };
	if (keyword.p[0] == 'T') {
		sink->metadata(sink->arg, name, text, none, none);
	} else if (keyword.p[0] == 'U') {
		sink->metadata(sink->arg, name, none, text, none);
	} else {
		size_t from = b->n;
		for (size_t i = 0; i < text.n; i++) {
			bool escape = text.p[i] == '\\' && i + 1 < text.n && (text.p[i + 1] == 'n' || text.p[i + 1] == '\\' || text.p[i + 1] == '"');
			i += escape;
			slx_buf_u8(b, escape && text.p[i] == 'n' ? '\n' : (uint8_t)text.p[i]);
		}
		sink->metadata(sink->arg, name, none, none, slx_decoder_text_since(c->d, from));
	}
}

/* Prometheus: any comment; those that begin with HELP or TYPE and a name tell something. */
static void read_comment(struct cursor *c)
{
	struct slx_str rest = { c->p, (size_t)(c->end - c->p) }, word[3] = { { 0 } };
	for (size_t i = 0; i < 3 && rest.p; i++)
		word[i] = next_part(&rest);
	bool help = slx_str_eq(word[1], SLX_STR("HELP"));
	if (word[0].n == 1 && (help || slx_str_eq(word[1], SLX_STR("TYPE"))) && is_metric_name(word[2]) && rest.p &&
		slx_utf8_valid(rest.p, rest.n))
		give_metadata(c, word[1], word[2], rest);
}

/* "# HELP name text", "# TYPE name type", "# UNIT name unit". */
static bool read_metadata(struct cursor *c, struct exposition_decoder *e)
{
	struct slx_str rest = { c->p, (size_t)(c->end - c->p) };
	struct slx_str hash = next_part(&rest), keyword = { 0 }, name = { 0 };
	if (rest.p)
		keyword = next_part(&rest);
	bool known = hash.n == 1 &&
		(slx_str_eq(keyword, SLX_STR("HELP")) || slx_str_eq(keyword, SLX_STR("TYPE")) ||
			slx_str_eq(keyword, SLX_STR("UNIT")));
	if (!known)
		return fail(c, c->p, "# HELP, # TYPE, # UNIT or # EOF");
	if (rest.p)
		name = next_part(&rest);
	if (!is_metric_name(name))
		return fail(c, name.p ? name.p : c->end, "a metric name");
	if (!rest.p)
		return fail(c, c->end, "a blank and a text");
	if (!slx_utf8_valid(rest.p, rest.n))
		return fail(c, rest.p, "UTF-8");
	const char *expected = e->lenient ? NULL : slx_om_metadata(&e->om, keyword, name, rest);
	if (!expected && c->d->sink.metadata)
		give_metadata(c, keyword, name, rest);
	tell_past(e, c->p);
	return !expected || fail(c, c->p, expected);
}

/* ---- lines ---- */

static bool decode_openmetrics(struct cursor *c, struct exposition_decoder *e)
{
	struct slx_exposition_sample s;
	const char *start = c->p;
	size_t n = (size_t)(c->end - start);
	if (n == 5 && memcmp(c->p, "# EOF", 5) == 0) {
		e->om.eof = true;
		slx_om_end(&e->om);
		tell_past(e, start);
		return true;
	}
	if (n == 0)
		return fail(c, c->p, "no blank line");
	if (at_char(c, '#'))
		return read_metadata(c, e);
	if (!read_sample(c, &s))
		return false;
	const char *expected = e->lenient ? NULL : slx_om_sample(&e->om, &s);
	tell_past(e, start);
	return expected ? fail(c, start, expected) : give_sample(c, e, &s);
}

static bool decode_prometheus(struct cursor *c, struct exposition_decoder *e)
{
	struct slx_exposition_sample s;
	if (c->end > c->p && c->end[-1] == '\r')
		c->end--;
	skip_blanks(c);
	if (c->p == c->end || *c->p == '#') {
		if (c->p < c->end && c->d->sink.metadata)
			read_comment(c);
		return true;
	}
	return read_sample(c, &s) && give_sample(c, e, &s);
}

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	struct exposition_decoder *e = (struct exposition_decoder *)d;
	const char *nl = memchr(p, '\n', n);
	if (!nl && !final)
		return 0;
	size_t size = nl ? (size_t)(nl - p) : n;
	struct cursor c = { .d = d, .p = p, .end = p + size, .strict = e->openmetrics };
	if (e->om.eof) {
		if (!e->told_text_after_eof)
			slx_decoder_error(d, p, p, "expected nothing after # EOF");
		e->told_text_after_eof = true;
	} else if (slx_decoder_text_reserve(d, size) &&
		!(e->openmetrics ? decode_openmetrics(&c, e) : decode_prometheus(&c, e)) && d->status == SILEX_OK) {
		slx_decoder_error(d, p, c.bad, "expected %s", c.expected);
	}
	return size + (nl != NULL);
}

static void finish(struct slx_decoder *d)
{
	struct exposition_decoder *e = (struct exposition_decoder *)d;
	if (!e->openmetrics || e->om.eof)
		return;
	slx_om_end(&e->om);
	tell_past(e, NULL);
	slx_decoder_error(d, NULL, NULL, "expected # EOF at the end");
}

static const struct slx_decoder_ops ops = { .record = record, .finish = finish, .destroy = destroy };

silex_status slx_decoder_exposition(struct slx_mem *m, const struct slx_exposition_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_new(m, sizeof(struct exposition_decoder), &ops, limits, sink, &d, err));
	struct exposition_decoder *e = (struct exposition_decoder *)d;
	e->openmetrics = o && o->openmetrics;
	e->lenient = o && o->lenient;
	slx_keymap_init(&e->series, m, d->limits.series_max, d->limits.cache_size_max / 2);
	slx_om_init(&e->om, d);
	*ret = d;
	return SILEX_OK;
}
