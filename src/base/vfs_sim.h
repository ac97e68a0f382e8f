/* A file system in memory that fails and crashes on command: for crash tests and fault injection.
 *
 * It keeps for each file what a power cut would leave (synced bytes, synced names) apart from what a running program
 * sees. Each call that changes or reads files is counted; at a chosen count it fails (EIO, ENOSPC, short), or the
 * "power" goes: every later call fails, and slx_vfs_sim_reboot builds the file system that comes back. Deterministic:
 * same seed, same calls, same result. */
#ifndef SLX_BASE_VFS_SIM_H
#define SLX_BASE_VFS_SIM_H

#include "base/vfs.h"

enum slx_sim_fault {
	SLX_SIM_NONE,
	SLX_SIM_EIO,        /* the call fails, nothing happens */
	SLX_SIM_ENOSPC,     /* writes, creates, truncations, mkdirs fail from here until slx_vfs_sim_heal */
	SLX_SIM_SHORT,      /* a write keeps only a part of its bytes and then fails */
	SLX_SIM_SYNC_FAILS, /* the sync fails; the bytes it should have kept are lost, though reads may still see them */
	SLX_SIM_POWER_CUT,  /* everything stops here; unsynced writes are lost, kept, torn or reordered by the seed */
	SLX_SIM_KILL,       /* the process dies here: later calls fail, but all completed writes survive */
};

struct slx_vfs_sim;

struct slx_vfs_sim *slx_vfs_sim_new(uint64_t seed);
void slx_vfs_sim_free(struct slx_vfs_sim *s);
struct slx_vfs *slx_vfs_sim_vfs(struct slx_vfs_sim *s);

/* Arms one fault at the at-th counted call from now (1 = the next). Faults that do not fit the call (SYNC_FAILS on a
 * read) wait for the next call that they fit. */
void slx_vfs_sim_arm(struct slx_vfs_sim *s, enum slx_sim_fault fault, uint64_t at);
void slx_vfs_sim_set_free(struct slx_vfs_sim *s, uint64_t bytes); /* what free_space says, of a disk of 1 TiB; writes do not care */
void slx_vfs_sim_heal(struct slx_vfs_sim *s);      /* no fault armed or lasting */
uint64_t slx_vfs_sim_calls(struct slx_vfs_sim *s); /* counted calls so far */
bool slx_vfs_sim_fired(struct slx_vfs_sim *s);     /* the armed fault has happened */
uint64_t slx_vfs_sim_fired_call(struct slx_vfs_sim *s);  /* at this call, as slx_vfs_sim_calls counts */
const char *slx_vfs_sim_fired_at(struct slx_vfs_sim *s); /* "write wal/000001.log", for messages */

/* After POWER_CUT or KILL (or at any time: power cut now): all open files become stale (their calls fail), locks are
 * gone, and the visible content becomes what survived. What still holds files of the life before may open and write
 * new ones: close it before (arm a KILL at 1 for an end without a clean close). */
void slx_vfs_sim_reboot(struct slx_vfs_sim *s, bool power_cut);

/* Test of the test: pretend that syncs (of files whose path contains `substring`; NULL ends it) do nothing though they
 * report success, to plant a "missing fsync". */
void slx_vfs_sim_lie_about_sync(struct slx_vfs_sim *s, const char *substring);

/* Flips or truncates stored bytes, durable ones too: damage. */
bool slx_vfs_sim_flip_bit(struct slx_vfs_sim *s, const char *path, uint64_t bit);

#endif
