#include "server/core/core.h"

void slx_core_on_reload(struct slx_core *core, void (*fn)(void *ctx, const struct slx_config *now), void *ctx)
{
	if (core->on_reload_n == SLX_CORE_HOOKS_MAX)
		return; /* as many as there are rooms; server.c counts */
	core->on_reload[core->on_reload_n].fn = fn;
	core->on_reload[core->on_reload_n++].ctx = ctx;
}
