/* Cache of blocks: pages and section indexes, found by (object, item), evicted by clock.
 *
 * Entries lie in shards by hash of the key; each shard has a lock, a table of chains and a ring for the clock hand. The
 * limit is for all shards together: a put that goes over it sweeps shard after shard, beginning where the last sweep
 * ended, holding one shard's lock at a time. A sweep passes an entry that was used since the last pass once (and forgets
 * the use), skips pinned ones, and takes the rest. Values are destroyed after the lock is let go: a section is large.
 *
 * An entry of a dropped object that is still pinned leaves table and ring at once (nobody finds it any more) and is
 * destroyed by its last unpin. */
#include "storage/tsdb/cache.h"
#include "base/hash.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

enum { SHARDS = 16, BUCKETS_MIN = 64 };

struct slx_cache_entry {
	struct slx_cache_key key;
	void *value;
	size_t bytes; /* of value */
	void (*destroy)(void *value, struct slx_mem *m);
	struct slx_cache_entry *chain;
	struct slx_cache_entry *prev, *next; /* ring */
	unsigned pins;
	bool used;    /* since the hand passed */
	bool dropped; /* in no table: the last unpin destroys it */
};

struct shard {
	pthread_mutex_t lock; /* guards the rest and the entries in it */
	struct slx_cache_entry **buckets;
	size_t n_buckets, n;
	struct slx_cache_entry *hand;
};

struct slx_cache {
	struct slx_mem *mem;
	_Atomic size_t limit;
	_Atomic size_t bytes; /* of values and entries; a bound for the sweep, exact when nobody is inside */
	_Atomic uint64_t objects;
	_Atomic unsigned sweep; /* shard where the next sweep begins */
	struct shard shards[SHARDS];
};

static uint64_t hash_key(struct slx_cache_key key)
{
	uint64_t h = key.object * UINT64_C(0x9E3779B97F4A7C15) + key.item;
	h = (h ^ h >> 32) * UINT64_C(0xD6E8FEB86659FD93);
	return h ^ h >> 32;
}

static struct shard *shard_of(struct slx_cache *c, uint64_t hash) { return &c->shards[hash % SHARDS]; }
static struct slx_cache_entry **bucket_of(struct shard *s, uint64_t hash)
{
	return &s->buckets[hash / SHARDS % s->n_buckets];
}
static bool key_eq(struct slx_cache_key a, struct slx_cache_key b) { return a.object == b.object && a.item == b.item; }

silex_status slx_cache_new(struct slx_mem *m, size_t limit_bytes, struct slx_cache **ret, silex_error *err)
{
	struct slx_cache *c = slx_calloc(m, SLX_MEM_CACHE, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	c->mem = m;
	c->limit = limit_bytes;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];
		pthread_mutex_init(&s->lock, NULL);
		s->n_buckets = BUCKETS_MIN;
		s->buckets = slx_calloc(m, SLX_MEM_CACHE, BUCKETS_MIN * sizeof *s->buckets);
		if (!s->buckets) {
			slx_cache_free(c);
			return slx_err_oom(err);
		}
	}
	*ret = c;
	return SILEX_OK;
}

static void destroy_entry(struct slx_cache *c, struct slx_cache_entry *e)
{
	c->bytes -= e->bytes + sizeof *e;
	e->destroy(e->value, c->mem);
	slx_free(c->mem, SLX_MEM_CACHE, e, sizeof *e);
}

static void destroy_list(struct slx_cache *c, struct slx_cache_entry *list)
{
	while (list) {
		struct slx_cache_entry *next = list->chain;
		destroy_entry(c, list);
		list = next;
	}
}

void slx_cache_free(struct slx_cache *c)
{
	if (!c)
		return;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];
		for (size_t b = 0; s->buckets && b < s->n_buckets; b++)
			destroy_list(c, s->buckets[b]);
		slx_free(c->mem, SLX_MEM_CACHE, s->buckets, s->n_buckets * sizeof *s->buckets);
		if (s->n_buckets)
			pthread_mutex_destroy(&s->lock);
	}
	slx_free(c->mem, SLX_MEM_CACHE, c, sizeof *c);
}

/* ---- a shard; its lock is held ---- */

static struct slx_cache_entry *find(struct shard *s, uint64_t hash, struct slx_cache_key key)
{
	struct slx_cache_entry *e = *bucket_of(s, hash);
	while (e && !key_eq(e->key, key))
		e = e->chain;
	return e;
}

/* Doubles the table when it is full. Without memory the chains get longer, nothing else. */
static void grow(struct slx_cache *c, struct shard *s)
{
	if (s->n < s->n_buckets)
		return;
	struct shard bigger = { .n_buckets = s->n_buckets * 2 };
	bigger.buckets = slx_calloc(c->mem, SLX_MEM_CACHE, bigger.n_buckets * sizeof *bigger.buckets);
	if (!bigger.buckets)
		return;
	for (size_t b = 0; b < s->n_buckets; b++) {
		for (struct slx_cache_entry *e = s->buckets[b], *next; e; e = next) {
			next = e->chain;
			struct slx_cache_entry **to = bucket_of(&bigger, hash_key(e->key));
			e->chain = *to;
			*to = e;
		}
	}
	slx_free(c->mem, SLX_MEM_CACHE, s->buckets, s->n_buckets * sizeof *s->buckets);
	s->buckets = bigger.buckets;
	s->n_buckets = bigger.n_buckets;
}

static void link_entry(struct slx_cache *c, struct shard *s, uint64_t hash, struct slx_cache_entry *e)
{
	grow(c, s);
	struct slx_cache_entry **to = bucket_of(s, hash);
	e->chain = *to;
	*to = e;
	if (s->hand) { /* behind the hand: the last to be looked at */
		e->next = s->hand;
		e->prev = s->hand->prev;
		e->prev->next = e->next->prev = e;
	} else {
		s->hand = e->next = e->prev = e;
	}
	s->n++;
}

static void unlink_entry(struct shard *s, struct slx_cache_entry *e)
{
	struct slx_cache_entry **at = bucket_of(s, hash_key(e->key));
	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	if (s->hand == e)
		s->hand = e->next == e ? NULL : e->next;
	e->prev->next = e->next;
	e->next->prev = e->prev;
	s->n--;
}

/* Takes unpinned entries out until `over` bytes are gathered or the hand went round. Returns them as a list. */
static struct slx_cache_entry *sweep_shard(struct shard *s, size_t over)
{
	struct slx_cache_entry *list = NULL;
	size_t taken = 0;
	for (size_t steps = s->n; steps && taken < over; steps--) {
		struct slx_cache_entry *e = s->hand;
		s->hand = e->next;
		if (e->pins)
			continue;
		if (e->used) {
			e->used = false;
			continue;
		}
		unlink_entry(s, e);
		taken += e->bytes + sizeof *e;
		e->chain = list;
		list = e;
	}
	return list;
}

/* ---- outside ---- */

static void evict(struct slx_cache *c)
{
	for (int i = 0; i < 2 * SHARDS; i++) { /* the second round takes what the first only marked */
		size_t bytes = c->bytes, limit = c->limit;
		if (bytes <= limit)
			return;
		struct shard *s = &c->shards[c->sweep++ % SHARDS];
		pthread_mutex_lock(&s->lock);
		struct slx_cache_entry *list = sweep_shard(s, bytes - limit);
		pthread_mutex_unlock(&s->lock);
		destroy_list(c, list);
	}
}

void slx_cache_set_limit(struct slx_cache *c, size_t limit_bytes)
{
	c->limit = limit_bytes;
	evict(c);
}

size_t slx_cache_bytes(struct slx_cache *c) { return c->bytes; }
size_t slx_cache_limit(const struct slx_cache *c) { return c->limit; }
uint64_t slx_cache_object(struct slx_cache *c) { return ++c->objects; }
void *slx_cache_value(struct slx_cache_entry *e) { return e->value; }

struct slx_cache_entry *slx_cache_get(struct slx_cache *c, struct slx_cache_key key)
{
	uint64_t hash = hash_key(key);
	struct shard *s = shard_of(c, hash);
	pthread_mutex_lock(&s->lock);
	struct slx_cache_entry *e = find(s, hash, key);
	if (e) {
		e->pins++;
		e->used = true;
	}
	pthread_mutex_unlock(&s->lock);
	return e;
}

struct slx_cache_entry *slx_cache_put(struct slx_cache *c, struct slx_cache_key key, void *value, size_t bytes,
	void (*destroy)(void *value, struct slx_mem *m))
{
	struct slx_cache_entry *mine = slx_alloc(c->mem, SLX_MEM_CACHE, sizeof *mine);
	if (!mine) {
		destroy(value, c->mem);
		return NULL;
	}
	*mine = (struct slx_cache_entry){ .key = key, .value = value, .bytes = bytes, .destroy = destroy, .pins = 1 };
	c->bytes += bytes + sizeof *mine;
	uint64_t hash = hash_key(key);
	struct shard *s = shard_of(c, hash);
	pthread_mutex_lock(&s->lock);
	struct slx_cache_entry *e = find(s, hash, key);
	if (e) {
		e->pins++;
		e->used = true;
	} else {
		link_entry(c, s, hash, mine);
	}
	pthread_mutex_unlock(&s->lock);
	if (e)
		destroy_entry(c, mine);
	evict(c);
	return e ? e : mine;
}

void slx_cache_unpin(struct slx_cache *c, struct slx_cache_entry *e)
{
	struct shard *s = shard_of(c, hash_key(e->key));
	pthread_mutex_lock(&s->lock);
	assert(e->pins > 0);
	bool last = --e->pins == 0 && e->dropped;
	pthread_mutex_unlock(&s->lock);
	if (last)
		destroy_entry(c, e);
}

void slx_cache_drop_object(struct slx_cache *c, uint64_t object)
{
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];
		struct slx_cache_entry *list = NULL;
		pthread_mutex_lock(&s->lock);
		struct slx_cache_entry *e = s->hand;
		for (size_t left = s->n; left; left--) {
			struct slx_cache_entry *next = e->next;
			if (e->key.object == object) {
				unlink_entry(s, e);
				e->dropped = true;
				e->chain = e->pins ? NULL : list;
				list = e->pins ? list : e;
			}
			e = next;
		}
		pthread_mutex_unlock(&s->lock);
		destroy_list(c, list);
	}
}
