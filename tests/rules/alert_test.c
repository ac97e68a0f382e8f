/* Alerts: changes told, kept over restarts and crashes, in order when the clock is not; history; notes; many threads. */
#include "api/api.h"
#include "base/vfs_sim.h"
#include "rules/alert/alert.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define T0 (INT64_C(1700000000) * SLX_SECOND)

struct clock {
	_Atomic int64_t now;
};

static int64_t now_ns(void *ctx) { return ((struct clock *)ctx)->now; }

struct db {
	struct clock clock;
	struct slx_vfs_sim *vfs;
	silex_db *db;
	struct slx_alerts *alerts;
	struct {
		enum slx_alert_state from, to;
		int64_t at;
		struct slx_hash128 id;
	} told[64];
	size_t n_told;
};

static void on_event(void *arg, const struct slx_alert_event *e)
{
	struct db *d = arg;
	d->told[d->n_told].from = e->from;
	d->told[d->n_told].to = e->alert.state;
	d->told[d->n_told].at = e->at_ns;
	d->told[d->n_told++].id = e->id;
}

static void open_db(struct db *d)
{
	silex_error err;
	silex_options o;
	silex_options_init(&o);
	o.no_background = true;
	o.env.vfs = d->vfs ? slx_vfs_sim_vfs(d->vfs) : NULL;
	o.env.clock = (silex_clock){ &d->clock, now_ns, now_ns };
	if (silex_open(d->vfs ? "/db" : NULL, &o, &d->db, &err) != SILEX_OK || slx_alerts_new(slx_api_engine(d->db), &d->alerts, &err) != SILEX_OK ||
	    slx_alerts_add_sink(d->alerts, on_event, d, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

static void close_db(struct db *d)
{
	slx_alerts_free(d->alerts);
	silex_close(d->db, NULL);
}

/* The process dies without a word, and starts again. */
static void kill_db(struct db *d)
{
	slx_vfs_sim_arm(d->vfs, SLX_SIM_KILL, 1);
	close_db(d);
	slx_vfs_sim_reboot(d->vfs, false);
	open_db(d);
}

static struct slx_alert_rule rule_of(uint64_t id)
{
	return (struct slx_alert_rule){ .id = id, .tenant = SLX_STR("t"), .group = SLX_STR("cpu.yml;cpu"), .name = SLX_STR("Hot"), .expr = SLX_STR("cpu > 90"),
		.interval_ns = SLX_MINUTE };
}

/* Labels in the canonical form; the builder lives as long as the process. */
static struct slx_labels labels(struct slx_labels_builder *b, const char *text)
{
	struct slx_labels l;
	assert_int_equal(slx_labels_parse_text(b, slx_str(text), &l, NULL), SILEX_OK);
	return l;
}

static silex_status change(struct db *d, const char *host, enum slx_alert_state to, int64_t at)
{
	struct slx_mem mem;
	struct slx_labels_builder b, c;
	struct slx_alert_rule rule = rule_of(7);
	char text[100];
	slx_mem_init(&mem, NULL);
	slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
	slx_labels_builder_init(&c, &mem, SLX_MEM_OTHER, NULL);
	snprintf(text, sizeof text, "{alertname=\"Hot\", host=\"%s\"}", host);
	const struct slx_alert_change x = { .rule = &rule, .labels = labels(&b, text), .annotations = labels(&c, "{summary=\"too hot\"}"), .to = to, .at_ns = at,
		.active_ns = T0, .value = 91.5 };
	silex_status status = slx_alerts_change(d->alerts, &x, 1, NULL);
	slx_labels_builder_free(&b);
	slx_labels_builder_free(&c);
	return status;
}

struct seen {
	unsigned n[3];
	struct slx_alert last;
	char annotations[200], labels[200], name[100];
};

static void put_text(struct slx_labels l, char *to, size_t size)
{
	struct slx_mem mem;
	struct slx_buf b;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, size);
	slx_labels_format(l, &b);
	snprintf(to, size, "%.*s", (int)b.n, (const char *)b.p);
	slx_buf_free(&b);
}

static bool see(void *arg, const struct slx_alert *x)
{
	struct seen *s = arg;
	s->n[x->state]++;
	s->last = *x;
	put_text(x->labels, s->labels, sizeof s->labels);
	put_text(x->annotations, s->annotations, sizeof s->annotations);
	snprintf(s->name, sizeof s->name, "%.*s", (int)x->rule->name.n, x->rule->name.p);
	return true;
}

static struct seen list(struct db *d)
{
	struct seen s = { 0 };
	slx_alerts_list(d->alerts, SLX_STR("t"), see, &s);
	return s;
}

static void test_life(void **state)
{
	struct db d = { .clock = { T0 }, .vfs = slx_vfs_sim_new(1) };
	open_db(&d);
	assert_int_equal(change(&d, "a", SLX_ALERT_PENDING, T0), SILEX_OK);
	assert_int_equal(list(&d).n[SLX_ALERT_PENDING], 1);
	assert_int_equal(change(&d, "a", SLX_ALERT_FIRING, T0 + SLX_MINUTE), SILEX_OK);
	struct seen s = list(&d);
	assert_int_equal(s.n[SLX_ALERT_FIRING], 1);
	assert_int_equal(s.last.active_ns, T0);
	assert_int_equal(s.last.fired_ns, T0 + SLX_MINUTE);

	kill_db(&d);
	s = list(&d);
	assert_int_equal(s.n[SLX_ALERT_FIRING], 1);
	assert_int_equal(s.last.active_ns, T0);
	assert_int_equal(s.last.fired_ns, T0 + SLX_MINUTE);
	assert_true(s.last.value == 91.5);
	assert_string_equal(s.labels, "{alertname=\"Hot\",host=\"a\"}");
	assert_string_equal(s.annotations, "{summary=\"too hot\"}");
	assert_string_equal(s.name, "Hot");

	d.clock.now = T0 + 2 * SLX_MINUTE;
	assert_int_equal(change(&d, "a", SLX_ALERT_INACTIVE, T0 + 2 * SLX_MINUTE), SILEX_OK);
	s = list(&d);
	assert_int_equal(s.n[SLX_ALERT_INACTIVE], 1); /* for those who tell of its end */
	assert_int_equal(s.last.resolved_ns, T0 + 2 * SLX_MINUTE);
	close_db(&d);
	open_db(&d);
	assert_int_equal(list(&d).n[SLX_ALERT_INACTIVE], 1);
	d.clock.now = T0 + 20 * SLX_MINUTE;
	assert_int_equal(list(&d).n[SLX_ALERT_INACTIVE], 0);
	assert_int_equal(d.n_told, 3);
	close_db(&d);
	slx_vfs_sim_free(d.vfs);
}

/* Journal entries go on in order though the clock went back; the last one is the state after a restart. */
static void test_clock_back(void **state)
{
	struct db d = { .clock = { T0 }, .vfs = slx_vfs_sim_new(2) };
	open_db(&d);
	assert_int_equal(change(&d, "a", SLX_ALERT_FIRING, T0), SILEX_OK);
	d.clock.now = T0 - SLX_HOUR;
	assert_int_equal(change(&d, "a", SLX_ALERT_INACTIVE, T0 - SLX_HOUR), SILEX_OK);
	assert_int_equal(change(&d, "a", SLX_ALERT_PENDING, T0 - SLX_HOUR), SILEX_OK);
	assert_int_equal(d.told[1].at, T0 + 1);
	assert_int_equal(d.told[2].at, T0 + 2);
	close_db(&d);
	open_db(&d);
	assert_int_equal(list(&d).n[SLX_ALERT_PENDING], 1);
	close_db(&d);
	slx_vfs_sim_free(d.vfs);
}

static bool count_event(void *arg, const struct slx_alert_event *e)
{
	struct db *d = arg;
	on_event(arg, e);
	assert_string_equal(slx_alert_state_name(e->alert.state), slx_alert_state_name(d->told[d->n_told - 1].to));
	return true;
}

static void test_history(void **state)
{
	struct db d = { .clock = { T0 } };
	open_db(&d);
	for (int i = 0; i < 4; i++) {
		change(&d, "a", SLX_ALERT_FIRING, T0 + 2 * i * SLX_MINUTE);
		change(&d, i & 1 ? "a" : "b", i & 1 ? SLX_ALERT_INACTIVE : SLX_ALERT_FIRING, T0 + (2 * i + 1) * SLX_MINUTE);
	}
	struct db all = { 0 }, one = { 0 }, few = { 0 };
	struct slx_selector sel = { 0 };
	assert_int_equal(slx_selector_parse(slx_engine_mem(slx_api_engine(d.db)), SLX_STR("{host=\"b\"}"), &sel, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_history(d.alerts, SLX_STR("t"), NULL, SLX_TIME_ALL, 0, count_event, &all, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_history(d.alerts, SLX_STR("t"), &sel, SLX_TIME_ALL, 0, count_event, &one, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_history(d.alerts, SLX_STR("t"), NULL, (struct slx_time_range){ T0, T0 + 2 * SLX_MINUTE }, 2, count_event, &few, NULL), SILEX_OK);
	assert_int_equal(all.n_told, 8);
	for (size_t i = 1; i < all.n_told; i++)
		assert_true(all.told[i].at < all.told[i - 1].at);
	for (size_t i = 0; i < all.n_told; i++) { /* the same ids as the sinks heard */
		assert_memory_equal(&all.told[i].id, &d.told[7 - i].id, sizeof all.told[i].id);
		assert_int_equal(all.told[i].from, d.told[7 - i].from);
	}
	assert_int_equal(one.n_told, 2);
	assert_int_equal(few.n_told, 2);
	assert_int_equal(few.told[0].at, T0 + 2 * SLX_MINUTE);
	slx_selector_free(&sel);
	close_db(&d);
}

/* A change that is not in the log did not happen: nobody is told, and it can be made again. */
static void test_write_fails(void **state)
{
	struct db d = { .clock = { T0 }, .vfs = slx_vfs_sim_new(3) };
	open_db(&d);
	assert_int_equal(change(&d, "a", SLX_ALERT_PENDING, T0), SILEX_OK);
	slx_vfs_sim_arm(d.vfs, SLX_SIM_ENOSPC, 1);
	assert_int_not_equal(change(&d, "a", SLX_ALERT_FIRING, T0 + 1), SILEX_OK);
	assert_int_equal(d.n_told, 1);
	assert_int_equal(list(&d).n[SLX_ALERT_PENDING], 1);
	struct slx_alert_counts counts;
	slx_alerts_count(d.alerts, &counts);
	assert_int_equal(counts.pending, 1);
	assert_int_equal(counts.failed, 1);
	close_db(&d);
	slx_vfs_sim_free(d.vfs);
}

static bool count_note(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	unsigned *n = arg;
	assert_true(slx_str_eq(tenant, SLX_STR("t")));
	assert_true(slx_str_eq(note->kind, SLX_STR("memo")));
	assert_true(slx_str_eq(note->bytes, SLX_STR("second")));
	++*n;
	return true;
}

static void test_notes(void **state)
{
	struct db d = { .clock = { T0 }, .vfs = slx_vfs_sim_new(4) };
	unsigned n = 0;
	open_db(&d);
	const struct slx_note notes[] = {
		{ SLX_STR("memo"), SLX_STR("1"), T0, SLX_STR("first") }, { SLX_STR("memo"), SLX_STR("2"), T0, SLX_STR("gone soon") },
		{ SLX_STR("memo"), SLX_STR("1"), T0 + 1, SLX_STR("second") }, { SLX_STR("memo"), SLX_STR("2"), T0 + 1, SLX_STR("") },
		{ SLX_STR("other"), SLX_STR("1"), T0 + 1, SLX_STR("third") },
	};
	assert_int_equal(slx_alerts_put_notes(d.alerts, SLX_STR("t"), notes, 5, NULL), SILEX_OK);
	kill_db(&d);
	assert_int_equal(slx_alerts_notes(d.alerts, SLX_STR("t"), SLX_STR("memo"), count_note, &n, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_notes(d.alerts, (struct slx_str){ 0 }, SLX_STR("memo"), count_note, &n, NULL), SILEX_OK);
	assert_int_equal(n, 2);
	assert_int_equal(list(&d).n[SLX_ALERT_FIRING], 0);
	close_db(&d);
	slx_vfs_sim_free(d.vfs);
}

/* ---- many threads: each with alerts of its own, while one lists ---- */

struct worker {
	struct db *d;
	unsigned number;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	char host[32];
	for (int i = 0; i < 200; i++) {
		snprintf(host, sizeof host, "%u-%d", w->number, i % 5);
		change(w->d, host, i % 2 ? SLX_ALERT_FIRING : SLX_ALERT_PENDING, T0 + i);
	}
	return NULL;
}

static void no_event(void *arg, const struct slx_alert_event *e) { atomic_fetch_add((_Atomic uint64_t *)arg, 1); }

static void test_threads(void **state)
{
	struct db d = { .clock = { T0 } };
	_Atomic uint64_t told = 0;
	silex_options o;
	struct worker w[4];
	pthread_t t[4];
	silex_options_init(&o);
	assert_int_equal(silex_open(NULL, &o, &d.db, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_new(slx_api_engine(d.db), &d.alerts, NULL), SILEX_OK);
	assert_int_equal(slx_alerts_add_sink(d.alerts, no_event, (void *)&told, NULL), SILEX_OK);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct worker){ &d, i };
		pthread_create(&t[i], NULL, work, &w[i]);
	}
	for (int i = 0; i < 50; i++)
		list(&d);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	struct seen s = list(&d);
	assert_int_equal(s.n[SLX_ALERT_PENDING] + s.n[SLX_ALERT_FIRING], 20);
	assert_int_equal(told, 800);
	close_db(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
