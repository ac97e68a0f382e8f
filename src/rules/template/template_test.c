/* Templates and what Go makes of them. */
#include "rules/template/template.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct slx_mem mem;

/* Three series up{host="a"|"b"|"c"} = 3, 1, 2; or none. */
static silex_status ask(void *ctx, struct slx_str expr, struct slx_arena *arena, struct slx_template_sample **ret, size_t *ret_n, silex_error *err)
{
	static const uint8_t host[3][8] = { { 1, 4, 'h', 'o', 's', 't', 1, 'a' }, { 1, 4, 'h', 'o', 's', 't', 1, 'b' }, { 1, 4, 'h', 'o', 's', 't', 1, 'c' } };
	static const double values[] = { 3, 1, 2 };
	if (slx_str_eq(expr, SLX_STR("bad")))
		return slx_err(err, SILEX_INVALID, "1:1: parse error");
	*ret_n = slx_str_eq(expr, SLX_STR("none")) ? 0 : 3;
	*ret = slx_arena_alloc(arena, 3 * sizeof **ret, 8);
	for (int i = 0; i < 3; i++) {
		int from = (i + 1) % 3;
		(*ret)[i] = (struct slx_template_sample){ { host[from], 8 }, values[from] };
	}
	return SILEX_OK;
}

static struct slx_labels labels_of(struct slx_labels_builder *b, const char *text)
{
	struct slx_labels l;
	slx_labels_builder_init(b, &mem, SLX_MEM_OTHER, NULL);
	assert_int_equal(slx_labels_parse_text(b, slx_str(text), &l, NULL), SILEX_OK);
	return l;
}

/* The expansion, or the error's words. */
static void expand(const char *text, double value, char *to, size_t size)
{
	struct slx_template *t = NULL;
	struct slx_labels_builder b, c;
	struct slx_buf out;
	silex_error err;
	struct slx_template_data d = { .labels = labels_of(&b, "{instance=\"host-1.example.org:9100\", job=\"node\"}"), .value = value,
		.external_labels = labels_of(&c, "{region=\"eu\"}"), .external_url = SLX_STR("http://prom.example.org/prom"), .query = ask };
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 20);
	if (slx_template_parse(&mem, SLX_STR("t"), slx_str(text), &t, &err) != SILEX_OK || slx_template_run(t, &d, &out, &err) != SILEX_OK)
		snprintf(to, size, "%s", err.message);
	else
		snprintf(to, size, "%.*s", (int)out.n, (const char *)out.p);
	slx_template_free(t);
	slx_buf_free(&out);
	slx_labels_builder_free(&b);
	slx_labels_builder_free(&c);
}

struct example {
	const char *text, *expected;
	double value;
};

static void check_all(const struct example *x, size_t n, bool prefix)
{
	for (size_t i = 0; i < n; i++) {
		char got[2000];
		expand(x[i].text, x[i].value, got, sizeof got);
		if (prefix ? !strstr(got, x[i].expected) : strcmp(got, x[i].expected) != 0)
			fail_msg("%s\n  gives    %s\n  expected %s", x[i].text, got, x[i].expected);
		assert_int_equal(slx_mem_total(&mem), 0);
	}
}

static void test_texts(void **state)
{
	static const struct example examples[] = {
		{ "plain", "plain", 0 },
		{ "", "", 0 },
		{ "{{ $labels.instance }} of {{ .Labels.job }}", "host-1.example.org:9100 of node", 0 },
		{ "{{ $labels.none }}|{{ $externalLabels.region }}|{{ $externalURL }}", "|eu|http://prom.example.org/prom", 0 },
		{ "{{ $value }}", "0.1", 0.1 },
		{ "{{ $value }}", "1e+06", 1e6 },
		{ "{{ $value }}", "123456", 123456 },
		{ "{{ $value }}", "1.234567e+06", 1234567 },
		{ "{{ $value }}", "0.0001", 0.0001 },
		{ "{{ $value }}", "1e-05", 0.00001 },
		{ "{{ $value }}", "NaN", NAN },
		{ "{{ $value }}", "-Inf", -INFINITY },
		{ "{{ .Value | humanize }}", "1.234k", 1234 },
		{ "{{ .Value | humanize }}", "12.3m", 0.0123 },
		{ "{{ .Value | humanize }}", "0", 0 },
		{ "{{ .Value | humanize }}", "+Inf", INFINITY },
		{ "{{ humanize1024 1048576 }} {{ humanize1024 .Value }}", "1Mi 0.5", 0.5 },
		{ "{{ humanizeDuration 93784 }} {{ humanizeDuration 3661.5 }} {{ humanizeDuration 61 }} {{ humanizeDuration 59.5 }}",
			"1d 2h 3m 4s 1h 1m 1s 1m 1s 59.5s", 0 },
		{ "{{ humanizeDuration .Value }} {{ humanizeDuration 0 }} {{ humanizeDuration \"-90\" }}", "12ms 0s -1m 30s", 0.012 },
		{ "{{ $value | humanizePercentage }}", "12.34%", 0.12341 },
		{ "{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC", 0 },
		{ "{{ 0 | humanizeTimestamp }}", "1970-01-01 00:00:00 +0000 UTC", 0 },
		{ "{{ printf \"%.2f %5d|%-5s|%q %v %t %%\" $value 42 \"ab\" \"x\\\"y\" 1.5 true }}", "3.14    42|ab   |\"x\\\"y\" 1.5 true %", 3.14159 },
		{ "{{ printf \"%d %s\" $value 3 }}", "%!d(float64=1.5) %!s(int=3)", 1.5 },
		{ "{{ printf \"%e %g %x %X %08.3f %+d\" 1234.5 1234.5 255 255 3.14159 7 }}", "1.234500e+03 1234.5 ff FF 0003.142 +7", 0 },
		{ "{{ printf \"%s\" }}|{{ printf \"a\" 1 2.5 }}", "%!s(MISSING)|a%!(EXTRA int=1, float64=2.5)", 0 },
		{ "{{ print 1 2 \"a\" 3 }}|{{ println \"a\" 1 }}", "1 2a3|a 1\n", 0 },
		{ "{{ title \"hello big world\" }} {{ toUpper \"aBc\" }} {{ \"AbC\" | toLower }}", "Hello Big World ABC abc", 0 },
		{ "{{ reReplaceAll \"(.*):([0-9]+)\" \"$2/${1}\" $labels.instance }}", "9100/host-1.example.org", 0 },
		{ "{{ reReplaceAll \"o\" \"0\" \"foo boo\" }} {{ reReplaceAll \"x*\" \"-\" \"abc\" }}", "f00 b00 -a-b-c-", 0 },
		{ "{{ match \"^host\" $labels.instance }} {{ match \"exam.*9\" $labels.instance }} {{ match \"^node$\" $labels.instance }}", "true true false", 0 },
		{ "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripPort \"[::1]:90\" }}", "host-1.example.org host-1:9100 ::1", 0 },
		{ "{{ parseDuration \"1h30m\" }}", "5400", 0 },
		{ "{{ if gt $value 90.0 }}hot{{ else if gt $value 50.0 }}warm{{ else }}cold{{ end }}", "warm", 60 },
		{ "{{ if and (eq $labels.job \"node\") (ne .Value 1.0) }}yes{{ end }}", "yes", 2 },
		{ "{{ with query \"up\" }}{{ . | first | value }} {{ . | first | label \"host\" }}{{ end }}", "1 b", 0 },
		{ "{{ with query \"none\" }}some{{ else }}none{{ end }}", "none", 0 },
		{ "{{ range $i, $s := query \"up\" | sortByLabel \"host\" }}{{ $i }}:{{ $s.Labels.host }}={{ .Value }} {{ end }}", "0:a=3 1:b=1 2:c=2 ", 0 },
		{ "{{ range query \"up\" }}{{ if eq .Labels.host \"c\" }}{{ break }}{{ end }}{{ .Labels.host }}{{ end }}", "b", 0 },
		{ "{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing", 0 },
		{ "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=host-1.example.org:9100;job=node;", 0 },
		{ "a {{- /* note */ -}} b", "ab", 0 },
		{ "a  {{- 1 -}}  b", "a1b", 0 },
		{ "{{/* note */}}x", "x", 0 },
		{ "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}", "32", 0 },
		{ "{{ define \"greet\" }}hello {{ . }}{{ end }}{{ template \"greet\" $labels.job }}", "hello node", 0 },
		{ "{{ define \"two\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"two\" args 1 \"b\" }}", "1-b", 0 },
		{ "{{ len $labels }} {{ len \"abc\" }} {{ index $labels \"job\" }} {{ not true }} {{ slice \"abcdef\" 1 3 }}", "2 3 node false bc", 0 },
		{ "{{ or \"\" \"x\" }} {{ and 1 0 }} {{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ `raw\\n` }} {{ \"t\\tu\\u00e9\" }}", "x 0 97 16 1000 raw\\n t\tué", 0 },
		{ "{{ $labels }}", "map[instance:host-1.example.org:9100 job:node]", 0 },
		{ "{{ externalURL }} {{ pathPrefix }} {{ graphLink \"up{a=\\\"b\\\"}\" }}",
			"http://prom.example.org/prom /prom /graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0", 0 },
		{ "{{ html \"<a & b>\" }} {{ urlquery \"a b&c\" }} {{ safeHtml \"<b>\" }}", "&lt;a &amp; b&gt; a+b%26c <b>", 0 },
		{ "{{ (query \"up\" | first).Value }} {{ (index (query \"up\") 1).Labels.host }}", "1 c", 0 },
		{ "{{ $value | printf \"%.1f\" }} {{ 3 | printf \"%d-%d\" 2 }}", "1.5 2-3", 1.5 },
		{ "{{ $.Labels.job }}{{ range query \"up\" }}{{ $.Value }}{{ end }}", "node555", 5 },
	};
	check_all(examples, sizeof examples / sizeof *examples, false);
}

static void test_errors(void **state)
{
	static const struct example examples[] = {
		{ "a\n{{ foo 1 }}", "template: t:2: function \"foo\" not defined", 0 },
		{ "{{ $nope }}", "template: t:1: undefined variable \"$nope\"", 0 },
		{ "{{ if true }}a", "unexpected EOF", 0 },
		{ "a {{ end }}", "unexpected {{end}}", 0 },
		{ "{{ .Labels.x", "unclosed action", 0 },
		{ "x {{", "unclosed action", 0 },
		{ "{{ \"abc }}", "unterminated quoted string", 0 },
		{ "{{ }}", "missing value for command", 0 },
		{ "{{ if }}x{{ end }}", "missing value for if", 0 },
		{ "{{ 1 | 2 }}", "non executable command in pipeline stage 2", 0 },
		{ "{{ break }}", "{{break}} outside {{range}}", 0 },
		{ "{{ label \"a\" }}", "wrong number of args for label", 0 },
		{ "{{ /* x }}", "unclosed comment", 0 },
		{ "{{ 1abc }}", "bad number syntax", 0 },
		{ "{{ ) }}", "unexpected \")\"", 0 },
		{ "{{ $x, $y := 1 }}", "undefined variable", 0 },
		{ "{{ if gt $value 90 }}hot{{ end }}", "error calling gt: incompatible types for comparison", 91.5 },
		{ "{{ .Nope }}", "can't evaluate field Nope", 0 },
		{ "{{ query \"none\" | first }}", "first() called on vector with no elements", 0 },
		{ "{{ query \"bad\" }}", "error calling query: 1:1: parse error", 0 },
		{ "{{ humanize \"x\" }}", "invalid syntax", 0 },
		{ "{{ template \"none\" }}", "template \"none\" not defined", 0 },
		{ "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", "exceeded maximum template depth", 0 },
		{ "{{ len 3 }}", "len of type int", 0 },
		{ "{{ $value.x }}", "can't evaluate field x in type float64", 0 },
		{ "{{ reReplaceAll \"(\" \"\" \"a\" }}", "error calling reReplaceAll", 0 },
	};
	check_all(examples, sizeof examples / sizeof *examples, true);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
