/* The rooms of the server. Each has its lines in the functions below, in the order of their lives: made with their routes before
 * anything listens; opened with the database; stopped when the server ends; freed when no handler runs any more. */
#include "server/actions/actions.h"
#include "server/backup/backup.h"
#include "server/ingest/ingest.h"
#include "server/listen/listen.h"
#include "server/native/native.h"
#include "server/prom/prom.h"
#include "server/rules/rules.h"
#include "server/scrape/scrape.h"
#include "server/server_int.h"
#include "server/web/web.h"

struct slx_server_rooms {
	struct slx_core *core;
	struct slx_http *http;
	struct slx_intake *intake; /* NULL until the database is open */
	struct slx_ingest ingest;
	struct slx_prom *prom;
	struct slx_native *native;
	struct slx_scrape *_Atomic scrape; /* NULL until the database is open */
	struct slx_prom_targets targets;
	struct slx_listen *listen;
	struct slx_backups *backups; /* NULL until the database is open */
	struct slx_actions *_Atomic actions; /* NULL until the database is open */
	struct slx_server_rules *_Atomic rules; /* the same */
	struct slx_prom_rules rules_lists;
	struct slx_native_rules rules_api;
};

/* The configuration is read anew: rooms that keep something of it take it over. */
static void on_reload(void *ctx, const struct slx_config *now)
{
	struct slx_server_rooms *r = ctx;
	struct slx_scrape *scrape = atomic_load(&r->scrape);
	silex_db *db = slx_core_db(r->core);
	silex_error e;
	if (scrape)
		slx_scrape_reload(scrape);
	struct slx_actions *actions = atomic_load(&r->actions);
	if (actions)
		slx_actions_reload(actions);
	if (db && slx_server_retention_apply(r->core->mem, db, now, &e) != SILEX_OK)
		slx_log(r->core->log, SLX_LOG_ERROR, "rules of retention not taken over, the old ones hold", SLX_TEXT("error", e.message));
	if (db && slx_server_rollups_apply(r->core->mem, db, now, &e) != SILEX_OK)
		slx_log(r->core->log, SLX_LOG_ERROR, "roll-up policies not taken over", SLX_TEXT("error", e.message));
	struct slx_server_rules *rules = atomic_load(&r->rules);
	if (rules)
		slx_server_rules_reload(rules);
}

silex_status slx_server_rooms_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	SLX_TRY(slx_server_stores_check(m, c, err));
	SLX_TRY(slx_server_retention_check(m, c, err));
	SLX_TRY(slx_server_rollups_check(m, c, err));
	SLX_TRY(slx_scrape_check(m, c, err));
	SLX_TRY(slx_actions_check(m, c, err));
	SLX_TRY(slx_server_rules_check(m, c, err));
	return slx_listen_check(m, c, err);
}

silex_status slx_server_rooms_new(struct slx_core *core, struct slx_http *http, struct slx_server_rooms **ret, silex_error *err)
{
	struct slx_server_rooms *r = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *r);
	if (!r)
		return slx_err_oom(err);
	r->core = core;
	r->http = http;
	*ret = r; /* what was made is freed by the caller, on failure too */
	SLX_TRY(slx_ingest_init(&r->ingest, core, err));
	slx_ingest_routes(http, &r->ingest);
	SLX_TRY(slx_prom_new(core, &r->prom, err));
	slx_prom_routes(http, r->prom);
	SLX_TRY(slx_native_new(core, &r->native, err));
	slx_native_routes(http, r->native);
	slx_core_on_reload(core, on_reload, r);
	slx_web_routes(http, core);
	return SILEX_OK;
}

static void on_silences(void *arg)
{
	struct slx_server_rooms *r = arg;
	slx_actions_wake(atomic_load(&r->actions));
	slx_native_silences_changed(r->native);
}

/* Before anything evaluates rules. */
static silex_status open_actions(struct slx_server_rooms *r, silex_error *err)
{
	silex_db *db = slx_core_db(r->core);
	struct slx_actions *a = NULL;
	silex_status st = slx_actions_start(r->core, slx_api_alerts(db), slx_api_silences(db), slx_http_address(r->http), &a, err);
	if (st == SILEX_OK)
		atomic_store(&r->actions, a);
	else
		slx_actions_free(a);
	if (st == SILEX_OK)
		slx_silences_on_change(slx_api_silences(db), on_silences, r);
	return st;
}

/* After those who are told of alerts. */
static silex_status open_rules(struct slx_server_rooms *r, silex_error *err)
{
	struct slx_server_rules *rules = NULL;
	silex_status st = slx_server_rules_start(r->core, &rules, err);
	atomic_store(&r->rules, rules);
	r->rules_lists = (struct slx_prom_rules){ slx_server_rules_json, slx_server_alerts_json, rules };
	r->rules_api = (struct slx_native_rules){ slx_server_rules_add, slx_server_rules_remove, slx_server_rules_list, rules };
	if (st == SILEX_OK) {
		slx_prom_set_rules(r->prom, &r->rules_lists);
		slx_native_set_rules(r->native, &r->rules_api);
	}
	return st;
}

silex_status slx_server_rooms_open(struct slx_server_rooms *r, silex_error *err)
{
	const struct slx_config *c = slx_core_config(r->core);
	struct slx_intake_limits limits = { .labels = slx_label_limits_default };
	limits.labels.labels_max = c->limits.labels_max;
	limits.labels.name_size_max = c->limits.label_name_max;
	limits.labels.value_size_max = c->limits.label_value_max;
	SLX_TRY(slx_intake_new(slx_core_db(r->core), &limits, &r->intake, err));
	slx_ingest_open(&r->ingest, r->intake);
	SLX_TRY(slx_native_open(r->native, r->intake, err));
	SLX_TRY(open_actions(r, err));
	SLX_TRY(open_rules(r, err));
	struct slx_scrape *scrape;
	SLX_TRY(slx_scrape_start(r->core, r->intake, &scrape, err));
	r->targets = (struct slx_prom_targets){ slx_scrape_targets_json, slx_scrape_metadata_json, scrape };
	slx_prom_set_targets(r->prom, &r->targets);
	atomic_store(&r->scrape, scrape);
	SLX_TRY(slx_backups_start(r->core, &r->backups, err));
	slx_native_set_backups(r->native, r->backups);
	return slx_listen_start(r->core, r->intake, &r->listen, err);
}

void slx_server_rooms_stop(struct slx_server_rooms *r)
{
	slx_listen_stop(r->listen);
	r->listen = NULL;
	slx_scrape_stop(atomic_load(&r->scrape));
	slx_native_stop(r->native);
	slx_server_rules_stop(atomic_load(&r->rules));
	slx_actions_stop(atomic_load(&r->actions));
	slx_backups_stop(r->backups);
}

void slx_server_rooms_free(struct slx_server_rooms *r)
{
	if (!r)
		return;
	slx_server_rules_free(atomic_load(&r->rules));
	slx_backups_free(r->backups);
	slx_actions_free(atomic_load(&r->actions));
	slx_native_free(r->native);
	slx_prom_free(r->prom);
	slx_scrape_free(atomic_load(&r->scrape));
	slx_ingest_free(&r->ingest);
	slx_intake_free(r->intake);
	slx_free(r->core->mem, SLX_MEM_OTHER, r, sizeof *r);
}
