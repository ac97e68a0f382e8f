/* A move that dies at every call to the disk and at every call to the store: nothing is lost, the next try finishes it, and
 * no object or file is left over. */
#include "harness.h"

static struct tier_world *some(const char *url)
{
	struct tier_world *w = world_new(7, url);
	for (int i = 0; i < 3; i++) {
		world_write(w, i * 20 * 1440, 300);
		world_checkpoint(w);
	}
	return w;
}

static void finish(struct tier_world *w, const char *what)
{
	world_compare(w, false, what);
	world_settle(w);
	world_compare(w, false, what);
	world_check_places(w, what);
}

/* The disk dies at call `at`; false: the move was done before. */
static bool disk_dies(const char *url, enum slx_sim_fault fault, uint64_t at)
{
	char what[96];
	struct tier_world *w = some(url);
	slx_vfs_sim_arm(w->sim, fault, at);
	silex_tier_move(w->db, NULL, NULL, NULL);
	bool fired = slx_vfs_sim_fired(w->sim);
	snprintf(what, sizeof what, "%s, fault %d at call %llu (%s)", url ? url : "flaky:", fault, (unsigned long long)at, fired ? slx_vfs_sim_fired_at(w->sim) : "-");
	if (fault == SLX_SIM_EIO || fault == SLX_SIM_SYNC_FAILS) {
		slx_vfs_sim_heal(w->sim);
		world_compare(w, false, what);
	}
	world_crash(w, fault != SLX_SIM_KILL);
	finish(w, what);
	world_free(w);
	return fired;
}

static void every_disk_call(void **state)
{
	static const enum slx_sim_fault faults[] = { SLX_SIM_POWER_CUT, SLX_SIM_KILL, SLX_SIM_EIO, SLX_SIM_SYNC_FAILS };
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		uint64_t at = 1;
		while (disk_dies(NULL, faults[i], at))
			at++;
		assert_true(at > 10);
		for (at = 1; disk_dies("folder:archive", faults[i], at);)
			at++;
	}
}

static bool store_dies(uint64_t at, bool after)
{
	char what[64];
	struct tier_world *w = some(NULL);
	snprintf(what, sizeof what, "store call %llu, %s it", (unsigned long long)at, after ? "after" : "before");
	uint64_t last = flaky_calls(w->store) + at;
	flaky_kill_at(w->store, w->sim, at, after);
	silex_tier_move(w->db, NULL, NULL, NULL);
	bool fired = flaky_calls(w->store) >= last;
	world_crash(w, at % 2);
	finish(w, what);
	world_free(w);
	return fired;
}

static void every_store_call(void **state)
{
	for (int after = 0; after < 2; after++) {
		uint64_t at = 1;
		while (store_dies(at, after))
			at++;
		assert_true(at > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_disk_call), cmocka_unit_test(every_store_call) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
