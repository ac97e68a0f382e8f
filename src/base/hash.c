#include "base/hash.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

uint64_t slx_hash64(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

struct slx_hash128 slx_hash128(const void *p, size_t n, uint64_t seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
	return (struct slx_hash128){ .lo = h.low64, .hi = h.high64 };
}
