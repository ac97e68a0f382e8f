/* docs/format/silence.md:
 *
 *     silence           u8 1, i64 starts, i64 ends, i64 updated, varint n, match, varint n, author, varint n, comment
 *     acknowledgement   u8 1, i64 active, i64 ends, i64 at, varint n, author, varint n, comment */
#include "rules/silence/silence_int.h"

enum { VERSION = 1 };

static void put_str(struct slx_buf *b, struct slx_str s)
{
	slx_buf_varint(b, s.n);
	slx_buf_put(b, s.p, s.n);
}

static void put_times(struct slx_buf *b, int64_t x, int64_t y, int64_t z)
{
	slx_buf_u8(b, VERSION);
	slx_buf_u64(b, (uint64_t)x);
	slx_buf_u64(b, (uint64_t)y);
	slx_buf_u64(b, (uint64_t)z);
}

void slx_silence_encode(const struct slx_silence *x, struct slx_buf *out)
{
	put_times(out, x->starts_ns, x->ends_ns, x->updated_ns);
	put_str(out, x->match);
	put_str(out, x->author);
	put_str(out, x->comment);
}

void slx_ack_encode(const struct slx_ack *x, struct slx_buf *out)
{
	put_times(out, x->active_ns, x->ends_ns, x->at_ns);
	put_str(out, x->author);
	put_str(out, x->comment);
}

static struct slx_str get_str(struct slx_rd *r, size_t max)
{
	uint64_t n = slx_rd_varint(r);
	const uint8_t *p = n <= max ? slx_rd_bytes(r, (size_t)n) : NULL;
	if (!p)
		r->bad = true;
	return p ? (struct slx_str){ (const char *)p, (size_t)n } : (struct slx_str){ "", 0 };
}

static silex_status ended(const struct slx_rd *r, struct slx_str bytes, const char *what, silex_error *err)
{
	if (!r->bad && r->p == r->end)
		return SILEX_OK;
	return slx_err(err, SILEX_CORRUPT, "%s: not well formed at byte %zu of %zu", what, (size_t)((const char *)r->p - bytes.p), bytes.n);
}

static silex_status get_times(struct slx_rd *r, int64_t *x, int64_t *y, int64_t *z, const char *what, silex_error *err)
{
	unsigned version = slx_rd_u8(r);
	if (!r->bad && version != VERSION)
		return slx_err(err, SILEX_UNSUPPORTED, "%s: version %u; this program reads version %d", what, version, VERSION);
	*x = (int64_t)slx_rd_u64(r);
	*y = (int64_t)slx_rd_u64(r);
	*z = (int64_t)slx_rd_u64(r);
	return SILEX_OK;
}

silex_status slx_silence_decode(struct slx_str bytes, struct slx_silence *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init((const void *)bytes.p, bytes.n);
	SLX_TRY(get_times(&r, &ret->starts_ns, &ret->ends_ns, &ret->updated_ns, "silence", err));
	ret->match = get_str(&r, SLX_VALUE_SIZE_MAX);
	ret->author = get_str(&r, SLX_SILENCE_AUTHOR_MAX);
	ret->comment = get_str(&r, SLX_SILENCE_COMMENT_MAX);
	return ended(&r, bytes, "silence", err);
}

silex_status slx_ack_decode(struct slx_str bytes, struct slx_ack *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init((const void *)bytes.p, bytes.n);
	SLX_TRY(get_times(&r, &ret->active_ns, &ret->ends_ns, &ret->at_ns, "acknowledgement", err));
	ret->author = get_str(&r, SLX_SILENCE_AUTHOR_MAX);
	ret->comment = get_str(&r, SLX_SILENCE_COMMENT_MAX);
	return ended(&r, bytes, "acknowledgement", err);
}
