/* Functions number by number, between scalars and vectors, and absent. They work in place. */
#include "promql/functions_int.h"

/* ---- number by number ---- */

/* Floats only; histograms drop out. true when any did. */
static bool keep_floats(struct slx_pq_row *r, size_t steps)
{
	if (!r->h)
		return false;
	for (size_t k = 0; k < steps; k++)
		if (r->cell[k] == SLX_PQ_HISTOGRAM)
			r->cell[k] = SLX_PQ_EMPTY;
	r->h = NULL;
	return true;
}

/* The vector argument as result: floats, without the name. */
static void floats_of(struct slx_pq_call *c, struct slx_pq_matrix *vector, struct slx_pq_matrix *ret)
{
	bool dropped = false;
	*ret = *vector;
	for (size_t i = 0; i < ret->n; i++) {
		dropped |= keep_floats(&ret->rows[i], c->steps);
		ret->rows[i].drop_name = true;
	}
	if (dropped)
		slx_pq_matrix_compact(ret, c->steps);
}

SLX_PQ_MATRIX(math)
{
	double (*f)(double) = c->node->call.fn->math;
	floats_of(c, &args[0], ret);
	for (size_t i = 0; i < ret->n; i++)
		for (size_t k = 0; k < c->steps; k++)
			if (ret->rows[i].cell[k])
				ret->rows[i].f[k] = f(ret->rows[i].f[k]);
	return SILEX_OK;
}

double slx_pq_math_sgn(double v) { return v < 0 ? -1 : v > 0 ? 1 : v; }
double slx_pq_math_deg(double v) { return v * 180 / M_PI; }
double slx_pq_math_rad(double v) { return v * M_PI / 180; }

/* To the nearest multiple of the second argument, halves up. */
SLX_PQ_MATRIX(round)
{
	floats_of(c, &args[0], ret);
	for (size_t i = 0; i < ret->n; i++)
		for (size_t k = 0; k < c->steps; k++) {
			double inverse = 1 / (c->node->call.n_args > 1 ? args[1].rows[0].f[k] : 1);
			ret->rows[i].f[k] = floor(ret->rows[i].f[k] * inverse + 0.5) / inverse;
		}
	return SILEX_OK;
}

/* Of two numbers; NaN when either is. */
static double least(double a, double b) { return isnan(a) || isnan(b) ? NAN : a < b || (a == b && signbit(a)) ? a : b; }
static double greatest(double a, double b)
{
	return isnan(a) || isnan(b) ? NAN : a > b || (a == b && signbit(b)) ? a : b;
}

/* Between min and max, either NULL for none; nothing at steps where max is below min. */
static silex_status clamp(struct slx_pq_call *c, struct slx_pq_matrix *vector, const double *min, const double *max,
	struct slx_pq_matrix *ret)
{
	floats_of(c, vector, ret);
	for (size_t i = 0; i < ret->n; i++)
		for (size_t k = 0; k < c->steps; k++) {
			double *f = &ret->rows[i].f[k];
			*f = least(max ? max[k] : INFINITY, *f);
			*f = greatest(min ? min[k] : -INFINITY, *f);
			if (min && max && max[k] < min[k])
				ret->rows[i].cell[k] = SLX_PQ_EMPTY;
		}
	slx_pq_matrix_compact(ret, c->steps);
	return SILEX_OK;
}

SLX_PQ_MATRIX(clamp) { return clamp(c, &args[0], args[1].rows[0].f, args[2].rows[0].f, ret); }
SLX_PQ_MATRIX(clamp_min) { return clamp(c, &args[0], args[1].rows[0].f, NULL, ret); }
SLX_PQ_MATRIX(clamp_max) { return clamp(c, &args[0], NULL, args[1].rows[0].f, ret); }

/* ---- scalars ---- */

SLX_PQ_MATRIX(min_of)
{
	*ret = args[0];
	for (size_t k = 0; k < c->steps; k++)
		ret->rows[0].f[k] = least(args[0].rows[0].f[k], args[1].rows[0].f[k]);
	return SILEX_OK;
}

SLX_PQ_MATRIX(max_of)
{
	*ret = args[0];
	for (size_t k = 0; k < c->steps; k++)
		ret->rows[0].f[k] = greatest(args[0].rows[0].f[k], args[1].rows[0].f[k]);
	return SILEX_OK;
}

silex_status slx_pq_scalar_row(
	struct slx_pq_exec *x, struct slx_pq_call *c, double v, struct slx_pq_matrix *ret, silex_error *err)
{
	struct slx_pq_row *r;
	SLX_TRY(slx_pq_matrix_init(x, ret, 1, err));
	SLX_TRY(slx_pq_row_add(x, ret, slx_pq_no_labels, c->steps, &r, err));
	for (size_t k = 0; k < c->steps; k++) {
		r->f[k] = v;
		r->cell[k] = SLX_PQ_FLOAT;
	}
	return SILEX_OK;
}

SLX_PQ_MATRIX(pi) { return slx_pq_scalar_row(x, c, M_PI, ret, err); }

/* The one float of each step, NaN when there is not exactly one. */
SLX_PQ_MATRIX(scalar)
{
	SLX_TRY(slx_pq_scalar_row(x, c, NAN, ret, err));
	for (size_t k = 0; k < c->steps; k++) {
		size_t found = 0;
		double v = NAN;
		for (size_t i = 0; i < args[0].n && found < 2; i++)
			if (args[0].rows[i].cell[k] == SLX_PQ_FLOAT) {
				v = args[0].rows[i].f[k];
				found++;
			}
		ret->rows[0].f[k] = found == 1 ? v : NAN;
	}
	return SILEX_OK;
}

SLX_PQ_MATRIX(vector)
{
	*ret = args[0];
	return SILEX_OK;
}

/* ---- absent ---- */

/* A matcher gives its label to what is absent when it is the first "=" of that label, and the last matcher of it. */
static bool gives_label(const struct slx_selector *s, size_t i)
{
	const struct slx_matcher *m = s->matchers[i];
	if (m->op != SLX_MATCH_EQ || m->value.n == 0 || slx_str_eq(m->name, SLX_METRIC_NAME))
		return false;
	for (size_t k = 0; k < s->n; k++)
		if (k != i && slx_str_eq(s->matchers[k]->name, m->name) && (k > i || s->matchers[k]->op == SLX_MATCH_EQ))
			return false;
	return true;
}

static silex_status absent_labels(
	struct slx_pq_exec *x, const struct slx_pq_node *n, struct slx_labels *ret, silex_error *err)
{
	if (n->type == SLX_PQ_MATRIX)
		n = slx_pq_unwrap(n->matrix.vector);
	*ret = slx_pq_no_labels;
	if (n->type != SLX_PQ_VECTOR)
		return SILEX_OK;
	const struct slx_selector *s = &n->vector.sel;
	slx_labels_builder_reset(&x->builder);
	for (size_t i = 0; i < s->n; i++)
		if (gives_label(s, i))
			slx_labels_builder_add(&x->builder, s->matchers[i]->name, s->matchers[i]->value);
	return slx_pq_built_labels(x, ret, err);
}

SLX_PQ_MATRIX(absent)
{
	struct slx_labels labels;
	struct slx_pq_row *r;
	SLX_TRY(absent_labels(x, slx_pq_arg(c, 0), &labels, err));
	SLX_TRY(slx_pq_matrix_init(x, ret, 1, err));
	SLX_TRY(slx_pq_row_add(x, ret, labels, c->steps, &r, err));
	for (size_t k = 0; k < c->steps; k++) {
		bool there = false;
		for (size_t i = 0; i < args[0].n && !there; i++)
			there = args[0].rows[i].cell[k];
		r->cell[k] = there ? SLX_PQ_EMPTY : SLX_PQ_FLOAT;
		r->f[k] = 1;
	}
	slx_pq_matrix_compact(ret, c->steps);
	return SILEX_OK;
}
