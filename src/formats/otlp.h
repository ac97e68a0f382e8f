/* OTLP metrics: the messages of opentelemetry-proto (metrics/v1, version 1.x), from protobuf or JSON to one tree.
 *
 * Strings point into the request where it has them plain, else into the arena, as the tree does. Times are nanoseconds since the
 * epoch as the wire has them (unsigned; 0: not given). Unknown fields are skipped. Limits: nesting of values of 32, and memory_max bytes of arena. */
#ifndef SLX_FORMATS_OTLP_H
#define SLX_FORMATS_OTLP_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/labels.h"

/* An attribute; values that are not text are written out as text: numbers, true, lists and maps as JSON, bytes as base64. */
struct slx_otlp_attribute {
	struct slx_str key, value;
};

struct slx_otlp_attributes {
	struct slx_otlp_attribute *p;
	size_t n;
};

struct slx_otlp_exemplar {
	struct slx_otlp_attributes attributes;
	uint64_t time;
	double value;
	struct slx_str trace_id, span_id; /* hexadecimal; empty: none */
};

struct slx_otlp_buckets {
	int32_t offset;
	uint64_t *counts;
	size_t n;
};

struct slx_otlp_quantile {
	double quantile, value;
};

/* One data point of any type; what its type does not have is zero. */
struct slx_otlp_point {
	struct slx_otlp_attributes attributes;
	uint64_t start, time;
	bool no_value; /* flag "no recorded value" */
	double value;  /* gauge and sum */
	uint64_t count;
	bool has_sum;
	double sum;
	uint64_t *counts; /* explicit histogram: n_bounds + 1 of them */
	size_t n_counts;
	double *bounds;
	size_t n_bounds;
	int32_t scale; /* exponential histogram */
	uint64_t zero_count;
	double zero_threshold;
	struct slx_otlp_buckets positive, negative;
	struct slx_otlp_quantile *quantiles; /* summary */
	size_t n_quantiles;
	struct slx_otlp_exemplar *exemplars;
	size_t n_exemplars;
};

enum slx_otlp_type { SLX_OTLP_NONE, SLX_OTLP_GAUGE, SLX_OTLP_SUM, SLX_OTLP_HISTOGRAM, SLX_OTLP_EXPONENTIAL, SLX_OTLP_SUMMARY };
enum slx_otlp_temporality { SLX_OTLP_UNSPECIFIED, SLX_OTLP_DELTA, SLX_OTLP_CUMULATIVE };

struct slx_otlp_metric {
	struct slx_str name, description, unit;
	enum slx_otlp_type type;
	enum slx_otlp_temporality temporality;
	bool monotonic;
	struct slx_otlp_point *points;
	size_t n_points;
};

struct slx_otlp_scope {
	struct slx_str name, version;
	struct slx_otlp_metric *metrics;
	size_t n_metrics;
};

struct slx_otlp_resource {
	struct slx_otlp_attributes attributes;
	struct slx_otlp_scope *scopes;
	size_t n_scopes;
};

struct slx_otlp_request {
	struct slx_otlp_resource *resources;
	size_t n_resources;
};

/* INVALID: names the byte offset (protobuf), or line and column or the member (JSON), and what was expected; also when the tree
 * would be larger than memory_max. RESOURCE_EXHAUSTED: out of memory. */
silex_status slx_otlp_decode_protobuf(struct slx_arena *a, size_t memory_max, struct slx_str body, struct slx_otlp_request *ret, silex_error *err);
silex_status slx_otlp_decode_json(struct slx_arena *a, size_t memory_max, struct slx_str body, struct slx_otlp_request *ret, silex_error *err);

/* ExportMetricsServiceResponse; rejected 0 and no message: empty. */
void slx_otlp_encode_response(struct slx_buf *out, bool json, uint64_t rejected, const char *message);
/* google.rpc.Status, the body of an error. */
void slx_otlp_encode_status(struct slx_buf *out, bool json, int code, const char *message);

#endif
