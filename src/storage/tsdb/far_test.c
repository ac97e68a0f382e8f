/* A block's object read in another store: what arrives is what was sent, one request for what is read on, one fetch for what
 * several threads want at once. */
#include "base/clock.h"
#include "base/thread.h"
#include "storage/tsdb/far.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

enum { SIZE = 5 * (1 << 20) + 12345 };

struct fixture {
	struct slx_mem mem;
	struct slx_cache *cache;
	struct slx_store *far, *local, *one;
	struct slx_far_source source;
	uint8_t *bytes;
};

static void put(struct slx_store *s, const char *name, const uint8_t *p, size_t n)
{
	struct slx_store_writer *w;
	assert_int_equal(slx_store_begin(s, name, &w, NULL), SILEX_OK);
	assert_int_equal(slx_store_append(w, p, n, NULL), SILEX_OK);
	assert_int_equal(slx_store_commit(w, NULL), SILEX_OK);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct slx_stub stub, read;
	uint64_t rng = 1;
	slx_mem_init(&f->mem, NULL);
	f->bytes = malloc(SIZE + 8);
	for (size_t i = 0; i < SIZE; i += 8) {
		uint64_t x = slx_rng_next(&rng);
		memcpy(f->bytes + i, &x, 8);
	}
	assert_int_equal(slx_cache_new(&f->mem, 64 << 20, &f->cache, NULL), SILEX_OK);
	assert_int_equal(slx_store_open_memory(&f->mem, &f->far, NULL), SILEX_OK);
	assert_int_equal(slx_store_open_memory(&f->mem, &f->local, NULL), SILEX_OK);
	put(f->far, "object", f->bytes, SIZE);
	put(f->local, "b.slx", f->bytes, SIZE);
	assert_int_equal(slx_stub_make(f->local, "b.slx", SIZE, &f->mem, NULL, NULL, &stub, NULL), SILEX_OK);
	stub.tail_at = SIZE - 1000;
	assert_int_equal(slx_stub_write(&stub, f->local, "b.slx", f->local, "b.stub", NULL), SILEX_OK);
	slx_stub_free(&stub);
	assert_int_equal(slx_store_remove(f->local, "b.slx", NULL), SILEX_OK);
	assert_int_equal(slx_stub_read(f->local, "b.stub", &f->mem, &read, NULL), SILEX_OK);
	f->source = (struct slx_far_source){ .name = "far", .store = f->far };
	assert_int_equal(slx_far_open(&f->source, "object", f->local, "b.stub", &read, f->cache, &f->mem, &f->one, NULL), SILEX_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	slx_store_close(f->one);
	slx_store_close(f->far);
	slx_store_close(f->local);
	slx_cache_free(f->cache);
	assert_int_equal(slx_mem_total(&f->mem), 0);
	free(f->bytes);
	free(f);
	return 0;
}

static void expect(struct fixture *f, uint64_t at, size_t n)
{
	uint8_t *p = malloc(n + 1);
	silex_error err;
	if (slx_store_get_range(f->one, "b.slx", at, n, p, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	assert_memory_equal(p, f->bytes + at, n);
	free(p);
}

static void any_range(void **state)
{
	struct fixture *f = *state;
	uint64_t rng = 7, size;
	assert_int_equal(slx_store_size(f->one, "b.slx", &size, NULL), SILEX_OK);
	assert_int_equal(size, SIZE);
	for (int i = 0; i < 300; i++) {
		uint64_t at = slx_rng_next(&rng) % SIZE;
		expect(f, at, slx_rng_next(&rng) % (i % 3 ? 1000 : 700000) % (SIZE - at));
	}
	uint8_t x;
	assert_int_equal(slx_store_get_range(f->one, "b.slx", SIZE, 1, &x, NULL), SILEX_CORRUPT);
}

/* The end is in the stub; a scan in small pieces takes few requests; a second one none. */
static void requests(void **state)
{
	struct fixture *f = *state;
	expect(f, SIZE - 900, 900);
	assert_int_equal(f->source.counters.requests, 0);
	expect(f, 1 << 20, 100);
	assert_int_equal(f->source.counters.requests, 1);
	assert_int_equal(f->source.counters.bytes, SLX_FAR_SEGMENT);
	for (uint64_t at = 0; at + 4096 < SIZE; at += 4096)
		expect(f, at, 4096);
	uint64_t n = f->source.counters.requests;
	assert_in_range(n, 3, 10);
	for (uint64_t at = 0; at + 4096 < SIZE; at += 4096)
		expect(f, at, 4096);
	assert_int_equal(f->source.counters.requests, n);
}

static void *scan(void *arg)
{
	for (uint64_t at = 0; at + 4096 < SIZE; at += 4096)
		expect(arg, at, 4096);
	return NULL;
}

static void threads(void **state)
{
	struct fixture *f = *state;
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, scan, f);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_true(f->source.counters.bytes <= SIZE); /* nothing is fetched twice */
}

static void damage(void **state)
{
	struct fixture *f = *state;
	silex_error err;
	uint8_t x;
	assert_int_equal(slx_store_remove(f->far, "object", NULL), SILEX_OK);
	f->bytes[300000] ^= 1;
	put(f->far, "object", f->bytes, SIZE);
	expect(f, 0, 1000);
	assert_int_equal(slx_store_get_range(f->one, "b.slx", 300100, 1, &x, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "far"));
	assert_int_equal(f->source.counters.corrupted, SLX_FAR_TRIES);
	assert_int_equal(slx_store_remove(f->far, "object", NULL), SILEX_OK);
	assert_int_equal(slx_store_get_range(f->one, "b.slx", 2000000, 1, &x, &err), SILEX_UNAVAILABLE);
	f->source.store = NULL;
	assert_int_equal(slx_store_get_range(f->one, "b.slx", 2000000, 1, &x, &err), SILEX_UNAVAILABLE);
	f->source.store = f->far;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_range, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
