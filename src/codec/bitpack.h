/* Fields of 0..64 bits, least significant bit first, one after another; and PFOR, the packed run of integers that
 * timestamps, int64 and SX share. */
#ifndef SLX_CODEC_BITPACK_H
#define SLX_CODEC_BITPACK_H

#include "base/bytes.h"
#include "codec/kernels.h"

/* Field i of a run of n: reads only bytes of the run. */
uint64_t slx_unpack_one(const uint8_t *in, size_t n, unsigned width, size_t i);

void slx_unpack_scalar(const uint8_t *in, size_t n, unsigned width, uint64_t *out); /* see kernels.h */
void slx_unpack_avx512(const uint8_t *in, size_t n, unsigned width, uint64_t *out);

/* Packs x[i] - base (wrapping, cut to width); returns the end: slx_packed_size(n, width) bytes further. */
uint8_t *slx_pack(const int64_t *x, size_t n, int64_t base, unsigned width, uint8_t *out);

/* PFOR: integers less a base in fields of one width; the few that do not fit are patched in afterwards.
 *
 *   u8      width | 128 when there are patches
 *   zigzag  base
 *   fields  n of width bits (0 where patched)
 *   patches varint count, then each: varint positions since the one before, zigzag x - base
 */
struct slx_pfor_plan {
	int64_t base;
	unsigned width;
	size_t patches;
	size_t bits; /* estimate of fields and patches */
};

enum { SLX_PFOR_PATCH_BITS = 32 }; /* what a patch costs, in size and time */

/* Cheapest base and width for x, whose least and greatest are given. */
struct slx_pfor_plan slx_pfor_plan(const int64_t *x, size_t n, int64_t min, int64_t max);
uint8_t *slx_pfor_write(const struct slx_pfor_plan *plan, const int64_t *x, size_t n, uint8_t *out);
size_t slx_pfor_bound(size_t n);

struct slx_pfor {
	int64_t base;
	unsigned width;
	const uint8_t *fields;
	size_t n, patches;
	const uint8_t *patch_bytes, *patch_end;
	bool narrow_patches; /* magnitudes up to 2^SLX_NARROW */
};

/* Parses and checks a run of n, patches included; leaves r after it. False: not one. */
bool slx_pfor_read(struct slx_rd *r, size_t n, struct slx_pfor *ret);
/* Fields with patches applied, base not added. */
void slx_pfor_unpack(const struct slx_pfor *p, int64_t *x);
/* The same of a narrow run (slx_narrow(), narrow_patches), in an array rounded up to SLX_NARROW_LANES. */
void slx_pfor_unpack_narrow(const struct slx_pfor *p, int32_t *x);

#endif
