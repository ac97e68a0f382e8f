#include "codec/codec_fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t s[SLX_CHUNK_MAX], back[SLX_CHUNK_MAX];
	static uint8_t out[8 * SLX_CHUNK_MAX + 64];
	size_t n = fuzz_count(&data, &size, SLX_CHUNK_MAX);
	if (n == 0)
		return 0;
	slx_rle_decode(data, size, back, n, NULL);
	for (n = 0; n < size && n < SLX_CHUNK_MAX; n++)
		s[n] = data[n] < 200 ? data[n] % 3 : data[n] * 0x01010101u;
	size_t len = slx_rle_encode(s, n, out, slx_rle_bound(n));
	fuzz_check(len && slx_rle_decode(out, len, back, n, NULL) == SILEX_OK && memcmp(s, back, n * 4) == 0);
	return 0;
}
