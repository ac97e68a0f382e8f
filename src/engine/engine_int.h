/* Inside of the engine room. */
#ifndef SLX_ENGINE_ENGINE_INT_H
#define SLX_ENGINE_ENGINE_INT_H

#include "base/clock.h"
#include "base/thread.h"
#include "base/vfs.h"
#include "engine/engine.h"
#include "engine/tier.h"
#include "storage/meta/meta.h"
#include "storage/tsdb/chunker.h"
#include "storage/tsdb/window.h"
#include "storage/wal/wal.h"

/* A block in use. Held by views; the last one to let go of a doomed block removes its file. */
struct slx_used_block {
	_Atomic uint32_t refs;
	_Atomic bool doomed;
	_Atomic bool damaged; /* a compaction could not read it: left as it is, for repair from a backup */
	int64_t expire_next;  /* wall clock: looked at for what is too old, not again before; engine->compact_lock */
	struct slx_block *block;
	struct slx_store *store;    /* what it is read from: the folder of blocks, or its own when it is cold */
	struct slx_upload *upload;  /* where it lies when it is cold; NULL: here */
	struct slx_block_info info;
	uint64_t internal_points; /* those among its points that are of internal tenants */
};

/* A delete that blocks have not digested yet. Immutable, ref-counted. */
struct slx_tombstone {
	_Atomic uint32_t refs;
	uint64_t version;
	struct slx_time_range range;
	struct slx_str tenant;   /* in the allocation */
	struct slx_selector sel;
	char *text;              /* canonical selector, as stored */
	size_t text_n;
};

/* What readers see at one moment; immutable, ref-counted. Any change makes a new one. */
struct slx_view {
	_Atomic uint32_t refs;
	struct slx_engine *engine;
	struct slx_head *active;
	struct slx_head *frozen; /* being flushed; NULL mostly */
	uint64_t frozen_floor;   /* version of the freeze: later tombstones apply to `frozen` */
	struct slx_used_block **blocks; /* by vmax ascending */
	size_t n_blocks;
	struct slx_tombstone **tombs; /* by version ascending */
	size_t n_tombs;
};

/* A tenant as the engine knows it. Name and pointer never change; the rest is guarded as said. */
struct slx_tenant {
	struct slx_str name;
	uint64_t hash;
	_Atomic uint64_t series_max;     /* 0: the database's */
	_Atomic uint64_t head_bytes_max;
	_Atomic int64_t head_bytes;      /* estimate of what it put into the active head; 0 again at each freeze */
	_Atomic bool limits_set;         /* to be kept in the manifest */
	_Atomic int64_t keep_least;      /* ns: the shortest time that a rule of retention keeps some series of it; 0: none does */
	struct slx_states *states;       /* NULL until the first; engine->tenants_lock */
	_Atomic int64_t rollup_mark;     /* ns: samples at or before it are late for its roll-ups (rollup_int.h); INT64_MIN: none is */
	struct slx_tenant *payer;        /* whose limits and memory its writes count against: itself, or the user's tenant */
	_Atomic int64_t late_grace_ns, late_max_ns; /* late samples are looked for when max is not 0 */
	_Atomic int64_t late_oldest;     /* SLX_TIME_MAX: none */
	bool metadata_known;             /* what is stored is in engine->known; engine->tenants_lock */
};

/* Dictionary of one tenant's states: number <-> text. Append-only; texts never move. */
struct slx_states {
	char **text;
	uint32_t n, cap;
};

struct slx_tenants {
	struct slx_tenant **map; /* open addressing by hash */
	uint32_t n, cap;
};

/* What the metadata of metrics was when it was written last, as hashes, so that it is not written again; open addressing. */
struct slx_known_metadata {
	struct { uint64_t metric, content; } *slot; /* metric 0: free */
	uint32_t n, cap;
};

/* Scratch of one stripe, guarded by its lock. */
struct slx_stripe {
	pthread_mutex_t lock;
	struct slx_buf frame;      /* log frame being built */
	struct slx_buf defs;       /* its definitions, before compression */
	struct slx_buf label;      /* labels of one series */
	struct slx_sx_hint hint;
} __attribute__((aligned(64)));

enum { SLX_GROUP_MAX = 2048 }; /* rows handled under one lock at a time */

/* Blocks listed in the manifest that could not be opened: kept in the manifest, named in health. */
struct slx_lost_block {
	struct slx_block_info info;
	struct slx_lost_block *next;
};

/* A store of silex_options.stores. */
struct slx_named_store {
	const char *name; /* the application's */
	struct slx_store *store;
};

enum { SLX_RATE_SECONDS = 60 };

enum slx_room { SLX_ROOM_OK, SLX_ROOM_WARN, SLX_ROOM_LOW }; /* on the disk */

struct slx_engine {
	void *block; /* as allocated */
	struct slx_mem mem;
	silex_clock clock;
	silex_random random;
	struct slx_vfs *vfs;
	silex_options opt;
	struct slx_codec_choice codecs;
	struct slx_levels levels;
	char *path; /* NULL: in memory */
	struct slx_file *lock_file;
	struct slx_store *store;
	struct slx_named_store *stores; /* opt.n_stores; opened before the manifest is read, closed after the last block */
	struct slx_tier tier;
	struct slx_meta *meta;
	struct slx_wal *wal;
	struct slx_cache *cache;
	struct slx_pool *pool;
	int64_t opened_ns; /* monotonic */

	struct slx_stripe stripes[SLX_STRIPES];
	_Atomic uint32_t next_ref;  /* log references given out in the active head */
	_Atomic(struct slx_head *) active; /* changed with all stripes and view_lock held; stable under any one stripe */
	struct slx_observer observer; /* changed with all stripes held; read under any one */
	_Atomic bool observed;        /* whether there is one: clocks are read for it */

	pthread_mutex_t view_lock; /* guards view and the list of snapshots; held for moments */
	struct slx_view *view;
	struct slx_snapshot *snapshots;
	struct slx_retention *retention; /* NULL: none was ever set. Changed with manifest_lock, all stripes, tenants_lock and view_lock held */

	pthread_mutex_t manifest_lock; /* one manifest edit at a time; view_lock nests inside */
	uint64_t manifest_version;
	bool manifest_unsure; /* the last edit failed and may be on disk: files it names must stay */
	uint64_t checkpoint_seq;
	uint64_t max_version;      /* as of the last edit */
	uint64_t known_version;    /* of the newest delete that the manifest may tell of: the log is durable up to there */
	uint64_t generation;
	uint64_t flushed_version;  /* version of the last freeze that reached blocks */
	uint64_t frozen_seq;       /* log position of the view's frozen head */
	struct slx_lost_block *lost;
	struct slx_wal_report replayed; /* what open found in the log */

	uint64_t retention_version;       /* of its document; manifest_lock */
	uint32_t retention_gen;

	pthread_mutex_t flush_lock;   /* one flush at a time */
	pthread_mutex_t compact_lock; /* one compaction at a time */

	pthread_mutex_t tenants_lock; /* tenants, states, known */
	struct slx_tenants tenants;
	struct slx_known_metadata known;

	struct slx_rollups *rollups; /* rollup_int.h; as long as the engine */

	/* Background (background.c): guarded by bg_lock. */
	pthread_mutex_t bg_lock;
	pthread_cond_t bg_wake;  /* something to do */
	pthread_cond_t bg_room;  /* memory came free, or a flush failed */
	pthread_t bg_thread, compact_thread, tier_thread;
	bool tier_running; /* the third one */
	bool bg_running, bg_stop, bg_flush_wanted, bg_compact_wanted;
	int64_t expire_due_ns;   /* monotonic: the next pass of retention */
	uint64_t flush_rounds;   /* completed tries */
	int64_t flush_retry_ns;  /* monotonic: not before */

	/* Counters. */
	_Atomic int64_t head_first_write_ns; /* monotonic; 0: empty head */
	_Atomic uint64_t points_ingested, points_refused, points_head, points_frozen;
	_Atomic enum slx_room room;                   /* room.c; disk_*: bytes, as of the last look */
	_Atomic uint64_t disk_free, disk_total;
	_Atomic uint64_t points_expired;              /* refused: older than retention */
	_Atomic uint64_t expired_blocks, expired_bytes; /* blocks that retention dropped whole, what its merges gave back too */
	_Atomic uint64_t flushes, compactions, queries, query_ns;
	_Atomic uint64_t query_latency[SILEX_LATENCY_BUCKETS];
	_Atomic uint64_t damaged_pages, damaged_frames, torn_bytes;
	_Atomic uint64_t rate_second[SLX_RATE_SECONDS], rate_points[SLX_RATE_SECONDS];
	_Atomic bool stopping;
	pthread_mutex_t health_lock;
	char flush_error[200]; /* of the last flush; empty when it went well */
};

/* --- view.c --- */
struct slx_view *slx_view_get(struct slx_engine *e); /* a reference */
struct slx_view *slx_view_of_blocks(struct slx_engine *e); /* a copy without heads, for long work; NULL when out of memory */
void slx_view_unref(struct slx_view *v);
/* A copy of the current view with own references, to change and install. NULL when out of memory. */
struct slx_view *slx_view_copy(struct slx_engine *e, size_t more_blocks, size_t more_tombs);
void slx_view_install(struct slx_engine *e, struct slx_view *v); /* takes the reference; view_lock not held */
struct slx_used_block *slx_used_block_new(struct slx_engine *e, const char *name, silex_error *err);
struct slx_used_block *slx_used_block_cold(struct slx_engine *e, struct slx_upload *u, silex_error *err); /* from its stub; u is COLD then */
void slx_used_block_unref(struct slx_engine *e, struct slx_used_block *b);
void slx_view_sort_blocks(struct slx_view *v);
/* Drops the tombstones that hide nothing any more: no frozen head and no block older than them overlaps their range. */
void slx_view_prune_tombs(struct slx_engine *e, struct slx_view *v);
struct slx_tombstone *slx_tombstone_new(struct slx_engine *e, struct slx_str tenant, struct slx_str selector, struct slx_time_range range,
	uint64_t version, silex_error *err);
void slx_tombstone_unref(struct slx_engine *e, struct slx_tombstone *t);
/* Does this tombstone hide samples of that series, and of which range? It hides exemplars with the series they are of, and the roll-up
 * buckets that hold samples of its range. */
silex_status slx_tombstone_matches(const struct slx_tombstone *t, struct slx_str tenant, struct slx_labels l, struct slx_time_range *ret_range, bool *ret,
	silex_error *err);
/* Its range for the samples of a tenant as stored. */
struct slx_time_range slx_tombstone_range(const struct slx_tombstone *t, struct slx_str tenant);
/* All that it may hide, roll-ups too. */
struct slx_time_range slx_tombstone_reach(struct slx_engine *e, const struct slx_tombstone *t);

/* --- manifest.c --- */
silex_status slx_manifest_load(struct slx_engine *e, uint8_t ret_log_uuid[SLX_WAL_UUID_SIZE], silex_error *err);
/* Writes what view v and the engine's fields say, with the given checkpoint. manifest_lock held. */
silex_status slx_manifest_store(struct slx_engine *e, const struct slx_view *v, uint64_t checkpoint_seq, uint64_t max_version, silex_error *err);

/* What a copy of view v would say: the same, but of a log that has not begun yet. manifest_lock held; no block is lost. */
silex_status slx_manifest_image(struct slx_engine *e, const struct slx_view *v, struct slx_buf *out, silex_error *err);

/* --- record.c: payloads of log frames --- */
enum slx_record_kind {
	SLX_RECORD_SAMPLES = SLX_WAL_KIND_FIRST,
	SLX_RECORD_DELETE,
	SLX_RECORD_STATES,
	SLX_RECORD_LIMITS,
};

struct slx_record_samples {
	enum slx_kind kind;
	size_t n;
	const uint32_t *refs; /* n <= SLX_GROUP_MAX */
	const int64_t *ts;
	const uint64_t *bits; /* decoded bytes lie in the reader or the frame */
};

/* Appends one definition to defs. */
void slx_record_def(struct slx_buf *defs, uint32_t ref, struct slx_str tenant, struct slx_labels l);
/* The frame: definitions (compressed when that pays), then samples. */
void slx_record_samples_encode(struct slx_buf *out, const struct slx_buf *defs, size_t n_defs, const struct slx_record_samples *s, struct slx_sx_hint *hint);

struct slx_record_reader {
	struct slx_mem *mem;
	struct slx_buf defs;   /* decompressed definitions */
	struct slx_buf values; /* decompressed values that are bytes */
	uint32_t *refs;
	int64_t *ts;
	uint64_t *bits;
};
typedef silex_status slx_record_def_fn(void *arg, uint32_t ref, struct slx_str tenant, struct slx_labels l, silex_error *err);
silex_status slx_record_reader_init(struct slx_record_reader *r, struct slx_mem *m, silex_error *err);
void slx_record_reader_free(struct slx_record_reader *r);
silex_status slx_record_samples_decode(struct slx_record_reader *r, const uint8_t *p, size_t n, slx_record_def_fn *def, void *arg,
	struct slx_record_samples *ret, silex_error *err);

void slx_record_delete_encode(struct slx_buf *out, struct slx_str tenant, struct slx_str selector, struct slx_time_range range);
silex_status slx_record_delete_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, struct slx_str *ret_selector, struct slx_time_range *ret_range,
	silex_error *err);
void slx_record_state_encode(struct slx_buf *out, struct slx_str tenant, uint32_t number, struct slx_str text);
silex_status slx_record_state_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, uint32_t *ret_number, struct slx_str *ret_text, silex_error *err);
void slx_record_limits_encode(struct slx_buf *out, struct slx_str tenant, uint64_t series_max, uint64_t head_bytes_max);
silex_status slx_record_limits_decode(const uint8_t *p, size_t n, struct slx_str *ret_tenant, uint64_t *ret_series_max, uint64_t *ret_head_bytes_max,
	silex_error *err);

/* --- tenant.c --- */
silex_status slx_states_set(struct slx_engine *e, struct slx_tenant *t, uint32_t number, struct slx_str text, silex_error *err); /* tenants_lock held */
void slx_tenants_free(struct slx_engine *e);
/* Tenants that have data, internal ones too, sorted; *ret from e->mem (SLX_MEM_OTHER), *ret_n elements. Names live as long as e. */
silex_status slx_engine_stored_tenants(struct slx_engine *e, struct slx_str **ret, size_t *ret_n, silex_error *err);
void slx_tenants_reset(struct slx_engine *e); /* head_bytes of all to 0: the head was frozen */

/* --- companion.c --- */
/* The name of the internal tenant that keeps the exemplars of t. */
enum { SLX_COMPANION_NAME_SIZE = SLX_TENANT_STORED_MAX };
struct slx_str slx_companion_exemplars(struct slx_str tenant, char room[SLX_COMPANION_NAME_SIZE]);
void slx_companions_free(struct slx_engine *e);

/* --- write.c --- */
/* Applies decoded samples to the active head: replay. */
silex_status slx_engine_apply(struct slx_engine *e, struct slx_handle *const *handles, const struct slx_record_samples *s, silex_error *err);
void slx_engine_lock_stripes(struct slx_engine *e);
void slx_engine_unlock_stripes(struct slx_engine *e);

/* --- observe.c --- */
/* Under the stripe's lock: the mark of a series that was just created. */
void slx_observe_new(struct slx_engine *e, const struct slx_head *head, struct slx_str tenant, struct slx_labels l, struct slx_head_series *s);
/* When a write began, for the observer. */
struct slx_arrival {
	int64_t monotonic_ns, wall_ns; /* 0: nobody watches */
	bool backfill;
};
struct slx_arrival slx_observe_arrival(struct slx_engine *e, bool backfill);

/* --- engine.c --- */

struct slx_store *slx_engine_store(struct slx_engine *e, const char *name); /* of silex_options.stores; NULL: none of that name */
enum { SLX_DAMAGE_TEXT_SIZE = 256 };
void slx_engine_damage_text(const struct slx_wal_damage *d, char ret[SLX_DAMAGE_TEXT_SIZE]);

/* --- delete.c --- */
/* Installs v, a copy of the view with room for one more tombstone, with t in it, then edits the active head. manifest_lock
 * and the stripes are held. When an edit fails for lack of memory, what it left stands until a replay. */
silex_status slx_engine_bury(struct slx_engine *e, struct slx_view *v, struct slx_tombstone *t, silex_error *err);

/* --- snapshot.c --- */
/* Marks the snapshots that hold heads of the past, so that their memory comes free. */
void slx_snapshots_revoke(struct slx_engine *e);
/* It shows what is too old, too. */
void slx_snapshot_show_expired(struct slx_snapshot *s);

/* --- replay.c --- */
/* The log since the checkpoint into the head; the log is ready for appends then. Nobody else uses the engine yet. */
silex_status slx_engine_replay(struct slx_engine *e, silex_error *err);

/* --- flush.c --- */
/* Freezes at (seq, version) and writes blocks; both 0: what the log says. cut: the log may drop what is in blocks then. */
silex_status slx_engine_flush_at(struct slx_engine *e, uint64_t seq, uint64_t version, bool cut, silex_error *err);

/* --- flush_plan.c --- */
/* A block to write: a window less the smaller windows inside it that get blocks of their own. */
struct slx_flush_job {
	unsigned level;
	int64_t window_start;
	struct slx_time_range *ranges; /* ascending, disjoint */
	size_t n_ranges;
};
struct slx_flush_plan {
	struct slx_mem *mem;
	struct slx_arena arena;
	struct slx_flush_job *jobs;
	size_t n, cap;
};
/* Counts of samples by smallest window, filled by the flush, to jobs. */
struct slx_window_count {
	int64_t start;
	uint64_t n;
};
silex_status slx_flush_plan_make(struct slx_mem *m, const struct slx_levels *l, struct slx_window_count *counts, size_t n, struct slx_flush_plan *ret,
	silex_error *err); /* sorts counts */
void slx_flush_plan_free(struct slx_flush_plan *p);

/* --- compact_plan.c --- */
/* Chooses blocks to merge: indexes into `blocks` (as in a view, by vmax) into `ret` (room for n); returns how many, 0 for
 * nothing to do. */
struct slx_compact_rule {
	bool full; /* whatever could still be merged */
	bool rare; /* cold blocks are among them: only where reads would suffer, and no levels */
};
size_t slx_compact_choose(const struct slx_block_info *blocks, size_t n, const struct slx_levels *l, struct slx_compact_rule rule, size_t *ret);
/* Adds every block that overlaps the chosen ones in time and in version, until there is no more. Returns the new number. */
size_t slx_compact_close(const struct slx_block_info *blocks, size_t n, size_t *chosen, size_t n_chosen);

/* --- compact.c --- */
/* Whether the policy would merge block b of view v now. */
bool slx_compact_wants(struct slx_engine *e, const struct slx_view *v, const struct slx_used_block *b);
/* One step of the policy: *ret_did false when there is nothing to do. */
silex_status slx_engine_compact_step(struct slx_engine *e, bool *ret_did, silex_error *err);
/* Merges the n chosen blocks of the view into one (none, when nothing is left); samples before `oldest` go but for what is held.
 * compact_lock held. */
enum { SLX_MERGE_MAX = 64 };
silex_status slx_compact_merge(struct slx_engine *e, const silex_compact_options *o, struct slx_view *v, size_t *chosen, size_t n, int64_t oldest,
	uint64_t *ret_size, silex_error *err); /* ret_size, of what it made, may be NULL */
/* One manifest edit: the chosen blocks of v out, the made one (NULL: none) in. */
silex_status slx_compact_commit(struct slx_engine *e, struct slx_view *v, const size_t *chosen, size_t n, const struct slx_block_info *made, silex_error *err);

/* --- room.c --- */
enum { SLX_ROOM_TEXT_SIZE = 160 };
void slx_room_look(struct slx_engine *e); /* how much is free now */
/* RESOURCE_EXHAUSTED: the disk is nearly full, and t is a user's tenant. */
silex_status slx_room_admit(struct slx_engine *e, const struct slx_tenant *t, silex_error *err);
uint64_t slx_room_mark(const struct slx_engine *e, uint64_t total); /* bytes free below which writes are refused */
bool slx_room_text(struct slx_engine *e, char ret[SLX_ROOM_TEXT_SIZE]); /* false: there is nothing to say */

/* --- background.c --- */
silex_status slx_background_start(struct slx_engine *e, silex_error *err);
void slx_background_stop(struct slx_engine *e);
void slx_background_want_flush(struct slx_engine *e);
void slx_background_want_compact(struct slx_engine *e);
void slx_background_want_expire(struct slx_engine *e);
/* Called by writers before a batch: asks for a flush when the head is large, waits when memory is out. */
silex_status slx_background_admit(struct slx_engine *e, struct slx_tenant *t, silex_error *err);
/* The same for a batch that was admitted and holds a head: never waits, since the head may be what a flush would give back.
 * RESOURCE_EXHAUSTED when heads grew far over their mark meanwhile. */
silex_status slx_background_room_left(struct slx_engine *e, struct slx_tenant *t, silex_error *err);
void slx_background_room(struct slx_engine *e);     /* wakes waiting writers */

#endif
