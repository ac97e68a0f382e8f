/* Errors as application/problem+json: title, status, detail, request_id, and where it applies field, expected, accepted, refused. */
#include "server/native/native_int.h"

#include <stdio.h>

enum { PROBLEM_MAX = 64 << 10, RETRY_S = 5, GOT_SHOWN = 60 };

unsigned slx_native_http_status(silex_status st)
{
	switch (st) {
	case SILEX_OK:
		return 200;
	case SILEX_INVALID:
	case SILEX_UNSUPPORTED:
		return 400;
	case SILEX_NOT_FOUND:
		return 404;
	case SILEX_CONFLICT:
		return 409;
	case SILEX_PERMISSION_DENIED:
		return 403;
	case SILEX_CANCELED:
		return 499;
	case SILEX_DEADLINE_EXCEEDED:
	case SILEX_RESOURCE_EXHAUSTED:
	case SILEX_UNAVAILABLE:
		return 503;
	default:
		return 500;
	}
}

static const char *title_of(unsigned status)
{
	return status == 400 ? "Bad Request" : status == 403 ? "Forbidden" : status == 404 ? "Not Found" : status == 409 ? "Conflict"
		: status == 413 ? "Content Too Large" : status == 415 ? "Unsupported Media Type" : status == 499 ? "Canceled"
		: status == 503 ? "Service Unavailable" : status < 500 ? "Request Refused" : "Internal Server Error";
}

static void put_member(struct slx_buf *b, const char *key, struct slx_str value)
{
	slx_native_put(b, ",\"%s\":", key);
	slx_json_text(b, value);
}

static void begin(struct slx_buf *b, struct slx_http_exchange *x, unsigned status, const char *detail)
{
	slx_buf_init(b, slx_http_core(x)->mem, SLX_MEM_OTHER, PROBLEM_MAX);
	slx_native_put(b, "{\"title\":\"%s\",\"status\":%u", title_of(status), status);
	put_member(b, "detail", slx_str(detail));
}

static void send(struct slx_buf *b, struct slx_http_exchange *x, unsigned status, unsigned retry_after)
{
	char seconds[16];
	put_member(b, "request_id", slx_str(slx_http_request_id(x)));
	slx_native_put_text(b, "}\n");
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	slx_http_reply(x, status, "application/problem+json", b);
}

void slx_native_fail_field(struct slx_http_exchange *x, const char *field, const char *expected, struct slx_str got)
{
	struct slx_buf b;
	char detail[512];
	size_t n = got.n < GOT_SHOWN ? got.n : GOT_SHOWN;
	if (got.p)
		snprintf(detail, sizeof detail, "%s: expected %s, got %.*s%s", field, expected, (int)n, got.p, n < got.n ? "..." : "");
	else
		snprintf(detail, sizeof detail, "%s: expected %s", field, expected);
	begin(&b, x, 400, detail);
	put_member(&b, "field", slx_str(field));
	put_member(&b, "expected", slx_str(expected));
	send(&b, x, 400, 0);
}

void slx_native_fail_of(struct slx_http_exchange *x, const char *field, const silex_error *err)
{
	struct slx_buf b;
	unsigned status = slx_native_http_status(err->code);
	begin(&b, x, status, err->message);
	if (field && status == 400)
		put_member(&b, "field", slx_str(field));
	send(&b, x, status, status == 503 ? RETRY_S : 0);
}

void slx_native_fail(struct slx_http_exchange *x, const silex_error *err) { slx_native_fail_of(x, NULL, err); }

void slx_native_fail_write(struct slx_http_exchange *x, const struct slx_intake_result *r)
{
	struct slx_buf b;
	char detail[2 * SLX_INTAKE_TEXT_SIZE + 160];
	snprintf(detail, sizeof detail, "%llu samples refused, the first of %s: %s; %llu samples stored", (unsigned long long)r->refused,
		r->first_series[0] ? r->first_series : "an unnamed series", r->first_message, (unsigned long long)r->samples);
	begin(&b, x, 400, detail);
	slx_native_put(&b, ",\"accepted\":%llu,\"refused\":%llu", (unsigned long long)r->samples, (unsigned long long)r->refused);
	put_member(&b, "first_series", slx_str(r->first_series));
	put_member(&b, "first_reason", slx_str(r->first_message));
	send(&b, x, 400, 0);
}

void slx_native_put_problem(struct slx_buf *b, const silex_error *err)
{
	unsigned status = slx_native_http_status(err->code);
	slx_native_put(b, "{\"title\":\"%s\",\"status\":%u", title_of(status), status);
	put_member(b, "detail", slx_str(err->message));
	slx_buf_u8(b, '}');
}

void slx_native_route_error(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	struct slx_buf b;
	begin(&b, x, status, message);
	send(&b, x, status, retry_after);
}
