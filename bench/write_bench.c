#include "bench.h"

#include <pthread.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

/* Appends rounds of one point for each series, `order` giving their sequence; returns CPU seconds of the appends. */
static double append_rounds(silex_db *db, silex_series **s, const int *order, int n, int first_round, int rounds, int *values)
{
	enum { AT_ONCE = 4096 };
	static silex_point p[AT_ONCE];
	double cpu = 0;
	for (int r = first_round; r < first_round + rounds; r++)
		for (int i = 0; i < n; i += AT_ONCE) {
			int k = n - i < AT_ONCE ? n - i : AT_ONCE;
			for (int j = 0; j < k; j++) {
				int at = order ? order[i + j] : i + j;
				p[j] = (silex_point){ s[at], (int64_t)r * 10000000000, bench_walk(&values[at], 100) };
			}
			double from = bench_cpu();
			BENCH_OK(silex_append(db, p, (size_t)k, e));
			cpu += bench_cpu() - from;
		}
	return cpu;
}

static silex_series **open_series(silex_db *db, int n)
{
	silex_series **s = malloc((size_t)n * sizeof(silex_series *));
	for (int i = 0; i < n; i++)
		s[i] = bench_series(db, NULL, i);
	return s;
}

static int *start_values(int n)
{
	int *v = malloc((size_t)n * sizeof *v);
	for (int i = 0; i < n; i++)
		v[i] = 5000;
	return v;
}

static void handles(void)
{
	enum { N = 1000 };
	int rounds = bench_quick ? 2000 : 10000;
	silex_options o;
	bench_options(&o);
	o.wal = SILEX_WAL_NONE;
	silex_db *db = bench_open(NULL, &o);
	silex_series **s = open_series(db, N);
	int *v = start_values(N);
	append_rounds(db, s, NULL, N, 0, 200, v); /* steady state: every tail has been sealed before */
	double cpu = append_rounds(db, s, NULL, N, 200, rounds, v);
	bench_row("append, 1,000 series, rows by handle, no WAL", (double)N * rounds / cpu / 1e6, 60, 110, true, "M points/CPU-s", "two decimals");
}

static void columns(void)
{
	enum { HOSTS = 100, K = 10, ROWS = 64 };
	int rounds = bench_quick ? 40 : 200;
	silex_options o;
	bench_options(&o);
	o.wal = SILEX_WAL_NONE;
	silex_db *db = bench_open(NULL, &o);
	silex_series **s = open_series(db, HOSTS * K);
	silex_columns *c[HOSTS];
	int *v = start_values(HOSTS * K);
	static double values[ROWS * K];
	int64_t ts[ROWS];
	double cpu = 0;
	for (int h = 0; h < HOSTS; h++)
		BENCH_OK(silex_columns_open(db, s + h * K, K, &c[h], e));
	for (int r = 0; r < rounds; r++)
		for (int h = 0; h < HOSTS; h++) {
			for (int i = 0; i < ROWS; i++) {
				ts[i] = ((int64_t)r * ROWS + i) * 10000000000;
				for (int j = 0; j < K; j++)
					values[i * K + j] = bench_walk(&v[h * K + j], 1);
			}
			double from = bench_cpu();
			BENCH_OK(silex_columns_append(c[h], ts, values, ROWS, e));
			cpu += bench_cpu() - from;
		}
	bench_row("columnar rows (10 values an instant)", (double)HOSTS * K * ROWS * rounds / cpu / 1e6, 80, 180, true, "M points/CPU-s",
		"64 instants a call, integers");
}

static void random_order(void)
{
	int n = bench_quick ? 200000 : 1000000;
	silex_options o;
	bench_options(&o);
	o.wal = SILEX_WAL_NONE;
	silex_db *db = bench_open(NULL, &o);
	silex_series **s = open_series(db, n);
	int *v = start_values(n), *order = malloc((size_t)n * sizeof *order);
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n - 1; i > 0; i--) {
		int j = (int)(bench_random() % (uint64_t)(i + 1)), t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	append_rounds(db, s, order, n, 0, 1, v); /* creates them */
	double cpu = append_rounds(db, s, order, n, 1, 6, v);
	bench_row("append, 1 M series in random order", 6.0 * n / cpu / 1e6, 15, 25, true, "M points/CPU-s", bench_quick ? "200 k series" : "");
}

/* --- through the log ------------------------------------------------------------------------------------------------------ */

struct writer {
	silex_db *db;
	silex_series **s;
	int from, n, rounds;
	int *values;
};

static void *write_rounds(void *arg)
{
	struct writer *w = arg;
	enum { AT_ONCE = 4096 };
	silex_point *p = malloc(AT_ONCE * sizeof *p);
	uint64_t rng = (uint64_t)w->from + 1;
	for (int r = 0; r < w->rounds; r++)
		for (int i = 0; i < w->n; i += AT_ONCE) {
			int k = w->n - i < AT_ONCE ? w->n - i : AT_ONCE;
			for (int j = 0; j < k; j++) {
				int at = w->from + i + j;
				rng = rng * 6364136223846793005u + 1442695040888963407u;
				w->values[at] += (int)(rng >> 40) % 201 - 100;
				p[j] = (silex_point){ w->s[at], (int64_t)r * 10000000000, (double)abs(w->values[at] % 10000) / 100 };
			}
			BENCH_OK(silex_append(w->db, p, (size_t)k, e));
		}
	free(p);
	return NULL;
}

static void through_log(void)
{
	int n = 100000, rounds = bench_quick ? 60 : 240;
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(bench_dir(), &o);
	silex_series **s = open_series(db, n);
	int *v = start_values(n);
	struct writer w[2];
	pthread_t t[2];
	double wall = bench_wall(), cpu = bench_cpu();
	for (int i = 0; i < 2; i++) {
		w[i] = (struct writer){ db, s, i * n / 2, n / 2, rounds, v };
		pthread_create(&t[i], NULL, write_rounds, &w[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	wall = bench_wall() - wall;
	cpu = bench_cpu() - cpu;
	silex_metrics m = { .size = sizeof m };
	char note[64];
	BENCH_OK(silex_get_metrics(db, &m, e));
	snprintf(note, sizeof note, "%.1f M points/CPU-s, generator included", (double)n * rounds / cpu / 1e6);
	bench_row("through WAL interval, 2 threads, 100 k series", (double)n * rounds / wall / 1e6, 10, 20, true, "M points/s", note);
	bench_row("  log", (double)m.bytes_wal / ((double)n * rounds), 10, 6, false, "B/point", "definitions included");
}

static void labels_as_text(void)
{
	enum { N = 1000, ROWS = 1000 };
	int rounds = bench_quick ? 500 : 2000;
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(bench_dir(), &o);
	static char host[N][32];
	static silex_label labels[N][11];
	static silex_row rows[ROWS];
	int *v = start_values(N);
	double cpu = 0;
	for (int i = 0; i < N; i++)
		bench_series_labels(i, host[i], labels[i]);
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < N; i++)
			rows[i] = (silex_row){ labels[i], 11, (int64_t)r * 10000000000, silex_float(bench_walk(&v[i], 100)) };
		double from = bench_cpu();
		BENCH_OK(silex_insert_batch(db, NULL, rows, ROWS, NULL, e));
		if (r >= 20)
			cpu += bench_cpu() - from;
	}
	bench_row("insert_batch, 11 labels as text each time", (double)N * (rounds - 20) / cpu / 1e6, 3, 8, true, "M points/CPU-s", "through the log");
}

/* --- always ------------------------------------------------------------------------------------------------------------------ */

struct committer {
	silex_db *db;
	int number;
	double until;
	long commits;
};

static void *commit_loop(void *arg)
{
	struct committer *c = arg;
	char name[16];
	snprintf(name, sizeof name, "%d", c->number);
	silex_label l[] = { { "__name__", "commit" }, { "writer", name } };
	silex_series *s;
	BENCH_OK(silex_series_open(c->db, NULL, l, 2, &s, e));
	for (int64_t t = 0; bench_wall() < c->until; t++, c->commits++) {
		silex_point p = { s, t * 1000000, (double)t };
		BENCH_OK(silex_append(c->db, &p, 1, e));
	}
	silex_series_close(s);
	return NULL;
}

static double commits_per_second(int writers, double seconds)
{
	silex_options o;
	bench_options(&o);
	o.sync = SILEX_SYNC_ALWAYS;
	silex_db *db = bench_open(bench_dir(), &o);
	struct committer c[16];
	pthread_t t[16];
	long sum = 0;
	for (int i = 0; i < writers; i++) {
		c[i] = (struct committer){ db, i, bench_wall() + seconds, 0 };
		pthread_create(&t[i], NULL, commit_loop, &c[i]);
	}
	for (int i = 0; i < writers; i++) {
		pthread_join(t[i], NULL);
		sum += c[i].commits;
	}
	BENCH_OK(silex_close(db, e));
	return (double)sum / seconds;
}

static double fdatasync_p50_us(void)
{
	enum { N = 300 };
	char path[128];
	static char page[4096];
	double us[N];
	snprintf(path, sizeof path, "%s/f", bench_dir());
	int f = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < N; i++) {
		double from = bench_wall();
		if (write(f, page, sizeof page) < 0 || fdatasync(f) < 0)
			return -1;
		us[i] = (bench_wall() - from) * 1e6;
	}
	close(f);
	return bench_percentile(us, N, 50);
}

static void always(void)
{
	double seconds = bench_quick ? 0.7 : 2, one[3], many[3];
	char note[96];
	for (int i = 0; i < 3; i++) { /* in turn: the machine drifts */
		one[i] = commits_per_second(1, seconds);
		many[i] = commits_per_second(16, seconds);
	}
	double a = bench_percentile(one, 3, 50), b = bench_percentile(many, 3, 50);
	snprintf(note, sizeof note, "%.0f and %.0f commits/s; fdatasync p50 %.0f us", a, b, fdatasync_p50_us());
	bench_row("always, 16 writers against one", b / a, 6, 12, true, "x commits/s", note);
}

const struct bench write_benches[] = {
	{ "append-handles", "1,000 series, rows by handle, no log", handles },
	{ "append-columns", "rows of 10 series that share their instants", columns },
	{ "append-random", "1 M series in random order", random_order },
	{ "append-wal", "two threads through the log, sync=interval", through_log },
	{ "insert-labels", "insert_batch with labels as text", labels_as_text },
	{ "commit-always", "group commit, sync=always", always },
	{ NULL, NULL, NULL },
};
