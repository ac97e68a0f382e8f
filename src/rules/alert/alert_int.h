/* Inside of rules/alert. */
#ifndef SLX_RULES_ALERT_INT_H
#define SLX_RULES_ALERT_INT_H

#include "base/arena.h"
#include "base/clock.h"
#include "engine/blobs.h"
#include "rules/alert/alert.h"

#include <pthread.h>

/* A rule's words as the alerts of this room keep them; ref-counted under the lock. One allocation with its strings. */
struct slx_alert_rule_copy {
	struct slx_alert_rule rule;
	size_t size; /* of the allocation */
	uint32_t refs;
};

/* An alert in the table. */
struct slx_alert_entry {
	struct slx_alert_entry *next; /* of the same slot */
	struct slx_alert alert;       /* labels lie behind the entry, annotations by themselves */
	struct slx_alert_rule_copy *rule;
	int64_t ended_wall_ns; /* wall clock: when it went inactive; 0: active */
	unsigned busy;         /* changes of it under way: it stays */
	size_t size;           /* of the allocation */
};

struct slx_alerts {
	struct slx_engine *engine;
	struct slx_mem *mem;
	pthread_rwlock_t sinks_lock; /* the sinks; held (to read) while they are told */
	struct {
		slx_alert_sink_fn *fn;
		void *arg;
	} sinks[SLX_ALERT_SINKS_MAX];
	size_t n_sinks;

	pthread_mutex_t lock; /* all below; a leaf: nothing else is taken under it */
	struct slx_alert_entry **slots; /* by fingerprint; a power of two */
	size_t n_slots, n;
	int64_t sweep_ns; /* wall clock: the next look for ended alerts to forget */
	struct slx_alert_counts counts;
};

enum { SLX_ALERT_EXPR_KEPT = 2048 };

/* ---- journal.c ---- */

/* A sample of the journal. Strings point into the value. */
struct slx_alert_record {
	enum slx_alert_state from, to;
	enum slx_alert_origin origin;
	int64_t active_ns, fired_ns, resolved_ns, interval_ns;
	double value;
	struct slx_str group, name, expr;
	struct slx_labels annotations;
};
void slx_alert_record_encode(const struct slx_alert_record *r, struct slx_buf *out);
/* CORRUPT names the offset. */
silex_status slx_alert_record_decode(struct slx_str bytes, struct slx_alert_record *ret, silex_error *err);

/* Name of the internal tenant. */
enum { SLX_ALERT_TENANT_SIZE = SLX_TENANT_STORED_MAX };
struct slx_str slx_alert_tenant(struct slx_str tenant, char room[SLX_ALERT_TENANT_SIZE]);
/* {__name__="alert", __rule__="<id in hex>", labels}, in the builder. */
silex_status slx_alert_series(struct slx_labels_builder *b, uint64_t rule_id, struct slx_labels labels, struct slx_labels *ret, silex_error *err);
/* And back: rule id, and the alert's labels in the builder. CORRUPT: no series of the journal. */
silex_status slx_alert_unseries(struct slx_labels series, struct slx_labels_builder *b, uint64_t *ret_rule, struct slx_labels *ret, silex_error *err);

/* The last change of each alert of a tenant. */
typedef silex_status slx_alert_last_fn(void *arg, uint64_t rule_id, struct slx_labels labels, int64_t at_ns, const struct slx_alert_record *r, silex_error *err);
silex_status slx_alert_journal_last(struct slx_engine *e, struct slx_str tenant, slx_alert_last_fn *each, void *arg, silex_error *err);

struct slx_hash128 slx_alert_fingerprint(struct slx_str tenant, uint64_t rule_id, struct slx_labels labels);
struct slx_hash128 slx_alert_event_id(struct slx_hash128 fingerprint, enum slx_alert_state to, int64_t at_ns);

#endif
