/* Numbers, times and labels as people read and write them. */
#include "app/app.h"

#include "model/time.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool app_parse_count(const char *s, uint64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)*s))
		return false;
	double v = strtod(s, &end);
	static const char units[] = "kMGT";
	const char *u = *end ? strchr(units, *end) : NULL;
	if (u) {
		v *= pow(1000, (double)(u - units + 1));
		end++;
	}
	if (*end || v != floor(v) || v >= 0x1p64)
		return false;
	*ret = (uint64_t)v;
	return true;
}

silex_status app_parse_time(const char *s, int64_t now, int64_t *ret, silex_error *err)
{
	if (s[0] == '-' && isdigit((unsigned char)s[1])) { /* -2h: before now; times before 1970 are written as dates */
		int64_t span;
		silex_status st = slx_duration_parse(s + 1, strlen(s + 1), &span, err);
		if (st == SILEX_OK)
			*ret = slx_time_sub(now, span);
		return st;
	}
	return slx_time_parse(s, strlen(s), SLX_UNIT_AUTO, now, ret, err);
}

silex_status app_parse_span(const char *s, int64_t *ret, silex_error *err)
{
	return slx_duration_parse(s, strlen(s), ret, err);
}

const char *app_time_text(int64_t t, char ret[APP_TEXT_SIZE])
{
	slx_time_format(t, ret);
	return ret;
}

const char *app_span_text(int64_t ns, char ret[APP_TEXT_SIZE])
{
	double s = (double)ns / 1e9;
	if (s < 1e-3)
		snprintf(ret, APP_TEXT_SIZE, "%.3g us", s * 1e6);
	else if (s < 1)
		snprintf(ret, APP_TEXT_SIZE, "%.3g ms", s * 1e3);
	else if (s < 100)
		snprintf(ret, APP_TEXT_SIZE, "%.3g s", s);
	else if (s < 6000)
		snprintf(ret, APP_TEXT_SIZE, "%.0f min %02.0f s", floor(s / 60), fmod(floor(s), 60));
	else if (s < 172800)
		snprintf(ret, APP_TEXT_SIZE, "%.0f h %02.0f min", floor(s / 3600), floor(fmod(s, 3600) / 60));
	else
		snprintf(ret, APP_TEXT_SIZE, "%.0f d %02.0f h", floor(s / 86400), floor(fmod(s, 86400) / 3600));
	return ret;
}

const char *app_count_text(uint64_t n, char ret[APP_TEXT_SIZE])
{
	char digits[24];
	int k = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	char *to = ret;
	for (int i = 0; i < k; i++) {
		if (i && (k - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return ret;
}

static const char *scaled(double v, double base, const char *const *units, char ret[APP_TEXT_SIZE])
{
	size_t i = 0;
	while (v >= base * 0.9995 && units[i + 1]) {
		v /= base;
		i++;
	}
	snprintf(ret, APP_TEXT_SIZE, i && v < 10 ? "%.2f %s" : i && v < 100 ? "%.1f %s" : "%.0f %s", v, units[i]);
	return ret;
}

const char *app_bytes_text(uint64_t n, char ret[APP_TEXT_SIZE])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", NULL };
	return scaled((double)n, 1000, units, ret);
}

const char *app_rate_text(double n, char ret[APP_TEXT_SIZE])
{
	static const char *const units[] = { "", "k", "M", "G", NULL };
	scaled(n, 1000, units, ret);
	size_t k = strlen(ret);
	if (k && ret[k - 1] == ' ')
		ret[k - 1] = 0;
	return ret;
}

const char *app_real_text(double v, char ret[APP_TEXT_SIZE])
{
	if (isnan(v))
		return strcpy(ret, "NaN");
	if (isinf(v))
		return strcpy(ret, v > 0 ? "+Inf" : "-Inf");
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(ret, APP_TEXT_SIZE, "%.*g", digits, v);
		if (strtod(ret, NULL) == v)
			break;
	}
	return ret;
}

const char *app_short_text(double v, char ret[APP_TEXT_SIZE])
{
	if (!isfinite(v))
		return app_real_text(v, ret);
	double size = fabs(v);
	if (size >= 1e5 && size < 1e15)
		snprintf(ret, APP_TEXT_SIZE, "%.0f", v);
	else
		snprintf(ret, APP_TEXT_SIZE, "%.6g", v);
	return ret;
}

/* --- labels ----------------------------------------------------------------------------------------------------- */

static bool plain_name(const char *s, bool metric)
{
	if (!isalpha((unsigned char)*s) && *s != '_' && !(metric && *s == ':'))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && !(metric && *s == ':'))
			return false;
	return true;
}

static void put(struct slx_buf *b, const char *s) { slx_buf_put(b, s, strlen(s)); }

static void put_quoted(struct slx_buf *b, const char *s)
{
	put(b, "\"");
	for (; *s; s++)
		if (*s == '\n')
			put(b, "\\n");
		else {
			if (*s == '"' || *s == '\\')
				put(b, "\\");
			slx_buf_put(b, s, 1);
		}
	put(b, "\"");
}

static bool listed(const char *const *names, const char *s)
{
	for (; names && *names; names++)
		if (strcmp(*names, s) == 0)
			return true;
	return false;
}

void app_put_series(struct slx_buf *b, const silex_label *labels, size_t n, const char *const *skip)
{
	const char *metric = listed(skip, "__name__") ? "" : app_label(labels, n, "__name__");
	size_t shown = 0;
	if (*metric && plain_name(metric, true))
		put(b, metric);
	else if (*metric) {
		put(b, "{");
		put_quoted(b, metric);
		shown++;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(labels[i].name, "__name__") == 0 || listed(skip, labels[i].name))
			continue;
		put(b, shown++ ? "," : "{");
		if (plain_name(labels[i].name, false))
			put(b, labels[i].name);
		else
			put_quoted(b, labels[i].name);
		put(b, "=");
		put_quoted(b, labels[i].value);
	}
	if (shown || !*metric)
		put(b, shown ? "}" : "{}");
}

const char *app_label(const silex_label *labels, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(labels[i].name, name) == 0)
			return labels[i].value;
	return "";
}

struct app_labels app_labels_copy(const silex_label *labels, size_t n)
{
	struct app_labels l = { n ? app_alloc(n * sizeof *l.v) : NULL, n };
	for (size_t i = 0; i < n; i++)
		l.v[i] = (silex_label){ app_strdup(labels[i].name), app_strdup(labels[i].value) };
	return l;
}

void app_labels_free(struct app_labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((char *)l->v[i].name);
		free((char *)l->v[i].value);
	}
	free(l->v);
	*l = (struct app_labels){ 0 };
}

/* Wide East Asian characters take two columns, combining marks none; the ranges that occur in practice are enough for
 * lining up a table. */
static int char_width(uint32_t c)
{
	if (c >= 0x300 && c < 0x370)
		return 0;
	return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) ||
			(c >= 0xf900 && c < 0xfb00) || (c >= 0xff00 && c < 0xff61) || (c >= 0x1f300 && c < 0x1fa00)
		? 2
		: 1;
}

int app_text_width(const char *s)
{
	int width = 0;
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		uint32_t c = *p;
		int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		c &= more ? 0x3fu >> more : 0x7f;
		for (p++; more && (*p & 0xc0) == 0x80; more--, p++)
			c = c << 6 | (*p & 0x3f);
		width += char_width(c);
	}
	return width;
}
