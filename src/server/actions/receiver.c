/* What receivers have in common: waiting, backing off, counting. */
#include "base/clock.h"
#include "server/actions/actions_int.h"

#include <stdio.h>
#include <time.h>

#define BACKOFF_MAX (60 * SLX_SECOND)

silex_status act_cond_init(pthread_cond_t *c, silex_error *err)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	int failed = pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
	return failed ? slx_err_errno(err, failed, "threads of receivers") : SILEX_OK;
}

/* The database's clock need not be the system's (tests): a second at most, then the caller looks again. */
void act_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const silex_clock *clock, int64_t due_ns)
{
	int64_t left = due_ns - slx_monotonic_ns(clock);
	struct timespec t;
	left = left < SLX_MS ? SLX_MS : left > SLX_SECOND ? SLX_SECOND : left;
	clock_gettime(CLOCK_MONOTONIC, &t);
	left += t.tv_nsec;
	t.tv_sec += left / SLX_SECOND;
	t.tv_nsec = left % SLX_SECOND;
	pthread_cond_timedwait(cond, lock, &t);
}

int64_t act_backoff(unsigned failures, uint64_t *rng)
{
	int64_t full = failures < 7 ? SLX_SECOND << (failures ? failures - 1 : 0) : BACKOFF_MAX;
	full = full < BACKOFF_MAX ? full : BACKOFF_MAX;
	return full / 2 + (int64_t)(slx_rng_next(rng) % (uint64_t)(full / 2));
}

void act_metrics_init(struct act_metrics *m, struct slx_metrics *all, const char *kind, const char *name)
{
	static const double bounds[] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 3600 };
	char labels[512];
	snprintf(labels, sizeof labels, "kind=\"%s\",receiver=\"%s\"", kind, name);
	m->sent = slx_metrics_counter(all, "silex_notifications_sent_total", "Alerts that a receiver took.", labels);
	m->failed = slx_metrics_counter(all, "silex_notifications_failed_total", "Tries that failed.", labels);
	m->dropped = slx_metrics_counter(all, "silex_notifications_dropped_total", "Alerts that were not told: silenced, acknowledged, or no room.", labels);
	m->expired = slx_metrics_counter(all, "silex_notifications_expired_total", "Alerts that were given up after expire_after.", labels);
	m->waiting = slx_metrics_gauge(all, "silex_notifications_waiting", "Alerts that wait to be told.", labels);
	m->last = slx_metrics_gauge(all, "silex_notifications_last_success_timestamp_seconds", "When the receiver last took something.", labels);
	m->latency = slx_metrics_histogram(all, "silex_notifications_latency_seconds", "From the write that crossed a limit to the receiver's answer (rules on arrival).",
		labels, bounds, sizeof bounds / sizeof *bounds);
}

void act_metrics_sent(struct act_metrics *m, const struct act_shared *s, const struct act_note *n)
{
	slx_metric_add(m->sent, 1);
	slx_metric_set(m->last, (double)slx_wall_ns(s->clock) / (double)SLX_SECOND);
	if (n && n->event.arrived_ns)
		slx_metric_observe(m->latency, (double)(slx_monotonic_ns(s->clock) - n->event.arrived_ns) / (double)SLX_SECOND);
}
