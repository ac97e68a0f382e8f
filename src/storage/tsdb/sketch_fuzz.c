/* Foreign bytes as a sketch: what merges is written again and merges again, to the same quantiles. */
#include "storage/tsdb/sketch.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_sketch a, b;
	struct slx_buf out;
	slx_mem_init(&mem, NULL);
	slx_sketch_init(&a, &mem);
	slx_sketch_init(&b, &mem);
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
	if (slx_sketch_merge(&a, data, size, NULL) == SILEX_OK) {
		slx_sketch_put(&a, &out);
		if (out.failed || slx_sketch_merge(&b, out.p, out.n, NULL) != SILEX_OK)
			abort();
		for (double q = 0; q <= 1; q += 0.25) {
			double x = slx_sketch_quantile(&a, q), y = slx_sketch_quantile(&b, q);
			if (x != y && !(isnan(x) && isnan(y)))
				abort();
		}
	}
	slx_buf_free(&out);
	slx_sketch_free(&a);
	slx_sketch_free(&b);
	return 0;
}
