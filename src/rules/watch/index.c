/* Rules are found by one label that they fix: among those the one that the fewest rules share. So a new series is tested against few
 * rules, however many there are. Rules that fix no label are found under their tenant. */
#include "rules/watch/watch_int.h"

enum { COUNTED_MAX = 16 };

static uint64_t key_of(struct slx_str tenant, struct slx_str name, struct slx_str value)
{
	uint64_t h[3] = { slx_hash64(tenant.p, tenant.n), slx_hash64(name.p, name.n), slx_hash64(value.p, value.n) };
	return slx_hash64(h, sizeof h);
}

static struct slx_watch_rule **slot(struct slx_watch *w, uint64_t key) { return &w->keys[key % SLX_WATCH_KEYS]; }

static unsigned count(struct slx_watch *w, uint64_t key)
{
	unsigned n = 0;
	for (const struct slx_watch_rule *r = *slot(w, key); r && n < COUNTED_MAX; r = r->next_key)
		n += r->key == key;
	return n;
}

void slx_watch_index(struct slx_watch *w, struct slx_watch_rule *r)
{
	static const struct slx_str none = { "", 0 };
	unsigned best = UINT32_MAX;
	r->key = key_of(r->alert.tenant, none, none);
	for (size_t i = 0; i < r->selector.n; i++) {
		const struct slx_matcher *m = r->selector.matchers[i];
		if (m->op != SLX_MATCH_EQ || !m->value.n)
			continue;
		uint64_t key = key_of(r->alert.tenant, m->name, m->value);
		unsigned n = count(w, key) * 2 + slx_str_eq(m->name, SLX_METRIC_NAME); /* a metric's name is shared by more series */
		if (n < best) {
			best = n;
			r->key = key;
		}
	}
	r->next_key = *slot(w, r->key);
	*slot(w, r->key) = r;
}

void slx_watch_unindex(struct slx_watch *w, struct slx_watch_rule *r)
{
	struct slx_watch_rule **at = slot(w, r->key);
	while (*at && *at != r)
		at = &(*at)->next_key;
	if (*at)
		*at = r->next_key;
}

static void match_key(struct slx_watch *w, uint64_t key, struct slx_str tenant, struct slx_labels l, slx_watch_match_fn *each, void *arg)
{
	for (struct slx_watch_rule *r = *slot(w, key); r; r = r->next_key) {
		bool holds = r->key == key && slx_str_eq(r->alert.tenant, tenant);
		if (holds && slx_matchers_test(r->selector.matchers, r->selector.n, l, &holds, NULL) == SILEX_OK && holds)
			each(arg, r);
	}
}

void slx_watch_matches(struct slx_watch *w, struct slx_str tenant, struct slx_labels l, slx_watch_match_fn *each, void *arg)
{
	static const struct slx_str none = { "", 0 };
	struct slx_labels_iter it = slx_labels_iter(l);
	struct slx_label x;
	match_key(w, key_of(tenant, none, none), tenant, l, each, arg);
	while (slx_labels_next(&it, &x))
		match_key(w, key_of(tenant, x.name, x.value), tenant, l, each, arg);
}
