/* What the server says of itself: status/..., and what it has none of. */
#include "server/prom/prom_int.h"

#include <stdio.h>
#include <unistd.h>

static void answer_literal(struct slx_prom *p, struct slx_http_exchange *x, const char *data)
{
	struct slx_answer a;
	slx_answer_begin_json(&a, p, x);
	slx_buf_put(&a.b, data, strlen(data));
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

/* ---- targets ---- */

void slx_prom_alertmanagers(void *ctx, struct slx_http_exchange *x)
{
	answer_literal(ctx, x, "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}");
}

void slx_prom_get_targets(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	if (!p->targets) {
		answer_literal(p, x, "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
		return;
	}
	slx_answer_begin_json(&a, p, x);
	p->targets->targets(p->targets->ctx, slx_http_param(x, "state", 0), slx_http_param(x, "scrapePool", 0), &a.b);
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

void slx_prom_targets_metadata(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	uint64_t limit;
	if (!slx_prom_limit_param(x, "limit", &limit))
		return;
	if (!p->targets) {
		answer_literal(p, x, "[]");
		return;
	}
	slx_answer_begin_json(&a, p, x);
	p->targets->metadata(p->targets->ctx, slx_http_param(x, "match_target", 0), slx_http_param(x, "metric", 0), limit, &a.b);
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

/* ---- objects of texts ---- */

/* An object while its members are written. */
struct object {
	struct slx_buf *b;
	bool any;
};

static void put_key(struct object *o, const char *key)
{
	slx_buf_u8(o->b, o->any ? ',' : '{');
	o->any = true;
	slx_json_text(o->b, slx_str(key));
	slx_buf_u8(o->b, ':');
}

static void put_text(struct object *o, const char *key, const char *value)
{
	put_key(o, key);
	slx_json_text(o->b, slx_str(value));
}

static void put_literal(struct object *o, const char *key, const char *value)
{
	put_key(o, key);
	slx_buf_put(o->b, value, strlen(value));
}

static void put_time(struct object *o, const char *key, int64_t ns)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(ns, text);
	put_text(o, key, text);
}

/* Grafana reads `version` to know what the server can do, and takes a server with `features` for Mimir. */
void slx_prom_buildinfo(void *ctx, struct slx_http_exchange *x)
{
	struct slx_answer a;
	slx_answer_begin_json(&a, ctx, x);
	struct object o = { .b = &a.b };
	put_text(&o, "version", SLX_PROM_VERSION);
	put_text(&o, "revision", SILEX_VERSION_STRING);
	put_text(&o, "branch", "");
	put_text(&o, "buildUser", "");
	put_text(&o, "buildDate", "");
	put_text(&o, "goVersion", "");
	put_text(&o, "silexVersion", SILEX_VERSION_STRING);
	slx_buf_u8(&a.b, '}');
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

/* What the server said of its configuration; a gauge of the same name is the same gauge. */
static double config_gauge(struct slx_prom *p, const char *name) { return slx_metric_value(slx_metrics_gauge(p->core->metrics, name, "", "")); }

void slx_prom_runtimeinfo(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	char host[256] = "", directory[4096] = "", processors[16];
	gethostname(host, sizeof host - 1);
	if (!getcwd(directory, sizeof directory))
		directory[0] = 0;
	snprintf(processors, sizeof processors, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	slx_answer_begin_json(&a, p, x);
	struct object o = { .b = &a.b };
	put_time(&o, "startTime", p->core->started_ns);
	put_text(&o, "CWD", directory);
	put_text(&o, "hostname", host);
	put_time(&o, "serverTime", slx_prom_now_ms(p) * SLX_MS);
	put_literal(&o, "reloadConfigSuccess", config_gauge(p, "silex_config_last_reload_successful") != 0 ? "true" : "false");
	put_time(&o, "lastConfigTime", (int64_t)(config_gauge(p, "silex_config_last_reload_success_timestamp_seconds") * 1e9));
	put_literal(&o, "corruptionCount", "0");
	put_literal(&o, "GOMAXPROCS", processors);
	put_text(&o, "GOGC", "");
	put_text(&o, "GODEBUG", "");
	put_text(&o, "storageRetention", "");
	slx_buf_u8(&a.b, '}');
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

void slx_prom_config(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	struct slx_buf yaml;
	slx_buf_init(&yaml, p->core->mem, SLX_MEM_OTHER, 16 << 20);
	slx_config_write(slx_core_config(p->core), &yaml);
	slx_answer_begin_json(&a, p, x);
	SLX_JSON_LITERAL(&a.b, "{\"yaml\":");
	slx_json_text(&a.b, (struct slx_str){ (const char *)yaml.p, yaml.n });
	slx_buf_u8(&a.b, '}');
	a.b.failed |= yaml.failed;
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
	slx_buf_free(&yaml);
}

static void put_flag(void *arg, const char *key, const char *value) { put_text(arg, key, value ? value : ""); }

void slx_prom_flags(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	slx_answer_begin_json(&a, p, x);
	struct object o = { .b = &a.b };
	slx_config_each(slx_core_config(p->core), put_flag, &o);
	slx_buf_put(&a.b, o.any ? "}" : "{}", o.any ? 1 : 2);
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

/* The log has been replayed when this is answered. */
void slx_prom_walreplay(void *ctx, struct slx_http_exchange *x) { answer_literal(ctx, x, "{\"min\":0,\"max\":0,\"current\":0}"); }
