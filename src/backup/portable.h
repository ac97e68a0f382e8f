/* A snapshot as one portable file: a stream of records, each with a checksum, closed by an end record. docs/format/snapshot.md
 *
 *     header (32)   "SilexSnp", u16 format, u16 0, u32 0, i64 created (ms), u32 0, u32 CRC-32C of bytes 0..27
 *     records       envelopes (base/envelope.h), seq dense from 1:
 *       1 PART      u64 size; then the name: "blocks/NAME" or "meta/KEY"
 *       2 DATA      up to 1 MiB of the part
 *       3 PART_END  XXH3-128 of the part: u64 low, u64 high
 *       4 END       u64 parts, u64 bytes of all parts; nothing follows */
#ifndef SLX_BACKUP_PORTABLE_H
#define SLX_BACKUP_PORTABLE_H

#include "backup/place.h"
#include "engine/image.h"

enum { SLX_PORTABLE_FORMAT = 0, SLX_PORTABLE_HEADER_SIZE = 32, SLX_PORTABLE_NAME_MAX = 160 };

silex_status slx_portable_write(struct slx_place *p, struct slx_image *i, slx_sink_fn *to, void *sink, struct slx_progress *progress, silex_error *err);
/* The same into a file, which is there when it is whole. */
silex_status slx_portable_write_file(struct slx_place *p, struct slx_image *i, const char *path, struct slx_progress *progress, silex_error *err);

/* What a reader does with a part: begin gives its name and size, data its bytes in order, end comes when its checksum was right. */
struct slx_portable_sink {
	silex_status (*begin)(void *arg, const char *name, uint64_t size, silex_error *err);
	silex_status (*data)(void *arg, const uint8_t *bytes, size_t n, silex_error *err);
	silex_status (*end)(void *arg, silex_error *err);
	void *arg;
};
/* Reads size bytes of a source. CORRUPT names the offset; UNSUPPORTED a newer format. OK: the end record was there and right. */
silex_status slx_portable_read(struct slx_mem *m, slx_source_fn *from, void *source, uint64_t size, const struct slx_portable_sink *to, silex_error *err);
/* Whether these first bytes (at least 8) are of such a file. */
bool slx_portable_is(const uint8_t *p);

#endif
