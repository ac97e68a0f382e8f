#include "server/core/alert_json.h"

#include "formats/formats.h"
#include "server/core/json.h"

#include <inttypes.h>
#include <stdio.h>

static void put_text(struct slx_buf *b, const char *key, struct slx_str s)
{
	slx_buf_put(b, key, strlen(key));
	slx_json_text(b, s);
}

void slx_json_instant(struct slx_buf *b, int64_t ns)
{
	char text[SLX_TIME_TEXT_SIZE];
	if (!ns) {
		SLX_JSON_LITERAL(b, "null");
		return;
	}
	size_t n = slx_time_format(ns, text);
	slx_buf_u8(b, '"');
	slx_buf_put(b, text, n);
	slx_buf_u8(b, '"');
}

void slx_json_hash(struct slx_buf *b, struct slx_hash128 h)
{
	char text[40];
	int n = snprintf(text, sizeof text, "\"%016" PRIx64 "%016" PRIx64 "\"", h.hi, h.lo);
	slx_buf_put(b, text, (size_t)n);
}

static void put_instant(struct slx_buf *b, const char *key, int64_t ns)
{
	slx_buf_put(b, key, strlen(key));
	slx_json_instant(b, ns);
}

static void put_mute(struct slx_buf *b, const struct slx_mute *m)
{
	SLX_JSON_LITERAL(b, ",\"silenced\":");
	if (m->silenced) {
		put_text(b, "{\"id\":", slx_str(m->silence_id));
		put_text(b, ",\"by\":", slx_str(m->silenced_by));
		put_instant(b, ",\"until\":", m->silenced_until);
	}
	slx_buf_put(b, m->silenced ? "}" : "null", m->silenced ? 1 : 4);
	SLX_JSON_LITERAL(b, ",\"acknowledged\":");
	if (m->acknowledged) {
		put_text(b, "{\"by\":", slx_str(m->acknowledged_by));
		put_instant(b, ",\"until\":", m->acknowledged_until == SLX_TIME_MAX ? 0 : m->acknowledged_until);
	}
	slx_buf_put(b, m->acknowledged ? "}" : "null", m->acknowledged ? 1 : 4);
}

/* ---- what a rule looks at ---- */

/* Where the selector or the window's function ends: the first blank outside of quotes and brackets. */
static size_t left_side(struct slx_str s)
{
	char quote = 0;
	unsigned depth = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (quote) {
			i += c == '\\' && quote != '`';
			quote = c == quote ? 0 : quote;
		} else if (c == '"' || c == '\'' || c == '`') {
			quote = c;
		} else if (c == '(' || c == '{' || c == '[') {
			depth++;
		} else if (c == ')' || c == '}' || c == ']') {
			depth--;
		} else if (c == ' ' && !depth) {
			return i;
		}
	}
	return s.n;
}

static void put_side(struct slx_buf *out, struct slx_str s)
{
	const char *open = s.n && s.p[s.n - 1] == ')' ? memchr(s.p, '(', s.n) : NULL;
	if (!open) {
		slx_buf_put(out, s.p, s.n);
		return;
	}
	struct slx_str function = { s.p, (size_t)(open - s.p) };
	if (slx_str_eq(function, SLX_STR("rate"))) {
		SLX_JSON_LITERAL(out, "deriv");
	} else {
		slx_buf_put(out, function.p, function.n);
		SLX_JSON_LITERAL(out, "_over_time");
	}
	slx_buf_put(out, open, (size_t)(s.p + s.n - open));
}

void slx_alert_query(const struct slx_alert_rule *r, struct slx_buf *out)
{
	struct slx_str s = r->expr;
	if (r->origin != SLX_RULE_API || r->interval_ns) {
		slx_buf_put(out, s.p, s.n);
		return;
	}
	size_t left = left_side(s);
	put_side(out, (struct slx_str){ s.p, left });
	if (left + 1 < s.n && strchr("<>=!", s.p[left + 1])) { /* operator and number; not "outside 40 to 120" */
		size_t end = left + 1;
		while (end < s.n && s.p[end] != ' ')
			end++;
		for (end++; end < s.n && s.p[end] != ' ' && s.p[end] != ',';)
			end++;
		end = end < s.n ? end : s.n;
		slx_buf_put(out, s.p + left, end - left);
	}
}

static void put_query(struct slx_buf *b, const struct slx_alert_rule *r)
{
	struct slx_buf query;
	slx_buf_init(&query, b->mem, b->use, 64 << 10);
	slx_alert_query(r, &query);
	put_text(b, ",\"query\":", (struct slx_str){ query.p ? (const char *)query.p : "", query.n });
	slx_buf_free(&query);
}

/* ---- alerts ---- */

static void put_rule(struct slx_buf *b, const struct slx_alert_rule *r)
{
	SLX_JSON_LITERAL(b, "{\"id\":\"");
	slx_json_u64(b, r->id);
	put_text(b, "\",\"group\":", r->group);
	put_text(b, ",\"name\":", r->name);
	put_text(b, ",\"expr\":", r->expr);
	put_query(b, r);
	slx_buf_u8(b, '}');
}

void slx_json_alert(struct slx_buf *b, const struct slx_alert *a, const struct slx_mute *m)
{
	SLX_JSON_LITERAL(b, "{\"fingerprint\":");
	slx_json_hash(b, a->fingerprint);
	put_text(b, ",\"tenant\":", a->rule->tenant);
	SLX_JSON_LITERAL(b, ",\"rule\":");
	put_rule(b, a->rule);
	SLX_JSON_LITERAL(b, ",\"labels\":");
	slx_json_labels(b, a->labels);
	SLX_JSON_LITERAL(b, ",\"annotations\":");
	slx_json_labels(b, a->annotations);
	put_text(b, ",\"state\":", slx_str(slx_alert_state_name(a->state)));
	SLX_JSON_LITERAL(b, ",\"value\":");
	slx_json_value(b, a->value);
	put_instant(b, ",\"active_at\":", a->active_ns);
	put_instant(b, ",\"fired_at\":", a->fired_ns);
	put_instant(b, ",\"resolved_at\":", a->resolved_ns);
	put_instant(b, ",\"changed_at\":", a->changed_ns);
	if (m)
		put_mute(b, m);
	slx_buf_u8(b, '}');
}

void slx_json_event(struct slx_buf *b, const struct slx_alert_event *e)
{
	bool fires = e->alert.state == SLX_ALERT_FIRING, ends = e->from == SLX_ALERT_FIRING && !fires;
	SLX_JSON_LITERAL(b, "\"id\":");
	slx_json_hash(b, e->id);
	put_text(b, ",\"type\":", slx_str(ends ? "resolved" : slx_alert_state_name(e->alert.state)));
	put_text(b, ",\"from\":", slx_str(slx_alert_state_name(e->from)));
	put_instant(b, ",\"at\":", e->at_ns);
	SLX_JSON_LITERAL(b, ",\"alert\":");
	slx_json_alert(b, &e->alert, NULL);
}
