/* A database on a simulated file system under a clock that the test turns, and what all its samples add up to. */
#ifndef TESTS_BACKUP_LIB_H
#define TESTS_BACKUP_LIB_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/vfs_sim.h"

#include <silex/backup.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(expr)                                                                                             \
	do {                                                                                                     \
		silex_error err_ = { 0 };                                                                            \
		silex_error *err = &err_;                                                                            \
		if ((expr) != SILEX_OK)                                                                              \
			fail_msg("%s: %s", #expr, err_.message);                                                         \
	} while (0)

struct world {
	struct slx_vfs_sim *sim;
	int64_t now_ns;
	uint64_t random;
	silex_options o;
};

static int64_t world_now(void *ctx) { return ((struct world *)ctx)->now_ns += 1000; }

static void world_fill(void *ctx, void *bytes, size_t n)
{
	for (uint8_t *p = bytes; n--; p++)
		*p = (uint8_t)slx_rng_next(&((struct world *)ctx)->random);
}

static inline void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){ .sim = slx_vfs_sim_new(seed), .now_ns = INT64_C(1790000000) * 1000000000, .random = seed };
	silex_options_init(&w->o);
	w->o.no_background = true;
	w->o.threads = 1;
	w->o.memory_limit = 64 << 20;
	w->o.env.vfs = slx_vfs_sim_vfs(w->sim);
	w->o.env.clock = (silex_clock){ w, world_now, world_now };
	w->o.env.random = (silex_random){ w, world_fill };
}

static inline void world_free(struct world *w) { slx_vfs_sim_free(w->sim); }

/* Samples [from, from + n) of some series, of all kinds. */
static inline silex_status put(silex_db *db, const char *tenant, int from, int n, silex_error *err)
{
	for (int i = from; i < from + n; i++) {
		char host[16];
		snprintf(host, sizeof host, "h%d", i % 5);
		silex_label l[] = { { "__name__", i % 4 == 3 ? "door" : i % 4 == 2 ? "count" : "load" }, { "host", host } };
		silex_value v = i % 4 == 3 ? silex_state(i % 3 ? "open" : "shut") : i % 4 == 2 ? silex_int(i) : silex_float(i * 0.5);
		silex_status st = silex_insert(db, tenant, l, 2, INT64_C(1700000000000000000) + i * INT64_C(60000000000), v, err);
		if (st != SILEX_OK)
			return st;
	}
	return SILEX_OK;
}

struct sum {
	uint64_t points, hash;
};

static inline uint64_t row_hash(const silex_batch *b, size_t i)
{
	char text[256];
	int n = snprintf(text, sizeof text, "%d %lld ", (int)b->kind, (long long)b->times[i]);
	for (size_t k = 0; k < b->n_labels; k++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s=%s,", b->labels[k].name, b->labels[k].value);
	if (b->states)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s", b->states[i]);
	else
		n += snprintf(text + n, sizeof text - (size_t)n, "%.17g", b->values[i]);
	return slx_hash64(text, (size_t)n);
}

static inline struct sum sum_of(silex_db *db, const char *tenant)
{
	struct sum s = { 0 };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_query_init(&q);
	q.tenant = tenant;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	OK(silex_query_run(db, &q, &c, err));
	for (;;) {
		OK(silex_cursor_next(c, &b, err));
		if (b.n == 0)
			break;
		for (size_t i = 0; i < b.n; i++)
			s.hash += row_hash(&b, i);
		s.points += b.n;
	}
	silex_cursor_close(c);
	return s;
}

static inline struct sum sum_at(struct world *w, const char *dir, const char *tenant)
{
	silex_db *db;
	silex_options o = w->o;
	o.must_exist = true;
	OK(silex_open(dir, &o, &db, err));
	struct sum s = sum_of(db, tenant);
	OK(silex_close(db, err));
	return s;
}

static inline bool same(struct sum a, struct sum b) { return a.points == b.points && a.hash == b.hash; }

static inline void assert_same(struct sum a, struct sum b)
{
	assert_int_equal(a.points, b.points);
	assert_true(a.hash == b.hash);
}

static inline silex_restore_options restoring(struct world *w)
{
	silex_restore_options o;
	silex_restore_options_init(&o);
	o.db = &w->o;
	return o;
}

#endif
