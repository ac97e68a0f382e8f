/* What a command works on: a database that it opened (--data), or a server (--url). The functions are those of include/silex with
 * the tenant of --tenant, and do the same on both. */
#ifndef SLX_APP_STORE_H
#define SLX_APP_STORE_H

#include "app/app.h"

#include <silex/rules.h>

#include <silex/retention.h>
#include <silex/rollup.h>

struct app_remote;
struct app_remote_rows;

struct app_store {
	struct app *a;
	silex_db *db;              /* NULL: a server */
	struct app_remote *remote; /* NULL: a database */
};

/* APP_OK, or what app_open returned and said. */
int app_store_open(struct app *a, enum app_open how, struct app_store *ret);
int app_store_close(struct app_store *s, enum app_open how, int status);

silex_status app_list_series(
	struct app_store *s, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg, silex_error *err);
silex_status app_list_names(struct app_store *s, silex_text_fn each, void *arg, silex_error *err);
silex_status app_label_names(struct app_store *s, const char *selector, silex_text_fn each, void *arg, silex_error *err);
silex_status app_label_values(
	struct app_store *s, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err);
silex_status app_list_tenants(struct app_store *s, silex_text_fn each, void *arg, silex_error *err);
silex_status app_series_info(struct app_store *s, const silex_label *labels, size_t n, silex_series_info *ret, silex_error *err);
/* Strings in *ret live until the store is closed. */
silex_status app_get_metrics(struct app_store *s, silex_metrics *ret, silex_error *err);
silex_status app_tier_move(struct app_store *s, const silex_tier_options *o, silex_tier_report *ret, silex_error *err);
silex_status app_remove(
	struct app_store *s, const char *selector, int64_t start, int64_t end, uint64_t *ret_points, silex_error *err);
silex_status app_cleanup(struct app_store *s, int64_t cutoff, uint64_t *ret_points, silex_error *err);
silex_status app_drop_tenant(struct app_store *s, silex_error *err);
/* The rules in force, during the call of `with`. */
silex_status app_retention(struct app_store *s, void (*with)(void *arg, const silex_retention *r), void *arg, silex_error *err);
silex_status app_apply_retention(
	struct app_store *s, bool dry_run, silex_expired_fn each, silex_progress_fn progress, void *arg, silex_error *err);

/* Rules on arrival. */
silex_status app_rule_register(struct app_store *s, const silex_rule *r, uint64_t *ret_id, silex_error *err);
silex_status app_rule_remove(struct app_store *s, uint64_t id, silex_error *err);
/* A server's: of info->rule the name and the selector, nothing else. */
silex_status app_rule_list(struct app_store *s, silex_rule_fn each, void *arg, silex_error *err);
silex_status app_rollups(struct app_store *s, silex_rollup_fn each, void *arg, silex_error *err);
/* Of the tenant. A server tells no progress. */
silex_status app_rollup_rebuild(struct app_store *s, int64_t from, int64_t to, silex_progress_fn progress, void *arg, silex_error *err);

/* Rows of a query, of either. */
struct app_rows {
	silex_cursor *cursor;
	struct app_remote_rows *remote;
};
/* q: without its tenant. latest: the newest sample of each series of the first selector; agg: as the user wrote it. */
silex_status app_rows_open(
	struct app_store *s, const silex_query *q, const char *agg, bool latest, struct app_rows *ret, silex_error *err);
/* Servers only. step 0: an instant query at end. */
silex_status app_rows_promql(struct app_store *s, const char *expr, int64_t start, int64_t end, int64_t step, int64_t timeout_ns, struct app_rows *ret,
	silex_error *err);
silex_status app_rows_next(struct app_rows *r, silex_batch *ret, silex_error *err); /* as silex_cursor_next */
void app_rows_stats(const struct app_rows *r, silex_query_stats *ret);
void app_rows_close(struct app_rows *r);

#endif
