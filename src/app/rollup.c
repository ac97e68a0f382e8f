/* silex rollup: which series are rolled up, how far, and building again. */
#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"
#include "model/time.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 8 };

struct rollup_options {
	struct app_texts levels;
	struct app_time from, to;
};

static bool machine(const struct app *a) { return a->common.format != APP_DEFAULT && a->common.format != APP_TABLE; }

/* --- status ------------------------------------------------------------------------------------------------------------ */

struct status {
	struct app *a;
	struct app_table table;
	size_t n;
};

static bool add_level(void *arg, const silex_rollup *r)
{
	struct status *s = arg;
	char text[APP_TEXT_SIZE];
	app_table_add(&s->table, r->tenant);
	app_table_add(&s->table, r->selector);
	app_table_add(&s->table, r->level);
	if (r->built == SILEX_ROLLUP_NOTHING_BUILT)
		app_table_add(&s->table, machine(s->a) ? NULL : "nothing yet");
	else
		app_table_add(&s->table, app_time_text(r->built, text));
	app_table_addf(&s->table, "%llu", (unsigned long long)r->late);
	app_table_addf(&s->table, "%llu", (unsigned long long)r->buckets);
	s->n++;
	return true;
}

static int run_status(struct app *a)
{
	struct status s = { .a = a };
	struct app_store db;
	silex_error err;
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	app_table_init(&s.table);
	app_table_column(&s.table, "tenant", APP_LEFT, true);
	app_table_column(&s.table, "selector", APP_LEFT, true);
	app_table_column(&s.table, "level", APP_LEFT, true);
	app_table_column(&s.table, machine(a) ? "built" : "built until", APP_LEFT, true);
	app_table_column(&s.table, machine(a) ? "late" : "late windows", APP_RIGHT, false);
	app_table_column(&s.table, machine(a) ? "buckets" : "buckets since start", APP_RIGHT, false);
	if (app_rollups(&db, add_level, &s, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	else if (s.n || machine(a))
		app_table_print(&s.table, a->out, (enum app_format)a->common.format, a->utf8);
	else
		fputs("no roll-ups: `silex rollup set --level 1m --level 1h` rolls all series of a tenant up\n", a->out);
	app_table_free(&s.table);
	return app_store_close(&db, APP_READ, st);
}

/* --- set, remove ------------------------------------------------------------------------------------------------------- */

static silex_status read_levels(const struct rollup_options *o, int64_t *widths, silex_error *err)
{
	if (o->levels.n > LEVELS_MAX)
		return slx_err(err, SILEX_INVALID, "%zu levels; expected at most %d", o->levels.n, LEVELS_MAX);
	for (size_t i = 0; i < o->levels.n; i++) {
		int64_t ns;
		SLX_TRY(slx_duration_parse(o->levels.v[i], strlen(o->levels.v[i]), &ns, err));
		widths[i] = ns / SLX_MS;
	}
	return SILEX_OK;
}

static int run_set(struct app *a, const struct rollup_options *o, const char *selector)
{
	int64_t widths[LEVELS_MAX];
	silex_error err;
	silex_db *db;
	if (a->common.url)
		return app_usage("the policies of a server stand in its configuration, under rollups:; change them there and reload");
	if (read_levels(o, widths, &err) != SILEX_OK)
		return app_usage("--level: %s", err.message);
	int st = app_open(a, APP_WRITE, &db);
	if (st != APP_OK)
		return st;
	if (silex_rollup_set(db, a->common.tenant, selector, widths, o->levels.n, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE, st);
}

/* --- build, rebuild ------------------------------------------------------------------------------------------------------ */

static int run_build(struct app *a)
{
	silex_error err;
	silex_db *db;
	if (a->common.url)
		return app_usage("a server builds by itself; `silex rollup rebuild` does it again");
	int st = app_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	if (silex_rollup_build(db, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

static int run_rebuild(struct app *a, const struct rollup_options *o)
{
	struct app_progress progress;
	struct app_store db;
	silex_error err;
	int64_t from = o->from.set ? o->from.ns : SILEX_TIME_MIN, to = o->to.set ? o->to.ns : SILEX_TIME_MAX;
	int st = app_store_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	app_progress_begin(&progress, a, "rebuild");
	silex_status status = app_rollup_rebuild(&db, from, to, app_progress_stage, &progress, &err);
	app_progress_end(&progress);
	if (status != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_store_close(&db, APP_WRITE_EXISTING, st);
}

static int rollup_run(struct app *a, void *options, int argc, char **argv)
{
	const struct rollup_options *o = options;
	const char *what = argc ? argv[0] : "status";
	if (strcmp(what, "status") == 0 && argc <= 1)
		return run_status(a);
	if (strcmp(what, "set") == 0 && o->levels.n)
		return run_set(a, o, argc > 1 ? argv[1] : "");
	if (strcmp(what, "remove") == 0 && !o->levels.n)
		return run_set(a, o, argc > 1 ? argv[1] : "");
	if (strcmp(what, "build") == 0 && argc == 1)
		return run_build(a);
	if (strcmp(what, "rebuild") == 0 && argc == 1)
		return run_rebuild(a, o);
	return app_usage("expected status, set [SELECTOR] --level WIDTH..., remove [SELECTOR], build or rebuild; `silex rollup --help` tells more");
}

static const struct app_opt rollup_opts[] = {
	APP_OPT(rollup_options, levels, "level", 'l', APP_TEXTS, "WIDTH", NULL, "set: buckets of this width (1m, 1h, 1d); may be given several times"),
	APP_OPT(rollup_options, from, "from", 0, APP_TIME, "TIME", NULL, "rebuild: from this time on [the beginning]"),
	APP_OPT(rollup_options, to, "to", 0, APP_TIME, "TIME", NULL, "rebuild: up to this time [the end]"),
	APP_OPT_END,
};

const struct app_command app_rollup_command = {
	.name = "rollup",
	.args = "[status | set [SELECTOR] | remove [SELECTOR] | build | rebuild]",
	.summary = "coarse buckets of samples: which, how far, again",
	.text = "status (the default) prints each level and until when it is built. set rolls the series of a selector (none: all of\n"
			"the tenant) of a directory up; remove ends that, and what is built stays until retention takes it. build builds what is\n"
			"due, rebuild the buckets of a stretch of time again. A server has its policies in its configuration and builds by itself.",
	.examples = "silex rollup set --level 1m --level 1h\n"
				"silex rollup set '{job=\"monitors\"}' -l 5m --tenant ward\n"
				"silex rollup status --url http://localhost:9470\n"
				"silex rollup rebuild --from 2026-01-01 --to 2026-02-01\n",
	.options = rollup_opts,
	.options_size = sizeof(struct rollup_options),
	.args_min = 0,
	.args_max = 2,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT,
	.run = rollup_run,
};
