/* Protocol Buffers on the wire: a reader of fields over foreign bytes, and a writer into a buffer. No schema: decoders switch on
 * field numbers. The reader never leaves its bytes; after a failure it is at its end and `bad` says what was expected there.
 * Source: protobuf.dev, "Encoding". */
#ifndef SLX_FORMATS_PROTOBUF_H
#define SLX_FORMATS_PROTOBUF_H

#include "base/buf.h"
#include "model/labels.h"

enum slx_pb_wire { SLX_PB_VARINT = 0, SLX_PB_FIXED64 = 1, SLX_PB_BYTES = 2, SLX_PB_FIXED32 = 5 };

struct slx_pb {
	const uint8_t *p, *end;
	const uint8_t *bad_at; /* where the first failure was */
	const char *bad;       /* what was expected; NULL: all well */
};

struct slx_pb_field {
	uint32_t number;
	enum slx_pb_wire wire;
	uint64_t value;      /* VARINT, FIXED64, FIXED32 */
	struct slx_str bytes; /* BYTES */
};

static inline struct slx_pb slx_pb(const void *p, size_t n) { return (struct slx_pb){ p, (const uint8_t *)p + n, NULL, NULL }; }
static inline struct slx_pb slx_pb_of(struct slx_str s) { return slx_pb(s.p, s.n); }

static inline bool slx_pb_fail(struct slx_pb *r, const char *expected)
{
	if (!r->bad) {
		r->bad = expected;
		r->bad_at = r->p;
	}
	r->p = r->end;
	return false;
}

static inline bool slx_pb_varint(struct slx_pb *r, uint64_t *ret)
{
	if (r->p < r->end && *r->p < 0x80) {
		*ret = *r->p++;
		return true;
	}
	uint64_t v = 0;
	const uint8_t *p = r->p;
	for (unsigned shift = 0; p < r->end && shift < 70; shift += 7) {
		uint8_t b = *p++;
		v |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
		if (b < 0x80) {
			r->p = p;
			*ret = v;
			return true;
		}
	}
	return slx_pb_fail(r, "a varint of at most 10 bytes");
}

/* The next field; false at the end, or after a failure (then r->bad). */
static inline bool slx_pb_next(struct slx_pb *r, struct slx_pb_field *ret)
{
	uint64_t tag, n;
	if (r->p == r->end)
		return false;
	const uint8_t *start = r->p;
	if (!slx_pb_varint(r, &tag))
		return false;
	ret->number = (uint32_t)(tag >> 3);
	ret->wire = (enum slx_pb_wire)(tag & 7);
	if (tag >> 3 == 0 || tag >> 32 != 0) {
		r->p = start;
		return slx_pb_fail(r, "a field number from 1 to 536870911");
	}
	switch (tag & 7) {
	case SLX_PB_VARINT:
		return slx_pb_varint(r, &ret->value);
	case SLX_PB_FIXED64:
		if ((size_t)(r->end - r->p) < 8)
			return slx_pb_fail(r, "8 bytes");
		ret->value = slx_load64(r->p);
		r->p += 8;
		return true;
	case SLX_PB_FIXED32:
		if ((size_t)(r->end - r->p) < 4)
			return slx_pb_fail(r, "4 bytes");
		ret->value = slx_load32(r->p);
		r->p += 4;
		return true;
	case SLX_PB_BYTES:
		if (!slx_pb_varint(r, &n))
			return false;
		if (n > (uint64_t)(r->end - r->p))
			return slx_pb_fail(r, "a length inside its message");
		ret->bytes = (struct slx_str){ (const char *)r->p, (size_t)n };
		r->p += n;
		return true;
	default:
		r->p = start;
		return slx_pb_fail(r, "wire type 0, 1, 2 or 5");
	}
}

static inline int64_t slx_pb_zigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* ---- writing ---- */

static inline void slx_pb_put_tag(struct slx_buf *b, uint32_t number, enum slx_pb_wire wire) { slx_buf_varint(b, (uint64_t)number << 3 | wire); }

static inline void slx_pb_put_varint(struct slx_buf *b, uint32_t number, uint64_t v)
{
	slx_pb_put_tag(b, number, SLX_PB_VARINT);
	slx_buf_varint(b, v);
}

static inline void slx_pb_put_fixed64(struct slx_buf *b, uint32_t number, uint64_t v)
{
	slx_pb_put_tag(b, number, SLX_PB_FIXED64);
	slx_buf_u64(b, v);
}

static inline void slx_pb_put_bytes(struct slx_buf *b, uint32_t number, const void *p, size_t n)
{
	slx_pb_put_tag(b, number, SLX_PB_BYTES);
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

#endif
