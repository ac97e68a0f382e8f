#include "base/clock.h"
#include "server/listen/listen_int.h"

struct slx_listen {
	struct slx_mem *mem;
	struct slx_tcp *tcp;
	struct slx_mqtt *mqtt;
};

int64_t slx_listen_now(struct slx_core *core) { return slx_wall_ns(slx_engine_clock(slx_api_engine(slx_core_db(core)))); }

silex_status slx_listen_check(struct slx_mem *m, const struct slx_config *c, silex_error *err) { return slx_mqtt_check(m, c, err); }

silex_status slx_listen_start(struct slx_core *core, struct slx_intake *intake, struct slx_listen **ret, silex_error *err)
{
	struct slx_listen *l = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *l);
	if (!l)
		return slx_err_oom(err);
	l->mem = core->mem;
	silex_status st = slx_tcp_start(core, intake, &l->tcp, err);
	if (st == SILEX_OK)
		st = slx_mqtt_start(core, intake, &l->mqtt, err);
	if (st == SILEX_OK)
		*ret = l;
	else
		slx_listen_stop(l);
	return st;
}

void slx_listen_stop(struct slx_listen *l)
{
	if (!l)
		return;
	slx_mqtt_stop(l->mqtt);
	slx_tcp_stop(l->tcp);
	slx_free(l->mem, SLX_MEM_OTHER, l, sizeof *l);
}
