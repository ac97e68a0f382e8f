/* The sink and the set of receivers that a configuration names. A reload that changes one of its words stops the old set and starts
 * another: webhooks take up from the journal, Alertmanagers are told the whole state. */
#include "server/actions/actions_int.h"

#include "base/clock.h"

#include <stdio.h>

/* What one configuration made. */
struct set {
	struct act_config config;
	struct act_shared shared;
	char base[1024]; /* of links */
	struct act_alertmanager *alertmanagers[ACT_RECEIVERS_MAX];
	struct act_webhook *webhooks[ACT_RECEIVERS_MAX];
	struct act_command *commands[ACT_RECEIVERS_MAX];
};

struct slx_actions {
	struct slx_core *core;
	struct slx_alerts *alerts;
	struct slx_silences *silences;
	char listen[256];
	struct slx_metric *out_of_memory;
	pthread_mutex_t reload_lock; /* one reload or stop at a time */
	bool stopped;
	pthread_mutex_t lock; /* the pointer, and its receivers while they are given an event; held for moments */
	struct set *set;      /* NULL while it is replaced, and at the end */
};

/* ---- the sink ---- */

static void log_event(struct slx_actions *a, const struct slx_alert_event *e)
{
	const struct slx_alert *x = &e->alert;
	struct slx_buf labels;
	slx_buf_init(&labels, a->core->mem, SLX_MEM_OTHER, 64 << 10);
	slx_labels_format(x->labels, &labels);
	slx_log(a->core->log, x->state == SLX_ALERT_FIRING ? SLX_LOG_WARN : SLX_LOG_INFO, x->state == SLX_ALERT_FIRING ? "alert firing" : "alert resolved",
		SLX_BYTES("alert", slx_labels_get(x->labels, SLX_STR("alertname"))), SLX_BYTES("tenant", x->rule->tenant),
		SLX_BYTES("labels", ((struct slx_str){ labels.p ? (const char *)labels.p : "", labels.n })), SLX_REAL("value", x->value));
	slx_buf_free(&labels);
}

static void give(struct set *s, struct act_note *n)
{
	for (size_t i = 0; i < s->config.n_endpoints; i++)
		act_alertmanager_take(s->alertmanagers[i], n);
	for (size_t i = 0; i < s->config.n_hooks; i++)
		act_webhook_take(s->webhooks[i], n);
	for (size_t i = 0; i < s->config.n_programs; i++)
		act_command_take(s->commands[i], n);
}

/* No memory for a copy: webhooks find it in the journal, Alertmanagers are told all. */
static void miss(struct set *s)
{
	for (size_t i = 0; i < s->config.n_endpoints; i++)
		act_alertmanager_wake(s->alertmanagers[i]);
	for (size_t i = 0; i < s->config.n_hooks; i++)
		act_webhook_miss(s->webhooks[i]);
}

static void on_event(void *arg, const struct slx_alert_event *e)
{
	struct slx_actions *a = arg;
	if (!act_event_matters(e))
		return;
	struct act_note *n = act_note_new(a->core->mem, e);
	bool log = false;
	pthread_mutex_lock(&a->lock);
	if (a->set) {
		log = a->set->config.log;
		if (n)
			give(a->set, n);
		else
			miss(a->set);
	}
	pthread_mutex_unlock(&a->lock);
	if (!n)
		slx_metric_add(a->out_of_memory, 1);
	act_note_unref(n);
	if (log)
		log_event(a, e);
}

/* ---- sets ---- */

static void set_stop(struct set *s)
{
	if (!s)
		return;
	atomic_store(&s->shared.stop, true);
	for (size_t i = 0; i < s->config.n_hooks; i++)
		if (s->webhooks[i])
			act_webhook_wake(s->webhooks[i]); /* all begin to end together */
	for (size_t i = 0; i < s->config.n_endpoints; i++)
		act_alertmanager_stop(s->alertmanagers[i]);
	for (size_t i = 0; i < s->config.n_hooks; i++)
		act_webhook_stop(s->webhooks[i]);
	for (size_t i = 0; i < s->config.n_programs; i++)
		act_command_stop(s->commands[i]);
	act_config_clear(&s->config);
	slx_free(s->shared.core->mem, SLX_MEM_OTHER, s, sizeof *s);
}

static silex_status start_receivers(struct set *s, silex_error *err)
{
	for (size_t i = 0; i < s->config.n_endpoints; i++)
		SLX_TRY(act_alertmanager_start(&s->shared, &s->config.endpoints[i], &s->alertmanagers[i], err));
	for (size_t i = 0; i < s->config.n_hooks; i++)
		SLX_TRY(act_webhook_start(&s->shared, &s->config.hooks[i], &s->webhooks[i], err));
	for (size_t i = 0; i < s->config.n_programs; i++)
		SLX_TRY(act_command_start(&s->shared, &s->config.programs[i], &s->commands[i], err));
	return SILEX_OK;
}

static silex_status set_start(struct slx_actions *a, const struct slx_config *c, struct set **ret, silex_error *err)
{
	struct slx_engine *engine = slx_alerts_engine(a->alerts);
	struct set *s = slx_calloc(a->core->mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	silex_status st = act_config_read(a->core->mem, c, &s->config, err);
	if (c->http.external_url[0])
		snprintf(s->base, sizeof s->base, "%s", c->http.external_url);
	else
		snprintf(s->base, sizeof s->base, "%s://%s%s", c->http.tls_cert[0] ? "https" : "http", a->listen, c->http.route_prefix);
	s->shared = (struct act_shared){ .core = a->core, .engine = engine, .alerts = a->alerts, .silences = a->silences, .clock = slx_engine_clock(engine),
		.links = { .base = s->base, .tenant = c->tenants.fallback, .external = s->config.external, .n_external = s->config.n_external, .relabel = &s->config.relabel },
		.resend_interval = s->config.resend_interval };
	if (st == SILEX_OK)
		st = start_receivers(s, err);
	if (st == SILEX_OK)
		*ret = s;
	else
		set_stop(s);
	return st;
}

static struct set *swap(struct slx_actions *a, struct set *now)
{
	pthread_mutex_lock(&a->lock);
	struct set *old = a->set;
	a->set = now;
	pthread_mutex_unlock(&a->lock);
	return old;
}

/* ---- reload ---- */

static bool same_tree(const struct slx_yaml *x, const struct slx_yaml *y)
{
	if (!x || !y)
		return x == y;
	if (x->type != y->type || x->n != y->n || (x->type == SLX_YAML_SCALAR && !slx_str_eq(x->text, y->text)))
		return false;
	for (x = x->child, y = y->child; x && y; x = x->next, y = y->next)
		if ((x->key != NULL) != (y->key != NULL) || (x->key && strcmp(x->key, y->key) != 0) || !same_tree(x, y))
			return false;
	return x == y;
}

static bool same_config(const struct slx_config *x, const struct slx_config *y)
{
	return same_tree(x->alerting, y->alerting) && same_tree(x->notify, y->notify) &&
		same_tree(slx_yaml_get(x->global, "external_labels"), slx_yaml_get(y->global, "external_labels"));
}

void slx_actions_reload(struct slx_actions *a)
{
	const struct slx_config *c = slx_core_config(a->core);
	struct set *fresh = NULL;
	silex_error err;
	pthread_mutex_lock(&a->reload_lock);
	if (!a->stopped && !(a->set && same_config(a->set->config.from, c))) {
		set_stop(swap(a, NULL)); /* first: no event is told by both */
		if (set_start(a, c, &fresh, &err) == SILEX_OK)
			swap(a, fresh);
		else
			slx_log(a->core->log, SLX_LOG_ERROR, "nobody is told of alerts: receivers were not started", SLX_TEXT("error", err.message));
	}
	pthread_mutex_unlock(&a->reload_lock);
}

/* ---- life ---- */

void slx_actions_wake(struct slx_actions *a)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; a->set && i < a->set->config.n_endpoints; i++)
		act_alertmanager_wake(a->set->alertmanagers[i]);
	for (size_t i = 0; a->set && i < a->set->config.n_hooks; i++)
		act_webhook_wake(a->set->webhooks[i]);
	pthread_mutex_unlock(&a->lock);
}

silex_status slx_actions_start(struct slx_core *core, struct slx_alerts *alerts, struct slx_silences *silences, const char *listen, struct slx_actions **ret,
	silex_error *err)
{
	struct slx_actions *a = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *a);
	if (!a)
		return slx_err_oom(err);
	a->core = core;
	a->alerts = alerts;
	a->silences = silences;
	snprintf(a->listen, sizeof a->listen, "%s", listen);
	a->out_of_memory = slx_metrics_counter(core->metrics, "silex_notifications_lost_total",
		"Events that commands were not given for want of memory.", "");
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->reload_lock, NULL);
	*ret = a; /* freed by the caller, on failure too */
	SLX_TRY(set_start(a, slx_core_config(core), &a->set, err));
	return slx_alerts_add_sink(alerts, on_event, a, err);
}

void slx_actions_stop(struct slx_actions *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->reload_lock);
	a->stopped = true;
	set_stop(swap(a, NULL));
	pthread_mutex_unlock(&a->reload_lock);
}

void slx_actions_free(struct slx_actions *a)
{
	if (!a)
		return;
	slx_alerts_remove_sink(a->alerts, on_event, a);
	slx_actions_stop(a);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->reload_lock);
	slx_free(a->core->mem, SLX_MEM_OTHER, a, sizeof *a);
}
