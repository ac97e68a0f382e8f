/* Rules on arrival: the threshold form, re-evaluated as samples land.
 *
 *     write -> engine/write: rows of marked series -> shard: entry (a series) -> states (a rule on it) -> track -> moves -> queue
 *     thread: queues, and delays of silent series -> rules/alert: journal, sinks
 *
 * A write only runs the state machines, under a lock of the series' shard; what changed is made durable and told by the thread, so
 * no writer waits for it. A change is told after the sample that caused it is in the log, so a crash loses no change: the
 * samples are there, and are looked at again (restore.c).
 *
 * Times are those of samples. **Which samples count**: those at most max_lateness away from the wall clock when they come, either
 * way, and at most max_lateness older than the newest of their series. Others, those of a backfill, and NaN never change a state.
 * **Silence**: from its newest sample on, a series' time goes on by the monotonic clock; time when nobody listened (the server was
 * down) does not count. **A clock set back** by more than SLX_WATCH_STEP_BACK: series that saw later times go on from their next sample.
 *
 * Thread-safe. docs/locks.md has the locks. */
#ifndef SLX_RULES_WATCH_H
#define SLX_RULES_WATCH_H

#include "rules/alert/alert.h"
#include "rules/watch/def.h"

#define SLX_WATCH_STEP_BACK (2 * SLX_SECOND)

struct slx_watch;

/* Takes up the rules that are registered and the states they were in. room: bytes for samples that are kept (windows, lateness).
 * Before anybody writes. Nothing is told before slx_watch_go: whoever listens comes between the two. */
silex_status slx_watch_new(struct slx_alerts *a, int64_t room, struct slx_watch **ret, silex_error *err);
silex_status slx_watch_go(struct slx_watch *w, silex_error *err);
void slx_watch_free(struct slx_watch *w); /* tells what is left to tell; nobody writes any more; NULL is fine */

/* Registered, durably. *d is copied. INVALID: *ret_field (may be NULL) names the member; RESOURCE_EXHAUSTED: too many series. */
silex_status slx_watch_add(struct slx_watch *w, struct slx_str tenant, const struct slx_watch_def *d, uint64_t *ret_id, const char **ret_field,
	silex_error *err);
/* Its active alerts end. NOT_FOUND. */
silex_status slx_watch_remove(struct slx_watch *w, struct slx_str tenant, uint64_t id, silex_error *err);

/* A number that no rule has had, for rules of other rooms. Durable. */
silex_status slx_watch_take_id(struct slx_watch *w, uint64_t *ret, silex_error *err);

struct slx_watch_info {
	uint64_t id;
	struct slx_str tenant, expr;
	const struct slx_watch_def *def;
	uint64_t series, pending, firing;
	uint64_t samples, late, ignored; /* taken in order, taken late, not counted (too old, of the future, backfill) */
	uint64_t refused;                /* series over series_max */
};
typedef bool slx_watch_fn(void *arg, const struct slx_watch_info *i);
/* The rules of a tenant by id, until each returns false. id 0: all; else that one, or NOT_FOUND. */
silex_status slx_watch_list(struct slx_watch *w, struct slx_str tenant, uint64_t id, slx_watch_fn *each, void *arg, silex_error *err);

struct slx_watch_counts {
	uint64_t rules, series; /* series: states, a rule on a series */
	uint64_t samples, late, ignored, refused;
	uint64_t told, failed;  /* changes; tries that failed */
	int64_t kept_bytes;
};
void slx_watch_count(struct slx_watch *w, struct slx_watch_counts *ret);

#endif
