/* Roll-up buckets: what is kept of the samples of one series in a window of time.
 *
 * Windows are PromQL's: a bucket of width w that ends at e (a multiple of w since the epoch, ms) has the samples of (e - w, e] by
 * their milliseconds, of several in one ms the last. Stale markers are no samples; they are counted. A bucket is a row of
 * columns, each an ordinary series in an internal tenant of its own, `<tenant>!<level>.<column>` ("ward!1h.sum"), with the labels of the
 * series it is about, at the time of the bucket's end (docs/format/rollup.md). So an average reads two columns, and what holds for samples
 * (log, blocks, codecs, retention) holds for buckets.
 *
 * Buckets that follow one another merge into what one bucket over both would be: counts and kin add up, variances by Chan, Golub,
 * LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979), a counter that is lower in the later
 * one was reset between them. */
#ifndef SLX_TSDB_ROLLUP_H
#define SLX_TSDB_ROLLUP_H

#include "model/model.h"
#include "storage/tsdb/scan.h"
#include "storage/tsdb/sketch.h"

enum slx_rollup_column {
	SLX_ROLLUP_N,      /* int64: samples; NOT_NUMBERS: histograms among them, the other columns say nothing */
	SLX_ROLLUP_SUM,    /* float64, this and the next ones: compensated */
	SLX_ROLLUP_MIN,    /* NaN only when all are */
	SLX_ROLLUP_MAX,
	SLX_ROLLUP_FIRST,  /* values */
	SLX_ROLLUP_LAST,
	SLX_ROLLUP_AT,     /* int64: when first and last were, and whether a stale marker came after (slx_rollup_at) */
	SLX_ROLLUP_DROP,   /* what the counter lost at resets: increase = last - first + drop */
	SLX_ROLLUP_M2,     /* sum of squared distances from the mean, which is sum / n */
	SLX_ROLLUP_SKETCH, /* bytes: varint stale markers, sketch (sketch.h) */
	SLX_ROLLUP_COLUMNS
};

enum {
	SLX_ROLLUP_NOT_NUMBERS = -1,                /* in N */
	SLX_ROLLUP_WIDTH_MIN = 1000,                /* ms */
	SLX_ROLLUP_WIDTH_MAX = 7 * 24 * 3600 * 1000, /* ms: both offsets fit SLX_ROLLUP_AT */
};

/* Whole seconds within the bounds: INVALID says so. */
silex_status slx_rollup_width_check(int64_t width_ms, silex_error *err);
/* A level by its width: "1m", "90s", "1h", "1d"; the length of the text. */
enum { SLX_ROLLUP_LEVEL_SIZE = 24 };
size_t slx_rollup_level(int64_t width_ms, char room[SLX_ROLLUP_LEVEL_SIZE]);
/* What the float columns of a bucket without samples have, and of one with histograms: quiet NaNs of our own. */
#define SLX_ROLLUP_VOID_BITS        UINT64_C(0x7ff8736c72766f69)
#define SLX_ROLLUP_NOT_NUMBERS_BITS UINT64_C(0x7ff8736c726e6f74)
/* The name of the tenant that keeps a column. */
enum { SLX_ROLLUP_TENANT_SIZE = SLX_TENANT_STORED_MAX + 1 };
struct slx_str slx_rollup_tenant(struct slx_str tenant, int64_t width_ms, enum slx_rollup_column c, char room[SLX_ROLLUP_TENANT_SIZE]);
/* Whether `stored` is such a name of that tenant; the width then. */
bool slx_rollup_tenant_of(struct slx_str stored, struct slx_str tenant, int64_t *ret_width_ms);

struct slx_rollup_bucket {
	int64_t end;  /* ms */
	int64_t n;    /* 0: no sample */
	double sum, comp, min, max, first, last, drop, mean, m2; /* comp: of the sum, while it is being made */
	int64_t first_at, last_at; /* ms */
	uint64_t stale;     /* markers */
	bool stale_last;    /* one came after the last sample */
	bool not_numbers;   /* histograms came by */
};

static inline double slx_rollup_sum(const struct slx_rollup_bucket *b) { return isfinite(b->sum) ? b->sum + b->comp : b->sum; }

/* When first and last were, as stored: ms before the end. */
int64_t slx_rollup_at(const struct slx_rollup_bucket *b);
/* false: not of a bucket of that width. */
bool slx_rollup_set_at(struct slx_rollup_bucket *b, int64_t at, int64_t width_ms);

/* *a becomes what a bucket over both is; b is the later one. */
void slx_rollup_merge(struct slx_rollup_bucket *a, const struct slx_rollup_bucket *b);

/* ---- making them ---- */

/* The end of the bucket that time t (ms) falls into. */
static inline int64_t slx_rollup_end(int64_t t, int64_t width)
{
	int64_t k = t / width, end = k * width;
	return end < t ? end + width : end;
}

/* The nanoseconds whose ms are in (from, to]; saturates. */
struct slx_time_range slx_rollup_range(int64_t from, int64_t to);
int64_t slx_rollup_ms(int64_t ns); /* rounded down */

/* Each bucket that has samples, markers or histograms, by time. sketch NULL: none was asked for. */
typedef silex_status slx_rollup_each_fn(void *arg, const struct slx_rollup_bucket *b, struct slx_sketch *sketch, silex_error *err);
/* Reads what the scan was started for (slx_rollup_range) to its end. sketch: work space, may be NULL. */
silex_status slx_rollup_fold(struct slx_scan *scan, int64_t width_ms, struct slx_sketch *sketch, slx_rollup_each_fn *each, void *arg, silex_error *err);

#endif
