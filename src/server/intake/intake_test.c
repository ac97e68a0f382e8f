#include "server/intake/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SPACE = SLX_SPACE_TEXT };

static silex_db *open_db(uint64_t series_limit)
{
	silex_db *db;
	silex_error err;
	silex_options o;
	silex_options_init(&o);
	o.series_limit = series_limit;
	if (silex_open(NULL, &o, &db, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	return db;
}

static void close_db(silex_db *db, struct slx_intake *i)
{
	struct slx_mem *mem = slx_api_mem(db);
	int64_t before = atomic_load(&mem->used[SLX_MEM_OTHER]);
	slx_intake_free(i);
	assert_true(atomic_load(&mem->used[SLX_MEM_OTHER]) < before);
	assert_int_equal(silex_close(db, NULL), SILEX_OK);
}

static struct slx_intake *new_intake(silex_db *db, size_t cache_bytes)
{
	struct slx_intake_limits l = { .cache_bytes_max = cache_bytes };
	struct slx_intake *i;
	assert_int_equal(slx_intake_new(db, &l, &i, NULL), SILEX_OK);
	return i;
}

static struct slx_intake_batch *begin(struct slx_intake *i)
{
	struct slx_intake_batch *b;
	silex_error err;
	if (slx_intake_begin(i, SLX_STR("t"), &b, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	return b;
}

static silex_status find_series(struct slx_intake_batch *b, unsigned k, bool *ret_known, uint32_t *ret)
{
	char key[32];
	int n = snprintf(key, sizeof key, "series %u", k);
	*ret_known = slx_intake_lookup(b, slx_intake_key(SPACE, key, (size_t)n), ret) == SILEX_OK;
	if (*ret_known)
		return SILEX_OK;
	const struct slx_label labels[] = { { SLX_STR("k"), { key, (size_t)n } }, { SLX_METRIC_NAME, SLX_STR("m") } };
	return slx_intake_define(b, slx_intake_key(SPACE, key, (size_t)n), labels, 2, ret, NULL);
}

/* Series number k by its key; made when it is unknown. */
static uint32_t series(struct slx_intake_batch *b, unsigned k, bool *ret_known)
{
	uint32_t no;
	assert_int_equal(find_series(b, k, ret_known, &no), SILEX_OK);
	return no;
}

static struct slx_intake_result commit(struct slx_intake_batch *b)
{
	struct slx_intake_result r;
	silex_error err;
	if (slx_intake_commit(b, &r, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	return r;
}

static void read_back(silex_db *db, const char *selector, uint64_t *ret_n, uint64_t *ret_series, double *ret_sum)
{
	silex_query q;
	silex_cursor *c;
	silex_batch batch;
	silex_error err;
	silex_query_init(&q);
	q.tenant = "t";
	q.selectors = &selector;
	q.n_selectors = 1;
	*ret_n = *ret_series = 0;
	*ret_sum = 0;
	if (silex_query_run(db, &q, &c, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	while (silex_cursor_next(c, &batch, &err) == SILEX_OK && batch.n) {
		*ret_n += batch.n;
		*ret_series = batch.series + 1;
		for (size_t i = 0; i < batch.n; i++)
			*ret_sum += batch.values[i];
	}
	silex_cursor_close(c);
}

static void holds(silex_db *db, uint64_t n, uint64_t n_series, double sum)
{
	uint64_t have, have_series;
	double have_sum;
	read_back(db, "m", &have, &have_series, &have_sum);
	assert_int_equal(have, n);
	assert_int_equal(have_series, n_series);
	assert_true(have_sum == sum);
}

/* --- tests ----------------------------------------------------------------------------------------------------------- */

static void known_the_second_time(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 0);
	bool known;
	for (int round = 0; round < 3; round++) {
		struct slx_intake_batch *b = begin(i);
		for (unsigned k = 0; k < 1000; k++) {
			uint32_t s = series(b, k, &known);
			assert_int_equal(known, round > 0);
			slx_intake_float(b, s, round * SLX_SECOND, k);
		}
		struct slx_intake_result r = commit(b);
		assert_int_equal(r.samples, 1000);
		assert_int_equal(r.refused, 0);
	}
	holds(db, 3000, 1000, 3 * 499500.0);
	struct slx_intake_batch *b;
	uint32_t s;
	assert_int_equal(slx_intake_begin(i, SLX_STR("other"), &b, NULL), SILEX_OK); /* a tenant's keys are its own */
	assert_int_equal(slx_intake_lookup(b, slx_intake_key(SPACE, "series 1", 8), &s), SILEX_NOT_FOUND);
	slx_intake_abandon(b);
	assert_int_equal(slx_intake_begin(i, SLX_STR("no/tenant"), &b, NULL), SILEX_INVALID);
	close_db(db, i);
}

/* A flush between finding a series and writing to it: the samples go to the new head, under the same labels. */
static void over_flushes(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 0);
	bool known;
	for (int round = 0; round < 4; round++) {
		struct slx_intake_batch *b = begin(i);
		uint32_t s[50];
		for (unsigned k = 0; k < 50; k++) {
			s[k] = series(b, k, &known);
			assert_false(known); /* what was known is forgotten with its head */
		}
		assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
		for (unsigned k = 0; k < 50; k++)
			slx_intake_float(b, s[k], round * SLX_SECOND, 1);
		for (unsigned k = 50; k < 60; k++) /* of another head than the rest */
			slx_intake_float(b, series(b, k, &known), round * SLX_SECOND, 2);
		struct slx_intake_result r = commit(b);
		assert_int_equal(r.samples, 60);
		assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	}
	holds(db, 240, 60, 4 * 70);
	close_db(db, i);
}

static void too_many_flushes(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 0);
	struct slx_intake_batch *b = begin(i);
	const struct slx_label l = { SLX_METRIC_NAME, SLX_STR("m") };
	silex_status status = SILEX_OK;
	uint32_t s;
	for (int k = 0; k < 10 && status == SILEX_OK; k++) {
		status = slx_intake_define(b, slx_intake_key(SPACE, &k, sizeof k), &l, 1, &s, NULL);
		if (status != SILEX_OK)
			break;
		slx_intake_float(b, s, k, 1);
		assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	}
	assert_int_equal(status, SILEX_UNAVAILABLE);
	struct slx_intake_result r;
	assert_int_equal(slx_intake_commit(b, &r, NULL), SILEX_UNAVAILABLE);
	close_db(db, i);
}

static void refused_by_themselves(void **state)
{
	silex_db *db = open_db(2);
	struct slx_intake *i = new_intake(db, 0);
	struct slx_intake_batch *b = begin(i);
	silex_error err;
	uint32_t good, other;
	bool known;
	const struct slx_label twice[] = { { SLX_METRIC_NAME, SLX_STR("m") }, { SLX_STR("a"), SLX_STR("1") }, { SLX_STR("a"), SLX_STR("2") } };
	const struct slx_label none[] = { { SLX_STR("a"), SLX_STR("") } };
	assert_int_equal(slx_intake_define(b, slx_intake_key(SPACE, "x", 1), twice, 3, &other, &err), SILEX_INVALID);
	slx_intake_refuse(b, 7, err.code, twice, 3, err.message);
	assert_int_equal(slx_intake_define(b, slx_intake_key(SPACE, "x", 1), none, 1, &other, &err), SILEX_INVALID);
	slx_intake_refuse(b, 1, err.code, none, 1, err.message);
	good = series(b, 1, &known);
	slx_intake_float(b, good, 1, 1);
	slx_intake_float(b, good, INT64_MIN, 1);
	slx_intake_float(b, good, INT64_MAX, 1);
	slx_intake_value(b, good, 2, SLX_KIND_INT64, 4);
	series(b, 2, &known);
	const struct slx_label third[] = { { SLX_METRIC_NAME, SLX_STR("third") } };
	assert_int_equal(slx_intake_define(b, slx_intake_key(SPACE, "y", 1), third, 1, &other, &err), SILEX_RESOURCE_EXHAUSTED);
	slx_intake_refuse(b, 1, err.code, third, 1, err.message);
	struct slx_intake_result r = commit(b);
	assert_int_equal(r.samples, 2);
	assert_int_equal(r.refused, 11);
	assert_int_equal(r.first_code, SILEX_INVALID);
	assert_string_equal(r.first_series, "{__name__=\"m\",a=\"1\",a=\"2\"}");
	assert_non_null(strstr(r.first_message, "given twice"));
	holds(db, 2, 1, 5);

	b = begin(i);
	slx_intake_float(b, series(b, 1, &known), INT64_MIN, 1);
	r = commit(b);
	assert_string_equal(r.first_series, "m{k=\"series 1\"}");
	assert_non_null(strstr(r.first_message, "outside the years"));
	close_db(db, i);
}

/* More rows than wait at once, and a cache that holds far fewer series than there are. */
static void many_and_a_small_cache(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 1);
	bool known;
	unsigned hits = 0;
	for (int round = 0; round < 2; round++) {
		struct slx_intake_batch *b = begin(i);
		for (unsigned k = 0; k < 20000; k++) {
			slx_intake_float(b, series(b, k, &known), round, 1);
			hits += known;
		}
		assert_int_equal(commit(b).samples, 20000);
	}
	assert_true(hits < 10000);
	holds(db, 40000, 20000, 40000);
	close_db(db, i);
}

static void histograms(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 0);
	struct slx_intake_batch *b = begin(i);
	bool known;
	uint32_t s = series(b, 1, &known);
	const struct slx_span span = { 0, 2 };
	const double counts[] = { 1, 2 };
	struct slx_histogram h = { .schema = 0, .count = 3, .sum = 4, .positive_spans = &span, .positive_spans_n = 1, .positive = counts, .positive_n = 2 };
	for (int64_t t = 0; t < 10000; t++)
		slx_intake_histogram(b, s, t, &h);
	h.positive_n = 1; /* fewer than the span says */
	slx_intake_histogram(b, s, 1, &h);
	struct slx_intake_result r = commit(b);
	assert_int_equal(r.histograms, 10000);
	assert_int_equal(r.samples, 0);
	assert_int_equal(r.refused, 1);
	close_db(db, i);
}

struct writer {
	pthread_t thread;
	struct slx_intake *intake;
	unsigned first;
};

enum { WRITERS = 4, ROUNDS = 60, OWN = 300, SHARED = 100 };

static void write_float(struct slx_intake_batch *b, unsigned k, int64_t t)
{
	bool known;
	uint32_t no;
	if (find_series(b, k, &known, &no) == SILEX_OK)
		slx_intake_float(b, no, t, 1);
}

/* A batch that more flushes came into than it has pins is sent again, as a client does. No assertions: they jump. */
static void *write_rounds(void *arg)
{
	struct writer *w = arg;
	for (int64_t round = 0; round < ROUNDS;) {
		struct slx_intake_batch *b;
		struct slx_intake_result r;
		if (slx_intake_begin(w->intake, SLX_STR("t"), &b, NULL) != SILEX_OK)
			return NULL;
		for (unsigned k = 0; k < OWN; k++)
			write_float(b, w->first + k, round);
		for (unsigned k = 0; k < SHARED; k++) /* the same series and times from all writers */
			write_float(b, k, round);
		silex_status status = slx_intake_commit(b, &r, NULL);
		if (status != SILEX_OK && status != SILEX_UNAVAILABLE)
			return NULL;
		round += status == SILEX_OK && r.samples == OWN + SHARED;
	}
	return w;
}

static void writers_and_flushes(void **state)
{
	silex_db *db = open_db(0);
	struct slx_intake *i = new_intake(db, 16 << 10);
	struct writer w[WRITERS];
	for (unsigned k = 0; k < WRITERS; k++) {
		w[k] = (struct writer){ .intake = i, .first = 1000 * (k + 1) };
		assert_int_equal(pthread_create(&w[k].thread, NULL, write_rounds, &w[k]), 0);
	}
	for (int k = 0; k < 20; k++)
		assert_int_equal(silex_checkpoint(db, NULL), SILEX_OK);
	for (unsigned k = 0; k < WRITERS; k++) {
		void *done;
		pthread_join(w[k].thread, &done);
		assert_non_null(done);
	}
	uint64_t n = ROUNDS * (WRITERS * OWN + SHARED);
	holds(db, n, WRITERS * OWN + SHARED, (double)n);
	close_db(db, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_the_second_time),
		cmocka_unit_test(over_flushes),
		cmocka_unit_test(too_many_flushes),
		cmocka_unit_test(refused_by_themselves),
		cmocka_unit_test(many_and_a_small_cache),
		cmocka_unit_test(histograms),
		cmocka_unit_test(writers_and_flushes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
