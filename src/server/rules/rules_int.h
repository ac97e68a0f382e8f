/* Inside of server/rules. */
#ifndef SLX_SERVER_RULES_INT_H
#define SLX_SERVER_RULES_INT_H

#include "server/rules/rules.h"

struct slx_server_rules {
	struct slx_core *core;
	struct slx_alerts *alerts;
	struct slx_rules *rules;
};

/* What is counted of groups and rules, for /metrics. */
void slx_server_rules_metrics(struct slx_server_rules *r);

#endif
