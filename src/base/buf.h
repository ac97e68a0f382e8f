/* A growing byte buffer with a ceiling. Errors stick: after one failed growth every put is a no-op and `failed` is set,
 * so that an encoder tests once, at the end. Not thread-safe. */
#ifndef SLX_BASE_BUF_H
#define SLX_BASE_BUF_H

#include "base/bytes.h"
#include "base/mem.h"

struct slx_buf {
	struct slx_mem *mem;
	enum slx_mem_use use;
	uint8_t *p;
	size_t n, cap;
	size_t size_max; /* ceiling in bytes */
	bool failed;
};

void slx_buf_init(struct slx_buf *b, struct slx_mem *m, enum slx_mem_use use, size_t size_max);
void slx_buf_free(struct slx_buf *b);

bool slx_buf_grow(struct slx_buf *b, size_t more); /* false (and failed) when impossible */

/* Room for `more` bytes after n; write there, then advance n. NULL when impossible. */
static inline uint8_t *slx_buf_reserve(struct slx_buf *b, size_t more)
{
	if (b->failed || (b->cap - b->n < more && !slx_buf_grow(b, more)))
		return NULL;
	return b->p + b->n;
}

static inline void slx_buf_put(struct slx_buf *b, const void *p, size_t n)
{
	uint8_t *to = n ? slx_buf_reserve(b, n) : NULL; /* nothing into an empty buffer: no NULL + 0 */
	if (to) {
		memcpy(to, p, n);
		b->n += n;
	}
}

static inline void slx_buf_u8(struct slx_buf *b, uint8_t v) { slx_buf_put(b, &v, 1); }
static inline void slx_buf_u16(struct slx_buf *b, uint16_t v) { slx_buf_put(b, &v, 2); }
static inline void slx_buf_u32(struct slx_buf *b, uint32_t v) { slx_buf_put(b, &v, 4); }
static inline void slx_buf_u64(struct slx_buf *b, uint64_t v) { slx_buf_put(b, &v, 8); }

static inline void slx_buf_varint(struct slx_buf *b, uint64_t v)
{
	uint8_t *to = slx_buf_reserve(b, SLX_VARINT_SIZE_MAX);
	if (to)
		b->n = (size_t)(slx_put_varint(to, v) - b->p);
}

static inline void slx_buf_reset(struct slx_buf *b)
{
	b->n = 0;
	b->failed = false;
}

#endif
