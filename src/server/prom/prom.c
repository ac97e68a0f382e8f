/* The room as a whole: routes and metrics. */
#include "server/prom/prom_int.h"

#include <stdio.h>

#define ROUTE(m, p, fn, c) { .methods = m, .path = p, .handle = fn, .class = c, .error = slx_prom_route_error }

static const struct slx_http_route routes[] = {
	ROUTE("GET,POST", "/api/v1/query", slx_prom_query, SLX_HTTP_READ),
	ROUTE("GET,POST", "/api/v1/query_range", slx_prom_query_range, SLX_HTTP_READ),
	ROUTE("GET,POST", "/api/v1/query_exemplars", slx_prom_query_exemplars, SLX_HTTP_READ),
	ROUTE("GET,POST", "/api/v1/format_query", slx_prom_format_query, SLX_HTTP_PLAIN),
	ROUTE("GET,POST", "/api/v1/labels", slx_prom_labels, SLX_HTTP_READ),
	ROUTE("GET", "/api/v1/label/{name}/values", slx_prom_label_values, SLX_HTTP_READ),
	ROUTE("GET,POST", "/api/v1/series", slx_prom_series, SLX_HTTP_READ),
	ROUTE("GET", "/api/v1/metadata", slx_prom_metadata, SLX_HTTP_READ),
	ROUTE("GET", "/api/v1/targets", slx_prom_get_targets, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/targets/metadata", slx_prom_targets_metadata, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/rules", slx_prom_rules, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/alerts", slx_prom_alerts, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/alertmanagers", slx_prom_alertmanagers, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/status/buildinfo", slx_prom_buildinfo, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/status/runtimeinfo", slx_prom_runtimeinfo, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/status/config", slx_prom_config, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/status/flags", slx_prom_flags, SLX_HTTP_PLAIN),
	ROUTE("GET", "/api/v1/status/tsdb", slx_prom_tsdb, SLX_HTTP_READ),
	ROUTE("GET", "/api/v1/status/walreplay", slx_prom_walreplay, SLX_HTTP_PLAIN),
	ROUTE("POST,PUT", "/api/v1/admin/tsdb/delete_series", slx_prom_delete_series, SLX_HTTP_ADMIN),
	ROUTE("POST,PUT", "/api/v1/admin/tsdb/clean_tombstones", slx_prom_clean_tombstones, SLX_HTTP_ADMIN),
	ROUTE("POST,PUT", "/api/v1/admin/tsdb/snapshot", slx_prom_snapshot, SLX_HTTP_ADMIN),
	{ .methods = "POST", .path = "/api/v1/read", .handle = slx_prom_remote_read, .class = SLX_HTTP_READ, .flags = SLX_HTTP_RAW_BODY,
		.error = slx_prom_route_error },
	ROUTE("GET", "/federate", slx_prom_federate, SLX_HTTP_READ),
};

static void register_metrics(struct slx_prom *p)
{
	static const char *const kinds[SLX_PROM_KINDS] = { [SLX_PROM_INSTANT] = "kind=\"instant\"", [SLX_PROM_RANGE] = "kind=\"range\"" };
	struct slx_metrics *m = p->core->metrics;
	for (int k = 0; k < SLX_PROM_KINDS; k++)
		p->duration[k] = slx_metrics_histogram(m, "silex_promql_query_duration_seconds", "Time from parsed text to result.", kinds[k], NULL, 0);
	for (int k = 0; k < SLX_PROM_ERRORS; k++) {
		char labels[64];
		snprintf(labels, sizeof labels, "reason=\"%s\"", slx_prom_error_name(k));
		p->failed[k] = slx_metrics_counter(m, "silex_promql_queries_failed_total", "PromQL queries that ended with an error.", labels);
	}
	p->samples = slx_metrics_counter(m, "silex_promql_samples_total", "Samples that PromQL queries read.", "");
}

silex_status slx_prom_new(struct slx_core *core, struct slx_prom **ret, silex_error *err)
{
	struct slx_prom *p = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *p);
	if (!p)
		return slx_err_oom(err);
	p->core = core;
	register_metrics(p);
	*ret = p;
	return SILEX_OK;
}

void slx_prom_free(struct slx_prom *p)
{
	if (p)
		slx_free(p->core->mem, SLX_MEM_OTHER, p, sizeof *p);
}

void slx_prom_set_targets(struct slx_prom *p, const struct slx_prom_targets *t) { p->targets = t; }
void slx_prom_set_rules(struct slx_prom *p, const struct slx_prom_rules *r) { p->rules = r; }

void slx_prom_routes(struct slx_http *h, struct slx_prom *p)
{
	struct slx_http_route own[sizeof routes / sizeof *routes];
	memcpy(own, routes, sizeof own);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		own[i].ctx = p;
	slx_http_add(h, own, sizeof own / sizeof *own);
}
