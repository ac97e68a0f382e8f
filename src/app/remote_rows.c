/* A server's rows as batches: one batch a series of the answer. */
#include "app/remote.h"

#include "base/status.h"
#include "model/time.h"

#include <curl/curl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct app_remote_rows {
	json_t *doc;
	const json_t *series; /* the array of them */
	size_t at, number;    /* number: of the last one in the result, as silex_batch counts */
	bool promql;
	silex_query_stats stats;
	/* the batch */
	silex_label *labels;
	int64_t *times, *ints;
	double *values;
	const char **states;
	uint8_t *null;
	size_t cap, labels_cap;
};

static silex_status parse(const char *text, size_t n, struct app_remote_rows **ret, silex_error *err)
{
	json_error_t why;
	struct app_remote_rows *r = app_alloc(sizeof *r);
	r->doc = json_loadb(text, n, 0, &why);
	if (!r->doc) {
		free(r);
		return slx_err(err, SILEX_UNAVAILABLE, "the answer is no JSON (%s); is it a Silex server?", why.text);
	}
	*ret = r;
	return SILEX_OK;
}

static char *latest_json(const silex_query *q)
{
	json_t *o = json_object();
	json_object_set_new(o, "selector", json_string(q->n_selectors ? q->selectors[0] : "{}"));
	json_object_set_new(o, "times", json_string("ns"));
	char *s = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return s ? s : app_alloc(SIZE_MAX);
}

silex_status app_remote_query(struct app_remote *r, const silex_query *q, const char *agg, bool latest, struct app_remote_rows **ret, silex_error *err)
{
	const char *text;
	size_t n;
	char *body = latest ? latest_json(q) : app_remote_query_json(q, agg, "json");
	silex_status st = app_remote_request(r, latest ? "/api/silex/v1/latest" : "/api/silex/v1/query", "json", body, strlen(body), &text, &n, NULL, err);
	free(body);
	if (st == SILEX_OK)
		st = parse(text, n, ret, err);
	if (st != SILEX_OK)
		return st;
	struct app_remote_rows *rows = *ret;
	const json_t *stats = json_object_get(rows->doc, "stats");
	rows->series = json_object_get(rows->doc, "series");
	rows->stats = (silex_query_stats){
		.series = (uint64_t)json_integer_value(json_object_get(stats, "series")),
		.points = (uint64_t)json_integer_value(json_object_get(stats, "points")),
		.chunks = (uint64_t)json_integer_value(json_object_get(stats, "chunks")),
		.chunks_by_header = (uint64_t)json_integer_value(json_object_get(stats, "chunks_by_header")),
		.bytes_read = (uint64_t)json_integer_value(json_object_get(stats, "bytes_read")),
		.elapsed_ns = (int64_t)(json_number_value(json_object_get(stats, "elapsed_s")) * 1e9),
	};
	return SILEX_OK;
}

/* ---- PromQL ---- */

static void say_notes(const json_t *doc, const char *member)
{
	size_t i;
	const json_t *text;
	json_array_foreach(json_object_get(doc, member), i, text)
		app_say("%s", json_string_value(text));
}

/* A scalar or a string as a vector of one series without labels. */
static silex_status as_vector(struct app_remote_rows *r)
{
	json_t *data = json_object_get(r->doc, "data"), *result = json_object_get(data, "result");
	const char *type = json_string_value(json_object_get(data, "resultType"));
	r->series = result;
	if (!type || (strcmp(type, "scalar") != 0 && strcmp(type, "string") != 0))
		return SILEX_OK;
	json_t *list = json_pack("[{s:{},s:O}]", "metric", "value", result);
	json_object_set_new(data, "result", list);
	r->series = list;
	return SILEX_OK;
}

static char *promql_form(const char *expr, int64_t start, int64_t end, int64_t step, int64_t timeout_ns)
{
	char *escaped = curl_easy_escape(NULL, expr, 0), *form;
	char timeout[64] = "";
	if (timeout_ns)
		snprintf(timeout, sizeof timeout, "&timeout=%.3f", (double)timeout_ns / 1e9);
	if (step)
		form = app_printf("query=%s&start=%.3f&end=%.3f&step=%.3f%s", escaped ? escaped : "", (double)start / 1e9, (double)end / 1e9, (double)step / 1e9, timeout);
	else
		form = app_printf("query=%s&time=%.3f%s", escaped ? escaped : "", (double)end / 1e9, timeout);
	curl_free(escaped);
	return form;
}

silex_status app_remote_promql(struct app_remote *r, const char *expr, int64_t start, int64_t end, int64_t step, int64_t timeout_ns,
	struct app_remote_rows **ret, silex_error *err)
{
	const char *text;
	size_t n;
	char *form = promql_form(expr, start, end, step, timeout_ns);
	silex_status st = app_remote_request(r, step ? "/api/v1/query_range" : "/api/v1/query", NULL, form, strlen(form), &text, &n, NULL, err);
	free(form);
	if (st == SILEX_OK)
		st = parse(text, n, ret, err);
	if (st != SILEX_OK)
		return st;
	(*ret)->promql = true;
	say_notes((*ret)->doc, "warnings");
	say_notes((*ret)->doc, "infos");
	return as_vector(*ret);
}

/* ---- batches ---- */

static void make_room(struct app_remote_rows *r, size_t n)
{
	if (n <= r->cap)
		return;
	free(r->times);
	free(r->ints);
	free(r->values);
	free(r->states);
	free(r->null);
	r->times = app_alloc(n * sizeof *r->times);
	r->ints = app_alloc(n * sizeof *r->ints);
	r->values = app_alloc(n * sizeof *r->values);
	r->states = app_alloc(n * sizeof *r->states);
	r->null = app_alloc(n);
	r->cap = n;
}

static size_t set_labels(struct app_remote_rows *r, json_t *labels)
{
	const char *name;
	json_t *value;
	size_t n = 0;
	if (r->labels_cap < json_object_size(labels) + 1) {
		free(r->labels);
		r->labels_cap = json_object_size(labels) + 1;
		r->labels = app_alloc(r->labels_cap * sizeof *r->labels);
	}
	json_object_foreach(labels, name, value)
		r->labels[n++] = (silex_label){ name, json_string_value(value) };
	return n;
}

static double special(const char *s) { return !s ? (double)NAN : strtod(s, NULL); } /* NaN, +Inf, -Inf, and PromQL's values */

static silex_kind kind_of(const char *kind)
{
	return !kind ? SILEX_FLOAT64 : strcmp(kind, "int64") == 0 ? SILEX_INT64 : strcmp(kind, "bool") == 0 ? SILEX_BOOL
		: strcmp(kind, "enum") == 0 ? SILEX_ENUM : SILEX_FLOAT64;
}

static void put_native(struct app_remote_rows *r, size_t i, silex_kind kind, const json_t *pair)
{
	const json_t *v = json_array_get(pair, 1);
	r->times[i] = json_integer_value(json_array_get(pair, 0));
	r->null[i] = json_is_null(v);
	r->states[i] = json_is_string(v) ? json_string_value(v) : "";
	r->ints[i] = json_is_boolean(v) ? json_is_true(v) : json_integer_value(v);
	r->values[i] = json_is_string(v) && kind != SILEX_ENUM ? special(json_string_value(v)) : json_is_number(v) ? json_number_value(v) : (double)r->ints[i];
}

static void put_prom(struct app_remote_rows *r, size_t i, silex_kind kind, const json_t *pair)
{
	const char *text = json_string_value(json_array_get(pair, 1));
	r->times[i] = llround(json_number_value(json_array_get(pair, 0)) * 1e3) * SLX_MS;
	r->states[i] = text ? text : "";
	r->values[i] = special(text);
	r->null[i] = 0;
}

/* Whether the result is a string: its only series has no labels and no number. */
static bool is_string(const struct app_remote_rows *r)
{
	const char *type = json_string_value(json_object_get(json_object_get(r->doc, "data"), "resultType"));
	return type && strcmp(type, "string") == 0;
}

silex_status app_remote_rows_next(struct app_remote_rows *r, silex_batch *ret, silex_error *err)
{
	static const silex_batch none;
	*ret = none;
	for (; r->at < json_array_size(r->series); r->at++) {
		json_t *s = json_array_get(r->series, r->at), *labels = json_object_get(s, r->promql ? "metric" : "labels");
		json_t *one = r->promql ? json_object_get(s, "value") : NULL, *many = json_object_get(s, r->promql ? "values" : "samples");
		size_t n = one ? 1 : json_array_size(many);
		if (n == 0)
			continue; /* histograms alone */
		silex_kind kind = !r->promql ? kind_of(json_string_value(json_object_get(s, "kind"))) : is_string(r) ? SILEX_ENUM : SILEX_FLOAT64;
		bool nulls = false;
		make_room(r, n);
		for (size_t i = 0; i < n; i++) {
			(r->promql ? put_prom : put_native)(r, i, kind, one ? one : json_array_get(many, i));
			nulls |= r->null[i];
		}
		*ret = (silex_batch){
			.series = r->number++,
			.labels = r->labels,
			.n_labels = set_labels(r, labels),
			.kind = kind,
			.n = n,
			.times = r->times,
			.values = kind == SILEX_ENUM ? NULL : r->values,
			.ints = kind == SILEX_INT64 || kind == SILEX_BOOL ? r->ints : NULL,
			.states = kind == SILEX_ENUM ? r->states : NULL,
			.null = nulls ? r->null : NULL,
		};
		ret->labels = r->labels;
		r->at++;
		return SILEX_OK;
	}
	const char *error = json_string_value(json_object_get(json_object_get(r->doc, "error"), "detail"));
	return error ? slx_err(err, SILEX_UNAVAILABLE, "the rest is missing: %s", error) : SILEX_OK;
}

void app_remote_rows_stats(const struct app_remote_rows *r, silex_query_stats *ret) { *ret = r->stats; }

void app_remote_rows_close(struct app_remote_rows *r)
{
	if (!r)
		return;
	json_decref(r->doc);
	free(r->labels);
	free(r->times);
	free(r->ints);
	free(r->values);
	free(r->states);
	free(r->null);
	free(r);
}
