/* Bump allocation with one lifetime: everything is freed by slx_arena_clear. Not thread-safe. */
#ifndef SLX_BASE_ARENA_H
#define SLX_BASE_ARENA_H

#include "base/mem.h"

struct slx_arena_slab;

struct slx_arena {
	struct slx_mem *mem;
	enum slx_mem_use use;
	size_t slab_size; /* bytes of the next slab; grows from 4 KiB to slab_size_max */
	size_t slab_size_max;
	struct slx_arena_slab *slabs;
	uint8_t *p, *end;
	size_t total; /* bytes held, slab overhead included */
};

/* slab_size_max: 4096 .. 1 MiB; slabs of 64 KiB and more are mapped. */
void slx_arena_init(struct slx_arena *a, struct slx_mem *m, enum slx_mem_use use, size_t slab_size_max);
void *slx_arena_alloc_slow(struct slx_arena *a, size_t n, size_t align);
void slx_arena_clear(struct slx_arena *a);

/* align: a power of two up to 64. NULL when out of memory. Contents undefined. */
static inline void *slx_arena_alloc(struct slx_arena *a, size_t n, size_t align)
{
	uintptr_t q = ((uintptr_t)a->p + align - 1) & ~(uintptr_t)(align - 1);
	if (a->p && q <= (uintptr_t)a->end && n <= (uintptr_t)a->end - q) {
		a->p = (uint8_t *)q + n;
		return (void *)q;
	}
	return slx_arena_alloc_slow(a, n, align);
}

#endif
