/* Inside of server/http. Who owns what:
 *
 * - A connection (struct slx_http_conn) belongs to its I/O thread; the watcher may shut its socket down, under conns_lock.
 * - An exchange belongs to its I/O thread until it is put into a lane, then to the worker until slx_http_resume, then to the I/O thread
 *   again. Streams are shared in between: struct slx_http_stream has a lock. References keep it alive: MHD's (until `completed`),
 *   the worker's, and for a moment the watcher's. */
#ifndef SLX_SERVER_HTTP_INT_H
#define SLX_SERVER_HTTP_INT_H

#include "server/http/http.h"

#include <microhttpd.h>
#include <pthread.h>

enum {
	SLX_HTTP_CLASSES = 4,
	SLX_HTTP_SEGMENTS_MAX = 4,
	SLX_HTTP_PARAMS_MAX = 10000,
	SLX_HTTP_TENANT_SLOTS = 1024,
	SLX_HTTP_STREAM_BYTES = 2 << 20, /* between handler and client */
	SLX_HTTP_COMPRESS_MIN = 1024,
	SLX_HTTP_PLAIN_SLOTS = 16,
	SLX_HTTP_READ_SLOTS_MAX = 256,
	SLX_HTTP_SHARD_THREADS = SLX_HTTP_PLAIN_SLOTS + SLX_HTTP_READ_SLOTS_MAX + 2, /* the role can always move on */
	SLX_HTTP_SHARDS_MAX = 64,
};

/* ---- params.c ---- */

struct slx_http_pair {
	struct slx_str name, value;
};
struct slx_http_params {
	struct slx_http_pair *v;
	size_t n, cap;
};
/* Appends what application/x-www-form-urlencoded text says. INVALID: a bad %xx, too many. Strings lie in the arena or in text. */
silex_status slx_http_params_parse(struct slx_arena *a, struct slx_str text, struct slx_http_params *p, silex_error *err);
/* %xx undone (and + if plus); INVALID for a bad one. */
silex_status slx_http_unescape(struct slx_arena *a, struct slx_str text, bool plus, struct slx_str *ret, silex_error *err);
/* The weight, in thousandths, that a list header (Accept-Encoding) gives to `name`; -1 when it is not named. */
int slx_http_weight(struct slx_str list, const char *name);

/* ---- coding.c ---- */

enum slx_http_coding { SLX_CODING_NONE, SLX_CODING_GZIP, SLX_CODING_DEFLATE, SLX_CODING_ZSTD, SLX_CODING_UNKNOWN };
enum slx_http_coding slx_http_coding_of(struct slx_str content_encoding);
/* Grows `out` up to its size_max. more is asked before memory is taken. RESOURCE_EXHAUSTED: larger than size_max or refused by more;
 * INVALID: not of that coding, or cut. */
silex_status slx_http_decode(enum slx_http_coding c, const void *p, size_t n, bool (*more)(void *arg, size_t bytes), void *arg, struct slx_buf *out,
	silex_error *err);

struct slx_http_encoder; /* one thread at a time */
struct slx_http_encoder *slx_http_encoder_new(enum slx_http_coding c); /* GZIP or ZSTD; NULL out of memory */
void slx_http_encoder_free(struct slx_http_encoder *e);
void slx_http_encoder_reset(struct slx_http_encoder *e);
/* Appends to out; with finish the end of the body. false: out of memory. */
bool slx_http_encode(struct slx_http_encoder *e, const void *p, size_t n, bool finish, struct slx_buf *out);

/* ---- routes.c ---- */

struct slx_http_routes;
struct slx_http_found {
	const struct slx_http_route *route; /* NULL: none for that method */
	unsigned allow;                     /* methods of the path; 0: no such path */
	struct slx_http_pair segments[SLX_HTTP_SEGMENTS_MAX];
	size_t n_segments;
};
enum { SLX_METHOD_GET = 1, SLX_METHOD_POST = 2, SLX_METHOD_PUT = 4, SLX_METHOD_DELETE = 8, SLX_METHOD_PATCH = 16, SLX_METHOD_HEAD = 32, SLX_METHOD_OPTIONS = 64 };
/* The method's bit and its name as a constant; 0 and "(other)" when no route could name it. */
unsigned slx_http_method_bit(const char *method, const char **ret_name);
/* "GET, HEAD, OPTIONS" */
void slx_http_allow_text(unsigned allow, char ret[64]);
struct slx_http_routes *slx_http_routes_new(struct slx_mem *m);
void slx_http_routes_free(struct slx_http_routes *r);
bool slx_http_routes_add(struct slx_http_routes *r, const struct slx_http_route *route);
/* raw: path as it came, without prefix and query string. decoded: the same, unescaped. Segments go to the arena. */
silex_status slx_http_routes_find(const struct slx_http_routes *r, struct slx_str raw, struct slx_str decoded, unsigned method, struct slx_arena *a,
	struct slx_http_found *ret, silex_error *err);

/* ---- connections and exchanges ---- */

struct slx_http_conn {
	struct slx_http_conn *next, *prev; /* slx_http.conns, under conns_lock */
	int fd;
	_Atomic int64_t deadline; /* monotonic ns; 0: none. Past it the watcher shuts the socket down */
	_Atomic bool busy;        /* a request is complete and its answer is not */
	bool hung;                /* the watcher's: its client was seen to be gone */
};

struct slx_http_stream {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t drained;
	struct slx_buf out;
	size_t off;     /* sent to MHD */
	bool ended;     /* by the handler */
	bool gone;      /* by the client: the connection must not be touched any more */
	bool suspended; /* MHD waits for bytes */
	struct slx_http_encoder *encoder; /* worker's; NULL without */
	struct slx_buf packed;            /* worker's */
};

enum slx_http_state { SLX_X_HEADER, SLX_X_BODY, SLX_X_REFUSED, SLX_X_WORKER, SLX_X_ANSWERED };

struct slx_http_header {
	struct slx_http_header *next;
	const char *name, *value;
};

struct slx_http_exchange {
	struct slx_http *h;
	_Atomic unsigned refs;
	struct slx_http_shard *shard;
	struct MHD_Connection *connection; /* not to be asked once the answer streams */
	struct slx_http_conn *conn;
	int conn_fd;
	enum slx_http_state state;
	struct slx_arena arena;
	/* request */
	struct slx_str target; /* as it came */
	struct slx_str query, path;
	const char *method;
	unsigned method_bit;
	struct slx_http_found found;
	struct slx_http_params params;
	struct slx_str tenant;
	unsigned tenant_slot;
	bool admitted;
	char request_id[41];
	char trace_id[33]; /* of traceparent; "" without */
	struct slx_buf body;
	uint64_t body_raw; /* bytes that came, kept or not */
	uint64_t booked;   /* of slx_http.upload_used */
	size_t body_max;
	enum slx_http_coding coding;
	_Atomic bool canceled;
	int64_t began_ns; /* monotonic, header complete */
	/* answer */
	unsigned refuse_status, refuse_retry;
	const char *refuse_message;
	struct slx_http_header *headers;
	bool hurried;    /* MHD's time-out is the stall time, not the idle one */
	bool own_coding; /* the handler set Content-Encoding */
	unsigned status;
	struct MHD_Response *response;
	struct slx_buf answer; /* what the response points to */
	struct slx_http_stream *stream;
	struct slx_ws *ws;
	bool ws_taken; /* by the loop */
	/* lane, under its lock; has_slot also by the role holder */
	bool enlisted, has_slot;
	struct slx_http_exchange *lane_next, *lane_prev; /* of those waiting or running */
	struct slx_http_exchange *queue_next;
};

struct slx_http_lane {
	struct slx_http *h;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t work;
	struct slx_http_exchange *queue, **queue_end;
	struct slx_http_exchange *alive; /* waiting, or running for a while: for the watcher */
	unsigned slots, running;         /* not of writes */
	unsigned idle;
	bool stop;
	pthread_t *threads;
	unsigned threads_n, cap;
};

enum { SLX_LANE_PLAIN, SLX_LANE_READ, SLX_LANE_WRITE, SLX_LANES };

struct slx_http_shard {
	struct slx_http *h;
	struct MHD_Daemon *daemon;
	int poll_fd, wake_fd;
	_Atomic pthread_t holder; /* of the role; set under the lock. 0: nobody */
	_Atomic bool stop, sleeping, woken;
	/* the role holder's */
	struct slx_http_exchange *local, **local_end;
	_Atomic bool resumed; /* by a handler under the role, which may lose it meanwhile */
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t role_free;
	struct slx_http_exchange *current; /* what the holder runs */
	int64_t current_ns;
	uint64_t runs, runs_seen;
	unsigned spare, threads_n;
	pthread_t threads[SLX_HTTP_SHARD_THREADS];
};

struct slx_http {
	struct slx_core *core;
	struct slx_mem *mem;
	struct slx_http_options o; /* strings copied */
	char *strings;
	size_t strings_size;
	char address[128];
	int listen_fd;
	struct slx_http_shard *shards;
	unsigned shards_n;
	bool started;
	struct slx_http_routes *routes;
	size_t prefix_n;
	_Atomic bool ready, draining;
	_Atomic uint64_t body_max; /* these three change with a reload */
	_Atomic unsigned reads_max, writes_max;
	_Atomic uint64_t upload_used;
	_Atomic uint64_t next_id;
	uint64_t id_salt;
	_Atomic uint64_t exchanges; /* begun and not completed */
	_Atomic uint64_t running;   /* given to handlers, waiting or running */
	struct {
		_Atomic uint32_t reads, writes; /* tenants that share a slot share the limit */
	} tenants[SLX_HTTP_TENANT_SLOTS];
	struct slx_http_lane lanes[SLX_LANES];
	pthread_mutex_t conns_lock; /* conns */
	struct slx_http_conn *conns;
	_Atomic uint64_t conns_n;
	pthread_t watcher;
	bool watching;
	pthread_mutex_t watch_lock; /* watch_stop */
	pthread_cond_t watch_wake;
	bool watch_stop;
	_Atomic bool watch_idle;
	struct slx_ws_loop *ws;
	struct slx_metric *requests[SLX_HTTP_CLASSES][5]; /* 2xx, 3xx, 4xx, 499, 5xx */
	struct slx_metric *seconds[SLX_HTTP_CLASSES];
	struct slx_metric *refused_busy, *cut;
};

int64_t slx_http_now(void); /* monotonic ns */

/* ---- exchange.c ---- */
struct slx_http_exchange *slx_http_exchange_new(struct slx_http_shard *s, struct MHD_Connection *c, const char *uri);
void slx_http_exchange_unref(struct slx_http_exchange *x);
bool slx_http_book(struct slx_http_exchange *x, size_t bytes); /* of upload memory */
/* Answers by the route's error function, or RFC 7807. */
void slx_http_error(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after);

/* ---- request.c: MHD's callbacks ---- */
/* Ends the exchange's part in the admission. */
void slx_http_leave(struct slx_http_exchange *x);
void *slx_http_on_uri(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result slx_http_on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data,
	size_t *data_n, void **con_cls);
void slx_http_on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode toe);

/* ---- shard.c ---- */
void slx_http_shard_init(struct slx_http_shard *s, struct slx_http *h);
silex_status slx_http_shard_start(struct slx_http_shard *s, silex_error *err); /* its daemon was made */
void slx_http_shard_stop(struct slx_http_shard *s);                           /* the daemon, too; no handler runs */
void slx_http_shard_put(struct slx_http_shard *s, struct slx_http_exchange *x); /* by the role holder */
void slx_http_shard_wake(struct slx_http_shard *s); /* a connection was resumed; any thread */
/* The watcher's look: moves the role on when its handler takes long. Whether anything ran since the last look. */
bool slx_http_shard_look(struct slx_http_shard *s, int64_t now);

/* ---- work.c ---- */
silex_status slx_http_lanes_start(struct slx_http *h, silex_error *err);
void slx_http_lanes_stop(struct slx_http *h);
/* A slot for x. false: it waits for one in the lane, and whoever leaves one runs it. */
bool slx_http_lane_enter(struct slx_http_exchange *x);
/* x leaves its slot: to the exchange returned, which the caller must run, or to nobody. */
struct slx_http_exchange *slx_http_lane_exit(struct slx_http_exchange *x);
void slx_http_lane_enlist(struct slx_http_exchange *x); /* for the watcher */
void slx_http_run(struct slx_http_exchange *x);         /* decoding and the handler */
/* Lets the I/O thread send the answer, and drops the worker's reference: x must not be touched afterwards. */
void slx_http_done(struct slx_http_exchange *x);
void slx_http_cancel_all(struct slx_http *h);

/* ---- reply.c ---- */
void slx_http_stream_gone(struct slx_http_exchange *x); /* the connection is closed */
void slx_http_stream_free(struct slx_http_stream *s, struct slx_mem *m);

/* ---- watch.c ---- */
silex_status slx_http_watch_start(struct slx_http *h, silex_error *err);
void slx_http_watch_stop(struct slx_http *h);
void slx_http_watch_wake(struct slx_http *h); /* handlers run again */

/* ---- ws.c ---- */
silex_status slx_ws_loop_new(struct slx_http *h, struct slx_ws_loop **ret, silex_error *err);
/* The exchange ends: a WebSocket that never opened is forgotten. */
void slx_ws_abandon(struct slx_http_exchange *x);
void slx_ws_close_all(struct slx_ws_loop *l);
void slx_ws_loop_free(struct slx_ws_loop *l); /* after slx_ws_close_all and the daemon's end */

#endif
