#include "storage/index/vec.h"

static bool grow_directory(struct slx_vec *v, struct slx_vec_home *h)
{
	uint32_t cap = v->segments_cap ? v->segments_cap * 2 : 2;
	uint8_t **p = slx_vec_take(h, cap * sizeof *p, sizeof(void *));
	if (!p)
		return false;
	if (v->segments_n)
		memcpy(p, v->segments, v->segments_n * sizeof *p);
	v->segments = p;
	v->segments_cap = cap;
	return true;
}

bool slx_vec_grow(struct slx_vec *v, struct slx_vec_home *h)
{
	uint32_t elements = v->segments_n < SLX_VEC_SMALL_SEGMENTS ? 1u << SLX_VEC_SMALL_BITS : 1u << SLX_VEC_LARGE_BITS;
	if (v->cap > UINT32_MAX - elements || (v->segments_n == v->segments_cap && !grow_directory(v, h)))
		return false;
	uint8_t *segment = slx_vec_take(h, (size_t)elements * v->size, sizeof(void *));
	if (!segment)
		return false;
	v->segments[v->segments_n++] = segment;
	v->cap += elements;
	return true;
}
