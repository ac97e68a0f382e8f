/* Queries through the public API against a slow, obvious model: random series of all kinds, written out of order,
 * overwritten, partly deleted and partly checkpointed; then random queries of every aggregate, step, group and fill.
 * SEED and ROUNDS in the environment repeat or lengthen a run. */
#include <silex/silex.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { SERIES = 12, TIMES = 1500, QUERIES = 400, ROWS_MAX = 400000 };

static const int64_t second = 1000000000;
static const char *const states[] = { "open", "closed", "ajar", "1" };

/* One sample of the model, at position of its time. */
struct sample {
	bool there;
	silex_value v;
};

struct model {
	silex_label labels[SERIES][4]; /* in name order; n_labels of them */
	size_t n_labels[SERIES];
	char text[SERIES][64];           /* for ordering */
	struct sample at[SERIES][TIMES]; /* time is index x gap */
	int64_t gap;
	uint64_t rng;
};

struct row {
	size_t unit;
	int64_t t;
	bool null, is_state;
	double v, size; /* size: of what was added up, for the tolerance */
	silex_kind kind;
	int64_t i;
	const char *state;
};

static uint64_t next(struct model *m)
{
	uint64_t z = (m->rng += 0x9e3779b97f4a7c15u);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t below(struct model *m, uint64_t n) { return next(m) % n; }

/* ---- filling model and database ---- */

static silex_value random_value(struct model *m, size_t series)
{
	/* floats; an int64, a bool, a state series; then floats with int64 and bool among them, and states again */
	static const unsigned kinds[SERIES] = { 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 3 };
	unsigned kind = kinds[series] < 4 ? kinds[series] : below(m, 12) < 10 ? 0 : (unsigned)below(m, 3);
	switch (kind) {
	case 1:
		return silex_int((int64_t)below(m, 200) - 50);
	case 2:
		return silex_bool(below(m, 2));
	case 3:
		return silex_state(states[below(m, 4)]);
	default:
		return silex_float(below(m, 40) == 0 ? NAN : (double)((int64_t)below(m, 2000) - 500) / 100);
	}
}

static void name_series(struct model *m)
{
	static const char *const hosts[] = { "h0", "h1", "h2" };
	static const char *const numbers[SERIES] = { "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10",
		"11" };
	for (size_t s = 0; s < SERIES; s++) {
		size_t n = 0;
		m->labels[s][n++] = (silex_label){ "__name__", s % 3 == 2 ? "mb" : "ma" };
		if (s % 4 != 3)
			m->labels[s][n++] = (silex_label){ "host", hosts[s % 3] };
		m->labels[s][n++] = (silex_label){ "n", numbers[s] };
		m->n_labels[s] = n;
		for (size_t i = 0; i < n; i++) {
			strcat(m->text[s], m->labels[s][i].name);
			strcat(m->text[s], "\1");
			strcat(m->text[s], m->labels[s][i].value);
			strcat(m->text[s], "\1");
		}
	}
}

static void write_some(struct model *m, silex_db *db)
{
	size_t s = below(m, SERIES), from = below(m, TIMES), n = 1 + below(m, 400);
	bool ordered = below(m, 3) > 0;
	for (size_t k = 0; k < n; k++) {
		size_t i = ordered ? from + k : below(m, TIMES);
		silex_error err;
		if (i >= TIMES)
			break;
		m->at[s][i] = (struct sample){ true, random_value(m, s) };
		if (silex_insert(db, NULL, m->labels[s], m->n_labels[s], (int64_t)i * m->gap, m->at[s][i].v, &err) != SILEX_OK)
			fail_msg("insert: %s", err.message);
	}
}

static void delete_some(struct model *m, silex_db *db)
{
	size_t s = below(m, SERIES), from = below(m, TIMES), to = from + below(m, 100);
	char selector[64];
	uint64_t deleted, expected = 0;
	snprintf(selector, sizeof selector, "{n=\"%s\"}", m->labels[s][m->n_labels[s] - 1].value);
	for (size_t i = from; i <= to && i < TIMES; i++) {
		expected += m->at[s][i].there;
		m->at[s][i].there = false;
	}
	assert_int_equal(
		silex_delete(db, NULL, selector, (int64_t)from * m->gap, (int64_t)to * m->gap, &deleted, NULL), SILEX_OK);
	assert_int_equal(deleted, expected);
}

static void compact(silex_db *db, bool full)
{
	silex_compact_options o;
	silex_error err;
	silex_compact_options_init(&o);
	o.full = full;
	if (silex_compact(db, &o, &err) != SILEX_OK)
		fail_msg("compact: %s", err.message);
}

/* ---- the model's answer ---- */

struct window {
	size_t unit_n;
	size_t series[SERIES];
};

static double number_of(silex_value v) { return v.kind == SILEX_FLOAT64 ? v.as.f : (double)v.as.i; }

static bool counts(silex_agg agg, silex_value v)
{
	if (v.kind == SILEX_ENUM)
		return agg == SILEX_AGG_COUNT || agg == SILEX_AGG_FIRST || agg == SILEX_AGG_LAST || agg == SILEX_AGG_MODE;
	return !isnan(number_of(v));
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* What lies in one window of one unit: samples in order of time, then of series. */
struct bag {
	silex_value v[SERIES * TIMES];
	int64_t t[SERIES * TIMES];
	size_t n;
};

static double percentile(struct bag *b, double p)
{
	static double x[SERIES * TIMES];
	for (size_t i = 0; i < b->n; i++)
		x[i] = number_of(b->v[i]);
	qsort(x, b->n, sizeof *x, by_number);
	double rank = p / 100 * (double)(b->n - 1);
	size_t at = (size_t)floor(rank);
	return at + 1 < b->n ? x[at] + (rank - (double)at) * (x[at + 1] - x[at]) : x[at];
}

static bool same(silex_value a, silex_value b)
{
	if ((a.kind == SILEX_ENUM) != (b.kind == SILEX_ENUM))
		return false;
	return a.kind == SILEX_ENUM ? strcmp(a.as.state, b.as.state) == 0 : number_of(a) == number_of(b);
}

/* Numbers come before states. */
static bool less(silex_value a, silex_value b)
{
	if ((a.kind == SILEX_ENUM) != (b.kind == SILEX_ENUM))
		return b.kind == SILEX_ENUM;
	return a.kind == SILEX_ENUM ? strcmp(a.as.state, b.as.state) < 0 : number_of(a) < number_of(b);
}

static silex_value mode(const struct bag *b)
{
	size_t best_n = 0;
	silex_value best = b->v[0];
	for (size_t i = 0; i < b->n; i++) {
		size_t n = 0;
		for (size_t k = 0; k < b->n; k++)
			n += same(b->v[i], b->v[k]);
		if (n > best_n || (n == best_n && less(b->v[i], best))) {
			best = b->v[i];
			best_n = n;
		}
	}
	return best;
}

static void set_value(struct row *r, silex_value v)
{
	r->is_state = v.kind == SILEX_ENUM;
	if (r->is_state)
		r->state = v.as.state;
	else
		r->v = number_of(v);
}

/* The aggregate of a bag that is not empty; false when it is empty all the same. */
static bool aggregate(const silex_query *q, struct bag *b, struct row *r)
{
	double sum = 0, min = INFINITY, max = -INFINITY, increase = 0, m2 = 0;
	r->size = 1;
	if (q->agg == SILEX_AGG_FIRST || q->agg == SILEX_AGG_LAST || q->agg == SILEX_AGG_MODE) {
		set_value(r, q->agg == SILEX_AGG_FIRST ? b->v[0] : q->agg == SILEX_AGG_LAST ? b->v[b->n - 1] : mode(b));
		return true;
	}
	if (q->agg == SILEX_AGG_COUNT) {
		r->v = (double)b->n;
		return true;
	}
	for (size_t i = 0; i < b->n; i++) {
		double x = number_of(b->v[i]);
		sum += x;
		min = fmin(min, x);
		max = fmax(max, x);
		r->size += fabs(x);
		if (i > 0)
			increase += x < number_of(b->v[i - 1]) ? x : x - number_of(b->v[i - 1]);
	}
	double mean = sum / (double)b->n;
	for (size_t i = 0; i < b->n; i++)
		m2 += (number_of(b->v[i]) - mean) * (number_of(b->v[i]) - mean);
	switch (q->agg) {
	case SILEX_AGG_SUM:
		r->v = sum;
		break;
	case SILEX_AGG_MEAN:
		r->v = mean;
		break;
	case SILEX_AGG_MIN:
		r->v = min;
		break;
	case SILEX_AGG_MAX:
		r->v = max;
		break;
	case SILEX_AGG_RANGE:
		r->v = max - min;
		break;
	case SILEX_AGG_VARIANCE:
		r->v = m2 / (double)b->n;
		r->size *= 100;
		break;
	case SILEX_AGG_STDDEV:
		r->v = sqrt(m2 / (double)b->n);
		break;
	case SILEX_AGG_MEDIAN:
		r->v = percentile(b, 50);
		break;
	case SILEX_AGG_PERCENTILE:
		r->v = percentile(b, q->percentile);
		break;
	case SILEX_AGG_INCREASE:
		r->v = increase;
		break;
	case SILEX_AGG_DELTA:
		r->v = number_of(b->v[b->n - 1]) - number_of(b->v[0]);
		break;
	case SILEX_AGG_RATE:
		r->v = increase / ((double)(b->t[b->n - 1] - b->t[0]) / 1e9);
		return b->n > 1;
	default:
		abort();
	}
	return true;
}

static bool per_series(silex_agg agg)
{
	return agg == SILEX_AGG_INCREASE || agg == SILEX_AGG_RATE || agg == SILEX_AGG_DELTA ||
		agg == SILEX_AGG_TIME_IN_STATE;
}

/* Range of positions in the query's range. */
static size_t first_position(const struct model *m, int64_t t)
{
	return t <= 0 ? 0 : (size_t)((t + m->gap - 1) / m->gap);
}

static bool in_state(const silex_query *q, silex_value v)
{
	if (v.kind == SILEX_ENUM)
		return strcmp(v.as.state, q->state) == 0;
	return strcmp(q->state, "1") == 0 && number_of(v) == 1;
}

/* Seconds in state of one series in [from, to), the window whose last instant is `last`. */
static bool time_in_state(
	const struct model *m, const silex_query *q, size_t s, int64_t from, int64_t last, int64_t to, double *ret)
{
	int64_t ns = 0, q_end = q->end;
	bool held = false;
	for (size_t i = first_position(m, q->start); i < TIMES && (int64_t)i * m->gap <= q_end; i++) {
		if (!m->at[s][i].there || (m->at[s][i].v.kind == SILEX_FLOAT64 && isnan(m->at[s][i].v.as.f)))
			continue;
		int64_t a = (int64_t)i * m->gap, b = INT64_MAX;
		for (size_t k = i + 1; k < TIMES && (int64_t)k * m->gap <= q_end; k++)
			if (m->at[s][k].there) {
				b = (int64_t)k * m->gap;
				break;
			}
		int64_t lo = a > from ? a : from, hi = b < to ? b : to;
		if (lo < hi || (a >= from && a <= last)) {
			held = true;
			ns += in_state(q, m->at[s][i].v) ? hi - lo : 0;
		}
	}
	*ret = (double)ns / 1e9;
	return held;
}

static void gather(const struct model *m, const silex_query *q, const size_t *series, size_t n, int64_t from,
	int64_t to, struct bag *b)
{
	b->n = 0;
	for (size_t i = first_position(m, from); i < TIMES && (int64_t)i * m->gap <= to; i++)
		for (size_t k = 0; k < n; k++) {
			const struct sample *x = &m->at[series[k]][i];
			if (!x->there || !counts(q->agg, x->v))
				continue;
			b->v[b->n] = x->v;
			b->t[b->n++] = (int64_t)i * m->gap;
		}
}

static bool window_value(
	const struct model *m, const silex_query *q, const struct window *u, int64_t from, int64_t to, struct row *r)
{
	static struct bag b;
	if (!per_series(q->agg)) {
		gather(m, q, u->series, u->unit_n, from, to, &b);
		if (q->agg == SILEX_AGG_LAST && b.n) /* of equal times, the first in label order */
			for (size_t last = b.n - 1; b.n > 1 && b.t[b.n - 2] == b.t[last]; b.n--)
				;
		return b.n > 0 && aggregate(q, &b, r);
	}
	bool any = false;
	double sum = 0, size = 1;
	/* the last window of a range that is a multiple of the step ends by itself */
	int64_t end = q->step && to - from + 1 == q->step ? to + 1 : to;
	for (size_t k = 0; k < u->unit_n; k++) {
		bool is;
		if (q->agg == SILEX_AGG_TIME_IN_STATE) {
			is = time_in_state(m, q, u->series[k], from, to, end, &r->v);
			r->size = 1 + r->v;
		} else {
			gather(m, q, &u->series[k], 1, from, to, &b);
			is = b.n > 0 && aggregate(q, &b, r);
		}
		if (!is)
			continue;
		any = true;
		sum += r->v;
		size += r->size + fabs(r->v);
	}
	r->v = sum;
	r->size = size;
	return any;
}

static bool has_any(const struct model *m, const silex_query *q, const struct window *u)
{
	for (size_t k = 0; k < u->unit_n; k++)
		for (size_t i = first_position(m, q->start); i < TIMES && (int64_t)i * m->gap <= q->end; i++)
			if (m->at[u->series[k]][i].there)
				return true;
	return false;
}

static size_t answer_windows(
	const struct model *m, const silex_query *q, size_t unit, const struct window *u, struct row *rows)
{
	size_t n = 0;
	struct row previous;
	bool has_previous = false, state_before = false;
	uint64_t windows = q->step ? (uint64_t)(q->end - q->start) / (uint64_t)q->step + 1 : 1;
	if (!has_any(m, q, u))
		return 0;
	for (uint64_t k = 0; k < windows; k++) {
		struct row r = { .unit = unit, .kind = SILEX_FLOAT64 };
		int64_t from = q->start + (int64_t)k * q->step, to = k + 1 == windows ? q->end : from + q->step - 1;
		r.t = from;
		if (window_value(m, q, u, from, to, &r)) {
			r.kind = r.is_state ? SILEX_ENUM : SILEX_FLOAT64;
			previous = r;
			has_previous = true;
		} else if (q->fill == SILEX_FILL_SKIP || (q->fill == SILEX_FILL_PREVIOUS && !has_previous)) {
			continue;
		} else if (q->fill == SILEX_FILL_PREVIOUS) {
			previous.t = r.t;
			r = previous;
		} else {
			r.null = true;
		}
		rows[n++] = r;
		state_before = r.is_state;
	}
	(void)state_before;
	return n;
}

static size_t answer_samples(const struct model *m, const silex_query *q, size_t unit, size_t s, struct row *rows)
{
	size_t n = 0;
	for (size_t i = first_position(m, q->start); i < TIMES && (int64_t)i * m->gap <= q->end; i++) {
		const silex_value *v = &m->at[s][i].v;
		if (!m->at[s][i].there)
			continue;
		struct row r = { .unit = unit, .t = (int64_t)i * m->gap, .kind = v->kind, .is_state = v->kind == SILEX_ENUM };
		if (r.is_state)
			r.state = v->as.state;
		else
			r.v = number_of(*v);
		r.i = v->kind == SILEX_INT64 || v->kind == SILEX_BOOL ? v->as.i : 0;
		rows[n++] = r;
	}
	return n;
}

/* Which series a selector of the test selects. */
static bool selected(const struct model *m, const silex_query *q, size_t s)
{
	if (q->n_selectors == 0)
		return true;
	for (size_t i = 0; i < q->n_selectors; i++) {
		const char *x = q->selectors[i], *host = NULL;
		for (size_t k = 0; k < m->n_labels[s]; k++)
			if (strcmp(m->labels[s][k].name, "host") == 0)
				host = m->labels[s][k].value;
		if (strcmp(x, m->labels[s][0].value) == 0 ||
			(strcmp(x, "{host!=\"h1\"}") == 0 && (!host || strcmp(host, "h1"))) ||
			(strcmp(x, "{n=~\"0[1-4]|11\"}") == 0 && ((s >= 1 && s <= 4) || s == 11)))
			return true;
	}
	return false;
}

static void kept_text(const struct model *m, const silex_query *q, size_t s, char *ret)
{
	*ret = 0;
	for (size_t k = 0; k < m->n_labels[s]; k++)
		for (size_t g = 0; g < q->n_group_by; g++)
			if (strcmp(q->group_by[g], m->labels[s][k].name) == 0) {
				strcat(ret, m->labels[s][k].name);
				strcat(ret, "\1");
				strcat(ret, m->labels[s][k].value);
				strcat(ret, "\1");
			}
}

static size_t by_label_order(const struct model *m, const silex_query *q, size_t ret[SERIES])
{
	size_t n = 0;
	for (size_t s = 0; s < SERIES; s++)
		if (selected(m, q, s))
			ret[n++] = s;
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && strcmp(m->text[ret[k - 1]], m->text[ret[k]]) > 0; k--) {
			size_t x = ret[k];
			ret[k] = ret[k - 1];
			ret[k - 1] = x;
		}
	return n;
}

static size_t make_units(
	const struct model *m, const silex_query *q, const size_t *series, size_t n, struct window *units)
{
	char keys[SERIES][128], key[128];
	size_t units_n = 0;
	for (size_t i = 0; i < n; i++) {
		size_t u = 0;
		kept_text(m, q, series[i], key);
		while (u < units_n && (!q->group || strcmp(keys[u], key) != 0))
			u++;
		if (u == units_n) {
			if (q->group)
				while (u > 0 && strcmp(keys[u - 1], key) > 0) {
					memcpy(keys[u], keys[u - 1], sizeof key);
					units[u] = units[u - 1];
					u--;
				}
			memcpy(keys[u], key, sizeof key);
			units[u] = (struct window){ 0 };
			units_n++;
		}
		units[u].series[units[u].unit_n++] = series[i];
	}
	return units_n;
}

static size_t answer(const struct model *m, const silex_query *q, struct row *rows)
{
	size_t series[SERIES], n_series = by_label_order(m, q, series), n = 0, given = 0;
	struct window units[SERIES];
	size_t units_n = make_units(m, q, series, n_series, units);
	for (size_t u = 0; u < units_n; u++) {
		size_t got = q->agg == SILEX_AGG_NONE ? answer_samples(m, q, given, units[u].series[0], rows + n)
											  : answer_windows(m, q, given, &units[u], rows + n);
		for (size_t i = 0; q->descending && i < got / 2; i++) {
			struct row x = rows[n + i];
			rows[n + i] = rows[n + got - 1 - i];
			rows[n + got - 1 - i] = x;
		}
		given += got > 0;
		n += got;
	}
	return q->limit && n > q->limit ? q->limit : n;
}

/* ---- the comparison ---- */

static void describe(const silex_query *q, char *ret, size_t size)
{
	snprintf(ret, size, "%s step %lld group %d by %zu fill %d desc %d limit %llu range %lld..%lld",
		silex_agg_name(q->agg), (long long)q->step, q->group, q->n_group_by, q->fill, q->descending,
		(unsigned long long)q->limit, (long long)q->start, (long long)q->end);
}

static void check_row(const silex_query *q, const silex_batch *b, size_t i, const struct row *want)
{
	char text[256];
	bool null = b->null && b->null[i], good;
	describe(q, text, sizeof text);
	if (b->times[i] != want->t || b->series != want->unit || null != want->null)
		fail_msg("%s: series %llu time %lld null %d, expected series %zu time %lld null %d", text,
			(unsigned long long)b->series, (long long)b->times[i], null, want->unit, (long long)want->t, want->null);
	if (null)
		return;
	if (b->kind != want->kind)
		fail_msg("%s: kind %d, expected %d at %lld", text, b->kind, want->kind, (long long)want->t);
	if (want->is_state) {
		assert_string_equal(b->states[i], want->state);
		return;
	}
	if (want->kind == SILEX_INT64 || want->kind == SILEX_BOOL)
		assert_int_equal(b->ints[i], want->i);
	good = isnan(want->v) ? isnan(b->values[i]) : fabs(b->values[i] - want->v) <= 1e-13 * want->size;
	if (!good)
		fail_msg("%s: %.17g, expected %.17g at %lld of series %zu", text, b->values[i], want->v, (long long)want->t,
			want->unit);
}

static void check_query(const struct model *m, silex_db *db, const silex_query *q)
{
	static struct row want[ROWS_MAX];
	size_t n = answer(m, q, want), at = 0;
	silex_cursor *c;
	silex_batch b;
	silex_error err;
	char text[256];
	describe(q, text, sizeof text);
	if (silex_query_run(db, q, &c, &err) != SILEX_OK)
		fail_msg("%s: %s", text, err.message);
	for (;;) {
		if (silex_cursor_next(c, &b, &err) != SILEX_OK)
			fail_msg("%s: %s", text, err.message);
		if (b.n == 0)
			break;
		for (size_t i = 0; i < b.n; i++, at++) {
			if (at >= n)
				fail_msg("%s: more than %zu rows: series %llu time %lld", text, n, (unsigned long long)b.series,
					(long long)b.times[i]);
			check_row(q, &b, i, &want[at]);
		}
	}
	if (at != n)
		fail_msg("%s: %zu rows, expected %zu; next is series %zu time %lld", text, at, n, want[at].unit,
			(long long)want[at].t);
	silex_cursor_close(c);
}

static void random_query(struct model *m, silex_query *q)
{
	static const char *const selectors[] = { "ma", "mb", "{host!=\"h1\"}", "{n=~\"0[1-4]|11\"}" };
	static const char *const labels[] = { "host", "__name__", "n", "nothing" };
	static const char *chosen[2], *kept[2];
	int64_t all = TIMES * m->gap;
	silex_query_init(q);
	q->agg = (silex_agg)below(m, SILEX_AGG_COUNT_OF);
	q->percentile = (double)below(m, 1001) / 10;
	q->state = states[below(m, 4)];
	q->start = (int64_t)below(m, (uint64_t)all) - all / 10;
	q->end = q->start + (int64_t)below(m, (uint64_t)all);
	if (below(m, 4) == 0) { /* the boundaries of samples */
		q->start -= q->start % m->gap;
		q->end = q->start + (int64_t)below(m, TIMES) * m->gap - (int64_t)below(m, 2);
		q->end = q->end < q->start ? q->start : q->end;
	}
	q->n_selectors = below(m, 3);
	for (size_t i = 0; i < q->n_selectors; i++)
		chosen[i] = selectors[below(m, 4)];
	q->selectors = q->n_selectors ? chosen : NULL;
	q->descending = below(m, 3) == 0;
	q->limit = below(m, 5) == 0 ? 1 + below(m, 500) : 0;
	q->group = false;
	if (q->agg == SILEX_AGG_NONE)
		return;
	q->fill = (silex_fill)below(m, 3);
	q->group = below(m, 2);
	q->n_group_by = q->group ? below(m, 3) : 0;
	for (size_t i = 0; i < q->n_group_by; i++)
		kept[i] = labels[below(m, 4)];
	if (q->n_group_by == 2 && kept[0] == kept[1])
		q->n_group_by = 1;
	q->group_by = kept;
	unsigned step = (unsigned)below(m, 4);
	q->step = step == 0 ? 0
		: step == 1     ? m->gap * (int64_t)(1 + below(m, 3))
						: m->gap * (int64_t)(1 + below(m, 300)) + (int64_t)below(m, 2) * 17;
	if (below(m, 6) == 0 && q->step) /* windows that fit the range */
		q->end = q->start + q->step * (int64_t)(1 + below(m, 4)) - 1;
}

static void against_the_model(void **state)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	unsigned rounds = getenv("ROUNDS") ? (unsigned)atoi(getenv("ROUNDS")) : 3;
	printf("seed %llu\n", (unsigned long long)seed);
	for (unsigned round = 0; round < rounds; round++) {
		struct model *m = calloc(1, sizeof *m);
		silex_options o;
		silex_db *db;
		silex_error err;
		m->rng = seed + round * 1000003;
		m->gap = below(m, 2) ? second : 1 + (int64_t)below(m, 100000) * second / 1000;
		name_series(m);
		silex_options_init(&o);
		o.no_background = true;
		if (silex_open(NULL, &o, &db, &err) != SILEX_OK)
			fail_msg("open: %s", err.message);
		for (unsigned i = 0; i < 60; i++) {
			write_some(m, db);
			if (below(m, 5) == 0)
				delete_some(m, db);
			if (below(m, 12) == 0)
				assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
			if (below(m, 30) == 0)
				compact(db, below(m, 2));
		}
		for (unsigned i = 0; i < QUERIES; i++) {
			silex_query q;
			random_query(m, &q);
			check_query(m, db, &q);
		}
		assert_int_equal(silex_close(db, &err), SILEX_OK);
		free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(against_the_model) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
