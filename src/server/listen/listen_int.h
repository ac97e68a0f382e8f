/* Inside of the listen room. */
#ifndef SLX_SERVER_LISTEN_INT_H
#define SLX_SERVER_LISTEN_INT_H

#include "server/ingest/sink.h"
#include "server/listen/listen.h"

int64_t slx_listen_now(struct slx_core *core); /* wall clock, ns */

struct slx_tcp;
silex_status slx_tcp_start(struct slx_core *core, struct slx_intake *intake, struct slx_tcp **ret, silex_error *err); /* NULL: nothing to do */
void slx_tcp_stop(struct slx_tcp *t);

struct slx_mqtt;
silex_status slx_mqtt_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);
silex_status slx_mqtt_start(struct slx_core *core, struct slx_intake *intake, struct slx_mqtt **ret, silex_error *err); /* NULL: nothing to do */
void slx_mqtt_stop(struct slx_mqtt *m);

#endif
