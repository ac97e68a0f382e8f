/* Aggregates: jobs, run a batch at a time on all cores, and their rows, handed out in order.
 *
 * A job is one unit (series or group) over one tile of windows; tiles bound the rows that lie in memory. A batch of
 * jobs is run side by side. Where there are few units and they are groups of many series, a job is cut into slices of
 * its series instead, each with windows of its own, merged in order at the end: the same query gives the same bits on
 * every run. A single job of few series is done by the caller alone, without a word to the pool.
 *
 * A job's rows are those of its windows that are not empty; filling happens while they are handed out. */
#include "query/query_int.h"

#include "base/thread.h"

#include <math.h>

enum {
	TILE_OF_ROWS = 65536, /* windows of a job that makes rows one by one */
	TILE_OF_GROUP = 8192, /* of one that keeps all its windows open */
	BATCH_ROWS = 1 << 18, /* rows that a batch of jobs may make */
	BATCH_JOBS = 1024,
	SLICE_SERIES = 32, /* series that are worth a slice */
	SLICES_BYTES = 16 << 20,
	FILL_ROWS = 8192,
};

/* ---- tables of rows ---- */

static silex_status table_reserve(struct slx_query_table *t, struct slx_query_memory *m, size_t n, silex_error *err)
{
	SLX_TRY(slx_query_grow(m, &t->times, &t->times_cap, sizeof *t->times, n, err));
	SLX_TRY(slx_query_grow(m, &t->bits, &t->bits_cap, sizeof *t->bits, n, err));
	return slx_query_grow(m, &t->states, &t->states_cap, sizeof *t->states, n, err);
}

silex_status slx_query_table_add(
	struct slx_query_table *t, struct slx_query_memory *m, int64_t time, struct slx_query_value v, silex_error *err)
{
	if (t->n == t->times_cap || t->n == t->bits_cap || t->n == t->states_cap)
		SLX_TRY(table_reserve(t, m, t->n + 1, err));
	t->times[t->n] = time;
	t->bits[t->n] = v.bits;
	t->states[t->n] = v.state;
	t->n++;
	return SILEX_OK;
}

void slx_query_table_free(struct slx_query_table *t, struct slx_query_memory *m)
{
	slx_query_release(m, t->times, t->times_cap * sizeof *t->times);
	slx_query_release(m, t->bits, t->bits_cap * sizeof *t->bits);
	slx_query_release(m, t->states, t->states_cap * sizeof *t->states);
	*t = (struct slx_query_table){ 0 };
}

static void table_reverse(struct slx_query_table *t)
{
	for (size_t i = 0, k = t->n; i + 1 < k; i++) {
		k--;
		int64_t time = t->times[i];
		uint64_t bits = t->bits[i];
		uint8_t state = t->states[i];
		t->times[i] = t->times[k], t->bits[i] = t->bits[k], t->states[i] = t->states[k];
		t->times[k] = time, t->bits[k] = bits, t->states[k] = state;
	}
}

/* ---- one job ---- */

static silex_status accs_new(struct slx_query_cursor *c, uint64_t n, struct slx_query_acc **ret, silex_error *err)
{
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, n * sizeof **ret, &p, err));
	*ret = p;
	return SILEX_OK;
}

static void accs_free(struct slx_query_cursor *c, struct slx_query_acc *a, uint64_t n)
{
	for (uint64_t i = 0; a && i < n; i++)
		slx_query_acc_clear(&a[i], &c->memory);
	slx_query_release(&c->memory, a, n * sizeof *a);
}

/* The windows of a group become rows. What series gave by themselves has been summed up. */
static silex_status finish_group(
	struct slx_query_cursor *c, struct slx_query_job *job, struct slx_query_acc *accs, silex_error *err)
{
	const struct slx_query_agg *agg = c->agg->per_series ? slx_query_agg(SILEX_AGG_SUM) : c->agg;
	for (uint64_t k = 0; k < job->n; k++) {
		struct slx_query_value v;
		if (agg->finish(&accs[k], &c->finish, &v))
			SLX_TRY(slx_query_table_add(
				&job->rows, &c->memory, slx_query_window_from(&c->windows, job->first + k), v, err));
	}
	return SILEX_OK;
}

static void settle(struct slx_query_cursor *c, struct slx_query_job *job, silex_status st, silex_status damage)
{
	job->status = st != SILEX_OK ? st : damage;
	if (c->descending)
		table_reverse(&job->rows);
}

static void run_job(void *arg, size_t i)
{
	struct slx_query_cursor *c = arg;
	struct slx_query_job *job = &c->jobs[i];
	const struct slx_query_unit *u = &c->units[job->unit];
	struct slx_query_acc *accs = NULL;
	silex_status damage = SILEX_OK, st = SILEX_OK;
	silex_error damage_err;
	if (c->group)
		st = accs_new(c, job->n, &accs, &job->err);
	if (st == SILEX_OK)
		st = slx_query_fold(c, job, u->first, u->n, accs, &damage, &damage_err, &job->err);
	if (st == SILEX_OK && c->group)
		st = finish_group(c, job, accs, &job->err);
	accs_free(c, accs, job->n);
	if (st == SILEX_OK && damage != SILEX_OK)
		job->err = damage_err;
	settle(c, job, st, damage);
}

/* ---- one job in slices ---- */

struct slice {
	struct slx_query_acc *accs;
	silex_status status, damage;
	silex_error err, damage_err;
};

struct sliced {
	struct slx_query_cursor *c;
	struct slx_query_job *job;
	struct slice *slices;
	size_t n;
};

static void run_slice(void *arg, size_t i)
{
	struct sliced *all = arg;
	struct slice *s = &all->slices[i];
	const struct slx_query_unit *u = &all->c->units[all->job->unit];
	size_t from = u->n * i / all->n, to = u->n * (i + 1) / all->n;
	s->status = accs_new(all->c, all->job->n, &s->accs, &s->err);
	if (s->status == SILEX_OK)
		s->status =
			slx_query_fold(all->c, all->job, u->first + from, to - from, s->accs, &s->damage, &s->damage_err, &s->err);
}

/* Sums of per-series values are merged as sums. */
static unsigned merge_needs(const struct slx_query_cursor *c) { return c->agg->per_series ? SLX_NEED_FOLD : c->needs; }

static silex_status merge_slices(struct sliced *all, silex_error *err)
{
	struct slx_query_cursor *c = all->c;
	for (size_t i = 0; i < all->n; i++)
		if (all->slices[i].status != SILEX_OK)
			return slx_err(err, all->slices[i].status, "%s", all->slices[i].err.message);
	for (size_t i = 1; i < all->n; i++)
		for (uint64_t k = 0; k < all->job->n; k++)
			SLX_TRY(
				slx_query_acc_merge(&all->slices[0].accs[k], merge_needs(c), &all->slices[i].accs[k], &c->memory, err));
	return finish_group(c, all->job, all->slices[0].accs, err);
}

static silex_status run_sliced(struct slx_query_cursor *c, struct slx_query_job *job, size_t n, silex_error *err)
{
	struct sliced all = { c, job, NULL, n };
	silex_status damage = SILEX_OK;
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, n * sizeof *all.slices, &p, err));
	all.slices = p;
	slx_pool_run(slx_engine_pool(c->engine), n, run_slice, &all);
	silex_status st = merge_slices(&all, &job->err);
	for (size_t i = 0; i < n; i++) {
		struct slice *s = &all.slices[i];
		if (s->damage != SILEX_OK && damage == SILEX_OK && st == SILEX_OK) {
			damage = s->damage;
			job->err = s->damage_err;
		}
		accs_free(c, s->accs, job->n);
	}
	slx_query_release(&c->memory, all.slices, n * sizeof *all.slices);
	settle(c, job, st, damage);
	return SILEX_OK;
}

/* Slices for one job of a group; 1: not worth it. */
static size_t slices_for(const struct slx_query_cursor *c)
{
	size_t threads = slx_pool_threads(slx_engine_pool(c->engine)) + 1;
	if (!c->group || c->n_units == 0 || c->n_units >= 4 * threads)
		return 1;
	uint64_t tile = c->tile < c->windows.n ? c->tile : c->windows.n,
			 room = SLICES_BYTES / (tile * sizeof(struct slx_query_acc));
	size_t n = c->n_series / c->n_units / SLICE_SERIES;
	n = n < 4 * threads ? n : 4 * threads;
	n = n < room ? n : (size_t)room;
	return n ? n : 1;
}

/* ---- batches ---- */

silex_status slx_query_jobs_begin(struct slx_query_cursor *c, const struct slx_query_plan *plan, silex_error *err)
{
	c->tile = c->group ? TILE_OF_GROUP : TILE_OF_ROWS;
	if (c->descending && c->fill == SILEX_FILL_PREVIOUS)
		c->tile = c->windows.n; /* the previous one comes later */
	c->tiles = (c->windows.n + c->tile - 1) / c->tile;
	c->jobs_all = c->tiles * c->n_units;
	uint64_t tile = c->tile < c->windows.n ? c->tile : c->windows.n, n = BATCH_ROWS / tile;
	n = n < 1 ? 1 : n > BATCH_JOBS ? BATCH_JOBS : n;
	if (slices_for(c) > 1)
		n = 1;
	if (n > c->jobs_all)
		n = c->jobs_all;
	void *p;
	SLX_TRY(slx_query_alloc(&c->memory, n * sizeof *c->jobs, &p, err));
	c->jobs = p;
	c->jobs_cap = n;
	return SILEX_OK;
}

static void set_job(const struct slx_query_cursor *c, struct slx_query_job *job, uint64_t number)
{
	uint64_t tile = number % c->tiles;
	if (c->descending)
		tile = c->tiles - 1 - tile;
	job->unit = (size_t)(number / c->tiles);
	job->first = tile * c->tile;
	job->n = c->windows.n - job->first < c->tile ? c->windows.n - job->first : c->tile;
	job->status = SILEX_OK;
}

static silex_status run_batch(struct slx_query_cursor *c, silex_error *err)
{
	size_t slices = slices_for(c);
	uint64_t left = c->jobs_all - c->next_job;
	c->jobs_n = left < c->jobs_cap ? (size_t)left : c->jobs_cap;
	c->job = 0;
	c->row = 0;
	c->window = 0;
	c->job_told = false;
	for (size_t i = 0; i < c->jobs_n; i++)
		set_job(c, &c->jobs[i], c->next_job++);
	if (slices > 1)
		return run_sliced(c, &c->jobs[0], slices, err);
	if (c->jobs_n == 1)
		run_job(c, 0);
	else
		slx_pool_run(slx_engine_pool(c->engine), c->jobs_n, run_job, c);
	return SILEX_OK;
}

/* ---- rows ---- */

static silex_status series_has_samples(
	struct slx_query_cursor *c, size_t series, struct slx_query_work *w, bool *ret, silex_error *err)
{
	const struct slx_parts *p = &w->parts;
	struct slx_run run;
	SLX_TRY(slx_query_check(c, err));
	SLX_TRY(slx_query_collect(c, series, c->windows.range, w, err));
	slx_scan_start(w->scan, p->parts, p->n, p->hides, p->n_hides, c->windows.range);
	return slx_scan_next(w->scan, &run, ret, err);
}

/* Does the unit have any sample in range at all? Asked only when nulls would be made of nothing. */
static silex_status has_samples(struct slx_query_cursor *c, const struct slx_query_unit *u, bool *ret, silex_error *err)
{
	struct slx_query_work *w;
	silex_status st = SILEX_OK;
	*ret = false;
	SLX_TRY(slx_query_work_take(c, &w, err));
	for (size_t i = u->first; i < u->first + u->n && st == SILEX_OK && !*ret; i++)
		st = series_has_samples(c, i, w, ret, err);
	slx_query_work_give_back(c, w);
	if (st != SILEX_CORRUPT)
		return st;
	*ret = true; /* damaged, and told, but there */
	return SILEX_OK;
}

/* The job is the first to be handed out of another unit than the one before. */
static void begin_unit(struct slx_query_cursor *c, const struct slx_query_job *job)
{
	c->unit = job->unit;
	c->unit_begun = true;
	c->unit_rows = 0;
	c->unit_probed = false;
	c->has_previous = false;
}

static void set_rows(struct slx_query_cursor *c, const struct slx_query_table *t, size_t at, const uint8_t *null,
	size_t n, struct slx_query_rows *ret)
{
	if (n == 0)
		return;
	if (c->unit_rows == 0)
		c->series_given++;
	c->unit_rows += n;
	*ret = (struct slx_query_rows){ .series = c->series_given - 1,
		.labels = c->units[c->unit].labels,
		.kind = t->states[at] ? SLX_KIND_ENUM : SLX_KIND_FLOAT64,
		.n = n,
		.times = t->times + at,
		.bits = t->bits + at,
		.null = null };
}

/* The longest stretch of rows of one kind. */
static void give_rows(struct slx_query_cursor *c, const struct slx_query_job *job, struct slx_query_rows *ret)
{
	const struct slx_query_table *t = &job->rows;
	size_t at = c->row;
	while (c->row < t->n && t->states[c->row] == t->states[at])
		c->row++;
	set_rows(c, t, at, NULL, c->row - at, ret);
}

/* What stands in window k: its row, or what fills it; false when it is left out. */
static bool fill_window(struct slx_query_cursor *c, const struct slx_query_job *job, int64_t time,
	struct slx_query_value *ret, bool *ret_null)
{
	const struct slx_query_table *t = &job->rows;
	bool next = c->row < t->n;
	*ret_null = false;
	if (next && t->times[c->row] == time) {
		*ret = c->previous = (struct slx_query_value){ t->bits[c->row], t->states[c->row] };
		c->has_previous = true;
		c->row++;
		return true;
	}
	if (c->fill == SILEX_FILL_PREVIOUS) {
		bool earlier = c->descending ? next : c->has_previous;
		if (earlier)
			*ret = c->descending ? (struct slx_query_value){ t->bits[c->row], t->states[c->row] } : c->previous;
		return earlier;
	}
	*ret = (struct slx_query_value){ slx_f64_bits(NAN), c->has_previous && c->previous.state };
	*ret_null = true;
	return true;
}

/* Fills windows of the job, up to FILL_ROWS, of one kind. Nulls are of the kind before them. */
static silex_status give_filled(
	struct slx_query_cursor *c, const struct slx_query_job *job, struct slx_query_rows *ret, silex_error *err)
{
	struct slx_query_table *t = &c->filled;
	SLX_TRY(table_reserve(t, &c->memory, FILL_ROWS, err));
	SLX_TRY(slx_query_grow(&c->memory, &c->null, &c->null_cap, 1, FILL_ROWS, err));
	t->n = 0;
	while (c->window < job->n && t->n < FILL_ROWS) {
		size_t row = c->row;
		uint64_t k = job->first + (c->descending ? job->n - 1 - c->window : c->window);
		struct slx_query_value v, previous = c->previous;
		bool null, has_previous = c->has_previous;
		int64_t time = slx_query_window_from(&c->windows, k);
		bool is = fill_window(c, job, time, &v, &null);
		if (is && t->n > 0 && t->states[0] != v.state) { /* another kind: next time */
			c->row = row;
			c->previous = previous;
			c->has_previous = has_previous;
			break;
		}
		c->window++;
		if (!is)
			continue;
		t->times[t->n] = time;
		t->bits[t->n] = v.state && null ? 0 : v.bits;
		t->states[t->n] = v.state;
		c->null[t->n] = null;
		t->n++;
	}
	set_rows(c, t, 0, c->fill == SILEX_FILL_NULL ? c->null : NULL, t->n, ret);
	return SILEX_OK;
}

static silex_status give(
	struct slx_query_cursor *c, struct slx_query_job *job, struct slx_query_rows *ret, silex_error *err)
{
	if (!c->unit_begun || c->unit != job->unit)
		begin_unit(c, job);
	if (c->fill == SILEX_FILL_SKIP) {
		give_rows(c, job, ret);
		return SILEX_OK;
	}
	if (c->fill == SILEX_FILL_NULL && !c->unit_probed) {
		c->unit_there = job->rows.n > 0;
		if (!c->unit_there)
			SLX_TRY(has_samples(c, &c->units[job->unit], &c->unit_there, err));
		c->unit_probed = true;
	}
	if (c->fill == SILEX_FILL_NULL && !c->unit_there)
		return SILEX_OK;
	return give_filled(c, job, ret, err);
}

silex_status slx_query_jobs_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err)
{
	while (ret->n == 0) {
		if (c->job == c->jobs_n) {
			if (c->next_job == c->jobs_all)
				return SILEX_OK;
			SLX_TRY(run_batch(c, err));
		}
		struct slx_query_job *job = &c->jobs[c->job];
		if (job->status != SILEX_OK && !c->job_told) {
			c->job_told = true;
			return slx_err(err, job->status, "%s", job->err.message);
		}
		SLX_TRY(give(c, job, ret, err));
		if (ret->n == 0) { /* its rows are all given, and the caller is done with them */
			slx_query_table_free(&job->rows, &c->memory);
			c->job++;
			c->row = 0;
			c->window = 0;
			c->job_told = false;
		}
	}
	return SILEX_OK;
}

void slx_query_jobs_free(struct slx_query_cursor *c)
{
	for (size_t i = 0; i < c->jobs_cap; i++)
		slx_query_table_free(&c->jobs[i].rows, &c->memory);
	slx_query_release(&c->memory, c->jobs, c->jobs_cap * sizeof *c->jobs);
	slx_query_table_free(&c->filled, &c->memory);
	slx_query_release(&c->memory, c->null, c->null_cap);
}
