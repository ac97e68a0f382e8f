/* What the tests of this room share. */
#ifndef SLX_FORMATS_TEST_H
#define SLX_FORMATS_TEST_H

#include "formats/collect.h"

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

__attribute__((unused)) static void test_each_line(
	const char *path, void (*each)(struct slx_str line, void *arg), void *arg)
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

typedef silex_status (*test_make)(
	const struct slx_decode_limits *limits, const struct slx_sink *sink, const void *arg, struct slx_decoder **ret);

/* What a decoder says of the input, with labels in every row. The caller frees it. */
__attribute__((unused)) static char *test_decode(test_make make, const void *arg, const char *p, size_t n)
{
	struct collect c;
	struct slx_decoder *d;
	struct slx_decode_limits limits = { .labels_every_row = true };
	collect_init(&c, test_mem());
	struct slx_sink sink = collect_sink(&c);
	assert_int_equal(make(&limits, &sink, arg, &d), SILEX_OK);
	assert_int_equal(collect_feed(d, p, n, 0), SILEX_OK);
	slx_decoder_free(d);
	if (c.broken)
		fail_msg("broken: %s", c.broken);
	char *z = malloc(c.text.n + 1);
	assert_non_null(z);
	if (c.text.n)
		memcpy(z, c.text.p, c.text.n);
	z[c.text.n] = 0;
	collect_free(&c);
	return z;
}

__attribute__((unused)) static void test_expect(test_make make, const void *arg, const char *input, const char *rows)
{
	char *got = test_decode(make, arg, input, strlen(input));
	if (strcmp(got, rows) != 0)
		fail_msg("input:\n%s\nexpected:\n%s\nfound:\n%s", input, rows, got);
	free(got);
}

/* The input cut in `rounds` random ways gives what it gives whole. */
__attribute__((unused)) static void test_splits(test_make make, const void *arg, const char *p, size_t n, int rounds)
{
	struct collect whole;
	for (int i = 0; i <= rounds; i++) {
		struct collect c;
		struct slx_decoder *d;
		uint64_t seed = (uint64_t)i * 7919;
		collect_init(&c, test_mem());
		struct slx_sink sink = collect_sink(&c);
		assert_int_equal(make(NULL, &sink, arg, &d), SILEX_OK);
		assert_int_equal(collect_feed(d, p, n, seed), SILEX_OK);
		slx_decoder_free(d);
		if (c.broken)
			fail_msg("broken: %s", c.broken);
		if (i == 0) {
			whole = c;
			continue;
		}
		if (c.text.n != whole.text.n || (c.text.n && memcmp(c.text.p, whole.text.p, c.text.n) != 0))
			fail_msg("other rows when cut with seed %llu", (unsigned long long)seed);
		collect_free(&c);
	}
	collect_free(&whole);
}

#endif
