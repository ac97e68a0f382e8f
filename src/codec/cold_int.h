/* The layout of a cold block, shared by its writer and its reader.
 *
 *   u8      wrap (bits 0-1) | CODED, DICT, DELTA, BYTES, F32, INT64
 *   if wrap: varint size of what follows before compression; then everything below is inside
 *   u8      decimal exponent + 1; 0: none     u8  decimal digits to show + 1; 0: none
 *   varint  greatest part size, then for each part its size less that, as fields of one width: u8 width, fields
 *   if DICT:  varint entries, then vectors of up to 512: varint size, SX vector (int64 codec when INT64), in order
 *   if CODED: zigzag base, u8 low bits, u8 streams (1 or 2), Huffman lengths (entropy.c)
 *   parts, one after another
 *
 * Neither CODED nor BYTES: a part is an SX vector (or an int64 block).
 * Else a part of n values gives integers: decimals, int64, or with DICT the indexes of entries; with DELTA only the
 * first and the m = n - 1 differences, without it m = n:
 *
 *   varint  escapes << 1 | exceptions
 *   if DELTA: zigzag first
 *   escapes, each: varint positions since the one before, zigzag x
 *   exceptions: decimal.c
 *   CODED:  the low bits of m fields; varint size of stream 1 if there are two; streams, to the end of the part
 *           x = base + (symbol << low bits | low)
 *   BYTES:  m zigzag varints (their point is the general compressor around them)
 *
 * An escape's symbol is the last of the alphabet, its low bits are 0. */
#ifndef SLX_CODEC_COLD_INT_H
#define SLX_CODEC_COLD_INT_H

#include "codec/entropy.h"
#include "codec/sx_int.h"

enum {
	SLX_COLD_WRAP = 3,
	SLX_COLD_CODED = 4,
	SLX_COLD_DICTIONARY = 8,
	SLX_COLD_DELTAS = 16,
	SLX_COLD_BYTES = 32,
	SLX_COLD_F32 = 64,
	SLX_COLD_INT64 = 128,

	SLX_COLD_DICT_MAX = 4096,
	SLX_COLD_RAW_MAX = 36 * SLX_CHUNK_MAX, /* block before compression: 12.4 bytes a value, exceptions 10, parts 16 */
};

#endif
