/* The manifest of a backup: one object, "backup-ID", that names all that belongs to it. docs/format/backup.md
 *
 *     0 "SilexBak"; 8 u16 format; 10 u16 0; 12 u32 CRC-32C of all but these four bytes; 16 u64 length of what follows
 *     24 str id; i64 time_ms; i64 took_ms; u8 full; str host; u8[16] log uuid; u64 checkpoint; u64 version
 *        u64 points, bytes, new_blocks, new_bytes
 *        u32 n; blocks    { str name; u64 size; u64 low, high of XXH3-128 }
 *        u32 n; documents { str key; varint n, bytes }, the first is the database's MANIFEST
 *
 * str: varint length, bytes. */
#ifndef SLX_BACKUP_RECORD_H
#define SLX_BACKUP_RECORD_H

#include "backup/backup_int.h"
#include "base/buf.h"

#define SLX_RECORD_PREFIX "backup-"
enum { SLX_BACKUP_FORMAT = 0, SLX_BACKUP_RECORD_MAX = 256 << 20, SLX_BACKUP_ID_SIZE = 64 };

struct slx_backup_block {
	char name[SLX_BLOCK_NAME_SIZE];
	uint64_t size;
	struct slx_hash128 hash;
};

struct slx_backup_record {
	struct slx_mem *mem;
	silex_backup_info info;
	uint8_t log_uuid[SLX_WAL_UUID_SIZE];
	uint64_t checkpoint, version;
	struct slx_backup_block *blocks; /* by name */
	size_t n_blocks;
	struct slx_image_doc *docs;
	size_t n_docs;
};

void slx_backup_record_free(struct slx_backup_record *r);
void slx_backup_record_encode(const struct slx_backup_record *r, struct slx_buf *out);
/* CORRUPT with offset; UNSUPPORTED for a newer format. */
silex_status slx_backup_record_decode(struct slx_mem *m, const uint8_t *p, size_t n, struct slx_backup_record *ret, silex_error *err);
/* Blocks are objects of a prefix of their own: a target may be a store that also keeps cold blocks. */
#define SLX_BLOCK_PREFIX "block-"
enum { SLX_BLOCK_OBJECT_SIZE = SLX_BLOCK_NAME_SIZE + sizeof SLX_BLOCK_PREFIX };
const char *slx_backup_object(const char *block, char room[SLX_BLOCK_OBJECT_SIZE]);

const struct slx_backup_block *slx_backup_record_find(const struct slx_backup_record *r, const char *name); /* NULL: none */

/* Puts it as an object; the id is in r. */
silex_status slx_backup_record_put(struct slx_place *p, struct slx_store *s, const struct slx_backup_record *r, silex_error *err);
/* The one of an object; errors name it. */
silex_status slx_backup_record_get(struct slx_place *p, struct slx_store *s, const char *object, struct slx_backup_record *ret, silex_error *err);

#endif
