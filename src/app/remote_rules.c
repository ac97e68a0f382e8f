/* Rules on arrival of a server. */
#include "app/remote.h"

#include "base/status.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/api/silex/v1/rules"

static void set_span(json_t *o, const char *key, int64_t ms)
{
	char *text = app_printf("%lldms", (long long)ms);
	if (ms)
		json_object_set_new(o, key, json_string(text));
	free(text);
}

static void set_real(json_t *o, const char *key, double v)
{
	if (!isnan(v))
		json_object_set_new(o, key, json_real(v));
}

static void set_labels(json_t *o, const char *key, const silex_label *labels, size_t n)
{
	json_t *l = json_object();
	for (size_t i = 0; i < n; i++)
		json_object_set_new(l, labels[i].name, json_string(labels[i].value));
	json_object_set_new(o, key, l);
}

static json_t *rule_json(const silex_rule *r)
{
	static const char *const inputs[] = { "last", "rate", "avg", "min", "max", "sum", "count", "stddev" };
	static const char *const conditions[] = { ">", ">=", "<", "<=", "==", "!=", "outside", "inside" };
	static const char *const missing[] = { "keep", "fire", "clear" };
	bool two = r->condition >= SILEX_RULE_OUTSIDE;
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", r->name, "selector", r->selector, "input", inputs[r->input], "condition",
		conditions[r->condition], "missing", missing[r->missing]);
	set_real(o, two ? "low" : "limit", r->limit);
	set_real(o, two ? "leave_low" : "leave", r->leave);
	if (two) {
		set_real(o, "high", r->high);
		set_real(o, "leave_high", r->leave_high);
	}
	set_span(o, "window", r->window_ms);
	set_span(o, "delay_on", r->delay_on_ms);
	set_span(o, "delay_off", r->delay_off_ms);
	set_span(o, "missing_after", r->missing_after_ms);
	set_span(o, "max_lateness", r->max_lateness_ms);
	if (r->series_max)
		json_object_set_new(o, "series_max", json_integer(r->series_max));
	set_labels(o, "labels", r->labels, r->n_labels);
	set_labels(o, "annotations", r->annotations, r->n_annotations);
	return o;
}

static silex_status not_json(silex_error *err) { return slx_err(err, SILEX_UNAVAILABLE, "the answer is no JSON of rules; is it a Silex server?"); }

silex_status app_remote_rule_register(struct app_remote *r, const silex_rule *rule, uint64_t *ret_id, silex_error *err)
{
	json_t *o = rule_json(rule);
	char *body = json_dumps(o, JSON_COMPACT);
	const char *text;
	size_t n;
	json_decref(o);
	if (!body) /* a name that is no UTF-8 */
		return slx_err(err, SILEX_INVALID, "name, selector, labels: expected UTF-8");
	silex_status st = app_remote_request(r, PATH, "json", body, strlen(body), &text, &n, NULL, err);
	free(body);
	if (st != SILEX_OK)
		return st;
	json_t *answer = json_loadb(text, n, 0, NULL), *id = json_object_get(answer, "id");
	if (json_is_integer(id))
		*ret_id = (uint64_t)json_integer_value(id);
	else
		st = not_json(err);
	json_decref(answer);
	return st;
}

silex_status app_remote_rule_remove(struct app_remote *r, uint64_t id, silex_error *err)
{
	char *path = app_printf(PATH "/%llu", (unsigned long long)id);
	silex_status st = app_remote_delete_at(r, path, err);
	free(path);
	return st;
}

static uint64_t count(const json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

static const char *words(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

silex_status app_remote_rule_list(struct app_remote *r, silex_rule_fn each, void *arg, silex_error *err)
{
	const char *text;
	size_t n, i;
	json_t *x;
	SLX_TRY(app_remote_request(r, PATH, NULL, NULL, 0, &text, &n, NULL, err));
	json_t *answer = json_loadb(text, n, 0, NULL), *rules = json_object_get(answer, "rules");
	silex_status st = json_is_array(rules) ? SILEX_OK : not_json(err);
	bool more = true;
	json_array_foreach(rules, i, x) {
		silex_rule rule = { .size = sizeof rule, .name = words(x, "name"), .selector = words(x, "selector") };
		silex_rule_info info = { count(x, "id"), &rule, words(x, "text"), count(x, "series"), count(x, "pending"), count(x, "firing"), count(x, "samples"),
			count(x, "late"), count(x, "ignored"), count(x, "refused") };
		if (more)
			more = each(arg, &info);
	}
	json_decref(answer);
	return st;
}
