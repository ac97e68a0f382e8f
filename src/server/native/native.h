/* Silex' own HTTP API, under /api/silex/v1/ (docs/protocols/native-api.md, docs/openapi.yaml), the live stream
 * (docs/protocols/stream.md), and /api/v1/export, the way out that other tools know. */
#ifndef SLX_SERVER_NATIVE_H
#define SLX_SERVER_NATIVE_H

#include "server/backup/backup.h"
#include "server/http/http.h"
#include "server/intake/intake.h"

struct slx_native;

/* Rules in PromQL, as server/rules has them (server/rules/rules.h): handed in once they are evaluated. */
struct slx_native_rules {
	silex_status (*add)(void *ctx, struct slx_str tenant, struct slx_str group, uint64_t *ret_id, silex_error *err);
	silex_status (*remove)(void *ctx, struct slx_str tenant, uint64_t id, silex_error *err);
	void (*list)(void *ctx, struct slx_str tenant, uint64_t id, bool (*each)(void *arg, uint64_t id, struct slx_str group), void *arg);
	void *ctx;
};

silex_status slx_native_new(struct slx_core *core, struct slx_native **ret, silex_error *err);
/* Before the listener starts; n must outlive it. */
void slx_native_routes(struct slx_http *h, struct slx_native *n);
/* The database is open: writes and streams begin. The intake must outlive the handlers. */
silex_status slx_native_open(struct slx_native *n, struct slx_intake *intake, silex_error *err);
/* Silences or acknowledgements changed. Any thread. */
void slx_native_silences_changed(struct slx_native *n);
/* The database is open. b must outlive the handlers. */
void slx_native_set_backups(struct slx_native *n, struct slx_backups *b);
void slx_native_set_rules(struct slx_native *n, const struct slx_native_rules *r); /* r outlives the handlers */
void slx_native_stop(struct slx_native *n); /* no stream reads the database any more */
void slx_native_free(struct slx_native *n); /* after the listener; NULL is fine */

#endif
