/* Rules and states from before: the registered rules are notes of the journal, "rule" with the rule's number; the next number to
 * give is the note "ruleid" of the default tenant. The journal tells which alerts were active. What is newer than that, and came
 * within max_lateness of the end of the log, is evaluated again: a crash may have come between a sample and its change. What was
 * a backfill cannot be told from the rest then; so after a clean stop, which leaves the note "rulestop", only alerts that are active
 * are looked at. */
#include "rules/watch/watch_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_TENANT SLX_STR("default")

/* ---- notes ---- */

static silex_status put_note(struct slx_watch *w, struct slx_str tenant, const char *kind, const char *id, const struct slx_buf *b, silex_error *err)
{
	struct slx_note note = { slx_str(kind), slx_str(id), slx_wall_ns(w->clock), { (const char *)b->p, b->n } };
	return b->failed ? slx_err_oom(err) : slx_alerts_put_notes(w->alerts, tenant, &note, 1, err);
}

silex_status slx_watch_store_next(struct slx_watch *w, uint64_t next, silex_error *err)
{
	struct slx_buf b;
	slx_buf_init(&b, w->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_buf_varint(&b, next);
	silex_status status = put_note(w, ID_TENANT, "ruleid", "next", &b, err);
	slx_buf_free(&b);
	return status;
}

silex_status slx_watch_store(struct slx_watch *w, const struct slx_watch_rule *r, bool removed, silex_error *err)
{
	struct slx_buf b;
	char id[24];
	if (!removed) /* no number is given twice, also when its rule has gone */
		SLX_TRY(slx_watch_store_next(w, r->alert.id + 1, err));
	slx_buf_init(&b, w->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (!removed)
		slx_watch_def_encode(&r->def, &b);
	snprintf(id, sizeof id, "%llu", (unsigned long long)r->alert.id);
	silex_status status = put_note(w, r->alert.tenant, "rule", id, &b, err);
	slx_buf_free(&b);
	return status;
}

silex_status slx_watch_store_stop(struct slx_watch *w, bool stopped, silex_error *err)
{
	struct slx_buf b;
	slx_buf_init(&b, w->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	if (stopped)
		slx_buf_u8(&b, 1);
	silex_status status = put_note(w, ID_TENANT, "rulestop", "clean", &b, err);
	slx_buf_free(&b);
	return status;
}

static bool found_stop(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	*(bool *)arg = true;
	return true;
}

struct loading {
	struct slx_watch *w;
	silex_status status;
	silex_error *err;
};

static uint64_t number_of(struct slx_str s)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n && i < 19; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	return s.n <= 19 ? v : 0;
}

/* A rule that cannot be read is named and left where it is: the others go on. */
static bool load_rule(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct loading *l = arg;
	struct slx_watch_def d;
	struct slx_watch_rule *r;
	silex_error why;
	uint64_t id = number_of(note->id);
	silex_status status = id ? slx_watch_def_decode(note->bytes, &d, &why) : slx_err(&why, SILEX_CORRUPT, "its number is no number");
	if (status == SILEX_OK)
		status = slx_watch_rule_new(l->w, tenant, id, &d, &r, NULL, &why);
	if (status == SILEX_OK && (status = slx_watch_rule_put(l->w, r, &why)) != SILEX_OK)
		slx_watch_rule_free(l->w, r);
	if (status == SILEX_OK)
		l->w->next_id = id >= l->w->next_id ? id + 1 : l->w->next_id;
	else
		slx_engine_log(l->w->engine, 3, "alerts: rule %.*s of tenant %.*s is not in force: %s", (int)note->id.n, note->id.p, (int)tenant.n, tenant.p,
			why.message);
	return true;
}

static bool load_next(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct loading *l = arg;
	struct slx_rd rd = slx_rd_init(note->bytes.p, note->bytes.n);
	uint64_t next = slx_rd_varint(&rd);
	if (!rd.bad && next > l->w->next_id)
		l->w->next_id = next;
	return true;
}

/* ---- what was told of alerts ---- */

struct restoring {
	struct slx_watch *w;
	struct slx_watch_rule *r;
	bool failed;
};

static bool restore_alert(void *arg, const struct slx_alert *x)
{
	struct restoring *k = arg; /* one that ended counts, too: what was told of it is not told again */
	struct slx_watch_restored *to = slx_alloc(k->w->mem, SLX_MEM_OTHER, sizeof *to + x->labels.n);
	if (!to) {
		k->failed = true;
		return false;
	}
	memcpy(to + 1, x->labels.p, x->labels.n);
	*to = (struct slx_watch_restored){ k->r->restored, x->state, x->changed_ns, x->active_ns, { (const uint8_t *)(to + 1), x->labels.n } };
	k->r->restored = to;
	return true;
}

/* Alerts that ended long before now are in no list, but may have ended just before the end of the log: their last changes, newest
 * first. */
static bool restore_event(void *arg, const struct slx_alert_event *e)
{
	struct restoring *k = arg;
	k->r = slx_watch_rule_find(k->w, e->alert.rule->tenant, e->alert.rule->id);
	const struct slx_watch_restored *x = k->r ? k->r->restored : NULL;
	while (x && !slx_labels_eq(x->labels, e->alert.labels))
		x = x->next;
	return !k->r || x || restore_alert(k, &e->alert);
}

static silex_status restore_ended(struct slx_watch *w, struct slx_str tenant, silex_error *err)
{
	struct restoring k = { .w = w };
	int64_t back = 0;
	for (size_t i = 0; i < w->rules_n; i++)
		if (slx_str_eq(w->rules[i]->alert.tenant, tenant) && w->rules[i]->def.lateness_ns > back)
			back = w->rules[i]->def.lateness_ns;
	struct slx_time_range range = { slx_time_sub(slx_engine_last_write_ns(w->engine), back), SLX_TIME_MAX };
	SLX_TRY(slx_alerts_history(w->alerts, tenant, NULL, range, 0, restore_event, &k, err));
	return k.failed ? slx_err_oom(err) : SILEX_OK;
}

/* The rules' tenants, each once. */
static void restore_tenants(struct slx_watch *w)
{
	for (size_t i = 0; i < w->rules_n; i++) {
		struct slx_str tenant = w->rules[i]->alert.tenant;
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = slx_str_eq(w->rules[k]->alert.tenant, tenant);
		silex_error why;
		silex_status status = seen ? SILEX_OK : restore_ended(w, tenant, &why);
		if (status != SILEX_OK)
			slx_engine_log(w->engine, 2, "alerts of tenant %.*s that ended just before the last write may be told again: %s", (int)tenant.n, tenant.p,
				why.message);
	}
}

silex_status slx_watch_load(struct slx_watch *w, silex_error *err)
{
	struct loading l = { .w = w };
	const struct slx_str all = { "", 0 };
	SLX_TRY(slx_alerts_notes(w->alerts, all, SLX_STR("rule"), load_rule, &l, err));
	SLX_TRY(slx_alerts_notes(w->alerts, ID_TENANT, SLX_STR("ruleid"), load_next, &l, err));
	for (size_t i = 0; i < w->rules_n; i++) {
		struct slx_watch_rule *r = w->rules[i];
		struct restoring k = { w, r, false };
		slx_alerts_of_rule(w->alerts, r->alert.tenant, r->alert.id, restore_alert, &k);
		if (k.failed)
			return slx_err_oom(err);
	}
	restore_tenants(w);
	SLX_TRY(slx_alerts_notes(w->alerts, ID_TENANT, SLX_STR("rulestop"), found_stop, &w->stopped, err));
	if (w->stopped)
		SLX_TRY(slx_watch_store_stop(w, false, err));
	for (size_t i = 0; i < w->rules_n; i++) {
		struct slx_watch_rule *r = w->rules[i];
		silex_error why;
		if (slx_watch_seed(w, r, true, &why) != SILEX_OK)
			slx_engine_log(w->engine, 2, "alerts: rule %llu begins without what came before: %s", (unsigned long long)r->alert.id, why.message);
	}
	return SILEX_OK;
}

/* ---- what series had before ---- */

struct seeding {
	struct slx_watch *w;
	struct slx_watch_rule *r;
	struct slx_snapshot *snap;
	struct slx_selection *sel;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_time_range range;
	bool again;
	int64_t evaluate_from; /* samples before are kept only */
};

static void seed_run(struct seeding *k, struct slx_watch_state *s, struct slx_watch_shard *sh, const struct slx_run *run, int64_t changed)
{
	const struct slx_track_rule *r = &s->rule->track;
	for (size_t i = 0; i < run->n; i++) {
		double v = slx_bits_number(run->kind, run->bits[i]);
		if (!k->again || (k->w->stopped && s->told == SLX_ALERT_INACTIVE) || run->ts[i] <= changed || run->ts[i] < k->evaluate_from)
			slx_track_fill(&s->track, r, &k->w->room, run->ts[i], v);
		else
			slx_track_sample(&s->track, r, &k->w->room, run->ts[i], run->ts[i], v, &sh->moves);
	}
}

/* Under the shard's lock; a state that has samples already needs no more. */
static silex_status seed_state(struct seeding *k, struct slx_watch_state *s, struct slx_watch_shard *sh, size_t i, silex_error *err)
{
	struct slx_run run;
	bool more;
	if (slx_track_kept(&s->track))
		return SILEX_OK;
	int64_t changed = s->track.m.asof;
	SLX_TRY(slx_snapshot_collect(k->snap, k->sel, i, k->range, &k->parts, err));
	slx_scan_start(k->scan, k->parts.parts, k->parts.n, k->parts.hides, k->parts.n_hides, k->range);
	for (;;) {
		SLX_TRY(slx_scan_next(k->scan, &run, &more, err));
		if (!more)
			break;
		if (run.kind == SLX_KIND_ENUM || slx_kind_is_bytes(run.kind))
			continue;
		SLX_TRY(slx_scan_decode(k->scan, &run, err));
		seed_run(k, s, sh, &run, changed);
	}
	if (sh->moves.n || sh->moves.failed)
		slx_watch_queue(k->w, sh, s, 0);
	slx_watch_set_timer(k->w, sh, s);
	return SILEX_OK;
}

static silex_status seed_series(struct seeding *k, size_t i, silex_error *err)
{
	struct slx_hash128 id = slx_selection_id(k->sel, i);
	struct slx_watch_shard *sh = &k->w->shards[slx_head_stripe(id)];
	pthread_mutex_lock(&sh->lock);
	struct slx_watch_entry *e = slx_watch_entry_get(k->w, sh, k->r->alert.tenant, slx_selection_labels(k->sel, i), id);
	struct slx_watch_state *s = e ? slx_watch_state_get(k->w, sh, e, k->r) : NULL;
	silex_status status = s ? seed_state(k, s, sh, i, err) : e ? SILEX_OK : slx_err_oom(err);
	pthread_mutex_unlock(&sh->lock);
	return status;
}

/* How far back anything can still matter. */
static int64_t reach(const struct slx_watch_def *d)
{
	return slx_time_add(slx_time_add(d->lateness_ns, d->window_ns), slx_time_add(slx_time_add(d->on_ns, d->off_ns), d->missing_ns));
}

static silex_status seed_all(struct seeding *k, silex_error *err)
{
	const struct slx_watch_rule *r = k->r;
	struct slx_mem *m = k->w->mem;
	SLX_TRY(slx_snapshot_new(k->w->engine, (struct slx_identity){ .tenant = r->alert.tenant }, &k->snap, err));
	SLX_TRY(slx_scan_new(m, slx_engine_codecs(k->w->engine), &k->scan, err));
	SLX_TRY(slx_snapshot_select(k->snap, r->selector.matchers, r->selector.n, k->range, &k->sel, err));
	size_t n = slx_selection_count(k->sel);
	if (n > r->def.series_max && !k->again)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "selector: it selects %zu series and the rule may watch %u: narrow it, or raise series_max (up to %d)",
			n, r->def.series_max, SLX_WATCH_SERIES_MAX);
	for (size_t i = 0; i < n; i++)
		SLX_TRY(seed_series(k, i, err));
	return SILEX_OK;
}

silex_status slx_watch_seed(struct slx_watch *w, struct slx_watch_rule *r, bool again, silex_error *err)
{
	int64_t last = slx_engine_last_write_ns(w->engine), now = again && last ? last : slx_wall_ns(w->clock);
	struct seeding k = { .w = w, .r = r, .again = again, .range = { slx_time_sub(now, reach(&r->def)), slx_time_add(now, r->def.lateness_ns) },
		.evaluate_from = slx_time_sub(now, r->def.lateness_ns) };
	slx_parts_init(&k.parts, w->mem);
	silex_status status = seed_all(&k, err);
	slx_selection_free(k.sel);
	slx_scan_free(k.scan);
	slx_parts_free(&k.parts);
	slx_snapshot_free(k.snap);
	return status;
}
