/* The program `silex`: what its commands share.
 *
 * A command is a row of the table in commands.c: a name, words for the help, a table of options and a function. Help,
 * completion scripts and the man page are printed from these tables, so they cannot disagree with the parser.
 * The engine is reached through include/silex only.
 *
 * A command function returns an exit status (enum app_exit) and has said on stderr why it is not 0. The shell runs the
 * same functions in one process with one open database, so they free what they take and never call exit().
 * Running out of memory in the program itself (not in the engine) ends it with a message: app_alloc. */
#ifndef SLX_APP_APP_H
#define SLX_APP_APP_H

#include "base/buf.h"
#include "base/mem.h"

#include <silex/silex.h>
#include <stdio.h>

enum app_exit {
	APP_OK = 0,
	APP_FAILED = 1,  /* an error, said on stderr */
	APP_USAGE = 2,   /* the command line was wrong */
	APP_REFUSED = 3, /* done, but some lines were refused */
};

/* --- options ---------------------------------------------------------------------------------------------------- */

struct app_texts {
	const char **v;
	size_t n;
};

struct app_time {
	bool set;
	int64_t ns;
};

/* What an option's target member is. */
enum app_opt_type {
	APP_FLAG,   /* bool */
	APP_TEXT,   /* const char * */
	APP_TEXTS,  /* struct app_texts; the option may be given many times */
	APP_NAMES,  /* struct app_texts; comma-separated, may be given many times */
	APP_COUNT,  /* uint64_t; k, M, G are accepted */
	APP_TIME,   /* struct app_time */
	APP_SPAN,   /* int64_t, nanoseconds */
	APP_CHOICE, /* int: 1 + the index in `choices`; 0 when not given */
};

struct app_opt {
	const char *name; /* without the dashes; NULL ends a table */
	char letter;      /* 0: none */
	enum app_opt_type type;
	const char *arg;     /* how help calls the value: "DIR" */
	const char *choices; /* APP_CHOICE: "a|b|c"; for APP_TEXT: proposals for completion, or NULL */
	const char *help;
	size_t offset; /* of the member in the command's struct */
};

#define APP_OPT(st, member, name, letter, type, arg, choices, help)         \
	{                                                                       \
		name, letter, type, arg, choices, help, offsetof(struct st, member) \
	}
#define APP_OPT_END                            \
	{                                          \
		NULL, 0, APP_FLAG, NULL, NULL, NULL, 0 \
	}

/* --- commands --------------------------------------------------------------------------------------------------- */

struct app;

enum {
	APP_USES_DATA = 1,    /* --data, --tenant, --option, --config */
	APP_USES_URL = 128,   /* --url */
	APP_USES_OUTPUT = 2,  /* --output */
	APP_USES_FORMAT = 64, /* --format */
	APP_HIDDEN = 4,       /* not in lists */
	APP_NOT_IN_SHELL = 8,
	APP_ARGS_FILES = 16,    /* operands are files, for completion */
	APP_ARGS_SELECTOR = 32, /* operands are selectors */
};

struct app_command {
	const char *name;
	const char *args;              /* "FILE..." */
	const char *summary;           /* one line, no capital, no full stop */
	const char *text;              /* paragraphs for help */
	const char *examples;          /* lines "command\twhat it does\n" */
	const struct app_opt *options; /* NULL: none of its own */
	size_t options_size;           /* of the struct they fill */
	int args_min, args_max;        /* operands; max -1: any number */
	unsigned uses;
	int (*run)(struct app *a, void *options, int argc, char **argv);
};

extern const struct app_command *const app_commands[]; /* NULL-terminated, in the order of help */
const struct app_command *app_command_find(const char *name);

/* Of files on disk (docs/format). 0: experimental. */
#define APP_STORE_FORMAT 0ul

enum app_format { APP_DEFAULT, APP_TABLE, APP_CSV, APP_JSON, APP_JSONL, APP_CHART };

/* Options that many commands take, and what they say once read. */
struct app_common {
	const char *data;
	const char *url; /* a server instead of a directory */
	const char *tenant;
	const char *config;
	struct app_texts options; /* name=value */
	struct app_texts stores;  /* name=url */
	int format;               /* enum app_format */
	const char *output;
	bool help;
};
extern const struct app_opt app_data_options[], app_url_options[], app_format_options[], app_output_options[], app_help_options[];

enum { APP_STORES_MAX = 8 };

struct app {
	struct app_common common;
	silex_store_config stores[APP_STORES_MAX]; /* of --store, for the database that is open */
	char store_names[APP_STORES_MAX][65];
	silex_db *db;        /* open already, in the shell; NULL: each command opens for itself */
	const char *db_path; /* of that */
	bool backfill;       /* what the command writes is data of the past */
	struct slx_mem mem;
	FILE *out; /* results */
	bool out_tty, err_tty, color, utf8;
	int width;    /* columns of the terminal, 80 when there is none */
	int64_t now;  /* nanoseconds, at the start of the command */
	char **words; /* argument strings split by the parser, freed after the command */
	size_t words_n;
};

void app_init(struct app *a);
/* Parses and runs argv[0] = command name. */
int app_run(struct app *a, int argc, char **argv);

/* Fills `own` (zeroed, of the command's options_size) and a->common; *ret_argc operands are left in argv.
 * APP_USAGE after saying what is wrong. */
int app_parse(struct app *a, const struct app_command *c, void *own, int argc, char **argv, int *ret_argc);
void app_parse_free(struct app *a, const struct app_command *c, void *own);

void app_help(FILE *f, const struct app_command *c);
void app_help_all(FILE *f);
/* Words of s in lines of at most 80 columns, beginning in column `at`, further lines indented. Single newlines are
 * blanks, double ones end a paragraph. */
void app_put_wrapped(FILE *f, const char *s, int at, int indent);
/* An option's help with its choices, on one line. */
void app_option_text(const struct app_opt *o, char *ret, size_t size);
/* Prints "did you mean" for the nearest of `names` (NULL-terminated), when one is near. */
const char *app_nearest(const char *word, const char *const *names);

enum { APP_TABLES_MAX = 7 };
/* Each option table that command c uses, own ones first; NULL-terminated. */
void app_option_tables(const struct app_command *c, const struct app_opt *ret[APP_TABLES_MAX]);

/* --- saying things ---------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) void app_say(const char *fmt, ...); /* "silex: ..." on stderr */
/* Says "what: message" and returns APP_FAILED. what may be NULL. */
int app_fail(const char *what, const silex_error *err);
__attribute__((format(printf, 1, 2))) int app_usage(const char *fmt, ...); /* says it, returns APP_USAGE */

void *app_alloc(size_t n);                                   /* zeroed; ends the program when there is no memory */
void *app_grow(void *p, size_t n, size_t *cap, size_t size); /* room for element n of an array */
char *app_strdup(const char *s);
char *app_strndup(const char *s, size_t n);
__attribute__((format(printf, 1, 2))) char *app_printf(const char *fmt, ...);

/* --- the database ----------------------------------------------------------------------------------------------- */

enum app_open { APP_READ, APP_WRITE, APP_WRITE_EXISTING };

/* The directory of --data (or $SILEX_DATA, or ./silex-data). */
const char *app_data(const struct app *a);
/* The options of --config and --option over the program's defaults. */
int app_db_options(struct app *a, silex_options *ret);
/* In the shell: its database. app_close closes only what app_open opened, after a flush when it was for writing, and
 * returns the first of `status` and its own failure. */
int app_open(struct app *a, enum app_open how, silex_db **ret);
int app_close(struct app *a, silex_db *db, enum app_open how, int status);

/* --- text ------------------------------------------------------------------------------------------------------- */

enum { APP_TEXT_SIZE = 64 };

bool app_parse_count(const char *s, uint64_t *ret);
silex_status app_parse_time(const char *s, int64_t now, int64_t *ret, silex_error *err);
silex_status app_parse_span(const char *s, int64_t *ret, silex_error *err);
const char *app_time_text(int64_t t, char ret[APP_TEXT_SIZE]);   /* RFC 3339 */
const char *app_span_text(int64_t ns, char ret[APP_TEXT_SIZE]);  /* "1.5 s", "3 h 20 m" */
const char *app_count_text(uint64_t n, char ret[APP_TEXT_SIZE]); /* "1,234,567" */
const char *app_bytes_text(uint64_t n, char ret[APP_TEXT_SIZE]); /* "1.2 MB" */
const char *app_rate_text(double n, char ret[APP_TEXT_SIZE]);    /* "1.25 M" */
const char *app_real_text(double v, char ret[APP_TEXT_SIZE]);    /* shortest that reads back */
const char *app_short_text(double v, char ret[APP_TEXT_SIZE]);   /* six significant digits */

double app_seconds(void); /* monotonic */
int64_t app_wall_ns(void);

/* name{a="b"}: the labels in that order, skipping names in `skip` (NULL-terminated list; may be NULL). */
void app_put_series(struct slx_buf *b, const silex_label *labels, size_t n, const char *const *skip);
const char *app_label(const silex_label *labels, size_t n, const char *name); /* "" when absent */

/* A copied label set. */
struct app_labels {
	silex_label *v;
	size_t n;
};
struct app_labels app_labels_copy(const silex_label *labels, size_t n);
void app_labels_free(struct app_labels *l);

/* Removes a folder and all in it. */
void app_remove_tree(const char *path);

int app_text_width(const char *s); /* columns on a terminal, UTF-8 */

/* --- progress --------------------------------------------------------------------------------------------------- */

/* A bar on stderr, drawn at most ten times a second and only on a terminal. */
struct app_progress {
	const char *what;
	bool on, drawn;
	double began, next;
	int width;
};
void app_progress_begin(struct app_progress *p, const struct app *a, const char *what);
/* total 0: unknown. points 0: not shown. */
void app_progress_show(struct app_progress *p, uint64_t done, uint64_t total, uint64_t points);
void app_progress_end(struct app_progress *p);                                        /* wipes the bar */
bool app_progress_stage(void *arg, const char *stage, uint64_t done, uint64_t total); /* a silex_progress_fn */

#endif
