#include "app/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The program's table is not linked: only the parser is tried. */
const struct app_command *const app_commands[] = { NULL };

struct own {
	bool yes;
	const char *text;
	struct app_texts many, names;
	uint64_t count;
	struct app_time time;
	int64_t span;
	int choice;
};

static const struct app_opt opts[] = {
	APP_OPT(own, yes, "yes", 'y', APP_FLAG, NULL, NULL, ""),
	APP_OPT(own, text, "text", 't', APP_TEXT, "TEXT", NULL, ""),
	APP_OPT(own, many, "many", 'm', APP_TEXTS, "TEXT", NULL, ""),
	APP_OPT(own, names, "names", 'n', APP_NAMES, "A,B", NULL, ""),
	APP_OPT(own, count, "count", 'c', APP_COUNT, "N", NULL, ""),
	APP_OPT(own, time, "time", 0, APP_TIME, "TIME", NULL, ""),
	APP_OPT(own, span, "span", 0, APP_SPAN, "SPAN", NULL, ""),
	APP_OPT(own, choice, "choice", 0, APP_CHOICE, "ONE", "red|green|blue", ""),
	APP_OPT_END,
};

static const struct app_command command = { .name = "try",
	.args = "WORD",
	.options = opts,
	.options_size = sizeof(struct own),
	.args_min = 0,
	.args_max = 2,
	.uses = APP_USES_DATA };

enum { WORDS_MAX = 32 };

/* Parses a line of words. The operands are joined with blanks. */
static int parse(const char *line, struct app *a, struct own *own, char operands[64])
{
	static char words[256];
	char *argv[WORDS_MAX];
	int argc = 0, n = 0;
	*a = (struct app){ .now = INT64_C(1714521600000000000) };
	*own = (struct own){ 0 };
	snprintf(words, sizeof words, "try %s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	int st = app_parse(a, &command, own, argc, argv, &n);
	*operands = 0;
	for (int i = 0; st == APP_OK && i < n; i++)
		snprintf(operands + strlen(operands), 64 - strlen(operands), "%s%s", i ? " " : "", argv[i]);
	return st;
}

static void all_types(void **state)
{
	struct app a;
	struct own o;
	char operands[64];
	assert_int_equal(
		parse("one -y --text=x=y -m a -mb --many c --names p,q -n r -c 2k --time 2024-05-01 two --span 1m30s "
			  "--choice green -d dir",
			&a, &o, operands),
		APP_OK);
	assert_string_equal(operands, "one two");
	assert_true(o.yes);
	assert_string_equal(o.text, "x=y");
	assert_int_equal(o.many.n, 3);
	assert_string_equal(o.many.v[1], "b");
	assert_int_equal(o.names.n, 3);
	assert_string_equal(o.names.v[1], "q");
	assert_int_equal(o.count, 2000);
	assert_true(o.time.set && o.time.ns == INT64_C(1714521600000000000));
	assert_true(o.span == INT64_C(90000000000));
	assert_int_equal(o.choice, 2);
	assert_string_equal(a.common.data, "dir");
	app_parse_free(&a, &command, &o);
}

static void dashes(void **state)
{
	struct app a;
	struct own o;
	char operands[64];
	assert_int_equal(parse("- -- -y", &a, &o, operands), APP_OK);
	assert_string_equal(operands, "- -y");
	assert_false(o.yes);
	assert_int_equal(parse("--time -2h", &a, &o, operands), APP_OK); /* a value may begin with a dash */
	assert_true(o.time.ns == INT64_C(1714521600000000000) - INT64_C(7200000000000));
}

static void refused(void **state)
{
	static const char *const lines[] = { "--nosuch", "-z", "--text", "-t", "--yes=1", "--count ten", "--count 1.5",
		"--count -1", "--time yesterday", "--span 5x", "--choice re", "one two three" };
	struct app a;
	struct own o;
	char operands[64];
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_int_equal(parse(lines[i], &a, &o, operands), APP_USAGE);
}

static void nearest(void **state)
{
	static const char *const names[] = { "import", "export", "query", "compact", "compression", NULL };
	assert_string_equal(app_nearest("improt", names), "import");
	assert_string_equal(app_nearest("qery", names), "query");
	assert_string_equal(app_nearest("compac", names), "compact");
	assert_string_equal(app_nearest("expotr", names), "export");
	assert_null(app_nearest("zebra", names));
}

static void counts_and_texts(void **state)
{
	char s[APP_TEXT_SIZE];
	uint64_t n;
	assert_true(app_parse_count("1.5k", &n) && n == 1500);
	assert_false(
		app_parse_count("", &n) || app_parse_count("0x10k!", &n) || app_parse_count("99999999999999999999", &n));
	assert_string_equal(app_count_text(0, s), "0");
	assert_string_equal(app_count_text(1234567, s), "1,234,567");
	assert_string_equal(app_bytes_text(999, s), "999 B");
	assert_string_equal(app_bytes_text(999999, s), "1.00 MB");
	assert_string_equal(app_bytes_text(12345678, s), "12.3 MB");
	assert_string_equal(app_rate_text(250, s), "250");
	assert_string_equal(app_rate_text(1250000, s), "1.25 M");
	assert_string_equal(app_span_text(1500000000, s), "1.5 s");
	assert_string_equal(app_span_text(INT64_C(3900000000000), s), "65 min 00 s");
	assert_string_equal(app_real_text(0.1, s), "0.1");
	assert_string_equal(app_real_text(0.1 + 0.2, s), "0.30000000000000004");
	assert_string_equal(app_short_text(123456789, s), "123456789");
	assert_string_equal(app_short_text(72.333333333, s), "72.3333");
	assert_int_equal(app_text_width("aü日"), 4);
}

static void series_text(void **state)
{
	struct slx_mem mem;
	struct slx_buf b;
	static const char *const skip[] = { "ward", NULL };
	const silex_label labels[] = { { "__name__", "hr" }, { "odd name", "q\"\\" }, { "ward", "3" } };
	const silex_label strange[] = { { "__name__", "my.metric" }, { "a", "b" } };
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1000);
	app_put_series(&b, labels, 3, NULL);
	slx_buf_u8(&b, ' ');
	app_put_series(&b, labels, 3, skip);
	slx_buf_u8(&b, ' ');
	app_put_series(&b, strange, 2, NULL);
	slx_buf_u8(&b, ' ');
	app_put_series(&b, strange, 0, NULL);
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p,
		"hr{\"odd name\"=\"q\\\"\\\\\",ward=\"3\"} hr{\"odd name\"=\"q\\\"\\\\\"} "
		"{\"my.metric\",a=\"b\"} {}");
	slx_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types),
		cmocka_unit_test(dashes),
		cmocka_unit_test(refused),
		cmocka_unit_test(nearest),
		cmocka_unit_test(counts_and_texts),
		cmocka_unit_test(series_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
