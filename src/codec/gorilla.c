/* Gorilla (Pelkonen et al., "Gorilla: a fast, scalable, in-memory time series database", VLDB 2015): delta of delta for
 * timestamps, XOR with the value before for values. The paper interleaves both in one bit stream; here each column has
 * its own, with the same bits, so that one can be read without the other. Bits are written most significant first.
 *
 * Timestamps: 64 bits first; then for each the change D of the difference to the one before (the first difference is
 * taken against 0), wrapping:
 *   0                      D = 0
 *   10    7 bits  D + 63         -63..64
 *   110   9 bits  D + 255       -255..256
 *   1110 12 bits  D + 2047     -2047..2048
 *   1111 64 bits  D
 * (the paper ends with 32 bits: enough for its seconds, not for nanoseconds)
 *
 * Values: 64 bits first; then for each X = bits XOR bits before:
 *   0                                                  X = 0
 *   10  the meaningful bits                            they fit the window of the last "11"
 *   11  5 bits leading zeros (at most 31), 6 bits length - 1, the meaningful bits
 */
#include "base/bytes.h"
#include "codec/codec.h"

struct writer {
	uint8_t *p, *end;
	uint64_t acc;
	unsigned fill; /* bits in acc, at its top */
	bool full;
};

static inline void put(struct writer *w, uint64_t bits, unsigned n)
{
	unsigned room = 64 - w->fill;
	if (n < room) {
		w->acc |= bits << (room - n);
		w->fill += n;
		return;
	}
	w->acc |= bits >> (n - room);
	if (w->end - w->p < 16) { /* this word and the last one */
		w->full = true;
		w->p = w->end - 16;
	}
	slx_store64(w->p, __builtin_bswap64(w->acc));
	w->p += 8;
	w->fill = n - room;
	w->acc = w->fill ? bits << (64 - w->fill) : 0;
}

static size_t finish(struct writer *w, const uint8_t *out)
{
	for (; w->fill; w->fill = w->fill > 8 ? w->fill - 8 : 0, w->acc <<= 8)
		*w->p++ = (uint8_t)(w->acc >> 56);
	return w->full ? 0 : (size_t)(w->p - out);
}

struct reader {
	const uint8_t *p, *end;
	uint64_t acc;  /* next bits at its top, zeros below */
	unsigned have; /* bits in acc */
	bool bad;
};

/* At least 57 bits, or all there are. */
static inline void refill(struct reader *r)
{
	if (r->end - r->p >= 8 && r->have < 64) {
		r->acc |= __builtin_bswap64(slx_load64(r->p)) >> r->have;
		unsigned bytes = (63 - r->have) >> 3;
		r->p += bytes;
		r->have += bytes * 8;
		return;
	}
	for (; r->have <= 56 && r->p < r->end; r->have += 8)
		r->acc |= (uint64_t)*r->p++ << (56 - r->have);
}

/* n: 0..56 after a refill. */
static inline uint64_t get(struct reader *r, unsigned n)
{
	if (n == 0)
		return 0;
	if (n > r->have) {
		r->bad = true;
		r->have = 0;
		r->acc = 0;
		return 0;
	}
	uint64_t v = r->acc >> (64 - n);
	r->acc <<= n;
	r->have -= n;
	return v;
}

static inline uint64_t get_long(struct reader *r, unsigned n) /* n: 0..64, refills */
{
	refill(r);
	if (n <= 56)
		return get(r, n);
	uint64_t hi = get(r, 32);
	refill(r);
	return hi << (n - 32) | get(r, n - 32);
}

/* Room for the last words included, so that the writer looks at its end once in 64 bits. */
size_t slx_gorilla_bound(size_t n) { return 8 + (n * (2 + 5 + 6 + 64) + 7) / 8 + 16; }
size_t slx_gorilla_ts_bound(size_t n) { return 8 + (n * (4 + 64) + 7) / 8 + 16; }

size_t slx_gorilla_encode(const double *v, size_t n, uint8_t *out, size_t cap)
{
	if (n == 0 || cap < 8 + 16)
		return 0;
	struct writer w = { .p = out, .end = out + cap };
	uint64_t last = slx_f64_bits(v[0]);
	unsigned lead = 64, trail = 0; /* no window yet: nothing fits 64 leading zeros */
	put(&w, last, 64);
	for (size_t i = 1; i < n; i++) {
		uint64_t x = slx_f64_bits(v[i]) ^ last;
		last ^= x;
		if (x == 0) {
			put(&w, 0, 1);
			continue;
		}
		unsigned l = (unsigned)__builtin_clzll(x), t = (unsigned)__builtin_ctzll(x);
		l = l > 31 ? 31 : l;
		if (l >= lead && t >= trail) {
			put(&w, 2, 2);
			put(&w, x >> trail, 64 - lead - trail);
			continue;
		}
		lead = l;
		trail = t;
		put(&w, (UINT64_C(3) << 11) | (uint64_t)l << 6 | (63 - l - t), 13);
		put(&w, x >> t, 64 - l - t);
	}
	return finish(&w, out);
}

silex_status slx_gorilla_decode(const uint8_t *in, size_t len, double *v, size_t n, silex_error *err)
{
	struct reader r = { .p = in, .end = in + len };
	uint64_t last = n ? get_long(&r, 64) : 0;
	unsigned lead = 0, size = 0;
	for (size_t i = 0; i < n && !r.bad; i++) {
		v[i] = slx_bits_f64(last);
		if (i + 1 == n)
			break;
		refill(&r);
		if (get(&r, 1) == 0)
			continue;
		if (get(&r, 1)) {
			lead = (unsigned)get(&r, 5);
			size = (unsigned)get(&r, 6) + 1;
		}
		if (size == 0 || lead + size > 64)
			return slx_err(err, SILEX_CORRUPT, "gorilla: window of %u+%u bits at value %zu", lead, size, i + 1);
		last ^= get_long(&r, size) << (64 - lead - size);
	}
	if (r.bad)
		return slx_err(err, SILEX_CORRUPT, "gorilla: values end early, %zu bytes for %zu values", len, n);
	return SILEX_OK;
}

size_t slx_gorilla_ts_encode(const int64_t *ts, size_t n, uint8_t *out, size_t cap)
{
	if (n == 0 || cap < 8 + 16)
		return 0;
	struct writer w = { .p = out, .end = out + cap };
	uint64_t last = (uint64_t)ts[0], delta = 0;
	put(&w, last, 64);
	for (size_t i = 1; i < n; i++) {
		uint64_t d = (uint64_t)ts[i] - last;
		int64_t dd = (int64_t)(d - delta);
		last = (uint64_t)ts[i];
		delta = d;
		if (dd == 0)
			put(&w, 0, 1);
		else if (dd >= -63 && dd <= 64)
			put(&w, UINT64_C(2) << 7 | (uint64_t)(dd + 63), 9);
		else if (dd >= -255 && dd <= 256)
			put(&w, UINT64_C(6) << 9 | (uint64_t)(dd + 255), 12);
		else if (dd >= -2047 && dd <= 2048)
			put(&w, UINT64_C(14) << 12 | (uint64_t)(dd + 2047), 16);
		else {
			put(&w, 15, 4);
			put(&w, (uint64_t)dd, 64);
		}
	}
	return finish(&w, out);
}

static uint64_t get_change(struct reader *r)
{
	static const struct { uint8_t bits; uint16_t bias; } form[3] = { { 7, 63 }, { 9, 255 }, { 12, 2047 } };
	refill(r);
	if (get(r, 1) == 0)
		return 0;
	for (int f = 0; f < 3; f++)
		if (get(r, 1) == 0)
			return get(r, form[f].bits) - form[f].bias;
	return get_long(r, 64);
}

silex_status slx_gorilla_ts_decode(const uint8_t *in, size_t len, int64_t *ts, size_t n, silex_error *err)
{
	struct reader r = { .p = in, .end = in + len };
	uint64_t at = n ? get_long(&r, 64) : 0, delta = 0;
	for (size_t i = 0; i < n && !r.bad; i++) {
		ts[i] = (int64_t)at;
		if (i + 1 < n)
			at += delta += get_change(&r);
	}
	if (r.bad)
		return slx_err(err, SILEX_CORRUPT, "gorilla: timestamps end early, %zu bytes for %zu", len, n);
	return SILEX_OK;
}

size_t slx_gorilla_chunk_bound(size_t n)
{
	return SLX_VARINT_SIZE_MAX + slx_gorilla_ts_bound(n) + slx_gorilla_bound(n);
}

size_t slx_gorilla_chunk_encode(const int64_t *ts, const double *v, size_t n, uint8_t *out, size_t cap)
{
	enum { HEAD = 3 }; /* fixed room for the size: 8192 timestamps take less than 2^21 bytes */
	if (n == 0 || n > SLX_CHUNK_MAX || cap < HEAD)
		return 0;
	size_t ts_size = slx_gorilla_ts_encode(ts, n, out + HEAD, cap - HEAD);
	if (ts_size == 0)
		return 0;
	out[0] = (uint8_t)(ts_size | 128);
	out[1] = (uint8_t)(ts_size >> 7 | 128);
	out[2] = (uint8_t)(ts_size >> 14);
	size_t v_size = slx_gorilla_encode(v, n, out + HEAD + ts_size, cap - HEAD - ts_size);
	return v_size ? HEAD + ts_size + v_size : 0;
}

silex_status slx_gorilla_chunk_decode(const uint8_t *in, size_t len, int64_t *ts, double *v, size_t n,
	silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	uint64_t ts_size = slx_rd_varint(&r);
	const uint8_t *ts_bytes = slx_rd_bytes(&r, ts_size);
	if (r.bad)
		return slx_err(err, SILEX_CORRUPT, "gorilla: chunk of %zu bytes is shorter than its timestamps", len);
	SLX_TRY(slx_gorilla_ts_decode(ts_bytes, ts_size, ts, n, err));
	return slx_gorilla_decode(r.p, slx_rd_left(&r), v, n, err);
}
