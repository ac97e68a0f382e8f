/* The room as a whole. */
#include "server/native/native_int.h"

#include "base/clock.h"

#define PREFIX "/api/silex/v1"
#define ROUTE(m, p, fn, c, f) { .methods = m, .path = p, .handle = fn, .class = c, .flags = f, .error = slx_native_route_error }

static const struct slx_http_route routes[] = {
	ROUTE("POST", PREFIX "/insert", slx_native_insert, SLX_HTTP_WRITE, 0),
	ROUTE("POST", PREFIX "/batch", slx_native_batch, SLX_HTTP_WRITE, 0),
	ROUTE("GET,POST", PREFIX "/query", slx_native_query, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/latest", slx_native_latest, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/series", slx_native_series, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/series/info", slx_native_series_info, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/labels", slx_native_labels, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/labels/{name}/values", slx_native_label_values, SLX_HTTP_READ, 0),
	ROUTE("GET", PREFIX "/tenants", slx_native_tenants, SLX_HTTP_READ, SLX_HTTP_NO_TENANT),
	ROUTE("POST", PREFIX "/delete", slx_native_delete, SLX_HTTP_ADMIN, 0),
	ROUTE("POST", PREFIX "/checkpoint", slx_native_checkpoint, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/retention", slx_native_retention, SLX_HTTP_READ, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/rollups", slx_native_rollups, SLX_HTTP_READ, SLX_HTTP_NO_TENANT),
	ROUTE("POST", PREFIX "/rollups/rebuild", slx_native_rollups_rebuild, SLX_HTTP_ADMIN, 0),
	ROUTE("POST", PREFIX "/retention/apply", slx_native_retention_apply, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("POST", PREFIX "/snapshot", slx_native_snapshot, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/snapshot/file", slx_native_snapshot_file, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("POST", PREFIX "/backup", slx_native_backup, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/backups", slx_native_backups, SLX_HTTP_READ, SLX_HTTP_NO_TENANT),
	ROUTE("POST", PREFIX "/restore", slx_native_restore, SLX_HTTP_ADMIN, 0),
	ROUTE("POST", PREFIX "/tier/move", slx_native_tier_move, SLX_HTTP_ADMIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/stream", slx_native_stream, SLX_HTTP_PLAIN, SLX_HTTP_WEBSOCKET),
	ROUTE("GET,POST", PREFIX "/alerts", slx_native_alerts, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", PREFIX "/alerts/history", slx_native_alert_history, SLX_HTTP_READ, 0),
	ROUTE("POST,DELETE", PREFIX "/alerts/{fingerprint}/acknowledge", slx_native_acknowledge, SLX_HTTP_ADMIN, 0),
	ROUTE("GET,POST", PREFIX "/silences", slx_native_silences, SLX_HTTP_ADMIN, 0),
	ROUTE("DELETE", PREFIX "/silences/{id}", slx_native_silence, SLX_HTTP_ADMIN, 0),
	ROUTE("GET,POST", PREFIX "/rules", slx_native_rules, SLX_HTTP_ADMIN, 0),
	ROUTE("POST", PREFIX "/backfill", slx_native_backfill, SLX_HTTP_ADMIN, 0),
	ROUTE("GET,DELETE", PREFIX "/rules/{id}", slx_native_rule, SLX_HTTP_ADMIN, 0),
	ROUTE("GET", PREFIX "/metrics", slx_native_metrics, SLX_HTTP_PLAIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", "/api/v1/stats", slx_native_metrics, SLX_HTTP_PLAIN, SLX_HTTP_NO_TENANT),
	ROUTE("GET", PREFIX "/health", slx_native_health, SLX_HTTP_PLAIN, SLX_HTTP_NO_TENANT | SLX_HTTP_WHEN_REPLAYING),
	ROUTE("GET", PREFIX "/openapi.yaml", slx_native_openapi, SLX_HTTP_PLAIN, SLX_HTTP_NO_TENANT | SLX_HTTP_WHEN_REPLAYING),
	ROUTE("GET,POST", "/api/v1/export", slx_native_export, SLX_HTTP_READ, 0),
	ROUTE("GET,POST", "/api/v1/export/csv", slx_native_export_csv, SLX_HTTP_READ, 0),
	ROUTE("GET", "/api/v1/health", slx_native_health, SLX_HTTP_PLAIN, SLX_HTTP_NO_TENANT | SLX_HTTP_WHEN_REPLAYING),
};

int64_t slx_native_now(struct slx_native *n) { return slx_wall_ns(slx_engine_clock(slx_native_engine(n))); }

silex_status slx_native_new(struct slx_core *core, struct slx_native **ret, silex_error *err)
{
	struct slx_native *n = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *n);
	if (!n)
		return slx_err_oom(err);
	n->core = core;
	*ret = n;
	return SILEX_OK;
}

void slx_native_routes(struct slx_http *h, struct slx_native *n)
{
	struct slx_http_route own[sizeof routes / sizeof *routes];
	memcpy(own, routes, sizeof own);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		own[i].ctx = n;
	slx_http_add(h, own, sizeof own / sizeof *own);
}

void slx_native_set_rules(struct slx_native *n, const struct slx_native_rules *r) { atomic_store(&n->rules, r); }

silex_status slx_native_open(struct slx_native *n, struct slx_intake *intake, silex_error *err)
{
	SLX_TRY(slx_stream_new(n, &n->stream_kept, err));
	atomic_store(&n->stream, n->stream_kept);
	atomic_store(&n->intake, intake);
	return slx_alerts_add_sink(slx_api_alerts(slx_core_db(n->core)), slx_stream_alert, n->stream_kept, err);
}

void slx_native_set_backups(struct slx_native *n, struct slx_backups *b) { atomic_store(&n->backups, b); }

void slx_native_silences_changed(struct slx_native *n)
{
	struct slx_stream *s = atomic_load(&n->stream);
	if (s)
		slx_stream_alerts_changed(s);
}

void slx_native_stop(struct slx_native *n)
{
	if (!atomic_exchange(&n->stream, NULL))
		return;
	slx_alerts_remove_sink(slx_api_alerts(slx_core_db(n->core)), slx_stream_alert, n->stream_kept);
	slx_stream_stop(n->stream_kept);
}

void slx_native_free(struct slx_native *n)
{
	if (!n)
		return;
	slx_native_stop(n);
	slx_stream_free(n->stream_kept);
	slx_free(n->core->mem, SLX_MEM_OTHER, n, sizeof *n);
}
