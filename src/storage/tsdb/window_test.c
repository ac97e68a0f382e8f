#include "storage/tsdb/window.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above before it */
#include <cmocka.h>

static void test_levels(void **state)
{
	struct slx_levels l;
	slx_levels_init(&l, 2 * SLX_HOUR);
	assert_int_equal(l.n, SLX_LEVELS_MAX);
	assert_int_equal(l.width[1], 8 * SLX_HOUR);
	assert_int_equal(l.width[5], INT64_MAX);
	slx_levels_init(&l, SLX_DAY); /* those not longer than the smallest are left out */
	assert_int_equal(l.n, 4);
	assert_int_equal(l.width[0], SLX_DAY);
	assert_int_equal(l.width[1], SLX_WEEK);
	slx_levels_init(&l, 400 * SLX_DAY);
	assert_int_equal(l.n, 2);
}

static void test_windows(void **state)
{
	struct slx_levels l;
	slx_levels_init(&l, 2 * SLX_HOUR);
	struct slx_time_range w = slx_levels_window(&l, 0, -1); /* floor division */
	assert_int_equal(w.from, -2 * SLX_HOUR);
	assert_int_equal(w.to, -1);
	w = slx_levels_window(&l, 2, SLX_DAY);
	assert_int_equal(w.from, SLX_DAY);
	assert_int_equal(w.to, 2 * SLX_DAY - 1);
	w = slx_levels_window(&l, 5, 12345);
	assert_int_equal(w.from, SLX_TIME_MIN);
	assert_int_equal(w.to, SLX_TIME_MAX);
	for (unsigned level = 0; level < l.n; level++) {
		assert_true(slx_range_has(slx_levels_window(&l, level, SLX_TIME_MIN), SLX_TIME_MIN));
		assert_true(slx_range_has(slx_levels_window(&l, level, SLX_TIME_MAX), SLX_TIME_MAX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels), cmocka_unit_test(test_windows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
