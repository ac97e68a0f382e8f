/* Inside of the ingest room. */
#ifndef SLX_SERVER_INGEST_INT_H
#define SLX_SERVER_INGEST_INT_H

#include "server/ingest/ingest.h"
#include "server/ingest/sink.h"

/* extra_label=name=value parameters as labels in the exchange's arena. INVALID names the parameter. */
silex_status slx_ingest_extra(struct slx_http_exchange *x, const struct slx_label **ret, size_t *ret_n, silex_error *err);

/* A batch for the exchange's tenant, of the past with ?backfill=1. UNAVAILABLE while the log is being replayed, else as slx_intake_begin. */
silex_status slx_ingest_begin(struct slx_ingest *i, struct slx_http_exchange *x, struct slx_intake_batch **ret, silex_error *err);
int64_t slx_ingest_now(struct slx_ingest *i); /* ns; the database is open */

/* What a failure that the client should try again is: true for memory, disk, draining. */
bool slx_ingest_is_retryable(silex_status st);

void slx_influx_routes(struct slx_http *h, struct slx_ingest *i);
void slx_import_routes(struct slx_http *h, struct slx_ingest *i);
void slx_otlp_routes(struct slx_http *h, struct slx_ingest *i);
void slx_remote_write_routes(struct slx_http *h, struct slx_ingest *i);

#endif
