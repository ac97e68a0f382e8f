/* WebSocket (RFC 6455): MHD answers the handshake and hands over the socket; one thread with epoll and wslay serves them all.
 *
 * Other threads reach a connection only through the loop's lock: they put messages into its list, or ask for its end, and wake the
 * loop. wslay gets one message at a time, so that what waits is counted exactly. A client that answers no ping for PATIENCE_S, or
 * takes nothing for that long, is cut. The order of a connection's life: made by slx_http_upgrade on a worker; taken over in
 * on_upgrade on an I/O thread; opened, served, closed and freed on the loop's thread. When the client goes before the handshake is
 * answered, `closed` is called without `opened`. */
#include "server/http/http_int.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

enum { WAITING_MAX = 1 << 20, MESSAGE_MAX = 64 << 10, PING_S = 30, PATIENCE_S = 90, TICK_MS = 1000 };

struct message {
	struct message *next;
	size_t n;
	uint8_t p[];
};

struct slx_ws {
	struct slx_ws_loop *loop;
	const struct slx_ws_events *events;
	void *arg;
	/* under loop->lock */
	struct slx_ws *next, *prev; /* loop->all or loop->incoming */
	struct message *first, **last;
	_Atomic size_t waiting; /* bytes given and not yet sent */
	unsigned close_code;    /* 0: not asked for */
	char close_reason[64];
	/* the loop's thread */
	int fd;
	struct MHD_UpgradeResponseHandle *handle;
	wslay_event_context_ptr wslay;
	struct message *sending;
	uint8_t *early; /* came with the handshake */
	size_t early_n, early_off;
	int64_t seen_ns, pinged_ns, moved_ns; /* monotonic: last bytes in, last ping, last bytes out or nothing to send */
	bool failed, writing;
};

struct slx_ws_loop {
	struct slx_http *h;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t fewer;
	struct slx_ws *all, *incoming;
	unsigned n; /* of both */
	bool ending, force, stop;
	bool woken;
	int wake_fd, epoll_fd;
	pthread_t thread;
	struct slx_metric *gauge;
};

/* --- lists; under the lock -------------------------------------------------------------------------------------- */

static void link_into(struct slx_ws **list, struct slx_ws *ws)
{
	ws->prev = NULL;
	ws->next = *list;
	if (ws->next)
		ws->next->prev = ws;
	*list = ws;
}

static void unlink_from(struct slx_ws **list, struct slx_ws *ws)
{
	if (ws->prev)
		ws->prev->next = ws->next;
	else
		*list = ws->next;
	if (ws->next)
		ws->next->prev = ws->prev;
}

static void wake(struct slx_ws_loop *l)
{
	uint64_t one = 1;
	if (l->woken)
		return;
	l->woken = write(l->wake_fd, &one, sizeof one) == sizeof one;
}

static void ws_free(struct slx_ws *ws)
{
	struct slx_mem *m = ws->loop->h->mem;
	for (struct message *x = ws->first, *next; x; x = next) {
		next = x->next;
		slx_free(m, SLX_MEM_OTHER, x, sizeof *x + x->n);
	}
	if (ws->sending)
		slx_free(m, SLX_MEM_OTHER, ws->sending, sizeof *ws->sending + ws->sending->n);
	slx_free(m, SLX_MEM_OTHER, ws->early, ws->early_n);
	if (ws->wslay)
		wslay_event_context_free(ws->wslay);
	slx_free(m, SLX_MEM_OTHER, ws, sizeof *ws);
}

/* --- the handshake ---------------------------------------------------------------------------------------------- */

/* Base64 of SHA-1 of the key and the protocol's constant (RFC 6455, 4.2.2). */
static bool accept_key(struct slx_str key, char ret[32])
{
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t text[24 + sizeof magic], sum[21] = { 0 };
	if (key.n != 24)
		return false;
	memcpy(text, key.p, 24);
	memcpy(text + 24, magic, sizeof magic - 1);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, 24 + sizeof magic - 1, sum) != 0)
		return false;
	for (unsigned i = 0; i < 7; i++) { /* 20 bytes: the last group has two */
		uint32_t v = (uint32_t)sum[i * 3] << 16 | (uint32_t)sum[i * 3 + 1] << 8 | sum[i * 3 + 2];
		for (unsigned k = 0; k < 4; k++)
			ret[i * 4 + k] = digits[v >> (18 - 6 * k) & 63];
	}
	strcpy(ret + 27, "=");
	return true;
}

static void on_upgrade(void *cls, struct MHD_Connection *c, void *con_cls, const char *extra, size_t extra_n, MHD_socket fd,
	struct MHD_UpgradeResponseHandle *handle)
{
	struct slx_ws *ws = cls;
	struct slx_http_exchange *x = con_cls;
	struct slx_ws_loop *l = ws->loop;
	x->ws_taken = true;
	ws->fd = fd;
	ws->handle = handle;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ws->early = extra_n ? slx_alloc(l->h->mem, SLX_MEM_OTHER, extra_n) : NULL;
	if (ws->early) {
		memcpy(ws->early, extra, extra_n);
		ws->early_n = extra_n;
	} else if (extra_n)
		ws->failed = true;
	pthread_mutex_lock(&l->lock);
	link_into(&l->incoming, ws);
	wake(l);
	pthread_mutex_unlock(&l->lock);
}

silex_status slx_http_upgrade(struct slx_http_exchange *x, const struct slx_ws_events *e, void *arg, silex_error *err)
{
	char accept[32];
	struct slx_str version = slx_http_header(x, "Sec-WebSocket-Version"), upgrade = slx_http_header(x, "Upgrade"),
				   connection = slx_http_header(x, "Connection");
	if (!upgrade.p || slx_http_weight(upgrade, "websocket") < 0 || !connection.p || slx_http_weight(connection, "upgrade") < 0)
		return slx_err(err, SILEX_INVALID, "expected a WebSocket handshake: Connection: Upgrade, Upgrade: websocket");
	if (version.n != 2 || memcmp(version.p, "13", 2) != 0)
		return slx_err(err, SILEX_INVALID, "Sec-WebSocket-Version: expected 13");
	if (!accept_key(slx_http_header(x, "Sec-WebSocket-Key"), accept))
		return slx_err(err, SILEX_INVALID, "Sec-WebSocket-Key: expected 24 characters of base64");
	struct slx_ws_loop *l = x->h->ws;
	struct slx_ws *ws = slx_calloc(x->h->mem, SLX_MEM_OTHER, sizeof *ws);
	if (!ws)
		return slx_err_oom(err);
	*ws = (struct slx_ws){ .loop = l, .events = e, .arg = arg, .fd = -1 };
	ws->last = &ws->first;
	struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, ws);
	if (!r) {
		slx_free(x->h->mem, SLX_MEM_OTHER, ws, sizeof *ws);
		return slx_err_oom(err);
	}
	MHD_add_response_header(r, "Upgrade", "websocket");
	MHD_add_response_header(r, "Sec-WebSocket-Accept", accept);
	pthread_mutex_lock(&l->lock);
	l->n++;
	pthread_mutex_unlock(&l->lock);
	x->ws = ws;
	x->status = 101;
	x->response = r;
	return SILEX_OK;
}

static void forget(struct slx_ws *ws)
{
	struct slx_ws_loop *l = ws->loop;
	ws->events->closed(ws->arg, ws);
	ws_free(ws);
	pthread_mutex_lock(&l->lock);
	l->n--;
	slx_metric_set(l->gauge, l->n);
	pthread_cond_signal(&l->fewer);
	pthread_mutex_unlock(&l->lock);
}

void slx_ws_abandon(struct slx_http_exchange *x)
{
	if (x->ws && !x->ws_taken)
		forget(x->ws);
}

/* --- wslay's callbacks ------------------------------------------------------------------------------------------ */

static ssize_t on_recv(wslay_event_context_ptr c, uint8_t *to, size_t max, int flags, void *arg)
{
	struct slx_ws *ws = arg;
	if (ws->early_off < ws->early_n) {
		size_t n = ws->early_n - ws->early_off < max ? ws->early_n - ws->early_off : max;
		memcpy(to, ws->early + ws->early_off, n);
		ws->early_off += n;
		return (ssize_t)n;
	}
	ssize_t n = recv(ws->fd, to, max, 0);
	if (n > 0) {
		ws->seen_ns = slx_http_now();
		return n;
	}
	bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
	wslay_event_set_error(c, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr c, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct slx_ws *ws = arg;
	ssize_t sent = send(ws->fd, p, n, MSG_NOSIGNAL | (flags & WSLAY_MSG_MORE ? MSG_MORE : 0));
	if (sent >= 0) {
		ws->moved_ns = slx_http_now();
		return sent;
	}
	wslay_event_set_error(c, errno == EAGAIN || errno == EINTR ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static void on_message(wslay_event_context_ptr c, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	struct slx_ws *ws = arg;
	if (m->opcode == WSLAY_TEXT_FRAME || m->opcode == WSLAY_BINARY_FRAME)
		ws->events->message(ws->arg, ws, (struct slx_str){ (const char *)m->msg, m->msg_length });
}

static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message };

/* --- the loop's thread ------------------------------------------------------------------------------------------ */

static void message_done(struct slx_ws *ws)
{
	if (!ws->sending)
		return;
	atomic_fetch_sub(&ws->waiting, ws->sending->n);
	slx_free(ws->loop->h->mem, SLX_MEM_OTHER, ws->sending, sizeof *ws->sending + ws->sending->n);
	ws->sending = NULL;
}

/* Gives wslay the next message, or the close frame when there is none and it was asked for. */
static void feed(struct slx_ws *ws)
{
	struct slx_ws_loop *l = ws->loop;
	unsigned code = 0;
	pthread_mutex_lock(&l->lock);
	struct message *m = ws->first;
	if (m) {
		ws->first = m->next;
		if (!ws->first)
			ws->last = &ws->first;
	} else {
		code = ws->close_code;
	}
	pthread_mutex_unlock(&l->lock);
	ws->sending = m;
	if (m) {
		struct wslay_event_msg out = { WSLAY_TEXT_FRAME, m->p, m->n };
		ws->failed |= wslay_event_queue_msg(ws->wslay, &out) != 0;
	} else if (code && !wslay_event_get_close_sent(ws->wslay))
		wslay_event_queue_close(ws->wslay, (uint16_t)code, (const uint8_t *)ws->close_reason, strlen(ws->close_reason));
}

static void send_all(struct slx_ws *ws)
{
	for (;;) {
		if (wslay_event_get_queued_msg_count(ws->wslay) == 0) {
			message_done(ws);
			feed(ws);
		}
		if (!wslay_event_want_write(ws->wslay))
			return;
		ws->failed |= wslay_event_send(ws->wslay) != 0;
		if (ws->failed || wslay_event_get_queued_msg_count(ws->wslay))
			return; /* the socket is full */
	}
}

static void watch_for(struct slx_ws *ws, bool write)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP | (write ? EPOLLOUT : 0), .data.ptr = ws };
	if (ws->writing != write)
		epoll_ctl(ws->loop->epoll_fd, EPOLL_CTL_MOD, ws->fd, &e);
	ws->writing = write;
}

static void end(struct slx_ws *ws)
{
	struct slx_ws_loop *l = ws->loop;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, ws->fd, NULL);
	pthread_mutex_lock(&l->lock);
	unlink_from(&l->all, ws);
	pthread_mutex_unlock(&l->lock);
	MHD_upgrade_action(ws->handle, MHD_UPGRADE_ACTION_CLOSE);
	forget(ws);
}

/* Does what can be done now; ends the connection when it is over. */
static void serve(struct slx_ws *ws, bool readable)
{
	if (!ws->failed && (readable || ws->early_off < ws->early_n))
		ws->failed |= wslay_event_recv(ws->wslay) != 0;
	if (!ws->failed)
		send_all(ws);
	bool over = !wslay_event_want_read(ws->wslay) && !wslay_event_want_write(ws->wslay);
	if (ws->failed || over)
		end(ws);
	else
		watch_for(ws, wslay_event_want_write(ws->wslay));
}

static void begin(struct slx_ws *ws)
{
	struct slx_ws_loop *l = ws->loop;
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = ws };
	ws->seen_ns = ws->pinged_ns = ws->moved_ns = slx_http_now();
	ws->failed |= wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0;
	if (ws->wslay)
		wslay_event_config_set_max_recv_msg_length(ws->wslay, MESSAGE_MAX);
	ws->failed |= epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, ws->fd, &e) != 0;
	pthread_mutex_lock(&l->lock);
	link_into(&l->all, ws);
	slx_metric_set(l->gauge, l->n);
	pthread_mutex_unlock(&l->lock);
	if (!ws->failed && ws->events->opened)
		ws->events->opened(ws->arg, ws);
	if (ws->failed)
		end(ws);
	else
		serve(ws, false);
}

static struct slx_ws *next_incoming(struct slx_ws_loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct slx_ws *ws = l->incoming;
	if (ws)
		unlink_from(&l->incoming, ws);
	pthread_mutex_unlock(&l->lock);
	return ws;
}

/* Looks after every connection: what others gave, pings, the end. Only this thread takes out of `all`. */
static void visit_all(struct slx_ws_loop *l, bool ending, bool force)
{
	int64_t now = slx_http_now();
	pthread_mutex_lock(&l->lock);
	struct slx_ws *ws = l->all;
	pthread_mutex_unlock(&l->lock);
	for (struct slx_ws *next; ws; ws = next) {
		next = ws->next;
		if (ending && !ws->close_code)
			slx_ws_close(ws, 1001, "the server is ending");
		bool waiting = atomic_load(&ws->waiting) > 0, ping = now - ws->pinged_ns > PING_S * INT64_C(1000000000);
		if (!waiting)
			ws->moved_ns = now;
		if (ping) {
			struct wslay_event_msg m = { WSLAY_PING, NULL, 0 };
			wslay_event_queue_msg(ws->wslay, &m);
			ws->pinged_ns = now;
		}
		int64_t patience = PATIENCE_S * INT64_C(1000000000);
		ws->failed |= force || now - ws->seen_ns > patience || now - ws->moved_ns > patience;
		if (waiting || ping || ws->failed || ws->close_code)
			serve(ws, false);
	}
}

static void *loop(void *arg)
{
	struct slx_ws_loop *l = arg;
	struct epoll_event events[64];
	for (;;) {
		int n = epoll_wait(l->epoll_fd, events, 64, TICK_MS);
		for (int i = 0; i < n; i++)
			if (events[i].data.ptr)
				serve(events[i].data.ptr, events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		uint64_t count;
		pthread_mutex_lock(&l->lock);
		if (l->woken && read(l->wake_fd, &count, sizeof count) == sizeof count)
			l->woken = false;
		bool stop = l->stop, ending = l->ending, force = l->force;
		pthread_mutex_unlock(&l->lock);
		for (struct slx_ws *ws; (ws = next_incoming(l));)
			begin(ws);
		visit_all(l, ending, force);
		if (stop)
			return NULL;
	}
}

/* --- any thread ------------------------------------------------------------------------------------------------- */

bool slx_ws_send(struct slx_ws *ws, const void *text, size_t n)
{
	struct slx_ws_loop *l = ws->loop;
	size_t waiting = atomic_load(&ws->waiting);
	if (waiting && waiting + n > WAITING_MAX) /* one message of any size goes when nothing waits */
		return false;
	struct message *m = slx_alloc(l->h->mem, SLX_MEM_OTHER, sizeof *m + n);
	if (!m)
		return false;
	m->next = NULL;
	m->n = n;
	memcpy(m->p, text, n);
	pthread_mutex_lock(&l->lock);
	*ws->last = m;
	ws->last = &m->next;
	atomic_fetch_add(&ws->waiting, n);
	wake(l);
	pthread_mutex_unlock(&l->lock);
	return true;
}

size_t slx_ws_waiting(const struct slx_ws *ws) { return atomic_load(&((struct slx_ws *)ws)->waiting); }

void slx_ws_close(struct slx_ws *ws, unsigned code, const char *reason)
{
	struct slx_ws_loop *l = ws->loop;
	pthread_mutex_lock(&l->lock);
	if (!ws->close_code) {
		ws->close_code = code;
		snprintf(ws->close_reason, sizeof ws->close_reason, "%s", reason);
	}
	wake(l);
	pthread_mutex_unlock(&l->lock);
}

/* --- the loop's life -------------------------------------------------------------------------------------------- */

silex_status slx_ws_loop_new(struct slx_http *h, struct slx_ws_loop **ret, silex_error *err)
{
	struct slx_ws_loop *l = slx_calloc(h->mem, SLX_MEM_OTHER, sizeof *l);
	struct epoll_event e = { .events = EPOLLIN };
	if (!l)
		return slx_err_oom(err);
	l->h = h;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->fewer, NULL);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int failed = l->wake_fd < 0 || l->epoll_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &e) != 0 ? errno : 0;
	if (!failed)
		failed = pthread_create(&l->thread, NULL, loop, l);
	if (failed) {
		l->stop = true;
		slx_ws_loop_free(l);
		return slx_err_errno(err, failed, "loop of WebSockets");
	}
	pthread_setname_np(l->thread, "http-ws");
	l->gauge = slx_metrics_gauge(h->core->metrics, "silex_websockets", "Open WebSocket connections.", "");
	*ret = l;
	return SILEX_OK;
}

/* Waits until there are at most none, for ms. */
static bool wait_for_none(struct slx_ws_loop *l, long ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (l->n && pthread_cond_timedwait(&l->fewer, &l->lock, &until) == 0)
		;
	return l->n == 0;
}

void slx_ws_close_all(struct slx_ws_loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->ending = true;
	wake(l);
	if (!wait_for_none(l, 500)) {
		l->force = true;
		wake(l);
		wait_for_none(l, 1000);
	}
	pthread_mutex_unlock(&l->lock);
}

void slx_ws_loop_free(struct slx_ws_loop *l)
{
	if (!l)
		return;
	if (!l->stop) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		wake(l);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	pthread_cond_destroy(&l->fewer);
	pthread_mutex_destroy(&l->lock);
	slx_free(l->h->mem, SLX_MEM_OTHER, l, sizeof *l);
}
