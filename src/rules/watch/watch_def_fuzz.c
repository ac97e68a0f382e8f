/* Foreign bytes as a stored rule. What decodes is encoded and decoded again and must be the same; its words and its bands are made. */
#include "base/buf.h"
#include "rules/watch/def.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_buf first, second;
	struct slx_watch_def d, again;
	struct slx_track_rule r;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&first, &mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_buf_init(&second, &mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (slx_watch_def_decode((struct slx_str){ (const char *)data, size }, &d, NULL) == SILEX_OK) {
		slx_watch_def_encode(&d, &first);
		if (first.failed || slx_watch_def_decode((struct slx_str){ (const char *)first.p, first.n }, &again, NULL) != SILEX_OK)
			abort();
		slx_watch_def_encode(&again, &second);
		if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
			abort();
		slx_buf_reset(&second);
		slx_watch_def_text(&d, &second);
		slx_watch_def_rule(&d, &r);
	}
	slx_buf_free(&first);
	slx_buf_free(&second);
	return 0;
}
