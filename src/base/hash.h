/* XXH3 (xxHash library): 64-bit for tables, 128-bit for identities. Stable across releases and hosts. */
#ifndef SLX_BASE_HASH_H
#define SLX_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slx_hash128 {
	uint64_t lo, hi;
};

uint64_t slx_hash64(const void *p, size_t n);
struct slx_hash128 slx_hash128(const void *p, size_t n, uint64_t seed);

/* The 128-bit hash (seed 0) of bytes that come in pieces. */
struct slx_hasher {
	_Alignas(64) uint8_t state[576];
};
void slx_hasher_init(struct slx_hasher *h);
void slx_hasher_put(struct slx_hasher *h, const void *p, size_t n);
struct slx_hash128 slx_hasher_get(const struct slx_hasher *h);

static inline bool slx_hash128_eq(struct slx_hash128 a, struct slx_hash128 b) { return a.lo == b.lo && a.hi == b.hi; }

/* CRC-32C (Castagnoli, reflected 0x82F63B78, as in iSCSI and ext4). crc: 0, or the result so far.
 * SSE4.2 or ARMv8 CRC instructions where the processor has them, else tables (slicing by 8); same result. */
uint32_t slx_crc32c(uint32_t crc, const void *p, size_t n);
uint32_t slx_crc32c_scalar(uint32_t crc, const void *p, size_t n);

#endif
