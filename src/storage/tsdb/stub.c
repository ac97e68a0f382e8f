/* Stubs of cold blocks: docs/format/stub.md.
 *
 *     envelope (base/envelope.h), kind 1, seq = size of the object
 *     u64 size; u64 tail at; u32 segment size; u32 n; u64 sum[n]; the object's bytes from `tail at` to its end */
#include "storage/tsdb/far.h"

#include "storage/tsdb/block_int.h"

#include <inttypes.h>

enum { STUB_KIND = 1, STUB_FORMAT = 0, STUB_FIXED = 24, PIECE = 8 * SLX_FAR_SEGMENT };
#define STUB_SIZE_MAX ((uint64_t)256 << 20)
#define OBJECT_SIZE_MAX ((uint64_t)1 << 44)

static uint32_t segments_of(uint64_t size) { return (uint32_t)((size + SLX_FAR_SEGMENT - 1) / SLX_FAR_SEGMENT); }

static silex_status stub_init(struct slx_stub *t, struct slx_mem *m, uint64_t size, silex_error *err)
{
	*t = (struct slx_stub){ .mem = m, .size = size, .tail_at = size, .n = segments_of(size) };
	t->sum = slx_alloc(m, SLX_MEM_CACHE, t->n * sizeof *t->sum);
	return t->sum ? SILEX_OK : slx_err_oom(err);
}

void slx_stub_free(struct slx_stub *t)
{
	if (t->mem)
		slx_free(t->mem, SLX_MEM_CACHE, t->sum, t->n * sizeof *t->sum);
	*t = (struct slx_stub){ 0 };
}

static void add_sums(struct slx_stub *t, uint64_t offset, const uint8_t *p, size_t n)
{
	for (uint32_t i = (uint32_t)(offset / SLX_FAR_SEGMENT); n > 0; i++) {
		size_t k = n < SLX_FAR_SEGMENT ? n : SLX_FAR_SEGMENT;
		t->sum[i] = slx_hash64(p, k);
		p += k;
		n -= k;
	}
}

silex_status slx_stub_make(struct slx_store *from, const char *object, uint64_t size, struct slx_mem *m, slx_far_piece_fn *piece, void *arg,
	struct slx_stub *ret, silex_error *err)
{
	struct slx_stub t;
	SLX_TRY(stub_init(&t, m, size, err));
	uint8_t *buf = slx_alloc(m, SLX_MEM_OTHER, PIECE);
	silex_status status = buf ? SILEX_OK : slx_err_oom(err);
	for (uint64_t at = 0; at < size && status == SILEX_OK; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		status = slx_store_get_range(from, object, at, n, buf, err);
		if (status == SILEX_OK)
			add_sums(&t, at, buf, n);
		if (status == SILEX_OK && piece)
			status = piece(arg, buf, n, err);
	}
	slx_free(m, SLX_MEM_OTHER, buf, PIECE);
	if (status == SILEX_OK)
		*ret = t;
	else
		slx_stub_free(&t);
	return status;
}

uint64_t slx_stub_tail(const struct slx_block *b) { return b->directory; }

silex_status slx_stub_write(const struct slx_stub *t, struct slx_store *from, const char *object, struct slx_store *local, const char *name,
	silex_error *err)
{
	size_t tail = (size_t)(t->size - t->tail_at), length = STUB_FIXED + 8 * (size_t)t->n + tail, size = SLX_ENVELOPE_SIZE + length;
	struct slx_store_writer *w = NULL;
	if (size > STUB_SIZE_MAX)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "block %s is too large to be moved: its stub would have %zu bytes", object, size);
	uint8_t *buf = slx_alloc(t->mem, SLX_MEM_OTHER, size), *p = buf + SLX_ENVELOPE_SIZE;
	if (!buf)
		return slx_err_oom(err);
	slx_store64(p, t->size);
	slx_store64(p + 8, t->tail_at);
	slx_store32(p + 16, SLX_FAR_SEGMENT);
	slx_store32(p + 20, t->n);
	for (uint32_t i = 0; i < t->n; i++)
		slx_store64(p + STUB_FIXED + 8 * (size_t)i, t->sum[i]);
	silex_status status = slx_store_get_range(from, object, t->tail_at, tail, p + length - tail, err);
	if (status == SILEX_OK) {
		struct slx_envelope e = { .length = (uint32_t)length, .kind = STUB_KIND, .format = STUB_FORMAT, .seq = t->size };
		slx_envelope_encode(&e, slx_crc32c(0, p, length), buf);
		status = slx_store_begin(local, name, &w, err);
	}
	if (status == SILEX_OK)
		status = slx_store_append(w, buf, size, err);
	if (status == SILEX_OK)
		status = slx_store_commit(w, err);
	else
		slx_store_abort(w);
	slx_free(t->mem, SLX_MEM_OTHER, buf, size);
	return status;
}

static silex_status damaged(const char *name, const char *what, silex_error *err)
{
	return slx_err(err, SILEX_CORRUPT, "stub %s is damaged: %s", name, what);
}

silex_status slx_stub_decode(const uint8_t *p, size_t n, const char *name, struct slx_mem *m, struct slx_stub *ret, silex_error *err)
{
	struct slx_envelope e;
	const uint8_t *data;
	if (!slx_envelope_decode(p, n, n, &e, &data) || e.length != n - SLX_ENVELOPE_SIZE || e.kind != STUB_KIND)
		return damaged(name, "its checksum differs, or it is cut short", err);
	if (e.format > STUB_FORMAT || e.codec || e.flags || e.key_id)
		return slx_err(err, SILEX_UNSUPPORTED, "stub %s has format %u (codec %u, flags %u, key %u); this version reads up to %d", name, e.format, e.codec,
			e.flags, e.key_id, STUB_FORMAT);
	struct slx_rd r = slx_rd_init(data, e.length);
	uint64_t size = slx_rd_u64(&r), tail_at = slx_rd_u64(&r);
	uint32_t segment = slx_rd_u32(&r), segments = slx_rd_u32(&r);
	if (r.bad || size == 0 || size > OBJECT_SIZE_MAX || tail_at > size || segment != SLX_FAR_SEGMENT || segments != segments_of(size) ||
		slx_rd_left(&r) / 8 < segments || slx_rd_left(&r) - 8 * (uint64_t)segments != size - tail_at)
		return damaged(name, "its sizes contradict each other", err);
	struct slx_stub t;
	SLX_TRY(stub_init(&t, m, size, err));
	t.tail_at = tail_at;
	for (uint32_t i = 0; i < t.n; i++)
		t.sum[i] = slx_rd_u64(&r);
	*ret = t;
	return SILEX_OK;
}

silex_status slx_stub_read(struct slx_store *local, const char *name, struct slx_mem *m, struct slx_stub *ret, silex_error *err)
{
	uint64_t size;
	SLX_TRY(slx_store_size(local, name, &size, err));
	if (size < SLX_ENVELOPE_SIZE + STUB_FIXED || size > STUB_SIZE_MAX)
		return damaged(name, "it is cut short, or far too large", err);
	uint8_t *buf = slx_alloc(m, SLX_MEM_OTHER, size);
	if (!buf)
		return slx_err_oom(err);
	silex_status status = slx_store_get_range(local, name, 0, size, buf, err);
	if (status == SILEX_OK)
		status = slx_stub_decode(buf, size, name, m, ret, err);
	slx_free(m, SLX_MEM_OTHER, buf, size);
	return status;
}
