/* Inside of the actions room. */
#ifndef SLX_SERVER_ACTIONS_INT_H
#define SLX_SERVER_ACTIONS_INT_H

#include "net/fetch.h"
#include "rules/silence/silence.h"
#include "server/actions/actions.h"
#include "server/core/auth.h"
#include "server/core/relabel.h"

#include <pthread.h>

enum {
	ACT_RECEIVERS_MAX = 64,
	ACT_COMMAND_QUEUE_MAX = 1000,
	ACT_CHANGED_MAX = 4096,      /* changes that an Alertmanager is told one by one; more: the whole state */
	ACT_BATCH_MAX = 256,         /* alerts of one request to an Alertmanager */
	ACT_BODY_MAX = 64 << 20,
};

#define ACT_RESEND_INTERVAL (60 * SLX_SECOND)
#define ACT_RESOLVED_KEPT   (15 * 60 * SLX_SECOND) /* so long an Alertmanager is told of an alert that ended */
#define ACT_EXPIRE_AFTER    (24 * 3600 * SLX_SECOND)

/* ---- an event as receivers keep it (note.c): immutable, one allocation, shared ---- */

struct act_note {
	_Atomic unsigned refs;
	size_t size;
	struct slx_mem *mem;
	struct slx_alert_rule rule;
	struct slx_alert_event event; /* its alert's rule is the one above */
};

struct act_note *act_note_new(struct slx_mem *m, const struct slx_alert_event *e); /* NULL: out of memory */
struct act_note *act_note_ref(struct act_note *n);
void act_note_unref(struct act_note *n); /* NULL is fine */
static inline bool act_note_fires(const struct act_note *n) { return n->event.alert.state == SLX_ALERT_FIRING; }
/* Began to fire or ceased to: what receivers are told. */
bool act_event_matters(const struct slx_alert_event *e);

/* ---- configuration (config.c). Strings are the slx_config's, lists the arena's ---- */

struct act_filter {
	struct slx_selector match; /* of the alert's labels; n 0: all */
	bool send_resolved;
};

struct act_endpoint { /* one Alertmanager */
	const char *url;
	struct slx_auth auth;
	int64_t timeout;
};

struct act_hook {
	const char *name, *url, *secret, *secret_file;
	struct slx_auth auth;
	struct act_filter filter;
	int64_t timeout, expire_after;
	uint64_t concurrency, queue_max; /* queue_max: events in memory; more wait in the journal */
};

struct act_program {
	const char *name;
	const char **argv; /* NULL-terminated */
	struct act_filter filter;
	int64_t timeout;
};

struct act_config {
	struct slx_arena arena;
	const struct slx_config *from;
	bool log;
	int64_t resend_interval;
	struct slx_label *external; /* external_labels */
	size_t n_external;
	struct slx_relabel relabel; /* alert_relabel_configs: of what Alertmanagers are told */
	struct act_endpoint *endpoints;
	size_t n_endpoints;
	struct act_hook *hooks;
	size_t n_hooks;
	struct act_program *programs;
	size_t n_programs;
};

silex_status act_config_read(struct slx_mem *m, const struct slx_config *c, struct act_config *ret, silex_error *err);
void act_config_clear(struct act_config *c);
bool act_filter_takes(const struct act_filter *f, const struct act_note *n);

/* ---- bodies (body.c) ---- */

/* Where the page shows the rule's expression. */
void act_put_link(struct slx_buf *b, const char *base, struct slx_str expr);
/* One alert of a POST to /api/v2/alerts. ends_ns: of a firing one now + 4 intervals, of a resolved one when it ended. */
struct act_links {
	const char *base; /* address of the page, without a slash at the end */
	const char *tenant; /* alerts of other tenants get a label `tenant` */
	const struct slx_label *external;
	size_t n_external;
	const struct slx_relabel *relabel;
};
/* false: the relabelling drops it; nothing was appended. */
bool act_put_alertmanager(struct slx_buf *b, const struct act_links *l, const struct slx_alert *a, int64_t ends_ns);
/* What a webhook or a command is given. */
struct act_attempt {
	const char *receiver;
	unsigned number; /* from 1 */
	int64_t now;
};
void act_put_event(struct slx_buf *b, const struct act_links *l, const struct slx_alert_event *e, const struct act_attempt *t);
/* "sha256=" and the HMAC-SHA-256 of "timestamp.body" in hex. */
enum { ACT_SIGNATURE_SIZE = 7 + 64 + 1 };
bool act_sign(const char *secret, int64_t timestamp_s, const void *body, size_t n, char ret[ACT_SIGNATURE_SIZE]);

/* ---- calling (call.c) ---- */

struct act_caller {
	struct slx_net_client *client;
	const struct slx_auth *auth;
	int64_t timeout;
	const _Atomic bool *cancel;
};
silex_status act_caller_open(struct act_caller *c, struct slx_mem *m, const struct slx_auth *a, int64_t timeout, const _Atomic bool *cancel, silex_error *err);
void act_caller_close(struct act_caller *c);
/* OK: an answer of 2xx. Else *ret_status is that of the answer, 0 when there was none. */
silex_status act_post(struct act_caller *c, const char *url, const char *const *headers, size_t headers_n, const struct slx_buf *body, int *ret_status,
	silex_error *err);

/* ---- the outbox: what of the journal a webhook has had (outbox.c) ---- */

enum act_outcome { ACT_DELIVERED = 1, ACT_EXPIRED = 2, ACT_HELD_BACK = 3 };

/* A receiver is there since *ret_since (wall clock): now, when it was not known. */
silex_status act_outbox_begin(struct slx_alerts *alerts, struct slx_str tenant, const char *receiver, int64_t now, int64_t *ret_since, silex_error *err);
/* This event and those of its alert before it are done with. What a crash takes of marks is sent again. */
silex_status act_outbox_mark(struct slx_alerts *alerts, const char *receiver, const struct act_note *n, enum act_outcome o, silex_error *err);
/* The events of the journal from the time on that the filter takes and that have no mark: take gets the oldest n_max in order,
 * with a reference. *ret_more: there are more. */
silex_status act_outbox_pending(struct slx_alerts *alerts, struct slx_mem *m, const char *receiver, const struct act_filter *filter, int64_t from,
	size_t n_max, void (*take)(void *arg, struct act_note *n), void *arg, bool *ret_more, silex_error *err);

/* ---- receivers ---- */

struct act_metrics { /* of one receiver */
	struct slx_metric *sent, *failed, *dropped, *expired, *waiting, *last, *latency;
};

struct act_shared { /* what receivers have in common; does not change while they run */
	struct slx_core *core;
	struct slx_engine *engine;
	struct slx_alerts *alerts;
	struct slx_silences *silences;
	const silex_clock *clock;
	struct act_links links;
	int64_t resend_interval;
	_Atomic bool stop;
};

void act_metrics_init(struct act_metrics *m, struct slx_metrics *all, const char *kind, const char *name);
/* It went out: counts, and for an event that is told on arrival how long it took since the write. */
void act_metrics_sent(struct act_metrics *m, const struct act_shared *s, const struct act_note *n);
/* Waits on cond under lock until woken, at most until due_ns of the monotonic clock and a second at most. */
void act_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const silex_clock *clock, int64_t due_ns);
silex_status act_cond_init(pthread_cond_t *c, silex_error *err);
/* The time before the next try: 1 s, 2 s, ... 60 s, each taken from its upper half by chance. */
int64_t act_backoff(unsigned failures, uint64_t *rng);

struct act_alertmanager;
silex_status act_alertmanager_start(struct act_shared *s, const struct act_endpoint *e, struct act_alertmanager **ret, silex_error *err);
void act_alertmanager_take(struct act_alertmanager *m, struct act_note *n);
void act_alertmanager_wake(struct act_alertmanager *m);
void act_alertmanager_stop(struct act_alertmanager *m); /* NULL is fine */

struct act_webhook;
silex_status act_webhook_start(struct act_shared *s, const struct act_hook *h, struct act_webhook **ret, silex_error *err);
void act_webhook_take(struct act_webhook *w, struct act_note *n);
void act_webhook_miss(struct act_webhook *w); /* there is an event that only the journal has */
void act_webhook_wake(struct act_webhook *w);
void act_webhook_stop(struct act_webhook *w); /* NULL is fine */

struct act_command;
silex_status act_command_start(struct act_shared *s, const struct act_program *p, struct act_command **ret, silex_error *err);
void act_command_take(struct act_command *c, struct act_note *n);
void act_command_stop(struct act_command *c); /* NULL is fine */

#endif
