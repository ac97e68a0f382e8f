/* Memory of one database: an allocator handed in by the application, with accounting.
 *
 * slx_mem counts the bytes it hands out by purpose, so that the memory limit, the metrics and the leak tests read one
 * truth. Small objects go to the application's allocator; slabs (head arenas, tails, cache pages: 64 KiB and more) go
 * to slx_mem_slab, which maps pages so that freeing really returns them to the system.
 * Thread-safe. Out of memory is NULL, never an abort. */
#ifndef SLX_BASE_MEM_H
#define SLX_BASE_MEM_H

#include <silex/env.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum slx_mem_use {
	SLX_MEM_HEAD,  /* series, tails, sealed chunks, head index */
	SLX_MEM_CACHE, /* pages and parsed indexes of blocks */
	SLX_MEM_WAL,
	SLX_MEM_QUERY,
	SLX_MEM_OTHER,
	SLX_MEM_USES
};

struct slx_mem {
	silex_allocator allocator;
	_Atomic int64_t used[SLX_MEM_USES]; /* bytes */
};

void slx_mem_init(struct slx_mem *m, const silex_allocator *a); /* a NULL: malloc */
int64_t slx_mem_total(struct slx_mem *m);

void *slx_alloc(struct slx_mem *m, enum slx_mem_use use, size_t n);  /* uninitialised */
void *slx_calloc(struct slx_mem *m, enum slx_mem_use use, size_t n); /* zeroed */
void *slx_realloc(struct slx_mem *m, enum slx_mem_use use, void *p, size_t old_size, size_t new_size);
void slx_free(struct slx_mem *m, enum slx_mem_use use, void *p, size_t n); /* p may be NULL; n as allocated */

/* Page-aligned zeroed memory, n a multiple of 4096. With an application allocator it comes from there instead. */
void *slx_slab_alloc(struct slx_mem *m, enum slx_mem_use use, size_t n);
void slx_slab_free(struct slx_mem *m, enum slx_mem_use use, void *p, size_t n);

/* Moves n bytes of account from one use to another or (delta) books bytes allocated elsewhere. */
void slx_mem_book(struct slx_mem *m, enum slx_mem_use use, int64_t delta);

#endif
