#include "app/commands.h"
#include "app/store.h"

#include <string.h>
#include <unistd.h>

struct delete_options {
	struct app_time start, end, before;
	bool yes, tenant;
};

/* On a terminal a delete is asked about. */
static bool confirmed(const struct app *a, const char *what)
{
	char answer[16];
	if (!isatty(STDIN_FILENO) || !a->err_tty)
		return true;
	fprintf(stderr, "%s? [y/N] ", what);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static silex_status delete_all(struct app_store *db, const struct delete_options *o, int argc, char **argv,
	uint64_t *ret_points, silex_error *err)
{
	int64_t start = o->start.set ? o->start.ns : SILEX_TIME_MIN, end = o->end.set ? o->end.ns : SILEX_TIME_MAX;
	silex_status st = SILEX_OK;
	*ret_points = 0;
	if (o->tenant)
		return app_drop_tenant(db, err);
	if (o->before.set)
		return app_cleanup(db, o->before.ns, ret_points, err);
	for (int i = 0; i < argc && st == SILEX_OK; i++) {
		uint64_t n = 0;
		st = app_remove(db, argv[i], start, end, &n, err);
		*ret_points += n;
	}
	return st;
}

static int check(struct app *a, const struct delete_options *o, int argc)
{
	if (o->tenant && (argc || o->start.set || o->end.set || o->before.set))
		return app_usage("--drop-tenant takes no selector and no times");
	if (o->tenant && !a->common.tenant)
		return app_usage("--drop-tenant needs --tenant NAME");
	if (o->before.set && (argc || o->start.set || o->end.set))
		return app_usage("--before clears all series of the tenant; it takes no selector, --start or --end");
	if (!o->before.set && !o->tenant && !argc)
		return app_usage("delete needs a selector ({} is every series); `silex delete --help` tells more");
	return APP_OK;
}

static int delete_run(struct app *a, void *options, int argc, char **argv)
{
	const struct delete_options *o = options;
	silex_error err;
	struct app_store db;
	uint64_t points;
	char text[APP_TEXT_SIZE], what[200];
	int st = check(a, o, argc);
	if (st != APP_OK)
		return st;
	snprintf(what, sizeof what, "delete %.100s%s%s",
		o->tenant           ? "the whole tenant "
			: o->before.set ? "old samples"
							: argv[0],
		o->tenant ? a->common.tenant : "", argc > 1 ? " and more" : "");
	if (!o->yes && !confirmed(a, what)) {
		app_say("nothing was deleted");
		return APP_FAILED;
	}
	st = app_store_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	if (delete_all(&db, o, argc, argv, &points, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	else if (o->tenant)
		fprintf(a->out, "dropped tenant %s\n", a->common.tenant);
	else
		fprintf(a->out, "deleted %s points\n", app_count_text(points, text));
	return app_store_close(&db, APP_WRITE_EXISTING, st);
}

static const struct app_opt delete_opts[] = {
	APP_OPT(delete_options, start, "start", 's', APP_TIME, "TIME", NULL, "from this time on [the beginning]"),
	APP_OPT(delete_options, end, "end", 'e', APP_TIME, "TIME", NULL, "up to this time, included [the end]"),
	APP_OPT(delete_options, before, "before", 0, APP_TIME, "TIME", NULL,
		"everything older than this; --tenant '*' for all tenants"),
	APP_OPT(delete_options, tenant, "drop-tenant", 0, APP_FLAG, NULL, NULL, "the whole of --tenant"),
	APP_OPT(delete_options, yes, "yes", 'y', APP_FLAG, NULL, NULL, "do not ask"),
	APP_OPT_END,
};

const struct app_command app_delete = {
	.name = "delete",
	.args = "[SELECTOR...]",
	.summary = "delete samples by selector and time",
	.text = "Deletes what exists now; what is written later is visible, also at the same times. The space is given\n"
			"back by the next compaction. Prints how many samples went. On a terminal it asks first.",
	.examples =
		"silex delete 'hr{patient=\"17\"}' -s 2024-05-01T10:00 -e 2024-05-01T10:05\tfive minutes of one patient\n"
		"silex delete --before now-52w --yes\teverything older than a year\n",
	.options = delete_opts,
	.options_size = sizeof(struct delete_options),
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_ARGS_SELECTOR,
	.run = delete_run,
};
