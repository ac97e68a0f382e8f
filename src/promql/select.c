/* Leaves: series out of the snapshot, made into rows.
 *
 * A leaf is a vector selector, or a function over the range vector of one. For each of its series, independently and on
 * all cores, the samples of all steps are decoded once, floored to ms, and turned into the row at once: by the last
 * sample of each lookback window, or by the function over the windows. So the samples of no more than one series a
 * thread are in memory. Where windows are far apart (a step much longer than they are) each is read by itself.
 *
 * Windows are open on the left: (start, end]. Stale markers end a series for an instant and are not there for a range. */
#include "promql/rollup_int.h"

enum {
	SAMPLES_MIN = 64,
	PART_SERIES = 16,         /* series of a part that is run in parallel */
	PARALLEL_SAMPLES = 30000, /* a guess below which waking others does not pay */
	SPACING_MS = 10000,       /* what the guess takes for the time between samples */
	RUNS_UNASKED = 16,        /* runs of samples between two looks at the clock */
};

/* ---- time ---- */

/* Milliseconds that have nanoseconds. */
static int64_t clamp_ms(int64_t t)
{
	const int64_t most = SLX_TIME_MAX / SLX_MS - 1;
	return t < -most ? -most : t > most ? most : t;
}

static struct slx_time_range range_ns(int64_t from, int64_t to)
{
	return (struct slx_time_range){ clamp_ms(from) * SLX_MS, clamp_ms(to) * SLX_MS + SLX_MS - 1 };
}

static int64_t floor_ms(int64_t ns)
{
	int64_t ms = ns / SLX_MS;
	return ms - (ns % SLX_MS < 0);
}

/* ---- samples ---- */

/* Room for `need` floats or histograms in both columns of a kind (*t and *v, of `each` bytes): either both grow or none. */
static silex_status reserve(
	struct slx_pq_exec *x, int64_t **t, void *v, size_t each, size_t *cap, size_t need, silex_error *err)
{
	if (need <= *cap)
		return SILEX_OK;
	size_t to = *cap ? *cap : SAMPLES_MIN;
	while (to < need)
		to *= 2;
	int64_t more = (int64_t)((to - *cap) * (sizeof **t + each));
	if (atomic_fetch_add_explicit(&x->memory, more, memory_order_relaxed) + more > x->memory_limit)
		return slx_pq_oom(x, err);
	int64_t *new_t = slx_alloc(x->mem, SLX_MEM_QUERY, to * sizeof *new_t);
	void *new_v = slx_alloc(x->mem, SLX_MEM_QUERY, to * each), *old_v = *(void **)v;
	if (!new_t || !new_v) {
		slx_free(x->mem, SLX_MEM_QUERY, new_t, to * sizeof *new_t);
		slx_free(x->mem, SLX_MEM_QUERY, new_v, to * each);
		return slx_err_oom(err);
	}
	if (*cap) {
		memcpy(new_t, *t, *cap * sizeof *new_t);
		memcpy(new_v, old_v, *cap * each);
		slx_free(x->mem, SLX_MEM_QUERY, *t, *cap * sizeof *new_t);
		slx_free(x->mem, SLX_MEM_QUERY, old_v, *cap * each);
	}
	*t = new_t;
	*(void **)v = new_v;
	*cap = to;
	return SILEX_OK;
}

/* The last sample of a millisecond counts, whatever its kind. */
static void replace_same_ms(struct slx_pq_samples *s, int64_t t)
{
	if (s->n && s->t[s->n - 1] == t)
		s->n--;
	if (s->hn && s->ht[s->hn - 1] == t)
		s->hn--;
}

/* The plain run: floats that step evenly by whole milliseconds, nothing to leave out, nothing to replace. It is copied in
 * one pass that looks whether it was one; false: it was not. */
static bool add_even(struct slx_pq_samples *s, const struct slx_run *run, bool stale)
{
	const int64_t *restrict ts = run->ts;
	const uint64_t *restrict bits = run->bits;
	int64_t first = floor_ms(ts[0]), step = run->n > 1 ? ts[1] - ts[0] : SLX_MS, step_ms = step / SLX_MS, at = first;
	int64_t *restrict t = s->t + s->n;
	double *restrict v = s->v + s->n;
	uint64_t odd = 0, found = 0, line = (uint64_t)ts[0];
	size_t n = run->n;
	if (run->kind != SLX_KIND_FLOAT64 || s->hn || (s->n && t[-1] >= first) || step % SLX_MS)
		return false;
	for (size_t i = 0; i < n; i++) {
		odd |= (uint64_t)ts[i] ^ line;
		found |= bits[i] == SLX_STALE_NAN;
		t[i] = at;
		v[i] = slx_bits_f64(bits[i]);
		line += (uint64_t)step;
		at += step_ms;
	}
	if (odd || (found && !stale))
		return false;
	s->n += n;
	return true;
}

static silex_status add_floats(
	struct slx_pq_exec *x, struct slx_pq_samples *s, const struct slx_run *run, bool stale, silex_error *err)
{
	SLX_TRY(reserve(x, &s->t, &s->v, sizeof *s->v, &s->cap, s->n + run->n, err));
	if (add_even(s, run, stale))
		return SILEX_OK;
	for (size_t i = 0; i < run->n; i++) {
		int64_t ms = floor_ms(run->ts[i]);
		replace_same_ms(s, ms);
		if (run->bits[i] == SLX_STALE_NAN && run->kind == SLX_KIND_FLOAT64 && !stale)
			continue;
		s->t[s->n] = ms;
		s->v[s->n++] = slx_bits_number(run->kind, run->bits[i]);
	}
	return SILEX_OK;
}

static bool is_stale(const struct slx_histogram *h) { return slx_f64_bits(h->sum) == SLX_STALE_NAN; }

static silex_status add_histograms(
	struct slx_pq_exec *x, struct slx_pq_work *w, const struct slx_run *run, bool stale, silex_error *err)
{
	struct slx_pq_samples *s = &w->samples;
	SLX_TRY(reserve(x, &s->ht, &s->h, sizeof *s->h, &s->hcap, s->hn + run->n, err));
	for (size_t i = 0; i < run->n; i++) {
		struct slx_str bytes = slx_value_bytes(run->bits[i]);
		struct slx_histogram *h = slx_pq_alloc(x, &w->arena, sizeof *h);
		if (!h)
			return slx_pq_oom(x, err);
		SLX_TRY(slx_histogram_decode((const uint8_t *)bytes.p, bytes.n, &w->arena, h, err));
		int64_t ms = floor_ms(run->ts[i]);
		replace_same_ms(s, ms);
		if (is_stale(h) && !stale)
			continue;
		s->ht[s->hn] = ms;
		s->h[s->hn++] = h;
	}
	return SILEX_OK;
}

static silex_status scan(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_time_range range, bool stale, silex_error *err)
{
	const struct slx_parts *p = &w->parts;
	struct slx_run run;
	w->samples.n = w->samples.hn = 0;
	slx_scan_start(w->scan, p->parts, p->n, p->hides, p->n_hides, range);
	for (bool more;;) {
		if (++w->runs % RUNS_UNASKED == 0)
			SLX_TRY(slx_pq_alive(l->x, err));
		SLX_TRY(slx_scan_next(w->scan, &run, &more, err));
		if (!more)
			return SILEX_OK;
		SLX_TRY(slx_scan_decode(w->scan, &run, err));
		if (run.kind == SLX_KIND_HISTOGRAM)
			SLX_TRY(add_histograms(l->x, w, &run, stale, err));
		else if (!slx_kind_is_bytes(run.kind))
			SLX_TRY(add_floats(l->x, &w->samples, &run, stale, err));
		if (w->samples.n + w->samples.hn > l->x->o.samples_max)
			return slx_pq_hold(l->x, (int64_t)(w->samples.n + w->samples.hn), err);
	}
}

/* ---- rows ---- */

silex_status slx_pq_leaf_count(
	const struct slx_pq_leaf *l, const struct slx_pq_row *r, size_t from, size_t to, size_t read, silex_error *err)
{
	int64_t n = 0;
	for (size_t k = from; k < to; k++)
		n += r->cell[k] != SLX_PQ_EMPTY;
	if (!l->call)
		atomic_fetch_add_explicit(&l->x->samples_total, (uint64_t)n, memory_order_relaxed);
	return slx_pq_hold(l->x, n - (int64_t)read, err);
}

static void set_float(const struct slx_pq_leaf *l, struct slx_pq_row *r, size_t k, int64_t t, double v)
{
	if (slx_f64_bits(v) == SLX_STALE_NAN)
		return;
	r->f[k] = l->times ? (double)t / 1000 : v;
	r->cell[k] = SLX_PQ_FLOAT;
}

static silex_status set_histogram(const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t k,
	int64_t t, const struct slx_histogram *h, silex_error *err)
{
	if (is_stale(h))
		return SILEX_OK;
	if (l->times) {
		r->f[k] = (double)t / 1000;
		r->cell[k] = SLX_PQ_FLOAT;
		return SILEX_OK;
	}
	SLX_TRY(slx_pq_row_histograms(l->x, &w->arena, r, l->grid->n, err));
	r->h[k] = h;
	r->cell[k] = SLX_PQ_HISTOGRAM;
	return SILEX_OK;
}

static bool step_evenly(const int64_t *t, size_t n, int64_t step)
{
	uint64_t odd = 0;
	int64_t line = t[0];
	for (size_t i = 0; i < n; i++, line += step)
		odd |= (uint64_t)(t[i] ^ line);
	return odd == 0;
}

/* Samples that step evenly, each step of the query a whole number of theirs: which sample a step sees is known, no search.
 * Returns the first step that is still to be filled. */
static size_t fill_even(
	const struct slx_pq_leaf *l, const struct slx_pq_samples *s, struct slx_pq_row *r, size_t from, size_t to)
{
	int64_t spacing = s->n > 1 ? s->t[1] - s->t[0] : 0, step = l->grid->step, first = l->ends[from];
	if (l->times || to - from < 8 || spacing <= 0 || step % spacing || spacing > first - l->starts[from] ||
		l->ends[to - 1] - first != (int64_t)(to - from - 1) * step || !step_evenly(s->t, s->n, spacing))
		return from;
	size_t k = from, stride = (size_t)(step / spacing);
	while (k < to && l->ends[k] < s->t[0])
		k++;
	if (k == to)
		return to;
	const double *restrict v = s->v;
	double *restrict f = r->f;
	uint8_t *restrict cell = r->cell;
	size_t i = (size_t)((l->ends[k] - s->t[0]) / spacing), n = s->n;
	for (; k < to && i < n; k++, i += stride) {
		f[k] = v[i];
		cell[k] = slx_f64_bits(v[i]) != SLX_STALE_NAN; /* FLOAT or EMPTY */
	}
	return k;
}

/* The last sample of each window. */
static void fill_floats(
	const struct slx_pq_leaf *l, const struct slx_pq_samples *s, struct slx_pq_row *r, size_t from, size_t to)
{
	const int64_t *t = s->t, *starts = l->starts, *ends = l->ends;
	size_t i = 0, n = s->n; /* samples at or before the step */
	for (size_t k = fill_even(l, s, r, from, to); k < to; k++) {
		int64_t end = ends[k];
		if (i < n && t[i] <= end)
			i = i + 1 < n && t[i + 1] <= end ? slx_pq_until(t, i + 2, n, end) : i + 1;
		if (i && t[i - 1] > starts[k])
			set_float(l, r, k, t[i - 1], s->v[i - 1]);
	}
}

/* The same where there are histograms, too. */
static silex_status fill_both(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	const struct slx_pq_samples *s = &w->samples;
	size_t i = 0, j = 0;
	for (size_t k = from; k < to; k++) {
		i = slx_pq_until(s->t, i, s->n, l->ends[k]);
		j = slx_pq_until(s->ht, j, s->hn, l->ends[k]);
		bool histogram = j && (!i || s->ht[j - 1] > s->t[i - 1]);
		if (histogram && s->ht[j - 1] > l->starts[k])
			SLX_TRY(set_histogram(l, w, r, k, s->ht[j - 1], s->h[j - 1], err));
		else if (!histogram && i && s->t[i - 1] > l->starts[k])
			set_float(l, r, k, s->t[i - 1], s->v[i - 1]);
	}
	return SILEX_OK;
}

static silex_status fill(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	struct slx_time_range range = range_ns(l->starts[from] + 1 - l->before, l->ends[to - 1] + l->after);
	SLX_TRY(scan(l, w, range, !l->call && !l->smooth, err));
	size_t read = w->samples.n + w->samples.hn;
	if (read == 0)
		return SILEX_OK;
	SLX_TRY(slx_pq_hold(l->x, (int64_t)read, err));
	if (l->call)
		SLX_TRY(slx_pq_windows(l, w, &w->samples, r->labels, r, from, to, err));
	else if (l->smooth)
		SLX_TRY(slx_pq_smooth(l, w, r, from, to, err));
	else if (w->samples.hn)
		SLX_TRY(fill_both(l, w, r, from, to, err));
	else
		fill_floats(l, &w->samples, r, from, to);
	return slx_pq_leaf_count(l, r, from, to, read, err);
}

struct slx_time_range slx_pq_leaf_range(const struct slx_pq_leaf *l)
{
	return range_ns(l->starts[0] + 1 - l->before, l->ends[l->grid->n - 1] + l->after);
}

silex_status slx_pq_leaf_samples(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, silex_error *err)
{
	SLX_TRY(slx_snapshot_collect(l->x->snapshot, l->selection, i, slx_pq_leaf_range(l), &w->parts, err));
	return scan(l, w, slx_pq_leaf_range(l), false, err);
}

silex_status slx_pq_leaf_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *r, silex_error *err)
{
	if (l->rolled)
		return slx_pq_rolled_row(l, w, i, r, err);
	if (l->expired)
		return slx_pq_expired_row(l, w, i, r, err);
	return slx_pq_leaf_row_from(l, w, i, r, 0, err);
}

silex_status slx_pq_leaf_row_from(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *r, size_t from, silex_error *err)
{
	size_t steps = l->grid->n;
	bool done = false;
	r->labels = slx_selection_labels(l->selection, i);
	r->drop_name = l->drop_name;
	SLX_TRY(slx_snapshot_collect(l->x->snapshot, l->selection, i, slx_pq_leaf_range(l), &w->parts, err));
	if (l->fold && from == 0)
		SLX_TRY(slx_pq_fold_row(l, w, r, &done, err));
	if (done)
		return slx_pq_leaf_count(l, r, 0, steps, 0, err);
	if (!l->sparse)
		return from < steps ? fill(l, w, r, from, steps, err) : SILEX_OK;
	for (size_t k = from; k < steps; k++)
		SLX_TRY(fill(l, w, r, k, k + 1, err));
	return SILEX_OK;
}

/* ---- all rows, on all cores ---- */

struct parallel {
	struct slx_pq_exec *x;
	size_t n, parts;
	slx_pq_each_fn each;
	void *arg;
	_Atomic bool failed; /* the others may stop */
	pthread_mutex_t lock;
	size_t first;    /* lock: the lowest part that failed */
	silex_status st; /* lock */
	silex_error err; /* lock */
};

static void note_failure(struct parallel *p, size_t part, silex_status st, const silex_error *err)
{
	atomic_store_explicit(&p->failed, true, memory_order_relaxed);
	pthread_mutex_lock(&p->lock);
	if (p->st == SILEX_OK || part < p->first) {
		p->first = part;
		p->st = st;
		p->err = *err;
	}
	pthread_mutex_unlock(&p->lock);
}

static void run_part(void *arg, size_t part)
{
	struct parallel *p = arg;
	struct slx_pq_work *w = NULL;
	silex_error err;
	size_t to = p->n * (part + 1) / p->parts;
	silex_status st = slx_pq_work_take(p->x, &w, &err);
	for (size_t i = p->n * part / p->parts;
		 i < to && st == SILEX_OK && !atomic_load_explicit(&p->failed, memory_order_relaxed); i++)
		st = p->each(p->arg, w, part, i, &err);
	slx_pq_work_give_back(p->x, w);
	if (st != SILEX_OK)
		note_failure(p, part, st, &err);
}

silex_status slx_pq_parallel(
	struct slx_pq_exec *x, size_t n, size_t parts, slx_pq_each_fn each, void *arg, silex_error *err)
{
	struct parallel p = { .x = x, .n = n, .parts = parts, .each = each, .arg = arg };
	if (n == 0)
		return SILEX_OK;
	pthread_mutex_init(&p.lock, NULL);
	if (parts == 1)
		run_part(&p, 0);
	else
		slx_pool_run(slx_engine_pool(x->engine), parts, run_part, &p);
	pthread_mutex_destroy(&p.lock);
	return p.st == SILEX_OK ? SILEX_OK : slx_err(err, p.st, "%s", p.err.message);
}

size_t slx_pq_leaf_parts(const struct slx_pq_leaf *l)
{
	size_t steps = l->grid->n;
	double width = (double)(l->ends[0] - l->starts[0] + l->before + l->after);
	double span = l->sparse ? width * (double)steps : (double)(l->ends[steps - 1] - l->starts[0]);
	double guess = (double)l->n * (1 + span / SPACING_MS);
	return guess < PARALLEL_SAMPLES || l->n < 2 ? 1 : (l->n + PART_SERIES - 1) / PART_SERIES;
}

struct rows {
	const struct slx_pq_leaf *leaf;
	struct slx_pq_row *rows;
};

static silex_status row(void *arg, struct slx_pq_work *w, size_t part, size_t i, silex_error *err)
{
	struct rows *all = arg;
	struct slx_pq_row *r = &all->rows[i];
	(void)part;
	SLX_TRY(slx_pq_row_cells(all->leaf->x, &w->arena, r, all->leaf->grid->n, false, err));
	return slx_pq_leaf_row(all->leaf, w, i, r, err);
}

silex_status slx_pq_leaf_rows(const struct slx_pq_leaf *l, struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_matrix_init(l->x, ret, l->n, err));
	struct rows all = { l, ret->rows };
	ret->n = l->n;
	SLX_TRY(slx_pq_parallel(l->x, l->n, slx_pq_leaf_parts(l), row, &all, err));
	slx_pq_matrix_compact(ret, l->grid->n);
	return SILEX_OK;
}

/* ---- what a leaf reads ---- */

/* Windows that reach `width` back from each step, as @ and offset move them. */
silex_status slx_pq_leaf_windows(
	struct slx_pq_leaf *l, const struct slx_pq_modifiers *m, int64_t width, silex_error *err)
{
	size_t n = l->grid->n;
	l->starts = slx_pq_alloc(l->x, &l->x->arena, n * 2 * sizeof *l->starts);
	if (!l->starts)
		return slx_pq_oom(l->x, err);
	l->ends = l->starts + n;
	for (size_t k = 0; k < n; k++) {
		l->ends[k] =
			clamp_ms(clamp_ms(m->at == SLX_PQ_AT_TIME ? m->at_ms : l->grid->times[k]) - clamp_ms(m->offset.ms));
		l->starts[k] = clamp_ms(l->ends[k] - width);
	}
	l->sparse = n > 1 && m->at == SLX_PQ_AT_NONE && l->grid->step > 2 * (width + l->before + l->after);
	return SILEX_OK;
}

silex_status slx_pq_keep_selection(struct slx_pq_exec *x, struct slx_selection *s, silex_error *err)
{
	if (x->n_selections == x->selections_cap) {
		size_t cap = x->selections_cap ? x->selections_cap * 2 : 4;
		struct slx_selection **more = slx_pq_alloc(x, &x->arena, cap * sizeof *more);
		if (!more) {
			slx_selection_free(s);
			return slx_pq_oom(x, err);
		}
		if (x->n_selections)
			memcpy(more, x->selections, x->n_selections * sizeof *more);
		x->selections = more;
		x->selections_cap = cap;
	}
	x->selections[x->n_selections++] = s;
	return SILEX_OK;
}

silex_status slx_pq_leaf_select(struct slx_pq_leaf *l, silex_error *err)
{
	const struct slx_selector *sel = &l->vector->vector.sel;
	struct slx_selection *s;
	SLX_TRY(slx_snapshot_select(l->x->snapshot, sel->matchers, sel->n, slx_pq_leaf_range(l), &s, err));
	SLX_TRY(slx_pq_keep_selection(l->x, s, err));
	const silex_error *damage = slx_selection_damage(s);
	if (damage)
		return slx_err(err, damage->code, "%s", damage->message);
	l->selection = s;
	l->n = slx_selection_count(s);
	l->x->series += l->n;
	return SILEX_OK;
}

silex_status slx_pq_leaf_source(struct slx_pq_leaf *l, silex_error *err)
{
	SLX_TRY(slx_pq_rolled_init(l, err));
	return l->rolled || l->expired ? SILEX_OK : slx_pq_leaf_select(l, err);
}

silex_status slx_pq_leaf_init(struct slx_pq_exec *x, const struct slx_pq_grid *g, const struct slx_pq_node *n,
	struct slx_pq_leaf *ret, silex_error *err)
{
	*ret = (struct slx_pq_leaf){ .x = x, .grid = g, .vector = n, .smooth = n->vector.smoothing == SLX_PQ_SMOOTHED };
	ret->after = ret->smooth ? x->o.lookback_ms : 0;
	SLX_TRY(slx_pq_leaf_windows(ret, &n->vector.mods, x->o.lookback_ms, err));
	return slx_pq_leaf_source(ret, err);
}
