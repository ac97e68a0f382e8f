/* A plot is drawn in dots, 2 x 4 to a character cell (braille), or one to a cell where marks tell the series apart.
 *
 * Each column of dots stands for an equal share of time. The samples that fall into it become one vertical stroke from
 * least to greatest, and strokes of neighbouring samples are joined, so that an ECG keeps its spikes whatever the
 * scale. Two samples further apart than four usual steps are not joined: a gap stays visible. */
#include "app/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

void app_line_add(struct app_line *l, int64_t t, double v)
{
	size_t cap = l->cap;
	l->t = app_grow(l->t, l->n, &cap, sizeof *l->t);
	cap = l->cap;
	l->v = app_grow(l->v, l->n, &cap, sizeof *l->v);
	l->cap = cap;
	l->t[l->n] = t;
	l->v[l->n++] = v;
}

void app_lines_free(struct app_line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(lines[i].name);
		free(lines[i].t);
		free(lines[i].v);
	}
	free(lines);
}

/* --- scales ----------------------------------------------------------------------------------------------------- */

double app_nice_step(double range, int ticks_max)
{
	double rough = range / ticks_max, step = pow(10, floor(log10(rough)));
	static const double factors[] = { 1, 2, 5, 10 };
	for (size_t i = 0; i < 4; i++)
		if (step * factors[i] >= rough * 0.999999)
			return step * factors[i];
	return step * 10;
}

int64_t app_nice_time_step(int64_t range, int ticks_max)
{
	static const int64_t seconds[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400,
		21600, 43200, 86400, 2 * 86400, 3 * 86400, 7 * 86400, 14 * 86400, 28 * 86400 };
	double rough = (double)range / ticks_max;
	if (rough <= 0.5e9)
		return rough < 1 ? 1 : (int64_t)app_nice_step((double)range, ticks_max);
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
		if ((double)seconds[i] * 1e9 >= rough)
			return seconds[i] * SECOND;
	return (int64_t)app_nice_step((double)range / (86400e9 * 365), ticks_max) >= 1
		? (int64_t)app_nice_step((double)range / (86400e9 * 365), ticks_max) * 365 * 86400 * SECOND
		: 91 * 86400 * SECOND;
}

struct plot {
	const struct app_chart *c;
	int columns, rows; /* character cells */
	int dot_x, dot_y;  /* dots per cell */
	int64_t from, to;
	double low, high;
	int margin; /* columns left of the axis */
	double y_step;
	uint8_t *dots;  /* per cell: braille bits, or 1 + series of a mark */
	uint8_t *owner; /* per cell: series, for colour */
};

static bool find_range(struct plot *p)
{
	bool any = false;
	for (size_t i = 0; i < p->c->n; i++)
		for (size_t k = 0; k < p->c->lines[i].n; k++) {
			const struct app_line *l = &p->c->lines[i];
			if (!isfinite(l->v[k]))
				continue;
			p->from = any && p->from < l->t[k] ? p->from : l->t[k];
			p->to = any && p->to > l->t[k] ? p->to : l->t[k];
			p->low = any && p->low < l->v[k] ? p->low : l->v[k];
			p->high = any && p->high > l->v[k] ? p->high : l->v[k];
			any = true;
		}
	return any;
}

/* Bounds on ticks, so that the axis begins and ends with a round number. */
static void scale(struct plot *p)
{
	if (p->high == p->low) {
		double room = p->low != 0 ? fabs(p->low) * 0.1 : 1;
		p->low -= room;
		p->high += room;
	}
	p->y_step = app_nice_step(p->high - p->low, p->rows / 3 > 2 ? p->rows / 3 : 2);
	p->low = floor(p->low / p->y_step + 1e-9) * p->y_step;
	p->high = ceil(p->high / p->y_step - 1e-9) * p->y_step;
	if (p->to == p->from)
		p->to = p->from + 1;
}

static const char *y_text(const struct plot *p, double v, char ret[APP_TEXT_SIZE])
{
	int decimals = p->y_step < 1 ? (int)ceil(-log10(p->y_step) - 1e-9) : 0;
	if (fabs(p->high) >= 1e7 || fabs(p->low) >= 1e7 || decimals > 6)
		snprintf(ret, APP_TEXT_SIZE, "%.4g", v);
	else
		snprintf(ret, APP_TEXT_SIZE, "%.*f", decimals, fabs(v) < p->y_step * 1e-6 ? 0.0 : v);
	return ret;
}

static int dot_row(const struct plot *p, double v)
{
	int rows = p->rows * p->dot_y;
	return (int)lround((p->high - v) / (p->high - p->low) * (rows - 1));
}

static int dot_column(const struct plot *p, int64_t t)
{
	int columns = p->columns * p->dot_x;
	return (int)(((double)t - (double)p->from) / ((double)p->to - (double)p->from) * (columns - 1) + 0.5);
}

/* --- drawing ---------------------------------------------------------------------------------------------------- */

static void dot(struct plot *p, size_t series, int x, int y)
{
	static const uint8_t braille[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };
	int cell = y / p->dot_y * p->columns + x / p->dot_x;
	p->owner[cell] = (uint8_t)series;
	if (p->dot_x == 2)
		p->dots[cell] |= braille[y % 4][x % 2];
	else
		p->dots[cell] = (uint8_t)(1 + series);
}

/* Joins two dots: half of the way in either column, so that slopes look like slopes. */
static void join(struct plot *p, size_t series, int x0, int y0, int x1, int y1)
{
	if (x1 - x0 <= 1) {
		int way = y1 < y0 ? -1 : 1, middle = (y0 + y1) / 2;
		for (int y = y0; y != y1; y += way)
			dot(p, series, (way > 0 ? y <= middle : y >= middle) ? x0 : x1, y);
		dot(p, series, x1, y1);
		return;
	}
	int last = y0;
	for (int x = x0 + 1; x <= x1; x++) {
		int y = y0 + (int)lround((double)(y1 - y0) * (x - x0) / (x1 - x0));
		join(p, series, x - 1, last, x, y);
		last = y;
	}
}

static int order64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Four times the median distance of neighbours, from at most 1,001 of them. */
static int64_t gap_size(const struct app_line *l)
{
	int64_t steps[1001];
	size_t n = 0, stride = l->n / 1000 + 1;
	for (size_t i = 1; i < l->n && n < 1001; i += stride)
		steps[n++] = l->t[i] - l->t[i - 1];
	if (!n)
		return 0;
	qsort(steps, n, sizeof *steps, order64);
	return steps[n / 2] > INT64_MAX / 4 ? INT64_MAX : 4 * steps[n / 2];
}

static void draw(struct plot *p, size_t series)
{
	const struct app_line *l = &p->c->lines[series];
	int64_t gap = gap_size(l), last_t = 0;
	int last_x = -1, last_y = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (!isfinite(l->v[i])) {
			last_x = -1;
			continue;
		}
		int x = dot_column(p, l->t[i]), y = dot_row(p, l->v[i]);
		if (last_x >= 0 && l->t[i] - last_t <= gap)
			join(p, series, last_x, last_y, x, y);
		else
			dot(p, series, x, y);
		last_x = x;
		last_y = y;
		last_t = l->t[i];
	}
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static const char *const colors[] = { "36", "33", "35", "32", "31", "34", "37", "93" };
static const char *const marks[] = { "●", "○", "▲", "△", "■", "□", "◆", "◇" };
static const char ascii_marks[] = "*o+x#@%&";

static const char *mark(const struct app_chart *c, size_t series, char ascii[2])
{
	if (c->utf8)
		return marks[series % 8];
	ascii[0] = ascii_marks[series % 8];
	ascii[1] = 0;
	return ascii;
}

/* *ink: the series whose colour the terminal has on, -1 for none. */
static void put_cell(const struct plot *p, FILE *f, int cell, int *ink)
{
	uint8_t d = p->dots[cell];
	char ascii[2];
	if (d && p->c->color && *ink != p->owner[cell]) {
		*ink = p->owner[cell];
		fprintf(f, "\033[%sm", colors[*ink % 8]);
	}
	if (!d)
		fputc(' ', f);
	else if (p->dot_x == 2) /* U+2800 + d */
		fprintf(f, "\xe2%c%c", 0xa0 | d >> 6, 0x80 | (d & 0x3f));
	else
		fputs(mark(p->c, d - 1u, ascii), f);
}

static void put_rows(const struct plot *p, FILE *f)
{
	char text[APP_TEXT_SIZE];
	int ticks = (int)lround((p->high - p->low) / p->y_step), next = ticks;
	for (int y = 0; y < p->rows; y++) {
		/* A tick belongs to the row that holds its dot. */
		double v = p->low + next * p->y_step;
		bool tick = next >= 0 && dot_row(p, v) / p->dot_y <= y;
		if (tick)
			next--;
		const char *axis = p->c->utf8 ? tick ? "┤" : "│" : tick ? "+" : "|";
		fprintf(f, "%*s %s", p->margin, tick ? y_text(p, v, text) : "", axis);
		int last = p->columns, ink = -1;
		while (last && !p->dots[y * p->columns + last - 1])
			last--;
		for (int x = 0; x < last; x++)
			put_cell(p, f, y * p->columns + x, &ink);
		fputs(ink >= 0 ? "\033[0m\n" : "\n", f);
	}
}

/* The text of a tick, by the size of the step: what does not change between ticks is left to the line below. */
static void tick_text(int64_t t, int64_t step, char ret[APP_TEXT_SIZE])
{
	char full[APP_TEXT_SIZE];
	app_time_text(t, full); /* 2024-05-01T10:00:00.25Z */
	if (step >= 86400 * SECOND) {
		memcpy(ret, full, 10);
		ret[10] = 0;
	} else {
		size_t n = step >= 60 * SECOND ? 5 : strcspn(full + 11, "Z");
		memcpy(ret, full + 11, n);
		ret[n] = 0;
	}
}

static int64_t floor_to(int64_t t, int64_t step) { return t - (t % step + step) % step; }

static void put_times(const struct plot *p, FILE *f)
{
	int64_t step = app_nice_time_step(p->to - p->from, p->columns / 12 > 1 ? p->columns / 12 : 1);
	char *axis = app_alloc((size_t)p->columns + 1), *texts = app_alloc((size_t)p->columns + APP_TEXT_SIZE);
	char text[APP_TEXT_SIZE], from[APP_TEXT_SIZE], to[APP_TEXT_SIZE];
	memset(axis, '-', (size_t)p->columns);
	memset(texts, ' ', (size_t)p->columns + APP_TEXT_SIZE - 1);
	int free_from = 0;
	for (int64_t t = floor_to(p->from, step); t <= p->to; t += step) {
		int x = t < p->from ? -1 : dot_column(p, t) / p->dot_x;
		tick_text(t, step, text);
		int n = (int)strlen(text), at = x - n / 2 < 0 ? 0 : x - n / 2;
		if (x < 0 || at < free_from || at + n > p->columns)
			continue;
		axis[x] = '+';
		memcpy(texts + at, text, (size_t)n);
		free_from = at + n + 2;
	}
	fprintf(f, "%*s %s", p->margin, "", p->c->utf8 ? "└" : "+");
	for (int x = 0; x < p->columns; x++)
		fputs(!p->c->utf8 ? (char[]){ axis[x], 0 } : axis[x] == '+' ? "┬" : "─", f);
	for (int n = p->columns + APP_TEXT_SIZE - 1; n && texts[n - 1] == ' ';)
		texts[--n] = 0;
	fprintf(f, "\n%*s  %s\n", p->margin, "", texts);
	fprintf(f, "%*s  %s %s %s\n", p->margin, "", app_time_text(p->from, from), p->c->utf8 ? "–" : "to",
		app_time_text(p->to, to));
	free(axis);
	free(texts);
}

static void put_legend(const struct plot *p, FILE *f)
{
	char ascii[2];
	for (size_t i = 0; i < p->c->n && p->c->n > 1; i++) {
		fprintf(f, "%*s  ", p->margin, "");
		if (p->c->color)
			fprintf(f, "\033[%sm%s\033[0m", colors[i % 8], p->c->utf8 ? "━━" : mark(p->c, i, ascii));
		else
			fputs(mark(p->c, i, ascii), f);
		fprintf(f, " %s\n", p->c->lines[i].name);
	}
}

static int margin_of(const struct plot *p)
{
	int widest = 0;
	char text[APP_TEXT_SIZE];
	for (double v = p->low; v <= p->high + p->y_step / 2; v += p->y_step) {
		int n = (int)strlen(y_text(p, v, text));
		widest = n > widest ? n : widest;
	}
	return widest;
}

void app_chart_print(const struct app_chart *c, FILE *f)
{
	bool fine = c->utf8 && (c->n == 1 || c->color);
	struct plot p = { .c = c, .rows = c->height, .dot_x = fine ? 2 : 1, .dot_y = fine ? 4 : 1 };
	if (c->title)
		fprintf(f, "%s\n", c->title);
	if (!find_range(&p)) {
		fputs("(no samples)\n", f);
		return;
	}
	scale(&p);
	p.margin = margin_of(&p);
	p.columns = c->width - p.margin - 3 > 20 ? c->width - p.margin - 3 : 20;
	p.dots = app_alloc((size_t)(p.rows * p.columns));
	p.owner = app_alloc((size_t)(p.rows * p.columns));
	for (size_t i = 0; i < c->n; i++)
		draw(&p, i);
	put_rows(&p, f);
	put_times(&p, f);
	put_legend(&p, f);
	free(p.dots);
	free(p.owner);
}
