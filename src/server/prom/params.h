/* Parameters of Prometheus' HTTP API, read as Prometheus reads them (private to prom/). */
#ifndef SLX_SERVER_PROM_PARAMS_H
#define SLX_SERVER_PROM_PARAMS_H

#include "base/buf.h"
#include "model/model.h"

/* Milliseconds of the legal range of times. Everything that is given as a time is cut to it. */
#define SLX_PROM_MS_MIN (SLX_TIME_MIN / SLX_MS)
#define SLX_PROM_MS_MAX (SLX_TIME_MAX / SLX_MS)

/* Decimal seconds or RFC 3339. INVALID `cannot parse "x" to a valid timestamp`. */
silex_status slx_prom_parse_time(struct slx_str s, int64_t *ret_ms, silex_error *err);
/* Decimal seconds or a duration such as 1h30m, in ns. INVALID `cannot parse "x" to a valid duration`. */
silex_status slx_prom_parse_duration(struct slx_str s, int64_t *ret_ns, silex_error *err);
/* A whole number; 0, also for the empty text: no limit. */
silex_status slx_prom_parse_limit(struct slx_str s, uint64_t *ret, silex_error *err);
/* The name that U__ escapes stand for (as Prometheus' model.UnescapeName), appended to out; others as they are. */
void slx_prom_unescape_name(struct slx_str s, struct slx_buf *out);

#endif
