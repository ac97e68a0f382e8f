#include "model/matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct slx_mem mem;

static struct slx_matcher *make(enum slx_match_op op, const char *pattern)
{
	struct slx_matcher *x = NULL;
	silex_error err;
	if (slx_matcher_new(&mem, op, SLX_STR("l"), slx_str(pattern), &x, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	return x;
}

static bool test(const struct slx_matcher *x, const char *value)
{
	bool yes;
	assert_int_equal(slx_matcher_test(x, slx_str(value), &yes, NULL), SILEX_OK);
	return yes;
}

static bool re(const char *pattern, const char *value)
{
	struct slx_matcher *x = make(SLX_MATCH_RE, pattern);
	bool yes = test(x, value);
	slx_matcher_free(x);
	return yes;
}

/* form letter, `+` for more, then the literals joined by blanks */
static void check_shape(const char *pattern, const char *expected)
{
	static const char forms[] = "=<>~*+R";
	struct slx_matcher *x = make(SLX_MATCH_RE, pattern);
	char text[512];
	size_t n = 0;
	n += (size_t)snprintf(text, sizeof text, "%c%s", forms[x->form], x->more ? "+" : "");
	for (size_t i = 0; i < x->literals_n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %.*s", (int)x->literals[i].n, x->literals[i].p);
	slx_matcher_free(x);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: %s; expected %s", pattern, text, expected);
}

static void test_shapes(void **state)
{
	static const char *const cases[][2] = {
		{ "", "= " },
		{ "abc", "= abc" },
		{ "b|a|b", "= a b" },
		{ "a|", "=  a" },
		{ "(a|b)c", "= ac bc" },
		{ "web(1|2)[ab]", "= web1a web1b web2a web2b" },
		{ "host-[0-2]", "= host-0 host-1 host-2" },
		{ "colou?r", "= color colour" },
		{ "a\\.b", "= a.b" },
		{ "\\Qa.b\\E", "= a.b" },
		{ "^abc$", "= abc" },
		{ "^a|b$", "= a b" },
		{ "(?:a|b)", "= a b" },
		{ "(?P<x>a)", "= a" },
		{ "\\x41\\x{e9}\\101",
			"= A\xc3\xa9"
			"A" },
		{ "abc.*", "< abc" },
		{ "abc.+", "<+ abc" },
		{ "abc.*.*", "< abc" },
		{ "abc.+.*", "<+ abc" },
		{ "(abc.*)", "< abc" },
		{ "abc.*?", "< abc" },
		{ ".*abc", "> abc" },
		{ ".+abc", ">+ abc" },
		{ ".*abc.*", "~ abc" },
		{ ".*a.*.*", "~ a" },
		{ ".*", "*" },
		{ ".{0,}", "*" },
		{ ".+", "+" },
		{ "(.*)", "*" },
		{ "host-\\d+", "R host-" },
		{ "ab.*cd", "R ab" },
		{ "(abc|abd).*", "R ab" },
		{ "ab+", "R ab" },
		{ "(ab)+", "R ab" },
		{ "(ab)*", "R " },
		{ ".+.+", "R " },
		{ "(?i)abc", "R " },
		{ "x(?i)abc", "R x" },
		{ "(?-s)a.*", "R a" },
		{ "a|b.*", "R " },
		{ "[^a]", "R " },
		{ ".*a.+", "R " },
		{ "\xc3\xa9|\xc3\xaa.*", "R " }, /* common bytes, no common character */
		{ "a{2}", "R a" },
		{ "a{,2}", "= a{,2}" },
		{ "\\bfoo", "R " },
		{ "a$b", "R a" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_shape(cases[i][0], cases[i][1]);
}

static void test_refused(void **state)
{
	static const char *const patterns[] = {
		"(a)\\1",
		"(?=a)",
		"(?!a)",
		"(?<=a)",
		"(?<!a)",
		"(?>a)",
		"a*+",
		"a++",
		"a**",
		"(*UTF)",
		"(?R)",
		"(?#c)",
		"(?|a|b)",
		"\\Z",
		"\\G",
		"\\K",
		"\\R",
		"\\X",
		"\\N",
		"\\h",
		"\\c",
		"\\k<a>",
		"\\g1",
		"(",
		")",
		"a)",
		"[a",
		"[b-a]",
		"[[:nope:]]",
		"*",
		"|*",
		"+a",
		"a{2}{3}",
		"a{1001}",
		"a{3,2}",
		"\\",
		"\\xZ",
		"\\x{110000}",
		"\\p{",
		"(?P=a)",
		"(?P>a)",
		"(?<>a)",
		"(?x)a",
		"(?)",
		"\\8",
		"[\\b]",
		"(?i)*",
		"\\p{Nonesuch}",
	};
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		struct slx_matcher *x;
		silex_error err = { 0 };
		if (slx_matcher_new(&mem, SLX_MATCH_RE, SLX_STR("l"), slx_str(patterns[i]), &x, &err) != SILEX_INVALID)
			fail_msg("%s was accepted", patterns[i]);
		assert_non_null(strstr(err.message, "regular expression"));
	}
}

static void test_regex_semantics(void **state)
{
	assert_true(re("a.c", "a\nc")); /* dot matches newline */
	assert_false(re("(?-s)a.c", "a\nc"));
	assert_false(re("ab?", "ab\n")); /* the end is the end */
	assert_false(re("b", "abc"));    /* anchored on both sides */
	assert_true(re("a|ab", "ab"));
	assert_true(re("(a|ab)(c|bcd)", "abcd"));
	assert_true(re("a.b",
		"a\xc3\xa9"
		"b")); /* a dot is a character */
	assert_true(re("(?i)h\xc3\x89", "H\xc3\xa9"));
	assert_false(re("a\\sb", "a\vb"));
	assert_true(re("a\\Sb", "a\vb"));
	assert_true(re("[\\S]x", "\vx"));
	assert_true(re("\\v+", "\v\v"));
	assert_true(re("[]a]+", "]a"));
	assert_true(re("[a-]+", "a-"));
	assert_true(re("[\\w-.]+", "a-b.c"));
	assert_false(re("[\\w-.]+", "a+c"));
	assert_true(re("[[:alpha:]_]+[[:^digit:]]", "ab_x"));
	assert_true(re("\\pL+\\p{Greek}", "ab\xce\xb1"));
	assert_true(re("\\d{2,3}", "123"));
	assert_false(re("\\d{2,3}", "1234"));
	assert_true(re("a{,2}x|{", "{"));
	assert_true(re("\\/\\-\\_", "/-_"));
	assert_true(re("(?U)a+", "aaa"));
	assert_true(re("(?m)a$\n^b", "a\nb"));
	assert_true(re("(?i:A)b", "ab"));
	assert_false(re("(?i:A)b", "aB"));
	assert_true(re("a(?i)b|c", "C")); /* a flag holds to the end of its group, alternatives too */
	assert_true(re("(?:(?i)a)B", "AB"));
	assert_false(re("(?:(?i)a)B", "Ab"));
}

static void test_operators(void **state)
{
	static const struct {
		enum slx_match_op op;
		const char *value;
		bool on_empty, on_a;
	} cases[] = {
		{ SLX_MATCH_EQ, "", true, false },
		{ SLX_MATCH_EQ, "a", false, true },
		{ SLX_MATCH_NE, "", false, true },
		{ SLX_MATCH_NE, "a", true, false },
		{ SLX_MATCH_RE, "a|b", false, true },
		{ SLX_MATCH_NRE, "a|b", true, false },
		{ SLX_MATCH_RE, ".*", true, true },
		{ SLX_MATCH_NRE, ".*", false, false },
		{ SLX_MATCH_RE, ".+", false, true },
		{ SLX_MATCH_NRE, ".+", true, false },
		{ SLX_MATCH_RE, "a?", true, true },
		{ SLX_MATCH_NRE, "b.*x", true, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slx_matcher *x = make(cases[i].op, cases[i].value);
		assert_int_equal(x->matches_empty, cases[i].on_empty);
		assert_int_equal(test(x, ""), cases[i].on_empty);
		assert_int_equal(test(x, "a"), cases[i].on_a);
		slx_matcher_free(x);
	}
}

static void test_limits(void **state)
{
	/* An expression with exponentially many ways ends with an error that names it. */
	static char value[8192];
	memset(value, 'a', sizeof value);
	struct slx_matcher *x = make(SLX_MATCH_RE, "(a*)*(a*)*(a*)*[bc]");
	bool yes;
	silex_error err;
	assert_int_equal(
		slx_matcher_test(x, (struct slx_str){ value, sizeof value }, &yes, &err), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, "(a*)*(a*)*(a*)*[bc]"));
	slx_matcher_free(x);

	/* A long value through a group overruns the JIT's small stack, not the match. */
	x = make(SLX_MATCH_RE, "(?:a|b)*");
	assert_int_equal(slx_matcher_test(x, (struct slx_str){ value, sizeof value }, &yes, &err), SILEX_OK);
	assert_true(yes);
	slx_matcher_free(x);

	char *deep = malloc(1000);
	memset(deep, '(', 499);
	deep[499] = 'a';
	memset(deep + 500, ')', 499);
	deep[999] = 0;
	assert_int_equal(slx_matcher_new(&mem, SLX_MATCH_RE, SLX_STR("l"), slx_str(deep), &x, &err), SILEX_INVALID);
	free(deep);

	char *list = malloc(60000); /* a dashboard's list of thousands of hosts stays a lookup */
	size_t n = 0;
	for (int i = 0; i < 5000; i++)
		n += (size_t)sprintf(list + n, "%sh%d", i ? "|" : "", i);
	x = make(SLX_MATCH_RE, list);
	assert_int_equal(x->form, SLX_FORM_SET);
	assert_int_equal(x->literals_n, 5000);
	assert_true(test(x, "h4999"));
	assert_false(test(x, "h5000"));
	slx_matcher_free(x);
	free(list);
}

static void *test_many(void *arg)
{
	const struct slx_matcher *x = arg;
	for (int i = 0; i < 20000; i++) {
		char value[32];
		int n = snprintf(value, sizeof value, "host-%d%s", i, i % 2 ? "x" : "");
		bool yes = false;
		if (slx_matcher_test(x, (struct slx_str){ value, (size_t)n }, &yes, NULL) != SILEX_OK || yes == (i % 2 == 1))
			return (void *)x;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct slx_matcher *x = make(SLX_MATCH_RE, "host-\\d+");
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, test_many, x), 0);
	for (int i = 0; i < 4; i++) {
		void *bad;
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	slx_matcher_free(x);
}

/* ---- selectors ---- */

static void check_selector(const char *text, const char *expected)
{
	struct slx_selector s;
	silex_error err;
	if (slx_selector_parse(&mem, slx_str(text), &s, &err) != SILEX_OK)
		fail_msg("%s: %s", text, err.message);
	struct slx_buf b;
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 4096);
	slx_selector_format(&s, &b);
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, expected);
	slx_buf_free(&b);
	slx_selector_free(&s);
}

static void test_selectors(void **state)
{
	check_selector("up", "up");
	check_selector(" up { } ", "up");
	check_selector("", "{}");
	check_selector("{}", "{}");
	check_selector("a:b{c=\"d\"}", "a:b{c=\"d\"}");
	check_selector("x{a=\"b\",c=~'d.*', e!=`\\f`, g!~\"h\",}", "x{a=\"b\",c=~\"d.*\",e!=\"\\\\f\",g!~\"h\"}");
	check_selector("{\"my.metric\", \"odd name\"=\"v\"}", "{__name__=\"my.metric\",\"odd name\"=\"v\"}");
	check_selector("{'m', a='\\u00e9\\n\\x41\\101'}", "m{a=\"\xc3\xa9\\nAA\"}");
	check_selector("{a='it\\'s', b=\"\\\"\"}", "{a=\"it's\",b=\"\\\"\"}");
}

static void check_column(const char *text, const char *column)
{
	struct slx_selector s;
	silex_error err;
	assert_int_equal(slx_selector_parse(&mem, slx_str(text), &s, &err), SILEX_INVALID);
	if (strncmp(err.message, column, strlen(column)) != 0)
		fail_msg("%s: %s; expected %s", text, err.message, column);
}

static void test_selector_errors(void **state)
{
	check_column("up{", "column 4: expected a label name or '}', found the end");
	check_column("up}", "column 3: expected the end");
	check_column("1up", "column 1: expected a metric name");
	check_column("up{a}", "column 5: expected '=', '!='");
	check_column("up{a=b}", "column 6: expected a quoted string");
	check_column("up{a=\"b}", "column 6: string has no closing \"");
	check_column("up{a=\"b\" c=\"d\"}", "column 10: expected ',' or '}'");
	check_column("up{a=\"\\q\"}", "column 8: expected an escape");
	check_column("up{a=\"\\ud800\"}", "column 8: expected a Unicode character");
	check_column("up{a=~\"b(\"}", "column 4: regular expression \"b(\": column 2");
	check_column("up{a=\"\xff\"}", "column 4: matcher on label \"a\": value is not valid UTF-8");
	check_column("up{\"\"=\"x\"}", "column 4: matcher: label name is empty");
}

/* Every allocation of a construction fails once; each failure is an error and leaks nothing. */
static int fail_after;

static void *failing_alloc(void *ctx, size_t n) { return fail_after-- > 0 ? malloc(n) : NULL; }
static void *failing_realloc(void *ctx, void *p, size_t old_size, size_t n)
{
	return fail_after-- > 0 ? realloc(p, n) : NULL;
}
static void plain_free(void *ctx, void *p, size_t n) { free(p); }

static void test_out_of_memory(void **state)
{
	struct slx_mem m;
	silex_allocator a = { NULL, failing_alloc, failing_realloc, plain_free };
	slx_mem_init(&m, &a);
	int failures = 0;
	for (int i = 0; i < 200; i++) {
		struct slx_selector s;
		fail_after = i;
		silex_status st = slx_selector_parse(&m, SLX_STR("up{a=~\"x[0-9]+|y\",b!=\"\\n\",c=\"d\",e=\"f\"}"), &s, NULL);
		if (st == SILEX_OK)
			slx_selector_free(&s);
		else
			failures++;
		assert_int_equal(slx_mem_total(&m), 0);
	}
	assert_true(failures > 5);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_regex_semantics),
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_selector_errors),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
