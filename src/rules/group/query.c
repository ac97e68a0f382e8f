#include "rules/group/group_int.h"

silex_status slx_rule_query(const struct slx_rule_group *g, const struct slx_promql_expr *x, int64_t ts_ns, struct slx_promql_result **ret, silex_error *err)
{
	const struct slx_rule_env *env = g->env;
	int64_t ms = slx_window_index(ts_ns, SLX_MS, 0);
	const struct slx_promql_options o = { .who = { .tenant = slx_tenant_name(g->tenant) }, .start_ms = ms, .end_ms = ms, .lookback_ms = env->lookback_ms,
		.subquery_step_ms = env->subquery_step_ms, .experimental = env->experimental, .delayed_name_removal = env->experimental,
		.samples_max = env->samples_max, .timeout_ns = env->timeout_ns, .canceled = env->canceled };
	struct slx_promql_result *r;
	SLX_TRY(slx_promql_run(env->engine, x, &o, &r, err));
	if (r->type != SLX_PROMQL_VECTOR && r->type != SLX_PROMQL_SCALAR) {
		slx_promql_result_free(r);
		return slx_err(err, SILEX_INVALID, "rule result is not a vector or scalar");
	}
	*ret = r;
	return SILEX_OK;
}

size_t slx_rule_samples(const struct slx_promql_result *r) { return r->type == SLX_PROMQL_SCALAR ? 1 : r->n; }

struct slx_promql_series slx_rule_sample(const struct slx_promql_result *r, size_t i)
{
	static const uint8_t none[1] = { 0 };
	if (r->type == SLX_PROMQL_VECTOR)
		return r->series[i];
	return (struct slx_promql_series){ .labels = { none, 1 }, .points = &r->scalar, .n = 1 };
}

static bool has(const struct slx_rule_texts *t, struct slx_str name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slx_str_eq(t->v[i].name, name))
			return true;
	return false;
}

silex_status slx_rule_record_labels(const struct slx_rule_def *d, struct slx_labels sample, struct slx_labels_builder *b, struct slx_arena *a,
	struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_iter it = slx_labels_iter(sample);
	struct slx_label l;
	struct slx_labels made;
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_METRIC_NAME, d->name);
	while (slx_labels_next(&it, &l))
		if (!slx_str_eq(l.name, SLX_METRIC_NAME) && !has(&d->labels, l.name))
			slx_labels_builder_add(b, l.name, l.value);
	for (size_t i = 0; i < d->labels.n; i++)
		slx_labels_builder_add(b, d->labels.v[i].name, d->labels.v[i].value);
	SLX_TRY(slx_labels_builder_finish(b, &made, err));
	uint8_t *p = slx_arena_alloc(a, made.n, 1);
	if (!p)
		return slx_err_oom(err);
	*ret = (struct slx_labels){ memcpy(p, made.p, made.n), made.n };
	return SILEX_OK;
}
