/* Deletes. One log record, issued while all stripes are locked, so that its version lies between the writes before and
 * after it in every stripe. The active head is edited at once; frozen head and blocks get a tombstone in the view, which
 * hides their samples (all of lower version) until a compaction has digested it.
 *
 * Replay calls the same `slx_engine_bury`. A tombstone that is in the manifest already is not added twice. */
#include "engine/retention_int.h"
#include "engine/rollup_int.h"

/* Distinct visible samples of one series in range. */
static silex_status count_series(struct slx_scan *scan, struct slx_parts *parts, struct slx_time_range range, uint64_t *sum, silex_error *err)
{
	struct slx_run run;
	bool more;
	slx_scan_start(scan, parts->parts, parts->n, parts->hides, parts->n_hides, range);
	for (;;) {
		SLX_TRY(slx_scan_next(scan, &run, &more, err));
		if (!more)
			return SILEX_OK;
		*sum += run.n;
	}
}

/* Samples that t would take, of the series for which its matchers hold and (hold not NULL) those of a hold. */
static silex_status count_visible(struct slx_engine *e, const struct slx_tombstone *t, const struct slx_retention_rule *hold, uint64_t *ret, silex_error *err)
{
	struct slx_matcher *ms[2 * SLX_SELECTOR_MATCHERS_MAX];
	size_t n = 0;
	for (; n < t->sel.n; n++)
		ms[n] = t->sel.matchers[n];
	for (size_t i = 0; hold && i < hold->sel.n; i++)
		ms[n++] = hold->sel.matchers[i];
	struct slx_snapshot *snap = NULL;
	struct slx_selection *sel = NULL;
	struct slx_scan *scan = NULL;
	struct slx_parts parts;
	slx_parts_init(&parts, &e->mem);
	silex_status status = slx_snapshot_new(e, (struct slx_identity){ .tenant = t->tenant }, &snap, err);
	if (status == SILEX_OK)
		status = slx_scan_new(&e->mem, &e->codecs, &scan, err);
	if (status == SILEX_OK)
		status = slx_snapshot_select(snap, ms, n, t->range, &sel, err);
	*ret = 0;
	for (size_t i = 0; status == SILEX_OK && i < slx_selection_count(sel); i++) {
		status = slx_snapshot_collect(snap, sel, i, t->range, &parts, err);
		if (status == SILEX_OK)
			status = count_series(scan, &parts, t->range, ret, err);
	}
	slx_selection_free(sel);
	slx_scan_free(scan);
	slx_parts_free(&parts);
	slx_snapshot_free(snap);
	return status;
}

/* manifest_lock and the stripes are held: rules do not change meanwhile. */
static silex_status check_holds(struct slx_engine *e, const struct slx_tombstone *t, silex_error *err)
{
	for (size_t i = 0; e->retention && i < e->retention->n; i++) {
		const struct slx_retention_rule *x = &e->retention->rules[i];
		uint64_t held;
		if (!x->hold.n || (x->tenant.n && !slx_str_eq(x->tenant, t->tenant)))
			continue;
		SLX_TRY(count_visible(e, t, x, &held, err));
		if (held)
			return slx_err(err, SILEX_PERMISSION_DENIED, "legal hold \"%s\" on %s keeps %llu of the samples; leave them out, or end the hold first",
				x->hold.p, x->text.n ? x->text.p : "all series", (unsigned long long)held);
	}
	return SILEX_OK;
}

static silex_status edit_active(struct slx_engine *e, const struct slx_tombstone *t, struct slx_str tenant, silex_error *err)
{
	struct slx_head *head = atomic_load(&e->active);
	struct slx_head_series **v;
	size_t n;
	SLX_TRY(slx_head_select(head, tenant, t->sel.matchers, t->sel.n, &e->mem, &v, &n, err));
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n; i++) {
		silex_status one = slx_head_delete(head, v[i], slx_tombstone_range(t, tenant), err);
		if (one != SILEX_OK)
			status = one;
	}
	slx_free(&e->mem, SLX_MEM_QUERY, v, n * sizeof *v);
	return status;
}

/* Roll-ups, exemplars and what else lies beside the tenant's samples in the active head. */
static silex_status edit_beside(struct slx_engine *e, const struct slx_tombstone *t, silex_error *err)
{
	char room[SLX_COMPANION_NAME_SIZE];
	struct slx_str *names, exemplars = slx_companion_exemplars(t->tenant, room);
	size_t n;
	int64_t width;
	SLX_TRY(slx_head_tenants(atomic_load(&e->active), &e->mem, &names, &n, err));
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n; i++) {
		bool beside = !slx_str_eq(names[i], t->tenant) && (slx_str_eq(names[i], exemplars) || slx_rollup_tenant_of(names[i], t->tenant, &width));
		silex_status one = beside ? edit_active(e, t, names[i], err) : SILEX_OK;
		if (one != SILEX_OK)
			status = one;
	}
	slx_free(&e->mem, SLX_MEM_OTHER, names, n * sizeof *names);
	return status;
}

silex_status slx_engine_bury(struct slx_engine *e, struct slx_view *v, struct slx_tombstone *t, silex_error *err)
{
	bool known = false;
	for (size_t i = 0; i < v->n_tombs; i++)
		known |= v->tombs[i]->version == t->version;
	if (!known) {
		atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
		v->tombs[v->n_tombs++] = t;
		slx_view_prune_tombs(e, v);
	}
	slx_view_install(e, v);
	slx_rollup_note_delete(e, t);
	silex_status status = edit_active(e, t, t->tenant, err);
	silex_status beside = edit_beside(e, t, status == SILEX_OK ? err : NULL);
	return status != SILEX_OK ? status : beside;
}

static silex_status log_delete(struct slx_engine *e, const struct slx_tombstone *t, struct slx_wal_pos *ret, silex_error *err)
{
	struct slx_buf record;
	slx_buf_init(&record, &e->mem, SLX_MEM_OTHER, 1 << 20);
	slx_record_delete_encode(&record, t->tenant, (struct slx_str){ t->text, t->text_n }, t->range);
	struct iovec part = { record.p, record.n };
	silex_status status = record.failed ? slx_err_oom(err) : slx_wal_append(e->wal, SLX_RECORD_DELETE, 0, &part, 1, 0, ret, err);
	slx_buf_free(&record);
	return status;
}

/* What the count reads of cold blocks is fetched before any lock is taken, so that writers do not wait for a store. */
static silex_status warm_up(struct slx_engine *e, const struct slx_tombstone *t, silex_error *err)
{
	struct slx_view *v = slx_view_get(e);
	bool cold = false;
	for (size_t i = 0; i < v->n_blocks; i++)
		cold |= v->blocks[i]->upload && slx_range_overlaps(t->range, (struct slx_time_range){ v->blocks[i]->info.tmin, v->blocks[i]->info.tmax });
	slx_view_unref(v);
	uint64_t count;
	return cold ? count_visible(e, t, NULL, &count, err) : SILEX_OK;
}

silex_status slx_engine_delete(struct slx_engine *e, struct slx_tenant *t, const struct slx_selector *sel, struct slx_time_range range,
	uint64_t *ret_points, silex_error *err)
{
	struct slx_buf text;
	struct slx_tombstone *tomb;
	struct slx_wal_pos pos = { 0 };
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	slx_buf_init(&text, &e->mem, SLX_MEM_OTHER, 1 << 20);
	slx_selector_format(sel, &text);
	tomb = text.failed ? NULL : slx_tombstone_new(e, t->name, (struct slx_str){ (char *)text.p, text.n }, range, 0, err);
	slx_buf_free(&text);
	if (!tomb)
		return slx_err_oom(err);
	uint64_t count = 0;
	silex_status status = warm_up(e, tomb, err);
	if (status != SILEX_OK) {
		slx_tombstone_unref(e, tomb);
		return status;
	}
	pthread_mutex_lock(&e->rollups->work_lock);
	pthread_mutex_lock(&e->manifest_lock);
	slx_engine_lock_stripes(e);
	/* What dedup hides behind a deleted sample goes with it, or it would show in its place until a compaction. */
	int64_t dedup = slx_retention_dedup(e->retention, t->name);
	if (dedup && !slx_range_empty(range))
		tomb->range.from = slx_dedup_first(slx_time_clamp(range.from), dedup);
	status = check_holds(e, tomb, err);
	if (status == SILEX_OK)
		status = count_visible(e, tomb, NULL, &count, err);
	/* Once it is logged it must be in the view: a compaction between would count it as applied, and a replay would then
	 * apply it to the head alone. So the memory for that is asked for first. */
	struct slx_view *v = status == SILEX_OK ? slx_view_copy(e, 0, 1) : NULL;
	if (status == SILEX_OK)
		status = v ? log_delete(e, tomb, &pos, err) : slx_err_oom(err);
	if (status == SILEX_OK) {
		tomb->version = pos.version;
		status = slx_engine_bury(e, v, tomb, err);
		v = NULL;
	}
	slx_engine_unlock_stripes(e);
	pthread_mutex_unlock(&e->manifest_lock);
	pthread_mutex_unlock(&e->rollups->work_lock);
	slx_view_unref(v);
	slx_tombstone_unref(e, tomb);
	if (status == SILEX_OK)
		status = slx_wal_wait(e->wal, pos.lsn, err);
	if (status == SILEX_OK && ret_points)
		*ret_points = count;
	return status;
}
