/* Regular expressions: RE2's language, translated to PCRE2 and analysed (private to model/). */
#ifndef SLX_MODEL_REGEX_H
#define SLX_MODEL_REGEX_H

#include "base/arena.h"
#include "model/matcher.h"

/* What an expression that must match a whole value comes down to; fields as in struct slx_matcher. */
struct slx_regex_shape {
	enum slx_match_form form;
	bool more;
	struct slx_str *literals;
	size_t literals_n;
};

/* Checks `pattern` (valid UTF-8) against RE2's syntax, appends the PCRE2 pattern of the same meaning to ret_pcre, and
 * says its shape (memory from the arena). captures: groups and their names are kept. INVALID gives the column. */
silex_status slx_regex_read(struct slx_str pattern, bool captures, struct slx_arena *arena, struct slx_buf *ret_pcre,
	struct slx_regex_shape *ret, silex_error *err);

#endif
