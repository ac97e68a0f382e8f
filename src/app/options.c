/* The parser of command lines, driven by the option tables: --name=value, --name value, -x value, -xvalue, -xyz for
 * flags, -- ends the options; operands and options may be mixed. */
#include "app/app.h"

#include <stdlib.h>
#include <string.h>

const struct app_opt app_data_options[] = {
	APP_OPT(app_common, data, "data", 'd', APP_TEXT, "DIR", NULL, "the database [$SILEX_DATA, or ./silex-data]"),
	APP_OPT(app_common, tenant, "tenant", 'T', APP_TEXT, "NAME", NULL, "whose data [default]"),
	APP_OPT(app_common, options, "option", 'O', APP_TEXTS, "NAME=VALUE", NULL,
		"an option of the engine: sync=always, memory_limit=64MB, codec=gorilla..."),
	APP_OPT(app_common, stores, "store", 0, APP_TEXTS, "NAME=URL", NULL,
		"where blocks that moved away lie: archive=s3://bucket/prefix; keys from the environment"),
	APP_OPT(app_common, config, "config", 0, APP_TEXT, "FILE", NULL, "a file of such options, one name = value a line"),
	APP_OPT_END,
};

const struct app_opt app_url_options[] = {
	APP_OPT(app_common, url, "url", 'u', APP_TEXT, "URL", NULL, "a server instead of a directory: http://localhost:9470"),
	APP_OPT_END,
};

const struct app_opt app_format_options[] = {
	APP_OPT(app_common, format, "format", 'f', APP_CHOICE, "FORMAT", "table|csv|json|jsonl|chart",
		"how results are printed"),
	APP_OPT_END,
};

const struct app_opt app_output_options[] = {
	APP_OPT(app_common, output, "output", 'o', APP_TEXT, "FILE", NULL, "print results to a file"),
	APP_OPT_END,
};

const struct app_opt app_help_options[] = {
	APP_OPT(app_common, help, "help", 'h', APP_FLAG, NULL, NULL, "this text"),
	APP_OPT_END,
};

void app_option_tables(const struct app_command *c, const struct app_opt *ret[APP_TABLES_MAX])
{
	size_t n = 0;
	if (c->options)
		ret[n++] = c->options;
	if (c->uses & APP_USES_FORMAT)
		ret[n++] = app_format_options;
	if (c->uses & APP_USES_OUTPUT)
		ret[n++] = app_output_options;
	if (c->uses & APP_USES_DATA)
		ret[n++] = app_data_options;
	if (c->uses & APP_USES_URL)
		ret[n++] = app_url_options;
	ret[n++] = app_help_options;
	ret[n] = NULL;
}

/* --- nearest ---------------------------------------------------------------------------------------------------- */

/* Levenshtein distance with swaps of neighbours as one step; words longer than 31 bytes count as far. */
static size_t distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b), d[32][32];
	if (m > 31 || n > 31)
		return 32;
	for (size_t i = 0; i <= m; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= m; i++)
		for (size_t j = 1; j <= n; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[m][n];
}

const char *app_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	size_t least = strlen(word) / 3 + 2;
	for (; *names; names++) {
		size_t d = strncmp(*names, word, strlen(word)) == 0 ? 1 : distance(word, *names);
		if (d < least) {
			least = d;
			nearest = *names;
		}
	}
	return nearest;
}

/* --- parsing ---------------------------------------------------------------------------------------------------- */

struct parser {
	struct app *a;
	const struct app_command *c;
	void *own;
};

/* The struct that a table's offsets point into. */
static void *base(struct parser *p, const struct app_opt *table)
{
	return table == p->c->options ? p->own : &p->a->common;
}

static const struct app_opt *find(struct parser *p, const char *name, size_t n, char letter, void **ret_base)
{
	const struct app_opt *tables[APP_TABLES_MAX];
	app_option_tables(p->c, tables);
	for (size_t i = 0; tables[i]; i++)
		for (const struct app_opt *o = tables[i]; o->name; o++)
			if (letter ? o->letter == letter : strlen(o->name) == n && memcmp(o->name, name, n) == 0) {
				*ret_base = base(p, tables[i]);
				return o;
			}
	return NULL;
}

static int unknown(struct parser *p, const char *name, size_t n)
{
	const struct app_opt *tables[APP_TABLES_MAX];
	const char *names[64];
	size_t k = 0;
	app_option_tables(p->c, tables);
	for (size_t i = 0; tables[i]; i++)
		for (const struct app_opt *o = tables[i]; o->name && k < 63; o++)
			names[k++] = o->name;
	names[k] = NULL;
	char *word = app_strndup(name, n);
	const char *nearest = app_nearest(word, names);
	if (nearest)
		app_say("%s has no option --%s; did you mean --%s?", p->c->name, word, nearest);
	else
		app_say("%s has no option --%s; `silex %s --help` lists them", p->c->name, word, p->c->name);
	free(word);
	return APP_USAGE;
}

static void add_text(struct app_texts *t, const char *s)
{
	t->v = realloc(t->v, (t->n + 1) * sizeof *t->v);
	if (!t->v)
		app_alloc(SIZE_MAX);
	t->v[t->n++] = s;
}

/* Strings cut out of an argument live as long as the options: a->words owns them. */
static void add_names(struct app *a, struct app_texts *t, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		if (n) {
			a->words = realloc(a->words, (a->words_n + 1) * sizeof *a->words);
			if (!a->words)
				app_alloc(SIZE_MAX);
			a->words[a->words_n] = app_strndup(list, n);
			add_text(t, a->words[a->words_n++]);
		}
		list += n + (list[n] == ',');
	}
}

/* 1 + the index of value in "a|b|c"; 0 when it is not there. */
static int choice(const char *choices, const char *value)
{
	size_t n = strlen(value);
	for (int i = 1;; i++) {
		size_t k = strcspn(choices, "|");
		if (k == n && memcmp(choices, value, n) == 0)
			return i;
		if (!choices[k])
			return 0;
		choices += k + 1;
	}
}

static int assign(struct parser *p, const struct app_opt *o, void *to, const char *value)
{
	silex_error err;
	char *member = (char *)to + o->offset;
	switch (o->type) {
	case APP_FLAG:
		*(bool *)member = true;
		return APP_OK;
	case APP_TEXT:
		*(const char **)member = value;
		return APP_OK;
	case APP_TEXTS:
		add_text((struct app_texts *)member, value);
		return APP_OK;
	case APP_NAMES:
		add_names(p->a, (struct app_texts *)member, value);
		return APP_OK;
	case APP_COUNT:
		if (app_parse_count(value, (uint64_t *)member))
			return APP_OK;
		return app_usage("--%s: \"%s\" is not a count; expected 100, 10k, 2M...", o->name, value);
	case APP_TIME:
		if (app_parse_time(value, p->a->now, &((struct app_time *)member)->ns, &err) != SILEX_OK)
			return app_usage("--%s: %s", o->name, err.message);
		((struct app_time *)member)->set = true;
		return APP_OK;
	case APP_SPAN:
		if (app_parse_span(value, (int64_t *)member, &err) != SILEX_OK)
			return app_usage("--%s: %s", o->name, err.message);
		return APP_OK;
	case APP_CHOICE:
		*(int *)member = choice(o->choices, value);
		if (*(int *)member)
			return APP_OK;
		return app_usage("--%s: \"%s\" is none of %s", o->name, value, o->choices);
	}
	return APP_USAGE;
}

static int parse_long(struct parser *p, char **argv, int argc, int *i)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	void *to;
	const struct app_opt *o = find(p, name, n, 0, &to);
	if (!o)
		return unknown(p, name, n);
	const char *value = name[n] ? name + n + 1 : NULL;
	if (o->type == APP_FLAG && value)
		return app_usage("--%s takes no value", o->name);
	if (o->type != APP_FLAG && !value && ++*i >= argc)
		return app_usage("--%s needs a value: %s", o->name, o->arg);
	return assign(p, o, to, o->type == APP_FLAG || value ? value : argv[*i]);
}

static int parse_letters(struct parser *p, char **argv, int argc, int *i)
{
	for (const char *s = argv[*i] + 1; *s; s++) {
		void *to;
		const struct app_opt *o = find(p, NULL, 0, *s, &to);
		if (!o)
			return app_usage("%s has no option -%c; `silex %s --help` lists them", p->c->name, *s, p->c->name);
		if (o->type == APP_FLAG) {
			assign(p, o, to, NULL);
			continue;
		}
		if (!s[1] && ++*i >= argc)
			return app_usage("-%c needs a value: %s", *s, o->arg);
		return assign(p, o, to, s[1] ? s + 1 : argv[*i]);
	}
	return APP_OK;
}

int app_parse(struct app *a, const struct app_command *c, void *own, int argc, char **argv, int *ret_argc)
{
	struct parser p = { a, c, own };
	int n = 0;
	bool only_operands = false;
	for (int i = 1; i < argc; i++) {
		int st = APP_OK;
		if (only_operands || argv[i][0] != '-' || !argv[i][1])
			argv[n++] = argv[i]; /* n <= i: never ahead of the reader */
		else if (strcmp(argv[i], "--") == 0)
			only_operands = true;
		else
			st = argv[i][1] == '-' ? parse_long(&p, argv, argc, &i) : parse_letters(&p, argv, argc, &i);
		if (st != APP_OK)
			return st;
	}
	if (a->common.help) {
		*ret_argc = n;
		return APP_OK;
	}
	if (n < c->args_min)
		return app_usage("%s needs %s; `silex %s --help` tells more", c->name, c->args, c->name);
	if (c->args_max >= 0 && n > c->args_max)
		return app_usage("%s does not know what to do with \"%s\"; `silex %s --help` tells more", c->name,
			argv[c->args_max], c->name);
	*ret_argc = n;
	return APP_OK;
}

void app_parse_free(struct app *a, const struct app_command *c, void *own)
{
	const struct app_opt *tables[APP_TABLES_MAX];
	struct parser p = { a, c, own };
	app_option_tables(c, tables);
	for (size_t i = 0; tables[i]; i++)
		for (const struct app_opt *o = tables[i]; o->name; o++)
			if (o->type == APP_TEXTS || o->type == APP_NAMES)
				free(((struct app_texts *)((char *)base(&p, tables[i]) + o->offset))->v);
	for (size_t i = 0; i < a->words_n; i++)
		free(a->words[i]);
	free(a->words);
	a->words = NULL;
	a->words_n = 0;
}
