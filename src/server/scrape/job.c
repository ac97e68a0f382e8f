#include "server/scrape/scrape_int.h"

#include <stdio.h>

enum { INTERVAL_DEFAULT_S = 60, TIMEOUT_DEFAULT_S = 10, FILE_REFRESH_S = 300, HTTP_REFRESH_S = 60 };

/* ---- words of the configuration ---- */

static silex_status text(const struct slx_yaml *map, const char *key, const char **ret, silex_error *err)
{
	return slx_yaml_text(slx_yaml_get(map, key), ret, err);
}

static silex_status duration(const struct slx_yaml *map, const char *key, int64_t *ret, silex_error *err)
{
	return slx_yaml_duration(slx_yaml_get(map, key), SLX_MS, SLX_WEEK, ret, err);
}

/* params: {name: [value, ...]} */
static silex_status params(struct slx_arena *a, const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	size_t n = 0;
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "params: expected names with lists of values");
	for (const struct slx_yaml *p = y->child; p; p = p->next)
		n += p->n + 1;
	j->params = slx_arena_alloc(a, n * sizeof *j->params, 8);
	if (!j->params)
		return slx_err_oom(err);
	for (const struct slx_yaml *p = y->child; p; p = p->next) {
		if (p->type != SLX_YAML_LIST)
			return slx_yaml_err(p, err, "params: %s: expected a list of values", p->key);
		for (const struct slx_yaml *v = p->child; v; v = v->next) {
			if (v->type != SLX_YAML_SCALAR)
				return slx_yaml_err(v, err, "params: %s: expected a value", p->key);
			j->params[j->n_params++] = (struct scrape_param){ p->key, v->text.p };
		}
	}
	return SILEX_OK;
}

/* ---- where targets come from ---- */

static silex_status file_source(const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	static const char *const keys[] = { "files", "refresh_interval", NULL };
	int64_t refresh = FILE_REFRESH_S * SLX_SECOND;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "file_sd_configs: expected files");
	SLX_TRY(slx_yaml_keys(y, "file_sd_configs", keys, err));
	SLX_TRY(duration(y, "refresh_interval", &refresh, err));
	const struct slx_yaml *files = slx_yaml_get(y, "files");
	if (slx_yaml_null(files) || files->type != SLX_YAML_LIST)
		return slx_yaml_err(y, err, "file_sd_configs: files: expected a list of paths");
	for (const struct slx_yaml *f = files->child; f; f = f->next)
		j->sources[j->n_sources++] = (struct scrape_source){ .type = SOURCE_FILE, .where = f->text.p, .refresh = refresh };
	return SILEX_OK;
}

static silex_status http_source(const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	static const char *const keys[] = { "url", "refresh_interval", "basic_auth", "authorization", "tls_config", "follow_redirects", NULL };
	struct scrape_source s = { .type = SOURCE_HTTP, .refresh = HTTP_REFRESH_S * SLX_SECOND };
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "http_sd_configs: expected a url");
	SLX_TRY(slx_yaml_keys(y, "http_sd_configs", keys, err));
	SLX_TRY(duration(y, "refresh_interval", &s.refresh, err));
	SLX_TRY(text(y, "url", &s.where, err));
	SLX_TRY(slx_auth_read(y, &s.auth, err));
	if (!s.where)
		return slx_yaml_err(y, err, "http_sd_configs: expected a url");
	j->sources[j->n_sources++] = s;
	return SILEX_OK;
}

static silex_status check_groups(const struct slx_yaml *groups, silex_error *err)
{
	static const char *const keys[] = { "targets", "labels", NULL };
	for (const struct slx_yaml *g = groups->child; g; g = g->next) {
		if (g->type != SLX_YAML_MAP)
			return slx_yaml_err(g, err, "static_configs: expected targets");
		SLX_TRY(slx_yaml_keys(g, "static_configs", keys, err));
	}
	return SILEX_OK;
}

static silex_status sources(struct slx_arena *a, const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	const struct slx_yaml *lists[] = { slx_yaml_get(y, "static_configs"), slx_yaml_get(y, "file_sd_configs"), slx_yaml_get(y, "http_sd_configs") };
	size_t n = 1;
	for (size_t i = 0; i < 3; i++) {
		if (slx_yaml_null(lists[i]))
			continue;
		if (lists[i]->type != SLX_YAML_LIST)
			return slx_yaml_err(lists[i], err, "%s: expected a list", lists[i]->key);
		for (const struct slx_yaml *s = lists[i]->child; s; s = s->next) {
			const struct slx_yaml *files = i == 1 ? slx_yaml_get(s, "files") : NULL;
			n += files ? files->n : 1;
		}
	}
	j->sources = slx_arena_alloc(a, n * sizeof *j->sources, 8);
	if (!j->sources)
		return slx_err_oom(err);
	if (!slx_yaml_null(lists[0])) {
		SLX_TRY(check_groups(lists[0], err));
		j->sources[j->n_sources++] = (struct scrape_source){ .type = SOURCE_STATIC, .groups = lists[0] };
	}
	for (const struct slx_yaml *s = slx_yaml_null(lists[1]) ? NULL : lists[1]->child; s; s = s->next)
		SLX_TRY(file_source(s, j, err));
	for (const struct slx_yaml *s = slx_yaml_null(lists[2]) ? NULL : lists[2]->child; s; s = s->next)
		SLX_TRY(http_source(s, j, err));
	return SILEX_OK;
}

/* ---- jobs ---- */

static const char *const job_keys[] = { "job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params", "honor_labels",
	"honor_timestamps", "basic_auth", "authorization", "bearer_token", "bearer_token_file", "tls_config", "follow_redirects", "static_configs",
	"file_sd_configs", "http_sd_configs", "relabel_configs", "metric_relabel_configs", "sample_limit", "label_limit", "body_size_limit", "tenant", NULL };

static silex_status limits(const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "sample_limit"), 0, UINT32_MAX, &j->sample_limit, err));
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "label_limit"), 0, UINT32_MAX, &j->label_limit, err));
	return slx_yaml_count(slx_yaml_get(y, "body_size_limit"), 0, UINT32_MAX, &j->body_size_limit, err);
}

static silex_status job(struct slx_mem *m, struct slx_arena *a, const struct slx_config *c, const struct slx_yaml *y, struct scrape_job *j, silex_error *err)
{
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "scrape_configs: expected a job");
	SLX_TRY(slx_yaml_keys(y, "scrape_configs", job_keys, err));
	*j = (struct scrape_job){
		.metrics_path = "/metrics", .scheme = "http", .tenant = c->tenants.fallback, .honor_timestamps = true, .interval = INTERVAL_DEFAULT_S * SLX_SECOND,
	};
	int64_t timeout = 0, global_timeout = TIMEOUT_DEFAULT_S * SLX_SECOND;
	SLX_TRY(duration(c->global, "scrape_interval", &j->interval, err));
	SLX_TRY(duration(c->global, "scrape_timeout", &global_timeout, err));
	SLX_TRY(duration(y, "scrape_interval", &j->interval, err));
	SLX_TRY(duration(y, "scrape_timeout", &timeout, err));
	if (timeout > j->interval)
		return slx_yaml_err(slx_yaml_get(y, "scrape_timeout"), err, "scrape_timeout is longer than scrape_interval");
	j->timeout = timeout ? timeout : global_timeout < j->interval ? global_timeout : j->interval;
	SLX_TRY(text(y, "job_name", &j->name, err));
	if (!j->name || !*j->name)
		return slx_yaml_err(y, err, "expected a job_name");
	SLX_TRY(text(y, "metrics_path", &j->metrics_path, err));
	SLX_TRY(text(y, "scheme", &j->scheme, err));
	if (strcmp(j->scheme, "http") != 0 && strcmp(j->scheme, "https") != 0)
		return slx_yaml_err(slx_yaml_get(y, "scheme"), err, "scheme: expected http or https");
	SLX_TRY(text(y, "tenant", &j->tenant, err));
	silex_error why;
	if (slx_tenant_check(slx_str(j->tenant), &why) != SILEX_OK)
		return slx_yaml_err(slx_yaml_get(y, "tenant"), err, "%s", why.message);
	SLX_TRY(slx_yaml_bool(slx_yaml_get(y, "honor_labels"), &j->honor_labels, err));
	SLX_TRY(slx_yaml_bool(slx_yaml_get(y, "honor_timestamps"), &j->honor_timestamps, err));
	SLX_TRY(slx_auth_read(y, &j->auth, err));
	SLX_TRY(params(a, slx_yaml_get(y, "params"), j, err));
	SLX_TRY(limits(y, j, err));
	SLX_TRY(sources(a, y, j, err));
	SLX_TRY(slx_relabel_parse(m, a, slx_yaml_get(y, "relabel_configs"), &j->relabel, err));
	return slx_relabel_parse(m, a, slx_yaml_get(y, "metric_relabel_configs"), &j->metric_relabel, err);
}

void scrape_jobs_clear(struct scrape_jobs *j)
{
	for (size_t i = 0; i < j->n; i++) {
		slx_relabel_clear(&j->v[i].relabel);
		slx_relabel_clear(&j->v[i].metric_relabel);
	}
	slx_arena_clear(&j->arena);
	j->n = 0;
	j->v = NULL;
}

silex_status scrape_jobs_read(struct slx_mem *m, const struct slx_config *c, struct scrape_jobs *ret, silex_error *err)
{
	const struct slx_yaml *list = c->scrape_configs;
	*ret = (struct scrape_jobs){ 0 };
	slx_arena_init(&ret->arena, m, SLX_MEM_OTHER, 1 << 16);
	if (slx_yaml_null(list))
		return SILEX_OK;
	if (list->type != SLX_YAML_LIST)
		return slx_yaml_err(list, err, "scrape_configs: expected a list of jobs");
	ret->v = slx_arena_alloc(&ret->arena, (list->n + 1) * sizeof *ret->v, 8);
	silex_status st = ret->v ? SILEX_OK : slx_err_oom(err);
	if (ret->v)
		memset(ret->v, 0, (list->n + 1) * sizeof *ret->v);
	for (const struct slx_yaml *y = list->child; y && st == SILEX_OK; y = y->next) {
		st = job(m, &ret->arena, c, y, &ret->v[ret->n++], err);
		for (size_t i = 0; i + 1 < ret->n && st == SILEX_OK; i++)
			if (strcmp(ret->v[i].name, ret->v[ret->n - 1].name) == 0)
				st = slx_yaml_err(y, err, "job_name \"%s\" stands twice", ret->v[i].name);
	}
	if (st != SILEX_OK)
		scrape_jobs_clear(ret);
	return st;
}

silex_status slx_scrape_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	struct scrape_jobs jobs;
	silex_status st = scrape_jobs_read(m, c, &jobs, err);
	if (st == SILEX_OK)
		scrape_jobs_clear(&jobs);
	return st;
}
