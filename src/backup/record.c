#include "backup/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE = 24 };
static const char magic[8] = { 'S', 'i', 'l', 'e', 'x', 'B', 'a', 'k' };

void slx_backup_record_free(struct slx_backup_record *r)
{
	for (size_t i = 0; i < r->n_docs; i++)
		slx_free(r->mem, SLX_MEM_OTHER, r->docs[i].p, r->docs[i].n);
	slx_free(r->mem, SLX_MEM_OTHER, r->docs, r->n_docs * sizeof *r->docs);
	slx_free(r->mem, SLX_MEM_OTHER, r->blocks, r->n_blocks * sizeof *r->blocks);
	*r = (struct slx_backup_record){ .mem = r->mem };
}

const char *slx_backup_object(const char *block, char room[SLX_BLOCK_OBJECT_SIZE])
{
	snprintf(room, SLX_BLOCK_OBJECT_SIZE, SLX_BLOCK_PREFIX "%s", block);
	return room;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct slx_backup_block *)a)->name, ((const struct slx_backup_block *)b)->name); }

const struct slx_backup_block *slx_backup_record_find(const struct slx_backup_record *r, const char *name)
{
	struct slx_backup_block key;
	snprintf(key.name, sizeof key.name, "%s", name);
	return r->n_blocks ? bsearch(&key, r->blocks, r->n_blocks, sizeof key, by_name) : NULL;
}

/* --- out -------------------------------------------------------------------------------------------------------------------------- */

static void put_str(struct slx_buf *b, const void *p, size_t n)
{
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

void slx_backup_record_encode(const struct slx_backup_record *r, struct slx_buf *b)
{
	static const uint8_t head[HEAD_SIZE];
	const silex_backup_info *i = &r->info;
	slx_buf_put(b, head, sizeof head);
	put_str(b, i->id, strlen(i->id));
	slx_buf_u64(b, (uint64_t)i->time_ms);
	slx_buf_u64(b, (uint64_t)i->took_ms);
	slx_buf_u8(b, i->full);
	put_str(b, i->host, strlen(i->host));
	slx_buf_put(b, r->log_uuid, sizeof r->log_uuid);
	const uint64_t numbers[] = { r->checkpoint, r->version, i->points, i->bytes, i->new_blocks, i->new_bytes };
	for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
		slx_buf_u64(b, numbers[k]);
	slx_buf_u32(b, (uint32_t)r->n_blocks);
	for (size_t k = 0; k < r->n_blocks; k++) {
		put_str(b, r->blocks[k].name, strlen(r->blocks[k].name));
		slx_buf_u64(b, r->blocks[k].size);
		slx_buf_u64(b, r->blocks[k].hash.lo);
		slx_buf_u64(b, r->blocks[k].hash.hi);
	}
	slx_buf_u32(b, (uint32_t)r->n_docs);
	for (size_t k = 0; k < r->n_docs; k++) {
		put_str(b, r->docs[k].key, strlen(r->docs[k].key));
		put_str(b, r->docs[k].p, r->docs[k].n);
	}
	if (b->failed)
		return;
	memcpy(b->p, magic, sizeof magic);
	slx_store16(b->p + 8, SLX_BACKUP_FORMAT);
	slx_store64(b->p + 16, b->n - HEAD_SIZE);
	slx_store32(b->p + 12, slx_crc32c(slx_crc32c(0, b->p, 12), b->p + 16, b->n - 16));
}

/* --- in --------------------------------------------------------------------------------------------------------------------------- */

/* A name of at least one byte and at most size - 1, without a 0. */
static void get_name(struct slx_rd *r, char *to, size_t size, bool may_be_empty)
{
	size_t n = slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	if (!p || n >= size || (n == 0 && !may_be_empty) || (n && memchr(p, 0, n))) {
		r->bad = true;
		return;
	}
	memcpy(to, p, n);
	to[n] = 0;
}

static silex_status get_blocks(struct slx_rd *r, struct slx_backup_record *to, silex_error *err)
{
	uint32_t n = slx_rd_u32(r);
	if (r->bad || n > slx_rd_left(r) / 25)
		return slx_err(err, SILEX_CORRUPT, "number of blocks does not fit its size");
	to->blocks = n ? slx_calloc(to->mem, SLX_MEM_OTHER, n * sizeof *to->blocks) : NULL;
	if (n && !to->blocks)
		return slx_err_oom(err);
	to->n_blocks = n;
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct slx_backup_block *b = &to->blocks[i];
		get_name(r, b->name, sizeof b->name, false);
		b->size = slx_rd_u64(r);
		b->hash.lo = slx_rd_u64(r);
		b->hash.hi = slx_rd_u64(r);
		r->bad |= i && strcmp(to->blocks[i - 1].name, b->name) >= 0;
	}
	return r->bad ? slx_err(err, SILEX_CORRUPT, "the list of blocks is cut short or not in order") : SILEX_OK;
}

static silex_status get_docs(struct slx_rd *r, struct slx_backup_record *to, silex_error *err)
{
	uint32_t n = slx_rd_u32(r);
	if (r->bad || n > slx_rd_left(r) / 2)
		return slx_err(err, SILEX_CORRUPT, "number of documents does not fit its size");
	to->docs = n ? slx_calloc(to->mem, SLX_MEM_OTHER, n * sizeof *to->docs) : NULL;
	if (n && !to->docs)
		return slx_err_oom(err);
	to->n_docs = n;
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct slx_image_doc *d = &to->docs[i];
		get_name(r, d->key, sizeof d->key, false);
		size_t size = slx_rd_varint(r);
		const uint8_t *p = slx_rd_bytes(r, size);
		if (!p)
			break;
		d->p = slx_alloc(to->mem, SLX_MEM_OTHER, size);
		if (!d->p)
			return slx_err_oom(err);
		memcpy(d->p, p, size);
		d->n = size;
	}
	return r->bad || n == 0 ? slx_err(err, SILEX_CORRUPT, "the documents of the database are cut short or missing") : SILEX_OK;
}

static silex_status get_all(struct slx_rd *r, struct slx_backup_record *to, silex_error *err)
{
	silex_backup_info *i = &to->info;
	get_name(r, i->id, sizeof i->id, false);
	i->time_ms = (int64_t)slx_rd_u64(r);
	i->took_ms = (int64_t)slx_rd_u64(r);
	i->full = slx_rd_u8(r);
	get_name(r, i->host, sizeof i->host, true);
	const uint8_t *uuid = slx_rd_bytes(r, sizeof to->log_uuid);
	if (uuid)
		memcpy(to->log_uuid, uuid, sizeof to->log_uuid);
	uint64_t *numbers[] = { &to->checkpoint, &to->version, &i->points, &i->bytes, &i->new_blocks, &i->new_bytes };
	for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
		*numbers[k] = slx_rd_u64(r);
	SLX_TRY(get_blocks(r, to, err));
	SLX_TRY(get_docs(r, to, err));
	i->blocks = to->n_blocks;
	return slx_rd_left(r) ? slx_err(err, SILEX_CORRUPT, "%zu bytes are left over", slx_rd_left(r)) : SILEX_OK;
}

silex_status slx_backup_record_decode(struct slx_mem *m, const uint8_t *p, size_t n, struct slx_backup_record *ret, silex_error *err)
{
	struct slx_backup_record to = { .mem = m };
	if (n < HEAD_SIZE || memcmp(p, magic, sizeof magic) != 0)
		return slx_err(err, SILEX_CORRUPT, "offset 0: not the manifest of a backup");
	if (slx_load16(p + 8) > SLX_BACKUP_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "backup of format %u, this release reads up to %d: use a newer silex", slx_load16(p + 8), SLX_BACKUP_FORMAT);
	if (slx_load64(p + 16) != n - HEAD_SIZE || slx_crc32c(slx_crc32c(0, p, 12), p + 16, n - 16) != slx_load32(p + 12))
		return slx_err(err, SILEX_CORRUPT, "offset 12: the checksum or the length does not fit");
	struct slx_rd r = slx_rd_init(p + HEAD_SIZE, n - HEAD_SIZE);
	silex_status st = get_all(&r, &to, err);
	if (st == SILEX_OK)
		*ret = to;
	else
		slx_backup_record_free(&to);
	return st;
}

/* --- objects ------------------------------------------------------------------------------------------------------------------------ */

silex_status slx_backup_record_put(struct slx_place *p, struct slx_store *s, const struct slx_backup_record *r, silex_error *err)
{
	struct slx_buf b;
	char name[SLX_BACKUP_ID_SIZE + sizeof SLX_RECORD_PREFIX];
	snprintf(name, sizeof name, SLX_RECORD_PREFIX "%s", r->info.id);
	slx_buf_init(&b, p->mem, SLX_MEM_OTHER, SLX_BACKUP_RECORD_MAX);
	slx_backup_record_encode(r, &b);
	silex_status st = b.failed ? slx_err_oom(err) : slx_object_put(s, name, b.p, b.n, err);
	slx_buf_free(&b);
	return st;
}

silex_status slx_backup_record_get(struct slx_place *p, struct slx_store *s, const char *object, struct slx_backup_record *ret, silex_error *err)
{
	uint8_t *bytes = NULL;
	size_t n = 0;
	silex_error own = { 0 };
	silex_status st = slx_object_get(p, s, object, SLX_BACKUP_RECORD_MAX, &bytes, &n, &own);
	if (st == SILEX_OK)
		st = slx_backup_record_decode(p->mem, bytes, n, ret, &own);
	slx_free(p->mem, SLX_MEM_OTHER, bytes, n);
	return st == SILEX_OK ? st : slx_err(err, st, "%s: %s", object, own.message);
}
