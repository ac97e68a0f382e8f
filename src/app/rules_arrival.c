/* silex rules add, list, remove: rules on arrival (include/silex/rules.h), in a database or on a server. */
#include "app/rules.h"

#include "app/store.h"
#include "app/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- add ------------------------------------------------------------------------------------------------------------ */

static const char *const conditions[] = { ">", ">=", "<", "<=", "==", "!=", "outside", "inside", NULL };

static int read_number(const char *what, const char *text, double *ret)
{
	char *end;
	if (!text)
		return APP_OK;
	*ret = strtod(text, &end);
	return *text && !*end && isfinite(*ret) ? APP_OK : app_usage("%s: \"%s\" given, expected a number", what, text);
}

static int read_condition(const char *text, silex_rule *r)
{
	for (int i = 0; conditions[i]; i++)
		if (strcmp(text, conditions[i]) == 0) {
			r->condition = (silex_rule_condition)i;
			return APP_OK;
		}
	return app_usage("condition: \"%s\" given, expected > >= < <= == != outside or inside", text);
}

/* name=value texts as labels, freed by the caller with their strings. */
static int read_labels(const char *what, const struct app_texts *texts, silex_label **ret)
{
	silex_label *v = app_alloc((texts->n + 1) * sizeof *v);
	*ret = v;
	for (size_t i = 0; i < texts->n; i++) {
		const char *eq = strchr(texts->v[i], '=');
		if (!eq || eq == texts->v[i])
			return app_usage("%s %s: expected NAME=VALUE", what, texts->v[i]);
		v[i] = (silex_label){ app_strndup(texts->v[i], (size_t)(eq - texts->v[i])), app_strdup(eq + 1) };
	}
	return APP_OK;
}

static void free_labels(silex_label *v)
{
	for (size_t i = 0; v && v[i].name; i++) {
		free((char *)v[i].name);
		free((char *)v[i].value);
	}
	free(v);
}

static int64_t ms(int64_t ns) { return ns / 1000000; }

static int read_rule(const struct app_rules_options *o, int argc, char **argv, silex_rule *r)
{
	silex_rule_init(r);
	r->name = argv[1];
	r->selector = argv[2];
	r->input = (silex_rule_input)(o->input ? o->input - 1 : 0);
	r->missing = (silex_rule_missing)(o->missing ? o->missing - 1 : 0);
	r->window_ms = ms(o->window);
	r->delay_on_ms = ms(o->on);
	r->delay_off_ms = ms(o->off);
	r->missing_after_ms = ms(o->missing_after);
	r->max_lateness_ms = ms(o->max_lateness);
	r->series_max = o->series_max > UINT32_MAX ? UINT32_MAX : (uint32_t)o->series_max;
	int st = read_condition(argv[3], r);
	bool two = r->condition >= SILEX_RULE_OUTSIDE;
	if (st == APP_OK && argc != (two ? 6 : 5))
		return app_usage("%s takes %s", argv[3], two ? "two limits, the low and the high one" : "one limit");
	if (st == APP_OK)
		st = read_number("limit", argv[4], &r->limit);
	if (st == APP_OK && two)
		st = read_number("high limit", argv[5], &r->high);
	if (st == APP_OK)
		st = read_number("--leave", o->leave, &r->leave);
	return st == APP_OK ? read_number("--leave-high", o->leave_high, &r->leave_high) : st;
}

static int add(struct app *a, const struct app_rules_options *o, int argc, char **argv)
{
	silex_rule r;
	silex_label *labels = NULL, *annotations = NULL;
	struct app_store db;
	silex_error err;
	uint64_t id;
	if (argc < 5)
		return app_usage("rules add needs NAME SELECTOR CONDITION LIMIT [HIGH]; `silex rules --help` tells more");
	int st = read_rule(o, argc, argv, &r);
	if (st == APP_OK)
		st = read_labels("--rule-label", &o->labels, &labels);
	if (st == APP_OK)
		st = read_labels("--annotation", &o->annotations, &annotations);
	r.labels = labels;
	r.n_labels = o->labels.n;
	r.annotations = annotations;
	r.n_annotations = o->annotations.n;
	if (st == APP_OK && (st = app_store_open(a, APP_WRITE, &db)) == APP_OK) {
		if (app_rule_register(&db, &r, &id, &err) == SILEX_OK)
			fprintf(a->out, "rule %llu\n", (unsigned long long)id);
		else
			st = app_fail(NULL, &err);
		st = app_store_close(&db, APP_WRITE, st);
	}
	free_labels(labels);
	free_labels(annotations);
	return st;
}

/* --- list, remove ---------------------------------------------------------------------------------------------------- */

static bool add_row(void *arg, const silex_rule_info *i)
{
	struct app_table *t = arg;
	const uint64_t counts[] = { i->series, i->pending, i->firing, i->late, i->ignored, i->refused };
	app_table_addf(t, "%llu", (unsigned long long)i->id);
	app_table_add(t, i->rule->name);
	app_table_add(t, i->text);
	for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
		app_table_addf(t, "%llu", (unsigned long long)counts[k]);
	return true;
}

static int list(struct app *a, const struct app_rules_options *o, int argc, char **argv)
{
	static const char *const counts[] = { "series", "pending", "firing", "late", "ignored", "refused" };
	struct app_table t;
	struct app_store db;
	silex_error err;
	if (argc > 1)
		return app_usage("rules list takes no operands");
	int st = app_store_open(a, APP_WRITE_EXISTING, &db); /* states are there when rules are in force */
	if (st != APP_OK)
		return st;
	app_table_init(&t);
	app_table_column(&t, "id", APP_RIGHT, false);
	app_table_column(&t, "name", APP_LEFT, true);
	app_table_column(&t, "rule", APP_LEFT, true);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		app_table_column(&t, counts[i], APP_RIGHT, false);
	if (app_rule_list(&db, add_row, &t, &err) == SILEX_OK)
		app_table_print(&t, a->out, a->common.format ? (enum app_format)a->common.format : APP_TABLE, a->utf8);
	else
		st = app_fail(NULL, &err);
	app_table_free(&t);
	return app_store_close(&db, APP_WRITE_EXISTING, st);
}

static int remove_rules(struct app *a, const struct app_rules_options *o, int argc, char **argv)
{
	struct app_store db;
	silex_error err;
	if (argc < 2)
		return app_usage("rules remove needs the ID of a rule; `silex rules list` shows them");
	for (int i = 1; i < argc; i++)
		if (!*argv[i] || strspn(argv[i], "0123456789") != strlen(argv[i]) || strlen(argv[i]) > 19)
			return app_usage("rules remove: \"%s\" given, expected the ID of a rule; `silex rules list` shows them", argv[i]);
	int st = app_store_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	for (int i = 1; i < argc; i++)
		if (app_rule_remove(&db, strtoull(argv[i], NULL, 10), &err) != SILEX_OK)
			st = app_fail(NULL, &err);
	return app_store_close(&db, APP_WRITE_EXISTING, st);
}

const struct app_rules_word app_rules_words[] = { { "add", add }, { "list", list }, { "remove", remove_rules }, { NULL, NULL } };
