/* Blocks move to a store and are read there; what an operator sees; what goes wrong and how it is told. */
#include "harness.h"

#include <silex/backup.h>
#include <silex/retention.h>

static struct tier_world *some(const char *url)
{
	struct tier_world *w = world_new(1, url);
	for (int day = 0; day < 99; day += 3) {
		world_write(w, day * 1440, 600);
		if (day % 9 == 0)
			world_checkpoint(w);
	}
	world_checkpoint(w);
	return w;
}

static void moves(void **state)
{
	const char *const urls[] = { NULL, "folder:archive" };
	for (int i = 0; i < 2; i++) {
		struct tier_world *w = some(urls[i]);
		world_settle(w);
		silex_metrics m = world_metrics(w);
		assert_true(m.blocks_cold > 0 && m.blocks_cold < m.blocks);
		assert_int_equal(m.cold_backlog_blocks, 0);
		assert_int_equal(m.cold_moves, m.blocks_cold);
		world_compare(w, false, "moved");
		world_check_places(w, "moved");
		assert_true(world_metrics(w).cold_requests > 0);
		world_close(w);
		world_open(w);
		world_compare(w, false, "opened again");
		world_check_places(w, "opened again");
		world_free(w);
	}
}

static void deletes_and_late_data(void **state)
{
	struct tier_world *w = some(NULL);
	world_settle(w);
	for (int i = 0; i < 40; i++) {
		world_write(w, (int64_t)world_random(w, 60 * 1440), 50);
		if (i % 4 == 0)
			world_delete(w, (int64_t)world_random(w, 60 * 1440), 2000);
		world_checkpoint(w);
		world_compare(w, false, "late");
		if (i % 3 == 0)
			world_settle(w);
		world_compare(w, false, "late and settled");
	}
	silex_compact_options o;
	silex_error err = { SILEX_OK, "" };
	silex_compact_options_init(&o);
	o.full = true;
	assert_int_equal(silex_compact(w->db, &o, &err), SILEX_OK);
	world_settle(w);
	world_compare(w, false, "all merged");
	world_check_places(w, "all merged");
	assert_int_equal(world_metrics(w).tombstones, 0);
	world_free(w);
}

static void store_down(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	flaky_fail(w->store, FLAKY_DOWN);
	assert_int_equal(silex_tier_move(w->db, NULL, NULL, &err), SILEX_UNAVAILABLE);
	assert_non_null(strstr(err.message, "store archive"));
	assert_true(world_metrics(w).cold_backlog_blocks > 0 && world_metrics(w).cold_backlog_bytes > 0);
	world_compare(w, false, "nothing moved");
	flaky_fail(w->store, FLAKY_NONE);
	world_settle(w);
	world_close(w);
	flaky_fail(w->store, FLAKY_DOWN);
	world_open(w); /* does not need the store */
	assert_false(world_compare(w, true, "down"));
	world_write(w, 99 * 1440, 100);
	world_checkpoint(w);
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	const char *selector = "m";
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = w->now_ns - 20 * INT64_C(86400000000000);
	q.end = w->now_ns;
	assert_int_equal(silex_query_run(w->db, &q, &c, &err), SILEX_OK);
	assert_int_equal(silex_cursor_next(c, &b, &err), SILEX_OK);
	assert_true(b.n > 0);
	silex_cursor_close(c);
	assert_true(world_metrics(w).tenants == 1);
	flaky_fail(w->store, FLAKY_NONE);
	world_compare(w, false, "up again");
	world_free(w);
}

/* What is in the store but not ours stays, and what nobody reads goes after the delay. */
static void garbage(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	silex_compact_options o;
	flaky_plant(w->store, "00000000000000000000000000000000.b-1.slx");
	world_settle(w);
	size_t before = flaky_objects(w->store);
	world_delete(w, 0, 1440 * 20);
	silex_compact_options_init(&o);
	o.full = true;
	assert_int_equal(silex_compact(w->db, &o, &err), SILEX_OK);
	assert_true(world_metrics(w).cold_garbage > 0);
	assert_int_equal(flaky_objects(w->store), before);
	assert_int_equal(silex_tier_move(w->db, NULL, NULL, &err), SILEX_OK); /* too early */
	assert_true(world_metrics(w).cold_garbage > 0);
	w->now_ns += 2 * INT64_C(3600000000000);
	world_close(w);
	world_open(w);
	assert_int_equal(silex_tier_move(w->db, NULL, NULL, &err), SILEX_OK);
	assert_int_equal(world_metrics(w).cold_garbage, 0);
	assert_true(world_metrics(w).cold_removed > 0);
	assert_true(flaky_has(w->store, "00000000000000000000000000000000.b-1.slx"));
	assert_int_equal(flaky_objects(w->store), world_metrics(w).blocks_cold + 1);
	world_compare(w, false, "collected");
	world_free(w);
}

/* A store that lies about what it keeps is found out before the copy here goes. */
static void bad_upload(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	const enum flaky_fault faults[] = { FLAKY_LOSES, FLAKY_ROTTEN };
	for (int i = 0; i < 2; i++) {
		flaky_fail(w->store, faults[i]);
		assert_int_equal(silex_tier_move(w->db, NULL, NULL, &err), SILEX_UNAVAILABLE);
		flaky_fail(w->store, FLAKY_NONE);
		assert_int_equal(world_metrics(w).blocks_cold, 0);
		world_compare(w, false, "bad upload");
	}
	world_settle(w);
	world_check_places(w, "sent again");
	flaky_fail(w->store, FLAKY_FLIPS);
	for (int i = 0; i < 10; i++) {
		world_close(w);
		world_open(w);
		world_compare(w, true, "flips");
	}
	world_close(w); /* nothing is in the cache */
	world_open(w);
	flaky_fail(w->store, FLAKY_ROTTEN);
	assert_false(world_compare(w, true, "rotten"));
	flaky_fail(w->store, FLAKY_NONE);
	world_compare(w, false, "well again");
	world_free(w);
}

static void store_not_given(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	world_settle(w);
	world_close(w);
	w->opt.n_stores = 0;
	assert_int_equal(silex_open("db", &w->opt, &w->db, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "archive"));
	w->opt.cold_store[0] = 0;
	world_open(w);
	assert_false(world_compare(w, true, "no store"));
	assert_int_equal(silex_tier_move(w->db, NULL, NULL, &err), SILEX_INVALID);
	world_close(w);
	w->opt.n_stores = 1;
	world_open(w);
	world_compare(w, false, "given again");
	world_free(w);
}

static bool spoil_stub(void *arg, const char *name)
{
	struct tier_world *w = arg;
	char path[96];
	snprintf(path, sizeof path, "db/blocks/%s", name);
	size_t n = strlen(name);
	if (n < 5 || strcmp(name + n - 5, ".stub") != 0)
		return true;
	if (world_random(w, 2))
		slx_vfs_sim_flip_bit(w->sim, path, 8 * 50);
	else
		assert_int_equal(slx_vfs_sim_vfs(w->sim)->unlink(slx_vfs_sim_vfs(w->sim), path, NULL), SILEX_OK);
	return true;
}

/* Stubs that are gone or damaged are made again. */
static void stubs_lost(void **state)
{
	struct tier_world *w = some(NULL);
	struct slx_vfs *vfs = slx_vfs_sim_vfs(w->sim);
	world_settle(w);
	world_close(w);
	assert_int_equal(vfs->list(vfs, "db/blocks", spoil_stub, w, NULL), SILEX_OK);
	world_open(w);
	world_compare(w, false, "mended");
	world_check_places(w, "mended");
	world_close(w);
	flaky_fail(w->store, FLAKY_DOWN);
	world_open(w);
	assert_true(world_metrics(w).healthy);
	world_free(w);
}

/* Retention drops cold blocks like others; their objects go. */
static void retention(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	silex_retention_rule rule = { .keep_ms = 50 * INT64_C(86400000) };
	silex_retention r;
	world_settle(w);
	size_t before = flaky_objects(w->store);
	silex_retention_init(&r);
	r.rules = &rule;
	r.n_rules = 1;
	if (silex_set_retention(w->db, &r, &err) != SILEX_OK || silex_apply_retention(w->db, false, NULL, NULL, NULL, &err) != SILEX_OK)
		fail_msg("retention: %s", err.message);
	world_settle(w);
	assert_true(flaky_objects(w->store) < before);
	world_check_places(w, "expired");
	world_free(w);
}

/* A snapshot has every block as a file: it does not need the store, nor does it ever touch what is there. */
static void snapshots(void **state)
{
	struct tier_world *w = some(NULL);
	silex_error err = { SILEX_OK, "" };
	silex_db *db;
	world_settle(w);
	size_t before = flaky_objects(w->store);
	if (silex_snapshot(w->db, "copy", NULL, NULL, &err) != SILEX_OK)
		fail_msg("snapshot: %s", err.message);
	world_close(w);
	w->path = "copy";
	flaky_fail(w->store, FLAKY_DOWN);
	world_open(w);
	world_compare(w, false, "snapshot");
	assert_int_equal(world_metrics(w).blocks_cold, 0);
	flaky_fail(w->store, FLAKY_NONE);
	world_settle(w);
	assert_int_equal(flaky_objects(w->store), before + world_metrics(w).blocks_cold);
	world_delete(w, 0, 98 * 1440);
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = true;
	assert_int_equal(silex_compact(w->db, &o, &err), SILEX_OK);
	world_settle(w);
	world_close(w);
	w->path = "db";
	w->opt.read_only = true;
	assert_int_equal(silex_open("db", &w->opt, &db, &err), SILEX_OK);
	w->db = db;
	assert_int_equal(world_metrics(w).blocks_cold, before);
	assert_true(flaky_objects(w->store) >= before);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(deletes_and_late_data),
		cmocka_unit_test(store_down),
		cmocka_unit_test(garbage),
		cmocka_unit_test(bad_upload),
		cmocka_unit_test(store_not_given),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(stubs_lost),
		cmocka_unit_test(retention),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
