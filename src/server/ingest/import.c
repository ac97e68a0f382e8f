/* Files and lines of samples, pushed: the formats of `silex import` over HTTP.
 *
 *     POST /api/v1/import/prometheus[/metrics/job/J/LABEL/VALUE...]   exposition text, Prometheus' or OpenMetrics' by Content-Type
 *     POST /api/v1/import                                             JSON lines, VictoriaMetrics' and Silex' own
 *     POST /api/v1/import/csv?time=..&values=..&labels=..             CSV or TSV with a header line
 *
 * extra_label=name=value puts a label on every series. Answers: 204; 400 with words in plain text after the good samples were
 * stored; 503 with Retry-After. */
#include "server/ingest/ingest_int.h"

#include <stdio.h>

static void fail(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	char seconds[16], text[1200];
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	snprintf(text, sizeof text, "%s\n", message);
	slx_http_reply_text(x, status, "text/plain; charset=utf-8", text);
}

static void fail_status(struct slx_http_exchange *x, silex_status st, const silex_error *err)
{
	bool again = slx_ingest_is_retryable(st);
	fail(x, again ? 503 : st == SILEX_INVALID ? 400 : 500, err->message, again ? 5 : 0);
}

/* The decoder of a request; sink lives as long as the call of import_body. */
typedef silex_status (*make_fn)(struct slx_ingest *i, struct slx_http_exchange *x, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

static silex_status decode(struct slx_ingest *i, struct slx_http_exchange *x, make_fn make, struct slx_ingest_sink *sink, silex_error *err)
{
	struct slx_decoder *d;
	struct slx_str body = slx_http_body(x);
	SLX_TRY(make(i, x, &sink->sink, &d, err));
	silex_status st = slx_decoder_feed(d, body.p, body.n, err);
	if (st == SILEX_OK)
		st = slx_decoder_finish(d, err);
	slx_decoder_free(d);
	slx_ingest_sink_end(sink);
	return st;
}

static void import_body(struct slx_ingest *i, struct slx_http_exchange *x, unsigned space, make_fn make, const struct slx_label *labels, size_t n)
{
	struct slx_intake_batch *b;
	struct slx_ingest_sink sink;
	struct slx_intake_result result;
	silex_error err;
	char text[1024];
	silex_status st = slx_ingest_begin(i, x, &b, &err);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	slx_ingest_sink_init(&sink, b, space, labels, n, slx_ingest_now(i));
	st = decode(i, x, make, &sink, &err);
	if (st != SILEX_OK) {
		slx_intake_abandon(b);
		return fail_status(x, st, &err);
	}
	st = slx_intake_commit(b, &result, &err);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	if (!sink.bad_lines && !result.refused)
		return slx_http_reply_text(x, 204, NULL, "");
	slx_ingest_explain(&sink, &result, text, sizeof text);
	fail(x, 400, text, 0);
}

/* ---- exposition text ---- */

static silex_status make_exposition(struct slx_ingest *i, struct slx_http_exchange *x, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_str type = slx_http_header(x, "Content-Type");
	struct slx_exposition_options o = { .lenient = true };
	o.openmetrics = type.p && memmem(type.p, type.n, "openmetrics-text", 16) != NULL;
	return slx_decoder_exposition(i->core->mem, &o, NULL, sink, ret, err);
}

/* /metrics/job/J/label/value...: Pushgateway's way to say labels in the path. */
static silex_status path_labels(struct slx_http_exchange *x, const struct slx_label **ret, size_t *ret_n, silex_error *err)
{
	static const char prefix[] = "/metrics/";
	struct slx_str path = slx_http_path(x);
	const char *at = memmem(path.p, path.n, prefix, sizeof prefix - 1), *end = path.p + path.n;
	SLX_TRY(slx_ingest_extra(x, ret, ret_n, err));
	struct slx_label *labels = (struct slx_label *)*ret; /* ours, in the arena */
	for (const char *p = at ? at + sizeof prefix - 1 : end; p < end;) {
		struct slx_str part[2] = { { 0 } };
		for (size_t k = 0; k < 2; k++) {
			const char *slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;
			part[k] = (struct slx_str){ p, (size_t)((slash ? slash : end) - p) };
			p = slash ? slash + 1 : end;
		}
		if (!part[0].n || !part[1].n)
			return slx_err(err, SILEX_INVALID, "path: expected /metrics/job/<job>[/<label>/<value>...]");
		if (*ret_n == SLX_INGEST_EXTRA_MAX)
			return slx_err(err, SILEX_INVALID, "path: at most %d labels", SLX_INGEST_EXTRA_MAX);
		labels[(*ret_n)++] = (struct slx_label){ part[0], part[1] };
	}
	return SILEX_OK;
}

static void handle_exposition(void *ctx, struct slx_http_exchange *x)
{
	const struct slx_label *labels;
	size_t n;
	silex_error err;
	silex_status st = path_labels(x, &labels, &n, &err);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	import_body(ctx, x, SLX_SPACE_TEXT, make_exposition, labels, n);
}

/* ---- JSON lines and CSV ---- */

static void import_with_extra(struct slx_ingest *i, struct slx_http_exchange *x, unsigned space, make_fn make)
{
	const struct slx_label *labels;
	size_t n;
	silex_error err;
	silex_status st = slx_ingest_extra(x, &labels, &n, &err);
	if (st != SILEX_OK)
		return fail_status(x, st, &err);
	import_body(i, x, space, make, labels, n);
}

static silex_status make_jsonl(struct slx_ingest *i, struct slx_http_exchange *x, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decode_limits limits = { .line_size_max = (size_t)32 << 20, .fields_max = 1u << 22 };
	return slx_decoder_jsonl(i->core->mem, &limits, sink, ret, err);
}

static void handle_jsonl(void *ctx, struct slx_http_exchange *x) { import_with_extra(ctx, x, SLX_SPACE_JSON, make_jsonl); }

/* A parameter as a C string in the arena; NULL when absent. */
static const char *param(struct slx_http_exchange *x, const char *name)
{
	struct slx_str s = slx_http_param(x, name, 0);
	char *z = s.p ? slx_arena_alloc(slx_http_arena(x), s.n + 1, 1) : NULL;
	if (!z)
		return NULL;
	memcpy(z, s.p, s.n);
	z[s.n] = 0;
	return z;
}

static silex_status read_unit(struct slx_http_exchange *x, enum slx_time_unit *ret, silex_error *err)
{
	static const char *const names[] = { "auto", "ns", "us", "ms", "s" };
	struct slx_str s = slx_http_param(x, "time_unit", 0);
	*ret = SLX_UNIT_AUTO;
	if (!s.p)
		return SILEX_OK;
	for (int u = SLX_UNIT_AUTO; u <= SLX_UNIT_S; u++)
		if (slx_str_eq(s, slx_str(names[u]))) {
			*ret = (enum slx_time_unit)u;
			return SILEX_OK;
		}
	return slx_err(err, SILEX_INVALID, "time_unit: expected auto, ns, us, ms or s");
}

static silex_status make_csv(struct slx_ingest *i, struct slx_http_exchange *x, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_csv_options o = {
		.time_column = param(x, "time"),
		.value_columns = param(x, "values"),
		.label_columns = param(x, "labels"),
		.name_template = param(x, "name"),
		.metric = param(x, "metric"),
		.field_label = param(x, "field_label"),
	};
	struct slx_str delimiter = slx_http_param(x, "delimiter", 0);
	if (delimiter.n > 1)
		return slx_err(err, SILEX_INVALID, "delimiter: expected one character");
	o.delimiter = delimiter.n ? delimiter.p[0] : 0;
	SLX_TRY(read_unit(x, &o.time_unit, err));
	return slx_decoder_csv(i->core->mem, &o, NULL, sink, ret, err);
}

static void handle_csv(void *ctx, struct slx_http_exchange *x) { import_with_extra(ctx, x, SLX_SPACE_CSV, make_csv); }

void slx_import_routes(struct slx_http *h, struct slx_ingest *i)
{
	const struct slx_http_route routes[] = {
		{ .methods = "POST,PUT", .path = "/api/v1/import/prometheus", .handle = handle_exposition, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail },
		{ .methods = "POST,PUT", .path = "/api/v1/import/prometheus/metrics/", .handle = handle_exposition, .ctx = i, .class = SLX_HTTP_WRITE,
			.flags = SLX_HTTP_PREFIX, .error = fail },
		{ .methods = "POST", .path = "/api/v1/import", .handle = handle_jsonl, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail },
		{ .methods = "POST", .path = "/api/v1/import/csv", .handle = handle_csv, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail },
	};
	slx_http_add(h, routes, sizeof routes / sizeof routes[0]);
}
