/* Opening and closing the database of a command. */
#include "app/app.h"

#include <stdlib.h>
#include <string.h>

const char *app_data(const struct app *a)
{
	const char *env = getenv("SILEX_DATA");
	return a->common.data ? a->common.data : env && *env ? env : "silex-data";
}

static void log_line(void *arg, int level, const char *message)
{
	(void)arg;
	if (level >= 2)
		app_say("%s%s", level > 2 ? "" : "warning: ", message);
}

/* --store archive=s3://...: by name, as the database's blocks know them. */
static int set_stores(struct app *a, silex_options *to)
{
#ifdef SILEX_WITH_SERVER
	static const silex_store_type *const types[] = { &silex_s3_store };
	to->store_types = types;
	to->n_store_types = 1;
#endif
	const struct app_texts *given = &a->common.stores;
	if (given->n > APP_STORES_MAX)
		return app_usage("--store: at most %d", APP_STORES_MAX);
	if (given->n && a->db)
		return app_usage("stores are given when the shell starts");
	for (size_t i = 0; i < given->n; i++) {
		const char *text = given->v[i];
		size_t n = strcspn(text, "=");
		if (!text[n] || n >= sizeof a->store_names[i])
			return app_usage("--store %s: expected NAME=URL", text);
		snprintf(a->store_names[i], sizeof a->store_names[i], "%.*s", (int)n, text);
		a->stores[i] = (silex_store_config){ .struct_size = sizeof *a->stores, .name = a->store_names[i], .url = text + n + 1 };
	}
	to->stores = a->stores;
	to->n_stores = given->n;
	return APP_OK;
}

int app_db_options(struct app *a, silex_options *ret)
{
	silex_error err;
	silex_options_init(ret);
	ret->sync = SILEX_SYNC_INTERVAL; /* design: an import is not one disk wait a batch; it ends with a flush */
	ret->log = log_line;
	if (a->common.config && silex_options_load(ret, a->common.config, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	for (size_t i = 0; i < a->common.options.n; i++) {
		const char *text = a->common.options.v[i];
		size_t n = strcspn(text, "=");
		char *name = app_strndup(text, n);
		silex_status st = text[n] ? silex_options_set(ret, name, text + n + 1, &err) : SILEX_OK;
		free(name);
		if (!text[n])
			return app_usage("--option %s: expected NAME=VALUE", text);
		if (st != SILEX_OK)
			return app_usage("--option %s: %s", text, err.message);
	}
	int st = set_stores(a, ret);
	if (st != APP_OK)
		return st;
	ret->time_unit = SILEX_NS; /* whatever the application counts in: commands speak RFC 3339 */
	return APP_OK;
}

int app_open(struct app *a, enum app_open how, silex_db **ret)
{
	silex_options o;
	silex_error err;
	if (a->db) {
		if (a->common.data && strcmp(a->common.data, a->db_path) != 0)
			return app_usage("the shell works on %s; start another one for %s", a->db_path, a->common.data);
		if (a->common.options.n || a->common.stores.n || a->common.config)
			return app_usage("options of the engine are given when the shell starts");
		if (a->backfill)
			return app_usage("in the shell, data of the past is said when it starts: silex shell --option backfill=true");
		*ret = a->db;
		return APP_OK;
	}
	int st = app_db_options(a, &o);
	if (st != APP_OK)
		return st;
	o.read_only = how == APP_READ;
	o.must_exist = how != APP_WRITE;
	o.backfill = o.backfill || a->backfill;
	if (silex_open(app_data(a), &o, ret, &err) == SILEX_OK)
		return APP_OK;
	app_fail(NULL, &err);
	if (err.code == SILEX_NOT_FOUND && !a->common.data && !getenv("SILEX_DATA"))
		app_say("name the database with --data DIR or in the environment variable SILEX_DATA");
	return APP_FAILED;
}

int app_close(struct app *a, silex_db *db, enum app_open how, int status)
{
	silex_error err;
	if (how != APP_READ && silex_flush(db, &err) != SILEX_OK) {
		app_fail("flush", &err);
		status = APP_FAILED;
	}
	if (db == a->db)
		return status;
	if (silex_close(db, &err) != SILEX_OK) {
		app_fail("close", &err);
		status = APP_FAILED;
	}
	return status;
}
