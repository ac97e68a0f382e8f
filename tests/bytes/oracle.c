#include "oracle.h"

#include "base/clock.h"
#include "engine/snapshot.h"
#include "model/histogram.h"

enum { BYTES_MAX = 600, ROWS_MAX = 64 };

/* --- from bits to bytes and back -------------------------------------------------------------------------------------- */

/* Of one of three layouts; the bits are its start time. */
static size_t make_histogram(uint64_t bits, uint8_t *to)
{
	uint64_t rng = bits;
	struct slx_span spans[2] = { { (int32_t)(bits % 3), 3 }, { 1, 2 } };
	double counts[5], all = 0;
	for (size_t i = 0; i < 5; i++)
		all += counts[i] = (double)(slx_rng_next(&rng) % 50) / (bits % 7 == 6 ? 3 : 1);
	struct slx_histogram h = { .schema = 2, .integer = bits % 7 != 6, .reset = bits % 11 == 3, .zero_threshold = 1e-128, .zero_count = (double)(bits % 4),
		.count = all + (double)(bits % 4), .sum = (double)(slx_rng_next(&rng) % 100000) / 64, .positive_spans = spans, .positive_spans_n = 2,
		.positive = counts, .positive_n = 5, .start = (int64_t)bits };
	struct slx_mem mem;
	struct slx_buf b;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, BYTES_MAX);
	slx_histogram_encode(&h, &b);
	size_t n = b.n;
	memcpy(to, b.p, n);
	slx_buf_free(&b);
	return n;
}

/* The bits, then up to 500 bytes that follow from them. */
static size_t make_bytes(uint64_t bits, uint8_t *to)
{
	uint64_t rng = bits;
	size_t n = 8 + bits % (bits % 5 ? 40 : 500);
	memcpy(to, &bits, 8);
	for (size_t i = 8; i < n; i++)
		to[i] = (uint8_t)(slx_rng_next(&rng) % (bits % 2 ? 4 : 256));
	return n;
}

static size_t make(silex_kind kind, uint64_t bits, uint8_t *to)
{
	return kind == ORACLE_HISTOGRAM ? make_histogram(bits, to) : make_bytes(bits, to);
}

/* The bits that made v; false when none did. */
static bool unmake(struct slx_mem *mem, silex_kind kind, struct slx_str v, uint64_t *ret)
{
	uint8_t again[BYTES_MAX];
	struct slx_histogram h = { .start = 0 };
	struct slx_arena arena;
	bool ok = true;
	if (kind == ORACLE_HISTOGRAM) {
		slx_arena_init(&arena, mem, SLX_MEM_OTHER, 4096);
		ok = slx_histogram_decode((const uint8_t *)v.p, v.n, &arena, &h, NULL) == SILEX_OK;
		*ret = (uint64_t)h.start;
		slx_arena_clear(&arena);
	} else if (v.n >= 8) {
		memcpy(ret, v.p, 8);
	} else {
		return false;
	}
	return ok && make(kind, *ret, again) == v.n && memcmp(again, v.p, v.n) == 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

static silex_status write_rows(struct slx_engine *e, struct slx_tenant *t, struct slx_handle *h, silex_kind kind, const int64_t *times, const uint64_t *bits,
	size_t n, silex_error *err)
{
	static _Thread_local uint8_t values[ROWS_MAX][BYTES_MAX + SLX_VARINT_SIZE_MAX];
	uint8_t one[BYTES_MAX];
	uint64_t at[ROWS_MAX];
	for (size_t i = 0; i < n; i++) {
		size_t size = make(kind, bits[i], one);
		memcpy(slx_put_varint(values[i], size), one, size);
		at[i] = (uint64_t)(uintptr_t)values[i];
	}
	struct slx_write w = { .tenant = t, .kind = kind == ORACLE_HISTOGRAM ? SLX_KIND_HISTOGRAM : SLX_KIND_BYTES, .n = n, .handles = &h, .ts = times,
		.ts_stride = 8, .bits = at, .bits_stride = 8 };
	struct slx_write_result r = { 0 };
	SLX_TRY(slx_engine_write(e, &w, &r, NULL, err));
	return r.refused ? slx_err(err, r.error.code, "%s", r.error.message) : SILEX_OK;
}

silex_status oracle_write(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_kind kind, const int64_t *times,
	const uint64_t *bits, size_t n, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(db);
	struct slx_labels_builder b;
	struct slx_labels l;
	struct slx_tenant *t;
	struct slx_handle *h = NULL;
	slx_labels_builder_init(&b, slx_api_mem(db), SLX_MEM_OTHER, NULL);
	for (size_t i = 0; i < n_labels; i++)
		slx_labels_builder_add(&b, slx_str(labels[i].name), slx_str(labels[i].value));
	silex_status status = slx_labels_builder_finish(&b, &l, err);
	if (status == SILEX_OK)
		status = slx_engine_tenant(e, slx_str(tenant), &t, err);
	if (status == SILEX_OK)
		status = slx_handle_new(e, t, l, NULL, &h, err);
	for (size_t i = 0; i < n && status == SILEX_OK; i += ROWS_MAX)
		status = write_rows(e, t, h, kind, times + i, bits + i, n - i < ROWS_MAX ? n - i : ROWS_MAX, err);
	slx_handle_free(h);
	slx_labels_builder_free(&b);
	return status;
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static silex_status give_run(silex_db *db, struct slx_labels labels, const struct slx_run *run, oracle_fn *each, void *arg, bool *ret_more, silex_error *err)
{
	struct oracle_sample x = { .kind = run->kind == SLX_KIND_HISTOGRAM ? ORACLE_HISTOGRAM : ORACLE_BYTES };
	for (size_t i = 0; i < run->n && *ret_more; i++) {
		if (!unmake(slx_api_mem(db), x.kind, slx_value_bytes(run->bits[i]), &x.bits))
			return slx_err(err, SILEX_CORRUPT, "the bytes at %lld are none that were written", (long long)run->ts[i]);
		x.t = run->ts[i];
		*ret_more = each(arg, labels, &x);
	}
	return SILEX_OK;
}

static silex_status give_series(silex_db *db, struct slx_scan *scan, struct slx_labels labels, oracle_fn *each, void *arg, bool *ret_more, silex_error *err)
{
	for (bool more = true; *ret_more;) {
		struct slx_run run;
		SLX_TRY(slx_scan_next(scan, &run, &more, err));
		if (!more)
			break;
		if (!slx_kind_is_bytes(run.kind))
			continue;
		SLX_TRY(slx_scan_decode(scan, &run, err));
		SLX_TRY(give_run(db, labels, &run, each, arg, ret_more, err));
	}
	return SILEX_OK;
}

silex_status oracle_read(silex_db *db, const char *tenant, const char *selector, int64_t from, int64_t to, oracle_fn *each, void *arg, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(db);
	struct slx_time_range range = { from, to };
	struct slx_snapshot *snap = NULL;
	struct slx_selection *x = NULL;
	struct slx_scan *scan = NULL;
	struct slx_selector sel = { 0 };
	struct slx_parts parts;
	bool more = true;
	slx_parts_init(&parts, slx_api_mem(db));
	silex_status status = slx_snapshot_new(e, (struct slx_identity){ .tenant = slx_str(tenant) }, &snap, err);
	if (status == SILEX_OK)
		status = slx_selector_parse(slx_api_mem(db), slx_str(selector), &sel, err);
	if (status == SILEX_OK)
		status = slx_snapshot_select(snap, sel.matchers, sel.n, range, &x, err);
	if (status == SILEX_OK)
		status = slx_scan_new(slx_api_mem(db), slx_engine_codecs(e), &scan, err);
	for (size_t i = 0; status == SILEX_OK && more && i < slx_selection_count(x); i++) {
		status = slx_snapshot_collect(snap, x, i, range, &parts, err);
		if (status != SILEX_OK)
			break;
		slx_scan_start(scan, parts.parts, parts.n, parts.hides, parts.n_hides, range);
		status = give_series(db, scan, slx_selection_labels(x, i), each, arg, &more, err);
	}
	const silex_error *damage = status == SILEX_OK ? slx_selection_damage(x) : NULL;
	if (damage)
		status = slx_err(err, damage->code, "%s", damage->message);
	slx_scan_free(scan);
	slx_parts_free(&parts);
	slx_selection_free(x);
	slx_selector_free(&sel);
	slx_snapshot_free(snap);
	return status;
}
