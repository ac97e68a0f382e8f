/* InfluxDB's write APIs, 1.x and 2.x, with the line protocol decoder and errors in its JSON.
 *
 *     POST /write?db=D&precision=ms&u=..&p=..     204, or 400 {"error": "partial write: ..."}
 *     POST /api/v2/write?bucket=B&precision=ms    204, or 400 {"code": "invalid", "message": "..."}
 *     GET|POST /query?q=CREATE DATABASE d         what agents send before they write; nothing else is spoken here
 *     GET /ping, GET /health
 *
 * The database or bucket becomes the label db; users and passwords of the URL are not looked at. The tenant is
 * X-Scope-OrgID, as everywhere. Source: InfluxDB 1.8 and 2.7 API documentation. */
#include "server/ingest/ingest_int.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#define INFLUX_VERSION "1.8.10" /* whose API this is */

/* ---- answers ---- */

static void reply_json(struct slx_http_exchange *x, unsigned status, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	slx_http_reply_text(x, text ? status : 500, "application/json", text ? text : "{\"error\":\"out of memory\"}");
	free(text);
}

static void fail_v1(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	char seconds[16];
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	slx_http_set_header(x, "X-Influxdb-Version", INFLUX_VERSION);
	reply_json(x, status, json_pack("{s:s}", "error", message));
}

static const char *v2_code(unsigned status)
{
	switch (status) {
	case 400: return "invalid";
	case 401: return "unauthorized";
	case 404: return "not found";
	case 405: return "method not allowed";
	case 413: return "request too large";
	case 503: return "unavailable";
	default: return status < 500 ? "unprocessable entity" : "internal error";
	}
}

static void fail_v2(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	char seconds[16];
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	reply_json(x, status, json_pack("{s:s,s:s}", "code", v2_code(status), "message", message));
}

/* ---- writing ---- */

typedef void (*fail_fn)(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after);

static bool read_precision(struct slx_str s, enum slx_time_unit *ret)
{
	static const struct {
		const char *name;
		enum slx_time_unit unit;
	} names[] = {
		{ "", SLX_UNIT_NS }, { "ns", SLX_UNIT_NS }, { "n", SLX_UNIT_NS }, { "us", SLX_UNIT_US }, { "u", SLX_UNIT_US }, { "\xc2\xb5", SLX_UNIT_US },
		{ "ms", SLX_UNIT_MS }, { "s", SLX_UNIT_S }, { "m", SLX_UNIT_MIN }, { "h", SLX_UNIT_H },
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slx_str_eq(s, slx_str(names[i].name))) {
			*ret = names[i].unit;
			return true;
		}
	return false;
}

/* Decodes the whole body into the batch. */
static silex_status decode(struct slx_core *core, struct slx_str body, enum slx_time_unit precision, const struct slx_sink *sink, silex_error *err)
{
	struct slx_line_options o = { .precision = precision };
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_line_protocol(core->mem, &o, NULL, sink, &d, err));
	silex_status st = slx_decoder_feed(d, body.p, body.n, err);
	if (st == SILEX_OK)
		st = slx_decoder_finish(d, err);
	slx_decoder_free(d);
	return st;
}

static void answer_write(struct slx_http_exchange *x, fail_fn fail, silex_status st, const struct slx_ingest_sink *s,
	const struct slx_intake_result *r, const silex_error *err)
{
	char text[1024], message[1100];
	if (st != SILEX_OK)
		return fail(x, slx_ingest_is_retryable(st) ? 503 : 500, err->message, slx_ingest_is_retryable(st) ? 5 : 0);
	if (!s->bad_lines && !r->refused)
		return slx_http_reply_text(x, 204, NULL, "");
	slx_ingest_explain(s, r, text, sizeof text);
	snprintf(message, sizeof message, "%s: %s", r->samples ? "partial write" : "unable to parse", text);
	fail(x, 400, message, 0);
}

static void write_lines(struct slx_ingest *i, struct slx_http_exchange *x, struct slx_str database, fail_fn fail)
{
	struct slx_label db = { SLX_STR("db"), database };
	struct slx_str precision = slx_http_param(x, "precision", 0);
	enum slx_time_unit unit = SLX_UNIT_NS;
	if (precision.p && !read_precision(precision, &unit))
		return fail(x, 400, "precision: expected ns, us, ms, s, m or h", 0);
	struct slx_intake_batch *b;
	struct slx_ingest_sink sink;
	struct slx_intake_result result;
	silex_error err;
	silex_status st = slx_ingest_begin(i, x, &b, &err);
	if (st != SILEX_OK)
		return fail(x, slx_ingest_is_retryable(st) ? 503 : 400, err.message, slx_ingest_is_retryable(st) ? 5 : 0);
	slx_ingest_sink_init(&sink, b, SLX_SPACE_LINE, &db, database.n ? 1 : 0, slx_ingest_now(i));
	st = decode(i->core, slx_http_body(x), unit, &sink.sink, &err);
	if (st != SILEX_OK) {
		slx_intake_abandon(b);
		return fail(x, slx_ingest_is_retryable(st) ? 503 : 500, err.message, 5);
	}
	st = slx_intake_commit(b, &result, &err);
	answer_write(x, fail, st, &sink, &result, &err);
}

static void handle_v1(void *ctx, struct slx_http_exchange *x) { write_lines(ctx, x, slx_http_param(x, "db", 0), fail_v1); }

static void handle_v2(void *ctx, struct slx_http_exchange *x) { write_lines(ctx, x, slx_http_param(x, "bucket", 0), fail_v2); }

/* ---- what agents ask before they write ---- */

/* The next word of a statement, without quotes; empty at the end. */
static struct slx_str next_word(struct slx_str *rest)
{
	while (rest->n && (rest->p[0] == ' ' || rest->p[0] == ';' || rest->p[0] == '\n')) {
		rest->p++;
		rest->n--;
	}
	char quote = rest->n && (rest->p[0] == '"' || rest->p[0] == '\'') ? rest->p[0] : 0;
	size_t from = quote != 0, n = from;
	while (n < rest->n && (quote ? rest->p[n] != quote : rest->p[n] != ' ' && rest->p[n] != ';' && rest->p[n] != '\n'))
		n++;
	struct slx_str word = { rest->p + from, n - from };
	n += quote && n < rest->n;
	rest->p += n;
	rest->n -= n;
	return word;
}

static bool is_word(struct slx_str s, const char *word) { return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0; }

static void handle_query(void *ctx, struct slx_http_exchange *x)
{
	struct slx_str q = slx_http_param(x, "q", 0);
	if (!q.p)
		return fail_v1(x, 400, "missing required parameter \"q\"", 0);
	struct slx_str verb = next_word(&q), what = next_word(&q);
	slx_http_set_header(x, "X-Influxdb-Version", INFLUX_VERSION);
	if (is_word(verb, "CREATE") && is_word(what, "DATABASE"))
		return reply_json(x, 200, json_pack("{s:[{s:i}]}", "results", "statement_id", 0));
	if (is_word(verb, "SHOW") && is_word(what, "DATABASES"))
		return reply_json(x, 200, json_pack("{s:[{s:i,s:[{s:s,s:[s],s:[]}]}]}", "results", "statement_id", 0, "series", "name", "databases", "columns",
			"name", "values"));
	fail_v1(x, 400, "Silex speaks InfluxDB's write protocol only: of InfluxQL it answers CREATE DATABASE and SHOW DATABASES; ask in PromQL at /api/v1/query", 0);
}

static void handle_ping(void *ctx, struct slx_http_exchange *x)
{
	slx_http_set_header(x, "X-Influxdb-Version", INFLUX_VERSION);
	slx_http_set_header(x, "X-Influxdb-Build", "OSS");
	slx_http_reply_text(x, 204, NULL, "");
}

static void handle_health(void *ctx, struct slx_http_exchange *x)
{
	struct slx_ingest *i = ctx;
	bool open = atomic_load(&i->core->db) != NULL && !atomic_load(&i->core->draining);
	reply_json(x, open ? 200 : 503, json_pack("{s:s,s:s,s:s,s:s}", "name", "silex", "message", open ? "ready for queries and writes" : "not ready", "status",
		open ? "pass" : "fail", "version", SILEX_VERSION_STRING));
}

void slx_influx_routes(struct slx_http *h, struct slx_ingest *i)
{
	const struct slx_http_route routes[] = {
		{ .methods = "POST", .path = "/write", .handle = handle_v1, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail_v1 },
		{ .methods = "POST", .path = "/api/v2/write", .handle = handle_v2, .ctx = i, .class = SLX_HTTP_WRITE, .error = fail_v2 },
		{ .methods = "GET,POST", .path = "/query", .handle = handle_query, .ctx = i, .class = SLX_HTTP_PLAIN, .error = fail_v1 },
		{ .methods = "GET", .path = "/ping", .handle = handle_ping, .ctx = i, .class = SLX_HTTP_PLAIN, .flags = SLX_HTTP_WHEN_REPLAYING, .error = fail_v1 },
		{ .methods = "GET", .path = "/health", .handle = handle_health, .ctx = i, .class = SLX_HTTP_PLAIN, .flags = SLX_HTTP_WHEN_REPLAYING, .error = fail_v1 },
	};
	slx_http_add(h, routes, sizeof routes / sizeof routes[0]);
}
