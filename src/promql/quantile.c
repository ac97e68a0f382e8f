/* Quantiles of plain numbers. Two neighbours in order are found by selection, not by sorting: Hoare's FIND with a pivot
 * drawn at random, so that no order of the values is a bad one. */
#include "promql/promql_int.h"

#include "base/clock.h"

static void swap(double *a, double *b)
{
	double x = *a;
	*a = *b;
	*b = x;
}

/* Moves the NaNs to the front; returns how many. */
static size_t nans_first(double *v, size_t n)
{
	size_t nans = 0;
	for (size_t i = 0; i < n; i++)
		if (isnan(v[i]))
			swap(&v[nans++], &v[i]);
	return nans;
}

/* Puts the value that belongs at place k there, nothing greater before it, nothing less after it. */
static void select_place(double *v, ptrdiff_t n, ptrdiff_t k)
{
	uint64_t random = (uint64_t)n;
	ptrdiff_t from = 0, to = n - 1;
	while (from < to) {
		double pivot = v[from + (ptrdiff_t)(slx_rng_next(&random) % (uint64_t)(to - from + 1))];
		ptrdiff_t i = from, j = to;
		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i <= j)
				swap(&v[i++], &v[j--]);
		}
		if (k <= j)
			to = j;
		else if (k >= i)
			from = i;
		else
			return;
	}
}

double slx_pq_quantile(double q, double *values, size_t n)
{
	if (n == 0 || isnan(q))
		return NAN;
	if (q < 0 || q > 1)
		return q < 0 ? -INFINITY : INFINITY;
	double rank = q * (double)(n - 1), weight = rank - floor(rank);
	size_t lower = (size_t)rank, upper = lower + 1 < n ? lower + 1 : lower, nans = nans_first(values, n);
	if (lower < nans && upper < nans)
		return NAN;
	double *v = values + nans;
	if (lower >= nans)
		select_place(v, (ptrdiff_t)(n - nans), (ptrdiff_t)(lower - nans));
	double above = upper >= nans && upper != lower ? v[upper - nans] : values[lower];
	for (size_t i = upper; upper != lower && i < n; i++)
		above = fmin(above, values[i]);
	return values[lower] * (1 - weight) + above * weight;
}
