/* The CSV decoder's parts: csv.c cuts records into cells and makes rows, csv_columns.c decides what the columns mean.
 * */
#ifndef SLX_FORMATS_CSV_H
#define SLX_FORMATS_CSV_H

#include "formats/formats_int.h"

/* A cell without its quotes and, when unquoted, without blanks around it. */
struct slx_csv_cell {
	const char *p;
	uint32_t n;
	bool quoted;
	bool doubled; /* holds "" that stand for one quote */
};

enum slx_csv_role { SLX_CSV_IGNORED, SLX_CSV_TIME, SLX_CSV_VALUE, SLX_CSV_LABEL };

struct slx_csv_column {
	struct slx_str name;
	enum slx_csv_role role;
	struct slx_str metric; /* VALUE: the metric name that the template gives */
	/* of the cells of the sample that are not empty: */
	uint32_t cells, values, time_texts, time_numbers;
};

struct slx_csv_decoder {
	struct slx_decoder base;
	struct slx_csv_options options; /* strings copied */
	struct slx_arena arena;         /* copies, names, columns */
	struct slx_label *constant;

	bool decided;          /* columns are known; until then records are kept in `sample` */
	uint64_t header_line;  /* where the columns are named; 0: nowhere */
	struct slx_buf sample; /* the first records: line, size (u64 each), bytes */
	uint32_t sample_records, sample_records_max;

	struct slx_csv_column *columns;
	uint32_t columns_n, values_n, labels_n;
	uint32_t time_column;

	struct slx_csv_cell *cells; /* of the current record */
	uint32_t cells_n, cells_cap;

	struct slx_keymap labelsets; /* label cells as written, with lengths -> 1, 2, 3... */
	struct slx_buf labelset_key;
	uint32_t *keys; /* series key of (label set - 1) * values_n + value column; 0: none yet */
	size_t keys_cap;
	uint32_t keys_n; /* given so far */
};

struct slx_csv_record {
	const char *p;
	size_t n;
	uint64_t line;
};

enum slx_csv_result { SLX_CSV_RECORD, SLX_CSV_BLANK, SLX_CSV_BAD, SLX_CSV_MORE, SLX_CSV_OOM };

/* Cuts the record at the start of [p, p + n) into c->cells; *ret_used is what it took. BAD: *ret_bad and *ret_expected.
 * */
enum slx_csv_result slx_csv_cut(struct slx_csv_decoder *c, const char *p, size_t n, bool final, size_t *ret_used,
	const char **ret_bad, const char **ret_expected);

/* A cell that stands for "no value": empty, null, NA. */
bool slx_csv_no_value(const struct slx_csv_cell *cell);
/* A number, NaN, an infinity, true or false. */
bool slx_csv_value(const struct slx_csv_cell *cell, enum slx_kind *ret_kind, uint64_t *ret_bits);
/* The cell's text; doubled quotes are undone in base.text, which must have room. */
struct slx_str slx_csv_text(struct slx_csv_decoder *c, const struct slx_csv_cell *cell);

/* The record of the sample at *at, which moves on. False at the end. */
bool slx_csv_sample_next(const struct slx_csv_decoder *c, size_t *at, struct slx_csv_record *ret);

/* Decides the roles of the columns from the options and the sample. False: base.status is set. */
bool slx_csv_decide(struct slx_csv_decoder *c);

#endif
