/* Exact order statistics over gathered values, and the most frequent of them. */
#include "query/query_int.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

enum { SORT_MAX = 16 }; /* shorter ranges are sorted by insertion */

uint64_t slx_query_key(double v)
{
	uint64_t b = slx_f64_bits(v + 0.0); /* -0.0 + 0.0 is 0.0 */
	return b >> 63 ? ~b : b | UINT64_C(1) << 63;
}

double slx_query_key_number(uint64_t key) { return slx_bits_f64(key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key); }

static void insertion_sort(uint64_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint64_t x = v[i];
		size_t k = i;
		for (; k > 0 && v[k - 1] > x; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

/* Quickselect (Hoare 1961) with a random pivot, so that no order of samples is a bad one. */
void slx_query_select(uint64_t *v, size_t n, size_t k)
{
	uint64_t rng = n;
	while (n > SORT_MAX) {
		uint64_t pivot = v[slx_rng_next(&rng) % n];
		size_t i = 0, j = n - 1;
		for (;;) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			uint64_t x = v[i];
			v[i++] = v[j];
			v[j--] = x;
		}
		/* v[0..j] <= pivot <= v[j+1..n-1]; both sides are shorter than n unless i == j stopped on the pivot. */
		size_t left = j + 1;
		if (left == n)
			left = n - 1; /* then v[n-1] is the greatest */
		if (k < left) {
			n = left;
		} else {
			v += left;
			k -= left;
			n -= left;
		}
	}
	insertion_sort(v, n);
}

double slx_query_percentile(struct slx_query_keys *k, double percentile)
{
	double rank = percentile / 100 * (double)(k->n - 1);
	size_t at = (size_t)rank;
	if (at >= k->n)
		at = k->n - 1;
	double part = rank - (double)at;
	slx_query_select(k->p, k->n, at);
	double a = slx_query_key_number(k->p[at]);
	if (part <= 0 || at + 1 >= k->n)
		return a;
	uint64_t next = k->p[at + 1];
	for (size_t i = at + 2; i < k->n; i++)
		next = k->p[i] < next ? k->p[i] : next;
	double b = slx_query_key_number(next);
	if (a == b)
		return a;
	double step = b - a;
	return isfinite(step) ? a + part * step : a * (1 - part) + b * part;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

uint64_t slx_query_mode(struct slx_query_keys *k, const char *(*text)(const void *arg, uint32_t state), const void *arg)
{
	qsort(k->p, k->n, sizeof *k->p, compare_keys);
	uint64_t best = k->p[0];
	size_t best_n = 0;
	for (size_t i = 0, n; i < k->n; i += n) {
		n = 1;
		while (i + n < k->n && k->p[i + n] == k->p[i])
			n++;
		bool better = n > best_n;
		if (n == best_n && slx_query_key_is_state(best)) /* then both are states */
			better = strcmp(text(arg, (uint32_t)k->p[i]), text(arg, (uint32_t)best)) < 0;
		if (better) {
			best = k->p[i];
			best_n = n;
		}
	}
	return best;
}
