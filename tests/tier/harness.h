/* What the tier tests share: a store in memory that fails on command and outlives the databases, a database on a simulated
 * disk whose blocks move there, and a twin in memory that gets the same writes and moves nothing. */
#ifndef TIER_HARNESS_H
#define TIER_HARNESS_H

#include "base/vfs_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flaky_fault {
	FLAKY_NONE,
	FLAKY_DOWN,      /* every call fails, nothing happens */
	FLAKY_SOMETIMES, /* one call in four fails, half of those after it was done */
	FLAKY_FLIPS,     /* one read in four has a bit flipped */
	FLAKY_SHORT,     /* one read in four ends early */
	FLAKY_ROTTEN,    /* every read has a bit flipped */
	FLAKY_LOSES,     /* a commit says OK and keeps half of the object */
};

struct flaky; /* the store's objects */

struct flaky *flaky_new(uint64_t seed);
void flaky_free(struct flaky *f);
const silex_store_type *flaky_type(struct flaky *f); /* opens "flaky:" */
void flaky_fail(struct flaky *f, enum flaky_fault fault);
/* At the at-th call from now the process dies (sim), before or after the call's effect. */
void flaky_kill_at(struct flaky *f, struct slx_vfs_sim *sim, uint64_t at, bool after);
uint64_t flaky_calls(const struct flaky *f);
size_t flaky_objects(const struct flaky *f);
uint64_t flaky_bytes(const struct flaky *f);
/* An object that is not ours. */
void flaky_plant(struct flaky *f, const char *name);
bool flaky_has(const struct flaky *f, const char *name);
void flaky_forget(struct flaky *f); /* all objects gone */

enum { TIER_SERIES = 8 };

struct tier_world {
	uint64_t rng;
	struct slx_vfs_sim *sim;
	struct flaky *store;
	silex_store_config config;
	const silex_store_type *types[1];
	silex_options opt;
	int64_t now_ns; /* of the wall clock */
	const char *path; /* of db */
	silex_db *db, *twin;
};

/* url NULL: the flaky store; else e.g. "folder:/archive" on the simulated disk. */
struct tier_world *world_new(uint64_t seed, const char *url);
void world_free(struct tier_world *w);
void world_open(struct tier_world *w);
void world_close(struct tier_world *w);
/* The process is gone, by a power cut or a kill; opens again. */
void world_crash(struct tier_world *w, bool power_cut);
uint64_t world_random(struct tier_world *w, uint64_t below);

/* Samples of some series at minutes from..from+n-1 before which the epoch of the test lies; both databases. */
void world_write(struct tier_world *w, int64_t from_minute, int n);
void world_delete(struct tier_world *w, int64_t from_minute, int n);
void world_checkpoint(struct tier_world *w);
/* Every sample of both is the same; with may_fail an answer that is an UNAVAILABLE error is right as well (returns false). */
bool world_compare(struct tier_world *w, bool may_fail, const char *what);
silex_metrics world_metrics(struct tier_world *w);
size_t world_files(struct tier_world *w, const char *dir, const char *suffix);
/* Moves all that is due until the call says OK; faults must be off. */
void world_settle(struct tier_world *w);
/* The store holds the cold blocks and nothing else, the disk the warm ones and stubs. */
void world_check_places(struct tier_world *w, const char *what);

#endif
