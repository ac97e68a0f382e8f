/* The slow, obvious model of a track, for tests: all samples that counted, sorted, run through the definition from the beginning,
 * second by second. All times are whole seconds. */
#ifndef SLX_RULES_WATCH_TRACK_MODEL_H
#define SLX_RULES_WATCH_TRACK_MODEL_H

#include "rules/watch/track.h"

#include <math.h>
#include <string.h>

enum { MODEL_MAX = 4000 };

struct model {
	int64_t t[MODEL_MAX];
	double v[MODEL_MAX];
	size_t n;
	int64_t newest, asof; /* how far time was said to have passed */
};

static inline void model_put(struct model *m, int64_t t, double v)
{
	size_t i = m->n;
	while (i > 0 && m->t[i - 1] > t)
		i--;
	if (i > 0 && m->t[i - 1] == t) {
		m->v[i - 1] = v;
		return;
	}
	memmove(m->t + i + 1, m->t + i, (m->n - i) * sizeof *m->t);
	memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof *m->v);
	m->t[i] = t;
	m->v[i] = v;
	m->n++;
	m->newest = t > m->newest ? t : m->newest;
}

static inline double model_input(const struct model *m, const struct slx_track_rule *r, size_t at)
{
	double sum = 0, min = INFINITY, max = -INFINITY, dev = 0;
	size_t n = 0, first = at;
	if (r->input == SLX_WATCH_LAST)
		return m->v[at];
	for (size_t i = 0; i <= at; i++) {
		if (m->t[i] <= m->t[at] - r->window_ns)
			continue;
		first = i < first ? i : first;
		n++;
		sum += m->v[i];
		min = m->v[i] < min ? m->v[i] : min;
		max = m->v[i] > max ? m->v[i] : max;
	}
	for (size_t i = first; i <= at; i++)
		dev += (m->v[i] - sum / (double)n) * (m->v[i] - sum / (double)n);
	switch (r->input) {
	case SLX_WATCH_RATE:
		return first == at ? NAN : (m->v[at] - m->v[first]) / ((double)(m->t[at] - m->t[first]) / 1e9);
	case SLX_WATCH_AVG:
		return sum / (double)n;
	case SLX_WATCH_MIN:
		return min;
	case SLX_WATCH_MAX:
		return max;
	case SLX_WATCH_SUM:
		return sum;
	case SLX_WATCH_COUNT:
		return (double)n;
	default:
		return sqrt(dev / (double)n);
	}
}

/* SLX_SECONDecond by second (all times of this test are whole seconds): the state at m->asof. */
static inline enum slx_alert_state model_state(const struct model *m, const struct slx_track_rule *r)
{
	bool over = false, raised = false, missing = false; /* over: the comparison with its hysteresis; raised: after the delays */
	int64_t changed = 0, last = 0;
	size_t i = 0;
	if (!m->n)
		return SLX_ALERT_INACTIVE;
	for (int64_t t = m->t[0]; t <= m->asof; t += SLX_SECOND) {
		if (over != raised && t - changed >= (over ? r->on_ns : r->off_ns))
			raised = over;
		if (r->missing_ns && !missing && i > 0 && t - last >= r->missing_ns) {
			missing = true;
			if (r->missing == SLX_MISSING_CLEAR)
				over = raised = false;
			if (r->missing == SLX_MISSING_FIRE)
				over = raised = true;
		}
		for (; i < m->n && m->t[i] == t; i++) {
			double x = model_input(m, r, i);
			bool now = slx_band_has(&r->enter, x) || (over && slx_band_has(&r->stay, x));
			last = t;
			missing = false;
			if (isnan(x) || now == over)
				continue;
			over = now;
			changed = t;
			if ((over ? r->on_ns : r->off_ns) == 0 || raised == over)
				raised = over;
		}
	}
	return raised ? SLX_ALERT_FIRING : over ? SLX_ALERT_PENDING : SLX_ALERT_INACTIVE;
}

#endif
