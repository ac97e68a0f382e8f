/* Inside of server/rules. */
#ifndef SLX_SERVER_RULES_INT_H
#define SLX_SERVER_RULES_INT_H

#include "base/clock.h"
#include "server/rules/rules.h"

struct slx_server_rules {
	struct slx_core *core;
	struct slx_alerts *alerts;
	struct slx_rules *rules;
	pthread_mutex_t lock;     /* one change of the set of rules at a time; */
	struct slx_api_rule *api; /* by id */
};

/* A rule that came by the API: a rule file of its own. */
struct slx_api_rule {
	struct slx_api_rule *next;
	uint64_t id;
	struct slx_str tenant, group; /* behind the struct; group: its JSON */
	struct slx_rule_file *file;
};

/* The files of the configuration and the rules of the API, from now on. Under the lock. */
silex_status slx_server_rules_take(struct slx_server_rules *r, silex_error *err);
silex_status slx_server_rules_load(struct slx_server_rules *r, silex_error *err); /* those of the journal */
void slx_server_rules_api_free(struct slx_server_rules *r);

/* What is counted of groups and rules, for /metrics. */
void slx_server_rules_metrics(struct slx_server_rules *r);

#endif
