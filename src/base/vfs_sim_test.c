/* The simulator is the judge of the crash promises, so it is judged first. */
#include "base/vfs_sim.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct slx_vfs_sim *sim;
static struct slx_vfs *v;

static int setup_seed(uint64_t seed)
{
	sim = slx_vfs_sim_new(seed);
	v = slx_vfs_sim_vfs(sim);
	assert_int_equal(v->mkdir(v, "/d", NULL), SILEX_OK);
	assert_int_equal(v->sync_dir(v, "/", NULL), SILEX_OK);
	return 0;
}

static struct slx_file *open_rw(const char *path)
{
	struct slx_file *f = NULL;
	assert_int_equal(v->open(v, path, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &f, NULL), SILEX_OK);
	return f;
}

static bool exists(const char *path)
{
	struct slx_file *f = NULL;
	silex_status st = v->open(v, path, SLX_OPEN_READ, &f, NULL);
	if (st == SILEX_OK)
		slx_file_close(f);
	return st == SILEX_OK;
}

static uint64_t size_of(const char *path)
{
	struct slx_file *f = NULL;
	uint64_t size = 0;
	assert_int_equal(v->open(v, path, SLX_OPEN_READ, &f, NULL), SILEX_OK);
	assert_int_equal(slx_file_size(f, &size, NULL), SILEX_OK);
	slx_file_close(f);
	return size;
}

static uint8_t byte_at(const char *path, uint64_t at)
{
	struct slx_file *f = NULL;
	uint8_t b = 0;
	assert_int_equal(v->open(v, path, SLX_OPEN_READ, &f, NULL), SILEX_OK);
	assert_int_equal(slx_file_read(f, &b, 1, at, NULL), SILEX_OK);
	slx_file_close(f);
	return b;
}

/* Both outcomes of each unsynced thing come up over the seeds; synced things never change. */
static void test_power_cut(void **state)
{
	int name_kept = 0, name_lost = 0, whole = 0, nothing = 0, torn = 0, hole = 0, later_only = 0;
	for (uint64_t seed = 0; seed < 400; seed++) {
		static uint8_t block[2048];
		setup_seed(seed);
		struct slx_file *f = open_rw("/d/synced");
		memset(block, 1, sizeof block);
		assert_int_equal(slx_file_write(f, block, 512, 0, NULL), SILEX_OK);
		assert_int_equal(slx_file_sync(f, NULL), SILEX_OK);
		assert_int_equal(v->sync_dir(v, "/d", NULL), SILEX_OK);
		memset(block, 2, sizeof block);
		assert_int_equal(slx_file_write(f, block, 2048, 512, NULL), SILEX_OK);
		assert_int_equal(slx_file_write(f, block, 2048, 2560, NULL), SILEX_OK);
		struct slx_file *g = open_rw("/d/named");
		assert_int_equal(slx_file_sync(g, NULL), SILEX_OK); /* does not keep the name */

		slx_vfs_sim_reboot(sim, true);
		silex_error err;
		uint8_t b;
		assert_int_equal(slx_file_read(f, &b, 1, 0, &err), SILEX_UNAVAILABLE);
		slx_file_close(f);
		slx_file_close(g);
		for (uint64_t i = 0; i < 512; i++)
			assert_int_equal(byte_at("/d/synced", i), 1);
		uint64_t size = size_of("/d/synced");
		assert_true(size == 512 || size == 2560 || size == 4608);
		uint64_t kept = 0, kept_later = 0;
		for (uint64_t i = 512; i < size; i++) {
			uint8_t at = byte_at("/d/synced", i);
			assert_true(at == 0 || at == 2);
			assert_int_equal(at, byte_at("/d/synced", i / 512 * 512)); /* sectors are whole */
			kept += i < 2560 && at == 2;
			kept_later += i >= 2560 && at == 2;
		}
		whole += kept == 2048 && kept_later == 2048;
		nothing += size == 512;
		torn += kept > 0 && kept < 2048;
		hole += size == 4608 && kept == 0 && kept_later == 0;
		later_only += kept < 2048 && kept_later == 2048;
		name_kept += exists("/d/named");
		name_lost += !exists("/d/named");
		slx_vfs_sim_free(sim);
	}
	assert_true(name_kept && name_lost && whole && nothing && torn && hole && later_only);
}

static void test_kill_keeps_everything(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		setup_seed(seed);
		struct slx_file *f = open_rw("/d/a");
		assert_int_equal(slx_file_write(f, "abc", 3, 0, NULL), SILEX_OK);
		slx_vfs_sim_arm(sim, SLX_SIM_KILL, 1);
		assert_int_equal(slx_file_write(f, "def", 3, 3, NULL), SILEX_UNAVAILABLE);
		assert_int_equal(slx_file_write(f, "ghi", 3, 6, NULL), SILEX_UNAVAILABLE);
		assert_true(slx_vfs_sim_fired(sim));
		assert_string_equal(slx_vfs_sim_fired_at(sim), "write /d/a");
		slx_vfs_sim_reboot(sim, false);
		slx_file_close(f);
		assert_in_range(size_of("/d/a"), 3, 6);
		assert_int_equal(byte_at("/d/a", 2), 'c');
		slx_vfs_sim_reboot(sim, true); /* still not synced: may go now */
		slx_vfs_sim_free(sim);
	}
}

static void test_failed_sync_loses_for_good(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		setup_seed(seed);
		struct slx_file *f = open_rw("/d/a");
		assert_int_equal(v->sync_dir(v, "/d", NULL), SILEX_OK);
		assert_int_equal(slx_file_write(f, "abc", 3, 0, NULL), SILEX_OK);
		slx_vfs_sim_arm(sim, SLX_SIM_SYNC_FAILS, 1);
		assert_true(exists("/d/a")); /* a call that the fault does not fit */
		assert_false(slx_vfs_sim_fired(sim));
		assert_int_equal(slx_file_sync(f, NULL), SILEX_UNAVAILABLE);
		assert_int_equal(byte_at("/d/a", 0), 'a');
		assert_int_equal(slx_file_sync(f, NULL), SILEX_OK);
		assert_int_equal(slx_file_write(f, "d", 1, 3, NULL), SILEX_OK);
		assert_int_equal(slx_file_sync(f, NULL), SILEX_OK);
		slx_vfs_sim_reboot(sim, true);
		slx_file_close(f);
		assert_int_equal(size_of("/d/a"), 4);
		assert_int_equal(byte_at("/d/a", 0), 0);
		assert_int_equal(byte_at("/d/a", 3), 'd');
		slx_vfs_sim_free(sim);
	}
}

static void test_no_space(void **state)
{
	setup_seed(1);
	struct slx_file *f = open_rw("/d/a"), *g = NULL;
	slx_vfs_sim_arm(sim, SLX_SIM_ENOSPC, 1);
	assert_int_equal(slx_file_write(f, "abc", 3, 0, NULL), SILEX_RESOURCE_EXHAUSTED);
	assert_true(size_of("/d/a") < 3);
	assert_int_equal(v->open(v, "/d/b", SLX_OPEN_WRITE | SLX_OPEN_CREATE, &g, NULL), SILEX_RESOURCE_EXHAUSTED);
	assert_int_equal(v->mkdir(v, "/d/e", NULL), SILEX_RESOURCE_EXHAUSTED);
	assert_int_equal(v->mkdir(v, "/d", NULL), SILEX_OK);
	assert_int_equal(slx_file_sync(f, NULL), SILEX_OK);
	uint64_t space = 1;
	assert_int_equal(v->free_space(v, "/d", &space, NULL, NULL), SILEX_OK);
	assert_int_equal(space, 0);
	slx_vfs_sim_heal(sim);
	assert_int_equal(slx_file_write(f, "abc", 3, 0, NULL), SILEX_OK);
	slx_vfs_sim_arm(sim, SLX_SIM_EIO, 2);
	assert_int_equal(slx_file_write(f, "d", 1, 3, NULL), SILEX_OK);
	assert_int_equal(slx_file_write(f, "e", 1, 4, NULL), SILEX_UNAVAILABLE);
	assert_int_equal(size_of("/d/a"), 4);
	slx_vfs_sim_arm(sim, SLX_SIM_SHORT, 1);
	assert_int_equal(slx_file_write(f, "efgh", 4, 4, NULL), SILEX_UNAVAILABLE);
	assert_true(size_of("/d/a") < 8);
	slx_file_close(f);
	slx_vfs_sim_free(sim);
}

static bool count_names(void *arg, const char *name)
{
	++*(int *)arg;
	return true;
}

static void test_names_and_locks(void **state)
{
	setup_seed(2);
	int names = 0;
	slx_file_close(open_rw("/d/a"));
	assert_int_equal(v->link(v, "/d/a", "/d/b", NULL), SILEX_OK);
	assert_int_equal(v->link(v, "/d/a", "/d/b", NULL), SILEX_CONFLICT);
	assert_int_equal(v->rename(v, "/d/a", "/d/b", NULL), SILEX_OK);
	assert_int_equal(v->unlink(v, "/d/a", NULL), SILEX_NOT_FOUND);
	assert_int_equal(v->mkdir(v, "/d/sub", NULL), SILEX_OK);
	assert_int_equal(v->rename(v, "/d/b", "/d/sub/c", NULL), SILEX_OK);
	assert_int_equal(v->list(v, "/d", count_names, &names, NULL), SILEX_OK);
	assert_int_equal(names, 1);
	assert_true(exists("/d/sub/c"));
	assert_false(exists("/d/none/c"));
	assert_int_not_equal(v->rmdir(v, "/d/sub", NULL), SILEX_OK);
	assert_int_equal(v->unlink(v, "/d/sub/c", NULL), SILEX_OK);
	assert_int_equal(v->rmdir(v, "/d/sub", NULL), SILEX_OK);
	assert_int_equal(v->sync_dir(v, "/d", NULL), SILEX_OK);

	struct slx_file *f = open_rw("/d/LOCK"), *g = open_rw("/d/LOCK");
	assert_int_equal(slx_file_lock(f, SLX_LOCK_SHARED, NULL), SILEX_OK);
	assert_int_equal(slx_file_lock(g, SLX_LOCK_SHARED, NULL), SILEX_OK);
	assert_int_equal(slx_file_lock(g, SLX_LOCK_EXCLUSIVE, NULL), SILEX_CONFLICT);
	slx_file_close(f);
	assert_int_equal(slx_file_lock(g, SLX_LOCK_EXCLUSIVE, NULL), SILEX_OK);
	slx_vfs_sim_reboot(sim, false);
	f = open_rw("/d/LOCK");
	assert_int_equal(slx_file_lock(f, SLX_LOCK_EXCLUSIVE, NULL), SILEX_OK);
	slx_file_close(g);
	slx_file_close(f);
	slx_vfs_sim_free(sim);
}

static void test_whole_file_is_old_or_new_at_every_crash(void **state)
{
	int old = 0, new = 0;
	for (uint64_t seed = 0; seed < 600; seed++) {
		struct slx_mem mem;
		uint8_t *bytes = NULL;
		size_t n = 0;
		slx_mem_init(&mem, NULL);
		setup_seed(seed);
		assert_int_equal(slx_vfs_write_file(v, "/d/M", "old", 3, NULL), SILEX_OK);
		slx_vfs_sim_arm(sim, SLX_SIM_POWER_CUT, 1 + seed % 8);
		silex_status st = slx_vfs_write_file(v, "/d/M", "newer", 5, NULL);
		slx_vfs_sim_reboot(sim, true);
		assert_int_equal(slx_vfs_read_file(v, &mem, "/d/M", 100, &bytes, &n, NULL), SILEX_OK);
		bool is_new = n == 5 && memcmp(bytes, "newer", 5) == 0;
		assert_true(is_new || (st != SILEX_OK && n == 3 && memcmp(bytes, "old", 3) == 0));
		old += !is_new;
		new += is_new;
		slx_free(&mem, SLX_MEM_OTHER, bytes, n);
		slx_vfs_sim_free(sim);
	}
	assert_true(old && new);
}

static void test_planted_lie_and_damage(void **state)
{
	int lost = 0;
	for (uint64_t seed = 0; seed < 50; seed++) {
		setup_seed(seed);
		slx_vfs_sim_lie_about_sync(sim, "/d/a");
		struct slx_file *f = open_rw("/d/a");
		assert_int_equal(slx_file_write(f, "abc", 3, 0, NULL), SILEX_OK);
		assert_int_equal(slx_file_sync(f, NULL), SILEX_OK);
		assert_int_equal(v->sync_dir(v, "/d", NULL), SILEX_OK);
		slx_file_close(f);
		slx_vfs_sim_lie_about_sync(sim, NULL);
		slx_vfs_sim_reboot(sim, true);
		lost += size_of("/d/a") == 0;
		slx_vfs_sim_free(sim);
	}
	assert_true(lost > 0);

	setup_seed(1);
	assert_int_equal(slx_vfs_write_file(v, "/d/a", "abc", 3, NULL), SILEX_OK);
	assert_true(slx_vfs_sim_flip_bit(sim, "/d/a", 8));
	assert_false(slx_vfs_sim_flip_bit(sim, "/d/a", 24));
	assert_int_equal(byte_at("/d/a", 1), 'c');
	slx_vfs_sim_reboot(sim, true);
	assert_int_equal(byte_at("/d/a", 1), 'c');
	slx_vfs_sim_free(sim);
}

/* The same seed and calls give the same disk. */
static void test_deterministic(void **state)
{
	uint64_t sizes[2], calls[2];
	for (int round = 0; round < 2; round++) {
		setup_seed(77);
		struct slx_file *f = open_rw("/d/a");
		for (uint64_t i = 0; i < 50; i++)
			assert_int_equal(slx_file_write(f, &i, 8, i * 8, NULL), SILEX_OK);
		assert_int_equal(v->sync_dir(v, "/d", NULL), SILEX_OK);
		slx_file_close(f);
		slx_vfs_sim_reboot(sim, true);
		sizes[round] = size_of("/d/a");
		calls[round] = slx_vfs_sim_calls(sim);
		slx_vfs_sim_free(sim);
	}
	assert_int_equal(sizes[0], sizes[1]);
	assert_int_equal(calls[0], calls[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_kill_keeps_everything),
		cmocka_unit_test(test_failed_sync_loses_for_good),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_names_and_locks),
		cmocka_unit_test(test_whole_file_is_old_or_new_at_every_crash),
		cmocka_unit_test(test_planted_lie_and_damage),
		cmocka_unit_test(test_deterministic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
