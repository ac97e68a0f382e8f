#include "query/query_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void every_aggregate_has_a_row(void **state)
{
	for (int i = 0; i < SILEX_AGG_COUNT_OF; i++) {
		const struct slx_query_agg *a = slx_query_agg((silex_agg)i);
		assert_non_null(a->name);
		assert_string_equal(a->name, slx_query_agg_name((silex_agg)i));
		assert_true(i == SILEX_AGG_NONE || a->finish);
	}
	assert_null(slx_query_agg(SILEX_AGG_COUNT_OF));
	assert_string_equal(slx_query_agg_name((silex_agg)-1), "unknown");
}

static void names_are_read(void **state)
{
	silex_agg agg;
	double p = -1;
	const char *s = NULL;
	size_t n = 0;
	for (int i = 0; i < SILEX_AGG_COUNT_OF; i++) {
		if (i == SILEX_AGG_PERCENTILE || i == SILEX_AGG_TIME_IN_STATE)
			continue;
		assert_int_equal(slx_query_agg_parse(slx_query_agg_name((silex_agg)i), &agg, &p, &s, &n, NULL), SILEX_OK);
		assert_int_equal(agg, i);
	}
	assert_int_equal(slx_query_agg_parse("avg", &agg, &p, &s, &n, NULL), SILEX_OK);
	assert_int_equal(agg, SILEX_AGG_MEAN);
	assert_int_equal(slx_query_agg_parse("p99", &agg, &p, &s, &n, NULL), SILEX_OK);
	assert_int_equal(agg, SILEX_AGG_PERCENTILE);
	assert_true(p == 99);
	assert_int_equal(slx_query_agg_parse("percentile(99.9)", &agg, &p, &s, &n, NULL), SILEX_OK);
	assert_true(p == 99.9);
	assert_int_equal(slx_query_agg_parse("time_in_state(half open)", &agg, &p, &s, &n, NULL), SILEX_OK);
	assert_int_equal(agg, SILEX_AGG_TIME_IN_STATE);
	assert_int_equal(n, 9);
	assert_memory_equal(s, "half open", 9);
}

static void bad_names_are_told(void **state)
{
	static const char *const bad[] = { "", "p", "p101", "p-1", "pp", "summ", "sum(", "sum(1)", "percentile",
		"percentile()", "percentile(x)", "percentile(101)", "time_in_state", "time_in_state()", "(", ")", "mean)",
		"p1e9999" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		silex_error err = { 0 };
		silex_agg agg;
		double p;
		const char *s;
		size_t n;
		assert_int_equal(slx_query_agg_parse(bad[i], &agg, &p, &s, &n, &err), SILEX_INVALID);
		assert_non_null(strstr(err.message, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_aggregate_has_a_row),
		cmocka_unit_test(names_are_read),
		cmocka_unit_test(bad_names_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
