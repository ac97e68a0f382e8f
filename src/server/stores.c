/* The kinds of object stores that the program brings, and whether the urls of the configuration make sense to them. */
#include "server/server_int.h"
#include "storage/store/store.h"

const silex_store_type *const slx_server_store_types[SLX_SERVER_STORE_TYPES] = { &silex_s3_store };

/* Opening reaches out for nothing. Keys may come from an environment that is not here yet. */
silex_status slx_server_stores_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	const struct slx_store_env env = { .vfs = slx_vfs_posix(), .mem = m, .types = slx_server_store_types, .n_types = SLX_SERVER_STORE_TYPES,
		.read_only = true };
	const struct slx_yaml *y = c->stores ? c->stores->child : NULL;
	for (size_t i = 0; i < c->engine.n_stores && y; i++, y = y->next) {
		struct slx_store *s = NULL;
		silex_error e;
		silex_status st = slx_store_open(&env, &c->engine.stores[i], &s, &e);
		slx_store_close(s);
		if (st == SILEX_INVALID || st == SILEX_UNSUPPORTED)
			return slx_yaml_err(y, err, "%s", e.message);
	}
	return SILEX_OK;
}
