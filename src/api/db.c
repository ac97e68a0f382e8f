/* The composition root: silex_open wires engine and query; flush, checkpoint, compaction, metrics. */
#include "api/api.h"

#include "api/api_int.h"

const char *silex_version(void)
{
	return SILEX_VERSION_STRING;
}

static const int64_t unit_ns[] = { [SILEX_NS] = 1, [SILEX_US] = SLX_US, [SILEX_MS] = SLX_MS, [SILEX_S] = SLX_SECOND };

enum { WATCH_SHARE = 16 }; /* of the memory limit, for the samples that rules on arrival keep */

/* What a database is beside its engine, from low to high. */
static silex_status wire(silex_db *db, struct slx_engine *e, const silex_options *o, silex_error *err)
{
	db->engine = e;
	SLX_TRY(slx_querier_new(e, &db->querier, err));
	SLX_TRY(slx_alerts_new(e, &db->alerts, err));
	SLX_TRY(slx_silences_new(db->alerts, &db->silences, err));
	return o->read_only ? SILEX_OK : slx_watch_new(db->alerts, (int64_t)(o->memory_limit / WATCH_SHARE), &db->watch, err);
}

static void unwire(silex_db *db)
{
	if (!db)
		return;
	slx_watch_free(db->watch);
	slx_silences_free(db->silences);
	slx_alerts_free(db->alerts);
	slx_querier_free(db->querier);
}

silex_status slx_api_open(const char *path, const silex_options *o, silex_db **ret_db, silex_error *err)
{
	silex_options opt;
	SLX_TRY(slx_options_resolve(o, &opt, err));
	struct slx_engine *e;
	silex_error own = { 0 };
	silex_status status = slx_engine_open(path, &opt, &e, &own);
	if (status != SILEX_OK)
		return slx_err(err, status, "open %s: %s", path ? path : "in memory", own.message);
	struct slx_mem *m = slx_engine_mem(e);
	silex_db *db = slx_calloc(m, SLX_MEM_OTHER, sizeof *db);
	status = db ? wire(db, e, &opt, err) : slx_err_oom(err);
	if (status != SILEX_OK) {
		unwire(db);
		slx_free(m, SLX_MEM_OTHER, db, sizeof *db);
		slx_engine_close(e, NULL);
		return status;
	}
	db->mem = m;
	db->unit_ns = unit_ns[opt.time_unit];
	pthread_mutex_init(&db->async_lock, NULL);
	*ret_db = db;
	return SILEX_OK;
}

silex_status silex_open(const char *path, const silex_options *o, silex_db **ret_db, silex_error *err)
{
	silex_db *db;
	SLX_TRY(slx_api_open(path, o, &db, err));
	silex_status status = db->watch ? slx_watch_go(db->watch, err) : SILEX_OK;
	if (status != SILEX_OK)
		silex_close(db, NULL);
	else
		*ret_db = db;
	return status;
}

silex_status silex_close(silex_db *db, silex_error *err)
{
	if (!db)
		return SILEX_OK;
	struct slx_engine *e = db->engine;
	slx_async_stop(db->async);
	unwire(db);
	pthread_mutex_destroy(&db->async_lock);
	slx_free(db->mem, SLX_MEM_OTHER, db, sizeof *db);
	return slx_engine_close(e, err);
}

silex_status silex_flush(silex_db *db, silex_error *err)
{
	return slx_engine_sync(db->engine, err);
}

silex_status silex_checkpoint(silex_db *db, silex_error *err)
{
	return slx_engine_flush(db->engine, err);
}

silex_status silex_compact(silex_db *db, const silex_compact_options *o, silex_error *err)
{
	if (o && o->size != sizeof *o)
		return slx_err(err, SILEX_INVALID, "compact options: size is %zu, expected %zu; call silex_compact_options_init first", o->size, sizeof *o);
	return slx_engine_compact(db->engine, o, err);
}

silex_status silex_tier_move(silex_db *db, const silex_tier_options *o, silex_tier_report *ret, silex_error *err)
{
	if (o && o->size != sizeof *o)
		return slx_err(err, SILEX_INVALID, "tier options: size is %zu, expected %zu; call silex_tier_options_init first", o->size, sizeof *o);
	return slx_engine_tier_move(db->engine, o, ret, err);
}

silex_status silex_get_metrics(silex_db *db, silex_metrics *ret, silex_error *err)
{
	if (ret->size != sizeof *ret)
		return slx_err(err, SILEX_INVALID, "metrics: size is %zu, expected %zu", ret->size, sizeof *ret);
	memset(ret, 0, sizeof *ret);
	ret->size = sizeof *ret;
	slx_engine_metrics(db->engine, ret);
	return SILEX_OK;
}

silex_status silex_get_store_metrics(silex_db *db, size_t i, silex_store_metrics *ret, silex_error *err)
{
	if (ret->size != sizeof *ret)
		return slx_err(err, SILEX_INVALID, "store metrics: size is %zu, expected %zu", ret->size, sizeof *ret);
	return slx_engine_store_metrics(db->engine, i, ret, err);
}

silex_status silex_tenant_set_limits(silex_db *db, const char *tenant, const silex_tenant_limits *l, silex_error *err)
{
	struct slx_tenant *t;
	if (slx_engine_read_only(db->engine))
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	if (l->size != sizeof *l)
		return slx_err(err, SILEX_INVALID, "tenant limits: size is %zu, expected %zu; call silex_tenant_limits_init first", l->size, sizeof *l);
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	return slx_engine_set_limits(db->engine, t, l->series_max, l->head_bytes_max, err);
}
