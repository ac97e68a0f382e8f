/* Little-endian loads and stores, varints, and a checked reader over bytes that came from outside. */
#ifndef SLX_BASE_BYTES_H
#define SLX_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Silex stores little-endian and runs on such hosts only");

static inline uint16_t slx_load16(const void *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t slx_load32(const void *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t slx_load64(const void *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static inline double slx_load_f64(const void *p) { double v; memcpy(&v, p, sizeof v); return v; }
static inline void slx_store16(void *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void slx_store32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void slx_store64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }
static inline void slx_store_f64(void *p, double v) { memcpy(p, &v, sizeof v); }

static inline uint64_t slx_f64_bits(double v) { uint64_t b; memcpy(&b, &v, sizeof b); return b; }
static inline double slx_bits_f64(uint64_t b) { double v; memcpy(&v, &b, sizeof v); return v; }

static inline uint64_t slx_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t slx_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

enum { SLX_VARINT_SIZE_MAX = 10 };

/* LEB128. p has room for SLX_VARINT_SIZE_MAX bytes; returns the end. */
static inline uint8_t *slx_put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 128) {
		*p++ = (uint8_t)(v | 128);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* A cursor over foreign bytes. Each slx_rd_* checks the room left; once one fails, `bad` stays set and the rest
 * return zeros, so that a decoder may read a whole header and test `bad` once. */
struct slx_rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct slx_rd slx_rd_init(const void *p, size_t n)
{
	return (struct slx_rd){ .p = p, .end = (const uint8_t *)p + n };
}

static inline size_t slx_rd_left(const struct slx_rd *r) { return (size_t)(r->end - r->p); }

/* n bytes, or NULL (and bad) when fewer are left. */
static inline const uint8_t *slx_rd_bytes(struct slx_rd *r, size_t n)
{
	if (r->bad || slx_rd_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	return p;
}

static inline uint8_t slx_rd_u8(struct slx_rd *r) { const uint8_t *p = slx_rd_bytes(r, 1); return p ? *p : 0; }
static inline uint16_t slx_rd_u16(struct slx_rd *r) { const uint8_t *p = slx_rd_bytes(r, 2); return p ? slx_load16(p) : 0; }
static inline uint32_t slx_rd_u32(struct slx_rd *r) { const uint8_t *p = slx_rd_bytes(r, 4); return p ? slx_load32(p) : 0; }
static inline uint64_t slx_rd_u64(struct slx_rd *r) { const uint8_t *p = slx_rd_bytes(r, 8); return p ? slx_load64(p) : 0; }

static inline uint64_t slx_rd_varint(struct slx_rd *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = slx_rd_u8(r);
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

#endif
