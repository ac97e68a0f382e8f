/* What every part of the server shares: configuration, log, metrics, the database, the queries that run. */
#ifndef SLX_SERVER_CORE_H
#define SLX_SERVER_CORE_H

#include "api/api.h"
#include "base/mem.h"
#include "server/core/config.h"
#include "server/core/log.h"
#include "server/core/metrics.h"
#include "server/core/queries.h"

#include <stdatomic.h>

enum { SLX_CORE_HOOKS_MAX = 16 };

struct slx_core {
	struct slx_mem *mem;  /* the server's own account: requests, answers, small things. The database has its own (slx_api_mem) with the
	                       * memory limit; what requests hold is bounded by http.upload_memory, which that limit leaves room for */
	silex_db *_Atomic db; /* NULL while replaying */
	struct slx_config *_Atomic config; /* the one in force; old ones live until the end */
	struct slx_log *log;
	struct slx_metrics *metrics;
	struct slx_queries queries;
	_Atomic bool draining;
	int64_t started_ns; /* wall clock */
	struct {
		void (*fn)(void *ctx, const struct slx_config *now);
		void *ctx;
	} on_reload[SLX_CORE_HOOKS_MAX]; /* set before serving begins */
	size_t on_reload_n;
	silex_status (*reload)(struct slx_core *core, silex_error *err); /* what SIGHUP and /-/reload do; any thread */
};

/* fn is called after a reload brought a new configuration. Before serving begins. */
void slx_core_on_reload(struct slx_core *core, void (*fn)(void *ctx, const struct slx_config *now), void *ctx);

static inline const struct slx_config *slx_core_config(struct slx_core *core) { return atomic_load_explicit(&core->config, memory_order_acquire); }
static inline silex_db *slx_core_db(struct slx_core *core) { return atomic_load_explicit(&core->db, memory_order_acquire); }

#endif
