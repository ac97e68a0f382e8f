/* Set operators: and, or, unless. A step of a row stays or goes by whether the other side has any sample at that step
 * with the same matching labels. */
#include "promql/binary_int.h"

struct slx_pq_cut slx_pq_signature(const struct slx_pq_matching *m)
{
	if (!m)
		return (struct slx_pq_cut){ .name = true };
	return (struct slx_pq_cut){ m->labels, m->n_labels, m->on, !m->on, false };
}

/* Which steps have a sample, by matching labels. */
struct presence {
	struct slx_pq_exec *x;
	struct slx_pq_cut cut;
	struct slx_pq_table table;
	uint8_t **steps; /* by number of the table: 0 where there is none */
};

static silex_status presence_init(struct presence *p, const struct slx_pq_matrix *m, size_t steps, silex_error *err)
{
	p->steps = slx_pq_alloc(p->x, &p->x->arena, m->n * sizeof *p->steps);
	if (!p->steps)
		return slx_pq_oom(p->x, err);
	for (size_t i = 0; i < m->n; i++) {
		struct slx_labels key;
		size_t at;
		bool fresh;
		SLX_TRY(slx_pq_labels_cut(p->x, m->rows[i].labels, &p->cut, &key, err));
		SLX_TRY(slx_pq_table_add(p->x, &p->table, key, &at, &fresh, err));
		if (fresh) {
			p->steps[at] = slx_pq_alloc(p->x, &p->x->arena, steps);
			if (!p->steps[at])
				return slx_pq_oom(p->x, err);
			memcpy(p->steps[at], m->rows[i].cell, steps);
		} else {
			for (size_t k = 0; k < steps; k++)
				p->steps[at][k] |= m->rows[i].cell[k];
		}
	}
	return SILEX_OK;
}

/* Keeps of each row the steps where the other side has (wanted) or has not (else) a sample. */
static silex_status mask(const struct presence *p, struct slx_pq_matrix *m, size_t steps, bool wanted, silex_error *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct slx_labels key;
		size_t at;
		uint8_t *cell = m->rows[i].cell;
		SLX_TRY(slx_pq_alive(p->x, err));
		SLX_TRY(slx_pq_labels_cut(p->x, m->rows[i].labels, &p->cut, &key, err));
		const uint8_t *other = slx_pq_table_find(&p->table, key, &at) ? p->steps[at] : NULL;
		for (size_t k = 0; k < steps; k++)
			if ((other && other[k]) != wanted)
				cell[k] = SLX_PQ_EMPTY;
	}
	slx_pq_matrix_compact(m, steps);
	return SILEX_OK;
}

static silex_status join(struct slx_pq_exec *x, const struct slx_pq_matrix *l, const struct slx_pq_matrix *r,
	struct slx_pq_matrix *ret, silex_error *err)
{
	SLX_TRY(slx_pq_matrix_init(x, ret, l->n + r->n, err));
	if (l->n)
		memcpy(ret->rows, l->rows, l->n * sizeof *l->rows);
	if (r->n)
		memcpy(ret->rows + l->n, r->rows, r->n * sizeof *r->rows);
	ret->n = l->n + r->n;
	return SILEX_OK;
}

silex_status slx_pq_set_op(struct slx_pq_binop *b, const struct slx_pq_matching *m, struct slx_pq_matrix *l,
	struct slx_pq_matrix *r, size_t steps, struct slx_pq_matrix *ret, silex_error *err)
{
	struct presence p = { .x = b->x, .cut = slx_pq_signature(m) };
	bool is_or = b->op == SLX_PQ_OR;
	SLX_TRY(presence_init(&p, is_or ? l : r, steps, err));
	SLX_TRY(mask(&p, is_or ? r : l, steps, b->op == SLX_PQ_AND, err));
	if (!is_or) {
		*ret = *l;
		return SILEX_OK;
	}
	SLX_TRY(join(b->x, l, r, ret, err));
	return slx_pq_unique(b->x, ret, steps, false, err);
}
