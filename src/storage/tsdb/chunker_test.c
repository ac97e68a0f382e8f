#include "storage/tsdb/block_fixture.h"
#include "storage/tsdb/chunker.h"

/* What goes in: runs, as raw parts or as chunks of a block; what comes out is compared sample by sample. */

struct rig {
	struct fixture f;
	struct slx_scan *scan;
	struct slx_chunker *chunker;
};

static void rig_begin(struct rig *r, uint64_t seed)
{
	fixture_begin(&r->f, seed);
	OK(slx_scan_new(&r->f.mem, &r->f.codecs, &r->scan, err));
	OK(slx_chunker_new(&r->f.mem, &r->f.codecs, &r->chunker, err));
}

static void rig_end(struct rig *r)
{
	slx_scan_free(r->scan);
	slx_chunker_free(r->chunker);
	fixture_end(&r->f);
}

/* One series of the parts into a new block, opened. */
static struct slx_block *rechunk(struct rig *r, const struct slx_part *parts, size_t n_parts, bool recode)
{
	struct slx_block_writer *w;
	struct slx_block_info info = { 0 };
	struct model_series s;
	struct slx_block *b;
	uint64_t points;
	model_labels(&s, &r->f.mem, "m");
	struct slx_labels l = { s.labels, s.labels_size };
	OK(slx_block_writer_new(r->f.store, &r->f.mem, &r->f.random, &info, &w, err));
	OK(slx_block_writer_series(w, SLX_STR("t"), l, slx_series_id(SLX_STR("t"), l), err));
	slx_scan_start(r->scan, parts, n_parts, NULL, 0, SLX_TIME_ALL);
	OK(slx_chunker_series(r->chunker, r->scan, w, recode, &points, err));
	OK(slx_block_writer_finish(w, &info, err));
	slx_block_writer_free(w);
	assert_int_equal(points, info.points);
	OK(slx_block_open(r->f.store, info.name, r->f.cache, &r->f.mem, &b, err));
	return b;
}

struct samples {
	enum slx_kind kind;
	size_t n;
	int64_t *ts;
	uint64_t *bits;
};

static struct samples samples_new(struct rig *r, enum slx_kind kind, size_t n, int64_t t, int64_t step)
{
	struct samples s = { kind, n, malloc(n * 8), malloc(n * 8) };
	double v = 50;
	for (size_t i = 0; i < n; i++) {
		s.ts[i] = t + (int64_t)i * step;
		v += (double)below(&r->f, 3) - 1;
		s.bits[i] = kind == SLX_KIND_FLOAT64 ? slx_f64_bits(v) : (uint64_t)(int64_t)v;
	}
	return s;
}

static struct slx_part raw_part(const struct samples *s, size_t from, size_t n)
{
	struct slx_part p = { .type = SLX_PART_RAW };
	p.raw.ts = s->ts + from;
	p.raw.bits = s->bits + from;
	p.raw.n = n;
	p.raw.kind = s->kind;
	return p;
}

/* The block's samples are those of `runs`, in order. Returns the sizes of its chunks in sizes. */
static size_t check(struct rig *r, struct slx_block *b, const struct samples *runs, size_t n_runs, uint32_t sizes[64])
{
	static int64_t ts[SLX_CHUNK_MAX];
	static uint64_t bits[SLX_CHUNK_MAX];
	struct slx_section *s;
	OK(slx_section_open(b, 0, &s, err));
	uint32_t first, chunks;
	slx_section_chunks(s, 0, &first, &chunks);
	size_t run = 0, at = 0;
	for (uint32_t k = 0; k < chunks; k++) {
		struct slx_chunk_meta meta;
		struct slx_payload p;
		size_t n;
		slx_section_meta(s, k, &meta);
		OK(slx_section_load(s, k, &p, err));
		OK(slx_chunk_decode(r->f.work, &r->f.codecs, &meta, p.bytes, SLX_TIME_ALL, ts, bits, &r->f.values, &n, err));
		slx_payload_release(&p);
		sizes[k] = meta.n;
		for (size_t i = 0; i < n; i++, at++) {
			if (at == runs[run].n) {
				at = 0;
				run++;
			}
			assert_true(run < n_runs);
			assert_int_equal(meta.kind, runs[run].kind);
			assert_int_equal(ts[i], runs[run].ts[at]);
			assert_int_equal(bits[i], runs[run].bits[at]);
		}
	}
	assert_int_equal(run, n_runs - 1);
	assert_int_equal(at, runs[run].n);
	slx_section_close(s);
	return chunks;
}

static void samples_free(struct samples *s)
{
	free(s->ts);
	free(s->bits);
}

static void test_gathers(void **state)
{
	static const struct {
		size_t n, chunks, first;
	} cases[] = {
		{ 1, 1, 1 },
		{ 8192, 1, 8192 },
		{ 8640, 2, 4320 },
		{ 12287, 2, 6120 },
		{ 12288, 2, 7920 },
		{ 50000, 7, 7920 },
	};
	struct rig r;
	rig_begin(&r, 3);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t sizes[64];
		struct slx_part parts[64];
		struct samples s =
			samples_new(&r, SLX_KIND_FLOAT64, cases[i].n, INT64_C(1700006400) * SLX_SECOND, 10 * SLX_SECOND);
		size_t n_parts = 0;
		for (size_t at = 0, n; at < s.n; at += n) { /* in runs of odd sizes */
			n = s.n - at < 1777 ? s.n - at : 1777;
			parts[n_parts++] = raw_part(&s, at, n);
		}
		struct slx_block *b = rechunk(&r, parts, n_parts, false);
		assert_int_equal(check(&r, b, &s, 1, sizes), cases[i].chunks);
		assert_int_equal(sizes[0], cases[i].first); /* ends with an hour */
		for (size_t k = 0; cases[i].chunks > 1 && k < cases[i].chunks; k++)
			assert_true(sizes[k] >= SLX_CHUNK_MAX / 2);
		slx_block_unref(b);
		samples_free(&s);
	}
	rig_end(&r);
}

static void test_kinds_part_chunks(void **state)
{
	struct rig r;
	rig_begin(&r, 3);
	struct samples s[3];
	struct slx_part parts[3];
	for (int i = 0; i < 3; i++) {
		s[i] = samples_new(&r, i == 1 ? SLX_KIND_INT64 : SLX_KIND_FLOAT64, 100, i * 1000000, 10);
		parts[i] = raw_part(&s[i], 0, 100);
	}
	uint32_t sizes[64];
	struct slx_block *b = rechunk(&r, parts, 3, false);
	assert_int_equal(check(&r, b, s, 3, sizes), 3);
	slx_block_unref(b);
	for (int i = 0; i < 3; i++)
		samples_free(&s[i]);
	rig_end(&r);
}

/* Is the chunk's payload in both blocks the same bytes? */
static bool same_bytes(struct slx_block *a, struct slx_block *b, uint32_t chunk)
{
	struct slx_section *x, *y;
	struct slx_chunk_meta m, n;
	struct slx_payload p, q;
	OK(slx_section_open(a, 0, &x, err));
	OK(slx_section_open(b, 0, &y, err));
	slx_section_meta(x, chunk, &m);
	slx_section_meta(y, chunk, &n);
	OK(slx_section_load(x, chunk, &p, err));
	OK(slx_section_load(y, chunk, &q, err));
	bool same = m.size == n.size && memcmp(p.bytes, q.bytes, m.size) == 0;
	slx_payload_release(&p);
	slx_payload_release(&q);
	slx_section_close(x);
	slx_section_close(y);
	return same;
}

/* An application's codec that counts how often it encodes. */
static int encoded;

static size_t plain_bound(void *ctx, size_t n) { return 8 * n + 1; }

static size_t plain_encode(void *ctx, const double *values, size_t n, void *out, size_t cap)
{
	encoded++;
	memcpy(out, values, 8 * n);
	((char *)out)[8 * n] = '!';
	return 8 * n + 1;
}

static silex_status plain_decode(void *ctx, const void *bytes, size_t size, double *values, size_t n, silex_error *err)
{
	if (size != 8 * n + 1)
		return slx_err(err, SILEX_CORRUPT, "plain: %zu bytes", size);
	memcpy(values, bytes, 8 * n);
	return SILEX_OK;
}

static const silex_codec plain = { sizeof plain, 130, "plain", NULL, plain_bound, plain_encode, plain_decode };
static const silex_codec *const customs[] = { &plain };

/* A block's chunks go through again: copied, or coded anew when asked or when they are of another codec. */
static void test_copies(void **state)
{
	static const size_t sizes_in[] = { 20000, 30 };
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		uint32_t sizes[64], again[64];
		fixture_begin(&r.f, 3);
		r.f.codecs = (struct slx_codec_choice){ .codec = plain.id, .custom = customs, .n_custom = 1 };
		OK(slx_scan_new(&r.f.mem, &r.f.codecs, &r.scan, err));
		OK(slx_chunker_new(&r.f.mem, &r.f.codecs, &r.chunker, err));
		struct samples s = samples_new(&r, SLX_KIND_FLOAT64, sizes_in[i], 0, SLX_SECOND);
		struct slx_part part = raw_part(&s, 0, s.n);
		struct slx_block *a = rechunk(&r, &part, 1, false);
		struct slx_section *x;
		OK(slx_section_open(a, 0, &x, err));
		part = (struct slx_part){ .type = SLX_PART_BLOCK };
		part.block.section = x;
		slx_section_chunks(x, 0, &part.block.first, &part.block.n);
		encoded = 0;
		struct slx_block *b = rechunk(&r, &part, 1, false);
		assert_int_equal(encoded, 0);
		size_t n = check(&r, a, &s, 1, sizes);
		assert_int_equal(check(&r, b, &s, 1, again), n);
		for (uint32_t k = 0; k < n; k++)
			assert_true(same_bytes(a, b, k));
		struct slx_block *c = rechunk(&r, &part, 1, true);
		assert_int_equal(encoded, n);
		check(&r, c, &s, 1, again);
		slx_chunker_free(r.chunker);
		r.f.codecs.codec = SLX_CODEC_RAW;
		OK(slx_chunker_new(&r.f.mem, &r.f.codecs, &r.chunker, err));
		struct slx_block *d = rechunk(&r, &part, 1, false);
		check(&r, d, &s, 1, again);
		assert_false(same_bytes(a, d, 0));
		slx_section_close(x);
		slx_block_unref(a);
		slx_block_unref(b);
		slx_block_unref(c);
		slx_block_unref(d);
		samples_free(&s);
		rig_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gathers),
		cmocka_unit_test(test_kinds_part_chunks),
		cmocka_unit_test(test_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
