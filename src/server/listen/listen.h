/* Ways in other than HTTP: TCP listeners for line protocol and Graphite plaintext (libuv), and a subscriber of MQTT brokers
 * (libmosquitto). Each takes what the configuration names; none is on unless set. */
#ifndef SLX_SERVER_LISTEN_H
#define SLX_SERVER_LISTEN_H

#include "server/core/core.h"
#include "server/intake/intake.h"

struct slx_listen;

/* INVALID "file:line: ..." when what the configuration says of MQTT cannot be used. */
silex_status slx_listen_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);

/* Starts what core's configuration names. intake must outlive it. UNAVAILABLE: an address is in use. */
silex_status slx_listen_start(struct slx_core *core, struct slx_intake *intake, struct slx_listen **ret, silex_error *err);
void slx_listen_stop(struct slx_listen *l); /* what was read is stored first; NULL is fine */

#endif
