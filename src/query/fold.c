/* Series into windows.
 *
 * Three ways, the cheapest that the aggregate and the data allow:
 *   - columns: a block holds the series alone for a while (no other part there, no tombstone), and headers are enough:
 *     the packed header columns of chunks inside one window are summed up; only chunks across a border are opened;
 *   - headers: a run of the scan is a whole chunk inside one window;
 *   - samples: everything else is decoded and cut at the windows' borders.
 *
 * Windows are finished one after another where rows are made directly, or where a group sums what each series gives by
 * itself (increase, rate, delta, time_in_state); for other groups all windows of the job stay open, in accs. */
#include "query/query_int.h"

enum {
	PARTS_SORTED_MAX = 16, /* more parts than this go to the merge straight away */
	FUSED_MIN = 24,        /* samples a window on average that are worth aggregating inside the codec */
};

struct feed {
	struct slx_query_cursor *c;
	struct slx_query_job *job;
	struct slx_query_work *work;
	const struct slx_query_windows *windows;
	unsigned needs;
	struct slx_time_range range; /* of the job's windows */
	struct slx_query_acc *accs;  /* of a group, by window; NULL: rows */
	bool one_open;
	bool open;
	uint64_t at; /* window of `one`, while open */
	struct slx_query_acc one;
	uint64_t points, chunks_by_columns;
	silex_status *damage;
	silex_error *damage_err;
};

/* ---- windows ---- */

static silex_status close_window(struct feed *f, silex_error *err)
{
	struct slx_query_value v;
	silex_status st = SILEX_OK;
	if (!f->open)
		return SILEX_OK;
	f->open = false;
	if (f->c->agg->finish(&f->one, &f->c->finish, &v)) {
		if (f->accs) {
			double x = slx_bits_f64(v.bits);
			slx_agg_merge(&f->accs[f->at - f->job->first].agg, &(struct slx_agg){ 1, x, 0, x, x });
		} else {
			st = slx_query_table_add(&f->job->rows, &f->c->memory, slx_query_window_from(f->windows, f->at), v, err);
		}
	}
	struct slx_query_keys keys = { f->one.keys.p, 0, f->one.keys.cap };
	f->one = (struct slx_query_acc){ .keys = keys };
	return st;
}

static silex_status window_at(struct feed *f, uint64_t k, struct slx_query_acc **ret, silex_error *err)
{
	*ret = &f->one;
	if (!f->one_open) {
		*ret = &f->accs[k - f->job->first];
	} else if (!f->open || f->at != k) {
		SLX_TRY(close_window(f, err));
		f->open = true;
		f->at = k;
	}
	return SILEX_OK;
}

/* ---- damage is told, not fatal ---- */

static silex_status damaged(struct feed *f, silex_status st, const silex_error *e, silex_error *err)
{
	if (st != SILEX_CORRUPT)
		return slx_err(err, st, "%s", e->message);
	if (*f->damage == SILEX_OK) {
		*f->damage = st;
		*f->damage_err = *e;
	}
	return SILEX_OK;
}

/* ---- runs ---- */

/* Histograms and bytes are no numbers; states are something to few aggregates. */
static bool passes_over(const struct feed *f, enum slx_kind kind)
{
	return slx_kind_is_bytes(kind) || (kind == SLX_KIND_ENUM && !f->c->agg->states);
}

static silex_status feed_samples(struct feed *f, const struct slx_run *run, silex_error *err)
{
	const struct slx_query_windows *w = f->windows;
	uint64_t k = slx_query_window(w, run->ts[0]);
	for (size_t at = 0, end; at < run->n; at = end) {
		struct slx_query_acc *a;
		end = slx_query_until(run->ts, at + 1, run->n, slx_query_window_to(w, k));
		SLX_TRY(window_at(f, k, &a, err));
		SLX_TRY(
			slx_query_acc_samples(a, f->needs, run->kind, run->ts + at, run->bits + at, end - at, &f->c->memory, err));
		/* Mostly the next window has the next sample: that saves a division. */
		if (end < run->n)
			k = run->ts[end] <= slx_query_window_to(w, k + 1) ? k + 1 : slx_query_window(w, run->ts[end]);
	}
	return SILEX_OK;
}

static bool header_suffices(const struct feed *f, const struct slx_chunk_meta *m)
{
	if (f->needs & SLX_NEED_SAMPLES || (f->needs & SLX_NEED_TIMES && m->stats.count != m->n))
		return false;
	return slx_query_window(f->windows, m->tmin) == slx_query_window(f->windows, m->tmax);
}

static silex_status add_fused(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n, silex_error *err)
{
	struct feed *f = arg;
	struct slx_query_acc *a;
	SLX_TRY(window_at(f, k, &a, err));
	slx_agg_merge(&a->agg, agg);
	return SILEX_OK;
}

/* Does the codec aggregate the chunk's windows faster than we would, decoded? */
static bool fused_pays(const struct feed *f, const struct slx_run *run)
{
	if (f->needs != SLX_NEED_FOLD || !run->whole || run->kind == SLX_KIND_ENUM)
		return false;
	uint64_t windows = slx_query_window(f->windows, run->meta.tmax) - slx_query_window(f->windows, run->meta.tmin) + 1;
	return run->n / FUSED_MIN >= windows;
}

static silex_status feed_run(struct feed *f, struct slx_run *run, silex_error *err)
{
	if (passes_over(f, run->kind))
		return SILEX_OK;
	f->points += run->n;
	if (run->whole && header_suffices(f, &run->meta)) {
		struct slx_query_acc *a;
		SLX_TRY(window_at(f, slx_query_window(f->windows, run->meta.tmin), &a, err));
		slx_query_acc_header(a, f->needs, &run->meta);
		return SILEX_OK;
	}
	silex_error e;
	silex_status st;
	if (fused_pays(f, run)) {
		st = slx_scan_fold(f->work->scan, run, f->windows->range.from, f->windows->step, add_fused, f, &e);
		return st == SILEX_OK ? st : damaged(f, st, &e, err);
	}
	st = slx_scan_decode(f->work->scan, run, &e);
	return st == SILEX_OK ? feed_samples(f, run, err) : damaged(f, st, &e, err);
}

static silex_status feed_scan(struct feed *f, const struct slx_part *parts, size_t n, silex_error *err)
{
	const struct slx_parts *p = &f->work->parts;
	struct slx_run run;
	slx_scan_start(f->work->scan, parts, n, p->hides, p->n_hides, f->range);
	for (bool more = true; more;) {
		silex_error e;
		silex_status st = slx_scan_next(f->work->scan, &run, &more, &e);
		if (st != SILEX_OK)
			SLX_TRY(damaged(f, st, &e, err));
		else if (more)
			SLX_TRY(feed_run(f, &run, err));
		SLX_TRY(slx_query_check(f->c, err));
	}
	return SILEX_OK;
}

/* ---- columns ---- */

static bool only_numbers(const struct slx_section_columns *cols, size_t i, size_t end)
{
	bool others = false;
	for (; i < end; i++)
		others |= cols->kind[i] >= SLX_KIND_ENUM;
	return !others;
}

/* count, sum, min and max of chunks i..end-1. */
static struct slx_agg fold_columns(const struct slx_section_columns *cols, size_t i, size_t end)
{
	struct slx_agg a = { .min = INFINITY, .max = -INFINITY };
	for (; i < end; i++) {
		double min = cols->count[i] ? cols->min[i] : INFINITY, max = cols->count[i] ? cols->max[i] : -INFINITY;
		slx_query_add(cols->sum[i], &a.sum, &a.comp);
		a.comp += cols->comp[i];
		a.count += cols->count[i];
		a.min = min < a.min ? min : a.min;
		a.max = max > a.max ? max : a.max;
	}
	a.comp = slx_query_comp(a.sum, a.comp);
	return a;
}

/* Chunks i..end-1 lie in window k. */
static silex_status feed_headers(struct feed *f, const struct slx_section *s, const struct slx_section_columns *cols,
	uint64_t k, size_t i, size_t end, silex_error *err)
{
	struct slx_query_acc *a;
	f->chunks_by_columns += end - i;
	if (f->needs == SLX_NEED_FOLD && only_numbers(cols, i, end)) {
		for (size_t c = i; c < end; c++)
			f->points += cols->samples[c];
		SLX_TRY(window_at(f, k, &a, err));
		struct slx_agg folded = fold_columns(cols, i, end);
		slx_agg_merge(&a->agg, &folded);
		return SILEX_OK;
	}
	for (; i < end; i++) {
		struct slx_chunk_meta m;
		if (passes_over(f, (enum slx_kind)cols->kind[i]))
			continue;
		slx_section_meta(s, (uint32_t)i, &m);
		f->points += m.n;
		SLX_TRY(window_at(f, k, &a, err));
		slx_query_acc_header(a, f->needs, &m);
	}
	return SILEX_OK;
}

/* May the header of chunk i stand for it in a window that ends at `last`? */
static bool inside(const struct feed *f, const struct slx_section_columns *cols, size_t i, int64_t last)
{
	return cols->tmax[i] <= last && (!(f->needs & SLX_NEED_TIMES) || cols->count[i] == cols->samples[i]);
}

static silex_status feed_columns(struct feed *f, const struct slx_part *part, silex_error *err)
{
	struct slx_section_columns cols;
	slx_section_columns(part->block.section, &cols);
	size_t n = (size_t)part->block.first + part->block.n;
	size_t i = slx_query_until(cols.tmax, part->block.first, n, f->range.from - 1);
	while (i < n && cols.tmin[i] <= f->range.to) {
		size_t end = i;
		uint64_t k = 0;
		if (cols.tmin[i] >= f->range.from) {
			k = slx_query_window(f->windows, cols.tmin[i]);
			int64_t last = slx_query_window_to(f->windows, k);
			while (end < n && inside(f, &cols, end, last))
				end++;
		}
		if (end > i) {
			SLX_TRY(feed_headers(f, part->block.section, &cols, k, i, end, err));
		} else {
			struct slx_part one = *part;
			one.block.first = (uint32_t)i;
			one.block.n = 1;
			end = i + 1;
			SLX_TRY(feed_scan(f, &one, 1, err));
		}
		i = end;
		SLX_TRY(slx_query_check(f->c, err));
	}
	return SILEX_OK;
}

/* ---- one series ---- */

static bool part_extent(const struct slx_part *p, struct slx_time_range *ret)
{
	switch (p->type) {
	case SLX_PART_MEMORY:
		if (p->memory.n)
			*ret =
				(struct slx_time_range){ p->memory.chunks[0]->meta.tmin, p->memory.chunks[p->memory.n - 1]->meta.tmax };
		return p->memory.n > 0;
	case SLX_PART_RAW:
		if (p->raw.n)
			*ret = (struct slx_time_range){ p->raw.ts[0], p->raw.ts[p->raw.n - 1] };
		return p->raw.n > 0;
	default: {
		struct slx_section_columns cols;
		if (p->block.n == 0)
			return false;
		slx_section_columns(p->block.section, &cols);
		*ret = (struct slx_time_range){ cols.tmin[p->block.first], cols.tmax[p->block.first + p->block.n - 1] };
		return true;
	}
	}
}

/* Puts the parts that have anything into order of time; false when two of them overlap. */
static bool sort_disjoint(const struct slx_parts *p, const struct slx_part *ret[PARTS_SORTED_MAX], size_t *ret_n)
{
	struct slx_time_range extents[PARTS_SORTED_MAX], e;
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (!part_extent(&p->parts[i], &e))
			continue;
		size_t k = n++;
		for (; k > 0 && extents[k - 1].from > e.from; k--) {
			extents[k] = extents[k - 1];
			ret[k] = ret[k - 1];
		}
		extents[k] = e;
		ret[k] = &p->parts[i];
	}
	for (size_t i = 1; i < n; i++)
		if (extents[i].from <= extents[i - 1].to)
			return false;
	*ret_n = n;
	return true;
}

static bool has_block(const struct slx_parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->parts[i].type == SLX_PART_BLOCK)
			return true;
	return false;
}

static silex_status feed_parts(struct feed *f, silex_error *err)
{
	const struct slx_parts *p = &f->work->parts;
	const struct slx_part *sorted[PARTS_SORTED_MAX];
	size_t n;
	bool headers = !(f->needs & SLX_NEED_SAMPLES) && p->n_hides == 0 && p->n && p->parts[0].dedup == 0;
	if (!headers || p->n > PARTS_SORTED_MAX || !has_block(p) || !sort_disjoint(p, sorted, &n))
		return feed_scan(f, p->parts, p->n, err);
	for (size_t i = 0; i < n; i++) {
		if (sorted[i]->type == SLX_PART_BLOCK)
			SLX_TRY(feed_columns(f, sorted[i], err));
		else
			SLX_TRY(feed_scan(f, sorted[i], 1, err));
	}
	return SILEX_OK;
}

/* ---- time in state ---- */

struct hold {
	bool known, match; /* a state is in force; it is the one asked for */
	int64_t from;
	uint32_t state; /* remembered: the last one looked up and what came of it */
	bool state_known, state_match;
};

/* Sets the state that begins with a sample. NaN is no state. */
static void hold_begin(const struct feed *f, struct hold *h, int64_t t, enum slx_kind kind, uint64_t bits)
{
	h->from = t;
	h->known = true;
	if (kind != SLX_KIND_ENUM) {
		double v = slx_bits_number(kind, bits);
		h->known = v == v;
		h->match = f->c->state_is_number && v == f->c->state_number;
		return;
	}
	if (!h->state_known || h->state != (uint32_t)bits) {
		const char *text = slx_snapshot_state(f->c->snapshot, (uint32_t)bits);
		h->state = (uint32_t)bits;
		h->state_known = true;
		h->state_match = text && strcmp(text, f->c->state) == 0;
	}
	h->match = h->state_match;
}

/* Where the last window ends as a distance from the range's start: its own end where the range goes that far. */
static uint64_t last_end(const struct slx_query_windows *w)
{
	uint64_t span = (uint64_t)w->range.to - (uint64_t)w->range.from;
	return w->step && (span + 1) % w->step == 0 ? span + 1 : span;
}

/* The state in force holds up to `to`, a distance from the range's start: shares it out among windows. */
static silex_status hold_until(struct feed *f, struct hold *h, uint64_t to, silex_error *err)
{
	uint64_t at = (uint64_t)h->from - (uint64_t)f->windows->range.from;
	if (!h->known)
		return SILEX_OK;
	do {
		uint64_t k = f->windows->step ? at / f->windows->step : 0;
		if (k >= f->job->first + f->job->n)
			break;
		uint64_t end = k + 1 < f->windows->n ? (k + 1) * f->windows->step : to;
		struct slx_query_acc *a;
		SLX_TRY(window_at(f, k, &a, err));
		a->held = true;
		end = end < to ? end : to;
		if (h->match && end > at)
			a->hold_ns += end - at;
		at = end > at ? end : to;
	} while (at < to);
	return SILEX_OK;
}

/* The state in force when the job's windows begin. */
static silex_status hold_before(struct feed *f, size_t series, struct hold *h, silex_error *err)
{
	struct slx_query_cursor *c = f->c;
	struct slx_time_range before = { f->windows->range.from, f->range.from - 1 };
	struct slx_query_stretch s = { 0 };
	silex_status st = SILEX_OK;
	if (f->job->first == 0)
		return SILEX_OK;
	SLX_TRY(slx_query_collect(c, series, before, f->work, err));
	for (bool more = true; more && s.n == 0 && st == SILEX_OK && !slx_range_empty(before);) {
		silex_error e;
		st = slx_query_back(c, f->work, before.from, before.to, &s, &before.to, &more, &e);
		before.to--;
		if (st != SILEX_OK)
			st = damaged(f, st, &e, err);
	}
	if (st == SILEX_OK && s.n > 0)
		hold_begin(f, h, s.ts[s.n - 1], (enum slx_kind)s.kinds[s.n - 1], s.bits[s.n - 1]);
	h->from = f->range.from;
	slx_query_stretch_free(&s, &c->memory);
	return st;
}

static silex_status hold_run(struct feed *f, struct hold *h, struct slx_run *run, silex_error *err)
{
	silex_error e;
	if (slx_kind_is_bytes(run->kind))
		return SILEX_OK;
	silex_status st = slx_scan_decode(f->work->scan, run, &e);
	if (st != SILEX_OK)
		return damaged(f, st, &e, err);
	f->points += run->n;
	for (size_t i = 0; i < run->n; i++) {
		SLX_TRY(hold_until(f, h, (uint64_t)run->ts[i] - (uint64_t)f->windows->range.from, err));
		hold_begin(f, h, run->ts[i], run->kind, run->bits[i]);
	}
	return SILEX_OK;
}

static silex_status hold_end(struct feed *f, struct hold *h, silex_error *err)
{
	const struct slx_query_windows *w = f->windows;
	uint64_t end = last_end(w), now = (uint64_t)f->c->now_ns - (uint64_t)w->range.from;
	uint64_t from = (uint64_t)h->from - (uint64_t)w->range.from;
	if (f->c->now_ns < w->range.from || now < from)
		now = from; /* the future is not known */
	return hold_until(f, h, end < now ? end : now, err);
}

static silex_status feed_hold(struct feed *f, size_t series, silex_error *err)
{
	struct hold h = { 0 };
	struct slx_run run;
	const struct slx_parts *p = &f->work->parts;
	SLX_TRY(hold_before(f, series, &h, err));
	SLX_TRY(slx_query_collect(f->c, series, f->range, f->work, err));
	slx_scan_start(f->work->scan, p->parts, p->n, p->hides, p->n_hides, f->range);
	for (bool more = true; more;) {
		silex_error e;
		silex_status st = slx_scan_next(f->work->scan, &run, &more, &e);
		if (st != SILEX_OK)
			SLX_TRY(damaged(f, st, &e, err));
		else if (more)
			SLX_TRY(hold_run(f, &h, &run, err));
		SLX_TRY(slx_query_check(f->c, err));
	}
	return hold_end(f, &h, err);
}

/* ---- a job's series ---- */

static silex_status feed_series(struct feed *f, size_t series, silex_error *err)
{
	if (f->needs & SLX_NEED_HOLD) {
		SLX_TRY(feed_hold(f, series, err));
	} else {
		SLX_TRY(slx_query_collect(f->c, series, f->range, f->work, err));
		SLX_TRY(feed_parts(f, err));
	}
	return close_window(f, err);
}

silex_status slx_query_fold(struct slx_query_cursor *c, struct slx_query_job *job, size_t first, size_t n,
	struct slx_query_acc *accs, silex_status *ret_damage, silex_error *damage, silex_error *err)
{
	struct feed f = { .c = c,
		.job = job,
		.windows = &c->windows,
		.needs = c->needs,
		.accs = accs,
		.damage = ret_damage,
		.damage_err = damage };
	silex_status st = SILEX_OK;
	f.one_open = !accs || c->agg->per_series;
	f.range.from = slx_query_window_from(&c->windows, job->first);
	f.range.to = slx_query_window_to(&c->windows, job->first + job->n - 1);
	*ret_damage = SILEX_OK;
	SLX_TRY(slx_query_work_take(c, &f.work, err));
	for (size_t i = first; i < first + n && st == SILEX_OK; i++)
		st = feed_series(&f, i, err);
	slx_query_acc_clear(&f.one, &c->memory);
	slx_query_work_give_back(c, f.work);
	pthread_mutex_lock(&c->lock);
	c->stats.points += f.points;
	c->stats.chunks += f.chunks_by_columns;
	c->stats.chunks_by_header += f.chunks_by_columns;
	pthread_mutex_unlock(&c->lock);
	return st;
}
