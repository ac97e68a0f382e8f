/* PromQL, exactly as Prometheus 3 answers it.
 *
 *     text -> lexer (re2c), grammar (lemon) -> tree -> checks -> preparation (@ and durations resolved, what does not
 *     change from step to step found) -> executor: series by series, all steps of a series at once, on all cores
 *
 * Times inside are milliseconds, as in Prometheus; samples are floored to ms (the last one of a ms counts). */
#ifndef SLX_PROMQL_PROMQL_H
#define SLX_PROMQL_PROMQL_H

#include "base/arena.h"
#include "engine/snapshot.h"
#include "model/histogram.h"
#include "model/matcher.h"
#include "query/query.h"

enum slx_promql_type { SLX_PROMQL_NONE, SLX_PROMQL_SCALAR, SLX_PROMQL_VECTOR, SLX_PROMQL_MATRIX, SLX_PROMQL_STRING };

/* ---- text ---- */

struct slx_promql_expr;

/* INVALID: the message is Prometheus' ("1:5: parse error: unexpected ..."). experimental: functions, modifiers and
 * duration expressions behind --promql-experimental. */
silex_status slx_promql_parse(struct slx_mem *m, struct slx_str text, bool experimental, struct slx_promql_expr **ret, silex_error *err);
void slx_promql_free(struct slx_promql_expr *x); /* NULL is fine */
enum slx_promql_type slx_promql_result_type(const struct slx_promql_expr *x);
/* Appends the expression, pretty (Prometheus' format_query: lines of at most 100 columns) or on one line. */
void slx_promql_format(const struct slx_promql_expr *x, bool pretty, struct slx_buf *out);
/* Each selector of the expression, with its matchers (for exemplars, and to say what a query reads). */
void slx_promql_selectors(const struct slx_promql_expr *x, void (*each)(void *arg, const struct slx_selector *sel), void *arg);
/* Just a selector ("match[]" parameters): INVALID unless the text is one vector selector that does not match all. */
silex_status slx_promql_parse_selector(struct slx_mem *m, struct slx_str text, struct slx_selector *ret, silex_error *err);

/* ---- running ---- */

struct slx_promql_options {
	struct slx_identity who;
	int64_t start_ms, end_ms;
	int64_t step_ms;           /* 0: instant, at start_ms */
	int64_t lookback_ms;       /* 0: 5 minutes */
	int64_t subquery_step_ms;  /* default step of subqueries; 0: 1 minute */
	bool experimental;
	bool delayed_name_removal; /* on with --promql-experimental */
	uint64_t samples_max;      /* samples in memory at once; 0: 50 million. Prometheus' "too many samples" error */
	uint64_t memory_limit;     /* bytes; 0: what is left of the database's */
	int64_t timeout_ns;        /* 0: none. DEADLINE_EXCEEDED */
	const _Atomic bool *canceled; /* looked at often; CANCELED. May be NULL */
	enum { SLX_PROMQL_ROLLUPS_AUTO, SLX_PROMQL_ROLLUPS_EXACT, SLX_PROMQL_ROLLUPS_OFF } rollups;
};
/* AUTO: roll-ups where they give the same answer, and what they know where samples are too old to be kept (an info says so).
 * EXACT: the former only. OFF: samples only. */

struct slx_promql_point {
	int64_t t_ms;
	double v;
};

struct slx_promql_histogram_point {
	int64_t t_ms;
	const struct slx_histogram *h;
};

struct slx_promql_series {
	struct slx_labels labels;
	const struct slx_promql_point *points; /* ascending */
	size_t n;
	const struct slx_promql_histogram_point *histograms; /* ascending */
	size_t n_histograms;
};

enum { SLX_PROMQL_ROLLUPS_MAX = 8 };

struct slx_promql_stats {
	uint64_t samples_total, samples_peak; /* as Prometheus counts them for stats=all */
	int64_t eval_ns, prepare_ns, exec_ns;
	uint64_t series, chunks, chunks_by_header, bytes_read;
	int64_t rollups[SLX_PROMQL_ROLLUPS_MAX]; /* ms: widths of the levels that were used */
	size_t n_rollups;
	uint64_t rollup_buckets;
};

/* An answer, in memory within the query's limit. A range query gives MATRIX (sorted by labels), also for scalars. */
struct slx_promql_result {
	enum slx_promql_type type;
	const struct slx_promql_series *series; /* VECTOR: one point each, in Prometheus' order; MATRIX */
	size_t n;
	struct slx_promql_point scalar;
	struct slx_str string; /* STRING: with scalar.t_ms */
	const struct slx_str *warnings, *infos; /* Prometheus' texts, sorted, at most 10 of each */
	size_t n_warnings, n_infos;
	struct slx_promql_stats stats;
};

/* INVALID: what Prometheus calls bad_data; CANCELED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED; every other failure of the
 * evaluation ("execution": many-to-many matching and the like) is CONFLICT with Prometheus' text. */
silex_status slx_promql_run(struct slx_engine *e, const struct slx_promql_expr *x, const struct slx_promql_options *o,
	struct slx_promql_result **ret, silex_error *err);
void slx_promql_result_free(struct slx_promql_result *r); /* NULL is fine */

#endif
