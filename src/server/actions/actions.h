/* Actions: what happens when an alert changes its state.
 *
 *     rules -> journal (rules/alert) -> sink -+-> a line in the log
 *                                             +-> Alertmanagers   the current state, again and again   (alertmanager.c)
 *                                             +-> webhooks        every event, at least once, in order (webhook.c, outbox.c)
 *                                             +-> local commands  as long as the queue has room        (command.c)
 *
 * The sink takes a copy and returns: every receiver has threads of its own, so that a slow or dead one delays neither the others
 * nor writers. docs/operations.md, docs/protocols/webhook.md. */
#ifndef SLX_SERVER_ACTIONS_H
#define SLX_SERVER_ACTIONS_H

#include "rules/silence/silence.h"
#include "server/core/core.h"

struct slx_actions;

/* What the configuration says of alerting and notify is good. INVALID "file:line: ...". */
silex_status slx_actions_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);
/* Before rules run: becomes a sink of the database's alerts, takes up what the outbox still has. listen: for links when there is
 * no http.external_url. */
silex_status slx_actions_start(struct slx_core *core, struct slx_alerts *alerts, struct slx_silences *silences, const char *listen, struct slx_actions **ret, silex_error *err);
void slx_actions_reload(struct slx_actions *a);
/* Silences or acknowledgements changed, or the clock: receivers look again now. Any thread. */
void slx_actions_wake(struct slx_actions *a);
void slx_actions_stop(struct slx_actions *a); /* nothing is sent any more; NULL is fine */
void slx_actions_free(struct slx_actions *a); /* no event comes any more; NULL is fine */

#endif
