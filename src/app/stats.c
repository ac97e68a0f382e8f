#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"

#include <math.h>
#include <string.h>

/* A fact of the metrics, as people and as machines read it. */
struct fact {
	const char *name; /* JSON key */
	const char *title;
	char human[200];
	char machine[200];
	bool text;
};

enum { FACTS_MAX = 48 };

struct facts {
	struct fact v[FACTS_MAX];
	size_t n;
};

static struct fact *add(struct facts *f, const char *name, const char *title)
{
	struct fact *x = &f->v[f->n++];
	x->name = name;
	x->title = title;
	return x;
}

static void count(struct facts *f, const char *name, const char *title, uint64_t n)
{
	struct fact *x = add(f, name, title);
	app_count_text(n, x->human);
	snprintf(x->machine, sizeof x->machine, "%llu", (unsigned long long)n);
}

static void bytes(struct facts *f, const char *name, const char *title, uint64_t n)
{
	struct fact *x = add(f, name, title);
	app_bytes_text(n, x->human);
	snprintf(x->machine, sizeof x->machine, "%llu", (unsigned long long)n);
}

static void real(struct facts *f, const char *name, const char *title, double v, const char *fmt_unit)
{
	struct fact *x = add(f, name, title);
	char text[APP_TEXT_SIZE];
	snprintf(x->human, sizeof x->human, "%s%s", app_short_text(v, text), fmt_unit);
	app_real_text(isfinite(v) ? v : 0, x->machine);
}

static void text(struct facts *f, const char *name, const char *title, const char *s)
{
	struct fact *x = add(f, name, title);
	snprintf(x->human, sizeof x->human, "%s", s);
	snprintf(x->machine, sizeof x->machine, "%s", s);
	x->text = true;
}

/* The latency below which this share of the queries stayed, by the histogram: an upper bound. */
static const char *latency(const silex_metrics *m, double share, char ret[APP_TEXT_SIZE])
{
	uint64_t seen = 0;
	for (int i = 0; i < SILEX_LATENCY_BUCKETS; i++) {
		seen += m->query_latency[i];
		if ((double)seen >= share * (double)m->queries)
			return app_span_text((int64_t)16000 << i, ret);
	}
	return "longer";
}

static void gather(struct facts *f, const silex_metrics *m)
{
	char s[APP_TEXT_SIZE];
	text(f, "health", "health", m->health);
	text(f, "promise", "promise", m->promise ? m->promise : "");
	count(f, "tenants", "tenants", m->tenants);
	count(f, "series_head", "series in the head", m->series);
	count(f, "points_head", "points in the head", m->points_head);
	count(f, "points_blocks", "points in blocks", m->points_blocks);
	bytes(f, "bytes_head", "memory of the head", m->bytes_head);
	bytes(f, "bytes_blocks", "files of blocks", m->bytes_blocks - m->bytes_cold);
	bytes(f, "bytes_cold", "blocks in stores", m->bytes_cold);
	bytes(f, "bytes_wal", "files of the log", m->bytes_wal);
	if (m->disk_total) {
		bytes(f, "disk_free", "free on the disk", m->disk_free);
		bytes(f, "disk_total", "size of the disk", m->disk_total);
	}
	if (m->points_blocks) {
		real(f, "bytes_per_point", "bytes per point in blocks", (double)m->bytes_blocks / (double)m->points_blocks, "");
		real(f, "ratio", "ratio to 16 bytes a point", m->ratio, " : 1");
	}
	count(f, "blocks", "blocks", m->blocks);
	count(f, "blocks_cold", "of them in stores", m->blocks_cold);
	bytes(f, "cold_backlog_bytes", "old enough to move there", m->cold_backlog_bytes);
	if (m->cold_error[0])
		text(f, "cold_error", "last try to move", m->cold_error);
	count(f, "tombstones", "deletes not compacted yet", m->tombstones);
	count(f, "wal_segments", "log segments", m->wal_segments);
	count(f, "wal_frames", "log frames", m->wal_frames);
	bytes(f, "memory_used", "memory used", m->memory_used);
	bytes(f, "memory_limit", "memory limit", m->memory_limit);
	bytes(f, "memory_cache", "of that, caches", m->memory_cache);
	count(f, "points_ingested", "points written since it was opened", m->points_ingested);
	count(f, "points_refused", "points refused", m->points_refused);
	real(f, "ingest_rate", "points a second, last minute", m->ingest_rate, "");
	count(f, "flushes", "flushes", m->flushes);
	count(f, "compactions", "compactions", m->compactions);
	count(f, "queries", "queries", m->queries);
	if (m->queries) {
		real(f, "query_mean_ms", "mean query", m->query_mean_ms, " ms");
		text(f, "query_p99", "99 % of queries within", latency(m, 0.99, s));
	}
	count(f, "damaged_pages", "damaged pages", m->damaged_pages);
	count(f, "damaged_frames", "damaged log frames", m->damaged_frames);
	bytes(f, "torn_bytes", "torn off the log at opening", m->torn_bytes);
}

static void print(struct app *a, const struct facts *f)
{
	struct app_table t;
	bool machine = a->common.format != APP_DEFAULT && a->common.format != APP_TABLE;
	app_table_init(&t);
	if (!machine) {
		t.plain = true;
		app_table_column(&t, "what", APP_LEFT, true);
		app_table_column(&t, "value", APP_LEFT, true);
	}
	for (size_t i = 0; i < f->n; i++)
		if (machine)
			app_table_column(&t, f->v[i].name, APP_LEFT, f->v[i].text);
	for (size_t i = 0; i < f->n; i++) {
		if (!machine)
			app_table_add(&t, f->v[i].title);
		app_table_add(&t, machine ? f->v[i].machine : f->v[i].human);
	}
	app_table_print(&t, a->out, a->common.format == APP_JSON ? APP_JSONL : (enum app_format)a->common.format, a->utf8);
	app_table_free(&t);
}

static int stats_run(struct app *a, void *options, int argc, char **argv)
{
	silex_metrics m = { .size = sizeof m };
	silex_error err;
	struct app_store db;
	struct facts f = { 0 };
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	if (app_get_metrics(&db, &m, &err) != SILEX_OK)
		return app_store_close(&db, APP_READ, app_fail(NULL, &err));
	gather(&f, &m);
	print(a, &f);
	return app_store_close(&db, APP_READ, m.healthy ? APP_OK : APP_FAILED);
}

const struct app_command app_stats = {
	.name = "stats",
	.args = "",
	.summary = "health, points, bytes, memory, log",
	.text = "The exit status is 1 when the database is not healthy. --format json gives one object.",
	.examples = "silex stats -d /var/lib/ward\n"
				"silex stats --url http://localhost:9470 -f json\tof a server, for scripts\n",
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT,
	.run = stats_run,
};
