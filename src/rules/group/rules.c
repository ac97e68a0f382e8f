#include "rules/group/group_int.h"
#include "rules/group/rules.h"

#include <time.h>

enum { THREADS_MAX = 64, LOOK_AGAIN_MS = 500, LATE_GRACE_S = 5 };

/* A group and when it is due. */
struct entry {
	struct slx_rule_group *group;
	int64_t next_ns;
	int64_t first_ns;     /* the first evaluation: nothing is recorded before it */
	int64_t late_from_ns; /* the oldest late sample since the last evaluation; SLX_TIME_MAX: none */
	bool running;
};

/* What groups of one set share; goes with the last of them. */
struct surroundings {
	struct slx_rule_env env;
	size_t size; /* of the allocation: labels and url lie behind */
};

struct slx_rules {
	struct slx_engine *engine;
	struct slx_alerts *alerts;
	struct slx_mem *mem;
	_Atomic bool canceled;

	pthread_mutex_t set_lock; /* one slx_rules_set at a time */
	pthread_mutex_t lock; /* all below; the lock of a group may be taken under it */
	pthread_cond_t changed; /* an evaluation ended, there are other groups, it is over */
	struct entry *entries;
	size_t n;
	struct surroundings *around;
	unsigned running;
	bool paused, stopping;
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
};

static int64_t now_ns(struct slx_rules *r) { return slx_wall_ns(slx_engine_clock(r->engine)); }

/* ---- evaluating; the lock is held ---- */

/* The group that is due first; NULL: none is due before *ret_wait_ns are over. */
static struct entry *due(struct slx_rules *r, int64_t *ret_wait_ns)
{
	struct entry *first = NULL;
	int64_t now = now_ns(r);
	*ret_wait_ns = LOOK_AGAIN_MS * SLX_MS;
	if (r->paused)
		return NULL;
	for (size_t i = 0; i < r->n; i++) {
		struct entry *e = &r->entries[i];
		if (!e->running && e->next_ns > slx_time_add(now, e->group->interval_ns)) /* the clock was set back */
			e->next_ns = slx_rule_group_slot(e->group, now);
		if (!e->running && (!first || e->next_ns < first->next_ns))
			first = e;
	}
	if (first && first->next_ns <= now)
		return first;
	if (first && first->next_ns - now < *ret_wait_ns)
		*ret_wait_ns = first->next_ns - now;
	return NULL;
}

/* Late samples are those of all groups of their tenant. */
static void spread_late(struct slx_rules *r, struct slx_tenant *t)
{
	int64_t oldest = slx_engine_take_late(t);
	for (size_t i = 0; oldest != SLX_TIME_MAX && i < r->n; i++)
		if (r->entries[i].group->tenant == t && oldest < r->entries[i].late_from_ns)
			r->entries[i].late_from_ns = oldest;
}

/* The evaluations that would have seen late samples, over again. What fails now fails in the evaluation that follows, too. */
static void correct(struct slx_rule_group *g, int64_t from_ns, int64_t first_ns, int64_t ts)
{
	uint64_t samples;
	int64_t from = slx_time_add(from_ns, g->offset_ns), oldest = slx_time_sub(ts, g->env->max_lateness_ns);
	from = from < oldest ? oldest : from;
	from = from < first_ns ? first_ns : from;
	if (from <= ts - g->interval_ns && slx_rule_group_replay(g, (struct slx_time_range){ from, ts - 1 }, NULL, NULL, &samples, NULL) == SILEX_OK) {
		slx_rule_group_lock(g);
		g->corrections++;
		slx_rule_group_unlock(g);
	}
}

static void evaluate(struct slx_rules *r, struct entry *e)
{
	struct slx_rule_group *g = e->group;
	spread_late(r, g->tenant);
	int64_t ts = e->next_ns, interval = g->interval_ns, late_from = e->late_from_ns, first = e->first_ns;
	e->late_from_ns = SLX_TIME_MAX;
	e->running = true;
	r->running++;
	pthread_mutex_unlock(&r->lock);
	if (late_from != SLX_TIME_MAX)
		correct(g, late_from, first, ts);
	slx_rule_group_eval(g, ts);
	pthread_mutex_lock(&r->lock);
	int64_t late = slx_time_sub(now_ns(r), ts), missed = late >= 2 * interval ? late / interval - 1 : 0;
	e->running = false; /* entries stay where they are while one runs */
	e->next_ns = slx_time_add(ts, (missed + 1) * interval);
	r->running--;
	slx_rule_group_lock(g);
	g->missed += (uint64_t)missed;
	slx_rule_group_unlock(g);
	pthread_cond_broadcast(&r->changed);
}

static void wait_for(struct slx_rules *r, int64_t ns)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t at = until.tv_sec * SLX_SECOND + until.tv_nsec + ns;
	until = (struct timespec){ .tv_sec = at / SLX_SECOND, .tv_nsec = at % SLX_SECOND };
	pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

static void *work(void *arg)
{
	struct slx_rules *r = arg;
	int64_t wait;
	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct entry *e = due(r, &wait);
		if (e)
			evaluate(r, e);
		else
			wait_for(r, wait);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

unsigned slx_rules_tick(struct slx_rules *r)
{
	unsigned n = 0;
	int64_t wait;
	pthread_mutex_lock(&r->lock);
	for (struct entry *e; (e = due(r, &wait)); n++)
		evaluate(r, e);
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* ---- a new set ---- */

static void free_around(struct slx_mem *m, struct surroundings *s)
{
	if (s)
		slx_free(m, SLX_MEM_OTHER, s, s->size);
}

static struct surroundings *copy_env(struct slx_rules *r, const struct slx_rule_env *env)
{
	size_t size = sizeof(struct surroundings) + env->external_labels.n + env->external_url.n;
	struct surroundings *s = slx_calloc(r->mem, SLX_MEM_OTHER, size);
	if (!s)
		return NULL;
	uint8_t *p = (uint8_t *)(s + 1);
	s->size = size;
	s->env = *env;
	s->env.engine = r->engine;
	s->env.alerts = r->alerts;
	s->env.canceled = &r->canceled;
	if (env->external_labels.n)
		s->env.external_labels.p = memcpy(p, env->external_labels.p, env->external_labels.n);
	if (env->external_url.n)
		s->env.external_url.p = memcpy(p + env->external_labels.n, env->external_url.p, env->external_url.n);
	return s;
}

static void free_entries(struct slx_rules *r, struct entry *e, size_t n)
{
	for (size_t i = 0; e && i < n; i++)
		slx_rule_group_free(e[i].group);
	slx_free(r->mem, SLX_MEM_OTHER, e, (n + 1) * sizeof *e);
}

static struct entry *find(struct entry *e, size_t n, const struct slx_rule_group *like)
{
	for (size_t i = 0; i < n; i++)
		if (e[i].group && slx_str_eq(e[i].group->def->name, like->def->name) && slx_str_eq(e[i].group->file->name, like->file->name) &&
		    slx_str_eq(slx_tenant_name(e[i].group->tenant), slx_tenant_name(like->tenant)))
			return &e[i];
	return NULL;
}

static void begin(struct entry *e, int64_t now)
{
	e->next_ns = e->first_ns = slx_rule_group_slot(e->group, slx_time_add(now, 1));
	e->late_from_ns = SLX_TIME_MAX;
	slx_engine_watch_late(e->group->tenant, LATE_GRACE_S * SLX_SECOND, e->group->env->max_lateness_ns);
}

static silex_status make_entries(struct slx_rules *r, const struct slx_rule_env *env, const struct slx_rules_source *s, size_t n, struct entry **ret,
	size_t *ret_n, silex_error *err)
{
	size_t groups = 0, made = 0;
	for (size_t i = 0; i < n; i++)
		groups += s[i].file->n_groups;
	struct entry *e = slx_calloc(r->mem, SLX_MEM_OTHER, (groups + 1) * sizeof *e);
	silex_status status = e ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < s[i].file->n_groups && status == SILEX_OK; k++) {
			status = slx_rule_group_new(env, s[i].tenant, s[i].file, &s[i].file->groups[k], &e[made].group, err);
			if (status == SILEX_OK)
				begin(&e[made], now_ns(r));
			made += status == SILEX_OK;
		}
	if (status == SILEX_OK) {
		*ret = e;
		*ret_n = groups;
	} else if (e) {
		free_entries(r, e, groups);
	}
	return status;
}

/* Alerts that a rule file's rule left in the journal, and that no rule is there for: they are over. */
struct orphans {
	struct slx_rules *r;
	struct slx_arena arena;
	struct slx_buf found; /* of struct slx_alert_change */
};

static bool has_rule(const struct slx_rules *r, const struct slx_alert_rule *rule)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct slx_rule_group *g = r->entries[i].group;
		for (size_t k = 0; slx_str_eq(slx_tenant_name(g->tenant), rule->tenant) && k < g->def->n_rules; k++)
			if (g->def->rules[k].id == rule->id)
				return true;
	}
	return false;
}

static bool find_orphan(void *arg, const struct slx_alert *x)
{
	struct orphans *o = arg;
	if (x->rule->origin != SLX_RULE_FILE || x->state == SLX_ALERT_INACTIVE || has_rule(o->r, x->rule))
		return true;
	const struct slx_alert_rule *from = x->rule;
	size_t texts = from->tenant.n + from->group.n + from->name.n + from->expr.n;
	struct slx_alert_rule *rule = slx_arena_alloc(&o->arena, sizeof *rule + texts + x->labels.n + x->annotations.n, 8);
	if (!rule)
		return false; /* they are found again after the next start */
	char *p = (char *)(rule + 1);
	struct slx_str *const to[] = { &rule->tenant, &rule->group, &rule->name, &rule->expr };
	*rule = *from;
	for (size_t i = 0; i < 4; i++) {
		*to[i] = (struct slx_str){ memcpy(p, to[i]->p, to[i]->n), to[i]->n };
		p += to[i]->n;
	}
	const struct slx_alert_change c = { .rule = rule, .labels = { memcpy(p, x->labels.p, x->labels.n), x->labels.n },
		.annotations = { memcpy(p + x->labels.n, x->annotations.p, x->annotations.n), x->annotations.n }, .to = SLX_ALERT_INACTIVE,
		.at_ns = now_ns(o->r), .value = x->value };
	slx_buf_put(&o->found, &c, sizeof c);
	return true;
}

static void end_orphans(struct slx_rules *r)
{
	struct orphans o = { .r = r };
	slx_arena_init(&o.arena, r->mem, SLX_MEM_OTHER, 64 << 10);
	slx_buf_init(&o.found, r->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_alerts_list(r->alerts, (struct slx_str){ 0 }, find_orphan, &o);
	if (o.found.n)
		(void)slx_alerts_change(r->alerts, (const struct slx_alert_change *)(const void *)o.found.p, o.found.n / sizeof(struct slx_alert_change), NULL);
	slx_buf_free(&o.found);
	slx_arena_clear(&o.arena);
}

static void hand_over_all(struct slx_rules *r, struct entry *now, size_t n, struct entry *old, size_t n_old)
{
	int64_t ts = now_ns(r);
	for (size_t i = 0; i < n; i++) {
		struct entry *before = find(old, n_old, now[i].group);
		if (!before)
			continue;
		slx_rule_group_hand_over(now[i].group, before->group, ts);
		if (before->group->interval_ns == now[i].group->interval_ns)
			now[i].next_ns = before->next_ns;
		now[i].first_ns = before->first_ns;
		now[i].late_from_ns = before->late_from_ns;
		slx_rule_group_free(before->group);
		before->group = NULL;
	}
	for (size_t i = 0; i < n_old; i++)
		if (old[i].group)
			slx_rule_group_hand_over(NULL, old[i].group, ts);
}

static void pause_all(struct slx_rules *r)
{
	pthread_mutex_lock(&r->lock);
	r->paused = true;
	while (r->running)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

silex_status slx_rules_set(struct slx_rules *r, const struct slx_rule_env *env, const struct slx_rules_source *s, size_t n, silex_error *err)
{
	struct entry *now = NULL, *old;
	size_t n_now = 0, n_old;
	struct surroundings *around = copy_env(r, env), *before;
	if (!around)
		return slx_err_oom(err);
	pthread_mutex_lock(&r->set_lock);
	silex_status status = make_entries(r, &around->env, s, n, &now, &n_now, err);
	if (status != SILEX_OK) {
		free_around(r->mem, around);
		pthread_mutex_unlock(&r->set_lock);
		return status;
	}
	pause_all(r);
	pthread_mutex_lock(&r->lock);
	old = r->entries;
	n_old = r->n;
	before = r->around;
	r->entries = NULL; /* lists are empty for a moment: the state is on its way */
	r->n = 0;
	pthread_mutex_unlock(&r->lock);
	hand_over_all(r, now, n_now, old, n_old);
	pthread_mutex_lock(&r->lock);
	r->entries = now;
	r->n = n_now;
	r->around = around;
	pthread_mutex_unlock(&r->lock);
	if (r->alerts)
		end_orphans(r);
	pthread_mutex_lock(&r->lock);
	r->paused = false;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	free_entries(r, old, n_old);
	free_around(r->mem, before);
	pthread_mutex_unlock(&r->set_lock);
	return SILEX_OK;
}

/* ---- looking ---- */

void slx_rules_each(struct slx_rules *r, struct slx_str tenant, bool (*each)(void *arg, struct slx_rule_group *g), void *arg)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++)
		if ((tenant.n == 0 || slx_str_eq(tenant, slx_tenant_name(r->entries[i].group->tenant))) && !each(arg, r->entries[i].group))
			break;
	pthread_mutex_unlock(&r->lock);
}

/* ---- as a whole ---- */

silex_status slx_rules_new(struct slx_engine *e, struct slx_alerts *alerts, struct slx_rules **ret, silex_error *err)
{
	struct slx_mem *mem = slx_engine_mem(e);
	struct slx_rules *r = slx_calloc(mem, SLX_MEM_OTHER, sizeof *r);
	pthread_condattr_t monotonic;
	if (!r)
		return slx_err_oom(err);
	r->engine = e;
	r->alerts = alerts;
	r->mem = mem;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->set_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret = r;
	return SILEX_OK;
}

void slx_rules_free(struct slx_rules *r)
{
	if (!r)
		return;
	free_entries(r, r->entries, r->n);
	free_around(r->mem, r->around);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->set_lock);
	slx_free(r->mem, SLX_MEM_OTHER, r, sizeof *r);
}

silex_status slx_rules_start(struct slx_rules *r, unsigned threads, silex_error *err)
{
	for (unsigned i = 0; i < threads && i < THREADS_MAX; i++) {
		int e = pthread_create(&r->threads[i], NULL, work, r);
		if (e)
			return slx_err_errno(err, e, "a thread for rules");
		pthread_setname_np(r->threads[i], "rules");
		r->n_threads++;
	}
	return SILEX_OK;
}

void slx_rules_stop(struct slx_rules *r)
{
	if (!r)
		return;
	atomic_store(&r->canceled, true);
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->n_threads; i++)
		pthread_join(r->threads[i], NULL);
	r->n_threads = 0;
}
