/* Prometheus remote write, versions 1.0 (prometheus.WriteRequest) and 2.0 (io.prometheus.write.v2.Request): a reader over the
 * decompressed bytes of one request. It pulls: series by series, then sample by sample out of the bytes; nothing is copied and
 * nothing allocated per sample. Labels are only taken apart when the caller asks, which it does for series it does not know by
 * their key. Unknown fields are skipped. Bytes that are no Protocol Buffers end the reading; what came before them was good.
 * Source: the remote write specifications 1.0 and 2.0 (prometheus.io/docs/specs/prw), prometheus/types.proto. */
#ifndef SLX_FORMATS_REMOTE_WRITE_H
#define SLX_FORMATS_REMOTE_WRITE_H

#include "formats/protobuf.h"
#include "model/histogram.h"
#include "model/time.h"

enum slx_rw_version { SLX_RW_1 = 1, SLX_RW_2 = 2 };

struct slx_rw {
	enum slx_rw_version version;
	struct slx_mem *mem;
	const uint8_t *begin;
	struct slx_pb pb;
	struct slx_buf key;         /* of the current series, where its bytes do not lie together */
	struct slx_label *labels;   /* scratch */
	struct slx_str *symbols;    /* 2.0 */
	struct slx_hash128 *hashes; /* of the symbols; {0, 0}: not made yet */
	size_t symbols_n;
};

enum slx_rw_item { SLX_RW_END, SLX_RW_SERIES, SLX_RW_METADATA, SLX_RW_BAD };

/* One TimeSeries: views into the request and the reader, valid until the next one.
 *
 * A guess: the bytes end with one sample as all senders write it, so the rest may well be the labels. Nobody has looked. The
 * caller asks for the series of that key; when it is known, then from a key that was looked at, so the bytes are those labels
 * indeed and the guess is right. Otherwise slx_rw_look. */
struct slx_rw_series {
	bool guess;
	struct slx_str body;  /* the message */
	struct slx_str parts; /* of it: all but the labels, or all */
	struct slx_str key;   /* equal only for equal lists of labels */
	uint32_t samples, histograms, exemplars, refs;
	const char *fault;    /* its labels cannot be: odd number of references, a symbol that is not there; NULL: fine */
	struct slx_str metadata; /* 2.0; p NULL: none */
};

struct slx_rw_metadata {
	struct slx_str metric; /* 1.0; in 2.0 it is the series' name */
	struct slx_str type;   /* "counter"...; "" unknown */
	struct slx_str unit, help;
};

/* symbols, labels and keys come from m (SLX_MEM_OTHER). INVALID: broken bytes (2.0 reads the symbols first), or no request. */
silex_status slx_rw_open(struct slx_rw *r, struct slx_mem *m, enum slx_rw_version v, const void *p, size_t n, silex_error *err);
void slx_rw_close(struct slx_rw *r);

/* Fills *s, a guess so far, from all its fields. False: broken. */
bool slx_rw_look(struct slx_rw *r, struct slx_rw_series *s);

/* What comes next; fills *s or *md. BAD: slx_rw_error says why. */
enum slx_rw_item slx_rw_next(struct slx_rw *r, struct slx_rw_series *s, struct slx_rw_metadata *md);
/* INVALID: what was expected at which byte; or OK. */
silex_status slx_rw_error(const struct slx_rw *r, silex_error *err);

enum { SLX_RW_LABELS_MAX = 1024 };

/* The labels of a series as they came, in the reader's scratch (of the last call). INVALID: its fault, more than
 * SLX_RW_LABELS_MAX; the request can be read on. Broken bytes are INVALID, too, and end the reading. */
silex_status slx_rw_labels(struct slx_rw *r, const struct slx_rw_series *s, const struct slx_label **ret, size_t *ret_n, silex_error *err);
/* 2.0: the metadata of s; metric is left empty. False: broken. */
bool slx_rw_series_metadata(struct slx_rw *r, const struct slx_rw_series *s, struct slx_rw_metadata *ret);

/* Cursors over the parts of a series: begin with slx_pb_of(s->parts). False at the end, or when the bytes are broken. */
struct slx_rw_sample {
	int64_t t; /* ns; INT64_MIN: does not fit */
	double v;
	int64_t start; /* ns; 0: none. 2.0 */
};
static inline bool slx_rw_next_sample(struct slx_rw *r, struct slx_pb *at, struct slx_rw_sample *ret);

struct slx_rw_histogram {
	int64_t t;
	struct slx_histogram h; /* arrays in the arena; counts made absolute; to be checked by slx_histogram_check */
	const char *fault;      /* too many buckets, out of memory: h is empty; NULL: fine */
};
bool slx_rw_next_histogram(struct slx_rw *r, struct slx_pb *at, struct slx_arena *a, struct slx_rw_histogram *ret);

struct slx_rw_exemplar {
	int64_t t;
	double v;
	const struct slx_label *labels; /* scratch */
	size_t labels_n;
	const char *fault; /* as of a series */
};
bool slx_rw_next_exemplar(struct slx_rw *r, struct slx_pb *at, struct slx_rw_exemplar *ret);

/* ---- inside ---- */

static inline int64_t slx_rw_ns(int64_t ms)
{
	int64_t ns;
	return __builtin_mul_overflow(ms, SLX_MS, &ns) ? INT64_MIN : ns;
}

/* The next field of this number out of a series' body, whose fields were all seen once. */
static inline bool slx_rw_field(struct slx_pb *at, uint32_t number, struct slx_str *ret)
{
	struct slx_pb_field f = { 0 };
	while (slx_pb_next(at, &f))
		if (f.number == number) {
			*ret = f.bytes;
			return true;
		}
	return false;
}

bool slx_rw_sample_slow(struct slx_rw *r, struct slx_str body, struct slx_rw_sample *ret);

/* A sample as all senders write it: value, then timestamp, and nothing else. p: its field in a series of which `left` bytes are left.
 * Returns its size, or 0 when it looks different. */
static inline size_t slx_rw_plain_sample(const uint8_t *p, size_t left, struct slx_rw_sample *ret)
{
	enum { SIZE_MIN = 13, SIZE_LIMIT = 22 };
	if (left < SIZE_MIN || p[0] != (2 << 3 | SLX_PB_BYTES) || p[1] > SIZE_LIMIT - 2 || p[1] + 2u > left || p[2] != 0x09 || p[11] != 0x10)
		return 0;
	const uint8_t *t = p + 12, *end = p + 2 + p[1];
	uint64_t ms = 0;
	unsigned shift = 0;
	for (; t < end && shift < 63; shift += 7) {
		ms |= (uint64_t)(*t & 0x7f) << shift;
		if (*t++ < 0x80)
			break;
	}
	if (t != end || t == p + 12 || t[-1] >= 0x80)
		return 0;
	*ret = (struct slx_rw_sample){ slx_rw_ns((int64_t)ms), slx_load_f64(p + 3), 0 };
	return (size_t)(end - p);
}

static inline bool slx_rw_next_sample(struct slx_rw *r, struct slx_pb *at, struct slx_rw_sample *ret)
{
	size_t n = slx_rw_plain_sample(at->p, (size_t)(at->end - at->p), ret);
	struct slx_str body;
	if (n) {
		at->p += n;
		return true;
	}
	return slx_rw_field(at, 2, &body) && slx_rw_sample_slow(r, body, ret);
}

#endif
