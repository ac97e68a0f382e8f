/* The observer of writes (engine.h): who marks series, and is told of their samples by write.c. */
#include "engine/engine_int.h"

void slx_engine_observe(struct slx_engine *e, const struct slx_observer *o)
{
	slx_engine_lock_stripes(e);
	e->observer = o ? *o : (struct slx_observer){ 0 };
	atomic_store_explicit(&e->observed, o != NULL, memory_order_relaxed);
	slx_engine_unlock_stripes(e);
}

void slx_observe_new(struct slx_engine *e, const struct slx_head *head, struct slx_str tenant, struct slx_labels l, struct slx_head_series *s)
{
	if (e->observer.mark)
		s->watch = e->observer.mark(e->observer.ctx, tenant, l, s->id, slx_head_generation(head));
}

struct slx_arrival slx_observe_arrival(struct slx_engine *e, bool backfill)
{
	if (!atomic_load_explicit(&e->observed, memory_order_relaxed))
		return (struct slx_arrival){ 0 };
	return (struct slx_arrival){ slx_monotonic_ns(&e->clock), slx_wall_ns(&e->clock), backfill || e->opt.backfill };
}

/* Marks one series, unless the head has been replaced: then *ret_same is false. */
static silex_status mark_one(struct slx_engine *e, struct slx_head *head, struct slx_str tenant, struct slx_head_series *s, bool *ret_same, silex_error *err)
{
	struct slx_stripe *st = &e->stripes[slx_head_stripe(s->id)];
	pthread_mutex_lock(&st->lock);
	*ret_same = atomic_load_explicit(&e->active, memory_order_relaxed) == head;
	slx_buf_reset(&st->label);
	if (*ret_same)
		slx_head_labels(head, s, &st->label);
	bool failed = st->label.failed;
	if (*ret_same && !failed)
		slx_observe_new(e, head, tenant, (struct slx_labels){ st->label.p, st->label.n }, s);
	pthread_mutex_unlock(&st->lock);
	return failed ? slx_err_oom(err) : SILEX_OK;
}

/* Series that are created while this runs get their marks by themselves, and so do all of the next head, should it take over. */
silex_status slx_engine_mark(struct slx_engine *e, struct slx_tenant *t, struct slx_matcher *const *ms, size_t n, silex_error *err)
{
	struct slx_view *v = slx_view_get(e);
	struct slx_head_series **series = NULL;
	size_t series_n = 0;
	bool same = true;
	silex_status status = slx_head_select(v->active, t->name, ms, n, &e->mem, &series, &series_n, err);
	for (size_t i = 0; i < series_n && same && status == SILEX_OK; i++)
		status = mark_one(e, v->active, t->name, series[i], &same, err);
	slx_free(&e->mem, SLX_MEM_QUERY, series, series_n * sizeof *series);
	slx_view_unref(v);
	return status;
}

uint64_t slx_engine_generation(struct slx_engine *e)
{
	struct slx_view *v = slx_view_get(e);
	uint64_t generation = slx_head_generation(v->active);
	slx_view_unref(v);
	return generation;
}

int64_t slx_engine_last_write_ns(struct slx_engine *e)
{
	struct slx_wal_stats st;
	slx_wal_stats(e->wal, &st);
	return (int64_t)(st.last_version >> 16) * SLX_MS;
}
