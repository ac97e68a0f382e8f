/* Recording rules over the past: what the evaluations of a range would have written, from range queries.
 *
 * The steps are the group's slots, so what is written lies where live evaluations put it and replaces what they wrote. Piece by piece
 * of the range, each rule after the one above it: rules may build on those before them. Where a series has no result at the step
 * after one it gets a stale marker, as a live evaluation would have set. */
#include "rules/group/group_int.h"

enum { STEPS_PIECE = 500 };

struct piece {
	struct slx_rule_group *g;
	int64_t first_ms, last_ms, step_ms; /* of the results: slots without the offset */
	struct slx_arena arena;
	struct slx_labels_builder b;
	struct slx_rule_rows rows;
};

static silex_status query(const struct piece *p, const struct slx_promql_expr *x, struct slx_promql_result **ret, silex_error *err)
{
	const struct slx_rule_env *env = p->g->env;
	const struct slx_promql_options o = { .who = { .tenant = slx_tenant_name(p->g->tenant) }, .start_ms = p->first_ms, .end_ms = p->last_ms,
		.step_ms = p->step_ms, .lookback_ms = env->lookback_ms, .subquery_step_ms = env->subquery_step_ms, .experimental = env->experimental,
		.delayed_name_removal = env->experimental, .samples_max = env->samples_max, .timeout_ns = env->timeout_ns, .canceled = env->canceled };
	enum slx_promql_type type = slx_promql_result_type(x);
	if (type != SLX_PROMQL_VECTOR && type != SLX_PROMQL_SCALAR)
		return slx_err(err, SILEX_INVALID, "rule result is not a vector or scalar");
	return slx_promql_run(env->engine, x, &o, ret, err);
}

static void put_stale(struct piece *p, struct slx_labels labels, struct slx_hash128 id, int64_t t_ms)
{
	if (t_ms <= p->last_ms)
		slx_rule_rows_float(&p->rows, labels, id, t_ms * SLX_MS, slx_bits_f64(SLX_STALE_NAN));
}

/* The points of a series, and a marker where there is a gap behind one. Returns the time of the last. */
static int64_t put_points(struct piece *p, struct slx_labels labels, struct slx_hash128 id, const struct slx_promql_series *s)
{
	int64_t before = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (i && s->points[i].t_ms != before + p->step_ms)
			put_stale(p, labels, id, before + p->step_ms);
		before = s->points[i].t_ms;
		slx_rule_rows_float(&p->rows, labels, id, before * SLX_MS, s->points[i].v);
	}
	for (size_t i = 0; i < s->n_histograms; i++) {
		if (s->histograms[i].t_ms > before)
			before = s->histograms[i].t_ms;
		slx_rule_rows_histogram(&p->rows, labels, id, s->histograms[i].t_ms * SLX_MS, s->histograms[i].h);
	}
	return before;
}

static int64_t first_of(const struct slx_promql_series *s)
{
	int64_t first = s->n ? s->points[0].t_ms : INT64_MAX;
	return s->n_histograms && s->histograms[0].t_ms < first ? s->histograms[0].t_ms : first;
}

/* Series that had a result at the last step of the piece before are in the table: those that have none at the first step of this one
 * end there. */
static silex_status put_series(struct piece *p, struct slx_rule_state *s, const struct slx_promql_series *x, silex_error *err)
{
	struct slx_labels labels;
	SLX_TRY(slx_rule_record_labels(s->def, x->labels, &p->b, &p->arena, &labels, err));
	struct slx_hash128 id = slx_series_id(slx_tenant_name(p->g->tenant), labels);
	struct slx_rule_series *before = slx_rule_table_get(&s->series, id);
	if (before && first_of(x) > p->first_ms)
		put_stale(p, labels, id, p->first_ms);
	if (before)
		before->round = p->g->round; /* it has not ended unsaid */
	int64_t last = put_points(p, labels, id, x);
	if (last < p->last_ms) {
		put_stale(p, labels, id, last + p->step_ms);
		return SILEX_OK;
	}
	return slx_rule_series_seen(p->g, s, labels, id, err);
}

static silex_status put_result(struct piece *p, struct slx_rule_state *s, const struct slx_promql_result *r, silex_error *err)
{
	p->g->round++;
	for (size_t i = 0; i < r->n; i++)
		SLX_TRY(put_series(p, s, &r->series[i], err));
	slx_rule_series_stale(p->g, s, &p->rows, p->first_ms * SLX_MS); /* not among the results at all */
	return SILEX_OK;
}

static silex_status replay_rule(struct piece *p, struct slx_rule_state *s, uint64_t *samples, uint64_t *lsn, silex_error *err)
{
	struct slx_promql_result *r = NULL;
	slx_arena_init(&p->arena, p->g->mem, SLX_MEM_QUERY, 1 << 20);
	slx_labels_builder_init(&p->b, p->g->mem, SLX_MEM_QUERY, NULL);
	slx_rule_rows_init(&p->rows, p->g->mem, &p->arena);
	silex_status status = query(p, s->def->expr, &r, err);
	if (status == SILEX_OK)
		status = put_result(p, s, r, err);
	if (status == SILEX_OK)
		status = slx_rule_rows_write(&p->rows, p->g->env->engine, p->g->tenant, samples, lsn, err);
	slx_promql_result_free(r);
	slx_rule_rows_free(&p->rows);
	slx_labels_builder_free(&p->b);
	slx_arena_clear(&p->arena);
	return status == SILEX_OK ? SILEX_OK : slx_err_wrap(err, "%.*s", (int)s->def->name.n, s->def->name.p);
}

/* Series with a result at the last step are the rule's: should the next evaluation not have them, they end there. */
static silex_status keep_series(struct slx_rule_group *g, struct slx_rule_state *to, const struct slx_rule_state *from, silex_error *err)
{
	for (size_t i = 0; i < from->series.cap; i++) {
		const struct slx_rule_series *x = from->series.slots[i];
		if (x && !slx_rule_table_get(&to->series, x->id))
			SLX_TRY(slx_rule_series_seen(g, to, x->labels, x->id, err));
	}
	return SILEX_OK;
}

silex_status slx_rule_group_replay(struct slx_rule_group *g, struct slx_time_range range, bool (*progress)(void *arg, size_t done, size_t n), void *arg,
	uint64_t *ret_samples, silex_error *err)
{
	int64_t first = slx_rule_group_slot(g, range.from), interval = g->interval_ns;
	uint64_t samples = 0, lsn = 0, steps = first > range.to ? 0 : (uint64_t)(range.to - first) / (uint64_t)interval + 1;
	size_t pieces = (size_t)((steps + STEPS_PIECE - 1) / STEPS_PIECE);
	struct slx_rule_state *states = slx_calloc(g->mem, SLX_MEM_OTHER, (g->def->n_rules + 1) * sizeof *states); /* series of this replay */
	silex_status status = states ? SILEX_OK : slx_err_oom(err);
	for (size_t k = 0; k < pieces && status == SILEX_OK; k++) {
		uint64_t n = k + 1 < pieces ? STEPS_PIECE : steps - (uint64_t)k * STEPS_PIECE;
		int64_t from = (first + (int64_t)(k * STEPS_PIECE) * interval - g->offset_ns) / SLX_MS, step = interval / SLX_MS;
		struct piece p = { .g = g, .first_ms = from, .last_ms = from + (int64_t)(n - 1) * step, .step_ms = step };
		for (size_t i = 0; i < g->def->n_rules && status == SILEX_OK; i++) {
			states[i].def = &g->def->rules[i];
			if (states[i].def->kind == SLX_RULE_RECORDING)
				status = replay_rule(&p, &states[i], &samples, &lsn, err);
		}
		if (status == SILEX_OK && progress && !progress(arg, k + 1, pieces))
			status = slx_err(err, SILEX_CANCELED, "canceled");
	}
	if (status == SILEX_OK)
		status = slx_engine_wait(g->env->engine, lsn, err);
	for (size_t i = 0; i < g->def->n_rules && status == SILEX_OK; i++)
		status = keep_series(g, &g->rules[i], &states[i], err);
	for (size_t i = 0; states && i < g->def->n_rules; i++)
		slx_rule_series_free(g, &states[i]);
	slx_free(g->mem, SLX_MEM_OTHER, states, (g->def->n_rules + 1) * sizeof *states);
	if (status == SILEX_OK)
		*ret_samples = samples;
	return status;
}

/* ---- a whole file ---- */

struct groups {
	bool (*progress)(void *arg, size_t done, size_t n);
	void *arg;
	size_t before, n; /* groups done, of all: each counts a hundred */
};

static bool of_all(void *arg, size_t done, size_t n)
{
	const struct groups *g = arg;
	return !g->progress || g->progress(g->arg, g->before * 100 + done * 100 / n, g->n * 100);
}

silex_status slx_rule_file_backfill(const struct slx_rule_env *env, struct slx_str tenant, struct slx_rule_file *f, struct slx_time_range range,
	bool (*progress)(void *arg, size_t done, size_t n), void *arg, uint64_t *ret_samples, silex_error *err)
{
	struct groups all = { .progress = progress, .arg = arg, .n = f->n_groups };
	uint64_t samples = 0;
	for (; all.before < all.n; all.before++) {
		struct slx_rule_group *g;
		uint64_t n = 0;
		SLX_TRY(slx_rule_group_new(env, tenant, f, &f->groups[all.before], &g, err));
		silex_status status = slx_rule_group_replay(g, range, of_all, &all, &n, err);
		slx_rule_group_free(g);
		SLX_TRY(status);
		samples += n;
	}
	*ret_samples = samples;
	return SILEX_OK;
}
