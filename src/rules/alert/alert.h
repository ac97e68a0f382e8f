/* Alerts: what every kind of rule has in common.
 *
 * A rule says of a label set since when its condition holds, or that it does not. This room keeps the outcome (inactive, pending,
 * firing), makes each change durable in the journal, and tells sinks. Rules are evaluated by rules/group (PromQL on an interval)
 * and rules/watch (on arrival); notifications are notify/.
 *
 * The journal: a change is a sample of kind BYTES in the internal tenant `<tenant>!alerts`, at the time of the change. So log,
 * blocks, snapshots, backups and retention hold for it. The last sample of each series is the state to begin with after a
 * restart; all of them are the history. docs/format/alert.md has the bytes. A change is told to sinks once it is in the log.
 *
 * Thread-safe, but changes of one alert come from one thread at a time: sinks hear of them in that order. */
#ifndef SLX_RULES_ALERT_H
#define SLX_RULES_ALERT_H

#include "engine/engine.h"
#include "model/matcher.h"

enum slx_alert_state { SLX_ALERT_INACTIVE, SLX_ALERT_PENDING, SLX_ALERT_FIRING }; /* on disk: never renumber */
const char *slx_alert_state_name(enum slx_alert_state s); /* "inactive", "pending", "firing" */

enum slx_alert_origin { SLX_RULE_FILE, SLX_RULE_API }; /* on disk */

/* What a sink or a list may want to know of the rule. Handed in with each change and copied; handed out as long as the alert. */
struct slx_alert_rule {
	uint64_t id; /* of a rule file's rule: hash of group and rule, the same after a reload; of the API: its number */
	struct slx_str tenant, group, name, expr; /* expr: PromQL, or the threshold form's text; the journal keeps 2 kB of it */
	int64_t interval_ns; /* of evaluation; 0: on arrival */
	enum slx_alert_origin origin;
};

/* One label set of a rule. Handed out for the time of a call: copy what must stay. */
struct slx_alert {
	const struct slx_alert_rule *rule;
	struct slx_labels labels;      /* canonical, with alertname and the rule's labels */
	struct slx_labels annotations; /* canonical, expanded */
	enum slx_alert_state state;
	int64_t active_ns;   /* pending since; 0 never */
	int64_t fired_ns;    /* firing since; 0 not */
	int64_t resolved_ns; /* last went from firing to inactive; 0 not */
	int64_t changed_ns;  /* the last change: sample time for rules on arrival */
	double value;
	struct slx_hash128 fingerprint; /* of tenant, rule id, labels */
};

/* A change of state. */
struct slx_alert_event {
	struct slx_hash128 id;  /* of fingerprint, new state and time: the same change made twice (a crash before it was in the log) has one id */
	struct slx_alert alert; /* after the change */
	enum slx_alert_state from;
	int64_t at_ns;      /* as alert.changed_ns */
	int64_t arrived_ns; /* monotonic clock: when the write came in that caused it; 0: not on arrival */
};
typedef void slx_alert_sink_fn(void *arg, const struct slx_alert_event *e); /* any thread; never blocks, never calls back into this room */

/* ---- one per database; may exist without any rule ---- */

struct slx_alerts;

silex_status slx_alerts_new(struct slx_engine *e, struct slx_alerts **ret, silex_error *err); /* reads the journal */
void slx_alerts_free(struct slx_alerts *a); /* NULL is fine */
struct slx_engine *slx_alerts_engine(const struct slx_alerts *a);

enum { SLX_ALERT_SINKS_MAX = 16 };
/* Before rules run. RESOURCE_EXHAUSTED beyond the maximum. */
silex_status slx_alerts_add_sink(struct slx_alerts *a, slx_alert_sink_fn *fn, void *arg, silex_error *err);
/* When it returns the sink is not called any more. Not from a sink. */
void slx_alerts_remove_sink(struct slx_alerts *a, slx_alert_sink_fn *fn, void *arg);

/* ---- changes ---- */

struct slx_alert_change {
	const struct slx_alert_rule *rule;
	struct slx_labels labels, annotations;
	enum slx_alert_state to;
	int64_t at_ns;     /* legal; moved behind the alert's last change when it is not later (clock set back) */
	int64_t active_ns; /* since when the condition holds; not read when `to` is inactive */
	int64_t arrived_ns;
	double value;
};

/* n changes, no alert twice, durable and told when it returns OK; one log write for those of one tenant that follow one another. Not OK: none of
 * the tenant that failed happened; evaluate again. */
silex_status slx_alerts_change(struct slx_alerts *a, const struct slx_alert_change *c, size_t n, silex_error *err);
/* Value and annotations of an active alert moved on without a change of state: memory only. An alert that is not there: nothing. */
void slx_alerts_refresh(struct slx_alerts *a, const struct slx_alert_change *c);

/* ---- looking: callbacks run under the lock of this room: short, no call back into it; until each returns false ---- */

typedef bool slx_alert_fn(void *arg, const struct slx_alert *x);

enum { SLX_ALERT_RESOLVED_KEEP_S = 15 * 60 };
/* Active alerts of a tenant (tenant.n 0: of all), and those that were resolved within SLX_ALERT_RESOLVED_KEEP_S by the wall clock
 * (state INACTIVE, for those who must tell of the end again). In no order. */
void slx_alerts_list(struct slx_alerts *a, struct slx_str tenant, slx_alert_fn *each, void *arg);
/* The same of one rule: the state to begin with after a restart. */
void slx_alerts_of_rule(struct slx_alerts *a, struct slx_str tenant, uint64_t rule_id, slx_alert_fn *each, void *arg);
/* The alert of this fingerprint, if it is listed. */
bool slx_alerts_find(struct slx_alerts *a, struct slx_hash128 fingerprint, slx_alert_fn *each, void *arg);

struct slx_alert_counts {
	uint64_t pending, firing, changes, failed; /* now, now, since open, since open: changes that could not be made durable */
};
void slx_alerts_count(struct slx_alerts *a, struct slx_alert_counts *ret);

/* ---- history: changes in range of the alerts for whose labels all matchers hold (NULL: of all), newest first, at most limit (0:
 * no limit). Read from the journal; no lock is held. RESOURCE_EXHAUSTED: narrow the range. ---- */

typedef bool slx_alert_event_fn(void *arg, const struct slx_alert_event *e);
silex_status slx_alerts_history(struct slx_alerts *a, struct slx_str tenant, const struct slx_selector *sel, struct slx_time_range range, uint64_t limit,
	slx_alert_event_fn *each, void *arg, silex_error *err);

/* ---- notes: small documents beside the journal, of rooms above (silences, acknowledgements, an outbox). In the same internal
 * tenant, as series {__name__="<kind>", id="<id>"}: the newest counts, an empty one means removed. No lock is held. ---- */

struct slx_note {
	struct slx_str kind; /* a word of a-z, not "alert" */
	struct slx_str id;
	int64_t at_ns; /* when it was written; later than the note that it replaces */
	struct slx_str bytes;
};
/* Durable when it returns OK; n of one tenant are one log write. */
silex_status slx_alerts_put_notes(struct slx_alerts *a, struct slx_str tenant, const struct slx_note *notes, size_t n, silex_error *err);
/* The notes of a kind that are there, of a tenant (tenant.n 0: of all). */
typedef bool slx_note_fn(void *arg, struct slx_str tenant, const struct slx_note *note);
silex_status slx_alerts_notes(struct slx_alerts *a, struct slx_str tenant, struct slx_str kind, slx_note_fn *each, void *arg, silex_error *err);

#endif
