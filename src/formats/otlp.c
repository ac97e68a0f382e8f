#include "formats/otlp_int.h"

#include "formats/protobuf.h"

#include <stdio.h>

void *slx_otlp_array(struct slx_otlp_decoder *d, size_t n, size_t each)
{
	if (d->status != SILEX_OK || n == 0)
		return NULL;
	if (n > d->memory_max / each || d->arena->total + n * each > d->memory_max) {
		d->status = slx_err(&d->error, SILEX_INVALID, "the request takes more than %zu MB once decoded; send it in parts", d->memory_max >> 20);
		return NULL;
	}
	void *p = slx_arena_alloc(d->arena, n * each, 8);
	if (p)
		memset(p, 0, n * each);
	else
		d->status = slx_err_oom(&d->error);
	return p;
}

struct slx_str slx_otlp_copy(struct slx_otlp_decoder *d, const void *p, size_t n)
{
	char *to = slx_otlp_array(d, n, 1);
	if (!to)
		return (struct slx_str){ "", 0 };
	memcpy(to, p, n);
	return (struct slx_str){ to, n };
}

struct slx_str slx_otlp_text(struct slx_otlp_decoder *d, const struct slx_buf *b)
{
	if (b->failed && d->status == SILEX_OK)
		d->status = slx_err_oom(&d->error);
	return slx_otlp_copy(d, b->p, b->failed ? 0 : b->n);
}

struct slx_str slx_otlp_hex(struct slx_otlp_decoder *d, struct slx_str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *to = slx_otlp_array(d, bytes.n * 2, 1);
	if (!to)
		return (struct slx_str){ "", 0 };
	for (size_t i = 0; i < bytes.n; i++) {
		to[2 * i] = digits[(uint8_t)bytes.p[i] >> 4];
		to[2 * i + 1] = digits[(uint8_t)bytes.p[i] & 15];
	}
	return (struct slx_str){ to, bytes.n * 2 };
}

void slx_otlp_put_json_string(struct slx_buf *b, struct slx_str s)
{
	char escape[8];
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if (c == '"' || c == '\\') {
			slx_buf_u8(b, '\\');
			slx_buf_u8(b, c);
		} else if (c < 0x20) {
			slx_buf_put(b, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
		} else {
			slx_buf_u8(b, c);
		}
	}
	slx_buf_u8(b, '"');
}

void slx_otlp_put_base64(struct slx_buf *b, struct slx_str s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;
		size_t left = s.n - i < 3 ? s.n - i : 3;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < left ? (uint8_t)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			slx_buf_u8(b, k <= left ? (uint8_t)digits[v >> (18 - 6 * k) & 63] : '=');
	}
}

/* ---- answers ---- */

static void put_json_member(struct slx_buf *out, const char *name, const char *value)
{
	slx_otlp_put_json_string(out, slx_str(name));
	slx_buf_u8(out, ':');
	slx_otlp_put_json_string(out, slx_str(value));
}

void slx_otlp_encode_response(struct slx_buf *out, bool json, uint64_t rejected, const char *message)
{
	char head[80];
	bool partial = rejected || (message && *message);
	if (json && !partial) {
		slx_buf_put(out, "{}", 2);
	} else if (json) { /* int64 is a string in protobuf's JSON */
		slx_buf_put(out, head, (size_t)snprintf(head, sizeof head, "{\"partialSuccess\":{\"rejectedDataPoints\":\"%llu\",", (unsigned long long)rejected));
		put_json_member(out, "errorMessage", message ? message : "");
		slx_buf_put(out, "}}", 2);
	} else if (partial) { /* 1: ExportMetricsPartialSuccess { 1: rejected_data_points, 2: error_message } */
		struct slx_buf inner;
		slx_buf_init(&inner, out->mem, out->use, 1 << 20);
		slx_pb_put_varint(&inner, 1, rejected);
		if (message && *message)
			slx_pb_put_bytes(&inner, 2, message, strlen(message));
		slx_pb_put_bytes(out, 1, inner.p, inner.n);
		out->failed |= inner.failed;
		slx_buf_free(&inner);
	}
}

void slx_otlp_encode_status(struct slx_buf *out, bool json, int code, const char *message)
{
	char head[40];
	if (json) {
		slx_buf_put(out, head, (size_t)snprintf(head, sizeof head, "{\"code\":%d,", code));
		put_json_member(out, "message", message);
		slx_buf_u8(out, '}');
	} else { /* google.rpc.Status { 1: code, 2: message } */
		slx_pb_put_varint(out, 1, (uint64_t)code);
		slx_pb_put_bytes(out, 2, message, strlen(message));
	}
}
