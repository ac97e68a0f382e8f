/* Inside of server/. */
#ifndef SLX_SERVER_SERVER_INT_H
#define SLX_SERVER_SERVER_INT_H

#include "server/core/core.h"
#include "server/http/http.h"
#include "server/server.h"

/* ---- routes.c: the rooms in the order of their lives ---- */

struct slx_server_rooms; /* what each room keeps */

/* What a configuration says to the rooms is good, too: before it is taken. INVALID "file:line: ...". */
silex_status slx_server_rooms_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);

/* Before the listener starts: contexts and routes. The database is not open yet. */
silex_status slx_server_rooms_new(struct slx_core *core, struct slx_http *http, struct slx_server_rooms **ret, silex_error *err);
/* The database is open: what needs it begins, other listeners too. */
silex_status slx_server_rooms_open(struct slx_server_rooms *r, silex_error *err);
/* The server ends: nothing comes in any more but by HTTP, which is drained after this. */
void slx_server_rooms_stop(struct slx_server_rooms *r);
/* No handler runs any more; the database is still open. */
void slx_server_rooms_free(struct slx_server_rooms *r);

/* ---- stores.c ---- */

enum { SLX_SERVER_STORE_TYPES = 1 };
extern const silex_store_type *const slx_server_store_types[SLX_SERVER_STORE_TYPES];
silex_status slx_server_stores_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);

/* ---- retention.c ---- */

silex_status slx_server_retention_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);
/* Gives the configuration's rules to the database, where they are kept. */
silex_status slx_server_retention_apply(struct slx_mem *m, silex_db *db, const struct slx_config *c, silex_error *err);

/* ---- rollups.c ---- */

silex_status slx_server_rollups_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);
/* Makes the configuration's policies those of the database. */
silex_status slx_server_rollups_apply(struct slx_mem *m, silex_db *db, const struct slx_config *c, silex_error *err);

/* ---- status.c: /-/healthy and the like, /metrics ---- */

struct slx_server_status {
	struct slx_core *core;
	struct slx_http *http;
};
void slx_server_status_routes(struct slx_server_status *s);
void slx_server_status_metrics(struct slx_core *core);

/* ---- notify.c ---- */

/* Tells systemd (sd_notify(3)): "READY=1". Does nothing without NOTIFY_SOCKET. */
void slx_notify(const char *state);

#endif
