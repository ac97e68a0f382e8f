/* One suite for both implementations, then what only files can show. */
#include "base/vfs_sim.h"
#include "storage/meta/meta_int.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct slx_mem mem;

static bool join(void *arg, const char *key)
{
	strcat(strcat(arg, key), " ");
	return strcmp(key, "stop") != 0;
}

static void check_value(struct slx_meta *m, const char *key, const char *value, uint64_t version)
{
	uint8_t *bytes = NULL;
	size_t n = 0;
	uint64_t found = 0;
	assert_int_equal(slx_meta_get(m, key, &bytes, &n, &found, NULL), SILEX_OK);
	assert_int_equal(n, strlen(value));
	assert_memory_equal(bytes, value, n);
	assert_int_equal(found, version);
	slx_free(&mem, SLX_MEM_OTHER, bytes, n);
}

static void suite(struct slx_meta *m)
{
	silex_error err;
	uint8_t *bytes = NULL;
	size_t n = 0;
	uint64_t version = 0;
	char names[64] = "";
	assert_int_equal(slx_meta_get(m, "MANIFEST", &bytes, &n, &version, &err), SILEX_NOT_FOUND);
	assert_int_equal(slx_meta_cas(m, "MANIFEST", "one", 3, 1, &version, &err), SILEX_CONFLICT);
	assert_non_null(strstr(err.message, "version is 0; expected 1"));
	assert_int_equal(slx_meta_cas(m, "MANIFEST", "one", 3, 0, &version, &err), SILEX_OK);
	assert_int_equal(version, 1);
	check_value(m, "MANIFEST", "one", 1);
	assert_int_equal(slx_meta_cas(m, "MANIFEST", "other", 5, 0, &version, &err), SILEX_CONFLICT);
	check_value(m, "MANIFEST", "one", 1);
	assert_int_equal(slx_meta_cas(m, "MANIFEST", "", 0, 1, NULL, &err), SILEX_OK);
	check_value(m, "MANIFEST", "", 2);
	assert_int_equal(slx_meta_cas(m, "stop", "s", 1, 0, NULL, &err), SILEX_OK);
	assert_int_equal(slx_meta_cas(m, "a-1", "x", 1, 0, NULL, &err), SILEX_OK);
	assert_int_equal(slx_meta_cas(m, "zz", "x", 1, 0, NULL, &err), SILEX_OK);
	assert_int_equal(slx_meta_list(m, "", join, names, &err), SILEX_OK);
	assert_string_equal(names, "MANIFEST a-1 stop ");
	names[0] = '\0';
	assert_int_equal(slx_meta_list(m, "z", join, names, &err), SILEX_OK);
	assert_string_equal(names, "zz ");
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "x.tmp", "\xc3\xa4" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(slx_meta_cas(m, bad[i], "x", 1, 0, NULL, &err), SILEX_INVALID);
}

static void test_memory(void **state)
{
	struct slx_meta *m = NULL;
	assert_int_equal(slx_meta_open_memory(&mem, &m, NULL), SILEX_OK);
	suite(m);
	slx_meta_close(m);
	slx_meta_close(NULL);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_file(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_meta *m = NULL;
	char names[64] = "";
	silex_error err;
	assert_int_equal(slx_meta_open_file(v, &mem, "/none", true, &m, &err), SILEX_OK);
	assert_int_equal(slx_meta_list(m, "", join, names, &err), SILEX_OK);
	assert_string_equal(names, "");
	slx_meta_close(m);
	assert_int_equal(slx_meta_open_file(v, &mem, "/meta", false, &m, &err), SILEX_OK);
	suite(m);
	slx_meta_close(m);
	assert_int_equal(slx_meta_open_file(v, &mem, "/meta", true, &m, &err), SILEX_OK);
	check_value(m, "MANIFEST", "", 2);
	assert_int_equal(slx_meta_cas(m, "MANIFEST", "x", 1, 2, NULL, &err), SILEX_PERMISSION_DENIED);
	slx_meta_close(m);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_damage_is_named(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_meta *m = NULL;
	uint8_t *bytes = NULL, file[64];
	size_t n = 0;
	uint64_t version = 0;
	silex_error err;
	assert_int_equal(slx_meta_open_file(v, &mem, "/meta", false, &m, &err), SILEX_OK);
	assert_int_equal(slx_meta_cas(m, "K", "some bytes", 10, 0, NULL, &err), SILEX_OK);
	for (uint64_t bit = 0; bit < 42 * 8; bit++) {
		assert_true(slx_vfs_sim_flip_bit(sim, "/meta/K", bit));
		silex_status st = slx_meta_get(m, "K", &bytes, &n, &version, &err);
		assert_true(st == SILEX_CORRUPT || (st == SILEX_UNSUPPORTED && bit / 8 >= 8 && bit / 8 < 10));
		assert_non_null(strstr(err.message, "/meta/K"));
		assert_int_equal(slx_meta_cas(m, "K", "x", 1, 1, NULL, &err), st); /* what is not understood is not replaced */
		assert_true(slx_vfs_sim_flip_bit(sim, "/meta/K", bit));
	}
	check_value(m, "K", "some bytes", 1);
	slx_meta_encode("x", 1, 1, file);
	file[SLX_META_HEADER_SIZE] = 'x';
	file[8] = 9;
	assert_int_equal(slx_vfs_write_file(v, "/meta/K", file, SLX_META_HEADER_SIZE + 1, &err), SILEX_OK);
	assert_int_equal(slx_meta_get(m, "K", &bytes, &n, &version, &err), SILEX_UNSUPPORTED);
	assert_non_null(strstr(err.message, "format 9; this release reads up to 0"));
	for (size_t cut = 0; cut < SLX_META_HEADER_SIZE + 1; cut++) {
		assert_int_equal(slx_vfs_write_file(v, "/meta/K", file, cut, &err), SILEX_OK);
		assert_int_not_equal(slx_meta_get(m, "K", &bytes, &n, &version, &err), SILEX_OK);
	}
	slx_meta_close(m);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* At each call and each fault: what cas promised is there afterwards, and nothing else than old or new. */
static void test_faults(void **state)
{
	static const enum slx_sim_fault faults[] = { SLX_SIM_EIO, SLX_SIM_ENOSPC, SLX_SIM_SHORT, SLX_SIM_SYNC_FAILS,
		SLX_SIM_POWER_CUT, SLX_SIM_KILL };
	for (unsigned i = 0; i < 6 * 12 * 20; i++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(i);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_meta *m = NULL;
		uint64_t version = 0;
		uint8_t *bytes = NULL;
		size_t n = 0;
		assert_int_equal(slx_meta_open_file(v, &mem, "/meta", false, &m, NULL), SILEX_OK);
		assert_int_equal(slx_meta_cas(m, "K", "1", 1, 0, NULL, NULL), SILEX_OK);
		slx_vfs_sim_arm(sim, faults[i % 6], 1 + i / 6 % 12);
		silex_status st = slx_meta_cas(m, "K", "2", 1, 1, NULL, NULL);
		slx_vfs_sim_heal(sim);
		slx_vfs_sim_reboot(sim, faults[i % 6] != SLX_SIM_KILL);
		slx_meta_close(m);
		assert_int_equal(slx_meta_open_file(v, &mem, "/meta", false, &m, NULL), SILEX_OK);
		assert_int_equal(slx_meta_get(m, "K", &bytes, &n, &version, NULL), SILEX_OK);
		assert_int_equal(n, 1);
		assert_int_equal(bytes[0], version == 2 ? '2' : '1');
		assert_true(version == 2 || (version == 1 && st != SILEX_OK));
		slx_free(&mem, SLX_MEM_OTHER, bytes, n);
		slx_meta_close(m);
		slx_vfs_sim_free(sim);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_damage_is_named),
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
