/* Lanes: a bound for each kind of work, so that slow queries never keep a write or a health check waiting. Requests wait for a slot in
 * the order they came. How many wait is bounded by admission and by the number of connections.
 *
 * Writes have threads of their own: they may wait for the disk, many at a time. Everything else runs on the I/O threads (shard.c) and
 * only takes a slot here. A request that waits or has been running for a while is in the lane's list, which the watcher reads. */
#include "server/http/http_int.h"

#include <stdio.h>
#include <unistd.h>

/* --- one request ------------------------------------------------------------------------------------------------ */

static bool book(void *arg, size_t bytes) { return slx_http_book(arg, bytes); }

/* Content-Encoding undone; false: answered. */
static bool decode(struct slx_http_exchange *x)
{
	struct slx_buf out;
	silex_error e;
	if (x->coding == SLX_CODING_NONE || x->body.n == 0)
		return true;
	slx_buf_init(&out, x->h->mem, SLX_MEM_OTHER, x->body_max);
	silex_status st = slx_http_decode(x->coding, x->body.p, x->body.n, book, x, &out, &e);
	slx_buf_free(&x->body);
	x->body = out;
	if (st == SILEX_OK)
		return true;
	slx_http_error(x, st == SILEX_INVALID ? 400 : st == SILEX_RESOURCE_EXHAUSTED ? 413 : 503, e.message, st == SILEX_UNAVAILABLE ? 5 : 0);
	return false;
}

static bool is_form(struct slx_http_exchange *x)
{
	static const char form[] = "application/x-www-form-urlencoded";
	struct slx_str t = slx_http_header(x, "Content-Type");
	return t.n >= sizeof form - 1 && strncasecmp(t.p, form, sizeof form - 1) == 0;
}

static bool parse_form(struct slx_http_exchange *x)
{
	silex_error e;
	if (x->body.n == 0 || !is_form(x))
		return true;
	silex_status st = slx_http_params_parse(&x->arena, slx_http_body(x), &x->params, &e);
	if (st != SILEX_OK)
		slx_http_error(x, st == SILEX_INVALID ? 400 : 503, e.message, st == SILEX_INVALID ? 0 : 5);
	return st == SILEX_OK;
}

void slx_http_run(struct slx_http_exchange *x)
{
	const struct slx_http_route *r = x->found.route;
	bool raw = r->flags & SLX_HTTP_RAW_BODY;
	if (atomic_load_explicit(&x->canceled, memory_order_relaxed))
		slx_http_error(x, 499, "the client went away", 0);
	else if (raw || (decode(x) && parse_form(x)))
		r->handle(r->ctx, x);
	if (x->stream)
		slx_http_stream_end(x);
	else if (!x->ws && !x->response)
		slx_http_error(x, 500, "the request was not answered", 0);
	slx_http_leave(x);
}

void slx_http_done(struct slx_http_exchange *x)
{
	struct slx_http *h = x->h;
	struct slx_http_shard *s = x->shard;
	if (!x->stream) {
		MHD_resume_connection(x->connection);
		slx_http_shard_wake(s);
	}
	slx_http_exchange_unref(x);
	atomic_fetch_sub_explicit(&h->running, 1, memory_order_release);
}

/* --- lanes ------------------------------------------------------------------------------------------------------ */

static struct slx_http_lane *lane_of(struct slx_http_exchange *x)
{
	enum slx_http_class c = x->found.route->class;
	return &x->h->lanes[c == SLX_HTTP_READ ? SLX_LANE_READ : c == SLX_HTTP_WRITE ? SLX_LANE_WRITE : SLX_LANE_PLAIN];
}

/* Under the lock. */
static void enlist(struct slx_http_lane *l, struct slx_http_exchange *x)
{
	x->enlisted = true;
	x->lane_prev = NULL;
	x->lane_next = l->alive;
	if (l->alive)
		l->alive->lane_prev = x;
	l->alive = x;
}

/* Under the lock. */
static void drop(struct slx_http_lane *l, struct slx_http_exchange *x)
{
	if (!x->enlisted)
		return;
	x->enlisted = false;
	if (x->lane_prev)
		x->lane_prev->lane_next = x->lane_next;
	else
		l->alive = x->lane_next;
	if (x->lane_next)
		x->lane_next->lane_prev = x->lane_prev;
}

/* Under the lock. */
static void append(struct slx_http_lane *l, struct slx_http_exchange *x)
{
	x->queue_next = NULL;
	*l->queue_end = x;
	l->queue_end = &x->queue_next;
}

/* Under the lock. NULL: none waits. */
static struct slx_http_exchange *first(struct slx_http_lane *l)
{
	struct slx_http_exchange *x = l->queue;
	if (x) {
		l->queue = x->queue_next;
		if (!l->queue)
			l->queue_end = &l->queue;
	}
	return x;
}

void slx_http_lane_enlist(struct slx_http_exchange *x)
{
	struct slx_http_lane *l = lane_of(x);
	pthread_mutex_lock(&l->lock);
	enlist(l, x);
	pthread_mutex_unlock(&l->lock);
}

bool slx_http_lane_enter(struct slx_http_exchange *x)
{
	struct slx_http_lane *l = lane_of(x);
	pthread_mutex_lock(&l->lock);
	x->has_slot = l->running < l->slots;
	if (x->has_slot)
		l->running++;
	else {
		enlist(l, x);
		append(l, x);
	}
	bool wake = !x->has_slot && l->idle > 0;
	bool entered = x->has_slot;
	pthread_mutex_unlock(&l->lock);
	if (wake)
		pthread_cond_signal(&l->work);
	return entered;
}

struct slx_http_exchange *slx_http_lane_exit(struct slx_http_exchange *x)
{
	struct slx_http_lane *l = lane_of(x);
	pthread_mutex_lock(&l->lock);
	drop(l, x);
	struct slx_http_exchange *next = first(l);
	if (next)
		next->has_slot = true;
	else
		l->running--;
	pthread_mutex_unlock(&l->lock);
	return next;
}

/* A thread of the lane of writes: slots are 0 there, so that everything waits for one of these. */
static void *work(void *arg)
{
	struct slx_http_lane *l = arg;
	pthread_mutex_lock(&l->lock);
	for (;;) {
		while (!l->queue && !l->stop) {
			l->idle++;
			pthread_cond_wait(&l->work, &l->lock);
			l->idle--;
		}
		struct slx_http_exchange *x = first(l);
		if (!x)
			break;
		pthread_mutex_unlock(&l->lock);
		slx_http_run(x);
		pthread_mutex_lock(&l->lock);
		drop(l, x);
		pthread_mutex_unlock(&l->lock);
		slx_http_done(x);
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static silex_status start(struct slx_http_lane *l, struct slx_http *h, unsigned slots, unsigned threads, silex_error *err)
{
	l->h = h;
	l->slots = slots;
	l->queue_end = &l->queue;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	l->threads = threads ? slx_calloc(h->mem, SLX_MEM_OTHER, threads * sizeof *l->threads) : NULL;
	if (threads && !l->threads)
		return slx_err_oom(err);
	l->cap = threads;
	for (; l->threads_n < threads; l->threads_n++) {
		int e = pthread_create(&l->threads[l->threads_n], NULL, work, l);
		if (e)
			return slx_err_errno(err, e, "threads of the server");
		pthread_setname_np(l->threads[l->threads_n], "http-write");
	}
	return SILEX_OK;
}

silex_status slx_http_lanes_start(struct slx_http *h, silex_error *err)
{
	unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), writes = h->o.write_workers ? h->o.write_workers : cores * 2 < 8 ? 8 : cores * 2;
	SLX_TRY(start(&h->lanes[SLX_LANE_PLAIN], h, SLX_HTTP_PLAIN_SLOTS, 0, err));
	SLX_TRY(start(&h->lanes[SLX_LANE_READ], h, h->o.read_workers ? h->o.read_workers : 20, 0, err));
	return start(&h->lanes[SLX_LANE_WRITE], h, 0, writes, err);
}

void slx_http_lanes_stop(struct slx_http *h)
{
	for (unsigned i = 0; i < SLX_LANES; i++) {
		struct slx_http_lane *l = &h->lanes[i];
		if (!l->h)
			continue;
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_cond_broadcast(&l->work);
		pthread_mutex_unlock(&l->lock);
		while (l->threads_n)
			pthread_join(l->threads[--l->threads_n], NULL);
		slx_free(h->mem, SLX_MEM_OTHER, l->threads, l->cap * sizeof *l->threads);
		pthread_cond_destroy(&l->work);
		pthread_mutex_destroy(&l->lock);
		l->h = NULL;
	}
}

void slx_http_cancel_all(struct slx_http *h)
{
	for (unsigned i = 0; i < SLX_LANES; i++) {
		pthread_mutex_lock(&h->lanes[i].lock);
		for (struct slx_http_exchange *x = h->lanes[i].alive; x; x = x->lane_next)
			atomic_store_explicit(&x->canceled, true, memory_order_relaxed);
		pthread_mutex_unlock(&h->lanes[i].lock);
	}
}
