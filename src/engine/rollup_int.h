/* Inside of the engine room: roll-ups. Locks: round_lock > work_lock > manifest_lock > stripes > lock. */
#ifndef SLX_ENGINE_ROLLUP_INT_H
#define SLX_ENGINE_ROLLUP_INT_H

#include "engine/engine_int.h"
#include "engine/rollup.h"

struct slx_rollup_mark {
	int64_t width; /* ms */
	/* ms, or SLX_ROLLUP_NOTHING_BUILT: now, at the last freeze, at the freeze before it; slx_rollups.lock */
	int64_t built, frozen, safe;
	uint64_t buckets; /* slx_rollups.lock */
};

/* Immutable but for the marks; ref-counted. */
struct slx_rollup_policy {
	_Atomic uint32_t refs;
	struct slx_engine *engine;
	struct slx_tenant *tenant;
	struct slx_selector sel;
	char *text; /* canonical */
	size_t text_n;
	size_t n;
	struct slx_rollup_mark levels[SLX_ROLLUP_LEVELS_MAX]; /* widths ascending */
};

/* A late window: of one series (selector NULL), or of all that a selector selects. ms, both included. */
struct slx_late_entry {
	struct slx_tenant *tenant;
	struct slx_hash128 id;
	struct slx_late_selector {
		_Atomic uint32_t refs;
		struct slx_mem *mem;
		struct slx_selector sel;
		size_t text_n;
		char text[];
	} * selector;
	int64_t from, to;
	int64_t since, touched; /* monotonic ns */
	uint64_t gen;           /* done: its buckets are in heads up to this generation */
};

/* Entries of one series are one; when there are too many of a tenant they all become one of all its series. */
struct slx_late_set {
	struct slx_mem *mem;
	struct slx_late_entry *e;
	size_t n, cap;
	uint32_t *map; /* (tenant, id) -> index + 1 of entries of series */
	size_t map_cap;
};

struct slx_rollups {
	pthread_mutex_t lock; /* guards what follows */
	struct slx_rollup_policy *policies[SLX_ROLLUP_POLICIES_MAX];
	size_t n;
	struct slx_late_set late; /* to be rebuilt */
	struct slx_late_set busy; /* being rebuilt; changed under round_lock too */
	struct slx_late_set done; /* rebuilt, but the blocks do not have it */

	pthread_mutex_t round_lock; /* one round of building at a time */
	pthread_mutex_t work_lock;  /* one stretch of building, or delete, at a time */

	pthread_t thread;
	bool running;
	pthread_cond_t wake; /* lock */
	bool stop;           /* lock */
	int64_t retry_ns;    /* the thread's: monotonic, not before */
};

/* --- rollup.c --- */
silex_status slx_rollups_new(struct slx_engine *e, silex_error *err);
void slx_rollups_free(struct slx_engine *e);
void slx_rollup_policy_unref(struct slx_rollup_policy *p);
/* A reference to each policy; how many. */
size_t slx_rollup_policies(struct slx_engine *e, struct slx_rollup_policy *ret[SLX_ROLLUP_POLICIES_MAX]);
/* Sets what the tenant's writers look at to the furthest mark of its levels, or to `at` (ms) if that is further. lock held. */
void slx_rollup_set_mark(struct slx_engine *e, struct slx_tenant *t, int64_t at);
/* The width of the tenant's widest level, ms; 0: it has none. */
int64_t slx_rollup_widest(struct slx_engine *e, struct slx_str tenant);
/* Samples of the tenant before this (ns) are rolled up in blocks wherever a policy says so, and may go. INT64_MAX: it has no levels. */
int64_t slx_rollup_settled(struct slx_engine *e, struct slx_str tenant);
/* The manifest's part. v: the view that the manifest tells of; manifest_lock is held. */
void slx_rollups_put(struct slx_engine *e, const struct slx_view *v, struct slx_buf *out);
silex_status slx_rollups_get(struct slx_engine *e, struct slx_rd *r, silex_error *err);
bool slx_rollups_any(struct slx_engine *e); /* something to encode */
/* The active head is being frozen: all stripes are locked. */
void slx_rollups_freeze(struct slx_engine *e, uint64_t gen);

/* --- rollup_late.c: slx_rollups.lock is held --- */
void slx_late_free(struct slx_late_set *s);
/* selector NULL: of series id. A reference to the selector is taken. false: out of memory. */
bool slx_late_add(struct slx_late_set *s, const struct slx_late_entry *x);
/* Entries for which `which` is true go over. false: out of memory, some stayed. */
bool slx_late_move(struct slx_late_set *from, struct slx_late_set *to, bool (*which)(void *arg, const struct slx_late_entry *e), void *arg);
/* The entry of a series; NULL: there is none. */
const struct slx_late_entry *slx_late_find(const struct slx_late_set *s, const struct slx_tenant *t, struct slx_hash128 id);
struct slx_late_selector *slx_late_selector_new(struct slx_mem *m, struct slx_str text, silex_error *err);
void slx_late_selector_unref(struct slx_late_selector *s); /* NULL is fine */

/* A write of samples at or before the tenant's mark; the stripe's lock is held, slx_rollups.lock is not. */
void slx_rollup_note(struct slx_engine *e, struct slx_tenant *t, struct slx_hash128 id, int64_t first_ns, int64_t last_ns);
/* A delete: manifest_lock and stripes are held. */
void slx_rollup_note_delete(struct slx_engine *e, const struct slx_tombstone *t);

/* --- rollup_build.c --- */
/* One round; force: late windows too that were touched just now, and levels that could wait. *ret_did: something was built. */
silex_status slx_rollup_step(struct slx_engine *e, bool force, bool *ret_did, silex_error *err);
silex_status slx_rollup_start(struct slx_engine *e, silex_error *err);
void slx_rollup_stop(struct slx_engine *e);

#endif
