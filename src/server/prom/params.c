/* See params.h. */
#include "server/prom/params.h"

#include "formats/formats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_SIZE_MAX = 64 };

/* `what` with the text in Go's %q form, cut where it is long. */
static silex_status refuse(silex_error *err, struct slx_str s, const char *what)
{
	char text[160];
	size_t n = 0;
	for (size_t i = 0; i < s.n && n + 6 < sizeof text; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if (c == '"' || c == '\\')
			n += (size_t)snprintf(text + n, sizeof text - n, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(text + n, sizeof text - n, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\x%02x", c);
		else
			text[n++] = (char)c;
	}
	text[n] = 0;
	return slx_err(err, SILEX_INVALID, "cannot parse \"%s\" to a valid %s", text, what);
}

/* ---- numbers ---- */

/* A decimal number as Go's ParseFloat takes it, without its hexadecimal and infinite forms. */
static bool parse_number(struct slx_str s, double *ret)
{
	char text[NUMBER_SIZE_MAX];
	if (s.n == 0 || s.n >= sizeof text)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr("0123456789+-.eE", s.p[i], 15))
			return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	char *end;
	*ret = strtod(text, &end);
	return end == text + s.n && isfinite(*ret);
}

silex_status slx_prom_parse_limit(struct slx_str s, uint64_t *ret, silex_error *err)
{
	uint64_t v = 0;
	bool minus = s.n && s.p[0] == '-';
	*ret = 0;
	if (s.n == 0)
		return SILEX_OK;
	for (size_t i = minus || s.p[0] == '+'; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) || v > INT64_MAX)
			return refuse(err, s, "number");
	if (s.n == (size_t)(minus || s.p[0] == '+'))
		return refuse(err, s, "number");
	if (minus && v)
		return slx_err(err, SILEX_INVALID, "limit must be non-negative");
	*ret = v;
	return SILEX_OK;
}

/* ---- times ---- */

static int64_t clamp_ms(double ms)
{
	return ms <= (double)SLX_PROM_MS_MIN ? SLX_PROM_MS_MIN : ms >= (double)SLX_PROM_MS_MAX ? SLX_PROM_MS_MAX : (int64_t)ms;
}

/* n digits at *p; -1 when they are not digits. */
static int digits(const char *p, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static int days_of_month(int year, int month)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

/* Z or +hh:mm at p..end, in minutes east. */
static bool parse_zone(const char *p, const char *end, int *ret)
{
	*ret = 0;
	if (end - p == 1)
		return *p == 'Z';
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
		return false;
	int h = digits(p + 1, 2), m = digits(p + 4, 2);
	*ret = (*p == '-' ? -1 : 1) * (h * 60 + m);
	return h >= 0 && h < 24 && m >= 0 && m < 60;
}

/* 2015-07-01T20:10:51.781Z; years outside those of the engine, too (clients send Go's zero time, year 1). */
static bool parse_rfc3339(struct slx_str s, int64_t *ret_ms)
{
	const char *p = s.p, *end = s.p + s.n;
	if (s.n < 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':')
		return false;
	int year = digits(p, 4), month = digits(p + 5, 2), day = digits(p + 8, 2);
	int h = digits(p + 11, 2), m = digits(p + 14, 2), sec = digits(p + 17, 2);
	if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59)
		return false;
	int ms = 0, unit = 100, zone;
	p += 19;
	if (*p == '.') {
		const char *from = ++p;
		for (; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10)
			ms += (*p - '0') * unit;
		if (p == from)
			return false;
	}
	if (!parse_zone(p, end, &zone))
		return false;
	int64_t days = slx_days_from_civil(year, (unsigned)month, (unsigned)day);
	*ret_ms = clamp_ms((double)(((days * 24 + h) * 60 + m - zone) * 60000 + sec * 1000 + ms));
	return true;
}

silex_status slx_prom_parse_time(struct slx_str s, int64_t *ret_ms, silex_error *err)
{
	double v;
	if (parse_number(s, &v)) {
		double whole = floor(v);
		*ret_ms = clamp_ms(whole * 1000 + rint((v - whole) * 1000));
		return SILEX_OK;
	}
	if (parse_rfc3339(s, ret_ms))
		return SILEX_OK;
	/* The ends of time as Prometheus prints them and clients send them back. */
	if (slx_str_eq(s, SLX_STR("-292273086-05-16T16:47:06Z")))
		*ret_ms = SLX_PROM_MS_MIN;
	else if (slx_str_eq(s, SLX_STR("292277025-08-18T07:12:54.999999999Z")))
		*ret_ms = SLX_PROM_MS_MAX;
	else
		return refuse(err, s, "timestamp");
	return SILEX_OK;
}

silex_status slx_prom_parse_duration(struct slx_str s, int64_t *ret_ns, silex_error *err)
{
	double v;
	if (parse_number(s, &v)) {
		v *= 1e9;
		if (v >= 0x1p63 || v < -0x1p63) {
			refuse(err, s, "duration. It overflows int64");
			return SILEX_INVALID;
		}
		*ret_ns = (int64_t)v;
		return SILEX_OK;
	}
	for (size_t i = 0; i < s.n; i++) /* the engine's durations know more units and a sign */
		if (!memchr("0123456789ywdhms", s.p[i], 16))
			return refuse(err, s, "duration");
	if (s.n == 0 || slx_duration_parse(s.p, s.n, ret_ns, NULL) != SILEX_OK)
		return refuse(err, s, "duration");
	return SILEX_OK;
}

/* ---- names in paths ---- */

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* The code point of `3f_` (up to six digits); false when it is none. *p is behind it. */
static bool code_point(const char **p, const char *end, uint32_t *ret)
{
	uint32_t c = 0;
	int n = 0;
	for (; *p < end && **p != '_'; (*p)++, n++) {
		int d = hex_digit(**p);
		if (d < 0 || n == 6)
			return false;
		c = c << 4 | (uint32_t)d;
	}
	if (*p == end || n == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return false;
	(*p)++;
	*ret = c;
	return true;
}

static void put_utf8(struct slx_buf *out, uint32_t c)
{
	if (c < 0x80) {
		slx_buf_u8(out, (uint8_t)c);
		return;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	slx_buf_u8(out, (uint8_t)(lead[more] | c >> (6 * more)));
	while (more-- > 0)
		slx_buf_u8(out, (uint8_t)(0x80 | (c >> (6 * more) & 0x3f)));
}

void slx_prom_unescape_name(struct slx_str s, struct slx_buf *out)
{
	const char *p = s.p + 3, *end = s.p + s.n;
	size_t begin = out->n;
	if (s.n < 3 || memcmp(s.p, "U__", 3) != 0) {
		slx_buf_put(out, s.p, s.n);
		return;
	}
	while (p < end) {
		uint32_t c;
		if (*p != '_') {
			slx_buf_u8(out, (uint8_t)*p++);
		} else if (p + 1 < end && p[1] == '_') {
			slx_buf_u8(out, '_');
			p += 2;
		} else if (p++, code_point(&p, end, &c)) {
			put_utf8(out, c);
		} else { /* not an escaped name after all */
			out->n = begin;
			slx_buf_put(out, s.p, s.n);
			return;
		}
	}
}
