/* Any bytes as a segment of the log, with another, good segment behind it or not (the first byte says): it is opened,
 * replayed, written, closed and replayed again. Whatever the bytes, the second replay brings the frames of the first in
 * front of the new one, in order, and finds nothing torn. */
#include "base/vfs_sim.h"
#include "storage/wal/segment.h"
#include "storage/wal/wal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t fixed_time(void *ctx) { return 1700000000000000000; }

static void fixed_bytes(void *ctx, void *bytes, size_t n) { memset(bytes, 7, n); }

struct seen {
	uint64_t frames, last, sum;
};

static silex_status see(void *arg, const struct slx_wal_frame *f, silex_error *err)
{
	struct seen *s = arg;
	if (s->frames && f->seq <= s->last)
		abort();
	s->frames++;
	s->last = f->seq;
	for (size_t i = 0; i < f->n; i++)
		s->sum += f->payload[i];
	return SILEX_OK;
}

static void put_file(struct slx_vfs *v, const char *path, const uint8_t *p, size_t n)
{
	if (slx_vfs_write_file(v, path, p, n, NULL) != SILEX_OK)
		abort();
}

static void put_second(struct slx_vfs *v, const uint8_t *data, size_t size)
{
	struct slx_walseg_header first, second = { .number = 2, .scope = 2, .first_seq = 3, .synced_seq = 2 };
	uint8_t bytes[SLX_WALSEG_HEADER_SIZE + SLX_ENVELOPE_SIZE];
	struct slx_envelope e = { .kind = SLX_WAL_KIND_FIRST, .seq = 3, .version = 3 };
	if (size >= SLX_WALSEG_HEADER_SIZE && slx_walseg_decode(data, &first))
		memcpy(second.log_uuid, first.log_uuid, sizeof second.log_uuid);
	slx_walseg_encode(&second, bytes);
	slx_envelope_encode(&e, 0, bytes + SLX_WALSEG_HEADER_SIZE);
	put_file(v, "/wal/00000002.wal", bytes, sizeof bytes);
}

static void run(struct slx_vfs *v, struct slx_mem *mem)
{
	const silex_clock clock = { NULL, fixed_time, fixed_time };
	const silex_random random = { NULL, fixed_bytes };
	struct slx_wal_options o = { .vfs = v, .mem = mem, .clock = &clock, .random = &random, .dir = "/wal" };
	struct slx_wal *w = NULL;
	struct slx_wal_report report;
	struct slx_wal_pos pos;
	struct seen first = { 0 }, second = { 0 };
	if (slx_wal_open_file(&o, &w, NULL) != SILEX_OK)
		return;
	silex_status st = slx_wal_replay(w, 0, see, &first, &report, NULL);
	/* A number or a clock at its end leaves no room for what follows; a real log does not get there. */
	if (st == SILEX_OK && first.last < UINT64_MAX / 2) {
		if (slx_wal_append(w, SLX_WAL_KIND_FIRST, 0, NULL, 0, 0, &pos, NULL) != SILEX_OK)
			abort();
		if (slx_wal_close(w, NULL) != SILEX_OK || slx_wal_open_file(&o, &w, NULL) != SILEX_OK)
			abort();
		if (slx_wal_replay(w, 0, see, &second, &report, NULL) != SILEX_OK)
			abort();
		if (second.frames != first.frames + 1 || second.sum != first.sum || second.last != pos.seq || report.torn_bytes)
			abort();
	}
	slx_wal_close(w, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	if (size < 1)
		return 0;
	struct slx_vfs_sim *sim = slx_vfs_sim_new(1);
	struct slx_vfs *v = slx_vfs_sim_vfs(sim);
	slx_mem_init(&mem, NULL);
	if (v->mkdir(v, "/wal", NULL) != SILEX_OK)
		abort();
	put_file(v, "/wal/00000001.wal", data + 1, size - 1);
	if (data[0] & 1)
		put_second(v, data + 1, size - 1);
	run(v, &mem);
	if (slx_mem_total(&mem) != 0)
		abort();
	slx_vfs_sim_free(sim);
	return 0;
}
