/* The header of a WFDB record, parsed. Private to the WFDB decoder. */
#ifndef SLX_FORMATS_WFDB_H
#define SLX_FORMATS_WFDB_H

#include "formats/formats_int.h"

struct slx_wfdb_check {
	bool has_initial, has_checksum;
	int32_t initial;
	int16_t checksum;
};

struct slx_wfdb_header {
	struct slx_arena arena; /* the strings and arrays below */
	const char *record;
	uint64_t rate_n, rate_d; /* frames per second, a fraction in lowest terms */
	uint64_t frames;         /* 0: not given */
	int64_t start;           /* of the first frame */
	uint64_t offset;         /* bytes before the first frame in the signal file */
	uint32_t signals_n;
	struct slx_wfdb_signal *signals;
	struct slx_wfdb_check *checks;
};

silex_status slx_wfdb_header_parse(struct slx_mem *m, const char *p, size_t n, const struct slx_wfdb_options *o,
	uint32_t signals_max, struct slx_wfdb_header *ret, silex_error *err);
void slx_wfdb_header_free(struct slx_wfdb_header *h);

#endif
