/* Expiry: room comes back from what is too old.
 *
 * A pass, once a minute and at the end of each compaction that is asked for:
 *
 *   1. blocks in which everything is too old go by one edit of the manifest, unread: sections name their tenants and times
 *   2. blocks in which much is too old are merged with themselves, and the merge leaves it out (compact.c). Much is a fifth of the
 *      samples; anything, once nothing else in the block can ever become too old (so a block is rewritten a few times in its life)
 *   3. while the local blocks are larger than size_max: the oldest one goes, or is merged without its oldest part
 *
 * Where a tenant's rules look at labels, 2 reads the index of a section and counts chunks by their headers.
 *
 * Invariant: what goes from a block goes from all older blocks that overlap it in the same edit, so an older version of a sample
 * never shows again, not even when rules become longer. So older ones come along (add_older), or the block waits.
 *
 * Samples wait until the roll-ups that are made of them are in blocks, also across a crash (slx_rollup_settled); by size they do not.
 *
 * Blocks of other stores (cold ones) are dropped whole, never rewritten: their room costs less than reading them. What may fail:
 * memory, damaged indexes (such a block waits), disk for a merge; the next pass tries again. */
#include "engine/retention_int.h"
#include "engine/rollup_int.h"

enum { WORTH_PERCENT = 20 };

struct pass {
	struct slx_engine *e;
	struct slx_retention *r;
	int64_t now;
	bool all;
	int64_t spent;       /* by size: see shrink_one */
	struct slx_view *v;  /* of this step, without heads */
	size_t *chosen;      /* blocks that go or merge; room for all of them */
	size_t n_chosen;
};

static struct slx_time_range span(const struct slx_view *v, size_t i) { return (struct slx_time_range){ v->blocks[i]->info.tmin, v->blocks[i]->info.tmax }; }

/* Cutoffs of a tenant, as far as its samples may go: not before the roll-ups made of them are in blocks. */
static struct slx_retention_bounds bounds_of(const struct pass *p, struct slx_str tenant)
{
	struct slx_retention_bounds b = slx_retention_bounds(p->r, tenant, p->now);
	int64_t settled = b.some == INT64_MIN ? INT64_MAX : slx_rollup_settled(p->e, tenant);
	b.all = settled < b.all ? settled : b.all;
	b.last = settled < b.last ? settled : b.last;
	b.some = settled < b.some ? settled : b.some;
	return b;
}

static bool is_local(const struct pass *p, size_t i) { return p->v->blocks[i]->store == p->e->store; }

/* --- 1. whole blocks -------------------------------------------------------------------------------------------------------------- */

static bool wholly_old(const struct pass *p, size_t i)
{
	const struct slx_block *b = p->v->blocks[i]->block;
	for (size_t s = 0; s < p->v->blocks[i]->info.sections; s++)
		if (slx_block_section_range(b, s).to >= bounds_of(p, slx_block_section_tenant(b, s)).all)
			return false;
	return true;
}

/* Blocks that go: `gone[i]`, by age, so that the older ones are decided when a block is looked at. */
static size_t choose_old(struct pass *p, bool *gone)
{
	size_t n = 0;
	for (size_t i = 0; i < p->v->n_blocks; i++) {
		gone[i] = wholly_old(p, i);
		for (size_t k = 0; k < i && gone[i]; k++)
			gone[i] = gone[k] || !slx_range_overlaps(span(p->v, i), span(p->v, k));
		if (gone[i])
			p->chosen[n++] = i;
	}
	return n;
}

static silex_status drop(struct pass *p, size_t n, silex_error *err)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += p->v->blocks[p->chosen[i]]->info.size;
	SLX_TRY(slx_compact_commit(p->e, p->v, p->chosen, n, NULL, err));
	atomic_fetch_add(&p->e->expired_blocks, n);
	atomic_fetch_add(&p->e->expired_bytes, bytes);
	slx_engine_log(p->e, 1, "retention: %zu blocks of %llu bytes dropped", n, (unsigned long long)bytes);
	return SILEX_OK;
}

static silex_status drop_old(struct pass *p, bool *ret_did, silex_error *err)
{
	*ret_did = false;
	bool *gone = slx_calloc(&p->e->mem, SLX_MEM_OTHER, p->v->n_blocks + 1);
	if (!gone)
		return slx_err_oom(err);
	size_t n = choose_old(p, gone);
	slx_free(&p->e->mem, SLX_MEM_OTHER, gone, p->v->n_blocks + 1);
	return n ? drop(p, n, err) : SILEX_OK;
}

/* --- 2. parts of blocks ----------------------------------------------------------------------------------------------------------- */

/* Samples too old among those of one series, by its chunks' headers; of a chunk that is so in part, one when little things count. */
static uint64_t old_of_series(const struct slx_section *s, uint32_t ordinal, int64_t cutoff, bool all)
{
	uint32_t first, n;
	struct slx_section_columns c;
	uint64_t points = 0;
	slx_section_chunks(s, ordinal, &first, &n);
	slx_section_columns(s, &c);
	for (uint32_t k = first; k < first + n && c.tmin[k] < cutoff; k++)
		points += c.tmax[k] < cutoff ? c.samples[k] : all;
	return points;
}

static silex_status old_by_labels(struct pass *p, size_t i, size_t number, uint64_t *ret, silex_error *err)
{
	struct slx_section *s;
	struct slx_str tenant = slx_block_section_tenant(p->v->blocks[i]->block, number);
	struct slx_buf label;
	silex_status status = SILEX_OK;
	int64_t most = bounds_of(p, tenant).some;
	SLX_TRY(slx_section_open(p->v->blocks[i]->block, number, &s, err));
	slx_buf_init(&label, &p->e->mem, SLX_MEM_OTHER, 1 << 20);
	for (uint32_t k = 0; k < slx_section_series(s) && status == SILEX_OK; k++) {
		int64_t cutoff;
		slx_buf_reset(&label);
		slx_labelindex_labels(slx_section_labels(s), k, &label);
		status = label.failed ? slx_err_oom(err) :
					slx_retention_cutoff(p->r, tenant, (struct slx_labels){ label.p, label.n }, p->now, &cutoff, err);
		if (status == SILEX_OK)
			*ret += old_of_series(s, k, cutoff < most ? cutoff : most, p->all);
	}
	slx_buf_free(&label);
	slx_section_close(s);
	return status;
}

/* One rule for all series: samples lie evenly, near enough. */
static uint64_t old_by_time(uint64_t points, struct slx_time_range r, int64_t cutoff)
{
	if (r.to < cutoff)
		return points;
	double share = ((double)cutoff - (double)r.from) / ((double)r.to - (double)r.from + 1);
	return share <= 0 ? 0 : 1 + (uint64_t)((double)(points - 1) * share);
}

/* Samples of block i that are too old. *ret_last: no more of it will ever be. */
static silex_status old_points(struct pass *p, size_t i, uint64_t *ret, bool *ret_last, silex_error *err)
{
	const struct slx_used_block *b = p->v->blocks[i];
	*ret = 0;
	*ret_last = true;
	for (size_t s = 0; s < b->info.sections; s++) {
		struct slx_time_range range = slx_block_section_range(b->block, s);
		struct slx_retention_bounds at = bounds_of(p, slx_block_section_tenant(b->block, s));
		*ret_last &= at.some == INT64_MIN || range.to < at.last;
		if (at.some == INT64_MIN || range.from >= at.some)
			continue;
		if (at.all == at.some)
			*ret += old_by_time(slx_block_section_points(b->block, s), range, at.some);
		else
			SLX_TRY(old_by_labels(p, i, s, ret, err));
	}
	return SILEX_OK;
}

/* Not looked at again before a twentieth of the shortest retention of its tenants has gone by. */
static void look_again(struct pass *p, size_t i)
{
	struct slx_used_block *b = p->v->blocks[i];
	int64_t wait = SLX_DAY;
	for (size_t s = 0; s < b->info.sections; s++) {
		struct slx_retention_bounds at = slx_retention_bounds(p->r, slx_block_section_tenant(b->block, s), p->now);
		if (at.some != INT64_MIN && slx_time_sub(p->now, at.some) / 20 < wait)
			wait = slx_time_sub(p->now, at.some) / 20;
	}
	b->expire_next = slx_time_add(p->now, wait);
}

static silex_status worth_it(struct pass *p, size_t i, bool *ret, silex_error *err)
{
	const struct slx_used_block *b = p->v->blocks[i];
	uint64_t old;
	bool last;
	*ret = false;
	if (!is_local(p, i) || atomic_load(&b->damaged) || (!p->all && p->now < b->expire_next))
		return SILEX_OK;
	SLX_TRY(old_points(p, i, &old, &last, err));
	look_again(p, i);
	*ret = old && (p->all || last || old >= b->info.points / 100 * WORTH_PERCENT);
	return SILEX_OK;
}

/* Block i with the older ones that overlap it, and so on, and what compaction must take with them; 0 when it cannot be. */
static size_t add_older(struct pass *p, size_t i)
{
	struct slx_view *v = p->v;
	size_t n = 0;
	bool more = true;
	p->chosen[n++] = i;
	while (more) {
		more = false;
		for (size_t at = 0; at < n; at++)
			for (size_t k = 0; k < p->chosen[at]; k++) {
				bool have = false;
				for (size_t c = 0; c < n; c++)
					have |= p->chosen[c] == k;
				if (!have && slx_range_overlaps(span(v, p->chosen[at]), span(v, k))) {
					p->chosen[n++] = k;
					more = true;
				}
			}
	}
	for (size_t k = 0; k < n; k++)
		if (!is_local(p, p->chosen[k]) || atomic_load(&v->blocks[p->chosen[k]]->damaged))
			return 0;
	return n <= SLX_MERGE_MAX ? n : 0;
}

/* The merged blocks' place among the inputs of others stays right: closed as compaction wants it. */
static silex_status closed(struct pass *p, size_t *n, silex_error *err)
{
	size_t all = p->v->n_blocks, was;
	struct slx_block_info *infos = slx_alloc(&p->e->mem, SLX_MEM_OTHER, all * sizeof *infos);
	if (!infos)
		return slx_err_oom(err);
	for (size_t i = 0; i < all; i++)
		infos[i] = p->v->blocks[i]->info;
	was = *n;
	*n = slx_compact_close(infos, all, p->chosen, was);
	if (*n > SLX_MERGE_MAX)
		*n = 0;
	slx_free(&p->e->mem, SLX_MEM_OTHER, infos, all * sizeof *infos);
	return SILEX_OK;
}

/* Merges block i with what must come along; *ret_did false when it cannot be now. */
static silex_status rewrite(struct pass *p, size_t i, int64_t oldest, bool *ret_did, silex_error *err)
{
	size_t n = add_older(p, i);
	uint64_t before = 0, after = 0;
	*ret_did = false;
	if (n)
		SLX_TRY(closed(p, &n, err));
	if (!n)
		return SILEX_OK;
	for (size_t k = 0; k < n; k++)
		before += p->v->blocks[p->chosen[k]]->info.size;
	silex_status status = slx_compact_merge(p->e, NULL, p->v, p->chosen, n, oldest, &after, err);
	if (status == SILEX_CORRUPT)
		for (size_t k = 0; k < n; k++)
			atomic_store(&p->v->blocks[p->chosen[k]]->damaged, true);
	SLX_TRY(status);
	atomic_fetch_add(&p->e->expired_bytes, before > after ? before - after : 0);
	*ret_did = true;
	return SILEX_OK;
}

static silex_status rewrite_one(struct pass *p, bool *ret_did, silex_error *err)
{
	*ret_did = false;
	for (size_t i = 0; i < p->v->n_blocks && !*ret_did; i++) {
		bool worth;
		SLX_TRY(worth_it(p, i, &worth, err));
		if (worth)
			SLX_TRY(rewrite(p, i, INT64_MIN, ret_did, err));
	}
	return SILEX_OK;
}

/* --- 3. by size -------------------------------------------------------------------------------------------------------------------- */

static uint64_t local_bytes(const struct pass *p)
{
	uint64_t n = 0;
	for (size_t i = 0; i < p->v->n_blocks; i++)
		n += is_local(p, i) ? p->v->blocks[i]->info.size : 0;
	return n;
}

static bool may_be_held(const struct pass *p, size_t i)
{
	const struct slx_block *b = p->v->blocks[i]->block;
	for (size_t s = 0; s < p->v->blocks[i]->info.sections; s++)
		if (slx_retention_bounds(p->r, slx_block_section_tenant(b, s), p->now).held)
			return true;
	return false;
}

/* Of the local blocks that end later than `after`, the one that ends first; n_blocks: none. */
static size_t oldest_block(const struct pass *p, int64_t after)
{
	size_t best = p->v->n_blocks;
	for (size_t i = 0; i < p->v->n_blocks; i++) {
		const struct slx_used_block *b = p->v->blocks[i];
		if (is_local(p, i) && !atomic_load(&b->damaged) && b->info.tmax > after &&
		    (best == p->v->n_blocks || b->info.tmax < p->v->blocks[best]->info.tmax))
			best = i;
	}
	return best;
}

/* The time before which samples of the block must go for `excess` bytes to come back. */
static int64_t cut_of(const struct slx_block_info *b, uint64_t excess)
{
	if (excess >= b->size / 2)
		return slx_time_add(b->tmax, 1);
	double width = (double)b->tmax - (double)b->tmin;
	return slx_time_add(b->tmin, 1 + (int64_t)(width * (double)excess / (double)b->size));
}

/* One step towards size_max. Blocks that end before p->spent have given all they can. */
static silex_status shrink_one(struct pass *p, bool *ret_did, silex_error *err)
{
	uint64_t bytes = local_bytes(p);
	size_t i = oldest_block(p, p->spent);
	*ret_did = false;
	if (!p->r->size_max || bytes <= p->r->size_max || i == p->v->n_blocks)
		return SILEX_OK;
	const struct slx_block_info b = p->v->blocks[i]->info;
	int64_t cut = cut_of(&b, bytes - p->r->size_max);
	bool whole = cut > b.tmax;
	*ret_did = true;
	if (whole && !may_be_held(p, i) && add_older(p, i) == 1)
		return drop(p, 1, err);
	bool did;
	SLX_TRY(rewrite(p, i, cut, &did, err));
	if (whole || !did)
		p->spent = b.tmax;
	return SILEX_OK;
}

/* --- the pass ---------------------------------------------------------------------------------------------------------------------- */

static silex_status take_view(struct pass *p, silex_error *err)
{
	p->v = slx_view_of_blocks(p->e);
	p->n_chosen = p->v ? p->v->n_blocks + 1 : 0;
	p->chosen = p->v ? slx_alloc(&p->e->mem, SLX_MEM_OTHER, p->n_chosen * sizeof *p->chosen) : NULL;
	return p->chosen ? SILEX_OK : slx_err_oom(err);
}

static void leave_view(struct pass *p)
{
	slx_free(&p->e->mem, SLX_MEM_OTHER, p->chosen, p->n_chosen * sizeof *p->chosen);
	slx_view_unref(p->v);
	p->v = NULL;
	p->chosen = NULL;
	p->n_chosen = 0;
}

/* Steps until there is nothing left to do, each on the view of its moment; not more than there are blocks, and a few. */
static silex_status steps(struct pass *p, silex_status (*step)(struct pass *p, bool *ret_did, silex_error *err), silex_error *err)
{
	silex_status status = SILEX_OK;
	size_t left = SIZE_MAX;
	for (bool did = true; did && status == SILEX_OK && left > 0 && !atomic_load(&p->e->stopping); left--) {
		status = take_view(p, err);
		if (status == SILEX_OK && left == SIZE_MAX)
			left = p->v->n_blocks + 4;
		if (status == SILEX_OK)
			status = step(p, &did, err);
		leave_view(p);
	}
	return status;
}

silex_status slx_engine_expire(struct slx_engine *e, bool all, silex_error *err)
{
	struct pass p = { .e = e, .r = slx_retention_get(e), .now = slx_wall_ns(&e->clock), .all = all, .spent = INT64_MIN };
	if (!p.r)
		return SILEX_OK;
	silex_status status = steps(&p, drop_old, err);
	if (status == SILEX_OK)
		status = steps(&p, rewrite_one, err);
	if (status == SILEX_OK)
		status = steps(&p, shrink_one, err);
	slx_retention_unref(p.r);
	return status;
}
