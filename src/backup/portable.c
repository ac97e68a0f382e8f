#include "backup/portable.h"

#include "base/buf.h"
#include "base/envelope.h"

#include <stdio.h>
#include <string.h>

enum { KIND_PART = 1, KIND_DATA, KIND_PART_END, KIND_END, DATA_MAX = 1 << 20 };

static const char magic[8] = { 'S', 'i', 'l', 'e', 'x', 'S', 'n', 'p' };

bool slx_portable_is(const uint8_t *p) { return memcmp(p, magic, sizeof magic) == 0; }

/* --- out ---------------------------------------------------------------------------------------------------------------------- */

struct writer {
	struct slx_place *place;
	slx_sink_fn *to;
	void *sink;
	struct slx_progress *progress;
	uint64_t seq, parts, bytes;
};

static silex_status put_record(struct writer *w, uint8_t kind, const void *bytes, size_t n, silex_error *err)
{
	uint8_t header[SLX_ENVELOPE_SIZE];
	struct slx_envelope e = { .length = (uint32_t)n, .kind = kind, .seq = ++w->seq };
	slx_envelope_encode(&e, slx_crc32c(0, bytes, n), header);
	SLX_TRY(w->to(w->sink, header, sizeof header, err));
	return w->to(w->sink, bytes, n, err);
}

static silex_status put_data(void *sink, const void *p, size_t n, silex_error *err) { return put_record(sink, KIND_DATA, p, n, err); }

static silex_status put_part(struct writer *w, const char *folder, const char *name, slx_source_fn *from, void *source, uint64_t size, silex_error *err)
{
	uint8_t head[8 + SLX_PORTABLE_NAME_MAX + 1], tail[16];
	struct slx_hash128 hash;
	slx_store64(head, size);
	int n = snprintf((char *)head + 8, sizeof head - 8, "%s/%s", folder, name);
	SLX_TRY(put_record(w, KIND_PART, head, 8 + (size_t)n, err));
	SLX_TRY(slx_pump(w->place, from, source, size, put_data, w, w->progress, &hash, err));
	slx_store64(tail, hash.lo);
	slx_store64(tail + 8, hash.hi);
	w->parts++;
	w->bytes += size;
	return put_record(w, KIND_PART_END, tail, sizeof tail, err);
}

static silex_status read_memory(void *source, uint64_t offset, size_t n, void *to, silex_error *err)
{
	memcpy(to, (const uint8_t *)source + offset, n);
	return SILEX_OK;
}

static silex_status put_header(struct writer *w, silex_error *err)
{
	uint8_t h[SLX_PORTABLE_HEADER_SIZE] = { 0 };
	memcpy(h, magic, sizeof magic);
	slx_store16(h + 8, SLX_PORTABLE_FORMAT);
	slx_store64(h + 16, (uint64_t)slx_place_now_ms(w->place));
	slx_store32(h + 28, slx_crc32c(0, h, 28));
	return w->to(w->sink, h, sizeof h, err);
}

silex_status slx_portable_write(struct slx_place *p, struct slx_image *i, slx_sink_fn *to, void *sink, struct slx_progress *progress, silex_error *err)
{
	struct writer w = { p, to, sink, progress, 0, 0, 0 };
	uint8_t end[16];
	SLX_TRY(put_header(&w, err));
	for (size_t k = 0; k < i->n_docs; k++)
		SLX_TRY(put_part(&w, "meta", i->docs[k].key, read_memory, i->docs[k].p, i->docs[k].n, err));
	for (size_t k = 0; k < i->n_blocks; k++) {
		struct slx_object o = { i->blocks[k].store, i->blocks[k].info->name };
		SLX_TRY(put_part(&w, "blocks", o.name, slx_object_read, &o, i->blocks[k].info->size, err));
	}
	slx_store64(end, w.parts);
	slx_store64(end + 8, w.bytes);
	return put_record(&w, KIND_END, end, sizeof end, err);
}

silex_status slx_portable_write_file(struct slx_place *p, struct slx_image *i, const char *path, struct slx_progress *progress, silex_error *err)
{
	struct slx_growing f = { 0 };
	char tmp[SLX_PATH_SIZE];
	if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= SLX_PATH_SIZE)
		return slx_err(err, SILEX_INVALID, "path of %zu bytes; expected at most %d", strlen(path), SLX_PATH_SIZE - 5);
	SLX_TRY(p->vfs->open(p->vfs, tmp, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &f.file, err));
	silex_status st = slx_file_truncate(f.file, 0, err); /* a leftover */
	if (st == SILEX_OK)
		st = slx_portable_write(p, i, slx_file_sink, &f, progress, err);
	if (st == SILEX_OK)
		st = slx_file_sync(f.file, err);
	slx_file_close(f.file);
	if (st == SILEX_OK)
		st = p->vfs->rename(p->vfs, tmp, path, err);
	if (st != SILEX_OK) {
		p->vfs->unlink(p->vfs, tmp, NULL);
		return st;
	}
	const char *slash = strrchr(path, '/');
	snprintf(tmp, sizeof tmp, "%.*s", slash && slash > path ? (int)(slash - path) : 1, slash ? path : ".");
	return p->vfs->sync_dir(p->vfs, tmp, err);
}

/* --- in ------------------------------------------------------------------------------------------------------------------------ */

struct reader {
	slx_source_fn *from;
	void *source;
	uint64_t size, at, seq;
	const struct slx_portable_sink *to;
	uint8_t *buf; /* an envelope with its bytes */
	struct slx_envelope e;
	bool in_part;
	uint64_t left, parts, bytes; /* of the part; so far */
	struct slx_hasher hash;
};

static silex_status bad(const struct reader *r, const char *what, silex_error *err)
{
	return slx_err(err, SILEX_CORRUPT, "offset %llu: %s: the snapshot is damaged", (unsigned long long)r->at, what);
}

static silex_status read_header(struct reader *r, silex_error *err)
{
	uint8_t h[SLX_PORTABLE_HEADER_SIZE];
	if (r->size < sizeof h)
		return bad(r, "shorter than a header", err);
	SLX_TRY(r->from(r->source, 0, sizeof h, h, err));
	if (!slx_portable_is(h) || slx_crc32c(0, h, 28) != slx_load32(h + 28))
		return bad(r, "not the header of a Silex snapshot", err);
	if (slx_load16(h + 8) > SLX_PORTABLE_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "snapshot of format %u, this release reads up to %d: use a newer silex", slx_load16(h + 8),
			SLX_PORTABLE_FORMAT);
	r->at = sizeof h;
	return SILEX_OK;
}

static silex_status read_record(struct reader *r, const uint8_t **ret, silex_error *err)
{
	if (r->size - r->at < SLX_ENVELOPE_SIZE)
		return bad(r, "the file ends before its end record; it was not written or copied whole", err);
	SLX_TRY(r->from(r->source, r->at, SLX_ENVELOPE_SIZE, r->buf, err));
	uint32_t n = slx_envelope_peek(r->buf).length;
	if (n > DATA_MAX)
		return bad(r, "no record", err);
	if (r->size - r->at - SLX_ENVELOPE_SIZE < n)
		return bad(r, "the file ends inside a record; it was not written or copied whole", err);
	SLX_TRY(r->from(r->source, r->at + SLX_ENVELOPE_SIZE, n, r->buf + SLX_ENVELOPE_SIZE, err));
	if (!slx_envelope_decode(r->buf, SLX_ENVELOPE_SIZE + n, DATA_MAX, &r->e, ret) || r->e.seq != r->seq + 1 || r->e.codec || r->e.flags || r->e.key_id)
		return bad(r, "a record whose checksum or number does not fit", err);
	r->seq++;
	return SILEX_OK;
}

static silex_status begin_part(struct reader *r, const uint8_t *p, silex_error *err)
{
	char name[SLX_PORTABLE_NAME_MAX + 1];
	size_t n = r->e.length < 8 ? 0 : r->e.length - 8;
	if (r->in_part || n == 0 || n > SLX_PORTABLE_NAME_MAX || memchr(p + 8, 0, n))
		return bad(r, "a part that may not begin here, or has no legal name", err);
	memcpy(name, p + 8, n);
	name[n] = 0;
	r->left = slx_load64(p);
	r->bytes += r->left;
	r->in_part = true;
	slx_hasher_init(&r->hash);
	return r->to->begin(r->to->arg, name, r->left, err);
}

static silex_status take_data(struct reader *r, const uint8_t *p, silex_error *err)
{
	if (!r->in_part || r->e.length > r->left)
		return bad(r, "more bytes than the part has", err);
	r->left -= r->e.length;
	slx_hasher_put(&r->hash, p, r->e.length);
	return r->to->data(r->to->arg, p, r->e.length, err);
}

static silex_status end_part(struct reader *r, const uint8_t *p, silex_error *err)
{
	struct slx_hash128 h = slx_hasher_get(&r->hash);
	if (!r->in_part || r->left || r->e.length != 16 || slx_load64(p) != h.lo || slx_load64(p + 8) != h.hi)
		return bad(r, "a part whose size or checksum does not fit", err);
	r->in_part = false;
	r->parts++;
	return r->to->end(r->to->arg, err);
}

static silex_status read_all(struct reader *r, silex_error *err)
{
	SLX_TRY(read_header(r, err));
	for (;;) {
		const uint8_t *p = NULL;
		SLX_TRY(read_record(r, &p, err));
		switch (r->e.kind) {
		case KIND_PART:
			SLX_TRY(begin_part(r, p, err));
			break;
		case KIND_DATA:
			SLX_TRY(take_data(r, p, err));
			break;
		case KIND_PART_END:
			SLX_TRY(end_part(r, p, err));
			break;
		case KIND_END:
			if (r->in_part || r->e.length != 16 || slx_load64(p) != r->parts || slx_load64(p + 8) != r->bytes)
				return bad(r, "an end record that does not count the parts before it", err);
			r->at += SLX_ENVELOPE_SIZE + r->e.length;
			return r->at == r->size ? SILEX_OK : bad(r, "bytes after the end record", err);
		default:
			return bad(r, "a record of an unknown kind", err);
		}
		r->at += SLX_ENVELOPE_SIZE + r->e.length;
	}
}

silex_status slx_portable_read(struct slx_mem *m, slx_source_fn *from, void *source, uint64_t size, const struct slx_portable_sink *to, silex_error *err)
{
	struct reader r = { .from = from, .source = source, .size = size, .to = to };
	enum { BUF_SIZE = SLX_ENVELOPE_SIZE + DATA_MAX };
	r.buf = slx_alloc(m, SLX_MEM_OTHER, BUF_SIZE);
	silex_status st = r.buf ? read_all(&r, err) : slx_err_oom(err);
	slx_free(m, SLX_MEM_OTHER, r.buf, BUF_SIZE);
	return st;
}
