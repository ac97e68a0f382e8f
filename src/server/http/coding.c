/* gzip, deflate and zstd of whole bodies and of streams. */
#include "server/http/http_int.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { STEP = 64 << 10, WINDOW_LOG_MAX = 23 }; /* zstd: windows up to 8 MB, as RFC 8878 recommends */

enum slx_http_coding slx_http_coding_of(struct slx_str s)
{
	static const struct {
		const char *name;
		enum slx_http_coding coding;
	} names[] = { { "gzip", SLX_CODING_GZIP }, { "x-gzip", SLX_CODING_GZIP }, { "deflate", SLX_CODING_DEFLATE }, { "zstd", SLX_CODING_ZSTD },
		{ "identity", SLX_CODING_NONE }, { "", SLX_CODING_NONE } };
	if (!s.p)
		return SLX_CODING_NONE;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i].name) == s.n && strncasecmp(names[i].name, s.p, s.n) == 0)
			return names[i].coding;
	return SLX_CODING_UNKNOWN;
}

/* --- decoding --------------------------------------------------------------------------------------------------- */

struct room {
	bool (*more)(void *arg, size_t bytes);
	void *arg;
	struct slx_buf *out;
	silex_error *err;
};

/* Space to write into: at least one byte, *ret_n of them. */
static silex_status make_room(struct room *r, uint8_t **ret, size_t *ret_n)
{
	struct slx_buf *b = r->out;
	if (b->n == b->cap) {
		size_t left = b->size_max - b->n, more = b->cap < STEP ? STEP : b->cap; /* doubling */
		more = more < left ? more : left;
		if (more == 0)
			return slx_err(r->err, SILEX_RESOURCE_EXHAUSTED, "larger than %zu bytes after decompression", b->size_max);
		if (!r->more(r->arg, more))
			return slx_err(r->err, SILEX_UNAVAILABLE, "no memory for request bodies is left");
		if (!slx_buf_reserve(b, more))
			return slx_err_oom(r->err);
	}
	size_t n = b->cap < b->size_max ? b->cap - b->n : b->size_max - b->n;
	if (n == 0)
		return slx_err(r->err, SILEX_RESOURCE_EXHAUSTED, "larger than %zu bytes after decompression", b->size_max);
	*ret = b->p + b->n;
	*ret_n = n;
	return SILEX_OK;
}

/* Members may follow each other (RFC 1952). Raw deflate is taken for "deflate" too, as browsers do. */
static silex_status inflate_all(struct room *r, bool gzip, const uint8_t *p, size_t n)
{
	bool raw = !gzip && n > 0 && ((p[0] & 15) != 8 || (n > 1 && (p[0] * 256 + p[1]) % 31 != 0));
	z_stream z = { .next_in = (Bytef *)p, .avail_in = (uInt)n };
	silex_status st = SILEX_OK;
	int rc = Z_OK;
	if (inflateInit2(&z, gzip ? 15 + 16 : raw ? -15 : 15) != Z_OK)
		return slx_err_oom(r->err);
	while (st == SILEX_OK) {
		uint8_t *to = NULL;
		size_t room = 0;
		if (rc == Z_STREAM_END) {
			if (!gzip || z.avail_in == 0 || inflateReset(&z) != Z_OK)
				break;
		}
		st = make_room(r, &to, &room);
		if (st != SILEX_OK)
			break;
		z.next_out = to;
		z.avail_out = (uInt)room;
		rc = inflate(&z, Z_NO_FLUSH);
		r->out->n += room - z.avail_out;
		if (rc == Z_MEM_ERROR)
			st = slx_err_oom(r->err);
		else if (rc != Z_STREAM_END && (rc != Z_OK || (z.avail_in == 0 && z.avail_out)))
			st = slx_err(r->err, SILEX_INVALID, "not %s: %s", gzip ? "gzip" : "deflate",
				rc == Z_OK || rc == Z_BUF_ERROR ? "it ends too early" : z.msg ? z.msg : "damaged");
	}
	inflateEnd(&z);
	return st;
}

static silex_status unzstd_all(struct room *r, const uint8_t *p, size_t n)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer in = { p, n, 0 };
	silex_status st = SILEX_OK;
	size_t rc = 1;
	if (!d)
		return slx_err_oom(r->err);
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	while (st == SILEX_OK && (in.pos < n || rc != 0)) {
		ZSTD_outBuffer out = { 0 };
		uint8_t *to = NULL;
		st = make_room(r, &to, &out.size);
		if (st != SILEX_OK)
			break;
		out.dst = to;
		size_t before = in.pos;
		rc = ZSTD_decompressStream(d, &out, &in);
		r->out->n += out.pos;
		if (ZSTD_isError(rc))
			st = slx_err(r->err, SILEX_INVALID, "not zstd: %s", ZSTD_getErrorName(rc));
		else if (rc != 0 && in.pos == n && in.pos == before && out.pos < out.size)
			st = slx_err(r->err, SILEX_INVALID, "not zstd: it ends too early");
	}
	ZSTD_freeDCtx(d);
	return st;
}

silex_status slx_http_decode(enum slx_http_coding c, const void *p, size_t n, bool (*more)(void *arg, size_t bytes), void *arg, struct slx_buf *out,
	silex_error *err)
{
	struct room r = { more, arg, out, err };
	if (c == SLX_CODING_ZSTD)
		return unzstd_all(&r, p, n);
	return inflate_all(&r, c == SLX_CODING_GZIP, p, n);
}

/* --- encoding: the fastest levels, for answers are made while the client waits ---------------------------------- */

struct slx_http_encoder {
	enum slx_http_coding coding;
	z_stream z;
	ZSTD_CCtx *zstd;
};

struct slx_http_encoder *slx_http_encoder_new(enum slx_http_coding c)
{
	struct slx_http_encoder *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->coding = c;
	if (c == SLX_CODING_ZSTD) {
		e->zstd = ZSTD_createCCtx();
		if (e->zstd)
			ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, 1);
	}
	if (c == SLX_CODING_ZSTD ? e->zstd != NULL : deflateInit2(&e->z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK)
		return e;
	free(e);
	return NULL;
}

void slx_http_encoder_free(struct slx_http_encoder *e)
{
	if (!e)
		return;
	if (e->coding == SLX_CODING_ZSTD)
		ZSTD_freeCCtx(e->zstd);
	else
		deflateEnd(&e->z);
	free(e);
}

void slx_http_encoder_reset(struct slx_http_encoder *e)
{
	if (e->coding == SLX_CODING_ZSTD)
		ZSTD_CCtx_reset(e->zstd, ZSTD_reset_session_only);
	else
		deflateReset(&e->z);
}

static bool zip(struct slx_http_encoder *e, const void *p, size_t n, bool finish, struct slx_buf *out)
{
	e->z.next_in = (Bytef *)p;
	e->z.avail_in = (uInt)n;
	for (int rc = Z_OK; e->z.avail_in || (finish && rc != Z_STREAM_END);) {
		uint8_t *to = slx_buf_reserve(out, 4096);
		if (!to)
			return false;
		size_t room = out->cap - out->n;
		e->z.next_out = to;
		e->z.avail_out = (uInt)room;
		rc = deflate(&e->z, finish ? Z_FINISH : Z_NO_FLUSH);
		out->n += room - e->z.avail_out;
	}
	return true;
}

bool slx_http_encode(struct slx_http_encoder *e, const void *p, size_t n, bool finish, struct slx_buf *out)
{
	if (e->coding == SLX_CODING_GZIP)
		return zip(e, p, n, finish, out);
	ZSTD_inBuffer in = { p, n, 0 };
	for (size_t rc = 1; in.pos < n || (finish && rc != 0);) {
		uint8_t *to = slx_buf_reserve(out, 4096);
		if (!to)
			return false;
		ZSTD_outBuffer o = { to, out->cap - out->n, 0 };
		rc = ZSTD_compressStream2(e->zstd, &o, &in, finish ? ZSTD_e_end : ZSTD_e_continue);
		out->n += o.pos;
		if (ZSTD_isError(rc))
			return false;
	}
	return true;
}
