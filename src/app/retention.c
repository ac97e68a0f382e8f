/* silex retention: the rules, and what they take. */
#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"
#include "model/time.h"

#include <stdlib.h>
#include <string.h>

struct retention_options {
	bool dry_run;
	int64_t keep;
	const char *rollup, *hold;
	uint64_t at;
};

static const char *keep_text(int64_t ms, char ret[SLX_DURATION_TEXT_SIZE])
{
	slx_duration_format(ms * SLX_MS, ret);
	return ret;
}

/* --- show ---------------------------------------------------------------------------------------------------------- */

static bool machine(const struct app *a) { return a->common.format != APP_DEFAULT && a->common.format != APP_TABLE; }

static void add_rule(struct app_table *t, bool machine, size_t n, const silex_retention_rule *x)
{
	char keep[SLX_DURATION_TEXT_SIZE];
	app_table_addf(t, "%zu", n);
	app_table_add(t, x->tenant ? x->tenant : machine ? NULL : "(every)");
	app_table_add(t, x->hold ? "all" : x->rollup ? x->rollup : "samples");
	app_table_add(t, x->selector ? x->selector : "{}");
	if (machine)
		app_table_addf(t, "%lld", (long long)x->keep_ms);
	else
		app_table_add(t, x->hold ? "held" : x->keep_ms ? keep_text(x->keep_ms, keep) : "for ever");
	app_table_add(t, x->hold);
}

/* What stands beside the rules, for people. */
static void put_rest(struct app *a, const silex_retention *r)
{
	char text[APP_TEXT_SIZE], span[SLX_DURATION_TEXT_SIZE];
	if (r->n_rules == 0)
		fputs("no rules: everything is kept\n", a->out);
	if (r->size_max)
		fprintf(a->out, "at most %s of blocks on this disk\n", app_bytes_text(r->size_max, text));
	for (size_t i = 0; i < r->n_dedup; i++)
		fprintf(a->out, "of %s one sample in %s\n", r->dedup[i].tenant ? r->dedup[i].tenant : "every other tenant",
			keep_text(r->dedup[i].interval_ms, span));
	if (r->origin)
		fprintf(a->out, "set by: %s\n", r->origin);
}

static void show(void *arg, const silex_retention *r)
{
	struct app *a = arg;
	struct app_table t;
	bool m = machine(a);
	app_table_init(&t);
	app_table_column(&t, m ? "rule" : "", APP_RIGHT, false);
	app_table_column(&t, "tenant", APP_LEFT, true);
	app_table_column(&t, "of", APP_LEFT, true);
	app_table_column(&t, "selector", APP_LEFT, true);
	app_table_column(&t, m ? "keep_ms" : "keep", APP_RIGHT, false);
	app_table_column(&t, "hold", APP_LEFT, true);
	for (size_t i = 0; i < r->n_rules; i++)
		add_rule(&t, m, i + 1, &r->rules[i]);
	if (r->n_rules || m)
		app_table_print(&t, a->out, (enum app_format)a->common.format, a->utf8);
	app_table_free(&t);
	if (!m)
		put_rest(a, r);
}

static int run_show(struct app *a)
{
	struct app_store db;
	silex_error err;
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	if (app_retention(&db, show, a, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_store_close(&db, APP_READ, st);
}

/* --- apply --------------------------------------------------------------------------------------------------------- */

struct application {
	struct app *a;
	struct app_table table;
	struct app_progress progress;
	uint64_t points, bytes;
};

static bool add_expired(void *arg, const silex_expired *x)
{
	struct application *p = arg;
	char text[APP_TEXT_SIZE], keep[SLX_DURATION_TEXT_SIZE];
	bool m = machine(p->a);
	app_progress_end(&p->progress);
	app_table_add(&p->table, x->tenant);
	app_table_add(&p->table, x->rollup ? x->rollup : "samples");
	app_table_add(&p->table, *x->selector ? x->selector : "{}");
	app_table_add(&p->table, x->keep_ms ? keep_text(x->keep_ms, keep) : "by size");
	app_table_addf(&p->table, "%llu", (unsigned long long)x->series);
	if (m) {
		app_table_addf(&p->table, "%llu", (unsigned long long)x->points);
		app_table_addf(&p->table, "%llu", (unsigned long long)x->bytes);
	} else {
		app_table_add(&p->table, app_count_text(x->points, text));
		app_table_add(&p->table, app_bytes_text(x->bytes, text));
	}
	app_table_add(&p->table, app_time_text(x->first, text));
	app_table_add(&p->table, app_time_text(x->last, text));
	p->points += x->points;
	p->bytes += x->bytes;
	return true;
}

static bool stage(void *arg, const char *name, uint64_t done, uint64_t total)
{
	struct application *p = arg;
	return app_progress_stage(&p->progress, name, done, total);
}

static void put_expired(struct application *p, bool dry_run)
{
	char n[APP_TEXT_SIZE], b[APP_TEXT_SIZE];
	app_table_print(&p->table, p->a->out, (enum app_format)p->a->common.format, p->a->utf8);
	if (!machine(p->a))
		fprintf(p->a->out, "%s points, about %s in blocks, %s\n", app_count_text(p->points, n), app_bytes_text(p->bytes, b),
			dry_run ? "are too old and would go" : "went");
}

static int run_apply(struct app *a, bool dry_run)
{
	struct application p = { .a = a };
	struct app_store db;
	silex_error err;
	enum app_open how = dry_run ? APP_READ : APP_WRITE_EXISTING;
	int st = app_store_open(a, how, &db);
	if (st != APP_OK)
		return st;
	app_table_init(&p.table);
	app_table_column(&p.table, "tenant", APP_LEFT, true);
	app_table_column(&p.table, "of", APP_LEFT, true);
	app_table_column(&p.table, "selector", APP_LEFT, true);
	app_table_column(&p.table, "keep", APP_RIGHT, true);
	app_table_column(&p.table, "series", APP_RIGHT, false);
	app_table_column(&p.table, "points", APP_RIGHT, false);
	app_table_column(&p.table, "bytes", APP_RIGHT, false);
	app_table_column(&p.table, "first", APP_LEFT, true);
	app_table_column(&p.table, "last", APP_LEFT, true);
	app_progress_begin(&p.progress, a, "retention");
	silex_status status = app_apply_retention(&db, dry_run, add_expired, stage, &p, &err);
	app_progress_end(&p.progress);
	if (status == SILEX_OK)
		put_expired(&p, dry_run);
	else
		st = app_fail(NULL, &err);
	app_table_free(&p.table);
	return app_store_close(&db, how, st);
}

/* --- add, remove ----------------------------------------------------------------------------------------------------- */

/* The rules of a directory with one more (rule not NULL) at place `at` (0: the last), or without that one. */
static silex_status change(silex_db *db, const silex_retention_rule *rule, uint64_t at, silex_error *err)
{
	silex_retention *r;
	SLX_TRY(silex_get_retention(db, &r, err));
	silex_retention_rule *rules = app_alloc((r->n_rules + 1) * sizeof *rules);
	silex_retention to = *r;
	silex_status st = SILEX_OK;
	uint64_t most = r->n_rules + (rule ? 1 : 0);
	at = at == 0 && rule ? most : at;
	if (at == 0 || at > most) {
		st = slx_err(err, SILEX_NOT_FOUND, "no rule %llu; there are %zu", (unsigned long long)at, r->n_rules);
	} else {
		size_t i = (size_t)at - 1;
		memcpy(rules, r->rules, i * sizeof *rules);
		if (rule)
			rules[i] = *rule;
		memcpy(rules + i + (rule != NULL), r->rules + i + (rule == NULL), (r->n_rules - i - (rule == NULL)) * sizeof *rules);
		to.rules = rules;
		to.n_rules = rule ? r->n_rules + 1 : r->n_rules - 1;
		to.origin = "silex retention";
		st = silex_set_retention(db, &to, err);
	}
	free(rules);
	silex_retention_free(db, r);
	return st;
}

static int run_change(struct app *a, const silex_retention_rule *rule, uint64_t at)
{
	silex_error err;
	silex_db *db;
	if (a->common.url)
		return app_usage("the rules of a server stand in its configuration, under retention:; change them there and reload");
	int st = app_open(a, APP_WRITE, &db);
	if (st != APP_OK)
		return st;
	if (change(db, rule, at, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE, st);
}

static int run_add(struct app *a, const struct retention_options *o, int argc, char **argv)
{
	if (argc > 1)
		return app_usage("retention add takes one selector");
	if (!o->hold == !o->keep)
		return app_usage("retention add needs --keep DURATION or --hold NAME");
	silex_retention_rule rule = {
		.tenant = a->common.tenant && strcmp(a->common.tenant, "*") != 0 ? a->common.tenant : NULL,
		.selector = argc ? argv[0] : NULL,
		.rollup = o->rollup,
		.keep_ms = o->keep / SLX_MS,
		.hold = o->hold,
	};
	return run_change(a, &rule, o->at);
}

static int retention_run(struct app *a, void *options, int argc, char **argv)
{
	const struct retention_options *o = options;
	const char *what = argc ? argv[0] : "show";
	char *end;
	if (strcmp(what, "show") == 0 && argc <= 1)
		return run_show(a);
	if (strcmp(what, "apply") == 0 && argc == 1)
		return run_apply(a, o->dry_run);
	if (strcmp(what, "add") == 0)
		return run_add(a, o, argc - 1, argv + 1);
	if (strcmp(what, "remove") == 0 && argc == 2 && strtoull(argv[1], &end, 10) && !*end)
		return run_change(a, NULL, strtoull(argv[1], NULL, 10));
	return app_usage("expected show, apply, add [SELECTOR] or remove NUMBER; `silex retention --help` tells more");
}

static const struct app_opt retention_opts[] = {
	APP_OPT(retention_options, dry_run, "dry-run", 'n', APP_FLAG, NULL, NULL, "apply: only tell what would go"),
	APP_OPT(retention_options, keep, "keep", 'k', APP_SPAN, "DURATION", NULL, "add: samples older than this go (14d, 1y)"),
	APP_OPT(retention_options, rollup, "rollup", 0, APP_TEXT, "LEVEL", NULL,
		"add: the rule is about roll-ups of this level (1m, 1h; * all) instead of samples"),
	APP_OPT(retention_options, hold, "hold", 0, APP_TEXT, "NAME", NULL,
		"add: a legal hold: nothing of these series goes, by age, by size or by delete"),
	APP_OPT(retention_options, at, "at", 0, APP_COUNT, "N", NULL, "add: as rule N [the last]; the first that fits a series counts"),
	APP_OPT_END,
};

const struct app_command app_retention_command = {
	.name = "retention",
	.args = "[show | apply | add [SELECTOR] | remove N]",
	.summary = "how long what is kept, what is too old, legal holds",
	.text = "show (the default) prints the rules in their order; for a series the first that fits counts, and without one it is\n"
			"kept for ever. apply removes at once what is too old (in the course of things it goes by and by), with --dry-run it\n"
			"only tells. add and remove change the rules of a directory; a server has them in its configuration. --tenant NAME\n"
			"makes an added rule that tenant's; without it, it is every tenant's.",
	.examples = "silex retention add ecg_mv --keep 14d\n"
				"silex retention add '{study=\"A17\"}' --hold 'court order 12/26'\n"
				"silex retention apply --dry-run\twhat would go\n"
				"silex retention apply --dry-run --url http://localhost:9470 -f json\n",
	.options = retention_opts,
	.options_size = sizeof(struct retention_options),
	.args_min = 0,
	.args_max = 2,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT,
	.run = retention_run,
};
