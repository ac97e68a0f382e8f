/* Which columns a run of histograms has, as it follows from their layouts; both ways need it. */
#include "storage/chunk/histogram_int.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Class, side and index as one number in the order of columns. */
static uint64_t bucket_key(const struct slx_hlayout *l, unsigned side, int64_t index)
{
	return (uint64_t)l->class << 33 | (uint64_t)side << 32 | (uint64_t)(index - INT32_MIN);
}

size_t slx_shape_buckets(const struct slx_hlayout *l) { return (size_t)l->side[0].buckets + l->side[1].buckets; }

/* The keys of a layout's buckets; returns how many. */
static size_t layout_keys(const struct slx_hlayout *l, uint64_t *keys)
{
	size_t n = 0;
	for (unsigned s = 0; s < 2; s++) {
		int64_t index = 0;
		for (uint32_t i = 0; i < l->side[s].spans_n; i++) {
			index += l->side[s].spans[i].offset;
			for (uint32_t k = 0; k < l->side[s].spans[i].length; k++)
				keys[n++] = bucket_key(l, s, index++);
		}
	}
	return n;
}

static uint32_t find_key(const uint64_t *keys, size_t n, uint64_t key)
{
	size_t lo = 0;
	for (size_t hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		if (keys[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (uint32_t)lo;
}

/* Numbers the columns of all layouts. `total`: their buckets. */
static bool number_columns(struct slx_hshape *s, size_t total)
{
	uint64_t *keys = slx_arena_alloc(&s->arena, total * sizeof *keys + 1, 8), *own = slx_arena_alloc(&s->arena, total * sizeof *own + 1, 8);
	if (!keys || !own)
		return false;
	size_t n = 0, kept = 0;
	for (uint32_t i = 0; i < s->layouts_n; i++)
		n += layout_keys(&s->layouts[i], keys + n);
	qsort(keys, n, sizeof *keys, by_value);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || keys[i] != keys[kept - 1])
			keys[kept++] = keys[i];
	for (uint32_t i = 0; i < s->layouts_n; i++) {
		struct slx_hlayout *l = &s->layouts[i];
		size_t m = layout_keys(l, own);
		if (!(l->columns = slx_arena_alloc(&s->arena, m * sizeof *l->columns + 1, 4)))
			return false;
		for (size_t k = 0; k < m; k++)
			l->columns[k] = SLX_HFIXED + find_key(keys, kept, own[k]);
	}
	s->columns_n = SLX_HFIXED + (uint32_t)kept;
	return true;
}

silex_status slx_shape_columns(struct slx_hshape *s, bool *ret_fits, silex_error *err)
{
	size_t total = 0, most = 0, at = 0;
	*ret_fits = false;
	for (uint32_t i = 0; i < s->layouts_n; i++) {
		size_t n = slx_shape_buckets(&s->layouts[i]);
		total += n;
		most = n > most ? n : most;
		if (total > SLX_HVALUES_MAX)
			return SILEX_OK;
	}
	if (!number_columns(s, total))
		return slx_err_oom(err);
	s->first = slx_arena_alloc(&s->arena, (s->columns_n + 1) * sizeof *s->first, 8);
	s->doubles = slx_arena_alloc(&s->arena, s->columns_n, 1);
	s->bucket = slx_arena_alloc(&s->arena, most * sizeof *s->bucket + 1, 8);
	s->counts = slx_arena_alloc(&s->arena, most * sizeof *s->counts + 1, 8);
	if (!s->first || !s->doubles || !s->bucket || !s->counts)
		return slx_err_oom(err);
	memset(s->first, 0, (s->columns_n + 1) * sizeof *s->first);
	memset(s->doubles, 0, s->columns_n);
	for (uint32_t i = 0; i < s->layouts_n; i++)
		for (size_t k = 0, n = slx_shape_buckets(&s->layouts[i]); k < n; k++)
			s->first[s->layouts[i].columns[k]] += s->layouts[i].samples;
	for (uint32_t c = 0; c < s->columns_n; c++) {
		size_t size = c < SLX_HFIXED ? s->n : s->first[c];
		s->first[c] = at;
		at += size;
		if (at > SLX_HVALUES_MAX)
			return SILEX_OK;
	}
	s->first[s->columns_n] = at;
	s->v = slx_arena_alloc(&s->arena, at * sizeof *s->v, 8);
	if (!s->v)
		return slx_err_oom(err);
	*ret_fits = true;
	return SILEX_OK;
}

size_t slx_shape_size(const struct slx_hshape *s, uint32_t c) { return s->first[c + 1] - s->first[c]; }

size_t *slx_shape_places(struct slx_hshape *s)
{
	size_t *at = slx_arena_alloc(&s->arena, s->columns_n * sizeof *at, 8);
	if (at)
		memcpy(at, s->first, s->columns_n * sizeof *at);
	return at;
}

size_t slx_shape_take(const struct slx_hshape *s, size_t i, size_t *at)
{
	const struct slx_hlayout *l = &s->layouts[s->of[i]];
	size_t n = slx_shape_buckets(l);
	for (size_t k = 0; k < n; k++)
		s->bucket[k] = s->v[at[l->columns[k]]++];
	return n;
}
