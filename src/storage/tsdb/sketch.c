/* The sketch (sketch.h). Values wait as keys and are sorted into bins when somebody asks.
 *
 *     u8 1; varint NaNs; varint bins; { varint zigzag(key - last key), varint count - 1 }*      (the first: key - 0) */
#include "storage/tsdb/sketch.h"

#include "base/status.h"

#include <math.h>
#include <stdlib.h>

enum { FORMAT = 1, KEYS_MAX = 4096 };

void slx_sketch_init(struct slx_sketch *s, struct slx_mem *m) { *s = (struct slx_sketch){ .mem = m }; }

void slx_sketch_free(struct slx_sketch *s)
{
	if (!s->mem)
		return;
	slx_free(s->mem, SLX_MEM_QUERY, s->bins, s->cap * sizeof *s->bins);
	slx_free(s->mem, SLX_MEM_QUERY, s->keys, s->keys_cap * sizeof *s->keys);
	slx_sketch_init(s, s->mem);
}

void slx_sketch_clear(struct slx_sketch *s)
{
	s->n = s->keys_n = 0;
	s->nan = 0;
	s->failed = false;
}

/* ---- values and keys ---- */

static double log_growth(void) { return log((1 + SLX_SKETCH_ERROR) / (1 - SLX_SKETCH_ERROR)); }

static int32_t key_of(double v)
{
	if (v == 0)
		return 0;
	int32_t key = isinf(v) ? SLX_SKETCH_INF : (int32_t)ceil(log(fabs(v)) / log_growth()) + SLX_SKETCH_BIAS;
	return v < 0 ? -key : key;
}

/* The middle of the bin: no value in it is further away than the error. */
static double value_of(int32_t key)
{
	if (key == 0)
		return 0;
	int32_t index = abs(key) - SLX_SKETCH_BIAS;
	double v = abs(key) == SLX_SKETCH_INF ? (double)INFINITY : exp(index * log_growth()) * (1 - SLX_SKETCH_ERROR);
	return key < 0 ? -v : v;
}

/* ---- bins ---- */

static bool bins_reserve(struct slx_sketch *s, size_t need)
{
	size_t cap = s->cap ? s->cap : 32;
	while (cap < need)
		cap *= 2;
	if (cap == s->cap)
		return true;
	struct slx_sketch_bin *bins = slx_realloc(s->mem, SLX_MEM_QUERY, s->bins, s->cap * sizeof *bins, cap * sizeof *bins);
	if (!bins) {
		s->failed = true;
		return false;
	}
	s->bins = bins;
	s->cap = cap;
	return true;
}

/* The lowest bins become one while there are too many. */
static void collapse(struct slx_sketch *s)
{
	size_t over = s->n > SLX_SKETCH_BINS_MAX ? s->n - SLX_SKETCH_BINS_MAX : 0;
	if (!over)
		return;
	for (size_t i = 0; i < over; i++)
		s->bins[over].n += s->bins[i].n;
	s->n -= over;
	memmove(s->bins, s->bins + over, s->n * sizeof *s->bins);
}

/* Adds n bins, keys ascending: merged from behind, in place. */
static void add_bins(struct slx_sketch *s, const struct slx_sketch_bin *from, size_t n)
{
	size_t common = 0;
	for (size_t i = 0, k = 0; i < s->n && k < n;) {
		common += s->bins[i].key == from[k].key;
		int32_t at = s->bins[i].key;
		i += at <= from[k].key;
		k += at >= from[k].key;
	}
	size_t total = s->n + n - common, to = total, i = s->n;
	if (!bins_reserve(s, total))
		return;
	while (n) {
		if (i && s->bins[i - 1].key > from[n - 1].key) {
			s->bins[--to] = s->bins[--i];
			continue;
		}
		struct slx_sketch_bin b = from[--n];
		if (i && s->bins[i - 1].key == b.key)
			b.n += s->bins[--i].n;
		s->bins[--to] = b;
	}
	s->n = total;
	collapse(s);
}

static int by_key(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

/* Keys that wait become bins. */
static void settle(struct slx_sketch *s)
{
	if (!s->keys_n)
		return;
	qsort(s->keys, s->keys_n, sizeof *s->keys, by_key);
	struct slx_sketch_bin *bins = slx_alloc(s->mem, SLX_MEM_QUERY, KEYS_MAX * sizeof *bins);
	size_t n = 0;
	if (!bins) {
		s->failed = true;
		return;
	}
	for (size_t i = 0; i < s->keys_n; i++) {
		if (n && bins[n - 1].key == s->keys[i])
			bins[n - 1].n++;
		else
			bins[n++] = (struct slx_sketch_bin){ s->keys[i], 1 };
	}
	s->keys_n = 0;
	add_bins(s, bins, n);
	slx_free(s->mem, SLX_MEM_QUERY, bins, KEYS_MAX * sizeof *bins);
}

void slx_sketch_add(struct slx_sketch *s, double v)
{
	if (isnan(v)) {
		s->nan++;
		return;
	}
	if (!s->keys && !(s->keys = slx_alloc(s->mem, SLX_MEM_QUERY, KEYS_MAX * sizeof *s->keys))) {
		s->failed = true;
		return;
	}
	s->keys_cap = KEYS_MAX;
	s->keys[s->keys_n++] = key_of(v);
	if (s->keys_n == KEYS_MAX)
		settle(s);
}

/* ---- bytes ---- */

void slx_sketch_put(struct slx_sketch *s, struct slx_buf *out)
{
	int64_t last = 0;
	settle(s);
	slx_buf_u8(out, FORMAT);
	slx_buf_varint(out, s->nan);
	slx_buf_varint(out, s->n);
	for (size_t i = 0; i < s->n; i++) {
		slx_buf_varint(out, slx_zigzag(s->bins[i].key - last));
		slx_buf_varint(out, s->bins[i].n - 1);
		last = s->bins[i].key;
	}
	out->failed = out->failed || s->failed;
}

/* One bin of foreign bytes; false: keys do not ascend within their bounds, or there are more values than fit a count. */
static bool get_bin(struct slx_rd *r, int64_t *key, bool first, uint64_t *room, struct slx_sketch_bin *ret)
{
	int64_t step = slx_unzigzag(slx_rd_varint(r));
	uint64_t more = slx_rd_varint(r);
	if (r->bad || step < -SLX_SKETCH_INF || step > 2 * SLX_SKETCH_INF || (!first && step <= 0) || more >= *room)
		return false;
	*key += step;
	*room -= more + 1;
	*ret = (struct slx_sketch_bin){ (int32_t)*key, more + 1 };
	return *key >= -SLX_SKETCH_INF && *key <= SLX_SKETCH_INF;
}

silex_status slx_sketch_merge(struct slx_sketch *s, const void *p, size_t n, silex_error *err)
{
	struct slx_rd r = slx_rd_init(p, n);
	int64_t key = 0;
	uint64_t room = UINT64_C(1) << 48;
	uint8_t format = slx_rd_u8(&r);
	uint64_t nan = slx_rd_varint(&r), bins = slx_rd_varint(&r);
	if (!r.bad && format != FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "sketch has format %u, this release reads %d: use a newer silex", format, FORMAT);
	if (r.bad || bins > SLX_SKETCH_BINS_MAX || nan > room || slx_rd_left(&r) < 2 * bins)
		return slx_err(err, SILEX_CORRUPT, "sketch of %zu bytes: the number of its bins does not fit", n);
	struct slx_sketch_bin *from = slx_alloc(s->mem, SLX_MEM_QUERY, bins * sizeof *from + 1);
	if (!from)
		return slx_err_oom(err);
	bool good = true;
	for (size_t i = 0; i < bins && good; i++)
		good = get_bin(&r, &key, i == 0, &room, &from[i]);
	good = good && slx_rd_left(&r) == 0;
	if (good) {
		settle(s);
		s->nan += nan;
		add_bins(s, from, (size_t)bins);
	}
	slx_free(s->mem, SLX_MEM_QUERY, from, bins * sizeof *from + 1);
	if (!good)
		return slx_err(err, SILEX_CORRUPT, "sketch, offset %zu: a bin is not well formed", (size_t)(r.p - (const uint8_t *)p));
	return s->failed ? slx_err_oom(err) : SILEX_OK;
}

/* ---- quantiles ---- */

/* The value of that rank, from 0. */
static double value_at(const struct slx_sketch *s, uint64_t rank)
{
	if (rank < s->nan)
		return (double)NAN;
	rank -= s->nan;
	for (size_t i = 0; i < s->n; i++) {
		if (rank < s->bins[i].n)
			return value_of(s->bins[i].key);
		rank -= s->bins[i].n;
	}
	return (double)NAN;
}

double slx_sketch_quantile(struct slx_sketch *s, double q)
{
	settle(s);
	uint64_t n = s->nan;
	for (size_t i = 0; i < s->n; i++)
		n += s->bins[i].n;
	if (n == 0 || isnan(q))
		return (double)NAN;
	if (q < 0 || q > 1)
		return q < 0 ? -(double)INFINITY : (double)INFINITY;
	double rank = q * (double)(n - 1), below = floor(rank), part = rank - below;
	double low = value_at(s, (uint64_t)below), high = value_at(s, (uint64_t)ceil(rank));
	return part == 0 || low == high ? low : low * (1 - part) + high * part;
}
