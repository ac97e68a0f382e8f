/* The client against a server of a few lines that answers each request as its path says. */
#include "net/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

struct peer {
	int listener;
	unsigned port;
	pthread_t thread;
	_Atomic int connections, requests;
};

static struct slx_mem mem;

/* --- the server --- */

static void say(int fd, const char *text) { (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); }

static void answer(int fd, const char *method, const char *path, const char *headers, const char *body, size_t n)
{
	char text[4096];
	const char *auth = strcasestr(headers, "authorization: ");
	if (strcmp(path, "/echo") == 0) {
		snprintf(text, sizeof text, "HTTP/1.1 201 Made\r\nX-Method: %s\r\nETag:  \"e\" \r\nX-Auth: %.*s\r\nContent-Length: %zu\r\n\r\n%.*s", method,
			auth ? (int)strcspn(auth, "\r") : 0, auth ? auth : "", n, (int)n, body);
		say(fd, text);
	} else if (strcmp(path, "/missing") == 0) {
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
	} else if (strcmp(path, "/head") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
	} else if (strcmp(path, "/away") == 0) {
		say(fd, "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/cut") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
		shutdown(fd, SHUT_RDWR);
	} else if (strcmp(path, "/large") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n0123456789012345678901234567890123456789");
	} else if (strcmp(path, "/garbage") == 0) {
		say(fd, "what do you want\r\n\r\n");
		shutdown(fd, SHUT_RDWR);
	} /* "/hang": says nothing */
}

static void serve(struct peer *p, int fd)
{
	char text[8192];
	size_t n = 0;
	p->connections++;
	for (;;) {
		char *end, method[16], path[256];
		ssize_t got;
		text[n] = 0;
		while (!(end = strstr(text, "\r\n\r\n"))) {
			if ((got = recv(fd, text + n, sizeof text - 1 - n, 0)) <= 0)
				return;
			text[n += (size_t)got] = 0;
		}
		end += 4;
		const char *length = strcasestr(text, "content-length: ");
		size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
		while (n < (size_t)(end - text) + body) {
			if ((got = recv(fd, text + n, sizeof text - 1 - n, 0)) <= 0)
				return;
			n += (size_t)got;
		}
		assert_int_equal(sscanf(text, "%15s %255s", method, path), 2);
		p->requests++;
		answer(fd, method, path, text, end, body);
		memmove(text, end + body, n -= (size_t)(end - text) + body);
	}
}

struct one {
	struct peer *p;
	int fd;
};

static void *serve_one(void *arg)
{
	struct one one = *(struct one *)arg;
	free(arg);
	serve(one.p, one.fd);
	close(one.fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct peer *p = arg;
	for (int fd; (fd = accept(p->listener, NULL, NULL)) >= 0;) {
		struct one *one = malloc(sizeof *one);
		pthread_t t;
		*one = (struct one){ p, fd };
		pthread_create(&t, NULL, serve_one, one);
		pthread_detach(t);
	}
	return NULL;
}

static int start(void **state)
{
	static struct peer p;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	slx_mem_init(&mem, NULL);
	p.listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(p.listener, (struct sockaddr *)&a, n) != 0 || listen(p.listener, 64) != 0 ||
		getsockname(p.listener, (struct sockaddr *)&a, &n) != 0)
		return -1;
	p.port = ntohs(a.sin_port);
	*state = &p;
	return pthread_create(&p.thread, NULL, accept_all, &p);
}

static int stop(void **state)
{
	struct peer *p = *state;
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
	return 0;
}

/* --- the client --- */

static const char *url_of(const struct peer *p, const char *path)
{
	static _Thread_local char url[256];
	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", p->port, path);
	return url;
}

static struct slx_net_client *client(void)
{
	struct slx_net_client *c;
	assert_int_equal(slx_net_client_new(&mem, NULL, &c, NULL), SILEX_OK);
	return c;
}

static void finish(struct slx_net_client *c)
{
	slx_net_client_free(c);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_answers(void **state)
{
	struct peer *p = *state;
	struct slx_net_client *c = client();
	struct slx_net_answer a;
	silex_error err;
	const char *const headers[] = { "Content-Type: text/plain", "X-More: 1" };
	struct slx_net_request r = { .method = "POST", .url = url_of(p, "/echo"), .body = "hello", .body_size = 5, .headers = headers, .headers_n = 2 };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_int_equal(a.status, 201);
	assert_string_equal(a.body.p, "hello");
	assert_int_equal(a.body.n, 5);
	assert_string_equal(slx_net_answer_header(&a, "etag"), "\"e\"");
	assert_string_equal(slx_net_answer_header(&a, "x-method"), "POST");
	assert_null(slx_net_answer_header(&a, "x"));
	slx_net_answer_free(&a);

	r = (struct slx_net_request){ .method = "PUT", .url = url_of(p, "/echo"), .user = "ward", .password = "secret" };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_string_equal(slx_net_answer_header(&a, "x-method"), "PUT");
	assert_non_null(strstr(slx_net_answer_header(&a, "x-auth"), "Basic d2FyZDpzZWNyZXQ="));
	assert_string_equal(a.body.p, "");
	slx_net_answer_free(&a);

	r = (struct slx_net_request){ .method = "GET", .url = url_of(p, "/missing") };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_int_equal(a.status, 404);
	assert_string_equal(a.body.p, "gone");
	slx_net_answer_free(&a);

	r = (struct slx_net_request){ .method = "HEAD", .url = url_of(p, "/head") };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_string_equal(slx_net_answer_header(&a, "content-length"), "1234");
	slx_net_answer_free(&a);

	r = (struct slx_net_request){ .method = "GET", .url = url_of(p, "/away") };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_int_equal(a.status, 302); /* not followed */
	slx_net_answer_free(&a);
	finish(c);
}

static void test_into(void **state)
{
	struct peer *p = *state;
	struct slx_net_client *c = client();
	struct slx_net_answer a;
	silex_error err;
	char buf[40];
	struct slx_net_request r = { .method = "GET", .url = url_of(p, "/large"), .into = buf, .into_size = sizeof buf };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_int_equal(a.into_n, 40);
	assert_int_equal(a.body.n, 0);
	assert_memory_equal(buf + 30, "0123456789", 10);
	slx_net_answer_free(&a);
	r.into_size = 39;
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, "larger than 39 bytes"));
	r = (struct slx_net_request){ .method = "GET", .url = url_of(p, "/missing"), .into = buf, .into_size = 1 };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_OK);
	assert_string_equal(a.body.p, "gone"); /* an error's words do not go where data is expected */
	slx_net_answer_free(&a);
	finish(c);
}

static void test_failures(void **state)
{
	struct peer *p = *state;
	struct slx_net_client *c = client();
	struct slx_net_answer a;
	silex_error err;
	_Atomic bool cancel = true;
	struct slx_net_request r = { .method = "GET", .url = url_of(p, "/large"), .answer_max = 39 };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_RESOURCE_EXHAUSTED);
	r = (struct slx_net_request){ .method = "GET", .url = url_of(p, "/cut") };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_UNAVAILABLE);
	assert_non_null(strstr(err.message, "GET http://127.0.0.1:"));
	assert_null(strstr(err.message, "/cut"));
	r.url = url_of(p, "/garbage");
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_UNAVAILABLE);
	r.url = url_of(p, "/hang");
	r.timeout_ns = SECOND / 5;
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_DEADLINE_EXCEEDED);
	r.timeout_ns = 0;
	r.stall_timeout_ns = SECOND;
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_DEADLINE_EXCEEDED);
	r.cancel = &cancel;
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_CANCELED);
	r = (struct slx_net_request){ .method = "GET", .url = "http://u:pw@127.0.0.1:1/x" };
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_UNAVAILABLE); /* nobody listens there */
	assert_null(strstr(err.message, "pw"));
	r.url = "file:///etc/passwd";
	assert_int_equal(slx_net_fetch(c, &r, &a, &err), SILEX_INVALID);
	finish(c);
}

struct many {
	struct slx_net_client *c;
	const char *url;
	_Atomic int good;
};

static void *fetch_many(void *arg)
{
	struct many *m = arg;
	for (int i = 0; i < 50; i++) {
		struct slx_net_request r = { .method = "GET", .url = m->url };
		struct slx_net_answer a;
		if (slx_net_fetch(m->c, &r, &a, NULL) == SILEX_OK) {
			m->good += a.status == 404;
			slx_net_answer_free(&a);
		}
	}
	return NULL;
}

/* Four threads: two hundred requests over four connections. */
static void test_reuse(void **state)
{
	struct peer *p = *state;
	char url[256];
	struct many m = { .c = client(), .url = strcpy(url, url_of(p, "/missing")) };
	pthread_t t[4];
	p->connections = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fetch_many, &m), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(m.good, 200);
	assert_true(p->connections <= 4);
	finish(m.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_into),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_reuse),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
