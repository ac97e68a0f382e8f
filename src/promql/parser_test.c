/* The parser: what it reads and prints back, what it refuses with which words, how the tree looks.
 *
 * Messages and positions were compared with Debian's Prometheus 2.42 where that knows the construct. */
#include "promql/promql_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct slx_mem mem;

/* ---- helpers ---- */

static struct slx_promql_expr *parse(const char *text, bool experimental)
{
	struct slx_promql_expr *x;
	silex_error err;
	if (slx_promql_parse(&mem, slx_str(text), experimental, &x, &err) != SILEX_OK)
		fail_msg("%s: %s", text, err.message);
	return x;
}

/* The expression printed; to be freed. */
static char *format(const struct slx_promql_expr *x, bool pretty)
{
	struct slx_buf out;
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 24);
	slx_promql_format(x, pretty, &out);
	slx_buf_u8(&out, 0);
	assert_false(out.failed);
	char *z = strdup((const char *)out.p);
	slx_buf_free(&out);
	return z;
}

/* Parses text, compares what it prints, parses that and prints it again. */
static void check_print(const char *text, const char *expected, bool experimental, bool pretty)
{
	struct slx_promql_expr *x = parse(text, experimental);
	char *once = format(x, pretty);
	if (expected)
		assert_string_equal(once, expected);
	slx_promql_free(x);
	x = parse(once, experimental);
	char *twice = format(x, pretty);
	assert_string_equal(once, twice);
	slx_promql_free(x);
	free(once);
	free(twice);
}

static void check_refused(const char *text, const char *position, const char *words, bool experimental)
{
	struct slx_promql_expr *x;
	silex_error err;
	char expected[512];
	snprintf(expected, sizeof expected, "%s: parse error: %s", position, words);
	if (slx_promql_parse(&mem, slx_str(text), experimental, &x, &err) == SILEX_OK)
		fail_msg("%s: expected an error", text);
	assert_string_equal(err.message, expected);
	assert_int_equal(err.code, SILEX_INVALID);
}

struct printed {
	const char *text, *printed; /* printed NULL: as it is */
};

struct refused {
	const char *text, *position, *words;
};

/* ---- tables ---- */

/* clang-format off */

static const struct printed printed[] = {
	{ "1 + 2 * 3 ^ 2 ^ 2", NULL },
	{ "-1^2", "-1 ^ 2" },
	{ "-foo^2", "-foo ^ 2" },
	{ "sum by (a, b) (rate(http_requests_total{job=\"x\", code=~\"5..\"}[5m] offset 1h))",
		"sum by (a, b) (rate(http_requests_total{code=~\"5..\",job=\"x\"}[5m] offset 1h))" },
	{ "sum(foo) by (a)", "sum by (a) (foo)" },
	{ "foo[5m:1m] @ start() offset -3m", NULL },
	{ "foo[300]", "foo[5m]" },
	{ "foo offset 60", "foo offset 1m" },
	{ "5m", NULL },
	{ "1h30m", NULL },
	{ "0x1F", "31" },
	{ "010", "8" },
	{ "1_000", "1000" },
	{ "Inf", "+Inf" },
	{ "-inf", "-Inf" },
	{ "nan", "NaN" },
	{ "{\"my.metric\", \"a.b\"=\"c\"}", "{\"a.b\"=\"c\",__name__=\"my.metric\"}" },
	{ "a + on(x) group_left(y) b", "a + on (x) group_left (y) b" },
	{ "a == bool 1", NULL },
	{ "1 == bool 1", NULL },
	{ "'a\"b\\'c'", "\"a\\\"b'c\"" },
	{ "`raw\\n`", "\"raw\\\\n\"" },
	{ "rate(foo[5m])[5m:]", NULL },
	{ "foo offset -5m", NULL },
	{ "min_over_time(foo[5m] offset 5m)", NULL },
	{ "a or b and c unless d", NULL },
	{ "sum without (x) (y)", NULL },
	{ "topk(5, x)", NULL },
	{ "count_values(\"a\", x)", NULL },
	{ "fill", NULL },
	{ "foo </ 5", NULL },
	{ "by", NULL },
	{ "sum by (sum, by, bool) (x)", NULL },
	{ "sum by (\"a.b\") (x)", NULL },
	{ "a{b='c',}", "a{b=\"c\"}" },
	{ "label_replace(a, \"b\", \"c\", \"d\", \"e\")", NULL },
	{ "time()", NULL },
	{ "foo atan2 bar", NULL },
	{ "absent(x{a=\"1\"})", NULL },
	{ "a + ignoring(b) c", "a + ignoring (b) c" },
	{ "foo{a=\"\xc3""\xa9""\"}", NULL },
	{ "\"\\xff\"", NULL },
	{ "foo # then nothing", "foo" },
	{ "foo # c\n+ # d\nbar", "foo + bar" },
	{ "foo{\n  a=\"b\", # why\n  c!=\"d\"\n}", "foo{a=\"b\",c!=\"d\"}" },
	{ "foo:bar:baz{a=\"b\"}[5m]", NULL },
	{ ":foo", NULL },
	{ "sum(x) BY (a)", "sum by (a) (x)" },
	{ "1 + 2 - 3 * 4 / 5 % 6", NULL },
	{ "a + b == c * d", NULL },
	{ "a == b == c", NULL },
	{ "a or b or c", NULL },
	{ "a unless b and c", NULL },
	{ "a < bool b > c", NULL },
	{ "a atan2 b * c", NULL },
	{ "a - -b", NULL },
	{ "2 ^ -1", NULL },
	{ "-2 ^ -2", NULL },
	{ "-(a)", NULL },
	{ "+a", NULL },
	{ "--1", "1" },
	{ "-5m", NULL },
	{ "a * on () b", NULL },
	{ "a / ignoring (x) group_right () b", NULL },
	{ "a + ignoring () group_left b", "a + ignoring () group_left () b" },
	{ "a and on (x, y) b", NULL },
	{ "topk by (x) (5, y)", NULL },
	{ "quantile(0.9, x) without (a,)", "quantile without (a) (0.9, x)" },
	{ "count_values without (a) (\"v\", x)", NULL },
	{ "sum by () (x)", "sum(x)" },
	{ "sum without () (x)", NULL },
	{ "rate(x[5m])[1h:1m] offset 1w @ 1.5", "rate(x[5m])[1h:1m] @ 1.500 offset 1w" },
	{ "x[1h:] @ end()", NULL },
	{ "x[5m:]", NULL },
	{ "x[5m] offset 5m", NULL },
	{ "x @ start()[5m]", "x[5m] @ start()" },
	{ "x @ -1.5", "x @ -1.500" },
	{ "x offset -1h30m", NULL },
	{ "x offset +5m", "x offset 5m" },
	{ "x offset 1y2w3d4h5m6s7ms", "x offset 382d4h5m6s7ms" },
	{ "x[1d36h]", "x[2d12h]" },
	{ "x[90m]", "x[1h30m]" },
	{ "x[1w1d]", "x[8d]" },
	{ "x[365d]", "x[1y]" },
	{ "x offset 0", "x" },
	{ "x offset 0 offset 5m", "x offset 5m" },
	{ "x offset 1.5", "x offset 1s500ms" },
	{ "x[0.5]", "x[500ms]" },
	{ "x[1e3]", "x[16m40s]" },
	{ "x[0x10]", "x[16s]" },
	{ "(a)", NULL },
	{ "((a) + (b))", NULL },
	{ "{a=\"b\"}", NULL },
	{ "{a=\"b\",}", "{a=\"b\"}" },
	{ "x{}", "x" },
	{ "x{a!~\"b|c\", b=~\"x.*\", c!=\"\", d=\"\"}", "x{a!~\"b|c\",b=~\"x.*\",c!=\"\",d=\"\"}" },
	{ "x{a=\"b\", a=\"c\"}", "x{a=\"b\",a=\"c\"}" },
	{ "x{\"a b\"=\"c\", \"d\"!~\"e\"}", "x{\"a b\"=\"c\",d!~\"e\"}" },
	{ "{\"x\"}", "{__name__=\"x\"}" },
	{ "{\"x\", \"y\"}", "{__name__=\"x\",__name__=\"y\"}" },
	{ "{'x y', a=\"b\"}", "{__name__=\"x y\",a=\"b\"}" },
	{ "{__name__=~\"a.+\"}", NULL },
	{ "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\101\\x41\\u0041\\U0001F600\xc3""\xa9""\"",
		"\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"AAA\xf0""\x9f""\x98""\x80""\xc3""\xa9""\"" },
	{ "'it\\'s \"x\"'", "\"it's \\\"x\\\"\"" },
	{ "`a\\\n\"b\"`", "\"a\\\\\\n\\\"b\\\"\"" },
	{ "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", NULL },
	{ "vector(1)", NULL },
	{ "day_of_week()", NULL },
	{ "label_join(x, \"a\", \",\")", NULL },
	{ "time() + 1", NULL },
	{ "a > bool 1", NULL },
	{ "1 > a", NULL },
	{ "-x offset 5m", NULL },
	{ "offset", NULL },
	{ "by{a=\"b\"}", NULL },
	{ "and", NULL },
	{ "and and and", NULL },
	{ "or or or", NULL },
	{ "start", NULL },
	{ "end{a=\"b\"}", NULL },
	{ "limitk", NULL },
	{ "anchored", NULL },
	{ "+Inf", NULL },
	{ "1e5", "100000" },
	{ "123456789", NULL },
	{ "12345678901234567890", "12345678901234567000" },
	{ "1.23e-5", "0.0000123" },
	{ "0.1", NULL },
	{ "100000000000000000000000", NULL },
	{ "1e-7", "0.0000001" },
	{ "1_2_3", "123" },
	{ "1e5_0", "100000000000000000000000000000000000000000000000000" },
	{ "1.", "1" },
	{ "1.e5", "100000" },
	{ "1ms", NULL },
	{ "1s1ms", NULL },
};

static const struct printed printed_experimental[] = {
	{ "foo offset (100 + 2) + 3", NULL },
	{ "foo offset -(min_of(step(), 1s))+8000", "foo offset -(min_of(step(), 1s)) + 8000" },
	{ "foo[((max_of(min_of((step()+1),((1h))),1ms)))]", "foo[((max_of(min_of((step() + 1), 1h), 1ms)))]" },
	{ "a + on(x) group_left(y) fill_left(1) fill_right(-2) b",
		"a + on (x) group_left (y) fill_left (1) fill_right (-2) b" },
	{ "a + fill(0) b", "a + fill (0) b" },
	{ "fill_left{a=\"b\"}", NULL },
	{ "sum by (fill) (x)", NULL },
	{ "increase(m[1m] anchored)", NULL },
	{ "increase(m[1m] smoothed offset 5m)", NULL },
	{ "h </ +Inf", NULL },
	{ "h >/ -1 + 2", NULL },
	{ "a < b </ c", NULL },
	{ "step()", NULL },
	{ "range() + start() - end()", NULL },
	{ "min_of(1,2)", "min_of(1, 2)" },
	{ "start", NULL },
	{ "start{a=\"b\"} @ start()", NULL },
	{ "x offset range()", NULL },
	{ "x[step():step()]", NULL },
	{ "x[RANGE()]", "x[range()]" },
	{ "limit_ratio(0.5, x)", NULL },
	{ "info(x, {a=\"b\"})", NULL },
	{ "info(x, {})", NULL },
	{ "limitk by (a) (2, x)", NULL },
	{ "first_over_time(x[5m])", NULL },
	{ "x @ end() offset step()", NULL },
};

static const struct refused refused[] = {
	{ "1 == 1", "1:3", "comparisons between scalars must use BOOL modifier" },
	{ "a and 1", "1:1", "set operator \"and\" not allowed in binary scalar expression" },
	{ "sum(", "1:5", "unclosed left parenthesis" },
	{ "sum x", "1:5", "unexpected identifier \"x\"" },
	{ "foo bar", "1:5", "unexpected identifier \"bar\"" },
	{ "foo[5m", "1:7", "unclosed left bracket" },
	{ "foo[bar]", "1:5", "unexpected character in duration expression: 'b'" },
	{ "foo{a=1}", "1:7", "unexpected character inside braces: '1'" },
	{ "foo{a b}", "1:7", "unexpected identifier \"b\" in label matching, expected label matching operator" },
	{ "foo{a=\"b\" c=\"d\"}", "1:11", "unexpected identifier \"c\" in label matching, expected \",\" or \"}\"" },
	{ "unknown_fn(x)", "1:1", "unknown function with name \"unknown_fn\"" },
	{ "rate(foo)", "1:6", "expected type range vector in call to function \"rate\", got instant vector" },
	{ "rate(foo[5m], 2)", "1:1", "expected 1 argument(s) in call to \"rate\", got 2" },
	{ "{}", "1:1", "vector selector must contain at least one non-empty matcher" },
	{ "{a=\"\"}", "1:1", "vector selector must contain at least one non-empty matcher" },
	{ "{a=~\".*\"}", "1:1", "vector selector must contain at least one non-empty matcher" },
	{ "foo{__name__=\"bar\"}", "1:1", "metric name must not be set twice: \"foo\" or \"bar\"" },
	{ "foo offset", "1:11", "unexpected end of input in offset, expected number, duration, step(), or range()" },
	{ "foo offset bar",
		"1:12", "unexpected identifier \"bar\" in offset, expected number, duration, step(), or range()" },
	{ "foo @ bar", "1:7", "unexpected identifier \"bar\" in @, expected timestamp" },
	{ "foo @ 1 @ 2", "1:1", "@ <timestamp> may not be set multiple times" },
	{ "foo offset 5m offset 5m", "1:1", "offset may not be set multiple times" },
	{ "", "unknown position", "no expression found in input" },
	{ "\"abc\\qd\"", "1:1", "unknown escape sequence U+0071 'q'" },
	{ "1 )", "1:4", "unexpected right parenthesis ')'" },
	{ "(1", "1:3", "unclosed left parenthesis" },
	{ "foo[5m][5m]", "1:8", "ranges only allowed for vector selectors" },
	{ "(foo)[5m]", "1:6", "ranges only allowed for vector selectors" },
	{ "foo[0]", "1:5", "duration must be greater than 0" },
	{ "foo[-5m]", "1:5", "duration must be greater than 0" },
	{ "topk(x)", "1:1", "wrong number of arguments for aggregate expression provided, expected 2, got 1" },
	{ "topk(\"a\", x)", "1:6", "expected type scalar in aggregation parameter, got string" },
	{ "limitk(1, x)",
		"1:1", "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions" },
	{ "foo anchored", "1:1", "anchored modifier is experimental and not enabled" },
	{ "foo[5m+5m]", "1:5", "experimental duration expression is not enabled" },
	{ "foo[step()]", "1:5", "experimental duration expression is not enabled" },
	{ "foo[(5m)]", "1:6", "experimental duration expression is not enabled" },
	{ "start()", "1:1", "function \"start\" is not enabled" },
	{ "a + fill(0) b", "1:1", "binop fill modifiers are experimental and not enabled" },
	{ "bool", "1:1", "unexpected <bool>" },
	{ "label_replace(a, \"b\", \"c\", \"d\")", "1:1", "expected 5 argument(s) in call to \"label_replace\", got 4" },
	{ "round(x, 1, 2)", "1:1", "expected at most 2 argument(s) in call to \"round\", got 3" },
	{ "round()", "1:1", "expected at least 1 argument(s) in call to \"round\", got 0" },
	{ "time(1)", "1:1", "expected 0 argument(s) in call to \"time\", got 1" },
	{ "-\"a\"",
		"1:1", "unary expression only allowed on expressions of type scalar or instant vector, got \"string\"" },
	{ "-foo[5m]",
		"1:1", "unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"" },
	{ "5 offset 5m",
		"1:1", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "a + 1 on (b) c", "1:7", "unexpected <on>" },
	{ "1 + on(b) 2", "1:1", "vector matching only allowed between instant vectors" },
	{ "foo !~ 1", "1:5", "unexpected character after '!': '~'" },
	{ "foo = 1", "1:5", "unexpected \"=\"" },
	{ "foo =~ 1", "1:5", "unexpected character after '=': '~'" },
	{ "@", "1:1", "unexpected <op:@>" },
	{ "$", "1:1", "unexpected character: '$'" },
	{ "\xc3""\xa9""", "1:1", "unexpected character: '\xc3""\xa9""'" },
	{ "foo{a=\"\\xff\"}", "1:5", "matcher on label \"a\": value is not valid UTF-8" },
	{ "1e400", "1:1", "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range" },
	{ "1.5.2", "1:1", "bad number or duration syntax: \"1.5.\"" },
	{ "5mm", "1:1", "bad number or duration syntax: \"5mm\"" },
	{ "1s5h", "1:1", "not a valid duration string: \"1s5h\"" },
	{ "1y2y", "1:1", "bad number or duration syntax: \"1y2\"" },
	{ "9999999999999999999s", "1:1", "duration out of range" },
	{ "# just a comment", "1:1", "no expression found in input" },
	{ "\n\nfoo\n  + $", "4:5", "unexpected character: '$'" },
	{ "SUM BY (a) (x) OFFSET 5m",
		"1:1", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "a + on(x) group_left(x) b", "1:3", "label \"x\" must not occur in ON and GROUP clause at once" },
	{ "a and on (x) group_left b", "1:1", "no grouping allowed for \"and\" operation" },
	{ "a + group_left b", "1:5", "unexpected <group_left>" },
	{ "a bool + b", "1:3", "unexpected <bool>" },
	{ "a + bool b", "1:3", "bool modifier can only be used on comparison operators" },
	{ "sum by (a b) (x)", "1:11", "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"" },
	{ "sum by a (x)", "1:8", "unexpected identifier \"a\" in grouping opts, expected \"(\"" },
	{ "sum by (1) (x)", "1:9", "unexpected number \"1\" in grouping opts, expected label" },
	{ "sum by (\"\") (x)", "1:9", "invalid label name for grouping: \"\"" },
	{ "sum()", "1:1", "no arguments for aggregate expression provided" },
	{ "sum(a, b)", "1:1", "wrong number of arguments for aggregate expression provided, expected 1, got 2" },
	{ "sum(\"a\")", "1:5", "expected type instant vector in aggregation expression, got string" },
	{ "sum by (x) 5", "1:12", "unexpected number \"5\" in aggregation" },
	{ "x[5m:1m", "1:8", "unclosed left bracket" },
	{ "x[5m:foo]", "1:6", "unexpected character: 'f', expected ':'" },
	{ "x[5m 1m]", "1:6", "unexpected duration \"1m\" in subquery or range, expected \":\" or \"]\"" },
	{ "x[]", "1:3", "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()" },
	{ "x[", "1:3", "unexpected end of input in duration expression" },
	{ "x offset 5m[5m]", "1:12", "no offset modifiers allowed before range" },
	{ "x @ 5[5m]", "1:6", "no @ modifiers allowed before range" },
	{ "x @ 1e100",
		"1:1", "timestamp out of bounds for @ modifier: 10000000000000000159028911097599180468360808563945281389781327557747838772170381060813469985856815104.000000" },
	{ "x @ inf", "1:1", "timestamp out of bounds for @ modifier: +Inf" },
	{ "x @ start", "1:10", "unexpected end of input in @, expected timestamp" },
	{ "x @ start(", "1:11", "unclosed left parenthesis" },
	{ "x[Inf]", "1:3", "unexpected character in duration expression: 'I'" },
	{ "x[10000000000]", "1:3", "duration out of range" },
	{ "x offset 1e300", "1:10", "duration out of range" },
	{ "((a)", "1:5", "unclosed left parenthesis" },
	{ "{,}", "1:2", "unexpected \",\" in label matching, expected identifier or \"}\"" },
	{ "{a=\"b\"", "1:7", "unexpected end of input inside braces" },
	{ "x{a}", "1:4", "unexpected \"}\" in label matching, expected label matching operator" },
	{ "x{a=\"b\",,}", "1:9", "unexpected \",\" in label matching, expected identifier or \"}\"" },
	{ "x{a==\xe2""\x80""\x9c""b\xe2""\x80""\x9d""}", "1:5", "unexpected \"=\" in label matching, expected string" },
	{ "x{a=~\"(\"}", "1:3", "regular expression \"(\": column 1: expected a closing )" },
	{ "x{\"y\"}", "1:1", "metric name must not be set twice: \"x\" or \"y\"" },
	{ "{\"a\"=1}", "1:6", "unexpected character inside braces: '1'" },
	{ "x{\\x61=\"b\"}", "1:3", "unexpected character inside braces: '\\\\'" },
	{ "\"a", "1:1", "unterminated quoted string" },
	{ "\"a\nb\"", "1:1", "unterminated quoted string" },
	{ "'\\\"'", "1:1", "unknown escape sequence U+0022 '\"'" },
	{ "\"\\u12\"", "1:1", "illegal character U+0022 '\"' in escape sequence" },
	{ "\"\\ud800\"", "1:1", "escape sequence is an invalid Unicode code point" },
	{ "\"\\U00110000\"", "1:1", "escape sequence is an invalid Unicode code point" },
	{ "\"\\400\"", "1:1", "escape sequence is an invalid Unicode code point" },
	{ "\"\\1", "1:1", "escape sequence not terminated" },
	{ "\"\\", "1:1", "escape sequence not terminated" },
	{ "`abc", "1:1", "unterminated raw string" },
	{ "label_replace(x, \"a\", \"b\", 1, \"d\")",
		"1:28", "expected type string in call to function \"label_replace\", got scalar" },
	{ "vector(x)", "1:8", "expected type scalar in call to function \"vector\", got instant vector" },
	{ "scalar(1)", "1:8", "expected type instant vector in call to function \"scalar\", got scalar" },
	{ "absent_over_time(x)",
		"1:18", "expected type range vector in call to function \"absent_over_time\", got instant vector" },
	{ "day_of_week(x, y)", "1:1", "expected at most 1 argument(s) in call to \"day_of_week\", got 2" },
	{ "label_join(x, \"a\")", "1:1", "expected at least 3 argument(s) in call to \"label_join\", got 2" },
	{ "label_join(x, \"a\", \",\", \"b\", \"c\", 1)",
		"1:35", "expected type string in call to function \"label_join\", got scalar" },
	{ "rate(x[5m],)", "1:11", "trailing commas not allowed in function call args" },
	{ "rate(,)", "1:6", "unexpected \",\"" },
	{ "rate(x[5m]", "1:11", "unclosed left parenthesis" },
	{ "rate x", "1:6", "unexpected identifier \"x\"" },
	{ "\"a\" + 1", "1:1", "binary expression must contain only scalar and instant vector types" },
	{ "x[5m] + 1", "1:1", "binary expression must contain only scalar and instant vector types" },
	{ "1 + x[5m]", "1:5", "binary expression must contain only scalar and instant vector types" },
	{ "a and 1 or b", "1:1", "set operator \"and\" not allowed in binary scalar expression" },
	{ "1 or 2", "1:1", "set operator \"or\" not allowed in binary scalar expression" },
	{ "(1)[5m:]", "1:1", "subquery is only allowed on instant vector, got scalar instead" },
	{ "\"a\"[5m:]", "1:1", "subquery is only allowed on instant vector, got string instead" },
	{ "time()[5m:]", "1:1", "subquery is only allowed on instant vector, got scalar instead" },
	{ "x offset 5m offset 1m", "1:1", "offset may not be set multiple times" },
	{ "(x) offset 5m",
		"1:1", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "sum(x) offset 5m",
		"1:1", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "rate(x[5m]) offset 5m",
		"1:1", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "-x ^ 2 offset 5m",
		"1:6", "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "(x) @ 5",
		"1:1", "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery" },
	{ "x anchored", "1:1", "anchored modifier is experimental and not enabled" },
	{ "x[5m] smoothed", "1:1", "smoothed modifier is experimental and not enabled" },
	{ "a + fill_left(1) b", "1:1", "binop fill modifiers are experimental and not enabled" },
	{ "min_over_time(x[5m:1m + 1m])", "1:20", "experimental duration expression is not enabled" },
	{ "x[max_of(1m, 2m)]", "1:3", "experimental duration expression is not enabled" },
	{ "step() + 1", "1:1", "function \"step\" is not enabled" },
	{ "atan2", "1:1", "unexpected <op:atan2>" },
	{ "x y", "1:3", "unexpected identifier \"y\"" },
	{ "x 5", "1:3", "unexpected number \"5\"" },
	{ "x \"a\"", "1:3", "unexpected string \"\\\"a\\\"\"" },
	{ "5 5", "1:3", "unexpected number \"5\"" },
	{ "x )", "1:4", "unexpected right parenthesis ')'" },
	{ "x ]", "1:3", "unexpected right bracket ']'" },
	{ "x }", "1:3", "unexpected character: '}'" },
	{ "x {", "1:4", "unexpected end of input inside braces" },
	{ "x {{", "1:4", "unexpected left brace '{'" },
	{ ")", "1:2", "unexpected right parenthesis ')'" },
	{ "]", "1:1", "unexpected right bracket ']'" },
	{ "}", "1:1", "unexpected character: '}'" },
	{ ",", "1:1", "unexpected \",\"" },
	{ "1,2", "1:2", "unexpected \",\"" },
	{ "x =", "1:3", "unexpected \"=\"" },
	{ "x ==", "1:5", "unexpected end of input" },
	{ "x == == y", "1:6", "unexpected <op:==>" },
	{ "x !y", "1:3", "unexpected character after '!': 'y'" },
	{ "x ! y", "1:3", "unexpected character after '!': ' '" },
	{ "x & y", "1:3", "unexpected character: '&'" },
	{ "a|b", "1:2", "unexpected character: '|'" },
	{ "a;b", "1:2", "unexpected character: ';'" },
	{ "\\", "1:1", "unexpected character: '\\\\'" },
	{ "?", "1:1", "unexpected character: '?'" },
	{ "on", "1:1", "unexpected <on>" },
	{ "ignoring", "1:1", "unexpected <ignoring>" },
	{ "group_left", "1:1", "unexpected <group_left>" },
	{ "nan{a=\"b\"}", "1:4", "unexpected \"{\"" },
	{ "0b1", "1:1", "bad number or duration syntax: \"0\"" },
	{ "0o7", "1:1", "bad number or duration syntax: \"0\"" },
	{ "1..2", "1:1", "bad number or duration syntax: \"1..\"" },
	{ "1x", "1:1", "bad number or duration syntax: \"1\"" },
	{ "5q", "1:1", "bad number or duration syntax: \"5\"" },
	{ "1ms1s", "1:1", "not a valid duration string: \"1ms1s\"" },
	{ "1h1h", "1:1", "not a valid duration string: \"1h1h\"" },
	{ "1hs", "1:1", "unknown unit \"hs\" in duration \"1hs\"" },
	{ "5m5", "1:1", "bad number or duration syntax: \"5m5\"" },
	{ "5m5x", "1:1", "bad number or duration syntax: \"5m5\"" },
	{ "1.5m", "1:1", "unknown unit \".\" in duration \"1.5m\"" },
};

static const struct refused refused_experimental[] = {
	{ "deriv(x[5m] smoothed)", "1:7", "smoothed modifier can only be used with: delta, increase, rate - not with deriv" },
	{ "resets((x[5m] smoothed))", "1:9", "smoothed modifier can only be used with: delta, increase, rate - not with resets" },
	{ "max_over_time(x[5m] anchored)", "1:15",
		"anchored modifier can only be used with: changes, delta, increase, rate, resets - not with max_over_time" },
	{ "foo[step()+1] offset -min_of(step(), 1s)^0",
		"1:1", "binary expression must contain only scalar and instant vector types" },
	{ "a + fill b", "1:10", "unexpected identifier \"b\"" },
	{ "fill(0)", "1:1", "unexpected <fill>" },
	{ "m[5m:1m] anchored", "1:1", "anchored modifier is not supported for subqueries" },
	{ "m anchored smoothed", "1:1", "anchored and smoothed modifiers cannot be used together" },
	{ "(m) anchored", "1:1", "anchored modifier not implemented" },
	{ "x[5m / 0]", "1:6", "division by zero" },
	{ "x[5m % 0]", "1:6", "modulo by zero" },
	{ "x[:1m]", "1:4", "unexpected colon before duration in duration expression" },
	{ "x[5m:1m:2m]", "1:8", "unexpected colon ':'" },
	{ "STEP()", "1:1", "unknown function with name \"STEP\"" },
	{ "info(x, y)", "1:9", "expected label selectors only, got vector selector instead" },
	{ "info(x, 5)", "1:1", "expected type instant vector in call to function \"info\", got scalar" },
};

/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void prints(void **state)
{
	for (size_t i = 0; i < COUNT(printed); i++)
		check_print(printed[i].text, printed[i].printed ? printed[i].printed : printed[i].text, false, false);
	for (size_t i = 0; i < COUNT(printed_experimental); i++) {
		const struct printed *t = &printed_experimental[i];
		check_print(t->text, t->printed ? t->printed : t->text, true, false);
	}
}

static void refuses(void **state)
{
	for (size_t i = 0; i < COUNT(refused); i++)
		check_refused(refused[i].text, refused[i].position, refused[i].words, false);
	for (size_t i = 0; i < COUNT(refused_experimental); i++) {
		const struct refused *t = &refused_experimental[i];
		check_refused(t->text, t->position, t->words, true);
	}
}

/* ---- pretty ---- */

static void pretty(void **state)
{
	const char *longer = "a_metric_with_a_name_of_fifty_characters_in_all_0001";
	char text[600], expected[600];
	check_print("sum(rate(x[5m]))", "sum(rate(x[5m]))", false, true);
	snprintf(text, sizeof text, "%s + %s", longer, longer);
	snprintf(expected, sizeof expected, "  %s\n+\n  %s", longer, longer);
	check_print(text, expected, false, true);
	snprintf(text, sizeof text, "sum by(a)(%s / on(a) group_left() rate(%s[5m]))", longer, longer);
	snprintf(expected, sizeof expected, "sum by (a) (\n    %s\n  / on (a) group_left ()\n    rate(%s[5m])\n)", longer,
		longer);
	check_print(text, expected, false, true);
	snprintf(text, sizeof text, "topk(5, (-(%s - %s)))", longer, longer);
	snprintf(expected, sizeof expected, "topk(\n  5,\n  (\n    -(\n        %s\n      -\n        %s\n    )\n  )\n)",
		longer, longer);
	check_print(text, expected, false, true);
	snprintf(text, sizeof text, "max_over_time(rate(%s[5m])[1h:1m] offset 5m) + clamp(%s, 0, 1)", longer, longer);
	snprintf(expected, sizeof expected, "  max_over_time(rate(%s[5m])[1h:1m] offset 5m)\n+\n  clamp(%s, 0, 1)", longer,
		longer);
	check_print(text, expected, false, true);
	snprintf(text, sizeof text, "max_over_time((%s + %s)[1h:1m])", longer, longer);
	snprintf(
		expected, sizeof expected, "max_over_time(\n  (\n      %s\n    +\n      %s\n  )[1h:1m]\n)", longer, longer);
	check_print(text, expected, false, true);
}

/* ---- trees ---- */

/* Operators as (op a b), the rest as it prints. */
static void put_tree(struct slx_promql_expr *x, const struct slx_pq_node *n, char *to)
{
	const struct slx_pq_node *l = n->type == SLX_PQ_BINARY ? n->binary.lhs
		: n->type == SLX_PQ_UNARY                          ? n->unary.expr
														   : NULL;
	if (!l) {
		strncat(to, x->text.p + n->pos.from, n->pos.to - n->pos.from);
		return;
	}
	strcat(strcat(to, "("), n->type == SLX_PQ_BINARY ? slx_pq_op_text(n->binary.op) : n->unary.minus ? "-" : "+");
	put_tree(x, l, strcat(to, " "));
	if (n->type == SLX_PQ_BINARY)
		put_tree(x, n->binary.rhs, strcat(to, " "));
	strcat(to, ")");
}

static void precedence(void **state)
{
	static const struct printed trees[] = {
		{ "1+2*3", "(+ 1 (* 2 3))" },
		{ "1*2+3", "(+ (* 1 2) 3)" },
		{ "a-b-c", "(- (- a b) c)" },
		{ "a/b*c%d", "(% (* (/ a b) c) d)" },
		{ "2^3^2", "(^ 2 (^ 3 2))" },
		{ "-a^2", "(- (^ a 2))" },
		{ "-1^2", "(- (^ 1 2))" },
		{ "-a*b", "(* (- a) b)" },
		{ "a^-b^c", "(^ a (- (^ b c)))" },
		{ "a*-b*c", "(* (* a (- b)) c)" },
		{ "a atan2 b*c", "(* (atan2 a b) c)" },
		{ "a*b atan2 c", "(atan2 (* a b) c)" },
		{ "a==b+c", "(== a (+ b c))" },
		{ "a<b>c", "(> (< a b) c)" },
		{ "a and b==c", "(and a (== b c))" },
		{ "a or b and c", "(or a (and b c))" },
		{ "a and b or c unless d", "(or (and a b) (unless c d))" },
		{ "a unless b and c", "(and (unless a b) c)" },
		{ "a+b offset 5m", "(+ a b offset 5m)" },
		{ "-a offset 5m", "(- a offset 5m)" },
		{ "a offset 1m + 2", "(+ a offset 1m 2)" },
		{ "a offset -2^2", "(^ a offset -2 2)" },
		{ "a offset (2^2)", "a offset (2^2)" },
		{ "a offset step()*2", "(* a offset step() 2)" },
		{ "a offset -(step())+8", "(+ a offset -(step()) 8)" },
		{ "a </ 1 + 2", "(</ a (+ 1 2))" },
	};
	for (size_t i = 0; i < COUNT(trees); i++) {
		struct slx_promql_expr *x = parse(trees[i].text, true);
		char tree[400] = "";
		put_tree(x, x->root, tree);
		assert_string_equal(tree, trees[i].printed);
		slx_promql_free(x);
	}
}

/* The whole of a node, by its members. */
static void members(void **state)
{
	struct slx_promql_expr *x = parse(
		"a == bool on(l, \"m n\") group_right(k) topk without(z)(2, max_over_time(b[5m:30s] @ 1.5 offset -1m))", false);
	const struct slx_pq_node *n = x->root;
	assert_int_equal(n->type, SLX_PQ_BINARY);
	assert_int_equal(n->binary.op, SLX_PQ_EQ);
	assert_true(n->binary.bool_modifier);
	const struct slx_pq_matching *m = n->binary.matching;
	assert_true(m->on && m->given && m->card == SLX_PQ_ONE_TO_MANY && m->n_labels == 2 && m->n_include == 1);
	assert_true(slx_str_eq(m->labels[1], SLX_STR("m n")));
	n = n->binary.rhs;
	assert_int_equal(n->type, SLX_PQ_AGGREGATE);
	assert_true(n->agg.without && n->agg.n_by == 1 && n->agg.param->number == 2);
	n = n->agg.expr;
	assert_int_equal(n->type, SLX_PQ_CALL);
	assert_string_equal(n->call.fn->name, "max_over_time");
	n = n->call.args[0];
	assert_int_equal(n->type, SLX_PQ_SUBQUERY);
	assert_true(n->subquery.range.ms == 300000 && n->subquery.step.ms == 30000 && n->subquery.has_step);
	assert_true(n->subquery.mods.at == SLX_PQ_AT_TIME && n->subquery.mods.at_ms == 1500 &&
		n->subquery.mods.offset.ms == -60000);
	assert_int_equal(n->value_type, SLX_PROMQL_MATRIX);
	assert_int_equal(x->root->depth, 5);
	assert_int_equal(slx_promql_result_type(x), SLX_PROMQL_VECTOR);
	slx_promql_free(x);
	x = parse("a and ignoring(z) b", false);
	assert_int_equal(x->root->binary.matching->card, SLX_PQ_MANY_TO_MANY);
	slx_promql_free(x);
	x = parse("a + 1", false);
	assert_null(x->root->binary.matching);
	slx_promql_free(x);
	x = parse("1 + 2", false);
	assert_int_equal(slx_promql_result_type(x), SLX_PROMQL_SCALAR);
	slx_promql_free(x);
}

/* ---- selectors ---- */

static void take_selector(void *arg, const struct slx_selector *sel)
{
	slx_selector_format(sel, arg);
	slx_buf_u8(arg, ' ');
}

static void selectors(void **state)
{
	struct slx_promql_expr *x = parse("sum(rate(a{b=\"c\"}[5m])) / on() d offset 5m or {\"e.f\"} > scalar(g)", false);
	struct slx_buf out;
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 16);
	slx_promql_selectors(x, take_selector, &out);
	slx_buf_u8(&out, 0);
	assert_string_equal((const char *)out.p, "a{b=\"c\"} d {__name__=\"e.f\"} g ");
	slx_buf_free(&out);
	slx_promql_free(x);
}

static void one_selector(void **state)
{
	static const struct refused bad[] = {
		{ "", "", "unknown position: parse error: unexpected end of input" },
		{ "{}", "", "match[] must contain at least one non-empty matcher" },
		{ "{a=~\".*\"}", "", "match[] must contain at least one non-empty matcher" },
		{ "a[5m]", "", "1:2: parse error: unexpected \"[\"" },
		{ "sum(a)", "", "1:4: parse error: unexpected \"(\"" },
		{ "a b", "", "1:3: parse error: unexpected identifier \"b\"" },
		{ "a{", "", "1:3: parse error: unexpected end of input inside braces" },
	};
	struct slx_selector s;
	silex_error err;
	char text[] = "up{job!=\"x\", \"y z\"=~\"a|b\"}";
	assert_int_equal(slx_promql_parse_selector(&mem, slx_str(text), &s, &err), SILEX_OK);
	memset(text, 0, sizeof text);
	assert_int_equal(s.n, 3);
	assert_true(slx_str_eq(s.matchers[1]->name, SLX_STR("y z")));
	assert_true(slx_str_eq(s.matchers[2]->value, SLX_STR("up")));
	slx_selector_free(&s);
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(slx_promql_parse_selector(&mem, slx_str(bad[i].text), &s, &err), SILEX_INVALID);
		assert_string_equal(err.message, bad[i].words);
	}
}

/* ---- limits ---- */

/* head, n times the middle, x, n times the end. */
static char *repeat(const char *middle, const char *end, size_t n)
{
	char *z = calloc(1, n * (strlen(middle) + strlen(end)) + 2), *to = z;
	assert_non_null(z);
	for (size_t i = 0; i < n; i++)
		to = stpcpy(to, middle);
	*to++ = 'x';
	for (size_t i = 0; i < n; i++)
		to = stpcpy(to, end);
	return z;
}

static void limits(void **state)
{
	static const struct {
		const char *middle, *end;
	} nests[] = { { "(", ")" }, { "-", "" }, { "", "+x" }, { "abs(", ")" }, { "x^", "" }, { "sum by(a)(", ")" },
		{ "x+on(a)(", ")" }, { "max_over_time(", "[5m:])" }, { "x or ", "" }, { "x offset ((", "" } };
	silex_error err;
	struct slx_promql_expr *x;
	for (size_t i = 0; i < COUNT(nests); i++) {
		char *deep = repeat(nests[i].middle, nests[i].end, 480), *deeper = repeat(nests[i].middle, nests[i].end, 12000);
		if (i + 1 < COUNT(nests))
			check_print(deep, NULL, false, false);
		assert_int_equal(slx_promql_parse(&mem, slx_str(deeper), true, &x, &err), SILEX_INVALID);
		if (i + 1 < COUNT(nests))
			assert_non_null(strstr(err.message, "expression is nested too deeply, expected at most 1000 levels"));
		free(deep);
		free(deeper);
	}
	char *wide = repeat("x,", "", SLX_PQ_TEXT_MAX);
	assert_int_equal(slx_promql_parse(&mem, slx_str(wide), true, &x, &err), SILEX_INVALID);
	assert_string_equal(err.message, "expression of 524289 bytes, expected at most 262144");
	free(wide);
	assert_int_equal(slx_promql_parse(&mem, (struct slx_str){ "a\0b", 3 }, true, &x, &err), SILEX_INVALID);
	assert_string_equal(err.message, "1:2: parse error: unexpected character: '\\x00'");
}

/* ---- out of memory, at each allocation ---- */

struct countdown {
	long left;
};

static void *count_alloc(void *ctx, size_t n)
{
	struct countdown *c = ctx;
	return c->left-- > 0 ? malloc(n) : NULL;
}

static void *count_realloc(void *ctx, void *p, size_t old_size, size_t new_size)
{
	struct countdown *c = ctx;
	return c->left-- > 0 ? realloc(p, new_size) : NULL;
}

static void count_free(void *ctx, void *p, size_t n) { free(p); }

static void out_of_memory(void **state)
{
	struct countdown c;
	silex_allocator a = { .ctx = &c, .alloc = count_alloc, .realloc = count_realloc, .free = count_free };
	struct slx_mem m;
	slx_mem_init(&m, &a);
	struct slx_promql_expr *x = NULL;
	silex_status st = SILEX_RESOURCE_EXHAUSTED;
	for (long n = 0; st != SILEX_OK; n++) {
		assert_true(n < 1000);
		c.left = n;
		st = slx_promql_parse(
			&m, SLX_STR("sum by(a)(rate(b{c=\"d\\n\", e=~\"f.*\"}[5m])) + on(a, b, c, d, e) g"), false, &x, NULL);
		assert_true(st == SILEX_OK || st == SILEX_RESOURCE_EXHAUSTED);
		if (st != SILEX_OK)
			assert_int_equal(slx_mem_total(&m), 0);
	}
	slx_promql_free(x);
	assert_int_equal(slx_mem_total(&m), 0);
}

/* ---- the shared scripts and queries ---- */

static bool open_shared(const char *name, FILE **ret)
{
	char path[512];
	const char *dir = getenv("SLX_SHARED");
	snprintf(path, sizeof path, "%s/data/%s", dir ? dir : SLX_SOURCE_DIR "/../shared", name);
	*ret = fopen(path, "r");
	if (!*ret)
		print_message("%s is not there: skipped\n", path);
	return *ret != NULL;
}

/* The query of a script's line "eval instant at 5m QUERY", "eval range from 0 to 5m step 1m QUERY"; NULL: none. */
static char *script_query(char *line)
{
	int skipped = 0;
	char *s = line + strspn(line, " \t");
	if (strncmp(s, "eval", 4) != 0)
		return NULL;
	sscanf(s, "%*s instant at %*s %n", &skipped);
	if (!skipped)
		sscanf(s, "%*s range from %*s to %*s step %*s %n", &skipped);
	s[strcspn(s, "\n")] = 0;
	return skipped ? s + skipped : NULL;
}

static size_t check_script(const char *name)
{
	FILE *f;
	struct slx_promql_expr *x;
	static char line[1 << 16], next[1 << 16]; /* no query follows another at once */
	size_t count = 0;
	if (!open_shared(name, &f))
		return 0;
	while (fgets(line, sizeof line, f)) {
		char *query = script_query(line);
		if (!query)
			continue;
		count++;
		if (fgets(next, sizeof next, f) && strstr(next, "modifier can only be used with")) {
			assert_int_equal(slx_promql_parse(&mem, slx_str(query), true, &x, NULL), SILEX_INVALID);
			continue;
		}
		check_print(query, NULL, true, false);
	}
	fclose(f);
	return count;
}

static void scripts(void **state)
{
	static const char *const names[] = { "aggregators", "collision", "duration_expression", "extended_vectors",
		"functions", "histograms", "info", "limit", "literals", "native_histograms", "selectors", "subquery",
		"type_and_unit" };
	size_t count = 0;
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[64];
		snprintf(name, sizeof name, "promqltest/%s.test", names[i]);
		count += check_script(name);
	}
	if (count == 0)
		skip();
	assert_int_equal(count, 1766);
}

/* {"query": "...", ...}: the string, with \" and \\ undone in place. */
static char *json_query(char *line)
{
	char *s = strstr(line, "\"query\": \""), *to;
	if (!s)
		return NULL;
	s += strlen("\"query\": \"");
	to = s;
	for (char *from = s; *from != '"'; from++) {
		from += *from == '\\';
		*to++ = *from;
	}
	*to = 0;
	return s;
}

static void compliance(void **state)
{
	FILE *f;
	static char line[1 << 16];
	size_t count = 0;
	if (!open_shared("promqlcompliance/queries.jsonl", &f))
		skip();
	while (fgets(line, sizeof line, f)) {
		bool fails = strstr(line, "\"should_fail\": true") != NULL;
		char *query = json_query(line);
		assert_non_null(query);
		count++;
		if (!fails)
			check_print(query, NULL, false, true);
	}
	fclose(f);
	assert_int_equal(count, 539);
}

static int setup(void **state)
{
	slx_mem_init(&mem, NULL);
	return 0;
}

static int teardown(void **state) { return slx_mem_total(&mem) == 0 ? 0 : -1; }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints),
		cmocka_unit_test(refuses),
		cmocka_unit_test(pretty),
		cmocka_unit_test(precedence),
		cmocka_unit_test(members),
		cmocka_unit_test(selectors),
		cmocka_unit_test(one_selector),
		cmocka_unit_test(limits),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(scripts),
		cmocka_unit_test(compliance),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
