/* OTLP's deltas become cumulative: the running sum of each series, kept in memory for a bounded number of series. When there are
 * more, the series that was told of longest ago is forgotten and begins again at its next delta (which queries see as a counter
 * reset). A delta that does not come after the last one of its series is refused. After a restart sums begin anew. */
#ifndef SLX_SERVER_OTLP_DELTA_H
#define SLX_SERVER_OTLP_DELTA_H

#include "base/hash.h"
#include "base/mem.h"
#include "model/histogram.h"

struct slx_otlp_deltas; /* thread-safe */

silex_status slx_otlp_deltas_new(struct slx_mem *m, uint64_t series_max, struct slx_otlp_deltas **ret, silex_error *err);
void slx_otlp_deltas_free(struct slx_otlp_deltas *d); /* NULL is fine */

/* Adds n numbers to those kept for key and writes the sums over v. layout: what the numbers mean (bounds of buckets); when it differs from
 * the last time, the sums begin anew. INVALID: time is not after the last one's; RESOURCE_EXHAUSTED: no memory. */
silex_status slx_otlp_delta_add(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, double *v, size_t n, const double *layout,
	size_t n_layout, silex_error *err);
/* The same for a native histogram; *ret lies in the arena. */
silex_status slx_otlp_delta_histogram(struct slx_otlp_deltas *d, struct slx_hash128 key, uint64_t time, const struct slx_histogram *h,
	struct slx_arena *a, const struct slx_histogram **ret, silex_error *err);

#endif
