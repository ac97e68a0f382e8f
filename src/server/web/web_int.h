#ifndef SLX_SERVER_WEB_INT_H
#define SLX_SERVER_WEB_INT_H

#include "model/labels.h"

struct slx_web_file {
	const char *path, *type;
	const char *tag; /* of the content; the gzipped form's ETag has "-gz" behind it */
	const unsigned char *plain;
	size_t plain_n;
	const unsigned char *gz; /* NULL where it would not be smaller */
	size_t gz_n;
};

/* Made by embed.cmake, sorted by path. */
extern const struct slx_web_file slx_web_files[];
extern const size_t slx_web_files_n;

/* NULL: there is no such file. "/" and "/graph" are the page itself. */
const struct slx_web_file *slx_web_find(struct slx_str path);
/* Whether the Accept-Encoding (p NULL: none) takes gzip: named, or by *, with a weight above zero. */
bool slx_web_takes_gzip(struct slx_str accept);
/* Whether the If-None-Match (p NULL: none) names the tag. */
bool slx_web_none_match(struct slx_str header, const char *etag);

#endif
