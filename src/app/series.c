/* silex series, silex labels: what there is. */
#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"

#include <stdlib.h>
#include <string.h>

struct series_options {
	struct app_time start, end;
	bool names, info, count;
};

struct listing {
	struct app *a;
	struct app_labels *series;
	size_t n, cap;
	struct app_table table;
};

static bool add_series(void *arg, const silex_label *labels, size_t n)
{
	struct listing *l = arg;
	l->series = app_grow(l->series, l->n, &l->cap, sizeof *l->series);
	l->series[l->n++] = app_labels_copy(labels, n);
	return true;
}

static bool add_text(void *arg, const char *text)
{
	struct listing *l = arg;
	app_table_add(&l->table, text);
	return true;
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		app_labels_free(&l->series[i]);
	free(l->series);
	app_table_free(&l->table);
}

static void print(struct listing *l, bool plain)
{
	int format = l->a->common.format;
	l->table.plain = plain && (format == APP_DEFAULT || format == APP_TABLE);
	app_table_print(&l->table, l->a->out, (enum app_format)format, l->a->utf8);
}

static void add_series_cell(struct listing *l, const struct app_labels *s)
{
	struct slx_buf b;
	slx_buf_init(&b, &l->a->mem, SLX_MEM_OTHER, 1 << 20);
	app_put_series(&b, s->v, s->n, NULL);
	slx_buf_u8(&b, 0);
	app_table_add(&l->table, b.failed ? "?" : (char *)b.p);
	slx_buf_free(&b);
}

/* One row of facts about each series. */
static silex_status print_info(struct listing *l, struct app_store *db, silex_error *err)
{
	static const char *const titles[] = { "series", "points", "first", "last", "min", "max", "bytes", "bytes/point",
		"codec" };
	char text[APP_TEXT_SIZE];
	bool machine = l->a->common.format > APP_TABLE;
	for (size_t i = 0; i < 9; i++)
		app_table_column(&l->table, titles[i], i == 0 || i == 2 || i == 3 || i == 8 ? APP_LEFT : APP_POINT,
			i == 0 || i == 2 || i == 3 || i == 8);
	for (size_t i = 0; i < l->n; i++) {
		silex_series_info s;
		silex_status st = app_series_info(db, l->series[i].v, l->series[i].n, &s, err);
		if (st != SILEX_OK)
			return st;
		bool numbers = s.kind != SILEX_ENUM && s.count;
		add_series_cell(l, &l->series[i]);
		if (machine)
			app_table_addf(&l->table, "%llu", (unsigned long long)s.count);
		else
			app_table_add(&l->table, app_count_text(s.count, text));
		app_table_add(&l->table, s.count ? app_time_text(s.first_time, text) : NULL);
		app_table_add(&l->table, s.count ? app_time_text(s.last_time, text) : NULL);
		app_table_add(&l->table, numbers ? app_real_text(s.min, text) : NULL);
		app_table_add(&l->table, numbers ? app_real_text(s.max, text) : NULL);
		app_table_addf(&l->table, "%llu", (unsigned long long)s.bytes);
		if (s.count)
			app_table_addf(&l->table, "%.2f", (double)s.bytes / (double)s.count);
		else
			app_table_add(&l->table, NULL);
		app_table_add(&l->table, s.codec);
	}
	print(l, false);
	return SILEX_OK;
}

static void print_series(struct listing *l)
{
	app_table_column(&l->table, "series", APP_LEFT, true);
	for (size_t i = 0; i < l->n; i++)
		add_series_cell(l, &l->series[i]);
	print(l, true);
}

static silex_status list(
	struct listing *l, struct app_store *db, const struct series_options *o, int argc, char **argv, silex_error *err)
{
	silex_status st = SILEX_OK;
	int64_t start = o->start.set ? o->start.ns : SILEX_TIME_MIN, end = o->end.set ? o->end.ns : SILEX_TIME_MAX;
	if (o->names) {
		app_table_column(&l->table, "name", APP_LEFT, true);
		if ((st = app_list_names(db, add_text, l, err)) == SILEX_OK)
			print(l, true);
		return st;
	}
	for (int i = 0; i < (argc ? argc : 1) && st == SILEX_OK; i++)
		st = app_list_series(db, argc ? argv[i] : "{}", start, end, add_series, l, err);
	if (st == SILEX_OK && o->count)
		fprintf(l->a->out, "%zu\n", l->n);
	else if (st == SILEX_OK && o->info)
		st = print_info(l, db, err);
	else if (st == SILEX_OK)
		print_series(l);
	return st;
}

static int series_run(struct app *a, void *options, int argc, char **argv)
{
	const struct series_options *o = options;
	struct listing l = { .a = a };
	struct app_store db;
	silex_error err;
	if (o->names && argc)
		return app_usage("--names lists all metric names; it takes no selector");
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	if (list(&l, &db, o, argc, argv, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	listing_free(&l);
	return app_store_close(&db, APP_READ, st);
}

static const struct app_opt series_opts[] = {
	APP_OPT(series_options, start, "start", 's', APP_TIME, "TIME", NULL, "with samples from this time on"),
	APP_OPT(series_options, end, "end", 'e', APP_TIME, "TIME", NULL, "with samples up to this time"),
	APP_OPT(series_options, names, "names", 'n', APP_FLAG, NULL, NULL, "only the distinct metric names"),
	APP_OPT(series_options, info, "info", 'i', APP_FLAG, NULL, NULL,
		"points, times, least and greatest value, bytes, codec of each"),
	APP_OPT(series_options, count, "count", 'c', APP_FLAG, NULL, NULL, "only how many there are"),
	APP_OPT_END,
};

const struct app_command app_series = {
	.name = "series",
	.args = "[SELECTOR...]",
	.summary = "list series, or facts about them",
	.text = "Lists the series that a selector names; without one, all of them.",
	.examples = "silex series --info 'hr{ward=\"3\"}'\thow many points, from when to when, in how many bytes\n"
				"silex series --names\tthe metric names\n",
	.options = series_opts,
	.options_size = sizeof(struct series_options),
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT | APP_ARGS_SELECTOR,
	.run = series_run,
};

/* --- labels, tenants -------------------------------------------------------------------------------------------- */

struct labels_options {
	const char *match;
	bool tenants;
};

static int labels_run(struct app *a, void *options, int argc, char **argv)
{
	const struct labels_options *o = options;
	struct listing l = { .a = a };
	struct app_store db;
	silex_error err;
	silex_status status;
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	app_table_column(&l.table, o->tenants ? "tenant" : argc ? argv[0] : "label", APP_LEFT, true);
	if (o->tenants)
		status = app_list_tenants(&db, add_text, &l, &err);
	else if (argc)
		status = app_label_values(&db, argv[0], o->match, add_text, &l, &err);
	else
		status = app_label_names(&db, o->match, add_text, &l, &err);
	if (status == SILEX_OK)
		print(&l, true);
	else
		st = app_fail(NULL, &err);
	listing_free(&l);
	return app_store_close(&db, APP_READ, st);
}

static const struct app_opt labels_opts[] = {
	APP_OPT(labels_options, match, "match", 'm', APP_TEXT, "SELECTOR", NULL, "only of these series"),
	APP_OPT(labels_options, tenants, "tenants", 0, APP_FLAG, NULL, NULL, "the tenants of the database instead"),
	APP_OPT_END,
};

const struct app_command app_labels_command = {
	.name = "labels",
	.args = "[LABEL]",
	.summary = "list label names, or the values of one label",
	.text = "",
	.examples = "silex labels\tnames\n"
				"silex labels ward --match hr\tthe wards that have heart rates\n",
	.options = labels_opts,
	.options_size = sizeof(struct labels_options),
	.args_min = 0,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT,
	.run = labels_run,
};
