/* Bytes on disk after compaction, everything counted. Data sets of ../shared are used where it is there; the synthetic
 * ones are always made. */
#include "bench.h"
#include "formats/formats.h"

#include <dirent.h>
#include <string.h>

static const int64_t S = 1000000000;

static double compacted_mb(silex_db *db, const char *dir)
{
	silex_compact_options o;
	silex_metrics m = { .size = sizeof m };
	silex_compact_options_init(&o);
	o.full = true;
	BENCH_OK(silex_checkpoint(db, e));
	BENCH_OK(silex_compact(db, &o, e));
	BENCH_OK(silex_get_metrics(db, &m, e));
	(void)dir;
	return (double)m.bytes_blocks;
}

static void tsbs_of(int scale, double least, double better, const char *what)
{
	enum { N = 1000, POINTS = 8640 };
	const char *dir = bench_dir();
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(dir, &o);
	static double values[POINTS];
	static int64_t ts[POINTS];
	for (int i = 0; i < N; i++) {
		silex_series *s = bench_series(db, NULL, i);
		silex_columns *c;
		int v = (int)(bench_random() % 101) * scale;
		BENCH_OK(silex_columns_open(db, &s, 1, &c, e));
		for (int j = 0; j < POINTS; j++) {
			ts[j] = 1767225600 * S + j * 10 * S;
			values[j] = bench_walk(&v, scale);
		}
		BENCH_OK(silex_columns_append(c, ts, values, POINTS, e));
		silex_columns_close(c);
		silex_series_close(s);
	}
	bench_row(what, compacted_mb(db, dir) / ((double)N * POINTS), least, better, false, "B/point", "1,000 series, 1 day, 11 labels, all of the files");
	BENCH_OK(silex_close(db, e));
}

static void tsbs(void)
{
	tsbs_of(1, 0.36, 0.30, "bytes/point compacted: TSBS integers");
	tsbs_of(100, 1.15, 1.10, "bytes/point compacted: two decimals");
}

/* --- real sets, by the command line's own import ------------------------------------------------------------------------------ */

static char shared[512];

static bool have_shared(void)
{
	const char *from = getenv("SLX_SHARED");
	snprintf(shared, sizeof shared, "%s", from ? from : "../shared");
	DIR *d = opendir(shared);
	if (d)
		closedir(d);
	return d != NULL;
}

/* Imports with build/silex and returns bytes of blocks a point. */
static double imported(const char *arguments)
{
	char command[2048];
	const char *dir = bench_dir();
	snprintf(command, sizeof command, "build/silex import -d %s %s >/dev/null 2>&1; build/silex compact --full -d %s >/dev/null 2>&1", dir, arguments, dir);
	if (system(command) < 0)
		exit(1);
	silex_options o;
	bench_options(&o);
	o.must_exist = true;
	silex_db *db = bench_open(dir, &o);
	silex_metrics m = { .size = sizeof m };
	BENCH_OK(silex_get_metrics(db, &m, e));
	BENCH_OK(silex_close(db, e));
	if (m.points_blocks == 0) {
		printf("nothing was imported: is build/silex there? (run bench from the project's root)\n");
		exit(1);
	}
	return (double)m.bytes_blocks / (double)m.points_blocks;
}

static void real_sets(void)
{
	char arguments[1400];
	if (!have_shared()) {
		printf("%-52s ../shared is not here\n", "bytes/point cold of real sets");
		return;
	}
	snprintf(arguments, sizeof arguments, "--start 2024-05-01 %s/data/timeseries/icu/*.hea", shared);
	bench_row("bytes/point cold: ICU vitals", imported(arguments), 0.46, 0.40, false, "B/point", "14,008 points in 10 series: index and labels weigh");
	snprintf(arguments, sizeof arguments, "--start 2024-05-01 %s/data/timeseries/ecg/100.hea", shared);
	bench_row("bytes/point cold: ECG mV", imported(arguments), 0.66, 0.60, false, "B/point", "1.3 M points");
	snprintf(arguments, sizeof arguments, "%s/data/timeseries/nab/*.csv", shared);
	bench_row("bytes/point cold: NAB", imported(arguments), 2.6, 2.2, false, "B/point", "all points, all of the files");
}

/* --- a point a day for 230 years ----------------------------------------------------------------------------------------------- */

static void daily(void)
{
	enum { N = 100, DAYS = 84006 }; /* 1970-01-01 .. 2200-01-01 */
	const char *dir = bench_dir();
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	o.memory_limit = UINT64_C(128) << 20;
	silex_db *db = bench_open(dir, &o);
	int days = bench_quick ? DAYS / 8 : DAYS;
	size_t all = (size_t)N * (size_t)days;
	uint32_t *order = malloc(all * sizeof *order);
	silex_series *s[N];
	for (int i = 0; i < N; i++)
		s[i] = bench_series(db, NULL, i);
	for (size_t i = 0; i < all; i++)
		order[i] = (uint32_t)i;
	for (size_t i = all - 1; i > 0; i--) {
		size_t j = bench_random() % (i + 1);
		uint32_t t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	static silex_point p[4000];
	double from = bench_wall();
	for (size_t i = 0; i < all; i += 4000) {
		size_t k = all - i < 4000 ? all - i : 4000;
		for (size_t j = 0; j < k; j++)
			p[j] = (silex_point){ s[order[i + j] % N], (int64_t)(order[i + j] / N) * 86400 * S, (double)(order[i + j] * UINT64_C(0x9e3779b97f4a7c15) >> 40 & 8191) / 100 };
		BENCH_OK(silex_append(db, p, k, e));
	}
	double written = 0;
	FILE *f = fopen("/proc/self/io", "r");
	for (char line[128]; f && fgets(line, sizeof line, f);)
		if (strncmp(line, "wchar:", 6) == 0)
			written = atof(line + 6);
	if (f)
		fclose(f);
	silex_metrics m = { .size = sizeof m };
	BENCH_OK(silex_checkpoint(db, e));
	BENCH_OK(silex_get_metrics(db, &m, e));
	char note[128];
	snprintf(note, sizeof note, "%.1f M points in %.0f s, %llu flushes, %llu compactions%s", (double)all / 1e6, bench_wall() - from, (unsigned long long)m.flushes,
		(unsigned long long)m.compactions, bench_quick ? "; 29 years" : "");
	bench_row("1 point a day 1970-2200, random order: block files", (double)m.blocks, 50, -1, false, "files", note);
	snprintf(note, sizeof note, "%.0f MB written, %.0f MB of blocks", written / 1e6, (double)m.bytes_blocks / 1e6);
	bench_row("  write amplification", written / (double)m.bytes_blocks, 6, -1, false, "x", note);
	for (int i = 0; i < N; i++)
		silex_series_close(s[i]);
	BENCH_OK(silex_close(db, e));
}

const struct bench size_benches[] = {
	{ "size-tsbs", "TSBS-like integers and two decimals", tsbs },
	{ "size-real", "ICU vitals, ECG, NAB", real_sets },
	{ "daily", "a point a day for 230 years in random order", daily },
	{ NULL, NULL, NULL },
};
