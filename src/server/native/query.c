/* query and latest: silex_query of include/silex/silex.h over HTTP. */
#include "server/native/native_int.h"

#include <stdio.h>

enum { SELECTOR, START, END, UNIT, AGG, STEP, FILL, GROUP, GROUP_BY, LIMIT, ORDER, TIMEOUT, MEMORY, TIMES, FORMAT };

static const struct slx_native_field query_fields[] = {
	[SELECTOR] = { "selector", SLX_ARG_LIST },
	[START] = { "start", SLX_ARG_TIME },
	[END] = { "end", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
	[AGG] = { "agg", SLX_ARG_TEXT },
	[STEP] = { "step", SLX_ARG_SPAN },
	[FILL] = { "fill", SLX_ARG_TEXT },
	[GROUP] = { "group", SLX_ARG_BOOL },
	[GROUP_BY] = { "group_by", SLX_ARG_LIST },
	[LIMIT] = { "limit", SLX_ARG_COUNT },
	[ORDER] = { "order", SLX_ARG_TEXT },
	[TIMEOUT] = { "timeout", SLX_ARG_SPAN },
	[MEMORY] = { "memory_limit", SLX_ARG_COUNT },
	[TIMES] = { "times", SLX_ARG_TEXT },
	[FORMAT] = { "format", SLX_ARG_TEXT },
};

static const char times_words[] = "rfc3339|s|ms|us|ns";

struct query {
	struct slx_native_args a;
	struct slx_query_plan plan;
	struct slx_native_selectors selectors;
	enum slx_rows_format format;
	unsigned times;
};

/* ---- the plan ---- */

static bool read_agg(struct query *q)
{
	struct slx_str s = slx_arg_text(&q->a, AGG);
	const char *state = NULL, *text;
	size_t state_n = 0;
	silex_error err;
	if (!s.p)
		return true;
	text = slx_native_zstr(q->a.x, s);
	if (text && slx_query_agg_parse(text, &q->plan.agg, &q->plan.percentile, &state, &state_n, &err) == SILEX_OK) {
		q->plan.state = state ? slx_native_zstr(q->a.x, (struct slx_str){ state, state_n }) : NULL;
		return true;
	}
	if (!text)
		slx_err_oom(&err);
	else
		slx_err_wrap(&err, "agg");
	slx_native_fail_of(q->a.x, "agg", &err);
	return false;
}

static bool read_shape(struct query *q)
{
	struct slx_query_plan *p = &q->plan;
	unsigned fill = SILEX_FILL_SKIP, descending = 0;
	if (!read_agg(q) || !slx_arg_span(&q->a, STEP, &p->step) || !slx_arg_choice(&q->a, FILL, "skip|null|previous", &fill) ||
		!slx_arg_bool(&q->a, GROUP, &p->group) || !slx_arg_count(&q->a, LIMIT, &p->limit) ||
		!slx_arg_choice(&q->a, ORDER, "asc|desc", &descending))
		return false;
	p->fill = (silex_fill)fill;
	p->descending = descending == 1;
	p->group_by = q->a.values[GROUP_BY].v;
	p->n_group_by = q->a.values[GROUP_BY].n;
	p->group |= p->n_group_by > 0;
	if (p->step && p->agg == SILEX_AGG_NONE) {
		slx_native_fail_field(q->a.x, "agg", "an aggregate (mean, max, last...): step makes one value of a window", (struct slx_str){ 0 });
		return false;
	}
	return true;
}

static bool read_budget(struct query *q)
{
	int64_t most = slx_core_config(q->a.n->core)->promql.timeout;
	if (!slx_arg_span(&q->a, TIMEOUT, &q->plan.timeout_ns) || !slx_arg_count(&q->a, MEMORY, &q->plan.memory_limit))
		return false;
	if (most && (q->plan.timeout_ns == 0 || q->plan.timeout_ns > most))
		q->plan.timeout_ns = most;
	return true;
}

static bool read_query(struct query *q)
{
	q->plan = (struct slx_query_plan){ .who = { .tenant = slx_http_tenant(q->a.x) }, .range = SLX_TIME_ALL, .canceled = slx_http_canceled(q->a.x) };
	if (!q->a.values[SELECTOR].n) {
		slx_native_fail_field(q->a.x, "selector", "at least one, such as hr{ward=\"3\"}; {} is every series", (struct slx_str){ 0 });
		return false;
	}
	if (!slx_arg_selectors(&q->a, SELECTOR, &q->selectors) || !slx_arg_time(&q->a, START, UNIT, &q->plan.range.from) ||
		!slx_arg_time(&q->a, END, UNIT, &q->plan.range.to) || !slx_arg_choice(&q->a, TIMES, times_words, &q->times) ||
		!slx_rows_format(&q->a, FORMAT, &q->format) || !read_budget(q))
		return false;
	if (q->plan.range.from > q->plan.range.to) {
		slx_native_fail_field(q->a.x, "end", "a time that is not before start", slx_arg_text(&q->a, END));
		return false;
	}
	q->plan.selectors = q->selectors.v;
	q->plan.n_selectors = q->selectors.n;
	return true;
}

/* ---- windows need a first and a last instant ---- */

static int64_t floor_to(int64_t t, int64_t step) { return slx_window_start(t, step, 0); }

/* Where the request leaves an end of the range open, the samples' own ends stand in; without any the range is empty. */
static silex_status close_range(struct query *q, struct slx_engine *e, silex_error *err)
{
	struct slx_snapshot *snap;
	bool open_from = !q->a.values[START].n, open_to = !q->a.values[END].n;
	if (!q->plan.step || (!open_from && !open_to))
		return SILEX_OK;
	SLX_TRY(slx_snapshot_new(e, q->plan.who, &snap, err));
	struct slx_time_range extent = slx_snapshot_extent(snap);
	slx_snapshot_free(snap);
	if (slx_range_empty(extent))
		extent = (struct slx_time_range){ 0, 0 };
	if (open_from)
		q->plan.range.from = floor_to(extent.from, q->plan.step);
	if (open_to)
		q->plan.range.to = extent.to > q->plan.range.from ? extent.to : q->plan.range.from;
	if (q->plan.range.from > q->plan.range.to)
		q->plan.range.from = q->plan.range.to;
	return SILEX_OK;
}

/* ---- running ---- */

static void run(struct query *q, const char *kind)
{
	struct slx_core *core = q->a.n->core;
	struct slx_query_cursor *c;
	silex_error err;
	uint64_t series = 0, rows = 0;
	struct slx_active_query active = { .text = slx_arg_text(&q->a, SELECTOR), .tenant = q->plan.who.tenant, .kind = kind,
		.request_id = slx_http_request_id(q->a.x) };
	slx_query_begin(&core->queries, &active);
	silex_status st = close_range(q, slx_native_engine(q->a.n), &err);
	if (st == SILEX_OK)
		st = slx_query_open(slx_api_querier(slx_core_db(core)), &q->plan, &c, &err);
	if (st == SILEX_OK)
		st = slx_rows_answer(q->a.n, q->a.x, q->format, (enum slx_rows_time)q->times, c, &series, &rows);
	else
		slx_native_fail(q->a.x, &err);
	slx_query_end(&core->queries, &active, series, rows, st);
}

void slx_native_query(void *ctx, struct slx_http_exchange *x)
{
	struct query q = { .times = SLX_ROWS_RFC3339 };
	if (slx_native_args(ctx, x, query_fields, sizeof query_fields / sizeof *query_fields, &q.a) && read_query(&q) && read_shape(&q))
		run(&q, "native_query");
	slx_native_selectors_free(&q.selectors);
}

void slx_native_latest(void *ctx, struct slx_http_exchange *x)
{
	/* the same places as in a query, fewer names */
	struct slx_native_field fields[sizeof query_fields / sizeof *query_fields];
	struct query q = { .times = SLX_ROWS_RFC3339 };
	memcpy(fields, query_fields, sizeof fields);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (i > UNIT && i != TIMEOUT && i != TIMES && i != FORMAT)
			fields[i].name = NULL;
	if (slx_native_args(ctx, x, fields, sizeof fields / sizeof *fields, &q.a) && read_query(&q)) {
		q.plan.descending = true;
		q.plan.limit_per_series = 1;
		run(&q, "native_latest");
	}
	slx_native_selectors_free(&q.selectors);
}
