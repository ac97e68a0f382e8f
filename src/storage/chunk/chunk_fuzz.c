/* Foreign chunk bytes behind a foreign header: kind, codec, n, tmin, tmax, then the chunk. */
#include "storage/chunk/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status ignore(void *arg, uint64_t k, const struct slx_agg *agg, uint64_t n, silex_error *err)
{
	return SILEX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	struct slx_rd rd = slx_rd_init(data, size);
	struct slx_chunk_meta meta = { .kind = slx_rd_u8(&rd), .codec = slx_rd_u8(&rd), .n = slx_rd_u16(&rd) };
	meta.tmin = (int64_t)slx_rd_u64(&rd);
	meta.tmax = (int64_t)slx_rd_u64(&rd);
	meta.size = (uint32_t)slx_rd_left(&rd);
	struct slx_codec_choice choice = { .codec = -1 };
	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	struct slx_chunk_work *work;
	if (slx_chunk_work_new(&mem, SLX_MEM_OTHER, &work, NULL) != SILEX_OK)
		return 0;
	struct slx_buf values;
	slx_buf_init(&values, &mem, SLX_MEM_OTHER, SIZE_MAX);
	size_t n;
	char text[64];
	struct slx_time_range middle = { meta.tmin / 2 + meta.tmax / 4, meta.tmax };
	if (slx_chunk_decode(work, &choice, &meta, rd.p, SLX_TIME_ALL, ts, bits, &values, &n, NULL) == SILEX_OK)
		slx_chunk_check(work, &choice, &meta, rd.p, NULL);
	slx_chunk_decode(work, &choice, &meta, rd.p, middle, ts, bits, &values, &n, NULL);
	uint64_t step = slx_time_legal(meta.tmin) && meta.tmax > meta.tmin ? ((uint64_t)meta.tmax - (uint64_t)meta.tmin) / 7 + 1 : 0;
	slx_chunk_aggregate(work, &choice, &meta, rd.p, SLX_TIME_ALL, meta.tmin, step, ignore, NULL, NULL);
	slx_chunk_aggregate(work, &choice, &meta, rd.p, middle, SLX_TIME_MIN, 0, ignore, NULL, NULL);
	slx_chunk_describe(work, &choice, &meta, rd.p, text, sizeof text);
	slx_buf_free(&values);
	slx_chunk_work_free(work);
	return 0;
}
