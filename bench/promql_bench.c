/* PromQL without HTTP: queries of the TSBS kind over 100 hosts x 10 fields x a day at 10 s, from the head and from blocks.
 * CPU of all threads; the least of many runs, for the machine may have others to serve. */
#include "bench.h"

#include "api/api.h"
#include "promql/promql.h"

#include <string.h>

enum { HOSTS = 100, FIELDS = 10, POINTS = 8640 };

static void fill(silex_db *db)
{
	double *values = malloc(POINTS * sizeof *values);
	int64_t *ts = malloc(POINTS * sizeof *ts);
	for (int i = 0; i < HOSTS * FIELDS; i++) {
		silex_series *s = bench_series(db, NULL, i);
		silex_columns *c;
		int v = 50;
		for (int k = 0; k < POINTS; k++) {
			ts[k] = k * SLX_SECOND * 10;
			values[k] = bench_walk(&v, 1);
		}
		BENCH_OK(silex_columns_open(db, &s, 1, &c, e));
		BENCH_OK(silex_columns_append(c, ts, values, POINTS, e));
		silex_columns_close(c);
		silex_series_close(s);
	}
	free(values);
	free(ts);
}

/* CPU ms of one run. */
static double once(silex_db *db, const char *query, const struct slx_promql_options *o)
{
	struct slx_promql_expr *x;
	struct slx_promql_result *r;
	double from = bench_cpu();
	BENCH_OK(slx_promql_parse(slx_engine_mem(slx_api_engine(db)), slx_str(query), false, &x, e));
	BENCH_OK(slx_promql_run(slx_api_engine(db), x, o, &r, e));
	if (r->n == 0) {
		printf("%s: no answer\n", query);
		exit(1);
	}
	slx_promql_result_free(r);
	slx_promql_free(x);
	return (bench_cpu() - from) * 1e3;
}

static void measure(silex_db *db, const char *where)
{
	static const struct {
		const char *name, *query;
		int64_t from, to, step; /* s; step 0: instant */
		int series, repeat;     /* repeat: for every field, in the place of user */
		double least, better;   /* ms; the issue's, HTTP and JSON included */
	} rows[] = {
		{ "double-groupby-all", "avg by (hostname) (avg_over_time(usage_user[1h]))", 10805, 54005, 3600, 100, 10, 19,
			5.7 },
		{ "high-cpu-all", "usage_user > 90", 7205, 50405, 10, 100, 1, 9.7, 2.9 },
		{ "fullscan", "avg by (datacenter) (avg_over_time(usage_user[5m]))", 305, 86105, 300, 100, 1, 3, 0.9 },
		{ "quantile-over-time",
			"quantile_over_time(0.95, usage_user{hostname=~\"host_2|host_11|host_23|host_37|host_48|host_59|host_76|host_93\"}[1h])",
			7205, 50405, 300, 8, 1, 4.7, 1.4 },
		{ "rate-region", "sum by (region) (rate(usage_user[5m]))", 7205, 50405, 60, 100, 1, -1, -1 },
		{ "lastpoint", "last_over_time(usage_user[5m])", 86395, 86395, 0, 100, 1, 0.2, 0.08 },
		{ "single-groupby-1-1-1", "max by (hostname) (max_over_time(usage_user{hostname=\"host_7\"}[1m]))", 7205, 10805,
			60, 1, 1, 0.04, 0.02 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slx_promql_options o = { .who = { .tenant = SLX_STR("default") },
			.start_ms = rows[i].from * 1000,
			.end_ms = rows[i].to * 1000,
			.step_ms = rows[i].step * 1000 };
		double least = 1e9;
		char what[96];
		for (int k = 0; k < (bench_quick ? 10 : 50); k++) {
			double ms = once(db, rows[i].query, &o);
			least = ms < least ? ms : least;
		}
		snprintf(what, sizeof what, "promql %s, %s", rows[i].name, where);
		bench_row(what, least * rows[i].repeat, rows[i].least, rows[i].better, false, "CPU ms", "without HTTP");
	}
}

static void promql(void)
{
	silex_db *db = bench_open(bench_dir(), NULL);
	fill(db);
	measure(db, "head");
	BENCH_OK(silex_checkpoint(db, e));
	measure(db, "blocks");
	BENCH_OK(silex_close(db, e));
}

const struct bench promql_benches[] = {
	{ "promql", "queries of the TSBS kind", promql },
	{ NULL, NULL, NULL },
};
