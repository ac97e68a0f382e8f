/* Inside of rules/unit. */
#ifndef SLX_RULES_UNIT_INT_H
#define SLX_RULES_UNIT_INT_H

#include "api/api.h"
#include "rules/group/group.h"
#include "rules/unit/unit.h"

/* ---- series.c ---- */

struct slx_unit_value {
	double v;
	bool missing;
};

struct slx_unit_series {
	struct slx_labels labels;
	struct slx_hash128 id;
	const struct slx_unit_value *values; /* one for each interval, from time 0 */
	size_t n, next; /* next: the first that is not in the database */
};

/* "1 2+3x4 _x2 stale" into the arena. INVALID. */
silex_status slx_unit_values(struct slx_arena *a, struct slx_str text, const struct slx_unit_value **ret, size_t *ret_n, silex_error *err);
/* A metric as text into the arena. */
silex_status slx_unit_metric(struct slx_mem *m, struct slx_arena *a, struct slx_str text, struct slx_labels *ret, silex_error *err);
/* Writes the samples up to and with time `until`. */
silex_status slx_unit_load(struct slx_engine *e, struct slx_tenant *t, struct slx_unit_series *s, size_t n, int64_t interval_ns, int64_t until_ns,
	silex_error *err);

/* ---- file.c: a test file as read ---- */

struct slx_unit_alert {
	struct slx_labels labels, annotations;
};

struct slx_unit_alert_test {
	int64_t at_ns;
	struct slx_str alertname;
	struct slx_unit_alert *expected; /* sorted */
	size_t n;
};

struct slx_unit_sample {
	struct slx_labels labels;
	double value;
};

struct slx_unit_expr_test {
	int64_t at_ns;
	struct slx_str expr;
	struct slx_unit_sample *expected; /* sorted */
	size_t n;
	const char *error; /* labels that cannot be read: what is wrong; NULL */
};

struct slx_unit_test {
	struct slx_str name;
	int64_t interval_ns;
	struct slx_unit_series *series;
	size_t n_series;
	struct slx_unit_alert_test *alerts;
	size_t n_alerts;
	struct slx_unit_expr_test *exprs;
	size_t n_exprs;
	struct slx_labels external_labels;
	struct slx_str external_url;
	const char *error; /* why it cannot run; NULL */
};

struct slx_unit_file {
	struct slx_mem *mem;
	struct slx_arena arena;
	struct slx_str *rule_files; /* paths, globs expanded */
	size_t n_rule_files;
	struct slx_str *order; /* group_eval_order */
	size_t n_order;
	int64_t interval_ns;
	bool fuzzy;
	struct slx_unit_test *tests;
	size_t n_tests;
};

silex_status slx_unit_file_read(struct slx_mem *m, const char *path, struct slx_unit_file **ret, silex_error *err);
void slx_unit_file_free(struct slx_unit_file *f); /* NULL is fine */

int slx_unit_alert_cmp(const void *a, const void *b);
int slx_unit_sample_cmp(const void *a, const void *b);

#endif
