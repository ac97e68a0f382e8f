#include "app/commands.h"
#include "app/result.h"

#include <stdlib.h>
#include <string.h>

struct query_options {
	struct app_time start, end;
	const char *agg;
	int64_t step;
	struct app_texts group_by;
	bool group, desc, exact, wide, tall, latest, statistics;
	int fill;
	uint64_t limit, height, memory;
	int64_t timeout;
	const char *promql;
};

/* --- a range for windows ---------------------------------------------------------------------------------------- */

struct extent {
	struct app_labels *series;
	size_t n, cap;
};

static bool note_labels(void *arg, const silex_label *labels, size_t n)
{
	struct extent *e = arg;
	e->series = app_grow(e->series, e->n, &e->cap, sizeof *e->series);
	e->series[e->n++] = app_labels_copy(labels, n);
	return true;
}

/* Windows need a first and a last instant: those of the data where the user gave none. false: no data. */
static silex_status find_extent(
	struct app_store *db, const silex_query *q, int64_t *ret_first, int64_t *ret_last, silex_error *err)
{
	struct extent e = { 0 };
	silex_status st = SILEX_OK;
	*ret_first = SILEX_TIME_MAX;
	*ret_last = SILEX_TIME_MIN;
	for (size_t i = 0; i < q->n_selectors && st == SILEX_OK; i++)
		st = app_list_series(db, q->selectors[i], q->start, q->end, note_labels, &e, err);
	for (size_t i = 0; i < e.n; i++) {
		silex_series_info info;
		if (st == SILEX_OK)
			st = app_series_info(db, e.series[i].v, e.series[i].n, &info, err);
		if (st == SILEX_OK && info.count) {
			*ret_first = info.first_time < *ret_first ? info.first_time : *ret_first;
			*ret_last = info.last_time > *ret_last ? info.last_time : *ret_last;
		}
		app_labels_free(&e.series[i]);
	}
	free(e.series);
	return st;
}

static int64_t floor_to(int64_t t, int64_t step)
{
	int64_t rest = t % step, r;
	if (rest < 0)
		rest += step;
	return __builtin_sub_overflow(t, rest, &r) ? t : r;
}

static silex_status set_range(struct app_store *db, const struct query_options *o, silex_query *q, silex_error *err)
{
	int64_t first, last;
	q->start = o->start.set ? o->start.ns : SILEX_TIME_MIN;
	q->end = o->end.set ? o->end.ns : SILEX_TIME_MAX;
	if (!q->step || (o->start.set && o->end.set) || db->remote)
		return SILEX_OK; /* a server finds them itself */
	silex_status st = find_extent(db, q, &first, &last, err);
	if (st != SILEX_OK || first > last)
		return st;
	if (!o->start.set)
		q->start = floor_to(first, q->step);
	if (!o->end.set)
		q->end = last;
	return SILEX_OK;
}

/* --- the command ------------------------------------------------------------------------------------------------ */

static silex_status fill_query(
	struct app *a, const struct query_options *o, silex_query *q, char **ret_state, silex_error *err)
{
	const char *state = NULL;
	size_t state_n = 0;
	silex_status st;
	silex_query_init(q);
	q->tenant = a->common.tenant;
	if (o->agg && (st = silex_agg_parse(o->agg, &q->agg, &q->percentile, &state, &state_n, err)) != SILEX_OK)
		return st;
	if (state)
		*ret_state = app_strndup(state, state_n);
	q->state = *ret_state;
	q->step = o->step;
	q->fill = o->fill == 2 ? SILEX_FILL_NULL : o->fill == 3 ? SILEX_FILL_PREVIOUS : SILEX_FILL_SKIP;
	q->group = o->group || o->group_by.n;
	q->group_by = o->group_by.v;
	q->n_group_by = o->group_by.n;
	q->limit = o->limit;
	q->descending = o->desc;
	q->timeout_ms = o->timeout / 1000000;
	q->memory_limit = o->memory;
	return SILEX_OK;
}

static silex_status start_query(
	struct app_store *db, const struct query_options *o, silex_query *q, struct app_rows *ret, silex_error *err)
{
	silex_status st = o->latest ? SILEX_OK : set_range(db, o, q, err);
	return st == SILEX_OK ? app_rows_open(db, q, o->agg, o->latest, ret, err) : st;
}

static void print_statistics(const struct app_rows *rows)
{
	silex_query_stats s;
	char points[APP_TEXT_SIZE], bytes[APP_TEXT_SIZE], time[APP_TEXT_SIZE];
	app_rows_stats(rows, &s);
	fprintf(stderr, "%llu series, %s points in %llu chunks (%llu answered by their headers), %s read, %s\n",
		(unsigned long long)s.series, app_count_text(s.points, points), (unsigned long long)s.chunks,
		(unsigned long long)s.chunks_by_header, app_bytes_text(s.bytes_read, bytes), app_span_text(s.elapsed_ns, time));
}

static int run_query(struct app *a, struct app_store *db, const struct query_options *o, silex_query *q)
{
	struct app_rows rows;
	silex_error err;
	struct app_result_style style = {
		.format = (enum app_format)a->common.format,
		.exact = o->exact || q->agg == SILEX_AGG_NONE || o->latest,
		.wide = o->wide ? 1
			: o->tall   ? 2
						: 0,
		.timeless = q->agg != SILEX_AGG_NONE && !q->step && !o->latest,
		.windows = q->step != 0,
		.height = (int)(o->height > 100 ? 100 : o->height),
	};
	if (start_query(db, o, q, &rows, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	int st = app_result_print(a, &rows, &style);
	if (o->statistics)
		print_statistics(&rows);
	app_rows_close(&rows);
	return st;
}

/* --promql: the server's language, its answer printed as the others are. */
static int run_promql(struct app *a, const struct query_options *o)
{
	struct app_store s;
	struct app_rows rows = { 0 };
	silex_error err;
	struct app_result_style style = {
		.format = (enum app_format)a->common.format,
		.exact = o->exact,
		.wide = o->wide ? 1 : o->tall ? 2 : 0,
		.timeless = !o->step,
		.windows = o->step != 0,
		.title = o->promql,
		.height = (int)(o->height > 100 ? 100 : o->height),
	};
	int st = app_store_open(a, APP_READ, &s);
	if (st != APP_OK)
		return st;
	int64_t end = o->end.set ? o->end.ns : a->now, start = o->start.set ? o->start.ns : end - INT64_C(3600000000000);
	if (app_rows_promql(&s, o->promql, start, end, o->step, o->timeout, &rows, &err) == SILEX_OK)
		st = app_result_print(a, &rows, &style);
	else
		st = app_fail(NULL, &err);
	app_rows_close(&rows);
	return app_store_close(&s, APP_READ, st);
}

static int check(const struct app *a, const struct query_options *o, int argc)
{
	if (o->promql && !a->common.url)
		return app_usage("--promql needs a server: --url http://host:port");
	if (o->promql && (argc || o->agg || o->group_by.n || o->group || o->fill || o->latest || o->limit || o->desc))
		return app_usage("--promql says it all: beside it are --start, --end, --step, --timeout and how to print");
	if (o->promql && o->start.set && !o->step)
		return app_usage("--promql: a range has a --step; without one it is asked at --end [now]");
	if (!o->promql && !argc)
		return app_usage("query needs SELECTOR...; `silex query --help` tells more");
	if (o->latest && argc > 1)
		return app_usage("--latest takes one selector");
	if (o->step && !o->agg && !o->promql)
		return app_usage("--step needs --agg: how are the samples of a window made into one? (mean, max, last...)");
	return APP_OK;
}

static int query_run(struct app *a, void *options, int argc, char **argv)
{
	const struct query_options *o = options;
	silex_query q;
	silex_error err;
	struct app_store db;
	char *state = NULL;
	int st = check(a, o, argc);
	if (st != APP_OK)
		return st;
	if (o->promql)
		return run_promql(a, o);
	if (fill_query(a, o, &q, &state, &err) != SILEX_OK)
		return app_usage("--agg: %s", err.message);
	q.selectors = (const char *const *)argv;
	q.n_selectors = (size_t)argc;
	st = app_store_open(a, APP_READ, &db);
	if (st == APP_OK) {
		st = run_query(a, &db, o, &q);
		st = app_store_close(&db, APP_READ, st);
	}
	free(state);
	return st;
}

#define AGG_NAMES \
	"none|count|sum|mean|min|max|first|last|stddev|variance|median|p50|p90|p99|range|increase|rate|delta|mode"

static const struct app_opt query_opts[] = {
	APP_OPT(
		query_options, start, "start", 's', APP_TIME, "TIME", NULL, "from this time on: 2024-05-01T10:00, -2h, now-1d"),
	APP_OPT(query_options, end, "end", 'e', APP_TIME, "TIME", NULL, "up to this time, included"),
	APP_OPT(query_options, agg, "agg", 'a', APP_TEXT, "NAME", AGG_NAMES,
		"one value of many: count, sum, mean, min, max, first, last, stddev, variance, median, p99 (any percentile), "
		"range, increase, rate, delta, mode, time_in_state(STATE)"),
	APP_OPT(query_options, step, "step", 'w', APP_SPAN, "SPAN", NULL,
		"a value for each window of this length: 30s, 5m, 1h, 1d"),
	APP_OPT(query_options, group_by, "group-by", 'g', APP_NAMES, "LABELS", NULL,
		"aggregate across series, keeping these labels"),
	APP_OPT(query_options, group, "group", 'G', APP_FLAG, NULL, NULL, "aggregate across all series into one"),
	APP_OPT(query_options, fill, "fill", 0, APP_CHOICE, "HOW", "skip|null|previous", "windows without samples"),
	APP_OPT(query_options, promql, "promql", 'q', APP_TEXT, "EXPR", NULL,
		"with --url: a PromQL expression instead of selectors; --step makes it a range"),
	APP_OPT(query_options, limit, "limit", 'n', APP_COUNT, "ROWS", NULL, "at most so many rows"),
	APP_OPT(query_options, desc, "desc", 'r', APP_FLAG, NULL, NULL, "latest first"),
	APP_OPT(query_options, latest, "latest", 'l', APP_FLAG, NULL, NULL, "only the newest sample of each series"),
	APP_OPT(query_options, exact, "exact", 'x', APP_FLAG, NULL, NULL,
		"tables: every digit (CSV and JSON always have them)"),
	APP_OPT(query_options, wide, "wide", 0, APP_FLAG, NULL, NULL, "tables: one column per series"),
	APP_OPT(query_options, tall, "tall", 0, APP_FLAG, NULL, NULL, "tables: one row per sample"),
	APP_OPT(query_options, height, "height", 0, APP_COUNT, "ROWS", NULL, "charts: rows of the plot [16]"),
	APP_OPT(query_options, timeout, "timeout", 0, APP_SPAN, "SPAN", NULL, "give up after this long"),
	APP_OPT(query_options, memory, "memory", 0, APP_COUNT, "BYTES", NULL, "what this query may take: 64M"),
	APP_OPT(query_options, statistics, "statistics", 0, APP_FLAG, NULL, NULL, "say on stderr what the query read"),
	APP_OPT_END,
};

const struct app_command app_query = {
	.name = "query",
	.args = "[SELECTOR...]",
	.summary = "print samples or aggregates as a table, CSV, JSON or chart",
	.text =
		"A selector is name{label=\"value\"}, with = != =~ !~ (regular expressions match the whole value); {} is\n"
		"every series. Times are RFC 3339 or a part of it (UTC), numbers (s, ms, us or ns by their size), now,\n"
		"now-1h or -1h. Windows are [start + k*step, start + (k+1)*step); without --start they begin at a multiple of\n"
		"the step.",
	.examples = "silex query 'HR'\tall samples\n"
				"silex query 'hr{ward=\"3\"}' --start -1d --agg mean --step 1h\thourly means of the last day\n"
				"silex query 'hr' 'spo2' -a p99 -g patient\tthe 99th percentile of each patient, over both names\n"
				"silex query 'hr{patient=\"1\"}' -s 2024-05-01 -a mean -w 5m -f chart\ta chart\n"
				"silex query --url http://localhost:9470 --promql 'rate(http_requests_total[5m])' -s -1h -w 1m -f chart\n",
	.options = query_opts,
	.options_size = sizeof(struct query_options),
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT | APP_ARGS_SELECTOR,
	.run = query_run,
};
