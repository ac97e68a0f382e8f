#include "base/hash.h"
#include "codec/codec_fuzz_int.h"

/* The checksum of the input is made right, so that the rest is reached. */
static void decompress_any(const uint8_t *data, size_t size)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static double v[SLX_CHUNK_MAX];
	size_t n;
	silex_compressed_info info;
	uint8_t *copy = malloc(size + 4);
	fuzz_check(copy);
	memcpy(copy, data, size);
	silex_decompress(copy, size, NULL, ts, v, SLX_CHUNK_MAX, &n, NULL);
	slx_store32(copy + size, slx_crc32c(0, copy, size));
	silex_compressed_info_read(copy, size + 4, &info, NULL);
	silex_decompress(copy, size + 4, NULL, ts, v, SLX_CHUNK_MAX, &n, NULL);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "auto", "raw", "gorilla", "sx", "cold" };
	static int64_t ts[SLX_CHUNK_MAX], ts_back[SLX_CHUNK_MAX];
	static double v[SLX_CHUNK_MAX], v_back[SLX_CHUNK_MAX];
	static uint8_t out[17 * SLX_CHUNK_MAX + 256];
	decompress_any(data, size);
	if (size < 3)
		return 0;
	size_t nv = fuzz_values(data + 1, size - 1, SLX_CHUNK_MAX, v), nt = fuzz_ints(data + 1, size - 1, SLX_CHUNK_MAX, ts);
	size_t n = nv < nt ? nv : nt, len, back;
	silex_compress_options o;
	silex_compress_options_init(&o);
	o.codec = names[data[0] % 5];
	fuzz_check(silex_compress(ts, v, n, &o, out, silex_compress_bound(n), &len, NULL) == SILEX_OK);
	fuzz_check(silex_decompress(out, len, NULL, ts_back, v_back, n, &back, NULL) == SILEX_OK && back == n);
	fuzz_check(memcmp(v, v_back, n * 8) == 0 && memcmp(ts, ts_back, n * 8) == 0);
	return 0;
}
