#include "formats/fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status make(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	const void *arg, struct slx_decoder **ret)
{
	static const char *const templates[] = { "servers.* .host.metric*", "a..b.metric" };
	struct slx_graphite_options o = { templates, 2 };
	return slx_decoder_graphite(m, &o, limits, sink, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_decode(make, NULL, data, size);
	return 0;
}
