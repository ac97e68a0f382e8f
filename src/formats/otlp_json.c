/* OTLP metrics from JSON (the OTLP/HTTP JSON encoding: protobuf's JSON mapping, ids in hexadecimal, enums as numbers). Names may
 * be lowerCamelCase or as in the .proto files; 64-bit integers may be strings. Arrays are walked twice, to count and to fill. */
#include "formats/json.h"
#include "formats/otlp_int.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct slx_otlp_decoder *d;
	struct slx_json j;
};

static bool going(const struct reader *r) { return !r->j.bad && r->d->status == SILEX_OK; }

/* camel: "dataPoints" also stands for "data_points". */
static bool is(struct slx_str key, const char *camel)
{
	size_t i = 0;
	for (; *camel; camel++) {
		bool upper = *camel >= 'A' && *camel <= 'Z';
		if (upper && i < key.n && key.p[i] == '_')
			i++;
		char lower = (char)(*camel | (upper ? 0x20 : 0));
		if (i >= key.n || (key.p[i] != *camel && !(upper && i > 0 && key.p[i - 1] == '_' && key.p[i] == lower)))
			return false;
		i++;
	}
	return i == key.n;
}

/* Enters the array that comes and makes room for its elements. NULL with none, or after an error. */
static void *enter_array(struct reader *r, size_t each)
{
	struct slx_json ahead = r->j;
	size_t text_n = r->j.text->n, n = 0;
	if (slx_json_array(&ahead))
		while (slx_json_element(&ahead) && slx_json_skip(&ahead, NULL))
			n++;
	r->j.text->n = text_n; /* what skipping unescaped is not needed */
	if (ahead.bad) {
		slx_json_fail(&r->j, ahead.bad, ahead.expected);
		return NULL;
	}
	slx_json_array(&r->j);
	return slx_otlp_array(r->d, n, each);
}

/* Is there a next element? */
static bool element(struct reader *r) { return going(r) && slx_json_element(&r->j); }
static bool key(struct reader *r, struct slx_str *ret) { return going(r) && slx_json_key(&r->j, ret); }

static void skip(struct reader *r)
{
	size_t n = r->j.text->n;
	slx_json_skip(&r->j, NULL);
	r->j.text->n = n;
}

static struct slx_str string(struct reader *r)
{
	struct slx_str s = { "", 0 };
	if (slx_json_peek(&r->j) == 'n')
		slx_json_null(&r->j);
	else
		slx_json_string(&r->j, &s);
	return s;
}

/* A number's text, in quotes or not, as a C string. */
static bool digits(struct reader *r, char ret[64])
{
	struct slx_str s;
	const char *at = r->j.p;
	if (!(slx_json_peek(&r->j) == '"' ? slx_json_string(&r->j, &s) : slx_json_number(&r->j, &s)))
		return false;
	if (s.n == 0 || s.n >= 64)
		return slx_json_fail(&r->j, at, "a number");
	memcpy(ret, s.p, s.n);
	ret[s.n] = 0;
	return true;
}

static double number(struct reader *r)
{
	char text[64], *end;
	const char *at = r->j.p;
	if (!digits(r, text))
		return 0;
	double v = strtod(text, &end); /* takes NaN, Infinity and -Infinity, too */
	if (*end)
		slx_json_fail(&r->j, at, "a number");
	return v;
}

static int64_t integer(struct reader *r, bool is_unsigned)
{
	char text[64], *end;
	const char *at = r->j.p;
	if (!digits(r, text))
		return 0;
	int64_t v = is_unsigned ? (int64_t)strtoull(text, &end, 10) : (int64_t)strtoll(text, &end, 10);
	if (*end || (is_unsigned && text[0] == '-'))
		slx_json_fail(&r->j, at, is_unsigned ? "a whole number from 0" : "a whole number");
	return v;
}

/* ---- attributes ---- */

/* AnyValue as text; nested: as JSON. */
static void put_value(struct reader *r, struct slx_buf *out, bool nested);

static void put_elements(struct reader *r, struct slx_buf *out)
{
	struct slx_str k;
	bool first = true;
	slx_json_object(&r->j);
	slx_buf_u8(out, '[');
	while (key(r, &k)) {
		if (!is(k, "values")) {
			skip(r);
			continue;
		}
		slx_json_array(&r->j);
		while (element(r)) {
			if (!first)
				slx_buf_u8(out, ',');
			first = false;
			put_value(r, out, true);
		}
	}
	slx_buf_u8(out, ']');
}

static void put_pair(struct reader *r, struct slx_buf *out)
{
	struct slx_str k;
	slx_json_object(&r->j);
	while (key(r, &k)) {
		if (is(k, "key")) {
			slx_otlp_put_json_string(out, string(r));
			slx_buf_u8(out, ':');
		} else if (is(k, "value")) {
			put_value(r, out, true);
		} else {
			skip(r);
		}
	}
}

static void put_pairs(struct reader *r, struct slx_buf *out)
{
	struct slx_str k;
	bool first = true;
	slx_json_object(&r->j);
	slx_buf_u8(out, '{');
	while (key(r, &k)) {
		if (!is(k, "values")) {
			skip(r);
			continue;
		}
		slx_json_array(&r->j);
		while (element(r)) {
			if (!first)
				slx_buf_u8(out, ',');
			first = false;
			put_pair(r, out);
		}
	}
	slx_buf_u8(out, '}');
}

static void put_plain(struct reader *r, struct slx_buf *out, bool quoted)
{
	struct slx_str s = string(r);
	if (quoted)
		slx_otlp_put_json_string(out, s);
	else
		slx_buf_put(out, s.p, s.n);
}

static void put_number(struct reader *r, struct slx_buf *out)
{
	char text[64];
	if (digits(r, text))
		slx_buf_put(out, text, strlen(text));
}

static void put_value(struct reader *r, struct slx_buf *out, bool nested)
{
	struct slx_str k;
	size_t before = out->n;
	bool yes;
	slx_json_object(&r->j);
	while (key(r, &k)) {
		if (is(k, "stringValue") || is(k, "bytesValue"))
			put_plain(r, out, nested);
		else if (is(k, "intValue") || is(k, "doubleValue"))
			put_number(r, out);
		else if (is(k, "arrayValue"))
			put_elements(r, out);
		else if (is(k, "kvlistValue"))
			put_pairs(r, out);
		else if (!is(k, "boolValue"))
			skip(r);
		else if (slx_json_bool(&r->j, &yes))
			slx_buf_put(out, yes ? "true" : "false", yes ? 4 : 5);
	}
	if (nested && out->n == before)
		slx_buf_put(out, "null", 4);
}

static struct slx_str attribute_value(struct reader *r)
{
	struct slx_buf out;
	slx_buf_init(&out, r->d->arena->mem, r->d->arena->use, 1 << 20);
	put_value(r, &out, false);
	struct slx_str s = slx_otlp_text(r->d, &out);
	slx_buf_free(&out);
	return s;
}

static struct slx_otlp_attributes attributes(struct reader *r)
{
	struct slx_otlp_attributes list = { enter_array(r, sizeof *list.p), 0 };
	struct slx_str k;
	while (element(r)) {
		struct slx_otlp_attribute *a = &list.p[list.n++];
		a->key = a->value = SLX_STR("");
		slx_json_object(&r->j);
		while (key(r, &k))
			if (is(k, "key"))
				a->key = string(r);
			else if (is(k, "value"))
				a->value = attribute_value(r);
			else
				skip(r);
	}
	return list;
}

/* ---- data points ---- */

static void exemplars(struct reader *r, struct slx_otlp_point *p)
{
	struct slx_str k;
	p->exemplars = enter_array(r, sizeof *p->exemplars);
	while (element(r)) {
		struct slx_otlp_exemplar *e = &p->exemplars[p->n_exemplars++];
		e->trace_id = e->span_id = SLX_STR("");
		slx_json_object(&r->j);
		while (key(r, &k))
			if (is(k, "filteredAttributes"))
				e->attributes = attributes(r);
			else if (is(k, "timeUnixNano"))
				e->time = (uint64_t)integer(r, true);
			else if (is(k, "asDouble") || is(k, "asInt"))
				e->value = number(r);
			else if (is(k, "traceId"))
				e->trace_id = string(r);
			else if (is(k, "spanId"))
				e->span_id = string(r);
			else
				skip(r);
	}
}

static uint64_t *counts(struct reader *r, size_t *n)
{
	uint64_t *p = enter_array(r, sizeof *p);
	*n = 0;
	while (element(r))
		p[(*n)++] = (uint64_t)integer(r, true);
	return p;
}

static double *bounds(struct reader *r, size_t *n)
{
	double *p = enter_array(r, sizeof *p);
	*n = 0;
	while (element(r))
		p[(*n)++] = number(r);
	return p;
}

static void buckets(struct reader *r, struct slx_otlp_buckets *b)
{
	struct slx_str k;
	slx_json_object(&r->j);
	while (key(r, &k))
		if (is(k, "offset"))
			b->offset = (int32_t)integer(r, false);
		else if (is(k, "bucketCounts"))
			b->counts = counts(r, &b->n);
		else
			skip(r);
}

static void quantiles(struct reader *r, struct slx_otlp_point *p)
{
	struct slx_str k;
	p->quantiles = enter_array(r, sizeof *p->quantiles);
	while (element(r)) {
		struct slx_otlp_quantile *q = &p->quantiles[p->n_quantiles++];
		slx_json_object(&r->j);
		while (key(r, &k))
			if (is(k, "quantile"))
				q->quantile = number(r);
			else if (is(k, "value"))
				q->value = number(r);
			else
				skip(r);
	}
}

/* Members that are a number. False: another one. */
static bool scalar_member(struct reader *r, struct slx_str k, struct slx_otlp_point *p)
{
	if (is(k, "startTimeUnixNano"))
		p->start = (uint64_t)integer(r, true);
	else if (is(k, "timeUnixNano"))
		p->time = (uint64_t)integer(r, true);
	else if (is(k, "asDouble") || is(k, "asInt"))
		p->value = number(r);
	else if (is(k, "flags"))
		p->no_value = integer(r, true) & 1;
	else if (is(k, "count"))
		p->count = (uint64_t)integer(r, true);
	else if (is(k, "sum"))
		p->has_sum = true, p->sum = number(r);
	else if (is(k, "scale"))
		p->scale = (int32_t)integer(r, false);
	else if (is(k, "zeroCount"))
		p->zero_count = (uint64_t)integer(r, true);
	else if (is(k, "zeroThreshold"))
		p->zero_threshold = number(r);
	else
		return false;
	return true;
}

static void point(struct reader *r, struct slx_otlp_point *p)
{
	struct slx_str k;
	slx_json_object(&r->j);
	while (key(r, &k)) {
		if (scalar_member(r, k, p))
			continue;
		if (is(k, "attributes"))
			p->attributes = attributes(r);
		else if (is(k, "exemplars"))
			exemplars(r, p);
		else if (is(k, "bucketCounts"))
			p->counts = counts(r, &p->n_counts);
		else if (is(k, "explicitBounds"))
			p->bounds = bounds(r, &p->n_bounds);
		else if (is(k, "positive"))
			buckets(r, &p->positive);
		else if (is(k, "negative"))
			buckets(r, &p->negative);
		else if (is(k, "quantileValues"))
			quantiles(r, p);
		else
			skip(r);
	}
}

/* ---- metrics, scopes, resources ---- */

static enum slx_otlp_temporality temporality(struct reader *r)
{
	if (slx_json_peek(&r->j) == '"') {
		struct slx_str s = string(r);
		return slx_str_eq(s, SLX_STR("AGGREGATION_TEMPORALITY_DELTA"))    ? SLX_OTLP_DELTA
			: slx_str_eq(s, SLX_STR("AGGREGATION_TEMPORALITY_CUMULATIVE")) ? SLX_OTLP_CUMULATIVE
																		   : SLX_OTLP_UNSPECIFIED;
	}
	int64_t n = integer(r, true);
	return n == SLX_OTLP_DELTA || n == SLX_OTLP_CUMULATIVE ? (enum slx_otlp_temporality)n : SLX_OTLP_UNSPECIFIED;
}

static void metric_data(struct reader *r, struct slx_otlp_metric *m)
{
	struct slx_str k;
	slx_json_object(&r->j);
	while (key(r, &k))
		if (is(k, "dataPoints")) {
			m->points = enter_array(r, sizeof *m->points);
			m->n_points = 0;
			while (element(r))
				point(r, &m->points[m->n_points++]);
		} else if (is(k, "aggregationTemporality")) {
			m->temporality = temporality(r);
		} else if (is(k, "isMonotonic")) {
			slx_json_bool(&r->j, &m->monotonic);
		} else {
			skip(r);
		}
}

static enum slx_otlp_type type_of(struct slx_str k)
{
	return is(k, "gauge")               ? SLX_OTLP_GAUGE
		: is(k, "sum")                  ? SLX_OTLP_SUM
		: is(k, "histogram")            ? SLX_OTLP_HISTOGRAM
		: is(k, "exponentialHistogram") ? SLX_OTLP_EXPONENTIAL
		: is(k, "summary")              ? SLX_OTLP_SUMMARY
										: SLX_OTLP_NONE;
}

static void metric(struct reader *r, struct slx_otlp_metric *m)
{
	struct slx_str k;
	m->name = m->description = m->unit = SLX_STR("");
	slx_json_object(&r->j);
	while (key(r, &k)) {
		enum slx_otlp_type type = type_of(k);
		if (is(k, "name"))
			m->name = string(r);
		else if (is(k, "description"))
			m->description = string(r);
		else if (is(k, "unit"))
			m->unit = string(r);
		else if (type == SLX_OTLP_NONE)
			skip(r);
		else {
			m->type = type;
			metric_data(r, m);
		}
	}
}

static void scope(struct reader *r, struct slx_otlp_scope *s)
{
	struct slx_str k;
	s->name = s->version = SLX_STR("");
	slx_json_object(&r->j);
	while (key(r, &k))
		if (is(k, "metrics")) {
			s->metrics = enter_array(r, sizeof *s->metrics);
			while (element(r))
				metric(r, &s->metrics[s->n_metrics++]);
		} else if (is(k, "scope")) {
			slx_json_object(&r->j);
			while (key(r, &k))
				if (is(k, "name") || is(k, "version"))
					*(is(k, "name") ? &s->name : &s->version) = string(r);
				else
					skip(r);
		} else {
			skip(r);
		}
}

static void resource(struct reader *r, struct slx_otlp_resource *m)
{
	struct slx_str k;
	slx_json_object(&r->j);
	while (key(r, &k))
		if (is(k, "scopeMetrics")) {
			m->scopes = enter_array(r, sizeof *m->scopes);
			while (element(r))
				scope(r, &m->scopes[m->n_scopes++]);
		} else if (is(k, "resource")) {
			slx_json_object(&r->j);
			while (key(r, &k))
				if (is(k, "attributes"))
					m->attributes = attributes(r);
				else
					skip(r);
		} else {
			skip(r);
		}
}

/* Line and column of a place, from 1. */
static silex_status bad_place(struct slx_str body, const char *at, const char *expected, silex_error *err)
{
	unsigned long long line = 1, column = 1;
	for (const char *p = body.p; p < at; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	return slx_err(err, SILEX_INVALID, "JSON: line %llu, column %llu: expected %s", line, column, expected);
}

silex_status slx_otlp_decode_json(struct slx_arena *a, size_t memory_max, struct slx_str body, struct slx_otlp_request *ret, silex_error *err)
{
	struct slx_otlp_decoder d = { .arena = a, .memory_max = memory_max };
	struct slx_otlp_request q = { 0 };
	struct slx_buf text; /* unescaped strings; they live as long as the arena */
	struct slx_str k;
	uint8_t *room = slx_otlp_array(&d, body.n + 1, 1);
	if (!room)
		return slx_err(err, d.status, "%s", d.error.message);
	text = (struct slx_buf){ .mem = a->mem, .use = a->use, .p = room, .cap = body.n + 1, .size_max = body.n + 1 };
	struct reader r = { &d, slx_json_init(body.p, body.n, &text) };
	slx_json_object(&r.j);
	while (key(&r, &k))
		if (is(k, "resourceMetrics")) {
			q.resources = enter_array(&r, sizeof *q.resources);
			while (element(&r))
				resource(&r, &q.resources[q.n_resources++]);
		} else {
			skip(&r);
		}
	if (going(&r))
		slx_json_end(&r.j);
	if (d.status != SILEX_OK)
		return slx_err(err, d.status, "%s", d.error.message);
	if (r.j.bad)
		return bad_place(body, r.j.bad, r.j.expected, err);
	*ret = q;
	return SILEX_OK;
}
