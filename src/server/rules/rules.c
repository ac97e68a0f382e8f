#include "server/rules/rules_int.h"

#include <glob.h>
#include <stdio.h>

enum { SOURCES_MAX = 10000, PATH_SIZE = 4096 };

/* The files of a configuration, and what evaluation needs to know of it. */
struct set {
	struct slx_mem *mem;
	struct slx_rules_source *sources;
	size_t n, cap;
	struct slx_rule_env env;
	struct slx_labels_builder labels; /* holds env.external_labels */
	bool experimental;
};

static void clear(struct set *s)
{
	for (size_t i = 0; i < s->n; i++)
		slx_rule_file_unref(s->sources[i].file);
	slx_free(s->mem, SLX_MEM_OTHER, s->sources, s->cap * sizeof *s->sources);
	slx_labels_builder_free(&s->labels);
}

/* ---- files ---- */

static silex_status source_room(struct set *s, silex_error *err)
{
	if (s->n == SOURCES_MAX)
		return slx_err(err, SILEX_INVALID, "more than %d rule files", SOURCES_MAX);
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct slx_rules_source *p = slx_realloc(s->mem, SLX_MEM_OTHER, s->sources, s->cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return slx_err_oom(err);
		s->sources = p;
		s->cap = cap;
	}
	return SILEX_OK;
}

static silex_status add_file(struct set *s, struct slx_str tenant, const char *path, silex_error *err)
{
	for (size_t i = 0; i < s->n; i++)
		if (slx_str_eq(s->sources[i].file->name, slx_str(path)) && slx_str_eq(s->sources[i].tenant, tenant))
			return SILEX_OK; /* two patterns, one file */
	SLX_TRY(source_room(s, err));
	s->sources[s->n].tenant = tenant;
	SLX_TRY(slx_rule_file_read(s->mem, path, s->experimental, &s->sources[s->n].file, err));
	s->n++;
	return SILEX_OK;
}

/* A pattern is taken from the folder of the configuration file. One without a wildcard names a file that must be there. */
static silex_status add_pattern(struct set *s, const char *config, struct slx_str tenant, const char *pattern, silex_error *err)
{
	char path[PATH_SIZE];
	const char *slash = config ? strrchr(config, '/') : NULL;
	glob_t g;
	silex_status status = SILEX_OK;
	snprintf(path, sizeof path, "%.*s%s", pattern[0] == '/' || !slash ? 0 : (int)(slash - config + 1), config, pattern);
	if (!strpbrk(path, "*?["))
		return add_file(s, tenant, path, err);
	if (glob(path, 0, NULL, &g) != 0)
		return SILEX_OK;
	for (size_t i = 0; i < g.gl_pathc && status == SILEX_OK; i++)
		status = add_file(s, tenant, g.gl_pathv[i], err);
	globfree(&g);
	return status;
}

static silex_status add_tenant(struct set *s, const struct slx_config *c, const struct slx_yaml *y, silex_error *err)
{
	silex_error why;
	if (slx_tenant_check(slx_str(y->key), &why) != SILEX_OK)
		return slx_yaml_err(y, err, "rules.tenants: %s", why.message);
	if (y->type != SLX_YAML_LIST)
		return slx_yaml_err(y, err, "rules.tenants: expected a list of rule files");
	for (const struct slx_yaml *f = y->child; f; f = f->next) {
		const char *pattern = "";
		SLX_TRY(slx_yaml_text(f, &pattern, err));
		SLX_TRY(add_pattern(s, c->file, slx_str(y->key), pattern, err));
	}
	return SILEX_OK;
}

static silex_status add_files(struct set *s, const struct slx_config *c, silex_error *err)
{
	const struct slx_yaml *tenants = c->rules.tenants;
	for (size_t i = 0; i < c->rule_files.n; i++)
		SLX_TRY(add_pattern(s, c->file, slx_str(c->tenants.fallback), c->rule_files.v[i], err));
	if (slx_yaml_null(tenants))
		return SILEX_OK;
	if (tenants->type != SLX_YAML_MAP)
		return slx_yaml_err(tenants, err, "rules.tenants: expected tenants with lists of rule files");
	for (const struct slx_yaml *y = tenants->child; y; y = y->next)
		SLX_TRY(add_tenant(s, c, y, err));
	return SILEX_OK;
}

/* ---- what evaluation needs ---- */

static silex_status external_labels(struct set *s, const struct slx_yaml *y, silex_error *err)
{
	silex_error why;
	slx_labels_builder_reset(&s->labels);
	for (const struct slx_yaml *l = slx_yaml_null(y) || y->type != SLX_YAML_MAP ? NULL : y->child; l; l = l->next) {
		const char *value = "";
		SLX_TRY(slx_yaml_text(l, &value, err));
		slx_labels_builder_add(&s->labels, slx_str(l->key), slx_str(value));
	}
	if (slx_labels_builder_finish(&s->labels, &s->env.external_labels, &why) != SILEX_OK)
		return slx_yaml_err(y, err, "external_labels: %s", why.message);
	return SILEX_OK;
}

static silex_status surroundings(struct set *s, const struct slx_config *c, silex_error *err)
{
	s->env.external_url = slx_str(c->http.external_url);
	s->env.lookback_ms = c->promql.lookback / SLX_MS;
	s->env.timeout_ns = c->promql.timeout;
	s->env.samples_max = c->promql.samples_max;
	s->env.experimental = s->experimental;
	s->env.interval_ns = SLX_MINUTE;
	s->env.max_lateness_ns = c->rules.max_lateness;
	SLX_TRY(slx_yaml_duration(slx_yaml_get(c->global, "evaluation_interval"), SLX_MS, SLX_YEAR, &s->env.interval_ns, err));
	SLX_TRY(slx_yaml_duration(slx_yaml_get(c->global, "rule_query_offset"), 0, SLX_YEAR, &s->env.offset_ns, err));
	s->env.subquery_step_ms = s->env.interval_ns / SLX_MS;
	return external_labels(s, slx_yaml_get(c->global, "external_labels"), err);
}

static silex_status read_set(struct slx_mem *m, const struct slx_config *c, struct set *ret, silex_error *err)
{
	*ret = (struct set){ .mem = m, .experimental = c->promql.experimental };
	slx_labels_builder_init(&ret->labels, m, SLX_MEM_OTHER, NULL);
	silex_status status = surroundings(ret, c, err);
	if (status == SILEX_OK)
		status = add_files(ret, c, err);
	if (status != SILEX_OK)
		clear(ret);
	return status;
}

silex_status slx_server_rules_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	struct set s;
	SLX_TRY(read_set(m, c, &s, err));
	clear(&s);
	return SILEX_OK;
}

/* ---- life ---- */

static silex_status add_api(struct set *s, const struct slx_server_rules *r, silex_error *err)
{
	for (const struct slx_api_rule *x = r->api; x; x = x->next) {
		SLX_TRY(source_room(s, err));
		s->sources[s->n++] = (struct slx_rules_source){ x->tenant, slx_rule_file_ref(x->file) };
	}
	return SILEX_OK;
}

silex_status slx_server_rules_take(struct slx_server_rules *r, silex_error *err)
{
	struct set s;
	SLX_TRY(read_set(slx_api_mem(slx_core_db(r->core)), slx_core_config(r->core), &s, err));
	silex_status status = add_api(&s, r, err);
	if (status == SILEX_OK)
		status = slx_rules_set(r->rules, &s.env, s.sources, s.n, err);
	clear(&s);
	return status;
}

silex_status slx_server_rules_start(struct slx_core *core, struct slx_server_rules **ret, silex_error *err)
{
	silex_db *db = slx_core_db(core);
	struct slx_server_rules *r = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *r);
	if (!r)
		return slx_err_oom(err);
	r->core = core;
	r->alerts = slx_api_alerts(db);
	pthread_mutex_init(&r->lock, NULL);
	*ret = r; /* freed by the caller, on failure too */
	SLX_TRY(slx_rules_new(slx_api_engine(db), r->alerts, &r->rules, err));
	SLX_TRY(slx_server_rules_load(r, err));
	SLX_TRY(slx_server_rules_take(r, err));
	slx_server_rules_metrics(r);
	return slx_rules_start(r->rules, (unsigned)slx_core_config(core)->rules.threads, err);
}

void slx_server_rules_reload(struct slx_server_rules *r)
{
	silex_error err;
	pthread_mutex_lock(&r->lock);
	silex_status status = slx_server_rules_take(r, &err);
	pthread_mutex_unlock(&r->lock);
	if (status != SILEX_OK)
		slx_log(r->core->log, SLX_LOG_ERROR, "rules stay as they were", SLX_TEXT("error", err.message));
}

void slx_server_rules_stop(struct slx_server_rules *r)
{
	if (r)
		slx_rules_stop(r->rules);
}

void slx_server_rules_free(struct slx_server_rules *r)
{
	if (!r)
		return;
	slx_rules_stop(r->rules);
	slx_rules_free(r->rules);
	slx_server_rules_api_free(r);
	pthread_mutex_destroy(&r->lock);
	slx_free(r->core->mem, SLX_MEM_OTHER, r, sizeof *r);
}
