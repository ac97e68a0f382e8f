/* Roll-ups: what a year at steps of an hour reads with and without them, and what building them costs.
 *
 * A year of samples each 10 s, of gauges (a walk in tenths) and counters. The thousand series would be three billion samples;
 * bytes and time go with the number of series, so a few of them give the same ratio. */
#include "bench.h"

#include "api/api.h"
#include "promql/promql.h"

#include <silex/rollup.h>

#include <string.h>

enum { SERIES = 16, SERIES_QUICK = 4, EVERY_S = 10, HOUR_S = 3600, DAYS = 365, BATCH = 8640 };
static const int64_t BEGIN_S = 1700000000 / HOUR_S * HOUR_S;

static int64_t wall(void *ctx)
{
	(void)ctx;
	return (BEGIN_S + DAYS * 86400 + 600) * SLX_SECOND;
}

static int64_t monotonic(void *ctx)
{
	(void)ctx;
	return (int64_t)(bench_wall() * 1e9);
}

static void fill(silex_db *db, int series)
{
	static double values[BATCH];
	static int64_t ts[BATCH];
	for (int i = 0; i < series; i++) {
		bool counter = i % 2;
		silex_series *s = bench_series(db, NULL, i / 2 * 10 + counter); /* usage_user, usage_system of many hosts */
		silex_columns *c;
		int v = 500;
		double total = 0;
		BENCH_OK(silex_columns_open(db, &s, 1, &c, e));
		for (int64_t t = 0; t < (int64_t)DAYS * 86400;) {
			for (int k = 0; k < BATCH; k++, t += EVERY_S) {
				ts[k] = (BEGIN_S + t) * SLX_SECOND;
				values[k] = counter ? total += (double)(bench_random() % 16) : bench_walk(&v, 10);
			}
			BENCH_OK(silex_columns_append(c, ts, values, BATCH, e));
		}
		silex_columns_close(c);
		silex_series_close(s);
	}
}

static struct slx_promql_stats ask(silex_db *db, const char *query, int rollups, double *ret_ms)
{
	struct slx_promql_options o = { .who = { .tenant = SLX_STR("default") },
		.start_ms = (BEGIN_S + HOUR_S) * 1000,
		.end_ms = (BEGIN_S + DAYS * 86400) * 1000,
		.step_ms = HOUR_S * 1000 };
	struct slx_promql_expr *x;
	struct slx_promql_result *r;
	double from = bench_cpu();
	o.rollups = rollups;
	BENCH_OK(slx_promql_parse(slx_engine_mem(slx_api_engine(db)), slx_str(query), false, &x, e));
	BENCH_OK(slx_promql_run(slx_api_engine(db), x, &o, &r, e));
	*ret_ms = (bench_cpu() - from) * 1e3;
	struct slx_promql_stats stats = r->stats;
	slx_promql_result_free(r);
	slx_promql_free(x);
	return stats;
}

static void compare(silex_db *db, const char *name, const char *query)
{
	char what[96], note[160];
	double slow, fast;
	struct slx_promql_stats raw = ask(db, query, SLX_PROMQL_ROLLUPS_OFF, &slow), rolled = ask(db, query, SLX_PROMQL_ROLLUPS_EXACT, &fast);
	snprintf(what, sizeof what, "rollup %s, a year at 1 h: bytes of samples / of roll-ups", name);
	snprintf(note, sizeof note, "%.1f MB / %.3f MB of chunks read; CPU %.0f / %.1f ms", (double)raw.bytes_read / 1e6, (double)rolled.bytes_read / 1e6, slow, fast);
	bench_row(what, (double)raw.bytes_read / (double)rolled.bytes_read, 100, -1, true, "times", note);
}

static void rollup(void)
{
	int series = bench_quick ? SERIES_QUICK : SERIES;
	double points = (double)series * DAYS * 86400 / EVERY_S;
	const int64_t levels[] = { HOUR_S * 1000 };
	silex_options o;
	bench_options(&o);
	o.env.clock = (silex_clock){ NULL, wall, monotonic };
	silex_db *db = bench_open(bench_dir(), &o);
	fill(db, series);
	BENCH_OK(silex_checkpoint(db, e));
	BENCH_OK(silex_rollup_set(db, NULL, "", levels, 1, e));
	double from = bench_cpu();
	BENCH_OK(silex_rollup_build(db, e));
	bench_row("rollup build of 1 h", (bench_cpu() - from) * 1e9 / points, -1, -1, false, "CPU ns a point", "out of blocks");
	BENCH_OK(silex_checkpoint(db, e));
	compare(db, "max", "max_over_time(usage_user[1h])");
	compare(db, "avg", "avg_over_time(usage_user[1h])");
	compare(db, "instant", "usage_user");
	compare(db, "rate", "rate(usage_system[1h])");
	BENCH_OK(silex_close(db, e));
}

const struct bench rollup_benches[] = {
	{ "rollup", "a year of samples with and without roll-ups", rollup },
	{ NULL, NULL, NULL },
};
