/* Leaves that look at times whose samples are too old to be kept, where roll-ups still know something.
 *
 * Each step of each series goes its own way. While its window has all of its samples, it is made of those. Else, if the window is
 * whole buckets of a level that is kept that long, of the coarsest such level: that is the same answer as ever. Else of the finest level
 * that is kept that long, with the window moved to whole buckets: an instant selector takes the last sample of the newest bucket,
 * looking back a bucket at least; a range becomes two buckets at least. An info says so, naming the level.
 *
 * Where samples begin is what retention says, or, when the oldest went for lack of room, the tenant's oldest sample, if there are
 * buckets that ended before it. */
#include "promql/rollup_int.h"

struct slx_pq_expired {
	struct slx_pq_rolled *levels[SLX_ROLLUP_LEVELS_MAX]; /* widths ascending */
	size_t n_levels;
	const struct slx_selection *samples;
	int64_t oldest; /* ms: of the tenant's samples, when older ones went; else INT64_MIN */
	struct slx_labels *series;
	size_t n;
	_Atomic bool told[SLX_ROLLUP_LEVELS_MAX];
};

struct slx_labels slx_pq_expired_labels(const struct slx_pq_expired *x, size_t i) { return x->series[i]; }

/* ---- which levels there are ---- */

/* The tenant's levels, each once. */
static size_t levels_of(const struct slx_rollup_view *v, struct slx_pq_rolled_level ret[SLX_ROLLUP_LEVELS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->policies[i].n; k++) {
			const struct slx_rollup_view_level *x = &v->policies[i].levels[k];
			size_t at = 0;
			while (at < n && ret[at].width < x->width_ms)
				at++;
			if (at < n && ret[at].width == x->width_ms) {
				ret[at].built = x->built_ms < ret[at].built ? x->built_ms : ret[at].built;
				continue;
			}
			if (n == SLX_ROLLUP_LEVELS_MAX)
				continue;
			memmove(&ret[at + 1], &ret[at], (n++ - at) * sizeof *ret);
			ret[at] = (struct slx_pq_rolled_level){ x->width_ms, x->built_ms, false };
		}
	return n;
}

/* Where samples begin when older ones are gone though no rule says so; INT64_MIN: they are not. */
static silex_status find_oldest(struct slx_pq_exec *x, int64_t width, int64_t *ret, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	struct slx_snapshot *s;
	*ret = INT64_MIN;
	if (!x->rollups->sized)
		return SILEX_OK;
	struct slx_time_range samples = slx_snapshot_extent(x->snapshot);
	SLX_TRY(slx_snapshot_beside(x->snapshot, slx_rollup_tenant(x->o.who.tenant, width, SLX_ROLLUP_N, room), &s, err));
	struct slx_time_range buckets = slx_snapshot_extent(s);
	slx_snapshot_free(s);
	if (!slx_range_empty(buckets) && (slx_range_empty(samples) || buckets.from < samples.from))
		*ret = slx_range_empty(samples) ? INT64_MAX : slx_rollup_ms(samples.from);
	return SILEX_OK;
}

silex_status slx_pq_gone_before(struct slx_pq_exec *x, int64_t width, int64_t *ret, silex_error *err)
{
	int64_t oldest, cutoff = slx_rollup_view_cutoff_any(x->rollups, 0);
	SLX_TRY(find_oldest(x, width, &oldest, err));
	*ret = oldest > cutoff ? oldest : cutoff;
	return SILEX_OK;
}

/* ---- the series of all sources ---- */

static silex_status join(struct slx_pq_exec *x, struct slx_pq_expired *e, silex_error *err)
{
	size_t at[SLX_ROLLUP_LEVELS_MAX + 1] = { 0 }, most = slx_selection_count(e->samples);
	for (size_t i = 0; i < e->n_levels; i++)
		most += e->levels[i]->n;
	e->series = slx_pq_alloc(x, &x->arena, most * sizeof *e->series);
	if (!e->series)
		return slx_pq_oom(x, err);
	for (;; e->n++) {
		struct slx_labels next[SLX_ROLLUP_LEVELS_MAX + 1] = { 0 }, least = { 0 };
		for (size_t i = 0; i <= e->n_levels; i++) {
			if (i < e->n_levels && at[i] < e->levels[i]->n)
				next[i] = e->levels[i]->series[at[i]].labels;
			else if (i == e->n_levels && at[i] < slx_selection_count(e->samples))
				next[i] = slx_selection_labels(e->samples, at[i]);
			if (next[i].p && (!least.p || slx_labels_cmp(next[i], least) < 0))
				least = next[i];
		}
		if (!least.p)
			return SILEX_OK;
		for (size_t i = 0; i <= e->n_levels; i++)
			at[i] += next[i].p && slx_labels_cmp(next[i], least) == 0;
		e->series[e->n] = least;
	}
}

/* The selection of the leaf's samples is the ordinary one, kept aside. */
static silex_status add_sources(struct slx_pq_leaf *l, struct slx_pq_expired *e, const struct slx_pq_rolled_level *levels, size_t n, silex_error *err)
{
	int64_t end = l->ends[l->grid->n - 1];
	for (size_t i = 0; i < n; i++) {
		int64_t before = l->call ? l->ends[0] - l->starts[0] + 3 * levels[i].width : l->x->o.lookback_ms + 2 * levels[i].width;
		SLX_TRY(slx_pq_rolled_new(l, &levels[i], l->ends[0] - before, end, false, &e->levels[i], err));
		e->n_levels++;
	}
	uint64_t series = l->x->series;
	SLX_TRY(slx_pq_leaf_select(l, err));
	e->samples = l->selection;
	SLX_TRY(join(l->x, e, err));
	l->x->series = series + e->n;
	l->n = e->n;
	return SILEX_OK;
}

silex_status slx_pq_expired_init(struct slx_pq_leaf *l, silex_error *err)
{
	struct slx_pq_exec *x = l->x;
	struct slx_pq_rolled_level levels[SLX_ROLLUP_LEVELS_MAX];
	size_t n = levels_of(x->rollups, levels);
	int64_t oldest = INT64_MIN, cutoff = slx_rollup_view_cutoff_any(x->rollups, 0);
	if (n == 0)
		return SILEX_OK;
	SLX_TRY(find_oldest(x, levels[n - 1].width, &oldest, err));
	if (l->starts[0] >= cutoff && l->starts[0] >= oldest)
		return SILEX_OK;
	struct slx_pq_expired *e = slx_pq_alloc(x, &x->arena, sizeof *e);
	if (!e)
		return slx_pq_oom(x, err);
	*e = (struct slx_pq_expired){ .oldest = oldest };
	SLX_TRY(add_sources(l, e, levels, n, err));
	l->expired = e;
	return SILEX_OK;
}

/* ---- the way of a step ---- */

enum { SAMPLES = -1 };

struct way {
	int level; /* or SAMPLES */
	bool widen;
};

/* Cutoffs of one series, ms: of its samples, of its levels. */
struct kept {
	int64_t samples, levels[SLX_ROLLUP_LEVELS_MAX];
};

static silex_status kept_of(const struct slx_pq_leaf *l, struct slx_labels labels, struct kept *ret, silex_error *err)
{
	const struct slx_pq_expired *e = l->expired;
	SLX_TRY(slx_rollup_view_cutoff(l->x->rollups, labels, 0, &ret->samples, err));
	ret->samples = e->oldest > ret->samples ? e->oldest : ret->samples;
	for (size_t i = 0; i < e->n_levels; i++)
		SLX_TRY(slx_rollup_view_cutoff(l->x->rollups, labels, e->levels[i]->width, &ret->levels[i], err));
	return SILEX_OK;
}

static bool is_whole(const struct slx_pq_leaf *l, size_t k, int64_t width)
{
	return l->ends[k] % width == 0 && (!l->call || l->starts[k] % width == 0);
}

static struct way way_of(const struct slx_pq_leaf *l, const struct kept *kept, size_t k)
{
	const struct slx_pq_expired *e = l->expired;
	if (l->starts[k] >= kept->samples)
		return (struct way){ SAMPLES, false };
	for (size_t i = e->n_levels; i-- > 0;)
		if (is_whole(l, k, e->levels[i]->width) && kept->levels[i] <= l->starts[k] + e->levels[i]->width)
			return (struct way){ (int)i, false };
	for (size_t i = 0; i < e->n_levels; i++) {
		struct slx_pq_span s = slx_pq_rolled_window(e->levels[i], k, true);
		if (kept->levels[i] <= s.start + e->levels[i]->width)
			return (struct way){ (int)i, true };
	}
	return (struct way){ e->n_levels ? (int)e->n_levels - 1 : SAMPLES, true }; /* what the coarsest still has */
}

static bool is_rough(const struct slx_pq_leaf *l) { return l->call && slx_str_eq(l->call->call.name, SLX_STR("quantile_over_time")); }

/* widened: else windows are whole, and the function is one that buckets answer roughly. */
static void tell(const struct slx_pq_leaf *l, int level, bool widened)
{
	char name[SLX_ROLLUP_LEVEL_SIZE];
	struct slx_pq_expired *e = l->expired;
	if (atomic_exchange(&e->told[level], true))
		return;
	slx_rollup_level(e->levels[level]->width, name);
	slx_pq_note(&l->x->notes, true, l->vector->pos,
		"PromQL info: the samples are too old to be kept, roll-ups of %s stand in%s%s", name,
		widened ? "; windows are widened to whole buckets" : "", is_rough(l) ? "; quantiles are right to 1 % of their value" : "");
}

silex_status slx_pq_expired_row(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, struct slx_pq_row *row, silex_error *err)
{
	struct slx_pq_expired *e = l->expired;
	struct kept kept;
	size_t k = 0, n = l->grid->n;
	row->labels = e->series[i];
	row->drop_name = l->drop_name;
	SLX_TRY(slx_pq_alive(l->x, err));
	SLX_TRY(kept_of(l, row->labels, &kept, err));
	while (k < n) {
		struct way way = way_of(l, &kept, k);
		size_t from = k;
		bool good;
		if (way.level == SAMPLES)
			break; /* and so all later steps */
		while (k < n && way_of(l, &kept, k).level == way.level && way_of(l, &kept, k).widen == way.widen)
			k++;
		const struct slx_pq_rolled_series *s = slx_pq_rolled_find(e->levels[way.level], row->labels);
		if (!s)
			continue;
		SLX_TRY(slx_pq_rolled_steps(e->levels[way.level], w, s, row, from, k, way.widen, &good, err));
		slx_pq_rolled_used(l->x, e->levels[way.level]->width);
		if (way.widen || is_rough(l))
			tell(l, way.level, way.widen);
	}
	SLX_TRY(slx_pq_leaf_count(l, row, 0, k, 0, err));
	return slx_pq_samples_row(l, e->samples, w, row->labels, row, k, err);
}
