/* A checked pull scanner for JSON (RFC 8259): the caller asks for what it expects, value by value.
 *
 *     slx_json_object(&j);
 *     while (slx_json_key(&j, &key))
 *             ... slx_json_string(&j, &s) / slx_json_number(&j, &digits) / slx_json_skip(&j) ...
 *     slx_json_end(&j);
 *
 * After an error every call fails and j.bad says where, j.expected what. Strings without escapes point into the input;
 * others are written to j.text. Nesting beyond SLX_JSON_DEPTH_MAX is an error, so the stack is safe. */
#ifndef SLX_FORMATS_JSON_H
#define SLX_FORMATS_JSON_H

#include "model/labels.h"

enum { SLX_JSON_DEPTH_MAX = 32 };

struct slx_json {
	const char *p, *end;
	struct slx_buf *text; /* unescaped strings; must have room for the input's size, so that they stay put */
	unsigned depth;
	uint64_t begun;  /* bit d: the container at depth d has had a member */
	const char *bad; /* NULL: no error yet */
	const char *expected;
};

struct slx_json slx_json_init(const char *p, size_t n, struct slx_buf *text);
bool slx_json_fail(struct slx_json *j, const char *at, const char *expected); /* false, for returning */

/* First character of the next value: { [ " t f n - or a digit; 0 at the end of the input. Takes nothing. */
char slx_json_peek(struct slx_json *j);

bool slx_json_object(struct slx_json *j);
bool slx_json_key(struct slx_json *j, struct slx_str *ret); /* false at the closing brace (taken) or on an error */
bool slx_json_array(struct slx_json *j);
bool slx_json_element(struct slx_json *j); /* false at the closing bracket (taken) or on an error */
bool slx_json_string(struct slx_json *j, struct slx_str *ret);
bool slx_json_number(struct slx_json *j, struct slx_str *ret); /* its text */
bool slx_json_bool(struct slx_json *j, bool *ret);
bool slx_json_null(struct slx_json *j);
bool slx_json_skip(struct slx_json *j, struct slx_str *ret_raw); /* any value; its text, if ret_raw is given */
bool slx_json_end(struct slx_json *j);                           /* only blanks follow */

#endif
