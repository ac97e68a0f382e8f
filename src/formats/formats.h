/* Text and record formats: bytes <-> rows of samples. No I/O: callers feed blocks and get rows through a sink, or hand
 * in rows and get bytes in a buffer.
 *
 * Decoding. slx_decoder_<format>() makes a decoder, slx_decoder_feed() takes blocks of any size cut anywhere (some KB
 * at a time is best), slx_decoder_finish() ends the input. Each sample goes to sink->row as soon as its record is
 * complete. A bad record goes to sink->error with its place and is counted; decoding goes on with the next line unless
 * the sink returns false. Splitting the input differently never changes the rows.
 *
 * Series keys. Most inputs repeat a few series many times. A row carries a small number, series_key, that stands for
 * its label set for the life of the decoder: keys are dense, 1, 2, 3... in the order first seen (a series that is
 * written in two ways may get two). Labels are given with the first row of a key only (unless labels_every_row), so
 * that an importer resolves a series once and indexes an array by key from then on. series_key 0 means "not cached"
 * (the table is full): such rows always carry labels. A caller that keeps series longer than a decoder lives (the
 * server) gives sink->known instead; then the numbers are the caller's.
 *
 * A decoder is used by one thread at a time; different decoders are independent. Nothing is allocated per sample. */
#ifndef SLX_FORMATS_FORMATS_H
#define SLX_FORMATS_FORMATS_H

#include "base/buf.h"
#include "model/model.h"

/* One sample. Pointers are valid during the call of sink->row only. */
struct slx_row {
	uint32_t series_key;
	uint32_t labels_n;              /* 0: the series was given with an earlier row of this key */
	const struct slx_label *labels; /* unsorted, values not empty; limits and UTF-8 are the model's to check */
	int64_t t;
	bool has_time;      /* false: the input gave none; the caller's clock decides */
	enum slx_kind kind; /* FLOAT64, INT64 or BOOL */
	uint64_t bits;
	struct slx_hash128 key; /* with sink->known and labels: what known() will be asked for this series */
};

/* What exposition text says of a sample beside its value. */
struct slx_exemplar {
	const struct slx_label *labels;
	uint32_t labels_n;
	double value;
	bool has_time;
	int64_t t;
};

/* What a decoder calls. Both return false to stop: slx_decoder_feed then returns CANCELED. */
struct slx_sink {
	void *arg;
	bool (*row)(void *arg, const struct slx_row *row);
	/* line and column count from 1, column in bytes; 0 when unknown. message ends with what was expected. */
	bool (*error)(void *arg, uint64_t line, uint64_t column, const char *message);

	/* All below may be NULL. */

	/* The caller's number of a series, not 0, or 0 when it does not know it. The key is the XXH3-128 of what the text says
	 * of the series (two ways to write it may have two keys). The decoder then keeps no table of its own: series_key is this
	 * number, and rows of an unknown series carry labels and key. */
	uint32_t (*known)(void *arg, struct slx_hash128 key);
	/* The exemplar of the row that was given just before (exposition text). */
	void (*exemplar)(void *arg, const struct slx_exemplar *e);
	/* One fact about a metric family; what is NULL in p was not said (exposition text: HELP, TYPE and UNIT lines). */
	void (*metadata)(void *arg, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help);
};

struct slx_decode_stats {
	uint64_t bytes;     /* fed so far */
	uint64_t lines;     /* begun */
	uint64_t rows;      /* given to the sink */
	uint64_t errors;    /* given to sink->error */
	uint64_t skipped;   /* well-formed values that are not samples: string fields, null values */
	uint64_t rounded;   /* integers above INT64_MAX, taken as float64 */
	uint64_t exemplars; /* parsed and dropped */
};

/* Zero means the default in brackets. */
struct slx_decode_limits {
	size_t line_size_max;  /* bytes of one record [1 MiB] */
	uint32_t labels_max;   /* of one row [256] */
	uint32_t fields_max;   /* values of one record: columns, fields, array elements [65536] */
	uint32_t series_max;   /* cached series keys [1048576] */
	size_t cache_size_max; /* bytes for the cache of series keys [64 MiB] */
	bool labels_every_row; /* labels also with later rows of a key */
};

struct slx_decoder;

/* OK; CANCELED when the sink said so; INVALID when the input as a whole cannot be decoded (a CSV without a time
 * column); RESOURCE_EXHAUSTED without memory. After a failure only free is allowed. */
silex_status slx_decoder_feed(struct slx_decoder *d, const void *p, size_t n, silex_error *err);
silex_status slx_decoder_finish(struct slx_decoder *d, silex_error *err); /* the last line may lack its newline */
const struct slx_decode_stats *slx_decoder_stats(const struct slx_decoder *d);
uint64_t slx_decoder_line(const struct slx_decoder *d); /* of the record whose rows are being given, from 1 */
void slx_decoder_free(struct slx_decoder *d);           /* NULL is fine */

/* ---- CSV and TSV (docs/protocols/csv.md) ---- */

struct slx_csv_options {
	char delimiter; /* 0: found out from the first line among , ; tab | */
	enum { SLX_CSV_HEADER_AUTO, SLX_CSV_HEADER_YES, SLX_CSV_HEADER_NO } header;
	const char *time_column;      /* name, or "#3" for the third column; NULL: the first one whose cells are times */
	enum slx_time_unit time_unit; /* of times that are numbers; AUTO goes by size. Texts are always understood */
	/* Comma-separated names or #numbers. NULL: found out from the first data rows. */
	const char *value_columns;
	const char *label_columns;
	/* The metric name of a value column; {column} and {metric} are replaced. NULL: "{metric}" for a single value
	 * column named "value" (or without a name), else "{column}". A label column __name__ overrides it. */
	const char *name_template;
	const char *metric;      /* {metric}; the importer gives the file's base name. NULL: "csv" */
	const char *field_label; /* all value columns are named {metric}, and this label holds the column's name */
	const struct slx_label *constant_labels; /* added to every series; copied */
	uint32_t constant_labels_n;
};

silex_status slx_decoder_csv(struct slx_mem *m, const struct slx_csv_options *o, const struct slx_decode_limits *limits,
	const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

/* ---- InfluxDB line protocol (docs/protocols/line-protocol.md; the parser alone is formats/lineprotocol.h) ---- */

struct slx_line_options {
	enum slx_time_unit precision; /* AUTO means NS, as in the protocol */
};

silex_status slx_decoder_line_protocol(struct slx_mem *m, const struct slx_line_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

/* ---- JSON lines (docs/protocols/json-lines.md) ---- */

silex_status slx_decoder_jsonl(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	struct slx_decoder **ret, silex_error *err);

/* ---- Prometheus text 0.0.4 and OpenMetrics 1.0 text (docs/protocols/exposition.md) ---- */

struct slx_exposition_options {
	bool openmetrics; /* seconds, # EOF, and the rules of the standard; else Prometheus: milliseconds */
	bool lenient;     /* OpenMetrics' words without its rules of families and groups, as scrapers read it */
};

silex_status slx_decoder_exposition(struct slx_mem *m, const struct slx_exposition_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

/* ---- Graphite plaintext (docs/protocols/graphite.md) ---- */

struct slx_graphite_options {
	const char *const *templates; /* "[filter ]parts"; must outlive the decoder */
	size_t n_templates;
};

silex_status slx_decoder_graphite(struct slx_mem *m, const struct slx_graphite_options *o, const struct slx_decode_limits *limits,
	const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

/* ---- WFDB records, formats 16 and 212 (docs/protocols/wfdb.md) ---- */

struct slx_wfdb_options {
	bool has_start;
	int64_t start;                           /* instead of the date in the header (--start) */
	const struct slx_label *constant_labels; /* added to every series; copied */
	uint32_t constant_labels_n;
};

struct slx_wfdb_signal {
	const char *file;        /* name in the header */
	const char *description; /* "HR", "MLII" */
	const char *unit;        /* "mV", "bpm" */
	uint16_t format;         /* 16 or 212 */
	double gain;             /* ADC units per physical unit */
	int32_t baseline;
	uint64_t samples; /* 0: not given */
};

/* Reads a whole header. INVALID with "line N: ..." when it is malformed or its date is illegal and no start is given
 * (a header without any date also needs start); UNSUPPORTED for other signal formats and multi-segment records.
 * The decoder is then fed the signal file; signals must all lie in one file (UNSUPPORTED otherwise). */
silex_status slx_decoder_wfdb(struct slx_mem *m, const void *header, size_t header_n, const struct slx_wfdb_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);
/* The name of the signal file that the header gives, and the signals; owned by the decoder. NULL unless WFDB. */
const char *slx_wfdb_file(const struct slx_decoder *d);
const struct slx_wfdb_signal *slx_wfdb_signals(const struct slx_decoder *d, uint32_t *ret_n);

/* ---- Encoders: one row to text, appended to b (errors stick in b). labels must be given in every row. ---- */

struct slx_csv_encode_options {
	char delimiter;             /* 0: ',' */
	const char *const *columns; /* label names, "__name__" among them: one column each; NULL: one column "series" */
	uint32_t columns_n;
	bool time_number; /* time as integer nanoseconds instead of RFC 3339 */
};

void slx_encode_csv_header(struct slx_buf *b, const struct slx_csv_encode_options *o);
void slx_encode_csv(struct slx_buf *b, const struct slx_csv_encode_options *o, const struct slx_row *row);
void slx_encode_jsonl(struct slx_buf *b, const struct slx_row *row);
/* measurement = __name__, the other labels as tags, one field "value". False, with nothing appended, when line protocol
 * cannot say it: no name, a control character, a text that ends in a backslash, NaN or an infinity. */
bool slx_encode_line(struct slx_buf *b, const struct slx_row *row, enum slx_time_unit precision);
/* name{label="value"} value [time]; Prometheus: ms; OpenMetrics: seconds, and the caller ends with "# EOF\n". */
void slx_encode_exposition(struct slx_buf *b, const struct slx_row *row, bool openmetrics);

enum { SLX_F64_TEXT_SIZE = 32, SLX_U64_TEXT_SIZE = 20 };

/* The shortest decimal that reads back as the same double; "NaN", "+Inf", "-Inf". With an exponent ("1e-07", "1.5e+21")
 * below 1e-6 and from 1e21 on, as Prometheus prints. Returns the length; not terminated. */
size_t slx_format_f64(double v, char ret[SLX_F64_TEXT_SIZE]);
size_t slx_format_u64(uint64_t v, char *ret); /* room for SLX_U64_TEXT_SIZE */
void slx_encode_f64(struct slx_buf *b, double v);

#endif
