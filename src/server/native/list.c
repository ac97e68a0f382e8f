/* What there is: series, facts of one, label names and values, tenants. */
#include "server/native/native_int.h"

#include <stdio.h>

struct listing {
	struct slx_native_answer a;
	uint64_t n, limit;
	bool gone;
};

/* A C string of the tenant's name, as the C API wants it. */
static const char *tenant_of(struct slx_http_exchange *x) { return slx_native_zstr(x, slx_http_tenant(x)); }

static bool room(struct listing *l)
{
	if (l->limit && l->n == l->limit)
		return false;
	slx_native_put_text(&l->a.b, l->n++ ? ",\n" : "\n");
	return true;
}

static bool add_text(void *arg, const char *text)
{
	struct listing *l = arg;
	if (!room(l))
		return false;
	slx_json_text(&l->a.b, slx_str(text));
	return slx_native_answer_spill(&l->a);
}

static bool add_series(void *arg, const silex_label *labels, size_t n)
{
	struct listing *l = arg;
	if (!room(l))
		return false;
	for (size_t i = 0; i < n; i++) {
		slx_buf_u8(&l->a.b, i ? ',' : '{');
		slx_json_text(&l->a.b, slx_str(labels[i].name));
		slx_buf_u8(&l->a.b, ':');
		slx_json_text(&l->a.b, slx_str(labels[i].value));
	}
	slx_buf_u8(&l->a.b, '}');
	return slx_native_answer_spill(&l->a);
}

static void begin(struct listing *l, struct slx_native *n, struct slx_http_exchange *x, const char *key)
{
	slx_native_answer_begin(&l->a, n, x, "application/json");
	slx_native_put(&l->a.b, "{\"%s\":[", key);
}

/* A failure after the first piece went out leaves "error" at the end. */
static void end(struct listing *l, silex_status st, const silex_error *err)
{
	if (st != SILEX_OK && !l->a.streaming) {
		slx_native_answer_drop(&l->a);
		slx_native_fail(l->a.x, err);
		return;
	}
	slx_native_put_text(&l->a.b, "\n]");
	if (st != SILEX_OK) {
		slx_native_put_text(&l->a.b, ",\"error\":");
		slx_native_put_problem(&l->a.b, err);
	}
	slx_native_put_text(&l->a.b, "}\n");
	slx_native_answer_end(&l->a);
}

/* ---- series, label names, label values ---- */

enum { SELECTOR, LIMIT, START, END, UNIT };

static const struct slx_native_field list_fields[] = {
	[SELECTOR] = { "selector", SLX_ARG_TEXT },
	[LIMIT] = { "limit", SLX_ARG_COUNT },
	[START] = { "start", SLX_ARG_TIME },
	[END] = { "end", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
};
enum { WITHOUT_TIMES = START, WITH_TIMES = UNIT + 1 };

/* The selector is read twice: here, so that a fault names the field, and by the call that uses it. */
static bool list_args(struct slx_native *n, struct slx_http_exchange *x, size_t fields, struct slx_native_args *a, struct listing *l, const char **ret)
{
	struct slx_native_selectors s = { 0 };
	if (!slx_native_args(n, x, list_fields, fields, a))
		return false;
	bool ok = slx_arg_selectors(a, SELECTOR, &s) && slx_arg_count(a, LIMIT, &l->limit);
	slx_native_selectors_free(&s);
	struct slx_str text = slx_arg_text(a, SELECTOR);
	*ret = text.p ? slx_native_zstr(x, text) : NULL;
	return ok;
}

void slx_native_series(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct listing l = { 0 };
	const char *selector;
	silex_error err;
	int64_t start = SLX_TIME_MIN, finish = SLX_TIME_MAX;
	if (!list_args(n, x, WITH_TIMES, &a, &l, &selector) || !slx_arg_time(&a, START, UNIT, &start) || !slx_arg_time(&a, END, UNIT, &finish))
		return;
	begin(&l, n, x, "series");
	end(&l, silex_list_series(slx_core_db(n->core), tenant_of(x), selector, start, finish, add_series, &l, &err), &err);
}

void slx_native_labels(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct listing l = { 0 };
	const char *selector;
	silex_error err;
	if (!list_args(n, x, WITHOUT_TIMES, &a, &l, &selector))
		return;
	begin(&l, n, x, "labels");
	end(&l, silex_label_names(slx_core_db(n->core), tenant_of(x), selector, add_text, &l, &err), &err);
}

void slx_native_label_values(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct listing l = { 0 };
	const char *selector;
	silex_error err;
	if (!list_args(n, x, WITHOUT_TIMES, &a, &l, &selector))
		return;
	begin(&l, n, x, "values");
	end(&l, silex_label_values(slx_core_db(n->core), tenant_of(x), slx_native_zstr(x, slx_http_segment(x, "name")), selector, add_text, &l, &err), &err);
}

void slx_native_tenants(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct listing l = { 0 };
	silex_error err;
	begin(&l, n, x, "tenants");
	end(&l, silex_list_tenants(slx_core_db(n->core), add_text, &l, &err), &err);
}

/* ---- one series ---- */

static const struct slx_native_field info_fields[] = { { "series", SLX_ARG_TEXT } };

/* name{a="b"} -> the labels as the C API takes them, in the arena. */
static silex_status parse_series(struct slx_http_exchange *x, struct slx_labels_builder *b, struct slx_str text, silex_label **ret, size_t *ret_n, silex_error *err)
{
	struct slx_labels set;
	size_t i = 0;
	SLX_TRY(slx_labels_parse_text(b, text, &set, err));
	*ret_n = slx_labels_count(set);
	*ret = slx_arena_alloc(slx_http_arena(x), (*ret_n + 1) * sizeof **ret, 8);
	if (!*ret)
		return slx_err_oom(err);
	struct slx_labels_iter it = slx_labels_iter(set);
	for (struct slx_label l; slx_labels_next(&it, &l); i++) {
		(*ret)[i] = (silex_label){ slx_native_zstr(x, l.name), slx_native_zstr(x, l.value) };
		if (!(*ret)[i].name || !(*ret)[i].value)
			return slx_err_oom(err);
	}
	return SILEX_OK;
}

static void put_time(struct slx_buf *b, const char *key, int64_t t)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(t, text);
	slx_native_put(b, ",\"%s\":\"%s\"", key, text);
}

static void put_real(struct slx_buf *b, const char *key, double v)
{
	slx_native_put(b, ",\"%s\":", key);
	slx_native_put_real(b, v);
}

static void put_info(struct slx_buf *b, const silex_label *labels, size_t n, const silex_series_info *s)
{
	static const char *const kinds[] = { [SILEX_FLOAT64] = "float64", [SILEX_INT64] = "int64", [SILEX_BOOL] = "bool", [SILEX_ENUM] = "enum" };
	slx_native_put_text(b, "{\"labels\":{");
	for (size_t i = 0; i < n; i++) {
		if (i)
			slx_buf_u8(b, ',');
		slx_json_text(b, slx_str(labels[i].name));
		slx_buf_u8(b, ':');
		slx_json_text(b, slx_str(labels[i].value));
	}
	slx_native_put(b, "},\"kind\":\"%s\",\"count\":%llu", s->kind ? kinds[s->kind] : "other", (unsigned long long)s->count);
	put_time(b, "first_time", s->first_time);
	put_time(b, "last_time", s->last_time);
	bool numbers = s->kind && s->kind != SILEX_ENUM;
	put_real(b, "first", numbers ? s->first : (double)NAN);
	put_real(b, "last", numbers ? s->last : (double)NAN);
	put_real(b, "min", numbers ? s->min : (double)NAN);
	put_real(b, "max", numbers ? s->max : (double)NAN);
	slx_native_put(b, ",\"bytes\":%llu,\"chunks\":%llu,\"codec\":", (unsigned long long)s->bytes, (unsigned long long)s->chunks);
	slx_json_text(b, slx_str(s->codec));
	slx_native_put_text(b, "}\n");
}

void slx_native_series_info(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_native_answer answer;
	struct slx_labels_builder builder;
	silex_series_info info;
	silex_label *labels;
	size_t labels_n;
	silex_error err;
	if (!slx_native_args(n, x, info_fields, 1, &a))
		return;
	if (!a.values[0].n) {
		slx_native_fail_field(x, "series", "the labels of one series, such as hr{ward=\"3\"}", (struct slx_str){ 0 });
		return;
	}
	slx_labels_builder_init(&builder, n->core->mem, SLX_MEM_OTHER, NULL);
	silex_status st = parse_series(x, &builder, slx_arg_text(&a, 0), &labels, &labels_n, &err);
	if (st == SILEX_OK && labels_n == 0)
		st = slx_err(&err, SILEX_INVALID, "series: expected at least one label");
	if (st == SILEX_OK)
		st = silex_series_info_get(slx_core_db(n->core), tenant_of(x), labels, labels_n, &info, &err);
	slx_labels_builder_free(&builder);
	if (st != SILEX_OK) {
		slx_native_fail_of(x, "series", &err);
		return;
	}
	slx_native_answer_begin(&answer, n, x, "application/json");
	put_info(&answer.b, labels, labels_n, &info);
	slx_native_answer_end(&answer);
}
