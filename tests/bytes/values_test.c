/* Samples whose values are bytes, histograms among them: from the write through head, log, blocks and compaction, against
 * an array. */
#include "api/api.h"
#include "model/histogram.h"

#include "engine/snapshot.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 6, SAMPLES_MAX = 4096 };

struct value {
	int64_t t;
	enum slx_kind kind;
	uint64_t bits; /* an address, of a value that is bytes: on the C heap */
};

struct world {
	silex_db *db;
	char path[64];
	uint64_t rng;
	struct value *s[SERIES]; /* ascending */
	size_t n[SERIES];
};

#define OK(call)                                                     \
	do {                                                             \
		silex_error ok_err_ = { 0 };                                 \
		silex_error *err = &ok_err_;                                 \
		if ((call) != SILEX_OK)                                      \
			fail_msg("%s:%d: %s", __FILE__, __LINE__, err->message); \
	} while (0)

static uint64_t below(struct world *w, uint64_t n)
{
	w->rng = w->rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (w->rng >> 33) % n;
}

static void open_db(struct world *w)
{
	silex_options o;
	silex_options_init(&o);
	o.memory_limit = 64 << 20;
	OK(silex_open(w->path, &o, &w->db, err));
}

/* ---- values ---- */

static void *boxed(const void *p, size_t n)
{
	uint8_t *to = malloc(n + SLX_VARINT_SIZE_MAX);
	memcpy(slx_put_varint(to, n), p, n);
	return to;
}

static uint64_t random_bytes(struct world *w)
{
	static uint8_t any[SLX_VALUE_SIZE_MAX];
	size_t n = below(w, 50) == 0 ? below(w, sizeof any + 1) : below(w, 40);
	for (size_t i = 0; i < n; i++)
		any[i] = (uint8_t)(below(w, 4) ? 'a' : below(w, 256));
	return (uint64_t)(uintptr_t)boxed(any, n);
}

/* A histogram whose counts grow with i. */
static uint64_t histogram(struct world *w, size_t i)
{
	struct slx_mem mem;
	struct slx_buf b;
	struct slx_span spans[2] = { { -3, 4 }, { (int32_t)(i / 100), 3 } };
	double counts[7], all = 0;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 16);
	for (size_t k = 0; k < 7; k++)
		all += counts[k] = (double)(i * (k + 1) + below(w, 3));
	struct slx_histogram h = { .schema = 3, .integer = true, .zero_threshold = 1e-128, .zero_count = (double)(i / 3), .count = all + (double)(i / 3),
		.sum = (double)i * 1.25, .positive_spans = spans, .positive_spans_n = 2, .positive = counts, .positive_n = 7 };
	slx_histogram_encode(&h, &b);
	void *p = boxed(b.p, b.n);
	slx_buf_free(&b);
	return (uint64_t)(uintptr_t)p;
}

static struct slx_labels labels_of(struct world *w, size_t s, struct slx_labels_builder *b)
{
	char text[64];
	struct slx_labels l;
	snprintf(text, sizeof text, "b{s=\"%zu\"}", s);
	OK(slx_labels_parse_text(b, slx_str(text), &l, err));
	return l;
}

static struct slx_tenant *tenant(struct world *w)
{
	struct slx_tenant *t;
	OK(slx_engine_tenant(slx_api_engine(w->db), SLX_STR("default"), &t, err));
	return t;
}

static void put(struct world *w, size_t s, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n)
{
	struct slx_labels_builder b;
	slx_labels_builder_init(&b, slx_api_mem(w->db), SLX_MEM_OTHER, NULL);
	struct slx_handle *h;
	OK(slx_handle_new(slx_api_engine(w->db), tenant(w), labels_of(w, s, &b), NULL, &h, err));
	struct slx_write x = { .tenant = tenant(w), .kind = kind, .n = n, .handles = &h, .ts = ts, .ts_stride = 8, .bits = bits, .bits_stride = 8 };
	struct slx_write_result r;
	OK(slx_engine_write(slx_api_engine(w->db), &x, &r, NULL, err));
	assert_int_equal(r.refused, 0);
	slx_handle_free(h);
	slx_labels_builder_free(&b);
	for (size_t i = 0; i < n; i++) {
		size_t at = 0;
		while (at < w->n[s] && w->s[s][at].t < ts[i])
			at++;
		bool had = at < w->n[s] && w->s[s][at].t == ts[i];
		if (had && slx_kind_is_bytes(w->s[s][at].kind))
			free((void *)(uintptr_t)w->s[s][at].bits);
		assert_true(w->n[s] < SAMPLES_MAX);
		if (!had) {
			memmove(&w->s[s][at + 1], &w->s[s][at], (w->n[s] - at) * sizeof **w->s);
			w->n[s]++;
		}
		w->s[s][at] = (struct value){ .t = ts[i], .kind = kind, .bits = bits[i] };
	}
}

/* ---- reading ---- */

static void check_run(struct world *w, size_t s, const struct slx_run *run, size_t *at)
{
	for (size_t i = 0; i < run->n; i++, ++*at) {
		assert_true(*at < w->n[s]);
		const struct value *v = &w->s[s][*at];
		assert_int_equal(run->ts[i], v->t);
		assert_int_equal(run->kind, v->kind);
		assert_true(slx_values_equal(v->kind, run->bits[i], v->bits));
	}
}

static void check_series(struct world *w, size_t s, struct slx_time_range range)
{
	struct slx_engine *e = slx_api_engine(w->db);
	struct slx_snapshot *snap;
	struct slx_selection *x;
	struct slx_selector sel;
	struct slx_parts parts;
	struct slx_scan *scan;
	char text[64];
	size_t at = 0, end;
	OK(slx_snapshot_new(e, (struct slx_identity){ .tenant = SLX_STR("default") }, &snap, err));
	snprintf(text, sizeof text, "b{s=\"%zu\"}", s);
	OK(slx_selector_parse(slx_api_mem(w->db), slx_str(text), &sel, err));
	OK(slx_snapshot_select(snap, sel.matchers, sel.n, range, &x, err));
	while (at < w->n[s] && w->s[s][at].t < range.from)
		at++;
	for (end = at; end < w->n[s] && w->s[s][end].t <= range.to; end++)
		;
	slx_parts_init(&parts, slx_api_mem(w->db));
	OK(slx_scan_new(slx_api_mem(w->db), slx_engine_codecs(e), &scan, err));
	for (size_t i = 0; i < slx_selection_count(x); i++) {
		OK(slx_snapshot_collect(snap, x, i, range, &parts, err));
		slx_scan_start(scan, parts.parts, parts.n, parts.hides, parts.n_hides, range);
		for (bool more;;) {
			struct slx_run run;
			OK(slx_scan_next(scan, &run, &more, err));
			if (!more)
				break;
			OK(slx_scan_decode(scan, &run, err));
			check_run(w, s, &run, &at);
		}
	}
	assert_int_equal(at, end);
	slx_scan_free(scan);
	slx_parts_free(&parts);
	slx_selection_free(x);
	slx_selector_free(&sel);
	slx_snapshot_free(snap);
}

static void check(struct world *w)
{
	for (size_t s = 0; s < SERIES; s++) {
		check_series(w, s, SLX_TIME_ALL);
		if (w->n[s])
			check_series(w, s, (struct slx_time_range){ w->s[s][below(w, w->n[s])].t, w->s[s][w->n[s] - 1].t });
	}
}

static bool count_fault(void *arg, const char *line)
{
	printf("%s\n", line);
	++*(unsigned *)arg;
	return true;
}

static void verify(struct world *w)
{
	silex_verify_report r;
	unsigned faults = 0;
	OK(slx_engine_verify(slx_api_engine(w->db), NULL, count_fault, &faults, &r, err));
	assert_int_equal(faults, 0);
}

/* ---- the tests ---- */

static void begin(struct world *w, uint64_t seed)
{
	*w = (struct world){ .rng = seed };
	printf("seed %llu\n", (unsigned long long)seed);
	strcpy(w->path, "/tmp/values_test.XXXXXX");
	assert_non_null(mkdtemp(w->path));
	for (size_t s = 0; s < SERIES; s++)
		w->s[s] = malloc(SAMPLES_MAX * sizeof **w->s);
	open_db(w);
}

static void end(struct world *w)
{
	char command[100];
	OK(silex_close(w->db, err));
	for (size_t s = 0; s < SERIES; s++) {
		for (size_t i = 0; i < w->n[s]; i++)
			if (slx_kind_is_bytes(w->s[s][i].kind))
				free((void *)(uintptr_t)w->s[s][i].bits);
		free(w->s[s]);
	}
	snprintf(command, sizeof command, "rm -rf %s", w->path);
	assert_int_equal(system(command), 0);
}

/* Some samples of one series, in order or late, mostly of one kind. */
static void put_some(struct world *w, size_t s, int64_t *now)
{
	int64_t ts[300];
	uint64_t bits[300];
	size_t n = 1 + below(w, below(w, 5) ? 40 : 300);
	enum slx_kind kind = below(w, 10) == 0 ? SLX_KIND_FLOAT64 : s % 2 ? SLX_KIND_BYTES : SLX_KIND_HISTOGRAM;
	int64_t t = *now;
	if (below(w, 4) == 0)
		t -= (int64_t)below(w, 400) * SLX_SECOND;
	for (size_t i = 0; i < n; i++) {
		t += (int64_t)(1 + below(w, 2)) * 15 * SLX_SECOND;
		ts[i] = t;
		bits[i] = kind == SLX_KIND_BYTES ? random_bytes(w) : kind == SLX_KIND_HISTOGRAM ? histogram(w, (size_t)(t / SLX_SECOND % 10000)) : slx_f64_bits((double)i);
	}
	if (t > *now)
		*now = t;
	put(w, s, kind, ts, bits, n);
}

static void test_all_the_way(void **state)
{
	struct world w;
	int64_t now = INT64_C(1700000000) * SLX_SECOND;
	begin(&w, 20261121);
	for (int round = 0; round < 40; round++) {
		for (size_t s = 0; s < SERIES; s++)
			if (w.n[s] + 300 < SAMPLES_MAX)
				put_some(&w, s, &now);
		switch (below(&w, 6)) {
		case 0:
			OK(silex_checkpoint(w.db, err));
			break;
		case 1:
			OK(silex_close(w.db, err));
			open_db(&w);
			break;
		case 2:
			OK(silex_compact(w.db, NULL, err));
			break;
		default:
			break;
		}
		check(&w);
	}
	OK(silex_checkpoint(w.db, err));
	OK(silex_compact(w.db, NULL, err));
	check(&w);
	verify(&w);
	end(&w);
}

static void test_limits(void **state)
{
	struct world w;
	begin(&w, 3);
	static uint8_t big[SLX_VALUE_SIZE_MAX + 20];
	slx_put_varint(big, SLX_VALUE_SIZE_MAX + 1);
	uint64_t large = (uint64_t)(uintptr_t)big, empty = (uint64_t)(uintptr_t)boxed("", 0), bits[3] = { empty, large, empty };
	int64_t ts[3] = { 1, 2, 3 };
	struct slx_labels_builder b;
	slx_labels_builder_init(&b, slx_api_mem(w.db), SLX_MEM_OTHER, NULL);
	struct slx_labels l = labels_of(&w, 0, &b), labels[3] = { l, l, l };
	struct slx_hash128 id = slx_series_id(SLX_STR("default"), l), ids[3] = { id, id, id };
	struct slx_write x = { .tenant = tenant(&w), .kind = SLX_KIND_BYTES, .n = 3, .ts = ts, .ts_stride = 8, .bits = bits, .bits_stride = 8, .labels = labels, .ids = ids };
	struct slx_write_result r;
	OK(slx_engine_write(slx_api_engine(w.db), &x, &r, NULL, err));
	assert_int_equal(r.refused, 1);
	assert_int_equal(r.first, 1);
	assert_int_equal(r.error.code, SILEX_INVALID);
	slx_labels_builder_free(&b);
	w.n[0] = 2;
	w.s[0][0] = (struct value){ .t = 1, .kind = SLX_KIND_BYTES, .bits = empty };
	w.s[0][1] = (struct value){ .t = 3, .kind = SLX_KIND_BYTES, .bits = (uint64_t)(uintptr_t)boxed("", 0) };
	check(&w);
	end(&w);
}

/* What the C API makes of a series that has numbers among its histograms: the numbers. */
static void test_queries_pass_over(void **state)
{
	struct world w;
	begin(&w, 11);
	int64_t ts[200];
	uint64_t bits[200];
	for (size_t i = 0; i < 200; i++) {
		ts[i] = (int64_t)i * SLX_SECOND;
		bits[i] = histogram(&w, i);
	}
	put(&w, 0, SLX_KIND_HISTOGRAM, ts, bits, 200);
	for (size_t i = 0; i < 3; i++) {
		ts[i] = (int64_t)(50 + 100 * i) * SLX_SECOND;
		bits[i] = slx_f64_bits((double)i);
	}
	put(&w, 0, SLX_KIND_FLOAT64, ts, bits, 3);
	for (int flushed = 0; flushed < 2; flushed++) {
		const char *selector = "b";
		for (int descending = 0; descending < 2; descending++) {
			silex_query q;
			silex_cursor *c;
			silex_batch b;
			size_t n = 0;
			silex_query_init(&q);
			q.selectors = &selector;
			q.n_selectors = 1;
			q.descending = descending;
			OK(silex_query_run(w.db, &q, &c, err));
			for (;;) {
				OK(silex_cursor_next(c, &b, err));
				if (b.n == 0)
					break;
				for (size_t i = 0; i < b.n; i++, n++)
					assert_true(b.values[i] == (double)(descending ? 2 - n : n));
			}
			assert_int_equal(n, 3);
			silex_cursor_close(c);
		}
		static const silex_agg aggs[] = { SILEX_AGG_COUNT, SILEX_AGG_SUM, SILEX_AGG_LAST, SILEX_AGG_STDDEV };
		static const double want[] = { 3, 3, 2, 0.816496580927726 };
		for (size_t i = 0; i < 4; i++) {
			silex_query q;
			silex_cursor *c;
			silex_batch b;
			silex_query_init(&q);
			q.selectors = &selector;
			q.n_selectors = 1;
			q.agg = aggs[i];
			OK(silex_query_run(w.db, &q, &c, err));
			OK(silex_cursor_next(c, &b, err));
			assert_int_equal(b.n, 1);
			double got = b.values[0];
			assert_true(got - want[i] < 1e-9 && want[i] - got < 1e-9);
			silex_cursor_close(c);
		}
		OK(silex_checkpoint(w.db, err));
	}
	end(&w);
}

/* ---- readers beside a writer ---- */

struct race {
	struct world *w;
	_Atomic bool stop;
};

/* The value of time t: t as text, t % 50 times. */
static size_t text_of(int64_t t, uint8_t *to)
{
	size_t n = 0;
	for (int64_t i = 0; i < t % 50; i++)
		n += (size_t)sprintf((char *)to + n, "%lld", (long long)t);
	return n;
}

static void *read_on(void *arg)
{
	struct race *r = arg;
	struct slx_engine *e = slx_api_engine(r->w->db);
	uint8_t want[1000];
	while (!atomic_load(&r->stop)) {
		struct slx_snapshot *snap;
		struct slx_selection *x;
		struct slx_parts parts;
		struct slx_scan *scan;
		OK(slx_snapshot_new(e, (struct slx_identity){ .tenant = SLX_STR("default") }, &snap, err));
		OK(slx_snapshot_select(snap, NULL, 0, SLX_TIME_ALL, &x, err));
		OK(slx_scan_new(slx_api_mem(r->w->db), slx_engine_codecs(e), &scan, err));
		slx_parts_init(&parts, slx_api_mem(r->w->db));
		for (size_t i = 0; i < slx_selection_count(x); i++) {
			OK(slx_snapshot_collect(snap, x, i, SLX_TIME_ALL, &parts, err));
			slx_scan_start(scan, parts.parts, parts.n, parts.hides, parts.n_hides, SLX_TIME_ALL);
			for (bool more = true; more;) {
				struct slx_run run = { 0 };
				OK(slx_scan_next(scan, &run, &more, err));
				if (more)
					OK(slx_scan_decode(scan, &run, err));
				for (size_t k = 0; more && k < run.n; k++) {
					struct slx_str v = slx_value_bytes(run.bits[k]);
					assert_int_equal(v.n, text_of(run.ts[k], want));
					assert_memory_equal(v.p, want, v.n);
				}
			}
		}
		slx_scan_free(scan);
		slx_parts_free(&parts);
		slx_selection_free(x);
		slx_snapshot_free(snap);
	}
	return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
	struct world w;
	begin(&w, 12);
	struct race race = { .w = &w };
	pthread_t readers[2];
	struct slx_labels_builder b;
	struct slx_handle *h;
	slx_labels_builder_init(&b, slx_api_mem(w.db), SLX_MEM_OTHER, NULL);
	OK(slx_handle_new(slx_api_engine(w.db), tenant(&w), labels_of(&w, 0, &b), NULL, &h, err));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, &race), 0);
	for (int64_t t = 1000; t < 5000; t++) {
		uint8_t text[1000], stored[1000 + SLX_VARINT_SIZE_MAX];
		int64_t when = t % 7 == 3 ? t - 500 : t; /* late ones too */
		size_t n = text_of(when, text);
		memcpy(slx_put_varint(stored, n), text, n);
		uint64_t bits = (uint64_t)(uintptr_t)stored, lsn;
		struct slx_write x = { .tenant = tenant(&w), .kind = SLX_KIND_BYTES, .n = 1, .handles = &h, .ts = &when, .ts_stride = 8, .bits = &bits, .bits_stride = 8 };
		OK(slx_engine_write(slx_api_engine(w.db), &x, NULL, &lsn, err));
		if (t % 1500 == 0)
			OK(silex_checkpoint(w.db, err));
	}
	atomic_store(&race.stop, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	slx_handle_free(h);
	slx_labels_builder_free(&b);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_the_way),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_queries_pass_over),
		cmocka_unit_test(test_readers_beside_a_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
