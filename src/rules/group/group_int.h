/* Inside of rules/group. */
#ifndef SLX_RULES_GROUP_INT_H
#define SLX_RULES_GROUP_INT_H

#include "base/clock.h"
#include "rules/group/group.h"

/* A series that a rule wrote. */
struct slx_rule_series {
	struct slx_hash128 id;
	struct slx_labels labels;
	uint64_t round; /* when last */
	size_t size;
};

/* ---- samples.c: what a rule writes ---- */

struct slx_rule_rows {
	struct slx_arena *arena; /* of the labels, times and values */
	struct slx_mem *mem;
	struct {
		struct slx_buf labels, ids, ts, bits; /* columns */
		size_t n;
	} of[2]; /* floats, histograms */
};
void slx_rule_rows_init(struct slx_rule_rows *r, struct slx_mem *m, struct slx_arena *a);
void slx_rule_rows_free(struct slx_rule_rows *r);
/* labels: in the arena, or as long as the rows. Out of memory is told by the write. */
void slx_rule_rows_float(struct slx_rule_rows *r, struct slx_labels labels, struct slx_hash128 id, int64_t t, double v);
void slx_rule_rows_histogram(struct slx_rule_rows *r, struct slx_labels labels, struct slx_hash128 id, int64_t t, const struct slx_histogram *h);
/* Writes without waiting for the log; *ret_lsn is what to wait for. INVALID and the like: of the first row that was refused. */
silex_status slx_rule_rows_write(struct slx_rule_rows *r, struct slx_engine *e, struct slx_tenant *t, uint64_t *ret_n, uint64_t *ret_lsn, silex_error *err);

/* Remembers that a series was written in this round. */
silex_status slx_rule_series_seen(struct slx_rule_group *g, struct slx_rule_state *s, struct slx_labels labels, struct slx_hash128 id, silex_error *err);
/* Stale markers for series of earlier rounds, which are forgotten. */
void slx_rule_series_stale(struct slx_rule_group *g, struct slx_rule_state *s, struct slx_rule_rows *rows, int64_t t);
void slx_rule_series_free(struct slx_rule_group *g, struct slx_rule_state *s);

/* ---- query.c ---- */

/* An instant query at ts; scalars become a vector of one sample without labels. INVALID: no vector and no scalar. */
silex_status slx_rule_query(const struct slx_rule_group *g, const struct slx_promql_expr *x, int64_t ts_ns, struct slx_promql_result **ret, silex_error *err);
struct slx_promql_series slx_rule_sample(const struct slx_promql_result *r, size_t i); /* of the n that there are */
size_t slx_rule_samples(const struct slx_promql_result *r);
/* Name, rule labels over the sample's; labels NULL in the rule's texts are as written. In the arena. */
silex_status slx_rule_record_labels(const struct slx_rule_def *d, struct slx_labels sample, struct slx_labels_builder *b, struct slx_arena *a,
	struct slx_labels *ret, silex_error *err);

/* ---- alerting.c ---- */

silex_status slx_rule_eval_alerts(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns, struct slx_rule_rows *rows, silex_error *err);
silex_status slx_rule_restore_alerts(struct slx_rule_group *g, silex_error *err);
struct slx_rule_state *slx_rule_group_find(struct slx_rule_group *g, uint64_t id); /* NULL: none */
/* All alerts of the rule are resolved: it is no more. */
void slx_rule_end_alerts(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns);
void slx_rule_free_alerts(struct slx_rule_group *g, struct slx_rule_state *s);

#endif
