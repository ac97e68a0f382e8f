/* What the executor and the functions of PromQL share (private to promql/).
 *
 * The executor works on columns: the value of an expression is a matrix, one row a series, one cell a step. A cell holds a
 * float or a histogram or nothing. Functions of two shapes are plugged in by the table of functions.c:
 * - over a range vector: called per series, with the samples of each window (struct slx_pq_window); the common ones also
 *   have a sweep that does all windows of a series in one go;
 * - over instant vectors: called with whole matrices. */
#ifndef SLX_PROMQL_INT_H
#define SLX_PROMQL_INT_H

#include "promql/ast.h"

#include <math.h>

/* ---- values ---- */

/* A float, or (h not NULL) a histogram. */
struct slx_pq_value {
	double f;
	const struct slx_histogram *h;
};

enum slx_pq_cell { SLX_PQ_EMPTY = 0, SLX_PQ_FLOAT = 1, SLX_PQ_HISTOGRAM = 2 };

struct slx_pq_row {
	struct slx_labels labels; /* canonical; __name__ still in, drop_name set: delayed name removal */
	bool drop_name;
	double *f;                       /* steps values; read only where cell says FLOAT */
	uint8_t *cell;                   /* steps of enum slx_pq_cell */
	const struct slx_histogram **h;  /* NULL when the row has no histogram */
};

struct slx_pq_matrix {
	struct slx_pq_row *rows;
	size_t n, cap;
};

/* ---- annotations: warnings and infos, each text once ---- */

struct slx_pq_notes;
/* Adds Prometheus' text ("PromQL warning: ...", "PromQL info: ...") with the position of `at` appended as " (line:column)". */
__attribute__((format(printf, 4, 5))) void slx_pq_note(struct slx_pq_notes *n, bool info, struct slx_pq_pos at, const char *fmt, ...);

/* ---- windows of range vectors ---- */

/* The samples of one series in (start, end], stale markers taken out, by ms. Floats and histograms apart; to see them
 * in one order compare times. start and end already have offset and @ applied: extrapolation uses them, not eval time. */
struct slx_pq_window {
	const int64_t *t;
	const double *v;
	size_t n;
	const int64_t *ht;
	const struct slx_histogram *const *h;
	size_t hn;
	int64_t start, end; /* ms */
	int64_t eval;       /* ms: the step */
};

/* What a call knows while it is evaluated. One thread each. */
struct slx_pq_call {
	const struct slx_pq_node *node; /* the CALL */
	struct slx_arena *arena;        /* results (histograms) go here; lives as long as the answer */
	struct slx_pq_notes *notes;     /* locked inside */
	struct slx_str metric;          /* name of the series, for notes */
	const double *scalars;          /* values at this step of the scalar arguments, by argument number */
	struct slx_promql_options const *options;
	silex_status status;            /* a function that fails says so here */
	silex_error error;
};

/* One window's value; false: no sample at this step. */
typedef bool (*slx_pq_window_fn)(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret);

/* All windows of a series without histograms: window k is samples lo[k] .. hi[k] - 1 of t and v (lo, hi never fall). Writes f[k]
 * and cell[k]. starts[k], ends[k] as in struct slx_pq_window. Same answers, bit for bit, as the window function. */
typedef void (*slx_pq_sweep_fn)(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo, const uint32_t *hi,
	const int64_t *starts, const int64_t *ends, size_t steps, double *f, uint8_t *cell);

struct slx_pq_exec; /* exec_int.h: the running query */

/* Whole matrices: args by argument number (scalars are matrices of one row without labels). The result goes to ret. */
typedef silex_status (*slx_pq_matrix_fn)(struct slx_pq_exec *x, struct slx_pq_call *c, struct slx_pq_matrix *args, struct slx_pq_matrix *ret, silex_error *err);

enum { SLX_PQ_ARGS_MAX = 8 };

struct slx_pq_function {
	const char *name;
	enum slx_promql_type returns;
	enum slx_promql_type args[SLX_PQ_ARGS_MAX];
	int8_t n_args;
	int8_t variadic; /* as Prometheus: 0 exact; n > 0: the last n may be left out; -1: the last may repeat */
	bool experimental;
	bool keeps_name; /* last_over_time, first_over_time, ... */
	slx_pq_window_fn window;
	slx_pq_sweep_fn sweep;   /* may be NULL */
	slx_pq_matrix_fn matrix; /* for functions without a range vector */
};

const struct slx_pq_function *slx_pq_function_find(struct slx_str name);

#endif
