/* Alerts, their history, acknowledgements, silences. */
#include "base/clock.h"
#include "server/native/native_int.h"

#include <inttypes.h>
#include <stdio.h>

enum { LIMIT_DEFAULT = 10000, HISTORY_HOURS = 24 };

static struct slx_silences *silences_of(struct slx_native *n) { return slx_api_silences(slx_core_db(n->core)); }
static struct slx_alerts *alerts_of(struct slx_native *n) { return slx_api_alerts(slx_core_db(n->core)); }

struct listing {
	struct slx_native_answer a;
	struct slx_native *n;
	const struct slx_native_selectors *match;
	int64_t now;
	uint64_t count, limit;
	unsigned state; /* what is asked for */
};

static void begin(struct listing *l, struct slx_native *n, struct slx_http_exchange *x, const char *key)
{
	l->n = n;
	l->now = slx_native_now(n);
	slx_native_answer_begin(&l->a, n, x, "application/json");
	slx_native_put(&l->a.b, "{\"%s\":[", key);
}

static struct slx_buf *row(struct listing *l)
{
	slx_native_put_text(&l->a.b, l->count++ ? ",\n" : "\n");
	return &l->a.b;
}

static void end(struct listing *l)
{
	slx_native_put_text(&l->a.b, "\n]}\n");
	slx_native_answer_end(&l->a);
}

static bool selected(const struct listing *l, struct slx_labels labels)
{
	bool yes = true;
	for (size_t i = 0; i < l->match->n; i++)
		if (slx_matchers_test(l->match->v[i].matchers, l->match->v[i].n, labels, &yes, NULL) == SILEX_OK && yes)
			return true;
	return !l->match->n;
}

/* ---- what is now ---- */

enum { A_SELECTOR, A_STATE, A_LIMIT };
enum state { ACTIVE, FIRING, PENDING, RESOLVED, ALL };

static const struct slx_native_field alert_fields[] = {
	[A_SELECTOR] = { "selector", SLX_ARG_LIST },
	[A_STATE] = { "state", SLX_ARG_TEXT },
	[A_LIMIT] = { "limit", SLX_ARG_COUNT },
};

static bool wanted(unsigned state, enum slx_alert_state s)
{
	static const unsigned as[] = { [SLX_ALERT_INACTIVE] = RESOLVED, [SLX_ALERT_PENDING] = PENDING, [SLX_ALERT_FIRING] = FIRING };
	return state == ALL || state == as[s] || (state == ACTIVE && s != SLX_ALERT_INACTIVE);
}

/* Under the lock of rules/alert. */
static bool add_alert(void *arg, const struct slx_alert *a)
{
	struct listing *l = arg;
	struct slx_mute m;
	if (!wanted(l->state, a->state) || !selected(l, a->labels))
		return true;
	slx_silences_mute(silences_of(l->n), a, l->now, &m);
	slx_json_alert(row(l), a, &m);
	return l->count < l->limit;
}

void slx_native_alerts(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_native_selectors match = { 0 };
	struct listing l = { .match = &match, .limit = LIMIT_DEFAULT };
	if (slx_native_args(n, x, alert_fields, sizeof alert_fields / sizeof *alert_fields, &a) && slx_arg_selectors(&a, A_SELECTOR, &match) &&
		slx_arg_choice(&a, A_STATE, "active|firing|pending|resolved|all", &l.state) && slx_arg_count(&a, A_LIMIT, &l.limit)) {
		begin(&l, n, x, "alerts");
		if (l.limit)
			slx_alerts_list(alerts_of(n), slx_http_tenant(x), add_alert, &l);
		end(&l);
	}
	slx_native_selectors_free(&match);
}

/* ---- history ---- */

enum { H_SELECTOR, H_START, H_END, H_UNIT, H_LIMIT };

static const struct slx_native_field history_fields[] = {
	[H_SELECTOR] = { "selector", SLX_ARG_TEXT },
	[H_START] = { "start", SLX_ARG_TIME },
	[H_END] = { "end", SLX_ARG_TIME },
	[H_UNIT] = { "unit", SLX_ARG_TEXT },
	[H_LIMIT] = { "limit", SLX_ARG_COUNT },
};

static bool add_event(void *arg, const struct slx_alert_event *e)
{
	struct listing *l = arg;
	struct slx_buf *b = row(l);
	slx_buf_u8(b, '{');
	slx_json_event(b, e);
	slx_buf_u8(b, '}');
	return slx_native_answer_spill(&l->a);
}

static void answer_history(struct listing *l, struct slx_native *n, struct slx_http_exchange *x, struct slx_time_range range)
{
	silex_error err;
	begin(l, n, x, "events");
	silex_status st = slx_alerts_history(alerts_of(n), slx_http_tenant(x), l->match->n ? l->match->v : NULL, range, l->limit, add_event, l, &err);
	if (st == SILEX_OK || l->a.streaming) {
		end(l);
	} else {
		slx_native_answer_drop(&l->a);
		slx_native_fail(x, &err);
	}
}

void slx_native_alert_history(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_native_selectors match = { 0 };
	struct listing l = { .match = &match, .limit = LIMIT_DEFAULT };
	struct slx_time_range range = { slx_native_now(n) - HISTORY_HOURS * SLX_HOUR, SLX_TIME_MAX };
	if (slx_native_args(n, x, history_fields, sizeof history_fields / sizeof *history_fields, &a) && slx_arg_selectors(&a, H_SELECTOR, &match) &&
		slx_arg_time(&a, H_START, H_UNIT, &range.from) && slx_arg_time(&a, H_END, H_UNIT, &range.to) && slx_arg_count(&a, H_LIMIT, &l.limit))
		answer_history(&l, n, x, range);
	slx_native_selectors_free(&match);
}

/* ---- acknowledging ---- */

enum { K_AUTHOR, K_COMMENT, K_ENDS, K_DURATION, K_UNIT };

static const struct slx_native_field ack_fields[] = {
	[K_AUTHOR] = { "author", SLX_ARG_TEXT },
	[K_COMMENT] = { "comment", SLX_ARG_TEXT },
	[K_ENDS] = { "ends_at", SLX_ARG_TIME },
	[K_DURATION] = { "duration", SLX_ARG_SPAN },
	[K_UNIT] = { "unit", SLX_ARG_TEXT },
};

static bool fingerprint_of(struct slx_http_exchange *x, struct slx_hash128 *ret)
{
	struct slx_str s = slx_http_segment(x, "fingerprint");
	char text[33];
	int n = 0;
	snprintf(text, sizeof text, "%.*s", (int)(s.n < 33 ? s.n : 32), s.p);
	if (s.n == 32 && strspn(text, "0123456789abcdef") == 32 && sscanf(text, "%16" SCNx64 "%16" SCNx64 "%n", &ret->hi, &ret->lo, &n) == 2 && n == 32)
		return true;
	slx_native_fail_field(x, "fingerprint", "the 32 hex digits of an alert's fingerprint", s);
	return false;
}

/* ends_at, or now and the duration; neither: *ret is left alone. */
static bool ends_of(const struct slx_native_args *a, size_t ends, size_t duration, size_t unit, int64_t from, int64_t *ret)
{
	int64_t span = 0;
	if (a->values[ends].n && a->values[duration].n) {
		slx_native_fail_field(a->x, "duration", "ends_at or duration, not both", (struct slx_str){ 0 });
		return false;
	}
	if (!slx_arg_time(a, ends, unit, ret) || !slx_arg_span(a, duration, &span))
		return false;
	if (a->values[duration].n)
		*ret = slx_time_add(from, span);
	return true;
}

static void answer_status(struct slx_http_exchange *x, silex_status st, const silex_error *err)
{
	if (st == SILEX_OK)
		slx_http_reply_text(x, 200, "application/json", "{}\n");
	else
		slx_native_fail(x, err);
}

void slx_native_acknowledge(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_ack ack = { .tenant = slx_http_tenant(x), .ends_ns = SLX_TIME_MAX };
	silex_error err;
	if (!fingerprint_of(x, &ack.fingerprint))
		return;
	if (slx_str_eq(slx_http_method(x), SLX_STR("DELETE"))) {
		answer_status(x, slx_ack_remove(silences_of(n), ack.tenant, ack.fingerprint, &err), &err);
		return;
	}
	if (!slx_native_args(n, x, ack_fields, sizeof ack_fields / sizeof *ack_fields, &a) ||
		!ends_of(&a, K_ENDS, K_DURATION, K_UNIT, slx_native_now(n), &ack.ends_ns))
		return;
	ack.author = slx_arg_text(&a, K_AUTHOR);
	ack.comment = slx_arg_text(&a, K_COMMENT);
	answer_status(x, slx_ack_put(silences_of(n), &ack, &err), &err);
}

/* ---- silences ---- */

enum { S_ID, S_MATCH, S_STARTS, S_ENDS, S_DURATION, S_AUTHOR, S_COMMENT, S_UNIT };

static const struct slx_native_field silence_fields[] = {
	[S_ID] = { "id", SLX_ARG_TEXT },
	[S_MATCH] = { "match", SLX_ARG_TEXT },
	[S_STARTS] = { "starts_at", SLX_ARG_TIME },
	[S_ENDS] = { "ends_at", SLX_ARG_TIME },
	[S_DURATION] = { "duration", SLX_ARG_SPAN },
	[S_AUTHOR] = { "author", SLX_ARG_TEXT },
	[S_COMMENT] = { "comment", SLX_ARG_TEXT },
	[S_UNIT] = { "unit", SLX_ARG_TEXT },
};

static void put_member(struct slx_buf *b, const char *key, struct slx_str s)
{
	slx_native_put(b, ",\"%s\":", key);
	slx_json_text(b, s);
}

static bool add_silence(void *arg, const struct slx_silence *s)
{
	struct listing *l = arg;
	const char *state = s->ends_ns <= l->now ? "expired" : s->starts_ns > l->now ? "pending" : "active";
	if (!l->state && s->ends_ns <= l->now)
		return true;
	struct slx_buf *b = row(l);
	slx_native_put_text(b, "{\"id\":");
	slx_json_text(b, s->id);
	put_member(b, "state", slx_str(state));
	put_member(b, "match", s->match);
	put_member(b, "author", s->author);
	put_member(b, "comment", s->comment);
	slx_native_put_text(b, ",\"starts_at\":");
	slx_json_instant(b, s->starts_ns);
	slx_native_put_text(b, ",\"ends_at\":");
	slx_json_instant(b, s->ends_ns);
	slx_native_put_text(b, ",\"updated_at\":");
	slx_json_instant(b, s->updated_ns);
	slx_native_put_text(b, "}");
	return l->count < l->limit;
}

static const struct slx_native_field silences_fields[] = { { "state", SLX_ARG_TEXT } };

static void list_silences(struct slx_native *n, struct slx_http_exchange *x)
{
	struct slx_native_args a;
	struct listing l = { .limit = LIMIT_DEFAULT };
	if (!slx_native_args(n, x, silences_fields, 1, &a) || !slx_arg_choice(&a, 0, "active|all", &l.state))
		return;
	begin(&l, n, x, "silences");
	slx_silences_list(silences_of(n), slx_http_tenant(x), add_silence, &l);
	end(&l);
}

static void put_silence(struct slx_native *n, struct slx_http_exchange *x)
{
	struct slx_native_args a;
	struct slx_silence s = { .tenant = slx_http_tenant(x), .starts_ns = slx_native_now(n) };
	char id[SLX_SILENCE_ID_SIZE + 1];
	struct slx_buf b;
	silex_error err;
	if (!slx_native_args(n, x, silence_fields, sizeof silence_fields / sizeof *silence_fields, &a) || !slx_arg_time(&a, S_STARTS, S_UNIT, &s.starts_ns))
		return;
	s.ends_ns = s.starts_ns; /* without an end it is refused */
	if (!ends_of(&a, S_ENDS, S_DURATION, S_UNIT, s.starts_ns, &s.ends_ns))
		return;
	s.id = slx_arg_text(&a, S_ID);
	s.match = slx_arg_text(&a, S_MATCH);
	s.author = slx_arg_text(&a, S_AUTHOR);
	s.comment = slx_arg_text(&a, S_COMMENT);
	if (slx_silence_put(silences_of(n), &s, id, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"id\":\"%s\"}\n", id);
	slx_http_reply(x, 200, "application/json", &b);
}

void slx_native_silences(void *ctx, struct slx_http_exchange *x)
{
	if (slx_str_eq(slx_http_method(x), SLX_STR("POST")))
		put_silence(ctx, x);
	else
		list_silences(ctx, x);
}

void slx_native_silence(void *ctx, struct slx_http_exchange *x)
{
	silex_error err;
	answer_status(x, slx_silence_end(silences_of(ctx), slx_http_tenant(x), slx_http_segment(x, "id"), &err), &err);
}
