/* rules: rule files checked and tested as promtool does, with the same verdict and exit status. Rules on arrival are in
 * rules_arrival.c. */
#include "app/commands.h"
#include "app/rules.h"

#include <stdlib.h>
#include <string.h>

#ifdef SILEX_WITH_SERVER
#include <jansson.h>

#include "rules/group/file.h"
#include "app/remote.h"
#include "base/vfs.h"
#include "rules/unit/backfill.h"
#include "rules/unit/unit.h"

static int check_file(struct app *a, const struct app_rules_options *o, const char *path)
{
	struct slx_rule_file *f;
	silex_error err;
	size_t n = 0;
	fprintf(a->out, "Checking %s\n", path);
	if (slx_rule_file_read(&a->mem, path, o->experimental, &f, &err) != SILEX_OK) {
		fprintf(a->out, "  FAILED:\n  %s\n\n", err.message);
		return APP_FAILED;
	}
	for (size_t i = 0; i < f->n_groups; i++)
		n += f->groups[i].n_rules;
	fprintf(a->out, "  SUCCESS: %zu rules found in %zu groups\n\n", n, f->n_groups);
	slx_rule_file_unref(f);
	return APP_OK;
}

static void say_difference(void *arg, const char *text) { fputs(text, ((struct app *)arg)->out); }

static int test_file(struct app *a, const struct app_rules_options *o, const char *path)
{
	struct slx_unit_result r;
	silex_error err;
	fprintf(a->out, "Unit Testing:  %s\n", path);
	if (slx_unit_run(&a->mem, path, o->experimental, say_difference, a, &r, &err) != SILEX_OK) {
		fprintf(a->out, "  FAILED:\n    %s\n\n", err.message);
		return APP_FAILED;
	}
	if (r.failed)
		fprintf(a->out, "  FAILED: %u of %u tests\n\n", r.failed, r.tests);
	else
		fprintf(a->out, "  SUCCESS: %u tests\n\n", r.tests);
	return r.failed ? APP_FAILED : APP_OK;
}

/* ---- backfill ---- */

/* What a server says while it works: lines {"done":3,"total":10}, the last one {"samples":120}. */
struct told {
	struct app_progress bar;
	char line[600];
	size_t n;
	unsigned long long samples;
	bool finished;
};

static bool on_line(void *arg, const char *p, size_t n)
{
	struct told *t = arg;
	for (size_t i = 0; i < n; i++) {
		unsigned long long done, total;
		if (p[i] != '\n' && t->n + 1 < sizeof t->line) {
			t->line[t->n++] = p[i];
			continue;
		}
		t->line[t->n] = 0;
		t->n = 0;
		if (sscanf(t->line, "{\"done\":%llu,\"total\":%llu}", &done, &total) == 2)
			app_progress_show(&t->bar, done, total, 0);
		t->finished |= sscanf(t->line, "{\"samples\":%llu}", &t->samples) == 1;
	}
	return true;
}

static silex_status refuse(silex_error *err, const char *why, const char *what)
{
	err->code = SILEX_INVALID;
	snprintf(err->message, sizeof err->message, "%s: %.400s", why, what);
	return err->code;
}

static silex_status backfill_remote(struct app *a, struct app_store *s, const struct app_rules_options *o, const char *path, uint64_t *ret, silex_error *err)
{
	struct told t = { 0 };
	char from[APP_TEXT_SIZE], to[APP_TEXT_SIZE], *body = NULL;
	uint8_t *text = NULL;
	size_t n = 0;
	silex_status st = slx_vfs_read_file(slx_vfs_posix(), &a->mem, path, SLX_RULE_FILE_SIZE_MAX, &text, &n, err);
	json_t *o_json = st == SILEX_OK ? json_pack("{s:s, s:s, s:s, s:s%}", "from", app_time_text(o->from.ns, from), "to", app_time_text(o->to.ns, to), "file", path,
		"rules", (const char *)text, n) : NULL;
	if (o_json)
		body = json_dumps(o_json, 0);
	json_decref(o_json);
	if (st == SILEX_OK && !body)
		st = refuse(err, "the rule file is not UTF-8", path);
	app_progress_begin(&t.bar, a, "backfill");
	if (st == SILEX_OK)
		st = app_remote_stream(s->remote, "/api/silex/v1/backfill", body, strlen(body), on_line, &t, err);
	app_progress_end(&t.bar);
	slx_free(&a->mem, SLX_MEM_OTHER, text, n);
	free(body);
	if (st == SILEX_OK && !t.finished)
		st = refuse(err, "the server ended early", t.line);
	*ret = t.samples;
	return st;
}

static int backfill(struct app *a, const struct app_rules_options *o, int argc, char **argv)
{
	struct app_store s;
	struct app_progress bar;
	silex_error err = { 0 };
	char text[APP_TEXT_SIZE];
	uint64_t samples = 0, all = 0;
	if (argc < 2 || !o->from.set || !o->to.set)
		return app_usage("rules backfill needs a FILE, --from TIME and --to TIME; `silex rules --help` tells more");
	int st = app_store_open(a, APP_WRITE_EXISTING, &s);
	for (int i = 1; i < argc && st == APP_OK; i++, all += samples) {
		silex_status status;
		if (s.db) {
			app_progress_begin(&bar, a, "backfill");
			status = slx_rules_backfill(s.db, a->common.tenant, argv[i], o->experimental, o->from.ns, o->to.ns, app_progress_stage, &bar, &samples, &err);
			app_progress_end(&bar);
		} else {
			status = backfill_remote(a, &s, o, argv[i], &samples, &err);
		}
		if (status != SILEX_OK)
			st = app_fail("rules backfill", &err);
	}
	if (st == APP_OK)
		fprintf(a->out, "%s samples\n", app_count_text(all, text));
	else if (st == APP_USAGE)
		return st;
	return app_store_close(&s, APP_WRITE_EXISTING, st);
}

static int run_files(struct app *a, void *options, int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*each)(struct app *a, const struct app_rules_options *o, const char *path);
	} words[] = { { "check", check_file }, { "test", test_file } };
	int st = APP_OK;
	if (strcmp(argv[0], "backfill") == 0)
		return backfill(a, options, argc, argv);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(argv[0], words[i].word) != 0)
			continue;
		if (argc < 2)
			return app_usage("rules %s needs a FILE; `silex rules --help` tells more", argv[0]);
		for (int k = 1; k < argc; k++)
			st = words[i].each(a, options, argv[k]) == APP_OK ? st : APP_FAILED;
		return st;
	}
	return app_usage("rules: \"%s\" given, expected check, test, backfill, add, list or remove; `silex rules --help` tells more", argv[0]);
}
#else
static int run_files(struct app *a, void *options, int argc, char **argv)
{
	app_say("rules %s: this silex was built without the server and PromQL; build it with -DSILEX_SERVER=ON", argv[0]);
	return APP_FAILED;
}
#endif

static int rules_run(struct app *a, void *options, int argc, char **argv)
{
	for (const struct app_rules_word *w = app_rules_words; w->word; w++)
		if (strcmp(argv[0], w->word) == 0)
			return w->run(a, options, argc, argv);
	return run_files(a, options, argc, argv);
}

static const struct app_opt rules_opts[] = {
	APP_OPT(app_rules_options, experimental, "promql-experimental", 0, APP_FLAG, NULL, NULL, "experimental functions and modifiers of PromQL"),
	APP_OPT(app_rules_options, from, "from", 0, APP_TIME, "TIME", NULL, "backfill: the first time"),
	APP_OPT(app_rules_options, to, "to", 0, APP_TIME, "TIME", NULL, "backfill: the last time"),
	APP_OPT(app_rules_options, leave, "leave", 0, APP_TEXT, "LIMIT", NULL, "add: the condition ends at this limit (hysteresis) [at LIMIT]"),
	APP_OPT(app_rules_options, leave_high, "leave-high", 0, APP_TEXT, "LIMIT", NULL, "add: the same of the high limit of outside and inside"),
	APP_OPT(app_rules_options, on, "on", 0, APP_SPAN, "SPAN", NULL, "add: how long the condition must hold before the alert fires [0]"),
	APP_OPT(app_rules_options, off, "off", 0, APP_SPAN, "SPAN", NULL, "add: how long it must be over before the alert ends [0]"),
	APP_OPT(app_rules_options, input, "input", 0, APP_CHOICE, "WHAT", "last|rate|avg|min|max|sum|count|stddev", "add: what is compared [last]"),
	APP_OPT(app_rules_options, window, "window", 0, APP_SPAN, "SPAN", NULL, "add: of every input but last"),
	APP_OPT(app_rules_options, missing, "missing", 0, APP_CHOICE, "WHAT", "keep|fire|clear", "add: what no sample for --missing-after does [keep]"),
	APP_OPT(app_rules_options, missing_after, "missing-after", 0, APP_SPAN, "SPAN", NULL, "add: with --missing fire or clear"),
	APP_OPT(app_rules_options, max_lateness, "max-lateness", 0, APP_SPAN, "SPAN", NULL, "add: samples further from the clock do not count [5m]"),
	APP_OPT(app_rules_options, series_max, "series-max", 0, APP_COUNT, "N", NULL, "add: series that it may watch [10,000]"),
	APP_OPT(app_rules_options, labels, "rule-label", 0, APP_TEXTS, "NAME=VALUE", NULL, "add: put on the alert"),
	APP_OPT(app_rules_options, annotations, "annotation", 0, APP_TEXTS, "NAME=TEXT", NULL, "add: a text for people"),
	APP_OPT_END,
};

const struct app_command app_rules = {
	.name = "rules",
	.args = "check|test|backfill FILE... | add NAME RULE... | list | remove ID...",
	.summary = "check and test rule files; rules on arrival",
	.text =
		"check reads rule files as the server would, Prometheus' format, and says what is wrong with file, line and column.\n"
		"test runs unit tests of rules in promtool's format: input series, and the alerts and results they are expected to give.\n\n"
		"backfill writes what the recording rules of a file would have recorded from --from to --to, into the database of --data or the server\n"
		"of --url; no alert changes. Name the file as rule_files does: groups are evaluated at times that depend on it.\n\n"
		"The exit status is 0 when all is well, 1 when a file is wrong or a test fails.\n\n"
		"add NAME SELECTOR CONDITION LIMIT [HIGH] registers a rule on arrival, in the database of --data or on the server of --url: a\n"
		"limit on the series of a selector, looked at as samples land. CONDITION is one of > >= < <= == != outside inside; outside and inside take two limits.\n"
		"list shows such rules with what they watch, remove takes them out by their numbers.",
	.examples = "silex rules check /etc/silex/rules/*.yml\n"
				"silex rules test rules_test.yml\n"
				"silex rules backfill rules.yml --from 2026-01-01 --to now --url http://127.0.0.1:9470\ta new recording rule, for this year\n"
				"silex rules add tachycardia 'hr{ward=\"icu\"}' '>' 120 --leave 110 --on 10s --url http://127.0.0.1:9470\tover 120 for ten seconds, until 110\n"
				"silex rules add cold 'temperature{room=~\"fridge.*\"}' outside 2 8 --missing fire --missing-after 5m\ta fridge, or its sensor\n",
	.options = rules_opts,
	.options_size = sizeof(struct app_rules_options),
	.args_min = 1,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_ARGS_FILES,
	.run = rules_run,
};
