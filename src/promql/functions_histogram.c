/* Functions over histograms in instant vectors: native ones (a cell of a row) and classic ones (rows that differ only in
 * their label `le`, the upper bound of a bucket that counts all samples up to it).
 *
 * Rows are grouped once; then, step by step, a group's buckets that are there are laid out in order and made monotonic:
 * counts may fall from bucket to bucket by rounding (relative 1e-12: ignored) or because the buckets were not written together (said
 * in an info). A native and a classic histogram of the same labels at one step cancel each other, with a warning. */
#include "promql/functions_int.h"

#include "model/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one number of each native histogram ---- */

static silex_status each_histogram(struct slx_pq_call *c, struct slx_pq_matrix *vector,
	double (*f)(const struct slx_histogram *), struct slx_pq_matrix *ret)
{
	*ret = *vector;
	for (size_t i = 0; i < ret->n; i++) {
		struct slx_pq_row *r = &ret->rows[i];
		for (size_t k = 0; k < c->steps; k++) {
			bool histogram = r->cell[k] == SLX_PQ_HISTOGRAM;
			r->cell[k] = histogram ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
			r->f[k] = histogram ? f(r->h[k]) : 0;
		}
		r->h = NULL;
		r->drop_name = true;
	}
	slx_pq_matrix_compact(ret, c->steps);
	return SILEX_OK;
}

static double count_of(const struct slx_histogram *h) { return h->count; }
static double sum_of(const struct slx_histogram *h) { return h->sum; }
static double mean_of(const struct slx_histogram *h) { return h->sum / h->count; }
static double deviation_of(const struct slx_histogram *h) { return sqrt(slx_pq_hist_variance(h)); }

SLX_PQ_MATRIX(histogram_count) { return each_histogram(c, &args[0], count_of, ret); }
SLX_PQ_MATRIX(histogram_sum) { return each_histogram(c, &args[0], sum_of, ret); }
SLX_PQ_MATRIX(histogram_avg) { return each_histogram(c, &args[0], mean_of, ret); }
SLX_PQ_MATRIX(histogram_stddev) { return each_histogram(c, &args[0], deviation_of, ret); }
SLX_PQ_MATRIX(histogram_stdvar) { return each_histogram(c, &args[0], slx_pq_hist_variance, ret); }

/* ---- grouping classic buckets ---- */

struct bucket {
	double upper, count;
};

struct bucket_row {
	double upper;
	struct slx_pq_row *row;
};

struct group {
	struct slx_labels labels; /* without le, with the name */
	struct bucket_row *rows;  /* by upper bound */
	size_t n;
};

/* The vector argument sorted out. */
struct input {
	struct slx_pq_exec *x;
	struct slx_pq_call *c;
	const struct slx_pq_matrix *vector;
	const struct slx_pq_node *at; /* the argument, for notes */
	struct slx_pq_table table;    /* labels -> group */
	struct group *groups;
	struct bucket *scratch; /* room for the largest group */
};

/* As Go reads a number; false: it is none. */
static bool read_bound(struct slx_str s, double *ret)
{
	char text[64], *end;
	if (s.n == 0 || s.n >= sizeof text || s.p[0] == ' ' || s.p[0] == '\t' || memchr(s.p, '(', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	*ret = strtod(text, &end);
	return end == text + s.n;
}

static bool has_floats(const struct slx_pq_row *r, size_t steps)
{
	for (size_t k = 0; k < steps; k++)
		if (r->cell[k] == SLX_PQ_FLOAT)
			return true;
	return false;
}

/* " for metric name ..." */
static void put_metric(char *to, size_t size, struct slx_str name)
{
	to[0] = 0;
	if (name.n)
		snprintf(to, size, " for metric name \"%.*s\"", (int)(name.n < 500 ? name.n : 500), name.p);
}

static void note_bound(const struct input *in, const struct slx_pq_row *r, struct slx_str le)
{
	char metric[600];
	put_metric(metric, sizeof metric, slx_labels_get(r->labels, SLX_METRIC_NAME));
	slx_pq_note(in->c->notes, false, in->at->pos,
		"PromQL warning: bucket label \"le\" is missing or has a malformed value of \"%.*s\"%s",
		(int)(le.n < 200 ? le.n : 200), le.p, metric);
}

/* The row's group and bound; false when it has no classic bucket. */
static silex_status group_row(
	struct input *in, const struct slx_pq_row *r, size_t *ret_group, double *ret_upper, bool *ret_is, silex_error *err)
{
	struct slx_str le_name = SLX_STR("le"), le = slx_labels_get(r->labels, le_name);
	struct slx_labels key;
	bool fresh;
	*ret_is = has_floats(r, in->c->steps);
	if (!*ret_is)
		return SILEX_OK;
	*ret_is = read_bound(le, ret_upper);
	if (!*ret_is) {
		note_bound(in, r, le);
		return SILEX_OK;
	}
	SLX_TRY(slx_pq_labels_cut(in->x, r->labels, &(struct slx_pq_cut){ .names = &le_name, .n = 1 }, &key, err));
	return slx_pq_table_add(in->x, &in->table, key, ret_group, &fresh, err);
}

static int by_bound(const void *a, const void *b)
{
	double x = ((const struct bucket_row *)a)->upper, y = ((const struct bucket_row *)b)->upper;
	return (x > y) - (x < y);
}

static silex_status make_groups(struct input *in, const size_t *group, const double *upper, silex_error *err)
{
	size_t rows = in->vector->n, largest = 0;
	in->groups = slx_pq_alloc(in->x, &in->x->arena, in->table.n * sizeof *in->groups);
	if (!in->groups)
		return slx_pq_oom(in->x, err);
	for (size_t g = 0; g < in->table.n; g++)
		in->groups[g] = (struct group){ .labels = in->table.keys[g] };
	for (size_t i = 0; i < rows; i++)
		if (group[i] != SIZE_MAX)
			in->groups[group[i]].n++;
	for (size_t g = 0; g < in->table.n; g++) {
		struct group *it = &in->groups[g];
		it->rows = slx_pq_alloc(in->x, &in->x->arena, it->n * sizeof *it->rows);
		if (!it->rows)
			return slx_pq_oom(in->x, err);
		largest = it->n > largest ? it->n : largest;
		it->n = 0;
	}
	for (size_t i = 0; i < rows; i++)
		if (group[i] != SIZE_MAX) {
			struct group *it = &in->groups[group[i]];
			it->rows[it->n++] = (struct bucket_row){ upper[i], &in->vector->rows[i] };
		}
	for (size_t g = 0; g < in->table.n; g++)
		qsort(in->groups[g].rows, in->groups[g].n, sizeof *in->groups[g].rows, by_bound);
	in->scratch = slx_pq_alloc(in->x, &in->x->arena, (largest + 1) * sizeof *in->scratch);
	return in->scratch ? SILEX_OK : slx_pq_oom(in->x, err);
}

static silex_status input_init(struct input *in, struct slx_pq_exec *x, struct slx_pq_call *c,
	const struct slx_pq_matrix *vector, size_t arg, silex_error *err)
{
	*in = (struct input){ .x = x, .c = c, .vector = vector, .at = slx_pq_arg(c, arg) };
	size_t *group = slx_pq_alloc(x, &x->arena, vector->n * sizeof *group);
	double *upper = slx_pq_alloc(x, &x->arena, vector->n * sizeof *upper);
	if (!group || !upper)
		return slx_pq_oom(x, err);
	for (size_t i = 0; i < vector->n; i++) {
		bool is;
		SLX_TRY(group_row(in, &vector->rows[i], &group[i], &upper[i], &is, err));
		if (!is)
			group[i] = SIZE_MAX;
	}
	return make_groups(in, group, upper, err);
}

/* ---- one classic histogram at one step ---- */

/* Its buckets by ascending bound, those of equal bounds added up; 0 when there are none. */
static size_t lay_out(const struct input *in, const struct group *g, size_t k)
{
	struct bucket *b = in->scratch;
	size_t n = 0;
	for (size_t i = 0; i < g->n; i++) {
		if (g->rows[i].row->cell[k] != SLX_PQ_FLOAT)
			continue;
		double count = g->rows[i].row->f[k];
		if (n && b[n - 1].upper == g->rows[i].upper)
			b[n - 1].count += count;
		else
			b[n++] = (struct bucket){ g->rows[i].upper, count };
	}
	return n;
}

static bool almost_equal(double a, double b)
{
	const double tolerance = 1e-12, normal = 0x1p-1022;
	double sum = fabs(a) + fabs(b), off = fabs(a - b);
	if (isnan(a) && isnan(b))
		return true;
	if (a == 0 || b == 0 || sum < normal)
		return off < tolerance * normal;
	return off / fmin(sum, __DBL_MAX__) < tolerance;
}

/* What was forced, over steps and series: for the info. */
struct forced {
	double low, high, most; /* bounds of the buckets, greatest difference */
	int64_t from, to;       /* ms */
	size_t n;
};

static void force_bucket(struct forced *f, double upper, double off)
{
	f->low = fmin(f->low, upper);
	f->high = fmax(f->high, upper);
	f->most = fmax(f->most, off);
}

/* true when a count had to be raised. */
static bool make_monotonic(struct bucket *b, size_t n, struct forced *f)
{
	bool raised = false;
	double before = b[0].count;
	for (size_t i = 1; i < n; i++) {
		double now = b[i].count;
		if (now == before)
			continue;
		bool noise = almost_equal(before, now);
		if (!noise && !(now < before)) {
			before = now;
			continue;
		}
		if (!noise) {
			force_bucket(f, b[i].upper, before - now);
			raised = true;
		}
		b[i].count = before;
	}
	return raised;
}

static double bucket_quantile(double q, struct bucket *b, size_t n, struct forced *f, bool *ret_forced)
{
	*ret_forced = false;
	if (isnan(q))
		return NAN;
	if (q < 0 || q > 1)
		return q < 0 ? -INFINITY : INFINITY;
	if (b[n - 1].upper != INFINITY)
		return NAN;
	*ret_forced = make_monotonic(b, n, f);
	double all = b[n - 1].count, rank = q * all;
	if (n < 2 || all == 0)
		return NAN;
	size_t i = 0;
	while (i < n - 1 && !(b[i].count >= rank))
		i++;
	if (i == n - 1)
		return b[n - 2].upper;
	if (i == 0 && b[0].upper <= 0)
		return b[0].upper;
	double from = i ? b[i - 1].upper : 0, below = i ? b[i - 1].count : 0;
	return from + (b[i].upper - from) * ((rank - below) / (b[i].count - below));
}

/* How many samples are below v. */
static double bucket_rank(const struct bucket *b, size_t n, double v)
{
	double lower = b[0].upper <= 0 ? -INFINITY : 0, rank = 0;
	for (size_t i = 0; i < n; i++) {
		if (lower >= v)
			return rank;
		if (b[i].upper > v)
			return fmin(
				lower == -INFINITY ? b[i].count : rank + (b[i].count - rank) * (v - lower) / (b[i].upper - lower),
				b[n - 1].count);
		lower = b[i].upper;
		rank = b[i].count;
	}
	return b[n - 1].count;
}

static double bucket_fraction(double lower, double upper, const struct bucket *b, size_t n)
{
	double all = b[n - 1].count;
	if (b[n - 1].upper != INFINITY || all == 0 || isnan(lower) || isnan(upper))
		return NAN;
	if (lower >= upper)
		return 0;
	return (bucket_rank(b, n, upper) - bucket_rank(b, n, lower)) / all;
}

/* ---- quantiles and fractions over a whole vector ---- */

/* What is asked of each histogram: a quantile, or the fraction between two limits. Values by step. */
struct question {
	const double *q, *lower, *upper; /* q NULL: a fraction */
	double only;                     /* ask_only: steps whose q is this, by bits */
	bool ask_only;
};

static bool asked(const struct question *a, size_t k)
{
	return !a->ask_only || slx_f64_bits(a->q[k]) == slx_f64_bits(a->only);
}

/* The name for infos: it is known only while it has not been taken off. */
static struct slx_str known_name(const struct input *in, struct slx_labels l)
{
	return in->c->options->delayed_name_removal ? slx_labels_get(l, SLX_METRIC_NAME) : (struct slx_str){ "", 0 };
}

static void note_nan(const struct input *in, struct slx_labels l, enum slx_pq_nan_note note)
{
	static const char *const texts[] = {
		[SLX_PQ_NAN_RESULT] = "histogram_quantile has NaN observations, result is NaN",
		[SLX_PQ_NAN_SKEW] = "histogram_quantile has NaN observations, result is skewed higher",
		[SLX_PQ_NAN_FRACTION] = "histogram_fraction has NaN observations, which are excluded from all fractions",
	};
	char metric[600];
	if (note == SLX_PQ_NAN_NONE)
		return;
	put_metric(metric, sizeof metric, known_name(in, l));
	slx_pq_note(in->c->notes, true, in->at->pos, "PromQL info: input to %s%s", texts[note], metric);
}

static void note_forced(const struct input *in, struct slx_str name, const struct forced *f)
{
	char metric[600], low[40], high[40], from[SLX_TIME_TEXT_SIZE], to[SLX_TIME_TEXT_SIZE];
	put_metric(metric, sizeof metric, name);
	slx_pq_go_number(f->low, low, sizeof low);
	slx_pq_go_number(f->high, high, sizeof high);
	slx_time_format(f->from / 1000 * SLX_SECOND, from);
	slx_time_format(f->to / 1000 * SLX_SECOND, to);
	slx_pq_note(in->c->notes, true, in->at->pos,
		"PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
		"https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)%s, from buckets %s to %s, with a max diff of "
		"%.2g, over %zu samples from %s to %s",
		metric, low, high, f->most, f->n, from, to);
}

static void forced_at(struct forced *f, int64_t t)
{
	f->from = f->n == 0 || t < f->from ? t : f->from;
	f->to = f->n == 0 || t > f->to ? t : f->to;
	f->n++;
}

/* A group's answers. The info of a series without a name is left to the caller, who merges all of them. */
static silex_status answer_group(struct input *in, const struct group *g, const struct question *a, struct forced *f,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_row *r;
	SLX_TRY(slx_pq_alive(in->x, err));
	SLX_TRY(slx_pq_row_add(in->x, ret, g->labels, in->c->steps, &r, err));
	r->drop_name = true;
	for (size_t k = 0; k < in->c->steps; k++) {
		size_t n = asked(a, k) ? lay_out(in, g, k) : 0;
		bool was_forced = false;
		if (n == 0)
			continue;
		r->cell[k] = SLX_PQ_FLOAT;
		r->f[k] = a->q ? bucket_quantile(a->q[k], in->scratch, n, f, &was_forced)
					   : bucket_fraction(a->lower[k], a->upper[k], in->scratch, n);
		if (was_forced)
			forced_at(f, in->c->times[k]);
	}
	return SILEX_OK;
}

static silex_status answer_groups(
	struct input *in, const struct question *a, struct slx_pq_matrix *ret, silex_error *err)
{
	const struct forced none = { .low = INFINITY, .high = -INFINITY };
	struct forced f = none;
	for (size_t g = 0; g < in->table.n; g++) {
		struct slx_str name = known_name(in, in->groups[g].labels);
		SLX_TRY(answer_group(in, &in->groups[g], a, &f, ret, err));
		bool last = g + 1 == in->table.n || !slx_str_eq(name, known_name(in, in->groups[g + 1].labels));
		if (!last)
			continue;
		if (f.n)
			note_forced(in, name, &f);
		f = none;
	}
	return SILEX_OK;
}

static silex_status answer_native(struct input *in, const struct slx_pq_row *from, const struct question *a,
	struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_row *r;
	enum slx_pq_nan_note note;
	if (!from->h)
		return SILEX_OK;
	SLX_TRY(slx_pq_alive(in->x, err));
	SLX_TRY(slx_pq_row_add(in->x, ret, from->labels, in->c->steps, &r, err));
	r->drop_name = true;
	for (size_t k = 0; k < in->c->steps; k++) {
		if (from->cell[k] != SLX_PQ_HISTOGRAM || !asked(a, k))
			continue;
		r->f[k] = a->q ? slx_pq_hist_quantile(a->q[k], from->h[k], &note)
					   : slx_pq_hist_fraction(a->lower[k], a->upper[k], from->h[k], &note);
		r->cell[k] = SLX_PQ_FLOAT;
		note_nan(in, from->labels, note);
	}
	return SILEX_OK;
}

/* Classic and native at one step: both go. */
static void cancel_mixed(struct input *in)
{
	for (size_t i = 0; i < in->vector->n; i++) {
		struct slx_pq_row *r = &in->vector->rows[i];
		char metric[600];
		size_t g;
		if (!r->h || !slx_pq_table_find(&in->table, r->labels, &g))
			continue;
		put_metric(metric, sizeof metric, slx_labels_get(r->labels, SLX_METRIC_NAME));
		for (size_t k = 0; k < in->c->steps; k++) {
			if (r->cell[k] != SLX_PQ_HISTOGRAM || lay_out(in, &in->groups[g], k) == 0)
				continue;
			slx_pq_note(in->c->notes, false, in->at->pos,
				"PromQL warning: vector contains a mix of classic and native histograms%s", metric);
			r->cell[k] = SLX_PQ_EMPTY;
			for (size_t b = 0; b < in->groups[g].n; b++)
				in->groups[g].rows[b].row->cell[k] = SLX_PQ_EMPTY;
		}
	}
}

static silex_status answer(struct input *in, const struct question *a, struct slx_pq_matrix *ret, silex_error *err)
{
	for (size_t i = 0; i < in->vector->n; i++)
		SLX_TRY(answer_native(in, &in->vector->rows[i], a, ret, err));
	return answer_groups(in, a, ret, err);
}

static silex_status ask(struct slx_pq_exec *x, struct slx_pq_call *c, const struct slx_pq_matrix *vector, size_t arg,
	const struct question *a, struct slx_pq_matrix *ret, silex_error *err)
{
	struct input in;
	SLX_TRY(input_init(&in, x, c, vector, arg, err));
	cancel_mixed(&in);
	SLX_TRY(slx_pq_matrix_init(x, ret, vector->n, err));
	SLX_TRY(answer(&in, a, ret, err));
	slx_pq_matrix_compact(ret, c->steps);
	return SILEX_OK;
}

static void note_quantiles(struct slx_pq_call *c, const double *q, size_t arg)
{
	for (size_t k = 0; k < c->steps; k++)
		if (k == 0 || slx_f64_bits(q[k]) != slx_f64_bits(q[k - 1]))
			slx_pq_note_quantile(c, q[k], arg);
}

SLX_PQ_MATRIX(histogram_quantile)
{
	struct question a = { .q = args[0].rows[0].f };
	note_quantiles(c, a.q, 0);
	return ask(x, c, &args[1], 1, &a, ret, err);
}

SLX_PQ_MATRIX(histogram_fraction)
{
	struct question a = { .lower = args[0].rows[0].f, .upper = args[1].rows[0].f };
	return ask(x, c, &args[2], 2, &a, ret, err);
}

/* ---- histogram_quantiles: several at once, told apart by a label ---- */

/* As OpenMetrics writes numbers: with a point. */
static struct slx_str quantile_text(double q, char to[48])
{
	slx_pq_go_number(q, to, 40);
	if (isfinite(q) && !strpbrk(to, "e."))
		strcat(to, ".0");
	return slx_str(to);
}

static silex_status ask_one(struct input *in, struct question *a, struct slx_pq_matrix *ret, silex_error *err)
{
	char text[48];
	struct slx_str label = slx_pq_string_arg(in->c, 1), value = quantile_text(a->only, text);
	size_t before = ret->n;
	SLX_TRY(answer(in, a, ret, err));
	for (size_t i = before; i < ret->n; i++)
		SLX_TRY(slx_pq_set_label(in->x, ret->rows[i].labels, label, value, &ret->rows[i].labels, err));
	return SILEX_OK;
}

static bool seen_before(const double *q, size_t k)
{
	for (size_t i = k; i-- > 0;)
		if (slx_f64_bits(q[i]) == slx_f64_bits(q[k]))
			return true;
	return false;
}

SLX_PQ_MATRIX(histogram_quantiles)
{
	struct input in;
	SLX_TRY(input_init(&in, x, c, &args[0], 0, err));
	cancel_mixed(&in);
	SLX_TRY(slx_pq_matrix_init(x, ret, args[0].n * c->node->call.n_args, err));
	for (size_t i = 2; i < c->node->call.n_args; i++) {
		struct question a = { .q = args[i].rows[0].f, .ask_only = true };
		note_quantiles(c, a.q, i);
		for (size_t k = 0; k < c->steps; k++) {
			if (seen_before(a.q, k))
				continue;
			a.only = a.q[k];
			SLX_TRY(ask_one(&in, &a, ret, err));
		}
	}
	slx_pq_matrix_compact(ret, c->steps);
	return SILEX_OK;
}
