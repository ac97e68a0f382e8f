/* silex bench: what this machine does with this engine, through the public API, in a temporary directory.
 * bench/ in the source tree measures the same paths against written targets; this is for the machine of a user. */
#include "app/commands.h"
#ifdef SILEX_WITH_SERVER
#include "app/remote_bench.h"
#endif
#include "app/table.h"

#include "base/clock.h"
#include "base/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUND_VALUES = 1 << 16, LATENCIES_MAX = 1 << 20 };

#define STEP  INT64_C(10000000000)         /* ten seconds between samples of a series */
#define BEGIN INT64_C(1767225600000000000) /* 2026-01-01 */

struct bench_options {
	uint64_t seconds, series, threads, readers;
	const char *directory;
};

struct bench {
	struct app *a;
	const struct bench_options *o;
	double seconds;
	size_t series, threads;
	char *dir;
	silex_db *db;
	silex_series **handles;
	double *values;  /* ROUND_VALUES steps of a two-decimal random walk */
	uint64_t points; /* of the timed part */
	double began, began_cpu, took, cpu;
	double *latencies; /* seconds, of single calls */
	size_t latencies_n;
	silex_error err;
};

struct workload {
	const char *name, *what;
	size_t series, threads;
	silex_wal wal;
	silex_sync sync;
	bool by_label; /* opens no handles */
	silex_status (*run)(struct bench *b);
};

/* --- parts ------------------------------------------------------------------------------------------------------ */

static void start(struct bench *b)
{
	b->began = app_seconds();
	b->began_cpu = slx_cpu_seconds();
}

static void stop(struct bench *b)
{
	b->took = app_seconds() - b->began;
	b->cpu = slx_cpu_seconds() - b->began_cpu;
}

static bool more(const struct bench *b) { return app_seconds() - b->began < b->seconds; }

static void note_latency(struct bench *b, double seconds)
{
	if (b->latencies_n < LATENCIES_MAX)
		b->latencies[b->latencies_n++] = seconds;
}

static double value(const struct bench *b, size_t series, size_t round)
{
	return b->values[(series * 7919 + round) % ROUND_VALUES];
}

static silex_status open_series(struct bench *b)
{
	char host[32], metric[24];
	b->handles = app_alloc(b->series * sizeof *b->handles);
	for (size_t i = 0; i < b->series; i++) {
		snprintf(host, sizeof host, "host-%zu", i / 10);
		snprintf(metric, sizeof metric, "metric_%zu", i % 10);
		const silex_label labels[] = { { "__name__", metric }, { "host", host }, { "region", "eu-1" } };
		silex_status st = silex_series_open(b->db, NULL, labels, 3, &b->handles[i], &b->err);
		if (st != SILEX_OK)
			return st;
	}
	return SILEX_OK;
}

static void close_series(struct bench *b)
{
	for (size_t i = 0; i < b->series && b->handles; i++)
		silex_series_close(b->handles[i]);
	free(b->handles);
	b->handles = NULL;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

enum { BATCH = 1000 };

/* Series first..end, one point each and instant, in batches. */
static silex_status append_rounds(struct bench *b, size_t first, size_t end, uint64_t *ret_points, silex_error *err)
{
	silex_point *points = app_alloc(BATCH * sizeof *points);
	silex_status st = SILEX_OK;
	for (size_t round = 0; st == SILEX_OK && more(b); round++)
		for (size_t i = first; i < end && st == SILEX_OK && (i % (64 * BATCH) || more(b));) {
			size_t n = 0;
			for (; n < BATCH && i < end; n++, i++)
				points[n] = (silex_point){ b->handles[i], BEGIN + (int64_t)round * STEP, value(b, i, round) };
			st = silex_append(b->db, points, n, err);
			*ret_points += n;
		}
	free(points);
	return st;
}

/* A first point for every series: its memory is not what the rates are about. */
static silex_status warm_up(struct bench *b)
{
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < b->series && st == SILEX_OK; i++) {
		silex_point p = { b->handles[i], BEGIN - STEP, 0 };
		st = silex_append(b->db, &p, 1, &b->err);
	}
	return st;
}

static silex_status append_handles(struct bench *b)
{
	SLX_TRY(warm_up(b));
	start(b);
	silex_status st = append_rounds(b, 0, b->series, &b->points, &b->err);
	stop(b);
	return st;
}

static silex_status append_random(struct bench *b)
{
	uint64_t seed = 1;
	for (size_t i = b->series - 1; i > 0; i--) {
		size_t k = slx_rng_next(&seed) % (i + 1);
		silex_series *s = b->handles[i];
		b->handles[i] = b->handles[k];
		b->handles[k] = s;
	}
	return append_handles(b);
}

struct writer {
	struct bench *b;
	size_t first, end;
	uint64_t points;
	silex_status status;
	silex_error err;
	pthread_t thread;
};

static silex_status run_writers(struct bench *b, void *(*run)(void *))
{
	struct writer *w = app_alloc(b->threads * sizeof *w);
	silex_status st = SILEX_OK;
	start(b);
	for (size_t i = 0; i < b->threads; i++) {
		w[i] = (struct writer){ .b = b, .first = b->series * i / b->threads, .end = b->series * (i + 1) / b->threads };
		if (pthread_create(&w[i].thread, NULL, run, &w[i]) != 0)
			b->threads = i;
	}
	for (size_t i = 0; i < b->threads; i++) {
		pthread_join(w[i].thread, NULL);
		b->points += w[i].points;
		if (w[i].status != SILEX_OK) {
			st = w[i].status;
			b->err = w[i].err;
		}
	}
	stop(b);
	free(w);
	return st;
}

static void *append_thread(void *arg)
{
	struct writer *w = arg;
	w->status = append_rounds(w->b, w->first, w->end, &w->points, &w->err);
	return NULL;
}

static silex_status wal(struct bench *b)
{
	SLX_TRY(warm_up(b));
	return run_writers(b, append_thread);
}

static void *commit_thread(void *arg)
{
	struct writer *w = arg;
	for (size_t i = w->first; w->status == SILEX_OK && more(w->b); i = i + 1 < w->end ? i + 1 : w->first) {
		silex_point p = { w->b->handles[i], BEGIN + (int64_t)w->points * STEP, 1 };
		w->status = silex_append(w->b->db, &p, 1, &w->err);
		w->points++;
	}
	return NULL;
}

static silex_status commits(struct bench *b) { return run_writers(b, commit_thread); }

static silex_status columns(struct bench *b)
{
	enum { WIDTH = 10, ROWS = 100 };
	size_t n = b->series / WIDTH;
	silex_columns **rows = app_alloc((n + 1) * sizeof *rows);
	double *values = app_alloc(ROWS * WIDTH * sizeof *values);
	int64_t times[ROWS];
	silex_status st = n ? SILEX_OK : slx_err(&b->err, SILEX_INVALID, "needs at least %d series", WIDTH);
	for (size_t i = 0; i < n && st == SILEX_OK; i++)
		st = silex_columns_open(b->db, b->handles + i * WIDTH, WIDTH, &rows[i], &b->err);
	start(b);
	for (size_t round = 0; st == SILEX_OK && more(b); round += ROWS) {
		for (size_t r = 0; r < ROWS; r++)
			times[r] = BEGIN + (int64_t)(round + r) * STEP;
		for (size_t i = 0; i < n && st == SILEX_OK; i++) {
			for (size_t k = 0; k < ROWS * WIDTH; k++)
				values[k] = value(b, k % WIDTH, round + k / WIDTH);
			st = silex_columns_append(rows[i], times, values, ROWS, &b->err);
			b->points += ROWS * WIDTH;
		}
	}
	stop(b);
	for (size_t i = 0; i < n; i++)
		silex_columns_close(rows[i]);
	free(rows);
	free(values);
	return st;
}

struct names {
	char host[32], metric[24];
	silex_label labels[3];
};

/* The labels go along as text with every row. */
static silex_status insert_labels(struct bench *b)
{
	struct names *names = app_alloc(b->series * sizeof *names);
	silex_row *rows = app_alloc(BATCH * sizeof *rows);
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < b->series; i++) {
		snprintf(names[i].host, sizeof names[i].host, "host-%zu", i / 10);
		snprintf(names[i].metric, sizeof names[i].metric, "metric_%zu", i % 10);
		names[i].labels[0] = (silex_label){ "__name__", names[i].metric };
		names[i].labels[1] = (silex_label){ "host", names[i].host };
		names[i].labels[2] = (silex_label){ "region", "eu-1" };
	}
	start(b);
	for (size_t round = 0, i = 0; st == SILEX_OK && more(b);) {
		for (size_t n = 0; n < BATCH; n++) {
			rows[n] = (silex_row){ names[i].labels, 3, BEGIN + (int64_t)round * STEP, silex_float(value(b, i, round)) };
			if (++i == b->series) {
				i = 0;
				round++;
			}
		}
		st = silex_insert_batch(b->db, NULL, rows, BATCH, NULL, &b->err);
		b->points += BATCH;
	}
	stop(b);
	free(names);
	free(rows);
	return st;
}

static silex_status create_series(struct bench *b)
{
	char host[32];
	silex_status st = SILEX_OK;
	start(b);
	for (uint64_t i = 0; st == SILEX_OK && more(b); i++) {
		snprintf(host, sizeof host, "host-%llu", (unsigned long long)i);
		const silex_label labels[] = { { "__name__", "cpu" }, { "host", host }, { "region", "eu-1" },
			{ "os", "debian" } };
		st = silex_insert(b->db, NULL, labels, 4, BEGIN, silex_float(1), &b->err);
		b->series = ++b->points;
	}
	stop(b);
	return st;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* A day of samples every ten seconds, in blocks. */
static silex_status load_day(struct bench *b)
{
	silex_point *points = app_alloc(b->series * sizeof *points);
	silex_status st = SILEX_OK;
	for (size_t round = 0; round < 8640 && st == SILEX_OK; round++) {
		for (size_t i = 0; i < b->series; i++)
			points[i] = (silex_point){ b->handles[i], BEGIN + (int64_t)round * STEP, value(b, i, round) };
		st = silex_append(b->db, points, b->series, &b->err);
	}
	free(points);
	return st;
}

/* Drains a cursor; adds what it gave to *ret_rows. */
static silex_status drain(struct bench *b, const silex_query *q, uint64_t *ret_rows)
{
	silex_cursor *c;
	silex_batch batch;
	silex_status st = silex_query_run(b->db, q, &c, &b->err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &batch, &b->err)) == SILEX_OK && batch.n)
		*ret_rows += batch.n;
	silex_cursor_close(c);
	return st;
}

static silex_status query_last_hour(struct bench *b)
{
	uint64_t seed = 1;
	char selector[80];
	const char *selectors[] = { selector };
	silex_query q;
	silex_status st = load_day(b);
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.end = BEGIN + 8639 * STEP;
	q.start = q.end - INT64_C(3600000000000) + STEP;
	start(b);
	while (st == SILEX_OK && more(b)) {
		size_t i = slx_rng_next(&seed) % b->series;
		snprintf(selector, sizeof selector, "metric_%zu{host=\"host-%zu\"}", i % 10, i / 10);
		double before = app_seconds();
		st = drain(b, &q, &b->points);
		note_latency(b, app_seconds() - before);
	}
	stop(b);
	return st;
}

static silex_status query_hours(struct bench *b)
{
	uint64_t rows = 0;
	const char *selectors[] = { "{}" };
	silex_query q;
	silex_status st = load_day(b);
	if (st == SILEX_OK)
		st = silex_checkpoint(b->db, &b->err);
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = BEGIN;
	q.end = BEGIN + 8639 * STEP;
	q.agg = SILEX_AGG_SUM;
	q.step = INT64_C(3600000000000);
	start(b);
	while (st == SILEX_OK && more(b)) {
		double before = app_seconds();
		st = drain(b, &q, &rows);
		note_latency(b, app_seconds() - before);
		b->points += 8640 * b->series;
	}
	stop(b);
	return st;
}

static const struct workload workloads[] = {
	{ "append-handles", "points by handle, no log", 1000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, false, append_handles },
	{ "append-random", "the same over many series in random order", 1000000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, false,
		append_random },
	{ "columns", "rows of ten values that share an instant, no log", 1000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, false,
		columns },
	{ "insert-labels", "rows with their labels as text, no log", 1000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, true,
		insert_labels },
	{ "create-series", "a new series with every row, no log", 1, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, true,
		create_series },
	{ "wal", "points by handle through the log, sync=interval", 100000, 2, SILEX_WAL_FILE, SILEX_SYNC_INTERVAL, false,
		wal },
	{ "commits", "single points, each on disk before the next, sync=always", 1000, 16, SILEX_WAL_FILE,
		SILEX_SYNC_ALWAYS, false, commits },
	{ "query-last-hour", "the last hour of one series out of a day", 1000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, false,
		query_last_hour },
	{ "query-hours", "hourly sums of a day, all series, from blocks", 1000, 1, SILEX_WAL_NONE, SILEX_SYNC_NEVER, false,
		query_hours },
};
enum { WORKLOADS = sizeof workloads / sizeof *workloads };

/* --- running ---------------------------------------------------------------------------------------------------- */

static void fill_values(struct bench *b)
{
	uint64_t seed = 42;
	int v = 5000;
	b->values = app_alloc(ROUND_VALUES * sizeof *b->values);
	for (size_t i = 0; i < ROUND_VALUES; i++) {
		v += (int)(slx_rng_next(&seed) % 201) - 100;
		v = v < 0 ? 0 : v > 10000 ? 10000 : v;
		b->values[i] = v / 100.0;
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void row(struct app_table *t, const char *what, const char *value)
{
	app_table_add(t, what);
	app_table_add(t, value);
}

static void report(struct bench *b, const struct workload *w)
{
	struct app_table t;
	char text[APP_TEXT_SIZE];
	silex_metrics m = { .size = sizeof m };
	app_table_init(&t);
	t.plain = true;
	app_table_column(&t, "", APP_LEFT, true);
	app_table_column(&t, "", APP_RIGHT, true);
	fprintf(b->a->out, "%s: %s\n", w->name, w->what);
	row(&t, "  series", app_count_text(b->series, text));
	row(&t, "  threads", app_count_text(b->threads, text));
	row(&t, "  seconds", app_short_text(b->took, text));
	row(&t, "  points", app_count_text(b->points, text));
	row(&t, "  points/s", app_rate_text((double)b->points / b->took, text));
	row(&t, "  points/CPU-s", app_rate_text((double)b->points / (b->cpu > 0 ? b->cpu : 1e-9), text));
	if (b->latencies_n) {
		qsort(b->latencies, b->latencies_n, sizeof *b->latencies, by_size);
		row(&t, "  calls", app_count_text(b->latencies_n, text));
		row(&t, "  median", app_span_text((int64_t)(b->latencies[b->latencies_n / 2] * 1e9), text));
		row(&t, "  99th percentile", app_span_text((int64_t)(b->latencies[b->latencies_n * 99 / 100] * 1e9), text));
	}
	if (silex_get_metrics(b->db, &m, NULL) == SILEX_OK) {
		row(&t, "  memory of the engine", app_bytes_text(m.memory_used, text));
		if (m.flushes)
			row(&t, "  flushes", app_count_text(m.flushes, text));
		if (m.wal_syncs)
			row(&t, "  disk syncs", app_count_text(m.wal_syncs, text));
	}
	app_table_print(&t, b->a->out, APP_TABLE, b->a->utf8);
	app_table_free(&t);
	fflush(b->a->out);
}

/* The default memory limit is an embedded one: what is measured here is not back-pressure, unless it was asked for.
 * Half of the machine, at most 4 GiB. */
static void raise_memory(silex_options *o)
{
	silex_options fresh;
	uint64_t half = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
	silex_options_init(&fresh);
	if (o->memory_limit == fresh.memory_limit && half > o->memory_limit)
		o->memory_limit = half < UINT64_C(4) << 30 ? half : UINT64_C(4) << 30;
}

static int run_one(struct app *a, const struct bench_options *o, const struct workload *w)
{
	const char *temporary = o->directory ? o->directory : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	struct bench b = { .a = a,
		.o = o,
		.seconds = o->seconds ? (double)o->seconds : 3,
		.series = o->series ? o->series : w->series,
		.threads = o->threads ? o->threads : w->threads };
	silex_options options;
	int st = app_db_options(a, &options);
	if (st != APP_OK)
		return st;
	b.dir = app_printf("%s/silex-bench-XXXXXX", temporary);
	if (!mkdtemp(b.dir)) {
		app_say("%s: cannot make a folder here", temporary);
		free(b.dir);
		return APP_FAILED;
	}
	options.wal = w->wal;
	options.sync = w->sync;
	raise_memory(&options);
	fill_values(&b);
	b.latencies = app_alloc(LATENCIES_MAX * sizeof *b.latencies);
	silex_status status = silex_open(b.dir, &options, &b.db, &b.err);
	if (status == SILEX_OK && !w->by_label)
		status = open_series(&b);
	if (status == SILEX_OK)
		status = w->run(&b);
	if (status == SILEX_OK)
		report(&b, w);
	else
		st = app_fail(w->name, &b.err);
	close_series(&b);
	if (b.db)
		silex_close(b.db, NULL);
	app_remove_tree(b.dir);
	free(b.dir);
	free(b.values);
	free(b.latencies);
	return st;
}

static void list_workloads(struct app *a)
{
	fputs("Workloads (silex bench NAME..., or all):\n", a->out);
	for (size_t i = 0; i < WORKLOADS; i++)
		fprintf(a->out, "  %-16s %s\n", workloads[i].name, workloads[i].what);
}

static const struct workload *find(const char *name)
{
	const char *names[WORKLOADS + 1] = { NULL };
	for (size_t i = 0; i < WORKLOADS; i++) {
		names[i] = workloads[i].name;
		if (strcmp(name, workloads[i].name) == 0)
			return &workloads[i];
	}
	const char *nearest = app_nearest(name, names);
	if (nearest)
		app_say("there is no workload \"%s\"; did you mean \"%s\"?", name, nearest);
	else
		app_say("there is no workload \"%s\"; `silex bench` lists them", name);
	return NULL;
}

static int bench_server(struct app *a, const struct bench_options *o, int argc)
{
	if (argc || a->common.data || o->directory)
		return app_usage("--url: a mixed load of writes and queries; it takes no workload and no directory");
#ifdef SILEX_WITH_SERVER
	const struct app_remote_load load = {
		.seconds = o->seconds ? (double)o->seconds : 10,
		.series = o->series ? o->series : 10000,
		.writers = o->threads ? o->threads : 2,
		.readers = o->readers ? o->readers : 4,
	};
	return app_remote_bench(a, &load);
#else
	return app_usage("this program was built without the server and what speaks to one");
#endif
}

static int bench_run(struct app *a, void *options, int argc, char **argv)
{
	int st = APP_OK;
	if (a->common.url)
		return bench_server(a, options, argc);
	if (!argc)
		list_workloads(a);
	if (argc == 1 && strcmp(argv[0], "all") == 0) {
		for (size_t i = 0; i < WORKLOADS && st == APP_OK; i++)
			st = run_one(a, options, &workloads[i]);
		return st;
	}
	for (int i = 0; i < argc && st == APP_OK; i++) {
		const struct workload *w = find(argv[i]);
		st = w ? run_one(a, options, w) : APP_USAGE;
	}
	return st;
}

static const struct app_opt bench_opts[] = {
	APP_OPT(bench_options, seconds, "seconds", 's', APP_COUNT, "N", NULL, "how long the timed part runs [3; with --url 10]"),
	APP_OPT(bench_options, series, "series", 'n', APP_COUNT, "N", NULL, "how many series [by workload; with --url 10,000]"),
	APP_OPT(bench_options, threads, "threads", 't', APP_COUNT, "N", NULL, "writers, in wal, commits [2, 16] and with --url [2]"),
	APP_OPT(bench_options, readers, "readers", 'r', APP_COUNT, "N", NULL, "with --url: connections that ask [4]"),
	APP_OPT(bench_options, directory, "directory", 0, APP_TEXT, "DIR", NULL,
		"where the temporary database lies [$TMPDIR or /tmp]"),
	APP_OPT_END,
};

const struct app_command app_bench = {
	.name = "bench",
	.args = "[WORKLOAD...|all]",
	.summary = "measure the engine on this machine, or a server",
	.text =
		"Without a workload it lists them. A workload runs on a temporary database and prints points per second and\n"
		"points per second of processor time, all threads counted.\n\n"
		"With --url a server gets a mixed load: batches of JSON on some connections, PromQL on others. Printed are\n"
		"rates and percentiles of latency. The samples stay, in the tenant bench unless --tenant says another.",
	.examples = "silex bench append-handles --seconds 5\n"
				"silex bench wal --series 10k --threads 4 -O codec=gorilla\n"
				"silex bench --url http://localhost:9470 --seconds 30 --threads 2 --readers 8\twrites and queries at once\n",
	.options = bench_opts,
	.options_size = sizeof(struct bench_options),
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_OUTPUT | APP_NOT_IN_SHELL,
	.run = bench_run,
};
