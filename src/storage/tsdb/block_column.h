/* Columns of chunk headers in a section's index: packed by the codecs of samples, constants for a few bytes.
 *
 *     integers   varint zigzag(base), varint divisor; divisor 0: every value is base. Else groups of up to 512 values,
 *                each varint size, slx_i64 block of q; a value is base + divisor * q (modulo 2^64)
 *     doubles    u8 form: 0 all +0.0; 1 all equal to the 8 bytes that follow; 2 groups as above, slx_sx blocks */
#ifndef SLX_TSDB_BLOCK_COLUMN_H
#define SLX_TSDB_BLOCK_COLUMN_H

#include "base/buf.h"
#include "base/status.h"

/* Append a column of n >= 1 values; out->failed tells of a lack of memory. */
void slx_column_put_i64(struct slx_buf *out, const int64_t *v, size_t n);
void slx_column_put_f64(struct slx_buf *out, const double *v, size_t n);

/* Read one that fills [p, p + size) exactly. CORRUPT says what is wrong. */
silex_status slx_column_get_i64(const uint8_t *p, size_t size, int64_t *to, size_t n, silex_error *err);
silex_status slx_column_get_f64(const uint8_t *p, size_t size, double *to, size_t n, silex_error *err);

/* Is it a column of zeros? Without reading it further. */
static inline bool slx_column_zero_i64(const uint8_t *p, size_t size) { return size == 2 && p[0] == 0 && p[1] == 0; }
static inline bool slx_column_zero_f64(const uint8_t *p, size_t size) { return size == 1 && p[0] == 0; }

#endif
