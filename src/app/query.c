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
};

/* --- a range for windows ---------------------------------------------------------------------------------------- */

struct extent {
	const char *tenant;
	silex_db *db;
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
	silex_db *db, const silex_query *q, int64_t *ret_first, int64_t *ret_last, silex_error *err)
{
	struct extent e = { .db = db };
	silex_status st = SILEX_OK;
	*ret_first = SILEX_TIME_MAX;
	*ret_last = SILEX_TIME_MIN;
	for (size_t i = 0; i < q->n_selectors && st == SILEX_OK; i++)
		st = silex_list_series(db, q->tenant, q->selectors[i], q->start, q->end, note_labels, &e, err);
	for (size_t i = 0; i < e.n; i++) {
		silex_series_info info;
		if (st == SILEX_OK)
			st = silex_series_info_get(db, q->tenant, e.series[i].v, e.series[i].n, &info, err);
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

static silex_status set_range(silex_db *db, const struct query_options *o, silex_query *q, silex_error *err)
{
	int64_t first, last;
	q->start = o->start.set ? o->start.ns : SILEX_TIME_MIN;
	q->end = o->end.set ? o->end.ns : SILEX_TIME_MAX;
	if (!q->step || (o->start.set && o->end.set))
		return SILEX_OK;
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
	silex_db *db, const struct query_options *o, silex_query *q, silex_cursor **ret, silex_error *err)
{
	if (o->latest)
		return silex_latest(db, q->tenant, q->n_selectors ? q->selectors[0] : NULL, ret, err);
	silex_status st = set_range(db, o, q, err);
	return st == SILEX_OK ? silex_query_run(db, q, ret, err) : st;
}

static void print_statistics(const silex_cursor *c)
{
	silex_query_stats s;
	char points[APP_TEXT_SIZE], bytes[APP_TEXT_SIZE], time[APP_TEXT_SIZE];
	silex_cursor_stats(c, &s);
	fprintf(stderr, "%llu series, %s points in %llu chunks (%llu answered by their headers), %s read, %s\n",
		(unsigned long long)s.series, app_count_text(s.points, points), (unsigned long long)s.chunks,
		(unsigned long long)s.chunks_by_header, app_bytes_text(s.bytes_read, bytes), app_span_text(s.elapsed_ns, time));
}

static int run_query(struct app *a, silex_db *db, const struct query_options *o, silex_query *q)
{
	silex_cursor *c;
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
	if (start_query(db, o, q, &c, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	int st = app_result_print(a, c, &style);
	if (o->statistics)
		print_statistics(c);
	silex_cursor_close(c);
	return st;
}

static int query_run(struct app *a, void *options, int argc, char **argv)
{
	const struct query_options *o = options;
	silex_query q;
	silex_error err;
	silex_db *db;
	char *state = NULL;
	if (o->latest && argc > 1)
		return app_usage("--latest takes one selector");
	if (o->step && !o->agg)
		return app_usage("--step needs --agg: how are the samples of a window made into one? (mean, max, last...)");
	if (fill_query(a, o, &q, &state, &err) != SILEX_OK)
		return app_usage("--agg: %s", err.message);
	q.selectors = (const char *const *)argv;
	q.n_selectors = (size_t)argc;
	int st = app_open(a, APP_READ, &db);
	if (st == APP_OK) {
		st = run_query(a, db, o, &q);
		st = app_close(a, db, APP_READ, st);
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
	.args = "SELECTOR...",
	.summary = "print samples or aggregates as a table, CSV, JSON or chart",
	.text =
		"A selector is name{label=\"value\"}, with = != =~ !~ (regular expressions match the whole value); {} is\n"
		"every series. Times are RFC 3339 or a part of it (UTC), numbers (s, ms, us or ns by their size), now,\n"
		"now-1h or -1h. Windows are [start + k*step, start + (k+1)*step); without --start they begin at a multiple of\n"
		"the step.",
	.examples = "silex query 'HR'\tall samples\n"
				"silex query 'hr{ward=\"3\"}' --start -1d --agg mean --step 1h\thourly means of the last day\n"
				"silex query 'hr' 'spo2' -a p99 -g patient\tthe 99th percentile of each patient, over both names\n"
				"silex query 'hr{patient=\"1\"}' -s 2024-05-01 -a mean -w 5m -f chart\ta chart\n",
	.options = query_opts,
	.options_size = sizeof(struct query_options),
	.args_min = 1,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_FORMAT | APP_USES_OUTPUT | APP_ARGS_SELECTOR,
	.run = query_run,
};
