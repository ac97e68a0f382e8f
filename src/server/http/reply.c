/* Answers: whole ones, problems, streams. */
#include "server/http/http_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- headers ---------------------------------------------------------------------------------------------------- */

void slx_http_set_header(struct slx_http_exchange *x, const char *name, const char *value)
{
	size_t n = strlen(name) + 1, v = strlen(value) + 1;
	struct slx_http_header *h = slx_arena_alloc(&x->arena, sizeof *h + n + v, _Alignof(struct slx_http_header));
	if (!h)
		return; /* an answer with a header less; the next allocation fails it */
	h->name = memcpy((char *)(h + 1), name, n);
	h->value = memcpy((char *)(h + 1) + n, value, v);
	h->next = x->headers;
	x->headers = h;
	x->own_coding |= strcasecmp(name, "Content-Encoding") == 0;
}

static void put_cors(struct slx_http_exchange *x, struct MHD_Response *r)
{
	const char *origin = x->h->o.cors_origin;
	char allow[64];
	if (!*origin || !slx_http_header(x, "Origin").p)
		return;
	MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
	MHD_add_response_header(r, "Access-Control-Expose-Headers", "Date, X-Request-Id");
	if (x->method_bit != SLX_METHOD_OPTIONS)
		return;
	slx_http_allow_text(x->found.allow, allow);
	MHD_add_response_header(r, "Access-Control-Allow-Methods", allow);
	MHD_add_response_header(r, "Access-Control-Allow-Headers",
		"Accept, Accept-Encoding, Authorization, Content-Encoding, Content-Type, Origin, X-Request-Id, X-Scope-OrgID");
	MHD_add_response_header(r, "Access-Control-Max-Age", "600");
}

static void finish(struct slx_http_exchange *x, struct MHD_Response *r, unsigned status, const char *type, enum slx_http_coding coding, bool varies)
{
	if (type)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (coding != SLX_CODING_NONE)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, coding == SLX_CODING_GZIP ? "gzip" : "zstd");
	if (varies)
		MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, *x->h->o.cors_origin && strcmp(x->h->o.cors_origin, "*") != 0 ? "Accept-Encoding, Origin" : "Accept-Encoding");
	if (status >= 400)
		MHD_add_response_header(r, "X-Request-Id", x->request_id);
	if (x->refuse_status == 0 && atomic_load_explicit(&x->h->draining, memory_order_relaxed))
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	put_cors(x, r);
	for (struct slx_http_header *h = x->headers; h; h = h->next)
		MHD_add_response_header(r, h->name, h->value);
	x->status = status;
	x->response = r;
}

/* --- compression ------------------------------------------------------------------------------------------------ */

static bool compressible(const char *type)
{
	static const char *const packed[] = { "image/png", "image/jpeg", "font/", "application/gzip", "application/zip", "video/", NULL };
	for (size_t i = 0; type && packed[i]; i++)
		if (strncmp(type, packed[i], strlen(packed[i])) == 0)
			return false;
	return type != NULL;
}

static enum slx_http_coding wanted(struct slx_http_exchange *x)
{
	struct slx_str accept = slx_http_header(x, "Accept-Encoding");
	if (!accept.p)
		return SLX_CODING_NONE;
	int zstd = slx_http_weight(accept, "zstd"), gzip = slx_http_weight(accept, "gzip");
	if (zstd > 0 && zstd >= gzip)
		return SLX_CODING_ZSTD;
	return gzip > 0 ? SLX_CODING_GZIP : SLX_CODING_NONE;
}

/* Each thread that answers keeps its compressors: making one costs more than packing a small answer. */
static pthread_key_t encoders_key;
static pthread_once_t encoders_once = PTHREAD_ONCE_INIT;

struct encoders {
	struct slx_http_encoder *gzip, *zstd;
};

static void free_encoders(void *p)
{
	struct encoders *e = p;
	slx_http_encoder_free(e->gzip);
	slx_http_encoder_free(e->zstd);
	free(e);
}

static void make_key(void) { pthread_key_create(&encoders_key, free_encoders); }

static struct slx_http_encoder *thread_encoder(enum slx_http_coding c)
{
	pthread_once(&encoders_once, make_key);
	struct encoders *e = pthread_getspecific(encoders_key);
	if (!e) {
		e = calloc(1, sizeof *e);
		if (!e || pthread_setspecific(encoders_key, e) != 0) {
			free(e);
			return NULL;
		}
	}
	struct slx_http_encoder **at = c == SLX_CODING_GZIP ? &e->gzip : &e->zstd;
	if (*at)
		slx_http_encoder_reset(*at);
	else
		*at = slx_http_encoder_new(c);
	return *at;
}

/* Packs x->answer; on any failure it stays as it is. Returns the coding applied. */
static enum slx_http_coding pack(struct slx_http_exchange *x)
{
	enum slx_http_coding c = wanted(x);
	struct slx_http_encoder *e = c == SLX_CODING_NONE ? NULL : thread_encoder(c);
	struct slx_buf out;
	if (!e)
		return SLX_CODING_NONE;
	slx_buf_init(&out, x->h->mem, SLX_MEM_OTHER, x->answer.n);
	if (!slx_buf_reserve(&out, x->answer.n / 4 < 4096 ? 4096 < x->answer.n ? 4096 : x->answer.n : x->answer.n / 4)
		|| !slx_http_encode(e, x->answer.p, x->answer.n, true, &out)) {
		slx_buf_free(&out); /* it does not shrink, or there is no memory */
		return SLX_CODING_NONE;
	}
	slx_buf_free(&x->answer);
	x->answer = out;
	return c;
}

/* --- whole answers ---------------------------------------------------------------------------------------------- */

static bool answered(const struct slx_http_exchange *x) { return x->stream || x->ws || x->response; }

void slx_http_reply(struct slx_http_exchange *x, unsigned status, const char *type, struct slx_buf *body)
{
	enum slx_http_coding coding = SLX_CODING_NONE;
	if (answered(x)) {
		slx_buf_free(body);
		return;
	}
	slx_buf_free(&x->answer);
	x->answer = *body;
	slx_buf_init(body, body->mem, body->use, body->size_max);
	if (x->answer.failed) {
		slx_buf_free(&x->answer);
		slx_http_error(x, 503, "out of memory while the answer was made", 5);
		return;
	}
	bool varies = x->answer.n >= SLX_HTTP_COMPRESS_MIN && compressible(type) && !x->own_coding;
	if (varies)
		coding = pack(x);
	struct MHD_Response *r = MHD_create_response_from_buffer(x->answer.n, x->answer.p ? (void *)x->answer.p : (void *)"", MHD_RESPMEM_PERSISTENT);
	if (r)
		finish(x, r, status, type, coding, varies);
}

void slx_http_reply_text(struct slx_http_exchange *x, unsigned status, const char *type, const char *text)
{
	struct slx_buf b;
	slx_buf_init(&b, x->h->mem, SLX_MEM_OTHER, SIZE_MAX / 4);
	slx_buf_put(&b, text, strlen(text));
	slx_http_reply(x, status, type, &b);
}

/* A JSON string. */
static void put_json(struct slx_buf *b, const char *key, const char *s)
{
	char esc[8];
	slx_buf_u8(b, '"');
	slx_buf_put(b, key, strlen(key));
	slx_buf_put(b, "\":\"", 3);
	bool utf8 = slx_utf8_valid(s, strlen(s));
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') {
			slx_buf_u8(b, '\\');
			slx_buf_u8(b, c);
		} else if (c < 32 || (c >= 128 && !utf8))
			slx_buf_put(b, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c < 32 ? c : 0xfffd));
		else
			slx_buf_u8(b, c);
	}
	slx_buf_u8(b, '"');
}

void slx_http_reply_problem(struct slx_http_exchange *x, unsigned status, const char *title, const char *detail)
{
	struct slx_buf b;
	char number[32];
	slx_buf_init(&b, x->h->mem, SLX_MEM_OTHER, 1 << 16);
	slx_buf_u8(&b, '{');
	put_json(&b, "title", title);
	slx_buf_put(&b, number, (size_t)snprintf(number, sizeof number, ",\"status\":%u,", status));
	put_json(&b, "detail", detail);
	slx_buf_u8(&b, ',');
	put_json(&b, "request_id", x->request_id);
	slx_buf_put(&b, "}\n", 2);
	if (b.failed) { /* no memory at all: a bare answer, then */
		slx_buf_free(&b);
		slx_buf_init(&b, x->h->mem, SLX_MEM_OTHER, 0);
	}
	slx_http_reply(x, status, "application/problem+json", &b);
}

void slx_http_error(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	const struct slx_http_route *r = x->found.route;
	char seconds[16];
	if (retry_after) {
		snprintf(seconds, sizeof seconds, "%u", retry_after);
		slx_http_set_header(x, "Retry-After", seconds);
	}
	if (r && r->error)
		r->error(x, status, message, retry_after);
	if (!answered(x))
		slx_http_reply_problem(x, status, MHD_get_reason_phrase_for(status), message);
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

void slx_http_stream_free(struct slx_http_stream *s, struct slx_mem *m)
{
	slx_http_encoder_free(s->encoder);
	slx_buf_free(&s->out);
	slx_buf_free(&s->packed);
	pthread_cond_destroy(&s->drained);
	pthread_mutex_destroy(&s->lock);
	slx_free(m, SLX_MEM_OTHER, s, sizeof *s);
}

void slx_http_stream_gone(struct slx_http_exchange *x)
{
	struct slx_http_stream *s = x->stream;
	pthread_mutex_lock(&s->lock);
	s->gone = true;
	pthread_cond_signal(&s->drained);
	pthread_mutex_unlock(&s->lock);
}

/* MHD asks for bytes, on the I/O thread. None there: the connection sleeps until the handler brings more. */
static ssize_t give(void *cls, uint64_t pos, char *to, size_t max)
{
	struct slx_http_exchange *x = cls;
	struct slx_http_stream *s = x->stream;
	pthread_mutex_lock(&s->lock);
	size_t n = s->out.n - s->off;
	n = n < max ? n : max;
	ssize_t ret = (ssize_t)n;
	if (n) {
		memcpy(to, s->out.p + s->off, n);
		s->off += n;
		if (s->off == s->out.n)
			s->off = s->out.n = 0;
		if (s->out.n - s->off < SLX_HTTP_STREAM_BYTES / 2)
			pthread_cond_signal(&s->drained);
	} else if (s->ended)
		ret = s->out.failed ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
	else {
		s->suspended = true;
		MHD_suspend_connection(x->connection);
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static void give_end(void *cls) { slx_http_exchange_unref(cls); }

bool slx_http_stream_begin(struct slx_http_exchange *x, unsigned status, const char *type)
{
	enum slx_http_coding c = compressible(type) && !x->own_coding ? wanted(x) : SLX_CODING_NONE;
	struct slx_http_stream *s = answered(x) ? NULL : slx_calloc(x->h->mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return false;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->drained, NULL);
	slx_buf_init(&s->out, x->h->mem, SLX_MEM_OTHER, 4 * SLX_HTTP_STREAM_BYTES);
	slx_buf_init(&s->packed, x->h->mem, SLX_MEM_OTHER, 4 * SLX_HTTP_STREAM_BYTES);
	s->encoder = c == SLX_CODING_NONE ? NULL : slx_http_encoder_new(c);
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, give, x, give_end);
	if (!r) {
		slx_http_stream_free(s, x->h->mem);
		return false;
	}
	atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed); /* the response's; give_end drops it */
	finish(x, r, status, type, s->encoder ? c : SLX_CODING_NONE, compressible(type));
	x->stream = s;
	MHD_resume_connection(x->connection);
	slx_http_shard_wake(x->shard);
	return true;
}

/* Waits until there is room; under the lock. false: gone or stalled. */
static bool wait_for_room(struct slx_http_exchange *x, struct slx_http_stream *s)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += x->h->o.stall_timeout_s;
	size_t before = s->off;
	while (s->out.n - s->off >= SLX_HTTP_STREAM_BYTES && !s->gone)
		if (pthread_cond_timedwait(&s->drained, &s->lock, &until) != 0) {
			if (s->off == before)
				break; /* nothing went out in all that time */
			before = s->off;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec += x->h->o.stall_timeout_s;
		}
	if (s->out.n - s->off < SLX_HTTP_STREAM_BYTES && !s->gone)
		return true;
	slx_metric_add(x->h->cut, !s->gone);
	return false;
}

/* Under the lock. */
static void wake(struct slx_http_exchange *x, struct slx_http_stream *s)
{
	if (s->suspended && !s->gone) {
		s->suspended = false;
		MHD_resume_connection(x->connection);
		slx_http_shard_wake(x->shard);
	}
}

static bool push(struct slx_http_exchange *x, const void *p, size_t n)
{
	struct slx_http_stream *s = x->stream;
	const uint8_t *from = p;
	bool ok = true;
	pthread_mutex_lock(&s->lock);
	while (n && ok) {
		ok = !s->out.failed && !atomic_load_explicit(&x->canceled, memory_order_relaxed) && wait_for_room(x, s);
		if (!ok)
			break;
		size_t step = n < SLX_HTTP_STREAM_BYTES ? n : SLX_HTTP_STREAM_BYTES;
		if (s->off) {
			memmove(s->out.p, s->out.p + s->off, s->out.n - s->off);
			s->out.n -= s->off;
			s->off = 0;
		}
		slx_buf_put(&s->out, from, step);
		ok = !s->out.failed;
		from += step;
		n -= step;
		wake(x, s);
	}
	if (!ok)
		s->out.failed = true; /* the end tells the client that the answer is not whole */
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool slx_http_stream_write(struct slx_http_exchange *x, const void *p, size_t n)
{
	struct slx_http_stream *s = x->stream;
	if (!s)
		return false;
	if (!s->encoder)
		return push(x, p, n);
	if (!slx_http_encode(s->encoder, p, n, false, &s->packed)) {
		pthread_mutex_lock(&s->lock);
		s->out.failed = true;
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	bool ok = s->packed.n < 65536 || push(x, s->packed.p, s->packed.n);
	if (s->packed.n >= 65536)
		s->packed.n = 0;
	return ok;
}

void slx_http_stream_end(struct slx_http_exchange *x)
{
	struct slx_http_stream *s = x->stream;
	if (!s)
		return;
	if (s->encoder) { /* once: a second end finds none */
		bool ok = slx_http_encode(s->encoder, "", 0, true, &s->packed);
		if (ok)
			push(x, s->packed.p, s->packed.n);
		slx_http_encoder_free(s->encoder);
		s->encoder = NULL;
	}
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	wake(x, s);
	pthread_mutex_unlock(&s->lock);
}
