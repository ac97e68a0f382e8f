/* Damage: one bit flipped, or the end cut off, in each kind of file of a database. Verify names the file; a read-only
 * open says so or opens with what is left, which holds no sample that nobody wrote; nothing crashes. */
#include "base/clock.h"
#include "base/vfs_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES = 6, POINTS = 300, FILES_MAX = 16, DELETED = 11 };

struct fixture {
	struct slx_vfs_sim *sim;
	struct slx_vfs *vfs;
	silex_options opt;
	char file[FILES_MAX][96];
	size_t n_files;
};

static int64_t time_of(int i) { return INT64_C(1700000000000000000) + (int64_t)i * 60000000000; }
static double value_of(int series, int i) { return series * 1000 + i / 4.0; }

static void write_points(silex_db *db, int from, int to)
{
	silex_error err;
	for (int s = 0; s < SERIES; s++) {
		char name[8];
		silex_series *h;
		silex_value v[POINTS];
		int64_t t[POINTS];
		silex_label labels[2] = { { "__name__", "m" }, { "s", name } };
		snprintf(name, sizeof name, "s%d", s % 10);
		for (int i = from; i < to; i++) {
			t[i - from] = time_of(i);
			v[i - from] = silex_float(value_of(s, i));
		}
		assert_int_equal(silex_series_open(db, NULL, labels, 2, &h, &err), SILEX_OK);
		assert_int_equal(silex_append_values(h, t, v, (size_t)(to - from), &err), SILEX_OK);
		silex_series_close(h);
	}
}

static bool add_file(void *arg, const char *name)
{
	struct { struct fixture *f; const char *dir; } *x = arg;
	snprintf(x->f->file[x->f->n_files++], sizeof x->f->file[0], "db/%s/%s", x->dir, name);
	return x->f->n_files < FILES_MAX;
}

/* Blocks, tombstones, states and a log of several segments. */
static int set_up(void **state)
{
	static const char *const dirs[] = { "meta", "blocks", "wal" };
	struct fixture *f = calloc(1, sizeof *f);
	silex_error err;
	silex_db *db;
	silex_label door = { "__name__", "door" };
	f->sim = slx_vfs_sim_new(1);
	f->vfs = slx_vfs_sim_vfs(f->sim);
	silex_options_init(&f->opt);
	f->opt.env.vfs = f->vfs;
	f->opt.no_background = true;
	f->opt.wal_segment_size = 4096;
	f->opt.threads = 1;
	assert_int_equal(silex_open("db", &f->opt, &db, &err), SILEX_OK);
	write_points(db, 0, 100);
	assert_int_equal(silex_insert(db, NULL, &door, 1, time_of(0), silex_state("open"), &err), SILEX_OK);
	assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
	write_points(db, 100, 200);
	assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
	assert_int_equal(silex_delete(db, NULL, "m{s=\"s1\"}", time_of(20), time_of(30), NULL, &err), SILEX_OK);
	write_points(db, 200, POINTS);
	assert_int_equal(silex_close(db, &err), SILEX_OK);
	for (size_t i = 0; i < 3; i++) {
		struct { struct fixture *f; const char *dir; } x = { f, dirs[i] };
		char path[64];
		snprintf(path, sizeof path, "db/%s", dirs[i]);
		assert_int_equal(f->vfs->list(f->vfs, path, add_file, &x, &err), SILEX_OK);
	}
	assert_true(f->n_files >= 5 && f->n_files < FILES_MAX);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	slx_vfs_sim_free(f->sim);
	free(f);
	return 0;
}

struct told {
	const char *name; /* of the damaged file */
	bool named;
	unsigned lines;
	char last[200];
};

static bool on_fault(void *arg, const char *line)
{
	struct told *t = arg;
	t->lines++;
	t->named |= strstr(line, t->name) != NULL;
	snprintf(t->last, sizeof t->last, "%s", line);
	return true;
}

/* Whatever opens holds true samples only; returns their number, or -1 when it does not open. */
static int read_all(struct fixture *f, const char *what)
{
	silex_options o = f->opt;
	silex_error err = { SILEX_OK, "" };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_db *db;
	int n = 0;
	o.read_only = true;
	silex_status status = silex_open("db", &o, &db, &err);
	if (status != SILEX_OK) {
		if (status != SILEX_CORRUPT && status != SILEX_UNSUPPORTED)
			fail_msg("%s: open says %s: %s", what, silex_status_text(status), err.message);
		return -1;
	}
	const char *selector = "m";
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	status = silex_query_run(db, &q, &c, &err);
	if (status == SILEX_OK) {
		for (int errors = 0; errors < 100;) {
			status = silex_cursor_next(c, &b, &err);
			if (status == SILEX_CORRUPT) { /* a damaged page, named; the cursor may go on */
				errors++;
				continue;
			}
			if (status != SILEX_OK)
				fail_msg("%s: cursor says %s: %s", what, silex_status_text(status), err.message);
			if (b.n == 0)
				break;
			int series = b.labels[1].value[1] - '0';
			for (size_t i = 0; i < b.n; i++, n++) {
				int k = (int)((b.times[i] - time_of(0)) / 60000000000);
				if (b.times[i] != time_of(k) || b.values[i] != value_of(series, k))
					fail_msg("%s: series %d has %.17g at %lld, which nobody wrote", what, series, b.values[i], (long long)b.times[i]);
			}
		}
		silex_cursor_close(c);
	} else if (status != SILEX_CORRUPT) {
		fail_msg("%s: query says %s: %s", what, silex_status_text(status), err.message);
	}
	assert_int_equal(silex_close(db, &err), SILEX_OK);
	return n;
}

static silex_status verify(struct fixture *f, struct told *t, silex_error *err)
{
	silex_verify_report report;
	return silex_verify("db", &f->opt, NULL, on_fault, t, &report, err);
}

static void get_file(struct fixture *f, const char *path, uint8_t **ret, uint64_t *ret_n)
{
	struct slx_file *file;
	assert_int_equal(f->vfs->open(f->vfs, path, SLX_OPEN_READ, &file, NULL), SILEX_OK);
	assert_int_equal(slx_file_size(file, ret_n, NULL), SILEX_OK);
	*ret = malloc(*ret_n + 1);
	assert_int_equal(slx_file_read(file, *ret, *ret_n, 0, NULL), SILEX_OK);
	slx_file_close(file);
}

static void put_file(struct fixture *f, const char *path, const uint8_t *p, uint64_t n)
{
	struct slx_file *file;
	assert_int_equal(f->vfs->open(f->vfs, path, SLX_OPEN_WRITE, &file, NULL), SILEX_OK);
	assert_int_equal(slx_file_truncate(file, n, NULL), SILEX_OK);
	assert_int_equal(slx_file_write(file, p, n, 0, NULL), SILEX_OK);
	slx_file_close(file);
}

static void check_damage(struct fixture *f, const char *path, const char *how, uint64_t at, int whole)
{
	char what[160];
	silex_error err = { SILEX_OK, "" };
	struct told t = { .name = strrchr(path, '/') + 1 };
	snprintf(what, sizeof what, "%s %s at %llu", path, how, (unsigned long long)at);
	silex_status status = verify(f, &t, &err);
	int n = read_all(f, what);
	if (n > whole + DELETED) /* the record of the delete may be what is damaged */
		fail_msg("%s: more samples than there were", what);
	/* The last bytes of the log are the mark of an orderly close: without it, nothing is lost. */
	if (status == SILEX_OK && strstr(path, "/wal/") && n == whole)
		return;
	if (status != SILEX_CORRUPT && status != SILEX_UNSUPPORTED)
		fail_msg("%s: verify says %s %s, %d of %d samples are there", what, silex_status_text(status), err.message, n, whole);
	if (!t.named && !strstr(err.message, t.name) && !strstr(t.last, "missing"))
		fail_msg("%s: verify does not name the file: %s; %s", what, err.message, t.last);
}

static void test_flipped_bits(void **state)
{
	struct fixture *f = *state;
	struct told t = { .name = "-" };
	silex_error err;
	uint64_t rng = 7;
	assert_int_equal(verify(f, &t, &err), SILEX_OK);
	int whole = read_all(f, "whole");
	assert_int_equal(whole, SERIES * POINTS - DELETED);
	for (size_t i = 0; i < f->n_files; i++) {
		uint8_t *p;
		uint64_t n;
		get_file(f, f->file[i], &p, &n);
		for (uint64_t at = 0; at < n * 8; at += 1 + slx_rng_next(&rng) % (n * 8 / 60 + 1)) {
			assert_true(slx_vfs_sim_flip_bit(f->sim, f->file[i], at));
			check_damage(f, f->file[i], "flipped bit", at, whole);
			assert_true(slx_vfs_sim_flip_bit(f->sim, f->file[i], at));
		}
		free(p);
	}
	assert_int_equal(read_all(f, "whole again"), whole);
}

/* The last segment of a log that was closed in order ends with a mark; what is missing behind it may be a torn write, which
 * is no damage. Every other cut is found. */
static void test_cut_files(void **state)
{
	struct fixture *f = *state;
	uint64_t rng = 8;
	int whole = read_all(f, "whole");
	const char *last = "";
	for (size_t i = 0; i < f->n_files; i++)
		if (strstr(f->file[i], "/wal/") && strcmp(f->file[i], last) > 0)
			last = f->file[i];
	for (size_t i = 0; i < f->n_files; i++) {
		uint8_t *p;
		uint64_t n;
		get_file(f, f->file[i], &p, &n);
		for (uint64_t at = 0; at < n; at += 1 + slx_rng_next(&rng) % (n / 20 + 1)) {
			put_file(f, f->file[i], p, at);
			if (f->file[i] == last) {
				char what[160];
				snprintf(what, sizeof what, "%s cut at %llu", last, (unsigned long long)at);
				assert_true(read_all(f, what) <= whole);
			} else {
				check_damage(f, f->file[i], "cut", at, whole);
			}
		}
		put_file(f, f->file[i], p, n);
		free(p);
	}
	assert_int_equal(read_all(f, "whole again"), whole);
}

/* A file that is gone: a block leaves its samples out, a manifest or a segment in the middle is told of. */
static void test_missing_files(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < f->n_files; i++) {
		char aside[128], what[160];
		silex_error err = { SILEX_OK, "" };
		struct told t = { .name = strrchr(f->file[i], '/') + 1 };
		snprintf(aside, sizeof aside, "db/aside");
		snprintf(what, sizeof what, "%s gone", f->file[i]);
		assert_int_equal(f->vfs->rename(f->vfs, f->file[i], aside, &err), SILEX_OK);
		if (!strstr(f->file[i], "/wal/")) {
			silex_status status = verify(f, &t, &err);
			if (status == SILEX_OK || (!t.named && !strstr(err.message, t.name)))
				fail_msg("%s: verify says %s %s", what, silex_status_text(status), err.message);
		}
		read_all(f, what);
		assert_int_equal(f->vfs->rename(f->vfs, aside, f->file[i], &err), SILEX_OK);
	}
}

/* A writer that opens beside damage keeps the damaged files, takes writes, and goes on telling. */
static void test_writer_beside_damage(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < f->n_files; i++) {
		silex_error err = { SILEX_OK, "" };
		silex_metrics m = { .size = sizeof m };
		silex_label label = { "__name__", "after" };
		silex_db *db;
		void *own;
		set_up(&own); /* a fresh directory of the same content: this one is changed */
		struct fixture *g = own;
		uint8_t *p;
		uint64_t n;
		bool is_log = strstr(g->file[i], "/wal/"), is_manifest = strstr(g->file[i], "/meta/");
		get_file(g, g->file[i], &p, &n);
		assert_true(slx_vfs_sim_flip_bit(g->sim, g->file[i], n * 4));
		silex_status status = silex_open("db", &g->opt, &db, &err);
		if (is_manifest) {
			assert_int_equal(status, SILEX_CORRUPT);
			assert_non_null(strstr(err.message, "MANIFEST"));
		} else {
			if (status != SILEX_OK)
				fail_msg("%s: %s", g->file[i], err.message);
			assert_int_equal(silex_insert(db, NULL, &label, 1, time_of(5), silex_float(1), &err), SILEX_OK);
			assert_int_equal(silex_checkpoint(db, &err), SILEX_OK);
			status = silex_compact(db, NULL, &err);
			assert_true(status == SILEX_OK || status == SILEX_CORRUPT);
			assert_int_equal(silex_get_metrics(db, &m, &err), SILEX_OK);
			assert_true(!is_log || m.damaged_frames > 0);
			assert_int_equal(silex_close(db, &err), SILEX_OK);
			read_all(g, g->file[i]);
		}
		char kept[128];
		struct slx_file *file = NULL;
		snprintf(kept, sizeof kept, "%s.damaged", g->file[i]);
		if (g->vfs->open(g->vfs, g->file[i], SLX_OPEN_READ, &file, NULL) != SILEX_OK)
			status = g->vfs->open(g->vfs, kept, SLX_OPEN_READ, &file, &err);
		if (!file)
			fail_msg("%s: neither it nor %s is there", g->file[i], kept);
		slx_file_close(file);
		free(p);
		tear_down(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flipped_bits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writer_beside_damage, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
