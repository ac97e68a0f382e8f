/* Log records: what is encoded comes back; what is cut or bent is refused. */
#include "engine/engine_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct slx_mem mem;

struct defs {
	uint32_t n, last_ref;
	char last_tenant[64];
};

static silex_status on_def(void *arg, uint32_t ref, struct slx_str tenant, struct slx_labels l, silex_error *err)
{
	struct defs *d = arg;
	d->n++;
	d->last_ref = ref;
	snprintf(d->last_tenant, sizeof d->last_tenant, "%.*s", (int)tenant.n, tenant.p);
	assert_true(slx_labels_count(l) > 0);
	return SILEX_OK;
}

/* The address of one of a few values that are bytes. */
static uint64_t draw_value(uint64_t *rng)
{
	static uint8_t values[50][500 + SLX_VARINT_SIZE_MAX];
	uint8_t *v = values[slx_rng_next(rng) % 50];
	if (!*v) {
		size_t n = 1 + slx_rng_next(rng) % 500;
		uint8_t *p = slx_put_varint(v, n);
		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)slx_rng_next(rng);
	}
	return (uint64_t)(uintptr_t)v;
}

static uint64_t draw_bits(uint64_t *rng, enum slx_kind kind)
{
	uint64_t k = slx_rng_next(rng);
	double d = (double)(k >> 16 & 65535) / 100;
	switch (kind) {
	case SLX_KIND_FLOAT64:
		return k % 5 ? slx_f64_bits(d) : slx_rng_next(rng);
	case SLX_KIND_INT64:
		return k % 3 ? k >> 40 : slx_rng_next(rng);
	case SLX_KIND_HISTOGRAM:
	case SLX_KIND_BYTES:
		return draw_value(rng);
	case SLX_KIND_BOOL:
		return k & 1;
	default:
		return k % 70000;
	}
}

static void put_defs(struct slx_buf *defs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slx_labels_builder b;
		struct slx_labels l;
		char host[24];
		slx_labels_builder_init(&b, &mem, SLX_MEM_OTHER, NULL);
		snprintf(host, sizeof host, "h%zu", i);
		slx_labels_builder_add(&b, slx_str("__name__"), slx_str("hr"));
		slx_labels_builder_add(&b, slx_str("host"), slx_str(host));
		assert_int_equal(slx_labels_builder_finish(&b, &l, NULL), SILEX_OK);
		slx_record_def(defs, (uint32_t)i + 7, slx_str("ward-7"), l);
		slx_labels_builder_free(&b);
	}
}

static void test_samples(void **state)
{
	static uint32_t refs[SLX_GROUP_MAX];
	static int64_t ts[SLX_GROUP_MAX];
	static uint64_t bits[SLX_GROUP_MAX];
	struct slx_record_reader reader;
	struct slx_buf frame, defs;
	struct slx_sx_hint hint = { 0 };
	uint64_t rng = 20261121;
	assert_int_equal(slx_record_reader_init(&reader, &mem, NULL), SILEX_OK);
	slx_buf_init(&frame, &mem, SLX_MEM_OTHER, SLX_WAL_FRAME_SIZE_MAX);
	slx_buf_init(&defs, &mem, SLX_MEM_OTHER, SLX_WAL_FRAME_SIZE_MAX);
	for (int round = 0; round < 400; round++) {
		enum slx_kind kind = (enum slx_kind)(round % SLX_KINDS);
		size_t n = round < 8 ? SLX_GROUP_MAX - (size_t)round : 1 + slx_rng_next(&rng) % 600, n_defs = slx_rng_next(&rng) % 3 ? slx_rng_next(&rng) % 200 : 0;
		for (size_t i = 0; i < n; i++) {
			refs[i] = round % 5 ? (uint32_t)(slx_rng_next(&rng) % 1000) : (uint32_t)slx_rng_next(&rng);
			ts[i] = round % 7 ? INT64_C(1700000000000000000) + (int64_t)i * 1000000 : slx_time_clamp((int64_t)slx_rng_next(&rng));
			bits[i] = draw_bits(&rng, kind);
		}
		slx_buf_reset(&frame);
		slx_buf_reset(&defs);
		put_defs(&defs, n_defs);
		struct slx_record_samples s = { kind, n, refs, ts, bits }, back;
		struct defs seen = { 0 };
		slx_record_samples_encode(&frame, &defs, n_defs, &s, &hint);
		assert_false(frame.failed || defs.failed);
		assert_int_equal(slx_record_samples_decode(&reader, frame.p, frame.n, on_def, &seen, &back, NULL), SILEX_OK);
		assert_int_equal(seen.n, n_defs);
		assert_true(n_defs == 0 || (seen.last_ref == n_defs + 6 && strcmp(seen.last_tenant, "ward-7") == 0));
		assert_int_equal(back.kind, kind);
		assert_int_equal(back.n, n);
		assert_memory_equal(back.refs, refs, n * sizeof *refs);
		assert_memory_equal(back.ts, ts, n * sizeof *ts);
		for (size_t i = 0; i < n; i++)
			assert_true(slx_values_equal(kind, back.bits[i], bits[i]));
		for (size_t cut = 0; cut < frame.n; cut += 1 + frame.n / 40)
			assert_int_not_equal(slx_record_samples_decode(&reader, frame.p, cut, on_def, &seen, &back, NULL), SILEX_OK);
	}
	slx_buf_free(&frame);
	slx_buf_free(&defs);
	slx_record_reader_free(&reader);
	assert_int_equal(slx_mem_total(&mem), 0);
}

static void test_small_ones(void **state)
{
	struct slx_buf b;
	struct slx_str tenant, text;
	struct slx_time_range range;
	uint32_t number;
	uint64_t series, bytes;
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 65536);
	slx_record_delete_encode(&b, slx_str("a"), slx_str("hr{x=\"y\"}"), SLX_TIME_ALL);
	assert_int_equal(slx_record_delete_decode(b.p, b.n, &tenant, &text, &range, NULL), SILEX_OK);
	assert_true(slx_str_eq(tenant, slx_str("a")) && slx_str_eq(text, slx_str("hr{x=\"y\"}")) && range.from == SLX_TIME_MIN && range.to == SLX_TIME_MAX);
	for (size_t cut = 0; cut < b.n; cut++)
		assert_int_equal(slx_record_delete_decode(b.p, cut, &tenant, &text, &range, NULL), SILEX_CORRUPT);
	slx_buf_reset(&b);
	slx_record_state_encode(&b, slx_str("a"), 70000, slx_str("open"));
	assert_int_equal(slx_record_state_decode(b.p, b.n, &tenant, &number, &text, NULL), SILEX_OK);
	assert_true(number == 70000 && slx_str_eq(text, slx_str("open")));
	for (size_t cut = 0; cut < b.n; cut++)
		assert_int_equal(slx_record_state_decode(b.p, cut, &tenant, &number, &text, NULL), SILEX_CORRUPT);
	slx_buf_reset(&b);
	slx_record_limits_encode(&b, slx_str("a"), UINT64_MAX, 5);
	assert_int_equal(slx_record_limits_decode(b.p, b.n, &tenant, &series, &bytes, NULL), SILEX_OK);
	assert_true(series == UINT64_MAX && bytes == 5);
	for (size_t cut = 0; cut < b.n; cut++)
		assert_int_equal(slx_record_limits_decode(b.p, cut, &tenant, &series, &bytes, NULL), SILEX_CORRUPT);
	slx_buf_free(&b);
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_samples), cmocka_unit_test(test_small_ones) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
