/* Codecs for applications: compress arrays without a database, and bring a codec of your own.
 * SPDX-License-Identifier: MIT */
#ifndef SILEX_CODEC_H
#define SILEX_CODEC_H

#include <silex/export.h>
#include <silex/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ids 0..127 belong to Silex, 128..255 to applications. */
enum { SILEX_CODEC_ID_MIN = 128, SILEX_CODEC_ID_MAX = 255 };

/* A codec for runs of float64 values. Silex keeps the timestamps itself. The table and the name must outlive every
 * database and call that is given them. The functions may be called from any thread, several at once.
 *
 * bound:  upper limit of encode's size for n values.
 * encode: writes at most cap bytes, returns how many; 0 means "does not fit or not worth it" and the values are
 *         stored by a built-in codec instead. Must keep every bit of every value.
 * decode: size bytes back into exactly n values. The bytes passed a checksum but may come from a stranger: it must
 *         check them and return SILEX_CORRUPT rather than read or write out of bounds. */
typedef struct silex_codec {
	uint32_t struct_size; /* sizeof(silex_codec) */
	uint8_t id;           /* 128..255, stored with the data: never give it another meaning */
	const char *name;     /* what `codec=` says: [a-z0-9_-]{1,31} */
	void *ctx;
	size_t (*bound)(void *ctx, size_t n);
	size_t (*encode)(void *ctx, const double *values, size_t n, void *out, size_t cap);
	silex_status (*decode)(void *ctx, const void *bytes, size_t size, double *values, size_t n, silex_error *err);
} silex_codec;

/* Options of the calls below; NULL means all defaults. */
typedef struct silex_compress_options {
	uint32_t struct_size;                  /* set by silex_compress_options_init */
	const char *codec;                     /* NULL or "auto": the smallest; else a name of silex_codec_name or of `codecs` */
	int scale;                             /* decimal digits to remember ("37.0" has 1); -1: what the values need */
	const silex_codec *const *codecs;      /* codecs of the application */
	size_t codecs_n;
} silex_compress_options;

SILEX_API void silex_compress_options_init(silex_compress_options *options);

/* What a compressed buffer holds. Sizes in bytes, headers included. */
typedef struct silex_compressed_info {
	uint64_t n;                /* samples */
	uint64_t timestamps_size;
	uint64_t values_size;
	uint8_t codec;             /* id asked for when it was written; "auto" chooses per run of 8192 */
	int scale;                 /* decimal digits of the values; -1: not decimal */
} silex_compressed_info;

/* Compresses n samples into out (cap bytes, silex_compress_bound(n) always suffice) and sets *ret_size.
 * Timestamps and values come back bit for bit, in any order, NaN payloads and -0.0 included. n may be 0.
 * INVALID: unknown codec. RESOURCE_EXHAUSTED: cap too small, or no memory for about 1 MiB of work space.
 * Any thread; nothing is kept. */
SILEX_API size_t silex_compress_bound(size_t n);
SILEX_API silex_status silex_compress(const int64_t *timestamps, const double *values, size_t n,
	const silex_compress_options *options, void *out, size_t cap, size_t *ret_size, silex_error *err);

/* Reads the header: how many samples there are. CORRUPT when the bytes are not a whole, undamaged buffer. */
SILEX_API silex_status silex_compressed_info_read(const void *bytes, size_t size, silex_compressed_info *ret,
	silex_error *err);

/* Decompresses into arrays of cap elements each (either may be NULL when not wanted) and sets *ret_n. CORRUPT:
 * damaged or foreign bytes, named by offset. RESOURCE_EXHAUSTED: cap is smaller than the samples. UNSUPPORTED: an
 * application's codec that options does not list, named by id. On failure the arrays' contents are undefined. */
SILEX_API silex_status silex_decompress(const void *bytes, size_t size, const silex_compress_options *options,
	int64_t *timestamps, double *values, size_t cap, size_t *ret_n, silex_error *err);

/* Name of a built-in codec, NULL when there is none with this id; and back: -1 when unknown ("auto" included). */
SILEX_API const char *silex_codec_name(int id);
SILEX_API int silex_codec_by_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
