#include "rules/group/group_int.h"

#include <stdio.h>

static int64_t monotonic(const struct slx_rule_group *g) { return slx_monotonic_ns(slx_engine_clock(g->env->engine)); }

/* ---- one rule ---- */

static silex_status record(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns, struct slx_rule_rows *rows, silex_error *err)
{
	struct slx_promql_result *r;
	struct slx_labels_builder b;
	int64_t t = ts_ns - g->offset_ns;
	SLX_TRY(slx_rule_query(g, s->def->expr, t, &r, err));
	size_t n = slx_rule_samples(r);
	silex_status status = SILEX_OK;
	slx_labels_builder_init(&b, g->mem, SLX_MEM_QUERY, NULL);
	if (g->def->limit && n > g->def->limit)
		status = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "exceeded limit of %llu with %zu series", (unsigned long long)g->def->limit, n);
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		struct slx_promql_series sample = slx_rule_sample(r, i);
		struct slx_labels labels;
		status = slx_rule_record_labels(s->def, sample.labels, &b, rows->arena, &labels, err);
		if (status != SILEX_OK)
			break;
		struct slx_hash128 id = slx_series_id(slx_tenant_name(g->tenant), labels);
		const struct slx_rule_series *before = slx_rule_table_get(&s->series, id);
		if (before && before->round == g->round)
			status = slx_err(err, SILEX_CONFLICT, "vector contains metrics with the same labelset after applying rule labels");
		else
			status = slx_rule_series_seen(g, s, labels, id, err);
		if (sample.n)
			slx_rule_rows_float(rows, labels, id, t, sample.points[0].v);
		else
			slx_rule_rows_histogram(rows, labels, id, t, sample.histograms[0].h);
	}
	slx_labels_builder_free(&b);
	slx_promql_result_free(r);
	return status;
}

/* Series that were seen before an evaluation failed are still the rule's. */
static void forgive(struct slx_rule_group *g, struct slx_rule_state *s)
{
	for (size_t i = 0; i < s->series.cap; i++)
		if (s->series.slots[i])
			((struct slx_rule_series *)s->series.slots[i])->round = g->round;
}

static silex_status eval_rule(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns, uint64_t *samples, uint64_t *lsn, silex_error *err)
{
	struct slx_arena arena;
	struct slx_rule_rows rows;
	slx_arena_init(&arena, g->mem, SLX_MEM_QUERY, 1 << 20);
	slx_rule_rows_init(&rows, g->mem, &arena);
	silex_status status = s->def->kind == SLX_RULE_RECORDING ? record(g, s, ts_ns, &rows, err) : slx_rule_eval_alerts(g, s, ts_ns, &rows, err);
	if (status == SILEX_OK)
		slx_rule_series_stale(g, s, &rows, ts_ns - g->offset_ns);
	else
		forgive(g, s);
	if (status == SILEX_OK)
		status = slx_rule_rows_write(&rows, g->env->engine, g->tenant, samples, lsn, err);
	slx_rule_rows_free(&rows);
	slx_arena_clear(&arena);
	return status;
}

static void run_rule(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns, uint64_t *samples, uint64_t *lsn)
{
	silex_error err = { 0 };
	int64_t begun = monotonic(g);
	silex_status status = eval_rule(g, s, ts_ns, samples, lsn, &err);
	slx_rule_group_lock(g);
	s->evaluations++;
	s->failures += status != SILEX_OK;
	s->health = status == SILEX_OK ? SLX_RULE_OK : SLX_RULE_ERR;
	snprintf(s->error, sizeof s->error, "%s", status == SILEX_OK ? "" : err.message);
	s->evaluated_ns = ts_ns;
	s->took_ns = monotonic(g) - begun;
	slx_rule_group_unlock(g);
}

/* ---- the group ---- */

void slx_rule_group_eval(struct slx_rule_group *g, int64_t ts_ns)
{
	uint64_t samples = 0, lsn = 0;
	int64_t begun = monotonic(g);
	g->round++;
	for (size_t i = 0; i < g->def->n_rules; i++)
		run_rule(g, &g->rules[i], ts_ns, &samples, &lsn);
	if (lsn)
		(void)slx_engine_wait(g->env->engine, lsn, NULL); /* a log that fails is told to everybody who writes */
	slx_rule_group_lock(g);
	g->evaluated_ns = ts_ns;
	g->took_ns = monotonic(g) - begun;
	g->samples = samples;
	g->iterations++;
	slx_rule_group_unlock(g);
}

int64_t slx_rule_group_slot(const struct slx_rule_group *g, int64_t t)
{
	struct slx_hash128 h = slx_hash128(g->def->name.p, g->def->name.n, slx_hash64(g->file->name.p, g->file->name.n));
	int64_t offset = (int64_t)((h.lo >> 1) % (uint64_t)g->interval_ns);
	offset -= offset % SLX_MS;
	int64_t start = slx_window_start(t, g->interval_ns, offset);
	return start < t ? slx_time_add(start, g->interval_ns) : start;
}

static void make_rule(struct slx_rule_group *g, struct slx_rule_state *s, const struct slx_rule_def *d)
{
	s->def = d;
	s->alert_rule = (struct slx_alert_rule){ .id = d->id, .tenant = slx_tenant_name(g->tenant), .group = g->def->name, .name = d->name, .expr = d->expr_text,
		.interval_ns = g->interval_ns, .origin = SLX_RULE_FILE };
}

silex_status slx_rule_group_new(const struct slx_rule_env *env, struct slx_str tenant, struct slx_rule_file *f, const struct slx_rule_group_def *def,
	struct slx_rule_group **ret, silex_error *err)
{
	struct slx_mem *mem = slx_engine_mem(env->engine);
	struct slx_rule_group *g = slx_calloc(mem, SLX_MEM_OTHER, sizeof *g);
	if (!g)
		return slx_err_oom(err);
	g->env = env;
	g->mem = mem;
	g->def = def;
	g->file = slx_rule_file_ref(f);
	g->interval_ns = def->interval_ns ? def->interval_ns : env->interval_ns ? env->interval_ns : SLX_MINUTE;
	g->offset_ns = def->offset_ns >= 0 ? def->offset_ns : env->offset_ns;
	pthread_mutex_init(&g->lock, NULL);
	g->rules = slx_calloc(mem, SLX_MEM_OTHER, (def->n_rules + 1) * sizeof *g->rules);
	silex_status status = g->rules ? slx_engine_tenant(env->engine, tenant, &g->tenant, err) : slx_err_oom(err);
	for (size_t i = 0; i < def->n_rules && status == SILEX_OK; i++)
		make_rule(g, &g->rules[i], &def->rules[i]);
	if (status == SILEX_OK)
		status = slx_rule_restore_alerts(g, err);
	if (status == SILEX_OK)
		*ret = g;
	else
		slx_rule_group_free(g);
	return status;
}

void slx_rule_group_free(struct slx_rule_group *g)
{
	if (!g)
		return;
	for (size_t i = 0; g->rules && i < g->def->n_rules; i++) {
		slx_rule_series_free(g, &g->rules[i]);
		slx_rule_free_alerts(g, &g->rules[i]);
	}
	slx_free(g->mem, SLX_MEM_OTHER, g->rules, (g->def->n_rules + 1) * sizeof *g->rules);
	slx_rule_file_unref(g->file);
	pthread_mutex_destroy(&g->lock);
	slx_free(g->mem, SLX_MEM_OTHER, g, sizeof *g);
}

/* ---- a reload ---- */

struct slx_rule_state *slx_rule_group_find(struct slx_rule_group *g, uint64_t id)
{
	for (size_t i = 0; g && i < g->def->n_rules; i++)
		if (g->rules[i].def->id == id)
			return &g->rules[i];
	return NULL;
}

static void take_state(struct slx_rule_group *g, struct slx_rule_state *to, struct slx_rule_state *from)
{
	slx_rule_group_lock(g);
	slx_rule_free_alerts(g, to); /* the journal's; the old group knows more */
	slx_rule_series_free(g, to);
	to->alerts = from->alerts;
	to->series = from->series;
	to->health = from->health;
	memcpy(to->error, from->error, sizeof to->error);
	to->evaluated_ns = from->evaluated_ns;
	to->took_ns = from->took_ns;
	to->evaluations = from->evaluations;
	to->failures = from->failures;
	slx_rule_group_unlock(g);
	from->alerts = from->series = (struct slx_rule_table){ 0 };
}

/* Series and alerts of a rule that is no more. */
static void end_rule(struct slx_rule_group *g, struct slx_rule_state *s, int64_t ts_ns)
{
	struct slx_arena arena;
	struct slx_rule_rows rows;
	uint64_t n = 0;
	slx_arena_init(&arena, g->mem, SLX_MEM_QUERY, 64 << 10);
	slx_rule_rows_init(&rows, g->mem, &arena);
	g->round++;
	slx_rule_series_stale(g, s, &rows, ts_ns - g->offset_ns);
	(void)slx_rule_rows_write(&rows, g->env->engine, g->tenant, &n, NULL, NULL);
	slx_rule_rows_free(&rows);
	slx_arena_clear(&arena);
	slx_rule_end_alerts(g, s, ts_ns);
}

void slx_rule_group_hand_over(struct slx_rule_group *now, struct slx_rule_group *old, int64_t ts_ns)
{
	for (size_t i = 0; i < old->def->n_rules; i++) {
		struct slx_rule_state *to = slx_rule_group_find(now, old->rules[i].def->id);
		if (to)
			take_state(now, to, &old->rules[i]);
		else
			end_rule(old, &old->rules[i], ts_ns);
	}
	if (!now)
		return;
	slx_rule_group_lock(now);
	now->round = old->round;
	now->evaluated_ns = old->evaluated_ns;
	now->took_ns = old->took_ns;
	now->iterations = old->iterations;
	now->missed = old->missed;
	now->corrections = old->corrections;
	slx_rule_group_unlock(now);
}
