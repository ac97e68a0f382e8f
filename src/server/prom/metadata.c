/* What is kept beside the samples: metadata of metrics, exemplars of series. */
#include "engine/companion.h"
#include "server/prom/prom_int.h"

/* ---- metadata: {"up":[{"type":"gauge","unit":"","help":"..."}]} ---- */

struct metadata_list {
	struct slx_answer a;
	uint64_t limit, n; /* metrics */
};

static bool put_metadata(void *arg, const struct slx_metadata_row *row)
{
	struct metadata_list *l = arg;
	struct slx_buf *b = &l->a.b;
	if (l->n == l->limit)
		return false;
	slx_buf_u8(b, l->n++ ? ',' : '{');
	slx_json_text(b, row->metric);
	SLX_JSON_LITERAL(b, ":[{\"type\":");
	slx_json_text(b, row->type.n ? row->type : SLX_STR("unknown"));
	SLX_JSON_LITERAL(b, ",\"unit\":");
	slx_json_text(b, row->unit);
	SLX_JSON_LITERAL(b, ",\"help\":");
	slx_json_text(b, row->help);
	SLX_JSON_LITERAL(b, "}]");
	return slx_answer_spill(&l->a);
}

/* false: the parameter is no number, and said so. Absent: UINT64_MAX. */
static bool count_param(struct slx_http_exchange *x, const char *name, const char *message, uint64_t *ret)
{
	struct slx_str s = slx_http_param(x, name, 0);
	*ret = UINT64_MAX;
	if (s.n == 0 || slx_prom_parse_limit(s, ret, NULL) == SILEX_OK)
		return true;
	slx_prom_fail(x, SLX_PROM_BAD_DATA, message);
	return false;
}

void slx_prom_metadata(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct metadata_list l = { .n = 0 };
	silex_error err;
	uint64_t per_metric; /* a metric has one entry here: as many as asked for, but for none */
	if (!count_param(x, "limit", "limit must be a number", &l.limit) ||
		!count_param(x, "limit_per_metric", "limit_per_metric must be a number", &per_metric))
		return;
	slx_answer_begin_json(&l.a, p, x);
	silex_status status = slx_engine_metadata(slx_api_engine(slx_core_db(p->core)), slx_http_tenant(x), slx_http_param(x, "metric", 0), put_metadata, &l,
		&err);
	if (status != SILEX_OK && !l.a.streaming) {
		slx_buf_free(&l.a.b);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
		return;
	}
	slx_buf_put(&l.a.b, l.n ? "}" : "{}", l.n ? 1 : 2);
	slx_answer_end_json(&l.a, NULL, 0, NULL, 0);
}

/* ---- exemplars: [{"seriesLabels":{...},"exemplars":[{"labels":{...},"value":"6","timestamp":1600096945.479}]}] ---- */

enum { SELECTORS_MAX = 64 };

struct exemplar_list {
	struct slx_answer a;
	const struct slx_selector *sel[SELECTORS_MAX];
	size_t n_sel;
	size_t now;          /* the selector that is asked */
	struct slx_buf last; /* labels of the series whose exemplars are being written */
	bool any;
};

static void add_selector(void *arg, const struct slx_selector *sel)
{
	struct exemplar_list *l = arg;
	if (l->n_sel < SELECTORS_MAX)
		l->sel[l->n_sel++] = sel;
}

/* A series that a selector before has given already. */
static bool is_repeated(const struct exemplar_list *l, struct slx_labels series)
{
	for (size_t i = 0; i < l->now; i++) {
		bool matches;
		if (slx_matchers_test(l->sel[i]->matchers, l->sel[i]->n, series, &matches, NULL) == SILEX_OK && matches)
			return true;
	}
	return false;
}

static void put_series(struct exemplar_list *l, struct slx_labels series)
{
	struct slx_buf *b = &l->a.b;
	SLX_JSON_LITERAL(b, "{\"seriesLabels\":");
	slx_json_labels(b, series);
	SLX_JSON_LITERAL(b, ",\"exemplars\":[");
	slx_buf_reset(&l->last);
	slx_buf_put(&l->last, series.p, series.n);
	b->failed |= l->last.failed;
}

static void put_exemplar_labels(struct slx_buf *b, const struct slx_exemplar_row *row)
{
	SLX_JSON_LITERAL(b, "{\"labels\":{");
	for (size_t i = 0; i < row->n_labels; i++) {
		if (i)
			slx_buf_u8(b, ',');
		slx_json_text(b, row->labels[i].name);
		slx_buf_u8(b, ':');
		slx_json_text(b, row->labels[i].value);
	}
}

static bool put_exemplar(void *arg, const struct slx_exemplar_row *row)
{
	struct exemplar_list *l = arg;
	struct slx_buf *b = &l->a.b;
	bool same = l->any && slx_labels_eq(row->series, (struct slx_labels){ l->last.p, l->last.n });
	if (!same && is_repeated(l, row->series))
		return true;
	if (!same && l->any)
		SLX_JSON_LITERAL(b, "]},");
	if (!same)
		put_series(l, row->series);
	else
		slx_buf_u8(b, ',');
	l->any = true;
	put_exemplar_labels(b, row);
	SLX_JSON_LITERAL(b, "},\"value\":");
	slx_json_value(b, row->value);
	SLX_JSON_LITERAL(b, ",\"timestamp\":");
	slx_json_time(b, slx_window_index(row->t, SLX_MS, 0));
	slx_buf_u8(b, '}');
	return slx_answer_spill(&l->a);
}

static void list_exemplars(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_promql_expr *e, struct slx_time_range range)
{
	struct slx_engine *engine = slx_api_engine(slx_core_db(p->core));
	struct exemplar_list l = { .n_sel = 0 };
	silex_status status = SILEX_OK;
	silex_error err;
	slx_promql_selectors(e, add_selector, &l);
	if (l.n_sel == 0) {
		slx_http_reply_text(x, 204, "application/json", "");
		return;
	}
	slx_buf_init(&l.last, p->core->mem, SLX_MEM_QUERY, 1 << 20);
	slx_answer_begin_json(&l.a, p, x);
	slx_buf_u8(&l.a.b, '[');
	for (; l.now < l.n_sel && status == SILEX_OK; l.now++)
		status = slx_engine_exemplars(engine, slx_http_tenant(x), l.sel[l.now]->matchers, l.sel[l.now]->n, range, put_exemplar, &l, &err);
	if (status != SILEX_OK && !l.a.streaming) {
		slx_buf_free(&l.a.b);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	} else {
		slx_buf_put(&l.a.b, "]}]" + (l.any ? 0 : 2), l.any ? 3 : 1);
		slx_answer_end_json(&l.a, NULL, 0, NULL, 0);
	}
	slx_buf_free(&l.last);
}

void slx_prom_query_exemplars(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_time_range range;
	struct slx_promql_expr *e = NULL;
	silex_error err;
	if (!slx_prom_range_params(x, &range))
		return;
	if (slx_range_empty(range)) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "end timestamp must not be before start timestamp");
		return;
	}
	silex_status status = slx_promql_parse(p->core->mem, slx_http_param(x, "query", 0), slx_core_config(p->core)->promql.experimental, &e, &err);
	if (status == SILEX_OK)
		list_exemplars(p, x, e, range);
	else
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	slx_promql_free(e);
}
