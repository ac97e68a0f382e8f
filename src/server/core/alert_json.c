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

static void put_rule(struct slx_buf *b, const struct slx_alert_rule *r)
{
	SLX_JSON_LITERAL(b, "{\"id\":\"");
	slx_json_u64(b, r->id);
	put_text(b, "\",\"group\":", r->group);
	put_text(b, ",\"name\":", r->name);
	put_text(b, ",\"expr\":", r->expr);
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
