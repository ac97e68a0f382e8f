/* Rewriting by regular expression, as label_replace and relabelling do it: the expression (RE2's language) must match the whole
 * value; the replacement is Go's template: $1, ${1}, $name, ${name}, $$ for a dollar; a group that is not there is empty.
 * Immutable after it is made: any number of threads. */
#ifndef SLX_MODEL_REWRITE_H
#define SLX_MODEL_REWRITE_H

#include "model/labels.h"

struct slx_rewrite;

/* Copies the expression. INVALID: as for a matcher. */
silex_status slx_rewrite_new(struct slx_mem *m, struct slx_str expression, struct slx_rewrite **ret, silex_error *err);
void slx_rewrite_free(struct slx_rewrite *r); /* NULL is fine */

/* *ret_matched says whether value matches; then the template, filled in, is appended to out (which may be NULL: only test).
 * RESOURCE_EXHAUSTED when the match limit is hit. */
silex_status slx_rewrite_apply(struct slx_rewrite *r, struct slx_str value, struct slx_str replacement, struct slx_buf *out, bool *ret_matched,
	silex_error *err);

/* The same for expressions that may match anywhere in a text, as Go's regexp package runs them (a dot is no newline). */
silex_status slx_rewrite_new_search(struct slx_mem *m, struct slx_str expression, struct slx_rewrite **ret, silex_error *err);
silex_status slx_rewrite_find(struct slx_rewrite *r, struct slx_str text, bool *ret_found, silex_error *err);
/* Appends the text with each match replaced by the template, filled in. */
silex_status slx_rewrite_all(struct slx_rewrite *r, struct slx_str text, struct slx_str replacement, struct slx_buf *out, silex_error *err);

#endif
