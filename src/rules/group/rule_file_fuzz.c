/* Rule files: what reads keeps its promises (every rule has a name and an expression, ids are apart) and leaks nothing. */
#include "rules/group/file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_group(const struct slx_rule_group_def *g)
{
	check(g->name.n > 0 && g->interval_ns >= 0 && g->offset_ns >= -1);
	for (size_t i = 0; i < g->n_rules; i++) {
		const struct slx_rule_def *d = &g->rules[i];
		check(d->name.n > 0 && d->expr && d->expr_text.n > 0 && d->hold_ns >= 0 && d->keep_ns >= 0);
		check(d->kind == SLX_RULE_ALERTING || d->annotations.n == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_rule_file *f;
	silex_error err;
	slx_mem_init(&mem, NULL);
	if (slx_rule_file_parse(&mem, "fuzz.yml", data, size, false, &f, &err) == SILEX_OK) {
		for (size_t i = 0; i < f->n_groups; i++)
			check_group(&f->groups[i]);
		slx_rule_file_unref(f);
	} else {
		check(err.message[0] != 0);
	}
	check(slx_mem_total(&mem) == 0);
	return 0;
}
