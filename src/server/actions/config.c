/* `alerting` as in Prometheus, and `notify`:
 *
 *     alerting:
 *       alertmanagers:
 *         - static_configs: [{targets: [localhost:9093]}]
 *     notify:
 *       webhooks: [{name: pager, url: https://pager.example/hook, secret_file: /etc/silex/pager}]
 *       commands: [{name: siren, command: [/usr/local/bin/siren, --on]}] */
#include "server/actions/actions_int.h"

#include <stdio.h>

enum { TIMEOUT_S = 10, CONCURRENCY = 4, QUEUE_MAX = 20000, QUEUE_LEAST = 10, QUEUE_MOST = 1000000, NAME_MAX_SIZE = 100, ARGV_MAX = 64 };

static silex_status text(const struct slx_yaml *map, const char *key, const char **ret, silex_error *err)
{
	return slx_yaml_text(slx_yaml_get(map, key), ret, err);
}

static silex_status duration(const struct slx_yaml *map, const char *key, int64_t min, int64_t *ret, silex_error *err)
{
	return slx_yaml_duration(slx_yaml_get(map, key), min, SLX_WEEK, ret, err);
}

/* The items of a list under key; *ret_n 0 when it is absent. */
static silex_status items(const struct slx_yaml *map, const char *key, const struct slx_yaml **ret, size_t *ret_n, silex_error *err)
{
	const struct slx_yaml *y = slx_yaml_get(map, key);
	*ret = NULL;
	*ret_n = 0;
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_LIST)
		return slx_yaml_err(y, err, "%s: expected a list", key);
	if (y->n > ACT_RECEIVERS_MAX)
		return slx_yaml_err(y, err, "%s: %zu given, at most %d are possible", key, y->n, ACT_RECEIVERS_MAX);
	*ret = y->child;
	*ret_n = y->n;
	return SILEX_OK;
}

static void *array(struct act_config *c, size_t n, size_t size)
{
	void *p = slx_arena_alloc(&c->arena, n * size + 1, 8);
	if (p)
		memset(p, 0, n * size);
	return p;
}

/* ---- Alertmanagers ---- */

static silex_status check_word(const struct slx_yaml *y, const char *key, const char *value, const char *one, const char *other, silex_error *err)
{
	if (strcmp(value, one) == 0 || (other && strcmp(value, other) == 0))
		return SILEX_OK;
	return slx_yaml_err(slx_yaml_get(y, key), err, "%s: \"%s\" given, expected %s%s%s", key, value, one, other ? " or " : "", other ? other : "");
}

static silex_status endpoint(struct act_config *c, const struct slx_yaml *target, const char *scheme, const char *prefix, const struct act_endpoint *like,
	silex_error *err)
{
	if (c->n_endpoints == ACT_RECEIVERS_MAX)
		return slx_yaml_err(target, err, "alertmanagers: at most %d are possible", ACT_RECEIVERS_MAX);
	if (target->type != SLX_YAML_SCALAR || !target->text.n || strpbrk(target->text.p, "/ "))
		return slx_yaml_err(target, err, "targets: expected host:port, without scheme and path");
	size_t n = strlen(scheme) + strlen(prefix) + target->text.n + 32, prefix_n = strlen(prefix);
	char *url = slx_arena_alloc(&c->arena, n, 1);
	if (!url)
		return slx_err_oom(err);
	while (prefix_n && prefix[prefix_n - 1] == '/')
		prefix_n--;
	snprintf(url, n, "%s://%s%s%.*s/api/v2/alerts", scheme, target->text.p, *prefix == '/' || !prefix_n ? "" : "/", (int)prefix_n, prefix);
	c->endpoints[c->n_endpoints] = *like;
	c->endpoints[c->n_endpoints++].url = url;
	return SILEX_OK;
}

static silex_status alertmanager(struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	static const char *const keys[] = { "scheme", "path_prefix", "timeout", "api_version", "static_configs", "basic_auth", "authorization",
		"bearer_token", "bearer_token_file", "tls_config", "follow_redirects", NULL };
	static const char *const group_keys[] = { "targets", "labels", NULL };
	const char *scheme = "http", *prefix = "", *version = "v2";
	struct act_endpoint like = { .timeout = TIMEOUT_S * SLX_SECOND };
	const struct slx_yaml *groups;
	size_t n;
	SLX_TRY(slx_yaml_keys(y, "alertmanagers", keys, err));
	SLX_TRY(text(y, "scheme", &scheme, err));
	SLX_TRY(text(y, "path_prefix", &prefix, err));
	SLX_TRY(text(y, "api_version", &version, err));
	SLX_TRY(check_word(y, "scheme", scheme, "http", "https", err));
	SLX_TRY(check_word(y, "api_version", version, "v2", NULL, err));
	SLX_TRY(duration(y, "timeout", SLX_MS, &like.timeout, err));
	SLX_TRY(slx_auth_read(y, &like.auth, err));
	SLX_TRY(items(y, "static_configs", &groups, &n, err));
	if (!n)
		return slx_yaml_err(y, err, "alertmanagers: expected static_configs with targets (discovery of Alertmanagers is not there)");
	for (; groups; groups = groups->next) {
		const struct slx_yaml *target;
		SLX_TRY(slx_yaml_keys(groups, "static_configs", group_keys, err));
		SLX_TRY(items(groups, "targets", &target, &n, err));
		for (; target; target = target->next)
			SLX_TRY(endpoint(c, target, scheme, prefix, &like, err));
	}
	return SILEX_OK;
}

static silex_status alerting(struct slx_mem *mem, struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	static const char *const keys[] = { "alertmanagers", "alert_relabel_configs", NULL };
	const struct slx_yaml *m;
	size_t n;
	SLX_TRY(slx_yaml_keys(y, "alerting", keys, err));
	SLX_TRY(slx_relabel_parse(mem, &c->arena, slx_yaml_get(y, "alert_relabel_configs"), &c->relabel, err));
	SLX_TRY(items(y, "alertmanagers", &m, &n, err));
	c->endpoints = array(c, ACT_RECEIVERS_MAX, sizeof *c->endpoints);
	if (!c->endpoints)
		return slx_err_oom(err);
	for (; m; m = m->next)
		SLX_TRY(alertmanager(c, m, err));
	return SILEX_OK;
}

/* ---- what webhooks and commands have in common ---- */

/* Names are labels of metrics and of the outbox, which knows a receiver by its name. */
static silex_status name(const struct slx_yaml *y, const char *what, const char **ret, silex_error *err)
{
	SLX_TRY(text(y, "name", ret, err));
	if (!*ret || !**ret)
		return slx_yaml_err(y, err, "%s: expected a name", what);
	if (strlen(*ret) > NAME_MAX_SIZE || strspn(*ret, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(*ret))
		return slx_yaml_err(slx_yaml_get(y, "name"), err, "name: \"%s\" given, expected at most %d letters, digits, '_', '.', '-'", *ret, NAME_MAX_SIZE);
	return SILEX_OK;
}

static silex_status filter(struct slx_mem *m, const struct slx_yaml *y, struct act_filter *f, silex_error *err)
{
	const char *match = NULL;
	silex_error why;
	f->send_resolved = true;
	SLX_TRY(slx_yaml_bool(slx_yaml_get(y, "send_resolved"), &f->send_resolved, err));
	SLX_TRY(text(y, "match", &match, err));
	if (match && slx_selector_parse(m, slx_str(match), &f->match, &why) != SILEX_OK)
		return slx_yaml_err(slx_yaml_get(y, "match"), err, "match: %s", why.message);
	return SILEX_OK;
}

bool act_filter_takes(const struct act_filter *f, const struct act_note *n)
{
	bool match = true;
	if (!act_note_fires(n) && !f->send_resolved)
		return false;
	/* an expression that cannot be run says nothing about the alert: better one too many */
	return slx_matchers_test(f->match.matchers, f->match.n, n->event.alert.labels, &match, NULL) != SILEX_OK || match;
}

/* ---- webhooks, commands ---- */

static silex_status hook(struct slx_mem *m, struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	static const char *const keys[] = { "name", "url", "secret", "secret_file", "match", "send_resolved", "timeout", "expire_after", "concurrency", "queue_max",
		"basic_auth", "authorization", "bearer_token", "bearer_token_file", "tls_config", NULL };
	struct act_hook *h = &c->hooks[c->n_hooks++];
	*h = (struct act_hook){ .timeout = TIMEOUT_S * SLX_SECOND, .expire_after = ACT_EXPIRE_AFTER, .concurrency = CONCURRENCY, .queue_max = QUEUE_MAX };
	SLX_TRY(slx_yaml_keys(y, "webhooks", keys, err));
	SLX_TRY(name(y, "webhooks", &h->name, err));
	SLX_TRY(text(y, "url", &h->url, err));
	if (!h->url || (strncmp(h->url, "http://", 7) != 0 && strncmp(h->url, "https://", 8) != 0))
		return slx_yaml_err(y, err, "webhooks: expected a url that begins with http:// or https://");
	SLX_TRY(text(y, "secret", &h->secret, err));
	SLX_TRY(text(y, "secret_file", &h->secret_file, err));
	if (h->secret && h->secret_file)
		return slx_yaml_err(y, err, "webhooks: secret or secret_file, not both");
	SLX_TRY(duration(y, "timeout", SLX_MS, &h->timeout, err));
	SLX_TRY(duration(y, "expire_after", SLX_SECOND, &h->expire_after, err));
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "concurrency"), 1, 16, &h->concurrency, err));
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "queue_max"), QUEUE_LEAST, QUEUE_MOST, &h->queue_max, err));
	SLX_TRY(slx_auth_read(y, &h->auth, err));
	for (size_t i = 0; i + 1 < c->n_hooks; i++)
		if (strcmp(c->hooks[i].name, h->name) == 0)
			return slx_yaml_err(y, err, "webhooks: the name \"%s\" stands twice", h->name);
	return filter(m, y, &h->filter, err);
}

static silex_status program(struct slx_mem *m, struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	static const char *const keys[] = { "name", "command", "match", "send_resolved", "timeout", NULL };
	struct act_program *p = &c->programs[c->n_programs++];
	const struct slx_yaml *word;
	size_t n;
	*p = (struct act_program){ .timeout = TIMEOUT_S * SLX_SECOND };
	SLX_TRY(slx_yaml_keys(y, "commands", keys, err));
	SLX_TRY(name(y, "commands", &p->name, err));
	SLX_TRY(duration(y, "timeout", SLX_MS, &p->timeout, err));
	SLX_TRY(items(y, "command", &word, &n, err));
	if (!n || word->type != SLX_YAML_SCALAR || word->text.p[0] != '/')
		return slx_yaml_err(y, err, "commands: command: expected a list: the program by its full path, then its words");
	p->argv = array(c, n + 1, sizeof *p->argv);
	if (!p->argv)
		return slx_err_oom(err);
	for (n = 0; word; word = word->next)
		SLX_TRY(slx_yaml_text(word, &p->argv[n++], err));
	return filter(m, y, &p->filter, err);
}

static silex_status notify(struct slx_mem *m, struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	static const char *const keys[] = { "log", "resend_interval", "webhooks", "commands", NULL };
	const struct slx_yaml *hooks, *programs;
	size_t n_hooks, n_programs;
	SLX_TRY(slx_yaml_keys(y, "notify", keys, err));
	SLX_TRY(slx_yaml_bool(slx_yaml_get(y, "log"), &c->log, err));
	SLX_TRY(duration(y, "resend_interval", SLX_SECOND, &c->resend_interval, err));
	SLX_TRY(items(y, "webhooks", &hooks, &n_hooks, err));
	SLX_TRY(items(y, "commands", &programs, &n_programs, err));
	c->hooks = array(c, n_hooks, sizeof *c->hooks);
	c->programs = array(c, n_programs, sizeof *c->programs);
	if (!c->hooks || !c->programs)
		return slx_err_oom(err);
	for (; hooks; hooks = hooks->next)
		SLX_TRY(hook(m, c, hooks, err));
	for (; programs; programs = programs->next)
		SLX_TRY(program(m, c, programs, err));
	return SILEX_OK;
}

static silex_status external_labels(struct act_config *c, const struct slx_yaml *y, silex_error *err)
{
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "external_labels: expected names with values");
	c->external = array(c, y->n, sizeof *c->external);
	if (!c->external)
		return slx_err_oom(err);
	for (const struct slx_yaml *l = y->child; l; l = l->next) {
		const char *value = "";
		SLX_TRY(slx_yaml_text(l, &value, err));
		c->external[c->n_external++] = (struct slx_label){ slx_str(l->key), slx_str(value) };
	}
	return SILEX_OK;
}

silex_status act_config_read(struct slx_mem *m, const struct slx_config *c, struct act_config *ret, silex_error *err)
{
	*ret = (struct act_config){ .from = c, .log = true, .resend_interval = ACT_RESEND_INTERVAL };
	slx_arena_init(&ret->arena, m, SLX_MEM_OTHER, 1 << 16);
	silex_status st = external_labels(ret, slx_yaml_get(c->global, "external_labels"), err);
	if (st == SILEX_OK)
		st = alerting(m, ret, c->alerting, err);
	if (st == SILEX_OK)
		st = notify(m, ret, c->notify, err);
	if (st != SILEX_OK)
		act_config_clear(ret);
	return st;
}

void act_config_clear(struct act_config *c)
{
	for (size_t i = 0; i < c->n_hooks; i++)
		slx_selector_free(&c->hooks[i].filter.match);
	for (size_t i = 0; i < c->n_programs; i++)
		slx_selector_free(&c->programs[i].filter.match);
	slx_relabel_clear(&c->relabel);
	slx_arena_clear(&c->arena);
	*c = (struct act_config){ 0 };
}

silex_status slx_actions_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	struct act_config a;
	SLX_TRY(act_config_read(m, c, &a, err));
	act_config_clear(&a);
	return SILEX_OK;
}
