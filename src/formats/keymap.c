#include "formats/formats_int.h"

#include "base/hash.h"

void slx_keymap_init(struct slx_keymap *k, struct slx_mem *m, uint32_t n_max, size_t size_max)
{
	*k = (struct slx_keymap){ .mem = m, .n_max = n_max, .size_max = size_max };
	slx_arena_init(&k->arena, m, SLX_MEM_OTHER, 256 * 1024);
}

void slx_keymap_free(struct slx_keymap *k)
{
	if (!k->mem)
		return;
	slx_arena_clear(&k->arena);
	slx_free(k->mem, SLX_MEM_OTHER, k->slots, k->cap * sizeof *k->slots);
}

/* The slot of an equal string, or the free slot where it belongs. Linear probing; the table is at most half full. */
static struct slx_keymap_entry *find(struct slx_keymap *k, uint64_t hash, const char *p, size_t n)
{
	for (size_t i = hash & (k->cap - 1);; i = (i + 1) & (k->cap - 1)) {
		struct slx_keymap_entry *e = &k->slots[i];
		if (!e->id || (e->hash == hash && e->n == n && memcmp(e->p, p, n) == 0))
			return e;
	}
}

static bool grow(struct slx_keymap *k)
{
	size_t old_cap = k->cap, cap = old_cap ? old_cap * 2 : 64;
	struct slx_keymap_entry *old = k->slots;
	if (k->arena.total + cap * sizeof *old > k->size_max)
		return false;
	struct slx_keymap_entry *slots = slx_calloc(k->mem, SLX_MEM_OTHER, cap * sizeof *slots);
	if (!slots)
		return false;
	k->slots = slots;
	k->cap = cap;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].id)
			*find(k, old[i].hash, old[i].p, old[i].n) = old[i];
	slx_free(k->mem, SLX_MEM_OTHER, old, old_cap * sizeof *old);
	return true;
}

uint32_t slx_keymap_find(struct slx_keymap *k, const char *p, size_t n)
{
	return k->cap ? find(k, slx_hash64(p, n), p, n)->id : 0;
}

uint32_t slx_keymap_get(struct slx_keymap *k, const char *p, size_t n, bool *ret_new)
{
	*ret_new = false;
	uint64_t hash = slx_hash64(p, n);
	if (k->cap) {
		struct slx_keymap_entry *e = find(k, hash, p, n);
		if (e->id)
			return e->id;
	}
	if (k->n >= k->n_max || k->arena.total + k->cap * sizeof *k->slots + n > k->size_max)
		return 0;
	if ((size_t)k->n * 2 >= k->cap && !grow(k))
		return 0;
	char *copy = slx_arena_alloc(&k->arena, n ? n : 1, 1);
	if (!copy)
		return 0;
	memcpy(copy, p, n);
	*find(k, hash, p, n) = (struct slx_keymap_entry){ .hash = hash, .p = copy, .n = (uint32_t)n, .id = ++k->n };
	*ret_new = true;
	return k->n;
}
