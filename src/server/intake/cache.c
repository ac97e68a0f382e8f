#include "server/intake/cache.h"

#include <sched.h>

enum { PARTS = 64, CAP_FIRST = 64 };

/* Series lie on cache lines, which leaves six bits of their address. */
enum { STRIPE_MASK = SLX_STRIPES - 1, USED = SLX_STRIPES, FLAGS = STRIPE_MASK | USED };
_Static_assert(FLAGS < _Alignof(struct slx_head_series), "stripe and mark fit beside the address");

struct entry {
	struct slx_hash128 key;
	uintptr_t at; /* series | stripe | USED; 0: free */
};

/* Open addressing, linear; all guarded by lock. The lock is held for some 20 ns a time, by threads that ask a million times a second:
 * it spins, and lets others run when its holder seems to sleep. */
struct part {
	atomic_bool lock;
	uint32_t gen; /* of all entries */
	uint32_t n, cap;
	uint32_t hand; /* of the clock */
	struct entry *entry;
};

struct slx_intake_cache {
	struct slx_mem *mem;
	uint32_t cap_max; /* of a part */
	struct part part[PARTS];
};

silex_status slx_intake_cache_new(struct slx_mem *m, size_t bytes_max, struct slx_intake_cache **ret, silex_error *err)
{
	struct slx_intake_cache *c = slx_calloc(m, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	size_t cap_max = bytes_max / sizeof(struct entry) / PARTS;
	c->mem = m;
	c->cap_max = cap_max < CAP_FIRST ? CAP_FIRST : cap_max > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)cap_max;
	*ret = c;
	return SILEX_OK;
}

void slx_intake_cache_free(struct slx_intake_cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < PARTS; i++)
		slx_free(c->mem, SLX_MEM_OTHER, c->part[i].entry, c->part[i].cap * sizeof(struct entry));
	slx_free(c->mem, SLX_MEM_OTHER, c, sizeof *c);
}

static void lock(struct part *p)
{
	enum { SPINS = 100 };
	for (unsigned spins = 0; atomic_exchange_explicit(&p->lock, true, memory_order_acquire); spins++)
		if (spins > SPINS)
			sched_yield();
}

static void unlock(struct part *p) { atomic_store_explicit(&p->lock, false, memory_order_release); }

static struct part *part_of(struct slx_intake_cache *c, struct slx_hash128 key) { return &c->part[key.lo & (PARTS - 1)]; }

/* Where the search for a key begins: any capacity, without a division. */
static uint32_t home(const struct part *p, struct slx_hash128 key) { return (uint32_t)(((key.hi >> 32) * p->cap) >> 32); }
static uint32_t next(const struct part *p, uint32_t i) { return i + 1 < p->cap ? i + 1 : 0; }

/* The entry of key, or the free one where it belongs; a part is never full. */
static struct entry *find(const struct part *p, struct slx_hash128 key)
{
	uint32_t i = home(p, key);
	while (p->entry[i].at && !slx_hash128_eq(p->entry[i].key, key))
		i = next(p, i);
	return &p->entry[i];
}

bool slx_intake_cache_get(struct slx_intake_cache *c, struct slx_hash128 key, struct slx_series_at *ret)
{
	struct part *p = part_of(c, key);
	lock(p);
	struct entry *e = p->n ? find(p, key) : NULL;
	bool found = e && e->at;
	if (found) {
		*ret = (struct slx_series_at){ (struct slx_head_series *)(e->at & ~(uintptr_t)FLAGS), p->gen, (uint8_t)(e->at & STRIPE_MASK) };
		if (!(e->at & USED))
			e->at |= USED;
	}
	unlock(p);
	return found;
}

/* --- room ------------------------------------------------------------------------------------------------------------ */

/* How many entries a part may have: a search has to end. */
static uint32_t full(uint32_t cap) { return cap ? cap - cap / 8 - 1 : 0; }

static bool grow(struct slx_intake_cache *c, struct part *p)
{
	struct part to = *p;
	to.cap = p->cap ? p->cap + p->cap / 2 : CAP_FIRST;
	if (to.cap > c->cap_max)
		to.cap = c->cap_max;
	if (to.cap <= p->cap || !(to.entry = slx_calloc(c->mem, SLX_MEM_OTHER, to.cap * sizeof *to.entry)))
		return false;
	for (uint32_t i = 0; i < p->cap; i++)
		if (p->entry[i].at)
			*find(&to, p->entry[i].key) = p->entry[i];
	slx_free(c->mem, SLX_MEM_OTHER, p->entry, p->cap * sizeof *p->entry);
	p->entry = to.entry;
	p->cap = to.cap;
	p->hand = 0;
	return true;
}

/* Frees entry i; those behind it that would not be found any more move up (Knuth, TAOCP 3, 6.4 R). */
static void drop(struct part *p, uint32_t i)
{
	for (uint32_t k = next(p, i); p->entry[k].at; k = next(p, k)) {
		uint32_t h = home(p, p->entry[k].key);
		if (i <= k ? h > i && h <= k : h > i || h <= k)
			continue;
		p->entry[i] = p->entry[k];
		i = k;
	}
	p->entry[i].at = 0;
	p->n--;
}

/* The clock: whoever was asked for since the hand last came by is spared once. */
static void evict(struct part *p)
{
	for (;; p->hand = next(p, p->hand)) {
		struct entry *e = &p->entry[p->hand];
		if (e->at & USED) {
			e->at &= ~(uintptr_t)USED;
		} else if (e->at) {
			drop(p, p->hand);
			return;
		}
	}
}

void slx_intake_cache_put(struct slx_intake_cache *c, struct slx_hash128 key, struct slx_series_at at)
{
	struct part *p = part_of(c, key);
	lock(p);
	if ((int32_t)(at.gen - p->gen) > 0) {
		if (p->n)
			memset(p->entry, 0, p->cap * sizeof *p->entry);
		p->n = 0;
		p->gen = at.gen;
	}
	if (at.gen == p->gen && (p->n < full(p->cap) || grow(c, p) || p->n)) {
		struct entry *e = find(p, key);
		if (!e->at && p->n >= full(p->cap)) {
			evict(p);
			e = find(p, key);
		}
		p->n += !e->at;
		*e = (struct entry){ key, (uintptr_t)at.series | at.stripe };
	}
	unlock(p);
}
