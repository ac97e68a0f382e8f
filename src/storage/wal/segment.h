/* One segment of the file log as bytes: its header, and a reader that finds frames in it. Private to the room.
 *
 * Header (96 bytes; its size, magic, version and checksum keep their places in every later version):
 *
 *      0 u8[8] magic "SilexWAL"
 *      8 u16   format version (0)
 *     10 u16   flags: 1 = continuation (same scope as an earlier segment, written after a failed sync)
 *     12 u32   0
 *     16 u8[16] uuid of the log
 *     32 u8[16] uuid of the segment
 *     48 u64   number, as in the file's name
 *     56 u64   scope: number of the segment that this one continues, else its own
 *     64 u64   first_seq: the frames here are numbered from it
 *     72 u64   synced_seq: every frame up to it was durable when this segment began
 *     80 u64   version: no frame before first_seq has a greater one
 *     88 u32   0
 *     92 u32   CRC-32C of bytes 0..91
 *     96 frames: envelopes (base/envelope.h), back to back; zeros up to the end of the file mean "no more"
 *
 * A frame of kind MARK (length 0) says: every frame up to its seq was durable when the mark was written. It has no
 * number of its own. Marks tell damage (something durable is unreadable) from a tear (a crash took what was not
 * durable yet). */
#ifndef SLX_STORAGE_WAL_SEGMENT_H
#define SLX_STORAGE_WAL_SEGMENT_H

#include "base/envelope.h"
#include "base/vfs.h"
#include "storage/wal/wal.h"

enum {
	SLX_WALSEG_HEADER_SIZE = 96,
	SLX_WALSEG_FORMAT = 0,
	SLX_WALSEG_CONTINUATION = 1,
	SLX_WALSEG_KIND_MARK = 1,
	SLX_WALSEG_NAME_SIZE = 40,
};

struct slx_walseg_header {
	uint16_t format, flags;
	uint8_t log_uuid[SLX_WAL_UUID_SIZE], uuid[SLX_WAL_UUID_SIZE];
	uint64_t number, scope, first_seq, synced_seq, version;
};

void slx_walseg_encode(const struct slx_walseg_header *h, uint8_t to[SLX_WALSEG_HEADER_SIZE]);

/* false: not a header, or damaged. With a newer ret->format only the format is to be believed. */
bool slx_walseg_decode(const uint8_t from[SLX_WALSEG_HEADER_SIZE], struct slx_walseg_header *ret);

/* Reads a segment front to back with one window of memory. */
struct slx_walseg_reader {
	struct slx_mem *mem;
	struct slx_file *file;
	uint64_t size; /* of the file, when it was opened */
	uint8_t *buf;  /* the bytes at file offsets [at, at + n) */
	size_t cap, n;
	uint64_t at;
};

silex_status slx_walseg_open(
	struct slx_walseg_reader *r, struct slx_vfs *v, struct slx_mem *m, const char *path, silex_error *err);
void slx_walseg_close(struct slx_walseg_reader *r);

/* The header; false when the file is too short or it is not intact. */
silex_status slx_walseg_read_header(
	struct slx_walseg_reader *r, struct slx_walseg_header *ret, bool *ret_found, silex_error *err);

struct slx_walseg_frame {
	struct slx_envelope envelope;
	const uint8_t *stored; /* until the next call */
	uint64_t offset, end;  /* in the file */
};

/* The frame at offset, when there is an intact one. */
silex_status slx_walseg_frame_at(
	struct slx_walseg_reader *r, uint64_t offset, struct slx_walseg_frame *ret, bool *ret_found, silex_error *err);

/* The first intact frame at or after `offset` that fits: numbered first_seq or more, and not so high that the bytes
 * from `offset` on could not have held the frames from next_seq up to it. */
silex_status slx_walseg_find(struct slx_walseg_reader *r, uint64_t offset, uint64_t first_seq, uint64_t next_seq,
	struct slx_walseg_frame *ret, bool *ret_found, silex_error *err);

/* Whether the file holds only zeros from offset on. */
silex_status slx_walseg_only_zeros(struct slx_walseg_reader *r, uint64_t offset, bool *ret, silex_error *err);

#endif
