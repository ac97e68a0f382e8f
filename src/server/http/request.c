/* The I/O threads' side: MHD calls slx_http_on_uri when the request line is there, then slx_http_on_request when the header is
 * there, with each piece of body, when the body ended, and after a resume. Nothing here waits.
 *
 * A request that must be refused is answered at once when its client waits for "100 Continue" or sends far more than the limit;
 * otherwise its body is read and dropped first, so that the answer is not lost in a reset connection (agents would send again and again). */
#include "server/http/http_int.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { GRACE_S = 30, SLOWEST = 4096 /* bytes a second */, LARGE = 128 << 10 /* more than a socket takes at once */ };

/* --- the header ------------------------------------------------------------------------------------------------- */

void *slx_http_on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
	struct slx_http_shard *s = cls;
	struct slx_http_exchange *x = slx_http_exchange_new(s, c, uri);
	if (!x)
		return NULL;
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	x->conn = i ? i->socket_context : NULL;
	x->conn_fd = x->conn ? x->conn->fd : -1;
	if (x->conn)
		atomic_store_explicit(&x->conn->deadline, slx_http_now() + (int64_t)s->h->o.header_timeout_s * 1000000000, memory_order_relaxed);
	return x;
}

/* The first refusal counts. */
static void refuse(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	if (x->refuse_status)
		return;
	x->refuse_status = status;
	x->refuse_retry = retry_after;
	char *copy = slx_arena_alloc(&x->arena, strlen(message) + 1, 1);
	x->refuse_message = copy ? strcpy(copy, message) : "";
}

/* Path and query of the target; an absolute form loses its scheme and host. */
static silex_status split_target(struct slx_http_exchange *x, struct slx_str *ret_raw, silex_error *err)
{
	const char *p = x->target.p, *end = p + x->target.n;
	if (*p != '/') {
		const char *host = strstr(p, "://");
		const char *slash = host ? strchr(host + 3, '/') : NULL;
		p = slash ? slash : end;
	}
	const char *q = memchr(p, '?', (size_t)(end - p)), *hash = memchr(p, '#', (size_t)(end - p));
	end = hash && (!q || hash < q) ? hash : end;
	struct slx_str raw = { p, (size_t)((q && q < end ? q : end) - p) };
	x->query = q && q < end ? (struct slx_str){ q + 1, (size_t)(end - q - 1) } : (struct slx_str){ "", 0 };
	const char *prefix = x->h->o.route_prefix;
	size_t n = x->h->prefix_n;
	if (n && raw.n >= n && memcmp(raw.p, prefix, n) == 0 && (raw.n == n || raw.p[n] == '/'))
		raw = raw.n == n ? SLX_STR("/") : (struct slx_str){ raw.p + n, raw.n - n };
	else if (n)
		return slx_err(err, SILEX_NOT_FOUND, "paths begin with %s here", prefix);
	*ret_raw = raw;
	SLX_TRY(slx_http_unescape(&x->arena, raw, false, &x->path, err));
	if (memchr(x->path.p, 0, x->path.n))
		return slx_err(err, SILEX_INVALID, "the path holds a zero byte");
	return SILEX_OK;
}

static void set_ids(struct slx_http_exchange *x)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	static const char digits[] = "0123456789abcdef";
	struct slx_str given = slx_http_header(x, "X-Request-Id"), trace = slx_http_header(x, "traceparent");
	if (given.n > 0 && given.n < sizeof x->request_id && strspn(given.p, safe) == given.n)
		memcpy(x->request_id, given.p, given.n);
	else {
		uint64_t state = x->h->id_salt + atomic_fetch_add_explicit(&x->h->next_id, 1, memory_order_relaxed), id = slx_rng_next(&state);
		for (unsigned i = 0; i < 16; i++, id >>= 4)
			x->request_id[i] = digits[id & 15];
	}
	/* 00-<32 hex trace>-<16 hex parent>-<2 hex flags> (W3C Trace Context) */
	if (trace.n == 55 && trace.p[2] == '-' && trace.p[35] == '-' && trace.p[52] == '-' && strspn(trace.p + 3, digits) == 32)
		memcpy(x->trace_id, trace.p + 3, 32);
}

static void find_route(struct slx_http_exchange *x)
{
	struct slx_str raw;
	silex_error e;
	char allow[64], message[128];
	silex_status st = split_target(x, &raw, &e);
	if (st == SILEX_OK)
		st = slx_http_routes_find(x->h->routes, raw, x->path, x->method_bit, &x->arena, &x->found, &e);
	if (st == SILEX_OK && x->found.route)
		st = slx_http_params_parse(&x->arena, x->query, &x->params, &e);
	if (st != SILEX_OK)
		refuse(x, st == SILEX_NOT_FOUND ? 404 : st == SILEX_INVALID ? 400 : 503, e.message, st == SILEX_RESOURCE_EXHAUSTED ? 5 : 0);
	else if (!x->found.allow)
		refuse(x, 404, "there is nothing at this path", 0);
	else if (!x->found.route) {
		slx_http_allow_text(x->found.allow, allow);
		slx_http_set_header(x, "Allow", allow);
		snprintf(message, sizeof message, "this path takes %s", allow);
		refuse(x, 405, message, 0);
	}
}

static void check_tenant(struct slx_http_exchange *x)
{
	silex_error e;
	x->tenant = slx_str(x->h->o.tenant);
	if (x->found.route->flags & SLX_HTTP_NO_TENANT)
		return;
	struct slx_str given = slx_http_header(x, "X-Scope-OrgID");
	if (!given.p)
		return;
	char *copy = NULL;
	if (slx_tenant_check(given, &e) != SILEX_OK)
		refuse(x, 400, e.message, 0);
	else if (!(copy = slx_arena_alloc(&x->arena, given.n + 1, 1)))
		refuse(x, 503, "out of memory", 5);
	else
		x->tenant = (struct slx_str){ memcpy(copy, given.p, given.n + 1), given.n };
}

static void check_serving(struct slx_http_exchange *x)
{
	if (x->found.route->flags & SLX_HTTP_WHEN_REPLAYING)
		return;
	if (atomic_load_explicit(&x->h->draining, memory_order_relaxed))
		refuse(x, 503, "the server is ending", 5);
	else if (!atomic_load_explicit(&x->h->ready, memory_order_acquire))
		refuse(x, 503, "the database is being opened: the log is replayed", 5);
}

static void check_body(struct slx_http_exchange *x, uint64_t length)
{
	const struct slx_http_route *r = x->found.route;
	char message[96];
	x->body_max = r->body_max ? r->body_max : atomic_load_explicit(&x->h->body_max, memory_order_relaxed);
	x->coding = r->flags & SLX_HTTP_RAW_BODY ? SLX_CODING_NONE : slx_http_coding_of(slx_http_header(x, "Content-Encoding"));
	if (length > x->body_max) {
		snprintf(message, sizeof message, "the body is larger than %zu bytes", x->body_max);
		refuse(x, 413, message, 0);
	}
	if (x->coding == SLX_CODING_UNKNOWN)
		refuse(x, 415, "Content-Encoding: expected gzip, deflate, zstd or identity", 0);
}

/* How much of a refused body is read for the sake of the answer. */
static uint64_t dropped_max(struct slx_http_exchange *x) { return 4 * (uint64_t)atomic_load_explicit(&x->h->body_max, memory_order_relaxed); }

static enum MHD_Result queue(struct slx_http_exchange *x);

static enum MHD_Result answer_refusal(struct slx_http_exchange *x)
{
	slx_http_error(x, x->refuse_status, x->refuse_message, x->refuse_retry);
	return queue(x);
}

static enum MHD_Result begin(struct slx_http_exchange *x, const char *method)
{
	struct slx_str length = slx_http_header(x, "Content-Length");
	uint64_t n = length.p ? strtoull(length.p, NULL, 10) : 0;
	x->method_bit = slx_http_method_bit(method, &x->method);
	x->began_ns = slx_http_now();
	x->state = SLX_X_BODY;
	set_ids(x);
	find_route(x);
	if (x->found.route && x->method_bit != SLX_METHOD_OPTIONS) {
		check_tenant(x);
		check_serving(x);
		check_body(x, n);
	}
	if (x->conn)
		atomic_store_explicit(&x->conn->deadline, x->began_ns + GRACE_S * INT64_C(1000000000), memory_order_relaxed);
	if (!x->refuse_status)
		return MHD_YES;
	x->state = SLX_X_REFUSED;
	bool waits = slx_http_header(x, "Expect").p != NULL;
	return (waits && n) || n > dropped_max(x) ? answer_refusal(x) : MHD_YES;
}

/* --- the body --------------------------------------------------------------------------------------------------- */

/* Keeps n bytes of body, or refuses. */
static void keep(struct slx_http_exchange *x, const char *data, size_t n)
{
	char message[96];
	if (n > x->body_max - x->body.n) {
		snprintf(message, sizeof message, "the body is larger than %zu bytes", x->body_max);
		refuse(x, 413, message, 0);
	} else if (x->body.cap - x->body.n < n) {
		size_t cap = x->body.cap ? x->body.cap : 256;
		while (cap < x->body.n + n)
			cap *= 2;
		if (!slx_http_book(x, cap - x->body.cap))
			refuse(x, 503, "no memory for request bodies is left", 5);
	}
	if (x->refuse_status) {
		x->state = SLX_X_REFUSED;
		slx_buf_free(&x->body);
		return;
	}
	slx_buf_put(&x->body, data, n);
	if (x->body.failed) {
		refuse(x, 503, "out of memory", 5);
		x->state = SLX_X_REFUSED;
	}
}

static enum MHD_Result take(struct slx_http_exchange *x, const char *data, size_t n)
{
	x->body_raw += n;
	if (x->conn) /* as long as it comes faster than SLOWEST it may take its time */
		atomic_store_explicit(&x->conn->deadline,
			x->began_ns + (GRACE_S + (int64_t)(x->body_raw / SLOWEST)) * INT64_C(1000000000), memory_order_relaxed);
	if (x->state == SLX_X_BODY)
		keep(x, data, n);
	/* A chunked body over the limit tells no length: some of it is dropped, then the connection is. */
	return x->state == SLX_X_REFUSED && x->body_raw > dropped_max(x) ? MHD_NO : MHD_YES;
}

/* --- admission and dispatch ------------------------------------------------------------------------------------- */

static _Atomic uint32_t *slot_of(struct slx_http_exchange *x)
{
	enum slx_http_class c = x->found.route->class;
	if (c == SLX_HTTP_READ)
		return &x->h->tenants[x->tenant_slot].reads;
	return c == SLX_HTTP_WRITE ? &x->h->tenants[x->tenant_slot].writes : NULL;
}

static bool admit(struct slx_http_exchange *x)
{
	x->tenant_slot = (unsigned)(slx_hash64(x->tenant.p, x->tenant.n) % SLX_HTTP_TENANT_SLOTS);
	_Atomic uint32_t *slot = slot_of(x);
	unsigned max = x->found.route->class == SLX_HTTP_READ ? atomic_load_explicit(&x->h->reads_max, memory_order_relaxed)
														  : atomic_load_explicit(&x->h->writes_max, memory_order_relaxed);
	if (!slot)
		return true;
	if (atomic_fetch_add_explicit(slot, 1, memory_order_relaxed) >= max) {
		atomic_fetch_sub_explicit(slot, 1, memory_order_relaxed);
		slx_metric_add(x->h->refused_busy, 1);
		return false;
	}
	x->admitted = true;
	return true;
}

void slx_http_leave(struct slx_http_exchange *x)
{
	if (x->admitted)
		atomic_fetch_sub_explicit(slot_of(x), 1, memory_order_relaxed);
	x->admitted = false;
}

static enum MHD_Result answer_options(struct slx_http_exchange *x)
{
	char allow[64];
	slx_http_allow_text(x->found.allow, allow);
	slx_http_set_header(x, "Allow", allow);
	slx_http_reply_text(x, 204, NULL, "");
	return queue(x);
}

/* The request is complete. */
static enum MHD_Result dispatch(struct slx_http_exchange *x)
{
	if (x->conn) {
		atomic_store_explicit(&x->conn->deadline, 0, memory_order_relaxed);
		atomic_store_explicit(&x->conn->busy, true, memory_order_relaxed);
	}
	if (x->method_bit == SLX_METHOD_OPTIONS)
		return answer_options(x);
	if (!admit(x)) {
		refuse(x, 503, "too many requests of this tenant are running and waiting", 1);
		return answer_refusal(x);
	}
	x->state = SLX_X_WORKER;
	atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&x->h->running, 1, memory_order_relaxed);
	MHD_suspend_connection(x->connection);
	if (x->found.route->class == SLX_HTTP_WRITE)
		slx_http_lane_enter(x); /* never at once: its threads take it */
	else
		slx_http_shard_put(x->shard, x);
	return MHD_YES;
}

/* --- the answer ------------------------------------------------------------------------------------------------- */

static void count(struct slx_http_exchange *x)
{
	unsigned class = x->found.route ? x->found.route->class : SLX_HTTP_PLAIN;
	unsigned kind = x->status == 499 ? 3 : x->status < 300 ? 0 : x->status < 400 ? 1 : x->status < 500 ? 2 : 4;
	int64_t ns = slx_http_now() - x->began_ns;
	slx_metric_add(x->h->requests[class][kind], 1);
	slx_metric_observe(x->h->seconds[class], (double)ns / 1e9);
	slx_log(x->h->core->log, x->status >= 500 && x->status != 503 ? SLX_LOG_WARN : SLX_LOG_DEBUG, "request", SLX_TEXT("method", x->method),
		SLX_BYTES("path", x->path), SLX_INT("status", x->status), SLX_REAL("seconds", (double)ns / 1e9), SLX_BYTES("tenant", x->tenant),
		SLX_TEXT("request_id", x->request_id), SLX_TEXT("trace_id", x->trace_id));
}

static enum MHD_Result queue(struct slx_http_exchange *x)
{
	struct MHD_Response *r = x->response;
	if (!r)
		return MHD_NO;
	x->response = NULL;
	x->state = SLX_X_ANSWERED;
	count(x);
	if (x->conn && !x->ws)
		atomic_store_explicit(&x->conn->deadline,
			x->stream ? 0 : slx_http_now() + ((int64_t)x->h->o.stall_timeout_s + (int64_t)(x->answer.n / SLOWEST)) * INT64_C(1000000000),
			memory_order_relaxed);
	if (x->stream || x->answer.n > LARGE) /* no progress for that long: cut */
		x->hurried = MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT, x->h->o.stall_timeout_s) == MHD_YES;
	enum MHD_Result ok = MHD_queue_response(x->connection, x->status, r);
	MHD_destroy_response(r);
	return ok;
}

enum MHD_Result slx_http_on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data,
	size_t *data_n, void **con_cls)
{
	struct slx_http_exchange *x = *con_cls;
	if (!x)
		return MHD_NO; /* no memory when the request line came */
	switch (x->state) {
	case SLX_X_HEADER:
		return begin(x, method);
	case SLX_X_BODY:
	case SLX_X_REFUSED:
		if (*data_n) {
			size_t n = *data_n;
			*data_n = 0;
			return take(x, data, n);
		}
		return x->state == SLX_X_BODY ? dispatch(x) : answer_refusal(x);
	case SLX_X_WORKER:
		return queue(x);
	case SLX_X_ANSWERED:
		break;
	}
	return MHD_YES;
}

void slx_http_on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode toe)
{
	struct slx_http_shard *s = cls;
	struct slx_http_exchange *x = *con_cls;
	*con_cls = NULL;
	if (!x)
		return;
	if (x->conn) {
		atomic_store_explicit(&x->conn->busy, false, memory_order_relaxed);
		atomic_store_explicit(&x->conn->deadline, slx_http_now() + (int64_t)s->h->o.idle_timeout_s * 1000000000, memory_order_relaxed);
	}
	atomic_store_explicit(&x->canceled, true, memory_order_relaxed);
	if (x->hurried && toe == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, s->h->o.idle_timeout_s);
	else if (toe == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		slx_metric_add(s->h->cut, 1);
	if (x->stream)
		slx_http_stream_gone(x);
	if (x->response) { /* never queued: the client went first */
		MHD_destroy_response(x->response);
		x->response = NULL;
	}
	slx_ws_abandon(x);
	slx_http_exchange_unref(x);
}
