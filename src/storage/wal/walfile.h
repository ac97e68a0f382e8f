/* A segment of the log as a file by itself: what shipping it elsewhere, checking it there and bringing it back needs. */
#ifndef SLX_STORAGE_WAL_WALFILE_H
#define SLX_STORAGE_WAL_WALFILE_H

#include "storage/wal/wal.h"

enum { SLX_WALFILE_HEADER_SIZE = 96 };

struct slx_walfile_header {
	uint8_t log_uuid[SLX_WAL_UUID_SIZE], uuid[SLX_WAL_UUID_SIZE];
	uint64_t number, scope, first_seq;
	uint64_t version; /* no frame before first_seq has a greater one */
	bool continuation; /* uses definitions of the segment whose number is scope */
};

/* CORRUPT; UNSUPPORTED when the format is newer. what names the file. */
silex_status slx_walfile_header_decode(
	const uint8_t from[SLX_WALFILE_HEADER_SIZE], const char *what, struct slx_walfile_header *ret, silex_error *err);
/* The same header under another number and scope. */
silex_status slx_walfile_header_renumber(uint8_t header[SLX_WALFILE_HEADER_SIZE], uint64_t number, uint64_t scope, silex_error *err);

/* Frames of a file, one after the other. */
struct slx_walfile_run {
	uint64_t frames;
	uint64_t first_seq, last_seq; /* of the frames; 0, 0: none */
	uint64_t last_version;
	uint64_t end;  /* offset behind the last of them */
	bool limited;  /* it ended at a frame above a limit */
	bool clean;    /* it ended at the end of the file, or where only zeros follow */
};

/* Walks from offset (of a frame; a piece without a header begins at 0) to the first bytes that are no intact frame with the next
 * number, or to the first frame numbered above seq_max or of a version above version_max. */
silex_status slx_walfile_walk(struct slx_mem *m, struct slx_file *f, uint64_t offset, uint64_t seq_max, uint64_t version_max,
	struct slx_walfile_run *ret, silex_error *err);

#endif
