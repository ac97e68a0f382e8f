/* An array in an arena whose elements never move: segments of 4 elements up to 1024, of 1024 from there, and a
 * directory of them that is copied when it doubles. (Private to storage/index.) */
#ifndef SLX_INDEX_VEC_H
#define SLX_INDEX_VEC_H

#include "base/arena.h"

#include <stdbool.h>
#include <string.h>

enum {
	SLX_VEC_SMALL_BITS = 2,
	SLX_VEC_LARGE_BITS = 10,
	SLX_VEC_SMALL_SEGMENTS = 1 << (SLX_VEC_LARGE_BITS - SLX_VEC_SMALL_BITS)
};

struct slx_vec {
	uint8_t **segments;
	uint32_t segments_n, segments_cap;
	uint32_t n, cap; /* elements */
	uint32_t size;   /* of an element, bytes */
};

/* Arena and what was taken from it. */
struct slx_vec_home {
	struct slx_arena *arena;
	size_t bytes;
};

static inline void *slx_vec_take(struct slx_vec_home *h, size_t n, size_t align)
{
	void *p = slx_arena_alloc(h->arena, n, align);
	if (p)
		h->bytes += n;
	return p;
}

static inline void *slx_vec_at(const struct slx_vec *v, uint32_t i)
{
	uint32_t segment = i >> SLX_VEC_SMALL_BITS, at = i & ((1u << SLX_VEC_SMALL_BITS) - 1);
	if (i >= 1u << SLX_VEC_LARGE_BITS) {
		segment = (i >> SLX_VEC_LARGE_BITS) + SLX_VEC_SMALL_SEGMENTS - 1;
		at = i & ((1u << SLX_VEC_LARGE_BITS) - 1);
	}
	return v->segments[segment] + (size_t)at * v->size;
}

/* Makes room for one more element; false when memory is out. */
bool slx_vec_grow(struct slx_vec *v, struct slx_vec_home *h);

static inline bool slx_vec_reserve(struct slx_vec *v, struct slx_vec_home *h)
{
	return v->n < v->cap || slx_vec_grow(v, h);
}

#endif
