/* Both forms of the index against a linear scan with slx_matchers_test, over random label sets and matchers. */
#include "base/clock.h"
#include "storage/index/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct slx_mem mem;

/* ---- the model: label sets in an array ---- */

struct model {
	struct slx_labels *sets;
	uint32_t n;
};

static uint32_t below(uint64_t *rng, uint32_t n) { return (uint32_t)(slx_rng_next(rng) % n); }

static struct slx_labels copy_set(struct slx_labels l)
{
	uint8_t *p = malloc(l.n);
	assert_non_null(p);
	memcpy(p, l.p, l.n);
	return (struct slx_labels){ p, l.n };
}

/* Names with 1, 3, 20 and many values; absent now and then. */
static struct slx_labels random_set(struct slx_labels_builder *b, uint64_t *rng)
{
	static const char *const names[] = { "__name__", "a", "b", "c", "host", "odd name", "z" };
	static const uint32_t cardinality[] = { 5, 1, 3, 20, 400, 2, 60 };
	static char values[7][32];
	slx_labels_builder_reset(b);
	for (int i = 0; i < 7; i++) {
		if (below(rng, 8) == 0)
			continue;
		uint32_t v = below(rng, cardinality[i]);
		if (v % 3 == 0)
			snprintf(values[i], sizeof values[i], "%s-%u", names[i], v);
		else
			snprintf(values[i], sizeof values[i], v % 3 == 1 ? "x%u" : "x%u.host", v);
		slx_labels_builder_add(b, slx_str(names[i]), slx_str(values[i]));
	}
	struct slx_labels l;
	assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
	return l;
}

static int by_labels(const void *a, const void *b)
{
	return slx_labels_cmp(*(const struct slx_labels *)a, *(const struct slx_labels *)b);
}

static void sort_unique(struct model *m)
{
	uint32_t n = 0;
	qsort(m->sets, m->n, sizeof *m->sets, by_labels);
	for (uint32_t i = 0; i < m->n; i++) {
		if (n && slx_labels_eq(m->sets[n - 1], m->sets[i]))
			free((void *)m->sets[i].p);
		else
			m->sets[n++] = m->sets[i];
	}
	m->n = n;
}

static struct model make_model(uint32_t n, uint64_t *rng)
{
	struct slx_labels_builder b;
	struct model m = { malloc((n + 1) * sizeof *m.sets), n };
	slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
	for (uint32_t i = 0; i < n; i++)
		m.sets[i] = copy_set(random_set(&b, rng));
	slx_labels_builder_free(&b);
	sort_unique(&m);
	return m;
}

static void free_model(struct model *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		free((void *)m->sets[i].p);
	free(m->sets);
}

/* ---- the two forms ---- */

struct both {
	struct slx_arena arena;
	struct slx_memindex *in_memory;
	struct slx_buf bytes;
	struct slx_labelindex *on_disk;
};

static void make_both(struct both *x, const struct model *m)
{
	struct slx_labelindex_builder *b;
	silex_error err;
	slx_arena_init(&x->arena, &mem, SLX_MEM_HEAD, 1 << 20);
	x->in_memory = slx_memindex_new(&x->arena);
	slx_buf_init(&x->bytes, &mem, SLX_MEM_OTHER, SIZE_MAX);
	assert_int_equal(slx_labelindex_builder_new(&mem, &b, &err), SILEX_OK);
	for (uint32_t i = 0; i < m->n; i++) {
		uint32_t ordinal;
		assert_int_equal(slx_memindex_add(x->in_memory, m->sets[i], &ordinal, &err), SILEX_OK);
		assert_int_equal(ordinal, i);
		if (slx_labelindex_builder_add(b, m->sets[i], &err) != SILEX_OK)
			fail_msg("%s", err.message);
	}
	if (slx_labelindex_builder_finish(b, &x->bytes, &err) != SILEX_OK)
		fail_msg("%s", err.message);
	slx_labelindex_builder_free(b);
	if (slx_labelindex_open(x->bytes.p, x->bytes.n, &mem, SLX_MEM_CACHE, &x->on_disk, &err) != SILEX_OK)
		fail_msg("%s", err.message);
}

static void free_both(struct both *x)
{
	slx_labelindex_close(x->on_disk);
	slx_buf_free(&x->bytes);
	slx_arena_clear(&x->arena);
}

static void check_labels(const struct both *x, const struct model *m)
{
	struct slx_buf out;
	struct slx_label label;
	slx_buf_init(&out, &mem, SLX_MEM_OTHER, SIZE_MAX);
	assert_int_equal(slx_memindex_count(x->in_memory), m->n);
	assert_int_equal(slx_labelindex_count(x->on_disk), m->n);
	for (uint32_t i = 0; i < m->n; i++) {
		slx_buf_reset(&out);
		slx_memindex_labels(x->in_memory, i, &out);
		assert_true(slx_labels_eq(m->sets[i], (struct slx_labels){ out.p, out.n }));
		slx_buf_reset(&out);
		slx_labelindex_labels(x->on_disk, i, &out);
		assert_true(slx_labels_eq(m->sets[i], (struct slx_labels){ out.p, out.n }));
		assert_true(slx_memindex_equals(x->in_memory, i, m->sets[i]));
		if (i > 0)
			assert_false(slx_memindex_equals(x->in_memory, i, m->sets[i - 1]));
		for (struct slx_labels_iter it = slx_labels_iter(m->sets[i]); slx_labels_next(&it, &label);) {
			assert_true(slx_str_eq(slx_memindex_value(x->in_memory, i, label.name), label.value));
			assert_true(slx_str_eq(slx_labelindex_value(x->on_disk, i, label.name), label.value));
		}
		assert_int_equal(slx_memindex_value(x->in_memory, i, SLX_STR("nope")).n, 0);
		assert_int_equal(slx_labelindex_value(x->on_disk, i, SLX_STR("nope")).n, 0);
	}
	slx_buf_free(&out);
}

static void check_answer(const struct slx_ordinals *o, const uint32_t *expected, size_t n, const char *what)
{
	if (o->n != n)
		fail_msg("%s: %zu series, expected %zu", what, o->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(o->p[i], expected[i]);
}

static void check_counts(
	const struct slx_strings *s, const struct model *m, const uint32_t *picked, size_t n, const char *name)
{
	size_t listed = 0, had = 0;
	for (size_t i = 0; i < s->n; i++) {
		uint32_t count = 0;
		for (size_t k = 0; k < n; k++) {
			struct slx_str v = slx_labels_get(m->sets[picked[k]], name ? slx_str(name) : s->p[i]);
			count += name ? slx_str_eq(v, s->p[i]) : v.n > 0;
		}
		assert_int_equal(s->counts[i], count);
		assert_true(count > 0 && (i == 0 || slx_str_cmp(s->p[i - 1], s->p[i]) < 0));
		listed += count;
	}
	for (size_t k = 0; k < n; k++)
		had += name ? slx_labels_get(m->sets[picked[k]], slx_str(name)).n > 0 : slx_labels_count(m->sets[picked[k]]);
	assert_int_equal(listed, had);
}

static void check_lists(
	const struct both *x, const struct model *m, const struct slx_selector *s, const uint32_t *picked, size_t n)
{
	static const char *const names[] = { "host", "b", "nope" };
	struct slx_strings list;
	assert_int_equal(slx_memindex_names(x->in_memory, s->matchers, s->n, &mem, &list, NULL), SILEX_OK);
	check_counts(&list, m, picked, n, NULL);
	slx_strings_free(&list);
	assert_int_equal(slx_labelindex_names(x->on_disk, s->matchers, s->n, &mem, &list, NULL), SILEX_OK);
	check_counts(&list, m, picked, n, NULL);
	slx_strings_free(&list);
	for (int i = 0; i < 3; i++) {
		struct slx_str name = slx_str(names[i]);
		assert_int_equal(slx_memindex_values(x->in_memory, name, s->matchers, s->n, &mem, &list, NULL), SILEX_OK);
		check_counts(&list, m, picked, n, names[i]);
		slx_strings_free(&list);
		assert_int_equal(slx_labelindex_values(x->on_disk, name, s->matchers, s->n, &mem, &list, NULL), SILEX_OK);
		check_counts(&list, m, picked, n, names[i]);
		slx_strings_free(&list);
	}
}

static void check_selector(const struct both *x, const struct model *m, const char *text, bool lists)
{
	struct slx_selector s;
	struct slx_ordinals o;
	silex_error err;
	if (slx_selector_parse(&mem, slx_str(text), &s, &err) != SILEX_OK)
		fail_msg("%s: %s", text, err.message);
	uint32_t *expected = malloc((m->n + 1) * sizeof *expected);
	size_t n = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		bool yes;
		assert_int_equal(slx_matchers_test(s.matchers, s.n, m->sets[i], &yes, NULL), SILEX_OK);
		expected[n] = i;
		n += yes;
	}
	assert_int_equal(slx_memindex_select(x->in_memory, s.matchers, s.n, &mem, &o, &err), SILEX_OK);
	check_answer(&o, expected, n, text);
	slx_ordinals_free(&o);
	assert_int_equal(slx_labelindex_select(x->on_disk, s.matchers, s.n, &mem, &o, &err), SILEX_OK);
	check_answer(&o, expected, n, text);
	slx_ordinals_free(&o);
	if (lists)
		check_lists(x, m, &s, expected, n);
	free(expected);
	slx_selector_free(&s);
}

/* ---- random matchers ---- */

static void random_selector(uint64_t *rng, char *out, size_t size)
{
	static const char *const names[] = { "__name__", "a", "b", "c", "host", "\"odd name\"", "z", "nope" };
	static const char *const ops[] = { "=", "!=", "=~", "!~" };
	static const char *const patterns[] = { "", ".*", ".+", "x.*", "x.+", "x1|x4|x7", "x1|", ".*host", ".*-.*",
		"x\\\\d+", "host-.*", "(x|y)[14]", "x1?", "(?i)X1", "nope", ".*[02468]" };
	uint32_t n = below(rng, 4);
	size_t at = (size_t)snprintf(out, size, "{");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t op = below(rng, 4);
		char value[32];
		if (op >= 2)
			snprintf(value, sizeof value, "%s", patterns[below(rng, 16)]);
		else if (below(rng, 6) == 0)
			value[0] = 0;
		else
			snprintf(value, sizeof value, below(rng, 2) ? "x%u" : "host-%u", below(rng, 30));
		at += (size_t)snprintf(out + at, size - at, "%s%s\"%s\",", names[below(rng, 8)], ops[op], value);
	}
	snprintf(out + at, size - at, "}");
}

static void test_random(void **state)
{
	uint64_t seed = getenv("SLX_SEED") ? strtoull(getenv("SLX_SEED"), NULL, 0) : 20261121, rng = seed;
	printf("seed %llu\n", (unsigned long long)seed);
	static const uint32_t sizes[] = { 1, 2, 7, 50, 300, 2000, 6000 };
	for (int round = 0; round < 7; round++) {
		struct model m = make_model(sizes[round], &rng);
		struct both x;
		make_both(&x, &m);
		check_labels(&x, &m);
		for (int i = 0; i < 300; i++) {
			char text[512];
			random_selector(&rng, text, sizeof text);
			check_selector(&x, &m, text, i < (m.n > 1000 ? 3 : 20));
		}
		free_both(&x);
		free_model(&m);
	}
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* ---- shapes of sections: TSBS-like hosts, unique and long-running values ---- */

static struct slx_labels tsbs_set(struct slx_labels_builder *b, uint32_t i, uint32_t hosts)
{
	static char v[11][40];
	static const char *const names[] = { "__name__", "hostname", "region", "datacenter", "rack", "os", "arch", "team",
		"service", "service_version", "service_environment" };
	uint32_t host = i % hosts, h = host * 2654435761u;
	snprintf(v[0], 40, "cpu_usage_%u", i / hosts);
	snprintf(v[1], 40, "host_%u", host);
	snprintf(v[2], 40, "eu-west-%u", h >> 4 & 7);
	snprintf(v[3], 40, "eu-west-%u%c", h >> 4 & 7, "abc"[(h >> 8) % 3]);
	snprintf(v[4], 40, "%u", (h >> 12) % 100);
	snprintf(v[5], 40, "%s", h & 1 ? "Ubuntu16.10" : "Ubuntu15.10");
	snprintf(v[6], 40, "%s", h & 2 ? "x64" : "x86");
	snprintf(v[7], 40, "%s", (const char *[]){ "SF", "NYC", "LON", "CHI" }[h >> 20 & 3]);
	snprintf(v[8], 40, "%u", (h >> 22) % 20);
	snprintf(v[9], 40, "%u", h >> 30 & 1);
	snprintf(v[10], 40, "%s", (const char *[]){ "test", "staging", "production" }[(h >> 16) % 3]);
	slx_labels_builder_reset(b);
	for (int k = 0; k < 11; k++)
		slx_labels_builder_add(b, slx_str(names[k]), slx_str(v[k]));
	struct slx_labels l;
	assert_int_equal(slx_labels_builder_finish(b, &l, NULL), SILEX_OK);
	return l;
}

static struct model tsbs_model(uint32_t n, uint32_t hosts)
{
	struct slx_labels_builder b;
	struct model m = { malloc(n * sizeof *m.sets), n };
	slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
	for (uint32_t i = 0; i < n; i++)
		m.sets[i] = copy_set(tsbs_set(&b, i, hosts));
	slx_labels_builder_free(&b);
	sort_unique(&m);
	return m;
}

static void check_tsbs(uint32_t n, uint32_t hosts, size_t section_max, size_t memory_max)
{
	static const char *const selectors[] = {
		"cpu_usage_0",
		"{hostname=\"host_17\"}",
		"cpu_usage_1{hostname=~\"host_1.*\",os!=\"Ubuntu15.10\"}",
		"{hostname=~\"host_(1|2|3)\",region=~\".+\"}",
		"{rack!~\"1.*\",arch=\"x64\",team=~\"SF|LON\"}",
		"{hostname=~\".*7\",service=\"3\"}",
		"{hostname!=\"host_3\"}",
	};
	struct model m = tsbs_model(n, hosts);
	struct both x;
	make_both(&x, &m);
	printf("%u series of %u hosts: section %zu bytes, in memory %.1f bytes/series\n", n, hosts, x.bytes.n,
		(double)slx_memindex_bytes(x.in_memory) / n);
	assert_true(x.bytes.n < section_max);
	assert_true(slx_memindex_bytes(x.in_memory) < memory_max);
	check_labels(&x, &m);
	for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++)
		check_selector(&x, &m, selectors[i], i == 3);
	free_both(&x);
	free_model(&m);
}

static void test_sizes(void **state)
{
	check_tsbs(1, 1, 300, 3072);
	check_tsbs(10, 1, 400, 3072); /* a small tenant: ten metrics of one host */
	check_tsbs(10, 10, 600, 5400);
	check_tsbs(1000, 1000, 20000, 180 * 1000);
	check_tsbs(20000, 2000, 500000, 110 * 20000);
}

/* ---- damage and misuse ---- */

static void test_damaged_bytes(void **state)
{
	struct model m = tsbs_model(30, 10);
	struct both x;
	make_both(&x, &m);
	for (size_t n = 0; n < x.bytes.n; n++) { /* every truncation is refused */
		struct slx_labelindex *ix;
		uint8_t *exact = malloc(n ? n : 1);
		memcpy(exact, x.bytes.p, n);
		silex_error err;
		assert_int_equal(slx_labelindex_open(exact, n, &mem, SLX_MEM_CACHE, &ix, &err), SILEX_CORRUPT);
		assert_non_null(strstr(err.message, "label index: offset "));
		free(exact);
	}
	uint64_t rng = 5;
	for (int i = 0; i < 20000; i++) { /* every change is refused or harmless */
		struct slx_labelindex *ix;
		size_t at = below(&rng, (uint32_t)x.bytes.n);
		uint8_t old = x.bytes.p[at];
		x.bytes.p[at] ^= (uint8_t)(1u << below(&rng, 8));
		if (slx_labelindex_open(x.bytes.p, x.bytes.n, &mem, SLX_MEM_CACHE, &ix, NULL) == SILEX_OK) {
			struct slx_buf out;
			slx_buf_init(&out, &mem, SLX_MEM_OTHER, SIZE_MAX);
			for (uint32_t s = 0; s < slx_labelindex_count(ix); s++)
				slx_labelindex_labels(ix, s, &out);
			slx_buf_free(&out);
			slx_labelindex_close(ix);
		}
		x.bytes.p[at] = old;
	}
	silex_error err;
	struct slx_labelindex *ix;
	x.bytes.p[0] = 1;
	assert_int_equal(slx_labelindex_open(x.bytes.p, x.bytes.n, &mem, SLX_MEM_CACHE, &ix, &err), SILEX_UNSUPPORTED);
	assert_string_equal(err.message, "label index: version 1; this release reads version 0");
	free_both(&x);
	free_model(&m);
}

static void test_builder_order(void **state)
{
	struct model m = tsbs_model(3, 3);
	struct slx_labelindex_builder *b;
	struct slx_buf bytes;
	struct slx_labelindex *ix;
	assert_int_equal(slx_labelindex_builder_new(&mem, &b, NULL), SILEX_OK);
	assert_int_equal(slx_labelindex_builder_add(b, m.sets[1], NULL), SILEX_OK);
	assert_int_equal(slx_labelindex_builder_add(b, m.sets[1], NULL), SILEX_INVALID);
	assert_int_equal(slx_labelindex_builder_add(b, m.sets[0], NULL), SILEX_INVALID);
	assert_int_equal(slx_labelindex_builder_add(b, m.sets[2], NULL), SILEX_OK);
	slx_buf_init(&bytes, &mem, SLX_MEM_OTHER, SIZE_MAX);
	assert_int_equal(slx_labelindex_builder_finish(b, &bytes, NULL), SILEX_OK);
	assert_int_equal(slx_labelindex_open(bytes.p, bytes.n, &mem, SLX_MEM_CACHE, &ix, NULL), SILEX_OK);
	assert_int_equal(slx_labelindex_count(ix), 2);
	slx_labelindex_close(ix);

	slx_buf_reset(&bytes); /* empty again: a section without series */
	assert_int_equal(slx_labelindex_builder_finish(b, &bytes, NULL), SILEX_OK);
	assert_int_equal(slx_labelindex_open(bytes.p, bytes.n, &mem, SLX_MEM_CACHE, &ix, NULL), SILEX_OK);
	struct slx_ordinals o;
	assert_int_equal(slx_labelindex_select(ix, NULL, 0, &mem, &o, NULL), SILEX_OK);
	assert_int_equal(o.n, 0);
	slx_ordinals_free(&o);
	slx_labelindex_close(ix);
	slx_buf_free(&bytes);
	slx_labelindex_builder_free(b);
	free_model(&m);
	assert_int_equal(slx_mem_total(&mem), 0);
}

/* ---- out of memory, at each allocation ---- */

static int fail_after;

static void *failing_alloc(void *ctx, size_t n) { return fail_after-- > 0 ? malloc(n) : NULL; }
static void *failing_realloc(void *ctx, void *p, size_t old_size, size_t n)
{
	return fail_after-- > 0 ? realloc(p, n) : NULL;
}
static void plain_free(void *ctx, void *p, size_t n) { free(p); }

/* Adds all, retrying each failed add once with memory: the index is then as if nothing had failed. */
static void add_with_failures(struct slx_mem *m, const struct model *model)
{
	struct slx_arena arena;
	slx_arena_init(&arena, m, SLX_MEM_HEAD, 4096);
	struct slx_memindex *ix = slx_memindex_new(&arena);
	if (!ix) {
		fail_after = 1 << 30;
		ix = slx_memindex_new(&arena);
	}
	for (uint32_t i = 0; i < model->n; i++) {
		uint32_t ordinal;
		silex_status st = slx_memindex_add(ix, model->sets[i], &ordinal, NULL);
		if (st != SILEX_OK) {
			assert_int_equal(st, SILEX_RESOURCE_EXHAUSTED);
			assert_int_equal(slx_memindex_count(ix), i);
			fail_after = 1 << 30;
			assert_int_equal(slx_memindex_add(ix, model->sets[i], &ordinal, NULL), SILEX_OK);
		}
		assert_int_equal(ordinal, i);
	}
	struct slx_selector s;
	struct slx_ordinals o;
	fail_after = 1 << 30;
	assert_int_equal(slx_selector_parse(m, SLX_STR("{arch=\"x64\"}"), &s, NULL), SILEX_OK);
	assert_int_equal(slx_memindex_select(ix, s.matchers, s.n, m, &o, NULL), SILEX_OK);
	size_t expected = 0;
	for (uint32_t i = 0; i < model->n; i++)
		expected += slx_str_eq(slx_labels_get(model->sets[i], SLX_STR("arch")), SLX_STR("x64"));
	assert_int_equal(o.n, expected);
	for (size_t i = 0; i < o.n; i++)
		assert_true(slx_memindex_equals(ix, o.p[i], model->sets[o.p[i]]));
	slx_ordinals_free(&o);
	slx_selector_free(&s);
	slx_arena_clear(&arena);
	assert_int_equal(slx_mem_total(m), 0);
}

/* Builds, opens and asks; returns whether all went well. */
static bool section_with_failures(struct slx_mem *m, const struct model *model, struct slx_matcher *const *ms, size_t n)
{
	struct slx_labelindex_builder *b = NULL;
	struct slx_labelindex *ix = NULL;
	struct slx_ordinals o = { 0 };
	struct slx_strings names = { 0 };
	struct slx_buf bytes;
	slx_buf_init(&bytes, m, SLX_MEM_OTHER, SIZE_MAX);
	silex_status st = slx_labelindex_builder_new(m, &b, NULL);
	for (uint32_t i = 0; i < model->n && st == SILEX_OK; i++)
		st = slx_labelindex_builder_add(b, model->sets[i], NULL);
	if (st == SILEX_OK)
		st = slx_labelindex_builder_finish(b, &bytes, NULL);
	if (st == SILEX_OK)
		st = slx_labelindex_open(bytes.p, bytes.n, m, SLX_MEM_CACHE, &ix, NULL);
	if (st == SILEX_OK)
		st = slx_labelindex_select(ix, ms, n, m, &o, NULL);
	if (st == SILEX_OK)
		st = slx_labelindex_names(ix, ms, n, m, &names, NULL);
	assert_true(st == SILEX_OK || st == SILEX_RESOURCE_EXHAUSTED);
	slx_strings_free(&names);
	slx_ordinals_free(&o);
	slx_labelindex_close(ix);
	slx_labelindex_builder_free(b);
	slx_buf_free(&bytes);
	assert_int_equal(slx_mem_total(m), 0);
	return st == SILEX_OK;
}

static void test_out_of_memory(void **state)
{
	struct slx_mem m;
	silex_allocator a = { NULL, failing_alloc, failing_realloc, plain_free };
	slx_mem_init(&m, &a);
	struct model model = tsbs_model(120, 100);
	for (int i = 0; i < 40; i++) {
		fail_after = i;
		add_with_failures(&m, &model);
	}
	struct slx_selector s;
	assert_int_equal(
		slx_selector_parse(&mem, SLX_STR("{rack=~\"1.|20|33\",hostname!=\"host_5\"}"), &s, NULL), SILEX_OK);
	int failures = 0;
	for (int i = 0;; i++, failures++) {
		fail_after = i;
		if (section_with_failures(&m, &model, s.matchers, s.n))
			break;
	}
	assert_true(failures > 10);
	slx_selector_free(&s);
	free_model(&model);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_damaged_bytes),
		cmocka_unit_test(test_builder_order),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
