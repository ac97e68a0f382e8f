/* Rules of retention (include/silex/retention.h): checked, and times in the database's unit. */
#include "api/api_int.h"
#include "engine/retention.h"

void silex_retention_init(silex_retention *r)
{
	*r = (silex_retention){ .size = sizeof *r };
}

silex_status silex_set_retention(silex_db *db, const silex_retention *r, silex_error *err)
{
	if (r->size != sizeof *r)
		return slx_err(err, SILEX_INVALID, "retention: size is %zu, expected %zu; call silex_retention_init first", r->size, sizeof *r);
	return slx_engine_set_retention(db->engine, r, err);
}

silex_status silex_get_retention(silex_db *db, silex_retention **ret, silex_error *err)
{
	return slx_engine_get_retention(db->engine, ret, err);
}

void silex_retention_free(silex_db *db, silex_retention *r)
{
	slx_engine_retention_free(db->engine, r);
}

struct telling {
	silex_db *db;
	silex_expired_fn each;
	silex_progress_fn progress;
	void *arg;
};

static bool tell(void *arg, const silex_expired *x)
{
	struct telling *t = arg;
	silex_expired row = *x;
	row.first = slx_api_units(t->db, x->first);
	row.last = slx_api_units(t->db, x->last);
	return t->each(t->arg, &row);
}

static bool progress(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	struct telling *t = arg;
	return t->progress(t->arg, stage, done, total);
}

silex_status silex_apply_retention(silex_db *db, bool dry_run, silex_expired_fn each, silex_progress_fn step, void *arg, silex_error *err)
{
	struct telling t = { db, each, step, arg };
	return slx_engine_apply_retention(db->engine, dry_run, each ? tell : NULL, step ? progress : NULL, &t, err);
}
