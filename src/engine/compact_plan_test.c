/* The policy of compaction on random histories of flushes: it ends, keeps the invariant (blocks that overlap in time have
 * disjoint versions), and a full one leaves nothing that overlaps. */
#include "engine/engine_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS_MAX = 512 };

struct history {
	struct slx_block_info b[BLOCKS_MAX];
	size_t n;
	uint64_t version, rewritten, written;
	size_t inputs_most;
};

static bool overlap(const struct slx_block_info *a, const struct slx_block_info *b)
{
	return a->tmin <= b->tmax && b->tmin <= a->tmax;
}

static void check_invariant(const struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(!overlap(&h->b[i], &h->b[k]) || h->b[i].vmax < h->b[k].vmin || h->b[k].vmax < h->b[i].vmin);
}

static int by_version(const void *a, const void *b)
{
	const struct slx_block_info *x = a, *y = b;
	return x->vmax != y->vmax ? (x->vmax < y->vmax ? -1 : 1) : x->tmin < y->tmin ? -1 : x->tmin > y->tmin;
}

static void merge(struct history *h, const size_t *chosen, size_t k)
{
	struct slx_block_info made = h->b[chosen[0]];
	bool gone[BLOCKS_MAX] = { false };
	made.size = 0;
	for (size_t i = 0; i < k; i++) {
		const struct slx_block_info *b = &h->b[chosen[i]];
		assert_true(chosen[i] < h->n && !gone[chosen[i]]);
		gone[chosen[i]] = true;
		made.tmin = b->tmin < made.tmin ? b->tmin : made.tmin;
		made.tmax = b->tmax > made.tmax ? b->tmax : made.tmax;
		made.vmin = b->vmin < made.vmin ? b->vmin : made.vmin;
		made.vmax = b->vmax > made.vmax ? b->vmax : made.vmax;
		made.size += b->size;
	}
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++)
		if (!gone[i])
			h->b[n++] = h->b[i];
	h->b[n++] = made;
	h->n = n;
	h->rewritten += made.size;
	h->inputs_most = k > h->inputs_most ? k : h->inputs_most;
	qsort(h->b, h->n, sizeof h->b[0], by_version);
}

static size_t compact(struct history *h, const struct slx_levels *l, bool full)
{
	size_t chosen[BLOCKS_MAX], k, steps = 0;
	while ((k = slx_compact_choose(h->b, h->n, l, (struct slx_compact_rule){ .full = full }, chosen)) > 0) {
		assert_true(k > 1);
		assert_true(++steps < 10000);
		merge(h, chosen, k);
		check_invariant(h);
	}
	return steps;
}

/* One flush: blocks of one range of versions in disjoint windows; mostly now, sometimes any past. */
static void flush(struct history *h, const struct slx_levels *l, uint64_t *rng, int64_t now)
{
	size_t first = h->n, blocks = 1 + slx_rng_next(rng) % 3;
	for (size_t i = 0; i < blocks && h->n < BLOCKS_MAX; i++) {
		int64_t t = slx_rng_next(rng) % 4 ? now : (int64_t)(slx_rng_next(rng) % (uint64_t)(now + 1));
		struct slx_time_range w = slx_levels_window(l, (unsigned)(slx_rng_next(rng) % 3), t);
		struct slx_block_info b = { .tmin = w.from, .tmax = w.to, .vmin = h->version + 1, .vmax = h->version + 10, .size = 1000 + slx_rng_next(rng) % 100000 };
		bool clash = false;
		for (size_t k = first; k < h->n; k++)
			clash |= overlap(&h->b[k], &b);
		if (clash)
			continue;
		h->written += b.size;
		h->b[h->n++] = b;
	}
	h->version += 10;
	qsort(h->b, h->n, sizeof h->b[0], by_version);
}

static void test_random_histories(void **state)
{
	struct slx_levels l;
	double most = 0;
	size_t inputs = 0, blocks = 0;
	slx_levels_init(&l, INT64_C(7200) * SLX_SECOND);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct history *h = calloc(1, sizeof *h);
		uint64_t rng = seed;
		for (int i = 0; i < 300; i++) {
			flush(h, &l, &rng, (int64_t)i * 7200 * SLX_SECOND);
			check_invariant(h);
			compact(h, &l, false);
		}
		double rewrites = (double)h->rewritten / (double)h->written;
		most = rewrites > most ? rewrites : most;
		inputs = h->inputs_most > inputs ? h->inputs_most : inputs;
		blocks = h->n > blocks ? h->n : blocks;
		compact(h, &l, true);
		for (size_t i = 0; i < h->n; i++)
			for (size_t k = 0; k < i; k++)
				assert_false(overlap(&h->b[i], &h->b[k]));
		free(h);
	}
	printf("300 flushes, a fourth of the blocks anywhere in the past: each byte rewritten at most %.1f times, %zu blocks left, %zu inputs\n", most, blocks, inputs);
}

static void test_nothing_to_do(void **state)
{
	struct slx_levels l;
	size_t chosen[4];
	slx_levels_init(&l, INT64_C(7200) * SLX_SECOND);
	struct slx_block_info b = { .tmin = 0, .tmax = 10, .vmin = 1, .vmax = 2, .size = 10 };
	assert_int_equal(slx_compact_choose(NULL, 0, &l, (struct slx_compact_rule){ .full = true }, chosen), 0);
	assert_int_equal(slx_compact_choose(&b, 1, &l, (struct slx_compact_rule){ .full = true }, chosen), 0);
}

/* Versions 1 and 3 must not be merged over 2. */
static void test_closure(void **state)
{
	const struct slx_block_info b[] = {
		{ .tmin = 0, .tmax = 10, .vmin = 1, .vmax = 1 },
		{ .tmin = 5, .tmax = 30, .vmin = 2, .vmax = 2 },
		{ .tmin = 0, .tmax = 10, .vmin = 3, .vmax = 3 },
		{ .tmin = 25, .tmax = 40, .vmin = 4, .vmax = 4 },
	};
	size_t chosen[4] = { 0, 2 };
	assert_int_equal(slx_compact_close(b, 4, chosen, 2), 3);
	assert_int_equal(chosen[2], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_histories),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_closure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
