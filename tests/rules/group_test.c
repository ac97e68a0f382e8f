/* Groups with a clock of their own: the slots they are evaluated at, the states of alerts against a slow model under random results,
 * restarts and a clock that is set back; limits; late samples and replays against the evaluations that saw all samples in time. */
#include "api/api.h"
#include "base/clock.h"
#include "base/vfs_sim.h"
#include "rules/group/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define T0 (INT64_C(1700000000) * SLX_SECOND)

static _Atomic int64_t the_time;

static int64_t now_ns(void *ctx) { return the_time; }

struct db {
	struct slx_vfs_sim *vfs;
	silex_db *db;
	struct slx_rules *rules;
	struct slx_rule_file *file;
};

static struct slx_mem mem;

static void open_db(struct db *d, const char *text, int64_t max_lateness)
{
	silex_error err;
	silex_options o;
	silex_options_init(&o);
	o.no_background = true;
	o.env.vfs = d->vfs ? slx_vfs_sim_vfs(d->vfs) : NULL;
	o.env.clock = (silex_clock){ NULL, now_ns, now_ns };
	const struct slx_rule_env env = { .interval_ns = SLX_MINUTE, .max_lateness_ns = max_lateness };
	if (silex_open(d->vfs ? "/db" : NULL, &o, &d->db, &err) != SILEX_OK ||
	    slx_rules_new(slx_api_engine(d->db), slx_api_alerts(d->db), &d->rules, &err) != SILEX_OK ||
	    slx_rule_file_parse(&mem, "t.yml", text, strlen(text), false, &d->file, &err) != SILEX_OK ||
	    slx_rules_set(d->rules, &env, &(struct slx_rules_source){ SLX_STR("t"), d->file }, 1, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

static void close_db(struct db *d)
{
	slx_rules_stop(d->rules);
	slx_rules_free(d->rules);
	slx_rule_file_unref(d->file);
	silex_close(d->db, NULL);
}

static void put(struct db *d, const char *name, const char *host, int64_t t, double v)
{
	const silex_label l[] = { { "__name__", name }, { "host", host } };
	assert_int_equal(silex_insert(d->db, "t", l, 2, t, silex_float(v), NULL), SILEX_OK);
}

/* The value of an expression at a time, NaN for none, and how many series there are. */
static double ask(struct db *d, const char *expr, int64_t t, size_t *ret_n)
{
	struct slx_promql_expr *x;
	struct slx_promql_result *r;
	silex_error err;
	const struct slx_promql_options o = { .who = { .tenant = SLX_STR("t") }, .start_ms = t / SLX_MS, .end_ms = t / SLX_MS };
	if (slx_promql_parse(&mem, slx_str(expr), false, &x, &err) != SILEX_OK || slx_promql_run(slx_api_engine(d->db), x, &o, &r, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	double v = r->n ? r->series[0].points[0].v : (double)NAN;
	if (ret_n)
		*ret_n = r->n;
	slx_promql_result_free(r);
	slx_promql_free(x);
	return v;
}

static bool first(void *arg, struct slx_rule_group *g)
{
	*(struct slx_rule_group **)arg = g;
	return false;
}

static struct slx_rule_group *group(struct db *d)
{
	struct slx_rule_group *g = NULL;
	slx_rules_each(d->rules, SLX_STR("t"), first, &g);
	return g;
}

/* Goes on to the group's next slot and evaluates it. */
static int64_t step(struct db *d)
{
	int64_t slot = slx_rule_group_slot(group(d), the_time + 1);
	the_time = slot;
	assert_int_equal(slx_rules_tick(d->rules), 1);
	assert_int_equal(group(d)->evaluated_ns, slot);
	return slot;
}

/* ---- slots ---- */

static void test_slots(void **state)
{
	struct db d = { 0 };
	the_time = T0;
	open_db(&d, "groups: [{name: g, interval: 10s, rules: [{record: r, expr: vector(1)}]}]", 0);
	int64_t a = step(&d), b = step(&d);
	assert_int_equal(b - a, 10 * SLX_SECOND);
	assert_int_equal(slx_rules_tick(d.rules), 0); /* once a slot */
	the_time = b + 45 * SLX_SECOND;
	assert_int_equal(slx_rules_tick(d.rules), 2); /* the slot that was due, and the last one; those between are missed */
	assert_int_equal(group(&d)->missed, 2);
	assert_int_equal(group(&d)->evaluated_ns, b + 40 * SLX_SECOND);
	the_time = b - SLX_HOUR + SLX_SECOND; /* the clock is set back: it goes on from there */
	assert_int_equal(slx_rules_tick(d.rules), 0);
	the_time += 10 * SLX_SECOND;
	assert_int_equal(slx_rules_tick(d.rules), 1);
	assert_true(group(&d)->evaluated_ns <= the_time);
	close_db(&d);
}

/* ---- states against a model ---- */

struct model {
	enum { INACTIVE, PENDING, FIRING } state;
	int64_t active, keep;
};

enum { HOLD_MIN = 2, KEEP_MIN = 3, HOSTS = 3 };

static void model_step(struct model *m, bool holds, int64_t ts)
{
	if (holds) {
		m->keep = 0;
		if (m->state == INACTIVE || m->active > ts)
			m->active = ts;
		if (m->state != FIRING)
			m->state = ts - m->active >= HOLD_MIN * SLX_MINUTE ? FIRING : PENDING;
		return;
	}
	if (m->state == FIRING) {
		if (m->keep == 0 || m->keep > ts)
			m->keep = ts;
		if (ts - m->keep < KEEP_MIN * SLX_MINUTE)
			return;
	}
	m->state = INACTIVE;
}

static void check_model(struct db *d, const struct model *m, int64_t ts, uint64_t seed, int n)
{
	for (int h = 0; h < HOSTS; h++) {
		static const char *const names[] = { NULL, "pending", "firing" };
		char expr[100];
		size_t got[3];
		for (int s = PENDING; s <= FIRING; s++) {
			snprintf(expr, sizeof expr, "ALERTS{alertname=\"High\",host=\"h%d\",alertstate=\"%s\"}", h, names[s]);
			ask(d, expr, ts, &got[s]);
			if (got[s] != (size_t)((int)m[h].state == s))
				fail_msg("seed %llu, step %d, host %d: %s is %zu, expected state %d", (unsigned long long)seed, n, h, names[s], got[s], m[h].state);
		}
		snprintf(expr, sizeof expr, "ALERTS_FOR_STATE{alertname=\"High\",host=\"h%d\"}", h);
		double since = ask(d, expr, ts, NULL);
		if (m[h].state != INACTIVE && since != (double)(m[h].active / SLX_SECOND))
			fail_msg("seed %llu, step %d, host %d: since %f, expected %f", (unsigned long long)seed, n, h, since, (double)(m[h].active / SLX_SECOND));
	}
}

static void one_life(uint64_t seed)
{
	static const char text[] = "groups: [{name: g, rules: [{alert: High, expr: v > 0, for: 2m, keep_firing_for: 3m}]}]";
	struct db d = { .vfs = slx_vfs_sim_new(seed) };
	struct model m[HOSTS] = { { 0 } };
	uint64_t rng = seed;
	the_time = T0;
	open_db(&d, text, 0);
	for (int n = 0; n < 60; n++) {
		int64_t ts = slx_rule_group_slot(group(&d), the_time + 1);
		for (int h = 0; h < HOSTS; h++) {
			char host[8];
			bool holds = slx_rng_next(&rng) % 4 != 0;
			snprintf(host, sizeof host, "h%d", h);
			put(&d, "v", host, ts, holds ? 1 : 0);
			model_step(&m[h], holds, ts);
		}
		assert_int_equal(step(&d), ts);
		check_model(&d, m, ts, seed, n);
		if (slx_rng_next(&rng) % 8 == 0) { /* kill -9; what keeps an alert firing begins anew */
			slx_vfs_sim_arm(d.vfs, SLX_SIM_KILL, 1);
			close_db(&d);
			slx_vfs_sim_reboot(d.vfs, false);
			open_db(&d, text, 0);
			for (int h = 0; h < HOSTS; h++)
				m[h].keep = 0;
		}
	}
	close_db(&d);
	slx_vfs_sim_free(d.vfs);
}

static void test_states(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		one_life(seed);
}

/* A clock set back does not make a pending alert wait longer than it has to. */
static void test_clock_back(void **state)
{
	struct db d = { 0 };
	the_time = T0;
	open_db(&d, "groups: [{name: g, rules: [{alert: High, expr: vector(1), for: 2m}]}]", 0);
	step(&d);
	the_time -= SLX_HOUR;
	slx_rules_tick(d.rules); /* sees that the clock was set back */
	for (int i = 0; i < 4; i++) {
		the_time += SLX_MINUTE;
		slx_rules_tick(d.rules);
	}
	size_t n;
	ask(&d, "ALERTS{alertstate=\"firing\"}", the_time, &n);
	assert_int_equal(n, 1);
	close_db(&d);
}

/* ---- limits ---- */

static void test_limit(void **state)
{
	struct db d = { 0 };
	the_time = T0;
	open_db(&d, "groups: [{name: g, limit: 2, rules: [{alert: High, expr: v > 0}, {record: r, expr: v}]}]", 0);
	struct slx_rule_group *g = group(&d);
	int64_t ts = slx_rule_group_slot(g, the_time + 1);
	put(&d, "v", "a", ts, 1);
	put(&d, "v", "b", ts, 1);
	step(&d);
	assert_string_equal(g->rules[0].error, "");
	ts = slx_rule_group_slot(g, the_time + 1);
	put(&d, "v", "c", ts, 1);
	step(&d);
	assert_string_equal(g->rules[0].error, "exceeded limit of 2 with 3 alerts");
	assert_string_equal(g->rules[1].error, "exceeded limit of 2 with 3 series");
	assert_int_equal(g->rules[0].health, SLX_RULE_ERR);
	struct slx_alert_counts c;
	slx_alerts_count(slx_api_alerts(d.db), &c);
	assert_int_equal(c.firing, 0);
	close_db(&d);
}

/* ---- late samples, replays ---- */

static const char recording[] = "groups: [{name: g, rules: [{record: s, expr: 'sum by (host) (sum_over_time(v[3m]))'}, {record: twice, expr: s * 2},"
	"{alert: High, expr: s > 1000}]}]";

/* What the rules wrote in a range, as text. */
static void written(struct db *d, int64_t from, int64_t to, struct slx_buf *out)
{
	static const char *const names[] = { "s", "twice" };
	slx_buf_reset(out);
	for (int i = 0; i < 2; i++)
		for (int64_t t = from; t <= to; t += SLX_MINUTE)
			for (int h = 0; h < HOSTS; h++) {
				char expr[60], line[80];
				snprintf(expr, sizeof expr, "%s{host=\"h%d\"}", names[i], h);
				slx_buf_put(out, line, (size_t)snprintf(line, sizeof line, "%s %lld %.17g\n", expr, (long long)((t - from) / SLX_MINUTE), ask(d, expr, t, NULL)));
			}
}

struct sample {
	int host, minute;
	double v;
};

/* Samples in minutes 0..9 after the first slot; those of `late` come after the evaluation of minute 9. */
static void play(struct db *d, const struct sample *s, size_t n, bool late_ones_last, struct slx_buf *out)
{
	the_time = T0;
	open_db(d, recording, 20 * SLX_MINUTE);
	int64_t begin = step(d);
	for (int minute = 0; minute < 12; minute++) {
		for (size_t i = 0; i < n; i++) {
			char host[8];
			bool late = late_ones_last && i % 3 == 0;
			if (late ? minute == 10 && s[i].minute < 99 : s[i].minute == minute) {
				snprintf(host, sizeof host, "h%d", s[i].host);
				put(d, "v", host, begin + s[i].minute * SLX_MINUTE + 30 * SLX_SECOND, s[i].v);
			}
		}
		step(d);
	}
	written(d, begin + SLX_MINUTE, the_time, out);
}

static void test_late(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct sample s[30];
		struct slx_buf in_time, late;
		struct db a = { 0 }, b = { 0 };
		uint64_t rng = seed;
		for (size_t i = 0; i < 30; i++)
			s[i] = (struct sample){ (int)i % HOSTS, slx_rng_next(&rng) % 2 ? (int)i / HOSTS : 99, (double)(slx_rng_next(&rng) % 100) }; /* 99: never */
		slx_buf_init(&in_time, &mem, SLX_MEM_OTHER, 1 << 20);
		slx_buf_init(&late, &mem, SLX_MEM_OTHER, 1 << 20);
		play(&a, s, 30, false, &in_time);
		play(&b, s, 30, true, &late);
		slx_buf_u8(&in_time, 0);
		slx_buf_u8(&late, 0);
		print_message("seed %llu\n", (unsigned long long)seed);
		assert_int_equal(group(&a)->corrections, 0);
		assert_int_not_equal(group(&b)->corrections, 0);
		assert_string_equal((const char *)late.p, (const char *)in_time.p);
		slx_buf_free(&in_time);
		slx_buf_free(&late);
		close_db(&a);
		close_db(&b);
	}
}

/* A replay writes what live evaluations did, and changes no alert. */
static void test_replay(void **state)
{
	struct db live = { 0 }, past = { 0 };
	struct slx_buf a, b;
	slx_buf_init(&a, &mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 20);
	const struct sample s[] = { { 0, 0, 600 }, { 0, 1, 700 }, { 1, 2, 5 }, { 2, 7, 3 }, { 0, 8, 2 } };
	play(&live, s, 5, false, &a);
	the_time = T0;
	open_db(&past, recording, 0);
	int64_t begin = slx_rule_group_slot(group(&past), T0 + 1);
	for (size_t i = 0; i < 5; i++) {
		char host[8];
		snprintf(host, sizeof host, "h%d", s[i].host);
		put(&past, "v", host, begin + s[i].minute * SLX_MINUTE + 30 * SLX_SECOND, s[i].v);
	}
	uint64_t n;
	assert_int_equal(slx_rule_group_replay(group(&past), (struct slx_time_range){ begin, begin + 12 * SLX_MINUTE }, NULL, NULL, &n, NULL), SILEX_OK);
	written(&past, begin + SLX_MINUTE, begin + 12 * SLX_MINUTE, &b);
	slx_buf_u8(&a, 0);
	slx_buf_u8(&b, 0);
	assert_string_equal((const char *)b.p, (const char *)a.p);
	struct slx_alert_counts c;
	slx_alerts_count(slx_api_alerts(live.db), &c);
	assert_int_not_equal(c.changes, 0);
	slx_alerts_count(slx_api_alerts(past.db), &c);
	assert_int_equal(c.changes, 0);
	slx_buf_free(&a);
	slx_buf_free(&b);
	close_db(&live);
	close_db(&past);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_replay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
