/* Tiers: recent samples lie in the head (hot), then in blocks here (warm); blocks older than `cold_after` move to the store
 * `cold_store` (cold) and leave a stub here (storage/tsdb/far.h).
 *
 * A move, each step durable before the next; a crash in between leaves what the next open or round tells apart:
 *
 *     1. manifest: an upload {store, object, block, BEGUN}       the object is ours, whatever happens
 *     2. the object goes to the store; the whole of it is read back and compared
 *     3. the stub is written here
 *     4. manifest: the upload is COLD                            from here on the block is read there
 *     5. the file here goes with its last reader
 *
 * The uploads in the manifest are the list of every object that this database has put into a store and not removed. An
 * object whose block is gone (merged, expired, deleted) or was moved elsewhere is garbage; it is removed `cold_delay` later,
 * tried again until the store says it is gone. Nothing that is not in the list is touched, so databases may share a store;
 * objects also carry the database's own number (document ID of storage/meta) in their names: a copy of the directory
 * restored elsewhere gets another number and never removes what the first one put there.
 *
 * Policy. A block moves when all its samples are older than cold_after, compaction would not merge it now, and it does not
 * lie over a cold block (then it waits for the rare merge below, unless it is large). Compaction leaves cold blocks alone,
 * but where more than OVERLAYS_COLD blocks lie over one instant or the ones here have as many bytes as the cold one: the
 * merge is a warm block, which moves again. A delete leaves its tombstone over cold blocks; it is digested by such a merge
 * or a full compaction. */
#ifndef SLX_ENGINE_TIER_H
#define SLX_ENGINE_TIER_H

#include "engine/engine.h"
#include "storage/tsdb/far.h"

enum { SLX_TIER_ID_SIZE = 16 };
#define SLX_TIER_ID_KEY "ID" /* document of storage/meta; not copied into snapshots and backups */

enum slx_upload_state {
	SLX_UPLOAD_BEGUN = 1, /* may be in the store, in part or whole */
	SLX_UPLOAD_COLD,      /* the block is read there */
	SLX_UPLOAD_GARBAGE,   /* to be removed */
};

/* An object that this database put, or began to put, into a store. */
struct slx_upload {
	struct slx_upload *next;
	struct slx_place *place;
	_Atomic uint32_t users; /* blocks in use that read it */
	bool moving;            /* the mover is at it; manifest_lock */
	bool read;              /* scratch of slx_tier_mark */
	uint8_t state;          /* enum slx_upload_state; manifest_lock */
	int64_t since_ms;       /* wall clock at which it got there; manifest_lock */
	char block[SLX_BLOCK_NAME_SIZE];
	char object[SLX_STORE_NAME_SIZE_MAX + 1];
};

/* A store that blocks lie in, or move to. */
struct slx_place {
	struct slx_place *next;
	struct slx_far_source source;
	char name[]; /* source.name */
};

struct slx_tier {
	pthread_mutex_t lock; /* one mover at a time */
	struct slx_place *places;   /* fixed after open */
	struct slx_place *target;   /* cold_store; NULL: none */
	struct slx_upload *uploads; /* manifest_lock */
	/* lock */
	uint8_t id[SLX_TIER_ID_SIZE];
	bool has_id;
	unsigned failures;      /* in a row */
	int64_t retry_ns;       /* monotonic: the thread tries not before */
	/* counters */
	_Atomic bool merge_first; /* the last look found nothing but blocks that are due and that compaction wants before */
	_Atomic uint64_t moves, moved_bytes, errors, garbage, removed;
	char error[160]; /* of the last try; empty when it went well; health_lock */
};

struct slx_used_block;
struct slx_view;

/* --- tier.c: what is where --- */
silex_status slx_tier_init(struct slx_engine *e, silex_error *err); /* before the manifest is loaded; after the stores are opened */
void slx_tier_free(struct slx_engine *e);
/* The part of the manifest. manifest_lock. */
void slx_tier_put(struct slx_engine *e, const struct slx_view *v, struct slx_buf *b);
silex_status slx_tier_get(struct slx_engine *e, struct slx_rd *r, silex_error *err);
/* Uploads whose block view v does not read become garbage, and the other way round: before an edit is written. manifest_lock. */
void slx_tier_mark(struct slx_engine *e, const struct slx_view *v);
/* The upload that a block is read from; NULL: it lies here. manifest_lock, or nobody else uses the engine yet. */
struct slx_upload *slx_tier_upload_of(struct slx_engine *e, const char *block);
silex_status slx_tier_make_id(struct slx_engine *e, silex_error *err); /* manifest_lock */
/* Whether this database put it there: a copy of the directory has another number. */
bool slx_tier_is_ours(const struct slx_engine *e, const struct slx_upload *u);
/* Whether a block of the view lies here though all its samples are older, and waits for no merge with a cold one. */
bool slx_tier_due(const struct slx_engine *e, const struct slx_view *v, const struct slx_used_block *b, int64_t after_ms);
void slx_tier_object_name(const struct slx_engine *e, const char *block, char ret[SLX_STORE_NAME_SIZE_MAX + 1]);
/* "b-....slx" to "b-....stub". */
void slx_tier_stub_name(const char *block, char ret[SLX_BLOCK_NAME_SIZE]);
/* Makes a stub that is gone or damaged again, from the object, which is read whole. */
silex_status slx_tier_mend(struct slx_engine *e, struct slx_upload *u, const char *stub_name, silex_error *err);
/* Whether a file of the folder of blocks belongs to the block: its object when warm, its stub when cold. */
bool slx_tier_file_is_of(const char *file, const char *block, bool cold);
void slx_tier_metrics(struct slx_engine *e, const struct slx_view *v, silex_metrics *m);

/* --- tier_move.c: moving and collecting --- */
/* The age from which blocks move, in milliseconds; -1: what the option says. One block; *ret_did false: nothing to do. */
silex_status slx_tier_move_one(struct slx_engine *e, int64_t after_ms, bool *ret_did, silex_error *err);
/* Removes garbage that is older than the delay (or all). */
silex_status slx_tier_collect(struct slx_engine *e, int64_t delay_ms, silex_error *err);
/* A round of the background thread: *ret_did when it moved something. Backs off after errors. */
void slx_tier_round(struct slx_engine *e, bool *ret_did);

#endif
