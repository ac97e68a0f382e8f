#include "base/arena.h"

#include <stdbool.h>

#include <string.h>

struct slx_arena_slab {
	struct slx_arena_slab *next;
	size_t size;
};

enum { SLAB_SIZE_MIN = 4096, MAPPED_SIZE_MIN = 65536, SLAB_HEADER = 64 };
_Static_assert(sizeof(struct slx_arena_slab) <= SLAB_HEADER, "slab header room");

void slx_arena_init(struct slx_arena *a, struct slx_mem *m, enum slx_mem_use use, size_t slab_size_max)
{
	memset(a, 0, sizeof *a);
	a->mem = m;
	a->use = use;
	a->slab_size = SLAB_SIZE_MIN;
	a->slab_size_max = slab_size_max < SLAB_SIZE_MIN ? SLAB_SIZE_MIN : slab_size_max;
}

void *slx_arena_alloc_slow(struct slx_arena *a, size_t n, size_t align)
{
	size_t want = n + align + SLAB_HEADER;
	if (want < n || want > SIZE_MAX / 2)
		return NULL;
	size_t size = a->slab_size;
	bool own = want > size; /* a large object gets a slab of its own and the current one stays open */
	if (own)
		size = (want + 4095) & ~(size_t)4095;
	struct slx_arena_slab *s = size >= MAPPED_SIZE_MIN ? slx_slab_alloc(a->mem, a->use, size) : slx_alloc(a->mem, a->use, size);
	if (!s)
		return NULL;
	s->size = size;
	s->next = a->slabs;
	a->slabs = s;
	a->total += size;
	uint8_t *start = (uint8_t *)s + SLAB_HEADER;
	uintptr_t q = ((uintptr_t)start + align - 1) & ~(uintptr_t)(align - 1);
	if (own && a->p)
		return (void *)q;
	a->p = (uint8_t *)q + n;
	a->end = (uint8_t *)s + size;
	if (!own && a->slab_size < a->slab_size_max)
		a->slab_size = a->slab_size * 2 < a->slab_size_max ? a->slab_size * 2 : a->slab_size_max;
	return (void *)q;
}

void slx_arena_clear(struct slx_arena *a)
{
	for (struct slx_arena_slab *s = a->slabs, *next; s; s = next) {
		next = s->next;
		if (s->size >= MAPPED_SIZE_MIN)
			slx_slab_free(a->mem, a->use, s, s->size);
		else
			slx_free(a->mem, a->use, s, s->size);
	}
	slx_arena_init(a, a->mem, a->use, a->slab_size_max);
}
