/* A server as the commands see it: its native API (docs/protocols/native-api.md) over libcurl. One thread a handle. The functions
 * of store.h call these where --url was given. */
#ifndef SLX_APP_REMOTE_H
#define SLX_APP_REMOTE_H

#include "app/store.h"

/* url "http://host:port" with or without a path; tenant NULL: the server's default. Does not connect. */
silex_status app_remote_new(const char *url, const char *tenant, struct app_remote **ret, silex_error *err);
void app_remote_free(struct app_remote *r); /* NULL is fine */

/* Sends body (NULL: a GET) to the path and collects the answer, which lives until the next request. UNAVAILABLE: no connection; for
 * an answer that is an error the status it stands for and the server's words. *ret_http (may be NULL) is set when there was one. */
silex_status app_remote_request(struct app_remote *r, const char *path, const char *content_type, const void *body, size_t n, const char **ret,
	size_t *ret_n, long *ret_http, silex_error *err);
/* The same, in pieces as they come: take returns false to stop. Errors as above. */
silex_status app_remote_stream(struct app_remote *r, const char *path, const void *body, size_t n, bool (*take)(void *arg, const char *p, size_t n),
	void *arg, silex_error *err);

silex_status app_remote_list_series(struct app_remote *r, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg, silex_error *err);
/* One list of texts: path "labels", member "labels". */
silex_status app_remote_texts(struct app_remote *r, const char *path, const char *member, const char *selector, silex_text_fn each, void *arg, silex_error *err);
silex_status app_remote_label_values(struct app_remote *r, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err);
silex_status app_remote_series_info(struct app_remote *r, const silex_label *labels, size_t n, silex_series_info *ret, silex_error *err);
silex_status app_remote_metrics(struct app_remote *r, silex_metrics *ret, silex_error *err);
/* selector, or before (cutoff), or drop: one of them. */
silex_status app_remote_tier_move(struct app_remote *r, const silex_tier_options *o, silex_tier_report *ret, silex_error *err);
silex_status app_remote_delete(struct app_remote *r, const char *selector, int64_t start, int64_t end, const int64_t *before, bool drop,
	uint64_t *ret_points, silex_error *err);

silex_status app_remote_retention(struct app_remote *r, void (*with)(void *arg, const silex_retention *x), void *arg, silex_error *err);
silex_status app_remote_rollups(struct app_remote *r, silex_rollup_fn each, void *arg, silex_error *err);
silex_status app_remote_rollup_rebuild(struct app_remote *r, int64_t from, int64_t to, silex_error *err);
silex_status app_remote_apply_retention(struct app_remote *r, bool dry_run, silex_expired_fn each, void *arg, silex_error *err);

/* DELETE of a path. */
silex_status app_remote_delete_at(struct app_remote *r, const char *path, silex_error *err);

/* ---- rules on arrival (remote_rules.c) ---- */

silex_status app_remote_rule_register(struct app_remote *r, const silex_rule *rule, uint64_t *ret_id, silex_error *err);
silex_status app_remote_rule_remove(struct app_remote *r, uint64_t id, silex_error *err);
silex_status app_remote_rule_list(struct app_remote *r, silex_rule_fn each, void *arg, silex_error *err);

/* ---- rows (remote_rows.c); the whole answer is held ---- */

silex_status app_remote_query(struct app_remote *r, const silex_query *q, const char *agg, bool latest, struct app_remote_rows **ret, silex_error *err);
/* PromQL: an instant query at end with step 0, else a range. Native histograms are left out; what the server notes is said on stderr. */
silex_status app_remote_promql(struct app_remote *r, const char *expr, int64_t start, int64_t end, int64_t step, int64_t timeout_ns,
	struct app_remote_rows **ret, silex_error *err);
silex_status app_remote_rows_next(struct app_remote_rows *rows, silex_batch *ret, silex_error *err);
void app_remote_rows_stats(const struct app_remote_rows *rows, silex_query_stats *ret);
void app_remote_rows_close(struct app_remote_rows *rows);

/* JSON of a query for /query; the caller frees it. Times in ns. */
char *app_remote_query_json(const silex_query *q, const char *agg, const char *format);

/* ---- samples to the server (remote_upload.c) ---- */

struct slx_row;
struct app_upload;
struct app_upload *app_upload_new(struct app_remote *r, bool backfill);
/* labels: of the rows with this key, above 0, that follow. Rows are sent when enough are there. */
silex_status app_upload_series(struct app_upload *u, uint32_t key, const silex_label *labels, size_t n, silex_error *err);
silex_status app_upload_row(struct app_upload *u, uint32_t key, const struct slx_row *row, int64_t time, silex_error *err);
silex_status app_upload_end(struct app_upload *u, silex_error *err); /* sends the rest */
void app_upload_counts(const struct app_upload *u, uint64_t *ret_accepted, uint64_t *ret_refused, const char **ret_reason);
void app_upload_free(struct app_upload *u);

#endif
