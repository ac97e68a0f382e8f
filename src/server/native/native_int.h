/* Inside of the native room: what handlers share. */
#ifndef SLX_SERVER_NATIVE_INT_H
#define SLX_SERVER_NATIVE_INT_H

#include "server/core/alert_json.h"
#include "server/core/json.h"
#include "server/native/native.h"

struct slx_stream;

struct slx_native {
	struct slx_core *core;
	struct slx_intake *_Atomic intake;  /* NULL until the database is open */
	const struct slx_native_rules *_Atomic rules; /* NULL until they are evaluated */
	struct slx_stream *_Atomic stream;  /* NULL until the database is open, and again when it ends */
	struct slx_backups *_Atomic backups; /* NULL until the database is open */
	struct slx_stream *stream_kept;     /* the same, until free */
};

static inline struct slx_engine *slx_native_engine(struct slx_native *n) { return slx_api_engine(slx_core_db(n->core)); }
int64_t slx_native_now(struct slx_native *n); /* ns; the database is open */

/* ---- problems (problem.c): RFC 7807, with what a program needs to tell its user as members of their own ---- */

/* 400 for one member of the request: `field` is its name or path ("rows[3].time"), `expected` what belongs there. */
void slx_native_fail_field(struct slx_http_exchange *x, const char *field, const char *expected, struct slx_str got);
/* What a status of the engine stands for. */
void slx_native_fail(struct slx_http_exchange *x, const silex_error *err);
/* The same, of a field: INVALID names it. */
void slx_native_fail_of(struct slx_http_exchange *x, const char *field, const silex_error *err);
/* Samples were refused: 400, or 503 when they should come again. */
void slx_native_fail_write(struct slx_http_exchange *x, const struct slx_intake_result *r);
unsigned slx_native_http_status(silex_status st);
/* {"title":..,"status":..,"detail":..}: into a stream that has begun. */
void slx_native_put_problem(struct slx_buf *b, const silex_error *err);
void slx_native_route_error(struct slx_http_exchange *x, unsigned http_status, const char *message, unsigned retry_after);

/* ---- what a request asks for (args.c): the same members in the query string, a form or a JSON object as the body ---- */

enum slx_native_type { SLX_ARG_TEXT, SLX_ARG_LIST, SLX_ARG_COUNT, SLX_ARG_BOOL, SLX_ARG_TIME, SLX_ARG_SPAN, SLX_ARG_REAL, SLX_ARG_OBJECT /* its JSON */ };

struct slx_native_field {
	const char *name; /* NULL: not of this operation */
	enum slx_native_type type;
};

enum { SLX_NATIVE_FIELDS_MAX = 32, SLX_NATIVE_LIST_MAX = 1000 };

struct slx_native_args {
	struct slx_native *n;
	struct slx_http_exchange *x;
	const struct slx_native_field *fields;
	size_t fields_n;
	struct slx_native_values {
		struct slx_str *v; /* as text, in the exchange's arena */
		size_t n;          /* 0: absent */
	} values[SLX_NATIVE_FIELDS_MAX];
};

/* Each of these returns false when it has answered with an error. Absent: *ret is left alone. i: the place in fields. */
bool slx_native_args(struct slx_native *n, struct slx_http_exchange *x, const struct slx_native_field *fields, size_t fields_n, struct slx_native_args *ret);
struct slx_str slx_arg_text(const struct slx_native_args *a, size_t i); /* p NULL when absent */
bool slx_arg_count(const struct slx_native_args *a, size_t i, uint64_t *ret);
bool slx_arg_bool(const struct slx_native_args *a, size_t i, bool *ret);
bool slx_arg_span(const struct slx_native_args *a, size_t i, int64_t *ret_ns);
bool slx_arg_real(const struct slx_native_args *a, size_t i, double *ret);
/* unit: the place of the field that says what a number counts. */
bool slx_arg_time(const struct slx_native_args *a, size_t i, size_t unit, int64_t *ret_ns);
/* One of "a|b|c": *ret its index. */
bool slx_arg_choice(const struct slx_native_args *a, size_t i, const char *choices, unsigned *ret);
/* Selectors, freed by slx_native_selectors_free in any case. */
struct slx_native_selectors {
	struct slx_selector *v; /* in the arena */
	size_t n;
};
bool slx_arg_selectors(const struct slx_native_args *a, size_t i, struct slx_native_selectors *ret);
void slx_native_selectors_free(struct slx_native_selectors *s);
const char *slx_native_zstr(struct slx_http_exchange *x, struct slx_str s); /* terminated, in the arena; NULL without memory */
bool slx_native_unit(struct slx_str name, enum slx_time_unit *ret); /* ns, us, ms, s */

/* ---- answers (answer.c) ---- */

/* An answer while it is written: a small one is sent whole, a large one goes out in pieces. */
struct slx_native_answer {
	struct slx_http_exchange *x;
	struct slx_buf b;
	const char *content_type;
	bool streaming, gone;
};
void slx_native_answer_begin(struct slx_native_answer *a, struct slx_native *n, struct slx_http_exchange *x, const char *content_type);
bool slx_native_answer_spill(struct slx_native_answer *a); /* between two parts; false: the client is gone */
void slx_native_answer_end(struct slx_native_answer *a);
void slx_native_answer_drop(struct slx_native_answer *a); /* nothing was sent: another answer follows */

void slx_native_put_text(struct slx_buf *b, const char *z);
__attribute__((format(printf, 2, 3))) void slx_native_put(struct slx_buf *b, const char *fmt, ...); /* at most 256 bytes */
void slx_native_put_real(struct slx_buf *b, double v); /* a number of JSON; null for what is none */

/* ---- rows in the forms that clients take (rows.c) ---- */

enum slx_rows_format { SLX_ROWS_JSON, SLX_ROWS_JSONL, SLX_ROWS_CSV };
enum slx_rows_time { SLX_ROWS_RFC3339, SLX_ROWS_S, SLX_ROWS_MS, SLX_ROWS_US, SLX_ROWS_NS };

/* By ?format=, else by Accept, else JSON. `field` is the place of format in the arguments. */
bool slx_rows_format(const struct slx_native_args *a, size_t field, enum slx_rows_format *ret);
/* Writes all rows of the cursor as the answer and closes it. Adds to *ret_series and *ret_rows; returns how it ended. */
silex_status slx_rows_answer(struct slx_native *n, struct slx_http_exchange *x, enum slx_rows_format format, enum slx_rows_time times,
	struct slx_query_cursor *c, uint64_t *ret_series, uint64_t *ret_rows);

/* ---- handlers; ctx is the struct slx_native ---- */

void slx_native_insert(void *ctx, struct slx_http_exchange *x);
void slx_native_batch(void *ctx, struct slx_http_exchange *x);
void slx_native_query(void *ctx, struct slx_http_exchange *x);
void slx_native_latest(void *ctx, struct slx_http_exchange *x);
void slx_native_series(void *ctx, struct slx_http_exchange *x);
void slx_native_series_info(void *ctx, struct slx_http_exchange *x);
void slx_native_labels(void *ctx, struct slx_http_exchange *x);
void slx_native_label_values(void *ctx, struct slx_http_exchange *x);
void slx_native_tenants(void *ctx, struct slx_http_exchange *x);
void slx_native_delete(void *ctx, struct slx_http_exchange *x);
void slx_native_tier_move(void *ctx, struct slx_http_exchange *x);
void slx_native_checkpoint(void *ctx, struct slx_http_exchange *x);
void slx_native_retention(void *ctx, struct slx_http_exchange *x);
void slx_native_rollups(void *ctx, struct slx_http_exchange *x);
void slx_native_rollups_rebuild(void *ctx, struct slx_http_exchange *x);
void slx_native_retention_apply(void *ctx, struct slx_http_exchange *x);
void slx_native_snapshot(void *ctx, struct slx_http_exchange *x);
void slx_native_snapshot_file(void *ctx, struct slx_http_exchange *x);
void slx_native_backup(void *ctx, struct slx_http_exchange *x);
void slx_native_backups(void *ctx, struct slx_http_exchange *x);
void slx_native_restore(void *ctx, struct slx_http_exchange *x);
void slx_native_metrics(void *ctx, struct slx_http_exchange *x);
void slx_native_health(void *ctx, struct slx_http_exchange *x);
void slx_native_rules(void *ctx, struct slx_http_exchange *x);
void slx_native_backfill(void *ctx, struct slx_http_exchange *x);
void slx_native_rule(void *ctx, struct slx_http_exchange *x);
void slx_native_export(void *ctx, struct slx_http_exchange *x);
void slx_native_export_csv(void *ctx, struct slx_http_exchange *x);
void slx_native_openapi(void *ctx, struct slx_http_exchange *x);
void slx_native_stream(void *ctx, struct slx_http_exchange *x);
void slx_native_alerts(void *ctx, struct slx_http_exchange *x);
void slx_native_alert_history(void *ctx, struct slx_http_exchange *x);
void slx_native_acknowledge(void *ctx, struct slx_http_exchange *x);
void slx_native_silences(void *ctx, struct slx_http_exchange *x);
void slx_native_silence(void *ctx, struct slx_http_exchange *x);

/* ---- the stream (stream.c) ---- */

silex_status slx_stream_new(struct slx_native *n, struct slx_stream **ret, silex_error *err);
/* A sink of alerts: tells those who follow them. */
void slx_stream_alert(void *arg, const struct slx_alert_event *e);
/* Silences or acknowledgements changed: the lists of those who follow alerts are sent anew. */
void slx_stream_alerts_changed(struct slx_stream *s);
void slx_stream_stop(struct slx_stream *s); /* its thread has ended */
void slx_stream_free(struct slx_stream *s); /* no connection is left; NULL is fine */

#endif
