/* Directories that cannot be had: in use, read-only, of a newer version, not there. As an ordinary user: root may write
 * everywhere. */
#include "storage/meta/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char root[64], db[80];
};

static const silex_label label = { "__name__", "hr" };

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->root, sizeof f->root, "/tmp/silex-directory-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	chmod(f->root, 0755);
	snprintf(f->db, sizeof f->db, "%s/db", f->root);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *x)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	chmod(f->db, 0755);
	nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void make(struct fixture *f, bool checkpoint)
{
	silex_db *db;
	silex_error err;
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK);
	for (int i = 0; i < 100; i++)
		assert_int_equal(silex_insert(db, NULL, &label, 1, i, silex_float(i), &err), SILEX_OK);
	if (checkpoint)
		assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
	assert_int_equal(silex_insert(db, NULL, &label, 1, 100, silex_float(100), &err), SILEX_OK);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
}

static uint64_t points_of(silex_db *db)
{
	silex_series_info info;
	silex_error err;
	assert_int_equal(silex_series_info_get(db, NULL, &label, 1, &info, &err), SILEX_OK);
	return info.count;
}

static void test_in_use(void **state)
{
	struct fixture *f = *state;
	silex_db *db, *second;
	silex_options o;
	silex_error err;
	char words[64];
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK);
	assert_int_equal(silex_open(f->db, NULL, &second, &err), SILEX_CONFLICT);
	snprintf(words, sizeof words, "in use by pid %ld", (long)getpid());
	assert_non_null(strstr(err.message, words));
	silex_options_init(&o);
	o.read_only = true;
	assert_int_equal(silex_open(f->db, &o, &second, &err), SILEX_CONFLICT);
	assert_non_null(strstr(err.message, words));
	assert_non_null(strstr(err.message, "snapshot"));
	assert_int_equal(silex_insert(db, NULL, &label, 1, 1, silex_float(1), &err), SILEX_OK);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK);
	assert_int_equal(points_of(db), 1);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
}

static void test_two_readers(void **state)
{
	struct fixture *f = *state;
	silex_db *a, *b;
	silex_options o;
	silex_error err;
	make(f, true);
	silex_options_init(&o);
	o.read_only = true;
	assert_int_equal(silex_open(f->db, &o, &a, &err), SILEX_OK);
	assert_int_equal(silex_open(f->db, &o, &b, &err), SILEX_OK);
	assert_int_equal(points_of(a), 101);
	assert_int_equal(points_of(b), 101);
	assert_int_equal(silex_insert(a, NULL, &label, 1, 7, silex_float(7), &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(silex_delete(a, NULL, "", 0, 5, NULL, &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(silex_checkpoint(a, &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(silex_compact(a, NULL, &err), SILEX_PERMISSION_DENIED);
	assert_int_equal(silex_close(a, &err), SILEX_OK);
	assert_int_equal(silex_close(b, &err), SILEX_OK);
}

/* What an ordinary user may do with a directory of root's. Exit codes are line numbers. */
static int as_nobody(struct fixture *f)
{
	silex_db *db;
	silex_options o;
	silex_error err;
	silex_verify_report report;
	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		return __LINE__;
	if (silex_open(f->db, NULL, &db, &err) != SILEX_PERMISSION_DENIED || !strstr(err.message, f->db))
		return fprintf(stderr, "%s\n", err.message), __LINE__ % 256;
	silex_options_init(&o);
	o.read_only = true;
	if (silex_open(f->db, &o, &db, &err) != SILEX_OK)
		return fprintf(stderr, "%s\n", err.message), __LINE__ % 256;
	silex_series_info info;
	if (silex_series_info_get(db, NULL, &label, 1, &info, &err) != SILEX_OK || info.count != 101)
		return __LINE__ % 256;
	if (silex_close(db, &err) != SILEX_OK)
		return __LINE__ % 256;
	if (silex_verify(f->db, NULL, NULL, NULL, NULL, &report, &err) != SILEX_OK)
		return fprintf(stderr, "%s\n", err.message), __LINE__ % 256;
	return 0;
}

static void make_unwritable(struct fixture *f, mode_t folder)
{
	char path[128];
	static const char *const dirs[] = { "meta", "blocks", "wal", "" };
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", f->db, dirs[i]);
		chmod(path, folder);
	}
	snprintf(path, sizeof path, "%s/LOCK", f->db);
	chmod(path, 0444);
}

static void test_read_only_directory(void **state)
{
	struct fixture *f = *state;
	int status;
	for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
		snprintf(f->db, sizeof f->db, "%s/db%d", f->root, checkpoint);
		make(f, checkpoint);
		make_unwritable(f, 0555);
		pid_t pid = fork();
		if (pid == 0)
			_exit(as_nobody(f));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		make_unwritable(f, 0755);
		if (status)
			fail_msg("checkpoint %d: failed at line %d", checkpoint, WEXITSTATUS(status));
	}
}

/* A folder that an ordinary user may not even look into. */
static int as_nobody_shut_out(struct fixture *f)
{
	silex_db *db;
	silex_error err;
	silex_options o;
	silex_options_init(&o);
	o.read_only = true;
	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		return __LINE__ % 256;
	if (silex_open(f->db, &o, &db, &err) != SILEX_PERMISSION_DENIED)
		return fprintf(stderr, "%s\n", err.message), __LINE__ % 256;
	return 0;
}

static void test_shut_directory(void **state)
{
	struct fixture *f = *state;
	int status;
	make(f, true);
	chmod(f->db, 0000);
	pid_t pid = fork();
	if (pid == 0)
		_exit(as_nobody_shut_out(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	chmod(f->db, 0755);
	assert_int_equal(status, 0);
}

static void set_manifest_word(struct fixture *f, size_t at, uint8_t value)
{
	struct slx_mem mem;
	struct slx_meta *m;
	uint8_t *p;
	size_t n;
	uint64_t version;
	char dir[128];
	slx_mem_init(&mem, NULL);
	snprintf(dir, sizeof dir, "%s/meta", f->db);
	assert_int_equal(slx_meta_open_file(slx_vfs_posix(), &mem, dir, false, &m, NULL), SILEX_OK);
	assert_int_equal(slx_meta_get(m, "MANIFEST", &p, &n, &version, NULL), SILEX_OK);
	p[at] = value;
	assert_int_equal(slx_meta_cas(m, "MANIFEST", p, n, version, NULL, NULL), SILEX_OK);
	slx_free(&mem, SLX_MEM_OTHER, p, n);
	slx_meta_close(m);
}

static void test_newer_version(void **state)
{
	struct fixture *f = *state;
	silex_db *db;
	silex_error err;
	make(f, true);
	set_manifest_word(f, 0, 9);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_UNSUPPORTED);
	assert_non_null(strstr(err.message, "format 9"));
	set_manifest_word(f, 0, 0);
	set_manifest_word(f, 4, 0x40);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_UNSUPPORTED);
	assert_non_null(strstr(err.message, "0x40"));
	set_manifest_word(f, 4, 0);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK); /* nothing was harmed */
	assert_int_equal(points_of(db), 101);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
}

/* Without its manifest a directory is not taken for an empty one, and its blocks stay. */
static void test_manifest_gone(void **state)
{
	struct fixture *f = *state;
	silex_db *db;
	silex_error err;
	char path[128], aside[128];
	make(f, true);
	snprintf(path, sizeof path, "%s/meta/MANIFEST", f->db);
	snprintf(aside, sizeof aside, "%s/MANIFEST", f->root);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "MANIFEST"));
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK);
	assert_int_equal(points_of(db), 101);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
}

static void test_not_there(void **state)
{
	struct fixture *f = *state;
	silex_db *db;
	silex_options o;
	silex_error err;
	silex_options_init(&o);
	o.must_exist = true;
	assert_int_equal(silex_open(f->db, &o, &db, &err), SILEX_NOT_FOUND);
	assert_non_null(strstr(err.message, f->db));
	assert_int_equal(access(f->db, F_OK), -1);
	silex_options_init(&o);
	o.read_only = true;
	assert_int_equal(silex_open(f->db, &o, &db, &err), SILEX_NOT_FOUND);
	assert_int_equal(access(f->db, F_OK), -1);
	snprintf(f->db, sizeof f->db, "%s/a-file", f->root);
	close(open(f->db, O_CREAT | O_WRONLY, 0644));
	assert_int_not_equal(silex_open(f->db, NULL, &db, &err), SILEX_OK);
	assert_non_null(strstr(err.message, "a-file"));
	assert_int_not_equal(silex_open("/dev/null/x", NULL, &db, &err), SILEX_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_readers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shut_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_manifest_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_there, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
