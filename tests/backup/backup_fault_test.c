/* What goes wrong with targets, files and disks: a clear error, and nothing lost. */
#include "backup_lib.h"

static const enum slx_sim_fault faults[] = { SLX_SIM_EIO, SLX_SIM_ENOSPC, SLX_SIM_SHORT, SLX_SIM_SYNC_FAILS, SLX_SIM_POWER_CUT, SLX_SIM_KILL };
enum { FAULTS = sizeof faults / sizeof *faults };

static void crash_or_heal(struct world *w, enum slx_sim_fault f)
{
	slx_vfs_sim_heal(w->sim);
	if (f == SLX_SIM_POWER_CUT || f == SLX_SIM_KILL)
		slx_vfs_sim_reboot(w->sim, f == SLX_SIM_POWER_CUT);
}

/* --- a restore over a live database, with a fault at each call --- */

static bool restore_with_fault(enum slx_sim_fault f, uint64_t at)
{
	struct world w;
	silex_db *db;
	silex_error e;
	world_init(&w, at);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 60, err));
	struct sum old = sum_of(db, NULL);
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	OK(put(db, NULL, 60, 40, err));
	struct sum live = sum_of(db, NULL);
	OK(silex_close(db, err));

	silex_restore_options ro = restoring(&w);
	ro.force = true;
	slx_vfs_sim_arm(w.sim, f, at);
	silex_status st = silex_restore("target", "db", &ro, NULL, &e);
	bool fired = slx_vfs_sim_fired(w.sim);
	crash_or_heal(&w, f);
	silex_options o = w.o;
	o.must_exist = true;
	silex_status opened = silex_open("db", &o, &db, &e);
	if (opened == SILEX_OK) {
		struct sum s = sum_of(db, NULL);
		assert_true(same(s, old) || same(s, live));
		assert_true(same(s, old) || st != SILEX_OK);
		OK(silex_close(db, err));
	} else {
		assert_true(st != SILEX_OK); /* cut in the swap: refused, and the restore begun anew ends it */
	}
	OK(silex_restore("target", "db", &ro, NULL, err));
	assert_same(sum_at(&w, "db", NULL), old);
	world_free(&w);
	return fired;
}

static void test_restore_faults(void **state)
{
	for (int f = 0; f < FAULTS; f++)
		for (uint64_t at = 1; restore_with_fault(faults[f], at); at += at < 40 ? 1 : 3)
			;
}

/* --- backup and prune with a fault at each call --- */

static void check_target(struct world *w, struct sum old)
{
	silex_backup_report report;
	silex_restore_options ro = restoring(w);
	ro.force = true;
	OK(silex_backup_verify("target", &w->o, NULL, NULL, NULL, NULL, &report, err));
	assert_true(report.backups >= 1);
	OK(silex_restore("target", "check", &ro, NULL, err));
	struct sum s = sum_at(w, "check", NULL);
	assert_true(s.points >= old.points);
}

static bool backup_with_fault(enum slx_sim_fault f, uint64_t at, bool prune)
{
	struct world w;
	silex_db *db;
	silex_error e;
	world_init(&w, at);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 60, err));
	struct sum old = sum_of(db, NULL);
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	OK(put(db, NULL, 60, 40, err));
	if (prune)
		OK(silex_backup_create(db, "target", NULL, NULL, err));
	slx_vfs_sim_arm(w.sim, f, at);
	silex_status st = prune ? silex_backup_prune("target", &w.o, 1, false, NULL, &e) : silex_backup_create(db, "target", NULL, NULL, &e);
	bool fired = slx_vfs_sim_fired(w.sim);
	if (f == SLX_SIM_POWER_CUT || f == SLX_SIM_KILL) {
		slx_vfs_sim_arm(w.sim, SLX_SIM_KILL, 1);
		silex_close(db, NULL);
		crash_or_heal(&w, f);
	} else {
		crash_or_heal(&w, f);
		silex_close(db, NULL);
	}
	(void)st;
	check_target(&w, old);
	w.now_ns += INT64_C(600) * 1000000000; /* a lease that was left dies */
	OK(silex_open("db", &w.o, &db, err));
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	struct sum all = sum_of(db, NULL);
	OK(silex_backup_prune("target", &w.o, 1, false, NULL, err));
	OK(silex_close(db, err));
	check_target(&w, all);
	world_free(&w);
	return fired;
}

static void test_backup_faults(void **state)
{
	for (int f = 0; f < FAULTS; f++)
		for (uint64_t at = 1; backup_with_fault(faults[f], at, false); at += at < 40 ? 1 : 3)
			;
}

static void test_prune_faults(void **state)
{
	for (int f = 0; f < FAULTS; f++)
		for (uint64_t at = 1; backup_with_fault(faults[f], at, true); at++)
			;
}

/* --- damage --- */

struct names {
	char v[64][160];
	size_t n;
};

static bool note(void *arg, const char *name)
{
	struct names *n = arg;
	snprintf(n->v[n->n++], sizeof n->v[0], "%s", name);
	return true;
}

static bool keep_line(void *arg, const char *line)
{
	snprintf(arg, 640, "%s", line);
	return true;
}

static void test_damage(void **state)
{
	struct world w;
	silex_db *db;
	silex_archive *archive;
	silex_error e;
	world_init(&w, 5);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 200, err));
	OK(silex_archive_open(db, "target", 0, &archive, err));
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	OK(put(db, NULL, 200, 50, err));
	OK(silex_archive_ship(archive, NULL, err));
	silex_archive_close(archive);
	struct sum live = sum_of(db, NULL);
	OK(silex_close(db, err));
	struct names names = { .n = 0 };
	OK(w.o.env.vfs->list(w.o.env.vfs, "target", note, &names, err));
	assert_true(names.n >= 3);
	for (size_t i = 0; i < names.n; i++) {
		char path[200], line[640] = "";
		snprintf(path, sizeof path, "target/%s", names.v[i]);
		assert_true(slx_vfs_sim_flip_bit(w.sim, path, 8 * 70 + 3));
		assert_int_equal(silex_backup_verify("target", &w.o, NULL, NULL, keep_line, line, NULL, &e), SILEX_CORRUPT);
		assert_non_null(strstr(line, names.v[i])); /* it says which */
		silex_restore_options ro = restoring(&w);
		ro.force = true;
		ro.until_ns = SILEX_TIME_MAX;
		silex_status st = silex_restore("target", "db", &ro, NULL, &e);
		assert_true(st != SILEX_OK || strncmp(names.v[i], "log-", 4) == 0);
		if (st != SILEX_OK)
			assert_same(sum_at(&w, "db", NULL), live);
		assert_true(slx_vfs_sim_flip_bit(w.sim, path, 8 * 70 + 3));
	}
	/* Missing. */
	for (size_t i = 0; i < names.n; i++) {
		char from[200], line[640] = "";
		if (strncmp(names.v[i], "block-", 6) != 0)
			continue;
		snprintf(from, sizeof from, "target/%s", names.v[i]);
		OK(w.o.env.vfs->rename(w.o.env.vfs, from, "elsewhere", err));
		assert_int_equal(silex_backup_verify("target", &w.o, NULL, NULL, keep_line, line, NULL, &e), SILEX_CORRUPT);
		assert_non_null(strstr(line, "missing"));
		silex_restore_options ro = restoring(&w);
		assert_int_equal(silex_restore("target", "new", &ro, NULL, &e), SILEX_NOT_FOUND);
		assert_non_null(strstr(e.message, names.v[i]));
		OK(w.o.env.vfs->rename(w.o.env.vfs, "elsewhere", from, err));
	}
	/* A full backup puts damaged blocks right. */
	OK(silex_open("db", &w.o, &db, err));
	for (size_t i = 0; i < names.n; i++) {
		char path[200];
		snprintf(path, sizeof path, "target/%s", names.v[i]);
		if (strncmp(names.v[i], "block-", 6) == 0)
			assert_true(slx_vfs_sim_flip_bit(w.sim, path, 999));
	}
	silex_backup_options full;
	silex_backup_options_init(&full);
	full.full = true;
	OK(silex_backup_create(db, "target", &full, NULL, err));
	OK(silex_backup_verify("target", &w.o, NULL, NULL, NULL, NULL, NULL, err));
	OK(silex_close(db, err));
	world_free(&w);
}

/* A portable file cut at any place, or with any bit of its records turned, is refused, and what is in the directory stays. */
static void test_damaged_file(void **state)
{
	struct world w;
	silex_db *db;
	silex_error e;
	silex_snapshot_options so;
	struct slx_mem mem;
	uint8_t *bytes;
	size_t n;
	world_init(&w, 6);
	slx_mem_init(&mem, NULL);
	struct slx_vfs *v = w.o.env.vfs;
	silex_snapshot_options_init(&so);
	so.one_file = true;
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 80, err));
	OK(silex_snapshot(db, "one", &so, NULL, err));
	OK(silex_close(db, err));
	OK(slx_vfs_read_file(v, &mem, "one", 1 << 24, &bytes, &n, err));
	silex_restore_options ro = restoring(&w);
	for (size_t cut = 8; cut < n; cut += 1 + cut / 7) {
		OK(slx_vfs_write_file(v, "cut", bytes, cut, err));
		assert_int_equal(silex_restore("cut", "r", &ro, NULL, &e), SILEX_CORRUPT);
		assert_non_null(strstr(e.message, "cut: offset"));
	}
	for (size_t at = 8; at < n; at += 1 + n / 97) {
		bytes[at] ^= 16;
		OK(slx_vfs_write_file(v, "bad", bytes, n, err));
		silex_status st = silex_restore("bad", "r", &ro, NULL, &e);
		assert_true(st == SILEX_CORRUPT || st == SILEX_UNSUPPORTED);
		bytes[at] ^= 16;
	}
	slx_store16(bytes + 8, 9);
	slx_store32(bytes + 28, slx_crc32c(0, bytes, 28));
	OK(slx_vfs_write_file(v, "newer", bytes, n, err));
	assert_int_equal(silex_restore("newer", "r", &ro, NULL, &e), SILEX_UNSUPPORTED);
	assert_non_null(strstr(e.message, "newer silex"));
	slx_free(&mem, SLX_MEM_OTHER, bytes, n);
	world_free(&w);
}

/* Two at a time: the second is told who works there; a dead one's lease ends. */
static void test_lease(void **state)
{
	struct world w;
	silex_db *db;
	silex_error e;
	char name[64];
	world_init(&w, 7);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 10, err));
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	snprintf(name, sizeof name, "target/lock-0123456789abcdef-%lld", (long long)(w.now_ns / 1000000));
	OK(slx_vfs_write_file(w.o.env.vfs, name, "process 7 on moon", 17, err));
	assert_int_equal(silex_backup_create(db, "target", NULL, NULL, &e), SILEX_CONFLICT);
	assert_non_null(strstr(e.message, "process 7 on moon"));
	assert_int_equal(silex_backup_prune("target", &w.o, 1, false, NULL, &e), SILEX_CONFLICT);
	w.now_ns += INT64_C(301) * 1000000000;
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	OK(silex_close(db, err));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restore_faults),
		cmocka_unit_test(test_backup_faults),
		cmocka_unit_test(test_prune_faults),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_damaged_file),
		cmocka_unit_test(test_lease),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
