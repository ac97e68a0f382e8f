#include "app/store.h"

#include "base/status.h"

#ifdef SILEX_WITH_SERVER
#include "app/remote.h"
#define REMOTE(s, call)      \
	if ((s)->remote)         \
		return call
#else
#define REMOTE(s, call)
#endif

static const char *tenant(const struct app_store *s) { return s->a->common.tenant; }

int app_store_open(struct app *a, enum app_open how, struct app_store *ret)
{
	*ret = (struct app_store){ .a = a };
	if (!a->common.url)
		return app_open(a, how, &ret->db);
	if (a->common.data || a->common.options.n || a->common.config)
		return app_usage("--url is a server, --data a directory: give one of them; options of the engine are the server's");
#ifdef SILEX_WITH_SERVER
	silex_error err;
	return app_remote_new(a->common.url, a->common.tenant, &ret->remote, &err) == SILEX_OK ? APP_OK : app_fail(NULL, &err);
#else
	return app_usage("this program was built without the server and what speaks to one");
#endif
}

int app_store_close(struct app_store *s, enum app_open how, int status)
{
#ifdef SILEX_WITH_SERVER
	if (s->remote) {
		app_remote_free(s->remote);
		return status;
	}
#endif
	return app_close(s->a, s->db, how, status);
}

silex_status app_list_series(
	struct app_store *s, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_list_series(s->remote, selector, start, end, each, arg, err));
	return silex_list_series(s->db, tenant(s), selector, start, end, each, arg, err);
}

silex_status app_list_names(struct app_store *s, silex_text_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_label_values(s->remote, "__name__", NULL, each, arg, err));
	return silex_list_names(s->db, tenant(s), each, arg, err);
}

silex_status app_label_names(struct app_store *s, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_texts(s->remote, "labels", "labels", selector, each, arg, err));
	return silex_label_names(s->db, tenant(s), selector, each, arg, err);
}

silex_status app_label_values(
	struct app_store *s, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_label_values(s->remote, label, selector, each, arg, err));
	return silex_label_values(s->db, tenant(s), label, selector, each, arg, err);
}

silex_status app_list_tenants(struct app_store *s, silex_text_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_texts(s->remote, "tenants", "tenants", NULL, each, arg, err));
	return silex_list_tenants(s->db, each, arg, err);
}

silex_status app_series_info(struct app_store *s, const silex_label *labels, size_t n, silex_series_info *ret, silex_error *err)
{
	REMOTE(s, app_remote_series_info(s->remote, labels, n, ret, err));
	return silex_series_info_get(s->db, tenant(s), labels, n, ret, err);
}

silex_status app_tier_move(struct app_store *s, const silex_tier_options *o, silex_tier_report *ret, silex_error *err)
{
	REMOTE(s, app_remote_tier_move(s->remote, o, ret, err));
	return silex_tier_move(s->db, o, ret, err);
}

silex_status app_get_metrics(struct app_store *s, silex_metrics *ret, silex_error *err)
{
	REMOTE(s, app_remote_metrics(s->remote, ret, err));
	return silex_get_metrics(s->db, ret, err);
}

silex_status app_remove(struct app_store *s, const char *selector, int64_t start, int64_t end, uint64_t *ret_points, silex_error *err)
{
	REMOTE(s, app_remote_delete(s->remote, selector, start, end, NULL, false, ret_points, err));
	return silex_delete(s->db, tenant(s), selector, start, end, ret_points, err);
}

silex_status app_cleanup(struct app_store *s, int64_t cutoff, uint64_t *ret_points, silex_error *err)
{
	REMOTE(s, app_remote_delete(s->remote, NULL, 0, 0, &cutoff, false, ret_points, err));
	return silex_cleanup(s->db, tenant(s), cutoff, ret_points, err);
}

silex_status app_drop_tenant(struct app_store *s, silex_error *err)
{
	uint64_t none;
	REMOTE(s, app_remote_delete(s->remote, NULL, 0, 0, NULL, true, &none, err));
	(void)none;
	return silex_drop_tenant(s->db, tenant(s), err);
}

silex_status app_retention(struct app_store *s, void (*with)(void *arg, const silex_retention *r), void *arg, silex_error *err)
{
	silex_retention *r;
	REMOTE(s, app_remote_retention(s->remote, with, arg, err));
	SLX_TRY(silex_get_retention(s->db, &r, err));
	with(arg, r);
	silex_retention_free(s->db, r);
	return SILEX_OK;
}

silex_status app_apply_retention(
	struct app_store *s, bool dry_run, silex_expired_fn each, silex_progress_fn progress, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_apply_retention(s->remote, dry_run, each, arg, err));
	return silex_apply_retention(s->db, dry_run, each, progress, arg, err);
}

/* ---- rules on arrival ---- */

silex_status app_rule_register(struct app_store *s, const silex_rule *r, uint64_t *ret_id, silex_error *err)
{
	REMOTE(s, app_remote_rule_register(s->remote, r, ret_id, err));
	return silex_rule_register(s->db, s->a->common.tenant, r, ret_id, err);
}

silex_status app_rule_remove(struct app_store *s, uint64_t id, silex_error *err)
{
	REMOTE(s, app_remote_rule_remove(s->remote, id, err));
	return silex_rule_remove(s->db, s->a->common.tenant, id, err);
}

silex_status app_rule_list(struct app_store *s, silex_rule_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_rule_list(s->remote, each, arg, err));
	return silex_rule_list(s->db, s->a->common.tenant, each, arg, err);
}

silex_status app_rollups(struct app_store *s, silex_rollup_fn each, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_rollups(s->remote, each, arg, err));
	return silex_rollup_list(s->db, each, arg, err);
}

silex_status app_rollup_rebuild(struct app_store *s, int64_t from, int64_t to, silex_progress_fn progress, void *arg, silex_error *err)
{
	REMOTE(s, app_remote_rollup_rebuild(s->remote, from, to, err));
	return silex_rollup_rebuild(s->db, tenant(s), from, to, progress, arg, err);
}

/* ---- rows ---- */

silex_status app_rows_open(
	struct app_store *s, const silex_query *q, const char *agg, bool latest, struct app_rows *ret, silex_error *err)
{
	*ret = (struct app_rows){ 0 };
	REMOTE(s, app_remote_query(s->remote, q, agg, latest, &ret->remote, err));
	if (latest)
		return silex_latest(s->db, tenant(s), q->n_selectors ? q->selectors[0] : NULL, &ret->cursor, err);
	return silex_query_run(s->db, q, &ret->cursor, err);
}

silex_status app_rows_promql(struct app_store *s, const char *expr, int64_t start, int64_t end, int64_t step, int64_t timeout_ns, struct app_rows *ret,
	silex_error *err)
{
	*ret = (struct app_rows){ 0 };
	REMOTE(s, app_remote_promql(s->remote, expr, start, end, step, timeout_ns, &ret->remote, err));
	return slx_err(err, SILEX_UNSUPPORTED, "PromQL is the server's");
}

silex_status app_rows_next(struct app_rows *r, silex_batch *ret, silex_error *err)
{
	REMOTE(r, app_remote_rows_next(r->remote, ret, err));
	return silex_cursor_next(r->cursor, ret, err);
}

void app_rows_stats(const struct app_rows *r, silex_query_stats *ret)
{
#ifdef SILEX_WITH_SERVER
	if (r->remote) {
		app_remote_rows_stats(r->remote, ret);
		return;
	}
#endif
	silex_cursor_stats(r->cursor, ret);
}

void app_rows_close(struct app_rows *r)
{
#ifdef SILEX_WITH_SERVER
	app_remote_rows_close(r->remote);
#endif
	silex_cursor_close(r->cursor);
}
