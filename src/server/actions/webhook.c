/* One webhook: a queue of alerts that have events to tell, and as many threads as may call at a time.
 *
 *     event -> the alert's chain (events in order) -> first chain that is due and not under way -> POST -> mark -> next
 *
 * An answer of 2xx is a delivery. None, 408, 429 and 5xx mean that the receiver is unwell: nothing is tried until its back-off is
 * over, then one call, and after a success all that waits. Any other answer is about that one event: its alert waits, others go
 * on. What was not delivered after expire_after is given up, counted and logged. A firing alert that is silenced or acknowledged
 * waits until that ends; when the alert ends before, neither is told.
 *
 * More than queue_max events stay in the journal only and are read again when there is room. */
#include "base/clock.h"
#include "server/actions/actions_int.h"

#include <stdio.h>

enum { SLOTS = 4096, THREADS_MAX = 16, SECRET_SIZE = 4096 };

#define READ_AGAIN (10 * SLX_SECOND)
#define HELD_AGAIN (5 * SLX_SECOND) /* looks whether a silence has ended; one that is ended by hand wakes */

struct entry {
	struct entry *next;
	struct act_note *note;
};

/* The events of one alert that wait. */
struct chain {
	struct chain *next, *prev; /* all, in the order of their first event */
	struct chain *same_slot;
	struct slx_hash128 fingerprint;
	struct entry *first, *last; /* NULL: none, only while the journal is read */
	int64_t done_ns; /* up to this time its events are done with */
	int64_t due_ns;  /* monotonic */
	unsigned failures;
	bool busy; /* a thread has its first entry */
};

struct act_webhook {
	struct act_shared *s;
	const struct act_hook *hook;
	struct act_caller caller;
	struct act_metrics metrics;
	int64_t since; /* wall clock: no older events */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct chain *first, *last;
	struct chain *slots[SLOTS];
	size_t waiting;       /* entries */
	bool more;            /* the journal has events that the queue has not; new ones stay there, too */
	bool reading, arrived; /* a thread reads the journal; events came meanwhile */
	int64_t read_ns;      /* monotonic: not before */
	unsigned failures;    /* in a row */
	int64_t retry_ns;     /* monotonic: the receiver is left in peace until then */
	bool probing;         /* one call finds out whether it is well again */
	uint64_t rng;
	unsigned threads_n;
	pthread_t threads[THREADS_MAX];
};

/* ---- chains, under the lock ---- */

static struct chain **slot_of(struct act_webhook *w, struct slx_hash128 f) { return &w->slots[f.lo % SLOTS]; }

static struct chain *find_chain(struct act_webhook *w, struct slx_hash128 f)
{
	struct chain *c = *slot_of(w, f);
	while (c && !slx_hash128_eq(c->fingerprint, f))
		c = c->same_slot;
	return c;
}

static struct chain *new_chain(struct act_webhook *w, struct slx_hash128 f)
{
	struct chain *c = slx_calloc(w->s->core->mem, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return NULL;
	c->fingerprint = f;
	c->done_ns = INT64_MIN;
	c->same_slot = *slot_of(w, f);
	*slot_of(w, f) = c;
	c->prev = w->last;
	*(w->last ? &w->last->next : &w->first) = c;
	w->last = c;
	return c;
}

static void drop_chain(struct act_webhook *w, struct chain *c)
{
	struct chain **at = slot_of(w, c->fingerprint);
	while (*at != c)
		at = &(*at)->same_slot;
	*at = c->same_slot;
	*(c->prev ? &c->prev->next : &w->first) = c->next;
	*(c->next ? &c->next->prev : &w->last) = c->prev;
	slx_free(w->s->core->mem, SLX_MEM_OTHER, c, sizeof *c);
}

/* Takes the reference. false: it was there, or there is no memory (then the journal has it). */
static bool append(struct act_webhook *w, struct act_note *n)
{
	struct chain *c = find_chain(w, n->event.alert.fingerprint);
	/* what is in the queue already: times ascend */
	bool old = c && n->event.at_ns <= (c->last ? c->last->note->event.at_ns : c->done_ns);
	struct entry *e = old ? NULL : slx_alloc(w->s->core->mem, SLX_MEM_OTHER, sizeof *e);
	if (e && !c)
		c = new_chain(w, n->event.alert.fingerprint);
	if (!e || !c) {
		w->arrived = w->arrived || !old;
		w->more = w->more || !old;
		slx_free(w->s->core->mem, SLX_MEM_OTHER, e, sizeof *e);
		act_note_unref(n);
		return false;
	}
	*e = (struct entry){ .note = n };
	*(c->last ? &c->last->next : &c->first) = e;
	c->last = e;
	if (!c->failures)
		c->due_ns = 0; /* held back: the end of the alert may be the end of it */
	w->waiting++;
	return true;
}

/* The first event of a chain is done with. The journal's reader may not have seen its mark: the empty chain stays to tell it. */
static void pop(struct act_webhook *w, struct chain *c)
{
	struct entry *e = c->first;
	c->done_ns = e->note->event.at_ns;
	c->first = e->next;
	if (!c->first)
		c->last = NULL;
	act_note_unref(e->note);
	slx_free(w->s->core->mem, SLX_MEM_OTHER, e, sizeof *e);
	w->waiting--;
	c->failures = 0;
	c->due_ns = 0;
	if (!c->first && !w->reading)
		drop_chain(w, c);
}

static void drop_empty_chains(struct act_webhook *w)
{
	for (struct chain *c = w->first, *next; c; c = next) {
		next = c->next;
		if (!c->first)
			drop_chain(w, c);
	}
}

void act_webhook_take(struct act_webhook *w, struct act_note *n)
{
	if (!act_filter_takes(&w->hook->filter, n))
		return;
	pthread_mutex_lock(&w->lock);
	if (w->more || w->waiting >= w->hook->queue_max)
		w->more = w->arrived = true; /* behind those that the journal keeps */
	else if (append(w, act_note_ref(n)))
		pthread_cond_signal(&w->wake);
	slx_metric_set(w->metrics.waiting, (double)w->waiting);
	pthread_mutex_unlock(&w->lock);
}

void act_webhook_miss(struct act_webhook *w)
{
	pthread_mutex_lock(&w->lock);
	w->more = w->arrived = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void take_pending(void *arg, struct act_note *n)
{
	struct act_webhook *w = arg;
	pthread_mutex_lock(&w->lock);
	append(w, n);
	pthread_mutex_unlock(&w->lock);
}

/* Under the lock, which is given up meanwhile: reads the journal. What waits already is known by its time; what comes meanwhile is
 * read the next time. */
static void refill(struct act_webhook *w)
{
	silex_error err;
	bool more = false;
	int64_t from = slx_time_sub(slx_wall_ns(w->s->clock), 2 * w->hook->expire_after); /* expired ones, too: they are counted and logged */
	w->reading = true;
	w->arrived = false;
	pthread_mutex_unlock(&w->lock);
	silex_status st = act_outbox_pending(w->s->alerts, w->s->core->mem, w->hook->name, &w->hook->filter, from > w->since ? from : w->since,
		w->hook->queue_max, take_pending, w, &more, &err);
	if (st != SILEX_OK)
		slx_log(w->s->core->log, SLX_LOG_ERROR, "the outbox of a webhook was not read; it is tried again", SLX_TEXT("receiver", w->hook->name),
			SLX_TEXT("error", err.message));
	pthread_mutex_lock(&w->lock);
	w->reading = false;
	drop_empty_chains(w);
	w->more = more || w->arrived || st != SILEX_OK;
	w->read_ns = st == SILEX_OK ? 0 : slx_monotonic_ns(w->s->clock) + READ_AGAIN;
	pthread_cond_broadcast(&w->wake);
}

/* ---- one event, without the lock ---- */

enum verdict { DELIVERED, GIVEN_UP, HELD, REFUSED, UNWELL };

static const char *secret_of(const struct act_hook *h, char room[SECRET_SIZE])
{
	if (h->secret_file)
		return slx_auth_first_line(h->secret_file, room, SECRET_SIZE) ? room : NULL;
	return h->secret;
}

static silex_status post(struct act_webhook *w, const struct act_note *n, unsigned attempt, int *ret_status, silex_error *err)
{
	const struct act_hook *h = w->hook;
	char secret_room[SECRET_SIZE], signature[ACT_SIGNATURE_SIZE], id[64], stamp[64], signed_by[128];
	const char *headers[3] = { id, stamp, signed_by };
	int64_t now = slx_wall_ns(w->s->clock);
	struct act_attempt t = { .receiver = h->name, .number = attempt, .now = now };
	const char *secret = secret_of(h, secret_room);
	struct slx_buf body;
	*ret_status = 0;
	if (h->secret_file && !secret)
		return slx_err(err, SILEX_UNAVAILABLE, "secret_file %s cannot be read", h->secret_file);
	slx_buf_init(&body, w->s->core->mem, SLX_MEM_OTHER, ACT_BODY_MAX);
	act_put_event(&body, &w->s->links, &n->event, &t);
	snprintf(id, sizeof id, "X-Silex-Event-Id: %016llx%016llx", (unsigned long long)n->event.id.hi, (unsigned long long)n->event.id.lo);
	snprintf(stamp, sizeof stamp, "X-Silex-Timestamp: %lld", (long long)(now / SLX_SECOND));
	silex_status st = body.failed ? slx_err_oom(err) : SILEX_OK;
	if (st == SILEX_OK && secret && !act_sign(secret, now / SLX_SECOND, body.p, body.n, signature))
		st = slx_err(err, SILEX_UNAVAILABLE, "the body could not be signed");
	if (secret)
		snprintf(signed_by, sizeof signed_by, "X-Silex-Signature: %s", signature);
	if (st == SILEX_OK)
		st = act_post(&w->caller, h->url, headers, secret ? 3 : 2, &body, ret_status, err);
	slx_buf_free(&body);
	return st;
}

static void log_failure(struct act_webhook *w, const struct act_note *n, unsigned attempt, const silex_error *err)
{
	if (attempt > 1 && (attempt & (attempt - 1)) != 0) /* the 1st, 2nd, 4th, 8th...: an outage does not fill the log */
		return;
	slx_log(w->s->core->log, SLX_LOG_WARN, "a webhook was not delivered; it is tried again", SLX_TEXT("receiver", w->hook->name),
		SLX_BYTES("alert", slx_labels_get(n->event.alert.labels, SLX_STR("alertname"))), SLX_INT("attempt", attempt), SLX_TEXT("error", err->message));
}

static enum verdict tell(struct act_webhook *w, const struct act_note *n, unsigned attempt)
{
	struct slx_mute mute;
	silex_error err;
	int status;
	int64_t now = slx_wall_ns(w->s->clock);
	if (now - n->event.at_ns > w->hook->expire_after) {
		slx_log(w->s->core->log, SLX_LOG_ERROR, "a webhook was given up: it expired", SLX_TEXT("receiver", w->hook->name),
			SLX_BYTES("alert", slx_labels_get(n->event.alert.labels, SLX_STR("alertname"))), SLX_INT("attempts", attempt - 1));
		return GIVEN_UP;
	}
	if (act_note_fires(n) && slx_silences_mute(w->s->silences, &n->event.alert, now, &mute))
		return HELD;
	if (post(w, n, attempt, &status, &err) == SILEX_OK)
		return DELIVERED;
	if (!atomic_load(&w->s->stop))
		log_failure(w, n, attempt, &err);
	return status >= 400 && status < 500 && status != 408 && status != 429 ? REFUSED : UNWELL;
}

static void mark(struct act_webhook *w, const struct act_note *n, enum act_outcome o)
{
	silex_error err;
	if (act_outbox_mark(w->s->alerts, w->hook->name, n, o, &err) != SILEX_OK)
		slx_log(w->s->core->log, SLX_LOG_WARN, "a delivery was not noted; after a restart it comes again", SLX_TEXT("receiver", w->hook->name),
			SLX_TEXT("error", err.message));
}

/* ---- the threads ---- */

/* Under the lock: a chain to work on; else NULL, and *ret_due is when to look again. */
static struct chain *next_chain(struct act_webhook *w, int64_t now, int64_t *ret_due)
{
	*ret_due = now + SLX_SECOND;
	if (w->failures && (w->probing || now < w->retry_ns)) {
		*ret_due = w->probing ? *ret_due : w->retry_ns;
		return NULL;
	}
	for (struct chain *c = w->first; c; c = c->next) {
		if (c->busy || !c->first)
			continue;
		if (c->due_ns <= now)
			return c;
		*ret_due = c->due_ns < *ret_due ? c->due_ns : *ret_due;
	}
	return NULL;
}

/* Under the lock: what an attempt means for the chain and the receiver. */
static void settle(struct act_webhook *w, struct chain *c, enum verdict v, bool probe)
{
	int64_t now = slx_monotonic_ns(w->s->clock);
	c->busy = false;
	if (v == UNWELL && (probe || !w->failures)) { /* calls that were under way together fail once */
		w->failures++;
		w->retry_ns = now + act_backoff(w->failures, &w->rng);
	} else if (v == DELIVERED || v == REFUSED) {
		if (w->failures)
			pthread_cond_broadcast(&w->wake);
		w->failures = 0;
	}
	if (v == DELIVERED || v == GIVEN_UP) {
		pop(w, c);
		return;
	}
	if (v == UNWELL || v == REFUSED) {
		c->failures++;
		slx_metric_add(w->metrics.failed, 1);
	}
	c->due_ns = v == REFUSED ? now + act_backoff(c->failures, &w->rng) : v == HELD && !c->first->next ? now + HELD_AGAIN : 0;
}

/* Under the lock, which is given up meanwhile. */
static void work(struct act_webhook *w, struct chain *c)
{
	struct act_note *n = act_note_ref(c->first->note), *end = c->first->next ? act_note_ref(c->first->next->note) : NULL;
	unsigned attempt = c->failures + 1;
	bool probe = w->failures > 0;
	c->busy = true;
	w->probing = w->probing || probe;
	pthread_mutex_unlock(&w->lock);
	enum verdict v = tell(w, n, attempt);
	bool both = v == HELD && end; /* fired and ended while nobody wanted to hear of it */
	if (v == DELIVERED || v == GIVEN_UP || both)
		mark(w, both ? end : n, v == DELIVERED ? ACT_DELIVERED : both ? ACT_HELD_BACK : ACT_EXPIRED);
	if (v == DELIVERED)
		act_metrics_sent(&w->metrics, w->s, n);
	else if (v == GIVEN_UP || both)
		slx_metric_add(v == GIVEN_UP ? w->metrics.expired : w->metrics.dropped, 1);
	pthread_mutex_lock(&w->lock);
	if (probe)
		w->probing = false;
	if (both) {
		c->busy = false;
		pop(w, c);
		pop(w, c);
	} else {
		settle(w, c, v, probe);
	}
	slx_metric_set(w->metrics.waiting, (double)w->waiting);
	act_note_unref(n);
	act_note_unref(end);
}

static void *run(void *arg)
{
	struct act_webhook *w = arg;
	int64_t due;
	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->s->stop)) {
		int64_t now = slx_monotonic_ns(w->s->clock);
		if (w->more && w->waiting < w->hook->queue_max / 2 && !w->reading && now >= w->read_ns) {
			refill(w);
			continue;
		}
		struct chain *c = next_chain(w, now, &due);
		if (c)
			work(w, c);
		else
			act_wait(&w->wake, &w->lock, w->s->clock, due);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- life ---- */

static void webhook_free(struct act_webhook *w)
{
	while (w->first) {
		bool last;
		do {
			last = !w->first->first->next;
			pop(w, w->first);
		} while (!last);
	}
	act_caller_close(&w->caller);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	slx_free(w->s->core->mem, SLX_MEM_OTHER, w, sizeof *w);
}

static silex_status open_webhook(struct act_webhook *w, silex_error *err)
{
	struct act_shared *s = w->s;
	SLX_TRY(act_outbox_begin(s->alerts, slx_str(s->links.tenant), w->hook->name, slx_wall_ns(s->clock), &w->since, err));
	SLX_TRY(act_caller_open(&w->caller, s->core->mem, &w->hook->auth, w->hook->timeout, &s->stop, err));
	while (w->threads_n < w->hook->concurrency) {
		int failed = pthread_create(&w->threads[w->threads_n], NULL, run, w);
		if (failed)
			return slx_err_errno(err, failed, "threads of a webhook");
		pthread_setname_np(w->threads[w->threads_n++], "webhook");
	}
	return SILEX_OK;
}

silex_status act_webhook_start(struct act_shared *s, const struct act_hook *h, struct act_webhook **ret, silex_error *err)
{
	struct act_webhook *w = slx_calloc(s->core->mem, SLX_MEM_OTHER, sizeof *w);
	if (!w)
		return slx_err_oom(err);
	w->s = s;
	w->hook = h;
	w->more = true; /* what the journal has is read first */
	w->rng = slx_hash64(h->name, strlen(h->name)) ^ (uint64_t)slx_monotonic_ns(s->clock);
	pthread_mutex_init(&w->lock, NULL);
	silex_status st = act_cond_init(&w->wake, err);
	if (st != SILEX_OK) {
		pthread_mutex_destroy(&w->lock);
		slx_free(s->core->mem, SLX_MEM_OTHER, w, sizeof *w);
		return st;
	}
	act_metrics_init(&w->metrics, s->core->metrics, "webhook", h->name);
	*ret = w; /* stopped by the caller, on failure too */
	return open_webhook(w, err);
}

void act_webhook_wake(struct act_webhook *w)
{
	pthread_mutex_lock(&w->lock);
	for (struct chain *c = w->first; c; c = c->next)
		if (!c->failures)
			c->due_ns = 0; /* held back by a silence that may have ended */
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void act_webhook_stop(struct act_webhook *w)
{
	if (!w)
		return;
	act_webhook_wake(w);
	for (unsigned i = 0; i < w->threads_n; i++)
		pthread_join(w->threads[i], NULL);
	webhook_free(w);
}
