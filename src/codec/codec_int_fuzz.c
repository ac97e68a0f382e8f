#include "codec/codec_fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int64_t v[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[16 * SLX_CHUNK_MAX];
	size_t n = fuzz_count(&data, &size, SLX_CHUNK_MAX);
	if (n == 0)
		return 0;
	slx_i64_decode(data, size, back, n, NULL);
	n = fuzz_ints(data, size, SLX_CHUNK_MAX, v);
	if (n == 0)
		return 0;
	size_t len = slx_i64_encode(v, n, out, slx_i64_bound(n));
	fuzz_check(len && slx_i64_decode(out, len, back, n, NULL) == SILEX_OK && memcmp(v, back, n * 8) == 0);
	return 0;
}
