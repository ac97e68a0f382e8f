/* The page at /: the files of web/dist, embedded. */
#ifndef SLX_SERVER_WEB_H
#define SLX_SERVER_WEB_H

#include "server/http/http.h"

/* Adds "/", "/graph" (where links made for Prometheus lead) and "/assets/". Before the listener starts; core must outlive it.
 * The page is served while the log is replayed, too, and to everyone: it holds no data. */
void slx_web_routes(struct slx_http *h, struct slx_core *core);

#endif
