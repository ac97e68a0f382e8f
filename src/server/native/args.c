/* What a request asks for. A GET says it in the query string, a POST in a form or as one JSON object; either way each member ends up
 * as text and is read by one set of functions. Members of a JSON object that are not of the operation are refused by name, and so
 * are members of another JSON type than the operation's; of query strings only the known names are looked at. */
#include "server/native/native_int.h"

#include "formats/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = {
	[SLX_ARG_TEXT] = "a string",
	[SLX_ARG_LIST] = "a string or an array of strings",
	[SLX_ARG_COUNT] = "a whole number of at least 0",
	[SLX_ARG_BOOL] = "true or false",
	[SLX_ARG_TIME] = "a time: RFC 3339, a number with its unit, or now-1h",
	[SLX_ARG_SPAN] = "a duration such as 30s, 5m or 1h",
	[SLX_ARG_REAL] = "a number",
	[SLX_ARG_OBJECT] = "an object of strings",
};

const char *slx_native_zstr(struct slx_http_exchange *x, struct slx_str s)
{
	char *z = slx_arena_alloc(slx_http_arena(x), s.n + 1, 1);
	if (!z)
		return NULL;
	memcpy(z, s.p, s.n);
	z[s.n] = 0;
	return z;
}

static bool out_of_memory(struct slx_http_exchange *x)
{
	silex_error err;
	slx_err_oom(&err);
	slx_native_fail(x, &err);
	return false;
}

/* ---- as JSON ---- */

static bool fits(enum slx_native_type t, char first)
{
	bool number = first == '-' || (first >= '0' && first <= '9');
	switch (t) {
	case SLX_ARG_COUNT:
	case SLX_ARG_REAL:
		return number;
	case SLX_ARG_OBJECT:
		return first == '{';
	case SLX_ARG_BOOL:
		return first == 't' || first == 'f';
	case SLX_ARG_TIME:
		return number || first == '"';
	default:
		return first == '"';
	}
}

/* One value as text: strings without quotes and escapes, numbers and words as written. */
static bool read_scalar(struct slx_json *j, enum slx_native_type t, struct slx_str *ret)
{
	char first = slx_json_peek(j);
	if (!fits(t, first))
		return slx_json_fail(j, j->p, words[t]);
	return first == '"' ? slx_json_string(j, ret) : slx_json_skip(j, ret);
}

static bool read_list(struct slx_json *j, struct slx_arena *arena, struct slx_native_values *to)
{
	struct slx_str list[SLX_NATIVE_LIST_MAX];
	size_t n = 0;
	if (!slx_json_array(j))
		return false;
	while (slx_json_element(j)) {
		if (n == SLX_NATIVE_LIST_MAX)
			return slx_json_fail(j, j->p, "at most 1000 elements");
		if (!read_scalar(j, SLX_ARG_LIST, &list[n++]))
			return false;
	}
	to->v = j->bad ? NULL : slx_arena_alloc(arena, (n + 1) * sizeof *list, 8);
	if (!to->v)
		return slx_json_fail(j, j->p, "more memory");
	memcpy(to->v, list, n * sizeof *list);
	to->n = n;
	return true;
}

static bool read_member(struct slx_json *j, struct slx_arena *arena, enum slx_native_type t, struct slx_native_values *to)
{
	char first = slx_json_peek(j);
	if (first == 'n')
		return slx_json_null(j); /* as if it were absent */
	if (t == SLX_ARG_LIST && first == '[')
		return read_list(j, arena, to);
	to->v = slx_arena_alloc(arena, sizeof *to->v, 8);
	if (!to->v)
		return slx_json_fail(j, j->p, "more memory");
	if (!read_scalar(j, t, to->v))
		return false;
	to->n = 1;
	return true;
}

static bool fail_json(struct slx_http_exchange *x, struct slx_str body, const struct slx_json *j, const char *field)
{
	struct slx_str got = { j->bad, (size_t)(body.p + body.n - j->bad) };
	char where[64];
	snprintf(where, sizeof where, "body at byte %zu", (size_t)(j->bad - body.p) + 1);
	slx_native_fail_field(x, field ? field : where, j->expected, got);
	return false;
}

static bool fail_unknown(struct slx_native_args *a, struct slx_str key)
{
	char field[80], expected[512] = "one of";
	size_t n = strlen(expected);
	snprintf(field, sizeof field, "%.*s", (int)(key.n < 70 ? key.n : 70), key.p);
	for (size_t i = 0; i < a->fields_n; i++)
		if (a->fields[i].name)
			n += (size_t)snprintf(expected + n, sizeof expected - n, "%s %s", i ? "," : "", a->fields[i].name);
	slx_native_fail_field(a->x, field, expected, (struct slx_str){ 0 });
	return false;
}

static bool read_json(struct slx_native_args *a, struct slx_str body)
{
	struct slx_buf text;
	struct slx_arena *arena = slx_http_arena(a->x);
	struct slx_str key;
	/* Unescaped strings live as long as the exchange: the buffer's bytes are the arena's. */
	slx_buf_init(&text, arena->mem, SLX_MEM_OTHER, body.n + 8);
	text.p = slx_arena_alloc(arena, body.n + 8, 8);
	if (!text.p)
		return out_of_memory(a->x);
	text.cap = body.n + 8;
	struct slx_json j = slx_json_init(body.p, body.n, &text);
	slx_json_object(&j);
	while (!j.bad && slx_json_key(&j, &key)) {
		size_t i = 0;
		while (i < a->fields_n && !(a->fields[i].name && slx_str_eq(key, slx_str(a->fields[i].name))))
			i++;
		if (i == a->fields_n)
			return fail_unknown(a, key);
		if (a->values[i].v)
			slx_json_fail(&j, j.p, "each member once");
		else
			read_member(&j, arena, a->fields[i].type, &a->values[i]);
		if (j.bad)
			return fail_json(a->x, body, &j, a->fields[i].name);
	}
	if (!j.bad)
		slx_json_end(&j);
	return !j.bad || fail_json(a->x, body, &j, NULL);
}

/* ---- as parameters ---- */

static bool read_params(struct slx_native_args *a)
{
	for (size_t i = 0; i < a->fields_n; i++) {
		struct slx_str list[SLX_NATIVE_LIST_MAX], s;
		size_t n = 0;
		if (a->values[i].v || !a->fields[i].name)
			continue;
		while (n < SLX_NATIVE_LIST_MAX && (s = slx_http_param(a->x, a->fields[i].name, n)).p)
			list[n++] = s;
		if (n == 0)
			continue;
		if (n > 1 && a->fields[i].type != SLX_ARG_LIST) {
			slx_native_fail_field(a->x, a->fields[i].name, "one value", (struct slx_str){ 0 });
			return false;
		}
		a->values[i].v = slx_arena_alloc(slx_http_arena(a->x), n * sizeof *list, 8);
		if (!a->values[i].v)
			return out_of_memory(a->x);
		memcpy(a->values[i].v, list, n * sizeof *list);
		a->values[i].n = n;
	}
	return true;
}

bool slx_native_args(struct slx_native *n, struct slx_http_exchange *x, const struct slx_native_field *fields, size_t fields_n, struct slx_native_args *ret)
{
	struct slx_str type = slx_http_header(x, "Content-Type"), body = slx_http_body(x);
	*ret = (struct slx_native_args){ .n = n, .x = x, .fields = fields, .fields_n = fields_n };
	/* curl -d says "form" of everything: a form never begins with a brace */
	bool form = type.p && type.n >= 33 && strncasecmp(type.p, "application/x-www-form-urlencoded", 33) == 0 && !(body.n && body.p[0] == '{');
	if (body.n && !form && !read_json(ret, body))
		return false;
	return read_params(ret); /* what the body did not say */
}

/* ---- by type ---- */

static bool fail_type(const struct slx_native_args *a, size_t i, const char *expected)
{
	slx_native_fail_field(a->x, a->fields[i].name, expected, a->values[i].v[0]);
	return false;
}

struct slx_str slx_arg_text(const struct slx_native_args *a, size_t i)
{
	return a->values[i].n ? a->values[i].v[0] : (struct slx_str){ 0 };
}

bool slx_arg_count(const struct slx_native_args *a, size_t i, uint64_t *ret)
{
	struct slx_str s = slx_arg_text(a, i);
	uint64_t v = 0;
	if (!s.p)
		return true;
	for (size_t k = 0; k < s.n; k++)
		if (s.p[k] < '0' || s.p[k] > '9' || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[k] - '0'), &v))
			return fail_type(a, i, words[SLX_ARG_COUNT]);
	if (s.n == 0)
		return fail_type(a, i, words[SLX_ARG_COUNT]);
	*ret = v;
	return true;
}

bool slx_arg_bool(const struct slx_native_args *a, size_t i, bool *ret)
{
	struct slx_str s = slx_arg_text(a, i);
	if (!s.p)
		return true;
	*ret = slx_str_eq(s, SLX_STR("true")) || slx_str_eq(s, SLX_STR("1"));
	return *ret || slx_str_eq(s, SLX_STR("false")) || slx_str_eq(s, SLX_STR("0")) || fail_type(a, i, words[SLX_ARG_BOOL]);
}

bool slx_arg_span(const struct slx_native_args *a, size_t i, int64_t *ret_ns)
{
	struct slx_str s = slx_arg_text(a, i);
	int64_t ns;
	if (!s.p)
		return true;
	if (slx_duration_parse(s.p, s.n, &ns, NULL) != SILEX_OK || ns < 0)
		return fail_type(a, i, words[SLX_ARG_SPAN]);
	*ret_ns = ns;
	return true;
}

bool slx_arg_real(const struct slx_native_args *a, size_t i, double *ret)
{
	struct slx_str s = slx_arg_text(a, i);
	char text[64], *end;
	if (!s.p)
		return true;
	snprintf(text, sizeof text, "%.*s", (int)(s.n < sizeof text ? s.n : sizeof text - 1), s.p);
	double v = strtod(text, &end);
	if (!s.n || s.n >= sizeof text || *end || !isfinite(v))
		return fail_type(a, i, words[SLX_ARG_REAL]);
	*ret = v;
	return true;
}

bool slx_native_unit(struct slx_str name, enum slx_time_unit *ret)
{
	static const char *const names[] = { [SLX_UNIT_NS] = "ns", [SLX_UNIT_US] = "us", [SLX_UNIT_MS] = "ms", [SLX_UNIT_S] = "s" };
	for (int u = SLX_UNIT_NS; u <= SLX_UNIT_S; u++)
		if (slx_str_eq(name, slx_str(names[u]))) {
			*ret = (enum slx_time_unit)u;
			return true;
		}
	return false;
}

bool slx_arg_time(const struct slx_native_args *a, size_t i, size_t unit, int64_t *ret_ns)
{
	struct slx_str s = slx_arg_text(a, i), u = slx_arg_text(a, unit);
	enum slx_time_unit counts = SLX_UNIT_AUTO;
	silex_error err;
	if (u.p && !slx_native_unit(u, &counts))
		return fail_type(a, unit, "ns, us, ms or s");
	if (!s.p || slx_time_parse(s.p, s.n, counts, slx_native_now(a->n), ret_ns, &err) == SILEX_OK)
		return true;
	slx_err_wrap(&err, "%s", a->fields[i].name);
	slx_native_fail_of(a->x, a->fields[i].name, &err);
	return false;
}

bool slx_arg_choice(const struct slx_native_args *a, size_t i, const char *choices, unsigned *ret)
{
	struct slx_str s = slx_arg_text(a, i);
	unsigned k = 0;
	if (!s.p)
		return true;
	for (const char *p = choices;; k++) {
		size_t n = strcspn(p, "|");
		if (slx_str_eq(s, (struct slx_str){ p, n })) {
			*ret = k;
			return true;
		}
		if (!p[n])
			break;
		p += n + 1;
	}
	char expected[160] = "one of ";
	snprintf(expected, sizeof expected, "one of %s", choices);
	return fail_type(a, i, expected);
}

bool slx_arg_selectors(const struct slx_native_args *a, size_t i, struct slx_native_selectors *ret)
{
	const struct slx_native_values *values = &a->values[i];
	silex_error err;
	*ret = (struct slx_native_selectors){ 0 };
	if (values->n == 0)
		return true;
	ret->v = slx_arena_alloc(slx_http_arena(a->x), values->n * sizeof *ret->v, 8);
	if (!ret->v)
		return out_of_memory(a->x);
	for (; ret->n < values->n; ret->n++) {
		ret->v[ret->n] = (struct slx_selector){ 0 };
		if (slx_selector_parse(a->n->core->mem, values->v[ret->n], &ret->v[ret->n], &err) != SILEX_OK) {
			slx_err_wrap(&err, "%s", a->fields[i].name);
			slx_native_fail_of(a->x, a->fields[i].name, &err);
			return false;
		}
	}
	return true;
}

void slx_native_selectors_free(struct slx_native_selectors *s)
{
	for (size_t i = 0; i < s->n; i++)
		slx_selector_free(&s->v[i]);
	s->n = 0;
}
