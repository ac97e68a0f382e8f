/* Intake: the way of decoded samples into the engine, for every protocol.
 *
 * A batch is one request (or one scrape, one MQTT message). Label sets are interned: a protocol gives the bytes of a label set
 * as they came (any bytes that are equal only for equal sets: the encoded labels of a remote-write TimeSeries, the measurement
 * and tags of a line), the cache knows the series from their XXH3-128, and only unknown ones are parsed, sorted and resolved. No
 * allocation per sample. A bad sample or series is refused by itself and counted, with the first one remembered for the error
 * text; the rest of the batch goes on. Samples of one batch are in the log when slx_intake_commit returns OK.
 *
 * A batch keeps a head of the engine in memory: begin it when the bytes to decode are there, and end it without waiting for
 * anybody. */
#ifndef SLX_SERVER_INTAKE_H
#define SLX_SERVER_INTAKE_H

#include "api/api.h"
#include "model/histogram.h"
#include "model/model.h"

struct slx_intake;       /* one per database: the cache of series; thread-safe */
struct slx_intake_batch; /* one thread; kept for reuse by the intake */

struct slx_intake_limits {
	struct slx_label_limits labels; /* labels_max 0: the defaults */
	size_t cache_bytes_max;         /* 0: 32 MB */
};

silex_status slx_intake_new(silex_db *db, const struct slx_intake_limits *l, struct slx_intake **ret, silex_error *err);
void slx_intake_free(struct slx_intake *i); /* all batches have ended; NULL is fine */

/* Waits for memory as a write does. RESOURCE_EXHAUSTED, UNAVAILABLE: the client must send it again; INVALID: the tenant's name. */
silex_status slx_intake_begin(struct slx_intake *i, struct slx_str tenant, struct slx_intake_batch **ret, silex_error *err);

/* What this batch has is data of the past, which rules on arrival do not look at. */
void slx_intake_backfill(struct slx_intake_batch *b);
/* The query parameter backfill=1 as its text (p NULL: absent). INVALID: neither 1, true, 0 nor false. */
silex_status slx_intake_read_backfill(struct slx_str text, bool *ret, silex_error *err);

/* What a series is remembered by: the hash of its raw bytes, or of what stands for them. `space` keeps protocols apart. */
enum slx_intake_space { SLX_SPACE_REMOTE_WRITE, SLX_SPACE_SYMBOLS, SLX_SPACE_LINE, SLX_SPACE_OTLP, SLX_SPACE_TEXT, SLX_SPACE_JSON, SLX_SPACE_CSV,
	SLX_SPACE_GRAPHITE, SLX_SPACE_MQTT, SLX_SPACE_SCRAPE };
static inline struct slx_hash128 slx_intake_key(unsigned space, const void *p, size_t n)
{
	struct slx_hash128 h = slx_hash128(p, n, 0);
	h.hi ^= space; /* beside the hash: a seed costs it more */
	return h;
}

/* The series known by key: *ret is its number in this batch. Else NOT_FOUND: the caller builds the labels and calls slx_intake_define,
 * which remembers them. A number stays valid in its batch. */
silex_status slx_intake_lookup(struct slx_intake_batch *b, struct slx_hash128 key, uint32_t *ret);
/* labels: any order, empty values allowed; checked here: limits, UTF-8, no name twice, at least one left. INVALID (bad labels),
 * RESOURCE_EXHAUSTED (series limit): the caller refuses the samples by slx_intake_refuse. UNAVAILABLE: stop, the batch fails. */
silex_status slx_intake_define(struct slx_intake_batch *b, struct slx_hash128 key, const struct slx_label *labels, size_t n_labels, uint32_t *ret,
	silex_error *err);

/* Samples: t in ns, refused by itself when outside the legal range. */
void slx_intake_float(struct slx_intake_batch *b, uint32_t series, int64_t t, double v);
void slx_intake_value(struct slx_intake_batch *b, uint32_t series, int64_t t, enum slx_kind kind, uint64_t bits);
void slx_intake_histogram(struct slx_intake_batch *b, uint32_t series, int64_t t, const struct slx_histogram *h); /* checked here */
void slx_intake_exemplar(struct slx_intake_batch *b, uint32_t series, int64_t t, double v, const struct slx_label *labels, size_t n_labels);
/* type: "counter", "gauge", "histogram", "summary", ..., "" unknown. */
void slx_intake_metadata(struct slx_intake_batch *b, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help);
/* n samples could not be taken; code, series and message of the first one of a batch are kept. labels: of the series, as they came. */
void slx_intake_refuse(struct slx_intake_batch *b, uint64_t n, silex_status code, const struct slx_label *labels, size_t n_labels, const char *message);
/* The same for a series of the batch. */
void slx_intake_refuse_of(struct slx_intake_batch *b, uint64_t n, uint32_t series, silex_status code, const char *message);

/* A buffer for the bytes to decode, kept from batch to batch with the memory it grew to. Empty. */
struct slx_buf *slx_intake_scratch(struct slx_intake_batch *b);

enum { SLX_INTAKE_TEXT_SIZE = 256 };

struct slx_intake_result {
	uint64_t samples, histograms, exemplars; /* stored */
	uint64_t refused;
	silex_status first_code;   /* of the first refused one */
	char first_series[SLX_INTAKE_TEXT_SIZE]; /* its text form, cut */
	char first_message[SLX_INTAKE_TEXT_SIZE];
};

/* Writes what was given and waits for the log. Not OK: nothing more may be said of the batch (RESOURCE_EXHAUSTED, UNAVAILABLE: the
 * client must send it again). *ret is filled either way. Ends the batch. */
silex_status slx_intake_commit(struct slx_intake_batch *b, struct slx_intake_result *ret, silex_error *err);
void slx_intake_abandon(struct slx_intake_batch *b); /* what a long batch wrote already stays; NULL is fine */

#endif
