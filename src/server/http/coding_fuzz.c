/* Fuzz: compressed request bodies. The first byte says the coding; what comes out never passes the limit. */
#include "server/http/http_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { LIMIT = 100000, BUDGET = 300000 };

static bool more(void *arg, size_t bytes)
{
	size_t *left = arg;
	if (bytes > *left)
		return false;
	*left -= bytes;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum slx_http_coding codings[] = { SLX_CODING_GZIP, SLX_CODING_DEFLATE, SLX_CODING_ZSTD };
	struct slx_mem m;
	struct slx_buf out;
	size_t left = BUDGET;
	silex_error e;
	if (n < 1)
		return 0;
	slx_mem_init(&m, NULL);
	slx_buf_init(&out, &m, SLX_MEM_OTHER, LIMIT);
	slx_http_decode(codings[p[0] % 3], p + 1, n - 1, more, &left, &out, &e);
	if (out.n > LIMIT)
		abort();
	slx_buf_free(&out);
	if (slx_mem_total(&m) != 0)
		abort();
	return 0;
}
