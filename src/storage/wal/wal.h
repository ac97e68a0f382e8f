/* The write-ahead log: what a database has acknowledged and not yet put into blocks.
 *
 * A log is a sequence of frames, numbered densely from 1 (`seq`), each with a version (hybrid logical clock, issued in
 * the order of seq, monotone across restarts). A checkpoint is (uuid of the log, seq): everything up to seq lies in
 * blocks. Implementations: file (segments in a folder, docs/format/wal.md) and none (numbers, and nothing kept).
 *
 * Life: open, replay (once, also of an empty log), then append/wait/sync/rotate/cut from any thread, close.
 *
 * Promises of the file log (a frame is acknowledged when slx_wal_wait for it returned OK)
 *  - the process dies: nothing acknowledged is lost, in any mode;
 *  - the power goes: `always` loses nothing acknowledged, `interval` at most what came after the last slx_wal_sync
 *    (the log syncs itself each sync_interval), `never` what the system had not written yet; what remains is a prefix
 *    without gaps;
 *  - a failed sync or write is never repeated on its file: waiters get UNAVAILABLE, frames not known to be durable
 *    (kept in memory until they are, at most retain_size) go to a new segment, and if that fails too the log stops;
 *  - no space: waiters get RESOURCE_EXHAUSTED; frames appended before stay in memory and are written once there is
 *    space again; appends are refused until then. */
#ifndef SLX_STORAGE_WAL_H
#define SLX_STORAGE_WAL_H

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/vfs.h"

#include <sys/uio.h>

#define SLX_WAL_ARCHIVE "archive" /* subfolder, see slx_wal_archive */

enum slx_wal_sync {
	SLX_WAL_ALWAYS,   /* wait returns after a sync (group commit) */
	SLX_WAL_INTERVAL, /* wait returns after write(2); a thread syncs each sync_interval */
	SLX_WAL_NEVER,    /* wait returns after write(2); only full segments and a clean close are synced */
};

enum {
	SLX_WAL_FRAME_SIZE_MAX = 16 << 20, /* bytes of payload */
	SLX_WAL_KIND_FIRST = 16,           /* kinds below belong to the log itself */
	SLX_WAL_UUID_SIZE = 16,
	SLX_WAL_DAMAGE_MAX = 16, /* places of damage named one by one in a report */
};

struct slx_wal_options {
	/* Borrowed until close. */
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	const silex_clock *clock;
	const silex_random *random;

	const char *dir; /* made when absent; copied */
	enum slx_wal_sync sync;
	int64_t sync_interval_ns; /* interval only; 0: 1 s; negative: no thread, the caller calls slx_wal_sync (tests) */
	uint64_t segment_size;    /* bytes; 0: 64 MiB */
	size_t retain_size;       /* bytes of memory for frames not known durable; 0: 16 MiB */
	uint8_t uuid[SLX_WAL_UUID_SIZE]; /* the log that the manifest names; zeros: the one found, else a new one */
	uint64_t min_seq;                /* the manifest's checkpoint: new frames get greater numbers */
	uint64_t min_version;            /* new versions are greater */
	bool read_only;                  /* nothing is written or renamed; append is PERMISSION_DENIED */
};

/* Where a frame went. lsn orders waits: a wait for a later lsn covers earlier ones. */
struct slx_wal_pos {
	uint64_t seq, version, lsn;
};

/* One frame in replay. payload lives during the callback only. */
struct slx_wal_frame {
	uint64_t seq, version;
	uint64_t segment; /* scope of series references: frames with the same number share their definitions */
	uint8_t kind, format;
	bool covered; /* seq <= after_seq: handed over only because later frames may use what it defines */
	const uint8_t *payload;
	size_t n;
};

struct slx_wal_damage {
	char file[64];                /* name inside the log's folder */
	uint64_t offset, size;        /* bytes that no valid frame covers; size 0: the file, or its end, is missing */
	uint64_t first_seq, last_seq; /* frames lost; first > last: none that was needed */
};

struct slx_wal_report {
	uint64_t frames, bytes;       /* handed over, payload bytes */
	uint64_t first_seq, last_seq; /* found in the log (0, 0: none) */
	uint64_t torn_bytes;          /* cut from the end: writes that a crash interrupted */
	uint64_t torn_frames;         /* valid frames behind the tear, not replayed since frames before them are missing */
	uint64_t lost_frames;         /* sum over all damage */
	size_t damage_count;          /* may exceed SLX_WAL_DAMAGE_MAX */
	struct slx_wal_damage damage[SLX_WAL_DAMAGE_MAX];
	bool clean; /* the log was closed in order */
};

enum slx_wal_condition {
	SLX_WAL_RUNNING,
	SLX_WAL_FULL,    /* no space: appends are refused until a write succeeds again */
	SLX_WAL_STOPPED, /* a write or sync failed, and the new segment too: appends are refused for good; reads go on */
};

struct slx_wal_stats {
	enum slx_wal_condition condition;
	char reason[256]; /* of FULL and STOPPED */
	enum slx_wal_sync sync;
	uint64_t last_seq, last_version;
	uint64_t written_seq, durable_seq;
	uint64_t segments, bytes; /* in the folder now */
	uint64_t frames;          /* appended since open */
	uint64_t writes, syncs;   /* since open */
	uint64_t unsynced_bytes;
	uint64_t retained_bytes; /* memory */
	int64_t last_sync_ns;    /* wall clock; 0: not yet */
	uint64_t last_sync_took_ns;
};

struct slx_wal;

/* Called for every frame in order; a status other than OK ends the replay with it. */
typedef silex_status slx_wal_replay_fn(void *arg, const struct slx_wal_frame *f, silex_error *err);

struct slx_wal_ops {
	silex_status (*replay)(struct slx_wal *w, uint64_t after_seq, slx_wal_replay_fn *cb, void *arg,
		struct slx_wal_report *ret, silex_error *err);
	silex_status (*append)(struct slx_wal *w, uint8_t kind, uint8_t format, const struct iovec *parts, int count,
		uint64_t expected_segment, struct slx_wal_pos *ret, silex_error *err);
	silex_status (*wait)(struct slx_wal *w, uint64_t lsn, silex_error *err);
	silex_status (*sync)(struct slx_wal *w, silex_error *err);
	uint64_t (*segment)(struct slx_wal *w);
	silex_status (*rotate)(struct slx_wal *w, silex_error *err);
	silex_status (*archive)(struct slx_wal *w, bool on, silex_error *err);
	silex_status (*cut)(struct slx_wal *w, uint64_t seq, silex_error *err);
	void (*stats)(struct slx_wal *w, struct slx_wal_stats *ret);
	const uint8_t *(*uuid)(struct slx_wal *w);
	silex_status (*close)(struct slx_wal *w, silex_error *err);
};

struct slx_wal {
	const struct slx_wal_ops *ops;
};

/* Lists the folder and checks each segment's header: another log's segment is CORRUPT, a newer format UNSUPPORTED, both
 * by name. Frames are read by replay. */
silex_status slx_wal_open_file(const struct slx_wal_options *o, struct slx_wal **ret, silex_error *err);

/* Keeps nothing: wal=none, and databases in memory. Of the options it uses mem, clock, random, uuid, min_*. */
silex_status slx_wal_open_none(const struct slx_wal_options *o, struct slx_wal **ret, silex_error *err);

/* Streams the frames after after_seq, with memory for one frame, and makes the log ready for appends. Segments that
 * hold nothing later are skipped. Damage does not fail it: see the report. Exactly once, before anything else. */
static inline silex_status slx_wal_replay(struct slx_wal *w, uint64_t after_seq, slx_wal_replay_fn *cb, void *arg,
	struct slx_wal_report *ret, silex_error *err)
{
	return w->ops->replay(w, after_seq, cb, arg, ret, err);
}

/* Numbers a frame (kind >= SLX_WAL_KIND_FIRST; payload = the parts, at most SLX_WAL_FRAME_SIZE_MAX) and puts it into
 * the log's buffer: not kept until slx_wal_wait. expected_segment: what slx_wal_segment said when the caller chose
 * which definitions to include; CONFLICT, and nothing appended, when a new segment began since (ask again, define again).
 * 0: the frame refers to no definitions. Blocks only when retain_size of frames wait for the disk.
 * RESOURCE_EXHAUSTED, UNAVAILABLE: nothing appended (see the promises). */
static inline silex_status slx_wal_append(struct slx_wal *w, uint8_t kind, uint8_t format, const struct iovec *parts,
	int count, uint64_t expected_segment, struct slx_wal_pos *ret, silex_error *err)
{
	return w->ops->append(w, kind, format, parts, count, expected_segment, ret, err);
}

/* Returns when all frames up to lsn are as safe as the mode says. An error means "not known to be kept": the frame may
 * still be in the log after a restart. */
static inline silex_status slx_wal_wait(struct slx_wal *w, uint64_t lsn, silex_error *err)
{
	return w->ops->wait(w, lsn, err);
}

/* Makes everything appended so far durable, in every mode. */
static inline silex_status slx_wal_sync(struct slx_wal *w, silex_error *err) { return w->ops->sync(w, err); }

/* The number of the scope that the next frame will go into; grows. */
static inline uint64_t slx_wal_segment(struct slx_wal *w) { return w->ops->segment(w); }

/* Begins a new segment, unless the current one is empty. */
static inline silex_status slx_wal_rotate(struct slx_wal *w, silex_error *err) { return w->ops->rotate(w, err); }

/* Removes segments whose frames are all <= seq; call it after the manifest's checkpoint moved to seq. A segment with
 * damage is renamed to NAME.damaged instead. */
static inline silex_status slx_wal_cut(struct slx_wal *w, uint64_t seq, silex_error *err)
{
	return w->ops->cut(w, seq, err);
}

/* on: from now on, over restarts too, a segment that cut takes away moves to the subfolder `archive` instead (name: its number and
 * uuid) for whoever ships and removes it. off: they go again; what lies there stays. */
static inline silex_status slx_wal_archive(struct slx_wal *w, bool on, silex_error *err)
{
	return w->ops->archive(w, on, err);
}

static inline void slx_wal_stats(struct slx_wal *w, struct slx_wal_stats *ret) { w->ops->stats(w, ret); }
static inline const uint8_t *slx_wal_uuid(struct slx_wal *w) { return w->ops->uuid(w); }

/* Writes and syncs what is left, marks the log as closed in order, and frees it also when that fails. No other call may
 * be under way. NULL is fine. */
static inline silex_status slx_wal_close(struct slx_wal *w, silex_error *err)
{
	return w ? w->ops->close(w, err) : SILEX_OK;
}

#endif
