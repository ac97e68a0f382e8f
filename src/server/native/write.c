/* insert and batch: samples as JSON.
 *
 *     row     {"metric":"hr","labels":{"patient":"p1"},"time":"2024-05-01T10:00:00Z","value":72.5}
 *     series  {"metric":"hr","labels":{..},"times":[..],"values":[..]}
 *     batch   {"rows":[row..],"series":[series..]}         insert: one row
 *
 * `unit` says what numbers in time and times count, for a row, a series or a whole batch; without it they go by their size. `kind`
 * says what values are; without it numbers are float64, true and false bool. null is no sample.
 *
 * The body is read twice by the pull scanner of formats/json.h, without a tree: first to check it, so that a request of a wrong shape
 * stores nothing, then into the intake's batch. Samples that the store cannot take (labels, limits) are refused by themselves. */
#include "server/native/native_int.h"

#include "formats/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_MAX = 1024 };

struct writer {
	struct slx_native *n;
	struct slx_http_exchange *x;
	struct slx_str body;
	struct slx_intake_batch *batch; /* NULL while the request is checked */
	struct slx_tenant *tenant;      /* with a batch */
	struct slx_buf text;            /* unescaped strings */
	int64_t now;
	const char *list;  /* "rows", "series" or NULL: in an insert */
	size_t index;
	bool backfill;     /* asked for */
	bool failed;       /* the error has been answered */
};

/* The members of a row or a series, as written; p NULL: absent. */
struct item {
	struct slx_str metric, labels, time, value, times, values, unit, kind;
	bool columns;
};

/* ---- complaints ---- */

static bool complain(struct writer *w, const char *member, const char *expected, struct slx_str got)
{
	char field[160];
	if (w->list)
		snprintf(field, sizeof field, "%s[%zu]%s%s", w->list, w->index, *member ? "." : "", member);
	else
		snprintf(field, sizeof field, "%s", *member ? member : "body");
	if (!w->failed)
		slx_native_fail_field(w->x, field, expected, got);
	w->failed = true;
	return false;
}

static bool complain_json(struct writer *w, const char *member, const struct slx_json *j)
{
	return complain(w, member, j->expected, (struct slx_str){ j->bad, (size_t)(j->end - j->bad) });
}

/* ---- members ---- */

static bool read_member(struct slx_json *j, struct slx_str key, struct item *it)
{
	const struct {
		struct slx_str name;
		struct slx_str *raw;
		int columns; /* 1: only of a series, 0: only of a row, -1: of both */
	} members[] = {
		{ SLX_STR("metric"), &it->metric, -1 },
		{ SLX_STR("labels"), &it->labels, -1 },
		{ SLX_STR("unit"), &it->unit, -1 },
		{ SLX_STR("kind"), &it->kind, -1 },
		{ SLX_STR("time"), &it->time, 0 },
		{ SLX_STR("value"), &it->value, 0 },
		{ SLX_STR("times"), &it->times, 1 },
		{ SLX_STR("values"), &it->values, 1 },
	};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		if (!slx_str_eq(key, members[i].name) || members[i].columns == !it->columns)
			continue;
		if (members[i].raw->p)
			return slx_json_fail(j, j->p, "each member once");
		return slx_json_skip(j, members[i].raw);
	}
	return slx_json_fail(j, j->p, it->columns ? "no members but metric, labels, unit, kind, times, values" :
											   "no members but metric, labels, unit, kind, time, value");
}

static bool read_item(struct writer *w, struct slx_json *j, struct item *it)
{
	struct slx_str key = { 0 };
	char name[64] = "";
	slx_json_object(j);
	while (!j->bad && slx_json_key(j, &key)) {
		snprintf(name, sizeof name, "%.*s", (int)(key.n < 60 ? key.n : 60), key.p);
		if (!read_member(j, key, it))
			return complain_json(w, name, j);
	}
	if (j->bad)
		return complain_json(w, name, j);
	if (!it->metric.p && !it->labels.p)
		return complain(w, "metric", "a metric name, or labels", (struct slx_str){ 0 });
	if (it->columns ? !it->times.p : !it->value.p)
		return complain(w, it->columns ? "times" : "value", "this member", (struct slx_str){ 0 });
	if (it->columns && !it->values.p)
		return complain(w, "values", "this member", (struct slx_str){ 0 });
	return true;
}

/* ---- the series ---- */

static bool read_string(struct writer *w, const char *member, struct slx_str raw, struct slx_str *ret)
{
	struct slx_json j = slx_json_init(raw.p, raw.n, &w->text);
	return slx_json_string(&j, ret) || complain_json(w, member, &j);
}

static bool read_labels(struct writer *w, const struct item *it, struct slx_label *labels, size_t *ret_n)
{
	struct slx_str name;
	*ret_n = 0;
	if (it->metric.p) {
		labels[0].name = SLX_METRIC_NAME;
		if (!read_string(w, "metric", it->metric, &labels[0].value))
			return false;
		*ret_n = 1;
	}
	if (!it->labels.p)
		return true;
	struct slx_json j = slx_json_init(it->labels.p, it->labels.n, &w->text);
	slx_json_object(&j);
	while (!j.bad && slx_json_key(&j, &name)) {
		if (*ret_n == LABELS_MAX)
			return complain(w, "labels", "fewer labels", (struct slx_str){ 0 });
		labels[*ret_n].name = name;
		if (!slx_json_string(&j, &labels[(*ret_n)++].value)) {
			char member[96];
			snprintf(member, sizeof member, "labels.%.*s", (int)(name.n < 80 ? name.n : 80), name.p);
			return complain_json(w, member, &j);
		}
	}
	return !j.bad || complain_json(w, "labels", &j);
}

/* The number of the series; false: refused (counted as n samples), or complained about. */
static bool find_series(struct writer *w, const struct item *it, uint64_t n, uint32_t *ret)
{
	struct slx_label labels[LABELS_MAX];
	size_t labels_n;
	silex_error err;
	struct slx_buf *key = w->batch ? slx_intake_scratch(w->batch) : NULL;
	if (key) {
		slx_native_put(key, "native %zu ", it->metric.n);
		slx_buf_put(key, it->metric.p, it->metric.n);
		slx_buf_put(key, it->labels.p, it->labels.n);
		if (!key->failed && slx_intake_lookup(w->batch, slx_intake_key(SLX_SPACE_JSON, key->p, key->n), ret) == SILEX_OK)
			return true;
	}
	if (!read_labels(w, it, labels, &labels_n) || !w->batch)
		return !w->failed;
	silex_status st = key->failed ? slx_err_oom(&err) : slx_intake_define(w->batch, slx_intake_key(SLX_SPACE_JSON, key->p, key->n), labels, labels_n, ret, &err);
	if (st != SILEX_OK)
		slx_intake_refuse(w->batch, n, st, labels, labels_n, err.message);
	return st == SILEX_OK;
}

/* ---- times and values ---- */

static bool read_unit(struct writer *w, struct slx_str raw, enum slx_time_unit *ret)
{
	struct slx_str s;
	if (!raw.p)
		return true;
	return read_string(w, "unit", raw, &s) && (slx_native_unit(s, ret) || complain(w, "unit", "ns, us, ms or s", raw));
}

static bool read_kind(struct writer *w, struct slx_str raw, int *ret)
{
	struct slx_str s;
	enum slx_kind k;
	if (!raw.p)
		return true;
	if (!read_string(w, "kind", raw, &s))
		return false;
	if (slx_kind_parse(s, &k, NULL) != SILEX_OK || slx_kind_is_bytes(k))
		return complain(w, "kind", "float64, int64, bool or enum", raw);
	*ret = (int)k;
	return true;
}

static bool read_time(struct writer *w, struct slx_json *j, const char *member, enum slx_time_unit unit, int64_t *ret)
{
	struct slx_str s;
	slx_json_peek(j);
	const char *at = j->p;
	bool ok = slx_json_peek(j) == '"' ? slx_json_string(j, &s) : slx_json_number(j, &s);
	if (!ok)
		return complain_json(w, member, j);
	return slx_time_parse(s.p, s.n, unit, w->now, ret, NULL) == SILEX_OK ||
		complain(w, member, "a time of the years 1677 to 2262: RFC 3339, or a number with its unit", (struct slx_str){ at, (size_t)(j->p - at) });
}

enum value { VALUE_SAMPLE, VALUE_NULL, VALUE_BAD, VALUE_REFUSED };

static enum value fail_value(struct writer *w, const char *member, const char *expected, struct slx_str raw)
{
	complain(w, member, expected, raw);
	return VALUE_BAD;
}

/* A state's text becomes its number in the tenant's dictionary. */
static enum value read_state(struct writer *w, struct slx_str text, const char *member, struct slx_str raw, uint64_t *ret)
{
	uint32_t state = 0;
	silex_error err;
	if (text.n == 0)
		return fail_value(w, member, "the text of a state", raw);
	if (!w->batch)
		return VALUE_SAMPLE;
	silex_status st = slx_engine_state(slx_native_engine(w->n), w->tenant, text, &state, &err);
	if (st != SILEX_OK)
		slx_intake_refuse(w->batch, 1, st, NULL, 0, err.message);
	*ret = state;
	return st == SILEX_OK ? VALUE_SAMPLE : VALUE_REFUSED;
}

static bool read_special(struct slx_str s, double *ret)
{
	bool inf = slx_str_eq(s, SLX_STR("+Inf")) || slx_str_eq(s, SLX_STR("Inf"));
	if (!inf && !slx_str_eq(s, SLX_STR("-Inf")) && !slx_str_eq(s, SLX_STR("NaN")))
		return false;
	*ret = inf ? INFINITY : s.p[0] == '-' ? -INFINITY : NAN;
	return true;
}

static bool whole_number(struct slx_str s, int64_t *ret)
{
	char text[32], *end;
	if (s.n >= sizeof text || memchr(s.p, '.', s.n) || memchr(s.p, 'e', s.n) || memchr(s.p, 'E', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return errno == 0 && !*end;
}

static bool real_number(struct slx_str s, double *ret)
{
	char text[400], *end;
	if (s.n >= sizeof text)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	*ret = strtod(text, &end);
	return !*end && isfinite(*ret);
}

static enum value read_text_value(struct writer *w, struct slx_json *j, const char *member, int want, enum slx_kind *kind, uint64_t *bits)
{
	struct slx_str s;
	double v;
	const char *at = j->p;
	if (!slx_json_string(j, &s)) {
		complain_json(w, member, j);
		return VALUE_BAD;
	}
	struct slx_str raw = { at, (size_t)(j->p - at) };
	if (want == SLX_KIND_ENUM) {
		*kind = SLX_KIND_ENUM;
		return read_state(w, s, member, raw, bits);
	}
	if (want == SLX_KIND_INT64 || want == SLX_KIND_BOOL || !read_special(s, &v))
		return fail_value(w, member, want == SLX_KIND_INT64 ? "a whole number" : want == SLX_KIND_BOOL ? "true or false" :
			"a number, \"NaN\", \"+Inf\" or \"-Inf\"; texts need \"kind\":\"enum\"", raw);
	*kind = SLX_KIND_FLOAT64;
	*bits = slx_f64_bits(v);
	return VALUE_SAMPLE;
}

/* want: the kind that was asked for, -1: what the value looks like. */
static enum value read_value(struct writer *w, struct slx_json *j, const char *member, int want, enum slx_kind *kind, uint64_t *bits)
{
	struct slx_str s;
	int64_t i;
	double v;
	bool b;
	char first = slx_json_peek(j);
	const char *at = j->p;
	*bits = 0;
	if (first == 'n')
		return slx_json_null(j) ? VALUE_NULL : (complain_json(w, member, j), VALUE_BAD);
	if (first == '"')
		return read_text_value(w, j, member, want, kind, bits);
	if ((first == 't' || first == 'f') && (want < 0 || want == SLX_KIND_BOOL)) {
		*kind = SLX_KIND_BOOL;
		if (!slx_json_bool(j, &b))
			return complain_json(w, member, j), VALUE_BAD;
		*bits = b;
		return VALUE_SAMPLE;
	}
	if (want == SLX_KIND_BOOL || want == SLX_KIND_ENUM || !slx_json_number(j, &s))
		return fail_value(w, member, want == SLX_KIND_BOOL ? "true or false" : want == SLX_KIND_ENUM ? "a string" : "a number",
			(struct slx_str){ at, (size_t)(j->end - at) });
	bool whole = whole_number(s, &i);
	if (want == SLX_KIND_INT64 && !whole)
		return fail_value(w, member, "a whole number that fits 64 bits", s);
	if (want == SLX_KIND_INT64 || (want < 0 && whole && (i > INT64_C(1) << 53 || i < -(INT64_C(1) << 53)))) {
		*kind = SLX_KIND_INT64; /* a double would round it */
		*bits = (uint64_t)i;
		return VALUE_SAMPLE;
	}
	if (!real_number(s, &v))
		return fail_value(w, member, "a number that fits a double", s);
	*kind = SLX_KIND_FLOAT64;
	*bits = slx_f64_bits(v);
	return VALUE_SAMPLE;
}

/* ---- rows and series ---- */

static bool put_row(struct writer *w, const struct item *it, enum slx_time_unit unit, int want)
{
	struct slx_json t = slx_json_init(it->time.p, it->time.n, &w->text), v = slx_json_init(it->value.p, it->value.n, &w->text);
	int64_t time = w->now;
	enum slx_kind kind;
	uint64_t bits;
	uint32_t series = 0;
	if (it->time.p && !read_time(w, &t, "time", unit, &time))
		return false;
	enum value got = read_value(w, &v, "value", want, &kind, &bits);
	if (got == VALUE_BAD)
		return false;
	if (find_series(w, it, got == VALUE_SAMPLE, &series) && w->batch && got == VALUE_SAMPLE)
		slx_intake_value(w->batch, series, time, kind, bits);
	return !w->failed;
}

static bool next_of_both(struct writer *w, struct slx_json *times, struct slx_json *values, bool *ret)
{
	bool t = slx_json_element(times), v = slx_json_element(values);
	if (times->bad || values->bad)
		return times->bad ? complain_json(w, "times", times) : complain_json(w, "values", values);
	if (t != v)
		return complain(w, "values", "as many as times", (struct slx_str){ 0 });
	*ret = t;
	return true;
}

static uint64_t count_elements(struct writer *w, struct slx_str raw)
{
	struct slx_json j = slx_json_init(raw.p, raw.n, &w->text);
	uint64_t n = 0;
	for (slx_json_array(&j); slx_json_element(&j) && slx_json_skip(&j, NULL);)
		n++;
	return n;
}

static bool put_columns(struct writer *w, const struct item *it, enum slx_time_unit unit, int want)
{
	struct slx_json times = slx_json_init(it->times.p, it->times.n, &w->text), values = slx_json_init(it->values.p, it->values.n, &w->text);
	size_t labels_end;
	uint32_t series = 0;
	bool more;
	if (!slx_json_array(&times) || !slx_json_array(&values))
		return times.bad ? complain_json(w, "times", &times) : complain_json(w, "values", &values);
	if (!find_series(w, it, w->batch ? count_elements(w, it->values) : 0, &series))
		return !w->failed;
	for (labels_end = w->text.n;; w->text.n = labels_end) {
		int64_t time;
		enum slx_kind kind;
		uint64_t bits;
		if (!next_of_both(w, &times, &values, &more))
			return false;
		if (!more)
			return true;
		if (!read_time(w, &times, "times", unit, &time))
			return false;
		enum value got = read_value(w, &values, "values", want, &kind, &bits);
		if (got == VALUE_BAD)
			return false;
		if (w->batch && got == VALUE_SAMPLE)
			slx_intake_value(w->batch, series, time, kind, bits);
	}
}

static bool put_item(struct writer *w, struct slx_json *j, bool columns, enum slx_time_unit unit)
{
	struct item it = { .columns = columns };
	int kind = -1;
	w->text.n = 0;
	if (!read_item(w, j, &it) || !read_unit(w, it.unit, &unit) || !read_kind(w, it.kind, &kind))
		return false;
	return columns ? put_columns(w, &it, unit, kind) : put_row(w, &it, unit, kind);
}

static bool put_list(struct writer *w, const char *name, struct slx_str raw, enum slx_time_unit unit)
{
	struct slx_json j = slx_json_init(raw.p, raw.n, &w->text);
	w->list = NULL;
	if (!slx_json_array(&j))
		return complain_json(w, name, &j);
	w->list = name;
	for (w->index = 0; slx_json_element(&j); w->index++)
		if (!put_item(w, &j, strcmp(name, "series") == 0, unit))
			return false;
	w->list = NULL;
	return !j.bad || complain_json(w, name, &j);
}

static bool put_insert(struct writer *w)
{
	struct slx_json j = slx_json_init(w->body.p, w->body.n, &w->text);
	return put_item(w, &j, false, SLX_UNIT_AUTO) && (slx_json_end(&j) || complain_json(w, "", &j));
}

static bool put_batch(struct writer *w)
{
	struct slx_json j = slx_json_init(w->body.p, w->body.n, &w->text);
	struct slx_str key, rows = { 0 }, series = { 0 }, raw_unit = { 0 };
	enum slx_time_unit unit = SLX_UNIT_AUTO;
	w->text.n = 0;
	slx_json_object(&j);
	while (!j.bad && slx_json_key(&j, &key)) {
		struct slx_str *to = slx_str_eq(key, SLX_STR("rows")) ? &rows : slx_str_eq(key, SLX_STR("series")) ? &series
			: slx_str_eq(key, SLX_STR("unit")) ? &raw_unit : NULL;
		char name[64];
		snprintf(name, sizeof name, "%.*s", (int)(key.n < 60 ? key.n : 60), key.p);
		if (!to)
			return complain(w, name, "no members but rows, series, unit", (struct slx_str){ 0 });
		if (to->p ? !slx_json_fail(&j, j.p, "each member once") : !slx_json_skip(&j, to))
			return complain_json(w, name, &j);
	}
	if (j.bad || !slx_json_end(&j))
		return complain_json(w, "", &j);
	if (!rows.p && !series.p)
		return complain(w, "rows", "rows or series", (struct slx_str){ 0 });
	return read_unit(w, raw_unit, &unit) && (!rows.p || put_list(w, "rows", rows, unit)) && (!series.p || put_list(w, "series", series, unit));
}

/* ---- the request ---- */

static silex_status store(struct writer *w, bool (*put)(struct writer *w), struct slx_intake_result *ret, silex_error *err)
{
	SLX_TRY(slx_engine_tenant(slx_native_engine(w->n), slx_http_tenant(w->x), &w->tenant, err));
	SLX_TRY(slx_intake_begin(atomic_load(&w->n->intake), slx_http_tenant(w->x), &w->batch, err));
	if (w->backfill)
		slx_intake_backfill(w->batch);
	if (!put(w)) { /* it was good a moment ago */
		slx_intake_abandon(w->batch);
		return slx_err_oom(err);
	}
	return slx_intake_commit(w->batch, ret, err);
}

static void answer(struct writer *w, const struct slx_intake_result *r)
{
	struct slx_buf b;
	if (r->refused) {
		slx_native_fail_write(w->x, r);
		return;
	}
	slx_buf_init(&b, w->n->core->mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"accepted\":%llu,\"refused\":0}\n", (unsigned long long)r->samples);
	slx_http_reply(w->x, 200, "application/json", &b);
}

static void handle(struct slx_native *n, struct slx_http_exchange *x, bool (*put)(struct writer *w))
{
	struct writer w = { .n = n, .x = x, .body = slx_http_body(x), .now = slx_native_now(n) };
	struct slx_intake_result result;
	silex_error err;
	slx_buf_init(&w.text, n->core->mem, SLX_MEM_OTHER, w.body.n + 64);
	if (!atomic_load(&n->intake)) {
		slx_err(&err, SILEX_UNAVAILABLE, "the database is not open yet; try again");
		slx_native_fail(x, &err);
	} else if (!slx_buf_reserve(&w.text, w.body.n + 64)) {
		slx_err_oom(&err);
		slx_native_fail(x, &err);
	} else if (slx_intake_read_backfill(slx_http_param(x, "backfill", 0), &w.backfill, &err) != SILEX_OK) {
		slx_native_fail_of(x, "backfill", &err);
	} else if (put(&w)) {
		if (store(&w, put, &result, &err) == SILEX_OK)
			answer(&w, &result);
		else if (!w.failed)
			slx_native_fail(x, &err);
	}
	slx_buf_free(&w.text);
}

void slx_native_insert(void *ctx, struct slx_http_exchange *x) { handle(ctx, x, put_insert); }

void slx_native_batch(void *ctx, struct slx_http_exchange *x) { handle(ctx, x, put_batch); }
