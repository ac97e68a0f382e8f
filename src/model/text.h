/* The text form that label sets and selectors share (private to model/). */
#ifndef SLX_MODEL_TEXT_H
#define SLX_MODEL_TEXT_H

#include "model/matcher.h"

/* One condition of a selector. Strings point into the text or into the scratch buffer. */
struct slx_text_item {
	struct slx_str name, value;
	enum slx_match_op op;
	size_t column; /* of its first byte, from 1 */
};

/* Walks over `name{a="b", "c"=~'d'}` and calls item for each condition, the metric name as `__name__` = name. Unescaped
 * strings go to scratch, which is grown once, before the first call. equal_only: refuse !=, =~ and !~. */
silex_status slx_text_walk(struct slx_str text, struct slx_buf *scratch, bool equal_only,
	silex_status (*item)(void *ctx, const struct slx_text_item *it, silex_error *err), void *ctx, silex_error *err);

bool slx_text_is_name(struct slx_str s, bool colon); /* [a-zA-Z_][a-zA-Z0-9_]*, with colons if so */

/* Appends "s" with \ " and newline escaped. */
void slx_text_quote(struct slx_str s, struct slx_buf *out);

/* Appends a label name, quoted when it has to be. */
void slx_text_name(struct slx_str s, struct slx_buf *out);

/* Appends the code point as UTF-8; p has room for 4 bytes. Returns the end. */
char *slx_text_put_utf8(char *p, uint32_t c);

#endif
