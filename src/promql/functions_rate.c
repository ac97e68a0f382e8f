/* rate, increase, delta and their instant forms; changes and resets; lines through a window.
 *
 * rate and increase of a counter: the last value minus the first, plus what each reset took away, stretched to the edges of
 * the range: all the way when a sample is near the edge (within 1.1 mean distances), else by half a mean distance; at
 * the start never further than to where the counter would have been 0. Source: Prometheus 3, "rate()" (functions), with
 * its windows open on the left.
 * Anchored and smoothed ranges are another matter: functions_extended.c. */
#include "promql/functions_int.h"

#include <string.h>

/* ---- rate, increase, delta ---- */

struct slope {
	bool counter, per_second;
};

/* Seconds as Go counts them: whole seconds, then the rest. */
static double seconds(int64_t ms) { return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9; }

/* What the difference between n samples from first to last is to be multiplied by. `from` is the first value when it may
 * limit how far back a counter reached (with the difference above 0), else negative. */
static double stretch(struct slope how, const struct slx_pq_window *w, int64_t first, int64_t last, size_t n,
	double from, double difference)
{
	double to_start = (double)(first - w->start) / 1000, to_end = (double)(w->end - last) / 1000;
	double sampled = (double)(last - first) / 1000, mean = sampled / (double)(n - 1), near = mean * 1.1;
	if (to_start >= near)
		to_start = mean / 2;
	if (how.counter && difference > 0 && from >= 0) {
		double to_zero = sampled * (from / difference);
		if (to_zero < to_start)
			to_start = to_zero;
	}
	if (to_end >= near)
		to_end = mean / 2;
	double factor = (sampled + to_start + to_end) / sampled;
	return how.per_second ? factor / seconds(w->end - w->start) : factor;
}

static bool ends_with(struct slx_str s, const char *end)
{
	size_t n = strlen(end);
	return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

static void note_counter(struct slx_pq_call *c, struct slope how)
{
	if (!how.counter || c->metric.n == 0 || ends_with(c->metric, "_total") || ends_with(c->metric, "_sum") ||
		ends_with(c->metric, "_count") || ends_with(c->metric, "_bucket"))
		return;
	slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos,
		"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"%.*s\"",
		(int)c->metric.n, c->metric.p);
}

/* The difference of a window of histograms. *ret NULL: they do not go together (noted). */
static void histogram_difference(struct slx_pq_call *c, const struct slx_pq_window *w, bool counter,
	struct slx_arena *scratch, struct slx_pq_hist *sum, bool *ret_ok)
{
	const struct slx_histogram *first = w->h[0], *last = w->h[w->hn - 1];
	struct slx_histogram empty = {
		.schema = w->h[1]->schema, .custom = w->h[1]->custom, .custom_n = w->h[1]->custom_n
	};
	bool gauges = true, counters = first->reset != SLX_RESET_GAUGE && last->reset != SLX_RESET_GAUGE;
	unsigned found = 0, added = 0;
	*ret_ok = false;
	if (counter && slx_pq_hist_is_reset(w->h[1], first))
		first = &empty; /* its layout must not matter */
	bool custom = slx_pq_hist_custom(first);
	int8_t schema = last->schema < first->schema ? last->schema : first->schema;
	bool mixed = slx_pq_hist_custom(last) != custom;
	for (size_t i = 1; counter && i + 1 < w->hn; i++) {
		counters = counters && w->h[i]->reset != SLX_RESET_GAUGE;
		schema = w->h[i]->schema < schema ? w->h[i]->schema : schema;
		mixed = mixed || slx_pq_hist_custom(w->h[i]) != custom;
	}
	if (!counter)
		gauges = w->h[0]->reset == SLX_RESET_GAUGE && last->reset == SLX_RESET_GAUGE;
	if (counter && !counters)
		slx_pq_note_metric(c, false, "this native histogram metric is not a counter:");
	if (mixed) {
		slx_pq_note_metric(c, false, SLX_PQ_MIXED_SCHEMAS);
		return;
	}
	slx_pq_hist_init(sum, scratch, last);
	slx_pq_hist_coarsen(sum, schema);
	found = slx_pq_hist_subtract(sum, first);
	for (size_t i = 1; counter && i < w->hn; i++) {
		if (slx_pq_hist_is_reset(w->h[i], first))
			added |= slx_pq_hist_add(sum, first);
		first = w->h[i];
	}
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos, SLX_PQ_RECONCILED "subtraction");
	if (added & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos, SLX_PQ_RECONCILED "addition");
	if (!gauges)
		slx_pq_note_metric(c, false, "this native histogram metric is not a gauge:");
	sum->reset = SLX_RESET_GAUGE;
	*ret_ok = true;
}

static bool histogram_slope(
	struct slx_pq_call *c, const struct slx_pq_window *w, struct slope how, struct slx_pq_value *ret)
{
	struct slx_arena scratch;
	struct slx_pq_hist sum;
	bool ok;
	slx_pq_scratch(c, &scratch);
	histogram_difference(c, w, how.counter, &scratch, &sum, &ok);
	if (!ok)
		return false; /* nothing is in it yet */
	slx_pq_hist_multiply(
		&sum, stretch(how, w, w->ht[0], w->ht[w->hn - 1], w->hn, w->h[0]->count, slx_pq_kahan_value(sum.count)));
	return slx_pq_finish(c, &sum, ret);
}

/* What a reset took away, for all samples of from + 1 .. to. */
static double add_resets(double difference, const double *v, size_t from, size_t to)
{
	for (size_t i = from + 1; i <= to; i++)
		if (v[i] < v[i - 1])
			difference += v[i - 1];
	return difference;
}

/* ---- plugged in ---- */

static bool slope(struct slx_pq_call *c, const struct slx_pq_window *w, struct slope how, struct slx_pq_value *ret)
{
	if (slx_pq_smoothing(c) != SLX_PQ_PLAIN) {
		bool is = slx_pq_extended_slope(c, w, how.counter, how.per_second ? seconds(w->end - w->start) : 1, ret);
		if (is && !ret->h)
			note_counter(c, how);
		return is;
	}
	if (w->n && w->hn) {
		slx_pq_note_mix(c);
		return false;
	}
	if (w->hn > 1)
		return histogram_slope(c, w, how, ret);
	if (w->n < 2)
		return false;
	double difference = w->v[w->n - 1] - w->v[0];
	if (how.counter)
		difference = add_resets(difference, w->v, 0, w->n - 1);
	*ret =
		(struct slx_pq_value){ .f = difference * stretch(how, w, w->t[0], w->t[w->n - 1], w->n, w->v[0], difference) };
	note_counter(c, how);
	return true;
}

double slx_pq_slope(struct slx_pq_call *c, const struct slx_pq_slope *s)
{
	struct slope how = { s->counter, s->per_second };
	struct slx_pq_window w = { .start = s->start, .end = s->end };
	note_counter(c, how);
	return s->difference * stretch(how, &w, s->first_at, s->last_at, s->n, s->first, s->difference);
}

bool slx_pq_fn_rate(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return slope(c, w, (struct slope){ true, true }, ret);
}

bool slx_pq_fn_increase(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return slope(c, w, (struct slope){ true, false }, ret);
}

bool slx_pq_fn_delta(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return slope(c, w, (struct slope){ false, false }, ret);
}

/* Where the counter fell: positions i with v[i] < v[i - 1], and the number of samples behind the last. *ret_n: of all those. */
static uint32_t *find_resets(struct slx_pq_call *c, const double *v, uint32_t n, size_t *ret_n)
{
	uint32_t resets = 0;
	for (uint32_t i = 1; i < n; i++)
		resets += v[i] < v[i - 1];
	uint32_t *at = slx_alloc(c->arena->mem, SLX_MEM_QUERY, (resets + 1) * sizeof *at), k = 0;
	if (!at) {
		c->status = slx_err_oom(&c->error);
		return NULL;
	}
	for (uint32_t i = 1; i < n && k < resets; i++) {
		at[k] = i;
		k += v[i] < v[i - 1];
	}
	at[resets] = n;
	*ret_n = resets + 1;
	return at;
}

static void sweep(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo, const uint32_t *hi,
	const int64_t *starts, const int64_t *ends, size_t steps, struct slope how, double *f, uint8_t *cell)
{
	const uint32_t none = UINT32_MAX, *reset = &none;
	uint32_t *resets = NULL;
	size_t resets_n = 0;
	bool any = false;
	if (how.counter && !(reset = resets = find_resets(c, v, steps ? hi[steps - 1] : 0, &resets_n)))
		return;
	for (size_t k = 0; k < steps; k++) {
		uint32_t first = lo[k], last = hi[k] - 1;
		cell[k] = hi[k] - lo[k] >= 2 ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
		if (!cell[k])
			continue;
		double difference = v[last] - v[first];
		while (*reset <= first)
			reset++;
		for (const uint32_t *r = reset; *r <= last; r++)
			difference += v[*r - 1];
		struct slx_pq_window w = { .start = starts[k], .end = ends[k] };
		f[k] = difference * stretch(how, &w, t[first], t[last], last - first + 1, v[first], difference);
		any = true;
	}
	slx_free(c->arena->mem, SLX_MEM_QUERY, resets, resets_n * sizeof *resets);
	if (any)
		note_counter(c, how);
}

void slx_pq_sweep_rate(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo, const uint32_t *hi,
	const int64_t *starts, const int64_t *ends, size_t steps, double *f, uint8_t *cell)
{
	sweep(c, t, v, lo, hi, starts, ends, steps, (struct slope){ true, true }, f, cell);
}

void slx_pq_sweep_increase(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo,
	const uint32_t *hi, const int64_t *starts, const int64_t *ends, size_t steps, double *f, uint8_t *cell)
{
	sweep(c, t, v, lo, hi, starts, ends, steps, (struct slope){ true, false }, f, cell);
}

void slx_pq_sweep_delta(struct slx_pq_call *c, const int64_t *t, const double *v, const uint32_t *lo,
	const uint32_t *hi, const int64_t *starts, const int64_t *ends, size_t steps, double *f, uint8_t *cell)
{
	sweep(c, t, v, lo, hi, starts, ends, steps, (struct slope){ false, false }, f, cell);
}

/* ---- irate, idelta: the last two samples ---- */

struct sample {
	int64_t t;
	double f;
	const struct slx_histogram *h;
};

/* The sample i places before the end, floats and histograms in one order. */
static struct sample from_end(const struct slx_pq_window *w, size_t place)
{
	size_t n = w->n, hn = w->hn;
	for (;; place--) {
		bool histogram = hn && (!n || w->ht[hn - 1] > w->t[n - 1]);
		if (histogram)
			hn--;
		else
			n--;
		if (place == 0)
			return histogram ? (struct sample){ w->ht[hn], 0, w->h[hn] } : (struct sample){ w->t[n], w->v[n], NULL };
	}
}

static bool instant_histogram(
	struct slx_pq_call *c, struct sample a, struct sample b, bool rate, struct slx_pq_value *ret)
{
	struct slx_arena scratch;
	struct slx_pq_hist sum;
	unsigned found = 0;
	bool gauge_a = a.h->reset == SLX_RESET_GAUGE, gauge_b = b.h->reset == SLX_RESET_GAUGE;
	if (rate && (gauge_a || gauge_b))
		slx_pq_note_metric(c, false, "this native histogram metric is not a counter:");
	if (!rate && !(gauge_a && gauge_b))
		slx_pq_note_metric(c, false, "this native histogram metric is not a gauge:");
	slx_pq_scratch(c, &scratch);
	slx_pq_hist_init(&sum, &scratch, b.h);
	if (!rate || !slx_pq_hist_is_reset(b.h, a.h))
		found = slx_pq_hist_subtract(&sum, a.h);
	if (found & SLX_PQ_HIST_INCOMPATIBLE) {
		slx_arena_clear(&scratch);
		slx_pq_note_metric(c, false, SLX_PQ_MIXED_SCHEMAS);
		return false;
	}
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos, SLX_PQ_RECONCILED "subtraction");
	sum.reset = SLX_RESET_GAUGE;
	if (rate)
		slx_pq_hist_divide(&sum, (double)(b.t - a.t) / 1000);
	return slx_pq_finish(c, &sum, ret);
}

static bool instant(struct slx_pq_call *c, const struct slx_pq_window *w, bool rate, struct slx_pq_value *ret)
{
	if (w->n + w->hn < 2)
		return false;
	struct sample a = from_end(w, 1), b = from_end(w, 0);
	if (a.t == b.t)
		return false;
	if (a.h && b.h)
		return instant_histogram(c, a, b, rate, ret);
	if (a.h || b.h) {
		slx_pq_note_mix(c);
		return false;
	}
	*ret = (struct slx_pq_value){ .f = rate && b.f < a.f ? b.f : b.f - a.f };
	if (rate)
		ret->f /= (double)(b.t - a.t) / 1000;
	return true;
}

bool slx_pq_fn_irate(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return instant(c, w, true, ret);
}
bool slx_pq_fn_idelta(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return instant(c, w, false, ret);
}

/* ---- changes, resets ---- */

static bool is_change(const struct sample *a, const struct sample *b)
{
	if (!a->h != !b->h)
		return true;
	if (a->h)
		return !slx_pq_hist_equal(a->h, b->h);
	return a->f != b->f && !(isnan(a->f) && isnan(b->f));
}

static bool is_reset(const struct sample *a, const struct sample *b)
{
	if (!a->h != !b->h)
		return true;
	return a->h ? slx_pq_hist_is_reset(b->h, a->h) : b->f < a->f;
}

static bool count_pairs(struct slx_pq_call *c, const struct slx_pq_window *window,
	bool (*counts)(const struct sample *, const struct sample *), struct slx_pq_value *ret)
{
	struct slx_pq_window w = *window;
	struct sample before = { 0 };
	size_t n = 0;
	if (slx_pq_smoothing(c) == SLX_PQ_ANCHORED)
		w = slx_pq_anchored(window);
	if (!(w.n && w.t[w.n - 1] > w.start) && !(w.hn && w.ht[w.hn - 1] > w.start))
		return false;
	for (size_t i = 0, k = 0; i < w.n || k < w.hn;) {
		bool first = i + k == 0, histogram = k < w.hn && (i == w.n || w.ht[k] <= w.t[i]);
		struct sample now = histogram ? (struct sample){ w.ht[k], 0, w.h[k] } : (struct sample){ w.t[i], w.v[i], NULL };
		if (histogram)
			k++;
		else
			i++;
		n += !first && counts(&before, &now);
		before = now;
	}
	*ret = (struct slx_pq_value){ .f = (double)n };
	return true;
}

bool slx_pq_fn_changes(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return count_pairs(c, w, is_change, ret);
}
bool slx_pq_fn_resets(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	return count_pairs(c, w, is_reset, ret);
}

/* ---- lines through a window ---- */

/* Least squares; x are seconds from `origin`. */
static void regression(const struct slx_pq_window *w, int64_t origin, double *ret_slope, double *ret_at_origin)
{
	struct slx_pq_kahan x = { 0, 0 }, y = { 0, 0 }, xy = { 0, 0 }, xx = { 0, 0 };
	bool constant = true;
	double n = (double)w->n;
	for (size_t i = 0; i < w->n; i++) {
		double at = (double)(w->t[i] - origin) / 1e3;
		constant = constant && (i == 0 || w->v[i] == w->v[0]);
		slx_pq_kahan_add(&x, at);
		slx_pq_kahan_add(&y, w->v[i]);
		slx_pq_kahan_add(&xy, at * w->v[i]);
		slx_pq_kahan_add(&xx, at * at);
	}
	if (constant) {
		*ret_slope = isinf(w->v[0]) ? NAN : 0;
		*ret_at_origin = isinf(w->v[0]) ? NAN : w->v[0];
		return;
	}
	double sx = x.s + x.c, sy = y.s + y.c, sxy = xy.s + xy.c, sxx = xx.s + xx.c;
	*ret_slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);
	*ret_at_origin = sy / n - *ret_slope * sx / n;
}

/* At least two floats; histograms beside floats are ignored with a note. */
static bool has_line(struct slx_pq_call *c, const struct slx_pq_window *w)
{
	if (w->n && w->hn)
		slx_pq_note_ignored(c);
	return w->n >= 2;
}

bool slx_pq_fn_deriv(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	double slope_, at;
	if (!has_line(c, w))
		return false;
	regression(w, w->t[0], &slope_, &at);
	*ret = (struct slx_pq_value){ .f = slope_ };
	return true;
}

bool slx_pq_fn_predict_linear(struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	double slope_, at;
	if (!has_line(c, w))
		return false;
	regression(w, w->eval, &slope_, &at);
	*ret = (struct slx_pq_value){ .f = slope_ * c->scalars[1] + at };
	return true;
}

/* Holt's linear trend. Source: "Exponential smoothing", double form. */
bool slx_pq_fn_double_exponential_smoothing(
	struct slx_pq_call *c, const struct slx_pq_window *w, struct slx_pq_value *ret)
{
	double sf = c->scalars[1], tf = c->scalars[2];
	if (!(sf > 0 && sf < 1))
		c->status = slx_err(&c->error, SILEX_CONFLICT, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", sf);
	else if (!(tf > 0 && tf < 1))
		c->status = slx_err(&c->error, SILEX_CONFLICT, "invalid trend factor. Expected: 0 < tf < 1, got: %f", tf);
	if (c->status != SILEX_OK || !has_line(c, w))
		return false;
	double before = 0, now = w->v[0], trend = w->v[1] - w->v[0];
	for (size_t i = 1; i < w->n; i++) {
		if (i > 1)
			trend = tf * (now - before) + (1 - tf) * trend;
		double x = sf * w->v[i], y = (1 - sf) * (now + trend);
		before = now;
		now = x + y;
	}
	*ret = (struct slx_pq_value){ .f = now };
	return true;
}
