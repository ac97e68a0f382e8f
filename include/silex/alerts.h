/* Alerts as they are now, acknowledging and silencing them. SPDX-License-Identifier: MIT
 *
 * An acknowledgement says that somebody cares for one alert, as long as it goes on. A silence keeps all alerts whose labels match
 * from being told, from its start to its end. Both are durable when a call returns, and are there again after silex_open. The
 * server's receivers heed them (docs/operations.md); silex_rule_on_alert is told all the same, and may ask silex_alert_list.
 *
 * tenant NULL: "default". Times are in the database's unit. Any thread.
 *
 * This interface is experimental: it may change before version 1. */
#ifndef SILEX_ALERTS_H
#define SILEX_ALERTS_H

#include <silex/rules.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SILEX_ID_SIZE = 33 }; /* 32 hex digits and a zero byte */

typedef struct silex_alert_info {
	char fingerprint[SILEX_ID_SIZE]; /* of tenant, rule and labels */
	uint64_t rule_id;
	const char *name; /* of the rule */
	const silex_label *labels;
	size_t n_labels;
	const silex_label *annotations;
	size_t n_annotations;
	silex_alert_state state;
	int64_t active, fired, changed; /* since when; 0: not */
	double value;                   /* at the last change */
	int silenced, acknowledged;
	const char *silenced_by, *acknowledged_by;   /* "": not */
	int64_t silenced_until, acknowledged_until; /* of an acknowledgement without an end: INT64_MAX */
} silex_alert_info;
/* Everything lives during the call; return false to stop. The callback must not call into the same database. */
typedef bool (*silex_alert_info_fn)(void *arg, const silex_alert_info *info);
/* Those that are pending or firing, in no order. */
SILEX_API silex_status silex_alert_list(silex_db *db, const char *tenant, silex_alert_info_fn each, void *arg, silex_error *err);

/* ends 0: until the alert ends. INVALID: no author, an end that has passed. NOT_FOUND: no active alert has this fingerprint. */
SILEX_API silex_status silex_alert_acknowledge(silex_db *db, const char *tenant, const char *fingerprint, const char *author, const char *comment, int64_t ends,
	silex_error *err);
SILEX_API silex_status silex_alert_unacknowledge(silex_db *db, const char *tenant, const char *fingerprint, silex_error *err); /* NOT_FOUND */

typedef struct silex_silence {
	size_t size;
	const char *id;      /* NULL: a new one; else the one that is replaced */
	const char *match;   /* labels of alerts: {ward="icu", alertname=~"Spo2.*"}. One that matches every alert is refused */
	const char *author;  /* 1 to 200 bytes */
	const char *comment; /* NULL or up to 4000 */
	int64_t starts;      /* 0: now */
	int64_t ends;
} silex_silence;
SILEX_API void silex_silence_init(silex_silence *s);

/* INVALID names the member; NOT_FOUND: no such id. ret_id has room for SILEX_ID_SIZE. */
SILEX_API silex_status silex_silence_put(silex_db *db, const char *tenant, const silex_silence *s, char *ret_id, silex_error *err);
/* Ends it now. NOT_FOUND: no such silence, or it has ended. */
SILEX_API silex_status silex_silence_end(silex_db *db, const char *tenant, const char *id, silex_error *err);
/* Those that are there, newest first, ended ones for five days. As silex_alert_list. */
typedef bool (*silex_silence_fn)(void *arg, const silex_silence *s);
SILEX_API silex_status silex_silence_list(silex_db *db, const char *tenant, silex_silence_fn each, void *arg, silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
