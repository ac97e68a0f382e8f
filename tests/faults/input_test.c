/* Bad input: each is refused by a clear error, and nothing else is harmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const silex_label hr = { "__name__", "hr" };

static int set_up(void **state)
{
	silex_db *db;
	silex_error err;
	assert_int_equal(silex_open(NULL, NULL, &db, &err), SILEX_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(silex_insert(db, NULL, &hr, 1, i, silex_float(i), &err), SILEX_OK);
	*state = db;
	return 0;
}

/* What was there is there, and nothing else. */
static int tear_down(void **state)
{
	silex_db *db = *state;
	silex_error err;
	silex_series_info info;
	silex_metrics m = { .size = sizeof m };
	assert_int_equal(silex_series_info_get(db, NULL, &hr, 1, &info, &err), SILEX_OK);
	assert_int_equal(info.count, 10);
	assert_int_equal(silex_get_metrics(db, &m, &err), SILEX_OK);
	assert_int_equal(m.series, 1);
	return silex_close(db, &err) == SILEX_OK ? 0 : -1;
}

#define REFUSED(call, words)                                                                          \
	do {                                                                                              \
		silex_error err = { SILEX_OK, "" };                                                           \
		assert_int_equal(call, SILEX_INVALID);                                                        \
		if (!strstr(err.message, words))                                                              \
			fail_msg("line %d: \"%s\" says nothing of \"%s\"", __LINE__, err.message, words);         \
	} while (0)

static void insert_label(silex_db *db, const char *name, const char *value, const char *words)
{
	silex_label labels[2] = { hr, { name, value } };
	REFUSED(silex_insert(db, NULL, labels, 2, 1, silex_float(1), &err), words);
	silex_series *s;
	REFUSED(silex_series_open(db, NULL, labels, 2, &s, &err), words);
}

static void test_labels(void **state)
{
	silex_db *db = *state;
	char *name = malloc(5001), *value = malloc(100001);
	silex_label many[200];
	char names[200][8];
	memset(name, 'n', 5000);
	memset(value, 'v', 100000);
	name[5000] = value[100000] = 0;
	insert_label(db, name, "v", "name");
	insert_label(db, "n", value, "value");
	insert_label(db, "", "v", "name");
	insert_label(db, "n\xff", "v", "UTF-8");
	insert_label(db, "n", "\xc3\x28", "UTF-8");
	insert_label(db, "n", "\xed\xa0\x80", "UTF-8");
	insert_label(db, NULL, "v", "name");
	insert_label(db, "n", NULL, "value");
	insert_label(db, "__name__", "other", "__name__");
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "n%d", i);
		many[i] = (silex_label){ names[i], "v" };
	}
	REFUSED(silex_insert(db, NULL, many, 200, 1, silex_float(1), &err), "labels");
	REFUSED(silex_insert(db, NULL, NULL, 0, 1, silex_float(1), &err), "label");
	free(name);
	free(value);
}

static void test_tenants(void **state)
{
	silex_db *db = *state;
	static const char *const names[] = { "a/b", "", ".", "..", "a b", "ward\xc3\xa9", "a\nb" };
	char longest[160];
	memset(longest, 'x', 151);
	longest[151] = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		REFUSED(silex_insert(db, names[i], &hr, 1, 1, silex_float(1), &err), "tenant");
	REFUSED(silex_insert(db, longest, &hr, 1, 1, silex_float(1), &err), "tenant");
	REFUSED(silex_delete(db, "a/b", "", 0, 1, NULL, &err), "tenant");
}

static void test_times(void **state)
{
	silex_db *db = *state;
	static const int64_t bad[] = { INT64_MIN, INT64_MAX };
	for (size_t i = 0; i < 2; i++) {
		silex_series *s;
		silex_error err2;
		silex_value v = silex_float(1);
		REFUSED(silex_insert(db, NULL, &hr, 1, bad[i], silex_float(1), &err), "1677");
		assert_int_equal(silex_series_open(db, NULL, &hr, 1, &s, &err2), SILEX_OK);
		REFUSED(silex_append_values(s, &bad[i], &v, 1, &err), "time");
		REFUSED(silex_append(db, &(silex_point){ s, bad[i], 1 }, 1, &err), "time");
		silex_series_close(s);
	}
	REFUSED(silex_delete(db, NULL, "hr", 5, 1, NULL, &err), "after end");
}

static void test_values(void **state)
{
	silex_db *db = *state;
	silex_value v = { .kind = (silex_kind)9 };
	REFUSED(silex_insert(db, NULL, &hr, 1, 1, v, &err), "kind");
	REFUSED(silex_insert(db, NULL, &hr, 1, 1, silex_state("open"), &err), "float64");
	REFUSED(silex_insert(db, NULL, &hr, 1, 1, silex_state(NULL), &err), "state");
	REFUSED(silex_insert(db, NULL, &hr, 1, 1, silex_state(""), &err), "state");
	REFUSED(silex_insert(db, NULL, &hr, 1, 1, silex_state("\xff"), &err), "UTF-8");
}

static void test_rows_refused_alone(void **state)
{
	silex_db *db = *state;
	silex_error err;
	silex_batch_result r;
	silex_label bad = { "__name__", "\xff" };
	const silex_row rows[] = {
		{ &hr, 1, 3, silex_float(3) }, { &bad, 1, 1, silex_float(1) }, { &hr, 1, INT64_MAX, silex_float(1) },
		{ &hr, 1, 4, silex_state("open") }, { &hr, 1, 5, silex_float(5) },
	};
	assert_int_equal(silex_insert_batch(db, NULL, rows, 5, &r, &err), SILEX_OK);
	assert_int_equal(r.accepted, 2);
	assert_int_equal(r.refused, 3);
	assert_int_equal(r.first_refused, 1);
	assert_int_equal(silex_insert_batch(db, NULL, rows, 5, NULL, &err), SILEX_INVALID);
}

static void query(silex_db *db, const char *selector, int64_t start, int64_t end, silex_agg agg, int64_t step, uint64_t rows_max, const char *words)
{
	silex_query q;
	silex_cursor *c;
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = start;
	q.end = end;
	q.agg = agg;
	q.step = step;
	q.rows_max = rows_max;
	q.percentile = agg == SILEX_AGG_PERCENTILE ? 101 : 0;
	REFUSED(silex_query_run(db, &q, &c, &err), words);
}

static void test_queries(void **state)
{
	silex_db *db = *state;
	query(db, "hr", 5, 1, SILEX_AGG_NONE, 0, 0, "start");
	query(db, "hr", 0, 10, SILEX_AGG_SUM, -1, 0, "step");
	query(db, "hr", SILEX_TIME_MIN, SILEX_TIME_MAX, SILEX_AGG_SUM, 1, 0, "rows");
	query(db, "hr", 0, 1000, SILEX_AGG_SUM, 1, 10, "rows");
	query(db, "hr", 0, 10, SILEX_AGG_PERCENTILE, 1, 0, "percentile");
	query(db, "hr", 0, 10, (silex_agg)99, 1, 0, "agg");
	query(db, "hr{", 0, 10, SILEX_AGG_NONE, 0, 0, "selector");
	query(db, "hr{a=~\"(\"}", 0, 10, SILEX_AGG_NONE, 0, 0, "selector");
	query(db, "\xff", 0, 10, SILEX_AGG_NONE, 0, 0, "selector");
}

static void test_options(void **state)
{
	silex_options o;
	silex_db *db;
	silex_options_init(&o);
	REFUSED(silex_options_set(&o, "synk", "always", &err), "sync");
	REFUSED(silex_options_set(&o, "sync", "sometimes", &err), "always");
	REFUSED(silex_options_set(&o, "memory_limit", "lots", &err), "memory_limit");
	REFUSED(silex_options_set(&o, "memory_limit", "1", &err), "memory_limit");
	o.codec = "snappy";
	REFUSED(silex_open(NULL, &o, &db, &err), "codec");
	silex_options_init(&o);
	o.compression = "rar";
	REFUSED(silex_open(NULL, &o, &db, &err), "compression");
	silex_options_init(&o);
	o.size = 3;
	REFUSED(silex_open(NULL, &o, &db, &err), "size");
	silex_options_init(&o);
	o.memory_limit = 5;
	REFUSED(silex_open(NULL, &o, &db, &err), "memory_limit");
}

/* A tenant at its limit refuses new series by name; those it has go on. */
static void test_series_limit(void **state)
{
	silex_db *db = *state;
	silex_error err;
	silex_tenant_limits l;
	silex_label other = { "__name__", "spo2" };
	silex_tenant_limits_init(&l);
	l.series_max = 1;
	assert_int_equal(silex_tenant_set_limits(db, NULL, &l, &err), SILEX_OK);
	assert_int_equal(silex_insert(db, NULL, &other, 1, 1, silex_float(1), &err), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, "spo2"));
	assert_non_null(strstr(err.message, "1"));
	assert_int_equal(silex_insert(db, NULL, &hr, 1, 1, silex_float(1), &err), SILEX_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_labels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tenants, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rows_refused_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_series_limit, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
