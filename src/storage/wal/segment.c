#include "storage/wal/segment.h"

#include <string.h>

enum { WINDOW_SIZE = 256 << 10 };

static const char magic[8] = { 'S', 'i', 'l', 'e', 'x', 'W', 'A', 'L' };

void slx_walseg_encode(const struct slx_walseg_header *h, uint8_t to[SLX_WALSEG_HEADER_SIZE])
{
	memset(to, 0, SLX_WALSEG_HEADER_SIZE);
	memcpy(to, magic, sizeof magic);
	slx_store16(to + 8, h->format);
	slx_store16(to + 10, h->flags);
	memcpy(to + 16, h->log_uuid, SLX_WAL_UUID_SIZE);
	memcpy(to + 32, h->uuid, SLX_WAL_UUID_SIZE);
	slx_store64(to + 48, h->number);
	slx_store64(to + 56, h->scope);
	slx_store64(to + 64, h->first_seq);
	slx_store64(to + 72, h->synced_seq);
	slx_store64(to + 80, h->version);
	slx_store32(to + 92, slx_crc32c(0, to, 92));
}

bool slx_walseg_decode(const uint8_t from[SLX_WALSEG_HEADER_SIZE], struct slx_walseg_header *ret)
{
	if (memcmp(from, magic, sizeof magic) != 0 || slx_crc32c(0, from, 92) != slx_load32(from + 92))
		return false;
	struct slx_walseg_header h = {
		.format = slx_load16(from + 8),
		.flags = slx_load16(from + 10),
		.number = slx_load64(from + 48),
		.scope = slx_load64(from + 56),
		.first_seq = slx_load64(from + 64),
		.synced_seq = slx_load64(from + 72),
		.version = slx_load64(from + 80),
	};
	memcpy(h.log_uuid, from + 16, SLX_WAL_UUID_SIZE);
	memcpy(h.uuid, from + 32, SLX_WAL_UUID_SIZE);
	*ret = h;
	return h.format > SLX_WALSEG_FORMAT || (h.first_seq > 0 && h.scope > 0 && h.scope <= h.number);
}

silex_status slx_walseg_open(
	struct slx_walseg_reader *r, struct slx_vfs *v, struct slx_mem *m, const char *path, silex_error *err)
{
	*r = (struct slx_walseg_reader){ .mem = m };
	SLX_TRY(v->open(v, path, SLX_OPEN_READ, &r->file, err));
	silex_status st = slx_file_size(r->file, &r->size, err);
	if (st != SILEX_OK)
		slx_walseg_close(r);
	return st;
}

void slx_walseg_close(struct slx_walseg_reader *r)
{
	slx_file_close(r->file);
	slx_free(r->mem, SLX_MEM_WAL, r->buf, r->cap);
	r->file = NULL;
	r->buf = NULL;
	r->cap = r->n = 0;
}

/* Bytes [offset, offset + n) of the file, which has them. */
static silex_status window(
	struct slx_walseg_reader *r, uint64_t offset, size_t n, const uint8_t **ret, silex_error *err)
{
	if (offset >= r->at && offset + n <= r->at + r->n) {
		*ret = r->buf + (offset - r->at);
		return SILEX_OK;
	}
	size_t want = n > WINDOW_SIZE ? n : WINDOW_SIZE;
	if (want > r->size - offset)
		want = (size_t)(r->size - offset);
	if (want > r->cap) {
		size_t cap = want > WINDOW_SIZE ? want : WINDOW_SIZE;
		uint8_t *buf = slx_alloc(r->mem, SLX_MEM_WAL, cap);
		if (!buf)
			return slx_err_oom(err);
		slx_free(r->mem, SLX_MEM_WAL, r->buf, r->cap);
		r->buf = buf;
		r->cap = cap;
	}
	r->n = 0;
	SLX_TRY(slx_file_read(r->file, r->buf, want, offset, err));
	r->at = offset;
	r->n = want;
	*ret = r->buf;
	return SILEX_OK;
}

silex_status slx_walseg_read_header(
	struct slx_walseg_reader *r, struct slx_walseg_header *ret, bool *ret_found, silex_error *err)
{
	const uint8_t *p = NULL;
	*ret_found = false;
	if (r->size < SLX_WALSEG_HEADER_SIZE)
		return SILEX_OK;
	SLX_TRY(window(r, 0, SLX_WALSEG_HEADER_SIZE, &p, err));
	*ret_found = slx_walseg_decode(p, ret);
	return SILEX_OK;
}

silex_status slx_walseg_frame_at(
	struct slx_walseg_reader *r, uint64_t offset, struct slx_walseg_frame *ret, bool *ret_found, silex_error *err)
{
	const uint8_t *p = NULL;
	*ret_found = false;
	if (offset > r->size || r->size - offset < SLX_ENVELOPE_SIZE)
		return SILEX_OK;
	SLX_TRY(window(r, offset, SLX_ENVELOPE_SIZE, &p, err));
	uint32_t length = slx_envelope_peek(p).length;
	if (length > SLX_WAL_FRAME_SIZE_MAX || length > r->size - offset - SLX_ENVELOPE_SIZE)
		return SILEX_OK;
	size_t whole = SLX_ENVELOPE_SIZE + (size_t)length;
	SLX_TRY(window(r, offset, whole, &p, err));
	if (!slx_envelope_decode(p, whole, SLX_WAL_FRAME_SIZE_MAX, &ret->envelope, &ret->stored))
		return SILEX_OK;
	ret->offset = offset;
	ret->end = offset + whole;
	*ret_found = true;
	return SILEX_OK;
}

/* Cheap enough to ask at every byte; the checksum decides afterwards. */
static bool plausible(const struct slx_envelope *e, uint64_t first_seq, uint64_t last_seq)
{
	if (e->kind == SLX_WALSEG_KIND_MARK)
		return e->length == 0 && e->key_id == 0 && e->seq <= last_seq;
	return e->kind && e->seq >= first_seq && e->seq <= last_seq;
}

silex_status slx_walseg_find(struct slx_walseg_reader *r, uint64_t offset, uint64_t first_seq, uint64_t next_seq,
	struct slx_walseg_frame *ret, bool *ret_found, silex_error *err)
{
	*ret_found = false;
	for (uint64_t at = offset; at + SLX_ENVELOPE_SIZE <= r->size; at++) {
		const uint8_t *p = NULL;
		SLX_TRY(window(r, at, SLX_ENVELOPE_SIZE, &p, err));
		struct slx_envelope e = slx_envelope_peek(p);
		if (!plausible(&e, first_seq, next_seq + (at - offset) / SLX_ENVELOPE_SIZE))
			continue;
		SLX_TRY(slx_walseg_frame_at(r, at, ret, ret_found, err));
		if (*ret_found)
			break;
	}
	return SILEX_OK;
}

silex_status slx_walseg_only_zeros(struct slx_walseg_reader *r, uint64_t offset, bool *ret, silex_error *err)
{
	*ret = false;
	while (offset < r->size) {
		const uint8_t *p = NULL;
		size_t n = r->size - offset < 4096 ? (size_t)(r->size - offset) : 4096;
		SLX_TRY(window(r, offset, n, &p, err));
		for (size_t i = 0; i < n; i++)
			if (p[i])
				return SILEX_OK;
		offset += n;
	}
	*ret = true;
	return SILEX_OK;
}
