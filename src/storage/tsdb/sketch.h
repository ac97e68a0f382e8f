/* A sketch of many numbers that answers quantiles: counts of values in bins whose borders grow by 2 % each, so that every value is
 * known to a relative error of SLX_SKETCH_ERROR. Sketches of parts add up to exactly the sketch of the whole.
 * Source: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.
 *
 * A bin's key has the sign of its values and orders as they do: 0 is zero itself, +-(index + bias) the rest, +-SLX_SKETCH_INF the
 * infinities. NaN is counted apart. docs/format/rollup.md has the bytes. One thread. */
#ifndef SLX_TSDB_SKETCH_H
#define SLX_TSDB_SKETCH_H

#include "base/buf.h"

#include <silex/status.h>

#define SLX_SKETCH_ERROR 0.01

enum {
	SLX_SKETCH_BINS_MAX = 4096, /* values of 35 orders of magnitude; beyond that the lowest are put together */
	SLX_SKETCH_BIAS = 40000,
	SLX_SKETCH_INF = 100000,
};

struct slx_sketch_bin {
	int32_t key;
	uint64_t n;
};

struct slx_sketch {
	struct slx_mem *mem;
	struct slx_sketch_bin *bins; /* keys ascending */
	size_t n, cap;
	int32_t *keys; /* of values that are not in bins yet */
	size_t keys_n, keys_cap;
	uint64_t nan;
	bool failed; /* out of memory; until the next clear */
};

void slx_sketch_init(struct slx_sketch *s, struct slx_mem *m);
void slx_sketch_free(struct slx_sketch *s);
void slx_sketch_clear(struct slx_sketch *s);

void slx_sketch_add(struct slx_sketch *s, double v);
/* Appends the sketch. */
void slx_sketch_put(struct slx_sketch *s, struct slx_buf *out);
/* Adds what put made: CORRUPT when it is not well formed, and s is unchanged. */
silex_status slx_sketch_merge(struct slx_sketch *s, const void *p, size_t n, silex_error *err);
/* The q-quantile as Prometheus defines it (rank q * (count - 1), linear between neighbours, NaN least); NaN when there is nothing. */
double slx_sketch_quantile(struct slx_sketch *s, double q);

#endif
