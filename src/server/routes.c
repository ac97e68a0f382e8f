/* The rooms of the server. Each has a line in every function below: made, opened, stopped, freed. */
#include "server/server_int.h"

struct slx_server_rooms {
	struct slx_core *core;
	struct slx_http *http;
};

silex_status slx_server_rooms_new(struct slx_core *core, struct slx_http *http, struct slx_server_rooms **ret, silex_error *err)
{
	struct slx_server_rooms *r = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *r);
	if (!r)
		return slx_err_oom(err);
	r->core = core;
	r->http = http;
	*ret = r;
	return SILEX_OK;
}

silex_status slx_server_rooms_open(struct slx_server_rooms *r, silex_error *err)
{
	return SILEX_OK;
}

void slx_server_rooms_stop(struct slx_server_rooms *r)
{
}

void slx_server_rooms_free(struct slx_server_rooms *r)
{
	if (!r)
		return;
	slx_free(r->core->mem, SLX_MEM_OTHER, r, sizeof *r);
}
