/* The words of the engine as types: who asks, which kind of value, a sample, a run of samples. */
#ifndef SLX_MODEL_MODEL_H
#define SLX_MODEL_MODEL_H

#include "model/labels.h"
#include "model/time.h"

#include <math.h>

/* ---- who asks ---- */

enum { SLX_TENANT_SIZE_MAX = 150 };

/* [A-Za-z0-9_.-]{1,150}, not "." or "..": INVALID otherwise, naming the first bad character. */
silex_status slx_tenant_check(struct slx_str name, silex_error *err);

/* The engine keeps what belongs to a tenant's series beside them, under the tenant's name, '!' and a word
 * of a-z, 0-9 and . (engine/companion.h, storage/tsdb/rollup.h).
 * Nobody else names such a tenant: slx_tenant_check refuses it. This one takes both. */
enum { SLX_TENANT_STORED_MAX = SLX_TENANT_SIZE_MAX + 20 };
silex_status slx_tenant_check_stored(struct slx_str name, silex_error *err);
static inline bool slx_tenant_is_internal(struct slx_str name) { return name.n && memchr(name.p, '!', name.n); }

/* For whom a request acts. It travels down to planning; strings are borrowed from the request. */
struct slx_identity {
	struct slx_str tenant;    /* checked */
	struct slx_str principal; /* key or user name; empty in the embedded library */
};

/* ---- kinds of value. Numbers are on disk: never reuse one. ---- */

enum slx_kind {
	SLX_KIND_FLOAT64 = 0, /* bits of an IEEE double; NaN payloads are kept */
	SLX_KIND_INT64 = 1,
	SLX_KIND_BOOL = 2,      /* 0 or 1 */
	SLX_KIND_ENUM = 3,      /* id of a state in the series' dictionary */
	SLX_KIND_HISTOGRAM = 4, /* a native histogram: address of its bytes (below), model/histogram.h */
	SLX_KIND_BYTES = 5,     /* any bytes: their address */
	SLX_KINDS
};

/* Histograms and bytes: the 64 bits of such a value are the address of a varint length and that many bytes. Who hands out the
 * bits says how long the bytes stay there. No numbers: aggregates pass over them. */
enum {
	SLX_VALUE_SIZE_MAX = 64 << 10,                     /* without the length; greater ones are INVALID */
	SLX_VALUE_STORED_MAX = SLX_VALUE_SIZE_MAX + 3,     /* with it */
};
static inline bool slx_kind_is_bytes(enum slx_kind k) { return k == SLX_KIND_HISTOGRAM || k == SLX_KIND_BYTES; }

const char *slx_kind_name(enum slx_kind k); /* "float64"...; "unknown" outside the list */
silex_status slx_kind_parse(struct slx_str name, enum slx_kind *ret, silex_error *err);

/* A value is 64 bits, read by kind. */
struct slx_sample {
	int64_t t;
	uint64_t bits;
};

static inline double slx_sample_f64(struct slx_sample s) { return slx_bits_f64(s.bits); }
static inline int64_t slx_sample_i64(struct slx_sample s) { return (int64_t)s.bits; }

/* A value of any kind as a number, as numeric readers see it (int64 beyond 2^53 rounds; an enum is its id; what is no number is
 * NaN). */
static inline double slx_bits_number(enum slx_kind k, uint64_t bits)
{
	if (k == SLX_KIND_FLOAT64)
		return slx_bits_f64(bits);
	return k == SLX_KIND_INT64 ? (double)(int64_t)bits : slx_kind_is_bytes(k) ? (double)NAN : (double)bits;
}

/* The bytes that a value of such a kind stands for. For bits of our own: nothing is checked. */
static inline struct slx_str slx_value_bytes(uint64_t bits)
{
	struct slx_rd r = slx_rd_init((const void *)(uintptr_t)bits, SLX_VARINT_SIZE_MAX);
	size_t n = (size_t)slx_rd_varint(&r);
	return (struct slx_str){ (const char *)r.p, n };
}

/* Bytes at that address, length and value. */
static inline size_t slx_value_stored(uint64_t bits)
{
	struct slx_str v = slx_value_bytes(bits);
	return (size_t)((uintptr_t)v.p - (uintptr_t)bits) + v.n;
}

static inline bool slx_values_equal(enum slx_kind k, uint64_t a, uint64_t b)
{
	return a == b || (slx_kind_is_bytes(k) && slx_str_eq(slx_value_bytes(a), slx_value_bytes(b)));
}

/* Prometheus marks "the series ended here" with this NaN. It is a value like others to the store. */
#define SLX_STALE_NAN UINT64_C(0x7ff0000000000002)

/* A run of one series: n timestamps and values of one kind in columns. A view; the maker says how long it lives and
 * whether t ascends. */
struct slx_batch {
	const int64_t *t;
	const uint64_t *bits;
	size_t n;
	enum slx_kind kind;
};

#endif
