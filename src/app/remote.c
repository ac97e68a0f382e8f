/* Requests to a server, and its documents as the structures of include/silex. */
#include "app/remote.h"

#include "base/status.h"
#include "model/time.h"

#include <curl/curl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define API "/api/silex/v1/"

enum { ANSWER_MAX = INT32_MAX, CONNECT_S = 10 };

struct app_remote {
	CURL *curl;
	struct curl_slist *json, *plain; /* headers, with the tenant's */
	char *url;                       /* without a slash at the end */
	char *answer;
	size_t n, cap;
	long http; /* of the answer under way */
	bool (*take)(void *arg, const char *p, size_t n);
	void *arg;
	bool stopped;
	char promise[200];
};

/* ---- transport ---- */

static bool is_failure(struct app_remote *r)
{
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &r->http);
	return r->http >= 400;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct app_remote *r = arg;
	n *= size;
	if (r->take && !is_failure(r)) {
		r->stopped = !r->take(r->arg, p, n);
		return r->stopped ? 0 : n;
	}
	if (r->n + n >= ANSWER_MAX)
		return 0;
	while (r->cap < r->n + n + 1)
		r->answer = app_grow(r->answer, r->cap, &r->cap, 1);
	memcpy(r->answer + r->n, p, n);
	r->n += n;
	r->answer[r->n] = 0;
	return n;
}

static struct curl_slist *headers(const char *type, const char *tenant)
{
	char *line = tenant ? app_printf("X-Scope-OrgID: %s", tenant) : NULL;
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	if (type)
		list = curl_slist_append(list, type);
	if (line)
		list = curl_slist_append(list, line);
	free(line);
	return list;
}

silex_status app_remote_new(const char *url, const char *tenant, struct app_remote **ret, silex_error *err)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return slx_err(err, SILEX_INVALID, "--url %s: expected http://host:port or https://host:port", url);
	struct app_remote *r = app_alloc(sizeof *r);
	size_t n = strlen(url);
	while (n && url[n - 1] == '/')
		n--;
	r->url = app_strndup(url, n);
	r->json = headers("Content-Type: application/json", tenant);
	r->plain = headers(NULL, tenant);
	r->curl = curl_easy_init();
	if (!r->curl) {
		app_remote_free(r);
		return slx_err(err, SILEX_UNAVAILABLE, "libcurl does not start");
	}
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(r->curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "silex");
	*ret = r;
	return SILEX_OK;
}

void app_remote_free(struct app_remote *r)
{
	if (!r)
		return;
	if (r->curl)
		curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->json);
	curl_slist_free_all(r->plain);
	free(r->url);
	free(r->answer);
	free(r);
}

static silex_status status_of(long http)
{
	switch (http) {
	case 400:
	case 413:
	case 415:
	case 422:
		return SILEX_INVALID;
	case 401:
	case 403:
		return SILEX_PERMISSION_DENIED;
	case 404:
		return SILEX_NOT_FOUND;
	case 409:
		return SILEX_CONFLICT;
	default:
		return SILEX_UNAVAILABLE;
	}
}

/* The words of an error: a problem's detail, Prometheus' error, or the text. */
static silex_status server_error(struct app_remote *r, silex_error *err)
{
	json_t *doc = r->n ? json_loadb(r->answer, r->n, 0, NULL) : NULL;
	const char *words = json_string_value(json_object_get(doc, "detail"));
	if (!words)
		words = json_string_value(json_object_get(doc, "error"));
	if (!words)
		words = r->n ? r->answer : "no words about it";
	silex_status st = slx_err(err, status_of(r->http), "%s: %ld: %.*s", r->url, r->http, (int)strcspn(words, "\n"), words);
	json_decref(doc);
	return st;
}

static silex_status perform(struct app_remote *r, const char *path, const char *type, const void *body, size_t n, silex_error *err)
{
	char *url = app_printf("%s%s", r->url, path);
	r->n = 0;
	r->stopped = false;
	r->http = 0;
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, type ? r->json : r->plain);
	if (body) {
		curl_easy_setopt(r->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body);
	} else {
		curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L);
	}
	CURLcode code = curl_easy_perform(r->curl);
	free(url);
	if (r->stopped)
		return slx_err(err, SILEX_CANCELED, "stopped");
	if (code != CURLE_OK)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: %s", r->url, curl_easy_strerror(code));
	return is_failure(r) ? server_error(r, err) : SILEX_OK;
}

silex_status app_remote_request(struct app_remote *r, const char *path, const char *type, const void *body, size_t n, const char **ret,
	size_t *ret_n, long *ret_http, silex_error *err)
{
	r->take = NULL;
	silex_status st = perform(r, path, type, body, n, err);
	*ret = r->n ? r->answer : "";
	*ret_n = r->n;
	if (ret_http)
		*ret_http = r->http;
	return st;
}

silex_status app_remote_delete_at(struct app_remote *r, const char *path, silex_error *err)
{
	r->take = NULL;
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	silex_status st = perform(r, path, NULL, NULL, 0, err);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, NULL);
	return st;
}

silex_status app_remote_stream(struct app_remote *r, const char *path, const void *body, size_t n, bool (*take)(void *arg, const char *p, size_t n),
	void *arg, silex_error *err)
{
	r->take = take;
	r->arg = arg;
	return perform(r, path, "json", body, n, err);
}

/* ---- documents ---- */

/* Asks with `request` (stolen; NULL: a GET) and parses the answer; the caller drops it. */
static silex_status ask(struct app_remote *r, const char *path, json_t *request, json_t **ret, silex_error *err)
{
	char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	const char *text;
	size_t n;
	json_error_t why;
	json_decref(request);
	silex_status st = app_remote_request(r, path, body ? "json" : NULL, body, body ? strlen(body) : 0, &text, &n, NULL, err);
	free(body);
	if (st != SILEX_OK)
		return st;
	*ret = json_loadb(text, n, 0, &why);
	if (!*ret)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: the answer is no JSON (%s); is it a Silex server?", r->url, why.text);
	return SILEX_OK;
}

static void set_text(json_t *o, const char *key, const char *value)
{
	if (value)
		json_object_set_new(o, key, json_string(value));
}

static void set_range(json_t *o, int64_t start, int64_t end)
{
	json_object_set_new(o, "unit", json_string("ns"));
	if (start > SLX_TIME_MIN)
		json_object_set_new(o, "start", json_integer(start));
	if (end < SLX_TIME_MAX)
		json_object_set_new(o, "end", json_integer(end));
}

static uint64_t u64(const json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

static double real(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

silex_status app_remote_list_series(struct app_remote *r, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg, silex_error *err)
{
	json_t *request = json_object(), *doc, *series, *value;
	const char *name;
	size_t i;
	bool more = true;
	set_text(request, "selector", selector);
	set_range(request, start, end);
	SLX_TRY(ask(r, API "series", request, &doc, err));
	json_array_foreach(json_object_get(doc, "series"), i, series) {
		silex_label *labels = app_alloc((json_object_size(series) + 1) * sizeof *labels);
		size_t n = 0;
		json_object_foreach(series, name, value)
			labels[n++] = (silex_label){ name, json_string_value(value) };
		more = more && each(arg, labels, n);
		free(labels);
	}
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_texts(struct app_remote *r, const char *path, const char *member, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	json_t *request = selector ? json_object() : NULL, *doc, *text;
	char *full = app_printf(API "%s", path);
	size_t i;
	if (selector)
		set_text(request, "selector", selector);
	silex_status st = ask(r, full, request, &doc, err);
	free(full);
	if (st != SILEX_OK)
		return st;
	json_array_foreach(json_object_get(doc, member), i, text)
		if (!each(arg, json_string_value(text)))
			break;
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_label_values(struct app_remote *r, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	char *name = curl_easy_escape(r->curl, label, 0);
	if (!name)
		return slx_err_oom(err);
	char *path = app_printf("labels/%s/values", name);
	curl_free(name);
	silex_status st = app_remote_texts(r, path, "values", selector, each, arg, err);
	free(path);
	return st;
}

static int64_t time_of(const json_t *o, const char *key)
{
	const char *s = text_of(o, key);
	int64_t t = 0;
	return slx_time_parse(s, strlen(s), SLX_UNIT_AUTO, 0, &t, NULL) == SILEX_OK ? t : 0;
}

static silex_kind kind_of(const char *name)
{
	static const char *const kinds[] = { "", "float64", "int64", "bool", "enum" };
	for (int k = SILEX_FLOAT64; k <= SILEX_ENUM; k++)
		if (strcmp(name, kinds[k]) == 0)
			return (silex_kind)k;
	return SILEX_FLOAT64;
}

silex_status app_remote_series_info(struct app_remote *r, const silex_label *labels, size_t n, silex_series_info *ret, silex_error *err)
{
	struct slx_mem mem;
	struct slx_buf b;
	json_t *doc;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 20);
	app_put_series(&b, labels, n, NULL);
	slx_buf_u8(&b, 0);
	json_t *request = json_object();
	set_text(request, "series", b.failed ? "" : (char *)b.p);
	slx_buf_free(&b);
	SLX_TRY(ask(r, API "series/info", request, &doc, err));
	*ret = (silex_series_info){
		.count = u64(doc, "count"),
		.first_time = time_of(doc, "first_time"),
		.last_time = time_of(doc, "last_time"),
		.first = real(doc, "first"),
		.last = real(doc, "last"),
		.min = real(doc, "min"),
		.max = real(doc, "max"),
		.bytes = u64(doc, "bytes"),
		.chunks = u64(doc, "chunks"),
		.kind = kind_of(text_of(doc, "kind")),
	};
	snprintf(ret->codec, sizeof ret->codec, "%s", text_of(doc, "codec"));
	json_decref(doc);
	return SILEX_OK;
}

static void fill_metrics(struct app_remote *r, const json_t *doc, silex_metrics *m)
{
	const json_t *points = json_object_get(doc, "points"), *bytes = json_object_get(doc, "bytes"), *wal = json_object_get(doc, "wal"),
				 *memory = json_object_get(doc, "memory"), *ingest = json_object_get(doc, "ingest"), *queries = json_object_get(doc, "queries"),
				 *damage = json_object_get(doc, "damage"), *cold = json_object_get(doc, "cold"), *disk = json_object_get(doc, "disk"), *by_use = json_object_get(memory, "by_use"), *bucket;
	size_t i;
	snprintf(r->promise, sizeof r->promise, "%s", text_of(wal, "promise"));
	*m = (silex_metrics){
		.size = m->size,
		.healthy = strcmp(text_of(doc, "status"), "ok") == 0,
		.promise = r->promise,
		.uptime_ms = (int64_t)(real(doc, "uptime_s") * 1e3),
		.tenants = u64(doc, "tenants"),
		.series = u64(doc, "series"),
		.points_head = u64(points, "head"),
		.points_blocks = u64(points, "blocks"),
		.points_ingested = u64(ingest, "accepted"),
		.points_refused = u64(ingest, "refused"),
		.bytes_head = u64(bytes, "head"),
		.bytes_blocks = u64(bytes, "blocks") + u64(bytes, "cold"),
		.bytes_cold = u64(bytes, "cold"),
		.blocks_cold = u64(cold, "blocks"),
		.cold_backlog_blocks = u64(cold, "backlog_blocks"),
		.cold_backlog_bytes = u64(cold, "backlog_bytes"),
		.cold_moves = u64(cold, "moves"),
		.cold_moved_bytes = u64(cold, "moved_bytes"),
		.cold_requests = u64(cold, "requests"),
		.cold_read_bytes = u64(cold, "read_bytes"),
		.cold_errors = u64(cold, "errors"),
		.cold_garbage = u64(cold, "garbage"),
		.cold_removed = u64(cold, "removed"),
		.bytes_wal = u64(bytes, "wal"),
		.blocks = u64(doc, "blocks"),
		.tombstones = u64(doc, "tombstones"),
		.disk_free = u64(disk, "free"),
		.disk_total = u64(disk, "total"),
		.disk_mark = u64(disk, "mark"),
		.ratio = real(doc, "ratio"),
		.wal_segments = u64(wal, "segments"),
		.wal_frames = u64(wal, "frames"),
		.wal_syncs = u64(wal, "syncs"),
		.wal_unsynced_bytes = (int64_t)u64(wal, "unsynced_bytes"),
		.memory_used = u64(memory, "used"),
		.memory_limit = u64(memory, "limit"),
		.memory_cache = u64(by_use, "cache"),
		.memory_query = u64(by_use, "query"),
		.ingest_rate = real(ingest, "rate"),
		.flushes = u64(doc, "flushes"),
		.compactions = u64(doc, "compactions"),
		.queries = u64(queries, "count"),
		.query_mean_ms = real(queries, "mean_s") * 1e3,
		.damaged_pages = u64(damage, "pages"),
		.damaged_frames = u64(damage, "frames"),
		.torn_bytes = u64(damage, "torn_bytes"),
	};
	snprintf(m->health, sizeof m->health, "%s", text_of(doc, "health"));
	snprintf(m->cold_error, sizeof m->cold_error, "%s", text_of(cold, "error"));
	json_array_foreach(json_object_get(queries, "histogram"), i, bucket)
		if (i < SILEX_LATENCY_BUCKETS)
			m->query_latency[i] = u64(bucket, "count");
}

silex_status app_remote_metrics(struct app_remote *r, silex_metrics *ret, silex_error *err)
{
	json_t *doc;
	SLX_TRY(ask(r, API "metrics", NULL, &doc, err));
	fill_metrics(r, doc, ret);
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_tier_move(struct app_remote *r, const silex_tier_options *o, silex_tier_report *ret, silex_error *err)
{
	json_t *request = json_object(), *doc;
	char span[SLX_DURATION_TEXT_SIZE];
	if (o->after_ms) {
		slx_duration_format(o->after_ms * SLX_MS, span);
		set_text(request, "after", span);
	}
	json_object_set_new(request, "remove_now", json_boolean(o->remove_now));
	SLX_TRY(ask(r, API "tier/move", request, &doc, err));
	*ret = (silex_tier_report){ u64(doc, "blocks"), u64(doc, "bytes"), u64(doc, "removed") };
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_delete(struct app_remote *r, const char *selector, int64_t start, int64_t end, const int64_t *before, bool drop,
	uint64_t *ret_points, silex_error *err)
{
	json_t *request = json_object(), *doc;
	if (drop)
		json_object_set_new(request, "drop_tenant", json_true());
	else if (before)
		json_object_set_new(request, "before", json_integer(*before));
	else
		set_text(request, "selector", selector);
	set_range(request, selector ? start : SLX_TIME_MIN, selector ? end : SLX_TIME_MAX);
	SLX_TRY(ask(r, API "delete", request, &doc, err));
	*ret_points = u64(doc, "deleted");
	json_decref(doc);
	return SILEX_OK;
}

/* A text or NULL. */
static const char *text_or_null(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

silex_status app_remote_retention(struct app_remote *r, void (*with)(void *arg, const silex_retention *x), void *arg, silex_error *err)
{
	json_t *doc, *row;
	size_t i;
	silex_retention x;
	SLX_TRY(ask(r, API "retention", NULL, &doc, err));
	const json_t *rules = json_object_get(doc, "rules"), *dedup = json_object_get(doc, "dedup");
	silex_retention_rule *rule = app_alloc((json_array_size(rules) + 1) * sizeof *rule);
	silex_dedup *interval = app_alloc((json_array_size(dedup) + 1) * sizeof *interval);
	silex_retention_init(&x);
	json_array_foreach(rules, i, row)
		rule[i] = (silex_retention_rule){ text_or_null(row, "tenant"), text_or_null(row, "selector"), text_or_null(row, "rollup"),
			(int64_t)u64(row, "keep_ms"), text_or_null(row, "hold") };
	json_array_foreach(dedup, i, row)
		interval[i] = (silex_dedup){ text_or_null(row, "tenant"), (int64_t)u64(row, "interval_ms") };
	x.rules = rule;
	x.n_rules = json_array_size(rules);
	x.dedup = interval;
	x.n_dedup = json_array_size(dedup);
	x.size_max = u64(doc, "size_max");
	x.origin = text_or_null(doc, "origin");
	with(arg, &x);
	free(rule);
	free(interval);
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_apply_retention(struct app_remote *r, bool dry_run, silex_expired_fn each, void *arg, silex_error *err)
{
	json_t *doc, *row;
	size_t i;
	json_t *request = json_pack("{s:b}", "dry_run", dry_run);
	SLX_TRY(ask(r, API "retention/apply", request, &doc, err));
	json_array_foreach(json_object_get(doc, "expired"), i, row) {
		silex_expired x = { text_of(row, "tenant"), text_of(row, "selector"), text_or_null(row, "rollup"), (int64_t)u64(row, "keep_ms"),
			u64(row, "series"), u64(row, "points"), u64(row, "bytes"), time_of(row, "first"), time_of(row, "last") };
		each(arg, &x);
	}
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_rollups(struct app_remote *r, silex_rollup_fn each, void *arg, silex_error *err)
{
	json_t *doc, *row;
	size_t i;
	SLX_TRY(ask(r, API "rollups", NULL, &doc, err));
	json_array_foreach(json_object_get(doc, "rollups"), i, row) {
		silex_rollup x = { text_of(row, "tenant"), text_of(row, "selector"), text_of(row, "level"), (int64_t)u64(row, "width_ms"),
			json_is_string(json_object_get(row, "built")) ? time_of(row, "built") : SILEX_ROLLUP_NOTHING_BUILT, u64(row, "late"), u64(row, "buckets") };
		if (!each(arg, &x))
			break;
	}
	json_decref(doc);
	return SILEX_OK;
}

silex_status app_remote_rollup_rebuild(struct app_remote *r, int64_t from, int64_t to, silex_error *err)
{
	json_t *doc, *request = json_object();
	set_range(request, from, to);
	SLX_TRY(ask(r, API "rollups/rebuild", request, &doc, err));
	json_decref(doc);
	return SILEX_OK;
}

char *app_remote_query_json(const silex_query *q, const char *agg, const char *format)
{
	static const char *const fills[] = { "skip", "null", "previous" };
	json_t *o = json_object(), *selectors = json_array(), *by = json_array();
	char span[SLX_DURATION_TEXT_SIZE];
	for (size_t i = 0; i < q->n_selectors; i++)
		json_array_append_new(selectors, json_string(q->selectors[i]));
	for (size_t i = 0; i < q->n_group_by; i++)
		json_array_append_new(by, json_string(q->group_by[i]));
	json_object_set_new(o, "selector", selectors);
	set_range(o, q->start, q->end);
	set_text(o, "agg", agg);
	if (q->step) {
		slx_duration_format(q->step, span);
		set_text(o, "step", span);
	}
	set_text(o, "fill", fills[q->fill]);
	json_object_set_new(o, "group", json_boolean(q->group));
	json_object_set_new(o, "group_by", by);
	json_object_set_new(o, "limit", json_integer((json_int_t)q->limit));
	set_text(o, "order", q->descending ? "desc" : "asc");
	if (q->timeout_ms) {
		slx_duration_format(q->timeout_ms * SLX_MS, span);
		set_text(o, "timeout", span);
	}
	json_object_set_new(o, "memory_limit", json_integer((json_int_t)q->memory_limit));
	set_text(o, "times", "ns");
	set_text(o, "format", format);
	char *s = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return s ? s : app_alloc(SIZE_MAX);
}
