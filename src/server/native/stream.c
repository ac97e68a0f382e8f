/* The live stream (docs/protocols/stream.md): WebSocket connections and their subscriptions.
 *
 *     WebSocket loop: a message -> a subscription, due now -> wake
 *     sink of alerts: an event -> those who follow alerts, at once
 *     threads of the stream: the subscription that is due longest -> read, without the lock -> send -> due again
 *
 * Sending never waits: slx_ws_send refuses when too much waits, and the thread then counts what it drops. The loop's thread only
 * parses; it holds the lock for moments. A subscription that goes while a thread has it is freed by that thread. */
#include "server/native/stream_int.h"

#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SUBS_MAX = 200, TEXT_MAX = 80 << 10 };

#define INTERVAL_DEFAULT (1 * SLX_SECOND)
#define INTERVAL_MIN     (100 * SLX_MS)
#define LOOK_EVERY       (250 * SLX_MS) /* for new samples */

struct slx_stream_conn {
	struct slx_stream *stream;
	struct slx_stream_conn *next, *prev;
	struct slx_ws *ws;           /* NULL before opened */
	struct slx_stream_sub *subs; /* under the stream's lock */
	unsigned subs_n;
	char tenant[SLX_TENANT_SIZE_MAX + 1]; /* of the handshake */
};

static int64_t monotonic(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SLX_SECOND + t.tv_nsec;
}

static void sub_free(struct slx_stream_sub *sub)
{
	struct slx_mem *m = sub->n->core->mem;
	slx_selector_free(&sub->selector);
	slx_promql_free(sub->query);
	slx_free(m, SLX_MEM_OTHER, sub->seen, sub->seen_cap * sizeof *sub->seen);
	slx_free(m, SLX_MEM_OTHER, sub, sizeof *sub);
}

/* Under the lock; it is out of the connection's list. */
static void let_go(struct slx_stream_sub *sub)
{
	atomic_store(&sub->gone, true);
	sub->conn = NULL;
	if (!sub->busy)
		sub_free(sub);
}

/* Under the lock. */
static void let_go_all(struct slx_stream_conn *c)
{
	for (struct slx_stream_sub *sub = c->subs, *next; sub; sub = next) {
		next = sub->next;
		let_go(sub);
	}
	c->subs = NULL;
	c->subs_n = 0;
}

/* ---- sending ---- */

static void put_error(struct slx_buf *b, uint64_t id, const char *message)
{
	slx_native_put_text(b, "{");
	if (id)
		slx_native_put(b, "\"id\":%llu,", (unsigned long long)id);
	slx_native_put_text(b, "\"type\":\"error\",\"error\":");
	slx_json_text(b, slx_str(message));
	slx_native_put_text(b, "}");
}

bool slx_stream_send(struct slx_stream *s, struct slx_stream_sub *sub, const struct slx_buf *b)
{
	pthread_mutex_lock(&s->lock);
	bool sent = sub->conn && sub->conn->ws && slx_ws_send(sub->conn->ws, b->p, b->n);
	pthread_mutex_unlock(&s->lock);
	return sent;
}

void slx_stream_send_error(struct slx_stream *s, struct slx_stream_sub *sub, const char *message)
{
	struct slx_buf b;
	slx_buf_init(&b, s->n->core->mem, SLX_MEM_OTHER, 16 << 10);
	put_error(&b, sub->id, message);
	if (!b.failed)
		slx_stream_send(s, sub, &b);
	slx_buf_free(&b);
}

static void say_error(struct slx_stream_conn *c, uint64_t id, const char *message)
{
	struct slx_buf b;
	slx_buf_init(&b, c->stream->n->core->mem, SLX_MEM_OTHER, 16 << 10);
	put_error(&b, id, message);
	if (!b.failed)
		slx_ws_send(c->ws, b.p, b.n);
	slx_buf_free(&b);
}

/* ---- messages, on the loop's thread ---- */

struct request {
	uint64_t id;
	struct slx_str type, selector, query, interval, tenant, token;
};

static bool read_id(struct slx_json *j, uint64_t *ret)
{
	struct slx_str s;
	char text[24];
	char *end;
	slx_json_peek(j);
	const char *at = j->p;
	if (!slx_json_number(j, &s))
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(s.n < sizeof text ? s.n : sizeof text - 1), s.p);
	*ret = strtoull(text, &end, 10);
	return (!*end && *ret > 0 && *ret <= UINT64_C(1) << 53 && text[0] != '-') || slx_json_fail(j, at, "id: a whole number above 0");
}

static bool read_request(struct slx_json *j, struct request *r)
{
	struct slx_str key;
	slx_json_object(j);
	while (!j->bad && slx_json_key(j, &key)) {
		struct slx_str *to = slx_str_eq(key, SLX_STR("type")) ? &r->type : slx_str_eq(key, SLX_STR("selector")) ? &r->selector
			: slx_str_eq(key, SLX_STR("query")) ? &r->query : slx_str_eq(key, SLX_STR("interval")) ? &r->interval
			: slx_str_eq(key, SLX_STR("tenant")) ? &r->tenant : slx_str_eq(key, SLX_STR("token")) ? &r->token : NULL;
		if (slx_str_eq(key, SLX_STR("id")))
			read_id(j, &r->id);
		else if (!to)
			slx_json_fail(j, j->p, "no members but id, type, selector, query, interval, tenant, token");
		else if (slx_json_peek(j) == 'n')
			slx_json_null(j);
		else
			slx_json_string(j, to);
	}
	return !j->bad && slx_json_end(j) && (r->id || slx_json_fail(j, j->p, "id: a whole number above 0"));
}

static silex_status fill_sub(struct slx_stream_conn *c, const struct request *r, struct slx_stream_sub *sub, silex_error *err)
{
	struct slx_core *core = c->stream->n->core;
	bool query = slx_str_eq(r->type, SLX_STR("query"));
	struct slx_str text = query ? r->query : r->selector;
	if (r->tenant.n) {
		SLX_TRY(slx_tenant_check(r->tenant, err));
		snprintf(sub->tenant, sizeof sub->tenant, "%.*s", (int)r->tenant.n, r->tenant.p);
	}
	if (slx_str_eq(r->type, SLX_STR("alerts"))) {
		sub->alerts = true;
		sub->interval_ns = SLX_STREAM_ALERTS_EVERY;
		return text.n ? slx_selector_parse(core->mem, text, &sub->selector, err) : SILEX_OK;
	}
	if (!text.n)
		return slx_err(err, SILEX_INVALID, "expected a %s", query ? "query" : "selector");
	snprintf(sub->text, sizeof sub->text, "%.*s", (int)(text.n < sizeof sub->text ? text.n : sizeof sub->text - 1), text.p);
	sub->interval_ns = query ? INTERVAL_DEFAULT : LOOK_EVERY;
	if (!query)
		return slx_promql_parse_selector(core->mem, text, &sub->selector, err);
	if (r->interval.n && (slx_duration_parse(r->interval.p, r->interval.n, &sub->interval_ns, NULL) != SILEX_OK || sub->interval_ns < INTERVAL_MIN))
		return slx_err(err, SILEX_INVALID, "interval: expected a duration of at least 100ms");
	return slx_promql_parse(core->mem, text, slx_core_config(core)->promql.experimental, &sub->query, err);
}

/* Under the lock. */
static struct slx_stream_sub **find(struct slx_stream_conn *c, uint64_t id)
{
	struct slx_stream_sub **at = &c->subs;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void unsubscribe(struct slx_stream_conn *c, uint64_t id)
{
	pthread_mutex_lock(&c->stream->lock);
	struct slx_stream_sub **at = find(c, id), *sub = *at;
	if (sub) {
		*at = sub->next;
		c->subs_n--;
		let_go(sub);
	}
	pthread_mutex_unlock(&c->stream->lock);
}

/* Takes the subscription over; NULL: fine. Else what is wrong. */
static const char *subscribe(struct slx_stream_conn *c, struct slx_stream_sub *sub)
{
	struct slx_stream *s = c->stream;
	const char *wrong = NULL;
	pthread_mutex_lock(&s->lock);
	if (s->stop)
		wrong = "the server is ending";
	else if (*find(c, sub->id))
		wrong = "this id is in use";
	else if (c->subs_n == SUBS_MAX)
		wrong = "a connection has at most 200 subscriptions";
	if (!wrong) {
		sub->next = c->subs;
		c->subs = sub;
		c->subs_n++;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return wrong;
}

static void start(struct slx_stream_conn *c, const struct request *r)
{
	struct slx_native *n = c->stream->n;
	struct slx_stream_sub *sub = slx_calloc(n->core->mem, SLX_MEM_OTHER, sizeof *sub);
	silex_error err;
	if (!sub) {
		say_error(c, r->id, "out of memory");
		return;
	}
	sub->n = n;
	sub->conn = c;
	sub->id = r->id;
	memcpy(sub->tenant, c->tenant, sizeof sub->tenant);
	const char *wrong = fill_sub(c, r, sub, &err) == SILEX_OK ? subscribe(c, sub) : err.message;
	if (wrong) {
		say_error(c, r->id, wrong);
		sub_free(sub);
	}
}

static void reject(struct slx_stream_conn *c, const struct slx_json *j, const char *text)
{
	char message[160];
	if (j->bad)
		snprintf(message, sizeof message, "byte %zu: expected %s", (size_t)(j->bad - text) + 1, j->expected);
	else
		snprintf(message, sizeof message, "type: expected subscribe, query, alerts or unsubscribe");
	say_error(c, 0, message);
	slx_ws_close(c->ws, 1008, "no message of this protocol");
}

static void on_message(void *arg, struct slx_ws *ws, struct slx_str text)
{
	struct slx_stream_conn *c = arg;
	struct request r = { 0 };
	struct slx_buf strings;
	slx_buf_init(&strings, c->stream->n->core->mem, SLX_MEM_OTHER, TEXT_MAX);
	if (!slx_buf_reserve(&strings, text.n + 8)) { /* unescaped strings stay where they are */
		say_error(c, 0, "out of memory");
		return;
	}
	struct slx_json j = slx_json_init(text.p, text.n, &strings);
	if (!read_request(&j, &r))
		reject(c, &j, text.p);
	else if (slx_str_eq(r.type, SLX_STR("unsubscribe")))
		unsubscribe(c, r.id);
	else if (slx_str_eq(r.type, SLX_STR("subscribe")) || slx_str_eq(r.type, SLX_STR("query")) || slx_str_eq(r.type, SLX_STR("alerts")))
		start(c, &r);
	else
		reject(c, &j, text.p);
	slx_buf_free(&strings);
}

static void on_opened(void *arg, struct slx_ws *ws)
{
	struct slx_stream_conn *c = arg;
	pthread_mutex_lock(&c->stream->lock);
	c->ws = ws;
	pthread_mutex_unlock(&c->stream->lock);
}

static void on_closed(void *arg, struct slx_ws *ws)
{
	struct slx_stream_conn *c = arg;
	struct slx_stream *s = c->stream;
	pthread_mutex_lock(&s->lock);
	let_go_all(c);
	if (c->next)
		c->next->prev = c->prev;
	*(c->prev ? &c->prev->next : &s->conns) = c->next;
	pthread_mutex_unlock(&s->lock);
	slx_free(s->n->core->mem, SLX_MEM_OTHER, c, sizeof *c);
}

/* ---- alerts ---- */

/* Under the lock. */
static void run_again(struct slx_stream *s, struct slx_stream_sub *sub)
{
	sub->due_ns = 0;
	sub->again = sub->busy;
	pthread_cond_signal(&s->wake);
}

static bool follows(const struct slx_stream_sub *sub, const struct slx_alert *a)
{
	bool yes = false;
	return sub->alerts && slx_str_eq(slx_str(sub->tenant), a->rule->tenant) &&
		slx_matchers_test(sub->selector.matchers, sub->selector.n, a->labels, &yes, NULL) == SILEX_OK && yes;
}

/* Under the lock. What does not fit into the connection's queue makes the whole list due. */
static void tell(struct slx_stream *s, struct slx_stream_conn *c, struct slx_stream_sub *sub, const struct slx_buf *event)
{
	struct slx_buf b;
	slx_buf_init(&b, s->n->core->mem, SLX_MEM_OTHER, 1 << 20);
	slx_native_put(&b, "{\"id\":%llu,\"type\":\"alert\",\"event\":{", (unsigned long long)sub->id);
	slx_buf_put(&b, event->p, event->n);
	slx_native_put_text(&b, "}}");
	if (!c->ws || b.failed || event->failed || !slx_ws_send(c->ws, b.p, b.n))
		run_again(s, sub);
	slx_buf_free(&b);
}

void slx_stream_alert(void *arg, const struct slx_alert_event *e)
{
	struct slx_stream *s = arg;
	struct slx_buf event;
	slx_buf_init(&event, s->n->core->mem, SLX_MEM_OTHER, 1 << 20);
	pthread_mutex_lock(&s->lock);
	for (struct slx_stream_conn *c = s->conns; c; c = c->next)
		for (struct slx_stream_sub *sub = c->subs; sub; sub = sub->next) {
			if (!follows(sub, &e->alert))
				continue;
			if (!event.n)
				slx_json_event(&event, e);
			tell(s, c, sub, &event);
		}
	pthread_mutex_unlock(&s->lock);
	slx_buf_free(&event);
}

void slx_stream_alerts_changed(struct slx_stream *s)
{
	pthread_mutex_lock(&s->lock);
	for (struct slx_stream_conn *c = s->conns; c; c = c->next)
		for (struct slx_stream_sub *sub = c->subs; sub; sub = sub->next)
			if (sub->alerts)
				run_again(s, sub);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the handshake ---- */

static void link_conn(struct slx_stream *s, struct slx_stream_conn *c)
{
	pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	pthread_mutex_unlock(&s->lock);
}

void slx_native_stream(void *ctx, struct slx_http_exchange *x)
{
	static const struct slx_ws_events events = { on_opened, on_message, on_closed };
	struct slx_native *n = ctx;
	struct slx_stream *s = atomic_load(&n->stream);
	struct slx_str tenant = slx_http_tenant(x);
	silex_error err;
	struct slx_stream_conn *c = s ? slx_calloc(n->core->mem, SLX_MEM_OTHER, sizeof *c) : NULL;
	if (!c) {
		slx_err(&err, SILEX_UNAVAILABLE, s ? "out of memory" : "the database is not open");
		slx_native_fail(x, &err);
		return;
	}
	c->stream = s;
	snprintf(c->tenant, sizeof c->tenant, "%.*s", (int)tenant.n, tenant.p);
	link_conn(s, c);
	if (slx_http_upgrade(x, &events, c, &err) != SILEX_OK) {
		on_closed(c, NULL);
		slx_native_fail(x, &err);
	}
}

/* ---- the threads ---- */

/* Under the lock: the subscription that is due longest; without one, *ret_due is when to look again. */
static struct slx_stream_sub *next_due(struct slx_stream *s, int64_t now, int64_t *ret_due)
{
	struct slx_stream_sub *first = NULL;
	*ret_due = now + SLX_SECOND;
	for (struct slx_stream_conn *c = s->conns; c; c = c->next)
		for (struct slx_stream_sub *sub = c->subs; sub; sub = sub->next)
			if (!sub->busy && (!first || sub->due_ns < first->due_ns))
				first = sub;
	if (first && first->due_ns > now) {
		*ret_due = first->due_ns < *ret_due ? first->due_ns : *ret_due;
		first = NULL;
	}
	return first;
}

static void wait_until(struct slx_stream *s, int64_t ns)
{
	struct timespec t = { .tv_sec = ns / SLX_SECOND, .tv_nsec = ns % SLX_SECOND };
	pthread_cond_timedwait(&s->wake, &s->lock, &t);
}

/* Under the lock again: a run has ended. */
static void settle(struct slx_stream_sub *sub, bool goes_on)
{
	int64_t now = monotonic();
	sub->busy = false;
	sub->begun = true;
	sub->due_ns = sub->due_ns + sub->interval_ns > now ? sub->due_ns + sub->interval_ns : now + sub->interval_ns;
	if (sub->again)
		sub->due_ns = now;
	sub->again = false;
	if (!atomic_load(&sub->gone) && !goes_on) {
		struct slx_stream_sub **at = find(sub->conn, sub->id);
		*at = sub->next;
		sub->conn->subs_n--;
		let_go(sub);
	} else if (atomic_load(&sub->gone)) {
		sub_free(sub);
	}
}

static void *run(void *arg)
{
	struct slx_stream *s = arg;
	int64_t due;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct slx_stream_sub *sub = next_due(s, monotonic(), &due);
		if (!sub) {
			wait_until(s, due);
			continue;
		}
		sub->busy = true;
		pthread_mutex_unlock(&s->lock);
		bool goes_on = slx_stream_run(s, sub);
		pthread_mutex_lock(&s->lock);
		settle(sub, goes_on);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

silex_status slx_stream_new(struct slx_native *n, struct slx_stream **ret, silex_error *err)
{
	struct slx_stream *s = slx_calloc(n->core->mem, SLX_MEM_OTHER, sizeof *s);
	pthread_condattr_t attr;
	if (!s)
		return slx_err_oom(err);
	s->n = n;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	for (int failed = 0; s->threads_n < SLX_STREAM_THREADS; s->threads_n++) {
		failed = pthread_create(&s->threads[s->threads_n], NULL, run, s);
		if (failed) {
			slx_stream_stop(s);
			slx_stream_free(s);
			return slx_err_errno(err, failed, "threads of the stream");
		}
		pthread_setname_np(s->threads[s->threads_n], "stream");
	}
	*ret = s;
	return SILEX_OK;
}

void slx_stream_stop(struct slx_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	for (struct slx_stream_conn *c = s->conns; c; c = c->next)
		let_go_all(c); /* cancels what runs */
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->threads_n; i++)
		pthread_join(s->threads[i], NULL);
	s->threads_n = 0;
}

void slx_stream_free(struct slx_stream *s)
{
	if (!s)
		return;
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	slx_free(s->n->core->mem, SLX_MEM_OTHER, s, sizeof *s);
}
