/* Snapshots, backups, the log's archive and restore, on a simulated file system. */
#include "backup_lib.h"

static void snapshot_and_back(struct world *w, silex_db *db, bool one_file, const char *path, const char *dir)
{
	silex_snapshot_options so;
	silex_snapshot_info info;
	silex_restore_info back;
	silex_error e;
	struct sum before = sum_of(db, NULL);
	silex_snapshot_options_init(&so);
	so.one_file = one_file;
	OK(silex_snapshot(db, path, &so, &info, err));
	assert_true(info.points >= before.points); /* blocks keep deleted samples until a merge */
	assert_int_equal(info.linked, one_file ? 0 : info.blocks);
	assert_int_equal(silex_snapshot(db, path, &so, NULL, &e), SILEX_CONFLICT);
	silex_restore_options ro = restoring(w);
	OK(silex_restore(path, dir, &ro, &back, err));
	assert_int_equal(back.points, info.points);
	assert_same(sum_at(w, dir, NULL), before);
	assert_int_equal(silex_restore(path, dir, &ro, NULL, &e), SILEX_CONFLICT);
	assert_non_null(strstr(e.message, "--force"));
	ro.force = true;
	OK(silex_restore(path, dir, &ro, &back, err));
	assert_same(sum_at(w, dir, NULL), before);
	ro.id = "x";
	assert_int_equal(silex_restore(path, "other", &ro, NULL, &e), SILEX_INVALID);
}

static void test_snapshot(void **state)
{
	struct world w;
	silex_db *db;
	world_init(&w, 1);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 2000, err));
	snapshot_and_back(&w, db, false, "snap", "a");
	snapshot_and_back(&w, db, true, "snap.silex", "b");
	OK(put(db, NULL, 2000, 100, err));
	OK(silex_delete(db, NULL, "load{host=\"h1\"}", SILEX_TIME_MIN, SILEX_TIME_MAX, &(uint64_t){ 0 }, err));
	snapshot_and_back(&w, db, false, "snap2", "c");
	assert_int_equal(sum_at(&w, "snap", NULL).points, 2000); /* opens as it is */
	OK(silex_close(db, err));
	world_free(&w);
}

/* An empty database is one too. */
static void test_empty(void **state)
{
	struct world w;
	silex_db *db;
	world_init(&w, 2);
	OK(silex_open("db", &w.o, &db, err));
	snapshot_and_back(&w, db, false, "snap", "a");
	snapshot_and_back(&w, db, true, "snap.silex", "b");
	OK(silex_close(db, err));
	world_free(&w);
}

static void test_refuses(void **state)
{
	struct world w;
	silex_db *db;
	silex_error e;
	world_init(&w, 3);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 100, err));
	OK(silex_snapshot(db, "snap", NULL, NULL, err));
	silex_restore_options ro = restoring(&w);
	ro.force = true;
	assert_int_equal(silex_restore("snap", "db", &ro, NULL, &e), SILEX_CONFLICT); /* in use */
	assert_int_equal(silex_restore("db", "new", &ro, NULL, &e), SILEX_CONFLICT); /* no snapshot but at work */
	assert_int_equal(sum_of(db, NULL).points, 100);
	OK(slx_vfs_write_file(w.o.env.vfs, "full/notes.txt", "mine", 4, err) == SILEX_OK ? SILEX_OK : (w.o.env.vfs->mkdir(w.o.env.vfs, "full", NULL),
		slx_vfs_write_file(w.o.env.vfs, "full/notes.txt", "mine", 4, err)));
	assert_int_equal(silex_restore("snap", "full", &ro, NULL, &e), SILEX_CONFLICT);
	assert_non_null(strstr(e.message, "notes.txt"));
	OK(silex_close(db, err));
	world_free(&w);
}

/* --- backups --- */

struct shown {
	silex_backup_info v[16];
	size_t n;
};

static bool show(void *arg, const silex_backup_info *i)
{
	struct shown *s = arg;
	s->v[s->n++] = *i;
	return true;
}

static struct shown list(struct world *w, const char *target)
{
	struct shown s = { .n = 0 };
	OK(silex_backup_list(target, &w->o, show, &s, err));
	return s;
}

static void test_backup(void **state)
{
	struct world w;
	silex_db *db;
	silex_backup_info a, b, c;
	silex_backup_report report;
	silex_prune_report pruned;
	world_init(&w, 4);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 1000, err));
	OK(silex_backup_create(db, "target", NULL, &a, err));
	struct sum first = sum_of(db, NULL);
	assert_int_equal(a.new_blocks, a.blocks);
	OK(put(db, NULL, 1000, 500, err));
	OK(silex_backup_create(db, "target", NULL, &b, err));
	struct sum second = sum_of(db, NULL);
	assert_true(b.new_blocks < b.blocks);
	OK(silex_compact(db, &(silex_compact_options){ .size = sizeof(silex_compact_options), .full = true }, err));
	silex_backup_options full;
	silex_backup_options_init(&full);
	full.full = true;
	OK(silex_backup_create(db, "target", &full, &c, err));
	assert_int_equal(list(&w, "target").n, 3);
	assert_string_equal(list(&w, "target").v[0].id, a.id);
	OK(silex_backup_verify("target", &w.o, NULL, NULL, NULL, NULL, &report, err));
	assert_int_equal(report.backups, 3);

	silex_restore_options ro = restoring(&w);
	ro.id = a.id;
	OK(silex_restore("target", "r1", &ro, NULL, err));
	assert_same(sum_at(&w, "r1", NULL), first);
	ro.id = NULL;
	OK(silex_restore("target", "r2", &ro, NULL, err));
	assert_same(sum_at(&w, "r2", NULL), second);

	OK(silex_backup_prune("target", &w.o, 1, true, &pruned, err));
	assert_int_equal(pruned.backups, 2);
	assert_int_equal(list(&w, "target").n, 3);
	OK(silex_backup_prune("target", &w.o, 1, false, &pruned, err));
	assert_int_equal(pruned.kept, 1);
	assert_true(pruned.blocks > 0);
	OK(silex_backup_verify("target", &w.o, NULL, NULL, NULL, NULL, &report, err));
	OK(silex_restore("target", "r3", &ro, NULL, err));
	assert_same(sum_at(&w, "r3", NULL), second);
	OK(silex_close(db, err));
	world_free(&w);
}

static void test_tenants(void **state)
{
	struct world w;
	silex_db *db, *other;
	silex_error e;
	world_init(&w, 5);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, "icu", 0, 700, err));
	OK(put(db, "ward", 0, 300, err));
	struct sum icu = sum_of(db, "icu");
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	OK(silex_open("other", &w.o, &other, err));
	OK(put(other, NULL, 0, 50, err));
	silex_restore_options ro = restoring(&w);
	ro.tenant_from = "icu";
	ro.tenant_to = "copy";
	silex_restore_info info;
	OK(silex_restore_into("target", other, &ro, &info, err));
	assert_int_equal(info.points, icu.points);
	assert_same(sum_of(other, "copy"), icu);
	assert_int_equal(sum_of(other, NULL).points, 50);
	ro.tenant_from = "nobody";
	assert_int_equal(silex_restore_into("target", other, &ro, &info, &e), SILEX_NOT_FOUND);
	assert_int_equal(silex_restore("target", "x", &ro, &info, &e), SILEX_INVALID);
	OK(silex_close(other, err));
	OK(silex_close(db, err));
	world_free(&w);
}

static bool print_fault(void *arg, const char *line)
{
	print_message("%s\n", line);
	return true;
}

/* --- to a moment --- */

enum { MOMENTS = 12 };

static void crash(struct world *w, silex_db **db, silex_archive **archive)
{
	if (!slx_vfs_sim_fired(w->sim))
		slx_vfs_sim_arm(w->sim, SLX_SIM_KILL, 1);
	silex_archive_close(*archive);
	silex_close(*db, NULL);
	slx_vfs_sim_heal(w->sim);
	slx_vfs_sim_reboot(w->sim, true);
	OK(silex_open("db", &w->o, db, err));
	OK(silex_archive_open(*db, "target", 0, archive, err));
}

/* Work goes on with shipping, flushes, crashes and backups in between; then each moment is restored. */
static void archive_run(uint64_t seed)
{
	struct world w;
	silex_db *db;
	silex_archive *archive;
	silex_archive_info info;
	struct moment {
		int64_t ns;
		struct sum sum;
	} moments[MOMENTS];
	world_init(&w, seed);
	w.o.wal_segment_size = 1 << 16;
	OK(silex_open("db", &w.o, &db, err));
	OK(silex_archive_open(db, "target", 0, &archive, err));
	OK(put(db, NULL, 0, 50, err));
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	uint64_t rng = seed;
	for (int i = 0; i < MOMENTS; i++) {
		OK(put(db, NULL, 50 + 300 * i, (int)(slx_rng_next(&rng) % 300), err));
		if (i % 3 == 1)
			OK(silex_delete(db, NULL, "load{host=\"h2\"}", SILEX_TIME_MIN, SILEX_TIME_MAX, &(uint64_t){ 0 }, err));
		w.now_ns += 5000000;
		moments[i].ns = w.now_ns;
		moments[i].sum = sum_of(db, NULL);
		w.now_ns += 1000000000;
		unsigned what = slx_rng_next(&rng) % 7;
		if (what < 3)
			OK(silex_archive_ship(archive, &info, err));
		if (what == 1 || what == 4)
			OK(silex_checkpoint(db, err));
		w.now_ns += INT64_C(600) * 1000000000; /* a power cut may bring back a lease that was given up */
		if (what == 2)
			OK(silex_backup_create(db, "target", NULL, NULL, err));
		if (what == 5) {
			slx_vfs_sim_arm(w.sim, SLX_SIM_KILL, 1);
			crash(&w, &db, &archive);
		}
		if (what == 6) { /* the power goes in the middle of something */
			slx_vfs_sim_arm(w.sim, SLX_SIM_POWER_CUT, 1 + slx_rng_next(&rng) % 80);
			for (int k = 0; k < 40 && put(db, NULL, 50 + 300 * i + k, 1, NULL) == SILEX_OK; k++)
				if (k % 7 == 6 && (silex_archive_ship(archive, NULL, NULL) != SILEX_OK || silex_checkpoint(db, NULL) != SILEX_OK))
					break;
			crash(&w, &db, &archive);
		}
	}
	OK(silex_archive_ship(archive, &info, err));
	assert_int_equal(info.lost_segments, 0);
	assert_int_equal(info.waiting_bytes, 0);
	silex_backup_report report;
	OK(silex_backup_verify("target", &w.o, NULL, NULL, print_fault, NULL, &report, err));
	assert_true(report.log_frames > 0);
	for (int i = 0; i < MOMENTS; i++) {
		silex_restore_options ro = restoring(&w);
		ro.until_ns = moments[i].ns;
		ro.force = true;
		OK(silex_restore("target", "back", &ro, NULL, err));
		struct sum s = sum_at(&w, "back", NULL);
		if (!same(s, moments[i].sum))
			fail_msg("seed %llu: moment %d: %llu points, expected %llu", (unsigned long long)seed, i, (unsigned long long)s.points,
				(unsigned long long)moments[i].sum.points);
	}
	silex_restore_options ro = restoring(&w);
	ro.until_ns = SILEX_TIME_MAX;
	OK(silex_restore("target", "end", &ro, NULL, err));
	assert_same(sum_at(&w, "end", NULL), sum_of(db, NULL));
	/* The restored one goes on with a log of its own, at the same target. */
	silex_db *second;
	silex_archive *archive2;
	OK(silex_open("end", &w.o, &second, err));
	OK(silex_archive_open(second, "target", 0, &archive2, err));
	OK(put(second, NULL, 9000, 100, err));
	OK(silex_archive_ship(archive2, &info, err));
	OK(silex_backup_verify("target", &w.o, NULL, NULL, NULL, NULL, &report, err));
	silex_archive_close(archive2);
	OK(silex_archive_end(second, err));
	OK(silex_close(second, err));
	silex_prune_report pruned;
	w.now_ns += INT64_C(600) * 1000000000; /* a power cut may bring back a lease that was given up */
	OK(silex_backup_prune("target", &w.o, 1, false, &pruned, err));
	OK(silex_restore("target", "end2", &ro, NULL, err));
	assert_same(sum_at(&w, "end2", NULL), sum_of(db, NULL));
	silex_archive_close(archive);
	OK(silex_close(db, err));
	world_free(&w);
}

static void test_archive(void **state)
{
	for (uint64_t seed = 1; seed <= 25; seed++)
		archive_run(seed);
}

static void test_archive_gap(void **state)
{
	struct world w;
	silex_db *db;
	silex_archive *archive;
	silex_error e;
	world_init(&w, 9);
	OK(silex_open("db", &w.o, &db, err));
	OK(put(db, NULL, 0, 100, err));
	OK(silex_backup_create(db, "target", NULL, NULL, err));
	silex_restore_options ro = restoring(&w);
	ro.until_ns = SILEX_TIME_MAX;
	assert_int_equal(silex_restore("target", "r", &ro, NULL, &e), SILEX_NOT_FOUND); /* no log there */
	OK(put(db, NULL, 100, 2000, err));
	OK(silex_checkpoint(db, err)); /* cuts what nobody archives */
	OK(silex_archive_open(db, "target", 0, &archive, err));
	OK(put(db, NULL, 3000, 10, err));
	OK(silex_archive_ship(archive, NULL, err));
	silex_status st = silex_restore("target", "r", &ro, NULL, &e);
	assert_true(st == SILEX_OK || (st == SILEX_CORRUPT && strstr(e.message, "gap")));
	ro.until_ns = 1000;
	assert_int_equal(silex_restore("target", "r2", &ro, NULL, &e), SILEX_NOT_FOUND);
	assert_non_null(strstr(e.message, "oldest"));
	silex_archive_close(archive);
	OK(silex_close(db, err));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_backup),
		cmocka_unit_test(test_tenants),
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_archive_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
