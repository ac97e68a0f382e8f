/* Foreign bytes as rules of retention whose checksum fits: what loads can be asked, and is set and loads again. */
#include "engine/retention_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct slx_engine *e)
{
	static const struct slx_labels none = { (const uint8_t *)"", 0 };
	const struct slx_retention_rule *rule;
	int64_t now = INT64_C(1700000000000000000);
	if (slx_retention_find(e->retention, SLX_STR("a!1h.sum"), none, &rule, NULL) == SILEX_OK && slx_retention_before(rule, now) > now)
		abort();
	if (slx_retention_bounds(e->retention, SLX_STR("a"), now).some > now || slx_retention_dedup(e->retention, SLX_STR("a")) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_engine *e;
	silex_retention *r;
	silex_options o = { .sync = SILEX_SYNC_ALWAYS, .wal = SILEX_WAL_NONE, .time_unit = SILEX_NS, .block_duration_ms = 7200000,
		.memory_limit = 64 << 20, .threads = 1, .no_background = true };
	if (slx_engine_open(NULL, &o, &e, NULL) != SILEX_OK)
		abort();
	if (slx_meta_cas(e->meta, "RETENTION", data, size, 0, NULL, NULL) == SILEX_OK && slx_retention_load(e, NULL) == SILEX_OK) {
		ask(e);
		if (slx_engine_get_retention(e, &r, NULL) != SILEX_OK || slx_engine_set_retention(e, r, NULL) != SILEX_OK)
			abort();
		slx_engine_retention_free(e, r);
		ask(e);
	}
	slx_engine_close(e, NULL);
	return 0;
}
