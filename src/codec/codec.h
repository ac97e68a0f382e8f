/* Codecs: columns of timestamps and values to bytes and back.
 *
 * Pure functions. Nothing is allocated but the work spaces of the cold codec; no state, any thread. Encoders return the
 * number of bytes written, 0 when `cap` is too small (the *_bound functions say what always suffices; n >= 1 never makes
 * 0 bytes). Decoders take bytes from strangers: they check every width, count, index and length, never read past `len`
 * nor write past `n`, and return SILEX_CORRUPT with the offset. The number of samples is not in the blocks: the caller
 * keeps it. Lossless to the bit for every input, NaN payloads and -0.0 included. No slack is needed around buffers.
 * Stack: up to 160 KiB in slx_ts_encode and the cold codec, 20 KiB elsewhere.
 *
 * Formats: the head of each file (ts.c, sx.c, decimal.c, bitpack.h, gorilla.c, int.c, rle.c,
 * standalone.c) and in cold_int.h. Little-endian. */
#ifndef SLX_CODEC_CODEC_H
#define SLX_CODEC_CODEC_H

#include "base/mem.h"
#include "base/status.h"

#include <silex/codec.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed ids and names of value codecs. 128..255: silex_codec of the application. */
#define SLX_CODEC_LIST(X)                                                                        \
	X(RAW, 0, "raw")         /* 8 bytes a value */                                               \
	X(GORILLA, 1, "gorilla") /* XOR of neighbours (Pelkonen et al., VLDB 2015) */                \
	X(SX, 2, "sx")           /* decimal -> integer -> FOR or delta, bit-packed, patched */       \
	X(COLD, 3, "cold")       /* many sub-vectors, shared tables; see cold_int.h */              \
	X(INT64, 4, "int64")     /* exact integers */                                                \
	X(BOOL, 5, "bool")       /* run lengths of 0 and 1 */                                        \
	X(ENUM, 6, "enum")       /* run lengths of states */                                         \
	X(COLD_INT64, 7, "cold-int64")                                                               \
	X(BYTES, 8, "bytes")         /* values that are bytes: storage/chunk/bytes.c */              \
	X(HISTOGRAM, 9, "histogram") /* native histograms as columns: storage/chunk/histogram.c */

enum slx_codec_id {
#define SLX_CODEC_ENUM(name, id, text) SLX_CODEC_##name = id,
	SLX_CODEC_LIST(SLX_CODEC_ENUM)
#undef SLX_CODEC_ENUM
	SLX_CODEC_CUSTOM = 128, /* first id of applications */
};

/* Modes of a timestamp block, its first byte's low 4 bits. */
#define SLX_TS_LIST(X)                                                  \
	X(RAW, 0, "raw")                                                    \
	X(CONST, 1, "const") /* t0 + i * step */                            \
	X(LINE, 2, "line")   /* residuals to such a line, packed, patched */ \
	X(DELTA, 3, "delta") /* differences less the least, packed, patched */
/* LINE and DELTA work on timestamps divided by their GCD. */

enum slx_ts_mode {
#define SLX_TS_ENUM(name, id, text) SLX_TS_##name = id,
	SLX_TS_LIST(SLX_TS_ENUM)
#undef SLX_TS_ENUM
};

enum {
	SLX_VECTOR_MAX = 512,  /* values of one hot vector or one sub-vector */
	SLX_CHUNK_MAX = 8192,  /* samples of one chunk */
	SLX_PARTS_MAX = 4096,  /* sub-vectors of one cold block */
	SLX_SCALE_NONE = -1,   /* no decimal scale */
	SLX_SCALE_MAX = 22,
};

/* ---- timestamps: 1..SLX_CHUNK_MAX of any int64, any order ---- */

struct slx_ts_info {
	enum slx_ts_mode mode;
	int64_t first; /* all modes */
	int64_t step;  /* CONST: exact step, wrapping; else 0 */
};

size_t slx_ts_bound(size_t n);
size_t slx_ts_encode(const int64_t *ts, size_t n, uint8_t *out, size_t cap);
silex_status slx_ts_decode(const uint8_t *in, size_t len, int64_t *ts, size_t n, silex_error *err);
/* Header only: lets a reader of CONST blocks compute instead of decode. */
silex_status slx_ts_peek(const uint8_t *in, size_t len, size_t n, struct slx_ts_info *ret, silex_error *err);

/* ---- float64, one vector of 1..SLX_VECTOR_MAX values ---- */

/* What a series taught the encoder. Zero-initialised for a new series; owned by the caller; not shared by threads.
 * A wrong hint costs time or bytes, never correctness. */
struct slx_sx_hint {
	uint8_t exp;  /* decimal exponent of the last vector */
	uint8_t kind; /* 0: decimal, 1: decimal rounded to float32, 2: neither */
	uint8_t skip; /* vectors to go before a "neither" series is searched again */
	uint8_t fails; /* searches in vain in a row: each doubles the next skip */
};

struct slx_sx_info {
	int scale; /* decimal digits used (or explicitly given), SLX_SCALE_NONE when the vector is not decimal */
};

/* Count, sum, min and max of the values that are not NaN. With count 0 the rest is 0. A min or max of zero is +0.0.
 * sum + comp is the sum; comp is the part that did not fit sum (0 where the sum was exact). */
struct slx_agg {
	uint64_t count;
	double sum, comp, min, max;
};

static inline struct slx_agg slx_agg_none(void) { return (struct slx_agg){ 0 }; }
void slx_agg_merge(struct slx_agg *to, const struct slx_agg *from);

size_t slx_sx_bound(size_t n);
/* hint may be NULL. scale: digits to store in the header (0..SLX_SCALE_MAX) or SLX_SCALE_NONE; it is a remark that
 * comes back from info (never less than what the values need), not a rounding. */
size_t slx_sx_encode(const double *v, size_t n, struct slx_sx_hint *hint, int scale, uint8_t *out, size_t cap);
silex_status slx_sx_decode(const uint8_t *in, size_t len, double *v, size_t n, silex_error *err);
silex_status slx_sx_peek(const uint8_t *in, size_t len, size_t n, struct slx_sx_info *ret, silex_error *err);
/* The aggregate without materialising the values. */
silex_status slx_sx_aggregate(const uint8_t *in, size_t len, size_t n, struct slx_agg *ret, silex_error *err);

/* Decimal digits that the finite values need to be written exactly (37.25 -> 2), SLX_SCALE_NONE when there is no such
 * number up to SLX_SCALE_MAX or no finite value. Looks at every value. */
int slx_sx_scale(const double *v, size_t n);

/* ---- Gorilla, 1..SLX_CHUNK_MAX samples: two bit streams, so that either column is read alone ---- */

size_t slx_gorilla_bound(size_t n);
size_t slx_gorilla_encode(const double *v, size_t n, uint8_t *out, size_t cap); /* XOR stream */
silex_status slx_gorilla_decode(const uint8_t *in, size_t len, double *v, size_t n, silex_error *err);

size_t slx_gorilla_ts_bound(size_t n);
size_t slx_gorilla_ts_encode(const int64_t *ts, size_t n, uint8_t *out, size_t cap); /* delta of delta */
silex_status slx_gorilla_ts_decode(const uint8_t *in, size_t len, int64_t *ts, size_t n, silex_error *err);

/* A complete chunk: [varint size of the timestamp stream][timestamps][values]. */
size_t slx_gorilla_chunk_bound(size_t n);
size_t slx_gorilla_chunk_encode(const int64_t *ts, const double *v, size_t n, uint8_t *out, size_t cap);
silex_status slx_gorilla_chunk_decode(const uint8_t *in, size_t len, int64_t *ts, double *v, size_t n,
	silex_error *err);

/* ---- float64 by codec id: RAW, GORILLA, SX (n <= SLX_VECTOR_MAX). The hot chunk's one switch. ---- */

size_t slx_f64_bound(enum slx_codec_id id, size_t n); /* 0: not such a codec */
size_t slx_f64_encode(enum slx_codec_id id, const double *v, size_t n, struct slx_sx_hint *hint, int scale,
	uint8_t *out, size_t cap);
silex_status slx_f64_decode(enum slx_codec_id id, const uint8_t *in, size_t len, double *v, size_t n,
	silex_error *err);
silex_status slx_f64_aggregate(enum slx_codec_id id, const uint8_t *in, size_t len, size_t n, struct slx_agg *ret,
	silex_error *err);

/* ---- int64, 1..SLX_CHUNK_MAX values, exact ---- */

size_t slx_i64_bound(size_t n);
size_t slx_i64_encode(const int64_t *v, size_t n, uint8_t *out, size_t cap);
silex_status slx_i64_decode(const uint8_t *in, size_t len, int64_t *v, size_t n, silex_error *err);

/* ---- bool and enum: run lengths of u32 states, 1..SLX_CHUNK_MAX ---- */

size_t slx_rle_bound(size_t n);
size_t slx_rle_encode(const uint32_t *states, size_t n, uint8_t *out, size_t cap);
silex_status slx_rle_decode(const uint8_t *in, size_t len, uint32_t *states, size_t n, silex_error *err);

/* ---- cold: 1..SLX_CHUNK_MAX values in sub-vectors ("parts"), each decodable alone after the shared tables ---- */

enum slx_wrap { SLX_WRAP_NONE = 0, SLX_WRAP_ZSTD = 1, SLX_WRAP_LZ4 = 2 };

/* The encoder's work space (1.2 MiB, of which a block touches what it needs); reusable, one thread at a time. NULL when out of memory. */
struct slx_cold_writer;
struct slx_cold_writer *slx_cold_writer_new(struct slx_mem *m, enum slx_mem_use use);
void slx_cold_writer_free(struct slx_cold_writer *w);

/* lens[parts]: how many values each part holds, 1..SLX_VECTOR_MAX, in sum n. They are not stored: the caller keeps
 * them, as it keeps n. wrap: the general compressor that may be put around the block when it gains more than 10 %.
 * scale as in slx_sx_encode. */
size_t slx_cold_bound(size_t n, size_t parts);
size_t slx_cold_encode(struct slx_cold_writer *w, const double *v, const uint16_t *lens, size_t parts, int scale,
	enum slx_wrap wrap, uint8_t *out, size_t cap);
size_t slx_cold_encode_i64(struct slx_cold_writer *w, const int64_t *v, const uint16_t *lens, size_t parts,
	enum slx_wrap wrap, uint8_t *out, size_t cap);

/* A parsed block (380 KiB): its tables and, if it was wrapped, its bytes. Reusable; one thread at a time. zstd keeps its
 * own context, outside of slx_mem. An unwrapped block's
 * bytes are read in place: they must outlive the reader's use of them. */
struct slx_cold_reader;
struct slx_cold_reader *slx_cold_reader_new(struct slx_mem *m, enum slx_mem_use use);
void slx_cold_reader_free(struct slx_cold_reader *r);

silex_status slx_cold_open(struct slx_cold_reader *r, const uint8_t *in, size_t len, const uint16_t *lens,
	size_t parts, silex_error *err);
bool slx_cold_is_i64(const struct slx_cold_reader *r);
int slx_cold_scale(const struct slx_cold_reader *r);
const char *slx_cold_method_name(const struct slx_cold_reader *r); /* "sx", "huff", "dict", "huff+zstd"... */
/* Part k < parts: exactly lens[k] values. _i64 only for blocks of slx_cold_encode_i64 (INVALID otherwise); such a block
 * read by the float64 calls gives the nearest doubles. */
silex_status slx_cold_decode(struct slx_cold_reader *r, size_t k, double *v, silex_error *err);
silex_status slx_cold_decode_i64(struct slx_cold_reader *r, size_t k, int64_t *v, silex_error *err);
silex_status slx_cold_aggregate(struct slx_cold_reader *r, size_t k, struct slx_agg *ret, silex_error *err);

/* ---- statistics of a chunk ---- */

/* Over the values that are not NaN; with count 0 the rest is 0. A min or max of zero is +0.0. sum + comp: as slx_agg.
 * increase: sum of rises between neighbours, where a fall counts the whole new value (a counter that began again at
 * zero); resets: how many falls. */
struct slx_stats {
	uint32_t count, resets;
	double first, last, min, max, sum, comp, increase;
};

void slx_stats(const double *v, size_t n, struct slx_stats *ret);

struct slx_stats_i64 {
	uint32_t count, resets;
	int64_t first, last, min, max;
	__int128 sum;
	double increase;
};

void slx_stats_i64(const int64_t *v, size_t n, struct slx_stats_i64 *ret);

/* Name of what the processor allows: "scalar", "avx2", "avx512". */
const char *slx_codec_simd(void);

#endif
