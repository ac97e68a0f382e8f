/* rules and alerts: parameters here, what there is from those who evaluate rules. */
#include "server/prom/prom_int.h"

enum { VALUES_MAX = 1000 };

/* All values of a parameter. false: the error has been answered. */
static bool values(struct slx_http_exchange *x, const char *name, const struct slx_str **ret, size_t *ret_n)
{
	size_t n = 0;
	while (n < VALUES_MAX && slx_http_param(x, name, n).p)
		n++;
	struct slx_str *v = slx_arena_alloc(slx_http_arena(x), (n + 1) * sizeof *v, 8);
	if (!v) {
		slx_prom_fail(x, SLX_PROM_UNAVAILABLE, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = slx_http_param(x, name, i);
	*ret = v;
	*ret_n = n;
	return true;
}

static bool fail_value(struct slx_http_exchange *x, const char *name, struct slx_str value)
{
	silex_error err;
	slx_err(&err, SILEX_INVALID, "not supported value \"%.*s\"", (int)value.n, value.p);
	slx_prom_fail_param(x, name, &err);
	return false;
}

static bool read_kind(struct slx_http_exchange *x, int *ret)
{
	struct slx_str type = slx_http_param(x, "type", 0);
	*ret = -1;
	if (type.n == 0)
		return true;
	if (slx_str_eq(type, SLX_STR("alert")))
		*ret = SLX_RULE_ALERTING;
	else if (slx_str_eq(type, SLX_STR("record")))
		*ret = SLX_RULE_RECORDING;
	return *ret >= 0 || fail_value(x, "type", type);
}

/* As Go's ParseBool. */
static bool read_bool(struct slx_http_exchange *x, const char *name, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" }, *const no[] = { "0", "f", "F", "false", "FALSE", "False" };
	struct slx_str s = slx_http_param(x, name, 0);
	*ret = false;
	for (size_t i = 0; i < 6; i++) {
		if (slx_str_eq(s, slx_str(yes[i])))
			return *ret = true;
		if (s.n == 0 || slx_str_eq(s, slx_str(no[i])))
			return true;
	}
	return fail_value(x, name, s);
}

void slx_prom_rules(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_rules_filter f = { 0 };
	struct slx_prom_matches m;
	struct slx_answer a;
	silex_error err;
	if (!read_kind(x, &f.kind) || !read_bool(x, "exclude_alerts", &f.exclude_alerts) || !values(x, "rule_name[]", &f.names, &f.n_names) ||
	    !values(x, "rule_group[]", &f.groups, &f.n_groups) || !values(x, "file[]", &f.files, &f.n_files))
		return;
	if (slx_prom_matches_params(p, x, &m, &err) != SILEX_OK) {
		slx_prom_fail_param(x, "match[]", &err);
		slx_prom_matches_free(&m);
		return;
	}
	f.match = m.sel;
	f.n_match = m.n;
	slx_answer_begin_json(&a, p, x);
	const struct slx_prom_rules *r = p->rules;
	if (r)
		r->rules(r->ctx, slx_http_tenant(x), &f, &a.b);
	else
		SLX_JSON_LITERAL(&a.b, "{\"groups\":[]}");
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
	slx_prom_matches_free(&m);
}

void slx_prom_alerts(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_answer a;
	slx_answer_begin_json(&a, p, x);
	const struct slx_prom_rules *r = p->rules;
	if (r)
		r->alerts(r->ctx, slx_http_tenant(x), &a.b);
	else
		SLX_JSON_LITERAL(&a.b, "{\"alerts\":[]}");
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}
