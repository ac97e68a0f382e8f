/* The write path.
 *
 * A batch is cut into pieces; each piece is sorted by stripe once (counting sort, the columns gathered on the way), then
 * stripe by stripe, under its lock:
 *   1. resolve: each row's series in the active head (from the handle, found, or created), with prefetch ahead
 *   2. log:     one frame for the group, with definitions of series that the current log segment does not know yet
 *   3. apply:   one slot in each tail, prefetched
 *   4. tell:    rows of marked series to the observer
 * Since a stripe logs and applies under one lock, samples of a series reach the head in the order of their versions.
 * After the last group the caller waits for the log once.
 *
 * What may fail: 1 refuses rows (labels, limits, memory), the others go on; 2 fails the batch from this group on, with
 * nothing of the group applied; 3 can only fail for lack of memory, with the row in the log: the batch is then not
 * acknowledged, and a replay may bring it back. */
#include "engine/retention_int.h"
#include "engine/rollup_int.h"

#include <assert.h>

enum {
	PIECE_MAX = SLX_GROUP_MAX,
	PIECE_BYTES_MAX = 1 << 20, /* of values that are bytes: what one frame has of them, but for the last */
	AHEAD = 24,
};

/* What a write needs are the first 16 bytes: one cache line, wherever the allocator puts it. */
struct slx_handle {
	struct slx_series_at at; /* guarded by the stripe */
	uint32_t labels_n;
	struct slx_tenant *tenant;
	struct slx_hash128 id;
	struct slx_engine *engine;
	void *owner;
	uint8_t labels[];
};

/* Rows in the order of their stripes. Refused rows are closed up within their stripe. */
struct piece {
	uint32_t row[PIECE_MAX]; /* number in the batch */
	union {
		struct slx_series_at *at; /* until it is resolved; NULL where rows come with labels */
		struct slx_head_series *series;
	} who[PIECE_MAX];
	int64_t ts[PIECE_MAX];
	uint64_t bits[PIECE_MAX];
};

/* Rows from .. from + n of a piece: those of one stripe. */
struct group {
	struct piece *piece;
	size_t from, n;
	struct slx_stripe *stripe;
	struct slx_head *head;
	bool run; /* all of one series: `row` and `who` of the first row stand for all */
	int64_t floor; /* rows before it may be older than retention; INT64_MIN: none is looked at */
	bool watched; /* some series has a mark */
};

silex_status slx_handle_new(struct slx_engine *e, struct slx_tenant *t, struct slx_labels l, void *owner, struct slx_handle **ret, silex_error *err)
{
	struct slx_handle *h = slx_alloc(&e->mem, SLX_MEM_OTHER, sizeof *h + l.n);
	if (!h)
		return slx_err_oom(err);
	memset(h, 0, sizeof *h);
	h->id = slx_series_id(t->name, l);
	h->at.stripe = (uint8_t)slx_head_stripe(h->id);
	h->engine = e;
	h->tenant = t;
	h->owner = owner;
	h->labels_n = (uint32_t)l.n;
	memcpy(h->labels, l.p, l.n);
	*ret = h;
	return SILEX_OK;
}

void slx_handle_free(struct slx_handle *h)
{
	if (h)
		slx_free(&h->engine->mem, SLX_MEM_OTHER, h, sizeof *h + h->labels_n);
}

void *slx_handle_owner(const struct slx_handle *h) { return h->owner; }
struct slx_tenant *slx_handle_tenant(const struct slx_handle *h) { return h->tenant; }

static void refuse(struct slx_write_result *r, size_t row, const silex_error *why)
{
	if (r->refused == 0 || row < r->first) {
		r->first = row;
		r->error = *why;
	}
	r->refused++;
}

/* --- rows ------------------------------------------------------------------------------------------------------------------ */

static struct slx_handle *load_handle(const char *p)
{
	struct slx_handle *h;
	memcpy(&h, p, sizeof h);
	return h;
}

/* A column from its row `first` on. By value: what is stored on the way cannot alias it. */
struct column {
	const char *p;
	size_t stride;
};

static struct column column(const void *p, size_t stride, size_t first)
{
	return (struct column){ (const char *)p + first * stride, stride };
}

/* Where the series of rows first .. first + n were last (NULL: not known) and their stripes; end[s] becomes how many are in
 * stripe s. */
static void places_of(const struct slx_write *w, size_t first, size_t n, struct slx_series_at **at, uint8_t *stripe, uint32_t end[SLX_STRIPES])
{
	if (w->rows) {
		for (size_t i = 0; i < n; i++) {
			at[i] = &w->at[w->rows[first + i]];
			end[stripe[i] = at[i]->stripe]++;
		}
		return;
	}
	if (!w->handles) {
		for (size_t i = 0; i < n; i++) {
			at[i] = NULL;
			end[stripe[i] = (uint8_t)slx_head_stripe(w->ids[first + i])]++;
		}
		return;
	}
	struct column handle = column(w->handles, w->handle_stride, first);
	for (size_t i = 0; i < n; i++, handle.p += handle.stride) {
		if (i + AHEAD < n)
			__builtin_prefetch(load_handle(handle.p + AHEAD * handle.stride));
		at[i] = &load_handle(handle.p)->at;
		end[stripe[i] = at[i]->stripe]++;
	}
}

/* Rows first .. first + n of w, sorted by stripe; order within a stripe is kept. Stripe s ends at end[s]. */
static void sort_rows(const struct slx_write *w, size_t first, size_t n, struct piece *p, uint32_t end[SLX_STRIPES])
{
	uint8_t stripe[PIECE_MAX];
	struct slx_series_at *at[PIECE_MAX];
	places_of(w, first, n, at, stripe, end);
	for (uint32_t s = 0, from = 0; s < SLX_STRIPES; s++) {
		uint32_t here = end[s];
		end[s] = from; /* its begin; the loop below moves it to the end */
		from += here;
	}
	struct column ts = column(w->ts, w->ts_stride, first), bits = column(w->bits, w->bits_stride, first);
	for (size_t i = 0; i < n; i++, ts.p += ts.stride, bits.p += bits.stride) {
		uint32_t to = end[stripe[i]]++;
		p->row[to] = (uint32_t)(first + i);
		p->who[to].at = at[i];
		memcpy(&p->ts[to], ts.p, sizeof p->ts[to]);
		memcpy(&p->bits[to], bits.p, sizeof p->bits[to]);
	}
}

/* Row i of the piece is kept, as number `to`. */
static inline void keep(struct piece *p, size_t to, size_t i, struct slx_head_series *s)
{
	p->who[to].series = s;
	if (to == i)
		return;
	p->row[to] = p->row[i];
	p->ts[to] = p->ts[i];
	p->bits[to] = p->bits[i];
}

/* --- 1. resolve -------------------------------------------------------------------------------------------------------------- */

static silex_status find_or_create(struct slx_engine *e, struct slx_head *head, struct slx_tenant *t, struct slx_labels l, struct slx_hash128 id,
	struct slx_head_series **ret, silex_error *err)
{
	*ret = slx_head_find(head, id);
	if (*ret)
		return SILEX_OK;
	uint64_t own = atomic_load_explicit(&t->payer->series_max, memory_order_relaxed);
	SLX_TRY(slx_head_create(head, t->name, l, id, own ? own : e->opt.series_limit, ret, err));
	slx_observe_new(e, head, t->name, l, *ret);
	return SILEX_OK;
}

static struct slx_handle *handle_of(struct slx_series_at *at) { return (struct slx_handle *)((char *)at - offsetof(struct slx_handle, at)); }

static silex_status resolve_handle(struct slx_engine *e, struct slx_head *head, struct slx_handle *h, silex_error *err)
{
	SLX_TRY(find_or_create(e, head, h->tenant, (struct slx_labels){ h->labels, h->labels_n }, h->id, &h->at.series, err));
	h->at.gen = (uint32_t)slx_head_generation(head);
	return SILEX_OK;
}

static struct slx_head *pinned(const struct slx_pins *p, uint32_t gen)
{
	for (unsigned i = 0; i < p->n; i++)
		if ((uint32_t)slx_head_generation(p->head[i]) == gen)
			return p->head[i];
	return NULL;
}

/* A flush came between: the series of a pinned head in the active one. The old head tells its labels. */
static silex_status resolve_pinned(struct slx_engine *e, const struct group *g, const struct slx_write *w, struct slx_series_at *at, silex_error *err)
{
	struct slx_buf *labels = &g->stripe->label;
	struct slx_head *old = pinned(w->pins, at->gen);
	assert(old);
	slx_buf_reset(labels);
	slx_head_labels(old, at->series, labels);
	if (labels->failed)
		return slx_err_oom(err);
	SLX_TRY(find_or_create(e, g->head, w->tenant, (struct slx_labels){ labels->p, labels->n }, at->series->id, &at->series, err));
	at->gen = (uint32_t)slx_head_generation(g->head);
	return SILEX_OK;
}

static silex_status check_kind(const struct slx_head_series *s, enum slx_kind kind, silex_error *err)
{
	uint8_t have = atomic_load_explicit(&s->kind, memory_order_relaxed);
	if (have == UINT8_MAX || (have == SLX_KIND_ENUM) == (kind == SLX_KIND_ENUM))
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "the series holds %s values, %s was given", slx_kind_name(have), slx_kind_name(kind));
}

/* Row i's series, which is not known to be in this head. */
static silex_status find_row(struct slx_engine *e, const struct group *g, const struct slx_write *w, size_t i, struct slx_head_series **ret, silex_error *err)
{
	struct slx_series_at *at = g->piece->who[i].at;
	size_t row = g->piece->row[i];
	if (!at)
		return find_or_create(e, g->head, w->tenant, w->labels[row], w->ids[row], ret, err);
	SLX_TRY(w->rows ? resolve_pinned(e, g, w, at, err) : resolve_handle(e, g->head, handle_of(at), err));
	*ret = at->series;
	return SILEX_OK;
}

/* The same once series are known, of a run too. */
static inline void keep_row(struct group *g, size_t to, size_t i)
{
	struct piece *p = g->piece;
	if (!g->run) {
		keep(p, to, i, p->who[i].series);
		return;
	}
	p->ts[to] = p->ts[i];
	p->bits[to] = p->bits[i];
}

/* The rows' series, their cache lines asked for. */
static void find_series(struct slx_engine *e, struct group *g, const struct slx_write *w, struct slx_write_result *r)
{
	struct piece *p = g->piece;
	uint32_t gen = (uint32_t)slx_head_generation(g->head);
	size_t kept = g->from, end = g->from + g->n;
	for (size_t i = g->from; i < end; i++) {
		struct slx_series_at *at = p->who[i].at;
		struct slx_head_series *s;
		silex_error why;
		if (at && at->gen == gen) {
			s = at->series;
		} else if (find_row(e, g, w, i, &s, &why) != SILEX_OK) {
			refuse(r, p->row[i], &why);
			continue;
		}
		__builtin_prefetch(s, 1);
		keep(p, kept++, i, s);
	}
	g->n = kept - g->from;
}

/* Once the series' lines are here: do they take this kind? Their slots are asked for. */
static void check_kinds(struct group *g, enum slx_kind kind, struct slx_write_result *r)
{
	struct piece *p = g->piece;
	size_t kept = g->from, end = g->from + g->n;
	uint32_t watched = 0;
	for (size_t i = g->from; i < end; i++) {
		struct slx_head_series *s = p->who[i].series;
		silex_error why;
		if (atomic_load_explicit(&s->kind, memory_order_relaxed) != kind && check_kind(s, kind, &why) != SILEX_OK) {
			refuse(r, p->row[i], &why);
			continue;
		}
		__builtin_prefetch(atomic_load_explicit(&s->tail, memory_order_relaxed) + atomic_load_explicit(&s->tail_n, memory_order_relaxed), 1);
		watched |= s->watch;
		keep(p, kept++, i, s);
	}
	g->n = kept - g->from;
	g->watched = watched != 0;
}

/* A run has one row: its first. */
static void find_run(struct slx_engine *e, struct group *g, enum slx_kind kind, struct slx_write_result *r)
{
	struct piece *p = g->piece;
	struct slx_series_at *at = p->who[0].at;
	silex_error why;
	silex_status status = SILEX_OK;
	if (at->gen != (uint32_t)slx_head_generation(g->head))
		status = resolve_handle(e, g->head, handle_of(at), &why);
	if (status == SILEX_OK)
		status = check_kind(at->series, kind, &why);
	if (status == SILEX_OK) {
		p->who[0].series = at->series;
		g->watched = at->series->watch != 0;
		return;
	}
	refuse(r, p->row[0], &why);
	r->refused += g->n - 1;
	g->n = 0;
}

/* Mostly there is none, so that has to be quick. */
static bool any_before(const int64_t *ts, size_t n, int64_t floor)
{
	bool any = false;
	for (size_t i = 0; i < n; i++)
		any |= ts[i] < floor;
	return any;
}

/* Rows that are older than their series' retention. */
static void check_age(struct slx_engine *e, struct group *g, const struct slx_write *w, struct slx_write_result *r)
{
	struct piece *p = g->piece;
	size_t kept = g->from, end = g->from + g->n;
	int64_t now = slx_wall_ns(&e->clock);
	for (size_t i = g->from; i < end; i++) {
		silex_error why;
		struct slx_head_series *s = p->who[g->run ? 0 : i].series;
		size_t row = g->run ? p->row[0] + i : p->row[i];
		bool words = r->refused == 0 || row < r->first;
		if (p->ts[i] < g->floor &&
		    slx_retention_check(e, g->head, s, w->tenant->name, p->ts[i], now, &g->stripe->label, words ? &why : NULL) != SILEX_OK) {
			refuse(r, row, &why);
			continue;
		}
		keep_row(g, kept++, i);
	}
	g->n = kept - g->from;
}

/* Values that are bytes: their copies in the head take their place. Rows without room or over the limit are refused. */
static void keep_values(struct group *g, struct slx_tenant *t, struct slx_write_result *r)
{
	struct piece *p = g->piece;
	unsigned stripe = slx_head_stripe(p->who[g->run ? 0 : g->from].series->id);
	size_t kept = g->from, end = g->from + g->n;
	int64_t size = 0;
	for (size_t i = g->from; i < end; i++) {
		silex_error why;
		if (slx_head_keep(g->head, stripe, p->bits[i], &p->bits[i], &why) != SILEX_OK) {
			refuse(r, g->run ? p->row[0] + i : p->row[i], &why);
			continue;
		}
		size += (int64_t)slx_value_stored(p->bits[i]);
		p->ts[kept] = p->ts[i];
		p->bits[kept] = p->bits[i];
		if (!g->run) {
			p->row[kept] = p->row[i];
			p->who[kept] = p->who[i];
		}
		kept++;
	}
	g->n = kept - g->from;
	atomic_fetch_add_explicit(&t->payer->head_bytes, size, memory_order_relaxed);
}

/* The series of the group's row i. */
static struct slx_head_series *series_of(const struct group *g, size_t i)
{
	return g->piece->who[g->run ? 0 : g->from + i].series;
}

/* --- 2. log -------------------------------------------------------------------------------------------------------------------- */

/* References of the group's series into refs; definitions of those that `segment` lacks into st->defs. */
static size_t define(struct slx_engine *e, const struct group *g, struct slx_str tenant, uint64_t segment, uint32_t *refs)
{
	struct slx_stripe *st = g->stripe;
	size_t defs = 0;
	slx_buf_reset(&st->defs);
	for (size_t i = 0; i < g->n; i++) {
		struct slx_head_series *s = series_of(g, i);
		if (s->log_segment != segment) {
			if (s->log_ref == 0)
				s->log_ref = atomic_fetch_add_explicit(&e->next_ref, 1, memory_order_relaxed) + 1;
			slx_buf_reset(&st->label);
			slx_head_labels(g->head, s, &st->label);
			if (st->label.failed)
				st->defs.failed = true;
			slx_record_def(&st->defs, s->log_ref, tenant, (struct slx_labels){ st->label.p, st->label.n });
			s->log_segment = segment;
			defs++;
		}
		refs[i] = s->log_ref;
	}
	return defs;
}

static void undefine(const struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		series_of(g, i)->log_segment = 0;
}

static silex_status log_group(struct slx_engine *e, const struct group *g, const struct slx_write *w, uint64_t *ret_lsn, silex_error *err)
{
	struct slx_stripe *st = g->stripe;
	uint32_t refs[SLX_GROUP_MAX];
	for (;;) {
		uint64_t segment = slx_wal_segment(e->wal);
		size_t n_defs = define(e, g, w->tenant->name, segment, refs);
		struct slx_record_samples samples = { w->kind, g->n, refs, g->piece->ts + g->from, g->piece->bits + g->from };
		slx_buf_reset(&st->frame);
		slx_record_samples_encode(&st->frame, &st->defs, n_defs, &samples, &st->hint);
		if (st->frame.failed || st->defs.failed) {
			undefine(g);
			return slx_err_oom(err);
		}
		struct iovec part = { st->frame.p, st->frame.n };
		struct slx_wal_pos pos;
		silex_status status = slx_wal_append(e->wal, SLX_RECORD_SAMPLES, 0, &part, 1, segment, &pos, err);
		if (status == SILEX_OK) {
			*ret_lsn = pos.lsn;
			return SILEX_OK;
		}
		undefine(g);
		if (status != SILEX_CONFLICT)
			return status;
	}
}

/* --- 3. apply -------------------------------------------------------------------------------------------------------------------- */

static silex_status apply(const struct group *g, enum slx_kind kind, silex_error *err)
{
	const struct piece *p = g->piece;
	struct slx_head *head = g->head;
	if (g->run)
		return slx_head_append_run(head, p->who[0].series, kind, p->ts, p->bits, g->n, err);
	silex_status status = SILEX_OK;
	for (size_t i = g->from, end = g->from + g->n; i < end; i++) {
		silex_status one = slx_head_append(head, p->who[i].series, kind, p->ts[i], p->bits[i], err);
		if (one != SILEX_OK)
			status = one;
	}
	return status;
}

/* --- 4. tell ---------------------------------------------------------------------------------------------------------------------- */

/* The rows of marked series, together. */
static void tell_marked(struct slx_engine *e, const struct group *g, struct slx_observed *o)
{
	uint32_t mark[SLX_GROUP_MAX];
	int64_t ts[SLX_GROUP_MAX];
	uint64_t bits[SLX_GROUP_MAX];
	const struct piece *p = g->piece;
	for (size_t i = 0; i < g->n; i++) {
		mark[o->n] = series_of(g, i)->watch;
		ts[o->n] = p->ts[g->from + i];
		bits[o->n] = p->bits[g->from + i];
		o->n += mark[o->n] != 0;
	}
	o->mark = mark;
	o->ts = ts;
	o->bits = bits;
	e->observer.samples(e->observer.ctx, o);
}

/* Under the stripe's lock. */
static void tell(struct slx_engine *e, const struct group *g, enum slx_kind kind, const struct slx_arrival *a)
{
	struct slx_observed o = {
		.stripe = (unsigned)(g->stripe - e->stripes),
		.kind = kind,
		.arrived_ns = a->monotonic_ns,
		.wall_ns = a->wall_ns,
		.backfill = a->backfill,
	};
	if (e->observer.samples && a->monotonic_ns && kind != SLX_KIND_ENUM && !slx_kind_is_bytes(kind))
		tell_marked(e, g, &o);
}

/* Samples that roll-ups are built of already, so that those are built again; runs of one series are noted as one. */
static void note_late(struct slx_engine *e, const struct group *g, struct slx_tenant *t)
{
	int64_t mark = atomic_load_explicit(&t->rollup_mark, memory_order_relaxed), first = INT64_MAX, last = INT64_MIN;
	const int64_t *ts = g->piece->ts + g->from;
	for (size_t i = 0; i < g->n && mark != INT64_MIN; i++)
		first = ts[i] < first ? ts[i] : first;
	if (mark == INT64_MIN || first > mark)
		return;
	first = INT64_MAX;
	for (size_t i = 0; i < g->n; i++) {
		if (ts[i] <= mark) {
			first = ts[i] < first ? ts[i] : first;
			last = ts[i] > last ? ts[i] : last;
		}
		if (last != INT64_MIN && (i + 1 == g->n || series_of(g, i + 1) != series_of(g, i))) {
			slx_rollup_note(e, t, series_of(g, i)->id, first, last);
			first = INT64_MAX;
			last = INT64_MIN;
		}
	}
}

/* --- pins ------------------------------------------------------------------------------------------------------------------------ */

/* Some stripe's lock is held: `head` is the active one and cannot go away meanwhile. */
static silex_status pin(struct slx_pins *p, struct slx_head *head, silex_error *err)
{
	if (p->n == SLX_PINS_MAX)
		return slx_err(err, SILEX_UNAVAILABLE, "more than %d flushes came between the begin of a batch and its end; try again", SLX_PINS_MAX);
	p->head[p->n++] = slx_head_ref(head);
	return SILEX_OK;
}

silex_status slx_engine_pin(struct slx_engine *e, struct slx_tenant *t, struct slx_pins *ret, silex_error *err)
{
	struct slx_pins p = { .n = 0 };
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	SLX_TRY(slx_background_admit(e, t, err));
	pthread_mutex_lock(&e->stripes[0].lock);
	silex_status status = pin(&p, atomic_load_explicit(&e->active, memory_order_relaxed), err);
	pthread_mutex_unlock(&e->stripes[0].lock);
	if (status == SILEX_OK)
		*ret = p;
	return status;
}

void slx_engine_unpin(struct slx_pins *p)
{
	while (p->n)
		slx_head_unref(p->head[--p->n]);
}

bool slx_pins_hold(const struct slx_pins *p, uint32_t gen) { return pinned(p, gen); }

/* Whether a refused series was one too many; else memory was out. */
static bool series_limit_reached(struct slx_engine *e, struct slx_head *head, struct slx_tenant *t)
{
	uint64_t own = atomic_load_explicit(&t->series_max, memory_order_relaxed), max = own ? own : e->opt.series_limit;
	return max && slx_head_tenant_series(head, t->name) >= max;
}

silex_status slx_engine_resolve(struct slx_engine *e, struct slx_pins *p, struct slx_tenant *t, struct slx_labels l, struct slx_hash128 id,
	struct slx_series_at *ret, silex_error *err)
{
	struct slx_series_at at = { .stripe = (uint8_t)slx_head_stripe(id) };
	if (slx_background_room_left(e, t, err) != SILEX_OK)
		return err ? err->code = SILEX_UNAVAILABLE : SILEX_UNAVAILABLE;
	pthread_mutex_lock(&e->stripes[at.stripe].lock);
	struct slx_head *head = atomic_load_explicit(&e->active, memory_order_relaxed);
	at.gen = (uint32_t)slx_head_generation(head);
	silex_status status = pinned(p, at.gen) ? SILEX_OK : pin(p, head, err);
	if (status == SILEX_OK) {
		status = find_or_create(e, head, t, l, id, &at.series, err);
		if (status == SILEX_RESOURCE_EXHAUSTED && !series_limit_reached(e, head, t))
			status = slx_err(err, SILEX_UNAVAILABLE, "out of memory for a new series");
	}
	pthread_mutex_unlock(&e->stripes[at.stripe].lock);
	if (status == SILEX_OK)
		*ret = at;
	return status;
}

/* --- the batch ------------------------------------------------------------------------------------------------------------------- */

/* How a batch is written. */
struct way {
	bool logged;
	int64_t floor; /* as a group's */
	struct slx_arrival arrival;
};

static silex_status write_group(struct slx_engine *e, struct group *g, const struct slx_write *w, const struct way *way, struct slx_write_result *r,
	uint64_t *lsn, silex_error *err)
{
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&g->stripe->lock);
	g->head = atomic_load_explicit(&e->active, memory_order_relaxed);
	if (g->run) {
		find_run(e, g, w->kind, r);
	} else {
		find_series(e, g, w, r);
		check_kinds(g, w->kind, r);
	}
	if (g->floor != INT64_MIN && any_before(g->piece->ts + g->from, g->n, g->floor))
		check_age(e, g, w, r);
	if (g->n && slx_kind_is_bytes(w->kind))
		keep_values(g, w->tenant, r);
	if (g->n && way->logged)
		status = log_group(e, g, w, lsn, err);
	if (g->n && status == SILEX_OK)
		status = apply(g, w->kind, err);
	if (g->n)
		note_late(e, g, w->tenant);
	if (g->n && g->watched && status == SILEX_OK)
		tell(e, g, w->kind, &way->arrival);
	pthread_mutex_unlock(&g->stripe->lock);
	if (status == SILEX_OK && w->tenant == w->tenant->payer)
		atomic_fetch_add_explicit(&e->points_head, g->n, memory_order_relaxed);
	return status;
}

/* Rows of one series: nothing to sort. */
static silex_status write_run(struct slx_engine *e, const struct slx_write *w, size_t first, size_t n, const struct way *way, struct slx_write_result *r,
	uint64_t *lsn, silex_error *err)
{
	struct piece p;
	struct column ts = column(w->ts, w->ts_stride, first), bits = column(w->bits, w->bits_stride, first);
	p.row[0] = (uint32_t)first;
	p.who[0].at = &load_handle(w->handles)->at;
	for (size_t i = 0; i < n; i++, ts.p += ts.stride, bits.p += bits.stride) {
		memcpy(&p.ts[i], ts.p, sizeof p.ts[i]);
		memcpy(&p.bits[i], bits.p, sizeof p.bits[i]);
	}
	struct group g = { .piece = &p, .n = n, .stripe = &e->stripes[p.who[0].at->stripe], .run = true, .floor = way->floor };
	return write_group(e, &g, w, way, r, lsn, err);
}

/* Rows first .. first + n of w (n <= PIECE_MAX). */
static silex_status write_piece(struct slx_engine *e, const struct slx_write *w, size_t first, size_t n, const struct way *way, struct slx_write_result *r,
	uint64_t *lsn, silex_error *err)
{
	struct piece p;
	uint32_t end[SLX_STRIPES] = { 0 };
	if (w->handles && w->handle_stride == 0)
		return write_run(e, w, first, n, way, r, lsn, err);
	sort_rows(w, first, n, &p, end);
	for (size_t s = 0, from = 0; s < SLX_STRIPES; from = end[s++]) {
		struct group g = { .piece = &p, .from = from, .n = end[s] - from, .stripe = &e->stripes[s], .floor = way->floor };
		if (g.n)
			SLX_TRY(write_group(e, &g, w, way, r, lsn, err));
	}
	return SILEX_OK;
}

static void count_ingested(struct slx_engine *e, int64_t now, size_t n)
{
	uint64_t second = (uint64_t)(now / SLX_SECOND);
	unsigned slot = second % SLX_RATE_SECONDS;
	uint64_t had = atomic_load_explicit(&e->rate_second[slot], memory_order_relaxed);
	if (had != second && atomic_compare_exchange_strong(&e->rate_second[slot], &had, second))
		atomic_store_explicit(&e->rate_points[slot], 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->rate_points[slot], n, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->points_ingested, n, memory_order_relaxed);
}

/* What is written beside a user's series takes of their memory, but is none of their points. */
static void count_points(struct slx_engine *e, struct slx_tenant *t, size_t n)
{
	int64_t now = slx_monotonic_ns(&e->clock), none = 0;
	if (t == t->payer)
		count_ingested(e, now, n);
	atomic_fetch_add_explicit(&t->payer->head_bytes, (int64_t)n * 4, memory_order_relaxed);
	if (atomic_load_explicit(&e->head_first_write_ns, memory_order_relaxed) == 0)
		atomic_compare_exchange_strong(&e->head_first_write_ns, &none, now);
}

void slx_engine_watch_late(struct slx_tenant *t, int64_t grace_ns, int64_t max_ns)
{
	int64_t none = 0;
	atomic_store_explicit(&t->late_grace_ns, grace_ns, memory_order_relaxed);
	atomic_compare_exchange_strong(&t->late_oldest, &none, SLX_TIME_MAX); /* a new tenant's is 0 */
	atomic_store_explicit(&t->late_max_ns, max_ns, memory_order_release);
}

int64_t slx_engine_take_late(struct slx_tenant *t) { return atomic_exchange(&t->late_oldest, SLX_TIME_MAX); }

/* The samples are in the log: whoever asks from now on, and then reads, sees them. */
static void note_late_batch(struct slx_engine *e, const struct slx_write *w)
{
	struct slx_tenant *t = w->tenant;
	int64_t max = atomic_load_explicit(&t->late_max_ns, memory_order_acquire), oldest = SLX_TIME_MAX;
	if (max == 0 || w->derived)
		return;
	int64_t now = slx_wall_ns(&e->clock), from = slx_time_sub(now, max);
	struct column ts = column(w->ts, w->ts_stride, 0);
	for (size_t i = 0; i < w->n; i++, ts.p += ts.stride) {
		int64_t at = (int64_t)slx_load64(ts.p);
		if (at < oldest && at >= from)
			oldest = at;
	}
	if (oldest >= now - atomic_load_explicit(&t->late_grace_ns, memory_order_relaxed))
		return;
	int64_t known = atomic_load_explicit(&t->late_oldest, memory_order_relaxed);
	while (oldest < known && !atomic_compare_exchange_weak(&t->late_oldest, &known, oldest))
		;
}

/* How many rows from `done` on make the next piece. */
static size_t piece_rows(const struct slx_write *w, size_t done)
{
	size_t n = w->n - done < PIECE_MAX ? w->n - done : PIECE_MAX, size = 0;
	if (!slx_kind_is_bytes(w->kind))
		return n;
	struct column bits = column(w->bits, w->bits_stride, done);
	for (size_t i = 0; i < n; i++, bits.p += bits.stride) {
		if (size >= PIECE_BYTES_MAX)
			return i;
		size += slx_value_stored(slx_load64(bits.p));
	}
	return n;
}

silex_status slx_engine_write(struct slx_engine *e, const struct slx_write *w, struct slx_write_result *ret, uint64_t *ret_lsn, silex_error *err)
{
	struct slx_write_result r = { 0 };
	uint64_t lsn = 0;
	silex_status status = SILEX_OK;
	struct way way = { e->opt.wal == SILEX_WAL_FILE, slx_retention_floor(e, w->tenant), slx_observe_arrival(e, w->backfill) };
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	size_t done = 0;
	while (done < w->n && status == SILEX_OK) {
		size_t k = piece_rows(w, done);
		status = w->rows ? slx_background_room_left(e, w->tenant, err) : slx_background_admit(e, w->tenant, err);
		if (status == SILEX_OK)
			status = write_piece(e, w, done, k, &way, &r, &lsn, err);
		done += k;
	}
	if (status == SILEX_OK) {
		count_points(e, w->tenant, w->n - r.refused);
		note_late_batch(e, w);
	}
	if (r.refused)
		atomic_fetch_add_explicit(&e->points_refused, r.refused, memory_order_relaxed);
	if (ret)
		*ret = r;
	if (status != SILEX_OK)
		return status;
	if (ret_lsn) {
		*ret_lsn = lsn;
		return SILEX_OK;
	}
	return lsn ? slx_wal_wait(e->wal, lsn, err) : SILEX_OK;
}

silex_status slx_engine_wait(struct slx_engine *e, uint64_t lsn, silex_error *err)
{
	return lsn ? slx_wal_wait(e->wal, lsn, err) : SILEX_OK;
}

silex_status slx_engine_sync(struct slx_engine *e, silex_error *err)
{
	return e->opt.read_only ? SILEX_OK : slx_wal_sync(e->wal, err);
}

silex_status slx_engine_apply(struct slx_engine *e, struct slx_handle *const *handles, const struct slx_record_samples *s, silex_error *err)
{
	struct slx_write w = {
		.tenant = handles[0]->tenant,
		.kind = s->kind,
		.n = s->n,
		.handles = handles,
		.handle_stride = sizeof *handles,
		.ts = s->ts,
		.ts_stride = sizeof *s->ts,
		.bits = s->bits,
		.bits_stride = sizeof *s->bits,
	};
	struct slx_write_result r = { 0 };
	uint64_t lsn = 0;
	SLX_TRY(write_piece(e, &w, 0, s->n, &(struct way){ .floor = INT64_MIN }, &r, &lsn, err));
	if (r.refused)
		return slx_err(err, r.error.code, "%s", r.error.message);
	int64_t none = 0;
	atomic_compare_exchange_strong(&e->head_first_write_ns, &none, slx_monotonic_ns(&e->clock));
	return SILEX_OK;
}

void slx_engine_lock_stripes(struct slx_engine *e)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++)
		pthread_mutex_lock(&e->stripes[i].lock);
}

void slx_engine_unlock_stripes(struct slx_engine *e)
{
	for (unsigned i = SLX_STRIPES; i-- > 0;)
		pthread_mutex_unlock(&e->stripes[i].lock);
}
