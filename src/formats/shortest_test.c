/* Doubles to text: Go's strconv is the model ('f' with -1, 'e' outside [1e-6, 1e21)), strtod and "%.17g" the oracles. */
#include "formats/formats_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void check_text(double v, const char *want)
{
	char text[SLX_F64_TEXT_SIZE + 1];
	text[slx_format_f64(v, text)] = 0;
	assert_string_equal(text, want);
}

static void test_known(void **state)
{
	(void)state;
	check_text(0, "0");
	check_text(-0.0, "-0");
	check_text(1, "1");
	check_text(-1.5, "-1.5");
	check_text(0.1, "0.1");
	check_text(0.001, "0.001");
	check_text(1e-6, "0.000001");
	check_text(1e-7, "1e-07");
	check_text(1.25e-7, "1.25e-07");
	check_text(123456.789, "123456.789");
	check_text(1.0 / 3, "0.3333333333333333");
	check_text(2.0 / 3, "0.6666666666666666");
	check_text(0.1 + 0.2, "0.30000000000000004");
	check_text(1e15, "1000000000000000");
	check_text(9007199254740993.0, "9007199254740992");
	check_text(1152921504606846976.0, "1152921504606847000");
	check_text(1e20, "100000000000000000000");
	check_text(123456789012345680000.0, "123456789012345680000");
	check_text(1e21, "1e+21");
	check_text(1.7976931348623157e308, "1.7976931348623157e+308");
	check_text(2.2250738585072014e-308, "2.2250738585072014e-308");
	check_text(5e-324, "5e-324");
	check_text(1e23, "1e+23");
	check_text(9.5367431640625e-07, "9.5367431640625e-07");
	check_text(1435781451.781, "1435781451.781");
	check_text(NAN, "NaN");
	check_text(INFINITY, "+Inf");
	check_text(-INFINITY, "-Inf");
}

/* Reads back, and no text with a digit less does. */
static void check_shortest(double v)
{
	char text[SLX_F64_TEXT_SIZE + 1], less[40];
	text[slx_format_f64(v, text)] = 0;
	assert_true(strtod(text, NULL) == v);
	int digits = 0, zeros = 0;
	for (const char *p = text; *p && *p != 'e'; p++)
		if (slx_is_digit(*p) && (digits || *p != '0')) {
			digits++;
			zeros = *p == '0' ? zeros + 1 : 0;
		}
	digits -= zeros;
	assert_in_range(digits, 1, 17);
	if (digits > 1) {
		snprintf(less, sizeof less, "%.*e", digits - 2, v);
		assert_true(strtod(less, NULL) != v);
	}
	if (digits == 17) { /* then it is the nearest one */
		char want[40], got[40];
		snprintf(want, sizeof want, "%.16e", v);
		snprintf(got, sizeof got, "%.16e", strtod(text, NULL));
		assert_string_equal(got, want);
	}
}

static void test_random(void **state)
{
	(void)state;
	uint64_t seed = 0x9e3779b97f4a7c15;
	for (int i = 0; i < 200000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		double v = fabs(slx_bits_f64(seed));
		if (isfinite(v) && v != 0)
			check_shortest(v);
		check_shortest((double)(seed >> 20) / 1000 + 1);
		check_shortest((double)(seed % 1000000 + 1) / 10000);
		check_shortest((double)(seed >> 11) * 0x1p-53 + 1e-9);
	}
}

static void test_powers(void **state)
{
	(void)state;
	for (int e = -1074; e < 1024; e++) {
		double v = ldexp(1, e);
		check_shortest(v);
		check_shortest(nextafter(v, INFINITY) < INFINITY ? nextafter(v, INFINITY) : v);
		if (nextafter(v, 0) > 0)
			check_shortest(nextafter(v, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_powers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
