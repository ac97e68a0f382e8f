/* The memory limit: writing without bound, and then replaying a long log, with 64 MB. What the database accounts for
 * stays near the limit (a flush under way may take it an eighth further), what the process takes (RSS) below limit + 16 MB;
 * series that stopped sending leave memory.
 *
 *     memory_test [points in millions] */
#include "base/clock.h"

#include <ftw.h>
#include <pthread.h>
#include <silex/silex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURE_RSS = 0 }; /* sanitizers take memory of their own */
#else
enum { MEASURE_RSS = 1 };
#endif

enum { SERIES = 60000, BATCH = 4096 };
static const uint64_t LIMIT = UINT64_C(64) << 20, SLACK = UINT64_C(16) << 20;

static char path[] = "/tmp/silex-memory-XXXXXX";

struct watch {
	_Atomic bool stop;
	uint64_t rss_most;
};

static uint64_t rss(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void *watch_main(void *arg)
{
	struct watch *w = arg;
	while (!atomic_load(&w->stop)) {
		uint64_t now = rss();
		w->rss_most = now > w->rss_most ? now : w->rss_most;
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
	}
	return NULL;
}

static bool fail(const char *what, const silex_error *err)
{
	printf("%s: %s\n", what, err->message);
	return false;
}

static bool open_series(silex_db *db, silex_series **series)
{
	silex_error err;
	for (unsigned i = 0; i < SERIES; i++) {
		char host[16];
		snprintf(host, sizeof host, "host-%u", i);
		silex_label labels[3] = { { "__name__", i % 2 ? "cpu" : "memory" }, { "host", host }, { "region", "eu-central" } };
		if (silex_series_open(db, NULL, labels, 3, &series[i], &err) != SILEX_OK)
			return fail("series", &err);
	}
	return true;
}

/* Instant after instant over all series. */
static bool ingest(silex_db *db, silex_series **series, uint64_t points, uint64_t *memory_most)
{
	static silex_point p[BATCH];
	silex_error err;
	uint64_t rng = 1;
	for (uint64_t done = 0; done < points;) {
		for (size_t i = 0; i < BATCH; i++, done++)
			p[i] = (silex_point){ series[done % SERIES], INT64_C(1700000000000000000) + (int64_t)(done / SERIES) * 10000000000,
				(double)(slx_rng_next(&rng) % 10000) / 100 };
		silex_status status = silex_append(db, p, BATCH, &err);
		if (status != SILEX_OK)
			return fail("append", &err);
		silex_metrics m = { .size = sizeof m };
		if (silex_get_metrics(db, &m, &err) != SILEX_OK)
			return fail("metrics", &err);
		*memory_most = m.memory_used > *memory_most ? m.memory_used : *memory_most;
	}
	return true;
}

static bool count_points(silex_db *db, uint64_t want)
{
	silex_error err;
	silex_metrics m = { .size = sizeof m };
	if (silex_get_metrics(db, &m, &err) != SILEX_OK)
		return fail("metrics", &err);
	if (m.points_head + m.points_blocks != want)
		printf("%llu points in the head, %llu in blocks, expected %llu\n", (unsigned long long)m.points_head, (unsigned long long)m.points_blocks,
			(unsigned long long)want);
	return m.points_head + m.points_blocks == want;
}

static bool stay_below(const char *what, uint64_t memory, uint64_t rss_most)
{
	printf("%s: at most %.1f MB accounted, %.1f MB RSS; limit %.0f MB\n", what, (double)memory / 1048576, (double)rss_most / 1048576, (double)LIMIT / 1048576);
	return memory <= LIMIT + LIMIT / 8 && (!MEASURE_RSS || rss_most <= LIMIT + SLACK);
}

/* The series of a head that was flushed are gone from memory, handles or not. */
static bool series_leave(silex_db *db)
{
	silex_error err;
	silex_metrics m = { .size = sizeof m };
	if (silex_checkpoint(db, &err) != SILEX_OK || silex_get_metrics(db, &m, &err) != SILEX_OK)
		return fail("checkpoint", &err);
	if (m.series != 0)
		printf("%llu series in memory after a flush\n", (unsigned long long)m.series);
	return m.series == 0;
}

static bool unbounded_ingest(uint64_t points)
{
	static silex_series *series[SERIES];
	char db_path[64];
	silex_options o;
	silex_error err;
	silex_db *db;
	struct watch w = { 0 };
	pthread_t thread;
	uint64_t most = 0;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_NEVER;
	o.memory_limit = LIMIT;
	snprintf(db_path, sizeof db_path, "%s/ingest", path);
	pthread_create(&thread, NULL, watch_main, &w);
	if (silex_open(db_path, &o, &db, &err) != SILEX_OK)
		return fail("open", &err);
	bool ok = open_series(db, series) && ingest(db, series, points, &most) && series_leave(db) && count_points(db, points);
	for (size_t i = 0; i < SERIES; i++)
		silex_series_close(series[i]);
	if (silex_close(db, &err) != SILEX_OK)
		ok = fail("close", &err);
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	return stay_below("unbounded ingest", most, w.rss_most) && ok;
}

/* A process with much memory leaves a long log behind; one with little reads it. */
static void write_log(const char *db_path, uint64_t points)
{
	static silex_series *series[SERIES];
	silex_options o;
	silex_db *db;
	silex_error err;
	uint64_t most = 0;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_NEVER;
	o.memory_limit = UINT64_C(16) << 30;
	o.max_wal_size = UINT64_C(1) << 40;
	o.no_background = true;
	if (silex_open(db_path, &o, &db, &err) != SILEX_OK || !open_series(db, series) || !ingest(db, series, points, &most))
		_exit(1);
	_exit(0); /* as if killed */
}

static bool long_replay(uint64_t points)
{
	char db_path[64];
	silex_options o;
	silex_error err;
	silex_db *db;
	struct watch w = { 0 };
	pthread_t thread;
	int status;
	snprintf(db_path, sizeof db_path, "%s/replay", path);
	pid_t pid = fork();
	if (pid == 0)
		write_log(db_path, points);
	waitpid(pid, &status, 0);
	if (status)
		return printf("the writer of the log failed\n"), false;
	silex_options_init(&o);
	o.memory_limit = LIMIT;
	pthread_create(&thread, NULL, watch_main, &w);
	bool ok = silex_open(db_path, &o, &db, &err) == SILEX_OK || fail("open", &err);
	silex_metrics m = { .size = sizeof m };
	if (ok) {
		ok = silex_get_metrics(db, &m, &err) == SILEX_OK && count_points(db, points) && series_leave(db);
		silex_close(db, NULL);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	return stay_below("replay of a long log", m.memory_used, w.rss_most) && ok;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *f)
{
	return remove(name);
}

int main(int argc, char **argv)
{
	uint64_t points = (argc > 1 ? strtoull(argv[1], NULL, 0) : 3) * 1000000 / BATCH * BATCH;
	if (!mkdtemp(path))
		return perror(path), 1;
	bool ok = long_replay(points);
	ok = unbounded_ingest(points) && ok;
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return ok ? 0 : 1;
}
