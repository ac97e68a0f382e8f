/* crash: runs scripts with one fault at each counted call of the file system, and checks what is left (crash.h).
 *
 *     crash --count N [--seed S] [--fault NAME] N distinct pairs (call, fault), of one fault if named
 *     crash --seed S --fault NAME --at K        one pair again, in detail
 *     crash ... --plant missing-sync|early-cut  test of the test: syncs of the log do nothing; the log is cut before the
 *                                               manifest is written
 *
 * Exit 1 at the first violation of a promise, with the words to repeat it. */
#include "crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS = 7, SCRIPTS_MIN = 12, PAIRS_PER_SCRIPT = 1200, CALLS = 12 };
static const char *const fault_name[] = { "none", "eio", "enospc", "short", "sync-fails", "power-cut", "kill", "no-memory" };

static const char *const plant_name[] = { "", "missing-sync", "early-cut" };

struct tally {
	uint64_t pairs, by_fault[FAULTS + 1], calls[CALLS], at[CALLS];
	enum plant plant;
	int only; /* this fault; 0: all */
};

static const char *const call_name[CALLS] = { "open", "read", "write", "sync ", "truncate", "rename", "link", "unlink", "mkdir", "sync_dir", "list", "other" };

static void count_call(struct tally *t, const char *fired_at)
{
	int i = 0;
	while (i < CALLS - 1 && strncmp(fired_at, call_name[i], strlen(call_name[i])) != 0)
		i++;
	t->calls[i]++;
}

static bool one(struct tally *t, const struct script *s, int fault, uint64_t at, struct outcome *o)
{
	*o = crash_run(s, fault, at, t->plant, false);
	if (!o->ok) {
		printf("violation: sync=%s, fault %s at call %llu (%s)\nrepeat with: crash --seed %llu --fault %s --at %llu%s%s\n",
			s->sync == SILEX_SYNC_ALWAYS ? "always" : s->sync == SILEX_SYNC_INTERVAL ? "interval" : "never", fault_name[fault],
			(unsigned long long)o->fired_call, o->fired_at, (unsigned long long)s->seed, fault_name[fault], (unsigned long long)at,
			t->plant ? " --plant " : "", plant_name[t->plant]);
		return false;
	}
	if (o->fired) {
		t->pairs++;
		t->by_fault[fault]++;
		count_call(t, o->fired_at);
	}
	return true;
}

/* About `quota` pairs of one script: each fault has its share, spread over the calls of the script. A fault that waited for a call that
 * fits it moves on behind that call, so that no pair comes twice; shares that such a fault leaves go to those that fit all. */
static bool script_pairs(struct tally *t, uint64_t seed, uint64_t quota)
{
	static const int order[FAULTS] = { SLX_SIM_SYNC_FAILS, SLX_SIM_SHORT, SLX_SIM_ENOSPC, FAULT_NO_MEMORY, SLX_SIM_EIO, SLX_SIM_KILL, SLX_SIM_POWER_CUT };
	struct script s;
	struct outcome o;
	script_make(&s, seed);
	bool ok = one(t, &s, SLX_SIM_NONE, 0, &o);
	uint64_t calls = o.calls, allocations = o.allocations, end = t->pairs + quota;
	for (int i = 0; i < FAULTS && ok; i++) {
		if (t->only && t->only != order[i])
			continue;
		uint64_t n = order[i] == FAULT_NO_MEMORY ? allocations : calls;
		uint64_t share = (end - t->pairs) / (uint64_t)(t->only ? 1 : FAULTS - i), last = t->pairs + share;
		uint64_t stride = share && n / share ? n / share : 1;
		for (uint64_t at = 1 + seed % stride; ok && at <= n && t->pairs < last; at = o.fired_call + stride) {
			ok = one(t, &s, order[i], at, &o);
			if (!o.fired)
				break;
		}
	}
	script_free(&s);
	return ok;
}

static bool repeat(uint64_t seed, int f, uint64_t at, enum plant plant)
{
	struct script s;
	script_make(&s, seed);
	struct outcome o = crash_run(&s, f, at, plant, true);
	printf("%s at call %llu (%s): %s\n", fault_name[f], (unsigned long long)o.fired_call, o.fired_at, o.ok ? "ok" : "violation: see above");
	script_free(&s);
	return o.ok;
}

static int fault_of(const char *name)
{
	for (int i = 0; i <= FAULTS; i++)
		if (strcmp(name, fault_name[i]) == 0)
			return i;
	printf("unknown fault %s\n", name);
	return -1;
}

int main(int argc, char **argv)
{
	uint64_t count = 2000, seed = 20261121, at = 0;
	struct tally t = { 0 };
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--count") == 0)
			count = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--at") == 0)
			at = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--fault") == 0)
			t.only = fault_of(argv[i + 1]);
		else if (strcmp(argv[i], "--plant") == 0)
			t.plant = strcmp(argv[i + 1], plant_name[PLANT_EARLY_CUT]) == 0 ? PLANT_EARLY_CUT : PLANT_MISSING_SYNC;
		else
			return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (at > 0 || t.only < 0)
		return t.only >= 0 && repeat(seed, t.only, at, t.plant) ? 0 : 1;
	uint64_t scripts = count / PAIRS_PER_SCRIPT > SCRIPTS_MIN ? count / PAIRS_PER_SCRIPT : SCRIPTS_MIN, n = 0;
	bool ok = true;
	for (; ok && t.pairs < count; n++) {
		uint64_t left = count - t.pairs, share = n < scripts ? (left + scripts - n - 1) / (scripts - n) : left;
		ok = script_pairs(&t, seed + n, share);
	}
	printf("%llu distinct (call, fault) pairs in %llu scripts from seed %llu\n", (unsigned long long)t.pairs, (unsigned long long)n, (unsigned long long)seed);
	for (int i = 1; i <= FAULTS; i++)
		printf("  %-10s %8llu\n", fault_name[i], (unsigned long long)t.by_fault[i]);
	for (int i = 0; i < CALLS; i++)
		if (t.calls[i])
			printf("  at %-10s %5llu\n", call_name[i], (unsigned long long)t.calls[i]);
	return ok ? 0 : 1;
}
