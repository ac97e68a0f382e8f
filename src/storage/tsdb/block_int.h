/* Shared by the files block_*.c: the bytes of a block, and the structs behind its handles.
 *
 *     offset 0           header page
 *                        sections: payload pages, index pages; tenants ascending; nothing between them
 *     directory offset   directory pages
 *     end - FOOTER_SIZE  footer page
 *
 * Page: envelope with seq = offset of the page in the file and version = first 8 bytes of the block's random id, so that
 * a page that strayed from elsewhere is known. A stream (index, directory) is cut into pages of SLX_PAGE_DATA bytes but
 * the last; it is a sequence of parts: varint tag, varint size, bytes. Tags are listed below; a reader refuses an odd tag
 * it does not know and skips an even one.
 *
 * Payload pages: chunks in order. A chunk that does not fit in what is left of a page (SLX_PAGE_DATA) begins a new one; a
 * chunk larger than that fills pages one after the other, and what follows goes on behind its end. So the places of all
 * chunks and the sizes of all pages follow from the sizes of the chunks (struct slx_packing). */
#ifndef SLX_TSDB_BLOCK_INT_H
#define SLX_TSDB_BLOCK_INT_H

#include "base/envelope.h"
#include "storage/tsdb/block.h"

#include <stdatomic.h>

#define SLX_BLOCK_MAGIC "SLXBLOCK"

enum {
	SLX_BLOCK_FORMAT = 0,
	/* Room for nonce and tag is left, so that an encrypted page has the size of a plain one at most. */
	SLX_PAGE_DATA = 65536 - SLX_ENVELOPE_SIZE - SLX_ENVELOPE_NONCE - SLX_ENVELOPE_TAG,
	SLX_BLOCK_HEADER_SIZE = SLX_ENVELOPE_SIZE + 8 + 4 + 16,    /* magic, format, id */
	SLX_BLOCK_FOOTER_SIZE = SLX_ENVELOPE_SIZE + 8 + 4 + 8 + 8, /* magic, format, offset and size of the directory */
	SLX_BLOCK_TAIL_READ = 65536,
	SLX_BLOCK_STREAM_MAX = 1 << 30,
	SLX_SECTION_CHUNKS_MAX = 1 << 22,
	SLX_CHUNK_SIZE_MAX = 1 << 24, /* bytes of one chunk */
};

enum slx_page_kind { SLX_PAGE_HEADER = 1, SLX_PAGE_PAYLOAD, SLX_PAGE_INDEX, SLX_PAGE_DIRECTORY, SLX_PAGE_FOOTER };
enum slx_directory_part { SLX_DIRECTORY_INFO = 1, SLX_DIRECTORY_SECTIONS = 3 };
enum slx_index_part { SLX_INDEX_LABELS = 1, SLX_INDEX_SERIES = 3, SLX_INDEX_CHUNKS = 5 };

/* Columns of SLX_INDEX_CHUNKS, in this order, each varint size, bytes (block_column.h). */
#define SLX_CHUNK_INT_COLUMNS(X)                                                                           \
	X(SAMPLES) /* n */                                                                                     \
	X(SIZE)    /* bytes */                                                                                 \
	X(GAP)     /* tmin less the tmax of the series' chunk before; of its first: less the section's tmin */ \
	X(SPAN)    /* tmax - tmin */                                                                           \
	X(KIND)                                                                                                \
	X(CODEC)                                                                                               \
	X(FLAGS)                                                                                               \
	X(NANS) /* n - stats.count */                                                                          \
	X(RESETS)
#define SLX_CHUNK_DOUBLE_COLUMNS(X) X(FIRST) X(LAST) X(MIN) X(MAX) X(SUM) X(COMP) X(INCREASE)

enum slx_chunk_column {
#define SLX_COLUMN_ENUM(name) SLX_COLUMN_##name,
	SLX_CHUNK_INT_COLUMNS(SLX_COLUMN_ENUM) SLX_CHUNK_DOUBLE_COLUMNS(SLX_COLUMN_ENUM)
#undef SLX_COLUMN_ENUM
		SLX_COLUMNS
};

/* Bytes in the file of a stream of so many bytes. */
static inline uint64_t slx_stream_file_size(uint64_t size)
{
	return size + (size + SLX_PAGE_DATA - 1) / SLX_PAGE_DATA * SLX_ENVELOPE_SIZE;
}

/* The placing of chunks in payload pages. Zero-initialised: before the first chunk. */
struct slx_packing {
	uint32_t page; /* number of the page being filled */
	uint32_t used; /* bytes in it */
};

/* Where the next chunk goes. True: the page before it is closed first. */
static inline bool slx_packing_begin(struct slx_packing *k, uint64_t size)
{
	if (k->used == 0 || k->used + size <= SLX_PAGE_DATA)
		return false;
	k->page++;
	k->used = 0;
	return true;
}

/* ---- reading ---- */

/* A section in the directory. */
struct slx_block_entry {
	uint64_t offset;       /* of its first payload page */
	uint64_t payload_size; /* bytes in the file, envelopes included; its index follows */
	int64_t tmin, tmax;
	uint32_t index_size; /* bytes of the index stream */
	uint32_t series, chunks;
	uint64_t points;
	uint32_t name; /* tenant: offset in names */
	uint32_t key_id;
	uint8_t name_size;
};

struct slx_block {
	_Atomic unsigned refs;
	struct slx_store *store;
	struct slx_cache *cache;
	struct slx_mem *mem;
	uint64_t object;    /* in the cache */
	uint64_t id;        /* first 8 bytes of the random id */
	uint64_t directory; /* offset */
	struct slx_block_info info;
	struct slx_block_entry *entries; /* info.sections */
	struct slx_buf names;
};

struct slx_section {
	struct slx_block *block;               /* each slx_section_open holds a reference */
	_Atomic(struct slx_cache_entry *) pin; /* every opener stores the same */
	uint32_t number, series;
	struct slx_labelindex *labels;
	uint8_t *label_bytes; /* the index stream up to the end of its first part */
	size_t label_bytes_size;
	struct slx_section_columns columns; /* into `block_of_columns` */
	const struct slx_hash128 *ids;
	const uint32_t *first; /* chunk; one more than series */
	const uint32_t *size;
	const uint32_t *resets;
	const uint8_t *codec;
	const uint64_t *place; /* of a chunk: page << 16 | offset in it */
	void *columns_memory;
	size_t columns_size;
	uint64_t *page_at; /* offset in the file; one more than pages */
	uint32_t pages;
};

/* One page of exactly `size` data bytes at `offset`, envelope included, into buf. Checks everything. */
silex_status slx_block_read_page(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, size_t size, uint8_t *buf, silex_error *err);

/* A stream of `size` bytes whose first page lies at `offset`: *ret, of slx_stream_file_size(size) bytes allocated as
 * SLX_MEM_CACHE, begins with it. */
silex_status slx_block_read_stream(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, uint64_t size, uint8_t **ret, silex_error *err);

/* The same from pages already read: checks them and moves the data together to the front of buf. */
silex_status slx_block_join_stream(
	struct slx_block *b, uint64_t offset, enum slx_page_kind kind, uint64_t size, uint8_t *buf, silex_error *err);

/* The next part of a stream; false at its end or when it is cut short (rd->bad). */
bool slx_part_next(struct slx_rd *rd, uint64_t *ret_tag, struct slx_rd *ret_part);

/* Fills b->info, entries and names from a directory stream. For slx_block_open and its fuzzer. */
silex_status slx_block_parse_directory(struct slx_block *b, const uint8_t *p, size_t n, silex_error *err);

/* Builds a section from its index stream, which lies in a buffer of `cap` bytes (SLX_MEM_CACHE) that the section takes
 * over, also when it fails. For slx_section_open and its fuzzer. */
silex_status slx_section_parse(
	struct slx_block *b, size_t number, uint8_t *stream, size_t cap, struct slx_section **ret, silex_error *err);
void slx_section_free(struct slx_section *s);

#endif
