/* Rule files as Prometheus reads them:
 *
 *     groups:
 *     - name: cpu                          rules:
 *       interval: 15s                      - record: instance:cpu:rate5m       - alert: CpuHot
 *       limit: 0                             expr: rate(cpu_seconds[5m])         expr: instance:cpu:rate5m > 0.9
 *       query_offset: 0s                     labels: {team: ops}                 for: 10m
 *       labels: {source: rules}                                                  keep_firing_for: 5m
 *                                                                                labels: {severity: page}
 *                                                                                annotations: {summary: "{{ $labels.instance }}"}
 *
 * An error names file, line and column of the value that is wrong, and what was expected. A file never changes once read. */
#ifndef SLX_RULES_FILE_H
#define SLX_RULES_FILE_H

#include "model/model.h"
#include "promql/promql.h"
#include "rules/template/template.h"
#include "yaml/yaml.h"

struct slx_rule_text { /* a label or an annotation */
	struct slx_str name, value;
	struct slx_template *template; /* NULL: nothing to expand */
};

struct slx_rule_texts {
	struct slx_rule_text *v; /* by name */
	size_t n;
};

enum slx_rule_kind { SLX_RULE_ALERTING, SLX_RULE_RECORDING };

struct slx_rule_def {
	enum slx_rule_kind kind;
	struct slx_str name;           /* of the alert, or of the new metric */
	struct slx_str expr_text;      /* as written */
	struct slx_promql_expr *expr;
	int64_t hold_ns, keep_ns;      /* for, keep_firing_for */
	struct slx_rule_texts labels;  /* the group's among them */
	struct slx_rule_texts annotations;
	uint64_t id; /* of file, group, kind, name and labels: the same when the expression is edited */
	unsigned line;
};

struct slx_rule_group_def {
	const struct slx_rule_file *file;
	struct slx_str name;
	int64_t interval_ns; /* 0: the default */
	int64_t offset_ns;   /* query_offset; -1: the default */
	uint64_t limit;      /* series or alerts of one rule; 0: none */
	struct slx_rule_def *rules;
	size_t n_rules;
	struct slx_hash128 hash; /* of all that it says */
};

struct slx_rule_file {
	struct slx_mem *mem;
	struct slx_arena arena;
	_Atomic unsigned refs;
	struct slx_str name;
	struct slx_rule_group_def *groups;
	size_t n_groups;
};

enum { SLX_RULE_FILE_SIZE_MAX = 16 << 20 };

/* experimental: PromQL with what is behind that switch. INVALID "file:line:column: ...". A reference is given. */
silex_status slx_rule_file_parse(struct slx_mem *m, const char *name, const void *text, size_t n, bool experimental, struct slx_rule_file **ret,
	silex_error *err);
silex_status slx_rule_file_read(struct slx_mem *m, const char *path, bool experimental, struct slx_rule_file **ret, silex_error *err);
struct slx_rule_file *slx_rule_file_ref(struct slx_rule_file *f);
void slx_rule_file_unref(struct slx_rule_file *f); /* NULL is fine */

#endif
