/* A group of rules at work: evaluated rule by rule at given times, the state of its alerts, the series that it wrote last.
 *
 *     query at ts - offset -> labels and annotations (templates) -> changes of alerts into the journal -> samples into the engine,
 *     with stale markers for series that were there last time and are not now
 *
 * Samples are written before the next rule is evaluated, so rules may build on those above them. One thread evaluates a group at
 * a time; any thread may look at it (slx_rule_group_lock). */
#ifndef SLX_RULES_GROUP_H
#define SLX_RULES_GROUP_H

#include "rules/alert/alert.h"
#include "rules/group/file.h"

#include <pthread.h>

/* Where and how rules are evaluated. Lives longer than the groups. */
struct slx_rule_env {
	struct slx_engine *engine;
	struct slx_alerts *alerts; /* NULL: alerts are kept in memory only (tests of rules) */
	struct slx_labels external_labels; /* n 0: none */
	struct slx_str external_url;
	int64_t interval_ns; /* of groups that say none; 0: a minute */
	int64_t offset_ns;   /* query_offset of groups that say none */
	int64_t lookback_ms, subquery_step_ms, timeout_ns; /* as in slx_promql_options */
	uint64_t samples_max;
	int64_t max_lateness_ns; /* how far back late samples let recording rules be evaluated again; 0: not at all */
	bool experimental;
	const _Atomic bool *canceled; /* may be NULL */
};

/* An alert of a rule. */
struct slx_rule_alert {
	struct slx_hash128 id; /* of the labels */
	struct slx_labels labels, annotations;
	enum slx_alert_state state;
	int64_t active_ns, fired_ns, resolved_ns, keep_since_ns; /* 0: not */
	double value;
	size_t size; /* of the allocation, labels included */
	enum slx_alert_state next; /* while evaluating */
	bool found;
};

struct slx_rule_table { /* of entries that begin with their struct slx_hash128; open addressing */
	void **slots;
	size_t n, cap;
};

struct slx_rule_state {
	const struct slx_rule_def *def;
	struct slx_alert_rule alert_rule; /* what the journal says of it */
	struct slx_rule_table alerts, series;
	enum { SLX_RULE_UNKNOWN, SLX_RULE_OK, SLX_RULE_ERR } health;
	char error[512]; /* of the last evaluation; "" when it went well */
	int64_t evaluated_ns, took_ns; /* wall clock; 0: not yet */
	uint64_t evaluations, failures;
};

struct slx_rule_group {
	const struct slx_rule_env *env;
	struct slx_mem *mem;
	struct slx_rule_file *file; /* a reference */
	const struct slx_rule_group_def *def;
	struct slx_tenant *tenant;
	int64_t interval_ns, offset_ns;

	pthread_mutex_t lock; /* what is below, for those who look; only the evaluating thread changes it */
	struct slx_rule_state *rules; /* def->n_rules */
	uint64_t round; /* evaluations, for the tables */
	int64_t evaluated_ns, took_ns;
	uint64_t samples; /* written by the last evaluation */
	uint64_t iterations, missed, corrections; /* corrections: for late samples */
};

/* Alerts of its rules begin as the journal has them (one look through all of a tenant's). */
silex_status slx_rule_group_new(const struct slx_rule_env *env, struct slx_str tenant, struct slx_rule_file *f, const struct slx_rule_group_def *def,
	struct slx_rule_group **ret, silex_error *err);
void slx_rule_group_free(struct slx_rule_group *g); /* NULL is fine */

/* Evaluates all rules as of ts. What goes wrong is said by each rule's state. */
void slx_rule_group_eval(struct slx_rule_group *g, int64_t ts_ns);

/* Takes over alerts and series of rules with the same id from a group that goes; then what is left of the old group has ended:
 * its series get stale markers at ts, its alerts are resolved. now NULL: all of it ends. */
void slx_rule_group_hand_over(struct slx_rule_group *now, struct slx_rule_group *old, int64_t ts_ns);

/* The group's evaluations that lie in [from, to], over again for its recording rules: results are written, alerts are left alone.
 * progress (may be NULL) is called with pieces done of n; false cancels. *ret_samples: written. */
silex_status slx_rule_group_replay(struct slx_rule_group *g, struct slx_time_range range, bool (*progress)(void *arg, size_t done, size_t n), void *arg,
	uint64_t *ret_samples, silex_error *err);

/* Replays all groups of a file over a range of the past, each piece by piece: progress is told of all pieces of all groups. env: without
 * alerts; they are left alone. */
silex_status slx_rule_file_backfill(const struct slx_rule_env *env, struct slx_str tenant, struct slx_rule_file *f, struct slx_time_range range,
	bool (*progress)(void *arg, size_t done, size_t n), void *arg, uint64_t *ret_samples, silex_error *err);

/* The first time >= t at which a group is evaluated: groups are spread over their interval by their names. */
int64_t slx_rule_group_slot(const struct slx_rule_group *g, int64_t t);

static inline void slx_rule_group_lock(struct slx_rule_group *g) { pthread_mutex_lock(&g->lock); }
static inline void slx_rule_group_unlock(struct slx_rule_group *g) { pthread_mutex_unlock(&g->lock); }

/* ---- tables ---- */

void *slx_rule_table_get(const struct slx_rule_table *t, struct slx_hash128 id);
bool slx_rule_table_put(struct slx_rule_table *t, struct slx_mem *m, void *entry); /* a new one; false: no memory */
/* Keeps the entries that keep says true of; the others are the caller's to free, in keep. */
void slx_rule_table_filter(struct slx_rule_table *t, bool (*keep)(void *arg, void *entry), void *arg);
void slx_rule_table_free(struct slx_rule_table *t, struct slx_mem *m);

#endif
