/* Any bytes as the manifest of a backup: what decodes encodes to the same. The checksum is set right, so that what lies behind it is
 * reached. */
#include "backup/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_backup_record r;
	struct slx_buf again;
	slx_mem_init(&mem, NULL);
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (size >= 24)
		slx_store32(copy + 12, slx_crc32c(slx_crc32c(0, copy, 12), copy + 16, size - 16));
	slx_buf_init(&again, &mem, SLX_MEM_OTHER, SLX_BACKUP_RECORD_MAX);
	if (slx_backup_record_decode(&mem, copy, size, &r, NULL) == SILEX_OK) {
		struct slx_backup_record second;
		slx_backup_record_encode(&r, &again);
		if (again.failed || slx_backup_record_decode(&mem, again.p, again.n, &second, NULL) != SILEX_OK || second.n_blocks != r.n_blocks ||
			second.version != r.version || strcmp(second.info.id, r.info.id) != 0)
			abort();
		slx_backup_record_free(&second);
		slx_backup_record_free(&r);
	}
	slx_buf_free(&again);
	if (slx_mem_total(&mem) != 0)
		abort();
	free(copy);
	return 0;
}
