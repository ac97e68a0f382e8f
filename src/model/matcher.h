/* Matchers: conditions on one label, `name{host="a", path=~"/api/.*", code!="200"}`.
 *
 * Semantics are Prometheus': a missing label has the empty value; a regular expression must match the whole value, `.`
 * matches newline too; all matchers of a selector must hold.
 *
 * Expressions are RE2's language (no back-references, no look-around, no possessive forms), run by PCRE2 under a match
 * limit. Most expressions people write are something simpler in disguise; `form` says what, so that an index may look
 * values up instead of running the expression over all of them:
 *
 *     host-1|host-2    SET {host-1, host-2}         /api/.*   PREFIX "/api/"        .*\.eu   SUFFIX ".eu"
 *     web(1|2)[ab]     SET of 4                      /api/.+   PREFIX, `more`        .*err.*  CONTAINS "err"
 *     .*  ANY          .+  NONEMPTY                  host-\d+  REGEX, prefix "host-"
 *
 * A matcher is immutable after it is made: any number of threads may test values with it. */
#ifndef SLX_MODEL_MATCHER_H
#define SLX_MODEL_MATCHER_H

#include "model/labels.h"

enum slx_match_op {
	SLX_MATCH_EQ,  /* =  */
	SLX_MATCH_NE,  /* != */
	SLX_MATCH_RE,  /* =~ */
	SLX_MATCH_NRE, /* !~ */
};

enum slx_match_form {
	SLX_FORM_SET,      /* one of `literals`, sorted, unique; at least one */
	SLX_FORM_PREFIX,   /* literals[0], then anything (`more`: at least one byte) */
	SLX_FORM_SUFFIX,   /* anything (`more`: at least one byte), then literals[0] */
	SLX_FORM_CONTAINS, /* literals[0] somewhere */
	SLX_FORM_ANY,      /* every value, the empty one too */
	SLX_FORM_NONEMPTY, /* every value but the empty one */
	SLX_FORM_REGEX,    /* ask slx_matcher_test; values start with literals[0] (maybe empty) */
};

enum {
	SLX_PATTERN_SIZE_MAX = 65536,    /* bytes of an expression; longer is INVALID */
	SLX_MATCH_SET_MAX = 64,          /* strings that products such as (a|b)[cd] expand to; beyond it is REGEX */
	SLX_PATTERN_LITERALS_MAX = 8192, /* members of a plain a|b|c */
};

struct slx_matcher {
	struct slx_str name;
	struct slx_str value; /* as written */
	enum slx_match_op op;

	/* What the positive sense accepts (= for !=, =~ for !~); `negated` turns it round. */
	bool negated;
	bool more;
	enum slx_match_form form;
	struct slx_str *literals;
	size_t literals_n;

	bool matches_empty; /* a series without the label matches (negation counted in) */

	struct slx_matcher_impl *impl;
};

/* Copies both strings. INVALID: empty name, bad UTF-8, an expression that does not compile or is outside RE2's language
 * (with its column). */
silex_status slx_matcher_new(struct slx_mem *m, enum slx_match_op op, struct slx_str name, struct slx_str value,
	struct slx_matcher **ret, silex_error *err);
void slx_matcher_free(struct slx_matcher *x); /* NULL is fine */

/* Does a series with this value of the label match (negation counted in)? RESOURCE_EXHAUSTED, naming the expression,
 * when the match limit is hit or memory is out. */
silex_status slx_matcher_test(const struct slx_matcher *x, struct slx_str value, bool *ret, silex_error *err);

/* Do all n matchers hold for the set? n 0: true. */
silex_status slx_matchers_test(
	struct slx_matcher *const *x, size_t n, struct slx_labels l, bool *ret, silex_error *err);

/* ---- selectors ---- */

struct slx_selector {
	struct slx_mem *mem;
	struct slx_matcher **matchers;
	size_t n, cap;
};

enum { SLX_SELECTOR_MATCHERS_MAX = 256 };

/* Reads `name{a="b", c=~"d.*", "odd name"!='x'}`; `name`, `{...}`, `{"my.metric", a="b"}`, blanks and a trailing comma
 * are accepted, quotes are "..", '..' (escapes as in Go: \n \t \\ \" \x41 \u00e9 ...) or `..` (raw). `{}` selects
 * everything; so does blank text. INVALID gives the column, from 1, in bytes. */
silex_status slx_selector_parse(struct slx_mem *m, struct slx_str text, struct slx_selector *ret, silex_error *err);
void slx_selector_free(struct slx_selector *s); /* a zeroed one is fine */

/* Appends the selector in canonical text. */
void slx_selector_format(const struct slx_selector *s, struct slx_buf *out);

#endif
