/* Buckets out of samples, and two into one (rollup.h). */
#include "storage/tsdb/rollup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const column_names[SLX_ROLLUP_COLUMNS] = { "n", "sum", "min", "max", "first", "last", "at", "drop", "m2", "sketch" };

/* Units of levels, longest first; ms. */
static const struct {
	char name;
	int64_t ms;
} units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };

silex_status slx_rollup_width_check(int64_t width_ms, silex_error *err)
{
	if (width_ms >= SLX_ROLLUP_WIDTH_MIN && width_ms <= SLX_ROLLUP_WIDTH_MAX && width_ms % 1000 == 0)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "a roll-up level of %lld ms; expected whole seconds, 1 s to 7 d", (long long)width_ms);
}

size_t slx_rollup_level(int64_t width_ms, char room[SLX_ROLLUP_LEVEL_SIZE])
{
	size_t u = 0;
	while (width_ms % units[u].ms)
		u++;
	return (size_t)snprintf(room, SLX_ROLLUP_LEVEL_SIZE, "%lld%c", (long long)(width_ms / units[u].ms), units[u].name);
}

struct slx_str slx_rollup_tenant(struct slx_str tenant, int64_t width_ms, enum slx_rollup_column c, char room[SLX_ROLLUP_TENANT_SIZE])
{
	char level[SLX_ROLLUP_LEVEL_SIZE];
	slx_rollup_level(width_ms, level);
	int n = snprintf(room, SLX_ROLLUP_TENANT_SIZE, "%.*s!%s.%s", (int)tenant.n, tenant.p, level, column_names[c]);
	return (struct slx_str){ room, (size_t)n };
}

bool slx_rollup_tenant_of(struct slx_str stored, struct slx_str tenant, int64_t *ret_width_ms)
{
	int64_t width = 0;
	size_t i = tenant.n + 1, u = 0;
	if (stored.n <= i || memcmp(stored.p, tenant.p, tenant.n) != 0 || stored.p[tenant.n] != '!')
		return false;
	for (; i < stored.n && stored.p[i] >= '0' && stored.p[i] <= '9' && width <= SLX_ROLLUP_WIDTH_MAX; i++)
		width = width * 10 + (stored.p[i] - '0');
	while (i < stored.n && u < sizeof units / sizeof *units && units[u].name != stored.p[i])
		u++;
	if (i + 1 >= stored.n || u == sizeof units / sizeof *units || stored.p[i + 1] != '.')
		return false;
	*ret_width_ms = width * units[u].ms;
	return slx_rollup_width_check(*ret_width_ms, NULL) == SILEX_OK;
}

/* ---- time ---- */

int64_t slx_rollup_ms(int64_t ns)
{
	int64_t ms = ns / SLX_MS;
	return ms - (ns % SLX_MS < 0);
}

struct slx_time_range slx_rollup_range(int64_t from, int64_t to)
{
	const int64_t most = SLX_TIME_MAX / SLX_MS - 1;
	int64_t a = from < -most ? -most : from > most ? most : from, b = to < -most ? -most : to > most ? most : to;
	return (struct slx_time_range){ (a + 1) * SLX_MS, b * SLX_MS + SLX_MS - 1 };
}

enum { AT_BITS = 30 };

int64_t slx_rollup_at(const struct slx_rollup_bucket *b)
{
	int64_t first = b->n > 0 ? b->end - b->first_at : 0, last = b->n > 0 ? b->end - b->last_at : 0;
	return (first << (AT_BITS + 1)) | (last << 1) | b->stale_last;
}

bool slx_rollup_set_at(struct slx_rollup_bucket *b, int64_t at, int64_t width_ms)
{
	const int64_t mask = (INT64_C(1) << AT_BITS) - 1;
	int64_t first = at >> (AT_BITS + 1), last = at >> 1 & mask;
	b->first_at = b->end - first;
	b->last_at = b->end - last;
	b->stale_last = at & 1;
	return at >= 0 && first < width_ms && last <= first;
}

/* ---- two into one ---- */

static void add_sum(struct slx_rollup_bucket *b, double v)
{
	double t = b->sum + v;
	if (isfinite(t))
		b->comp += fabs(b->sum) >= fabs(v) ? (b->sum - t) + v : (v - t) + b->sum;
	b->sum = t;
}

static bool less(double a, double than) { return a < than || isnan(than); }
static bool more(double a, double than) { return a > than || isnan(than); }

void slx_rollup_merge(struct slx_rollup_bucket *a, const struct slx_rollup_bucket *b)
{
	struct slx_rollup_bucket before = *a;
	a->end = b->end;
	a->stale += b->stale;
	a->not_numbers |= b->not_numbers;
	a->stale_last = b->n || b->stale ? b->stale_last : a->stale_last;
	if (b->n <= 0)
		return;
	if (before.n <= 0) {
		*a = *b;
		a->stale += before.stale;
		a->not_numbers |= before.not_numbers;
		return;
	}
	double n = (double)(before.n + b->n), d = b->mean - before.mean;
	a->n += b->n;
	add_sum(a, b->sum);
	a->comp += b->comp;
	a->min = less(b->min, a->min) ? b->min : a->min;
	a->max = more(b->max, a->max) ? b->max : a->max;
	a->drop += b->drop + (b->first < before.last ? before.last : 0);
	a->last = b->last;
	a->last_at = b->last_at;
	a->m2 += b->m2 + d * d * ((double)before.n * (double)b->n / n);
	a->mean += d * ((double)b->n / n);
}

/* ---- out of samples ---- */

struct folding {
	int64_t width;
	struct slx_sketch *sketch;
	slx_rollup_each_fn *each;
	void *arg;
	struct slx_rollup_bucket b; /* end: of the open one */
	bool open;
	/* The latest sample waits: another of its ms may take its place. */
	bool waits;
	int64_t t;
	double v;
	bool number;
};

static silex_status close_bucket(struct folding *f, silex_error *err)
{
	if (!f->open)
		return SILEX_OK;
	f->open = false;
	return f->each(f->arg, &f->b, f->sketch, err);
}

static void add_number(struct folding *f, double v)
{
	struct slx_rollup_bucket *b = &f->b;
	double d = v - b->mean;
	if (b->n == 0) {
		b->first = b->last = b->min = b->max = v;
		b->first_at = f->t;
	}
	b->n++;
	add_sum(b, v);
	b->min = less(v, b->min) ? v : b->min;
	b->max = more(v, b->max) ? v : b->max;
	b->drop += v < b->last ? b->last : 0;
	b->last = v;
	b->last_at = f->t;
	b->mean += d / (double)b->n;
	b->m2 += d * (v - b->mean);
	b->stale_last = false;
	if (f->sketch)
		slx_sketch_add(f->sketch, v);
}

/* The sample that waits goes into its bucket. */
static silex_status settle(struct folding *f, silex_error *err)
{
	if (!f->waits)
		return SILEX_OK;
	f->waits = false;
	int64_t end = slx_rollup_end(f->t, f->width);
	if (!f->open || end != f->b.end) {
		SLX_TRY(close_bucket(f, err));
		f->b = (struct slx_rollup_bucket){ .end = end };
		f->open = true;
		if (f->sketch)
			slx_sketch_clear(f->sketch);
	}
	if (!f->number) {
		f->b.not_numbers = true;
	} else if (slx_f64_bits(f->v) == SLX_STALE_NAN) {
		f->b.stale++;
		f->b.stale_last = true;
	} else {
		add_number(f, f->v);
	}
	return SILEX_OK;
}

static silex_status fold_run(struct folding *f, const struct slx_run *run, silex_error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		int64_t ms = slx_rollup_ms(run->ts[i]);
		if (f->waits && ms != f->t)
			SLX_TRY(settle(f, err));
		f->waits = true;
		f->t = ms;
		f->number = !slx_kind_is_bytes(run->kind);
		f->v = f->number ? slx_bits_number(run->kind, run->bits[i]) : 0;
	}
	return SILEX_OK;
}

silex_status slx_rollup_fold(struct slx_scan *scan, int64_t width_ms, struct slx_sketch *sketch, slx_rollup_each_fn *each, void *arg, silex_error *err)
{
	struct folding f = { .width = width_ms, .sketch = sketch, .each = each, .arg = arg };
	struct slx_run run;
	for (bool more;;) {
		SLX_TRY(slx_scan_next(scan, &run, &more, err));
		if (!more)
			break;
		SLX_TRY(slx_scan_decode(scan, &run, err));
		SLX_TRY(fold_run(&f, &run, err));
	}
	SLX_TRY(settle(&f, err));
	return close_bucket(&f, err);
}
