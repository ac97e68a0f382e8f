/* The table of alerts and how a change goes: under the lock the alert's entry is found or made and what the change says is worked
 * out; without it the journal is written; under it again the entry takes the new state, for which all memory is there already;
 * then the sinks are told. An entry with a change under way stays in the table. */
#include "rules/alert/alert_int.h"

enum { SLOTS_MIN = 64 };

static const uint8_t no_labels[1] = { 0 };

const char *slx_alert_state_name(enum slx_alert_state s)
{
	static const char *const names[] = { "inactive", "pending", "firing" };
	return names[s];
}

struct slx_engine *slx_alerts_engine(const struct slx_alerts *a) { return a->engine; }

static struct slx_labels or_none(struct slx_labels l) { return l.n ? l : (struct slx_labels){ no_labels, 1 }; }

/* ---- copies of rules ---- */

static struct slx_str place(char **at, struct slx_str s)
{
	char *p = *at;
	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return (struct slx_str){ p, s.n };
}

static struct slx_alert_rule_copy *copy_rule(struct slx_mem *m, const struct slx_alert_rule *r)
{
	struct slx_str expr = { r->expr.p, r->expr.n < SLX_ALERT_EXPR_KEPT ? r->expr.n : SLX_ALERT_EXPR_KEPT };
	size_t size = sizeof(struct slx_alert_rule_copy) + r->tenant.n + r->group.n + r->name.n + expr.n;
	struct slx_alert_rule_copy *c = slx_alloc(m, SLX_MEM_OTHER, size);
	if (!c)
		return NULL;
	char *at = (char *)(c + 1);
	*c = (struct slx_alert_rule_copy){ .rule = *r, .size = size, .refs = 1 };
	c->rule.tenant = place(&at, r->tenant);
	c->rule.group = place(&at, r->group);
	c->rule.name = place(&at, r->name);
	c->rule.expr = place(&at, expr);
	return c;
}

static void rule_unref(struct slx_mem *m, struct slx_alert_rule_copy *c)
{
	if (c && --c->refs == 0)
		slx_free(m, SLX_MEM_OTHER, c, c->size);
}

/* ---- the table; the lock is held ---- */

static struct slx_alert_entry **slot_of(struct slx_alerts *a, struct slx_hash128 fingerprint)
{
	struct slx_alert_entry **p = &a->slots[fingerprint.lo & (a->n_slots - 1)];
	while (*p && !slx_hash128_eq((*p)->alert.fingerprint, fingerprint))
		p = &(*p)->next;
	return p;
}

static void grow(struct slx_alerts *a)
{
	size_t n = a->n_slots * 2;
	struct slx_alert_entry **slots = a->n < a->n_slots ? NULL : slx_calloc(a->mem, SLX_MEM_OTHER, n * sizeof *slots);
	if (!slots)
		return; /* not needed, or no memory: longer chains */
	for (size_t i = 0; i < a->n_slots; i++)
		for (struct slx_alert_entry *x = a->slots[i], *next; x; x = next) {
			next = x->next;
			x->next = slots[x->alert.fingerprint.lo & (n - 1)];
			slots[x->alert.fingerprint.lo & (n - 1)] = x;
		}
	slx_free(a->mem, SLX_MEM_OTHER, a->slots, a->n_slots * sizeof *slots);
	a->slots = slots;
	a->n_slots = n;
}

static void free_annotations(struct slx_mem *m, struct slx_labels l)
{
	if (l.p != no_labels)
		slx_free(m, SLX_MEM_OTHER, (void *)l.p, l.n);
}

static void free_entry(struct slx_alerts *a, struct slx_alert_entry *x)
{
	free_annotations(a->mem, x->alert.annotations);
	rule_unref(a->mem, x->rule);
	slx_free(a->mem, SLX_MEM_OTHER, x, x->size);
}

static silex_status copy_labels(struct slx_mem *m, struct slx_labels from, struct slx_labels *ret, silex_error *err)
{
	from = or_none(from);
	if (from.n == 1) {
		*ret = (struct slx_labels){ no_labels, 1 };
		return SILEX_OK;
	}
	uint8_t *p = slx_alloc(m, SLX_MEM_OTHER, from.n);
	if (!p)
		return slx_err_oom(err);
	memcpy(p, from.p, from.n);
	*ret = (struct slx_labels){ p, from.n };
	return SILEX_OK;
}

/* A new, inactive alert. share: the words of the rule, when an alert has them (NULL: copied). */
static silex_status new_entry(struct slx_alerts *a, const struct slx_alert_rule *rule, struct slx_alert_rule_copy *share, struct slx_labels labels,
	struct slx_hash128 fingerprint, struct slx_alert_entry **ret, silex_error *err)
{
	struct slx_alert_entry *x = slx_calloc(a->mem, SLX_MEM_OTHER, sizeof *x + labels.n);
	if (!x)
		return slx_err_oom(err);
	x->size = sizeof *x + labels.n;
	memcpy(x + 1, labels.p, labels.n);
	x->rule = share ? share : copy_rule(a->mem, rule);
	if (!x->rule) {
		slx_free(a->mem, SLX_MEM_OTHER, x, x->size);
		return slx_err_oom(err);
	}
	x->rule->refs += share != NULL;
	x->alert = (struct slx_alert){ .rule = &x->rule->rule, .labels = { (uint8_t *)(x + 1), labels.n }, .annotations = { no_labels, 1 },
		.changed_ns = INT64_MIN, .fingerprint = fingerprint };
	grow(a);
	struct slx_alert_entry **slot = slot_of(a, fingerprint);
	x->next = *slot;
	*slot = x;
	a->n++;
	*ret = x;
	return SILEX_OK;
}

/* Forgets what ended a while ago. */
static void sweep(struct slx_alerts *a)
{
	int64_t now = slx_wall_ns(slx_engine_clock(a->engine)), keep = SLX_ALERT_RESOLVED_KEEP_S * SLX_SECOND;
	if (now < a->sweep_ns && now > a->sweep_ns - SLX_MINUTE)
		return;
	a->sweep_ns = slx_time_add(now, SLX_MINUTE);
	for (size_t i = 0; i < a->n_slots; i++)
		for (struct slx_alert_entry **p = &a->slots[i]; *p;) {
			struct slx_alert_entry *x = *p;
			bool ended = x->alert.state == SLX_ALERT_INACTIVE && x->busy == 0 && (x->ended_wall_ns > now || now - x->ended_wall_ns > keep);
			if (!ended) {
				p = &x->next;
				continue;
			}
			*p = x->next;
			a->n--;
			free_entry(a, x);
		}
}

static bool is_listed(const struct slx_alert_entry *x, int64_t now)
{
	const struct slx_alert *al = &x->alert;
	return al->state != SLX_ALERT_INACTIVE || (al->resolved_ns && x->ended_wall_ns && now - x->ended_wall_ns <= SLX_ALERT_RESOLVED_KEEP_S * SLX_SECOND);
}

/* ---- a change ---- */

/* What becomes of one change. */
struct step {
	struct slx_alert_entry *entry;
	struct slx_alert_event event;
	struct slx_labels annotations; /* for the entry to keep */
};

static void count_state(struct slx_alerts *a, enum slx_alert_state s, int by)
{
	if (s == SLX_ALERT_PENDING)
		a->counts.pending += (uint64_t)(int64_t)by;
	else if (s == SLX_ALERT_FIRING)
		a->counts.firing += (uint64_t)(int64_t)by;
}

/* The alert after the change. */
static void work_out(struct step *s, const struct slx_alert_change *c)
{
	struct slx_alert *to = &s->event.alert;
	*to = s->entry->alert;
	to->rule = c->rule;
	to->annotations = or_none(c->annotations);
	to->state = c->to;
	to->value = c->value;
	to->changed_ns = c->at_ns > s->entry->alert.changed_ns ? c->at_ns : s->entry->alert.changed_ns + 1;
	if (c->to != SLX_ALERT_INACTIVE)
		to->active_ns = c->active_ns;
	if (c->to == SLX_ALERT_FIRING && s->entry->alert.state != SLX_ALERT_FIRING)
		to->fired_ns = to->changed_ns;
	if (c->to != SLX_ALERT_INACTIVE)
		to->resolved_ns = 0;
	else if (s->entry->alert.state == SLX_ALERT_FIRING)
		to->resolved_ns = to->changed_ns;
	s->event.from = s->entry->alert.state;
	s->event.at_ns = to->changed_ns;
	s->event.arrived_ns = c->arrived_ns;
	s->event.id = slx_alert_event_id(to->fingerprint, to->state, to->changed_ns);
}

static silex_status begin(struct slx_alerts *a, const struct slx_alert_change *c, struct slx_alert_rule_copy *share, struct step *s, silex_error *err)
{
	struct slx_labels labels = or_none(c->labels);
	struct slx_hash128 fingerprint = slx_alert_fingerprint(c->rule->tenant, c->rule->id, labels);
	if (!slx_time_legal(c->at_ns))
		return slx_err(err, SILEX_INVALID, "change of an alert: the time is outside the legal range");
	struct slx_alert_entry *x = *slot_of(a, fingerprint);
	if (!x)
		SLX_TRY(new_entry(a, c->rule, share, labels, fingerprint, &x, err));
	s->entry = x;
	x->busy++;
	work_out(s, c);
	return copy_labels(a->mem, c->annotations, &s->annotations, err);
}

static void put_record(const struct step *s, struct slx_buf *out)
{
	const struct slx_alert *x = &s->event.alert;
	const struct slx_alert_rule *rule = x->rule;
	const struct slx_alert_record r = { .from = s->event.from, .to = x->state, .origin = rule->origin, .active_ns = x->active_ns, .fired_ns = x->fired_ns,
		.resolved_ns = x->resolved_ns, .interval_ns = rule->interval_ns, .value = x->value, .group = rule->group, .name = rule->name, .expr = rule->expr,
		.annotations = x->annotations };
	slx_buf_reset(out);
	slx_alert_record_encode(&r, out);
}

/* The steps, which are of one tenant, into the journal. */
static silex_status write_steps(struct slx_alerts *a, const struct step *s, size_t n, silex_error *err)
{
	char room[SLX_ALERT_TENANT_SIZE];
	struct slx_blob_batch batch;
	struct slx_labels_builder b;
	struct slx_buf value;
	struct slx_write_result result = { 0 };
	slx_labels_builder_init(&b, a->mem, SLX_MEM_OTHER, NULL);
	slx_buf_init(&value, a->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	silex_status status = slx_blob_batch_begin(&batch, a->engine, slx_alert_tenant(s->event.alert.rule->tenant, room), n, err);
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		struct slx_labels series;
		put_record(&s[i], &value);
		status = slx_alert_series(&b, s[i].event.alert.rule->id, s[i].event.alert.labels, &series, err);
		uint8_t *p = status == SILEX_OK ? slx_arena_alloc(&batch.arena, series.n, 1) : NULL;
		if (status == SILEX_OK && !p)
			status = slx_err_oom(err);
		if (status == SILEX_OK)
			status = slx_blob_batch_add(&batch, (struct slx_labels){ memcpy(p, series.p, series.n), series.n }, s[i].event.at_ns, &value, err);
	}
	if (status == SILEX_OK)
		status = slx_blob_batch_write(a->engine, &batch, &result, NULL, err);
	if (status == SILEX_OK && result.refused)
		status = slx_err(err, result.error.code, "%s", result.error.message);
	slx_blob_batch_end(&batch);
	slx_labels_builder_free(&b);
	slx_buf_free(&value);
	return status == SILEX_OK ? SILEX_OK : slx_err_wrap(err, "journal of alerts");
}

/* The entry takes the new state; it keeps labels and words of its own. */
static void take(struct slx_alerts *a, struct step *s)
{
	struct slx_alert_entry *x = s->entry;
	struct slx_alert to = s->event.alert;
	free_annotations(a->mem, x->alert.annotations);
	to.rule = &x->rule->rule;
	to.annotations = s->annotations;
	s->annotations = (struct slx_labels){ no_labels, 1 };
	count_state(a, x->alert.state, -1);
	count_state(a, to.state, 1);
	x->alert = to;
	x->ended_wall_ns = to.state == SLX_ALERT_INACTIVE ? slx_wall_ns(slx_engine_clock(a->engine)) : 0;
	a->counts.changes++;
}

/* Changes of one tenant. */
static silex_status change_tenant(struct slx_alerts *a, const struct slx_alert_change *c, struct step *s, size_t n, silex_error *err)
{
	silex_status status = SILEX_OK;
	size_t begun = 0;
	memset(s, 0, n * sizeof *s);
	pthread_mutex_lock(&a->lock);
	for (; begun < n && status == SILEX_OK; begun++) {
		bool same = begun && c[begun].rule == c[begun - 1].rule;
		status = begin(a, &c[begun], same ? s[begun - 1].entry->rule : NULL, &s[begun], err);
	}
	pthread_mutex_unlock(&a->lock);
	if (status == SILEX_OK)
		status = write_steps(a, s, n, err);
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < begun; i++) {
		if (status == SILEX_OK)
			take(a, &s[i]);
		if (s[i].annotations.p)
			free_annotations(a->mem, s[i].annotations);
		if (s[i].entry)
			s[i].entry->busy--;
	}
	a->counts.failed += status == SILEX_OK ? 0 : n;
	sweep(a);
	pthread_mutex_unlock(&a->lock);
	pthread_rwlock_rdlock(&a->sinks_lock);
	for (size_t i = 0; i < n && status == SILEX_OK; i++)
		for (size_t k = 0; k < a->n_sinks; k++)
			a->sinks[k].fn(a->sinks[k].arg, &s[i].event);
	pthread_rwlock_unlock(&a->sinks_lock);
	return status;
}

silex_status slx_alerts_change(struct slx_alerts *a, const struct slx_alert_change *c, size_t n, silex_error *err)
{
	struct step *steps = slx_alloc(a->mem, SLX_MEM_OTHER, n * sizeof *steps + 1);
	silex_status status = steps ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0, end; i < n && status == SILEX_OK; i = end) {
		for (end = i + 1; end < n && slx_str_eq(c[end].rule->tenant, c[i].rule->tenant);)
			end++;
		status = change_tenant(a, c + i, steps, end - i, err);
	}
	slx_free(a->mem, SLX_MEM_OTHER, steps, n * sizeof *steps + 1);
	return status;
}

void slx_alerts_refresh(struct slx_alerts *a, const struct slx_alert_change *c)
{
	struct slx_hash128 fingerprint = slx_alert_fingerprint(c->rule->tenant, c->rule->id, or_none(c->labels));
	struct slx_labels annotations;
	pthread_mutex_lock(&a->lock);
	struct slx_alert_entry *x = *slot_of(a, fingerprint);
	if (x && x->alert.state != SLX_ALERT_INACTIVE) {
		x->alert.value = c->value;
		if (!slx_labels_eq(x->alert.annotations, or_none(c->annotations)) && copy_labels(a->mem, c->annotations, &annotations, NULL) == SILEX_OK) {
			free_annotations(a->mem, x->alert.annotations);
			x->alert.annotations = annotations;
		}
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- looking ---- */

static void list(struct slx_alerts *a, struct slx_str tenant, const uint64_t *rule_id, slx_alert_fn *each, void *arg)
{
	bool more = true;
	pthread_mutex_lock(&a->lock);
	sweep(a);
	int64_t now = slx_wall_ns(slx_engine_clock(a->engine));
	for (size_t i = 0; i < a->n_slots && more; i++)
		for (struct slx_alert_entry *x = a->slots[i]; x && more; x = x->next)
			if (is_listed(x, now) && (tenant.n == 0 || slx_str_eq(tenant, x->rule->rule.tenant)) && (!rule_id || *rule_id == x->rule->rule.id))
				more = each(arg, &x->alert);
	pthread_mutex_unlock(&a->lock);
}

void slx_alerts_list(struct slx_alerts *a, struct slx_str tenant, slx_alert_fn *each, void *arg) { list(a, tenant, NULL, each, arg); }

void slx_alerts_of_rule(struct slx_alerts *a, struct slx_str tenant, uint64_t rule_id, slx_alert_fn *each, void *arg)
{
	list(a, tenant, &rule_id, each, arg);
}

bool slx_alerts_find(struct slx_alerts *a, struct slx_hash128 fingerprint, slx_alert_fn *each, void *arg)
{
	pthread_mutex_lock(&a->lock);
	struct slx_alert_entry *x = *slot_of(a, fingerprint);
	bool found = x && is_listed(x, slx_wall_ns(slx_engine_clock(a->engine)));
	if (found)
		each(arg, &x->alert);
	pthread_mutex_unlock(&a->lock);
	return found;
}

void slx_alerts_count(struct slx_alerts *a, struct slx_alert_counts *ret)
{
	pthread_mutex_lock(&a->lock);
	*ret = a->counts;
	pthread_mutex_unlock(&a->lock);
}

/* ---- as a whole ---- */

struct restore {
	struct slx_alerts *a;
	struct slx_str tenant;
	struct slx_alert_rule_copy *last; /* alerts of one rule share its words */
	silex_status status;
	silex_error *err;
};

/* An entry from the journal: active, or resolved so lately that its end may have to be told again. */
static silex_status restore_one(void *arg, uint64_t rule_id, struct slx_labels labels, int64_t at_ns, const struct slx_alert_record *r, silex_error *err)
{
	struct restore *to = arg;
	struct slx_alerts *a = to->a;
	struct slx_alert_rule rule = { .id = rule_id, .tenant = to->tenant, .group = r->group, .name = r->name, .expr = r->expr, .interval_ns = r->interval_ns,
		.origin = r->origin };
	struct slx_alert_entry *x;
	int64_t now = slx_wall_ns(slx_engine_clock(a->engine));
	bool ended = r->to == SLX_ALERT_INACTIVE;
	if (ended && (r->resolved_ns == 0 || at_ns > now || now - at_ns > SLX_ALERT_RESOLVED_KEEP_S * SLX_SECOND))
		return SILEX_OK;
	SLX_TRY(new_entry(a, &rule, to->last && to->last->rule.id == rule_id ? to->last : NULL, labels,
		slx_alert_fingerprint(to->tenant, rule_id, labels), &x, err));
	to->last = x->rule;
	x->alert.state = r->to;
	x->alert.active_ns = r->active_ns;
	x->alert.fired_ns = r->fired_ns;
	x->alert.resolved_ns = r->resolved_ns;
	x->alert.changed_ns = at_ns;
	x->alert.value = r->value;
	x->ended_wall_ns = ended ? at_ns : 0;
	count_state(a, r->to, 1);
	return copy_labels(a->mem, r->annotations, &x->alert.annotations, err);
}

static bool restore_tenant(void *arg, struct slx_str tenant)
{
	struct restore *to = arg;
	to->tenant = tenant;
	to->last = NULL;
	to->status = slx_alert_journal_last(to->a->engine, tenant, restore_one, to, to->err);
	return to->status == SILEX_OK;
}

silex_status slx_alerts_new(struct slx_engine *e, struct slx_alerts **ret, silex_error *err)
{
	struct slx_mem *mem = slx_engine_mem(e);
	struct slx_alerts *a = slx_calloc(mem, SLX_MEM_OTHER, sizeof *a);
	if (!a)
		return slx_err_oom(err);
	a->engine = e;
	a->mem = mem;
	a->n_slots = SLOTS_MIN;
	a->slots = slx_calloc(mem, SLX_MEM_OTHER, a->n_slots * sizeof *a->slots);
	pthread_mutex_init(&a->lock, NULL);
	pthread_rwlock_init(&a->sinks_lock, NULL);
	struct restore to = { .a = a, .err = err };
	silex_status status = a->slots ? slx_engine_companions(e, SLX_STR("alerts"), restore_tenant, &to, err) : slx_err_oom(err);
	if (status == SILEX_OK)
		status = to.status;
	if (status != SILEX_OK) {
		slx_alerts_free(a);
		return slx_err_wrap(err, "journal of alerts");
	}
	*ret = a;
	return SILEX_OK;
}

void slx_alerts_free(struct slx_alerts *a)
{
	if (!a)
		return;
	for (size_t i = 0; a->slots && i < a->n_slots; i++)
		for (struct slx_alert_entry *x = a->slots[i], *next; x; x = next) {
			next = x->next;
			free_entry(a, x);
		}
	slx_free(a->mem, SLX_MEM_OTHER, a->slots, a->n_slots * sizeof *a->slots);
	pthread_rwlock_destroy(&a->sinks_lock);
	pthread_mutex_destroy(&a->lock);
	slx_free(a->mem, SLX_MEM_OTHER, a, sizeof *a);
}

silex_status slx_alerts_add_sink(struct slx_alerts *a, slx_alert_sink_fn *fn, void *arg, silex_error *err)
{
	pthread_rwlock_wrlock(&a->sinks_lock);
	bool room = a->n_sinks < SLX_ALERT_SINKS_MAX;
	if (room) {
		a->sinks[a->n_sinks].fn = fn;
		a->sinks[a->n_sinks++].arg = arg;
	}
	pthread_rwlock_unlock(&a->sinks_lock);
	return room ? SILEX_OK : slx_err(err, SILEX_RESOURCE_EXHAUSTED, "more than %d sinks of alerts", SLX_ALERT_SINKS_MAX);
}

void slx_alerts_remove_sink(struct slx_alerts *a, slx_alert_sink_fn *fn, void *arg)
{
	pthread_rwlock_wrlock(&a->sinks_lock);
	size_t kept = 0;
	for (size_t i = 0; i < a->n_sinks; i++)
		if (a->sinks[i].fn != fn || a->sinks[i].arg != arg)
			a->sinks[kept++] = a->sinks[i];
	a->n_sinks = kept;
	pthread_rwlock_unlock(&a->sinks_lock);
}
