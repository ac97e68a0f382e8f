/* Rules on arrival: between include/silex/rules.h and rules/watch. */
#include "api/api_int.h"

#include <silex/rules.h>

void silex_rule_init(silex_rule *r)
{
	*r = (silex_rule){ .size = sizeof *r, .leave = NAN, .leave_high = NAN };
}

/* ---- in ---- */

static silex_status labels_of(struct slx_arena *a, struct slx_labels_builder *b, const char *what, const silex_label *labels, size_t n,
	struct slx_labels *ret, silex_error *err)
{
	struct slx_labels l;
	silex_error why;
	slx_labels_builder_reset(b);
	for (size_t i = 0; i < n; i++) {
		if (!labels[i].name || !labels[i].value)
			return slx_err(err, SILEX_INVALID, "%s: number %zu has no %s", what, i, labels[i].name ? "value" : "name");
		slx_labels_builder_add(b, slx_str(labels[i].name), slx_str(labels[i].value));
	}
	if (slx_labels_builder_finish(b, &l, &why) != SILEX_OK)
		return slx_err(err, why.code, "%s: %s", what, why.message);
	uint8_t *copy = slx_arena_alloc(a, l.n, 1);
	if (!copy)
		return slx_err_oom(err);
	memcpy(copy, l.p, l.n);
	*ret = (struct slx_labels){ copy, l.n };
	return SILEX_OK;
}

static silex_status span_of(const char *what, int64_t ms, int64_t *ret, silex_error *err)
{
	if (ms < 0 || ms > SLX_TIME_MAX / SLX_MS)
		return slx_err(err, SILEX_INVALID, "%s: %lld is no number of milliseconds that a rule can wait", what, (long long)ms);
	*ret = ms * SLX_MS;
	return SILEX_OK;
}

static silex_status def_of(struct slx_arena *a, struct slx_labels_builder *b, const silex_rule *r, struct slx_watch_def *ret, silex_error *err)
{
	struct slx_watch_def d = {
		.name = slx_str(r->name ? r->name : ""),
		.selector = slx_str(r->selector ? r->selector : ""),
		.input = (enum slx_watch_input)r->input,
		.op = (enum slx_watch_op)r->condition,
		.missing = (enum slx_watch_missing)r->missing,
		.low = r->limit,
		.high = r->high,
		.leave_low = r->leave,
		.leave_high = r->leave_high,
		.series_max = r->series_max,
	};
	SLX_TRY(span_of("window_ms", r->window_ms, &d.window_ns, err));
	SLX_TRY(span_of("delay_on_ms", r->delay_on_ms, &d.on_ns, err));
	SLX_TRY(span_of("delay_off_ms", r->delay_off_ms, &d.off_ns, err));
	SLX_TRY(span_of("missing_after_ms", r->missing_after_ms, &d.missing_ns, err));
	SLX_TRY(span_of("max_lateness_ms", r->max_lateness_ms, &d.lateness_ns, err));
	SLX_TRY(labels_of(a, b, "labels", r->labels, r->n_labels, &d.labels, err));
	SLX_TRY(labels_of(a, b, "annotations", r->annotations, r->n_annotations, &d.annotations, err));
	*ret = d;
	return SILEX_OK;
}

static silex_status writable(const silex_db *db, silex_error *err)
{
	return db->watch ? SILEX_OK : slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
}

silex_status silex_rule_register(silex_db *db, const char *tenant, const silex_rule *r, uint64_t *ret_id, silex_error *err)
{
	struct slx_arena a;
	struct slx_labels_builder b;
	struct slx_watch_def d;
	struct slx_str name;
	SLX_TRY(writable(db, err));
	if (r->size != sizeof *r)
		return slx_err(err, SILEX_INVALID, "rule: size is %zu, expected %zu; call silex_rule_init first", r->size, sizeof *r);
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	slx_arena_init(&a, db->mem, SLX_MEM_OTHER, 4096);
	slx_labels_builder_init(&b, db->mem, SLX_MEM_OTHER, NULL);
	silex_status status = def_of(&a, &b, r, &d, err);
	if (status == SILEX_OK)
		status = slx_watch_add(db->watch, name, &d, ret_id, NULL, err);
	slx_labels_builder_free(&b);
	slx_arena_clear(&a);
	return status;
}

silex_status silex_rule_remove(silex_db *db, const char *tenant, uint64_t id, silex_error *err)
{
	struct slx_str name;
	SLX_TRY(writable(db, err));
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	return slx_watch_remove(db->watch, name, id, err);
}

/* ---- out ---- */

struct listing {
	silex_db *db;
	silex_rule_fn each;
	void *arg;
	silex_status status;
	silex_error *err;
};

static bool give_rule(void *arg, const struct slx_watch_info *i)
{
	struct listing *l = arg;
	const struct slx_watch_def *d = i->def;
	silex_rule r = {
		.size = sizeof r,
		.name = d->name.p, /* rules/watch ends its strings */
		.selector = d->selector.p,
		.input = (silex_rule_input)d->input,
		.condition = (silex_rule_condition)d->op,
		.missing = (silex_rule_missing)d->missing,
		.limit = d->low,
		.high = d->high,
		.leave = d->leave_low,
		.leave_high = d->leave_high,
		.window_ms = d->window_ns / SLX_MS,
		.delay_on_ms = d->on_ns / SLX_MS,
		.delay_off_ms = d->off_ns / SLX_MS,
		.missing_after_ms = d->missing_ns / SLX_MS,
		.max_lateness_ms = d->lateness_ns / SLX_MS,
		.series_max = d->series_max,
	};
	struct slx_arena a;
	slx_arena_init(&a, l->db->mem, SLX_MEM_OTHER, 4096);
	l->status = slx_api_label_array(&a, d->labels, &r.labels, &r.n_labels, l->err);
	if (l->status == SILEX_OK)
		l->status = slx_api_label_array(&a, d->annotations, &r.annotations, &r.n_annotations, l->err);
	silex_rule_info info = { i->id, &r, i->expr.p, i->series, i->pending, i->firing, i->samples, i->late, i->ignored, i->refused };
	bool more = l->status == SILEX_OK && l->each(l->arg, &info);
	slx_arena_clear(&a);
	return more;
}

silex_status silex_rule_list(silex_db *db, const char *tenant, silex_rule_fn each, void *arg, silex_error *err)
{
	struct listing l = { db, each, arg, SILEX_OK, err };
	struct slx_str name;
	SLX_TRY(writable(db, err));
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	SLX_TRY(slx_watch_list(db->watch, name, 0, give_rule, &l, err));
	return l.status;
}

/* ---- told ---- */

static const char *text(struct slx_arena *a, struct slx_str s)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (p) {
		memcpy(p, s.p, s.n);
		p[s.n] = 0;
	}
	return p;
}

/* Without memory for its texts an alert is told without them rather than not at all. */
static void fill_alert(silex_db *db, struct slx_arena *a, const struct slx_alert_event *e, silex_alert *ret)
{
	const char *tenant = text(a, e->alert.rule->tenant), *name = text(a, e->alert.rule->name);
	*ret = (silex_alert){
		.rule_id = e->alert.rule->id,
		.tenant = tenant ? tenant : "",
		.name = name ? name : "",
		.from = (silex_alert_state)e->from,
		.state = (silex_alert_state)e->alert.state,
		.time = slx_api_units(db, e->at_ns),
		.active = slx_api_units(db, e->alert.active_ns),
		.value = e->alert.value,
	};
	memcpy(ret->id, &e->id, sizeof ret->id);
	if (slx_api_label_array(a, e->alert.labels, &ret->labels, &ret->n_labels, NULL) != SILEX_OK)
		ret->n_labels = 0;
	if (slx_api_label_array(a, e->alert.annotations, &ret->annotations, &ret->n_annotations, NULL) != SILEX_OK)
		ret->n_annotations = 0;
}

static void tell(void *arg, const struct slx_alert_event *e)
{
	const struct slx_api_callback *c = arg;
	silex_alert x;
	struct slx_arena a;
	slx_arena_init(&a, c->db->mem, SLX_MEM_OTHER, 4096);
	fill_alert(c->db, &a, e, &x);
	c->fn(c->arg, &x);
	slx_arena_clear(&a);
}

silex_status silex_rule_on_alert(silex_db *db, silex_alert_fn fn, void *arg, silex_error *err)
{
	unsigned i = atomic_fetch_add(&db->n_callbacks, 1);
	if (i >= SLX_API_CALLBACKS_MAX)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "a database calls at most %d functions for an alert", SLX_API_CALLBACKS_MAX);
	db->callbacks[i] = (struct slx_api_callback){ db, fn, arg };
	return slx_alerts_add_sink(db->alerts, tell, &db->callbacks[i], err);
}
