/* Rules that change while others write, read, delete, flush and compact; meant for ThreadSanitizer. What is asserted is little: every
 * call does what it may, and at the end what the last rules keep is there. */
#include "base/vfs_sim.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <silex/retention.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { WRITERS = 2, ROUNDS = 300, SERIES = 20 };

struct shared {
	silex_db *db;
	_Atomic bool stop;
	_Atomic int bad;
	int64_t now;
};

static void expect(struct shared *s, silex_status got, silex_status also, const silex_error *err)
{
	if (got == SILEX_OK || got == also)
		return;
	printf("%s\n", err->message);
	atomic_fetch_add(&s->bad, 1);
}

static void *write_main(void *arg)
{
	struct shared *s = arg;
	silex_error err;
	for (int k = 0; k < ROUNDS; k++)
		for (int i = 0; i < SERIES; i++) {
			char name[16];
			snprintf(name, sizeof name, "m%d", i);
			silex_label label = { "__name__", name };
			int64_t age = k % 3 ? k : k * INT64_C(1000000000000); /* some are too old */
			expect(s, silex_insert(s->db, NULL, &label, 1, s->now - age, silex_float(k), &err), SILEX_INVALID, &err);
		}
	return NULL;
}

static void *read_main(void *arg)
{
	struct shared *s = arg;
	silex_error err;
	while (!atomic_load(&s->stop)) {
		silex_query q;
		silex_cursor *c;
		silex_batch b;
		silex_query_init(&q);
		q.start = INT64_MIN;
		q.end = INT64_MAX;
		silex_status st = silex_query_run(s->db, &q, &c, &err);
		expect(s, st, SILEX_OK, &err);
		while (st == SILEX_OK && (st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
			;
		silex_cursor_close(c);
	}
	return NULL;
}

static void *keep_main(void *arg)
{
	struct shared *s = arg;
	silex_error err;
	silex_compact_options full;
	silex_compact_options_init(&full);
	full.full = true;
	for (unsigned k = 0; !atomic_load(&s->stop); k++) {
		silex_retention_rule rules[] = { { .selector = "m1", .hold = "held" }, { .selector = "m2", .keep_ms = 1 + k % 5000 }, { .keep_ms = 3600000 } };
		silex_dedup dedup = { NULL, k % 3 };
		silex_retention r, *got;
		silex_retention_init(&r);
		r.rules = rules + k % 2;
		r.n_rules = 3 - k % 2;
		r.dedup = &dedup;
		r.n_dedup = 1;
		expect(s, silex_set_retention(s->db, &r, &err), SILEX_OK, &err);
		expect(s, silex_get_retention(s->db, &got, &err), SILEX_OK, &err);
		silex_retention_free(s->db, got);
		expect(s, silex_delete(s->db, NULL, "m3", s->now - 1000, s->now, NULL, &err), SILEX_OK, &err);
		expect(s, silex_delete(s->db, NULL, "m1", s->now - 10, s->now - 5, NULL, &err), SILEX_PERMISSION_DENIED, &err);
		if (k % 4 == 0)
			expect(s, silex_checkpoint(s->db, &err), SILEX_OK, &err);
		if (k % 8 == 0)
			expect(s, silex_compact(s->db, &full, &err), SILEX_OK, &err);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct shared s = { 0 };
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct timespec now;
	silex_options o;
	silex_error err;
	pthread_t writers[WRITERS], reader, keeper;
	clock_gettime(CLOCK_REALTIME, &now);
	s.now = now.tv_sec * INT64_C(1000000000);
	silex_options_init(&o);
	o.env.vfs = slx_vfs_sim_vfs(sim);
	o.sync = SILEX_SYNC_NEVER;
	assert_int_equal(silex_open("db", &o, &s.db, &err), SILEX_OK);
	pthread_create(&reader, NULL, read_main, &s);
	pthread_create(&keeper, NULL, keep_main, &s);
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_main, &s);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&s.stop, true);
	pthread_join(reader, NULL);
	pthread_join(keeper, NULL);
	assert_int_equal(s.bad, 0);
	silex_series_info info;
	silex_label label = { "__name__", "m4" };
	assert_int_equal(silex_series_info_get(s.db, NULL, &label, 1, &info, &err), SILEX_OK);
	assert_true(info.count > 0 && info.last_time == s.now);
	assert_int_equal(silex_close(s.db, &err), SILEX_OK);
	slx_vfs_sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_threads) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
