/* Writing: rows with labels, rows by handle, columns; deletes. */
#include "api/api_int.h"

/* --- rows with labels --------------------------------------------------------------------------------------------------------- */

enum { ROWS_AT_ONCE = 2048 };

/* One stretch of rows of one kind, resolved to labels and identity. */
struct stretch {
	struct slx_labels labels[ROWS_AT_ONCE];
	struct slx_hash128 ids[ROWS_AT_ONCE];
	int64_t ts[ROWS_AT_ONCE];
	uint64_t bits[ROWS_AT_ONCE];
	size_t row[ROWS_AT_ONCE]; /* number in the caller's batch */
	size_t n;
	enum slx_kind kind;
};

struct batch {
	silex_db *db;
	struct slx_tenant *tenant;
	struct slx_labels_builder builder;
	struct slx_arena arena; /* canonical labels of the stretch */
	struct stretch *stretch;
	bool backfill;
	silex_batch_result result;
	uint64_t lsn;
};

static void refuse(struct batch *b, size_t row, const silex_error *why)
{
	if (b->result.refused == 0 || row < b->result.first_refused) {
		b->result.first_refused = row;
		b->result.error = *why;
	}
	b->result.refused++;
}

static silex_status write_stretch(struct batch *b, silex_error *err)
{
	struct stretch *s = b->stretch;
	if (s->n == 0)
		return SILEX_OK;
	struct slx_write w = {
		.tenant = b->tenant,
		.kind = s->kind,
		.n = s->n,
		.ts = s->ts,
		.ts_stride = sizeof s->ts[0],
		.bits = s->bits,
		.bits_stride = sizeof s->bits[0],
		.labels = s->labels,
		.ids = s->ids,
		.backfill = b->backfill,
	};
	struct slx_write_result r;
	uint64_t lsn;
	SLX_TRY(slx_engine_write(b->db->engine, &w, &r, &lsn, err));
	if (lsn)
		b->lsn = lsn;
	if (r.refused) {
		refuse(b, s->row[r.first], &r.error);
		b->result.refused += r.refused - 1;
	}
	b->result.accepted += s->n - r.refused;
	s->n = 0;
	slx_arena_clear(&b->arena);
	return SILEX_OK;
}

static silex_status resolve_row(struct batch *b, const silex_row *row, enum slx_kind *kind, uint64_t *bits, int64_t *t, struct slx_labels *l,
	silex_error *err)
{
	SLX_TRY(slx_api_labels(&b->builder, row->labels, row->n_labels, l, err));
	SLX_TRY(slx_api_time(b->db, row->time, t, err));
	return slx_api_value(b->db, b->tenant, &row->value, kind, bits, err);
}

/* A stretch that follows the last row needs the same series again mostly: its labels are compared before they are hashed. */
static silex_status add_row(struct batch *b, const silex_row *row, size_t number, silex_error *err)
{
	struct stretch *s = b->stretch;
	enum slx_kind kind;
	uint64_t bits;
	int64_t t;
	struct slx_labels l;
	silex_error why;
	silex_status status = resolve_row(b, row, &kind, &bits, &t, &l, &why);
	if (status == SILEX_INVALID || status == SILEX_RESOURCE_EXHAUSTED) {
		refuse(b, number, &why);
		return SILEX_OK;
	}
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", why.message);
	if (s->n == ROWS_AT_ONCE || (s->n > 0 && s->kind != kind))
		SLX_TRY(write_stretch(b, err));
	s->kind = kind;
	if (s->n > 0 && slx_labels_eq(s->labels[s->n - 1], l)) {
		s->labels[s->n] = s->labels[s->n - 1];
		s->ids[s->n] = s->ids[s->n - 1];
	} else {
		uint8_t *copy = slx_arena_alloc(&b->arena, l.n, 1);
		if (!copy)
			return slx_err_oom(err);
		memcpy(copy, l.p, l.n);
		s->labels[s->n] = (struct slx_labels){ copy, l.n };
		s->ids[s->n] = slx_series_id(slx_tenant_name(b->tenant), l);
	}
	s->ts[s->n] = t;
	s->bits[s->n] = bits;
	s->row[s->n++] = number;
	return SILEX_OK;
}

/* Writes without waiting for the log; *ret_lsn is what to wait for. */
silex_status slx_api_insert_rows(silex_db *db, const char *tenant, const silex_row *rows, size_t n, bool backfill, silex_batch_result *ret,
	uint64_t *ret_lsn, silex_error *err)
{
	struct batch b = { .db = db, .backfill = backfill };
	if (slx_engine_read_only(db->engine))
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	SLX_TRY(slx_api_tenant_of(db, tenant, &b.tenant, err));
	b.stretch = slx_alloc(db->mem, SLX_MEM_OTHER, sizeof *b.stretch);
	if (!b.stretch)
		return slx_err_oom(err);
	b.stretch->n = 0;
	slx_labels_builder_init(&b.builder, db->mem, SLX_MEM_OTHER, NULL);
	slx_arena_init(&b.arena, db->mem, SLX_MEM_OTHER, 1 << 20);
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n && status == SILEX_OK; i++)
		status = add_row(&b, &rows[i], i, err);
	if (status == SILEX_OK)
		status = write_stretch(&b, err);
	slx_arena_clear(&b.arena);
	slx_labels_builder_free(&b.builder);
	slx_free(db->mem, SLX_MEM_OTHER, b.stretch, sizeof *b.stretch);
	*ret = b.result;
	*ret_lsn = b.lsn;
	return status;
}

static silex_status insert_rows(silex_db *db, const char *tenant, const silex_row *rows, size_t n, bool backfill, silex_batch_result *ret, silex_error *err)
{
	silex_batch_result r = { 0 };
	uint64_t lsn = 0;
	silex_status status = slx_api_insert_rows(db, tenant, rows, n, backfill, &r, &lsn, err);
	if (status == SILEX_OK)
		status = slx_engine_wait(db->engine, lsn, err);
	if (ret)
		*ret = r;
	else if (status == SILEX_OK && r.refused)
		status = slx_err(err, r.error.code, "row %zu: %s", r.first_refused, r.error.message);
	return status;
}

silex_status silex_insert_batch(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_batch_result *ret, silex_error *err)
{
	return insert_rows(db, tenant, rows, n, false, ret, err);
}

silex_status silex_insert_backfill(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_batch_result *ret, silex_error *err)
{
	return insert_rows(db, tenant, rows, n, true, ret, err);
}

/* One row needs no stretch. */
silex_status silex_insert(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, int64_t time, silex_value value, silex_error *err)
{
	struct slx_labels_builder builder;
	struct slx_tenant *t;
	struct slx_labels l;
	enum slx_kind kind;
	uint64_t bits;
	int64_t ns;
	if (slx_engine_read_only(db->engine))
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	SLX_TRY(slx_api_time(db, time, &ns, err));
	slx_labels_builder_init(&builder, db->mem, SLX_MEM_OTHER, NULL);
	silex_status status = slx_api_labels(&builder, labels, n_labels, &l, err);
	if (status == SILEX_OK)
		status = slx_api_value(db, t, &value, &kind, &bits, err);
	if (status == SILEX_OK) {
		struct slx_hash128 id = slx_series_id(slx_tenant_name(t), l);
		struct slx_write w = { .tenant = t, .kind = kind, .n = 1, .ts = &ns, .bits = &bits, .labels = &l, .ids = &id };
		struct slx_write_result r;
		status = slx_engine_write(db->engine, &w, &r, NULL, err);
		if (status == SILEX_OK && r.refused)
			status = slx_err(err, r.error.code, "%s", r.error.message);
	}
	slx_labels_builder_free(&builder);
	return status;
}

/* --- rows by handle --------------------------------------------------------------------------------------------------------------- */

silex_status silex_series_open(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_series **ret, silex_error *err)
{
	struct slx_labels_builder builder;
	struct slx_tenant *t;
	struct slx_labels l;
	silex_series *s = NULL;
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	slx_labels_builder_init(&builder, db->mem, SLX_MEM_OTHER, NULL);
	silex_status status = slx_api_labels(&builder, labels, n_labels, &l, err);
	if (status == SILEX_OK)
		status = slx_handle_new(db->engine, t, l, db, (struct slx_handle **)&s, err);
	slx_labels_builder_free(&builder);
	if (status == SILEX_OK)
		*ret = s;
	return status;
}

/* A public handle is the engine's: one load less on the hot path. */
static struct slx_handle *handle_of(const silex_series *s) { return (struct slx_handle *)s; }

void silex_series_close(silex_series *s)
{
	slx_handle_free(handle_of(s));
}

static silex_status write_checked(silex_db *db, const struct slx_write *w, silex_error *err)
{
	struct slx_write_result r;
	SLX_TRY(slx_engine_write(db->engine, w, &r, NULL, err));
	return r.refused ? slx_err(err, r.error.code, "row %zu: %s (%zu rows refused)", r.first, r.error.message, r.refused) : SILEX_OK;
}

/* Times of a strided column as nanoseconds: the column itself when the unit is ns and all are legal. */
static silex_status times_ns(silex_db *db, const void *ts, size_t stride, size_t n, int64_t *scratch, const void **ret, size_t *ret_stride, silex_error *err)
{
	bool plain = db->unit_ns == 1;
	for (size_t i = 0; i < n; i++) {
		int64_t t;
		memcpy(&t, (const char *)ts + i * stride, sizeof t);
		if (plain && slx_time_legal(t))
			continue;
		SLX_TRY(slx_api_time(db, t, &scratch[i], err));
	}
	*ret = plain ? ts : scratch;
	*ret_stride = plain ? stride : sizeof *scratch;
	return SILEX_OK;
}

silex_status silex_append(silex_db *db, const silex_point *points, size_t n, silex_error *err)
{
	int64_t scratch[ROWS_AT_ONCE * 2];
	uint64_t lsn = 0;
	for (size_t done = 0; done < n;) {
		size_t k = n - done < ROWS_AT_ONCE * 2 ? n - done : ROWS_AT_ONCE * 2;
		const silex_point *p = points + done;
		struct slx_write w = {
			.tenant = slx_handle_tenant(handle_of(p->series)),
			.kind = SLX_KIND_FLOAT64,
			.n = k,
			.handles = &p->series,
			.handle_stride = sizeof *p,
			.bits = &p->value,
			.bits_stride = sizeof *p,
		};
		struct slx_write_result r;
		SLX_TRY(times_ns(db, &p->time, sizeof *p, k, scratch, &w.ts, &w.ts_stride, err));
		uint64_t one;
		SLX_TRY(slx_engine_write(db->engine, &w, &r, &one, err));
		if (r.refused)
			return slx_err(err, r.error.code, "point %zu: %s (%zu refused)", done + r.first, r.error.message, r.refused);
		lsn = one ? one : lsn;
		done += k;
	}
	return slx_engine_wait(db->engine, lsn, err);
}

silex_status silex_append_values(silex_series *s, const int64_t *times, const silex_value *values, size_t n, silex_error *err)
{
	struct slx_handle *h = handle_of(s);
	silex_db *db = slx_handle_owner(h);
	for (size_t done = 0; done < n;) {
		int64_t ts[256];
		uint64_t bits[256];
		enum slx_kind kind = SLX_KIND_FLOAT64;
		size_t k = 0;
		for (; done + k < n && k < 256; k++) {
			enum slx_kind own;
			SLX_TRY(slx_api_time(db, times[done + k], &ts[k], err));
			SLX_TRY(slx_api_value(db, slx_handle_tenant(h), &values[done + k], &own, &bits[k], err));
			if (k > 0 && own != kind)
				break;
			kind = own;
		}
		struct slx_write w = { .tenant = slx_handle_tenant(h), .kind = kind, .n = k, .handles = &h, .ts = ts, .ts_stride = 8, .bits = bits, .bits_stride = 8 };
		SLX_TRY(write_checked(db, &w, err));
		done += k;
	}
	return SILEX_OK;
}

/* --- columns ------------------------------------------------------------------------------------------------------------------------ */

struct silex_columns {
	silex_db *db;
	size_t k;
	struct slx_handle *handles[];
};

silex_status silex_columns_open(silex_db *db, silex_series *const *series, size_t k, silex_columns **ret, silex_error *err)
{
	if (k == 0 || k > 1 << 20)
		return slx_err(err, SILEX_INVALID, "columns: %zu series given, expected 1 to %d", k, 1 << 20);
	silex_columns *c = slx_alloc(db->mem, SLX_MEM_OTHER, sizeof *c + k * sizeof c->handles[0]);
	if (!c)
		return slx_err_oom(err);
	c->db = db;
	c->k = k;
	for (size_t i = 0; i < k; i++) {
		c->handles[i] = handle_of(series[i]);
		if (slx_handle_tenant(c->handles[i]) != slx_handle_tenant(c->handles[0])) {
			slx_free(db->mem, SLX_MEM_OTHER, c, sizeof *c + k * sizeof c->handles[0]);
			return slx_err(err, SILEX_INVALID, "columns: series %zu is of another tenant than the first", i);
		}
	}
	*ret = c;
	return SILEX_OK;
}

void silex_columns_close(silex_columns *c)
{
	if (c)
		slx_free(c->db->mem, SLX_MEM_OTHER, c, sizeof *c + c->k * sizeof c->handles[0]);
}

static silex_status write_columns(silex_columns *c, const struct slx_write *w, uint64_t *lsn, silex_error *err)
{
	struct slx_write_result r;
	uint64_t one;
	SLX_TRY(slx_engine_write(c->db->engine, w, &r, &one, err));
	if (r.refused)
		return slx_err(err, r.error.code, "columns: %s (%zu values refused)", r.error.message, r.refused);
	*lsn = one ? one : *lsn;
	return SILEX_OK;
}

/* Few rows: as points, some thousands at a time; "no value" cells are left out. */
static silex_status append_points(silex_columns *c, const int64_t *ts_of_row, const double *values, size_t n, uint64_t *lsn, silex_error *err)
{
	enum { POINTS = 2048 };
	struct slx_handle *handles[POINTS];
	int64_t ts[POINTS];
	uint64_t bits[POINTS];
	size_t k = 0;
	struct slx_write w = {
		.tenant = slx_handle_tenant(c->handles[0]),
		.kind = SLX_KIND_FLOAT64,
		.handles = handles,
		.handle_stride = sizeof handles[0],
		.ts = ts,
		.ts_stride = sizeof ts[0],
		.bits = bits,
		.bits_stride = sizeof bits[0],
	};
	for (size_t i = 0, all = n * c->k; i < all; i++) {
		uint64_t b = slx_f64_bits(values[i]);
		if (b != SILEX_NO_VALUE_BITS) {
			handles[k] = c->handles[i % c->k];
			ts[k] = ts_of_row[i / c->k];
			bits[k++] = b;
		}
		if (k < POINTS && i + 1 < all)
			continue;
		w.n = k;
		k = 0;
		SLX_TRY(write_columns(c, &w, lsn, err));
	}
	return SILEX_OK;
}

/* Many rows: series after series, each a run. */
static silex_status append_runs(silex_columns *c, const int64_t *ts, const double *values, size_t n, uint64_t *lsn, silex_error *err)
{
	for (size_t j = 0; j < c->k; j++)
		for (size_t from = 0, to; from < n; from = to + 1) {
			for (to = from; to < n && slx_f64_bits(values[to * c->k + j]) != SILEX_NO_VALUE_BITS; to++)
				;
			if (to == from)
				continue;
			struct slx_write w = {
				.tenant = slx_handle_tenant(c->handles[0]),
				.kind = SLX_KIND_FLOAT64,
				.n = to - from,
				.handles = &c->handles[j],
				.ts = ts + from,
				.ts_stride = sizeof *ts,
				.bits = values + from * c->k + j,
				.bits_stride = c->k * sizeof *values,
			};
			SLX_TRY(write_columns(c, &w, lsn, err));
		}
	return SILEX_OK;
}

silex_status silex_columns_append(silex_columns *c, const int64_t *times, const double *values, size_t n, silex_error *err)
{
	enum { ROWS = 1024, RUN_MIN = 16 };
	int64_t ts[ROWS];
	uint64_t lsn = 0;
	for (size_t done = 0; done < n;) {
		size_t k = n - done < ROWS ? n - done : ROWS;
		const double *from = values + done * c->k;
		for (size_t i = 0; i < k; i++)
			SLX_TRY(slx_api_time(c->db, times[done + i], &ts[i], err));
		SLX_TRY(k < RUN_MIN ? append_points(c, ts, from, k, &lsn, err) : append_runs(c, ts, from, k, &lsn, err));
		done += k;
	}
	return slx_engine_wait(c->db->engine, lsn, err);
}

/* --- deleting ------------------------------------------------------------------------------------------------------------------------ */

static silex_status delete_range(silex_db *db, const char *tenant, const char *selector, struct slx_time_range range, uint64_t *ret, silex_error *err)
{
	struct slx_selector sel;
	struct slx_tenant *t;
	uint64_t n = 0;
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	SLX_TRY(slx_api_selector(db, selector, &sel, err));
	silex_status status = slx_engine_delete(db->engine, t, &sel, range, &n, err);
	slx_selector_free(&sel);
	if (status == SILEX_OK && ret)
		*ret = n;
	return status;
}

silex_status silex_delete(silex_db *db, const char *tenant, const char *selector, int64_t start, int64_t end, uint64_t *ret_points, silex_error *err)
{
	if (start > end)
		return slx_err(err, SILEX_INVALID, "delete: start %lld is after end %lld", (long long)start, (long long)end);
	return delete_range(db, tenant, selector, (struct slx_time_range){ slx_api_bound(db, start), slx_api_bound(db, end) }, ret_points, err);
}

struct cleanup {
	silex_db *db;
	struct slx_time_range range;
	uint64_t points;
	silex_status status;
	silex_error *err;
};

static bool cleanup_tenant(void *arg, struct slx_str name)
{
	struct cleanup *c = arg;
	char text[SLX_TENANT_SIZE_MAX + 1];
	uint64_t n = 0;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	c->status = delete_range(c->db, text, NULL, c->range, &n, c->err);
	c->points += n;
	return c->status == SILEX_OK;
}

silex_status silex_cleanup(silex_db *db, const char *tenant, int64_t cutoff, uint64_t *ret_points, silex_error *err)
{
	struct cleanup c = { .db = db, .err = err, .range = { SLX_TIME_MIN, slx_time_sub(slx_api_bound(db, cutoff), 1) } };
	if (c.range.to == SLX_TIME_MIN)
		c.status = SILEX_OK; /* nothing can be older */
	else if (tenant && strcmp(tenant, "*") == 0)
		SLX_TRY(slx_engine_tenants(db->engine, cleanup_tenant, &c, err));
	else
		c.status = delete_range(db, tenant, NULL, c.range, &c.points, err);
	if (c.status == SILEX_OK && ret_points)
		*ret_points = c.points;
	return c.status;
}

silex_status silex_drop_tenant(silex_db *db, const char *tenant, silex_error *err)
{
	return delete_range(db, tenant, NULL, SLX_TIME_ALL, NULL, err);
}
