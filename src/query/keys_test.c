#include "query/query_int.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void keys_are_in_order(void **state)
{
	static const double v[] = { -INFINITY, -1e300, -1.5, -5e-324, 0, 5e-324, 1, 1e300, INFINITY };
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		assert_true(slx_query_key_number(slx_query_key(v[i])) == v[i]);
		if (i > 0)
			assert_true(slx_query_key(v[i - 1]) < slx_query_key(v[i]));
		assert_true(slx_query_key(v[i]) < slx_query_key_state(0));
		assert_false(slx_query_key_is_state(slx_query_key(v[i])));
	}
	assert_true(slx_query_key(-0.0) == slx_query_key(0.0));
	assert_true(slx_query_key_is_state(slx_query_key_state(7)));
}

static void selects_like_sorting(void **state)
{
	enum { MAX = 3000 };
	static uint64_t v[MAX], sorted[MAX];
	uint64_t rng = 1;
	for (int round = 0; round < 2000; round++) {
		size_t n = 1 + slx_rng_next(&rng) % (round % 20 ? 60 : MAX), k = slx_rng_next(&rng) % n;
		uint64_t distinct = 1 + slx_rng_next(&rng) % (round % 2 ? 5 : 100000);
		for (size_t i = 0; i < n; i++)
			v[i] = round % 7 == 0 ? i : round % 7 == 1 ? n - i : slx_rng_next(&rng) % distinct;
		memcpy(sorted, v, n * sizeof *v);
		qsort(sorted, n, sizeof *sorted, compare);
		slx_query_select(v, n, k);
		assert_true(v[k] == sorted[k]);
		for (size_t i = 0; i < n; i++)
			assert_true(i < k ? v[i] <= v[k] : v[i] >= v[k]);
		qsort(v, n, sizeof *v, compare); /* nothing was lost */
		assert_memory_equal(v, sorted, n * sizeof *v);
	}
}

static double percentile_of(const double *x, size_t n, double p)
{
	uint64_t keys[16];
	struct slx_query_keys k = { keys, n, n };
	for (size_t i = 0; i < n; i++)
		keys[i] = slx_query_key(x[i]);
	return slx_query_percentile(&k, p);
}

static void percentiles_are_exact(void **state)
{
	static const double v[] = { 4, 1, 3, 2 };
	assert_true(percentile_of(v, 4, 0) == 1);
	assert_true(percentile_of(v, 4, 100) == 4);
	assert_true(percentile_of(v, 4, 50) == 2.5);
	assert_true(percentile_of(v, 3, 50) == 3);
	assert_true(percentile_of(v, 1, 99) == 4);
	static const double wide[] = { -1.7e308, 1.7e308 };
	assert_true(percentile_of(wide, 2, 50) == 0);
	static const double infinite[] = { INFINITY, INFINITY, -INFINITY };
	assert_true(percentile_of(infinite, 3, 75) == INFINITY);
	assert_true(percentile_of(infinite, 3, 50) == INFINITY);
}

static const char *name_of(const void *arg, uint32_t state)
{
	static const char *const names[] = { "open", "closed", "ajar" };
	return names[state];
}

static void mode_breaks_ties(void **state)
{
	uint64_t numbers[] = { slx_query_key(3), slx_query_key(1), slx_query_key(3), slx_query_key(1), slx_query_key(0) };
	struct slx_query_keys k = { numbers, 5, 5 };
	assert_true(slx_query_key_number(slx_query_mode(&k, name_of, NULL)) == 1);
	uint64_t states[] = { slx_query_key_state(0), slx_query_key_state(1), slx_query_key_state(2) };
	k = (struct slx_query_keys){ states, 3, 3 };
	assert_int_equal((uint32_t)slx_query_mode(&k, name_of, NULL), 2); /* "ajar" */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_in_order),
		cmocka_unit_test(selects_like_sorting),
		cmocka_unit_test(percentiles_are_exact),
		cmocka_unit_test(mode_breaks_ties),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
