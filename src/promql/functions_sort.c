/* sort and kin: the order of an instant vector. A range query sorts its answer by labels; the order made here is lost there. */
#include "promql/functions_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- by value ---- */

static int by_value(const void *a, const void *b)
{
	double x = ((const struct slx_pq_row *)a)->f[0], y = ((const struct slx_pq_row *)b)->f[0];
	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y); /* last */
	return (x > y) - (x < y);
}

static int by_value_down(const void *a, const void *b)
{
	double x = ((const struct slx_pq_row *)a)->f[0], y = ((const struct slx_pq_row *)b)->f[0];
	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	return (x < y) - (x > y);
}

static silex_status sort_values(struct slx_pq_call *c, struct slx_pq_matrix *vector,
	int (*compare)(const void *, const void *), struct slx_pq_matrix *ret)
{
	*ret = *vector;
	for (size_t i = 0; i < ret->n; i++) {
		struct slx_pq_row *r = &ret->rows[i];
		for (size_t k = 0; r->h && k < c->steps; k++)
			if (r->cell[k] == SLX_PQ_HISTOGRAM)
				r->cell[k] = SLX_PQ_EMPTY;
		r->h = NULL;
	}
	slx_pq_matrix_compact(ret, c->steps);
	if (c->steps == 1 && ret->n)
		qsort(ret->rows, ret->n, sizeof *ret->rows, compare);
	return SILEX_OK;
}

SLX_PQ_MATRIX(sort) { return sort_values(c, &args[0], by_value, ret); }
SLX_PQ_MATRIX(sort_desc) { return sort_values(c, &args[0], by_value_down, ret); }

/* ---- by label, numbers inside taken as numbers ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The run of digits, or of anything else, that s begins with. */
static struct slx_str chunk_of(struct slx_str s)
{
	size_t n = 1;
	while (n < s.n && is_digit(s.p[n]) == is_digit(s.p[0]))
		n++;
	return (struct slx_str){ s.p, n };
}

/* false: not a whole number of 63 bits. */
static bool number_of(struct slx_str s, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]) || *ret > (INT64_MAX - 9) / 10)
			return false;
		else
			*ret = *ret * 10 + (uint64_t)(s.p[i] - '0');
	return true;
}

static int compare_natural(struct slx_str a, struct slx_str b)
{
	while (a.n && b.n) {
		struct slx_str x = chunk_of(a), y = chunk_of(b);
		uint64_t i, k;
		bool numbers = number_of(x, &i) && number_of(y, &k);
		int order = numbers ? (i > k) - (i < k) : slx_str_cmp(x, y);
		if (order)
			return order;
		a = (struct slx_str){ a.p + x.n, a.n - x.n };
		b = (struct slx_str){ b.p + y.n, b.n - y.n };
	}
	return (a.n > 0) - (b.n > 0);
}

static int by_labels(const void *a, const void *b, void *arg)
{
	const struct slx_pq_row *x = a, *y = b;
	const struct slx_pq_call *c = arg;
	for (size_t i = 1; i < c->node->call.n_args; i++) {
		struct slx_str name = slx_pq_string_arg(c, i);
		int order = compare_natural(slx_labels_get(x->labels, name), slx_labels_get(y->labels, name));
		if (order)
			return order;
	}
	return slx_labels_cmp(x->labels, y->labels);
}

static int by_labels_down(const void *a, const void *b, void *arg) { return by_labels(b, a, arg); }

static silex_status sort_labels(struct slx_pq_call *c, struct slx_pq_matrix *vector,
	int (*compare)(const void *, const void *, void *), struct slx_pq_matrix *ret)
{
	*ret = *vector;
	if (c->steps == 1 && ret->n)
		qsort_r(ret->rows, ret->n, sizeof *ret->rows, compare, c);
	return SILEX_OK;
}

SLX_PQ_MATRIX(sort_by_label) { return sort_labels(c, &args[0], by_labels, ret); }
SLX_PQ_MATRIX(sort_by_label_desc) { return sort_labels(c, &args[0], by_labels_down, ret); }
