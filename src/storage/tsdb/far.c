/* Reading a cold block: see far.h.
 *
 * The object is cut into segments of 128 KiB, each an entry of the page cache. A miss fetches the segment and, when the
 * object is being read on (a request begins where an earlier one ended), more behind it: the window doubles from one
 * segment to WINDOW_MAX, so that a single page costs one small request and a scan costs one request for 2 MiB. A few such
 * streams are told apart, since queries read a block in several places at once. Who needs a segment that another thread is
 * fetching waits for it. A segment that differs from its checksum is asked for again and never cached. */
#include "storage/tsdb/far.h"

#include "base/envelope.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum { STREAMS = 4, FLIGHTS = 8, WINDOW_MAX = 16, REQUEST_MAX = 32 };

struct stream {
	uint32_t next, window; /* window 0: free */
	uint64_t used;
};

struct flight {
	uint32_t first, n; /* n 0: free */
};

struct far {
	struct slx_store base;
	struct slx_mem *mem;
	struct slx_cache *cache;
	uint64_t object; /* in the cache */
	struct slx_far_source *source;
	struct slx_store *local;
	struct slx_stub stub;
	char name[SLX_STORE_NAME_SIZE_MAX + 1];      /* of the object */
	char stub_name[SLX_STORE_NAME_SIZE_MAX + 1]; /* in local */
	pthread_mutex_t lock;
	pthread_cond_t landed;
	/* lock */
	struct stream streams[STREAMS];
	struct flight flights[FLIGHTS];
	uint64_t turn;
};

struct segment {
	size_t n;
	uint8_t bytes[];
};

static struct far *self(struct slx_store *s) { return (struct far *)s; }

static void destroy_segment(void *value, struct slx_mem *m)
{
	struct segment *s = value;
	slx_free(m, SLX_MEM_CACHE, s, sizeof *s + s->n);
}

static size_t segment_size(const struct slx_stub *t, uint32_t i)
{
	uint64_t left = t->size - (uint64_t)i * SLX_FAR_SEGMENT;
	return left < SLX_FAR_SEGMENT ? (size_t)left : SLX_FAR_SEGMENT;
}

/* --- one request --------------------------------------------------------------------------------------------------------- */

/* What the reader of a query is told: which store, and what still works. */
static silex_status explain(const struct far *c, silex_status status, const silex_error *why, silex_error *err)
{
	if (status == SILEX_RESOURCE_EXHAUSTED || status == SILEX_CANCELED)
		return slx_err(err, status, "%s", why->message);
	return slx_err(err, SILEX_UNAVAILABLE, "cold block %s cannot be read: %s; younger data does not need store \"%s\": ask for a later start, or again "
		"when it answers", c->name, why->message, c->source->name);
}

static silex_status no_store(const struct far *c, silex_error *err)
{
	return slx_err(err, SILEX_UNAVAILABLE, "cold block %s lies in store \"%s\", which this database was opened without: add it to its stores (commands: --store %s=URL)", c->name,
		c->source->name, c->source->name);
}

/* Puts the segments that are as they were stored into the cache; *ret is that of `first`, pinned, NULL when it is not. */
static silex_status keep(struct far *c, uint32_t first, uint32_t n, const uint8_t *p, struct slx_cache_entry **ret, silex_error *err)
{
	*ret = NULL;
	for (uint32_t i = first; i < first + n; i++) {
		size_t size = segment_size(&c->stub, i);
		if (slx_hash64(p, size) != c->stub.sum[i]) {
			atomic_fetch_add(&c->source->counters.corrupted, 1);
			if (i == first)
				return SILEX_OK;
			p += size;
			continue;
		}
		struct segment *s = slx_alloc(c->mem, SLX_MEM_CACHE, sizeof *s + size);
		if (!s)
			return *ret ? SILEX_OK : slx_err_oom(err); /* what was read ahead can do without */
		s->n = size;
		memcpy(s->bytes, p, size);
		struct slx_cache_key key = { c->object, i };
		struct slx_cache_entry *e = slx_cache_put(c->cache, key, s, sizeof *s + size, destroy_segment);
		if (i == first)
			*ret = e;
		else if (e)
			slx_cache_unpin(c->cache, e);
		if (!*ret)
			return slx_err_oom(err);
		p += size;
	}
	return SILEX_OK;
}

static silex_status fetch_into(struct far *c, uint32_t first, uint32_t n, uint8_t *buf, size_t size, struct slx_cache_entry **ret, silex_error *err)
{
	struct slx_far_counters *k = &c->source->counters;
	if (!c->source->store)
		return no_store(c, err);
	*ret = NULL;
	for (unsigned i = 0; i < SLX_FAR_TRIES && !*ret; i++) {
		silex_error own = { 0 };
		atomic_fetch_add(&k->requests, 1);
		silex_status status = slx_store_get_range(c->source->store, c->name, (uint64_t)first * SLX_FAR_SEGMENT, size, buf, &own);
		if (status != SILEX_OK) {
			atomic_fetch_add(&k->failures, 1);
			return explain(c, status, &own, err);
		}
		atomic_fetch_add(&k->bytes, size);
		SLX_TRY(keep(c, first, n, buf, ret, err));
	}
	if (*ret)
		return SILEX_OK;
	return slx_err(err, SILEX_CORRUPT, "object %s of store \"%s\": %d times, the bytes from %" PRIu64 " on came back other than they were stored", c->name,
		c->source->name, SLX_FAR_TRIES, (uint64_t)first * SLX_FAR_SEGMENT);
}

static silex_status fetch(struct far *c, uint32_t first, uint32_t n, struct slx_cache_entry **ret, silex_error *err)
{
	size_t size = (size_t)(n - 1) * SLX_FAR_SEGMENT + segment_size(&c->stub, first + n - 1);
	uint8_t *buf = slx_alloc(c->mem, SLX_MEM_CACHE, size);
	if (!buf && n > 1)
		return fetch(c, first, 1, ret, err);
	if (!buf)
		return slx_err_oom(err);
	silex_status status = fetch_into(c, first, n, buf, size, ret, err);
	slx_free(c->mem, SLX_MEM_CACHE, buf, size);
	return status;
}

/* --- what to fetch; the lock is held ------------------------------------------------------------------------------------------ */

/* The window of the stream that segment i goes on with; a new stream takes the place of the one unused longest. */
static struct stream *stream_of(struct far *c, uint32_t i)
{
	struct stream *oldest = &c->streams[0];
	for (unsigned k = 0; k < STREAMS; k++) {
		struct stream *s = &c->streams[k];
		if (s->window && (i == s->next || i == s->next + 1)) {
			s->window = s->window < WINDOW_MAX ? 2 * s->window : WINDOW_MAX;
			s->used = ++c->turn;
			return s;
		}
		if (s->used < oldest->used)
			oldest = s;
	}
	*oldest = (struct stream){ .window = 1, .used = ++c->turn };
	return oldest;
}

static struct flight *flight_over(struct far *c, uint32_t i)
{
	for (unsigned k = 0; k < FLIGHTS; k++)
		if (i >= c->flights[k].first && i - c->flights[k].first < c->flights[k].n)
			return &c->flights[k];
	return NULL;
}

static struct flight *free_flight(struct far *c)
{
	for (unsigned k = 0; k < FLIGHTS; k++)
		if (c->flights[k].n == 0)
			return &c->flights[k];
	return NULL;
}

static bool is_cached(struct far *c, uint32_t i)
{
	struct slx_cache_entry *e = slx_cache_get(c->cache, (struct slx_cache_key){ c->object, i });
	if (e)
		slx_cache_unpin(c->cache, e);
	return e != NULL;
}

/* How many segments from i on: what is needed and what the window says, up to the end or what is here or on its way already. */
static uint32_t plan(struct far *c, uint32_t i, uint32_t need)
{
	struct stream *s = stream_of(c, i);
	uint32_t fits = (uint32_t)(slx_cache_limit(c->cache) / 4 / SLX_FAR_SEGMENT), n = s->window;
	n = n < fits ? n : fits;
	n = n > need ? n : need;
	n = n < REQUEST_MAX ? n : REQUEST_MAX;
	n = n < c->stub.n - i ? n : c->stub.n - i;
	for (uint32_t k = 1; k < n; k++)
		if (flight_over(c, i + k) || is_cached(c, i + k))
			n = k;
	s->next = i + n;
	return n;
}

/* --- the store ------------------------------------------------------------------------------------------------------------------ */

/* Segment i, pinned; `need` segments from it on will be asked for. */
static silex_status get_segment(struct far *c, uint32_t i, uint32_t need, struct slx_cache_entry **ret, silex_error *err)
{
	struct slx_cache_key key = { c->object, i };
	struct flight *f = NULL;
	uint32_t n;
	while (!f) {
		*ret = slx_cache_get(c->cache, key);
		if (*ret)
			return SILEX_OK;
		pthread_mutex_lock(&c->lock);
		f = flight_over(c, i) ? NULL : free_flight(c);
		if (f)
			*f = (struct flight){ i, n = plan(c, i, need) };
		else
			pthread_cond_wait(&c->landed, &c->lock);
		pthread_mutex_unlock(&c->lock);
	}
	silex_status status = fetch(c, i, n, ret, err);
	pthread_mutex_lock(&c->lock);
	f->n = 0;
	pthread_cond_broadcast(&c->landed);
	pthread_mutex_unlock(&c->lock);
	return status;
}

static silex_status read_far(struct far *c, uint64_t offset, size_t n, uint8_t *to, silex_error *err)
{
	while (n > 0) {
		uint32_t i = (uint32_t)(offset / SLX_FAR_SEGMENT), last = (uint32_t)((offset + n - 1) / SLX_FAR_SEGMENT);
		struct slx_cache_entry *pin;
		SLX_TRY(get_segment(c, i, last - i + 1, &pin, err));
		const struct segment *s = slx_cache_value(pin);
		size_t at = (size_t)(offset % SLX_FAR_SEGMENT), k = s->n - at < n ? s->n - at : n;
		memcpy(to, s->bytes + at, k);
		slx_cache_unpin(c->cache, pin);
		to += k;
		offset += k;
		n -= k;
	}
	return SILEX_OK;
}

static uint64_t stub_header(const struct slx_stub *t) { return SLX_ENVELOPE_SIZE + 24 + 8 * (uint64_t)t->n; }

static silex_status far_get_range(struct slx_store *base, const char *name, uint64_t offset, size_t n, void *buf, silex_error *err)
{
	struct far *c = self(base);
	if (offset > c->stub.size || n > c->stub.size - offset)
		return slx_err(err, SILEX_CORRUPT, "%s: %zu bytes at offset %" PRIu64 " asked for, it has %" PRIu64, name, n, offset, c->stub.size);
	if (offset >= c->stub.tail_at)
		return slx_store_get_range(c->local, c->stub_name, stub_header(&c->stub) + (offset - c->stub.tail_at), n, buf, err);
	return read_far(c, offset, n, buf, err);
}

static silex_status far_size(struct slx_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	*ret = self(base)->stub.size;
	return SILEX_OK;
}

static void far_close(struct slx_store *base)
{
	struct far *c = self(base);
	slx_cache_drop_object(c->cache, c->object);
	slx_stub_free(&c->stub);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->landed);
	slx_free(c->mem, SLX_MEM_CACHE, c, sizeof *c);
}

static const struct slx_store_ops far_ops = { .get_range = far_get_range, .size = far_size, .close = far_close };

silex_status slx_far_open(struct slx_far_source *source, const char *object, struct slx_store *local, const char *stub_name, struct slx_stub *stub,
	struct slx_cache *cache, struct slx_mem *m, struct slx_store **ret, silex_error *err)
{
	struct far *c = slx_calloc(m, SLX_MEM_CACHE, sizeof *c);
	if (!c) {
		slx_stub_free(stub);
		return slx_err_oom(err);
	}
	*c = (struct far){ .base = { &far_ops }, .mem = m, .cache = cache, .source = source, .local = local, .stub = *stub };
	*stub = (struct slx_stub){ 0 };
	c->object = slx_cache_object(cache);
	snprintf(c->name, sizeof c->name, "%s", object);
	snprintf(c->stub_name, sizeof c->stub_name, "%s", stub_name);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->landed, NULL);
	*ret = &c->base;
	return SILEX_OK;
}
