/* Building buckets: forward as they close, and again where samples came late (rollup.h).
 *
 * A stretch is some buckets of one level for all series of a policy. Its samples are read from a snapshot, series by series, folded
 * (storage/tsdb/rollup.h) and gathered column by column; a full batch is written, which is ten writes to ten tenants. They need
 * not be in the log before the mark moves: the mark that survives a crash is one whose buckets are in blocks.
 *
 * A window whose samples have partly gone by retention must not lose what its bucket still knows: a bucket is never replaced by one of
 * fewer samples. A delete does not meet this rule, since it hides the buckets that it touches. */
#include "engine/rollup_int.h"

#include <time.h>

enum {
	ROWS = 1024,                /* of a batch */
	STRETCH = 2048,             /* buckets */
	DELAY_MS = 60 * 1000,       /* how long after its end a bucket is closed */
	EVERY_MS = 5 * 60 * 1000,   /* levels of shorter buckets are built that often */
	TICK_MS = 1000,
	RETRY_S = 10,
};
#define QUIET_NS (10 * SLX_SECOND)  /* a late window is rebuilt that long after it was touched last, */
#define OLD_NS   (600 * SLX_SECOND) /* or first */

struct build {
	struct slx_engine *e;
	struct slx_rollup_policy *policy;
	struct slx_rollup_mark *level;
	struct slx_snapshot *snapshot, *old; /* of the samples; of column N */
	struct slx_selection *series, *had;
	size_t had_at; /* had: the series in turn or one behind it */
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_sketch sketch;
	/* The series in turn: */
	struct slx_labels labels;
	struct slx_hash128 id[SLX_ROLLUP_COLUMNS]; /* its columns' */
	int64_t from;                              /* ms: its first bucket's begin */
	int64_t *n_before;                         /* samples of its buckets as stored, from `from` on; NULL: it has none */
	/* The batch: */
	size_t n;
	struct slx_labels row_labels[ROWS];
	struct slx_hash128 row_id[SLX_ROLLUP_COLUMNS][ROWS];
	int64_t ts[ROWS];
	uint64_t bits[SLX_ROLLUP_COLUMNS][ROWS];
	struct slx_arena values; /* sketches */
	uint64_t written;
};

/* ---- batches ---- */

static enum slx_kind kind_of(enum slx_rollup_column c)
{
	return c == SLX_ROLLUP_N || c == SLX_ROLLUP_AT ? SLX_KIND_INT64 : c == SLX_ROLLUP_SKETCH ? SLX_KIND_BYTES : SLX_KIND_FLOAT64;
}

static silex_status write_column(struct build *b, enum slx_rollup_column c, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	struct slx_write w = { .kind = kind_of(c), .n = b->n, .ts = b->ts, .ts_stride = sizeof *b->ts, .bits = b->bits[c], .bits_stride = sizeof *b->bits[c],
		.labels = b->row_labels, .ids = b->row_id[c] };
	struct slx_write_result r = { 0 };
	uint64_t lsn;
	SLX_TRY(slx_engine_tenant(b->e, slx_rollup_tenant(b->policy->tenant->name, b->level->width, c, room), &w.tenant, err));
	SLX_TRY(slx_engine_write(b->e, &w, &r, &lsn, err));
	return r.refused ? slx_err(err, r.error.code, "%s", r.error.message) : SILEX_OK;
}

static silex_status write_batch(struct build *b, silex_error *err)
{
	for (enum slx_rollup_column c = 0; c < SLX_ROLLUP_COLUMNS && b->n; c++)
		SLX_TRY(write_column(b, c, err));
	b->written += b->n;
	b->n = 0;
	slx_arena_clear(&b->values);
	return SILEX_OK;
}

/* ---- one series ---- */

static silex_status put_sketch(struct build *b, const struct slx_rollup_bucket *x, struct slx_sketch *sketch, uint64_t *ret, silex_error *err)
{
	struct slx_buf value;
	slx_buf_init(&value, &b->e->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_buf_varint(&value, x->stale);
	slx_sketch_put(sketch, &value);
	uint8_t *to = value.failed ? NULL : slx_arena_alloc(&b->values, value.n + SLX_VARINT_SIZE_MAX, 1);
	if (to)
		memcpy(slx_put_varint(to, value.n), value.p, value.n);
	*ret = (uint64_t)(uintptr_t)to;
	slx_buf_free(&value);
	return to ? SILEX_OK : slx_err_oom(err);
}

/* Would the bucket forget samples that are not there any more? */
static bool is_poorer(const struct build *b, const struct slx_rollup_bucket *x)
{
	return b->n_before && b->n_before[(x->end - b->from) / b->level->width - 1] > x->n + (int64_t)x->stale;
}

static silex_status put_bucket(void *arg, const struct slx_rollup_bucket *x, struct slx_sketch *sketch, silex_error *err)
{
	struct build *b = arg;
	if (is_poorer(b, x))
		return SILEX_OK;
	size_t i = b->n;
	uint64_t none = x->not_numbers ? SLX_ROLLUP_NOT_NUMBERS_BITS : SLX_ROLLUP_VOID_BITS;
	bool has = x->n > 0 && !x->not_numbers;
	const double v[] = { [SLX_ROLLUP_SUM] = slx_rollup_sum(x), [SLX_ROLLUP_MIN] = x->min, [SLX_ROLLUP_MAX] = x->max, [SLX_ROLLUP_FIRST] = x->first,
		[SLX_ROLLUP_LAST] = x->last, [SLX_ROLLUP_DROP] = x->drop, [SLX_ROLLUP_M2] = x->m2 };
	SLX_TRY(put_sketch(b, x, sketch, &b->bits[SLX_ROLLUP_SKETCH][i], err));
	for (enum slx_rollup_column c = SLX_ROLLUP_SUM; c < SLX_ROLLUP_SKETCH; c++)
		b->bits[c][i] = has ? slx_f64_bits(v[c]) : none;
	b->bits[SLX_ROLLUP_N][i] = (uint64_t)(x->not_numbers ? SLX_ROLLUP_NOT_NUMBERS : x->n);
	b->bits[SLX_ROLLUP_AT][i] = (uint64_t)(x->not_numbers ? SLX_ROLLUP_NOT_NUMBERS : slx_rollup_at(x));
	b->ts[i] = x->end * SLX_MS;
	b->row_labels[i] = b->labels;
	for (enum slx_rollup_column c = 0; c < SLX_ROLLUP_COLUMNS; c++)
		b->row_id[c][i] = b->id[c];
	return ++b->n == ROWS ? write_batch(b, err) : SILEX_OK;
}

/* How many samples the buckets of (from, to] have as they are stored. */
static silex_status read_before(struct build *b, size_t i, int64_t from, int64_t to, silex_error *err)
{
	size_t n = (size_t)((to - from) / b->level->width);
	struct slx_time_range range = slx_rollup_range(from, to);
	struct slx_run run;
	int64_t *before = slx_alloc(&b->e->mem, SLX_MEM_OTHER, n * sizeof *before);
	if (!before)
		return slx_err_oom(err);
	memset(before, 0, n * sizeof *before);
	silex_status status = slx_snapshot_collect(b->old, b->had, i, range, &b->parts, err);
	slx_scan_start(b->scan, b->parts.parts, b->parts.n, b->parts.hides, b->parts.n_hides, range);
	for (bool more = true; status == SILEX_OK;) {
		status = slx_scan_next(b->scan, &run, &more, err);
		if (status != SILEX_OK || !more)
			break;
		status = slx_scan_decode(b->scan, &run, err);
		for (size_t k = 0; status == SILEX_OK && k < run.n; k++)
			before[(slx_rollup_end(slx_rollup_ms(run.ts[k]), b->level->width) - from) / b->level->width - 1] = (int64_t)run.bits[k];
	}
	b->n_before = before;
	return status;
}

/* The place of the series in turn among those that have buckets. */
static bool had_before(struct build *b, size_t *ret)
{
	size_t n = b->had ? slx_selection_count(b->had) : 0;
	while (b->had_at < n && slx_labels_cmp(slx_selection_labels(b->had, b->had_at), b->labels) < 0)
		b->had_at++;
	*ret = b->had_at;
	return b->had_at < n && slx_labels_cmp(slx_selection_labels(b->had, b->had_at), b->labels) == 0;
}

/* Buckets of (from, to] of series number i. */
static silex_status build_series(struct build *b, size_t i, int64_t from, int64_t to, silex_error *err)
{
	struct slx_time_range range = slx_rollup_range(from, to);
	size_t n = (size_t)((to - from) / b->level->width), had;
	silex_status status = SILEX_OK;
	b->from = from;
	b->n_before = NULL;
	if (had_before(b, &had))
		status = read_before(b, had, from, to, err);
	if (status == SILEX_OK)
		status = slx_snapshot_collect(b->snapshot, b->series, i, range, &b->parts, err);
	if (status == SILEX_OK) {
		slx_scan_start(b->scan, b->parts.parts, b->parts.n, b->parts.hides, b->parts.n_hides, range);
		status = slx_rollup_fold(b->scan, b->level->width, &b->sketch, put_bucket, b, err);
	}
	slx_free(&b->e->mem, SLX_MEM_OTHER, b->n_before, n * sizeof *b->n_before);
	b->n_before = NULL;
	return status;
}

/* ---- a stretch ---- */

/* A level of a series is built by the first policy that has both. */
static silex_status is_ours(const struct build *b, bool *ret, silex_error *err)
{
	const struct slx_rollups *r = b->e->rollups; /* policies change under work_lock only */
	*ret = true;
	for (size_t i = 0; i < r->n && r->policies[i] != b->policy && *ret; i++) {
		const struct slx_rollup_policy *p = r->policies[i];
		bool yes = false;
		for (size_t k = 0; k < p->n && p->tenant == b->policy->tenant && !yes; k++)
			yes = p->levels[k].width == b->level->width;
		if (yes)
			SLX_TRY(slx_matchers_test(p->sel.matchers, p->sel.n, b->labels, &yes, err));
		*ret = !yes;
	}
	return SILEX_OK;
}

/* The stretch of buckets that the window touches, within (from, to]. */
static bool touched(const struct build *b, const struct slx_late_entry *x, int64_t *from, int64_t *to)
{
	int64_t width = b->level->width, first = slx_rollup_end(x->from, width) - width, last = slx_rollup_end(x->to, width);
	*from = first > *from ? first : *from;
	*to = last < *to ? last : *to;
	return *from < *to;
}

/* The late windows of the series in turn. */
static silex_status build_late(struct build *b, size_t i, int64_t from, int64_t to, silex_error *err)
{
	const struct slx_late_set *busy = &b->e->rollups->busy;
	const struct slx_late_entry *own = slx_late_find(busy, b->policy->tenant, slx_selection_id(b->series, i));
	int64_t a = from, z = to;
	if (own && touched(b, own, &a, &z))
		SLX_TRY(build_series(b, i, a, z, err));
	for (size_t k = 0; k < busy->n; k++) {
		const struct slx_late_entry *x = &busy->e[k];
		bool yes = false;
		a = from;
		z = to;
		if (x->selector && x->tenant == b->policy->tenant && touched(b, x, &a, &z))
			SLX_TRY(slx_matchers_test(x->selector->sel.matchers, x->selector->sel.n, b->labels, &yes, err));
		if (yes)
			SLX_TRY(build_series(b, i, a, z, err));
	}
	return SILEX_OK;
}

static silex_status build_all(struct build *b, bool late, int64_t from, int64_t to, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	for (size_t i = 0; i < slx_selection_count(b->series); i++) {
		bool ours;
		b->labels = slx_selection_labels(b->series, i);
		SLX_TRY(slx_snapshot_check(b->snapshot, err));
		if (atomic_load_explicit(&b->e->stopping, memory_order_relaxed))
			return slx_err(err, SILEX_CANCELED, "the database is closing");
		SLX_TRY(is_ours(b, &ours, err));
		if (!ours)
			continue;
		for (enum slx_rollup_column c = 0; c < SLX_ROLLUP_COLUMNS; c++)
			b->id[c] = slx_series_id(slx_rollup_tenant(b->policy->tenant->name, b->level->width, c, room), b->labels);
		SLX_TRY(late ? build_late(b, i, from, to, err) : build_series(b, i, from, to, err));
	}
	return write_batch(b, err);
}

static silex_status build_begin(struct build *b, int64_t from, int64_t to, silex_error *err)
{
	char room[SLX_ROLLUP_TENANT_SIZE];
	const struct slx_selector *sel = &b->policy->sel;
	struct slx_time_range range = slx_rollup_range(from, to);
	SLX_TRY(slx_scan_new(&b->e->mem, &b->e->codecs, &b->scan, err));
	struct slx_identity who = { .tenant = slx_rollup_tenant(b->policy->tenant->name, b->level->width, SLX_ROLLUP_N, room) };
	SLX_TRY(slx_snapshot_new(b->e, who, &b->old, err));
	SLX_TRY(slx_snapshot_select(b->old, sel->matchers, sel->n, range, &b->had, err));
	SLX_TRY(slx_snapshot_new(b->e, (struct slx_identity){ .tenant = b->policy->tenant->name }, &b->snapshot, err));
	slx_snapshot_show_expired(b->snapshot); /* what is still there is rolled up before it goes */
	SLX_TRY(slx_snapshot_select(b->snapshot, sel->matchers, sel->n, range, &b->series, err));
	const silex_error *damage = slx_selection_damage(b->series);
	return damage ? slx_err(err, damage->code, "%s", damage->message) : SILEX_OK;
}

/* Buckets of (from, to], multiples of the width; late: of late windows only. work_lock is held. */
static silex_status stretch(struct slx_engine *e, struct slx_rollup_policy *p, size_t level, bool late, int64_t from, int64_t to, silex_error *err)
{
	struct build *b = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *b);
	if (!b)
		return slx_err_oom(err);
	b->e = e;
	b->policy = p;
	b->level = &p->levels[level];
	slx_parts_init(&b->parts, &e->mem);
	slx_sketch_init(&b->sketch, &e->mem);
	slx_arena_init(&b->values, &e->mem, SLX_MEM_OTHER, 256 << 10);
	silex_status status = build_begin(b, from, to, err);
	if (status == SILEX_OK)
		status = build_all(b, late, from, to, err);
	pthread_mutex_lock(&e->rollups->lock);
	b->level->buckets += b->written;
	pthread_mutex_unlock(&e->rollups->lock);
	slx_selection_free(b->series);
	slx_selection_free(b->had);
	slx_snapshot_free(b->snapshot);
	slx_snapshot_free(b->old);
	slx_scan_free(b->scan);
	slx_parts_free(&b->parts);
	slx_sketch_free(&b->sketch);
	slx_arena_clear(&b->values);
	slx_free(&e->mem, SLX_MEM_OTHER, b, sizeof *b);
	return status;
}

/* ---- forward ---- */

static int64_t round_down(int64_t t, int64_t width)
{
	int64_t end = slx_rollup_end(t, width);
	return end > t ? end - width : end;
}

/* Where the level goes on: (*from, *to]; false: nothing to do now. */
static silex_status next_stretch(struct slx_engine *e, const struct slx_rollup_policy *p, const struct slx_rollup_mark *m, bool force, int64_t *from, int64_t *to,
	bool *ret, silex_error *err)
{
	int64_t width = m->width, target = round_down(slx_rollup_ms(slx_wall_ns(&e->clock)) - DELAY_MS, width);
	*ret = false;
	*from = m->built;
	if (m->built == SLX_ROLLUP_NOTHING_BUILT) {
		struct slx_snapshot *s;
		SLX_TRY(slx_snapshot_new(e, (struct slx_identity){ .tenant = p->tenant->name }, &s, err));
		slx_snapshot_show_expired(s);
		struct slx_time_range all = slx_snapshot_extent(s);
		slx_snapshot_free(s);
		if (slx_range_empty(all))
			return SILEX_OK;
		*from = slx_rollup_end(slx_rollup_ms(all.from), width) - width;
	} else if (!force && target - m->built < (width > EVERY_MS ? width : EVERY_MS)) {
		return SILEX_OK;
	}
	*to = target;
	if (target - *from > STRETCH * width)
		*to = *from + STRETCH * width;
	*ret = *from < *to;
	return SILEX_OK;
}

/* From here on writers note what is late for the stretch; what they wrote before a snapshot sees. */
static void raise_mark(struct slx_engine *e, struct slx_tenant *t, int64_t to)
{
	pthread_mutex_lock(&e->rollups->lock);
	slx_rollup_set_mark(e, t, to);
	pthread_mutex_unlock(&e->rollups->lock);
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		pthread_mutex_lock(&e->stripes[i].lock);
		pthread_mutex_unlock(&e->stripes[i].lock);
	}
}

static silex_status forward(struct slx_engine *e, struct slx_rollup_policy *p, size_t level, bool force, bool *ret_did, silex_error *err)
{
	int64_t from, to;
	bool go;
	SLX_TRY(next_stretch(e, p, &p->levels[level], force, &from, &to, &go, err));
	if (!go)
		return SILEX_OK;
	raise_mark(e, p->tenant, to);
	SLX_TRY(stretch(e, p, level, false, from, to, err));
	pthread_mutex_lock(&e->rollups->lock);
	p->levels[level].built = to;
	slx_rollup_set_mark(e, p->tenant, to);
	pthread_mutex_unlock(&e->rollups->lock);
	*ret_did = true;
	return SILEX_OK;
}

static silex_status forward_all(struct slx_engine *e, bool force, bool *ret_did, silex_error *err)
{
	struct slx_rollups *r = e->rollups;
	silex_status status = SILEX_OK;
	for (size_t i = 0; status == SILEX_OK; i++) {
		pthread_mutex_lock(&r->work_lock);
		bool more = i < r->n;
		for (size_t k = 0; more && k < r->policies[i]->n && status == SILEX_OK; k++)
			status = forward(e, r->policies[i], k, force, ret_did, err);
		pthread_mutex_unlock(&r->work_lock);
		if (!more)
			break;
	}
	return status;
}

/* ---- late windows ---- */

struct due {
	int64_t now;
	bool force;
};

static bool is_due(void *arg, const struct slx_late_entry *x)
{
	const struct due *d = arg;
	return d->force || d->now - x->touched >= QUIET_NS || d->now - x->since >= OLD_NS;
}

static bool every(void *arg, const struct slx_late_entry *x)
{
	(void)arg;
	(void)x;
	return true;
}

/* All late windows of the tenant that are being rebuilt, as one: buckets of (*from, *to]. */
static bool hull(const struct slx_rollups *r, const struct slx_rollup_policy *p, const struct slx_rollup_mark *m, int64_t *from, int64_t *to)
{
	*from = INT64_MAX;
	*to = INT64_MIN;
	for (size_t i = 0; i < r->busy.n; i++) {
		const struct slx_late_entry *x = &r->busy.e[i];
		if (x->tenant != p->tenant)
			continue;
		*from = x->from < *from ? x->from : *from;
		*to = x->to > *to ? x->to : *to;
	}
	if (*from > *to || m->built == SLX_ROLLUP_NOTHING_BUILT)
		return false;
	*from = slx_rollup_end(*from, m->width) - m->width;
	*to = slx_rollup_end(*to, m->width);
	*to = *to < m->built ? *to : m->built;
	return *from < *to;
}

static silex_status rebuild_level(struct slx_engine *e, struct slx_rollup_policy *p, size_t level, bool *ret_did, silex_error *err)
{
	int64_t from, to;
	if (!hull(e->rollups, p, &p->levels[level], &from, &to))
		return SILEX_OK;
	*ret_did = true;
	while (from < to) {
		int64_t end = to - from > STRETCH * p->levels[level].width ? from + STRETCH * p->levels[level].width : to;
		pthread_mutex_lock(&e->rollups->work_lock);
		silex_status status = stretch(e, p, level, true, from, end, err);
		pthread_mutex_unlock(&e->rollups->work_lock);
		if (status != SILEX_OK)
			return status;
		from = end;
	}
	return SILEX_OK;
}

static silex_status rebuild_all(struct slx_engine *e, bool *ret_did, silex_error *err)
{
	struct slx_rollup_policy **p = slx_alloc(&e->mem, SLX_MEM_OTHER, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	silex_status status = SILEX_OK;
	if (!p)
		return slx_err_oom(err);
	size_t n = slx_rollup_policies(e, p);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < p[i]->n && status == SILEX_OK; k++)
			status = rebuild_level(e, p[i], k, ret_did, err);
		slx_rollup_policy_unref(p[i]);
	}
	slx_free(&e->mem, SLX_MEM_OTHER, p, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	return status;
}

/* The generation of the head that takes writes: what was written until now is in it or in older ones. */
static uint64_t head_generation(struct slx_engine *e)
{
	pthread_mutex_lock(&e->stripes[0].lock);
	uint64_t gen = slx_head_generation(atomic_load_explicit(&e->active, memory_order_relaxed));
	pthread_mutex_unlock(&e->stripes[0].lock);
	return gen;
}

static silex_status late_all(struct slx_engine *e, bool force, bool *ret_did, silex_error *err)
{
	struct slx_rollups *r = e->rollups;
	struct due due = { slx_monotonic_ns(&e->clock), force };
	pthread_mutex_lock(&r->lock);
	slx_late_move(&r->late, &r->busy, is_due, &due); /* what there is no room for waits for the next round */
	bool any = r->busy.n;
	pthread_mutex_unlock(&r->lock);
	if (!any)
		return SILEX_OK;
	silex_status status = rebuild_all(e, ret_did, err);
	uint64_t gen = head_generation(e);
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->busy.n; i++)
		r->busy.e[i].gen = gen;
	if (status != SILEX_OK || !slx_late_move(&r->busy, &r->done, every, NULL))
		slx_late_move(&r->busy, &r->late, every, NULL); /* what finds no room even there stays busy, and comes again */
	pthread_mutex_unlock(&r->lock);
	return status;
}

/* ---- rounds ---- */

silex_status slx_rollup_step(struct slx_engine *e, bool force, bool *ret_did, silex_error *err)
{
	*ret_did = false;
	if (!slx_rollups_any(e))
		return SILEX_OK;
	pthread_mutex_lock(&e->rollups->round_lock);
	silex_status status = forward_all(e, force, ret_did, err);
	if (status == SILEX_OK)
		status = late_all(e, force, ret_did, err);
	pthread_mutex_unlock(&e->rollups->round_lock);
	return status;
}

silex_status slx_engine_rollup_build(struct slx_engine *e, silex_error *err)
{
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	for (bool did = true; did;)
		SLX_TRY(slx_rollup_step(e, true, &did, err));
	return SILEX_OK;
}

/* The buckets that hold samples of the range, as far as they are built. */
static bool again_range(const struct slx_rollup_mark *m, struct slx_time_range range, int64_t *from, int64_t *to)
{
	if (m->built == SLX_ROLLUP_NOTHING_BUILT || slx_range_empty(range))
		return false;
	*from = slx_rollup_end(slx_rollup_ms(range.from), m->width) - m->width;
	*to = slx_rollup_end(slx_rollup_ms(range.to), m->width);
	*to = *to < m->built ? *to : m->built;
	return *from < *to;
}

struct again {
	silex_progress_fn progress;
	void *arg;
	uint64_t done, total; /* seconds of samples, level by level */
};

static silex_status again_level(struct slx_engine *e, struct slx_rollup_policy *p, size_t level, struct slx_time_range range, struct again *a, silex_error *err)
{
	char name[SLX_ROLLUP_LEVEL_SIZE];
	int64_t from, to, width = p->levels[level].width;
	slx_rollup_level(width, name);
	if (!again_range(&p->levels[level], range, &from, &to))
		return SILEX_OK;
	while (from < to) {
		int64_t end = to - from > STRETCH / 4 * width ? from + STRETCH / 4 * width : to;
		pthread_mutex_lock(&e->rollups->work_lock);
		silex_status status = stretch(e, p, level, false, from, end, err);
		pthread_mutex_unlock(&e->rollups->work_lock);
		if (status != SILEX_OK)
			return status;
		a->done += (uint64_t)(end - from) / 1000;
		from = end;
		if (a->progress && !a->progress(a->arg, name, a->done, a->total))
			return slx_err(err, SILEX_CANCELED, "canceled; what is done stays, the rest is as it was");
	}
	return SILEX_OK;
}

silex_status slx_engine_rollup_rebuild(struct slx_engine *e, struct slx_tenant *t, struct slx_time_range range, silex_progress_fn progress, void *arg,
	silex_error *err)
{
	struct again a = { .progress = progress, .arg = arg };
	struct slx_snapshot *s;
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	SLX_TRY(slx_snapshot_new(e, (struct slx_identity){ .tenant = t->name }, &s, err));
	slx_snapshot_show_expired(s);
	range = slx_range_cut(range, slx_snapshot_extent(s));
	slx_snapshot_free(s);
	struct slx_rollup_policy **p = slx_alloc(&e->mem, SLX_MEM_OTHER, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	if (!p)
		return slx_err_oom(err);
	pthread_mutex_lock(&e->rollups->round_lock);
	size_t n = slx_rollup_policies(e, p);
	silex_status status = SILEX_OK;
	for (int pass = 0; pass < 2; pass++) /* how much, then the work */
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < p[i]->n && p[i]->tenant == t && status == SILEX_OK; k++) {
				int64_t from, to;
				if (pass == 0)
					a.total += again_range(&p[i]->levels[k], range, &from, &to) ? (uint64_t)(to - from) / 1000 : 0;
				else
					status = again_level(e, p[i], k, range, &a, err);
			}
	pthread_mutex_unlock(&e->rollups->round_lock);
	for (size_t i = 0; i < n; i++)
		slx_rollup_policy_unref(p[i]);
	slx_free(&e->mem, SLX_MEM_OTHER, p, SLX_ROLLUP_POLICIES_MAX * sizeof *p);
	return status;
}

/* ---- the thread ---- */

static void wait_tick(struct slx_rollups *r)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += TICK_MS / 1000;
	pthread_cond_timedwait(&r->wake, &r->lock, &ts);
}

static void *rollup_main(void *arg)
{
	struct slx_engine *e = arg;
	struct slx_rollups *r = e->rollups;
	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		if (r->n == 0 || slx_monotonic_ns(&e->clock) < r->retry_ns) {
			wait_tick(r);
			continue;
		}
		pthread_mutex_unlock(&r->lock);
		silex_error err = { 0 };
		bool did;
		silex_status status = slx_rollup_step(e, false, &did, &err);
		if (status != SILEX_OK && status != SILEX_CANCELED)
			slx_engine_log(e, 2, "roll-ups: %s; trying again", err.message);
		pthread_mutex_lock(&r->lock);
		r->retry_ns = status == SILEX_OK ? 0 : slx_monotonic_ns(&e->clock) + RETRY_S * SLX_SECOND;
		if (!did && !r->stop)
			wait_tick(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

silex_status slx_rollup_start(struct slx_engine *e, silex_error *err)
{
	if (e->opt.no_background || e->opt.read_only)
		return SILEX_OK;
	if (pthread_create(&e->rollups->thread, NULL, rollup_main, e))
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the roll-up thread");
	e->rollups->running = true;
	return SILEX_OK;
}

void slx_rollup_stop(struct slx_engine *e)
{
	struct slx_rollups *r = e->rollups;
	if (!r || !r->running)
		return;
	atomic_store(&e->stopping, true);
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	r->running = false;
}
