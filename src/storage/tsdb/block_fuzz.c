/* Foreign bytes as a block's directory or as the index of its first section, behind checksums that fit.
 * Input: u8 what (0: the whole file, 1: a directory, else a section), then for a section series u16, chunks u16, payload
 * size u32, span u64; then the bytes. */
#include "storage/tsdb/block_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct slx_section *s)
{
	for (uint32_t i = 0; i < slx_section_series(s); i++) {
		uint32_t first, n;
		struct slx_chunk_meta meta;
		slx_section_chunks(s, i, &first, &n);
		for (uint32_t k = first; k < first + n; k++) {
			slx_section_meta(s, k, &meta);
			if (meta.tmin > meta.tmax || meta.stats.count > meta.n || s->place[k] >> 16 >= s->pages)
				abort();
		}
	}
}

static void fuzz_section(struct slx_block *b, struct slx_rd rd)
{
	struct slx_block_entry *e = slx_calloc(b->mem, SLX_MEM_CACHE, sizeof *e);
	e->offset = SLX_BLOCK_HEADER_SIZE;
	e->series = 1 + slx_rd_u16(&rd) % SLX_SECTION_SERIES_MAX;
	e->chunks = e->series + slx_rd_u16(&rd);
	e->payload_size = slx_rd_u32(&rd);
	e->tmin = 1000;
	e->tmax = (int64_t)(1000 + slx_rd_u64(&rd) % SLX_TIME_MAX / 2);
	e->index_size = (uint32_t)slx_rd_left(&rd);
	b->entries = e;
	b->info.sections = 1;
	uint8_t *stream = slx_alloc(b->mem, SLX_MEM_CACHE, e->index_size);
	if (e->index_size)
		memcpy(stream, rd.p, e->index_size);
	struct slx_section *s;
	if (slx_section_parse(b, 0, stream, e->index_size, &s, NULL) == SILEX_OK) {
		read_all(s);
		slx_section_free(s);
	}
}

static void fuzz_file(struct slx_block *b, const uint8_t *p, size_t n)
{
	struct slx_store_writer *w;
	struct slx_block *opened;
	if (slx_store_begin(b->store, "x", &w, NULL) != SILEX_OK)
		return;
	slx_store_append(w, p, n, NULL);
	slx_store_commit(w, NULL);
	if (slx_block_open(b->store, "x", b->cache, b->mem, &opened, NULL) != SILEX_OK)
		return;
	for (size_t i = 0; i < slx_block_info(opened)->sections; i++) {
		struct slx_section *s;
		if (slx_section_open(opened, i, &s, NULL) != SILEX_OK)
			continue;
		struct slx_payload payload;
		if (slx_section_load(s, 0, &payload, NULL) == SILEX_OK)
			slx_payload_release(&payload);
		slx_section_close(s);
	}
	slx_block_unref(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_cache *cache;
	struct slx_store *store;
	slx_mem_init(&mem, NULL);
	if (slx_cache_new(&mem, 1 << 20, &cache, NULL) != SILEX_OK || slx_store_open_memory(&mem, &store, NULL) != SILEX_OK)
		abort();
	struct slx_block *b = slx_calloc(&mem, SLX_MEM_CACHE, sizeof *b);
	b->refs = 1;
	b->store = store;
	b->cache = cache;
	b->mem = &mem;
	b->directory = UINT32_MAX;
	slx_buf_init(&b->names, &mem, SLX_MEM_CACHE, 1 << 24);
	struct slx_rd rd = slx_rd_init(data, size);
	uint8_t what = slx_rd_u8(&rd);
	if (what == 0)
		fuzz_file(b, rd.p, slx_rd_left(&rd));
	else if (what == 1)
		slx_block_parse_directory(b, rd.p, slx_rd_left(&rd), NULL);
	else
		fuzz_section(b, rd);
	slx_block_unref(b);
	slx_cache_free(cache);
	slx_store_close(store);
	if (slx_mem_total(&mem) != 0)
		abort();
	return 0;
}
