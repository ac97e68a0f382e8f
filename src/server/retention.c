/* `retention:` of the configuration: into rules, and to the database at its opening and at each reload.
 *
 *     retention:
 *       rules:
 *         - {tenant: ward, selector: '{study="A17"}', hold: court order 12/26}
 *         - {tenant: ward, selector: ecg_mv, keep: 14d}
 *         - {rollup: 1h, keep: 5y}
 *         - {keep: 1y}
 *       size_max: 200GB
 *       dedup:
 *         - {tenant: prometheus, interval: 30s}
 *
 * Without the section the rules that applications set in the database hold; those of an earlier configuration go. */
#include "model/matcher.h"
#include "model/model.h"
#include "server/server_int.h"

#include <silex/retention.h>

static const char ORIGIN[] = "configuration";

static silex_status read_tenant(const struct slx_yaml *y, const char **ret, silex_error *err)
{
	silex_error e;
	const struct slx_yaml *t = slx_yaml_get(y, "tenant");
	SLX_TRY(slx_yaml_text(t, ret, err));
	if (*ret && slx_tenant_check(slx_str(*ret), &e) != SILEX_OK)
		return slx_yaml_err(t, err, "%s", e.message);
	return SILEX_OK;
}

static silex_status read_span(const struct slx_yaml *y, const char *key, int64_t *ret_ms, silex_error *err)
{
	int64_t ns = 0;
	SLX_TRY(slx_yaml_duration(slx_yaml_get(y, key), 0, INT64_MAX, &ns, err));
	*ret_ms = ns / SLX_MS;
	return SILEX_OK;
}

static silex_status check_selector(struct slx_mem *m, const struct slx_yaml *y, const char *text, silex_error *err)
{
	struct slx_selector s = { 0 };
	silex_error e;
	if (text && slx_selector_parse(m, slx_str(text), &s, &e) != SILEX_OK)
		return slx_yaml_err(y, err, "selector: %s", e.message);
	slx_selector_free(&s);
	return SILEX_OK;
}

static silex_status read_rule(struct slx_mem *m, const struct slx_yaml *y, silex_retention_rule *x, silex_error *err)
{
	static const char *const known[] = { "tenant", "selector", "rollup", "keep", "hold", NULL };
	SLX_TRY(slx_yaml_keys(y, "a rule of retention", known, err));
	SLX_TRY(read_tenant(y, &x->tenant, err));
	SLX_TRY(slx_yaml_text(slx_yaml_get(y, "selector"), &x->selector, err));
	SLX_TRY(check_selector(m, slx_yaml_get(y, "selector"), x->selector, err));
	SLX_TRY(slx_yaml_text(slx_yaml_get(y, "rollup"), &x->rollup, err));
	SLX_TRY(slx_yaml_text(slx_yaml_get(y, "hold"), &x->hold, err));
	SLX_TRY(read_span(y, "keep", &x->keep_ms, err));
	bool keep = slx_yaml_get(y, "keep");
	if (keep == (x->hold && *x->hold))
		return slx_yaml_err(y, err, "a rule of retention: expected keep (a duration; 0 for ever) or hold (the name of a legal hold), one of them");
	return x->hold && x->rollup ? slx_yaml_err(y, err, "a hold concerns samples and all their roll-ups; expected no rollup") : SILEX_OK;
}

static silex_status read_dedup(const struct slx_yaml *y, silex_dedup *x, silex_error *err)
{
	static const char *const known[] = { "tenant", "interval", NULL };
	SLX_TRY(slx_yaml_keys(y, "an entry of dedup", known, err));
	SLX_TRY(read_tenant(y, &x->tenant, err));
	return read_span(y, "interval", &x->interval_ms, err);
}

/* A list's rows, zeroed, in the arena. */
static silex_status make_rows(struct slx_arena *a, const struct slx_yaml *y, const char *name, size_t size, void **ret, silex_error *err)
{
	*ret = NULL;
	if (!y || slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_LIST)
		return slx_yaml_err(y, err, "retention.%s: expected a list", name);
	*ret = slx_arena_alloc(a, y->n * size, 8);
	if (!*ret)
		return slx_err_oom(err);
	memset(*ret, 0, y->n * size);
	return SILEX_OK;
}

static silex_status read_all(struct slx_mem *m, struct slx_arena *a, const struct slx_yaml *y, silex_retention *ret, silex_error *err)
{
	static const char *const known[] = { "rules", "size_max", "dedup", NULL };
	const struct slx_yaml *rules = slx_yaml_get(y, "rules"), *dedup = slx_yaml_get(y, "dedup"), *row;
	silex_retention_rule *rule;
	silex_dedup *interval;
	silex_retention_init(ret);
	ret->origin = ORIGIN;
	if (slx_yaml_null(y))
		return SILEX_OK;
	SLX_TRY(slx_yaml_keys(y, "retention", known, err));
	SLX_TRY(make_rows(a, rules, "rules", sizeof *rule, (void **)&rule, err));
	SLX_TRY(make_rows(a, dedup, "dedup", sizeof *interval, (void **)&interval, err));
	for (row = rule ? rules->child : NULL; row; row = row->next)
		SLX_TRY(read_rule(m, row, &rule[ret->n_rules++], err));
	for (row = interval ? dedup->child : NULL; row; row = row->next)
		SLX_TRY(read_dedup(row, &interval[ret->n_dedup++], err));
	ret->rules = rule;
	ret->dedup = interval;
	return slx_yaml_count(slx_yaml_get(y, "size_max"), 0, INT64_MAX, &ret->size_max, err);
}

silex_status slx_server_retention_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	struct slx_arena a;
	silex_retention r;
	slx_arena_init(&a, m, SLX_MEM_OTHER, 64 << 10);
	silex_status st = c->retention ? read_all(m, &a, c->retention, &r, err) : SILEX_OK;
	slx_arena_clear(&a);
	return st;
}

/* Whether the rules in force are those of a configuration. */
static silex_status are_configured(silex_db *db, bool *ret, silex_error *err)
{
	silex_retention *r;
	SLX_TRY(silex_get_retention(db, &r, err));
	*ret = r->origin && strcmp(r->origin, ORIGIN) == 0;
	silex_retention_free(db, r);
	return SILEX_OK;
}

silex_status slx_server_retention_apply(struct slx_mem *m, silex_db *db, const struct slx_config *c, silex_error *err)
{
	struct slx_arena a;
	silex_retention r;
	bool configured;
	SLX_TRY(are_configured(db, &configured, err));
	if (!c->retention && !configured)
		return SILEX_OK;
	slx_arena_init(&a, m, SLX_MEM_OTHER, 64 << 10);
	silex_status st = read_all(m, &a, c->retention, &r, err);
	if (st == SILEX_OK)
		st = silex_set_retention(db, &r, err);
	slx_arena_clear(&a);
	return st;
}
