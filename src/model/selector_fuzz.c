/* Selectors: what parses, formats, and parses to the same matchers. And expressions: the first line of the input is
 * one, the other lines are values; the shortcut found for it must say what PCRE2 says. The oracle is the same
 * expression behind a \B* that the analysis cannot see through, so that it is always run. */
#include "model/matcher.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_selector(struct slx_mem *m, struct slx_str text)
{
	struct slx_selector s, again;
	if (slx_selector_parse(m, text, &s, NULL) != SILEX_OK)
		return;
	struct slx_buf out, second;
	slx_buf_init(&out, m, SLX_MEM_OTHER, 1 << 24);
	slx_buf_init(&second, m, SLX_MEM_OTHER, 1 << 24);
	slx_selector_format(&s, &out);
	check(slx_selector_parse(m, (struct slx_str){ (char *)out.p, out.n }, &again, NULL) == SILEX_OK && again.n == s.n);
	slx_selector_format(&again, &second);
	check(out.n == second.n && memcmp(out.p, second.p, out.n) == 0);
	slx_buf_free(&out);
	slx_buf_free(&second);
	slx_selector_free(&again);
	slx_selector_free(&s);
}

static void check_value(const struct slx_matcher *x, const struct slx_matcher *oracle, struct slx_str value)
{
	bool yes, expected;
	if (!slx_utf8_valid(value.p, value.n) || slx_matcher_test(x, value, &yes, NULL) != SILEX_OK ||
		slx_matcher_test(oracle, value, &expected, NULL) != SILEX_OK)
		return;
	check(yes == expected);
	if (yes && x->form == SLX_FORM_REGEX)
		check(value.n >= x->literals[0].n && memcmp(value.p, x->literals[0].p, x->literals[0].n) == 0);
}

static void check_expression(struct slx_mem *m, const char *s, size_t n)
{
	const char *line = memchr(s, '\n', n);
	size_t pattern_n = line ? (size_t)(line - s) : n;
	struct slx_buf wrapped;
	slx_buf_init(&wrapped, m, SLX_MEM_OTHER, 1 << 20);
	slx_buf_put(&wrapped, "\\B*(?:", 6); /* \B* is never a literal, and matches the empty string */
	slx_buf_put(&wrapped, s, pattern_n);
	slx_buf_u8(&wrapped, ')');
	struct slx_matcher *x = NULL, *oracle = NULL;
	if (slx_matcher_new(m, SLX_MATCH_RE, SLX_STR("l"), (struct slx_str){ s, pattern_n }, &x, NULL) == SILEX_OK &&
		slx_matcher_new(m, SLX_MATCH_RE, SLX_STR("l"), (struct slx_str){ (char *)wrapped.p, wrapped.n }, &oracle,
			NULL) == SILEX_OK) {
		for (size_t i = 0; i < x->literals_n && i < 70; i++) /* values that are likely to match */
			check_value(x, oracle, x->literals[i]);
		while (line) {
			const char *value = line + 1, *end = s + n;
			line = memchr(value, '\n', (size_t)(end - value));
			check_value(x, oracle, (struct slx_str){ value, (size_t)((line ? line : end) - value) });
		}
	}
	slx_matcher_free(x);
	slx_matcher_free(oracle);
	slx_buf_free(&wrapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem m;
	slx_mem_init(&m, NULL);
	if (size > 4096)
		return 0;
	check_selector(&m, (struct slx_str){ (const char *)data, size });
	check_expression(&m, (const char *)data, size);
	check(slx_mem_total(&m) == 0);
	return 0;
}
