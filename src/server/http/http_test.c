/* The listener with handlers of its own: streams, WebSockets, cancellation, routes, bodies. What `silex serve` shows from outside is in
 * tests/server/http_test.py. */
#include "server/http/http_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { BIG = 20 << 20 };

struct fixture {
	struct slx_mem mem;
	struct slx_log log;
	struct slx_core core;
	struct slx_http *http;
	_Atomic int begun, ended, refused, opened, closed, canceled;
	_Atomic bool hold;
	pthread_mutex_t ws_lock; /* ws: as rooms do it, `closed` takes it out under a lock */
	struct slx_ws *ws;
	struct slx_http_route routes[8];
};

/* --- handlers --------------------------------------------------------------------------------------------------- */

static void stream(void *ctx, struct slx_http_exchange *x)
{
	struct fixture *f = ctx;
	char block[65536];
	f->begun++;
	if (!slx_http_stream_begin(x, 200, "text/plain"))
		return;
	for (size_t i = 0; i < BIG / sizeof block; i++) {
		memset(block, 'a' + (int)(i % 26), sizeof block);
		if (!slx_http_stream_write(x, block, sizeof block)) {
			f->refused++;
			break;
		}
	}
	slx_http_stream_end(x);
	f->ended++;
}

static void hold(void *ctx, struct slx_http_exchange *x)
{
	struct fixture *f = ctx;
	f->begun++;
	while (f->hold && !*slx_http_canceled(x))
		usleep(1000);
	f->canceled += *slx_http_canceled(x);
	f->ended++;
	slx_http_reply_text(x, 200, "text/plain", "held");
}

static void echo(void *ctx, struct slx_http_exchange *x)
{
	struct slx_str body = slx_http_body(x), name = slx_http_segment(x, "name"), p = slx_http_param(x, "p", 1);
	struct slx_buf b;
	slx_buf_init(&b, ((struct fixture *)ctx)->core.mem, SLX_MEM_OTHER, 64 << 20);
	slx_buf_put(&b, name.p, name.n);
	slx_buf_put(&b, "|", 1);
	slx_buf_put(&b, p.p, p.p ? p.n : 0);
	slx_buf_put(&b, "|", 1);
	slx_buf_put(&b, body.p, body.n);
	slx_http_reply(x, 200, "text/plain", &b);
	slx_http_reply_text(x, 500, "text/plain", "a second answer is not given");
}

static void nothing(void *ctx, struct slx_http_exchange *x) {}

static void on_open(void *arg, struct slx_ws *ws)
{
	struct fixture *f = arg;
	pthread_mutex_lock(&f->ws_lock);
	f->ws = ws;
	pthread_mutex_unlock(&f->ws_lock);
	f->opened++;
	slx_ws_send(ws, "hello", 5);
}

static void on_message(void *arg, struct slx_ws *ws, struct slx_str text)
{
	if (slx_str_eq(text, SLX_STR("close")))
		slx_ws_close(ws, 4000, "as asked");
	else
		slx_ws_send(ws, text.p, text.n);
}

static void on_close(void *arg, struct slx_ws *ws)
{
	struct fixture *f = arg;
	pthread_mutex_lock(&f->ws_lock);
	f->ws = NULL;
	pthread_mutex_unlock(&f->ws_lock);
	f->closed++;
}

static void websocket(void *ctx, struct slx_http_exchange *x)
{
	static const struct slx_ws_events events = { on_open, on_message, on_close };
	silex_error e;
	if (slx_http_upgrade(x, &events, ctx, &e) != SILEX_OK)
		slx_http_reply_problem(x, 400, "Bad Request", e.message);
}

/* --- the fixture ------------------------------------------------------------------------------------------------ */

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	silex_error e;
	slx_mem_init(&f->mem, NULL);
	slx_log_init(&f->log, 2);
	f->log.level = SLX_LOG_ERROR;
	f->core.mem = &f->mem;
	f->core.log = &f->log;
	f->hold = true;
	pthread_mutex_init(&f->ws_lock, NULL);
	assert_int_equal(slx_metrics_new(&f->mem, &f->core.metrics, &e), SILEX_OK);
	struct slx_http_options o = { .listen = "127.0.0.1:0", .route_prefix = "", .tenant = "default", .io_threads = 2, .read_workers = 4,
		.connections_max = 200, .header_max = 8192, .body_max = 1 << 20, .upload_memory = 8 << 20, .header_timeout_s = 5, .idle_timeout_s = 30,
		.stall_timeout_s = 3, .reads_max = 100, .writes_max = 100, .tls_cert = "", .tls_key = "", .cors_origin = "*" };
	assert_int_equal(slx_http_new(&f->core, &o, &f->http, &e), SILEX_OK);
	struct slx_http_route routes[] = {
		{ .methods = "GET", .path = "/stream", .handle = stream, .class = SLX_HTTP_READ },
		{ .methods = "GET", .path = "/hold", .handle = hold, .class = SLX_HTTP_READ },
		{ .methods = "POST,GET", .path = "/echo/{name}/x", .handle = echo, .class = SLX_HTTP_WRITE },
		{ .methods = "GET", .path = "/nothing", .handle = nothing },
		{ .methods = "GET", .path = "/ws", .handle = websocket, .flags = SLX_HTTP_WEBSOCKET },
	};
	memcpy(f->routes, routes, sizeof routes);
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		f->routes[i].ctx = f;
	slx_http_add(f->http, f->routes, sizeof routes / sizeof *routes);
	assert_int_equal(slx_http_start(f->http, &e), SILEX_OK);
	slx_http_set_ready(f->http, true);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	slx_http_free(f->http);
	slx_metrics_free(f->core.metrics);
	assert_int_equal(f->opened, f->closed);
	assert_int_equal(slx_mem_total(&f->mem), 0);
	free(f);
	return 0;
}

static int dial(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(strchr(slx_http_address(f->http), ':') + 1)) };
	struct timeval tv = { .tv_sec = 20 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(int fd, const char *text, size_t n) { assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n); }

static void get(int fd, const char *path)
{
	char text[512];
	say(fd, text, (size_t)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path));
}

/* Reads until the connection ends or n bytes are there. */
static size_t hear(int fd, char *to, size_t n)
{
	size_t got = 0;
	for (ssize_t k; got < n && (k = recv(fd, to + got, n - got, 0)) > 0;)
		got += (size_t)k;
	return got;
}

/* An answer with Content-Length into `to`, terminated. */
static void hear_answer(int fd, char *to, size_t size)
{
	size_t n = 0;
	char *end = NULL, *length;
	while (!(end = n ? memmem(to, n, "\r\n\r\n", 4) : NULL)) {
		assert_int_equal(hear(fd, to + n, 1), 1);
		n++;
		assert_true(n < size - 1);
	}
	to[n] = 0;
	length = strcasestr(to, "content-length: ");
	size_t body = length ? (size_t)atol(length + 16) : 0;
	assert_true(n + body < size);
	assert_int_equal(hear(fd, to + n, body), body);
	to[n + body] = 0;
}

static bool eventually(_Atomic int *what, int is)
{
	for (int i = 0; i < 20000 && *what != is; i++)
		usleep(1000);
	return *what == is;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void test_echo(void **state)
{
	char text[4096];
	int fd = dial(*state);
	static const char request[] = "POST /echo/a%2Fb%20c/x?p=1&p=x%26y+z HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
	for (int i = 0; i < 100; i++) {
		say(fd, request, sizeof request - 1);
		hear_answer(fd, text, sizeof text);
		assert_non_null(strstr(text, "HTTP/1.1 200"));
		assert_non_null(strstr(text, "\r\n\r\na/b c|x&y z|body"));
	}
	get(fd, "/nothing");
	hear_answer(fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 500"));
	close(fd);
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(BIG * 2);
	int fd = dial(f);
	say(fd, "GET /stream HTTP/1.0\r\n\r\n", 24); /* the end of the connection is the end of the answer */
	size_t n = hear(fd, text, BIG * 2);
	char *body = memmem(text, n, "\r\n\r\n", 4);
	assert_non_null(body);
	assert_int_equal(n - (size_t)(body + 4 - text), BIG);
	for (size_t i = 0; i < BIG; i += 4099)
		assert_int_equal(body[4 + i], 'a' + (int)(i / 65536 % 26));
	assert_int_equal(f->ended, 1);
	close(fd);
	free(text);
}

static bool any_size(void *arg, size_t bytes) { return true; }

static void test_stream_packed(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(BIG);
	int fd = dial(f);
	struct slx_buf out;
	silex_error e;
	say(fd, "GET /stream HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n", 47);
	size_t n = hear(fd, text, BIG);
	char *body = memmem(text, n, "\r\n\r\n", 4);
	assert_non_null(body);
	assert_true(n < BIG / 20);
	slx_buf_init(&out, &f->mem, SLX_MEM_OTHER, BIG);
	assert_int_equal(slx_http_decode(SLX_CODING_GZIP, body + 4, n - (size_t)(body + 4 - text), any_size, NULL, &out, &e), SILEX_OK);
	assert_int_equal(out.n, BIG);
	slx_buf_free(&out);
	close(fd);
	free(text);
}

static void test_stream_stalls(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	get(fd, "/stream");
	assert_true(eventually(&f->refused, 1)); /* after the stall time */
	assert_true(eventually(&f->ended, 1));
	close(fd);
}

static void test_stream_hung_up(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 8; i++) {
		char some[1000];
		int fd = dial(f);
		get(fd, "/stream");
		hear(fd, some, i % 2 ? sizeof some : 1);
		close(fd);
		assert_true(eventually(&f->refused, i + 1));
		assert_true(eventually(&f->ended, i + 1));
	}
}

static void test_hang_up_cancels(void **state)
{
	struct fixture *f = *state;
	int fd[20];
	char text[1000];
	for (int i = 0; i < 20; i++) { /* four run, the others wait: all are canceled */
		fd[i] = dial(f);
		get(fd[i], "/hold");
	}
	assert_true(eventually(&f->begun, 4));
	for (int i = 1; i < 20; i++)
		close(fd[i]);
	for (int i = 0; i < 20000 && atomic_load(&f->http->running) > 1; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&f->http->running), 1); /* the one that stayed */
	f->hold = false;
	hear_answer(fd[0], text, sizeof text);
	assert_non_null(strstr(text, "held"));
	close(fd[0]);
}

static void test_drain(void **state)
{
	struct fixture *f = *state;
	int fd[8];
	char text[1000];
	for (int i = 0; i < 8; i++) {
		fd[i] = dial(f);
		get(fd[i], "/hold");
	}
	assert_true(eventually(&f->begun, 4));
	slx_http_drain(f->http, 20);
	assert_int_equal(atomic_load(&f->http->running), 0);
	for (int i = 0; i < 8; i++) {
		hear_answer(fd[i], text, sizeof text); /* 200 of those that ran, 499 of those that waited */
		close(fd[i]);
	}
}

/* --- WebSocket -------------------------------------------------------------------------------------------------- */

static const char handshake[] = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
								"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static int open_ws(struct fixture *f)
{
	char text[1000];
	int fd = dial(f);
	say(fd, handshake, sizeof handshake - 1);
	hear_answer(fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 101"));
	assert_non_null(strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); /* the example of RFC 6455, 1.3 */
	return fd;
}

static void ws_say(int fd, const char *z)
{
	char frame[200] = { (char)0x81, (char)(0x80 | strlen(z)), 1, 2, 3, 4 };
	for (size_t i = 0; z[i]; i++)
		frame[6 + i] = z[i] ^ frame[2 + i % 4];
	say(fd, frame, 6 + strlen(z));
}

static void ws_hear(int fd, int opcode, const char *z)
{
	char frame[200];
	assert_int_equal(hear(fd, frame, 2 + strlen(z)), 2 + strlen(z));
	assert_int_equal((unsigned char)frame[0], 0x80 | opcode);
	assert_int_equal(frame[1], strlen(z));
	assert_memory_equal(frame + 2, z, strlen(z));
}

static void test_ws(void **state)
{
	struct fixture *f = *state;
	char c;
	int fd = open_ws(f);
	ws_hear(fd, 1, "hello");
	for (int i = 0; i < 50; i++) {
		ws_say(fd, "ping pong");
		ws_hear(fd, 1, "ping pong");
	}
	ws_say(fd, "close");
	ws_hear(fd, 8, "\x0f\xa0" "as asked");
	say(fd, "\x88\x82\0\0\0\0\x0f\xa0", 8);
	assert_int_equal(hear(fd, &c, 1), 0);
	assert_true(eventually(&f->closed, 1));
	close(fd);
}

static void test_ws_rough(void **state)
{
	struct fixture *f = *state;
	char text[1000];
	int fd = dial(f);
	get(fd, "/ws");
	hear_answer(fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 400"));
	close(fd);
	fd = open_ws(f); /* gone without a word */
	close(fd);
	assert_true(eventually(&f->closed, 1));
	fd = open_ws(f); /* not masked */
	ws_hear(fd, 1, "hello");
	say(fd, "\x81\x02hi", 4);
	assert_true(eventually(&f->closed, 2));
	close(fd);
	fd = open_ws(f); /* a message of 2^40 bytes */
	ws_hear(fd, 1, "hello");
	say(fd, "\x81\xff\0\0\x01\0\0\0\0\0\1\2\3\4some", 18);
	assert_true(eventually(&f->closed, 3));
	close(fd);
	fd = dial(f); /* handshake and first message in one packet */
	size_t n = sizeof handshake - 1;
	memcpy(text, handshake, n);
	memcpy(text + n, "\x81\x82\0\0\0\0hi", 8);
	say(fd, text, n + 8);
	hear_answer(fd, text, sizeof text);
	ws_hear(fd, 1, "hello");
	ws_hear(fd, 1, "hi");
	close(fd);
	assert_true(eventually(&f->closed, 4));
}

static void test_ws_back_pressure(void **state)
{
	struct fixture *f = *state;
	char *block = calloc(1, 100000);
	memset(block, 'x', 100000);
	int fd = open_ws(f), sent = 0;
	assert_true(eventually(&f->opened, 1));
	pthread_mutex_lock(&f->ws_lock);
	while (sent < 1000 && slx_ws_send(f->ws, block, 100000)) {
		sent++;
		assert_true(slx_ws_waiting(f->ws) <= 1 << 20);
	}
	pthread_mutex_unlock(&f->ws_lock);
	assert_true(sent < 1000); /* refused before it piled up */
	free(block);
	close(fd);
	assert_true(eventually(&f->closed, 1));
}

static void test_ws_at_the_end(void **state)
{
	struct fixture *f = *state;
	int fd[10];
	for (int i = 0; i < 10; i++)
		fd[i] = open_ws(f);
	slx_http_drain(f->http, 100);
	assert_int_equal(f->closed, f->opened);
	for (int i = 0; i < 10; i++)
		close(fd[i]);
}

/* --- without a listener ----------------------------------------------------------------------------------------- */

static void test_weights(void **state)
{
	static const struct {
		const char *list, *name;
		int weight;
	} cases[] = { { "gzip", "gzip", 1000 }, { "GZip;q=0.5", "gzip", 500 }, { "a, gzip ; q=0.25 , b", "gzip", 250 }, { "gzip;q=0", "gzip", 0 },
		{ "gzipped", "gzip", -1 }, { "", "gzip", -1 }, { "br;q=1.0, zstd;q=0.001", "zstd", 1 }, { "gzip;q=7", "gzip", 1000 }, { ",,;q=,gzip", "gzip", 1000 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(slx_http_weight(slx_str(cases[i].list), cases[i].name), cases[i].weight);
}

static void test_routes(void **state)
{
	static const struct slx_http_route routes[] = {
		{ .methods = "GET", .path = "/a/{x}" }, { .methods = "GET", .path = "/a/b" }, { .methods = "POST", .path = "/a/b" },
		{ .methods = "GET", .path = "/s/", .flags = SLX_HTTP_PREFIX }, { .methods = "GET", .path = "/s/t/", .flags = SLX_HTTP_PREFIX },
		{ .methods = "DELETE", .path = "/a/{x}" },
	};
	static const struct {
		const char *path;
		unsigned method;
		int route; /* -1: none */
		const char *allow;
	} cases[] = { { "/a/b", SLX_METHOD_GET, 1, "" }, { "/a/b", SLX_METHOD_POST, 2, "" }, { "/a/c", SLX_METHOD_GET, 0, "" }, { "/a/c", SLX_METHOD_DELETE, 5, "" },
		{ "/a/c", SLX_METHOD_PUT, -1, "GET, DELETE, HEAD, OPTIONS" }, { "/a/", SLX_METHOD_GET, -1, "" }, { "/a/c/d", SLX_METHOD_GET, -1, "" },
		{ "/s/x", SLX_METHOD_GET, 3, "" }, { "/s/t/x", SLX_METHOD_HEAD, 4, "" }, { "/s", SLX_METHOD_GET, -1, "" }, { "", SLX_METHOD_GET, -1, "" } };
	struct slx_mem m;
	struct slx_arena a;
	slx_mem_init(&m, NULL);
	slx_arena_init(&a, &m, SLX_MEM_OTHER, 65536);
	struct slx_http_routes *r = slx_http_routes_new(&m);
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		assert_true(slx_http_routes_add(r, &routes[i]));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slx_http_found f;
		char allow[64];
		struct slx_str path = slx_str(cases[i].path);
		assert_int_equal(slx_http_routes_find(r, path, path, cases[i].method, &a, &f, NULL), SILEX_OK);
		assert_ptr_equal(f.route ? f.route->path : NULL, cases[i].route < 0 ? NULL : routes[cases[i].route].path);
		slx_http_allow_text(f.allow, allow);
		if (cases[i].route < 0)
			assert_string_equal(allow, cases[i].allow);
	}
	slx_http_routes_free(r);
	slx_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_routes),
		cmocka_unit_test_setup_teardown(test_echo, start, stop),
		cmocka_unit_test_setup_teardown(test_stream, start, stop),
		cmocka_unit_test_setup_teardown(test_stream_packed, start, stop),
		cmocka_unit_test_setup_teardown(test_stream_stalls, start, stop),
		cmocka_unit_test_setup_teardown(test_stream_hung_up, start, stop),
		cmocka_unit_test_setup_teardown(test_hang_up_cancels, start, stop),
		cmocka_unit_test_setup_teardown(test_drain, start, stop),
		cmocka_unit_test_setup_teardown(test_ws, start, stop),
		cmocka_unit_test_setup_teardown(test_ws_rough, start, stop),
		cmocka_unit_test_setup_teardown(test_ws_back_pressure, start, stop),
		cmocka_unit_test_setup_teardown(test_ws_at_the_end, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
