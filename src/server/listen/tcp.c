/* TCP listeners for lines: InfluxDB's line protocol and Graphite's plaintext.
 *
 * One libuv loop on one thread accepts and reads; each block that arrives is decoded and stored on libuv's thread pool, and reading goes
 * on when that is done: a slow database slows its senders. There are no answers on the wire; bad lines are counted and the first of a
 * connection is logged. A connection belongs to the loop's thread, but for `work`, which has decoder, sink and block to itself. */
#include "server/listen/listen_int.h"

#include <netdb.h>
#include <stdio.h>
#include <uv.h>

enum { BLOCK = 64 << 10, CONNECTIONS_MAX = 10000, BACKLOG = 512 };

struct listener {
	struct slx_tcp *tcp;
	uv_tcp_t socket;
	const char *name; /* "influx", "graphite" */
	bool graphite, open;
	struct slx_metric *lines_bad, *samples, *refused;
};

struct connection {
	uv_tcp_t socket;
	uv_work_t work;
	struct listener *listener;
	struct connection *next, *prev;
	struct slx_decoder *decoder;
	struct slx_ingest_sink sink;
	bool told, busy, closing, end;
	silex_status status;
	char error[256];
	size_t n;
	char block[BLOCK];
};

struct slx_tcp {
	struct slx_core *core;
	struct slx_intake *intake;
	struct slx_mem *mem;
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;
	struct listener listeners[2];
	struct connection *connections;
	size_t n;
	bool stopping;
};

/* ---- connections ---- */

static void unlink_connection(struct connection *c)
{
	struct slx_tcp *t = c->listener->tcp;
	*(c->prev ? &c->prev->next : &t->connections) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	t->n--;
}

static void on_closed(uv_handle_t *h)
{
	struct connection *c = h->data;
	struct slx_tcp *t = c->listener->tcp;
	unlink_connection(c);
	slx_decoder_free(c->decoder);
	slx_free(t->mem, SLX_MEM_OTHER, c, sizeof *c);
}

/* Closes once no work is under way. */
static void close_connection(struct connection *c)
{
	c->closing = true;
	if (!c->busy && !uv_is_closing((uv_handle_t *)&c->socket))
		uv_close((uv_handle_t *)&c->socket, on_closed);
}

static silex_status make_decoder(struct connection *c, silex_error *err)
{
	struct slx_tcp *t = c->listener->tcp;
	const struct slx_config *config = slx_core_config(t->core);
	slx_ingest_sink_init(&c->sink, NULL, c->listener->graphite ? SLX_SPACE_GRAPHITE : SLX_SPACE_LINE, NULL, 0, 0);
	if (!c->listener->graphite)
		return slx_decoder_line_protocol(t->mem, NULL, NULL, &c->sink.sink, &c->decoder, err);
	struct slx_graphite_options o = { config->graphite.templates.v, config->graphite.templates.n };
	return slx_decoder_graphite(t->mem, &o, NULL, &c->sink.sink, &c->decoder, err);
}

/* On the pool: decodes the block and stores it. */
static void store(uv_work_t *w)
{
	struct connection *c = w->data;
	struct listener *l = c->listener;
	struct slx_tcp *t = l->tcp;
	struct slx_intake_result result = { 0 };
	silex_error err;
	c->status = slx_intake_begin(t->intake, slx_str(slx_core_config(t->core)->tenants.fallback), &c->sink.batch, &err);
	if (c->status == SILEX_OK) {
		c->sink.now = slx_listen_now(t->core);
		c->status = c->end ? slx_decoder_finish(c->decoder, &err) : slx_decoder_feed(c->decoder, c->block, c->n, &err);
		if (c->status == SILEX_OK)
			c->status = slx_intake_commit(c->sink.batch, &result, &err);
		else
			slx_intake_abandon(c->sink.batch);
	}
	if (c->status != SILEX_OK)
		snprintf(c->error, sizeof c->error, "%.250s", err.message);
	slx_metric_add(l->samples, result.samples);
	slx_metric_add(l->refused, result.refused);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct connection *c = h->data;
	*ret = uv_buf_init(c->block, sizeof c->block);
}

static void tell(struct connection *c)
{
	struct slx_core *core = c->listener->tcp->core;
	if (c->status != SILEX_OK)
		slx_log(core->log, SLX_LOG_WARN, "lines were not stored", SLX_TEXT("listener", c->listener->name), SLX_TEXT("error", c->error));
	slx_metric_add(c->listener->lines_bad, c->sink.bad_lines);
	if (c->sink.bad_lines && !c->told)
		slx_log(core->log, SLX_LOG_WARN, "bad line", SLX_TEXT("listener", c->listener->name), SLX_INT("line", c->sink.first_line),
			SLX_INT("column", c->sink.first_column), SLX_TEXT("error", c->sink.first));
	c->told = c->told || c->sink.bad_lines;
	c->sink.bad_lines = 0;
}

static void on_stored(uv_work_t *w, int status)
{
	struct connection *c = w->data;
	c->busy = false;
	tell(c);
	if (c->closing || c->end || c->status != SILEX_OK)
		return close_connection(c);
	uv_read_start((uv_stream_t *)&c->socket, on_alloc, on_read);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = s->data;
	if (n == 0)
		return;
	uv_read_stop(s);
	if (n < 0 && n != UV_EOF)
		return close_connection(c);
	c->end = n < 0;
	c->n = n > 0 ? (size_t)n : 0;
	c->busy = true;
	c->work.data = c;
	if (uv_queue_work(&c->listener->tcp->loop, &c->work, store, on_stored) != 0) {
		c->busy = false;
		close_connection(c);
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *l = server->data;
	struct slx_tcp *t = l->tcp;
	silex_error err;
	struct connection *c = status == 0 ? slx_calloc(t->mem, SLX_MEM_OTHER, sizeof *c) : NULL;
	if (!c)
		return; /* the backlog keeps it */
	c->listener = l;
	uv_tcp_init(&t->loop, &c->socket);
	c->socket.data = c;
	c->next = t->connections;
	if (c->next)
		c->next->prev = c;
	t->connections = c;
	t->n++;
	if (uv_accept(server, (uv_stream_t *)&c->socket) != 0 || t->n > CONNECTIONS_MAX || make_decoder(c, &err) != SILEX_OK)
		return close_connection(c);
	uv_tcp_keepalive(&c->socket, 1, 60);
	uv_read_start((uv_stream_t *)&c->socket, on_alloc, on_read);
}

/* ---- listening ---- */

static silex_status resolve(const char *address, struct sockaddr_storage *ret, silex_error *err)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
	if (!colon || (size_t)(colon - address) >= sizeof host)
		return slx_err(err, SILEX_INVALID, "listen address \"%s\": expected host:port", address);
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = 0;
	char *name = host;
	size_t n = strlen(host);
	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		name = host + 1;
	}
	int rc = getaddrinfo(*name ? name : NULL, colon + 1, &hints, &found);
	if (rc != 0)
		return slx_err(err, SILEX_INVALID, "listen address \"%s\": %s", address, gai_strerror(rc));
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return SILEX_OK;
}

static unsigned port_of(const uv_tcp_t *socket)
{
	struct sockaddr_storage a;
	int n = sizeof a;
	if (uv_tcp_getsockname(socket, (struct sockaddr *)&a, &n) != 0)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port : ((struct sockaddr_in *)&a)->sin_port);
}

static silex_status open_listener(struct slx_tcp *t, struct listener *l, const char *name, const char *address, silex_error *err)
{
	char labels[64];
	struct sockaddr_storage a;
	SLX_TRY(resolve(address, &a, err));
	l->tcp = t;
	l->name = name;
	snprintf(labels, sizeof labels, "listener=\"%s\"", name);
	l->samples = slx_metrics_counter(t->core->metrics, "silex_listener_samples_total", "Samples stored, by TCP listener.", labels);
	l->refused = slx_metrics_counter(t->core->metrics, "silex_listener_samples_refused_total", "Samples refused, by TCP listener.", labels);
	l->lines_bad = slx_metrics_counter(t->core->metrics, "silex_listener_bad_lines_total", "Lines that could not be read, by TCP listener.", labels);
	uv_tcp_init(&t->loop, &l->socket);
	l->open = true;
	l->socket.data = l;
	int rc = uv_tcp_bind(&l->socket, (const struct sockaddr *)&a, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&l->socket, BACKLOG, on_connection);
	if (rc != 0)
		return slx_err(err, SILEX_UNAVAILABLE, "%s listener on %s: %s", name, address, uv_strerror(rc));
	slx_log(t->core->log, SLX_LOG_INFO, "listening", SLX_TEXT("protocol", name), SLX_TEXT("address", address), SLX_INT("port", port_of(&l->socket)));
	return SILEX_OK;
}

static void close_all(struct slx_tcp *t)
{
	for (size_t i = 0; i < 2; i++)
		if (t->listeners[i].open && !uv_is_closing((uv_handle_t *)&t->listeners[i].socket))
			uv_close((uv_handle_t *)&t->listeners[i].socket, NULL);
	for (struct connection *c = t->connections, *next; c; c = next) {
		next = c->next;
		close_connection(c);
	}
	if (!uv_is_closing((uv_handle_t *)&t->stop))
		uv_close((uv_handle_t *)&t->stop, NULL);
}

static void on_stop(uv_async_t *a) { close_all(a->data); }

static void loop_main(void *arg) { uv_run(&((struct slx_tcp *)arg)->loop, UV_RUN_DEFAULT); }

static void tcp_free(struct slx_tcp *t)
{
	uv_loop_close(&t->loop);
	slx_free(t->mem, SLX_MEM_OTHER, t, sizeof *t);
}

silex_status slx_tcp_start(struct slx_core *core, struct slx_intake *intake, struct slx_tcp **ret, silex_error *err)
{
	const struct slx_config *c = slx_core_config(core);
	silex_status st = SILEX_OK;
	*ret = NULL;
	if (!*c->influx.listen && !*c->graphite.listen)
		return SILEX_OK;
	struct slx_tcp *t = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *t);
	if (!t)
		return slx_err_oom(err);
	t->core = core;
	t->intake = intake;
	t->mem = core->mem;
	t->listeners[1].graphite = true;
	if (uv_loop_init(&t->loop) != 0) {
		slx_free(t->mem, SLX_MEM_OTHER, t, sizeof *t);
		return slx_err_oom(err);
	}
	uv_async_init(&t->loop, &t->stop, on_stop);
	t->stop.data = t;
	if (*c->influx.listen)
		st = open_listener(t, &t->listeners[0], "influx", c->influx.listen, err);
	if (st == SILEX_OK && *c->graphite.listen)
		st = open_listener(t, &t->listeners[1], "graphite", c->graphite.listen, err);
	if (st == SILEX_OK && uv_thread_create(&t->thread, loop_main, t) != 0)
		st = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the thread of the TCP listeners");
	if (st != SILEX_OK) {
		close_all(t);
		uv_run(&t->loop, UV_RUN_DEFAULT);
		tcp_free(t);
		return st;
	}
	*ret = t;
	return SILEX_OK;
}

void slx_tcp_stop(struct slx_tcp *t)
{
	if (!t)
		return;
	uv_async_send(&t->stop);
	uv_thread_join(&t->thread);
	tcp_free(t);
}
