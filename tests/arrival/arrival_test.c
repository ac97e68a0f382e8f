/* Rules on arrival, through include/silex only. The clocks are the test's where times matter. */
#include "base/clock.h"
#include "base/vfs_sim.h"
#include "rules/watch/track_model.h"

#include <silex/rules.h>

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define S   INT64_C(1000000000)
#define NOW (INT64_C(1800000000) * S)

enum { HEARD_MAX = 4096 };

/* ---- a database with clocks of its own, and what it told ---- */

struct heard {
	uint64_t rule;
	silex_alert_state from, state;
	int64_t time, active;
	double value;
	char labels[200];
};

struct bed {
	char dir[64];
	struct slx_vfs_sim *sim; /* NULL: the system's files */
	silex_db *db;
	_Atomic int64_t wall, monotonic;
	pthread_mutex_t lock;
	struct heard heard[HEARD_MAX];
	size_t n;
};

static int64_t wall(void *ctx) { return atomic_load(&((struct bed *)ctx)->wall); }
static int64_t monotonic(void *ctx) { return atomic_load(&((struct bed *)ctx)->monotonic); }

static void pass(struct bed *b, int64_t ns)
{
	atomic_fetch_add(&b->wall, ns);
	atomic_fetch_add(&b->monotonic, ns);
}

static void on_alert(void *arg, const silex_alert *a)
{
	struct bed *b = arg;
	pthread_mutex_lock(&b->lock);
	assert_true(b->n < HEARD_MAX);
	struct heard *h = &b->heard[b->n++];
	*h = (struct heard){ a->rule_id, a->from, a->state, a->time, a->active, a->value, "" };
	for (size_t i = 0, at = 0; i < a->n_labels && at < sizeof h->labels; i++)
		at += (size_t)snprintf(h->labels + at, sizeof h->labels - at, "%s=%s;", a->labels[i].name, a->labels[i].value);
	pthread_mutex_unlock(&b->lock);
}

static void say(void *arg, int level, const char *message)
{
	if (level > 2)
		printf("log: %s\n", message);
}

static void bed_open(struct bed *b)
{
	silex_options o;
	silex_error err;
	silex_options_init(&o);
	o.no_background = true;
	o.sync = SILEX_SYNC_NEVER;
	o.log = say;
	o.env.clock = (silex_clock){ b, wall, monotonic };
	if (b->sim) {
		o.env.vfs = slx_vfs_sim_vfs(b->sim);
		o.sync = SILEX_SYNC_ALWAYS;
	}
	if (silex_open(b->dir, &o, &b->db, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	assert_int_equal(silex_rule_on_alert(b->db, on_alert, b, NULL), SILEX_OK);
}

static void bed_close(struct bed *b)
{
	assert_int_equal(silex_close(b->db, NULL), SILEX_OK);
	b->db = NULL;
}

static struct bed *bed_with(struct slx_vfs_sim *sim)
{
	struct bed *b = calloc(1, sizeof *b);
	b->sim = sim;
	strcpy(b->dir, sim ? "/db" : "/tmp/arrival-XXXXXX");
	if (!sim)
		assert_non_null(mkdtemp(b->dir));
	atomic_store(&b->wall, NOW);
	atomic_store(&b->monotonic, 1000 * S);
	pthread_mutex_init(&b->lock, NULL);
	bed_open(b);
	return b;
}

static struct bed *bed_new(void) { return bed_with(NULL); }

static void bed_free(struct bed *b)
{
	char command[100];
	if (b->db)
		bed_close(b);
	snprintf(command, sizeof command, "rm -rf %s", b->dir);
	if (!b->sim)
		assert_int_equal(system(command), 0);
	slx_vfs_sim_free(b->sim);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- doing ---- */

static uint64_t add(struct bed *b, const silex_rule *r)
{
	uint64_t id;
	silex_error err;
	if (silex_rule_register(b->db, NULL, r, &id, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	return id;
}

static silex_rule over(double limit)
{
	silex_rule r;
	silex_rule_init(&r);
	r.name = "over";
	r.selector = "hr{bed=~\".+\"}";
	r.condition = SILEX_RULE_GT;
	r.limit = limit;
	return r;
}

static silex_status try_put(struct bed *b, bool backfill, const char *bed, int64_t t, double v)
{
	silex_label labels[] = { { "__name__", "hr" }, { "bed", bed } };
	silex_row row = { labels, 2, t, silex_float(v) };
	return backfill ? silex_insert_backfill(b->db, NULL, &row, 1, NULL, NULL) : silex_insert_batch(b->db, NULL, &row, 1, NULL, NULL);
}

static void put_with(struct bed *b, bool backfill, const char *bed, int64_t t, double v) { assert_int_equal(try_put(b, backfill, bed, t, v), SILEX_OK); }

static void put(struct bed *b, const char *bed, int64_t t, double v) { put_with(b, false, bed, t, v); }

/* Waits until n changes were told in all; the last one. */
static struct heard wait_for(struct bed *b, size_t n)
{
	struct heard h = { 0 };
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&b->lock);
		bool there = b->n >= n;
		if (there)
			h = b->heard[n - 1];
		pthread_mutex_unlock(&b->lock);
		if (there)
			return h;
		usleep(5000);
	}
	fail_msg("%zu changes were told, %zu expected", b->n, n);
	return h;
}

/* How many changes were told; the last of them. */
static size_t told(struct bed *b, struct heard *ret_last)
{
	pthread_mutex_lock(&b->lock);
	size_t n = b->n;
	if (n && ret_last)
		*ret_last = b->heard[n - 1];
	pthread_mutex_unlock(&b->lock);
	return n;
}

/* Removing a rule waits for what is queued. */
static void settle(struct bed *b)
{
	silex_rule r = over(1e300);
	assert_int_equal(silex_rule_remove(b->db, NULL, add(b, &r), NULL), SILEX_OK);
}

/* Nothing more comes. */
static void expect(struct bed *b, size_t n)
{
	settle(b);
	assert_int_equal(told(b, NULL), n);
}

struct info {
	uint64_t n, id, series, pending, firing, samples, late, ignored, refused;
	char text[300];
};

static bool read_info(void *arg, const silex_rule_info *x)
{
	struct info *i = arg;
	*i = (struct info){ i->n + 1, x->id, x->series, x->pending, x->firing, x->samples, x->late, x->ignored, x->refused, "" };
	snprintf(i->text, sizeof i->text, "%s", x->text);
	return true;
}

static struct info info(struct bed *b)
{
	struct info i = { 0 };
	assert_int_equal(silex_rule_list(b->db, NULL, read_info, &i, NULL), SILEX_OK);
	return i;
}

/* ---- tests ---- */

static void test_fires_and_ends(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	silex_label more[] = { { "severity", "high" } };
	r.leave = 110;
	r.labels = more;
	r.n_labels = 1;
	uint64_t id = add(b, &r);
	assert_int_equal(id, 1);
	put(b, "4", NOW, 100);
	put(b, "4", NOW + S, 121);
	struct heard h = wait_for(b, 1);
	assert_int_equal(h.state, SILEX_ALERT_FIRING);
	assert_int_equal(h.from, SILEX_ALERT_INACTIVE);
	assert_int_equal(h.time, NOW + S);
	assert_int_equal(h.rule, id);
	assert_true(h.value == 121);
	assert_string_equal(h.labels, "alertname=over;bed=4;severity=high;");
	put(b, "4", NOW + 2 * S, 111);
	put(b, "5", NOW + 2 * S, 119);
	put(b, "4", NOW + 3 * S, 110);
	assert_int_equal(wait_for(b, 2).state, SILEX_ALERT_INACTIVE);
	struct info i = info(b);
	assert_int_equal(i.series, 2);
	assert_int_equal(i.samples, 5);
	assert_string_equal(i.text, "hr{bed=~\".+\"} > 120 until <= 110");
	bed_free(b);
}

static void test_delays(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	r.delay_on_ms = 10000;
	r.delay_off_ms = 5000;
	add(b, &r);
	put(b, "4", NOW, 130);
	assert_int_equal(wait_for(b, 1).state, SILEX_ALERT_PENDING);
	pass(b, 4 * S);
	put(b, "4", NOW + 4 * S, 131);
	pass(b, 7 * S); /* silence: the thread itself must find out. Its sleep was for real seconds: wake it by another series */
	put(b, "5", NOW + 11 * S, 1);
	settle(b);
	struct heard h = wait_for(b, 2);
	assert_int_equal(h.state, SILEX_ALERT_FIRING);
	assert_int_equal(h.time, NOW + 10 * S);
	assert_int_equal(h.active, NOW);
	put(b, "4", NOW + 11 * S, 1);
	expect(b, 2);
	put(b, "4", NOW + 16 * S, 1);
	assert_int_equal(wait_for(b, 3).time, NOW + 16 * S);
	bed_free(b);
}

static void test_past_pages_nobody(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120), window = over(100);
	window.input = SILEX_RULE_AVG;
	window.window_ms = 3600 * 1000;
	add(b, &r);
	add(b, &window);
	silex_label labels[] = { { "__name__", "hr" }, { "bed", "4" } };
	enum { ROWS = 365 * 24 };
	silex_row *rows = calloc(ROWS, sizeof *rows);
	for (int i = 0; i < ROWS; i++)
		rows[i] = (silex_row){ labels, 2, NOW - (int64_t)(ROWS - i) * 3600 * S, silex_float(200) };
	assert_int_equal(silex_insert_batch(b->db, NULL, rows, ROWS, NULL, NULL), SILEX_OK);
	for (int i = 0; i < 600; i++) /* up to now, and marked as such */
		put_with(b, true, "4", NOW - 600 * S + i * S, 200);
	expect(b, 0);
	assert_int_equal(info(b).ignored, ROWS + 600);
	bed_close(b); /* and after a restart */
	bed_open(b);
	expect(b, 0);
	put(b, "4", NOW + S, 50);
	put(b, "4", NOW + 2 * S, 121);
	wait_for(b, 1);
	free(rows);
	bed_free(b);
}

static void test_flush_keeps_watching(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	add(b, &r);
	put(b, "4", NOW, 100);
	assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
	put(b, "4", NOW + S, 121);
	put(b, "6", NOW + S, 122);
	wait_for(b, 2);
	assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
	put(b, "4", NOW + 2 * S, 1);
	wait_for(b, 3);
	assert_int_equal(info(b).series, 2);
	assert_int_equal(info(b).firing, 1);
	bed_free(b);
}

/* Series that went with a flush and do not matter any more are forgotten; their places are used again. */
static void test_gone_series(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	char bed[8];
	add(b, &r);
	for (int i = 0; i < 100; i++) {
		snprintf(bed, sizeof bed, "%d", i);
		put(b, bed, NOW, i ? 1 : 130);
	}
	wait_for(b, 1);
	assert_int_equal(info(b).series, 100);
	assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
	pass(b, 1000 * S);
	put(b, "new", NOW + 1000 * S, 1);
	settle(b);
	for (int i = 0; i < 1000 && info(b).series > 2; i++) {
		usleep(5000);
		settle(b);
	}
	assert_int_equal(info(b).series, 2); /* the new one, and the one whose alert fires */
	for (int i = 0; i < 100; i++) {
		snprintf(bed, sizeof bed, "%d", i);
		put(b, bed, NOW + 1000 * S, i == 99 ? 130 : 1);
	}
	wait_for(b, 3);
	assert_int_equal(info(b).series, 101);
	assert_int_equal(info(b).firing, 1);
	bed_free(b);
}

static void test_state_survives_restart(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	r.leave = 100;
	add(b, &r);
	put(b, "4", NOW, 130);
	wait_for(b, 1);
	for (int i = 1; i < 4; i++) {
		if (i == 2)
			assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
		bed_close(b);
		bed_open(b);
		put(b, "4", NOW + i * S, 110); /* still over what ends it */
		expect(b, 1);
		assert_int_equal(info(b).samples, 1);
		assert_int_equal(info(b).firing, 1);
	}
	put(b, "4", NOW + 9 * S, 90);
	assert_int_equal(wait_for(b, 2).state, SILEX_ALERT_INACTIVE);
	assert_true(info(b).id == 1);
	bed_free(b);
}

/* What was told is not told again, however long the server was away. */
static void test_restart_tells_nothing_anew(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	add(b, &r);
	put(b, "4", NOW, 130);
	put(b, "4", NOW + S, 1);
	put(b, "5", NOW + S, 130);
	wait_for(b, 3);
	for (int i = 0; i < 2; i++) {
		bed_close(b);
		pass(b, 3600 * S);
		bed_open(b);
		expect(b, 3);
		assert_int_equal(info(b).firing, 1);
	}
	bed_free(b);
}

static void test_clock_set_back(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	add(b, &r);
	put(b, "4", NOW, 100);
	atomic_fetch_sub(&b->wall, 3600 * S);
	put(b, "4", NOW - 3600 * S, 100);
	put(b, "4", NOW - 3599 * S, 121);
	wait_for(b, 1);
	atomic_fetch_sub(&b->wall, 60 * S); /* within max_lateness, too */
	put(b, "4", NOW - 3658 * S, 1);
	assert_int_equal(wait_for(b, 2).state, SILEX_ALERT_INACTIVE);
	bed_free(b);
}

static void test_missing(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	r.missing = SILEX_MISSING_FIRE;
	r.missing_after_ms = 60000;
	add(b, &r);
	put(b, "4", NOW, 100);
	pass(b, 61 * S);
	put(b, "5", NOW + 61 * S, 100);
	settle(b);
	struct heard h = wait_for(b, 1);
	assert_int_equal(h.state, SILEX_ALERT_FIRING);
	assert_int_equal(h.time, NOW + 60 * S);
	assert_true(isnan(h.value));
	put(b, "4", NOW + 62 * S, 100);
	assert_int_equal(wait_for(b, 2).state, SILEX_ALERT_INACTIVE);
	bed_free(b);
}

static void test_remove(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	silex_error err;
	uint64_t id = add(b, &r);
	put(b, "4", NOW, 130);
	wait_for(b, 1);
	assert_int_equal(silex_rule_remove(b->db, "other", id, &err), SILEX_NOT_FOUND);
	assert_int_equal(silex_rule_remove(b->db, NULL, id, &err), SILEX_OK);
	assert_int_equal(wait_for(b, 2).state, SILEX_ALERT_INACTIVE);
	assert_int_equal(silex_rule_remove(b->db, NULL, id, &err), SILEX_NOT_FOUND);
	assert_string_equal(err.message, "tenant default has no rule 1");
	put(b, "4", NOW + S, 140);
	bed_close(b);
	bed_open(b);
	assert_int_equal(info(b).n, 0);
	put(b, "4", NOW + 2 * S, 140);
	assert_true(add(b, &r) == 2); /* no number comes twice */
	assert_int_equal(told(b, NULL), 2);
	bed_free(b);
}

static void refused(struct bed *b, const silex_rule *r, const char *words)
{
	silex_error err = { 0 };
	uint64_t id;
	silex_status st = silex_rule_register(b->db, NULL, r, &id, &err);
	if (st == SILEX_OK || !strstr(err.message, words))
		fail_msg("status %d, \"%s\"; expected \"%s\"", st, err.message, words);
}

static void test_bad_rules(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120);
	r.name = "";
	refused(b, &r, "name: expected");
	r = over(NAN);
	refused(b, &r, "limit: expected a number");
	r = over(120);
	r.leave = 130;
	refused(b, &r, "leave: expected a number that is not above limit");
	r = over(120);
	r.selector = "hr{bed=4}";
	refused(b, &r, "column 8");
	r = over(120);
	r.input = SILEX_RULE_AVG;
	refused(b, &r, "window: expected");
	r = over(120);
	r.delay_on_ms = -1;
	refused(b, &r, "delay_on_ms");
	r = over(120);
	r.size = 3;
	refused(b, &r, "silex_rule_init");
	for (int i = 0; i < 20; i++) {
		char bed[8];
		snprintf(bed, sizeof bed, "%d", i);
		put(b, bed, NOW, 1);
	}
	r = over(120);
	r.series_max = 10;
	refused(b, &r, "it selects 20 series and the rule may watch 10");
	r.series_max = 20;
	add(b, &r);
	put(b, "20", NOW, 130); /* one more: not watched, and said */
	assert_int_equal(info(b).refused, 1);
	expect(b, 0);
	bed_free(b);
}

/* The process dies between samples and what they mean: after the restart it is told. */
static void test_kill(void **state)
{
	for (int round = 0; round < 8; round++) {
		struct bed *b = bed_new();
		silex_rule r = over(120);
		add(b, &r);
		put(b, "4", NOW, 100);
		bed_close(b);
		pid_t pid = fork();
		if (pid == 0) {
			bed_open(b);
			put(b, "4", NOW + S, 130);
			usleep((useconds_t)round * 150);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		bed_open(b);
		struct info i = info(b);
		assert_int_equal(i.firing, 1);
		put(b, "4", NOW + 2 * S, 1);
		struct heard h = { .state = SILEX_ALERT_FIRING };
		for (int k = 0; k < 1000 && (!told(b, &h) || h.state != SILEX_ALERT_INACTIVE); k++)
			usleep(5000);
		assert_int_equal(h.from, SILEX_ALERT_FIRING);
		bed_free(b);
	}
}

/* The disk is full: what cannot be made durable is told when there is room again, once. */
static void test_full_disk(void **state)
{
	struct bed *b = bed_with(slx_vfs_sim_new(1));
	silex_rule r = over(120);
	r.delay_on_ms = 10000;
	add(b, &r);
	put(b, "4", NOW, 130);
	assert_int_equal(wait_for(b, 1).state, SILEX_ALERT_PENDING);
	slx_vfs_sim_arm(b->sim, SLX_SIM_ENOSPC, 1);
	pass(b, 11 * S);
	for (int i = 0; i < 3; i++) /* refused, but some may be seen: the teller wakes and fails */
		assert_int_not_equal(try_put(b, false, "5", NOW + (11 + i) * S, 130), SILEX_OK);
	usleep(20000);
	assert_int_equal(told(b, NULL), 1);
	slx_vfs_sim_heal(b->sim);
	pass(b, 2 * S);
	struct heard h = { 0 };
	for (size_t n = 2; h.state != SILEX_ALERT_FIRING; n++)
		h = wait_for(b, n);
	assert_int_equal(h.time, NOW + 10 * S);
	put(b, "4", NOW + 13 * S, 1);
	bed_close(b);
	unsigned fired = 0;
	for (size_t i = 0; i < b->n; i++)
		fired += b->heard[i].state == SILEX_ALERT_FIRING;
	assert_int_equal(fired, 1);
	bed_free(b);
}

/* The power goes at each call of a write over the limit and of what it means: an acknowledged one is told of, then or after. */
static void test_power_cut(void **state)
{
	for (uint64_t at = 1; at <= 12; at++) {
		struct bed *b = bed_with(slx_vfs_sim_new(at));
		silex_rule r = over(120);
		add(b, &r);
		put(b, "4", NOW, 100);
		slx_vfs_sim_arm(b->sim, SLX_SIM_POWER_CUT, at);
		bool acknowledged = try_put(b, false, "4", NOW + S, 130) == SILEX_OK;
		usleep(3000);
		silex_close(b->db, NULL);
		slx_vfs_sim_reboot(b->sim, true);
		bed_open(b);
		struct info i = info(b);
		assert_int_equal(i.n, 1);
		if (acknowledged)
			assert_int_equal(i.firing, 1);
		put(b, "4", NOW + 2 * S, 1);
		settle(b);
		assert_int_equal(info(b).firing, 0);
		bed_free(b);
	}
}

/* ---- against the model of rules/watch, over flushes, restarts and deaths ---- */

static void restart(struct bed *b, bool dies)
{
	if (dies)
		slx_vfs_sim_arm(b->sim, SLX_SIM_KILL, 1);
	silex_close(b->db, NULL);
	slx_vfs_sim_reboot(b->sim, false);
	bed_open(b);
}

static silex_rule random_rule(uint64_t *rng, struct slx_track_rule *ret)
{
	silex_rule r = over(5);
	r.selector = "hr{bed=\"4\"}";
	r.leave = 5 - (double)(slx_rng_next(rng) % 3);
	r.delay_on_ms = (int64_t)(slx_rng_next(rng) % 3) * 4000;
	r.delay_off_ms = (int64_t)(slx_rng_next(rng) % 3) * 4000;
	r.input = slx_rng_next(rng) % 2 ? SILEX_RULE_MAX : SILEX_RULE_LAST;
	r.window_ms = r.input ? 6000 : 0;
	*ret = (struct slx_track_rule){
		.enter = { .lo = 5, .hi = INFINITY, .hi_in = true },
		.stay = { .lo = r.leave, .hi = INFINITY, .hi_in = true },
		.input = (enum slx_watch_input)r.input,
		.window_ns = r.window_ms * 1000000,
		.on_ns = r.delay_on_ms * 1000000,
		.off_ns = r.delay_off_ms * 1000000,
		.lateness_ns = 300 * S,
	};
	return r;
}

/* arrived: when the newest sample came; from then on a series' time goes on by the clock. */
static void check_model(struct bed *b, struct model *m, const struct slx_track_rule *r, int64_t arrived, uint64_t seed, int step)
{
	enum slx_alert_state want;
	settle(b);
	m->asof = m->newest + atomic_load(&b->wall) - arrived;
	want = model_state(m, r);
	struct info i = info(b);
	if (i.firing != (want == SLX_ALERT_FIRING) || i.pending != (want == SLX_ALERT_PENDING))
		fail_msg("seed %llu, step %d: %s, the model says %d", (unsigned long long)seed, step, i.firing ? "firing" : i.pending ? "pending" : "inactive", want);
}

static void one_life(uint64_t seed)
{
	uint64_t rng = seed;
	struct bed *b = bed_with(slx_vfs_sim_new(seed));
	struct slx_track_rule r;
	silex_rule rule = random_rule(&rng, &r);
	struct model *m = calloc(1, sizeof *m);
	int64_t since = NOW - S, arrived = NOW; /* since: the last start: late samples are of after it */
	add(b, &rule);
	for (int step = 0; step < 120; step++) {
		pass(b, (int64_t)(1 + slx_rng_next(&rng) % 3) * S);
		int64_t now = atomic_load(&b->wall), t = now;
		unsigned what = (unsigned)(slx_rng_next(&rng) % 16);
		if (what > 11 && now - since > 12 * S)
			t -= (int64_t)(slx_rng_next(&rng) % 10) * S;
		double v = (double)(slx_rng_next(&rng) % 9);
		put(b, "4", t, v);
		arrived = t > m->newest ? now : arrived;
		model_put(m, t, v);
		if (what == 0)
			assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
		if (what == 1 || what == 2) {
			check_model(b, m, &r, arrived, seed, step); /* what was told is in the journal */
			restart(b, what == 2);
			since = arrived = now;
		}
		if (what % 4 == 1)
			check_model(b, m, &r, arrived, seed, step);
	}
	check_model(b, m, &r, arrived, seed, -1);
	free(m);
	bed_free(b);
}

static void test_lives(void **state)
{
	const char *given = getenv("SLX_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
	printf("seeds from %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < (given ? 1 : 40); i++)
		one_life(seed + i);
}

/* ---- many at once ---- */

struct writer {
	struct bed *b;
	int number;
};

static void *write_much(void *arg)
{
	struct writer *w = arg;
	silex_series *series[8];
	for (int i = 0; i < 8; i++) {
		char name[16];
		snprintf(name, sizeof name, "w%d-%d", w->number, i);
		silex_label labels[] = { { "__name__", "hr" }, { "bed", name } };
		assert_int_equal(silex_series_open(w->b->db, NULL, labels, 2, &series[i], NULL), SILEX_OK);
	}
	for (int t = 0; t < 300; t++) {
		silex_point p[8];
		for (int i = 0; i < 8; i++) /* some come late */
			p[i] = (silex_point){ series[i], NOW + (t - (t % 7 == 3 ? 2 : 0)) * (S / 10), (t / 50) % 2 ? 130 : 100 };
		assert_int_equal(silex_append(w->b->db, p, 8, NULL), SILEX_OK);
	}
	for (int i = 0; i < 8; i++)
		silex_series_close(series[i]);
	return NULL;
}

static void test_together(void **state)
{
	struct bed *b = bed_new();
	silex_rule r = over(120), w = over(115);
	w.input = SILEX_RULE_AVG;
	w.window_ms = 500;
	add(b, &r);
	pthread_t threads[3];
	struct writer writers[3];
	for (int i = 0; i < 3; i++) {
		writers[i] = (struct writer){ b, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_much, &writers[i]), 0);
	}
	for (int i = 0; i < 10; i++) {
		uint64_t id = add(b, &w);
		info(b);
		if (i % 3 == 0)
			assert_int_equal(silex_checkpoint(b->db, NULL), SILEX_OK);
		assert_int_equal(silex_rule_remove(b->db, NULL, id, NULL), SILEX_OK);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	put(b, "last", NOW, 130);
	bed_close(b);
	size_t of_first[2] = { 0 };
	for (size_t i = 0; i < b->n; i++)
		if (b->heard[i].rule == 1)
			of_first[b->heard[i].state == SILEX_ALERT_FIRING]++;
	assert_true(of_first[1] >= 24 * 3 + 1); /* each series went over three times and ended over */
	assert_int_equal(of_first[1] - of_first[0], 25);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_and_ends),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_past_pages_nobody),
		cmocka_unit_test(test_flush_keeps_watching),
		cmocka_unit_test(test_gone_series),
		cmocka_unit_test(test_state_survives_restart),
		cmocka_unit_test(test_restart_tells_nothing_anew),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
