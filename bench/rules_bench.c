/* Rules on arrival: what 10,000 of them cost a writer, and how soon an alert is told. */
#include "bench.h"

#include <silex/rules.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { SERIES = 10000, RATE = 200000 };

#define STEP INT64_C(50000000) /* 20 samples a second of each series */

static int64_t wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static silex_series **open_series(silex_db *db)
{
	silex_series **s = malloc(SERIES * sizeof *s);
	for (int i = 0; i < SERIES; i++) {
		char sensor[16];
		snprintf(sensor, sizeof sensor, "%d", i);
		silex_label labels[] = { { "__name__", "temperature" }, { "sensor", sensor }, { "site", "north" } };
		BENCH_OK(silex_series_open(db, NULL, labels, 3, &s[i], e));
	}
	return s;
}

static void close_all(silex_db *db, silex_series **s)
{
	for (int i = 0; i < SERIES; i++)
		silex_series_close(s[i]);
	free(s);
	BENCH_OK(silex_close(db, e));
}

/* One rule for each series. window_ms 0: its value. */
static double add_rules(silex_db *db, int64_t window_ms)
{
	double from = bench_wall();
	for (int i = 0; i < SERIES; i++) {
		char selector[64];
		silex_rule r;
		uint64_t id;
		snprintf(selector, sizeof selector, "temperature{sensor=\"%d\"}", i);
		silex_rule_init(&r);
		r.name = "hot";
		r.selector = selector;
		r.condition = SILEX_RULE_GT;
		r.limit = 90;
		r.leave = 85;
		r.delay_on_ms = 1000;
		r.input = window_ms ? SILEX_RULE_AVG : SILEX_RULE_LAST;
		r.window_ms = window_ms;
		BENCH_OK(silex_rule_register(db, NULL, &r, &id, e));
	}
	return bench_wall() - from;
}

/* CPU seconds of `rounds` samples of each series, flush and threads included. Walks stay below the limit mostly. */
static double write_rounds(bool rules, int64_t window_ms, int rounds, double *ret_register)
{
	silex_options o;
	bench_options(&o);
	silex_db *db = bench_open(bench_dir(), &o);
	silex_series **s = open_series(db);
	int *v = calloc(SERIES, sizeof *v);
	silex_point *p = malloc(SERIES * sizeof *p);
	int64_t t = wall_ns() - rounds / 2 * STEP;
	double cpu = 0;
	if (rules)
		*ret_register = add_rules(db, window_ms);
	for (int r = -10; r < rounds; r++, t += STEP) {
		for (int i = 0; i < SERIES; i++)
			p[i] = (silex_point){ s[i], t, bench_walk(&v[i], 10) * 0.8 };
		double from = bench_cpu();
		for (int i = 0; i < SERIES; i += 2000)
			BENCH_OK(silex_append(db, p + i, 2000, e));
		cpu += r < 0 ? 0 : bench_cpu() - from;
	}
	free(p);
	free(v);
	close_all(db, s);
	return cpu;
}

static void cost(void)
{
	int rounds = bench_quick ? 400 : 2000;
	double registered = 0, without = write_rounds(false, 0, rounds, NULL), with = write_rounds(true, 0, rounds, &registered);
	double points = (double)SERIES * rounds;
	char note[120];
	snprintf(note, sizeof note, "%.0f ns a sample without, %.0f with", without / points * 1e9, with / points * 1e9);
	bench_row("10,000 threshold rules, 200 k points/s: more CPU", (with - without) / points * RATE * 100, 25, -1, false, "% of a core", note);
	bench_row("  registering one", registered / SERIES * 1e6, -1, -1, false, "us", "durable, by the C API");
	with = write_rounds(true, 60000, rounds, &registered);
	bench_row("  the same with avg over a minute", (with - without) / points * RATE * 100, -1, -1, false, "% of a core", "");
}

/* ---- from write to sink ---- */

struct race {
	silex_db *db;
	silex_series **series;
	_Atomic bool stop;
	_Atomic double told;
};

static void on_alert(void *arg, const silex_alert *a)
{
	if (a->state == SILEX_ALERT_FIRING)
		atomic_store(&((struct race *)arg)->told, bench_wall());
}

static void *load(void *arg)
{
	struct race *x = arg;
	static silex_point p[SERIES];
	while (!atomic_load(&x->stop)) {
		double until = bench_wall() + (double)SERIES / RATE;
		for (int i = 0; i < SERIES; i++)
			p[i] = (silex_point){ x->series[i], wall_ns(), 50 };
		BENCH_OK(silex_append(x->db, p, SERIES, e));
		while (bench_wall() < until)
			usleep(1000);
	}
	return NULL;
}

static void latency(void)
{
	silex_options o;
	bench_options(&o);
	o.no_background = false;
	struct race x = { .db = bench_open(bench_dir(), &o) };
	int n = bench_quick ? 300 : 2000;
	double *ms = malloc((size_t)n * sizeof *ms);
	pthread_t thread;
	silex_label labels[] = { { "__name__", "probe" }, { "bed", "4" } };
	silex_rule r;
	uint64_t id;
	x.series = open_series(x.db);
	add_rules(x.db, 0);
	silex_rule_init(&r);
	r.name = "probe";
	r.selector = "probe";
	r.limit = 10;
	BENCH_OK(silex_rule_register(x.db, NULL, &r, &id, e));
	BENCH_OK(silex_rule_on_alert(x.db, on_alert, &x, e));
	pthread_create(&thread, NULL, load, &x);
	for (int i = 0; i < n; i++) {
		BENCH_OK(silex_insert(x.db, NULL, labels, 2, wall_ns(), silex_float(1), e));
		usleep(2000);
		atomic_store(&x.told, 0);
		double from = bench_wall();
		BENCH_OK(silex_insert(x.db, NULL, labels, 2, wall_ns(), silex_float(20), e));
		while (atomic_load(&x.told) == 0)
			usleep(50);
		ms[i] = (atomic_load(&x.told) - from) * 1e3;
	}
	atomic_store(&x.stop, true);
	pthread_join(thread, NULL);
	bench_row("from write to alert told, p99, 200 k points/s beside", bench_percentile(ms, (size_t)n, 99), 50, -1, false, "ms", "durable before it is told");
	bench_row("  median", bench_percentile(ms, (size_t)n, 50), -1, -1, false, "ms", "");
	free(ms);
	close_all(x.db, x.series);
}

const struct bench rules_benches[] = {
	{ "rules", "10,000 rules on arrival: cost", cost },
	{ "alert", "from write to alert", latency },
	{ NULL, NULL, NULL },
};
