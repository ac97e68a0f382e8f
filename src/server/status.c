/* What operators ask: /-/healthy, /-/ready, /-/reload, /-/quit, /metrics. */
#include "server/server_int.h"

#include "base/clock.h"

#include <dirent.h>
#include <silex/rollup.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static const char text_plain[] = "text/plain; charset=utf-8";

static void healthy(void *ctx, struct slx_http_exchange *x) { slx_http_reply_text(x, 200, text_plain, "Silex is healthy.\n"); }

static void ready(void *ctx, struct slx_http_exchange *x)
{
	struct slx_server_status *s = ctx;
	if (atomic_load(&s->core->draining)) {
		slx_http_set_header(x, "Retry-After", "5");
		slx_http_reply_text(x, 503, text_plain, "Silex is ending.\n");
	} else if (!slx_core_db(s->core) || !slx_http_ready(s->http)) {
		slx_http_set_header(x, "Retry-After", "5");
		slx_http_reply_text(x, 503, text_plain, "Silex is not ready: the log is replayed.\n");
	} else
		slx_http_reply_text(x, 200, text_plain, "Silex is ready.\n");
}

static void metrics(void *ctx, struct slx_http_exchange *x)
{
	struct slx_server_status *s = ctx;
	struct slx_buf b;
	slx_buf_init(&b, s->core->mem, SLX_MEM_OTHER, 64 << 20);
	slx_metrics_write(s->core->metrics, &b);
	slx_http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void reload(void *ctx, struct slx_http_exchange *x)
{
	struct slx_server_status *s = ctx;
	silex_error e;
	if (!slx_core_config(s->core)->http.lifecycle)
		slx_http_reply_problem(x, 403, "Forbidden", "set http.lifecycle to allow this");
	else if (s->core->reload(s->core, &e) == SILEX_OK)
		slx_http_reply_text(x, 200, text_plain, "The configuration was loaded.\n");
	else
		slx_http_reply_problem(x, 500, "The configuration was not loaded; the old one holds", e.message);
}

static void quit(void *ctx, struct slx_http_exchange *x)
{
	struct slx_server_status *s = ctx;
	if (!slx_core_config(s->core)->http.lifecycle) {
		slx_http_reply_problem(x, 403, "Forbidden", "set http.lifecycle to allow this");
		return;
	}
	slx_http_reply_text(x, 200, text_plain, "Silex ends.\n");
	kill(getpid(), SIGTERM);
}

void slx_server_status_routes(struct slx_server_status *s)
{
	static struct slx_http_route routes[] = {
		{ .methods = "GET", .path = "/-/healthy", .handle = healthy },
		{ .methods = "GET", .path = "/-/ready", .handle = ready },
		{ .methods = "GET", .path = "/metrics", .handle = metrics },
		{ .methods = "POST,PUT", .path = "/-/reload", .handle = reload, .class = SLX_HTTP_ADMIN },
		{ .methods = "POST,PUT", .path = "/-/quit", .handle = quit, .class = SLX_HTTP_ADMIN },
	};
	enum { N = sizeof routes / sizeof *routes };
	for (size_t i = 0; i < N; i++) {
		routes[i].ctx = s;
		routes[i].flags = SLX_HTTP_WHEN_REPLAYING | SLX_HTTP_NO_TENANT;
	}
	slx_http_add(s->http, routes, N);
}

/* --- metrics ---------------------------------------------------------------------------------------------------- */

static double cpu(void *ctx) { return slx_cpu_seconds(); }
static double started(void *ctx) { return (double)((struct slx_core *)ctx)->started_ns / 1e9; }
static double server_memory(void *ctx) { return (double)slx_mem_total(((struct slx_core *)ctx)->mem); }

static double memory(bool resident)
{
	long total = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f) {
		if (fscanf(f, "%ld %ld", &total, &rss) != 2)
			total = rss = 0;
		fclose(f);
	}
	return (double)(resident ? rss : total) * (double)sysconf(_SC_PAGESIZE);
}
static double resident_bytes(void *ctx) { return memory(true); }
static double virtual_bytes(void *ctx) { return memory(false); }

static double open_files(void *ctx)
{
	double n = -3; /* ".", ".." and the folder itself */
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n < 0 ? 0 : n;
}

static double max_files(void *ctx)
{
	struct rlimit r;
	return getrlimit(RLIMIT_NOFILE, &r) == 0 ? (double)r.rlim_cur : 0;
}

static double slow_queries(void *ctx)
{
	struct slx_core *c = ctx;
	pthread_mutex_lock(&c->queries.lock);
	double n = (double)c->queries.slow_n;
	pthread_mutex_unlock(&c->queries.lock);
	return n;
}

static void collect_log(void *ctx, struct slx_metrics_writer *w)
{
	static const char *const levels[] = { "level=\"debug\"", "level=\"info\"", "level=\"warn\"", "level=\"error\"" };
	struct slx_core *c = ctx;
	for (unsigned i = 0; i < 4; i++)
		slx_metrics_emit(w, SLX_COUNTER, "silex_log_lines_total", "Lines of the log.", levels[i], (double)atomic_load(&c->log->lines[i]));
}

static void collect_engine(void *ctx, struct slx_metrics_writer *w)
{
	struct slx_core *c = ctx;
	silex_db *db = slx_core_db(c);
	silex_metrics m = { .size = sizeof m };
	if (!db || silex_get_metrics(db, &m, NULL) != SILEX_OK)
		return;
	const struct {
		enum slx_metric_type type;
		const char *name, *help, *labels;
		double v;
	} rows[] = {
		{ SLX_GAUGE, "silex_healthy", "1 when the log takes writes and no block is damaged.", "", m.healthy },
		{ SLX_GAUGE, "silex_tenants", "Tenants.", "", (double)m.tenants },
		{ SLX_GAUGE, "silex_head_series", "Series with samples in the head.", "", (double)m.series },
		{ SLX_GAUGE, "silex_points", "Samples stored.", "tier=\"head\"", (double)m.points_head },
		{ SLX_GAUGE, "silex_points", "Samples stored.", "tier=\"blocks\"", (double)m.points_blocks },
		{ SLX_COUNTER, "silex_points_ingested_total", "Samples taken since start.", "", (double)m.points_ingested },
		{ SLX_COUNTER, "silex_points_refused_total", "Samples refused by the engine since start.", "", (double)m.points_refused },
		{ SLX_GAUGE, "silex_storage_bytes", "Bytes by tier: the head in memory, blocks and log as files, cold blocks in stores.", "tier=\"head\"", (double)m.bytes_head },
		{ SLX_GAUGE, "silex_storage_bytes", "", "tier=\"blocks\"", (double)(m.bytes_blocks - m.bytes_cold) },
		{ SLX_GAUGE, "silex_storage_bytes", "", "tier=\"cold\"", (double)m.bytes_cold },
		{ SLX_GAUGE, "silex_storage_bytes", "", "tier=\"wal\"", (double)m.bytes_wal },
		{ SLX_GAUGE, "silex_disk_bytes", "The disk of the database.", "what=\"free\"", (double)m.disk_free },
		{ SLX_GAUGE, "silex_disk_bytes", "", "what=\"total\"", (double)m.disk_total },
		{ SLX_GAUGE, "silex_disk_mark_bytes", "With less free writes are refused.", "", (double)m.disk_mark },
		{ SLX_GAUGE, "silex_writes_refused", "1 while writes are refused because the disk is nearly full.", "", m.writes_refused },
		{ SLX_COUNTER, "silex_points_too_old_total", "Samples refused because they were older than their retention.", "", (double)m.points_expired },
		{ SLX_COUNTER, "silex_retention_blocks_total", "Blocks that retention dropped whole.", "", (double)m.expired_blocks },
		{ SLX_COUNTER, "silex_retention_bytes_total", "Bytes of disk that retention gave back.", "", (double)m.expired_bytes },
		{ SLX_GAUGE, "silex_blocks", "Block files.", "", (double)m.blocks },
		{ SLX_GAUGE, "silex_tombstones", "Deletes that are not compacted yet.", "", (double)m.tombstones },
		{ SLX_GAUGE, "silex_wal_segments", "Files of the log.", "", (double)m.wal_segments },
		{ SLX_COUNTER, "silex_wal_frames_total", "Frames written to the log.", "", (double)m.wal_frames },
		{ SLX_COUNTER, "silex_wal_syncs_total", "Times the log was made durable.", "", (double)m.wal_syncs },
		{ SLX_GAUGE, "silex_wal_unsynced_bytes", "Bytes of the log that a power cut may take.", "", (double)m.wal_unsynced_bytes },
		{ SLX_GAUGE, "silex_memory_used_bytes", "Memory of the database, by its own account.", "", (double)m.memory_used },
		{ SLX_GAUGE, "silex_memory_limit_bytes", "Its limit.", "", (double)m.memory_limit },
		{ SLX_GAUGE, "silex_memory_cache_bytes", "Caches among it.", "", (double)m.memory_cache },
		{ SLX_GAUGE, "silex_memory_query_bytes", "Queries among it.", "", (double)m.memory_query },
		{ SLX_GAUGE, "silex_ingest_rate", "Samples a second over the last minute.", "", m.ingest_rate },
		{ SLX_COUNTER, "silex_flushes_total", "Heads written into blocks.", "", (double)m.flushes },
		{ SLX_COUNTER, "silex_compactions_total", "Compactions.", "", (double)m.compactions },
		{ SLX_COUNTER, "silex_engine_queries_total", "Queries that the engine answered.", "", (double)m.queries },
		{ SLX_GAUGE, "silex_damaged", "What was found damaged: pages of blocks, frames of the log.", "what=\"pages\"", (double)m.damaged_pages },
		{ SLX_GAUGE, "silex_damaged", "", "what=\"frames\"", (double)m.damaged_frames },
		{ SLX_GAUGE, "silex_torn_bytes", "Bytes of torn tails that were cut when the log was opened.", "", (double)m.torn_bytes },
		{ SLX_GAUGE, "silex_cold_blocks", "Blocks that lie in a store.", "", (double)m.blocks_cold },
		{ SLX_GAUGE, "silex_cold_backlog_blocks", "Blocks that are old enough to move to the cold store and have not yet.", "", (double)m.cold_backlog_blocks },
		{ SLX_GAUGE, "silex_cold_backlog_bytes", "Their bytes.", "", (double)m.cold_backlog_bytes },
		{ SLX_COUNTER, "silex_cold_moves_total", "Blocks moved to the cold store.", "", (double)m.cold_moves },
		{ SLX_COUNTER, "silex_cold_moved_bytes_total", "Their bytes.", "", (double)m.cold_moved_bytes },
		{ SLX_COUNTER, "silex_cold_requests_total", "Requests for parts of cold blocks.", "", (double)m.cold_requests },
		{ SLX_COUNTER, "silex_cold_read_bytes_total", "Bytes that they brought.", "", (double)m.cold_read_bytes },
		{ SLX_COUNTER, "silex_cold_errors_total", "Failures of stores while blocks were moved, read or removed.", "", (double)m.cold_errors },
		{ SLX_GAUGE, "silex_cold_garbage_objects", "Objects in stores that wait to be removed.", "", (double)m.cold_garbage },
		{ SLX_COUNTER, "silex_cold_removed_total", "Objects removed from stores.", "", (double)m.cold_removed },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		slx_metrics_emit(w, rows[i].type, rows[i].name, rows[i].help, rows[i].labels, rows[i].v);
}

static void collect_rules(void *ctx, struct slx_metrics_writer *w)
{
	silex_db *db = slx_core_db(ctx);
	struct slx_watch_counts n;
	if (!db || !slx_api_watch(db))
		return;
	slx_watch_count(slx_api_watch(db), &n);
	const struct {
		enum slx_metric_type type;
		const char *name, *help, *labels;
		double v;
	} rows[] = {
		{ SLX_GAUGE, "silex_rule_arrival_rules", "Rules on arrival.", "", (double)n.rules },
		{ SLX_GAUGE, "silex_rule_arrival_series", "Series that they watch; one counts for each rule.", "", (double)n.series },
		{ SLX_COUNTER, "silex_rule_samples_total", "Samples of series that rules on arrival watch: in order, late, and those that do not count.",
			"taken=\"in_order\"", (double)n.samples },
		{ SLX_COUNTER, "silex_rule_samples_total", "", "taken=\"late\"", (double)n.late },
		{ SLX_COUNTER, "silex_rule_samples_total", "", "taken=\"no\"", (double)n.ignored },
		{ SLX_COUNTER, "silex_rule_series_refused_total", "Series that were one too many for their rule: not watched.", "", (double)n.refused },
		{ SLX_COUNTER, "silex_rule_changes_total", "Changes of alerts by rules on arrival, durable and told.", "", (double)n.told },
		{ SLX_COUNTER, "silex_rule_changes_failed_total", "Tries to make changes durable that failed; they are repeated.", "", (double)n.failed },
		{ SLX_GAUGE, "silex_rule_kept_bytes", "Memory for samples that windows and late samples need.", "", (double)n.kept_bytes },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		slx_metrics_emit(w, rows[i].type, rows[i].name, rows[i].help, rows[i].labels, rows[i].v);
}

struct rollup_rows {
	struct slx_metrics_writer *w;
	bool late; /* which of the two metrics */
	size_t n;
};

/* A label's value as the exposition writes it. */
static void put_escaped(char *to, size_t size, const char *from)
{
	size_t n = 0;
	for (; *from && n + 3 < size; from++) {
		if (*from == '\\' || *from == '"' || *from == '\n')
			to[n++] = '\\';
		to[n++] = *from == '\n' ? 'n' : *from;
	}
	to[n] = 0;
}

static bool emit_rollup(void *arg, const silex_rollup *r)
{
	struct rollup_rows *rows = arg;
	char labels[700], selector[400];
	put_escaped(selector, sizeof selector, r->selector);
	snprintf(labels, sizeof labels, "tenant=\"%s\",selector=\"%s\",level=\"%s\"", r->tenant, selector, r->level);
	double built = r->built == SILEX_ROLLUP_NOTHING_BUILT ? 0 : (double)r->built / 1e9;
	slx_metrics_emit(rows->w, SLX_GAUGE, rows->late ? "silex_rollup_late_windows" : "silex_rollup_built_timestamp_seconds",
		rows->n++ ? "" : rows->late ? "Windows of the tenant whose buckets wait to be built again." : "Unix time until which the level is built; 0: nothing yet.",
		labels, rows->late ? (double)r->late : built);
	return true;
}

static void collect_rollups(void *ctx, struct slx_metrics_writer *w)
{
	silex_db *db = slx_core_db(ctx);
	for (int late = 0; late < 2 && db; late++) {
		struct rollup_rows rows = { .w = w, .late = late };
		silex_rollup_list(db, emit_rollup, &rows, NULL);
	}
}

static void collect_stores(void *ctx, struct slx_metrics_writer *w)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} rows[] = {
		{ "silex_store_reads_total", "Ranges read from an object store.", offsetof(silex_store_metrics, reads) },
		{ "silex_store_read_bytes_total", "Bytes read from an object store.", offsetof(silex_store_metrics, bytes_read) },
		{ "silex_store_objects_written_total", "Objects written to an object store.", offsetof(silex_store_metrics, objects_written) },
		{ "silex_store_written_bytes_total", "Bytes written to an object store.", offsetof(silex_store_metrics, bytes_written) },
		{ "silex_store_objects_removed_total", "Objects removed from an object store.", offsetof(silex_store_metrics, objects_removed) },
		{ "silex_store_errors_total", "Calls that failed by the store's fault, after it tried again.", offsetof(silex_store_metrics, errors) },
	};
	silex_db *db = slx_core_db((struct slx_core *)ctx);
	silex_store_metrics m = { .size = sizeof m };
	char labels[96];
	for (size_t k = 0; db && k < sizeof rows / sizeof *rows; k++)
		for (size_t i = 0; silex_get_store_metrics(db, i, &m, NULL) == SILEX_OK; i++) {
			snprintf(labels, sizeof labels, "store=\"%s\"", m.name);
			slx_metrics_emit(w, SLX_COUNTER, rows[k].name, rows[k].help, labels, (double)*(const uint64_t *)((const char *)&m + rows[k].at));
		}
}

void slx_server_status_metrics(struct slx_core *core)
{
	struct slx_metrics *m = core->metrics;
	slx_metric_set(slx_metrics_gauge(m, "silex_build_info", "1; the version is a label.", "version=\"" SILEX_VERSION_STRING "\""), 1);
	slx_metrics_callback(m, SLX_COUNTER, "process_cpu_seconds_total", "User and system CPU time of this process.", "", cpu, core);
	slx_metrics_callback(m, SLX_GAUGE, "process_start_time_seconds", "When this process began, as Unix time.", "", started, core);
	slx_metrics_callback(m, SLX_GAUGE, "process_resident_memory_bytes", "Resident memory.", "", resident_bytes, core);
	slx_metrics_callback(m, SLX_GAUGE, "process_virtual_memory_bytes", "Virtual memory.", "", virtual_bytes, core);
	slx_metrics_callback(m, SLX_GAUGE, "process_open_fds", "Open files and sockets.", "", open_files, core);
	slx_metrics_callback(m, SLX_GAUGE, "process_max_fds", "Their limit.", "", max_files, core);
	slx_metrics_callback(m, SLX_GAUGE, "silex_memory_server_bytes", "Memory of the server outside of the database: requests, configuration.", "", server_memory, core);
	slx_metrics_callback(m, SLX_COUNTER, "silex_slow_queries_total", "Queries that took longer than log.slow_query.", "", slow_queries, core);
	slx_metrics_collector(m, collect_log, core);
	slx_metrics_collector(m, collect_engine, core);
	slx_metrics_collector(m, collect_stores, core);
	slx_metrics_collector(m, collect_rules, core);
	slx_metrics_collector(m, collect_rollups, core);
}
