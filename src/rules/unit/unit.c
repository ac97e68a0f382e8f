/* Running tests: time goes from 0 in steps of the evaluation interval; at each step the series' samples up to then come in, the groups
 * are evaluated in their order, and the alerts expected until the next step are compared with those that fire. Expressions are
 * asked at the end. */
#include "rules/unit/unit_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
	struct slx_unit_file *f;
	struct slx_unit_test *t;
	struct slx_mem *mem;
	bool experimental;
	silex_db *db;
	struct slx_engine *engine;
	struct slx_tenant *tenant;
	struct slx_rule_env env;
	struct slx_rule_file **files;
	struct slx_rule_group **groups;
	size_t n_groups;
	struct slx_buf said; /* what differs, for the report */
	unsigned failures;
};

/* ---- saying what differs ---- */

__attribute__((format(printf, 2, 3))) static void put(struct run *r, const char *fmt, ...)
{
	char text[2000];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(&r->said, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static const char *time_text(int64_t ns, char room[SLX_DURATION_TEXT_SIZE])
{
	slx_duration_format(ns, room);
	return room;
}

static void put_alerts(struct run *r, const char *what, const struct slx_unit_alert *a, size_t n)
{
	put(r, "        %s:[", what);
	for (size_t i = 0; i < n; i++) {
		put(r, "%s\n            Labels:", i ? "," : "");
		slx_labels_format(a[i].labels, &r->said);
		put(r, " Annotations:");
		slx_labels_format(a[i].annotations, &r->said);
	}
	put(r, n ? "\n        ]" : "]");
}

static void put_samples(struct run *r, const char *what, const struct slx_unit_sample *s, size_t n)
{
	put(r, "        %s:", what);
	for (size_t i = 0; i < n; i++) {
		put(r, "%s\n            ", i ? "," : "");
		slx_labels_format(s[i].labels, &r->said);
		put(r, " %.17g", s[i].value);
	}
	if (n == 0)
		put(r, " nil");
}

/* ---- set up ---- */

static silex_status open_db(struct run *r, silex_error *err)
{
	silex_options o;
	silex_options_init(&o);
	o.no_background = true;
	o.wal = SILEX_WAL_NONE;
	o.threads = 1;
	SLX_TRY(silex_open(NULL, &o, &r->db, err));
	r->engine = slx_api_engine(r->db);
	SLX_TRY(slx_engine_tenant(r->engine, SLX_STR("default"), &r->tenant, err));
	for (size_t i = 0; i < r->t->n_series; i++)
		r->t->series[i].id = slx_series_id(SLX_STR("default"), r->t->series[i].labels);
	r->env = (struct slx_rule_env){ .engine = r->engine, .external_labels = r->t->external_labels, .external_url = r->t->external_url,
		.interval_ns = r->t->interval_ns, .subquery_step_ms = r->f->interval_ns / SLX_MS, .experimental = r->experimental };
	return SILEX_OK;
}

static size_t rank(const struct run *r, struct slx_str name)
{
	size_t i = 0;
	while (i < r->f->n_order && !slx_str_eq(r->f->order[i], name))
		i++;
	return i < r->f->n_order ? i : 0;
}

/* Into the order that was asked for; groups that it does not name stay as they are. */
static void sort_groups(struct run *r)
{
	for (size_t i = 1; i < r->n_groups; i++) {
		struct slx_rule_group *g = r->groups[i];
		size_t at = i;
		for (; at && rank(r, r->groups[at - 1]->def->name) > rank(r, g->def->name); at--)
			r->groups[at] = r->groups[at - 1];
		r->groups[at] = g;
	}
}

static silex_status load_rules(struct run *r, silex_error *err)
{
	size_t n = 0;
	r->files = slx_calloc(r->mem, SLX_MEM_OTHER, (r->f->n_rule_files + 1) * sizeof *r->files);
	if (!r->files)
		return slx_err_oom(err);
	for (size_t i = 0; i < r->f->n_rule_files; i++) {
		SLX_TRY(slx_rule_file_read(r->mem, r->f->rule_files[i].p, r->experimental, &r->files[i], err));
		n += r->files[i]->n_groups;
	}
	r->groups = slx_arena_alloc(&r->f->arena, (n + 1) * sizeof *r->groups, 8);
	if (!r->groups)
		return slx_err_oom(err);
	for (size_t i = 0; i < r->f->n_rule_files; i++)
		for (size_t k = 0; k < r->files[i]->n_groups; k++) {
			SLX_TRY(slx_rule_group_new(&r->env, SLX_STR("default"), r->files[i], &r->files[i]->groups[k], &r->groups[r->n_groups], err));
			r->n_groups++;
		}
	sort_groups(r);
	return SILEX_OK;
}

static void tear_down(struct run *r)
{
	for (size_t i = 0; i < r->n_groups; i++)
		slx_rule_group_free(r->groups[i]);
	for (size_t i = 0; r->files && i < r->f->n_rule_files; i++)
		slx_rule_file_unref(r->files[i]);
	slx_free(r->mem, SLX_MEM_OTHER, r->files, (r->f->n_rule_files + 1) * sizeof *r->files);
	silex_close(r->db, NULL);
}

/* ---- alerts ---- */

/* The alerts of a name that fire now. */
static silex_status firing(struct run *r, struct slx_str name, struct slx_unit_alert **ret, size_t *ret_n, silex_error *err)
{
	size_t n = 0, max = 1;
	for (size_t i = 0; i < r->n_groups; i++)
		for (size_t k = 0; k < r->groups[i]->def->n_rules; k++)
			max += r->groups[i]->rules[k].alerts.n;
	*ret = slx_arena_alloc(&r->f->arena, max * sizeof **ret, 8);
	if (!*ret)
		return slx_err_oom(err);
	for (size_t i = 0; i < r->n_groups; i++)
		for (size_t k = 0; k < r->groups[i]->def->n_rules; k++) {
			const struct slx_rule_state *s = &r->groups[i]->rules[k];
			for (size_t j = 0; s->def->kind == SLX_RULE_ALERTING && slx_str_eq(s->def->name, name) && j < s->alerts.cap; j++) {
				const struct slx_rule_alert *a = s->alerts.slots[j];
				if (a && a->state == SLX_ALERT_FIRING)
					(*ret)[n++] = (struct slx_unit_alert){ a->labels, a->annotations };
			}
		}
	if (n)
		qsort(*ret, n, sizeof **ret, slx_unit_alert_cmp);
	*ret_n = n;
	return SILEX_OK;
}

static silex_status check_alerts(struct run *r, const struct slx_unit_alert_test *t, silex_error *err)
{
	struct slx_unit_alert *got;
	char at[SLX_DURATION_TEXT_SIZE];
	size_t n = 0;
	SLX_TRY(firing(r, t->alertname, &got, &n, err));
	bool same = n == t->n;
	for (size_t i = 0; same && i < n; i++)
		same = slx_unit_alert_cmp(&got[i], &t->expected[i]) == 0;
	if (same)
		return SILEX_OK;
	r->failures++;
	put(r, "    alertname: %.*s, time: %s,\n", (int)t->alertname.n, t->alertname.p, time_text(t->at_ns, at));
	put_alerts(r, "exp", t->expected, t->n);
	put(r, ",\n");
	put_alerts(r, "got", got, n);
	put(r, "\n");
	return SILEX_OK;
}

/* ---- expressions ---- */

static bool values_equal(const struct run *r, double a, double b)
{
	return a == b || (r->f->fuzzy && (nextafter(a, INFINITY) == b || nextafter(a, -INFINITY) == b));
}

static silex_status ask(struct run *r, const struct slx_unit_expr_test *t, struct slx_unit_sample **ret, size_t *ret_n, struct slx_promql_result **ret_result,
	silex_error *err)
{
	struct slx_promql_expr *x;
	const struct slx_promql_options o = { .who = { .tenant = SLX_STR("default") }, .start_ms = t->at_ns / SLX_MS, .end_ms = t->at_ns / SLX_MS,
		.subquery_step_ms = r->env.subquery_step_ms, .experimental = r->experimental, .delayed_name_removal = r->experimental };
	SLX_TRY(slx_promql_parse(r->mem, t->expr, r->experimental, &x, err));
	silex_status status = slx_promql_run(r->engine, x, &o, ret_result, err);
	slx_promql_free(x);
	SLX_TRY(status);
	const struct slx_promql_result *p = *ret_result;
	if (p->type != SLX_PROMQL_VECTOR && p->type != SLX_PROMQL_SCALAR)
		return slx_err(err, SILEX_INVALID, "rule result is not a vector or scalar");
	size_t n = p->type == SLX_PROMQL_SCALAR ? 1 : p->n;
	*ret = slx_arena_alloc(&r->f->arena, (n + 1) * sizeof **ret, 8);
	if (!*ret)
		return slx_err_oom(err);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = p->type == SLX_PROMQL_SCALAR ? (struct slx_unit_sample){ { (const uint8_t *)"", 1 }, p->scalar.v }
			: (struct slx_unit_sample){ p->series[i].labels, p->series[i].n ? p->series[i].points[0].v : 0 };
	if (n)
		qsort(*ret, n, sizeof **ret, slx_unit_sample_cmp);
	*ret_n = n;
	return SILEX_OK;
}

static void check_expr(struct run *r, const struct slx_unit_expr_test *t)
{
	struct slx_promql_result *result = NULL;
	struct slx_unit_sample *got = NULL;
	char at[SLX_DURATION_TEXT_SIZE];
	size_t n = 0;
	silex_error err = { 0 };
	silex_status status = ask(r, t, &got, &n, &result, &err);
	bool same = status == SILEX_OK && !t->error && n == t->n;
	for (size_t i = 0; same && i < n; i++)
		same = slx_labels_eq(got[i].labels, t->expected[i].labels) && values_equal(r, got[i].value, t->expected[i].value);
	if (!same) {
		r->failures++;
		put(r, "    expr: \"%.*s\", time: %s,", (int)t->expr.n, t->expr.p, time_text(t->at_ns, at));
		if (status != SILEX_OK || t->error) {
			put(r, " err: %s\n", status != SILEX_OK ? err.message : t->error);
		} else {
			put(r, "\n");
			put_samples(r, "exp", t->expected, t->n);
			put(r, "\n");
			put_samples(r, "got", got, n);
			put(r, "\n");
		}
	}
	slx_promql_result_free(result);
}

/* ---- a test ---- */

static int64_t end_of(const struct slx_unit_test *t)
{
	int64_t end = 0;
	for (size_t i = 0; i < t->n_alerts; i++)
		end = t->alerts[i].at_ns > end ? t->alerts[i].at_ns : end;
	for (size_t i = 0; i < t->n_exprs; i++)
		end = t->exprs[i].at_ns > end ? t->exprs[i].at_ns : end;
	return end;
}

/* false: a rule failed, which ends the test. */
static bool evaluate(struct run *r, int64_t ts)
{
	unsigned before = r->failures;
	char at[SLX_DURATION_TEXT_SIZE];
	for (size_t i = 0; i < r->n_groups; i++) {
		slx_rule_group_eval(r->groups[i], ts);
		for (size_t k = 0; k < r->groups[i]->def->n_rules; k++) {
			const struct slx_rule_state *s = &r->groups[i]->rules[k];
			if (s->health != SLX_RULE_ERR)
				continue;
			r->failures++;
			put(r, "    rule: %.*s, time: %s, err: %s\n", (int)s->def->name.n, s->def->name.p, time_text(ts, at), s->error);
		}
	}
	return r->failures == before;
}

static silex_status steps(struct run *r, silex_error *err)
{
	int64_t end = end_of(r->t), step = r->f->interval_ns;
	for (int64_t ts = 0; ts <= end; ts += step) {
		SLX_TRY(slx_unit_load(r->engine, r->tenant, r->t->series, r->t->n_series, r->t->interval_ns, ts, err));
		if (!evaluate(r, ts))
			return SILEX_OK;
		for (size_t i = 0; i < r->t->n_alerts; i++)
			if (r->t->alerts[i].at_ns >= ts && r->t->alerts[i].at_ns < ts + step)
				SLX_TRY(check_alerts(r, &r->t->alerts[i], err));
	}
	for (size_t i = 0; i < r->t->n_exprs; i++)
		check_expr(r, &r->t->exprs[i]);
	return SILEX_OK;
}

static void run_test(struct run *r)
{
	silex_error err = { 0 };
	silex_status status = r->t->error ? slx_err(&err, SILEX_INVALID, "%s", r->t->error) : open_db(r, &err);
	if (status == SILEX_OK)
		status = load_rules(r, &err);
	if (status == SILEX_OK)
		status = steps(r, &err);
	if (status != SILEX_OK) {
		r->failures++;
		put(r, "    %s\n", err.message);
	}
	tear_down(r);
}

static void tell(struct run *r, void (*say)(void *arg, const char *text), void *arg)
{
	if (r->t->name.n) {
		char head[300];
		snprintf(head, sizeof head, "    name: %s,\n", r->t->name.p);
		say(arg, head);
	}
	slx_buf_u8(&r->said, 0);
	if (!r->said.failed)
		say(arg, (const char *)r->said.p);
}

silex_status slx_unit_run(struct slx_mem *m, const char *path, bool experimental, void (*say)(void *arg, const char *text), void *arg,
	struct slx_unit_result *ret, silex_error *err)
{
	struct slx_unit_file *f;
	SLX_TRY(slx_unit_file_read(m, path, &f, err));
	struct slx_unit_result result = { .tests = (unsigned)f->n_tests };
	for (size_t i = 0; i < f->n_tests; i++) {
		struct run r = { .f = f, .t = &f->tests[i], .mem = m, .experimental = experimental };
		slx_buf_init(&r.said, m, SLX_MEM_OTHER, 16 << 20);
		run_test(&r);
		result.failed += r.failures != 0;
		if (r.failures)
			tell(&r, say, arg);
		slx_buf_free(&r.said);
	}
	slx_unit_file_free(f);
	*ret = result;
	return SILEX_OK;
}
