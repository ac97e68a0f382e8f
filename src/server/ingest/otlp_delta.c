#include "server/ingest/otlp_delta.h"

#include "promql/histogram.h"

#include <pthread.h>

/* State of one series: bytes, as numbers and their layout, or as an encoded histogram. */
struct entry {
	struct slx_hash128 key;
	struct entry *chain;        /* same bucket */
	struct entry *newer, *older; /* by the last delta */
	uint64_t time;
	size_t n;
	uint8_t bytes[];
};

struct slx_otlp_deltas {
	struct slx_mem *mem;
	pthread_mutex_t lock; /* guards all below */
	struct entry **buckets;
	size_t n_buckets; /* a power of two */
	size_t n, n_max;
	struct entry *newest, *oldest;
};

enum { BUCKETS_MIN = 64, BUCKETS_MAX = 1 << 20 };

silex_status slx_otlp_deltas_new(struct slx_mem *m, uint64_t series_max, struct slx_otlp_deltas **ret, silex_error *err)
{
	struct slx_otlp_deltas *d = slx_calloc(m, SLX_MEM_OTHER, sizeof *d);
	if (!d)
		return slx_err_oom(err);
	d->mem = m;
	d->n_max = series_max;
	for (d->n_buckets = BUCKETS_MIN; d->n_buckets < series_max && d->n_buckets < BUCKETS_MAX;)
		d->n_buckets *= 2;
	d->buckets = slx_calloc(m, SLX_MEM_OTHER, d->n_buckets * sizeof(struct entry *));
	if (!d->buckets) {
		slx_free(m, SLX_MEM_OTHER, d, sizeof *d);
		return slx_err_oom(err);
	}
	pthread_mutex_init(&d->lock, NULL);
	*ret = d;
	return SILEX_OK;
}

static void entry_free(struct slx_otlp_deltas *d, struct entry *e) { slx_free(d->mem, SLX_MEM_OTHER, e, sizeof *e + e->n); }

void slx_otlp_deltas_free(struct slx_otlp_deltas *d)
{
	if (!d)
		return;
	for (struct entry *e = d->newest, *older; e; e = older) {
		older = e->older;
		entry_free(d, e);
	}
	slx_free(d->mem, SLX_MEM_OTHER, d->buckets, d->n_buckets * sizeof(struct entry *));
	pthread_mutex_destroy(&d->lock);
	slx_free(d->mem, SLX_MEM_OTHER, d, sizeof *d);
}

static struct entry **bucket(struct slx_otlp_deltas *d, struct slx_hash128 key) { return &d->buckets[key.lo & (d->n_buckets - 1)]; }

static struct entry *find(struct slx_otlp_deltas *d, struct slx_hash128 key)
{
	struct entry *e = *bucket(d, key);
	while (e && !slx_hash128_eq(e->key, key))
		e = e->chain;
	return e;
}

static void take_out(struct slx_otlp_deltas *d, struct entry *e)
{
	struct entry **at = bucket(d, e->key);
	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	*(e->newer ? &e->newer->older : &d->newest) = e->older;
	*(e->older ? &e->older->newer : &d->oldest) = e->newer;
	d->n--;
}

static void put_in(struct slx_otlp_deltas *d, struct entry *e)
{
	struct entry **at = bucket(d, e->key);
	e->chain = *at;
	*at = e;
	e->newer = NULL;
	e->older = d->newest;
	*(d->newest ? &d->newest->newer : &d->oldest) = e;
	d->newest = e;
	d->n++;
}

/* Replaces what is kept for key. */
static silex_status store(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, const void *bytes, size_t n, silex_error *err)
{
	struct entry *old = find(d, key), *e = slx_alloc(d->mem, SLX_MEM_OTHER, sizeof *e + n);
	if (!e)
		return slx_err_oom(err);
	e->key = key;
	e->time = time;
	e->n = n;
	memcpy(e->bytes, bytes, n);
	if (old) {
		take_out(d, old);
		entry_free(d, old);
	}
	while (d->n && d->n >= d->n_max) {
		struct entry *oldest = d->oldest;
		take_out(d, oldest);
		entry_free(d, oldest);
	}
	put_in(d, e);
	return SILEX_OK;
}

static silex_status late(silex_error *err) { return slx_err(err, SILEX_INVALID, "a delta must come after the one before it"); }

static silex_status add_locked(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, double *v, size_t n, const double *layout,
	size_t n_layout, silex_error *err)
{
	struct entry *e = find(d, key);
	size_t bytes = (n + n_layout) * sizeof(double);
	if (e && time <= e->time)
		return late(err);
	double *state = slx_alloc(d->mem, SLX_MEM_OTHER, bytes);
	if (!state)
		return slx_err_oom(err);
	memcpy(state, v, n * sizeof *v);
	if (n_layout)
		memcpy(state + n, layout, n_layout * sizeof *layout);
	if (e && e->n == bytes && memcmp(e->bytes + n * sizeof *v, state + n, n_layout * sizeof *layout) == 0)
		for (size_t i = 0; i < n; i++) {
			double before;
			memcpy(&before, e->bytes + i * sizeof before, sizeof before);
			state[i] += before;
		}
	silex_status st = store(d, key, time, state, bytes, err);
	if (st == SILEX_OK)
		memcpy(v, state, n * sizeof *v);
	slx_free(d->mem, SLX_MEM_OTHER, state, bytes);
	return st;
}

silex_status slx_otlp_delta_add(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, double *v, size_t n, const double *layout,
	size_t n_layout, silex_error *err)
{
	pthread_mutex_lock(&d->lock);
	silex_status st = add_locked(d, key, time, v, n, layout, n_layout, err);
	pthread_mutex_unlock(&d->lock);
	return st;
}

static silex_status add_histogram(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, const struct slx_histogram *h,
	struct slx_arena *a, const struct slx_histogram **ret, silex_error *err)
{
	struct entry *e = find(d, key);
	struct slx_histogram before;
	struct slx_pq_hist sum;
	struct slx_buf bytes;
	if (e && time <= e->time)
		return late(err);
	slx_pq_hist_init(&sum, a, h);
	if (e && slx_histogram_decode(e->bytes, e->n, a, &before, NULL) == SILEX_OK)
		slx_pq_hist_add(&sum, &before);
	const struct slx_histogram *total = slx_pq_hist_finish(&sum);
	if (!total)
		return slx_err_oom(err);
	slx_buf_init(&bytes, d->mem, SLX_MEM_OTHER, 1 << 24);
	slx_histogram_encode(total, &bytes);
	silex_status st = bytes.failed ? slx_err_oom(err) : store(d, key, time, bytes.p, bytes.n, err);
	slx_buf_free(&bytes);
	if (st == SILEX_OK)
		*ret = total;
	return st;
}

silex_status slx_otlp_delta_histogram(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, const struct slx_histogram *h,
	struct slx_arena *a, const struct slx_histogram **ret, silex_error *err)
{
	pthread_mutex_lock(&d->lock);
	silex_status st = add_histogram(d, key, time, h, a, ret, err);
	pthread_mutex_unlock(&d->lock);
	return st;
}
