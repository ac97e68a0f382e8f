/* An open hash table of small slots over an array of strings, so that a miss touches one slot and the strings stay in
 * the order of their numbers. Linear probing; at most half of the slots are taken. */
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
	slx_free(k->mem, SLX_MEM_OTHER, k->slots, k->slots_cap * sizeof *k->slots);
	slx_free(k->mem, SLX_MEM_OTHER, k->strings, k->strings_cap * sizeof *k->strings);
}

/* The slot of an equal string, or the free slot where it belongs. */
static struct slx_keymap_slot *find(const struct slx_keymap *k, uint64_t hash, const char *p, size_t n)
{
	uint32_t tag = (uint32_t)(hash >> 32);
	for (size_t i = hash & (k->slots_cap - 1);; i = (i + 1) & (k->slots_cap - 1)) {
		struct slx_keymap_slot *s = &k->slots[i];
		if (!s->id)
			return s;
		const struct slx_keymap_string *t = &k->strings[s->id - 1];
		if (s->tag == tag && t->n == n && memcmp(t->p, p, n) == 0)
			return s;
	}
}

static size_t size_of(const struct slx_keymap *k)
{
	return k->arena.total + k->slots_cap * sizeof *k->slots + k->strings_cap * sizeof *k->strings;
}

static bool grow_slots(struct slx_keymap *k)
{
	size_t cap = k->slots_cap ? k->slots_cap * 2 : 64;
	struct slx_keymap_slot *slots = slx_calloc(k->mem, SLX_MEM_OTHER, cap * sizeof *slots);
	if (!slots)
		return false;
	slx_free(k->mem, SLX_MEM_OTHER, k->slots, k->slots_cap * sizeof *k->slots);
	k->slots = slots;
	k->slots_cap = cap;
	for (uint32_t id = 1; id <= k->n; id++) {
		uint64_t hash = k->strings[id - 1].hash;
		size_t i = hash & (cap - 1);
		while (slots[i].id)
			i = (i + 1) & (cap - 1);
		slots[i] = (struct slx_keymap_slot){ id, (uint32_t)(hash >> 32) };
	}
	return true;
}

static bool grow_strings(struct slx_keymap *k)
{
	uint32_t cap = k->strings_cap ? k->strings_cap * 2 : 32;
	void *p =
		slx_realloc(k->mem, SLX_MEM_OTHER, k->strings, k->strings_cap * sizeof *k->strings, cap * sizeof *k->strings);
	if (!p)
		return false;
	k->strings = p;
	k->strings_cap = cap;
	return true;
}

static bool make_room(struct slx_keymap *k, size_t n)
{
	if (k->n >= k->n_max || size_of(k) + n > k->size_max)
		return false;
	if ((size_t)k->n * 2 >= k->slots_cap && !grow_slots(k))
		return false;
	return k->n < k->strings_cap || grow_strings(k);
}

uint32_t slx_keymap_find(const struct slx_keymap *k, const char *p, size_t n)
{
	return k->n ? find(k, slx_hash64(p, n), p, n)->id : 0;
}

uint32_t slx_keymap_get(struct slx_keymap *k, const char *p, size_t n, bool *ret_new)
{
	*ret_new = false;
	uint64_t hash = slx_hash64(p, n);
	uint32_t id = k->n ? find(k, hash, p, n)->id : 0;
	if (id || !make_room(k, n))
		return id;
	char *copy = slx_arena_alloc(&k->arena, n ? n : 1, 1);
	if (!copy)
		return 0;
	memcpy(copy, p, n);
	struct slx_keymap_slot *slot = find(k, hash, p, n);
	k->strings[k->n++] = (struct slx_keymap_string){ .p = copy, .hash = hash, .n = (uint32_t)n };
	*slot = (struct slx_keymap_slot){ k->n, (uint32_t)(hash >> 32) };
	*ret_new = true;
	return k->n;
}
