/* The log on the simulated file system: what is appended comes back, faults are answered as promised, and the promise
 * of each sync mode holds through crashes at every call. Times and numbers are drawn from seeds. */
#include "base/vfs_sim.h"
#include "storage/wal/segment.h"
#include "storage/wal/wal.h"

#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KIND = SLX_WAL_KIND_FIRST };

static struct slx_mem mem;
static int64_t wall_ns = 1700000000000000000;
static uint64_t random_state = 1;

static int64_t fake_wall(void *ctx) { return wall_ns; }

static int64_t fake_monotonic(void *ctx) { return 0; }

static void fake_fill(void *ctx, void *bytes, size_t n)
{
	for (uint8_t *p = bytes; n--;)
		*p++ = (uint8_t)slx_rng_next(&random_state);
}

static const silex_clock fake_clock = { NULL, fake_wall, fake_monotonic };
static const silex_random fake_random = { NULL, fake_fill };

static struct slx_wal_options options(struct slx_vfs *v, enum slx_wal_sync sync)
{
	return (struct slx_wal_options){
		.vfs = v,
		.mem = &mem,
		.clock = &fake_clock,
		.random = &fake_random,
		.dir = "/wal",
		.sync = sync,
		.sync_interval_ns = -1,
		.segment_size = 4096,
	};
}

/* What a frame holds is made from its number, so that replay can check it. */
static size_t make_payload(uint64_t seq, uint8_t *to)
{
	uint64_t state = seq;
	size_t n = slx_rng_next(&state) % 300;
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)slx_rng_next(&state);
	return n;
}

struct seen {
	uint64_t first, last, frames, version, segment;
	uint64_t holes; /* numbers skipped */
	uint64_t covered;
};

static silex_status see(void *arg, const struct slx_wal_frame *f, silex_error *err)
{
	struct seen *s = arg;
	uint8_t expected[512];
	size_t n = make_payload(f->seq, expected);
	assert_int_equal(f->n, n);
	assert_memory_equal(f->payload, expected, n);
	assert_int_equal(f->kind, KIND);
	assert_int_equal(f->format, 3);
	assert_true(f->seq > s->last && f->version > s->version && f->segment >= s->segment);
	s->holes += s->frames ? f->seq - s->last - 1 : 0;
	s->first = s->frames ? s->first : f->seq;
	s->last = f->seq;
	s->version = f->version;
	s->segment = f->segment;
	s->covered += f->covered;
	s->frames++;
	return SILEX_OK;
}

/* Appends the frame that will be numbered seq. */
static silex_status append(struct slx_wal *w, uint64_t seq, struct slx_wal_pos *ret, silex_error *err)
{
	uint8_t payload[512];
	size_t n = make_payload(seq, payload);
	struct iovec parts[2] = { { payload, n / 3 }, { payload + n / 3, n - n / 3 } };
	silex_status st = slx_wal_append(w, KIND, 3, parts, 2, 0, ret, err);
	if (st == SILEX_OK)
		assert_int_equal(ret->seq, seq);
	return st;
}

static struct slx_wal *open_wal(
	struct slx_wal_options o, uint64_t after_seq, struct seen *seen, struct slx_wal_report *report)
{
	struct slx_wal *w = NULL;
	silex_error err = { 0, "" };
	*seen = (struct seen){ 0 };
	silex_status st = slx_wal_open_file(&o, &w, &err);
	if (st == SILEX_OK)
		st = slx_wal_replay(w, after_seq, see, seen, report, &err);
	if (st != SILEX_OK)
		print_message("open: %s\n", err.message);
	assert_int_equal(st, SILEX_OK);
	return w;
}

/* A log of frames 1..count, closed. */
static void make_log(struct slx_vfs *v, enum slx_wal_sync sync, uint64_t count)
{
	struct seen seen;
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct slx_wal *w = open_wal(options(v, sync), 0, &seen, &report);
	for (uint64_t seq = 1; seq <= count; seq++) {
		assert_int_equal(append(w, seq, &pos, NULL), SILEX_OK);
		assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	}
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
}

struct names {
	int wal, damaged;
};

static bool count_name(void *arg, const char *name)
{
	struct names *n = arg;
	if (strstr(name, ".damaged"))
		n->damaged++;
	else
		n->wal++;
	return true;
}

static struct names count_files(struct slx_vfs *v)
{
	struct names n = { 0, 0 };
	assert_int_equal(v->list(v, "/wal", count_name, &n, NULL), SILEX_OK);
	return n;
}

/* --- ordinary life --- */

static void test_append_and_replay(void **state)
{
	for (int mode = SLX_WAL_ALWAYS; mode <= SLX_WAL_NEVER; mode++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct seen seen;
		struct slx_wal_report report;
		struct slx_wal_pos pos;
		struct slx_wal_stats stats;
		make_log(v, mode, 100);
		assert_true(count_files(v).wal > 3);
		wall_ns -= 5000000000; /* versions grow over restarts though the clock steps back */
		struct slx_wal *w = open_wal(options(v, mode), 0, &seen, &report);
		assert_int_equal(seen.frames, 100);
		assert_int_equal(seen.last, 100);
		assert_int_equal(seen.holes, 0);
		assert_true(report.clean);
		assert_int_equal(report.torn_bytes, 0);
		assert_int_equal(report.damage_count, 0);
		assert_int_equal(append(w, 101, &pos, NULL), SILEX_OK);
		assert_true(pos.version > seen.version);
		assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
		slx_wal_stats(w, &stats);
		assert_int_equal(stats.last_seq, 101);
		assert_int_equal(stats.durable_seq, 101);
		assert_int_equal(stats.unsynced_bytes, 0);
		assert_int_equal(stats.condition, SLX_WAL_RUNNING);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		w = open_wal(options(v, mode), 0, &seen, &report);
		assert_int_equal(seen.last, 101);
		assert_true(report.clean);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		slx_vfs_sim_free(sim);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
}

static void test_bad_calls(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_wal_options o = options(slx_vfs_sim_vfs(sim), SLX_WAL_ALWAYS);
	struct slx_wal *w = NULL;
	struct slx_wal_pos pos;
	struct slx_wal_report report;
	struct seen seen = { 0 };
	static uint8_t big[SLX_WAL_FRAME_SIZE_MAX + 1];
	struct iovec part = { big, 1 };
	assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_append(w, KIND, 0, &part, 1, 0, &pos, NULL), SILEX_INVALID);
	assert_int_equal(slx_wal_replay(w, 0, see, &seen, &report, NULL), SILEX_OK);
	assert_int_equal(slx_wal_replay(w, 0, see, &seen, &report, NULL), SILEX_INVALID);
	assert_int_equal(slx_wal_append(w, KIND - 1, 0, &part, 1, 0, &pos, NULL), SILEX_INVALID);
	part.iov_len = sizeof big;
	assert_int_equal(slx_wal_append(w, KIND, 0, &part, 1, 0, &pos, NULL), SILEX_INVALID);
	part.iov_len--;
	assert_int_equal(slx_wal_append(w, KIND, 0, &part, 1, 0, &pos, NULL), SILEX_OK);
	assert_int_equal(pos.seq, 1);
	assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_replay(w, 0, NULL, NULL, &report, NULL), SILEX_OK);
	assert_int_equal(report.bytes, SLX_WAL_FRAME_SIZE_MAX);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(NULL, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_none(void **state)
{
	struct slx_wal_options o = options(NULL, SLX_WAL_NEVER);
	struct slx_wal *w = NULL;
	struct slx_wal_pos pos;
	struct slx_wal_report report;
	o.min_seq = 7;
	assert_int_equal(slx_wal_open_none(&o, &w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_replay(w, 9, NULL, NULL, &report, NULL), SILEX_OK);
	assert_int_equal(append(w, 10, &pos, NULL), SILEX_OK);
	uint64_t version = pos.version;
	assert_int_equal(append(w, 11, &pos, NULL), SILEX_OK);
	assert_true(pos.version > version);
	assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A caller that looked before a rotation is told to look again. */
static void test_segments_and_cut(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct seen seen;
	struct iovec none = { NULL, 0 };
	struct slx_wal *w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
	uint64_t first = slx_wal_segment(w), seq = 0;
	assert_int_equal(slx_wal_rotate(w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_segment(w), first); /* nothing in it yet */
	while (slx_wal_segment(w) == first)
		assert_int_equal(append(w, ++seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_append(w, KIND, 3, &none, 1, first, &pos, NULL), SILEX_CONFLICT);
	assert_int_equal(append(w, ++seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
	assert_int_equal(count_files(v).wal, 2);
	assert_int_equal(slx_wal_cut(w, seq - 3, NULL), SILEX_OK);
	assert_int_equal(count_files(v).wal, 2);
	assert_int_equal(slx_wal_rotate(w, NULL), SILEX_OK);
	uint64_t checkpoint = seq;
	assert_int_equal(append(w, ++seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_cut(w, checkpoint, NULL), SILEX_OK);
	assert_int_equal(count_files(v).wal, 1);
	assert_int_equal(append(w, ++seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);

	struct slx_wal_options o = options(v, SLX_WAL_INTERVAL);
	w = open_wal(o, checkpoint, &seen, &report);
	assert_int_equal(seen.first, checkpoint + 1);
	assert_int_equal(seen.frames, 2);
	/* Right after a rotation everything before it can go, also when nothing was appended since. */
	assert_int_equal(append(w, ++seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_rotate(w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_cut(w, seq, NULL), SILEX_OK);
	assert_int_equal(count_files(v).wal, 0);
	memcpy(o.uuid, slx_wal_uuid(w), sizeof o.uuid);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);

	/* An empty folder goes on where the manifest says. */
	o.min_seq = seq;
	o.min_version = UINT64_MAX / 2;
	w = open_wal(o, seq, &seen, &report);
	assert_int_equal(seen.frames, 0);
	assert_int_equal(append(w, seq + 1, &pos, NULL), SILEX_OK);
	assert_true(pos.version > o.min_version);
	assert_memory_equal(slx_wal_uuid(w), o.uuid, sizeof o.uuid);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* Frames that are covered come too when later ones share their segment, marked as such; whole segments are skipped. */
static void test_covered_frames(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct seen seen;
	make_log(v, SLX_WAL_INTERVAL, 100);
	for (uint64_t after = 0; after <= 100; after++) {
		struct slx_wal_options o = options(v, SLX_WAL_INTERVAL);
		o.read_only = true;
		struct slx_wal *w = open_wal(o, after, &seen, &report);
		assert_int_equal(seen.last, 100);
		assert_true(seen.first <= after + 1 || after == 100);
		assert_true(after - seen.first < 40 || seen.first == after + 1);
		assert_int_equal(seen.covered, after - seen.first + 1);
		assert_int_equal(report.damage_count, 0);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	}
	slx_vfs_sim_free(sim);
}

static void test_read_only_writes_nothing(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_options o = options(v, SLX_WAL_ALWAYS);
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct seen seen;
	make_log(v, SLX_WAL_ALWAYS, 30);
	int files = count_files(v).wal;
	o.read_only = true;
	slx_vfs_sim_arm(sim, SLX_SIM_ENOSPC, 1); /* fires at the first write, of which there is none */
	struct slx_wal *w = open_wal(o, 0, &seen, &report);
	assert_int_equal(seen.last, 30);
	assert_int_equal(append(w, 31, &pos, NULL), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_wal_rotate(w, NULL), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_wal_cut(w, 30, NULL), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	assert_false(slx_vfs_sim_fired(sim));
	assert_int_equal(count_files(v).wal, files);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* --- foreign and damaged files --- */

static silex_status try_open(struct slx_wal_options o, struct slx_wal_report *report, silex_error *err)
{
	struct slx_wal *w = NULL;
	struct seen seen = { 0 };
	SLX_TRY(slx_wal_open_file(&o, &w, err));
	silex_status st = slx_wal_replay(w, 0, see, &seen, report, err);
	slx_wal_close(w, NULL);
	return st;
}

static void test_foreign_segments(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_options o = options(v, SLX_WAL_ALWAYS);
	struct slx_wal_report report;
	struct slx_walseg_header h = { .number = 1, .scope = 1, .first_seq = 1 };
	uint8_t bytes[SLX_WALSEG_HEADER_SIZE];
	silex_error err;
	make_log(v, SLX_WAL_ALWAYS, 3);
	memset(o.uuid, 7, sizeof o.uuid);
	assert_int_equal(try_open(o, &report, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "00000001.wal: offset 16: segment of log"));
	o = options(v, SLX_WAL_ALWAYS);
	h.format = 5;
	slx_walseg_encode(&h, bytes);
	assert_int_equal(slx_vfs_write_file(v, "/wal/00000009.wal", bytes, sizeof bytes, NULL), SILEX_OK);
	assert_int_equal(try_open(o, &report, &err), SILEX_UNSUPPORTED);
	assert_non_null(strstr(err.message, "00000009.wal: log format 5; this release reads up to 0"));
	assert_int_equal(v->rename(v, "/wal/00000001.wal", "/wal/00000009.wal", NULL), SILEX_OK);
	assert_int_equal(try_open(o, &report, &err), SILEX_CORRUPT);
	assert_non_null(strstr(err.message, "the header says segment 1"));
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* Every bit of a log that was closed in order: damage is found and named, all other frames come back, the log can be
 * written again, and the damaged file is kept. */
static void test_each_flipped_bit(void **state)
{
	enum { FRAMES = 40 };
	uint64_t flips = 0;
	for (uint64_t number = 1; number <= 2; number++) {
		char path[64];
		snprintf(path, sizeof path, "/wal/%08llu.wal", (unsigned long long)number);
		for (uint64_t byte = 0;; byte += 7) {
			struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
			struct slx_vfs *v = slx_vfs_sim_vfs(sim);
			struct slx_wal_options o = options(v, SLX_WAL_ALWAYS);
			struct slx_wal_report report;
			struct slx_wal_pos pos;
			struct slx_wal *w = NULL;
			struct seen seen;
			make_log(v, SLX_WAL_ALWAYS, FRAMES);
			bool there = slx_vfs_sim_flip_bit(sim, path, byte * 8 + byte % 8);
			if (!there) {
				slx_vfs_sim_free(sim);
				break;
			}
			flips++;
			w = open_wal(o, 0, &seen, &report);
			assert_in_range(seen.frames, FRAMES - 1, FRAMES);
			assert_int_equal(report.lost_frames, FRAMES - seen.frames);
			if (seen.frames < FRAMES) {
				assert_int_equal(report.damage_count, 1);
				assert_string_equal(report.damage[0].file, path + 5);
				assert_in_range(byte, report.damage[0].offset, report.damage[0].offset + report.damage[0].size);
				assert_int_equal(report.damage[0].first_seq, report.damage[0].last_seq);
			}
			assert_int_equal(append(w, FRAMES + 1, &pos, NULL), SILEX_OK);
			assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
			assert_int_equal(slx_wal_rotate(w, NULL), SILEX_OK);
			assert_int_equal(slx_wal_cut(w, FRAMES + 1, NULL), SILEX_OK);
			assert_int_equal(count_files(v).damaged, report.damage_count > 0);
			assert_int_equal(count_files(v).wal, 0);
			assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
			slx_vfs_sim_free(sim);
		}
	}
	assert_true(flips > 500);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A log cut at any byte: a prefix comes back, what is missing at the end counts as torn, and life goes on. */
static void test_each_length(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	uint8_t *whole = NULL;
	size_t size = 0;
	make_log(v, SLX_WAL_ALWAYS, 12);
	assert_int_equal(slx_vfs_read_file(v, &mem, "/wal/00000001.wal", 1 << 20, &whole, &size, NULL), SILEX_OK);
	uint64_t longest = 0;
	for (size_t n = 0; n <= size; n++) {
		struct slx_wal_options o = options(v, SLX_WAL_ALWAYS);
		struct slx_wal_report report, again;
		struct slx_wal_pos pos;
		struct seen seen, later;
		assert_int_equal(slx_vfs_write_file(v, "/wal/00000001.wal", whole, n, NULL), SILEX_OK);
		struct slx_wal *w = open_wal(o, 0, &seen, &report);
		assert_true(seen.last >= longest);
		longest = seen.last;
		assert_int_equal(seen.frames, seen.last);
		assert_int_equal(report.damage_count, 0);
		assert_int_equal(append(w, seen.last + 1, &pos, NULL), SILEX_OK);
		assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		w = open_wal(o, 0, &later, &again); /* the tear is behind us */
		assert_int_equal(later.frames, seen.frames + 1);
		assert_int_equal(again.torn_bytes, 0);
		assert_int_equal(again.damage_count, 0);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		v->unlink(v, "/wal/00000001.wal", NULL);
		v->unlink(v, "/wal/00000002.wal", NULL);
	}
	assert_int_equal(longest, 12);
	slx_free(&mem, SLX_MEM_OTHER, whole, size);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A segment that is missing altogether, in the middle and at the start. */
static void test_missing_segment(void **state)
{
	for (int number = 1; number <= 2; number++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_wal_report report;
		struct seen seen;
		char path[64];
		snprintf(path, sizeof path, "/wal/%08d.wal", number);
		make_log(v, SLX_WAL_INTERVAL, 100);
		assert_int_equal(v->unlink(v, path, NULL), SILEX_OK);
		struct slx_wal *w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
		assert_int_equal(seen.last, 100);
		assert_int_equal(seen.frames + report.lost_frames, 100);
		assert_int_equal(report.damage_count, 1);
		assert_int_equal(report.damage[0].size, 0);
		assert_true(report.damage[0].last_seq > report.damage[0].first_seq);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		slx_vfs_sim_free(sim);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* Zeros behind the last frame (a file grown ahead of its writes) are its end, not damage. */
static void test_zero_tail(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct seen seen;
	struct slx_file *f = NULL;
	make_log(v, SLX_WAL_INTERVAL, 5);
	assert_int_equal(v->open(v, "/wal/00000001.wal", SLX_OPEN_WRITE, &f, NULL), SILEX_OK);
	assert_int_equal(slx_file_truncate(f, 100000, NULL), SILEX_OK);
	slx_file_close(f);
	struct slx_wal *w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
	assert_int_equal(seen.last, 5);
	assert_int_equal(report.torn_bytes, 0);
	assert_true(report.clean);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
}

/* --- crashes --- */

/* Ends the life of w without a word to the disk, then brings the disk back. */
static void crash(struct slx_vfs_sim *sim, struct slx_wal *w, bool power)
{
	slx_vfs_sim_arm(sim, SLX_SIM_KILL, 1);
	slx_wal_close(w, NULL);
	slx_vfs_sim_heal(sim);
	slx_vfs_sim_reboot(sim, power);
}

/* Marks tell damage from a tear in a log that was not closed: what a sync had kept before the last append must be
 * there. */
static void test_damage_in_an_unclosed_log(void **state)
{
	for (uint64_t byte = SLX_WALSEG_HEADER_SIZE; byte < 600; byte += 11) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_wal_report report;
		struct slx_wal_pos pos;
		struct seen seen;
		struct slx_wal *w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
		for (uint64_t seq = 1; seq <= 20; seq++)
			assert_int_equal(append(w, seq, &pos, NULL), SILEX_OK);
		assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
		assert_int_equal(append(w, 21, &pos, NULL), SILEX_OK);
		assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
		crash(sim, w, false);
		assert_true(slx_vfs_sim_flip_bit(sim, "/wal/00000001.wal", byte * 8));
		w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
		assert_int_equal(seen.last, 21);
		assert_int_equal(seen.frames, 20);
		assert_int_equal(report.lost_frames, 1);
		assert_int_equal(report.torn_bytes, 0);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		slx_vfs_sim_free(sim);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A tear with intact frames behind it, in the next segment too: the log ends at the tear, the rest is set aside. */
static void test_frames_behind_a_tear(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct seen seen;
	struct slx_wal *w = open_wal(options(v, SLX_WAL_NEVER), 0, &seen, &report);
	for (uint64_t seq = 1; seq <= 60; seq++) {
		assert_int_equal(append(w, seq, &pos, NULL), SILEX_OK);
		assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	}
	crash(sim, w, false);
	int segments = count_files(v).wal;
	assert_true(segments >= 3);
	assert_true(slx_vfs_sim_flip_bit(sim, "/wal/00000001.wal", (SLX_WALSEG_HEADER_SIZE + 1000) * 8));
	w = open_wal(options(v, SLX_WAL_NEVER), 0, &seen, &report);
	uint64_t last = seen.last;
	assert_in_range(last, 1, 20);
	assert_int_equal(seen.holes, 0);
	assert_int_equal(report.torn_frames, 60 - last - 1);
	assert_true(report.torn_bytes > 2 * 4096);
	assert_int_equal(count_files(v).damaged, segments - 1);
	assert_int_equal(append(w, last + 1, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	w = open_wal(options(v, SLX_WAL_NEVER), 0, &seen, &report);
	assert_int_equal(seen.last, last + 1);
	assert_int_equal(report.torn_bytes, 0);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* The process dies when a continuation has begun and holds nothing yet: the segment that it continues is still read. */
static void test_continuation_without_frames(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct seen seen;
	struct slx_walseg_header h = { .flags = SLX_WALSEG_CONTINUATION, .number = 2, .scope = 1, .first_seq = 6 };
	uint8_t bytes[SLX_WALSEG_HEADER_SIZE];
	struct slx_wal *w = open_wal(options(v, SLX_WAL_INTERVAL), 0, &seen, &report);
	for (uint64_t seq = 1; seq <= 10; seq++)
		assert_int_equal(append(w, seq, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	memcpy(h.log_uuid, slx_wal_uuid(w), sizeof h.log_uuid);
	crash(sim, w, false);
	slx_walseg_encode(&h, bytes);
	assert_int_equal(slx_vfs_write_file(v, "/wal/00000002.wal", bytes, sizeof bytes, NULL), SILEX_OK);
	w = open_wal(options(v, SLX_WAL_INTERVAL), 5, &seen, &report);
	assert_int_equal(seen.last, 10);
	assert_int_equal(seen.holes, 0);
	assert_int_equal(report.damage_count, 0);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* What a run of a log promised. */
struct promise {
	uint64_t waited; /* highest frame that a wait returned OK for */
	uint64_t synced; /* ... that slx_wal_sync returned OK for */
	uint64_t appended;
	uint64_t cut;
};

/* Appends, waits, syncs, rotates and cuts by a seed, until `steps` are done or (a crash) nothing works any more. */
static void work(struct slx_wal *w, uint64_t seed, int steps, struct promise *p)
{
	for (int i = 0; i < steps; i++) {
		struct slx_wal_pos pos;
		uint64_t r = slx_rng_next(&seed) % 20;
		if (r < 15) {
			if (append(w, p->appended + 1, &pos, NULL) != SILEX_OK)
				continue;
			p->appended = pos.seq;
			if (r < 12 && slx_wal_wait(w, pos.lsn, NULL) == SILEX_OK)
				p->waited = pos.seq;
		} else if (r < 17) {
			uint64_t appended = p->appended;
			if (slx_wal_sync(w, NULL) == SILEX_OK)
				p->synced = appended;
		} else if (r == 17) {
			slx_wal_rotate(w, NULL);
		} else if (r == 18 && p->synced > 10) {
			/* as if a flush had put frames up to here into blocks */
			p->cut = p->synced - 5 > p->cut ? p->synced - 5 : p->cut;
			slx_wal_cut(w, p->cut, NULL);
		}
	}
}

static void check_promise(struct slx_vfs *v, enum slx_wal_sync mode, bool power, uint64_t seed, const struct promise *p,
	struct slx_vfs_sim *sim)
{
	struct slx_wal_report report;
	struct seen seen;
	struct slx_wal_options o = options(v, mode);
	o.min_seq = p->cut;
	struct slx_wal *w = open_wal(o, p->cut, &seen, &report);
	uint64_t last = seen.frames ? seen.last : p->cut;
	uint64_t must = p->synced > p->cut ? p->synced : p->cut;
	if ((!power || mode == SLX_WAL_ALWAYS) && p->waited > must)
		must = p->waited;
	if (last < must || seen.holes || last > p->appended || (seen.frames && seen.first > p->cut + 1) ||
		report.lost_frames) {
		print_message("seed %llu mode %d power %d at %s: %llu..%llu replayed, %llu holes, %llu lost; "
					  "cut %llu, must have %llu, appended %llu\n",
			(unsigned long long)seed, mode, power, slx_vfs_sim_fired_at(sim), (unsigned long long)seen.first,
			(unsigned long long)last, (unsigned long long)seen.holes, (unsigned long long)report.lost_frames,
			(unsigned long long)p->cut, (unsigned long long)must, (unsigned long long)p->appended);
		fail();
	}
	/* The log goes on behind what it has, and keeps that. */
	struct slx_wal_pos pos;
	assert_int_equal(append(w, last + 1, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
	crash(sim, w, true);
	w = open_wal(o, p->cut, &seen, &report);
	if (seen.last != last + 1 || seen.holes || report.lost_frames) {
		print_message("seed %llu mode %d power %d at %s: second life: %llu..%llu replayed, %llu holes, "
					  "%llu lost; expected up to %llu\n",
			(unsigned long long)seed, mode, power, slx_vfs_sim_fired_at(sim), (unsigned long long)seen.first,
			(unsigned long long)seen.last, (unsigned long long)seen.holes, (unsigned long long)report.lost_frames,
			(unsigned long long)last + 1);
		fail();
	}
	slx_wal_close(w, NULL);
}

/* One run: some work, a crash at call `at`, reopened; then a second crash in the life after it. */
static void crash_run(uint64_t seed, enum slx_wal_sync mode, enum slx_sim_fault fault, uint64_t at)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(seed);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_options o = options(v, mode);
	struct slx_wal_report report;
	struct seen seen;
	struct promise p = { 0 };
	struct slx_wal *w = NULL;
	slx_vfs_sim_arm(sim, fault, at);
	if (slx_wal_open_file(&o, &w, NULL) == SILEX_OK) {
		if (slx_wal_replay(w, 0, see, &seen, &report, NULL) == SILEX_OK)
			work(w, seed, 60, &p);
		if (seed % 3 != 0)
			crash(sim, w, fault == SLX_SIM_POWER_CUT);
		else if (slx_wal_close(w, NULL) == SILEX_OK)
			p.waited = p.synced = p.appended;
	}
	slx_vfs_sim_heal(sim);
	slx_vfs_sim_reboot(sim, fault == SLX_SIM_POWER_CUT);
	check_promise(v, mode, fault == SLX_SIM_POWER_CUT, seed, &p, sim);
	slx_vfs_sim_free(sim);
}

static uint64_t crash_rounds(void)
{
	const char *text = getenv("SILEX_CRASH_ROUNDS");
	return text ? strtoull(text, NULL, 10) : 3000;
}

static void test_crashes(void **state)
{
	for (uint64_t seed = 0; seed < crash_rounds(); seed++)
		crash_run(seed, (enum slx_wal_sync)(seed % 3), seed / 3 % 2 ? SLX_SIM_POWER_CUT : SLX_SIM_KILL,
			1 + slx_rng_next(&(uint64_t){ seed }) % 150);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A fault that passes (a failed write or sync, no space): nothing acknowledged is lost, not by a power cut after it
 * either, and the log works again or says that it stopped. */
static void fault_run(
	uint64_t seed, enum slx_wal_sync mode, enum slx_sim_fault fault, uint64_t at, bool power, int *stopped)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(seed);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_options o = options(v, mode);
	struct slx_wal_report report;
	struct slx_wal_stats stats;
	struct slx_wal_pos pos;
	struct seen seen;
	struct promise p = { 0 };
	struct slx_wal *w = open_wal(o, 0, &seen, &report);
	slx_vfs_sim_arm(sim, fault, at);
	work(w, seed, 50, &p);
	if (fault == SLX_SIM_ENOSPC && slx_vfs_sim_fired(sim)) {
		silex_error err;
		assert_int_equal(append(w, p.appended + 1, &pos, &err), SILEX_RESOURCE_EXHAUSTED);
		slx_wal_stats(w, &stats);
		assert_int_equal(stats.condition, SLX_WAL_FULL);
	}
	slx_vfs_sim_heal(sim);
	slx_wal_stats(w, &stats);
	if (stats.condition == SLX_WAL_STOPPED) {
		++*stopped;
		power =
			true; /* what only the page cache holds after a failed sync can be read, but not be kept, by a restart */
		assert_true(stats.reason[0]);
		assert_int_equal(append(w, p.appended + 1, &pos, NULL), SILEX_UNAVAILABLE);
	} else {
		assert_int_equal(append(w, p.appended + 1, &pos, NULL), SILEX_OK);
		p.appended++;
		assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
		p.waited = p.appended;
		work(w, seed + 1, 20, &p);
		assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
		p.synced = p.appended;
	}
	crash(sim, w, power);
	check_promise(v, mode, power, seed, &p, sim);
	slx_vfs_sim_free(sim);
}

static void test_faults_at_each_call(void **state)
{
	static const enum slx_sim_fault faults[] = { SLX_SIM_EIO, SLX_SIM_ENOSPC, SLX_SIM_SHORT, SLX_SIM_SYNC_FAILS };
	int stopped = 0, runs = 0;
	for (unsigned f = 0; f < 4; f++)
		for (int mode = SLX_WAL_ALWAYS; mode <= SLX_WAL_NEVER; mode++)
			for (uint64_t at = 1; at <= 60; at++, runs++)
				fault_run(at * 1000 + (uint64_t)mode, mode, faults[f], at, (at + f) % 2, &stopped);
	/* One failed sync stops a log only where written frames are not kept in memory: sync=never. */
	assert_true(stopped > 0 && stopped < runs / 6);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* A sync that fails, and then the new segment too: the log stops, says why, and what was acknowledged is there. */
static void test_stopped_log(void **state)
{
	struct slx_vfs_sim *sim = slx_vfs_sim_new(5);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct slx_wal_stats stats;
	struct slx_wal_pos pos;
	struct seen seen;
	silex_error err;
	struct slx_wal *w = open_wal(options(v, SLX_WAL_ALWAYS), 0, &seen, &report);
	assert_int_equal(append(w, 1, &pos, NULL), SILEX_OK);
	assert_int_equal(slx_wal_wait(w, pos.lsn, NULL), SILEX_OK);
	assert_int_equal(append(w, 2, &pos, NULL), SILEX_OK);
	slx_vfs_sim_arm(sim, SLX_SIM_KILL, 2); /* the write works, then the device is gone */
	assert_int_equal(slx_wal_wait(w, pos.lsn, &err), SILEX_UNAVAILABLE);
	slx_wal_stats(w, &stats);
	assert_int_equal(stats.condition, SLX_WAL_STOPPED);
	assert_int_equal(append(w, 3, &pos, &err), SILEX_UNAVAILABLE);
	assert_non_null(strstr(err.message, "log stopped: "));
	assert_int_equal(slx_wal_sync(w, &err), SILEX_UNAVAILABLE);
	crash(sim, w, true);
	w = open_wal(options(v, SLX_WAL_ALWAYS), 0, &seen, &report);
	assert_true(seen.last >= 1);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* The test above would see a sync that does nothing, and a log that is cut too early. */
static void test_planted_faults_are_seen(void **state)
{
	int lost = 0;
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(seed);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_wal_report report;
		struct seen seen;
		slx_vfs_sim_lie_about_sync(sim, ".wal");
		make_log(v, SLX_WAL_ALWAYS, 50);
		slx_vfs_sim_reboot(sim, true);
		struct slx_wal *w = open_wal(options(v, SLX_WAL_ALWAYS), 0, &seen, &report);
		lost += seen.frames < 50;
		slx_wal_close(w, NULL);
		slx_vfs_sim_free(sim);
	}
	assert_true(lost > 5);

	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	struct slx_wal_report report;
	struct seen seen;
	make_log(v, SLX_WAL_ALWAYS, 100);
	struct slx_wal *w = open_wal(options(v, SLX_WAL_ALWAYS), 0, &seen, &report);
	assert_int_equal(slx_wal_cut(w, 60, NULL), SILEX_OK);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	w = open_wal(options(v, SLX_WAL_ALWAYS), 10, &seen, &report); /* the manifest only says 10 */
	assert_true(report.lost_frames > 0);
	assert_int_equal(report.damage[0].first_seq, 11);
	assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
	slx_vfs_sim_free(sim);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static int64_t allocations_left;

static void *failing_alloc(void *ctx, size_t n) { return allocations_left-- > 0 ? malloc(n) : NULL; }

static void *failing_realloc(void *ctx, void *p, size_t old_size, size_t n)
{
	return allocations_left-- > 0 ? realloc(p, n) : NULL;
}

static void plain_free(void *ctx, void *p, size_t n) { free(p); }

/* Each allocation fails once: an error, no crash, no leak, and nothing acknowledged is lost. */
static void test_out_of_memory(void **state)
{
	const silex_allocator failing = { NULL, failing_alloc, failing_realloc, plain_free };
	slx_mem_init(&mem, &failing);
	for (int64_t count = 0; count < 60; count++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new((uint64_t)count);
		struct slx_vfs *v = slx_vfs_sim_vfs(sim);
		struct slx_wal_options o = options(v, SLX_WAL_INTERVAL);
		struct slx_wal *w = NULL;
		struct slx_wal_report report;
		struct seen seen = { 0 };
		struct promise p = { 0 };
		allocations_left = INT64_MAX;
		make_log(v, SLX_WAL_INTERVAL, 40);
		allocations_left = count;
		if (slx_wal_open_file(&o, &w, NULL) == SILEX_OK) {
			p.appended = 40;
			if (slx_wal_replay(w, 0, see, &seen, &report, NULL) == SILEX_OK)
				work(w, (uint64_t)count, 40, &p);
			slx_wal_close(w, NULL);
		}
		allocations_left = INT64_MAX;
		w = open_wal(o, p.cut, &seen, &report);
		assert_true(seen.last >= p.waited && seen.last >= p.synced && seen.last >= 40);
		slx_wal_close(w, NULL);
		slx_vfs_sim_free(sim);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
	slx_mem_init(&mem, NULL);
}

/* --- threads --- */

enum { WRITERS = 8, FRAMES_EACH = 400 };

struct writer {
	struct slx_wal *wal;
	unsigned id;
	_Atomic int *failed;
};

static void *write_frames(void *arg)
{
	struct writer *me = arg;
	for (uint32_t i = 0; i < FRAMES_EACH; i++) {
		uint32_t payload[2] = { me->id, i };
		struct iovec part = { payload, sizeof payload };
		struct slx_wal_pos pos;
		uint64_t segment;
		silex_status st;
		do {
			segment = slx_wal_segment(me->wal);
			st = slx_wal_append(me->wal, KIND, 3, &part, 1, segment, &pos, NULL);
		} while (st == SILEX_CONFLICT);
		if (st != SILEX_OK || slx_wal_wait(me->wal, pos.lsn, NULL) != SILEX_OK)
			atomic_fetch_add(me->failed, 1);
	}
	return NULL;
}

struct tally {
	uint64_t last, version;
	uint32_t next[WRITERS]; /* of each writer's frames */
};

static silex_status tally_frame(void *arg, const struct slx_wal_frame *f, silex_error *err)
{
	struct tally *t = arg;
	assert_int_equal(f->n, 8);
	uint32_t id = slx_load32(f->payload), i = slx_load32(f->payload + 4);
	assert_int_equal(f->seq, ++t->last);
	assert_true(f->version > t->version);
	t->version = f->version;
	assert_int_equal(i, t->next[id]++);
	return SILEX_OK;
}

static void test_concurrent_writers(void **state)
{
	for (int mode = SLX_WAL_ALWAYS; mode <= SLX_WAL_NEVER; mode++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
		struct slx_wal_options o = options(slx_vfs_sim_vfs(sim), mode);
		struct slx_wal *w = NULL;
		struct slx_wal_report report;
		struct tally tally = { 0 };
		struct writer writers[WRITERS];
		pthread_t threads[WRITERS];
		_Atomic int failed_count = 0;
		o.segment_size = 20000;
		o.sync_interval_ns = 1000000;
		assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
		assert_int_equal(slx_wal_replay(w, 0, NULL, NULL, &report, NULL), SILEX_OK);
		for (unsigned i = 0; i < WRITERS; i++) {
			writers[i] = (struct writer){ w, i, &failed_count };
			assert_int_equal(pthread_create(&threads[i], NULL, write_frames, &writers[i]), 0);
		}
		for (unsigned i = 0; i < 50; i++) {
			struct slx_wal_stats stats;
			slx_wal_stats(w, &stats);
			assert_int_equal(slx_wal_sync(w, NULL), SILEX_OK);
			assert_int_equal(slx_wal_cut(w, 0, NULL), SILEX_OK);
		}
		for (unsigned i = 0; i < WRITERS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(failed_count, 0);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
		assert_int_equal(slx_wal_replay(w, 0, tally_frame, &tally, &report, NULL), SILEX_OK);
		assert_int_equal(tally.last, WRITERS * FRAMES_EACH);
		assert_true(report.clean);
		assert_int_equal(slx_wal_close(w, NULL), SILEX_OK);
		slx_vfs_sim_free(sim);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
}

/* Faults while many write: every wait that said OK is kept through a power cut (sync=always). */
static void *write_with_faults(void *arg)
{
	struct writer *me = arg;
	for (uint32_t i = 0; i < 60; i++) {
		uint64_t payload = 0;
		struct iovec part = { &payload, sizeof payload };
		struct slx_wal_pos pos;
		if (slx_wal_append(me->wal, KIND, 3, &part, 1, 0, &pos, NULL) == SILEX_OK &&
			slx_wal_wait(me->wal, pos.lsn, NULL) == SILEX_OK) {
			_Atomic int *highest = me->failed;
			for (int seen = *highest;
				 seen < (int)pos.seq && !atomic_compare_exchange_weak(highest, &seen, (int)pos.seq);)
				;
		}
	}
	return NULL;
}

static void test_concurrent_writers_and_faults(void **state)
{
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct slx_vfs_sim *sim = slx_vfs_sim_new(seed);
		struct slx_wal_options o = options(slx_vfs_sim_vfs(sim), seed % 2 ? SLX_WAL_INTERVAL : SLX_WAL_ALWAYS);
		struct slx_wal *w = NULL;
		struct slx_wal_report report;
		struct writer writers[4];
		pthread_t threads[4];
		_Atomic int highest = 0;
		o.sync_interval_ns = 100000;
		assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
		assert_int_equal(slx_wal_replay(w, 0, NULL, NULL, &report, NULL), SILEX_OK);
		for (unsigned i = 0; i < 4; i++) {
			writers[i] = (struct writer){ w, i, &highest };
			assert_int_equal(pthread_create(&threads[i], NULL, write_with_faults, &writers[i]), 0);
		}
		for (unsigned i = 0; i < 8; i++) {
			slx_vfs_sim_arm(sim, (i + seed) % 3 ? SLX_SIM_SYNC_FAILS : SLX_SIM_EIO, 1 + seed % 7);
			slx_wal_sync(w, NULL);
			slx_vfs_sim_heal(sim);
		}
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		bool power = !(seed % 2);
		crash(sim, w, power);
		assert_int_equal(slx_wal_open_file(&o, &w, NULL), SILEX_OK);
		assert_int_equal(slx_wal_replay(w, 0, NULL, NULL, &report, NULL), SILEX_OK);
		assert_int_equal(report.lost_frames, 0);
		assert_int_equal(report.frames, report.last_seq);
		assert_true(report.last_seq >= (uint64_t)highest);
		slx_wal_close(w, NULL);
		slx_vfs_sim_free(sim);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_replay),
		cmocka_unit_test(test_bad_calls),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_segments_and_cut),
		cmocka_unit_test(test_covered_frames),
		cmocka_unit_test(test_read_only_writes_nothing),
		cmocka_unit_test(test_foreign_segments),
		cmocka_unit_test(test_each_flipped_bit),
		cmocka_unit_test(test_each_length),
		cmocka_unit_test(test_missing_segment),
		cmocka_unit_test(test_zero_tail),
		cmocka_unit_test(test_damage_in_an_unclosed_log),
		cmocka_unit_test(test_frames_behind_a_tear),
		cmocka_unit_test(test_continuation_without_frames),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_faults_at_each_call),
		cmocka_unit_test(test_stopped_log),
		cmocka_unit_test(test_planted_faults_are_seen),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_concurrent_writers),
		cmocka_unit_test(test_concurrent_writers_and_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
