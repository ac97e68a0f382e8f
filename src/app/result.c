/* CSV and JSON lines stream; tables and charts are collected first: they need widths and ranges.
 *
 * A table names what all series have in common once, above, and gives a column to each label that differs. Windows of a
 * few series stand side by side (one column each) when that fits. */
#include "app/result.h"

#include "app/chart.h"
#include "app/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct column { /* one collected series */
	struct app_labels labels;
	int64_t *t;
	char **text; /* cell as printed; NULL: no value */
	double *v;   /* for charts; NaN for states and nulls */
	size_t n, cap;
};

struct result {
	struct app *a;
	const struct app_result_style *style;
	struct column *series;
	size_t n, cap;
	const char **names; /* distinct label names of all series, in order of appearance */
	size_t names_n, names_cap;
	const char **common; /* of these, those with the same value everywhere; NULL-terminated */
};

/* --- cells ------------------------------------------------------------------------------------------------------ */

static const char *cell(const silex_batch *b, size_t i, bool exact, char text[APP_TEXT_SIZE])
{
	if (b->null && b->null[i])
		return NULL;
	if (b->states)
		return b->states[i];
	if (b->ints && b->kind == SILEX_BOOL)
		return b->ints[i] ? "true" : "false";
	if (b->ints) {
		snprintf(text, APP_TEXT_SIZE, "%lld", (long long)b->ints[i]);
		return text;
	}
	return exact ? app_real_text(b->values[i], text) : app_short_text(b->values[i], text);
}

/* --- streaming -------------------------------------------------------------------------------------------------- */

/* "name":"hr","labels":{"ward":"3"} */
static void put_identity(FILE *f, const silex_batch *b)
{
	const char *before = "";
	fputs("\"name\":", f);
	app_put_json(f, app_label(b->labels, b->n_labels, "__name__"));
	fputs(",\"labels\":{", f);
	for (size_t i = 0; i < b->n_labels; i++) {
		if (strcmp(b->labels[i].name, "__name__") == 0)
			continue;
		fputs(before, f);
		app_put_json(f, b->labels[i].name);
		fputc(':', f);
		app_put_json(f, b->labels[i].value);
		before = ",";
	}
	fputc('}', f);
}

static void put_json_value(FILE *f, const silex_batch *b, size_t i)
{
	char text[APP_TEXT_SIZE];
	const char *s = cell(b, i, true, text);
	if (!s)
		fputs("null", f);
	else if (b->states)
		app_put_json(f, s);
	else
		app_put_json_number(f, s);
}

/* {"name":"hr","labels":{},"time":"...","value":72}: what `silex import` reads. */
static void put_json_lines(struct result *r, const silex_batch *b)
{
	FILE *f = r->a->out;
	char time[APP_TEXT_SIZE];
	for (size_t i = 0; i < b->n; i++) {
		fputc('{', f);
		put_identity(f, b);
		fprintf(f, ",\"time\":\"%s\",\"value\":", app_time_text(b->times[i], time));
		put_json_value(f, b, i);
		fputs("}\n", f);
	}
}

static void put_csv_rows(struct result *r, const silex_batch *b)
{
	FILE *f = r->a->out;
	char text[APP_TEXT_SIZE], time[APP_TEXT_SIZE];
	struct slx_buf name;
	slx_buf_init(&name, &r->a->mem, SLX_MEM_OTHER, 1 << 20);
	app_put_series(&name, b->labels, b->n_labels, NULL);
	slx_buf_u8(&name, 0);
	for (size_t i = 0; i < b->n; i++) {
		const char *s = cell(b, i, true, text);
		fprintf(f, "%s,", app_time_text(b->times[i], time));
		app_put_csv(f, (char *)name.p, ',');
		fputc(',', f);
		app_put_csv(f, s ? s : "", ',');
		fputc('\n', f);
	}
	slx_buf_free(&name);
}

/* [{"name":"hr","labels":{},"samples":[["time",value],...]},...] */
static void put_json(struct result *r, const silex_batch *b, uint64_t *series)
{
	FILE *f = r->a->out;
	char time[APP_TEXT_SIZE];
	bool begins = *series != b->series;
	if (begins) {
		fputs(*series == UINT64_MAX ? "\n {" : "]},\n {", f);
		put_identity(f, b);
		fputs(",\"samples\":[", f);
	}
	*series = b->series;
	for (size_t i = 0; i < b->n; i++) {
		fprintf(f, "%s[\"%s\",", begins && !i ? "" : ",", app_time_text(b->times[i], time));
		put_json_value(f, b, i);
		fputc(']', f);
	}
}

/* --- collecting ------------------------------------------------------------------------------------------------- */

static void collect(struct result *r, const silex_batch *b, uint64_t *series)
{
	char text[APP_TEXT_SIZE];
	if (*series != b->series) {
		r->series = app_grow(r->series, r->n, &r->cap, sizeof *r->series);
		r->series[r->n++] = (struct column){ .labels = app_labels_copy(b->labels, b->n_labels) };
		*series = b->series;
	}
	struct column *c = &r->series[r->n - 1];
	for (size_t i = 0; i < b->n; i++) {
		size_t cap = c->cap;
		const char *s = cell(b, i, r->style->exact, text);
		c->t = app_grow(c->t, c->n, &cap, sizeof *c->t);
		cap = c->cap;
		c->v = app_grow(c->v, c->n, &cap, sizeof *c->v);
		cap = c->cap;
		c->text = app_grow(c->text, c->n, &cap, sizeof *c->text);
		c->cap = cap;
		c->t[c->n] = b->times[i];
		c->v[c->n] = s && b->values ? b->values[i] : NAN;
		c->text[c->n++] = s && r->style->format != APP_CHART ? app_strdup(s) : NULL;
	}
}

static void result_free(struct result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct column *c = &r->series[i];
		app_labels_free(&c->labels);
		for (size_t k = 0; k < c->n; k++)
			free(c->text[k]);
		free(c->t);
		free(c->v);
		free(c->text);
	}
	free(r->series);
	free(r->names);
	free(r->common);
}

/* --- names ------------------------------------------------------------------------------------------------------ */

static void add_name(struct result *r, const char *name)
{
	for (size_t i = 0; i < r->names_n; i++)
		if (strcmp(r->names[i], name) == 0)
			return;
	r->names = app_grow(r->names, r->names_n, &r->names_cap, sizeof *r->names);
	r->names[r->names_n++] = name;
}

static bool same_everywhere(const struct result *r, const char *name)
{
	const char *first = app_label(r->series[0].labels.v, r->series[0].labels.n, name);
	for (size_t i = 1; i < r->n; i++)
		if (strcmp(app_label(r->series[i].labels.v, r->series[i].labels.n, name), first) != 0)
			return false;
	return true;
}

/* Sorts the label names into those that differ (kept in names) and those in common. */
static void split_names(struct result *r)
{
	size_t kept = 0, common = 0;
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->series[i].labels.n; k++)
			add_name(r, r->series[i].labels.v[k].name);
	r->common = app_alloc((r->names_n + 1) * sizeof *r->common);
	for (size_t i = 0; i < r->names_n; i++)
		if (same_everywhere(r, r->names[i]))
			r->common[common++] = r->names[i];
		else
			r->names[kept++] = r->names[i];
	r->names_n = kept;
}

/* The labels in common, as a series: "hr{ward="3"}". The caller frees it; NULL when there are none. */
static char *common_text(struct result *r)
{
	struct slx_buf b;
	char *s = NULL;
	if (!r->common[0])
		return NULL;
	slx_buf_init(&b, &r->a->mem, SLX_MEM_OTHER, 1 << 20);
	app_put_series(&b, r->series[0].labels.v, r->series[0].labels.n, r->names_n ? r->names : NULL);
	if (!b.failed)
		s = app_strndup((char *)b.p, b.n);
	slx_buf_free(&b);
	return s;
}

/* Whether no two series have the same value of this label. */
static bool tells_all(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(app_label(r->series[i].labels.v, r->series[i].labels.n, name),
					app_label(r->series[k].labels.v, r->series[k].labels.n, name)) == 0)
				return false;
	return true;
}

/* What tells series i from the others: one label when one is enough ("p1"), else all that differ ("icu p1"). The caller
 * frees it. For a few series: comparing all with all is fine. */
static char *short_name(struct result *r, size_t i)
{
	struct slx_buf b;
	const struct app_labels *l = &r->series[i].labels;
	for (size_t k = 0; k < r->names_n && r->n < 100; k++)
		if (tells_all(r, r->names[k]) && *app_label(l->v, l->n, r->names[k]))
			return app_strdup(app_label(l->v, l->n, r->names[k]));
	slx_buf_init(&b, &r->a->mem, SLX_MEM_OTHER, 1 << 20);
	for (size_t k = 0; k < r->names_n; k++) {
		const char *v = app_label(l->v, l->n, r->names[k]);
		if (*v && b.n)
			slx_buf_u8(&b, ' ');
		slx_buf_put(&b, v, strlen(v));
	}
	if (!b.n)
		app_put_series(&b, l->v, l->n, NULL);
	char *s = app_strndup((char *)b.p, b.n);
	slx_buf_free(&b);
	return s;
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

/* names is NULL-terminated where it is used as a skip list. */
static void end_names(struct result *r)
{
	r->names = app_grow(r->names, r->names_n, &r->names_cap, sizeof *r->names);
	r->names[r->names_n] = NULL;
}

static void fill_long(struct result *r, struct app_table *t)
{
	char text[APP_TEXT_SIZE];
	if (!r->style->timeless)
		app_table_column(t, "time", APP_LEFT, true);
	for (size_t k = 0; k < r->names_n; k++)
		app_table_column(t, strcmp(r->names[k], "__name__") == 0 ? "name" : r->names[k], APP_LEFT, true);
	app_table_column(t, "value", APP_POINT, false);
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->series[i].n; k++) {
			const struct column *c = &r->series[i];
			if (!r->style->timeless)
				app_table_add(t, app_time_text(c->t[k], text));
			for (size_t j = 0; j < r->names_n; j++)
				app_table_add(t, app_label(c->labels.v, c->labels.n, r->names[j]));
			app_table_add(t, c->text[k]);
		}
}

/* The next instant over all series; false at the end. The order follows the first two times of a series. */
static bool next_time(const struct result *r, const size_t *at, bool descending, int64_t *ret)
{
	bool any = false;
	for (size_t i = 0; i < r->n; i++)
		if (at[i] < r->series[i].n) {
			int64_t t = r->series[i].t[at[i]];
			if (!any || (descending ? t > *ret : t < *ret))
				*ret = t;
			any = true;
		}
	return any;
}

static void fill_wide(struct result *r, struct app_table *t)
{
	char text[APP_TEXT_SIZE];
	size_t *at = app_alloc(r->n * sizeof *at);
	bool descending = false;
	int64_t time;
	app_table_column(t, "time", APP_LEFT, true);
	for (size_t i = 0; i < r->n; i++) {
		char *name = short_name(r, i);
		app_table_column(t, name, APP_POINT, false);
		free(name);
		descending |= r->series[i].n > 1 && r->series[i].t[1] < r->series[i].t[0];
	}
	while (next_time(r, at, descending, &time)) {
		app_table_add(t, app_time_text(time, text));
		for (size_t i = 0; i < r->n; i++) {
			const struct column *c = &r->series[i];
			bool here = at[i] < c->n && c->t[at[i]] == time;
			app_table_add(t, here ? c->text[at[i]] : NULL);
			at[i] += here;
		}
	}
	free(at);
}

static bool fits_wide(struct result *r)
{
	int width = 20;
	if (r->style->wide)
		return r->style->wide == 1;
	if (!r->style->windows || r->n < 2)
		return false;
	for (size_t i = 0; i < r->n; i++) {
		char *name = short_name(r, i);
		int n = app_text_width(name);
		width += 2 + (n > 8 ? n : 8);
		free(name);
	}
	return width <= (r->a->out_tty ? r->a->width : 100);
}

static void print_table(struct result *r)
{
	struct app_table t;
	app_table_init(&t);
	if (!r->n) {
		fputs("(no samples)\n", r->a->out);
		return;
	}
	split_names(r);
	end_names(r);
	char *common = common_text(r);
	if (common)
		fprintf(r->a->out, "%s\n", common);
	free(common);
	if (fits_wide(r))
		fill_wide(r, &t);
	else
		fill_long(r, &t);
	app_table_print(&t, r->a->out, APP_TABLE, r->a->utf8);
	app_table_free(&t);
}

/* --- charts ----------------------------------------------------------------------------------------------------- */

enum { LINES_MAX = 8 };

static void reverse(struct column *c)
{
	for (size_t i = 0, k = c->n; i + 1 < k; i++) {
		k--;
		int64_t t = c->t[i];
		double v = c->v[i];
		c->t[i] = c->t[k];
		c->v[i] = c->v[k];
		c->t[k] = t;
		c->v[k] = v;
	}
}

static void print_chart(struct result *r)
{
	size_t n = r->n < LINES_MAX ? r->n : LINES_MAX;
	struct app_line *lines = app_alloc((n + 1) * sizeof *lines);
	struct app_chart c = { lines, n, NULL, r->a->width > 120 ? 120 : r->a->width,
		r->style->height ? r->style->height : 16, r->a->utf8, r->a->color };
	char *common = NULL;
	if (r->n) {
		split_names(r);
		end_names(r);
		common = common_text(r);
	}
	c.title = r->style->title ? r->style->title : common;
	for (size_t i = 0; i < n; i++) {
		struct column *s = &r->series[i];
		if (s->n > 1 && s->t[1] < s->t[0])
			reverse(s);
		lines[i] = (struct app_line){ short_name(r, i), s->t, s->v, s->n, s->cap };
	}
	app_chart_print(&c, r->a->out);
	if (r->n > n)
		fprintf(r->a->out, "(the first %zu of %zu series; a narrower selector or --group-by shows others)\n", n, r->n);
	for (size_t i = 0; i < n; i++)
		free(lines[i].name);
	free(lines);
	free(common);
}

/* --- all -------------------------------------------------------------------------------------------------------- */

static void take(struct result *r, const silex_batch *b, uint64_t *series)
{
	switch (r->style->format) {
	case APP_CSV:
		put_csv_rows(r, b);
		break;
	case APP_JSONL:
		put_json_lines(r, b);
		break;
	case APP_JSON:
		put_json(r, b, series);
		break;
	default:
		collect(r, b, series);
	}
}

int app_result_print(struct app *a, struct app_rows *rows, const struct app_result_style *style)
{
	struct result r = { .a = a, .style = style };
	silex_batch b;
	silex_error err;
	silex_status st;
	uint64_t series = UINT64_MAX;
	int status = APP_OK, faults = 0;
	if (style->format == APP_CSV)
		fputs("time,series,value\n", a->out);
	if (style->format == APP_JSON)
		fputs("[", a->out);
	while (((st = app_rows_next(rows, &b, &err)) == SILEX_OK && b.n) || (st == SILEX_CORRUPT && faults++ < 100)) {
		if (st == SILEX_OK)
			take(&r, &b, &series);
		else
			status = app_fail(NULL, &err);
	}
	if (style->format == APP_JSON)
		fputs(series == UINT64_MAX ? "]\n" : "]}\n]\n", a->out);
	if (style->format == APP_TABLE || style->format == APP_DEFAULT)
		print_table(&r);
	if (style->format == APP_CHART)
		print_chart(&r);
	if (st != SILEX_OK && st != SILEX_CORRUPT)
		status = app_fail(NULL, &err);
	result_free(&r);
	return status;
}
