/* Retention: how long what is kept, and what may not go. SPDX-License-Identifier: MIT
 *
 *	silex_retention_rule rules[] = {
 *		{ .tenant = "ward", .selector = "{study=\"A17\"}", .hold = "court order 12/26" },
 *		{ .tenant = "ward", .selector = "ecg_mv", .keep_ms = 14 * 86400000LL },
 *		{ .keep_ms = 365 * 86400000LL },
 *	};
 *	silex_retention r;
 *	silex_retention_init(&r);
 *	r.rules = rules;
 *	r.n_rules = 3;
 *	silex_set_retention(db, &r, &err);
 *
 * A database keeps everything until told otherwise; what it is told is kept in it and holds after the next open.
 * - For a series the first rule counts whose tenant, selector and roll-up level fit; no rule: it is kept for ever.
 * - Samples older than that are in no answer from the moment they are too old, and writes of such are refused by themselves
 *   (INVALID), the rest of the batch going on. Blocks that hold nothing else go as a whole within a minute, parts of blocks
 *   when they are compacted: at the latest when a fifth of a block is too old, so little room is held by what is gone. What
 *   roll-ups are still to be made of (rollup.h) waits for them on disk.
 * - A legal hold wins over every rule and over size_max; a delete that would take a sample of a held series is refused
 *   (PERMISSION_DENIED), naming the hold. Exemplars and roll-ups of held series are held too.
 * - Rules may change at any time. A longer one shows again what has not been removed yet.
 * Time is the wall clock of the database. */
#ifndef SILEX_RETENTION_H
#define SILEX_RETENTION_H

#include <silex/silex.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct silex_retention_rule {
	const char *tenant;   /* NULL: every tenant */
	const char *selector; /* NULL: every series */
	const char *rollup;   /* NULL: the samples; "1m", "1h", ...: the roll-ups of that level; "*": roll-ups of every level */
	int64_t keep_ms;      /* 0: for ever */
	const char *hold;     /* a legal hold of this name; rollup and keep_ms stay empty. NULL: an ordinary rule */
} silex_retention_rule;

/* For pairs of agents that send the same series (Prometheus HA): of the samples of a series whose times lie in one interval
 * ((k-1)*i, k*i], counted from the epoch, the latest is kept. In answers at once, on disk when blocks are compacted; either way answers
 * are the same. A delete begins with the interval that its start lies in. Longer intervals or none show again what is on disk still. */
typedef struct silex_dedup {
	const char *tenant; /* NULL: every tenant that no other names */
	int64_t interval_ms;
} silex_dedup;

typedef struct silex_retention {
	size_t size;
	const silex_retention_rule *rules;
	size_t n_rules;
	const silex_dedup *dedup;
	size_t n_dedup;
	uint64_t size_max;  /* bytes of blocks on the local disk; beyond it the oldest samples go (the log has max_wal_size). 0: no limit */
	const char *origin; /* who set it, for people ("silex.yml"); NULL: "api" */
} silex_retention;

SILEX_API void silex_retention_init(silex_retention *r);
/* Replaces everything. INVALID names the rule, counted from 1, and what is wrong with it. Durable when it returns OK. */
SILEX_API silex_status silex_set_retention(silex_db *db, const silex_retention *r, silex_error *err);
/* What is in force, in one piece of memory of the database; freed before the database is closed. */
SILEX_API silex_status silex_get_retention(silex_db *db, silex_retention **ret, silex_error *err);
SILEX_API void silex_retention_free(silex_db *db, silex_retention *r); /* NULL is fine */

/* What a rule took or would take. Strings live during the call. */
typedef struct silex_expired {
	const char *tenant;
	const char *selector; /* of the rule; "" every series */
	const char *rollup;   /* NULL: samples */
	int64_t keep_ms;      /* 0: not by age but by size_max; then tenant is "*", series 0, and the rest an estimate */
	uint64_t series, points, bytes; /* bytes: compressed, in blocks, estimated where a chunk goes in part */
	int64_t first, last;  /* times of the points, in the database's unit */
} silex_expired;
typedef bool (*silex_expired_fn)(void *arg, const silex_expired *x); /* false stops the report, not the work */

/* Tells rule by rule what is on disk or in the head and too old, then (unless dry_run) removes it, down to single samples.
 * `each` may be NULL. */
SILEX_API silex_status silex_apply_retention(silex_db *db, bool dry_run, silex_expired_fn each, silex_progress_fn progress, void *arg,
	silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
