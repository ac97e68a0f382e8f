/* Silences and acknowledgements: who does not want to hear of which alerts, until when, and why.
 *
 * A silence holds for the alerts of a tenant whose labels match, from its start to its end. An acknowledgement holds for one alert,
 * as long as it goes on this time, at most to its end: when the alert comes again it must be acknowledged again. Alerts of either
 * are shown as before; receivers (server/actions) are told when it ends, if the alert still fires then.
 *
 * Both are notes of the alert journal (rules/alert), durable when a call returns OK; docs/format/silence.md has the bytes. A
 * silence that ended stays listed for SLX_SILENCE_KEEP. Thread-safe. */
#ifndef SLX_RULES_SILENCE_H
#define SLX_RULES_SILENCE_H

#include "rules/alert/alert.h"

enum { SLX_SILENCE_ID_SIZE = 32, SLX_SILENCE_AUTHOR_MAX = 200, SLX_SILENCE_COMMENT_MAX = 4000 };
#define SLX_SILENCE_KEEP (5 * SLX_DAY)

struct slx_silences; /* one per database */

struct slx_silence {
	struct slx_str tenant;
	struct slx_str id;      /* 32 hex digits */
	struct slx_str match;   /* a selector of the alert's labels */
	struct slx_str author, comment;
	int64_t starts_ns, ends_ns, updated_ns; /* wall clock */
};

struct slx_ack {
	struct slx_str tenant;
	struct slx_hash128 fingerprint; /* of the alert */
	int64_t active_ns; /* which time: the alert's active_ns */
	int64_t ends_ns;   /* wall clock; SLX_TIME_MAX: when the alert ends */
	int64_t at_ns;     /* when it was given */
	struct slx_str author, comment;
};

/* Reads the journal. alerts must live longer. */
silex_status slx_silences_new(struct slx_alerts *alerts, struct slx_silences **ret, silex_error *err);
void slx_silences_free(struct slx_silences *s); /* NULL is fine */
/* fn is called after each change, without locks, by the thread that made it. Before others use s. */
void slx_silences_on_change(struct slx_silences *s, void (*fn)(void *arg), void *arg);

/* x->id empty: a new one; else the one of that id is replaced. INVALID says what is wrong: no author, a selector that matches every
 * alert or does not parse, an end before now or before the start. NOT_FOUND: no such id. */
silex_status slx_silence_put(struct slx_silences *s, const struct slx_silence *x, char ret_id[SLX_SILENCE_ID_SIZE + 1], silex_error *err);
/* Ends it now. NOT_FOUND: no such id, or it ended already. */
silex_status slx_silence_end(struct slx_silences *s, struct slx_str tenant, struct slx_str id, silex_error *err);
/* Of a tenant, newest first, until each returns false; a row lives during its call, which must not call back. */
void slx_silences_list(struct slx_silences *s, struct slx_str tenant, bool (*each)(void *arg, const struct slx_silence *x), void *arg);

/* NOT_FOUND: no active alert of the tenant has the fingerprint. at_ns and active_ns of x are not read. */
silex_status slx_ack_put(struct slx_silences *s, const struct slx_ack *x, silex_error *err);
silex_status slx_ack_remove(struct slx_silences *s, struct slx_str tenant, struct slx_hash128 fingerprint, silex_error *err); /* NOT_FOUND */

/* How it is with an alert at a time. Copies: cheap where there are no silences. */
struct slx_mute {
	bool silenced, acknowledged;
	int64_t silenced_until, acknowledged_until; /* SLX_TIME_MAX: until the alert ends */
	char silence_id[SLX_SILENCE_ID_SIZE + 1];
	char silenced_by[SLX_SILENCE_AUTHOR_MAX + 1], acknowledged_by[SLX_SILENCE_AUTHOR_MAX + 1];
};
/* true: one of the two holds. */
bool slx_silences_mute(struct slx_silences *s, const struct slx_alert *a, int64_t now, struct slx_mute *ret);

#endif
