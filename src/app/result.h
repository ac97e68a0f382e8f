/* Results of queries: rows printed as a table, CSV, JSON, JSON lines or a chart. */
#ifndef SLX_APP_RESULT_H
#define SLX_APP_RESULT_H

#include "app/store.h"

struct app_result_style {
	enum app_format format; /* DEFAULT: TABLE */
	bool exact;             /* table: every digit; else six significant ones */
	int wide;               /* table: 1 one column per series, 2 one row per sample, 0 what fits */
	bool timeless;          /* table: no column of times (one aggregate of everything) */
	bool windows;           /* the rows are windows: series share their times */
	const char *title;      /* of a chart, may be NULL */
	int height;             /* of a chart; 0: 16 */
};

/* Prints all of the rows (and closes nothing). Damaged pages are said on stderr and passed over: the status is then
 * APP_FAILED, as for other errors. */
int app_result_print(struct app *a, struct app_rows *rows, const struct app_result_style *style);

#endif
