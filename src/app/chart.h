/* Line charts for terminals: braille dots where there is one series or colour, marks otherwise, ASCII without UTF-8.
 * Times and numbers on the axes fall on round values; gaps stay empty. */
#ifndef SLX_APP_CHART_H
#define SLX_APP_CHART_H

#include "app/app.h"

struct app_line {
	char *name;
	int64_t *t; /* ascending nanoseconds */
	double *v;  /* NaN: a gap */
	size_t n, cap;
};

struct app_chart {
	struct app_line *lines;
	size_t n;
	const char *title; /* may be NULL */
	int width, height; /* columns in all; rows of the plot */
	bool utf8, color;
};

void app_line_add(struct app_line *l, int64_t t, double v);
void app_lines_free(struct app_line *lines, size_t n);
void app_chart_print(const struct app_chart *c, FILE *f);

/* Ticks on round values for a range; step > 0. */
double app_nice_step(double range, int ticks_max);
/* A round step of time (ns) such that range holds at most ticks_max. */
int64_t app_nice_time_step(int64_t range, int ticks_max);

#endif
