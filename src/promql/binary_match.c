/* Arithmetic and comparisons between vectors: which rows meet, and what the results are called.
 *
 * Rows are joined once by their matching labels, not at every step. One side is "one": at each step at most one of its
 * rows may have a sample for given labels. The other is "many" (with one-to-one: it may not have two either). Each pair
 * of rows that agree gives an output row; pairs whose outputs have the same labels share it, as long as they never meet
 * at a step.
 *
 * fill modifiers: where a side has no sample for labels that the other has, a value stands in for it. */
#include "promql/binary_int.h"

enum { NONE = UINT32_MAX };

struct match {
	struct slx_pq_binop *b;
	struct slx_pq_exec *x;
	struct slx_pq_matching matching;
	struct slx_pq_matrix *many, *one;
	bool swapped; /* many is the right-hand side */
	size_t steps;
	struct slx_pq_cut cut;
	struct slx_pq_table sigs;
	uint32_t *first, *next;   /* rows of one: by signature; the next of the same */
	uint32_t *sig_of;         /* of rows of many */
	uint32_t *many_n;         /* rows of many, by signature */
	uint8_t **seen;           /* by signature: steps where a pair gave something (one-to-one) */
	struct slx_pq_table outs; /* labels of ret's rows */
	uint32_t *out_sig;        /* by row of ret: the signature that made it */
	size_t out_cap;
	struct slx_pq_matrix *ret;
};

/* ---- signatures ---- */

static silex_status arrays(struct match *m, silex_error *err)
{
	size_t n = m->many->n + m->one->n;
	uint32_t *p = slx_pq_alloc(m->x, &m->x->arena, n * 4 * sizeof *p);
	m->seen = slx_pq_alloc(m->x, &m->x->arena, n * sizeof *m->seen);
	if (!p || !m->seen)
		return slx_pq_oom(m->x, err);
	m->first = p;
	m->many_n = p + n;
	m->next = p + 2 * n;
	m->sig_of = p + 3 * n;
	memset(m->first, 0xff, n * sizeof *p);
	memset(m->many_n, 0, n * sizeof *p);
	memset(m->seen, 0, n * sizeof *m->seen);
	return SILEX_OK;
}

static silex_status signature(struct match *m, struct slx_labels l, uint32_t *ret, silex_error *err)
{
	struct slx_labels key;
	size_t at;
	bool fresh;
	SLX_TRY(slx_pq_labels_cut(m->x, l, &m->cut, &key, err));
	SLX_TRY(slx_pq_table_add(m->x, &m->sigs, key, &at, &fresh, err));
	*ret = (uint32_t)at;
	return SILEX_OK;
}

static silex_status sign(struct match *m, silex_error *err)
{
	for (size_t i = m->one->n; i-- > 0;) { /* so that chains go up */
		uint32_t s;
		SLX_TRY(signature(m, m->one->rows[i].labels, &s, err));
		m->next[i] = m->first[s];
		m->first[s] = (uint32_t)i;
	}
	for (size_t i = 0; i < m->many->n; i++) {
		SLX_TRY(signature(m, m->many->rows[i].labels, &m->sig_of[i], err));
		m->many_n[m->sig_of[i]]++;
	}
	return SILEX_OK;
}

/* ---- complaints ---- */

static silex_status duplicate(
	struct match *m, uint32_t sig, const struct slx_pq_row *a, const struct slx_pq_row *b, silex_error *err)
{
	struct slx_buf text;
	slx_buf_init(&text, m->x->mem, SLX_MEM_QUERY, 1 << 20);
	slx_buf_put(&text, "found duplicate series for the match group ", 43);
	slx_labels_format_set(m->sigs.keys[sig], &text);
	slx_buf_put(&text, " on the ", 8);
	slx_buf_put(&text, m->swapped ? "left" : "right", m->swapped ? 4 : 5);
	slx_buf_put(&text, " hand-side of the operation: [", 30);
	slx_labels_format_set(b->labels, &text);
	slx_buf_put(&text, ", ", 2);
	slx_labels_format_set(a->labels, &text);
	slx_buf_put(&text, "];many-to-many matching not allowed: matching labels must be unique on one side", 79);
	silex_status st =
		text.failed ? slx_err_oom(err) : slx_err(err, SILEX_CONFLICT, "%.*s", (int)text.n, (const char *)text.p);
	slx_buf_free(&text);
	return st;
}

/* Steps where any row of m (of signature sig, with sig_of) has a sample. */
static silex_status presence(struct match *m, const struct slx_pq_matrix *of, uint32_t sig, const uint32_t *sig_of,
	uint8_t **ret, silex_error *err)
{
	uint8_t *any = slx_pq_alloc(m->x, &m->x->arena, m->steps);
	if (!any)
		return slx_pq_oom(m->x, err);
	memset(any, 0, m->steps);
	for (size_t i = 0; i < of->n; i++)
		for (size_t k = 0; k < m->steps && (!sig_of || sig_of[i] == sig); k++)
			any[k] |= of->rows[i].cell[k];
	*ret = any;
	return SILEX_OK;
}

/* Two rows of the one side with the same labels and samples at the same step, at a step where there is anything to match. */
static silex_status check_one_side(struct match *m, silex_error *err)
{
	uint8_t *any = NULL;
	uint32_t *owner = NULL; /* by step: the first row of the signature that has a sample, plus 1 */
	for (uint32_t s = 0; s < m->sigs.n; s++) {
		if (m->first[s] == NONE || m->next[m->first[s]] == NONE)
			continue;
		if (!any) {
			SLX_TRY(presence(m, m->many, 0, NULL, &any, err));
			owner = slx_pq_alloc(m->x, &m->x->arena, m->steps * sizeof *owner);
			if (!owner)
				return slx_pq_oom(m->x, err);
		}
		memset(owner, 0, m->steps * sizeof *owner);
		for (uint32_t i = m->first[s]; i != NONE; i = m->next[i]) {
			SLX_TRY(slx_pq_alive(m->x, err));
			for (size_t k = 0; k < m->steps; k++) {
				if (!m->one->rows[i].cell[k] || !any[k])
					continue;
				if (owner[k])
					return duplicate(m, s, &m->one->rows[owner[k] - 1], &m->one->rows[i], err);
				owner[k] = i + 1;
			}
		}
	}
	return SILEX_OK;
}

/* ---- labels of results ---- */

static bool is_included(const struct slx_pq_matching *x, struct slx_str name)
{
	for (size_t i = 0; i < x->n_include; i++)
		if (slx_str_eq(x->include[i], name))
			return true;
	return false;
}

/* Labels of the many side with those of group_left (group_right) taken from the other. */
static silex_status include(
	struct match *m, struct slx_labels many, struct slx_labels one, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_builder *b = &m->x->builder;
	struct slx_labels_iter it = slx_labels_iter(many);
	struct slx_label l;
	struct slx_labels made;
	slx_labels_builder_reset(b);
	while (slx_labels_next(&it, &l))
		if (!is_included(&m->matching, l.name))
			slx_labels_builder_add(b, l.name, l.value);
	for (it = slx_labels_iter(one); slx_labels_next(&it, &l);)
		if (is_included(&m->matching, l.name))
			slx_labels_builder_add(b, l.name, l.value);
	SLX_TRY(slx_labels_builder_finish(b, &made, err));
	uint8_t *p = slx_pq_alloc(m->x, &m->x->arena, made.n);
	if (!p)
		return slx_pq_oom(m->x, err);
	memcpy(p, made.p, made.n);
	*ret = (struct slx_labels){ p, made.n };
	return SILEX_OK;
}

static silex_status result_labels(
	struct match *m, struct slx_labels many, struct slx_labels one, struct slx_labels *ret, silex_error *err)
{
	const struct slx_pq_matching *x = &m->matching;
	bool drops = !(slx_pq_op_compares(m->b->op) || slx_pq_op_trims(m->b->op)) ||
		(m->b->to_bool && !m->x->o.delayed_name_removal);
	struct slx_pq_cut name = { .meta = true }, matched = { x->labels, x->n_labels, x->on, false, false };
	*ret = many;
	if (drops)
		SLX_TRY(slx_pq_labels_cut(m->x, *ret, &name, ret, err));
	if (x->card == SLX_PQ_ONE_TO_ONE)
		return slx_pq_labels_cut(m->x, *ret, &matched, ret, err);
	return x->n_include ? include(m, *ret, one, ret, err) : SILEX_OK;
}

/* ---- outputs ---- */

static silex_status out_row(
	struct match *m, uint32_t sig, struct slx_labels l, bool drop_name, size_t *ret, silex_error *err)
{
	bool fresh;
	struct slx_pq_row *r;
	SLX_TRY(slx_pq_table_add(m->x, &m->outs, l, ret, &fresh, err));
	if (!fresh)
		return SILEX_OK;
	if (*ret >= m->out_cap) {
		size_t cap = m->out_cap ? m->out_cap * 2 : 64;
		uint32_t *more = slx_pq_alloc(m->x, &m->x->arena, cap * sizeof *more);
		if (!more)
			return slx_pq_oom(m->x, err);
		if (m->out_cap)
			memcpy(more, m->out_sig, m->out_cap * sizeof *more);
		m->out_sig = more;
		m->out_cap = cap;
	}
	m->out_sig[*ret] = sig;
	SLX_TRY(slx_pq_row_add(m->x, m->ret, l, m->steps, &r, err));
	r->drop_name = drop_name;
	return SILEX_OK;
}

static silex_status collision(const struct match *m, bool same_sig, silex_error *err)
{
	if (same_sig && m->matching.card != SLX_PQ_ONE_TO_ONE)
		return slx_err(err, SILEX_CONFLICT, "multiple matches for labels: grouping labels must ensure unique matches");
	return slx_err(err, SILEX_CONFLICT, "vector cannot contain metrics with the same labelset");
}

/* A stand-in has labels, and its value at every step that counts. */
struct side {
	const struct slx_pq_row *row; /* NULL: the fill value */
	double fill;
};

static struct slx_pq_value value_at(const struct side *s, size_t k)
{
	if (!s->row)
		return (struct slx_pq_value){ s->fill, NULL };
	return (struct slx_pq_value){ s->row->f[k], s->row->cell[k] == SLX_PQ_HISTOGRAM ? s->row->h[k] : NULL };
}

/* One step of a pair into its output. */
static silex_status pair_step(struct match *m, uint32_t sig, const struct side *many, const struct side *one,
	size_t out, size_t k, silex_error *err)
{
	struct slx_pq_row *to = &m->ret->rows[out];
	struct slx_pq_value a = value_at(many, k), b = value_at(one, k), v;
	if (!(m->swapped ? slx_pq_op_values(m->b, b, a, &v) : slx_pq_op_values(m->b, a, b, &v)))
		return m->b->failed ? slx_pq_oom(m->x, err) : SILEX_OK;
	if (m->seen[sig]) {
		if (m->seen[sig][k])
			return slx_err(err, SILEX_CONFLICT,
				"multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
		m->seen[sig][k] = 1;
	}
	if (to->cell[k])
		return collision(m, m->out_sig[out] == sig, err);
	if (v.h) {
		SLX_TRY(slx_pq_row_histograms(m->x, &m->x->arena, to, m->steps, err));
		to->h[k] = v.h;
	}
	to->f[k] = v.f;
	to->cell[k] = v.h ? SLX_PQ_HISTOGRAM : SLX_PQ_FLOAT;
	return SILEX_OK;
}

static silex_status see_twice(struct match *m, uint32_t sig, silex_error *err)
{
	if (m->matching.card != SLX_PQ_ONE_TO_ONE || m->many_n[sig] < 2 || m->seen[sig])
		return SILEX_OK;
	m->seen[sig] = slx_pq_alloc(m->x, &m->x->arena, m->steps);
	if (!m->seen[sig])
		return slx_pq_oom(m->x, err);
	memset(m->seen[sig], 0, m->steps);
	return SILEX_OK;
}

static silex_status pair_rows(
	struct match *m, uint32_t sig, const struct slx_pq_row *many, const struct slx_pq_row *one, silex_error *err)
{
	struct slx_labels l;
	struct side a = { many, 0 }, b = { one, 0 };
	size_t out;
	SLX_TRY(slx_pq_alive(m->x, err));
	SLX_TRY(result_labels(m, many->labels, one->labels, &l, err));
	SLX_TRY(out_row(m, sig, l, many->drop_name || m->b->to_bool, &out, err));
	for (size_t k = 0; k < m->steps; k++)
		if (many->cell[k] && one->cell[k])
			SLX_TRY(pair_step(m, sig, &a, &b, out, k, err));
	return SILEX_OK;
}

/* ---- fill modifiers ---- */

static bool fill_of(const struct match *m, bool right, double *ret)
{
	*ret = right ? m->matching.fill_right : m->matching.fill_left;
	return right ? m->matching.fill_right_given : m->matching.fill_left_given;
}

/* Steps where a row of many has a sample and no row of one: the fill value stands for it. */
static silex_status fill_one(struct match *m, size_t i, double fill, silex_error *err)
{
	const struct slx_pq_row *many = &m->many->rows[i];
	uint32_t sig = m->sig_of[i];
	struct side a = { many, 0 }, b = { NULL, fill };
	struct slx_labels l;
	size_t out = 0;
	bool made = false;
	for (size_t k = 0; k < m->steps; k++) {
		bool there = !many->cell[k];
		for (uint32_t j = m->first[sig]; j != NONE && !there; j = m->next[j])
			there = m->one->rows[j].cell[k];
		if (there)
			continue;
		if (!made) {
			SLX_TRY(result_labels(m, many->labels, m->sigs.keys[sig], &l, err));
			SLX_TRY(out_row(m, sig, l, many->drop_name || m->b->to_bool, &out, err));
			made = true;
		}
		SLX_TRY(pair_step(m, sig, &a, &b, out, k, err));
	}
	return SILEX_OK;
}

/* The other way round: a row of one that meets nothing. Its matching labels name the stand-in. */
static silex_status fill_many(
	struct match *m, uint32_t sig, const struct slx_pq_row *one, double fill, silex_error *err)
{
	struct side a = { NULL, fill }, b = { one, 0 };
	struct slx_labels l;
	size_t out = 0;
	bool made = false;
	uint8_t *many;
	SLX_TRY(presence(m, m->many, sig, m->sig_of, &many, err));
	SLX_TRY(slx_pq_alive(m->x, err));
	for (size_t k = 0; k < m->steps; k++) {
		if (!one->cell[k] || many[k])
			continue;
		if (!made) {
			SLX_TRY(result_labels(m, m->sigs.keys[sig], one->labels, &l, err));
			SLX_TRY(out_row(m, sig, l, m->b->to_bool, &out, err));
			made = true;
		}
		SLX_TRY(pair_step(m, sig, &a, &b, out, k, err));
	}
	return SILEX_OK;
}

static silex_status fill(struct match *m, silex_error *err)
{
	double v;
	if (fill_of(m, !m->swapped, &v))
		for (size_t i = 0; i < m->many->n; i++)
			SLX_TRY(fill_one(m, i, v, err));
	if (fill_of(m, m->swapped, &v))
		for (uint32_t s = 0; s < m->sigs.n; s++)
			for (uint32_t j = m->first[s]; j != NONE; j = m->next[j])
				SLX_TRY(fill_many(m, s, &m->one->rows[j], v, err));
	return SILEX_OK;
}

silex_status slx_pq_match(struct slx_pq_binop *b, const struct slx_pq_matching *matching, struct slx_pq_matrix *l,
	struct slx_pq_matrix *r, size_t steps, struct slx_pq_matrix *ret, silex_error *err)
{
	struct match m = { .b = b, .x = b->x, .steps = steps, .ret = ret };
	if (matching)
		m.matching = *matching;
	m.swapped = m.matching.card == SLX_PQ_ONE_TO_MANY;
	m.many = m.swapped ? r : l;
	m.one = m.swapped ? l : r;
	m.cut = slx_pq_signature(matching);
	SLX_TRY(slx_pq_matrix_init(b->x, ret, m.many->n, err));
	SLX_TRY(arrays(&m, err));
	SLX_TRY(sign(&m, err));
	SLX_TRY(check_one_side(&m, err));
	for (size_t i = 0; i < m.many->n; i++) {
		uint32_t s = m.sig_of[i];
		SLX_TRY(see_twice(&m, s, err));
		for (uint32_t j = m.first[s]; j != NONE; j = m.next[j])
			SLX_TRY(pair_rows(&m, s, &m.many->rows[i], &m.one->rows[j], err));
	}
	SLX_TRY(fill(&m, err));
	slx_pq_matrix_compact(ret, steps);
	return SILEX_OK;
}
