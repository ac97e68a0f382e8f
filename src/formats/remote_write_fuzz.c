/* The first byte chooses the version. Everything a request has is read, so that the sanitizers see every byte of it. */
#include "formats/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_series(struct slx_rw *r, const struct slx_rw_series *s, struct slx_arena *a)
{
	struct slx_rw_sample v;
	struct slx_rw_histogram h;
	struct slx_rw_exemplar e;
	struct slx_rw_metadata md;
	const struct slx_label *labels;
	size_t n;
	uint64_t sum = slx_hash64(s->key.p, s->key.n) + (slx_rw_labels(r, s, &labels, &n, NULL) == SILEX_OK);
	struct slx_pb at = slx_pb_of(s->parts);
	while (slx_rw_next_sample(r, &at, &v))
		sum += slx_f64_bits(v.v) + (uint64_t)v.t;
	for (at = slx_pb_of(s->parts); slx_rw_next_histogram(r, &at, a, &h); slx_arena_clear(a))
		sum += !h.fault && slx_histogram_check(&h.h, NULL) == SILEX_OK;
	for (at = slx_pb_of(s->parts); slx_rw_next_exemplar(r, &at, &e);)
		sum += e.labels_n;
	return sum + (s->metadata.p && slx_rw_series_metadata(r, s, &md) ? md.help.n : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_rw r;
	struct slx_rw_series s;
	struct slx_rw_metadata md;
	static volatile uint64_t sink;
	slx_mem_init(&mem, NULL);
	if (size == 0 || slx_rw_open(&r, &mem, data[0] & 1 ? SLX_RW_2 : SLX_RW_1, data + 1, size - 1, NULL) != SILEX_OK)
		return 0;
	slx_arena_init(&arena, &mem, SLX_MEM_OTHER, 1 << 16);
	for (enum slx_rw_item item = SLX_RW_SERIES; item == SLX_RW_SERIES || item == SLX_RW_METADATA;)
		if ((item = slx_rw_next(&r, &s, &md)) == SLX_RW_SERIES && (!s.guess || slx_rw_look(&r, &s)))
			sink += read_series(&r, &s, &arena);
	slx_arena_clear(&arena);
	slx_rw_close(&r);
	return 0;
}
