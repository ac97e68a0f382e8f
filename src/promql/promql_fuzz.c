/* Expressions: what parses, prints, and what is printed parses again and prints the same, on one line and pretty, with
 * and without the experimental language; selectors likewise. Nothing leaks, nothing is read outside. */
#include "promql/promql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static struct slx_str print(const struct slx_promql_expr *x, bool pretty, struct slx_buf *out)
{
	slx_buf_reset(out);
	slx_promql_format(x, pretty, out);
	check(!out->failed);
	return (struct slx_str){ (const char *)out->p, out->n };
}

/* A range below a millisecond prints as 0s, an indent may pass the limit of the text: then there is no second tree. */
static void check_again(struct slx_mem *m, struct slx_promql_expr *x, bool pretty)
{
	struct slx_buf once, twice;
	slx_buf_init(&once, m, SLX_MEM_OTHER, 1 << 26);
	slx_buf_init(&twice, m, SLX_MEM_OTHER, 1 << 26);
	struct slx_str text = print(x, pretty, &once);
	struct slx_promql_expr *again;
	silex_error err;
	silex_status st = slx_promql_parse(m, text, true, &again, &err);
	check(st == SILEX_OK || text.n > 200000 || strstr(err.message, "duration must be greater than 0"));
	if (st == SILEX_OK) {
		check(slx_promql_result_type(again) == slx_promql_result_type(x));
		check(slx_str_eq(print(again, pretty, &twice), text));
		slx_promql_free(again);
	}
	slx_buf_free(&once);
	slx_buf_free(&twice);
}

static void count_matchers(void *arg, const struct slx_selector *sel) { *(size_t *)arg += sel->n; }

static void check_expression(struct slx_mem *m, struct slx_str text, bool experimental)
{
	struct slx_promql_expr *x;
	size_t matchers = 0;
	if (slx_promql_parse(m, text, experimental, &x, NULL) != SILEX_OK)
		return;
	slx_promql_selectors(x, count_matchers, &matchers);
	check_again(m, x, false);
	check_again(m, x, true);
	slx_promql_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem m;
	slx_mem_init(&m, NULL);
	struct slx_str text = { (const char *)data, size };
	check_expression(&m, text, false);
	check_expression(&m, text, true);
	struct slx_selector s;
	if (slx_promql_parse_selector(&m, text, &s, NULL) == SILEX_OK)
		slx_selector_free(&s);
	check(slx_mem_total(&m) == 0);
	return 0;
}
