/* JSON lines -> rows. One object a line, in one of two forms:
 *
 *     {"metric":{"__name__":"up","job":"a"},"values":[1,0.5],"timestamps":[1700000000000,1700000015000]}
 *     {"name":"up","labels":{"job":"a"},"time":"2024-05-01T10:00:00Z","value":1.5}
 *
 * The first is VictoriaMetrics' export (times in ms), the second ours (time as text, or a number of ns; without it the
 * caller's clock). The line is scanned once to find its members, then the series is looked up by the text that names
 * it, then the values are read. */
#include "formats/formats_int.h"
#include "formats/json.h"

#include <stdio.h>

struct jsonl_decoder {
	struct slx_decoder base;
	struct slx_keymap series; /* name or metric, and labels, as written */
	struct slx_buf key;       /* of the current line */
	struct slx_buf values;    /* unescaped values; the labels are in base.text */
};

/* The members of a line, as written; p NULL: absent. */
struct line {
	struct slx_str metric, values, timestamps;
	struct slx_str name, labels, time, value;
	uint64_t values_n, timestamps_n;
};

static void destroy(struct slx_decoder *d)
{
	struct jsonl_decoder *j = (struct jsonl_decoder *)d;
	slx_keymap_free(&j->series);
	slx_buf_free(&j->key);
	slx_buf_free(&j->values);
}

static bool read_array(struct slx_json *s, uint64_t max, struct slx_str *ret, uint64_t *ret_n)
{
	slx_json_peek(s);
	const char *start = s->p;
	uint64_t n = 0;
	if (!slx_json_array(s))
		return false;
	while (slx_json_element(s))
		if (n++ == max)
			return slx_json_fail(s, s->p, "fewer elements");
		else if (!slx_json_skip(s, NULL))
			return false;
	*ret = (struct slx_str){ start, (size_t)(s->p - start) };
	*ret_n = n;
	return !s->bad;
}

static bool read_member(struct slx_json *s, struct slx_str key, uint64_t max, struct line *l)
{
	const struct {
		struct slx_str name;
		struct slx_str *raw;
		uint64_t *n; /* arrays */
	} members[] = {
		{ SLX_STR("metric"), &l->metric, NULL },
		{ SLX_STR("values"), &l->values, &l->values_n },
		{ SLX_STR("timestamps"), &l->timestamps, &l->timestamps_n },
		{ SLX_STR("name"), &l->name, NULL },
		{ SLX_STR("labels"), &l->labels, NULL },
		{ SLX_STR("time"), &l->time, NULL },
		{ SLX_STR("value"), &l->value, NULL },
	};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		if (!slx_str_eq(key, members[i].name))
			continue;
		if (members[i].raw->p)
			return slx_json_fail(s, s->p, "each member once");
		return members[i].n ? read_array(s, max, members[i].raw, members[i].n) : slx_json_skip(s, members[i].raw);
	}
	return slx_json_fail(s, s->p, "metric, values and timestamps, or name, labels, time and value");
}

static bool read_line(struct slx_json *s, uint64_t max, struct line *l)
{
	struct slx_str key;
	const char *start = s->p;
	if (!slx_json_object(s))
		return false;
	while (slx_json_key(s, &key))
		if (!read_member(s, key, max, l))
			return false;
	if (!slx_json_end(s))
		return false;
	bool columns =
		l->metric.p && l->values.p && l->timestamps.p && !l->name.p && !l->labels.p && !l->time.p && !l->value.p;
	bool single = l->name.p && l->value.p && !l->metric.p && !l->values.p && !l->timestamps.p;
	if (!columns && !single)
		return slx_json_fail(s, start, "metric, values and timestamps, or name, labels, time and value");
	if (columns && l->values_n != l->timestamps_n)
		return slx_json_fail(s, l->timestamps.p, "as many timestamps as values");
	return true;
}

/* ---- the series ---- */

static bool add_labels(struct slx_decoder *d, struct slx_json *s)
{
	struct slx_str name, value;
	if (!slx_json_object(s))
		return false;
	while (slx_json_key(s, &name)) {
		if (name.n == 0)
			return slx_json_fail(s, s->p, "a label name");
		if (!slx_json_string(s, &value))
			return false;
		if (value.n && !slx_decoder_label(d, name, value))
			return slx_json_fail(s, s->p, "fewer labels");
	}
	return !s->bad;
}

static bool build_labels(struct slx_decoder *d, const struct line *l, struct slx_json *ret)
{
	struct slx_str labels = l->metric.p ? l->metric : l->labels;
	slx_decoder_labels_reset(d);
	*ret = (struct slx_json){ 0 };
	if (!slx_decoder_text_reserve(d, l->name.n + labels.n))
		return false;
	if (l->name.p) {
		struct slx_str name;
		*ret = slx_json_init(l->name.p, l->name.n, &d->text);
		if (!slx_json_string(ret, &name))
			return false;
		if (name.n == 0)
			return slx_json_fail(ret, l->name.p, "a name");
		if (!slx_decoder_label(d, SLX_METRIC_NAME, name))
			return slx_json_fail(ret, l->name.p, "fewer labels");
	}
	if (labels.p) {
		*ret = slx_json_init(labels.p, labels.n, &d->text);
		if (!add_labels(d, ret))
			return false;
	}
	return d->labels_n > 0 || slx_json_fail(ret, labels.p, "at least one label");
}

/* The number of the series, or its labels. False: *ret has the error, if it is one of the input. */
static bool find_series(struct jsonl_decoder *j, const struct line *l, struct slx_row *row, struct slx_json *ret)
{
	struct slx_decoder *d = &j->base;
	struct slx_str head = l->metric.p ? l->metric : l->name;
	slx_buf_reset(&j->key);
	slx_buf_u32(&j->key, (uint32_t)head.n);
	slx_buf_put(&j->key, head.p, head.n);
	slx_buf_put(&j->key, l->labels.p, l->labels.n);
	bool fresh;
	if (!j->key.failed)
		row->series_key = d->sink.known ? slx_decoder_series(d, NULL, j->key.p, j->key.n, row, &fresh) :
						  slx_keymap_find(&j->series, (const char *)j->key.p, j->key.n);
	if (row->series_key && !d->limits.labels_every_row)
		return true;
	if (!build_labels(d, l, ret))
		return false;
	row->labels = d->labels;
	row->labels_n = d->labels_n;
	return true;
}

/* A series gets its number with its first row. */
static bool give(struct jsonl_decoder *j, struct slx_row *row)
{
	bool fresh;
	if (!row->series_key && !j->key.failed)
		row->series_key = slx_decoder_series(&j->base, &j->series, j->key.p, j->key.n, row, &fresh);
	if (!slx_decoder_emit(&j->base, row))
		return false;
	if (!row->series_key && !j->key.failed && j->base.sink.known) /* the caller may know it by now */
		row->series_key = j->base.sink.known(j->base.sink.arg, row->key);
	if (row->series_key && !j->base.limits.labels_every_row)
		row->labels_n = 0;
	return true;
}

/* ---- values ---- */

enum value { VALUE_SAMPLE, VALUE_NULL, VALUE_BAD };

static enum value read_text_value(struct slx_json *s, struct slx_row *row)
{
	struct slx_str text;
	struct slx_number number;
	if (!slx_json_string(s, &text))
		return VALUE_BAD;
	enum slx_number_form form = slx_number_parse_special(text.p, text.n, &number);
	if (form != SLX_NUMBER_INT && form != SLX_NUMBER_FLOAT) {
		slx_json_fail(s, s->p, "a number, \"NaN\", \"+Inf\" or \"-Inf\"");
		return VALUE_BAD;
	}
	row->kind = SLX_KIND_FLOAT64;
	row->bits = slx_f64_bits(number.f64);
	return VALUE_SAMPLE;
}

/* whole: integers are int64; else only those that a double cannot hold. */
static enum value read_value(struct slx_json *s, bool whole, struct slx_row *row)
{
	struct slx_str text;
	struct slx_number number;
	bool b;
	switch (slx_json_peek(s)) {
	case '"':
		return read_text_value(s, row);
	case 'n':
		return slx_json_null(s) ? VALUE_NULL : VALUE_BAD;
	case 't':
	case 'f':
		if (!slx_json_bool(s, &b))
			return VALUE_BAD;
		row->kind = SLX_KIND_BOOL;
		row->bits = b;
		return VALUE_SAMPLE;
	}
	if (!slx_json_number(s, &text))
		return VALUE_BAD;
	enum slx_number_form form = slx_number_parse(text.p, text.n, &number);
	if (form == SLX_NUMBER_RANGE) {
		slx_json_fail(s, text.p, "a number that fits a double");
		return VALUE_BAD;
	}
	row->kind = SLX_KIND_FLOAT64;
	row->bits = slx_f64_bits(number.f64);
	if (form == SLX_NUMBER_INT && (whole || slx_needs_int64(number.i64))) {
		row->kind = SLX_KIND_INT64;
		row->bits = (uint64_t)number.i64;
	}
	return VALUE_SAMPLE;
}

static bool read_time(struct slx_json *s, enum slx_time_unit unit, int64_t *ret)
{
	struct slx_str text;
	bool ok;
	slx_json_peek(s);
	const char *start = s->p;
	if (start < s->end && *start == '"')
		ok = slx_json_string(s, &text) && slx_field_time(text.p, text.n, SLX_UNIT_AUTO, ret);
	else
		ok = slx_json_number(s, &text) && slx_decimal_time(text.p, text.n, unit, ret);
	return ok || slx_json_fail(s, start, "a time in the years 1677 to 2262");
}

static bool give_columns(struct jsonl_decoder *j, const struct line *l, struct slx_row *row, struct slx_json *ret)
{
	struct slx_json times = slx_json_init(l->timestamps.p, l->timestamps.n, &j->values);
	*ret = slx_json_init(l->values.p, l->values.n, &j->values);
	row->has_time = true;
	slx_json_array(&times);
	for (slx_json_array(ret); slx_json_element(ret) && slx_json_element(&times);) {
		slx_buf_reset(&j->values);
		enum value v = read_value(ret, false, row);
		if (v == VALUE_BAD)
			return false;
		if (!read_time(&times, SLX_UNIT_MS, &row->t)) {
			*ret = times;
			return false;
		}
		if (v == VALUE_NULL)
			j->base.stats.skipped++;
		else if (!give(j, row))
			return false;
	}
	return true;
}

static bool give_single(struct jsonl_decoder *j, const struct line *l, struct slx_row *row, struct slx_json *ret)
{
	slx_buf_reset(&j->values);
	if (l->time.p) {
		*ret = slx_json_init(l->time.p, l->time.n, &j->values);
		row->has_time = true;
		if (!read_time(ret, SLX_UNIT_NS, &row->t))
			return false;
	}
	*ret = slx_json_init(l->value.p, l->value.n, &j->values);
	enum value v = read_value(ret, true, row);
	if (v == VALUE_SAMPLE)
		return give(j, row);
	j->base.stats.skipped += v == VALUE_NULL;
	return v == VALUE_NULL;
}

static void decode_line(struct jsonl_decoder *j, const char *p, size_t n)
{
	struct slx_decoder *d = &j->base;
	struct line l = { 0 };
	struct slx_row row = { 0 };
	struct slx_json s;
	if (!slx_decoder_text_reserve(d, n))
		return;
	s = slx_json_init(p, n, &d->text);
	if (slx_json_peek(&s) == 0)
		return;
	bool ok = read_line(&s, d->limits.fields_max, &l) && find_series(j, &l, &row, &s) &&
		(l.metric.p ? give_columns(j, &l, &row, &s) : give_single(j, &l, &row, &s));
	if (!ok && s.bad && d->status == SILEX_OK)
		slx_decoder_error(d, p, s.bad, "expected %s", s.expected);
}

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	const char *nl = memchr(p, '\n', n);
	if (!nl && !final)
		return 0;
	size_t size = nl ? (size_t)(nl - p) : n;
	decode_line((struct jsonl_decoder *)d, p, size);
	return size + (nl != NULL);
}

static const struct slx_decoder_ops ops = { .record = record, .destroy = destroy };

silex_status slx_decoder_jsonl(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_new(m, sizeof(struct jsonl_decoder), &ops, limits, sink, &d, err));
	struct jsonl_decoder *j = (struct jsonl_decoder *)d;
	slx_keymap_init(&j->series, m, d->limits.series_max, d->limits.cache_size_max);
	slx_buf_init(&j->key, m, SLX_MEM_OTHER, d->limits.line_size_max + 8);
	slx_buf_init(&j->values, m, SLX_MEM_OTHER, d->limits.line_size_max);
	*ret = d;
	return SILEX_OK;
}
