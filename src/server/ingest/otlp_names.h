/* Names of OpenTelemetry as Prometheus writes them: metric and label names, units as suffixes.
 * Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility"; the behaviour of Prometheus 3's OTLP receiver. */
#ifndef SLX_SERVER_OTLP_NAMES_H
#define SLX_SERVER_OTLP_NAMES_H

#include "formats/otlp.h"

enum slx_otlp_translation {
	SLX_OTLP_UNDERSCORES_SUFFIXES, /* http.server.duration, unit s -> http_server_duration_seconds */
	SLX_OTLP_UNDERSCORES,          /* -> http_server_duration */
	SLX_OTLP_UTF8_SUFFIXES,        /* -> http.server.duration_seconds */
	SLX_OTLP_AS_IS,                /* -> http.server.duration */
};

bool slx_otlp_translation_parse(const char *name, enum slx_otlp_translation *ret); /* names as in the configuration */

/* Appends the name of a metric, or of a label. */
void slx_otlp_metric_name(enum slx_otlp_translation t, const struct slx_otlp_metric *m, struct slx_buf *out);
void slx_otlp_label_name(enum slx_otlp_translation t, struct slx_str name, struct slx_buf *out);
/* The unit in words ("By/s" -> "bytes_per_second"); nothing for none. */
void slx_otlp_unit_name(struct slx_str unit, struct slx_buf *out);

#endif
