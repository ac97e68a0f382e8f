/* For the tests of blocks: series made from a seed, written into a block and compared with what is read back. */
#ifndef SLX_TSDB_BLOCK_FIXTURE_H
#define SLX_TSDB_BLOCK_FIXTURE_H

#include "base/clock.h"
#include "model/histogram.h"
#include "storage/tsdb/block_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above before it */
#include <cmocka.h>

/* Everything a block lives in. */
struct fixture {
	struct slx_mem mem;
	struct slx_store *store;
	struct slx_cache *cache;
	silex_random random;
	struct slx_codec_choice codecs;
	struct slx_chunk_work *work;
	struct slx_buf values; /* of the chunk decoded last */
	uint64_t rng;
};

static void fixture_fill(void *ctx, void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)bytes)[i] = (uint8_t)slx_rng_next(ctx);
}

static inline void fixture_begin(struct fixture *f, uint64_t seed)
{
	*f = (struct fixture){ .rng = seed, .codecs = { .codec = -1 } };
	slx_mem_init(&f->mem, NULL);
	f->random = (silex_random){ &f->rng, fixture_fill };
	assert_int_equal(slx_store_open_memory(&f->mem, &f->store, NULL), SILEX_OK);
	assert_int_equal(slx_cache_new(&f->mem, 64 << 20, &f->cache, NULL), SILEX_OK);
	assert_int_equal(slx_chunk_work_new(&f->mem, SLX_MEM_OTHER, &f->work, NULL), SILEX_OK);
	slx_buf_init(&f->values, &f->mem, SLX_MEM_OTHER, SIZE_MAX);
}

static inline void fixture_end(struct fixture *f)
{
	slx_chunk_work_free(f->work);
	slx_buf_free(&f->values);
	slx_cache_free(f->cache);
	slx_store_close(f->store);
	assert_int_equal(slx_mem_total(&f->mem), 0);
}

static inline uint64_t below(struct fixture *f, uint64_t n) { return slx_rng_next(&f->rng) % n; }

#define OK(call)                                                     \
	do {                                                             \
		silex_error ok_err_ = { 0 };                                 \
		silex_error *err = &ok_err_;                                 \
		if ((call) != SILEX_OK)                                      \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, err->message); \
	} while (0)

/* ---- one series ---- */

struct model_chunk {
	enum slx_kind kind;
	size_t n;
	int64_t *ts;
	uint64_t *bits;
};

struct model_series {
	char tenant[40];
	uint8_t labels[512];
	size_t labels_size;
	size_t n;
	struct model_chunk chunks[4];
};

static inline void model_labels(struct model_series *s, struct slx_mem *mem, const char *text)
{
	struct slx_labels_builder b;
	struct slx_labels l;
	slx_labels_builder_init(&b, mem, SLX_MEM_OTHER, NULL);
	OK(slx_labels_parse_text(&b, slx_str(text), &l, err));
	assert_true(l.n <= sizeof s->labels);
	memcpy(s->labels, l.p, l.n);
	s->labels_size = l.n;
	slx_labels_builder_free(&b);
}

static inline int model_cmp(const void *a, const void *b)
{
	const struct model_series *x = a, *y = b;
	int c = slx_str_cmp(slx_str(x->tenant), slx_str(y->tenant));
	return c ? c
			 : slx_labels_cmp(
				   (struct slx_labels){ x->labels, x->labels_size }, (struct slx_labels){ y->labels, y->labels_size });
}

/* The address of one of a few values that are bytes. */
static inline uint64_t model_value(struct fixture *f)
{
	static uint8_t values[40][300 + SLX_VARINT_SIZE_MAX];
	uint8_t *v = values[below(f, 40)];
	if (!*v) {
		size_t n = 1 + below(f, 300);
		uint8_t *p = slx_put_varint(v, n);
		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)below(f, 256);
	}
	return (uint64_t)(uintptr_t)v;
}

/* The same of a histogram, of few layouts and many values. */
static inline uint64_t model_histogram(struct fixture *f)
{
	static uint8_t values[100][400];
	uint8_t *v = values[below(f, 100)];
	if (*v)
		return (uint64_t)(uintptr_t)v;
	struct slx_span spans[2] = { { (int32_t)below(f, 3) - 1, 4 }, { (int32_t)below(f, 2), 2 } };
	static const double bounds[] = { -1, 0.5, 1, 2, 4, 8, 16 };
	double counts[6];
	bool custom = below(f, 4) == 0;
	for (size_t i = 0; i < 6; i++)
		counts[i] = (double)below(f, 1000) / (below(f, 40) ? 1 : 7);
	struct slx_histogram h = { .schema = custom ? SLX_HISTOGRAM_CUSTOM : 2, .integer = below(f, 5) != 0, .reset = (uint8_t)below(f, 2), .count = (double)below(f, 9999),
		.sum = (double)below(f, 100000) / 100, .start = below(f, 3) ? INT64_C(1700000000000000000) : 0, .positive_spans = spans, .positive_spans_n = 2,
		.positive = counts, .positive_n = 6 };
	if (custom) {
		spans[0].offset = 0;
		h.custom = bounds;
		h.custom_n = 7;
	} else {
		h.zero_threshold = 1e-128;
		h.zero_count = (double)below(f, 5);
		h.negative_spans = spans;
		h.negative_spans_n = h.negative_n = (uint32_t)below(f, 2);
		h.negative_n *= 4;
		h.negative = counts;
	}
	struct slx_buf b;
	slx_buf_init(&b, &f->mem, SLX_MEM_OTHER, 400 - SLX_VARINT_SIZE_MAX);
	slx_histogram_encode(&h, &b);
	assert_false(b.failed);
	memcpy(slx_put_varint(v, b.n), b.p, b.n);
	slx_buf_free(&b);
	return (uint64_t)(uintptr_t)v;
}

/* A chunk of n samples that begins at `t`; returns the time after its end. */
static inline int64_t model_chunk(struct fixture *f, struct model_chunk *c, enum slx_kind kind, size_t n, int64_t t)
{
	*c = (struct model_chunk){ .kind = kind, .n = n, .ts = malloc(n * 8), .bits = malloc(n * 8) };
	uint64_t shape = below(f, 4);
	double v = 50;
	for (size_t i = 0; i < n; i++) {
		c->ts[i] = t;
		t += shape ? 10 * SLX_SECOND : 1 + (int64_t)below(f, SLX_MINUTE);
		v += (double)below(f, 3) - 1;
		double any = shape == 3 ? slx_bits_f64(slx_rng_next(&f->rng)) : v;
		c->bits[i] = kind == SLX_KIND_FLOAT64 ? slx_f64_bits(any)
			: kind == SLX_KIND_HISTOGRAM      ? model_histogram(f)
			: kind == SLX_KIND_BYTES          ? model_value(f)
			: kind == SLX_KIND_BOOL           ? below(f, 2)
											  : (uint64_t)(int64_t)(v + 100);
	}
	return t;
}

static inline void model_free(struct model_series *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < s[i].n; k++) {
			free(s[i].chunks[k].ts);
			free(s[i].chunks[k].bits);
		}
	free(s);
}

/* `n` series of `tenants` tenants with up to three chunks of up to `samples_max` samples, in the order of blocks. */
static inline struct model_series *model_new(struct fixture *f, size_t n, size_t tenants, size_t samples_max)
{
	struct model_series *s = calloc(n, sizeof *s);
	for (size_t i = 0; i < n; i++) {
		char text[200];
		snprintf(s[i].tenant, sizeof s[i].tenant, "tenant-%02zu", (size_t)below(f, tenants));
		snprintf(text, sizeof text, "m%zu{host=\"h%zu\",region=\"r%zu\"}", (size_t)below(f, 5), i, i % 3);
		model_labels(&s[i], &f->mem, text);
		int64_t t = INT64_C(1700000000) * SLX_SECOND - (int64_t)below(f, 2) * SLX_YEAR;
		s[i].n = 1 + below(f, 3);
		for (size_t k = 0; k < s[i].n; k++)
			t = model_chunk(f, &s[i].chunks[k], (enum slx_kind)below(f, SLX_KINDS), 1 + below(f, samples_max), t) +
				(int64_t)below(f, 2) * SLX_HOUR;
	}
	qsort(s, n, sizeof *s, model_cmp);
	return s;
}

/* ---- writing and reading ---- */

/* The status of the first call that fails, or of finish. */
static inline silex_status model_try_write(struct fixture *f, struct slx_mem *mem, struct slx_chunk_work *work,
	const struct model_series *s, size_t n, struct slx_block_info *ret, silex_error *err)
{
	struct slx_block_writer *w;
	struct slx_block_info spec = { .level = 2, .window_start = -7, .vmin = 3, .vmax = 99, .floor = 42 };
	struct slx_buf out;
	slx_buf_init(&out, mem, SLX_MEM_OTHER, 1 << 24);
	silex_status st = slx_block_writer_new(f->store, mem, &f->random, &spec, &w, err);
	if (st != SILEX_OK)
		return st;
	for (size_t i = 0; i < n && st == SILEX_OK; i++) {
		struct slx_labels l = { s[i].labels, s[i].labels_size };
		st = slx_block_writer_series(w, slx_str(s[i].tenant), l, slx_series_id(slx_str(s[i].tenant), l), err);
		for (size_t k = 0; k < s[i].n && st == SILEX_OK; k++) {
			const struct model_chunk *c = &s[i].chunks[k];
			struct slx_chunk_meta meta;
			slx_buf_reset(&out);
			st = slx_chunk_encode_cold(work, &f->codecs, c->kind, c->ts, c->bits, c->n, &out, &meta, err);
			if (st == SILEX_OK)
				st = slx_block_writer_chunk(w, &meta, out.p, err);
		}
	}
	if (st == SILEX_OK)
		st = slx_block_writer_finish(w, ret, err);
	slx_block_writer_free(w);
	slx_buf_free(&out);
	return st;
}

static inline struct slx_block_info model_write(struct fixture *f, const struct model_series *s, size_t n)
{
	struct slx_block_info info;
	OK(model_try_write(f, &f->mem, f->work, s, n, &info, err));
	return info;
}

static inline silex_status model_check_chunk(
	struct fixture *f, const struct slx_section *s, uint32_t chunk, const struct model_chunk *want, silex_error *err)
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	struct slx_chunk_meta meta, fresh;
	struct slx_payload p;
	size_t n;
	slx_section_meta(s, chunk, &meta);
	assert_int_equal(meta.n, want->n);
	assert_int_equal(meta.kind, want->kind);
	slx_chunk_stats(want->kind, want->ts, want->bits, want->n, &fresh);
	assert_int_equal(meta.tmin, fresh.tmin);
	assert_int_equal(meta.tmax, fresh.tmax);
	assert_int_equal(meta.flags, fresh.flags);
	assert_memory_equal(&meta.stats, &fresh.stats, sizeof meta.stats);
	SLX_TRY(slx_section_load(s, chunk, &p, err));
	silex_status st = slx_chunk_decode(f->work, &f->codecs, &meta, p.bytes, SLX_TIME_ALL, ts, bits, &f->values, &n, err);
	slx_payload_release(&p);
	if (st != SILEX_OK)
		return st;
	assert_int_equal(n, want->n);
	assert_memory_equal(ts, want->ts, n * sizeof *ts);
	for (size_t i = 0; i < n; i++)
		assert_true(slx_values_equal(want->kind, bits[i], want->bits[i]));
	return SILEX_OK;
}

/* Compares the whole block with the model; stops at the first error. */
static inline silex_status model_try_check(
	struct fixture *f, struct slx_block *b, const struct model_series *s, size_t n, silex_error *err)
{
	size_t i = 0;
	struct slx_buf labels;
	slx_buf_init(&labels, &f->mem, SLX_MEM_OTHER, 1 << 20);
	silex_status st = SILEX_OK;
	for (size_t section = 0; section < slx_block_info(b)->sections && st == SILEX_OK; section++) {
		struct slx_section *x;
		st = slx_section_open(b, section, &x, err);
		if (st != SILEX_OK)
			break;
		for (uint32_t o = 0; o < slx_section_series(x) && st == SILEX_OK; o++, i++) {
			uint32_t first, chunks;
			assert_true(i < n);
			assert_true(slx_str_eq(slx_block_section_tenant(b, section), slx_str(s[i].tenant)));
			slx_buf_reset(&labels);
			slx_labelindex_labels(slx_section_labels(x), o, &labels);
			assert_int_equal(labels.n, s[i].labels_size);
			assert_memory_equal(labels.p, s[i].labels, labels.n);
			slx_section_chunks(x, o, &first, &chunks);
			assert_int_equal(chunks, s[i].n);
			for (uint32_t k = 0; k < chunks && st == SILEX_OK; k++)
				st = model_check_chunk(f, x, first + k, &s[i].chunks[k], err);
		}
		slx_section_close(x);
	}
	slx_buf_free(&labels);
	if (st == SILEX_OK)
		assert_int_equal(i, n);
	return st;
}

static inline bool count_line(void *arg, const char *line)
{
	++*(int *)arg;
	return true;
}

static inline bool print_line(void *arg, const char *line)
{
	++*(int *)arg;
	print_message("%s\n", line);
	return true;
}

#endif
