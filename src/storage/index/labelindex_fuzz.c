/* A section's label index: what opens answers every question within its bytes, and its two directions agree. */
#include "storage/index/postings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* Selecting each value of a name finds the series that say they have it. */
static void check_name(const struct slx_labelindex *ix, struct slx_mem *m, struct slx_str name, uint32_t expected)
{
	struct slx_strings values;
	uint64_t total = 0;
	check(slx_labelindex_values(ix, name, NULL, 0, m, &values, NULL) == SILEX_OK);
	for (size_t i = 0; i < values.n; i++)
		total += values.counts[i];
	check(total == expected);
	for (size_t i = 0; i < values.n && i < 20; i++) {
		struct slx_matcher *x;
		struct slx_ordinals o;
		check(slx_matcher_new(m, SLX_MATCH_EQ, name, values.p[i], &x, NULL) == SILEX_OK);
		check(slx_labelindex_select(ix, &x, 1, m, &o, NULL) == SILEX_OK && o.n == values.counts[i]);
		for (size_t k = 0; k < o.n; k++)
			check(slx_str_eq(slx_labelindex_value(ix, o.p[k], name), values.p[i]));
		slx_ordinals_free(&o);
		slx_matcher_free(x);
	}
	slx_strings_free(&values);
}

static void check_index(const struct slx_labelindex *ix, struct slx_mem *m)
{
	struct slx_strings names;
	struct slx_buf out;
	slx_buf_init(&out, m, SLX_MEM_OTHER, 1 << 20);
	for (uint32_t i = 0; i < slx_labelindex_count(ix) && i < 100; i++)
		slx_labelindex_labels(ix, i, &out);
	slx_buf_free(&out);
	check(slx_labelindex_names(ix, NULL, 0, m, &names, NULL) == SILEX_OK);
	for (size_t i = 0; i < names.n && i < 20; i++)
		check_name(ix, m, names.p[i], names.counts[i]);
	slx_strings_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem m;
	struct slx_labelindex *ix;
	slx_mem_init(&m, NULL);
	if (slx_labelindex_open(data, size, &m, SLX_MEM_CACHE, &ix, NULL) == SILEX_OK) {
		check_index(ix, &m);
		slx_labelindex_close(ix);
	}
	check(slx_mem_total(&m) == 0);
	return 0;
}
