/* What a target's series became by relabelling, found by what the target writes. Open addressing over dense entries. */
#include "server/scrape/scrape_int.h"

enum { SLOTS_MIN = 64, ROUNDS_KEPT = 2 };

void scrape_cache_init(struct scrape_cache *c, struct slx_mem *m) { *c = (struct scrape_cache){ .mem = m }; }

static void entry_clear(struct scrape_cache *c, struct scrape_entry *e) { slx_free(c->mem, SLX_MEM_OTHER, e->labels, e->labels_n); }

void scrape_cache_free(struct scrape_cache *c)
{
	for (size_t i = 0; i < c->n; i++)
		entry_clear(c, &c->v[i]);
	slx_free(c->mem, SLX_MEM_OTHER, c->v, c->cap * sizeof *c->v);
	slx_free(c->mem, SLX_MEM_OTHER, c->slots, c->n_slots * sizeof *c->slots);
	scrape_cache_init(c, c->mem);
}

size_t scrape_cache_find(const struct scrape_cache *c, struct slx_hash128 raw)
{
	if (!c->n_slots)
		return SIZE_MAX;
	for (size_t i = raw.lo & (c->n_slots - 1);; i = (i + 1) & (c->n_slots - 1)) {
		if (!c->slots[i])
			return SIZE_MAX;
		if (slx_hash128_eq(c->v[c->slots[i] - 1].raw, raw))
			return c->slots[i] - 1;
	}
}

static void put_slot(struct scrape_cache *c, size_t entry)
{
	size_t i = c->v[entry].raw.lo & (c->n_slots - 1);
	while (c->slots[i])
		i = (i + 1) & (c->n_slots - 1);
	c->slots[i] = (uint32_t)entry + 1;
}

/* Makes the table anew, of this many slots. */
static bool rehash(struct scrape_cache *c, size_t n_slots)
{
	uint32_t *slots = slx_calloc(c->mem, SLX_MEM_OTHER, n_slots * sizeof *slots);
	if (!slots)
		return false;
	slx_free(c->mem, SLX_MEM_OTHER, c->slots, c->n_slots * sizeof *c->slots);
	c->slots = slots;
	c->n_slots = n_slots;
	for (size_t i = 0; i < c->n; i++)
		put_slot(c, i);
	return true;
}

static bool make_room(struct scrape_cache *c)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : SLOTS_MIN / 2;
		struct scrape_entry *v = slx_realloc(c->mem, SLX_MEM_OTHER, c->v, c->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return false;
		c->v = v;
		c->cap = cap;
	}
	return c->n * 2 < c->n_slots || rehash(c, c->n_slots ? c->n_slots * 2 : SLOTS_MIN);
}

struct scrape_entry *scrape_cache_add(struct scrape_cache *c, struct slx_hash128 raw, const struct slx_labels *labels)
{
	struct scrape_entry e = { .raw = raw };
	if (!make_room(c))
		return NULL;
	if (labels) {
		e.labels = slx_alloc(c->mem, SLX_MEM_OTHER, labels->n);
		if (!e.labels)
			return NULL;
		memcpy(e.labels, labels->p, labels->n);
		e.labels_n = (uint32_t)labels->n;
		e.id = slx_hash128(labels->p, labels->n, 0);
	}
	c->v[c->n] = e;
	put_slot(c, c->n);
	return &c->v[c->n++];
}

void scrape_cache_trim(struct scrape_cache *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].seen + ROUNDS_KEPT > c->round)
			c->v[n++] = c->v[i];
		else
			entry_clear(c, &c->v[i]);
	}
	if (n == c->n)
		return;
	c->n = n;
	memset(c->slots, 0, c->n_slots * sizeof *c->slots);
	for (size_t i = 0; i < n; i++)
		put_slot(c, i);
}
