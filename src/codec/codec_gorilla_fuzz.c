#include "codec/codec_fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static double v[SLX_CHUNK_MAX], v_back[SLX_CHUNK_MAX];
	static int64_t ts[SLX_CHUNK_MAX], ts_back[SLX_CHUNK_MAX];
	static uint8_t out[20 * SLX_CHUNK_MAX + 64];
	size_t n = fuzz_count(&data, &size, SLX_CHUNK_MAX);
	if (n == 0)
		return 0;
	slx_gorilla_chunk_decode(data, size, ts_back, v_back, n, NULL);
	slx_gorilla_decode(data, size, v_back, n, NULL);
	slx_gorilla_ts_decode(data, size, ts_back, n, NULL);
	size_t nv = fuzz_values(data, size, SLX_CHUNK_MAX, v), nt = fuzz_ints(data, size, SLX_CHUNK_MAX, ts);
	n = nv < nt ? nv : nt;
	if (n == 0)
		return 0;
	size_t len = slx_gorilla_chunk_encode(ts, v, n, out, slx_gorilla_chunk_bound(n));
	fuzz_check(len && slx_gorilla_chunk_decode(out, len, ts_back, v_back, n, NULL) == SILEX_OK);
	fuzz_check(memcmp(v, v_back, n * 8) == 0 && memcmp(ts, ts_back, n * 8) == 0);
	return 0;
}
