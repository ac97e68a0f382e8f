#include "bench.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double clock_seconds(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_cpu(void) { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }
double bench_wall(void) { return clock_seconds(CLOCK_MONOTONIC); }

double bench_rss(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

uint64_t bench_random(void)
{
	static uint64_t s = 1;
	uint64_t z = (s += 0x9e3779b97f4a7c15u);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

double bench_percentile(double *v, size_t n, double p)
{
	qsort(v, n, sizeof *v, by_value);
	size_t i = (size_t)(p / 100 * (double)n);
	return v[i < n ? i : n - 1];
}

/* --- directories ------------------------------------------------------------------------------------------------------- */

static char dirs[16][64];
static int dirs_n;

static void remove_all(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char below[4096];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof below, "%s/%s", path, e->d_name);
		if (unlink(below) != 0)
			remove_all(below);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void remove_dirs(void)
{
	while (dirs_n > 0)
		remove_all(dirs[--dirs_n]);
}

const char *bench_dir(void)
{
	if (dirs_n == 0)
		atexit(remove_dirs);
	snprintf(dirs[dirs_n], sizeof dirs[0], "/tmp/silex-bench-XXXXXX");
	if (!mkdtemp(dirs[dirs_n])) {
		perror("mkdtemp");
		exit(1);
	}
	return dirs[dirs_n++];
}

double bench_dir_mb(const char *path)
{
	double sum = 0;
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char below[4096];
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof below, "%s/%s", path, e->d_name);
		if (stat(below, &st) == 0)
			sum += S_ISDIR(st.st_mode) ? bench_dir_mb(below) : (double)st.st_size / 1e6;
	}
	if (d)
		closedir(d);
	return sum;
}

/* --- series and values -------------------------------------------------------------------------------------------------- */

static const char *const fields[10] = { "usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq",
	"usage_steal", "usage_guest", "usage_guest_nice" };
static const char *const regions[] = { "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "ap-southeast-2",
	"ap-northeast-1", "sa-east-1" };
static const char *const racks[] = { "0", "7", "13", "22", "41", "58", "73", "96" };

void bench_series_labels(int i, char host[32], silex_label ret[11])
{
	int h = i / 10;
	const silex_label labels[11] = {
		{ "__name__", fields[i % 10] },
		{ "arch", h % 2 ? "x64" : "x86" },
		{ "datacenter", regions[h % 9] },
		{ "hostname", host },
		{ "os", h % 3 ? "Ubuntu16.10" : "Ubuntu15.10" },
		{ "rack", racks[h * 5 % 8] },
		{ "region", regions[h % 9] },
		{ "service", racks[h * 3 % 8] },
		{ "service_environment", h % 3 ? "production" : "test" },
		{ "service_version", h % 2 ? "1" : "0" },
		{ "team", h % 4 ? "SF" : "NYC" },
	};
	snprintf(host, 32, "host_%d", h);
	memcpy(ret, labels, sizeof labels);
}

silex_series *bench_series(silex_db *db, const char *tenant, int i)
{
	char host[32];
	silex_label labels[11];
	silex_series *s;
	bench_series_labels(i, host, labels);
	BENCH_OK(silex_series_open(db, tenant, labels, 11, &s, e));
	return s;
}

double bench_walk(int *state, int scale)
{
	int64_t sum = 0;
	for (int i = 0; i < 3; i++) { /* twelve uniforms */
		uint64_t r = bench_random();
		sum += (int64_t)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48));
	}
	double step = (double)(sum - 6 * 65535) / 65536.0;
	double v = *state + step * scale;
	*state = (int)lround(v < 0 ? 0 : v > 100.0 * scale ? 100.0 * scale : v);
	return (double)*state / scale;
}

void bench_options(silex_options *o)
{
	silex_options_init(o);
	o->sync = SILEX_SYNC_INTERVAL;
	o->no_background = true;
	o->memory_limit = UINT64_C(8) << 30;
}

silex_db *bench_open(const char *path, silex_options *o)
{
	silex_options own;
	silex_db *db;
	if (!o) {
		bench_options(&own);
		o = &own;
	}
	BENCH_OK(silex_open(path, o, &db, e));
	return db;
}
