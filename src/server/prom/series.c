/* What is there: series, names of labels, values of a label. */
#include "server/prom/prom_int.h"

static const struct slx_str truncated[] = { { "results truncated due to limit", 30 } };

/* ---- names and values ---- */

struct lists {
	struct slx_strings *p; /* one a selector; in the exchange's arena */
	size_t n;
};

static silex_status ask(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_str *name, const struct slx_prom_matches *m,
	struct slx_time_range range, struct lists *l, silex_error *err)
{
	struct slx_snapshot *snap;
	size_t n = m->n ? m->n : 1;
	l->p = slx_arena_alloc(slx_http_arena(x), n * sizeof *l->p, 8);
	if (!l->p)
		return slx_err_oom(err);
	SLX_TRY(slx_snapshot_new(slx_api_engine(slx_core_db(p->core)), slx_prom_who(x), &snap, err));
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		status = slx_snapshot_strings(snap, name, m->n ? m->sel[i].matchers : NULL, m->n ? m->sel[i].n : 0, range, &l->p[i], err);
		l->n += status == SILEX_OK;
	}
	slx_snapshot_free(snap);
	return status;
}

/* The least of the heads of all lists; false when all are at their end. Takes it off those that have it. */
static bool take_least(struct lists *l, size_t *at, struct slx_str *ret)
{
	bool any = false;
	for (size_t i = 0; i < l->n; i++)
		if (at[i] < l->p[i].n && (!any || slx_str_cmp(l->p[i].p[at[i]], *ret) < 0)) {
			*ret = l->p[i].p[at[i]];
			any = true;
		}
	for (size_t i = 0; any && i < l->n; i++)
		at[i] += at[i] < l->p[i].n && slx_str_eq(l->p[i].p[at[i]], *ret);
	return any;
}

static void answer_strings(struct slx_prom *p, struct slx_http_exchange *x, struct lists *l, uint64_t limit)
{
	struct slx_answer a;
	struct slx_str s;
	size_t *at = slx_arena_alloc(slx_http_arena(x), l->n * sizeof *at, 8);
	if (!at) {
		slx_prom_fail(x, SLX_PROM_UNAVAILABLE, "out of memory");
		return;
	}
	memset(at, 0, l->n * sizeof *at);
	slx_answer_begin_json(&a, p, x);
	slx_buf_u8(&a.b, '[');
	uint64_t n = 0;
	bool more = take_least(l, at, &s);
	for (; more && (limit == 0 || n < limit) && slx_answer_spill(&a); more = take_least(l, at, &s), n++) {
		if (n)
			slx_buf_u8(&a.b, ',');
		slx_json_text(&a.b, s);
	}
	slx_buf_u8(&a.b, ']');
	slx_answer_end_json(&a, truncated, more, NULL, 0);
}

/* name NULL: the names of labels. */
static void strings(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_str *name)
{
	struct slx_time_range range;
	struct slx_prom_matches m = { 0 };
	struct lists l = { 0 };
	silex_error err;
	uint64_t limit;
	if (!slx_prom_limit_param(x, "limit", &limit) || !slx_prom_range_params(x, &range))
		return;
	silex_status status = slx_prom_matches_params(p, x, &m, &err);
	if (status == SILEX_OK)
		status = ask(p, x, name, &m, range, &l, &err);
	if (status == SILEX_OK)
		answer_strings(p, x, &l, limit);
	else
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	for (size_t i = 0; i < l.n; i++)
		slx_strings_free(&l.p[i]);
	slx_prom_matches_free(&m);
}

void slx_prom_labels(void *ctx, struct slx_http_exchange *x) { strings(ctx, x, NULL); }

void slx_prom_label_values(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_buf b;
	slx_buf_init(&b, p->core->mem, SLX_MEM_QUERY, 64 << 10);
	slx_prom_unescape_name(slx_http_segment(x, "name"), &b);
	struct slx_str name = { (const char *)b.p, b.n };
	if (b.failed || b.n == 0 || !slx_utf8_valid(name.p, name.n)) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "invalid label name: it is empty, too long or not UTF-8");
	} else {
		strings(p, x, &name);
	}
	slx_buf_free(&b);
}

/* ---- series ---- */

/* Whether member i has a visible sample in range: mostly chunk headers say so. */
static silex_status alive(struct slx_prom_union *u, size_t i, struct slx_time_range range, struct slx_parts *parts, struct slx_scan *scan, bool *ret,
	silex_error *err)
{
	struct slx_run run;
	SLX_TRY(slx_prom_union_collect(u, i, range, parts, err));
	slx_scan_start(scan, parts->parts, parts->n, parts->hides, parts->n_hides, range);
	return slx_scan_next(scan, &run, ret, err);
}

struct listing {
	struct slx_prom_union u;
	struct slx_parts parts;
	struct slx_scan *scan;
};

static silex_status put_series(struct slx_answer *a, struct listing *l, struct slx_time_range range, uint64_t limit, bool *ret_truncated, silex_error *err)
{
	uint64_t n = 0;
	for (size_t i = 0; i < l->u.n && slx_answer_spill(a); i++) {
		bool is;
		if (i % 1024 == 0 && atomic_load_explicit(slx_http_canceled(a->x), memory_order_relaxed))
			return slx_err(err, SILEX_CANCELED, "the client is gone");
		SLX_TRY(alive(&l->u, i, range, &l->parts, l->scan, &is, err));
		if (!is)
			continue;
		if (limit && n == limit) {
			*ret_truncated = true;
			return SILEX_OK;
		}
		if (n++)
			slx_buf_u8(&a->b, ',');
		slx_json_labels(&a->b, slx_prom_union_labels(&l->u, i));
	}
	return SILEX_OK;
}

static void answer_series(struct slx_prom *p, struct slx_http_exchange *x, struct listing *l, struct slx_time_range range, uint64_t limit)
{
	struct slx_answer a;
	silex_error err = { 0 };
	bool cut = false;
	slx_answer_begin_json(&a, p, x);
	slx_buf_u8(&a.b, '[');
	silex_status status = put_series(&a, l, range, limit, &cut, &err);
	slx_buf_u8(&a.b, ']');
	struct slx_str why = slx_str(err.message);
	if (status == SILEX_OK) {
		slx_answer_end_json(&a, truncated, cut, NULL, 0);
	} else if (a.streaming) { /* too late for an error */
		slx_answer_end_json(&a, &why, 1, NULL, 0);
	} else {
		slx_buf_free(&a.b);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	}
}

static void list_series(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_prom_matches *m, struct slx_time_range range, uint64_t limit)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(p->core));
	struct listing l = { .scan = NULL };
	silex_error err;
	slx_parts_init(&l.parts, slx_engine_mem(e));
	silex_status status = slx_prom_union_new(p, x, m, range, &l.u, &err);
	if (status == SILEX_OK)
		status = slx_scan_new(slx_engine_mem(e), slx_engine_codecs(e), &l.scan, &err);
	if (status == SILEX_OK)
		answer_series(p, x, &l, range, limit);
	else
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	slx_scan_free(l.scan);
	slx_parts_free(&l.parts);
	slx_prom_union_free(&l.u);
}

void slx_prom_series(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_time_range range;
	struct slx_prom_matches m;
	silex_error err;
	uint64_t limit;
	if (slx_http_param(x, "match[]", 0).p == NULL) {
		slx_prom_fail(x, SLX_PROM_BAD_DATA, "no match[] parameter provided");
		return;
	}
	if (!slx_prom_limit_param(x, "limit", &limit) || !slx_prom_range_params(x, &range))
		return;
	if (slx_prom_matches_params(p, x, &m, &err) == SILEX_OK)
		list_series(p, x, &m, range, limit);
	else
		slx_prom_fail_param(x, "match[]", &err);
	slx_prom_matches_free(&m);
}
