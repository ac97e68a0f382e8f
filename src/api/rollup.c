/* Roll-ups (silex/rollup.h). */
#include "api/api_int.h"
#include "engine/rollup.h"

#include <silex/rollup.h>

#include <stdio.h>

silex_status silex_rollup_set(silex_db *db, const char *tenant, const char *selector, const int64_t *widths_ms, size_t n, silex_error *err)
{
	struct slx_tenant *t;
	struct slx_selector sel;
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	SLX_TRY(slx_api_selector(db, selector, &sel, err));
	silex_status status = slx_engine_rollup_set(db->engine, t, &sel, widths_ms, n, err);
	slx_selector_free(&sel);
	return status;
}

struct listing {
	silex_db *db;
	silex_rollup_fn each;
	void *arg;
	struct slx_buf text; /* tenant, 0, selector, 0 */
};

static bool list_one(void *arg, const struct slx_rollup_status *s)
{
	struct listing *l = arg;
	char level[SLX_ROLLUP_LEVEL_SIZE];
	slx_rollup_level(s->width_ms, level);
	slx_buf_reset(&l->text);
	slx_buf_put(&l->text, s->tenant.p, s->tenant.n);
	slx_buf_u8(&l->text, 0);
	slx_buf_put(&l->text, s->selector.p, s->selector.n);
	slx_buf_u8(&l->text, 0);
	if (l->text.failed)
		return false;
	silex_rollup r = { .tenant = (char *)l->text.p, .selector = (char *)l->text.p + s->tenant.n + 1, .level = level, .width_ms = s->width_ms,
		.built = s->built_ms == SLX_ROLLUP_NOTHING_BUILT ? SILEX_ROLLUP_NOTHING_BUILT : slx_api_units(l->db, s->built_ms * SLX_MS),
		.late = s->late, .buckets = s->buckets };
	return l->each(l->arg, &r);
}

silex_status silex_rollup_list(silex_db *db, silex_rollup_fn each, void *arg, silex_error *err)
{
	struct listing l = { .db = db, .each = each, .arg = arg };
	slx_buf_init(&l.text, db->mem, SLX_MEM_OTHER, 1 << 20);
	silex_status status = slx_engine_rollups(db->engine, list_one, &l, err);
	if (status == SILEX_OK && l.text.failed)
		status = slx_err_oom(err);
	slx_buf_free(&l.text);
	return status;
}

silex_status silex_rollup_build(silex_db *db, silex_error *err)
{
	return slx_engine_rollup_build(db->engine, err);
}

silex_status silex_rollup_rebuild(silex_db *db, const char *tenant, int64_t start, int64_t end, silex_progress_fn progress, void *arg, silex_error *err)
{
	struct slx_tenant *t;
	if (start > end)
		return slx_err(err, SILEX_INVALID, "rebuild: start %lld is after end %lld", (long long)start, (long long)end);
	SLX_TRY(slx_api_tenant_of(db, tenant, &t, err));
	return slx_engine_rollup_rebuild(db->engine, t, (struct slx_time_range){ slx_api_bound(db, start), slx_api_bound(db, end) }, progress, arg, err);
}
