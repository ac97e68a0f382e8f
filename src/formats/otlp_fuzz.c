/* OTLP from strangers: the first byte chooses the encoding. */
#include "formats/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_otlp_request q;
	if (size == 0)
		return 0;
	slx_mem_init(&mem, NULL);
	slx_arena_init(&arena, &mem, SLX_MEM_OTHER, 1 << 16);
	struct slx_str body = { (const char *)data + 1, size - 1 };
	(data[0] & 1 ? slx_otlp_decode_json : slx_otlp_decode_protobuf)(&arena, 4 << 20, body, &q, NULL);
	slx_arena_clear(&arena);
	return 0;
}
