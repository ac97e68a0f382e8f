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

_Static_assert(sizeof(struct slx_hasher) >= sizeof(XXH3_state_t), "slx_hasher holds the state of XXH3");

void slx_hasher_init(struct slx_hasher *h)
{
	XXH3_INITSTATE((XXH3_state_t *)h->state);
	XXH3_128bits_reset((XXH3_state_t *)h->state);
}

void slx_hasher_put(struct slx_hasher *h, const void *p, size_t n)
{
	if (n)
		XXH3_128bits_update((XXH3_state_t *)h->state, p, n);
}

struct slx_hash128 slx_hasher_get(const struct slx_hasher *h)
{
	XXH128_hash_t v = XXH3_128bits_digest((const XXH3_state_t *)h->state);
	return (struct slx_hash128){ .lo = v.low64, .hi = v.high64 };
}
