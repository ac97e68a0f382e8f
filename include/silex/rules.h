/* Rules on arrival: limits on series, looked at as samples land. SPDX-License-Identifier: MIT
 *
 *	silex_rule r;
 *	silex_rule_init(&r);
 *	r.name = "tachycardia";
 *	r.selector = "hr{ward=\"icu\"}";
 *	r.condition = SILEX_RULE_GT;
 *	r.limit = 120;
 *	r.leave = 110;           // hysteresis: it ends at 110 or below
 *	r.delay_on_ms = 10000;   // ten seconds over the limit before it fires
 *	silex_rule_on_alert(db, on_alert, me, &err);
 *	silex_rule_register(db, NULL, &r, &id, &err);
 *
 * One alert per series and rule, with states inactive, pending (the condition holds, delay_on_ms has not passed) and firing. Rules
 * and states live in the database: they are there again after silex_open, and after a crash.
 *
 * Times are those of samples. Samples count when they are at most max_lateness_ms away from the wall clock as they come; among those
 * any order gives the same state. Older ones, and those of silex_insert_backfill, never change a state.
 *
 * This interface is experimental: it may change before version 1. */
#ifndef SILEX_RULES_H
#define SILEX_RULES_H

#include <silex/silex.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum silex_rule_input { /* what is compared */
	SILEX_RULE_LAST = 0, /* the value */
	SILEX_RULE_RATE,     /* change per second over the window, from its first to its last sample */
	SILEX_RULE_AVG,
	SILEX_RULE_MIN,
	SILEX_RULE_MAX,
	SILEX_RULE_SUM,
	SILEX_RULE_COUNT,
	SILEX_RULE_STDDEV
} silex_rule_input;

typedef enum silex_rule_condition {
	SILEX_RULE_GT = 0,
	SILEX_RULE_GE,
	SILEX_RULE_LT,
	SILEX_RULE_LE,
	SILEX_RULE_EQ,
	SILEX_RULE_NE,
	SILEX_RULE_OUTSIDE, /* below limit or above high */
	SILEX_RULE_INSIDE   /* from limit to high, both included */
} silex_rule_condition;

typedef enum silex_rule_missing { /* when no sample has come for missing_after_ms */
	SILEX_MISSING_KEEP = 0, /* the state stays */
	SILEX_MISSING_FIRE,
	SILEX_MISSING_CLEAR
} silex_rule_missing;

typedef struct silex_rule {
	size_t size;
	const char *name;     /* of the alert: its label alertname */
	const char *selector; /* name{label="v", ...}; each series that it selects has a state of its own */
	silex_rule_input input;
	silex_rule_condition condition;
	silex_rule_missing missing;
	double limit, high;       /* high: of OUTSIDE and INSIDE */
	double leave, leave_high; /* hysteresis: what ends the condition; NaN (as init sets them): limit and high */
	int64_t window_ms;        /* up to a day; every input but LAST needs one. It ends with each sample */
	int64_t delay_on_ms, delay_off_ms; /* how long the condition must hold, or have left, before the state follows */
	int64_t missing_after_ms;
	int64_t max_lateness_ms;  /* 0: five minutes */
	uint32_t series_max;      /* 0: 10,000 */
	const silex_label *labels; /* put on the alert, over the series' own */
	size_t n_labels;
	const silex_label *annotations; /* texts for people */
	size_t n_annotations;
} silex_rule;
SILEX_API void silex_rule_init(silex_rule *r);

/* The rule holds when this returns, also after a crash. Copies *r. Samples from now on are looked at; windows begin with what is there.
 * INVALID names the member; RESOURCE_EXHAUSTED: it selects more series than series_max. Numbers are never given twice. */
SILEX_API silex_status silex_rule_register(silex_db *db, const char *tenant, const silex_rule *r, uint64_t *ret_id, silex_error *err);
/* Its active alerts end. NOT_FOUND. */
SILEX_API silex_status silex_rule_remove(silex_db *db, const char *tenant, uint64_t id, silex_error *err);

typedef struct silex_rule_info {
	uint64_t id;
	const silex_rule *rule; /* with defaults filled in */
	const char *text;       /* in words: avg(hr{ward="icu"}[1m]) > 120 until <= 110, on after 10s */
	uint64_t series, pending, firing;
	uint64_t samples, late, ignored; /* in order; late but counted; not counted: too old, of the future, backfill */
	uint64_t refused;                /* series over series_max: not watched */
} silex_rule_info;
/* Everything lives during the call; return false to stop. The callback must not call into the same database. */
typedef bool (*silex_rule_fn)(void *arg, const silex_rule_info *info);
/* By id. */
SILEX_API silex_status silex_rule_list(silex_db *db, const char *tenant, silex_rule_fn each, void *arg, silex_error *err);

typedef enum silex_alert_state { SILEX_ALERT_INACTIVE = 0, SILEX_ALERT_PENDING, SILEX_ALERT_FIRING } silex_alert_state;

typedef struct silex_alert {
	uint8_t id[16];   /* of this change: the same change told twice, after a crash, has the same */
	uint64_t rule_id;
	const char *tenant, *name;
	const silex_label *labels; /* of the series, without the metric's name when the selector gives it; the rule's; alertname */
	size_t n_labels;
	const silex_label *annotations;
	size_t n_annotations;
	silex_alert_state from, state;
	int64_t time;     /* of the change, in the database's unit: sample time */
	int64_t active;   /* since when the condition holds */
	double value;     /* what was compared; NaN: no sample came */
} silex_alert;
/* Called for each change once it is in the log, from a thread of the database, in order for one alert. Must return soon and must not
 * call into the same database. */
typedef void (*silex_alert_fn)(void *arg, const silex_alert *alert);
/* fn with arg, until silex_close. RESOURCE_EXHAUSTED: eight are there. */
SILEX_API silex_status silex_rule_on_alert(silex_db *db, silex_alert_fn fn, void *arg, silex_error *err);

/* As silex_insert_batch, with data of the past: whatever its times, no rule on arrival looks at it. */
SILEX_API silex_status silex_insert_backfill(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_batch_result *ret, silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
