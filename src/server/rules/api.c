/* PromQL rules that came by the API. Each is a rule group as a rule file has it, in JSON (which is YAML), with one rule; it is
 * evaluated like those of files. They lie in the journal as notes "promrule" (docs/format/rule.md), and here as long as the server
 * runs. */
#include "server/rules/rules_int.h"

#include "promql/promql.h"

#include <stdio.h>
#include <stdlib.h>

enum { FORMAT = 1, TEXT_MAX = SLX_VALUE_SIZE_MAX - 64 };

#define NOTE SLX_STR("promrule")

static struct slx_mem *mem_of(struct slx_server_rules *r) { return slx_api_mem(slx_core_db(r->core)); }

static void rule_free(struct slx_mem *m, struct slx_api_rule *x)
{
	slx_rule_file_unref(x->file);
	slx_free(m, SLX_MEM_OTHER, x, sizeof *x + x->tenant.n + x->group.n);
}

/* group: one rule group in JSON. */
static silex_status rule_new(struct slx_server_rules *r, struct slx_str tenant, uint64_t id, struct slx_str group, struct slx_api_rule **ret, silex_error *err)
{
	static const char begin[] = "{\"groups\":[", end[] = "]}";
	struct slx_mem *m = mem_of(r);
	struct slx_buf text;
	char name[40];
	struct slx_api_rule *x = slx_calloc(m, SLX_MEM_OTHER, sizeof *x + tenant.n + group.n);
	if (!x)
		return slx_err_oom(err);
	char *copy = (char *)(x + 1);
	memcpy(copy, tenant.p, tenant.n);
	memcpy(copy + tenant.n, group.p, group.n);
	x->id = id;
	x->tenant = (struct slx_str){ copy, tenant.n };
	x->group = (struct slx_str){ copy + tenant.n, group.n };
	snprintf(name, sizeof name, "rules/%llu", (unsigned long long)id);
	slx_buf_init(&text, m, SLX_MEM_OTHER, TEXT_MAX);
	slx_buf_put(&text, begin, sizeof begin - 1);
	slx_buf_put(&text, group.p, group.n);
	slx_buf_put(&text, end, sizeof end - 1);
	silex_status status = text.failed ? slx_err(err, SILEX_INVALID, "a rule of more than %d bytes", TEXT_MAX) :
		slx_rule_file_parse(m, name, text.p, text.n, slx_core_config(r->core)->promql.experimental, &x->file, err);
	slx_buf_free(&text);
	if (status == SILEX_OK)
		*ret = x;
	else
		rule_free(m, x);
	return status;
}

static void put(struct slx_server_rules *r, struct slx_api_rule *x)
{
	struct slx_api_rule **at = &r->api;
	while (*at && (*at)->id < x->id)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
}

static struct slx_api_rule **find(struct slx_server_rules *r, struct slx_str tenant, uint64_t id)
{
	struct slx_api_rule **at = &r->api;
	while (*at && ((*at)->id != id || !slx_str_eq((*at)->tenant, tenant)))
		at = &(*at)->next;
	return at;
}

/* group NULL: the rule is no more. */
static silex_status store(struct slx_server_rules *r, struct slx_str tenant, uint64_t id, const struct slx_str *group, silex_error *err)
{
	struct slx_buf b;
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)id);
	slx_buf_init(&b, mem_of(r), SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (group) {
		slx_buf_u8(&b, FORMAT);
		slx_buf_put(&b, group->p, group->n);
	}
	struct slx_note note = { NOTE, slx_str(text), slx_wall_ns(slx_engine_clock(slx_api_engine(slx_core_db(r->core)))), { (const char *)b.p, b.n } };
	silex_status status = b.failed ? slx_err_oom(err) : slx_alerts_put_notes(r->alerts, tenant, &note, 1, err);
	slx_buf_free(&b);
	return status;
}

silex_status slx_server_rules_add(void *ctx, struct slx_str tenant, struct slx_str group, uint64_t *ret_id, silex_error *err)
{
	struct slx_server_rules *r = ctx;
	struct slx_api_rule *x;
	uint64_t id;
	SLX_TRY(slx_watch_take_id(slx_api_watch(slx_core_db(r->core)), &id, err));
	SLX_TRY(rule_new(r, tenant, id, group, &x, err));
	pthread_mutex_lock(&r->lock);
	put(r, x);
	silex_status status = slx_server_rules_take(r, err);
	if (status == SILEX_OK)
		status = store(r, tenant, id, &group, err);
	if (status != SILEX_OK) {
		*find(r, tenant, id) = x->next;
		rule_free(mem_of(r), x);
		slx_server_rules_take(r, NULL);
	}
	pthread_mutex_unlock(&r->lock);
	if (status == SILEX_OK)
		*ret_id = id;
	return status;
}

silex_status slx_server_rules_remove(void *ctx, struct slx_str tenant, uint64_t id, silex_error *err)
{
	struct slx_server_rules *r = ctx;
	pthread_mutex_lock(&r->lock);
	struct slx_api_rule **at = find(r, tenant, id), *x = *at;
	silex_status status = x ? store(r, tenant, id, NULL, err) :
		slx_err(err, SILEX_NOT_FOUND, "tenant %.*s has no rule %llu", (int)tenant.n, tenant.p, (unsigned long long)id);
	if (status == SILEX_OK) {
		*at = x->next;
		status = slx_server_rules_take(r, err);
		rule_free(mem_of(r), x);
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

void slx_server_rules_list(void *ctx, struct slx_str tenant, uint64_t id, bool (*each)(void *arg, uint64_t id, struct slx_str group), void *arg)
{
	struct slx_server_rules *r = ctx;
	pthread_mutex_lock(&r->lock);
	for (const struct slx_api_rule *x = r->api; x; x = x->next)
		if ((id == 0 || x->id == id) && slx_str_eq(x->tenant, tenant) && !each(arg, x->id, x->group))
			break;
	pthread_mutex_unlock(&r->lock);
}

/* A rule that cannot be read is named and left where it is. */
static bool load(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct slx_server_rules *r = arg;
	struct slx_api_rule *x;
	silex_error err;
	char id[24];
	snprintf(id, sizeof id, "%.*s", (int)(note->id.n < sizeof id ? note->id.n : sizeof id - 1), note->id.p);
	silex_status status = note->bytes.p[0] == FORMAT ? SILEX_OK : slx_err(&err, SILEX_UNSUPPORTED, "of a format that this release does not read");
	if (status == SILEX_OK)
		status = rule_new(r, tenant, strtoull(id, NULL, 10), (struct slx_str){ note->bytes.p + 1, note->bytes.n - 1 }, &x, &err);
	if (status == SILEX_OK)
		put(r, x);
	else
		slx_log(r->core->log, SLX_LOG_ERROR, "a rule of the API is not in force", SLX_TEXT("rule", id), SLX_TEXT("error", err.message));
	return true;
}

silex_status slx_server_rules_load(struct slx_server_rules *r, silex_error *err)
{
	return slx_alerts_notes(r->alerts, (struct slx_str){ "", 0 }, NOTE, load, r, err);
}

void slx_server_rules_api_free(struct slx_server_rules *r)
{
	for (struct slx_api_rule *x = r->api, *next; x; x = next) {
		next = x->next;
		rule_free(mem_of(r), x);
	}
	r->api = NULL;
}
