/* Any bytes: silences and acknowledgements that decode encode to the same bytes. */
#include "rules/silence/silence_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct slx_buf *b, const uint8_t *data, size_t size)
{
	if (b->failed || (b->n == size ? memcmp(b->p, data, size) != 0 : b->n > size)) /* a varint may be longer than it must be */
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_buf b;
	struct slx_silence silence = { 0 };
	struct slx_ack ack = { 0 };
	struct slx_str bytes = { (const char *)data, size };
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (slx_silence_decode(bytes, &silence, NULL) == SILEX_OK) {
		slx_silence_encode(&silence, &b);
		same(&b, data, size);
	}
	slx_buf_reset(&b);
	if (slx_ack_decode(bytes, &ack, NULL) == SILEX_OK) {
		slx_ack_encode(&ack, &b);
		same(&b, data, size);
	}
	slx_buf_free(&b);
	return 0;
}
