/* Tables: cells are collected, then printed aligned, as CSV or as JSON lines. Numbers are aligned at their points. */
#ifndef SLX_APP_TABLE_H
#define SLX_APP_TABLE_H

#include "app/app.h"

enum app_align { APP_LEFT, APP_RIGHT, APP_POINT };

struct app_column {
	const char *title; /* the key in JSON */
	enum app_align align;
	bool text; /* JSON: a string even when it looks like a number */
};

struct app_table {
	struct app_column *columns;
	size_t columns_n;
	char **cells; /* row after row; NULL: empty (JSON null) */
	size_t n, cap;
	bool plain; /* no heading */
};

void app_table_init(struct app_table *t);
void app_table_free(struct app_table *t);
void app_table_column(struct app_table *t, const char *title, enum app_align align, bool text);
void app_table_add(struct app_table *t, const char *cell); /* the next cell; NULL: empty */
__attribute__((format(printf, 2, 3))) void app_table_addf(struct app_table *t, const char *fmt, ...);
size_t app_table_rows(const struct app_table *t);
/* format: APP_TABLE, APP_CSV, APP_JSON (an array of objects) or APP_JSONL. */
void app_table_print(const struct app_table *t, FILE *f, enum app_format format, bool utf8);

void app_put_json(FILE *f, const char *s);        /* a quoted string */
void app_put_json_number(FILE *f, const char *s); /* a number as it stands; NaN and Inf as strings */
void app_put_csv(FILE *f, const char *s, char delimiter);

#endif
