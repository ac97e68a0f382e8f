/* InfluxDB line protocol as a language: text <-> points with tags and typed fields. What points become in Silex is
 * line_decoder.c's business. The grammar is that of InfluxData's line-protocol corpus; docs/protocols/line-protocol.md
 * says it in full.
 *
 *     measurement[,tag=value...] field=value[,field=value...] [timestamp]
 *
 * Tokens point into the text and keep their backslashes. */
#ifndef SLX_FORMATS_LINEPROTOCOL_H
#define SLX_FORMATS_LINEPROTOCOL_H

#include "formats/formats.h"

enum slx_line_type { SLX_LINE_FLOAT, SLX_LINE_INT, SLX_LINE_UINT, SLX_LINE_STRING, SLX_LINE_BOOL };

/* A name or a string as written. escapes: there is a backslash in it, so slx_line_unescape may shorten it. */
struct slx_line_token {
	const char *p;
	uint32_t n;
	bool escapes;
};

struct slx_line_tag {
	struct slx_line_token key, value;
};

struct slx_line_field {
	struct slx_line_token key;
	uint64_t key_id; /* the same number: the same key at the same place as in a line before; 0: none was given */
	enum slx_line_type type;
	union {
		double f64;
		int64_t i64;
		uint64_t u64;
		bool b;
		struct slx_line_token s;
	} value;
};

struct slx_line_point {
	struct slx_line_token name;
	struct slx_line_tag *tags;
	struct slx_line_field *fields;
	uint32_t tags_n, fields_n;
	const char *series_end; /* measurement and tags as written: from name.p to here */
	bool has_time;
	int64_t time; /* in the unit of the precision */
};

/* The field key last seen at a place: lines of one kind have the same keys in the same order. */
enum { SLX_LINE_PLACES = 32, SLX_LINE_SEEN_SIZE = 44 };
struct slx_line_seen {
	uint64_t id;
	uint32_t n; /* 0: none */
	char key[SLX_LINE_SEEN_SIZE];
};

/* A reader owns the arrays of the point it reads, and reuses them. */
struct slx_line_reader {
	struct slx_mem *mem;
	uint32_t tags_max, fields_max;
	uint32_t tags_cap, fields_cap;
	struct slx_line_point point;
	const char *bad;   /* of SLX_LINE_BAD: where */
	char message[160]; /* and what */
	uint64_t ids;      /* given to keys */
	struct slx_line_seen seen[SLX_LINE_PLACES];
};

enum slx_line_result {
	SLX_LINE_POINT, /* reader.point is set */
	SLX_LINE_BLANK, /* an empty line or a comment */
	SLX_LINE_BAD,   /* reader.bad and message; the rest of that line was consumed */
	SLX_LINE_MORE,  /* the line does not end in these bytes */
	SLX_LINE_OOM,
};

void slx_line_reader_init(struct slx_line_reader *r, struct slx_mem *m, uint32_t tags_max, uint32_t fields_max);
void slx_line_reader_free(struct slx_line_reader *r);

/* Reads the line at the start of [p, p + n); *ret_used is what it took with its line end (not for MORE and OOM). final:
 * the input ends with these bytes. Tag keys may repeat: see slx_line_check_tags. */
enum slx_line_result slx_line_read(struct slx_line_reader *r, const char *p, size_t n, bool final, size_t *ret_used);

/* False and a message when a tag key stands twice. Apart, because it depends on the series only. */
bool slx_line_check_tags(struct slx_line_reader *r);

/* Appends the meaning of a token: a name (\, \= \blank), the measurement (\, \blank) or a string field (\" \\). At most
 * t.n bytes. */
enum slx_line_escape { SLX_LINE_ESC_MEASUREMENT, SLX_LINE_ESC_KEY, SLX_LINE_ESC_STRING };
void slx_line_unescape(struct slx_buf *b, struct slx_line_token t, enum slx_line_escape what);

/* ---- writing ---- */

/* A point to write; strings are plain here, not escaped. */
struct slx_line_value {
	struct slx_str key;
	enum slx_line_type type;
	union {
		double f64;
		int64_t i64;
		uint64_t u64;
		bool b;
		struct slx_str s;
	} value;
};

/* Appends one line. False, and nothing is appended, when the grammar has no way to write it: empty or control
 * characters in names and tag values, a tag value or name ending in a backslash, not UTF-8, a float that is not finite,
 * no fields. A tag __name__ is left out: a row's labels can be given as they are. */
bool slx_line_write(struct slx_buf *b, struct slx_str measurement, const struct slx_label *tags, size_t tags_n,
	const struct slx_line_value *fields, size_t fields_n, int64_t time);

#endif
