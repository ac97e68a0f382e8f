/* Foreign bytes as a manifest whose checksum fits: an engine in memory loads it, and what loads is stored and loads again. */
#include "engine/engine_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t uuid[SLX_WAL_UUID_SIZE];
	struct slx_engine *e;
	silex_error err = { SILEX_OK, "" };
	silex_options o = { .sync = SILEX_SYNC_ALWAYS, .wal = SILEX_WAL_NONE, .time_unit = SILEX_NS, .block_duration_ms = 7200000,
		.memory_limit = 64 << 20, .threads = 1, .no_background = true };
	if (slx_engine_open(NULL, &o, &e, &err) != SILEX_OK)
		abort();
	if (slx_meta_cas(e->meta, "MANIFEST", data, size, 0, NULL, &err) == SILEX_OK && slx_manifest_load(e, uuid, &err) == SILEX_OK) {
		if (slx_manifest_store(e, e->view, e->checkpoint_seq, e->max_version, &err) != SILEX_OK)
			abort();
	}
	slx_engine_close(e, NULL);
	return 0;
}
