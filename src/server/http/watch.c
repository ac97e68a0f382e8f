/* The watcher: one thread that looks after what MHD does not see.
 *
 * MHD takes a suspended connection out of its epoll, so a client that hangs up while its query runs goes unnoticed. Instead of
 * two epoll_ctl a request, the watcher asks poll(2) about the sockets of those that have been running for a while, 40 times a second;
 * most requests end before it looks. While handlers run on I/O threads it looks after their role (shard.c) every half millisecond. (A client that shuts down only its sending side counts as gone, as in Go's server.)
 * Once a second it cuts connections that are past their deadline: MHD's own timeout starts anew with every byte, which is what
 * slow-loris lives from. */
#include "server/http/http_int.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

enum { TICK_US = 500, LOOK_MS = 25, IDLE_MS = 200, QUIET_MS = 5, YOUNG_MS = 10, BATCH = 512 };

/* Takes references to up to BATCH exchanges of the lane that run for long enough. */
static unsigned collect(struct slx_http_lane *l, int64_t now, struct slx_http_exchange **xs, struct pollfd *fds, unsigned skip)
{
	unsigned n = 0;
	pthread_mutex_lock(&l->lock);
	for (struct slx_http_exchange *x = l->alive; x && n < BATCH; x = x->lane_next) {
		if (now - x->began_ns < YOUNG_MS * INT64_C(1000000) || !x->conn || (skip && skip--))
			continue;
		atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
		xs[n] = x;
		fds[n++] = (struct pollfd){ .fd = x->conn_fd, .events = POLLRDHUP };
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* A socket that was closed and reused meanwhile belonged to an exchange that is canceled already. */
static void look(struct slx_http_lane *l, int64_t now)
{
	struct slx_http_exchange *xs[BATCH];
	struct pollfd fds[BATCH];
	unsigned done = 0, n;
	do {
		n = collect(l, now, xs, fds, done);
		if (n)
			poll(fds, n, 0);
		for (unsigned i = 0; i < n; i++) {
			if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
				atomic_store_explicit(&xs[i]->canceled, true, memory_order_relaxed);
			slx_http_exchange_unref(xs[i]);
		}
		done += n;
	} while (n == BATCH);
}

static void cut(struct slx_http *h, struct slx_http_conn *c, bool late)
{
	atomic_store_explicit(&c->deadline, 0, memory_order_relaxed);
	shutdown(c->fd, SHUT_RDWR); /* MHD closes it */
	slx_metric_add(h->cut, late);
}

/* A client that sends part of a request and goes at once: MHD, edge-triggered, reads the bytes and misses the end. Gone in two looks
 * means that nobody is about to read it. */
static void cut_hung(struct slx_http *h, struct slx_http_conn **cs, struct pollfd *fds, unsigned n)
{
	poll(fds, n, 0);
	for (unsigned i = 0; i < n; i++) {
		bool gone = fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR);
		if (gone && cs[i]->hung)
			cut(h, cs[i], false);
		cs[i]->hung = gone;
	}
}

/* Under the lock of connections sockets stay what they are. */
static void cut_overdue(struct slx_http *h, int64_t now)
{
	struct slx_http_conn *cs[BATCH];
	struct pollfd fds[BATCH];
	unsigned n = 0;
	pthread_mutex_lock(&h->conns_lock);
	for (struct slx_http_conn *c = h->conns; c; c = c->next) {
		int64_t deadline = atomic_load_explicit(&c->deadline, memory_order_relaxed);
		if (deadline && now > deadline)
			cut(h, c, true);
		if (atomic_load_explicit(&c->busy, memory_order_relaxed))
			continue; /* MHD or the look at lanes sees to it */
		cs[n] = c;
		fds[n++] = (struct pollfd){ .fd = c->fd, .events = POLLRDHUP };
		if (n == BATCH) {
			cut_hung(h, cs, fds, n);
			n = 0;
		}
	}
	cut_hung(h, cs, fds, n);
	pthread_mutex_unlock(&h->conns_lock);
}

/* Sleeps, at most us microseconds. false: stop. */
static bool nap(struct slx_http *h, long us, bool idle)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += us * 1000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&h->watch_lock);
	atomic_store(&h->watch_idle, idle);
	if (!h->watch_stop)
		pthread_cond_timedwait(&h->watch_wake, &h->watch_lock, &until);
	atomic_store(&h->watch_idle, false);
	bool go = !h->watch_stop;
	pthread_mutex_unlock(&h->watch_lock);
	return go;
}

void slx_http_watch_wake(struct slx_http *h)
{
	if (!atomic_load_explicit(&h->watch_idle, memory_order_relaxed))
		return; /* at worst it just fell asleep: it sleeps 200 ms at most */
	pthread_mutex_lock(&h->watch_lock);
	pthread_cond_signal(&h->watch_wake);
	pthread_mutex_unlock(&h->watch_lock);
}

static void *watch(void *arg)
{
	struct slx_http *h = arg;
	int64_t look_at = 0, cut_at = 0, active_ns = 0, now = slx_http_now();
	for (bool go = true; go;) {
		bool quiet = now - active_ns > QUIET_MS * INT64_C(1000000);
		go = nap(h, !quiet ? TICK_US : atomic_load(&h->running) ? LOOK_MS * 1000 : IDLE_MS * 1000, quiet);
		now = slx_http_now();
		for (unsigned i = 0; i < h->shards_n; i++)
			if (slx_http_shard_look(&h->shards[i], now))
				active_ns = now;
		if (now >= look_at) {
			for (unsigned i = 0; i < SLX_LANES; i++)
				look(&h->lanes[i], now);
			look_at = now + LOOK_MS * INT64_C(1000000);
		}
		if (now >= cut_at) {
			cut_overdue(h, now);
			cut_at = now + INT64_C(1000000000);
		}
	}
	return NULL;
}

silex_status slx_http_watch_start(struct slx_http *h, silex_error *err)
{
	int e = pthread_create(&h->watcher, NULL, watch, h);
	if (e)
		return slx_err_errno(err, e, "thread of the server");
	pthread_setname_np(h->watcher, "http-watch");
	h->watching = true;
	return SILEX_OK;
}

void slx_http_watch_stop(struct slx_http *h)
{
	if (!h->watching)
		return;
	pthread_mutex_lock(&h->watch_lock);
	h->watch_stop = true;
	pthread_cond_signal(&h->watch_wake);
	pthread_mutex_unlock(&h->watch_lock);
	pthread_join(h->watcher, NULL);
	h->watching = false;
}
