/* A file of measurements as a stream of rows: finds out the format, makes its decoder, feeds it. */
#ifndef SLX_APP_SOURCE_H
#define SLX_APP_SOURCE_H

#include "app/app.h"
#include "formats/formats.h"

enum app_source_format {
	APP_ANY,
	APP_SOURCE_CSV,
	APP_SOURCE_TSV,
	APP_SOURCE_LINE,
	APP_SOURCE_JSONL,
	APP_SOURCE_PROM,
	APP_SOURCE_OPENMETRICS,
	APP_SOURCE_WFDB
};

struct app_source_options {
	int format; /* enum app_source_format */
	const char *delimiter;
	int header; /* 1 yes, 2 no */
	const char *time_column;
	int time_format; /* choice of APP_SOURCE_TABLE */
	const char *value_columns;
	const char *label_columns;
	const char *name_template;
	const char *metric;
	const char *field_label;
	int precision; /* choice: ns us ms s */
	struct app_time start;
};

/* The rows of the option table, for commands whose struct st has a member `source` of that type. */
#define APP_SOURCE_TABLE(st)                                                                                          \
	APP_OPT(st, source.format, "format", 'f', APP_CHOICE, "FORMAT", "csv|tsv|line|jsonl|prom|openmetrics|wfdb",       \
		"of the files, when name and content do not tell"),                                                           \
		APP_OPT(st, source.time_column, "time-column", 't', APP_TEXT, "COLUMN", NULL,                                 \
			"CSV: the column with the times, by name or #number [the first that looks like it]"),                     \
		APP_OPT(st, source.time_format, "time-format", 0, APP_CHOICE, "FORMAT", "auto|rfc3339|s|ms|us|ns",            \
			"CSV: what numbers in it count"),                                                                         \
		APP_OPT(st, source.value_columns, "value-columns", 'v', APP_TEXT, "A,B", NULL,                                \
			"CSV: the columns with values [those with numbers]"),                                                     \
		APP_OPT(st, source.label_columns, "label-columns", 'l', APP_TEXT, "A,B", NULL,                                \
			"CSV: the columns that become labels [those with text]"),                                                 \
		APP_OPT(st, source.metric, "metric", 'm', APP_TEXT, "NAME", NULL, "CSV: the metric name [the file's name]"),  \
		APP_OPT(st, source.name_template, "name-template", 0, APP_TEXT, "TEXT", NULL,                                 \
			"CSV: metric names of value columns, from {metric} and {column}"),                                        \
		APP_OPT(st, source.field_label, "field-label", 0, APP_TEXT, "LABEL", NULL,                                    \
			"CSV: put the column's name into this label instead of the metric name"),                                 \
		APP_OPT(st, source.delimiter, "delimiter", 0, APP_TEXT, "CHAR", NULL, "CSV: between columns [, ; tab or |]"), \
		APP_OPT(st, source.header, "header", 0, APP_CHOICE, "WHETHER", "yes|no",                                      \
			"CSV: whether the first line is a heading"),                                                              \
		APP_OPT(st, source.precision, "precision", 'p', APP_CHOICE, "UNIT", "ns|us|ms|s",                             \
			"line protocol: what its times count [ns]"),                                                              \
		APP_OPT(st, source.start, "start", 's', APP_TIME, "TIME", NULL,                                               \
			"WFDB: when the record begins, instead of what its header says")

struct app_source;

/* NULL and err on failure. The sink's arg must outlive the source. */
struct app_source *app_source_open(
	struct app *a, const struct app_source_options *o, const char *path, const struct slx_sink *sink, silex_error *err);
/* Feeds everything; after each block `step` (may be NULL) hears how far it is. CANCELED when the sink said stop. */
typedef void (*app_source_step)(void *arg, uint64_t done, uint64_t size);
silex_status app_source_run(struct app_source *s, app_source_step step, void *arg, silex_error *err);
const struct slx_decode_stats *app_source_stats(const struct app_source *s);
uint64_t app_source_line(const struct app_source *s); /* of the row that the sink is being given */
void app_source_close(struct app_source *s);

/* The files that operands name: a folder stands for the files in it whose names tell their format. The caller frees
 * the strings and the array. */
silex_status app_source_expand(int argc, char **argv, struct app_texts *ret, silex_error *err);

#endif
