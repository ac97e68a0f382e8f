/* Alerting rules: the result of the query against what was active before.
 *
 *     found,     not active   pending since ts; firing when `for` is 0
 *     found,     pending      firing once it has held for `for`
 *     found,     firing       stays
 *     not found, pending      gone
 *     not found, firing       stays for keep_firing_for, then inactive: kept for a while as resolved
 *
 * The next state of each alert is worked out first; it holds only after the changes are in the journal. A clock set back begins the
 * wait of a pending alert anew: it does not hold longer than it did. */
#include "rules/group/group_int.h"

enum { RESOLVED_KEEP_MINUTES = 15, TEXT_MAX = 1 << 20 };

struct evaluation {
	struct slx_rule_group *g;
	struct slx_rule_state *s;
	int64_t ts;
	struct slx_arena arena;
	struct slx_labels_builder b;
	struct slx_rule_table found; /* of struct slx_rule_alert, as the query has them now */
	silex_error *err;
};

static void free_alert(struct slx_mem *m, struct slx_rule_alert *a)
{
	slx_free(m, SLX_MEM_OTHER, (void *)a->annotations.p, a->annotations.n);
	slx_free(m, SLX_MEM_OTHER, a, a->size);
}

static silex_status new_alert(struct slx_mem *m, struct slx_labels labels, struct slx_labels annotations, struct slx_rule_alert **ret, silex_error *err)
{
	struct slx_rule_alert *a = slx_calloc(m, SLX_MEM_OTHER, sizeof *a + labels.n);
	uint8_t *p = a ? slx_alloc(m, SLX_MEM_OTHER, annotations.n) : NULL;
	if (!p) {
		slx_free(m, SLX_MEM_OTHER, a, sizeof *a + labels.n);
		return slx_err_oom(err);
	}
	a->size = sizeof *a + labels.n;
	a->id = slx_hash128(labels.p, labels.n, 0);
	a->labels = (struct slx_labels){ memcpy(a + 1, labels.p, labels.n), labels.n };
	a->annotations = (struct slx_labels){ memcpy(p, annotations.p, annotations.n), annotations.n };
	*ret = a;
	return SILEX_OK;
}

/* ---- templates ---- */

static silex_status ask(void *ctx, struct slx_str expr, struct slx_arena *arena, struct slx_template_sample **ret, size_t *ret_n, silex_error *err)
{
	const struct evaluation *e = ctx;
	struct slx_promql_expr *x;
	struct slx_promql_result *r = NULL;
	SLX_TRY(slx_promql_parse(e->g->mem, expr, e->g->env->experimental, &x, err));
	silex_status status = slx_rule_query(e->g, x, e->ts, &r, err);
	size_t n = r ? slx_rule_samples(r) : 0;
	*ret = slx_arena_alloc(arena, (n + 1) * sizeof **ret, 8);
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		struct slx_promql_series s = slx_rule_sample(r, i);
		uint8_t *p = slx_arena_alloc(arena, s.labels.n, 1);
		if (!*ret || !p)
			status = slx_err_oom(err);
		else
			(*ret)[i] = (struct slx_template_sample){ { memcpy(p, s.labels.p, s.labels.n), s.labels.n }, s.n ? s.points[0].v : 0 };
	}
	*ret_n = n;
	slx_promql_result_free(r);
	slx_promql_free(x);
	return status == SILEX_OK && !*ret ? slx_err_oom(err) : status;
}

/* The value of a label or annotation, expanded; an error is its text. */
static silex_status expand(struct evaluation *e, const struct slx_rule_text *t, const struct slx_promql_series *sample, struct slx_str *ret)
{
	struct slx_template_data d = { .labels = sample->labels, .value = sample->n ? sample->points[0].v : 0, .external_labels = e->g->env->external_labels,
		.external_url = e->g->env->external_url, .query = ask, .ctx = e };
	struct slx_buf out;
	silex_error why;
	*ret = t->value;
	if (!t->template)
		return SILEX_OK;
	slx_buf_init(&out, e->g->mem, SLX_MEM_QUERY, TEXT_MAX);
	if (slx_template_run(t->template, &d, &out, &why) != SILEX_OK || out.failed) {
		slx_buf_reset(&out);
		slx_buf_put(&out, "<error expanding template: ", 27);
		slx_buf_put(&out, why.message, strlen(why.message));
		slx_buf_u8(&out, '>');
	}
	char *p = slx_arena_alloc(&e->arena, out.n + 1, 1);
	if (p && out.n)
		memcpy(p, out.p, out.n);
	*ret = (struct slx_str){ p, out.n };
	slx_buf_free(&out);
	return p ? SILEX_OK : slx_err_oom(e->err);
}

static silex_status add_texts(struct evaluation *e, const struct slx_rule_texts *t, const struct slx_promql_series *sample)
{
	for (size_t i = 0; i < t->n; i++) {
		struct slx_str value;
		SLX_TRY(expand(e, &t->v[i], sample, &value));
		if (!slx_str_eq(t->v[i].name, SLX_STR("alertname")))
			slx_labels_builder_add(&e->b, t->v[i].name, value);
	}
	return SILEX_OK;
}

static silex_status keep(struct evaluation *e, struct slx_labels *ret)
{
	struct slx_labels l;
	SLX_TRY(slx_labels_builder_finish(&e->b, &l, e->err));
	uint8_t *p = slx_arena_alloc(&e->arena, l.n, 1);
	if (!p)
		return slx_err_oom(e->err);
	*ret = (struct slx_labels){ memcpy(p, l.p, l.n), l.n };
	return SILEX_OK;
}

static bool set_by_rule(const struct slx_rule_texts *t, struct slx_str name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slx_str_eq(t->v[i].name, name))
			return true;
	return slx_str_eq(name, SLX_STR("alertname")) || slx_str_eq(name, SLX_METRIC_NAME);
}

static silex_status alert_labels(struct evaluation *e, const struct slx_promql_series *sample, struct slx_labels *ret)
{
	const struct slx_rule_def *d = e->s->def;
	struct slx_labels_iter it = slx_labels_iter(sample->labels);
	struct slx_label l;
	slx_labels_builder_reset(&e->b);
	while (slx_labels_next(&it, &l))
		if (!set_by_rule(&d->labels, l.name))
			slx_labels_builder_add(&e->b, l.name, l.value);
	SLX_TRY(add_texts(e, &d->labels, sample));
	slx_labels_builder_add(&e->b, SLX_STR("alertname"), d->name);
	return keep(e, ret);
}

/* ---- what the query finds ---- */

static silex_status find_one(struct evaluation *e, const struct slx_promql_series *sample)
{
	struct slx_labels labels, annotations;
	struct slx_rule_alert *a;
	SLX_TRY(alert_labels(e, sample, &labels));
	slx_labels_builder_reset(&e->b);
	SLX_TRY(add_texts(e, &e->s->def->annotations, sample));
	SLX_TRY(keep(e, &annotations));
	SLX_TRY(new_alert(e->g->mem, labels, annotations, &a, e->err));
	a->active_ns = e->ts;
	a->value = sample->n ? sample->points[0].v : 0;
	bool twice = slx_rule_table_get(&e->found, a->id) != NULL;
	if (!twice && slx_rule_table_put(&e->found, e->g->mem, a))
		return SILEX_OK;
	free_alert(e->g->mem, a);
	return twice ? slx_err(e->err, SILEX_CONFLICT, "vector contains metrics with the same labelset after applying alert labels") : slx_err_oom(e->err);
}

static silex_status find_all(struct evaluation *e)
{
	struct slx_promql_result *r;
	SLX_TRY(slx_rule_query(e->g, e->s->def->expr, e->ts - e->g->offset_ns, &r, e->err));
	silex_status status = SILEX_OK;
	for (size_t i = 0, n = slx_rule_samples(r); i < n && status == SILEX_OK; i++) {
		struct slx_promql_series sample = slx_rule_sample(r, i);
		status = find_one(e, &sample);
	}
	slx_promql_result_free(r);
	return status;
}

/* ---- against what was active ---- */

/* What the query found goes into the table of alerts: new ones, or new words of those that are active. */
static silex_status merge(struct evaluation *e)
{
	struct slx_rule_table *active = &e->s->alerts;
	for (size_t i = 0; i < active->cap; i++)
		if (active->slots[i])
			((struct slx_rule_alert *)active->slots[i])->found = false;
	for (size_t i = 0; i < e->found.cap; i++) {
		struct slx_rule_alert *now = e->found.slots[i];
		struct slx_rule_alert *before = now ? slx_rule_table_get(active, now->id) : NULL;
		if (!now)
			continue;
		if (!before) {
			if (!slx_rule_table_put(active, e->g->mem, now))
				return slx_err_oom(e->err);
			now->found = true;
			e->found.slots[i] = NULL; /* the table's is not looked up any more */
			continue;
		}
		struct slx_labels words = before->annotations; /* the old words are freed with the new alert */
		before->annotations = now->annotations;
		now->annotations = words;
		before->value = now->value;
		before->found = true;
		if (before->state == SLX_ALERT_INACTIVE)
			before->active_ns = e->ts;
	}
	return SILEX_OK;
}

static void work_out(struct evaluation *e, struct slx_rule_alert *a)
{
	const struct slx_rule_def *d = e->s->def;
	a->next = a->state;
	if (a->found) {
		a->keep_since_ns = 0;
		if (a->active_ns > e->ts)
			a->active_ns = e->ts;
		if (a->state != SLX_ALERT_FIRING)
			a->next = e->ts - a->active_ns >= d->hold_ns ? SLX_ALERT_FIRING : SLX_ALERT_PENDING;
		return;
	}
	if (a->state == SLX_ALERT_FIRING && d->keep_ns) {
		if (a->keep_since_ns == 0 || a->keep_since_ns > e->ts)
			a->keep_since_ns = e->ts;
		if (e->ts - a->keep_since_ns < d->keep_ns)
			return;
	}
	a->next = SLX_ALERT_INACTIVE;
}

/* The changes, made durable and told. */
static silex_status journal(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts, silex_error *err)
{
	size_t n = 0;
	struct slx_alert_change *c = g->env->alerts ? slx_alloc(g->mem, SLX_MEM_QUERY, (s->alerts.n + 1) * sizeof *c) : NULL;
	if (g->env->alerts && !c)
		return slx_err_oom(err);
	for (size_t i = 0; c && i < s->alerts.cap; i++) {
		const struct slx_rule_alert *a = s->alerts.slots[i];
		if (!a)
			continue;
		const struct slx_alert_change change = { .rule = &s->alert_rule, .labels = a->labels, .annotations = a->annotations, .to = a->next, .at_ns = ts,
			.active_ns = a->active_ns, .value = a->value };
		if (a->next != a->state)
			c[n++] = change;
		else if (a->state != SLX_ALERT_INACTIVE)
			slx_alerts_refresh(g->env->alerts, &change);
	}
	silex_status status = n ? slx_alerts_change(g->env->alerts, c, n, err) : SILEX_OK;
	slx_free(g->mem, SLX_MEM_QUERY, c, (s->alerts.n + 1) * sizeof *c);
	return status;
}

struct committing {
	struct slx_rule_group *g;
	int64_t ts;
	bool held; /* the journal has the changes */
};

/* Takes the next state; false: the alert is forgotten (it is freed). */
static bool commit(void *arg, void *entry)
{
	struct committing *c = arg;
	struct slx_rule_alert *a = entry;
	if (c->held && a->next != a->state) {
		if (a->next == SLX_ALERT_FIRING)
			a->fired_ns = c->ts;
		a->resolved_ns = a->next == SLX_ALERT_INACTIVE && a->state == SLX_ALERT_FIRING ? c->ts : 0;
		a->state = a->next;
	}
	bool over = a->resolved_ns == 0 || c->ts < a->resolved_ns || c->ts - a->resolved_ns > RESOLVED_KEEP_MINUTES * SLX_MINUTE;
	if (a->state != SLX_ALERT_INACTIVE || !over)
		return true;
	free_alert(c->g->mem, a);
	return false;
}

/* ---- ALERTS, ALERTS_FOR_STATE ---- */

/* The labels of one of the two series of an alert, in the builder. */
static silex_status series_labels(struct slx_labels_builder *b, const struct slx_rule_alert *a, bool state, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_iter it = slx_labels_iter(a->labels);
	struct slx_label l;
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_METRIC_NAME, state ? SLX_STR("ALERTS") : SLX_STR("ALERTS_FOR_STATE"));
	if (state)
		slx_labels_builder_add(b, SLX_STR("alertstate"), slx_str(slx_alert_state_name(a->state)));
	while (slx_labels_next(&it, &l))
		if (!state || !slx_str_eq(l.name, SLX_STR("alertstate")))
			slx_labels_builder_add(b, l.name, l.value);
	return slx_labels_builder_finish(b, ret, err);
}

static silex_status put_series(struct evaluation *e, struct slx_rule_rows *rows, const struct slx_rule_alert *a, bool state, silex_error *err)
{
	struct slx_labels labels;
	SLX_TRY(series_labels(&e->b, a, state, &labels, err));
	uint8_t *p = slx_arena_alloc(rows->arena, labels.n, 1);
	if (!p)
		return slx_err_oom(err);
	labels.p = memcpy(p, labels.p, labels.n);
	struct slx_hash128 id = slx_series_id(slx_tenant_name(e->g->tenant), labels);
	int64_t since = slx_window_index(a->active_ns, SLX_SECOND, 0);
	slx_rule_rows_float(rows, labels, id, e->ts - e->g->offset_ns, state ? 1 : (double)since);
	return slx_rule_series_seen(e->g, e->s, labels, id, err);
}

static silex_status put_all(struct evaluation *e, struct slx_rule_rows *rows, silex_error *err)
{
	for (size_t i = 0; i < e->s->alerts.cap; i++) {
		const struct slx_rule_alert *a = e->s->alerts.slots[i];
		if (!a || a->state == SLX_ALERT_INACTIVE)
			continue;
		SLX_TRY(put_series(e, rows, a, true, err));
		SLX_TRY(put_series(e, rows, a, false, err));
	}
	return SILEX_OK;
}

/* ---- as a whole ---- */

static bool free_found(void *arg, void *entry)
{
	free_alert(arg, entry);
	return false;
}

static void release(struct evaluation *e)
{
	for (size_t i = 0; i < e->found.cap; i++)
		if (e->found.slots[i])
			free_found(e->g->mem, e->found.slots[i]);
	slx_rule_table_free(&e->found, e->g->mem);
	slx_labels_builder_free(&e->b);
	slx_arena_clear(&e->arena);
}

/* Over the limit none is active: what fired is resolved. */
static size_t work_out_all(struct evaluation *e)
{
	size_t active = 0;
	for (size_t i = 0; i < e->s->alerts.cap; i++) {
		struct slx_rule_alert *a = e->s->alerts.slots[i];
		if (a) {
			work_out(e, a);
			active += a->next != SLX_ALERT_INACTIVE;
		}
	}
	for (size_t i = 0; e->g->def->limit && active > e->g->def->limit && i < e->s->alerts.cap; i++)
		if (e->s->alerts.slots[i])
			((struct slx_rule_alert *)e->s->alerts.slots[i])->next = SLX_ALERT_INACTIVE;
	return active;
}

static silex_status settle(struct evaluation *e, silex_error *err)
{
	struct slx_rule_group *g = e->g;
	slx_rule_group_lock(g);
	silex_status status = merge(e);
	size_t active = work_out_all(e);
	slx_rule_group_unlock(g);
	if (status == SILEX_OK)
		status = journal(g, e->s, e->ts, err);
	struct committing c = { g, e->ts, status == SILEX_OK };
	slx_rule_group_lock(g);
	slx_rule_table_filter(&e->s->alerts, commit, &c);
	slx_rule_group_unlock(g);
	if (status == SILEX_OK && g->def->limit && active > g->def->limit)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "exceeded limit of %llu with %zu alerts", (unsigned long long)g->def->limit, active);
	return status;
}

silex_status slx_rule_eval_alerts(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns, struct slx_rule_rows *rows, silex_error *err)
{
	struct evaluation e = { .g = g, .s = s, .ts = ts_ns, .err = err };
	slx_arena_init(&e.arena, g->mem, SLX_MEM_QUERY, 64 << 10);
	slx_labels_builder_init(&e.b, g->mem, SLX_MEM_QUERY, NULL);
	silex_status status = find_all(&e);
	if (status == SILEX_OK)
		status = settle(&e, err);
	if (status == SILEX_OK)
		status = put_all(&e, rows, err);
	release(&e);
	return status;
}

/* ---- beginning and end ---- */

struct restoring {
	struct slx_rule_group *g;
	struct slx_labels_builder b;
	silex_status status;
	silex_error *err;
};

/* What the life before wrote of an active alert is the rule's: it gets a stale marker if the alert has ended meanwhile. */
static silex_status restore_series(struct restoring *r, struct slx_rule_state *s, const struct slx_rule_alert *a)
{
	for (int state = 0; state < 2 && a->state != SLX_ALERT_INACTIVE; state++) {
		struct slx_labels labels;
		SLX_TRY(series_labels(&r->b, a, state, &labels, r->err));
		SLX_TRY(slx_rule_series_seen(r->g, s, labels, slx_series_id(slx_tenant_name(r->g->tenant), labels), r->err));
	}
	return SILEX_OK;
}

static bool restore_one(void *arg, const struct slx_alert *x)
{
	struct restoring *r = arg;
	struct slx_rule_alert *a;
	struct slx_rule_state *s = slx_rule_group_find(r->g, x->rule->id);
	if (!s || s->def->kind != SLX_RULE_ALERTING || slx_rule_table_get(&s->alerts, slx_hash128(x->labels.p, x->labels.n, 0)))
		return true;
	r->status = new_alert(r->g->mem, x->labels, x->annotations, &a, r->err);
	if (r->status != SILEX_OK)
		return false;
	a->state = x->state;
	a->active_ns = x->active_ns;
	a->fired_ns = x->fired_ns;
	a->resolved_ns = x->resolved_ns;
	a->value = x->value;
	if (slx_rule_table_put(&s->alerts, r->g->mem, a)) {
		r->status = restore_series(r, s, a);
		return r->status == SILEX_OK;
	}
	free_alert(r->g->mem, a);
	r->status = slx_err_oom(r->err);
	return false;
}

silex_status slx_rule_restore_alerts(struct slx_rule_group *g, silex_error *err)
{
	struct restoring r = { .g = g, .err = err };
	slx_labels_builder_init(&r.b, g->mem, SLX_MEM_OTHER, NULL);
	if (g->env->alerts)
		slx_alerts_list(g->env->alerts, slx_tenant_name(g->tenant), restore_one, &r);
	slx_labels_builder_free(&r.b);
	return r.status;
}

void slx_rule_end_alerts(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns)
{
	for (size_t i = 0; i < s->alerts.cap; i++)
		if (s->alerts.slots[i])
			((struct slx_rule_alert *)s->alerts.slots[i])->next = SLX_ALERT_INACTIVE;
	(void)journal(g, s, ts_ns, NULL); /* not in the journal: the alert ends with its next restart, when no rule takes it up */
}

void slx_rule_free_alerts(struct slx_rule_group *g, struct slx_rule_state *s)
{
	slx_rule_table_filter(&s->alerts, free_found, g->mem);
	slx_rule_table_free(&s->alerts, g->mem);
}
