/* An alert as JSON: one form for the API, the stream, webhooks and commands (docs/protocols/webhook.md). */
#ifndef SLX_SERVER_CORE_ALERT_JSON_H
#define SLX_SERVER_CORE_ALERT_JSON_H

#include "base/buf.h"
#include "rules/silence/silence.h"

void slx_json_instant(struct slx_buf *b, int64_t ns); /* "2026-11-21T08:22:00.123Z"; null for 0: not yet */
void slx_json_hash(struct slx_buf *b, struct slx_hash128 h); /* "32 hex digits" */
/* An object. m: how it is silenced and acknowledged; NULL: not said. */
void slx_json_alert(struct slx_buf *b, const struct slx_alert *a, const struct slx_mute *m);
/* PromQL that shows what a rule looks at: the expression, or what comes nearest to the words of a rule on arrival,
 * `avg(hr{bed="7"}[1m]) > 120 until <= 110, on after 10s`: avg_over_time(hr{bed="7"}[1m]) > 120. */
void slx_alert_query(const struct slx_alert_rule *r, struct slx_buf *out);
/* Members, without braces: id, type, from, at, alert. */
void slx_json_event(struct slx_buf *b, const struct slx_alert_event *e);

#endif
