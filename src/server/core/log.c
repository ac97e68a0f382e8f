#include "server/core/log.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 8192, VALUE_MAX = 2000 };

/* A line being built: what does not fit is cut, one byte is kept for the newline. */
struct line {
	char p[LINE_MAX_SIZE];
	size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof l->p - 1 - l->n;
	n = n < room ? n : room;
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void put_z(struct line *l, const char *z) { put(l, z, strlen(z)); }

/* The inside of a JSON string; logfmt uses the same escapes. Bytes that are not UTF-8 become U+FFFD. */
static void put_escaped(struct line *l, struct slx_str s)
{
	bool utf8 = slx_utf8_valid(s.p, s.n);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char esc[8];
		if (c == '"' || c == '\\')
			put(l, (char[]){ '\\', (char)c }, 2);
		else if (c == '\n')
			put(l, "\\n", 2);
		else if (c < 32 || c == 127)
			put(l, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
		else if (c >= 128 && !utf8)
			put(l, "\xef\xbf\xbd", 3);
		else
			put(l, s.p + i, 1);
	}
}

static bool plain(struct slx_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 32 || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || (unsigned char)s.p[i] >= 127)
			return false;
	return s.n > 0;
}

/* Long values are cut: the fields after them say as much. */
static void put_string(struct line *l, struct slx_str s, bool quoted)
{
	bool cut = s.n > VALUE_MAX;
	while (s.n > VALUE_MAX || (cut && s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80))
		s.n = s.n > VALUE_MAX ? VALUE_MAX : s.n - 1; /* not inside of a character */
	if (quoted)
		put(l, "\"", 1);
	put_escaped(l, s);
	if (cut)
		put(l, "...", 3);
	if (quoted)
		put(l, "\"", 1);
}

static void put_field(struct line *l, const struct slx_log_field *f, bool json)
{
	char number[40];
	put(l, json ? ",\"" : " ", json ? 2 : 1);
	put_z(l, f->key);
	put(l, json ? "\":" : "=", json ? 2 : 1);
	switch (f->type) {
	case SLX_LOG_STRING:
		put_string(l, f->s, json || !plain(f->s));
		break;
	case SLX_LOG_INTEGER:
		put(l, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)f->i));
		break;
	case SLX_LOG_REAL:
		put(l, number, (size_t)snprintf(number, sizeof number, json && !isfinite(f->f) ? "null" : "%.6g", f->f));
		break;
	}
}

static void put_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char text[40];
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof text - n, ".%03ldZ", ts.tv_nsec / 1000000);
	put(l, text, n);
}

void slx_log_init(struct slx_log *l, int fd)
{
	*l = (struct slx_log){ .fd = fd, .level = SLX_LOG_INFO };
}

void slx_log_put(struct slx_log *l, enum slx_log_level level, const char *message, const struct slx_log_field *fields, size_t n)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	struct line line = { .n = 0 };
	bool json = atomic_load_explicit(&l->format, memory_order_relaxed) == SLX_LOG_JSON;
	if ((int)level < atomic_load_explicit(&l->level, memory_order_relaxed))
		return;
	if (json)
		put_z(&line, "{\"time\":\"");
	put_time(&line);
	put_z(&line, json ? "\",\"level\":\"" : " ");
	put_z(&line, levels[level]);
	put_z(&line, json ? "\",\"message\":\"" : " ");
	put_escaped(&line, slx_str(message));
	if (json)
		put_z(&line, "\"");
	for (size_t i = 1; i < n; i++)
		put_field(&line, &fields[i], json);
	if (json && line.n > sizeof line.p - 4) /* cut: still one JSON object a line */
		line.n = (size_t)snprintf(line.p, sizeof line.p, "{\"level\":\"%s\",\"message\":\"a line over 8 kB was dropped\"", levels[level]);
	if (json)
		put_z(&line, "}");
	line.p[line.n++] = '\n';
	atomic_fetch_add_explicit(&l->lines[level], 1, memory_order_relaxed);
	if (write(l->fd, line.p, line.n) < 0)
		return; /* a log that cannot be written has nowhere to say so */
}

void slx_log_engine(void *arg, int level, const char *message)
{
	slx_log(arg, level < 0 ? SLX_LOG_DEBUG : level > 3 ? SLX_LOG_ERROR : (enum slx_log_level)level, message, SLX_TEXT("component", "engine"));
}
