/* `rollups:` of the configuration: into policies of the database, at its opening and at each reload.
 *
 *     rollups:
 *       - {levels: [1m, 1h]}
 *       - {tenant: ward, selector: '{job="monitors"}', levels: [5m, 1h, 1d]}
 *
 * With the section the database has these policies and no others; without it those hold that applications set. Buckets of a policy
 * that goes stay until retention takes them. */
#include "model/matcher.h"
#include "model/model.h"
#include "server/server_int.h"

#include <silex/rollup.h>

enum { LEVELS_MAX = 8 };

struct policy {
	const char *tenant, *selector;
	int64_t widths[LEVELS_MAX];
	size_t n;
};

static silex_status read_selector(struct slx_mem *m, const struct slx_yaml *y, const char **ret, silex_error *err)
{
	struct slx_selector s = { 0 };
	silex_error e;
	SLX_TRY(slx_yaml_text(y, ret, err));
	*ret = *ret ? *ret : "";
	if (slx_selector_parse(m, slx_str(*ret), &s, &e) != SILEX_OK)
		return slx_yaml_err(y, err, "selector: %s", e.message);
	slx_selector_free(&s);
	return SILEX_OK;
}

static silex_status read_levels(const struct slx_yaml *y, const struct slx_yaml *levels, struct policy *p, silex_error *err)
{
	if (!levels || levels->type != SLX_YAML_LIST || levels->n == 0 || levels->n > LEVELS_MAX)
		return slx_yaml_err(levels ? levels : y, err, "levels: expected a list of 1 to %d widths of buckets such as 1m and 1h", LEVELS_MAX);
	for (const struct slx_yaml *l = levels->child; l; l = l->next) {
		int64_t ns = 0;
		SLX_TRY(slx_yaml_duration(l, SLX_SECOND, 7 * 86400 * SLX_SECOND, &ns, err));
		if (ns % SLX_SECOND)
			return slx_yaml_err(l, err, "a level is of whole seconds");
		for (size_t i = 0; i < p->n; i++)
			if (p->widths[i] == ns / SLX_MS)
				return slx_yaml_err(l, err, "this level is there already");
		p->widths[p->n++] = ns / SLX_MS;
	}
	return SILEX_OK;
}

static silex_status read_policy(struct slx_mem *m, const struct slx_config *c, const struct slx_yaml *y, struct policy *p, silex_error *err)
{
	static const char *const known[] = { "tenant", "selector", "levels", NULL };
	silex_error e;
	*p = (struct policy){ 0 };
	SLX_TRY(slx_yaml_keys(y, "a roll-up policy", known, err));
	SLX_TRY(slx_yaml_text(slx_yaml_get(y, "tenant"), &p->tenant, err));
	p->tenant = p->tenant ? p->tenant : c->tenants.fallback;
	if (slx_tenant_check(slx_str(p->tenant), &e) != SILEX_OK)
		return slx_yaml_err(y, err, "%s", e.message);
	SLX_TRY(read_selector(m, slx_yaml_get(y, "selector"), &p->selector, err));
	return read_levels(y, slx_yaml_get(y, "levels"), p, err);
}

typedef silex_status policy_fn(void *arg, const struct policy *p, silex_error *err);

static silex_status each_policy(struct slx_mem *m, const struct slx_config *c, policy_fn *each, void *arg, silex_error *err)
{
	if (!c->rollups || slx_yaml_null(c->rollups))
		return SILEX_OK;
	if (c->rollups->type != SLX_YAML_LIST)
		return slx_yaml_err(c->rollups, err, "rollups: expected a list of {tenant, selector, levels}");
	for (const struct slx_yaml *y = c->rollups->child; y; y = y->next) {
		struct policy p;
		SLX_TRY(read_policy(m, c, y, &p, err));
		SLX_TRY(each(arg, &p, err));
	}
	return SILEX_OK;
}

static silex_status nothing(void *arg, const struct policy *p, silex_error *err)
{
	(void)arg;
	(void)p;
	(void)err;
	return SILEX_OK;
}

silex_status slx_server_rollups_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	return each_policy(m, c, nothing, NULL, err);
}

/* ---- into the database ---- */

struct known {
	struct slx_buf text; /* tenant, 0, selector as the database writes it, 0 */
	silex_db *db;
	struct slx_mem *mem;
};

static void put_known(struct slx_buf *b, const char *tenant, const char *selector)
{
	slx_buf_put(b, tenant, strlen(tenant) + 1);
	slx_buf_put(b, selector, strlen(selector) + 1);
}

static silex_status set_one(void *arg, const struct policy *p, silex_error *err)
{
	struct known *k = arg;
	struct slx_selector s = { 0 };
	SLX_TRY(slx_selector_parse(k->mem, slx_str(p->selector), &s, err));
	slx_buf_put(&k->text, p->tenant, strlen(p->tenant) + 1);
	slx_selector_format(&s, &k->text);
	slx_buf_u8(&k->text, 0);
	slx_selector_free(&s);
	return silex_rollup_set(k->db, p->tenant, p->selector, p->widths, p->n, err);
}

static bool is_known(const struct known *k, const char *tenant, const char *selector)
{
	const char *at = (const char *)k->text.p, *end = at + k->text.n;
	while (at < end) {
		const char *of = at + strlen(at) + 1;
		if (strcmp(at, tenant) == 0 && strcmp(of, selector) == 0)
			return true;
		at = of + strlen(of) + 1;
	}
	return false;
}

struct strangers {
	const struct known *known;
	struct slx_buf text; /* as in known */
};

static bool note_stranger(void *arg, const silex_rollup *r)
{
	struct strangers *s = arg;
	if (!is_known(s->known, r->tenant, r->selector))
		put_known(&s->text, r->tenant, r->selector);
	return true;
}

static silex_status remove_strangers(struct known *k, silex_error *err)
{
	struct strangers s = { .known = k };
	slx_buf_init(&s.text, k->mem, SLX_MEM_OTHER, 1 << 24);
	silex_status st = silex_rollup_list(k->db, note_stranger, &s, err);
	if (st == SILEX_OK && s.text.failed)
		st = slx_err_oom(err);
	for (size_t i = 0; i < s.text.n && st == SILEX_OK;) {
		const char *tenant = (const char *)s.text.p + i, *selector = tenant + strlen(tenant) + 1;
		st = silex_rollup_set(k->db, tenant, selector, NULL, 0, err);
		i += strlen(tenant) + strlen(selector) + 2;
	}
	slx_buf_free(&s.text);
	return st;
}

silex_status slx_server_rollups_apply(struct slx_mem *m, silex_db *db, const struct slx_config *c, silex_error *err)
{
	struct known k = { .db = db, .mem = m };
	if (!c->rollups)
		return SILEX_OK;
	slx_buf_init(&k.text, m, SLX_MEM_OTHER, 1 << 24);
	silex_status st = each_policy(m, c, set_one, &k, err);
	if (st == SILEX_OK && k.text.failed)
		st = slx_err_oom(err);
	if (st == SILEX_OK)
		st = remove_strangers(&k, err);
	slx_buf_free(&k.text);
	return st;
}
