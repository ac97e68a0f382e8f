#include "app/chart.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE INT64_C(60000000000)
#define START  INT64_C(1714521600000000000) /* 2024-05-01T00:00:00Z */

static char *draw(struct app_chart *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	assert_non_null(f);
	app_chart_print(c, f);
	fclose(f);
	if (getenv("SHOW"))
		puts(text);
	return text;
}

static struct app_line wave(const char *name, size_t n, double middle, size_t gap_from, size_t gap_to)
{
	struct app_line l = { .name = app_strdup(name) };
	for (size_t i = 0; i < n; i++)
		if (i < gap_from || i >= gap_to)
			app_line_add(&l, START + (int64_t)i * MINUTE, middle + 10 * sin((double)i / 40));
	return l;
}

static size_t widest(const char *text)
{
	size_t most = 0;
	for (const char *s = text; *s; s += strcspn(s, "\n") + (s[strcspn(s, "\n")] == '\n')) {
		char *line = app_strndup(s, strcspn(s, "\n"));
		size_t n = (size_t)app_text_width(line);
		most = n > most ? n : most;
		free(line);
	}
	return most;
}

static void one_series_in_braille(void **state)
{
	struct app_line *l = app_alloc(sizeof *l);
	*l = wave("hr", 480, 80, 200, 240);
	struct app_chart c = { l, 1, "HR", 80, 12, true, false };
	char *text = draw(&c);
	assert_true(strncmp(text, "HR\n", 3) == 0);
	assert_true(widest(text) <= 80);
	assert_non_null(strstr(text, "\xe2\xa0")); /* dots */
	assert_non_null(strstr(text, "02:00"));    /* round times */
	assert_non_null(strstr(text, "90 ┤"));     /* round numbers */
	assert_non_null(strstr(text, "70 ┤"));
	assert_non_null(strstr(text, "2024-05-01T00:00:00Z – 2024-05-01T07:59:00Z"));
	free(text);
	app_lines_free(l, 1);
}

static void two_series_in_ascii(void **state)
{
	struct app_line *l = app_alloc(2 * sizeof *l);
	l[0] = wave("ward 1", 480, 80, 0, 0);
	l[1] = wave("ward 2", 480, 60, 0, 0);
	struct app_chart c = { l, 2, NULL, 72, 14, false, false };
	char *text = draw(&c);
	assert_true(widest(text) <= 72);
	for (const char *s = text; *s; s++)
		assert_true((unsigned char)*s < 128);
	assert_non_null(strchr(text, '*'));
	assert_non_null(strchr(text, 'o'));
	assert_non_null(strstr(text, "* ward 1\n"));
	assert_non_null(strstr(text, "o ward 2\n"));
	free(text);
	app_lines_free(l, 2);
}

/* The columns of a gap hold no dots: no row of the plot may have any there. */
static void a_gap_stays_empty(void **state)
{
	struct app_line *l = app_alloc(sizeof *l);
	*l = (struct app_line){ .name = app_strdup("x") };
	for (int i = 0; i < 400; i++)
		if (i < 100 || i >= 300)
			app_line_add(l, START + i * MINUTE, 5);
	struct app_chart c = { l, 1, NULL, 60, 5, false, false };
	char *text = draw(&c);
	size_t stars = 0;
	for (const char *s = text; *s; s++)
		stars += *s == '*';
	assert_true(stars > 20 && stars < 32); /* half of about 55 columns */
	free(text);
	app_lines_free(l, 1);
}

static void odd_inputs(void **state)
{
	struct app_line *l = app_alloc(sizeof *l);
	*l = (struct app_line){ .name = app_strdup("x") };
	struct app_chart c = { l, 1, NULL, 80, 10, true, true };
	char *text = draw(&c);
	assert_string_equal(text, "(no samples)\n");
	free(text);
	app_line_add(l, INT64_MIN + 1, NAN);
	app_line_add(l, 0, -1e300);
	free(draw(&c)); /* a single point */
	app_line_add(l, 1, 1e300);
	app_line_add(l, INT64_MAX - 1, INFINITY);
	free(draw(&c));
	app_lines_free(l, 1);
}

static void round_steps(void **state)
{
	assert_float_equal(app_nice_step(97, 5), 20, 1e-9);
	assert_float_equal(app_nice_step(1, 4), 0.5, 1e-9);
	assert_int_equal(app_nice_time_step(8 * 60 * MINUTE, 6), 120 * MINUTE);
	assert_int_equal(app_nice_time_step(4 * INT64_C(1000000000), 6), INT64_C(1000000000));
	for (int64_t range = 1; range < INT64_MAX / 3; range = range * 3 + 1) {
		int64_t step = app_nice_time_step(range, 6);
		assert_true(step > 0 && (range / step <= 6 || step >= range / 12));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_series_in_braille),
		cmocka_unit_test(two_series_in_ascii),
		cmocka_unit_test(a_gap_stays_empty),
		cmocka_unit_test(odd_inputs),
		cmocka_unit_test(round_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
