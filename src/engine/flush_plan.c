/* Which blocks a flush makes: the smallest windows that give blocks of a few megabytes.
 *
 * Samples are counted by the smallest window. From the all-time window downwards, a window whose children all have
 * enough samples is cut into them; children that have not stay together in one block of the parent window, beside those
 * that have. So a monitor's two hours make one block of two hours, and ten years of daily points make one of all time. */
#include "engine/engine_int.h"

#include <stdlib.h>

enum { ENOUGH_POINTS = 1 << 20, FEW_CHILDREN = 3 };

struct plan {
	struct slx_flush_plan *out;
	const struct slx_levels *levels;
	const struct slx_window_count *counts;
	bool failed;
};

static struct slx_flush_job *job_add(struct plan *p, unsigned level, int64_t t, size_t ranges_max)
{
	struct slx_flush_plan *o = p->out;
	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 16;
		struct slx_flush_job *grown = slx_realloc(o->mem, SLX_MEM_OTHER, o->jobs, o->cap * sizeof *grown, cap * sizeof *grown);
		if (!grown)
			goto failed;
		o->jobs = grown;
		o->cap = cap;
	}
	struct slx_flush_job *j = &o->jobs[o->n];
	j->level = level;
	j->window_start = slx_levels_window(p->levels, level, t).from;
	j->n_ranges = 0;
	j->ranges = slx_arena_alloc(&o->arena, ranges_max * sizeof *j->ranges, 8);
	if (!j->ranges)
		goto failed;
	o->n++;
	return j;
failed:
	p->failed = true;
	return NULL;
}

/* End of the run of counts that lie in the child window (of `level`) of counts[lo]; *ret_points their sum. */
static size_t child_end(const struct plan *p, unsigned level, size_t lo, size_t hi, uint64_t *ret_points)
{
	struct slx_time_range w = slx_levels_window(p->levels, level, p->counts[lo].start);
	uint64_t sum = 0;
	size_t i = lo;
	for (; i < hi && slx_range_has(w, p->counts[i].start); i++)
		sum += p->counts[i].n;
	*ret_points = sum;
	return i;
}

/* The window of counts[i] at a level, as far as it lies in `within`: weeks do not end with their year. */
static struct slx_time_range window_of(const struct plan *p, unsigned level, size_t i, struct slx_time_range within)
{
	struct slx_time_range w = slx_levels_window(p->levels, level, p->counts[i].start);
	return (struct slx_time_range){ w.from > within.from ? w.from : within.from, w.to < within.to ? w.to : within.to };
}

static void place(struct plan *p, unsigned level, size_t lo, size_t hi, struct slx_time_range within)
{
	struct slx_time_range window = window_of(p, level, lo, within);
	if (level == 0) {
		struct slx_flush_job *j = job_add(p, 0, p->counts[lo].start, 1);
		if (j)
			j->ranges[j->n_ranges++] = window;
		return;
	}
	size_t children = 0, small = 0, large = 0;
	uint64_t points;
	for (size_t i = lo; i < hi; children++) {
		i = child_end(p, level - 1, i, hi, &points);
		small += points < ENOUGH_POINTS;
		large += points >= ENOUGH_POINTS;
	}
	bool all = children == 1 || small <= FEW_CHILDREN;
	struct slx_flush_job *rest = all ? NULL : job_add(p, level, p->counts[lo].start, large + 1);
	int64_t from = window.from;
	size_t at = rest ? p->out->n - 1 : 0;
	for (size_t i = lo, end; i < hi && !p->failed; i = end) {
		end = child_end(p, level - 1, i, hi, &points);
		if (!all && points < ENOUGH_POINTS)
			continue;
		struct slx_time_range child = window_of(p, level - 1, i, window);
		place(p, level - 1, i, end, window);
		if (!rest)
			continue;
		rest = &p->out->jobs[at]; /* the list may have moved */
		if (child.from > from)
			rest->ranges[rest->n_ranges++] = (struct slx_time_range){ from, child.from - 1 };
		from = child.to == window.to ? SLX_TIME_MAX : child.to + 1;
		if (child.to == window.to)
			return;
	}
	if (rest && !p->failed)
		p->out->jobs[at].ranges[p->out->jobs[at].n_ranges++] = (struct slx_time_range){ from, window.to };
}

static int by_start(const void *a, const void *b)
{
	int64_t x = ((const struct slx_window_count *)a)->start, y = ((const struct slx_window_count *)b)->start;
	return x < y ? -1 : x > y;
}

silex_status slx_flush_plan_make(struct slx_mem *m, const struct slx_levels *l, struct slx_window_count *counts, size_t n, struct slx_flush_plan *ret,
	silex_error *err)
{
	*ret = (struct slx_flush_plan){ .mem = m };
	slx_arena_init(&ret->arena, m, SLX_MEM_OTHER, 65536);
	struct plan p = { ret, l, counts, false };
	if (n == 0)
		return SILEX_OK;
	qsort(counts, n, sizeof *counts, by_start);
	place(&p, l->n - 1, 0, n, SLX_TIME_ALL);
	if (!p.failed)
		return SILEX_OK;
	slx_flush_plan_free(ret);
	return slx_err_oom(err);
}

void slx_flush_plan_free(struct slx_flush_plan *p)
{
	if (!p->mem)
		return;
	slx_free(p->mem, SLX_MEM_OTHER, p->jobs, p->cap * sizeof *p->jobs);
	slx_arena_clear(&p->arena);
	*p = (struct slx_flush_plan){ 0 };
}
