/* Foreign bytes as a stub; input: u8 how, then bytes. how 0: the bytes as they are; else behind an envelope that fits. */
#include "storage/tsdb/block_int.h"
#include "storage/tsdb/far.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct slx_mem *m, const uint8_t *p, size_t n)
{
	struct slx_stub t = { 0 };
	if (slx_stub_decode(p, n, "b-0.stub", m, &t, NULL) == SILEX_OK && (t.tail_at > t.size || (uint64_t)t.n * SLX_FAR_SEGMENT < t.size))
		abort();
	slx_stub_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	slx_mem_init(&mem, NULL);
	if (size == 0)
		return 0;
	if (data[0] == 0) {
		decode(&mem, data + 1, size - 1);
		return 0;
	}
	size_t n = SLX_ENVELOPE_SIZE + size - 1;
	uint8_t *p = malloc(n);
	if (!p)
		return 0;
	memcpy(p + SLX_ENVELOPE_SIZE, data + 1, size - 1);
	struct slx_envelope e = { .length = (uint32_t)(size - 1), .kind = 1 };
	slx_envelope_encode(&e, slx_crc32c(0, data + 1, size - 1), p);
	decode(&mem, p, n);
	free(p);
	return 0;
}
