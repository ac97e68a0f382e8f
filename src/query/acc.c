/* Accumulating a window. All ways lead to the statistics of a run, as chunk headers have them: a header is merged as it
 * is, decoded samples are summed up first by the same kernels. Only spread, keys and states want the samples. */
#include "query/query_int.h"

enum { SHORT_MAX = 12 }; /* runs up to here are summed up in place: setting up a kernel costs more */

static double rise(double from, double to)
{
	return to < from ? to : to - from; /* a counter that fell began again at zero */
}

static void add_stats(
	struct slx_query_acc *a, unsigned needs, const struct slx_stats *s, int64_t t_first, int64_t t_last)
{
	struct slx_agg g = { s->count, s->sum, s->comp, s->min, s->max };
	if (s->count == 0)
		return;
	if (needs & SLX_NEED_INCREASE) {
		if (a->agg.count)
			a->increase += rise(slx_bits_f64(a->last.bits), s->first);
		a->increase += s->increase;
	}
	if (needs & SLX_NEED_EDGES) {
		bool times = needs & SLX_NEED_TIMES;
		if (a->agg.count == 0 || (times && t_first < a->t_first)) {
			a->first = (struct slx_query_value){ slx_f64_bits(s->first), false };
			a->t_first = t_first;
		}
		if (a->agg.count == 0 || !times || t_last > a->t_last) {
			a->last = (struct slx_query_value){ slx_f64_bits(s->last), false };
			a->t_last = t_last;
		}
	}
	slx_agg_merge(&a->agg, &g);
}

/* States have neither sum nor order: they are counted, and the first and last are kept. */
static void add_states(
	struct slx_query_acc *a, unsigned needs, uint32_t first, uint32_t last, size_t n, int64_t t_first, int64_t t_last)
{
	bool times = needs & SLX_NEED_TIMES;
	if (a->agg.count == 0 || (times && t_first < a->t_first)) {
		a->first = (struct slx_query_value){ first, true };
		a->t_first = t_first;
	}
	if (a->agg.count == 0 || !times || t_last > a->t_last) {
		a->last = (struct slx_query_value){ last, true };
		a->t_last = t_last;
	}
	a->agg.count += n;
}

void slx_query_acc_header(struct slx_query_acc *a, unsigned needs, const struct slx_chunk_meta *m)
{
	if (m->kind == SLX_KIND_ENUM)
		add_states(a, needs, (uint32_t)m->stats.first, (uint32_t)m->stats.last, m->n, m->tmin, m->tmax);
	else
		add_stats(a, needs, &m->stats, m->tmin, m->tmax);
}

/* ---- samples ---- */

/* A few samples of which only count, sum, min and max are wanted. */
static inline void short_fold(struct slx_agg *to, enum slx_kind kind, const uint64_t *bits, size_t n)
{
	struct slx_agg a = *to;
	if (a.count == 0)
		a = (struct slx_agg){ .min = INFINITY, .max = -INFINITY };
	for (size_t i = 0; i < n; i++) {
		double v = slx_bits_number(kind, bits[i]);
		if (v != v)
			continue;
		a.count++;
		a.min = v < a.min ? v : a.min;
		a.max = v > a.max ? v : a.max;
		slx_query_add(v, &a.sum, &a.comp);
	}
	a.comp = slx_query_comp(a.sum, a.comp);
	a.min += 0.0; /* a zero is +0.0 */
	a.max += 0.0;
	if (a.count)
		*to = a;
}

/* What slx_chunk_stats says of a run, for a few samples. */
static void short_stats(enum slx_kind kind, const uint64_t *bits, size_t n, struct slx_stats *ret)
{
	struct slx_agg a = slx_agg_none();
	struct slx_stats s = { 0 };
	for (size_t i = 0; i < n; i++) {
		double v = slx_bits_number(kind, bits[i]);
		if (v != v)
			continue;
		if (s.count++ == 0)
			s.first = v;
		else
			s.increase += rise(s.last, v);
		s.last = v;
	}
	short_fold(&a, kind, bits, n);
	s.min = a.min, s.max = a.max, s.sum = a.sum, s.comp = a.comp;
	*ret = s;
}

static void add_run(
	struct slx_query_acc *a, unsigned needs, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n)
{
	struct slx_chunk_meta m;
	if (n <= SHORT_MAX && needs == SLX_NEED_FOLD) {
		if (kind == SLX_KIND_FLOAT64)
			short_fold(&a->agg, SLX_KIND_FLOAT64, bits, n);
		else
			short_fold(&a->agg, kind, bits, n);
		return;
	}
	if (n <= SHORT_MAX)
		short_stats(kind, bits, n, &m.stats);
	else
		slx_chunk_stats(kind, ts, bits, n, &m);
	if (m.stats.count == 0)
		return;
	size_t first = 0, last = n - 1;
	if (kind == SLX_KIND_FLOAT64) { /* the times of those that are not NaN */
		while (slx_bits_f64(bits[first]) != slx_bits_f64(bits[first]))
			first++;
		while (slx_bits_f64(bits[last]) != slx_bits_f64(bits[last]))
			last--;
	}
	add_stats(a, needs, &m.stats, ts[first], ts[last]);
}

static void merge_spread(struct slx_query_acc *a, uint64_t n, double mean, double m2)
{
	if (n == 0)
		return;
	double na = (double)a->agg.count, nb = (double)n, d = mean - a->mean;
	a->mean = a->agg.count ? a->mean + d * (nb / (na + nb)) : mean;
	a->m2 += m2 + (a->agg.count ? d * d * (na * nb / (na + nb)) : 0);
	a->agg.count += n;
}

/* Two passes over the run, which is in the cache: exact where one pass would cancel. */
static void add_spread(struct slx_query_acc *a, enum slx_kind kind, const uint64_t *bits, size_t n)
{
	uint64_t count = 0;
	double sum = 0, m2 = 0, rest = 0;
	for (size_t i = 0; i < n; i++) {
		double v = slx_bits_number(kind, bits[i]);
		bool is = v == v;
		sum += is ? v : 0;
		count += is;
	}
	double mean = count ? sum / (double)count : 0;
	for (size_t i = 0; i < n; i++) {
		double v = slx_bits_number(kind, bits[i]), d = v == v ? v - mean : 0;
		m2 += d * d;
		rest += d;
	}
	if (count)
		m2 -= rest * rest / (double)count; /* what rounding left of the mean */
	merge_spread(a, count, mean, m2 > 0 || m2 != m2 ? m2 : 0);
}

static silex_status add_keys(struct slx_query_acc *a, enum slx_kind kind, const uint64_t *bits, size_t n,
	struct slx_query_memory *mem, silex_error *err)
{
	struct slx_query_keys *k = &a->keys;
	if (k->n + n > k->cap)
		SLX_TRY(slx_query_grow(mem, &k->p, &k->cap, sizeof *k->p, k->n + n, err));
	for (size_t i = 0; i < n; i++) {
		double v = slx_bits_number(kind, bits[i]);
		if (kind == SLX_KIND_ENUM)
			k->p[k->n++] = slx_query_key_state((uint32_t)bits[i]);
		else if (v == v)
			k->p[k->n++] = slx_query_key(v);
	}
	return SILEX_OK;
}

silex_status slx_query_acc_samples(struct slx_query_acc *a, unsigned needs, enum slx_kind kind, const int64_t *ts,
	const uint64_t *bits, size_t n, struct slx_query_memory *mem, silex_error *err)
{
	if (needs & SLX_NEED_KEYS)
		return add_keys(a, kind, bits, n, mem, err);
	if (needs & SLX_NEED_SPREAD)
		add_spread(a, kind, bits, n);
	else if (kind == SLX_KIND_ENUM)
		add_states(a, needs, (uint32_t)bits[0], (uint32_t)bits[n - 1], n, ts[0], ts[n - 1]);
	else
		add_run(a, needs, kind, ts, bits, n);
	return SILEX_OK;
}

/* ---- parts of a group ---- */

silex_status slx_query_acc_merge(struct slx_query_acc *to, unsigned needs, struct slx_query_acc *from,
	struct slx_query_memory *mem, silex_error *err)
{
	if (needs & SLX_NEED_KEYS && from->keys.n) {
		struct slx_query_keys *k = &to->keys;
		if (k->n + from->keys.n > k->cap)
			SLX_TRY(slx_query_grow(mem, &k->p, &k->cap, sizeof *k->p, k->n + from->keys.n, err));
		memcpy(k->p + k->n, from->keys.p, from->keys.n * sizeof *k->p);
		k->n += from->keys.n;
		slx_query_acc_clear(from, mem);
		return SILEX_OK;
	}
	if (from->agg.count == 0)
		return SILEX_OK;
	if (needs & SLX_NEED_SPREAD) {
		merge_spread(to, from->agg.count, from->mean, from->m2);
		return SILEX_OK;
	}
	if (to->agg.count == 0 || from->t_first < to->t_first)
		to->first = from->first, to->t_first = from->t_first;
	if (to->agg.count == 0 || from->t_last > to->t_last)
		to->last = from->last, to->t_last = from->t_last;
	slx_agg_merge(&to->agg, &from->agg);
	return SILEX_OK;
}

void slx_query_acc_clear(struct slx_query_acc *a, struct slx_query_memory *mem)
{
	slx_query_release(mem, a->keys.p, a->keys.cap * sizeof *a->keys.p);
	*a = (struct slx_query_acc){ 0 };
}
