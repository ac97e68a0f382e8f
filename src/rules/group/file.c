#include "rules/group/file.h"

#include "base/vfs.h"

#include <stdio.h>
#include <stdlib.h>

enum { RULES_MAX = 20000 };

struct reader {
	struct slx_rule_file *f;
	bool experimental;
	silex_error *err;
};

/* INVALID "file:line:column: ..." */
__attribute__((format(printf, 3, 4))) static silex_status fail(struct reader *r, const struct slx_yaml *y, const char *fmt, ...)
{
	char words[800];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return slx_err(r->err, SILEX_INVALID, "%s:%u:%u: %s", y->file, y->line, y->column, words);
}

static void *make(struct reader *r, size_t n, size_t size)
{
	void *p = slx_arena_alloc(&r->f->arena, n * size + 1, 8);
	return p ? memset(p, 0, n * size) : NULL;
}

static struct slx_str copy(struct reader *r, struct slx_str s)
{
	char *p = slx_arena_alloc(&r->f->arena, s.n + 1, 1);
	if (p) {
		memcpy(p, s.p, s.n);
		p[s.n] = 0;
	}
	return (struct slx_str){ p, s.n };
}

/* ---- fields ---- */

static silex_status keys(struct reader *r, const struct slx_yaml *map, const char *what, const char *const *known)
{
	if (map->type != SLX_YAML_MAP)
		return fail(r, map, "%s: expected keys with values", what);
	for (const struct slx_yaml *y = map->child; y; y = y->next) {
		size_t i = 0;
		while (known[i] && strcmp(known[i], y->key) != 0)
			i++;
		const char *near = known[i] ? NULL : slx_word_nearest(y->key, known);
		if (!known[i])
			return fail(r, y, "field %s not found in %s%s%s%s", y->key, what, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
	return SILEX_OK;
}

/* A scalar; empty when it is not there. */
static silex_status text(struct reader *r, const struct slx_yaml *map, const char *key, struct slx_str *ret, const struct slx_yaml **ret_at)
{
	const struct slx_yaml *y = slx_yaml_get(map, key);
	*ret = SLX_STR("");
	*ret_at = y ? y : map;
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_SCALAR)
		return fail(r, y, "%s: expected one value", key);
	*ret = copy(r, y->text);
	return ret->p ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status duration(struct reader *r, const struct slx_yaml *map, const char *key, int64_t *ret_ns)
{
	const struct slx_yaml *y;
	struct slx_str s;
	int64_t ns;
	SLX_TRY(text(r, map, key, &s, &y));
	if (!slx_yaml_get(map, key) || (s.n == 0 && slx_yaml_null(y)))
		return SILEX_OK;
	if (slx_duration_parse(s.p, s.n, &ns, NULL) != SILEX_OK || ns < 0 || ns % SLX_MS)
		return fail(r, y, "%s: not a valid duration string: \"%s\"; expected one such as 30s, 5m or 1h30m", key, s.p);
	*ret_ns = ns;
	return SILEX_OK;
}

static silex_status count(struct reader *r, const struct slx_yaml *map, const char *key, uint64_t *ret)
{
	const struct slx_yaml *y;
	struct slx_str s;
	char *end;
	SLX_TRY(text(r, map, key, &s, &y));
	if (s.n == 0)
		return SILEX_OK;
	long long v = strtoll(s.p, &end, 10);
	if (*end)
		return fail(r, y, "%s: \"%s\" given, expected a number", key, s.p);
	*ret = v < 0 ? 0 : (uint64_t)v;
	return SILEX_OK;
}

/* ---- labels and annotations ---- */

static int by_name(const void *a, const void *b)
{
	return slx_str_cmp(((const struct slx_rule_text *)a)->name, ((const struct slx_rule_text *)b)->name);
}

static const struct slx_rule_text *find(const struct slx_rule_texts *t, struct slx_str name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slx_str_eq(t->v[i].name, name))
			return &t->v[i];
	return NULL;
}

/* One pair. what: "label" or "annotation"; templates are those of alert `name`. */
static silex_status pair(struct reader *r, const struct slx_yaml *y, const char *what, struct slx_str alert, struct slx_rule_text *ret)
{
	bool label = strcmp(what, "label") == 0;
	ret->name = copy(r, slx_str(y->key));
	ret->value = y->type == SLX_YAML_SCALAR && !slx_yaml_null(y) ? copy(r, y->text) : SLX_STR("");
	if (!ret->name.p || !ret->value.p)
		return slx_err_oom(r->err);
	if (y->type != SLX_YAML_SCALAR)
		return fail(r, y, "%s \"%s\": expected one value", what, y->key);
	if (ret->name.n == 0 || !slx_utf8_valid(ret->name.p, ret->name.n) || (label && slx_str_eq(ret->name, SLX_METRIC_NAME)))
		return fail(r, y, "invalid %s name: %s", what, y->key);
	if (!slx_utf8_valid(ret->value.p, ret->value.n))
		return fail(r, y, "invalid %s value: %s is not UTF-8", what, y->key);
	if (alert.n == 0 || !memmem(ret->value.p, ret->value.n, "{{", 2))
		return SILEX_OK;
	struct slx_buf name;
	silex_error why = { 0 };
	slx_buf_init(&name, r->f->mem, SLX_MEM_OTHER, 1 << 16);
	slx_buf_put(&name, "__alert_", 8);
	slx_buf_put(&name, alert.p, alert.n);
	silex_status status = name.failed ? slx_err_oom(&why)
		: slx_template_parse(r->f->mem, (struct slx_str){ (const char *)name.p, name.n }, ret->value, &ret->template, &why);
	slx_buf_free(&name);
	return status == SILEX_OK ? SILEX_OK : fail(r, y, "%s \"%s\": %s", what, y->key, why.message);
}

/* The pairs of a map, and those of `under` that it does not have. */
static silex_status pairs(struct reader *r, const struct slx_yaml *map, const char *what, struct slx_str alert, const struct slx_rule_texts *under,
	struct slx_rule_texts *ret)
{
	size_t more = under ? under->n : 0, n = slx_yaml_null(map) ? 0 : map->n;
	if (n && map->type != SLX_YAML_MAP)
		return fail(r, map, "%ss: expected names with values", what);
	ret->v = make(r, n + more, sizeof *ret->v);
	if (!ret->v)
		return slx_err_oom(r->err);
	for (const struct slx_yaml *y = n ? map->child : NULL; y; y = y->next)
		SLX_TRY(pair(r, y, what, alert, &ret->v[ret->n++])); /* counted first: what it made is freed with the rest */
	for (size_t i = 0; i < more; i++)
		if (!find(ret, under->v[i].name))
			ret->v[ret->n++] = (struct slx_rule_text){ .name = under->v[i].name, .value = under->v[i].value };
	if (ret->n)
		qsort(ret->v, ret->n, sizeof *ret->v, by_name);
	return SILEX_OK;
}

/* ---- rules ---- */

static const char *const rule_keys[] = { "record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations", NULL };

/* Group labels are not templates; those of an alert that come from its group are expanded all the same, as in Prometheus. */
static silex_status expand_inherited(struct reader *r, const struct slx_yaml *y, struct slx_rule_def *d)
{
	for (size_t i = 0; i < d->labels.n; i++) {
		struct slx_rule_text *t = &d->labels.v[i];
		silex_error why;
		if (t->template || d->kind != SLX_RULE_ALERTING || !memmem(t->value.p, t->value.n, "{{", 2))
			continue;
		if (slx_template_parse(r->f->mem, d->name, t->value, &t->template, &why) != SILEX_OK)
			return fail(r, y, "label \"%.*s\" of the group: %s", (int)t->name.n, t->name.p, why.message);
	}
	return SILEX_OK;
}

static silex_status recording_only(struct reader *r, const struct slx_yaml *y, struct slx_rule_def *d)
{
	static const char *const not_here[] = { "for", "keep_firing_for", "annotations" };
	for (size_t i = 0; i < 3; i++) {
		const struct slx_yaml *x = slx_yaml_get(y, not_here[i]);
		if (!slx_yaml_null(x) && (x->type != SLX_YAML_MAP || x->n))
			return fail(r, x, "invalid field '%s' in recording rule", not_here[i]);
	}
	if (!slx_utf8_valid(d->name.p, d->name.n))
		return fail(r, slx_yaml_get(y, "record"), "invalid recording rule name: %s", d->name.p);
	if (memchr(d->name.p, '{', d->name.n) || memchr(d->name.p, '}', d->name.n))
		return fail(r, slx_yaml_get(y, "record"), "braces present in the recording rule name; should it be in expr?: %s", d->name.p);
	return SILEX_OK;
}

static silex_status expression(struct reader *r, const struct slx_yaml *y, struct slx_rule_def *d)
{
	const struct slx_yaml *at;
	silex_error why;
	SLX_TRY(text(r, y, "expr", &d->expr_text, &at));
	if (d->expr_text.n == 0)
		return fail(r, at, "field 'expr' must be set in rule");
	if (slx_promql_parse(r->f->mem, d->expr_text, r->experimental, &d->expr, &why) != SILEX_OK)
		return fail(r, at, "could not parse expression: %s", why.message);
	return SILEX_OK;
}

static silex_status rule(struct reader *r, const struct slx_yaml *y, const struct slx_rule_texts *inherited, struct slx_rule_def *d)
{
	const struct slx_yaml *at;
	struct slx_str record, alert;
	SLX_TRY(keys(r, y, "rule", rule_keys));
	SLX_TRY(text(r, y, "record", &record, &at));
	SLX_TRY(text(r, y, "alert", &alert, &at));
	if (record.n && alert.n)
		return fail(r, y, "only one of 'record' and 'alert' must be set");
	if (!record.n && !alert.n)
		return fail(r, y, "one of 'record' or 'alert' must be set");
	d->kind = record.n ? SLX_RULE_RECORDING : SLX_RULE_ALERTING;
	d->name = record.n ? record : alert;
	d->line = y->line;
	SLX_TRY(expression(r, y, d));
	if (d->kind == SLX_RULE_RECORDING)
		SLX_TRY(recording_only(r, y, d));
	SLX_TRY(duration(r, y, "for", &d->hold_ns));
	SLX_TRY(duration(r, y, "keep_firing_for", &d->keep_ns));
	SLX_TRY(pairs(r, slx_yaml_get(y, "labels"), "label", alert, inherited, &d->labels));
	SLX_TRY(expand_inherited(r, y, d));
	return pairs(r, slx_yaml_get(y, "annotations"), "annotation", alert, NULL, &d->annotations);
}

/* ---- groups ---- */

static void hash_text(struct slx_buf *b, struct slx_str s)
{
	slx_buf_varint(b, s.n);
	slx_buf_put(b, s.p, s.n);
}

static void hash_texts(struct slx_buf *b, const struct slx_rule_texts *t)
{
	slx_buf_varint(b, t->n);
	for (size_t i = 0; i < t->n; i++) {
		hash_text(b, t->v[i].name);
		hash_text(b, t->v[i].value);
	}
}

/* Ids of rules, and the hash of the whole group. Two rules that are alike to the id are told apart by their order. */
static silex_status identify(struct reader *r, struct slx_rule_group_def *g)
{
	struct slx_buf whole, one;
	slx_buf_init(&whole, r->f->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_buf_init(&one, r->f->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_buf_u64(&whole, (uint64_t)g->interval_ns);
	slx_buf_u64(&whole, (uint64_t)g->offset_ns);
	slx_buf_u64(&whole, g->limit);
	for (size_t i = 0; i < g->n_rules; i++) {
		struct slx_rule_def *d = &g->rules[i];
		slx_buf_reset(&one);
		hash_text(&one, r->f->name);
		hash_text(&one, g->name);
		slx_buf_u8(&one, (uint8_t)d->kind);
		hash_text(&one, d->name);
		hash_texts(&one, &d->labels);
		d->id = slx_hash64(one.p, one.n);
		for (size_t k = 0; k < i; k++)
			d->id += g->rules[k].id == d->id;
		slx_buf_put(&whole, one.p, one.n);
		hash_text(&whole, d->expr_text);
		slx_buf_u64(&whole, (uint64_t)d->hold_ns);
		slx_buf_u64(&whole, (uint64_t)d->keep_ns);
		hash_texts(&whole, &d->annotations);
	}
	bool failed = whole.failed || one.failed;
	g->hash = slx_hash128(whole.p, whole.n, 0);
	slx_buf_free(&whole);
	slx_buf_free(&one);
	return failed ? slx_err_oom(r->err) : SILEX_OK;
}

static silex_status group(struct reader *r, const struct slx_yaml *y, struct slx_rule_group_def *g)
{
	static const char *const known[] = { "name", "interval", "limit", "query_offset", "labels", "rules", NULL };
	const struct slx_yaml *at, *rules;
	struct slx_rule_texts labels = { 0 };
	SLX_TRY(keys(r, y, "rule group", known));
	SLX_TRY(text(r, y, "name", &g->name, &at));
	if (g->name.n == 0)
		return fail(r, y, "Groupname must not be empty");
	for (struct slx_rule_group_def *before = r->f->groups; before < g; before++)
		if (slx_str_eq(before->name, g->name))
			return fail(r, at, "groupname: \"%s\" is repeated in the same file", g->name.p);
	g->file = r->f;
	g->offset_ns = -1;
	SLX_TRY(duration(r, y, "interval", &g->interval_ns));
	SLX_TRY(duration(r, y, "query_offset", &g->offset_ns));
	SLX_TRY(count(r, y, "limit", &g->limit));
	SLX_TRY(pairs(r, slx_yaml_get(y, "labels"), "label", SLX_STR(""), NULL, &labels));
	rules = slx_yaml_get(y, "rules");
	if (slx_yaml_null(rules))
		return identify(r, g);
	if (rules->type != SLX_YAML_LIST)
		return fail(r, rules, "rules: expected a list");
	if (rules->n > RULES_MAX)
		return fail(r, rules, "more than %d rules in a group", RULES_MAX);
	g->rules = make(r, rules->n, sizeof *g->rules);
	if (!g->rules)
		return slx_err_oom(r->err);
	size_t number = 0;
	for (const struct slx_yaml *x = rules->child; x; x = x->next) {
		silex_status status = rule(r, x, &labels, &g->rules[g->n_rules++]); /* counted first, as above */
		const struct slx_rule_def *d = &g->rules[number++];
		if (status != SILEX_OK && r->err && status == SILEX_INVALID) {
			char words[sizeof r->err->message];
			snprintf(words, sizeof words, "%s", r->err->message);
			return slx_err(r->err, SILEX_INVALID, "%s (group \"%s\", rule %zu%s%s)", words, g->name.p, number, d->name.n ? ", " : "", d->name.n ? d->name.p : "");
		}
		SLX_TRY(status);
	}
	return identify(r, g);
}

static silex_status file(struct reader *r, const struct slx_yaml *root)
{
	static const char *const known[] = { "groups", NULL };
	if (!root)
		return SILEX_OK;
	SLX_TRY(keys(r, root, "rule file", known));
	const struct slx_yaml *groups = slx_yaml_get(root, "groups");
	if (slx_yaml_null(groups))
		return SILEX_OK;
	if (groups->type != SLX_YAML_LIST)
		return fail(r, groups, "groups: expected a list");
	r->f->groups = make(r, groups->n, sizeof *r->f->groups);
	if (!r->f->groups)
		return slx_err_oom(r->err);
	for (const struct slx_yaml *y = groups->child; y; y = y->next)
		SLX_TRY(group(r, y, &r->f->groups[r->f->n_groups++])); /* counted first, as above */
	return SILEX_OK;
}

/* ---- as a whole ---- */

silex_status slx_rule_file_parse(struct slx_mem *m, const char *name, const void *words, size_t n, bool experimental, struct slx_rule_file **ret,
	silex_error *err)
{
	struct slx_rule_file *f = slx_calloc(m, SLX_MEM_OTHER, sizeof *f);
	struct slx_yaml *root = NULL;
	struct slx_arena tree;
	if (!f)
		return slx_err_oom(err);
	f->mem = m;
	atomic_init(&f->refs, 1);
	slx_arena_init(&f->arena, m, SLX_MEM_OTHER, 64 << 10);
	slx_arena_init(&tree, m, SLX_MEM_OTHER, 64 << 10);
	struct reader r = { .f = f, .experimental = experimental, .err = err };
	f->name = copy(&r, slx_str(name));
	silex_status status = f->name.p ? slx_yaml_parse(&tree, name, words, n, &root, err) : slx_err_oom(err);
	if (status == SILEX_OK)
		status = file(&r, root);
	slx_arena_clear(&tree);
	if (status == SILEX_OK)
		*ret = f;
	else
		slx_rule_file_unref(f);
	return status;
}

silex_status slx_rule_file_read(struct slx_mem *m, const char *path, bool experimental, struct slx_rule_file **ret, silex_error *err)
{
	uint8_t *p;
	size_t n;
	SLX_TRY(slx_vfs_read_file(slx_vfs_posix(), m, path, SLX_RULE_FILE_SIZE_MAX, &p, &n, err));
	silex_status status = slx_rule_file_parse(m, path, p, n, experimental, ret, err);
	slx_free(m, SLX_MEM_OTHER, p, n);
	return status;
}

struct slx_rule_file *slx_rule_file_ref(struct slx_rule_file *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

static void free_texts(struct slx_rule_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		slx_template_free(t->v[i].template);
}

void slx_rule_file_unref(struct slx_rule_file *f)
{
	if (!f || atomic_fetch_sub(&f->refs, 1) > 1)
		return;
	for (size_t g = 0; g < f->n_groups; g++)
		for (size_t i = 0; i < f->groups[g].n_rules; i++) {
			struct slx_rule_def *d = &f->groups[g].rules[i];
			slx_promql_free(d->expr);
			free_texts(&d->labels);
			free_texts(&d->annotations);
		}
	slx_arena_clear(&f->arena);
	slx_free(f->mem, SLX_MEM_OTHER, f, sizeof *f);
}
