#include "app/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void app_table_init(struct app_table *t) { *t = (struct app_table){ 0 }; }

void app_table_free(struct app_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	for (size_t i = 0; i < t->columns_n; i++)
		free((char *)t->columns[i].title);
	free(t->cells);
	free(t->columns);
	app_table_init(t);
}

void app_table_column(struct app_table *t, const char *title, enum app_align align, bool text)
{
	size_t cap = t->columns_n;
	t->columns = app_grow(t->columns, t->columns_n, &cap, sizeof *t->columns);
	t->columns[t->columns_n++] = (struct app_column){ app_strdup(title), align, text };
}

static void add(struct app_table *t, char *cell)
{
	t->cells = app_grow(t->cells, t->n, &t->cap, sizeof *t->cells);
	t->cells[t->n++] = cell;
}

void app_table_add(struct app_table *t, const char *cell) { add(t, cell ? app_strdup(cell) : NULL); }

void app_table_addf(struct app_table *t, const char *fmt, ...)
{
	char *s;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		app_alloc(SIZE_MAX);
	va_end(ap);
	add(t, s);
}

size_t app_table_rows(const struct app_table *t) { return t->columns_n ? t->n / t->columns_n : 0; }

/* --- aligned ---------------------------------------------------------------------------------------------------- */

/* Columns of a cell before its decimal point. */
static int head_width(const char *s)
{
	size_t digits = strspn(s, "+-0123456789,");
	return s[digits] == '.' ? (int)digits : app_text_width(s);
}

struct layout {
	int width, head; /* head: the widest part before the point, APP_POINT */
};

static void measure(const struct app_table *t, size_t c, struct layout *ret)
{
	int head = 0, tail = 0, title = app_text_width(t->columns[c].title);
	for (size_t i = c; i < t->n; i += t->columns_n) {
		const char *s = t->cells[i] ? t->cells[i] : "";
		int all = app_text_width(s), h = t->columns[c].align == APP_POINT ? head_width(s) : all;
		if (h > head)
			head = h;
		if (all - h > tail)
			tail = all - h;
	}
	int width = head + tail;
	if (!t->plain && title > width) {
		head += title - width; /* a wide heading: numbers stay at the right */
		width = title;
	}
	*ret = (struct layout){ width, head };
}

/* A line is put together from cells; blanks wait in `pending` until something follows them. */
static void put_cell(FILE *f, const char *s, enum app_align align, const struct layout *l, int *pending)
{
	int all = app_text_width(s);
	int before = align == APP_LEFT ? 0 : align == APP_RIGHT ? l->width - all : l->head - head_width(s);
	if (*s)
		fprintf(f, "%*s%s", *pending + before, "", s);
	*pending = *s ? l->width - before - all : *pending + l->width;
	*pending += 2;
}

static void print_heading(const struct app_table *t, FILE *f, const struct layout *l, bool utf8)
{
	int pending = 0;
	for (size_t c = 0; c < t->columns_n; c++)
		put_cell(f, t->columns[c].title, t->columns[c].align == APP_LEFT ? APP_LEFT : APP_RIGHT, &l[c], &pending);
	fputc('\n', f);
	for (size_t c = 0; c < t->columns_n; c++) {
		fputs(c ? "  " : "", f);
		for (int i = 0; i < l[c].width; i++)
			fputs(utf8 ? "─" : "-", f);
	}
	fputc('\n', f);
}

static void print_aligned(const struct app_table *t, FILE *f, bool utf8)
{
	size_t n = t->columns_n;
	struct layout *l = app_alloc(n * sizeof *l);
	int pending = 0;
	for (size_t c = 0; c < n; c++)
		measure(t, c, &l[c]);
	if (!t->plain)
		print_heading(t, f, l, utf8);
	for (size_t i = 0; i < t->n; i++) {
		size_t c = i % n;
		put_cell(f, t->cells[i] ? t->cells[i] : "", t->columns[c].align, &l[c], &pending);
		if (c + 1 == n) {
			fputc('\n', f);
			pending = 0;
		}
	}
	free(l);
}

/* --- CSV and JSON ----------------------------------------------------------------------------------------------- */

void app_put_csv(FILE *f, const char *s, char delimiter)
{
	const char special[] = { delimiter, '"', '\n', '\r', 0 };
	if (!s[strcspn(s, special)]) {
		fputs(s, f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void print_csv(const struct app_table *t, FILE *f)
{
	for (size_t c = 0; c < t->columns_n; c++) {
		fputs(c ? "," : "", f);
		app_put_csv(f, t->columns[c].title, ',');
	}
	fputc('\n', f);
	for (size_t i = 0; i < t->n; i++) {
		fputs(i % t->columns_n ? "," : "", f);
		app_put_csv(f, t->cells[i] ? t->cells[i] : "", ',');
		if ((i + 1) % t->columns_n == 0)
			fputc('\n', f);
	}
}

void app_put_json(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, f);
	fputc('"', f);
}

void app_put_json_number(FILE *f, const char *s)
{
	if (*s == 'N' || *s == '+' || s[*s == '-'] == 'I')
		app_put_json(f, s);
	else
		fputs(s, f);
}

static void print_json(const struct app_table *t, FILE *f, bool lines)
{
	size_t n = t->columns_n;
	fputs(lines ? "" : "[", f);
	for (size_t i = 0; i < t->n; i++) {
		size_t c = i % n;
		fputs(c ? "," : lines ? "{" : i ? ",\n {" : "{", f);
		app_put_json(f, t->columns[c].title);
		fputc(':', f);
		if (!t->cells[i])
			fputs("null", f);
		else if (t->columns[c].text)
			app_put_json(f, t->cells[i]);
		else
			app_put_json_number(f, t->cells[i]);
		if (c + 1 == n)
			fputs(lines ? "}\n" : "}", f);
	}
	fputs(lines ? "" : "]\n", f);
}

void app_table_print(const struct app_table *t, FILE *f, enum app_format format, bool utf8)
{
	if (!t->columns_n)
		return;
	if (format == APP_CSV)
		print_csv(t, f);
	else if (format == APP_JSON || format == APP_JSONL)
		print_json(t, f, format == APP_JSONL);
	else
		print_aligned(t, f, utf8);
}
