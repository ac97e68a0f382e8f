/* Acknowledgements and silences by the C API: what holds when, over a restart, and what is refused. */
#include "base/vfs_sim.h"
#include "model/time.h"

#include <silex/alerts.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define T0 INT64_C(1700000000000) /* ms */

struct bench {
	int64_t now_ms;
	struct slx_vfs_sim *vfs;
	silex_db *db;
	silex_error err;
};

static int64_t now_ns(void *ctx) { return ((struct bench *)ctx)->now_ms * SLX_MS; }

static void open_db(struct bench *b)
{
	silex_options o;
	silex_options_init(&o);
	o.no_background = true;
	o.time_unit = SILEX_MS;
	o.env.vfs = slx_vfs_sim_vfs(b->vfs);
	o.env.clock = (silex_clock){ b, now_ns, now_ns };
	if (silex_open("/db", &o, &b->db, &b->err) != SILEX_OK)
		fail_msg("%s", b->err.message);
}

static void kill_db(struct bench *b)
{
	slx_vfs_sim_arm(b->vfs, SLX_SIM_KILL, 1);
	silex_close(b->db, NULL);
	slx_vfs_sim_reboot(b->vfs, false);
	open_db(b);
}

static void ok(struct bench *b, silex_status st)
{
	if (st != SILEX_OK)
		fail_msg("%s", b->err.message);
}

static void write_hr(struct bench *b, const char *bed, double v)
{
	const silex_label labels[] = { { "__name__", "hr" }, { "bed", bed } };
	silex_row row = { .labels = labels, .n_labels = 2, .time = b->now_ms, .value = silex_float(v) };
	ok(b, silex_insert_batch(b->db, NULL, &row, 1, NULL, &b->err));
}

/* A thread of the database makes the change. */
#define UNTIL(cond)                                                            \
	do {                                                                       \
		for (unsigned ms_ = 0; !(cond) && ms_ < 20000; ms_++)                   \
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);          \
		assert_true(cond);                                                     \
	} while (0)

struct seen {
	unsigned n;
	const char *bed;
	silex_alert_info last;
	char by[2][100];
	int64_t ends;
	char id[SILEX_ID_SIZE];
};

static bool see(void *arg, const silex_alert_info *a)
{
	struct seen *s = arg;
	for (size_t i = 0; i < a->n_labels; i++)
		if (strcmp(a->labels[i].name, "bed") == 0 && strcmp(a->labels[i].value, s->bed) == 0) {
			s->n++;
			s->last = *a;
			snprintf(s->by[0], sizeof s->by[0], "%s", a->silenced_by);
			snprintf(s->by[1], sizeof s->by[1], "%s", a->acknowledged_by);
		}
	return true;
}

static struct seen look(struct bench *b, const char *bed)
{
	struct seen s = { .bed = bed };
	ok(b, silex_alert_list(b->db, NULL, see, &s, &b->err));
	return s;
}

static bool see_silence(void *arg, const silex_silence *x)
{
	struct seen *s = arg;
	s->n++;
	s->ends = x->ends;
	snprintf(s->id, sizeof s->id, "%s", x->id);
	return true;
}

static void begin(struct bench *b)
{
	silex_rule r;
	uint64_t id;
	*b = (struct bench){ .now_ms = T0, .vfs = slx_vfs_sim_new(1) };
	open_db(b);
	silex_rule_init(&r);
	r.name = "High";
	r.selector = "hr";
	r.limit = 120;
	ok(b, silex_rule_register(b->db, NULL, &r, &id, &b->err));
	write_hr(b, "1", 130);
	write_hr(b, "2", 130);
	UNTIL(look(b, "1").n && look(b, "2").n);
}

static void end(struct bench *b)
{
	silex_close(b->db, NULL);
	slx_vfs_sim_free(b->vfs);
}

static void test_acknowledge(void **state)
{
	struct bench b;
	begin(&b);
	struct seen s = look(&b, "1");
	assert_int_equal(s.n, 1);
	assert_int_equal(s.last.state, SILEX_ALERT_FIRING);
	assert_int_equal(s.last.fired, T0);
	assert_false(s.last.acknowledged);
	ok(&b, silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "nurse", NULL, T0 + 60000, &b.err));
	kill_db(&b);
	s = look(&b, "1");
	assert_true(s.last.acknowledged && !s.last.silenced);
	assert_string_equal(s.by[1], "nurse");
	assert_int_equal(s.last.acknowledged_until, T0 + 60000);
	assert_false(look(&b, "2").last.acknowledged);
	b.now_ms += 60000; /* its end */
	assert_false(look(&b, "1").last.acknowledged);
	ok(&b, silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "doctor", "on my way", 0, &b.err));
	assert_true(look(&b, "1").last.acknowledged_until == INT64_MAX);
	write_hr(&b, "1", 80);
	UNTIL(!look(&b, "1").n);
	assert_int_equal(silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "doctor", NULL, 0, &b.err), SILEX_NOT_FOUND);
	b.now_ms += 1000;
	write_hr(&b, "1", 140); /* another time: it must be acknowledged again */
	UNTIL(look(&b, "1").n);
	assert_false(look(&b, "1").last.acknowledged);
	ok(&b, silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "doctor", NULL, 0, &b.err));
	ok(&b, silex_alert_unacknowledge(b.db, NULL, s.last.fingerprint, &b.err));
	assert_int_equal(silex_alert_unacknowledge(b.db, NULL, s.last.fingerprint, &b.err), SILEX_NOT_FOUND);
	assert_int_equal(silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "", NULL, 0, &b.err), SILEX_INVALID);
	assert_int_equal(silex_alert_acknowledge(b.db, NULL, s.last.fingerprint, "x", NULL, b.now_ms, &b.err), SILEX_INVALID);
	assert_int_equal(silex_alert_acknowledge(b.db, NULL, "xyz", "x", NULL, 0, &b.err), SILEX_INVALID);
	assert_int_equal(silex_alert_acknowledge(b.db, "other", s.last.fingerprint, "x", NULL, 0, &b.err), SILEX_NOT_FOUND);
	kill_db(&b);
	assert_false(look(&b, "1").last.acknowledged);
	end(&b);
}

static void test_silence(void **state)
{
	struct bench b;
	silex_silence x;
	char id[SILEX_ID_SIZE], other[SILEX_ID_SIZE];
	struct seen s = { 0 };
	begin(&b);
	silex_silence_init(&x);
	x.match = "{alertname=\"High\", bed=~\"1|3\"}";
	x.author = "nurse";
	x.starts = T0 + 1000;
	x.ends = T0 + 5000;
	ok(&b, silex_silence_put(b.db, NULL, &x, id, &b.err));
	assert_false(look(&b, "1").last.silenced); /* not yet */
	b.now_ms += 1000;
	kill_db(&b);
	assert_true(look(&b, "1").last.silenced && !look(&b, "2").last.silenced);
	assert_string_equal(look(&b, "1").by[0], "nurse");
	x.id = id;
	x.ends = T0 + 9000; /* changed */
	ok(&b, silex_silence_put(b.db, NULL, &x, other, &b.err));
	assert_string_equal(id, other);
	b.now_ms += 7000;
	assert_true(look(&b, "1").last.silenced && look(&b, "1").last.silenced_until == T0 + 9000);
	ok(&b, silex_silence_end(b.db, NULL, id, &b.err));
	assert_false(look(&b, "1").last.silenced);
	assert_int_equal(silex_silence_end(b.db, NULL, id, &b.err), SILEX_NOT_FOUND);
	kill_db(&b);
	ok(&b, silex_silence_list(b.db, NULL, see_silence, &s, &b.err));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.ends, T0 + 8000);
	assert_string_equal(s.id, id);
	b.now_ms += INT64_C(6) * 24 * 3600 * 1000; /* the next change forgets what ended long ago */
	x.id = NULL;
	x.starts = 0;
	x.ends = b.now_ms + 1000;
	ok(&b, silex_silence_put(b.db, NULL, &x, other, &b.err));
	kill_db(&b);
	s.n = 0;
	ok(&b, silex_silence_list(b.db, NULL, see_silence, &s, &b.err));
	assert_int_equal(s.n, 1);
	assert_string_equal(s.id, other);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_acknowledge), cmocka_unit_test(test_silence) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
