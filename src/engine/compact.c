/* Compaction: several blocks become one.
 *
 * Inputs are walked side by side, tenant by tenant, series by series in label order, one section of each open at a time;
 * each series goes through the one merge (scan: newest version wins, tombstones applied) and the chunker, which copies
 * chunks that nothing touches. One manifest edit swaps the blocks; the old files go with their last reader. Disk is
 * asked for first. A crash leaves either the inputs or the output in the manifest; the next open removes the others. */
#include "engine/retention_int.h"
#include "engine/rollup_int.h"

/* --- one input ------------------------------------------------------------------------------------------------------------------ */

/* A walk over the series of one block. */
struct walk {
	struct slx_used_block *block;
	uint64_t rank;
	size_t section;           /* number of the one that is open or comes next */
	struct slx_section *open;
	uint32_t ordinal;
	struct slx_buf label;     /* canonical labels of the current series */
	struct slx_str tenant;
	bool at_end;
};

static silex_status walk_settle(struct walk *w, silex_error *err)
{
	for (;;) {
		if (w->open && w->ordinal < slx_section_series(w->open)) {
			slx_buf_reset(&w->label);
			slx_labelindex_labels(slx_section_labels(w->open), w->ordinal, &w->label);
			return w->label.failed ? slx_err_oom(err) : SILEX_OK;
		}
		slx_section_close(w->open);
		w->open = NULL;
		if (w->section >= w->block->info.sections) {
			w->at_end = true;
			return SILEX_OK;
		}
		w->tenant = slx_block_section_tenant(w->block->block, w->section);
		SLX_TRY(slx_section_open(w->block->block, w->section, &w->open, err));
		w->section++;
		w->ordinal = 0;
	}
}

static int walk_cmp(const struct walk *a, const struct walk *b)
{
	int c = slx_str_cmp(a->tenant, b->tenant);
	return c ? c : slx_labels_cmp((struct slx_labels){ a->label.p, a->label.n }, (struct slx_labels){ b->label.p, b->label.n });
}

/* --- the merge ------------------------------------------------------------------------------------------------------------------- */

struct merge {
	struct slx_engine *e;
	const silex_compact_options *opt;
	struct slx_view *view;  /* tombstones, inputs */
	size_t *chosen;         /* indexes into view->blocks */
	size_t n;
	struct walk *walks;
	struct slx_part *parts;
	struct slx_hide *hides;
	struct slx_scan *scan;
	struct slx_chunker *chunker;
	struct slx_block_writer *writer;
	struct slx_block_info made;
	uint64_t series_done, series_all;
	struct slx_retention *retention; /* what it says is left out; NULL: nothing is */
	int64_t now, oldest;
	struct slx_str tenant; /* of the series before, and */
	int64_t settled;       /* what of its samples may go: slx_rollup_settled */
};

static void part_of(const struct merge *m, struct slx_part *p, struct walk *w)
{
	uint32_t first, n;
	slx_section_chunks(w->open, w->ordinal, &first, &n);
	*p = (struct slx_part){ .type = SLX_PART_BLOCK, .rank = w->rank, .floor = w->block->info.floor,
		.dedup = slx_retention_dedup(m->retention, w->tenant) };
	p->block.section = w->open;
	p->block.first = first;
	p->block.n = n;
}

/* What of the series is too old. */
static silex_status cutoff_of(struct merge *m, const struct walk *w, int64_t *ret, silex_error *err)
{
	const struct slx_retention_rule *rule;
	*ret = INT64_MIN;
	if (!m->retention)
		return SILEX_OK;
	SLX_TRY(slx_retention_find(m->retention, w->tenant, (struct slx_labels){ w->label.p, w->label.n }, &rule, err));
	if (!m->tenant.p || !slx_str_eq(m->tenant, w->tenant))
		m->settled = slx_rollup_settled(m->e, m->tenant = w->tenant);
	*ret = slx_retention_before(rule, m->now);
	*ret = m->settled < *ret ? m->settled : *ret;
	if ((!rule || !rule->hold.n) && m->oldest > *ret)
		*ret = m->oldest;
	return SILEX_OK;
}

static silex_status hides_of(struct merge *m, const struct walk *w, size_t *ret, silex_error *err)
{
	*ret = 0;
	for (size_t i = 0; i < m->view->n_tombs; i++) {
		const struct slx_tombstone *t = m->view->tombs[i];
		struct slx_time_range range;
		bool yes;
		SLX_TRY(slx_tombstone_matches(t, w->tenant, (struct slx_labels){ w->label.p, w->label.n }, &range, &yes, err));
		if (yes)
			m->hides[(*ret)++] = (struct slx_hide){ range, t->version };
	}
	int64_t cutoff;
	SLX_TRY(cutoff_of(m, w, &cutoff, err));
	if (cutoff != INT64_MIN)
		m->hides[(*ret)++] = (struct slx_hide){ { SLX_TIME_MIN, slx_time_sub(cutoff, 1) }, UINT64_MAX };
	return SILEX_OK;
}

/* The series that comes first over all inputs; all walks that stand on it go one further. */
static silex_status merge_series(struct merge *m, const struct walk *first, silex_error *err)
{
	size_t n_parts = 0, n_hides;
	uint64_t points;
	struct slx_hash128 id = slx_section_id(first->open, first->ordinal);
	SLX_TRY(hides_of(m, first, &n_hides, err));
	SLX_TRY(slx_block_writer_series(m->writer, first->tenant, (struct slx_labels){ first->label.p, first->label.n }, id, err));
	bool same[SLX_MERGE_MAX];
	for (size_t i = 0; i < m->n; i++) {
		same[i] = !m->walks[i].at_end && (&m->walks[i] == first || walk_cmp(&m->walks[i], first) == 0);
		if (same[i])
			part_of(m, &m->parts[n_parts++], &m->walks[i]);
	}
	slx_scan_start(m->scan, m->parts, n_parts, m->hides, n_hides, SLX_TIME_ALL);
	SLX_TRY(slx_chunker_series(m->chunker, m->scan, m->writer, m->opt && m->opt->recode, &points, err));
	for (size_t i = 0; i < m->n; i++)
		if (same[i]) {
			m->walks[i].ordinal++;
			m->series_done++;
			SLX_TRY(walk_settle(&m->walks[i], err));
		}
	return SILEX_OK;
}

static silex_status merge_all(struct merge *m, silex_error *err)
{
	for (uint64_t round = 0;; round++) {
		struct walk *first = NULL;
		for (size_t i = 0; i < m->n; i++)
			if (!m->walks[i].at_end && (!first || walk_cmp(&m->walks[i], first) < 0))
				first = &m->walks[i];
		if (!first)
			return SILEX_OK;
		SLX_TRY(merge_series(m, first, err));
		if (atomic_load_explicit(&m->e->stopping, memory_order_relaxed))
			return slx_err(err, SILEX_CANCELED, "the database is closing");
		if (m->opt && m->opt->progress && round % 64 == 0 && !m->opt->progress(m->opt->progress_arg, "compact", m->series_done, m->series_all))
			return slx_err(err, SILEX_CANCELED, "compaction canceled");
	}
}

/* --- around it -------------------------------------------------------------------------------------------------------------------- */

static silex_status ask_for_disk(struct merge *m, silex_error *err)
{
	uint64_t need = 1 << 20, have;
	for (size_t i = 0; i < m->n; i++)
		need += m->view->blocks[m->chosen[i]]->info.size;
	if (slx_store_free_space(m->e->store, &have, NULL) == SILEX_OK && have < need)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "compaction needs %llu bytes of disk beside its inputs, %llu are free", (unsigned long long)need,
			(unsigned long long)have);
	return SILEX_OK;
}

/* The smallest window that holds all inputs; versions of all; digests every tombstone of the view. */
static struct slx_block_info spec_of(const struct merge *m)
{
	struct slx_block_info s = { .tmin = SLX_TIME_MAX, .tmax = SLX_TIME_MIN, .vmin = UINT64_MAX };
	for (size_t i = 0; i < m->n; i++) {
		const struct slx_block_info *b = &m->view->blocks[m->chosen[i]]->info;
		s.tmin = b->tmin < s.tmin ? b->tmin : s.tmin;
		s.tmax = b->tmax > s.tmax ? b->tmax : s.tmax;
		s.vmin = b->vmin < s.vmin ? b->vmin : s.vmin;
		s.vmax = b->vmax > s.vmax ? b->vmax : s.vmax;
		s.floor = b->floor > s.floor ? b->floor : s.floor;
	}
	if (m->view->n_tombs && m->view->tombs[m->view->n_tombs - 1]->version > s.floor)
		s.floor = m->view->tombs[m->view->n_tombs - 1]->version;
	while (s.level + 1 < m->e->levels.n && slx_levels_window(&m->e->levels, s.level, s.tmin).to < s.tmax)
		s.level++;
	s.window_start = slx_levels_window(&m->e->levels, s.level, s.tmin).from;
	return s;
}

static silex_status prepare(struct merge *m, silex_error *err)
{
	struct slx_engine *e = m->e;
	struct slx_block_info spec = spec_of(m);
	m->walks = slx_calloc(&e->mem, SLX_MEM_OTHER, m->n * sizeof *m->walks);
	m->parts = slx_calloc(&e->mem, SLX_MEM_OTHER, m->n * sizeof *m->parts);
	m->hides = slx_calloc(&e->mem, SLX_MEM_OTHER, (m->view->n_tombs + 2) * sizeof *m->hides);
	if (!m->walks || !m->parts || !m->hides)
		return slx_err_oom(err);
	for (size_t i = 0; i < m->n; i++) {
		struct walk *w = &m->walks[i];
		w->block = m->view->blocks[m->chosen[i]];
		w->rank = m->chosen[i];
		slx_buf_init(&w->label, &e->mem, SLX_MEM_OTHER, 1 << 20);
		m->series_all += w->block->info.series;
	}
	for (size_t i = 0; i < m->n; i++)
		SLX_TRY(walk_settle(&m->walks[i], err));
	SLX_TRY(slx_scan_new(&e->mem, &e->codecs, &m->scan, err));
	SLX_TRY(slx_chunker_new(&e->mem, &e->codecs, &m->chunker, err));
	return slx_block_writer_new(e->store, &e->mem, &e->random, &spec, &m->writer, err);
}

static void release(struct merge *m)
{
	struct slx_engine *e = m->e;
	slx_block_writer_free(m->writer);
	slx_chunker_free(m->chunker);
	slx_scan_free(m->scan);
	for (size_t i = 0; m->walks && i < m->n; i++) {
		slx_section_close(m->walks[i].open);
		if (m->walks[i].label.mem)
			slx_buf_free(&m->walks[i].label);
	}
	slx_retention_unref(m->retention);
	slx_free(&e->mem, SLX_MEM_OTHER, m->walks, m->n * sizeof *m->walks);
	slx_free(&e->mem, SLX_MEM_OTHER, m->parts, m->n * sizeof *m->parts);
	slx_free(&e->mem, SLX_MEM_OTHER, m->hides, (m->view->n_tombs + 2) * sizeof *m->hides);
}

static bool is_chosen(const struct slx_view *v, const size_t *chosen, size_t n, const struct slx_used_block *b)
{
	for (size_t i = 0; i < n; i++)
		if (v->blocks[chosen[i]] == b)
			return true;
	return false;
}

silex_status slx_compact_commit(struct slx_engine *e, struct slx_view *from, const size_t *chosen, size_t n, const struct slx_block_info *info, silex_error *err)
{
	struct slx_used_block *made = info ? slx_used_block_new(e, info->name, err) : NULL;
	if (info && !made)
		return err ? err->code : SILEX_UNAVAILABLE;
	pthread_mutex_lock(&e->manifest_lock);
	struct slx_view *v = slx_view_copy(e, 1, 0);
	silex_status status = v ? SILEX_OK : slx_err_oom(err);
	if (status == SILEX_OK) {
		size_t kept = 0;
		for (size_t i = 0; i < v->n_blocks; i++)
			if (is_chosen(from, chosen, n, v->blocks[i]))
				slx_used_block_unref(e, v->blocks[i]);
			else
				v->blocks[kept++] = v->blocks[i];
		v->n_blocks = kept;
		if (made) {
			made->info.level = info->level;
			v->blocks[v->n_blocks++] = made;
			made = NULL;
		}
		slx_view_sort_blocks(v);
		slx_view_prune_tombs(e, v);
		status = slx_manifest_store(e, v, e->checkpoint_seq, e->max_version, err);
	}
	if (status == SILEX_OK) {
		for (size_t i = 0; i < n; i++)
			atomic_store(&from->blocks[chosen[i]]->doomed, true);
		slx_view_install(e, v);
	} else {
		slx_view_unref(v);
	}
	pthread_mutex_unlock(&e->manifest_lock);
	slx_used_block_unref(e, made);
	return status;
}

/* What retention takes from a block it takes from all older ones that overlap it too, in the same edit: else a rule made longer
 * would show there what was overwritten here. */
static bool may_expire(const struct slx_view *v, const size_t *chosen, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct slx_block_info *b = &v->blocks[chosen[i]]->info;
		for (size_t k = 0; k < chosen[i]; k++) {
			const struct slx_block_info *older = &v->blocks[k]->info;
			if (older->tmin <= b->tmax && older->tmax >= b->tmin && !is_chosen(v, chosen, n, v->blocks[k]))
				return false;
		}
	}
	return true;
}

silex_status slx_compact_merge(struct slx_engine *e, const silex_compact_options *opt, struct slx_view *view, size_t *chosen, size_t n, int64_t oldest,
	uint64_t *ret_size, silex_error *err)
{
	struct merge m = { .e = e, .opt = opt, .view = view, .chosen = chosen, .n = n, .now = slx_wall_ns(&e->clock), .oldest = oldest };
	bool any = true;
	SLX_TRY(ask_for_disk(&m, err));
	m.retention = may_expire(view, chosen, n) ? slx_retention_get(e) : NULL;
	silex_status status = prepare(&m, err);
	if (status == SILEX_OK)
		status = merge_all(&m, err);
	if (status == SILEX_OK) {
		silex_error own;
		status = slx_block_writer_finish(m.writer, &m.made, &own);
		any = status != SILEX_NOT_FOUND; /* everything was deleted */
		if (status == SILEX_NOT_FOUND)
			status = SILEX_OK;
		else if (status != SILEX_OK)
			slx_err(err, status, "%s", own.message);
	}
	release(&m);
	if (status == SILEX_OK) {
		status = slx_compact_commit(e, view, chosen, n, any ? &m.made : NULL, err);
		if (status != SILEX_OK && any && !e->manifest_unsure)
			slx_store_remove(e->store, m.made.name, NULL);
	}
	if (status == SILEX_OK)
		atomic_fetch_add(&e->compactions, 1);
	if (status == SILEX_OK && ret_size)
		*ret_size = any ? m.made.size : 0;
	return status;
}

/* --- choosing ----------------------------------------------------------------------------------------------------------------------- */

/* Blocks that tombstones hide samples of: each is rewritten. */
static size_t choose_buried(const struct slx_view *v, const struct slx_block_info *infos, size_t n, size_t *ret)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v->n_tombs; k++)
			if (infos[i].floor < v->tombs[k]->version &&
			    slx_range_overlaps(slx_tombstone_reach(v->engine, v->tombs[k]), (struct slx_time_range){ infos[i].tmin, infos[i].tmax })) {
				ret[0] = i;
				return slx_compact_close(infos, n, ret, 1);
			}
	return 0;
}

/* Blocks that a compaction may read: not the damaged ones, and cold ones only by the rare rule. */
static bool may_merge(const struct slx_used_block *b, struct slx_compact_rule rule)
{
	return !atomic_load(&b->damaged) && (rule.rare || !b->upload);
}

/* What the policy chooses among the blocks that it may read, as indexes into the view; 0 also when another would have to
 * come along. infos: room for all; at: likewise. */
static size_t choose_by(struct slx_engine *e, const struct slx_view *v, struct slx_compact_rule rule, struct slx_block_info *infos, size_t *chosen, size_t *at)
{
	size_t n = 0, k;
	for (size_t i = 0; i < v->n_blocks; i++)
		if (may_merge(v->blocks[i], rule)) {
			infos[n] = v->blocks[i]->info;
			at[n++] = i;
		}
	k = slx_compact_choose(infos, n, &e->levels, rule, chosen);
	if (k == 0 && (rule.full || !rule.rare))
		k = choose_buried(v, infos, n, chosen);
	for (size_t i = 0; i < k; i++)
		chosen[i] = at[chosen[i]];
	if (n == v->n_blocks)
		return k;
	for (size_t i = 0; i < v->n_blocks; i++)
		infos[i] = v->blocks[i]->info;
	k = slx_compact_close(infos, v->n_blocks, chosen, k);
	for (size_t i = 0; i < k; i++)
		if (!may_merge(v->blocks[chosen[i]], rule))
			return 0;
	return k;
}

static bool has_cold(const struct slx_view *v)
{
	for (size_t i = 0; i < v->n_blocks; i++)
		if (v->blocks[i]->upload)
			return true;
	return false;
}

static size_t choose(struct slx_engine *e, const struct slx_view *v, bool full, struct slx_block_info *infos, size_t *chosen, size_t *at)
{
	size_t k = choose_by(e, v, (struct slx_compact_rule){ .full = full }, infos, chosen, at);
	if (k == 0 && has_cold(v))
		k = choose_by(e, v, (struct slx_compact_rule){ .full = full, .rare = true }, infos, chosen, at);
	return k;
}

bool slx_compact_wants(struct slx_engine *e, const struct slx_view *v, const struct slx_used_block *b)
{
	size_t n = v->n_blocks + 1, k = 0;
	bool wants = true; /* out of memory: wait */
	struct slx_block_info *infos = slx_alloc(&e->mem, SLX_MEM_OTHER, n * sizeof *infos);
	size_t *chosen = slx_alloc(&e->mem, SLX_MEM_OTHER, 2 * n * sizeof *chosen);
	if (infos && chosen) {
		k = choose(e, v, false, infos, chosen, chosen + n);
		wants = false;
	}
	for (size_t i = 0; i < k; i++)
		wants |= v->blocks[chosen[i]] == b;
	slx_free(&e->mem, SLX_MEM_OTHER, infos, n * sizeof *infos);
	slx_free(&e->mem, SLX_MEM_OTHER, chosen, 2 * n * sizeof *chosen);
	return wants;
}

/* Inputs that could not be read are not tried again until the database is opened anew. */
static void set_aside(struct slx_engine *e, const struct slx_view *v, const size_t *chosen, size_t k)
{
	atomic_fetch_add(&e->damaged_pages, 1);
	for (size_t i = 0; i < k; i++)
		atomic_store(&v->blocks[chosen[i]]->damaged, true);
}

static silex_status step(struct slx_engine *e, const silex_compact_options *opt, bool full, bool *ret_did, silex_error *err)
{
	struct slx_view *v = slx_view_get(e);
	size_t n = v->n_blocks + 1, k = 0;
	silex_status status = SILEX_OK;
	struct slx_block_info *infos = slx_alloc(&e->mem, SLX_MEM_OTHER, n * sizeof *infos);
	size_t *chosen = slx_alloc(&e->mem, SLX_MEM_OTHER, 2 * n * sizeof *chosen);
	*ret_did = false;
	if (!infos || !chosen) {
		status = slx_err_oom(err);
		goto out;
	}
	k = choose(e, v, full, infos, chosen, chosen + n);
	if (k > 0 && k <= SLX_MERGE_MAX) {
		status = slx_compact_merge(e, opt, v, chosen, k, INT64_MIN, NULL, err);
		*ret_did = status == SILEX_OK;
		if (status == SILEX_CORRUPT)
			set_aside(e, v, chosen, k);
	}
out:
	slx_free(&e->mem, SLX_MEM_OTHER, infos, n * sizeof *infos);
	slx_free(&e->mem, SLX_MEM_OTHER, chosen, 2 * n * sizeof *chosen);
	slx_view_unref(v);
	return status;
}

silex_status slx_engine_compact_step(struct slx_engine *e, bool *ret_did, silex_error *err)
{
	pthread_mutex_lock(&e->compact_lock);
	silex_status status = step(e, NULL, false, ret_did, err);
	pthread_mutex_unlock(&e->compact_lock);
	return status;
}

/* Rewrites each block that was there at the beginning once; cold ones stay as they are. */
static silex_status recode_all(struct slx_engine *e, const silex_compact_options *o, silex_error *err)
{
	struct slx_view *start = slx_view_of_blocks(e);
	silex_status status = start ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0; status == SILEX_OK && i < start->n_blocks; i++) {
		struct slx_view *v = slx_view_of_blocks(e);
		size_t at = 0;
		if (!v) {
			status = slx_err_oom(err);
			break;
		}
		while (at < v->n_blocks && v->blocks[at] != start->blocks[i])
			at++;
		if (at < v->n_blocks && !v->blocks[at]->upload)
			status = slx_compact_merge(e, o, v, &at, 1, INT64_MIN, NULL, err);
		slx_view_unref(v);
	}
	slx_view_unref(start);
	return status;
}

silex_status slx_engine_compact(struct slx_engine *e, const silex_compact_options *o, silex_error *err)
{
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	silex_error own;
	if (slx_engine_rollup_build(e, &own) != SILEX_OK) /* a full disk must not keep it from giving room */
		slx_engine_log(e, 2, "roll-ups: %s; compacting all the same", own.message);
	silex_status status = SILEX_OK;
	slx_room_look(e);
	pthread_mutex_lock(&e->compact_lock);
	for (bool did = true; did && status == SILEX_OK;)
		status = step(e, o, o && o->full, &did, err);
	if (status == SILEX_OK && o && o->recode)
		status = recode_all(e, o, err);
	if (status == SILEX_OK)
		status = slx_engine_expire(e, o && o->full, err);
	pthread_mutex_unlock(&e->compact_lock);
	return status;
}
