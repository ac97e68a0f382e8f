/* Rule files in the server: which ones there are, read anew at a reload; lists of rules and alerts as Prometheus' HTTP API has them;
 * metrics. */
#ifndef SLX_SERVER_RULES_H
#define SLX_SERVER_RULES_H

#include "rules/group/rules.h"
#include "server/core/core.h"

struct slx_server_rules;

/* Every rule file that the configuration names is good. INVALID "file:line:column: ...". */
silex_status slx_server_rules_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);
/* The database is open, whoever is told of alerts listens: rules begin. */
silex_status slx_server_rules_start(struct slx_core *core, struct slx_server_rules **ret, silex_error *err);
void slx_server_rules_reload(struct slx_server_rules *r);
void slx_server_rules_stop(struct slx_server_rules *r); /* NULL is fine */
void slx_server_rules_free(struct slx_server_rules *r); /* NULL is fine */

/* ---- rules by the API (ctx: the struct slx_server_rules): group is a rule group of a rule file, in JSON ---- */

/* In force and durable. INVALID: as of a rule file. */
silex_status slx_server_rules_add(void *ctx, struct slx_str tenant, struct slx_str group, uint64_t *ret_id, silex_error *err);
silex_status slx_server_rules_remove(void *ctx, struct slx_str tenant, uint64_t id, silex_error *err); /* NOT_FOUND */
/* By id (0: all), until each returns false. Under the lock: no call back. */
void slx_server_rules_list(void *ctx, struct slx_str tenant, uint64_t id, bool (*each)(void *arg, uint64_t id, struct slx_str group), void *arg);

/* ---- JSON of the data of /api/v1/rules and /api/v1/alerts, appended (ctx: the struct slx_server_rules) ---- */

void slx_server_rules_json(void *ctx, struct slx_str tenant, const struct slx_rules_filter *f, struct slx_buf *out);
void slx_server_alerts_json(void *ctx, struct slx_str tenant, struct slx_buf *out);

#endif
