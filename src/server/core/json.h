/* JSON as answers have it: Prometheus' HTTP API and what is like it.
 *
 * Values are strings printed as Go's strconv does ("0.1", "1e-07", "+Inf"), times are seconds with no decimals or three,
 * histograms are objects of count, sum and buckets. Everything appends to a slx_buf; errors stick there. */
#ifndef SLX_SERVER_CORE_JSON_H
#define SLX_SERVER_CORE_JSON_H

#include "base/buf.h"
#include "model/histogram.h"
#include "model/labels.h"

#define SLX_JSON_LITERAL(b, text) slx_buf_put(b, text, sizeof(text) - 1)

void slx_json_text(struct slx_buf *b, struct slx_str s); /* "s", escaped; bytes that are not UTF-8 become U+FFFD */
void slx_json_labels(struct slx_buf *b, struct slx_labels l); /* {"__name__":"up","job":"a"} */
void slx_json_time(struct slx_buf *b, int64_t ms); /* 1435781451.781, 1435781451, -0.500 */
void slx_json_value(struct slx_buf *b, double v); /* "0.1", with the quotes */
void slx_json_u64(struct slx_buf *b, uint64_t v);
void slx_json_histogram(struct slx_buf *b, const struct slx_histogram *h);

/* [1435781451.781,"1"] for every point, commas between; t and v are stride bytes apart from element to element. */
void slx_json_points(struct slx_buf *b, const int64_t *t, const double *v, size_t stride, size_t n);

#endif
