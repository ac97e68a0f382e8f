/* Cold blocks: what a query of old data costs when its blocks lie in a store, beside the same query of files here.
 *
 * A month of samples each 10 s of a hundred series. The store is a folder, so time is what the machine adds; over a network each
 * request costs its round trip on top, which is why requests and bytes are rows. Each query begins with empty caches. */
#include "bench.h"

#include "base/clock.h"
#include "model/time.h"

#include <stdio.h>
#include <string.h>

enum { SERIES = 100, SERIES_QUICK = 10, EVERY_S = 10, DAYS = 30, BATCH = 8640 };
#define BEGIN_S INT64_C(1700000000)

static int64_t wall(void *ctx)
{
	(void)ctx;
	return (BEGIN_S + 3 * DAYS * 86400) * SLX_SECOND;
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
		silex_series *s = bench_series(db, NULL, i);
		silex_columns *c;
		int v = 500;
		BENCH_OK(silex_columns_open(db, &s, 1, &c, e));
		for (int64_t t = 0; t < (int64_t)DAYS * 86400;) {
			for (int k = 0; k < BATCH; k++, t += EVERY_S) {
				ts[k] = (BEGIN_S + t) * SLX_SECOND;
				values[k] = bench_walk(&v, 10);
			}
			BENCH_OK(silex_columns_append(c, ts, values, BATCH, e));
		}
		silex_columns_close(c);
		silex_series_close(s);
	}
}

static uint64_t read_samples(silex_db *db, const char *selector, int64_t from_s, int64_t to_s, double *ret_ms)
{
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	uint64_t n = 0;
	double begin = bench_wall();
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = from_s * SLX_SECOND;
	q.end = to_s * SLX_SECOND;
	BENCH_OK(silex_query_run(db, &q, &c, e));
	for (b.n = 1; b.n > 0; n += b.n)
		BENCH_OK(silex_cursor_next(c, &b, e));
	silex_cursor_close(c);
	*ret_ms = (bench_wall() - begin) * 1e3;
	return n;
}

static double ask(const char *dir, const silex_options *o, const char *what, const char *selector, int days, double warm_ms)
{
	char text[96], note[160];
	double ms;
	silex_metrics m = { .size = sizeof m };
	silex_options opt = *o;
	silex_db *db = bench_open(dir, &opt);
	uint64_t n = read_samples(db, selector, BEGIN_S + 10 * 86400, BEGIN_S + (10 + days) * 86400 - 1, &ms);
	BENCH_OK(silex_get_metrics(db, &m, e));
	BENCH_OK(silex_close(db, e));
	snprintf(text, sizeof text, "tier %s, %s", what, m.blocks_cold ? "cold" : "warm");
	snprintf(note, sizeof note, "%.2f M samples; %llu requests, %.3f MB fetched of %.1f MB cold", (double)n / 1e6, (unsigned long long)m.cold_requests,
		(double)m.cold_read_bytes / 1e6, (double)m.bytes_cold / 1e6);
	bench_row(text, ms, -1, -1, false, "ms", warm_ms > 0 ? note : "files here, caches empty");
	return ms;
}

static void tier(void)
{
	int series = bench_quick ? SERIES_QUICK : SERIES;
	char path[512];
	silex_store_config store = { .struct_size = sizeof store, .name = "archive", .url = path };
	silex_options o;
	silex_tier_report r;
	const char *dir = bench_dir();
	snprintf(path, sizeof path, "%s/archive", dir);
	bench_options(&o);
	o.env.clock = (silex_clock){ NULL, wall, monotonic };
	o.stores = &store;
	o.n_stores = 1;
	strcpy(o.cold_store, "archive");
	silex_options opt = o;
	silex_db *db = bench_open(dir, &opt);
	fill(db, series);
	BENCH_OK(silex_checkpoint(db, e));
	BENCH_OK(silex_compact(db, NULL, e));
	BENCH_OK(silex_close(db, e));
	const char *one = "usage_user{hostname=\"host_0\"}";
	double one_ms = ask(dir, &o, "one series, one day", one, 1, 0), all_ms = ask(dir, &o, "all series, ten days", "{}", 10, 0);
	opt = o;
	db = bench_open(dir, &opt);
	double begin = bench_wall();
	BENCH_OK(silex_tier_move(db, NULL, &r, e));
	bench_row("tier move, read back included", (double)r.bytes / 1e6 / (bench_wall() - begin), -1, -1, true, "MB/s", "to a folder");
	BENCH_OK(silex_close(db, e));
	ask(dir, &o, "one series, one day", one, 1, one_ms);
	ask(dir, &o, "all series, ten days", "{}", 10, all_ms);
}

const struct bench tier_benches[] = {
	{ "tier", "queries of cold blocks beside warm ones", tier },
	{ NULL, NULL, NULL },
};
