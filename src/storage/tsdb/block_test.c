#include "storage/tsdb/block_fixture.h"

#include <pthread.h>

static struct slx_block *open_block(struct fixture *f, const char *name)
{
	struct slx_block *b;
	OK(slx_block_open(f->store, name, f->cache, &f->mem, &b, err));
	return b;
}

static void expect_clean(struct fixture *f, struct slx_block *b)
{
	int faults = 0;
	uint64_t pages, points;
	OK(slx_block_verify(b, &f->codecs, print_line, &faults, &pages, &points, err));
	assert_int_equal(faults, 0);
	assert_int_equal(points, slx_block_info(b)->points);
	assert_true(pages >= 4);
}

/* The whole object, and an object of given bytes. */
static uint8_t *take_bytes(struct fixture *f, const char *name, size_t n)
{
	uint8_t *p = malloc(n);
	OK(slx_store_get_range(f->store, name, 0, n, p, err));
	return p;
}

static void put_bytes(struct fixture *f, const char *name, const uint8_t *p, size_t n)
{
	struct slx_store_writer *w;
	slx_store_remove(f->store, name, NULL);
	OK(slx_store_begin(f->store, name, &w, err));
	OK(slx_store_append(w, p, n, err));
	OK(slx_store_commit(w, err));
}

static void test_random_blocks(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct fixture f;
		fixture_begin(&f, seed);
		size_t n = 1 + below(&f, 200);
		struct model_series *s = model_new(&f, n, 1 + below(&f, 6), 1 + below(&f, 1000));
		struct slx_block_info info = model_write(&f, s, n);
		struct slx_block *b = open_block(&f, info.name);
		assert_memory_equal(slx_block_info(b), &info, sizeof info);
		assert_int_equal(info.level, 2);
		assert_int_equal(info.window_start, -7);
		assert_int_equal(info.vmin, 3);
		assert_int_equal(info.vmax, 99);
		assert_int_equal(info.floor, 42);
		assert_int_equal(info.series, n);
		OK(model_try_check(&f, b, s, n, err));
		slx_cache_set_limit(f.cache, 0); /* the same when nothing stays in the cache */
		OK(model_try_check(&f, b, s, n, err));
		expect_clean(&f, b);
		slx_block_unref(b);
		assert_int_equal(slx_cache_bytes(f.cache), 0);
		model_free(s, n);
		fixture_end(&f);
	}
}

static void test_tenants_and_columns(void **state)
{
	struct fixture f;
	fixture_begin(&f, 99);
	struct model_series *s = model_new(&f, 100, 7, 50);
	struct slx_block_info info = model_write(&f, s, 100);
	struct slx_block *b = open_block(&f, info.name);
	size_t first, n, next = 0;
	for (size_t t = 0; t < 7; t++) {
		char name[20];
		snprintf(name, sizeof name, "tenant-%02zu", t);
		slx_block_tenant(b, slx_str(name), &first, &n);
		assert_int_equal(first, next);
		assert_int_equal(n, 1);
		next++;
	}
	slx_block_tenant(b, SLX_STR("tenant-0"), &first, &n);
	assert_int_equal(n, 0);
	slx_block_tenant(b, SLX_STR("zzz"), &first, &n);
	assert_int_equal(n, 0);
	struct slx_section *x, *again;
	OK(slx_section_open(b, 3, &x, err));
	OK(slx_section_open(b, 3, &again, err));
	assert_ptr_equal(x, again);
	slx_section_close(again);
	assert_ptr_equal(slx_section_block(x), b);
	struct slx_section_columns c;
	slx_section_columns(x, &c);
	for (uint32_t k = 0; k < c.n; k++) {
		struct slx_chunk_meta m;
		slx_section_meta(x, k, &m);
		assert_int_equal(c.tmin[k], m.tmin);
		assert_int_equal(c.samples[k], m.n);
		assert_int_equal(c.count[k], m.stats.count);
		assert_true(slx_range_has(slx_block_section_range(b, 3), m.tmin));
		assert_true(slx_range_has(slx_block_section_range(b, 3), m.tmax));
	}
	struct slx_block *kept = slx_block_ref(b);
	slx_block_unref(b);
	slx_section_close(x);
	slx_block_unref(kept);
	model_free(s, 100);
	fixture_end(&f);
}

static void test_sections_are_cut(void **state)
{
	enum { N = 2 * SLX_SECTION_SERIES_MAX + 100 };
	struct fixture f;
	fixture_begin(&f, 4);
	struct model_series *s = calloc(N, sizeof *s);
	for (size_t i = 0; i < N; i++) {
		char text[64];
		snprintf(s[i].tenant, sizeof s[i].tenant, "one");
		snprintf(text, sizeof text, "m{host=\"h%06zu\"}", i);
		model_labels(&s[i], &f.mem, text);
		s[i].n = 1;
		model_chunk(&f, &s[i].chunks[0], SLX_KIND_FLOAT64, 2, 1000);
	}
	struct slx_block_info info = model_write(&f, s, N);
	struct slx_block *b = open_block(&f, info.name);
	size_t first, n;
	slx_block_tenant(b, SLX_STR("one"), &first, &n);
	assert_int_equal(first, 0);
	assert_int_equal(n, 3);
	OK(model_try_check(&f, b, s, N, err));
	slx_block_unref(b);
	model_free(s, N);
	fixture_end(&f);
}

static void test_chunks_larger_than_a_page(void **state)
{
	struct fixture f;
	fixture_begin(&f, 8);
	f.codecs.codec = SLX_CODEC_RAW;
	struct model_series *s = calloc(1, sizeof *s);
	snprintf(s->tenant, sizeof s->tenant, "big");
	model_labels(s, &f.mem, "m");
	static const size_t sizes[] = { 8192, 10, 8192, 8100 };
	int64_t t = 0;
	for (s->n = 0; s->n < 4; s->n++)
		t = model_chunk(&f, &s->chunks[s->n], SLX_KIND_FLOAT64, sizes[s->n], t);
	struct slx_block_info info = model_write(&f, s, 1);
	assert_true(info.size > 3 * 65536);
	struct slx_block *b = open_block(&f, info.name);
	OK(model_try_check(&f, b, s, 1, err));
	expect_clean(&f, b);
	slx_block_unref(b);
	model_free(s, 1);
	fixture_end(&f);
}

static void test_many_tenants_are_small(void **state)
{
	enum { TENANTS = 10000, EACH = 10 };
	struct fixture f;
	fixture_begin(&f, 4);
	struct slx_block_writer *w;
	struct slx_buf out;
	struct model_series s = { 0 };
	struct model_chunk c;
	struct slx_chunk_meta meta;
	struct slx_block_info info;
	slx_buf_init(&out, &f.mem, SLX_MEM_OTHER, 1 << 20);
	OK(slx_block_writer_new(f.store, &f.mem, &f.random, &info, &w, err));
	uint64_t payload = 0;
	for (int t = 0; t < TENANTS; t++) {
		snprintf(s.tenant, sizeof s.tenant, "hospital-%05d", t);
		for (int i = 0; i < EACH; i++) {
			char text[100];
			snprintf(text, sizeof text, "vital_%d{bed=\"%d\",ward=\"icu\",unit=\"mmHg\"}", i, t % 8);
			model_labels(&s, &f.mem, text);
			struct slx_labels l = { s.labels, s.labels_size };
			OK(slx_block_writer_series(w, slx_str(s.tenant), l, slx_series_id(slx_str(s.tenant), l), err));
			model_chunk(&f, &c, SLX_KIND_FLOAT64, 100, 1000);
			slx_buf_reset(&out);
			OK(slx_chunk_encode_cold(f.work, &f.codecs, c.kind, c.ts, c.bits, c.n, &out, &meta, err));
			OK(slx_block_writer_chunk(w, &meta, out.p, err));
			payload += meta.size;
			free(c.ts);
			free(c.bits);
		}
	}
	OK(slx_block_writer_finish(w, &info, err));
	slx_block_writer_free(w);
	int64_t before = slx_mem_total(&f.mem);
	struct slx_block *b = open_block(&f, info.name);
	int64_t held = slx_mem_total(&f.mem) - before;
	print_message("10,000 tenants x 10 series: %.1f MB, of it %.0f bytes a section beside samples; open: %.0f KB\n",
		(double)info.size / 1e6, (double)(info.size - payload) / TENANTS, (double)held / 1e3);
	assert_true(info.size - payload < 20 * 1000 * 1000);
	assert_true(held < 1500000);
	slx_block_unref(b);
	slx_buf_free(&out);
	fixture_end(&f);
}

static void test_overhead_of_a_day(void **state)
{
	struct fixture f;
	fixture_begin(&f, 4);
	struct slx_block_writer *w;
	struct slx_buf out;
	struct model_series *s = calloc(1000, sizeof *s);
	struct slx_chunk_meta meta;
	struct slx_block_info info;
	uint64_t payload = 0;
	slx_buf_init(&out, &f.mem, SLX_MEM_OTHER, 1 << 20);
	OK(slx_block_writer_new(f.store, &f.mem, &f.random, &info, &w, err));
	for (size_t i = 0; i < 1000; i++) { /* TSBS's labels */
		char text[400];
		snprintf(text, sizeof text,
			"cpu_usage_%zu{hostname=\"host_%zu\",region=\"eu-west-%zu\",datacenter=\"eu-west-%zuc\",rack=\"%zu\",os=\"Ubuntu16.04LTS\",arch=\"x86\","
			"team=\"LON\",service=\"%zu\",service_version=\"1\",service_environment=\"test\"}",
			i % 10, i / 10, i / 10 % 3, i / 10 % 3, i / 10 % 83, i / 10 % 17);
		snprintf(s[i].tenant, sizeof s[i].tenant, "default");
		model_labels(&s[i], &f.mem, text);
	}
	qsort(s, 1000, sizeof *s, model_cmp);
	for (size_t i = 0; i < 1000; i++) {
		struct slx_labels l = { s[i].labels, s[i].labels_size };
		OK(slx_block_writer_series(w, slx_str(s[i].tenant), l, slx_series_id(slx_str(s[i].tenant), l), err));
		double v = (double)below(&f, 100);
		for (int half = 0; half < 2; half++) {
			struct model_chunk c = { .n = 4320, .ts = malloc(4320 * 8), .bits = malloc(4320 * 8) };
			for (size_t k = 0; k < c.n; k++) {
				c.ts[k] = (INT64_C(1700006400) + (int64_t)(half * 4320 + k) * 10) * SLX_SECOND;
				v = v < 1 ? 1 : v > 99 ? 99 : v + (double)below(&f, 3) - 1;
				c.bits[k] = slx_f64_bits(v);
			}
			slx_buf_reset(&out);
			OK(slx_chunk_encode_cold(f.work, &f.codecs, SLX_KIND_FLOAT64, c.ts, c.bits, c.n, &out, &meta, err));
			OK(slx_block_writer_chunk(w, &meta, out.p, err));
			payload += meta.size;
			free(c.ts);
			free(c.bits);
		}
	}
	OK(slx_block_writer_finish(w, &info, err));
	slx_block_writer_free(w);
	double overhead = (double)(info.size - payload) / (double)info.points;
	print_message("1,000 series x 8,640 points: payload %.4f, the rest %.4f bytes/point\n",
		(double)payload / (double)info.points, overhead);
	assert_true(overhead < 0.03);
	free(s);
	slx_buf_free(&out);
	fixture_end(&f);
}

/* Two tenants, three series, four chunks, about a thousand bytes. */
static struct model_series *small_model(struct fixture *f)
{
	struct model_series *s = calloc(3, sizeof *s);
	static const char *const labels[] = { "m{host=\"a\"}", "m{host=\"b\"}", "m{host=\"a\"}" };
	for (int i = 0; i < 3; i++) {
		snprintf(s[i].tenant, sizeof s[i].tenant, i < 2 ? "one" : "two");
		model_labels(&s[i], &f->mem, labels[i]);
		s[i].n = 1;
		int64_t t = model_chunk(f, &s[i].chunks[0], (enum slx_kind)i, 20, 1000);
		if (i == 1) {
			s[i].n = 2;
			model_chunk(f, &s[i].chunks[1], SLX_KIND_FLOAT64, 70, t);
		}
	}
	return s;
}

static void test_every_flipped_bit_is_told(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	uint8_t *p = take_bytes(&f, info.name, info.size);
	for (size_t bit = 0; bit < info.size * 8; bit++) {
		struct slx_block *b;
		silex_error why = { 0 };
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		put_bytes(&f, "damaged", p, info.size);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		silex_status st = slx_block_open(f.store, "damaged", f.cache, &f.mem, &b, &why);
		if (st != SILEX_OK) {
			assert_int_equal(st, SILEX_CORRUPT);
			assert_non_null(strstr(why.message, "block damaged"));
			continue;
		}
		int faults = 0;
		uint64_t pages, points;
		OK(slx_block_verify(b, &f.codecs, count_line, &faults, &pages, &points, err));
		if (!faults)
			fail_msg("bit %zu of byte %zu flipped, and nobody noticed", bit % 8, bit / 8);
		slx_block_unref(b);
	}
	free(p);
	model_free(s, 3);
	fixture_end(&f);
}

static void test_every_truncation_is_told(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	uint8_t *p = take_bytes(&f, info.name, info.size);
	for (size_t n = 0; n < info.size; n++) {
		struct slx_block *b;
		silex_error why = { 0 };
		put_bytes(&f, "short", p, n);
		assert_int_equal(slx_block_open(f.store, "short", f.cache, &f.mem, &b, &why), SILEX_CORRUPT);
		assert_non_null(strstr(why.message, "block short"));
	}
	free(p);
	model_free(s, 3);
	fixture_end(&f);
}

/* A damaged payload page of the first tenant, then its index: the second is read on. */
static void test_damage_stays_where_it_is(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	uint8_t *p = take_bytes(&f, info.name, info.size);
	struct slx_block *b = open_block(&f, info.name);
	uint64_t index = b->entries[0].offset + b->entries[0].payload_size;
	slx_block_unref(b);
	for (int round = 0; round < 2; round++) {
		p[round ? index + 40 : SLX_BLOCK_HEADER_SIZE + 40] ^= 4;
		put_bytes(&f, "damaged", p, info.size);
		b = open_block(&f, "damaged");
		struct slx_section *x;
		struct slx_payload payload;
		silex_error why = { 0 };
		silex_status st = slx_section_open(b, 0, &x, &why);
		if (!round) {
			assert_int_equal(st, SILEX_OK);
			st = slx_section_load(x, 0, &payload, &why);
			slx_section_close(x);
		}
		assert_int_equal(st, SILEX_CORRUPT);
		char place[100];
		snprintf(place, sizeof place, "block damaged: %s page", round ? "index" : "payload");
		assert_non_null(strstr(why.message, place));
		snprintf(place, sizeof place, "at offset %zu", (size_t)(round ? index : SLX_BLOCK_HEADER_SIZE));
		assert_non_null(strstr(why.message, place));
		OK(slx_section_open(b, 1, &x, err));
		OK(model_check_chunk(&f, x, 0, &s[2].chunks[0], err));
		slx_section_close(x);
		int faults = 0;
		uint64_t pages, points;
		OK(slx_block_verify(b, &f.codecs, count_line, &faults, &pages, &points, err));
		assert_int_equal(faults, round ? 1 : 3); /* the section; each chunk in the page */
		assert_int_equal(points, 20);
		slx_block_unref(b);
	}
	free(p);
	model_free(s, 3);
	fixture_end(&f);
}

/* Writes the envelope of the page at p anew. */
static void reseal(uint8_t *p)
{
	struct slx_envelope e = slx_envelope_peek(p);
	slx_envelope_encode(&e, slx_crc32c(0, p + SLX_ENVELOPE_SIZE, e.length), p);
}

static void test_newer_versions_are_refused(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	uint8_t *p = take_bytes(&f, info.name, info.size), *footer = p + info.size - SLX_BLOCK_FOOTER_SIZE;
	struct slx_block *b;
	silex_error why = { 0 };
	slx_store32(footer + SLX_ENVELOPE_SIZE + 8, 7);
	reseal(footer);
	put_bytes(&f, "newer", p, info.size);
	assert_int_equal(slx_block_open(f.store, "newer", f.cache, &f.mem, &b, &why), SILEX_UNSUPPORTED);
	assert_non_null(strstr(why.message, "format 7; this version reads up to 0"));
	slx_store32(footer + SLX_ENVELOPE_SIZE + 8, 0);
	for (int at = 5; at <= 8; at++) { /* format, codec, flags, key of the page */
		footer[at] = 2;
		reseal(footer);
		put_bytes(&f, "newer", p, info.size);
		assert_int_equal(slx_block_open(f.store, "newer", f.cache, &f.mem, &b, &why), SILEX_UNSUPPORTED);
		footer[at] = 0;
	}
	free(p);
	model_free(s, 3);
	fixture_end(&f);
}

static void test_unknown_parts(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	struct slx_block *b = open_block(&f, info.name);
	uint64_t size = b->entries[0].index_size;
	for (uint8_t tag = 8; tag <= 9; tag++) { /* even: skipped; odd: refused */
		uint8_t *stream;
		OK(slx_block_read_stream(
			b, b->entries[0].offset + b->entries[0].payload_size, SLX_PAGE_INDEX, size, &stream, err));
		size_t cap = slx_stream_file_size(size);
		assert_true(cap >= size + 5);
		memcpy(stream + size, (uint8_t[]){ tag, 3, 'a', 'b', 'c' }, 5);
		b->entries[0].index_size = (uint32_t)size + 5;
		struct slx_section *x;
		silex_error why = { 0 };
		silex_status st = slx_section_parse(b, 0, stream, cap, &x, &why);
		assert_int_equal(st, tag == 8 ? SILEX_OK : SILEX_UNSUPPORTED);
		if (tag == 8)
			slx_section_free(x);
		else
			assert_non_null(strstr(why.message, "index part 9"));
	}
	slx_block_unref(b);
	model_free(s, 3);
	fixture_end(&f);
}

static void test_writer_refuses(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct slx_block_writer *w;
	struct slx_block_info info = { 0 };
	struct model_series s = { .tenant = "t" };
	struct slx_chunk_meta meta;
	struct slx_buf out;
	int objects = 0;
	slx_buf_init(&out, &f.mem, SLX_MEM_OTHER, 1 << 20);
	OK(slx_chunk_encode_cold(
		f.work, &f.codecs, SLX_KIND_INT64, (int64_t[]){ 5 }, (uint64_t[]){ 5 }, 1, &out, &meta, err));
	model_labels(&s, &f.mem, "m{a=\"b\"}");
	struct slx_labels l = { s.labels, s.labels_size };
	struct slx_hash128 id = { 1, 2 };
	OK(slx_block_writer_new(f.store, &f.mem, &f.random, &info, &w, err));
	assert_int_equal(slx_block_writer_chunk(w, &meta, out.p, NULL), SILEX_INVALID);
	assert_int_equal(slx_block_writer_series(w, SLX_STR("a/b"), l, id, NULL), SILEX_INVALID);
	OK(slx_block_writer_series(w, SLX_STR("t"), l, id, err)); /* leaves no trace without a chunk */
	assert_int_equal(slx_block_writer_finish(w, &info, NULL), SILEX_NOT_FOUND);
	slx_block_writer_free(w);
	OK(slx_store_list(f.store, "", count_line, &objects, err));
	assert_int_equal(objects, 0);

	OK(slx_block_writer_new(f.store, &f.mem, &f.random, &info, &w, err));
	OK(slx_block_writer_series(w, SLX_STR("t"), l, id, err));
	OK(slx_block_writer_series(w, SLX_STR("t"), l, id, err)); /* the one before had no chunk: no disorder */
	OK(slx_block_writer_chunk(w, &meta, out.p, err));
	assert_int_equal(slx_block_writer_chunk(w, &meta, out.p, NULL), SILEX_INVALID);
	assert_int_equal(slx_block_writer_series(w, SLX_STR("t"), l, id, NULL), SILEX_INVALID);
	assert_int_equal(slx_block_writer_series(w, SLX_STR("s"), l, id, NULL), SILEX_INVALID);
	slx_block_writer_free(w); /* aborts */
	OK(slx_store_list(f.store, "", count_line, &objects, err));
	assert_int_equal(objects, 0);
	slx_buf_free(&out);
	fixture_end(&f);
}

/* ---- memory ---- */

struct countdown {
	long left;
};
static void *count_alloc(void *ctx, size_t n) { return ((struct countdown *)ctx)->left-- > 0 ? malloc(n) : NULL; }
static void *count_realloc(void *ctx, void *p, size_t old, size_t n)
{
	return ((struct countdown *)ctx)->left-- > 0 ? realloc(p, n) : NULL;
}
static void count_free(void *ctx, void *p, size_t n) { free(p); }

static void test_out_of_memory_while_writing(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	silex_status st = SILEX_RESOURCE_EXHAUSTED;
	long at = 0;
	for (; st != SILEX_OK; at++) {
		struct countdown count = { at };
		silex_allocator allocator = { &count, count_alloc, count_realloc, count_free };
		struct slx_mem mem;
		struct slx_block_info info;
		int objects = 0;
		slx_mem_init(&mem, &allocator);
		st = model_try_write(&f, &mem, f.work, s, 3, &info, NULL);
		assert_true(st == SILEX_OK || st == SILEX_RESOURCE_EXHAUSTED);
		assert_int_equal(slx_mem_total(&mem), 0);
		OK(slx_store_list(f.store, "", count_line, &objects, err));
		assert_int_equal(objects, st == SILEX_OK);
	}
	assert_true(at > 10);
	model_free(s, 3);
	fixture_end(&f);
}

static void test_out_of_memory_while_reading(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = model_new(&f, 20, 3, 200);
	struct slx_block_info info = model_write(&f, s, 20);
	silex_status st = SILEX_RESOURCE_EXHAUSTED;
	long at = 0;
	for (; st != SILEX_OK; at++) {
		struct countdown count = { at };
		silex_allocator allocator = { &count, count_alloc, count_realloc, count_free };
		struct slx_mem mem;
		struct slx_cache *cache = NULL;
		struct slx_block *b = NULL;
		slx_mem_init(&mem, &allocator);
		st = slx_cache_new(&mem, 1 << 20, &cache, NULL);
		if (st == SILEX_OK)
			st = slx_block_open(f.store, info.name, cache, &mem, &b, NULL);
		if (st == SILEX_OK)
			st = model_try_check(&f, b, s, 20, NULL);
		assert_true(st == SILEX_OK || st == SILEX_RESOURCE_EXHAUSTED);
		slx_block_unref(b);
		slx_cache_free(cache);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
	assert_true(at > 10);
	model_free(s, 20);
	fixture_end(&f);
}

/* ---- threads ---- */

struct reader {
	struct slx_block *b;
	uint64_t rng;
	uint64_t bytes;
};

static void *read_randomly(void *arg)
{
	struct reader *r = arg;
	for (int i = 0; i < 300; i++) {
		struct slx_section *s;
		struct slx_payload p;
		struct slx_section_columns c;
		if (slx_section_open(r->b, slx_rng_next(&r->rng) % slx_block_info(r->b)->sections, &s, NULL) != SILEX_OK)
			return NULL;
		slx_section_columns(s, &c);
		if (slx_section_load(s, (uint32_t)(slx_rng_next(&r->rng) % c.n), &p, NULL) == SILEX_OK) {
			r->bytes += p.bytes[0] != 0;
			slx_payload_release(&p);
		}
		slx_section_close(s);
	}
	return NULL;
}

static void test_many_readers(void **state)
{
	struct fixture f;
	fixture_begin(&f, 17);
	struct model_series *s = model_new(&f, 100, 7, 300);
	struct slx_block_info info = model_write(&f, s, 100);
	slx_cache_set_limit(f.cache, 20000); /* they evict each other's pages */
	struct slx_block *b = open_block(&f, info.name);
	struct reader readers[4];
	pthread_t threads[4];
	for (uint64_t i = 0; i < 4; i++) {
		readers[i] = (struct reader){ .b = slx_block_ref(b), .rng = i };
		pthread_create(&threads[i], NULL, read_randomly, &readers[i]);
	}
	slx_block_unref(b);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].bytes, 300);
		slx_block_unref(readers[i].b);
	}
	model_free(s, 100);
	fixture_end(&f);
}

/* ---- inspect ---- */

struct found {
	const char *words;
	int lines, hits;
};

static bool look(void *arg, const char *line)
{
	struct found *x = arg;
	x->lines++;
	x->hits += strstr(line, x->words) != NULL;
	return true;
}

static void test_inspect(void **state)
{
	struct fixture f;
	fixture_begin(&f, 6);
	struct model_series *s = small_model(&f);
	struct slx_block_info info = model_write(&f, s, 3);
	struct slx_block *b = open_block(&f, info.name);
	static const struct {
		int depth;
		const char *words;
		int lines, hits;
	} cases[] = {
		{ 0, "130 points", 4, 1 },
		{ 1, "section 1: tenant two", 6, 1 },
		{ 2, "m{host=\"a\"}", 6 + 3 + 2 * 4, 2 },
		{ 2, "float64", 6 + 3 + 2 * 4, 2 },
		{ 3, "1970-01-01T", 6 + 3 + 2 * 4 + 130, 1 + 2 + 4 + 130 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct found x = { .words = cases[i].words };
		OK(slx_block_inspect(b, &f.codecs, cases[i].depth, look, &x, err));
		assert_int_equal(x.lines, cases[i].lines);
		assert_int_equal(x.hits, cases[i].hits);
	}
	slx_block_unref(b);
	model_free(s, 3);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_blocks),
		cmocka_unit_test(test_tenants_and_columns),
		cmocka_unit_test(test_sections_are_cut),
		cmocka_unit_test(test_chunks_larger_than_a_page),
		cmocka_unit_test(test_many_tenants_are_small),
		cmocka_unit_test(test_overhead_of_a_day),
		cmocka_unit_test(test_every_flipped_bit_is_told),
		cmocka_unit_test(test_every_truncation_is_told),
		cmocka_unit_test(test_damage_stays_where_it_is),
		cmocka_unit_test(test_newer_versions_are_refused),
		cmocka_unit_test(test_unknown_parts),
		cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_out_of_memory_while_writing),
		cmocka_unit_test(test_out_of_memory_while_reading),
		cmocka_unit_test(test_many_readers),
		cmocka_unit_test(test_inspect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
