/* The label index of a head.
 *
 * Problem: a million series of eleven labels in about a hundred bytes each, and ten thousand tenants of ten series in a
 * few kilobytes each; growing for hours without old copies left behind in the arena and without pauses.
 *
 * Everything is made of pieces that never move (vec.h):
 *
 *     table    linear hashing (Litwin 1980) over a vec of buckets: an insert splits one bucket, nothing is ever
 *              rehashed as a whole; entries are chained through their ids
 *     names    one per label name: text, number of series, chain of its pairs
 *     pairs    one per (name, value): text, list of series
 *     refs     per series its pairs: varint count, then varint pair ids in label order; in blobs, addressed by 32 bits
 *              (16 bits blob, 16 bits place)
 *     list     the ordinals of a pair, ascending: `count` and `last` are in the pair, so that a list of one costs
 *              nothing; from the second on all are varint differences in a ring of chunks that grow from 12 bytes to a
 *              kilobyte: `tail` is the newest chunk, tail->next the oldest
 *
 * add: find or make names and pairs (hashes first and prefetched: in a large index each step is a cache miss), make
 * room in every list, in refs and offsets, then write. What may fail, memory, comes before the first change that shows;
 * pairs without series and spare room may stay behind and do no harm. */
#include "base/hash.h"
#include "storage/index/index_int.h"
#include "storage/index/vec.h"

#include <stdlib.h>

enum {
	LABELS_MAX = 1024, /* of one series */
	BLOB_SIZE_MIN = 64,
	BLOB_SIZE_MAX = 65536,
	CHUNK_SIZE_MIN = 24, /* header included; 12 bytes hold the first two ordinals */
	CHUNK_SIZE_MAX = 1016,
	VARINT32_SIZE_MAX = 5,
	GROUP = 16, /* labels looked up side by side */
};

/* What names and pairs have in common; text is a varint length and the bytes, as in canonical labels. */
struct node {
	const uint8_t *text;
	uint32_t hash;
	uint32_t next; /* in the bucket */
};

struct name {
	struct node node;
	uint32_t first_pair;
	uint32_t series_n;
};

struct chunk {
	struct chunk *next;
	uint16_t used, cap; /* of bytes */
	uint8_t bytes[];
};

struct pair {
	struct node node;
	struct chunk *tail;
	uint32_t name;
	uint32_t sibling; /* another pair of the name */
	uint32_t count;
	uint32_t last;
};

_Static_assert(sizeof(struct name) == 24 && sizeof(struct pair) == 40, "sizes that the memory budget counts on");
_Static_assert(offsetof(struct chunk, bytes) == 12, "a first chunk holds 12 bytes");

struct table {
	struct slx_vec nodes;
	struct slx_vec buckets; /* uint32_t: id of the first node, or NONE */
};

struct slx_memindex {
	struct slx_vec_home home;
	struct table names, pairs;
	struct slx_vec offsets;        /* uint32_t per series: blob << 16 | place */
	struct slx_vec blobs;          /* uint8_t * */
	uint32_t blob_used, blob_size; /* of the last blob */
};

/* ---- bytes that this file wrote itself ---- */

static inline uint32_t get_varint(const uint8_t **p)
{
	uint32_t v = *(*p)++;
	if (v < 128)
		return v;
	v &= 127;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (uint32_t)(b & 127) << shift;
		if (b < 128)
			return v;
	}
}

static inline uint32_t varint_size(uint32_t v)
{
	return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : v < 1u << 28 ? 4 : 5;
}

static inline struct slx_str text_of(const struct node *x)
{
	const uint8_t *p = x->text;
	size_t n = get_varint(&p);
	return (struct slx_str){ (const char *)p, n };
}

static inline struct name *name_at(const struct slx_memindex *ix, uint32_t id)
{
	return slx_vec_at(&ix->names.nodes, id);
}
static inline struct pair *pair_at(const struct slx_memindex *ix, uint32_t id)
{
	return slx_vec_at(&ix->pairs.nodes, id);
}

/* The varint pair ids of a series. */
static inline const uint8_t *refs_of(const struct slx_memindex *ix, uint32_t ordinal, uint32_t *ret_n)
{
	uint32_t offset = *(uint32_t *)slx_vec_at(&ix->offsets, ordinal);
	const uint8_t *p = *(uint8_t **)slx_vec_at(&ix->blobs, offset >> 16) + (offset & 0xffff);
	*ret_n = get_varint(&p);
	return p;
}

/* ---- tables ---- */

static inline uint32_t *bucket_at(const struct table *t, uint32_t i) { return slx_vec_at(&t->buckets, i); }

/* 2^k buckets are addressed by k bits of the hash; those split since by k+1. */
static inline uint32_t *bucket_of(const struct table *t, uint32_t hash)
{
	uint32_t n = t->buckets.n;
	uint32_t low = UINT32_MAX >> __builtin_clz(n) >> 1; /* 2^k - 1, with 2^k <= n */
	uint32_t i = hash & (low << 1 | 1);
	return bucket_at(t, i < n ? i : hash & low);
}

/* One more bucket: the chain that it shares bits with is split in two. */
static bool split_bucket(struct slx_memindex *ix, struct table *t)
{
	if (!slx_vec_reserve(&t->buckets, &ix->home))
		return false;
	uint32_t added = t->buckets.n++;
	uint32_t *to = bucket_at(t, added);
	*to = SLX_INDEX_NONE;
	if (added == 0)
		return true;
	uint32_t low = UINT32_MAX >> __builtin_clz(added) >> 1, mask = low << 1 | 1;
	for (uint32_t *from = bucket_at(t, added & low); *from != SLX_INDEX_NONE;) {
		uint32_t id = *from;
		struct node *x = slx_vec_at(&t->nodes, id);
		if ((x->hash & mask) == added) {
			*from = x->next;
			x->next = *to;
			*to = id;
		} else {
			from = &x->next;
		}
	}
	return true;
}

static inline bool node_is(const struct node *x, uint32_t hash, struct slx_str text)
{
	return x->hash == hash && slx_str_eq(text_of(x), text);
}

static inline uint32_t name_hash(struct slx_str text) { return (uint32_t)slx_hash64(text.p, text.n); }

static inline uint32_t pair_hash(uint32_t name, struct slx_str value)
{
	uint64_t h = slx_hash64(value.p, value.n) + name * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h ^ h >> 32);
}

static uint32_t find_name(const struct slx_memindex *ix, struct slx_str text, uint32_t hash)
{
	if (ix->names.buckets.n == 0)
		return SLX_INDEX_NONE;
	uint32_t id = *bucket_of(&ix->names, hash);
	while (id != SLX_INDEX_NONE && !node_is(&name_at(ix, id)->node, hash, text))
		id = name_at(ix, id)->node.next;
	return id;
}

static uint32_t find_pair(const struct slx_memindex *ix, uint32_t name, struct slx_str value, uint32_t hash)
{
	if (ix->pairs.buckets.n == 0)
		return SLX_INDEX_NONE;
	uint32_t id = *bucket_of(&ix->pairs, hash);
	while (id != SLX_INDEX_NONE && !(pair_at(ix, id)->name == name && node_is(&pair_at(ix, id)->node, hash, value)))
		id = pair_at(ix, id)->node.next;
	return id;
}

/* A new node with its text, linked into its bucket; NONE when memory is out. The rest of the element is the caller's.
 * */
static uint32_t add_node(struct slx_memindex *ix, struct table *t, struct slx_str text, uint32_t hash)
{
	bool room = slx_vec_reserve(&t->nodes, &ix->home);
	if (room && t->nodes.n >= t->buckets.n)
		room = split_bucket(ix, t);
	uint8_t *copy = room ? slx_vec_take(&ix->home, varint_size((uint32_t)text.n) + text.n, 1) : NULL;
	if (!copy)
		return SLX_INDEX_NONE;
	memcpy(slx_put_varint(copy, text.n), text.p, text.n);
	uint32_t id = t->nodes.n++, *bucket = bucket_of(t, hash);
	struct node *x = slx_vec_at(&t->nodes, id);
	*x = (struct node){ copy, hash, *bucket };
	*bucket = id;
	return id;
}

static uint32_t need_name(struct slx_memindex *ix, struct slx_str text)
{
	uint32_t hash = name_hash(text), id = find_name(ix, text, hash);
	if (id != SLX_INDEX_NONE)
		return id;
	id = add_node(ix, &ix->names, text, hash);
	if (id != SLX_INDEX_NONE) {
		name_at(ix, id)->first_pair = SLX_INDEX_NONE;
		name_at(ix, id)->series_n = 0;
	}
	return id;
}

static uint32_t need_pair(struct slx_memindex *ix, uint32_t name, struct slx_str value, uint32_t hash)
{
	uint32_t id = find_pair(ix, name, value, hash);
	if (id != SLX_INDEX_NONE)
		return id;
	id = add_node(ix, &ix->pairs, value, hash);
	if (id == SLX_INDEX_NONE)
		return id;
	struct pair *x = pair_at(ix, id);
	*x = (struct pair){ .node = x->node, .name = name, .sibling = name_at(ix, name)->first_pair };
	name_at(ix, name)->first_pair = id;
	return id;
}

/* ---- lists ---- */

static bool list_reserve(struct slx_memindex *ix, struct pair *x)
{
	if (x->count == 0 || (x->tail && x->tail->cap - x->tail->used >= VARINT32_SIZE_MAX))
		return true;
	uint32_t size = CHUNK_SIZE_MIN;
	if (x->tail)
		size = ((x->tail->cap + (uint32_t)offsetof(struct chunk, bytes)) * 3 / 2 + 7) & ~7u;
	if (size > CHUNK_SIZE_MAX)
		size = CHUNK_SIZE_MAX;
	struct chunk *c = slx_vec_take(&ix->home, size, sizeof(void *));
	if (!c)
		return false;
	c->used = 0;
	c->cap = (uint16_t)(size - offsetof(struct chunk, bytes));
	c->next = x->tail ? x->tail->next : c;
	if (x->tail)
		x->tail->next = c;
	x->tail = c;
	return true;
}

static inline void chunk_put(struct chunk *c, uint32_t v)
{
	c->used = (uint16_t)(slx_put_varint(c->bytes + c->used, v) - c->bytes);
}

/* There is room. */
static inline void list_append(struct pair *x, uint32_t ordinal)
{
	if (x->count == 1)
		chunk_put(x->tail, x->last);
	if (x->count)
		chunk_put(x->tail, ordinal - x->last);
	x->last = ordinal;
	x->count++;
}

/* Writes x->count ordinals. */
static void list_read(const struct pair *x, uint32_t *out)
{
	if (x->count == 1)
		*out = x->last;
	if (x->count <= 1)
		return;
	uint32_t v = 0;
	const struct chunk *c = x->tail;
	do {
		c = c->next;
		for (const uint8_t *p = c->bytes, *end = p + c->used; p < end;) {
			v += get_varint(&p);
			*out++ = v;
		}
	} while (c != x->tail);
}

static void list_mark(const struct pair *x, struct slx_bitset *set)
{
	if (x->count == 1)
		slx_bitset_add(set, x->last);
	if (x->count <= 1)
		return;
	uint32_t v = 0;
	const struct chunk *c = x->tail;
	do {
		c = c->next;
		for (const uint8_t *p = c->bytes, *end = p + c->used; p < end;) {
			v += get_varint(&p);
			slx_bitset_add(set, v);
		}
	} while (c != x->tail);
}

/* ---- adding ---- */

struct slx_memindex *slx_memindex_new(struct slx_arena *a)
{
	struct slx_memindex *ix = slx_arena_alloc(a, sizeof *ix, sizeof(void *));
	if (!ix)
		return NULL;
	*ix = (struct slx_memindex){
		.home = { a, sizeof *ix },
		.names = { { .size = sizeof(struct name) }, { .size = sizeof(uint32_t) } },
		.pairs = { { .size = sizeof(struct pair) }, { .size = sizeof(uint32_t) } },
		.offsets = { .size = sizeof(uint32_t) },
		.blobs = { .size = sizeof(uint8_t *) },
	};
	return ix;
}

uint32_t slx_memindex_count(const struct slx_memindex *ix) { return ix->offsets.n; }
size_t slx_memindex_bytes(const struct slx_memindex *ix) { return ix->home.bytes; }

/* Pair ids of the next n <= GROUP labels. */
static bool need_group(struct slx_memindex *ix, struct slx_labels_iter *it, size_t n, uint32_t *ids)
{
	struct slx_label labels[GROUP] = { 0 };
	uint32_t names[GROUP], hashes[GROUP];
	for (size_t i = 0; i < n; i++) {
		slx_labels_next(it, &labels[i]);
		names[i] = need_name(ix, labels[i].name);
		if (names[i] == SLX_INDEX_NONE)
			return false;
		hashes[i] = pair_hash(names[i], labels[i].value);
		if (ix->pairs.buckets.n)
			__builtin_prefetch(bucket_of(&ix->pairs, hashes[i]));
	}
	for (size_t i = 0; i < n && ix->pairs.buckets.n; i++) {
		uint32_t first = *bucket_of(&ix->pairs, hashes[i]);
		if (first != SLX_INDEX_NONE)
			__builtin_prefetch(pair_at(ix, first));
	}
	for (size_t i = 0; i < n; i++) {
		ids[i] = need_pair(ix, names[i], labels[i].value, hashes[i]);
		if (ids[i] == SLX_INDEX_NONE)
			return false;
		__builtin_prefetch(pair_at(ix, ids[i])->tail);
	}
	return true;
}

static bool need_pairs(struct slx_memindex *ix, struct slx_labels l, size_t n, uint32_t *ids)
{
	struct slx_labels_iter it = slx_labels_iter(l);
	for (size_t at = 0; at < n; at += GROUP)
		if (!need_group(ix, &it, n - at < GROUP ? n - at : GROUP, ids + at))
			return false;
	return true;
}

static bool reserve_refs(struct slx_memindex *ix, uint32_t size)
{
	if (ix->blob_size - ix->blob_used >= size && ix->blobs.n)
		return true;
	uint32_t n = ix->blobs.n, blob_size = n < 10 ? (uint32_t)BLOB_SIZE_MIN << n : BLOB_SIZE_MAX;
	if (blob_size < size)
		blob_size = size;
	if (n > 0xffff || !slx_vec_reserve(&ix->blobs, &ix->home))
		return false;
	uint8_t *blob = slx_vec_take(&ix->home, blob_size, 1);
	if (!blob)
		return false;
	*(uint8_t **)slx_vec_at(&ix->blobs, ix->blobs.n++) = blob;
	ix->blob_size = blob_size;
	ix->blob_used = 0;
	return true;
}

/* Room for everything that a new series with these pairs writes. */
static bool reserve_series(struct slx_memindex *ix, const uint32_t *ids, size_t n)
{
	uint32_t size = varint_size((uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		if (!list_reserve(ix, pair_at(ix, ids[i])))
			return false;
		size += varint_size(ids[i]);
	}
	return reserve_refs(ix, size) && slx_vec_reserve(&ix->offsets, &ix->home);
}

static uint32_t write_series(struct slx_memindex *ix, const uint32_t *ids, size_t n)
{
	uint32_t ordinal = ix->offsets.n++;
	*(uint32_t *)slx_vec_at(&ix->offsets, ordinal) = (ix->blobs.n - 1) << 16 | ix->blob_used;
	uint8_t *blob = *(uint8_t **)slx_vec_at(&ix->blobs, ix->blobs.n - 1);
	uint8_t *to = slx_put_varint(blob + ix->blob_used, n);
	for (size_t i = 0; i < n; i++) {
		struct pair *x = pair_at(ix, ids[i]);
		list_append(x, ordinal);
		name_at(ix, x->name)->series_n++;
		to = slx_put_varint(to, ids[i]);
	}
	ix->blob_used = (uint32_t)(to - blob);
	return ordinal;
}

silex_status slx_memindex_add(struct slx_memindex *ix, struct slx_labels l, uint32_t *ret_ordinal, silex_error *err)
{
	uint32_t ids[LABELS_MAX];
	size_t n = slx_labels_count(l);
	if (n > LABELS_MAX)
		return slx_err(err, SILEX_INVALID, "label index: series with %zu labels; expected at most %d", n, LABELS_MAX);
	if (ix->offsets.n == UINT32_MAX - 1)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "label index: expected at most %u series", UINT32_MAX - 1);
	if (!need_pairs(ix, l, n, ids) || !reserve_series(ix, ids, n))
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "label index: out of memory or 4 GiB of references at %u series",
			ix->offsets.n);
	*ret_ordinal = write_series(ix, ids, n);
	return SILEX_OK;
}

/* ---- labels of a series ---- */

static void put_text(struct slx_buf *out, const struct node *x)
{
	struct slx_str s = text_of(x);
	slx_buf_put(out, x->text, (size_t)((const uint8_t *)s.p - x->text) + s.n);
}

void slx_memindex_labels(const struct slx_memindex *ix, uint32_t ordinal, struct slx_buf *out)
{
	uint32_t n;
	const uint8_t *refs = refs_of(ix, ordinal, &n);
	slx_buf_varint(out, n);
	while (n--) {
		const struct pair *x = pair_at(ix, get_varint(&refs));
		put_text(out, &name_at(ix, x->name)->node);
		put_text(out, &x->node);
	}
}

/* Compares a text with the canonical bytes at *p and steps over them. */
static inline bool same_text(const struct node *x, const uint8_t **p)
{
	struct slx_str a = text_of(x);
	size_t n = get_varint(p);
	const char *b = (const char *)*p;
	*p += n;
	return a.n == n && memcmp(a.p, b, n) == 0;
}

bool slx_memindex_equals(const struct slx_memindex *ix, uint32_t ordinal, struct slx_labels l)
{
	uint32_t n;
	const uint8_t *refs = refs_of(ix, ordinal, &n), *p = l.p;
	if (get_varint(&p) != n)
		return false;
	while (n--) {
		const struct pair *x = pair_at(ix, get_varint(&refs));
		if (!same_text(&name_at(ix, x->name)->node, &p) || !same_text(&x->node, &p))
			return false;
	}
	return true;
}

struct slx_str slx_memindex_value(const struct slx_memindex *ix, uint32_t ordinal, struct slx_str name)
{
	uint32_t id = find_name(ix, name, name_hash(name)), n;
	const uint8_t *refs = refs_of(ix, ordinal, &n);
	while (id != SLX_INDEX_NONE && n--) {
		const struct pair *x = pair_at(ix, get_varint(&refs));
		if (x->name == id)
			return text_of(&x->node);
	}
	return SLX_STR("");
}

/* ---- what select.c asks (index_int.h); values are pair ids ---- */

static uint32_t op_series(const void *ix) { return ((const struct slx_memindex *)ix)->offsets.n; }
static uint32_t op_names(const void *ix) { return ((const struct slx_memindex *)ix)->names.nodes.n; }
static struct slx_str op_name_text(const void *ix, uint32_t name) { return text_of(&name_at(ix, name)->node); }
static uint32_t op_name_find(const void *ix, struct slx_str name) { return find_name(ix, name, name_hash(name)); }
static uint32_t op_values(const void *ix, uint32_t name) { return ((const struct slx_memindex *)ix)->pairs.nodes.n; }

static struct slx_str op_value_text(const void *ix, uint32_t name, uint32_t value)
{
	return text_of(&pair_at(ix, value)->node);
}

static uint32_t op_value_find(const void *ix, uint32_t name, struct slx_str value)
{
	return find_pair(ix, name, value, pair_hash(name, value));
}

static uint32_t op_value_first(const void *ix, uint32_t name, struct slx_str prefix)
{
	return name_at(ix, name)->first_pair;
}

static uint32_t op_value_next(const void *ix, uint32_t name, uint32_t value, struct slx_str prefix)
{
	return pair_at(ix, value)->sibling;
}

static uint64_t op_estimate(const void *ix, uint32_t name, const uint32_t *values, size_t n)
{
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += pair_at(ix, values[i])->count;
	return total;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static silex_status mark_all(const struct slx_memindex *ix, const uint32_t *values, size_t n, struct slx_mem *mem,
	struct slx_bitset *ret, silex_error *err)
{
	SLX_TRY(slx_bitset_init(ret, mem, ix->offsets.n, err));
	for (size_t i = 0; i < n; i++)
		list_mark(pair_at(ix, values[i]), ret);
	return SILEX_OK;
}

/* A series has one value of a name, so the lists share nothing: their sizes add up, and joining them is sorting. Many
 * are sorted by a bitset. */
static silex_status op_collect(
	const void *handle, uint32_t name, const uint32_t *values, size_t n, struct slx_ordinals *out, silex_error *err)
{
	const struct slx_memindex *ix = handle;
	uint64_t total = op_estimate(ix, name, values, n);
	SLX_TRY(slx_ordinals_reserve(out, total, err));
	if (n > 1 && total > ix->offsets.n / 64) {
		struct slx_bitset set;
		SLX_TRY(mark_all(ix, values, n, out->mem, &set, err));
		for (size_t w = 0; w < set.words_n; w++)
			for (uint64_t bits = set.words[w]; bits; bits &= bits - 1)
				out->p[out->n++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(bits));
		slx_bitset_free(&set);
		return SILEX_OK;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pair *x = pair_at(ix, values[i]);
		list_read(x, out->p + out->n);
		out->n += x->count;
	}
	if (n > 1)
		qsort(out->p, out->n, sizeof *out->p, by_number);
	return SILEX_OK;
}

static bool series_has(const struct slx_memindex *ix, uint32_t ordinal, const uint32_t *values, size_t n)
{
	uint32_t left;
	const uint8_t *refs = refs_of(ix, ordinal, &left);
	while (left--) {
		uint32_t id = get_varint(&refs);
		if (n == 1 ? id == values[0] : bsearch(&id, values, n, sizeof id, by_number) != NULL)
			return true;
	}
	return false;
}

/* Few candidates are asked one by one; many against a bitset of all series that have the values. */
static silex_status op_filter(const void *handle, uint32_t name, const uint32_t *values, size_t n, bool without,
	struct slx_ordinals *o, silex_error *err)
{
	const struct slx_memindex *ix = handle;
	size_t kept = 0;
	if ((uint64_t)o->n * 16 < op_estimate(ix, name, values, n)) {
		for (size_t i = 0; i < o->n; i++)
			if (series_has(ix, o->p[i], values, n) != without)
				o->p[kept++] = o->p[i];
	} else {
		struct slx_bitset set;
		SLX_TRY(mark_all(ix, values, n, o->mem, &set, err));
		for (size_t i = 0; i < o->n; i++) {
			o->p[kept] = o->p[i];
			kept += slx_bitset_has(&set, o->p[i]) != without;
		}
		slx_bitset_free(&set);
	}
	o->n = kept;
	return SILEX_OK;
}

static void op_count_names(const void *handle, const struct slx_ordinals *o, uint32_t *counts)
{
	const struct slx_memindex *ix = handle;
	for (uint32_t i = 0; !o && i < ix->names.nodes.n; i++)
		counts[i] = name_at(ix, i)->series_n;
	for (size_t i = 0; o && i < o->n; i++) {
		uint32_t left;
		for (const uint8_t *refs = refs_of(ix, o->p[i], &left); left; left--)
			counts[pair_at(ix, get_varint(&refs))->name]++;
	}
}

static void op_count_values(const void *handle, uint32_t name, const struct slx_ordinals *o, uint32_t *counts)
{
	const struct slx_memindex *ix = handle;
	for (uint32_t v = name_at(ix, name)->first_pair; !o && v != SLX_INDEX_NONE; v = pair_at(ix, v)->sibling)
		counts[v] = pair_at(ix, v)->count;
	for (size_t i = 0; o && i < o->n; i++) {
		uint32_t left;
		for (const uint8_t *refs = refs_of(ix, o->p[i], &left); left; left--) {
			uint32_t id = get_varint(&refs);
			counts[id] += pair_at(ix, id)->name == name;
		}
	}
}

const struct slx_index_ops slx_memindex_ops = {
	op_series,
	op_names,
	op_name_text,
	op_name_find,
	op_values,
	op_value_text,
	op_value_find,
	op_value_first,
	op_value_next,
	op_estimate,
	op_collect,
	op_filter,
	op_count_names,
	op_count_values,
};

silex_status slx_memindex_select(const struct slx_memindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err)
{
	return slx_index_select(ix, &slx_memindex_ops, ms, n, mem, ret, err);
}

silex_status slx_memindex_names(const struct slx_memindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	return slx_index_names(ix, &slx_memindex_ops, ms, n, mem, ret, err);
}

silex_status slx_memindex_values(const struct slx_memindex *ix, struct slx_str name, struct slx_matcher *const *ms,
	size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	return slx_index_values(ix, &slx_memindex_ops, name, ms, n, mem, ret, err);
}
