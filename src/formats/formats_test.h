/* What the tests of this room share. */
#ifndef SLX_FORMATS_TEST_H
#define SLX_FORMATS_TEST_H

#include "formats/formats_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static inline struct slx_mem *test_mem(void)
{
	static struct slx_mem m;
	if (!m.allocator.alloc)
		slx_mem_init(&m, NULL);
	return &m;
}

/* The path of a file below $SLX_SHARED or beside the checkout; false, and a word about it, when it is not there. */
__attribute__((unused)) static bool test_shared(char *ret, size_t size, const char *name)
{
	const char *dir = getenv("SLX_SHARED");
	snprintf(ret, size, "%s/%s", dir ? dir : SLX_SOURCE_DIR "/../shared", name);
	if (access(ret, R_OK) == 0)
		return true;
	print_message("%s is not there: skipped\n", ret);
	return false;
}

__attribute__((unused)) static char *test_read_file(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot open %s", path);
	fseek(f, 0, SEEK_END);
	size_t n = (size_t)ftell(f);
	rewind(f);
	char *p = malloc(n + 1);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, n, f), n);
	p[n] = 0;
	fclose(f);
	*ret_n = n;
	return p;
}

__attribute__((unused)) static void test_each_line(const char *path, void (*each)(struct slx_str line, void *arg),
						   void *arg)
{
	size_t n;
	char *text = test_read_file(path, &n);
	for (char *p = text, *nl; p < text + n; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(text + n - p));
		nl = nl ? nl : text + n;
		if (nl > p)
			each((struct slx_str){ p, (size_t)(nl - p) }, arg);
	}
	free(text);
}

#endif
