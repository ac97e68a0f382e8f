/* sum, avg, min, max, count over time without samples at hand: straight from chunks.
 *
 * When windows and steps have a common measure of some minutes, time is cut into buckets of that length; each chunk gives
 * count, sum, least and greatest of its samples bucket by bucket, which its codec can mostly tell without making values
 * of them; a window is a few buckets in a row.
 *
 * It must give what the samples would. What it cannot know sends the series back to the ordinary way: NaN (stale markers
 * among them), histograms, two samples of one millisecond (ruled out where times step evenly by whole milliseconds), and
 * sums in which so much cancels out that how they were rounded might be seen. */
#include "promql/exec_int.h"

enum {
	BUCKET_MS_MIN = 120000, /* shorter ones hold too few samples to gain anything */
	WINDOW_BUCKETS_MAX = 16,
	BUCKETS_MAX = 1 << 16,
	RUNS_UNASKED = 16, /* runs of samples between two looks at the clock */
};

static int64_t common_measure(int64_t a, int64_t b)
{
	while (b) {
		int64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

static enum slx_pq_fold fold_of(const struct slx_pq_node *call)
{
	static const struct {
		const char *name;
		enum slx_pq_fold fold;
	} known[] = { { "sum_over_time", SLX_PQ_FOLD_SUM }, { "avg_over_time", SLX_PQ_FOLD_AVG },
		{ "min_over_time", SLX_PQ_FOLD_MIN }, { "max_over_time", SLX_PQ_FOLD_MAX },
		{ "count_over_time", SLX_PQ_FOLD_COUNT } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slx_str_eq(call->call.name, slx_str(known[i].name)))
			return known[i].fold;
	return SLX_PQ_FOLD_NONE;
}

void slx_pq_fold_init(struct slx_pq_leaf *l)
{
	int64_t width = l->ends[0] - l->starts[0], step = l->grid->n > 1 ? l->grid->step : width;
	enum slx_pq_fold fold = fold_of(l->call);
	size_t last = l->grid->n - 1;
	if (fold == SLX_PQ_FOLD_NONE || l->before || l->sparse || width <= 0 ||
		l->ends[last] - l->ends[0] != (int64_t)last * step)
		return;
	int64_t bucket = common_measure(width, step);
	if (bucket < BUCKET_MS_MIN || width / bucket > WINDOW_BUCKETS_MAX ||
		(l->ends[last] - l->starts[0]) / bucket > BUCKETS_MAX)
		return;
	l->fold = fold;
	l->bucket = bucket;
}

/* ---- buckets of one series ---- */

struct slx_pq_bucket_sum {
	uint64_t n;
	double sum, comp, min, max;
};

struct folding {
	struct slx_pq_bucket_sum *buckets;
	size_t n;
	int64_t origin; /* ns: the first bucket's begin */
	uint64_t step;  /* ns */
	int64_t last;   /* ns: of the latest sample so far */
	bool unfit;     /* the series must go the ordinary way */
};

static silex_status add_bucket(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n, silex_error *err)
{
	struct folding *f = arg;
	(void)err;
	if (agg->count != n || k >= f->n) {
		f->unfit = true;
		return SILEX_OK;
	}
	struct slx_pq_bucket_sum *b = &f->buckets[k];
	double t = b->sum + agg->sum, z = t - b->sum;
	b->comp += (b->sum - (t - z)) + (agg->sum - z) + agg->comp;
	b->sum = t;
	b->min = b->n == 0 || agg->min < b->min ? agg->min : b->min;
	b->max = b->n == 0 || agg->max > b->max ? agg->max : b->max;
	b->n += n;
	return SILEX_OK;
}

static bool whole_ms(int64_t ns) { return ns % SLX_MS == 0; }

/* A chunk as it lies. Its first sample must come in a later millisecond than what went before. */
static silex_status fold_whole(struct folding *f, struct slx_scan *scan, const struct slx_run *run, silex_error *err)
{
	const uint8_t *bytes;
	uint64_t step = 0;
	SLX_TRY(slx_scan_bytes(scan, run, &bytes, err));
	if (run->meta.n > 1)
		SLX_TRY(slx_chunk_line(&run->meta, bytes, &step, err));
	f->unfit =
		!whole_ms(run->meta.tmin) || (run->meta.n > 1 && (step == 0 || step % SLX_MS)) || run->meta.tmin <= f->last;
	f->last = run->meta.tmax;
	return f->unfit ? SILEX_OK : slx_scan_fold(scan, run, f->origin, f->step, add_bucket, f, err);
}

/* Whole milliseconds, ascending, all of them? Most runs step evenly. */
static bool are_whole_ms(const int64_t *ts, size_t n)
{
	uint64_t step = n > 1 ? (uint64_t)ts[1] - (uint64_t)ts[0] : 0, line = (uint64_t)ts[0], odd = 0;
	for (size_t i = 0; i < n; i++) {
		odd |= (uint64_t)ts[i] ^ line;
		line += step;
	}
	if (odd == 0)
		return whole_ms(ts[0]) && step % SLX_MS == 0;
	for (size_t i = 0; i < n; i++)
		if (!whole_ms(ts[i]))
			return false;
	return true;
}

/* Decoded samples, bucket by bucket. */
static silex_status fold_samples(struct folding *f, const struct slx_run *run, silex_error *err)
{
	f->unfit = run->ts[0] <= f->last || !are_whole_ms(run->ts, run->n);
	f->last = run->ts[run->n - 1];
	for (size_t i = 0, end; i < run->n && !f->unfit; i = end) {
		uint64_t k = ((uint64_t)run->ts[i] - (uint64_t)f->origin) / f->step;
		int64_t last = (int64_t)((uint64_t)f->origin + (k + 1) * f->step - 1);
		end = slx_pq_until(run->ts, i, run->n, last);
		struct slx_agg agg = slx_chunk_aggregate_run(run->kind, run->bits + i, end - i);
		SLX_TRY(add_bucket(f, k, &agg, end - i, err));
	}
	return SILEX_OK;
}

static silex_status fold_series(const struct slx_pq_leaf *l, struct slx_pq_work *w, struct folding *f, silex_error *err)
{
	struct slx_time_range range = slx_pq_leaf_range(l);
	struct slx_run run;
	slx_scan_start(w->scan, w->parts.parts, w->parts.n, w->parts.hides, w->parts.n_hides, range);
	for (bool more; !f->unfit;) {
		if (++w->runs % RUNS_UNASKED == 0)
			SLX_TRY(slx_pq_alive(l->x, err));
		SLX_TRY(slx_scan_next(w->scan, &run, &more, err));
		if (!more)
			return SILEX_OK;
		if (slx_kind_is_bytes(run.kind))
			f->unfit = true;
		else if (run.whole)
			SLX_TRY(fold_whole(f, w->scan, &run, err));
		else
			SLX_TRY(fold_samples(f, &run, err));
	}
	return SILEX_OK;
}

/* ---- windows ---- */

/* Is the sum known as well as if its samples had been added one by one, with compensation? */
static bool is_settled(const struct slx_pq_bucket_sum *b)
{
	const double rounding = 1e-16, enough = 1e-11;
	double most = fmax(fabs(b->min), fabs(b->max)), sum = b->sum + b->comp;
	return isfinite(sum) && (double)b->n * most * rounding <= fabs(sum) * enough;
}

static bool set_window(
	const struct slx_pq_leaf *l, const struct slx_pq_bucket_sum *b, size_t n, struct slx_pq_row *r, size_t k)
{
	struct slx_pq_bucket_sum all = { 0 };
	for (size_t i = 0; i < n; i++) {
		if (b[i].n == 0)
			continue;
		double t = all.sum + b[i].sum, z = t - all.sum;
		all.comp += (all.sum - (t - z)) + (b[i].sum - z) + b[i].comp;
		all.sum = t;
		all.min = all.n == 0 || b[i].min < all.min ? b[i].min : all.min;
		all.max = all.n == 0 || b[i].max > all.max ? b[i].max : all.max;
		all.n += b[i].n;
	}
	r->cell[k] = all.n ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
	if (all.n == 0)
		return true;
	bool sums = l->fold == SLX_PQ_FOLD_SUM || l->fold == SLX_PQ_FOLD_AVG;
	if (sums && !(all.min == 0 && all.max == 0) && !is_settled(&all))
		return false;
	switch (l->fold) {
	case SLX_PQ_FOLD_SUM:
		r->f[k] = all.sum + all.comp;
		break;
	case SLX_PQ_FOLD_AVG:
		r->f[k] = all.sum / (double)all.n + all.comp / (double)all.n;
		break;
	case SLX_PQ_FOLD_MIN:
		r->f[k] = all.min;
		break;
	case SLX_PQ_FOLD_MAX:
		r->f[k] = all.max;
		break;
	default:
		r->f[k] = (double)all.n;
	}
	atomic_fetch_add_explicit(&l->x->samples_total, all.n, memory_order_relaxed);
	return true;
}

silex_status slx_pq_fold_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, bool *ret_done, silex_error *err)
{
	size_t last = l->grid->n - 1, n = (size_t)((l->ends[last] - l->starts[0]) / l->bucket);
	size_t width = (size_t)((l->ends[0] - l->starts[0]) / l->bucket);
	*ret_done = false;
	if (n > w->buckets_cap) {
		w->buckets = slx_pq_alloc(l->x, &w->arena, n * sizeof *w->buckets);
		if (!w->buckets)
			return slx_pq_oom(l->x, err);
		w->buckets_cap = n;
	}
	memset(w->buckets, 0, n * sizeof *w->buckets);
	struct folding f = { .buckets = w->buckets,
		.n = n,
		.origin = slx_pq_leaf_range(l).from,
		.step = (uint64_t)(l->bucket * SLX_MS),
		.last = INT64_MIN };
	SLX_TRY(fold_series(l, w, &f, err));
	bool fits = !f.unfit;
	for (size_t k = 0; k <= last && fits; k++)
		fits = set_window(l, w->buckets + (l->starts[k] - l->starts[0]) / l->bucket, width, r, k);
	if (!fits)
		memset(r->cell, SLX_PQ_EMPTY, l->grid->n);
	*ret_done = fits;
	return SILEX_OK;
}
