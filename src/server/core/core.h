/* What every part of the server shares: configuration, log, metrics, the database. */
#ifndef SLX_SERVER_CORE_H
#define SLX_SERVER_CORE_H

#include "api/api.h"
#include "base/mem.h"
#include "server/core/config.h"
#include "server/core/log.h"
#include "server/core/metrics.h"

#include <stdatomic.h>

struct slx_core {
	struct slx_mem *mem;           /* the database's once it is open: one account, one limit */
	silex_db *_Atomic db;          /* NULL while replaying */
	struct slx_config *_Atomic config; /* the one in force; old ones live until the end */
	struct slx_log *log;
	struct slx_metrics *metrics;
	_Atomic bool draining;
	int64_t started_ns; /* wall clock */
};

#endif
