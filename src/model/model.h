/* The words of the engine as types: who asks, which kind of value, a sample, a run of samples. */
#ifndef SLX_MODEL_MODEL_H
#define SLX_MODEL_MODEL_H

#include "model/labels.h"
#include "model/time.h"

/* ---- who asks ---- */

enum { SLX_TENANT_SIZE_MAX = 150 };

/* [A-Za-z0-9_.-]{1,150}, not "." or "..": INVALID otherwise, naming the first bad character. */
silex_status slx_tenant_check(struct slx_str name, silex_error *err);

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
	SLX_KIND_HISTOGRAM = 4, /* reserved: native histograms */
	SLX_KINDS
};

const char *slx_kind_name(enum slx_kind k); /* "float64"...; "unknown" outside the list */
silex_status slx_kind_parse(struct slx_str name, enum slx_kind *ret, silex_error *err);

/* A value is 64 bits, read by kind. */
struct slx_sample {
	int64_t t;
	uint64_t bits;
};

static inline double slx_sample_f64(struct slx_sample s) { return slx_bits_f64(s.bits); }
static inline int64_t slx_sample_i64(struct slx_sample s) { return (int64_t)s.bits; }

/* A value of any kind as a number, as numeric readers see it (int64 beyond 2^53 rounds; an enum is its id). */
static inline double slx_bits_number(enum slx_kind k, uint64_t bits)
{
	return k == SLX_KIND_FLOAT64 ? slx_bits_f64(bits) : k == SLX_KIND_INT64 ? (double)(int64_t)bits : (double)bits;
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
