/* The running query (private to the executor: exec*.c, prepare.c, select.c, aggregate.c, binary.c, subquery.c, ...).
 *
 *     prepare.c    a copy of the tree: durations and @ resolved, what is the same at every step wrapped
 *     exec.c       walks it; each node's value is a matrix over a grid of steps
 *     select.c     the leaves: series are decoded once, in parallel, and made into rows at once
 *     subquery.c   an expression over a grid of its own, whose rows are then the samples of windows
 *     exec_rows.c  rows, label sets, tables of label sets, names taken off
 *     result.c     the answer
 *
 * Memory. Rows and labels live in arenas that go with the query: the calling thread's (slx_pq_exec.arena) and one for
 * each work space of the leaves. Operators work in place where they can: a matrix belongs to whoever got it last. */
#ifndef SLX_PROMQL_EXEC_INT_H
#define SLX_PROMQL_EXEC_INT_H

#include "promql/promql_int.h"

#include "base/thread.h"

#include <stdatomic.h>

/* ---- steps ---- */

struct slx_pq_grid {
	int64_t start, step; /* ms; step 0 only when n is 1 */
	size_t n;
	const int64_t *times; /* n */
};

/* ---- notes ---- */

struct slx_pq_notes {
	pthread_mutex_t lock;
	struct slx_str query;
	struct slx_arena arena; /* lock */
	struct slx_pq_text {
		struct slx_pq_text *next;
		struct slx_str text;
		bool info;
	} * first;   /* lock */
	size_t n[2]; /* lock: warnings, infos */
	bool failed; /* lock: memory ran out */
};

void slx_pq_notes_init(struct slx_pq_notes *n, struct slx_mem *m, struct slx_str query);
void slx_pq_notes_free(struct slx_pq_notes *n);
/* Texts in order, at most 10 and how many more there are, in the arena. */
silex_status slx_pq_notes_list(struct slx_pq_notes *n, bool info, struct slx_arena *a, const struct slx_str **ret,
	size_t *ret_n, silex_error *err);

/* ---- work spaces ---- */

/* Samples of one series by ms, ascending, no time twice: floats and histograms apart. */
struct slx_pq_samples {
	int64_t *t;
	double *v;
	size_t n, cap;
	int64_t *ht;
	const struct slx_histogram **h;
	size_t hn, hcap;
};

struct slx_pq_bucket_sum;
struct slx_rollup_bucket;
struct slx_rollup_view;
struct slx_pq_rolled; /* rollup_int.h */
struct slx_pq_expired;

struct slx_pq_work {
	struct slx_pq_work *next; /* idle */
	struct slx_pq_work *all;  /* every one of the query */
	struct slx_arena arena;   /* what rows are made of */
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_pq_samples samples;
	uint32_t *edges; /* of windows: lo, hi, and the same for histograms */
	size_t edges_cap;
	struct slx_pq_bucket_sum *buckets; /* select_fold.c */
	size_t buckets_cap;
	struct slx_rollup_bucket *rolled; /* select_rollup.c */
	size_t rolled_cap;
	unsigned runs; /* scanned so far: now and then the clock is asked */
};

/* ---- the query ---- */

struct slx_pq_exec {
	struct slx_engine *engine;
	struct slx_mem *mem;
	struct slx_promql_options o; /* defaults filled in */
	struct slx_snapshot *snapshot;
	struct slx_arena arena; /* the calling thread's */
	struct slx_pq_notes notes;
	struct slx_labels_builder builder; /* the calling thread's */
	const struct slx_pq_node *root;    /* prepared */
	int64_t deadline_ns;               /* monotonic; 0: none */
	int64_t prepared_ns;               /* monotonic: when evaluation began */
	int64_t memory_limit;
	_Atomic int64_t memory;                 /* bytes of rows and samples */
	_Atomic uint64_t samples, samples_peak; /* held; see slx_pq_hold */
	_Atomic uint64_t samples_total;
	struct slx_selection **selections; /* freed with the query: labels of rows lie in them */
	size_t n_selections, selections_cap;
	uint64_t series;
	struct slx_rollup_view *rollups; /* NULL: the tenant has none, or they are not wanted */
	struct slx_pq_rolled *rolled;    /* what leaves made; freed with the query */
	int64_t widths[SLX_PROMQL_ROLLUPS_MAX]; /* lock. ms: of the levels in use */
	size_t n_widths;                        /* lock */
	_Atomic uint64_t rollup_buckets;
	pthread_mutex_t lock;
	struct slx_pq_work *idle, *works; /* lock */
};

/* OK, or why the query must end: canceled, too late, snapshot revoked. Ask often. */
silex_status slx_pq_alive(struct slx_pq_exec *x, silex_error *err);
/* Books samples that are now in memory (n may be negative); RESOURCE_EXHAUSTED in Prometheus' words. */
silex_status slx_pq_hold(struct slx_pq_exec *x, int64_t n, silex_error *err);
/* Memory of the query within its limit, until it ends. NULL: slx_pq_oom says why. */
void *slx_pq_alloc(struct slx_pq_exec *x, struct slx_arena *a, size_t n);
/* Books what the arena has grown by since its total was `before`; false: beyond the limit. */
bool slx_pq_book(struct slx_pq_exec *x, const struct slx_arena *a, size_t before);
silex_status slx_pq_oom(struct slx_pq_exec *x, silex_error *err);

silex_status slx_pq_work_take(struct slx_pq_exec *x, struct slx_pq_work **ret, silex_error *err);
void slx_pq_work_give_back(struct slx_pq_exec *x, struct slx_pq_work *w);

/* ---- rows (exec_rows.c) ---- */

silex_status slx_pq_matrix_init(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t cap, silex_error *err);
/* A row at the end of m (which grows), all cells EMPTY. */
silex_status slx_pq_row_add(struct slx_pq_exec *x, struct slx_pq_matrix *m, struct slx_labels l, size_t steps,
	struct slx_pq_row **ret, silex_error *err);
/* Fresh cells for r, all EMPTY; h only when asked for. */
silex_status slx_pq_row_cells(
	struct slx_pq_exec *x, struct slx_arena *a, struct slx_pq_row *r, size_t steps, bool histograms, silex_error *err);
silex_status slx_pq_row_histograms(
	struct slx_pq_exec *x, struct slx_arena *a, struct slx_pq_row *r, size_t steps, silex_error *err);
bool slx_pq_row_empty(const struct slx_pq_row *r, size_t steps);
void slx_pq_matrix_compact(struct slx_pq_matrix *m, size_t steps); /* rows without any cell go */

/* Label sets. Names n: which are kept (keep) or taken out (else). meta: __name__, __type__ and __unit__ go too. */
struct slx_pq_cut {
	const struct slx_str *names;
	size_t n;
	bool keep;
	bool name, meta; /* __name__ goes; __name__, __type__, __unit__ go */
};
silex_status slx_pq_labels_cut(
	struct slx_pq_exec *x, struct slx_labels l, const struct slx_pq_cut *cut, struct slx_labels *ret, silex_error *err);
extern const struct slx_labels slx_pq_no_labels;

/* Label sets -> 0, 1, 2, ... in order of appearance. Keys are borrowed. */
struct slx_pq_table {
	struct slx_labels *keys;
	uint32_t *slots; /* number + 1 */
	size_t n, cap;   /* cap: of slots, a power of two; keys has half of it */
};
silex_status slx_pq_table_add(struct slx_pq_exec *x, struct slx_pq_table *t, struct slx_labels key, size_t *ret,
	bool *ret_fresh, silex_error *err);
bool slx_pq_table_find(const struct slx_pq_table *t, struct slx_labels key, size_t *ret);

/* Rows of equal labels become one; two samples at one step are Prometheus' "same labelset" error. strict: equal labels
 * are the error. */
silex_status slx_pq_unique(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, bool strict, silex_error *err);
/* Takes off the names of rows with drop_name now, and looks for duplicates, unless that is delayed to the end. */
silex_status slx_pq_names(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, bool strict, silex_error *err);
/* The same at the end, delayed or not. */
silex_status slx_pq_names_finally(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, silex_error *err);

/* ---- evaluation ---- */

silex_status slx_pq_grid_init(
	struct slx_pq_exec *x, int64_t start, int64_t step, size_t n, struct slx_pq_grid *ret, silex_error *err);

silex_status slx_pq_prepare(
	struct slx_pq_exec *x, const struct slx_pq_node *n, struct slx_pq_node **ret, silex_error *err);
/* Values at every step. Scalars: one row without labels. Strings: no row. */
silex_status slx_pq_eval(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err);
/* The single row's values of a scalar expression. */
silex_status slx_pq_eval_scalar(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n, double **ret, silex_error *err);
const struct slx_pq_node *slx_pq_unwrap(const struct slx_pq_node *n); /* PAREN, STEP_INVARIANT looked through */

/* ---- leaves (select.c) ---- */

/* Functions that chunks can answer without their samples (select_fold.c). */
enum slx_pq_fold {
	SLX_PQ_FOLD_NONE,
	SLX_PQ_FOLD_SUM,
	SLX_PQ_FOLD_AVG,
	SLX_PQ_FOLD_MIN,
	SLX_PQ_FOLD_MAX,
	SLX_PQ_FOLD_COUNT
};

/* A vector selector, or a function over a range vector: what makes a row out of a series. */
struct slx_pq_leaf {
	struct slx_pq_exec *x;
	const struct slx_pq_grid *grid;
	const struct slx_pq_node *vector; /* VECTOR; NULL: rows of a subquery */
	const struct slx_pq_node *call;   /* NULL: the vector's own values */
	bool times;                       /* instead of values: the samples' times, s */
	bool drop_name;
	struct slx_pq_matrix *args; /* of the call; those of scalar arguments are read */
	bool constant;              /* they are the same at all steps */
	int64_t *starts, *ends;     /* windows (start, end], ms */
	int64_t before, after;      /* ms that the samples reach beyond them (anchored, smoothed) */
	bool smooth;                /* the vector's own values, smoothed */
	bool sparse;                /* windows far apart: each is read by itself */
	enum slx_pq_fold fold;
	int64_t bucket; /* ms, with fold: windows begin and end on multiples of it from the first one's begin */
	const struct slx_selection *selection; /* NULL with rolled */
	struct slx_pq_rolled *rolled;          /* rows come out of roll-ups; NULL: they do not */
	struct slx_pq_expired *expired;        /* some do, since their samples are gone */
	size_t n; /* series */
};

silex_status slx_pq_leaf_init(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_leaf *ret, silex_error *err);
/* Row number i; r has fresh cells of the grid. Any thread, with a work space of its own. */
silex_status slx_pq_leaf_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *r, silex_error *err);
/* The same but for the steps before `from`. */
silex_status slx_pq_leaf_row_from(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *r, size_t from, silex_error *err);
/* All rows that are not empty. */
silex_status slx_pq_leaf_rows(const struct slx_pq_leaf *l, struct slx_pq_matrix *ret, silex_error *err);
/* The samples of series number i, without stale markers, into w->samples. */
silex_status slx_pq_leaf_samples(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, silex_error *err);
/* Runs each(arg, work, part, i) for i in 0..n-1 in `parts` stretches of i, in parallel when that pays. */
typedef silex_status (*slx_pq_each_fn)(void *arg, struct slx_pq_work *w, size_t part, size_t i, silex_error *err);
silex_status slx_pq_parallel(
	struct slx_pq_exec *x, size_t n, size_t parts, slx_pq_each_fn each, void *arg, silex_error *err);
/* All that its windows see, ns. */
struct slx_time_range slx_pq_leaf_range(const struct slx_pq_leaf *l);
/* Steps from..to-1 of a smoothed selector, from the samples in w. */
silex_status slx_pq_smooth(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t from, size_t to, silex_error *err);
/* Sets fold where that will do; the row of the series that w->parts has, without its samples (false: with them, please). */
void slx_pq_fold_init(struct slx_pq_leaf *l);
silex_status slx_pq_fold_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, bool *ret_done, silex_error *err);
/* How many parts pay for the rows of a leaf. */
size_t slx_pq_leaf_parts(const struct slx_pq_leaf *l);
/* The windows of a leaf, and the series of its vector. */
silex_status slx_pq_leaf_windows(
	struct slx_pq_leaf *l, const struct slx_pq_modifiers *m, int64_t width, silex_error *err);
silex_status slx_pq_leaf_select(struct slx_pq_leaf *l, silex_error *err);
/* The series of its rows: out of roll-ups where those will do, else as slx_pq_leaf_select. l stays where it is. */
silex_status slx_pq_leaf_source(struct slx_pq_leaf *l, silex_error *err);
struct slx_labels slx_pq_leaf_labels(const struct slx_pq_leaf *l, size_t i);
/* Books the cells of steps from..to-1 in place of `read` samples that were held. */
silex_status slx_pq_leaf_count(
	const struct slx_pq_leaf *l, const struct slx_pq_row *r, size_t from, size_t to, size_t read, silex_error *err);
/* The selection is freed with the query, also when this fails. Any thread under a lock of its own; else the calling one. */
silex_status slx_pq_keep_selection(struct slx_pq_exec *x, struct slx_selection *s, silex_error *err);

/* The first index in lo..n-1 of ascending t whose time is after `to`; n if there is none. Gallops: it is often near lo. */
static inline size_t slx_pq_until(const int64_t *t, size_t lo, size_t n, int64_t to)
{
	size_t hi = lo;
	for (size_t step = 1; hi < n && t[hi] <= to; step *= 2) {
		lo = hi + 1;
		hi += step;
	}
	hi = hi < n ? hi : n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t[mid] <= to)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- calls (exec_call.c), subqueries (subquery.c) ---- */

enum { SLX_PQ_SCALARS_MAX = 16 };

/* The call's values over windows from..to-1 of samples that are at hand (stale markers taken out). */
silex_status slx_pq_windows(const struct slx_pq_leaf *l, struct slx_pq_work *w, const struct slx_pq_samples *s,
	struct slx_labels labels, struct slx_pq_row *r, size_t from, size_t to, silex_error *err);
silex_status slx_pq_call_eval(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err);
/* The leaf that n is (a selector, or a function over a range of one), if it is one. */
silex_status slx_pq_leaf_of(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_leaf *ret, bool *ret_is, silex_error *err);
/* Its value. */
silex_status slx_pq_leaf_values(const struct slx_pq_leaf *l, struct slx_pq_matrix *ret, silex_error *err);
/* The subquery's expression over its steps in (start, end]. */
silex_status slx_pq_subquery_eval(struct slx_pq_exec *x, const struct slx_pq_node *n, int64_t start, int64_t end,
	struct slx_pq_grid *ret_grid, struct slx_pq_matrix *ret, silex_error *err);
/* The rows of a leaf whose windows look at a subquery. */
silex_status slx_pq_subquery_rows(
	struct slx_pq_leaf *l, const struct slx_pq_node *n, struct slx_pq_matrix *ret, silex_error *err);

/* ---- operators ---- */

silex_status slx_pq_aggregate(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err);
silex_status slx_pq_binary(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_matrix *ret, silex_error *err);

/* One operation on two floats. Comparisons: false when the pair falls out; *ret is then untouched. */
bool slx_pq_op_floats(enum slx_pq_op op, double l, double r, double *ret);

/* ---- answers (result.c) ---- */

silex_status slx_pq_result_make(struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_pq_matrix *m,
	struct slx_promql_result **ret, silex_error *err);
/* An instant query for a range vector: its samples. */
silex_status slx_pq_result_range(
	struct slx_pq_exec *x, const struct slx_pq_grid *g, struct slx_promql_result **ret, silex_error *err);

#endif
