/* metrics and health: one document of everything a person who looks after a server asks. Bytes, seconds and counts throughout. */
#include "server/native/native_int.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

static void put_u64(struct slx_buf *b, const char *key, uint64_t v)
{
	slx_native_put(b, "%s\"%s\":%llu", b->n && b->p[b->n - 1] != '{' ? "," : "", key, (unsigned long long)v);
}

static void put_real(struct slx_buf *b, const char *key, double v)
{
	slx_native_put(b, "%s\"%s\":", b->n && b->p[b->n - 1] != '{' ? "," : "", key);
	slx_native_put_real(b, v);
}

static void put_text(struct slx_buf *b, const char *key, const char *v)
{
	slx_native_put(b, "%s\"%s\":", b->n && b->p[b->n - 1] != '{' ? "," : "", key);
	slx_json_text(b, slx_str(v));
}

static void open_object(struct slx_buf *b, const char *key) { slx_native_put(b, ",\"%s\":{", key); }

static void close_object(struct slx_buf *b) { slx_buf_u8(b, '}'); }

static void put_instant(struct slx_buf *b, const char *key, int64_t ns)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(ns, text);
	put_text(b, key, text);
}

/* ---- parts ---- */

static void put_cold(struct slx_buf *b, const silex_metrics *m)
{
	open_object(b, "cold");
	put_u64(b, "blocks", m->blocks_cold);
	put_u64(b, "backlog_blocks", m->cold_backlog_blocks);
	put_u64(b, "backlog_bytes", m->cold_backlog_bytes);
	put_u64(b, "moves", m->cold_moves);
	put_u64(b, "moved_bytes", m->cold_moved_bytes);
	put_u64(b, "requests", m->cold_requests);
	put_u64(b, "read_bytes", m->cold_read_bytes);
	put_u64(b, "errors", m->cold_errors);
	put_u64(b, "garbage", m->cold_garbage);
	put_u64(b, "removed", m->cold_removed);
	put_text(b, "error", m->cold_error);
	close_object(b);
}

static void put_storage(struct slx_buf *b, const silex_metrics *m)
{
	uint64_t points = m->points_head + m->points_blocks;
	put_u64(b, "tenants", m->tenants);
	put_u64(b, "series", m->series);
	open_object(b, "points");
	put_u64(b, "total", points);
	put_u64(b, "head", m->points_head);
	put_u64(b, "blocks", m->points_blocks);
	close_object(b);
	open_object(b, "bytes");
	put_u64(b, "head", m->bytes_head);
	put_u64(b, "blocks", m->bytes_blocks - m->bytes_cold);
	put_u64(b, "cold", m->bytes_cold);
	put_u64(b, "wal", m->bytes_wal);
	close_object(b);
	open_object(b, "disk");
	put_u64(b, "free", m->disk_free);
	put_u64(b, "total", m->disk_total);
	put_u64(b, "mark", m->disk_mark);
	close_object(b);
	put_real(b, "ratio", m->ratio);
	put_real(b, "bytes_per_point", m->points_blocks ? (double)m->bytes_blocks / (double)m->points_blocks : (double)NAN);
	put_u64(b, "blocks", m->blocks);
	put_u64(b, "tombstones", m->tombstones);
	put_u64(b, "flushes", m->flushes);
	put_u64(b, "compactions", m->compactions);
	put_cold(b, m);
}

static void put_wal(struct slx_buf *b, const silex_options *o, const silex_metrics *m)
{
	static const char *const syncs[] = { "always", "always", "interval", "never" };
	bool none = o->wal == SILEX_WAL_NONE;
	open_object(b, "wal");
	put_text(b, "mode", none ? "none" : "file");
	put_text(b, "sync", none ? "none" : syncs[o->sync]);
	put_real(b, "interval_s", o->sync == SILEX_SYNC_INTERVAL ? (double)(o->wal_sync_interval_ms ? o->wal_sync_interval_ms : 1000) / 1e3 : (double)NAN);
	put_text(b, "promise", m->promise ? m->promise : "");
	put_u64(b, "bytes", m->bytes_wal);
	put_u64(b, "segments", m->wal_segments);
	put_u64(b, "frames", m->wal_frames);
	put_u64(b, "syncs", m->wal_syncs);
	put_u64(b, "unsynced_bytes", (uint64_t)(m->wal_unsynced_bytes > 0 ? m->wal_unsynced_bytes : 0));
	close_object(b);
}

static uint64_t resident(void)
{
	unsigned long total = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%lu %lu", &total, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_memory(struct slx_buf *b, struct slx_core *core, const silex_metrics *m)
{
	static const char *const uses[SLX_MEM_USES] = { [SLX_MEM_HEAD] = "head", [SLX_MEM_CACHE] = "cache", [SLX_MEM_WAL] = "wal",
		[SLX_MEM_QUERY] = "query", [SLX_MEM_OTHER] = "other" };
	struct slx_mem *mem = slx_api_mem(slx_core_db(core));
	int64_t server = slx_mem_total(core->mem);
	open_object(b, "memory");
	put_u64(b, "used", m->memory_used);
	put_u64(b, "limit", m->memory_limit);
	put_u64(b, "server", (uint64_t)(server > 0 ? server : 0));
	put_u64(b, "resident", resident());
	open_object(b, "by_use");
	for (unsigned i = 0; i < SLX_MEM_USES; i++) {
		int64_t v = atomic_load_explicit(&mem->used[i], memory_order_relaxed);
		put_u64(b, uses[i], (uint64_t)(v > 0 ? v : 0));
	}
	close_object(b);
	close_object(b);
}

/* The bucket's upper bound in seconds; the last one has none. */
static double bucket_s(unsigned i) { return 16e-6 * (double)(UINT64_C(1) << i); }

static double quantile(const silex_metrics *m, double q)
{
	uint64_t total = 0, seen = 0;
	for (unsigned i = 0; i < SILEX_LATENCY_BUCKETS; i++)
		total += m->query_latency[i];
	for (unsigned i = 0; total && i < SILEX_LATENCY_BUCKETS - 1; i++) {
		seen += m->query_latency[i];
		if ((double)seen >= q * (double)total)
			return bucket_s(i);
	}
	return (double)NAN;
}

static void put_queries(struct slx_buf *b, const silex_metrics *m)
{
	open_object(b, "queries");
	put_u64(b, "count", m->queries);
	put_real(b, "mean_s", m->query_mean_ms / 1e3);
	put_real(b, "p50_s", quantile(m, 0.5));
	put_real(b, "p99_s", quantile(m, 0.99));
	slx_native_put_text(b, ",\"histogram\":[");
	for (unsigned i = 0; i < SILEX_LATENCY_BUCKETS; i++) {
		slx_native_put_text(b, i ? ",{" : "{");
		put_real(b, "le_s", i + 1 < SILEX_LATENCY_BUCKETS ? bucket_s(i) : (double)NAN);
		put_u64(b, "count", m->query_latency[i]);
		close_object(b);
	}
	slx_buf_u8(b, ']');
	close_object(b);
}

struct list {
	struct slx_buf *b;
	int64_t now;
	size_t n;
};

static void put_slow(void *arg, const struct slx_slow_query *s)
{
	struct list *l = arg;
	slx_native_put_text(l->b, l->n++ ? ",{" : "{");
	put_text(l->b, "query", s->text);
	put_text(l->b, "kind", s->kind);
	put_text(l->b, "tenant", s->tenant);
	put_instant(l->b, "start", s->started_ns);
	put_real(l->b, "seconds", (double)s->elapsed_ns / 1e9);
	put_u64(l->b, "series", s->series);
	put_u64(l->b, "samples", s->samples);
	put_text(l->b, "status", silex_status_text((silex_status)s->status));
	put_text(l->b, "request_id", s->request_id);
	close_object(l->b);
}

static void put_active(void *arg, const struct slx_active_query *q)
{
	struct list *l = arg;
	slx_native_put_text(l->b, l->n++ ? ",{" : "{");
	slx_native_put_text(l->b, "\"query\":");
	slx_json_text(l->b, q->text);
	put_text(l->b, "kind", q->kind);
	slx_native_put_text(l->b, ",\"tenant\":");
	slx_json_text(l->b, q->tenant);
	put_real(l->b, "seconds", (double)(l->now - q->started_ns) / 1e9);
	close_object(l->b);
}

static void put_query_lists(struct slx_buf *b, struct slx_core *core, int64_t now)
{
	struct list slow = { .b = b, .now = now }, active = slow;
	pthread_mutex_lock(&core->queries.lock);
	uint64_t ever = core->queries.slow_n;
	pthread_mutex_unlock(&core->queries.lock);
	open_object(b, "slow_queries");
	put_u64(b, "count", ever);
	put_real(b, "threshold_s", (double)atomic_load(&core->queries.slow_ns) / 1e9);
	slx_native_put_text(b, ",\"recent\":[");
	slx_queries_slow(&core->queries, put_slow, &slow);
	slx_native_put_text(b, "]}");
	slx_native_put_text(b, ",\"active_queries\":[");
	slx_queries_active(&core->queries, put_active, &active);
	slx_native_put_text(b, "]");
}

/* ---- the documents ---- */

static void put_health(struct slx_buf *b, struct slx_core *core, bool open, const silex_metrics *m, int64_t now)
{
	bool draining = atomic_load(&core->draining);
	slx_buf_u8(b, '{');
	put_text(b, "status", draining ? "draining" : !open ? "starting" : m->healthy ? "ok" : "degraded");
	put_text(b, "health", open ? m->health : draining ? "the server is ending" : "the log is replayed");
	put_text(b, "version", silex_version());
	put_real(b, "uptime_s", (double)(now - core->started_ns) / 1e9);
}

static int64_t wall_ns(void)
{
	silex_clock clock;
	slx_clock_init(&clock, NULL);
	return slx_wall_ns(&clock);
}

void slx_native_health(void *ctx, struct slx_http_exchange *x)
{
	struct slx_core *core = ((struct slx_native *)ctx)->core;
	silex_db *db = slx_core_db(core);
	silex_metrics m = { .size = sizeof m };
	struct slx_buf b;
	bool open = db && silex_get_metrics(db, &m, NULL) == SILEX_OK;
	slx_buf_init(&b, core->mem, SLX_MEM_OTHER, 64 << 10);
	put_health(&b, core, open, &m, wall_ns());
	slx_native_put_text(&b, "}\n");
	slx_http_reply(x, open && m.healthy && !atomic_load(&core->draining) ? 200 : 503, "application/json", &b);
}

void slx_native_metrics(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_core *core = n->core;
	silex_metrics m = { .size = sizeof m };
	silex_error err;
	struct slx_native_answer a;
	int64_t now = wall_ns();
	if (silex_get_metrics(slx_core_db(core), &m, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_native_answer_begin(&a, n, x, "application/json");
	put_health(&a.b, core, true, &m, now);
	put_storage(&a.b, &m);
	put_wal(&a.b, &slx_core_config(core)->engine, &m);
	put_memory(&a.b, core, &m);
	open_object(&a.b, "ingest");
	put_real(&a.b, "rate", m.ingest_rate);
	put_u64(&a.b, "accepted", m.points_ingested);
	put_u64(&a.b, "refused", m.points_refused);
	close_object(&a.b);
	put_queries(&a.b, &m);
	put_query_lists(&a.b, core, now);
	open_object(&a.b, "damage");
	put_u64(&a.b, "pages", m.damaged_pages);
	put_u64(&a.b, "frames", m.damaged_frames);
	put_u64(&a.b, "torn_bytes", m.torn_bytes);
	close_object(&a.b);
	slx_native_put_text(&a.b, "}\n");
	slx_native_answer_end(&a);
}
