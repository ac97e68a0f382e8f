/* Fuzz: configuration files. What is accepted can be printed, and read again to the same text. */
#include "server/core/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct slx_config *parse(struct slx_mem *m, const void *p, size_t n)
{
	struct slx_config *c = NULL;
	silex_error e;
	return slx_config_parse(m, "fuzz.yml", p, n, NULL, NULL, 0, &c, &e) == SILEX_OK ? c : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slx_mem m;
	struct slx_buf first, second;
	slx_mem_init(&m, NULL);
	slx_buf_init(&first, &m, SLX_MEM_OTHER, 1 << 24);
	slx_buf_init(&second, &m, SLX_MEM_OTHER, 1 << 24);
	struct slx_config *c = parse(&m, p, n);
	if (c) {
		slx_config_write(c, &first);
		struct slx_config *again = parse(&m, first.p, first.n);
		if (!again || slx_config_needs_restart(c, again))
			abort();
		slx_config_write(again, &second);
		if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
			abort();
		slx_config_free(again);
	}
	slx_config_free(c);
	slx_buf_free(&first);
	slx_buf_free(&second);
	if (slx_mem_total(&m) != 0)
		abort();
	return 0;
}
