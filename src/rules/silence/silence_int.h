/* Inside of rules/silence: the bytes of the two notes (bytes.c). */
#ifndef SLX_RULES_SILENCE_INT_H
#define SLX_RULES_SILENCE_INT_H

#include "rules/silence/silence.h"

void slx_silence_encode(const struct slx_silence *x, struct slx_buf *out);
void slx_ack_encode(const struct slx_ack *x, struct slx_buf *out);
/* Strings point into the bytes; tenant, id and fingerprint are not touched. CORRUPT names the offset. */
silex_status slx_silence_decode(struct slx_str bytes, struct slx_silence *ret, silex_error *err);
silex_status slx_ack_decode(struct slx_str bytes, struct slx_ack *ret, silex_error *err);

#endif
