#include "rules/unit/backfill.h"

#include "api/api.h"
#include "rules/group/group.h"

struct telling {
	silex_progress_fn progress;
	void *arg;
};

static bool tell(void *arg, size_t done, size_t n)
{
	const struct telling *t = arg;
	return !t->progress || t->progress(t->arg, "backfill", done, n);
}

silex_status slx_rules_backfill(silex_db *db, const char *tenant, const char *path, bool experimental, int64_t from, int64_t to,
	silex_progress_fn progress, void *arg, uint64_t *ret_samples, silex_error *err)
{
	const struct slx_rule_env env = { .engine = slx_api_engine(db), .experimental = experimental };
	struct telling t = { progress, arg };
	struct slx_rule_file *f;
	if (from > to || !slx_time_legal(from) || !slx_time_legal(to))
		return slx_err(err, SILEX_INVALID, "backfill: the range is empty or outside the legal times");
	SLX_TRY(slx_rule_file_read(slx_api_mem(db), path, experimental, &f, err));
	silex_status status = slx_rule_file_backfill(&env, tenant ? slx_str(tenant) : SLX_STR("default"), f, (struct slx_time_range){ from, to }, tell, &t,
		ret_samples, err);
	slx_rule_file_unref(f);
	return status;
}
