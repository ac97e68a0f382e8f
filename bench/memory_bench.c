#include "bench.h"

#include <dirent.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static silex_metrics metrics(silex_db *db)
{
	silex_metrics m = { .size = sizeof m };
	BENCH_OK(silex_get_metrics(db, &m, e));
	return m;
}

static void append_one_round(silex_db *db, silex_series **s, int n, int64_t t, int *v, int scale)
{
	enum { AT_ONCE = 4096 };
	static silex_point p[AT_ONCE];
	for (int i = 0; i < n; i += AT_ONCE) {
		int k = n - i < AT_ONCE ? n - i : AT_ONCE;
		for (int j = 0; j < k; j++)
			p[j] = (silex_point){ s[i + j], t, bench_walk(&v[i + j], scale) };
		BENCH_OK(silex_append(db, p, (size_t)k, e));
	}
}

static void head_of_10m(void)
{
	int n = 10000, rounds = 1000;
	silex_options o;
	bench_options(&o);
	o.wal = SILEX_WAL_NONE;
	silex_db *db = bench_open(NULL, &o);
	silex_series **s = malloc((size_t)n * sizeof(silex_series *));
	int *v = calloc((size_t)n, sizeof *v);
	for (int i = 0; i < n; i++)
		s[i] = bench_series(db, NULL, i);
	for (int r = 0; r < rounds; r++)
		append_one_round(db, s, n, (int64_t)r * 10000000000, v, 100);
	bench_row("head of 10 M two-decimal points in 10 k series", (double)metrics(db).bytes_head / 1e6, 60, 30, false, "MB", "11 labels each");
}

static void empty_store(void)
{
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	double before = bench_rss();
	silex_db *db = bench_open(bench_dir(), &o);
	bench_row("empty open store", bench_rss() - before, 8, 4, false, "MB RSS", "default options, background threads running");
	BENCH_OK(silex_close(db, e));
}

static void million_series(void)
{
	int n = bench_quick ? 200000 : 1000000;
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(bench_dir(), &o);
	enum { ROWS = 2000 };
	static char host[ROWS][32];
	static silex_label labels[ROWS][11];
	static silex_row rows[ROWS];
	double before = bench_rss(), cpu = 0, create = 0;
	for (int t = 0; t < 3; t++)
		for (int i = 0; i < n; i += ROWS) {
			for (int j = 0; j < ROWS; j++) {
				bench_series_labels(i + j, host[j], labels[j]);
				rows[j] = (silex_row){ labels[j], 11, (int64_t)t * 10000000000, silex_float((double)((i * 7 + j * 13 + t) % 10000) / 100) };
			}
			double from = bench_cpu();
			BENCH_OK(silex_insert_batch(db, NULL, rows, ROWS, NULL, e));
			cpu = bench_cpu() - from;
			create += t == 0 ? cpu : 0;
		}
	char note[64];
	snprintf(note, sizeof note, "head %.0f MB%s", (double)metrics(db).bytes_head / 1e6, bench_quick ? "; 200 k series, scaled to 1 M" : "");
	double scale = 1e6 / n;
	bench_row("1 M series x 11 labels, three samples each", (bench_rss() - before) * scale, 500, 300, false, "MB RSS", note);
	bench_row("creating those 1 M series", create * scale, 8, 3, false, "CPU s", "insert_batch with labels as text, through the log");
}

/* --- churn: a clock that the benchmark turns --------------------------------------------------------------------------------- */

static _Atomic int64_t simulated_ns = 1;
static int64_t simulated(void *ctx) { return atomic_load(&simulated_ns); }

static void churn(void)
{
	int per_hour = bench_quick ? 100000 : 1000000, live = per_hour / 10, hours = 3;
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	o.memory_limit = UINT64_C(512) << 20;
	o.checkpoint_interval_ms = 600000;
	o.env.clock = (silex_clock){ NULL, simulated, simulated };
	silex_db *db = bench_open(bench_dir(), &o);
	silex_series **s = calloc((size_t)live, sizeof(silex_series *));
	double rss[4] = { bench_rss() };
	static silex_point p[1000];
	for (int h = 0, made = 0; h < hours; h++) {
		for (int i = 0; i < per_hour; i += 1000) {
			for (int j = 0; j < 1000; j++, made++) {
				silex_series_close(s[made % live]);
				s[made % live] = bench_series(db, NULL, made);
				p[j] = (silex_point){ s[made % live], atomic_load(&simulated_ns), made };
			}
			BENCH_OK(silex_append(db, p, 1000, e));
			atomic_fetch_add(&simulated_ns, 3600000000000 / (per_hour / 1000));
		}
		rss[h + 1] = bench_rss();
	}
	char note[80];
	snprintf(note, sizeof note, "after hours 1, 2, 3: %.0f, %.0f, %.0f MB; %llu flushes", rss[1], rss[2], rss[3], (unsigned long long)metrics(db).flushes);
	bench_row(bench_quick ? "100 k new series an hour: RSS hour 3 / hour 1" : "1 M new series an hour: RSS hour 3 / hour 1", rss[3] / rss[1], 1.15, -1, false, "x", note);
}

/* --- limits --------------------------------------------------------------------------------------------------------------------- */

static void limit_64mb(void)
{
	int n = 20000;
	double points_max = bench_quick ? 20e6 : 150e6, log_max = bench_quick ? 150e6 : 1e9;
	const char *dir = bench_dir();
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	o.memory_limit = UINT64_C(64) << 20;
	double base = bench_rss(), most = 0, points = 0;
	silex_db *db = bench_open(dir, &o);
	silex_series **s = malloc((size_t)n * sizeof(silex_series *));
	int *v = calloc((size_t)n, sizeof *v);
	for (int i = 0; i < n; i++)
		s[i] = bench_series(db, NULL, i);
	for (int64_t r = 0; points < points_max; r++, points += n) {
		append_one_round(db, s, n, r * 10000000000, v, 100);
		most = bench_rss() > most ? bench_rss() : most;
	}
	silex_metrics m = metrics(db);
	char note[96];
	snprintf(note, sizeof note, "%.0f M points, %llu flushes, %llu compactions", points / 1e6, (unsigned long long)m.flushes, (unsigned long long)m.compactions);
	bench_row("64 MB memory limit: RSS, unbounded ingest", most - base, 80, -1, false, "MB peak", note);
	for (int i = 0; i < n; i++)
		silex_series_close(s[i]);
	BENCH_OK(silex_close(db, e));

	/* A log of about 1 GB, written with plenty of memory, replayed with little. */
	const char *log = bench_dir();
	bench_options(&o);
	o.max_wal_size = UINT64_C(8) << 30;
	o.memory_limit = UINT64_C(16) << 30;
	db = bench_open(log, &o);
	for (int i = 0; i < n; i++) {
		s[i] = bench_series(db, NULL, i);
		v[i] = 0;
	}
	for (int64_t r = 0; metrics(db).bytes_wal < log_max; r++)
		for (int k = 0; k < 10; k++) {
			static silex_point p[2000];
			for (int j = 0; j < 2000; j++) /* full-precision values: a log that does not compress */
				p[j] = (silex_point){ s[k * 2000 + j], r * 10000000000, (double)bench_random() / 3 };
			BENCH_OK(silex_append(db, p, 2000, e));
		}
	double log_mb = (double)metrics(db).bytes_wal / 1e6;
	for (int i = 0; i < n; i++)
		silex_series_close(s[i]);
	BENCH_OK(silex_close(db, e));
	/* In a process of its own, so that the peak is the replay's. */
	o.memory_limit = UINT64_C(64) << 20;
	base = bench_rss();
	double from = bench_wall();
	pid_t pid = fork();
	if (pid == 0) {
		db = bench_open(log, &o);
		_exit(silex_close(db, NULL) != SILEX_OK);
	}
	struct rusage usage;
	int status;
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) {
		printf("replay under the limit failed\n");
		exit(1);
	}
	snprintf(note, sizeof note, "log of %.0f MB in %.1f s", log_mb, bench_wall() - from);
	bench_row("64 MB memory limit: RSS, replay of a 1 GB log", (double)usage.ru_maxrss * 1024 / 1e6 - base, 80, -1, false, "MB peak", note);
}

static int files_below(const char *path)
{
	int n = 0;
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char below[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof below, "%s/%s", path, e->d_name);
		n += e->d_type == DT_DIR ? files_below(below) : 1;
	}
	if (d)
		closedir(d);
	return n;
}

static void tenants(void)
{
	int n = bench_quick ? 2000 : 10000;
	const char *dir = bench_dir();
	silex_options o;
	bench_options(&o);
	double before = bench_rss();
	silex_db *db = bench_open(dir, &o);
	for (int t = 0; t < n; t++) {
		char name[32], host[10][32];
		silex_label labels[10][11];
		silex_row rows[10];
		snprintf(name, sizeof name, "tenant-%d", t);
		for (int i = 0; i < 10; i++) {
			bench_series_labels(t * 10 + i, host[i], labels[i]);
			rows[i] = (silex_row){ labels[i], 11, 0, silex_float(i) };
		}
		BENCH_OK(silex_insert_batch(db, name, rows, 10, NULL, e));
	}
	double head = (bench_rss() - before) * 10000 / n;
	BENCH_OK(silex_checkpoint(db, e));
	char note[96];
	snprintf(note, sizeof note, "after a checkpoint %.0f MB", (bench_rss() - before) * 10000 / n);
	bench_row("10,000 tenants x 10 series", head, 150, -1, false, "MB RSS", note);
	bench_row("  files", files_below(dir), 200, -1, false, "", bench_quick ? "2,000 tenants" : "");
	BENCH_OK(silex_close(db, e));
}

const struct bench memory_benches[] = {
	{ "head-10m", "10 M points in 10 k series", head_of_10m },
	{ "empty-store", "what an open, empty database holds", empty_store },
	{ "million-series", "1 M series of three samples", million_series },
	{ "churn", "series that come and go for three simulated hours", churn },
	{ "limit-64mb", "unbounded ingest and replay under a 64 MB limit", limit_64mb },
	{ "tenants", "10,000 tenants of 10 series", tenants },
	{ NULL, NULL, NULL },
};
