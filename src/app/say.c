/* Saying what goes wrong; memory that is there or ends the program; clocks. */
#include "app/app.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("silex: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void app_say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int app_usage(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return APP_USAGE;
}

int app_fail(const char *what, const silex_error *err)
{
	if (what)
		app_say("%s: %s", what, err->message);
	else
		app_say("%s", err->message);
	return APP_FAILED;
}

void *app_alloc(size_t n)
{
	void *p = n < SIZE_MAX / 2 ? calloc(1, n ? n : 1) : NULL;
	if (!p) {
		app_say("out of memory");
		exit(APP_FAILED);
	}
	return p;
}

void *app_grow(void *p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? 2 * *cap : 16;
	p = realloc(p, *cap * size);
	return p ? p : app_alloc(SIZE_MAX);
}

char *app_strndup(const char *s, size_t n)
{
	char *p = app_alloc(n + 1);
	memcpy(p, s, n);
	return p;
}

char *app_strdup(const char *s) { return app_strndup(s, strlen(s)); }

char *app_printf(const char *fmt, ...)
{
	char *s;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		app_alloc(SIZE_MAX);
	va_end(ap);
	return s;
}

double app_seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

int64_t app_wall_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void app_remove_tree(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			char *name = app_printf("%s/%s", path, e->d_name);
			if (unlink(name) != 0) /* a folder */
				app_remove_tree(name);
			free(name);
		}
	if (d)
		closedir(d);
	rmdir(path);
}
