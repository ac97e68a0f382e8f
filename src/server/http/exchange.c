/* One request and its answer: how it begins and ends, and what a handler may ask of it. */
#include "server/http/http_int.h"

#include <stdio.h>
#include <time.h>

int64_t slx_http_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct slx_http_exchange *slx_http_exchange_new(struct slx_http_shard *s, struct MHD_Connection *c, const char *uri)
{
	struct slx_http *h = s->h;
	struct slx_http_exchange *x = slx_calloc(h->mem, SLX_MEM_OTHER, sizeof *x);
	if (!x)
		return NULL;
	x->h = h;
	x->shard = s;
	x->refs = 1;
	x->connection = c;
	slx_arena_init(&x->arena, h->mem, SLX_MEM_OTHER, 65536);
	slx_buf_init(&x->body, h->mem, SLX_MEM_OTHER, SIZE_MAX / 4);
	slx_buf_init(&x->answer, h->mem, SLX_MEM_OTHER, SIZE_MAX / 4);
	size_t n = strlen(uri);
	char *copy = slx_arena_alloc(&x->arena, n + 1, 1); /* MHD writes over its own */
	if (!copy) {
		slx_free(h->mem, SLX_MEM_OTHER, x, sizeof *x);
		return NULL;
	}
	memcpy(copy, uri, n + 1);
	x->target = (struct slx_str){ copy, n };
	atomic_fetch_add_explicit(&h->exchanges, 1, memory_order_relaxed);
	return x;
}

void slx_http_exchange_unref(struct slx_http_exchange *x)
{
	if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct slx_http *h = x->h;
	if (x->response)
		MHD_destroy_response(x->response);
	if (x->stream)
		slx_http_stream_free(x->stream, h->mem);
	atomic_fetch_sub_explicit(&h->upload_used, x->booked, memory_order_relaxed);
	slx_buf_free(&x->body);
	slx_buf_free(&x->answer);
	slx_arena_clear(&x->arena);
	slx_free(h->mem, SLX_MEM_OTHER, x, sizeof *x);
	atomic_fetch_sub_explicit(&h->exchanges, 1, memory_order_release);
}

bool slx_http_book(struct slx_http_exchange *x, size_t bytes)
{
	struct slx_http *h = x->h;
	uint64_t now = atomic_fetch_add_explicit(&h->upload_used, bytes, memory_order_relaxed) + bytes;
	if (now > h->o.upload_memory) {
		atomic_fetch_sub_explicit(&h->upload_used, bytes, memory_order_relaxed);
		return false;
	}
	x->booked += bytes;
	return true;
}

/* --- what a handler asks ---------------------------------------------------------------------------------------- */

struct slx_str slx_http_method(const struct slx_http_exchange *x) { return slx_str(x->method); }
struct slx_str slx_http_path(const struct slx_http_exchange *x) { return x->path; }
struct slx_str slx_http_body(const struct slx_http_exchange *x) { return (struct slx_str){ x->body.p ? (const char *)x->body.p : "", x->body.n }; }
struct slx_str slx_http_tenant(const struct slx_http_exchange *x) { return x->tenant; }
const char *slx_http_request_id(const struct slx_http_exchange *x) { return x->request_id; }
const char *slx_http_trace_id(const struct slx_http_exchange *x) { return x->trace_id; }
struct slx_arena *slx_http_arena(struct slx_http_exchange *x) { return &x->arena; }
const _Atomic bool *slx_http_canceled(const struct slx_http_exchange *x) { return &x->canceled; }
struct slx_core *slx_http_core(const struct slx_http_exchange *x) { return x->h->core; }

struct slx_str slx_http_segment(const struct slx_http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->found.n_segments; i++)
		if (slx_str_eq(x->found.segments[i].name, slx_str(name)))
			return x->found.segments[i].value;
	return (struct slx_str){ NULL, 0 };
}

struct slx_str slx_http_header(const struct slx_http_exchange *x, const char *name)
{
	const char *v = NULL;
	size_t n = 0;
	if (!x->stream && MHD_lookup_connection_value_n(x->connection, MHD_HEADER_KIND, name, strlen(name), &v, &n) == MHD_YES && v)
		return (struct slx_str){ v, n };
	return (struct slx_str){ NULL, 0 };
}

struct slx_str slx_http_param(const struct slx_http_exchange *x, const char *name, size_t i)
{
	size_t n = strlen(name);
	for (size_t k = 0; k < x->params.n; k++) {
		const struct slx_http_pair *p = &x->params.v[k];
		if (p->name.n == n && memcmp(p->name.p, name, n) == 0 && i-- == 0)
			return p->value;
	}
	return (struct slx_str){ NULL, 0 };
}
