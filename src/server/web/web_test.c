/* The embedded page: complete, and its two forms equal; what browsers say in their headers is understood. */
#include "server/web/web_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

static struct slx_str str(const char *s) { return (struct slx_str){ s, s ? strlen(s) : 0 }; }

static void page_is_there(void **state)
{
	(void)state;
	const struct slx_web_file *f = slx_web_find(str("/"));
	assert_non_null(f);
	assert_string_equal(f->path, "/index.html");
	assert_ptr_equal(f, slx_web_find(str("/graph")));
	assert_null(slx_web_find(str("/assets/")));
	assert_null(slx_web_find(str("/index.htm")));
	assert_memory_equal(f->plain, "<!doctype html>", 15);
	assert_string_equal(f->type, "text/html; charset=utf-8");
}

/* Everything that the page names is embedded. */
static void page_is_complete(void **state)
{
	(void)state;
	const struct slx_web_file *f = slx_web_find(str("/"));
	char *text = calloc(1, f->plain_n + 1);
	assert_non_null(text);
	memcpy(text, f->plain, f->plain_n);
	size_t found = 0;
	for (char *p = text; (p = strstr(p, "\"./assets/")); found++) {
		char *end = strchr(p + 1, '"');
		assert_non_null(end);
		assert_non_null(slx_web_find((struct slx_str){ p + 2, (size_t)(end - p - 2) }));
		p = end;
	}
	free(text);
	assert_true(found >= 2); /* a script and a style sheet */
}

static void gzip_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < slx_web_files_n; i++) {
		const struct slx_web_file *f = &slx_web_files[i];
		if (!f->gz)
			continue;
		assert_true(f->gz_n < f->plain_n);
		unsigned char *back = malloc(f->plain_n + 1);
		assert_non_null(back);
		z_stream z = { .next_in = (unsigned char *)(uintptr_t)f->gz,
			.avail_in = (unsigned)f->gz_n,
			.next_out = back,
			.avail_out = (unsigned)f->plain_n + 1 };
		assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.total_out, f->plain_n);
		inflateEnd(&z);
		assert_memory_equal(back, f->plain, f->plain_n);
		free(back);
	}
}

static void encodings(void **state)
{
	(void)state;
	static const struct {
		const char *accept;
		bool takes;
	} cases[] = { { NULL, false }, { "", false }, { "gzip", true }, { "deflate, GZIP;q=0.5, br", true },
		{ "gzip;q=0", false }, { "gzip; q=0.000", false }, { "*", true }, { "*;q=0", false }, { "*, gzip;q=0", false },
		{ "br,\tgzip", true }, { "xgzip", false }, { ",,;", false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(slx_web_takes_gzip(str(cases[i].accept)), cases[i].takes);
}

static void tags(void **state)
{
	(void)state;
	assert_true(slx_web_none_match(str("\"a\""), "\"a\""));
	assert_true(slx_web_none_match(str("\"b\", W/\"a\""), "\"a\""));
	assert_true(slx_web_none_match(str("*"), "\"a\""));
	assert_false(slx_web_none_match(str(NULL), "\"a\""));
	assert_false(slx_web_none_match(str("\"a-gz\""), "\"a\""));
	assert_false(slx_web_none_match(str("W/"), "\"a\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_there),
		cmocka_unit_test(page_is_complete),
		cmocka_unit_test(gzip_is_the_same),
		cmocka_unit_test(encodings),
		cmocka_unit_test(tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
