/* Smoothed vector selectors (experimental): a step between two samples, each within the lookback, has the value on the line
 * between them; after the last sample it has that one's. Stale markers are not seen. Before the first there is nothing. */
#include "promql/functions_int.h"

static void smooth_floats(
	const struct slx_pq_leaf *l, const struct slx_pq_samples *s, struct slx_pq_row *r, size_t from, size_t to)
{
	size_t i = 0; /* samples at or before the step */
	for (size_t k = from; k < to; k++) {
		int64_t at = l->ends[k];
		i = slx_pq_until(s->t, i, s->n, at);
		if (i == 0 || s->t[i - 1] <= l->starts[k])
			continue;
		double v = s->v[i - 1];
		if (s->t[i - 1] < at && i < s->n && s->t[i] <= at + l->after)
			v += (s->v[i] - v) * (double)(at - s->t[i - 1]) / (double)(s->t[i] - s->t[i - 1]);
		r->f[k] = v;
		r->cell[k] = SLX_PQ_FLOAT;
	}
}

static silex_status between(const struct slx_pq_leaf *l, struct slx_pq_work *w, size_t i, int64_t at,
	struct slx_labels labels, const struct slx_histogram **ret, silex_error *err)
{
	const struct slx_histogram *a = w->samples.h[i], *b = w->samples.h[i + 1];
	double share = (double)(at - w->samples.ht[i]) / (double)(w->samples.ht[i + 1] - w->samples.ht[i]);
	struct slx_str name = slx_labels_get(labels, SLX_METRIC_NAME);
	unsigned found = 0;
	*ret = NULL;
	if (slx_pq_hist_custom(a) != slx_pq_hist_custom(b)) {
		slx_pq_note(&l->x->notes, false, l->vector->pos, "PromQL warning: " SLX_PQ_MIXED_SCHEMAS " \"%.*s\"",
			(int)name.n, name.p);
		return SILEX_OK;
	}
	*ret = slx_pq_histogram_between(&w->arena, a, b, share, b->reset != SLX_RESET_GAUGE, &found);
	return *ret ? SILEX_OK : slx_pq_oom(l->x, err);
}

static silex_status smooth_histograms(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	const struct slx_pq_samples *s = &w->samples;
	size_t i = 0;
	SLX_TRY(slx_pq_row_histograms(l->x, &w->arena, r, l->grid->n, err));
	for (size_t k = from; k < to; k++) {
		int64_t at = l->ends[k];
		i = slx_pq_until(s->ht, i, s->hn, at);
		if (i == 0 || s->ht[i - 1] <= l->starts[k])
			continue;
		r->h[k] = s->h[i - 1];
		if (s->ht[i - 1] < at && i < s->hn && s->ht[i] <= at + l->after)
			SLX_TRY(between(l, w, i - 1, at, r->labels, &r->h[k], err));
		r->cell[k] = r->h[k] ? SLX_PQ_HISTOGRAM : SLX_PQ_EMPTY;
	}
	return SILEX_OK;
}

/* Both kinds within reach of a step: nothing, and a warning. */
static void leave_out_mixes(
	const struct slx_pq_leaf *l, const struct slx_pq_samples *s, struct slx_pq_row *r, size_t from, size_t to)
{
	struct slx_str name = slx_labels_get(r->labels, SLX_METRIC_NAME);
	for (size_t k = from; k < to; k++) {
		int64_t begin = l->starts[k], end = l->ends[k] + l->after;
		if (slx_pq_until(s->t, 0, s->n, begin) == slx_pq_until(s->t, 0, s->n, end) ||
			slx_pq_until(s->ht, 0, s->hn, begin) == slx_pq_until(s->ht, 0, s->hn, end))
			continue;
		r->cell[k] = SLX_PQ_EMPTY;
		slx_pq_note(&l->x->notes, false, l->vector->pos,
			"PromQL warning: encountered a mix of histograms and floats for metric name \"%.*s\"", (int)name.n, name.p);
	}
}

silex_status slx_pq_smooth(
	const struct slx_pq_leaf *l, struct slx_pq_work *w, struct slx_pq_row *r, size_t from, size_t to, silex_error *err)
{
	smooth_floats(l, &w->samples, r, from, to);
	if (w->samples.hn == 0)
		return SILEX_OK;
	SLX_TRY(smooth_histograms(l, w, r, from, to, err));
	if (w->samples.n)
		leave_out_mixes(l, &w->samples, r, from, to);
	return SILEX_OK;
}
