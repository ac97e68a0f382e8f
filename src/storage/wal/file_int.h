/* The file log's insides, shared by file.c (open, cut, close), commit.c (append, write, sync, recover) and replay.c.
 * Private to the room. */
#ifndef SLX_STORAGE_WAL_FILE_INT_H
#define SLX_STORAGE_WAL_FILE_INT_H

#include <stdatomic.h>
#include "storage/wal/segment.h"
#include "storage/wal/wal.h"

#include <pthread.h>

enum { SLX_WAL_PATH_SIZE = 4096, SLX_WAL_CHUNK_SIZE = 256 << 10, SLX_WAL_FREE_CHUNKS_MAX = 8 };

struct slx_wal_segment {
	struct slx_wal_segment *next;
	struct slx_walseg_header header;
	bool header_found;     /* false: the file is there, its header is not readable */
	bool damaged;          /* replay found damage in it: cut sets it aside */
	uint64_t frames;       /* replay: handed over */
	uint64_t frames_ahead; /* replay: intact frames seen when looking ahead */
	uint64_t last_seq;     /* of its frames; first_seq - 1 when it has none */
	uint64_t size;         /* bytes, header included, those not yet written too */

	/* Writer only (the thread that holds `writing`); others look under the lock once `dirty` was set. */
	struct slx_file *file; /* NULL: not open */
	_Atomic bool created;  /* the header is written; slx_wal_stats looks at any time */
	bool dirty;            /* lock: written since its last sync */
	bool cut;              /* lock: for slx_wal_cut alone */
};

/* A run of frames of one segment in memory, kept until it is durable (sync=never: until it is written). */
struct slx_wal_chunk {
	struct slx_wal_chunk *next;
	struct slx_wal_segment *segment;
	size_t cap, n;  /* bytes */
	size_t written; /* data[0, written) has been written to the segment, or never needs to be */
	size_t start;   /* data[start] lies at file offset `at` */
	uint64_t at;
	uint64_t lsn; /* of data[0] */
	uint8_t data[];
};

/* lsn: bytes appended since open, over all segments. written <= appended, durable <= written. */
struct slx_wal_file {
	struct slx_wal base;
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	const silex_clock *clock;
	const silex_random *random;
	char *dir;
	enum slx_wal_sync sync;
	int64_t sync_interval_ns;
	uint64_t segment_size;
	size_t retain_size;
	bool read_only;
	_Atomic bool archive; /* segments that are cut move to SLX_WAL_ARCHIVE */
	uint8_t uuid[SLX_WAL_UUID_SIZE];
	_Atomic uint64_t scope; /* of the current segment; set under the lock */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* writing or syncing ended */
	pthread_cond_t tick;    /* wakes the sync thread */
	pthread_t thread;
	bool has_thread;

	/* lock. Whoever sets writing (syncing) alone writes (syncs) files until it clears it, without the lock. */
	bool writing, syncing, recovering;
	bool replayed, closing, sync_wanted, dir_dirty;
	struct slx_wal_segment *segments, *current; /* oldest; newest. current is NULL until replay */
	struct slx_wal_chunk *chunks, *tail;        /* oldest, newest */
	struct slx_wal_chunk *free_chunks;
	unsigned free_count;
	size_t retained;           /* bytes of chunks */
	unsigned batch;            /* waits that the last write was for */
	_Atomic unsigned arrived;  /* waits since; also read by a leader that gathers */
	_Atomic unsigned expected; /* to arrive before the next write */
	uint64_t next_number;
	uint64_t last_seq, last_version, marked_seq, written_seq, durable_seq;
	uint64_t appended_lsn, durable_lsn;
	_Atomic uint64_t written_lsn;
	struct slx_wal_failure {
		uint64_t number; /* counts failures; 0: none yet */
		uint64_t from;   /* waits for lsn in (from, to] failed */
		_Atomic uint64_t to;
		silex_error error;
	} failure;
	enum slx_wal_condition condition;
	char reason[256];
	uint64_t frames, writes, syncs;
	int64_t last_sync_ns;
	uint64_t last_sync_took_ns;
};

/* file.c */
void slx_wal_segment_name(uint64_t number, char to[SLX_WALSEG_NAME_SIZE]);
silex_status slx_wal_path(const struct slx_wal_file *w, const char *name, char to[SLX_WAL_PATH_SIZE], silex_error *err);
/* lock held. Appends an empty segment to the list; scope 0: its own. Its file is made by the first write. */
silex_status slx_wal_segment_add(struct slx_wal_file *w, uint64_t scope, uint64_t first_seq, silex_error *err);
silex_status slx_wal_remove_segment(struct slx_wal_file *w, const struct slx_wal_segment *s, silex_error *err);
/* Renames a segment that holds what replay could not use to NAME.damaged. */
silex_status slx_wal_set_aside(struct slx_wal_file *w, struct slx_wal_segment *s, silex_error *err);
silex_status slx_wal_start_thread(struct slx_wal_file *w, silex_error *err);

/* commit.c; lock held */
silex_status slx_wal_advance(
	struct slx_wal_file *w, uint64_t lsn, bool durable, uint64_t since_failure, silex_error *err);
void slx_wal_put_mark(struct slx_wal_file *w); /* needs room in the tail chunk */
void slx_wal_release(struct slx_wal_file *w);
silex_status slx_wal_make_room(struct slx_wal_file *w, size_t n, silex_error *err);

/* commit.c, without the lock */
silex_status slx_wal_file_append(struct slx_wal *base, uint8_t kind, uint8_t format, const struct iovec *parts,
	int count, uint64_t expected_segment, struct slx_wal_pos *ret, silex_error *err);
silex_status slx_wal_file_wait(struct slx_wal *base, uint64_t lsn, silex_error *err);
silex_status slx_wal_file_sync(struct slx_wal *base, silex_error *err);
silex_status slx_wal_file_rotate(struct slx_wal *base, silex_error *err);

/* replay.c */
silex_status slx_wal_file_replay(struct slx_wal *base, uint64_t after_seq, slx_wal_replay_fn *cb, void *arg,
	struct slx_wal_report *ret, silex_error *err);

#endif
