/* For rooms above the C API: what is inside a silex_db. */
#ifndef SLX_API_API_H
#define SLX_API_API_H

#include "engine/engine.h"
#include "query/query.h"
#include "rules/silence/silence.h"
#include "rules/watch/watch.h"

#include <silex/silex.h>

struct slx_engine *slx_api_engine(silex_db *db);
struct slx_querier *slx_api_querier(silex_db *db);
struct slx_mem *slx_api_mem(silex_db *db);
struct slx_alerts *slx_api_alerts(silex_db *db);
struct slx_silences *slx_api_silences(silex_db *db);
struct slx_watch *slx_api_watch(silex_db *db); /* NULL: the database is open read-only */

/* silex_open, but rules on arrival tell nothing before slx_watch_go: whoever listens comes between. */
silex_status slx_api_open(const char *path, const silex_options *o, silex_db **ret_db, silex_error *err);

#endif
