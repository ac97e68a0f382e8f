/* Any bytes as the file of a document. */
#include "storage/meta/meta_int.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t version = 0;
	if (slx_meta_decode("fuzz", data, size, &version, NULL) != SILEX_OK)
		return 0;
	uint8_t header[SLX_META_HEADER_SIZE];
	slx_meta_encode(data + SLX_META_HEADER_SIZE, size - SLX_META_HEADER_SIZE, version, header);
	if (version == 0 || (memcmp(header, data, 10) != 0 || memcmp(header + 16, data + 16, 16) != 0))
		abort(); /* what decodes is what would be written */
	return 0;
}
