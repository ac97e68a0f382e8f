/* Rules and alerts as Prometheus' HTTP API lists them. */
#include "server/core/json.h"
#include "server/rules/rules_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_z(struct slx_buf *b, const char *z) { slx_buf_put(b, z, strlen(z)); }

static void put_real(struct slx_buf *b, const char *key, double v)
{
	char text[80];
	snprintf(text, sizeof text, ",\"%s\":%.9g", key, v);
	put_z(b, text);
}

static void put_count(struct slx_buf *b, const char *key, uint64_t v)
{
	char text[80];
	snprintf(text, sizeof text, ",\"%s\":%llu", key, (unsigned long long)v);
	put_z(b, text);
}

/* RFC 3339; Go's zero time when there was none yet. */
static void put_time(struct slx_buf *b, const char *key, int64_t ns)
{
	char text[SLX_TIME_TEXT_SIZE];
	put_z(b, ",\"");
	put_z(b, key);
	put_z(b, "\":\"");
	if (ns)
		slx_time_format(ns, text);
	put_z(b, ns ? text : "0001-01-01T00:00:00Z");
	put_z(b, "\"");
}

static void put_text(struct slx_buf *b, const char *key, struct slx_str s)
{
	put_z(b, ",\"");
	put_z(b, key);
	put_z(b, "\":");
	slx_json_text(b, s);
}

static void put_texts(struct slx_buf *b, const char *key, const struct slx_rule_texts *t)
{
	put_z(b, ",\"");
	put_z(b, key);
	put_z(b, "\":{");
	for (size_t i = 0; i < t->n; i++) {
		if (i)
			slx_buf_u8(b, ',');
		slx_json_text(b, t->v[i].name);
		slx_buf_u8(b, ':');
		slx_json_text(b, t->v[i].value);
	}
	slx_buf_u8(b, '}');
}

/* Go's FormatFloat(v, 'e', -1, 64): the fewest digits that read back the same. */
static void put_value(struct slx_buf *b, double v)
{
	char text[40] = "";
	for (int digits = 0; isfinite(v) && digits < 17; digits++) {
		snprintf(text, sizeof text, "%.*e", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	put_z(b, ",\"value\":\"");
	put_z(b, isnan(v) ? "NaN" : isinf(v) ? (v > 0 ? "+Inf" : "-Inf") : text);
	put_z(b, "\"");
}

struct alert_words {
	struct slx_labels labels, annotations;
	enum slx_alert_state state;
	int64_t active_ns, keep_since_ns;
	double value;
};

static void put_alert(struct slx_buf *b, const struct alert_words *a)
{
	put_z(b, "{\"labels\":");
	slx_json_labels(b, a->labels);
	put_z(b, ",\"annotations\":");
	slx_json_labels(b, a->annotations);
	put_text(b, "state", slx_str(slx_alert_state_name(a->state)));
	put_time(b, "activeAt", a->active_ns);
	if (a->keep_since_ns)
		put_time(b, "keepFiringSince", a->keep_since_ns);
	put_value(b, a->value);
	slx_buf_u8(b, '}');
}

/* ---- rules ---- */

static void put_alerts(struct slx_buf *b, const struct slx_rule_state *s)
{
	bool any = false;
	put_z(b, ",\"alerts\":[");
	for (size_t i = 0; i < s->alerts.cap; i++) {
		const struct slx_rule_alert *a = s->alerts.slots[i];
		if (!a || a->state == SLX_ALERT_INACTIVE)
			continue;
		if (any)
			slx_buf_u8(b, ',');
		any = true;
		put_alert(b, &(struct alert_words){ a->labels, a->annotations, a->state, a->active_ns, a->keep_since_ns, a->value });
	}
	slx_buf_u8(b, ']');
}

static enum slx_alert_state worst(const struct slx_rule_state *s)
{
	enum slx_alert_state worst = SLX_ALERT_INACTIVE;
	for (size_t i = 0; i < s->alerts.cap; i++) {
		const struct slx_rule_alert *a = s->alerts.slots[i];
		if (a && a->state > worst)
			worst = a->state;
	}
	return worst;
}

static void put_query(struct slx_buf *b, const struct slx_rule_def *d)
{
	struct slx_buf text;
	slx_buf_init(&text, b->mem, b->use, 1 << 20);
	slx_promql_format(d->expr, false, &text);
	put_text(b, "query", text.failed ? d->expr_text : (struct slx_str){ (const char *)text.p, text.n });
	slx_buf_free(&text);
}

static void put_rule(struct slx_buf *b, const struct slx_rule_state *s, bool alerts)
{
	static const char *const health[] = { "unknown", "ok", "err" };
	const struct slx_rule_def *d = s->def;
	put_z(b, "{\"name\":");
	slx_json_text(b, d->name);
	put_query(b, d);
	put_texts(b, "labels", &d->labels);
	if (d->kind == SLX_RULE_ALERTING) {
		put_text(b, "state", slx_str(slx_alert_state_name(worst(s))));
		put_real(b, "duration", (double)d->hold_ns * 1e-9);
		put_real(b, "keepFiringFor", (double)d->keep_ns * 1e-9);
		put_texts(b, "annotations", &d->annotations);
		if (alerts)
			put_alerts(b, s);
		else
			put_z(b, ",\"alerts\":[]");
	}
	put_text(b, "health", slx_str(health[s->health]));
	if (s->error[0])
		put_text(b, "lastError", slx_str(s->error));
	put_real(b, "evaluationTime", (double)s->took_ns * 1e-9);
	put_time(b, "lastEvaluation", s->evaluated_ns);
	put_text(b, "type", slx_str(d->kind == SLX_RULE_ALERTING ? "alerting" : "recording"));
	slx_buf_u8(b, '}');
}

struct listing {
	const struct slx_rules_filter *f;
	struct slx_buf *out;
	bool any;
};

static bool is_in(struct slx_str s, const struct slx_str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slx_str_eq(s, list[i]))
			return true;
	return n == 0;
}

static struct slx_str label_of(const struct slx_rule_def *d, struct slx_str name)
{
	for (size_t i = 0; i < d->labels.n; i++)
		if (slx_str_eq(d->labels.v[i].name, name))
			return d->labels.v[i].value;
	return SLX_STR("");
}

static bool matches_one(const struct slx_rule_def *d, const struct slx_selector *sel)
{
	bool all = true;
	for (size_t i = 0; i < sel->n && all; i++)
		if (slx_matcher_test(sel->matchers[i], label_of(d, sel->matchers[i]->name), &all, NULL) != SILEX_OK)
			all = false;
	return all;
}

static bool wanted(const struct slx_rules_filter *f, const struct slx_rule_def *d)
{
	bool match = f->n_match == 0;
	for (size_t i = 0; i < f->n_match && !match; i++)
		match = matches_one(d, &f->match[i]);
	return match && (f->kind < 0 || f->kind == (int)d->kind) && is_in(d->name, f->names, f->n_names);
}

static void put_group_end(struct slx_buf *b, const struct slx_rule_group *g)
{
	put_z(b, "]");
	put_real(b, "interval", (double)g->interval_ns * 1e-9);
	put_count(b, "limit", g->def->limit);
	put_real(b, "evaluationTime", (double)g->took_ns * 1e-9);
	put_time(b, "lastEvaluation", g->evaluated_ns);
	put_z(b, "}");
}

static bool list_group(void *arg, struct slx_rule_group *g)
{
	struct listing *l = arg;
	bool any = false;
	if (!is_in(g->def->name, l->f->groups, l->f->n_groups) || !is_in(g->file->name, l->f->files, l->f->n_files))
		return true;
	slx_rule_group_lock(g);
	for (size_t i = 0; i < g->def->n_rules; i++) {
		if (!wanted(l->f, &g->def->rules[i]))
			continue;
		if (!any) { /* groups without a rule that is wanted are left out */
			put_z(l->out, l->any ? ",{\"name\":" : "{\"name\":");
			slx_json_text(l->out, g->def->name);
			put_text(l->out, "file", g->file->name);
			put_z(l->out, ",\"rules\":[");
		} else {
			slx_buf_u8(l->out, ',');
		}
		any = l->any = true;
		put_rule(l->out, &g->rules[i], !l->f->exclude_alerts);
	}
	if (any)
		put_group_end(l->out, g);
	slx_rule_group_unlock(g);
	return !l->out->failed;
}

void slx_server_rules_json(void *ctx, struct slx_str tenant, const struct slx_rules_filter *f, struct slx_buf *out)
{
	struct slx_server_rules *r = ctx;
	struct listing l = { .f = f, .out = out };
	put_z(out, "{\"groups\":[");
	slx_rules_each(r->rules, tenant, list_group, &l);
	put_z(out, "]}");
}

/* ---- alerts: of all kinds of rules ---- */

static bool list_alert(void *arg, const struct slx_alert *x)
{
	struct listing *l = arg;
	if (x->state == SLX_ALERT_INACTIVE)
		return true;
	if (l->any)
		slx_buf_u8(l->out, ',');
	l->any = true;
	put_alert(l->out, &(struct alert_words){ x->labels, x->annotations, x->state, x->active_ns, 0, x->value });
	return !l->out->failed;
}

void slx_server_alerts_json(void *ctx, struct slx_str tenant, struct slx_buf *out)
{
	struct slx_server_rules *r = ctx;
	struct listing l = { .out = out };
	put_z(out, "{\"alerts\":[");
	slx_alerts_list(r->alerts, tenant, list_alert, &l);
	put_z(out, "]}");
}
