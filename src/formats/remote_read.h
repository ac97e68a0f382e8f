/* Prometheus remote read: the request (prometheus.ReadRequest) taken apart, the answer of type SAMPLES (prometheus.ReadResponse) put
 * together. Both travel as snappy blocks, which is the caller's business. Source: prometheus/remote.proto and types.proto. */
#ifndef SLX_FORMATS_REMOTE_READ_H
#define SLX_FORMATS_REMOTE_READ_H

#include "formats/protobuf.h"
#include "model/histogram.h"
#include "model/matcher.h"

enum { SLX_RR_QUERIES_MAX = 64 };

struct slx_rr_query {
	int64_t start_ms, end_ms; /* both included */
	struct slx_selector selector;
};

struct slx_rr_request {
	struct slx_rr_query query[SLX_RR_QUERIES_MAX];
	size_t n;
	bool wants_samples; /* SAMPLES is among the types accepted, or nothing was said */
};

/* INVALID: broken bytes (with the offset), a matcher that cannot be, too many queries. Free in any case. */
silex_status slx_rr_read(struct slx_mem *m, const void *p, size_t n, struct slx_rr_request *ret, silex_error *err);
void slx_rr_free(struct slx_rr_request *r);

/* One TimeSeries while it is written: begin, samples, end. Reusable. */
struct slx_rr_series {
	struct slx_buf body;
	struct slx_buf part;
};
void slx_rr_series_init(struct slx_rr_series *s, struct slx_mem *m);
void slx_rr_series_free(struct slx_rr_series *s);
void slx_rr_series_begin(struct slx_rr_series *s, struct slx_labels l);
void slx_rr_series_float(struct slx_rr_series *s, int64_t t_ms, double v);
void slx_rr_series_histogram(struct slx_rr_series *s, int64_t t_ms, const struct slx_histogram *h);
/* Appends the series to a QueryResult. */
void slx_rr_series_end(struct slx_rr_series *s, struct slx_buf *result);
/* Appends the result to the ReadResponse: one for each query, in their order. */
void slx_rr_put_result(const struct slx_buf *result, struct slx_buf *response);

#endif
