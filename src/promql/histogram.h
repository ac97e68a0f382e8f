/* Mathematics of native histograms, as Prometheus 3 does it (private to promql/, and for who writes them out: buckets).
 *
 * A histogram of samples is read-only (struct slx_histogram). Sums and differences are built in a struct slx_pq_hist, whose
 * sides are lists of (bucket index, count) in order, with a compensation beside each count:
 *
 *     init with the first -> add, subtract, scale -> finish: a compact struct slx_histogram in the arena
 *
 * Where two differ they are brought together: the coarser schema wins (2^k buckets of the finer one fall into each);
 * the zero bucket grows until its threshold cuts no populated bucket of either; custom bounds are cut to those in both. Nothing is
 * locked: one thread each. */
#ifndef SLX_PROMQL_HISTOGRAM_H
#define SLX_PROMQL_HISTOGRAM_H

#include "model/histogram.h"
#include "promql/kahan.h"

struct slx_pq_hside {
	int32_t *index; /* ascending */
	struct slx_pq_kahan *count;
	uint32_t n, cap;
};

struct slx_pq_hist {
	struct slx_arena *arena;
	int8_t schema;
	uint8_t reset; /* enum slx_histogram_reset */
	uint8_t seen;  /* hints of all that went in, a bit each */
	bool failed;   /* out of memory: finish gives NULL */
	double zero_threshold;
	struct slx_pq_kahan zero_count, count, sum;
	struct slx_pq_hside positive, negative;
	const double *custom;
	uint32_t custom_n;
};

/* What an operation found; flags to be or-ed over many. */
enum {
	SLX_PQ_HIST_INCOMPATIBLE = 1, /* custom against exponential buckets: nothing was done */
	SLX_PQ_HIST_RECONCILED = 2,   /* custom bounds differed */
	SLX_PQ_HIST_COLLISION = 4,    /* a reset and a "no reset" have gone in; the hint is unknown */
};

void slx_pq_hist_init(struct slx_pq_hist *w, struct slx_arena *a, const struct slx_histogram *h);
unsigned slx_pq_hist_add(struct slx_pq_hist *w, const struct slx_histogram *h);
unsigned slx_pq_hist_subtract(struct slx_pq_hist *w,
	const struct slx_histogram *h); /* hints go as for add; the `-` operator sets GAUGE after it */
void slx_pq_hist_multiply(struct slx_pq_hist *w, double by);    /* a negative factor makes it a gauge */
void slx_pq_hist_divide(struct slx_pq_hist *w, double by);      /* by 0: no buckets are left */
void slx_pq_hist_coarsen(struct slx_pq_hist *w, int8_t schema); /* nothing when it is as coarse already, or custom */
/* A sum, a count or a bucket is infinite. */
bool slx_pq_hist_overflows(const struct slx_pq_hist *w);
/* Without empty buckets; NULL when memory was out at any time. to: the result goes to another arena. */
const struct slx_histogram *slx_pq_hist_finish(struct slx_pq_hist *w);
const struct slx_histogram *slx_pq_hist_finish_to(struct slx_pq_hist *w, struct slx_arena *a);

/* h times a factor, in the arena; NULL when memory is out. */
const struct slx_histogram *slx_pq_histogram_scale(struct slx_arena *a, const struct slx_histogram *h, double by);

/* What lies below x or above it, in the arena or h itself; NULL when memory is out. */
const struct slx_histogram *slx_pq_hist_trim(struct slx_arena *a, const struct slx_histogram *h, double x, bool below);

static inline bool slx_pq_hist_custom(const struct slx_histogram *h) { return h->schema == SLX_HISTOGRAM_CUSTOM; }

/* Is there a counter reset between two histograms in a row? Hints of the later one decide when it has them. */
bool slx_pq_hist_is_reset(const struct slx_histogram *now, const struct slx_histogram *before);
/* The same buckets with the same bits (hints aside). */
bool slx_pq_hist_equal(const struct slx_histogram *a, const struct slx_histogram *b);

/* What a quantile or fraction has to say about NaN observations. */
enum slx_pq_nan_note { SLX_PQ_NAN_NONE, SLX_PQ_NAN_RESULT, SLX_PQ_NAN_SKEW, SLX_PQ_NAN_FRACTION };

double slx_pq_hist_quantile(double q, const struct slx_histogram *h, enum slx_pq_nan_note *ret_note);
double slx_pq_hist_fraction(double lower, double upper, const struct slx_histogram *h, enum slx_pq_nan_note *ret_note);
double slx_pq_hist_variance(const struct slx_histogram *h);

/* ---- buckets with their bounds, empty ones too ---- */

struct slx_pq_bucket {
	double lower, upper, count;
	bool lower_inclusive, upper_inclusive;
};

struct slx_pq_side_iter {
	const struct slx_span *spans;
	const double *counts;
	uint32_t spans_n, n; /* left */
	uint32_t span, in_span, at;
	int32_t index;
};

struct slx_pq_buckets {
	const struct slx_histogram *h;
	bool backwards;
	int8_t stage; /* 0 first side, 1 zero bucket, 2 second side, 3 end */
	struct slx_pq_side_iter left, right;
};

/* All buckets from the lowest to the highest, or backwards. The zero bucket is among them when its count is above 0. */
struct slx_pq_buckets slx_pq_buckets(const struct slx_histogram *h, bool backwards);
bool slx_pq_buckets_next(struct slx_pq_buckets *it, struct slx_pq_bucket *ret);

/* One bucket of a side by its index, with this count. */
struct slx_pq_bucket slx_pq_hist_bucket(const struct slx_histogram *h, bool positive, int32_t index, double count);

/* Upper bound of a bucket by index (exponential schemas). */
double slx_pq_hist_bound(int8_t schema, int32_t index);

#endif
