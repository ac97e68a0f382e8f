/* Roll-ups against samples: the same queries with and without them, over data that comes late, is overwritten and deleted, over
 * flushes, compactions, restarts, crashes and rebuilds. Seeded; SILEX_TEST_SEED repeats a run. */
#include "api/api.h"
#include "base/clock.h"
#include "base/vfs_sim.h"
#include "engine/rollup.h"
#include "promql/promql.h"

#include <silex/retention.h>
#include <silex/rollup.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SERIES = 5, RUNS = 12, STEPS = 120 };
static const int64_t BEGIN = INT64_C(1700000000000) / 3600000 * 3600000; /* ms */
static const int64_t MINUTE = 60000, HOUR = 3600000;

struct world {
	struct slx_vfs_sim *sim;
	silex_options opt;
	silex_db *db;
	uint64_t rng;
	int64_t now; /* ms: the wall clock, and how far samples go */
	int64_t mono;
	double counter[SERIES];
	uint64_t used; /* queries that roll-ups answered */
};

static int64_t wall(void *ctx) { return ((struct world *)ctx)->now * SLX_MS; }
static int64_t mono(void *ctx) { return ((struct world *)ctx)->mono += 1000; }
static void noise(void *ctx, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)slx_rng_next(&((struct world *)ctx)->rng);
}

static uint64_t below(struct world *w, uint64_t n) { return slx_rng_next(&w->rng) % n; }

static void open_db(struct world *w)
{
	silex_error err;
	if (silex_open("/db", &w->opt, &w->db, &err) != SILEX_OK)
		fail_msg("open: %s", err.message);
}

static void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){ .rng = seed, .now = BEGIN, .sim = slx_vfs_sim_new(seed) };
	silex_options_init(&w->opt);
	w->opt.no_background = true;
	w->opt.threads = 1;
	w->opt.env.vfs = slx_vfs_sim_vfs(w->sim);
	w->opt.env.clock = (silex_clock){ w, wall, mono };
	w->opt.env.random = (silex_random){ w, noise };
	open_db(w);
}

static void world_free(struct world *w)
{
	silex_error err;
	if (silex_close(w->db, &err) != SILEX_OK)
		fail_msg("close: %s", err.message);
	slx_vfs_sim_free(w->sim);
}

/* ---- data ---- */

static void put(struct world *w, int i, int64_t t_ns, double v)
{
	char number[8];
	snprintf(number, sizeof number, "%d", i);
	silex_label labels[] = { { "__name__", "m_total" }, { "i", number } };
	silex_error err;
	if (silex_insert(w->db, NULL, labels, 2, t_ns, silex_float(v), &err) != SILEX_OK)
		fail_msg("insert: %s", err.message);
}

/* A counter that is reset now and then, a gauge of decimals, values that cancel out, a constant, now and then NaN, infinity, a stale
 * marker. */
static double value_of(struct world *w, int i)
{
	switch (i) {
	case 0:
		w->counter[0] = below(w, 50) ? w->counter[0] + (double)below(w, 20) : 0;
		return w->counter[0];
	case 1:
		return (double)below(w, 1000) / 10 + 20;
	case 2:
		return below(w, 2) ? 1e9 + (double)below(w, 7) : -1e9;
	case 3:
		return 42.1;
	default:
		switch (below(w, 30)) {
		case 0: return (double)NAN;
		case 1: return (double)INFINITY;
		case 2: return slx_bits_f64(SLX_STALE_NAN);
		default: return (double)below(w, 1 << 20) * pow(10, (double)below(w, 12) - 6);
		}
	}
}

static void live(struct world *w, int64_t ms)
{
	for (int64_t end = w->now + ms; w->now < end; w->now += 7000 + (int64_t)below(w, 16) * 1000)
		for (int i = 0; i < SERIES; i++)
			if (below(w, 20))
				put(w, i, w->now * SLX_MS + (int64_t)below(w, 3) * 400000, value_of(w, i));
	w->mono += ms * SLX_MS;
}

static void late(struct world *w)
{
	int i = (int)below(w, SERIES);
	int64_t t = BEGIN + (int64_t)below(w, (uint64_t)(w->now - BEGIN + 1)), n = 1 + (int64_t)below(w, 40);
	if (below(w, 2)) /* on a bucket's border */
		t = t / MINUTE * MINUTE;
	for (int64_t k = 0; k < n && t < w->now; k++, t += 15000)
		put(w, i, t * SLX_MS, below(w, 9) ? value_of(w, i) : slx_bits_f64(SLX_STALE_NAN));
}

static void remove_some(struct world *w)
{
	char selector[32] = "";
	silex_error err;
	int64_t a = BEGIN + (int64_t)below(w, (uint64_t)(w->now - BEGIN + 1)), b = a + (int64_t)below(w, (uint64_t)(2 * HOUR));
	if (below(w, 2)) {
		a = a / MINUTE * MINUTE;
		b = b / MINUTE * MINUTE;
	}
	if (below(w, 3))
		snprintf(selector, sizeof selector, "m_total{i=\"%d\"}", (int)below(w, SERIES));
	if (a <= b && silex_delete(w->db, NULL, selector, a * SLX_MS, b * SLX_MS, NULL, &err) != SILEX_OK)
		fail_msg("delete: %s", err.message);
}

/* ---- the life of a database ---- */

static void must(silex_status status, const char *what, const silex_error *err)
{
	if (status != SILEX_OK)
		fail_msg("%s: %s", what, err->message);
}

static void restart(struct world *w, enum slx_sim_fault fault)
{
	silex_error err = { 0 };
	if (fault == SLX_SIM_NONE) {
		must(silex_close(w->db, &err), "close", &err);
		open_db(w);
		return;
	}
	slx_vfs_sim_arm(w->sim, SLX_SIM_KILL, 1);
	silex_close(w->db, &err);
	slx_vfs_sim_reboot(w->sim, fault == SLX_SIM_POWER_CUT);
	slx_vfs_sim_heal(w->sim);
	open_db(w);
}

/* Dies somewhere in the middle of building or flushing. */
static void crash_at_work(struct world *w)
{
	silex_error err;
	enum slx_sim_fault fault = below(w, 2) ? SLX_SIM_KILL : SLX_SIM_POWER_CUT;
	slx_vfs_sim_arm(w->sim, fault, 1 + below(w, 60));
	silex_status status = silex_rollup_build(w->db, &err);
	if (status == SILEX_OK && below(w, 2))
		status = silex_checkpoint(w->db, &err);
	if (status == SILEX_OK)
		silex_rollup_build(w->db, &err);
	slx_vfs_sim_heal(w->sim);
	slx_vfs_sim_arm(w->sim, SLX_SIM_KILL, 1);
	silex_close(w->db, &err);
	slx_vfs_sim_reboot(w->sim, fault == SLX_SIM_POWER_CUT);
	slx_vfs_sim_heal(w->sim);
	open_db(w);
}

static void rebuild(struct world *w)
{
	silex_error err;
	int64_t a = BEGIN + (int64_t)below(w, (uint64_t)(w->now - BEGIN + 1));
	must(silex_rollup_rebuild(w->db, NULL, a * SLX_MS, (a + 3 * HOUR) * SLX_MS, NULL, NULL, &err), "rebuild", &err);
}

static void step(struct world *w)
{
	silex_error err;
	silex_compact_options o;
	uint64_t op = below(w, 14);
	if (getenv("SILEX_TEST_TRACE"))
		printf("step %llu at %lld\n", (unsigned long long)op, (long long)(w->now - BEGIN));
	switch (op) {
	case 0: case 1: case 2: live(w, (int64_t)below(w, (uint64_t)HOUR)); break;
	case 3: case 4: late(w); break;
	case 5: remove_some(w); break;
	case 6: case 7: must(slx_engine_rollup_build(slx_api_engine(w->db), &err), "build", &err); break;
	case 8: must(silex_checkpoint(w->db, &err), "checkpoint", &err); break;
	case 9:
		silex_compact_options_init(&o);
		o.full = below(w, 2);
		must(silex_compact(w->db, &o, &err), "compact", &err);
		break;
	case 10: restart(w, SLX_SIM_NONE); break;
	case 11: restart(w, below(w, 2) ? SLX_SIM_KILL : SLX_SIM_POWER_CUT); break;
	case 12: crash_at_work(w); break;
	default: rebuild(w); break;
	}
}

/* ---- asking twice ---- */

static struct slx_promql_result *ask(struct world *w, const char *query, int64_t start, int64_t end, int64_t width, int rollups)
{
	struct slx_engine *e = slx_api_engine(w->db);
	struct slx_promql_options o = { .who = { .tenant = SLX_STR("default") }, .start_ms = start, .end_ms = end, .step_ms = width };
	struct slx_promql_expr *x;
	struct slx_promql_result *r;
	silex_error err;
	o.rollups = rollups;
	must(slx_promql_parse(slx_engine_mem(e), slx_str(query), true, &x, &err), query, &err);
	must(slx_promql_run(e, x, &o, &r, &err), query, &err);
	slx_promql_free(x);
	return r;
}

static bool alike(double a, double b)
{
	return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static void compare(struct world *w, const char *query, int64_t start, int64_t end, int64_t width, uint64_t seed)
{
	struct slx_promql_result *a = ask(w, query, start, end, width, SLX_PROMQL_ROLLUPS_OFF), *b = ask(w, query, start, end, width, SLX_PROMQL_ROLLUPS_EXACT);
	if (a->n != b->n)
		fail_msg("seed %llu: %s: %zu series out of samples, %zu out of roll-ups", (unsigned long long)seed, query, a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct slx_promql_series *s = &a->series[i], *r = &b->series[i];
		assert_int_equal(slx_labels_cmp(s->labels, r->labels), 0);
		for (size_t k = 0; k < s->n || k < r->n; k++)
			if (k >= s->n || k >= r->n || s->points[k].t_ms != r->points[k].t_ms || !alike(s->points[k].v, r->points[k].v))
				fail_msg("seed %llu: %s, series %zu, point %zu of %zu and %zu: %.17g at %lld out of samples, %.17g at %lld out of roll-ups",
					(unsigned long long)seed, query, i, k, s->n, r->n, k < s->n ? s->points[k].v : 0.0,
					k < s->n ? (long long)(s->points[k].t_ms - BEGIN) : -1, k < r->n ? r->points[k].v : 0.0,
					k < r->n ? (long long)(r->points[k].t_ms - BEGIN) : -1);
	}
	w->used += b->stats.n_rollups > 0;
	slx_promql_result_free(a);
	slx_promql_result_free(b);
}

static void check(struct world *w, uint64_t seed)
{
	static const char *const functions[] = { "sum_over_time", "avg_over_time", "count_over_time", "present_over_time", "min_over_time",
		"max_over_time", "first_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time", "rate", "increase", "delta" };
	static const int64_t widths[] = { 60000, 300000, 3600000 };
	char query[96];
	int64_t width = widths[below(w, 3)], range = width * (1 + (int64_t)below(w, 4));
	int64_t start = BEGIN + (int64_t)below(w, 4) * width, end = w->now / width * width + 2 * width;
	const char *f = functions[below(w, sizeof functions / sizeof *functions)];
	snprintf(query, sizeof query, "%s(m_total%s[%llds])", f, below(w, 2) ? "" : "{i!=\"3\"}", (long long)(range / 1000));
	compare(w, query, start, end, width, seed);
	compare(w, "m_total", start, end, width, seed);
	compare(w, "sum(rate(m_total[1h]))", start / HOUR * HOUR, end, HOUR, seed);
	compare(w, "timestamp(m_total{i=\"1\"} offset 1h)", start, end, width, seed);
}

static void run(uint64_t seed, bool selective)
{
	struct world w;
	silex_error err;
	const int64_t levels[] = { 300000, 60000, 3600000 };
	world_init(&w, seed);
	live(&w, HOUR);
	must(silex_rollup_set(w.db, NULL, selective ? "m_total{i=~\"[0-2]\"}" : "", levels, 3, &err), "set", &err);
	for (int i = 0; i < STEPS; i++) {
		step(&w);
		check(&w, seed);
	}
	assert_true(w.used > STEPS / 4);
	world_free(&w);
}

/* ---- samples that are too old to be kept ---- */

static bool has_info(const struct slx_promql_result *r, const char *part)
{
	for (size_t i = 0; i < r->n_infos; i++)
		if (memmem(r->infos[i].p, r->infos[i].n, part, strlen(part)))
			return true;
	return false;
}

/* Value of the only series at step k. */
static double at(const struct slx_promql_result *r, size_t k)
{
	assert_int_equal(r->n, 1);
	assert_true(k < r->series[0].n);
	return r->series[0].points[k].v;
}

/* A counter that goes up by 1 a second, every 10 s for six hours; samples are kept for one. */
static void aged(struct world *w)
{
	const int64_t levels[] = { 60000, 3600000 };
	silex_retention_rule rules[] = { { .keep_ms = HOUR }, { .rollup = "1m", .keep_ms = 3 * HOUR } };
	silex_retention keep;
	silex_error err;
	world_init(w, 7);
	must(silex_rollup_set(w->db, NULL, "", levels, 2, &err), "set", &err);
	for (int64_t t = 0; t <= 6 * HOUR; t += 10000)
		put(w, 0, (BEGIN + t) * SLX_MS, (double)t / 1000);
	w->now = BEGIN + 6 * HOUR + 120000;
	must(silex_rollup_build(w->db, &err), "build", &err);
	silex_retention_init(&keep);
	keep.rules = rules;
	keep.n_rules = 2;
	must(silex_set_retention(w->db, &keep, &err), "retention", &err);
	must(silex_checkpoint(w->db, &err), "checkpoint", &err);
	must(silex_apply_retention(w->db, false, NULL, NULL, NULL, &err), "apply", &err);
}

static void test_aged_instant(void **state)
{
	struct world w;
	(void)state;
	aged(&w);
	/* two hours ago: a minute's last; five hours ago: an hour's last, however far back */
	struct slx_promql_result *r = ask(&w, "m_total", BEGIN + 4 * HOUR + 90000, BEGIN + 4 * HOUR + 90000, 0, SLX_PROMQL_ROLLUPS_AUTO);
	assert_true(at(r, 0) == 4 * 3600 + 60);
	assert_true(has_info(r, "roll-ups of 1m stand in"));
	slx_promql_result_free(r);
	r = ask(&w, "m_total", BEGIN + HOUR + 1800000, BEGIN + HOUR + 1800000, 0, SLX_PROMQL_ROLLUPS_AUTO);
	assert_true(at(r, 0) == 3600);
	assert_true(has_info(r, "roll-ups of 1h stand in"));
	slx_promql_result_free(r);
	for (int off = SLX_PROMQL_ROLLUPS_EXACT; off <= SLX_PROMQL_ROLLUPS_OFF; off++) {
		r = ask(&w, "m_total", BEGIN + HOUR + 1800000, BEGIN + HOUR + 1800000, 0, off);
		assert_int_equal(r->n, 0);
		assert_int_equal(r->n_infos, 0);
		slx_promql_result_free(r);
	}
	world_free(&w);
}

static void test_aged_ranges(void **state)
{
	struct world w;
	(void)state;
	aged(&w);
	/* Steps of 430 s fit no level: old ones take two buckets of an hour, then of a minute, new ones samples. */
	struct slx_promql_result *r = ask(&w, "rate(m_total[5m])", BEGIN + 3 * HOUR - 420007, BEGIN + 6 * HOUR, 430000, SLX_PROMQL_ROLLUPS_AUTO);
	assert_int_equal(r->n, 1);
	for (size_t k = 0; k < r->series[0].n; k++)
		assert_true(fabs(r->series[0].points[k].v - 1) < 1e-9);
	assert_true(r->series[0].n > 25);
	assert_true(has_info(r, "roll-ups of 1h stand in"));
	assert_true(has_info(r, "roll-ups of 1m stand in"));
	slx_promql_result_free(r);
	/* Whole hours are answered as ever, though their samples are gone. */
	r = ask(&w, "max_over_time(m_total[1h])", BEGIN + HOUR, BEGIN + 6 * HOUR, HOUR, SLX_PROMQL_ROLLUPS_AUTO);
	for (size_t k = 0; k < 6; k++)
		assert_true(at(r, k) == (double)(k + 1) * 3600);
	assert_int_equal(r->n_infos, 0);
	slx_promql_result_free(r);
	r = ask(&w, "quantile_over_time(0.5, m_total[1h])", BEGIN + 2 * HOUR, BEGIN + 2 * HOUR, 0, SLX_PROMQL_ROLLUPS_AUTO);
	assert_true(fabs(at(r, 0) / 5400 - 1) < 0.0101);
	assert_true(has_info(r, "quantiles are right to 1 %"));
	slx_promql_result_free(r);
	world_free(&w);
}

/* A late sample into a window whose samples are gone leaves its bucket alone; a delete takes it. */
static void test_aged_windows_change(void **state)
{
	struct world w;
	silex_error err;
	silex_retention keep;
	(void)state;
	aged(&w);
	silex_retention_init(&keep); /* all is kept from now on, but what is gone is gone */
	must(silex_set_retention(w.db, &keep, &err), "retention", &err);
	put(&w, 0, (BEGIN + HOUR + 1) * SLX_MS, 1e6);
	must(silex_rollup_build(w.db, &err), "build", &err);
	must(silex_rollup_rebuild(w.db, NULL, BEGIN * SLX_MS, (BEGIN + 6 * HOUR) * SLX_MS, NULL, NULL, &err), "rebuild", &err);
	struct slx_promql_result *r = ask(&w, "count_over_time(m_total[1h])", BEGIN + 2 * HOUR, BEGIN + 3 * HOUR, HOUR, SLX_PROMQL_ROLLUPS_AUTO);
	assert_true(at(r, 0) == 360 && at(r, 1) == 360);
	slx_promql_result_free(r);
	must(silex_delete(w.db, NULL, "m_total", (BEGIN + HOUR + 60000) * SLX_MS, (BEGIN + HOUR + 70000) * SLX_MS, NULL, &err), "delete", &err);
	must(silex_rollup_build(w.db, &err), "build", &err);
	r = ask(&w, "count_over_time(m_total[1h])", BEGIN + 2 * HOUR, BEGIN + 3 * HOUR, HOUR, SLX_PROMQL_ROLLUPS_AUTO);
	assert_true(at(r, 0) == 1 && at(r, 1) == 360); /* of the hour, the late sample is what there is */
	slx_promql_result_free(r);
	world_free(&w);
}

static uint64_t seed_of_today(void)
{
	const char *given = getenv("SILEX_TEST_SEED");
	return given ? strtoull(given, NULL, 10) : 1;
}

static void test_same_answers(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++)
		run(seed_of_today() + i, false);
}

static void test_same_answers_of_some_series(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS / 3; i++)
		run(seed_of_today() + 1000 + i, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_same_answers_of_some_series),
		cmocka_unit_test(test_aged_instant),
		cmocka_unit_test(test_aged_ranges),
		cmocka_unit_test(test_aged_windows_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
