/* The operating system's files through the VFS table. */
#include "base/vfs.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct slx_mem mem;
static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static int setup(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/slx_vfs_test_XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static bool remove_each(void *arg, const char *name)
{
	slx_vfs_posix()->unlink(slx_vfs_posix(), in_dir(name), NULL);
	return true;
}

static int teardown(void **state)
{
	struct slx_vfs *v = slx_vfs_posix();
	v->list(v, dir, remove_each, NULL, NULL);
	return v->rmdir(v, dir, NULL) == SILEX_OK && slx_mem_total(&mem) == 0 ? 0 : -1;
}

static void test_read_write(void **state)
{
	struct slx_vfs *v = slx_vfs_posix();
	struct slx_file *f = NULL;
	silex_error err;
	char buf[8] = "";
	uint64_t size = 0;
	assert_int_equal(v->open(v, in_dir("a"), SLX_OPEN_READ, &f, &err), SILEX_NOT_FOUND);
	assert_non_null(strstr(err.message, "/a"));
	assert_int_equal(v->open(v, in_dir("a"), SLX_OPEN_WRITE | SLX_OPEN_CREATE | SLX_OPEN_EXCL, &f, &err), SILEX_OK);
	assert_int_equal(slx_file_write(f, "hello", 5, 3, &err), SILEX_OK);
	assert_int_equal(slx_file_sync(f, &err), SILEX_OK);
	assert_int_equal(slx_file_size(f, &size, &err), SILEX_OK);
	assert_int_equal(size, 8);
	assert_int_equal(slx_file_read(f, buf, 8, 0, &err), SILEX_OK);
	assert_memory_equal(buf, "\0\0\0hello", 8);
	assert_int_equal(slx_file_read(f, buf, 8, 1, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "short read"));
	assert_int_equal(slx_file_truncate(f, 4, &err), SILEX_OK);
	assert_int_equal(slx_file_read(f, buf, 4, 0, &err), SILEX_OK);
	slx_file_close(f);
	slx_file_close(NULL);
	assert_int_equal(
		v->open(v, in_dir("a"), SLX_OPEN_WRITE | SLX_OPEN_CREATE | SLX_OPEN_EXCL, &f, &err), SILEX_CONFLICT);
}

static bool count_names(void *arg, const char *name)
{
	++*(int *)arg;
	return true;
}

static void test_names(void **state)
{
	struct slx_vfs *v = slx_vfs_posix();
	uint64_t space = 0, total = 0;
	int names = 0;
	assert_int_equal(slx_vfs_write_file(v, in_dir("x"), "1", 1, NULL), SILEX_OK);
	assert_int_equal(v->link(v, in_dir("x"), in_dir("y"), NULL), SILEX_OK);
	assert_int_equal(v->rename(v, in_dir("x"), in_dir("z"), NULL), SILEX_OK);
	assert_int_equal(v->sync_dir(v, dir, NULL), SILEX_OK);
	assert_int_equal(v->list(v, dir, count_names, &names, NULL), SILEX_OK);
	assert_int_equal(names, 3); /* a of the test before, y, z */
	assert_int_equal(v->unlink(v, in_dir("x"), NULL), SILEX_NOT_FOUND);
	assert_int_equal(v->mkdir(v, dir, NULL), SILEX_OK);
	assert_int_equal(v->mkdir(v, in_dir("z"), NULL), SILEX_CONFLICT);
	assert_int_equal(v->free_space(v, dir, &space, &total, NULL), SILEX_OK);
	assert_true(space > 0 && total >= space);
}

static void test_whole_files(void **state)
{
	struct slx_vfs *v = slx_vfs_posix();
	uint8_t *bytes = NULL;
	size_t n = 0;
	silex_error err;
	assert_int_equal(slx_vfs_write_file(v, in_dir("w.tmp"), "leftover", 8, &err), SILEX_OK);
	assert_int_equal(slx_vfs_write_file(v, in_dir("w"), "first", 5, &err), SILEX_OK);
	assert_int_equal(slx_vfs_write_file(v, in_dir("w"), "2nd", 3, &err), SILEX_OK);
	assert_int_equal(slx_vfs_read_file(v, &mem, in_dir("w"), 3, &bytes, &n, &err), SILEX_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(bytes, "2nd", 3);
	slx_free(&mem, SLX_MEM_OTHER, bytes, n);
	assert_int_equal(slx_vfs_read_file(v, &mem, in_dir("w"), 2, &bytes, &n, &err), SILEX_CORRUPT);
	assert_int_equal(slx_vfs_read_file(v, &mem, in_dir("none"), 2, &bytes, &n, &err), SILEX_NOT_FOUND);
}

static void test_locks(void **state)
{
	struct slx_vfs *v = slx_vfs_posix();
	struct slx_file *writer = NULL, *reader = NULL, *reader2 = NULL;
	silex_error err;
	assert_int_equal(v->open(v, in_dir("LOCK"), SLX_OPEN_WRITE | SLX_OPEN_CREATE, &writer, &err), SILEX_OK);
	assert_int_equal(slx_file_write(writer, "4711\n", 5, 0, &err), SILEX_OK);
	assert_int_equal(v->open(v, in_dir("LOCK"), SLX_OPEN_READ, &reader, &err), SILEX_OK);
	assert_int_equal(v->open(v, in_dir("LOCK"), SLX_OPEN_READ, &reader2, &err), SILEX_OK);
	assert_int_equal(slx_file_lock(writer, SLX_LOCK_EXCLUSIVE, &err), SILEX_OK);
	assert_int_equal(slx_file_lock(reader, SLX_LOCK_SHARED, &err), SILEX_CONFLICT);
	assert_non_null(strstr(err.message, "in use by pid 4711"));
	slx_file_close(writer);
	assert_int_equal(slx_file_lock(reader, SLX_LOCK_SHARED, &err), SILEX_OK);
	assert_int_equal(slx_file_lock(reader2, SLX_LOCK_SHARED, &err), SILEX_OK);
	slx_file_close(reader);
	slx_file_close(reader2);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_whole_files),
		cmocka_unit_test(test_locks),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
