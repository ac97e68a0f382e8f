/* What retention would take, told rule by rule: silex_apply_retention.
 *
 * Tenant by tenant (internal ones too) a snapshot that shows what is too old is read: samples before each series' cutoff are
 * counted exactly, through the one merge; bytes by the headers of chunks. What goes by size comes last, by the list of blocks. */
#include "engine/retention_int.h"

#include <stdlib.h>

/* What one rule takes of one tenant. */
struct taken {
	const struct slx_retention_rule *rule;
	uint64_t series, points;
	double bytes;
	struct slx_time_range range;
};

struct report {
	struct slx_engine *e;
	struct slx_retention *r;
	int64_t now;
	silex_expired_fn each;
	silex_progress_fn progress;
	void *arg;
	bool stopped; /* each returned false */
	struct slx_str tenant;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct taken *taken; /* r->n of them */
	uint64_t bytes;      /* told so far */
};

static silex_status count_old(struct report *t, int64_t cutoff, struct taken *x, silex_error *err)
{
	struct slx_run run;
	uint64_t points = 0;
	slx_scan_start(t->scan, t->parts.parts, t->parts.n, t->parts.hides, t->parts.n_hides, (struct slx_time_range){ SLX_TIME_MIN, slx_time_sub(cutoff, 1) });
	for (;;) {
		bool more;
		SLX_TRY(slx_scan_next(t->scan, &run, &more, err));
		if (!more)
			break;
		points += run.n;
		int64_t first = run.whole ? run.meta.tmin : run.ts[0], last = run.whole ? run.meta.tmax : run.ts[run.n - 1];
		x->range.from = first < x->range.from ? first : x->range.from;
		x->range.to = last > x->range.to ? last : x->range.to;
	}
	x->points += points;
	x->series += points > 0;
	return SILEX_OK;
}

/* Bytes of chunks in blocks, of one that goes in part that part of its time. */
static void count_bytes(struct report *t, int64_t cutoff, struct taken *x)
{
	for (size_t i = 0; i < t->parts.n; i++) {
		const struct slx_part *p = &t->parts.parts[i];
		for (uint32_t k = 0; p->type == SLX_PART_BLOCK && k < p->block.n; k++) {
			struct slx_chunk_meta m;
			slx_section_meta(p->block.section, p->block.first + k, &m);
			if (m.tmin < cutoff)
				x->bytes += m.tmax < cutoff ? m.size : m.size * ((double)cutoff - (double)m.tmin) / ((double)m.tmax - (double)m.tmin + 1);
		}
	}
}

static silex_status add_series(struct report *t, struct slx_snapshot *snap, const struct slx_selection *sel, size_t i, silex_error *err)
{
	const struct slx_retention_rule *rule;
	SLX_TRY(slx_retention_find(t->r, t->tenant, slx_selection_labels(sel, i), &rule, err));
	int64_t cutoff = slx_retention_before(rule, t->now);
	if (cutoff == INT64_MIN)
		return SILEX_OK;
	struct taken *x = &t->taken[rule - t->r->rules];
	SLX_TRY(slx_snapshot_collect(snap, sel, i, (struct slx_time_range){ SLX_TIME_MIN, slx_time_sub(cutoff, 1) }, &t->parts, err));
	SLX_TRY(count_old(t, cutoff, x, err));
	count_bytes(t, cutoff, x);
	if (t->progress && i % 256 == 0 && !t->progress(t->arg, "count", i, slx_selection_count(sel)))
		return slx_err(err, SILEX_CANCELED, "canceled");
	return slx_snapshot_check(snap, err);
}

static silex_status add_tenant(struct report *t, silex_error *err)
{
	struct slx_snapshot *snap = NULL;
	struct slx_selection *sel = NULL;
	struct slx_retention_bounds at = slx_retention_bounds(t->r, t->tenant, t->now);
	if (at.some == INT64_MIN)
		return SILEX_OK;
	for (size_t i = 0; i < t->r->n; i++)
		t->taken[i] = (struct taken){ .rule = &t->r->rules[i], .range = { INT64_MAX, INT64_MIN } };
	SLX_TRY(slx_snapshot_new(t->e, (struct slx_identity){ .tenant = t->tenant }, &snap, err));
	slx_snapshot_show_expired(snap);
	silex_status status = slx_snapshot_select(snap, NULL, 0, (struct slx_time_range){ SLX_TIME_MIN, slx_time_sub(at.some, 1) }, &sel, err);
	for (size_t i = 0; status == SILEX_OK && i < slx_selection_count(sel); i++)
		status = add_series(t, snap, sel, i, err);
	slx_selection_free(sel);
	slx_snapshot_free(snap);
	return status;
}

static void tell_tenant(struct report *t)
{
	char name[SLX_TENANT_STORED_MAX + 1];
	memcpy(name, t->tenant.p, t->tenant.n);
	name[t->tenant.n] = 0;
	for (size_t i = 0; i < t->r->n && !t->stopped; i++) {
		const struct taken *x = &t->taken[i];
		silex_expired row = {
			.tenant = name,
			.selector = x->rule->text.p,
			.rollup = x->rule->rollup.n ? x->rule->rollup.p : NULL,
			.keep_ms = x->rule->keep / SLX_MS,
			.series = x->series,
			.points = x->points,
			.bytes = (uint64_t)x->bytes,
			.first = x->range.from,
			.last = x->range.to,
		};
		if (!x->points)
			continue;
		t->bytes += row.bytes;
		t->stopped = !t->each(t->arg, &row);
	}
}

static silex_status each_tenant(struct report *t, silex_error *err)
{
	struct slx_str *names;
	size_t n;
	SLX_TRY(slx_engine_stored_tenants(t->e, &names, &n, err));
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n && status == SILEX_OK && !t->stopped; i++) {
		t->tenant = names[i];
		status = add_tenant(t, err);
		if (status == SILEX_OK && slx_retention_bounds(t->r, t->tenant, t->now).some != INT64_MIN)
			tell_tenant(t);
	}
	slx_free(&t->e->mem, SLX_MEM_OTHER, names, n * sizeof *names);
	return status;
}

/* --- by size ------------------------------------------------------------------------------------------------------------------------ */

/* The local block that ends first after `after`; NULL: none. */
static const struct slx_block_info *next_oldest(const struct slx_engine *e, const struct slx_view *v, int64_t after)
{
	const struct slx_block_info *best = NULL;
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct slx_block_info *b = &v->blocks[i]->info;
		if (v->blocks[i]->store == e->store && b->tmax > after && (!best || b->tmax < best->tmax))
			best = b;
	}
	return best;
}

/* What goes because blocks are larger than size_max, once what is too old has gone: the oldest, of whatever tenant; an estimate. */
static void tell_size(struct report *t)
{
	struct slx_view *v = slx_view_get(t->e);
	uint64_t have = 0;
	for (size_t i = 0; i < v->n_blocks; i++)
		have += v->blocks[i]->store == t->e->store ? v->blocks[i]->info.size : 0;
	uint64_t most = t->r->size_max, excess = most && have > most + t->bytes ? have - most - t->bytes : 0;
	silex_expired row = { .tenant = "*", .selector = "", .first = INT64_MAX, .last = INT64_MIN };
	const struct slx_block_info *b;
	while (row.bytes < excess && (b = next_oldest(t->e, v, row.last))) {
		uint64_t part = excess - row.bytes < b->size ? excess - row.bytes : b->size;
		row.points += (uint64_t)((double)b->points * (double)part / (double)b->size);
		row.bytes += part;
		row.first = b->tmin < row.first ? b->tmin : row.first;
		row.last = b->tmax;
	}
	slx_view_unref(v);
	if (row.bytes && !t->stopped)
		t->each(t->arg, &row);
}

static silex_status tell(struct slx_engine *e, silex_expired_fn each, silex_progress_fn progress, void *arg, silex_error *err)
{
	struct report t = { .e = e, .r = slx_retention_get(e), .now = slx_wall_ns(&e->clock), .each = each, .progress = progress, .arg = arg };
	if (!t.r) {
		slx_retention_unref(t.r);
		return SILEX_OK;
	}
	slx_parts_init(&t.parts, &e->mem);
	t.taken = slx_alloc(&e->mem, SLX_MEM_OTHER, (t.r->n + 1) * sizeof *t.taken);
	silex_status status = t.taken ? slx_scan_new(&e->mem, &e->codecs, &t.scan, err) : slx_err_oom(err);
	if (status == SILEX_OK)
		status = each_tenant(&t, err);
	if (status == SILEX_OK)
		tell_size(&t);
	slx_scan_free(t.scan);
	slx_parts_free(&t.parts);
	slx_free(&e->mem, SLX_MEM_OTHER, t.taken, (t.r->n + 1) * sizeof *t.taken);
	slx_retention_unref(t.r);
	return status;
}

silex_status slx_engine_apply_retention(struct slx_engine *e, bool dry_run, silex_expired_fn each, silex_progress_fn progress, void *arg, silex_error *err)
{
	if (e->opt.read_only && !dry_run)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	if (each)
		SLX_TRY(tell(e, each, progress, arg, err));
	if (dry_run)
		return SILEX_OK;
	SLX_TRY(slx_engine_flush(e, err)); /* what is too old in the head goes with a block */
	pthread_mutex_lock(&e->compact_lock);
	silex_status status = slx_engine_expire(e, true, err);
	pthread_mutex_unlock(&e->compact_lock);
	return status;
}
