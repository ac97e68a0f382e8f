#include "codec/codec_fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	double v[SLX_VECTOR_MAX], back[SLX_VECTOR_MAX];
	uint8_t out[8 * SLX_VECTOR_MAX + 16];
	struct slx_agg agg;
	struct slx_sx_info info;
	size_t n = fuzz_count(&data, &size, SLX_VECTOR_MAX);
	if (n == 0)
		return 0;
	slx_sx_decode(data, size, back, n, NULL);
	slx_sx_aggregate(data, size, n, &agg, NULL);
	n = fuzz_values(data, size, SLX_VECTOR_MAX, v);
	if (n == 0)
		return 0;
	struct slx_sx_hint hint = { .exp = data[0] % 23, .kind = data[0] % 3, .skip = data[0] & 1 };
	size_t len = slx_sx_encode(v, n, &hint, data[0] % 24 - 1, out, slx_sx_bound(n));
	fuzz_check(len && slx_sx_decode(out, len, back, n, NULL) == SILEX_OK && memcmp(v, back, n * 8) == 0);
	fuzz_check(slx_sx_peek(out, len, n, &info, NULL) == SILEX_OK);
	struct slx_stats s;
	slx_stats(v, n, &s);
	fuzz_check(slx_sx_aggregate(out, len, n, &agg, NULL) == SILEX_OK);
	fuzz_check(agg.count == s.count && agg.min == s.min && agg.max == s.max);
	return 0;
}
