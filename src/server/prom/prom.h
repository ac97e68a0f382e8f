/* Prometheus' HTTP API (docs/protocols/prometheus-api.md): queries, series and labels, metadata, status, administration,
 * federation. Answers are Prometheus 3's, byte by byte where clients could tell. */
#ifndef SLX_SERVER_PROM_H
#define SLX_SERVER_PROM_H

#include "rules/group/rules.h"
#include "server/http/http.h"

/* The Prometheus whose answers these are; what status/buildinfo says. */
#define SLX_PROM_VERSION "3.14.0"

/* Who scrapes tells what it scrapes. Both append the JSON of the answer's `data`; any thread. */
struct slx_prom_targets {
	/* {"activeTargets":[...],"droppedTargets":[...],"droppedTargetCounts":{...}}; state: "active", "dropped", "any" or "". */
	void (*targets)(void *ctx, struct slx_str state, struct slx_str scrape_pool, struct slx_buf *out);
	/* [{"target":{...},"metric":"","type":"","help":"","unit":""}, ...]; limit 0: none. */
	void (*metadata)(void *ctx, struct slx_str match_target, struct slx_str metric, uint64_t limit, struct slx_buf *out);
	void *ctx;
};

/* Who evaluates rules tells what they are and what they found. Both append the JSON of the answer's `data`; any thread. */
struct slx_prom_rules {
	void (*rules)(void *ctx, struct slx_str tenant, const struct slx_rules_filter *f, struct slx_buf *out);
	void (*alerts)(void *ctx, struct slx_str tenant, struct slx_buf *out);
	void *ctx;
};

struct slx_prom;

silex_status slx_prom_new(struct slx_core *core, struct slx_prom **ret, silex_error *err);
void slx_prom_free(struct slx_prom *p); /* after the listener; NULL is fine */
/* Before serving begins. t is kept; without it there are no targets. */
void slx_prom_set_targets(struct slx_prom *p, const struct slx_prom_targets *t);
/* The same for rules. */
void slx_prom_set_rules(struct slx_prom *p, const struct slx_prom_rules *r);
/* Before the listener starts; p must outlive it. */
void slx_prom_routes(struct slx_http *h, struct slx_prom *p);

#endif
