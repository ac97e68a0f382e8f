/* Relabelling, as Prometheus' relabel_config: rules that rewrite, keep or drop label sets. */
#ifndef SLX_SERVER_CORE_RELABEL_H
#define SLX_SERVER_CORE_RELABEL_H

#include "model/rewrite.h"
#include "server/core/config.h"

/* A label set being worked on: no order, names unique, values not empty. Strings are anyone's who outlives it, or the arena's. */
struct slx_label_set {
	struct slx_label *p;
	size_t n, cap;
	struct slx_arena *arena;
	bool failed; /* out of memory: nothing of it may be used */
};

struct slx_str slx_label_set_get(const struct slx_label_set *s, struct slx_str name); /* "" when absent */
void slx_label_set_put(struct slx_label_set *s, struct slx_str name, struct slx_str value); /* value "": removes */

struct slx_relabel_rule;

struct slx_relabel {
	struct slx_relabel_rule *rules;
	size_t n;
};

/* Reads a list of rules; `list` NULL: none. Strings are the configuration's, which must live longer. INVALID "file:line: ...". */
silex_status slx_relabel_parse(struct slx_mem *m, struct slx_arena *a, const struct slx_yaml *list, struct slx_relabel *ret, silex_error *err);
void slx_relabel_clear(struct slx_relabel *r);

/* False: the rules drop the set (or it failed). */
bool slx_relabel_apply(const struct slx_relabel *r, struct slx_label_set *s);

#endif
