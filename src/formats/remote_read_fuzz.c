#include "formats/remote_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_rr_request r;
	slx_mem_init(&mem, NULL);
	if (slx_rr_read(&mem, data, size, &r, NULL) == SILEX_OK && r.n > SLX_RR_QUERIES_MAX)
		__builtin_trap();
	slx_rr_free(&r);
	if (slx_mem_total(&mem))
		__builtin_trap();
	return 0;
}
