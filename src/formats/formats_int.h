/* What the decoders of this room share: the frame that cuts input into records, the table of series keys, scratch
 * space for one row's labels, and exact number parsing. Private to src/formats. */
#ifndef SLX_FORMATS_INT_H
#define SLX_FORMATS_INT_H

#include "base/arena.h"
#include "formats/formats.h"

/* ---- the frame (decoder.c) ---- */

struct slx_decoder_ops {
	bool binary; /* records do not end with newlines */
	/* Decodes the record at the start of [p, p + n) and returns how many bytes it took, its line end included; 0 when
	 * it does not end there. final: the end of the bytes is the end of the input. A record that spans several lines
	 * sets d->record_lines. A bad one is told by slx_decoder_error and consumed up to the end of a line. */
	size_t (*record)(struct slx_decoder *d, const char *p, size_t n, bool final);
	void (*finish)(struct slx_decoder *d);  /* after the last record; may be NULL */
	void (*destroy)(struct slx_decoder *d); /* frees what the format added, not d */
};

struct slx_decoder {
	const struct slx_decoder_ops *ops;
	struct slx_mem *mem;
	struct slx_sink sink;
	struct slx_decode_limits limits; /* defaults filled in */
	struct slx_decode_stats stats;
	silex_status status;   /* not OK: stopped */
	char fatal[256];       /* message of status INVALID */
	size_t size;           /* of the whole object */
	uint64_t line;         /* of the current record's start, from 1 */
	uint64_t record_lines; /* lines that the current record takes */
	bool skipping;         /* inside the rest of a record that was too long */
	bool finished;
	struct slx_buf carry; /* a record that began in an earlier block */

	struct slx_label *labels; /* of the current row */
	uint32_t labels_n, labels_cap;
	struct slx_buf text; /* unescaped strings of the current record; reserved before use, so it stays put */
};

/* size: of the format's own struct, which begins with a struct slx_decoder; zeroed. */
silex_status slx_decoder_new(struct slx_mem *m, size_t size, const struct slx_decoder_ops *ops,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err);

/* Tells an error at byte `at` of the record that begins at `record`. */
__attribute__((format(printf, 4, 5))) void slx_decoder_error(
	struct slx_decoder *d, const char *record, const char *at, const char *fmt, ...);
void slx_decoder_oom(struct slx_decoder *d);

/* The input as a whole cannot be decoded: stops with this status and message. */
__attribute__((format(printf, 2, 3))) void slx_decoder_fatal(struct slx_decoder *d, const char *fmt, ...);

/* Counts the lines of a record that took `used` bytes into d->record_lines. */
void slx_decoder_count_lines(struct slx_decoder *d, const char *record, size_t used);

/* Gives one row to the sink. False: stopped. */
bool slx_decoder_emit(struct slx_decoder *d, const struct slx_row *row);

/* Labels of the current row. add is false when there are too many (d->limits) or memory is out (d->status). */
static inline void slx_decoder_labels_reset(struct slx_decoder *d) { d->labels_n = 0; }
bool slx_decoder_label(struct slx_decoder *d, struct slx_str name, struct slx_str value);

/* Room for n bytes of text that stay where they are until the next call. False: out of memory. */
bool slx_decoder_text_reserve(struct slx_decoder *d, size_t n);
static inline struct slx_str slx_decoder_text_since(const struct slx_decoder *d, size_t from)
{
	return (struct slx_str){ (const char *)d->text.p + from, d->text.n - from };
}

/* Copies labels and their strings. */
silex_status slx_copy_labels(
	struct slx_arena *a, const struct slx_label *labels, uint32_t n, struct slx_label **ret, silex_error *err);

/* ---- byte strings -> dense numbers 1, 2, 3... (keymap.c) ---- */

struct slx_keymap_slot {
	uint32_t id;  /* 0: free */
	uint32_t tag; /* high half of the hash */
};

struct slx_keymap_string {
	const char *p;
	uint64_t hash;
	uint32_t n;
};

struct slx_keymap {
	struct slx_mem *mem;
	struct slx_arena arena; /* the strings */
	struct slx_keymap_slot *slots;
	struct slx_keymap_string *strings; /* of id 1, 2... */
	size_t slots_cap;                  /* a power of two */
	uint32_t n, n_max, strings_cap;
	size_t size_max; /* bytes in all */
};

void slx_keymap_init(struct slx_keymap *k, struct slx_mem *m, uint32_t n_max, size_t size_max);
void slx_keymap_free(struct slx_keymap *k);

/* The number of [p, p + n), 0 when it has none. */
uint32_t slx_keymap_find(const struct slx_keymap *k, const char *p, size_t n);

/* The number of [p, p + n), given now if need be; *ret_new says that it was given just now. 0 when it is new and the
 * table is full. */
uint32_t slx_keymap_get(struct slx_keymap *k, const char *p, size_t n, bool *ret_new);

/* The series key of what the text says of a series: from sink->known (own is not looked at; row->key is set), else from own.
 * *ret_new: the row must carry labels. */
uint32_t slx_decoder_series(struct slx_decoder *d, struct slx_keymap *own, const void *p, size_t n, struct slx_row *row, bool *ret_new);

/* The string of a number; {NULL, 0} for one that was not given. */
static inline struct slx_str slx_keymap_string(const struct slx_keymap *k, uint32_t id)
{
	return id - 1 < k->n ? (struct slx_str){ k->strings[id - 1].p, k->strings[id - 1].n } : (struct slx_str){ NULL, 0 };
}

/* ---- numbers (number.c): exact, and deaf to the locale ---- */

enum slx_number_form {
	SLX_NUMBER_NONE,
	SLX_NUMBER_INT,   /* [+-]digits, fits int64 */
	SLX_NUMBER_FLOAT, /* the others that fit a double */
	SLX_NUMBER_RANGE, /* a number too large for a double */
};

struct slx_number {
	double f64;  /* INT and FLOAT */
	int64_t i64; /* INT */
};

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent. All n bytes. */
enum slx_number_form slx_number_parse(const char *p, size_t n, struct slx_number *ret);

/* The same, and NaN, Inf, Infinity in any case with an optional sign. */
enum slx_number_form slx_number_parse_special(const char *p, size_t n, struct slx_number *ret);

/* [-+] digits; false when it is something else, *ret_range when only the size is wrong. */
bool slx_int64_parse(const char *p, size_t n, int64_t *ret, bool *ret_range);
bool slx_uint64_parse(const char *p, size_t n, uint64_t *ret, bool *ret_range);

/* A double would not hold it exactly. */
static inline bool slx_needs_int64(int64_t v) { return v > INT64_C(1) << 53 || v < -(INT64_C(1) << 53); }

static inline bool slx_is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* ---- times (times.c) ---- */

/* As slx_time_parse without "now", and faster for what files hold. */
bool slx_field_time(const char *p, size_t n, enum slx_time_unit unit, int64_t *ret);

/* The decimal number [p, p + n) of `unit` in nanoseconds, rounded to the nearest, ties away from zero; exact. False
 * when it is no number or lies outside the legal range. unit is not AUTO. */
bool slx_decimal_time(const char *p, size_t n, enum slx_time_unit unit, int64_t *ret);

#endif
