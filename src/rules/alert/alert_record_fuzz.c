/* Foreign bytes as a value of the journal. What decodes is encoded and decoded again and must be the same. */
#include "rules/alert/alert_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_buf first, second;
	struct slx_alert_record r, again;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&first, &mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_buf_init(&second, &mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (slx_alert_record_decode((struct slx_str){ (const char *)data, size }, &r, NULL) == SILEX_OK) {
		slx_alert_record_encode(&r, &first);
		if (first.failed || slx_alert_record_decode((struct slx_str){ (const char *)first.p, first.n }, &again, NULL) != SILEX_OK)
			abort();
		slx_alert_record_encode(&again, &second);
		if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
			abort();
	}
	slx_buf_free(&first);
	slx_buf_free(&second);
	return 0;
}
