/* AWS Signature Version 4 for S3, done here because libcurl's own breaks in three ways (it adds no x-amz-content-sha256, wants
 * the query sorted and encoded by the caller, and goes wrong when a header is removed). Pure: text in, text out. */
#ifndef SLX_STORAGE_S3_SIGV4_H
#define SLX_STORAGE_S3_SIGV4_H

#include "base/buf.h"

enum { SLX_SHA256_HEX_SIZE = 65, SLX_S3_TIME_SIZE = 17, SLX_S3_SECRET_SIZE_MAX = 256 };

struct slx_s3_to_sign {
	const char *access_key, *secret_key;
	const char *region;
	const char *time;         /* 20130524T000000Z */
	const char *method;
	const char *path;         /* encoded, as it is sent: "/bucket/key" */
	const char *query;        /* encoded, sorted by name, each with '=': "prefix=a&uploads="; "" for none */
	const char *const *headers; /* "name:value", names in lower case and sorted, no blanks around the value; host among them */
	size_t headers_n;
	const char *payload_hash; /* what x-amz-content-sha256 says */
};

/* Appends "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...". */
void slx_s3_sign(const struct slx_s3_to_sign *s, struct slx_buf *out);

void slx_s3_sha256(const void *p, size_t n, char ret_hex[SLX_SHA256_HEX_SIZE]);
/* 20130524T000000Z of nanoseconds since the epoch. */
void slx_s3_time(int64_t ns, char ret[SLX_S3_TIME_SIZE]);

#endif
