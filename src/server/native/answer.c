/* Answers and the pieces they are written of. */
#include "server/native/native_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "formats/formats.h"

enum { PIECE_SIZE = 1 << 20, PIECE_SIZE_MAX = 256 << 20 };

void slx_native_answer_begin(struct slx_native_answer *a, struct slx_native *n, struct slx_http_exchange *x, const char *content_type)
{
	*a = (struct slx_native_answer){ .x = x, .content_type = content_type };
	slx_buf_init(&a->b, n->core->mem, SLX_MEM_QUERY, PIECE_SIZE_MAX);
}

bool slx_native_answer_spill(struct slx_native_answer *a)
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

void slx_native_answer_end(struct slx_native_answer *a)
{
	silex_error err;
	if (a->streaming) {
		if (!a->gone && !a->b.failed)
			slx_http_stream_write(a->x, a->b.p, a->b.n);
		slx_http_stream_end(a->x);
	} else if (a->b.failed) {
		slx_err(&err, SILEX_RESOURCE_EXHAUSTED, "the answer does not fit into memory");
		slx_native_fail(a->x, &err);
	} else {
		slx_http_reply(a->x, 200, a->content_type, &a->b);
	}
	slx_buf_free(&a->b);
}

void slx_native_answer_drop(struct slx_native_answer *a) { slx_buf_free(&a->b); }

void slx_native_put_text(struct slx_buf *b, const char *z) { slx_buf_put(b, z, strlen(z)); }

void slx_native_put(struct slx_buf *b, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void slx_native_put_real(struct slx_buf *b, double v)
{
	if (isfinite(v))
		slx_encode_f64(b, v);
	else
		slx_native_put_text(b, "null");
}
