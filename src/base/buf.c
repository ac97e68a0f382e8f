#include "base/buf.h"

void slx_buf_init(struct slx_buf *b, struct slx_mem *m, enum slx_mem_use use, size_t size_max)
{
	*b = (struct slx_buf){ .mem = m, .use = use, .size_max = size_max };
}

void slx_buf_free(struct slx_buf *b)
{
	slx_free(b->mem, b->use, b->p, b->cap);
	slx_buf_init(b, b->mem, b->use, b->size_max);
}

bool slx_buf_grow(struct slx_buf *b, size_t more)
{
	if (more > b->size_max || b->n > b->size_max - more) {
		b->failed = true;
		return false;
	}
	size_t cap = b->cap ? b->cap * 2 : 256;
	while (cap < b->n + more)
		cap *= 2;
	uint8_t *p = slx_realloc(b->mem, b->use, b->p, b->cap, cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}
