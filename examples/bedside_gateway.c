/* A gateway beside a bed: a monitor sends ten vital signs every second; the gateway stores them, answers "the last five
 * minutes" for a screen, sees an alarm, and keeps a week.
 *
 *	cc bedside_gateway.c $(pkg-config --cflags --libs silex)
 *	./a.out [DIRECTORY]
 *
 * What to look at: the columns of one monitor (one instant, many series), sync=interval (a power cut costs at most a
 * second; a killed process nothing), latest, windows by the minute, cleanup. */
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>

enum { VITALS = 10, SECONDS = 1800 };

#define SECOND   INT64_C(1000000000)
#define ADMITTED INT64_C(1714550400000000000) /* 2024-05-01T08:00:00Z */

static const char *const names[VITALS] = { "hr", "spo2", "resp", "abp_sys", "abp_dia", "abp_mean", "temp", "etco2",
	"cvp", "pulse" };
static const double usual[VITALS] = { 78, 97, 16, 121, 76, 91, 36.8, 38, 8, 78 };

static silex_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

/* A row of the monitor: small waves, and a desaturation in the twentieth minute. A probe that is off gives nothing. */
static void measure(int second, double *row)
{
	for (int i = 0; i < VITALS; i++)
		row[i] = usual[i] + (double)((second / 7 + i * 13) % 5) - 2;
	row[6] = usual[6] + (double)(second % 3) / 10;
	if (second >= 1200 && second < 1260)
		row[1] = 84;
	if (second >= 600 && second < 630) {
		const uint64_t none = SILEX_NO_VALUE_BITS;
		__builtin_memcpy(&row[1], &none, sizeof none);
	}
}

static silex_status record(silex_db *db)
{
	silex_series *series[VITALS] = { NULL };
	silex_columns *monitor = NULL;
	silex_status st = SILEX_OK;
	for (int i = 0; i < VITALS && st == SILEX_OK; i++) {
		const silex_label labels[] = { { "__name__", names[i] }, { "bed", "icu-07" }, { "patient", "p-1042" } };
		st = silex_series_open(db, NULL, labels, 3, &series[i], &err);
	}
	if (st == SILEX_OK)
		st = silex_columns_open(db, series, VITALS, &monitor, &err);
	for (int second = 0; second < SECONDS && st == SILEX_OK; second++) {
		const int64_t time = ADMITTED + second * SECOND;
		double row[VITALS];
		measure(second, row);
		st = silex_columns_append(monitor, &time, row, 1, &err);
	}
	silex_columns_close(monitor);
	for (int i = 0; i < VITALS; i++)
		silex_series_close(series[i]);
	return st;
}

/* The lowest saturation of each of the last minutes, as a screen would draw it. Returns how many were below 90. */
static silex_status screen(silex_db *db, int *ret_alarms)
{
	const char *selectors[] = { "spo2{bed=\"icu-07\"}" };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = ADMITTED + 1080 * SECOND;
	q.end = ADMITTED + 1380 * SECOND - 1;
	q.agg = SILEX_AGG_MIN;
	q.step = 60 * SECOND;
	silex_status st = silex_query_run(db, &q, &c, &err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
		for (size_t i = 0; i < b.n; i++) {
			printf("  minute %2d: SpO2 at least %.0f%s\n", (int)((b.times[i] - ADMITTED) / (60 * SECOND)), b.values[i],
				b.values[i] < 90 ? "  ALARM" : "");
			*ret_alarms += b.values[i] < 90;
		}
	silex_cursor_close(c);
	return st;
}

static silex_status bedside(silex_db *db, int *ret_series)
{
	silex_cursor *c;
	silex_batch b;
	silex_status st = silex_latest(db, NULL, "{bed=\"icu-07\"}", &c, &err);
	if (st != SILEX_OK)
		return st;
	printf("now:");
	while ((st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n) {
		for (size_t i = 0; i < b.n_labels; i++)
			if (b.labels[i].name[0] == '_')
				printf(" %s %g", b.labels[i].value, b.values[0]);
		++*ret_series;
	}
	putchar('\n');
	silex_cursor_close(c);
	return st;
}

int main(int argc, char **argv)
{
	char temporary[] = "/tmp/silex-gateway-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(temporary);
	silex_options o;
	silex_db *db;
	uint64_t old;
	int alarms = 0, series = 0;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	o.memory_limit = 16 << 20; /* a small box */
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail("open");
	if (record(db) != SILEX_OK)
		return fail("record");
	printf("bed icu-07: %d seconds of %d vital signs\n", SECONDS, VITALS);
	if (bedside(db, &series) != SILEX_OK || screen(db, &alarms) != SILEX_OK)
		return fail("query");
	/* Keep a week: here a week after the first 60 seconds. */
	if (silex_cleanup(db, NULL, ADMITTED + 60 * SECOND, &old, &err) != SILEX_OK)
		return fail("cleanup");
	printf("cleanup: %llu samples were older than a week\n", (unsigned long long)old);
	if (silex_close(db, &err) != SILEX_OK)
		return fail("close");
	if (series != VITALS || alarms != 1 || old != 60 * VITALS) {
		fprintf(stderr, "expected %d series, 1 alarm, %d old samples\n", VITALS, 60 * VITALS);
		return 1;
	}
	return 0;
}
