/* What a request asks for: times, limits, selectors; and the series that selectors select together. */
#include "server/prom/prom_int.h"

#include <stdlib.h>
#include <time.h>

enum { MATCHES_MAX = 1000 };

bool slx_prom_time_param(struct slx_http_exchange *x, const char *name, int64_t without, int64_t *ret_ms)
{
	silex_error err;
	struct slx_str s = slx_http_param(x, name, 0);
	*ret_ms = without;
	if (s.n == 0)
		return true;
	if (slx_prom_parse_time(s, ret_ms, &err) == SILEX_OK)
		return true;
	slx_err_wrap(&err, "Invalid time value for '%s'", name);
	slx_prom_fail_param(x, name, &err);
	return false;
}

bool slx_prom_limit_param(struct slx_http_exchange *x, const char *name, uint64_t *ret)
{
	silex_error err;
	struct slx_str s = slx_http_param(x, name, 0);
	if (slx_prom_parse_limit(s, ret, &err) == SILEX_OK)
		return true;
	slx_prom_fail_param(x, name, &err);
	return false;
}

bool slx_prom_range_params(struct slx_http_exchange *x, struct slx_time_range *ret)
{
	int64_t start, end;
	if (!slx_prom_time_param(x, "start", SLX_PROM_MS_MIN, &start) || !slx_prom_time_param(x, "end", SLX_PROM_MS_MAX, &end))
		return false;
	ret->from = start <= SLX_PROM_MS_MIN ? SLX_TIME_MIN : start * SLX_MS;
	ret->to = end >= SLX_PROM_MS_MAX ? SLX_TIME_MAX : slx_time_add(end * SLX_MS, SLX_MS - 1);
	return true;
}

struct slx_identity slx_prom_who(const struct slx_http_exchange *x)
{
	return (struct slx_identity){ .tenant = slx_http_tenant(x) };
}

int64_t slx_prom_now_ms(const struct slx_prom *p)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- match[] ---- */

silex_status slx_prom_matches_params(struct slx_prom *p, struct slx_http_exchange *x, struct slx_prom_matches *ret, silex_error *err)
{
	size_t n = 0;
	*ret = (struct slx_prom_matches){ .mem = p->core->mem };
	while (n <= MATCHES_MAX && slx_http_param(x, "match[]", n).p)
		n++;
	if (n > MATCHES_MAX)
		return slx_err(err, SILEX_INVALID, "more than %d match[] parameters", MATCHES_MAX);
	if (n == 0)
		return SILEX_OK;
	ret->sel = slx_arena_alloc(slx_http_arena(x), n * sizeof *ret->sel, 8);
	if (!ret->sel)
		return slx_err_oom(err);
	for (; ret->n < n; ret->n++)
		SLX_TRY(slx_promql_parse_selector(ret->mem, slx_http_param(x, "match[]", ret->n), &ret->sel[ret->n], err));
	return SILEX_OK;
}

void slx_prom_matches_free(struct slx_prom_matches *m)
{
	for (size_t i = 0; i < m->n; i++)
		slx_selector_free(&m->sel[i]);
	m->n = 0;
}

/* ---- the series of several selectors ---- */

struct slx_labels slx_prom_union_labels(const struct slx_prom_union *u, size_t i)
{
	return slx_selection_labels(u->sel[u->all[i].sel], u->all[i].at);
}

static int by_labels(const void *a, const void *b, void *ctx)
{
	const struct slx_prom_union *u = ctx;
	const struct slx_prom_member *x = a, *y = b;
	return slx_labels_cmp(slx_selection_labels(u->sel[x->sel], x->at), slx_selection_labels(u->sel[y->sel], y->at));
}

/* One selection is in label order already. */
static void arrange(struct slx_prom_union *u)
{
	size_t n = 0;
	if (u->n_sel < 2)
		return;
	qsort_r(u->all, u->n, sizeof *u->all, by_labels, u);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || by_labels(&u->all[n - 1], &u->all[i], u) != 0)
			u->all[n++] = u->all[i];
	u->n = n;
}

silex_status slx_prom_union_new(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_prom_matches *m, struct slx_time_range range,
	struct slx_prom_union *ret, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(p->core));
	*ret = (struct slx_prom_union){ .mem = p->core->mem };
	SLX_TRY(slx_snapshot_new(e, slx_prom_who(x), &ret->snap, err));
	ret->sel = slx_arena_alloc(slx_http_arena(x), m->n * sizeof *ret->sel, 8);
	if (!ret->sel)
		return slx_err_oom(err);
	for (; ret->n_sel < m->n; ret->n_sel++) {
		const struct slx_selector *s = &m->sel[ret->n_sel];
		SLX_TRY(slx_snapshot_select(ret->snap, s->matchers, s->n, range, &ret->sel[ret->n_sel], err));
		ret->cap += slx_selection_count(ret->sel[ret->n_sel]);
	}
	ret->all = slx_alloc(ret->mem, SLX_MEM_QUERY, ret->cap * sizeof *ret->all + 1);
	if (!ret->all)
		return slx_err_oom(err);
	for (uint32_t k = 0; k < ret->n_sel; k++)
		for (uint32_t i = 0; i < slx_selection_count(ret->sel[k]); i++)
			ret->all[ret->n++] = (struct slx_prom_member){ k, i };
	arrange(ret);
	return SILEX_OK;
}

void slx_prom_union_free(struct slx_prom_union *u)
{
	if (u->all)
		slx_free(u->mem, SLX_MEM_QUERY, u->all, u->cap * sizeof *u->all + 1);
	for (size_t i = 0; i < u->n_sel; i++)
		slx_selection_free(u->sel[i]);
	slx_snapshot_free(u->snap);
	*u = (struct slx_prom_union){ 0 };
}

silex_status slx_prom_union_collect(struct slx_prom_union *u, size_t i, struct slx_time_range range, struct slx_parts *parts, silex_error *err)
{
	SLX_TRY(slx_snapshot_check(u->snap, err));
	return slx_snapshot_collect(u->snap, u->sel[u->all[i].sel], u->all[i].at, range, parts, err);
}
