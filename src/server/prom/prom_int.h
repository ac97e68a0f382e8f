/* Inside of the prom room: what handlers share. */
#ifndef SLX_SERVER_PROM_INT_H
#define SLX_SERVER_PROM_INT_H

#include "promql/promql.h"
#include "server/core/json.h"
#include "server/prom/params.h"
#include "server/prom/prom.h"

enum slx_prom_kind { SLX_PROM_INSTANT, SLX_PROM_RANGE, SLX_PROM_KINDS };

/* Prometheus' error types, in the order of its source. */
enum slx_prom_error {
	SLX_PROM_TIMEOUT,
	SLX_PROM_CANCELED,
	SLX_PROM_EXECUTION,
	SLX_PROM_BAD_DATA,
	SLX_PROM_INTERNAL,
	SLX_PROM_UNAVAILABLE,
	SLX_PROM_NOT_FOUND,
	SLX_PROM_NOT_IMPLEMENTED,
	SLX_PROM_ERRORS
};

struct slx_prom {
	struct slx_core *core;
	const struct slx_prom_targets *_Atomic targets; /* NULL: none */
	const struct slx_prom_rules *_Atomic rules;     /* NULL: none */
	struct slx_metric *duration[SLX_PROM_KINDS];
	struct slx_metric *failed[SLX_PROM_ERRORS];
	struct slx_metric *samples;
};

/* ---- answers (answer.c) ---- */

/* An answer while it is written. A small one is sent whole; a large one goes out in pieces, so that the text of a large result
 * never lies in memory beside it. */
struct slx_answer {
	struct slx_http_exchange *x;
	struct slx_buf b;
	const char *content_type;
	bool streaming, gone;
};

void slx_answer_init(struct slx_answer *a, struct slx_prom *p, struct slx_http_exchange *x, const char *content_type);
/* Sends what there is when it is a piece's worth. Call it between series; false: the client is gone. */
bool slx_answer_spill(struct slx_answer *a);
void slx_answer_end(struct slx_answer *a); /* sends, or says that memory ran out */

/* {"status":"success","data": and what follows the data. */
void slx_answer_begin_json(struct slx_answer *a, struct slx_prom *p, struct slx_http_exchange *x);
void slx_answer_end_json(struct slx_answer *a, const struct slx_str *warnings, size_t n_warnings, const struct slx_str *infos, size_t n_infos);

const char *slx_prom_error_name(enum slx_prom_error type); /* "bad_data" */
void slx_prom_fail(struct slx_http_exchange *x, enum slx_prom_error type, const char *message);
/* INVALID of a parameter: bad_data `invalid parameter "name": message`. */
void slx_prom_fail_param(struct slx_http_exchange *x, const char *name, const silex_error *err);
/* What a status of the engine or of PromQL stands for. */
enum slx_prom_error slx_prom_error_of(silex_status status);
/* Errors that happen before a handler: struct slx_http_route.error. */
void slx_prom_route_error(struct slx_http_exchange *x, unsigned http_status, const char *message, unsigned retry_after);

/* ---- what a request asks for (request.c). Each false: the error has been answered. ---- */

bool slx_prom_time_param(struct slx_http_exchange *x, const char *name, int64_t without, int64_t *ret_ms);
bool slx_prom_limit_param(struct slx_http_exchange *x, const char *name, uint64_t *ret);
/* start and end; all of time when absent. Both ends of a ms belong to it. */
bool slx_prom_range_params(struct slx_http_exchange *x, struct slx_time_range *ret);
struct slx_identity slx_prom_who(const struct slx_http_exchange *x);
int64_t slx_prom_now_ms(const struct slx_prom *p);

/* The parameters match[]; n 0 when there is none. Free in any case. INVALID has Prometheus' text; how an endpoint puts it differs. */
struct slx_prom_matches {
	struct slx_mem *mem;
	struct slx_selector *sel;
	size_t n;
};
silex_status slx_prom_matches_params(struct slx_prom *p, struct slx_http_exchange *x, struct slx_prom_matches *ret, silex_error *err);
void slx_prom_matches_free(struct slx_prom_matches *m);

/* The series that any of the selectors selects, each once, in label order. */
struct slx_prom_union {
	struct slx_mem *mem;
	struct slx_snapshot *snap;
	struct slx_selection **sel; /* n_sel of them, one a selector; in the exchange's arena */
	size_t n_sel;
	struct slx_prom_member {
		uint32_t sel, at;
	} *all;
	size_t n, cap;
};
silex_status slx_prom_union_new(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_prom_matches *m, struct slx_time_range range,
	struct slx_prom_union *ret, silex_error *err);
void slx_prom_union_free(struct slx_prom_union *u); /* in any case */
struct slx_labels slx_prom_union_labels(const struct slx_prom_union *u, size_t i);
silex_status slx_prom_union_collect(struct slx_prom_union *u, size_t i, struct slx_time_range range, struct slx_parts *parts, silex_error *err);

/* ---- handlers; ctx is the struct slx_prom ---- */

void slx_prom_query(void *ctx, struct slx_http_exchange *x);
void slx_prom_query_range(void *ctx, struct slx_http_exchange *x);
void slx_prom_format_query(void *ctx, struct slx_http_exchange *x);
void slx_prom_query_exemplars(void *ctx, struct slx_http_exchange *x);
void slx_prom_remote_read(void *ctx, struct slx_http_exchange *x);
void slx_prom_labels(void *ctx, struct slx_http_exchange *x);
void slx_prom_label_values(void *ctx, struct slx_http_exchange *x);
void slx_prom_series(void *ctx, struct slx_http_exchange *x);
void slx_prom_metadata(void *ctx, struct slx_http_exchange *x);
void slx_prom_get_targets(void *ctx, struct slx_http_exchange *x);
void slx_prom_targets_metadata(void *ctx, struct slx_http_exchange *x);
void slx_prom_rules(void *ctx, struct slx_http_exchange *x);
void slx_prom_alerts(void *ctx, struct slx_http_exchange *x);
void slx_prom_alertmanagers(void *ctx, struct slx_http_exchange *x);
void slx_prom_buildinfo(void *ctx, struct slx_http_exchange *x);
void slx_prom_runtimeinfo(void *ctx, struct slx_http_exchange *x);
void slx_prom_config(void *ctx, struct slx_http_exchange *x);
void slx_prom_flags(void *ctx, struct slx_http_exchange *x);
void slx_prom_tsdb(void *ctx, struct slx_http_exchange *x);
void slx_prom_walreplay(void *ctx, struct slx_http_exchange *x);
void slx_prom_delete_series(void *ctx, struct slx_http_exchange *x);
void slx_prom_clean_tombstones(void *ctx, struct slx_http_exchange *x);
void slx_prom_snapshot(void *ctx, struct slx_http_exchange *x);
void slx_prom_federate(void *ctx, struct slx_http_exchange *x);

#endif
