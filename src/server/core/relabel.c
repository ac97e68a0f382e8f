#include "server/core/relabel.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <strings.h>

enum action { REPLACE, KEEP, DROP, KEEPEQUAL, DROPEQUAL, HASHMOD, LABELMAP, LABELDROP, LABELKEEP, LOWERCASE, UPPERCASE, ACTIONS };

static const char *const action_names[ACTIONS + 1] = { "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop",
	"labelkeep", "lowercase", "uppercase", NULL };

struct slx_relabel_rule {
	enum action action;
	struct slx_str *sources;
	size_t n_sources;
	struct slx_str separator, target, replacement;
	struct slx_rewrite *regex;
	uint64_t modulus;
};

/* ---- label sets ---- */

static size_t find(const struct slx_label_set *s, struct slx_str name)
{
	size_t i = 0;
	while (i < s->n && !slx_str_eq(s->p[i].name, name))
		i++;
	return i;
}

struct slx_str slx_label_set_get(const struct slx_label_set *s, struct slx_str name)
{
	size_t i = find(s, name);
	return i < s->n ? s->p[i].value : SLX_STR("");
}

void slx_label_set_put(struct slx_label_set *s, struct slx_str name, struct slx_str value)
{
	size_t i = find(s, name);
	if (value.n == 0) {
		if (i < s->n)
			s->p[i] = s->p[--s->n];
		return;
	}
	if (i == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 32;
		struct slx_label *p = slx_arena_alloc(s->arena, cap * sizeof *p, 8);
		if (!p) {
			s->failed = true;
			return;
		}
		if (s->n)
			memcpy(p, s->p, s->n * sizeof *p);
		s->p = p;
		s->cap = cap;
	}
	s->p[i] = (struct slx_label){ name, value };
	s->n += i == s->n;
}

static struct slx_str keep_text(struct slx_label_set *s, const struct slx_buf *b)
{
	char *p = b->failed ? NULL : slx_arena_alloc(s->arena, b->n + 1, 1);
	if (!p) {
		s->failed = true;
		return SLX_STR("");
	}
	memcpy(p, b->p ? (const void *)b->p : "", b->n);
	return (struct slx_str){ p, b->n };
}

/* ---- reading rules ---- */

static silex_status text_of(const struct slx_yaml *map, const char *key, const char *fallback, struct slx_str *ret, silex_error *err)
{
	const char *text = fallback;
	SLX_TRY(slx_yaml_text(slx_yaml_get(map, key), &text, err));
	*ret = slx_str(text);
	return SILEX_OK;
}

static silex_status sources_of(struct slx_arena *a, const struct slx_yaml *list, struct slx_relabel_rule *r, silex_error *err)
{
	if (slx_yaml_null(list))
		return SILEX_OK;
	if (list->type != SLX_YAML_LIST)
		return slx_yaml_err(list, err, "source_labels: expected a list of label names");
	r->sources = slx_arena_alloc(a, (list->n + 1) * sizeof *r->sources, 8);
	if (!r->sources)
		return slx_err_oom(err);
	for (const struct slx_yaml *y = list->child; y; y = y->next) {
		if (y->type != SLX_YAML_SCALAR)
			return slx_yaml_err(y, err, "source_labels: expected a label name");
		r->sources[r->n_sources++] = y->text;
	}
	return SILEX_OK;
}

static bool wants_target(enum action a) { return a == REPLACE || a == HASHMOD || a == LOWERCASE || a == UPPERCASE || a == KEEPEQUAL || a == DROPEQUAL; }

static silex_status rule_of(struct slx_mem *m, struct slx_arena *a, const struct slx_yaml *y, struct slx_relabel_rule *r, silex_error *err)
{
	static const char *const keys[] = { "source_labels", "separator", "target_label", "regex", "modulus", "replacement", "action", NULL };
	struct slx_str action, regex;
	int k = 0;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "expected a relabelling rule");
	SLX_TRY(slx_yaml_keys(y, "relabelling rule", keys, err));
	SLX_TRY(text_of(y, "action", "replace", &action, err));
	while (action_names[k] && !(strlen(action_names[k]) == action.n && strncasecmp(action_names[k], action.p, action.n) == 0))
		k++;
	if (k == ACTIONS)
		return slx_yaml_err(slx_yaml_get(y, "action"), err, "unknown relabelling action \"%s\"", action.p);
	r->action = (enum action)k;
	SLX_TRY(text_of(y, "separator", ";", &r->separator, err));
	SLX_TRY(text_of(y, "target_label", "", &r->target, err));
	SLX_TRY(text_of(y, "replacement", "$1", &r->replacement, err));
	SLX_TRY(text_of(y, "regex", "(.*)", &regex, err));
	SLX_TRY(sources_of(a, slx_yaml_get(y, "source_labels"), r, err));
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "modulus"), 0, UINT64_MAX, &r->modulus, err));
	if (wants_target(r->action) && r->target.n == 0)
		return slx_yaml_err(y, err, "relabelling action %s needs target_label", action_names[k]);
	if (r->action == HASHMOD && r->modulus == 0)
		return slx_yaml_err(y, err, "relabelling action hashmod needs a modulus above 0");
	silex_error why;
	if (slx_rewrite_new(m, regex, &r->regex, &why) != SILEX_OK)
		return slx_yaml_err(y, err, "%s", why.message);
	return SILEX_OK;
}

silex_status slx_relabel_parse(struct slx_mem *m, struct slx_arena *a, const struct slx_yaml *list, struct slx_relabel *ret, silex_error *err)
{
	*ret = (struct slx_relabel){ 0 };
	if (slx_yaml_null(list))
		return SILEX_OK;
	if (list->type != SLX_YAML_LIST)
		return slx_yaml_err(list, err, "expected a list of relabelling rules");
	struct slx_relabel r = { slx_arena_alloc(a, (list->n + 1) * sizeof *r.rules, 8), 0 };
	if (!r.rules)
		return slx_err_oom(err);
	memset(r.rules, 0, (list->n + 1) * sizeof *r.rules);
	silex_status st = SILEX_OK;
	for (const struct slx_yaml *y = list->child; y && st == SILEX_OK; y = y->next)
		st = rule_of(m, a, y, &r.rules[r.n++], err);
	if (st == SILEX_OK)
		*ret = r;
	else
		slx_relabel_clear(&r);
	return st;
}

void slx_relabel_clear(struct slx_relabel *r)
{
	for (size_t i = 0; i < r->n; i++)
		slx_rewrite_free(r->rules[i].regex);
	*r = (struct slx_relabel){ 0 };
}

/* ---- applying ---- */

/* The first 8 bytes from the end of the MD5, as Prometheus shards. */
static uint64_t hash_of(const struct slx_buf *b)
{
	uint8_t md5[16];
	uint64_t v = 0;
	if (gnutls_hash_fast(GNUTLS_DIG_MD5, b->p ? (const void *)b->p : "", b->n, md5) != 0)
		return 0;
	for (size_t i = 8; i < 16; i++)
		v = v << 8 | md5[i];
	return v;
}

static bool matches(const struct slx_relabel_rule *r, struct slx_str value, struct slx_str template, struct slx_buf *out)
{
	bool matched;
	return slx_rewrite_apply(r->regex, value, template, out, &matched, NULL) == SILEX_OK && matched;
}

/* Is it a name that a label may have? What a template makes may be none. */
static bool is_label_name(struct slx_str s) { return s.n > 0 && slx_utf8_valid(s.p, s.n); }

static void replace(const struct slx_relabel_rule *r, struct slx_label_set *s, struct slx_str value, struct slx_buf *out)
{
	slx_buf_reset(out);
	if (!matches(r, value, r->target, out))
		return;
	struct slx_str target = keep_text(s, out);
	slx_buf_reset(out);
	matches(r, value, r->replacement, out);
	if (is_label_name(target))
		slx_label_set_put(s, target, keep_text(s, out));
}

static void map_names(const struct slx_relabel_rule *r, struct slx_label_set *s, struct slx_buf *out)
{
	for (size_t i = 0, n = s->n; i < n; i++) {
		slx_buf_reset(out);
		if (!matches(r, s->p[i].name, r->replacement, out))
			continue;
		struct slx_str name = keep_text(s, out);
		if (is_label_name(name))
			slx_label_set_put(s, name, s->p[i].value);
	}
}

/* Drops labels whose name matches, or does not. */
static void thin(const struct slx_relabel_rule *r, struct slx_label_set *s, bool drop_matching)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (matches(r, s->p[i].name, SLX_STR(""), NULL) != drop_matching)
			s->p[n++] = s->p[i];
	s->n = n;
}

static void put_cased(const struct slx_relabel_rule *r, struct slx_label_set *s, struct slx_str value, struct slx_buf *out)
{
	slx_buf_reset(out);
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool turn = r->action == LOWERCASE ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
		slx_buf_u8(out, (uint8_t)(turn ? c ^ 0x20 : c));
	}
	slx_label_set_put(s, r->target, keep_text(s, out));
}

static void put_shard(const struct slx_relabel_rule *r, struct slx_label_set *s, struct slx_buf *joined)
{
	char text[24];
	uint64_t shard = hash_of(joined) % r->modulus;
	slx_buf_reset(joined);
	slx_buf_put(joined, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)shard));
	slx_label_set_put(s, r->target, keep_text(s, joined));
}

/* False: the set is dropped. value: the sources joined; it lies in *joined. */
static bool apply(const struct slx_relabel_rule *r, struct slx_label_set *s, struct slx_str value, struct slx_buf *joined, struct slx_buf *out)
{
	switch (r->action) {
	case KEEP: return matches(r, value, SLX_STR(""), NULL);
	case DROP: return !matches(r, value, SLX_STR(""), NULL);
	case KEEPEQUAL: return slx_str_eq(slx_label_set_get(s, r->target), value);
	case DROPEQUAL: return !slx_str_eq(slx_label_set_get(s, r->target), value);
	case REPLACE: replace(r, s, value, out); break;
	case HASHMOD: put_shard(r, s, joined); break;
	case LABELMAP: map_names(r, s, out); break;
	case LABELDROP: thin(r, s, true); break;
	case LABELKEEP: thin(r, s, false); break;
	case LOWERCASE:
	case UPPERCASE: put_cased(r, s, value, out); break;
	case ACTIONS: break;
	}
	return true;
}

bool slx_relabel_apply(const struct slx_relabel *r, struct slx_label_set *s)
{
	struct slx_buf joined, out;
	bool kept = true;
	slx_buf_init(&joined, s->arena->mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&out, s->arena->mem, SLX_MEM_OTHER, 1 << 20);
	for (size_t i = 0; i < r->n && kept && !s->failed; i++) {
		const struct slx_relabel_rule *rule = &r->rules[i];
		slx_buf_reset(&joined);
		for (size_t k = 0; k < rule->n_sources; k++) {
			struct slx_str v = slx_label_set_get(s, rule->sources[k]);
			if (k)
				slx_buf_put(&joined, rule->separator.p, rule->separator.n);
			slx_buf_put(&joined, v.p, v.n);
		}
		kept = apply(rule, s, (struct slx_str){ joined.p ? (const char *)joined.p : "", joined.n }, &joined, &out);
	}
	slx_buf_free(&joined);
	slx_buf_free(&out);
	return kept && !s->failed;
}
