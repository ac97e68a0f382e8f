#include "app/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const struct app_table *t, enum app_format format, bool utf8, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	assert_non_null(f);
	app_table_print(t, f, format, utf8);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void fill(struct app_table *t)
{
	app_table_init(t);
	app_table_column(t, "name", APP_LEFT, true);
	app_table_column(t, "value", APP_POINT, false);
	app_table_column(t, "n", APP_RIGHT, false);
	app_table_add(t, "a");
	app_table_add(t, "1.25");
	app_table_addf(t, "%d", 3);
	app_table_add(t, "b, \"q\"");
	app_table_add(t, "-100");
	app_table_add(t, "12,000");
	app_table_add(t, "ü");
	app_table_add(t, NULL);
	app_table_add(t, "NaN");
}

static void aligned(void **state)
{
	struct app_table t;
	fill(&t);
	assert_int_equal(app_table_rows(&t), 3);
	expect(&t, APP_TABLE, false,
		"name      value       n\n"
		"------  -------  ------\n"
		"a          1.25       3\n"
		"b, \"q\"  -100     12,000\n"
		"ü                   NaN\n");
	app_table_free(&t);
}

static void csv_and_json(void **state)
{
	struct app_table t;
	fill(&t);
	expect(&t, APP_CSV, true, "name,value,n\na,1.25,3\n\"b, \"\"q\"\"\",-100,\"12,000\"\nü,,NaN\n");
	app_table_free(&t);
	app_table_init(&t);
	app_table_column(&t, "k", APP_LEFT, true);
	app_table_column(&t, "v", APP_LEFT, false);
	app_table_add(&t, "1\n\x01");
	app_table_add(&t, "-Inf");
	app_table_add(&t, "x");
	app_table_add(&t, NULL);
	expect(&t, APP_JSONL, true, "{\"k\":\"1\\n\\u0001\",\"v\":\"-Inf\"}\n{\"k\":\"x\",\"v\":null}\n");
	expect(&t, APP_JSON, true, "[{\"k\":\"1\\n\\u0001\",\"v\":\"-Inf\"},\n {\"k\":\"x\",\"v\":null}]\n");
	app_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(aligned), cmocka_unit_test(csv_and_json) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
