#include "rules/group/group_int.h"

enum { ROWS_BYTES_MAX = 256 << 20 };

/* ---- rows ---- */

void slx_rule_rows_init(struct slx_rule_rows *r, struct slx_mem *m, struct slx_arena *a)
{
	*r = (struct slx_rule_rows){ .arena = a, .mem = m };
	for (int i = 0; i < 2; i++) {
		slx_buf_init(&r->of[i].labels, m, SLX_MEM_QUERY, ROWS_BYTES_MAX);
		slx_buf_init(&r->of[i].ids, m, SLX_MEM_QUERY, ROWS_BYTES_MAX);
		slx_buf_init(&r->of[i].ts, m, SLX_MEM_QUERY, ROWS_BYTES_MAX);
		slx_buf_init(&r->of[i].bits, m, SLX_MEM_QUERY, ROWS_BYTES_MAX);
	}
}

void slx_rule_rows_free(struct slx_rule_rows *r)
{
	for (int i = 0; i < 2; i++) {
		slx_buf_free(&r->of[i].labels);
		slx_buf_free(&r->of[i].ids);
		slx_buf_free(&r->of[i].ts);
		slx_buf_free(&r->of[i].bits);
	}
}

static void put(struct slx_rule_rows *r, int kind, struct slx_labels labels, struct slx_hash128 id, int64_t t, uint64_t bits)
{
	slx_buf_put(&r->of[kind].labels, &labels, sizeof labels);
	slx_buf_put(&r->of[kind].ids, &id, sizeof id);
	slx_buf_u64(&r->of[kind].ts, (uint64_t)t);
	slx_buf_u64(&r->of[kind].bits, bits);
	r->of[kind].n++;
}

void slx_rule_rows_float(struct slx_rule_rows *r, struct slx_labels labels, struct slx_hash128 id, int64_t t, double v)
{
	put(r, 0, labels, id, t, slx_f64_bits(v));
}

void slx_rule_rows_histogram(struct slx_rule_rows *r, struct slx_labels labels, struct slx_hash128 id, int64_t t, const struct slx_histogram *h)
{
	struct slx_buf b;
	slx_buf_init(&b, r->mem, SLX_MEM_QUERY, SLX_VALUE_SIZE_MAX);
	slx_histogram_encode(h, &b);
	uint8_t *p = b.failed ? NULL : slx_arena_alloc(r->arena, b.n + SLX_VARINT_SIZE_MAX, 1);
	if (p) {
		memcpy(slx_put_varint(p, b.n), b.p, b.n);
		put(r, 1, labels, id, t, (uint64_t)(uintptr_t)p);
	} else {
		r->of[1].bits.failed = true;
	}
	slx_buf_free(&b);
}

silex_status slx_rule_rows_write(struct slx_rule_rows *r, struct slx_engine *e, struct slx_tenant *t, uint64_t *ret_n, uint64_t *ret_lsn, silex_error *err)
{
	static const enum slx_kind kinds[] = { SLX_KIND_FLOAT64, SLX_KIND_HISTOGRAM };
	struct slx_write_result first = { 0 };
	for (int i = 0; i < 2; i++) {
		struct slx_write_result result = { 0 };
		if (r->of[i].labels.failed || r->of[i].ids.failed || r->of[i].ts.failed || r->of[i].bits.failed)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "the results of a rule take too much memory");
		if (r->of[i].n == 0)
			continue;
		const struct slx_write w = { .tenant = t, .kind = kinds[i], .n = r->of[i].n, .ts = r->of[i].ts.p, .ts_stride = sizeof(int64_t),
			.bits = r->of[i].bits.p, .bits_stride = sizeof(uint64_t), .derived = true, .labels = (const struct slx_labels *)(const void *)r->of[i].labels.p,
			.ids = (const struct slx_hash128 *)(const void *)r->of[i].ids.p };
		SLX_TRY(slx_engine_write(e, &w, &result, ret_lsn, err));
		*ret_n += w.n - result.refused;
		if (result.refused && !first.refused)
			first = result;
	}
	if (first.refused)
		return slx_err(err, first.error.code, "%zu results were refused, the first: %s", first.refused, first.error.message);
	return SILEX_OK;
}

/* ---- series that a rule wrote ---- */

silex_status slx_rule_series_seen(struct slx_rule_group *g, struct slx_rule_state *s, struct slx_labels labels, struct slx_hash128 id, silex_error *err)
{
	struct slx_rule_series *x = slx_rule_table_get(&s->series, id);
	if (!x) {
		x = slx_alloc(g->mem, SLX_MEM_OTHER, sizeof *x + labels.n);
		if (!x)
			return slx_err_oom(err);
		*x = (struct slx_rule_series){ .id = id, .labels = { (uint8_t *)(x + 1), labels.n }, .size = sizeof *x + labels.n };
		memcpy(x + 1, labels.p, labels.n);
		if (!slx_rule_table_put(&s->series, g->mem, x)) {
			slx_free(g->mem, SLX_MEM_OTHER, x, x->size);
			return slx_err_oom(err);
		}
	}
	x->round = g->round;
	return SILEX_OK;
}

struct ending {
	struct slx_rule_group *g;
	struct slx_rule_rows *rows; /* NULL: no markers */
	int64_t t;
};

static bool is_of_this_round(void *arg, void *entry)
{
	struct ending *e = arg;
	struct slx_rule_series *x = entry;
	if (x->round == e->g->round)
		return true;
	uint8_t *p = e->rows ? slx_arena_alloc(e->rows->arena, x->labels.n, 1) : NULL;
	if (p)
		slx_rule_rows_float(e->rows, (struct slx_labels){ memcpy(p, x->labels.p, x->labels.n), x->labels.n }, x->id, e->t, slx_bits_f64(SLX_STALE_NAN));
	slx_free(e->g->mem, SLX_MEM_OTHER, x, x->size);
	return false;
}

void slx_rule_series_stale(struct slx_rule_group *g, struct slx_rule_state *s, struct slx_rule_rows *rows, int64_t t)
{
	struct ending e = { g, rows, t };
	slx_rule_table_filter(&s->series, is_of_this_round, &e);
}

void slx_rule_series_free(struct slx_rule_group *g, struct slx_rule_state *s)
{
	g->round++; /* none is of this one */
	slx_rule_series_stale(g, s, NULL, 0);
	slx_rule_table_free(&s->series, g->mem);
}
