/* OTLP metrics from protobuf. Each message is walked twice: once to count its repeated fields, once to fill arrays of just that
 * size in the arena. Field numbers are those of opentelemetry-proto 1.x: metrics/v1/metrics.proto, common/v1, resource/v1. */
#include "formats/otlp_int.h"
#include "formats/protobuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Sets the status from a reader that failed; true when it did not. */
static bool sound(struct slx_otlp_decoder *d, const struct slx_pb *r)
{
	if (r->bad && d->status == SILEX_OK)
		d->status = slx_err(&d->error, SILEX_INVALID, "protobuf: at byte %zu: expected %s", (size_t)(r->bad_at - d->begin), r->bad);
	return d->status == SILEX_OK;
}

/* A field whose wire type is not the schema's. */
static bool is(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, enum slx_pb_wire wire)
{
	if (f->wire == wire)
		return true;
	slx_pb_fail(r, wire == SLX_PB_BYTES ? "a length-delimited field" : wire == SLX_PB_FIXED64 ? "a fixed64 field" : "a varint field");
	return sound(d, r);
}

/* The repeated message field `number` of msg: how many, as an array for them. */
static void *repeated(struct slx_otlp_decoder *d, struct slx_str msg, uint32_t number, size_t each)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	size_t n = 0;
	while (slx_pb_next(&r, &f))
		n += f.number == number && f.wire == SLX_PB_BYTES;
	return sound(d, &r) ? slx_otlp_array(d, n, each) : NULL;
}

static struct slx_str text(struct slx_otlp_decoder *d, struct slx_str s)
{
	if (d->status == SILEX_OK && !slx_utf8_valid(s.p, s.n))
		d->status = slx_err(&d->error, SILEX_INVALID, "protobuf: at byte %zu: expected UTF-8", (size_t)((const uint8_t *)s.p - d->begin));
	return s;
}

/* ---- attributes ---- */

static void put_value(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_buf *out, bool nested, unsigned depth);

/* ArrayValue { 1: values }, KeyValueList { 1: KeyValue { 1: key, 2: value } } as JSON. */
static void put_list(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_buf *out, bool map, unsigned depth)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f, g;
	bool first = true;
	slx_buf_u8(out, map ? '{' : '[');
	while (slx_pb_next(&r, &f)) {
		if (f.number != 1 || f.wire != SLX_PB_BYTES)
			continue;
		if (!first)
			slx_buf_u8(out, ',');
		first = false;
		if (!map) {
			put_value(d, f.bytes, out, true, depth + 1);
			continue;
		}
		struct slx_str key = { "", 0 }, value = { "", 0 };
		struct slx_pb kv = slx_pb_of(f.bytes);
		while (slx_pb_next(&kv, &g))
			if (g.wire == SLX_PB_BYTES && g.number == 1)
				key = text(d, g.bytes);
			else if (g.wire == SLX_PB_BYTES && g.number == 2)
				value = g.bytes;
		if (!sound(d, &kv))
			return;
		slx_otlp_put_json_string(out, key);
		slx_buf_u8(out, ':');
		put_value(d, value, out, true, depth + 1);
	}
	sound(d, &r);
	slx_buf_u8(out, map ? '}' : ']');
}

static void put_number(struct slx_buf *out, double v, bool nested)
{
	char digits[40];
	for (int precision = 15; precision <= 17; precision++) { /* attributes are rare: no need for speed */
		snprintf(digits, sizeof digits, "%.*g", precision, v);
		if (strtod(digits, NULL) == v)
			break;
	}
	if (!isfinite(v))
		snprintf(digits, sizeof digits, nested ? "null" : "%s", isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
	slx_buf_put(out, digits, strlen(digits));
}

/* AnyValue { 1: string, 2: bool, 3: int64, 4: double, 5: array, 6: kvlist, 7: bytes } as text; nested: as JSON. */
static void put_value(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_buf *out, bool nested, unsigned depth)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	char digits[40];
	size_t before = out->n;
	if (depth > SLX_OTLP_DEPTH_MAX) {
		if (d->status == SILEX_OK)
			d->status = slx_err(&d->error, SILEX_INVALID, "an attribute value nests deeper than %d", SLX_OTLP_DEPTH_MAX);
		return;
	}
	while (slx_pb_next(&r, &f) && d->status == SILEX_OK) {
		if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES)) {
			struct slx_str s = text(d, f.bytes);
			if (nested)
				slx_otlp_put_json_string(out, s);
			else
				slx_buf_put(out, s.p, s.n);
		} else if (f.number == 2 && is(d, &r, &f, SLX_PB_VARINT)) {
			slx_buf_put(out, f.value ? "true" : "false", f.value ? 4 : 5);
		} else if (f.number == 3 && is(d, &r, &f, SLX_PB_VARINT)) {
			slx_buf_put(out, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)f.value));
		} else if (f.number == 4 && is(d, &r, &f, SLX_PB_FIXED64)) {
			put_number(out, slx_bits_f64(f.value), nested);
		} else if ((f.number == 5 || f.number == 6) && is(d, &r, &f, SLX_PB_BYTES)) {
			put_list(d, f.bytes, out, f.number == 6, depth);
		} else if (f.number == 7 && is(d, &r, &f, SLX_PB_BYTES)) {
			if (nested)
				slx_buf_u8(out, '"');
			slx_otlp_put_base64(out, f.bytes);
			if (nested)
				slx_buf_u8(out, '"');
		}
	}
	sound(d, &r);
	if (nested && out->n == before)
		slx_buf_put(out, "null", 4);
}

/* The value of an attribute: a plain string stays where it is. */
static struct slx_str attribute_value(struct slx_otlp_decoder *d, struct slx_str msg)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	if (slx_pb_next(&r, &f) && f.number == 1 && f.wire == SLX_PB_BYTES && r.p == r.end)
		return text(d, f.bytes);
	struct slx_buf out;
	slx_buf_init(&out, d->arena->mem, d->arena->use, 1 << 20);
	put_value(d, msg, &out, false, 0);
	struct slx_str s = slx_otlp_text(d, &out);
	slx_buf_free(&out);
	return s;
}

static void attribute(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_attribute *ret)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	*ret = (struct slx_otlp_attribute){ { "", 0 }, { "", 0 } };
	while (slx_pb_next(&r, &f) && d->status == SILEX_OK)
		if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES))
			ret->key = text(d, f.bytes);
		else if (f.number == 2 && is(d, &r, &f, SLX_PB_BYTES))
			ret->value = attribute_value(d, f.bytes);
	sound(d, &r);
}

/* Adds one to a list whose array has room for all. */
static void add_attribute(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_attributes *list)
{
	if (list->p)
		attribute(d, msg, &list->p[list->n++]);
}

/* ---- data points ---- */

static void exemplar(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_exemplar *ret)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	ret->attributes.p = repeated(d, msg, 7, sizeof *ret->attributes.p);
	while (slx_pb_next(&r, &f) && d->status == SILEX_OK)
		if (f.number == 7 && is(d, &r, &f, SLX_PB_BYTES))
			add_attribute(d, f.bytes, &ret->attributes);
		else if (f.number == 2 && is(d, &r, &f, SLX_PB_FIXED64))
			ret->time = f.value;
		else if (f.number == 3 && is(d, &r, &f, SLX_PB_FIXED64))
			ret->value = slx_bits_f64(f.value);
		else if (f.number == 6 && is(d, &r, &f, SLX_PB_FIXED64))
			ret->value = (double)(int64_t)f.value;
		else if (f.number == 4 && is(d, &r, &f, SLX_PB_BYTES))
			ret->span_id = slx_otlp_hex(d, f.bytes);
		else if (f.number == 5 && is(d, &r, &f, SLX_PB_BYTES))
			ret->trace_id = slx_otlp_hex(d, f.bytes);
	sound(d, &r);
}

/* Field numbers that differ between the types of points. 0: not there. */
struct point_fields {
	uint32_t attributes, exemplars, flags;
};

static const struct point_fields point_fields[] = {
	[SLX_OTLP_GAUGE] = { 7, 5, 8 },
	[SLX_OTLP_SUM] = { 7, 5, 8 },
	[SLX_OTLP_HISTOGRAM] = { 9, 8, 10 },
	[SLX_OTLP_EXPONENTIAL] = { 1, 11, 10 },
	[SLX_OTLP_SUMMARY] = { 7, 0, 8 },
};

/* Elements of repeated numbers of 8 bytes (packed or not), or of varints. */
static size_t count_numbers(struct slx_str msg, uint32_t number, bool varints)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	size_t n = 0;
	while (slx_pb_next(&r, &f)) {
		if (f.number != number)
			continue;
		if (f.wire != SLX_PB_BYTES)
			n++;
		else if (!varints)
			n += f.bytes.n / 8;
		else
			for (size_t i = 0; i < f.bytes.n; i++)
				n += (uint8_t)f.bytes.p[i] < 0x80;
	}
	return n;
}

/* Adds the numbers of one field to an array with room for all. */
static void add_numbers(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, bool varints, uint64_t *to, size_t *n)
{
	if (f->wire == (varints ? SLX_PB_VARINT : SLX_PB_FIXED64)) {
		to[(*n)++] = f->value;
	} else if (f->wire == SLX_PB_BYTES && varints) {
		struct slx_pb in = slx_pb_of(f->bytes);
		while (in.p < in.end && slx_pb_varint(&in, &to[*n]))
			++*n;
		sound(d, &in);
	} else if (f->wire == SLX_PB_BYTES && f->bytes.n % 8 == 0) {
		memcpy(to + *n, f->bytes.p, f->bytes.n);
		*n += f->bytes.n / 8;
	} else {
		slx_pb_fail(r, "packed numbers");
		sound(d, r);
	}
}

/* Buckets { 1: sint32 offset, 2: repeated uint64 bucket_counts }. */
static void buckets(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_buckets *ret)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	ret->n = 0;
	ret->counts = slx_otlp_array(d, count_numbers(msg, 2, true), sizeof *ret->counts);
	while (slx_pb_next(&r, &f) && d->status == SILEX_OK)
		if (f.number == 1 && is(d, &r, &f, SLX_PB_VARINT))
			ret->offset = (int32_t)slx_pb_zigzag(f.value);
		else if (f.number == 2)
			add_numbers(d, &r, &f, true, ret->counts, &ret->n);
	sound(d, &r);
}

static void quantile(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_quantile *ret)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	while (slx_pb_next(&r, &f) && d->status == SILEX_OK)
		if (f.number == 1 && is(d, &r, &f, SLX_PB_FIXED64))
			ret->quantile = slx_bits_f64(f.value);
		else if (f.number == 2 && is(d, &r, &f, SLX_PB_FIXED64))
			ret->value = slx_bits_f64(f.value);
	sound(d, &r);
}

/* Fields of one type of point; those that all have were taken before. */
static void number_field(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, struct slx_otlp_point *p)
{
	if (f->number == 4 && is(d, r, f, SLX_PB_FIXED64))
		p->value = slx_bits_f64(f->value);
	else if (f->number == 6 && is(d, r, f, SLX_PB_FIXED64))
		p->value = (double)(int64_t)f->value;
}

static void sum_and_count(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, struct slx_otlp_point *p)
{
	if (!is(d, r, f, SLX_PB_FIXED64))
		return;
	if (f->number == 4) {
		p->count = f->value;
	} else {
		p->has_sum = true;
		p->sum = slx_bits_f64(f->value);
	}
}

static void histogram_field(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, struct slx_otlp_point *p)
{
	if (f->number == 4 || f->number == 5)
		sum_and_count(d, r, f, p);
	else if (f->number == 6)
		add_numbers(d, r, f, false, p->counts, &p->n_counts);
	else if (f->number == 7)
		add_numbers(d, r, f, false, (uint64_t *)p->bounds, &p->n_bounds);
}

static void exponential_field(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, struct slx_otlp_point *p)
{
	if (f->number == 4 || f->number == 5)
		sum_and_count(d, r, f, p);
	else if (f->number == 6 && is(d, r, f, SLX_PB_VARINT))
		p->scale = (int32_t)slx_pb_zigzag(f->value);
	else if (f->number == 7 && is(d, r, f, SLX_PB_FIXED64))
		p->zero_count = f->value;
	else if ((f->number == 8 || f->number == 9) && is(d, r, f, SLX_PB_BYTES))
		buckets(d, f->bytes, f->number == 8 ? &p->positive : &p->negative);
	else if (f->number == 14 && is(d, r, f, SLX_PB_FIXED64))
		p->zero_threshold = slx_bits_f64(f->value);
}

static void summary_field(struct slx_otlp_decoder *d, struct slx_pb *r, const struct slx_pb_field *f, struct slx_otlp_point *p)
{
	if (f->number == 4 || f->number == 5)
		sum_and_count(d, r, f, p);
	else if (f->number == 6 && is(d, r, f, SLX_PB_BYTES))
		quantile(d, f->bytes, &p->quantiles[p->n_quantiles++]);
}

static void point_arrays(struct slx_otlp_decoder *d, struct slx_str msg, enum slx_otlp_type type, struct slx_otlp_point *p)
{
	const struct point_fields *at = &point_fields[type];
	p->attributes.p = repeated(d, msg, at->attributes, sizeof *p->attributes.p);
	p->exemplars = repeated(d, msg, at->exemplars, sizeof *p->exemplars);
	if (type == SLX_OTLP_HISTOGRAM) {
		p->counts = slx_otlp_array(d, count_numbers(msg, 6, false), sizeof *p->counts);
		p->bounds = slx_otlp_array(d, count_numbers(msg, 7, false), sizeof *p->bounds);
	} else if (type == SLX_OTLP_SUMMARY) {
		p->quantiles = repeated(d, msg, 6, sizeof *p->quantiles);
	}
}

static void point(struct slx_otlp_decoder *d, struct slx_str msg, enum slx_otlp_type type, struct slx_otlp_point *p)
{
	static void (*const fields[])(struct slx_otlp_decoder *, struct slx_pb *, const struct slx_pb_field *, struct slx_otlp_point *) = {
		[SLX_OTLP_GAUGE] = number_field,
		[SLX_OTLP_SUM] = number_field,
		[SLX_OTLP_HISTOGRAM] = histogram_field,
		[SLX_OTLP_EXPONENTIAL] = exponential_field,
		[SLX_OTLP_SUMMARY] = summary_field,
	};
	const struct point_fields *at = &point_fields[type];
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	point_arrays(d, msg, type, p);
	while (d->status == SILEX_OK && slx_pb_next(&r, &f)) {
		if (f.number == at->attributes && is(d, &r, &f, SLX_PB_BYTES))
			add_attribute(d, f.bytes, &p->attributes);
		else if (at->exemplars && f.number == at->exemplars && is(d, &r, &f, SLX_PB_BYTES))
			exemplar(d, f.bytes, &p->exemplars[p->n_exemplars++]);
		else if (f.number == at->flags && is(d, &r, &f, SLX_PB_VARINT))
			p->no_value = f.value & 1;
		else if ((f.number == 2 || f.number == 3) && is(d, &r, &f, SLX_PB_FIXED64))
			*(f.number == 2 ? &p->start : &p->time) = f.value;
		else
			fields[type](d, &r, &f, p);
	}
	sound(d, &r);
}

/* ---- metrics, scopes, resources ---- */

/* Gauge, Sum, Histogram...: { 1: data_points, 2: aggregation_temporality, 3: is_monotonic }. */
static void metric_data(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_metric *m)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	m->points = repeated(d, msg, 1, sizeof *m->points);
	m->n_points = 0;
	while (d->status == SILEX_OK && slx_pb_next(&r, &f))
		if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES))
			point(d, f.bytes, m->type, &m->points[m->n_points++]);
		else if (f.number == 2 && is(d, &r, &f, SLX_PB_VARINT))
			m->temporality = f.value <= SLX_OTLP_CUMULATIVE ? (enum slx_otlp_temporality)f.value : SLX_OTLP_UNSPECIFIED;
		else if (f.number == 3 && is(d, &r, &f, SLX_PB_VARINT))
			m->monotonic = f.value;
	sound(d, &r);
}

static enum slx_otlp_type type_of(uint32_t number)
{
	switch (number) {
	case 5: return SLX_OTLP_GAUGE;
	case 7: return SLX_OTLP_SUM;
	case 9: return SLX_OTLP_HISTOGRAM;
	case 10: return SLX_OTLP_EXPONENTIAL;
	case 11: return SLX_OTLP_SUMMARY;
	default: return SLX_OTLP_NONE;
	}
}

static void metric(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_metric *m)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f;
	m->name = m->description = m->unit = SLX_STR("");
	while (d->status == SILEX_OK && slx_pb_next(&r, &f))
		if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES))
			m->name = text(d, f.bytes);
		else if (f.number == 2 && is(d, &r, &f, SLX_PB_BYTES))
			m->description = text(d, f.bytes);
		else if (f.number == 3 && is(d, &r, &f, SLX_PB_BYTES))
			m->unit = text(d, f.bytes);
		else if (type_of(f.number) != SLX_OTLP_NONE && is(d, &r, &f, SLX_PB_BYTES)) {
			m->type = type_of(f.number);
			metric_data(d, f.bytes, m);
		}
	sound(d, &r);
}

/* ScopeMetrics { 1: scope { 1: name, 2: version }, 2: metrics }. */
static void scope(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_scope *s)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f, g;
	s->name = s->version = SLX_STR("");
	s->metrics = repeated(d, msg, 2, sizeof *s->metrics);
	while (d->status == SILEX_OK && slx_pb_next(&r, &f)) {
		if (f.number == 2 && is(d, &r, &f, SLX_PB_BYTES)) {
			metric(d, f.bytes, &s->metrics[s->n_metrics++]);
		} else if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES)) {
			struct slx_pb in = slx_pb_of(f.bytes);
			while (slx_pb_next(&in, &g))
				if (g.number <= 2 && is(d, &in, &g, SLX_PB_BYTES))
					*(g.number == 1 ? &s->name : &s->version) = text(d, g.bytes);
			sound(d, &in);
		}
	}
	sound(d, &r);
}

/* ResourceMetrics { 1: resource { 1: attributes }, 2: scope_metrics }. */
static void resource(struct slx_otlp_decoder *d, struct slx_str msg, struct slx_otlp_resource *m)
{
	struct slx_pb r = slx_pb_of(msg);
	struct slx_pb_field f, g;
	m->scopes = repeated(d, msg, 2, sizeof *m->scopes);
	while (d->status == SILEX_OK && slx_pb_next(&r, &f)) {
		if (f.number == 2 && is(d, &r, &f, SLX_PB_BYTES)) {
			scope(d, f.bytes, &m->scopes[m->n_scopes++]);
		} else if (f.number == 1 && is(d, &r, &f, SLX_PB_BYTES)) {
			struct slx_pb in = slx_pb_of(f.bytes);
			m->attributes = (struct slx_otlp_attributes){ repeated(d, f.bytes, 1, sizeof *m->attributes.p), 0 };
			while (d->status == SILEX_OK && slx_pb_next(&in, &g))
				if (g.number == 1 && is(d, &in, &g, SLX_PB_BYTES))
					add_attribute(d, g.bytes, &m->attributes);
			sound(d, &in);
		}
	}
	sound(d, &r);
}

silex_status slx_otlp_decode_protobuf(struct slx_arena *a, size_t memory_max, struct slx_str body, struct slx_otlp_request *ret, silex_error *err)
{
	struct slx_otlp_decoder d = { .arena = a, .memory_max = memory_max, .begin = (const uint8_t *)body.p };
	struct slx_otlp_request q = { 0 };
	struct slx_pb r = slx_pb_of(body);
	struct slx_pb_field f;
	q.resources = repeated(&d, body, 1, sizeof *q.resources);
	while (d.status == SILEX_OK && slx_pb_next(&r, &f))
		if (f.number == 1 && is(&d, &r, &f, SLX_PB_BYTES))
			resource(&d, f.bytes, &q.resources[q.n_resources++]);
	if (!sound(&d, &r))
		return slx_err(err, d.status, "%s", d.error.message);
	*ret = q;
	return SILEX_OK;
}
