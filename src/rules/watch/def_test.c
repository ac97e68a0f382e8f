#include "rules/watch/def.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slx_mem mem;

static struct slx_watch_def plain(void)
{
	return (struct slx_watch_def){ .name = SLX_STR("n"), .selector = SLX_STR("hr{bed=\"4\"}"), .low = 120, .high = NAN, .leave_low = NAN, .leave_high = NAN };
}

static void reads(struct slx_watch_def d, const char *words)
{
	struct slx_buf b;
	silex_error err;
	if (slx_watch_def_check(&d, NULL, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 4096);
	slx_watch_def_text(&d, &b);
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, words);
	slx_buf_free(&b);
}

static void test_words(void **state)
{
	struct slx_watch_def d = plain();
	reads(d, "hr{bed=\"4\"} > 120");
	d.leave_low = 110.25;
	d.on_ns = 10 * SLX_SECOND;
	reads(d, "hr{bed=\"4\"} > 120 until <= 110.25, on after 10s");
	d.op = SLX_WATCH_LE;
	d.leave_low = 121;
	d.off_ns = 90 * SLX_SECOND;
	reads(d, "hr{bed=\"4\"} <= 120 until > 121, on after 10s, off after 1m30s");
	d = plain();
	d.op = SLX_WATCH_OUTSIDE;
	d.high = 130;
	d.leave_low = 122;
	d.input = SLX_WATCH_AVG;
	d.window_ns = SLX_MINUTE;
	d.missing = SLX_MISSING_FIRE;
	d.missing_ns = 2 * SLX_MINUTE;
	reads(d, "avg(hr{bed=\"4\"}[1m]) outside 120 to 130 until inside 122 to 130, fires without samples for 2m");
	d = plain();
	d.low = 0.1 + 0.2;
	reads(d, "hr{bed=\"4\"} > 0.30000000000000004");
}

static void refuses(struct slx_watch_def d, const char *field)
{
	const char *got = "";
	silex_error err;
	assert_int_equal(slx_watch_def_check(&d, &got, &err), SILEX_INVALID);
	assert_string_equal(got, field);
	assert_non_null(strstr(err.message, field));
}

static void test_checks(void **state)
{
	struct slx_watch_def d = plain();
	d.op = SLX_WATCH_INSIDE;
	d.high = 119;
	refuses(d, "high");
	d.high = 130;
	d.leave_low = 125;
	refuses(d, "leave_low");
	d = plain();
	d.op = SLX_WATCH_EQ;
	d.leave_low = 1;
	refuses(d, "leave");
	d = plain();
	d.on_ns = 32 * SLX_DAY;
	refuses(d, "delay_on");
	d = plain();
	d.lateness_ns = SLX_MS;
	refuses(d, "max_lateness");
	d = plain();
	d.missing_ns = SLX_SECOND;
	refuses(d, "missing_after");
	d = plain();
	d.series_max = 2000000;
	refuses(d, "series_max");
	d = plain();
	d.name = SLX_STR("\xff");
	refuses(d, "name");
}

/* Each op's bands, at, below and above its limits. */
static void test_bands(void **state)
{
	static const struct {
		enum slx_watch_op op;
		bool in[5]; /* at 0, 1 (low), 2, 3 (high), 4 */
	} rows[] = {
		{ SLX_WATCH_GT, { 0, 0, 1, 1, 1 } }, { SLX_WATCH_GE, { 0, 1, 1, 1, 1 } }, { SLX_WATCH_LT, { 1, 0, 0, 0, 0 } }, { SLX_WATCH_LE, { 1, 1, 0, 0, 0 } },
		{ SLX_WATCH_EQ, { 0, 1, 0, 0, 0 } }, { SLX_WATCH_NE, { 1, 0, 1, 1, 1 } }, { SLX_WATCH_OUTSIDE, { 1, 0, 0, 0, 1 } }, { SLX_WATCH_INSIDE, { 0, 1, 1, 1, 0 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slx_watch_def d = plain();
		struct slx_track_rule r;
		d.op = rows[i].op;
		d.low = 1;
		d.high = 3;
		assert_int_equal(slx_watch_def_check(&d, NULL, NULL), SILEX_OK);
		slx_watch_def_rule(&d, &r);
		for (int x = 0; x < 5; x++) {
			assert_int_equal(slx_band_has(&r.enter, x), rows[i].in[x]);
			assert_int_equal(slx_band_has(&r.stay, x), rows[i].in[x]);
		}
		assert_int_equal(slx_band_has(&r.enter, INFINITY), rows[i].in[4]);
		assert_int_equal(slx_band_has(&r.enter, -INFINITY), rows[i].in[0]);
	}
}

/* Every cut of the bytes, and every byte changed, is refused or read as something whole. */
static void test_bytes(void **state)
{
	struct slx_watch_def d = plain(), got;
	struct slx_buf b;
	const uint8_t labels[] = { 1, 1, 'a', 1, 'b' };
	d.labels = (struct slx_labels){ labels, sizeof labels };
	d.annotations = (struct slx_labels){ labels, sizeof labels };
	d.leave_low = 100;
	assert_int_equal(slx_watch_def_check(&d, NULL, NULL), SILEX_OK);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 4096);
	slx_watch_def_encode(&d, &b);
	assert_int_equal(slx_watch_def_decode((struct slx_str){ (char *)b.p, b.n }, &got, NULL), SILEX_OK);
	assert_true(got.leave_low == 100 && got.low == 120 && got.lateness_ns == SLX_WATCH_LATENESS && got.series_max == SLX_WATCH_SERIES_DEFAULT);
	assert_true(slx_str_eq(got.selector, d.selector) && slx_labels_eq(got.labels, d.labels));
	if (getenv("SLX_SEED_FILE")) { /* for tests/corpus */
		FILE *f = fopen(getenv("SLX_SEED_FILE"), "wb");
		fwrite(b.p, 1, b.n, f);
		fclose(f);
	}
	for (size_t n = 0; n < b.n; n++)
		assert_int_not_equal(slx_watch_def_decode((struct slx_str){ (char *)b.p, n }, &got, NULL), SILEX_OK);
	slx_buf_u8(&b, 0);
	assert_int_equal(slx_watch_def_decode((struct slx_str){ (char *)b.p, b.n }, &got, NULL), SILEX_CORRUPT);
	b.p[0] = 9;
	assert_int_equal(slx_watch_def_decode((struct slx_str){ (char *)b.p, b.n - 1 }, &got, NULL), SILEX_UNSUPPORTED);
	slx_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_bands),
		cmocka_unit_test(test_bytes),
	};
	slx_mem_init(&mem, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
