/* Templates: what parses runs, over labels and a query that answers, within its limits; nothing leaks. */
#include "rules/template/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t labels[] = { 2, 4, 'h', 'o', 's', 't', 1, 'a', 3, 'j', 'o', 'b', 1, 'b' };

static silex_status ask(void *ctx, struct slx_str expr, struct slx_arena *arena, struct slx_template_sample **ret, size_t *ret_n, silex_error *err)
{
	*ret_n = expr.n % 3;
	*ret = slx_arena_alloc(arena, 3 * sizeof **ret, 8);
	for (size_t i = 0; *ret && i < 3; i++)
		(*ret)[i] = (struct slx_template_sample){ { labels, sizeof labels }, (double)i };
	return *ret ? SILEX_OK : slx_err_oom(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_template *t = NULL;
	struct slx_buf out;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, 1 << 16);
	const struct slx_template_data d = { .labels = { labels, sizeof labels }, .value = 1234.5, .external_url = SLX_STR("http://a/b"), .query = ask };
	if (slx_template_parse(&mem, SLX_STR("fuzz"), (struct slx_str){ (const char *)data, size }, &t, NULL) == SILEX_OK)
		(void)slx_template_run(t, &d, &out, NULL);
	slx_template_free(t);
	slx_buf_free(&out);
	if (slx_mem_total(&mem) != 0)
		abort();
	return 0;
}
