#include "codec/codec_fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int64_t ts[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[9 * SLX_CHUNK_MAX + 64];
	struct slx_ts_info info;
	size_t n = fuzz_count(&data, &size, SLX_CHUNK_MAX);
	if (n == 0)
		return 0;
	if (slx_ts_decode(data, size, back, n, NULL) == SILEX_OK) {
		fuzz_check(slx_ts_peek(data, size, n, &info, NULL) == SILEX_OK && info.first == back[0]);
		size_t again = slx_ts_encode(back, n, out, slx_ts_bound(n));
		fuzz_check(again && slx_ts_decode(out, again, ts, n, NULL) == SILEX_OK && memcmp(ts, back, n * 8) == 0);
	}
	n = fuzz_ints(data, size, SLX_CHUNK_MAX, ts);
	if (n == 0)
		return 0;
	size_t len = slx_ts_encode(ts, n, out, slx_ts_bound(n));
	fuzz_check(len && slx_ts_decode(out, len, back, n, NULL) == SILEX_OK && memcmp(ts, back, n * 8) == 0);
	return 0;
}
