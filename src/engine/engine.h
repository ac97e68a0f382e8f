/* The engine: one open database. It joins log, head, blocks and manifest, and keeps the promises of silex.h.
 *
 *     write    rows -> series of the active head -> log frame (under the stripe's lock) -> tail -> wait for the log
 *     flush    freeze the head at sequence S -> blocks -> one manifest edit {blocks, checkpoint S} -> cut the log
 *     compact  merge blocks -> one manifest edit -> old files go with their last reader
 *     read     snapshot.h
 *
 * docs/locks.md lists the locks. Thread-safe throughout. */
#ifndef SLX_ENGINE_ENGINE_H
#define SLX_ENGINE_ENGINE_H

#include "engine/snapshot.h"
#include "storage/tsdb/head.h"

#include <silex/silex.h>

struct slx_engine;
struct slx_tenant;
struct slx_handle;

/* path NULL: in memory. `o` has been validated (api/options); strings in it must live as long as the engine. */
silex_status slx_engine_open(const char *path, const silex_options *o, struct slx_engine **ret, silex_error *err);
silex_status slx_engine_close(struct slx_engine *e, silex_error *err);

/* ---- tenants ---- */

/* The tenant's record, made on first use; lives as long as the engine. name has been checked. */
silex_status slx_engine_tenant(struct slx_engine *e, struct slx_str name, struct slx_tenant **ret, silex_error *err);
struct slx_str slx_tenant_name(const struct slx_tenant *t);
/* Tenants that have data, sorted, until each returns false. */
silex_status slx_engine_tenants(struct slx_engine *e, bool (*each)(void *arg, struct slx_str name), void *arg, silex_error *err);
/* Tenants that have data under this word beside them, "alerts" for T!alerts (companion.h); as above. */
silex_status slx_engine_companions(struct slx_engine *e, struct slx_str word, bool (*each)(void *arg, struct slx_str tenant), void *arg, silex_error *err);
silex_status slx_engine_set_limits(struct slx_engine *e, struct slx_tenant *t, uint64_t series_max, uint64_t head_bytes_max, silex_error *err);

/* The number of a state's text in the tenant's dictionary, added (and logged) when new. */
silex_status slx_engine_state(struct slx_engine *e, struct slx_tenant *t, struct slx_str text, uint32_t *ret, silex_error *err);
/* The same without adding; NOT_FOUND. */
silex_status slx_engine_find_state(struct slx_engine *e, const struct slx_tenant *t, struct slx_str text, uint32_t *ret, silex_error *err);

/* ---- writing ---- */

/* A series resolved once; ref-counted by its users; valid over flushes. */
/* owner: whatever the caller wants back from slx_handle_owner. */
silex_status slx_handle_new(struct slx_engine *e, struct slx_tenant *t, struct slx_labels l, void *owner, struct slx_handle **ret, silex_error *err);
void slx_handle_free(struct slx_handle *h);
void *slx_handle_owner(const struct slx_handle *h);
struct slx_tenant *slx_handle_tenant(const struct slx_handle *h);

/* A series where it lies in the head of generation `gen` (lower half: nobody sleeps through 2^32 flushes). Cheap to keep, but it
 * does not know its labels: valid only while a pin holds that head. */
struct slx_series_at {
	struct slx_head_series *series;
	uint32_t gen;
	uint8_t stripe;
};

/* The heads that the series of one batch lie in, kept in memory though a flush may be done with them. One thread; held for
 * moments, never while waiting for the log or a client: what is pinned cannot be given back. */
enum { SLX_PINS_MAX = 4 };
struct slx_pins {
	struct slx_head *head[SLX_PINS_MAX];
	unsigned n;
};

/* Waits for room as a write does, then pins the active head. */
silex_status slx_engine_pin(struct slx_engine *e, struct slx_tenant *t, struct slx_pins *ret, silex_error *err);
void slx_engine_unpin(struct slx_pins *p);
bool slx_pins_hold(const struct slx_pins *p, uint32_t gen);
/* The series of these labels and this identity in the active head (added to the pins when it is another one), created when new.
 * RESOURCE_EXHAUSTED: the series limit. UNAVAILABLE: out of memory, or more flushes in one batch than pins. */
silex_status slx_engine_resolve(struct slx_engine *e, struct slx_pins *p, struct slx_tenant *t, struct slx_labels l, struct slx_hash128 id,
	struct slx_series_at *ret, silex_error *err);

/* Samples of one tenant. Row i is (its series, ts[i], bits[i]) of one kind. The columns may be strided, but for `rows`. */
struct slx_write {
	struct slx_tenant *tenant;
	enum slx_kind kind;
	size_t n;
	const uint32_t *rows; /* row i is of series at[rows[i]], all held by pins; this write does not wait for room; NULL: see handles */
	struct slx_series_at *at;
	const struct slx_pins *pins;
	const void *handles; /* struct slx_handle *, handle_stride bytes apart; NULL: see labels */
	size_t handle_stride;
	const void *ts; /* int64 ns, legal */
	size_t ts_stride;
	const void *bits; /* 8 bytes; of histograms and bytes (model.h) the address, read during the call: the engine copies */
	size_t bits_stride;
	const struct slx_labels *labels; /* without handles: canonical labels of each row, and */
	const struct slx_hash128 *ids;   /* their identities */
	bool backfill;                   /* data of the past: told to the observer */
	bool derived;                    /* made of other samples: none of them is late */
};

/* Rows refused by themselves; the rest of the batch is written. */
struct slx_write_result {
	size_t refused;
	size_t first;      /* lowest refused row */
	silex_error error; /* of that row */
};

/* OK: what was not refused is in the log as `sync` promises. *pos_lsn (may be NULL) asks not to wait: the caller calls
 * slx_engine_wait with it. */
silex_status slx_engine_write(struct slx_engine *e, const struct slx_write *w, struct slx_write_result *ret, uint64_t *ret_lsn, silex_error *err);
silex_status slx_engine_wait(struct slx_engine *e, uint64_t lsn, silex_error *err);
silex_status slx_engine_sync(struct slx_engine *e, silex_error *err);

/* ---- late samples: who keeps what is made of a tenant's samples asks which came after their time ---- */

/* Looks from now on for samples that are between grace and max_ns older than the wall clock when they are written; max_ns 0: no more. */
void slx_engine_watch_late(struct slx_tenant *t, int64_t grace_ns, int64_t max_ns);
/* The time of the oldest since the last call; SLX_TIME_MAX: there was none. */
int64_t slx_engine_take_late(struct slx_tenant *t);

/* ---- watching what is written ----
 *
 * One observer marks series of the active head and is given their samples, as they are written. A series without a mark costs one
 * look at a field that lies beside what a write touches anyway. Both functions run under the lock of the series' stripe, so for one
 * series they follow one another in the order of writes; they must be short, and must not call the engine. */

/* Rows of one stripe that were logged and applied. */
struct slx_observed {
	unsigned stripe;
	enum slx_kind kind; /* a number's: no states, no bytes */
	size_t n;
	const uint32_t *mark;
	const int64_t *ts;
	const uint64_t *bits;
	int64_t arrived_ns, wall_ns; /* when the write began: monotonic, wall clock */
	bool backfill;
};

struct slx_observer {
	void *ctx;
	/* A series that is new in the head of that generation: its mark, 0 for none. */
	uint32_t (*mark)(void *ctx, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id, uint64_t generation);
	void (*samples)(void *ctx, const struct slx_observed *o);
};

/* From now on; *o is copied. NULL: no more: when this returns no call is under way. Marks that are there stay. */
void slx_engine_observe(struct slx_engine *e, const struct slx_observer *o);
/* Asks for the marks of the series of the active head for which all matchers hold anew. Returns with every such series marked,
 * those that come meanwhile too. */
silex_status slx_engine_mark(struct slx_engine *e, struct slx_tenant *t, struct slx_matcher *const *ms, size_t n, silex_error *err);
/* Of the active head: series marked in lower ones are not written under their marks any more. */
uint64_t slx_engine_generation(struct slx_engine *e);
/* The wall clock (ms, never going back) when something was last written. */
int64_t slx_engine_last_write_ns(struct slx_engine *e);

/* ---- deleting ---- */

/* selector: canonical text of ms. Counts distinct visible samples. */
silex_status slx_engine_delete(struct slx_engine *e, struct slx_tenant *t, const struct slx_selector *sel, struct slx_time_range range,
	uint64_t *ret_points, silex_error *err);

/* ---- keeping ---- */

silex_status slx_engine_flush(struct slx_engine *e, silex_error *err); /* head into blocks; returns when done */
silex_status slx_engine_compact(struct slx_engine *e, const silex_compact_options *o, silex_error *err);

/* Moves every block that is old enough to the cold store, then removes objects there that nothing is read from. */
silex_status slx_engine_tier_move(struct slx_engine *e, const silex_tier_options *o, silex_tier_report *ret, silex_error *err);

/* ---- checking and looking inside ---- */

/* Every page of every block and every log frame again (the log was read at open). */
silex_status slx_engine_verify(struct slx_engine *e, silex_progress_fn progress, silex_text_fn fault, void *arg, silex_verify_report *ret, silex_error *err);
/* A directory, a log segment or a block, line by line. */
silex_status slx_engine_inspect(const char *path, int depth, silex_text_fn line, void *arg, silex_error *err);

/* ---- watching ---- */

void slx_engine_metrics(struct slx_engine *e, silex_metrics *ret);
silex_status slx_engine_store_metrics(struct slx_engine *e, size_t i, silex_store_metrics *ret, silex_error *err); /* sets all but size */
void slx_engine_count_query(struct slx_engine *e, int64_t elapsed_ns);
void slx_engine_log(struct slx_engine *e, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool slx_engine_read_only(const struct slx_engine *e);

#endif
