/* Inside the query room. */
#ifndef SLX_QUERY_INT_H
#define SLX_QUERY_INT_H

#include "query/query.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- memory of one query, within its limit ---- */

struct slx_query_memory {
	struct slx_engine *engine;
	struct slx_mem *mem;
	_Atomic int64_t used;
	int64_t limit;
};

/* RESOURCE_EXHAUSTED says how much would have been needed. */
silex_status slx_query_alloc(
	struct slx_query_memory *m, size_t n, void **ret, silex_error *err); /* zeroed; n 0: NULL */
/* Grows *p (elements of `each` bytes) from *cap to at least `need` elements, doubling. */
silex_status slx_query_grow(
	struct slx_query_memory *m, void *p, size_t *cap, size_t each, size_t need, silex_error *err);
void slx_query_release(struct slx_query_memory *m, void *p, size_t n);

/* ---- sums and searches ---- */

/* Adds x to sum + comp: comp gathers what rounding took from sum (Knuth's two-sum: no branches). */
static inline void slx_query_add(double x, double *sum, double *comp)
{
	double t = *sum + x, z = t - *sum;
	*comp += (*sum - (t - z)) + (x - z);
	*sum = t;
}

/* Infinities make the compensation NaN; the plain sum is then what IEEE says. */
static inline double slx_query_comp(double sum, double comp) { return isfinite(sum) && isfinite(comp) ? comp : 0; }

/* The first index in lo..n-1 of ascending v whose element is > t; n if there is none. Gallops: it is often near lo. */
static inline size_t slx_query_until(const int64_t *v, size_t lo, size_t n, int64_t t)
{
	size_t hi = lo;
	for (size_t step = 1; hi < n && v[hi] <= t; step *= 2) {
		lo = hi + 1;
		hi += step;
	}
	hi = hi < n ? hi : n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v[mid] <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- values to be sorted ----
 * A key is a number, mapped so that unsigned order is its order, or a state, above all numbers. */

struct slx_query_keys {
	uint64_t *p;
	size_t n, cap;
};

uint64_t slx_query_key(double v); /* not NaN; -0.0 becomes 0.0 */
double slx_query_key_number(uint64_t key);
static inline uint64_t slx_query_key_state(uint32_t state) { return UINT64_C(0xffffffff00000000) | state; }
static inline bool slx_query_key_is_state(uint64_t key) { return key >> 32 == 0xffffffff; }

void slx_query_select(uint64_t *keys, size_t n, size_t k); /* keys[k] as if sorted; none greater before it */
double slx_query_percentile(struct slx_query_keys *k, double percentile); /* numbers; n >= 1; reorders */
/* Most frequent key; `text` gives the texts of states, for ties. n >= 1; reorders. */
uint64_t slx_query_mode(
	struct slx_query_keys *k, const char *(*text)(const void *arg, uint32_t state), const void *arg);

/* ---- aggregates ---- */

enum slx_query_need {
	SLX_NEED_FOLD = 1,  /* count, sum, min, max */
	SLX_NEED_EDGES = 2, /* first, last */
	SLX_NEED_TIMES = 4, /* and their times */
	SLX_NEED_INCREASE = 8,
	SLX_NEED_SPREAD = 16, /* mean, m2 */
	SLX_NEED_KEYS = 32,   /* every value */
	SLX_NEED_HOLD = 64,   /* how long states hold */
	/* What the header of a chunk cannot say. */
	SLX_NEED_SAMPLES = SLX_NEED_SPREAD | SLX_NEED_KEYS | SLX_NEED_HOLD,
};

struct slx_query_value {
	uint64_t bits; /* a double, or a state */
	bool state;
};

/* What one window has seen so far. Only what the aggregate needs is kept up; agg.count is, always. */
struct slx_query_acc {
	struct slx_agg agg;
	struct slx_query_value first, last;
	int64_t t_first, t_last;
	double increase;
	double mean, m2;  /* Chan, Golub, LeVeque 1979 */
	uint64_t hold_ns; /* in the state asked for */
	bool held;        /* some state was in force */
	struct slx_query_keys keys;
};

/* What finishing may need beside the window. */
struct slx_query_finish {
	double percentile;
	const struct slx_snapshot *snapshot;
};

struct slx_query_agg {
	const char *name;
	unsigned needs;
	bool states;     /* counts states, not only numbers */
	bool per_series; /* in a group: computed per series and summed */
	/* The window's value; false when it is empty. */
	bool (*finish)(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret);
};

const struct slx_query_agg *slx_query_agg(silex_agg agg);

/* Adds a chunk by its header. With NEED_TIMES the chunk has no NaN. */
void slx_query_acc_header(struct slx_query_acc *a, unsigned needs, const struct slx_chunk_meta *m);
/* Adds samples of one kind, n >= 1. In time order within a series unless only FOLD, EDGES with TIMES, SPREAD or KEYS
 * are needed. */
silex_status slx_query_acc_samples(struct slx_query_acc *a, unsigned needs, enum slx_kind kind, const int64_t *ts,
	const uint64_t *bits, size_t n, struct slx_query_memory *mem, silex_error *err);
/* Adds what another part of the group's series gave for the same window (not INCREASE); `from` keeps nothing. */
silex_status slx_query_acc_merge(struct slx_query_acc *to, unsigned needs, struct slx_query_acc *from,
	struct slx_query_memory *mem, silex_error *err);
void slx_query_acc_clear(struct slx_query_acc *a, struct slx_query_memory *mem);

/* ---- windows ---- */

struct slx_query_windows {
	struct slx_time_range range;
	uint64_t step; /* ns; 0: one window */
	uint64_t n;
};

static inline uint64_t slx_query_window(const struct slx_query_windows *w, int64_t t)
{
	return w->step ? ((uint64_t)t - (uint64_t)w->range.from) / w->step : 0;
}
static inline int64_t slx_query_window_from(const struct slx_query_windows *w, uint64_t k)
{
	return (int64_t)((uint64_t)w->range.from + k * w->step);
}
static inline int64_t slx_query_window_to(const struct slx_query_windows *w, uint64_t k)
{
	return k + 1 >= w->n ? w->range.to : slx_query_window_from(w, k + 1) - 1;
}

/* ---- work spaces ---- */

struct slx_query_work {
	struct slx_query_work *next;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_scan_stats before; /* the scan's statistics when it was taken */
};

/* Samples of a stretch of time, ascending, of any kinds. */
struct slx_query_stretch {
	int64_t *ts;
	uint64_t *bits;
	uint8_t *kinds;
	size_t n, ts_cap, bits_cap, kinds_cap;
};

/* ---- rows of aggregates ---- */

struct slx_query_table {
	int64_t *times;
	uint64_t *bits;
	uint8_t *states; /* 1: bits is a state */
	size_t n, times_cap, bits_cap, states_cap;
};

/* One unit and tile of windows. */
struct slx_query_job {
	size_t unit;
	uint64_t first, n; /* windows */
	struct slx_query_table rows;
	silex_status status; /* of what was met; CORRUPT: rows are there all the same */
	silex_error err;
};

/* ---- the cursor ---- */

/* Where a series of the result lies. */
struct slx_query_series {
	uint32_t selection;
	size_t i;
};

/* series[first .. first + n - 1] */
struct slx_query_unit {
	struct slx_labels labels;
	size_t first, n;
};

struct slx_query_cursor {
	struct slx_querier *querier;
	struct slx_engine *engine;
	struct slx_query_memory memory;
	struct slx_snapshot *snapshot;
	struct slx_selection **selections;
	size_t n_selections;
	struct slx_query_series *series;
	size_t n_series, series_cap;
	struct slx_query_unit *units;
	size_t n_units;
	struct slx_arena labels; /* of groups */

	/* of the plan */
	const struct slx_query_agg *agg; /* NULL: the samples themselves */
	unsigned needs;
	struct slx_query_finish finish;
	char *state;
	bool state_is_number;
	double state_number;
	struct slx_query_windows windows;
	silex_fill fill;
	bool group, descending;
	uint64_t limit, limit_per_series;

	_Atomic bool canceled;
	const _Atomic bool *canceled_too; /* the plan's; may be NULL */
	int64_t begun_ns, deadline_ns, now_ns; /* monotonic; deadline 0: none; now: wall clock at the beginning */
	int64_t elapsed_ns;                    /* from opening to the last row; -1: not there yet */
	bool opened;
	silex_status failed; /* the error that ended it */
	silex_error failure;
	bool damage_told; /* a section that select left out was reported */

	/* streaming */
	uint64_t rows_given, series_given, unit_rows;
	size_t unit; /* whose rows are given */
	bool unit_begun;
	bool unit_probed, unit_there; /* fill null: looked whether the unit has samples; it has */

	/* samples */
	struct slx_query_work *work;
	bool scanning;
	int64_t back_to; /* descending: what is left ends here */
	struct slx_query_stretch stretch;
	size_t stretch_left;

	/* aggregates */
	uint64_t tile, tiles; /* windows of a tile, tiles of a unit */
	uint64_t next_job, jobs_all;
	struct slx_query_job *jobs;
	size_t jobs_n, jobs_cap, job;
	size_t row;      /* of jobs[job], next to be given */
	uint64_t window; /* windows of jobs[job] filled so far */
	bool job_told;
	struct slx_query_value previous;
	bool has_previous;
	struct slx_query_table filled;
	uint8_t *null;
	size_t null_cap;

	pthread_mutex_t lock;
	silex_query_stats stats; /* lock */
};

silex_status slx_query_work_take(struct slx_query_cursor *c, struct slx_query_work **ret, silex_error *err);
void slx_query_work_give_back(
	struct slx_query_cursor *c, struct slx_query_work *w); /* adds its statistics; NULL is fine */

/* OK, or why the query must end. */
silex_status slx_query_check(struct slx_query_cursor *c, silex_error *err);

/* Series and units of the plan (units.c). */
silex_status slx_query_units(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err);
silex_status slx_query_collect(
	struct slx_query_cursor *c, size_t series, struct slx_time_range range, struct slx_query_work *w, silex_error *err);

/* Folds series[first..first+n-1] over the job's windows (fold.c): into rows when accs is NULL (n is 1 then), else into
 * accs[job->n]. CORRUPT is noted in the job, not returned. */
silex_status slx_query_fold(struct slx_query_cursor *c, struct slx_query_job *job, size_t first, size_t n,
	struct slx_query_acc *accs, silex_status *ret_damage, silex_error *damage, silex_error *err);
silex_status slx_query_table_add(
	struct slx_query_table *t, struct slx_query_memory *m, int64_t time, struct slx_query_value v, silex_error *err);
void slx_query_table_free(struct slx_query_table *t, struct slx_query_memory *m);

/* Samples (samples.c). The last stretch of w's parts that ends at or before `to`, not before `from`: samples appended
 * to *s (which is reset); *ret_from is where it begins; *ret_more false when there is nothing at all any more. */
silex_status slx_query_back(struct slx_query_cursor *c, struct slx_query_work *w, int64_t from, int64_t to,
	struct slx_query_stretch *s, int64_t *ret_from, bool *ret_more, silex_error *err);
silex_status slx_query_samples_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err);
void slx_query_stretch_free(struct slx_query_stretch *s, struct slx_query_memory *m);

/* Aggregates (jobs.c). */
silex_status slx_query_jobs_begin(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err);
silex_status slx_query_jobs_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err);
void slx_query_jobs_free(struct slx_query_cursor *c);

#endif
