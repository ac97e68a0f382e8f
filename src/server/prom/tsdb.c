/* status/tsdb: how many series, and which names, labels and pairs they are made of. Counted over all series of the tenant, those of
 * blocks too, with one table of label pairs from which all of the answer comes. */
#include "server/prom/prom_int.h"

#include <stdlib.h>

enum { TOP_DEFAULT = 10, TOP_MAX = 10000 };

struct pair {
	struct slx_str name, value; /* point into the selection */
	uint64_t series;
};

struct pairs {
	struct slx_mem *mem;
	struct pair *p; /* open addressing while they are counted, packed and sorted by name after */
	size_t n, cap;
};

/* One line of the answer. */
struct ranked {
	struct slx_str name, value; /* value.n 0: just a name */
	uint64_t n;
};

struct ranking {
	struct ranked *p; /* `n` greatest, descending */
	size_t n, top;
};

/* ---- counting ---- */

static bool pairs_grow(struct pairs *t)
{
	size_t cap = t->cap ? t->cap * 2 : 1024;
	struct pair *p = slx_calloc(t->mem, SLX_MEM_QUERY, cap * sizeof *p);
	if (!p)
		return false;
	for (size_t i = 0; i < t->cap; i++) {
		if (!t->p[i].series)
			continue;
		size_t k = slx_hash64(t->p[i].name.p, (size_t)(t->p[i].value.p + t->p[i].value.n - t->p[i].name.p)) & (cap - 1);
		while (p[k].series)
			k = (k + 1) & (cap - 1);
		p[k] = t->p[i];
	}
	slx_free(t->mem, SLX_MEM_QUERY, t->p, t->cap * sizeof *p);
	t->p = p;
	t->cap = cap;
	return true;
}

/* Name and value lie side by side, the value's length between: one hash over both. */
static bool pairs_count(struct pairs *t, struct slx_label l)
{
	if (t->n * 2 >= t->cap && !pairs_grow(t))
		return false;
	size_t k = slx_hash64(l.name.p, (size_t)(l.value.p + l.value.n - l.name.p)) & (t->cap - 1);
	for (; t->p[k].series; k = (k + 1) & (t->cap - 1))
		if (slx_str_eq(t->p[k].name, l.name) && slx_str_eq(t->p[k].value, l.value)) {
			t->p[k].series++;
			return true;
		}
	t->p[k] = (struct pair){ l.name, l.value, 1 };
	t->n++;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return slx_str_cmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

static silex_status count_pairs(struct pairs *t, const struct slx_selection *sel, silex_error *err)
{
	for (size_t i = 0; i < slx_selection_count(sel); i++) {
		struct slx_labels_iter it = slx_labels_iter(slx_selection_labels(sel, i));
		for (struct slx_label l; slx_labels_next(&it, &l);)
			if (!pairs_count(t, l))
				return slx_err_oom(err);
	}
	size_t n = 0;
	for (size_t i = 0; i < t->cap; i++)
		if (t->p[i].series)
			t->p[n++] = t->p[i];
	if (n)
		qsort(t->p, n, sizeof *t->p, by_name);
	return SILEX_OK;
}

/* Chunks and tails of all series. */
static silex_status count_chunks(struct slx_snapshot *snap, const struct slx_selection *sel, struct slx_mem *mem, uint64_t *ret, silex_error *err)
{
	struct slx_parts parts;
	silex_status status = SILEX_OK;
	*ret = 0;
	slx_parts_init(&parts, mem);
	for (size_t i = 0; i < slx_selection_count(sel) && status == SILEX_OK; i++) {
		status = slx_snapshot_collect(snap, sel, i, SLX_TIME_ALL, &parts, err);
		for (size_t k = 0; k < parts.n && status == SILEX_OK; k++) {
			const struct slx_part *p = &parts.parts[k];
			*ret += p->type == SLX_PART_RAW ? 1 : p->type == SLX_PART_MEMORY ? p->memory.n : p->block.n;
		}
	}
	slx_parts_free(&parts);
	return status;
}

/* ---- the greatest ---- */

static bool ranking_init(struct ranking *r, struct slx_arena *a, size_t top)
{
	*r = (struct ranking){ .top = top, .p = slx_arena_alloc(a, top * sizeof *r->p, 8) };
	return r->p != NULL;
}

static void rank(struct ranking *r, struct ranked x)
{
	size_t i = r->n;
	if (i == r->top && (i == 0 || x.n <= r->p[i - 1].n))
		return;
	if (i < r->top)
		r->n++;
	else
		i--;
	for (; i > 0 && r->p[i - 1].n < x.n; i--)
		r->p[i] = r->p[i - 1];
	r->p[i] = x;
}

/* name=value, in the arena; the name alone when memory is out. */
static struct slx_str joined(struct slx_arena *a, const struct ranked *x)
{
	char *p = x->value.n ? slx_arena_alloc(a, x->name.n + 1 + x->value.n, 1) : NULL;
	if (!p)
		return x->name;
	memcpy(p, x->name.p, x->name.n);
	p[x->name.n] = '=';
	memcpy(p + x->name.n + 1, x->value.p, x->value.n);
	return (struct slx_str){ p, x->name.n + 1 + x->value.n };
}

static void put_ranking(struct slx_buf *b, struct slx_arena *arena, const char *key, const struct ranking *r)
{
	slx_buf_u8(b, ',');
	slx_json_text(b, slx_str(key));
	SLX_JSON_LITERAL(b, ":[");
	for (size_t i = 0; i < r->n; i++) {
		if (i)
			slx_buf_u8(b, ',');
		SLX_JSON_LITERAL(b, "{\"name\":");
		slx_json_text(b, joined(arena, &r->p[i]));
		SLX_JSON_LITERAL(b, ",\"value\":");
		slx_json_u64(b, r->p[i].n);
		slx_buf_u8(b, '}');
	}
	slx_buf_u8(b, ']');
}

struct facts {
	uint64_t series, pairs, chunks;
	struct slx_time_range extent;
	struct ranking by_metric, values, memory, by_pair;
};

static void put_facts(struct slx_buf *b, struct slx_arena *arena, const struct facts *f)
{
	bool none = slx_range_empty(f->extent);
	SLX_JSON_LITERAL(b, "{\"headStats\":{\"numSeries\":");
	slx_json_u64(b, f->series);
	SLX_JSON_LITERAL(b, ",\"numLabelPairs\":");
	slx_json_u64(b, f->pairs);
	SLX_JSON_LITERAL(b, ",\"chunkCount\":");
	slx_json_u64(b, f->chunks);
	const int64_t ends[] = { none ? 0 : slx_window_index(f->extent.from, SLX_MS, 0), none ? 0 : slx_window_index(f->extent.to, SLX_MS, 0) };
	for (int i = 0; i < 2; i++) {
		slx_buf_put(b, i ? ",\"maxTime\":" : ",\"minTime\":", 11);
		if (ends[i] < 0)
			slx_buf_u8(b, '-');
		slx_json_u64(b, ends[i] < 0 ? 0 - (uint64_t)ends[i] : (uint64_t)ends[i]);
	}
	slx_buf_u8(b, '}');
	put_ranking(b, arena, "seriesCountByMetricName", &f->by_metric);
	put_ranking(b, arena, "labelValueCountByLabelName", &f->values);
	put_ranking(b, arena, "memoryInBytesByLabelName", &f->memory);
	put_ranking(b, arena, "seriesCountByLabelValuePair", &f->by_pair);
	slx_buf_u8(b, '}');
}

static void rank_pairs(const struct pairs *t, struct facts *f)
{
	for (size_t i = 0; i < t->n;) {
		struct slx_str name = t->p[i].name;
		bool metric = slx_str_eq(name, SLX_METRIC_NAME);
		uint64_t values = 0, bytes = 0;
		for (; i < t->n && slx_str_eq(t->p[i].name, name); i++) {
			const struct pair *p = &t->p[i];
			values++;
			bytes += p->value.n;
			if (metric)
				rank(&f->by_metric, (struct ranked){ .name = p->value, .n = p->series });
			rank(&f->by_pair, (struct ranked){ .name = p->name, .value = p->value, .n = p->series });
		}
		rank(&f->values, (struct ranked){ .name = name, .n = values });
		rank(&f->memory, (struct ranked){ .name = name, .n = bytes });
	}
}

static silex_status find_facts(struct slx_prom *p, struct slx_http_exchange *x, size_t top, struct slx_buf *out, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(p->core));
	struct slx_arena *arena = slx_http_arena(x);
	struct slx_snapshot *snap = NULL;
	struct slx_selection *sel = NULL;
	struct pairs t = { .mem = slx_engine_mem(e) };
	struct facts f = { 0 };
	if (!ranking_init(&f.by_metric, arena, top) || !ranking_init(&f.values, arena, top) || !ranking_init(&f.memory, arena, top) ||
		!ranking_init(&f.by_pair, arena, top))
		return slx_err_oom(err);
	SLX_TRY(slx_snapshot_new(e, slx_prom_who(x), &snap, err));
	silex_status status = slx_snapshot_select(snap, NULL, 0, SLX_TIME_ALL, &sel, err);
	if (status == SILEX_OK)
		status = count_pairs(&t, sel, err);
	if (status == SILEX_OK)
		status = count_chunks(snap, sel, t.mem, &f.chunks, err);
	if (status == SILEX_OK) {
		f.series = slx_selection_count(sel);
		f.pairs = t.n;
		f.extent = slx_snapshot_extent(snap);
		rank_pairs(&t, &f);
		put_facts(out, arena, &f);
	}
	slx_free(t.mem, SLX_MEM_QUERY, t.p, t.cap * sizeof *t.p);
	slx_selection_free(sel);
	slx_snapshot_free(snap);
	return status;
}

void slx_prom_tsdb(void *ctx, struct slx_http_exchange *x)
{
	struct slx_answer a;
	silex_error err;
	uint64_t top;
	if (!slx_prom_limit_param(x, "limit", &top))
		return;
	if (top == 0 && slx_http_param(x, "limit", 0).n) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "limit must be a positive number");
		return;
	}
	top = top == 0 ? TOP_DEFAULT : top > TOP_MAX ? TOP_MAX : top;
	slx_answer_begin_json(&a, ctx, x);
	silex_status status = find_facts(ctx, x, top, &a.b, &err);
	if (status == SILEX_OK) {
		slx_answer_end_json(&a, NULL, 0, NULL, 0);
	} else {
		slx_buf_free(&a.b);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	}
}
