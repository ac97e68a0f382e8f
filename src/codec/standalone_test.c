/* silex_compress and silex_decompress: what applications see. */
#include "codec/codec_test_int.h"

enum { N = 20000 };
static int64_t ts[N], ts_back[N];
static double v[N], v_back[N];

static void every_codec(void **state)
{
	static const char *const names[] = { NULL, "auto", "raw", "gorilla", "sx", "cold" };
	uint64_t rng = test_seed();
	for (int round = 0; round < 48; round++) {
		size_t n = round == 0 ? 0 : 1 + test_below(&rng, round % 4 ? 3000 : N), size, n_back, cap = silex_compress_bound(n);
		test_values(&rng, (unsigned)round % TEST_VALUE_SHAPES, v, n);
		test_timestamps(&rng, (unsigned)round % TEST_TS_SHAPES, ts, n);
		silex_compress_options o;
		silex_compress_options_init(&o);
		o.codec = names[round % 6];
		uint8_t *out = malloc(cap);
		silex_error err;
		silex_compressed_info info;
		assert_int_equal(silex_compress(ts, v, n, &o, out, cap, &size, &err), SILEX_OK);
		assert_true(size <= cap);
		assert_int_equal(silex_compressed_info_read(out, size, &info, &err), SILEX_OK);
		assert_int_equal(info.n, n);
		assert_int_equal(info.timestamps_size + info.values_size, size);
		assert_int_equal(silex_decompress(out, size, NULL, ts_back, v_back, N, &n_back, &err), SILEX_OK);
		assert_int_equal(n_back, n);
		assert_memory_equal(ts, ts_back, n * sizeof *ts);
		assert_memory_equal(v, v_back, n * sizeof *v);
		out[test_below(&rng, size)] ^= 4;
		assert_int_not_equal(silex_decompress(out, size, NULL, ts_back, v_back, N, &n_back, &err), SILEX_OK);
		free(out);
	}
}

static size_t plus_one_bound(void *ctx, size_t n) { return 8 * n; }

static size_t plus_one_encode(void *ctx, const double *values, size_t n, void *out, size_t cap)
{
	if (cap < 8 * n)
		return 0;
	for (size_t i = 0; i < n; i++)
		slx_store64((uint8_t *)out + 8 * i, slx_f64_bits(values[i]) + 1);
	return 8 * n;
}

static silex_status plus_one_decode(void *ctx, const void *bytes, size_t size, double *values, size_t n, silex_error *err)
{
	if (size != 8 * n)
		return SILEX_CORRUPT;
	for (size_t i = 0; i < n; i++)
		values[i] = slx_bits_f64(slx_load64((const uint8_t *)bytes + 8 * i) - 1);
	return SILEX_OK;
}

static void an_applications_codec(void **state)
{
	static const silex_codec codec = { sizeof codec, 200, "plus-one", NULL, plus_one_bound, plus_one_encode, plus_one_decode };
	const silex_codec *codecs[] = { &codec };
	silex_compress_options o;
	silex_compress_options_init(&o);
	o.codec = "plus-one";
	uint8_t out[4000];
	size_t size, n;
	silex_error err;
	for (int i = 0; i < 100; i++) {
		ts[i] = i;
		v[i] = i / 7.0;
	}
	assert_int_equal(silex_compress(ts, v, 100, &o, out, sizeof out, &size, &err), SILEX_INVALID); /* not listed */
	o.codecs = codecs;
	o.codecs_n = 1;
	assert_int_equal(silex_compress(ts, v, 100, &o, out, sizeof out, &size, &err), SILEX_OK);
	assert_int_equal(silex_decompress(out, size, &o, ts_back, v_back, 100, &n, &err), SILEX_OK);
	assert_memory_equal(v, v_back, 800);
	assert_int_equal(silex_decompress(out, size, NULL, ts_back, v_back, 100, &n, &err), SILEX_UNSUPPORTED);
	assert_non_null(strstr(err.message, "200"));
}

static void errors_say_what(void **state)
{
	silex_compress_options o;
	silex_compress_options_init(&o);
	uint8_t out[1000];
	size_t size, n;
	silex_error err;
	for (int i = 0; i < 100; i++) {
		ts[i] = i;
		v[i] = 36.5;
	}
	o.codec = "snappy";
	assert_int_equal(silex_compress(ts, v, 100, &o, out, sizeof out, &size, &err), SILEX_INVALID);
	assert_non_null(strstr(err.message, "snappy"));
	o.codec = "enum";
	assert_int_equal(silex_compress(ts, v, 100, &o, out, sizeof out, &size, &err), SILEX_INVALID);
	assert_int_equal(silex_compress(ts, v, 100, NULL, out, 22, &size, &err), SILEX_RESOURCE_EXHAUSTED);
	assert_int_equal(silex_compress(ts, v, 100, NULL, out, sizeof out, &size, &err), SILEX_OK);
	assert_true(size < 80);
	assert_int_equal(silex_decompress(out, size, NULL, ts_back, NULL, 99, &n, &err), SILEX_RESOURCE_EXHAUSTED);
	assert_int_equal(silex_decompress(out, size, NULL, ts_back, NULL, 100, &n, &err), SILEX_OK);
	assert_int_equal(silex_decompress(out, size - 1, NULL, ts_back, NULL, 100, &n, &err), SILEX_CORRUPT);
	out[4] = 9;
	assert_int_equal(silex_decompress(out, size, NULL, ts_back, NULL, 100, &n, &err), SILEX_UNSUPPORTED);
	assert_int_equal(silex_decompress("hello", 5, NULL, ts_back, NULL, 100, &n, &err), SILEX_CORRUPT);
	assert_int_equal(silex_codec_by_name("sx"), 2);
	assert_int_equal(silex_codec_by_name("auto"), -1);
	assert_string_equal(silex_codec_name(1), "gorilla");
	assert_null(silex_codec_name(99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_codec), cmocka_unit_test(an_applications_codec), cmocka_unit_test(errors_say_what),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
