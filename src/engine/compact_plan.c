/* Which blocks to merge. Pure: block descriptions in, a choice out.
 *
 * Policy, first that applies:
 *   1. overlays: where more than OVERLAYS_MAX blocks cover one instant (reads would open them all), the youngest of them
 *                are merged, going back as long as the next older one is not more than twice what is gathered, so that
 *                sizes along the versions stay geometric and a sample is rewritten about log(n) times;
 *   2. shares:   a block that is overlaid by younger blocks of as many bytes is merged with them;
 *   3. levels:   when a window of the next level is past (no newer data will reach it soon) and holds several blocks
 *                that fit inside, they become one block of that level, while it stays below MERGED_SIZE_MAX.
 * Each sample is rewritten about once a level, so a few times in its life. A full compaction merges every overlap and
 * does not wait for windows to be past.
 *
 * Cold blocks (tier.h) are merged by the first two rules alone, and only where more than OVERLAYS_COLD blocks cover one
 * instant: reading them back costs.
 *
 * Invariant: blocks that overlap in time have disjoint ranges of versions, so one block's copy of a sample beats the
 * other's as a whole. A merge of blocks of versions 1 and 3 would break it for a block of version 2 between them:
 * slx_compact_close adds such blocks. */
#include "engine/engine_int.h"

#include <stdlib.h>

enum { OVERLAYS_MAX = 4, OVERLAYS_COLD = 8, OVERLAYS_HARD = 16 };
#define MERGED_SIZE_MAX (UINT64_C(512) << 20)

static struct slx_time_range span(const struct slx_block_info *b)
{
	return (struct slx_time_range){ b->tmin, b->tmax };
}

static bool is_chosen(const size_t *chosen, size_t n, size_t i)
{
	for (size_t k = 0; k < n; k++)
		if (chosen[k] == i)
			return true;
	return false;
}

size_t slx_compact_close(const struct slx_block_info *blocks, size_t n, size_t *chosen, size_t n_chosen)
{
	for (bool more = n_chosen > 0; more;) {
		struct slx_time_range time = span(&blocks[chosen[0]]);
		uint64_t vmin = blocks[chosen[0]].vmin, vmax = blocks[chosen[0]].vmax;
		for (size_t k = 1; k < n_chosen; k++) {
			const struct slx_block_info *b = &blocks[chosen[k]];
			time.from = b->tmin < time.from ? b->tmin : time.from;
			time.to = b->tmax > time.to ? b->tmax : time.to;
			vmin = b->vmin < vmin ? b->vmin : vmin;
			vmax = b->vmax > vmax ? b->vmax : vmax;
		}
		more = false;
		for (size_t i = 0; i < n; i++)
			if (slx_range_overlaps(span(&blocks[i]), time) && blocks[i].vmin <= vmax && blocks[i].vmax >= vmin &&
			    !is_chosen(chosen, n_chosen, i)) {
				chosen[n_chosen++] = i;
				more = true;
			}
	}
	return n_chosen;
}

/* Blocks that hold instant t. */
static size_t covering(const struct slx_block_info *blocks, size_t n, int64_t t, size_t *ret)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (slx_range_has(span(&blocks[i]), t))
			ret[k++] = i;
	return k;
}

/* Of k blocks that cover one instant, by age: where the run of young ones to merge begins. */
static size_t young_run(const struct slx_block_info *blocks, const size_t *at, size_t k)
{
	uint64_t sum = blocks[at[k - 1]].size;
	size_t from = k - 1;
	while (from > 0 && (blocks[at[from - 1]].size <= 2 * sum || k > OVERLAYS_HARD))
		sum += blocks[at[--from]].size;
	return from;
}

static size_t choose_overlays(const struct slx_block_info *blocks, size_t n, struct slx_compact_rule rule, size_t *ret)
{
	size_t most = rule.full ? 1 : rule.rare ? OVERLAYS_COLD : OVERLAYS_MAX;
	for (size_t i = 0; i < n; i++) { /* the deepest place begins where some block begins */
		size_t k = covering(blocks, n, blocks[i].tmin, ret);
		if (k <= most)
			continue;
		size_t from = rule.full ? 0 : young_run(blocks, ret, k);
		if (k - from < 2)
			continue;
		if (k - from > OVERLAYS_HARD)
			k = from + OVERLAYS_HARD;
		memmove(ret, ret + from, (k - from) * sizeof *ret);
		return k - from;
	}
	return 0;
}

static size_t choose_shares(const struct slx_block_info *blocks, size_t n, size_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t over = 0;
		size_t k = 0;
		ret[k++] = i;
		for (size_t j = i + 1; j < n && k < OVERLAYS_HARD; j++)
			if (slx_range_overlaps(span(&blocks[i]), span(&blocks[j]))) {
				over += blocks[j].size;
				ret[k++] = j;
			}
		if (k > 1 && over >= blocks[i].size)
			return k;
	}
	return 0;
}

static int64_t newest(const struct slx_block_info *blocks, size_t n)
{
	int64_t t = SLX_TIME_MIN;
	for (size_t i = 0; i < n; i++)
		t = blocks[i].tmax > t ? blocks[i].tmax : t;
	return t;
}

static size_t choose_level(const struct slx_block_info *blocks, size_t n, const struct slx_levels *l, bool full, size_t *ret)
{
	int64_t now = newest(blocks, n);
	for (unsigned level = 1; level < l->n; level++)
		for (size_t i = 0; i < n; i++) {
			struct slx_time_range w = slx_levels_window(l, level, blocks[i].tmin);
			if ((!full && w.to >= now) || !slx_range_covers(w, span(&blocks[i])))
				continue;
			uint64_t size = 0;
			size_t k = 0;
			for (size_t j = 0; j < n && k < OVERLAYS_HARD; j++)
				if (slx_range_covers(w, span(&blocks[j]))) {
					size += blocks[j].size;
					ret[k++] = j;
				}
			if (k > 1 && size <= MERGED_SIZE_MAX)
				return k;
		}
	return 0;
}

size_t slx_compact_choose(const struct slx_block_info *blocks, size_t n, const struct slx_levels *l, struct slx_compact_rule rule, size_t *ret)
{
	size_t k = n > 1 ? choose_overlays(blocks, n, rule, ret) : 0;
	if (k == 0 && n > 1)
		k = choose_shares(blocks, n, ret);
	if (k == 0 && n > 1 && !rule.rare)
		k = choose_level(blocks, n, l, rule.full, ret);
	return slx_compact_close(blocks, n, ret, k);
}
