/* Bytes of a histogram: what decodes passes the check and comes back from its own bytes. */
#include "model/histogram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem m;
	struct slx_arena a;
	struct slx_buf first, second;
	struct slx_histogram h;
	slx_mem_init(&m, NULL);
	slx_arena_init(&a, &m, SLX_MEM_OTHER, 65536);
	slx_buf_init(&first, &m, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&second, &m, SLX_MEM_OTHER, 1 << 20);
	if (slx_histogram_decode(data, size, &a, &h, NULL) == SILEX_OK) {
		check(slx_histogram_check(&h, NULL) == SILEX_OK);
		slx_histogram_encode(&h, &first);
		check(!first.failed && slx_histogram_decode(first.p, first.n, &a, &h, NULL) == SILEX_OK);
		slx_histogram_encode(&h, &second);
		check(first.n == second.n && memcmp(first.p, second.p, first.n) == 0);
	}
	slx_buf_free(&first);
	slx_buf_free(&second);
	slx_arena_clear(&a);
	check(slx_mem_total(&m) == 0);
	return 0;
}
