#include "server/core/core.h"

void slx_core_on_reload(struct slx_core *core, void (*fn)(void *ctx, const struct slx_config *now), void *ctx)
{
	if (core->on_reload_n == SLX_CORE_HOOKS_MAX) {
		slx_log(core->log, SLX_LOG_ERROR, "more rooms than SLX_CORE_HOOKS_MAX want to hear of reloads");
		return;
	}
	core->on_reload[core->on_reload_n].fn = fn;
	core->on_reload[core->on_reload_n++].ctx = ctx;
}
