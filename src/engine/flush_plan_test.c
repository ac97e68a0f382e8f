/* Plans of random histories: every counted window lies in exactly one range of one job, and jobs obey the policy. */
#include "engine/engine_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

static struct slx_mem mem;

static struct slx_flush_plan make(const struct slx_levels *l, struct slx_window_count *c, size_t n)
{
	struct slx_flush_plan p;
	assert_int_equal(slx_flush_plan_make(&mem, l, c, n, &p, NULL), SILEX_OK);
	return p;
}

static void check(const struct slx_levels *l, const struct slx_flush_plan *p, const struct slx_window_count *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slx_time_range w = slx_levels_window(l, 0, c[i].start);
		size_t in = 0;
		for (size_t j = 0; j < p->n; j++)
			for (size_t k = 0; k < p->jobs[j].n_ranges; k++) {
				struct slx_time_range r = p->jobs[j].ranges[k];
				assert_true(r.from <= r.to);
				if (slx_range_overlaps(r, w)) {
					assert_true(slx_range_covers(r, w)); /* no window is cut in two */
					in++;
				}
			}
		assert_int_equal(in, 1);
	}
	for (size_t j = 0; j < p->n; j++) {
		const struct slx_flush_job *job = &p->jobs[j];
		struct slx_time_range w = slx_levels_window(l, job->level, job->window_start);
		assert_int_equal(w.from, job->window_start);
		assert_true(job->n_ranges > 0);
		for (size_t k = 0; k < job->n_ranges; k++) {
			assert_true(slx_range_covers(w, job->ranges[k]));
			assert_true(k == 0 || job->ranges[k - 1].to < job->ranges[k].from);
		}
	}
}

static void test_random_histories(void **state)
{
	static const int64_t spans[] = { 7200, 86400, 30 * 86400, 3650 * 86400 };
	struct slx_levels l;
	uint64_t rng = 20261121;
	slx_levels_init(&l, INT64_C(7200) * SLX_SECOND);
	for (int round = 0; round < 500; round++) {
		struct slx_window_count c[200];
		size_t n = 1 + slx_rng_next(&rng) % 200, unique = 0;
		int64_t span = spans[slx_rng_next(&rng) % 4];
		for (size_t i = 0; i < n; i++) {
			int64_t t = ((int64_t)(slx_rng_next(&rng) % (uint64_t)span) - span / 3) * SLX_SECOND;
			if (slx_rng_next(&rng) % 50 == 0)
				t = slx_rng_next(&rng) % 2 ? SLX_TIME_MIN : SLX_TIME_MAX;
			c[unique] = (struct slx_window_count){ slx_levels_window(&l, 0, t).from, 1 + slx_rng_next(&rng) % (slx_rng_next(&rng) % 4 ? 1000 : 4000000) };
			bool known = false;
			for (size_t k = 0; k < unique; k++)
				known |= c[k].start == c[unique].start;
			unique += !known;
		}
		struct slx_flush_plan p = make(&l, c, unique);
		check(&l, &p, c, unique);
		slx_flush_plan_free(&p);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A monitor's two hours are one block of two hours; ten years of daily points are one block. */
static void test_shapes(void **state)
{
	struct slx_levels l;
	slx_levels_init(&l, INT64_C(7200) * SLX_SECOND);
	struct slx_window_count one = { slx_levels_window(&l, 0, INT64_C(1700000000) * SLX_SECOND).from, 5000000 };
	struct slx_flush_plan p = make(&l, &one, 1);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.jobs[0].level, 0);
	slx_flush_plan_free(&p);
	struct slx_window_count *days = calloc(3650, sizeof *days);
	for (int i = 0; i < 3650; i++)
		days[i] = (struct slx_window_count){ slx_levels_window(&l, 0, INT64_C(86400) * i * SLX_SECOND).from, 100 };
	p = make(&l, days, 3650);
	assert_true(p.n <= 2);
	check(&l, &p, days, 3650);
	slx_flush_plan_free(&p);
	free(days);
	p = make(&l, NULL, 0);
	assert_int_equal(p.n, 0);
	slx_flush_plan_free(&p);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_histories), cmocka_unit_test(test_shapes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
