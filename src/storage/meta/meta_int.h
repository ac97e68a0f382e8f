/* Shared by the implementations; private to the room. */
#ifndef SLX_STORAGE_META_INT_H
#define SLX_STORAGE_META_INT_H

#include "storage/meta/meta.h"

silex_status slx_meta_check_key(const char *key, silex_error *err);
silex_status slx_meta_conflict(const char *key, uint64_t found, uint64_t expected, silex_error *err);

/* The file of a key: docs/format/manifest-file.md
 *
 *      0 u8[8] magic "SilexDoc"
 *      8 u16   format version (0)
 *     10 u16   0
 *     12 u32   CRC-32C of bytes 0..11, 16..31 and of the value
 *     16 u64   version of the value, from 1
 *     24 u64   length of the value
 *     32 value, up to the end of the file */
enum { SLX_META_HEADER_SIZE = 32, SLX_META_FORMAT = 0 };

void slx_meta_encode(const void *bytes, size_t n, uint64_t version, uint8_t header[SLX_META_HEADER_SIZE]);

/* Checks a whole file; `path` is for messages. */
silex_status slx_meta_decode(const char *path, const uint8_t *file, size_t n, uint64_t *ret_version, silex_error *err);

#endif
