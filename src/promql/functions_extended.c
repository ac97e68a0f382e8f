/* Ranges that are anchored or smoothed (experimental): rate, increase, delta, changes and resets without extrapolation.
 *
 *     anchored   the range begins with the last sample at or before its start
 *     smoothed   its first and last values lie on the lines between the samples on either side of its edges
 *
 * The window comes with samples of a lookback around the range; what is beyond the samples next to the edges is taken off
 * first. A counter that was reset between two samples rises from 0 to the later one; what it had reached before is added, except
 * when the first value already lies behind that reset. */
#include "promql/functions_int.h"

/* The last of n times at or before t; n when there is none. */
static size_t last_at(const int64_t *times, size_t n, int64_t t)
{
	size_t i = 0;
	while (i < n && times[i] <= t)
		i++;
	return i ? i - 1 : n;
}

static size_t first_from(const int64_t *times, size_t n, int64_t t)
{
	size_t i = 0;
	while (i < n && times[i] < t)
		i++;
	return i;
}

/* From the last sample at or before the start (of whichever kind) to the end, or, smoothed, to the first at or after it. */
static struct slx_pq_window narrow(const struct slx_pq_window *w, bool smoothed)
{
	struct slx_pq_window r = *w;
	size_t f = last_at(w->t, w->n, w->start), h = last_at(w->ht, w->hn, w->start);
	int64_t from = INT64_MIN, to = INT64_MAX;
	if (f < w->n)
		from = w->t[f];
	if (h < w->hn && w->ht[h] > from)
		from = w->ht[h];
	f = first_from(w->t, w->n, w->end), h = first_from(w->ht, w->hn, w->end);
	if (smoothed && f < w->n)
		to = w->t[f];
	if (smoothed && h < w->hn && w->ht[h] < to)
		to = w->ht[h];
	for (; r.n && r.t[0] < from; r.n--)
		r.t++, r.v++;
	for (; r.hn && r.ht[0] < from; r.hn--)
		r.ht++, r.h++;
	while (r.n && r.t[r.n - 1] > to)
		r.n--;
	while (r.hn && r.ht[r.hn - 1] > to)
		r.hn--;
	return r;
}

struct slx_pq_window slx_pq_anchored(const struct slx_pq_window *w) { return narrow(w, false); }

/* How far t lies between two times. */
static double share(int64_t a, int64_t b, int64_t t) { return (double)(t - a) / (double)(b - a); }

/* ---- floats ---- */

/* Value at t on the line from sample i to i + 1. */
static double on_line(const struct slx_pq_window *w, size_t i, int64_t t, bool counter)
{
	double a = w->v[i], b = w->v[i + 1];
	if (counter && b < a)
		a = 0;
	return a + (b - a) * (double)(t - w->t[i]) / (double)(w->t[i + 1] - w->t[i]);
}

static double float_slope(const struct slx_pq_window *w, bool counter, bool smoothed)
{
	size_t last = w->n - 1;
	bool cut = smoothed && last > 0 && w->t[0] < w->start;
	double left = cut ? on_line(w, 0, w->start, counter) : w->v[0];
	double right = smoothed && last > 0 && w->t[last] > w->end ? on_line(w, last - 1, w->end, counter) : w->v[last];
	double lost = 0;
	for (size_t i = 1 + cut; counter && i <= last; i++)
		if (w->v[i] < w->v[i - 1])
			lost += w->v[i - 1];
	return right - left + lost;
}

/* ---- histograms ---- */

const struct slx_histogram *slx_pq_histogram_between(struct slx_arena *a, const struct slx_histogram *from,
	const struct slx_histogram *to, double at, bool counter, unsigned *found)
{
	struct slx_pq_hist w;
	if (counter && slx_pq_hist_is_reset(to, from))
		return slx_pq_histogram_scale(a, to, at);
	slx_pq_hist_init(&w, a, to);
	*found |= slx_pq_hist_subtract(&w, from);
	slx_pq_hist_multiply(&w, at);
	*found |= slx_pq_hist_add(&w, from);
	return slx_pq_hist_finish(&w);
}

static bool check_kinds(struct slx_pq_call *c, const struct slx_pq_window *w, bool counter)
{
	bool gauge = false, mixed = false;
	for (size_t i = 0; i < w->hn; i++) {
		gauge = gauge || w->h[i]->reset == SLX_RESET_GAUGE;
		mixed = mixed || slx_pq_hist_custom(w->h[i]) != slx_pq_hist_custom(w->h[0]);
	}
	if (counter && gauge)
		slx_pq_note_metric(c, false, "this native histogram metric is not a counter:");
	if (mixed) {
		slx_pq_note_metric(c, false, SLX_PQ_MIXED_SCHEMAS);
		return false;
	}
	if (!counter && (w->h[0]->reset != SLX_RESET_GAUGE || w->h[w->hn - 1]->reset != SLX_RESET_GAUGE))
		slx_pq_note_metric(c, false, "this native histogram metric is not a gauge:");
	return true;
}

static bool histogram_slope(struct slx_pq_call *c, const struct slx_pq_window *w, bool counter, bool smoothed,
	double per, struct slx_pq_value *ret)
{
	size_t last = w->hn - 1;
	bool cut = smoothed && last > 0 && w->ht[0] < w->start;
	const struct slx_histogram *left = w->h[0], *right = w->h[last];
	struct slx_arena scratch;
	struct slx_pq_hist sum;
	unsigned found = 0;
	if (!check_kinds(c, w, counter))
		return false;
	slx_pq_scratch(c, &scratch);
	if (cut)
		left =
			slx_pq_histogram_between(&scratch, w->h[0], w->h[1], share(w->ht[0], w->ht[1], w->start), counter, &found);
	if (smoothed && last > 0 && w->ht[last] > w->end)
		right = slx_pq_histogram_between(
			&scratch, w->h[last - 1], w->h[last], share(w->ht[last - 1], w->ht[last], w->end), counter, &found);
	if (!left || !right) {
		slx_arena_clear(&scratch);
		c->status = slx_err_oom(&c->error);
		return false;
	}
	slx_pq_hist_init(&sum, &scratch, right);
	found |= slx_pq_hist_subtract(&sum, left);
	for (size_t i = 1 + cut; counter && i <= last; i++)
		if (slx_pq_hist_is_reset(w->h[i], w->h[i - 1]))
			found |= slx_pq_hist_add(&sum, w->h[i - 1]);
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos, SLX_PQ_RECONCILED "subtraction");
	slx_pq_hist_divide(&sum, per);
	sum.reset = SLX_RESET_GAUGE;
	return slx_pq_finish(c, &sum, ret);
}

bool slx_pq_extended_slope(
	struct slx_pq_call *c, const struct slx_pq_window *window, bool counter, double per, struct slx_pq_value *ret)
{
	bool smoothed = slx_pq_smoothing(c) == SLX_PQ_SMOOTHED;
	struct slx_pq_window w = narrow(window, smoothed);
	if (w.n && w.hn) {
		slx_pq_note_mix(c);
		return false;
	}
	if (w.n + w.hn == 0)
		return false;
	const int64_t *t = w.n ? w.t : w.ht;
	if (t[w.n + w.hn - 1] <= w.start || t[0] > w.end)
		return false;
	if (w.hn)
		return histogram_slope(c, &w, counter, smoothed, per, ret);
	*ret = (struct slx_pq_value){ .f = float_slope(&w, counter, smoothed) / per };
	return true;
}
