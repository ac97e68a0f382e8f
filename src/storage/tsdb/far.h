/* Cold blocks: a block whose object lies in another store (S3, a folder elsewhere) while a stub of it stays here.
 *
 *     stub      its size, a checksum of every segment (SLX_FAR_SEGMENT bytes of the object), its last bytes: so that the
 *               block opens, and says which tenants and times it holds, while the other store is away
 *     reading   slx_far_open makes a store of the one object for slx_block_open: segments come through the page cache,
 *               checked against the stub before anybody sees them; reading on fetches more at once (2 MiB at most)
 *
 * docs/format/stub.md. Any thread. */
#ifndef SLX_TSDB_FAR_H
#define SLX_TSDB_FAR_H

#include "base/buf.h"
#include "storage/store/store.h"
#include "storage/tsdb/block.h"
#include "storage/tsdb/cache.h"

#include <stdatomic.h>

enum { SLX_FAR_SEGMENT = 128 << 10, SLX_FAR_TRIES = 3 };

/* ---- stubs ---- */

struct slx_stub {
	struct slx_mem *mem;
	uint64_t size;    /* of the object */
	uint64_t tail_at; /* its bytes from here on are in the stub */
	uint32_t n;       /* segments */
	uint64_t *sum;    /* XXH3-64 of each */
};

/* Called with each piece of the object in order. */
typedef silex_status slx_far_piece_fn(void *arg, const void *bytes, size_t n, silex_error *err);

/* Reads the object once, a megabyte at a time. `sum` of *ret is filled; tail_at is the caller's to set. piece may be NULL. */
silex_status slx_stub_make(struct slx_store *from, const char *object, uint64_t size, struct slx_mem *m, slx_far_piece_fn *piece, void *arg,
	struct slx_stub *ret, silex_error *err);
/* Where the tail of a block begins that a stub keeps. */
uint64_t slx_stub_tail(const struct slx_block *b);
/* Writes it into `local` as `name`, with the tail read from the object; durable then. */
silex_status slx_stub_write(const struct slx_stub *t, struct slx_store *from, const char *object, struct slx_store *local, const char *name,
	silex_error *err);
silex_status slx_stub_read(struct slx_store *local, const char *name, struct slx_mem *m, struct slx_stub *ret, silex_error *err);
/* From the bytes of a stub's object. For slx_stub_read and the fuzzer. */
silex_status slx_stub_decode(const uint8_t *p, size_t n, const char *name, struct slx_mem *m, struct slx_stub *ret, silex_error *err);
void slx_stub_free(struct slx_stub *t); /* a zeroed one is fine */

/* ---- reading ---- */

struct slx_far_counters {
	_Atomic uint64_t requests, bytes; /* fetched */
	_Atomic uint64_t failures;        /* requests that failed */
	_Atomic uint64_t corrupted;       /* segments that came back other than they were stored */
};

/* A store by name; outlives the blocks that it holds. */
struct slx_far_source {
	const char *name;
	struct slx_store *store; /* NULL: the database was opened without a store of that name */
	struct slx_far_counters counters;
};

/* A store that answers size and get_range, for one object, whatever the name asked for. Takes the stub over (also when it
 * fails). local/stub_name: where the tail is read. UNAVAILABLE, naming the store, when it does not answer. */
silex_status slx_far_open(struct slx_far_source *source, const char *object, struct slx_store *local, const char *stub_name, struct slx_stub *stub,
	struct slx_cache *cache, struct slx_mem *m, struct slx_store **ret, silex_error *err);

#endif
