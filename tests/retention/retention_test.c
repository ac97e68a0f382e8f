/* Retention at the engine: what rules say and refuse, and that room comes back. */
#include "base/vfs_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <silex/retention.h>
#include <silex/rollup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SECOND = 1000000000, HOUR = 3600 * INT64_C(1000000000), DAY = 86400 * INT64_C(1000000000);

struct fixture {
	struct slx_vfs_sim *sim;
	silex_options opt;
	silex_db *db;
	int64_t now;
	silex_error err;
};

static int64_t now_of(void *ctx) { return ((struct fixture *)ctx)->now; }

#define OK(expr)                                                             \
	do {                                                                     \
		if ((expr) != SILEX_OK)                                              \
			fail_msg("line %d: %s", __LINE__, f->err.message);               \
	} while (0)

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->sim = slx_vfs_sim_new(7);
	f->now = 1000 * DAY;
	silex_options_init(&f->opt);
	f->opt.env.vfs = slx_vfs_sim_vfs(f->sim);
	f->opt.env.clock = (silex_clock){ f, now_of, now_of };
	f->opt.no_background = true;
	f->opt.sync = SILEX_SYNC_NEVER;
	OK(silex_open("db", &f->opt, &f->db, &f->err));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	silex_close(f->db, NULL);
	slx_vfs_sim_free(f->sim);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	OK(silex_close(f->db, &f->err));
	OK(silex_open("db", &f->opt, &f->db, &f->err));
}

static void set(struct fixture *f, const silex_retention_rule *rules, size_t n, uint64_t size_max)
{
	silex_retention r;
	silex_retention_init(&r);
	r.rules = rules;
	r.n_rules = n;
	r.size_max = size_max;
	OK(silex_set_retention(f->db, &r, &f->err));
}

/* n samples a second apart from `from` on. */
static void fill(struct fixture *f, const char *tenant, const char *name, int64_t from, size_t n)
{
	silex_label label = { "__name__", name };
	silex_series *s;
	int64_t *times = malloc(n * sizeof *times);
	silex_value *values = malloc(n * sizeof *values);
	for (size_t i = 0; i < n; i++) {
		times[i] = from + (int64_t)i * SECOND;
		values[i] = silex_float((double)((i * 2654435761u) % 1000));
	}
	OK(silex_series_open(f->db, tenant, &label, 1, &s, &f->err));
	OK(silex_append_values(s, times, values, n, &f->err));
	silex_series_close(s);
	free(times);
	free(values);
}

static uint64_t count(struct fixture *f, const char *tenant, const char *selector)
{
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	uint64_t n = 0;
	silex_query_init(&q);
	q.tenant = tenant;
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = INT64_MIN;
	q.end = INT64_MAX;
	OK(silex_query_run(f->db, &q, &c, &f->err));
	for (;;) {
		OK(silex_cursor_next(c, &b, &f->err));
		if (b.n == 0)
			break;
		n += b.n;
	}
	silex_cursor_close(c);
	return n;
}

static silex_metrics metrics(struct fixture *f)
{
	silex_metrics m = { .size = sizeof m };
	OK(silex_get_metrics(f->db, &m, &f->err));
	return m;
}

struct rows {
	silex_expired v[8];
	char selector[8][32];
	int n;
};

static bool add_row(void *arg, const silex_expired *x)
{
	struct rows *r = arg;
	snprintf(r->selector[r->n], 32, "%s", x->selector);
	r->v[r->n++] = *x;
	return r->n < 8;
}

/* --- tests --------------------------------------------------------------------------------------------------------------- */

static void test_rules_persist(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = {
		{ .tenant = "ward", .selector = "hr{bed=~\"1.*\"}", .keep_ms = 86400000 },
		{ .rollup = "1h", .keep_ms = 5000 },
		{ .tenant = "ward", .hold = "case 12/26" },
	};
	const silex_dedup dedup[] = { { "ward", 30000 }, { NULL, 15000 } };
	silex_retention r, *got;
	OK(silex_get_retention(f->db, &got, &f->err));
	assert_int_equal(got->n_rules, 0);
	silex_retention_free(f->db, got);
	silex_retention_init(&r);
	r.rules = rules;
	r.n_rules = 3;
	r.dedup = dedup;
	r.n_dedup = 2;
	r.size_max = 12345678;
	OK(silex_set_retention(f->db, &r, &f->err));
	reopen(f);
	OK(silex_get_retention(f->db, &got, &f->err));
	assert_int_equal(got->n_rules, 3);
	assert_string_equal(got->rules[0].tenant, "ward");
	assert_string_equal(got->rules[0].selector, "hr{bed=~\"1.*\"}");
	assert_int_equal(got->rules[0].keep_ms, 86400000);
	assert_null(got->rules[1].tenant);
	assert_string_equal(got->rules[1].rollup, "1h");
	assert_string_equal(got->rules[2].hold, "case 12/26");
	assert_int_equal(got->n_dedup, 2);
	assert_string_equal(got->dedup[0].tenant, "ward");
	assert_int_equal(got->dedup[1].interval_ms, 15000);
	assert_int_equal(got->size_max, 12345678);
	assert_string_equal(got->origin, "api");
	silex_retention_free(f->db, got);
}

static void refused(struct fixture *f, silex_retention_rule rule, const char *words)
{
	silex_retention_rule rules[2] = { { .keep_ms = 1000 }, rule };
	silex_retention r;
	silex_retention_init(&r);
	r.rules = rules;
	r.n_rules = 2;
	assert_int_equal(silex_set_retention(f->db, &r, &f->err), SILEX_INVALID);
	assert_non_null(strstr(f->err.message, "rule 2"));
	if (!strstr(f->err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", f->err.message, words);
}

static void test_bad_rules(void **state)
{
	struct fixture *f = *state;
	refused(f, (silex_retention_rule){ .selector = "hr{" }, "column");
	refused(f, (silex_retention_rule){ .tenant = "a/b" }, "tenant");
	refused(f, (silex_retention_rule){ .keep_ms = -5 }, "-5 ms");
	refused(f, (silex_retention_rule){ .hold = "x", .keep_ms = 5 }, "hold");
	refused(f, (silex_retention_rule){ .rollup = "1 h" }, "rollup \"1 h\"");
	silex_retention r = { .size = 3 };
	assert_int_equal(silex_set_retention(f->db, &r, &f->err), SILEX_INVALID);
}

/* The first rule that fits counts; a write past it is refused by itself, and counted. */
static void test_writes(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .selector = "slow", .keep_ms = 10 * 86400000LL }, { .keep_ms = 86400000 } };
	set(f, rules, 2, 0);
	silex_label slow = { "__name__", "slow" }, fast = { "__name__", "fast" };
	silex_row rows[] = {
		{ &fast, 1, f->now - 2 * DAY, silex_float(1) },
		{ &slow, 1, f->now - 2 * DAY, silex_float(2) },
		{ &slow, 1, f->now - 11 * DAY, silex_float(3) },
		{ &fast, 1, f->now - HOUR, silex_float(4) },
		{ &fast, 1, f->now + HOUR, silex_float(5) },
	};
	silex_batch_result result;
	OK(silex_insert_batch(f->db, NULL, rows, 5, &result, &f->err));
	assert_int_equal(result.accepted, 3);
	assert_int_equal(result.refused, 2);
	assert_int_equal(result.first_refused, 0);
	assert_int_equal(result.error.code, SILEX_INVALID);
	assert_non_null(strstr(result.error.message, "older than the retention"));
	assert_non_null(strstr(result.error.message, "1d"));
	assert_int_equal(metrics(f).points_expired, 2);
	OK(silex_insert_batch(f->db, "other", rows, 5, &result, &f->err)); /* every tenant */
	assert_int_equal(result.accepted, 3);
	assert_int_equal(count(f, NULL, ""), 3);
	f->now += 2 * HOUR;
	assert_int_equal(count(f, NULL, ""), 3);
	f->now += DAY;
	assert_int_equal(count(f, NULL, ""), 1); /* at once, still in the head */
	f->now -= 5 * DAY; /* a clock set back loses nothing */
	assert_int_equal(count(f, NULL, ""), 3);
}

static void test_runs(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .keep_ms = 3600000 } };
	silex_label label = { "__name__", "hr" };
	silex_series *s;
	int64_t times[] = { f->now - 2 * HOUR, f->now - SECOND, f->now - 3 * HOUR, f->now };
	silex_value values[] = { silex_float(1), silex_float(2), silex_float(3), silex_float(4) };
	set(f, rules, 1, 0);
	OK(silex_series_open(f->db, NULL, &label, 1, &s, &f->err));
	assert_int_equal(silex_append_values(s, times, values, 4, &f->err), SILEX_INVALID);
	silex_series_close(s);
	assert_int_equal(count(f, NULL, "hr"), 2);
}

/* Blocks go whole, parts at compaction; the directory shrinks. */
static void test_room_comes_back(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .selector = "debug", .keep_ms = 3600000 }, { .keep_ms = 10 * 86400000LL } };
	for (int day = 20; day > 0; day--)
		fill(f, NULL, "hr", f->now - day * DAY, 20000);
	fill(f, NULL, "debug", f->now - DAY, 80000);
	OK(silex_checkpoint(f->db, &f->err));
	OK(silex_compact(f->db, NULL, &f->err));
	silex_metrics before = metrics(f);
	set(f, rules, 2, 0);
	assert_int_equal(count(f, NULL, "hr"), 10 * 20000);
	assert_int_equal(count(f, NULL, "debug"), 0);
	OK(silex_compact(f->db, NULL, &f->err));
	silex_metrics after = metrics(f);
	assert_int_equal(count(f, NULL, "hr"), 10 * 20000);
	assert_int_equal(after.points_blocks, 10 * 20000);
	assert_true(after.bytes_blocks < before.bytes_blocks / 2);
	assert_true(after.expired_bytes > 0);
	f->now += 30 * DAY;
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(metrics(f).blocks, 0);
	assert_int_equal(metrics(f).bytes_blocks, 0);
}

static void test_dry_run(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .selector = "debug", .keep_ms = 3600000 }, { .keep_ms = 10 * 86400000LL } };
	struct rows r = { .n = 0 };
	fill(f, NULL, "hr", f->now - 20 * DAY, 5000);
	fill(f, NULL, "debug", f->now - DAY, 80000);
	OK(silex_checkpoint(f->db, &f->err));
	fill(f, NULL, "debug", f->now - 2 * HOUR, 7000); /* overwrites */
	set(f, rules, 2, 0);
	uint64_t bytes = metrics(f).bytes_blocks;
	OK(silex_apply_retention(f->db, true, add_row, NULL, &r, &f->err));
	assert_int_equal(r.n, 2);
	assert_string_equal(r.selector[0], "debug");
	assert_int_equal(r.v[0].series, 1);
	assert_int_equal(r.v[0].points, 86400 - 3600); /* distinct ones */
	assert_int_equal(r.v[0].first, f->now - DAY);
	assert_int_equal(r.v[0].last, f->now - HOUR - SECOND);
	assert_true(r.v[0].bytes > 1000);
	assert_int_equal(r.v[1].points, 5000);
	assert_int_equal(metrics(f).bytes_blocks, bytes);
	uint64_t told = r.v[0].points + r.v[1].points;
	r.n = 0;
	OK(silex_apply_retention(f->db, false, add_row, NULL, &r, &f->err));
	assert_int_equal(r.v[0].points + r.v[1].points, told);
	r.n = 0;
	OK(silex_apply_retention(f->db, true, add_row, NULL, &r, &f->err));
	assert_int_equal(r.n, 0);
	assert_int_equal(metrics(f).points_blocks, count(f, NULL, ""));
}

static void test_hold(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .keep_ms = 3600000 }, { .selector = "evidence", .hold = "case 12/26" } };
	uint64_t n;
	fill(f, NULL, "evidence", f->now - 9 * DAY, 5000);
	fill(f, NULL, "other", f->now - 9 * DAY, 5000);
	set(f, rules, 2, 1); /* not even one byte may stay */
	OK(silex_checkpoint(f->db, &f->err));
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(count(f, NULL, ""), 5000);
	assert_int_equal(metrics(f).points_blocks, 5000);
	assert_int_equal(silex_delete(f->db, NULL, "evidence", 0, f->now, &n, &f->err), SILEX_PERMISSION_DENIED);
	assert_non_null(strstr(f->err.message, "case 12/26"));
	assert_int_equal(silex_drop_tenant(f->db, NULL, &f->err), SILEX_PERMISSION_DENIED);
	assert_int_equal(silex_cleanup(f->db, "*", f->now, &n, &f->err), SILEX_PERMISSION_DENIED);
	OK(silex_delete(f->db, NULL, "evidence", 0, f->now - 10 * DAY, &n, &f->err)); /* takes nothing that is held */
	OK(silex_delete(f->db, NULL, "other", 0, f->now, &n, &f->err));
	set(f, rules, 1, 0);
	assert_int_equal(count(f, NULL, ""), 0);
	OK(silex_delete(f->db, NULL, "evidence", 0, f->now, &n, &f->err));
}

static void test_by_size(void **state)
{
	struct fixture *f = *state;
	for (int day = 30; day > 0; day--) {
		fill(f, NULL, "hr", f->now - day * DAY, 20000);
		if (day % 5 == 1)
			OK(silex_checkpoint(f->db, &f->err));
	}
	uint64_t bytes = metrics(f).bytes_blocks;
	set(f, NULL, 0, bytes / 3);
	struct rows r = { .n = 0 };
	OK(silex_apply_retention(f->db, true, add_row, NULL, &r, &f->err));
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].keep_ms, 0);
	assert_true(r.v[0].bytes == bytes - bytes / 3 && r.v[0].points > 20000 * 30 / 2 && r.v[0].points < 20000 * 30);
	OK(silex_compact(f->db, NULL, &f->err));
	silex_metrics m = metrics(f);
	assert_true(m.bytes_blocks <= bytes / 3);
	assert_true(m.bytes_blocks > bytes / 6);
	silex_series_info info;
	silex_label label = { "__name__", "hr" };
	OK(silex_series_info_get(f->db, NULL, &label, 1, &info, &f->err));
	assert_int_equal(info.last_time, f->now - DAY + 19999 * SECOND); /* the oldest went */
	assert_true(info.first_time > f->now - 16 * DAY);
	reopen(f);
	assert_int_equal(metrics(f).bytes_blocks, m.bytes_blocks);
}

/* One large block: its oldest part goes. */
static void test_by_size_in_part(void **state)
{
	struct fixture *f = *state;
	fill(f, NULL, "hr", f->now - DAY, 86000);
	OK(silex_checkpoint(f->db, &f->err));
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = true;
	OK(silex_compact(f->db, &o, &f->err));
	uint64_t bytes = metrics(f).bytes_blocks;
	set(f, NULL, 0, bytes * 3 / 4);
	OK(silex_compact(f->db, NULL, &f->err));
	uint64_t n = count(f, NULL, "hr");
	assert_true(metrics(f).bytes_blocks <= bytes * 3 / 4);
	assert_true(n > 86000 / 2 && n < 86000 * 4 / 5);
}

/* What roll-ups are still to be made of waits on disk, out of sight. */
static void test_waits_for_rollups(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .keep_ms = 10 * 86400000LL } };
	const int64_t hour = 3600000;
	fill(f, NULL, "hr", f->now - 20 * DAY, 5000);
	OK(silex_checkpoint(f->db, &f->err));
	OK(silex_rollup_set(f->db, NULL, "", &hour, 1, &f->err));
	set(f, rules, 1, 0);
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(count(f, NULL, "hr"), 0);
	assert_int_equal(metrics(f).points_blocks, 5000);
	OK(silex_rollup_build(f->db, &f->err));
	OK(silex_compact(f->db, NULL, &f->err)); /* they are in the head: a crash could take the mark back */
	assert_int_equal(metrics(f).points_blocks, 5000);
	OK(silex_checkpoint(f->db, &f->err));
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(metrics(f).points_blocks, 0);
}

/* Blocks in a cold store go whole; in part they stay, out of sight. */
static void test_cold(void **state)
{
	struct fixture *f = *state;
	static const int days[] = { 3000, 2000, 1200, 2 }; /* nothing that compaction would merge */
	const silex_retention_rule rules[] = { { .keep_ms = 1500 * 86400000LL } };
	const silex_store_config archive = { .struct_size = sizeof archive, .name = "archive", .url = "folder:/archive" };
	silex_tier_options move;
	silex_tier_report report;
	f->opt.stores = &archive;
	f->opt.n_stores = 1;
	snprintf(f->opt.cold_store, sizeof f->opt.cold_store, "archive");
	f->opt.cold_after_ms = 5 * 86400000LL;
	f->now = 10000 * DAY;
	reopen(f);
	for (int i = 0; i < 4; i++) {
		fill(f, NULL, "hr", f->now - days[i] * DAY, 2000);
		OK(silex_checkpoint(f->db, &f->err));
	}
	silex_tier_options_init(&move);
	OK(silex_tier_move(f->db, &move, &report, &f->err));
	assert_int_equal(report.blocks, 3);
	set(f, rules, 1, 0);
	assert_int_equal(count(f, NULL, "hr"), 4000);
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(metrics(f).points_blocks, 4000);
	assert_int_equal(metrics(f).expired_blocks, 2);
	move.remove_now = true;
	OK(silex_tier_move(f->db, &move, &report, &f->err));
	assert_int_equal(report.removed, 2);
	f->now += 300 * DAY + 1000 * SECOND; /* half of the cold block */
	assert_int_equal(count(f, NULL, "hr"), 3000);
	OK(silex_apply_retention(f->db, false, NULL, NULL, NULL, &f->err));
	assert_int_equal(metrics(f).points_blocks, 4000);
	reopen(f);
	assert_int_equal(count(f, NULL, "hr"), 3000);
}

/* Labels and extent follow too. */
static void test_labels(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .keep_ms = 3600000 } };
	silex_series_info info;
	silex_label label = { "__name__", "old" };
	fill(f, NULL, "old", f->now - DAY, 100);
	fill(f, NULL, "new", f->now - 200 * SECOND, 100);
	OK(silex_checkpoint(f->db, &f->err));
	set(f, rules, 1, 0);
	assert_int_equal(silex_series_info_get(f->db, NULL, &label, 1, &info, &f->err), SILEX_NOT_FOUND);
}

/* What one run with a fault at call `at` of the work of retention leaves: nothing that is kept is lost, whatever fails or is cut.
 * Returns whether the fault happened. */
static bool run_with_fault(enum slx_sim_fault fault, uint64_t at)
{
	const silex_retention_rule rules[] = { { .selector = "debug", .keep_ms = 3600000 }, { .keep_ms = 10 * 86400000LL } };
	void *state;
	struct fixture *f;
	set_up(&state);
	f = state;
	f->opt.sync = SILEX_SYNC_ALWAYS;
	reopen(f);
	for (int day = 16; day > 0; day -= 5) {
		fill(f, NULL, "hr", f->now - day * DAY, 500);
		fill(f, NULL, "debug", f->now - day * DAY, 300);
		OK(silex_checkpoint(f->db, &f->err));
	}
	fill(f, NULL, "debug", f->now - HOUR / 2, 100);
	slx_vfs_sim_arm(f->sim, fault, at);
	silex_retention r;
	silex_retention_init(&r);
	r.rules = rules;
	r.n_rules = 2;
	bool set = silex_set_retention(f->db, &r, &f->err) == SILEX_OK;
	silex_compact(f->db, NULL, &f->err);
	silex_apply_retention(f->db, false, NULL, NULL, NULL, &f->err);
	bool fired = slx_vfs_sim_fired(f->sim);
	slx_vfs_sim_heal(f->sim);
	if (fault == SLX_SIM_KILL || fault == SLX_SIM_POWER_CUT)
		slx_vfs_sim_reboot(f->sim, fault == SLX_SIM_POWER_CUT);
	silex_close(f->db, NULL);
	OK(silex_open("db", &f->opt, &f->db, &f->err));
	uint64_t hr = count(f, NULL, "hr"), debug = count(f, NULL, "debug");
	if (set ? hr != 1000 || debug != 100 : hr < 1000 || debug < 100) /* rules that failed to be set may hold all the same */
		fail_msg("fault %d at call %llu (%s): %llu and %llu samples are left", fault, (unsigned long long)at, slx_vfs_sim_fired_at(f->sim),
			(unsigned long long)hr, (unsigned long long)debug);
	OK(silex_set_retention(f->db, &r, &f->err));
	OK(silex_apply_retention(f->db, false, NULL, NULL, NULL, &f->err));
	assert_int_equal(metrics(f).points_blocks, 1100);
	assert_int_equal(count(f, NULL, ""), 1100);
	tear_down(&state);
	return fired;
}

static void test_faults(void **state)
{
	static const enum slx_sim_fault faults[] = { SLX_SIM_EIO, SLX_SIM_ENOSPC, SLX_SIM_SHORT, SLX_SIM_SYNC_FAILS, SLX_SIM_KILL, SLX_SIM_POWER_CUT };
	uint64_t runs = 0;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		for (uint64_t at = 1; run_with_fault(faults[i], at); at++)
			runs++;
	assert_true(runs > 200);
}

/* Times and values of a range, as text. */
static void read_range(struct fixture *f, int64_t from, int64_t to, char *ret, size_t size)
{
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	size_t n = 0;
	silex_query_init(&q);
	q.start = from;
	q.end = to;
	OK(silex_query_run(f->db, &q, &c, &f->err));
	for (*ret = 0;;) {
		OK(silex_cursor_next(c, &b, &f->err));
		if (b.n == 0)
			break;
		for (size_t i = 0; i < b.n; i++)
			n += (size_t)snprintf(ret + n, size - n, "%lld=%g ", (long long)(b.times[i] / SECOND), b.values[i]);
	}
	silex_cursor_close(c);
}

/* A pair of agents, seven seconds apart. */
static void test_dedup(void **state)
{
	struct fixture *f = *state;
	const silex_dedup dedup = { NULL, 15000 };
	silex_label label = { "__name__", "up" };
	silex_retention r;
	char before[512], after[512];
	for (int replica = 0; replica < 2; replica++) {
		for (int i = 0; i < 5000; i++)
			OK(silex_insert(f->db, NULL, &label, 1, (i * 15 + 1 + replica * 7) * SECOND, silex_float(i * 10 + replica), &f->err));
		OK(silex_checkpoint(f->db, &f->err));
	}
	silex_retention_init(&r);
	r.dedup = &dedup;
	r.n_dedup = 1;
	OK(silex_set_retention(f->db, &r, &f->err));
	read_range(f, 0, 60 * SECOND, before, sizeof before);
	assert_string_equal(before, "8=1 23=11 38=21 53=31 ");
	read_range(f, 20 * SECOND, 40 * SECOND, before, sizeof before);
	assert_string_equal(before, "23=11 38=21 ");
	read_range(f, 16 * SECOND, 22 * SECOND, before, sizeof before); /* 16 is there, but 23 is the one of its interval */
	assert_string_equal(before, "");
	assert_int_equal(count(f, NULL, "up"), 5000);
	read_range(f, 0, 300 * SECOND, before, sizeof before);
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = true;
	OK(silex_compact(f->db, &o, &f->err));
	assert_int_equal(metrics(f).points_blocks, 5000);
	read_range(f, 0, 300 * SECOND, after, sizeof after);
	assert_string_equal(before, after);
	uint64_t n;
	OK(silex_insert(f->db, NULL, &label, 1, 2 * SECOND, silex_float(5), &f->err)); /* late, and not the latest */
	OK(silex_delete(f->db, NULL, "up", 8 * SECOND, 8 * SECOND, &n, &f->err));
	assert_int_equal(n, 1);
	read_range(f, 0, 25 * SECOND, after, sizeof after);
	assert_string_equal(after, "23=11 ");
}

/* Little free: writes wait, the rest goes on, and it ends by itself. */
static void test_little_room(void **state)
{
	struct fixture *f = *state;
	const silex_retention_rule rules[] = { { .keep_ms = 3600000 } };
	const uint64_t disk = UINT64_C(1) << 40;
	silex_label label = { "__name__", "hr" };
	uint64_t n;
	fill(f, NULL, "hr", f->now - 5000 * SECOND, 5000);
	slx_vfs_sim_set_free(f->sim, disk / 100 * 12);
	OK(silex_checkpoint(f->db, &f->err));
	silex_metrics m = metrics(f);
	assert_true(m.healthy);
	assert_non_null(strstr(m.health, "12.0 %"));
	OK(silex_insert(f->db, NULL, &label, 1, f->now, silex_float(1), &f->err));
	slx_vfs_sim_set_free(f->sim, disk / 100 * 4);
	OK(silex_checkpoint(f->db, &f->err)); /* flushes all the same */
	m = metrics(f);
	assert_true(m.writes_refused && !m.healthy);
	assert_true(m.disk_free == disk / 100 * 4 && m.disk_mark == disk / 100 * 5);
	assert_int_equal(silex_insert(f->db, NULL, &label, 1, f->now + 1, silex_float(1), &f->err), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(f->err.message, "disk"));
	assert_int_equal(count(f, NULL, "hr"), 5001);
	OK(silex_delete(f->db, NULL, "hr", f->now, f->now, &n, &f->err));
	assert_int_equal(n, 1);
	set(f, rules, 1, 0);
	OK(silex_compact(f->db, NULL, &f->err));
	assert_int_equal(count(f, NULL, "hr"), 3600);
	slx_vfs_sim_set_free(f->sim, disk / 100 * 5 + (1 << 20)); /* a little above is not yet enough */
	assert_int_equal(silex_insert(f->db, NULL, &label, 1, f->now + 1, silex_float(1), &f->err), SILEX_RESOURCE_EXHAUSTED);
	slx_vfs_sim_set_free(f->sim, disk / 100 * 50);
	OK(silex_insert(f->db, NULL, &label, 1, f->now + 1, silex_float(1), &f->err));
	assert_string_equal(metrics(f).health, "ok");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_rules_persist),
		T(test_bad_rules),
		T(test_writes),
		T(test_runs),
		T(test_room_comes_back),
		T(test_dry_run),
		T(test_hold),
		T(test_by_size),
		T(test_by_size_in_part),
		T(test_waits_for_rollups),
		T(test_cold),
		T(test_labels),
		T(test_dedup),
		T(test_little_room),
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
