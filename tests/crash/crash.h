/* Crash simulation: a script of operations, run on a simulated file system with one fault, and the check of what it left.
 *
 *     script   what is done, drawn from a seed; what each operation would change is known before anything runs
 *     run      one script with one fault at one call; remembers which operations were acknowledged
 *     state    what a database holds, and whether that is one of the states that the promise of its mode allows */
#ifndef CRASH_H
#define CRASH_H

#include "base/vfs_sim.h"

#include <silex/silex.h>

enum { TENANTS = 2, SERIES = 6, SLOTS = 48, OPS_MAX = 48, ROWS_MAX = 40, STATES = 5 };

/* What one slot (tenant, series, instant) holds. bits: a double, an int64, the number of a state, or what makes
 * bytes (oracle.h). */
struct sample {
	bool present;
	silex_kind kind;
	uint64_t bits;
};

struct state {
	struct sample at[TENANTS][SERIES][SLOTS];
};

enum op_kind {
	OP_INSERT, OP_BATCH, OP_APPEND, OP_VALUES, OP_COLUMNS, OP_ASYNC, OP_BYTES, OP_DELETE, OP_CLEANUP,
	OP_FLUSH, OP_CHECKPOINT, OP_COMPACT, OP_REOPEN, OP_KINDS
};
extern const char *const op_name[OP_KINDS];

struct row {
	int series, slot;
	struct sample sample;
};

struct op {
	enum op_kind kind;
	int tenant;
	size_t n; /* rows */
	struct row rows[ROWS_MAX];
	bool taken[SERIES]; /* deletes */
	int from, to;
	char selector[64];
	bool full;
};

/* One change of one slot. */
struct effect {
	struct effect *next; /* of the same slot, in the order of operations */
	int op;
	struct sample sample;
};

struct script {
	uint64_t seed;
	int n;
	struct op ops[OPS_MAX];
	int64_t time[SLOTS]; /* ascending */
	struct effect *first[TENANTS][SERIES][SLOTS];
	struct effect *effects;
	silex_sync sync;
	const char *codec, *compression;
	uint64_t segment_size;
};

/* Which operations are in the database for sure, and which may be. */
enum fate { NOT_TRIED, FAILED, ACKNOWLEDGED };

struct history {
	enum fate fate[OPS_MAX];
	int tried;   /* operations before this one were tried */
	int durable; /* operations before this one are durable in every mode: a flush or checkpoint succeeded after them */
};

void script_make(struct script *s, uint64_t seed);
void script_free(struct script *s);
void series_labels(int series, char text[2][8], silex_label ret[2]);
extern const char *const tenant_name[TENANTS];
extern const char *const state_text[STATES];

/* Everything in the database. False (and words printed) when it does not answer or holds what nobody wrote. */
bool state_read(silex_db *db, const struct script *s, struct state *ret);
/* Whether `st` may be there after the history. all: the tried operations as they are (nothing was lost since); else the
 * state may be that of any moment since `durable`. */
bool state_allowed(const struct script *s, const struct history *h, const struct state *st, bool all);
bool state_equal(const struct state *want, const struct state *got);

struct outcome {
	bool ok, fired;
	uint64_t calls;      /* of the run, to the file system */
	uint64_t allocations;
	uint64_t fired_call; /* where the fault happened */
	char fired_at[128];
};

/* Bugs put in on purpose, to see that they are found. */
enum plant { PLANT_NONE, PLANT_MISSING_SYNC, PLANT_EARLY_CUT };

/* Beside enum slx_sim_fault: the at-th allocation (every third time: 30 of them) is refused. */
enum { FAULT_NO_MEMORY = SLX_SIM_KILL + 1 };

/* fault SLX_SIM_NONE counts the calls. */
struct outcome crash_run(const struct script *s, int fault, uint64_t at, enum plant plant, bool verbose);

#endif
