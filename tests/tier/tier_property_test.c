/* Random histories of writes, late writes, deletes, flushes, compactions, moves, faults of the store, crashes and reopens:
 * what the database answers is what a twin in memory answers, or an error that names the store; never less. The seed is
 * printed; SLX_SEED repeats one. */
#include "harness.h"

#include <time.h>

enum { HISTORIES = 40, STEPS = 60 };

static void fault(struct tier_world *w)
{
	static const enum flaky_fault faults[] = { FLAKY_DOWN, FLAKY_SOMETIMES, FLAKY_FLIPS, FLAKY_SHORT, FLAKY_LOSES, FLAKY_ROTTEN };
	flaky_fail(w->store, faults[world_random(w, sizeof faults / sizeof faults[0])]);
}

/* Work that may die on the way; nothing is written meanwhile, so the twin knows what must be there. */
static void work(struct tier_world *w, bool die)
{
	silex_error err;
	silex_compact_options c;
	silex_tier_options t;
	silex_compact_options_init(&c);
	silex_tier_options_init(&t);
	c.full = world_random(w, 4) == 0;
	t.remove_now = world_random(w, 2) == 0;
	bool power_cut = world_random(w, 2) == 0;
	if (die)
		slx_vfs_sim_arm(w->sim, power_cut ? SLX_SIM_POWER_CUT : SLX_SIM_KILL, 1 + world_random(w, 120));
	if (world_random(w, 3) == 0)
		silex_checkpoint(w->db, &err);
	if (world_random(w, 2) == 0)
		silex_compact(w->db, &c, &err);
	silex_tier_move(w->db, &t, NULL, &err);
	if (die)
		world_crash(w, power_cut);
}

static void step(struct tier_world *w)
{
	switch (world_random(w, 10)) {
	case 0:
	case 1:
	case 2:
		world_write(w, (int64_t)world_random(w, 98 * 1440), 1 + (int)world_random(w, 500));
		break;
	case 3:
		world_checkpoint(w);
		break;
	case 4:
		flaky_fail(w->store, FLAKY_NONE);
		world_delete(w, (int64_t)world_random(w, 98 * 1440), (int)world_random(w, 5000));
		break;
	case 5:
		fault(w);
		break;
	case 6:
		work(w, true);
		break;
	case 7:
		w->now_ns += (int64_t)world_random(w, 3) * 3600000000000 - 3600000000000;
		world_close(w);
		world_open(w);
		break;
	default:
		work(w, false);
		break;
	}
	world_compare(w, true, "step");
}

static void histories(void **state)
{
	const char *text = getenv("SLX_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 1000;
	for (int i = 0; i < (text ? 1 : HISTORIES); i++) {
		print_message("seed %llu\n", (unsigned long long)(seed + (uint64_t)i));
		struct tier_world *w = world_new(seed + (uint64_t)i, NULL);
		for (int k = 0; k < STEPS; k++)
			step(w);
		flaky_fail(w->store, FLAKY_NONE);
		world_compare(w, false, "at the end");
		world_settle(w);
		world_compare(w, false, "settled");
		world_check_places(w, "settled");
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(histories) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
