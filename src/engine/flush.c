/* Flush: the frozen head becomes blocks.
 *
 *   1. freeze   all stripes locked for a moment: a fresh head takes the writes; S = last sequence number in the log
 *   2. count    samples by window -> which blocks (flush_plan.c)
 *   3. write    block by block, tenant by tenant, series in label order, each through the one merge (scan) and chunker
 *   4. commit   one manifest edit: blocks added, checkpoint = S; the view drops the frozen head in the same step
 *   5. cut      the log up to S
 *
 * Readers see the frozen head until 4. When 2 or 3 fails (disk full, memory) the frozen head stays and the next try
 * writes it again; blocks already written are removed. A crash before 4 leaves files that the next open removes. When
 * the edit itself reports an error it may have happened all the same: the manifest is read again to know. */
#include "engine/rollup_int.h"

#include <stdio.h>
#include <stdlib.h>

/* --- 1. freeze --------------------------------------------------------------------------------------------------------------- */

static silex_status log_position(struct slx_engine *e, uint64_t *seq, uint64_t *version, silex_error *err)
{
	if (*seq)
		return SILEX_OK;
	if (e->opt.wal == SILEX_WAL_NONE) { /* nothing was logged: take a fresh version that covers what was written */
		struct slx_wal_pos pos;
		struct iovec none = { NULL, 0 };
		SLX_TRY(slx_wal_append(e->wal, SLX_RECORD_SAMPLES, 0, &none, 0, 0, &pos, err));
		*seq = pos.seq;
		*version = pos.version;
		return SILEX_OK;
	}
	struct slx_wal_stats st;
	slx_wal_stats(e->wal, &st);
	*seq = st.last_seq;
	*version = st.last_version;
	return SILEX_OK;
}

/* Installs a view with a fresh active head, unless a frozen one still waits or the active one is empty. */
static silex_status freeze(struct slx_engine *e, uint64_t seq, uint64_t version, silex_error *err)
{
	struct slx_head *fresh = NULL;
	struct slx_view *v = NULL;
	silex_status status = slx_head_new(&e->mem, &e->codecs, e->generation + 1, &fresh, err);
	if (status != SILEX_OK)
		return status;
	pthread_mutex_lock(&e->manifest_lock);
	v = slx_view_copy(e, 0, 0);
	if (!v) {
		status = slx_err_oom(err);
		goto out;
	}
	slx_engine_lock_stripes(e);
	if (!v->frozen && slx_head_series_count(v->active) > 0)
		status = log_position(e, &seq, &version, err);
	if (!v->frozen && slx_head_series_count(v->active) > 0 && status == SILEX_OK) {
		slx_rollups_freeze(e, e->generation);
		e->generation++;
		e->frozen_seq = seq;
		v->frozen = v->active;
		v->frozen_floor = version;
		v->active = fresh;
		atomic_store(&e->active, slx_head_ref(fresh));
		fresh = v->frozen; /* the reference that e->active held */
		atomic_store(&e->next_ref, 0);
		atomic_store(&e->head_first_write_ns, 0);
		atomic_store(&e->points_frozen, atomic_exchange(&e->points_head, 0));
		slx_view_install(e, v);
		v = NULL;
	}
	slx_engine_unlock_stripes(e);
	if (!v)
		slx_tenants_reset(e);
out:
	pthread_mutex_unlock(&e->manifest_lock);
	slx_view_unref(v);
	slx_head_unref(fresh);
	return status;
}

/* --- 2. count ------------------------------------------------------------------------------------------------------------------- */

struct counts {
	struct slx_mem *mem;
	const struct slx_levels *levels;
	struct slx_window_count *slot; /* open addressing; n 0: free */
	size_t n, cap;
	bool failed;
};

static void counts_add(struct counts *c, int64_t start, uint64_t n);

static void counts_grow(struct counts *c)
{
	struct counts to = *c;
	to.cap = c->cap ? c->cap * 2 : 64;
	to.n = 0;
	to.slot = slx_calloc(c->mem, SLX_MEM_OTHER, to.cap * sizeof *to.slot);
	if (!to.slot) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < c->cap; i++)
		if (c->slot[i].n)
			counts_add(&to, c->slot[i].start, c->slot[i].n);
	slx_free(c->mem, SLX_MEM_OTHER, c->slot, c->cap * sizeof *c->slot);
	*c = to;
}

static void counts_add(struct counts *c, int64_t start, uint64_t n)
{
	if (c->n * 2 >= c->cap)
		counts_grow(c);
	if (c->failed)
		return;
	size_t i = slx_hash64(&start, sizeof start) & (c->cap - 1);
	while (c->slot[i].n && c->slot[i].start != start)
		i = (i + 1) & (c->cap - 1);
	c->n += c->slot[i].n == 0;
	c->slot[i].start = start;
	c->slot[i].n += n;
}

static void count_ts(struct counts *c, const int64_t *ts, size_t n)
{
	for (size_t i = 0; i < n;) {
		struct slx_time_range w = slx_levels_window(c->levels, 0, ts[i]);
		size_t from = i;
		while (i < n && ts[i] <= w.to)
			i++;
		counts_add(c, w.from, i - from);
	}
}

static silex_status count_chunk(struct counts *c, struct slx_chunk_work *work, const struct slx_codec_choice *codecs, const struct slx_memchunk *m,
	silex_error *err)
{
	struct slx_buf values;
	int64_t ts[SLX_HOT_MAX];
	uint64_t bits[SLX_HOT_MAX];
	struct slx_time_range w = slx_levels_window(c->levels, 0, m->meta.tmin);
	size_t n;
	if (m->meta.tmax <= w.to) {
		counts_add(c, w.from, m->meta.n);
		return SILEX_OK;
	}
	slx_buf_init(&values, c->mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = slx_chunk_decode(work, codecs, &m->meta, m->bytes, SLX_TIME_ALL, ts, bits, &values, &n, err);
	slx_buf_free(&values);
	if (status == SILEX_OK)
		count_ts(c, ts, n);
	return status;
}

/* --- 3. write ------------------------------------------------------------------------------------------------------------------- */

/* All series of a frozen head, tenants by name, series by labels. */
struct sorted_tenant {
	struct slx_str name;
	struct slx_labels_item *series; /* owner: its slx_head_series */
	size_t n;
};

struct flush {
	struct slx_engine *e;
	struct slx_head *head;
	uint64_t floor, vmin;
	struct slx_arena arena; /* labels and lists below */
	struct sorted_tenant *tenants;
	size_t n_tenants;
	struct slx_parts parts;
	struct slx_scan *scan;
	struct slx_chunker *chunker;
	struct slx_chunk_work *work;
	struct slx_block_info *made; /* in the arena */
	size_t n_made;
	uint64_t points;
};

static silex_status sort_tenant(struct flush *f, struct sorted_tenant *t, struct slx_buf *label, silex_error *err)
{
	struct slx_head_series **all;
	size_t n;
	SLX_TRY(slx_head_select(f->head, t->name, NULL, 0, &f->e->mem, &all, &n, err));
	silex_status status = SILEX_OK;
	t->series = slx_arena_alloc(&f->arena, n * sizeof *t->series, 8);
	if (!t->series)
		status = slx_err_oom(err);
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		slx_buf_reset(label);
		slx_head_labels(f->head, all[i], label);
		uint8_t *copy = label->failed ? NULL : slx_arena_alloc(&f->arena, label->n, 1);
		if (!copy) {
			status = slx_err_oom(err);
			break;
		}
		memcpy(copy, label->p, label->n);
		t->series[t->n++] = (struct slx_labels_item){ .labels = { copy, label->n }, .owner = all[i] };
	}
	slx_free(&f->e->mem, SLX_MEM_QUERY, all, n * sizeof *all);
	if (status == SILEX_OK)
		slx_labels_sort(t->series, t->n);
	return status;
}

static silex_status sort_all(struct flush *f, silex_error *err)
{
	struct slx_str *names;
	size_t n;
	struct slx_buf label;
	SLX_TRY(slx_head_tenants(f->head, &f->e->mem, &names, &n, err));
	slx_buf_init(&label, &f->e->mem, SLX_MEM_OTHER, 1 << 20);
	f->tenants = slx_arena_alloc(&f->arena, n * sizeof *f->tenants, 8);
	silex_status status = f->tenants ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		f->tenants[i] = (struct sorted_tenant){ .name = names[i] };
		f->n_tenants++;
		status = sort_tenant(f, &f->tenants[i], &label, err);
	}
	slx_buf_free(&label);
	slx_free(&f->e->mem, SLX_MEM_OTHER, names, n * sizeof *names);
	return status;
}

static silex_status collect(struct flush *f, struct slx_head_series *s, struct slx_time_range range, silex_error *err)
{
	size_t cap = 0;
	slx_arena_clear(&f->parts.arena);
	f->parts.parts = NULL;
	f->parts.n = 0;
	return slx_head_collect(f->head, s, range, 0, 0, &f->parts.arena, &f->parts.parts, &f->parts.n, &cap, err);
}

static silex_status count_windows(struct flush *f, struct counts *c, silex_error *err)
{
	for (size_t t = 0; t < f->n_tenants; t++)
		for (size_t i = 0; i < f->tenants[t].n; i++) {
			SLX_TRY(collect(f, f->tenants[t].series[i].owner, SLX_TIME_ALL, err));
			for (size_t p = 0; p < f->parts.n; p++) {
				const struct slx_part *part = &f->parts.parts[p];
				if (part->type == SLX_PART_RAW)
					count_ts(c, part->raw.ts, part->raw.n);
				else
					for (uint32_t k = 0; k < part->memory.n; k++)
						SLX_TRY(count_chunk(c, f->work, &f->e->codecs, part->memory.chunks[k], err));
			}
			if (c->failed)
				return slx_err_oom(err);
		}
	return SILEX_OK;
}

static silex_status write_series(struct flush *f, const struct slx_flush_job *j, struct slx_block_writer *w, struct slx_str tenant,
	const struct slx_labels_item *x, silex_error *err)
{
	struct slx_head_series *s = x->owner;
	struct slx_time_range hull = { j->ranges[0].from, j->ranges[j->n_ranges - 1].to };
	if (!slx_head_touches(s, hull))
		return SILEX_OK;
	SLX_TRY(collect(f, s, hull, err));
	if (f->parts.n == 0)
		return SILEX_OK;
	SLX_TRY(slx_block_writer_series(w, tenant, x->labels, s->id, err));
	for (size_t i = 0; i < j->n_ranges; i++) {
		uint64_t points;
		slx_scan_start(f->scan, f->parts.parts, f->parts.n, NULL, 0, j->ranges[i]);
		SLX_TRY(slx_chunker_series(f->chunker, f->scan, w, false, &points, err));
		f->points += points;
	}
	return SILEX_OK;
}

static silex_status write_block(struct flush *f, const struct slx_flush_job *j, silex_error *err)
{
	struct slx_block_info spec = { .level = j->level, .window_start = j->window_start, .vmin = f->vmin, .vmax = f->floor, .floor = f->floor };
	struct slx_block_writer *w;
	SLX_TRY(slx_block_writer_new(f->e->store, &f->e->mem, &f->e->random, &spec, &w, err));
	silex_status status = SILEX_OK;
	for (size_t t = 0; t < f->n_tenants && status == SILEX_OK; t++)
		for (size_t i = 0; i < f->tenants[t].n && status == SILEX_OK; i++) {
			status = write_series(f, j, w, f->tenants[t].name, &f->tenants[t].series[i], err);
			if (atomic_load_explicit(&f->e->stopping, memory_order_relaxed) && status == SILEX_OK && f->e->opt.wal == SILEX_WAL_FILE)
				status = slx_err(err, SILEX_CANCELED, "the database is closing; the log keeps the head");
		}
	if (status == SILEX_OK) {
		silex_error own;
		status = slx_block_writer_finish(w, &f->made[f->n_made], &own);
		if (status == SILEX_OK)
			f->n_made++;
		else if (status == SILEX_NOT_FOUND)
			status = SILEX_OK; /* nothing in this window after all */
		else
			slx_err(err, status, "%s", own.message);
	}
	slx_block_writer_free(w);
	return status;
}

static silex_status write_blocks(struct flush *f, silex_error *err)
{
	struct counts c = { .mem = &f->e->mem, .levels = &f->e->levels };
	struct slx_flush_plan plan = { 0 };
	silex_status status = count_windows(f, &c, err);
	if (status == SILEX_OK) {
		size_t n = 0;
		for (size_t i = 0; i < c.cap; i++)
			if (c.slot[i].n)
				c.slot[n++] = c.slot[i];
		status = slx_flush_plan_make(&f->e->mem, &f->e->levels, c.slot, n, &plan, err);
	}
	slx_free(&f->e->mem, SLX_MEM_OTHER, c.slot, c.cap * sizeof *c.slot);
	if (status == SILEX_OK) {
		f->made = slx_arena_alloc(&f->arena, plan.n * sizeof *f->made, 8);
		status = f->made ? SILEX_OK : slx_err_oom(err);
	}
	for (size_t i = 0; i < plan.n && status == SILEX_OK; i++)
		status = write_block(f, &plan.jobs[i], err);
	slx_flush_plan_free(&plan);
	return status;
}

static void remove_made(struct flush *f)
{
	for (size_t i = 0; i < f->n_made && !f->e->manifest_unsure; i++)
		slx_store_remove(f->e->store, f->made[i].name, NULL);
	f->n_made = 0;
}

/* --- 4. commit -------------------------------------------------------------------------------------------------------------------- */

static silex_status commit(struct flush *f, silex_error *err)
{
	struct slx_engine *e = f->e;
	pthread_mutex_lock(&e->manifest_lock);
	struct slx_view *v = slx_view_copy(e, f->n_made, 0);
	silex_status status = v ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0; i < f->n_made && status == SILEX_OK; i++) {
		struct slx_used_block *b = slx_used_block_new(e, f->made[i].name, err);
		if (b) {
			b->info = f->made[i];
			v->blocks[v->n_blocks++] = b;
		} else {
			status = err ? err->code : SILEX_UNAVAILABLE;
		}
	}
	if (status == SILEX_OK) {
		slx_head_unref(v->frozen);
		v->frozen = NULL;
		slx_view_sort_blocks(v);
		slx_view_prune_tombs(e, v);
		status = slx_manifest_store(e, v, e->frozen_seq, f->floor, err);
	}
	if (status == SILEX_OK) {
		e->flushed_version = f->floor;
		atomic_store(&e->points_frozen, 0);
		slx_view_install(e, v);
	} else {
		slx_view_unref(v);
	}
	pthread_mutex_unlock(&e->manifest_lock);
	return status;
}

/* --- all ---------------------------------------------------------------------------------------------------------------------------- */

static silex_status flush_frozen(struct slx_engine *e, struct slx_view *v, silex_error *err)
{
	struct flush f = { .e = e, .head = v->frozen, .floor = v->frozen_floor, .vmin = e->flushed_version + 1 };
	silex_status status;
	slx_arena_init(&f.arena, &e->mem, SLX_MEM_OTHER, 1 << 20);
	slx_parts_init(&f.parts, &e->mem);
	status = slx_scan_new(&e->mem, &e->codecs, &f.scan, err);
	if (status == SILEX_OK)
		status = slx_chunker_new(&e->mem, &e->codecs, &f.chunker, err);
	if (status == SILEX_OK)
		status = slx_chunk_work_new(&e->mem, SLX_MEM_OTHER, &f.work, err);
	if (status == SILEX_OK)
		status = sort_all(&f, err);
	if (status == SILEX_OK)
		status = write_blocks(&f, err);
	if (status == SILEX_OK)
		status = commit(&f, err);
	if (status != SILEX_OK)
		remove_made(&f);
	slx_chunk_work_free(f.work);
	slx_chunker_free(f.chunker);
	slx_scan_free(f.scan);
	slx_parts_free(&f.parts);
	slx_arena_clear(&f.arena);
	return status;
}

silex_status slx_engine_flush_at(struct slx_engine *e, uint64_t seq, uint64_t version, bool cut, silex_error *err)
{
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	pthread_mutex_lock(&e->flush_lock);
	silex_status status = SILEX_OK;
	/* A head that an earlier try left frozen goes first; then the active one. */
	for (int round = 0; round < 2 && status == SILEX_OK; round++) {
		struct slx_view *v = slx_view_get(e);
		bool waiting = v->frozen != NULL;
		slx_view_unref(v);
		status = waiting ? SILEX_OK : freeze(e, seq, version, err);
		v = slx_view_get(e);
		if (status == SILEX_OK && v->frozen)
			status = flush_frozen(e, v, err);
		slx_view_unref(v);
		if (status == SILEX_OK)
			atomic_fetch_add(&e->flushes, 1);
		if (!waiting)
			break;
	}
	if (status == SILEX_OK && cut && e->opt.wal == SILEX_WAL_FILE) {
		pthread_mutex_lock(&e->manifest_lock);
		uint64_t checkpoint = e->checkpoint_seq;
		pthread_mutex_unlock(&e->manifest_lock);
		status = slx_wal_cut(e->wal, checkpoint, err);
	}
	pthread_mutex_lock(&e->health_lock);
	if (status == SILEX_OK || status == SILEX_CANCELED)
		e->flush_error[0] = 0;
	else
		snprintf(e->flush_error, sizeof e->flush_error, "flush: %.180s", err ? err->message : silex_status_text(status));
	pthread_mutex_unlock(&e->health_lock);
	pthread_mutex_unlock(&e->flush_lock);
	slx_background_room(e);
	return status;
}

/* A delete that came when the head was empty: nothing was frozen, and only the log tells of it. */
static silex_status keep_deletes(struct slx_engine *e, silex_error *err)
{
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&e->manifest_lock);
	const struct slx_view *v = e->view;
	uint64_t newest = v->n_tombs ? v->tombs[v->n_tombs - 1]->version : 0;
	if (newest > e->max_version && newest > e->known_version)
		status = slx_manifest_store(e, v, e->checkpoint_seq, e->max_version, err);
	pthread_mutex_unlock(&e->manifest_lock);
	return status;
}

silex_status slx_engine_flush(struct slx_engine *e, silex_error *err)
{
	slx_room_look(e);
	SLX_TRY(slx_engine_flush_at(e, 0, 0, true, err));
	return keep_deletes(e, err);
}
