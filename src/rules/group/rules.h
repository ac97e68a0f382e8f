/* The groups of rules of all tenants, evaluated on threads of their own.
 *
 * A group is due at its slot: the interval's multiples, moved by a hash of its name, so that groups do not all begin at once. What a
 * slow evaluation overruns is counted as missed and left out. When the clock is set back a group begins again at the slot after the
 * time that it is then; when it jumps forward the slots between are missed.
 *
 * When samples come more than some seconds after their time, the evaluations that would have seen them are made again for recording
 * rules, back to the environment's max_lateness. Alerts are left alone.
 *
 * A new set of files takes the state of each rule that was there before (the same file, group, name and labels): alerts, the series
 * written last. What is no more ends: stale markers, resolved alerts. */
#ifndef SLX_RULES_RULES_H
#define SLX_RULES_RULES_H

#include "rules/group/group.h"

struct slx_rules;

struct slx_rules_source {
	struct slx_str tenant;
	struct slx_rule_file *file; /* a reference is taken */
};

/* No rules yet, no thread. Strings and labels of env are copied. */
silex_status slx_rules_new(struct slx_engine *e, struct slx_alerts *alerts, struct slx_rules **ret, silex_error *err);
void slx_rules_free(struct slx_rules *r); /* after stop; NULL is fine */

/* The rules from now on; waits for evaluations under way. Nothing changes when it is not OK. */
silex_status slx_rules_set(struct slx_rules *r, const struct slx_rule_env *env, const struct slx_rules_source *s, size_t n, silex_error *err);

silex_status slx_rules_start(struct slx_rules *r, unsigned threads, silex_error *err);
void slx_rules_stop(struct slx_rules *r); /* cancels what is being evaluated */

/* Evaluates the groups that are due now, one after the other, on this thread (tests with a clock of their own). Returns how many. */
unsigned slx_rules_tick(struct slx_rules *r);

/* Each group of a tenant (tenant.n 0: of all), in the order of file and group, until each returns false. Under the lock of the set:
 * no call back into it. Lock the group to look at its state. */
void slx_rules_each(struct slx_rules *r, struct slx_str tenant, bool (*each)(void *arg, struct slx_rule_group *g), void *arg);

/* What a list of rules is asked for, as Prometheus' /api/v1/rules has it. */
struct slx_rules_filter {
	int kind; /* enum slx_rule_kind; -1: both */
	const struct slx_str *names, *groups, *files; /* n 0: all */
	size_t n_names, n_groups, n_files;
	const struct slx_selector *match; /* rules for whose labels one of them holds */
	size_t n_match;
	bool exclude_alerts;
};

#endif
