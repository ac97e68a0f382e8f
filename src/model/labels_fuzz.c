/* Canonical label bytes and their text form: what parses is canonical, survives its text, and equals itself. */
#include "model/labels.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* Adding the labels of a set to a builder gives the same bytes; so does reading its text. */
static void check_set(struct slx_mem *m, struct slx_labels l)
{
	struct slx_labels_builder b;
	struct slx_labels again;
	struct slx_buf text;
	struct slx_label x;
	slx_labels_builder_init(&b, m, SLX_MEM_OTHER, NULL);
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &x);)
		slx_labels_builder_add(&b, x.name, x.value);
	check(slx_labels_builder_finish(&b, &again, NULL) == SILEX_OK && slx_labels_eq(l, again));
	slx_buf_init(&text, m, SLX_MEM_OTHER, 1 << 20);
	slx_labels_format(l, &text);
	check(slx_labels_parse_text(&b, (struct slx_str){ (char *)text.p, text.n }, &again, NULL) == SILEX_OK);
	check(slx_labels_eq(l, again) && slx_labels_cmp(l, again) == 0);
	slx_buf_free(&text);
	slx_labels_builder_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem m;
	struct slx_labels l;
	struct slx_labels_builder b;
	slx_mem_init(&m, NULL);
	if (slx_labels_parse(data, size, NULL, &l, NULL) == SILEX_OK)
		check_set(&m, l);
	slx_labels_builder_init(&b, &m, SLX_MEM_OTHER, NULL);
	if (slx_labels_parse_text(&b, (struct slx_str){ (const char *)data, size }, &l, NULL) == SILEX_OK)
		check_set(&m, l);
	slx_labels_builder_free(&b);
	return 0;
}
