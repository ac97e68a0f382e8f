/* Market ticks: prices to the nanosecond, many at once, out of order; bars of one minute out of them.
 *
 *	cc ticks.c $(pkg-config --cflags --libs silex)
 *	./a.out [DIRECTORY]
 *
 * What to look at: handles and silex_append in batches (the fast path), two points at one nanosecond (the later write
 * wins), a late correction, open/high/low/close as four aggregates, a median. */
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYMBOLS = 3, TICKS = 60000, BATCH = 1000, BARS = 6 };

#define OPEN   INT64_C(1714570200123456789) /* 2024-05-01T13:30:00.123456789Z */
#define MINUTE INT64_C(60000000000)

static const char *const symbols[SYMBOLS] = { "AAA", "BBB", "CCC" };
static silex_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

/* About ten minutes of ticks, 1 to 20 ms apart, prices in cents. */
static silex_status trade(silex_db *db, silex_series *const *series)
{
	silex_point batch[BATCH];
	int64_t time = OPEN;
	int cents[SYMBOLS] = { 10000, 25000, 4200 };
	unsigned seed = 7;
	silex_status st = SILEX_OK;
	for (int i = 0; i < TICKS && st == SILEX_OK; i += BATCH) {
		for (int k = 0; k < BATCH; k++) {
			seed = seed * 1664525u + 1013904223u;
			int symbol = (int)(seed >> 8) % SYMBOLS;
			cents[symbol] += (int)(seed >> 16) % 7 - 3;
			time += 1000000 + (int64_t)(seed % 18000000);
			batch[k] = (silex_point){ series[symbol], time, cents[symbol] / 100.0 };
		}
		st = silex_append(db, batch, BATCH, &err);
	}
	return st;
}

/* One aggregate of each minute. */
static silex_status bars(silex_db *db, silex_agg agg, double *ret)
{
	const char *selectors[] = { "price{symbol=\"AAA\"}" };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	size_t n = 0;
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = OPEN;
	q.end = OPEN + BARS * MINUTE - 1;
	q.agg = agg;
	q.step = MINUTE;
	silex_status st = silex_query_run(db, &q, &c, &err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
		for (size_t i = 0; i < b.n && n < BARS; i++)
			ret[n++] = b.values[i];
	silex_cursor_close(c);
	return st;
}

static silex_status print_bars(silex_db *db, int *ret_bad)
{
	double open[BARS] = { 0 }, high[BARS] = { 0 }, low[BARS] = { 0 }, close[BARS] = { 0 }, median[BARS] = { 0 };
	silex_status st;
	if ((st = bars(db, SILEX_AGG_FIRST, open)) != SILEX_OK || (st = bars(db, SILEX_AGG_MAX, high)) != SILEX_OK ||
		(st = bars(db, SILEX_AGG_MIN, low)) != SILEX_OK || (st = bars(db, SILEX_AGG_LAST, close)) != SILEX_OK ||
		(st = bars(db, SILEX_AGG_MEDIAN, median)) != SILEX_OK)
		return st;
	printf("minute    open    high     low   close  median\n");
	for (int i = 0; i < BARS; i++) {
		printf("%6d %7.2f %7.2f %7.2f %7.2f %7.2f\n", i, open[i], high[i], low[i], close[i], median[i]);
		*ret_bad +=
			!(low[i] > 0 && low[i] <= open[i] && open[i] <= high[i] && low[i] <= close[i] && close[i] <= high[i]);
	}
	return SILEX_OK;
}

int main(int argc, char **argv)
{
	char temporary[] = "/tmp/silex-ticks-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(temporary);
	silex_series *series[SYMBOLS];
	silex_options o;
	silex_db *db;
	int bad = 0;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail("open");
	for (int i = 0; i < SYMBOLS; i++) {
		const silex_label labels[] = { { "__name__", "price" }, { "symbol", symbols[i] }, { "venue", "X" } };
		if (silex_series_open(db, NULL, labels, 3, &series[i], &err) != SILEX_OK)
			return fail("series");
	}
	if (trade(db, series) != SILEX_OK)
		return fail("append");
	/* A correction of the first instant, twice at the same nanosecond, long after: the last write counts. */
	const silex_point fixes[] = { { series[0], OPEN, 1.00 }, { series[0], OPEN, 99.99 } };
	if (silex_append(db, fixes, 2, &err) != SILEX_OK)
		return fail("correct");
	if (print_bars(db, &bad) != SILEX_OK)
		return fail("query");
	double first[BARS];
	if (bars(db, SILEX_AGG_FIRST, first) != SILEX_OK)
		return fail("query");
	bad += first[0] != 99.99;
	for (int i = 0; i < SYMBOLS; i++)
		silex_series_close(series[i]);
	if (silex_close(db, &err) != SILEX_OK)
		return fail("close");
	if (bad)
		fprintf(stderr, "%d bars are impossible\n", bad);
	return bad != 0;
}
