/* The write path.
 *
 * A batch is cut into pieces; each piece is sorted by stripe once (counting sort), then stripe by stripe, under its lock:
 *   1. resolve: each row's series in the active head (from the handle, found, or created), with prefetch ahead
 *   2. log:     one frame for the group, with definitions of series that the current log segment does not know yet
 *   3. apply:   one slot in each tail, prefetched
 * Since a stripe logs and applies under one lock, samples of a series reach the head in the order of their versions.
 * After the last group the caller waits for the log once.
 *
 * What may fail: 1 refuses rows (labels, limits, memory), the others go on; 2 fails the batch from this group on, with
 * nothing of the group applied; 3 can only fail for lack of memory, with the row in the log: the batch is then not
 * acknowledged, and a replay may bring it back. */
#include "engine/engine_int.h"

enum { PIECE_MAX = 4096, AHEAD = 16 };

struct slx_handle {
	struct slx_head_series *_Atomic cur; /* in the head of generation `gen`; guarded by the stripe, atomic for prefetch */
	uint64_t gen;
	struct slx_hash128 id;
	struct slx_engine *engine;
	struct slx_tenant *tenant;
	void *owner;
	uint32_t labels_n;
	uint8_t labels[];
};

silex_status slx_handle_new(struct slx_engine *e, struct slx_tenant *t, struct slx_labels l, void *owner, struct slx_handle **ret, silex_error *err)
{
	struct slx_handle *h = slx_alloc(&e->mem, SLX_MEM_OTHER, sizeof *h + l.n);
	if (!h)
		return slx_err_oom(err);
	memset(h, 0, sizeof *h);
	h->id = slx_series_id(t->name, l);
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

/* --- rows ------------------------------------------------------------------------------------------------------------------ */

static struct slx_handle *row_handle(const struct slx_write *w, size_t i)
{
	struct slx_handle *h;
	memcpy(&h, (const char *)w->handles + i * w->handle_stride, sizeof h);
	return h;
}

static int64_t row_t(const struct slx_write *w, size_t i)
{
	int64_t t;
	memcpy(&t, (const char *)w->ts + i * w->ts_stride, sizeof t);
	return t;
}

static uint64_t row_bits(const struct slx_write *w, size_t i)
{
	uint64_t b;
	memcpy(&b, (const char *)w->bits + i * w->bits_stride, sizeof b);
	return b;
}

static void refuse(struct slx_write_result *r, size_t row, const silex_error *why)
{
	if (r->refused == 0 || row < r->first) {
		r->first = row;
		r->error = *why;
	}
	r->refused++;
}

/* --- 1. resolve -------------------------------------------------------------------------------------------------------------- */

static silex_status find_or_create(struct slx_engine *e, struct slx_head *head, struct slx_tenant *t, struct slx_labels l, struct slx_hash128 id,
	struct slx_head_series **ret, silex_error *err)
{
	*ret = slx_head_find(head, id);
	if (*ret)
		return SILEX_OK;
	uint64_t own = atomic_load_explicit(&t->series_max, memory_order_relaxed);
	return slx_head_create(head, t->name, l, id, own ? own : e->opt.series_limit, ret, err);
}

static silex_status resolve_handle(struct slx_engine *e, struct slx_head *head, struct slx_handle *h, struct slx_head_series **ret, silex_error *err)
{
	if (h->gen == slx_head_generation(head)) {
		*ret = atomic_load_explicit(&h->cur, memory_order_relaxed);
		return SILEX_OK;
	}
	SLX_TRY(find_or_create(e, head, h->tenant, (struct slx_labels){ h->labels, h->labels_n }, h->id, ret, err));
	atomic_store_explicit(&h->cur, *ret, memory_order_relaxed);
	h->gen = slx_head_generation(head);
	return SILEX_OK;
}

static silex_status check_kind(const struct slx_head_series *s, enum slx_kind kind, silex_error *err)
{
	uint8_t have = atomic_load_explicit(&s->kind, memory_order_relaxed);
	if (have == UINT8_MAX || (have == SLX_KIND_ENUM) == (kind == SLX_KIND_ENUM))
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "the series holds %s values, a %s was given", slx_kind_name(have), slx_kind_name(kind));
}

/* Fills the stripe's columns with the rows that are accepted; returns how many. */
static size_t resolve(struct slx_engine *e, struct slx_stripe *st, struct slx_head *head, const struct slx_write *w, const uint32_t *rows, size_t n,
	struct slx_write_result *r)
{
	uint32_t kept_row[SLX_GROUP_MAX];
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct slx_head_series *s;
		silex_error why;
		uint32_t row = rows[i];
		if (w->handles && i + AHEAD < n)
			__builtin_prefetch(row_handle(w, rows[i + AHEAD]));
		silex_status status = SILEX_OK;
		if (kept > 0 && w->handles && w->handle_stride == 0)
			s = st->series[kept - 1]; /* a run of one series */
		else
			status = w->handles ? resolve_handle(e, head, row_handle(w, row), &s, &why) :
					      find_or_create(e, head, w->tenant, w->labels[row], w->ids[row], &s, &why);
		if (status == SILEX_OK && w->kind == SLX_KIND_ENUM)
			status = check_kind(s, w->kind, &why);
		if (status != SILEX_OK) {
			refuse(r, row, &why);
			continue;
		}
		__builtin_prefetch(s, 1);
		kept_row[kept] = row;
		st->series[kept] = s;
		st->ts[kept] = row_t(w, row);
		st->bits[kept++] = row_bits(w, row);
	}
	if (w->kind == SLX_KIND_ENUM)
		return kept;
	/* The other half of the kind check, once the series' lines are here: a number against states. */
	size_t numeric = 0;
	for (size_t i = 0; i < kept; i++) {
		silex_error why;
		if (atomic_load_explicit(&st->series[i]->kind, memory_order_relaxed) == SLX_KIND_ENUM && check_kind(st->series[i], w->kind, &why) != SILEX_OK) {
			refuse(r, kept_row[i], &why);
			continue;
		}
		st->series[numeric] = st->series[i];
		st->ts[numeric] = st->ts[i];
		st->bits[numeric++] = st->bits[i];
	}
	return numeric;
}

/* --- 2. log -------------------------------------------------------------------------------------------------------------------- */

/* References of the group's series into refs; definitions of those that `segment` lacks into st->defs. */
static size_t define(struct slx_engine *e, struct slx_stripe *st, struct slx_head *head, struct slx_str tenant, size_t n, uint64_t segment, uint32_t *refs)
{
	size_t defs = 0;
	slx_buf_reset(&st->defs);
	for (size_t i = 0; i < n; i++) {
		struct slx_head_series *s = st->series[i];
		if (s->log_segment != segment) {
			if (s->log_ref == 0)
				s->log_ref = atomic_fetch_add_explicit(&e->next_ref, 1, memory_order_relaxed) + 1;
			slx_buf_reset(&st->label);
			slx_head_labels(head, s, &st->label);
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

static void undefine(struct slx_stripe *st, size_t n)
{
	for (size_t i = 0; i < n; i++)
		st->series[i]->log_segment = 0;
}

static silex_status log_group(struct slx_engine *e, struct slx_stripe *st, struct slx_head *head, const struct slx_write *w, size_t n, uint64_t *ret_lsn,
	silex_error *err)
{
	uint32_t refs[SLX_GROUP_MAX];
	for (;;) {
		uint64_t segment = slx_wal_segment(e->wal);
		size_t n_defs = define(e, st, head, w->tenant->name, n, segment, refs);
		struct slx_record_samples samples = { w->kind, n, refs, st->ts, st->bits };
		slx_buf_reset(&st->frame);
		slx_record_samples_encode(&st->frame, &st->defs, n_defs, &samples, &st->hint);
		if (st->frame.failed || st->defs.failed) {
			undefine(st, n);
			return slx_err_oom(err);
		}
		struct iovec part = { st->frame.p, st->frame.n };
		struct slx_wal_pos pos;
		silex_status status = slx_wal_append(e->wal, SLX_RECORD_SAMPLES, 0, &part, 1, segment, &pos, err);
		if (status == SILEX_OK) {
			*ret_lsn = pos.lsn;
			return SILEX_OK;
		}
		undefine(st, n);
		if (status != SILEX_CONFLICT)
			return status;
	}
}

/* --- 3. apply -------------------------------------------------------------------------------------------------------------------- */

static silex_status apply(struct slx_stripe *st, struct slx_head *head, enum slx_kind kind, size_t n, silex_error *err)
{
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD / 2 < n) {
			struct slx_head_series *s = st->series[i + AHEAD / 2];
			__builtin_prefetch(atomic_load_explicit(&s->tail, memory_order_relaxed) + atomic_load_explicit(&s->tail_n, memory_order_relaxed), 1);
		}
		silex_status one = slx_head_append(head, st->series[i], kind, st->ts[i], st->bits[i], err);
		if (one != SILEX_OK)
			status = one;
	}
	return status;
}

/* --- the batch ------------------------------------------------------------------------------------------------------------------- */

static silex_status write_group(struct slx_engine *e, unsigned stripe, const struct slx_write *w, const uint32_t *rows, size_t n, bool logged,
	struct slx_write_result *r, uint64_t *lsn, silex_error *err)
{
	struct slx_stripe *st = &e->stripes[stripe];
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&st->lock);
	struct slx_head *head = atomic_load_explicit(&e->active, memory_order_relaxed);
	size_t kept = resolve(e, st, head, w, rows, n, r);
	if (kept && logged)
		status = log_group(e, st, head, w, kept, lsn, err);
	if (kept && status == SILEX_OK)
		status = apply(st, head, w->kind, kept, err);
	pthread_mutex_unlock(&st->lock);
	if (status == SILEX_OK)
		atomic_fetch_add_explicit(&e->points_head, kept, memory_order_relaxed);
	return status;
}

/* Rows of one series: nothing to sort. */
static silex_status write_run(struct slx_engine *e, const struct slx_write *w, size_t first, size_t n, bool logged, struct slx_write_result *r, uint64_t *lsn,
	silex_error *err)
{
	uint32_t rows[SLX_GROUP_MAX];
	unsigned stripe = slx_head_stripe(row_handle(w, 0)->id);
	for (size_t done = 0; done < n; done += SLX_GROUP_MAX) {
		size_t k = n - done < SLX_GROUP_MAX ? n - done : SLX_GROUP_MAX;
		for (size_t i = 0; i < k; i++)
			rows[i] = (uint32_t)(first + done + i);
		SLX_TRY(write_group(e, stripe, w, rows, k, logged, r, lsn, err));
	}
	return SILEX_OK;
}

/* Rows first .. first + n of w (n <= PIECE_MAX), sorted by stripe; order within a stripe is kept. */
static silex_status write_piece(struct slx_engine *e, const struct slx_write *w, size_t first, size_t n, bool logged, struct slx_write_result *r,
	uint64_t *lsn, silex_error *err)
{
	uint8_t stripe[PIECE_MAX];
	uint32_t order[PIECE_MAX];
	uint32_t end[SLX_STRIPES] = { 0 };
	if (w->handles && w->handle_stride == 0)
		return write_run(e, w, first, n, logged, r, lsn, err);
	for (size_t i = 0; i < n; i++) {
		if (w->handles && i + AHEAD < n)
			__builtin_prefetch(row_handle(w, first + i + AHEAD));
		stripe[i] = (uint8_t)slx_head_stripe(w->handles ? row_handle(w, first + i)->id : w->ids[first + i]);
		end[stripe[i]]++;
	}
	for (unsigned s = 1; s < SLX_STRIPES; s++)
		end[s] += end[s - 1];
	for (size_t i = n; i-- > 0;)
		order[--end[stripe[i]]] = (uint32_t)(first + i);
	for (unsigned s = 0; s < SLX_STRIPES; s++) {
		size_t to = s + 1 < SLX_STRIPES ? end[s + 1] : n;
		for (size_t from = end[s]; from < to; from += SLX_GROUP_MAX) {
			size_t k = to - from < SLX_GROUP_MAX ? to - from : SLX_GROUP_MAX;
			SLX_TRY(write_group(e, s, w, order + from, k, logged, r, lsn, err));
		}
	}
	return SILEX_OK;
}

static void count_points(struct slx_engine *e, struct slx_tenant *t, size_t n)
{
	uint64_t second = (uint64_t)(slx_monotonic_ns(&e->clock) / SLX_SECOND);
	unsigned slot = second % SLX_RATE_SECONDS;
	uint64_t had = atomic_load_explicit(&e->rate_second[slot], memory_order_relaxed);
	if (had != second && atomic_compare_exchange_strong(&e->rate_second[slot], &had, second))
		atomic_store_explicit(&e->rate_points[slot], 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->rate_points[slot], n, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->points_ingested, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->head_bytes, (int64_t)n * 4, memory_order_relaxed);
	int64_t none = 0;
	if (atomic_load_explicit(&e->head_first_write_ns, memory_order_relaxed) == 0)
		atomic_compare_exchange_strong(&e->head_first_write_ns, &none, slx_monotonic_ns(&e->clock));
}

silex_status slx_engine_write(struct slx_engine *e, const struct slx_write *w, struct slx_write_result *ret, uint64_t *ret_lsn, silex_error *err)
{
	struct slx_write_result r = { 0 };
	uint64_t lsn = 0;
	silex_status status = SILEX_OK;
	bool logged = e->opt.wal == SILEX_WAL_FILE;
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	size_t done = 0;
	while (done < w->n && status == SILEX_OK) {
		size_t k = w->n - done < PIECE_MAX ? w->n - done : PIECE_MAX;
		status = slx_background_admit(e, w->tenant, k, err);
		if (status == SILEX_OK)
			status = write_piece(e, w, done, k, logged, &r, &lsn, err);
		done += k;
	}
	if (status == SILEX_OK)
		count_points(e, w->tenant, w->n - r.refused);
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
	SLX_TRY(write_piece(e, &w, 0, s->n, false, &r, &lsn, err));
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
