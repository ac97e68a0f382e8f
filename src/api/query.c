/* Queries of the public interface: silex_query becomes a plan, rows become batches in the database's time unit. */
#include "api/api_int.h"

/* What the batches of one series share, and columns that are not as the engine has them. */
struct silex_cursor {
	silex_db *db;
	struct slx_query_cursor *rows;
	bool named; /* labels are those of `series` */
	uint64_t series;
	const silex_label *labels;
	size_t n_labels;
	struct slx_arena arena; /* of labels */
	void *columns;          /* times, values or states of the batch */
	size_t columns_size;
};

/* ---- the plan ---- */

static silex_status step_ns(const silex_db *db, int64_t step, int64_t *ret, silex_error *err)
{
	if (step < 0)
		return slx_err(err, SILEX_INVALID, "step is %lld; expected 0 (one window) or more", (long long)step);
	if (__builtin_mul_overflow(step, db->unit_ns, ret))
		*ret = INT64_MAX; /* longer than all time: one window */
	return SILEX_OK;
}

static silex_status fill_plan(const silex_db *db, const silex_query *q, struct slx_query_plan *ret, silex_error *err)
{
	*ret = (struct slx_query_plan){
		.range = { slx_api_bound(db, q->start), slx_api_bound(db, q->end) },
		.agg = q->agg,
		.percentile = q->percentile,
		.state = q->state,
		.fill = q->fill,
		.group = q->group,
		.n_group_by = q->n_group_by,
		.limit = q->limit,
		.descending = q->descending,
		.memory_limit = q->memory_limit,
		.rows_max = q->rows_max,
	};
	if (q->start > q->end)
		return slx_err(err, SILEX_INVALID, "start (%lld) is after end (%lld)", (long long)q->start, (long long)q->end);
	if (q->timeout_ms < 0)
		return slx_err(err, SILEX_INVALID, "timeout_ms is %lld; expected 0 (none) or more", (long long)q->timeout_ms);
	if (__builtin_mul_overflow(q->timeout_ms, SLX_MS, &ret->timeout_ns))
		ret->timeout_ns = INT64_MAX;
	if (q->n_selectors > 0 && !q->selectors)
		return slx_err(err, SILEX_INVALID, "n_selectors is %zu, but selectors is NULL", q->n_selectors);
	if (q->n_group_by > 0 && !q->group_by)
		return slx_err(err, SILEX_INVALID, "n_group_by is %zu, but group_by is NULL", q->n_group_by);
	SLX_TRY(slx_api_tenant(q->tenant, &ret->who.tenant, err));
	return step_ns(db, q->step, &ret->step, err);
}

/* ---- cursors ---- */

static silex_status cursor_new(silex_db *db, const struct slx_query_plan *plan, silex_cursor **ret, silex_error *err)
{
	silex_cursor *c = slx_calloc(db->mem, SLX_MEM_QUERY, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	c->db = db;
	slx_arena_init(&c->arena, db->mem, SLX_MEM_QUERY, 16384);
	silex_status st = slx_query_open(db->querier, plan, &c->rows, err);
	if (st != SILEX_OK) {
		slx_free(db->mem, SLX_MEM_QUERY, c, sizeof *c);
		return st;
	}
	*ret = c;
	return SILEX_OK;
}

void silex_query_init(silex_query *q) { *q = (silex_query){ .size = sizeof *q, .start = INT64_MIN, .end = INT64_MAX }; }

static silex_status run(silex_db *db, const silex_query *q, struct slx_selector *selectors, struct slx_str *group_by,
	silex_cursor **ret, silex_error *err)
{
	struct slx_query_plan plan;
	SLX_TRY(fill_plan(db, q, &plan, err));
	for (size_t i = 0; i < q->n_selectors; i++)
		SLX_TRY(slx_api_selector(db, q->selectors[i], &selectors[i], err));
	for (size_t i = 0; i < q->n_group_by; i++)
		group_by[i] = slx_str(q->group_by[i] ? q->group_by[i] : "");
	plan.selectors = selectors;
	plan.n_selectors = q->n_selectors;
	plan.group_by = group_by;
	return cursor_new(db, &plan, ret, err);
}

silex_status silex_query_run(silex_db *db, const silex_query *query, silex_cursor **ret, silex_error *err)
{
	enum { LISTS_MAX = 1000 };
	if (query->size != sizeof *query)
		return slx_err(err, SILEX_INVALID, "query: size is %zu, expected %zu; call silex_query_init first", query->size,
			sizeof *query);
	if (query->n_selectors > LISTS_MAX || query->n_group_by > LISTS_MAX)
		return slx_err(err, SILEX_INVALID, "%zu selectors, %zu labels in group_by; expected at most %d of each",
			query->n_selectors, query->n_group_by, LISTS_MAX);
	size_t size = query->n_selectors * sizeof(struct slx_selector) + query->n_group_by * sizeof(struct slx_str);
	struct slx_selector *selectors = size ? slx_calloc(db->mem, SLX_MEM_QUERY, size) : NULL;
	if (size && !selectors)
		return slx_err_oom(err);
	silex_status st = run(db, query, selectors, (struct slx_str *)(selectors + query->n_selectors), ret, err);
	for (size_t i = 0; i < query->n_selectors; i++)
		slx_selector_free(&selectors[i]);
	slx_free(db->mem, SLX_MEM_QUERY, selectors, size);
	return st;
}

silex_status silex_latest(silex_db *db, const char *tenant, const char *selector, silex_cursor **ret, silex_error *err)
{
	struct slx_selector s = { 0 };
	struct slx_query_plan plan = {
		.selectors = &s,
		.n_selectors = 1,
		.range = SLX_TIME_ALL,
		.descending = true,
		.limit_per_series = 1,
	};
	SLX_TRY(slx_api_tenant(tenant, &plan.who.tenant, err));
	SLX_TRY(slx_api_selector(db, selector, &s, err));
	silex_status st = cursor_new(db, &plan, ret, err);
	slx_selector_free(&s);
	return st;
}

/* ---- batches ---- */

static silex_status set_labels(silex_cursor *c, uint64_t series, struct slx_labels l, silex_error *err)
{
	if (c->named && c->series == series)
		return SILEX_OK;
	c->named = false;
	slx_arena_clear(&c->arena);
	SLX_TRY(slx_api_label_array(&c->arena, l, &c->labels, &c->n_labels, err));
	c->series = series;
	c->named = true;
	return SILEX_OK;
}

/* Room for two columns of n. */
static silex_status set_columns(silex_cursor *c, size_t n, silex_error *err)
{
	size_t size = 2 * n * sizeof(int64_t);
	if (size <= c->columns_size)
		return SILEX_OK;
	slx_free(c->db->mem, SLX_MEM_QUERY, c->columns, c->columns_size);
	c->columns = slx_alloc(c->db->mem, SLX_MEM_QUERY, size);
	c->columns_size = c->columns ? size : 0;
	return c->columns ? SILEX_OK : slx_err_oom(err);
}

static void set_times(const silex_cursor *c, const struct slx_query_rows *r, int64_t *room, silex_batch *ret)
{
	ret->times = r->times;
	if (c->db->unit_ns == 1)
		return;
	for (size_t i = 0; i < r->n; i++)
		room[i] = slx_api_units(c->db, r->times[i]);
	ret->times = room;
}

/* Texts of states; neighbours are often the same. */
static void set_states(const silex_cursor *c, const struct slx_query_rows *r, const char **ret)
{
	uint64_t known = UINT64_MAX;
	const char *text = "";
	for (size_t i = 0; i < r->n; i++) {
		bool null = r->null && r->null[i];
		if (!null && r->bits[i] != known) {
			known = r->bits[i];
			text = slx_query_state(c->rows, (uint32_t)known);
		}
		ret[i] = null ? "" : text;
	}
}

static void set_values(const silex_cursor *c, const struct slx_query_rows *r, void *room, silex_batch *ret)
{
	double *numbers = room;
	ret->kind = slx_api_kind(r->kind);
	switch (r->kind) {
	case SLX_KIND_ENUM:
		set_states(c, r, room);
		ret->states = room;
		break;
	case SLX_KIND_INT64:
	case SLX_KIND_BOOL:
		for (size_t i = 0; i < r->n; i++)
			numbers[i] = slx_bits_number(r->kind, r->bits[i]);
		ret->values = numbers;
		ret->ints = (const int64_t *)r->bits;
		break;
	default:
		ret->values = (const double *)r->bits;
	}
}

silex_status silex_cursor_next(silex_cursor *c, silex_batch *ret, silex_error *err)
{
	struct slx_query_rows r;
	SLX_TRY(slx_query_next(c->rows, &r, err));
	*ret = (silex_batch){ 0 };
	if (r.n == 0)
		return SILEX_OK;
	SLX_TRY(set_labels(c, r.series, r.labels, err));
	SLX_TRY(set_columns(c, r.n, err));
	ret->series = r.series;
	ret->labels = c->labels;
	ret->n_labels = c->n_labels;
	ret->n = r.n;
	ret->null = r.null;
	set_times(c, &r, c->columns, ret);
	set_values(c, &r, (int64_t *)c->columns + r.n, ret);
	return SILEX_OK;
}

void silex_cursor_cancel(silex_cursor *c) { slx_query_cancel(c->rows); }

void silex_cursor_stats(const silex_cursor *c, silex_query_stats *ret) { slx_query_stats(c->rows, ret); }

void silex_cursor_close(silex_cursor *c)
{
	if (!c)
		return;
	slx_arena_clear(&c->arena);
	slx_free(c->db->mem, SLX_MEM_QUERY, c->columns, c->columns_size);
	slx_query_close(c->rows);
	slx_free(c->db->mem, SLX_MEM_QUERY, c, sizeof *c);
}

/* ---- aggregates by name ---- */

const char *silex_agg_name(silex_agg agg) { return slx_query_agg_name(agg); }

silex_status silex_agg_parse(const char *text, silex_agg *ret, double *ret_parameter, const char **ret_state,
	size_t *ret_state_len, silex_error *err)
{
	return slx_query_agg_parse(text, ret, ret_parameter, ret_state, ret_state_len, err);
}
