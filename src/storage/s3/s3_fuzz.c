/* What strangers send: an answer's XML; and what people write: a url. The first byte says which. */
#include "storage/s3/s3_int.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool on_leaf(void *arg, const char *name, const char *text)
{
	size_t *left = arg;
	if (strlen(text) >= 4096 || strlen(name) > 1 << 20)
		abort();
	return --*left > 0;
}

static void parse_url(const char *text)
{
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_s3_url url;
	slx_mem_init(&mem, NULL);
	slx_arena_init(&arena, &mem, SLX_MEM_OTHER, 64 << 10);
	if (slx_s3_url_parse(text, &arena, &url, NULL) == SILEX_OK &&
		(!*url.bucket || !*url.host || !strstr(url.endpoint, url.host) || url.part_size < 5 << 20 || url.retry_ns <= 0))
		abort();
	slx_arena_clear(&arena);
	if (slx_mem_total(&mem) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t leaves = 100;
	if (n == 0)
		return 0;
	if (p[0] != 'u') {
		slx_s3_xml(p + 1, n - 1, on_leaf, &leaves, NULL);
		return 0;
	}
	char *text = malloc(n);
	memcpy(text, p + 1, n - 1);
	text[n - 1] = 0;
	parse_url(text);
	free(text);
	return 0;
}
