/* Values that are bytes, inside chunks: the codec that takes any, and what it shares with the one for histograms. */
#ifndef SLX_CHUNK_BYTES_INT_H
#define SLX_CHUNK_BYTES_INT_H

#include "storage/chunk/chunk.h"

/* Appends the body to out, compressed when that gains a tenth: u8 compressor (enum slx_wrap), with one varint size before,
 * the bytes. */
silex_status slx_body_put(const struct slx_buf *body, enum slx_wrap wrap, struct slx_buf *out, silex_error *err);
/* A reader on the body in p: on p itself or, decompressed, in `to`. At most size_max bytes. */
silex_status slx_body_open(const uint8_t *p, size_t size, size_t size_max, struct slx_buf *to, struct slx_rd *ret, silex_error *err);

/* Any values: body = n varint lengths, then the bytes of all. */
silex_status slx_bytes_encode(const uint64_t *bits, size_t n, enum slx_wrap wrap, struct slx_buf *out, silex_error *err);
/* Values lo..hi-1 of n into `values`, which must be empty; bits[i - lo] is the address of value i in it. */
silex_status slx_bytes_decode(const uint8_t *p, size_t size, size_t n, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits, silex_error *err);

/* Histograms as columns: histogram.c. *ret_done false, with nothing written: one does not come back from its fields as it is;
 * they are values like any then. */
silex_status slx_histograms_encode(const uint64_t *bits, size_t n, enum slx_wrap wrap, struct slx_buf *out, bool *ret_done, silex_error *err);
silex_status slx_histograms_decode(const uint8_t *p, size_t size, size_t n, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits,
	silex_error *err); /* as slx_bytes_decode */

#endif
