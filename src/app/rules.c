/* rules: rule files checked and tested as promtool does, with the same verdict and exit status. */
#include "app/commands.h"

#include <string.h>

struct rules_options {
	bool experimental;
};

#ifdef SILEX_WITH_SERVER
#include "rules/group/file.h"
#include "rules/unit/unit.h"

static int check_file(struct app *a, const struct rules_options *o, const char *path)
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

static int test_file(struct app *a, const struct rules_options *o, const char *path)
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

static int rules_run(struct app *a, void *options, int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*each)(struct app *a, const struct rules_options *o, const char *path);
	} words[] = { { "check", check_file }, { "test", test_file } };
	int st = APP_OK;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(argv[0], words[i].word) != 0)
			continue;
		if (argc < 2)
			return app_usage("rules %s needs a FILE; `silex rules --help` tells more", argv[0]);
		for (int k = 1; k < argc; k++)
			st = words[i].each(a, options, argv[k]) == APP_OK ? st : APP_FAILED;
		return st;
	}
	return app_usage("rules: \"%s\" given, expected check or test; `silex rules --help` tells more", argv[0]);
}
#else
static int rules_run(struct app *a, void *options, int argc, char **argv)
{
	app_say("this silex was built without the server and PromQL; build it with -DSILEX_SERVER=ON");
	return APP_FAILED;
}
#endif

static const struct app_opt rules_opts[] = {
	APP_OPT(rules_options, experimental, "promql-experimental", 0, APP_FLAG, NULL, NULL, "experimental functions and modifiers of PromQL"),
	APP_OPT_END,
};

const struct app_command app_rules = {
	.name = "rules",
	.args = "check|test FILE...",
	.summary = "check and test rule files",
	.text =
		"check reads rule files as the server would, Prometheus' format, and says what is wrong with file, line and column.\n"
		"test runs unit tests of rules in promtool's format: input series, and the alerts and results they are expected to give.\n\n"
		"The exit status is 0 when all is well, 1 when a file is wrong or a test fails.",
	.examples = "silex rules check /etc/silex/rules/*.yml\n"
				"silex rules test rules_test.yml\n",
	.options = rules_opts,
	.options_size = sizeof(struct rules_options),
	.args_min = 1,
	.args_max = -1,
	.uses = APP_ARGS_FILES,
	.run = rules_run,
};
