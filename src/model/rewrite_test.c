#include "model/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void cases(void **state)
{
	static const struct {
		const char *expression, *value, *replacement, *expected; /* NULL: no match */
	} table[] = {
		{ "(.*)-(.*)", "web-12", "$2/$1", "12/web" },
		{ "(.*)-(.*)", "a-b-c", "${1}x", "a-bx" },
		{ "(.*)", "v", "$1x", "" }, /* the name is 1x */
		{ "(?P<host>[^:]+):(?P<port>\\d+)", "h:80", "$port on ${host}", "80 on h" },
		{ "(?<host>[^:]+):.*", "h:80", "$host", "h" },
		{ "a(b)?", "a", "[$1]", "[]" },
		{ "a", "ab", "x", NULL },
		{ "", "", "made $$1 $ ${ $9 ${no}.", "made $1 $ ${  ." },
		{ "(?i)ABC", "abc", "$0", "abc" },
		{ "(a|(b))+", "ab", "$1$2", "bb" },
	};
	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct slx_rewrite *r;
		struct slx_buf out;
		bool matched;
		slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
		assert_int_equal(slx_rewrite_new(&mem, slx_str(table[i].expression), &r, NULL), SILEX_OK);
		for (int again = 0; again < 2; again++) {
			slx_buf_reset(&out);
			assert_int_equal(slx_rewrite_apply(r, slx_str(table[i].value), slx_str(table[i].replacement), &out, &matched, NULL), SILEX_OK);
			slx_buf_u8(&out, 0);
			assert_int_equal(matched, table[i].expected != NULL);
			assert_string_equal((char *)out.p, table[i].expected ? table[i].expected : "");
		}
		slx_buf_free(&out);
		slx_rewrite_free(r);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void refused(void **state)
{
	static const char *const table[] = { "(", "(?=a)", "\\1", "(?P<n>a)(?P<n>b)" };
	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct slx_rewrite *r;
		silex_error err;
		assert_int_equal(slx_rewrite_new(&mem, slx_str(table[i]), &r, &err), SILEX_INVALID);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(cases), cmocka_unit_test(refused) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
