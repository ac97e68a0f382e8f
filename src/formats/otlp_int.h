/* What both decoders of OTLP share. */
#ifndef SLX_FORMATS_OTLP_INT_H
#define SLX_FORMATS_OTLP_INT_H

#include "formats/otlp.h"

enum { SLX_OTLP_DEPTH_MAX = 32 };

struct slx_otlp_decoder {
	struct slx_arena *arena;
	size_t memory_max;
	const uint8_t *begin; /* of the body, for offsets */
	silex_status status;
	silex_error error;
};

/* n zeroed elements of the arena; NULL (and d->status) when there is no room. n 0: NULL, status untouched. */
void *slx_otlp_array(struct slx_otlp_decoder *d, size_t n, size_t each);
struct slx_str slx_otlp_copy(struct slx_otlp_decoder *d, const void *p, size_t n);
struct slx_str slx_otlp_hex(struct slx_otlp_decoder *d, struct slx_str bytes);
/* Copies what an slx_buf holds. */
struct slx_str slx_otlp_text(struct slx_otlp_decoder *d, const struct slx_buf *b);
/* "text" as JSON. */
void slx_otlp_put_json_string(struct slx_buf *b, struct slx_str s);
void slx_otlp_put_base64(struct slx_buf *b, struct slx_str s);

#endif
