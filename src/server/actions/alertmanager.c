/* One Alertmanager. It is told what is, not what was: a change at once, and every resend_interval all that fires, with an end four
 * intervals ahead, so that an alert that we no longer tell of ends there by itself. Alerts that ended are told for a quarter of an
 * hour. After an outage the whole state is sent once; nothing is replayed.
 *
 * Silenced alerts are not told; Alertmanager's own silences are its own matter. Acknowledged ones are: they go on. */
#include "base/clock.h"
#include "server/actions/actions_int.h"

struct act_alertmanager {
	struct act_shared *s;
	const struct act_endpoint *e;
	struct act_caller caller;
	struct act_metrics metrics;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct act_note *changed[ACT_CHANGED_MAX];
	size_t n_changed;
	bool all;        /* the whole state is due: the beginning, an outage, too many changes */
	int64_t all_ns;  /* monotonic: the next time it is */
	int64_t retry_ns; /* monotonic: not before */
	unsigned failures;
	uint64_t rng;
};

/* What one round tells. Only the thread has it. */
struct round {
	struct act_alertmanager *m;
	struct act_note **notes;
	size_t n, cap;
	bool failed;
};

void act_alertmanager_take(struct act_alertmanager *m, struct act_note *n)
{
	pthread_mutex_lock(&m->lock);
	if (m->n_changed == ACT_CHANGED_MAX)
		m->all = true;
	else if (!m->all)
		m->changed[m->n_changed++] = act_note_ref(n);
	slx_metric_set(m->metrics.waiting, (double)m->n_changed);
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

void act_alertmanager_wake(struct act_alertmanager *m)
{
	pthread_mutex_lock(&m->lock);
	m->all = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

/* ---- what to tell ---- */

static bool add(struct round *r, struct act_note *n)
{
	if (n && r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 64;
		struct act_note **grown = slx_realloc(r->m->s->core->mem, SLX_MEM_OTHER, r->notes, r->cap * sizeof n, cap * sizeof n);
		if (grown) {
			r->notes = grown;
			r->cap = cap;
		}
	}
	r->failed = r->failed || !n || r->n == r->cap;
	if (r->failed)
		act_note_unref(n);
	else
		r->notes[r->n++] = n;
	return !r->failed;
}

/* Under the lock of rules/alert: copies only. */
static bool take_current(void *arg, const struct slx_alert *a)
{
	struct round *r = arg;
	if (a->state != SLX_ALERT_FIRING && !a->resolved_ns)
		return true;
	struct slx_alert_event e = { .alert = *a, .at_ns = a->changed_ns };
	return add(r, act_note_new(r->m->s->core->mem, &e));
}

/* Under the lock. */
static void take_changed(struct round *r)
{
	struct act_alertmanager *m = r->m;
	for (size_t i = 0; i < m->n_changed; i++)
		add(r, m->changed[i]);
	m->n_changed = 0;
}

static void drop_changed(struct act_alertmanager *m)
{
	for (size_t i = 0; i < m->n_changed; i++)
		act_note_unref(m->changed[i]);
	m->n_changed = 0;
}

/* ---- telling ---- */

/* As Prometheus: four times the longer of the rule's interval and ours. */
static int64_t ends(const struct act_alertmanager *m, const struct slx_alert *a, int64_t now)
{
	int64_t step = a->rule->interval_ns > m->s->resend_interval ? a->rule->interval_ns : m->s->resend_interval;
	return a->state == SLX_ALERT_FIRING ? now + 4 * step : a->resolved_ns ? a->resolved_ns : now;
}

/* One request for up to ACT_BATCH_MAX notes from *i on. */
static silex_status send_batch(struct round *r, size_t *i, int64_t now, silex_error *err)
{
	struct act_alertmanager *m = r->m;
	struct slx_mute mute;
	struct slx_buf body;
	size_t n = 0;
	int status;
	slx_buf_init(&body, m->s->core->mem, SLX_MEM_OTHER, ACT_BODY_MAX);
	slx_buf_u8(&body, '[');
	struct act_note *last = NULL;
	for (; *i < r->n && n < ACT_BATCH_MAX; ++*i) {
		const struct slx_alert *a = &r->notes[*i]->event.alert;
		slx_silences_mute(m->s->silences, a, now, &mute);
		if (mute.silenced)
			continue;
		size_t before = body.n;
		if (n)
			slx_buf_u8(&body, ',');
		if (act_put_alertmanager(&body, &m->s->links, a, ends(m, a, now))) {
			last = r->notes[*i];
			n++;
		} else if (!body.failed) {
			body.n = before;
		}
	}
	slx_buf_u8(&body, ']');
	silex_status st = body.failed ? slx_err_oom(err) : n ? act_post(&m->caller, m->e->url, NULL, 0, &body, &status, err) : SILEX_OK;
	slx_buf_free(&body);
	if (st == SILEX_OK && n) {
		slx_metric_add(m->metrics.sent, n - 1);
		act_metrics_sent(&m->metrics, m->s, last);
	}
	return st;
}

static silex_status send_round(struct round *r, silex_error *err)
{
	int64_t now = slx_wall_ns(r->m->s->clock);
	if (r->failed)
		return slx_err_oom(err);
	for (size_t i = 0; i < r->n;)
		SLX_TRY(send_batch(r, &i, now, err));
	return SILEX_OK;
}

static void round_free(struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		act_note_unref(r->notes[i]);
	slx_free(r->m->s->core->mem, SLX_MEM_OTHER, r->notes, r->cap * sizeof *r->notes);
}

/* Under the lock again. */
static void settle(struct act_alertmanager *m, silex_status st, const silex_error *err)
{
	if (st == SILEX_OK) {
		if (m->failures)
			slx_log(m->s->core->log, SLX_LOG_INFO, "Alertmanager takes alerts again", SLX_TEXT("url", m->e->url));
		m->failures = 0;
		return;
	}
	m->failures++;
	m->all = true;
	drop_changed(m);
	m->retry_ns = slx_monotonic_ns(m->s->clock) + act_backoff(m->failures, &m->rng);
	slx_metric_add(m->metrics.failed, 1);
	if ((m->failures & (m->failures - 1)) == 0 && !atomic_load(&m->s->stop)) /* the 1st, 2nd, 4th...: an outage does not fill the log */
		slx_log(m->s->core->log, SLX_LOG_WARN, "Alertmanager was not told; it is tried again", SLX_TEXT("url", m->e->url), SLX_INT("tries", m->failures),
			SLX_TEXT("error", err->message));
}

/* Under the lock, which is given up meanwhile. */
static void work(struct act_alertmanager *m, int64_t now)
{
	struct round r = { .m = m };
	silex_error err;
	bool all = m->all || now >= m->all_ns;
	if (all) {
		m->all = false;
		m->all_ns = now + m->s->resend_interval;
		drop_changed(m);
	} else {
		take_changed(&r);
	}
	slx_metric_set(m->metrics.waiting, (double)m->n_changed);
	pthread_mutex_unlock(&m->lock);
	if (all)
		slx_alerts_list(m->s->alerts, (struct slx_str){ "", 0 }, take_current, &r);
	silex_status st = send_round(&r, &err);
	round_free(&r);
	pthread_mutex_lock(&m->lock);
	settle(m, st, &err);
}

static void *run(void *arg)
{
	struct act_alertmanager *m = arg;
	pthread_mutex_lock(&m->lock);
	while (!atomic_load(&m->s->stop)) {
		int64_t now = slx_monotonic_ns(m->s->clock);
		bool due = m->all || m->n_changed || now >= m->all_ns;
		if (due && (!m->failures || now >= m->retry_ns))
			work(m, now);
		else
			act_wait(&m->wake, &m->lock, m->s->clock, due ? m->retry_ns : m->all_ns);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- life ---- */

silex_status act_alertmanager_start(struct act_shared *s, const struct act_endpoint *e, struct act_alertmanager **ret, silex_error *err)
{
	struct act_alertmanager *m = slx_calloc(s->core->mem, SLX_MEM_OTHER, sizeof *m);
	if (!m)
		return slx_err_oom(err);
	m->s = s;
	m->e = e;
	m->all = true;
	m->rng = slx_hash64(e->url, strlen(e->url)) ^ (uint64_t)slx_monotonic_ns(s->clock);
	silex_status st = act_cond_init(&m->wake, err);
	if (st != SILEX_OK) {
		slx_free(s->core->mem, SLX_MEM_OTHER, m, sizeof *m);
		return st;
	}
	pthread_mutex_init(&m->lock, NULL);
	act_metrics_init(&m->metrics, s->core->metrics, "alertmanager", e->url);
	*ret = m; /* stopped by the caller, on failure too */
	SLX_TRY(act_caller_open(&m->caller, s->core->mem, &e->auth, e->timeout, &s->stop, err));
	int failed = pthread_create(&m->thread, NULL, run, m);
	if (failed)
		return slx_err_errno(err, failed, "thread of an Alertmanager");
	pthread_setname_np(m->thread, "alertmanager");
	m->started = true;
	return SILEX_OK;
}

void act_alertmanager_stop(struct act_alertmanager *m)
{
	if (!m)
		return;
	act_alertmanager_wake(m);
	if (m->started)
		pthread_join(m->thread, NULL);
	drop_changed(m);
	act_caller_close(&m->caller);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
	slx_free(m->s->core->mem, SLX_MEM_OTHER, m, sizeof *m);
}
