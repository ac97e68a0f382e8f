#include "bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const int64_t S = 1000000000;

/* Rows of the answer; *sum of its values. */
static uint64_t run(silex_db *db, const silex_query *q, double *sum)
{
	silex_cursor *c;
	silex_batch b;
	uint64_t n = 0;
	*sum = 0;
	BENCH_OK(silex_query_run(db, q, &c, e));
	for (;;) {
		BENCH_OK(silex_cursor_next(c, &b, e));
		if (b.n == 0)
			break;
		n += b.n;
		for (size_t i = 0; i < b.n; i++)
			*sum += b.values[i];
	}
	silex_cursor_close(c);
	return n;
}

static silex_query query_of(const char *const *selector, int64_t start, int64_t end)
{
	silex_query q;
	silex_query_init(&q);
	q.selectors = selector;
	q.n_selectors = 1;
	q.start = start;
	q.end = end;
	return q;
}

/* n series, `points` each, one a `step`; integers. */
static void fill(silex_db *db, int n, int points, int64_t step)
{
	enum { ROWS = 1000 };
	double *values = malloc(ROWS * sizeof *values);
	int64_t ts[ROWS];
	for (int i = 0; i < n; i++) {
		silex_series *s = bench_series(db, NULL, i);
		silex_columns *c;
		int v = 50;
		BENCH_OK(silex_columns_open(db, &s, 1, &c, e));
		for (int done = 0; done < points; done += ROWS) {
			int k = points - done < ROWS ? points - done : ROWS;
			for (int j = 0; j < k; j++) {
				ts[j] = (done + j) * step;
				values[j] = bench_walk(&v, 1);
			}
			BENCH_OK(silex_columns_append(c, ts, values, (size_t)k, e));
		}
		silex_columns_close(c);
		silex_series_close(s);
	}
	free(values);
}

static void compact_fully(silex_db *db)
{
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = true;
	BENCH_OK(silex_checkpoint(db, e));
	BENCH_OK(silex_compact(db, &o, e));
}

static void sum_by_hour(void)
{
	silex_options o;
	bench_options(&o);
	o.memory_limit = UINT64_C(4) << 30;
	silex_db *db = bench_open(bench_dir(), &o);
	fill(db, 1000, 8640, 10 * S);
	compact_fully(db);
	static const char *const all = "";
	silex_query q = query_of(&all, 0, 86400 * S - 1);
	q.agg = SILEX_AGG_SUM;
	q.step = 3600 * S;
	double ms[21], sum;
	uint64_t n = 0;
	for (int i = 0; i < 21; i++) {
		double from = bench_wall();
		n = run(db, &q, &sum);
		ms[i] = (bench_wall() - from) * 1e3;
	}
	char note[64];
	snprintf(note, sizeof note, "%llu rows, median of 21", (unsigned long long)n);
	bench_row("sum of 8.64 M points from blocks by hour, warm", bench_percentile(ms, 21, 50), 15, 3, false, "ms", note);
	BENCH_OK(silex_close(db, e));
}

/* Chunks of few points make many chunks cheaply: a kind change ends a chunk. */
static void headers(void)
{
	int n = bench_quick ? 200 : 1000, chunks = 1000;
	silex_options o;
	bench_options(&o);
	o.threads = 1;
	o.memory_limit = UINT64_C(8) << 30;
	silex_db *db = bench_open(bench_dir(), &o);
	for (int i = 0; i < n; i++) {
		silex_series *s = bench_series(db, NULL, i);
		enum { K = 500 };
		int64_t ts[K];
		silex_value v[K];
		for (int c = 0; c < chunks;) {
			int k = 0;
			for (; k + 1 < K && c < chunks; c++) {
				ts[k] = (int64_t)c * 20 * S;
				v[k++] = c % 2 ? silex_float(c) : silex_int(c);
			}
			BENCH_OK(silex_append_values(s, ts, v, (size_t)k, e));
		}
		silex_series_close(s);
	}
	BENCH_OK(silex_checkpoint(db, e));
	static const char *const all = "";
	silex_query q = query_of(&all, INT64_MIN, INT64_MAX);
	q.agg = SILEX_AGG_SUM;
	double best[11], sum;
	silex_query_stats st = { 0 };
	for (int i = 0; i < 11; i++) {
		double from = bench_cpu();
		silex_cursor *c;
		silex_batch b;
		BENCH_OK(silex_query_run(db, &q, &c, e));
		do
			BENCH_OK(silex_cursor_next(c, &b, e));
		while (b.n);
		silex_cursor_stats(c, &st);
		silex_cursor_close(c);
		best[i] = (double)n * chunks / (bench_cpu() - from) / 1e6;
	}
	char note[96];
	(void)sum;
	snprintf(note, sizeof note, "%llu chunks, %llu by header", (unsigned long long)st.chunks, (unsigned long long)st.chunks_by_header);
	bench_row("aggregate from headers, 1 M chunks, one core", bench_percentile(best, 11, 50), 30, 80, true, "M chunks/s", note);
	BENCH_OK(silex_close(db, e));
}

static void last_hour(void)
{
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(bench_dir(), &o);
	fill(db, 1000, 1440, 10 * S); /* four hours */
	char text[100][96];
	const char *selectors[100];
	for (int i = 0; i < 100; i++) {
		snprintf(text[i], sizeof text[i], "usage_user{hostname=\"host_%d\"}", i);
		selectors[i] = text[i];
	}
	int runs = bench_quick ? 2000 : 20000;
	double *us = malloc((size_t)runs * sizeof *us), sum;
	for (int i = 0; i < runs; i++) {
		silex_query q = query_of(&selectors[i % 100], 3 * 3600 * S, 4 * 3600 * S);
		double from = bench_wall();
		if (run(db, &q, &sum) != 360) {
			printf("last-hour: wrong number of points\n");
			exit(1);
		}
		us[i] = (bench_wall() - from) * 1e6;
	}
	char note[64];
	snprintf(note, sizeof note, "p50 %.1f us", bench_percentile(us, (size_t)runs, 50));
	bench_row("last-hour query of one series, API: p99", bench_percentile(us, (size_t)runs, 99), 100, 20, false, "us", note);
	BENCH_OK(silex_close(db, e));
}

static void reopen(void)
{
	const char *dir = bench_dir();
	int n = 100000, rounds = 100;
	pid_t pid = fork();
	if (pid == 0) { /* the writer dies with the log full */
		silex_options o;
		bench_options(&o);
		silex_db *db = bench_open(dir, &o);
		silex_series **s = malloc((size_t)n * sizeof(silex_series *));
		int *v = calloc((size_t)n, sizeof *v);
		static silex_point p[4000];
		for (int i = 0; i < n; i++)
			s[i] = bench_series(db, NULL, i);
		for (int r = 0; r < rounds; r++)
			for (int i = 0; i < n; i += 4000) {
				for (int j = 0; j < 4000; j++)
					p[j] = (silex_point){ s[i + j], r * 10 * S, bench_walk(&v[i + j], 100) };
				BENCH_OK(silex_append(db, p, 4000, e));
			}
		kill(getpid(), SIGKILL);
	}
	int status;
	waitpid(pid, &status, 0);
	silex_options o;
	bench_options(&o);
	o.memory_limit = UINT64_C(1) << 30;
	double wall = bench_wall(), cpu = bench_cpu();
	silex_db *db = bench_open(dir, &o);
	wall = bench_wall() - wall;
	silex_metrics m = { .size = sizeof m };
	BENCH_OK(silex_get_metrics(db, &m, e));
	char note[96];
	snprintf(note, sizeof note, "%.1f M points, log %.0f MB, %.2f CPU s, memory %.0f of 1074 MB", (double)(m.points_head + m.points_blocks) / 1e6,
		(double)m.bytes_wal / 1e6, bench_cpu() - cpu, (double)m.memory_used / 1e6);
	bench_row("reopen after kill -9, 10 M points of 100 k series", wall, 1.5, 0.6, false, "s", note);
	BENCH_OK(silex_close(db, e));
}

/* --- everything at once ------------------------------------------------------------------------------------------------------- */

struct load {
	silex_db *db;
	silex_series **s;
	int n;
	double seconds;
	double *append_ms;
	size_t appends;
	_Atomic int64_t round;
	_Atomic bool done;
	double lag_max;
};

/* 1 M points/s in calls of 4,000; 5 % of the points are up to an hour late. */
static void *write_load(void *arg)
{
	struct load *l = arg;
	enum { AT_ONCE = 4000 };
	static silex_point p[AT_ONCE];
	double start = bench_wall();
	uint64_t rng = 1;
	int *v = calloc((size_t)l->n, sizeof *v);
	int64_t sent = 0;
	for (int64_t r = 400; !atomic_load(&l->done); r++, atomic_store(&l->round, r))
		for (int i = 0; i < l->n && !atomic_load(&l->done); i += AT_ONCE) {
			for (int j = 0; j < AT_ONCE; j++) {
				rng = rng * 6364136223846793005u + 1442695040888963407u;
				int64_t t = r * 10 * S;
				if ((rng >> 33) % 20 == 0)
					t -= (int64_t)((rng >> 40) % 360) * 10 * S + 5 * S;
				v[i + j] += (int)(rng >> 50) % 201 - 100;
				p[j] = (silex_point){ l->s[i + j], t, (double)abs(v[i + j] % 10000) / 100 };
			}
			double due = start + (double)sent / 1e6, now = bench_wall();
			if (now < due)
				usleep((useconds_t)((due - now) * 1e6));
			else if (now - due > l->lag_max)
				l->lag_max = now - due;
			double from = bench_wall();
			BENCH_OK(silex_append(l->db, p, AT_ONCE, e));
			l->append_ms[l->appends++] = (bench_wall() - from) * 1e3;
			sent += AT_ONCE;
		}
	return NULL;
}

static void mixed(void)
{
	const char *dir = bench_dir();
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	o.memory_limit = UINT64_C(1) << 30;
	struct load l = { .db = bench_open(dir, &o), .n = 100000, .seconds = bench_quick ? 30 : 300 };
	l.s = malloc((size_t)l.n * sizeof(silex_series *));
	l.append_ms = malloc((size_t)(l.seconds * 400) * sizeof *l.append_ms);
	for (int i = 0; i < l.n; i++)
		l.s[i] = bench_series(l.db, NULL, i);
	pthread_t t;
	double start = bench_wall(), cpu = bench_cpu(), disk_most = 0, *query_ms = malloc(1000000 * sizeof *query_ms), sum;
	size_t queries = 0;
	pthread_create(&t, NULL, write_load, &l);
	while (bench_wall() - start < l.seconds && queries < 1000000) {
		char text[96];
		const char *selector = text;
		int64_t now = atomic_load(&l.round) * 10 * S;
		snprintf(text, sizeof text, "usage_user{hostname=\"host_%d\"}", (int)(bench_random() % 10000));
		silex_query q = query_of(&selector, now - 3600 * S, now);
		double from = bench_wall();
		run(l.db, &q, &sum);
		query_ms[queries++] = (bench_wall() - from) * 1e3;
		usleep(5000);
		if (queries % 50 == 0) {
			double mb = bench_dir_mb(dir);
			disk_most = mb > disk_most ? mb : disk_most;
		}
	}
	atomic_store(&l.done, true);
	pthread_join(t, NULL);
	cpu = bench_cpu() - cpu;
	silex_metrics m = { .size = sizeof m };
	BENCH_OK(silex_get_metrics(l.db, &m, e));
	silex_compact_options co;
	silex_compact_options_init(&co);
	co.full = true;
	BENCH_OK(silex_checkpoint(l.db, e));
	BENCH_OK(silex_compact(l.db, &co, e));
	double final_mb = bench_dir_mb(dir);
	char note[128];
	snprintf(note, sizeof note, "%.0f s, %.0f M points, %llu flushes, %llu compactions, behind at most %.2f s, %.1f CPU s", l.seconds,
		(double)m.points_ingested / 1e6, (unsigned long long)m.flushes, (unsigned long long)m.compactions, l.lag_max, cpu);
	bench_row("1 M points/s, 100 k series, 5 % late: append p99.9", bench_percentile(l.append_ms, l.appends, 99.9), 20, 5, false, "ms", note);
	snprintf(note, sizeof note, "%zu queries, p50 %.2f ms", queries, bench_percentile(query_ms, queries, 50));
	bench_row("  last-hour query p99 meanwhile", bench_percentile(query_ms, queries, 99), 1, 0.3, false, "ms", note);
	snprintf(note, sizeof note, "most %.0f MB, final %.0f MB", disk_most, final_mb);
	bench_row("  disk, most / final", disk_most / final_mb, 2.5, 1.7, false, "x", note);
	for (int i = 0; i < l.n; i++)
		silex_series_close(l.s[i]);
	BENCH_OK(silex_close(l.db, e));
}

const struct bench read_benches[] = {
	{ "mixed", "writes at 1 M points/s with late ones, queries and compaction", mixed },
	{ "headers", "a sum over 1 M chunks from their headers", headers },
	{ "last-hour", "one series, the last hour", last_hour },
	{ "sum-by-hour", "8.64 M points by hour", sum_by_hour },
	{ "reopen", "replay of 10 M points", reopen },
	{ NULL, NULL, NULL },
};
