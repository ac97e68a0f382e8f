/* Receivers against servers of our own on loopback: outages, order, restarts, silences, signatures. The clock is ours. */
#include "server/actions/actions_int.h"

#include "api/api.h"
#include "base/vfs_sim.h"
#include "server/core/alert_json.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 (INT64_C(1700000000) * SLX_SECOND)

enum { REQUESTS_MAX = 256, REQUEST_SIZE = 16 << 10, PATIENCE_MS = 20000 };

static void nap(unsigned ms) { nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL); }

/* ---- a server that remembers what it was sent ---- */

struct receiver {
	int fd, port;
	pthread_t thread;
	_Atomic int status;     /* what it answers */
	_Atomic unsigned delay; /* ms before it does */
	_Atomic bool stop;
	pthread_mutex_t lock;
	unsigned n;        /* requests */
	char *requests[REQUESTS_MAX];
	int statuses[REQUESTS_MAX];
};

/* The whole request, as its Content-Length says. */
static bool read_request(int c, char *to)
{
	size_t n = 0;
	for (;;) {
		ssize_t got = read(c, to + n, REQUEST_SIZE - 1 - n);
		if (got <= 0)
			return false;
		n += (size_t)got;
		to[n] = 0;
		const char *body = strstr(to, "\r\n\r\n"), *length = strcasestr(to, "content-length:");
		if (body && length && n >= (size_t)(body + 4 - to) + strtoul(length + 15, NULL, 10))
			return true;
	}
}

static void *serve(void *arg)
{
	struct receiver *r = arg;
	while (!atomic_load(&r->stop)) {
		int c = accept(r->fd, NULL, NULL), status;
		char *text = malloc(REQUEST_SIZE), answer[200];
		if (c >= 0 && read_request(c, text)) {
			nap(atomic_load(&r->delay));
			status = atomic_load(&r->status);
			pthread_mutex_lock(&r->lock);
			assert_true(r->n < REQUESTS_MAX);
			r->statuses[r->n] = status;
			r->requests[r->n++] = text;
			pthread_mutex_unlock(&r->lock);
			text = NULL;
			int n = snprintf(answer, sizeof answer, "HTTP/1.1 %d x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", status);
			if (write(c, answer, (size_t)n) != n)
				nap(0);
		}
		free(text);
		if (c >= 0)
			close(c);
	}
	return NULL;
}

static void receiver_start(struct receiver *r, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof a;
	int on = 1;
	*r = (struct receiver){ .status = 200 };
	pthread_mutex_init(&r->lock, NULL);
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(r->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(r->fd, 64), 0);
	assert_int_equal(getsockname(r->fd, (struct sockaddr *)&a, &n), 0);
	r->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&r->thread, NULL, serve, r), 0);
}

static void receiver_stop(struct receiver *r)
{
	atomic_store(&r->stop, true);
	shutdown(r->fd, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->fd);
	for (unsigned i = 0; i < r->n; i++)
		free(r->requests[i]);
	pthread_mutex_destroy(&r->lock);
}

/* Requests with this text that were answered with this status (0: any). */
static unsigned count(struct receiver *r, const char *text, int status)
{
	unsigned n = 0;
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < r->n; i++)
		n += (!status || r->statuses[i] == status) && strstr(r->requests[i], text);
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* ---- a database and its actions ---- */

struct bench {
	_Atomic int64_t now;
	struct slx_vfs_sim *vfs;
	silex_db *db;
	struct slx_core core;
	struct slx_log log;
	struct slx_mem mem;
	struct slx_config *config;
	struct slx_actions *actions;
	char text[4000];
};

static int64_t now_ns(void *ctx) { return atomic_load(&((struct bench *)ctx)->now); }

static void bench_open(struct bench *b)
{
	silex_error err;
	silex_options o;
	silex_options_init(&o);
	o.no_background = true;
	o.env.vfs = slx_vfs_sim_vfs(b->vfs);
	o.env.clock = (silex_clock){ b, now_ns, now_ns };
	if (silex_open("/db", &o, &b->db, &err) != SILEX_OK || slx_metrics_new(&b->mem, &b->core.metrics, &err) != SILEX_OK ||
		slx_config_parse(&b->mem, "c.yml", b->text, strlen(b->text), NULL, NULL, 0, &b->config, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	b->core.mem = &b->mem;
	b->core.log = &b->log;
	atomic_store(&b->core.config, b->config);
	if (slx_actions_start(&b->core, slx_api_alerts(b->db), slx_api_silences(b->db), "silex.test:9470", &b->actions, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

static void bench_start(struct bench *b, const char *config)
{
	memset(b, 0, sizeof *b);
	b->now = T0;
	slx_mem_init(&b->mem, NULL);
	slx_log_init(&b->log, STDERR_FILENO);
	b->log.level = SLX_LOG_ERROR + 1;
	b->vfs = slx_vfs_sim_new(1);
	assert_non_null(b->vfs);
	snprintf(b->text, sizeof b->text, "%s", config);
	bench_open(b);
}

static void bench_close(struct bench *b)
{
	slx_actions_free(b->actions);
	silex_close(b->db, NULL);
	slx_metrics_free(b->core.metrics);
	slx_config_free(b->config);
}

/* The process dies without a word, and starts again. */
static void bench_kill(struct bench *b)
{
	slx_vfs_sim_arm(b->vfs, SLX_SIM_KILL, 1);
	bench_close(b);
	slx_vfs_sim_reboot(b->vfs, false);
	bench_open(b);
}

static void bench_end(struct bench *b)
{
	bench_close(b);
	slx_vfs_sim_free(b->vfs);
	assert_int_equal(slx_mem_total(&b->mem), 0);
}

static void change_of(struct bench *b, uint64_t rule_id, const char *host, enum slx_alert_state to)
{
	struct slx_labels_builder l, n;
	struct slx_alert_rule rule = { .id = rule_id, .tenant = SLX_STR("default"), .group = SLX_STR("g"), .name = SLX_STR("Hot"), .expr = SLX_STR("temp{a=\"b\"} > 90"),
		.interval_ns = 15 * SLX_SECOND };
	struct slx_alert_change c = { .rule = &rule, .to = to, .at_ns = b->now, .active_ns = b->now, .value = 91.5 };
	char text[100];
	silex_error err;
	slx_labels_builder_init(&l, &b->mem, SLX_MEM_OTHER, NULL);
	slx_labels_builder_init(&n, &b->mem, SLX_MEM_OTHER, NULL);
	snprintf(text, sizeof text, "{alertname=\"Hot\", host=\"%s\"}", host);
	assert_int_equal(slx_labels_parse_text(&l, slx_str(text), &c.labels, NULL), SILEX_OK);
	assert_int_equal(slx_labels_parse_text(&n, SLX_STR("{summary=\"too \\\"hot\\\"\"}"), &c.annotations, NULL), SILEX_OK);
	if (slx_alerts_change(slx_api_alerts(b->db), &c, 1, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	slx_labels_builder_free(&l);
	slx_labels_builder_free(&n);
}

static void change(struct bench *b, const char *host, enum slx_alert_state to)
{
	atomic_fetch_add(&b->now, SLX_MS);
	change_of(b, 7, host, to);
}

static void forward(struct bench *b, int64_t span)
{
	atomic_fetch_add(&b->now, span);
	slx_actions_wake(b->actions);
}

static double metric(struct bench *b, const char *kind, const char *name, const char *what)
{
	struct act_metrics m;
	act_metrics_init(&m, b->core.metrics, kind, name);
	return slx_metric_value(strcmp(what, "sent") == 0 ? m.sent : strcmp(what, "expired") == 0 ? m.expired : strcmp(what, "dropped") == 0 ? m.dropped : m.waiting);
}

#define UNTIL(cond)                                          \
	do {                                                     \
		unsigned ms_ = 0;                                    \
		for (; !(cond) && ms_ < PATIENCE_MS; ms_ += 5)       \
			nap(5);                                          \
		if (ms_ >= PATIENCE_MS)                              \
			fail_msg("line %d: not true: %s", __LINE__, #cond); \
	} while (0)

/* The same while time goes on: an answer of before may have begun a back-off only now. */
#define LATER(cond) UNTIL((forward(&b, SLX_SECOND), cond))

/* ---- links ---- */

static void test_queries(void **state)
{
	static const char *const words[][2] = {
		{ "hr{bed=\"7 > 3\"} > 120 until <= 110, on after 10s", "hr{bed=\"7 > 3\"} > 120" },
		{ "avg(hr{ward=\"icu\"}[1m]) >= 1e+06, off after 5s", "avg_over_time(hr{ward=\"icu\"}[1m]) >= 1e+06" },
		{ "rate(steps[5m]) < 0.5", "deriv(steps[5m]) < 0.5" },
		{ "hr outside 40 to 120 until inside 45 to 110", "hr" },
		{ "hr >", "hr >" },
		{ "", "" },
	};
	struct slx_mem mem;
	struct slx_buf b;
	slx_mem_init(&mem, NULL);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct slx_alert_rule r = { .origin = SLX_RULE_API, .expr = slx_str(words[i][0]) };
		slx_buf_init(&b, &mem, SLX_MEM_OTHER, 4096);
		slx_alert_query(&r, &b);
		slx_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, words[i][1]);
		slx_buf_free(&b);
	}
}

/* ---- webhooks ---- */

static void header(const char *request, const char *name, char *to, size_t size)
{
	const char *p = strcasestr(request, name);
	assert_non_null(p);
	p += strlen(name) + 2;
	snprintf(to, size, "%.*s", (int)strcspn(p, "\r"), p);
}

static void test_webhook(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500], stamp[40], signature[100], expected[ACT_SIGNATURE_SIZE];
	receiver_start(&r, 0);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook', secret: s3cret}]}", r.port);
	bench_start(&b, config);
	change(&b, "a", SLX_ALERT_PENDING);
	change(&b, "a", SLX_ALERT_FIRING);
	UNTIL(count(&r, "POST /hook", 200) == 1); /* pending is nobody's matter */
	change(&b, "a", SLX_ALERT_INACTIVE);
	UNTIL(count(&r, "\"type\":\"resolved\",\"from\":\"firing\"", 200) == 1);
	const char *request = r.requests[0], *body = strstr(request, "\r\n\r\n") + 4;
	header(request, "X-Silex-Timestamp", stamp, sizeof stamp);
	header(request, "X-Silex-Signature", signature, sizeof signature);
	assert_true(act_sign("s3cret", atoll(stamp), body, strlen(body), expected));
	assert_string_equal(signature, expected);
	assert_non_null(strstr(body, "\"type\":\"firing\",\"from\":\"pending\""));
	assert_non_null(strstr(body, "\"labels\":{\"alertname\":\"Hot\",\"host\":\"a\"},\"annotations\":{\"summary\":\"too \\\"hot\\\"\"}"));
	assert_non_null(strstr(body, "\"generator_url\":\"http://silex.test:9470/#/explore?q=temp%7Ba%3D%22b%22%7D%20%3E%2090&from=now-1h&to=now\""));
	bench_end(&b);
	receiver_stop(&r);
}

/* The documented example of docs/protocols/webhook.md, by another program: printf '1700000000.{}' | openssl dgst -sha256 -hmac s3cret */
static void test_signature(void **state)
{
	char signature[ACT_SIGNATURE_SIZE];
	assert_true(act_sign("s3cret", 1700000000, "{}", 2, signature));
	assert_string_equal(signature, "sha256=97926816e98fbb41ccb1673225ff29a2f35369099990e1b1561651e7bd097ebf");
}

/* 500 for an hour: nothing is lost, the order of each alert holds, and what the receiver has had it is not sent again. */
static void test_an_hour_of_500(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500];
	receiver_start(&r, 0);
	atomic_store(&r.status, 500);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	for (unsigned i = 0; i < 60; i++) {
		change(&b, i % 2 ? "a" : "b", i % 4 < 2 ? SLX_ALERT_FIRING : SLX_ALERT_INACTIVE);
		forward(&b, 60 * SLX_SECOND);
		nap(5);
	}
	UNTIL(count(&r, "POST", 500) >= 3);
	assert_true(count(&r, "POST", 0) < 100);
	atomic_store(&r.status, 200);
	LATER(count(&r, "POST", 200) == 60);
	assert_int_equal(count(&r, "\"type\":\"firing\"", 200), 30);
	for (unsigned k = 0; k < 2; k++) { /* by turns, for either */
		bool firing = false;
		for (unsigned i = 0; i < r.n; i++) {
			if (r.statuses[i] != 200 || !strstr(r.requests[i], k ? "\"host\":\"a\"" : "\"host\":\"b\""))
				continue;
			assert_true(firing != !!strstr(r.requests[i], "\"type\":\"firing\""));
			firing = !firing;
		}
	}
	UNTIL(metric(&b, "webhook", "pager", "sent") == 60 && metric(&b, "webhook", "pager", "waiting") == 0);
	bench_end(&b);
	receiver_stop(&r);
}

/* An outage with more events than the queue holds: the rest waits in the journal; order holds. */
static void test_more_than_the_queue(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500];
	receiver_start(&r, 0);
	atomic_store(&r.status, 503);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook', queue_max: 10}]}", r.port);
	bench_start(&b, config);
	for (unsigned i = 0; i < 80; i++) {
		char host[20];
		snprintf(host, sizeof host, "h%02u.", i % 20);
		change(&b, host, i / 20 % 2 ? SLX_ALERT_INACTIVE : SLX_ALERT_FIRING);
		if (i == 40)
			bench_kill(&b);
	}
	assert_true(metric(&b, "webhook", "pager", "waiting") <= 20);
	atomic_store(&r.status, 200);
	LATER(count(&r, "POST", 200) >= 80);
	UNTIL(metric(&b, "webhook", "pager", "waiting") == 0);
	assert_int_equal(count(&r, "POST", 200), 80);
	for (unsigned k = 0; k < 20; k++) {
		char host[30];
		bool firing = false;
		snprintf(host, sizeof host, "\"host\":\"h%02u.\"", k);
		for (unsigned i = 0; i < r.n; i++) {
			if (r.statuses[i] != 200 || !strstr(r.requests[i], host))
				continue;
			assert_true(firing != !!strstr(r.requests[i], "\"type\":\"firing\""));
			firing = !firing;
		}
	}
	bench_end(&b);
	receiver_stop(&r);
}

/* The process dies while the receiver is away, and dies again: what was not delivered is, what was is not sent again. */
static void test_killed(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500];
	receiver_start(&r, 0);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	change(&b, "first", SLX_ALERT_FIRING);
	UNTIL(metric(&b, "webhook", "pager", "sent") == 1);
	atomic_store(&r.status, 503);
	for (unsigned i = 0; i < 10; i++) {
		char host[20];
		snprintf(host, sizeof host, "h%u", i);
		change(&b, host, SLX_ALERT_FIRING);
		if (i % 5 == 4)
			bench_kill(&b);
	}
	UNTIL(metric(&b, "webhook", "pager", "waiting") == 10);
	bench_kill(&b);
	atomic_store(&r.status, 200); /* not before: what was delivered, but not noted, comes again */
	LATER(metric(&b, "webhook", "pager", "sent") == 10);
	bench_kill(&b);
	change(&b, "last", SLX_ALERT_FIRING);
	UNTIL(count(&r, "\"host\":\"last\"", 200) == 1);
	assert_int_equal(count(&r, "POST", 200), 12);
	assert_int_equal(count(&r, "\"host\":\"first\"", 0), 1);
	bench_end(&b);
	receiver_stop(&r);
}

static void test_expiry(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500];
	receiver_start(&r, 0);
	atomic_store(&r.status, 500);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	change(&b, "old", SLX_ALERT_FIRING);
	UNTIL(count(&r, "POST", 500) == 1);
	bench_kill(&b); /* it lies there for a day while nothing runs */
	forward(&b, 25 * 3600 * SLX_SECOND);
	LATER(metric(&b, "webhook", "pager", "expired") == 1);
	atomic_store(&r.status, 200);
	change(&b, "new", SLX_ALERT_FIRING);
	LATER(metric(&b, "webhook", "pager", "sent") == 1);
	bench_kill(&b); /* neither comes again */
	forward(&b, SLX_SECOND);
	change(&b, "new", SLX_ALERT_INACTIVE);
	UNTIL(count(&r, "POST", 200) == 2);
	assert_int_equal(count(&r, "\"host\":\"old\"", 200), 0);
	bench_end(&b);
	receiver_stop(&r);
}

/* A receiver that does not answer, one that is not there and one that refuses everything delay nobody. */
static void test_slow_and_dead(void **state)
{
	struct receiver slow, quick, picky;
	struct bench b;
	char config[1000];
	receiver_start(&slow, 0);
	receiver_start(&quick, 0);
	receiver_start(&picky, 0);
	atomic_store(&slow.delay, 3000);
	atomic_store(&picky.status, 400);
	snprintf(config, sizeof config,
		"notify:\n  webhooks:\n  - {name: slow, url: 'http://127.0.0.1:%d/', timeout: 2s}\n  - {name: dead, url: 'http://127.0.0.1:1/'}\n"
		"  - {name: picky, url: 'http://127.0.0.1:%d/'}\n  - {name: quick, url: 'http://127.0.0.1:%d/', match: '{host=~\"h.*\"}', send_resolved: false}\n",
		slow.port, picky.port, quick.port);
	bench_start(&b, config);
	for (unsigned i = 0; i < 20; i++) {
		char host[20];
		snprintf(host, sizeof host, "%c%u", i % 2 ? 'h' : 'g', i / 2);
		change(&b, host, SLX_ALERT_FIRING);
	}
	UNTIL(count(&quick, "POST", 200) == 10);
	UNTIL(count(&picky, "POST", 400) == 20); /* each was tried: a refusal is about one event */
	assert_true(count(&slow, "POST", 0) <= 1);
	atomic_store(&slow.delay, 0);
	bench_end(&b);
	receiver_stop(&slow);
	receiver_stop(&quick);
	receiver_stop(&picky);
}

/* ---- silences, acknowledgements ---- */

static void silence(struct bench *b, const char *match, int64_t span, char id[SLX_SILENCE_ID_SIZE + 1])
{
	struct slx_silence s = { .tenant = SLX_STR("default"), .match = slx_str(match), .author = SLX_STR("nurse"), .starts_ns = b->now, .ends_ns = b->now + span };
	silex_error err;
	if (slx_silence_put(slx_api_silences(b->db), &s, id, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

static bool take_fingerprint(void *arg, const struct slx_alert *a)
{
	struct slx_ack *x = arg;
	if (slx_str_eq(slx_labels_get(a->labels, SLX_STR("host")), x->comment))
		x->fingerprint = a->fingerprint;
	return true;
}

static void test_silences(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500], id[SLX_SILENCE_ID_SIZE + 1];
	silex_error err;
	receiver_start(&r, 0);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	silence(&b, "{host=\"a\"}", SLX_HOUR, id);
	change(&b, "a", SLX_ALERT_FIRING);
	change(&b, "b", SLX_ALERT_FIRING);
	UNTIL(count(&r, "\"host\":\"b\"", 200) == 1);
	bench_kill(&b); /* the silence holds, and the event waits */
	change(&b, "a", SLX_ALERT_INACTIVE);
	UNTIL(metric(&b, "webhook", "pager", "dropped") == 1);
	assert_int_equal(count(&r, "\"host\":\"a\"", 0), 0);
	change(&b, "a", SLX_ALERT_FIRING); /* goes on when the silence ends */
	nap(50);
	assert_int_equal(count(&r, "\"host\":\"a\"", 0), 0);
	assert_int_equal(slx_silence_end(slx_api_silences(b.db), SLX_STR("default"), slx_str(id), &err), SILEX_OK);
	forward(&b, 2 * SLX_SECOND);
	UNTIL(count(&r, "\"host\":\"a\"", 200) == 1);
	assert_int_equal(slx_silence_end(slx_api_silences(b.db), SLX_STR("default"), slx_str(id), &err), SILEX_NOT_FOUND);
	bench_end(&b);
	receiver_stop(&r);
}

static void test_bad_silences(void **state)
{
	struct bench b;
	char id[SLX_SILENCE_ID_SIZE + 1];
	silex_error err;
	bench_start(&b, "");
	const struct {
		struct slx_silence s;
		const char *says;
	} bad[] = {
		{ { .match = SLX_STR("{a=\"b\"}"), .starts_ns = T0, .ends_ns = T0 + 1 + SLX_HOUR }, "author" },
		{ { .match = SLX_STR("{a=\"b\"}"), .author = SLX_STR("x"), .starts_ns = T0, .ends_ns = T0 }, "ends_at" },
		{ { .match = SLX_STR("{a=\"b\"}"), .author = SLX_STR("x"), .starts_ns = T0 - 10, .ends_ns = T0 - 5 }, "time to come" },
		{ { .match = SLX_STR("{a=~\".*\"}"), .author = SLX_STR("x"), .starts_ns = T0, .ends_ns = T0 + SLX_HOUR }, "every alert" },
		{ { .match = SLX_STR("{a=\"b\""), .author = SLX_STR("x"), .starts_ns = T0, .ends_ns = T0 + SLX_HOUR }, "match: " },
		{ { .id = SLX_STR("12"), .match = SLX_STR("{a=\"b\"}"), .author = SLX_STR("x"), .starts_ns = T0, .ends_ns = T0 + SLX_HOUR }, "no silence" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct slx_silence s = bad[i].s;
		s.tenant = SLX_STR("default");
		assert_int_not_equal(slx_silence_put(slx_api_silences(b.db), &s, id, &err), SILEX_OK);
		if (!strstr(err.message, bad[i].says))
			fail_msg("%s: no \"%s\"", err.message, bad[i].says);
	}
	struct slx_ack ack = { .tenant = SLX_STR("default"), .author = SLX_STR("x"), .ends_ns = SLX_TIME_MAX };
	assert_int_equal(slx_ack_put(slx_api_silences(b.db), &ack, &err), SILEX_NOT_FOUND);
	bench_end(&b);
}

/* An acknowledgement holds over a restart, for this time of the alert only. */
static void test_acknowledge(void **state)
{
	struct receiver r;
	struct bench b;
	char config[500];
	silex_error err;
	receiver_start(&r, 0);
	atomic_store(&r.status, 500);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	change(&b, "a", SLX_ALERT_FIRING);
	UNTIL(count(&r, "POST", 500) == 1);
	struct slx_ack ack = { .tenant = SLX_STR("default"), .author = SLX_STR("nurse"), .comment = SLX_STR("a"), .ends_ns = SLX_TIME_MAX };
	slx_alerts_list(slx_api_alerts(b.db), ack.tenant, take_fingerprint, &ack);
	if (slx_ack_put(slx_api_silences(b.db), &ack, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	atomic_store(&r.status, 200);
	bench_kill(&b);
	change(&b, "other", SLX_ALERT_FIRING);
	LATER(count(&r, "POST", 200) == 1);
	assert_int_equal(count(&r, "\"host\":\"a\"", 200), 0);
	change(&b, "a", SLX_ALERT_INACTIVE);
	UNTIL(metric(&b, "webhook", "pager", "dropped") == 1);
	change(&b, "a", SLX_ALERT_FIRING); /* another time */
	UNTIL(count(&r, "\"host\":\"a\"", 200) == 1);
	bench_end(&b);
	receiver_stop(&r);
}

/* ---- Alertmanager ---- */

static void test_alertmanager(void **state)
{
	struct receiver r;
	struct bench b;
	char config[700], ended[SLX_TIME_TEXT_SIZE];
	receiver_start(&r, 0);
	int port = r.port;
	snprintf(config, sizeof config,
		"global: {external_labels: {site: north, host: lost, replica: '1'}}\nalerting:\n  alert_relabel_configs:\n  - {action: labeldrop, regex: replica}\n"
		"  - {action: drop, source_labels: [host], regex: 'private.*'}\n  alertmanagers:\n  - path_prefix: /am/\n    basic_auth: {username: u, password: p}\n"
		"    static_configs: [{targets: ['127.0.0.1:%d']}]\n", port);
	bench_start(&b, config);
	change(&b, "private", SLX_ALERT_FIRING);
	change(&b, "a", SLX_ALERT_FIRING);
	UNTIL(count(&r, "POST /am/api/v2/alerts", 200) >= 1);
	assert_non_null(strstr(r.requests[0], "\r\nAuthorization: Basic dTpw\r\n"));
	/* now + 4 minutes; the external label that the alert has too gives way */
	assert_non_null(strstr(r.requests[0],
		"[{\"labels\":{\"alertname\":\"Hot\",\"host\":\"a\",\"site\":\"north\"},\"annotations\":{\"summary\":\"too \\\"hot\\\"\"},"
		"\"startsAt\":\"2023-11-14T22:13:20.002Z\",\"endsAt\":\"2023-11-14T22:17:20.002Z\",\"generatorURL\":\"http://silex.test:9470/#/explore?q="));
	forward(&b, 61 * SLX_SECOND); /* again each minute */
	UNTIL(count(&r, "\"endsAt\":\"2023-11-14T22:18:21.002Z\"", 200) >= 1);

	atomic_store(&r.status, 500); /* an outage: what comes and goes in it is not told afterwards */
	for (unsigned i = 0; i < 10; i++) {
		change(&b, "flapping", i % 2 ? SLX_ALERT_INACTIVE : SLX_ALERT_FIRING);
		forward(&b, 10 * SLX_SECOND);
		nap(5);
	}
	change(&b, "c", SLX_ALERT_FIRING);
	forward(&b, 20 * 60 * SLX_SECOND);
	nap(50);
	receiver_stop(&r);
	receiver_start(&r, port);
	LATER(count(&r, "POST", 200) >= 1);
	assert_non_null(strstr(r.requests[0], "\"host\":\"a\""));
	assert_non_null(strstr(r.requests[0], "\"host\":\"c\""));
	assert_int_equal(count(&r, "flapping", 0), 0);
	assert_int_equal(count(&r, "private", 0), 0);

	change(&b, "a", SLX_ALERT_INACTIVE); /* ended: said so at once, and for a while */
	slx_time_format(b.now, ended);
	UNTIL(count(&r, ended, 200) >= 1);
	forward(&b, 61 * SLX_SECOND);
	UNTIL(count(&r, ended, 200) >= 2);
	bench_end(&b);
	receiver_stop(&r);
}

/* ---- commands ---- */

static void test_command(void **state)
{
	struct bench b;
	char config[700], path[] = "/tmp/silex-command-XXXXXX", said[4000] = "";
	int fd = mkstemp(path);
	snprintf(config, sizeof config,
		"notify:\n  commands:\n  - {name: copy, command: [/bin/sh, -c, 'cat >%s; echo $0', 'a; b']}\n"
		"  - {name: sleepy, command: [/bin/sleep, '1000'], timeout: 1s}\n  - {name: none, command: [/no/such/program]}\n",
		path);
	bench_start(&b, config);
	change(&b, "a", SLX_ALERT_FIRING);
	UNTIL(metric(&b, "command", "copy", "sent") == 1);
	assert_true(read(fd, said, sizeof said - 1) > 100);
	assert_non_null(strstr(said, "{\"version\":1,\"id\":\""));
	assert_non_null(strstr(said, "\"receiver\":\"copy\""));
	for (unsigned i = 0; i < 50; i++)
		forward(&b, SLX_SECOND), nap(5);
	bench_end(&b);
	close(fd);
	unlink(path);
}

/* ---- configuration ---- */

static void test_bad_config(void **state)
{
	static const char *const bad[][2] = {
		{ "alerting: {alertmanager: []}", "c.yml:1: unknown key \"alertmanager\" in alerting; did you mean \"alertmanagers\"?" },
		{ "alerting:\n  alertmanagers:\n  - scheme: http", "c.yml:3: alertmanagers: expected static_configs" },
		{ "alerting:\n  alertmanagers:\n  - {api_version: v1, static_configs: [{targets: ['a:1']}]}", "c.yml:3: api_version: \"v1\" given, expected v2" },
		{ "alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['http://a:1']", "c.yml:4: targets: expected host:port" },
		{ "notify:\n  webhooks:\n  - url: http://a", "c.yml:3: webhooks: expected a name" },
		{ "notify:\n  webhooks:\n  - {name: a, url: a:80}", "c.yml:3: webhooks: expected a url" },
		{ "notify:\n  webhooks:\n  - {name: a, url: 'http://a'}\n  - {name: a, url: 'http://b'}", "c.yml:4: webhooks: the name \"a\" stands twice" },
		{ "notify:\n  webhooks:\n  - {name: a, url: 'http://a', match: '{a='}", "c.yml:3: match: " },
		{ "notify:\n  commands:\n  - {name: a, command: [siren]}", "c.yml:3: commands: command: expected a list: the program by its full path" },
		{ "notify:\n  resend_interval: 5", "c.yml:2: resend_interval: \"5\" given, expected a duration" },
	};
	struct slx_mem mem;
	silex_error err;
	slx_mem_init(&mem, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct slx_config *c;
		if (slx_config_parse(&mem, "c.yml", bad[i][0], strlen(bad[i][0]), NULL, NULL, 0, &c, &err) != SILEX_OK)
			fail_msg("%s", err.message);
		assert_int_equal(slx_actions_check(&mem, c, &err), SILEX_INVALID);
		if (strncmp(err.message, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s\nexpected %s", err.message, bad[i][1]);
		slx_config_free(c);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A reload: a receiver that stays gets nothing twice, one that is new nothing old. */
static void test_reload(void **state)
{
	struct receiver r, s;
	struct bench b;
	char config[1000];
	struct slx_config *fresh;
	receiver_start(&r, 0);
	receiver_start(&s, 0);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}]}", r.port);
	bench_start(&b, config);
	change(&b, "a", SLX_ALERT_FIRING);
	UNTIL(metric(&b, "webhook", "pager", "sent") == 1);
	forward(&b, SLX_SECOND);
	snprintf(config, sizeof config, "notify: {webhooks: [{name: pager, url: 'http://127.0.0.1:%d/hook'}, {name: other, url: 'http://127.0.0.1:%d/hook'}]}", r.port, s.port);
	assert_int_equal(slx_config_parse(&b.mem, "c.yml", config, strlen(config), NULL, NULL, 0, &fresh, NULL), SILEX_OK);
	atomic_store(&b.core.config, fresh);
	slx_actions_reload(b.actions);
	change(&b, "a", SLX_ALERT_INACTIVE);
	UNTIL(count(&r, "POST", 200) == 2 && count(&s, "POST", 200) == 1);
	assert_int_equal(count(&s, "resolved", 200), 1);
	slx_actions_reload(b.actions); /* nothing changed: nothing is stopped */
	bench_close(&b);
	slx_config_free(fresh);
	slx_vfs_sim_free(b.vfs);
	receiver_stop(&r);
	receiver_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries), cmocka_unit_test(test_signature), cmocka_unit_test(test_bad_config), cmocka_unit_test(test_webhook), cmocka_unit_test(test_an_hour_of_500),
		cmocka_unit_test(test_killed), cmocka_unit_test(test_more_than_the_queue), cmocka_unit_test(test_expiry), cmocka_unit_test(test_slow_and_dead), cmocka_unit_test(test_silences),
		cmocka_unit_test(test_bad_silences), cmocka_unit_test(test_acknowledge), cmocka_unit_test(test_alertmanager), cmocka_unit_test(test_command),
		cmocka_unit_test(test_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
