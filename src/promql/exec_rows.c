/* Rows, label sets and tables of label sets. */
#include "promql/exec_int.h"

#include "base/hash.h"

#include <stdlib.h>

static const uint8_t no_labels[1] = { 0 };
const struct slx_labels slx_pq_no_labels = { no_labels, 1 };

/* ---- rows ---- */

silex_status slx_pq_matrix_init(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t cap, silex_error *err)
{
	*m = (struct slx_pq_matrix){ 0 };
	if (cap && !(m->rows = slx_pq_alloc(x, &x->arena, cap * sizeof *m->rows)))
		return slx_pq_oom(x, err);
	m->cap = cap;
	return SILEX_OK;
}

silex_status slx_pq_row_cells(
	struct slx_pq_exec *x, struct slx_arena *a, struct slx_pq_row *r, size_t steps, bool histograms, silex_error *err)
{
	r->f = slx_pq_alloc(x, a, steps * (sizeof *r->f + sizeof *r->cell));
	if (!r->f)
		return slx_pq_oom(x, err);
	r->cell = (uint8_t *)(r->f + steps);
	memset(r->cell, SLX_PQ_EMPTY, steps);
	r->h = NULL;
	return histograms ? slx_pq_row_histograms(x, a, r, steps, err) : SILEX_OK;
}

silex_status slx_pq_row_histograms(
	struct slx_pq_exec *x, struct slx_arena *a, struct slx_pq_row *r, size_t steps, silex_error *err)
{
	if (r->h)
		return SILEX_OK;
	r->h = slx_pq_alloc(x, a, steps * sizeof *r->h);
	if (!r->h)
		return slx_pq_oom(x, err);
	memset(r->h, 0, steps * sizeof *r->h);
	return SILEX_OK;
}

silex_status slx_pq_row_add(struct slx_pq_exec *x, struct slx_pq_matrix *m, struct slx_labels l, size_t steps,
	struct slx_pq_row **ret, silex_error *err)
{
	if (m->n == m->cap) {
		struct slx_pq_matrix more;
		SLX_TRY(slx_pq_matrix_init(x, &more, m->cap ? m->cap * 2 : 8, err));
		if (m->n)
			memcpy(more.rows, m->rows, m->n * sizeof *m->rows);
		m->rows = more.rows;
		m->cap = more.cap;
	}
	struct slx_pq_row *r = &m->rows[m->n];
	*r = (struct slx_pq_row){ .labels = l };
	SLX_TRY(slx_pq_row_cells(x, &x->arena, r, steps, false, err));
	m->n++;
	*ret = r;
	return SILEX_OK;
}

bool slx_pq_row_empty(const struct slx_pq_row *r, size_t steps)
{
	size_t k = 0;
	for (; k + 8 <= steps; k += 8)
		if (slx_load64(r->cell + k))
			return false;
	for (; k < steps; k++)
		if (r->cell[k])
			return false;
	return true;
}

void slx_pq_matrix_compact(struct slx_pq_matrix *m, size_t steps)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++)
		if (m->rows[i].cell && !slx_pq_row_empty(&m->rows[i], steps))
			m->rows[n++] = m->rows[i];
	m->n = n;
}

/* ---- label sets ---- */

static bool is_meta(struct slx_str name)
{
	return slx_str_eq(name, SLX_METRIC_NAME) || slx_str_eq(name, SLX_STR("__type__")) ||
		slx_str_eq(name, SLX_STR("__unit__"));
}

static bool is_cut(const struct slx_pq_cut *cut, struct slx_str name)
{
	if (cut->meta && name.n >= 8 && name.p[0] == '_' && is_meta(name))
		return true;
	if (cut->name && slx_str_eq(name, SLX_METRIC_NAME))
		return true;
	for (size_t i = 0; i < cut->n; i++)
		if (slx_str_eq(cut->names[i], name))
			return !cut->keep;
	return cut->keep;
}

/* A label's bytes in canonical form go from where the iterator stood to where it stands: what is kept is copied as it lies. */
silex_status slx_pq_labels_cut(
	struct slx_pq_exec *x, struct slx_labels l, const struct slx_pq_cut *cut, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_iter it = slx_labels_iter(l);
	struct slx_label label;
	size_t kept = 0, all = it.left;
	uint8_t *to = slx_pq_alloc(x, &x->arena, l.n), *p;
	if (!to)
		return slx_pq_oom(x, err);
	p = to + (it.p - l.p); /* the count takes no more bytes than before */
	uint8_t *begin = p;
	for (const uint8_t *from = it.p; slx_labels_next(&it, &label); from = it.p)
		if (!is_cut(cut, label.name)) {
			memcpy(p, from, (size_t)(it.p - from));
			p += it.p - from;
			kept++;
		}
	if (kept == all) {
		*ret = l;
		return SILEX_OK;
	}
	uint8_t count[SLX_VARINT_SIZE_MAX];
	size_t n = (size_t)(slx_put_varint(count, kept) - count);
	memcpy(begin - n, count, n);
	*ret = (struct slx_labels){ begin - n, (size_t)(p - begin) + n };
	return SILEX_OK;
}

/* ---- tables ---- */

static bool table_grow(struct slx_pq_exec *x, struct slx_pq_table *t)
{
	size_t cap = t->cap ? t->cap * 2 : 32;
	uint32_t *slots = slx_pq_alloc(x, &x->arena, cap * sizeof *slots);
	struct slx_labels *keys = slx_pq_alloc(x, &x->arena, cap / 2 * sizeof *keys);
	if (!slots || !keys)
		return false;
	memset(slots, 0, cap * sizeof *slots);
	if (t->n)
		memcpy(keys, t->keys, t->n * sizeof *keys);
	for (size_t i = 0; i < t->n; i++) {
		size_t k = slx_hash64(keys[i].p, keys[i].n) & (cap - 1);
		while (slots[k])
			k = (k + 1) & (cap - 1);
		slots[k] = (uint32_t)i + 1;
	}
	t->slots = slots;
	t->keys = keys;
	t->cap = cap;
	return true;
}

/* The slot that has the key, or the free one where it would go. */
static size_t table_slot(const struct slx_pq_table *t, struct slx_labels key)
{
	size_t k = slx_hash64(key.p, key.n) & (t->cap - 1);
	while (t->slots[k] && !slx_labels_eq(t->keys[t->slots[k] - 1], key))
		k = (k + 1) & (t->cap - 1);
	return k;
}

bool slx_pq_table_find(const struct slx_pq_table *t, struct slx_labels key, size_t *ret)
{
	if (t->n == 0)
		return false;
	size_t k = table_slot(t, key);
	if (!t->slots[k])
		return false;
	*ret = t->slots[k] - 1;
	return true;
}

silex_status slx_pq_table_add(struct slx_pq_exec *x, struct slx_pq_table *t, struct slx_labels key, size_t *ret,
	bool *ret_fresh, silex_error *err)
{
	if (t->n * 2 >= t->cap && !table_grow(x, t))
		return slx_pq_oom(x, err);
	size_t k = table_slot(t, key);
	*ret_fresh = t->slots[k] == 0;
	if (*ret_fresh) {
		t->keys[t->n] = key;
		t->slots[k] = (uint32_t)++t->n;
	}
	*ret = t->slots[k] - 1;
	return SILEX_OK;
}

/* ---- equal label sets ---- */

static silex_status same_labelset(silex_error *err)
{
	return slx_err(err, SILEX_CONFLICT, "vector cannot contain metrics with the same labelset");
}

/* Moves what `from` has into `to`. */
static silex_status join_rows(
	struct slx_pq_exec *x, struct slx_pq_row *to, const struct slx_pq_row *from, size_t steps, silex_error *err)
{
	if (from->h)
		SLX_TRY(slx_pq_row_histograms(x, &x->arena, to, steps, err));
	for (size_t k = 0; k < steps; k++) {
		if (!from->cell[k])
			continue;
		if (to->cell[k])
			return same_labelset(err);
		to->cell[k] = from->cell[k];
		to->f[k] = from->f[k];
		if (from->h)
			to->h[k] = from->h[k];
	}
	return SILEX_OK;
}

silex_status slx_pq_unique(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, bool strict, silex_error *err)
{
	struct slx_pq_table t = { 0 };
	size_t n = 0;
	if (m->n < 2)
		return SILEX_OK;
	for (size_t i = 0; i < m->n; i++) {
		size_t at;
		bool fresh;
		SLX_TRY(slx_pq_table_add(x, &t, m->rows[i].labels, &at, &fresh, err));
		if (fresh)
			m->rows[n++] = m->rows[i];
		else if (strict)
			return same_labelset(err);
		else
			SLX_TRY(join_rows(x, &m->rows[at], &m->rows[i], steps, err));
	}
	m->n = n;
	return SILEX_OK;
}

silex_status slx_pq_names_finally(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, silex_error *err)
{
	static const struct slx_pq_cut cut = { .meta = true };
	bool any = false;
	for (size_t i = 0; i < m->n; i++) {
		struct slx_pq_row *r = &m->rows[i];
		if (!r->drop_name)
			continue;
		SLX_TRY(slx_pq_labels_cut(x, r->labels, &cut, &r->labels, err));
		r->drop_name = false;
		any = true;
	}
	return any ? slx_pq_unique(x, m, steps, false, err) : SILEX_OK;
}

/* Rows of one name that lose nothing but their name still differ: most often there is nothing to look for. */
silex_status slx_pq_names(struct slx_pq_exec *x, struct slx_pq_matrix *m, size_t steps, bool strict, silex_error *err)
{
	static const struct slx_pq_cut cut = { .meta = true };
	enum { NAME_OVERHEAD = 12 }; /* bytes of a label __name__ beside its value, at most */
	if (x->o.delayed_name_removal || m->n == 0)
		return SILEX_OK;
	struct slx_str first = slx_labels_get(m->rows[0].labels, SLX_METRIC_NAME);
	bool any = false, differ = true;
	for (size_t i = 0; i < m->n; i++) {
		struct slx_pq_row *r = &m->rows[i];
		struct slx_labels before = r->labels;
		struct slx_str name = slx_labels_get(before, SLX_METRIC_NAME);
		any |= r->drop_name;
		if (r->drop_name)
			SLX_TRY(slx_pq_labels_cut(x, before, &cut, &r->labels, err));
		differ = differ && r->drop_name && slx_str_eq(name, first) && before.n - r->labels.n <= name.n + NAME_OVERHEAD;
		r->drop_name = false;
	}
	return any && !differ ? slx_pq_unique(x, m, steps, strict, err) : SILEX_OK;
}
