/* The functions that templates may call: Prometheus' own, then Go's. */
#include "rules/template/template_int.h"

#include "model/rewrite.h"
#include "model/time.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

typedef struct slx_trun run;
typedef const struct slx_tv *args;

enum { TEXT_MAX = 1 << 20 };

static void text_init(run *r, struct slx_buf *b) { slx_buf_init(b, r->arena.mem, SLX_MEM_QUERY, TEXT_MAX); }

static silex_status want_string(run *r, const struct slx_tv *v, struct slx_str *ret)
{
	*ret = v->type == SLX_TV_STRING ? v->s : SLX_STR("");
	return v->type == SLX_TV_STRING ? SILEX_OK : slx_trun_fail(r, "wrong type for value; expected string; got %s", slx_tv_type_name(v));
}

static silex_status want_number(run *r, const struct slx_tv *v, double *ret)
{
	char text[400], *end = text;
	*ret = 0;
	if (v->type == SLX_TV_INT) {
		*ret = (double)v->i;
	} else if (v->type == SLX_TV_FLOAT) {
		*ret = v->f;
	} else if (v->type == SLX_TV_STRING) {
		snprintf(text, sizeof text, "%.*s", (int)v->s.n, v->s.p);
		*ret = strtod(text, &end);
		if (end == text || *end || v->s.n >= sizeof text || text[0] == ' ')
			return slx_trun_fail(r, "strconv.ParseFloat: parsing \"%s\": invalid syntax", text);
	} else {
		return slx_trun_fail(r, "can't convert %s to float", slx_tv_type_name(v));
	}
	return SILEX_OK;
}

static silex_status want_sample(run *r, const struct slx_tv *v, const struct slx_template_sample **ret)
{
	*ret = v->sample;
	return v->type == SLX_TV_SAMPLE ? SILEX_OK : slx_trun_fail(r, "wrong type for value; expected *template.sample; got %s", slx_tv_type_name(v));
}

static silex_status want_list(run *r, const struct slx_tv *v)
{
	if (v->type != SLX_TV_LIST)
		return slx_trun_fail(r, "wrong type for value; expected template.queryResult; got %s", slx_tv_type_name(v));
	return SILEX_OK;
}

static silex_status give_text(run *r, struct slx_tv *ret, const char *text)
{
	struct slx_buf b;
	text_init(r, &b);
	slx_buf_put(&b, text, strlen(text));
	return slx_trun_keep(r, &b, ret);
}

/* ---- results of queries ---- */

static silex_status f_query(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str expr;
	struct slx_template_sample *s = NULL;
	size_t count = 0;
	SLX_TRY(want_string(r, &a[0], &expr));
	if (!r->data->query)
		return slx_trun_fail(r, "error calling query: there is nothing to ask here");
	silex_error why = { 0 };
	if (r->data->query(r->data->ctx, expr, &r->arena, &s, &count, &why) != SILEX_OK)
		return slx_trun_fail(r, "error calling query: %s", why.message);
	struct slx_tv *v = slx_arena_alloc(&r->arena, (count + 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(r->err);
	for (size_t i = 0; i < count; i++)
		v[i] = (struct slx_tv){ .type = SLX_TV_SAMPLE, .sample = &s[i] };
	*ret = (struct slx_tv){ .type = SLX_TV_LIST, .list = { v, count } };
	return SILEX_OK;
}

static silex_status f_first(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(want_list(r, &a[0]));
	if (a[0].list.n == 0)
		return slx_trun_fail(r, "error calling first: first() called on vector with no elements");
	*ret = a[0].list.v[0];
	return SILEX_OK;
}

static silex_status f_label(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str name;
	const struct slx_template_sample *s;
	SLX_TRY(want_string(r, &a[0], &name));
	SLX_TRY(want_sample(r, &a[1], &s));
	*ret = slx_tv_string(slx_tv_label(s->labels, name));
	return SILEX_OK;
}

static silex_status f_value(run *r, args a, size_t n, struct slx_tv *ret)
{
	const struct slx_template_sample *s;
	SLX_TRY(want_sample(r, &a[0], &s));
	*ret = slx_tv_float(s->value);
	return SILEX_OK;
}

static silex_status f_strvalue(run *r, args a, size_t n, struct slx_tv *ret)
{
	const struct slx_template_sample *s;
	SLX_TRY(want_sample(r, &a[0], &s));
	*ret = slx_tv_string(slx_tv_label(s->labels, SLX_STR("__value__")));
	return SILEX_OK;
}

static struct slx_str label_of(const struct slx_tv *v, struct slx_str name)
{
	return v->type == SLX_TV_SAMPLE ? slx_tv_label(v->sample->labels, name) : (struct slx_str){ "", 0 };
}

static silex_status f_sort_by_label(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str name;
	SLX_TRY(want_string(r, &a[0], &name));
	SLX_TRY(want_list(r, &a[1]));
	struct slx_tv *v = slx_arena_alloc(&r->arena, (a[1].list.n + 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(r->err);
	for (size_t i = 0; i < a[1].list.n; i++) { /* stable; results in templates are short */
		size_t at = i;
		for (; at && slx_str_cmp(label_of(&v[at - 1], name), label_of(&a[1].list.v[i], name)) > 0; at--)
			v[at] = v[at - 1];
		v[at] = a[1].list.v[i];
	}
	*ret = (struct slx_tv){ .type = SLX_TV_LIST, .list = { v, a[1].list.n } };
	return SILEX_OK;
}

static silex_status f_args(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_tv_pair *v = slx_arena_alloc(&r->arena, (n + 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		struct slx_tv key;
		snprintf(name, sizeof name, "arg%zu", i);
		SLX_TRY(give_text(r, &key, name));
		v[i] = (struct slx_tv_pair){ key.s, a[i] };
	}
	*ret = (struct slx_tv){ .type = SLX_TV_ARGS, .args = { v, n } };
	return SILEX_OK;
}

/* ---- numbers for people ---- */

/* v scaled by 1000 or 1024 up to 8 times, and the prefix of that. */
static const char *scale_up(double *v, double by, const char *const *prefixes)
{
	const char *prefix = "";
	for (; *prefixes && fabs(*v) >= by; prefixes++) {
		prefix = *prefixes;
		*v /= by;
	}
	return prefix;
}

static const char *scale_down(double *v)
{
	static const char *const prefixes[] = { "m", "u", "n", "p", "f", "a", "z", "y", NULL };
	const char *prefix = "";
	for (const char *const *p = prefixes; *p && fabs(*v) < 1; p++) {
		prefix = *p;
		*v *= 1000;
	}
	return prefix;
}

static silex_status give_g(run *r, double v, const char *unit, struct slx_tv *ret)
{
	struct slx_buf b;
	text_init(r, &b);
	slx_tv_put_g(v, 4, &b);
	slx_buf_put(&b, unit, strlen(unit));
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_humanize(run *r, args a, size_t n, struct slx_tv *ret)
{
	static const char *const prefixes[] = { "k", "M", "G", "T", "P", "E", "Z", "Y", NULL };
	double v;
	SLX_TRY(want_number(r, &a[0], &v));
	if (v == 0 || !isfinite(v))
		return give_g(r, v, "", ret);
	const char *prefix = fabs(v) >= 1 ? scale_up(&v, 1000, prefixes) : scale_down(&v);
	return give_g(r, v, prefix, ret);
}

static silex_status f_humanize1024(run *r, args a, size_t n, struct slx_tv *ret)
{
	static const char *const prefixes[] = { "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL };
	double v;
	SLX_TRY(want_number(r, &a[0], &v));
	const char *prefix = fabs(v) <= 1 || !isfinite(v) ? "" : scale_up(&v, 1024, prefixes);
	return give_g(r, v, prefix, ret);
}

static silex_status f_humanize_duration(run *r, args a, size_t n, struct slx_tv *ret)
{
	char text[64];
	double v;
	SLX_TRY(want_number(r, &a[0], &v));
	if (v == 0 || !isfinite(v))
		return give_g(r, v, isfinite(v) ? "s" : "", ret);
	if (fabs(v) < 1) {
		const char *prefix = scale_down(&v);
		snprintf(text, sizeof text, "%ss", prefix);
		return give_g(r, v, text, ret);
	}
	const char *sign = v < 0 ? "-" : "";
	v = fabs(v);
	if (v < 60) {
		v = v * (*sign ? -1 : 1);
		return give_g(r, v, "s", ret);
	}
	int64_t all = v < 9e18 ? (int64_t)v : INT64_MAX, s = all % 60, m = all / 60 % 60, h = all / 3600 % 24, d = all / 86400;
	if (d)
		snprintf(text, sizeof text, "%s%lldd %lldh %lldm %llds", sign, (long long)d, (long long)h, (long long)m, (long long)s);
	else if (h)
		snprintf(text, sizeof text, "%s%lldh %lldm %llds", sign, (long long)h, (long long)m, (long long)s);
	else
		snprintf(text, sizeof text, "%s%lldm %llds", sign, (long long)m, (long long)s);
	return give_text(r, ret, text);
}

static silex_status f_humanize_percentage(run *r, args a, size_t n, struct slx_tv *ret)
{
	double v;
	SLX_TRY(want_number(r, &a[0], &v));
	return give_g(r, v * 100, "%", ret);
}

/* Go's text of a time in UTC: 2015-04-28 13:32:32.5 +0000 UTC */
static silex_status f_humanize_timestamp(run *r, args a, size_t n, struct slx_tv *ret)
{
	double v;
	char text[80], fraction[8] = "";
	int64_t year;
	unsigned month, day;
	SLX_TRY(want_number(r, &a[0], &v));
	if (!isfinite(v))
		return give_g(r, v, "", ret);
	if (fabs(v * 1e9) >= 9223372036854775807.0)
		return slx_trun_fail(r, "error calling humanizeTimestamp: %g cannot be represented as a nanoseconds timestamp since it overflows int64", v * 1e9);
	int64_t ms = (int64_t)(v * 1e9) / 1000000, days = slx_window_index(ms, 86400000, 0), rest = ms - days * 86400000;
	slx_civil_from_days(days, &year, &month, &day);
	if (rest % 1000)
		snprintf(fraction, sizeof fraction, ".%03d", (int)(rest % 1000));
	for (size_t i = strlen(fraction); i > 1 && fraction[i - 1] == '0'; i--)
		fraction[i - 1] = 0;
	snprintf(text, sizeof text, "%04lld-%02u-%02u %02d:%02d:%02d%s +0000 UTC", (long long)year, month, day, (int)(rest / 3600000), (int)(rest / 60000 % 60),
		(int)(rest / 1000 % 60), fraction);
	return give_text(r, ret, text);
}

static silex_status f_parse_duration(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str s;
	int64_t ns;
	silex_error why;
	SLX_TRY(want_string(r, &a[0], &s));
	if (slx_duration_parse(s.p, s.n, &ns, &why) != SILEX_OK)
		return slx_trun_fail(r, "error calling parseDuration: %s", why.message);
	*ret = slx_tv_float((double)ns / 1e9);
	return SILEX_OK;
}

/* ---- strings ---- */

static silex_status f_match(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str pattern, text;
	struct slx_rewrite *x = NULL;
	silex_error why;
	bool found = false;
	SLX_TRY(want_string(r, &a[0], &pattern));
	SLX_TRY(want_string(r, &a[1], &text));
	silex_status status = slx_rewrite_new_search(r->arena.mem, pattern, &x, &why);
	if (status == SILEX_OK)
		status = slx_rewrite_find(x, text, &found, &why);
	slx_rewrite_free(x);
	*ret = slx_tv_bool(found);
	return status == SILEX_OK ? SILEX_OK : slx_trun_fail(r, "error calling match: %s", why.message);
}

static silex_status f_replace(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str pattern, with, text;
	struct slx_rewrite *x = NULL;
	struct slx_buf out;
	silex_error why;
	SLX_TRY(want_string(r, &a[0], &pattern));
	SLX_TRY(want_string(r, &a[1], &with));
	SLX_TRY(want_string(r, &a[2], &text));
	text_init(r, &out);
	silex_status status = slx_rewrite_new_search(r->arena.mem, pattern, &x, &why);
	if (status == SILEX_OK)
		status = slx_rewrite_all(x, text, with, &out, &why);
	slx_rewrite_free(x);
	if (status == SILEX_OK)
		return slx_trun_keep(r, &out, ret);
	slx_buf_free(&out);
	return slx_trun_fail(r, "error calling reReplaceAll: %s", why.message);
}

/* The character at p and its size; bytes that are no UTF-8 stand for themselves. */
static size_t read_rune(const char *p, size_t n, wchar_t *ret)
{
	uint8_t c = (uint8_t)*p;
	size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	*ret = c;
	if (size == 1 || size > n || !slx_utf8_valid(p, size))
		return 1;
	*ret = c & (0x7f >> size);
	for (size_t i = 1; i < size; i++)
		*ret = *ret << 6 | ((uint8_t)p[i] & 0x3f);
	return size;
}

static void put_rune(struct slx_buf *b, wchar_t c)
{
	char text[4];
	slx_buf_put(b, text, slx_template_put_utf8((uint32_t)c, text));
}

enum letters { UPPER, LOWER, TITLE };

/* Unicode's upper and lower case; TITLE: the first letter of each word large. */
static silex_status map_case(run *r, args a, enum letters to, struct slx_tv *ret)
{
	struct slx_str s;
	struct slx_buf b;
	bool inside = false;
	SLX_TRY(want_string(r, &a[0], &s));
	locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!unicode)
		return slx_err_oom(r->err);
	text_init(r, &b);
	for (size_t i = 0, n; i < s.n; i += n) {
		wchar_t c;
		n = read_rune(s.p + i, s.n - i, &c);
		if (n == 1 && c >= 0x80) /* no character */
			slx_buf_u8(&b, (uint8_t)c);
		else
			put_rune(&b, (wchar_t)(to == LOWER ? towlower_l((wint_t)c, unicode)
				: to == UPPER || !inside ? towupper_l((wint_t)c, unicode) : (wint_t)c));
		inside = iswalnum_l((wint_t)c, unicode) || c == '_';
	}
	freelocale(unicode);
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_to_upper(run *r, args a, size_t n, struct slx_tv *ret) { return map_case(r, a, UPPER, ret); }
static silex_status f_to_lower(run *r, args a, size_t n, struct slx_tv *ret) { return map_case(r, a, LOWER, ret); }
static silex_status f_title(run *r, args a, size_t n, struct slx_tv *ret) { return map_case(r, a, TITLE, ret); }

static silex_status f_same(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str s;
	SLX_TRY(want_string(r, &a[0], &s));
	*ret = slx_tv_string(s);
	return SILEX_OK;
}

/* "host:port", "[v6]:port": false when it is neither. */
static bool split_port(struct slx_str s, struct slx_str *ret_host, struct slx_str *ret_port)
{
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	if (!colon)
		return false;
	*ret_host = (struct slx_str){ s.p, (size_t)(colon - s.p) };
	*ret_port = (struct slx_str){ colon + 1, s.n - ret_host->n - 1 };
	bool brackets = ret_host->n > 1 && s.p[0] == '[' && colon[-1] == ']';
	if (brackets)
		*ret_host = (struct slx_str){ s.p + 1, ret_host->n - 2 };
	return (brackets || !memchr(ret_host->p, ':', ret_host->n)) && !memchr(ret_host->p, '[', ret_host->n) && !memchr(ret_host->p, ']', ret_host->n);
}

static silex_status f_strip_port(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str s, host, port;
	SLX_TRY(want_string(r, &a[0], &s));
	*ret = slx_tv_string(split_port(s, &host, &port) ? host : s);
	return SILEX_OK;
}

static bool is_address(struct slx_str s)
{
	bool v6 = s.n && memchr(s.p, ':', s.n);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool hex = (c >= '0' && c <= '9') || (v6 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f');
		if (!hex && c != '.' && c != ':')
			return false;
	}
	return s.n > 0 && (v6 || memchr(s.p, '.', s.n));
}

static silex_status f_strip_domain(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str s, host, port = { "", 0 };
	struct slx_buf b;
	SLX_TRY(want_string(r, &a[0], &s));
	if (!split_port(s, &host, &port)) {
		host = s;
		port.n = 0;
	}
	const char *dot = is_address(host) || !host.n ? NULL : memchr(host.p, '.', host.n);
	if (!dot) {
		*ret = slx_tv_string(s);
		return SILEX_OK;
	}
	text_init(r, &b);
	slx_buf_put(&b, host.p, (size_t)(dot - host.p));
	if (port.n) {
		slx_buf_u8(&b, ':');
		slx_buf_put(&b, port.p, port.n);
	}
	return slx_trun_keep(r, &b, ret);
}

/* ---- links ---- */

static void put_query_escaped(struct slx_buf *b, struct slx_str s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("-_.~", c))) {
			slx_buf_u8(b, c);
		} else if (c == ' ') {
			slx_buf_u8(b, '+');
		} else {
			slx_buf_u8(b, '%');
			slx_buf_u8(b, (uint8_t)hex[c >> 4]);
			slx_buf_u8(b, (uint8_t)hex[c & 15]);
		}
	}
}

static silex_status link_to(run *r, args a, const char *tail, struct slx_tv *ret)
{
	struct slx_str s;
	struct slx_buf b;
	SLX_TRY(want_string(r, &a[0], &s));
	text_init(r, &b);
	slx_buf_put(&b, "/graph?g0.expr=", 15);
	put_query_escaped(&b, s);
	slx_buf_put(&b, tail, strlen(tail));
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_graph_link(run *r, args a, size_t n, struct slx_tv *ret) { return link_to(r, a, "&g0.tab=0", ret); }
static silex_status f_table_link(run *r, args a, size_t n, struct slx_tv *ret) { return link_to(r, a, "&g0.tab=1", ret); }

static silex_status f_external_url(run *r, args a, size_t n, struct slx_tv *ret)
{
	*ret = slx_tv_string(r->data->external_url);
	return SILEX_OK;
}

static silex_status f_path_prefix(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str s = r->data->external_url;
	const char *host = s.n ? memmem(s.p, s.n, "://", 3) : NULL;
	size_t skip = host ? (size_t)(host - s.p) + 3 : 0;
	const char *path = s.n > skip ? memchr(s.p + skip, '/', s.n - skip) : NULL;
	*ret = slx_tv_string(path ? (struct slx_str){ path, s.n - (size_t)(path - s.p) } : (struct slx_str){ "", 0 });
	return SILEX_OK;
}

static silex_status f_urlquery(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_buf text, b;
	text_init(r, &text);
	text_init(r, &b);
	slx_tv_sprint(a, n, false, &text);
	put_query_escaped(&b, (struct slx_str){ (const char *)text.p, text.n });
	b.failed |= text.failed;
	slx_buf_free(&text);
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_html(run *r, args a, size_t n, struct slx_tv *ret)
{
	static const char chars[] = "&<>\"'";
	static const char *const with[] = { "&amp;", "&lt;", "&gt;", "&#34;", "&#39;" };
	struct slx_buf text, b;
	text_init(r, &text);
	text_init(r, &b);
	slx_tv_sprint(a, n, false, &text);
	for (size_t i = 0; i < text.n; i++) {
		const char *c = text.p[i] ? strchr(chars, text.p[i]) : NULL;
		if (c)
			slx_buf_put(&b, with[c - chars], strlen(with[c - chars]));
		else
			slx_buf_u8(&b, text.p[i]);
	}
	b.failed |= text.failed;
	slx_buf_free(&text);
	return slx_trun_keep(r, &b, ret);
}

/* ---- Go's own ---- */

static silex_status f_print(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_buf b;
	text_init(r, &b);
	slx_tv_sprint(a, n, false, &b);
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_println(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_buf b;
	text_init(r, &b);
	slx_tv_sprint(a, n, true, &b);
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_printf(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_str format;
	struct slx_buf b;
	SLX_TRY(want_string(r, &a[0], &format));
	text_init(r, &b);
	slx_tv_printf(format, a + 1, n - 1, &b);
	return slx_trun_keep(r, &b, ret);
}

static silex_status f_not(run *r, args a, size_t n, struct slx_tv *ret)
{
	*ret = slx_tv_bool(!slx_tv_truth(&a[0]));
	return SILEX_OK;
}

static silex_status f_len(run *r, args a, size_t n, struct slx_tv *ret)
{
	size_t len = slx_tv_len(&a[0]);
	*ret = slx_tv_int((int64_t)len);
	return len == SIZE_MAX ? slx_trun_fail(r, "error calling len: len of type %s", slx_tv_type_name(&a[0])) : SILEX_OK;
}

static silex_status index_one(run *r, const struct slx_tv *of, const struct slx_tv *key, struct slx_tv *ret)
{
	if (of->type == SLX_TV_STRINGS || of->type == SLX_TV_ARGS) {
		struct slx_tv v = { 0 };
		if (key->type != SLX_TV_STRING)
			return slx_trun_fail(r, "error calling index: value has type %s; should be string", slx_tv_type_name(key));
		if (of->type == SLX_TV_STRINGS)
			v = slx_tv_string(slx_tv_label(of->labels, key->s));
		for (size_t i = 0; of->type == SLX_TV_ARGS && i < of->args.n; i++)
			if (slx_str_eq(of->args.v[i].key, key->s))
				v = of->args.v[i].value;
		*ret = v;
		return SILEX_OK;
	}
	if (of->type != SLX_TV_LIST && of->type != SLX_TV_STRING)
		return slx_trun_fail(r, "error calling index: can't index item of type %s", slx_tv_type_name(of));
	if (key->type != SLX_TV_INT)
		return slx_trun_fail(r, "error calling index: cannot index slice/array with type %s", slx_tv_type_name(key));
	if (key->i < 0 || (uint64_t)key->i >= slx_tv_len(of))
		return slx_trun_fail(r, "error calling index: index out of range: %lld", (long long)key->i);
	*ret = of->type == SLX_TV_LIST ? of->list.v[key->i] : slx_tv_int((uint8_t)of->s.p[key->i]);
	return SILEX_OK;
}

static silex_status f_index(run *r, args a, size_t n, struct slx_tv *ret)
{
	struct slx_tv v = a[0];
	for (size_t i = 1; i < n; i++) {
		struct slx_tv of = v;
		SLX_TRY(index_one(r, &of, &a[i], &v));
	}
	*ret = v;
	return SILEX_OK;
}

static silex_status f_slice(run *r, args a, size_t n, struct slx_tv *ret)
{
	size_t len = slx_tv_len(&a[0]);
	int64_t from = 0, to = (int64_t)len;
	if (a[0].type != SLX_TV_LIST && a[0].type != SLX_TV_STRING)
		return slx_trun_fail(r, "error calling slice: can't slice item of type %s", slx_tv_type_name(&a[0]));
	for (size_t i = 1; i < n; i++) {
		if (a[i].type != SLX_TV_INT || a[i].i < 0 || (uint64_t)a[i].i > len)
			return slx_trun_fail(r, "error calling slice: index out of range");
		*(i == 1 ? &from : &to) = a[i].i;
	}
	if (from > to)
		return slx_trun_fail(r, "error calling slice: invalid slice index: %lld > %lld", (long long)from, (long long)to);
	*ret = a[0];
	if (ret->type == SLX_TV_LIST) {
		ret->list.v += from;
		ret->list.n = (size_t)(to - from);
	} else {
		ret->s = (struct slx_str){ ret->s.p + from, (size_t)(to - from) };
	}
	return SILEX_OK;
}

/* Only basic values of one type compare: an integer constant and a float do not (write 90.0). */
static silex_status comparable(run *r, const char *name, const struct slx_tv *a, const struct slx_tv *b, bool ordered)
{
	if (a->type > SLX_TV_STRING || b->type > SLX_TV_STRING || (ordered && (a->type == SLX_TV_NIL || a->type == SLX_TV_BOOL)))
		return slx_trun_fail(r, "error calling %s: invalid type for comparison", name);
	if (a->type != b->type)
		return slx_trun_fail(r, "error calling %s: incompatible types for comparison (%s, %s)", name, slx_tv_type_name(a), slx_tv_type_name(b));
	return SILEX_OK;
}

static bool equal(const struct slx_tv *a, const struct slx_tv *b)
{
	switch (a->type) {
	case SLX_TV_NIL:
		return true;
	case SLX_TV_BOOL:
		return a->b == b->b;
	case SLX_TV_INT:
		return a->i == b->i;
	case SLX_TV_FLOAT:
		return a->f == b->f;
	default:
		return slx_str_eq(a->s, b->s);
	}
}

static bool less(const struct slx_tv *a, const struct slx_tv *b)
{
	return a->type == SLX_TV_INT ? a->i < b->i : a->type == SLX_TV_FLOAT ? a->f < b->f : slx_str_cmp(a->s, b->s) < 0;
}

static silex_status f_eq(run *r, args a, size_t n, struct slx_tv *ret)
{
	bool any = false;
	for (size_t i = 1; i < n && !any; i++) {
		SLX_TRY(comparable(r, "eq", &a[0], &a[i], false));
		any = equal(&a[0], &a[i]);
	}
	*ret = slx_tv_bool(any);
	return SILEX_OK;
}

static silex_status f_ne(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(comparable(r, "ne", &a[0], &a[1], false));
	*ret = slx_tv_bool(!equal(&a[0], &a[1]));
	return SILEX_OK;
}

static silex_status f_lt(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(comparable(r, "lt", &a[0], &a[1], true));
	*ret = slx_tv_bool(less(&a[0], &a[1]));
	return SILEX_OK;
}

static silex_status f_le(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(comparable(r, "le", &a[0], &a[1], true));
	*ret = slx_tv_bool(less(&a[0], &a[1]) || equal(&a[0], &a[1]));
	return SILEX_OK;
}

static silex_status f_gt(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(comparable(r, "gt", &a[0], &a[1], true));
	*ret = slx_tv_bool(!less(&a[0], &a[1]) && !equal(&a[0], &a[1])); /* so NaN is greater than all, as in Go */
	return SILEX_OK;
}

static silex_status f_ge(run *r, args a, size_t n, struct slx_tv *ret)
{
	SLX_TRY(comparable(r, "ge", &a[0], &a[1], true));
	*ret = slx_tv_bool(!less(&a[0], &a[1]));
	return SILEX_OK;
}

/* ---- the table ---- */

#define ANY UINT32_MAX

static const struct slx_tf functions[] = {
	{ "query", 1, 1, f_query },
	{ "first", 1, 1, f_first },
	{ "label", 2, 2, f_label },
	{ "value", 1, 1, f_value },
	{ "strvalue", 1, 1, f_strvalue },
	{ "sortByLabel", 2, 2, f_sort_by_label },
	{ "args", 0, ANY, f_args },
	{ "humanize", 1, 1, f_humanize },
	{ "humanize1024", 1, 1, f_humanize1024 },
	{ "humanizeDuration", 1, 1, f_humanize_duration },
	{ "humanizePercentage", 1, 1, f_humanize_percentage },
	{ "humanizeTimestamp", 1, 1, f_humanize_timestamp },
	{ "parseDuration", 1, 1, f_parse_duration },
	{ "match", 2, 2, f_match },
	{ "reReplaceAll", 3, 3, f_replace },
	{ "title", 1, 1, f_title },
	{ "toUpper", 1, 1, f_to_upper },
	{ "toLower", 1, 1, f_to_lower },
	{ "safeHtml", 1, 1, f_same },
	{ "stripPort", 1, 1, f_strip_port },
	{ "stripDomain", 1, 1, f_strip_domain },
	{ "graphLink", 1, 1, f_graph_link },
	{ "tableLink", 1, 1, f_table_link },
	{ "externalURL", 0, 0, f_external_url },
	{ "pathPrefix", 0, 0, f_path_prefix },
	{ "print", 0, ANY, f_print },
	{ "println", 0, ANY, f_println },
	{ "printf", 1, ANY, f_printf },
	{ "urlquery", 0, ANY, f_urlquery },
	{ "html", 0, ANY, f_html },
	{ "and", 1, ANY, NULL },
	{ "or", 1, ANY, NULL },
	{ "not", 1, 1, f_not },
	{ "len", 1, 1, f_len },
	{ "index", 1, ANY, f_index },
	{ "slice", 1, 3, f_slice },
	{ "eq", 2, ANY, f_eq },
	{ "ne", 2, 2, f_ne },
	{ "lt", 2, 2, f_lt },
	{ "le", 2, 2, f_le },
	{ "gt", 2, 2, f_gt },
	{ "ge", 2, 2, f_ge },
};

const struct slx_tf *slx_tf_find(struct slx_str name)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (slx_str_eq(name, slx_str(functions[i].name)))
			return &functions[i];
	return NULL;
}
