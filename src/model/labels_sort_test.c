/* slx_labels_sort against a sort that compares whole sets. */
#include "base/arena.h"
#include "base/clock.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SETS_MAX = 3000 };

struct fixture {
	struct slx_mem mem;
	struct slx_arena arena;
	struct slx_labels_builder builder;
	struct slx_labels_item a[SETS_MAX], b[SETS_MAX];
};

static uint64_t below(uint64_t *r, uint64_t n) { return slx_rng_next(r) % n; }

static int by_labels(const void *a, const void *b)
{
	return slx_labels_cmp(((const struct slx_labels_item *)a)->labels, ((const struct slx_labels_item *)b)->labels);
}

/* A text out of few letters behind a beginning that many share. */
static struct slx_str some_text(uint64_t *r, char room[64], size_t at_least)
{
	size_t shared = below(r, 3) * 9, n = at_least + below(r, 6);
	memset(room, 'p', shared);
	for (size_t i = 0; i < n; i++)
		room[shared + i] = "abyz"[below(r, 4)];
	return (struct slx_str){ room, shared + n };
}

static struct slx_labels some_labels(struct fixture *f, uint64_t *r)
{
	struct slx_labels l;
	char name[4][64], value[4][64];
	slx_labels_builder_reset(&f->builder);
	slx_labels_builder_add(&f->builder, SLX_METRIC_NAME, SLX_STR("cpu_usage"));
	for (uint64_t n = below(r, 4), i = 0; i < n; i++) {
		snprintf(name[i], sizeof name[i], "name_%llu", (unsigned long long)(below(r, 3) + 3 * i));
		slx_labels_builder_add(&f->builder, slx_str(name[i]), some_text(r, value[i], 1));
	}
	assert_int_equal(slx_labels_builder_finish(&f->builder, &l, NULL), SILEX_OK);
	uint8_t *p = slx_arena_alloc(&f->arena, l.n, 1);
	assert_non_null(p);
	memcpy(p, l.p, l.n);
	return (struct slx_labels){ p, l.n };
}

static void test_random_sets(void **state)
{
	static struct fixture f;
	(void)state;
	slx_mem_init(&f.mem, NULL);
	slx_arena_init(&f.arena, &f.mem, SLX_MEM_OTHER, 1 << 20);
	slx_labels_builder_init(&f.builder, &f.mem, SLX_MEM_OTHER, NULL);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t r = seed;
		size_t n = seed % 3 ? below(&r, 200) : SETS_MAX;
		for (size_t i = 0; i < n; i++)
			f.a[i] = f.b[i] = (struct slx_labels_item){ .labels = some_labels(&f, &r), .owner = &f.a[i] };
		slx_labels_sort(f.a, n);
		qsort(f.b, n, sizeof f.b[0], by_labels);
		for (size_t i = 0; i < n; i++)
			if (!slx_labels_eq(f.a[i].labels, f.b[i].labels))
				fail_msg("seed %llu: place %zu of %zu", (unsigned long long)seed, i, n);
		slx_arena_clear(&f.arena);
	}
	slx_labels_builder_free(&f.builder);
	assert_int_equal(slx_mem_total(&f.mem), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_sets) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
