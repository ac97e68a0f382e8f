/* Exemplars and metadata: stored beside a tenant's samples, read back after replay, flush and compaction, deleted with the series
 * they are of, and seen nowhere else. */
#include "engine/companion.h"

#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(call)                                                     \
	do {                                                             \
		silex_error ok_err_ = { 0 };                                 \
		silex_error *err = &ok_err_;                                 \
		if ((call) != SILEX_OK)                                      \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, err->message); \
	} while (0)

struct world {
	silex_db *db;
	char path[64];
};

static void open_db(struct world *w)
{
	silex_options o;
	silex_options_init(&o);
	OK(silex_open(w->path, &o, &w->db, err));
}

static void reopen(struct world *w)
{
	OK(silex_close(w->db, err));
	open_db(w);
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->path, "/tmp/companion_test.XXXXXX");
	assert_non_null(mkdtemp(w->path));
	open_db(w);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	char command[100];
	OK(silex_close(w->db, err));
	snprintf(command, sizeof command, "rm -rf %s", w->path);
	free(w);
	return system(command);
}

static struct slx_tenant *tenant(struct world *w, const char *name)
{
	struct slx_tenant *t;
	OK(slx_engine_tenant(slx_api_engine(w->db), slx_str(name), &t, err));
	return t;
}

/* ---- exemplars ---- */

static void put_exemplar(struct world *w, const char *name, const char *series, int64_t t, double v, const char *trace)
{
	struct slx_labels_builder b;
	struct slx_label labels[2] = { { SLX_STR("trace_id"), slx_str(trace) }, { SLX_STR("empty"), SLX_STR("") } };
	struct slx_exemplar_row row = { .t = t, .value = v, .labels = labels, .n_labels = 2 };
	size_t written = 0;
	slx_labels_builder_init(&b, slx_api_mem(w->db), SLX_MEM_OTHER, NULL);
	OK(slx_labels_parse_text(&b, slx_str(series), &row.series, err));
	OK(slx_engine_exemplar_put(slx_api_engine(w->db), tenant(w, name), &row, 1, &written, NULL, err));
	assert_int_equal(written, 1);
	slx_labels_builder_free(&b);
}

static bool say_exemplar(void *arg, const struct slx_exemplar_row *row)
{
	struct slx_buf *to = arg;
	char text[100];
	slx_labels_format(row->series, to);
	slx_buf_put(to, text, (size_t)snprintf(text, sizeof text, " %lld %g", (long long)row->t, row->value));
	for (size_t i = 0; i < row->n_labels; i++)
		slx_buf_put(to, text, (size_t)snprintf(text, sizeof text, " %.*s=%.*s", (int)row->labels[i].name.n, row->labels[i].name.p,
				(int)row->labels[i].value.n, row->labels[i].value.p));
	slx_buf_put(to, "\n", 1);
	return true;
}

static void check_exemplars(struct world *w, const char *name, const char *selector, struct slx_time_range range, const char *want)
{
	struct slx_selector sel;
	struct slx_buf got;
	slx_buf_init(&got, slx_api_mem(w->db), SLX_MEM_OTHER, 1 << 20);
	OK(slx_selector_parse(slx_api_mem(w->db), slx_str(selector), &sel, err));
	OK(slx_engine_exemplars(slx_api_engine(w->db), slx_str(name), sel.matchers, sel.n, range, say_exemplar, &got, err));
	slx_buf_u8(&got, 0);
	assert_string_equal((char *)got.p, want);
	slx_selector_free(&sel);
	slx_buf_free(&got);
}

static void check_all(struct world *w)
{
	check_exemplars(w, "default", "req", SLX_TIME_ALL, "req{code=\"200\"} 5 0.5 trace_id=a empty=\nreq{code=\"200\"} 9 0.7 trace_id=c empty=\n"
							   "req{code=\"500\"} 7 2 trace_id=b empty=\n");
	check_exemplars(w, "default", "req{code=\"500\"}", (struct slx_time_range){ 7, 7 }, "req{code=\"500\"} 7 2 trace_id=b empty=\n");
	check_exemplars(w, "default", "req", (struct slx_time_range){ 6, 8 }, "req{code=\"500\"} 7 2 trace_id=b empty=\n");
	check_exemplars(w, "other", "req", SLX_TIME_ALL, "req{code=\"200\"} 5 1 trace_id=z empty=\n");
	check_exemplars(w, "nobody", "req", SLX_TIME_ALL, "");
}

static bool add_name(void *arg, const char *name)
{
	strcat(strcat(arg, name), " ");
	return true;
}

static void test_exemplars(void **state)
{
	struct world *w = *state;
	put_exemplar(w, "default", "req{code=\"200\"}", 5, 0.5, "a");
	put_exemplar(w, "default", "req{code=\"500\"}", 7, 2, "b");
	put_exemplar(w, "default", "req{code=\"200\"}", 9, 0.7, "c");
	put_exemplar(w, "default", "req{code=\"200\"}", 5, 0.5, "a"); /* again, late */
	put_exemplar(w, "other", "req{code=\"200\"}", 5, 1, "z");
	check_all(w);
	reopen(w);
	check_all(w);
	OK(silex_checkpoint(w->db, err));
	check_all(w);
	put_exemplar(w, "default", "req{code=\"200\"}", 5, 0.5, "a");
	OK(silex_checkpoint(w->db, err));
	OK(silex_compact(w->db, NULL, err));
	check_all(w);

	char names[100] = "";
	silex_metrics m = { 0 };
	OK(silex_list_tenants(w->db, add_name, names, err));
	assert_string_equal(names, "");
	m.size = sizeof m;
	OK(silex_get_metrics(w->db, &m, err));
	assert_int_equal(m.tenants, 0);
	assert_int_equal(m.points_blocks, 0);
	assert_int_equal(m.points_head, 0);
	assert_int_equal(m.points_ingested, 0);
	assert_int_equal(m.series, 0);
	silex_label label = { "__name__", "x" };
	silex_error err;
	assert_int_equal(silex_insert(w->db, "default!exemplars", &label, 1, 1, silex_float(1), &err), SILEX_INVALID);
}

static void test_several_at_one_time(void **state)
{
	struct world *w = *state;
	struct slx_labels_builder b;
	struct slx_labels series;
	slx_labels_builder_init(&b, slx_api_mem(w->db), SLX_MEM_OTHER, NULL);
	OK(slx_labels_parse_text(&b, SLX_STR("h"), &series, err));
	struct slx_exemplar_row rows[] = { { series, 3, 1, NULL, 0 }, { series, 3, 2, NULL, 0 }, { series, 4, 3, NULL, 0 }, { series, INT64_MIN, 4, NULL, 0 } };
	size_t written;
	uint64_t lsn;
	OK(slx_engine_exemplar_put(slx_api_engine(w->db), tenant(w, "default"), rows, 4, &written, &lsn, err));
	OK(slx_engine_wait(slx_api_engine(w->db), lsn, err));
	assert_int_equal(written, 3);
	slx_labels_builder_free(&b);
	check_exemplars(w, "default", "h", SLX_TIME_ALL, "h 3 1\nh 3 2\nh 4 3\n");
}

static void test_deleted_with_their_series(void **state)
{
	struct world *w = *state;
	silex_label label[2] = { { "__name__", "req" }, { "code", "200" } };
	for (int flushed = 0; flushed < 3; flushed++) {
		uint64_t n;
		OK(silex_insert(w->db, "default", label, 2, 5, silex_float(1), err));
		put_exemplar(w, "default", "req{code=\"200\"}", 5, 1, "a");
		put_exemplar(w, "default", "req{code=\"200\"}", 6, 1, "b");
		put_exemplar(w, "default", "req{code=\"404\"}", 5, 1, "c");
		if (flushed)
			OK(silex_checkpoint(w->db, err));
		OK(silex_delete(w->db, "default", "req{code=\"200\"}", 0, 5, &n, err));
		assert_int_equal(n, 1);
		check_exemplars(w, "default", "req", SLX_TIME_ALL, "req{code=\"200\"} 6 1 trace_id=b empty=\nreq{code=\"404\"} 5 1 trace_id=c empty=\n");
		if (flushed == 2)
			OK(silex_compact(w->db, NULL, err));
		reopen(w);
		check_exemplars(w, "default", "req", SLX_TIME_ALL, "req{code=\"200\"} 6 1 trace_id=b empty=\nreq{code=\"404\"} 5 1 trace_id=c empty=\n");
	}
}

/* ---- metadata ---- */

static bool say_metadata(void *arg, const struct slx_metadata_row *row)
{
	char text[200];
	slx_buf_put(arg, text, (size_t)snprintf(text, sizeof text, "%.*s %.*s [%.*s] %.*s\n", (int)row->metric.n, row->metric.p, (int)row->type.n, row->type.p,
			(int)row->unit.n, row->unit.p, (int)row->help.n, row->help.p));
	return true;
}

static void check_metadata(struct world *w, const char *metric, const char *want)
{
	struct slx_buf got;
	slx_buf_init(&got, slx_api_mem(w->db), SLX_MEM_OTHER, 1 << 20);
	OK(slx_engine_metadata(slx_api_engine(w->db), SLX_STR("default"), slx_str(metric), say_metadata, &got, err));
	slx_buf_u8(&got, 0);
	assert_string_equal((char *)got.p, want);
	slx_buf_free(&got);
}

/* Whether it was written. */
static bool put_metadata(struct world *w, const char *metric, const char *type, const char *unit, const char *help)
{
	struct slx_metadata_row rows[2] = { { slx_str(metric), slx_str(type), slx_str(unit), slx_str(help) }, { .help = SLX_STR("of nothing") } };
	uint64_t lsn;
	OK(slx_engine_metadata_put(slx_api_engine(w->db), tenant(w, "default"), rows, 2, &lsn, err));
	OK(slx_engine_wait(slx_api_engine(w->db), lsn, err));
	return lsn != 0;
}

static void test_metadata(void **state)
{
	struct world *w = *state;
	assert_true(put_metadata(w, "up", "gauge", "", "Is it up?"));
	assert_true(put_metadata(w, "req", "counter", "", "Requests"));
	assert_false(put_metadata(w, "up", "gauge", "", "Is it up?"));
	assert_true(put_metadata(w, "req", "counter", "seconds", "Requests"));
	for (int round = 0; round < 4; round++) {
		check_metadata(w, "", "req counter [seconds] Requests\nup gauge [] Is it up?\n");
		check_metadata(w, "up", "up gauge [] Is it up?\n");
		check_metadata(w, "none", "");
		assert_false(put_metadata(w, "up", "gauge", "", "Is it up?"));
		assert_false(put_metadata(w, "req", "counter", "seconds", "Requests"));
		if (round == 1)
			OK(silex_checkpoint(w->db, err));
		if (round == 2)
			OK(silex_compact(w->db, NULL, err));
		reopen(w);
	}
	for (int i = 0; i < 300; i++) {
		char metric[32];
		snprintf(metric, sizeof metric, "m%d", i);
		assert_true(put_metadata(w, metric, "gauge", "", "One of many"));
		assert_false(put_metadata(w, metric, "gauge", "", "One of many"));
	}
	assert_false(put_metadata(w, "m17", "gauge", "", "One of many"));
	check_metadata(w, "m17", "m17 gauge [] One of many\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exemplars, begin, end),
		cmocka_unit_test_setup_teardown(test_several_at_one_time, begin, end),
		cmocka_unit_test_setup_teardown(test_deleted_with_their_series, begin, end),
		cmocka_unit_test_setup_teardown(test_metadata, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
