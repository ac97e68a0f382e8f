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
		if (a->common.options.n || a->common.config)
			return app_usage("options of the engine are given when the shell starts");
		*ret = a->db;
		return APP_OK;
	}
	int st = app_db_options(a, &o);
	if (st != APP_OK)
		return st;
	o.read_only = how == APP_READ;
	o.must_exist = how != APP_WRITE;
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
