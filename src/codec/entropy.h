/* Length-limited canonical Huffman codes over bytes, decoded several symbols at a time. */
#ifndef SLX_CODEC_ENTROPY_H
#define SLX_CODEC_ENTROPY_H

#include "base/bytes.h"

enum { SLX_HUFF_SYMBOLS = 256, SLX_HUFF_BITS_MAX = 11 };

/* For writing. len 0: the symbol does not occur. */
struct slx_huff_code {
	unsigned symbols; /* 2..256 */
	unsigned bits;    /* greatest length allowed */
	uint8_t len[SLX_HUFF_SYMBOLS];
	uint16_t code[SLX_HUFF_SYMBOLS]; /* bits reversed: first bit lowest */
};

/* For reading: what the next `bits` bits begin with, up to four whole symbols in one entry.
 * Entry: symbols in bytes 0..3, how many in byte 4, how many bits they take in byte 5. */
struct slx_huff_table {
	unsigned symbols, bits;
	uint64_t entry[1 << SLX_HUFF_BITS_MAX];
};

/* Makes the code for count[0..symbols-1]; a second symbol is added where only one occurs. */
void slx_huff_make(const uint32_t *count, unsigned symbols, struct slx_huff_code *ret);
/* Estimate of the bits that all symbols take, table included. */
double slx_huff_cost(const uint32_t *count, unsigned symbols);

/* Lengths as bytes: u8 symbols - 1, u8 greatest length, then nibbles; 0 is followed by a nibble, zeros - 1. */
uint8_t *slx_huff_write(const struct slx_huff_code *c, uint8_t *out);
enum { SLX_HUFF_HEAD_MAX = 2 + SLX_HUFF_SYMBOLS };
bool slx_huff_read(struct slx_rd *r, struct slx_huff_table *ret);

/* n symbols; returns the end. out: at most slx_huff_stream_bound(n). */
size_t slx_huff_stream_bound(size_t n);
uint8_t *slx_huff_encode(const struct slx_huff_code *c, const uint8_t *sym, size_t n, uint8_t *out);

/* Reads n symbols of one stream, or na and nb of two at once. False: the bytes end before the symbols do.
 * Symbols are < table.symbols. */
bool slx_huff_decode(const struct slx_huff_table *t, const uint8_t *in, size_t len, uint8_t *sym, size_t n);
bool slx_huff_decode2(const struct slx_huff_table *t, const uint8_t *a, size_t a_len, uint8_t *a_sym, size_t na,
	const uint8_t *b, size_t b_len, uint8_t *b_sym, size_t nb);

#endif
