/* One suite for both implementations, then what only folders can show. */
#include "base/vfs_sim.h"
#include "storage/store/store.h"

#include <stdarg.h>
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slx_mem mem;

static silex_status put(struct slx_store *s, const char *name, size_t n, uint8_t byte, silex_error *err)
{
	struct slx_store_writer *w = NULL;
	uint8_t piece[1000];
	memset(piece, byte, sizeof piece);
	SLX_TRY(slx_store_begin(s, name, &w, err));
	for (size_t done = 0; done < n;) {
		size_t part = n - done < sizeof piece ? n - done : sizeof piece;
		silex_status st = slx_store_append(w, piece, part, err);
		if (st != SILEX_OK) {
			slx_store_abort(w);
			return st;
		}
		done += part;
	}
	return slx_store_commit(w, err);
}

static bool join(void *arg, const char *name)
{
	strcat(strcat(arg, name), " ");
	return strcmp(name, "stop") != 0;
}

static const char *names(struct slx_store *s, const char *prefix)
{
	static char text[512];
	text[0] = '\0';
	assert_int_equal(slx_store_list(s, prefix, join, text, NULL), SILEX_OK);
	return text;
}

static void suite(struct slx_store *s)
{
	silex_error err;
	struct slx_store_writer *w = NULL, *w2 = NULL;
	uint64_t size = 0;
	uint8_t buf[8];
	assert_int_equal(slx_store_get_range(s, "a", 0, 1, buf, &err), SILEX_NOT_FOUND);
	assert_int_equal(slx_store_size(s, "a", &size, &err), SILEX_NOT_FOUND);
	assert_int_equal(slx_store_begin(s, "a", &w, &err), SILEX_OK);
	assert_int_equal(slx_store_begin(s, "a", &w2, &err), SILEX_CONFLICT);
	for (uint32_t i = 0; i < 200000; i++) {
		assert_int_equal(w->size, i * 4);
		assert_int_equal(slx_store_append(w, &i, 4, &err), SILEX_OK);
	}
	assert_int_equal(slx_store_get_range(s, "a", 0, 1, buf, &err), SILEX_NOT_FOUND);
	assert_string_equal(names(s, ""), "");
	assert_int_equal(slx_store_commit(w, &err), SILEX_OK);
	assert_int_equal(slx_store_size(s, "a", &size, &err), SILEX_OK);
	assert_int_equal(size, 800000);
	for (uint32_t i = 0; i < 200000; i += 777) {
		uint32_t found = 0;
		assert_int_equal(slx_store_get_range(s, "a", i * 4, 4, &found, &err), SILEX_OK);
		assert_int_equal(found, i);
	}
	assert_int_equal(slx_store_get_range(s, "a", 799999, 2, buf, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "a: short read"));
	assert_int_equal(slx_store_get_range(s, "a", UINT64_MAX / 2, 2, buf, &err), SILEX_CORRUPT);
	assert_int_equal(slx_store_begin(s, "a", &w, &err), SILEX_CONFLICT);

	assert_int_equal(slx_store_begin(s, "gone", &w, &err), SILEX_OK);
	assert_int_equal(slx_store_append(w, buf, 3, &err), SILEX_OK);
	slx_store_abort(w);
	slx_store_abort(NULL);
	assert_int_equal(put(s, "empty", 0, 0, &err), SILEX_OK);
	assert_int_equal(put(s, "stop", 1, 1, &err), SILEX_OK);
	assert_int_equal(put(s, "zz", 1, 1, &err), SILEX_OK);
	assert_string_equal(names(s, ""), "a empty stop ");
	assert_string_equal(names(s, "z"), "zz ");
	assert_int_equal(slx_store_quarantine(s, "zz", &err), SILEX_OK);
	assert_int_equal(slx_store_quarantine(s, "zz", &err), SILEX_NOT_FOUND);
	assert_string_equal(names(s, "z"), "zz.damaged ");
	assert_int_equal(slx_store_remove(s, "a", &err), SILEX_OK);
	assert_int_equal(slx_store_remove(s, "a", &err), SILEX_NOT_FOUND);
	assert_int_equal(slx_store_get_range(s, "a", 0, 1, buf, &err), SILEX_NOT_FOUND);
	assert_int_equal(slx_store_free_space(s, &size, &err), SILEX_OK);
	assert_true(size > 0);
	static const char *const bad[] = { "", ".", "..", ".x", "a/b", "a b", "x.tmp", "\xc3\xa4" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(slx_store_begin(s, bad[i], &w, &err), SILEX_INVALID);
}

static void test_memory(void **state)
{
	struct slx_store *s = NULL;
	assert_int_equal(slx_store_open_memory(&mem, &s, NULL), SILEX_OK);
	suite(s);
	slx_store_close(s);
	slx_store_close(NULL);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_folder(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_store *s = NULL;
	struct slx_store_writer *w = NULL;
	silex_error err;
	assert_int_equal(slx_store_open_folder(v, &mem, "/none", 0, true, &s, &err), SILEX_OK);
	assert_string_equal(names(s, ""), "");
	slx_store_close(s);
	assert_int_equal(slx_store_open_folder(v, &mem, "/blocks", 2, false, &s, &err), SILEX_OK);
	suite(s);
	slx_store_close(s);
	assert_int_equal(slx_vfs_write_file(v, "/blocks/x.tmp", "left", 4, &err), SILEX_OK);
	assert_int_equal(slx_store_open_folder(v, &mem, "/blocks", 0, true, &s, &err), SILEX_OK);
	assert_string_equal(names(s, ""), "empty stop ");
	assert_int_equal(slx_store_begin(s, "new", &w, &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_store_remove(s, "stop", &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_store_quarantine(s, "stop", &err), SILEX_PERMISSION_DENIED);
	slx_store_close(s);
	assert_int_equal(slx_store_open_folder(v, &mem, "/blocks", 0, false, &s, &err), SILEX_OK);
	assert_int_equal(v->unlink(v, "/blocks/x.tmp", &err), SILEX_NOT_FOUND);
	slx_store_close(s);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* At each call and each fault: a committed object is whole, any other is absent. */
static void test_faults(void **state)
{
	static const enum slx_sim_fault faults[] = { SLX_SIM_EIO, SLX_SIM_ENOSPC, SLX_SIM_SHORT, SLX_SIM_SYNC_FAILS,
		SLX_SIM_POWER_CUT, SLX_SIM_KILL };
	int committed = 0, refused = 0;
	for (unsigned i = 0; i < 6 * 12 * 10; i++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(i);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_store *s = NULL;
		uint64_t size = 0;
		uint8_t byte = 0;
		enum { SIZE = 600000 };
		assert_int_equal(slx_store_open_folder(v, &mem, "/blocks", 0, false, &s, NULL), SILEX_OK);
		slx_vfs_sim_arm(sim, faults[i % 6], 1 + i / 6 % 12);
		silex_status st = put(s, "a", SIZE, 7, NULL);
		slx_vfs_sim_heal(sim);
		if (st != SILEX_OK && faults[i % 6] != SLX_SIM_POWER_CUT && faults[i % 6] != SLX_SIM_KILL)
			assert_int_equal(slx_store_size(s, "a", &size, NULL), SILEX_NOT_FOUND);
		slx_vfs_sim_reboot(sim, faults[i % 6] != SLX_SIM_KILL);
		slx_store_close(s);
		assert_int_equal(slx_store_open_folder(v, &mem, "/blocks", 0, false, &s, NULL), SILEX_OK);
		bool there = slx_store_size(s, "a", &size, NULL) == SILEX_OK;
		assert_true(there || st != SILEX_OK);
		if (there) {
			assert_int_equal(size, SIZE);
			for (uint64_t at = 0; at < SIZE; at += 511) {
				assert_int_equal(slx_store_get_range(s, "a", at, 1, &byte, NULL), SILEX_OK);
				assert_int_equal(byte, 7);
			}
		}
		committed += there;
		refused += !there;
		slx_store_close(s);
		slx_vfs_sim_free(sim);
	}
	assert_true(committed && refused);
	assert_int_equal(slx_mem_total(&mem), 0);
}

enum { OBJECTS = 20, READS = 3000 };

struct reader {
	struct slx_store *store;
	uint64_t seed;
	_Atomic int *wrong;
};

static void *read_many(void *arg)
{
	struct reader *r = arg;
	for (int i = 0; i < READS; i++) {
		r->seed = r->seed * 6364136223846793005u + 1442695040888963407u;
		unsigned k = (unsigned)(r->seed >> 33) % OBJECTS;
		char name[16];
		uint8_t b = 0;
		snprintf(name, sizeof name, "o%u", k);
		silex_status st = slx_store_get_range(r->store, name, 5, 1, &b, NULL);
		if (st != SILEX_NOT_FOUND && (st != SILEX_OK || b != k))
			atomic_fetch_add(r->wrong, 1);
	}
	return NULL;
}

/* Readers share a table of three files while objects are removed and written again. */
static void test_readers_and_removals(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_store *s = NULL;
	_Atomic int wrong = 0;
	pthread_t threads[3];
	struct reader readers[3];
	char name[16];
	assert_int_equal(slx_store_open_folder(slx_vfs_sim_vfs(sim), &mem, "/blocks", 3, false, &s, NULL), SILEX_OK);
	for (unsigned i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof name, "o%u", i);
		assert_int_equal(put(s, name, 10, (uint8_t)i, NULL), SILEX_OK);
	}
	for (unsigned i = 0; i < 3; i++) {
		readers[i] = (struct reader){ s, i, &wrong };
		assert_int_equal(pthread_create(&threads[i], NULL, read_many, &readers[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "o%u", i % OBJECTS);
		assert_int_equal(slx_store_remove(s, name, NULL), SILEX_OK);
		assert_int_equal(put(s, name, 10, (uint8_t)(i % OBJECTS), NULL), SILEX_OK);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	slx_store_close(s);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_readers_and_removals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
