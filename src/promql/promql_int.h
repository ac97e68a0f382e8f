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

static inline bool slx_pq_op_trims(enum slx_pq_op op) { return op == SLX_PQ_TRIM_UPPER || op == SLX_PQ_TRIM_LOWER; }

/* ---- annotations: warnings and infos, each text once ---- */

struct slx_pq_notes;
/* Adds Prometheus' text ("PromQL warning: ...", "PromQL info: ...") with the position of `at` appended as " (line:column)". */
__attribute__((format(printf, 4, 5))) void slx_pq_note(struct slx_pq_notes *n, bool info, struct slx_pq_pos at, const char *fmt, ...);

/* ---- windows of range vectors ---- */

/* The samples of one series in (start, end], stale markers taken out, by ms. Floats and histograms apart; to see them
 * in one order compare times. start and end already have offset and @ applied: extrapolation uses them, not eval time.
 * Of an anchored selector the samples begin a lookback before start, of a smoothed one they also end a lookback after
 * end; start and end stay those of the range. */
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
	struct slx_pq_exec *exec;       /* whose memory limit holds */
	const struct slx_pq_node *node; /* the CALL */
	const int64_t *times;           /* matrix functions: the steps of this evaluation, ms */
	size_t steps;
	struct slx_arena *arena;        /* results (histograms) go here; lives as long as the answer */
	struct slx_pq_notes *notes;     /* locked inside */
	struct slx_str metric;          /* name of the series, for notes */
	const double *scalars;          /* values at this step of the scalar arguments, by argument number; a sweep is only
	                                   called when they are the same at all steps */
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

/* Whole matrices: args by argument number (scalars are matrices of one row without labels, strings stay empty: they are
 * read from the node). Matrices and what they point to live in c->arena; a function may work in place and hand rows of
 * its arguments on. Rows that lose their name get drop_name; the executor takes it off and looks for duplicates. */
typedef silex_status (*slx_pq_matrix_fn)(struct slx_pq_exec *x, struct slx_pq_call *c, struct slx_pq_matrix *args, struct slx_pq_matrix *ret, silex_error *err);

enum { SLX_PQ_ARGS_MAX = 8 };

struct slx_pq_function {
	const char *name;
	enum slx_promql_type returns;
	enum slx_promql_type args[SLX_PQ_ARGS_MAX];
	int8_t n_args;
	int8_t variadic; /* as Prometheus: 0: exactly n_args; n > 0: from n_args - 1 to n_args - 1 + n; -1: at least n_args - 1.
	                    Arguments beyond n_args have the type of the last one */
	bool experimental;
	bool keeps_name; /* window functions: last_over_time, first_over_time */
	bool selector;   /* argument 1 is a selector that is not evaluated: info() */
	slx_pq_window_fn window; /* for functions over a range vector */
	slx_pq_sweep_fn sweep;   /* may be NULL */
	/* For functions without a range vector. With `window` too (absent_over_time): called with what the windows gave
	 * in place of the range vector. NULL when window is NULL too: the executor answers "not supported", naming it. */
	slx_pq_matrix_fn matrix;
	double (*math)(double); /* with the matrix function for them: number by number */
};

const struct slx_pq_function *slx_pq_function_find(struct slx_str name);

/* The q-quantile of n values, whose order it changes: NaN when n is 0, -Inf and +Inf for q outside [0, 1]; NaN values are least. */
double slx_pq_quantile(double q, double *values, size_t n);

#endif
