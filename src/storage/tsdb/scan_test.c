/* The merge against a slow, obvious one: random parts of all types and kinds, overlaps, tombstones, ranges. */
#include "base/clock.h"
#include "storage/tsdb/scan.h"

#include <stdarg.h>
#include <setjmp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { PARTS_MAX = 6, SAMPLES_MAX = 60000, HIDES_MAX = 3 };

static const struct slx_codec_choice codecs = { .codec = -1, .wrap = SLX_WRAP_LZ4 };

struct sample {
	int64_t t;
	uint64_t bits;
	enum slx_kind kind;
	uint64_t rank;
};

/* What one round made, and must free. */
struct world {
	struct slx_mem mem;
	silex_random random;
	uint64_t rng;
	struct slx_chunk_work *work;
	struct slx_store *store;
	struct slx_cache *cache;

	struct slx_part parts[PARTS_MAX];
	size_t n_parts;
	struct slx_memchunk **chunks[PARTS_MAX];
	struct slx_block *blocks[PARTS_MAX];
	struct slx_section *sections[PARTS_MAX];
	int64_t *ts[PARTS_MAX];
	uint64_t *bits[PARTS_MAX];
	enum slx_kind *kinds[PARTS_MAX];
	size_t n[PARTS_MAX];
	struct slx_hide hides[HIDES_MAX];
	size_t n_hides;
};

static uint64_t below(struct world *w, uint64_t n) { return slx_rng_next(&w->rng) % n; }

static enum slx_kind random_kind(struct world *w) { return (enum slx_kind)below(w, SLX_KINDS); }

/* The address of one of a few values that are bytes. */
static uint64_t random_value(struct world *w)
{
	static uint8_t values[40][200 + SLX_VARINT_SIZE_MAX];
	uint8_t *v = values[below(w, 40)];
	if (!*v) {
		size_t n = 1 + below(w, below(w, 4) ? 20 : 200);
		uint8_t *p = slx_put_varint(v, n);
		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)below(w, 256);
	}
	return (uint64_t)(uintptr_t)v;
}

static uint64_t random_bits(struct world *w, enum slx_kind kind)
{
	switch (kind) {
	case SLX_KIND_HISTOGRAM:
	case SLX_KIND_BYTES:
		return random_value(w);
	case SLX_KIND_INT64:
		return below(w, 20) == 0 ? slx_rng_next(&w->rng) : (uint64_t)((int64_t)below(w, 1000) - 500);
	case SLX_KIND_BOOL:
		return below(w, 2);
	case SLX_KIND_ENUM:
		return below(w, 5);
	default:
		return below(w, 50) == 0 ? SLX_STALE_NAN : slx_f64_bits((double)((int64_t)below(w, 20000) - 10000) / 100);
	}
}

/* Ascending samples from `from` on, the kind changing now and then. */
static void make_samples(struct world *w, size_t i, int64_t from, size_t n, uint64_t gap, bool kinds)
{
	w->ts[i] = malloc((n + 1) * sizeof(int64_t));
	w->bits[i] = malloc((n + 1) * sizeof(uint64_t));
	w->kinds[i] = malloc((n + 1) * sizeof(enum slx_kind));
	w->n[i] = n;
	enum slx_kind kind = SLX_KIND_FLOAT64;
	for (size_t k = 0; k < n; k++) {
		if (kinds && below(w, 100) == 0)
			kind = random_kind(w);
		from += 1 + (int64_t)below(w, gap);
		w->ts[i][k] = from;
		w->kinds[i][k] = kind;
		w->bits[i][k] = random_bits(w, kind);
	}
}

/* How many samples from k on make the next chunk. */
static size_t cut(struct world *w, size_t i, size_t k, size_t max)
{
	size_t n = 1, want = 1 + below(w, max);
	while (n < want && k + n < w->n[i] && w->kinds[i][k + n] == w->kinds[i][k])
		n++;
	return n;
}

static void encode(
	struct world *w, size_t i, size_t k, size_t n, bool cold, struct slx_buf *out, struct slx_chunk_meta *meta)
{
	slx_buf_reset(out);
	silex_status st = cold
		? slx_chunk_encode_cold(w->work, &codecs, w->kinds[i][k], w->ts[i] + k, w->bits[i] + k, n, out, meta, NULL)
		: slx_chunk_encode_hot(&codecs, w->kinds[i][k], w->ts[i] + k, w->bits[i] + k, n, NULL, out, meta, NULL);
	assert_int_equal(st, SILEX_OK);
}

static void make_memory(struct world *w, size_t i, bool cold)
{
	struct slx_buf out;
	slx_buf_init(&out, &w->mem, SLX_MEM_OTHER, 1 << 24);
	w->chunks[i] = malloc((w->n[i] + 1) * sizeof(void *));
	uint32_t chunks = 0;
	for (size_t k = 0, n; k < w->n[i]; k += n) {
		struct slx_chunk_meta meta;
		n = cut(w, i, k, cold ? SLX_CHUNK_MAX : SLX_HOT_MAX);
		encode(w, i, k, n, cold, &out, &meta);
		struct slx_memchunk *c = malloc(sizeof *c + out.n);
		c->meta = meta;
		memcpy(c->bytes, out.p, out.n);
		w->chunks[i][chunks++] = c;
	}
	slx_buf_free(&out);
	w->parts[i].type = SLX_PART_MEMORY;
	w->parts[i].memory.chunks = (const struct slx_memchunk *const *)w->chunks[i];
	w->parts[i].memory.n = chunks;
}

static void make_raw(struct world *w, size_t i)
{
	enum slx_kind kind = random_kind(w);
	for (size_t k = 0; k < w->n[i]; k++) {
		w->kinds[i][k] = kind;
		w->bits[i][k] = random_bits(w, kind);
	}
	w->parts[i].type = SLX_PART_RAW;
	w->parts[i].raw.ts = w->ts[i];
	w->parts[i].raw.bits = w->bits[i];
	w->parts[i].raw.n = w->n[i];
	w->parts[i].raw.kind = kind;
}

static void make_block(struct world *w, size_t i)
{
	struct slx_block_info info = { .level = 0 };
	struct slx_block_writer *bw;
	struct slx_labels labels = { (const uint8_t *)"\1\1a\1b", 5 };
	struct slx_buf out;
	silex_error err = { 0 };
	slx_buf_init(&out, &w->mem, SLX_MEM_OTHER, 1 << 24);
	assert_int_equal(slx_block_writer_new(w->store, &w->mem, &w->random, &info, &bw, &err), SILEX_OK);
	assert_int_equal(
		slx_block_writer_series(bw, SLX_STR("t"), labels, slx_series_id(SLX_STR("t"), labels), &err), SILEX_OK);
	for (size_t k = 0, n; k < w->n[i]; k += n) {
		struct slx_chunk_meta meta;
		n = cut(w, i, k, SLX_CHUNK_MAX);
		encode(w, i, k, n, true, &out, &meta);
		assert_int_equal(slx_block_writer_chunk(bw, &meta, out.p, &err), SILEX_OK);
	}
	assert_int_equal(slx_block_writer_finish(bw, &info, &err), SILEX_OK);
	slx_block_writer_free(bw);
	slx_buf_free(&out);
	assert_int_equal(slx_block_open(w->store, info.name, w->cache, &w->mem, &w->blocks[i], &err), SILEX_OK);
	assert_int_equal(slx_section_open(w->blocks[i], 0, &w->sections[i], &err), SILEX_OK);
	w->parts[i].type = SLX_PART_BLOCK;
	w->parts[i].block.section = w->sections[i];
	slx_section_chunks(w->sections[i], 0, &w->parts[i].block.first, &w->parts[i].block.n);
}

static void make_world(struct world *w)
{
	bool large = below(w, 4) == 0, apart = below(w, 3) == 0, kinds = below(w, 2);
	w->n_parts = below(w, PARTS_MAX + 1);
	for (size_t i = 0; i < w->n_parts; i++) {
		size_t n = large ? below(w, SAMPLES_MAX / PARTS_MAX) : below(w, 700);
		int64_t from = apart ? (int64_t)i * 100000 : (int64_t)below(w, 500);
		unsigned type = (unsigned)below(w, 4);
		if (type == 3 && n == 0)
			n = 1;
		w->parts[i].rank = (i * 5 + 3) % 7;
		w->parts[i].floor = below(w, 4);
		make_samples(w, i, from, n, large ? 3 : 1 + below(w, 4), kinds);
		if (type == 0)
			make_raw(w, i);
		else if (type == 3)
			make_block(w, i);
		else
			make_memory(w, i, type == 2);
	}
	w->n_hides = below(w, 2) ? below(w, HIDES_MAX + 1) : 0;
	for (size_t i = 0; i < w->n_hides; i++) {
		int64_t from = (int64_t)below(w, large ? 20000 : 1500);
		w->hides[i] = (struct slx_hide){ { from, from + (int64_t)below(w, 600) - 20 }, below(w, 5) };
	}
}

static void free_world(struct world *w)
{
	for (size_t i = 0; i < w->n_parts; i++) {
		if (w->parts[i].type == SLX_PART_MEMORY)
			for (uint32_t k = 0; k < w->parts[i].memory.n; k++)
				free(w->chunks[i][k]);
		free(w->chunks[i]);
		slx_section_close(w->sections[i]);
		slx_block_unref(w->blocks[i]);
		free(w->ts[i]);
		free(w->bits[i]);
		free(w->kinds[i]);
		w->chunks[i] = NULL, w->sections[i] = NULL, w->blocks[i] = NULL;
	}
}

/* ---- the model ---- */

static bool visible(const struct world *w, size_t part, int64_t t)
{
	for (size_t i = 0; i < w->n_hides; i++)
		if (w->hides[i].version > w->parts[part].floor && slx_range_has(w->hides[i].range, t))
			return false;
	return true;
}

static int by_time_rank(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->rank > y->rank ? -1 : x->rank < y->rank;
}

static size_t expect(const struct world *w, struct slx_time_range range, struct sample *ret)
{
	size_t n = 0, unique = 0;
	for (size_t i = 0; i < w->n_parts; i++)
		for (size_t k = 0; k < w->n[i]; k++)
			if (slx_range_has(range, w->ts[i][k]) && visible(w, i, w->ts[i][k]))
				ret[n++] = (struct sample){ w->ts[i][k], w->bits[i][k], w->kinds[i][k], w->parts[i].rank };
	qsort(ret, n, sizeof *ret, by_time_rank);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || ret[unique - 1].t != ret[i].t)
			ret[unique++] = ret[i];
	return unique;
}

/* ---- the checks ---- */

/* What slx_scan_fold should give: the samples at..n-1, window after window. */
struct windows {
	const struct sample *x;
	size_t at, n;
	int64_t origin;
	uint64_t step;
};

static silex_status check_window(void *arg, uint64_t k, const struct slx_agg *got, uint64_t n, silex_error *err)
{
	struct windows *w = arg;
	long double sum = 0, size = 1;
	uint64_t count = 0, want_n = 0;
	double min = INFINITY, max = -INFINITY;
	for (; w->at < w->n && (uint64_t)(w->x[w->at].t - w->origin) / w->step == k; w->at++, want_n++) {
		double v = slx_bits_number(w->x[w->at].kind, w->x[w->at].bits);
		if (isnan(v))
			continue;
		count++;
		sum += v;
		size += fabs(v);
		min = fmin(min, v);
		max = fmax(max, v);
	}
	assert_int_equal(n, want_n);
	assert_int_equal(got->count, count);
	assert_true(fabsl((long double)got->sum + got->comp - sum) <= size * 1e-15L);
	if (count) {
		assert_true(got->min == min);
		assert_true(got->max == max);
	}
	return SILEX_OK;
}

static void check_fold(struct world *w, struct slx_scan *s, const struct slx_run *run, const struct sample *x)
{
	struct windows windows = { x, 0, run->n, x[0].t - (int64_t)below(w, 50), 1 + below(w, 1000) };
	assert_int_equal(slx_scan_fold(s, run, windows.origin, windows.step, check_window, &windows, NULL), SILEX_OK);
	assert_int_equal(windows.at, run->n);
}

/* A whole run's header and bytes say what the samples are. */
static void check_whole(struct world *w, struct slx_scan *s, struct slx_run *run, const struct sample *x)
{
	const uint8_t *bytes;
	assert_int_equal(run->n, run->meta.n);
	assert_int_equal(run->meta.tmin, x[0].t);
	assert_int_equal(run->meta.tmax, x[run->n - 1].t);
	if (below(w, 2) && run->kind != SLX_KIND_ENUM && !slx_kind_is_bytes(run->kind))
		check_fold(w, s, run, x);
	if (below(w, 4) == 0) {
		assert_int_equal(slx_scan_bytes(s, run, &bytes, NULL), SILEX_OK);
		assert_int_equal(slx_chunk_check(w->work, &codecs, &run->meta, bytes, NULL), SILEX_OK);
	}
	assert_int_equal(slx_scan_decode(s, run, NULL), SILEX_OK);
}

static void check_scan(
	struct world *w, struct slx_scan *s, struct slx_time_range range, const struct sample *want, size_t n)
{
	struct slx_run run;
	bool more;
	size_t at = 0;
	slx_scan_start(s, w->parts, w->n_parts, w->hides, w->n_hides, range);
	for (;;) {
		assert_int_equal(slx_scan_next(s, &run, &more, NULL), SILEX_OK);
		if (!more)
			break;
		assert_in_range(run.n, 1, SLX_CHUNK_MAX);
		assert_true(run.n <= n - at);
		if (run.whole && below(w, 8) == 0) { /* its header is all that is wanted */
			assert_int_equal(run.meta.n, run.n);
			at += run.n;
			continue;
		}
		if (run.whole)
			check_whole(w, s, &run, want + at);
		for (size_t i = 0; i < run.n; i++, at++) {
			assert_int_equal(run.ts[i], want[at].t);
			assert_int_equal(run.kind, want[at].kind);
			assert_true(slx_values_equal(run.kind, run.bits[i], want[at].bits));
		}
	}
	assert_int_equal(at, n);
	assert_int_equal(slx_scan_next(s, &run, &more, NULL), SILEX_OK);
	assert_false(more);
}

static struct slx_time_range random_range(struct world *w)
{
	if (below(w, 3) == 0)
		return (struct slx_time_range){ INT64_MIN, INT64_MAX };
	int64_t from = (int64_t)below(w, below(w, 2) ? 2000 : 30000) - 10;
	return (struct slx_time_range){ from, from + (int64_t)below(w, 5000) - 20 };
}

static void fill(void *ctx, void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)bytes)[i] = (uint8_t)slx_rng_next(ctx);
}

static void world_open(struct world *w, uint64_t seed)
{
	*w = (struct world){ .rng = seed };
	w->random = (silex_random){ &w->rng, fill };
	slx_mem_init(&w->mem, NULL);
	assert_int_equal(slx_chunk_work_new(&w->mem, SLX_MEM_OTHER, &w->work, NULL), SILEX_OK);
	assert_int_equal(slx_store_open_memory(&w->mem, &w->store, NULL), SILEX_OK);
	assert_int_equal(slx_cache_new(&w->mem, 1 << 22, &w->cache, NULL), SILEX_OK);
}

static void world_close(struct world *w)
{
	slx_chunk_work_free(w->work);
	slx_cache_free(w->cache);
	slx_store_close(w->store);
	assert_int_equal(slx_mem_total(&w->mem), 0);
}

static void against_the_model(void **state)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	unsigned rounds = getenv("ROUNDS") ? (unsigned)atoi(getenv("ROUNDS")) : 400;
	printf("seed %llu\n", (unsigned long long)seed);
	static struct sample want[SAMPLES_MAX + PARTS_MAX];
	struct world w;
	struct slx_scan *s;
	world_open(&w, seed);
	assert_int_equal(slx_scan_new(&w.mem, &codecs, &s, NULL), SILEX_OK);
	for (unsigned round = 0; round < rounds; round++) {
		make_world(&w);
		for (int i = 0; i < 3; i++) {
			struct slx_time_range range = random_range(&w);
			size_t n = expect(&w, range, want);
			check_scan(&w, s, range, want, n);
		}
		slx_scan_start(s, NULL, 0, NULL, 0, SLX_TIME_ALL); /* lets go of the blocks */
		free_world(&w);
	}
	slx_scan_free(s);
	world_close(&w);
}

/* ---- chunks in one source after another pass through unopened ---- */

static void apart_is_whole(void **state)
{
	struct world w;
	struct slx_scan *s;
	struct slx_run run;
	struct slx_scan_stats stats;
	bool more;
	unsigned runs = 0;
	world_open(&w, 7);
	w.n_parts = 2;
	for (size_t i = 0; i < 2; i++) {
		make_samples(&w, i, (int64_t)i * 100000, 1000, 3, false);
		w.parts[i].rank = i;
		make_memory(&w, i, false);
	}
	assert_int_equal(slx_scan_new(&w.mem, &codecs, &s, NULL), SILEX_OK);
	slx_scan_start(s, w.parts, 2, NULL, 0, SLX_TIME_ALL);
	while (slx_scan_next(s, &run, &more, NULL) == SILEX_OK && more) {
		assert_true(run.whole);
		runs++;
	}
	assert_int_equal(runs, w.parts[0].memory.n + w.parts[1].memory.n);
	slx_scan_stats(s, &stats);
	assert_int_equal(stats.chunks, runs);
	assert_int_equal(stats.chunks_by_header, runs);
	assert_int_equal(stats.chunks_decoded, 0);
	slx_scan_free(s);
	free_world(&w);
	world_close(&w);
}

/* ---- a damaged chunk is told once; the scan goes on behind it ---- */

static void steps_over_damage(void **state)
{
	struct world w;
	struct slx_scan *s;
	struct slx_run run;
	silex_error err;
	bool more = true;
	size_t seen = 0, errors = 0;
	world_open(&w, 9);
	w.n_parts = 2;
	make_samples(&w, 0, 0, 1000, 1, false);
	make_memory(&w, 0, false);
	make_samples(&w, 1, 0, 1, 1, false); /* makes the first chunks overlap something */
	make_raw(&w, 1);
	w.parts[1].rank = 1;
	struct slx_memchunk *first = w.chunks[0][0];
	first->meta.codec = 250; /* nobody's */
	assert_int_equal(slx_scan_new(&w.mem, &codecs, &s, NULL), SILEX_OK);
	slx_scan_start(s, w.parts, 2, NULL, 0, SLX_TIME_ALL);
	while (more) {
		silex_status st = slx_scan_next(s, &run, &more, &err);
		if (st != SILEX_OK) {
			assert_non_null(strstr(err.message, "chunk 0 in memory"));
			errors++;
		} else if (more) {
			seen += run.n;
		}
	}
	assert_int_equal(errors, 1);
	assert_int_equal(seen, 1000 - first->meta.n + 1);
	slx_scan_free(s);
	free_world(&w);
	world_close(&w);
}

/* ---- out of memory at every allocation in turn: an error, nothing lost when the call is repeated ---- */

struct countdown {
	long left; /* allocations until one fails; negative: none does */
};

static bool fails(struct countdown *c) { return c->left >= 0 && c->left-- == 0; }

static void *alloc_counted(void *ctx, size_t n) { return fails(ctx) ? NULL : malloc(n); }
static void *realloc_counted(void *ctx, void *p, size_t old_size, size_t n)
{
	return fails(ctx) ? NULL : realloc(p, n);
}
static void free_counted(void *ctx, void *p, size_t n) { free(p); }

static size_t scan_all(struct world *w, struct slx_scan *s, unsigned *ret_errors)
{
	struct slx_run run;
	bool more = true;
	size_t n = 0;
	slx_scan_start(s, w->parts, w->n_parts, w->hides, w->n_hides, SLX_TIME_ALL);
	while (more) {
		silex_status st = slx_scan_next(s, &run, &more, NULL);
		if (st == SILEX_OK && more)
			while ((st = slx_scan_decode(s, &run, NULL)) == SILEX_RESOURCE_EXHAUSTED)
				++*ret_errors;
		if (st != SILEX_OK) {
			assert_int_equal(st, SILEX_RESOURCE_EXHAUSTED);
			++*ret_errors;
		} else if (more) {
			n += run.n;
		}
	}
	return n;
}

static void out_of_memory(void **state)
{
	struct countdown countdown = { -1 };
	silex_allocator a = { &countdown, alloc_counted, realloc_counted, free_counted };
	struct slx_mem mem;
	struct world w;
	static struct sample want[SAMPLES_MAX];
	world_open(&w, 11);
	w.n_parts = 4;
	for (size_t i = 0; i < w.n_parts; i++) {
		make_samples(&w, i, (int64_t)i * 300, 2000, 3, true);
		w.parts[i].rank = i;
		if (i == 0)
			make_raw(&w, i);
		else if (i == 1)
			make_block(&w, i);
		else
			make_memory(&w, i, i == 2);
	}
	w.hides[0] = (struct slx_hide){ { 100, 150 }, 9 };
	w.n_hides = 1;
	size_t n = expect(&w, SLX_TIME_ALL, want);
	unsigned errors = 1;
	for (long at = 0; errors > 0; at++) {
		struct slx_scan *s;
		errors = 0;
		slx_mem_init(&mem, &a);
		countdown.left = at;
		if (slx_scan_new(&mem, &codecs, &s, NULL) != SILEX_OK) {
			errors++;
		} else {
			assert_int_equal(scan_all(&w, s, &errors), n);
			slx_scan_free(s);
		}
		countdown.left = -1;
		assert_int_equal(slx_mem_total(&mem), 0);
		assert_true(at < 1000);
	}
	free_world(&w);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_the_model),
		cmocka_unit_test(apart_is_whole),
		cmocka_unit_test(steps_over_damage),
		cmocka_unit_test(out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
