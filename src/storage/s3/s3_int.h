/* Inside of the S3 room. */
#ifndef SLX_STORAGE_S3_INT_H
#define SLX_STORAGE_S3_INT_H

#include "base/arena.h"
#include "base/clock.h"
#include "net/fetch.h"
#include "storage/s3/sigv4.h"

#include <pthread.h>
#include <silex/store.h>

/* --- url.c: what s3://bucket/prefix?... says --- */

struct slx_s3_url { /* strings live in the arena */
	const char *bucket;
	const char *prefix;   /* "" or "a/b/" */
	const char *endpoint; /* "https://host[:port]", of the bucket's host when it is not path_style */
	const char *host;     /* of the endpoint: "host[:port]" */
	const char *region;
	const char *sse, *sse_kms_key_id; /* NULL: none */
	const char *ca_file;              /* NULL: the system's */
	bool path_style, insecure;
	int64_t retry_ns;   /* how long one call tries again */
	int64_t timeout_ns; /* to connect, and without a byte */
	size_t part_size;
};

silex_status slx_s3_url_parse(const char *text, struct slx_arena *a, struct slx_s3_url *ret, silex_error *err);

/* --- xml.c: answers --- */

/* Calls leaf for each element without children: its name, its text. INVALID when it is no XML. */
silex_status slx_s3_xml(const void *p, size_t n, bool (*leaf)(void *arg, const char *name, const char *text), void *arg, silex_error *err);

/* --- request.c --- */

struct slx_s3 {
	silex_store base;
	struct slx_mem mem;
	silex_clock clock;
	silex_random random;
	struct slx_arena arena;
	struct slx_s3_url url;
	const char *access_key, *secret_key, *session_token; /* session_token NULL: none */
	struct slx_net_client *net;
	_Atomic bool stop;
	_Atomic bool away;    /* the last call gave up: the next ones try once, so that nobody waits long for what is away */
	_Atomic bool cleaned; /* leftovers of uploads were looked for */
};

struct slx_s3_call {
	const char *method;
	const char *name;  /* object; NULL: the bucket */
	const char *query; /* encoded, sorted; NULL: none */
	const char *range; /* "bytes=0-9" or NULL */
	const void *body;
	size_t body_size;
	bool stores;       /* the body is data: it is checked with MD5 on both ends */
	bool starts;       /* an object begins: encryption is asked for */
	bool once;         /* not tried again */
	void *into;
	size_t into_size;
	/* Asked before it is sent again, NULL: not. True: an earlier try worked after all, only its answer was lost; send returns
	 * an empty answer. */
	bool (*is_done)(struct slx_s3 *s, void *arg);
	void *is_done_arg;
};

struct slx_s3_failure { /* of the answer's XML */
	char code[64];
	char message[200];
};

/* Sends it, again while that may help. OK: any answer of 2xx; the caller frees it. Else the error says what to do. */
silex_status slx_s3_send(struct slx_s3 *s, const struct slx_s3_call *c, struct slx_net_answer *ret, silex_error *err);
/* The same, for who needs nothing of the answer. */
silex_status slx_s3_do(struct slx_s3 *s, const struct slx_s3_call *c, silex_error *err);
void slx_s3_encode(struct slx_buf *to, const char *text, bool keep_slashes); /* percent-encoding as SigV4 wants it */

silex_status slx_s3_size(struct slx_s3 *s, const char *name, uint64_t *ret, silex_error *err);

/* --- upload.c --- */

silex_status slx_s3_begin(silex_store *s, const char *name, void **ret_writer, silex_error *err);
silex_status slx_s3_append(silex_store *s, void *writer, const void *bytes, size_t n, silex_error *err);
silex_status slx_s3_commit(silex_store *s, void *writer, silex_error *err);
void slx_s3_abort(silex_store *s, void *writer);

#endif
