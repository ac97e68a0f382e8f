/* Native histograms: one sample's distribution, as Prometheus 3 has it (sparse, exponential or custom buckets).
 * Source: Prometheus "Native Histograms" specification; model/histogram of the wire formats remote write 1.0 and 2.0.
 *
 * Buckets are given by spans: a span skips `offset` bucket indexes (the first from 0, may be negative) and then holds
 * `length` buckets in a row. Bucket i of an exponential schema s covers (base^(i-1), base^i], base = 2^(2^-s); with
 * schema SLX_HISTOGRAM_CUSTOM the bounds are `custom`, ascending, the last bucket open to +Inf, and there is neither a zero
 * bucket nor a negative side. Counts are absolute doubles here, whatever the wire had; `integer` remembers that all were
 * whole (a histogram of counts), so that it is handed on as it came. */
#ifndef SLX_MODEL_HISTOGRAM_H
#define SLX_MODEL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>

enum {
	SLX_HISTOGRAM_CUSTOM = -53, /* schema of custom buckets (NHCB) */
	SLX_HISTOGRAM_SCHEMA_MIN = -4,
	SLX_HISTOGRAM_SCHEMA_MAX = 8,
	SLX_HISTOGRAM_BUCKETS_MAX = 16384, /* of one side; foreign ones with more are INVALID */
};

enum slx_histogram_reset { SLX_RESET_UNKNOWN, SLX_RESET_YES, SLX_RESET_NO, SLX_RESET_GAUGE }; /* counter reset hint */

struct slx_span {
	int32_t offset;
	uint32_t length;
};

struct slx_histogram {
	int8_t schema;
	bool integer;
	uint8_t reset; /* enum slx_histogram_reset */
	double zero_threshold, zero_count;
	double count, sum; /* a stale marker is a histogram whose sum has the bits SLX_STALE_NAN */
	const struct slx_span *positive_spans, *negative_spans;
	uint32_t positive_spans_n, negative_spans_n;
	const double *positive, *negative; /* counts, span after span */
	uint32_t positive_n, negative_n;
	const double *custom;
	uint32_t custom_n;
	int64_t start; /* start timestamp, ns; 0: none */
};

/* INVALID says what is wrong: lengths that do not add up, bounds that do not ascend, a schema outside the list,
 * negative counts, too many buckets. Foreign histograms pass through here before they are stored. */
silex_status slx_histogram_check(const struct slx_histogram *h, silex_error *err);

/* Canonical bytes, as they lie in tails, the log and chunks: equal histograms have equal bytes. Appends to out. */
void slx_histogram_encode(const struct slx_histogram *h, struct slx_buf *out);
/* CORRUPT names the offset. Arrays come from the arena; nothing points into p. */
silex_status slx_histogram_decode(const uint8_t *p, size_t n, struct slx_arena *a, struct slx_histogram *ret, silex_error *err);

#endif
