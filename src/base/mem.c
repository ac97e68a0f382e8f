#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Large blocks are mapped, always: malloc begins so, but once a large block was freed it keeps blocks of that size in its
 * heap, where they stay with the process. Sizes come with every call, so nothing is stored. */
enum { LARGE = 256 << 10 };

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void *system_alloc(void *ctx, size_t n) { return n < LARGE ? malloc(n) : map(n); }

static void system_free(void *ctx, void *p, size_t n)
{
	if (n < LARGE)
		free(p);
	else
		munmap(p, n);
}

static void *system_realloc(void *ctx, void *p, size_t old_size, size_t n)
{
	if (old_size < LARGE && n < LARGE)
		return realloc(p, n);
	if (old_size >= LARGE && n >= LARGE) {
		void *q = mremap(p, old_size, n, MREMAP_MAYMOVE);
		return q == MAP_FAILED ? NULL : q;
	}
	void *q = system_alloc(ctx, n);
	if (!q)
		return NULL;
	memcpy(q, p, old_size < n ? old_size : n);
	system_free(ctx, p, old_size);
	return q;
}

void slx_mem_init(struct slx_mem *m, const silex_allocator *a)
{
	memset(m, 0, sizeof *m);
	if (a && a->alloc)
		m->allocator = *a;
	else
		m->allocator = (silex_allocator){ NULL, system_alloc, system_realloc, system_free };
}

int64_t slx_mem_total(struct slx_mem *m)
{
	int64_t sum = 0;
	for (int i = 0; i < SLX_MEM_USES; i++)
		sum += atomic_load_explicit(&m->used[i], memory_order_relaxed);
	return sum;
}

void slx_mem_book(struct slx_mem *m, enum slx_mem_use use, int64_t delta)
{
	atomic_fetch_add_explicit(&m->used[use], delta, memory_order_relaxed);
}

void *slx_alloc(struct slx_mem *m, enum slx_mem_use use, size_t n)
{
	void *p = m->allocator.alloc(m->allocator.ctx, n ? n : 1);
	if (p)
		slx_mem_book(m, use, (int64_t)n);
	return p;
}

void *slx_calloc(struct slx_mem *m, enum slx_mem_use use, size_t n)
{
	void *p = slx_alloc(m, use, n);
	return p ? memset(p, 0, n) : NULL;
}

void *slx_realloc(struct slx_mem *m, enum slx_mem_use use, void *p, size_t old_size, size_t new_size)
{
	if (!p)
		return slx_alloc(m, use, new_size);
	void *q = m->allocator.realloc(m->allocator.ctx, p, old_size ? old_size : 1, new_size ? new_size : 1);
	if (q)
		slx_mem_book(m, use, (int64_t)new_size - (int64_t)old_size);
	return q;
}

void slx_free(struct slx_mem *m, enum slx_mem_use use, void *p, size_t n)
{
	if (!p)
		return;
	m->allocator.free(m->allocator.ctx, p, n ? n : 1);
	slx_mem_book(m, use, -(int64_t)n);
}

void *slx_slab_alloc(struct slx_mem *m, enum slx_mem_use use, size_t n)
{
	if (m->allocator.alloc != system_alloc) {
		void *own = slx_calloc(m, use, n);
		return own;
	}
	void *p = map(n);
	if (!p)
		return NULL;
	slx_mem_book(m, use, (int64_t)n);
	return p;
}

void slx_slab_free(struct slx_mem *m, enum slx_mem_use use, void *p, size_t n)
{
	if (!p)
		return;
	if (m->allocator.alloc != system_alloc) {
		slx_free(m, use, p, n);
		return;
	}
	munmap(p, n);
	slx_mem_book(m, use, -(int64_t)n);
}
