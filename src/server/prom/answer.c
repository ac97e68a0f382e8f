/* How answers and errors look. */
#include "server/prom/prom_int.h"

#include <stdio.h>

enum {
	PIECE_SIZE = 2 << 20,             /* larger answers are sent in pieces of this size */
	PIECE_SIZE_MAX = 256 << 20,       /* one series between two spills */
};

static const struct {
	const char *name;
	unsigned http_status;
} errors[SLX_PROM_ERRORS] = {
	[SLX_PROM_TIMEOUT] = { "timeout", 503 },
	[SLX_PROM_CANCELED] = { "canceled", 499 },
	[SLX_PROM_EXECUTION] = { "execution", 422 },
	[SLX_PROM_BAD_DATA] = { "bad_data", 400 },
	[SLX_PROM_INTERNAL] = { "internal", 500 },
	[SLX_PROM_UNAVAILABLE] = { "unavailable", 503 },
	[SLX_PROM_NOT_FOUND] = { "not_found", 404 },
	[SLX_PROM_NOT_IMPLEMENTED] = { "not_implemented", 501 },
};

/* ---- answers ---- */

void slx_answer_init(struct slx_answer *a, struct slx_prom *p, struct slx_http_exchange *x, const char *content_type)
{
	*a = (struct slx_answer){ .x = x, .content_type = content_type };
	slx_buf_init(&a->b, p->core->mem, SLX_MEM_QUERY, PIECE_SIZE_MAX);
	slx_buf_reserve(&a->b, 4096);
}

bool slx_answer_spill(struct slx_answer *a)
{
	if (a->gone)
		return false;
	if (a->b.failed || a->b.n < PIECE_SIZE)
		return true;
	if (!a->streaming) {
		a->streaming = slx_http_stream_begin(a->x, 200, a->content_type);
		a->gone = !a->streaming;
	}
	a->gone = a->gone || !slx_http_stream_write(a->x, a->b.p, a->b.n);
	slx_buf_reset(&a->b);
	return !a->gone;
}

void slx_answer_end(struct slx_answer *a)
{
	if (a->streaming) {
		if (!a->gone && !a->b.failed)
			slx_http_stream_write(a->x, a->b.p, a->b.n);
		slx_http_stream_end(a->x);
	} else if (a->b.failed) {
		slx_prom_fail(a->x, SLX_PROM_EXECUTION, "the answer does not fit into memory");
	} else {
		slx_http_reply(a->x, 200, a->content_type, &a->b);
	}
	slx_buf_free(&a->b);
}

void slx_answer_begin_json(struct slx_answer *a, struct slx_prom *p, struct slx_http_exchange *x)
{
	slx_answer_init(a, p, x, "application/json");
	SLX_JSON_LITERAL(&a->b, "{\"status\":\"success\",\"data\":");
}

static void put_texts(struct slx_buf *b, const struct slx_str *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		slx_buf_u8(b, i ? ',' : '[');
		slx_json_text(b, texts[i]);
	}
	slx_buf_u8(b, ']');
}

void slx_answer_end_json(struct slx_answer *a, const struct slx_str *warnings, size_t n_warnings, const struct slx_str *infos, size_t n_infos)
{
	if (n_warnings) {
		SLX_JSON_LITERAL(&a->b, ",\"warnings\":");
		put_texts(&a->b, warnings, n_warnings);
	}
	if (n_infos) {
		SLX_JSON_LITERAL(&a->b, ",\"infos\":");
		put_texts(&a->b, infos, n_infos);
	}
	slx_buf_u8(&a->b, '}');
	slx_answer_end(a);
}

/* ---- errors ---- */

static void fail(struct slx_http_exchange *x, unsigned http_status, const char *type, const char *message)
{
	struct slx_buf b;
	slx_buf_init(&b, slx_http_arena(x)->mem, SLX_MEM_QUERY, 64 << 10);
	SLX_JSON_LITERAL(&b, "{\"status\":\"error\",\"errorType\":");
	slx_json_text(&b, slx_str(type));
	SLX_JSON_LITERAL(&b, ",\"error\":");
	slx_json_text(&b, slx_str(message));
	slx_buf_u8(&b, '}');
	if (b.failed)
		slx_http_reply_text(x, 503, "text/plain; charset=utf-8", "out of memory\n");
	else
		slx_http_reply(x, http_status, "application/json", &b);
	slx_buf_free(&b);
}

const char *slx_prom_error_name(enum slx_prom_error type) { return errors[type].name; }

void slx_prom_fail(struct slx_http_exchange *x, enum slx_prom_error type, const char *message)
{
	fail(x, errors[type].http_status, errors[type].name, message);
}

void slx_prom_fail_param(struct slx_http_exchange *x, const char *name, const silex_error *err)
{
	char text[sizeof err->message + 64];
	snprintf(text, sizeof text, "invalid parameter \"%s\": %s", name, err->message);
	slx_prom_fail(x, err->code == SILEX_INVALID ? SLX_PROM_BAD_DATA : slx_prom_error_of(err->code), text);
}

enum slx_prom_error slx_prom_error_of(silex_status status)
{
	switch (status) {
	case SILEX_INVALID:
	case SILEX_UNSUPPORTED:
		return SLX_PROM_BAD_DATA;
	case SILEX_CANCELED:
		return SLX_PROM_CANCELED;
	case SILEX_DEADLINE_EXCEEDED:
		return SLX_PROM_TIMEOUT;
	case SILEX_CONFLICT:           /* what Prometheus calls an error of execution */
	case SILEX_RESOURCE_EXHAUSTED: /* asking again would not help */
		return SLX_PROM_EXECUTION;
	case SILEX_UNAVAILABLE:
		return SLX_PROM_UNAVAILABLE;
	case SILEX_NOT_FOUND:
		return SLX_PROM_NOT_FOUND;
	default:
		return SLX_PROM_INTERNAL;
	}
}

void slx_prom_route_error(struct slx_http_exchange *x, unsigned http_status, const char *message, unsigned retry_after)
{
	const char *type = http_status == 404 ? "not_found" : http_status == 503 || http_status == 429 ? "unavailable" : http_status >= 500 ? "internal"
		: http_status == 406 ? "not_acceptable" : "bad_data";
	if (retry_after) {
		char seconds[16];
		snprintf(seconds, sizeof seconds, "%u", retry_after);
		slx_http_set_header(x, "Retry-After", seconds);
	}
	fail(x, http_status, type, message);
}
