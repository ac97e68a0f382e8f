/* Opening a block: footer, directory, tenants. Sections are in block_section.c, verify and inspect in block_verify.c.
 *
 * The last SLX_BLOCK_TAIL_READ bytes are read at once; the footer at their end says where the directory begins, which is
 * read again only if it begins before them. Everything is checked here, so that the rest of the code trusts entries:
 * sections lie one behind the other from the header to the directory, tenants ascend, sums equal the info's. */
#include "storage/tsdb/block_int.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- pages and streams ---- */

static silex_status check_page(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, size_t size, const uint8_t *p, silex_error *err)
{
	static const char *const names[] = { "", "header", "payload", "index", "directory", "footer" };
	struct slx_envelope e;
	const uint8_t *data;
	const char *wrong = NULL;
	if (!slx_envelope_decode(p, SLX_ENVELOPE_SIZE + size, size, &e, &data))
		wrong = "its checksum differs";
	else if (e.kind != kind || e.length != size)
		wrong = "it is not the page that belongs here";
	else if (e.seq != offset || (b->id && e.version != b->id))
		wrong = "it is a page of another place or block";
	if (wrong)
		return slx_err(err, SILEX_CORRUPT, "block %s: %s page of %zu bytes at offset %" PRIu64 " is damaged: %s",
			b->info.name, names[kind], size, offset, wrong);
	if (e.format > SLX_BLOCK_FORMAT || e.codec || e.flags)
		return slx_err(err, SILEX_UNSUPPORTED,
			"block %s: page of format %u (codec %u, flags %u) at offset %" PRIu64
			"; this version reads up to %d (codec 0, flags 0)",
			b->info.name, e.format, e.codec, e.flags, offset, SLX_BLOCK_FORMAT);
	if (e.key_id)
		return slx_err(err, SILEX_UNSUPPORTED,
			"block %s: page at offset %" PRIu64 " is encrypted with key %u, which this version cannot read",
			b->info.name, offset, e.key_id);
	return SILEX_OK;
}

silex_status slx_block_read_page(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, size_t size, uint8_t *buf, silex_error *err)
{
	SLX_TRY(slx_store_get_range(b->store, b->info.name, offset, SLX_ENVELOPE_SIZE + size, buf, err));
	return check_page(b, offset, kind, size, buf, err);
}

silex_status slx_block_join_stream(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, uint64_t size, uint8_t *buf, silex_error *err)
{
	const uint8_t *page = buf;
	for (uint64_t at = 0; at < size; at += SLX_PAGE_DATA) {
		size_t n = size - at < SLX_PAGE_DATA ? (size_t)(size - at) : SLX_PAGE_DATA;
		SLX_TRY(check_page(b, offset + (uint64_t)(page - buf), kind, n, page, err));
		memmove(buf + at, page + SLX_ENVELOPE_SIZE, n);
		page += SLX_ENVELOPE_SIZE + n;
	}
	return SILEX_OK;
}

silex_status slx_block_read_stream(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, uint64_t size, uint8_t **ret, silex_error *err)
{
	size_t stored = slx_stream_file_size(size);
	uint8_t *buf = slx_alloc(b->mem, SLX_MEM_CACHE, stored);
	if (!buf)
		return slx_err_oom(err);
	silex_status st = slx_store_get_range(b->store, b->info.name, offset, stored, buf, err);
	if (st == SILEX_OK)
		st = slx_block_join_stream(b, offset, kind, size, buf, err);
	if (st != SILEX_OK) {
		slx_free(b->mem, SLX_MEM_CACHE, buf, stored);
		return st;
	}
	*ret = buf;
	return SILEX_OK;
}

bool slx_part_next(struct slx_rd *rd, uint64_t *ret_tag, struct slx_rd *ret_part)
{
	if (rd->bad || rd->p == rd->end)
		return false;
	*ret_tag = slx_rd_varint(rd);
	uint64_t size = slx_rd_varint(rd);
	const uint8_t *p = slx_rd_bytes(rd, size);
	if (p)
		*ret_part = slx_rd_init(p, size);
	return p != NULL;
}

/* ---- directory ---- */

static silex_status damaged_directory(struct slx_block *b, const char *what, silex_error *err)
{
	return slx_err(
		err, SILEX_CORRUPT, "block %s: directory at offset %" PRIu64 ": %s", b->info.name, b->directory, what);
}

static silex_status parse_info(struct slx_block *b, struct slx_rd rd, silex_error *err)
{
	struct slx_block_info *f = &b->info;
	uint64_t level = slx_rd_varint(&rd);
	f->level = (uint32_t)level;
	f->window_start = slx_unzigzag(slx_rd_varint(&rd));
	f->tmin = slx_unzigzag(slx_rd_varint(&rd));
	f->tmax = slx_unzigzag(slx_rd_varint(&rd));
	uint64_t *const fields[] = { &f->vmin, &f->vmax, &f->floor, &f->points, &f->chunks, &f->series, &f->sections };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		*fields[i] = slx_rd_varint(&rd);
	if (rd.bad || rd.p != rd.end || level > UINT32_MAX || f->tmin > f->tmax || !slx_time_legal(f->tmin) ||
		!slx_time_legal(f->tmax))
		return damaged_directory(b, "the block's description is not well formed", err);
	return SILEX_OK;
}

/* Reads the tenant of a line into tenant/size, given that of the line before. *ret_same: it is the same. */
static bool parse_tenant(struct slx_rd *rd, char tenant[SLX_TENANT_STORED_MAX], uint8_t *size, bool *ret_same)
{
	uint64_t shared = slx_rd_varint(rd), more = slx_rd_varint(rd);
	const uint8_t *p = slx_rd_bytes(rd, more);
	if (!p || shared > *size || more > SLX_TENANT_STORED_MAX - shared)
		return false;
	*ret_same = more == 0 && shared == *size && *size;
	char before[SLX_TENANT_STORED_MAX];
	struct slx_str was = { before, *size };
	memcpy(before, tenant, *size);
	memcpy(tenant + shared, p, more);
	*size = (uint8_t)(shared + more);
	struct slx_str is = { tenant, *size };
	return *ret_same || (slx_tenant_check_stored(is, NULL) == SILEX_OK && slx_str_cmp(was, is) < 0);
}

struct sums {
	uint64_t points, chunks, series;
};

/* One line into *e; e holds the line before. */
static bool parse_line(struct slx_rd *rd, struct slx_block_entry *e, struct sums *sums)
{
	uint64_t key = slx_rd_varint(rd), payload = slx_rd_varint(rd), index = slx_rd_varint(rd);
	e->tmin = (int64_t)((uint64_t)e->tmin + (uint64_t)slx_unzigzag(slx_rd_varint(rd)));
	e->tmax = (int64_t)((uint64_t)e->tmax + (uint64_t)slx_unzigzag(slx_rd_varint(rd)));
	uint64_t series = slx_rd_varint(rd), chunks = slx_rd_varint(rd), points = slx_rd_varint(rd);
	if (rd->bad || key > UINT32_MAX || index < 1 || index > SLX_BLOCK_STREAM_MAX)
		return false;
	if (series < 1 || series > SLX_SECTION_SERIES_MAX || chunks < series || chunks > SLX_SECTION_CHUNKS_MAX ||
		points < chunks || points / SLX_CHUNK_MAX > chunks)
		return false;
	e->offset += e->payload_size + slx_stream_file_size(e->index_size);
	e->key_id = (uint32_t)key;
	e->payload_size = payload;
	e->index_size = (uint32_t)index;
	e->series = (uint32_t)series;
	e->chunks = (uint32_t)chunks;
	e->points = points;
	*sums = (struct sums){ sums->points + points, sums->chunks + chunks, sums->series + series };
	return true;
}

static silex_status parse_sections(struct slx_block *b, struct slx_rd rd, silex_error *err)
{
	enum { LINE_MIN = 10 };
	struct slx_block_info *f = &b->info;
	if (f->sections < 1 || f->sections > slx_rd_left(&rd) / LINE_MIN)
		return damaged_directory(b, "more sections than fit in it", err);
	b->entries = slx_calloc(b->mem, SLX_MEM_CACHE, f->sections * sizeof *b->entries);
	if (!b->entries)
		return slx_err_oom(err);
	struct slx_block_entry e = { .offset = SLX_BLOCK_HEADER_SIZE };
	struct sums sums = { 0 };
	char tenant[SLX_TENANT_STORED_MAX];
	for (uint64_t i = 0; i < f->sections; i++) {
		bool same;
		if (!parse_tenant(&rd, tenant, &e.name_size, &same))
			return damaged_directory(b, "a tenant's name is illegal or out of order", err);
		if (!same) {
			e.name = (uint32_t)b->names.n;
			slx_buf_put(&b->names, tenant, e.name_size);
		}
		if (!parse_line(&rd, &e, &sums))
			return damaged_directory(b, "a section's line is not well formed", err);
		if (e.tmin > e.tmax || e.tmin < f->tmin || e.tmax > f->tmax)
			return damaged_directory(b, "a section lies outside the block's times", err);
		if (e.offset > b->directory || e.payload_size > b->directory - e.offset)
			return damaged_directory(b, "a section lies outside the file", err);
		b->entries[i] = e;
	}
	if (b->names.failed)
		return slx_err_oom(err);
	if (rd.p != rd.end || e.offset + e.payload_size + slx_stream_file_size(e.index_size) != b->directory)
		return damaged_directory(b, "the sections do not end where it begins", err);
	if (sums.points != f->points || sums.chunks != f->chunks || sums.series != f->series)
		return damaged_directory(b, "its sums differ from the block's description", err);
	return SILEX_OK;
}

silex_status slx_block_parse_directory(struct slx_block *b, const uint8_t *p, size_t n, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(p, n), part, info = { 0 }, sections = { 0 };
	uint64_t tag;
	while (slx_part_next(&rd, &tag, &part)) {
		if (tag == SLX_DIRECTORY_INFO)
			info = part;
		else if (tag == SLX_DIRECTORY_SECTIONS)
			sections = part;
		else if (tag % 2)
			return slx_err(err, SILEX_UNSUPPORTED,
				"block %s: directory part %" PRIu64 " is of a newer version than format %d", b->info.name, tag,
				SLX_BLOCK_FORMAT);
	}
	if (rd.bad || !info.p || !sections.p)
		return damaged_directory(b, "a part is cut short or missing", err);
	SLX_TRY(parse_info(b, info, err));
	return parse_sections(b, sections, err);
}

/* ---- open and close ---- */

/* Reads the footer out of the last `n` bytes of the file; *ret_stream is the size of the directory's stream. */
static silex_status read_footer(
	struct slx_block *b, const uint8_t *tail, size_t n, uint64_t *ret_stream, silex_error *err)
{
	uint64_t offset = b->info.size - SLX_BLOCK_FOOTER_SIZE;
	const uint8_t *p = tail + n - SLX_BLOCK_FOOTER_SIZE;
	SLX_TRY(check_page(b, offset, SLX_PAGE_FOOTER, SLX_BLOCK_FOOTER_SIZE - SLX_ENVELOPE_SIZE, p, err));
	b->id = slx_envelope_peek(p).version;
	p += SLX_ENVELOPE_SIZE;
	if (memcmp(p, SLX_BLOCK_MAGIC, 8) != 0)
		return slx_err(err, SILEX_CORRUPT, "block %s: not a block: no magic at offset %" PRIu64, b->info.name,
			offset + SLX_ENVELOPE_SIZE);
	uint32_t format = slx_load32(p + 8);
	if (format > SLX_BLOCK_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "block %s has format %u; this version reads up to %d", b->info.name,
			format, SLX_BLOCK_FORMAT);
	b->directory = slx_load64(p + 12);
	*ret_stream = slx_load64(p + 20);
	if (*ret_stream < 1 || *ret_stream > SLX_BLOCK_STREAM_MAX || b->directory < SLX_BLOCK_HEADER_SIZE ||
		b->directory > offset || offset - b->directory != slx_stream_file_size(*ret_stream))
		return slx_err(err, SILEX_CORRUPT, "block %s: footer places its directory outside the file", b->info.name);
	return SILEX_OK;
}

static silex_status read_tail(struct slx_block *b, uint8_t *tail, size_t n, silex_error *err)
{
	uint64_t stream = 0;
	SLX_TRY(slx_store_get_range(b->store, b->info.name, b->info.size - n, n, tail, err));
	SLX_TRY(read_footer(b, tail, n, &stream, err));
	if (b->directory >= b->info.size - n) {
		uint8_t *p = tail + (b->directory - (b->info.size - n));
		SLX_TRY(slx_block_join_stream(b, b->directory, SLX_PAGE_DIRECTORY, stream, p, err));
		return slx_block_parse_directory(b, p, stream, err);
	}
	uint8_t *p;
	SLX_TRY(slx_block_read_stream(b, b->directory, SLX_PAGE_DIRECTORY, stream, &p, err));
	silex_status st = slx_block_parse_directory(b, p, stream, err);
	slx_free(b->mem, SLX_MEM_CACHE, p, slx_stream_file_size(stream));
	return st;
}

/* tail_at beyond the end: the usual tail. */
silex_status slx_block_open_tail(struct slx_store *store, const char *name, uint64_t tail_at, struct slx_cache *cache, struct slx_mem *m,
	struct slx_block **ret, silex_error *err)
{
	struct slx_block *b = slx_calloc(m, SLX_MEM_CACHE, sizeof *b);
	if (!b)
		return slx_err_oom(err);
	b->refs = 1;
	b->store = store;
	b->cache = cache;
	b->mem = m;
	b->object = slx_cache_object(cache);
	slx_buf_init(&b->names, m, SLX_MEM_CACHE, SLX_BLOCK_STREAM_MAX);
	snprintf(b->info.name, sizeof b->info.name, "%s", name);
	uint8_t *tail = NULL;
	size_t n = 0;
	silex_status st = slx_store_size(store, name, &b->info.size, err);
	if (st == SILEX_OK && b->info.size < SLX_BLOCK_HEADER_SIZE + SLX_BLOCK_FOOTER_SIZE)
		st = slx_err(err, SILEX_CORRUPT, "block %s has only %" PRIu64 " bytes: it is cut short", name, b->info.size);
	if (st == SILEX_OK) {
		n = tail_at <= b->info.size - SLX_BLOCK_FOOTER_SIZE   ? (size_t)(b->info.size - tail_at)
			: b->info.size < SLX_BLOCK_TAIL_READ ? (size_t)b->info.size
												  : SLX_BLOCK_TAIL_READ;
		tail = slx_alloc(m, SLX_MEM_CACHE, n);
		st = tail ? read_tail(b, tail, n, err) : slx_err_oom(err);
	}
	slx_free(m, SLX_MEM_CACHE, tail, n);
	if (st != SILEX_OK) {
		slx_block_unref(b);
		return st;
	}
	*ret = b;
	return SILEX_OK;
}

silex_status slx_block_open(struct slx_store *store, const char *name, struct slx_cache *cache, struct slx_mem *m,
	struct slx_block **ret, silex_error *err)
{
	return slx_block_open_tail(store, name, UINT64_MAX, cache, m, ret, err);
}

struct slx_block *slx_block_ref(struct slx_block *b)
{
	b->refs++;
	return b;
}

void slx_block_unref(struct slx_block *b)
{
	if (!b || --b->refs)
		return;
	slx_cache_drop_object(b->cache, b->object);
	slx_free(b->mem, SLX_MEM_CACHE, b->entries, b->info.sections * sizeof *b->entries);
	slx_buf_free(&b->names);
	slx_free(b->mem, SLX_MEM_CACHE, b, sizeof *b);
}

const struct slx_block_info *slx_block_info(const struct slx_block *b) { return &b->info; }

/* ---- tenants ---- */

struct slx_str slx_block_section_tenant(const struct slx_block *b, size_t section)
{
	const struct slx_block_entry *e = &b->entries[section];
	return (struct slx_str){ (const char *)b->names.p + e->name, e->name_size };
}

uint64_t slx_block_section_points(const struct slx_block *b, size_t section) { return b->entries[section].points; }

struct slx_time_range slx_block_section_range(const struct slx_block *b, size_t section)
{
	return (struct slx_time_range){ b->entries[section].tmin, b->entries[section].tmax };
}

/* The first section whose tenant is not less than `tenant` (or, with `after`, is greater). */
static size_t find_tenant(const struct slx_block *b, struct slx_str tenant, bool after)
{
	size_t lo = 0, hi = b->info.sections;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (slx_str_cmp(slx_block_section_tenant(b, mid), tenant) < (after ? 1 : 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void slx_block_tenant(const struct slx_block *b, struct slx_str tenant, size_t *ret_first, size_t *ret_n)
{
	*ret_first = find_tenant(b, tenant, false);
	*ret_n = find_tenant(b, tenant, true) - *ret_first;
}
