/* The ways in over HTTP: each protocol's endpoints on top of intake. Handlers are given the room's context as ctx. */
#ifndef SLX_SERVER_INGEST_H
#define SLX_SERVER_INGEST_H

#include "server/http/http.h"
#include "server/intake/intake.h"

struct slx_otlp_deltas;

struct slx_ingest {
	struct slx_core *core;
	struct slx_intake *_Atomic intake; /* NULL while replaying */
	struct slx_otlp_deltas *deltas;    /* running sums of OTLP's deltas */
};

/* Before the routes are added; core lives longer. */
silex_status slx_ingest_init(struct slx_ingest *i, struct slx_core *core, silex_error *err);
/* The database is open: requests are taken from now on. The intake is the caller's, and lives until no handler runs. */
void slx_ingest_open(struct slx_ingest *i, struct slx_intake *intake);
void slx_ingest_free(struct slx_ingest *i); /* no handler runs any more */

/* Routes of each protocol, for slx_http_add; i must outlive the listener. */
void slx_ingest_routes(struct slx_http *h, struct slx_ingest *i);

#endif
