#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct slx_mem mem;

static void count_part(void *arg, size_t i)
{
	_Atomic int *seen = arg;
	atomic_fetch_add(&seen[i], 1);
}

static void test_run_calls_each_part_once(void **state)
{
	static const unsigned threads[] = { 0, 1, 4 };
	static _Atomic int seen[1000];
	for (size_t t = 0; t < 3; t++) {
		struct slx_pool *p = NULL;
		assert_int_equal(slx_pool_new(&mem, threads[t], "test", &p, NULL), SILEX_OK);
		assert_int_equal(slx_pool_threads(p), threads[t]);
		for (size_t parts = 0; parts <= 1000; parts += 111) {
			for (size_t i = 0; i < 1000; i++)
				seen[i] = 0;
			slx_pool_run(p, parts, count_part, seen);
			for (size_t i = 0; i < 1000; i++)
				assert_int_equal(seen[i], i < parts);
		}
		slx_pool_free(p);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void add_one(void *arg) { atomic_fetch_add((_Atomic int *)arg, 1); }

struct nested {
	struct slx_pool *pool;
	_Atomic int done;
};

static void nothing(void *arg, size_t i) { atomic_fetch_add((_Atomic int *)arg, 1); }

static void run_inside(void *arg, size_t i)
{
	struct nested *n = arg;
	slx_pool_run(n->pool, 8, nothing, &n->done);
}

static void test_tasks_finish_before_free_and_runs_nest(void **state)
{
	struct slx_pool *p = NULL;
	_Atomic int tasks = 0;
	assert_int_equal(slx_pool_new(&mem, 2, "test", &p, NULL), SILEX_OK);
	for (int i = 0; i < 500; i++)
		assert_int_equal(slx_pool_submit(p, add_one, (void *)&tasks, NULL), SILEX_OK);
	struct nested n = { .pool = p };
	slx_pool_run(p, 16, run_inside, &n);
	assert_int_equal(n.done, 128);
	slx_pool_free(p);
	assert_int_equal(tasks, 500);
	assert_int_equal(slx_mem_total(&mem), 0);
	slx_pool_free(NULL);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_calls_each_part_once),
		cmocka_unit_test(test_tasks_finish_before_free_and_runs_nest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
