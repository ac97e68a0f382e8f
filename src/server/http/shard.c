/* I/O and short handlers on one thread, without making others wait.
 *
 * Handing each request to another thread and back costs two wake-ups: measured, 25 us of CPU beside the 11 us that the request takes
 * itself. So the thread that polls runs short requests itself, between two polls. That a slow one must not keep the sockets waiting
 * is seen to by the role: a shard is one MHD daemon (polled from outside), and "the role" is the right to poll it. The watcher looks
 * every half a millisecond while handlers run; a handler that has been running for that long loses the role to another thread and
 * goes on as a worker. So no socket waits longer than about a millisecond, and a short request never changes threads.
 *
 *     role holder:  wait for sockets -> MHD_run (parses, suspends, appends to `local`; sends what was resumed) -> run `local`
 *     watcher:      current older than STEAL_NS -> the role is free, a spare thread takes it
 *     ex-holder:    finishes its handler, resumes the connection, runs what waits for its lane's slot, becomes spare
 *
 * What may fail: a thread cannot be made -> nobody takes the role until the handler ends; it is slow then, not wrong.
 * MHD's connections are only touched by MHD_run under the role; resuming is thread-safe in MHD. */
#include "server/http/http_int.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STEAL_NS = 500000, WAIT_MS_MAX = 1000, THREADS_FIRST = 2 };

static pthread_t nobody(void) { return 0; }

static bool holds(struct slx_http_shard *s) { return pthread_equal(atomic_load_explicit(&s->holder, memory_order_acquire), pthread_self()); }

/* --- the queue of requests that MHD_run found; the role holder's ------------------------------------------------- */

void slx_http_shard_put(struct slx_http_shard *s, struct slx_http_exchange *x)
{
	x->queue_next = NULL;
	*s->local_end = x;
	s->local_end = &x->queue_next;
}

static struct slx_http_exchange *take(struct slx_http_shard *s)
{
	struct slx_http_exchange *x = s->local;
	if (x) {
		s->local = x->queue_next;
		if (!s->local)
			s->local_end = &s->local;
	}
	return x;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

static void begin(struct slx_http_shard *s, struct slx_http_exchange *x)
{
	pthread_mutex_lock(&s->lock);
	s->current = x;
	s->current_ns = slx_http_now();
	s->runs++;
	pthread_mutex_unlock(&s->lock);
	slx_http_watch_wake(s->h);
}

/* Whether this thread still has the role. */
static bool end(struct slx_http_shard *s)
{
	pthread_mutex_lock(&s->lock);
	bool mine = holds(s);
	if (mine)
		s->current = NULL;
	pthread_mutex_unlock(&s->lock);
	return mine;
}

/* Runs x, which has a slot of its lane, under the role; then what waited for slots, when the role was lost meanwhile.
 * Whether this thread still has the role. */
static bool run_with_role(struct slx_http_shard *s, struct slx_http_exchange *x)
{
	begin(s, x);
	slx_http_run(x);
	bool mine = end(s);
	struct slx_http_exchange *next = slx_http_lane_exit(x);
	slx_http_done(x);
	if (mine && next)
		slx_http_shard_put(s, next);
	while (!mine && next) {
		x = next;
		slx_http_run(x);
		next = slx_http_lane_exit(x);
		slx_http_done(x);
	}
	return mine;
}

/* --- polling ----------------------------------------------------------------------------------------------------- */

static int wait_ms(struct slx_http_shard *s, bool first)
{
	MHD_UNSIGNED_LONG_LONG ms;
	if (first || s->resumed)
		return 0;
	return MHD_get_timeout(s->daemon, &ms) == MHD_YES && ms < WAIT_MS_MAX ? (int)ms : WAIT_MS_MAX;
}

/* Polls and runs until the role is lost or the end. */
static void serve(struct slx_http_shard *s)
{
	bool mine = true;
	for (bool first = true; mine && !atomic_load_explicit(&s->stop, memory_order_acquire); first = false) {
		struct epoll_event events[2];
		int ms = s->local ? 0 : wait_ms(s, first);
		if (ms) {
			atomic_store(&s->sleeping, true);
			if (atomic_load(&s->woken)) /* between the last look and now */
				ms = 0;
			epoll_wait(s->poll_fd, events, 2, ms);
			atomic_store(&s->sleeping, false);
		}
		atomic_store(&s->woken, false);
		s->resumed = false;
		MHD_run(s->daemon);
		for (struct slx_http_exchange *x; mine && (x = take(s));)
			if (x->has_slot || slx_http_lane_enter(x))
				mine = run_with_role(s, x);
	}
}

static void *thread(void *arg)
{
	struct slx_http_shard *s = arg;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		if (atomic_load(&s->holder) != nobody()) {
			s->spare++;
			pthread_cond_wait(&s->role_free, &s->lock);
			s->spare--;
			continue;
		}
		atomic_store_explicit(&s->holder, pthread_self(), memory_order_release);
		pthread_mutex_unlock(&s->lock);
		serve(s);
		pthread_mutex_lock(&s->lock);
		if (holds(s)) /* the end */
			atomic_store(&s->holder, nobody());
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void slx_http_shard_wake(struct slx_http_shard *s)
{
	uint64_t one = 1;
	if (holds(s)) {
		s->resumed = true; /* looked at before the next wait; whoever steals the role begins with a look */
		return;
	}
	if (!atomic_exchange(&s->woken, true) && atomic_load(&s->sleeping) && write(s->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: it is awake */
}

/* --- the role --------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static bool add_thread(struct slx_http_shard *s)
{
	if (s->threads_n == SLX_HTTP_SHARD_THREADS || pthread_create(&s->threads[s->threads_n], NULL, thread, s) != 0)
		return false;
	pthread_setname_np(s->threads[s->threads_n++], "http-io");
	return true;
}

bool slx_http_shard_look(struct slx_http_shard *s, int64_t now)
{
	pthread_mutex_lock(&s->lock);
	bool active = s->current || s->runs != s->runs_seen;
	s->runs_seen = s->runs;
	if (s->current && now - s->current_ns >= STEAL_NS && !s->stop && (s->spare || add_thread(s))) {
		slx_http_lane_enlist(s->current);
		s->current = NULL;
		atomic_store_explicit(&s->holder, nobody(), memory_order_release);
		pthread_cond_signal(&s->role_free);
	}
	pthread_mutex_unlock(&s->lock);
	return active;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

silex_status slx_http_shard_start(struct slx_http_shard *s, silex_error *err)
{
	const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event daemon = { .events = EPOLLIN }, wake = { .events = EPOLLIN | EPOLLET }; /* never read: each write is an edge */
	s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->poll_fd < 0 || s->wake_fd < 0 || !i || epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, i->epoll_fd, &daemon) != 0
		|| epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, s->wake_fd, &wake) != 0)
		return slx_err_errno(err, errno, "epoll");
	pthread_mutex_lock(&s->lock);
	bool ok = true;
	while (ok && s->threads_n < THREADS_FIRST)
		ok = add_thread(s);
	pthread_mutex_unlock(&s->lock);
	return ok ? SILEX_OK : slx_err(err, SILEX_UNAVAILABLE, "threads of the server could not be made");
}

void slx_http_shard_init(struct slx_http_shard *s, struct slx_http *h)
{
	s->h = h;
	s->local_end = &s->local;
	s->poll_fd = s->wake_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->role_free, NULL);
}

void slx_http_shard_stop(struct slx_http_shard *s)
{
	uint64_t one = 1;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stop, true);
	pthread_cond_broadcast(&s->role_free);
	pthread_mutex_unlock(&s->lock);
	while (s->wake_fd >= 0 && write(s->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	while (s->threads_n)
		pthread_join(s->threads[--s->threads_n], NULL);
	if (s->daemon)
		MHD_stop_daemon(s->daemon); /* closes its copy of the listening socket */
	s->daemon = NULL;
	if (s->poll_fd >= 0)
		close(s->poll_fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_cond_destroy(&s->role_free);
	pthread_mutex_destroy(&s->lock);
}
