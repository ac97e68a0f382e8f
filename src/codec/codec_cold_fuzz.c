#include "codec/codec_fuzz_int.h"

static double v[SLX_CHUNK_MAX], back[SLX_VECTOR_MAX];
static int64_t ints[SLX_CHUNK_MAX], ints_back[SLX_VECTOR_MAX];
static uint8_t out[24 * SLX_CHUNK_MAX];
static uint16_t lens[SLX_CHUNK_MAX];

static size_t cut(size_t n, size_t part)
{
	size_t parts = 0;
	for (size_t at = 0; at < n; at += part)
		lens[parts++] = (uint16_t)(n - at < part ? n - at : part);
	return parts;
}

static void read_all(struct slx_cold_reader *r, const uint8_t *data, size_t size, size_t parts)
{
	struct slx_agg agg;
	if (slx_cold_open(r, data, size, lens, parts, NULL) != SILEX_OK)
		return;
	slx_cold_scale(r);
	slx_cold_method_name(r);
	for (size_t k = 0; k < parts; k++) {
		slx_cold_decode(r, k, back, NULL);
		slx_cold_decode_i64(r, k, ints_back, NULL);
		slx_cold_aggregate(r, k, &agg, NULL);
	}
}

static void round_trip(struct slx_cold_writer *w, struct slx_cold_reader *r, size_t n, size_t parts, enum slx_wrap wrap)
{
	size_t len = slx_cold_encode(w, v, lens, parts, SLX_SCALE_NONE, wrap, out, slx_cold_bound(n, parts));
	fuzz_check(len && slx_cold_open(r, out, len, lens, parts, NULL) == SILEX_OK);
	for (size_t k = 0, at = 0; k < parts; at += lens[k++]) {
		struct slx_agg agg;
		struct slx_stats s;
		fuzz_check(slx_cold_decode(r, k, back, NULL) == SILEX_OK && memcmp(v + at, back, lens[k] * 8u) == 0);
		slx_stats(back, lens[k], &s);
		fuzz_check(slx_cold_aggregate(r, k, &agg, NULL) == SILEX_OK);
		fuzz_check(agg.count == s.count && agg.min == s.min && agg.max == s.max);
	}
}

static void round_trip_i64(struct slx_cold_writer *w, struct slx_cold_reader *r, size_t n, size_t parts, enum slx_wrap wrap)
{
	size_t len = slx_cold_encode_i64(w, ints, lens, parts, wrap, out, slx_cold_bound(n, parts));
	fuzz_check(len && slx_cold_open(r, out, len, lens, parts, NULL) == SILEX_OK);
	for (size_t k = 0, at = 0; k < parts; at += lens[k++])
		fuzz_check(slx_cold_decode_i64(r, k, ints_back, NULL) == SILEX_OK && memcmp(ints + at, ints_back, lens[k] * 8u) == 0);
}

/* The work spaces live as long as the process and hold pointers: on the heap, where the leak checker looks, not mapped. */
static void *heap_alloc(void *ctx, size_t n) { return malloc(n); }
static void *heap_realloc(void *ctx, void *p, size_t old_size, size_t n) { return realloc(p, n); }
static void heap_free(void *ctx, void *p, size_t n) { free(p); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct slx_mem mem;
	static struct slx_cold_writer *w;
	static struct slx_cold_reader *r;
	if (!w) {
		slx_mem_init(&mem, &(silex_allocator){ NULL, heap_alloc, heap_realloc, heap_free });
		w = slx_cold_writer_new(&mem, SLX_MEM_OTHER);
		r = slx_cold_reader_new(&mem, SLX_MEM_OTHER);
		fuzz_check(w && r);
	}
	size_t n = fuzz_count(&data, &size, SLX_CHUNK_MAX);
	if (n == 0)
		return 0;
	size_t part = n % 5 ? SLX_VECTOR_MAX : 1 + n % 60;
	size_t parts = cut(n, part);
	if (parts <= SLX_PARTS_MAX)
		read_all(r, data, size, parts);
	part = part < 3 ? 3 : part;
	n = fuzz_values(data, size, SLX_CHUNK_MAX, v);
	if (n)
		round_trip(w, r, n, cut(n, part), (enum slx_wrap)(data[0] % 3));
	n = fuzz_ints(data, size, SLX_CHUNK_MAX, ints);
	if (n)
		round_trip_i64(w, r, n, cut(n, part), (enum slx_wrap)(data[0] % 3));
	return 0;
}
