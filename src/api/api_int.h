/* Inside of the api room: what a silex_db is, and the small conversions every call needs. */
#ifndef SLX_API_API_INT_H
#define SLX_API_API_INT_H

#include "engine/engine.h"
#include "query/query.h"
#include "rules/silence/silence.h"
#include "rules/watch/watch.h"

#include <silex/rules.h>

struct slx_async;

enum { SLX_API_CALLBACKS_MAX = 8 };

/* A function of silex_rule_on_alert: a sink of rules/alert. */
struct slx_api_callback {
	silex_db *db;
	silex_alert_fn fn;
	void *arg;
};

struct silex_db {
	struct slx_engine *engine;
	struct slx_querier *querier;
	struct slx_alerts *alerts;
	struct slx_silences *silences;
	struct slx_watch *watch; /* NULL: read-only */
	struct slx_mem *mem; /* the engine's */
	int64_t unit_ns;     /* nanoseconds of one time unit */
	struct slx_async *async; /* insert_async; made by the first call */
	pthread_mutex_t async_lock;
	struct slx_api_callback callbacks[SLX_API_CALLBACKS_MAX]; /* each set before it becomes a sink */
	_Atomic unsigned n_callbacks;
};

struct silex_series {
	silex_db *db;
	struct slx_handle *handle;
};

/* --- options.c --- */
/* Fills defaults into *to from o (NULL: all defaults) and checks every member. */
silex_status slx_options_resolve(const silex_options *o, silex_options *to, silex_error *err);

/* --- convert.c --- */
/* NULL: "default". Points to name. */
silex_status slx_api_tenant(const char *name, struct slx_str *ret, silex_error *err);
silex_status slx_api_tenant_of(silex_db *db, const char *name, struct slx_tenant **ret, silex_error *err);
/* A time of the caller's unit in nanoseconds: INVALID outside the legal range; or saturating. */
silex_status slx_api_time(const silex_db *db, int64_t t, int64_t *ret, silex_error *err);
int64_t slx_api_bound(const silex_db *db, int64_t t);
static inline int64_t slx_api_units(const silex_db *db, int64_t ns)
{
	return db->unit_ns == 1 ? ns : slx_window_index(ns, db->unit_ns, 0);
}
/* Canonical labels into the builder; they live until its next use. INVALID also for the empty set. */
silex_status slx_api_labels(struct slx_labels_builder *b, const silex_label *labels, size_t n, struct slx_labels *ret, silex_error *err);
/* Selector text; NULL selects everything. */
silex_status slx_api_selector(silex_db *db, const char *text, struct slx_selector *ret, silex_error *err);
/* Labels as an array of C strings in the arena. */
silex_status slx_api_label_array(struct slx_arena *a, struct slx_labels l, const silex_label **ret, size_t *ret_n, silex_error *err);
/* Kind and 64 bits of a value; a state's text gets its number. */
silex_status slx_api_value(silex_db *db, struct slx_tenant *t, const silex_value *v, enum slx_kind *ret_kind, uint64_t *ret_bits, silex_error *err);
static inline silex_kind slx_api_kind(enum slx_kind k) { return (silex_kind)((int)k + 1); }

/* --- write.c --- */
/* As silex_insert_batch, without waiting for the log: *ret_lsn is what to wait for (0: nothing). */
silex_status slx_api_insert_rows(silex_db *db, const char *tenant, const silex_row *rows, size_t n, bool backfill, silex_batch_result *ret,
	uint64_t *ret_lsn, silex_error *err);

/* --- async.c --- */
void slx_async_stop(struct slx_async *a); /* finishes what is queued; NULL is fine */

#endif
