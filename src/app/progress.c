#include "app/app.h"

#include <string.h>

void app_progress_begin(struct app_progress *p, const struct app *a, const char *what)
{
	double now = app_seconds();
	*p = (struct app_progress){ .what = what, .on = a->err_tty, .began = now, .next = now + 0.3, .width = a->width };
}

static void put_bar(char *to, size_t size, uint64_t done, uint64_t total)
{
	size_t full = total ? (size_t)((double)(size - 1) * (double)done / (double)total) : 0;
	for (size_t i = 0; i + 1 < size; i++)
		to[i] = i < full ? '#' : '.';
	to[size - 1] = 0;
}

void app_progress_show(struct app_progress *p, uint64_t done, uint64_t total, uint64_t points)
{
	double now = p->on ? app_seconds() : 0;
	if (!p->on || now < p->next)
		return;
	char line[256], bar[21], a[APP_TEXT_SIZE], b[APP_TEXT_SIZE];
	double took = now - p->began;
	int n = snprintf(line, sizeof line, "%.40s ", p->what);
	if (done > total)
		total = 0;
	if (total) {
		put_bar(bar, sizeof bar, done, total);
		n += snprintf(line + n, sizeof line - (size_t)n, "[%s] %3.0f %%", bar, 100.0 * (double)done / (double)total);
	}
	if (points)
		n += snprintf(line + n, sizeof line - (size_t)n, "  %s points  %s/s", app_rate_text((double)points, a),
			app_rate_text((double)points / took, b));
	if (total && done)
		n += snprintf(line + n, sizeof line - (size_t)n, "  %s left",
			app_span_text((int64_t)(took * (double)(total - done) / (double)done * 1e9), a));
	if (n >= p->width)
		line[p->width - 1] = 0;
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
	p->drawn = true;
	p->next = now + 0.1;
}

void app_progress_end(struct app_progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}

bool app_progress_stage(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	struct app_progress *p = arg;
	p->what = stage;
	app_progress_show(p, done, total, 0);
	return true;
}
