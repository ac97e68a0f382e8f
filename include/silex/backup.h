/* Silex: snapshots, backups and restore. SPDX-License-Identifier: MIT
 *
 * A snapshot is a consistent copy of a database made while it works: a folder that opens as a database (hard links where the
 * file system allows, so in milliseconds), or one portable file. A backup goes to a target that keeps many: a block that the
 * target has already is not sent again. With the log archived to the target too, a database comes back as it was at any
 * moment in between.
 *
 * A target is a folder ("/mnt/backup", "folder:/mnt/backup"), the url of an object store ("s3://bucket/prefix?..."; store.h), or
 * "store:NAME", one of the stores that the database's options name. `db` below: options with such stores, their kinds
 * and environment; NULL: defaults.
 * Conventions of silex.h hold. Nothing here holds up writers or readers of the database. */
#ifndef SILEX_BACKUP_H
#define SILEX_BACKUP_H

#include <silex/silex.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

typedef struct silex_snapshot_options {
	size_t size;
	bool one_file;  /* one portable file with checksums instead of a folder */
	bool skip_head; /* only what is in blocks already: no flush */
	silex_progress_fn progress;
	void *progress_arg;
} silex_snapshot_options;
SILEX_API void silex_snapshot_options_init(silex_snapshot_options *o);

typedef struct silex_snapshot_info {
	uint64_t blocks, points, bytes; /* of the blocks */
	uint64_t linked;                /* blocks that are hard links; the others are copies */
} silex_snapshot_info;

/* path must not be there (an empty folder may). All acknowledged writes are in it. CONFLICT: something is at path. On failure what
 * was made is removed. ret may be NULL. */
SILEX_API silex_status silex_snapshot(silex_db *db, const char *path, const silex_snapshot_options *o, silex_snapshot_info *ret, silex_error *err);

/* --- restore ------------------------------------------------------------------------------------------------------- */

typedef struct silex_restore_options {
	size_t size;
	bool force; /* replace the database in the directory; what was there stays until the new one was verified */
	const char *id;     /* of a backup: which; NULL: the newest (until: the newest before it) */
	int64_t until_ns;   /* of a backup: with the archived log up to this moment, included (nanoseconds since 1970; SILEX_TIME_MAX: to
	                     * its end); 0: the backup as it is */
	const char *tenant_from, *tenant_to; /* silex_restore_into: NULL is "default"; tenant_to NULL: tenant_from */
	const silex_options *db; /* how the restored database is opened to be verified; NULL: defaults */
	silex_progress_fn progress;
	void *progress_arg;
} silex_restore_options;
SILEX_API void silex_restore_options_init(silex_restore_options *o);

typedef struct silex_restore_info {
	char id[64];      /* of the backup; empty: a snapshot */
	uint64_t blocks, points, bytes;
	uint64_t frames;  /* of the log, replayed */
	int64_t until_ms; /* newest write in it, milliseconds since 1970; 0: not known */
} silex_restore_info;

/* from: a snapshot (folder or file) or a backup target. dir: where the database shall be: absent or empty, or, with force, a
 * database that no program has open (else CONFLICT, and nothing is touched). Every checksum is verified before it is done. */
SILEX_API silex_status silex_restore(const char *from, const char *dir, const silex_restore_options *o, silex_restore_info *ret, silex_error *err);
/* The samples of one tenant of a snapshot or backup into a tenant of an open database, beside what is there; an equal time is
 * overwritten. */
SILEX_API silex_status silex_restore_into(const char *from, silex_db *db, const silex_restore_options *o, silex_restore_info *ret, silex_error *err);

/* --- backups -------------------------------------------------------------------------------------------------------- */

typedef struct silex_backup_info {
	char id[64];       /* "20261121T120000Z-1a2b3c4d" */
	int64_t time_ms;   /* when it was begun, since 1970 */
	int64_t took_ms;
	uint64_t blocks, points, bytes; /* all that a restore reads */
	uint64_t new_blocks, new_bytes; /* sent by this backup; the rest was there */
	bool full;
	char host[64];     /* who made it */
} silex_backup_info;

typedef struct silex_backup_options {
	size_t size;
	bool full; /* trust nothing at the target: read back and check what is there, send what is damaged again */
	silex_progress_fn progress;
	void *progress_arg;
} silex_backup_options;
SILEX_API void silex_backup_options_init(silex_backup_options *o);

/* CONFLICT: another backup or prune works on the target (its lock is younger than five minutes). ret may be NULL. */
SILEX_API silex_status silex_backup_create(silex_db *db, const char *target, const silex_backup_options *o, silex_backup_info *ret, silex_error *err);

typedef bool (*silex_backup_fn)(void *arg, const silex_backup_info *info);
/* Oldest first, until each returns false. A damaged manifest is CORRUPT, after the others were shown. */
SILEX_API silex_status silex_backup_list(const char *target, const silex_options *db, silex_backup_fn each, void *arg, silex_error *err);

typedef struct silex_backup_report {
	uint64_t backups, objects, bytes, log_segments, log_frames, faults;
} silex_backup_report;
/* Reads every object that a backup (id NULL: all, and the archived log) names and checks it. Each fault is a line that names the
 * object. CORRUPT if any. */
SILEX_API silex_status silex_backup_verify(const char *target, const silex_options *db, const char *id, silex_progress_fn progress, silex_text_fn fault, void *arg,
	silex_backup_report *ret, silex_error *err);

typedef struct silex_prune_report {
	uint64_t backups, blocks, log_segments, bytes; /* removed */
	uint64_t kept;                                  /* backups */
} silex_prune_report;
/* Keeps the newest `keep` backups (at least 1), and every object that these name. dry_run: only counts. */
SILEX_API silex_status silex_backup_prune(const char *target, const silex_options *db, unsigned keep, bool dry_run, silex_prune_report *ret, silex_error *err);

/* --- the log to the target ------------------------------------------------------------------------------------------ */

typedef struct silex_archive silex_archive;

/* Begins to keep log segments until they were shipped (also over restarts: in DIR/wal/archive), at most keep_bytes of them
 * (0: 4 GiB); more are given up, oldest first, and the gap is counted. Needs a log. One a database; the caller ships. */
SILEX_API silex_status silex_archive_open(silex_db *db, const char *target, uint64_t keep_bytes, silex_archive **ret, silex_error *err);

typedef struct silex_archive_info {
	uint64_t segments, bytes;  /* shipped since open */
	uint64_t waiting_bytes;    /* in closed segments */
	uint64_t lost_segments;    /* given up */
	int64_t shipped_ms;        /* newest write at the target, since 1970; 0: none yet */
} silex_archive_info;
/* Ships what is durable now. On failure the rest is kept for the next call. One thread at a time. ret may be NULL. */
SILEX_API silex_status silex_archive_ship(silex_archive *a, silex_archive_info *ret, silex_error *err);
SILEX_API void silex_archive_close(silex_archive *a); /* before the database; segments go on being kept */
/* Ends the keeping of segments in this database and removes those that wait. */
SILEX_API silex_status silex_archive_end(silex_db *db, silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
