/* The first byte chooses between Prometheus text and OpenMetrics. */
#include "formats/fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status make(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	const void *arg, struct slx_decoder **ret)
{
	return slx_decoder_exposition(m, arg, limits, sink, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_exposition_options o = { .openmetrics = size > 0 && data[0] & 1 };
	if (size > 0)
		fuzz_decode(make, &o, data + 1, size - 1);
	return 0;
}
