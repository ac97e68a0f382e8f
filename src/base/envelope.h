/* The envelope around stored bytes: log frames (storage/wal) and pages of blocks (storage/tsdb) share it, so that a
 * checksum, and later encryption, comes in one form.  docs/format/envelope.md
 *
 *      0 u32 length   stored bytes that follow this header
 *      4 u8  kind     what the bytes are; each container has its own list; 0 is never used
 *      5 u8  format   version of the kind's encoding
 *      6 u8  codec    enum slx_envelope_codec
 *      7 u8  flags    0 in this version
 *      8 u32 key_id   0: plain. Else the stored bytes are nonce[12], ciphertext, tag[16], and `length` counts all three
 *     12 u64 seq      log: the frame's sequence number, dense from 1; elsewhere as the container says
 *     20 u64 version  log: hybrid logical clock; elsewhere as the container says
 *     28 u32 crc      CRC-32C over the stored bytes, then over bytes 0..27 of this header
 *     32 stored bytes
 *
 * The checksum takes the stored bytes first so that a writer can compute that part before it knows the sequence number
 * (outside the log's lock). A header of zeros is never valid: its checksum would not be zero. */
#ifndef SLX_BASE_ENVELOPE_H
#define SLX_BASE_ENVELOPE_H

#include "base/bytes.h"
#include "base/hash.h"

enum { SLX_ENVELOPE_SIZE = 32, SLX_ENVELOPE_NONCE = 12, SLX_ENVELOPE_TAG = 16 };

enum slx_envelope_codec { SLX_ENVELOPE_PLAIN = 0, SLX_ENVELOPE_LZ4 = 1 };

struct slx_envelope {
	uint32_t length;
	uint8_t kind, format, codec, flags;
	uint32_t key_id;
	uint64_t seq, version;
};

/* Writes the header; stored_crc is slx_crc32c(0, stored bytes, e->length). */
static inline void slx_envelope_encode(const struct slx_envelope *e, uint32_t stored_crc, uint8_t to[SLX_ENVELOPE_SIZE])
{
	slx_store32(to, e->length);
	to[4] = e->kind;
	to[5] = e->format;
	to[6] = e->codec;
	to[7] = e->flags;
	slx_store32(to + 8, e->key_id);
	slx_store64(to + 12, e->seq);
	slx_store64(to + 20, e->version);
	slx_store32(to + 28, slx_crc32c(stored_crc, to, 28));
}

/* Reads the fields of a header. No check: the length may be anything. */
static inline struct slx_envelope slx_envelope_peek(const uint8_t from[SLX_ENVELOPE_SIZE])
{
	return (struct slx_envelope){
		.length = slx_load32(from),
		.kind = from[4],
		.format = from[5],
		.codec = from[6],
		.flags = from[7],
		.key_id = slx_load32(from + 8),
		.seq = slx_load64(from + 12),
		.version = slx_load64(from + 20),
	};
}

/* Whether the header and the length bytes at `stored` are what was written. */
static inline bool slx_envelope_intact(const uint8_t header[SLX_ENVELOPE_SIZE], const uint8_t *stored, uint32_t length)
{
	return slx_crc32c(slx_crc32c(0, stored, length), header, 28) == slx_load32(header + 28);
}

/* Decodes one envelope at the start of n foreign bytes: true, with *ret and the stored bytes in *ret_stored (they point
 * into p), when all of it is there, its length is at most length_max, its kind is not 0 and its checksum fits. */
static inline bool slx_envelope_decode(
	const uint8_t *p, size_t n, size_t length_max, struct slx_envelope *ret, const uint8_t **ret_stored)
{
	if (n < SLX_ENVELOPE_SIZE)
		return false;
	struct slx_envelope e = slx_envelope_peek(p);
	if (e.kind == 0 || e.length > length_max || e.length > n - SLX_ENVELOPE_SIZE)
		return false;
	if (e.key_id && e.length < SLX_ENVELOPE_NONCE + SLX_ENVELOPE_TAG)
		return false;
	if (!slx_envelope_intact(p, p + SLX_ENVELOPE_SIZE, e.length))
		return false;
	*ret = e;
	*ret_stored = p + SLX_ENVELOPE_SIZE;
	return true;
}

#endif
