#include "api/api.h"

#include "api/api_int.h"

struct slx_engine *slx_api_engine(silex_db *db) { return db->engine; }
struct slx_querier *slx_api_querier(silex_db *db) { return db->querier; }
struct slx_mem *slx_api_mem(silex_db *db) { return db->mem; }
struct slx_alerts *slx_api_alerts(silex_db *db) { return db->alerts; }
struct slx_silences *slx_api_silences(silex_db *db) { return db->silences; }
struct slx_watch *slx_api_watch(silex_db *db) { return db->watch; }
