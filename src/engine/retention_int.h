/* Inside of the engine room: rules of retention in force. */
#ifndef SLX_ENGINE_RETENTION_INT_H
#define SLX_ENGINE_RETENTION_INT_H

#include "base/arena.h"
#include "engine/engine_int.h"
#include "engine/retention.h"

struct slx_retention_rule {
	struct slx_str tenant, rollup, hold, text; /* terminated; empty: any, none */
	struct slx_selector sel;
	int64_t keep; /* ns; 0: for ever */
};

struct slx_dedup {
	struct slx_str tenant;
	int64_t interval; /* ns; 0: none */
};

/* Immutable, ref-counted. */
struct slx_retention {
	_Atomic uint32_t refs;
	uint32_t gen; /* number of this set since the open; from 1 */
	struct slx_mem *mem;
	struct slx_arena arena;
	struct slx_retention_rule *rules;
	size_t n;
	struct slx_dedup *dedup;
	size_t n_dedup;
	uint64_t size_max;
	struct slx_str origin;
};

/* --- retention.c: NULL stands for no rules --- */

struct slx_retention *slx_retention_get(struct slx_engine *e); /* a reference; NULL: none */
void slx_retention_unref(struct slx_retention *r);
silex_status slx_retention_load(struct slx_engine *e, silex_error *err); /* at open */

/* The rule that counts for a series of a tenant as stored (internal ones too); NULL: none, kept for ever. */
silex_status slx_retention_find(const struct slx_retention *r, struct slx_str tenant, struct slx_labels l, const struct slx_retention_rule **ret,
	silex_error *err);
/* What is before the result is too old; INT64_MIN: nothing is. */
int64_t slx_retention_before(const struct slx_retention_rule *x, int64_t now);
silex_status slx_retention_cutoff(const struct slx_retention *r, struct slx_str tenant, struct slx_labels l, int64_t now, int64_t *ret, silex_error *err);

/* Cutoffs of a tenant without looking at labels. INT64_MIN: none. */
struct slx_retention_bounds {
	int64_t all;  /* before it everything is too old, whichever series */
	int64_t last; /* the least of the finite ones: before it all that may ever go is too old */
	int64_t some; /* from it on nothing is too old */
	bool held;    /* some series may be held */
};
struct slx_retention_bounds slx_retention_bounds(const struct slx_retention *r, struct slx_str tenant, int64_t now);
int64_t slx_retention_dedup(const struct slx_retention *r, struct slx_str tenant); /* ns; 0: none */

/* Sets what the tenant's writes look at; tenants_lock held. */
void slx_retention_tenant(struct slx_engine *e, struct slx_tenant *t);
/* A write looks closer at samples before this. */
int64_t slx_retention_floor(struct slx_engine *e, const struct slx_tenant *t);
/* Under the stripe's lock: INVALID when a sample of the series at t is too old; counted. err NULL: no words are made. */
silex_status slx_retention_check(struct slx_engine *e, struct slx_head *head, struct slx_head_series *s, struct slx_str tenant, int64_t t, int64_t now,
	struct slx_buf *label, silex_error *err);

/* --- expire.c --- */

/* Drops what is wholly too old and merges blocks that hold much that is; compact_lock held. all: little things too. */
silex_status slx_engine_expire(struct slx_engine *e, bool all, silex_error *err);

#endif
