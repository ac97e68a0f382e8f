/* A compiled expression: PCRE2 with its memory in an slx_mem and its matching under limits (private to model/). */
#ifndef SLX_MODEL_PCRE_H
#define SLX_MODEL_PCRE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "base/status.h"
#include "model/labels.h"

struct slx_pcre {
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_code *code;
	/* Match data waiting for the next match. A thread takes it by exchange, so two never share it; the loser of a race
	 * makes its own and frees it. */
	_Atomic(pcre2_match_data *) spare;
};

/* pattern: PCRE2's, as slx_regex_read writes it; it must match whole subjects, unless it may match `anywhere`. source: as people wrote it, for messages. */
silex_status slx_pcre_compile(struct slx_mem *m, const struct slx_buf *pattern, struct slx_str source, bool captures, bool anywhere,
	struct slx_pcre *ret, silex_error *err);
void slx_pcre_free(struct slx_pcre *p); /* a zeroed one is fine; also after a failed compile */

/* Match data for slx_pcre_match, given back by slx_pcre_give. NULL without memory. */
pcre2_match_data *slx_pcre_take(struct slx_pcre *p);
void slx_pcre_give(struct slx_pcre *p, pcre2_match_data *data);
/* At least 0: matched; PCRE2_ERROR_NOMATCH; else a limit was hit or memory is out. */
int slx_pcre_match(const struct slx_pcre *p, struct slx_str subject, size_t from, pcre2_match_data *data); /* looks at subject from there on */

#endif
