/* Instant and range queries. */
#include "server/prom/prom_int.h"
#include "storage/tsdb/rollup.h"

#include <stdio.h>

/* Points between two spills of an answer: some hundred kB of text. */
enum { POINTS_BATCH = 4096, STEPS_MAX = 11000 };

static const char truncated[] = "results truncated due to limit";

struct query {
	enum slx_prom_kind kind;
	struct slx_str text;
	int64_t start_ms, end_ms, step_ms; /* step 0: instant */
	int64_t timeout_ns, lookback_ms;
	uint64_t limit;
	bool stats;
	int rollups; /* struct slx_promql_options */
};

/* ---- the result as JSON ---- */

static void put_point(struct slx_buf *b, struct slx_promql_point p)
{
	slx_json_points(b, &p.t_ms, &p.v, 0, 1);
}

static void put_histogram_point(struct slx_buf *b, const struct slx_promql_histogram_point *p)
{
	slx_buf_u8(b, '[');
	slx_json_time(b, p->t_ms);
	slx_buf_u8(b, ',');
	slx_json_histogram(b, p->h);
	slx_buf_u8(b, ']');
}

static void put_sample(struct slx_buf *b, const struct slx_promql_series *s)
{
	SLX_JSON_LITERAL(b, "{\"metric\":");
	slx_json_labels(b, s->labels);
	if (s->n_histograms) {
		SLX_JSON_LITERAL(b, ",\"histogram\":");
		put_histogram_point(b, s->histograms);
	} else {
		SLX_JSON_LITERAL(b, ",\"value\":");
		put_point(b, s->points[0]);
	}
	slx_buf_u8(b, '}');
}

static void put_values(struct slx_answer *a, const struct slx_promql_series *s)
{
	SLX_JSON_LITERAL(&a->b, ",\"values\":[");
	for (size_t i = 0; i < s->n; i += POINTS_BATCH) {
		size_t n = s->n - i < POINTS_BATCH ? s->n - i : POINTS_BATCH;
		if (i)
			slx_buf_u8(&a->b, ',');
		slx_json_points(&a->b, &s->points[i].t_ms, &s->points[i].v, sizeof *s->points, n);
		if (!slx_answer_spill(a))
			return;
	}
	slx_buf_u8(&a->b, ']');
}

static void put_histograms(struct slx_answer *a, const struct slx_promql_series *s)
{
	SLX_JSON_LITERAL(&a->b, ",\"histograms\":[");
	for (size_t i = 0; i < s->n_histograms && slx_answer_spill(a); i++) {
		if (i)
			slx_buf_u8(&a->b, ',');
		put_histogram_point(&a->b, &s->histograms[i]);
	}
	slx_buf_u8(&a->b, ']');
}

static void put_series(struct slx_answer *a, const struct slx_promql_series *s)
{
	SLX_JSON_LITERAL(&a->b, "{\"metric\":");
	slx_json_labels(&a->b, s->labels);
	if (s->n)
		put_values(a, s);
	if (s->n_histograms)
		put_histograms(a, s);
	slx_buf_u8(&a->b, '}');
}

static void put_result(struct slx_answer *a, const struct slx_promql_result *r, size_t n)
{
	switch (r->type) {
	case SLX_PROMQL_SCALAR:
		SLX_JSON_LITERAL(&a->b, "{\"resultType\":\"scalar\",\"result\":");
		put_point(&a->b, r->scalar);
		return;
	case SLX_PROMQL_STRING:
		SLX_JSON_LITERAL(&a->b, "{\"resultType\":\"string\",\"result\":[");
		slx_json_time(&a->b, r->scalar.t_ms);
		slx_buf_u8(&a->b, ',');
		slx_json_text(&a->b, r->string);
		slx_buf_u8(&a->b, ']');
		return;
	case SLX_PROMQL_VECTOR:
		SLX_JSON_LITERAL(&a->b, "{\"resultType\":\"vector\",\"result\":[");
		break;
	default:
		SLX_JSON_LITERAL(&a->b, "{\"resultType\":\"matrix\",\"result\":[");
	}
	for (size_t i = 0; i < n && slx_answer_spill(a); i++) {
		if (i)
			slx_buf_u8(&a->b, ',');
		if (r->type == SLX_PROMQL_VECTOR)
			put_sample(&a->b, &r->series[i]);
		else
			put_series(a, &r->series[i]);
	}
	slx_buf_u8(&a->b, ']');
}

static void put_stats(struct slx_buf *b, const struct slx_promql_stats *s)
{
	char text[400], level[SLX_ROLLUP_LEVEL_SIZE];
	double prepare = (double)s->prepare_ns * 1e-9, exec = (double)s->exec_ns * 1e-9, eval = (double)s->eval_ns * 1e-9;
	int n = snprintf(text, sizeof text,
		",\"stats\":{\"timings\":{\"evalTotalTime\":%.9f,\"resultSortTime\":0,\"queryPreparationTime\":%.9f,\"innerEvalTime\":%.9f,"
		"\"execQueueTime\":0,\"execTotalTime\":%.9f},\"samples\":{\"totalQueryableSamples\":%llu,\"peakSamples\":%llu}",
		eval, prepare, exec, eval, (unsigned long long)s->samples_total, (unsigned long long)s->samples_peak);
	slx_buf_put(b, text, (size_t)n);
	n = snprintf(text, sizeof text, ",\"silex\":{\"bytesRead\":%llu,\"chunks\":%llu,\"rollupBuckets\":%llu,\"rollups\":[", (unsigned long long)s->bytes_read,
		(unsigned long long)s->chunks, (unsigned long long)s->rollup_buckets);
	slx_buf_put(b, text, (size_t)n);
	for (size_t i = 0; i < s->n_rollups; i++) {
		slx_rollup_level(s->rollups[i], level);
		n = snprintf(text, sizeof text, "%s\"%s\"", i ? "," : "", level);
		slx_buf_put(b, text, (size_t)n);
	}
	slx_buf_put(b, "]}}", 3);
}

static void answer(struct slx_prom *p, struct slx_http_exchange *x, const struct query *q, const struct slx_promql_result *r)
{
	struct slx_answer a;
	size_t n = q->limit && r->n > q->limit ? q->limit : r->n;
	const struct slx_str *warnings = r->warnings;
	size_t n_warnings = r->n_warnings;
	if (n < r->n) {
		struct slx_str *more = slx_arena_alloc(slx_http_arena(x), (n_warnings + 1) * sizeof *more, 8);
		if (more) {
			if (n_warnings)
				memcpy(more, warnings, n_warnings * sizeof *more);
			more[n_warnings++] = SLX_STR(truncated);
			warnings = more;
		}
	}
	slx_answer_begin_json(&a, p, x);
	put_result(&a, r, n);
	if (q->stats)
		put_stats(&a.b, &r->stats);
	slx_buf_u8(&a.b, '}');
	slx_answer_end_json(&a, warnings, n_warnings, r->infos, r->n_infos);
}

/* ---- running ---- */

static const char *type_name(enum slx_promql_type t)
{
	static const char *const names[] = { "none", "scalar", "instant vector", "range vector", "string" };
	return names[t];
}

static silex_status prepare(struct slx_prom *p, const struct query *q, struct slx_promql_expr **ret, silex_error *err)
{
	const struct slx_config *c = slx_core_config(p->core);
	SLX_TRY(slx_promql_parse(p->core->mem, q->text, c->promql.experimental, ret, err));
	enum slx_promql_type type = slx_promql_result_type(*ret);
	if (q->kind == SLX_PROM_RANGE && type != SLX_PROMQL_SCALAR && type != SLX_PROMQL_VECTOR)
		return slx_err(err, SILEX_INVALID, "invalid expression type \"%s\" for range query, must be Scalar or instant Vector", type_name(type));
	return SILEX_OK;
}

static silex_status execute(struct slx_prom *p, struct slx_http_exchange *x, const struct query *q, const struct slx_promql_expr *e,
	struct slx_promql_result **ret, silex_error *err)
{
	const struct slx_config *c = slx_core_config(p->core);
	int64_t timeout = c->promql.timeout;
	if (q->timeout_ns && (timeout == 0 || q->timeout_ns < timeout))
		timeout = q->timeout_ns;
	struct slx_promql_options o = {
		.who = slx_prom_who(x),
		.start_ms = q->start_ms,
		.end_ms = q->end_ms,
		.step_ms = q->step_ms,
		.lookback_ms = q->lookback_ms > 0 ? q->lookback_ms : c->promql.lookback / SLX_MS,
		.experimental = c->promql.experimental,
		.delayed_name_removal = c->promql.experimental,
		.samples_max = c->promql.samples_max,
		.rollups = q->rollups,
		.timeout_ns = timeout,
		.canceled = slx_http_canceled(x),
	};
	return slx_promql_run(slx_api_engine(slx_core_db(p->core)), e, &o, ret, err);
}

static void run(struct slx_prom *p, struct slx_http_exchange *x, const struct query *q)
{
	static const char *const kinds[] = { [SLX_PROM_INSTANT] = "query", [SLX_PROM_RANGE] = "query_range" };
	struct slx_promql_expr *e = NULL;
	struct slx_promql_result *r = NULL;
	silex_error err = { 0 };
	struct slx_active_query a = { .text = q->text, .tenant = slx_http_tenant(x), .kind = kinds[q->kind], .request_id = slx_http_request_id(x) };
	if (prepare(p, q, &e, &err) != SILEX_OK) {
		slx_metric_add(p->failed[slx_prom_error_of(err.code)], 1);
		slx_prom_fail_param(x, "query", &err);
		slx_promql_free(e);
		return;
	}
	slx_query_begin(&p->core->queries, &a);
	silex_status status = execute(p, x, q, e, &r, &err);
	int64_t elapsed = slx_query_end(&p->core->queries, &a, r ? r->n : 0, r ? r->stats.samples_total : 0, status);
	slx_metric_observe(p->duration[q->kind], (double)elapsed * 1e-9);
	if (status == SILEX_OK) {
		slx_metric_add(p->samples, r->stats.samples_total);
		answer(p, x, q, r);
	} else {
		slx_metric_add(p->failed[slx_prom_error_of(status)], 1);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	}
	slx_promql_result_free(r);
	slx_promql_free(e);
}

/* ---- parameters ---- */

/* auto, or none given: roll-ups stand in for samples that are too old to be kept; exact: only where they give the same answer; off. */
static bool rollups_param(struct slx_http_exchange *x, struct query *q)
{
	static const char *const words[] = { "auto", "exact", "off" };
	struct slx_str word = slx_http_param(x, "rollups", 0);
	silex_error err;
	for (int i = 0; i < 3; i++)
		if (word.n == 0 || slx_str_eq(word, slx_str(words[i]))) {
			q->rollups = i;
			return true;
		}
	slx_err(&err, SILEX_INVALID, "\"%.*s\"; expected auto, exact or off", (int)word.n, word.p);
	slx_prom_fail_param(x, "rollups", &err);
	return false;
}

/* What both kinds of query take besides their times. */
static bool common_params(struct slx_http_exchange *x, struct query *q)
{
	silex_error err;
	struct slx_str timeout = slx_http_param(x, "timeout", 0), lookback = slx_http_param(x, "lookback_delta", 0);
	int64_t ns = 0;
	if (timeout.n && slx_prom_parse_duration(timeout, &ns, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "timeout", &err);
		return false;
	}
	q->timeout_ns = timeout.n && ns < 1 ? 1 : ns; /* no time at all is over at once */
	ns = 0;
	if (lookback.n && slx_prom_parse_duration(lookback, &ns, &err) != SILEX_OK) {
		slx_err_wrap(&err, "error parsing lookback delta duration");
		slx_prom_fail(x, SLX_PROM_BAD_DATA, err.message);
		return false;
	}
	q->lookback_ms = ns / SLX_MS;
	q->stats = slx_http_param(x, "stats", 0).n > 0;
	if (!rollups_param(x, q))
		return false;
	q->text = slx_http_param(x, "query", 0);
	return true;
}

void slx_prom_query(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct query q = { .kind = SLX_PROM_INSTANT };
	if (!slx_prom_limit_param(x, "limit", &q.limit) || !slx_prom_time_param(x, "time", slx_prom_now_ms(p), &q.start_ms) || !common_params(x, &q))
		return;
	q.end_ms = q.start_ms;
	run(p, x, &q);
}

static bool fail_with(struct slx_http_exchange *x, const char *name, const char *message)
{
	silex_error err;
	slx_err(&err, SILEX_INVALID, "%s", message);
	slx_prom_fail_param(x, name, &err);
	return false;
}

static bool range_times(struct slx_http_exchange *x, struct query *q)
{
	silex_error err;
	int64_t step;
	if (slx_prom_parse_time(slx_http_param(x, "start", 0), &q->start_ms, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "start", &err);
		return false;
	}
	if (slx_prom_parse_time(slx_http_param(x, "end", 0), &q->end_ms, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "end", &err);
		return false;
	}
	if (q->end_ms < q->start_ms)
		return fail_with(x, "end", "end timestamp must not be before start time");
	if (slx_prom_parse_duration(slx_http_param(x, "step", 0), &step, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "step", &err);
		return false;
	}
	if (step <= 0)
		return fail_with(x, "step", "zero or negative query resolution step widths are not accepted. Try a positive integer");
	q->step_ms = step < SLX_MS ? 1 : step / SLX_MS;
	/* Enough for a week by the minute or a year by the hour. The step in ns counts, as in Prometheus. */
	if ((double)(q->end_ms - q->start_ms) * 1e6 / (double)step >= STEPS_MAX + 1) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA,
			"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)");
		return false;
	}
	return true;
}

void slx_prom_query_range(void *ctx, struct slx_http_exchange *x)
{
	struct query q = { .kind = SLX_PROM_RANGE };
	if (slx_prom_limit_param(x, "limit", &q.limit) && range_times(x, &q) && common_params(x, &q))
		run(ctx, x, &q);
}

/* ---- format_query ---- */

void slx_prom_format_query(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_promql_expr *e = NULL;
	struct slx_buf text;
	struct slx_answer a;
	silex_error err;
	if (slx_promql_parse(p->core->mem, slx_http_param(x, "query", 0), slx_core_config(p->core)->promql.experimental, &e, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "query", &err);
		return;
	}
	slx_buf_init(&text, p->core->mem, SLX_MEM_QUERY, 16 << 20);
	slx_promql_format(e, true, &text);
	slx_answer_begin_json(&a, p, x);
	slx_json_text(&a.b, (struct slx_str){ (const char *)text.p, text.n });
	a.b.failed |= text.failed;
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
	slx_buf_free(&text);
	slx_promql_free(e);
}
