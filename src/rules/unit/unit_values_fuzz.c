/* Series as tests of rules write them: values, and the metric in front. Nothing leaks, nothing is read outside. */
#include "rules/unit/unit_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_arena arena;
	const struct slx_unit_value *v;
	struct slx_labels l;
	size_t n;
	struct slx_str text = { (const char *)data, size };
	slx_mem_init(&mem, NULL);
	slx_arena_init(&arena, &mem, SLX_MEM_OTHER, 64 << 10);
	if (slx_unit_values(&arena, text, &v, &n, NULL) == SILEX_OK)
		for (size_t i = 0; i < n; i++)
			if (v[i].missing && v[i].v != 0)
				abort();
	(void)slx_unit_metric(&mem, &arena, text, &l, NULL);
	slx_arena_clear(&arena);
	if (slx_mem_total(&mem) != 0)
		abort();
	return 0;
}
