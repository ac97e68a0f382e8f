/* OTLP metrics over HTTP: POST /v1/metrics and /api/v1/otlp/v1/metrics, protobuf or JSON.
 *
 * Points become what Prometheus' receiver makes of them: gauges and sums one series each; explicit histograms _bucket, _sum and
 * _count; exponential ones native histograms; summaries their quantiles. The resource becomes job (service.namespace/service.name),
 * instance (service.instance.id), the promoted attributes, and one sample of target_info with the others. Sums and histograms of
 * deltas are added up (otlp_delta.c).
 *
 * Answers in the request's encoding: 200 with partial_success for points that were refused; 400 for a request that cannot be read;
 * 503 with Retry-After when it must be sent again. */
#include "server/ingest/ingest_int.h"
#include "server/ingest/otlp_delta.h"
#include "server/ingest/otlp_names.h"

#include <math.h>
#include <stdio.h>

enum {
	LABELS_MAX = 512,
	REQUEST_MEMORY_MAX = 256 << 20,
	RPC_INVALID_ARGUMENT = 3, /* google.rpc.Code */
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
};

/* One request. */
struct conversion {
	const struct slx_config *config;
	enum slx_otlp_translation translation;
	struct slx_otlp_deltas *deltas;
	struct slx_intake_batch *batch;
	struct slx_str tenant;
	struct slx_arena *arena;
	struct slx_buf text; /* scratch */

	struct slx_label base[LABELS_MAX]; /* of the resource: job, instance, promoted ones */
	size_t n_base;
	struct slx_label labels[LABELS_MAX + 4]; /* of the series at hand: base, point, le or quantile, __name__ last */
	size_t n_labels;
	uint64_t newest; /* time of the resource's newest point */

	uint64_t rejected;
	char why[256]; /* of the first one */
};

static void reject(struct conversion *c, struct slx_str metric, const char *why)
{
	if (c->rejected++ == 0)
		snprintf(c->why, sizeof c->why, "%.*s: %.150s", (int)(metric.n < 100 ? metric.n : 100), metric.p, why);
}

/* ---- labels ---- */

static struct slx_str copy(struct conversion *c, const void *p, size_t n)
{
	char *to = slx_arena_alloc(c->arena, n + 1, 1);
	if (!to)
		return SLX_STR("");
	memcpy(to, p, n);
	return (struct slx_str){ to, n };
}

static struct slx_str label_name(struct conversion *c, struct slx_str key)
{
	slx_buf_reset(&c->text);
	slx_otlp_label_name(c->translation, key, &c->text);
	return copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
}

/* Adds a label; values of keys that became the same name are joined by semicolons. */
static void add_label(struct conversion *c, struct slx_label *list, size_t *n, struct slx_str name, struct slx_str value)
{
	for (size_t i = 0; i < *n; i++) {
		if (!slx_str_eq(list[i].name, name))
			continue;
		slx_buf_reset(&c->text);
		slx_buf_put(&c->text, list[i].value.p, list[i].value.n);
		slx_buf_u8(&c->text, ';');
		slx_buf_put(&c->text, value.p, value.n);
		list[i].value = copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
		return;
	}
	if (*n < LABELS_MAX)
		list[(*n)++] = (struct slx_label){ name, value };
}

static bool is_promoted(const struct slx_config *config, struct slx_str key)
{
	if (config->otlp.promote_all_resource_attributes)
		return true;
	for (size_t i = 0; i < config->otlp.promote_resource_attributes.n; i++)
		if (slx_str_eq(key, slx_str(config->otlp.promote_resource_attributes.v[i])))
			return true;
	return false;
}

static struct slx_str attribute(const struct slx_otlp_attributes *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++)
		if (slx_str_eq(a->p[i].key, slx_str(key)))
			return a->p[i].value;
	return SLX_STR("");
}

/* Labels that all series of the resource carry. */
static void start_resource(struct conversion *c, const struct slx_otlp_attributes *a)
{
	struct slx_str name = attribute(a, "service.name"), space = attribute(a, "service.namespace"), id = attribute(a, "service.instance.id");
	c->n_base = 0;
	c->newest = 0;
	for (size_t i = 0; i < a->n; i++)
		if (is_promoted(c->config, a->p[i].key))
			add_label(c, c->base, &c->n_base, label_name(c, a->p[i].key), a->p[i].value);
	if (name.n && space.n) {
		slx_buf_reset(&c->text);
		slx_buf_put(&c->text, space.p, space.n);
		slx_buf_u8(&c->text, '/');
		slx_buf_put(&c->text, name.p, name.n);
		name = copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
	}
	if (name.n)
		add_label(c, c->base, &c->n_base, SLX_STR("job"), name);
	if (id.n)
		add_label(c, c->base, &c->n_base, SLX_STR("instance"), id);
}

static bool is_base(const struct conversion *c, struct slx_str name)
{
	for (size_t i = 0; i < c->n_base; i++)
		if (slx_str_eq(c->base[i].name, name))
			return true;
	return false;
}

/* The point's attributes and the resource's labels; the latter win. */
static void start_point(struct conversion *c, const struct slx_otlp_attributes *a)
{
	c->n_labels = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct slx_str name = label_name(c, a->p[i].key);
		if (name.n && !is_base(c, name))
			add_label(c, c->labels, &c->n_labels, name, a->p[i].value);
	}
	for (size_t i = 0; i < c->n_base && c->n_labels < LABELS_MAX; i++)
		c->labels[c->n_labels++] = c->base[i];
}

/* ---- series ---- */

static void put_key(struct slx_buf *b, struct slx_str s)
{
	slx_buf_varint(b, s.n);
	slx_buf_put(b, s.p, s.n);
}

/* The labels at hand with this name, and perhaps one more label, as cache key in c->text. */
static void series_key(struct conversion *c, struct slx_str name, const struct slx_label *more)
{
	slx_buf_reset(&c->text);
	put_key(&c->text, name);
	for (size_t i = 0; i < c->n_labels + (more != NULL); i++) {
		const struct slx_label *l = i < c->n_labels ? &c->labels[i] : more;
		put_key(&c->text, l->name);
		put_key(&c->text, l->value);
	}
}

static bool series(struct conversion *c, struct slx_str name, const struct slx_label *more, uint32_t *ret)
{
	struct slx_label all[LABELS_MAX + 4];
	size_t n = c->n_labels;
	silex_error err;
	series_key(c, name, more);
	if (c->text.failed) {
		slx_intake_refuse(c->batch, 1, SILEX_INVALID, c->labels, c->n_labels, "labels of at most 1 MB");
		return false;
	}
	struct slx_hash128 key = slx_intake_key(SLX_SPACE_OTLP, c->text.p, c->text.n);
	if (slx_intake_lookup(c->batch, key, ret) == SILEX_OK)
		return true;
	memcpy(all, c->labels, n * sizeof all[0]);
	if (more)
		all[n++] = *more;
	all[n++] = (struct slx_label){ SLX_METRIC_NAME, name };
	silex_status st = slx_intake_define(c->batch, key, all, n, ret, &err);
	if (st != SILEX_OK)
		slx_intake_refuse(c->batch, 1, st, all, n, err.message);
	return st == SILEX_OK;
}

static void sample(struct conversion *c, struct slx_str name, const struct slx_label *more, const struct slx_otlp_point *p, double v)
{
	uint32_t s;
	if (series(c, name, more, &s))
		slx_intake_float(c->batch, s, (int64_t)p->time, p->no_value ? slx_bits_f64(SLX_STALE_NAN) : v);
}

static void give_exemplar(struct conversion *c, uint32_t series_number, const struct slx_otlp_exemplar *e)
{
	struct slx_label labels[LABELS_MAX];
	size_t n = 0;
	if (e->trace_id.n)
		add_label(c, labels, &n, SLX_STR("trace_id"), e->trace_id);
	if (e->span_id.n)
		add_label(c, labels, &n, SLX_STR("span_id"), e->span_id);
	for (size_t i = 0; i < e->attributes.n; i++)
		add_label(c, labels, &n, label_name(c, e->attributes.p[i].key), e->attributes.p[i].value);
	slx_intake_exemplar(c->batch, series_number, (int64_t)e->time, e->value, labels, n);
}

static struct slx_str joined(struct conversion *c, struct slx_str name, const char *suffix)
{
	size_t n = strlen(suffix);
	char *p = slx_arena_alloc(c->arena, name.n + n, 1);
	if (!p)
		return name;
	memcpy(p, name.p, name.n);
	memcpy(p + name.n, suffix, n);
	return (struct slx_str){ p, name.n + n };
}

static struct slx_str number_text(struct conversion *c, double v)
{
	slx_buf_reset(&c->text);
	slx_encode_f64(&c->text, v);
	return copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
}

/* ---- deltas ---- */

/* What deltas of this series are kept under. */
static struct slx_hash128 delta_key(struct conversion *c, struct slx_str name)
{
	series_key(c, name, NULL);
	return slx_hash128(c->text.p, c->text.n, slx_hash64(c->tenant.p, c->tenant.n));
}

/* True when the numbers are (or have become) cumulative. */
static bool cumulative(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_str name, double *v, size_t n)
{
	silex_error err;
	if (m->temporality == SLX_OTLP_CUMULATIVE || p->no_value)
		return true;
	if (m->temporality != SLX_OTLP_DELTA) {
		reject(c, m->name, "aggregation temporality is neither delta nor cumulative");
		return false;
	}
	if (slx_otlp_delta_add(c->deltas, delta_key(c, name), p->time, v, n, p->bounds, p->n_bounds, &err) == SILEX_OK)
		return true;
	reject(c, m->name, err.message);
	return false;
}

/* ---- points by type ---- */

static void number_point(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_str name)
{
	double v = p->value;
	uint32_t s;
	if (m->type == SLX_OTLP_SUM && !cumulative(c, m, p, name, &v, 1))
		return;
	if (!series(c, name, NULL, &s))
		return;
	slx_intake_float(c->batch, s, (int64_t)p->time, p->no_value ? slx_bits_f64(SLX_STALE_NAN) : v);
	for (size_t i = 0; i < p->n_exemplars; i++)
		give_exemplar(c, s, &p->exemplars[i]);
}

/* Exemplars of a histogram go to the first bucket that holds their value. */
static void bucket_exemplars(struct conversion *c, const struct slx_otlp_point *p, uint32_t s, double below, double bound)
{
	for (size_t i = 0; i < p->n_exemplars; i++)
		if (p->exemplars[i].value <= bound && p->exemplars[i].value > below)
			give_exemplar(c, s, &p->exemplars[i]);
}

static void histogram_point(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_str name)
{
	size_t n = p->n_counts;
	double *v = slx_arena_alloc(c->arena, (n + 2) * sizeof *v, 8), total = 0, below = -INFINITY;
	uint32_t s;
	if (!v)
		return reject(c, m->name, "out of memory");
	if (n && n != p->n_bounds + 1)
		return reject(c, m->name, "a histogram has one bucket more than bounds");
	v[0] = p->sum;
	v[1] = (double)p->count;
	for (size_t i = 0; i < n; i++)
		v[2 + i] = (double)p->counts[i];
	if (!cumulative(c, m, p, name, v, n + 2))
		return;
	if (p->has_sum)
		sample(c, joined(c, name, "_sum"), NULL, p, v[0]);
	sample(c, joined(c, name, "_count"), NULL, p, v[1]);
	struct slx_str bucket = joined(c, name, "_bucket");
	for (size_t i = 0; i < (n ? n : 1); i++) {
		double bound = i < p->n_bounds && n ? p->bounds[i] : INFINITY;
		struct slx_label le = { SLX_STR("le"), number_text(c, bound) };
		total = bound == INFINITY ? v[1] : total + v[2 + i];
		if (!series(c, bucket, &le, &s))
			continue;
		slx_intake_float(c->batch, s, (int64_t)p->time, p->no_value ? slx_bits_f64(SLX_STALE_NAN) : total);
		bucket_exemplars(c, p, s, below, bound);
		below = bound;
	}
}

/* One side: OTLP's bucket i is Prometheus' i + 1; `down` scales are merged into one. */
static bool side(struct conversion *c, const struct slx_otlp_buckets *b, int down, const struct slx_span **spans, uint32_t *n_spans,
	const double **counts, uint32_t *n_counts)
{
	struct slx_span *span = slx_arena_alloc(c->arena, sizeof *span, 8);
	double *v = slx_arena_alloc(c->arena, (b->n + 1) * sizeof *v, 8);
	if (!span || !v)
		return false;
	int64_t first = 0;
	uint32_t n = 0;
	for (size_t i = 0; i < b->n; i++) {
		int64_t index = (((int64_t)b->offset + (int64_t)i) >> down) + 1;
		if (n == 0)
			first = index;
		while (n < (uint64_t)(index - first) + 1)
			v[n++] = 0;
		v[n - 1] += (double)b->counts[i];
	}
	*span = (struct slx_span){ (int32_t)first, n };
	*spans = span;
	*n_spans = n > 0;
	*counts = v;
	*n_counts = n;
	return true;
}

static bool native(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_histogram *ret)
{
	int down = p->scale > SLX_HISTOGRAM_SCHEMA_MAX ? p->scale - SLX_HISTOGRAM_SCHEMA_MAX : 0;
	if (p->scale < SLX_HISTOGRAM_SCHEMA_MIN || down > 31) {
		reject(c, m->name, "the scale of an exponential histogram must be from -4 to 39");
		return false;
	}
	*ret = (struct slx_histogram){
		.schema = (int8_t)(p->scale - down),
		.integer = true,
		.zero_threshold = p->zero_threshold > 0 ? p->zero_threshold : 1e-128,
		.zero_count = (double)p->zero_count,
		.count = (double)p->count,
		.sum = p->no_value ? slx_bits_f64(SLX_STALE_NAN) : p->sum,
		.start = (int64_t)p->start,
	};
	if (p->no_value)
		return true;
	if (side(c, &p->positive, down, &ret->positive_spans, &ret->positive_spans_n, &ret->positive, &ret->positive_n) &&
		side(c, &p->negative, down, &ret->negative_spans, &ret->negative_spans_n, &ret->negative, &ret->negative_n))
		return true;
	reject(c, m->name, "out of memory");
	return false;
}

static void exponential_point(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_str name)
{
	struct slx_histogram own;
	const struct slx_histogram *h = &own;
	silex_error err;
	uint32_t s;
	if (!native(c, m, p, &own))
		return;
	if (slx_histogram_check(&own, &err) != SILEX_OK)
		return reject(c, m->name, err.message);
	if (m->temporality == SLX_OTLP_DELTA && !p->no_value &&
		slx_otlp_delta_histogram(c->deltas, delta_key(c, name), p->time, &own, c->arena, &h, &err) != SILEX_OK)
		return reject(c, m->name, err.message);
	if (m->temporality == SLX_OTLP_UNSPECIFIED)
		return reject(c, m->name, "aggregation temporality is neither delta nor cumulative");
	if (!series(c, name, NULL, &s))
		return;
	slx_intake_histogram(c->batch, s, (int64_t)p->time, h);
	for (size_t i = 0; i < p->n_exemplars; i++)
		give_exemplar(c, s, &p->exemplars[i]);
}

static void summary_point(struct conversion *c, const struct slx_otlp_metric *m, const struct slx_otlp_point *p, struct slx_str name)
{
	sample(c, joined(c, name, "_sum"), NULL, p, p->sum);
	sample(c, joined(c, name, "_count"), NULL, p, (double)p->count);
	for (size_t i = 0; i < p->n_quantiles; i++) {
		struct slx_label q = { SLX_STR("quantile"), number_text(c, p->quantiles[i].quantile) };
		sample(c, name, &q, p, p->quantiles[i].value);
	}
}

/* ---- metrics ---- */

static const char *type_name(const struct slx_otlp_metric *m)
{
	switch (m->type) {
	case SLX_OTLP_SUM: return m->monotonic ? "counter" : "gauge";
	case SLX_OTLP_GAUGE: return "gauge";
	case SLX_OTLP_HISTOGRAM:
	case SLX_OTLP_EXPONENTIAL: return "histogram";
	case SLX_OTLP_SUMMARY: return "summary";
	default: return "";
	}
}

static void metric(struct conversion *c, const struct slx_otlp_metric *m)
{
	static void (*const points[])(struct conversion *, const struct slx_otlp_metric *, const struct slx_otlp_point *, struct slx_str) = {
		[SLX_OTLP_GAUGE] = number_point,
		[SLX_OTLP_SUM] = number_point,
		[SLX_OTLP_HISTOGRAM] = histogram_point,
		[SLX_OTLP_EXPONENTIAL] = exponential_point,
		[SLX_OTLP_SUMMARY] = summary_point,
	};
	if (m->type == SLX_OTLP_NONE)
		return;
	slx_buf_reset(&c->text);
	slx_otlp_metric_name(c->translation, m, &c->text);
	struct slx_str name = copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
	slx_buf_reset(&c->text);
	slx_otlp_unit_name(m->unit, &c->text);
	struct slx_str unit = copy(c, c->text.p, c->text.failed ? 0 : c->text.n);
	slx_intake_metadata(c->batch, name, slx_str(type_name(m)), unit, m->description);
	for (size_t i = 0; i < m->n_points; i++) {
		const struct slx_otlp_point *p = &m->points[i];
		if (p->time == 0 || p->time > INT64_MAX) {
			reject(c, m->name, "a point without time");
			continue;
		}
		c->newest = p->time > c->newest ? p->time : c->newest;
		start_point(c, &p->attributes);
		points[m->type](c, m, p, name);
	}
}

static bool is_identifying(struct slx_str key)
{
	return slx_str_eq(key, SLX_STR("service.name")) || slx_str_eq(key, SLX_STR("service.namespace")) || slx_str_eq(key, SLX_STR("service.instance.id"));
}

/* target_info{job, instance, other attributes} 1, at the newest point. Without anything to identify or to tell there is none. */
static void target_info(struct conversion *c, const struct slx_otlp_attributes *a)
{
	bool identified = false, tells = false;
	struct slx_otlp_point p = { .time = c->newest };
	c->n_labels = 0;
	for (size_t i = 0; i < c->n_base; i++)
		if (slx_str_eq(c->base[i].name, SLX_STR("job")) || slx_str_eq(c->base[i].name, SLX_STR("instance"))) {
			identified = true;
			c->labels[c->n_labels++] = c->base[i];
		}
	for (size_t i = 0; i < a->n; i++) {
		if (is_identifying(a->p[i].key) && !c->config->otlp.keep_identifying_resource_attributes)
			continue;
		struct slx_str name = label_name(c, a->p[i].key);
		if (name.n && !slx_str_eq(name, SLX_STR("job")) && !slx_str_eq(name, SLX_STR("instance"))) {
			tells = true;
			add_label(c, c->labels, &c->n_labels, name, a->p[i].value);
		}
	}
	if (identified && tells && c->newest)
		sample(c, SLX_STR("target_info"), NULL, &p, 1);
}

static void convert(struct conversion *c, const struct slx_otlp_request *q)
{
	for (size_t i = 0; i < q->n_resources; i++) {
		const struct slx_otlp_resource *r = &q->resources[i];
		start_resource(c, &r->attributes);
		for (size_t k = 0; k < r->n_scopes; k++)
			for (size_t m = 0; m < r->scopes[k].n_metrics; m++)
				metric(c, &r->scopes[k].metrics[m]);
		target_info(c, &r->attributes);
	}
}

/* ---- HTTP ---- */

static bool is_json(struct slx_http_exchange *x)
{
	struct slx_str type = slx_http_header(x, "Content-Type");
	return type.p && memmem(type.p, type.n, "json", 4) != NULL;
}

static void reply(struct slx_http_exchange *x, unsigned status, struct slx_buf *body)
{
	slx_http_reply(x, body->failed ? 500 : status, is_json(x) ? "application/json" : "application/x-protobuf", body);
	slx_buf_free(body);
}

static void fail(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	struct slx_buf body;
	char seconds[16];
	struct slx_arena *a = slx_http_arena(x);
	slx_buf_init(&body, a->mem, SLX_MEM_QUERY, 1 << 16);
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	slx_otlp_encode_status(&body, is_json(x), status == 503 ? RPC_UNAVAILABLE : status < 500 ? RPC_INVALID_ARGUMENT : RPC_INTERNAL, message);
	reply(x, status, &body);
}

static void fail_status(struct slx_http_exchange *x, silex_status st, const silex_error *err)
{
	bool again = slx_ingest_is_retryable(st);
	fail(x, again ? 503 : st == SILEX_INVALID ? 400 : 500, err->message, again ? 5 : 0);
}

static void answer(struct slx_http_exchange *x, const struct conversion *c, const struct slx_intake_result *r)
{
	struct slx_buf body;
	char text[1024] = "";
	slx_buf_init(&body, c->arena->mem, SLX_MEM_QUERY, 1 << 16);
	if (c->rejected)
		snprintf(text, sizeof text, "%llu points rejected, the first: %s", (unsigned long long)c->rejected, c->why);
	else if (r->refused)
		snprintf(text, sizeof text, "%llu samples refused, the first of %s: %s", (unsigned long long)r->refused, r->first_series, r->first_message);
	slx_otlp_encode_response(&body, is_json(x), c->rejected + r->refused, text);
	reply(x, 200, &body);
}

static void handle(void *ctx, struct slx_http_exchange *x)
{
	struct slx_ingest *i = ctx;
	struct slx_otlp_request q;
	struct slx_intake_result result;
	silex_error err;
	struct slx_arena *a = slx_http_arena(x);
	struct slx_str type = slx_http_header(x, "Content-Type");
	if (!is_json(x) && !(type.p && memmem(type.p, type.n, "protobuf", 8)))
		return fail(x, 415, "Content-Type: expected application/x-protobuf or application/json", 0);
	silex_status st = (is_json(x) ? slx_otlp_decode_json : slx_otlp_decode_protobuf)(a, REQUEST_MEMORY_MAX, slx_http_body(x), &q, &err);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	struct conversion *c = slx_arena_alloc(a, sizeof *c, 16);
	if (!c)
		return fail(x, 503, "out of memory; try again", 5);
	const struct slx_config *config = atomic_load(&i->core->config);
	*c = (struct conversion){ .config = config, .deltas = i->deltas, .tenant = slx_http_tenant(x), .arena = a };
	slx_otlp_translation_parse(config->otlp.translation, &c->translation);
	slx_buf_init(&c->text, a->mem, SLX_MEM_QUERY, 1 << 20);
	st = slx_ingest_begin(i, x, &c->batch, &err);
	if (st == SILEX_OK) {
		convert(c, &q);
		st = slx_intake_commit(c->batch, &result, &err);
	}
	slx_buf_free(&c->text);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	answer(x, c, &result);
}

void slx_otlp_routes(struct slx_http *h, struct slx_ingest *i)
{
	static const char *const paths[] = { "/v1/metrics", "/api/v1/otlp/v1/metrics", "/opentelemetry/v1/metrics" };
	struct slx_http_route routes[sizeof paths / sizeof paths[0]];
	for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++)
		routes[k] = (struct slx_http_route){ .methods = "POST", .path = paths[k], .handle = handle, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail };
	slx_http_add(h, routes, sizeof routes / sizeof routes[0]);
}
