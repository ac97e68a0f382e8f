/* The server's own metrics and their text form (Prometheus exposition format 0.0.4).
 *
 * A metric is registered once, at start, with its labels fixed; counting is one relaxed atomic addition. What is known elsewhere
 * is read when /metrics is asked for: a callback for one number, a collector for many. Metrics of one name are written together,
 * in the order of their names. All functions accept a NULL metric (memory ran out at registration). */
#ifndef SLX_SERVER_CORE_METRICS_H
#define SLX_SERVER_CORE_METRICS_H

#include "base/buf.h"
#include "base/mem.h"
#include "model/labels.h"

#include <stdatomic.h>

struct slx_metrics;
struct slx_metric;

enum slx_metric_type { SLX_COUNTER, SLX_GAUGE, SLX_HISTOGRAM };

silex_status slx_metrics_new(struct slx_mem *m, struct slx_metrics **ret, silex_error *err);
void slx_metrics_free(struct slx_metrics *m);

/* name "silex_http_requests_total", labels `code="200",method="get"` or "" (as written: escape values), all copied. The same name and
 * labels twice give the same metric. */
struct slx_metric *slx_metrics_counter(struct slx_metrics *m, const char *name, const char *help, const char *labels);
struct slx_metric *slx_metrics_gauge(struct slx_metrics *m, const char *name, const char *help, const char *labels);
/* bounds: n ascending upper bounds, +Inf is added. n 0: 0.001 .. 30 s in steps of about 3. */
struct slx_metric *slx_metrics_histogram(struct slx_metrics *m, const char *name, const char *help, const char *labels, const double *bounds, size_t n);

void slx_metric_add(struct slx_metric *c, uint64_t n); /* counter */
void slx_metric_set(struct slx_metric *g, double v);   /* gauge */
void slx_metric_move(struct slx_metric *g, double by); /* gauge */
void slx_metric_observe(struct slx_metric *h, double v);
double slx_metric_value(const struct slx_metric *c); /* counter or gauge */

/* read is called for every exposition, on the thread that asks. */
void slx_metrics_callback(struct slx_metrics *m, enum slx_metric_type type, const char *name, const char *help, const char *labels,
	double (*read)(void *ctx), void *ctx);

/* Many at once, or with labels that come and go: collect calls slx_metrics_emit. Emit a name's samples one after the other, with
 * names that nothing else registers. */
struct slx_metrics_writer;
void slx_metrics_collector(struct slx_metrics *m, void (*collect)(void *ctx, struct slx_metrics_writer *w), void *ctx);
void slx_metrics_emit(struct slx_metrics_writer *w, enum slx_metric_type type, const char *name, const char *help, const char *labels, double v);

/* Appends the exposition. */
void slx_metrics_write(struct slx_metrics *m, struct slx_buf *out);

#endif
