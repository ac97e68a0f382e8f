/* Administration: deletes, snapshots. */
#include "server/prom/prom_int.h"

#include "server/backup/backup.h"
#include "yaml/yaml.h"

#include <stdio.h>

/* false: not allowed here, and said so. */
static bool allowed(struct slx_prom *p, struct slx_http_exchange *x)
{
	if (slx_core_config(p->core)->http.admin)
		return true;
	slx_prom_fail(x, SLX_PROM_UNAVAILABLE, "admin APIs disabled");
	return false;
}

static void no_content(struct slx_http_exchange *x) { slx_http_reply_text(x, 204, "application/json", ""); }

static silex_status delete_all(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_prom_matches *m, struct slx_time_range range,
	silex_error *err)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(p->core));
	struct slx_tenant *tenant;
	uint64_t points;
	SLX_TRY(slx_engine_tenant(e, slx_http_tenant(x), &tenant, err));
	for (size_t i = 0; i < m->n; i++)
		SLX_TRY(slx_engine_delete(e, tenant, &m->sel[i], range, &points, err));
	return SILEX_OK;
}

void slx_prom_delete_series(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_time_range range;
	struct slx_prom_matches m;
	silex_error err;
	if (!allowed(p, x))
		return;
	if (slx_http_param(x, "match[]", 0).p == NULL) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "no match[] parameter provided");
		return;
	}
	if (!slx_prom_range_params(x, &range))
		return;
	silex_status status = slx_prom_matches_params(p, x, &m, &err);
	if (status != SILEX_OK) {
		slx_prom_fail_param(x, "match[]", &err);
	} else if ((status = delete_all(p, x, &m, range, &err)) != SILEX_OK) {
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	} else {
		no_content(x);
	}
	slx_prom_matches_free(&m);
}

/* What was deleted leaves the disk: the head goes into blocks, so that the log can be cut, and blocks are merged without it. */
static silex_status rewrite(struct slx_engine *e, silex_error *err)
{
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = true;
	SLX_TRY(slx_engine_flush(e, err));
	return slx_engine_compact(e, &o, err);
}

void slx_prom_clean_tombstones(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	silex_error err;
	if (!allowed(p, x))
		return;
	silex_status status = rewrite(slx_api_engine(slx_core_db(p->core)), &err);
	if (status == SILEX_OK)
		no_content(x);
	else
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
}

void slx_prom_snapshot(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_str skip = slx_http_param(x, "skip_head", 0);
	char word[8], name[SLX_SNAPSHOT_NAME_SIZE], text[SLX_SNAPSHOT_NAME_SIZE + 64];
	silex_error err;
	bool skip_head = false;
	if (!allowed(p, x))
		return;
	snprintf(word, sizeof word, "%.*s", (int)skip.n, skip.p ? skip.p : "");
	if (word[0] && !slx_word_bool(word, &skip_head)) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "unable to parse boolean \"skip_head\" argument");
		return;
	}
	silex_status st = slx_snapshots_create(p->core, NULL, skip_head, name, NULL, &err);
	if (st != SILEX_OK) {
		slx_prom_fail(x, slx_prom_error_of(st), err.message);
		return;
	}
	snprintf(text, sizeof text, "{\"status\":\"success\",\"data\":{\"name\":\"%s\"}}", name);
	slx_http_reply_text(x, 200, "application/json", text);
}
