/* Leaves out of roll-ups: rows made of buckets instead of samples, where that gives the same answer.
 *
 * It does when every window is whole buckets: begin and end are multiples of the level's width (of an instant selector the end; the
 * newest bucket knows the last sample and when it was). The coarsest such level is taken, and of its columns those that the function
 * needs. What buckets do not tell, samples do, folded into the same buckets on the way: what is younger than `built`, and late
 * windows that wait for their rebuild. So of the raw series only that part is looked at, if there is any.
 *
 * A series goes the ordinary way when its level is not built, when it has histograms, or when so much cancels out in a sum or a
 * variance that the rounding of the buckets' numbers might be seen (TOLERANCE). */
#include "promql/rollup_int.h"

#include "promql/functions_int.h"

enum { BUCKETS_MAX = 1 << 20, NONE = -1 };

#define TOLERANCE 1e-10 /* relative; the promise is 1e-9 */
#define ROUNDING  2.3e-16
#define VAST      1e300 /* sums of such numbers may overflow in one order and not in another */

/* ---- what functions need ---- */

enum what { LAST_SAMPLE, SUM, AVG, COUNT, PRESENT, MIN, MAX, FIRST, LAST, STDDEV, STDVAR, RATE, INCREASE, DELTA, QUANTILE };

#define COLUMN(c) (1u << SLX_ROLLUP_##c)

static const struct slx_pq_rolled_function {
	const char *name; /* NULL: the instant selector */
	enum what what;
	unsigned columns;
} functions[] = {
	{ NULL, LAST_SAMPLE, COLUMN(LAST) | COLUMN(AT) },
	{ "sum_over_time", SUM, COLUMN(SUM) },
	{ "avg_over_time", AVG, COLUMN(N) | COLUMN(SUM) },
	{ "count_over_time", COUNT, COLUMN(N) },
	{ "present_over_time", PRESENT, COLUMN(N) },
	{ "min_over_time", MIN, COLUMN(MIN) },
	{ "max_over_time", MAX, COLUMN(MAX) },
	{ "first_over_time", FIRST, COLUMN(FIRST) },
	{ "last_over_time", LAST, COLUMN(LAST) },
	{ "stddev_over_time", STDDEV, COLUMN(N) | COLUMN(SUM) | COLUMN(M2) },
	{ "stdvar_over_time", STDVAR, COLUMN(N) | COLUMN(SUM) | COLUMN(M2) },
	{ "rate", RATE, COLUMN(N) | COLUMN(FIRST) | COLUMN(LAST) | COLUMN(AT) | COLUMN(DROP) },
	{ "increase", INCREASE, COLUMN(N) | COLUMN(FIRST) | COLUMN(LAST) | COLUMN(AT) | COLUMN(DROP) },
	{ "delta", DELTA, COLUMN(N) | COLUMN(FIRST) | COLUMN(LAST) | COLUMN(AT) },
	{ "quantile_over_time", QUANTILE, COLUMN(SKETCH) }, /* not the same answer: only where samples are gone */
};

const struct slx_pq_rolled_function *slx_pq_rolled_function_of(const struct slx_pq_leaf *l)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (l->call ? functions[i].name && slx_str_eq(l->call->call.name, slx_str(functions[i].name)) : !functions[i].name)
			return &functions[i];
	return NULL;
}

/* ---- which level ---- */

static int64_t round_down(int64_t t, int64_t width)
{
	int64_t end = slx_rollup_end(t, width);
	return end > t ? end - width : end;
}

static bool windows_fit(const struct slx_pq_leaf *l, int64_t width)
{
	for (size_t k = 0; k < l->grid->n; k++)
		if (l->ends[k] % width || (l->call && l->starts[k] % width))
			return false;
	return (l->ends[l->grid->n - 1] - l->starts[0]) / width < BUCKETS_MAX;
}

/* Whether every series of the leaf is one of the policy's: each of its matchers stands among the leaf's. */
static bool covers(const struct slx_selector *policy, const struct slx_selector *leaf)
{
	for (size_t i = 0; i < policy->n; i++) {
		bool found = false;
		for (size_t k = 0; k < leaf->n && !found; k++)
			found = policy->matchers[i]->op == leaf->matchers[k]->op && slx_str_eq(policy->matchers[i]->name, leaf->matchers[k]->name) &&
				slx_str_eq(policy->matchers[i]->value, leaf->matchers[k]->value);
		if (!found)
			return false;
	}
	return true;
}

/* The coarsest level that fits; width 0: none does. */
static struct slx_pq_rolled_level choose_level(const struct slx_pq_leaf *l, const struct slx_rollup_view *v)
{
	struct slx_pq_rolled_level best = { 0 };
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->policies[i].n; k++) {
			const struct slx_rollup_view_level *x = &v->policies[i].levels[k];
			bool covered = covers(v->policies[i].sel, &l->vector->vector.sel);
			if (x->width_ms == best.width) {
				best.built = x->built_ms < best.built ? x->built_ms : best.built;
				best.covered |= covered;
			} else if (x->width_ms > best.width && windows_fit(l, x->width_ms) &&
				slx_rollup_view_cutoff_any(v, x->width_ms) <= l->starts[0] + x->width_ms) {
				best = (struct slx_pq_rolled_level){ x->width_ms, x->built_ms, covered };
			}
		}
	return best.built > l->starts[0] ? best : (struct slx_pq_rolled_level){ 0 };
}

/* ---- sources: selections of columns and of samples, joined ---- */

static silex_status select_of(struct slx_pq_rolled *r, struct slx_snapshot *s, struct slx_time_range range, const struct slx_selection **ret, silex_error *err)
{
	const struct slx_selector *sel = &r->leaf->vector->vector.sel;
	struct slx_selection *x;
	SLX_TRY(slx_snapshot_select(s, sel->matchers, sel->n, range, &x, err));
	SLX_TRY(slx_pq_keep_selection(r->leaf->x, x, err));
	const silex_error *damage = slx_selection_damage(x);
	if (damage)
		return slx_err(err, damage->code, "%s", damage->message);
	*ret = x;
	return SILEX_OK;
}

static silex_status select_column(struct slx_pq_rolled *r, enum slx_rollup_column c, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	struct slx_pq_exec *x = r->leaf->x;
	SLX_TRY(slx_snapshot_beside(x->snapshot, slx_rollup_tenant(x->o.who.tenant, r->width, c, room), &r->snapshots[c], err));
	return select_of(r, r->snapshots[c], slx_rollup_range(r->origin, r->built), &r->columns[c], err);
}

/* From where to where samples must be looked at for what buckets do not tell: ms (from, to]; empty when from >= to. */
static void find_fresh(struct slx_pq_rolled *r, const struct slx_rollup_view *v, bool covered)
{
	r->fresh_from = covered ? r->built : r->origin;
	r->fresh_to = r->end;
	for (size_t i = 0; i < v->n_late; i++) {
		int64_t from = slx_rollup_end(v->late[i].from, r->width) - r->width, to = slx_rollup_end(v->late[i].to, r->width);
		if (to > r->origin && from < r->end && from < r->fresh_from)
			r->fresh_from = from > r->origin ? from : r->origin;
	}
	if (r->fresh_from >= r->fresh_to)
		r->fresh_from = r->fresh_to;
}

/* The selections, by number: the columns', then the samples'. */
enum { SOURCES = SLX_ROLLUP_COLUMNS + 1 };

static const struct slx_selection *source(const struct slx_pq_rolled *r, size_t i)
{
	return i < SLX_ROLLUP_COLUMNS ? r->columns[i] : r->samples;
}

static silex_status add_series(struct slx_pq_rolled *r, size_t *cap, struct slx_labels l, struct slx_pq_rolled_series **ret, silex_error *err)
{
	struct slx_pq_exec *x = r->leaf->x;
	if (r->n == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		struct slx_pq_rolled_series *s = slx_pq_alloc(x, &x->arena, more * sizeof *s);
		if (!s)
			return slx_pq_oom(x, err);
		if (r->n)
			memcpy(s, r->series, r->n * sizeof *s);
		r->series = s;
		*cap = more;
	}
	*ret = &r->series[r->n++];
	**ret = (struct slx_pq_rolled_series){ .labels = l };
	for (size_t i = 0; i < SOURCES; i++)
		(*ret)->at[i] = NONE;
	return SILEX_OK;
}

/* All series of all sources, each once, in label order. */
static silex_status join(struct slx_pq_rolled *r, silex_error *err)
{
	size_t at[SOURCES] = { 0 }, cap = 0;
	for (;;) {
		struct slx_labels least = { 0 };
		struct slx_pq_rolled_series *s = NULL;
		for (size_t i = 0; i < SOURCES; i++) {
			if (!source(r, i) || at[i] == slx_selection_count(source(r, i)))
				continue;
			struct slx_labels l = slx_selection_labels(source(r, i), at[i]);
			if (!least.p || slx_labels_cmp(l, least) < 0)
				least = l;
		}
		if (!least.p)
			return SILEX_OK;
		SLX_TRY(add_series(r, &cap, least, &s, err));
		for (size_t i = 0; i < SOURCES; i++) {
			if (!source(r, i) || at[i] == slx_selection_count(source(r, i)))
				continue;
			struct slx_labels l = slx_selection_labels(source(r, i), at[i]);
			if (l.n == least.n && memcmp(l.p, least.p, l.n) == 0)
				s->at[i] = (int32_t)at[i]++;
		}
	}
}

void slx_pq_rolled_free(struct slx_pq_rolled *r)
{
	for (; r; r = r->next) {
		for (size_t c = 0; c < SLX_ROLLUP_COLUMNS; c++)
			slx_snapshot_free(r->snapshots[c]);
		pthread_mutex_destroy(&r->lock);
	}
}

silex_status slx_pq_rolled_new(struct slx_pq_leaf *l, const struct slx_pq_rolled_level *level, int64_t from, int64_t to, bool samples,
	struct slx_pq_rolled **ret, silex_error *err)
{
	struct slx_pq_exec *x = l->x;
	struct slx_pq_rolled *r = slx_pq_alloc(x, &x->arena, sizeof *r);
	if (!r)
		return slx_pq_oom(x, err);
	*r = (struct slx_pq_rolled){ .leaf = l, .function = slx_pq_rolled_function_of(l), .width = level->width, .covered = level->covered, .next = x->rolled };
	pthread_mutex_init(&r->lock, NULL);
	x->rolled = r;
	r->origin = round_down(from, r->width);
	r->end = slx_rollup_end(to, r->width);
	r->built = level->built < r->end ? level->built : r->end;
	find_fresh(r, x->rollups, level->covered || !samples);
	for (enum slx_rollup_column c = 0; c < SLX_ROLLUP_COLUMNS; c++)
		if (r->function->columns & 1u << c)
			SLX_TRY(select_column(r, c, err));
	if (r->fresh_from < r->fresh_to)
		SLX_TRY(select_of(r, x->snapshot, slx_rollup_range(r->fresh_from, r->fresh_to), &r->samples, err));
	SLX_TRY(join(r, err));
	*ret = r;
	return SILEX_OK;
}

silex_status slx_pq_rolled_init(struct slx_pq_leaf *l, silex_error *err)
{
	struct slx_pq_exec *x = l->x;
	const struct slx_pq_rolled_function *f = slx_pq_rolled_function_of(l);
	int64_t gone;
	if (!x->rollups || !f || l->before || l->after || l->smooth)
		return SILEX_OK;
	struct slx_pq_rolled_level level = f->what == QUANTILE ? (struct slx_pq_rolled_level){ 0 } : choose_level(l, x->rollups);
	if (!level.width)
		return x->o.rollups == SLX_PROMQL_ROLLUPS_AUTO ? slx_pq_expired_init(l, err) : SILEX_OK;
	SLX_TRY(slx_pq_rolled_new(l, &level, l->starts[0], l->ends[l->grid->n - 1], true, &l->rolled, err));
	l->n = l->rolled->n;
	SLX_TRY(slx_pq_gone_before(x, level.width, &gone, err));
	l->rolled->gone = l->starts[0] < gone;
	x->series += l->n;
	slx_pq_rolled_used(x, level.width);
	return SILEX_OK;
}

struct slx_labels slx_pq_leaf_labels(const struct slx_pq_leaf *l, size_t i)
{
	if (l->expired)
		return slx_pq_expired_labels(l->expired, i);
	return l->rolled ? l->rolled->series[i].labels : slx_selection_labels(l->selection, i);
}

/* ---- buckets of one series ---- */

struct reading {
	struct slx_pq_rolled *r;
	struct slx_pq_work *w;
	int64_t origin, end;               /* ms */
	struct slx_rollup_bucket *buckets; /* of (origin + k width, origin + (k + 1) width] */
	struct slx_str *sketches;          /* of the buckets, when they are asked for */
	size_t n;
	bool unfit; /* the series must go the ordinary way */
};

static void put(struct slx_rollup_bucket *b, enum slx_rollup_column c, uint64_t bits)
{
	double v = slx_bits_f64(bits);
	switch (c) {
	case SLX_ROLLUP_SUM: b->sum = v; break;
	case SLX_ROLLUP_MIN: b->min = v; break;
	case SLX_ROLLUP_MAX: b->max = v; break;
	case SLX_ROLLUP_FIRST: b->first = v; break;
	case SLX_ROLLUP_LAST: b->last = v; break;
	case SLX_ROLLUP_DROP: b->drop = v; break;
	case SLX_ROLLUP_M2: b->m2 = v; break;
	default: break;
	}
}

/* One value of a column. n of buckets whose N is not read is 1: there is something. */
static void take(struct reading *d, enum slx_rollup_column c, size_t k, uint64_t bits)
{
	struct slx_rollup_bucket *b = &d->buckets[k];
	b->end = d->origin + (int64_t)(k + 1) * d->r->width;
	if (c == SLX_ROLLUP_N) {
		b->n = (int64_t)bits;
		d->unfit |= b->n < 0;
	} else if (c == SLX_ROLLUP_AT) {
		d->unfit |= !slx_rollup_set_at(b, (int64_t)bits, d->r->width);
	} else if (bits == SLX_ROLLUP_NOT_NUMBERS_BITS) {
		d->unfit = true;
	} else if (bits != SLX_ROLLUP_VOID_BITS) {
		put(b, c, bits);
		if (!(d->r->function->columns & COLUMN(N)))
			b->n = 1;
	}
}

/* Bytes: varint stale markers, sketch. They are kept until the query ends. */
static silex_status take_sketch(struct reading *d, size_t k, struct slx_str value, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(value.p, value.n);
	slx_rd_varint(&rd);
	size_t n = slx_rd_left(&rd);
	uint8_t *to = slx_pq_alloc(d->r->leaf->x, &d->w->arena, n);
	if (!to)
		return slx_pq_oom(d->r->leaf->x, err);
	if (n)
		memcpy(to, rd.p, n);
	d->sketches[k] = (struct slx_str){ (char *)to, n };
	d->buckets[k].n = 1;
	return SILEX_OK;
}

static silex_status read_column(struct reading *d, size_t i, enum slx_rollup_column c, silex_error *err)
{
	struct slx_pq_rolled *r = d->r;
	struct slx_pq_work *w = d->w;
	struct slx_time_range range = slx_rollup_range(d->origin, r->built < d->end ? r->built : d->end);
	struct slx_run run;
	if (slx_range_empty(range))
		return SILEX_OK;
	SLX_TRY(slx_snapshot_collect(r->snapshots[c], r->columns[c], i, range, &w->parts, err));
	slx_scan_start(w->scan, w->parts.parts, w->parts.n, w->parts.hides, w->parts.n_hides, range);
	for (bool more; !d->unfit;) {
		SLX_TRY(slx_scan_next(w->scan, &run, &more, err));
		if (!more)
			break;
		SLX_TRY(slx_scan_decode(w->scan, &run, err));
		for (size_t k = 0; k < run.n; k++) {
			size_t at = (size_t)((run.ts[k] / SLX_MS - d->origin) / r->width) - 1;
			if (c == SLX_ROLLUP_SKETCH)
				SLX_TRY(take_sketch(d, at, slx_value_bytes(run.bits[k]), err));
			else
				take(d, c, at, run.bits[k]);
		}
	}
	return SILEX_OK;
}

static silex_status from_samples(void *arg, const struct slx_rollup_bucket *b, struct slx_sketch *sketch, silex_error *err)
{
	struct reading *d = arg;
	struct slx_buf bytes;
	size_t k = (size_t)((b->end - d->origin) / d->r->width) - 1;
	d->unfit |= b->not_numbers;
	d->buckets[k] = *b;
	if (!sketch || b->n <= 0)
		return SILEX_OK;
	slx_buf_init(&bytes, d->r->leaf->x->mem, SLX_MEM_QUERY, SIZE_MAX);
	slx_buf_varint(&bytes, b->stale);
	slx_sketch_put(sketch, &bytes);
	silex_status st = bytes.failed ? slx_err_oom(err) : take_sketch(d, k, (struct slx_str){ (char *)bytes.p, bytes.n }, err);
	slx_buf_free(&bytes);
	return st;
}

/* The buckets of (from, to] out of samples. */
static silex_status read_samples(struct reading *d, int32_t i, int64_t from, int64_t to, silex_error *err)
{
	struct slx_pq_rolled *r = d->r;
	struct slx_pq_work *w = d->w;
	from = from > d->origin ? from : d->origin;
	to = to < d->end ? to : d->end;
	if (from >= to)
		return SILEX_OK;
	memset(&d->buckets[(from - d->origin) / r->width], 0, (size_t)((to - from) / r->width) * sizeof *d->buckets);
	if (i == NONE)
		return SILEX_OK;
	struct slx_sketch sketch;
	slx_sketch_init(&sketch, r->leaf->x->mem);
	struct slx_time_range range = slx_rollup_range(from, to);
	SLX_TRY(slx_snapshot_collect(r->leaf->x->snapshot, r->samples, (size_t)i, range, &w->parts, err));
	slx_scan_start(w->scan, w->parts.parts, w->parts.n, w->parts.hides, w->parts.n_hides, range);
	silex_status st = slx_rollup_fold(w->scan, r->width, d->sketches ? &sketch : NULL, from_samples, d, err);
	slx_sketch_free(&sketch);
	return st;
}

static silex_status read_late(struct reading *d, const struct slx_pq_rolled_series *s, silex_error *err)
{
	struct slx_pq_rolled *r = d->r;
	const struct slx_rollup_view *v = r->leaf->x->rollups;
	struct slx_hash128 id = { 0 };
	if (v->n_late)
		id = slx_series_id(r->leaf->x->o.who.tenant, s->labels);
	for (size_t i = 0; i < v->n_late && !d->unfit; i++) {
		const struct slx_rollup_late *x = &v->late[i];
		bool yes;
		if (x->to <= d->origin || x->from > r->built || x->from > d->end)
			continue;
		SLX_TRY(slx_rollup_late_concerns(x, s->labels, id, &yes, err));
		if (yes)
			SLX_TRY(read_samples(d, s->at[SLX_ROLLUP_COLUMNS], slx_rollup_end(x->from, r->width) - r->width, slx_rollup_end(x->to, r->width), err));
	}
	return SILEX_OK;
}

static silex_status read_buckets(struct reading *d, const struct slx_pq_rolled_series *s, silex_error *err)
{
	struct slx_pq_rolled *r = d->r;
	for (enum slx_rollup_column c = 0; c < SLX_ROLLUP_COLUMNS && !d->unfit; c++)
		if (s->at[c] != NONE)
			SLX_TRY(read_column(d, (size_t)s->at[c], c, err));
	if (d->unfit)
		return SILEX_OK;
	SLX_TRY(read_late(d, s, err));
	for (size_t k = 0; k < d->n; k++) {
		struct slx_rollup_bucket *b = &d->buckets[k];
		if (b->n > 0 && b->mean == 0)
			b->mean = slx_rollup_sum(b) / (double)b->n;
	}
	return r->built < d->end ? read_samples(d, s->at[SLX_ROLLUP_COLUMNS], r->built, d->end, err) : SILEX_OK;
}

/* ---- windows ---- */

struct window {
	struct slx_rollup_bucket all;
	double sums, means; /* the greatest sizes of what was added up */
};

static struct window window_of(const struct reading *d, size_t from, size_t to)
{
	struct window w = { 0 };
	for (size_t k = from; k < to; k++) {
		const struct slx_rollup_bucket *b = &d->buckets[k];
		if (b->n <= 0)
			continue;
		slx_rollup_merge(&w.all, b);
		w.sums += fabs(slx_rollup_sum(b));
		w.means = fmax(w.means, fabs(b->mean));
	}
	return w;
}

/* Is the sum as good as if its samples had been added one by one? NaN is NaN either way. */
static bool sum_settled(const struct window *w)
{
	double sum = slx_rollup_sum(&w->all);
	return isnan(sum) || w->sums == 0 || (w->sums < VAST && w->sums * ROUNDING <= fabs(sum) * TOLERANCE);
}

static bool variance_settled(const struct window *w, double variance)
{
	return (variance == 0 && w->all.m2 == 0 && w->means < VAST) || (isfinite(variance) && w->means * 1e-15 <= sqrt(variance) * TOLERANCE);
}

/* Is the difference as good as if resets had been added one by one? Without resets it is the same two numbers. */
static bool slope_settled(const struct slx_rollup_bucket *b)
{
	double sizes = fabs(b->first) + fabs(b->last) + fabs(b->drop), difference = b->last - b->first + b->drop;
	return b->drop == 0 || !isfinite(difference) || 4 * sizes * ROUNDING <= fabs(difference) * TOLERANCE;
}

static bool slope_of(const struct slx_pq_leaf *l, struct slx_pq_work *work, const struct window *w, enum what what, struct slx_labels labels, int64_t start,
	int64_t end, double *ret)
{
	struct slx_pq_call c = { .exec = l->x, .node = l->call, .arena = &work->arena, .notes = &l->x->notes,
		.metric = slx_labels_get(labels, SLX_METRIC_NAME), .options = &l->x->o };
	const struct slx_rollup_bucket *b = &w->all;
	struct slx_pq_slope s = { .counter = what != DELTA, .per_second = what == RATE, .start = start, .end = end, .first_at = b->first_at,
		.last_at = b->last_at, .n = (size_t)b->n, .first = b->first, .difference = b->last - b->first + (what == DELTA ? 0 : b->drop) };
	if (b->n < 2)
		return false;
	*ret = slx_pq_slope(&c, &s);
	return true;
}

/* The last sample of the window (start, end], looking back over buckets; what comes after a stale marker is nothing. */
static void last_sample(const struct reading *d, struct slx_pq_row *r, size_t k, int64_t start, int64_t end)
{
	const struct slx_pq_leaf *l = d->r->leaf;
	size_t i = (size_t)((end - d->origin) / d->r->width);
	for (; i > 0 && d->origin + (int64_t)i * d->r->width > start; i--) {
		const struct slx_rollup_bucket *b = &d->buckets[i - 1];
		if (b->n <= 0 && !b->stale_last)
			continue;
		if (!b->stale_last && b->last_at > start) {
			r->f[k] = l->times ? (double)b->last_at / 1000 : b->last;
			r->cell[k] = SLX_PQ_FLOAT;
		}
		return;
	}
}

/* The quantile of what the sketches of buckets from..to-1 have together. */
static silex_status quantile(const struct reading *d, size_t from, size_t to, double q, double *ret, silex_error *err)
{
	struct slx_sketch all;
	silex_status st = SILEX_OK;
	slx_sketch_init(&all, d->r->leaf->x->mem);
	for (size_t k = from; k < to && st == SILEX_OK; k++)
		if (d->buckets[k].n > 0)
			st = slx_sketch_merge(&all, d->sketches[k].p, d->sketches[k].n, err);
	*ret = slx_sketch_quantile(&all, q);
	slx_sketch_free(&all);
	return st;
}

/* The window (start, end] of step k, whole buckets. *ret_good false: only samples tell. */
static silex_status set_step(const struct reading *d, struct slx_pq_row *r, size_t k, int64_t start, int64_t end, bool *ret_good, silex_error *err)
{
	const struct slx_pq_rolled *rolled = d->r;
	const struct slx_pq_leaf *l = rolled->leaf;
	enum what what = rolled->function->what;
	*ret_good = true;
	if (what == LAST_SAMPLE) {
		last_sample(d, r, k, start, end);
		return SILEX_OK;
	}
	size_t from = (size_t)((start - d->origin) / rolled->width), to = (size_t)((end - d->origin) / rolled->width);
	struct window w = window_of(d, from, to);
	const struct slx_rollup_bucket *b = &w.all;
	double n = (double)b->n, v = 0;
	bool has = b->n > 0, good = true;
	if (!has)
		return SILEX_OK;
	switch (what) {
	case SUM: v = slx_rollup_sum(b); good = sum_settled(&w); break;
	case AVG: v = slx_rollup_sum(b) / n; good = sum_settled(&w); break;
	case COUNT: v = n; break;
	case PRESENT: v = 1; break;
	case MIN: v = b->min; break;
	case MAX: v = b->max; break;
	case FIRST: v = b->first; break;
	case LAST: v = b->last; break;
	case STDDEV: v = sqrt(b->m2 / n); good = variance_settled(&w, b->m2 / n); break;
	case STDVAR: v = b->m2 / n; good = variance_settled(&w, v); break;
	case QUANTILE: SLX_TRY(quantile(d, from, to, l->args[0].rows[0].f[k], &v, err)); break;
	default:
		has = slope_of(l, d->w, &w, what, r->labels, start, end, &v);
		good = !has || what == DELTA || slope_settled(b);
	}
	if (has) {
		r->f[k] = v;
		r->cell[k] = SLX_PQ_FLOAT;
	}
	*ret_good = good;
	return SILEX_OK;
}

/* ---- rows ---- */

/* The place of a series in a selection, which is in label order; -1: it is not there. */
static int64_t place_of(const struct slx_selection *x, struct slx_labels l)
{
	size_t lo = 0, hi = slx_selection_count(x);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (slx_labels_cmp(slx_selection_labels(x, mid), l) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < slx_selection_count(x) && slx_labels_cmp(slx_selection_labels(x, lo), l) == 0 ? (int64_t)lo : NONE;
}

silex_status slx_pq_samples_row(const struct slx_pq_leaf *l, const struct slx_selection *samples, struct slx_pq_work *w, struct slx_labels labels,
	struct slx_pq_row *row, size_t from, silex_error *err)
{
	struct slx_pq_leaf plain = *l;
	int64_t i = place_of(samples, labels);
	if (i == NONE)
		return SILEX_OK;
	plain.rolled = NULL;
	plain.expired = NULL;
	plain.selection = samples;
	return slx_pq_leaf_row_from(&plain, w, (size_t)i, row, from, err);
}

/* Series number i out of all samples. */
static silex_status ordinary_row(struct slx_pq_rolled *r, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err)
{
	silex_status st = SILEX_OK;
	pthread_mutex_lock(&r->lock);
	if (!r->all)
		st = select_of(r, r->leaf->x->snapshot, slx_pq_leaf_range(r->leaf), &r->all, err);
	pthread_mutex_unlock(&r->lock);
	if (st != SILEX_OK)
		return st;
	memset(row->cell, SLX_PQ_EMPTY, r->leaf->grid->n);
	return slx_pq_samples_row(r->leaf, r->all, w, r->series[i].labels, row, 0, err);
}

static silex_status buckets_reserve(struct reading *d, silex_error *err)
{
	struct slx_pq_work *w = d->w;
	struct slx_pq_exec *x = d->r->leaf->x;
	if (d->n > w->rolled_cap) {
		w->rolled = slx_pq_alloc(x, &w->arena, d->n * sizeof *w->rolled);
		if (!w->rolled)
			return slx_pq_oom(x, err);
		w->rolled_cap = d->n;
	}
	memset(w->rolled, 0, d->n * sizeof *w->rolled);
	d->buckets = w->rolled;
	if (!(d->r->function->columns & COLUMN(SKETCH)))
		return SILEX_OK;
	d->sketches = slx_pq_alloc(x, &w->arena, d->n * sizeof *d->sketches);
	return d->sketches ? SILEX_OK : slx_pq_oom(x, err);
}

struct slx_pq_span slx_pq_rolled_window(const struct slx_pq_rolled *r, size_t k, bool widen)
{
	const struct slx_pq_leaf *l = r->leaf;
	struct slx_pq_span s = { l->starts[k], l->ends[k] };
	if (!widen)
		return s;
	int64_t width = l->ends[k] - l->starts[k];
	s.end = round_down(l->ends[k], r->width);
	if (!l->call)
		s.start = s.end - (width > r->width ? width : r->width);
	else
		s.start = s.end - (width > 2 * r->width ? slx_rollup_end(width, r->width) : 2 * r->width);
	return s;
}

silex_status slx_pq_rolled_steps(struct slx_pq_rolled *r, struct slx_pq_work *w, const struct slx_pq_rolled_series *s, struct slx_pq_row *row, size_t from,
	size_t to, bool widen, bool *ret_good, silex_error *err)
{
	struct slx_pq_span first = slx_pq_rolled_window(r, from, widen), last = slx_pq_rolled_window(r, to - 1, widen);
	struct reading d = { .r = r, .w = w, .origin = round_down(first.start, r->width), .end = slx_rollup_end(last.end, r->width) };
	d.n = (size_t)((d.end - d.origin) / r->width);
	SLX_TRY(buckets_reserve(&d, err));
	SLX_TRY(read_buckets(&d, s, err));
	*ret_good = !d.unfit;
	for (size_t k = from; k < to && *ret_good; k++) {
		struct slx_pq_span x = slx_pq_rolled_window(r, k, widen);
		bool good;
		SLX_TRY(set_step(&d, row, k, x.start, x.end, &good, err));
		*ret_good = good || widen || r->gone;
	}
	atomic_fetch_add_explicit(&r->leaf->x->rollup_buckets, d.n, memory_order_relaxed);
	return SILEX_OK;
}

/* Is the series rolled up at this level, by a policy that has built it? */
static silex_status is_rolled(const struct slx_pq_rolled *r, struct slx_labels l, bool *ret, silex_error *err)
{
	int64_t built = r->built;
	if (!r->covered)
		SLX_TRY(slx_rollup_view_built(r->leaf->x->rollups, l, r->width, &built, err));
	*ret = built >= r->built;
	return SILEX_OK;
}

silex_status slx_pq_rolled_row(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err)
{
	struct slx_pq_rolled *r = l->rolled;
	bool good;
	row->labels = r->series[i].labels;
	row->drop_name = l->drop_name;
	SLX_TRY(slx_pq_alive(l->x, err));
	SLX_TRY(is_rolled(r, row->labels, &good, err));
	if (good)
		SLX_TRY(slx_pq_rolled_steps(r, w, &r->series[i], row, 0, l->grid->n, false, &good, err));
	return good ? slx_pq_leaf_count(l, row, 0, l->grid->n, 0, err) : ordinary_row(r, w, i, row, err);
}

const struct slx_pq_rolled_series *slx_pq_rolled_find(const struct slx_pq_rolled *r, struct slx_labels l)
{
	size_t lo = 0, hi = r->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (slx_labels_cmp(r->series[mid].labels, l) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && slx_labels_cmp(r->series[lo].labels, l) == 0 ? &r->series[lo] : NULL;
}

/* ---- what an answer says of it ---- */

void slx_pq_rolled_used(struct slx_pq_exec *x, int64_t width)
{
	size_t i = 0;
	pthread_mutex_lock(&x->lock);
	while (i < x->n_widths && x->widths[i] != width)
		i++;
	if (i == x->n_widths && i < sizeof x->widths / sizeof *x->widths)
		x->widths[x->n_widths++] = width;
	pthread_mutex_unlock(&x->lock);
}
