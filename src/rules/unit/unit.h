/* Unit tests of rules, in promtool's format: series and the alerts and results that rules are expected to make of them.
 *
 *     rule_files: [rules.yml]                     tests:
 *     evaluation_interval: 1m                     - interval: 1m
 *     group_eval_order: [first, second]             input_series: [{series: 'up{job="a"}', values: '1 0x5 _ stale 1+2x3'}]
 *     fuzzy_compare: false                          alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [...]}]
 *                                                   promql_expr_test: [{expr: sum(up), eval_time: 5m, exp_samples: [...]}]
 *
 * Each test has a database in memory of its own, into which the series come as its time goes on. */
#ifndef SLX_RULES_UNIT_H
#define SLX_RULES_UNIT_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>

struct slx_unit_result {
	unsigned tests, failed; /* of the file's tests; a file that cannot be read is an error */
};

/* Runs the tests of a file; what differs is said line by line. Rule files are found beside it. INVALID "file:line:column: ...". */
silex_status slx_unit_run(struct slx_mem *m, const char *path, bool experimental, void (*say)(void *arg, const char *text), void *arg,
	struct slx_unit_result *ret, silex_error *err);

#endif
