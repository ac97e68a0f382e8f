#include "base/clock.h"
#include "storage/tsdb/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
/* cmocka wants the above before it */
#include <cmocka.h>

/* A value is its key's number, so that a mix-up shows. */
static _Atomic int alive;

static uint64_t *value_new(struct slx_mem *m, uint64_t n)
{
	uint64_t *v = slx_alloc(m, SLX_MEM_CACHE, sizeof *v);
	*v = n;
	alive++;
	return v;
}

static void value_destroy(void *value, struct slx_mem *m)
{
	slx_free(m, SLX_MEM_CACHE, value, sizeof(uint64_t));
	alive--;
}

static struct slx_cache *new_cache(struct slx_mem *m, size_t limit)
{
	struct slx_cache *c;
	slx_mem_init(m, NULL);
	assert_int_equal(slx_cache_new(m, limit, &c, NULL), SILEX_OK);
	return c;
}

static void put(struct slx_cache *c, struct slx_mem *m, uint64_t object, uint64_t item, size_t bytes)
{
	slx_cache_unpin(c,
		slx_cache_put(
			c, (struct slx_cache_key){ object, item }, value_new(m, object * 1000000 + item), bytes, value_destroy));
}

static bool has(struct slx_cache *c, uint64_t object, uint64_t item)
{
	struct slx_cache_entry *e = slx_cache_get(c, (struct slx_cache_key){ object, item });
	if (!e)
		return false;
	assert_int_equal(*(uint64_t *)slx_cache_value(e), object * 1000000 + item);
	slx_cache_unpin(c, e);
	return true;
}

static void finish(struct slx_cache *c, struct slx_mem *m)
{
	slx_cache_free(c);
	assert_int_equal(alive, 0);
	assert_int_equal(slx_mem_total(m), 0);
}

static void test_get_and_put(void **state)
{
	struct slx_mem m;
	struct slx_cache *c = new_cache(&m, 1 << 20);
	assert_true(slx_cache_object(c) != 0);
	assert_true(slx_cache_object(c) != slx_cache_object(c));
	for (uint64_t i = 0; i < 5000; i++) /* the tables grow */
		put(c, &m, 1 + i % 3, i, 8);
	for (uint64_t i = 0; i < 5000; i++) {
		assert_true(has(c, 1 + i % 3, i));
		assert_false(has(c, 1 + (i + 1) % 3, i));
	}
	/* The second put of a key gets the first's value. */
	struct slx_cache_entry *e = slx_cache_put(c, (struct slx_cache_key){ 1, 0 }, value_new(&m, 77), 8, value_destroy);
	assert_int_equal(*(uint64_t *)slx_cache_value(e), 1000000);
	slx_cache_unpin(c, e);
	assert_int_equal(alive, 5000);
	finish(c, &m);
}

static void test_eviction(void **state)
{
	struct slx_mem m;
	struct slx_cache *c = new_cache(&m, 100000);
	struct slx_cache_entry *pinned =
		slx_cache_put(c, (struct slx_cache_key){ 9, 9 }, value_new(&m, 9000009), 50000, value_destroy);
	for (uint64_t i = 0; i < 1000; i++) {
		put(c, &m, 1, i, 1000);
		assert_true(has(c, 9, 9)); /* used ones and pinned ones stay */
		assert_true(slx_cache_bytes(c) <= 100000);
	}
	slx_cache_set_limit(c, 0);
	assert_int_equal(alive, 1);
	assert_true(slx_cache_bytes(c) >= 50000);
	slx_cache_unpin(c, pinned);
	slx_cache_set_limit(c, 0);
	assert_int_equal(alive, 0);
	assert_int_equal(slx_cache_bytes(c), 0);
	/* Larger than the limit: its maker may still use it. */
	struct slx_cache_entry *e =
		slx_cache_put(c, (struct slx_cache_key){ 1, 1 }, value_new(&m, 1000001), 1 << 20, value_destroy);
	assert_int_equal(*(uint64_t *)slx_cache_value(e), 1000001);
	slx_cache_unpin(c, e);
	finish(c, &m);
}

static void test_a_used_entry_outlives_unused_ones(void **state)
{
	struct slx_mem m;
	struct slx_cache *c = new_cache(&m, 200000);
	put(c, &m, 2, 7, 1000);
	int kept = 0;
	for (uint64_t i = 0; i < 2000; i++) {
		put(c, &m, 1, i, 1000);
		kept += has(c, 2, 7);
	}
	assert_true(kept > 1990);
	finish(c, &m);
}

static void test_drop_object(void **state)
{
	struct slx_mem m;
	struct slx_cache *c = new_cache(&m, 1 << 20);
	for (uint64_t i = 0; i < 100; i++) {
		put(c, &m, 1, i, 8);
		put(c, &m, 2, i, 8);
	}
	struct slx_cache_entry *e = slx_cache_get(c, (struct slx_cache_key){ 1, 50 });
	slx_cache_drop_object(c, 1);
	assert_int_equal(alive, 101);
	assert_false(has(c, 1, 50)); /* nobody finds it, its holder reads on */
	assert_int_equal(*(uint64_t *)slx_cache_value(e), 1000050);
	put(c, &m, 1, 50, 8); /* and the key is free */
	assert_true(has(c, 1, 50));
	slx_cache_unpin(c, e);
	assert_int_equal(alive, 101);
	assert_true(has(c, 2, 99));
	finish(c, &m);
}

struct shared {
	struct slx_cache *c;
	struct slx_mem *m;
	uint64_t seed;
};

static void *hammer(void *arg)
{
	struct shared *s = arg;
	uint64_t rng = s->seed;
	for (int i = 0; i < 20000; i++) {
		struct slx_cache_key key = { 1 + slx_rng_next(&rng) % 3, slx_rng_next(&rng) % 200 };
		struct slx_cache_entry *e = slx_cache_get(s->c, key);
		if (!e)
			e = slx_cache_put(
				s->c, key, value_new(s->m, key.object * 1000000 + key.item), 100 + key.item, value_destroy);
		if (*(uint64_t *)slx_cache_value(e) != key.object * 1000000 + key.item)
			abort();
		slx_cache_unpin(s->c, e);
		if (slx_rng_next(&rng) % 500 == 0)
			slx_cache_drop_object(s->c, 1 + slx_rng_next(&rng) % 3);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct slx_mem m;
	struct slx_cache *c = new_cache(&m, 20000);
	pthread_t threads[4];
	struct shared args[4];
	for (uint64_t i = 0; i < 4; i++) {
		args[i] = (struct shared){ c, &m, i };
		pthread_create(&threads[i], NULL, hammer, &args[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(slx_cache_bytes(c) <= 20000);
	finish(c, &m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_and_put),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_a_used_entry_outlives_unused_ones),
		cmocka_unit_test(test_drop_object),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
