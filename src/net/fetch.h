/* An HTTP client for stores, webhooks and Alertmanagers: one request, one answer, over libcurl.
 *
 * A client keeps idle connections and gives each request one of them; any thread may fetch at any time, as many at once as
 * like. Redirects are not followed, proxies of the environment not used: an address means what it says. A request runs on
 * the calling thread and ends by its answer, its time limits, or its cancel flag (seen within a second).
 *
 *     struct slx_net_request r = { .method = "POST", .url = url, .body = json, .body_size = n, .timeout_ns = 10 * second };
 *     struct slx_net_answer a;
 *     if (slx_net_fetch(client, &r, &a, err) == SILEX_OK) { ... a.status, a.body ... slx_net_answer_free(&a); } */
#ifndef SLX_NET_FETCH_H
#define SLX_NET_FETCH_H

#include "base/buf.h"
#include "base/status.h"

struct slx_net_client;

/* What connections have in common. Strings are copied. */
struct slx_net_options {
	const char *ca_file;              /* PEM; NULL: the system's */
	const char *cert_file, *key_file; /* PEM: the client's own certificate, or NULL */
	bool insecure;                    /* does not ask who the server is */
	int64_t connect_timeout_ns;       /* 0: 10 s */
	unsigned idle_max;                /* connections kept for later; 0: 8 */
};

silex_status slx_net_client_new(
	struct slx_mem *m, const struct slx_net_options *o, struct slx_net_client **ret, silex_error *err); /* o may be NULL */
void slx_net_client_free(struct slx_net_client *c); /* after the last fetch returned; NULL is fine */

struct slx_net_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "DELETE" */
	const char *url;    /* http:// or https://; sent as it is */
	const char *const *headers; /* "Name: value" */
	size_t headers_n;
	const char *user, *password; /* basic authentication; user NULL: none */
	const void *body;
	size_t body_size;
	int64_t timeout_ns;       /* of the whole; 0: none */
	int64_t stall_timeout_ns; /* without a byte for so long; 0: 60 s */
	size_t answer_max;        /* bytes of the body; 0: 1 MiB */
	void *into;               /* not NULL: the body of a 2xx answer goes here, at most into_size bytes */
	size_t into_size;
	const _Atomic bool *cancel; /* or NULL */
};

struct slx_net_answer {
	int status;            /* 200, 404, ... */
	struct slx_buf headers; /* "name: value\0" each, names in lower case */
	struct slx_buf body;    /* NUL after n, so that it can be read as text */
	size_t into_n;          /* bytes that went to `into` */
};

/* OK: there was an answer, whatever its status; the caller frees it. Else nothing to free:
 * UNAVAILABLE: no connection, cut, TLS; DEADLINE_EXCEEDED: a time limit; CANCELED; INVALID: the url;
 * RESOURCE_EXHAUSTED: an answer above its limit, or out of memory. Messages begin with "METHOD scheme://host:port", no more
 * of the url, so that nothing secret of its path is logged. */
silex_status slx_net_fetch(
	struct slx_net_client *c, const struct slx_net_request *r, struct slx_net_answer *ret, silex_error *err);
void slx_net_answer_free(struct slx_net_answer *a);

/* Value of a header, NULL when absent; name in lower case. */
const char *slx_net_answer_header(const struct slx_net_answer *a, const char *name);

#endif
