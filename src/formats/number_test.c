#include "formats/formats_test.h"

static void number_is(const char *text, enum slx_number_form form, double f64)
{
	struct slx_number n;
	if (slx_number_parse(text, strlen(text), &n) != form)
		fail_msg("%s", text);
	if (form == SLX_NUMBER_INT || form == SLX_NUMBER_FLOAT)
		if (slx_f64_bits(n.f64) != slx_f64_bits(f64))
			fail_msg("%s: %.17g, expected %.17g", text, n.f64, f64);
}

static void numbers(void **state)
{
	number_is("0", SLX_NUMBER_INT, 0);
	number_is("-0.0", SLX_NUMBER_FLOAT, -0.0);
	number_is("9223372036854775807", SLX_NUMBER_INT, 9223372036854775807.0);
	number_is("-9223372036854775808", SLX_NUMBER_INT, -9223372036854775808.0);
	number_is("9223372036854775808", SLX_NUMBER_FLOAT, 9223372036854775808.0);
	number_is("1e309", SLX_NUMBER_RANGE, 0);
	number_is("1e99999999999999999999", SLX_NUMBER_RANGE, 0);
	number_is("1e-99999999999999999999", SLX_NUMBER_FLOAT, 0);
	number_is("0e999", SLX_NUMBER_FLOAT, 0);
	number_is("0.064534524000000010000000000000000000000000000000000000000000000000001", SLX_NUMBER_FLOAT,
		0.06453452400000001);
	number_is("2.2250738585072011e-308", SLX_NUMBER_FLOAT, 2.2250738585072011e-308);
	number_is("4.9406564584124654e-324", SLX_NUMBER_FLOAT, 4.9406564584124654e-324);
	/* halfway between two doubles, and a hair above it in the 800th digit and beyond */
	number_is("9007199254740993", SLX_NUMBER_INT, 9007199254740992.0);
	char text[1200];
	snprintf(text, sizeof text, "9007199254740993.%01000d1", 0);
	number_is(text, SLX_NUMBER_FLOAT, 9007199254740994.0);
	snprintf(text, sizeof text, "%01000d.5", 0);
	number_is(text, SLX_NUMBER_FLOAT, 0.5);
	snprintf(text, sizeof text, "1%01000de-1000", 0);
	number_is(text, SLX_NUMBER_FLOAT, 1);
	number_is("", SLX_NUMBER_NONE, 0);
	number_is(".", SLX_NUMBER_NONE, 0);
	number_is("1e", SLX_NUMBER_NONE, 0);
	number_is("1x", SLX_NUMBER_NONE, 0);
	number_is("0x10", SLX_NUMBER_NONE, 0);
}

/* Against strtod, over digits and exponents around the borders of the three ways. */
static void numbers_against_strtod(void **state)
{
	uint64_t seed = 7;
	print_message("seed 7\n");
	for (int i = 0; i < 300000; i++) {
		uint64_t r = slx_rng_next(&seed), w = slx_rng_next(&seed) >> (r % 64);
		char text[64];
		int e = (int)(r >> 8 & 63) - 32;
		if (r >> 16 & 1)
			snprintf(text, sizeof text, "%llue%d", (unsigned long long)w, e);
		else
			snprintf(text, sizeof text, "-%llu.%0*llu", (unsigned long long)(w >> 20), (int)(r >> 24 & 15) + 1,
				(unsigned long long)(w & 0xfffff));
		struct slx_number n;
		assert_true(slx_number_parse(text, strlen(text), &n) != SLX_NUMBER_NONE);
		if (slx_f64_bits(n.f64) != slx_f64_bits(strtod(text, NULL)))
			fail_msg("%s: %.17g, expected %.17g", text, n.f64, strtod(text, NULL));
	}
}

/* Every double is written so that it reads back, in no more than 17 digits. */
static void written_numbers_read_back(void **state)
{
	uint64_t seed = 11;
	struct slx_buf b;
	slx_buf_init(&b, test_mem(), SLX_MEM_OTHER, 1 << 20);
	for (int i = 0; i < 200000; i++) {
		uint64_t r = slx_rng_next(&seed);
		double v = slx_bits_f64(slx_rng_next(&seed));
		if (r % 3 == 1)
			v = (double)(int64_t)(slx_rng_next(&seed) >> (r >> 8 & 63)) /
				(double[]){ 1, 10, 100, 1000, 1e6 }[r >> 16 & 3];
		if (v != v)
			continue;
		struct slx_number n;
		slx_buf_reset(&b);
		slx_encode_f64(&b, v);
		slx_buf_u8(&b, 0);
		assert_true(slx_number_parse_special((char *)b.p, b.n - 1, &n) != SLX_NUMBER_NONE);
		if (slx_f64_bits(n.f64) != slx_f64_bits(v))
			fail_msg("%.17g is written as %s", v, (char *)b.p);
	}
	static const struct {
		double v;
		const char *text;
	} cases[] = { { 0, "0" }, { -0.0, "-0" }, { 1.5, "1.5" }, { 0.1, "0.1" }, { 1e21, "1e+21" },
		{ 123456789e12, "123456789000000000000" }, { 5e-324, "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" }, { 0.000001, "0.000001" }, { 1e-7, "1e-07" },
		{ 0.06453452400000001, "0.06453452400000001" }, { 100, "100" }, { 1e15, "1000000000000000" } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		slx_buf_reset(&b);
		slx_encode_f64(&b, cases[i].v);
		slx_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, cases[i].text);
	}
	slx_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(numbers_against_strtod),
		cmocka_unit_test(written_numbers_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
