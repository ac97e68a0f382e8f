#include "server/scrape/scrape_int.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_bound(const char *text, const char *want)
{
	char to[SCRAPE_BOUND_SIZE + 1];
	size_t n = scrape_bound(slx_str(text), to);
	to[n] = 0;
	assert_string_equal(to, want);
}

static void test_spellings(void **state)
{
	(void)state;
	assert_bound("1", "1.0");
	assert_bound("1.0", "1.0");
	assert_bound("0", "0.0");
	assert_bound("-1", "-1.0");
	assert_bound("0.005", "0.005");
	assert_bound(".5", "0.5");
	assert_bound("100000", "100000.0");
	assert_bound("1000000", "1e+06");
	assert_bound("1234567", "1.234567e+06");
	assert_bound("0.00001", "1e-05");
	assert_bound("0.0001", "0.0001");
	assert_bound("123456.789", "123456.789");
	assert_bound("0.1e1", "1.0");
	assert_bound("+Inf", "+Inf");
	assert_bound("inf", "+Inf");
	assert_bound("NaN", "NaN");
}

static void test_no_numbers(void **state)
{
	(void)state;
	assert_bound("", "");
	assert_bound("1s", "");
	assert_bound("one", "");
	assert_bound("1000000000000000000000000000000000000000000000000000000000000000000", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_spellings), cmocka_unit_test(test_no_numbers) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
