/* HTTP: libmicrohttpd's connections on one side, handlers on the other (docs/protocols/http.md).
 *
 *     epoll: header -> route, limits, admission -> body into a buffer -> suspend -> handler -> resume -> the answer is sent
 *
 * Handlers of writes run on threads of their own. Others run on the thread that polls; one that takes longer than half a millisecond
 * goes on alone while another thread polls (shard.c), so a handler may take its time and may block. While it runs its socket is
 * watched: when the client hangs up, the exchange's cancel flag is set within 50 ms. Bodies are decoded (gzip, zstd, deflate; snappy
 * where the route says so) under the route's limit before the handler sees them. Each route names its class, by which tenants are
 * admitted. */
#ifndef SLX_SERVER_HTTP_H
#define SLX_SERVER_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/model.h"
#include "server/core/core.h"

struct slx_http;          /* the listener */
struct slx_http_exchange; /* one request and its answer; one thread at a time */

enum slx_http_class { SLX_HTTP_PLAIN, SLX_HTTP_READ, SLX_HTTP_WRITE, SLX_HTTP_ADMIN };

enum slx_http_flags {
	SLX_HTTP_RAW_BODY = 1,   /* the handler undoes Content-Encoding itself (remote write's snappy) */
	SLX_HTTP_WHEN_REPLAYING = 2, /* answered before the database is open, too */
	SLX_HTTP_NO_TENANT = 4,  /* X-Scope-OrgID is not looked at */
	SLX_HTTP_PREFIX = 8,     /* path is a prefix: "/static/" */
	SLX_HTTP_WEBSOCKET = 16, /* the handler calls slx_http_upgrade */
};

struct slx_http_route {
	const char *methods; /* "GET,POST"; HEAD comes with GET, OPTIONS with all; others get 405 with Allow */
	const char *path;    /* "/api/v1/label/{name}/values"; a {name} matches one segment, decoded */
	void (*handle)(void *ctx, struct slx_http_exchange *x);
	void *ctx;
	enum slx_http_class class;
	unsigned flags;
	size_t body_max; /* bytes after decoding; 0: the server's default */
	/* Errors that happen before the handler (no such method, body over limit, busy, replaying, bad tenant) in the shape of the
	 * route's protocol; NULL: RFC 7807. retry_after: seconds, 0: none. */
	void (*error)(struct slx_http_exchange *x, unsigned http_status, const char *message, unsigned retry_after);
};

/* ---- the request; strings live as long as the exchange ---- */

struct slx_str slx_http_method(const struct slx_http_exchange *x);
struct slx_str slx_http_path(const struct slx_http_exchange *x);                      /* decoded, without route prefix */
struct slx_str slx_http_segment(const struct slx_http_exchange *x, const char *name); /* of {name} */
struct slx_str slx_http_header(const struct slx_http_exchange *x, const char *name);  /* p NULL when absent, and once a stream began */
/* The i-th value of a parameter of query string or form body (query string first); p NULL when there is none. */
struct slx_str slx_http_param(const struct slx_http_exchange *x, const char *name, size_t i);
struct slx_str slx_http_body(const struct slx_http_exchange *x);
struct slx_str slx_http_tenant(const struct slx_http_exchange *x);
const char *slx_http_request_id(const struct slx_http_exchange *x);
const char *slx_http_trace_id(const struct slx_http_exchange *x); /* of traceparent; "" without */
struct slx_core *slx_http_core(const struct slx_http_exchange *x);
struct slx_arena *slx_http_arena(struct slx_http_exchange *x);          /* for the handler's own use */
const _Atomic bool *slx_http_canceled(const struct slx_http_exchange *x); /* client gone, or the server must end */

/* ---- the answer; a handler gives exactly one ---- */

void slx_http_set_header(struct slx_http_exchange *x, const char *name, const char *value); /* copied */
/* Takes over what body holds (body is left empty). gzip or zstd is applied when the client accepts it and it is worth it. */
void slx_http_reply(struct slx_http_exchange *x, unsigned http_status, const char *content_type, struct slx_buf *body);
void slx_http_reply_text(struct slx_http_exchange *x, unsigned http_status, const char *content_type, const char *text); /* copied */
/* application/problem+json (RFC 7807) of a silex_status. */
void slx_http_reply_problem(struct slx_http_exchange *x, unsigned http_status, const char *title, const char *detail);
/* A long answer in pieces: begin, any number of writes, end. A write blocks while the client is slow, up to the server's stall
 * time; false: the client is gone, stop. At most a few MB lie between handler and client. */
bool slx_http_stream_begin(struct slx_http_exchange *x, unsigned http_status, const char *content_type);
bool slx_http_stream_write(struct slx_http_exchange *x, const void *p, size_t n);
void slx_http_stream_end(struct slx_http_exchange *x);

/* ---- WebSocket (RFC 6455, by wslay) ---- */

struct slx_ws;
struct slx_ws_events { /* called on the WebSocket loop's thread: never block */
	void (*opened)(void *arg, struct slx_ws *ws); /* first call; may be NULL */
	void (*message)(void *arg, struct slx_ws *ws, struct slx_str text);
	void (*closed)(void *arg, struct slx_ws *ws); /* last call; ws is gone after it */
};
/* Instead of a reply. INVALID when the request is no handshake: reply 400 then. Text messages up to 64 kB come whole. */
silex_status slx_http_upgrade(struct slx_http_exchange *x, const struct slx_ws_events *e, void *arg, silex_error *err);
/* Any thread, between opened and closed. false: more than the connection's bound is waiting; nothing was queued (back-pressure: drop or coalesce). */
bool slx_ws_send(struct slx_ws *ws, const void *text, size_t n);
size_t slx_ws_waiting(const struct slx_ws *ws); /* bytes */
void slx_ws_close(struct slx_ws *ws, unsigned code, const char *reason);

/* ---- the listener ---- */

struct slx_http_options {
	const char *listen;   /* host:port; port 0: any */
	const char *route_prefix; /* "" or "/silex" */
	const char *tenant;       /* of requests without X-Scope-OrgID */
	unsigned io_threads, read_workers, write_workers; /* 0: by the processors */
	unsigned connections_max;
	/* Bytes of request line, headers and answer's header. MHD clears all of that between two requests, so that every connection that
	 * was used once holds it. */
	size_t header_max;
	size_t body_max;        /* bytes */
	uint64_t upload_memory; /* bytes of all bodies together */
	unsigned header_timeout_s, idle_timeout_s, stall_timeout_s; /* slow-loris; no request; a client that stops reading */
	unsigned reads_max, writes_max; /* running and waiting per tenant; more get 503 with Retry-After */
	const char *tls_cert, *tls_key; /* PEM files; "": plain */
	const char *cors_origin;        /* "*": any; "": none */
};

silex_status slx_http_new(struct slx_core *core, const struct slx_http_options *o, struct slx_http **ret, silex_error *err);
void slx_http_add(struct slx_http *h, const struct slx_http_route *routes, size_t n); /* before start; copied, but for the strings */
silex_status slx_http_start(struct slx_http *h, silex_error *err);
const char *slx_http_address(const struct slx_http *h); /* "127.0.0.1:9470" */
void slx_http_set_limits(struct slx_http *h, size_t body_max, unsigned reads_max, unsigned writes_max); /* after a reload */
void slx_http_set_ready(struct slx_http *h, bool ready);
bool slx_http_ready(const struct slx_http *h); /* set ready and not draining */
/* New requests get 503, running ones have grace_ms to end, then are canceled; all suspended sockets are resumed; returns
 * when no handler runs. */
void slx_http_drain(struct slx_http *h, int64_t grace_ms);
void slx_http_free(struct slx_http *h);

#endif
